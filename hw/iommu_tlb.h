/* iommu_tlb.h: a cache of translations: the IOTLB, and the same for the upper levels
 * of the tables. Set-associative or fully associative, least recently used; look-up
 * in constant time whatever the geometry. */
#ifndef STILLSUIT_HW_IOMMU_TLB_H
#define STILLSUIT_HW_IOMMU_TLB_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/time.h"

struct iommu_tlb_entry {
    uint64_t page;                /* I/O virtual page number, or its upper bits */
    uint64_t value;               /* physical address of the frame or of the next table */
    sim_time ready;               /* when the walk that brought it has it */
    uint32_t newer, older, chain; /* indices: order of use in the set; hash bucket */
    uint16_t domain;
    uint8_t rights;
    bool valid;
};

struct iommu_tlb {
    struct iommu_tlb_entry *entries;
    uint32_t *buckets;
    uint32_t *newest, *oldest; /* of each set */
    uint32_t entry_count, sets, bucket_mask, valid_count;
};

/* `ways` 0: fully associative; else a divisor of `entries`. No entries: caches
 * nothing. */
void iommu_tlb_init(struct iommu_tlb *tlb, uint32_t entries, uint32_t ways);
void iommu_tlb_free(struct iommu_tlb *tlb);

/* The entry for a page, made the newest of its set; NULL if there is none. */
struct iommu_tlb_entry *iommu_tlb_find(struct iommu_tlb *tlb, uint16_t domain, uint64_t page);
/* Puts a page that is not there in place of the least recently used of its set.
 * NULL if the cache has no entries. */
struct iommu_tlb_entry *iommu_tlb_insert(struct iommu_tlb *tlb, uint16_t domain, uint64_t page);

/* Drops `count` pages from `page` on, or a whole domain. */
void iommu_tlb_drop_pages(struct iommu_tlb *tlb, uint16_t domain, uint64_t page, uint64_t count);
void iommu_tlb_drop_domain(struct iommu_tlb *tlb, uint16_t domain);

#endif
