/* cache.c: what a core's touches cost, and where they leave the lines.
 *
 * L2 neither includes nor excludes the L1; the LLC includes both. A touch is looked
 * up L1, L2, LLC; what misses is filled on the way back. */
#include "hw/cache.h"

#include <string.h>

#include "hw/cache_internal.h"

/* ---- One core's own caches ---- */

static inline uint32_t *private_set(const struct cache_private *level, uint32_t tag) {
    return (uint32_t *)(void *)(level->sets + (uint64_t)((tag - 1) & level->set_mask) * level->set_bytes);
}

/* The usual number of ways gets code of its own, without loops. */
static inline uint32_t find_entry(const uint32_t *entries, uint32_t ways, uint32_t tag) {
    const uint32_t wanted = tag << 1 | 1; /* owned or not */
    return ways == CACHE_PRIVATE_WAYS_USUAL ? cache_search(entries, CACHE_PRIVATE_WAYS_USUAL, wanted, 1)
                                            : cache_search(entries, ways, wanted, 1);
}

/* Fills `entry` into a set that does not have it; returns the one that gives way, 0
 * if a place was free. */
static inline uint32_t fill(struct cache_private *level, uint32_t *entries, uint32_t entry) {
    const uint32_t ways = level->ways;
    const uint32_t way = ways == CACHE_PRIVATE_WAYS_USUAL
                             ? cache_oldest(entries + CACHE_PRIVATE_WAYS_USUAL, CACHE_PRIVATE_WAYS_USUAL)
                             : cache_oldest(entries + ways, ways);
    const uint32_t victim = entries[way];
    entries[way] = entry;
    entries[ways + way] = ++level->tick;
    return victim;
}

static uint32_t drop(const struct cache_private *level, uint32_t tag) {
    uint32_t *entries = private_set(level, tag);
    const uint32_t way = find_entry(entries, level->ways, tag);
    if (way == level->ways) {
        return 0;
    }
    entries[way] = 0;
    entries[level->ways + way] = 0;
    return 1;
}

static void disown(const struct cache_private *level, uint32_t tag) {
    uint32_t *entries = private_set(level, tag);
    const uint32_t way = find_entry(entries, level->ways, tag);
    if (way != level->ways) {
        entries[way] &= ~UINT32_C(1);
    }
}

void cache_private_renumber(struct cache_private *level) {
    for (uint64_t set = 0; set <= level->set_mask; ++set) {
        uint32_t *stamps = private_set(level, (uint32_t)set + 1) + level->ways;
        uint32_t ranks[CACHE_PRIVATE_WAYS_MAX];
        for (uint32_t way = 0; way < level->ways; ++way) {
            ranks[way] = stamps[way] != 0;
            for (uint32_t other = 0; other < level->ways; ++other) {
                ranks[way] += stamps[other] != 0 && stamps[other] < stamps[way];
            }
        }
        memcpy(stamps, ranks, level->ways * sizeof *stamps);
    }
    level->tick = level->ways;
}

/* ---- The LLC ---- */

void cache_llc_renumber(const struct cache *cache, struct cache_set set) {
    uint32_t ranks[CACHE_WAYS_MAX];
    for (uint32_t way = 0; way < cache->llc_ways; ++way) {
        ranks[way] = set.ways[way].stamp != 0;
        for (uint32_t other = 0; other < cache->llc_ways; ++other) {
            ranks[way] += set.ways[other].stamp != 0 && set.ways[other].stamp < set.ways[way].stamp;
        }
    }
    for (uint32_t way = 0; way < cache->llc_ways; ++way) {
        set.ways[way].stamp = ranks[way];
    }
    *set.tick = cache->llc_ways;
}

uint32_t cache_take_from_cores(struct cache *cache, uint32_t tag, uint32_t presence, unsigned except) {
    uint32_t copies = 0;
    presence &= ~CACHE_DIRTY;
    while (presence != 0) {
        const unsigned bit = (unsigned)__builtin_ctz(presence);
        presence &= presence - 1;
        for (unsigned core = bit; core < cache->core_count; core += CACHE_PRESENCE_BITS) {
            if (core != except) {
                copies += drop(&cache->cores[core].l1, tag);
                copies += drop(&cache->cores[core].l2, tag);
            }
        }
    }
    return copies;
}

