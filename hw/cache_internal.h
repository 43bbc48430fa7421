/* cache_internal.h: the tag arrays that cache.c (cores) and cache_dma.c (devices)
 * share.
 *
 * Lines are kept as 31-bit numbers plus one, 0 being "nothing": tags stay compact
 * in the host's own caches, for simulated memory up to 128 GiB. */
#ifndef STILLSUIT_HW_CACHE_INTERNAL_H
#define STILLSUIT_HW_CACHE_INTERNAL_H

#include "hw/cache.h"
#include "hw/cache_search.h"

enum {
    CACHE_LINE_BITS = 6,
    CACHE_LINE_BYTES = 1 << CACHE_LINE_BITS,
    CACHE_ADDRESS_BITS = 37,
    CACHE_HOST_LINE_BYTES = 64
};

/* L1 or L2 of one core. A set is an entry for each way, tag << 1 | owned, and then
 * the stamp of the way's last use, 0 if it is free: for 8 ways one line of the host,
 * of which a hit reads one half and writes a word of the other. "Owned" (M): this
 * core alone has the line and the LLC knows that it is dirty, so that a further
 * write tells nobody. */
enum { CACHE_PRIVATE_WAYS_MAX = 16, CACHE_PRIVATE_WAYS_USUAL = 8 };
struct cache_private {
    unsigned char *block, *sets; /* the allocation, and its first aligned byte */
    uint32_t ways, set_mask, set_bytes;
    uint32_t tick; /* the stamp given last */
};
_Static_assert(2 * CACHE_PRIVATE_WAYS_USUAL * sizeof(uint32_t) == CACHE_HOST_LINE_BYTES, "a usual set is one line");

struct cache_core {
    struct cache_private l1, l2;
    bool empty; /* nothing touched since the last flush */
};

/* One set of the LLC. Ways are places here (DDIO is a matter of place), and the
 * order of use is a stamp; a free way has stamp 0, and so gives way first. In
 * memory a set is the tick, the tags, and a state for each way, in whole lines of
 * the host: a hit touches two of them. */
struct cache_way {
    uint32_t stamp;    /* of the last use */
    uint32_t presence; /* cores that may hold a copy, and CACHE_DIRTY */
};
struct cache_set {
    uint32_t *tick; /* the stamp given last */
    uint32_t *tags; /* 0: free */
    struct cache_way *ways;
};

/* Core c has bit c % 31. Silent evictions leave a core's bit set, as they leave the
 * core-valid bits of the real part: it costs a snoop, never a wrong answer. */
enum { CACHE_PRESENCE_BITS = 31 };
#define CACHE_DIRTY (UINT32_C(1) << CACHE_PRESENCE_BITS)

struct cache_counters {
    uint64_t touches, l1_misses, l2_misses, llc_misses, write_backs, back_invalidations, upgrades, transfers;
    uint64_t dma_write_lines, dma_write_hits, dma_read_lines, dma_read_hits, dma_invalidations, dma_write_backs;
};

struct cache {
    struct cache_config config;
    struct sim_clock clock;
    unsigned core_count;
    struct cache_core *cores;
    unsigned char *llc_block; /* what llc lies in */
    unsigned char *llc;       /* llc_sets times llc_set_bytes */
    uint32_t llc_set_bytes, llc_sets, llc_ways, ddio_ways;
    uint64_t llc_modulus;                                 /* for line % llc_sets without a division */
    uint64_t l2_stall, llc_stall, peer_stall, dram_stall; /* cycles beyond an L1 hit */
    sim_time llc_latency;
    sim_time dram_line;       /* a line at the memory's bandwidth */
    sim_time dram_busy_until; /* as devices see it */
    struct cache_counters counters;
};

/* The set of a line: line % sets, so that adjacent lines spread evenly over the
 * slices, whose number need not be a power of two. (Lemire, Kaser and Kurz, "Faster
 * remainder by direct computation", 2019.) */
static inline struct cache_set cache_llc_set(const struct cache *cache, uint32_t tag) {
    __extension__ typedef unsigned __int128 wide;
    const uint64_t fraction = cache->llc_modulus * (tag - 1);
    const uint64_t index = (uint64_t)(((wide)fraction * cache->llc_sets) >> 64);
    unsigned char *set = cache->llc + index * cache->llc_set_bytes;
    uint32_t *words = (uint32_t *)(void *)set;
    const uint32_t state_at = (1 + cache->llc_ways) * (uint32_t)sizeof *words;
    return (struct cache_set){words, words + 1, (struct cache_way *)(void *)(set + state_at)};
}

/* The set of the line behind, whose own set that is. */
static inline struct cache_set cache_llc_next_set(const struct cache *cache, struct cache_set set) {
    unsigned char *words = (unsigned char *)(void *)set.tick + cache->llc_set_bytes;
    const size_t state_at = (1 + (size_t)cache->llc_ways) * sizeof(uint32_t);
    words = words == cache->llc + (size_t)cache->llc_sets * cache->llc_set_bytes ? cache->llc : words;
    return (struct cache_set){(uint32_t *)(void *)words, (uint32_t *)(void *)words + 1,
                              (struct cache_way *)(void *)(words + state_at)};
}

/* The way that holds `tag`, or llc_ways. */
static inline uint32_t cache_llc_find(const struct cache *cache, struct cache_set set, uint32_t tag) {
    return cache_search(set.tags, cache->llc_ways, tag, 0);
}

/* The counter of stamps ran out, after 2^32 uses of one set: ranks take their place. */
void cache_llc_renumber(const struct cache *cache, struct cache_set set);

/* Marks a way as the newest of its set. */
static inline void cache_llc_use(const struct cache *cache, struct cache_set set, uint32_t way) {
    if (*set.tick == UINT32_MAX) {
        cache_llc_renumber(cache, set);
    }
    set.ways[way].stamp = ++*set.tick;
}
/* Puts `tag` in place of the least recently used of the first `ways` ways; takes
 * what was there from the cores. Returns the way; *dirty says if it had to be
 * written to memory. */
uint32_t cache_llc_allocate(struct cache *cache, struct cache_set set, uint32_t tag, uint32_t ways, bool *dirty);
/* Takes a line from the cores in `presence`, save `except` (core_count: none).
 * Returns how many copies there were. */
uint32_t cache_take_from_cores(struct cache *cache, uint32_t tag, uint32_t presence, unsigned except);

/* Empties every set. */
void cache_private_clear(struct cache_private *level);
/* The counter of stamps is about to run out: ranks take their place. */
void cache_private_renumber(struct cache_private *level);
/* Stamps above this are given within one call of cache_touch only. */
#define CACHE_TICK_LIMIT (UINT32_MAX - (UINT32_C(1) << 28))

static inline uint32_t cache_presence_bit(unsigned core) {
    return UINT32_C(1) << (core % CACHE_PRESENCE_BITS);
}

#endif
