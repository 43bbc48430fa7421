#include "experiment/operation_types.h"

#include <string.h>

#include "kernel_model/ultrix/ultrix_system.h"
#include "libos_model/exos/exos.h"

static const struct operations_ops *const types[] = {
    &aegis_operations_ops,
    &ultrix_operations_ops,
};
enum { TYPES = sizeof types / sizeof types[0] };

const struct operations_ops *operation_type_at(size_t index) {
    return index < TYPES ? types[index] : NULL;
}

const struct operations_ops *operation_type_find(const char *type_name) {
    for (size_t i = 0; i < TYPES; i++) {
        if (strcmp(types[i]->type_name, type_name) == 0) {
            return types[i];
        }
    }
    return NULL;
}

const char *operation_type_nearest(const char *type_name) {
    const char *names[TYPES + 1];
    for (size_t i = 0; i < TYPES; i++) {
        names[i] = types[i]->type_name;
    }
    names[TYPES] = NULL;
    return config_nearest(type_name, names);
}

void operation_types_declare_components(void) {
    machine_declare_components();
    for (size_t i = 0; i < TYPES; i++) {
        types[i]->declare_components();
    }
}
