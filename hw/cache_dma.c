/* cache_dma.c: a device's accesses. They go to the LLC; a write that misses may
 * allocate in the first ddio_ways of its ways only (Intel Data Direct I/O). */
#include "hw/cache_internal.h"

struct dma {
    struct cache_dma result;
    uint64_t dram_lines; /* that the access waits for */
};

static bool has_no_lines(const struct cache *cache, uint64_t address, uint32_t length_bytes, struct dma *dma,
                         uint32_t *first, uint32_t *last) {
    if (length_bytes == 0) {
        return true;
    }
    const uint64_t first_line = address / CACHE_LINE_BYTES;
    const uint64_t last_line = (address + length_bytes - 1) / CACHE_LINE_BYTES;
    dma->result.lines = (uint32_t)(last_line - first_line + 1);
    if (cache->config.model == CACHE_FLAT) {
        dma->result.llc_hits = dma->result.lines;
        return true;
    }
    SIM_ASSERT((address + length_bytes) >> CACHE_ADDRESS_BITS == 0);
    *first = (uint32_t)first_line + 1;
    *last = (uint32_t)last_line + 1;
    return false;
}

/* The DRAM serves devices in order. Its latency, which contains the first line's
 * transfer, is paid once: the lines of an access overlap; the others follow at its
 * bandwidth. */
static sim_time wait_for_dram(struct cache *cache, uint64_t lines, sim_time when) {
    if (lines == 0) {
        return 0;
    }
    const sim_time start = when > cache->dram_busy_until ? when : cache->dram_busy_until;
    cache->dram_busy_until = start + lines * cache->dram_line;
    return start - when + cache->config.dram_latency + (lines - 1) * cache->dram_line;
}

/* What a device writes again and again stays in the ways that devices may allocate, as a
 * rule: they are looked at first. */
static inline uint32_t find_written(const struct cache *cache, struct cache_set set, uint32_t tag) {
    for (uint32_t way = 0; way < cache->ddio_ways; ++way) {
        if (set.tags[way] == tag) {
            return way;
        }
    }
    return cache_llc_find(cache, set, tag);
}

static inline void write_line(struct cache *cache, struct cache_set set, uint32_t tag, struct dma *dma) {
    uint32_t way = find_written(cache, set, tag);
    if (way != cache->llc_ways) {
        const unsigned nobody = cache->core_count;
        if (set.ways[way].presence != CACHE_DIRTY) {
            cache->counters.dma_invalidations += cache_take_from_cores(cache, tag, set.ways[way].presence, nobody);
        }
        cache_llc_use(cache, set, way);
        set.ways[way].presence = CACHE_DIRTY;
        dma->result.llc_hits += 1;
        return;
    }
    if (cache->ddio_ways == 0) {
        dma->dram_lines += 1;
        return;
    }
    bool dirty;
    way = cache_llc_allocate(cache, set, tag, cache->ddio_ways, &dirty);
    set.ways[way].presence = CACHE_DIRTY;
    /* A dirty line has to leave before the new one can come; a clean place takes it
     * at once. */
    dma->dram_lines += dirty;
    cache->counters.dma_write_backs += dirty;
}

struct cache_dma cache_device_write(struct cache *cache, uint64_t address, uint32_t length_bytes, sim_time when) {
    struct dma dma = {0};
    uint32_t first, last;
    if (!has_no_lines(cache, address, length_bytes, &dma, &first, &last)) {
        struct cache_set set = cache_llc_set(cache, first);
        for (uint32_t tag = first; tag <= last; ++tag, set = cache_llc_next_set(cache, set)) {
            write_line(cache, set, tag, &dma);
        }
        dma.result.extra = wait_for_dram(cache, dma.dram_lines, when);
    }
    cache->counters.dma_write_lines += dma.result.lines;
    cache->counters.dma_write_hits += dma.result.llc_hits;
    return dma.result;
}

struct cache_dma cache_device_read(struct cache *cache, uint64_t address, uint32_t length_bytes, sim_time when) {
    struct dma dma = {0};
    uint32_t first, last;
    if (!has_no_lines(cache, address, length_bytes, &dma, &first, &last)) {
        struct cache_set set = cache_llc_set(cache, first);
        for (uint32_t tag = first; tag <= last; ++tag, set = cache_llc_next_set(cache, set)) {
            const uint32_t way = cache_llc_find(cache, set, tag);
            if (way != cache->llc_ways) {
                cache_llc_use(cache, set, way);
                dma.result.llc_hits += 1;
            } else {
                dma.dram_lines += 1;
            }
        }
        dma.result.extra = wait_for_dram(cache, dma.dram_lines, when);
    }
    cache->counters.dma_read_lines += dma.result.lines;
    cache->counters.dma_read_hits += dma.result.llc_hits;
    return dma.result;
}
