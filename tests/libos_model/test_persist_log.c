#include "tests/libos_model/persist_fixture.h"

enum { BLOCKS = 512 };

/* ---- order, overlap, acknowledgement ---- */

static uint64_t acknowledged[256], acknowledged_count;
static void note(struct persist_entry *entry) {
    cr_assert_eq(entry->status, OK);
    acknowledged[acknowledged_count++] = entry->sequence;
}

static void append_twenty(void *argument) {
    (void)argument;
    persist_create();
    cr_assert_eq(persist_log_format(plog, thread), OK);
    for (uint64_t i = 0; i < 20; i++) {
        cr_assert_eq(persist_put(i, note), OK);
    }
    cr_assert_eq(persist_log_wait(plog, thread, 20), OK);
    uint32_t length = 0;
    for (uint64_t i = 0; i < 20; i++) {
        cr_assert_eq(persist_log_read(plog, thread, i, PERSIST_BUFFER, PERSIST_ENTRY_MAX, &length, NULL, 0), OK);
        cr_assert(persist_buffer_holds(i, length), "entry %llu", (unsigned long long)i);
    }
    cr_assert_eq(persist_log_read(plog, thread, 20, PERSIST_BUFFER, 10, &length, NULL, 0), ERR_NOT_FOUND);
}

Test(persist_log, appends_overlap_and_are_acknowledged_in_order) {
    persist_make(512, BLOCKS, true);
    disk->least = 40 * SIM_US;
    disk->most = 80 * SIM_US;
    persist_run(append_twenty);
    cr_assert_eq(acknowledged_count, 20);
    for (uint64_t i = 0; i < 20; i++) {
        cr_assert_eq(acknowledged[i], i);
    }
    cr_assert_geq(disk->most_used, 10, "only %u were under way together", disk->most_used);
    cr_assert_lt(disk->flushes, 20, "a flush covers whatever has been written");
    cr_assert_gt(disk->flushes, 0);
}

Test(persist_log, a_device_that_loses_nothing_is_not_flushed) {
    persist_make(512, BLOCKS, false);
    persist_run(append_twenty);
    cr_assert_eq(acknowledged_count, 20);
    cr_assert_eq(disk->flushes, 0);
    cr_assert_eq(disk->fua_writes, 0);
}

Test(persist_log, forced_unit_access_needs_no_flush) {
    persist_make(512, BLOCKS, true);
    persist_config.durability = PERSIST_FUA;
    persist_run(append_twenty);
    cr_assert_eq(acknowledged_count, 20);
    cr_assert_eq(disk->flushes, 0);
    cr_assert_geq(disk->fua_writes, 20);
}

Test(persist_log, granules_of_4_kib) {
    persist_make(4096, BLOCKS, true);
    persist_run(append_twenty);
    cr_assert_eq(acknowledged_count, 20);
}

static void append_on_a_small_queue(void *argument) {
    disk->base.depth = 2;
    append_twenty(argument);
}

Test(persist_log, waits_for_a_device_whose_queue_is_full) {
    persist_make(512, BLOCKS, true);
    persist_run(append_on_a_small_queue);
    cr_assert_eq(acknowledged_count, 20);
    cr_assert_eq(disk->most_used, 2);
    cr_assert_gt(persist_log_counters(plog)->retries, 0);
}

/* ---- opening again ---- */

static void open_again(void *argument) {
    append_twenty(argument);
    persist_log_free(plog); /* without closing it */
    persist_create();
    cr_assert_eq(persist_log_open(plog, thread), OK);
    cr_assert(persist_log_was_outdated(plog), "appends do not write the header");
    cr_assert_eq(persist_log_end(plog), 20);
    uint32_t length = 0;
    for (uint64_t i = 0; i < 20; i++) {
        cr_assert_eq(persist_log_read(plog, thread, i, PERSIST_BUFFER, PERSIST_ENTRY_MAX, &length, NULL, 0), OK);
        cr_assert(persist_buffer_holds(i, length), "entry %llu", (unsigned long long)i);
    }
    cr_assert_eq(persist_put(20, note), OK);
    cr_assert_eq(persist_log_close(plog, thread), OK);
    persist_log_free(plog);
    persist_create();
    cr_assert_eq(persist_log_open(plog, thread), OK);
    cr_assert_not(persist_log_was_outdated(plog), "closing brings the header up to date");
    cr_assert_eq(persist_log_end(plog), 21);
}

