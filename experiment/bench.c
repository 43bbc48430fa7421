/* bench.c: see bench.h. */
#include "experiment/bench.h"

#include <string.h>

#include "experiment/results.h"
#include "experiment/system_types.h"
#include "sim/error.h"
#include "sim/random.h"

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

/* Without a machine if there is none to build on: its errors are reported then, and
 * the parts that would stand on it are checked alone. */
static void build_machine(struct bench *bench, struct diagnostics *diagnostics) {
    const struct config_node *node = plan_machine(bench->point, diagnostics);
    if (node != NULL && machine_create(node, &bench->machine, diagnostics) && node->incomplete) {
        machine_free(bench->machine);
        bench->machine = NULL;
    }
}

void bench_build(struct bench *bench, const struct plan_point *point, struct diagnostics *diagnostics) {
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
}

bool bench_populate(struct bench *bench, struct diagnostics *diagnostics) {
    struct error error = {0};
    bench->interpreter = interpreter_create(bench->script, bench->system, "server", 0, &error);
    if (bench->interpreter == NULL) {
        diagnostics_at(diagnostics, config_get(config_root(bench->point->config), "workload"), "workload: %s",
                       error.text);
    }
    return bench->interpreter != NULL;
}

/* ---- running ---- */

static void finish(struct bench *bench) {
    bench->phase = BENCH_OVER;
    ledger_record(bench->ledger, false);
    sim_stop();
}

/* Calls are numbered in the order in which they begin; the first that is traced and
 * those behind it are, up to as many as were asked for. */
static void on_block(void *context, const struct block_trace_event *event) {
    struct bench *bench = context;
    if (bench->traced_until == 0 && event->call != 0) {
        bench->traced_until = event->call + bench->point->trace_calls;
    }
    if (bench->traced_until != 0 && event->call >= bench->traced_until) {
        bench->system->ops->trace_blocks(bench->system, NULL, NULL);
        return;
    }
    results_write_block(bench->out, bench->point, event, bench->measured_from);
}

static void begin_trace(struct bench *bench) {
    if (bench->system->ops->trace_blocks != NULL) {
        bench->system->ops->trace_blocks(bench->system, on_block, bench);
    } else {
        results_write_warning(bench->out, bench->point, "this system has no block operations to trace");
    }
}

static void begin_measuring(struct bench *bench) {
    bench->phase = BENCH_MEASURE;
    bench->completed = 0;
    machine_reset_stats(bench->machine);
    bench->system->ops->reset_stats(bench->system);
    interpreter_reset_stats(bench->interpreter);
    if (bench->reset_stats != NULL) {
        bench->reset_stats(bench);
    }
    ledger_record(bench->ledger, true);
    bench->measured_from = sim_now();
    if (bench->point->trace_calls > 0) {
        begin_trace(bench);
    }
    if (bench->point->run.duration > 0) {
        sim_schedule(&bench->over, bench->point->run.duration);
    }
}

static void maybe_warm(struct bench *bench) {
    if (bench->phase == BENCH_WARM_UP && bench->warm_by_time && bench->completed >= bench->point->run.warmup_requests) {
        begin_measuring(bench);
    }
}

void bench_completed(void *context) {
    struct bench *bench = context;
    bench->completed++;
    if (bench->phase == BENCH_MEASURE && bench->point->run.requests > 0 &&
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

void bench_fail(void *context) {
    struct bench *bench = context;
    bench->failed = true;
    sim_stop();
}

void bench_warm_up(struct bench *bench) {
    sim_schedule(&bench->warm, bench->point->run.warmup);
}

void bench_prepare(struct bench *bench, FILE *out) {
    bench->out = out;
    sim_event_init(&bench->warm, SIM_PRIORITY_OBSERVER, on_warm, bench);
    sim_event_init(&bench->over, SIM_PRIORITY_OBSERVER, on_over, bench);
    sim_event_init(&bench->limit, SIM_PRIORITY_OBSERVER, on_limit, bench);
    interpreter_on_failure(bench->interpreter, bench_fail, bench);
    sim_schedule_at(&bench->limit, bench->point->run.time_limit);
}

enum error_code bench_run(struct bench *bench, struct error *error) {
    sim_run(SIM_TIME_MAX);
    if (bench->failed) {
        (void)interpreter_failed(bench->interpreter, error);
        return error->code != OK ? error->code : ERR_IO;
    }
    if (bench->limit_reached || bench->phase != BENCH_OVER) {
        return error_set(error, ERR_RANGE,
                         "after %.3f ms of simulated time %llu of %llu requests were measured (run.time_limit)",
                         (double)sim_now() / 1e12, (unsigned long long)ledger_completed(bench->ledger),
                         (unsigned long long)bench->point->run.requests);
    }
    return OK;
}

/* ---- results ---- */

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

void bench_write_ledger(FILE *out, struct bench *bench) {
    bench->live = ledger_audit(bench->ledger, sim_now());
    results_write_breakdown(out, bench->point, bench->ledger, bench->rows_group, bench->has_rows);
    write_spans(out, bench);
    results_write_latency(out, bench->point, ledger_latency(bench->ledger));
}

void bench_visit_stats(const struct bench *bench, const struct stats_sink *sink) {
    machine_visit_stats(bench->machine, sink);
    bench->system->ops->visit_stats(bench->system, sink);
    interpreter_visit_stats(bench->interpreter, sink);
}

void bench_write_end(FILE *out, const struct bench *bench) {
    results_write_counter(out, bench->point, "ledger", "in flight at the end", bench->live);
    results_write_drops(out, bench->point, bench->ledger);
    struct results_sink sink = {out, bench->point, sim_now()};
    bench->system->ops->visit_costs(bench->system, results_visit_cost, &sink);
}
