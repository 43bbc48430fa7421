/* A point with an operating system and a workload, and nobody who asks: each round of
 * the script's loop is a request. */
#include "experiment/also.h"
#include "experiment/bench.h"
#include "experiment/point_kinds.h"
#include "experiment/results.h"
#include "sim/error.h"

struct storage_bench {
    struct bench base;
    struct also *also;
};

static bool build(struct storage_bench *own, const struct plan_point *point, struct diagnostics *diagnostics) {
    struct bench *bench = &own->base;
    bench_build(bench, point, diagnostics);
    const struct config_node *root = config_root(point->config);
    own->also = also_load(config_get(root, "also"), diagnostics);
    (void)also_check_offline(own->also, diagnostics);
    (void)also_check_shares(own->also, point->system_node, diagnostics);
    if (bench->script != NULL && script_server_port(bench->script) != 0) {
        diagnostics_at(diagnostics, config_get(root, "workload"),
                       "workload: the script opens a socket, and an experiment of kind storage has no network");
    }
    if (bench->machine == NULL || bench->system == NULL || bench->script == NULL || diagnostics->errors > 0) {
        return false;
    }
    if (!bench_populate(bench, diagnostics)) {
        return false;
    }
    const struct also_first first = {config_get(root, "workload"), bench->system, bench->script, bench->interpreter,
                                     NULL};
    return also_build(own->also, &first, NULL, diagnostics);
}

bool point_storage_check(const struct plan_point *point, struct diagnostics *diagnostics) {
    struct storage_bench own;
    return build(&own, point, diagnostics); /* the process ends with it */
}

static void on_ready(void *context) {
    bench_warm_up(context);
}

static void reset_stats(struct bench *bench) {
    also_reset_stats(((struct storage_bench *)bench)->also);
}

static void write_results(FILE *out, struct storage_bench *own) {
    struct bench *bench = &own->base;
    const double seconds = (double)(sim_now() - bench->measured_from) / 1e15;
    const double per_s = (double)ledger_completed(bench->ledger) / seconds;
    bench_write_ledger(out, bench);
    results_write_throughput(out, bench->point, per_s, per_s, 0,
                             (double)interpreter_count(bench->interpreter, WORKLOAD_FILE_BYTES) / seconds);
    struct results_sink sink = {out, bench->point, sim_now()};
    const struct stats_sink stats_sink = results_stats_sink(&sink);
    bench_visit_stats(bench, &stats_sink);
    also_visit_stats(own->also, &stats_sink);
    bench_write_end(out, bench);
}

enum error_code point_storage_run(const struct plan_point *point, FILE *out, uint64_t *requests, struct error *error) {
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct storage_bench own;
    if (!build(&own, point, &diagnostics)) {
        diagnostics_print(&diagnostics, stderr);
        return error_set(error, ERR_CONFIG, "the point cannot be built");
    }
    struct bench *bench = &own.base;
    bench->reset_stats = reset_stats;
    bench_prepare(bench, out);
    interpreter_loops_are_requests(bench->interpreter, bench->ledger, bench_completed, bench);
    interpreter_on_ready(bench->interpreter, on_ready, bench);
    also_prepare(own.also, bench_fail, bench);
    const enum error_code code = bench_run(bench, error);
    if (bench->failed && error->code == OK && also_failed(own.also, error)) {
        return error->code;
    }
    if (code == OK) {
        write_results(out, &own);
        *requests = ledger_completed(bench->ledger);
    }
    return code; /* the process ends with the bench */
}
