/* Caches: geometry, order of use, inclusion, DDIO, exact costs. */
#include <criterion/criterion.h>
#include <string.h>

#include "hw/cache.h"
#include "sim/config.h"

/* 2 GHz: a cycle is 500 ps. DRAM 80 ns: 160 cycles. */
static struct sim_clock clock_2ghz;

static struct cache_config default_config(void) {
    struct cache_config config = {0};
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    cr_assert(config_bind(NULL, cache_params, &config, &diagnostics), "the defaults parse and lie in range");
    diagnostics_free(&diagnostics);
    clock_2ghz = sim_clock_make(UINT64_C(2000000000));
    return config;
}

static struct cache *make(const struct cache_config *config, unsigned cores) {
    struct error error = {0};
    struct cache *cache = cache_create(config, cores, &clock_2ghz, &error);
    cr_assert_not_null(cache, "%s", error.text);
    return cache;
}

static struct cache *make_default(unsigned cores) {
    const struct cache_config config = default_config();
    return make(&config, cores);
}

enum { L2_STALL = 12 - 4, LLC_STALL = 30 - 4, PEER_STALL = 60 - 4, DRAM_STALL = 160 - 4 };

static uint64_t touch_read(struct cache *cache, unsigned core, uint64_t address) {
    return cache_touch(cache, core, address, 1, false, CACHE_DEPENDENT);
}
static uint64_t touch_write(struct cache *cache, unsigned core, uint64_t address) {
    return cache_touch(cache, core, address, 1, true, CACHE_DEPENDENT);
}

struct wanted {
    const char *name;
    uint64_t value;
    bool found;
};
static void match(void *context, const char *instance, const char *name, uint64_t value) {
    struct wanted *wanted = context;
    cr_assert_str_eq(instance, "cache");
    if (strcmp(name, wanted->name) == 0) {
        wanted->value = value;
        wanted->found = true;
    }
}
static uint64_t counter(const struct cache *cache, const char *name) {
    struct wanted wanted = {.name = name};
    const struct stats_sink sink = {.context = &wanted, .counter = match};
    cache_visit_stats(cache, &sink);
    cr_assert(wanted.found, "no counter %s", name);
    return wanted.value;
}

/* ---- cores ---- */

Test(cache, defaults_are_sandy_bridge) {
    const struct cache_config config = default_config();
    cr_assert_eq(config.model, CACHE_HIERARCHY);
    cr_assert_eq(config.l1_bytes, 32 << 10);
    cr_assert_eq(config.llc_bytes, 15 << 20);
    cr_assert_eq(config.llc_ways, 20);
    cr_assert_eq(config.ddio_ways, 2);
    cr_assert_eq(config.dram_latency, 80 * SIM_NS);
    cr_assert_eq(config.dram_bandwidth_bytes_per_s, UINT64_C(32000000000));
}

Test(cache, each_level_costs_its_latency_beyond_the_l1) {
    struct cache *cache = make_default(2);
    cr_assert_eq(cache_level_of(cache, 0, 4096), 0);
    cr_assert_eq(touch_read(cache, 0, 4096), DRAM_STALL);
    cr_assert_eq(cache_level_of(cache, 0, 4096), 1);
    cr_assert_eq(cache_level_of(cache, 1, 4096), 3);
    cr_assert_eq(touch_read(cache, 0, 4096 + 63), 0);
    cr_assert_eq(touch_read(cache, 1, 4096), LLC_STALL);
    for (uint64_t way = 1; way <= 8; ++way) { /* 8 lines of the same L1 set push it out of the L1, not of the L2 */
        cr_assert_eq(touch_read(cache, 0, 4096 + way * 4096), DRAM_STALL);
    }
    cr_assert_eq(cache_level_of(cache, 0, 4096), 2);
    cr_assert_eq(touch_read(cache, 0, 4096), L2_STALL);
    cache_free(cache);
}

Test(cache, a_touch_costs_every_line_that_it_spans) {
    struct cache *cache = make_default(1);
    cr_assert_eq(cache_touch(cache, 0, 63, 2, false, CACHE_DEPENDENT), 2 * DRAM_STALL);
    cr_assert_eq(cache_touch(cache, 0, 0, 192, false, CACHE_DEPENDENT), DRAM_STALL);
    cr_assert_eq(cache_touch(cache, 0, 1000, 0, false, CACHE_DEPENDENT), 0);
    cache_free(cache);
}

