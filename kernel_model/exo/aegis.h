/* aegis.h: the exokernel of Engler, Kaashoek and O'Toole, "Exokernel", SOSP 1995.
 *
 * It adds to exokernel.h what Aegis does by itself with a processor: it takes exceptions
 * and hands them to the application, keeps bindings of memory, divides the processor's
 * time into slices, transfers control between environments, and takes resources back in
 * the open. Read in this order: this file (who is who), aegis_trap.c (into the kernel and
 * out), binding.h (memory), slice.h (time), transfer.h (control), revocation.h (giving
 * back); aegis_machine.h has what depends on the processor, with stlb.h on the R3000.
 *
 * Every step is instructions that are counted, and loads and stores that really
 * happen in simulated memory: the kernel's tables, an environment's block and its
 * save area are bytes there. What a profile gives (struct aegis_costs) is the rest of
 * a step: instructions, one cycle each, that touch no memory and no register of the
 * processor's control.
 *
 * Calls marked [env] are made by a context of the environment and cost a system
 * call; before the run (no context) they cost nothing. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_AEGIS_H
#define STILLSUIT_KERNEL_MODEL_EXO_AEGIS_H

#include "kernel_model/exo/environment.h"
#include "kernel_model/exo/memory.h"
#include "kernel_model/exo/stlb.h"

enum {
    AEGIS_ENVIRONMENTS_MAX = 63, /* an address-space id each; 0 is the kernel's */
    AEGIS_ASID_SHIFT = 6,
    AEGIS_GUARANTEED_MAX = 16,
    AEGIS_SLICES_MAX = 64,
    AEGIS_BINDING_BUCKETS = 64,
    AEGIS_REPOSSESSION_MAX = 192, /* entries of a repossession vector */
    AEGIS_PAGE_BITS = 12,
    AEGIS_PAGE = 1 << AEGIS_PAGE_BITS
};
#define AEGIS_PAGE_MASK UINT32_C(0xfffff000)
#define AEGIS_USER_END UINT32_C(0x80000000) /* a program's addresses lie below */

/* Instructions beside memory accesses and CP0 moves; profile section `aegis`. */
struct aegis_costs {
    struct cost system_call, system_call_stack;
    struct cost exception_dispatch;
    struct cost stlb_probe, guaranteed_probe;
    struct cost capability_check, capability_derive, capability_revoke;
    struct cost name_space_create, name_space_enter, nest;
    struct cost tlb_insert, tlb_remove, protect_page, binding_find, frame_allocate, frame_release;
    struct cost transfer;
    struct cost slice_allocate, slice_tick, slice_switch, upcall;
    struct cost repossess;
};
extern const struct param aegis_cost_params[];

/* What the kernel is told beside costs: keys of a system's own entry. */
struct aegis_config {
    uint64_t stlb_entries; /* 0: no software TLB */
    sim_time quantum;
    uint64_t slices;           /* positions in the vector */
    sim_time epilogue;         /* what the end of a slice may take before it is an overrun */
    uint64_t excess_threshold; /* ticks that an overrun may last before the environment is destroyed */
    uint64_t guaranteed_pages; /* that stay with an environment whatever is revoked */
    uint64_t page_colors;      /* of the cache, for allocation by color */
    bool packet_handlers;      /* packets may be answered by code that was downloaded */
    bool wake_predicates;      /* a library that waits for a packet sleeps on a predicate */
    sim_time revoke_time;      /* when no frame is free, who holds most is asked for one by then; 0: nobody is */
};
extern const struct param aegis_params[];

struct aegis;
struct aegis_environment;
struct aegis_machine;

