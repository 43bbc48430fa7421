/* operations.h: an operating system as a set of operations (a null system call, an
 * exception, a control transfer, a page protected), each of which can be repeated and
 * measured. This is the one interface by which experiments of kind `kernel` see
 * kernels, whichever they are.
 *
 * A repetition is one request of the meter's ledger: "app" owns it when it begins and
 * when it ends, and whatever worked for it in between is in the ledger. It may consist
 * of several operations, one after the other, and includes the loop that repeats them. */
#ifndef STILLSUIT_KERNEL_MODEL_COMMON_OPERATIONS_H
#define STILLSUIT_KERNEL_MODEL_COMMON_OPERATIONS_H

#include "hw/machine.h"
#include "sim/config.h"
#include "sim/ledger.h"

enum { OPERATIONS_SEQUENCE_MAX = 16 };

struct operations;
typedef enum error_code operation_prepare(struct operations *system, struct error *error);
typedef void operation_run(struct operations *system);

struct operation {
    const char *name; /* in YAML: "getpid" */
    const char *help;
    /* [thread] Once, before the first repetition: pages, partners. May be NULL. */
    operation_prepare *prepare;
    /* [thread] Once, for the repetition that is under way. */
    operation_run *run;
};

/* What is to be repeated. */
struct operations_plan {
    const struct operation *sequence[OPERATIONS_SEQUENCE_MAX]; /* in this order */
    size_t count;
    uint64_t pages;       /* for operations on a number of pages */
    uint64_t tickets;     /* for operations under a proportional-share scheduler */
    uint64_t round_trips; /* for operations over a wire */
    bool answers;         /* this is the far end: it repeats nothing, and answers what comes */
    uint64_t others;      /* programs that compute beside the one that answers */
    sim_time fault_after; /* for operations beside a fault: from the start of the run */
    sim_time reboot;      /* ... of the machine, until programs run again */
};

/* Counts repetitions; the experiment's. */
struct operations_meter {
    struct ledger *ledger;
    /* Called as each repetition ends. */
    void (*completed)(void *context);
    /* The thread cannot go on. */
    void (*failed)(void *context, const struct error *error);
    void *context;
};

struct operations_ops {
    const char *type_name; /* in YAML: "aegis" */
    const char *help;
    const struct param *profile_params; /* of `profile:`; ends with {0} */
    const struct param *params;         /* of the system's own entry, beside type and profile */
    const struct operation *operations; /* ends with {0} */
    operation_run *over_wire;           /* the one of them that needs a far end; NULL: none does */
    const char *adapter;                /* ... over a device of that type */
    void (*declare_components)(void);
    /* Builds on a machine (NULL: only checks the configuration, and returns NULL). The
     * caller frees with `destroy`. */
    struct operations *(*create)(struct machine *machine, const struct config_node *node,
                                 struct diagnostics *diagnostics);
    void (*destroy)(struct operations *system);
    /* Makes the thread that repeats a plan of its operations from the start of the run on,
     * without end. */
    enum error_code (*begin)(struct operations *system, const struct operations_plan *plan,
                             const struct operations_meter *meter, struct error *error);
    void (*visit_stats)(const struct operations *system, const struct stats_sink *sink);
    void (*reset_stats)(struct operations *system);
    void (*visit_costs)(const struct operations *system,
                        void (*visit)(void *context, const char *key, const struct cost *cost), void *context);
};

/* What every such system's own struct begins with. */
struct operations {
    const struct operations_ops *ops;
    struct machine *machine;
};

/* [thread] Prepares each operation of a plan, in order, until one cannot be. */
enum error_code operations_prepare(struct operations *system, const struct operations_plan *plan, struct error *error);

/* The program that is measured, as its system has it. */
struct operations_loop {
    struct operations *system;
    struct context *context;
    /* The program itself works from here on, as "app", for that request (NULL: nobody's). */
    void (*work)(struct operations *system, struct request *request);
    /* Executes the loop's own instructions. */
    operation_run *step;
};
/* [thread] Repeats a plan without end: each repetition is a request, which the meter
 * counts. */
void operations_repeat(const struct operations_loop *loop, const struct operations_plan *plan,
                       const struct operations_meter *meter);

/* The operation of that name; NULL with `nearest` (may be NULL, too) if there is none. */
const struct operation *operation_find(const struct operations_ops *ops, const char *name, const char **nearest);

#endif
