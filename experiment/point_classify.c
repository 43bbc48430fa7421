/* A point of packet classification: packets in memory, filters that were downloaded for
 * as many TCP connections, and a core that finds out whose each packet is. */
#include <string.h>

#include "experiment/point_kinds.h"
#include "experiment/results.h"
#include "experiment/system_types.h"
#include "hw/machine.h"
#include "kernel_model/exo/download_packet.h"
#include "sim/engine.h"
#include "sim/random.h"

struct classify_settings {
    uint64_t filters, options;
};
static const struct param classify_params[] = {
    {"filters", PARAM_INTEGER, offsetof(struct classify_settings, filters), "10", "1", "4096", NULL,
     "Filters that are installed: one a TCP connection, its addresses and ports"},
    {"options", PARAM_INTEGER, offsetof(struct classify_settings, options), "0", "0", "10", NULL,
     "Words of IP options that each packet carries before its TCP header"},
    {0},
};

/* In the order of enum download_engine. */
static const char *const engines[] = {"linear", "collapsed", "merged", "compiled", NULL};
struct classify_system {
    const char *type;
    int engine;
    const struct config_node *profile;
};
static const struct param classify_system_params[] = {
    {"type", PARAM_TEXT, offsetof(struct classify_system, type), "classifier", NULL, NULL, NULL, "classifier"},
    {"engine", PARAM_CHOICE, offsetof(struct classify_system, engine), NULL, NULL, NULL, engines,
     "How the filters are asked"},
    {"profile", PARAM_NODE, offsetof(struct classify_system, profile), NULL, NULL, NULL, NULL,
     "What the steps cost: configs/profiles/download-r3000.yaml"},
    {0},
};

enum { BUFFER = 1 << 20, PACKET_BYTES = 60, OWNER = 1 };

struct classify_bench {
    const struct plan_point *point;
    struct machine *machine;
    struct context *context;
    struct ledger *ledger;
    struct random_stream *random;
    struct exo_download *download;
    struct download_costs costs;
    struct classify_settings settings;
    struct classify_system system;
    uint64_t sought; /* which connection the packet is of */
    uint32_t numbers[DOWNLOAD_FILTERS_MAX];
    sim_time measured_from;
    uint64_t astray; /* packets that another filter took */
};

static void deliver(void *context, uint32_t owner, uint32_t filter, uint64_t physical, uint32_t length_bytes,
                    struct request *request) {
    struct classify_bench *bench = context;
    (void)owner;
    (void)physical;
    (void)length_bytes;
    bench->astray += filter != bench->numbers[bench->sought];
    ledger_end(request, exo_download_components.upcall, sim_now());
}

/* ---- filters and packets of connections 0, 1, ... ---- */

static uint32_t peer_of(uint64_t connection) {
    return UINT32_C(0x0a010000) + 1 + (uint32_t)connection;
}
static uint16_t port_of(uint64_t connection) {
    return (uint16_t)(1024 + connection * 7);
}

static enum error_code install(struct classify_bench *bench, uint64_t connection, struct error *error) {
    char text[160];
    const uint32_t peer = peer_of(connection);
    (void)snprintf(text, sizeof text,
                   "ip and tcp and src host %u.%u.%u.%u and dst host 10.0.0.1 and src port %u and dst port 80",
                   peer >> 24, peer >> 16 & 255, peer >> 8 & 255, peer & 255, port_of(connection));
    return download_demux_install_text(exo_download_filters(bench->download), OWNER, NULL, text,
                                       &bench->numbers[connection], error);
}

