/* x86_regs.h: what an x86-64 processor and its system software agree on: flags, vectors,
 * gates, the interrupt frame, the task state, page-fault codes, exit reasons.
 * Intel 64 and IA-32 Architectures Software Developer's Manual (SDM), volume 1 (3.4.3),
 * volume 3A (2.5; chapter 6; 7.7) and 3C (27.2; appendix C). */
#ifndef STILLSUIT_HW_X86_X86_REGS_H
#define STILLSUIT_HW_X86_X86_REGS_H

#include <stdint.h>

/* ---- addresses: 48 bits, sign-extended (volume 1, 3.3.7.1) ---- */
/* Where the kernel sees all of physical memory: the upper half, for supervisors alone. */
#define X86_DIRECT_MAP UINT64_C(0xffff888000000000)
enum { X86_CANONICAL_SHIFT = 47, X86_PAGE_BITS = 12, X86_PAGE_BYTES = 1 << X86_PAGE_BITS };

/* ---- volume 1, 3.4.3: RFLAGS ---- */
#define X86_RFLAGS_ONE (UINT64_C(1) << 1) /* always set */
#define X86_RFLAGS_IF (UINT64_C(1) << 9)
#define X86_RFLAGS_OF (UINT64_C(1) << 11)
#define X86_RFLAGS_AC (UINT64_C(1) << 18) /* with CR0.AM: alignment is checked in user mode */
/* Flags that a program may set as it likes; IF is not among them (IOPL is 0). */
#define X86_RFLAGS_USER (X86_RFLAGS_OF | X86_RFLAGS_AC)

/* ---- volume 3A, 2.5: CR0 ---- */
#define X86_CR0_PE (UINT64_C(1) << 0)
#define X86_CR0_TS (UINT64_C(1) << 3) /* the floating-point unit's state is another's */
#define X86_CR0_WP (UINT64_C(1) << 16)
#define X86_CR0_AM (UINT64_C(1) << 18)
#define X86_CR0_PG (UINT64_C(1) << 31)

/* ---- volume 3A, 3.4.2: selectors; the two low bits are the privilege level ---- */
enum { X86_KERNEL_CS = 0x08, X86_KERNEL_SS = 0x10, X86_USER_SS = 0x1b, X86_USER_CS = 0x23, X86_RPL = 3 };

/* ---- volume 3A, table 6-1: exceptions and interrupts ---- */
enum x86_vector {
    X86_DE = 0,  /* divide error */
    X86_OF = 4,  /* overflow: INT 4 */
    X86_UD = 6,  /* invalid opcode */
    X86_NM = 7,  /* device not available: CR0.TS */
    X86_DF = 8,  /* double fault */
    X86_GP = 13, /* general protection */
    X86_PF = 14, /* page fault */
    X86_AC = 17, /* alignment check */
    X86_EXCEPTIONS = 32,
    X86_LINE_VECTOR = 32, /* of interrupt line 0; the others follow */
    X86_VECTORS = 256
};
/* Vectors that push an error code (6.13). */
#define X86_WITH_ERROR_CODE                                                                                            \
    (UINT32_C(1) << X86_DF | UINT32_C(1) << X86_GP | UINT32_C(1) << X86_PF | UINT32_C(1) << X86_AC |                   \
     UINT32_C(0x7) << 10) /* #TS, #NP, #SS */
/* 6.13: error code of a fault that a gate's privilege level caused. */
enum { X86_ERROR_IDT = 2, X86_ERROR_SELECTOR_SHIFT = 3 };

/* ---- volume 3A, figure 4-12: the error code of a page fault ---- */
#define X86_PF_P (UINT64_C(1) << 0)  /* a right is missing; clear: no translation */
#define X86_PF_WR (UINT64_C(1) << 1) /* a store */
#define X86_PF_US (UINT64_C(1) << 2) /* in user mode */

