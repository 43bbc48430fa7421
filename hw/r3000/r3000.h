/* r3000.h: an R3000-class processor: general registers, CP0, a software-managed
 * TLB, exceptions and an interval timer, on a core (hw/core.h).
 *
 * Software on it is the contexts of the core. What they do is counted in
 * instructions: one cycle each, as the R3000's pipeline has it (a load's or a
 * branch's delay slot is an instruction of the code's own), and beside that the
 * stalls that the machine adds: a full write buffer, an uncached access, the
 * instructions annulled by an exception. User-mode accesses go by virtual address
 * through the TLB; one that faults raises the exception into the operating system's
 * vector, which says how to go on.
 *
 * Contents of memory are little-endian, as on the DECstations. The instruction cache
 * always hits; so does the data cache, unless it is given a size: it is then direct-mapped
 * by physical address, writes through, and allocates a line on loads alone. */
#ifndef STILLSUIT_HW_R3000_R3000_H
#define STILLSUIT_HW_R3000_R3000_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/core.h"
#include "hw/interval.h"
#include "hw/memory.h"
#include "hw/r3000/r3000_regs.h"
#include "sim/param.h"
#include "sim/stats_sink.h"

enum { R3000_WRITE_BUFFER_MAX = 16, R3000_TIMER_LINE = 3, R3000_LINES = 8 };

struct r3000_config {
    uint64_t tlb_entries, tlb_wired;
    uint64_t exception_cycles;     /* annulled instructions, on each exception and interrupt */
    uint64_t uncached_cycles;      /* stall of a load that goes to memory */
    uint64_t write_buffer_entries; /* stores that wait for memory */
    uint64_t write_cycles;         /* of memory, for each */
    uint64_t cache_bytes;          /* of the data cache; 0: every load hits */
    uint64_t cache_line_bytes, cache_miss_cycles;
};
extern const struct param r3000_params[];

/* How user code goes on after an exception. */
enum r3000_resume {
    R3000_RETRY, /* at the instruction that faulted */
    R3000_SKIP   /* behind it */
};

struct r3000;
struct machine;

/* The operating system's handlers. They run on the context that faulted, in kernel
 * mode, with the cause in CP0; before they return, r3000_rfe was called. */
struct r3000_vectors {
    /* Before the first cycle of an exception is charged: whose work the kernel's is
     * from here on (cpu_work_for). May be NULL. */
    void (*entering)(void *os, struct r3000 *cpu);
    enum r3000_resume (*refill)(void *os, struct r3000 *cpu);  /* R3000_VECTOR_REFILL */
    enum r3000_resume (*general)(void *os, struct r3000 *cpu); /* R3000_VECTOR_GENERAL */
    /* An interrupt is let through: called at that instant, in kernel mode; dispatches a
     * context at CORE_INTERRUPT, which begins with r3000_interrupt_begin and ends with
     * r3000_interrupt_return. */
    void (*interrupt)(void *os, struct r3000 *cpu);
    void *os;
};

struct r3000_tlb_entry {
    uint32_t hi, lo;
};

struct r3000 {
    struct r3000_config config;
    struct core *core;
    struct memory *memory;
    struct r3000_vectors vectors;
    uint32_t registers[R3000_REGISTERS];
    /* CP0 */
    uint32_t status, cause, epc, bad_address, context, entry_hi, entry_lo, index;
    struct r3000_tlb_entry tlb[R3000_TLB_ENTRIES_MAX];
    /* The write buffer: cycle counts at which memory has taken each. */
    uint64_t writes[R3000_WRITE_BUFFER_MAX];
    uint32_t write_next;
    uint64_t cycles;      /* executed or charged so far */
    uint32_t *cache_tags; /* by line: the line's physical number, from 1; 0: none */
    /* The interval timer. */
    struct interval timer;
    struct r3000_counters {
        uint64_t instructions, kernel_instructions, loads, stores, write_stall_cycles, cache_misses;
        uint64_t exceptions[R3000_CODES], refills, interrupts, tlb_writes, tlb_shutdowns;
    } counters;
    char name[32];
};

/* A processor on `core` of a machine; it takes the core's interrupt pin. All entries
 * of its TLB are invalid. The caller frees it. */
struct r3000 *r3000_create(struct machine *machine, struct core *core, const struct r3000_config *config);
void r3000_free(struct r3000 *cpu);
/* Installs the handlers, and lets user code begin: kernel mode now, user mode with
 * interrupts enabled after the first r3000_rfe. */
void r3000_boot(struct r3000 *cpu, const struct r3000_vectors *vectors);

