/* test_exos_paging.c: pages that come and go: what a page holds, what leaves, and how often,
 * in closed form. */
#include "libos_model/exos/paging.h"
#include "tests/libos_model/exos_vm_fixture.h"

enum { FRAMES = 8, PAGES = 13 };

static struct exos_paging paging;
static uint64_t pages;

static enum error_code begin_paging(void) {
    return exos_paging_begin(&paging, &vm, pages, NULL);
}

static void run_with(enum exos_victim victim, enum exos_table table, uint64_t count, void (*what)(void)) {
    pages = count;
    vm_fixture_make();
    vm_costs.page_table = (int)table;
    vm_costs.victim = (int)victim;
    vm_costs.resident = FRAMES;
    vm_costs.page_in.cycles = vm_costs.page_out.cycles = 1000;
    vm_fixture_run(begin_paging, what, 5 * SIM_S);
    exos_paging_free(&paging);
    exos_vm_free(&vm);
}

static void read_page(uint64_t page, uint32_t expected) {
    uint32_t value = 0;
    cr_assert(aegis_user_load(alice, exos_vm_page(page), 4, &value));
    cr_expect_eq(value, expected, "page %llu holds %u", (unsigned long long)page, value);
    exos_paging_use(&paging, page);
}

static void scan(uint64_t rounds) {
    for (uint64_t i = 0; i < rounds * pages; i++) {
        read_page(i % pages, (uint32_t)(i % pages));
    }
}

/* ---- how often, after the first round ---- */

static uint64_t read_in(uint64_t rounds) {
    scan(1);
    const uint64_t before = paging.in;
    scan(rounds);
    return paging.in - before;
}

/* All of them, every round. */
static void misses_all(void) {
    cr_expect_eq(read_in(PAGES - 1), (PAGES - 1) * PAGES);
    cr_expect_eq(paging.out, 0, "a page that is only read is not written back");
}
Test(exos_paging, a_cyclic_scan_misses_every_page_under_lru) {
    run_with(EXOS_VICTIM_LRU, FIXTURE_TABLE, PAGES, misses_all);
}
Test(exos_paging, a_cyclic_scan_misses_every_page_under_a_clock) {
    run_with(EXOS_VICTIM_CLOCK, FIXTURE_TABLE, PAGES, misses_all);
}

/* A page that is out is missed; the one before it leaves, and is missed pages - 1 accesses
 * later. Each of the pages - frames that are out at any time thus misses once in pages - 1
 * accesses: in pages - 1 rounds, pages * (pages - frames) misses. That is also the least
 * that any choice could have (Belady, "A Study of Replacement Algorithms", 1966). */
static void misses_the_excess(void) {
    cr_expect_eq(read_in(PAGES - 1), PAGES * (PAGES - FRAMES));
}
Test(exos_paging, a_cyclic_scan_misses_the_excess_under_its_own_choice) {
    run_with(EXOS_VICTIM_OWN, FIXTURE_TABLE, PAGES, misses_the_excess);
}
#ifndef FIXTURE_NESTED
Test(exos_paging, so_it_does_with_a_hashed_table) {
    run_with(EXOS_VICTIM_OWN, EXOS_TABLE_HASHED, PAGES, misses_the_excess);
}
#endif

static void misses_once(void) {
    cr_expect_eq(read_in(3), 0);
    cr_expect_eq(paging.in, FRAMES);
}
Test(exos_paging, what_fits_is_read_once_under_lru) {
    run_with(EXOS_VICTIM_LRU, FIXTURE_TABLE, FRAMES, misses_once);
}
Test(exos_paging, what_fits_is_read_once_under_a_clock) {
    run_with(EXOS_VICTIM_CLOCK, FIXTURE_TABLE, FRAMES, misses_once);
}
Test(exos_paging, what_fits_is_read_once_under_its_own_choice) {
    run_with(EXOS_VICTIM_OWN, FIXTURE_TABLE, FRAMES, misses_once);
}

/* ---- what a clock knows that the order of arrival does not ---- */

/* Page 0 is used between all others; the clock sees that by its trap and keeps it, save for
 * the first time round, when all look used. */
static void a_favourite(void) {
    scan(1);
    read_page(0, 0);
    const uint64_t before = paging.in;
    for (uint64_t i = 0; i < 10 * (PAGES - 1); i++) {
        read_page(1 + i % (PAGES - 1), (uint32_t)(1 + i % (PAGES - 1)));
        read_page(0, 0);
    }
    const uint64_t others = 10 * (PAGES - 1);
    if (vm_costs.victim == EXOS_VICTIM_CLOCK) {
        cr_expect_eq(paging.in - before, others);
        cr_expect_gt(vm.traps, 0);
    } else {
        cr_expect_gt(paging.in - before, others);
        cr_expect_eq(vm.traps, 0);
    }
}
Test(exos_paging, a_clock_keeps_what_is_used) {
    run_with(EXOS_VICTIM_CLOCK, FIXTURE_TABLE, PAGES, a_favourite);
}
Test(exos_paging, the_order_of_arrival_does_not) {
    run_with(EXOS_VICTIM_LRU, FIXTURE_TABLE, PAGES, a_favourite);
}

