/* report.c: tables on a terminal from a results folder. */
#include <math.h>
#include <string.h>

#include "experiment/csv_table.h"
#include "experiment/experiment.h"
#include "experiment/plot_internal.h"
#include "experiment/report_internal.h"
#include "experiment/text_table.h"

/* ---- what was measured ---- */

/* A column of results, as one reads it. */
struct measure {
    const char *column, *head;
    double scale;
    bool as_next; /* left out where it is everywhere what the next one is */
};

/* Three, or as many as its smallest value needs to show three digits. */
static int decimals_of(const struct csv_table *csv, const struct measure *measure) {
    enum { LEAST = 3, MOST = 6 };
    double smallest = INFINITY;
    for (size_t row = 0; row < csv->row_count; row++) {
        const double value = fabs(measure->scale * csv_table_number(csv, row, csv_table_column(csv, measure->column)));
        smallest = value > 0 && value < smallest ? value : smallest;
    }
    const int digits = isinf(smallest) ? LEAST : 2 - (int)floor(log10(smallest));
    return digits < LEAST ? LEAST : digits > MOST ? MOST : digits;
}

/* What is 0 everywhere was none of the experiment's business; where as much was done as was
 * offered, the next column says it. */
static bool is_idle(const struct csv_table *csv, const struct measure *measure) {
    const int column = csv_table_column(csv, measure->column);
    const int next = measure->as_next ? csv_table_column(csv, measure[1].column) : column;
    bool nothing = true, same = measure->as_next;
    for (size_t row = 0; (nothing || same) && row < csv->row_count; row++) {
        const double value = csv_table_number(csv, row, column);
        nothing = nothing && value == 0;
        same = same && value == csv_table_number(csv, row, next);
    }
    return nothing || same;
}

static void fill(struct text_table *table, const struct csv_table *csv, const struct measure *measures) {
    enum { AXES_MAX = 16, MEASURES_MAX = 8 };
    int axes[AXES_MAX], decimals[MEASURES_MAX];
    bool shown[MEASURES_MAX];
    const size_t axis_count = plot_axes(csv, axes, AXES_MAX);
    text_table_column(table, TEXT_TABLE_KEY, NULL, "system");
    for (size_t i = 0; i < axis_count; i++) {
        text_table_column(table, TEXT_TABLE_KEY, NULL, csv->columns[axes[i]]);
    }
    for (size_t i = 0; measures[i].column != NULL; i++) {
        shown[i] = !is_idle(csv, &measures[i]);
        decimals[i] = decimals_of(csv, &measures[i]);
        if (shown[i]) {
            text_table_column(table, TEXT_TABLE_NUMBER, NULL, measures[i].head);
        }
    }
    for (size_t row = 0; row < csv->row_count; row++) {
        text_table_cell(table, csv_table_cell(csv, row, csv_table_column(csv, "system")));
        for (size_t i = 0; i < axis_count; i++) {
            text_table_cell(table, csv_table_cell(csv, row, axes[i]));
        }
        for (size_t i = 0; measures[i].column != NULL; i++) {
            if (shown[i]) {
                const int column = csv_table_column(csv, measures[i].column);
                text_table_number(table, measures[i].scale * csv_table_number(csv, row, column), decimals[i]);
            }
        }
    }
}

static void print_measures(FILE *out, size_t width, const char *folder, const char *name, const char *title,
                           const struct measure *measures) {
    char path[1200];
    struct csv_table csv;
    struct error ignored = {0};
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (csv_table_read(path, &csv, &ignored) != OK) {
        return;
    }
    if (csv.row_count > 0) {
        struct text_table *table = text_table_create();
        fill(table, &csv, measures);
        (void)fprintf(out, "\n%s\n\n", title);
        text_table_print(table, out, width);
        text_table_free(table);
    }
    csv_table_free(&csv);
}

enum error_code report_print(const char *folder, size_t width, FILE *out, struct error *error) {
    static const struct measure latency[] = {
        {"mean_ns", "mean us", 0.001, false},  {"stddev_ns", "sigma us", 0.001, false},
        {"p50_ns", "p50 us", 0.001, false},    {"p99_ns", "p99 us", 0.001, false},
        {"p999_ns", "p99.9 us", 0.001, false}, {NULL, NULL, 0, false}};
    static const struct measure rates[] = {{"offered_per_s", "offered k/s", 0.001, true},
                                           {"completed_per_s", "done k/s", 0.001, false},
                                           {"dropped_per_s", "dropped k/s", 0.001, false},
                                           {"bytes_per_s", "Gbit/s", 8e-9, false},
                                           {NULL, NULL, 0, false}};
    char path[1200];
    (void)snprintf(path, sizeof path, "%s/config.yaml", folder);
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct config *config = config_load(path, &diagnostics);
    diagnostics_free(&diagnostics);
    if (config == NULL) {
        return error_set(error, ERR_NOT_FOUND, "%s is no results folder: it has no config.yaml", folder);
    }
    const struct config_node *report = config_get(config_root(config), "report");
    (void)fprintf(out, "%s\n", config_text(config_get(config_root(config), "title"), folder));
    print_measures(out, width, folder, "latency.csv", "Latency, end to end", latency);
    print_measures(out, width, folder, "throughput.csv", "Throughput", rates);
    report_print_counters(report, folder, width, out);
    const enum error_code code = report_print_published(report, folder, width, out, error);
    config_free(config);
    return code;
}

/* ---- down to the last component ---- */

/* Columns of breakdown.csv: what a row is, and what was measured. */
static void fill_detail(struct text_table *table, const struct csv_table *csv, const char *system) {
    static const char *const keys[] = {"point", "system", "component", "kind"};
    static const struct measure measures[] = {{"mean_ns", "mean ns", 1, false},
                                              {"p50_ns", "p50 ns", 1, false},
                                              {"p99_ns", "p99 ns", 1, false},
                                              {"share_percent", "share %", 1, false}};
    enum { KEYS = sizeof keys / sizeof *keys, MEASURES = sizeof measures / sizeof *measures };
    for (size_t i = 0; i < KEYS; i++) {
        text_table_column(table, TEXT_TABLE_KEY, NULL, keys[i]);
    }
    for (size_t i = 0; i < MEASURES; i++) {
        text_table_column(table, TEXT_TABLE_NUMBER, NULL, measures[i].head);
    }
    for (size_t row = 0; row < csv->row_count; row++) {
        const char *name = csv_table_cell(csv, row, csv_table_column(csv, "system"));
        if ((system[0] != '\0' && strcmp(system, name) != 0) ||
            csv_table_number(csv, row, csv_table_column(csv, "mean_ns")) == 0) {
            continue;
        }
        for (size_t i = 0; i < KEYS; i++) {
            text_table_cell(table, csv_table_cell(csv, row, csv_table_column(csv, keys[i])));
        }
        for (size_t i = 0; i < MEASURES; i++) {
            text_table_number(table, csv_table_number(csv, row, csv_table_column(csv, measures[i].column)), 3);
        }
    }
}

/* A component's depth cannot be seen in a CSV; the order and the names can. */
enum error_code report_print_detail(const char *folder, const char *system, size_t width, FILE *out,
                                    struct error *error) {
    char path[1200];
    struct csv_table csv;
    (void)snprintf(path, sizeof path, "%s/breakdown.csv", folder);
    const enum error_code code = csv_table_read(path, &csv, error);
    if (code != OK) {
        return code;
    }
    struct text_table *table = text_table_create();
    fill_detail(table, &csv, system);
    text_table_print(table, out, width);
    text_table_free(table);
    csv_table_free(&csv);
    return OK;
}
