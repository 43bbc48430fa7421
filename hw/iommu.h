/* iommu.h: which memory a device function may touch.
 *
 * VT-d as in Intel's "Virtualization Technology for Directed I/O": a domain a
 * function (context table by requester id), four-level page tables in simulated
 * memory, an IOTLB and paging-structure caches with their geometry, one walker at a
 * time (or more, as configured), fault records, an invalidation queue. */
#ifndef STILLSUIT_HW_IOMMU_H
#define STILLSUIT_HW_IOMMU_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/cache.h"
#include "hw/memory.h"
#include "sim/error.h"
#include "sim/param.h"
#include "sim/stats_sink.h"
#include "sim/time.h"

enum iommu_mode { IOMMU_ON, IOMMU_PASS_THROUGH, IOMMU_OFF }; /* "on", "pass_through", "off" */

struct iommu_config {
    int mode;
    uint64_t iotlb_entries, iotlb_ways; /* ways 0: fully associative */
    uint64_t walk_cache_entries;        /* of each upper level */
    uint64_t walkers;                   /* walks that may overlap */
    sim_time walk_overhead;             /* of a walk, beside its memory reads */
    sim_time hit_latency;               /* of an IOTLB look-up, beyond a request without IOMMU */
    uint64_t invalidation_cycles;       /* of the processor, for a queued invalidation with its wait */
    uint64_t fault_records;
};
extern const struct param iommu_params[];

struct iommu;

struct iommu *iommu_create(const struct iommu_config *config, struct memory *memory, struct cache *cache,
                           struct error *error);
void iommu_free(struct iommu *iommu);
enum iommu_mode iommu_mode(const struct iommu *iommu);
const struct iommu_config *iommu_configuration(const struct iommu *iommu);

/* ---- For a kernel: domains. ----
 * Frames for the tables come from `allocate_frame`, which returns a zeroed frame's
 * address or 0. */
struct iommu_domain;
/* Where the frames of what is nobody's domain come from: root and context tables, the queue
 * of invalidations. Of those that are made from then on; without it, from whoever is first to
 * need one. */
void iommu_set_allocator(struct iommu *iommu, uint64_t (*allocate_frame)(void *context), void *context);
struct iommu_domain *iommu_domain_create(struct iommu *iommu, uint64_t (*allocate_frame)(void *context), void *context,
                                         struct error *error);
/* Ends a domain: functions that it is attached to are blocked, and nothing of its tables is
 * cached any more, so that their frames may be given back. Its identifier is free again. */
void iommu_domain_destroy(struct iommu_domain *domain);
/* Sends a function's requests through a domain; NULL blocks it. Functions start
 * blocked (mode on). Flushes what the IOTLB holds for the function. ERR_EXHAUSTED if
 * no frame is to be had for the context table: the function stays as it was. In mode
 * pass_through the domain's tables are not consulted. */
enum error_code iommu_attach(struct iommu *iommu, uint16_t requester_id, struct iommu_domain *domain);
enum { IOMMU_READ = 1, IOMMU_WRITE = 2 };
/* Maps whole frames, iova -> physical, with rights of IOMMU_READ | IOMMU_WRITE.
 * ERR_EXISTS if one is mapped already, ERR_EXHAUSTED if no frame is to be had. */
enum error_code iommu_map(struct iommu_domain *domain, uint64_t iova, uint64_t physical, uint64_t length_bytes,
                          unsigned rights);
/* Unmaps whole frames and queues their invalidation; the binding is gone when this
 * returns. Returns the processor's cycles for it. */
uint64_t iommu_unmap(struct iommu_domain *domain, uint64_t iova, uint64_t length_bytes);

/* Has the hardware forget what it caches of a range, upper levels included: for who
 * changed tables by other means. Returns the processor's cycles. */
uint64_t iommu_invalidate(struct iommu_domain *domain, uint64_t iova, uint64_t length_bytes);
/* Where the second-level root table of a domain, and the root table, lie; 0: none yet. */
uint64_t iommu_domain_root(const struct iommu_domain *domain);
uint64_t iommu_root_table(const struct iommu *iommu);

/* ---- For PCIe: one access. ---- */
struct iommu_result {
    bool allowed;
    bool iotlb_hit; /* found, with nothing to wait for; false where no IOTLB is asked */
    uint64_t physical;
    sim_time done; /* when the translation is known: `when` plus look-up, walk and waiting for the walker */
    sim_time walk; /* how much of that was a walk or the wait for one */
};
/* Translates an address within one frame, at `when`. A refusal is recorded and
 * counted. Calls come in order of `when`. */
struct iommu_result iommu_translate(struct iommu *iommu, uint16_t requester_id, uint64_t iova, bool write,
                                    sim_time when);
/* What the tables in memory say now, without time, caches, counters or a fault: for
 * who keeps passengers (memory_board) of buffers that a device knows by their I/O
 * virtual address. False: not reachable. */
bool iommu_peek(const struct iommu *iommu, uint16_t requester_id, uint64_t iova, bool write, uint64_t *physical);

/* Counts invalidations since the start: a translation obtained at another count may
 * no longer hold. */
uint64_t iommu_bindings_epoch(const struct iommu *iommu);
/* Records and counts a refusal found after the translation: a binding that was
 * revoked while an access was under way. */
void iommu_refuse(struct iommu *iommu, uint16_t requester_id, uint64_t iova, bool write, sim_time when);

struct iommu_fault {
    uint16_t requester_id;
    bool write;
    uint64_t iova;
    sim_time when;
};
/* The newest faults, oldest first; the total is a counter. */
uint32_t iommu_faults(const struct iommu *iommu, struct iommu_fault *out, uint32_t capacity);
uint64_t iommu_fault_count(const struct iommu *iommu);

/* Instance "iommu", and "iommu/01:00.1" for each requester that was refused. */
void iommu_visit_stats(const struct iommu *iommu, const struct stats_sink *sink);
/* The end of the warm-up: counters start anew (not iommu_fault_count), caches stay. */
void iommu_reset_stats(struct iommu *iommu);

#endif
