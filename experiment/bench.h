/* bench.h: what points with an operating system and a script have in common: building
 * them, the phases of a run, and the results that do not depend on who asks. */
#ifndef STILLSUIT_EXPERIMENT_BENCH_H
#define STILLSUIT_EXPERIMENT_BENCH_H

#include <stdio.h>

#include "experiment/plan.h"
#include "hw/machine.h"
#include "sim/engine.h"
#include "workloads/interpreter.h"

enum bench_phase { BENCH_WARM_UP, BENCH_MEASURE, BENCH_OVER };

/* What a kind's own struct begins with. The process ends with it. */
struct bench {
    const struct plan_point *point;
    struct machine *machine;
    struct system *system;
    struct script *script;
    struct ledger *ledger;
    struct interpreter *interpreter;
    /* The end of the warm-up: the kind's own counters start anew. May be NULL. */
    void (*reset_stats)(struct bench *bench);
    size_t rows_group;
    bool has_rows, span_rows;
    enum bench_phase phase;
    bool warm_by_time;
    uint64_t completed, live;
    sim_time measured_from;
    struct sim_event warm, over, limit;
    bool limit_reached, failed;
    FILE *out;             /* the point's records */
    uint64_t traced_until; /* call number from which on block operations are not traced; 0: none is yet */
};

/* Machine, script, rows of the report, system, as far as they can be built; what is
 * wrong is reported. Zeroes the bench first. */
void bench_build(struct bench *bench, const struct plan_point *point, struct diagnostics *diagnostics);
/* The script's process and threads; false with a report if the system refuses. */
bool bench_populate(struct bench *bench, struct diagnostics *diagnostics);

/* Before bench_run: events and the time limit. What is traced goes to `out`. */
void bench_prepare(struct bench *bench, FILE *out);
/* The setup is over, and the warm-up begins. */
void bench_warm_up(struct bench *bench);
/* A request has been completed (`context`: the bench). */
void bench_completed(void *context);
/* Something has failed: the run stops. */
void bench_fail(void *context);
enum error_code bench_run(struct bench *bench, struct error *error);

/* The results, in this order, with the kind's own in between. */
void bench_write_ledger(FILE *out, struct bench *bench);
void bench_visit_stats(const struct bench *bench, const struct stats_sink *sink);
void bench_write_end(FILE *out, const struct bench *bench);

#endif
