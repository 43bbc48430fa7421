/* Address spaces: what the walk finds is what the bytes in memory say. */
#include <criterion/criterion.h>

#include "hw/mmu.h"
#include "hw/mmu_regs.h"

enum { BASE = 0x40000000 };

static struct memory *memory;
static struct address_space *space;
static uint64_t next_frame, last_frame;

static uint64_t allocate(void *context) {
    (void)context;
    if (next_frame == last_frame) {
        return 0;
    }
    next_frame += MEMORY_FRAME_BYTES;
    return next_frame;
}

static void make(void) {
    memory = memory_create(UINT64_C(1) << 24);
    next_frame = 0x10000;
    last_frame = 0x100000;
    space = address_space_create(memory, allocate, NULL);
}
static void drop(void) {
    address_space_free(space);
    memory_free(memory);
}

TestSuite(mmu, .init = make, .fini = drop);

/* The address of the entry of `level`, found by the test's own reading. */
static uint64_t entry_of(uint64_t address, unsigned level) {
    uint64_t table = address_space_root(space);
    for (unsigned at = 4; at > level; --at) {
        table = memory_read64(memory, table + ((address >> (12 + 9 * (at - 1))) & 511) * 8) & MMU_PTE_ADDRESS;
    }
    return table + ((address >> (12 + 9 * (level - 1))) & 511) * 8;
}

Test(mmu, translates_what_is_mapped_and_nothing_else) {
    uint64_t physical = 1;
    cr_assert_not(address_space_translate(space, BASE, false, true, &physical));
    cr_assert_eq(address_space_map(space, BASE, 0x200000, 3 * 4096, MMU_WRITE | MMU_USER), OK);
    cr_assert(address_space_translate(space, BASE + 2 * 4096 + 5, true, true, &physical));
    cr_assert_eq(physical, 0x200000 + 2 * 4096 + 5);
    cr_assert_not(address_space_translate(space, BASE - 1, false, false, &physical));
    cr_assert_not(address_space_translate(space, BASE + 3 * 4096, false, false, &physical));
    address_space_unmap(space, BASE + 4096, 4096);
    cr_assert_not(address_space_translate(space, BASE + 4096, false, true, &physical));
    cr_assert(address_space_translate(space, BASE, false, true, &physical));
}

Test(mmu, unmapping_a_page_that_was_translated_takes_effect_at_once) {
    uint64_t physical;
    cr_assert_eq(address_space_map(space, BASE, 0x200000, 4096, MMU_WRITE | MMU_USER), OK);
    cr_assert(address_space_translate(space, BASE, true, true, &physical));
    address_space_unmap(space, BASE, 4096);
    cr_assert_not(address_space_translate(space, BASE, true, true, &physical));
    cr_assert_eq(address_space_map(space, BASE, 0x300000, 4096, MMU_USER), OK);
    cr_assert(address_space_translate(space, BASE, false, true, &physical));
    cr_assert_eq(physical, 0x300000);
    cr_assert_not(address_space_translate(space, BASE, true, true, &physical));
}

Test(mmu, rights_are_those_of_the_entry) {
    uint64_t physical;
    cr_assert_eq(address_space_map(space, BASE, 0x200000, 4096, MMU_USER), OK);
    cr_assert_eq(address_space_map(space, BASE + 4096, 0x201000, 4096, MMU_WRITE), OK);
    for (int round = 0; round < 2; ++round) { /* the second from what was walked before */
        cr_assert(address_space_translate(space, BASE, false, true, &physical));
        cr_assert_not(address_space_translate(space, BASE, true, true, &physical));
        cr_assert_not(address_space_translate(space, BASE + 4096, false, true, &physical));
        cr_assert(address_space_translate(space, BASE + 4096, true, false, &physical));
    }
}

