/* A point with a kernel and a program that repeats operations: a null system call, an
 * exception, a control transfer. No clients; operations over a wire have a second machine
 * with the same system at its far end. */
#include <string.h>

#include "experiment/operation_types.h"
#include "experiment/point_kinds.h"
#include "experiment/results.h"
#include "hw/machine.h"
#include "hw/wire.h"
#include "sim/engine.h"
#include "sim/random.h"

struct kernel_settings {
    const struct config_node *operation;
    uint64_t pages, tickets, round_trips, others;
    const struct config_node *wire;
    sim_time fault_after, reboot;
};
const struct param point_kernel_params[] = {
    {"operation", PARAM_NODE, offsetof(struct kernel_settings, operation), "", NULL, NULL, NULL,
     "What a repetition does: the name of an operation of the systems, or a list of names, done in order"},
    {"pages", PARAM_INTEGER, offsetof(struct kernel_settings, pages), "100", "1", "100000", NULL,
     "For operations on a number of pages: how many"},
    {"tickets", PARAM_INTEGER, offsetof(struct kernel_settings, tickets), "1", "1", "3", NULL,
     "For operations under a proportional-share scheduler: the measured program's share, of 3 + 2 + 1"},
    {"wire", PARAM_NODE, offsetof(struct kernel_settings, wire), "", NULL, NULL, NULL,
     "For operations over a wire: the link to a second machine with the same system (rate, propagation)"},
    {"round_trips", PARAM_INTEGER, offsetof(struct kernel_settings, round_trips), "1", "1", "100000", NULL,
     "For operations over a wire: there and back so often in a repetition"},
    {"others", PARAM_INTEGER, offsetof(struct kernel_settings, others), "0", "0", "15", NULL,
     "For operations over a wire: programs that compute at the far end, beside the one that answers"},
    {"fault_after", PARAM_TIME, offsetof(struct kernel_settings, fault_after), "5 s", "0 us", "10000 s", NULL,
     "For operations beside a fault: when it strikes"},
    {"reboot", PARAM_TIME, offsetof(struct kernel_settings, reboot), "60 s", "1 us", "10000 s", NULL,
     "For operations beside a fault: from a machine's stop until programs run again (assumed, 30 s to 300 s)"},
    {0},
};

struct kernel_bench {
    const struct plan_point *point;
    struct machine *machine, *far_machine;
    struct operations *system, *far_system; /* far: at the other end of the wire, or NULL */
    struct link *wire;
    struct ledger *ledger;
    const struct config_node *wire_node;
    struct operations_plan plan;
    bool measuring, limit_reached, failed;
    uint64_t completed;
    struct error failure;
    struct sim_event limit, over;
    sim_time since; /* measuring began */
};

/* ---- building ---- */

static const struct operations_ops *find_type(const struct plan_point *point, struct diagnostics *diagnostics) {
    const char *system = point->experiment->systems[point->system].name;
    const struct config_node *type = config_get(point->system_node, "type");
    const char *name = config_text(type, NULL);
    if (name == NULL) {
        diagnostics_at(diagnostics, point->system_node, "systems.%s: 'type' is missing", system);
        return NULL;
    }
    const struct operations_ops *ops = operation_type_find(name);
    if (ops == NULL) {
        const char *nearest = operation_type_nearest(name);
        diagnostics_at(diagnostics, type, "systems.%s.type: there is no system '%s' of kind kernel%s%s%s", system, name,
                       nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
                       nearest != NULL ? "'?" : "");
    }
    return ops;
}

static void add_operation(struct kernel_bench *bench, const struct operations_ops *ops, const struct config_node *node,
                          struct diagnostics *diagnostics) {
    const char *nearest = NULL;
    const char *name = config_text(node, "");
    const struct operation *operation = operation_find(ops, name, &nearest);
    if (operation == NULL) {
        diagnostics_at(diagnostics, node, "kernel.operation: %s has no operation '%s'%s%s%s", ops->type_name, name,
                       nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
                       nearest != NULL ? "'?" : "");
    } else if (bench->plan.count == OPERATIONS_SEQUENCE_MAX) {
        diagnostics_at(diagnostics, node, "kernel.operation: more than %d operations", (int)OPERATIONS_SEQUENCE_MAX);
    } else {
        bench->plan.sequence[bench->plan.count++] = operation;
    }
}

