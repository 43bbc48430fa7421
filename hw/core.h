/* core.h: a processor core: a resource that runs one context at a time.
 *
 * Software is contexts. Each runs as a task, charges cycles (and touches memory) as
 * it goes, and synchronizes with simulated time only where something outside could
 * see the difference: cpu_run() blocks until all that was charged has been executed.
 * A core has three levels; the highest that has a context dispatched runs, and what
 * it displaces is stretched by exactly that time, in the ledger too (the request
 * being worked on waits). Who is dispatched at thread level is the operating
 * system's to say: hw/ knows no scheduler. */
#ifndef STILLSUIT_HW_CORE_H
#define STILLSUIT_HW_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/mmu.h"
#include "sim/clock.h"
#include "sim/engine.h"
#include "sim/error.h"
#include "sim/ledger.h"
#include "sim/param.h"
#include "sim/stats_sink.h"

struct machine;

enum { CORE_IDLE_STATES = 4 };

/* An idle state: its name and what leaving it costs. */
struct core_idle_state {
    const char *name; /* "C1" */
    sim_time exit_latency;
    sim_time target_residency; /* worth entering for at least this long */
    bool flushes_caches;       /* L1 and L2 are written back on entry */
};

struct core_config {
    uint64_t count;
    uint64_t clock_hz;
    uint64_t interrupt_cycles;                     /* entry and return of an interrupt, hardware and stub */
    sim_time inter_processor_latency;              /* an IPI, sender to receiver's pin */
    uint64_t copy_bytes_per_cycle;                 /* of a copy that hits L1 */
    struct core_idle_state idle[CORE_IDLE_STATES]; /* shallow to deep; name NULL ends */
};
extern const struct param core_params[]; /* idle states are a list, read by core_config_bind */
struct config_node;
struct diagnostics;
bool core_config_bind(const struct config_node *node, struct core_config *config, struct diagnostics *diagnostics);

enum core_level { CORE_THREAD, CORE_SOFTIRQ, CORE_INTERRUPT, CORE_LEVELS };

struct core;
struct context;

struct core *core_create(struct machine *machine, unsigned index, const struct core_config *config);
void core_free(struct core *core);
unsigned core_index(const struct core *core);
const struct sim_clock *core_clock(const struct core *core);
const struct core_config *core_configuration(const struct core *core);

/* ---- For an operating system ---- */

/* Called when an interrupt arrives at the core's pin, at that instant; the OS
 * dispatches a context at CORE_INTERRUPT. `raised` is when the pin was raised,
 * `awake` when the core was able to run (later if it had to leave an idle state). */
typedef void core_interrupt_handler(void *os, struct core *core, uint32_t vector, sim_time raised, sim_time awake);
void core_set_interrupt_handler(struct core *core, core_interrupt_handler *handler, void *os);
/* Raises an interrupt now (MSI-X and timers end here), or at another core after
 * the inter-processor latency. While the core leaves an idle state, handlers wait. */
void core_interrupt(struct core *core, uint32_t vector);
void core_send_ipi(struct core *to, uint32_t vector);

/* Makes `context` the one at its level on this core, instead of the one that is
 * there; NULL with the level leaves the level empty. */
void core_dispatch(struct core *core, enum core_level level, struct context *context);
struct context *core_dispatched(const struct core *core, enum core_level level);
/* No level has a context. */
bool core_is_idle(const struct core *core);
/* The OS's choice of idle state when nothing is dispatched; index into the
 * configuration, -1 for polling idle (no exit latency). The core enters at now and
 * leaves on the next interrupt or dispatch, paying the exit latency, which its
 * usage books to `exit_component`. */
void core_enter_idle(struct core *core, int state, ledger_component exit_component);

/* ---- Contexts ---- */

/* A context at `level` that may run on `core`, with a task that runs
 * body(argument); it executes nothing until it is dispatched. `space` NULL: the
 * kernel (physical addresses, all rights). The core owns it; it ends by returning
 * from body (the OS must have dispatched another first, or it just leaves). */
struct context *context_create(struct core *core, enum core_level level, const char *name, struct address_space *space,
                               void (*body)(void *argument), void *argument);
struct core *context_core(const struct context *context);
struct address_space *context_space(const struct context *context);
/* Moves a context that is not dispatched to another core. */
void context_migrate(struct context *context, struct core *core);
/* The context whose task is running now, or NULL. */
struct context *context_current(void);
void context_kill(struct context *context);

/* Work from here on is for `request` (NULL: nobody's) and of `component`: it is
 * handed over, in service, at the instant at which the work begins. */
void cpu_work_for(struct context *context, ledger_component component, struct request *request);
/* Charges cycles of code to the present work. */
void cpu_charge(struct context *context, uint64_t cycles);
/* Touches memory through the caches and charges the stalls. */
void cpu_touch(struct context *context, uint64_t physical, uint32_t length_bytes, bool write);
/* Copies bytes in simulated memory and charges what it takes: both streams' misses,
 * overlapped, and the core's copy rate. */
void cpu_copy(struct context *context, uint64_t to_physical, uint64_t from_physical, uint32_t length_bytes);
/* Charges a span of time rounded to whole cycles (an application's compute). */
void cpu_charge_time(struct context *context, sim_time duration);
/* Hands the request of the present work to `component`, in `kind`, at the end of
 * what has been charged, and forgets it: the work that follows is nobody's. */
void cpu_pass_on(struct context *context, ledger_component component, enum ledger_kind kind);
/* A request has ended on another context: what is still charged here for it is nobody's. */
void cpu_forget_request(struct context *context, const struct request *request);

/* Blocks until everything charged has been executed. The caller's task is the
 * context's. When it returns, sim_now() is the context's own time. */
void cpu_run(struct context *context);

/* cpu_run, then gives up the core's level and blocks until dispatched again (the OS
 * has arranged for that): a thread that sleeps. */
void cpu_block(struct context *context);

/* Spins: repeats an iteration of `cycles` for `component` until cpu_spin_wake, and
 * returns at the end of the iteration during which (or at whose start) that
 * happened. The core is busy meanwhile; interrupts stretch it. */
void cpu_spin(struct context *context, uint64_t cycles, ledger_component component);
/* Wakes a spinning context; without effect if it does not spin. */
void cpu_spin_wake(struct context *context);
bool cpu_is_spinning(const struct context *context);

/* ---- User mode ---- */

/* A user access through the context's address space: MMIO or memory. False: a page
 * fault, counted on the context, with no effect. The write is posted: cpu_run
 * happens first, since the outside sees it. `request` rides along, owned by
 * `owner`. */
bool cpu_mmio_write(struct context *context, uint64_t address, uint32_t size_bytes, uint64_t value,
                    struct request *request, ledger_component owner);
bool cpu_mmio_read(struct context *context, uint64_t address, uint32_t size_bytes, uint64_t *value);
uint64_t context_page_faults(const struct context *context);

/* Components: "cpu", root of all software on a core; its children are declared by
 * operating systems and libraries. What such a child X waits for the caches goes to
 * "X_cache" below it. "ready": in memory, waiting for software to
 * notice; next: "cpu". */
void core_declare_components(void);
void core_visit_stats(const struct core *core, const struct stats_sink *sink);
/* End of the warm-up: accounts start anew. */
void core_reset_usage(struct core *core);

#endif
