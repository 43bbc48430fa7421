/* device.h: what a device is: an ops table, a parameter table and a state struct,
 * in a folder of its own, listed in hw/device_types.c (or brought by a shared
 * object). docs/add-a-device.md walks through hw/null/. */
#ifndef STILLSUIT_HW_DEVICE_H
#define STILLSUIT_HW_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#include "hw/pcie.h"
#include "hw/wire.h"
#include "sim/error.h"
#include "sim/param.h"
#include "sim/stats_sink.h"

struct machine;
struct device;
struct diagnostics;

struct device_ops {
    const char *type_name;      /* as written in YAML: "nic/sriov" */
    const char *help;           /* one line for `stillsuit list` */
    const struct param *params; /* ends with {0} */
    size_t config_bytes, state_bytes;
    void (*declare_components)(void); /* may be NULL */
    /* What ranges cannot say about a config ("no link of 3 lanes"): for `stillsuit
     * check`, and before init. May be NULL. */
    enum error_code (*check)(const void *config, struct error *error);
    /* The same with places, for what lies in nodes of the config that are bound by tables
     * of their own (a drive's medium). May be NULL. */
    bool (*check_places)(const void *config, const char *name, struct diagnostics *diagnostics);
    /* The device's config and zeroed state are allocated; its machine, name and
     * config are set. Makes links and functions. */
    enum error_code (*init)(struct device *device, struct error *error);
    uint64_t (*mmio_read)(struct device *device, struct pcie_function *function, unsigned bar, uint64_t offset,
                          uint32_t size_bytes);
    /* `request`, owned by "doorbell", rides on a write that rings for it; NULL otherwise. */
    void (*mmio_write)(struct device *device, struct pcie_function *function, unsigned bar, uint64_t offset,
                       uint32_t size_bytes, uint64_t value, struct request *request);
    struct port *(*network_port)(struct device *device, unsigned index);             /* NULL: none */
    void (*visit_stats)(const struct device *device, const struct stats_sink *sink); /* may be NULL */
    void (*reset_stats)(struct device *device); /* end of the warm-up; may be NULL */
    void (*fini)(struct device *device);        /* may be NULL */
};

struct device {
    const struct device_ops *ops;
    const char *name; /* instance, unique in the machine: "nic" */
    struct machine *machine;
    void *config, *state; /* config_bytes, state_bytes; owned by the machine */
};

/* The type of that name, or NULL; and all of them, for `list` and `describe`. */
const struct device_ops *device_type_find(const char *type_name);
const struct device_ops *device_type_at(size_t index); /* NULL past the end */
/* Adds the type that a shared object exports as `stillsuit_device_ops`. */
enum error_code device_type_load(const char *path, struct error *error);

#endif
