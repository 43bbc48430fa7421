/* mmu_nested.h: nested paging: a program's own page tables, in its own memory, over a
 * second level that is the kernel's. Intel SDM volume 3C, 29.3 (extended page tables):
 * every address that the first-level walk uses, of tables and of the page itself, is
 * translated by the second level.
 *
 * The program edits its tables with ordinary stores; the processor caches whole
 * translations (virtual to physical), so that it has to say when it took a right away
 * (INVLPG), and the kernel when it changed the second level (INVEPT). Both levels have
 * four, in the same format (mmu_regs.h): a walk makes 24 references to memory. */
#ifndef STILLSUIT_HW_MMU_NESTED_H
#define STILLSUIT_HW_MMU_NESTED_H

#include "hw/core.h"
#include "hw/mmu.h"

enum { MMU_NESTED_TLB_ENTRIES = 64, MMU_NESTED_TLB_WAYS = 4 }; /* Sandy Bridge's L1 data TLB */

enum mmu_nested_result {
    MMU_NESTED_OK,
    MMU_NESTED_FIRST, /* a page fault: the program's own to handle */
    MMU_NESTED_SECOND /* an EPT violation: it is not the program's memory */
};

struct mmu_nested_entry {
    uint64_t page, frame, used; /* `page` is the virtual page number plus one; 0: free */
    bool write;
};

/* The translation of one virtual processor. */
struct mmu_nested {
    struct memory *memory;
    struct address_space *second;
    uint64_t root; /* first level: an address that the second level translates */
    struct mmu_nested_entry tlb[MMU_NESTED_TLB_ENTRIES];
    uint64_t clock;
    uint64_t hits, walks, references, first_faults, second_faults;
};

/* Empty; `second` is the kernel's and outlives it. */
void mmu_nested_init(struct mmu_nested *nested, struct memory *memory, struct address_space *second);
/* The program points the processor at a root of its own (a write to CR3, which does not
 * leave the program); what was cached is gone. */
void mmu_nested_set_root(struct mmu_nested *nested, uint64_t root);
/* INVLPG: by the program, after it edited an entry. */
void mmu_nested_invalidate(struct mmu_nested *nested, uint64_t virtual_address);
/* INVEPT: by the kernel, after it took something out of the second level. */
void mmu_nested_invalidate_all(struct mmu_nested *nested);

/* A user access. Charges a walk's references to `context` through its caches (NULL: to
 * nobody); a hit costs nothing beyond the access itself. At a fault `*physical` is the
 * address that has no translation: virtual, or of the second level. */
enum mmu_nested_result mmu_nested_access(struct mmu_nested *nested, struct context *context, uint64_t virtual_address,
                                         bool write, uint64_t *physical);

#endif
