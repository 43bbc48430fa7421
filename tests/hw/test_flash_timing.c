/* test_flash_timing.c: exact times, added up from the configuration. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/hw/flash_fixture.h"

/* One die; 400 MB/s are 10,240 ns for a unit of 4 KiB. */
#define ONE_DIE                                                                                                        \
    "channels: 1\nchips: 1\ndies: 1\nplanes: 2\npages_per_block: 8\npage_size: 8 KiB\nover_provisioning: 50 %\n"       \
    "channel_rate: 400 MB/s\ncommand_time: 200 ns\n"
#define UNIT_TIME (10240 * SIM_NS)

Test(flash_timing, a_read_is_command_array_and_transfer) {
    struct flash_drive *drive = flash_drive_make(4 * FLASH_MIB, ONE_DIE "read: 40 us\n");
    cr_assert_eq(flash_alone(drive, MEDIA_READ, 0, 4096), 200 * SIM_NS + 40 * SIM_US + UNIT_TIME);
    /* A stripe is read at once: one array time, its units one after the other. */
    cr_assert_eq(flash_alone(drive, MEDIA_READ, 0, 16384), 200 * SIM_NS + 40 * SIM_US + 4 * UNIT_TIME);
    /* A sector costs a unit's transfer. */
    cr_assert_eq(flash_alone(drive, MEDIA_READ, 512, 512), 200 * SIM_NS + 40 * SIM_US + UNIT_TIME);
    /* Two stripes of one die: one after the other. */
    cr_assert_eq(flash_alone(drive, MEDIA_READ, 0, 32768), 2 * (200 * SIM_NS + 40 * SIM_US + 4 * UNIT_TIME));
    flash_drive_free(drive);
}

Test(flash_timing, firmware_adds_to_latency_and_holds_nothing) {
    struct flash_drive *drive = flash_drive_make(4 * FLASH_MIB, ONE_DIE "read: 40 us\nfirmware_read: 7 us\n");
    const sim_time on_die = 200 * SIM_NS + 40 * SIM_US + UNIT_TIME;
    struct flash_access one, two;
    flash_access_now(drive, &one, MEDIA_READ, 0, 4096);
    flash_access_now(drive, &two, MEDIA_READ, 65536, 4096);
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(one.completed, on_die + 7 * SIM_US);
    cr_assert_eq(two.completed, 2 * on_die + 7 * SIM_US);
    flash_drive_free(drive);
}

Test(flash_timing, page_types_have_their_own_times) {
    struct flash_drive *drive = flash_drive_make(
        4 * FLASH_MIB, ONE_DIE "cell: tlc\nread: 40 us\nread_csb: 60 us\nread_msb: 90 us\nprogram: 500 us\n"
                               "program_csb: 2 ms\nprogram_msb: 5 ms\n");
    static const sim_time read[] = {40 * SIM_US, 60 * SIM_US, 90 * SIM_US};
    static const sim_time program[] = {500 * SIM_US, 2 * SIM_MS, 5 * SIM_MS};
    for (unsigned page = 0; page < 7; page++) {
        cr_assert_eq(flash_alone(drive, MEDIA_WRITE, page * 16384, 16384),
                     200 * SIM_NS + 4 * UNIT_TIME + program[page % 3]);
    }
    for (unsigned page = 0; page < 7; page++) {
        cr_assert_eq(flash_alone(drive, MEDIA_READ, page * 16384, 4096), 200 * SIM_NS + read[page % 3] + UNIT_TIME);
    }
    flash_drive_free(drive);
}

Test(flash_timing, a_write_is_transfer_and_program) {
    struct flash_drive *drive = flash_drive_make(4 * FLASH_MIB, ONE_DIE "program: 300 us\nfirmware_write: 5 us\n");
    cr_assert_eq(flash_alone(drive, MEDIA_WRITE, 0, 4096), 200 * SIM_NS + UNIT_TIME + 305 * SIM_US);
    cr_assert_eq(flash_alone(drive, MEDIA_WRITE, 0, 16384), 200 * SIM_NS + 4 * UNIT_TIME + 305 * SIM_US);
    flash_drive_free(drive);
}