/* Where things lie in an environment's block, which is the kernel's. */
enum aegis_block {
    AEGIS_BLOCK_NUMBER = 0x00,
    AEGIS_BLOCK_SAVE_AREA = 0x04, /* as the kernel reaches it */
    AEGIS_BLOCK_ENTRY_HI = 0x08,  /* its ASID in place */
    AEGIS_BLOCK_STACK = 0x0c,
    AEGIS_BLOCK_RESUME = 0x10,   /* the caller's program counter across a transfer */
    AEGIS_BLOCK_ENTRY = 0x14,    /* protected entry point; 0: none */
    AEGIS_BLOCK_HANDLERS = 0x40, /* a word for each exception code */
    AEGIS_BLOCK_KERNEL_STACK = 0x100,
    AEGIS_BLOCK_GUARANTEED = 0x200 /* count, then pairs EntryHi, EntryLo */
};
/* ... and in its save area: a page that it can read and write. */
enum aegis_save_area {
    AEGIS_SAVE_SCRATCH = 0x00,     /* three registers, at an exception */
    AEGIS_SAVE_CONTEXT = 0x40,     /* room for all, the library's to use */
    AEGIS_SAVE_REPOSSESSED = 0x100 /* the repossession vector: count, then frames */
};
#define AEGIS_SAVE_AREA_AT UINT32_C(0x7ffff000) /* virtual, in every environment */
#define AEGIS_FREE_MAP_AT UINT32_C(0x7fffe000)  /* a bit a frame, set if free; read-only */
/* Code addresses: the model's programs have no bytes, but their entry points a name. */
enum { AEGIS_CODE_HANDLER = 0x400000, AEGIS_CODE_ENTRY = 0x400100, AEGIS_CODE_RESUME = 0x400200 };

/* What happened. The numbers are those of the R3000's Cause register; another machine's
 * exceptions are the ones that mean the same. */
enum aegis_cause {
    AEGIS_CAUSE_PROTECTION = 1,    /* a store to a page that is bound for reading */
    AEGIS_CAUSE_MISS_LOAD = 2,     /* nothing is bound there */
    AEGIS_CAUSE_MISS_STORE = 3,    /* ... for a store */
    AEGIS_CAUSE_ADDRESS_LOAD = 4,  /* unaligned, or not a program's address */
    AEGIS_CAUSE_ADDRESS_STORE = 5, /* ... for a store */
    AEGIS_CAUSE_BUS = 7,           /* no memory is there */
    AEGIS_CAUSE_COPROCESSOR = 11,  /* not usable */
    AEGIS_CAUSE_OVERFLOW = 12,
    AEGIS_CAUSES = 16
};

/* How user code goes on after an exception. */
enum aegis_resume {
    AEGIS_RETRY, /* at the instruction that faulted */
    AEGIS_SKIP   /* behind it */
};

/* What an application is told of an exception: the three scratch registers hold it. */
struct aegis_exception {
    enum aegis_cause code;
    uint32_t epc, bad_address, cause;
};

/* What the kernel wants of an environment. */
enum aegis_notice {
    AEGIS_SLICE_BEGIN = 1,
    AEGIS_SLICE_END = 2,
    AEGIS_REVOKE = 4,     /* give back frames: environment->revoke_asked of them */
    AEGIS_REPOSSESSED = 8 /* frames were taken: see the repossession vector */
};

/* A library OS as the kernel sees it: entry points, all in user mode, any of which but
 * `main` may be NULL. */
struct aegis_program {
    const char *name;
    void (*main)(struct aegis_environment *environment);
    /* On the context that faulted, which goes on as it says; without one, an exception
     * ends the environment. */
    enum aegis_resume (*exception)(struct aegis_environment *environment, const struct aegis_exception *exception);
    /* On a context of its own, while main is stopped: one of enum aegis_notice. At
     * AEGIS_SLICE_END it saves what it wants saved and yields; when it returns, main goes
     * on. NULL: the kernel's notices are ignored. */
    void (*notice)(struct aegis_environment *environment, enum aegis_notice notice);
    /* The protected entry: a transfer arrived, its message in the registers. NULL: only
     * a context that waits can be entered. */
    void (*entered)(struct aegis_environment *environment);
};

/* What a program does before its handler where the processor delivers exceptions to it:
 * aegis_nested.h. */
typedef void aegis_stub(struct aegis_environment *environment, const struct aegis_exception *exception);

struct aegis_frame {
    struct aegis_frame *next; /* of the environment, oldest first */
    struct exo_handle handle;
    uint64_t physical;
    bool guaranteed;
};

struct aegis_counters {
    uint64_t exceptions, tlb_upcalls, guaranteed_hits, transfers, yields, slices, overruns, excess_ticks, forfeited,
        repossessed, notices, sleeps, predicates;
};

