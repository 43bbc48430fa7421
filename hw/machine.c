/* machine.c: a machine's parts, put together, and their life. What its devices are
 * is read in machine_devices.c. */
#include "hw/machine.h"

#include <stdlib.h>
#include <string.h>

#include "hw/machine_internal.h"

struct memory_config {
    uint64_t size_bytes;
};
static const struct param memory_params[] = {
    {"size", PARAM_BYTES, offsetof(struct memory_config, size_bytes), "4 GiB", "1 MiB", "128 TiB", NULL,
     "physical memory from address 0; a multiple of 4 KiB. Takes host memory only where it is written"},
    {0}};

/* The configuration of the parts lives as long as the machine. */
struct machine_parts {
    struct machine machine; /* first: what others see */
    struct memory_config memory;
    struct core_config core;
    struct r3000_config r3000;
    struct x86_config x86;
    bool has_r3000, has_x86;
    struct cache_config cache;
    struct iommu_config iommu;
    struct pcie_root_config pcie;
    char *name;
};

static struct machine_parts *parts_of(struct machine *machine) {
    return (struct machine_parts *)machine;
}

static const struct {
    const char *name, *help;
    const struct param *params;
} part_table[] = {
    {"memory", "physical memory", memory_params},
    {"core", "the processor's cores, all alike", core_params},
    {"r3000", "the cores are R3000-class: software-managed TLB, exceptions", r3000_params},
    {"x86", "the cores are x86-64 that an exokernel can drive: exceptions, nested paging", x86_params},
    {"cache", "the cache hierarchy, and what lies behind it", cache_params},
    {"iommu", "translation and protection of what devices access", iommu_params},
    {"pcie", "the PCI Express root complex", pcie_root_params},
};

const struct param *machine_part_at(size_t index, const char **name, const char **help) {
    if (index >= sizeof part_table / sizeof part_table[0]) {
        return NULL;
    }
    *name = part_table[index].name;
    *help = part_table[index].help;
    return part_table[index].params;
}

/* ---- reading ---- */

static bool is_power_of_two(uint64_t value) {
    return value > 0 && (value & (value - 1)) == 0;
}

static void read_r3000(struct machine_parts *parts, const struct config_node *node, struct diagnostics *diagnostics) {
    const struct r3000_config *config = &parts->r3000;
    if (!config_bind(node, r3000_params, &parts->r3000, diagnostics)) {
        return;
    }
    if (config->tlb_wired >= config->tlb_entries) {
        diagnostics_at(diagnostics, node, "r3000.tlb_wired: %llu of %llu entries leave none free",
                       (unsigned long long)config->tlb_wired, (unsigned long long)config->tlb_entries);
    }
    if (config->cache_bytes > 0 &&
        (!is_power_of_two(config->cache_bytes) || !is_power_of_two(config->cache_line_bytes) ||
         config->cache_bytes < config->cache_line_bytes)) {
        diagnostics_at(diagnostics, node, "r3000.cache: %llu bytes in lines of %llu: both are powers of two",
                       (unsigned long long)config->cache_bytes, (unsigned long long)config->cache_line_bytes);
    }
}

