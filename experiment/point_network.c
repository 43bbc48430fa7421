/* A point with an operating system, a workload and clients on a network. */
#include "experiment/also.h"
#include "experiment/bench.h"
#include "experiment/network.h"
#include "experiment/point_kinds.h"
#include "experiment/results.h"
#include "sim/error.h"
#include "workloads/client.h"

struct network_bench {
    struct bench base;
    struct client *client;
    struct network *network;
    struct also *also;
};

static void build_clients(struct network_bench *own, struct diagnostics *diagnostics) {
    const struct config_node *root = config_root(own->base.point->config);
    struct error error = {0};
    const struct client_setup setup = {.name = "client",
                                       .config = script_client(own->base.script),
                                       .ledger = own->base.ledger,
                                       .server = own->base.system->ops->address(own->base.system),
                                       .server_port = script_server_port(own->base.script),
                                       .server_ports = script_server_ports(own->base.script),
                                       .first_host = 0};
    own->client = client_create(&setup, &error);
    if (own->client == NULL) {
        diagnostics_at(diagnostics, config_get(root, "workload"), "workload.client: %s", error.text);
    }
}

static bool build(struct network_bench *own, const struct plan_point *point, struct diagnostics *diagnostics) {
    struct bench *bench = &own->base;
    *own = (struct network_bench){0};
    bench_build(bench, point, diagnostics);
    const struct config_node *root = config_root(point->config);
    const struct config_node *workload = config_get(root, "workload");
    if (bench->system != NULL && bench->script != NULL) {
        build_clients(own, diagnostics);
    }
    own->also = also_load(config_get(root, "also"), diagnostics);
    own->network = network_create(root, bench->machine, own->client, also_hosts(own->also), diagnostics);
    (void)also_check_shares(own->also, point->system_node, diagnostics);
    if (own->network == NULL || diagnostics->errors > 0 || !bench_populate(bench, diagnostics)) {
        return false;
    }
    const struct also_first first = {workload, bench->system, bench->script, bench->interpreter, own->client};
    return also_build(own->also, &first, own->network, diagnostics);
}

bool point_network_check(const struct plan_point *point, struct diagnostics *diagnostics) {
    struct network_bench own;
    return build(&own, point, diagnostics); /* the process ends with it */
}

static void reset_stats(struct bench *bench) {
    struct network_bench *own = (struct network_bench *)bench;
    also_reset_stats(own->also);
    network_reset_stats(own->network);
    client_begin_measure(own->client);
}

static void on_completed(void *context, uint64_t count) {
    (void)count;
    bench_completed(context);
}

static void on_connected(void *context) {
    struct network_bench *own = context;
    client_start(own->client, sim_now());
    bench_warm_up(&own->base);
}

static void on_ready(void *context) {
    struct network_bench *own = context;
    client_connect(own->client, on_connected, own);
}

static enum error_code simulate(struct network_bench *own, FILE *out, struct error *error) {
    struct bench *bench = &own->base;
    bench->reset_stats = reset_stats;
    bench_prepare(bench, out);
    interpreter_on_ready(bench->interpreter, on_ready, own);
    also_prepare(own->also, bench_fail, bench);
    client_on_completed(own->client, on_completed, bench);
    const enum error_code code = bench_run(bench, error);
    if (bench->failed && error->code == OK && also_failed(own->also, error)) {
        return error->code;
    }
    return code;
}

static void write_results(FILE *out, struct network_bench *own) {
    struct bench *bench = &own->base;
    const struct client_stats stats = client_stats(own->client);
    const double seconds = (double)stats.elapsed / 1e15;
    bench_write_ledger(out, bench);
    results_write_throughput(out, bench->point, (double)stats.offered / seconds, (double)stats.completed / seconds,
                             (double)stats.dropped / seconds, (double)stats.payload_bytes / seconds);
    struct results_sink sink = {out, bench->point, sim_now()};
    const struct stats_sink stats_sink = results_stats_sink(&sink);
    bench_visit_stats(bench, &stats_sink);
    client_visit_stats(own->client, &stats_sink);
    also_visit_stats(own->also, &stats_sink);
    network_visit_stats(own->network, &stats_sink);
    bench_write_end(out, bench);
}

enum error_code point_network_run(const struct plan_point *point, FILE *out, uint64_t *requests, struct error *error) {
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct network_bench own;
    if (!build(&own, point, &diagnostics)) {
        diagnostics_print(&diagnostics, stderr);
        return error_set(error, ERR_CONFIG, "the point cannot be built");
    }
    const enum error_code code = simulate(&own, out, error);
    if (code == OK) {
        write_results(out, &own);
        *requests = ledger_completed(own.base.ledger);
    }
    return code; /* the process ends with the bench */
}