Test(flash_timing, a_partial_write_reads_first) {
    struct flash_drive *drive = flash_drive_make(4 * FLASH_MIB, ONE_DIE "read: 40 us\nprogram: 300 us\n");
    const sim_time program = 200 * SIM_NS + UNIT_TIME + 300 * SIM_US;
    const sim_time read = 200 * SIM_NS + 40 * SIM_US + UNIT_TIME;
    cr_assert_eq(flash_alone(drive, MEDIA_WRITE, 512, 512), program); /* of nothing: no need */
    cr_assert_eq(flash_alone(drive, MEDIA_WRITE, 512, 512), read + program);
    cr_assert_eq(flash_counter(drive, "reads_before_write"), 1);
    flash_drive_free(drive);
}

Test(flash_timing, a_stripe_waits_to_be_filled) {
    struct flash_drive *drive = flash_drive_make(4 * FLASH_MIB, ONE_DIE "program: 300 us\nfill_wait: 50 us\n");
    struct flash_access accesses[5];
    for (unsigned i = 0; i < 5; i++) { /* four fill a stripe, the fifth waits in vain */
        flash_access_at(drive, &accesses[i], MEDIA_WRITE, i * 8192, 4096, (1 + i) * SIM_US);
    }
    sim_run(SIM_TIME_MAX);
    const sim_time full = 4 * SIM_US + 200 * SIM_NS + 4 * UNIT_TIME + 300 * SIM_US;
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_eq(accesses[i].completed, full);
    }
    cr_assert_eq(accesses[4].completed, full + 200 * SIM_NS + UNIT_TIME + 300 * SIM_US);
    cr_assert_eq(flash_counter(drive, "empty_units"), 3);
    flash_drive_free(drive);
}

Test(flash_timing, memory_answers_for_what_is_being_programmed) {
    struct flash_drive *drive = flash_drive_make(4 * FLASH_MIB, ONE_DIE "program: 300 us\nfirmware_read: 3 us\n");
    struct flash_access write, read;
    flash_access_now(drive, &write, MEDIA_WRITE, 0, 4096);
    flash_access_at(drive, &read, MEDIA_READ, 0, 4096, 100 * SIM_US);
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(read.completed, 103 * SIM_US);
    cr_assert_eq(flash_counter(drive, "buffer_reads"), 1);
    flash_drive_free(drive);
}

Test(flash_timing, unwritten_and_deallocated_units_can_read_as_zeros) {
    struct flash_drive *drive =
        flash_drive_make(4 * FLASH_MIB, ONE_DIE "unwritten_reads: zeros\nfirmware_read: 3 us\nread: 40 us\n");
    cr_assert_eq(flash_alone(drive, MEDIA_READ, 0, 4096), 3 * SIM_US);
    (void)flash_alone(drive, MEDIA_WRITE, 0, 8192);
    cr_assert_eq(flash_alone(drive, MEDIA_READ, 0, 4096), 200 * SIM_NS + 40 * SIM_US + UNIT_TIME + 3 * SIM_US);
    (void)flash_alone(drive, MEDIA_DEALLOCATE, 0, 6144); /* the second unit in part: it stays */
    cr_assert_eq(flash_alone(drive, MEDIA_READ, 0, 4096), 3 * SIM_US);
    cr_assert_eq(flash_alone(drive, MEDIA_READ, 4096, 4096), 200 * SIM_NS + 40 * SIM_US + UNIT_TIME + 3 * SIM_US);
    cr_assert_eq(flash_counter(drive, "deallocated_units"), 1);
    flash_check_state(drive);
    flash_drive_free(drive);
}

/* ---- Behind an erase ----
 * The drive is overwritten, one unit after the other, until an erase begins; a read
 * comes 1 ms into it. */

