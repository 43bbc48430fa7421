/* cache_config.c: parameters, geometry and statistics of the caches. */
#include <stddef.h>
#include <stdlib.h>

#include "hw/cache_internal.h"

static const char *const models[] = {[CACHE_HIERARCHY] = "hierarchy", [CACHE_FLAT] = "flat", NULL};

#define ROW(name, kind, value, low, high, text)                                                                        \
    {                                                                                                                  \
        .key = #name, .type = (kind), .offset = offsetof(struct cache_config, name), .default_text = (value),          \
        .minimum = (low), .maximum = (high), .help = (text)                                                            \
    }

/* Defaults: Xeon E5-2400 and E5-2600 (Sandy Bridge-EP). */
const struct param cache_params[] = {
    {.key = "model",
     .type = PARAM_CHOICE,
     .offset = offsetof(struct cache_config, model),
     .default_text = "hierarchy",
     .choices = models,
     .help = "hierarchy: L1, L2 and LLC with their geometry; flat: a constant for each line touched"},
    ROW(l1_bytes, PARAM_BYTES, "32 KiB", "64 B", "16 MiB", "L1 data cache of each core"),
    ROW(l1_ways, PARAM_INTEGER, "8", "1", "16", "ways of the L1"),
    ROW(l1_cycles, PARAM_CYCLES, "4 cycles", "0 cycles", "1000 cycles", "load that hits the L1 (contained in code)"),
    ROW(l2_bytes, PARAM_BYTES, "256 KiB", "64 B", "64 MiB", "L2 of each core"),
    ROW(l2_ways, PARAM_INTEGER, "8", "1", "16", "ways of the L2"),
    ROW(l2_cycles, PARAM_CYCLES, "12 cycles", "0 cycles", "1000 cycles", "load that hits the L2"),
    ROW(llc_bytes, PARAM_BYTES, "15 MiB", "64 B", "1 GiB", "shared last-level cache, inclusive"),
    ROW(llc_ways, PARAM_INTEGER, "20", "1", "64", "ways of the LLC"),
    ROW(llc_cycles, PARAM_CYCLES, "30 cycles", "0 cycles", "10000 cycles",
        "load that hits the LLC; 26 to 34 by slice on Sandy Bridge"),
    ROW(peer_cycles, PARAM_CYCLES, "60 cycles", "0 cycles", "10000 cycles",
        "load of a line that another core has modified (Intel 64 Optimization Manual, Sandy Bridge: dirty hit in "
        "other cores' L1 and L2); llc_cycles at least"),
    ROW(ddio_ways, PARAM_INTEGER, "2", "0", "64", "ways of the LLC that device writes may allocate in; 0: DDIO off"),
    ROW(line_fill_buffers, PARAM_INTEGER, "10", "1", "1024", "misses of one core that overlap in a sequential access"),
    ROW(dram_latency, PARAM_TIME, "80 ns", "0 ns", "100 us",
        "load from memory by a core; what a device's access takes beyond one that hits the LLC"),
    ROW(dram_bandwidth_bytes_per_s, PARAM_BYTE_RATE, "32 GB/s", "1 MB/s", "10000 GB/s", "all channels of memory"),
    ROW(flat_cycles, PARAM_CYCLES, "0 cycles", "0 cycles", "100000 cycles", "of each line touched, in the flat model"),
    {0},
};

static enum error_code check_private(const char *name, uint64_t bytes, uint64_t ways, struct error *error) {
    const uint64_t set_bytes = ways * CACHE_LINE_BYTES;
    if (ways == 0 || ways > CACHE_PRIVATE_WAYS_MAX || bytes == 0 || bytes % set_bytes != 0) {
        return error_set(error, ERR_CONFIG, "cache: %s_bytes is not a multiple of %s_ways (1 to %d) lines of 64 bytes",
                         name, name, CACHE_PRIVATE_WAYS_MAX);
    }
    const uint64_t sets = bytes / set_bytes;
    if ((sets & (sets - 1)) != 0 || sets > UINT32_MAX) {
        return error_set(error, ERR_CONFIG, "cache: %s has %llu sets, which is not a power of two", name,
                         (unsigned long long)sets);
    }
    return OK;
}

static enum error_code check_config(const struct cache_config *config, uint64_t dram_cycles, struct error *error) {
    if (check_private("l1", config->l1_bytes, config->l1_ways, error) != OK ||
        check_private("l2", config->l2_bytes, config->l2_ways, error) != OK) {
        return ERR_CONFIG;
    }
    const uint64_t set_bytes = config->llc_ways * CACHE_LINE_BYTES;
    if (set_bytes == 0 || config->llc_ways > CACHE_WAYS_MAX || config->llc_bytes == 0 ||
        config->llc_bytes % set_bytes != 0 || config->llc_bytes / set_bytes > UINT32_MAX) {
        return error_set(error, ERR_CONFIG,
                         "cache: llc_bytes is not a multiple of llc_ways (1 to %d) lines of 64 bytes", CACHE_WAYS_MAX);
    }
    if (config->ddio_ways > config->llc_ways) {
        return error_set(error, ERR_CONFIG, "cache: ddio_ways is more than llc_ways");
    }
    if (config->l1_cycles > config->l2_cycles || config->l2_cycles > config->llc_cycles ||
        config->llc_cycles > dram_cycles) {
        return error_set(error, ERR_CONFIG,
                         "cache: latencies must not fall from l1 to l2, llc and dram (%llu, %llu, %llu, %llu cycles)",
                         (unsigned long long)config->l1_cycles, (unsigned long long)config->l2_cycles,
                         (unsigned long long)config->llc_cycles, (unsigned long long)dram_cycles);
    }
    if (config->line_fill_buffers == 0 || config->dram_bandwidth_bytes_per_s == 0) {
        return error_set(error, ERR_CONFIG, "cache: line_fill_buffers and dram_bandwidth_bytes_per_s must not be 0");
    }
    return OK;
}

