/* The write cache: what is durable when, and what that costs. */
#include "hw/media/block_store.h"
#include "sim/random.h"
#include "tests/hw/nvme_fixture.h"

#define SLOW "command_processing: 1 us, media: {type: low_latency, write_latency: 1 ms, partitions: 4}"

static struct nvme_fixture fixture;
static struct test_driver driver;
static struct random_stream *dice;

static void start(const char *settings) {
    nvme_fixture_make(&fixture, settings, "off");
    driver_enable(&driver, &fixture, 0);
    driver_create_queue(&driver, 1, 64, 0);
    dice = random_stream_create("cut");
}

static struct nvme_sqe write_of(uint64_t block, uint8_t value, bool forced) {
    const uint64_t at = driver.data + value * UINT64_C(4096);
    memory_fill(fixture.machine->memory, at, value, 4096);
    struct nvme_sqe sqe = io_command(&driver, NVME_WRITE, 1, block, 8, at);
    sqe.dword12 |= forced ? UINT32_C(1) << NVME_FORCE_UNIT_ACCESS_BIT : 0;
    return sqe;
}

static sim_time time_of(struct nvme_sqe sqe) {
    const sim_time before = sim_now();
    cr_assert_eq(command_run(&driver, 1, sqe, NULL), NVME_SUCCESS);
    return sim_now() - before;
}

static const struct nvme_sqe flush = {.opcode = NVME_FLUSH, .nsid = 1};

static int byte_of(uint64_t block) {
    uint8_t bytes[512];
    block_store_read(nvme_store(fixture.nvme), block, 1, bytes);
    return bytes[100];
}

static void cut(double kept) {
    nvme_power_cut(fixture.nvme, dice, kept);
}

Test(nvme_cache, a_volatile_cache_is_fast_and_loses_what_was_not_flushed) {
    start("capacity: 1 MiB, write_cache: volatile, destage_from: 1 MiB, " SLOW);
    cr_assert_lt(time_of(write_of(0, 1, false)), 10 * SIM_US);
    cr_assert_lt(time_of(write_of(8, 2, false)), 10 * SIM_US);
    cr_assert_gt(time_of(flush), SIM_MS, "until both are on the medium");
    cr_assert_lt(time_of(flush), 10 * SIM_US, "nothing is left to do");
    cr_assert_lt(time_of(write_of(8, 3, false)), 10 * SIM_US);
    cr_assert_lt(time_of(write_of(16, 4, false)), 10 * SIM_US);
    cr_assert_gt(time_of(write_of(24, 5, true)), SIM_MS, "written through");
    cr_assert_eq(byte_of(8), 3);
    cut(0.0);
    cr_assert_eq(byte_of(0), 1);
    cr_assert_eq(byte_of(8), 2, "the version that was flushed");
    cr_assert_eq(byte_of(16), 0);
    cr_assert_eq(byte_of(24), 5);
    nvme_fixture_free(&fixture);
}

Test(nvme_cache, a_protected_cache_keeps_what_it_has_taken) {
    start("capacity: 1 MiB, write_cache: protected, " SLOW);
    cr_assert_lt(time_of(write_of(0, 1, false)), 10 * SIM_US);
    cr_assert_lt(time_of(write_of(8, 2, true)), 10 * SIM_US, "FUA costs nothing");
    cr_assert_lt(time_of(flush), 10 * SIM_US, "nor does a flush");
    cut(0.0);
    cr_assert_eq(byte_of(0), 1);
    cr_assert_eq(byte_of(8), 2);
    nvme_fixture_free(&fixture);
}

Test(nvme_cache, without_a_cache_a_write_is_on_the_medium) {
    start("capacity: 1 MiB, " SLOW);
    cr_assert_gt(time_of(write_of(0, 1, false)), SIM_MS);
    cut(0.0);
    cr_assert_eq(byte_of(0), 1);
    nvme_fixture_free(&fixture);
}

