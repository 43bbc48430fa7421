/* The power is cut between any two events: nothing acknowledged is lost, nothing that
 * was not appended appears, the order stays, and what was taken does not come back. */
#include <stdio.h>

#include "tests/libos_model/persist_fixture.h"

enum { BLOCKS = 160, APPENDS = 400 };

/* What the run has promised so far. */
static struct promises {
    bool formatted;
    uint64_t durable;          /* entries before it were acknowledged */
    uint64_t appended;         /* entries before it were at least begun */
    uint64_t head_durable;     /* before it: given up, and that was acknowledged */
    uint64_t head_asked;       /* before it: given up, maybe */
    uint64_t salt;             /* of the numbers of this run's entries */
    uint64_t numbers[1 << 16]; /* by sequence: which payload it must have */
} promised;

struct visited {
    uint64_t next;
    bool order, payloads;
};

static void visit(void *context, const struct persist_entry_header *header, const uint8_t *payload) {
    static uint8_t expected[PERSIST_ENTRY_MAX];
    struct visited *seen = context;
    if (seen->next != UINT64_MAX && header->sequence != seen->next) {
        seen->order = false;
    }
    seen->next = header->sequence + 1;
    if (header->sequence >= promised.appended) {
        return; /* counted by its end */
    }
    const uint64_t number = promised.numbers[header->sequence];
    payload_fill(number, expected);
    if (header->length_bytes != payload_length(number) || memcmp(payload, expected, header->length_bytes) != 0) {
        seen->payloads = false;
    }
}

static bool check(void *context, struct block_store *image, char *why, size_t why_bytes) {
    (void)context;
    if (!promised.formatted) {
        return true;
    }
    struct persist_recovered found;
    struct visited seen = {UINT64_MAX, true, true};
    const struct persist_area area = {block_store_block_bytes(image), block_store_blocks(image), persist_read_store,
                                      image};
    const enum error_code code = persist_recover(&area, visit, &seen, &found);
    const char *broken = code != OK                                           ? "it is damaged"
                         : !seen.order                                        ? "the order is lost"
                         : !seen.payloads                                     ? "an entry has other bytes"
                         : found.end_sequence < promised.durable              ? "an acknowledged entry is lost"
                         : found.end_sequence > promised.appended             ? "an entry that nobody appended"
                         : found.header.head_sequence < promised.head_durable ? "a taken entry came back"
                         : found.header.head_sequence > promised.head_asked   ? "an entry went that nobody took"
                                                                              : NULL;
    if (broken != NULL) {
        (void)snprintf(why, why_bytes, "%s (head %llu, end %llu; promised %llu to %llu)", broken,
                       (unsigned long long)found.header.head_sequence, (unsigned long long)found.end_sequence,
                       (unsigned long long)promised.head_durable, (unsigned long long)promised.durable);
    }
    return broken == NULL;
}

static void note(struct persist_entry *entry) {
    cr_assert_eq(entry->status, OK);
    promised.durable = entry->sequence + 1;
}

/* Appends `count` entries, giving up old ones where the log is full. */
static void append_some(uint64_t count, bool pop) {
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t number = promised.salt + persist_log_end(plog);
        promised.numbers[persist_log_end(plog)] = number;
        promised.appended = persist_log_end(plog) + 1;
        while (persist_put(number, note) != OK) {
            struct persist_change change;
            if (persist_log_durable(plog) == persist_log_head(plog)) {
                persist_log_wait_any(plog, thread);
                continue;
            }
            promised.head_asked = persist_log_head(plog) + 1;
            uint32_t length = 0;
            if (pop) {
                cr_assert_eq(persist_queue_pop(plog, thread, PERSIST_BUFFER, PERSIST_ENTRY_MAX, &length, NULL, 0), OK);
                cr_assert(persist_buffer_holds(promised.numbers[persist_log_head(plog) - 1], length));
            } else {
                cr_assert_eq(persist_log_trim(plog, thread, promised.head_asked, &change), OK);
                persist_log_wait_change(plog, thread, &change);
            }
            promised.head_durable = persist_log_head(plog);
        }
    }
}

static bool use_pop;
static void run(void *argument) {
    (void)argument;
    persist_create();
    cr_assert_eq(persist_log_format(plog, thread), OK);
    promised.formatted = true;
    append_some(APPENDS, use_pop);
    cr_assert_eq(persist_log_close(plog, thread), OK);
}