#define ERASING                                                                                                        \
    "channels: 1\nchips: 1\ndies: 1\nplanes: 1\npages_per_block: 8\npage_size: 8 KiB\nmapping_unit: 8 KiB\n"           \
    "over_provisioning: 50 %\nchannel_rate: 400 MB/s\ncommand_time: 200 ns\nread: 40 us\nprogram: 300 us\nerase: 5 "   \
    "ms\n"
#define PAGE_TIME (20480 * SIM_NS)

struct erasing {
    struct flash_drive *drive;
    struct flash_access write, read;
    sim_time erase_began;
};

static void reach_an_erase(struct erasing *state, const char *parameters) {
    state->drive = flash_drive_make(1 * FLASH_MIB, parameters);
    struct flash_die *die = &state->drive->flash->dies[0];
    (void)flash_load(state->drive, 1, 128, flash_choose_write);
    struct random_stream *stream = random_stream_create("test.erasing");
    for (;;) {
        flash_access_now(state->drive, &state->write, MEDIA_WRITE, 8192 * random_below(stream, 128), 8192);
        while (!state->write.is_done) {
            sim_run(sim_now() + SIM_US);
            if (die->current != NULL && die->current->kind == FLASH_ERASE) {
                state->erase_began = die->current->command_end;
                random_stream_free(stream);
                return;
            }
        }
    }
}

/* A page that lies in the flash and not in memory. */
static uint64_t page_in_flash(const struct flash_drive *drive) {
    uint32_t unit = 0;
    while (ftl_lookup(&drive->flash->ftl, unit) == 0 || (ftl_lookup(&drive->flash->ftl, unit) & FTL_PENDING) != 0) {
        unit++;
    }
    return unit;
}

Test(flash_timing, a_read_behind_an_erase_waits_for_all_of_it) {
    struct erasing state;
    reach_an_erase(&state, ERASING);
    flash_access_at(state.drive, &state.read, MEDIA_READ, 8192 * page_in_flash(state.drive), 8192,
                    state.erase_began + SIM_MS);
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(state.read.completed - state.read.submitted, 4 * SIM_MS + 200 * SIM_NS + 40 * SIM_US + PAGE_TIME);
    flash_drive_free(state.drive);
}

Test(flash_timing, a_read_may_suspend_an_erase) {
    struct erasing state;
    reach_an_erase(&state, ERASING "suspend: erase\nsuspend_latency: 30 us\nresume_latency: 50 us\n");
    const uint64_t page = page_in_flash(state.drive);
    const struct flash_op *erase = state.drive->flash->dies[0].current;
    flash_access_at(state.drive, &state.read, MEDIA_READ, 8192 * page, 8192, state.erase_began + SIM_MS);
    const sim_time read = 200 * SIM_NS + 40 * SIM_US + PAGE_TIME;
    sim_run(state.erase_began + 2 * SIM_MS);
    cr_assert_eq(state.read.completed - state.read.submitted, 30 * SIM_US + read);
    /* The erase loses the read's time and both overheads. */
    cr_assert_eq(erase->data_end, state.erase_began + 5 * SIM_MS + 30 * SIM_US + read + 50 * SIM_US);
    cr_assert_eq(flash_counter(state.drive, "suspends"), 1);
    sim_run(SIM_TIME_MAX);
    cr_assert(state.write.is_done);
    flash_drive_free(state.drive);
}

