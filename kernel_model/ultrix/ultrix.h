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
 * of simulated memory. A profile gives the rest (struct ultrix_costs).
 *
 * The kernel is not preempted: it runs with interrupts off until it returns to a user or
 * sleeps. An interrupt displaces user code or the idle loop, and whoever it makes ready
 * runs at its end if its priority is better.
 *
 * Read in this order: this file, ultrix_trap.c (in and out), ultrix_interrupt.c,
 * ultrix_sched.c and ultrix_clock.c (whose turn it is), ultrix_vm.c, ultrix_paging.h,
 * ultrix_signal.c, ultrix_pipe.c, ultrix_net.h (UDP), ultrix_panic.c. ultrix_system.c: as
 * operations to be measured. */
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
    struct cost signal_post, signal_deliver, signal_return, fault, reclaim;
    struct cost mprotect, protect_page;
    struct cost sleep, wakeup, switch_to;
    struct cost file, socket_send, socket_receive, copy, copy_word;
    struct cost kill, sigpause;
    struct cost clock_tick, recompute; /* ultrix_clock.c */
    struct cost exit;
};
extern const struct param ultrix_cost_params[];

/* What the kernel is told beside costs: keys of a system's own entry. */
struct ultrix_config {
    uint64_t hz;      /* clock interrupts a second; 0: none, and no process loses its turn */
    sim_time quantum; /* until processes of one priority take turns */
};
extern const struct param ultrix_params[];

/* Where things lie in a process. */
#define ULTRIX_DATA_AT UINT32_C(0x10000000)
#define ULTRIX_STACK_AT UINT32_C(0x7fff0000) /* the stack's page, then the shared one */
#define ULTRIX_SHARED_AT UINT32_C(0x7fff1000)
enum { ULTRIX_PAGE = R3000_PAGE_BYTES, ULTRIX_DATA_PAGES_MAX = ULTRIX_PAGE / 4, ULTRIX_STACK_PAGES = 2 };

/* A page table entry is an EntryLo; its lowest bits are the kernel's own. */
enum ultrix_pte {
    ULTRIX_PTE_READ = 1,
    ULTRIX_PTE_WRITE = 2,
    ULTRIX_PTE_ALLOCATED = 4,
    ULTRIX_PTE_MODIFIED = 8,  /* written since it came: the hardware's bit says that it may be now */
    ULTRIX_PTE_ON_STORE = 16, /* absent, and the backing store has it; else it begins as zeros */
    ULTRIX_PTE_OWN = 0xff     /* all that the hardware does not see */
};
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

/* 4.3BSD's priorities: less is better; a process that has slept in the kernel has a better
 * one than any user until it is back in user mode. */
enum { ULTRIX_PRIORITY_MEMORY = 20, ULTRIX_PRIORITY_WAIT = 26, ULTRIX_PRIORITY_PAUSE = 40, ULTRIX_PRIORITY_USER = 50 };

struct ultrix;
struct ultrix_paging;
struct ultrix_process {
    struct ultrix *ultrix;
    struct ultrix_process *next;      /* in the run queue */
    struct ultrix_process *next_made; /* of all */
    struct context *context;
    const char *name;
    unsigned asid;
    uint64_t u_area, data_table, stack_table; /* physical */
    uint64_t data_pages;
    uint8_t *store;        /* the backing store's bytes of its data; NULL: its pages stay in memory */
    uint32_t status;       /* of the processor, kept while it sleeps */
    uint32_t pending;      /* signals, a bit each: what the word in its u-area says */
    uint32_t masked;       /* signals that wait until sigpause */
    const void *sleeps_on; /* NULL: runs, or can */
    bool interrupted;      /* waits for its turn in user mode: its frame comes back first */
    bool in_kernel;        /* a process of the kernel's own: never in user mode */
    bool apart;            /* works for nobody's request */
    bool dead;
    unsigned recent_ticks, priority, user_priority; /* see ultrix_clock.c */
    void (*main)(struct ultrix_process *process);   /* its return is its exit */
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
    ledger_component trap, system_call, signal, memory, scheduler, pipe, network, clock, store;
};
extern struct ultrix_components ultrix_components;
void ultrix_declare_components(void);

/* What an interrupt line is for; NULL: nothing. */
struct ultrix_line {
    void (*serve)(void *state);
    void *state;
};

