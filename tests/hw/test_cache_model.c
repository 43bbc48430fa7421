/* The cache against a naive model: for each line and each place, when it was last
 * used (0: not there), and nothing clever. */
#include <criterion/criterion.h>
#include <string.h>

#include "hw/cache.h"

enum {
    LINES = 96,
    CORES = 3,
    L1_SETS = 2,
    L1_WAYS = 2,
    L2_SETS = 4,
    L2_WAYS = 2,
    LLC_SETS = 6,
    LLC_WAYS = 4,
    L2_COST = 5,
    LLC_COST = 20,
    DRAM_COST = 100
};

static struct {
    uint64_t l1[CORES][LINES], l2[CORES][LINES]; /* last use; 0: absent */
    bool l1_owned[CORES][LINES], l2_owned[CORES][LINES];
    uint64_t llc[LINES];
    unsigned way[LINES];
    bool dirty[LINES], may_have[LINES][CORES];
    uint64_t tick;
    sim_time dram_free;
    unsigned ddio_ways;
} model;

static void model_drop(unsigned core, unsigned line) {
    model.l1[core][line] = model.l2[core][line] = 0;
    model.l1_owned[core][line] = model.l2_owned[core][line] = false;
}

/* Makes room in a set of a core's own cache; returns the line that left, or LINES. */
static unsigned model_room(uint64_t *used, unsigned line, unsigned sets, unsigned ways) {
    unsigned count = 0, oldest = LINES;
    for (unsigned other = line % sets; other < LINES; other += sets) {
        if (used[other] != 0) {
            ++count;
            oldest = oldest == LINES || used[other] < used[oldest] ? other : oldest;
        }
    }
    if (count < ways) {
        return LINES;
    }
    used[oldest] = 0;
    return oldest;
}

static void model_fill_l2(unsigned core, unsigned line, bool owned) {
    const unsigned left = model_room(model.l2[core], line, L2_SETS, L2_WAYS);
    if (left != LINES) {
        model.l2_owned[core][left] = false;
    }
    model.l2[core][line] = ++model.tick;
    model.l2_owned[core][line] = owned;
}

static void model_fill_l1(unsigned core, unsigned line, bool owned) {
    const unsigned left = model_room(model.l1[core], line, L1_SETS, L1_WAYS);
    model.l1[core][line] = ++model.tick;
    model.l1_owned[core][line] = owned;
    if (left == LINES || !model.l1_owned[core][left]) {
        return;
    }
    model.l1_owned[core][left] = false;
    if (model.l2[core][left] != 0) {
        model.l2_owned[core][left] = true;
    } else {
        model_fill_l2(core, left, true);
    }
}

/* Puts a line into one of the first `limit` ways; whether a dirty one left. */
static bool model_fill_llc(unsigned line, unsigned limit) {
    unsigned holder[LLC_WAYS];
    for (unsigned way = 0; way < LLC_WAYS; ++way) {
        holder[way] = LINES;
    }
    for (unsigned other = line % LLC_SETS; other < LINES; other += LLC_SETS) {
        if (model.llc[other] != 0) {
            holder[model.way[other]] = other;
        }
    }
    unsigned chosen = 0;
    for (unsigned way = 0; way < limit; ++way) {
        if (holder[way] == LINES) {
            chosen = way;
            break;
        }
        chosen = model.llc[holder[way]] < model.llc[holder[chosen]] ? way : chosen;
    }
    const unsigned left = holder[chosen];
    model.llc[line] = ++model.tick;
    model.way[line] = chosen;
    model.dirty[line] = false;
    memset(model.may_have[line], 0, sizeof model.may_have[line]);
    if (left == LINES) {
        return false;
    }
    model.llc[left] = 0;
    for (unsigned core = 0; core < CORES; ++core) {
        model_drop(core, left);
    }
    return model.dirty[left];
}

static bool model_take(unsigned line, unsigned core) {
    bool others = false;
    for (unsigned other = 0; other < CORES; ++other) {
        if (other != core) {
            others = others || model.may_have[line][other];
            model_drop(other, line);
            model.may_have[line][other] = false;
        }
    }
    model.dirty[line] = true;
    return others;
}

static uint64_t model_touch(unsigned core, unsigned line, bool write) {
    if (model.l1[core][line] != 0) {
        uint64_t cost = 0;
        if (write && !model.l1_owned[core][line]) {
            cost = model_take(line, core) ? LLC_COST : 0;
            model.l1_owned[core][line] = true;
        }
        model.l1[core][line] = ++model.tick;
        return cost;
    }
    uint64_t cost;
    if (model.l2[core][line] != 0) {
        cost = L2_COST;
        if (write && !model.l2_owned[core][line]) {
            cost = model_take(line, core) ? LLC_COST : cost;
            model.l2_owned[core][line] = true;
        }
        model.l2[core][line] = ++model.tick;
    } else {
        cost = LLC_COST;
        if (model.llc[line] != 0) {
            model.llc[line] = ++model.tick;
        } else {
            cost = DRAM_COST;
            (void)model_fill_llc(line, LLC_WAYS);
        }
        if (write) {
            (void)model_take(line, core);
        } else {
            for (unsigned other = 0; other < CORES; ++other) {
                model.l1_owned[other][line] = model.l2_owned[other][line] = false;
            }
        }
        model.may_have[line][core] = true;
        model_fill_l2(core, line, write);
    }
    model_fill_l1(core, line, model.l2_owned[core][line]);
    return cost;
}

