/* A point with an operating system, a workload and clients on a network. */
#include "experiment/point_kinds.h"

#include <string.h>

#include "experiment/also.h"
#include "experiment/network.h"
#include "experiment/results.h"
#include "experiment/system_types.h"
#include "hw/machine.h"
#include "sim/engine.h"
#include "sim/error.h"
#include "sim/random.h"
#include "workloads/client.h"
#include "workloads/interpreter.h"

enum phase { PHASE_WARM_UP, PHASE_MEASURE, PHASE_OVER };

struct bench {
    const struct plan_point *point;
    struct machine *machine;
    struct system *system;
    struct script *script;
    struct ledger *ledger;
    struct client *client;
    struct network *network;
    struct interpreter *interpreter;
    struct also *also;
    size_t rows_group;
    bool has_rows, span_rows;
    enum phase phase;
    bool warm_by_time;
    uint64_t completed;
    struct sim_event warm, over, limit;
    bool limit_reached, failed;
};

/* Rows that the script measures by name (spans.h) are no components. All are, or none. */
static bool rows_are_spans(struct bench *bench) {
    const struct experiment *experiment = bench->point->experiment;
    size_t spans = 0;
    for (size_t i = 0; bench->script != NULL && i < experiment->row_count; i++) {
        const char *span;
        for (size_t s = 0; (span = script_span(bench->script, s)) != NULL; s++) {
            spans += strcmp(span, experiment->rows[i]) == 0;
        }
    }
    return spans > 0 && spans == experiment->row_count;
}

