/* test_ultrix_paging.c: pages that come and go as the kernel chooses. */
#include "tests/kernel_model/ultrix_fixture.h"

enum { FRAMES = 32, PAGES = 50, HZ = 256 };

static struct ultrix_paging *paging;
static struct ultrix_process *alice;
static void (*scenario)(void);
static uint64_t pages;

static void alice_main(struct ultrix_process *process) {
    cr_assert_eq(ultrix_paging_begin(paging, process, pages, NULL), OK);
    scenario();
    fixture_stop(process);
}

static void make(uint64_t count, uint64_t hz, void (*what)(void)) {
    fixture_make(hz);
    pages = count;
    scenario = what;
    paging_costs.resident = FRAMES;
    paging_costs.lots_free = 4;
    paging_costs.desired_free = 2;
    paging_costs.hand_spread = 16;
    paging_costs.page_in.cycles = paging_costs.page_out.cycles = 50000; /* 2 ms */
    paging_costs.fast_scan = 4000;
    paging_costs.writes = 1000;
}

static void run_made(void) {
    struct error error = {OK, ""};
    paging = ultrix_paging_create(ultrix, &paging_costs, &error);
    cr_assert_not_null(paging, "%s", error.text);
    alice = fixture_process("alice", alice_main, NULL);
    fixture_run(alice, 100 * SIM_S);
    cr_expect(finished);
}

static void run(uint64_t count, void (*what)(void)) {
    make(count, HZ, what);
    run_made();
}

static uint32_t at(uint64_t page) {
    return ULTRIX_DATA_AT + (uint32_t)page * ULTRIX_PAGE;
}
static uint32_t load(uint64_t page) {
    uint32_t value = 0;
    cr_assert(r3000_load(cpu, at(page), 4, &value));
    return value;
}
static void store(uint64_t page, uint32_t value) {
    cr_assert(r3000_store(cpu, at(page), 4, value));
}

/* Each frame is on the free list or holds a page, and what is free is what is linked. */
static void check_core_map(void) {
    uint64_t linked = 0;
    uint32_t previous = UINT32_MAX;
    for (uint32_t i = paging->first_free; i != UINT32_MAX; i = paging->frames[i].next) {
        cr_assert(paging->frames[i].is_free && paging->frames[i].previous == previous && !paging->frames[i].busy);
        previous = i;
        linked++;
    }
    cr_expect_eq(linked, paging->free);
    for (uint32_t i = 0; i < FRAMES; i++) {
        const struct ultrix_frame *frame = &paging->frames[i];
        cr_expect(frame->is_free || frame->owner == alice);
        if (frame->owner != NULL && !frame->busy) {
            const uint32_t pte = memory_read32(machine->memory, frame->owner->data_table + 4 * frame->page);
            cr_expect_eq(pte & R3000_LO_PFN, frame->physical, "frame %u", i);
            cr_expect(!frame->is_free || (pte & R3000_LO_VALID) == 0, "a free page is used");
        }
    }
}

/* ---- content ---- */

static void random_use(void) {
    uint32_t expected[PAGES];
    struct random_stream *draw = random_stream_create("test.pages");
    for (uint32_t i = 0; i < PAGES; i++) {
        expected[i] = i;
    }
    for (uint32_t i = 1; i < 6000; i++) {
        const uint64_t page = random_below(draw, PAGES);
        if (random_below(draw, 2) == 0) {
            expected[page] = 1000 + i;
            store(page, expected[page]);
        } else {
            cr_assert_eq(load(page), expected[page], "page %llu at %u", (unsigned long long)page, i);
        }
    }
    check_core_map();
    random_stream_free(draw);
    cr_expect(paging->counters.in > 1000 && paging->counters.out > 200);
    cr_expect_gt(ultrix->counters.reclaims, 0);
    cr_expect_gt(paging->counters.reclaims, 0, "from the free list");
    cr_expect_gt(ultrix->counters.modifies, 0);
}
Test(ultrix_paging, a_page_holds_what_was_written_wherever_it_was) {
    run(PAGES, random_use);
}

/* ---- which leave ---- */

static void scan(uint64_t rounds) {
    for (uint64_t i = 0; i < rounds * pages; i++) {
        cr_assert_eq(load(i % pages), i % pages);
    }
}

