/* IOMMU: exact times of walks, and the IOTLB against a naive model. */
#include "tests/hw/iommu_fixture.h"

enum { FRAME = 0x2000000 };

/* A machine whose walks are easy to add up. */
static struct iommu_config plain_config(void) {
    struct iommu_config config = fixture_config();
    config.walk_overhead = 200 * SIM_NS;
    config.hit_latency = 3 * SIM_NS;
    return config;
}
static const sim_time HIT = 3 * SIM_NS, OVERHEAD = 200 * SIM_NS, LLC = 15 * SIM_NS, DRAM = 95 * SIM_NS;

static struct iommu_domain *make(const struct iommu_config *config) {
    fixture_make(config);
    struct iommu_domain *domain = fixture_domain();
    cr_assert_eq(iommu_attach(iommu, FIXTURE_FUNCTION, domain), OK);
    return domain;
}

/* Brings all tables into the LLC, as a core does that wrote them. */
static void warm_tables(void) {
    for (uint64_t frame = (1 << 20) + 4096; frame <= next_frame; frame += 4096) {
        (void)cache_touch(cache, 0, frame, 4096, false, CACHE_SEQUENTIAL);
    }
}

static struct iommu_result reach(uint64_t iova, sim_time when) {
    const struct iommu_result result = iommu_translate(iommu, FIXTURE_FUNCTION, iova, false, when);
    cr_assert(result.allowed);
    cr_assert_eq(result.done, when + HIT + result.walk);
    cr_assert_eq(result.iotlb_hit, result.walk == 0);
    return result;
}

Test(iommu_timing, a_walk_costs_each_read_that_no_cache_covers) {
    const struct iommu_config config = plain_config();
    struct iommu_domain *domain = make(&config);
    cr_assert_eq(iommu_map(domain, 0, FRAME, 16 * 4096, IOMMU_READ), OK);
    cr_assert_eq(iommu_map(domain, 5 << 21, FRAME, 4096, IOMMU_READ), OK);
    cr_assert_eq(iommu_map(domain, UINT64_C(1) << 39, FRAME, 4096, IOMMU_READ), OK);
    const sim_time t = 100 * SIM_US;
    cr_assert_eq(reach(0, t).walk, OVERHEAD + 6 * DRAM, "root, context, four levels");
    cr_assert_eq(reach(1, t + SIM_US).walk, 0);
    cr_assert_eq(reach(4096, t + 2 * SIM_US).walk, OVERHEAD + DRAM, "the leaf only");
    warm_tables();
    cr_assert_eq(reach(2 * 4096, t + 3 * SIM_US).walk, OVERHEAD + LLC);
    cr_assert_eq(reach(5 << 21, t + 4 * SIM_US).walk, OVERHEAD + 2 * LLC, "another table of leaves");
    cr_assert_eq(reach(UINT64_C(1) << 39, t + 5 * SIM_US).walk, OVERHEAD + 4 * LLC);
    cr_assert_eq(fixture_counter("iommu", "walks"), 5);
    cr_assert_eq(fixture_counter("iommu", "walk_reads"), 6 + 1 + 1 + 2 + 4);
    cr_assert_eq(fixture_counter("iommu", "walk_dram_reads"), 7);
    cr_assert_eq(fixture_counter("iommu", "context_reads"), 2);
    cr_assert_eq(fixture_counter("iommu", "iotlb_hits"), 1);
    cr_assert_eq(fixture_counter("iommu", "iotlb_misses"), 5);
    fixture_drop();
}

Test(iommu_timing, without_walk_caches_all_levels_are_read) {
    struct iommu_config config = plain_config();
    config.walk_cache_entries = 0;
    struct iommu_domain *domain = make(&config);
    cr_assert_eq(iommu_map(domain, 0, FRAME, 4 * 4096, IOMMU_READ), OK);
    warm_tables();
    cr_assert_eq(reach(0, SIM_US).walk, OVERHEAD + 6 * LLC);
    cr_assert_eq(reach(4096, 2 * SIM_US).walk, OVERHEAD + 4 * LLC);
    fixture_drop();
}

Test(iommu_timing, walk_caches_hold_so_many_entries) {
    struct iommu_config config = plain_config();
    config.walk_cache_entries = 2;
    config.iotlb_entries = 1;
    struct iommu_domain *domain = make(&config);
    for (uint64_t i = 0; i < 3; ++i) { /* three tables of leaves */
        cr_assert_eq(iommu_map(domain, i << 21, FRAME, 2 * 4096, IOMMU_READ), OK);
    }
    warm_tables();
    sim_time t = SIM_MS;
    for (uint64_t i = 0; i < 3; ++i) {
        (void)reach(i << 21, t += SIM_US);
    }
    cr_assert_eq(reach(UINT64_C(2) << 21 | 4096, t += SIM_US).walk, OVERHEAD + LLC);
    cr_assert_eq(reach(UINT64_C(1) << 21, t += SIM_US).walk, OVERHEAD + LLC);
    cr_assert_eq(reach(0, t += SIM_US).walk, OVERHEAD + 2 * LLC, "the oldest went");
    cr_assert_eq(reach(UINT64_C(2) << 21, t += SIM_US).walk, OVERHEAD + 2 * LLC, "and then the next oldest");
    fixture_drop();
}