static bool bind_parts(const struct config_node *node, struct machine_parts *parts, struct diagnostics *diagnostics) {
    static const char *const keys[] = {"name",  "memory", "core", "r3000",   "x86",
                                       "cache", "iommu",  "pcie", "devices", NULL};
    if (node == NULL || node->kind != CONFIG_MAPPING) {
        static const char text[] = "a machine is a mapping: memory, core, cache, iommu, pcie, devices";
        if (node != NULL) {
            diagnostics_at(diagnostics, node, "%s", text);
        } else {
            diagnostics_add(diagnostics, "", 0, 0, "%s", text);
        }
        return false;
    }
    const struct config_node *memory = config_get(node, "memory");
    const size_t errors = diagnostics->errors;
    (void)config_check_keys(node, keys, diagnostics);
    const bool sized = config_bind(memory, memory_params, &parts->memory, diagnostics);
    if (sized && parts->memory.size_bytes % MEMORY_FRAME_BYTES != 0) {
        diagnostics_at(diagnostics, memory, "memory.size: %llu bytes are not a whole number of 4 KiB frames",
                       (unsigned long long)parts->memory.size_bytes);
    }
    (void)core_config_bind(config_get(node, "core"), &parts->core, diagnostics);
    parts->has_r3000 = config_get(node, "r3000") != NULL;
    parts->has_x86 = config_get(node, "x86") != NULL;
    read_r3000(parts, config_get(node, "r3000"), diagnostics);
    (void)config_bind(config_get(node, "x86"), x86_params, &parts->x86, diagnostics);
    if (parts->has_r3000 && parts->has_x86) {
        diagnostics_at(diagnostics, config_get(node, "x86"),
                       "x86: the cores are 'r3000' already; one of the two is due");
    }
    (void)config_bind(config_get(node, "cache"), cache_params, &parts->cache, diagnostics);
    (void)config_bind(config_get(node, "iommu"), iommu_params, &parts->iommu, diagnostics);
    (void)config_bind(config_get(node, "pcie"), pcie_root_params, &parts->pcie, diagnostics);
    const struct config_node *name = config_get(node, "name");
    if (name != NULL && (name->kind != CONFIG_SCALAR || name->text[0] == '\0')) {
        diagnostics_at(diagnostics, name, "name: a text is due");
    }
    return diagnostics->errors == errors;
}

/* ---- building ---- */

static bool report(const struct config_node *node, const char *part, const struct error *error,
                   struct diagnostics *diagnostics) {
    const struct config_node *at = config_get(node, part);
    diagnostics_at(diagnostics, at != NULL ? at : node, "%s", error->text);
    return false;
}

/* Memory, caches, IOMMU and root: they check what ranges cannot say as they are
 * made, so `check` makes them, too. */
static bool build_parts(const struct config_node *node, struct machine_parts *parts, struct diagnostics *diagnostics) {
    struct machine *machine = &parts->machine;
    struct error error = {0};
    machine->clock = sim_clock_make(parts->core.clock_hz);
    machine->memory = memory_create(parts->memory.size_bytes);
    machine->core_count = (unsigned)parts->core.count;
    machine->cache = cache_create(&parts->cache, machine->core_count, &machine->clock, &error);
    if (machine->cache == NULL) {
        return report(node, "cache", &error, diagnostics);
    }
    machine->iommu = iommu_create(&parts->iommu, machine->memory, machine->cache, &error);
    if (machine->iommu == NULL) {
        return report(node, "iommu", &error, diagnostics);
    }
    machine->pcie = pcie_root_create(machine, &parts->pcie, &error);
    return machine->pcie != NULL || report(node, "pcie", &error, diagnostics);
}

static void build_cores(struct machine_parts *parts) {
    struct machine *machine = &parts->machine;
    machine->cores = calloc(machine->core_count, sizeof(struct core *));
    machine->r3000 = parts->has_r3000 ? calloc(machine->core_count, sizeof(struct r3000 *)) : NULL;
    machine->x86 = parts->has_x86 ? calloc(machine->core_count, sizeof(struct x86 *)) : NULL;
    SIM_ASSERT(machine->cores != NULL && parts->has_r3000 == (machine->r3000 != NULL) &&
               parts->has_x86 == (machine->x86 != NULL));
    for (unsigned i = 0; i < machine->core_count; i++) {
        machine->cores[i] = core_create(machine, i, &parts->core);
        if (parts->has_r3000) {
            machine->r3000[i] = r3000_create(machine, machine->cores[i], &parts->r3000);
        }
        if (parts->has_x86) {
            machine->x86[i] = x86_create(machine, machine->cores[i], &parts->x86);
        }
    }
}

static void set_name(struct machine_parts *parts, const struct config_node *node) {
    parts->name = strdup(config_text(config_get(node, "name"), "machine"));
    SIM_ASSERT(parts->name != NULL);
    parts->machine.name = parts->name;
}

