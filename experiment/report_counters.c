/* report_counters.c: chosen counters of each point, as a table. */
#include <math.h>
#include <string.h>

#include "experiment/csv_table.h"
#include "experiment/plot_internal.h"
#include "experiment/report_internal.h"
#include "experiment/text_table.h"

enum { AXES_MAX = 16 };

static bool is_counter(const struct config_node *node) {
    const char *text = config_text(node, "");
    const char *dot = strrchr(text, '.');
    return dot != NULL && dot > text && dot[1] != '\0';
}

bool report_check_counters(const struct config_node *counters, struct diagnostics *diagnostics) {
    const size_t before = diagnostics->errors;
    if (counters->kind != CONFIG_MAPPING) {
        diagnostics_at(diagnostics, counters, "report.counters: expected {head of the column: instance.counter}");
        return false;
    }
    for (size_t i = 0; i < counters->count; i++) {
        const struct config_node *wanted = counters->children[i];
        const bool list = wanted->kind == CONFIG_SEQUENCE;
        for (size_t k = 0; k < (list ? wanted->count : 1); k++) {
            const struct config_node *one = list ? wanted->children[k] : wanted;
            if (!is_counter(one)) {
                diagnostics_at(diagnostics, one, "report.counters: '%s' is no instance.counter", config_text(one, ""));
            }
        }
    }
    return diagnostics->errors == before;
}

/* A counter of the point whose rows begin at `row`; NAN if it has none of that name. */
static double value_of(const struct csv_table *csv, size_t row, const struct config_node *name) {
    const char *text = config_text(name, ""), *dot = strrchr(text, '.');
    char instance[128];
    (void)snprintf(instance, sizeof instance, "%.*s", (int)(dot - text), text);
    const char *const where[] = {
        "point", csv_table_cell(csv, row, csv_table_column(csv, "point")), "instance", instance, "counter", dot + 1,
        NULL};
    const size_t found = csv_table_find(csv, row, where);
    return found < csv->row_count ? csv_table_number(csv, found, csv_table_column(csv, "value")) : (double)NAN;
}

/* A list is added up, as far as there is something. */
static double sum_of(const struct csv_table *csv, size_t row, const struct config_node *wanted) {
    if (wanted->kind != CONFIG_SEQUENCE) {
        return value_of(csv, row, wanted);
    }
    double sum = NAN;
    for (size_t i = 0; i < wanted->count; i++) {
        const double value = value_of(csv, row, wanted->children[i]);
        sum = isnan(value) ? sum : isnan(sum) ? value : sum + value;
    }
    return sum;
}

static void fill(struct text_table *table, const struct csv_table *csv, const struct config_node *counters) {
    int axes[AXES_MAX];
    const size_t axis_count = plot_axes(csv, axes, AXES_MAX);
    const int point = csv_table_column(csv, "point"), system = csv_table_column(csv, "system");
    text_table_column(table, TEXT_TABLE_KEY, NULL, "system");
    for (size_t i = 0; i < axis_count; i++) {
        text_table_column(table, TEXT_TABLE_KEY, NULL, csv->columns[axes[i]]);
    }
    for (size_t i = 0; i < counters->count; i++) {
        text_table_column(table, TEXT_TABLE_NUMBER, NULL, counters->keys[i]);
    }
    for (size_t row = 0; row < csv->row_count; row++) {
        if (row > 0 && strcmp(csv_table_cell(csv, row, point), csv_table_cell(csv, row - 1, point)) == 0) {
            continue;
        }
        text_table_cell(table, csv_table_cell(csv, row, system));
        for (size_t i = 0; i < axis_count; i++) {
            text_table_cell(table, csv_table_cell(csv, row, axes[i]));
        }
        for (size_t i = 0; i < counters->count; i++) {
            text_table_number(table, sum_of(csv, row, counters->children[i]), 0);
        }
    }
}

void report_print_counters(const struct config_node *report, const char *folder, size_t width, FILE *out) {
    const struct config_node *counters = config_get(report, "counters");
    char path[1200];
    struct csv_table csv;
    struct error ignored = {0};
    (void)snprintf(path, sizeof path, "%s/counters.csv", folder);
    if (counters == NULL || csv_table_read(path, &csv, &ignored) != OK) {
        return;
    }
    struct text_table *table = text_table_create();
    fill(table, &csv, counters);
    (void)fprintf(out, "\nCounters\n\n");
    text_table_print(table, out, width);
    text_table_free(table);
    csv_table_free(&csv);
}
