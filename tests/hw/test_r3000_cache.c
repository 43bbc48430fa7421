/* test_r3000_cache.c: the data cache: direct-mapped by physical address. */
#include "tests/hw/r3000_fixture.h"

enum { CACHE = 0x10000, LINE = 16, MISS = 15, PAGE_A = 0x00010000, PAGE_B = 0x00020000, FRAME_A = 0x00300000 };

static uint64_t load_cycles(uint32_t address) {
    uint32_t value = 0;
    const sim_time from = r3000_fixture_now();
    cr_assert(r3000_load(cpu, address, 4, &value));
    return r3000_fixture_cycles(from);
}

static void map_at(uint32_t distance) {
    r3000_fixture_map(0, PAGE_A, 0, FRAME_A | R3000_LO_VALID | R3000_LO_DIRTY);
    r3000_fixture_map(1, PAGE_B, 0, (FRAME_A + distance) | R3000_LO_VALID | R3000_LO_DIRTY);
}

static void same_color(void *argument) {
    (void)argument;
    r3000_fixture_enter();
    map_at(CACHE);
    cr_expect_eq(load_cycles(PAGE_A), 1 + MISS);
    cr_expect_eq(load_cycles(PAGE_A + LINE - 4), 1, "the line came as a whole");
    cr_expect_eq(load_cycles(PAGE_A + LINE), 1 + MISS);
    cr_expect_eq(load_cycles(PAGE_B), 1 + MISS, "the same place");
    cr_expect_eq(load_cycles(PAGE_A), 1 + MISS, "it was displaced");
    cr_expect_eq(load_cycles(PAGE_A + LINE), 1);
    cr_expect_eq(cpu->counters.cache_misses, 4);
}
Test(r3000_cache, frames_of_one_color_displace_each_other) {
    r3000_fixture_run_with(same_color, ", cache: 64 KiB, cache_miss_cycles: 15 cycles");
}

static void other_color(void *argument) {
    (void)argument;
    r3000_fixture_enter();
    map_at(CACHE + FIXTURE_PAGE);
    cr_expect_eq(load_cycles(PAGE_A), 1 + MISS);
    cr_expect_eq(load_cycles(PAGE_B), 1 + MISS);
    cr_expect_eq(load_cycles(PAGE_A), 1);
    cr_expect_eq(load_cycles(PAGE_B), 1);
    cr_expect(r3000_store(cpu, PAGE_A + 4 * LINE, 4, 7));
    cr_expect_eq(load_cycles(PAGE_A + 4 * LINE), 1 + MISS, "a store brings no line");
}
Test(r3000_cache, frames_of_other_colors_do_not) {
    r3000_fixture_run_with(other_color, ", cache: 64 KiB, cache_miss_cycles: 15 cycles");
}

static void no_cache(void *argument) {
    (void)argument;
    r3000_fixture_enter();
    map_at(CACHE);
    cr_expect_eq(load_cycles(PAGE_A), 1);
    cr_expect_eq(load_cycles(PAGE_B), 1);
    cr_expect_eq(cpu->counters.cache_misses, 0);
}
Test(r3000_cache, without_a_size_every_load_hits) {
    r3000_fixture_run(no_cache);
}
