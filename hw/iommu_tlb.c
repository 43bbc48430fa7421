/* iommu_tlb.c: entries in a hash by (domain, page) and in a list by use for each
 * set, both linked by index. Free entries stand at the old end of their set. */
#include "hw/iommu_tlb.h"

#include <stdlib.h>

#include "sim/error.h"

enum { NONE = UINT32_MAX };

/* Fibonacci hashing. The domain stands right above the pages that domains have in
 * common, so that both reach the bits that choose the bucket. */
static inline uint32_t bucket_of(const struct iommu_tlb *tlb, uint16_t domain, uint64_t page) {
    const uint64_t mixed = (page ^ ((uint64_t)domain << 20)) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(mixed >> 40) & tlb->bucket_mask;
}

static inline uint32_t set_of(const struct iommu_tlb *tlb, uint64_t page) {
    return tlb->sets == 1 ? 0 : (uint32_t)(page % tlb->sets);
}

static uint32_t *indices(uint32_t count) {
    uint32_t *array = malloc(count * sizeof *array);
    SIM_ASSERT_MSG(array != NULL, "out of memory");
    for (uint32_t i = 0; i < count; ++i) {
        array[i] = NONE;
    }
    return array;
}

/* ---- The order of use ---- */

static void unlink_entry(struct iommu_tlb *tlb, uint32_t set, uint32_t at) {
    const struct iommu_tlb_entry *entry = &tlb->entries[at];
    *(entry->newer == NONE ? &tlb->newest[set] : &tlb->entries[entry->newer].older) = entry->older;
    *(entry->older == NONE ? &tlb->oldest[set] : &tlb->entries[entry->older].newer) = entry->newer;
}

static void make_newest(struct iommu_tlb *tlb, uint32_t set, uint32_t at) {
    struct iommu_tlb_entry *entry = &tlb->entries[at];
    entry->newer = NONE;
    entry->older = tlb->newest[set];
    *(entry->older == NONE ? &tlb->oldest[set] : &tlb->entries[entry->older].newer) = at;
    tlb->newest[set] = at;
}

static void make_oldest(struct iommu_tlb *tlb, uint32_t set, uint32_t at) {
    struct iommu_tlb_entry *entry = &tlb->entries[at];
    entry->older = NONE;
    entry->newer = tlb->oldest[set];
    *(entry->newer == NONE ? &tlb->newest[set] : &tlb->entries[entry->newer].older) = at;
    tlb->oldest[set] = at;
}

/* ---- Life ---- */

void iommu_tlb_init(struct iommu_tlb *tlb, uint32_t entries, uint32_t ways) {
    *tlb = (struct iommu_tlb){.entry_count = entries, .sets = 1};
    if (entries == 0) {
        return;
    }
    ways = ways == 0 ? entries : ways;
    SIM_ASSERT(entries % ways == 0);
    tlb->sets = entries / ways;
    uint32_t buckets = 4;
    while (buckets < 2 * entries) {
        buckets *= 2;
    }
    tlb->bucket_mask = buckets - 1;
    tlb->buckets = indices(buckets);
    tlb->newest = indices(tlb->sets);
    tlb->oldest = indices(tlb->sets);
    tlb->entries = calloc(entries, sizeof *tlb->entries);
    SIM_ASSERT_MSG(tlb->entries != NULL, "out of memory");
    for (uint32_t i = 0; i < entries; ++i) {
        make_oldest(tlb, i / ways, i);
    }
}

void iommu_tlb_free(struct iommu_tlb *tlb) {
    free(tlb->entries);
    free(tlb->buckets);
    free(tlb->newest);
    free(tlb->oldest);
    *tlb = (struct iommu_tlb){0};
}

/* ---- Look-up ---- */

static uint32_t look_up(const struct iommu_tlb *tlb, uint16_t domain, uint64_t page) {
    uint32_t at = tlb->buckets[bucket_of(tlb, domain, page)];
    while (at != NONE && (tlb->entries[at].page != page || tlb->entries[at].domain != domain)) {
        at = tlb->entries[at].chain;
    }
    return at;
}

/* Takes a valid entry out of its bucket. */
static void forget(struct iommu_tlb *tlb, uint32_t at) {
    struct iommu_tlb_entry *entry = &tlb->entries[at];
    uint32_t *link = &tlb->buckets[bucket_of(tlb, entry->domain, entry->page)];
    while (*link != at) {
        link = &tlb->entries[*link].chain;
    }
    *link = entry->chain;
    entry->valid = false;
    tlb->valid_count -= 1;
}

struct iommu_tlb_entry *iommu_tlb_find(struct iommu_tlb *tlb, uint16_t domain, uint64_t page) {
    if (tlb->valid_count == 0) {
        return NULL;
    }
    const uint32_t at = look_up(tlb, domain, page);
    if (at == NONE) {
        return NULL;
    }
    const uint32_t set = set_of(tlb, page);
    if (tlb->newest[set] != at) {
        unlink_entry(tlb, set, at);
        make_newest(tlb, set, at);
    }
    return &tlb->entries[at];
}

struct iommu_tlb_entry *iommu_tlb_insert(struct iommu_tlb *tlb, uint16_t domain, uint64_t page) {
    if (tlb->entry_count == 0) {
        return NULL;
    }
    const uint32_t set = set_of(tlb, page);
    const uint32_t at = tlb->oldest[set];
    struct iommu_tlb_entry *entry = &tlb->entries[at];
    if (entry->valid) {
        forget(tlb, at);
    }
    unlink_entry(tlb, set, at);
    make_newest(tlb, set, at);
    uint32_t *bucket = &tlb->buckets[bucket_of(tlb, domain, page)];
    entry->page = page;
    entry->domain = domain;
    entry->valid = true;
    entry->chain = *bucket;
    *bucket = at;
    tlb->valid_count += 1;
    return entry;
}

/* ---- Invalidation ---- */

static void drop(struct iommu_tlb *tlb, uint32_t at) {
    const uint32_t set = set_of(tlb, tlb->entries[at].page);
    forget(tlb, at);
    unlink_entry(tlb, set, at);
    make_oldest(tlb, set, at);
}

void iommu_tlb_drop_pages(struct iommu_tlb *tlb, uint16_t domain, uint64_t page, uint64_t count) {
    if (count <= tlb->valid_count) {
        for (uint64_t i = 0; i < count; ++i) {
            const uint32_t at = look_up(tlb, domain, page + i);
            if (at != NONE) {
                drop(tlb, at);
            }
        }
        return;
    }
    for (uint32_t at = 0; at < tlb->entry_count; ++at) {
        const struct iommu_tlb_entry *entry = &tlb->entries[at];
        if (entry->valid && entry->domain == domain && entry->page - page < count) {
            drop(tlb, at);
        }
    }
}

void iommu_tlb_drop_domain(struct iommu_tlb *tlb, uint16_t domain) {
    for (uint32_t at = 0; at < tlb->entry_count; ++at) {
        if (tlb->entries[at].valid && tlb->entries[at].domain == domain) {
            drop(tlb, at);
        }
    }
}
