/* bench_echo: the simulator's own speed, as ratios: requests simulated per second of
 * processor time, events per request, time per event, memory; by system, by number of
 * requests, by number of virtual functions; and beside ns-3 doing the same echo.
 *
 * Time is the process's processor time, and every case is measured in every round, so
 * that ratios hold on a machine that has other work: what slows one case for a while
 * slows the others, too, and the best of all rounds is taken of each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiment/experiment.h"

struct measured {
    double requests_per_s, events_per_request, ns_per_event, memory_mb;
};

enum { ROUNDS = 5, FOLDER_BYTES = 64, FUNCTIONS_MAX = 64, SETTINGS_MAX = 12, REQUESTS = 300000 };

/* `functions` of the card that are switched on; of these, `used` have a server and a
 * client each: the one that is measured and others like it. `once`: for its memory. */
struct bench_case {
    const char *name, *system;
    uint64_t requests;
    unsigned functions, used, outstanding;
    bool once;
    struct measured best;
};

enum { LINUX, POSIX, NATIVE, LONGER, FUNCTIONS_1, USED_1, USED_8, USED_64, CASES };

static struct bench_case cases[CASES] = {
    [LINUX] = {.name = "linux", .system = "linux", .requests = REQUESTS, .functions = 64, .used = 1, .outstanding = 16},
    [POSIX] = {.name = "arrakis_posix",
               .system = "arrakis_posix",
               .requests = REQUESTS,
               .functions = 64,
               .used = 1,
               .outstanding = 16},
    [NATIVE] = {.name = "arrakis_native",
                .system = "arrakis_native",
                .requests = REQUESTS,
                .functions = 64,
                .used = 1,
                .outstanding = 16},
    [LONGER] = {.name = "arrakis_native, 10 x the requests",
                .system = "arrakis_native",
                .requests = UINT64_C(10) * REQUESTS,
                .functions = 64,
                .used = 1,
                .outstanding = 16,
                .once = true},
    [FUNCTIONS_1] = {.name = "arrakis_native, 1 function there is",
                     .system = "arrakis_native",
                     .requests = REQUESTS,
                     .functions = 1,
                     .used = 1,
                     .outstanding = 16},
    [USED_1] = {.name = "1 server, 1 in flight each",
                .system = "arrakis_native",
                .requests = REQUESTS,
                .functions = 64,
                .used = 1,
                .outstanding = 1},
    [USED_8] = {.name = "8 servers, 1 in flight each",
                .system = "arrakis_native",
                .requests = REQUESTS,
                .functions = 64,
                .used = 8,
                .outstanding = 1},
    [USED_64] = {.name = "64 servers, 1 in flight each",
                 .system = "arrakis_native",
                 .requests = REQUESTS,
                 .functions = 64,
                 .used = 64,
                 .outstanding = 1},
};

/* ---- one case ---- */

struct settings {
    char texts[SETTINGS_MAX][128];
    char servers[FUNCTIONS_MAX * 160];
    const char *list[SETTINGS_MAX];
    size_t count;
};

static void set(struct settings *settings, const char *key, uint64_t value) {
    char *text = settings->texts[settings->count];
    (void)snprintf(text, sizeof settings->texts[0], "%s=%llu", key, (unsigned long long)value);
    settings->list[settings->count++] = text;
}

/* The servers beside the one that is measured, on functions and ports of their own. */
static void set_servers(struct settings *settings, const struct bench_case *bench) {
    size_t at = (size_t)snprintf(settings->servers, sizeof settings->servers, "also={");
    for (unsigned i = 1; i < bench->used; i++) {
        at += (size_t)snprintf(settings->servers + at, sizeof settings->servers - at,
                               "%s p%u: {script: bench/echo_on_port.yaml, parameters: {port: %u}, client: {hosts: 1, "
                               "arrivals: {process: closed, outstanding: %u}}}",
                               i > 1 ? "," : "", i, 7 + i, bench->outstanding);
    }
    (void)snprintf(settings->servers + at, sizeof settings->servers - at, "}");
    settings->list[settings->count++] = settings->servers;
    settings->list[settings->count++] = "network.switch={latency: 0 us}";
}

static void make_settings(struct settings *settings, const struct bench_case *bench) {
    settings->count = 0;
    set(settings, "run.requests", bench->requests / bench->used);
    set(settings, "run.warmup_requests", 1024 / bench->used);
    set(settings, "machine.devices[nic].virtual_functions", bench->functions);
    set(settings, "workload.client.arrivals.outstanding", bench->outstanding);
    if (bench->used > 1) {
        set(settings, "machine.core.count", bench->used + 1);
        set_servers(settings, bench);
    }
    /* The other systems of the file are taken out by name: one point, one number. */
    char *only = settings->texts[settings->count];
    (void)snprintf(only, sizeof settings->texts[0], "only=%s", bench->system);
    settings->list[settings->count++] = only;
}

