/* Several virtual controllers at once: round robin, weights, rate limits. */
#include "tests/hw/nvme_fixture.h"

#define DRIVE "capacity: 1 GiB, virtual_functions: 4, command_processing: 500 ns, "
#define FAST "media: {type: low_latency, read_latency: 8 us, partitions: 4}"
enum { ENTRIES = 64, DRIVERS_MAX = 4 };

static struct nvme_fixture fixture;
static struct test_driver drivers[DRIVERS_MAX];

static void start(const char *settings, uint32_t count) {
    nvme_fixture_make(&fixture, settings, "off");
    for (uint32_t i = 0; i < count; i++) {
        driver_enable(&drivers[i], &fixture, i + 1);
        driver_create_queue(&drivers[i], 1, ENTRIES, 0);
        cr_assert_eq(nvme_namespace_attach(fixture.nvme, i + 1, 1, 3), OK);
    }
}

/* Keeps `depth` commands under way. */
static void refill(struct test_driver *driver, uint32_t depth, uint32_t blocks) {
    struct test_queue *queue = &driver->queues[1];
    struct nvme_cqe cqe;
    static uint32_t under_way[DRIVERS_MAX + 1];
    if (driver->next_id == 2) {
        under_way[driver->function] = 0;
    }
    while (completion_take(driver, 1, &cqe)) {
        under_way[driver->function]--;
    }
    while (under_way[driver->function] < depth) {
        const uint64_t block = (driver->next_id * UINT64_C(8) + driver->function * 80000) % 100000;
        (void)command_put(driver, 1, io_command(driver, NVME_READ, 1, block, blocks, driver->data));
        under_way[driver->function]++;
    }
    (void)queue;
    doorbell_ring(driver, 1);
}

static void flood(uint32_t count, const uint32_t *depths, uint32_t blocks, sim_time duration) {
    for (const sim_time end = sim_now() + duration; sim_now() < end;) {
        for (uint32_t i = 0; i < count; i++) {
            refill(&drivers[i], depths[i], blocks);
        }
        run_for(5 * SIM_US);
    }
}

static uint64_t reads_of(uint32_t driver) {
    return nvme_counters(fixture.nvme, driver + 1)->reads;
}

static const uint32_t deep[DRIVERS_MAX] = {63, 63, 63, 63};

Test(nvme_sharing, round_robin_is_fair_whatever_the_depth) {
    static const uint32_t depths[DRIVERS_MAX] = {63, 40, 63, 24};
    start("commands: 32, arbitration_burst: 2, " DRIVE FAST, 4);
    flood(4, depths, 8, 60 * SIM_MS);
    const double mean = (double)(reads_of(0) + reads_of(1) + reads_of(2) + reads_of(3)) / 4;
    cr_assert_gt(mean, 3000);
    for (uint32_t i = 0; i < 4; i++) {
        cr_assert_float_eq((double)reads_of(i) / mean, 1.0, 0.01, "controller %u: %llu of %f", i,
                           (unsigned long long)reads_of(i), mean);
    }
    nvme_fixture_free(&fixture);
}

Test(nvme_sharing, weights_are_kept) {
    static const uint32_t weights[] = {1, 2, 5};
    start("commands: 32, arbitration: weighted, " DRIVE FAST, 3);
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(nvme_set_weight(fixture.nvme, i + 1, weights[i]), OK);
    }
    cr_assert_eq(nvme_set_weight(fixture.nvme, 1, 0), ERR_RANGE);
    flood(3, deep, 8, 80 * SIM_MS);
    const double unit = (double)(reads_of(0) + reads_of(1) + reads_of(2)) / 8;
    cr_assert_gt(unit, 2000);
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_float_eq((double)reads_of(i) / unit / weights[i], 1.0, 0.01, "controller %u: %llu", i,
                           (unsigned long long)reads_of(i));
    }
    nvme_fixture_free(&fixture);
}

/* Who does not use its share leaves it to the others. */
Test(nvme_sharing, an_idle_controller_costs_the_others_nothing) {
    static const uint32_t depths[DRIVERS_MAX] = {63, 1, 0, 0};
    start("commands: 32, arbitration: weighted, " DRIVE FAST, 3);
    cr_assert_eq(nvme_set_weight(fixture.nvme, 3, 1000), OK);
    flood(3, depths, 8, 20 * SIM_MS);
    const double whole = 20e-3 / (8e-6 + 4096 / 1.2e9) * 4; /* what the medium can */
    cr_assert_float_eq((double)(reads_of(0) + reads_of(1)) / whole, 1.0, 0.03);
    nvme_fixture_free(&fixture);
}

