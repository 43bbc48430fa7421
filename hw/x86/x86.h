/* x86.h: an x86-64 processor as an exokernel drives it: user and kernel mode, system
 * calls, exceptions through the IDT, translation by tables that the hardware walks, a
 * local-APIC timer, and virtualization, under which a program has page tables and an IDT
 * of its own; on a core (hw/core.h).
 *
 * Software on it is the contexts of the core. What they do is counted in cycles: of an
 * instruction one, as of the other software on these cores; accesses go through the
 * core's caches, which charge their stalls beside it; and what the hardware does in
 * microcode (deliver an exception, enter a virtual machine) costs what the machine's
 * parameters say. User-mode accesses go by virtual address through the TLB; one that
 * faults raises the exception into who handles it, who says how to go on.
 *
 * A program runs in one of two forms (struct x86_space). Under kernel paging its tables
 * are the kernel's and every exception comes to the kernel. Under nested paging it runs
 * in a virtual machine without a kernel in it (as Dune does): its exceptions are its own
 * and do not leave it; what the second level of tables forbids, a system call (VMCALL)
 * and an interrupt leave it for the kernel: a VM exit.
 *
 * The IDT, the task state with the kernel's stack, interrupt frames and page tables are
 * bytes in simulated memory. The kernel's own accesses go by a direct map of all memory
 * in the largest pages, whose translations stay in the TLB. */
#ifndef STILLSUIT_HW_X86_X86_H
#define STILLSUIT_HW_X86_X86_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/core.h"
#include "hw/interval.h"
#include "hw/mmu_nested.h"
#include "hw/x86/x86_regs.h"
#include "sim/param.h"
#include "sim/stats_sink.h"

enum { X86_TIMER_LINE = 3, X86_LINES = 32 };

/* What the hardware takes beside memory accesses. */
struct x86_config {
    uint64_t syscall_cycles, sysret_cycles;
    uint64_t exception_cycles, iret_cycles; /* through the IDT, to the handler's first instruction; back */
    uint64_t exit_cycles, entry_cycles;     /* out of a virtual machine; into it */
    uint64_t invlpg_cycles, invept_cycles;
    uint64_t cr3_cycles;    /* another program's tables: MOV to CR3, or VMPTRLD */
    uint64_t assist_cycles; /* setting an accessed or dirty bit */
    uint64_t eoi_cycles;    /* end of interrupt, to the local APIC */
    bool pcid;              /* the TLB tells address spaces apart; else a MOV to CR3 empties it */
};
extern const struct param x86_params[];

/* How user code goes on after an exception. */
enum x86_resume {
    X86_RETRY, /* at the instruction that faulted */
    X86_SKIP   /* behind it */
};

struct x86;
struct machine;

/* What a program's addresses mean, and under nested paging what is its own: the operating
 * system keeps one for each (CR3, or the VMCS). */
struct x86_space {
    struct address_space *tables; /* the kernel's: all there is, or the second level */
    uint32_t tag;                 /* PCID or VPID, not used for another space meanwhile */
    bool nested;
    /* Under nested paging, the program's to set: */
    uint64_t root;  /* its page table, an address of the second level; MMU_NO_ROOT: none as yet */
    uint64_t idt;   /* virtual; 0: none, its exceptions leave for the kernel */
    uint64_t stack; /* virtual: where frames are pushed, from above */
    enum x86_resume (*exception)(void *program, struct x86 *cpu); /* as in struct x86_vectors */
    void *program;
    /* ... and its state while the kernel runs (the VMCS's guest-state area). */
    struct x86_guest {
        uint64_t rip, rsp, rflags;
        uint16_t cs;
    } guest;
};
/* A space in user mode with interrupts enabled, and nothing of its own as yet. */
struct x86_space x86_space_make(struct address_space *tables, uint32_t tag, bool nested);

/* The operating system's handlers. They run on the context that faulted, in kernel mode,
 * with the cause in vector, error_code, cr2 and, after a VM exit, exit_*; before they
 * return, x86_return was called. */
