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
