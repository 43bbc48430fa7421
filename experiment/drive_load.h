/* drive_load.h: a load on an NVMe drive without any operating system: one thread on a
 * core polls a queue pair of the physical function and keeps `depth` commands under
 * way. What it takes of the processor is the cycles that are given, the entries that
 * it touches and its doorbells. */
#ifndef STILLSUIT_EXPERIMENT_DRIVE_LOAD_H
#define STILLSUIT_EXPERIMENT_DRIVE_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/machine.h"
#include "sim/config.h"
#include "sim/ledger.h"

struct drive_load;

struct drive_load_config {
    const char *device;
    uint64_t block_bytes, window_bytes, depth;
    double read_share;
    bool random;
    uint64_t submit_cycles, complete_cycles; /* not in the table below */
};
extern const struct param drive_load_params[];

/* Boots the drive's physical function and the pair, and maps its memory if there is an
 * IOMMU; NULL with what is wrong, at `node` or its keys. The process ends with it: it
 * cannot be freed while its thread is on the core. */
struct drive_load *drive_load_create(struct machine *machine, const struct drive_load_config *config,
                                     const struct config_node *node, struct diagnostics *diagnostics);

/* Begins. Each command is a request of `ledger` (NULL: nobody's), begun when it is
 * written and ended when its completion has been taken. `completed` is called then,
 * with how many there were since the start; false ends the load. */
void drive_load_start(struct drive_load *load, struct ledger *ledger, bool (*completed)(void *context, uint64_t count),
                      void *context);
/* End of the warm-up: the pair's counters start anew. */
void drive_load_reset(struct drive_load *load);
/* Whether the drive refused a command, and how. */
bool drive_load_failed(const struct drive_load *load, struct error *error);

#endif