Test(persist_log, finds_its_end_and_repairs_its_header) {
    persist_make(512, BLOCKS, true);
    persist_run(open_again);
}

static void open_nothing(void *argument) {
    (void)argument;
    persist_create();
    cr_assert_eq(persist_log_open(plog, thread), ERR_NOT_FOUND);
}

Test(persist_log, an_empty_area_has_no_log) {
    persist_make(512, BLOCKS, true);
    persist_run(open_nothing);
}

static void format_over(void *argument) {
    append_twenty(argument);
    cr_assert_eq(persist_log_close(plog, thread), OK);
    persist_log_free(plog);
    persist_config.log = 0x5678;
    persist_create();
    cr_assert_eq(persist_log_format(plog, thread), OK);
    persist_log_free(plog);
    persist_create();
    cr_assert_eq(persist_log_open(plog, thread), OK);
    cr_assert_eq(persist_log_end(plog), 0, "entries of the older log came back");
}

Test(persist_log, a_new_log_has_nothing_of_an_older_one) {
    persist_make(512, BLOCKS, true);
    persist_run(format_over);
}

static void damage(void *argument) {
    append_twenty(argument);
    cr_assert_eq(persist_log_close(plog, thread), OK);
    uint8_t block[512];
    block_store_read(disk->store, PERSIST_HEADER_GRANULES, 1, block);
    block[sizeof(struct persist_entry_header)] ^= 1; /* a bit of the first entry's payload */
    block_store_write(disk->store, PERSIST_HEADER_GRANULES, 1, block, true);
    uint32_t length = 0;
    cr_assert_eq(persist_log_read(plog, thread, 0, PERSIST_BUFFER, PERSIST_ENTRY_MAX, &length, NULL, 0), ERR_IO);
    persist_log_free(plog);
    persist_create();
    cr_assert_eq(persist_log_open(plog, thread), ERR_IO, "the header says that there is more");
}

Test(persist_log, sees_that_it_was_damaged) {
    persist_make(512, BLOCKS, true);
    persist_run(damage);
}

/* ---- room ---- */

static void fill_and_trim(void *argument) {
    (void)argument;
    persist_create();
    cr_assert_eq(persist_log_format(plog, thread), OK);
    uint64_t number = 0;
    while (persist_put(number, NULL) == OK) {
        number++;
    }
    cr_assert_eq(persist_put(number, NULL), ERR_EXHAUSTED);
    cr_assert_eq(persist_log_wait(plog, thread, number), OK);
    struct persist_change change;
    cr_assert_eq(persist_log_trim(plog, thread, number + 1, &change), ERR_RANGE);
    cr_assert_eq(persist_log_trim(plog, thread, number / 2, &change), OK);
    cr_assert_eq(persist_put(number, NULL), ERR_EXHAUSTED, "what was given up is free before that is durable");
    persist_log_wait_change(plog, thread, &change);
    cr_assert_eq(change.status, OK);
    /* Several laps. */
    for (uint64_t laps = 0; laps < 300; laps++, number++) {
        while (persist_put(number, NULL) != OK) {
            const uint64_t durable = persist_log_durable(plog);
            cr_assert_eq(persist_log_trim(plog, thread, durable, &change), OK);
            persist_log_wait_change(plog, thread, &change);
            cr_assert_eq(persist_log_wait(plog, thread, persist_log_end(plog)), OK);
        }
    }
    cr_assert_eq(persist_log_wait(plog, thread, number), OK);
    uint32_t length = 0;
    for (uint64_t i = persist_log_head(plog); i < number; i++) {
        cr_assert_eq(persist_log_read(plog, thread, i, PERSIST_BUFFER, PERSIST_ENTRY_MAX, &length, NULL, 0), OK);
        cr_assert(persist_buffer_holds(i, length), "entry %llu", (unsigned long long)i);
    }
    const uint64_t head = persist_log_head(plog);
    cr_assert_eq(persist_log_close(plog, thread), OK);
    persist_log_free(plog);
    persist_create();
    cr_assert_eq(persist_log_open(plog, thread), OK);
    cr_assert_eq(persist_log_head(plog), head);
    cr_assert_eq(persist_log_end(plog), number);
}