static void cycle(void) {
    scan(2);
    const uint64_t before = paging->counters.in;
    scan(4);
    cr_expect_eq(paging->counters.in - before, 4 * PAGES);
    cr_expect_eq(paging->counters.out, 0, "what is only read is not written back");
    check_core_map();
}
Test(ultrix_paging, a_cyclic_scan_misses_every_page) {
    run(PAGES, cycle);
}

static void fits(void) {
    scan(1);
    const uint64_t before = paging->counters.in;
    for (unsigned i = 0; i < 3000; i++) {
        scan(1);
    }
    cr_expect_eq(before, pages);
    cr_expect_eq(paging->counters.in, before);
    cr_expect_eq(paging->counters.scans, 0, "with enough free the daemon sleeps");
}
Test(ultrix_paging, what_fits_is_read_once) {
    run(FRAMES - 4, fits);
}

/* Page 0 is used between all others: the front hand takes its valid bit, the next use gives it
 * back before the other hand comes. */
static void favourite(void) {
    for (uint64_t i = 0; i < 6 * PAGES; i++) {
        cr_assert_eq(load(1 + i % (PAGES - 1)), 1 + i % (PAGES - 1));
        cr_assert_eq(load(0), 0);
    }
    const uint64_t others = paging->counters.in - 1;
    cr_expect_eq(others, 6 * PAGES, "page 0 was read once, the others each time");
    cr_expect_gt(ultrix->counters.reclaims, 5);
}
Test(ultrix_paging, a_page_in_use_stays) {
    run(PAGES, favourite);
}

/* Nobody takes references: without the front hand every page would look used for ever, and
 * nothing would leave. */
static void references(void) {
    scan(1);
    cr_expect_geq(paging->counters.scans, PAGES - FRAMES, "%llu", (unsigned long long)paging->counters.scans);
}
Test(ultrix_paging, each_page_that_leaves_was_looked_at) {
    run(PAGES, references);
}

/* ---- writing ---- */

static void dirty(void) {
    for (uint64_t i = 0; i < PAGES; i++) {
        store(i, 7 + (uint32_t)i);
    }
    for (uint64_t i = 0; i < PAGES; i++) {
        cr_assert_eq(load(i), 7 + i);
    }
    cr_expect_geq(paging->counters.out, PAGES - FRAMES);
    cr_expect_leq(paging->counters.out, PAGES, "each once");
    cr_expect_eq(ultrix->counters.modifies, PAGES);
}
Test(ultrix_paging, what_was_written_is_written_back_once) {
    run(PAGES, dirty);
}

/* ---- time: a page's coming is its steps, and the store's time in full ---- */

static sim_time one_fault;
static void time_a_fault(void) {
    const sim_time from = fixture_now(alice);
    (void)load(0);
    one_fault = fixture_now(alice) - from;
}
Test(ultrix_paging, a_fault_takes_the_stores_time_and_its_steps) {
    make(PAGES, HZ, time_a_fault);
    run_made();
    const uint64_t page_in = paging_costs.page_in.cycles;
    const uint64_t cycles = sim_clock_cycles(core_clock(cpu->core), one_fault);
    const uint64_t least = page_in + costs.fault.cycles + costs.trap.cycles + costs.sleep.cycles +
                           paging_costs.allocate.cycles + paging_costs.transfer.cycles +
                           paging_costs.store_interrupt.cycles + costs.wakeup.cycles;
    cr_expect_gt(cycles, least - costs.sleep.cycles - costs.switch_to.cycles);
    cr_expect_lt(cycles, least + 2000, "%llu cycles", (unsigned long long)cycles);
}

/* ---- protection and the valid bit ---- */

static void reclaim(void) {
    store(0, 5);
    cr_expect_eq(ultrix_mprotect(alice, at(0), 1, ULTRIX_NO_ACCESS), OK);
    cr_expect_eq(ultrix_mprotect(alice, at(0), 1, ULTRIX_READ_WRITE), OK);
    const uint64_t before = ultrix->counters.reclaims, modifies = ultrix->counters.modifies;
    cr_expect_eq(load(0), 5);
    cr_expect_eq(ultrix->counters.reclaims - before, 1, "allowed, and not yet valid");
    cr_expect_eq(load(0), 5);
    store(0, 6);
    cr_expect_eq(ultrix->counters.reclaims - before, 1);
    cr_expect_eq(ultrix->counters.modifies, modifies, "it was modified before");
}
Test(ultrix_paging, a_page_that_lost_its_valid_bit_is_reclaimed) {
    run(PAGES, reclaim);
}
