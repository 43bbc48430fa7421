/* ledger.h: every nanosecond accounted for.
 *
 * A request (a packet's round trip, an I/O, a system call) is owned by exactly one
 * component at every instant. Handing over is one call; it says who takes the
 * request and whether the time that follows is waiting or service. The intervals
 * therefore tile the request's life by construction, and their sum is its latency
 * to the femtosecond.
 *
 * Checked, in release builds too: only the owner hands over; the taker is one that
 * the owner's declaration allows; time does not run backwards; a request that ends
 * was owned by who ends it; whatever began has an end or an owner when the run
 * ends.
 *
 * A hand-over may lie ahead of sim_now() where a model computes its completion by
 * arithmetic: the request is then not touched by another until that instant. */
#ifndef STILLSUIT_SIM_LEDGER_H
#define STILLSUIT_SIM_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/histogram.h"
#include "sim/time.h"

enum { LEDGER_COMPONENTS_MAX = 256 };

typedef uint8_t ledger_component; /* an index; 0 is "none" */

enum ledger_kind { LEDGER_WAITING, LEDGER_SERVICE, LEDGER_KINDS };

/* A component. `parent` is another's name or NULL; `next` lists, separated by
 * spaces, who may take over from it: a name stands for that component and all
 * below it; names that nobody declares in this run are passed over. A component
 * may also hand over to itself (waiting becomes service), to its ancestors and to
 * what lies below it. `next` NULL takes the parent's list. */
struct ledger_declaration {
    const char *name;   /* as in CSVs: "net_stack_in" */
    const char *parent; /* "cpu" */
    const char *label;  /* as in tables and plots: "Network stack, in" */
    const char *next;
};

/* Declares a component and returns its index; the same name again returns the same
 * index. The texts must outlive the run. May come late, as what lies below another. */
ledger_component ledger_declare(const struct ledger_declaration *declaration);
/* Declares a table that ends with {0}; `out` receives one index a row. */
void ledger_declare_all(const struct ledger_declaration *table, ledger_component *out);
/* The index of a name, or 0. */
ledger_component ledger_find(const char *name);
size_t ledger_component_count(void); /* components are 1..count */
const char *ledger_component_name(ledger_component component);
const char *ledger_component_label(ledger_component component);
ledger_component ledger_component_parent(ledger_component component); /* 0: a root */
/* Whether `component` is `ancestor` or lies below it. */
bool ledger_component_within(ledger_component component, ledger_component ancestor);
/* Whether a hand-over is allowed. */
bool ledger_allows(ledger_component from, ledger_component to);

/* What a class of requests adds up to. */
struct ledger;

struct request {
    uint64_t id;  /* counts from 1 within its ledger */
    uint64_t tag; /* the workload's own */
    struct ledger *ledger;
    sim_time born, since; /* when it began; since when the present owner has it */
    ledger_component owner;
    uint8_t kind; /* enum ledger_kind */
    bool live, measured;
    uint8_t touched_count;
    uint8_t touched[LEDGER_COMPONENTS_MAX];
    sim_time spent[LEDGER_COMPONENTS_MAX][LEDGER_KINDS];
    struct request *trunk; /* of a branch */
    /* Who sent it on and takes it back if it is dropped on the way: ledger_keep. */
    void (*dropped)(void *keeper, struct request *request);
    void *keeper;
    struct request *next, *previous; /* the ledger's list of the living, or its pool */
};

/* A ledger for one class of requests, such as "echo". The caller frees it. */
struct ledger *ledger_create(const char *name);
void ledger_free(struct ledger *ledger);
const char *ledger_name(const struct ledger *ledger);
/* Requests that begin while recording is on are measured (off at first: warm-up). */
void ledger_record(struct ledger *ledger, bool on);

/* Begins a request at `when`, owned by `owner`. The ledger owns it; it lives until
 * ledger_end or ledger_abandon. */
struct request *ledger_begin(struct ledger *ledger, ledger_component owner, enum ledger_kind kind, sim_time when);

/* `from`, the owner, hands over to `to` at `when` (not before the last hand-over).
 * A NULL request is nobody's: nothing happens, so that models need not ask. */
void ledger_hand_over_at(struct request *request, ledger_component from, ledger_component to, enum ledger_kind kind,
                         sim_time when);
/* The same at sim_now(). */
void ledger_hand_over(struct request *request, ledger_component from, ledger_component to, enum ledger_kind kind);
/* The owner stays; waiting becomes service or the reverse (a preemption, say). */
void ledger_turn_at(struct request *request, enum ledger_kind kind, sim_time when);

/* Ends a request that `owner` owns, and adds it up if it is measured. */
void ledger_end(struct request *request, ledger_component owner, sim_time when);
/* Ends a request that will not complete: dropped by its owner for `reason` (a
 * static string). Counted by (owner, reason); in no distribution. */
void ledger_abandon(struct request *request, const char *reason, sim_time when);

/* From now on the request's sender keeps it, as a reliable protocol does until what it
 * sent is acknowledged: ledger_abandon counts a drop, but the request lives on: it waits
 * in "retransmit" and dropped(keeper, request) is called. Whoever takes the request in
 * says so with keeper NULL. It ends with the request, too. */
void ledger_keep(struct request *request, void (*dropped)(void *keeper, struct request *request), void *keeper);
/* Ends it in any case: nobody will send it again. */
void ledger_give_up(struct request *request, const char *reason, sim_time when);
/* "retransmit": what was dropped, until its sender sends it again; next: cpu, client. */
ledger_component ledger_retransmit(void);

/* A request that waits for several others: a branch begins owned by who owns the
 * trunk, is handed on by itself, and the branch that finishes last continues the
 * trunk: what it spent since the fork becomes the trunk's, and it dies. Branches
 * that finish earlier are released. */
struct request *ledger_fork(struct request *trunk, sim_time when);
void ledger_join(struct request *trunk, struct request *last, sim_time when);
void ledger_release(struct request *branch, sim_time when);

/* ---- Results ---- */
struct ledger_drop {
    ledger_component owner;
    const char *reason;
    uint64_t count;
};
uint64_t ledger_completed(const struct ledger *ledger); /* measured ones */
uint64_t ledger_live(const struct ledger *ledger);      /* begun, not yet ended */
/* Distribution of end-to-end latency, in fs. */
const struct histogram *ledger_latency(const struct ledger *ledger);
/* Distribution over the measured requests of the time that `component` and all
 * below it had a request, of one kind or of both (LEDGER_KINDS), in fs; its count
 * equals ledger_completed. Owned by the ledger. */
const struct histogram *ledger_spent(struct ledger *ledger, ledger_component component, enum ledger_kind kind);
/* Exact sum over the measured requests, component alone (without those below). The
 * sums over all components and kinds add up to ledger_latency's, exactly. */
histogram_sum ledger_sum(const struct ledger *ledger, ledger_component component, enum ledger_kind kind);
size_t ledger_drops(const struct ledger *ledger, const struct ledger_drop **drops);

/* A named group of components, adds up per request (a paper's total over rows that
 * are not one subtree). Before recording; returns its index for the call below. */
size_t ledger_group_add(struct ledger *ledger, const ledger_component *components, size_t count);
const struct histogram *ledger_group_spent(struct ledger *ledger, size_t group);

/* Called with each measured request as it ends (traces, tests); NULL for none. */
void ledger_observe(struct ledger *ledger, void (*observer)(void *context, const struct request *request),
                    void *context);

/* Ends the run: checks every live request for an owner and every sum. Returns the
 * number of requests still in flight. */
uint64_t ledger_audit(struct ledger *ledger, sim_time when);

#endif
