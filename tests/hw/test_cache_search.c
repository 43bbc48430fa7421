/* The searches and orders within a set, against arrays. */
#include <criterion/criterion.h>

#include <stdbool.h>

#include "hw/cache_search.h"

static uint64_t random_state = 9;
static uint32_t draw(uint32_t bound) {
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407U;
    return (uint32_t)(random_state >> 33) % bound;
}

Test(cache_search, finds_the_first_of_any_number_of_words) {
    uint32_t words[CACHE_WAYS_MAX];
    for (int round = 0; round < 20000; ++round) {
        const uint32_t count = draw(CACHE_WAYS_MAX + 1);
        const int shift = (int)draw(2);
        for (uint32_t i = 0; i < count; ++i) {
            words[i] = draw(200);
        }
        const uint32_t tag = draw(200);
        uint32_t expected = 0;
        while (expected < count && words[expected] >> shift != tag) {
            ++expected;
        }
        cr_assert_eq(cache_search(words, count, tag, shift), expected);
    }
}

Test(cache_search, an_order_is_a_list_from_newest_to_oldest) {
    for (uint32_t ways = 1; ways <= CACHE_ORDER_WAYS_MAX; ++ways) {
        uint64_t order = CACHE_ORDER_AT_FIRST;
        uint32_t list[CACHE_ORDER_WAYS_MAX];
        for (uint32_t i = 0; i < ways; ++i) {
            list[i] = i;
        }
        for (int round = 0; round < 2000; ++round) {
            const bool drops = draw(3) == 0;
            const uint32_t way = draw(ways);
            uint32_t at = 0;
            while (list[at] != way) {
                ++at;
            }
            if (drops) {
                for (; at + 1 < ways; ++at) {
                    list[at] = list[at + 1];
                }
                order = cache_order_drop(order, way, ways);
            } else {
                for (; at != 0; --at) {
                    list[at] = list[at - 1];
                }
                order = cache_order_use(order, way);
            }
            list[at] = way;
            for (uint32_t i = 0; i < ways; ++i) {
                cr_assert_eq((order >> (4 * i)) & 15, list[i], "%u ways, round %d", ways, round);
            }
            cr_assert_eq(cache_order_newest(order), list[0]);
            cr_assert_eq(cache_order_oldest(order, ways), list[ways - 1]);
        }
    }
}
