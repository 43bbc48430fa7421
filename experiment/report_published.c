/* report_published.c: what was simulated beside what a paper has. */
#include <math.h>
#include <string.h>

#include "experiment/papers.h"
#include "experiment/report_internal.h"
#include "experiment/text_table.h"

enum { FIGURES_MAX = 512 };

static const struct paper_figure *figure_at(const struct paper_figure *figures, size_t count, const char *column,
                                            const char *row) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(figures[i].column, column) == 0 && strcmp(figures[i].row, row) == 0) {
            return &figures[i];
        }
    }
    return NULL;
}

/* Simulated, published, error. */
static void put_figure(struct text_table *text, const struct paper_figure *figure) {
    const double size = figure != NULL ? fabs(figure->published) : 0;
    const int decimals = size >= 1000 ? 0 : size >= 100 ? 1 : 2;
    char difference[24] = "";
    if (figure == NULL) {
        text_table_cell(text, "-");
        text_table_cell(text, "-");
        text_table_cell(text, "");
        return;
    }
    if (isnan(figure->simulated)) {
        text_table_cell(text, "none");
    } else {
        text_table_number(text, figure->simulated, decimals);
        if (!isnan(figure->error_percent)) {
            (void)snprintf(difference, sizeof difference, "%+.1f %%", figure->error_percent);
        }
    }
    text_table_number(text, figure->published, decimals);
    text_table_cell(text, difference);
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

static void print_table(FILE *out, size_t width, const struct paper *paper, size_t table,
                        const struct paper_figure *figures, size_t count) {
    const char *columns[32], *rows[64];
    const size_t column_count = distinct(figures, count, true, columns, 32);
    const size_t row_count = distinct(figures, count, false, rows, 64);
    const char *use = figures[0].calibration ? "calibrated" : "predicted";
    for (size_t i = 1; i < count; i++) {
        use = figures[i].calibration != figures[0].calibration ? "part calibrated, part predicted" : use;
    }
    (void)fprintf(out, "\n%s\n%s; %s, %s\n\n", paper_table_title(paper, table), paper_title(paper), figures[0].unit,
                  use);
    struct text_table *text = text_table_create();
    text_table_column(text, TEXT_TABLE_KEY, NULL, "");
    for (size_t c = 0; c < column_count; c++) {
        text_table_column(text, TEXT_TABLE_NUMBER, columns[c], "simul.");
        text_table_column(text, TEXT_TABLE_NUMBER, columns[c], "publ.");
        text_table_column(text, TEXT_TABLE_NUMBER, columns[c], "error");
    }
    for (size_t r = 0; r < row_count; r++) {
        text_table_cell(text, rows[r]);
        for (size_t c = 0; c < column_count; c++) {
            put_figure(text, figure_at(figures, count, columns[c], rows[r]));
        }
    }
    text_table_print(text, out, width);
    text_table_free(text);
}

enum error_code report_print_published(const struct config_node *report, const char *folder, size_t width, FILE *out,
                                       struct error *error) {
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
            print_table(out, width, paper, table, figures, count < FIGURES_MAX ? count : FIGURES_MAX);
        } else {
            code = ERR_IO;
        }
    }
    paper_free(paper);
    return code;
}
