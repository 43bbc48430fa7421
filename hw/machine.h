/* machine.h: a machine: cores, caches, memory, IOMMU, PCIe and devices, from its
 * part of the configuration. */
#ifndef STILLSUIT_HW_MACHINE_H
#define STILLSUIT_HW_MACHINE_H

#include "hw/cache.h"
#include "hw/core.h"
#include "hw/device.h"
#include "hw/iommu.h"
#include "hw/memory.h"
#include "hw/pcie.h"
#include "hw/r3000/r3000.h"
#include "hw/x86/x86.h"
#include "sim/config.h"
#include "sim/stats_sink.h"

enum { MACHINE_DEVICES_MAX = 64 };

struct machine {
    const char *name;
    struct sim_clock clock; /* of the cores */
    struct memory *memory;
    struct cache *cache;
    struct iommu *iommu;
    struct pcie_root *pcie;
    unsigned core_count;
    struct core **cores;
    struct r3000 **r3000; /* one a core, where the processor is one; else NULL */
    struct x86 **x86;     /* likewise; idle until a kernel boots it */
    unsigned device_count;
    struct device *devices[MACHINE_DEVICES_MAX];
};

/* Builds from a mapping: memory, core, r3000 or x86 (if the cores are such), cache,
 * iommu, pcie, devices: a list of {name, type, ...parameters of the type}. Only checks if `machine` is NULL (for
 * `stillsuit check`). All errors are reported; returns false if there were any. */
bool machine_create(const struct config_node *node, struct machine **machine, struct diagnostics *diagnostics);
void machine_free(struct machine *machine);
struct device *machine_device(const struct machine *machine, const char *name);
/* Declares the components of all hardware; before machine_create. */
void machine_declare_components(void);
void machine_visit_stats(const struct machine *machine, const struct stats_sink *sink);
/* The end of the warm-up: counters and accounts start anew. */
void machine_reset_stats(struct machine *machine);
/* Parameter tables of the machine's parts, for `describe`: NULL past the end. */
const struct param *machine_part_at(size_t index, const char **name, const char **help);

#endif
