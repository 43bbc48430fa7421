/* test_flash_ftl.c: the translation layer: write amplification against the closed form,
 * its state against a checker, wear, deallocation, determinism. */
#include <criterion/criterion.h>
#include <gsl/gsl_sf_lambert.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/hw/flash_fixture.h"

/* ---- Write amplification ----
 * Uniform random writes on a full drive, greedy collection, large blocks: with a =
 * physical over logical space, a / (a + W(-a exp(-a))) (P. Desnoyers, Analytic
 * modeling of SSD write performance, SYSTOR 2012; Xiang and Kurkoski, An improved
 * analytic expression for write amplification in NAND flash, ICNC 2012). */

static double closed_form(double over_provisioning) {
    const double a = 1 + over_provisioning;
    return a / (a + gsl_sf_lambert_W0(-a * exp(-a)));
}

static double amplification(const struct flash_drive *drive) {
    const double host = (double)flash_counter(drive, "host_units");
    return (host + (double)flash_counter(drive, "gc_units") + (double)flash_counter(drive, "empty_units")) / host;
}

/* The drive is overwritten at random until it is steady: all of its flash has been
 * written six times, and what it holds `rounds` times, in which dies come to hold more
 * or less than their share. Measured while the flash is written twice more, through the
 * dies and their queues. */
static void check_amplification(const char *geometry, uint64_t capacity_bytes, double over_provisioning,
                                double rounds) {
    const double expected = closed_form(over_provisioning);
    char text[512];
    (void)snprintf(text, sizeof text, "%sover_provisioning: %g %%\nprecondition: random\nprecondition_writes: %g\n",
                   geometry, 100 * over_provisioning, fmax(6 / expected, rounds));
    struct flash_drive *drive = flash_drive_make(capacity_bytes, text);
    (void)flash_load(drive, 32, (uint64_t)(2 / expected * drive->flash->ftl.config.units), flash_choose_write);
    const double got = amplification(drive);
    cr_log_info("over-provisioning %.2f: %.3f, closed form %.3f, %+.1f %%", over_provisioning, got, expected,
                100 * (got / expected - 1));
    cr_expect(fabs(got / expected - 1) < 0.05, "over-provisioning %.2f: %.3f, closed form %.3f", over_provisioning, got,
              expected);
    flash_check_state(drive);
    flash_drive_free(drive);
}

static const double over_provisionings[] = {0.07, 0.10, 0.20, 0.28, 0.50};

Test(flash_ftl, write_amplification_of_one_die_is_the_closed_form) {
    cr_assert_float_eq(closed_form(0.07), 7.82, 0.005);
    cr_assert_float_eq(closed_form(0.50), 1.72, 0.005);
    for (unsigned i = 0; i < 5; i++) {
        check_amplification(
            "channels: 1\nchips: 1\nplanes: 1\npage_size: 4 KiB\npages_per_block: 256\nfill_wait: 1 s\n",
            2048 * (uint64_t)FLASH_MIB, over_provisionings[i], 0);
    }
}

Test(flash_ftl, write_amplification_of_two_dies_is_the_closed_form) {
    for (unsigned i = 0; i < 5; i += 2) {
        check_amplification("channels: 2\nchips: 1\nplanes: 2\npage_size: 8 KiB\npages_per_block: 64\nfill_wait: 1 s\n",
                            2048 * (uint64_t)FLASH_MIB, over_provisionings[i], 2);
    }
}

Test(flash_ftl, collecting_the_oldest_block_amplifies_as_much) {
    /* Uniform writes: which block is oldest and which has fewest valid units agree. */
    check_amplification("channels: 1\nchips: 1\nplanes: 1\npage_size: 4 KiB\npages_per_block: 128\nfill_wait: 1 s\n"
                        "gc_policy: fifo\n",
                        256 * (uint64_t)FLASH_MIB, 0.28, 0);
}

/* Nine of ten writes go to a tenth of the drive. */
static void choose_skewed_write(struct flash_drive *drive, struct random_stream *stream,
                                struct media_command *command) {
    const uint64_t units = drive->flash->ftl.config.units;
    const bool is_hot = random_below(stream, 10) < 9;
    command->operation = MEDIA_WRITE;
    command->offset_bytes = 4096 * random_below(stream, is_hot ? units / 10 : units);
    command->length_bytes = 4096;
}

#define SMALL                                                                                                          \
    "channels: 2\nchips: 1\nplanes: 2\npage_size: 8 KiB\npages_per_block: 16\nover_provisioning: 20 %\nfill_wait: 1 "  \
    "s\n"

static double skewed(const char *parameters) {
    struct flash_drive *drive = flash_drive_make(64 * FLASH_MIB, parameters);
    (void)flash_load(drive, 32, 100000, choose_skewed_write);
    flash_media_ops.reset_stats(drive->media);
    (void)flash_load(drive, 32, 100000, choose_skewed_write);
    flash_check_state(drive);
    const double got = amplification(drive);
    flash_drive_free(drive);
    return got;
}

