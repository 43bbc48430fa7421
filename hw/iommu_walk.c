/* iommu_walk.c: reading tables. Each read of memory that no cache covers takes the
 * LLC's time or the DRAM's, one after the other, since each tells where the next
 * is. */
#include "hw/iommu_internal.h"

void iommu_walk_begin(struct iommu *iommu, struct iommu_walk *walk) {
    if (walk->busy) {
        return;
    }
    unsigned first_free = 0;
    for (unsigned i = 1; i < iommu->config.walkers; ++i) {
        first_free = iommu->walker_free[i] < iommu->walker_free[first_free] ? i : first_free;
    }
    walk->walker = first_free;
    walk->busy = true;
    walk->begun = walk->time;
    if (iommu->walker_free[first_free] > walk->time) {
        walk->begun = iommu->walker_free[first_free];
        iommu->counters.waiting += walk->begun - walk->time;
    }
    walk->time = walk->begun + iommu->config.walk_overhead;
    iommu->counters.walks += 1;
}

void iommu_walk_end(struct iommu *iommu, struct iommu_walk *walk) {
    if (!walk->busy) {
        return;
    }
    iommu->walker_free[walk->walker] = walk->time;
    iommu->counters.walking += walk->time - walk->begun;
}

/* A read of 8 or 16 bytes that lie in one line. False: outside memory. */
static bool read_entry(struct iommu *iommu, struct iommu_walk *walk, uint64_t address, uint64_t *words,
                       uint32_t count) {
    if (!memory_contains(iommu->memory, address, count * sizeof *words)) {
        return false;
    }
    const struct cache_dma met = cache_device_read(iommu->cache, address, count * (uint32_t)sizeof *words, walk->time);
    walk->time += iommu->llc_latency + met.extra;
    iommu->counters.walk_reads += 1;
    iommu->counters.walk_dram_reads += met.llc_hits != met.lines;
    memory_read(iommu->memory, address, words, count * sizeof *words);
    return true;
}

bool iommu_walk_context(struct iommu *iommu, struct iommu_function *function, struct iommu_walk *walk) {
    uint64_t entry[2];
    const uint64_t bus = function->requester_id >> 8U;
    const uint64_t device_function = function->requester_id & 0xffU;
    if (iommu->root_table == 0) {
        return false;
    }
    iommu->counters.context_reads += 1;
    if (!read_entry(iommu, walk, iommu->root_table + bus * sizeof entry, entry, 2) ||
        (entry[0] & IOMMU_ROOT_PRESENT) == 0) {
        return false;
    }
    const uint64_t table = entry[0] & IOMMU_ROOT_CONTEXT_TABLE;
    iommu->counters.context_reads += 1;
    if (!read_entry(iommu, walk, table + device_function * sizeof entry, entry, 2) ||
        (entry[0] & IOMMU_CONTEXT_PRESENT) == 0) {
        return false;
    }
    const uint64_t type = entry[0] & IOMMU_CONTEXT_TYPE;
    function->pass_through = type == IOMMU_CONTEXT_TYPE_PASS_THROUGH;
    if (!function->pass_through &&
        (type != IOMMU_CONTEXT_TYPE_SECOND_LEVEL || (entry[1] & IOMMU_CONTEXT_WIDTH) != IOMMU_CONTEXT_WIDTH_48)) {
        return false;
    }
    function->domain = (uint16_t)((entry[1] >> IOMMU_CONTEXT_DOMAIN_SHIFT) & IOMMU_CONTEXT_DOMAIN_MASK);
    function->table = entry[0] & IOMMU_CONTEXT_TABLE;
    function->context_cached = true;
    return true;
}

/* The deepest upper entry that is cached: its next table, rights, and the level at
 * which reading begins. An entry that a walk of this moment brings is not there yet. */
static unsigned skip_levels(struct iommu *iommu, const struct iommu_function *function, uint64_t page, sim_time now,
                            uint64_t *table, uint8_t *rights) {
    for (unsigned level = 2; level <= IOMMU_LEVELS; ++level) {
        const struct iommu_tlb_entry *entry =
            iommu_tlb_find(&iommu->upper[level - 2], function->domain, iommu_prefix(page, level));
        if (entry != NULL && entry->ready <= now) {
            *table = entry->value;
            *rights = entry->rights;
            return level - 1;
        }
    }
    *table = function->table;
    *rights = IOMMU_READ | IOMMU_WRITE;
    return IOMMU_LEVELS;
}

static void remember(struct iommu_tlb *tlb, uint16_t domain, uint64_t page, uint64_t value, uint8_t rights,
                     sim_time ready) {
    struct iommu_tlb_entry *entry = iommu_tlb_find(tlb, domain, page);
    if (entry != NULL) { /* an overlapping walk brings it too: the first counts */
        entry->ready = entry->ready < ready ? entry->ready : ready;
        return;
    }
    entry = iommu_tlb_insert(tlb, domain, page);
    if (entry != NULL) {
        entry->value = value;
        entry->rights = rights;
        entry->ready = ready;
    }
}

_Static_assert(IOMMU_PTE_READ == IOMMU_READ && IOMMU_PTE_WRITE == IOMMU_WRITE, "rights are the entries' own bits");

bool iommu_walk_tables(struct iommu *iommu, const struct iommu_function *function, uint64_t page,
                       struct iommu_walk *walk, uint64_t *frame, uint8_t *rights) {
    uint64_t table;
    unsigned level = skip_levels(iommu, function, page, walk->time, &table, rights);
    for (; level >= 1; --level) {
        uint64_t entry;
        if (!read_entry(iommu, walk, iommu_entry_address(table, page, level), &entry, 1) ||
            (entry & (IOMMU_PTE_READ | IOMMU_PTE_WRITE)) == 0 || (level > 1 && (entry & IOMMU_PTE_PAGE_SIZE) != 0)) {
            return false; /* absent entries are not cached (6.1: caching mode 0) */
        }
        table = entry & IOMMU_PTE_ADDRESS;
        *rights &= (uint8_t)(entry & (IOMMU_PTE_READ | IOMMU_PTE_WRITE));
        struct iommu_tlb *tlb = level == 1 ? &iommu->iotlb : &iommu->upper[level - 2];
        remember(tlb, function->domain, iommu_prefix(page, level), table, *rights, walk->time);
    }
    *frame = table;
    return true;
}
