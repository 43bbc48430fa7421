/* A point with a drive alone: a polled queue pair on its physical function keeps so
 * many commands under way, and no operating system runs. */
#include <string.h>

#include "experiment/drive_load.h"
#include "experiment/point_kinds.h"
#include "experiment/results.h"
#include "experiment/system_types.h"
#include "hw/nvme/nvme.h"
#include "sim/engine.h"
#include "sim/random.h"

struct drive_system {
    const char *type;
    uint64_t submit_cycles, complete_cycles;
};
static const struct param drive_system_params[] = {
    {"type", PARAM_TEXT, offsetof(struct drive_system, type), "nvme_poller", NULL, NULL, NULL, "nvme_poller"},
    {"submit", PARAM_CYCLES, offsetof(struct drive_system, submit_cycles), "0 cycles", NULL, "1000000 cycles", NULL,
     "Code for a command, beside its entry, the doorbell and what they miss in the caches"},
    {"complete", PARAM_CYCLES, offsetof(struct drive_system, complete_cycles), "0 cycles", NULL, "1000000 cycles", NULL,
     "The same for a completion"},
    {0},
};

struct drive_bench {
    const struct plan_point *point;
    struct machine *machine;
    struct ledger *ledger;
    struct drive_load_config settings;
    struct drive_system system;
    struct drive_load *load;
    sim_time measured_from;
    uint64_t requests;
    bool over;
};

/* What the tables cannot say of the system's entry and of `run`. */
static bool check_rest(const struct drive_bench *bench, struct diagnostics *diagnostics) {
    const struct plan_point *point = bench->point;
    const struct config_node *root = config_root(point->config);
    bool good = true;
    if (strcmp(bench->system.type, "nvme_poller") != 0) {
        diagnostics_at(diagnostics, config_get(point->system_node, "type"),
                       "systems.%s.type: '%s' is not nvme_poller, the one of kind: drive",
                       point->experiment->systems[point->system].name, bench->system.type);
        good = false;
    }
    if (point->run.requests == 0) {
        const struct config_node *run = config_get(root, "run");
        diagnostics_at(diagnostics, run != NULL ? run : root,
                       "run.requests: an experiment of kind drive counts commands");
        good = false;
    }
    return good;
}

static bool build(struct drive_bench *bench, const struct plan_point *point, struct diagnostics *diagnostics) {
    memset(bench, 0, sizeof *bench);
    bench->point = point;
    random_seed(point->seed);
    system_types_declare_components();
    bench->ledger = ledger_create("commands");
    const struct config_node *root = config_root(point->config);
    const struct config_node *machine = plan_machine(point, diagnostics);
    if (machine == NULL) {
        return false;
    }
    const struct config_node *drive = config_get(root, "drive");
    bool good = config_bind(drive, drive_load_params, &bench->settings, diagnostics);
    if (config_bind(point->system_node, drive_system_params, &bench->system, diagnostics)) {
        good = check_rest(bench, diagnostics) && good;
    } else {
        good = false;
    }
    good = machine_create(machine, &bench->machine, diagnostics) && good;
    if (!good) {
        return false;
    }
    bench->settings.submit_cycles = bench->system.submit_cycles;
    bench->settings.complete_cycles = bench->system.complete_cycles;
    bench->load = drive_load_create(bench->machine, &bench->settings, drive != NULL ? drive : root, diagnostics);
    return bench->load != NULL;
}

bool point_drive_check(const struct plan_point *point, struct diagnostics *diagnostics) {
    struct drive_bench bench;
    return build(&bench, point, diagnostics); /* the process ends with it */
}

/* ---- the run ---- */

static bool on_completed(void *context, uint64_t completed) {
    struct drive_bench *bench = context;
    const struct plan_run *run = &bench->point->run;
    if (bench->measured_from == 0 && completed >= run->warmup_requests) {
        machine_reset_stats(bench->machine);
        drive_load_reset(bench->load);
        ledger_record(bench->ledger, true);
        bench->measured_from = sim_now();
    }
    bench->over = ledger_completed(bench->ledger) >= run->requests;
    if (bench->over) {
        ledger_record(bench->ledger, false);
        sim_stop();
    }
    return !bench->over;
}

/* Of the medium's counters, what a drive of flash has written for what it was asked to. */
struct amplification {
    uint64_t host, all;
};
static void add_units(void *context, const char *instance, const char *counter, uint64_t value) {
    struct amplification *sum = context;
    (void)instance;
    const bool host = strcmp(counter, "host_units") == 0;
    sum->host += host ? value : 0;
    sum->all += host || strcmp(counter, "gc_units") == 0 || strcmp(counter, "empty_units") == 0 ? value : 0;
}

static void write_results(FILE *out, struct drive_bench *bench) {
    const struct plan_point *point = bench->point;
    const double seconds = (double)(sim_now() - bench->measured_from) / 1e15;
    const double per_s = (double)ledger_completed(bench->ledger) / seconds;
    const uint64_t live = ledger_audit(bench->ledger, sim_now());
    results_write_breakdown(out, point, bench->ledger, 0, false);
    results_write_latency(out, point, ledger_latency(bench->ledger));
    results_write_throughput(out, point, per_s, per_s, 0, per_s * (double)bench->settings.block_bytes);
    struct results_sink sink = {out, point, sim_now()};
    const struct stats_sink stats_sink = results_stats_sink(&sink);
    machine_visit_stats(bench->machine, &stats_sink);
    struct amplification sum = {0};
    const struct stats_sink units = {.context = &sum, .counter = add_units};
    machine_visit_stats(bench->machine, &units);
    if (sum.host > 0) {
        results_write_counter(out, point, bench->settings.device, "write_amplification_millionths",
                              (uint64_t)(1e6 * (double)sum.all / (double)sum.host + 0.5));
    }
    results_write_counter(out, point, "ledger", "in flight at the end", live);
}

enum error_code point_drive_run(const struct plan_point *point, FILE *out, uint64_t *requests, struct error *error) {
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct drive_bench bench;
    if (!build(&bench, point, &diagnostics)) {
        diagnostics_print(&diagnostics, stderr);
        return error_set(error, ERR_CONFIG, "the point cannot be built");
    }
    if (point->run.warmup_requests == 0) {
        ledger_record(bench.ledger, true);
    }
    drive_load_start(bench.load, bench.ledger, on_completed, &bench);
    sim_run(point->run.time_limit);
    if (drive_load_failed(bench.load, error)) {
        return error->code;
    }
    if (!bench.over) {
        return error_set(error, ERR_RANGE, "after %.3f ms %llu of %llu commands were measured (run.time_limit)",
                         (double)sim_now() / 1e12, (unsigned long long)ledger_completed(bench.ledger),
                         (unsigned long long)point->run.requests);
    }
    write_results(out, &bench);
    *requests = ledger_completed(bench.ledger);
    return OK;
}
