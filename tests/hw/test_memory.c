/* Memory: contents by frame, passengers, watches. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "hw/memory.h"

static struct memory *memory;

static void make(void) {
    memory = memory_create(UINT64_C(1) << 20);
}
static void drop(void) {
    memory_free(memory);
}

TestSuite(memory, .init = make, .fini = drop);

Test(memory, fresh_memory_reads_as_zero_and_takes_nothing) {
    uint8_t bytes[64];
    memset(bytes, 0xff, sizeof bytes);
    memory_read(memory, 4096 - 32, bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; ++i) {
        cr_assert_eq(bytes[i], 0);
    }
    memory_fill(memory, 0, 0, 8192);
    memory_copy(memory, 0, 65536, 8192);
    cr_assert_eq(memory_resident_bytes(memory), 0);
    memory_write32(memory, 4096, 1);
    cr_assert_eq(memory_resident_bytes(memory), 4096);
}

Test(memory, words_are_little_endian) {
    memory_write32(memory, 8, 0x04030201);
    memory_write64(memory, 16, UINT64_C(0x0807060504030201));
    for (uint8_t i = 0; i < 4; ++i) {
        cr_assert_eq(*memory_at(memory, 8U + i), i + 1);
    }
    for (uint8_t i = 0; i < 8; ++i) {
        cr_assert_eq(*memory_at(memory, 16U + i), i + 1);
    }
    cr_assert_eq(memory_read32(memory, 20), 0x08070605U);
    cr_assert_eq(memory_read64(memory, 8), UINT64_C(0x04030201));
}

Test(memory, ranges_are_checked_without_wrapping) {
    cr_assert(memory_contains(memory, 0, 1 << 20));
    cr_assert(memory_contains(memory, 1 << 20, 0));
    cr_assert_not(memory_contains(memory, 1, 1 << 20));
    cr_assert_not(memory_contains(memory, UINT64_MAX - 3, 8));
    cr_assert_not(memory_contains(memory, 8, UINT64_MAX));
}

Test(memory, reading_past_the_end_is_fatal, .signal = SIGABRT) {
    uint8_t byte[2];
    memory_read(memory, (1 << 20) - 1, byte, 2);
}

Test(memory, writing_past_the_end_is_fatal, .signal = SIGABRT) {
    memory_write(memory, 1 << 20, "x", 1);
}

Test(memory, an_unaligned_word_is_fatal, .signal = SIGABRT) {
    memory_write64(memory, 4, 1);
}

/* Random reads, writes, fills and (overlapping) copies against plain bytes. */
Test(memory, behaves_as_an_array_of_bytes) {
    enum { SPAN = 1 << 16 };
    static uint8_t model[SPAN], data[SPAN];
    uint64_t random = 1;
    for (int round = 0; round < 20000; ++round) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407U;
        const uint64_t at = (random >> 33) % SPAN;
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407U;
        const uint64_t other = (random >> 33) % SPAN;
        const uint64_t furthest = at > other ? at : other;
        const size_t length = (size_t)((random >> 50) % 9000 % (SPAN - furthest + 1));
        switch ((random >> 20) % 4) {
        case 0:
            for (size_t i = 0; i < length; ++i) {
                data[i] = (uint8_t)(random >> (i % 50));
            }
            memory_write(memory, at, data, length);
            memcpy(model + at, data, length);
            break;
        case 1:
            memory_fill(memory, at, (uint8_t)round, length);
            memset(model + at, (uint8_t)round, length);
            break;
        case 2:
            memory_copy(memory, at, other, length);
            memmove(model + at, model + other, length);
            break;
        default:
            memory_read(memory, at, data, length);
            cr_assert_arr_eq(data, model + at, length, "round %d", round);
        }
    }
    memory_read(memory, 0, data, SPAN);
    cr_assert_arr_eq(data, model, SPAN);
}

/* ---- passengers ---- */