static void put16(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* The fields that filters look at; the rest of the packet is zeros. */
static void write_packet(struct classify_bench *bench, uint64_t connection) {
    uint8_t bytes[PACKET_BYTES + 40] = {0};
    const uint32_t header = 20 + 4 * (uint32_t)bench->settings.options;
    put16(bytes + 12, 0x0800);
    bytes[14] = (uint8_t)(0x40 | header / 4);
    bytes[23] = 6;
    put16(bytes + 26, peer_of(connection) >> 16);
    put16(bytes + 28, peer_of(connection));
    put16(bytes + 30, 0x0a00);
    put16(bytes + 32, 0x0001);
    put16(bytes + 14 + header, port_of(connection));
    put16(bytes + 16 + header, 80);
    memory_write(bench->machine->memory, BUFFER, bytes, sizeof bytes);
}

static void classify(void *argument) {
    struct classify_bench *bench = argument;
    const uint64_t warmup = bench->point->run.warmup_requests;
    for (uint64_t i = 0; i < warmup + bench->point->run.requests; i++) {
        if (i == warmup) {
            machine_reset_stats(bench->machine);
            ledger_record(bench->ledger, true);
            bench->measured_from = sim_now();
        }
        bench->sought = random_below(bench->random, bench->settings.filters);
        write_packet(bench, bench->sought);
        struct request *request = ledger_begin(bench->ledger, exo_download_components.demux, LEDGER_WAITING, sim_now());
        const enum exo_packet_fate fate = exo_download_packet(
            bench->download, bench->context, BUFFER, PACKET_BYTES + 4 * (uint32_t)bench->settings.options, request);
        SIM_ASSERT(fate == EXO_PACKET_DELIVERED);
    }
    sim_stop();
}

/* ---- building ---- */

static bool bind(struct classify_bench *bench, struct diagnostics *diagnostics) {
    const struct plan_point *point = bench->point;
    const struct config_node *root = config_root(point->config);
    bool good = config_bind(config_get(root, "classify"), classify_params, &bench->settings, diagnostics);
    good = config_bind(point->system_node, classify_system_params, &bench->system, diagnostics) && good;
    if (good && strcmp(bench->system.type, "classifier") != 0) {
        diagnostics_at(diagnostics, config_get(point->system_node, "type"),
                       "systems.%s.type: '%s' is not classifier, the one of kind: classify",
                       point->experiment->systems[point->system].name, bench->system.type);
        good = false;
    }
    good = config_bind(bench->system.profile, download_cost_params, &bench->costs, diagnostics) && good;
    if (point->run.requests == 0) {
        const struct config_node *run = config_get(root, "run");
        diagnostics_at(diagnostics, run != NULL ? run : root,
                       "run.requests: an experiment of kind classify counts packets");
        good = false;
    }
    const struct config_node *machine = plan_machine(point, diagnostics);
    return machine != NULL && machine_create(machine, &bench->machine, diagnostics) && good;
}

static bool build(struct classify_bench *bench, const struct plan_point *point, struct diagnostics *diagnostics) {
    memset(bench, 0, sizeof *bench);
    bench->point = point;
    random_seed(point->seed);
    system_types_declare_components();
    bench->ledger = ledger_create("packets");
    bench->random = random_stream_create("classify.connections");
    if (!bind(bench, diagnostics)) {
        return false;
    }
    const struct exo_download_config config = {.memory = bench->machine->memory,
                                               .costs = &bench->costs,
                                               .engine = (enum download_engine)bench->system.engine,
                                               .context = bench,
                                               .deliver = deliver};
    bench->download = exo_download_create(&config);
    struct error error = {0};
    for (uint64_t i = 0; i < bench->settings.filters; i++) {
        if (install(bench, i, &error) != OK) {
            diagnostics_at(diagnostics, config_get(config_root(point->config), "classify"), "classify.filters: %s",
                           error.text);
            return false;
        }
    }
    return true;
}

bool point_classify_check(const struct plan_point *point, struct diagnostics *diagnostics) {
    static struct classify_bench bench; /* of a process that ends with its point */
    return build(&bench, point, diagnostics);
}

enum error_code point_classify_run(const struct plan_point *point, FILE *out, uint64_t *requests, struct error *error) {
    static struct classify_bench bench;
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    if (!build(&bench, point, &diagnostics)) {
        diagnostics_print(&diagnostics, stderr);
        return error_set(error, ERR_CONFIG, "the point cannot be built");
    }
    struct core *core = bench.machine->cores[0];
    bench.context = context_create(core, CORE_THREAD, "classifier", NULL, classify, &bench);
    core_dispatch(core, CORE_THREAD, bench.context);
    sim_run(SIM_TIME_MAX);
    (void)ledger_audit(bench.ledger, sim_now());
    const double seconds = (double)(sim_now() - bench.measured_from) / 1e15;
    results_write_breakdown(out, point, bench.ledger, 0, false);
    results_write_latency(out, point, ledger_latency(bench.ledger));
    const double rate = (double)ledger_completed(bench.ledger) / seconds;
    results_write_throughput(out, point, rate, rate, 0, rate * PACKET_BYTES);
    struct results_sink sink = {out, point, sim_now()};
    const struct stats_sink stats_sink = results_stats_sink(&sink);
    machine_visit_stats(bench.machine, &stats_sink);
    exo_download_visit_stats(bench.download, "download", &stats_sink);
    results_write_counter(out, point, "download", "astray", bench.astray);
    *requests = ledger_completed(bench.ledger);
    return OK;
}