Test(cache, sequential_misses_overlap_by_the_fill_buffers) {
    struct cache *cache = make_default(1);
    cr_assert_eq(cache_touch(cache, 0, 0, 64 * 4, false, CACHE_SEQUENTIAL), DRAM_STALL, "4 lines: all at once");
    cr_assert_eq(cache_touch(cache, 0, 65536, 64 * 24, false, CACHE_SEQUENTIAL), (24 * DRAM_STALL + 9) / 10);
    cr_assert_eq(cache_touch(cache, 0, 65536, 64 * 24, false, CACHE_SEQUENTIAL), 0);
    /* One that misses among many that hit does not get cheaper by them. */
    cr_assert_eq(cache_touch(cache, 0, 65536, 64 * 25, false, CACHE_SEQUENTIAL), DRAM_STALL);
    /* Nor do many that the L2 has make it cheaper than itself. */
    for (uint64_t line = 0; line < 4; ++line) {
        for (uint64_t way = 1; way <= 8; ++way) {
            (void)touch_read(cache, 0, line * 64 + (1 << 20) + way * 4096);
        }
    }
    cr_assert_eq(cache_level_of(cache, 0, 0), 2);
    cr_assert_eq(cache_level_of(cache, 0, 4 * 64), 0);
    cr_assert_eq(cache_touch(cache, 0, 0, 5 * 64, false, CACHE_SEQUENTIAL), DRAM_STALL);
    cache_free(cache);
}

Test(cache, sequential_access_is_no_faster_than_memory) {
    struct cache_config config = default_config();
    config.dram_bandwidth_bytes_per_s = 2000000000; /* a line in 32 ns: 64 cycles */
    struct cache *cache = make(&config, 1);
    cr_assert_eq(cache_touch(cache, 0, 0, 64 * 100, false, CACHE_SEQUENTIAL), 100 * 64);
    cr_assert_eq(cache_touch(cache, 0, 1 << 20, 64 * 2, false, CACHE_SEQUENTIAL), DRAM_STALL);
    cache_free(cache);
}

Test(cache, the_least_recently_used_gives_way) {
    struct cache_config config = default_config();
    config.l1_bytes = 2 * 64;
    config.l1_ways = 2;
    config.l2_bytes = 3 * 64;
    config.l2_ways = 3;
    struct cache *cache = make(&config, 1);
    (void)touch_read(cache, 0, 0);
    (void)touch_read(cache, 0, 64);
    (void)touch_read(cache, 0, 0); /* 64 is now the older */
    (void)touch_read(cache, 0, 128);
    cr_assert_eq(cache_level_of(cache, 0, 0), 1);
    cr_assert_eq(cache_level_of(cache, 0, 64), 2);
    cr_assert_eq(cache_level_of(cache, 0, 128), 1);
    (void)touch_read(cache, 0, 192); /* the L2 saw 0, 64, 128: 0 leaves it, but the L1 keeps ... */
    cr_assert_eq(cache_level_of(cache, 0, 0), 3);
    cr_assert_eq(cache_level_of(cache, 0, 128), 1);
    cache_free(cache);
}

Test(cache, what_leaves_the_llc_leaves_the_cores) {
    struct cache_config config = default_config();
    config.llc_bytes = 4 * 64; /* one set of 4 ways */
    config.llc_ways = 4;
    struct cache *cache = make(&config, 2);
    for (uint64_t line = 0; line < 4; ++line) {
        (void)touch_read(cache, line % 2, line * 64);
    }
    (void)touch_read(cache, 0, 1024);
    cr_assert_eq(cache_level_of(cache, 0, 0), 0);
    cr_assert_eq(counter(cache, "back_invalidations"), 2, "from L1 and from L2");
    cr_assert_eq(touch_read(cache, 0, 0), DRAM_STALL);
    cr_assert_eq(counter(cache, "write_backs"), 0);
    (void)touch_write(cache, 1, 3 * 64); /* a hit in its L1: only the LLC's memory of it is dirty */
    for (uint64_t line = 0; line < 4; ++line) {
        (void)touch_read(cache, 0, 2048 + line * 64);
    }
    cr_assert_eq(cache_level_of(cache, 1, 3 * 64), 0);
    cr_assert_eq(counter(cache, "write_backs"), 1);
    cache_free(cache);
}

Test(cache, a_write_takes_the_line_from_the_other_cores) {
    struct cache *cache = make_default(3);
    (void)touch_read(cache, 0, 0);
    cr_assert_eq(touch_write(cache, 0, 0), 0, "nobody else has it");
    cr_assert_eq(touch_read(cache, 1, 0), PEER_STALL, "core 0 has modified it");
    cr_assert_eq(touch_write(cache, 0, 0), LLC_STALL, "core 1 read it meanwhile");
    cr_assert_eq(cache_level_of(cache, 1, 0), 3);
    cr_assert_eq(touch_write(cache, 0, 0), 0);
    cr_assert_eq(touch_write(cache, 2, 0), PEER_STALL);
    cr_assert_eq(cache_level_of(cache, 0, 0), 3);
    cr_assert_eq(counter(cache, "upgrades"), 1);
    cr_assert_eq(counter(cache, "core_to_core"), 2);
    cr_assert_eq(touch_read(cache, 0, 0), PEER_STALL);
    cr_assert_eq(touch_read(cache, 1, 0), LLC_STALL, "read before: the LLC has the newest version");
    cache_free(cache);
}

