/* device_types.c: the types of devices: an explicit table, since a linker drops an
 * archive member that nothing refers to, its constructor with it; and those that
 * shared objects bring. To add a device: its declaration and its row here. */
#include <dlfcn.h>
#include <string.h>

#include "hw/device.h"
#include "hw/ethernet/lance.h"
#include "hw/nic/nic.h"
#include "hw/nvme/nvme.h"

extern const struct device_ops dma_engine_ops;
extern const struct device_ops null_ops;
extern const struct device_ops pit_ops;

static const struct device_ops *const built_in[] = {&null_ops,      &pit_ops,   &dma_engine_ops,
                                                    &nic_sriov_ops, &lance_ops, &nvme_ops};

enum { BUILT_IN_COUNT = sizeof built_in / sizeof built_in[0], LOADED_MAX = 32 };

static const struct device_ops *loaded[LOADED_MAX];
static size_t loaded_count;

const struct device_ops *device_type_at(size_t index) {
    if (index < BUILT_IN_COUNT) {
        return built_in[index];
    }
    return index - BUILT_IN_COUNT < loaded_count ? loaded[index - BUILT_IN_COUNT] : NULL;
}

const struct device_ops *device_type_find(const char *type_name) {
    const struct device_ops *ops = NULL;
    for (size_t i = 0; (ops = device_type_at(i)) != NULL; i++) {
        if (strcmp(ops->type_name, type_name) == 0) {
            return ops;
        }
    }
    return NULL;
}

/* The linker's words for what went wrong. */
static const char *reason(void) {
    const char *text = dlerror();
    return text != NULL ? text : "no reason given";
}

static enum error_code check_ops(const char *path, const struct device_ops *ops, struct error *error) {
    if (ops->type_name == NULL || ops->help == NULL || ops->params == NULL || ops->init == NULL) {
        return error_set(error, ERR_CONFIG, "%s: its stillsuit_device_ops lacks type_name, help, params or init", path);
    }
    if (device_type_find(ops->type_name) != NULL) {
        return error_set(error, ERR_EXISTS, "%s: there is a device type '%s' already", path, ops->type_name);
    }
    return OK;
}

enum error_code device_type_load(const char *path, struct error *error) {
    if (loaded_count == LOADED_MAX) {
        return error_set(error, ERR_EXHAUSTED, "%s: %d device types have been loaded, no more fit", path, LOADED_MAX);
    }
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (object == NULL) {
        return error_set(error, ERR_IO, "%s: %s", path, reason());
    }
    const struct device_ops *ops = dlsym(object, "stillsuit_device_ops");
    enum error_code code = OK;
    if (ops == NULL) {
        code = error_set(error, ERR_NOT_FOUND, "%s: it exports no stillsuit_device_ops", path);
    } else {
        code = check_ops(path, ops, error);
    }
    if (code != OK) {
        (void)dlclose(object);
        return code;
    }
    loaded[loaded_count++] = ops; /* the object stays loaded for the rest of the process */
    return OK;
}