Test(mmu, a_right_missing_in_an_upper_level_is_missing) {
    uint64_t physical;
    cr_assert_eq(address_space_map(space, BASE, 0x200000, 4096, MMU_WRITE | MMU_USER), OK);
    cr_assert(address_space_translate(space, BASE, true, true, &physical));
    memory_write64(memory, entry_of(BASE, 3), memory_read64(memory, entry_of(BASE, 3)) & ~MMU_PTE_WRITABLE);
    cr_assert_not(address_space_translate(space, BASE, true, true, &physical));
    cr_assert(address_space_translate(space, BASE, false, true, &physical));
    memory_write64(memory, entry_of(BASE, 4), memory_read64(memory, entry_of(BASE, 4)) & ~MMU_PTE_USER);
    cr_assert_not(address_space_translate(space, BASE, false, true, &physical));
    cr_assert(address_space_translate(space, BASE, false, false, &physical));
}

Test(mmu, walks_set_accessed_and_dirty_every_time) {
    uint64_t physical;
    cr_assert_eq(address_space_map(space, BASE, 0x200000, 4096, MMU_WRITE | MMU_USER), OK);
    const uint64_t leaf = entry_of(BASE, 1);
    const uint64_t bare = 0x200000 | MMU_PTE_PRESENT | MMU_PTE_WRITABLE | MMU_PTE_USER;
    cr_assert_eq(memory_read64(memory, leaf), bare);
    for (int round = 0; round < 3; ++round) {
        cr_assert(address_space_translate(space, BASE, false, true, &physical));
        cr_assert_eq(memory_read64(memory, leaf), bare | MMU_PTE_ACCESSED);
        cr_assert_neq(memory_read64(memory, entry_of(BASE, 4)) & MMU_PTE_ACCESSED, 0);
        cr_assert_eq(memory_read64(memory, entry_of(BASE, 2)) & MMU_PTE_DIRTY, 0);
        cr_assert(address_space_translate(space, BASE, true, true, &physical));
        cr_assert_eq(memory_read64(memory, leaf), bare | MMU_PTE_ACCESSED | MMU_PTE_DIRTY);
        memory_write64(memory, leaf, bare); /* as a page replacement clears them */
    }
}

Test(mmu, a_fault_marks_nothing) {
    uint64_t physical;
    cr_assert_eq(address_space_map(space, BASE, 0x200000, 4096, MMU_USER), OK);
    cr_assert_not(address_space_translate(space, BASE, true, true, &physical));
    cr_assert_eq(memory_read64(memory, entry_of(BASE, 1)) & (MMU_PTE_ACCESSED | MMU_PTE_DIRTY), 0);
}

Test(mmu, changed_bytes_change_the_translation) {
    uint64_t physical;
    cr_assert_eq(address_space_map(space, BASE, 0x200000, 4096, MMU_WRITE | MMU_USER), OK);
    cr_assert(address_space_translate(space, BASE, false, true, &physical));
    memory_write64(memory, entry_of(BASE, 1), 0x345000 | MMU_PTE_PRESENT | MMU_PTE_USER);
    cr_assert(address_space_translate(space, BASE + 7, false, true, &physical));
    cr_assert_eq(physical, 0x345007);
    memory_write64(memory, entry_of(BASE, 2), (UINT64_C(1) << 40) | MMU_PTE_PRESENT | MMU_PTE_USER);
    cr_assert_not(address_space_translate(space, BASE, false, true, &physical), "a table outside memory");
}

Test(mmu, device_pages_lie_outside_memory) {
    uint64_t physical;
    const uint64_t bar = UINT64_C(1) << 38;
    cr_assert_eq(address_space_map(space, BASE, bar, 8192, MMU_WRITE | MMU_USER), OK);
    cr_assert(address_space_translate(space, BASE + 4096 + 24, true, true, &physical));
    cr_assert_eq(physical, bar + 4096 + 24);
}

