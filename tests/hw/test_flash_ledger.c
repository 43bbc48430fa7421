/* test_flash_ledger.c: where a request's time went, and the accounts of dies and channels. */
#include <criterion/criterion.h>

#include "tests/hw/flash_fixture.h"

#define CHIP                                                                                                           \
    "chips: 1\ndies: 1\nplanes: 1\npages_per_block: 8\npage_size: 8 KiB\nmapping_unit: 8 KiB\n"                        \
    "over_provisioning: 50 %\nchannel_rate: 400 MB/s\ncommand_time: 200 ns\nread: 40 us\nprogram: 300 us\nerase: 5 "   \
    "ms\n"
#define ONE_DIE "channels: 1\n" CHIP
#define TWO_CHANNELS "channels: 2\n" CHIP
#define PAGE_TIME (20480 * SIM_NS)

static struct flash_drive *recorded(uint64_t capacity_bytes, const char *parameters) {
    struct flash_drive *drive = flash_drive_make(capacity_bytes, parameters);
    drive->ledger = ledger_create("io");
    ledger_record(drive->ledger, true);
    return drive;
}

static uint64_t spent(const struct flash_drive *drive, const char *component, enum ledger_kind kind) {
    return (uint64_t)ledger_sum(drive->ledger, ledger_find(component), kind);
}

Test(flash_ledger, a_read_is_told_stage_by_stage) {
    struct flash_drive *drive = recorded(1 * FLASH_MIB, ONE_DIE "firmware_read: 4 us\n");
    struct flash_access first, second;
    flash_access_now(drive, &first, MEDIA_READ, 0, 8192);
    flash_access_now(drive, &second, MEDIA_READ, 8192, 8192);
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(spent(drive, "flash_queue", LEDGER_WAITING), 200 * SIM_NS + 40 * SIM_US + PAGE_TIME);
    cr_assert_eq(spent(drive, "flash_array", LEDGER_SERVICE), 2 * 40 * SIM_US);
    cr_assert_eq(spent(drive, "flash_channel", LEDGER_SERVICE), 2 * (200 * SIM_NS + PAGE_TIME));
    cr_assert_eq(spent(drive, "flash_channel", LEDGER_WAITING), 0);
    cr_assert_eq(spent(drive, "flash_firmware", LEDGER_SERVICE), 2 * 4 * SIM_US);
    cr_assert_eq(ledger_audit(drive->ledger, sim_now()), 0);
    flash_drive_free(drive);
}

Test(flash_ledger, the_part_that_ends_last_tells_for_all) {
    /* Two dies on two channels; one has another read before. */
    struct flash_drive *drive = recorded(2 * FLASH_MIB, TWO_CHANNELS);
    struct flash_access before, both;
    flash_access_now(drive, &before, MEDIA_READ, 8192, 8192);
    flash_access_now(drive, &both, MEDIA_READ, 0, 16384);
    sim_run(SIM_TIME_MAX);
    const sim_time read = 200 * SIM_NS + 40 * SIM_US + PAGE_TIME;
    cr_assert_eq(both.completed, 2 * read);
    cr_assert_eq(spent(drive, "flash_queue", LEDGER_WAITING), read);
    cr_assert_eq(spent(drive, "flash_array", LEDGER_SERVICE), 2 * 40 * SIM_US);
    cr_assert_eq(ledger_completed(drive->ledger), 2);
    cr_assert_eq(ledger_audit(drive->ledger, sim_now()), 0);
    flash_drive_free(drive);
}

Test(flash_ledger, waiting_for_a_channel_is_told) {
    /* Two dies on one channel: the second's data wait for the first's. */
    struct flash_drive *drive =
        recorded(1 * FLASH_MIB,
                 "channels: 1\nchips: 2\nplanes: 1\npages_per_block: 4\npage_size: 8 KiB\nover_provisioning: 60 %\n"
                 "mapping_unit: 8 KiB\nchannel_rate: 400 MB/s\ncommand_time: 200 ns\nread: 40 us\n");
    struct flash_access first, second;
    flash_access_now(drive, &first, MEDIA_READ, 0, 8192);
    flash_access_now(drive, &second, MEDIA_READ, 8192, 8192);
    sim_run(SIM_TIME_MAX);
    /* Its command waits 200 ns for the first's, its data for the rest of the first's. */
    cr_assert_eq(spent(drive, "flash_channel", LEDGER_WAITING), 200 * SIM_NS + (PAGE_TIME - 200 * SIM_NS));
    cr_assert_eq(spent(drive, "flash_queue", LEDGER_WAITING), 0);
    flash_drive_free(drive);
}

/* ---- Collection and suspension ---- */

static void run_into_erase(struct flash_drive *drive, struct flash_access *write) {
    const struct flash_die *die = &drive->flash->dies[0];
    struct random_stream *stream = random_stream_create("test.erase");
    for (;;) {
        flash_access_now(drive, write, MEDIA_WRITE, 8192 * random_below(stream, 128), 8192);
        while (!write->is_done) {
            sim_run(sim_now() + SIM_US);
            if (die->current != NULL && die->current->kind == FLASH_ERASE && sim_now() > die->current->command_end) {
                random_stream_free(stream);
                return;
            }
        }
    }
}