uint32_t cache_llc_allocate(struct cache *cache, struct cache_set set, uint32_t tag, uint32_t ways, bool *dirty) {
    uint32_t oldest = 0;
    for (uint32_t way = 1; way < ways; ++way) {
        oldest = set.ways[way].stamp < set.ways[oldest].stamp ? way : oldest;
    }
    *dirty = (set.ways[oldest].presence & CACHE_DIRTY) != 0;
    if (set.tags[oldest] != 0) {
        const unsigned nobody = cache->core_count;
        cache->counters.back_invalidations +=
            cache_take_from_cores(cache, set.tags[oldest], set.ways[oldest].presence, nobody);
    }
    set.tags[oldest] = tag;
    set.ways[oldest].presence = 0;
    cache_llc_use(cache, set, oldest);
    return oldest;
}

/* Another core reads: whoever owned the line must ask before it writes again. */
static void disown_all(struct cache *cache, uint32_t tag, uint32_t presence) {
    presence &= ~CACHE_DIRTY;
    while (presence != 0) {
        const unsigned bit = (unsigned)__builtin_ctz(presence);
        presence &= presence - 1;
        for (unsigned core = bit; core < cache->core_count; core += CACHE_PRESENCE_BITS) {
            disown(&cache->cores[core].l1, tag);
            disown(&cache->cores[core].l2, tag);
        }
    }
}

static bool owns(const struct cache_private *level, uint32_t tag) {
    const uint32_t *entries = private_set(level, tag);
    const uint32_t way = find_entry(entries, level->ways, tag);
    return way != level->ways && (entries[way] & 1) != 0;
}

/* Whether the newest version of a line lies in another core's own caches (state M). */
static bool modified_elsewhere(const struct cache *cache, uint32_t tag, uint32_t presence, unsigned core) {
    if ((presence & CACHE_DIRTY) == 0) {
        return false;
    }
    for (presence &= ~CACHE_DIRTY; presence != 0; presence &= presence - 1) {
        for (unsigned at = (unsigned)__builtin_ctz(presence); at < cache->core_count; at += CACHE_PRESENCE_BITS) {
            if (at != core && (owns(&cache->cores[at].l1, tag) || owns(&cache->cores[at].l2, tag))) {
                return true;
            }
        }
    }
    return false;
}

/* ---- A core's touch of one line ---- */

struct touch {
    uint64_t stall, slowest; /* summed over the lines; of one line */
    uint64_t misses, dram_lines;
};

/* A core that has a copy wants to write it: it becomes the only one. Silent, and
 * free, if no other core may have it (state E). */
static uint64_t own(struct cache *cache, unsigned core, uint32_t tag) {
    const struct cache_set set = cache_llc_set(cache, tag);
    const uint32_t way = cache_llc_find(cache, set, tag);
    SIM_ASSERT_MSG(way != cache->llc_ways, "the LLC includes what cores hold");
    const uint32_t bit = cache_presence_bit(core);
    const uint32_t others = set.ways[way].presence & ~(bit | CACHE_DIRTY);
    const uint32_t copies = cache_take_from_cores(cache, tag, set.ways[way].presence, core);
    set.ways[way].presence = bit | CACHE_DIRTY;
    if (others == 0 && copies == 0) {
        return 0;
    }
    cache->counters.upgrades += 1;
    return cache->llc_stall;
}

/* A line that the core has in neither L1 nor L2, from the LLC or memory. */
static uint64_t fetch(struct cache *cache, unsigned core, uint32_t tag, bool write, struct touch *touch) {
    const struct cache_set set = cache_llc_set(cache, tag);
    uint32_t way = cache_llc_find(cache, set, tag);
    const uint32_t bit = cache_presence_bit(core);
    if (way != cache->llc_ways) {
        const bool peer = modified_elsewhere(cache, tag, set.ways[way].presence, core);
        cache->counters.transfers += peer;
        cache_llc_use(cache, set, way);
        if (write) {
            (void)cache_take_from_cores(cache, tag, set.ways[way].presence, core);
            set.ways[way].presence = bit | CACHE_DIRTY;
        } else {
            if ((set.ways[way].presence & CACHE_DIRTY) != 0) {
                disown_all(cache, tag, set.ways[way].presence);
            }
            set.ways[way].presence |= bit;
        }
        return peer ? cache->peer_stall : cache->llc_stall;
    }
    bool dirty;
    way = cache_llc_allocate(cache, set, tag, cache->llc_ways, &dirty);
    set.ways[way].presence = bit | (write ? CACHE_DIRTY : 0);
    cache->counters.llc_misses += 1;
    cache->counters.write_backs += dirty;
    touch->dram_lines += 1 + (uint64_t)dirty;
    return cache->dram_stall;
}

/* An owned line leaves the L1: written back to the L2, which keeps the ownership. */
static void write_back_to_l2(struct cache_private *l2, uint32_t entry) {
    uint32_t *entries = private_set(l2, entry >> 1);
    const uint32_t way = find_entry(entries, l2->ways, entry >> 1);
    if (way != l2->ways) {
        entries[way] |= 1;
    } else {
        (void)fill(l2, entries, entry);
    }
}

