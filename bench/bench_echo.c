/* bench_echo: the simulator's own speed, as ratios: requests simulated per second of
 * wall time, events per request, time per event, memory; by system, by number of
 * requests, by number of virtual functions; and beside ns-3 doing the same echo. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiment/experiment.h"

struct measured {
    double requests_per_s, events_per_request, ns_per_event, memory_mb;
    bool good;
};

enum { REPEATS = 3, FOLDER_BYTES = 64 };

/* The other systems of the file are taken out by name: one point, one number. */
static struct measured measure(const char *config, const char *system, uint64_t requests, unsigned functions) {
    char texts[3][128];
    (void)snprintf(texts[0], sizeof texts[0], "run.requests=%llu", (unsigned long long)requests);
    (void)snprintf(texts[1], sizeof texts[1], "machine.devices[nic].virtual_functions=%u", functions);
    (void)snprintf(texts[2], sizeof texts[2], "only=%s", system);
    const char *const settings[] = {texts[0], texts[1], texts[2]};
    struct measured best = {0};
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        struct diagnostics diagnostics;
        diagnostics_init(&diagnostics);
        struct experiment *experiment = experiment_load(config, settings, 3, &diagnostics);
        if (experiment == NULL) {
            diagnostics_print(&diagnostics, stderr);
            return best;
        }
        char folder[FOLDER_BYTES] = "/tmp/stillsuit-bench-XXXXXX";
        struct run_summary summary;
        struct error error = {0};
        if (mkdtemp(folder) == NULL) {
            return best;
        }
        const struct run_options options = {.jobs = 1, .out = folder, .restart = true, .quiet = true};
        if (experiment_run(experiment, &options, &summary, &error) != OK) {
            (void)fprintf(stderr, "%s\n", error.text);
            return best;
        }
        experiment_free(experiment);
        static const char *const files[] = {"breakdown.csv", "latency.csv", "throughput.csv", "utilization.csv",
                                            "counters.csv",  "config.yaml", "manifest.json"};
        for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
            char path[FOLDER_BYTES + 32];
            (void)snprintf(path, sizeof path, "%s/%s", folder, files[i]);
            (void)remove(path);
        }
        (void)rmdir(folder);
        const double rate = (double)summary.requests / summary.busy_seconds;
        if (rate > best.requests_per_s) {
            best = (struct measured){rate, (double)summary.events / (double)summary.requests,
                                     1e9 * summary.busy_seconds / (double)summary.events,
                                     (double)summary.peak_memory_bytes / 1e6, true};
        }
    }
    return best;
}

static void row(const char *name, const struct measured *measured) {
    (void)printf("%-34s %12.0f %12.0f %10.1f %10.1f %10.1f\n", name, measured->requests_per_s,
                 2 * measured->requests_per_s, measured->events_per_request, measured->ns_per_event,
                 measured->memory_mb);
}

/* Best of several, as for ours. 0: ns-3 is not there. */
static double ns3_packets_per_s(const char *program) {
    double best = 0;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        char command[512];
        (void)snprintf(command, sizeof command, "'%s' 200000 16 64 2>/dev/null", program);
        FILE *pipe = popen(command, "re");
        unsigned long long packets = 0;
        double seconds = 0;
        if (pipe != NULL && fscanf(pipe, "%llu %lf", &packets, &seconds) == 2 && seconds > 0) {
            const double rate = (double)packets / seconds;
            best = rate > best ? rate : best;
        }
        if (pipe != NULL) {
            (void)pclose(pipe);
        }
    }
    return best;
}

int main(int argc, char *argv[]) {
    const char *config = argc > 1 ? argv[1] : "bench/echo.yaml";
    const char *ns3 = argc > 2 ? argv[2] : "";
    (void)printf("%-34s %12s %12s %10s %10s %10s\n", "UDP echo, 64 B, 16 in flight", "requests/s", "packets/s",
                 "events/req", "ns/event", "MB");
    static const char *const systems[] = {"linux", "arrakis_posix", "arrakis_native"};
    struct measured base[3];
    for (size_t i = 0; i < 3; i++) {
        base[i] = measure(config, systems[i], 300000, 64);
        if (!base[i].good) {
            return 1;
        }
        row(systems[i], &base[i]);
    }
    const double yardstick = access(ns3, X_OK) == 0 ? ns3_packets_per_s(ns3) : 0;
    if (yardstick > 0) {
        (void)printf("%-34s %12.0f %12.0f\n", "ns-3 (point to point, no detail)", yardstick / 2, yardstick);
        for (size_t i = 0; i < 3; i++) {
            (void)printf("%s over ns-3: %.2f x\n", systems[i], 2 * base[i].requests_per_s / yardstick);
        }
    } else {
        (void)printf("ns-3 is not installed (libns3-dev): no comparison\n");
    }
    const struct measured longer = measure(config, "arrakis_native", 3000000, 64);
    row("arrakis_native, 10 x the requests", &longer);
    (void)printf("memory for 10 x the requests: %.2f x\n", longer.memory_mb / base[2].memory_mb);
    const struct measured one = measure(config, "arrakis_native", 300000, 1);
    row("arrakis_native, 1 virtual function", &one);
    (void)printf("cost of a request, 64 virtual functions over 1: %.2f x\n",
                 one.requests_per_s / base[2].requests_per_s);
    return 0;
}