static void remove_results(const char *folder) {
    static const char *const files[] = {"breakdown.csv", "latency.csv", "throughput.csv", "utilization.csv",
                                        "counters.csv",  "config.yaml", "manifest.json"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[FOLDER_BYTES + 32];
        (void)snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        (void)remove(path);
    }
    (void)rmdir(folder);
}

static bool run(const char *config, const struct bench_case *bench, struct run_summary *summary) {
    struct diagnostics diagnostics;
    struct settings settings;
    struct error error = {0};
    make_settings(&settings, bench);
    diagnostics_init(&diagnostics);
    struct experiment *experiment = experiment_load(config, settings.list, settings.count, &diagnostics);
    if (experiment == NULL) {
        diagnostics_print(&diagnostics, stderr);
        return false;
    }
    char folder[FOLDER_BYTES] = "/tmp/stillsuit-bench-XXXXXX";
    if (mkdtemp(folder) == NULL) {
        return false;
    }
    const struct run_options options = {.jobs = 1, .out = folder, .restart = true, .quiet = true};
    const bool good = experiment_run(experiment, &options, summary, &error) == OK;
    if (!good) {
        (void)fprintf(stderr, "%s\n", error.text);
    }
    experiment_free(experiment);
    remove_results(folder);
    return good;
}

static bool measure(const char *config, struct bench_case *bench) {
    struct run_summary summary;
    if (!run(config, bench, &summary)) {
        return false;
    }
    /* All servers run alike: the measured one's requests stand for each. */
    const double requests = (double)summary.requests * bench->used;
    const double rate = requests / summary.busy_seconds;
    if (rate > bench->best.requests_per_s) {
        bench->best = (struct measured){rate, (double)summary.events / requests,
                                        1e9 * summary.busy_seconds / (double)summary.events,
                                        (double)summary.peak_memory_bytes / 1e6};
    }
    return true;
}

/* 0: ns-3 is not there. */
static double ns3_packets_per_s(const char *program) {
    char command[512];
    (void)snprintf(command, sizeof command, "'%s' 200000 16 64 2>/dev/null", program);
    FILE *pipe = popen(command, "re");
    unsigned long long packets = 0;
    double seconds = 0;
    double rate = 0;
    if (pipe != NULL && fscanf(pipe, "%llu %lf", &packets, &seconds) == 2 && seconds > 0) {
        rate = (double)packets / seconds;
    }
    if (pipe != NULL) {
        (void)pclose(pipe);
    }
    return rate;
}

/* ---- the report ---- */

static void row(const struct bench_case *bench) {
    const struct measured *best = &bench->best;
    (void)printf("%-34s %12.0f %12.0f %10.1f %10.1f %10.1f\n", bench->name, best->requests_per_s,
                 2 * best->requests_per_s, best->events_per_request, best->ns_per_event, best->memory_mb);
}

static void report(double yardstick) {
    (void)printf("processor time, best of %d rounds\n", ROUNDS);
    (void)printf("%-34s %12s %12s %10s %10s %10s\n", "UDP echo, 64 B, 16 in flight", "requests/s", "packets/s",
                 "events/req", "ns/event", "MB");
    for (size_t i = LINUX; i <= NATIVE; i++) {
        row(&cases[i]);
    }
    if (yardstick > 0) {
        (void)printf("%-34s %12.0f %12.0f\n", "ns-3 (point to point, no detail)", yardstick / 2, yardstick);
        for (size_t i = LINUX; i <= NATIVE; i++) {
            (void)printf("%s over ns-3: %.2f x\n", cases[i].name, 2 * cases[i].best.requests_per_s / yardstick);
        }
    } else {
        (void)printf("ns-3 is not installed (libns3-dev): no comparison\n");
    }
    for (size_t i = LONGER; i < CASES; i++) {
        row(&cases[i]);
    }
    (void)printf("memory for 10 x the requests: %.2f x\n", cases[LONGER].best.memory_mb / cases[NATIVE].best.memory_mb);
    (void)printf("cost of a request, 64 virtual functions there are over 1: %.2f x\n",
                 cases[FUNCTIONS_1].best.requests_per_s / cases[NATIVE].best.requests_per_s);
    (void)printf("cost of a request, 8 virtual functions with traffic over 1: %.2f x\n",
                 cases[USED_1].best.requests_per_s / cases[USED_8].best.requests_per_s);
    (void)printf("cost of a request, 64 virtual functions with traffic over 1: %.2f x\n",
                 cases[USED_1].best.requests_per_s / cases[USED_64].best.requests_per_s);
}

int main(int argc, char *argv[]) {
    const char *config = argc > 1 ? argv[1] : "bench/echo.yaml";
    const char *ns3 = argc > 2 ? argv[2] : "";
    double yardstick = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < CASES; i++) {
            if (!(cases[i].once && round > 0) && !measure(config, &cases[i])) {
                return 1;
            }
        }
        const double rate = access(ns3, X_OK) == 0 ? ns3_packets_per_s(ns3) : 0;
        yardstick = rate > yardstick ? rate : yardstick;
    }
    report(yardstick);
    return 0;
}