struct x86_vectors {
    /* Before the first cycle of an exception is charged: whose work the kernel's is
     * from here on (cpu_work_for). May be NULL. */
    void (*entering)(void *os, struct x86 *cpu);
    enum x86_resume (*exception)(void *os, struct x86 *cpu);
    /* An interrupt is let through: called at that instant, in kernel mode; dispatches a
     * context at CORE_INTERRUPT, which begins with x86_interrupt_begin and ends with
     * x86_interrupt_return. */
    void (*interrupt)(void *os, struct x86 *cpu);
    void *os;
};

struct x86 {
    struct x86_config config;
    struct core *core;
    struct memory *memory;
    struct x86_vectors vectors;
    bool booted;
    uint64_t registers[X86_REGISTERS];
    uint64_t rip, rflags, cr0, cr2;
    uint16_t cs;
    uint64_t idt, tss; /* physical */
    bool guest;        /* in a virtual machine */
    struct x86_space *space;
    struct mmu_nested translation;
    /* How the kernel was entered, and so how it is left. */
    enum x86_way { X86_BY_SYSCALL, X86_BY_FRAME, X86_BY_EXIT } way;
    enum x86_vector vector; /* of the last exception */
    uint64_t error_code;
    enum x86_exit exit_reason;
    uint64_t exit_qualification, exit_address; /* of an EPT violation: the second level's address */
    uint32_t pending;                          /* interrupt lines */
    /* The local APIC's timer. */
    struct interval timer;
    struct x86_counters {
        uint64_t loads, stores, system_calls, exceptions[X86_EXCEPTIONS], program_exceptions, exits, entries,
            interrupts, switches;
    } counters;
    char name[32];
};

/* A processor on `core` of a machine; until it is booted it does nothing, and the core is
 * free for other uses. The caller frees it. */
struct x86 *x86_create(struct machine *machine, struct core *core, const struct x86_config *config);
void x86_free(struct x86 *cpu);
/* Takes the core's interrupt pin and installs the handlers: fills the IDT, whose page
 * the kernel gives (physical), as the task state's, in another. Kernel mode now; user mode
 * with interrupts enabled after the first return. Vector 4 may be raised by software. */
void x86_boot(struct x86 *cpu, const struct x86_vectors *vectors, uint64_t idt, uint64_t tss);
/* RSP0 of the task state: the top of the stack that frames go to (direct map); a store of
 * the kernel's. */
void x86_set_kernel_stack(struct x86 *cpu, uint64_t top);

/* ---- Instructions. Without a running context (before the run) none takes time. ---- */
/* `cycles` of instructions that touch no memory. */
void x86_execute(struct x86 *cpu, uint64_t cycles);
/* Loads and stores of the kernel, in the direct map; 1, 2, 4 or 8 bytes, aligned. */
uint64_t x86_kernel_load(struct x86 *cpu, uint64_t address, uint32_t size_bytes);
void x86_kernel_store(struct x86 *cpu, uint64_t address, uint32_t size_bytes, uint64_t value);

/* ---- User mode: 1, 2, 4 or 8 bytes, at any address; through the TLB. ---- */
/* Executes a load or store at the present instant (all that was charged before is
 * executed first). Faults go to their handler, as often as it answers X86_RETRY.
 * False: the instruction was skipped, without effect. */
bool x86_load(struct x86 *cpu, uint64_t address, uint32_t size_bytes, uint64_t *value);
bool x86_store(struct x86 *cpu, uint64_t address, uint32_t size_bytes, uint64_t value);
/* add and jo: *sum = a + b, or INT 4. */
bool x86_add(struct x86 *cpu, int32_t a, int32_t b, int32_t *sum);
/* idiv: *quotient = a / b, or #DE (b is 0, or the quotient does not fit). */
bool x86_divide(struct x86 *cpu, int64_t a, int32_t b, int32_t *quotient);
/* A floating-point instruction: #NM while CR0.TS is set. */
bool x86_float(struct x86 *cpu);
/* An instruction that is the kernel's (CLI, say): #GP. */
bool x86_privileged(struct x86 *cpu);
/* INT n, n < 32: through its gate, if that is open to user mode; else #GP. Goes on behind
 * it. In a virtual machine all gates are the program's affair. */