Test(iommu_timing, invalidation_with_or_without_the_upper_levels) {
    const struct iommu_config config = plain_config();
    struct iommu_domain *domain = make(&config);
    cr_assert_eq(iommu_map(domain, 0, FRAME, 2 * 4096, IOMMU_READ), OK);
    warm_tables();
    (void)reach(0, SIM_US);
    (void)iommu_unmap(domain, 4096, 4096);
    cr_assert_eq(reach(0, 2 * SIM_US).walk, 0);
    (void)iommu_unmap(domain, 0, 4096);
    cr_assert_eq(iommu_map(domain, 0, FRAME, 4096, IOMMU_READ), OK);
    cr_assert_eq(reach(0, 3 * SIM_US).walk, OVERHEAD + LLC, "the upper tables did not change");
    (void)iommu_invalidate(domain, 0, 4096);
    cr_assert_eq(reach(0, 4 * SIM_US).walk, OVERHEAD + 4 * LLC);
    fixture_drop();
}

/* Two pages whose upper levels are cached. */
static void make_two(uint64_t walkers) {
    struct iommu_config config = plain_config();
    config.walkers = walkers;
    struct iommu_domain *domain = make(&config);
    cr_assert_eq(iommu_map(domain, 0, FRAME, 8 * 4096, IOMMU_READ), OK);
    warm_tables();
    (void)reach(7 * 4096, 0);
}

Test(iommu_timing, one_walker_walks_one_after_the_other) {
    make_two(1);
    const sim_time t = 100 * SIM_US, walk = OVERHEAD + LLC;
    cr_assert_eq(reach(0, t).walk, walk);
    cr_assert_eq(reach(4096, t + 10 * SIM_NS).walk, 2 * walk - 10 * SIM_NS);
    cr_assert_eq(reach(2 * 4096, t + 10 * SIM_NS).walk, 3 * walk - 10 * SIM_NS);
    cr_assert_eq(reach(7 * 4096, t + 20 * SIM_NS).walk, 0, "a hit waits for nobody");
    cr_assert_eq(reach(3 * 4096, t + 4 * walk).walk, walk);
    fixture_drop();
}

Test(iommu_timing, two_walkers_overlap_two_walks) {
    make_two(2);
    const sim_time t = 100 * SIM_US, walk = OVERHEAD + LLC;
    cr_assert_eq(reach(0, t).walk, walk);
    cr_assert_eq(reach(4096, t + 10 * SIM_NS).walk, walk);
    cr_assert_eq(reach(2 * 4096, t + 10 * SIM_NS).walk, 2 * walk - 10 * SIM_NS);
    cr_assert_eq(reach(3 * 4096, t + 10 * SIM_NS).walk, 2 * walk);
    fixture_drop();
}

Test(iommu_timing, accesses_to_one_page_share_its_walk) {
    make_two(1);
    const sim_time t = 100 * SIM_US, walk = OVERHEAD + LLC;
    iommu_reset_stats(iommu);
    cr_assert_eq(reach(0, t).walk, walk);
    cr_assert_eq(reach(64, t + 50 * SIM_NS).walk, walk - 50 * SIM_NS);
    cr_assert_eq(reach(128, t + walk).walk, 0);
    cr_assert_eq(fixture_counter("iommu", "walks"), 1);
    cr_assert_eq(fixture_counter("iommu", "iotlb_misses"), 2);
    cr_assert_eq(fixture_counter("iommu", "iotlb_hits"), 1);
    cr_assert_eq(fixture_counter("iommu", "walk_busy_ns"), 215);
    cr_assert_eq(fixture_counter("iommu", "walk_wait_ns"), 165);
    fixture_drop();
}

Test(iommu_timing, overlapping_walks_do_not_use_what_is_not_there_yet) {
    struct iommu_config config = plain_config();
    config.walkers = 2;
    struct iommu_domain *domain = make(&config);
    cr_assert_eq(iommu_map(domain, 0, FRAME, 4096, IOMMU_READ), OK);
    cr_assert_eq(iommu_map(domain, UINT64_C(1) << 39, FRAME, 3 * 4096, IOMMU_READ), OK);
    warm_tables();
    (void)reach(0, 0); /* the context is known now */
    const uint64_t high = UINT64_C(1) << 39;
    const sim_time t = 100 * SIM_US;
    cr_assert_eq(reach(high, t).walk, OVERHEAD + 4 * LLC);
    cr_assert_eq(reach(high + 4096, t).walk, OVERHEAD + 4 * LLC, "at the same time: reads all the levels itself");
    cr_assert_eq(reach(high + 2 * 4096, t + SIM_US).walk, OVERHEAD + LLC);
    fixture_drop();
}

