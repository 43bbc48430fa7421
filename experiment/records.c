/* The records of one point, written by its own process. */
#include <string.h>

#include "experiment/csv_table.h"
#include "experiment/results.h"
#include "stack/block_trace.h"

const char *const result_file_names[RESULT_FILES_MAX] = {"breakdown.csv",   "latency.csv",  "throughput.csv",
                                                         "utilization.csv", "counters.csv", "trace-io.csv"};

/* "<file>\t<point>,<system>,<matrix>," */
static void begin_row(FILE *out, const struct plan_point *point, enum result_file file) {
    (void)fprintf(out, "%d\t%zu,", (int)file, point->index);
    csv_write_field(point->experiment->systems[point->system].name, out);
    for (size_t i = 0; i < point->experiment->matrix.count; i++) {
        (void)fputc(',', out);
        csv_write_field(point->values[i], out);
    }
    (void)fputc(',', out);
}

static void write_distribution(FILE *out, const struct plan_point *point, const char *component, const char *kind,
                               const struct histogram *spent, double whole_ns) {
    const double mean_ns = histogram_mean(spent) / 1e6;
    begin_row(out, point, RESULT_BREAKDOWN);
    (void)fprintf(out, "%s,%s,%.3f,%.3f,%.3f,%.3f,%.4f\n", component, kind, mean_ns, histogram_stddev(spent) / 1e6,
                  sim_time_ns(histogram_quantile(spent, 0.5)), sim_time_ns(histogram_quantile(spent, 0.99)),
                  whole_ns > 0 ? 100 * mean_ns / whole_ns : 0);
}

static bool is_reported_row(const struct plan_point *point, const char *component) {
    for (size_t i = 0; i < point->experiment->row_count; i++) {
        if (strcmp(point->experiment->rows[i], component) == 0) {
            return true;
        }
    }
    return false;
}

void results_write_breakdown(FILE *out, const struct plan_point *point, struct ledger *ledger, size_t rows_group,
                             bool has_rows) {
    static const char *const kinds[] = {"waiting", "service", "total"};
    const double whole_ns = histogram_mean(ledger_latency(ledger)) / 1e6;
    for (ledger_component component = 1; component <= ledger_component_count(); component++) {
        const char *name = ledger_component_name(component);
        const bool empty = ledger_spent(ledger, component, LEDGER_KINDS)->sum == 0;
        if (empty && !is_reported_row(point, name)) {
            continue;
        }
        for (int kind = LEDGER_WAITING; kind <= LEDGER_KINDS; kind++) {
            write_distribution(out, point, name, kinds[kind], ledger_spent(ledger, component, (enum ledger_kind)kind),
                               whole_ns);
        }
    }
    if (has_rows) {
        write_distribution(out, point, "rows", "total", ledger_group_spent(ledger, rows_group), whole_ns);
    }
    write_distribution(out, point, "end_to_end", "total", ledger_latency(ledger), whole_ns);
}

void results_write_spans(FILE *out, const struct plan_point *point, const struct spans *spans, const char *const *names,
                         double whole_ns, bool are_rows) {
    for (size_t i = 0; i < spans->count; i++) {
        write_distribution(out, point, names[i], "total", &spans->each[i], whole_ns);
    }
    if (spans->count > 0) {
        write_distribution(out, point, "spans", "total", &spans->sum, whole_ns);
    }
    if (are_rows) {
        write_distribution(out, point, "rows", "total", &spans->sum, whole_ns);
    }
}

void results_write_latency(FILE *out, const struct plan_point *point, const struct histogram *latency) {
    static const double quantiles[] = {0.5, 0.9, 0.99, 0.999, 0.9999};
    begin_row(out, point, RESULT_LATENCY);
    (void)fprintf(out, "%llu,%.3f,%.3f,%.3f", (unsigned long long)latency->count, histogram_mean(latency) / 1e6,
                  histogram_stddev(latency) / 1e6, latency->count > 0 ? sim_time_ns(latency->minimum) : 0);
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        (void)fprintf(out, ",%.3f", sim_time_ns(histogram_quantile(latency, quantiles[i])));
    }
    (void)fprintf(out, ",%.3f\n", sim_time_ns(latency->maximum));
}

