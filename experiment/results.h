/* results.h: what a point writes, and the results folder that it ends up in.
 *
 * A point's process writes records, one a line: "<kind>\t<text>". For a CSV row the
 * kind is the file and the text the row whole, with point, system and matrix in
 * front; so that rows depend on the point alone, in whatever process it ran. */
#ifndef STILLSUIT_EXPERIMENT_RESULTS_H
#define STILLSUIT_EXPERIMENT_RESULTS_H

#include <stdio.h>

#include "experiment/plan.h"
#include "sim/ledger.h"
#include "sim/stats_sink.h"
#include "workloads/spans.h"

enum result_file {
    RESULT_BREAKDOWN,
    RESULT_LATENCY,
    RESULT_THROUGHPUT,
    RESULT_UTILIZATION,
    RESULT_COUNTERS,
    RESULT_FILES,                   /* that every run writes */
    RESULT_TRACE_IO = RESULT_FILES, /* one that is asked for */
    RESULT_FILES_MAX
};
extern const char *const result_file_names[RESULT_FILES_MAX]; /* "breakdown.csv" */

/* ---- In the point's process ---- */

/* Every component that owned a measured request, the report's rows, their sum
 * ("rows", if a group for it was added) and the whole ("end_to_end"). */
void results_write_breakdown(FILE *out, const struct plan_point *point, struct ledger *ledger, size_t rows_group,
                             bool has_rows);
/* What a script measured: a row a span, and "spans", the sum of them a message; as
 * "rows", too, if the report's rows are spans. `names` are `spans->count`. */
void results_write_spans(FILE *out, const struct plan_point *point, const struct spans *spans, const char *const *names,
                         double whole_ns, bool are_rows);
void results_write_latency(FILE *out, const struct plan_point *point, const struct histogram *latency);
void results_write_throughput(FILE *out, const struct plan_point *point, double offered_per_s, double completed_per_s,
                              double dropped_per_s, double bytes_per_s);
/* A row of trace-io.csv; `begin`: of the time that it counts from. */
struct block_trace_event;
void results_write_block(FILE *out, const struct plan_point *point, const struct block_trace_event *event,
                         sim_time begin);
/* A sink that writes counters.csv and utilization.csv rows. */
struct results_sink {
    FILE *out;
    const struct plan_point *point;
    sim_time end;
};
struct stats_sink results_stats_sink(struct results_sink *sink);
void results_write_counter(FILE *out, const struct plan_point *point, const char *instance, const char *counter,
                           uint64_t value);
/* Takes a system's costs (`sink` is a struct results_sink) and writes those that were not
 * charged in this point. */
void results_visit_cost(void *sink, const char *key, const struct cost *cost);
/* The requests that a ledger lost, each owner and reason a counter. */
void results_write_drops(FILE *out, const struct plan_point *point, const struct ledger *ledger);
void results_write_warning(FILE *out, const struct plan_point *point, const char *text);
/* The last record: its presence says that the point is finished. */
void results_write_done(FILE *out, uint64_t events, uint64_t requests, double busy_seconds, uint64_t peak_memory_bytes);

/* ---- In the parent ---- */

/* Makes each folder of the path that does not exist yet; false, with errno, if it cannot. */
bool results_make_folders(const char *path);

struct results_folder {
    char path[1024];
    FILE *files[RESULT_FILES_MAX]; /* NULL: not written */
    uint64_t digest;
    uint64_t point_digest; /* of the point appended last: what its rows say, without point, system and matrix */
    size_t axes;
};
/* Makes the folder, writes config.yaml and the CSVs' headers, with or without the trace
 * of block operations. */
enum error_code results_open(struct results_folder *folder, const struct experiment *experiment, const char *path,
                             bool trace_io, struct error *error);
/* Appends a finished point's records; flushes. Costs that it did not use go to
 * `unused` (may be NULL), warnings to stderr. */
enum error_code results_append(struct results_folder *folder, const char *records_path, struct run_summary *summary,
                               FILE *unused, struct error *error);
/* Removes a results folder that a command made for itself. */
void results_remove(const char *path);
void results_close(struct results_folder *folder);
/* `unused`: the costs that nothing charged, as the inside of a JSON object. */
enum error_code results_write_manifest(const struct results_folder *folder, const struct experiment *experiment,
                                       const struct run_options *options, const struct run_summary *summary,
                                       const char *unused, uint64_t seed, struct error *error);

#endif
