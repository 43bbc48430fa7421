/* test_x86_paging.c: translation by the kernel's tables: walks, the TLB and its tags,
 * accessed and dirty bits, a plain table as the judge. */
#include "tests/hw/x86_fixture.h"

static uint64_t leaf(uint64_t page) {
    return memory_read64(x86_machine->memory, x86_fixture_entry(kernel_tables, page, 1));
}

static void accesses(void *argument) {
    (void)argument;
    uint64_t value = 0;
    x86_fixture_enter();
    x86_fixture_map(PAGE_A, FRAME_A, true);
    sim_time from = x86_fixture_now();
    cr_expect(x86_load(cpu, PAGE_A + 8, 8, &value));
    cr_expect_eq(x86_fixture_cycles(from),
                 4 * FIXTURE_LINE_CYCLES + 4 * (FIXTURE_LINE_CYCLES + FIXTURE_ASSIST) + 1 + FIXTURE_LINE_CYCLES,
                 "a walk of four, each marked as accessed, and the load");
    cr_expect_eq(cpu->translation.references, 4);
    from = x86_fixture_now();
    cr_expect(x86_load(cpu, PAGE_A + 16, 8, &value));
    cr_expect_eq(x86_fixture_cycles(from), 1 + FIXTURE_LINE_CYCLES, "a hit");
    from = x86_fixture_now();
    cr_expect(x86_store(cpu, PAGE_A + 16, 8, 1));
    cr_expect_eq(x86_fixture_cycles(from),
                 4 * FIXTURE_LINE_CYCLES + FIXTURE_LINE_CYCLES + FIXTURE_ASSIST + 1 + FIXTURE_LINE_CYCLES,
                 "the first store walks again, to mark the leaf dirty");
    from = x86_fixture_now();
    cr_expect(x86_store(cpu, PAGE_A + 24, 8, 1));
    cr_expect_eq(x86_fixture_cycles(from), 1 + FIXTURE_LINE_CYCLES);
    from = x86_fixture_now();
    x86_fixture_map(PAGE_B, FRAME_B, true);
    cr_expect(x86_store(cpu, PAGE_A + 4094, 4, 0xaabbccdd), "over the page's end");
    cr_expect_eq(x86_fixture_cycles(from),
                 4 * FIXTURE_LINE_CYCLES + FIXTURE_LINE_CYCLES + FIXTURE_ASSIST + 2 * (1 + FIXTURE_LINE_CYCLES),
                 "two accesses, and a walk whose upper entries are marked already");
    cr_expect_eq(memory_read32(x86_machine->memory, FRAME_A + 4092) >> 16, 0xccdd);
    cr_expect_eq(memory_read32(x86_machine->memory, FRAME_B) & 0xffff, 0xaabb);
    cr_expect(x86_load(cpu, PAGE_A + 4094, 4, &value) && value == 0xaabbccdd);
}
Test(x86_paging, an_access_is_the_sum_of_its_stages) {
    x86_fixture_run(accesses);
}

static void marks(void *argument) {
    (void)argument;
    uint64_t value = 0;
    x86_fixture_enter();
    x86_fixture_map(PAGE_A, FRAME_A, true);
    cr_expect_eq(leaf(PAGE_A) & (MMU_PTE_ACCESSED | MMU_PTE_DIRTY), 0);
    cr_expect(x86_load(cpu, PAGE_A, 4, &value));
    cr_expect_eq(leaf(PAGE_A) & (MMU_PTE_ACCESSED | MMU_PTE_DIRTY), MMU_PTE_ACCESSED);
    cr_expect(x86_store(cpu, PAGE_A, 4, 7));
    cr_expect_eq(leaf(PAGE_A) & (MMU_PTE_ACCESSED | MMU_PTE_DIRTY), MMU_PTE_ACCESSED | MMU_PTE_DIRTY);
    cr_expect_eq(memory_read64(x86_machine->memory, x86_fixture_entry(kernel_tables, PAGE_A, 2)) & MMU_PTE_DIRTY, 0);
    /* Cleared behind the TLB's back, the bit stays clear until the page is invalidated. */
    memory_write64(x86_machine->memory, x86_fixture_entry(kernel_tables, PAGE_A, 1), leaf(PAGE_A) & ~MMU_PTE_DIRTY);
    cr_expect(x86_store(cpu, PAGE_A, 4, 8));
    cr_expect_eq(leaf(PAGE_A) & MMU_PTE_DIRTY, 0);
    x86_syscall(cpu);
    (void)x86_invlpg(cpu, PAGE_A);
    x86_return(cpu);
    cr_expect(x86_store(cpu, PAGE_A, 4, 9));
    cr_expect_neq(leaf(PAGE_A) & MMU_PTE_DIRTY, 0);
    /* A load through a dirty leaf lets stores through, too. */
    x86_syscall(cpu);
    (void)x86_invlpg(cpu, PAGE_A);
    x86_return(cpu);
    const uint64_t walks = cpu->translation.walks;
    cr_expect(x86_load(cpu, PAGE_A, 4, &value) && value == 9);
    cr_expect(x86_store(cpu, PAGE_A, 4, 10));
    cr_expect_eq(cpu->translation.walks, walks + 1);
    /* A fault marks nothing. */
    x86_fixture_map(PAGE_B, FRAME_B, false);
    cr_expect_not(x86_store(cpu, PAGE_B, 4, 1));
    cr_expect_eq(leaf(PAGE_B) & (MMU_PTE_ACCESSED | MMU_PTE_DIRTY), 0);
}
Test(x86_paging, a_walk_marks_what_it_uses) {
    x86_fixture_run(marks);
}

