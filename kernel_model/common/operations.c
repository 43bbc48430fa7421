#include "kernel_model/common/operations.h"

#include <string.h>

const struct operation *operation_find(const struct operations_ops *ops, const char *name, const char **nearest) {
    enum { NAMES_MAX = 128 };
    const char *names[NAMES_MAX + 1] = {NULL};
    for (size_t i = 0; ops->operations[i].name != NULL; i++) {
        if (strcmp(ops->operations[i].name, name) == 0) {
            return &ops->operations[i];
        }
        if (i < NAMES_MAX) {
            names[i] = ops->operations[i].name;
        }
    }
    *nearest = config_nearest(name, names);
    return NULL;
}

enum error_code operations_prepare(struct operations *system, const struct operations_plan *plan, struct error *error) {
    enum error_code code = OK;
    for (size_t i = 0; i < plan->count && code == OK; i++) {
        if (plan->sequence[i]->prepare != NULL) {
            code = plan->sequence[i]->prepare(system, error);
        }
    }
    return code;
}