/* Rounded up to whole lines of the host, so that a set straddles none. */
static uint32_t host_lines(uint64_t bytes) {
    return (uint32_t)((bytes + CACHE_HOST_LINE_BYTES - 1) / CACHE_HOST_LINE_BYTES * CACHE_HOST_LINE_BYTES);
}

/* Zeroed bytes from an aligned place. calloc gives zero pages that cost nothing
 * until they are used; *block is what to free. */
static unsigned char *aligned_zeros(uint64_t bytes, unsigned char **block) {
    *block = calloc(bytes + CACHE_HOST_LINE_BYTES, 1);
    SIM_ASSERT_MSG(*block != NULL, "out of memory");
    return *block + (CACHE_HOST_LINE_BYTES - (uintptr_t)*block % CACHE_HOST_LINE_BYTES) % CACHE_HOST_LINE_BYTES;
}

static struct cache_private make_private(uint64_t bytes, uint64_t ways) {
    const uint64_t sets = bytes / CACHE_LINE_BYTES / ways;
    struct cache_private level = {
        .ways = (uint32_t)ways, .set_mask = (uint32_t)sets - 1, .set_bytes = host_lines(2 * ways * sizeof(uint32_t))};
    level.sets = aligned_zeros(sets * level.set_bytes, &level.block);
    return level;
}

static void make_hierarchy(struct cache *cache) {
    const struct cache_config *config = &cache->config;
    cache->cores = calloc(cache->core_count, sizeof *cache->cores);
    SIM_ASSERT_MSG(cache->cores != NULL, "out of memory");
    for (unsigned i = 0; i < cache->core_count; ++i) {
        cache->cores[i] = (struct cache_core){.l1 = make_private(config->l1_bytes, config->l1_ways),
                                              .l2 = make_private(config->l2_bytes, config->l2_ways),
                                              .empty = true};
    }
    cache->llc_ways = (uint32_t)config->llc_ways;
    cache->ddio_ways = (uint32_t)config->ddio_ways;
    cache->llc_sets = (uint32_t)(config->llc_bytes / CACHE_LINE_BYTES / config->llc_ways);
    cache->llc_modulus = UINT64_MAX / cache->llc_sets + 1; /* 0 for one set: then the index is 0 */
    cache->llc_set_bytes =
        host_lines((1 + cache->llc_ways) * sizeof(uint32_t) + cache->llc_ways * sizeof(struct cache_way));
    cache->llc = aligned_zeros((uint64_t)cache->llc_sets * cache->llc_set_bytes, &cache->llc_block);
}

struct cache *cache_create(const struct cache_config *config, unsigned cores, const struct sim_clock *clock,
                           struct error *error) {
    SIM_ASSERT(cores != 0);
    const uint64_t dram_cycles = sim_clock_cycles(clock, config->dram_latency);
    if (config->model == CACHE_HIERARCHY && check_config(config, dram_cycles, error) != OK) {
        return NULL;
    }
    struct cache *cache = calloc(1, sizeof *cache);
    SIM_ASSERT_MSG(cache != NULL, "out of memory");
    cache->config = *config;
    cache->clock = *clock;
    cache->core_count = cores;
    if (config->model == CACHE_FLAT) {
        cache->llc_latency = sim_clock_time(clock, config->flat_cycles);
        return cache;
    }
    cache->l2_stall = config->l2_cycles - config->l1_cycles;
    cache->llc_stall = config->llc_cycles - config->l1_cycles;
    cache->peer_stall = cache->llc_stall;
    if (config->peer_cycles > config->llc_cycles) {
        cache->peer_stall = config->peer_cycles - config->l1_cycles;
    }
    cache->dram_stall = dram_cycles - config->l1_cycles;
    cache->llc_latency = sim_clock_time(clock, config->llc_cycles);
    cache->dram_line = CACHE_LINE_BYTES * SIM_S / config->dram_bandwidth_bytes_per_s;
    make_hierarchy(cache);
    return cache;
}

void cache_free(struct cache *cache) {
    if (cache == NULL) {
        return;
    }
    for (unsigned i = 0; cache->cores != NULL && i < cache->core_count; ++i) {
        free(cache->cores[i].l1.block);
        free(cache->cores[i].l2.block);
    }
    free(cache->cores);
    free(cache->llc_block);
    free(cache);
}

sim_time cache_llc_latency(const struct cache *cache) {
    return cache->llc_latency;
}

void cache_visit_stats(const struct cache *cache, const struct stats_sink *sink) {
    const struct cache_counters *counters = &cache->counters;
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"lines_touched", counters->touches},
        {"l1_misses", counters->l1_misses},
        {"l2_misses", counters->l2_misses},
        {"llc_misses", counters->llc_misses},
        {"upgrades", counters->upgrades},
        {"core_to_core", counters->transfers},
        {"write_backs", counters->write_backs},
        {"back_invalidations", counters->back_invalidations},
        {"dma_write_lines", counters->dma_write_lines},
        {"dma_write_llc_hits", counters->dma_write_hits},
        {"dma_write_write_backs", counters->dma_write_backs},
        {"dma_invalidations", counters->dma_invalidations},
        {"dma_read_lines", counters->dma_read_lines},
        {"dma_read_llc_hits", counters->dma_read_hits},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        stats_counter(sink, "cache", rows[i].name, rows[i].value);
    }
}

void cache_reset_stats(struct cache *cache) {
    cache->counters = (struct cache_counters){0};
}
