/* iommu_internal.h: what the iommu_*.c files share.
 *
 * iommu.c          one access: context, IOTLB, walk, verdict
 * iommu_walk.c     reads tables in simulated memory, in simulated time
 * iommu_domain.c   the kernel's side: tables and their contents
 * iommu_queue.c    the invalidation queue, both sides
 * iommu_faults.c   fault records and statistics
 * iommu_tlb.c      the caches of translations */
#ifndef STILLSUIT_HW_IOMMU_INTERNAL_H
#define STILLSUIT_HW_IOMMU_INTERNAL_H

#include "hw/iommu.h"
#include "hw/iommu_regs.h"
#include "hw/iommu_tlb.h"

enum { IOMMU_WALKERS_MAX = 64, IOMMU_REQUESTERS = 65536 };

/* What is known of a requester. The first part is the context cache: it holds every
 * function that was seen until its entry is invalidated. */
struct iommu_function {
    uint16_t requester_id;
    bool context_cached;
    bool pass_through;
    uint16_t domain;
    uint64_t table; /* second-level root */
    bool blocked;   /* by iommu_attach; for mode pass_through */
    uint64_t faults;
    char instance[24]; /* "iommu/01:00.1" */
};

struct iommu_domain {
    struct iommu *iommu;
    uint64_t (*allocate_frame)(void *context);
    void *allocator;
    uint64_t root;
    uint16_t id;
};

struct iommu_counters {
    uint64_t iotlb_hits, iotlb_misses, walks, walk_reads, walk_dram_reads, context_reads;
    uint64_t invalidations, faults;
    sim_time walking, waiting; /* for a walk that is under way, or for a walker */
};

struct iommu {
    struct iommu_config config;
    struct memory *memory;
    struct cache *cache;
    sim_time llc_latency;
    uint64_t (*allocate_frame)(void *context); /* for its own tables; NULL: a domain's allocator */
    void *allocator;
    /* Made with the first domain: */
    uint64_t root_table, queue, queue_status;
    uint32_t queue_head, queue_tail, queue_serial;
    uint64_t bindings_epoch;       /* invalidations ever: what was translated before the last may have changed */
    struct iommu_domain **domains; /* by identifier, from 1 */
    uint32_t domain_count, domain_capacity;
    struct iommu_tlb iotlb;
    struct iommu_tlb upper[IOMMU_LEVELS - 1]; /* entries of level 2, 3, 4 */
    sim_time walker_free[IOMMU_WALKERS_MAX];
    uint32_t *function_index; /* by requester id: place in functions plus one */
    struct iommu_function *functions;
    uint32_t function_count, function_capacity;
    struct iommu_fault *faults; /* a ring of config.fault_records */
    uint64_t fault_total;
    struct iommu_counters counters;
};

struct iommu_function *iommu_make_function(struct iommu *iommu, uint16_t requester_id);
/* The record of a requester; valid until that of another is made. */
static inline struct iommu_function *iommu_function_of(struct iommu *iommu, uint16_t requester_id) {
    const uint32_t index = iommu->function_index[requester_id];
    return index != 0 ? &iommu->functions[index - 1] : iommu_make_function(iommu, requester_id);
}

/* Page-number bits that stay at a level: the whole number at 1, its top 9 at 4. */
static inline uint64_t iommu_prefix(uint64_t page, unsigned level) {
    return page >> ((level - 1) * IOMMU_INDEX_BITS);
}

/* The address of the entry of a second-level table for a page. */
static inline uint64_t iommu_entry_address(uint64_t table, uint64_t page, unsigned level) {
    return table + (iommu_prefix(page, level) & ((1U << IOMMU_INDEX_BITS) - 1)) * sizeof(uint64_t);
}

/* A walk under way, on one of the walkers. */
struct iommu_walk {
    sim_time begun, time; /* `time` moves on with each read */
    unsigned walker;
    bool busy; /* a walker is taken */
};
/* Takes the walker that is free first, unless the walk has one. */
void iommu_walk_begin(struct iommu *iommu, struct iommu_walk *walk);
void iommu_walk_end(struct iommu *iommu, struct iommu_walk *walk);
/* Fills the context cache. False: not present, or malformed. */
bool iommu_walk_context(struct iommu *iommu, struct iommu_function *function, struct iommu_walk *walk);
/* Finds a page and puts it into the IOTLB. False: not mapped, or a malformed table. */
bool iommu_walk_tables(struct iommu *iommu, const struct iommu_function *function, uint64_t page,
                       struct iommu_walk *walk, uint64_t *frame, uint8_t *rights);

/* The queue: descriptors are written into memory by software; submitting appends a
 * wait and has the hardware read and execute them. Returns the cycles that it costs
 * the processor. */
void iommu_queue_context(struct iommu *iommu, uint16_t requester_id, uint16_t domain);
void iommu_queue_domain(struct iommu *iommu, uint16_t domain);
void iommu_queue_pages(struct iommu *iommu, uint16_t domain, uint64_t page, uint64_t count, bool leaf_only);
uint64_t iommu_queue_submit(struct iommu *iommu);

void iommu_record_fault(struct iommu *iommu, struct iommu_function *function, uint64_t iova, bool write, sim_time when);

#endif