static bool add_rows(struct bench *bench, struct diagnostics *diagnostics) {
    const struct experiment *experiment = bench->point->experiment;
    bench->span_rows = rows_are_spans(bench);
    if (bench->span_rows) {
        return true;
    }
    ledger_component rows[PLAN_ROWS_MAX];
    bool good = true;
    const struct config_node *list = config_path(config_root(bench->point->config), "report.rows");
    for (size_t i = 0; i < experiment->row_count; i++) {
        rows[i] = ledger_find(experiment->rows[i]);
        if (rows[i] == 0) {
            const char *names[LEDGER_COMPONENTS_MAX + 1] = {NULL};
            for (ledger_component c = 1; c <= ledger_component_count(); c++) {
                names[c - 1] = ledger_component_name(c);
            }
            const char *nearest = config_nearest(experiment->rows[i], names);
            diagnostics_at(diagnostics, list->children[i], "report.rows: there is no component '%s'%s%s%s",
                           experiment->rows[i], nearest != NULL ? "; did you mean '" : "",
                           nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
            good = false;
        }
    }
    bench->has_rows = good && experiment->row_count > 0;
    if (bench->has_rows) {
        bench->rows_group = ledger_group_add(bench->ledger, rows, experiment->row_count);
    }
    return good;
}

static const struct system_ops *find_type(const struct plan_point *point, struct diagnostics *diagnostics) {
    if (point->system_node->kind != CONFIG_MAPPING) {
        return NULL; /* reported where the systems are read */
    }
    const struct config_node *type = config_get(point->system_node, "type");
    const char *name = config_text(type, NULL);
    if (name == NULL) {
        diagnostics_at(diagnostics, point->system_node, "systems.%s: 'type' is missing",
                       point->experiment->systems[point->system].name);
        return NULL;
    }
    const struct system_ops *ops = system_type_find(name);
    if (ops == NULL) {
        const char *nearest = system_type_nearest(name);
        diagnostics_at(diagnostics, type, "systems.%s.type: there is no system '%s'%s%s%s",
                       point->experiment->systems[point->system].name, name, nearest != NULL ? "; did you mean '" : "",
                       nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
    }
    return ops;
}

static void build_clients(struct bench *bench, struct diagnostics *diagnostics) {
    const struct config_node *root = config_root(bench->point->config);
    struct error error = {0};
    const struct client_setup setup = {.name = "client",
                                       .config = script_client(bench->script),
                                       .ledger = bench->ledger,
                                       .server = bench->system->ops->address(bench->system),
                                       .server_port = script_server_port(bench->script),
                                       .server_ports = script_server_ports(bench->script),
                                       .first_host = 0};
    bench->client = client_create(&setup, &error);
    if (bench->client == NULL) {
        diagnostics_at(diagnostics, config_get(root, "workload"), "workload.client: %s", error.text);
    }
}

/* Without a machine if there is none to build on: its errors are reported then, and
 * the parts that would stand on it are checked alone. */
static void build_machine(struct bench *bench, struct diagnostics *diagnostics) {
    const struct config_node *root = config_root(bench->point->config);
    const struct config_node *node = config_get(root, "machine");
    if (node == NULL) {
        diagnostics_at(diagnostics, root, "'machine' is missing");
    } else if (machine_create(node, &bench->machine, diagnostics) && node->incomplete) {
        machine_free(bench->machine);
        bench->machine = NULL;
    }
}

static bool build(struct bench *bench, const struct plan_point *point, struct diagnostics *diagnostics) {
    memset(bench, 0, sizeof *bench);
    bench->point = point;
    random_seed(point->seed);
    system_types_declare_components();
    const struct config_node *root = config_root(point->config);
    bench->ledger = ledger_create("requests");
    const struct config_node *workload = config_get(root, "workload");
    build_machine(bench, diagnostics);
    if (workload != NULL) {
        bench->script = script_load_workload(workload, diagnostics);
    } else {
        diagnostics_at(diagnostics, root, "'workload' is missing");
    }
    (void)add_rows(bench, diagnostics);
    const struct system_ops *ops = find_type(point, diagnostics);
    if (ops != NULL) {
        bench->system = ops->create(bench->machine, point->system_node, diagnostics);
    }
    if (bench->system != NULL && bench->script != NULL) {
        build_clients(bench, diagnostics);
    }
    bench->also = also_load(config_get(root, "also"), diagnostics);
    bench->network = network_create(root, bench->machine, bench->client, also_hosts(bench->also), diagnostics);
    if (bench->network == NULL || diagnostics->errors > 0) {
        return false;
    }
    struct error error = {0};
    bench->interpreter = interpreter_create(bench->script, bench->system, "server", 0, &error);
    if (bench->interpreter == NULL) {
        diagnostics_at(diagnostics, workload, "workload: %s", error.text);
        return false;
    }
    const struct also_first first = {workload, bench->system, bench->script, bench->interpreter, bench->client};
    return also_build(bench->also, &first, bench->network, diagnostics);
}

bool point_network_check(const struct plan_point *point, struct diagnostics *diagnostics) {
    struct bench bench;
    return build(&bench, point, diagnostics); /* the process ends with it */
}

static void finish(struct bench *bench) {
    bench->phase = PHASE_OVER;
    ledger_record(bench->ledger, false);
    sim_stop();
}

static void begin_measuring(struct bench *bench) {
    bench->phase = PHASE_MEASURE;
    bench->completed = 0;
    machine_reset_stats(bench->machine);
    bench->system->ops->reset_stats(bench->system);
    interpreter_reset_stats(bench->interpreter);
    also_reset_stats(bench->also);
    network_reset_stats(bench->network);
    client_begin_measure(bench->client);
    ledger_record(bench->ledger, true);
    if (bench->point->run.duration > 0) {
        sim_schedule(&bench->over, bench->point->run.duration);
    }
}

static void maybe_warm(struct bench *bench) {
    if (bench->phase == PHASE_WARM_UP && bench->warm_by_time && bench->completed >= bench->point->run.warmup_requests) {
        begin_measuring(bench);
    }
}

static void on_completed(void *context, uint64_t count) {
    struct bench *bench = context;
    (void)count;
    bench->completed++;
    if (bench->phase == PHASE_MEASURE && bench->point->run.requests > 0 &&
        ledger_completed(bench->ledger) >= bench->point->run.requests) {
        finish(bench);
    } else {
        maybe_warm(bench);
    }
}

static void on_warm(void *context) {
    struct bench *bench = context;
    bench->warm_by_time = true;
    maybe_warm(bench);
}

static void on_over(void *context) {
    finish(context);
}

static void on_limit(void *context) {
    struct bench *bench = context;
    bench->limit_reached = true;
    sim_stop();
}

static void on_failure(void *context) {
    struct bench *bench = context;
    bench->failed = true;
    sim_stop();
}

static void on_connected(void *context) {
    struct bench *bench = context;
    client_start(bench->client, sim_now());
    sim_schedule(&bench->warm, bench->point->run.warmup);
}

static void on_ready(void *context) {
    struct bench *bench = context;
    client_connect(bench->client, on_connected, bench);
}

static enum error_code simulate(struct bench *bench, struct error *error) {
    sim_event_init(&bench->warm, SIM_PRIORITY_OBSERVER, on_warm, bench);
    sim_event_init(&bench->over, SIM_PRIORITY_OBSERVER, on_over, bench);
    sim_event_init(&bench->limit, SIM_PRIORITY_OBSERVER, on_limit, bench);
    interpreter_on_ready(bench->interpreter, on_ready, bench);
    interpreter_on_failure(bench->interpreter, on_failure, bench);
    also_prepare(bench->also, on_failure, bench);
    client_on_completed(bench->client, on_completed, bench);
    sim_schedule_at(&bench->limit, bench->point->run.time_limit);
    sim_run(SIM_TIME_MAX);
    if (bench->failed) {
        if (!interpreter_failed(bench->interpreter, error)) {
            (void)also_failed(bench->also, error);
        }
        return error->code != OK ? error->code : ERR_IO;
    }
    if (bench->limit_reached || bench->phase != PHASE_OVER) {
        return error_set(error, ERR_RANGE,
                         "after %.3f ms of simulated time %llu of %llu requests were measured (run.time_limit)",
                         (double)sim_now() / 1e12, (unsigned long long)ledger_completed(bench->ledger),
                         (unsigned long long)bench->point->run.requests);
    }
    return OK;
}

struct unused_visit {
    FILE *out;
    const struct plan_point *point;
};

static void visit_cost(void *context, const char *key, const struct cost *cost) {
    const struct unused_visit *visit = context;
    if (cost->uses == 0) {
        results_write_unused(visit->out, visit->point, key);
    }
}

static void write_drops(FILE *out, const struct bench *bench) {
    const struct ledger_drop *drops;
    const size_t count = ledger_drops(bench->ledger, &drops);
    for (size_t i = 0; i < count; i++) {
        char name[160];
        (void)snprintf(name, sizeof name, "drops in %s: %s", ledger_component_name(drops[i].owner), drops[i].reason);
        results_write_counter(out, bench->point, "ledger", name, drops[i].count);
    }
}

static void write_spans(FILE *out, const struct bench *bench) {
    const char *names[SPANS_MAX];
    struct spans spans;
    interpreter_spans(bench->interpreter, &spans);
    for (size_t i = 0; i < spans.count; i++) {
        names[i] = script_span(bench->script, i);
    }
    results_write_spans(out, bench->point, &spans, names, histogram_mean(ledger_latency(bench->ledger)) / 1e6,
                        bench->span_rows);
    spans_free(&spans);
}

static void write_results(FILE *out, struct bench *bench) {
    const struct plan_point *point = bench->point;
    const struct client_stats stats = client_stats(bench->client);
    const double seconds = (double)stats.elapsed / 1e15;
    const uint64_t live = ledger_audit(bench->ledger, sim_now());
    results_write_breakdown(out, point, bench->ledger, bench->rows_group, bench->has_rows);
    write_spans(out, bench);
    results_write_latency(out, point, ledger_latency(bench->ledger));
    results_write_throughput(out, point, (double)stats.offered / seconds, (double)stats.completed / seconds,
                             (double)stats.dropped / seconds, (double)stats.payload_bytes / seconds);
    struct results_sink sink = {out, point, sim_now()};
    const struct stats_sink stats_sink = results_stats_sink(&sink);
    machine_visit_stats(bench->machine, &stats_sink);
    bench->system->ops->visit_stats(bench->system, &stats_sink);
    interpreter_visit_stats(bench->interpreter, &stats_sink);
    client_visit_stats(bench->client, &stats_sink);
    also_visit_stats(bench->also, &stats_sink);
    network_visit_stats(bench->network, &stats_sink);
    results_write_counter(out, point, "ledger", "in flight at the end", live);
    write_drops(out, bench);
    struct unused_visit visit = {out, point};
    bench->system->ops->visit_costs(bench->system, visit_cost, &visit);
}

enum error_code point_network_run(const struct plan_point *point, FILE *out, uint64_t *requests, struct error *error) {
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct bench bench;
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
