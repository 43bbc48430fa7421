/* apart.h: measuring the simulator's own speed, each run in a process of its own, since
 * there is one simulation in each. */
#ifndef STILLSUIT_BENCH_APART_H
#define STILLSUIT_BENCH_APART_H

#include <stdbool.h>
#include <stdint.h>

/* Wall and processor time, in seconds. */
struct bench_clock {
    double wall_s, cpu_s;
};
struct bench_clock bench_clock_now(void);

struct bench_speed {
    double per_s, cpu_per_s; /* operations by wall and by processor time */
    double ns, cpu_ns;       /* the same, of one operation */
    double events;           /* of one operation */
    double simulated_per_s;  /* operations in a simulated second */
    double setup_s, peak_mb;
};
/* Of so many operations, now that sim_run has returned. The set-up took from `begun` to
 * `ready`. */
struct bench_speed bench_speed_since(struct bench_clock begun, struct bench_clock ready, uint64_t operations);

/* One run: exits with 1 if it cannot. */
typedef void bench_measure(const void *run, const char *file, struct bench_speed *out);
/* The fastest of `repeats` runs, each apart; by processor time or by wall time. False: a
 * run failed. */
bool bench_best(bench_measure *measure, const void *run, const char *file, unsigned repeats, bool by_cpu,
                struct bench_speed *best);

#endif
