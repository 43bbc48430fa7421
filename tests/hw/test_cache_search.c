/* The searches within a set, against loops; and what happens when stamps run out. */
#include <criterion/criterion.h>

#include "hw/cache_internal.h"

static uint64_t random_state = 9;
static uint32_t draw(uint32_t bound) {
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407U;
    return (uint32_t)(random_state >> 33) % bound;
}

Test(cache_search, finds_the_first_of_any_number_of_words) {
    uint32_t words[CACHE_WAYS_MAX];
    for (int round = 0; round < 20000; ++round) {
        const uint32_t count = draw(CACHE_WAYS_MAX + 1);
        const uint32_t ignored = draw(2);
        for (uint32_t i = 0; i < count; ++i) {
            words[i] = draw(200);
        }
        const uint32_t tag = draw(200);
        uint32_t expected = 0;
        while (expected < count && (words[expected] | ignored) != tag) {
            ++expected;
        }
        cr_assert_eq(cache_search(words, count, tag, ignored), expected);
    }
}

Test(cache_search, the_oldest_is_the_first_of_the_least) {
    uint32_t stamps[CACHE_WAYS_MAX];
    for (int round = 0; round < 20000; ++round) {
        const uint32_t count = 1 + draw(CACHE_WAYS_MAX);
        uint32_t expected = 0;
        for (uint32_t i = 0; i < count; ++i) {
            stamps[i] = draw(2) == 0 ? draw(100) : UINT32_MAX - draw(100);
            expected = stamps[i] < stamps[expected] ? i : expected;
        }
        cr_assert_eq(cache_oldest(stamps, count), expected);
    }
}

/* Two hierarchies get the same touches; the stamps of one run out again and again. */
Test(cache_search, renumbered_stamps_keep_the_order_of_use) {
    const struct cache_config config = {.l1_bytes = 1024,
                                        .l1_ways = 4,
                                        .l1_cycles = 4,
                                        .l2_bytes = 4096,
                                        .l2_ways = 8,
                                        .l2_cycles = 12,
                                        .llc_bytes = 16384,
                                        .llc_ways = 4,
                                        .llc_cycles = 30,
                                        .line_fill_buffers = 10,
                                        .dram_latency = 80 * SIM_NS,
                                        .dram_bandwidth_bytes_per_s = 32000000000};
    const struct sim_clock clock = sim_clock_make(2200000000);
    struct cache *usual = cache_create(&config, 1, &clock, NULL);
    struct cache *late = cache_create(&config, 1, &clock, NULL);
    cr_assert(usual != NULL && late != NULL);
    for (int round = 0; round < 20000; ++round) {
        if (round % 100 == 0) {
            late->cores[0].l1.tick = CACHE_TICK_LIMIT - draw(40); /* never below a stamp given before */
            late->cores[0].l2.tick = CACHE_TICK_LIMIT - draw(40);
        }
        const uint64_t address = draw(200) * UINT64_C(64);
        const uint32_t bytes = 1 + draw(300);
        const bool write = draw(2) == 0;
        cr_assert_eq(cache_touch(usual, 0, address, bytes, write, CACHE_DEPENDENT),
                     cache_touch(late, 0, address, bytes, write, CACHE_DEPENDENT), "round %d", round);
    }
    cache_free(usual);
    cache_free(late);
}
