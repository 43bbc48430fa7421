/* machine_devices.c: the devices of a machine: read, checked, made, freed. */
#include <stdlib.h>
#include <string.h>

#include "hw/machine_internal.h"

/* What every device has beside its type's own parameters; bound behind its config. */
struct common {
    const char *name, *type;
};

static size_t common_offset(const struct device_ops *ops) {
    const size_t align = _Alignof(struct common);
    return (ops->config_bytes + align - 1) / align * align;
}

/* ---- reading ---- */

/* The type's table with `name` and `type` in front, so that one pass binds and
 * reports all of a device's keys. The caller frees it. */
static struct param *full_table(const struct device_ops *ops) {
    size_t count = 0;
    while (ops->params[count].key != NULL) {
        count++;
    }
    struct param *table = calloc(count + 3, sizeof *table);
    SIM_ASSERT(table != NULL);
    const size_t base = common_offset(ops);
    table[0] = (struct param){.key = "name",
                              .type = PARAM_TEXT,
                              .offset = base + offsetof(struct common, name),
                              .help = "instance, unique in the machine"};
    table[1] = (struct param){
        .key = "type", .type = PARAM_TEXT, .offset = base + offsetof(struct common, type), .help = "type of device"};
    memcpy(table + 2, ops->params, count * sizeof *table);
    return table;
}

static const struct device_ops *read_type(const struct config_node *node, struct diagnostics *diagnostics) {
    const struct config_node *type = config_get(node, "type");
    const char *text = config_text(type, NULL);
    if (text == NULL) {
        diagnostics_at(diagnostics, type != NULL ? type : node, "a device needs its 'type' (`list` shows them)");
        return NULL;
    }
    const struct device_ops *ops = device_type_find(text);
    if (ops != NULL) {
        return ops;
    }
    size_t count = 0;
    while (device_type_at(count) != NULL) {
        count++;
    }
    const char **names = calloc(count + 1, sizeof *names);
    SIM_ASSERT(names != NULL);
    for (size_t i = 0; i < count; i++) {
        names[i] = device_type_at(i)->type_name;
    }
    const char *nearest = config_nearest(text, names);
    diagnostics_at(diagnostics, type, "unknown device type '%s'%s%s%s", text, nearest == NULL ? "" : "; did you mean '",
                   nearest == NULL ? "" : nearest, nearest == NULL ? "" : "'?");
    free(names);
    return NULL;
}

/* Names become parts of columns and of paths. */
static bool check_name(const struct machine_plan *plan, const struct config_node *node, const char *name,
                       struct diagnostics *diagnostics) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    const struct config_node *at = config_get(node, "name");
    if (name[0] == '\0' || strlen(name) > 64 || name[strspn(name, allowed)] != '\0') {
        diagnostics_at(diagnostics, at, "a device's name is 1 to 64 letters, digits, '_' and '-'");
        return false;
    }
    for (unsigned i = 0; i < plan->count; i++) {
        if (strcmp(plan->items[i].device->name, name) == 0) {
            diagnostics_at(diagnostics, at, "there is a device '%s' already", name);
            return false;
        }
    }
    return true;
}

static void free_device(struct device *device) {
    free((void *)(uintptr_t)device->name);
    free(device->config);
    free(device->state);
    free(device);
}

static struct device *plan_device(const struct config_node *node, struct machine_plan *plan,
                                  struct diagnostics *diagnostics) {
    const struct device_ops *ops = read_type(node, diagnostics);
    if (ops == NULL) {
        return NULL;
    }
    struct device *device = calloc(1, sizeof *device);
    SIM_ASSERT(device != NULL);
    device->ops = ops;
    device->config = calloc(1, common_offset(ops) + sizeof(struct common));
    struct param *table = full_table(ops);
    SIM_ASSERT(device->config != NULL);
    bool good = config_bind(node, table, device->config, diagnostics);
    free(table);
    const struct common *common = (const struct common *)((const char *)device->config + common_offset(ops));
    if (common->name != NULL) {
        good = check_name(plan, node, common->name, diagnostics) && good;
        device->name = strdup(common->name);
        SIM_ASSERT(device->name != NULL);
    }
    struct error error = {0};
    if (good && ops->check != NULL && ops->check(device->config, &error) != OK) {
        diagnostics_at(diagnostics, node, "%s: %s", device->name, error.text);
        good = false;
    }
    good = good && (ops->check_places == NULL || ops->check_places(device->config, device->name, diagnostics));
    if (!good && device->name == NULL) {
        free_device(device);
        return NULL;
    }
    return device; /* a faulty one, too: its name is taken */
}

bool machine_plan_devices(const struct config_node *list, struct machine_plan *plan, struct diagnostics *diagnostics) {
    const size_t errors = diagnostics->errors;
    if (list == NULL) {
        return true;
    }
    if (list->kind != CONFIG_SEQUENCE) {
        diagnostics_at(diagnostics, list, "devices: a list of {name, type, ...} is due");
        return false;
    }
    if (list->count > MACHINE_DEVICES_MAX) {
        diagnostics_at(diagnostics, list, "devices: %zu are more than %d", list->count, MACHINE_DEVICES_MAX);
        return false;
    }
    for (size_t i = 0; i < list->count; i++) {
        const struct config_node *node = list->children[i];
        if (node->kind != CONFIG_MAPPING) {
            diagnostics_at(diagnostics, node, "a device is a mapping: {name, type, ...}");
            continue;
        }
        struct device *device = plan_device(node, plan, diagnostics);
        if (device != NULL) {
            plan->items[plan->count].device = device;
            plan->items[plan->count++].node = node;
        }
    }
    return diagnostics->errors == errors;
}

void machine_plan_free(struct machine_plan *plan) {
    for (unsigned i = 0; i < plan->count; i++) {
        if (plan->items[i].device != NULL) {
            free_device(plan->items[i].device);
        }
    }
}

/* ---- making ---- */

bool machine_build_devices(struct machine *machine, struct machine_plan *plan, struct diagnostics *diagnostics) {
    for (unsigned i = 0; i < plan->count; i++) {
        struct device *device = plan->items[i].device;
        struct error error = {0};
        device->machine = machine;
        device->state = calloc(1, device->ops->state_bytes + 1);
        SIM_ASSERT(device->state != NULL);
        if (device->ops->init(device, &error) != OK) {
            diagnostics_at(diagnostics, plan->items[i].node, "%s: %s", device->name, error.text);
            return false; /* the plan frees this one and those behind it */
        }
        plan->items[i].device = NULL;
        machine->devices[machine->device_count++] = device;
    }
    return true;
}

void machine_free_devices(struct machine *machine) {
    while (machine->device_count > 0) {
        struct device *device = machine->devices[--machine->device_count];
        if (device->ops->fini != NULL) {
            device->ops->fini(device);
        }
        free_device(device);
    }
}
