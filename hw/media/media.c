/* media.c: a medium from its part of the configuration. */
#include "hw/media/media.h"

#include <stdlib.h>
#include <string.h>

#include "sim/config.h"

ledger_component media_component;

void media_declare_components(void) {
    static const struct ledger_declaration declaration = {"media", NULL, "Medium", "nvme ready cpu"};
    media_component = ledger_declare(&declaration);
    for (size_t i = 0; media_type_at(i) != NULL; i++) {
        if (media_type_at(i)->declare_components != NULL) {
            media_type_at(i)->declare_components();
        }
    }
}

/* ---- reading ---- */

/* What every medium has beside its type's own parameters; bound behind its config. */
struct common {
    const char *type;
};

static size_t common_offset(const struct media_ops *ops) {
    const size_t align = _Alignof(struct common);
    return (ops->config_bytes + align - 1) / align * align;
}

static bool bind(const struct config_node *node, const struct media_ops *ops, void *config,
                 struct diagnostics *diagnostics) {
    size_t count = 0;
    while (ops->params[count].key != NULL) {
        count++;
    }
    struct param *table = calloc(count + 2, sizeof *table);
    SIM_ASSERT_MSG(table != NULL, "out of memory");
    table[0] = (struct param){.key = "type",
                              .type = PARAM_TEXT,
                              .offset = common_offset(ops) + offsetof(struct common, type),
                              .help = "type of medium"};
    memcpy(table + 1, ops->params, count * sizeof *table);
    const bool good = config_bind(node, table, config, diagnostics);
    free(table);
    return good;
}

static const struct media_ops *read_type(const struct config_node *node, struct diagnostics *diagnostics) {
    enum { TYPES_MAX = 16 };
    const char *names[TYPES_MAX] = {NULL};
    if (node->kind != CONFIG_MAPPING) {
        diagnostics_at(diagnostics, node, "a medium is a mapping: {type, ...}");
        return NULL;
    }
    const struct config_node *type = config_get(node, "type");
    const char *text = config_text(type, NULL);
    if (text == NULL) {
        diagnostics_at(diagnostics, type != NULL ? type : node, "a medium needs its 'type' (`list` shows them)");
        return NULL;
    }
    const struct media_ops *ops = media_type_find(text);
    if (ops == NULL) {
        for (size_t i = 0; media_type_at(i) != NULL && i + 1 < TYPES_MAX; i++) {
            names[i] = media_type_at(i)->type_name;
        }
        const char *nearest = config_nearest(text, names);
        diagnostics_at(diagnostics, type, "unknown medium '%s'%s%s%s", text, nearest == NULL ? "" : "; did you mean '",
                       nearest == NULL ? "" : nearest, nearest == NULL ? "" : "'?");
    }
    return ops;
}

static bool check(const struct media *media, const struct config_node *node, struct diagnostics *diagnostics) {
    struct error error = {0};
    if (media->ops->check != NULL && media->ops->check(media->config, &error) != OK) {
        diagnostics_at(diagnostics, node, "%s: %s", media->name, error.text);
        return false;
    }
    return media->ops->check_places == NULL || media->ops->check_places(media, diagnostics);
}

/* ---- life ---- */

static bool start(struct media *media, const struct config_node *node, struct diagnostics *diagnostics) {
    struct error error = {0};
    if (media->ops->init(media, &error) != OK) {
        diagnostics_at(diagnostics, node, "%s: %s", media->name, error.text);
        return false;
    }
    return true;
}

static void release(struct media *media) {
    free((void *)(uintptr_t)media->name);
    free(media->config);
    free(media->state);
    free(media);
}

struct media *media_create(const struct config_node *node, const char *name, uint64_t capacity_bytes,
                           uint32_t block_bytes, bool only_check, struct diagnostics *diagnostics) {
    const struct media_ops *ops = read_type(node, diagnostics);
    if (ops == NULL) {
        return NULL;
    }
    struct media *media = calloc(1, sizeof *media);
    SIM_ASSERT_MSG(media != NULL, "out of memory");
    media->ops = ops;
    media->node = node;
    media->name = strdup(name);
    media->capacity_bytes = capacity_bytes;
    media->block_bytes = block_bytes;
    media->config = calloc(1, common_offset(ops) + sizeof(struct common));
    media->state = calloc(1, ops->state_bytes + 1);
    SIM_ASSERT_MSG(media->name != NULL && media->config != NULL && media->state != NULL, "out of memory");
    bool good = bind(node, ops, media->config, diagnostics);
    good = good && check(media, node, diagnostics);
    if (!good || only_check || !start(media, node, diagnostics)) {
        release(media);
        return NULL;
    }
    media->node = NULL;
    return media;
}

void media_free(struct media *media) {
    if (media == NULL) {
        return;
    }
    if (media->ops->fini != NULL) {
        media->ops->fini(media);
    }
    release(media);
}