Test(cache, cores_beyond_the_presence_bits_are_coherent) {
    struct cache *cache = make_default(70); /* 0, 31 and 62 share a bit */
    (void)touch_read(cache, 0, 0);
    (void)touch_read(cache, 31, 0);
    (void)touch_read(cache, 62, 0);
    cr_assert_eq(touch_write(cache, 31, 0), LLC_STALL);
    cr_assert_eq(cache_level_of(cache, 0, 0), 3);
    cr_assert_eq(cache_level_of(cache, 62, 0), 3);
    cr_assert_eq(cache_level_of(cache, 31, 0), 1);
    cache_free(cache);
}

Test(cache, flushing_a_core_leaves_its_lines_in_the_llc) {
    struct cache *cache = make_default(2);
    (void)touch_write(cache, 0, 0);
    (void)touch_read(cache, 1, 64);
    cache_flush_core(cache, 0);
    cr_assert_eq(cache_level_of(cache, 0, 0), 3);
    cr_assert_eq(cache_level_of(cache, 1, 64), 1);
    cr_assert_eq(touch_read(cache, 0, 0), LLC_STALL);
    cache_flush_all(cache);
    cr_assert_eq(cache_level_of(cache, 0, 0), 0);
    cr_assert_eq(cache_level_of(cache, 1, 64), 0);
    cr_assert_eq(touch_read(cache, 0, 0), DRAM_STALL);
    cache_free(cache);
}

/* ---- devices ---- */

Test(cache, a_device_write_lands_in_the_llc_and_leaves_the_cores) {
    struct cache *cache = make_default(2);
    (void)cache_touch(cache, 0, 0, 128, true, CACHE_DEPENDENT);
    (void)touch_read(cache, 1, 64);
    struct cache_dma dma = cache_device_write(cache, 32, 64, 0);
    cr_assert_eq(dma.lines, 2);
    cr_assert_eq(dma.llc_hits, 2);
    cr_assert_eq(dma.extra, 0);
    cr_assert_eq(cache_level_of(cache, 0, 0), 3);
    cr_assert_eq(cache_level_of(cache, 0, 64), 3);
    cr_assert_eq(cache_level_of(cache, 1, 64), 3);
    dma = cache_device_write(cache, 4096, 64, 0);
    cr_assert_eq(dma.llc_hits, 0);
    cr_assert_eq(dma.extra, 0, "a clean place takes it at once");
    cr_assert_eq(touch_read(cache, 0, 4096), LLC_STALL);
    cr_assert_eq(touch_read(cache, 0, 0), LLC_STALL);
    cache_free(cache);
}

Test(cache, a_device_read_allocates_nothing_and_pays_the_latency_once) {
    struct cache *cache = make_default(1);
    struct cache_dma dma = cache_device_read(cache, 0, 256, 1000 * SIM_NS);
    cr_assert_eq(dma.lines, 4);
    cr_assert_eq(dma.llc_hits, 0);
    cr_assert_eq(dma.extra, 80 * SIM_NS + 3 * 2 * SIM_NS, "64 bytes at 32 GB/s are 2 ns");
    cr_assert_eq(cache_level_of(cache, 0, 0), 0);
    dma = cache_device_read(cache, 0, 64, 1000 * SIM_NS);
    cr_assert_eq(dma.extra, 8 * SIM_NS + 80 * SIM_NS, "behind four lines");
    dma = cache_device_read(cache, 0, 64, 1010 * SIM_NS);
    cr_assert_eq(dma.extra, 80 * SIM_NS, "the memory is idle again");
    (void)touch_write(cache, 0, 64);
    dma = cache_device_read(cache, 0, 128, 2000 * SIM_NS);
    cr_assert_eq(dma.llc_hits, 1);
    cr_assert_eq(dma.extra, 80 * SIM_NS);
    cr_assert_eq(cache_level_of(cache, 0, 64), 1, "a read leaves the core's copy");
    cr_assert_eq(cache_device_read(cache, 64, 64, 2000 * SIM_NS).extra, 0);
    cache_free(cache);
}

/* Writes and reads back 8 bytes of each line of a buffer, again and again. */
static struct cache_dma go_round(struct cache *cache, uint64_t bytes, bool write) {
    struct cache_dma sum = {0};
    for (int round = 0; round < 3; ++round) {
        sum = (struct cache_dma){0};
        for (uint64_t at = 0; at < bytes; at += 64) {
            const sim_time when = SIM_US * (at / 64 + (uint64_t)round * (bytes / 64));
            const struct cache_dma one =
                write ? cache_device_write(cache, at, 8, when) : cache_device_read(cache, at, 8, when);
            sum.lines += one.lines;
            sum.llc_hits += one.llc_hits;
            sum.extra += one.extra;
        }
    }
    return sum;
}