static void stale(void *argument) {
    (void)argument;
    uint64_t value = 0;
    x86_fixture_enter();
    x86_fixture_map(PAGE_A, FRAME_A, true);
    cr_expect(x86_load(cpu, PAGE_A, 4, &value));
    address_space_unmap(kernel_tables, PAGE_A, X86_PAGE_BYTES);
    cr_expect(x86_load(cpu, PAGE_A, 4, &value), "cached");
    cr_expect_not(x86_store(cpu, PAGE_A, 4, 1), "but a store walks,");
    cr_expect_not(x86_load(cpu, PAGE_A, 4, &value), "and its fault drops what was cached");
    /* A page that becomes present needs no invalidation. */
    x86_fixture_map(PAGE_A, FRAME_B, true);
    memory_write32(x86_machine->memory, FRAME_B, 77);
    cr_expect(x86_load(cpu, PAGE_A, 4, &value) && value == 77);
}
Test(x86_paging, the_tlb_remembers_until_it_is_told) {
    x86_fixture_run(stale);
}

/* ---- tags ---- */

static struct address_space *other_tables;
static struct x86_space other;

static void tags(void *argument) {
    (void)argument;
    uint64_t value = 0;
    const bool tagged = cpu->config.pcid;
    x86_fixture_enter();
    other_tables = address_space_create(x86_machine->memory, x86_fixture_table, NULL);
    other = x86_space_make(other_tables, 2, false);
    x86_fixture_map(PAGE_A, FRAME_A, true);
    cr_assert_eq(address_space_map(other_tables, PAGE_A, FRAME_B, X86_PAGE_BYTES, MMU_USER | MMU_WRITE), OK);
    memory_write32(x86_machine->memory, FRAME_A, 'A');
    memory_write32(x86_machine->memory, FRAME_B, 'B');
    cr_expect(x86_load(cpu, PAGE_A, 4, &value) && value == 'A');
    x86_syscall(cpu);
    x86_switch(cpu, &other);
    x86_return(cpu);
    cr_expect(x86_load(cpu, PAGE_A, 4, &value) && value == 'B', "the other's page at the same address");
    x86_syscall(cpu);
    x86_switch(cpu, &space);
    x86_return(cpu);
    const uint64_t walks = cpu->translation.walks;
    cr_expect(x86_load(cpu, PAGE_A, 4, &value) && value == 'A');
    cr_expect_eq(cpu->translation.walks - walks, tagged ? 0 : 1, "tags keep what was cached");
    x86_syscall(cpu);
    x86_flush(cpu, &other);
    x86_return(cpu);
    cr_expect(x86_load(cpu, PAGE_A, 4, &value));
    cr_expect_eq(cpu->translation.walks - walks, tagged ? 0 : 1, "the other's are gone, not these");
}
Test(x86_paging, spaces_are_told_apart) {
    x86_fixture_run(tags);
}
Test(x86_paging, without_tags_a_switch_empties_the_tlb) {
    x86_fixture_run_with(tags, ", pcid: false");
}

/* ---- random accesses against a plain table ---- */

static void random_accesses(void *argument) {
    (void)argument;
    enum { PAGES = 256, ROUNDS = 20000 };
    static struct {
        bool mapped, write, dirty;
        uint64_t word;
    } model[PAGES];
    uint64_t random = 11;
    x86_fixture_enter();
    for (int round = 0; round < ROUNDS; round++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407U;
        const uint64_t i = (random >> 33) % PAGES, page = UINT64_C(0x100000000) + i * 37 * X86_PAGE_BYTES;
        const uint64_t frame = FRAME_A + i * X86_PAGE_BYTES;
        const unsigned what = (random >> 20) % 16;
        uint64_t value = 0;
        if (what == 0 && !model[i].mapped) {
            model[i].mapped = true;
            model[i].write = (random >> 28) % 2 == 0;
            model[i].dirty = false;
            x86_fixture_map(page, frame, model[i].write);
        } else if (what == 1 && model[i].mapped) {
            model[i].mapped = false;
            address_space_unmap(kernel_tables, page, X86_PAGE_BYTES);
            x86_syscall(cpu);
            (void)x86_invlpg(cpu, page);
            x86_return(cpu);
        } else if (what % 2 == 0) {
            cr_assert_eq(x86_load(cpu, page + 8, 8, &value), model[i].mapped, "round %d", round);
            cr_assert(!model[i].mapped || value == model[i].word);
        } else {
            const bool may = model[i].mapped && model[i].write;
            cr_assert_eq(x86_store(cpu, page + 8, 8, random), may, "round %d", round);
            model[i].word = may ? random : model[i].word;
            model[i].dirty = model[i].dirty || may;
        }
        cr_assert(!model[i].mapped || ((leaf(page) & MMU_PTE_DIRTY) != 0) == model[i].dirty);
    }
    cr_expect(cpu->translation.hits > 0 && cpu->translation.walks > 0);
}
Test(x86_paging, agrees_with_a_plain_table) {
    x86_fixture_run(random_accesses);
}
