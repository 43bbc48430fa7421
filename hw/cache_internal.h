/* cache_internal.h: the tag arrays that cache.c (cores) and cache_dma.c (devices)
 * share.
 *
 * Lines are kept as 31-bit numbers plus one, 0 being "nothing": tags stay compact
 * in the host's own caches, for simulated memory up to 128 GiB. */
#ifndef STILLSUIT_HW_CACHE_INTERNAL_H
#define STILLSUIT_HW_CACHE_INTERNAL_H

#include "hw/cache.h"

enum { CACHE_LINE_BYTES = 64, CACHE_ADDRESS_BITS = 37 };

/* L1 or L2 of one core: each set an array in order of use, the newest first. An
 * entry is tag << 1 | owned. "Owned" (M): this core alone has the line and the LLC
 * knows that it is dirty, so that a further write tells nobody. */
struct cache_private {
    uint32_t *entries;
    uint32_t ways, set_mask;
};

struct cache_core {
    struct cache_private l1, l2;
    bool empty; /* nothing touched since the last flush */
};

/* One set of the LLC, as three arrays of `ways` words. Ways are places here (DDIO
 * is a matter of place), and the order of use is a stamp. */
struct cache_set {
    uint32_t *tags;     /* 0: free */
    uint32_t *stamps;   /* of the last use; 0: free */
    uint32_t *presence; /* cores that may hold a copy, and CACHE_DIRTY */
};

/* Core c has bit c % 31. Silent evictions leave a core's bit set, as they leave the
 * core-valid bits of the real part: it costs a snoop, never a wrong answer. */
enum { CACHE_PRESENCE_BITS = 31 };
#define CACHE_DIRTY (UINT32_C(1) << CACHE_PRESENCE_BITS)

struct cache_counters {
    uint64_t touches, l1_misses, l2_misses, llc_misses, write_backs, back_invalidations, upgrades;
    uint64_t dma_write_lines, dma_write_hits, dma_read_lines, dma_read_hits, dma_invalidations, dma_write_backs;
};

struct cache {
    struct cache_config config;
    struct sim_clock clock;
    unsigned core_count;
    struct cache_core *cores;
    uint32_t *llc;      /* sets of 3 * ways words */
    uint32_t *llc_tick; /* a counter a set, for its stamps */
    uint32_t llc_sets, llc_ways, ddio_ways;
    uint64_t llc_modulus; /* for line % llc_sets without a division */
    uint64_t l2_stall, llc_stall, dram_stall; /* cycles beyond an L1 hit */
    sim_time llc_latency;
    sim_time dram_busy_until; /* as devices see it */
    struct cache_counters counters;
};

/* The set of a line: line % sets, so that adjacent lines spread evenly over the
 * slices, whose number need not be a power of two. (Lemire, Kaser and Kurz, "Faster
 * remainder by direct computation", 2019.) */
static inline struct cache_set cache_llc_set(const struct cache *cache, uint32_t tag, uint32_t *index) {
    __extension__ typedef unsigned __int128 wide;
    const uint64_t fraction = cache->llc_modulus * tag;
    *index = (uint32_t)(((wide)fraction * cache->llc_sets) >> 64);
    uint32_t *words = cache->llc + (uint64_t)*index * 3 * cache->llc_ways;
    return (struct cache_set){words, words + cache->llc_ways, words + 2 * (uint64_t)cache->llc_ways};
}

/* The way that holds `tag`, or llc_ways. */
static inline uint32_t cache_llc_find(const struct cache *cache, struct cache_set set, uint32_t tag) {
    uint32_t way = 0;
    while (way < cache->llc_ways && set.tags[way] != tag) {
        ++way;
    }
    return way;
}

/* Marks a way as the newest of its set. */
void cache_llc_use(struct cache *cache, struct cache_set set, uint32_t index, uint32_t way);
/* Puts `tag` in place of the least recently used of the first `ways` ways; takes
 * what was there from the cores. Returns the way; *dirty says if it had to be
 * written to memory. */
uint32_t cache_llc_allocate(struct cache *cache, struct cache_set set, uint32_t index, uint32_t tag, uint32_t ways,
                            bool *dirty);
/* Takes a line from the cores in `presence`, save `except` (core_count: none).
 * Returns how many copies there were. */
uint32_t cache_take_from_cores(struct cache *cache, uint32_t tag, uint32_t presence, unsigned except);

static inline uint32_t cache_presence_bit(unsigned core) { return UINT32_C(1) << (core % CACHE_PRESENCE_BITS); }

#endif
