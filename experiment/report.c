/* Tables on a terminal from a results folder. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiment/csv_table.h"
#include "experiment/experiment.h"
#include "experiment/papers.h"
#include "experiment/plan.h"

enum { FIGURES_MAX = 512, NAME_WIDTH = 20, COLUMN_WIDTH = 30 };

static const char *const bold_on = "", *const bold_off = "";

static void rule(FILE *out, size_t columns) {
    for (size_t i = 0; i < NAME_WIDTH + columns * COLUMN_WIDTH; i++) {
        (void)fputc('-', out);
    }
    (void)fputc('\n', out);
}

static const struct paper_figure *figure_at(const struct paper_figure *figures, size_t count, const char *column,
                                            const char *row) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(figures[i].column, column) == 0 && strcmp(figures[i].row, row) == 0) {
            return &figures[i];
        }
    }
    return NULL;
}

static void print_cell(FILE *out, const struct paper_figure *figure) {
    char cell[64] = "-";
    if (figure != NULL && isnan(figure->simulated)) {
        (void)snprintf(cell, sizeof cell, "%8s  %8.4g  %7s", "none", figure->published, "");
    } else if (figure != NULL) {
        char difference[24] = "";
        if (!isnan(figure->error_percent)) {
            (void)snprintf(difference, sizeof difference, "%+.1f %%", figure->error_percent);
        }
        const int decimals = fabs(figure->published) >= 1000 ? 0 : fabs(figure->published) >= 100 ? 1 : 2;
        (void)snprintf(cell, sizeof cell, "%8.*f %8.*f %9s", decimals, figure->simulated, decimals, figure->published,
                       difference);
    }
    (void)fprintf(out, "%*s", COLUMN_WIDTH, cell);
}

/* The distinct rows or columns, in order of appearance. */
static size_t distinct(const struct paper_figure *figures, size_t count, bool columns, const char *out[],
                       size_t capacity) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        const char *text = columns ? figures[i].column : figures[i].row;
        size_t k = 0;
        while (k < found && strcmp(out[k], text) != 0) {
            k++;
        }
        if (k == found && found < capacity) {
            out[found++] = text;
        }
    }
    return found;
}

static void print_table(FILE *out, const struct paper *paper, size_t table, const struct paper_figure *figures,
                        size_t count) {
    const char *columns[32], *rows[64];
    const size_t column_count = distinct(figures, count, true, columns, 32);
    const size_t row_count = distinct(figures, count, false, rows, 64);
    const char *use = figures[0].calibration ? "calibrated" : "predicted";
    for (size_t i = 1; i < count; i++) {
        use = figures[i].calibration != figures[0].calibration ? "part calibrated, part predicted" : use;
    }
    (void)fprintf(out, "\n%s%s%s\n%s; %s, %s\n\n", bold_on, paper_table_title(paper, table), bold_off,
                  paper_title(paper), figures[0].unit, use);
    (void)fprintf(out, "%-*s", NAME_WIDTH, "");
    for (size_t c = 0; c < column_count; c++) {
        (void)fprintf(out, "%*s", COLUMN_WIDTH, columns[c]);
    }
    (void)fprintf(out, "\n%-*s", NAME_WIDTH, "");
    for (size_t c = 0; c < column_count; c++) {
        char head[64];
        (void)snprintf(head, sizeof head, "%8s %8s %9s", "simul.", "publ.", "error");
        (void)fprintf(out, "%*s", COLUMN_WIDTH, head);
    }
    (void)fputc('\n', out);
    rule(out, column_count);
    for (size_t r = 0; r < row_count; r++) {
        (void)fprintf(out, "%-*s", NAME_WIDTH, rows[r]);
        for (size_t c = 0; c < column_count; c++) {
            print_cell(out, figure_at(figures, count, columns[c], rows[r]));
        }
        (void)fputc('\n', out);
    }
}

static enum error_code print_published(const struct config *config, const char *folder, FILE *out,
                                       struct error *error) {
    const struct config_node *report = config_get(config_root((struct config *)(uintptr_t)config), "report");
    const struct config_node *path_node = config_get(report, "paper");
    const char *table_name = config_text(config_get(report, "table"), NULL);
    if (path_node == NULL || table_name == NULL) {
        return OK;
    }
    char path[1200];
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    paper_find(folder, config_text(path_node, ""), path, sizeof path);
    struct paper *paper = paper_load(path, &diagnostics);
    diagnostics_free(&diagnostics);
    if (paper == NULL) {
        return error_set(error, ERR_NOT_FOUND, "the paper %s is not found from here", config_text(path_node, ""));
    }
    const size_t table = paper_table_find(paper, table_name);
    struct paper_figure figures[FIGURES_MAX];
    enum error_code code = OK;
    if (table == paper_tables(paper)) {
        code = error_set(error, ERR_NOT_FOUND, "%s has no table '%s'", paper_name(paper), table_name);
    } else {
        const size_t count = paper_figures(paper, table, folder, figures, FIGURES_MAX, error);
        if (count > 0) {
            print_table(out, paper, table, figures, count < FIGURES_MAX ? count : FIGURES_MAX);
        } else {
            code = ERR_IO;
        }
    }
    paper_free(paper);
    return code;
}

