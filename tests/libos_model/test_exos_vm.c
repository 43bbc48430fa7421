/* test_exos_vm.c: the library's virtual memory: what protection stops, what a dirty bit
 * says, and what the kernel lets an application allow itself. */
#include "libos_model/exos/pmap.h"
#include "tests/libos_model/exos_vm_fixture.h"

enum { PAGES = 100, FEW = 3 };

static unsigned traps;

static enum error_code grow(void) {
    return exos_vm_grow(&vm, PAGES, NULL);
}

static void run_with(int table, uint64_t stlb_entries, void (*what)(void)) {
    config.stlb_entries = stlb_entries;
    vm_fixture_make();
    vm_costs.page_table = table;
    vm_fixture_run(grow, what, 2 * SIM_S);
#ifndef FIXTURE_X86
    cr_expect_eq(cpu->counters.tlb_shutdowns, 0);
#endif
    exos_vm_free(&vm);
}

static bool load(uint64_t page, uint32_t *value) {
    return aegis_user_load(alice, exos_vm_page(page), 4, value);
}
static bool store(uint64_t page, uint32_t value) {
    return aegis_user_store(alice, exos_vm_page(page), 4, value);
}

/* ---- protection ---- */

static enum aegis_resume count_trap(struct exos_vm *of, uint32_t address) {
    (void)of, (void)address;
    traps++;
    return AEGIS_SKIP;
}

static void protect_and_unprotect(void) {
    uint32_t value = 0;
    vm.on_trap = count_trap;
    for (uint64_t i = 0; i < PAGES; i++) {
        cr_expect(store(i, 1000 + (uint32_t)i));
    }
    exos_vm_protect(&vm, exos_vm_page(0), PAGES, AEGIS_NO_ACCESS);
    for (uint64_t i = 0; i < PAGES; i++) {
        cr_expect_not(load(i, &value), "page %llu can be read", (unsigned long long)i);
        cr_expect_not(store(i, 7));
    }
    cr_expect_eq(traps, 2 * PAGES);
    exos_vm_protect(&vm, exos_vm_page(0), PAGES, AEGIS_READ_ONLY);
    for (uint64_t i = 0; i < PAGES; i++) {
        cr_expect(load(i, &value) && value == 1000 + i);
        cr_expect_not(store(i, 7));
    }
    cr_expect_eq(traps, 3 * PAGES);
    exos_vm_protect(&vm, exos_vm_page(0), PAGES, AEGIS_READ_WRITE);
    for (uint64_t i = 0; i < PAGES; i++) {
        cr_expect(load(i, &value) && value == 1000 + i && store(i, 8));
    }
    cr_expect_eq(traps, 3 * PAGES);
}
Test(exos_vm, protection_holds_with_a_linear_table) {
    run_with(FIXTURE_TABLE, 4096, protect_and_unprotect);
    cr_expect_eq(vm.probes, 0);
}
#ifndef FIXTURE_NESTED
Test(exos_vm, protection_holds_with_a_hashed_table) {
    run_with(EXOS_TABLE_HASHED, 4096, protect_and_unprotect);
    cr_expect_gt(vm.probes, PAGES);
}
#endif
#ifndef FIXTURE_X86
Test(exos_vm, protection_holds_with_a_software_tlb_that_is_too_small) {
    run_with(FIXTURE_TABLE, 16, protect_and_unprotect);
}
Test(exos_vm, protection_holds_without_a_software_tlb) {
    run_with(FIXTURE_TABLE, 0, protect_and_unprotect);
}

/* A page protected in the table alone would still be translated. */
static void no_translation_is_left(void) {
    uint32_t physical = 0, lo = 0;
    bool cached = false, refill = false;
    cr_expect(store(0, 1));
    exos_vm_protect(&vm, exos_vm_page(0), 1, AEGIS_NO_ACCESS);
    cpu_run(context_current());
    cr_expect_eq(r3000_translate(cpu, exos_vm_page(0), false, &physical, &cached, &refill), R3000_TLBL);
    cr_expect_not(stlb_probe(&aegis->stlb, &aegis->costs->stlb_probe, r3000_hi(exos_vm_page(0), alice->asid), &lo));
}
Test(exos_vm, protection_changes_the_kernels_translations_too) {
    run_with(FIXTURE_TABLE, 4096, no_translation_is_left);
}

#endif

/* ---- dirty bits ---- */