static void read_operations(struct kernel_bench *bench, const struct operations_ops *ops,
                            struct diagnostics *diagnostics) {
    const struct config_node *root = config_root(bench->point->config);
    const struct config_node *kernel = config_get(root, "kernel");
    struct kernel_settings settings = {0};
    if (!config_bind(kernel, point_kernel_params, &settings, diagnostics)) {
        return;
    }
    const struct config_node *node = settings.operation;
    bench->plan.pages = settings.pages;
    bench->plan.tickets = settings.tickets;
    bench->plan.round_trips = settings.round_trips;
    bench->plan.others = settings.others;
    bench->plan.fault_after = settings.fault_after;
    bench->plan.reboot = settings.reboot;
    bench->wire_node = settings.wire;
    if (node == NULL) {
        diagnostics_at(diagnostics, kernel != NULL ? kernel : root,
                       "kernel.operation is missing: what a repetition does");
    } else if (node->kind == CONFIG_SEQUENCE) {
        for (size_t i = 0; i < node->count; i++) {
            add_operation(bench, ops, node->children[i], diagnostics);
        }
    } else {
        add_operation(bench, ops, node, diagnostics);
    }
}

/* ---- the far end ---- */

static struct port *adapter(const struct machine *machine, const char *type) {
    struct port *port = NULL;
    for (unsigned i = 0; i < machine->device_count && port == NULL; i++) {
        struct device *device = machine->devices[i];
        port = strcmp(device->ops->type_name, type) == 0 ? device->ops->network_port(device, 0) : NULL;
    }
    return port;
}

static bool needs_wire(const struct kernel_bench *bench, const struct operations_ops *ops) {
    bool needs = false;
    for (size_t i = 0; i < bench->plan.count; i++) {
        needs = needs || bench->plan.sequence[i]->run == ops->over_wire;
    }
    return needs;
}

/* A second machine with the same system, and the wire. */
static void build_far_end(struct kernel_bench *bench, const struct operations_ops *ops,
                          struct diagnostics *diagnostics) {
    const struct config_node *root = config_root(bench->point->config);
    struct link_config link = {0};
    if (bench->wire_node == NULL) {
        diagnostics_at(diagnostics, config_get(root, "kernel"),
                       "kernel.wire is missing: what is to be repeated needs the link to a second machine");
        return;
    }
    if (!config_bind(bench->wire_node, link_params, &link, diagnostics) ||
        !machine_create(config_get(root, "machine"), &bench->far_machine, diagnostics)) {
        return;
    }
    struct port *near = adapter(bench->machine, ops->adapter), *far = adapter(bench->far_machine, ops->adapter);
    if (near == NULL) {
        diagnostics_at(diagnostics, bench->wire_node,
                       "kernel.wire: what is to be repeated needs a machine with a device of type %s", ops->adapter);
        return;
    }
    bench->wire = link_create("wire", &link);
    link_connect(bench->wire, near, far);
    bench->far_system = ops->create(bench->far_machine, bench->point->system_node, diagnostics);
}

static void build_network(struct kernel_bench *bench, const struct operations_ops *ops,
                          struct diagnostics *diagnostics) {
    const bool needed = needs_wire(bench, ops);
    if (!needed && bench->plan.count > 0 && bench->wire_node != NULL) {
        diagnostics_at(diagnostics, bench->wire_node, "kernel.wire: has no effect: nothing that is repeated uses it");
    } else if (needed && bench->machine != NULL && bench->system != NULL) {
        build_far_end(bench, ops, diagnostics);
    }
}

static bool build(struct kernel_bench *bench, const struct plan_point *point, struct diagnostics *diagnostics) {
    memset(bench, 0, sizeof *bench);
    bench->point = point;
    random_seed(point->seed);
    operation_types_declare_components();
    wire_declare_components();
    bench->ledger = ledger_create("operations");
    const size_t errors = diagnostics->errors;
    const struct config_node *root = config_root(point->config);
    const struct config_node *machine = plan_machine(point, diagnostics);
    if (machine != NULL) {
        (void)machine_create(machine, &bench->machine, diagnostics);
    }
    if (point->run.requests == 0 && point->run.duration == 0) {
        const struct config_node *run = config_get(root, "run");
        diagnostics_at(diagnostics, run != NULL ? run : root,
                       "run: an experiment of kind kernel needs 'requests', repetitions, or 'duration'");
    }
    const struct operations_ops *ops = find_type(point, diagnostics);
    if (ops != NULL) {
        read_operations(bench, ops, diagnostics);
        bench->system = ops->create(bench->machine, point->system_node, diagnostics);
        build_network(bench, ops, diagnostics);
    }
    return diagnostics->errors == errors && bench->system != NULL;
}

bool point_kernel_check(const struct plan_point *point, struct diagnostics *diagnostics) {
    struct kernel_bench bench;
    return build(&bench, point, diagnostics); /* the process ends with it */
}

/* ---- running ---- */

static void on_over(void *context) {
    (void)context;
    sim_stop();
}

static void measure(struct kernel_bench *bench) {
    bench->measuring = true;
    bench->since = sim_now();
    ledger_record(bench->ledger, true);
    if (bench->point->run.duration > 0) {
        sim_event_init(&bench->over, SIM_PRIORITY_OBSERVER, on_over, bench);
        sim_schedule(&bench->over, bench->point->run.duration);
    }
}