Test(iommu_timing, a_refusal_takes_its_walk_and_is_not_cached) {
    const struct iommu_config config = plain_config();
    struct iommu_domain *domain = make(&config);
    cr_assert_eq(iommu_map(domain, 0, FRAME, 4096, IOMMU_READ), OK);
    warm_tables();
    (void)reach(0, 0);
    for (uint64_t i = 1; i <= 2; ++i) {
        const struct iommu_result result = iommu_translate(iommu, FIXTURE_FUNCTION, 4096, false, i * SIM_US);
        cr_assert_not(result.allowed);
        cr_assert_eq(result.done, i * SIM_US + HIT + OVERHEAD + LLC);
    }
    fixture_drop();
}

/* ---- the IOTLB against a list ---- */

enum { PAGES = 64, DOMAINS = 2 };

/* The naive model: when each page of each domain was last used; 0: not cached. */
static uint64_t used[DOMAINS][PAGES];

static void model_insert(unsigned domain, unsigned page, unsigned sets, unsigned ways, uint64_t tick) {
    unsigned count = 0;
    uint64_t *oldest = NULL;
    for (unsigned d = 0; d < DOMAINS; ++d) {
        for (unsigned p = page % sets; p < PAGES; p += sets) {
            if (used[d][p] != 0) {
                ++count;
                oldest = oldest == NULL || used[d][p] < *oldest ? &used[d][p] : oldest;
            }
        }
    }
    if (count == ways) {
        *oldest = 0;
    }
    used[domain][page] = tick;
}

static void compare_with_model(unsigned entries, unsigned ways) {
    struct iommu_config config = plain_config();
    config.iotlb_entries = entries;
    config.iotlb_ways = ways;
    const unsigned real_ways = ways == 0 ? entries : ways;
    struct iommu_domain *domains[DOMAINS] = {make(&config), fixture_domain()};
    const uint16_t functions[DOMAINS] = {FIXTURE_FUNCTION, FIXTURE_OTHER};
    static bool mapped[DOMAINS][PAGES];
    memset(mapped, 0, sizeof mapped);
    memset(used, 0, sizeof used);
    cr_assert_eq(iommu_attach(iommu, FIXTURE_OTHER, domains[1]), OK);
    for (unsigned d = 0; d < DOMAINS; ++d) { /* contexts known */
        (void)iommu_translate(iommu, functions[d], 1 << 30, false, 0);
    }
    uint64_t random = 5 + entries, hits = 0;
    for (uint64_t round = 1; round <= 100000; ++round) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407U;
        const unsigned domain = (unsigned)(random >> 60) % DOMAINS;
        const unsigned page = (unsigned)(random >> 33) % ((random >> 20) % 2 != 0 ? 12 : PAGES);
        const uint64_t iova = (uint64_t)page * 4096;
        const uint64_t frame = FRAME + (uint64_t)(domain * PAGES + page) * 4096;
        if ((random >> 25) % 64 == 0) { /* unmaps some, from here on */
            const unsigned count = 1 + (unsigned)(random >> 40) % (PAGES - page);
            (void)iommu_unmap(domains[domain], iova, (uint64_t)count * 4096);
            memset(&used[domain][page], 0, count * sizeof used[0][0]);
            memset(&mapped[domain][page], 0, count * sizeof mapped[0][0]);
        } else if ((random >> 25) % 64 < 12) {
            cr_assert_eq(iommu_map(domains[domain], iova, frame, 4096, IOMMU_READ),
                         mapped[domain][page] ? ERR_EXISTS : OK);
            mapped[domain][page] = true;
        } else {
            const struct iommu_result result =
                iommu_translate(iommu, functions[domain], iova, false, round * 10 * SIM_US);
            cr_assert_eq(result.allowed, mapped[domain][page], "round %llu", (unsigned long long)round);
            cr_assert_eq(result.iotlb_hit, used[domain][page] != 0, "round %llu", (unsigned long long)round);
            cr_assert(!result.allowed || result.physical == frame);
            hits += result.iotlb_hit;
            if (used[domain][page] != 0) {
                used[domain][page] = round;
            } else if (mapped[domain][page]) {
                model_insert(domain, page, entries / real_ways, real_ways, round);
            }
        }
    }
    cr_assert_gt(hits, 1000);
    fixture_drop();
}

Test(iommu_timing, a_fully_associative_iotlb_agrees_with_a_list) {
    compare_with_model(16, 0);
}
Test(iommu_timing, a_set_associative_iotlb_agrees_with_a_list) {
    compare_with_model(24, 4);
}
Test(iommu_timing, a_direct_mapped_iotlb_agrees_with_a_list) {
    compare_with_model(16, 1);
}
Test(iommu_timing, an_iotlb_of_one_entry_agrees_with_a_list) {
    compare_with_model(1, 0);
}