struct aegis_environment {
    struct aegis_environment *next;
    struct aegis *aegis;
    struct exo_environment *environment;
    const struct aegis_program *program;
    void *state;               /* the program's */
    aegis_stub *stub;          /* ... before its handler; NULL: nothing */
    unsigned asid;             /* of the name space that it is in: name_space.h */
    unsigned home;             /* ... and of its first */
    uint64_t name_spaces;      /* a bit for each that is its own */
    uint64_t block, save_area; /* physical */
    bool dead;
    unsigned nested; /* exceptions within exceptions */

    struct context *main, *entry, *notifier;
    struct context *active;  /* has the environment's thread of control: main or entry; NULL: it waits */
    struct context *below;   /* what entry displaced */
    struct context *waiter;  /* blocked until it is entered */
    struct context *sleeper; /* ... until its predicate is true: aegis_sleep.h */
    bool entry_busy, notifier_busy, notifier_yielded;
    unsigned pending;                /* enum aegis_notice */
    struct aegis_environment *donee; /* has its slices until it returns */
    enum error_code transfer_result;

    struct request *request;       /* what it works for */
    struct request *below_request; /* ... and what `below` does */
    ledger_component component;    /* ... as which part of itself */

    struct aegis_frame *frames;
    struct aegis_binding *bindings[AEGIS_BINDING_BUCKETS]; /* by page: see binding.h */
    uint64_t guaranteed, revoke_asked;
    struct sim_event revoke_deadline;
    bool revoke_late;

    sim_time used;         /* processor time, exactly */
    int64_t excess, owed;  /* time taken from others, or by others; fs */
    uint64_t excess_ticks; /* of the present overrun */
    struct aegis_counters counters;
};

struct aegis {
    struct exo_kernel *kernel;
    struct exo_costs exo_costs;          /* none: the costs below cover its work */
    const struct aegis_machine *machine; /* aegis_machine.h */
    struct core *core;
    struct r3000 *r3000;         /* the processor, where it is one; else NULL */
    struct x86 *x86;             /* likewise */
    struct aegis_x86 *processor; /* what aegis_x86.c keeps */
    struct aegis_costs *costs;   /* the caller's */
    struct aegis_config config;
    uint64_t globals; /* physical: current block, table of system calls, blocks by number */
    uint64_t free_map;
    struct stlb stlb; /* on the R3000 */
    struct aegis_environment *environments;
    struct aegis_environment *graveyard; /* dead, contexts not yet released */
    struct aegis_environment *current;   /* whose time it is; NULL: idle */
    sim_time since, idle;
    struct context *interrupt;
    struct aegis_network *network;         /* NULL: none; see aegis_network.h */
    struct aegis_binding **frame_bindings; /* by frame number */
    uint64_t frame_count;
    struct aegis_slice *slices;
    uint64_t position;
    struct aegis_environment *substitute; /* has the present slice instead of its owner, who forfeited it */
    struct aegis_environment *overrunner; /* its slice is over, and it has the processor */
    sim_time overrun_since;
    struct aegis_counters counters;
    uint64_t destroyed, panics;
    bool faulty; /* the timer's code runs into a fault at its next interrupt: aegis_panic.c */
    struct sim_event stopped;
    void (*on_panic)(void *state);
    void *panic_state;
};

/* Boots on the machine's first core, which must be one that aegis_machine.h has a table
 * for (ERR_UNSUPPORTED). The caller frees it. */
struct aegis *aegis_create(struct machine *machine, const struct aegis_config *config, struct aegis_costs *costs,
                           struct error *error);
void aegis_free(struct aegis *aegis);
/* Starts the slices' timer and runs the owner of the first. Before the run. */
void aegis_start(struct aegis *aegis);

/* A new environment with its save area, which holds no slice yet. The kernel owns it.
 * ERR_EXHAUSTED. */
struct aegis_environment *aegis_environment_create(struct aegis *aegis, const char *name,
                                                   const struct exo_limits *limits, const struct aegis_program *program,
                                                   void *state, struct error *error);
/* Ends an environment: all that it holds is revoked. From the kernel or before the run;
 * its contexts must not be running. */
void aegis_environment_destroy(struct aegis_environment *environment);
struct aegis_environment *aegis_environment_find(struct aegis *aegis, uint32_t number);

/* [env] The number of the calling environment; with or without a kernel stack set up,
 * which only calls written in C need. */