/* ---- Instructions. Without a running context (before the run) none takes time. ---- */
/* `count` instructions that touch no memory. */
void r3000_execute(struct r3000 *cpu, uint64_t count);
/* Loads and stores of the kernel: kseg0, kseg1, never mapped. Words, aligned. */
uint32_t r3000_kernel_load(struct r3000 *cpu, uint32_t address);
void r3000_kernel_store(struct r3000 *cpu, uint32_t address, uint32_t value);

/* ---- User mode: 1, 2 or 4 bytes, through the TLB. ---- */
/* Executes a load or store at the present instant (all that was charged before is
 * executed first). Faults go to the vectors, as often as they answer R3000_RETRY.
 * False: the instruction was skipped, without effect. */
bool r3000_load(struct r3000 *cpu, uint32_t address, uint32_t size_bytes, uint32_t *value);
bool r3000_store(struct r3000 *cpu, uint32_t address, uint32_t size_bytes, uint32_t value);
/* add: *sum = a + b, or an overflow exception. */
bool r3000_add(struct r3000 *cpu, int32_t a, int32_t b, int32_t *sum);
/* An instruction of coprocessor 1 to 3. */
bool r3000_coprocessor(struct r3000 *cpu, unsigned number);

/* ---- Exceptions ---- */
/* What the hardware does: Status is pushed, Cause and EPC are set, the pipeline's
 * instructions are annulled (charged to the present work). For system calls, whose
 * kernel code follows in line; faults of the calls above do it themselves. */
void r3000_enter(struct r3000 *cpu, enum r3000_code code);
/* rfe, in the delay slot of the jump back to user code: one instruction; Status is
 * popped. What was charged is executed, and an interrupt that waited for it is taken
 * before user code goes on. */
void r3000_rfe(struct r3000 *cpu);
/* Leaves the kernel for another context, which the OS has chosen (NULL: none): it is
 * dispatched at thread level, in user mode. The jump and the rfe were charged, and
 * executed, before; the caller blocks next (cpu_block). */
void r3000_leave_to(struct r3000 *cpu, struct context *next);
/* The beginning and the end of an interrupt's context: what the hardware annulled; rfe,
 * then the context leaves the core (or goes on, if another line waits). */
void r3000_interrupt_begin(struct r3000 *cpu, struct context *context);
void r3000_interrupt_return(struct r3000 *cpu, struct context *context);
static inline enum r3000_code r3000_cause_code(const struct r3000 *cpu) {
    return (enum r3000_code)((cpu->cause & R3000_CAUSE_CODE) >> R3000_CAUSE_CODE_SHIFT);
}
static inline bool r3000_is_user(const struct r3000 *cpu) {
    return (cpu->status & R3000_STATUS_USER_CURRENT) != 0;
}

/* ---- Interrupts ---- */
/* An interrupt line 0..7; it stays raised until it is acknowledged. */
void r3000_raise(struct r3000 *cpu, unsigned line);
void r3000_acknowledge(struct r3000 *cpu, unsigned line);
/* Raises R3000_TIMER_LINE every `period` from now on; 0 stops it. */
void r3000_timer_start(struct r3000 *cpu, sim_time period);

/* ---- The TLB. Each of the four is one instruction. ---- */
/* Index of the entry that matches EntryHi, or probe failed. */
void r3000_tlbp(struct r3000 *cpu);
/* EntryHi and EntryLo from the entry at Index. */
void r3000_tlbr(struct r3000 *cpu);
/* The entry at Index, or at Random, from EntryHi and EntryLo. */
void r3000_tlbwi(struct r3000 *cpu);
void r3000_tlbwr(struct r3000 *cpu);
/* Random as it reads now: it counts down a step each cycle, from the last entry to
 * the first that is not wired. */
uint32_t r3000_random(const struct r3000 *cpu);
/* mtc0 EntryHi: the page and the ASID that loads and stores are made under. */
void r3000_set_entry_hi(struct r3000 *cpu, uint32_t value);
void r3000_set_entry_lo(struct r3000 *cpu, uint32_t value);
static inline uint32_t r3000_hi(uint32_t virtual_address, unsigned asid) {
    return (virtual_address & R3000_HI_VPN) | ((uint32_t)asid << R3000_ASID_SHIFT & R3000_HI_ASID);
}

/* What a translation finds, without effects: R3000_INT stands for "no exception". */
enum r3000_code r3000_translate(struct r3000 *cpu, uint32_t address, bool write, uint32_t *physical, bool *cached,
                                bool *refill);

void r3000_visit_stats(const struct r3000 *cpu, const struct stats_sink *sink);
void r3000_reset_stats(struct r3000 *cpu);

#endif
