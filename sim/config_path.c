/* config_path.c: paths such as "machine.nics[0].rate" and "nics[nic0].rate": walked,
 * and written for a node. */
#include "sim/config_internal.h"

#include <string.h>

int config_next_step(const char **path, struct config_step *step) {
    const char *at = *path;
    if (*at == '\0') {
        return 0;
    }
    step->element = *at == '[';
    step->text = step->element ? at + 1 : at;
    step->length = strcspn(step->text, step->element ? "]" : ".[");
    at = step->text + step->length;
    if (step->length == 0 || (step->element && *at != ']')) {
        return -1;
    }
    at += step->element ? 1 : 0;
    if (*at == '.') {
        at += 1;
        if (*at == '\0' || *at == '.' || *at == '[') {
            return -1;
        }
    } else if (*at != '\0' && *at != '[') {
        return -1;
    }
    *path = at;
    return 1;
}

static bool same(const struct config_step *step, const char *text) {
    return strlen(text) == step->length && memcmp(text, step->text, step->length) == 0;
}

/* The number in brackets, or SIZE_MAX. */
static size_t step_number(const struct config_step *step) {
    size_t number = 0;
    for (size_t i = 0; i < step->length; ++i) {
        if (step->text[i] < '0' || step->text[i] > '9' || i == 9) {
            return SIZE_MAX;
        }
        number = number * 10 + (size_t)(step->text[i] - '0');
    }
    return number;
}

size_t config_step_index(const struct config_node *node, const struct config_step *step) {
    if (node->kind != (step->element ? CONFIG_SEQUENCE : CONFIG_MAPPING)) {
        return SIZE_MAX;
    }
    const size_t number = step->element ? step_number(step) : SIZE_MAX;
    if (number != SIZE_MAX) {
        return number < node->count ? number : SIZE_MAX;
    }
    for (size_t i = 0; i < node->count; ++i) {
        const char *name = step->element ? config_text(config_get(node->children[i], "name"), NULL) : node->keys[i];
        if (name != NULL && same(step, name)) {
            return i;
        }
    }
    return SIZE_MAX;
}

const struct config_node *config_path(const struct config_node *node, const char *path) {
    struct config_step step;
    int more = 0;
    while (node != NULL && (more = config_next_step(&path, &step)) == 1) {
        const size_t index = config_step_index(node, &step);
        node = index == SIZE_MAX ? NULL : node->children[index];
    }
    return more < 0 ? NULL : node;
}

static void append_text(char *out, size_t out_bytes, const char *text) {
    const size_t used = strlen(out);
    (void)snprintf(out + used, out_bytes - used, "%s", text);
}

void config_name(const struct config_node *node, char *out, size_t out_bytes) {
    SIM_ASSERT(out_bytes != 0);
    const struct config_node *parent = node == NULL ? NULL : node->parent;
    if (parent == NULL) {
        out[0] = '\0';
        return;
    }
    config_name(parent, out, out_bytes);
    size_t index = 0;
    while (index < parent->count && parent->children[index] != node) {
        index += 1;
    }
    if (index == parent->count) {
        return; /* a key: named like its mapping */
    }
    if (parent->kind == CONFIG_MAPPING) {
        append_text(out, out_bytes, out[0] == '\0' ? "" : ".");
        append_text(out, out_bytes, parent->keys[index]);
        return;
    }
    char number[32];
    (void)snprintf(number, sizeof number, "%zu", index);
    append_text(out, out_bytes, "[");
    append_text(out, out_bytes, config_text(config_get(node, "name"), number));
    append_text(out, out_bytes, "]");
}