bool machine_create(const struct config_node *node, struct machine **machine, struct diagnostics *diagnostics) {
    struct machine_parts *parts = calloc(1, sizeof *parts);
    SIM_ASSERT(parts != NULL);
    bool good = bind_parts(node, parts, diagnostics);
    struct machine_plan plan = {0};
    good = machine_plan_devices(config_get(node, "devices"), &plan, diagnostics) && good;
    good = good && build_parts(node, parts, diagnostics);
    if (good && machine != NULL) {
        set_name(parts, node);
        build_cores(parts);
        good = machine_build_devices(&parts->machine, &plan, diagnostics);
    }
    machine_plan_free(&plan);
    if (!good || machine == NULL) {
        machine_free(&parts->machine);
        return good;
    }
    *machine = &parts->machine;
    return true;
}

void machine_free(struct machine *machine) {
    if (machine == NULL) {
        return;
    }
    machine_free_devices(machine);
    for (unsigned i = 0; machine->r3000 != NULL && i < machine->core_count; i++) {
        r3000_free(machine->r3000[i]);
    }
    free(machine->r3000);
    for (unsigned i = 0; machine->x86 != NULL && i < machine->core_count; i++) {
        x86_free(machine->x86[i]);
    }
    free(machine->x86);
    for (unsigned i = 0; machine->cores != NULL && i < machine->core_count; i++) {
        core_free(machine->cores[i]);
    }
    free(machine->cores);
    pcie_root_free(machine->pcie);
    if (machine->iommu != NULL) {
        iommu_free(machine->iommu);
    }
    if (machine->cache != NULL) {
        cache_free(machine->cache);
    }
    if (machine->memory != NULL) {
        memory_free(machine->memory);
    }
    free(parts_of(machine)->name);
    free(parts_of(machine));
}

struct device *machine_device(const struct machine *machine, const char *name) {
    for (unsigned i = 0; i < machine->device_count; i++) {
        if (strcmp(machine->devices[i]->name, name) == 0) {
            return machine->devices[i];
        }
    }
    return NULL;
}

void machine_declare_components(void) {
    const struct device_ops *ops = NULL;
    core_declare_components();
    pcie_declare_components();
    wire_declare_components();
    for (size_t i = 0; (ops = device_type_at(i)) != NULL; i++) {
        if (ops->declare_components != NULL) {
            ops->declare_components();
        }
    }
}

/* ---- statistics ---- */

void machine_visit_stats(const struct machine *machine, const struct stats_sink *sink) {
    for (unsigned i = 0; i < machine->core_count; i++) {
        core_visit_stats(machine->cores[i], sink);
        if (machine->r3000 != NULL) {
            r3000_visit_stats(machine->r3000[i], sink);
        }
        if (machine->x86 != NULL) {
            x86_visit_stats(machine->x86[i], sink);
        }
    }
    cache_visit_stats(machine->cache, sink);
    iommu_visit_stats(machine->iommu, sink);
    pcie_visit_stats(machine->pcie, sink);
    for (unsigned i = 0; i < machine->device_count; i++) {
        const struct device *device = machine->devices[i];
        if (device->ops->visit_stats != NULL) {
            device->ops->visit_stats(device, sink);
        }
    }
}

void machine_reset_stats(struct machine *machine) {
    for (unsigned i = 0; i < machine->core_count; i++) {
        core_reset_usage(machine->cores[i]);
        if (machine->r3000 != NULL) {
            r3000_reset_stats(machine->r3000[i]);
        }
        if (machine->x86 != NULL) {
            x86_reset_stats(machine->x86[i]);
        }
    }
    cache_reset_stats(machine->cache);
    iommu_reset_stats(machine->iommu);
    pcie_reset_stats(machine->pcie);
    for (unsigned i = 0; i < machine->device_count; i++) {
        struct device *device = machine->devices[i];
        if (device->ops->reset_stats != NULL) {
            device->ops->reset_stats(device);
        }
    }
}