Test(memory, a_passenger_alights_once_and_is_replaced) {
    static struct request first, second;
    cr_assert_null(memory_alight(memory, 64));
    memory_board(memory, 64, &first);
    memory_board(memory, 64, &second);
    cr_assert_eq(memory_alight(memory, 64), &second);
    cr_assert_null(memory_alight(memory, 64));
    memory_board(memory, 0, &first);
    memory_board(memory, 0, NULL);
    cr_assert_null(memory_alight(memory, 0), "bytes of nobody replace what was there");
}

Test(memory, passengers_come_and_go_in_any_number) {
    enum { PLACES = 5000 };
    static struct request *model[PLACES];
    static struct request requests[16];
    uint64_t random = 7;
    for (int round = 0; round < 200000; ++round) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407U;
        const uint64_t place = (random >> 33) % PLACES;
        if ((random >> 32) % 2 != 0) {
            model[place] = &requests[(random >> 20) % 16];
            memory_board(memory, place * 64, model[place]);
        } else {
            cr_assert_eq(memory_alight(memory, place * 64), model[place], "round %d", round);
            model[place] = NULL;
        }
    }
    for (uint64_t place = 0; place < PLACES; ++place) {
        cr_assert_eq(memory_alight(memory, place * 64), model[place]);
    }
}

/* ---- watches ---- */

struct bell {
    struct memory_watch watch;
    char name;
    struct bell *clears; /* another that it clears when it rings */
    bool sets_again;
};
static char rung[64];

static void ring(void *context) {
    struct bell *bell = context;
    strncat(rung, &(char){bell->name}, 1);
    if (bell->clears != NULL) {
        memory_watch_clear(memory, &bell->clears->watch);
    }
    if (bell->sets_again) {
        memory_watch_clear(memory, &bell->watch);
        memory_watch_set(memory, &bell->watch, bell->watch.line * MEMORY_LINE_BYTES, ring, bell);
    }
}

Test(memory, a_watch_rings_for_its_line_only) {
    struct bell bell = {.name = 'a'};
    memory_device_wrote(memory, 0, 4096);
    memory_watch_set(memory, &bell.watch, 130, ring, &bell);
    memory_device_wrote(memory, 0, 128);
    memory_device_wrote(memory, 192, 64);
    memory_device_wrote(memory, 128, 0);
    memory_device_wrote(memory, 128 + 256 * 64 * 4, 64); /* the same bucket */
    cr_assert_str_eq(rung, "");
    memory_device_wrote(memory, 127, 2);
    memory_device_wrote(memory, 191, 1);
    memory_device_wrote(memory, 0, 4096);
    cr_assert_str_eq(rung, "aaa");
    memory_watch_clear(memory, &bell.watch);
    memory_watch_clear(memory, &bell.watch);
    memory_device_wrote(memory, 128, 64);
    cr_assert_str_eq(rung, "aaa");
}

Test(memory, watches_ring_by_line_then_in_order_of_setting) {
    struct bell a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'};
    memory_watch_set(memory, &c.watch, 64, ring, &c);
    memory_watch_set(memory, &b.watch, 0, ring, &b);
    memory_watch_set(memory, &a.watch, 0, ring, &a);
    memory_device_wrote(memory, 0, 128);
    cr_assert_str_eq(rung, "bac");
}

Test(memory, a_callback_may_clear_and_set_watches) {
    struct bell a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'};
    a.clears = &b;
    a.sets_again = true;
    memory_watch_set(memory, &a.watch, 0, ring, &a);
    memory_watch_set(memory, &b.watch, 0, ring, &b);
    memory_watch_set(memory, &c.watch, 0, ring, &c);
    memory_device_wrote(memory, 0, 8);
    cr_assert_str_eq(rung, "ac");
    memory_device_wrote(memory, 0, 8);
    cr_assert_str_eq(rung, "acca", "set again, it stands behind");
}

Test(memory, setting_an_armed_watch_is_fatal, .signal = SIGABRT) {
    struct bell bell = {.name = 'a'};
    memory_watch_set(memory, &bell.watch, 0, ring, &bell);
    memory_watch_set(memory, &bell.watch, 64, ring, &bell);
}