Test(flash_timing, reads_that_come_while_it_is_suspended_go_first_and_there_is_a_limit) {
    struct erasing state;
    reach_an_erase(&state, ERASING "suspend: erase\nsuspend_latency: 30 us\nresume_latency: 50 us\nsuspends_max: 1\n");
    const uint64_t at = 8192 * page_in_flash(state.drive);
    const struct flash_op *erase = state.drive->flash->dies[0].current;
    const sim_time read = 200 * SIM_NS + 40 * SIM_US + PAGE_TIME;
    struct flash_access second, third;
    flash_access_at(state.drive, &state.read, MEDIA_READ, at, 8192, state.erase_began + SIM_MS);
    flash_access_at(state.drive, &second, MEDIA_READ, at, 8192, state.erase_began + SIM_MS + 40 * SIM_US);
    flash_access_at(state.drive, &third, MEDIA_READ, at, 8192, state.erase_began + 2 * SIM_MS);
    sim_run(state.erase_began + 2 * SIM_MS);
    const sim_time end = erase->data_end;
    cr_assert_eq(second.completed, state.erase_began + SIM_MS + 30 * SIM_US + 2 * read);
    cr_assert_eq(end, state.erase_began + 5 * SIM_MS + 80 * SIM_US + 2 * read);
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(third.completed, end + read); /* it may not suspend again */
    flash_drive_free(state.drive);
}

Test(flash_timing, a_read_may_suspend_a_program_once_its_data_are_in) {
    static const char parameters[] = ERASING "suspend: program_and_erase\nsuspend_latency: 10 us\n";
    struct flash_drive *drive = flash_drive_make(1 * FLASH_MIB, parameters);
    (void)flash_alone(drive, MEDIA_WRITE, 0, 8192);
    const sim_time from = sim_now(), read = 200 * SIM_NS + 40 * SIM_US + PAGE_TIME;
    const sim_time data = 200 * SIM_NS + PAGE_TIME; /* until then the program cannot be suspended */
    struct flash_access write, early;
    flash_access_now(drive, &write, MEDIA_WRITE, 8192, 8192);
    flash_access_at(drive, &early, MEDIA_READ, 0, 8192, from + 5 * SIM_US);
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(early.completed, from + data + 10 * SIM_US + read);
    cr_assert_eq(write.completed, from + data + 300 * SIM_US + 10 * SIM_US + read);
    flash_drive_free(drive);
}

Test(flash_timing, reads_can_be_put_first) {
    static const char *const orders[] = {ERASING, ERASING "order: reads_first\n"};
    const sim_time read = 200 * SIM_NS + 40 * SIM_US + PAGE_TIME, write = 200 * SIM_NS + PAGE_TIME + 300 * SIM_US;
    const sim_time expected[] = {2 * write + read, write + read};
    struct flash_drive *drive = NULL;
    for (unsigned order = 0; order < 2; order++) {
        drive = flash_drive_make(1 * FLASH_MIB, orders[order]);
        (void)flash_alone(drive, MEDIA_WRITE, 0, 8192);
        const sim_time from = sim_now();
        struct flash_access writes[2], one;
        flash_access_now(drive, &writes[0], MEDIA_WRITE, 8192, 8192);
        flash_access_now(drive, &writes[1], MEDIA_WRITE, 16384, 8192);
        flash_access_now(drive, &one, MEDIA_READ, 0, 8192);
        sim_run(SIM_TIME_MAX);
        cr_assert_eq(one.completed - from, expected[order]);
        flash_drive_free(drive);
    }
}

/* ---- Throughput ---- */

#define MANY "pages_per_block: 32\npage_size: 4 KiB\nplanes: 1\nover_provisioning: 50 %\n"

static double commands_per_s(struct flash_drive *drive, unsigned depth, uint64_t total, flash_choose *choose) {
    const sim_time took = flash_load(drive, depth, total, choose);
    return (double)total / ((double)took / (double)SIM_S);
}

Test(flash_timing, dies_bound_throughput) {
    /* Four dies on channels that are fast: reads of 50 us each, programs of 200 us. */
    struct flash_drive *drive =
        flash_drive_make(16 * FLASH_MIB, MANY
                         "channels: 2\nchips: 2\nchannel_rate: 10 GB/s\nread: 50 us\nprogram: 200 us\nerase: 0 s\n");
    const double transfer_s = 4096 / 10e9;
    const double reads = 4 / (50e-6 + transfer_s), writes = 4 / (200e-6 + transfer_s);
    const double got_reads = commands_per_s(drive, 64, 20000, flash_choose_read);
    const double got_writes = commands_per_s(drive, 64, 2000, flash_choose_write); /* too few to collect */
    cr_assert(got_reads <= reads && got_reads > 0.97 * reads, "%.0f of %.0f reads/s", got_reads, reads);
    cr_assert(got_writes <= writes && got_writes > 0.97 * writes, "%.0f of %.0f writes/s", got_writes, writes);
    flash_drive_free(drive);
}