static void dirty_bits(void) {
    uint32_t value = 0;
    cr_expect(load(0, &value));
    cr_expect_not(exos_vm_is_dirty(&vm, exos_vm_page(0)), "a load made it dirty");
    cr_expect(store(0, 1) && store(0, 2));
    cr_expect(exos_vm_is_dirty(&vm, exos_vm_page(0)));
    cr_expect_not(exos_vm_is_dirty(&vm, exos_vm_page(1)));
    cr_expect_eq(vm.dirtied, vm.pmap->marks_dirty ? 0 : 1);
    exos_vm_clean(&vm, exos_vm_page(0));
    cr_expect_not(exos_vm_is_dirty(&vm, exos_vm_page(0)));
    cr_expect(store(0, 3) && load(0, &value) && value == 3);
    cr_expect(exos_vm_is_dirty(&vm, exos_vm_page(0)));
    cr_expect_eq(vm.dirtied, vm.pmap->marks_dirty ? 0 : 2);
    /* A clean page that is unprotected still notices its first store. */
    exos_vm_protect(&vm, exos_vm_page(1), 1, AEGIS_NO_ACCESS);
    exos_vm_protect(&vm, exos_vm_page(1), 1, AEGIS_READ_WRITE);
    cr_expect(store(1, 1) && exos_vm_is_dirty(&vm, exos_vm_page(1)));
}
Test(exos_vm, the_first_store_marks_a_page) {
    run_with(FIXTURE_TABLE, 4096, dirty_bits);
}
#ifndef FIXTURE_NESTED
Test(exos_vm, the_first_store_marks_a_page_of_a_hashed_table) {
    run_with(EXOS_TABLE_HASHED, 4096, dirty_bits);
}
#endif

#ifndef FIXTURE_NESTED
/* ---- what the kernel allows ---- */

static void no_more_than_was_bound(void) {
    struct exo_handle handle, reading;
    uint64_t physical = 0;
    uint32_t value = 0;
    handle = fixture_frame(alice, &physical);
    cr_assert_eq(aegis_derive(alice, &handle, EXO_READ, alice, &reading, NULL), OK);
    cr_assert_eq(aegis_tlb_insert(alice, PAGE_X, &reading, false, NULL), OK);
    cr_expect_eq(aegis_tlb_protect(alice, PAGE_X, 1, AEGIS_READ_WRITE, NULL), ERR_DENIED);
    cr_expect_not(aegis_user_store(alice, PAGE_X, 4, 1));
    cr_expect_eq(aegis_tlb_protect(alice, PAGE_X, 1, AEGIS_NO_ACCESS, NULL), OK);
    cr_expect_eq(aegis_tlb_protect(alice, PAGE_X, 1, AEGIS_READ_ONLY, NULL), OK);
    cr_expect(aegis_user_load(alice, PAGE_X, 4, &value));
    cr_expect_eq(aegis_tlb_protect(alice, PAGE_Y, 1, AEGIS_READ_ONLY, NULL), ERR_DENIED, "it is not bound");
    cr_expect_eq(aegis_tlb_protect(alice, AEGIS_USER_END, 1, AEGIS_NO_ACCESS, NULL), ERR_RANGE);
    cr_expect_eq(aegis_tlb_protect(alice, AEGIS_FREE_MAP_AT, 1, AEGIS_READ_WRITE, NULL), ERR_RANGE);
    cr_expect_eq(aegis_tlb_protect(alice, 0x7fffd000, UINT32_MAX, AEGIS_NO_ACCESS, NULL), ERR_RANGE);
    /* Once the frame is given back there is nothing to be allowed again. */
    cr_assert_eq(aegis_tlb_protect(alice, PAGE_X, 1, AEGIS_NO_ACCESS, NULL), OK);
    cr_assert_eq(aegis_frame_release(alice, &handle, NULL), OK);
    cr_expect_eq(aegis_tlb_protect(alice, PAGE_X, 1, AEGIS_READ_ONLY, NULL), ERR_DENIED);
    cr_expect_not(aegis_user_load(alice, PAGE_X, 4, &value));
}
Test(exos_vm, a_page_allows_no_more_than_its_binding_was_made_for) {
    run_with(FIXTURE_TABLE, 4096, no_more_than_was_bound);
}

#endif

/* ---- what it takes ---- */

static uint64_t cycles_of_protect(uint64_t pages, enum aegis_protection protection) {
    const sim_time from = fixture_now();
    exos_vm_protect(&vm, exos_vm_page(0), pages, protection);
    return fixture_cycles(from);
}