Test(nvme_cache, a_cache_that_is_switched_off_writes_through) {
    start("capacity: 1 MiB, write_cache: volatile, " SLOW);
    const struct nvme_sqe off = {.opcode = NVME_ADMIN_SET_FEATURES, .dword10 = NVME_FEATURE_WRITE_CACHE};
    cr_assert_eq(command_run(&driver, 0, off, NULL), NVME_SUCCESS);
    cr_assert_gt(time_of(write_of(0, 1, false)), SIM_MS);
    cut(0.0);
    cr_assert_eq(byte_of(0), 1);
    nvme_fixture_free(&fixture);
}

Test(nvme_cache, reads_hit_what_is_in_it) {
    start("capacity: 1 MiB, write_cache: volatile, destage_from: 1 MiB, command_processing: 1 us, "
          "media: {type: low_latency, read_latency: 500 us}");
    (void)time_of(write_of(8, 3, false));
    cr_assert_lt(time_of(io_command(&driver, NVME_READ, 1, 8, 8, driver.data)), 10 * SIM_US);
    cr_assert_eq(*memory_at(fixture.machine->memory, driver.data), 3);
    cr_assert_gt(time_of(io_command(&driver, NVME_READ, 1, 9, 8, driver.data)), 500 * SIM_US, "not all of it");
    cr_assert_eq(nvme_counters(fixture.nvme, 0)->cache_hits, 1);
    nvme_fixture_free(&fixture);
}

/* A full cache takes writes at the medium's rate: 4 partitions, 1 ms each. */
Test(nvme_cache, a_full_cache_is_as_slow_as_the_medium) {
    start("capacity: 1 MiB, write_cache: volatile, write_cache_size: 32 KiB, destage_outstanding: 4, " SLOW);
    const sim_time before = sim_now();
    for (uint32_t i = 0; i < 48; i++) {
        (void)command_put(&driver, 1, write_of(8 * i, (uint8_t)(1 + i), false));
    }
    doorbell_ring(&driver, 1);
    struct nvme_cqe cqe;
    uint32_t done = 0;
    sim_time last = 0;
    while (done < 48) {
        run_for(100 * SIM_US);
        while (completion_take(&driver, 1, &cqe)) {
            done++;
            last = sim_now();
        }
        cr_assert_leq(block_store_volatile_blocks(nvme_store(fixture.nvme)), 64, "32 KiB");
    }
    const double ms = (double)(last - before) / (double)SIM_MS;
    cr_assert(ms > 9.9 && ms < 10.4, "8 fit; the other 40 take ten rounds of four: %f ms", ms);
    cr_assert_eq(command_run(&driver, 1, flush, NULL), NVME_SUCCESS);
    cr_assert_eq(block_store_volatile_blocks(nvme_store(fixture.nvme)), 0);
    nvme_fixture_free(&fixture);
}

Test(nvme_cache, what_is_written_again_is_destaged_once) {
    start("capacity: 1 MiB, write_cache: volatile, destage_from: 1 MiB, " SLOW);
    for (uint8_t i = 1; i <= 20; i++) {
        (void)time_of(write_of(8, i, false));
    }
    cr_assert_eq(command_run(&driver, 1, flush, NULL), NVME_SUCCESS);
    cr_assert_eq(counter_of(fixture.machine, "ssd", "cache_destages"), 1);
    cr_assert_eq(counter_of(fixture.machine, "ssd", "cache_superseded"), 19);
    cut(0.0);
    cr_assert_eq(byte_of(8), 20);
    nvme_fixture_free(&fixture);
}