Test(nvme_sharing, a_rate_limit_is_exact_over_time) {
    static const struct {
        struct nvme_rate rate;
        uint32_t blocks;
    } cases[] = {{{99999937, 0, 0}, 8},
                 {{0, 12347, 0}, 8},
                 {{33333331, 0, SIM_MS}, 3},
                 {{80000000, 7001, 100 * SIM_US}, 1},
                 {{80000000, 50000, 0}, 64}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct nvme_rate *rate = &cases[i].rate;
        const double bytes = cases[i].blocks * 512.0;
        start(DRIVE FAST, 2);
        cr_assert_eq(nvme_set_rate(fixture.nvme, 1, rate), OK);
        flood(1, deep, cases[i].blocks, 100 * SIM_MS);
        const double by_bytes = rate->bytes_per_s == 0 ? 1e30 : (double)rate->bytes_per_s / bytes;
        const double by_commands = rate->commands_per_s == 0 ? 1e30 : (double)rate->commands_per_s;
        const double per_s = by_bytes < by_commands ? by_bytes : by_commands;
        /* Beside the rate's: the burst, the one that passes a bucket without debt, and
         * what is on its way at the end. */
        const double least = per_s * 0.1 - 2;
        const double most = per_s * (0.1 + (double)rate->burst / (double)SIM_S) + 2;
        cr_assert((double)reads_of(0) >= least && (double)reads_of(0) <= most, "case %zu: %llu, not %f to %f", i,
                  (unsigned long long)reads_of(0), least, most);
        cr_assert_gt(nvme_counters(fixture.nvme, 1)->limited, 0);
        nvme_fixture_free(&fixture);
    }
}

/* A flood behind a limit holds no slots: the other's latency is what it is alone. */
Test(nvme_sharing, a_limited_flood_leaves_the_drive_to_others) {
    static const uint32_t depths[DRIVERS_MAX] = {63, 8, 0, 0};
    static const struct nvme_rate rate = {10000000, 0, 0};
    uint64_t alone = 0;
    for (int limited = 0; limited < 2; limited++) {
        start("commands: 16, " DRIVE FAST, 2);
        cr_assert_eq(nvme_set_rate(fixture.nvme, 1, &rate), OK);
        flood(limited == 0 ? 0 : 2, depths, 8, limited == 0 ? 0 : 40 * SIM_MS);
        for (const sim_time end = sim_now() + 40 * SIM_MS; limited == 0 && sim_now() < end; run_for(5 * SIM_US)) {
            refill(&drivers[1], 8, 8);
        }
        alone = limited == 0 ? reads_of(1) : alone;
        if (limited == 1) {
            cr_assert_float_eq((double)reads_of(1) / (double)alone, 1.0, 0.03, "%llu of %llu",
                               (unsigned long long)reads_of(1), (unsigned long long)alone);
        }
        nvme_fixture_free(&fixture);
    }
}

Test(nvme_sharing, a_share_of_slots_bounds_what_one_controller_has_under_way) {
    static const uint32_t depths[DRIVERS_MAX] = {63, 1, 0, 0};
    start("commands: 64, commands_per_function: 4, " DRIVE FAST, 2);
    flood(2, depths, 8, 20 * SIM_MS);
    /* With 4 on 4 partitions, the other's command waits for one in front of it at most:
     * its rate is at least that of two services and the way. */
    cr_assert_gt(reads_of(1), 20e-3 / (2 * (8e-6 + 4096 / 1.2e9) + 8e-6));
    nvme_fixture_free(&fixture);
}

/* The ledger of a command that waits for its limit says so. */
Test(nvme_sharing, waiting_for_the_limit_is_accounted_for) {
    start(DRIVE FAST, 1);
    const struct nvme_rate rate = {0, 1000, 0};
    cr_assert_eq(nvme_set_rate(fixture.nvme, 1, &rate), OK);
    struct request *requests[3];
    for (int i = 0; i < 3; i++) {
        requests[i] = ledger_begin(fixture.ledger, fixture.driver, LEDGER_SERVICE, sim_now());
        memory_board(fixture.machine->memory, drivers[0].queues[1].sq + drivers[0].queues[1].tail * UINT64_C(64),
                     requests[i]);
        (void)command_put(&drivers[0], 1, io_command(&drivers[0], NVME_READ, 1, 0, 8, drivers[0].data));
    }
    doorbell_ring(&drivers[0], 1);
    run_for(10 * SIM_MS);
    const ledger_component limit = ledger_find("nvme_limit");
    cr_assert_eq(requests[0]->spent[limit][LEDGER_WAITING], 0);
    const sim_time second = requests[1]->spent[limit][LEDGER_WAITING];
    cr_assert(second > 990 * SIM_US && second <= SIM_MS, "a millisecond behind the first");
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(requests[i]->owner, fixture.ready);
        ledger_hand_over(requests[i], fixture.ready, fixture.driver, LEDGER_SERVICE);
        ledger_end(requests[i], fixture.driver, sim_now());
    }
    nvme_fixture_free(&fixture);
}