void results_write_throughput(FILE *out, const struct plan_point *point, double offered_per_s, double completed_per_s,
                              double dropped_per_s, double bytes_per_s) {
    begin_row(out, point, RESULT_THROUGHPUT);
    (void)fprintf(out, "%.3f,%.3f,%.3f,%.3f\n", offered_per_s, completed_per_s, dropped_per_s, bytes_per_s);
}

void results_write_counter(FILE *out, const struct plan_point *point, const char *instance, const char *counter,
                           uint64_t value) {
    begin_row(out, point, RESULT_COUNTERS);
    csv_write_field(instance, out);
    (void)fputc(',', out);
    csv_write_field(counter, out);
    (void)fprintf(out, ",%llu\n", (unsigned long long)value);
}

void results_write_block(FILE *out, const struct plan_point *point, const struct block_trace_event *event,
                         sim_time begin) {
    static const char *const operations[] = {[BLOCK_READ] = "read", [BLOCK_WRITE] = "write", [BLOCK_FLUSH] = "flush"};
    begin_row(out, point, RESULT_TRACE_IO);
    (void)fprintf(out, "%.3f,%llu,%s,%s,%llu,%u,%d,%s\n", sim_time_ns(event->submitted - begin),
                  (unsigned long long)event->call, event->call_name, operations[event->operation],
                  (unsigned long long)event->block, event->blocks, event->force_unit_access ? 1 : 0,
                  block_purpose_name(event->purpose));
}

static void sink_counter(void *context, const char *instance, const char *counter, uint64_t value) {
    const struct results_sink *sink = context;
    results_write_counter(sink->out, sink->point, instance, counter, value);
}

static void write_share(const struct results_sink *sink, const char *resource, double percent, const char *component) {
    begin_row(sink->out, sink->point, RESULT_UTILIZATION);
    csv_write_field(resource, sink->out);
    (void)fprintf(sink->out, ",%.4f,%s\n", percent, component);
}

/* One row a component that the resource worked for, then idle: 100 % in sum. */
static void sink_usage(void *context, const char *resource, const struct usage *usage) {
    const struct results_sink *sink = context;
    struct usage closed = *usage;
    usage_close(&closed, sink->end);
    const double elapsed = (double)usage_elapsed(&closed);
    if (elapsed <= 0) {
        return;
    }
    for (ledger_component component = 1; component <= ledger_component_count(); component++) {
        if (closed.spent[component] > 0) {
            write_share(sink, resource, 100 * (double)closed.spent[component] / elapsed,
                        ledger_component_name(component));
        }
    }
    write_share(sink, resource, 100 * (double)closed.spent[0] / elapsed, "idle");
}

struct stats_sink results_stats_sink(struct results_sink *sink) {
    return (struct stats_sink){sink, sink_counter, sink_usage};
}

void results_visit_cost(void *sink, const char *key, const struct cost *cost) {
    const struct results_sink *to = sink;
    if (cost->uses == 0) {
        (void)fprintf(to->out, "unused\t%s\t%s\n", to->point->experiment->systems[to->point->system].name, key);
    }
}

void results_write_drops(FILE *out, const struct plan_point *point, const struct ledger *ledger) {
    const struct ledger_drop *drops;
    const size_t count = ledger_drops(ledger, &drops);
    for (size_t i = 0; i < count; i++) {
        char name[160];
        (void)snprintf(name, sizeof name, "drops in %s: %s", ledger_component_name(drops[i].owner), drops[i].reason);
        results_write_counter(out, point, "ledger", name, drops[i].count);
    }
}

void results_write_warning(FILE *out, const struct plan_point *point, const char *text) {
    (void)fprintf(out, "warning\tpoint %zu (%s): %s\n", point->index, point->experiment->systems[point->system].name,
                  text);
}

void results_write_done(FILE *out, uint64_t events, uint64_t requests, double busy_seconds,
                        uint64_t peak_memory_bytes) {
    (void)fprintf(out, "done\t%llu %llu %.6f %llu\n", (unsigned long long)events, (unsigned long long)requests,
                  busy_seconds, (unsigned long long)peak_memory_bytes);
}