Test(nvme_cache, a_flush_waits_for_its_own_namespace_alone) {
    start("capacity: 1 MiB, default_namespace: false, write_cache: volatile, destage_outstanding: 1, " SLOW);
    uint32_t first = 0;
    uint32_t second = 0;
    cr_assert_eq(nvme_namespace_allocate(fixture.nvme, 1000, &first), OK);
    cr_assert_eq(nvme_namespace_allocate(fixture.nvme, 1000, &second), OK);
    cr_assert_eq(nvme_namespace_attach(fixture.nvme, 0, first, 3), OK);
    cr_assert_eq(nvme_namespace_attach(fixture.nvme, 0, second, 3), OK);
    (void)time_of(write_of(0, 1, false));
    for (uint8_t i = 0; i < 10; i++) {
        struct nvme_sqe other = write_of(8 * i, 9, false);
        other.nsid = second;
        (void)time_of(other);
    }
    cr_assert_lt(time_of(flush), 2 * SIM_MS, "the first destage alone");
    const struct nvme_sqe all = {.opcode = NVME_FLUSH, .nsid = NVME_NSID_ALL};
    cr_assert_gt(time_of(all), 8 * SIM_MS);
    nvme_fixture_free(&fixture);
}

Test(nvme_cache, a_shutdown_ends_when_the_cache_is_clean) {
    start("capacity: 1 MiB, write_cache: volatile, " SLOW);
    (void)time_of(write_of(0, 1, false));
    drive_poke(&driver, NVME_REG_CC, 4, NVME_CC_ON | 1 << NVME_CC_SHN_SHIFT);
    cr_assert_eq(drive_register(&driver, NVME_REG_CSTS) >> 2 & 3, 1, "occurring");
    run_for(3 * SIM_MS);
    cr_assert_eq(drive_register(&driver, NVME_REG_CSTS) >> 2 & 3, 2, "complete");
    cut(0.0);
    cr_assert_eq(byte_of(0), 1);
    nvme_fixture_free(&fixture);
}

/* A destage carries the version that the cache has when it begins, and no other. */
Test(nvme_cache, a_destage_makes_durable_what_it_carries) {
    start("capacity: 1 MiB, write_cache: volatile, " SLOW);
    (void)time_of(write_of(8, 1, false));
    run_for(500 * SIM_US);
    (void)time_of(write_of(8, 2, false));
    run_for(600 * SIM_US);
    cr_assert_eq(byte_of(8), 2);
    cut(0.0);
    cr_assert_eq(byte_of(8), 1);
    nvme_fixture_free(&fixture);
}

/* Flushes promise what was written before them, whatever comes after. */
Test(nvme_cache, a_flush_holds_for_a_block_that_is_written_again_meanwhile) {
    for (sim_time when = 20 * SIM_US; when < 4 * SIM_MS; when += 90 * SIM_US) {
        start("capacity: 1 MiB, write_cache: volatile, destage_outstanding: 1, destage_from: 1 MiB, " SLOW);
        (void)time_of(write_of(0, 1, false));
        (void)time_of(write_of(8, 1, false));
        (void)time_of(write_of(16, 1, false));
        const uint16_t id = command_put(&driver, 1, flush);
        doorbell_ring(&driver, 1);
        run_for(when); /* the first, second or third is on its way, or all are down */
        for (uint64_t block = 0; block <= 16; block += 8) {
            (void)command_put(&driver, 1, write_of(block, 2, false));
        }
        doorbell_ring(&driver, 1);
        struct nvme_cqe cqe = {0};
        bool flushed = false;
        for (int i = 0; i < 10000 && !flushed; i++) {
            run_for(SIM_US);
            flushed = completion_take(&driver, 1, &cqe) && cqe.command_id == id;
        }
        cr_assert(flushed);
        cut(0.0);
        for (uint64_t block = 0; block <= 16; block += 8) {
            cr_assert_geq(byte_of(block), 1, "at %llu us, block %llu", (unsigned long long)(when / SIM_US),
                          (unsigned long long)block);
        }
        random_stream_free(dice);
        nvme_fixture_free(&fixture);
    }
}

/* What is on its way when a block is written through, deallocated or lost with its
 * namespace does not come back. */
