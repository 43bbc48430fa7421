/* test_collector.c: a copying collector's use of pages, on memory that is an array. */
#include "kernel_model/common/collector.h"

#include <criterion/criterion.h>
#include <string.h>

enum { PAGES = 40, SPACE = PAGES / 2, LIVE = SPACE / COLLECTOR_LIVE_EVERY };

struct heap {
    uint32_t words[PAGES];
    bool dead[PAGES];
    uint64_t loads, stores, deaths, used;
};

static uint32_t load(void *context, uint64_t page) {
    struct heap *heap = context;
    cr_assert(page < PAGES && !heap->dead[page], "page %llu is read, and dead", (unsigned long long)page);
    heap->loads++;
    return heap->words[page];
}
static void store(void *context, uint64_t page, uint32_t value) {
    struct heap *heap = context;
    cr_assert_lt(page, PAGES);
    heap->stores++;
    heap->dead[page] = false;
    heap->words[page] = value;
}
static void used(void *context, uint64_t page) {
    (void)page;
    ((struct heap *)context)->used++;
}
static void dead(void *context, uint64_t page) {
    struct heap *heap = context;
    heap->deaths++;
    heap->dead[page] = true;
    heap->words[page] = UINT32_MAX; /* whatever is read of it would be noticed */
}

Test(collector, nothing_that_it_calls_dead_is_needed) {
    struct heap heap = {.loads = 0};
    const struct collector_memory memory = {load, store, used, dead, &heap};
    struct collector collector;
    collector_init(&collector, PAGES);
    for (uint32_t i = 0; i < PAGES; i++) {
        heap.words[i] = i;
    }
    for (uint64_t i = 1; i <= 50; i++) {
        collector_cycle(&collector, &memory);
        cr_expect_eq(heap.loads, i * LIVE);
        cr_expect_eq(heap.stores, i * SPACE);
        cr_expect_eq(heap.deaths, i * SPACE, "all of the space that was left");
        cr_expect_eq(heap.used, i * (LIVE + SPACE));
        cr_expect_eq(collector.second, i % 2 == 1);
    }
    collector_free(&collector);
}
