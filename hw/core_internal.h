/* core_internal.h: what core*.c and context*.c share.
 * Everyone else includes hw/core.h.
 *
 * Time on a core is counted in edges of its clock. A context's charges are a list
 * of segments; while it runs, segment `next` began (or begins) at edge `begin`, and
 * `total` cycles are left from there. Nothing is scheduled per segment: the ledger
 * and the core's account are brought up to date when the context's wake-up comes or
 * when somebody takes the core away, with the instants at which it happened. */
#ifndef STILLSUIT_HW_CORE_INTERNAL_H
#define STILLSUIT_HW_CORE_INTERNAL_H

#include "hw/core.h"
#include "hw/machine.h"

enum { CORE_VECTORS = 256, CONTEXT_NAME_BYTES = 32 };

/* Work, or (marker) the hand-over of a request at a boundary. */
struct segment {
    uint64_t cycles;
    struct request *request;
    ledger_component component;
    ledger_component stall_of; /* of cache stalls: the component whose code stalls; else 0 */
    uint8_t kind;              /* of a marker: enum ledger_kind */
    bool marker;
};

enum context_state {
    CONTEXT_NEW,       /* never reached: there is no task yet */
    CONTEXT_STARTING,  /* its task is made and due at this instant */
    CONTEXT_EXECUTING, /* its task's code is running, at the edge `begin` */
    CONTEXT_RUNNING,   /* its task waits for the segments to be executed */
    CONTEXT_SPINNING,  /* its task waits for cpu_spin_wake */
    CONTEXT_BLOCKED,   /* its task waits until the core reaches it */
    CONTEXT_ENDED
};

struct context {
    struct core *core;
    struct context *next_of_core;
    enum core_level level;
    enum context_state state;
    struct address_space *space;
    struct sim_task *task;
    struct sim_event start; /* makes the task when the core first reaches the context */
    void (*body)(void *argument);
    void *argument;

    struct segment *segments;
    uint32_t count, capacity, next;
    bool begun;             /* segments[next] has begun */
    uint64_t begin, total;  /* see above */
    struct request *active; /* in service by the last segment that began; NULL while executing */

    ledger_component component; /* the present work */
    struct request *request;

    bool spinning, spin_woken; /* within cpu_spin; its wake has come */
    ledger_component spin_component;
    uint64_t spin_cycles, spin_phase; /* of an iteration; how much of one was done when it was taken away */
    uint64_t spin_end;

    uint64_t page_faults;
    char name[CONTEXT_NAME_BYTES];
};

enum core_power { CORE_AWAKE, CORE_ASLEEP, CORE_WAKING };

struct core_pending {
    uint32_t vector;
    sim_time raised;
};

struct core_ipi {
    struct sim_event event;
    struct core *core;
    uint32_t vector;
    struct core_ipi *next_free, *next_made;
};

struct core {
    struct machine *machine;
    unsigned index;
    struct core_config config;
    struct sim_clock clock;
    struct context *levels[CORE_LEVELS];
    struct context *current; /* the highest of them while awake, NULL otherwise */
    struct context *contexts;

    core_interrupt_handler *handler;
    void *os;
    struct core_pending pending[CORE_VECTORS]; /* a ring: each vector at most once */
    uint32_t pending_head, pending_count;
    bool delivering;
    struct core_ipi *ipis_free, *ipis_made;

    enum core_power power;
    int idle_state; /* while asleep, or to enter once awake; -1: none */
    ledger_component exit_component;
    struct sim_event awake;

    struct usage usage;
    uint64_t interrupts, coalesced, preemptions, idle_entries, spins, page_faults;
    char name[CONTEXT_NAME_BYTES];
};

/* ---- context_run.c ---- */
static inline sim_time context_edge(const struct context *context, uint64_t cycle) {
    return sim_clock_edge(&context->core->clock, cycle);
}
/* The core lets `context` run from edge `cycle`, or takes itself away at it. */
void context_resume(struct context *context, uint64_t cycle);
void context_preempt(struct context *context, uint64_t cycle);
/* Brings ledger and account up to edge `cycle`; a segment that begins exactly there
 * is begun if `enter`. */
void context_advance(struct context *context, uint64_t cycle, bool enter);
/* Starts what the context's task is about to wait for: its segments, or its spin. */
void context_run_segments(struct context *context);
void context_run_spin(struct context *context);
/* How much of a spin's iteration is done at edge `cycle`. */
uint64_t context_spin_phase(const struct context *context, uint64_t cycle);

/* ---- context.c ---- */
/* Charges cycles that the present work waits for its caches. */
void context_charge_stall(struct context *context, uint64_t cycles);
/* Frees what a context holds; its task never runs again. */
void context_free(struct context *context);

/* ---- core.c ---- */
void core_use(struct core *core, ledger_component component, sim_time when);

#endif