static void on_completed(void *context) {
    struct kernel_bench *bench = context;
    bench->completed++;
    if (!bench->measuring && bench->completed >= bench->point->run.warmup_requests) {
        machine_reset_stats(bench->machine);
        if (bench->wire != NULL) {
            link_reset_stats(bench->wire);
        }
        bench->system->ops->reset_stats(bench->system);
        measure(bench);
    } else if (bench->measuring && bench->point->run.requests > 0 &&
               ledger_completed(bench->ledger) >= bench->point->run.requests) {
        sim_stop();
    }
}

static void on_failed(void *context, const struct error *error) {
    struct kernel_bench *bench = context;
    bench->failed = true;
    bench->failure = *error;
    sim_stop();
}

static void on_limit(void *context) {
    struct kernel_bench *bench = context;
    bench->limit_reached = true;
    sim_stop();
}

static enum error_code begin(struct kernel_bench *bench, struct error *error) {
    const struct operations_meter meter = {bench->ledger, on_completed, on_failed, bench};
    enum error_code code = bench->system->ops->begin(bench->system, &bench->plan, &meter, error);
    if (code == OK && bench->far_system != NULL) {
        struct operations_plan answering = bench->plan;
        answering.answers = true;
        code = bench->far_system->ops->begin(bench->far_system, &answering, &meter, error);
    }
    return code;
}

static enum error_code simulate(struct kernel_bench *bench, struct error *error) {
    const enum error_code code = begin(bench, error);
    if (code != OK) {
        return code;
    }
    if (bench->point->run.warmup_requests == 0) {
        measure(bench);
    }
    sim_event_init(&bench->limit, SIM_PRIORITY_OBSERVER, on_limit, bench);
    sim_schedule_at(&bench->limit, bench->point->run.time_limit);
    sim_run(SIM_TIME_MAX);
    if (bench->failed) {
        *error = bench->failure;
        return error->code != OK ? error->code : ERR_IO;
    }
    if (bench->limit_reached) {
        return error_set(error, ERR_RANGE,
                         "after %.3f ms of simulated time %llu of %llu repetitions were measured "
                         "(run.time_limit)",
                         (double)sim_now() / 1e12, (unsigned long long)ledger_completed(bench->ledger),
                         (unsigned long long)bench->point->run.requests);
    }
    return OK;
}

/* ---- results ---- */

/* Back to back; in a given time, what was completed and what was lost in it. */
static void write_throughput(FILE *out, const struct kernel_bench *bench) {
    const struct ledger_drop *drops = NULL;
    const size_t count = ledger_drops(bench->ledger, &drops);
    double completed_per_s = 1 / (histogram_mean(ledger_latency(bench->ledger)) / 1e15), dropped_per_s = 0;
    if (bench->point->run.duration > 0) {
        const double time_s = (double)(sim_now() - bench->since) / 1e15;
        completed_per_s = (double)ledger_completed(bench->ledger) / time_s;
        for (size_t i = 0; i < count; i++) {
            dropped_per_s += (double)drops[i].count / time_s;
        }
    }
    results_write_throughput(out, bench->point, completed_per_s + dropped_per_s, completed_per_s, dropped_per_s, 0);
}

static void write_results(FILE *out, struct kernel_bench *bench) {
    const struct plan_point *point = bench->point;
    const struct histogram *latency = ledger_latency(bench->ledger);
    (void)ledger_audit(bench->ledger, sim_now());
    results_write_breakdown(out, point, bench->ledger, 0, false);
    results_write_latency(out, point, latency);
    write_throughput(out, bench);
    struct results_sink sink = {out, point, sim_now()};
    const struct stats_sink stats_sink = results_stats_sink(&sink);
    machine_visit_stats(bench->machine, &stats_sink);
    if (bench->wire != NULL) {
        link_visit_stats(bench->wire, &stats_sink);
    }
    bench->system->ops->visit_stats(bench->system, &stats_sink);
    results_write_drops(out, point, bench->ledger);
    bench->system->ops->visit_costs(bench->system, results_visit_cost, &sink);
}

enum error_code point_kernel_run(const struct plan_point *point, FILE *out, uint64_t *requests, struct error *error) {
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct kernel_bench bench;
    if (!build(&bench, point, &diagnostics)) {
        diagnostics_print(&diagnostics, stderr);
        return error_set(error, ERR_CONFIG, "the point cannot be built");
    }
    const enum error_code code = simulate(&bench, error);
    if (code == OK) {
        write_results(out, &bench);
        *requests = ledger_completed(bench.ledger);
    }
    return code; /* the process ends with the bench */
}