Test(mmu, refuses_bad_ranges) {
    cr_assert_eq(address_space_map(space, BASE + 1, 0, 4096, 0), ERR_RANGE);
    cr_assert_eq(address_space_map(space, BASE, 1, 4096, 0), ERR_RANGE);
    cr_assert_eq(address_space_map(space, BASE, 0, 100, 0), ERR_RANGE);
    cr_assert_eq(address_space_map(space, BASE, 0, 0, 0), ERR_RANGE);
    cr_assert_eq(address_space_map(space, UINT64_C(1) << 47, 0, 4096, 0), ERR_RANGE, "not canonical");
    cr_assert_eq(address_space_map(space, (UINT64_C(1) << 47) - 4096, 0, 8192, 0), ERR_RANGE);
    cr_assert_eq(address_space_map(space, BASE, UINT64_C(1) << 52, 4096, 0), ERR_RANGE);
    const uint64_t high = UINT64_C(0xffff800000000000);
    uint64_t physical;
    cr_assert_eq(address_space_map(space, high, 0x200000, 4096, 0), OK);
    cr_assert(address_space_translate(space, high, false, false, &physical));
    cr_assert_not(address_space_translate(space, high & ((UINT64_C(1) << 48) - 1), false, false, &physical));
}

Test(mmu, what_exists_is_not_mapped_over) {
    uint64_t physical;
    cr_assert_eq(address_space_map(space, BASE + 4096, 0x200000, 4096, MMU_USER), OK);
    cr_assert_eq(address_space_map(space, BASE, 0x300000, 3 * 4096, MMU_USER), ERR_EXISTS);
    cr_assert_not(address_space_translate(space, BASE, false, true, &physical), "nothing of it was done");
    cr_assert(address_space_translate(space, BASE + 4096, false, true, &physical));
    cr_assert_eq(physical, 0x200000);
}

Test(mmu, running_out_of_frames_leaves_nothing_behind) {
    uint64_t physical;
    last_frame = next_frame + 4 * 4096; /* one path of tables, and one leaf table more */
    cr_assert_eq(address_space_map(space, 0, 0, UINT64_C(3) << 21, MMU_USER), ERR_EXHAUSTED);
    cr_assert_not(address_space_translate(space, 0, false, true, &physical));
    cr_assert_not(address_space_translate(space, 1 << 21, false, true, &physical));
    cr_assert_eq(address_space_map(space, 0, 0, UINT64_C(2) << 21, MMU_USER), OK);
    last_frame = next_frame;
    cr_assert_null(address_space_create(memory, allocate, NULL));
}

/* Random maps, unmaps and accesses against a plain table of pages. */
Test(mmu, agrees_with_a_plain_table) {
    enum { PAGES = 2048 };
    static struct {
        uint64_t physical;
        unsigned flags;
        bool mapped;
    } model[PAGES];
    uint64_t random = 3;
    for (int round = 0; round < 100000; ++round) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407U;
        const uint64_t page = (random >> 33) % PAGES;
        const uint64_t address = UINT64_C(0x7f0000000000) + page * 4096 * 37; /* over several tables */
        const unsigned flags = (random >> 20) % 4;
        const uint64_t frame = ((random >> 40) % 4096) * 4096;
        if ((random >> 24) % 8 == 0) {
            cr_assert_eq(address_space_map(space, address, frame, 4096, flags), model[page].mapped ? ERR_EXISTS : OK);
            if (!model[page].mapped) {
                model[page].physical = frame;
                model[page].flags = flags;
                model[page].mapped = true;
            }
        } else if ((random >> 24) % 8 == 1) {
            address_space_unmap(space, address, 4096);
            model[page].mapped = false;
        } else {
            const bool write = (flags & 1) != 0, user = (flags & 2) != 0;
            uint64_t physical = 0;
            const bool may = model[page].mapped && (!write || (model[page].flags & MMU_WRITE) != 0) &&
                             (!user || (model[page].flags & MMU_USER) != 0);
            cr_assert_eq(address_space_translate(space, address + page, write, user, &physical), may, "round %d",
                         round);
            cr_assert(!may || physical == model[page].physical + page);
        }
    }
}