Test(cache, device_writes_have_the_ddio_ways_and_no_more) {
    const uint64_t share = (15 << 20) / 20 * 2;
    struct cache *cache = make_default(1);
    struct cache_dma sum = go_round(cache, share, true);
    cr_assert_eq(sum.llc_hits, sum.lines, "a buffer of the share's size stays");
    cr_assert_eq(sum.extra, 0);
    cache_flush_all(cache);
    sum = go_round(cache, 2 * share, true);
    cr_assert_eq(sum.llc_hits, 0, "twice of it never hits, going round in order");
    cr_assert_eq(sum.extra, sum.lines * 80 * SIM_NS, "each write waits for a dirty line to leave");
    cr_assert_eq(cache_level_of(cache, 0, 0), 0);
    cr_assert_eq(cache_level_of(cache, 0, 2 * share - 64), 3);
    cache_free(cache);
}

Test(cache, a_device_write_hits_in_any_way) {
    struct cache *cache = make_default(1);
    const uint64_t bytes = 8 << 20; /* over 10 of 20 ways */
    for (uint64_t at = 0; at < bytes; at += 64) {
        (void)touch_read(cache, 0, at);
    }
    const struct cache_dma sum = go_round(cache, bytes, true);
    cr_assert_eq(sum.llc_hits, sum.lines);
    cache_free(cache);
}

Test(cache, without_ddio_device_writes_go_to_memory) {
    struct cache_config config = default_config();
    config.ddio_ways = 0;
    struct cache *cache = make(&config, 1);
    const struct cache_dma dma = cache_device_write(cache, 0, 64, 0);
    cr_assert_eq(dma.llc_hits, 0);
    cr_assert_eq(dma.extra, 80 * SIM_NS);
    cr_assert_eq(cache_level_of(cache, 0, 0), 0);
    cache_free(cache);
}

/* ---- configuration, statistics, the flat model ---- */

Test(cache, refuses_geometry_that_does_not_exist) {
    const struct cache_config good = default_config();
    struct cache_config bad[6] = {good, good, good, good, good, good};
    bad[0].l1_bytes = 1000;
    bad[1].l2_bytes = 3 * 64 * 8; /* three sets */
    bad[2].llc_bytes = (15 << 20) + 64;
    bad[3].ddio_ways = 21;
    bad[4].l2_cycles = 31;
    bad[5].dram_latency = 10 * SIM_NS;
    for (size_t i = 0; i < 6; ++i) {
        struct error error = {0};
        cr_assert_null(cache_create(&bad[i], 1, &clock_2ghz, &error));
        cr_assert_eq(error.code, ERR_CONFIG, "case %zu", i);
        cr_assert_neq(error.text[0], '\0');
    }
}

Test(cache, the_flat_model_costs_a_constant) {
    struct cache_config config = default_config();
    config.model = CACHE_FLAT;
    config.flat_cycles = 7;
    struct cache *cache = make(&config, 1);
    cr_assert_eq(cache_touch(cache, 0, 0, 65, false, CACHE_DEPENDENT), 14);
    cr_assert_eq(cache_touch(cache, 0, 0, 65, true, CACHE_SEQUENTIAL), 14);
    cr_assert_eq(cache_device_read(cache, 0, 4096, 0).extra, 0);
    cr_assert_eq(cache_device_read(cache, 0, 4096, 0).llc_hits, 64);
    cr_assert_eq(cache_device_write(cache, 0, 4096, 0).extra, 0);
    cache_flush_core(cache, 0);
    cache_flush_all(cache);
    cache_free(cache);
}

Test(cache, counters_start_anew_and_contents_stay) {
    struct cache *cache = make_default(1);
    (void)touch_read(cache, 0, 0);
    (void)cache_device_write(cache, 4096, 64, 0);
    cr_assert_eq(counter(cache, "llc_misses"), 1);
    cr_assert_eq(counter(cache, "dma_write_lines"), 1);
    cache_reset_stats(cache);
    cr_assert_eq(counter(cache, "llc_misses"), 0);
    cr_assert_eq(counter(cache, "dma_write_lines"), 0);
    cr_assert_eq(touch_read(cache, 0, 0), 0);
    cr_assert_eq(counter(cache, "lines_touched"), 1);
    cache_free(cache);
}

Test(cache, llc_latency_is_in_time) {
    struct cache *cache = make_default(1);
    cr_assert_eq(cache_llc_latency(cache), 15 * SIM_NS);
    cache_free(cache);
}
