/* cache.h: where a line is when a core or a device touches it.
 *
 * Set-associative L1d and L2 a core and a shared, inclusive LLC (Sandy Bridge), all
 * with 64-byte lines, write-back, least recently used; a share of the LLC's ways
 * that device writes may allocate in (DDIO). `model: flat` makes each touch cost a
 * constant, for studies that do not need the rest. Contents lie in hw/memory.h:
 * the cache holds tags. */
#ifndef STILLSUIT_HW_CACHE_H
#define STILLSUIT_HW_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/clock.h"
#include "sim/error.h"
#include "sim/param.h"
#include "sim/stats_sink.h"
#include "sim/time.h"

enum cache_model { CACHE_HIERARCHY, CACHE_FLAT }; /* "hierarchy", "flat" */

struct cache_config {
    int model;
    uint64_t l1_bytes, l1_ways, l1_cycles;
    uint64_t l2_bytes, l2_ways, l2_cycles;
    uint64_t llc_bytes, llc_ways, llc_cycles;
    uint64_t peer_cycles; /* a line that another core has modified in its own caches; as llc_cycles at least */
    uint64_t ddio_ways;
    uint64_t line_fill_buffers; /* misses of one core that overlap in a sequential access */
    sim_time dram_latency;
    uint64_t dram_bandwidth_bytes_per_s;
    uint64_t flat_cycles; /* of each line touched, in the flat model */
};
extern const struct param cache_params[];

struct cache;

/* A hierarchy for `cores` cores whose latencies count cycles of `clock`. The caller
 * frees it. */
struct cache *cache_create(const struct cache_config *config, unsigned cores, const struct sim_clock *clock,
                           struct error *error);
void cache_free(struct cache *cache);

enum cache_pattern {
    CACHE_DEPENDENT, /* each miss waits for the one before: descriptors, pointers */
    CACHE_SEQUENTIAL /* misses overlap by the fill buffers: copies */
};

/* A core touches [address, address + length). Returns the cycles that it stalls
 * beyond hits in its L1, which the code's own cycles contain. */
uint64_t cache_touch(struct cache *cache, unsigned core, uint64_t address, uint32_t length_bytes, bool write,
                     enum cache_pattern pattern);

/* What a device's access met. */
struct cache_dma {
    uint32_t lines, llc_hits;
    sim_time extra; /* time beyond that of an access that hits the LLC throughout */
};
/* A device writes (allocates in the DDIO ways or updates in place, and takes the
 * line from the cores' own caches) or reads (snoops; allocates nothing). `when` is
 * when the access reaches memory: for the DRAM's bandwidth. */
struct cache_dma cache_device_write(struct cache *cache, uint64_t address, uint32_t length_bytes, sim_time when);
struct cache_dma cache_device_read(struct cache *cache, uint64_t address, uint32_t length_bytes, sim_time when);

/* Empties a core's own caches into the LLC (deep idle states), or everything. */
void cache_flush_core(struct cache *cache, unsigned core);
void cache_flush_all(struct cache *cache);

/* The time of a read that hits the LLC, for who reads it from outside the cores. */
sim_time cache_llc_latency(const struct cache *cache);

/* Where a line is now: 1, 2, 3, or 0 for memory. For tests. */
unsigned cache_level_of(const struct cache *cache, unsigned core, uint64_t address);

void cache_visit_stats(const struct cache *cache, const struct stats_sink *sink);
/* The end of the warm-up: counters start anew, contents stay. */
void cache_reset_stats(struct cache *cache);

#endif
