/* test_event_set.c: the list of the ready. */
#include <criterion/criterion.h>

#include "stack/event_set.h"

enum { SOURCES = 5 };

static unsigned state[SOURCES];
static struct event_item items[SOURCES];
static struct event_set set;

static unsigned readiness(const void *source) {
    return *(const unsigned *)source;
}

static void add_all(void) {
    for (unsigned i = 0; i < SOURCES; i++) {
        items[i] = (struct event_item){.source = &state[i], .readiness = readiness};
        event_set_add_item(&set, &items[i]);
    }
}

Test(event_set, what_is_ready_when_it_is_added_is_in_the_list) {
    state[2] = EVENT_READABLE;
    add_all();
    unsigned ready = 0;
    cr_assert_eq(set.queued, 1U);
    cr_assert_eq(event_set_look(&set, &ready), &items[2]);
    cr_assert_eq(ready, (unsigned)EVENT_READABLE);
}

Test(event_set, a_source_comes_into_the_list_once) {
    add_all();
    state[1] = EVENT_READABLE;
    cr_assert(event_item_mark(&items[1]), "the first tells who waits");
    cr_assert_not(event_item_mark(&items[1]), "the second need not");
    cr_assert_eq(set.queued, 1U);
}

/* Level-triggered: it stays as long as it is ready, and leaves when it is looked at
 * after that. */
Test(event_set, what_is_ready_stays) {
    add_all();
    state[0] = EVENT_READABLE;
    (void)event_item_mark(&items[0]);
    unsigned ready = 0;
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(event_set_look(&set, &ready), &items[0]);
        cr_assert_neq(ready, 0U);
    }
    state[0] = 0;
    cr_assert_eq(event_set_look(&set, &ready), &items[0]);
    cr_assert_eq(ready, 0U);
    cr_assert_null(event_set_look(&set, &ready));
    cr_assert(event_item_mark(&items[0]), "and comes in anew");
}

Test(event_set, none_starves) {
    add_all();
    for (unsigned i = 0; i < SOURCES; i++) {
        state[i] = EVENT_READABLE;
        (void)event_item_mark(&items[i]);
    }
    for (unsigned i = 0; i < 4 * SOURCES; i++) {
        unsigned ready = 0;
        cr_assert_eq(event_set_look(&set, &ready), &items[i % SOURCES]);
    }
}

Test(event_set, what_is_removed_is_reported_no_more) {
    add_all();
    for (unsigned i = 0; i < SOURCES; i++) {
        state[i] = EVENT_READABLE;
        (void)event_item_mark(&items[i]);
    }
    event_set_remove_item(&items[0]);
    event_set_remove_item(&items[SOURCES - 1]);
    event_set_remove_item(&items[2]);
    unsigned ready = 0;
    cr_assert_eq(set.queued, 2U);
    cr_assert_eq(event_set_look(&set, &ready), &items[1]);
    cr_assert_eq(event_set_look(&set, &ready), &items[3]);
    cr_assert_not(event_item_mark(&items[0]));
    cr_assert_eq(event_set_peek(&set), &items[1]);
    state[1] = 0;
    cr_assert_eq(event_set_peek(&set), &items[3]);
}
