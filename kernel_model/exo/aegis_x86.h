/* aegis_x86.h: what the files of Aegis on x86-64 share, and nobody else needs. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_AEGIS_X86_H
#define STILLSUIT_KERNEL_MODEL_EXO_AEGIS_X86_H

#include "hw/x86/x86.h"
#include "kernel_model/exo/aegis_machine.h"

/* In an environment's block, 8 bytes each. */
enum aegis_x86_block { BLOCK_CR3 = 0x18, BLOCK_FLAGS = 0x20, BLOCK_STACK_POINTER = 0x28 };
_Static_assert((int)AEGIS_BLOCK_ENTRY < (int)BLOCK_CR3 && (int)BLOCK_STACK_POINTER + 8 <= (int)AEGIS_BLOCK_HANDLERS,
               "the processor's words lie between the kernel's");

/* Pages of one call that are invalidated one by one; more of them, and the space's tag is
 * emptied as a whole. Linux, arch/x86/mm/tlb.c: tlb_single_page_flush_ceiling. */
enum { AEGIS_X86_FLUSH_AT = 33 };

/* Tables of a name space beyond its environment's first. Those of one that has ended stay
 * the environment's, who is charged for their frames, and serve its next. */
struct aegis_x86_tables {
    struct aegis_x86_tables *next;
    struct aegis_environment *owner;
    unsigned name_space; /* 0: of none */
    struct address_space *tables;
};

struct aegis_x86 {
    struct aegis_x86_tables *more;
    struct x86_space spaces[AEGIS_ENVIRONMENTS_MAX + 1]; /* by address-space id; 0: nobody's */
    struct aegis_environment *running;                   /* whose flags and stack pointer the processor has */
    uint32_t stale[AEGIS_X86_FLUSH_AT];                  /* pages that a run of changes took a right from */
    unsigned stale_count;
    uint64_t idt, tss, stack; /* physical */
};

/* Words of 8 bytes of the kernel's memory. */
static inline uint64_t aegis_x86_load(struct aegis *aegis, uint64_t physical) {
    return x86_kernel_load(aegis->x86, X86_DIRECT_MAP + physical, 8);
}
static inline void aegis_x86_store(struct aegis *aegis, uint64_t physical, uint64_t value) {
    x86_kernel_store(aegis->x86, X86_DIRECT_MAP + physical, 8, value);
}

/* ---- aegis_x86_tables.c: see struct aegis_machine ---- */
enum error_code aegis_x86_bind(struct aegis_environment *environment, uint32_t page, uint64_t physical, bool write,
                               struct error *error);
void aegis_x86_unbind(struct aegis_environment *environment, unsigned name_space, uint32_t page);
void aegis_x86_allow(struct aegis_environment *environment, uint32_t page, uint64_t physical, bool access, bool write);
void aegis_x86_allowed(struct aegis_environment *environment);
enum error_code aegis_x86_make_space(struct aegis_environment *environment, unsigned name_space, struct error *error);
void aegis_x86_end_space(struct aegis_environment *environment, unsigned name_space);
void aegis_x86_enter_space(struct aegis_environment *environment);
/* An environment ends: its further tables' frames go with it. */
void aegis_x86_free_tables(struct aegis_environment *environment);

#endif
