#include "bench/apart.h"

#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim/engine.h"

static double seconds(clockid_t clock) {
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

struct bench_clock bench_clock_now(void) {
    return (struct bench_clock){seconds(CLOCK_MONOTONIC), seconds(CLOCK_PROCESS_CPUTIME_ID)};
}

struct bench_speed bench_speed_since(struct bench_clock begun, struct bench_clock ready, uint64_t operations) {
    const struct bench_clock now = bench_clock_now();
    const double wall_s = now.wall_s - ready.wall_s, cpu_s = now.cpu_s - ready.cpu_s, count = (double)operations;
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (struct bench_speed){.per_s = count / wall_s,
                                .cpu_per_s = count / cpu_s,
                                .ns = 1e9 * wall_s / count,
                                .cpu_ns = 1e9 * cpu_s / count,
                                .events = (double)sim_events_run() / count,
                                .simulated_per_s = count / ((double)sim_now() / (double)SIM_S),
                                .setup_s = ready.wall_s - begun.wall_s,
                                .peak_mb = (double)usage.ru_maxrss / 1e3};
}

static bool measure_apart(bench_measure *measure, const void *run, const char *file, struct bench_speed *out) {
    int ends[2];
    if (pipe(ends) != 0) {
        return false;
    }
    const pid_t child = fork();
    if (child == 0) {
        struct bench_speed speed;
        measure(run, file, &speed);
        _exit(write(ends[1], &speed, sizeof speed) == sizeof speed ? 0 : 1);
    }
    (void)close(ends[1]);
    const bool good = child > 0 && read(ends[0], out, sizeof *out) == sizeof *out;
    (void)close(ends[0]);
    (void)waitpid(child, NULL, 0);
    return good;
}

bool bench_best(bench_measure *measure, const void *run, const char *file, unsigned repeats, bool by_cpu,
                struct bench_speed *best) {
    *best = (struct bench_speed){.per_s = 0};
    for (unsigned i = 0; i < repeats; i++) {
        struct bench_speed one;
        if (!measure_apart(measure, run, file, &one)) {
            return false;
        }
        const bool faster = by_cpu ? one.cpu_per_s > best->cpu_per_s : one.per_s > best->per_s;
        *best = faster ? one : *best;
    }
    return true;
}
