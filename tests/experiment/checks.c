/* checks.c: sums and columns of a results folder. */
#include "tests/experiment/checks.h"
#include "experiment/operation_types.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiment/results.h"
#include "experiment/system_types.h"
#include "sim/ledger.h"
#include "tests/experiment/support.h"

/* CSVs have means with three decimals, shares with four. */
static const double mean_rounding_ns = 0.0005, share_rounding = 0.00005;

void check_headers(const char *folder, const struct experiment *experiment) {
    static const char *const own[RESULT_FILES] = {
        "component,kind,mean_ns,stddev_ns,p50_ns,p99_ns,share_percent",
        "requests,mean_ns,stddev_ns,min_ns,p50_ns,p90_ns,p99_ns,p999_ns,p9999_ns,max_ns",
        "offered_per_s,completed_per_s,dropped_per_s,bytes_per_s",
        "resource,busy_percent,component",
        "instance,counter,value",
    };
    for (size_t i = 0; i < RESULT_FILES; i++) {
        char expected[512];
        int length = snprintf(expected, sizeof expected, "point,system,");
        for (size_t axis = 0; axis < experiment_axes(experiment); axis++) {
            length += snprintf(expected + length, sizeof expected - (size_t)length, "%s,",
                               experiment_axis_name(experiment, axis));
        }
        (void)snprintf(expected + length, sizeof expected - (size_t)length, "%s", own[i]);
        char *text = read_text(path_in(folder, result_file_names[i]));
        text[strcspn(text, "\n")] = '\0';
        cr_expect_str_eq(text, expected, "%s of %s", result_file_names[i], folder);
        free(text);
    }
}

/* Sums of one point. */
struct sums {
    double roots_ns, roots_share, end_to_end_ns, end_to_end_share;
    double mean_ns[LEDGER_COMPONENTS_MAX][LEDGER_KINDS + 1];
    size_t roots, requests;
};

static void check_sums(const char *folder, const char *point, const struct sums *sums) {
    const double slack_ns = mean_rounding_ns * (double)(sums->roots + 2);
    cr_expect_float_eq(sums->roots_ns, sums->end_to_end_ns, slack_ns,
                       "%s, point %s: the components have %.3f ns of %.3f ns", folder, point, sums->roots_ns,
                       sums->end_to_end_ns);
    if (sums->end_to_end_ns > 0) {
        const double share_slack = share_rounding * (double)(sums->roots + 1);
        cr_expect_float_eq(sums->roots_share, 100, share_slack, "%s, point %s: %.4f %%", folder, point,
                           sums->roots_share);
        cr_expect_float_eq(sums->end_to_end_share, 100, share_rounding);
    }
    double below[LEDGER_COMPONENTS_MAX] = {0};
    size_t parts[LEDGER_COMPONENTS_MAX] = {0};
    for (ledger_component c = 1; c <= ledger_component_count(); c++) {
        const double *mean = sums->mean_ns[c];
        cr_expect_float_eq(mean[LEDGER_WAITING] + mean[LEDGER_SERVICE], mean[LEDGER_KINDS], 3 * mean_rounding_ns,
                           "%s, point %s, %s: waiting and service are not the total", folder, point,
                           ledger_component_name(c));
        below[ledger_component_parent(c)] += mean[LEDGER_KINDS];
        parts[ledger_component_parent(c)]++;
    }
    for (ledger_component c = 1; c <= ledger_component_count(); c++) {
        cr_expect_leq(below[c], sums->mean_ns[c][LEDGER_KINDS] + mean_rounding_ns * (double)(parts[c] + 1),
                      "%s, point %s: parts of %s have more than it", folder, point, ledger_component_name(c));
    }
}

/* The component of a row, or 0. What a component waits for its caches is declared
 * when it first happens, in the point's own process: here by its name. */
static ledger_component component_of(const char *name) {
    static char names[LEDGER_COMPONENTS_MAX][64], parents[LEDGER_COMPONENTS_MAX][64];
    static size_t count;
    const char *suffix = strrchr(name, '_');
    if (ledger_find(name) != 0 || suffix == NULL || strcmp(suffix, "_cache") != 0) {
        return ledger_find(name);
    }
    cr_assert_lt(count, LEDGER_COMPONENTS_MAX);
    (void)snprintf(names[count], sizeof *names, "%s", name);
    (void)snprintf(parents[count], sizeof *parents, "%.*s", (int)(suffix - name), name);
    cr_assert_neq(ledger_find(parents[count]), 0, "%s is of no component", name);
    const struct ledger_declaration declaration = {.name = names[count], .parent = parents[count], .label = ""};
    count++;
    return ledger_declare(&declaration);
}

static enum ledger_kind kind_of(const char *text) {
    return strcmp(text, "waiting") == 0 ? LEDGER_WAITING : strcmp(text, "service") == 0 ? LEDGER_SERVICE : LEDGER_KINDS;
}

