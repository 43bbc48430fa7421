/* mmu_nested.h: the translation of an x86-64 processor: a TLB, and the walk that fills
 * it, in one of two forms.
 *
 * Kernel paging: one level of tables, the kernel's; a walk makes 4 references to memory
 * (Intel SDM volume 3A, 4.5).
 *
 * Nested paging: a program's own page tables, in its own memory, over a second level
 * that is the kernel's (SDM volume 3C, 28.2, extended page tables): every address that
 * the first-level walk uses, of tables and of the page itself, is translated by the
 * second level; a walk makes 24 references. The program edits its tables with ordinary
 * stores; the processor caches whole translations (virtual to physical), so that the
 * program has to say when it took a right away (INVLPG), and the kernel when it changed
 * the second level (INVEPT). Both levels have four, in the same format (mmu_regs.h).
 *
 * A walk sets accessed bits in the entries that it uses and the dirty bit in the leaf
 * that a store uses (SDM volume 3A, 4.8), in the first level alone: extended page tables
 * have none on Sandy Bridge. The TLB remembers a clean leaf, so that the first store
 * through it walks again. */
#ifndef STILLSUIT_HW_MMU_NESTED_H
#define STILLSUIT_HW_MMU_NESTED_H

#include "hw/core.h"
#include "hw/mmu.h"

enum { MMU_NESTED_TLB_ENTRIES = 64, MMU_NESTED_TLB_WAYS = 4 }; /* Sandy Bridge's L1 data TLB */

/* No root of the program's own: kernel paging. */
#define MMU_NO_ROOT UINT64_MAX

enum mmu_nested_result {
    MMU_NESTED_OK,
    MMU_NESTED_FIRST, /* a page fault: the program's own to handle, under nested paging */
    MMU_NESTED_SECOND /* an EPT violation: it is not the program's memory */
};

struct mmu_nested_entry {
    uint64_t page, frame, used; /* `page` is the virtual page number plus one; 0: free */
    uint32_t tag;
    bool write; /* may be written, and the leaf is dirty already */
};

/* The translation of one (virtual) processor. */
struct mmu_nested {
    struct memory *memory;
    struct address_space *second; /* the kernel's tables */
    uint64_t root;                /* first level: an address that the second level translates; or MMU_NO_ROOT */
    uint32_t tag;                 /* PCID or VPID: only entries of this one match */
    struct mmu_nested_entry tlb[MMU_NESTED_TLB_ENTRIES];
    uint64_t clock;
    uint64_t hits, walks, references, marks, first_faults, second_faults;
    /* Of the last fault: the entry that forbade it was present (it forbids the access,
     * or says nothing at all); it met the walk's own reference to a table. */
    bool fault_present, fault_of_table;
};

/* Empty; `second` is the kernel's and outlives it. Without a root. */
void mmu_nested_init(struct mmu_nested *nested, struct memory *memory, struct address_space *second);
/* Another program's translation from here on; what is cached under other tags stays. */
void mmu_nested_switch(struct mmu_nested *nested, struct address_space *second, uint64_t root, uint32_t tag);
/* The program points the processor at a root of its own (a write to CR3, which does not
 * leave the program); what was cached under its tag is gone. */
void mmu_nested_set_root(struct mmu_nested *nested, uint64_t root);
/* INVLPG, of the present tag: after an entry was edited. */
void mmu_nested_invalidate(struct mmu_nested *nested, uint64_t virtual_address);
/* INVVPID or INVEPT of one program; of all: by the kernel, after it took something out
 * of the second level. */
void mmu_nested_invalidate_tag(struct mmu_nested *nested, uint32_t tag);
void mmu_nested_invalidate_all(struct mmu_nested *nested);

/* A user access. Charges a walk's references to `context` through its caches (NULL: to
 * nobody); a hit costs nothing beyond the access itself. At a fault `*physical` is the
 * address that has no translation: virtual, or of the second level. */
enum mmu_nested_result mmu_nested_access(struct mmu_nested *nested, struct context *context, uint64_t virtual_address,
                                         bool write, uint64_t *physical);

#endif