static struct crash_test crash = {.check = check};

static void cut_everywhere(enum persist_durability durability) {
    persist_make(512, BLOCKS, true);
    persist_config.durability = durability;
    persist_config.repair_interval = 16;
    crash.store = disk->store;
    crash_watch(&crash);
    persist_run(run);
    crash_unwatch(&crash);
    cr_log_info("%llu cuts", (unsigned long long)crash.cuts);
}

static void expect_whole(uint64_t least) {
    cr_assert_eq(crash.failures, 0, "%llu of %llu cuts broke a promise, first: %s", (unsigned long long)crash.failures,
                 (unsigned long long)crash.cuts, crash.first_failure);
    cr_assert_geq(crash.cuts, least, "only %llu cuts", (unsigned long long)crash.cuts);
    cr_assert_eq(promised.durable, APPENDS);
    cr_assert_gt(promised.head_durable, 0, "the log never was full");
}

Test(persist_crash, flushed_log_survives_a_cut_at_every_event) {
    cut_everywhere(PERSIST_FLUSH);
    expect_whole(3000);
}

Test(persist_crash, forced_log_survives_a_cut_at_every_event) {
    cut_everywhere(PERSIST_FUA);
    expect_whole(3000);
}

Test(persist_crash, queue_survives_a_cut_at_every_event) {
    use_pop = true;
    cut_everywhere(PERSIST_FLUSH);
    expect_whole(3000);
}

Test(persist_crash, without_its_flush_the_log_loses_entries) {
    cut_everywhere(PERSIST_NOTHING);
    cr_assert_gt(crash.failures, 0, "the test cannot fail");
}

/* ---- cut, opened, cut again: what was lost once must not come back ---- */

enum { ROUNDS = 150 };

static void cut_and_go_on(void *argument) {
    (void)argument;
    persist_create();
    cr_assert_eq(persist_log_format(plog, thread), OK);
    promised.formatted = true;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        promised.salt = round * 100000;
        append_some(5 + round % 13, round % 2 == 0);
        ram_disk_power_cut(disk, 0.25 * (double)(round % 4));
        char why[128] = "";
        cr_assert(check(NULL, disk->store, why, sizeof why), "round %llu: %s", (unsigned long long)round, why);
        persist_log_free(plog);
        persist_create();
        cr_assert_eq(persist_log_open(plog, thread), OK);
        promised.durable = promised.appended = persist_log_end(plog);
        promised.head_durable = promised.head_asked = persist_log_head(plog);
        /* A second cut right behind the repair finds the same. */
        if (round % 3 == 0) {
            ram_disk_power_cut(disk, 0.5);
            cr_assert(check(NULL, disk->store, why, sizeof why), "round %llu: %s", (unsigned long long)round, why);
            persist_log_free(plog);
            persist_create();
            cr_assert_eq(persist_log_open(plog, thread), OK);
        }
    }
}

Test(persist_crash, what_was_lost_stays_lost) {
    persist_make(512, BLOCKS, true);
    persist_run(cut_and_go_on);
    cr_assert_gt(promised.appended, 0);
}

/* Entries of one size: what comes anew lies exactly before what was left over. */
Test(persist_crash, leftovers_of_an_earlier_incarnation_stay_lost) {
    payload_fixed = 600;
    persist_make(512, BLOCKS, true);
    persist_run(cut_and_go_on);
    cr_assert_gt(promised.appended, 0);
}

static void open_over_a_cache(void *argument) {
    (void)argument;
    persist_create();
    cr_assert_eq(persist_log_format(plog, thread), OK);
    promised.formatted = true;
    append_some(10, false);
    cr_assert_eq(persist_log_wait(plog, thread, 10), OK);
    cr_assert_gt(block_store_volatile_blocks(disk->store), 0);
    persist_log_free(plog);
    persist_create();
    cr_assert_eq(persist_log_open(plog, thread), OK);
    cr_assert_eq(persist_log_durable(plog), 10);
}

Test(persist_crash, what_opening_found_is_durable) {
    persist_make(512, BLOCKS, true);
    persist_config.durability = PERSIST_NOTHING; /* leaves entries in the cache */
    persist_run(open_over_a_cache);
    char why[128] = "";
    ram_disk_power_cut(disk, 0);
    cr_assert(check(NULL, disk->store, why, sizeof why), "%s", why);
}