/* A line that the L1 has not: from the L2 or beyond, into both. */
static uint64_t fill_l1(struct cache *cache, unsigned core, uint32_t *l1_entries, uint32_t tag, bool write,
                        struct touch *touch) {
    struct cache_core *caches = &cache->cores[core];
    struct cache_private *l2 = &caches->l2;
    uint32_t *entries = private_set(l2, tag);
    const uint32_t way = find_entry(entries, l2->ways, tag);
    uint32_t entry = tag << 1 | write;
    uint64_t stall;
    cache->counters.l1_misses += 1;
    if (way != l2->ways) {
        stall = cache->l2_stall;
        entry |= entries[way] & 1;
        if (write && (entries[way] & 1) == 0) {
            const uint64_t asked = own(cache, core, tag);
            stall = asked > stall ? asked : stall;
        }
        entries[way] = entry;
        entries[l2->ways + way] = ++l2->tick;
    } else {
        cache->counters.l2_misses += 1;
        stall = fetch(cache, core, tag, write, touch);
        (void)fill(l2, entries, entry); /* the LLC has what gives way, and knows if it is dirty */
    }
    const uint32_t victim = fill(&caches->l1, l1_entries, entry);
    if ((victim & 1) != 0) {
        write_back_to_l2(l2, victim);
    }
    return stall;
}

/* Whatever is not a hit of the L1 that tells nobody. */
static __attribute__((noinline)) void touch_line(struct cache *cache, unsigned core, uint32_t *entries, uint32_t tag,
                                                 bool write, struct touch *touch) {
    struct cache_private *l1 = &cache->cores[core].l1;
    /* What a read did not find is not there; a write may have met a line not owned. */
    const uint32_t way = write ? find_entry(entries, l1->ways, tag) : l1->ways;
    uint64_t stall = 0;
    if (way == l1->ways) {
        stall = fill_l1(cache, core, entries, tag, write, touch);
    } else { /* written, and not owned */
        stall = own(cache, core, tag);
        entries[way] |= 1;
        entries[l1->ways + way] = ++l1->tick;
    }
    touch->stall += stall;
    touch->misses += stall != 0;
    touch->slowest = stall > touch->slowest ? stall : touch->slowest;
}

/* `ways` and `set_bytes` are the L1's, and constants if they are the usual ones. */
static inline __attribute__((always_inline)) void touch_lines(struct cache *cache, unsigned core, uint32_t tag,
                                                              uint32_t last, uint32_t ways, uint32_t set_bytes,
                                                              bool write, struct touch *touch) {
    struct cache_private *l1 = &cache->cores[core].l1;
    unsigned char *sets = l1->sets; /* in registers: stores to a set might change *l1 for all the compiler knows */
    const uint32_t set_mask = l1->set_mask;
    const uint32_t ignored = write ? 0 : 1; /* a read does not mind who owns the line */
    for (; tag <= last; ++tag) {
        uint32_t *entries = (uint32_t *)(void *)(sets + (uint64_t)((tag - 1) & set_mask) * set_bytes);
        const uint64_t found = cache_matches(entries, ways, tag << 1 | 1, ignored);
        if (found != 0) {
            entries[ways + (uint32_t)__builtin_ctzll(found)] = ++l1->tick;
        } else {
            touch_line(cache, core, entries, tag, write, touch);
        }
    }
}

/* Misses of a stream overlap by the fill buffers; but not below the slowest of
 * them, nor faster than memory delivers. */
static uint64_t overlapped(const struct cache *cache, const struct touch *touch) {
    const uint64_t buffers = cache->config.line_fill_buffers;
    const uint64_t ways = touch->misses < buffers ? touch->misses : buffers;
    uint64_t stall = (touch->stall + ways - 1) / ways;
    stall = stall > touch->slowest ? stall : touch->slowest;
    if (touch->dram_lines != 0) {
        const uint64_t share = sim_clock_cycle_ceil(&cache->clock, touch->dram_lines * cache->dram_line);
        stall = stall > share ? stall : share;
    }
    return stall;
}

