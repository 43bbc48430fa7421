/* test_exo_nested.c: page tables of the application's own over the kernel's second level. */
#include "hw/mmu_regs.h"
#include "kernel_model/exo/nested.h"
#include "tests/kernel_model/exo_fixture.h"

enum { PAGE = 4096, TABLES = 16, DATA_PAGES = 8 };
#define TABLES_AT UINT64_C(0x400000) /* second-level addresses */
#define DATA_AT UINT64_C(0x800000)
#define FULL (MMU_PTE_PRESENT | MMU_PTE_WRITABLE | MMU_PTE_USER)

/* The application's view of its table memory before it has a page table: as it was
 * before it turned nested translation on. */
static struct exo_region tables, data;
static struct exo_nested *nested;
static uint64_t next_table;

static uint64_t entry_read(uint64_t at) {
    return memory_read64(kernel->machine->memory, tables.physical + (at - TABLES_AT));
}
static void entry_write(uint64_t at, uint64_t value) {
    memory_write64(kernel->machine->memory, tables.physical + (at - TABLES_AT), value);
}

/* Where the leaf for a virtual address stands; makes the tables on the way. */
static uint64_t leaf_of(uint64_t virtual_address) {
    uint64_t table = TABLES_AT;
    for (unsigned level = MMU_LEVELS; level > 1; level--) {
        const uint64_t index = virtual_address >> (MMU_PAGE_BITS + (level - 1) * MMU_INDEX_BITS) & 511;
        if (entry_read(table + 8 * index) == 0) {
            next_table += PAGE;
            entry_write(table + 8 * index, next_table | FULL);
        }
        table = entry_read(table + 8 * index) & MMU_PTE_ADDRESS;
    }
    return table + 8 * (virtual_address >> MMU_PAGE_BITS & 511);
}

static void begin(void) {
    struct error error = {OK, ""};
    fixture_kernel_make("on", "mac");
    tables.virtual_address = TABLES_AT;
    data.virtual_address = DATA_AT;
    cr_assert_eq(exo_memory_allocate(alice, 0, TABLES * PAGE, &tables, &error), OK);
    cr_assert_eq(exo_memory_allocate(alice, 0, DATA_PAGES * PAGE, &data, &error), OK);
    tables.virtual_address = TABLES_AT;
    data.virtual_address = DATA_AT;
    cr_assert_eq(exo_memory_map(alice, &tables, true, &error), OK, "%s", error.text);
    cr_assert_eq(exo_memory_map(alice, &data, true, &error), OK, "%s", error.text);
    nested = exo_nested_create(alice);
    next_table = TABLES_AT;
    mmu_nested_set_root(&nested->translation, TABLES_AT);
    /* Its tables are mapped where it can edit them. */
    for (uint64_t i = 0; i < TABLES; i++) {
        entry_write(leaf_of(TABLES_AT + i * PAGE), (TABLES_AT + i * PAGE) | FULL);
    }
}
TestSuite(exo_nested, .init = begin);

Test(exo_nested, the_application_maps_a_page_with_a_store) {
    uint64_t value = 0;
    enum mmu_nested_result result = MMU_NESTED_OK;
    const uint64_t at = UINT64_C(0x10000000), leaf = leaf_of(at);
    const uint64_t checked = kernel->counters.refused[EXO_ALLOWED];
    cr_expect_not(exo_nested_store(nested, at, 7, &result));
    cr_expect_eq(result, MMU_NESTED_FIRST, "its own page fault");
    cr_expect(exo_nested_store(nested, leaf, (DATA_AT + PAGE) | FULL, NULL), "an edit is a store");
    cr_expect(exo_nested_store(nested, at + 8, 7, NULL));
    cr_expect_eq(memory_read64(kernel->machine->memory, data.physical + PAGE + 8), 7);
    cr_expect(exo_nested_load(nested, at + 8, &value, NULL) && value == 7);
    cr_expect_eq(kernel->counters.refused[EXO_ALLOWED], checked, "no capability was presented");
}

Test(exo_nested, a_walk_is_24_references_and_a_hit_none) {
    uint64_t value = 0;
    const uint64_t at = UINT64_C(0x10000000);
    entry_write(leaf_of(at), DATA_AT | FULL);
    cr_expect(exo_nested_load(nested, at, &value, NULL));
    cr_expect_eq(nested->translation.references, 24);
    cr_expect(exo_nested_load(nested, at + 16, &value, NULL));
    cr_expect_eq(nested->translation.references, 24);
    cr_expect_eq(nested->translation.hits, 1);
    for (uint64_t i = 1; i <= MMU_NESTED_TLB_WAYS; i++) { /* others of its set */
        entry_write(leaf_of(at + i * 16 * PAGE), DATA_AT | FULL);
        cr_expect(exo_nested_load(nested, at + i * 16 * PAGE, &value, NULL));
    }
    const uint64_t walks = nested->translation.walks;
    cr_expect(exo_nested_load(nested, at, &value, NULL));
    cr_expect_eq(nested->translation.walks, walks + 1, "replaced");
}