Test(nvme_cache, what_was_on_its_way_does_not_overwrite_what_is_newer) {
    start("capacity: 1 MiB, write_cache: volatile, " SLOW);
    (void)time_of(write_of(8, 1, false));
    (void)time_of(write_of(16, 1, false));
    run_for(100 * SIM_US); /* both are on their way */
    const struct nvme_dsm_range range = {0, 8, 16};
    memory_write(fixture.machine->memory, driver.data, &range, sizeof range);
    const struct nvme_sqe deallocate = {
        .opcode = NVME_DATASET_MANAGEMENT, .nsid = 1, .prp1 = driver.data, .dword11 = NVME_DSM_DEALLOCATE};
    (void)time_of(deallocate);
    (void)time_of(write_of(16, 3, false));
    run_for(1300 * SIM_US); /* the first destage has ended, that of the third version has not */
    cr_assert_eq(block_store_volatile_blocks(nvme_store(fixture.nvme)), 8);
    cut(0.0);
    cr_assert_eq(byte_of(8), 1);
    cr_assert_eq(byte_of(16), 0, "not the version from before");
    nvme_fixture_free(&fixture);
}

Test(nvme_cache, what_was_on_its_way_for_a_namespace_goes_with_it) {
    start("capacity: 1 MiB, write_cache: volatile, " SLOW);
    (void)time_of(write_of(8, 4, false));
    run_for(100 * SIM_US);
    cr_assert_eq(nvme_namespace_delete(fixture.nvme, 1), OK);
    run_for(5 * SIM_MS);
    cr_assert_eq(byte_of(8), 0);
    cr_assert_eq(nvme_counters(fixture.nvme, 0)->errors, 0);
    nvme_fixture_free(&fixture);
}

/* ---- the power is cut at any time ---- */

enum { BLOCKS = 64, STEPS = 400 };

/* Versions of a block: the newest known durable, and the newest submitted. */
static struct { uint8_t durable, acknowledged, submitted; } model[BLOCKS];

static void check_after_cut(void) {
    for (uint32_t i = 0; i < BLOCKS; i++) {
        const int version = byte_of(8 * i);
        cr_assert(version >= model[i].durable && version <= model[i].submitted, "block %u: %d, not %u to %u", i,
                  version, model[i].durable, model[i].submitted);
        for (uint32_t j = 0; j < 8; j++) {
            cr_assert(byte_of(8 * i + j) <= model[i].submitted);
        }
    }
}

static void one_life(uint64_t steps, double kept) {
    memset(model, 0, sizeof model);
    block_store_deallocate(nvme_store(fixture.nvme), 0, BLOCKS * 8);
    driver_enable(&driver, &fixture, 0);
    driver_create_queue(&driver, 1, 64, 0);
    for (uint64_t i = 0; i < steps; i++) {
        const uint64_t block = random_below(dice, BLOCKS);
        const uint64_t what = random_below(dice, 16);
        if (what == 0) {
            cr_assert_eq(command_run(&driver, 1, flush, NULL), NVME_SUCCESS);
            for (uint32_t j = 0; j < BLOCKS; j++) {
                model[j].durable = model[j].acknowledged;
            }
        } else {
            model[block].submitted++;
            cr_assert_eq(command_run(&driver, 1, write_of(8 * block, model[block].submitted, what == 1), NULL), 0);
            model[block].acknowledged = model[block].submitted;
            model[block].durable = what == 1 ? model[block].submitted : model[block].durable;
        }
    }
    if (steps % 2 == 0) { /* some lives end with a command under way */
        model[3].submitted++;
        (void)command_put(&driver, 1, write_of(24, model[3].submitted, false));
        doorbell_ring(&driver, 1);
        run_for(random_below(dice, 10) * SIM_US);
    }
    cut(kept);
    check_after_cut();
    run_for(10 * SIM_MS); /* what the medium was doing changes nothing any more */
    check_after_cut();
}

Test(nvme_cache, whenever_the_power_goes_only_what_was_not_flushed_may_be_lost) {
    start("capacity: 1 MiB, write_cache: volatile, write_cache_size: 64 KiB, destage_outstanding: 2, "
          "media: {type: low_latency, write_latency: 60 us, partitions: 4}");
    for (uint64_t steps = 1; steps < STEPS; steps += 7) {
        one_life(steps, steps % 3 == 0 ? 0.0 : 0.5);
    }
    nvme_fixture_free(&fixture);
}