/* All that the fast path below leaves; the lines are counted. */
static __attribute__((noinline)) uint64_t touch_range(struct cache *cache, unsigned core, uint64_t first, uint64_t last,
                                                      bool write, enum cache_pattern pattern) {
    if (cache->config.model == CACHE_FLAT) {
        return (last - first + 1) * cache->config.flat_cycles;
    }
    SIM_ASSERT(core < cache->core_count && last >> (CACHE_ADDRESS_BITS - CACHE_LINE_BITS) == 0);
    struct cache_core *caches = &cache->cores[core];
    caches->empty = false;
    if (caches->l1.tick >= CACHE_TICK_LIMIT || caches->l2.tick >= CACHE_TICK_LIMIT) {
        cache_private_renumber(&caches->l1);
        cache_private_renumber(&caches->l2);
    }
    struct touch touch = {0};
    const uint32_t first_tag = (uint32_t)first + 1;
    const uint32_t last_tag = (uint32_t)last + 1;
    if (caches->l1.ways == CACHE_PRIVATE_WAYS_USUAL) {
        touch_lines(cache, core, first_tag, last_tag, CACHE_PRIVATE_WAYS_USUAL, CACHE_HOST_LINE_BYTES, write, &touch);
    } else {
        touch_lines(cache, core, first_tag, last_tag, caches->l1.ways, caches->l1.set_bytes, write, &touch);
    }
    if (pattern == CACHE_DEPENDENT || touch.misses <= 1) {
        return touch.stall;
    }
    return overlapped(cache, &touch);
}

/* Whether a line is a hit of an L1 of the usual ways that tells nobody; its stamp is
 * then renewed. Says no where the touch needs more than that. */
static inline bool touch_hit(const struct cache *cache, unsigned core, uint64_t line, bool write) {
    if (cache->config.model == CACHE_FLAT || core >= cache->core_count) {
        return false;
    }
    struct cache_private *l1 = &cache->cores[core].l1;
    if (l1->ways != CACHE_PRIVATE_WAYS_USUAL || l1->tick >= CACHE_TICK_LIMIT) {
        return false;
    }
    const uint32_t tag = (uint32_t)line + 1;
    uint32_t *entries = (uint32_t *)(void *)(l1->sets + (line & l1->set_mask) * CACHE_HOST_LINE_BYTES);
    const uint64_t found = cache_matches(entries, CACHE_PRIVATE_WAYS_USUAL, tag << 1 | 1, write ? 0 : 1);
    if (found == 0 || line >> (CACHE_ADDRESS_BITS - CACHE_LINE_BITS) != 0) {
        return false;
    }
    entries[CACHE_PRIVATE_WAYS_USUAL + (uint32_t)__builtin_ctzll(found)] = ++l1->tick;
    return true;
}

uint64_t cache_touch(struct cache *cache, unsigned core, uint64_t address, uint32_t length_bytes, bool write,
                     enum cache_pattern pattern) {
    if (length_bytes == 0) {
        return 0;
    }
    const uint64_t first = address / CACHE_LINE_BYTES;
    const uint64_t last = (address + length_bytes - 1) / CACHE_LINE_BYTES;
    cache->counters.touches += last - first + 1;
    if (first == last && touch_hit(cache, core, first, write)) {
        return 0;
    }
    return touch_range(cache, core, first, last, write, pattern);
}

void cache_private_clear(struct cache_private *level) {
    memset(level->sets, 0, ((uint64_t)level->set_mask + 1) * level->set_bytes);
}

void cache_flush_core(struct cache *cache, unsigned core) {
    SIM_ASSERT(core < cache->core_count);
    if (cache->config.model == CACHE_FLAT || cache->cores[core].empty) {
        return;
    }
    cache_private_clear(&cache->cores[core].l1);
    cache_private_clear(&cache->cores[core].l2);
    cache->cores[core].empty = true;
}

void cache_flush_all(struct cache *cache) {
    if (cache->config.model == CACHE_FLAT) {
        return;
    }
    for (unsigned core = 0; core < cache->core_count; ++core) {
        cache_flush_core(cache, core);
    }
    memset(cache->llc, 0, (uint64_t)cache->llc_sets * cache->llc_set_bytes);
}

unsigned cache_level_of(const struct cache *cache, unsigned core, uint64_t address) {
    if (cache->config.model == CACHE_FLAT) {
        return 1;
    }
    SIM_ASSERT(core < cache->core_count && address >> CACHE_ADDRESS_BITS == 0);
    const uint32_t tag = (uint32_t)(address / CACHE_LINE_BYTES) + 1;
    const struct cache_core *caches = &cache->cores[core];
    if (find_entry(private_set(&caches->l1, tag), caches->l1.ways, tag) != caches->l1.ways) {
        return 1;
    }
    if (find_entry(private_set(&caches->l2, tag), caches->l2.ways, tag) != caches->l2.ways) {
        return 2;
    }
    const struct cache_set set = cache_llc_set(cache, tag);
    return cache_llc_find(cache, set, tag) != cache->llc_ways ? 3 : 0;
}