void x86_int(struct x86 *cpu, unsigned vector);
/* popf: the flags of X86_RFLAGS_USER; the others stay. */
void x86_set_flags(struct x86 *cpu, uint64_t flags);

/* ---- Into the kernel and out of it ---- */
/* SYSCALL, or VMCALL under nested paging: kernel mode, interrupts off. */
void x86_syscall(struct x86 *cpu);
/* Back to user code on the same context, the way that it came: SYSRET, IRET (which loads
 * the frame, as the kernel may have changed it) or VM entry; for a program's own handler
 * its IRET. What was charged is executed, and an interrupt that waited for it is taken
 * before user code goes on. */
void x86_return(struct x86 *cpu);
/* Leaves the kernel for another context, which the OS has chosen (NULL: none): it is
 * dispatched at thread level, in user mode. x86_charge_return was called, and executed,
 * before; the caller blocks next (cpu_block). */
void x86_charge_return(struct x86 *cpu);
void x86_leave_to(struct x86 *cpu, struct context *next);
/* The beginning and the end of an interrupt's context: what its delivery took; the return,
 * then the context leaves the core (or goes on, if another line waits). */
void x86_interrupt_begin(struct x86 *cpu, struct context *context);
void x86_interrupt_return(struct x86 *cpu, struct context *context);
static inline bool x86_is_user(const struct x86 *cpu) {
    return cpu->guest || (cpu->cs & X86_RPL) == X86_RPL;
}
/* Where the frame of the exception lies that is being handled: in the direct map, or on
 * the program's stack. */
static inline uint64_t x86_frame(const struct x86 *cpu) {
    return cpu->registers[X86_RSP];
}

/* ---- Interrupts ---- */
/* A line 0..31 of the local APIC; it stays raised until it is acknowledged (EOI). */
void x86_raise(struct x86 *cpu, unsigned line);
void x86_acknowledge(struct x86 *cpu, unsigned line);
static inline bool x86_is_pending(const struct x86 *cpu, unsigned line) {
    return (cpu->pending >> line & 1) != 0;
}
/* Raises X86_TIMER_LINE every `period` from now on; 0 stops it. */
void x86_timer_start(struct x86 *cpu, sim_time period);

/* ---- Translation ---- */
/* The kernel goes to another program's space: MOV to CR3, or VMPTRLD. The program is
 * entered at its beginning, with flags cleared, under kernel paging (SYSRET: RCX, R11 are
 * the kernel's to set), or where it left, under nested paging. */
void x86_switch(struct x86 *cpu, struct x86_space *space);
/* INVLPG in the present space, by the kernel, or by a program under nested paging (for
 * others it is privileged). False: it was skipped. */
bool x86_invlpg(struct x86 *cpu, uint64_t address);
/* The kernel makes the present space one under nested paging, at the program's request,
 * while it serves its system call: without a root or handlers as yet. */
void x86_nest(struct x86 *cpu);
/* INVLPG by the kernel in a space that need not be the present one: then by a visit to it
 * (INVPCID came later than these processors). Under nested paging the kernel does not know
 * a page's virtual addresses: x86_flush. */
void x86_invlpg_of(struct x86 *cpu, const struct x86_space *space, uint64_t address);
/* MOV to CR3 by a program under nested paging: the root of its tables. */
bool x86_set_root(struct x86 *cpu, uint64_t root);
/* Nothing of a space is left in the TLB: by the kernel, a MOV to CR3, or INVEPT for one
 * under nested paging. */
void x86_flush(struct x86 *cpu, const struct x86_space *space);

void x86_visit_stats(const struct x86 *cpu, const struct stats_sink *sink);
void x86_reset_stats(struct x86 *cpu);

#endif