/* Whether the row's point has rows of what its script measured by name, and their sum. */
static bool has_spans(const struct csv_table *csv, size_t row, int point) {
    const int component = csv_table_column(csv, "component");
    const char *own = csv_table_cell(csv, row, point);
    for (size_t i = 0; i < csv->row_count; i++) {
        if (strcmp(csv_table_cell(csv, i, component), "spans") == 0 &&
            strcmp(csv_table_cell(csv, i, point), own) == 0) {
            return true;
        }
    }
    return false;
}

void check_breakdown(const char *folder) {
    struct csv_table csv = read_csv(folder, "breakdown.csv");
    const int point = csv_table_column(&csv, "point"), component = csv_table_column(&csv, "component");
    const int kind = csv_table_column(&csv, "kind"), mean = csv_table_column(&csv, "mean_ns");
    const int share = csv_table_column(&csv, "share_percent");
    system_types_declare_components();
    operation_types_declare_components();
    struct sums sums = {0};
    cr_assert_gt(csv.row_count, 0);
    for (size_t row = 0; row < csv.row_count; row++) {
        const char *name = csv_table_cell(&csv, row, component);
        const double mean_ns = csv_table_number(&csv, row, mean), percent = csv_table_number(&csv, row, share);
        const ledger_component c = component_of(name);
        const enum ledger_kind which = kind_of(csv_table_cell(&csv, row, kind));
        if (c != 0) {
            sums.mean_ns[c][which] = mean_ns;
        } else if (strcmp(name, "end_to_end") == 0) { /* a point's last row */
            sums.end_to_end_ns = mean_ns;
            sums.end_to_end_share = percent;
            check_sums(folder, csv_table_cell(&csv, row, point), &sums);
            sums = (struct sums){0};
        } else {
            cr_expect(strcmp(name, "rows") == 0 || has_spans(&csv, row, point), "%s: there is no component %s", folder,
                      name);
        }
        if (c != 0 && ledger_component_parent(c) == 0 && which == LEDGER_KINDS) {
            sums.roots++;
            sums.roots_ns += mean_ns;
            sums.roots_share += percent;
        }
    }
    cr_expect_eq(sums.roots, 0, "%s: the last point has no end_to_end", folder);
    csv_table_free(&csv);
}

void check_utilization(const char *folder) {
    struct csv_table csv = read_csv(folder, "utilization.csv");
    const int point = csv_table_column(&csv, "point"), resource = csv_table_column(&csv, "resource");
    const int busy = csv_table_column(&csv, "busy_percent");
    cr_assert_gt(csv.row_count, 0);
    for (size_t row = 0, next; row < csv.row_count; row = next) {
        double sum = 0;
        for (next = row; next < csv.row_count &&
                         strcmp(csv_table_cell(&csv, next, resource), csv_table_cell(&csv, row, resource)) == 0 &&
                         strcmp(csv_table_cell(&csv, next, point), csv_table_cell(&csv, row, point)) == 0;
             next++) {
            const double percent = csv_table_number(&csv, next, busy);
            cr_expect(percent >= 0 && percent <= 100, "%s: %g %%", folder, percent);
            sum += percent;
        }
        cr_expect_float_eq(sum, 100, share_rounding * (double)(next - row + 1), "%s, point %s, %s: %.4f %%", folder,
                           csv_table_cell(&csv, row, point), csv_table_cell(&csv, row, resource), sum);
    }
    csv_table_free(&csv);
}

void check_latency(const char *folder, size_t points, bool may_be_empty) {
    static const char *const rising[] = {"min_ns", "p50_ns", "p90_ns", "p99_ns", "p999_ns", "p9999_ns", "max_ns"};
    struct csv_table csv = read_csv(folder, "latency.csv");
    cr_expect_eq(csv.row_count, points, "%s: %zu points of %zu", folder, csv.row_count, points);
    for (size_t row = 0; row < csv.row_count; row++) {
        const double requests = csv_table_number(&csv, row, csv_table_column(&csv, "requests"));
        const double mean = csv_table_number(&csv, row, csv_table_column(&csv, "mean_ns"));
        double last = 0;
        cr_expect(requests > 0 || may_be_empty, "%s, point %zu measured nothing", folder, row);
        for (size_t i = 0; i < sizeof rising / sizeof *rising; i++) {
            const double value = csv_table_number(&csv, row, csv_table_column(&csv, rising[i]));
            cr_expect_geq(value, last, "%s, point %zu: %s", folder, row, rising[i]);
            last = value;
        }
        cr_expect_leq(mean, last + mean_rounding_ns, "%s, point %zu: the mean exceeds the largest", folder, row);
    }
    csv_table_free(&csv);
}