static void print_csv_summary(FILE *out, const char *folder, const char *name, const char *title,
                              const char *const *columns, const double *scales, const char *const *heads) {
    char path[1200];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    struct csv_table csv;
    struct error ignored = {0};
    if (csv_table_read(path, &csv, &ignored) != OK) {
        return;
    }
    if (csv.row_count > 0) {
        (void)fprintf(out, "\n%s\n", title);
        const int first = csv_table_column(&csv, "system");
        /* system and the matrix's columns stand before the first of ours. */
        const int last = csv_table_column(&csv, columns[0]) - 1;
        const int stop = last >= 0 ? last : first;
        for (int column = first; column <= stop; column++) {
            const bool own = strcmp(csv.columns[column], "requests") == 0;
            if (!own) {
                (void)fprintf(out, "%-*s ", column == first ? 27 : 13, csv.columns[column]);
            }
        }
        for (size_t i = 0; heads[i] != NULL; i++) {
            (void)fprintf(out, "%12s", heads[i]);
        }
        (void)fputc('\n', out);
        for (size_t row = 0; row < csv.row_count; row++) {
            for (int column = first; column <= stop; column++) {
                if (strcmp(csv.columns[column], "requests") != 0) {
                    (void)fprintf(out, "%-*s ", column == first ? 27 : 13, csv_table_cell(&csv, row, column));
                }
            }
            for (size_t i = 0; columns[i] != NULL; i++) {
                (void)fprintf(out, "%12.3f",
                              csv_table_number(&csv, row, csv_table_column(&csv, columns[i])) * scales[i]);
            }
            (void)fputc('\n', out);
        }
    }
    csv_table_free(&csv);
}

enum error_code report_print(const char *folder, FILE *out, struct error *error) {
    char path[1200];
    (void)snprintf(path, sizeof path, "%s/config.yaml", folder);
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct config *config = config_load(path, &diagnostics);
    if (config == NULL) {
        diagnostics_free(&diagnostics);
        return error_set(error, ERR_NOT_FOUND, "%s is no results folder: it has no config.yaml", folder);
    }
    (void)fprintf(out, "%s\n", config_text(config_get(config_root(config), "title"), folder));
    static const char *const latency[] = {"mean_ns", "stddev_ns", "p50_ns", "p99_ns", "p999_ns", NULL};
    static const char *const latency_heads[] = {"mean us", "sigma us", "p50 us", "p99 us", "p99.9 us", NULL};
    static const double micro[] = {0.001, 0.001, 0.001, 0.001, 0.001};
    print_csv_summary(out, folder, "latency.csv", "Latency, end to end", latency, micro, latency_heads);
    static const char *const rate[] = {"offered_per_s", "completed_per_s", "dropped_per_s", "bytes_per_s", NULL};
    static const char *const rate_heads[] = {"offered k/s", "done k/s", "dropped k/s", "Gbit/s", NULL};
    static const double kilo[] = {0.001, 0.001, 0.001, 8e-9};
    print_csv_summary(out, folder, "throughput.csv", "Throughput", rate, kilo, rate_heads);
    const enum error_code code = print_published(config, folder, out, error);
    config_free(config);
    diagnostics_free(&diagnostics);
    return code;
}

/* A component's depth cannot be seen in a CSV; the order and the names can. */
enum error_code report_print_detail(const char *folder, const char *system, FILE *out, struct error *error) {
    char path[1200];
    (void)snprintf(path, sizeof path, "%s/breakdown.csv", folder);
    struct csv_table csv;
    const enum error_code code = csv_table_read(path, &csv, error);
    if (code != OK) {
        return code;
    }
    const int system_column = csv_table_column(&csv, "system");
    const int component = csv_table_column(&csv, "component");
    const int kind = csv_table_column(&csv, "kind");
    const char *point = "";
    (void)fprintf(out, "%-6s %-26s %-26s %-8s %12s %12s %12s %9s\n", "point", "system", "component", "kind", "mean ns",
                  "p50 ns", "p99 ns", "share %");
    for (size_t row = 0; row < csv.row_count; row++) {
        const char *name = csv_table_cell(&csv, row, system_column);
        const double mean = csv_table_number(&csv, row, csv_table_column(&csv, "mean_ns"));
        if ((system[0] != '\0' && strcmp(system, name) != 0) || mean == 0) {
            continue;
        }
        const char *here = csv_table_cell(&csv, row, csv_table_column(&csv, "point"));
        (void)fprintf(out, "%s", strcmp(point, here) != 0 && point[0] != '\0' ? "\n" : "");
        point = here;
        (void)fprintf(out, "%-6s %-26s %-26s %-8s %12.3f %12.3f %12.3f %9.3f\n", here, name,
                      csv_table_cell(&csv, row, component), csv_table_cell(&csv, row, kind), mean,
                      csv_table_number(&csv, row, csv_table_column(&csv, "p50_ns")),
                      csv_table_number(&csv, row, csv_table_column(&csv, "p99_ns")),
                      csv_table_number(&csv, row, csv_table_column(&csv, "share_percent")));
    }
    csv_table_free(&csv);
    return OK;
}