static struct cache_dma model_dma(unsigned line, unsigned count, bool write, sim_time when) {
    struct cache_dma result = {.lines = count};
    uint64_t from_dram = 0;
    for (unsigned i = line; i < line + count; ++i) {
        if (model.llc[i] != 0) {
            result.llc_hits += 1;
            model.llc[i] = ++model.tick;
        } else if (!write || model.ddio_ways == 0) {
            from_dram += 1;
        } else {
            from_dram += model_fill_llc(i, model.ddio_ways);
        }
        if (write && model.llc[i] != 0) {
            (void)model_take(i, CORES);
        }
    }
    if (from_dram != 0) { /* 1 GB/s: a line takes 64 ns */
        const sim_time start = when > model.dram_free ? when : model.dram_free;
        model.dram_free = start + from_dram * 64 * SIM_NS;
        result.extra = start - when + (DRAM_COST + 1) * SIM_NS + (from_dram - 1) * 64 * SIM_NS;
    }
    return result;
}

static unsigned model_level(unsigned core, unsigned line) {
    return model.l1[core][line] != 0 ? 1 : model.l2[core][line] != 0 ? 2 : model.llc[line] != 0 ? 3 : 0;
}

static void compare(const struct cache *cache, int round) {
    for (unsigned core = 0; core < CORES; ++core) {
        for (unsigned line = 0; line < LINES; ++line) {
            const unsigned level = cache_level_of(cache, core, line * 64);
            cr_assert_eq(level, model_level(core, line), "round %d: line %u is in %u for core %u, not %u", round, line,
                         level, core, model_level(core, line));
            cr_assert(model.llc[line] != 0 || (model.l1[core][line] == 0 && model.l2[core][line] == 0), "inclusion");
        }
    }
}

static void run_against_model(unsigned ddio_ways) {
    const struct sim_clock clock = sim_clock_make(1000000000);
    const struct cache_config config = {.l1_bytes = L1_SETS * L1_WAYS * 64,
                                        .l1_ways = L1_WAYS,
                                        .l1_cycles = 1,
                                        .l2_bytes = L2_SETS * L2_WAYS * 64,
                                        .l2_ways = L2_WAYS,
                                        .l2_cycles = 1 + L2_COST,
                                        .llc_bytes = LLC_SETS * LLC_WAYS * 64,
                                        .llc_ways = LLC_WAYS,
                                        .llc_cycles = 1 + LLC_COST,
                                        .ddio_ways = ddio_ways,
                                        .line_fill_buffers = 10,
                                        .dram_latency = (1 + DRAM_COST) * SIM_NS,
                                        .dram_bandwidth_bytes_per_s = 1000000000};
    struct cache *cache = cache_create(&config, CORES, &clock, NULL);
    cr_assert_not_null(cache);
    memset(&model, 0, sizeof model);
    model.ddio_ways = ddio_ways;
    uint64_t random = 11 + ddio_ways;
    for (int round = 0; round < 100000; ++round) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407U;
        const unsigned spread = (random >> 18) % 4 == 0 ? LINES : 20; /* hot lines are shared and hit */
        const unsigned line = (unsigned)(random >> 33) % spread;
        const unsigned core = (unsigned)(random >> 28) % CORES;
        const bool write = (random >> 25) % 2 != 0;
        const unsigned kind = (random >> 20) % 8;
        if (kind < 6) {
            cr_assert_eq(cache_touch(cache, core, line * 64 + 8, 8, write, CACHE_DEPENDENT),
                         model_touch(core, line, write), "round %d", round);
        } else if (kind == 6 || (random >> 40) % 16 != 0) {
            const unsigned count = 1 + (unsigned)(random >> 44) % (line + 4 < LINES ? 4 : 1);
            const sim_time when = (sim_time)round * 30 * SIM_NS;
            const struct cache_dma real = write ? cache_device_write(cache, line * 64, count * 64, when)
                                                : cache_device_read(cache, line * 64, count * 64, when);
            const struct cache_dma expected = model_dma(line, count, write, when);
            cr_assert_eq(real.lines, expected.lines);
            cr_assert_eq(real.llc_hits, expected.llc_hits, "round %d", round);
            cr_assert_eq(real.extra, expected.extra, "round %d", round);
        } else {
            cache_flush_core(cache, core);
            for (unsigned i = 0; i < LINES; ++i) {
                model_drop(core, i);
            }
        }
        if (round % 16 == 0) {
            compare(cache, round);
        }
    }
    cache_free(cache);
}

Test(cache_model, agrees_with_two_ddio_ways) {
    run_against_model(2);
}
Test(cache_model, agrees_with_one_ddio_way) {
    run_against_model(1);
}
Test(cache_model, agrees_with_all_ways_for_devices) {
    run_against_model(LLC_WAYS);
}
Test(cache_model, agrees_without_ddio) {
    run_against_model(0);
}