/* ---- bytes, frames and time ---- */

static uint64_t frames_held(void) {
    uint64_t count = 0;
    for (const struct aegis_frame *at = alice->frames; at != NULL; at = at->next) {
        count += at->guaranteed ? 0 : 1;
    }
    return count;
}

static void bytes_come_back(void) {
    for (uint64_t i = 0; i < PAGES; i++) {
        cr_assert(aegis_user_store(alice, exos_vm_page(i), 4, 500 + (uint32_t)i));
        exos_paging_use(&paging, i);
        cr_expect_leq(frames_held(), FRAMES);
    }
    for (uint64_t i = 0; i < PAGES; i++) {
        read_page(i, 500 + (uint32_t)i);
    }
    cr_expect_eq(frames_held(), FRAMES);
    cr_expect_eq(paging.out, PAGES, "each was written once, and then only read");
}
Test(exos_paging, what_was_stored_comes_back) {
    run_with(EXOS_VICTIM_LRU, FIXTURE_TABLE, PAGES, bytes_come_back);
}

#ifndef FIXTURE_X86
static bool is_translated(uint64_t page) {
    uint32_t physical = 0, lo = 0;
    bool cached = false, refill = false;
    const uint32_t at = exos_vm_page(page);
    return r3000_translate(cpu, at, false, &physical, &cached, &refill) != R3000_TLBL ||
           stlb_probe(&aegis->stlb, &aegis->costs->stlb_probe, r3000_hi(at, alice->asid), &lo);
}

/* Pages that have left are in no translation: their frames are others' already. Of those that
 * are there, most are: caches lose some. */
static void no_translation_is_left(void) {
    unsigned there = 0;
    scan(1);
    cpu_run(context_current());
    for (uint64_t i = 0; i < PAGES; i++) {
        const bool translated = is_translated(i);
        there += translated ? 1 : 0;
        cr_expect(!translated || i >= PAGES - FRAMES, "page %llu has left", (unsigned long long)i);
    }
    cr_expect_geq(there, FRAMES - 2);
}
Test(exos_paging, a_page_that_left_is_not_translated) {
    run_with(EXOS_VICTIM_LRU, FIXTURE_TABLE, PAGES, no_translation_is_left);
}

#endif

/* ---- what the application does not need ---- */

static void discard(void) {
    for (uint64_t i = 0; i < FRAMES; i++) {
        cr_assert(aegis_user_store(alice, exos_vm_page(i), 4, 900 + (uint32_t)i));
    }
    const uint64_t in = paging.in;
    exos_paging_discard(&paging, 3);
    exos_paging_discard(&paging, 5);
    exos_paging_discard(&paging, PAGES - 1); /* it is not there */
    cr_expect_eq(frames_held(), FRAMES - 2);
    cr_assert(aegis_user_store(alice, exos_vm_page(FRAMES), 4, 77)); /* has a place: nothing leaves */
    cr_expect_eq(paging.in - in, 1);
    cr_expect_eq(paging.out, 0);
    cr_assert(aegis_user_store(alice, exos_vm_page(3), 4, 78)); /* nothing is read */
    cr_assert(aegis_user_store(alice, exos_vm_page(PAGES - 1), 4, 79));
    cr_expect_eq(paging.in - in, 1);
    cr_expect_eq(paging.out, 1, "now one had to leave");
    for (uint64_t i = 0; i < FRAMES; i++) {
        if (i != 3 && i != 5) {
            read_page(i, 900 + (uint32_t)i);
        }
    }
    read_page(3, 78);
    read_page(FRAMES, 77);
    read_page(PAGES - 1, 79);
    cr_expect_eq(frames_held(), FRAMES);
}
Test(exos_paging, a_page_that_is_discarded_is_neither_written_nor_read) {
    run_with(EXOS_VICTIM_LRU, FIXTURE_TABLE, PAGES, discard);
}

static uint64_t cycles_of_miss(void) {
    const sim_time from = fixture_now();
    read_page(PAGES - 1, PAGES - 1);
    return fixture_cycles(from);
}

static void a_miss_takes_the_disk(void) {
    scan(2);
    read_page(0, 0);
    for (uint64_t i = 1; i < PAGES - 1; i++) {
        read_page(i, (uint32_t)i);
    }
    const uint64_t once = cycles_of_miss();
    scan(1);
    for (uint64_t i = 0; i < PAGES - 1; i++) {
        read_page(i, (uint32_t)i);
    }
    vm_costs.page_in.cycles += 700;
    cr_expect_eq(cycles_of_miss(), once + 700);
}
Test(exos_paging, a_miss_takes_what_the_backing_store_takes) {
    run_with(EXOS_VICTIM_LRU, FIXTURE_TABLE, PAGES, a_miss_takes_the_disk);
}
