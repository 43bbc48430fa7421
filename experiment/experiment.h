/* experiment.h: an experiment: a machine, systems on it, a workload, a grid of
 * points, and how long to run.
 *
 *   name, title
 *   machine: {include: ../machines/....yaml}
 *   network: {link: {...}, switch: {...}}       between the NIC and the clients
 *   workload: {script: path, parameters: {...}, client: {...}}
 *   also: {name: {script:, parameters:, client:}, ...}  further processes (also.h)
 *   systems: {name: {type:, profile:, ...}, ...} each may override `workload`, `also`
 *   matrix: {path: [values], ...}
 *   run: {warmup_requests, warmup, requests, duration, time_limit, seed}
 *   report: {rows: [components], paper: file, table: name}
 *   plot: [{...}]
 *   kind: network (the default), dma: the hardware alone, or classify: packet filters
 *   only: name, or [names]                     of the systems, these alone
 */
#ifndef STILLSUIT_EXPERIMENT_EXPERIMENT_H
#define STILLSUIT_EXPERIMENT_EXPERIMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "sim/config.h"

struct experiment;

/* Loads `path` with the --set assignments and checks all of it: machine, systems,
 * workload and every point of the matrix, without running anything. NULL, with
 * diagnostics, if anything is wrong. The caller frees it. */
struct experiment *experiment_load(const char *path, const char *const *settings, size_t setting_count,
                                   struct diagnostics *diagnostics);
void experiment_free(struct experiment *experiment);

const char *experiment_name(const struct experiment *experiment);
const char *experiment_title(const struct experiment *experiment);
const struct config_node *experiment_config(const struct experiment *experiment);
uint64_t experiment_seed(const struct experiment *experiment);
size_t experiment_systems(const struct experiment *experiment);
const char *experiment_system_name(const struct experiment *experiment, size_t index);
/* Systems times points of the matrix. */
size_t experiment_points(const struct experiment *experiment);
size_t experiment_axes(const struct experiment *experiment);
const char *experiment_axis_name(const struct experiment *experiment, size_t axis);

struct run_options {
    unsigned jobs; /* points at a time, each in a process; 0: one a core */
    bool seed_given;
    uint64_t seed;        /* instead of the experiment's */
    const char *out;      /* results folder; NULL: results/<name> */
    bool restart;         /* do not resume an interrupted run */
    bool progress;        /* a bar on stderr */
    bool quiet;           /* no warnings */
    uint64_t trace_calls; /* block operations of so many calls a point go into trace-io.csv; 0: none */
    int argument_count;   /* the command line, for the manifest */
    char *const *arguments;
};
struct run_summary {
    size_t points, resumed, failed;
    uint64_t events, requests;
    double wall_seconds, busy_seconds; /* elapsed; processor time of the points' processes */
    uint64_t peak_memory_bytes;        /* of the largest process */
    uint64_t results_digest;
    char folder[1024];
};
/* Runs what is not finished, writes the results folder (docs/results.md: resolved
 * config, CSVs, manifest), warnings to stderr. Returns an error if a point failed;
 * finished points are kept, and the next run resumes. */
enum error_code experiment_run(const struct experiment *experiment, const struct run_options *options,
                               struct run_summary *summary, struct error *error);

/* Prints what a results folder holds as tables: latency, throughput, the counters that the
 * report names, and the published values with errors. Tables are at most `width`
 * characters wide (0: as wide as they are), in blocks of columns where they would be wider. */
enum error_code report_print(const char *folder, size_t width, FILE *out, struct error *error);
/* The breakdown down to the last component, of one system ("" for all). */
enum error_code report_print_detail(const char *folder, const char *system, size_t width, FILE *out,
                                    struct error *error);

/* Runs every published figure that the model covers, of one paper or of all
 * (papers NULL), prints one table, and writes <folder>/validation.csv. */
struct validate_options {
    const char *papers_folder; /* configs/papers */
    const char *paper;         /* NULL: all */
    const char *out;           /* results/validation */
    unsigned jobs;
    bool progress;
};
enum error_code validate_run(const struct validate_options *options, FILE *out, struct error *error);

/* Fits the keys of a profile that name a table (`fit: paper/table`) to it, by least
 * squares over real runs, and writes the profile. With `check_only` nothing is
 * written; `largest_change` receives the largest relative change of a key. */
struct fit_options {
    const char *profile; /* path */
    const char *papers_folder;
    unsigned jobs;
    bool check_only, progress;
};
enum error_code fit_run(const struct fit_options *options, double *largest_change, FILE *out, struct error *error);

/* Runs an experiment with each value that its configuration assumes (`assumed:` with
 * `range:`) at both ends of its range, one at a time, prints how much latency and
 * throughput change at most, and writes <out>/sensitivity.csv. */
struct sensitivity_options {
    const char *experiment; /* path */
    const char *const *settings;
    size_t setting_count;
    const char *out; /* folder */
    unsigned jobs;
    bool progress;
};
enum error_code sensitivity_run(const struct sensitivity_options *options, FILE *out, struct error *error);

/* Draws the experiment's plots from its results folder with gnuplot: PNG and SVG. */
enum error_code plot_run(const char *folder, FILE *out, struct error *error);

#endif
