/* What a system's entry says in place of the experiment: its machine, its workload. */
#include <string.h>

#include "experiment/plan.h"

#define OVERRIDE(name, text)                                                                                           \
    { .key = name, .type = PARAM_NODE, .default_text = "", .help = text }
const struct param plan_override_params[] = {
    OVERRIDE("machine", "The system's machine, instead of the experiment's: a whole one, nothing is merged"),
    OVERRIDE("workload", "Merged with the experiment's key by key; what the system says wins"),
    OVERRIDE("also", "Merged with the experiment's key by key; what the system says wins"),
    {0}};

static size_t key_index(const struct config_node *mapping, const char *key) {
    size_t i = 0;
    while (i < mapping->count && strcmp(mapping->keys[i], key) != 0) {
        i++;
    }
    return i;
}

/* Puts the child `from` of `source` below the same key of `target`, whose path from
 * the root is `path`: mappings merge key by key, the source wins, or `whole` replaces what
 * was there. The nodes themselves move, so that errors are placed where the values were
 * written. */
static bool put_child(struct config *config, struct config_node *target, const char *path,
                      const struct config_node *source, size_t from, bool whole, struct diagnostics *diagnostics) {
    const char *key = source->keys[from];
    struct config_node *child = source->children[from];
    char child_path[512];
    (void)snprintf(child_path, sizeof child_path, "%s%s%s", path, path[0] != '\0' ? "." : "", key);
    size_t at = key_index(target, key);
    if (!whole && at < target->count && child->kind == CONFIG_MAPPING && target->children[at]->kind == CONFIG_MAPPING) {
        bool good = true;
        for (size_t i = 0; i < child->count; i++) {
            good = put_child(config, target->children[at], child_path, child, i, false, diagnostics) && good;
        }
        return good;
    }
    if (at == target->count) {
        char assignment[520];
        (void)snprintf(assignment, sizeof assignment, "%s=0", child_path);
        if (!config_set(config, assignment, diagnostics)) {
            return false;
        }
        at = key_index(target, key);
        if (at == target->count) {
            diagnostics_at(diagnostics, source->key_nodes[from], "'%s' is no key", key);
            return false;
        }
    }
    target->key_nodes[at] = source->key_nodes[from];
    target->children[at] = child;
    child->parent = target;
    return true;
}

/* Once it is the experiment's, the system must not see it. */
static bool move_up(struct config *config, struct config_node *system, const char *key,
                    struct diagnostics *diagnostics) {
    const size_t at = key_index(system, key);
    if (at == system->count) {
        return true;
    }
    const bool whole = strcmp(key, "machine") == 0; /* parts of two machines are none */
    const bool good = put_child(config, config_root(config), "", system, at, whole, diagnostics);
    system->count--;
    for (size_t i = at; i < system->count; i++) {
        system->keys[i] = system->keys[i + 1];
        system->key_nodes[i] = system->key_nodes[i + 1];
        system->children[i] = system->children[i + 1];
    }
    return good;
}

bool plan_override(struct config *config, struct config_node *system, struct diagnostics *diagnostics) {
    bool good = true;
    for (size_t i = 0; system != NULL && system->kind == CONFIG_MAPPING && plan_override_params[i].key != NULL; i++) {
        good = move_up(config, system, plan_override_params[i].key, diagnostics) && good;
    }
    return good;
}

static size_t systems_with_machine(const struct config_node *systems) {
    size_t count = 0;
    for (size_t i = 0; systems != NULL && systems->kind == CONFIG_MAPPING && i < systems->count; i++) {
        count += config_get(systems->children[i], "machine") != NULL;
    }
    return count;
}

const struct config_node *plan_machine(const struct plan_point *point, struct diagnostics *diagnostics) {
    const struct experiment *experiment = point->experiment;
    const struct config_node *root = config_root(point->config), *machine = config_get(root, "machine");
    if (machine == NULL && systems_with_machine(config_get(config_root(experiment->config), "systems")) == 0) {
        diagnostics_at(diagnostics, root, "'machine' is missing");
    } else if (machine == NULL) {
        diagnostics_at(diagnostics, point->system_node, "systems.%s: 'machine' is missing, here and in the experiment",
                       experiment->systems[point->system].name);
    }
    return machine;
}

void plan_override_check(const struct experiment *experiment, struct diagnostics *diagnostics) {
    const struct config_node *root = config_root(experiment->config), *systems = config_get(root, "systems");
    const size_t own = systems_with_machine(systems);
    if (config_get(root, "machine") != NULL && own > 0 && own == systems->count) {
        diagnostics_at(diagnostics, config_get(root, "machine"),
                       "machine: has no effect: every system has one of its own");
    }
}
