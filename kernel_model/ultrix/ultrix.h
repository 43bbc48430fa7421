/* ultrix.h: a monolithic kernel on the R3000, after Ultrix 4.2 (a 4.2BSD descendant), to
 * set the exokernel's operations beside the same ones through a general kernel path.
 *
 * What makes the path general is modelled step by step: every trap and system call saves
 * and restores all registers in a frame on the kernel stack; exceptions go through one
 * handler that finds out what they mean, posts a signal and delivers it with a context
 * on the user's stack, from which the process returns by another system call; protection
 * is the kernel's page tables and its alone; a pipe is reached through a file descriptor
 * and a buffer of the kernel's; who waits sleeps on a queue until it is woken up, and
 * processes are switched in the kernel.
 *
 * As with Aegis, a step is instructions that are counted plus loads and stores that
 * really happen: u-areas, page tables, frames, signal contexts and pipe buffers are bytes
 * of simulated memory. A profile gives the rest (struct ultrix_costs). No clock
 * interrupts: the published times are the best of many.
 *
 * ultrix_net.h: UDP. ultrix_trap.c: in and out. ultrix_signal.c, ultrix_vm.c, ultrix_sched.c, ultrix_pipe.c:
 * what it does there. ultrix_system.c: as operations to be measured. */
#ifndef STILLSUIT_KERNEL_MODEL_ULTRIX_ULTRIX_H
#define STILLSUIT_KERNEL_MODEL_ULTRIX_ULTRIX_H

#include "hw/r3000/r3000.h"
#include "kernel_model/common/frames.h"
#include "kernel_model/common/operations.h"

/* Instructions beside memory accesses, CP0 moves and TLB instructions; profile section
 * `ultrix`. */
struct ultrix_costs {
    struct cost loop, procedure_call, system_call_stub, signal_handler; /* the program's and libc's */
    struct cost trap_entry, trap_exit, trap, system_call;
    struct cost signal_post, signal_deliver, signal_return, fault;
    struct cost mprotect, protect_page;
    struct cost sleep, wakeup, switch_to;
    struct cost file, socket_send, socket_receive, copy, copy_word;
    struct cost kill, sigpause;
};
extern const struct param ultrix_cost_params[];

/* Where things lie in a process. */
#define ULTRIX_DATA_AT UINT32_C(0x10000000)
#define ULTRIX_STACK_AT UINT32_C(0x7fff0000) /* the stack's page, then the shared one */
#define ULTRIX_SHARED_AT UINT32_C(0x7fff1000)
enum { ULTRIX_PAGE = R3000_PAGE_BYTES, ULTRIX_DATA_PAGES_MAX = ULTRIX_PAGE / 4, ULTRIX_STACK_PAGES = 2 };

/* A page table entry is an EntryLo; its lowest bits are the kernel's own. */
enum ultrix_pte { ULTRIX_PTE_READ = 1, ULTRIX_PTE_WRITE = 2, ULTRIX_PTE_ALLOCATED = 4 };
enum ultrix_protection { ULTRIX_NO_ACCESS, ULTRIX_READ_ONLY, ULTRIX_READ_WRITE };

/* Where things lie in a u-area: registers at a switch, a return label for errors in a
 * system call, pending signals; and the kernel stack's frame. */
enum ultrix_u {
    ULTRIX_U_PCB = 0x000,
    ULTRIX_U_LABEL = 0x080,
    ULTRIX_U_SIGNALS = 0x100,
    ULTRIX_U_FILES = 0x140,
    ULTRIX_U_FRAME = 0x800
};

enum ultrix_signal {
    ULTRIX_SIGFPE = 8,
    ULTRIX_SIGBUS = 10,
    ULTRIX_SIGSEGV = 11,
    ULTRIX_SIGUSR = 30,
    ULTRIX_SIGILL = 4
};

struct ultrix;
struct ultrix_process {
    struct ultrix *ultrix;
    struct ultrix_process *next; /* in the run queue */
    struct context *context;
    const char *name;
    unsigned asid;
    uint64_t u_area, data_table, stack_table; /* physical */
    uint64_t data_pages;
    uint32_t status;       /* of the processor, kept while it sleeps */
    uint32_t pending;      /* signals, a bit each: what the word in its u-area says */
    const void *sleeps_on; /* NULL: runs, or can */
    bool started;
    void (*main)(struct ultrix_process *process);
    /* In user mode; how the program goes on after a synchronous one. NULL: skips. */
    enum r3000_resume (*handler)(struct ultrix_process *process, enum ultrix_signal signal, uint32_t address);
    void *state;
};

struct ultrix_pipe {
    struct ultrix *ultrix;
    uint64_t buffer;                 /* physical: head, tail, then the ring */
    struct ultrix_process *waits[2]; /* for content, for room */
};

struct ultrix_components {
    ledger_component trap, system_call, signal, memory, scheduler, pipe, network;
};
extern struct ultrix_components ultrix_components;
void ultrix_declare_components(void);