Test(flash_ftl, cost_and_benefit_win_where_some_data_are_hot) {
    const double greedy = skewed(SMALL "precondition: random\n");
    const double cost_benefit = skewed(SMALL "precondition: random\ngc_policy: cost_benefit\n");
    cr_log_info("greedy %.3f, cost-benefit %.3f", greedy, cost_benefit);
    cr_assert_lt(cost_benefit, greedy);
}

/* ---- Wear ---- */

static void wear(const char *levelling, uint64_t *least, uint64_t *most, uint64_t *moves) {
    char text[512];
    (void)snprintf(text, sizeof text, "%sprecondition: sequential\nwear_gap: 8\nwear_levelling: %s\n", SMALL,
                   levelling);
    struct flash_drive *drive = flash_drive_make(64 * FLASH_MIB, text);
    (void)flash_load(drive, 32, 300000, choose_skewed_write);
    *least = flash_counter(drive, "block_erases_min");
    *most = flash_counter(drive, "block_erases_max");
    *moves = flash_counter(drive, "wear_moves");
    flash_check_state(drive);
    flash_drive_free(drive);
}

Test(flash_ftl, static_wear_levelling_keeps_blocks_together) {
    uint64_t least, most, moves, least_static, most_static, moves_static;
    wear("none", &least, &most, &moves);
    wear("static", &least_static, &most_static, &moves_static);
    cr_log_info("erases: none %llu..%llu, static %llu..%llu", (unsigned long long)least, (unsigned long long)most,
                (unsigned long long)least_static, (unsigned long long)most_static);
    cr_assert_gt(most - least, 16);
    cr_assert_leq(most_static - least_static, 8 + 2); /* the gap, and what wears while one moves */
    cr_assert_eq(moves, 0);
    cr_assert_gt(moves_static, 0);
}

/* ---- State ---- */

/* What a block looked like, to see that between erases slots are programmed in order
 * and once. */
struct shadow {
    uint32_t written, erases, *owners;
};

static void check_history(const struct flash_drive *drive, struct shadow *shadows) {
    const struct ftl *ftl = &drive->flash->ftl;
    const uint32_t slots = ftl->config.slots;
    for (uint32_t i = 0; i < ftl->config.dies * ftl->config.blocks; i++) {
        const struct ftl_block *block = &ftl->dies[i / ftl->config.blocks].blocks[i % ftl->config.blocks];
        struct shadow *shadow = &shadows[i];
        if (block->owners == NULL) {
            continue;
        }
        if (block->erases == shadow->erases) {
            cr_assert_geq(block->written, shadow->written);
            for (uint32_t slot = 0; slot < shadow->written; slot++) {
                cr_assert(block->owners[slot] == shadow->owners[slot] || block->owners[slot] == FTL_NONE,
                          "a slot was programmed twice");
            }
        }
        *shadow = (struct shadow){block->written, block->erases, shadow->owners};
        for (uint32_t slot = 0; slot < slots; slot++) {
            shadow->owners[slot] = block->owners[slot];
        }
    }
}

static void check_random_work(const char *parameters) {
    struct flash_drive *drive = flash_drive_make(4 * FLASH_MIB, parameters);
    const struct ftl_config *geometry = &drive->flash->ftl.config;
    const uint32_t blocks = geometry->dies * geometry->blocks;
    struct shadow *shadows = calloc(blocks, sizeof *shadows);
    for (uint32_t i = 0; i < blocks; i++) {
        shadows[i].owners = calloc(geometry->slots, sizeof *shadows[i].owners);
    }
    drive->ledger = ledger_create("io");
    ledger_record(drive->ledger, true);
    for (unsigned round = 0; round < 150; round++) {
        (void)flash_load(drive, 1 + round % 24, 40, flash_choose_any);
        flash_check_state(drive);
        check_history(drive, shadows);
    }
    cr_assert_gt(flash_counter(drive, "erases"), blocks / 2);
    cr_assert_gt(flash_counter(drive, "gc_units"), 100);
    cr_assert_eq(ledger_audit(drive->ledger, sim_now()), 0);
    for (uint32_t i = 0; i < blocks; i++) {
        free(shadows[i].owners);
    }
    free(shadows);
    flash_drive_free(drive);
}

#define TINY "channels: 2\nchips: 1\nplanes: 2\npage_size: 8 KiB\npages_per_block: 4\nover_provisioning: 40 %\n"

