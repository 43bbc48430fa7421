/* plan.h: a loaded experiment, as the files of this layer share it. */
#ifndef STILLSUIT_EXPERIMENT_PLAN_H
#define STILLSUIT_EXPERIMENT_PLAN_H

#include "experiment/experiment.h"
#include "sim/time.h"

enum { PLAN_SYSTEMS_MAX = 32, PLAN_ROWS_MAX = 32 };

enum plan_kind { PLAN_NETWORK, PLAN_DMA, PLAN_CLASSIFY, PLAN_STORAGE, PLAN_KERNEL, PLAN_DRIVE };

struct plan_run {
    uint64_t warmup_requests, requests, seed;
    sim_time warmup, duration, time_limit;
};
extern const struct param plan_run_params[];

struct plan_system {
    const char *name;
};

struct experiment {
    char *path;
    struct config *config;
    const char *name, *title;
    int kind; /* enum plan_kind */
    struct plan_run run;
    struct config_matrix matrix;
    struct plan_system systems[PLAN_SYSTEMS_MAX];
    size_t system_count;
    const char *rows[PLAN_ROWS_MAX]; /* report.rows */
    size_t row_count;
};

/* One point: a system at one place of the matrix. Its tree is set apart. */
struct plan_point {
    const struct experiment *experiment;
    size_t index, system, place;
    struct config *config;
    const struct config_node *system_node; /* of its tree */
    const char *values[16];                /* of the axes */
    struct plan_run run;
    uint64_t seed;
    uint64_t trace_calls; /* as of struct run_options */
};

/* Sets a point's tree apart, with the system's own machine and workload put in place.
 * False with diagnostics. plan_point_free releases it. */
bool plan_point_make(const struct experiment *experiment, size_t index, struct plan_point *point,
                     struct diagnostics *diagnostics);
void plan_point_free(struct plan_point *point);

/* Builds the point in a process of its own, without running it, and adds what is
 * wrong with it to the diagnostics. */
void plan_point_check(const struct experiment *experiment, size_t index, struct diagnostics *diagnostics);

/* ---- plan_override.c ---- */
/* What any system's entry may say, beside what its type takes. */
extern const struct param plan_override_params[];
/* Puts what `system` says of these in the place of the experiment's, in a point's tree.
 * False with diagnostics. */
bool plan_override(struct config *config, struct config_node *system, struct diagnostics *diagnostics);
/* The point's machine; NULL with a diagnostic: neither its system nor the experiment has one. */
const struct config_node *plan_machine(const struct plan_point *point, struct diagnostics *diagnostics);
/* An experiment's machine that no system has. */
void plan_override_check(const struct experiment *experiment, struct diagnostics *diagnostics);

/* A path that is written in a file, relative to that file's folder. */
void plan_resolve_path(const struct config_node *node, char *out, size_t out_bytes);

#endif