struct ultrix {
    struct machine *machine;
    struct r3000 *cpu;
    struct frames *frames;
    struct ultrix_costs *costs;                 /* the caller's */
    uint64_t globals;                           /* physical: run queues, table of system calls */
    struct ultrix_process *current, *run_queue; /* current NULL: idle */
    struct request *request;                    /* what the machine works for */
    unsigned asids;
    struct context *interrupt; /* NULL: no device interrupts */
    struct ultrix_counters {
        uint64_t system_calls, traps, refills, signals, switches, wakeups;
    } counters;
};

/* Boots on a machine with an R3000. The caller frees it. ERR_UNSUPPORTED, ERR_EXHAUSTED. */
struct ultrix *ultrix_create(struct machine *machine, struct ultrix_costs *costs, struct error *error);
void ultrix_free(struct ultrix *ultrix);
/* A process that can run, with a stack; before the run. The kernel frees it. NULL: no memory. */
struct ultrix_process *ultrix_process_create(struct ultrix *ultrix, const char *name,
                                             void (*main)(struct ultrix_process *process), void *state);
void ultrix_process_free(struct ultrix_process *process);
/* Data pages up to `pages`, readable and writable. ERR_EXHAUSTED, ERR_RANGE. */
enum error_code ultrix_data_grow(struct ultrix_process *process, uint64_t pages, struct error *error);
/* The same frame as the shared page of both. ERR_EXHAUSTED. */
enum error_code ultrix_share(struct ultrix_process *one, struct ultrix_process *other, struct error *error);
/* Runs `first`. */
void ultrix_start(struct ultrix *ultrix, struct ultrix_process *first);

/* ---- System calls, by the process that runs ---- */
uint32_t ultrix_getpid(struct ultrix_process *process);
/* What `pages` pages allow. ERR_RANGE: they are not all its own. */
enum error_code ultrix_mprotect(struct ultrix_process *process, uint32_t address, uint64_t pages,
                                enum ultrix_protection protection);
struct ultrix_pipe *ultrix_pipe_create(struct ultrix *ultrix); /* before the run; NULL: no memory */
void ultrix_pipe_free(struct ultrix_pipe *pipe);
void ultrix_write(struct ultrix_process *process, struct ultrix_pipe *pipe, const uint32_t *words, uint32_t count);
uint32_t ultrix_read(struct ultrix_process *process, struct ultrix_pipe *pipe, uint32_t *words, uint32_t count);
void ultrix_kill(struct ultrix_process *process, struct ultrix_process *to, enum ultrix_signal signal);
/* Sleeps until a signal has been delivered. */
void ultrix_sigpause(struct ultrix_process *process);

/* User code of the running process: a step, whose work is the program's. */
void ultrix_user_step(struct ultrix *ultrix, struct cost *cost);

void ultrix_visit_stats(const struct ultrix *ultrix, const struct stats_sink *sink);
void ultrix_reset_stats(struct ultrix *ultrix);

/* ---- For the kernel's own files ---- */
void ultrix_work(struct ultrix *ultrix, ledger_component component);
void ultrix_step(struct ultrix *ultrix, struct cost *cost);
uint32_t ultrix_load(struct ultrix *ultrix, uint64_t physical);
void ultrix_store(struct ultrix *ultrix, uint64_t physical, uint32_t value);
/* A trap's frame on the kernel stack: all registers there, and back before rfe. */
void ultrix_trap_enter(struct ultrix *ultrix);
void ultrix_trap_leave(struct ultrix *ultrix);
/* A device's interrupt: the frame goes to who runs, or to the idle loop's area; at its end
 * somebody that it has woken runs, if nobody did. */
void ultrix_interrupt_enter(struct ultrix *ultrix, uint64_t idle_area);
void ultrix_interrupt_leave(struct ultrix *ultrix, uint64_t idle_area);
/* From libc's stub into a system call's own code, as `component`; and back. */
void ultrix_call_begin(struct ultrix_process *process, ledger_component component);
void ultrix_call_end(struct ultrix_process *process);
extern const struct r3000_vectors ultrix_vectors;
/* ultrix_signal.c: posts a signal; delivers what is pending to the current process, which
 * is about to leave the kernel, runs its handler and returns as after sigreturn. */
void ultrix_signal_post(struct ultrix_process *process, enum ultrix_signal signal);
enum r3000_resume ultrix_signal_deliver(struct ultrix_process *process, uint32_t address);
/* ultrix_vm.c */
uint64_t ultrix_pte_at(const struct ultrix_process *process, uint32_t address); /* 0: none */
enum r3000_resume ultrix_fault(struct ultrix_process *process, enum r3000_code code, uint32_t address);
/* ultrix_sched.c: the calling process waits until somebody wakes that channel. */
void ultrix_sleep(struct ultrix_process *process, const void *channel);
void ultrix_wakeup(struct ultrix *ultrix, struct ultrix_process *process);
/* Nobody ran: the next process does, when the interrupt is over. */
void ultrix_end_idle(struct ultrix *ultrix);
void ultrix_process_body(void *argument);

#endif