uint32_t aegis_number(struct aegis_environment *environment, bool with_stack);
/* [env] Derives a capability with no more rights, for `to`: exo_derive. */
enum error_code aegis_derive(struct aegis_environment *environment, const struct exo_handle *handle, unsigned rights,
                             const struct aegis_environment *to, struct exo_handle *out, struct error *error);
/* [env] Ends a capability and all below it: exo_revoke. */
enum error_code aegis_revoke(struct aegis_environment *environment, const struct exo_handle *handle,
                             struct error *error);
/* [env] Ends the calling environment. Does not return. */
void aegis_exit(struct aegis_environment *environment);

/* For user code: the present work of the environment's running context is `component`'s
 * (for environment->request). Returns what it was. */
ledger_component aegis_user_work(struct aegis_environment *environment, ledger_component component);

/* Components, all under "cpu". */
struct aegis_components {
    ledger_component trap, stlb, dispatch, transfer, binding, slice, revocation, network;
};
extern struct aegis_components aegis_components;
void aegis_declare_components(void);

void aegis_visit_stats(const struct aegis *aegis, const struct stats_sink *sink);
void aegis_reset_stats(struct aegis *aegis);

/* ---- For the kernel's own files: aegis_trap.c ---- */
/* Into the kernel by a system call, whose work is `component`'s; with a stack or not. Its
 * end: back to the user code that called. Without a context neither does anything. */
void aegis_call_begin(struct aegis_environment *environment, ledger_component component, bool with_stack);
void aegis_call_end(struct aegis_environment *environment);
/* From here on the kernel works as `component`, for whom the environment worked. */
void aegis_work(struct aegis *aegis, ledger_component component);
/* A step's instructions. */
void aegis_step(struct aegis *aegis, struct cost *cost);
/* A word of the kernel's memory. */
uint32_t aegis_load(struct aegis *aegis, uint64_t physical);
void aegis_store(struct aegis *aegis, uint64_t physical, uint32_t value);
/* What the running context works for: nobody's request on the notifier. */
struct request *aegis_request(const struct aegis_environment *environment);
/* Checks a capability of frames and charges for it: exo_memory_frames. */
enum error_code aegis_check_frames(struct aegis_environment *environment, const struct exo_handle *handle,
                                   unsigned rights, uint64_t *physical, uint64_t *count, struct error *error);

/* ---- aegis_switch.c: whose turn it is ---- */
/* Books the time up to now to who had the processor; `next` has it from now on. */
void aegis_account(struct aegis *aegis, struct aegis_environment *next);
/* Makes `next` the environment that runs: the block, its addresses. Charged, not
 * dispatched. */
void aegis_switch(struct aegis *aegis, struct aegis_environment *next);
/* Who runs next, by the vector from the present slice on, passing over `except` (may be
 * NULL). NULL: nobody can. */
struct aegis_environment *aegis_next(struct aegis *aegis, const struct aegis_environment *except);
/* The context of `environment` that goes on when its turn comes, with a notice. */
struct context *aegis_turn(struct aegis_environment *environment, unsigned notice);
/* Whether it has a thread of control, or is to hear of a revocation. */
bool aegis_runnable(const struct aegis_environment *environment);
/* Leaves the calling context for `next` (may be NULL): it runs again when its own turn
 * comes. Within a system call, instead of aegis_call_end. */
void aegis_leave(struct aegis_environment *environment, struct aegis_environment *next, unsigned notice);
/* The calling environment is beyond help: it is ended. Does not return. */
void aegis_die(struct aegis_environment *environment);
/* Gives an environment a notice: at once if it runs, else when its turn comes. */
void aegis_post(struct aegis_environment *environment, unsigned notices);
/* The body of an environment's contexts. */
void aegis_main_body(void *argument);
void aegis_entry_body(void *argument);
void aegis_notifier_body(void *argument);
void aegis_interrupt_body(void *argument);

/* ---- aegis_panic.c ---- */
/* An exception in the kernel's own code, on the interrupt's context: every environment ends,
 * and on_panic is called. Does not return. */
void aegis_panic(struct aegis *aegis);
/* After on_panic: the kernel as aegis_create leaves it, without an environment. */
void aegis_reboot(struct aegis *aegis);
/* The context of interrupts. */
void aegis_make_interrupt(struct aegis *aegis);

#endif
