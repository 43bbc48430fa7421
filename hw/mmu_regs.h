/* mmu_regs.h: x86-64 page-table entries, 4-level paging with 4 KiB pages.
 * Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3A, 4.5,
 * tables 4-15, 4-17, 4-19 and 4-20. */
#ifndef STILLSUIT_HW_MMU_REGS_H
#define STILLSUIT_HW_MMU_REGS_H

#include <stdint.h>

#define MMU_PTE_PRESENT (UINT64_C(1) << 0)
#define MMU_PTE_WRITABLE (UINT64_C(1) << 1)
#define MMU_PTE_USER (UINT64_C(1) << 2)
#define MMU_PTE_ACCESSED (UINT64_C(1) << 5)
#define MMU_PTE_DIRTY (UINT64_C(1) << 6)     /* of a leaf */
#define MMU_PTE_PAGE_SIZE (UINT64_C(1) << 7) /* of an upper level: maps a large page */
#define MMU_PTE_ADDRESS UINT64_C(0x000ffffffffff000)

enum {
    MMU_LEVELS = 4,
    MMU_PAGE_BITS = 12,
    MMU_INDEX_BITS = 9,
    MMU_ENTRY_BYTES = 8,
    MMU_VIRTUAL_BITS = 48,
    MMU_PHYSICAL_BITS = 52
};
_Static_assert((1 << MMU_INDEX_BITS) * MMU_ENTRY_BYTES == 1 << MMU_PAGE_BITS, "a table is one page");
_Static_assert(MMU_PAGE_BITS + MMU_LEVELS * MMU_INDEX_BITS == MMU_VIRTUAL_BITS, "four levels translate 48 bits");

#endif