Test(persist_log, a_full_log_takes_no_more_until_a_trim_is_durable) {
    persist_make(512, 64, true);
    persist_run(fill_and_trim);
}

/* ---- failure ---- */

static uint64_t failed_count;
static void note_failure(struct persist_entry *entry) {
    if (entry->status == OK) {
        acknowledged_count++;
    } else {
        failed_count++;
    }
}

static void fail_third(void *argument) {
    (void)argument;
    persist_create();
    cr_assert_eq(persist_log_format(plog, thread), OK);
    disk->fail_at_write = disk->writes + 3;
    for (uint64_t i = 0; i < 6; i++) {
        cr_assert_eq(persist_put(i, note_failure), OK);
    }
    cr_assert_eq(persist_log_wait(plog, thread, 6), ERR_IO);
    cr_assert_eq(persist_put(6, note_failure), ERR_IO);
    cr_assert_leq(persist_log_durable(plog), 2);
}

Test(persist_log, nothing_behind_a_failed_write_is_acknowledged) {
    persist_make(512, BLOCKS, true);
    persist_run(fail_third);
    cr_assert_leq(acknowledged_count, 2);
    cr_assert_eq(acknowledged_count + failed_count, 6, "everybody is told");
}

/* ---- what is refused ---- */

Test(persist_log, areas_that_do_not_fit_are_refused) {
    struct error error = {OK, ""};
    persist_make(512, BLOCKS, true);
    persist_config.first_block = 1;
    cr_assert_null(persist_log_create(&persist_config, &error));
    cr_assert_eq(error.code, ERR_RANGE);
    persist_config.first_block = 0;
    persist_config.blocks = 6;
    cr_assert_null(persist_log_create(&persist_config, &error));
    persist_config.blocks = UINT64_MAX;
    cr_assert_null(persist_log_create(&persist_config, &error));
    persist_config.blocks = BLOCKS;
    persist_config.entry_bytes = 200000;
    cr_assert_null(persist_log_create(&persist_config, &error));
}

/* ---- the queue ---- */

static void pop_all(void *argument) {
    (void)argument;
    persist_create();
    cr_assert_eq(persist_log_format(plog, thread), OK);
    uint32_t length = 0;
    cr_assert_eq(persist_queue_pop(plog, thread, PERSIST_BUFFER, PERSIST_ENTRY_MAX, &length, NULL, 0), ERR_AGAIN);
    for (uint64_t i = 0; i < 10; i++) {
        cr_assert_eq(persist_put(i, NULL), OK);
    }
    cr_assert_eq(persist_log_wait(plog, thread, 10), OK);
    cr_assert_eq(persist_queue_length(plog), 10);
    for (uint64_t i = 0; i < 4; i++) {
        cr_assert_eq(persist_queue_pop(plog, thread, PERSIST_BUFFER, PERSIST_ENTRY_MAX, &length, NULL, 0), OK);
        cr_assert(persist_buffer_holds(i, length));
    }
    persist_log_free(plog);
    persist_create();
    cr_assert_eq(persist_log_open(plog, thread), OK);
    cr_assert_eq(persist_queue_length(plog), 6, "what was taken does not come back");
    cr_assert_eq(persist_queue_pop(plog, thread, PERSIST_BUFFER, PERSIST_ENTRY_MAX, &length, NULL, 0), OK);
    cr_assert(persist_buffer_holds(4, length));
}

Test(persist_queue, takes_the_oldest_for_good) {
    persist_make(512, BLOCKS, true);
    persist_run(pop_all);
}
