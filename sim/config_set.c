/* config_set.c: changes one value of a tree by its path. */
#include "sim/config_internal.h"

#include <stdlib.h>
#include <string.h>

/* Where a path leads: the node that holds its last part, and that part. */
struct target {
    struct config_node *holder;
    struct config_step last;
    size_t index; /* of the child that is there already, or SIZE_MAX */
};

static void report_key(const struct config_node *holder, const struct config_step *step,
                       const struct config_node *place, struct diagnostics *diagnostics) {
    char word[CONFIG_NAME_BYTES];
    char where[CONFIG_NAME_BYTES];
    (void)snprintf(word, sizeof word, "%.*s", (int)step->length, step->text);
    config_name(holder, where, sizeof where);
    const char **keys = calloc(holder->count + 1, sizeof *keys); /* the list that config_nearest wants ends with NULL */
    SIM_ASSERT_MSG(keys != NULL, "out of memory");
    for (size_t i = 0; i < holder->count; ++i) {
        keys[i] = holder->keys[i];
    }
    const char *nearest = config_nearest(word, keys);
    diagnostics_at(diagnostics, place, "there is no '%s'%s%s%s%s%s", word, where[0] == '\0' ? "" : " in ", where,
                   nearest == NULL ? "" : "; did you mean '", nearest == NULL ? "" : nearest,
                   nearest == NULL ? "" : "'?");
    free(keys);
}

static void report_step(const struct config_node *holder, const struct config_step *step,
                        const struct config_node *place, struct diagnostics *diagnostics) {
    char where[CONFIG_NAME_BYTES];
    config_name(holder, where, sizeof where);
    if (step->element && holder->kind == CONFIG_SEQUENCE) {
        diagnostics_at(diagnostics, place, "there is no [%.*s] in %s, which has %zu element%s", (int)step->length,
                       step->text, where, holder->count, holder->count == 1 ? "" : "s");
    } else if (!step->element && holder->kind == CONFIG_MAPPING) {
        report_key(holder, step, place, diagnostics);
    } else {
        static const char *const kinds[] = {"a single value", "a list", "a mapping"};
        diagnostics_at(diagnostics, place, "there is no '%.*s' in %s, which is %s", (int)step->length, step->text,
                       where[0] == '\0' ? "the configuration" : where, kinds[holder->kind]);
    }
}

/* Follows a path; a key that a mapping lacks is good as the last part only. */
static bool find_target(struct config_node *root, const char *path, struct target *target,
                        const struct config_node *place, struct diagnostics *diagnostics) {
    const char *at = path;
    struct config_step step;
    struct config_node *node = root;
    int more = config_next_step(&at, &step);
    if (more == 0) {
        more = -1; /* no path at all */
    }
    while (more == 1) {
        const size_t index = config_step_index(node, &step);
        *target = (struct target){node, step, index};
        more = config_next_step(&at, &step);
        const bool can_add = more == 0 && !target->last.element && node->kind == CONFIG_MAPPING;
        if (more >= 0 && index == SIZE_MAX && !can_add) {
            report_step(node, &target->last, place, diagnostics);
            return false;
        }
        node = index == SIZE_MAX ? NULL : node->children[index];
    }
    const bool include = more == 0 && target->last.length == 7 && memcmp(target->last.text, "include", 7) == 0;
    if (more < 0) {
        diagnostics_at(diagnostics, place, "'%s' is not a path such as machine.nics[0].rate", path);
    } else if (include) {
        diagnostics_at(diagnostics, place, "include cannot be set; set what it would bring");
    }
    return more == 0 && !include;
}

bool config_can_set(const struct config_node *root, const char *path, const struct config_node *place,
                    struct diagnostics *diagnostics) {
    struct target target;
    /* Only looked at: find_target changes nothing. */
    return find_target((struct config_node *)(uintptr_t)root, path, &target, place, diagnostics);
}

bool config_put(struct config *config, const char *path, struct config_node *value, const struct config_node *place,
                struct diagnostics *diagnostics) {
    struct target target;
    if (!find_target(config->root, path, &target, place, diagnostics)) {
        return false;
    }
    if (target.index != SIZE_MAX) {
        target.holder->children[target.index] = value;
        value->parent = target.holder;
        return true;
    }
    struct config_node *key = config_new_node(config, CONFIG_SCALAR, value->file, value->line, value->column);
    key->text = arena_copy_text(&config->arena, target.last.text, target.last.length);
    config_append(config, target.holder, key, value);
    return true;
}

bool config_set(struct config *config, const char *assignment, struct diagnostics *diagnostics) {
    const size_t path_length = strcspn(assignment, "=");
    char *file = arena_allocate(&config->arena, strlen("--set ") + path_length + 1);
    memcpy(file, "--set ", strlen("--set "));
    memcpy(file + strlen("--set "), assignment, path_length);
    const char *path = file + strlen("--set ");
    struct config_node *place = config_new_node(config, CONFIG_SCALAR, file, 1, 1);
    if (assignment[path_length] != '=') {
        diagnostics_at(diagnostics, place, "an assignment is due, such as machine.nics[0].rate=10 Gbps");
        return false;
    }
    const char *text = assignment + path_length + 1;
    const size_t errors = diagnostics->errors;
    struct config_node *value = config_parse_tree(config, file, text, strlen(text), 0, diagnostics);
    if (value != NULL) {
        config_resolve(config, value, 1, diagnostics);
    }
    if (diagnostics->errors != errors) {
        return false;
    }
    if (value == NULL) {
        value = place; /* nothing after '=': an empty value */
    }
    value->line = 1;
    value->column = 1;
    return config_put(config, path, value, place, diagnostics);
}