Test(flash_timing, channels_bound_throughput) {
    /* Two channels of 100 MB/s with 16 dies: 40.96 us and 1 us of command each. */
    struct flash_drive *drive =
        flash_drive_make(64 * FLASH_MIB, MANY "channels: 2\nchips: 8\nchannel_rate: 100 MB/s\ncommand_time: 1 us\n"
                                              "read: 20 us\nprogram: 60 us\nerase: 0 s\n");
    /* A command waits behind the data of the seven other dies, which are ready by then: a
     * channel takes turns in eights, and at the end of each waits for the first die's
     * array, less the commands of the seven others. */
    const double bound = 2 / 41.96e-6, in_turns = 2 * 8 / (8 * 41.96e-6 + 20e-6 - 7 * 1e-6);
    const double reads = commands_per_s(drive, 512, 100000, flash_choose_read);
    const double writes = commands_per_s(drive, 512, 5000, flash_choose_write);
    cr_assert(reads <= bound && reads > 0.99 * in_turns, "%.0f of %.0f reads/s", reads, in_turns);
    cr_assert(writes <= bound && writes > 0.97 * bound, "%.0f of %.0f writes/s", writes, bound);
    flash_drive_free(drive);
}

Test(flash_timing, what_cannot_be_is_refused) {
    flash_drive_refuse(1 * FLASH_MIB, "mapping_unit: 3 KiB\n", "do not divide");
    flash_drive_refuse(1 * FLASH_MIB, "mapping_unit: 512 B\npage_size: 256 KiB\n", "at most");
    flash_drive_refuse(1 * FLASH_MIB, "gc_start: 4\ngc_stop: 4\n", "is not above");
    flash_drive_refuse(64 * FLASH_MIB, "over_provisioning: 1 %\n", "spare blocks");
    flash_drive_refuse(UINT64_C(1) << 45, "mapping_unit: 4 KiB\n", "numbered");
}

/* ---- The parts that come with the program ---- */

static void check_part(const char *name, sim_time read, sim_time write) {
    char include[512];
    (void)snprintf(include, sizeof include, "include: %s/configs/parts/%s.yaml\nfill_wait: 0 s\n", SOURCE_DIR, name);
    struct flash_drive *drive = flash_drive_make(UINT64_C(256) << 30, include);
    const sim_time got_read = flash_alone(drive, MEDIA_READ, 0, 4096);
    const sim_time got_write = flash_alone(drive, MEDIA_WRITE, 0, 4096);
    cr_assert_eq(got_read, read, "%s: %.3f ns", name, sim_time_ns(got_read));
    cr_assert_eq(got_write, write, "%s: %.3f ns", name, sim_time_ns(got_write));
    flash_drive_free(drive);
}

Test(flash_timing, parts_are_as_published) {
    const sim_time mqsim = (4096 * SIM_S + 332999999) / 333000000, femu = 13107200 * SIM_PS;
    check_part("flash-mqsim-mlc", 75 * SIM_US + mqsim, 750 * SIM_US + mqsim);
    check_part("flash-femu-tlc", 56500 * SIM_NS + femu, 820500 * SIM_NS + femu);
    check_part("flash-simplessd-mlc", 40 * SIM_US + UNIT_TIME, 500 * SIM_US + UNIT_TIME);
    check_part("flash-nvmevirt-970pro", 29760 * SIM_NS + 5120 * SIM_NS + 21500 * SIM_NS,
               5120 * SIM_NS + 185 * SIM_US + 4 * SIM_US);
}