struct ultrix {
    struct machine *machine;
    struct r3000 *cpu;
    struct frames *frames;
    struct ultrix_costs *costs; /* the caller's */
    struct ultrix_config config;
    uint64_t globals;                           /* physical: run queues, table of system calls */
    struct ultrix_process *current, *run_queue; /* current NULL: idle */
    struct ultrix_process *processes;           /* all, in the order in which they were made */
    struct request *request;                    /* what the processes that are not apart work for */
    struct request *interrupted_request;        /* ... as an interrupt is served */
    unsigned asids;
    struct context *interrupt;
    struct ultrix_line lines[R3000_LINES];
    uint64_t idle_area; /* physical: a frame for interrupts of the idle loop */
    bool switch_due;    /* looked at on the way back to user mode */
    uint64_t ticks;
    struct ultrix_paging *paging; /* NULL: every page stays in memory */
    bool faulty;                  /* the clock's code runs into a fault at its next interrupt */
    struct sim_event stopped;     /* ultrix_panic.c */
    void (*on_panic)(void *state);
    void *panic_state;
    struct ultrix_counters {
        uint64_t system_calls, traps, refills, signals, switches, wakeups, preemptions, reclaims, modifies, panics;
    } counters;
};

/* Boots on a machine with an R3000. The caller frees it. ERR_UNSUPPORTED, ERR_EXHAUSTED. */
struct ultrix *ultrix_create(struct machine *machine, const struct ultrix_config *config, struct ultrix_costs *costs,
                             struct error *error);
void ultrix_free(struct ultrix *ultrix);
/* A process that can run, with a stack; not from within the run of another. The caller
 * frees it. NULL: no memory. */
struct ultrix_process *ultrix_process_create(struct ultrix *ultrix, const char *name,
                                             void (*main)(struct ultrix_process *process), void *state);
void ultrix_process_free(struct ultrix_process *process);
/* The same for one of the kernel's own, which stays in kernel mode. */
struct ultrix_process *ultrix_process_of_kernel(struct ultrix *ultrix, const char *name,
                                                void (*main)(struct ultrix_process *process), void *state);
/* Data pages up to `pages`, readable and writable. ERR_EXHAUSTED, ERR_RANGE. */
enum error_code ultrix_data_grow(struct ultrix_process *process, uint64_t pages, struct error *error);
/* The same frame as the shared page of both. ERR_EXHAUSTED. */
enum error_code ultrix_share(struct ultrix_process *one, struct ultrix_process *other, struct error *error);
/* Starts the clock and runs `first`. */
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
/* Ends the calling process. Does not return. */
void ultrix_exit(struct ultrix_process *process);
/* The same within the kernel: a signal that it does not catch. */
void ultrix_die(struct ultrix_process *process);

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
/* A frame at a physical address: stored, and loaded back up to the jump before rfe. */
void ultrix_frame_save(struct ultrix *ultrix, uint64_t frame);
void ultrix_frame_restore(struct ultrix *ultrix, uint64_t frame);
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
/* ultrix_sched.c: the calling process waits until somebody wakes that channel, and then
 * has that priority until it is back in user mode. */
void ultrix_sleep(struct ultrix_process *process, const void *channel, unsigned priority);
void ultrix_wakeup(struct ultrix *ultrix, struct ultrix_process *process);
/* All that sleep on a channel. */
void ultrix_wakeup_all(struct ultrix *ultrix, const void *channel);
/* Into the run queue, behind all that are as good. */
void ultrix_queue_push(struct ultrix *ultrix, struct ultrix_process *process);
/* On the way back to user mode, to which it gets back its own priority: another's turn? */
void ultrix_reschedule(struct ultrix_process *process);
/* The same at the end of an interrupt, on the interrupt's context: restores the frame of
 * whoever goes on in user mode. */
void ultrix_interrupt_end(struct ultrix *ultrix);
/* ultrix_interrupt.c: `serve` is called on the interrupt's context when the line is raised. */
void ultrix_attach(struct ultrix *ultrix, unsigned line, void (*serve)(void *state), void *state);
void ultrix_interrupt_body(void *argument);
/* ultrix_clock.c */
void ultrix_clock_start(struct ultrix *ultrix);
/* A process's priority from the processor time that it had of late. */
void ultrix_set_priority(struct ultrix_process *process);
/* ultrix_panic.c: an exception in kernel mode, on the interrupt's context; does not return. */
void ultrix_panic(struct ultrix *ultrix);
/* After on_panic: the kernel as ultrix_create leaves it, without a process. */
void ultrix_reboot(struct ultrix *ultrix);
void ultrix_process_body(void *argument);

#endif