Test(exo_nested, rights_are_those_of_both_levels) {
    struct error error = {OK, ""};
    uint64_t value = 0;
    enum mmu_nested_result result = MMU_NESTED_OK;
    const uint64_t at = UINT64_C(0x10000000), other = at + PAGE;
    struct exo_region reading = {.virtual_address = UINT64_C(0xa00000)};
    cr_assert_eq(exo_derive(alice, &data.handle, EXO_READ, alice, &reading.handle, &error), OK);
    cr_assert_eq(exo_memory_map(alice, &reading, false, &error), OK, "%s", error.text);
    entry_write(leaf_of(at), DATA_AT | MMU_PTE_PRESENT | MMU_PTE_USER);
    entry_write(leaf_of(other), UINT64_C(0xa00000) | FULL);
    cr_expect(exo_nested_load(nested, at, &value, NULL));
    cr_expect_not(exo_nested_store(nested, at, 1, &result));
    cr_expect_eq(result, MMU_NESTED_FIRST);
    cr_expect(exo_nested_load(nested, other, &value, NULL));
    cr_expect_not(exo_nested_store(nested, other, 1, &result), "what the kernel gave to read");
    cr_expect_eq(result, MMU_NESTED_SECOND);
    /* Protecting takes effect with INVLPG. */
    entry_write(leaf_of(at), DATA_AT | FULL);
    cr_expect(exo_nested_store(nested, at, 1, NULL));
    entry_write(leaf_of(at), DATA_AT | MMU_PTE_PRESENT | MMU_PTE_USER);
    cr_expect(exo_nested_store(nested, at, 2, NULL), "still cached");
    mmu_nested_invalidate(&nested->translation, at);
    cr_expect_not(exo_nested_store(nested, at, 3, NULL));
}

Test(exo_nested, no_table_of_its_own_reaches_anothers_frame) {
    struct error error = {OK, ""};
    struct exo_region bobs = {0};
    uint64_t value = 0;
    enum mmu_nested_result result = MMU_NESTED_OK;
    cr_assert_eq(exo_memory_allocate(bob, 0, PAGE, &bobs, &error), OK);
    memory_write64(kernel->machine->memory, bobs.physical, 0x5ec2e7);
    const uint64_t at = UINT64_C(0x10000000);
    /* By its physical name, by every address up to the end of memory, as a table. */
    for (uint64_t target = 0; target < memory_size(kernel->machine->memory); target += 64 * PAGE) {
        entry_write(leaf_of(at), target | FULL);
        mmu_nested_invalidate(&nested->translation, at);
        (void)exo_nested_load(nested, at, &value, NULL);
        cr_assert_neq(value, 0x5ec2e7);
    }
    entry_write(leaf_of(at), bobs.physical | FULL);
    mmu_nested_invalidate(&nested->translation, at);
    cr_expect_not(exo_nested_load(nested, at, &value, &result));
    cr_expect_eq(result, MMU_NESTED_SECOND);
    cr_expect_not(exo_nested_store(nested, at, 0, NULL));
    mmu_nested_set_root(&nested->translation, bobs.physical);
    cr_expect_not(exo_nested_load(nested, at, &value, &result));
    cr_expect_eq(result, MMU_NESTED_SECOND);
    cr_expect_eq(memory_read64(kernel->machine->memory, bobs.physical), 0x5ec2e7);
}

Test(exo_nested, a_revoked_frame_is_in_no_tlb) {
    struct error error = {OK, ""};
    uint64_t value = 0;
    enum mmu_nested_result result = MMU_NESTED_OK;
    const uint64_t at = UINT64_C(0x10000000);
    entry_write(leaf_of(at), DATA_AT | FULL);
    cr_expect(exo_nested_store(nested, at, 1, NULL));
    cr_assert_eq(exo_revoke(alice, &data.handle, &error), OK);
    cr_expect_not(exo_nested_load(nested, at, &value, &result), "the translation was cached");
    cr_expect_eq(result, MMU_NESTED_SECOND);
    exo_nested_free(nested);
}
