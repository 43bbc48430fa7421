/* r3000_regs.h: the R3000's system control coprocessor (CP0), TLB entries and
 * exception codes.
 * Kane and Heinrich, "MIPS RISC Architecture" (R2000/R3000), chapter 4 (memory
 * management: 4.4 TLB, EntryHi, EntryLo, Index, Random) and chapter 6 (exceptions:
 * 6.2 Cause, EPC, BadVAddr, Context, Status; 6.3 vectors). */
#ifndef STILLSUIT_HW_R3000_R3000_REGS_H
#define STILLSUIT_HW_R3000_R3000_REGS_H

#include <stdint.h>

/* ---- 4.3: segments of the virtual address space ---- */
#define R3000_KUSEG UINT32_C(0x00000000) /* user, mapped; up to kseg0 */
#define R3000_KSEG0 UINT32_C(0x80000000) /* kernel, unmapped, cached */
#define R3000_KSEG1 UINT32_C(0xa0000000) /* kernel, unmapped, uncached */
#define R3000_KSEG2 UINT32_C(0xc0000000) /* kernel, mapped */
#define R3000_UNMAPPED_MASK UINT32_C(0x1fffffff)
#define R3000_VECTOR_REFILL UINT32_C(0x80000000)  /* a miss in kuseg */
#define R3000_VECTOR_GENERAL UINT32_C(0x80000080) /* everything else */

/* ---- 4.4: a TLB entry: EntryHi and EntryLo ---- */
#define R3000_HI_VPN UINT32_C(0xfffff000)
#define R3000_HI_ASID UINT32_C(0x00000fc0)
#define R3000_LO_PFN UINT32_C(0xfffff000)
#define R3000_LO_NONCACHEABLE (UINT32_C(1) << 11)
#define R3000_LO_DIRTY (UINT32_C(1) << 10) /* may be written */
#define R3000_LO_VALID (UINT32_C(1) << 9)
#define R3000_LO_GLOBAL (UINT32_C(1) << 8) /* matches whatever the ASID */
#define R3000_INDEX_PROBE_FAILED (UINT32_C(1) << 31)
#define R3000_INDEX UINT32_C(0x00003f00)
#define R3000_RANDOM UINT32_C(0x00003f00)

enum {
    R3000_ASID_SHIFT = 6,
    R3000_ASIDS = 64,
    R3000_INDEX_SHIFT = 8,
    R3000_TLB_ENTRIES_MAX = 64,
    R3000_PAGE_BITS = 12,
    R3000_PAGE_BYTES = 1 << R3000_PAGE_BITS
};
_Static_assert((R3000_HI_VPN & R3000_HI_ASID) == 0, "fields of EntryHi lie apart");
_Static_assert(R3000_HI_ASID >> R3000_ASID_SHIFT == R3000_ASIDS - 1, "six bits of ASID");
_Static_assert((R3000_LO_PFN & (R3000_LO_NONCACHEABLE | R3000_LO_DIRTY | R3000_LO_VALID | R3000_LO_GLOBAL)) == 0,
               "fields of EntryLo lie apart");
_Static_assert(R3000_INDEX >> R3000_INDEX_SHIFT == R3000_TLB_ENTRIES_MAX - 1, "an index reaches every entry");
_Static_assert(R3000_HI_VPN == ~(uint32_t)(R3000_PAGE_BYTES - 1), "the page number is what is left of the offset");

/* ---- 6.2: Status: a stack of three pairs (kernel/user, interrupt enable) ---- */
#define R3000_STATUS_IE_CURRENT (UINT32_C(1) << 0)
#define R3000_STATUS_USER_CURRENT (UINT32_C(1) << 1)
#define R3000_STATUS_IE_PREVIOUS (UINT32_C(1) << 2)
#define R3000_STATUS_USER_PREVIOUS (UINT32_C(1) << 3)
#define R3000_STATUS_STACK UINT32_C(0x0000003f)
#define R3000_STATUS_OLD UINT32_C(0x00000030)
#define R3000_STATUS_MASK UINT32_C(0x0000ff00)                  /* interrupts that are let through */
#define R3000_STATUS_TLB_SHUTDOWN (UINT32_C(1) << 21)           /* two entries matched */
#define R3000_STATUS_COPROCESSOR(n) (UINT32_C(1) << (28 + (n))) /* usable in user mode */
_Static_assert((R3000_STATUS_STACK & R3000_STATUS_MASK) == 0, "fields of Status lie apart");

/* ---- 6.2: Cause ---- */
#define R3000_CAUSE_CODE UINT32_C(0x0000007c)
#define R3000_CAUSE_PENDING UINT32_C(0x0000ff00)
#define R3000_CAUSE_COPROCESSOR UINT32_C(0x30000000)
#define R3000_CAUSE_BRANCH_DELAY (UINT32_C(1) << 31)
enum { R3000_CAUSE_CODE_SHIFT = 2, R3000_CAUSE_PENDING_SHIFT = 8, R3000_CAUSE_COPROCESSOR_SHIFT = 28 };

/* 6.2, table of exception codes. */
enum r3000_code {
    R3000_INT = 0,   /* external interrupt */
    R3000_MOD = 1,   /* write to a page whose entry is not dirty */
    R3000_TLBL = 2,  /* no valid entry: load or fetch */
    R3000_TLBS = 3,  /* no valid entry: store */
    R3000_ADEL = 4,  /* address error: load or fetch */
    R3000_ADES = 5,  /* address error: store */
    R3000_IBE = 6,   /* bus error: fetch */
    R3000_DBE = 7,   /* bus error: data */
    R3000_SYS = 8,   /* syscall */
    R3000_BP = 9,    /* breakpoint */
    R3000_RI = 10,   /* reserved instruction */
    R3000_CPU = 11,  /* coprocessor unusable */
    R3000_OV = 12,   /* arithmetic overflow */
    R3000_CODES = 16 /* the field has room for more */
};
_Static_assert(R3000_CAUSE_CODE >> R3000_CAUSE_CODE_SHIFT >= R3000_CODES - 1, "a code fits its field");

/* ---- 6.2: Context: where a linear page table would have the entry ---- */
#define R3000_CONTEXT_BASE UINT32_C(0xffe00000)
#define R3000_CONTEXT_VPN UINT32_C(0x001ffffc)
enum { R3000_CONTEXT_VPN_SHIFT = 2 };

/* General registers by their names in the calling convention (appendix D). */
enum r3000_register {
    R3000_ZERO = 0,
    R3000_V0 = 2,
    R3000_V1 = 3,
    R3000_A0 = 4,
    R3000_A1 = 5,
    R3000_A2 = 6,
    R3000_A3 = 7,
    R3000_T0 = 8,
    R3000_T1 = 9,
    R3000_T2 = 10,
    R3000_K0 = 26,
    R3000_K1 = 27,
    R3000_SP = 29,
    R3000_RA = 31,
    R3000_REGISTERS = 32
};

#endif