static struct flash_drive *read_behind_erase(const char *parameters, sim_time *left) {
    struct flash_drive *drive = recorded(1 * FLASH_MIB, parameters);
    struct flash_access write, read;
    run_into_erase(drive, &write);
    struct ledger *others = drive->ledger;
    drive->ledger = ledger_create("read");
    ledger_record(drive->ledger, true);
    *left = drive->flash->dies[0].current->data_end - sim_now();
    uint32_t unit = 0;
    while (ftl_lookup(&drive->flash->ftl, unit) == 0 || (ftl_lookup(&drive->flash->ftl, unit) & FTL_PENDING) != 0) {
        unit++;
    }
    flash_access_now(drive, &read, MEDIA_READ, 8192 * (uint64_t)unit, 8192);
    sim_run(SIM_TIME_MAX);
    cr_assert(read.is_done && write.is_done);
    cr_assert_eq(ledger_audit(others, sim_now()), 0);
    ledger_free(others);
    return drive;
}

#define FULL ONE_DIE "precondition: random\n"

Test(flash_ledger, waiting_behind_collection_is_told) {
    sim_time left;
    struct flash_drive *drive = read_behind_erase(FULL, &left);
    cr_assert_gt(left, SIM_MS);
    cr_assert_eq(spent(drive, "flash_gc", LEDGER_WAITING), left);
    cr_assert_eq(spent(drive, "flash_queue", LEDGER_WAITING), 200 * SIM_NS + PAGE_TIME + 300 * SIM_US); /* the write */
    cr_assert_eq(spent(drive, "flash_array", LEDGER_SERVICE), 40 * SIM_US);
    flash_drive_free(drive);
}

Test(flash_ledger, suspending_is_told) {
    sim_time left;
    struct flash_drive *drive = read_behind_erase(FULL "suspend: erase\nsuspend_latency: 30 us\n", &left);
    cr_assert_eq(spent(drive, "flash_gc", LEDGER_WAITING), 0);
    cr_assert_eq(spent(drive, "flash_suspend", LEDGER_WAITING), 30 * SIM_US);
    flash_drive_free(drive);
}

Test(flash_ledger, a_suspended_program_stands_still_for_that_long) {
    struct flash_drive *drive =
        recorded(1 * FLASH_MIB, ONE_DIE "suspend: program_and_erase\nsuspend_latency: 10 us\nresume_latency: 7 us\n");
    struct flash_access write, read;
    flash_access_now(drive, &write, MEDIA_WRITE, 0, 8192);
    flash_access_at(drive, &read, MEDIA_READ, 65536, 8192, 100 * SIM_US);
    sim_run(SIM_TIME_MAX);
    const sim_time reading = 200 * SIM_NS + 40 * SIM_US + PAGE_TIME;
    /* The read's 10 us, and all that the write stood still. */
    cr_assert_eq(spent(drive, "flash_suspend", LEDGER_WAITING), 10 * SIM_US + (10 * SIM_US + reading + 7 * SIM_US));
    cr_assert_eq(spent(drive, "flash_array", LEDGER_SERVICE), 340 * SIM_US);
    flash_drive_free(drive);
}

/* ---- Accounts ---- */

struct totals {
    sim_time elapsed, collecting;
    unsigned resources;
};

static void on_usage(void *context, const char *resource, const struct usage *usage) {
    struct totals *totals = context;
    struct usage closed = *usage;
    usage_close(&closed, sim_now());
    sim_time sum = 0;
    for (unsigned i = 0; i < LEDGER_COMPONENTS_MAX; i++) {
        sum += closed.spent[i];
    }
    cr_assert_eq(sum, usage_elapsed(&closed), "%s", resource);
    cr_assert_eq(sum, totals->elapsed, "%s", resource);
    totals->collecting += closed.spent[ledger_find("flash_gc")];
    totals->resources++;
}

Test(flash_ledger, busy_and_idle_are_the_elapsed_time_exactly) {
    struct flash_drive *drive =
        recorded(4 * FLASH_MIB,
                 "channels: 2\nchips: 2\nplanes: 2\npages_per_block: 4\npage_size: 8 KiB\nover_provisioning: 70 %\n"
                 "suspend: program_and_erase\nsuspend_latency: 9 us\nresume_latency: 11 us\nfirmware_read: 5 us\n"
                 "command_time: 150 ns\nprecondition: random\nfill_wait: 30 us\n");
    (void)flash_load(drive, 16, 500, flash_choose_any);
    for (unsigned round = 1; round < 20; round++) { /* in the midst of work, and from there anew */
        struct flash_access accesses[8];
        struct random_stream *stream = random_stream_create("test.accounts");
        for (unsigned i = 0; i < 8; i++) {
            struct media_command command;
            flash_choose_any(drive, stream, &command);
            flash_access_now(drive, &accesses[i], command.operation, command.offset_bytes, command.length_bytes);
        }
        sim_run(sim_now() + round * 137 * SIM_US);
        flash_media_ops.reset_stats(drive->media);
        const sim_time from = sim_now();
        sim_run(sim_now() + round * 211 * SIM_US);
        struct totals totals = {.elapsed = sim_now() - from};
        const struct stats_sink sink = {.context = &totals, .usage = on_usage};
        flash_media_ops.visit_stats(drive->media, &sink);
        cr_assert_eq(totals.resources, 2 + 4);
        sim_run(SIM_TIME_MAX);
        random_stream_free(stream);
    }
    cr_assert_eq(ledger_audit(drive->ledger, sim_now()), 0);
    flash_drive_free(drive);
}