/* ---- volume 3A, figure 6-8: a 64-bit gate of the IDT, as two words ---- */
#define X86_GATE_OFFSET_LOW UINT64_C(0x000000000000ffff)
#define X86_GATE_SELECTOR UINT64_C(0x00000000ffff0000)
#define X86_GATE_IST UINT64_C(0x0000000700000000)
#define X86_GATE_TYPE UINT64_C(0x00000f0000000000)
#define X86_GATE_DPL UINT64_C(0x0000600000000000)
#define X86_GATE_PRESENT UINT64_C(0x0000800000000000)
#define X86_GATE_OFFSET_MIDDLE UINT64_C(0xffff000000000000)
enum {
    X86_GATE_BYTES = 16,
    X86_GATE_SELECTOR_SHIFT = 16,
    X86_GATE_TYPE_SHIFT = 40,
    X86_GATE_DPL_SHIFT = 45,
    X86_GATE_INTERRUPT = 0xe /* clears IF on the way in */
};
_Static_assert((X86_GATE_OFFSET_LOW & X86_GATE_SELECTOR) == 0 &&
                   ((X86_GATE_TYPE | X86_GATE_IST) & (X86_GATE_DPL | X86_GATE_PRESENT)) == 0 &&
                   (X86_GATE_PRESENT & (X86_GATE_DPL | X86_GATE_OFFSET_MIDDLE)) == 0,
               "fields of a gate lie apart");
_Static_assert(X86_VECTORS *X86_GATE_BYTES == X86_PAGE_BYTES, "a table of gates is one page");

/* The first word of a present interrupt gate into the kernel's code segment, which
 * software of privilege `dpl` may name in an INT; the second is offset >> 32. */
static inline uint64_t x86_gate(uint64_t offset, unsigned dpl) {
    return (offset & X86_GATE_OFFSET_LOW) | (uint64_t)X86_KERNEL_CS << X86_GATE_SELECTOR_SHIFT |
           (uint64_t)X86_GATE_INTERRUPT << X86_GATE_TYPE_SHIFT | (uint64_t)dpl << X86_GATE_DPL_SHIFT |
           X86_GATE_PRESENT | (offset << 32 & X86_GATE_OFFSET_MIDDLE);
}

/* ---- volume 3A, figure 6-9: what an interrupt or exception pushes, from the lowest
 * address; an error code lies below RIP if the vector has one (6.14.2) ---- */
enum x86_frame {
    X86_FRAME_RIP = 0,
    X86_FRAME_CS = 8,
    X86_FRAME_RFLAGS = 16,
    X86_FRAME_RSP = 24,
    X86_FRAME_SS = 32,
    X86_FRAME_BYTES = 40,
    X86_FRAME_ALIGNMENT = 16 /* RSP is aligned before the pushes */
};

/* ---- volume 3A, figure 7-11: the 64-bit task state ---- */
enum x86_tss { X86_TSS_RSP0 = 0x04, X86_TSS_BYTES = 0x68 };
_Static_assert(X86_TSS_RSP0 + 8 <= X86_TSS_BYTES, "the kernel's stack lies in it");

/* ---- volume 3C, appendix C: why a virtual machine exits ---- */
enum x86_exit {
    X86_EXIT_EXCEPTION = 0, /* one that the exception bitmap names: the program has no handler */
    X86_EXIT_INTERRUPT = 1,
    X86_EXIT_TRIPLE_FAULT = 2,
    X86_EXIT_VMCALL = 18,
    X86_EXIT_EPT_VIOLATION = 48
};
/* Table 27-7: the qualification of an EPT violation. */
#define X86_EPT_READ (UINT64_C(1) << 0)
#define X86_EPT_WRITE (UINT64_C(1) << 1)
#define X86_EPT_READABLE (UINT64_C(1) << 3)       /* the second level allows that much */
#define X86_EPT_LINEAR_VALID (UINT64_C(1) << 7)   /* the virtual address is known, too */
#define X86_EPT_OF_TRANSLATION (UINT64_C(1) << 8) /* of the page; clear: of a table on the walk */

/* General registers by their numbers in an instruction (volume 2A, table 3-1). */
enum x86_register {
    X86_RAX,
    X86_RCX,
    X86_RDX,
    X86_RBX,
    X86_RSP,
    X86_RBP,
    X86_RSI,
    X86_RDI,
    X86_R8,
    X86_R9,
    X86_R10,
    X86_R11,
    X86_R12,
    X86_R13,
    X86_R14,
    X86_R15,
    X86_REGISTERS
};

#endif