Test(flash_ftl, its_tables_agree_whatever_is_done) {
    check_random_work(TINY);
    check_random_work(TINY "fill_wait: 200 us\nfirmware_read: 5 us\nfirmware_write: 3 us\n");
    check_random_work(TINY
                      "order: reads_first\nsuspend: program_and_erase\nsuspend_latency: 20 us\nresume_latency: 9 us\n");
    check_random_work(TINY "gc_policy: cost_benefit\nwear_levelling: static\nwear_gap: 3\n");
    check_random_work(TINY "gc_policy: fifo\ngc_start: 4\ngc_stop: 6\nprecondition: random\n");
    check_random_work(
        "channels: 1\nchips: 1\nplanes: 1\npage_size: 4 KiB\npages_per_block: 8\nover_provisioning: 10 %\n"
        "precondition: sequential\n");
}

Test(flash_ftl, the_last_die_may_take_more_than_its_share) {
    /* One unit, over and over, by more writers than there is room for pending units. */
    struct flash_drive *drive = flash_drive_make(4 * FLASH_MIB, TINY "precondition: sequential\n");
    struct flash_access *accesses = calloc(2000, sizeof *accesses);
    for (unsigned i = 0; i < 2000; i++) {
        flash_access_now(drive, &accesses[i], MEDIA_WRITE, 0, 4096);
    }
    sim_run(SIM_TIME_MAX);
    for (unsigned i = 0; i < 2000; i++) {
        cr_assert(accesses[i].is_done);
    }
    cr_assert_eq(flash_counter(drive, "stale_units"), 1997); /* but the last, and those that two dies took at once */
    flash_check_state(drive);
    free(accesses);
    flash_drive_free(drive);
}

Test(flash_ftl, a_deallocated_drive_collects_without_copies) {
    struct flash_drive *drive = flash_drive_make(16 * FLASH_MIB, TINY "precondition: random\n");
    (void)flash_alone(drive, MEDIA_DEALLOCATE, 0, 16 * FLASH_MIB);
    cr_assert_eq(flash_counter(drive, "deallocated_units"), 4096);
    for (uint32_t die = 0; die < drive->flash->ftl.config.dies; die++) {
        cr_assert_eq(drive->flash->ftl.dies[die].valid, 0);
    }
    for (uint64_t at = 0; at < 16 * FLASH_MIB; at += 65536) {
        (void)flash_alone(drive, MEDIA_WRITE, at, 65536);
    }
    cr_assert_eq(flash_counter(drive, "gc_units"), 0);
    cr_assert_gt(flash_counter(drive, "erases"), 0);
    flash_check_state(drive);
    flash_drive_free(drive);
}

Test(flash_ftl, a_filled_drive_is_mapped_everywhere) {
    static const char *const fills[] = {TINY "precondition: sequential\n", TINY "precondition: random\n"};
    for (unsigned i = 0; i < 2; i++) {
        struct flash_drive *drive = flash_drive_make(16 * FLASH_MIB, fills[i]);
        uint64_t valid = 0;
        for (uint32_t die = 0; die < drive->flash->ftl.config.dies; die++) {
            valid += drive->flash->ftl.dies[die].valid + drive->flash->ftl.dies[die].held.count;
        }
        cr_assert_eq(valid, 4096);
        cr_assert_eq(sim_now(), 0);
        cr_assert_eq(flash_counter(drive, "host_units"), 0); /* none of a run's work */
        flash_check_state(drive);
        flash_drive_free(drive);
    }
}

/* ---- The same again ---- */

static sim_time busy_hour(uint64_t counters[6]) {
    static const char *const names[] = {"host_units", "gc_units", "erases", "suspends", "stale_units", "buffer_reads"};
    struct flash_drive *drive =
        flash_drive_make(16 * FLASH_MIB, TINY "precondition: random\nsuspend: erase\nfill_wait: 90 us\n");
    const sim_time took = flash_load(drive, 16, 4000, flash_choose_any);
    for (unsigned i = 0; i < 6; i++) {
        counters[i] = flash_counter(drive, names[i]);
    }
    flash_drive_free(drive);
    return took;
}

Test(flash_ftl, the_same_seed_gives_the_same_run) {
    uint64_t one[6], two[6];
    cr_assert_eq(busy_hour(one), busy_hour(two));
    cr_assert_arr_eq(one, two, sizeof one);
}

Test(flash_ftl, a_fresh_terabyte_costs_little_memory) {
    const struct mallinfo2 before = mallinfo2();
    struct flash_drive *drive = flash_drive_make(UINT64_C(1000000000000), "channels: 8\nchips: 4\ndies: 2\nplanes: 2\n"
                                                                          "page_size: 8 KiB\npages_per_block: 256\n");
    (void)flash_load(drive, 32, 1000, flash_choose_read);
    const struct mallinfo2 after = mallinfo2();
    const double megabytes =
        ((double)(after.uordblks + after.hblkhd) - (double)(before.uordblks + before.hblkhd)) / 1e6;
    cr_log_info("a fresh drive of 1 TB: %.1f MB", megabytes);
    cr_assert_lt(megabytes, 100);
    flash_drive_free(drive);
}
