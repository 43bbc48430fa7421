#include "experiment/system_types.h"

#include <string.h>

#include "hw/machine.h"
#include "kernel_model/exo/download_packet.h"
#include "kernel_model/linux/linux_system.h"
#include "libos_model/libos_systems.h"
#include "workloads/client.h"

static const struct system_ops *const types[] = {
    &linux_system_ops,
    &arrakis_posix_ops,
    &arrakis_native_ops,
    &libos_driver_ops,
};
enum { TYPES = sizeof types / sizeof types[0] };

const struct system_ops *system_type_at(size_t index) {
    return index < TYPES ? types[index] : NULL;
}

const struct system_ops *system_type_find(const char *type_name) {
    for (size_t i = 0; i < TYPES; i++) {
        if (strcmp(types[i]->type_name, type_name) == 0) {
            return types[i];
        }
    }
    return NULL;
}

const char *system_type_nearest(const char *type_name) {
    const char *names[TYPES + 1];
    for (size_t i = 0; i < TYPES; i++) {
        names[i] = types[i]->type_name;
    }
    names[TYPES] = NULL;
    return config_nearest(type_name, names);
}

void system_types_declare_components(void) {
    machine_declare_components();
    client_declare_components();
    exo_download_declare_components();
    for (size_t i = 0; i < TYPES; i++) {
        types[i]->declare_components();
    }
}