static void check_dirty_query(void) {
    for (uint64_t i = 0; i < PAGES; i++) {
        (void)store(i, 1);
    }
    (void)exos_vm_is_dirty(&vm, exos_vm_page(0)); /* the table's page is in the TLB */
    const sim_time from = fixture_now();
    (void)exos_vm_is_dirty(&vm, exos_vm_page(0));
    cr_expect_eq(fixture_cycles(from), vm_costs.lookup.cycles + vm_costs.page_walk.cycles + 1);
}

enum { ENTRY = 2 }; /* a load, a store */

#ifdef FIXTURE_NESTED
/* No kernel: the entries, and an INVLPG for each page that lost a right. */
static void exact_times(void) {
    check_dirty_query();
    (void)cycles_of_protect(FEW, AEGIS_NO_ACCESS); /* the table's page is dirty */
    const uint64_t call = vm_costs.lookup.cycles + vm_costs.protect.cycles + vm_costs.page_walk.cycles;
    const uint64_t entries = FEW * (vm_costs.protect_page.cycles + ENTRY);
    cr_expect_eq(cycles_of_protect(FEW, AEGIS_READ_WRITE), call + entries);
    cr_expect_eq(cycles_of_protect(FEW, AEGIS_NO_ACCESS), call + entries + (uint64_t)FEW * X86_INVLPG_CYCLES);
    const uint64_t exits = aegis->x86->counters.exits;
    (void)cycles_of_protect(PAGES, AEGIS_NO_ACCESS);
    cr_expect_eq(aegis->x86->counters.exits, exits, "the kernel was called");
}
#elif defined(FIXTURE_X86)
/* From the second page on: the entry changed, the kernel's walk to its own and that changed,
 * an INVLPG if a right is taken. */
static void exact_times(void) {
    check_dirty_query();
    enum { LEVELS = 4, LEVEL = 4, KERNEL_ENTRY = LEVELS - 1 + 2 };
    const uint64_t each =
        vm_costs.protect_page.cycles + costs.protect_page.cycles + ENTRY + (uint64_t)LEVELS * LEVEL + KERNEL_ENTRY;
    (void)cycles_of_protect(FEW, AEGIS_NO_ACCESS);
    (void)cycles_of_protect(FEW, AEGIS_READ_WRITE);
    const uint64_t some = cycles_of_protect(FEW, AEGIS_NO_ACCESS), one_more = cycles_of_protect(1, AEGIS_READ_WRITE);
    const uint64_t one = cycles_of_protect(1, AEGIS_NO_ACCESS), more = cycles_of_protect(FEW, AEGIS_READ_WRITE);
    cr_expect_eq(some - one, (FEW - 1) * (each + X86_INVLPG_CYCLES));
    cr_expect_eq(more - one_more, (FEW - 1) * (each + costs.binding_find.cycles));
}
#else
static void exact_times(void) {
    check_dirty_query();
    /* From the second page on: the entry changed, the software TLB's tag and entry, the TLB
     * probed and the entry there invalidated. */
    for (uint64_t i = 0; i < FEW; i++) {
        (void)store(i, 1);
    }
    const uint64_t one = cycles_of_protect(1, AEGIS_NO_ACCESS), some = cycles_of_protect(FEW, AEGIS_NO_ACCESS);
    enum { SOFTWARE_TLB = 2, TLB = 5 };
    cr_expect_eq(some - one,
                 (FEW - 1) * (vm_costs.protect_page.cycles + costs.protect_page.cycles + ENTRY + SOFTWARE_TLB + TLB));
    const uint64_t allowed_one = cycles_of_protect(1, AEGIS_READ_WRITE);
    const uint64_t allowed = cycles_of_protect(FEW, AEGIS_READ_WRITE);
    cr_expect_eq(allowed - allowed_one, some - one + (FEW - 1) * costs.binding_find.cycles);
}
#endif
Test(exos_vm, a_change_takes_what_its_steps_take) {
    run_with(FIXTURE_TABLE, 4096, exact_times);
}

/* ---- its form ---- */

static void too_large(void) {
    struct exos_vm large = {.environment = alice, .costs = &vm_costs};
    cr_expect_eq(exos_vm_grow(&vm, 100000, NULL), ERR_EXHAUSTED);
    cr_expect_eq(exos_vm_grow(&large, 20000, NULL), ERR_SHARE, "its table is more than the guaranteed pages");
    exos_vm_free(&large);
}
Test(exos_vm, a_table_has_an_end) {
    run_with(FIXTURE_TABLE, 4096, too_large);
}
