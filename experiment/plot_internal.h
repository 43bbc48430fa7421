/* plot_internal.h: what the files that draw plots share.
 *
 * A plot becomes two files in the results folder: <name>.dat (what is drawn, as
 * numbers) and <name>.gp (titles, labels, colours), which plots/<kind>.gp turns into
 * <name>.png and <name>.svg. */
#ifndef STILLSUIT_EXPERIMENT_PLOT_INTERNAL_H
#define STILLSUIT_EXPERIMENT_PLOT_INTERNAL_H

#include "experiment/csv_table.h"
#include "experiment/papers.h"
#include "experiment/plot.h"
#include "sim/config.h"

enum { PLOT_TEXT_BYTES = 256, PLOT_PATH_BYTES = 2048, PLOT_SERIES_MAX = 32, PLOT_VALUES_MAX = 1024 };

enum plot_kind { PLOT_BREAKDOWN, PLOT_LINES };
enum plot_scale { PLOT_LINEAR, PLOT_LOG, PLOT_SYMLOG };

/* One entry of an experiment's `plot:`. */
struct plot_entry {
    int kind; /* enum plot_kind */
    const char *name, *title;
    const char *x, *y, *xlabel, *ylabel, *unit, *relative_to;
    int xscale, yscale; /* enum plot_scale */
    bool deviations;
    const struct config_node *rows, *labels, *where, *published, *relative_to_place;
};

/* A published table, from a paper file. */
struct plot_published {
    struct paper *paper; /* NULL: the plot has none */
    struct paper_figure figures[PLOT_VALUES_MAX];
    size_t count;
};
struct plot {
    const char *folder;
    const struct config_node *root; /* of the experiment */
    struct plot_entry entry;
    struct plot_published published;
};

/* ---- plot_published.c ---- */
/* Opens the table that the plot names ({paper, table}); nothing if it names none. */
enum error_code plot_published_open(struct plot *plot, struct error *error);
/* NAN where the table has no such row or column. */
double plot_published_value(const struct plot_published *published, const char *row, const char *column);
/* "" if it has none. */
const char *plot_published_unit(const struct plot_published *published);

/* ---- plot_label.c ---- */
/* How a system, component or column is called in a plot: what the entry's `labels`
 * says, else the component's own label, else the name with blanks for underscores. */
void plot_label(const struct plot *plot, const char *name, char *out, size_t out_bytes);
/* What a row of results is of: its system and its place on the matrix's columns `axes` but
 * for `except` (-1: none), each by its label in the entry's `labels` or as it is written.
 * Left out: a system whose label is "", and a column that the entry's `where` fixes. */
void plot_place_label(const struct plot *plot, const struct csv_table *table, size_t row, int except,
                      const char *separator, char *out, size_t out_bytes);
/* The number that, times a value of `column`, gives it in `unit`; 0 if that does
 * not fit. "completed_per_s" and "kpps": 0.001. */
double plot_unit_scale(const char *column, const char *unit);
/* The unit that a column is shown in unless another is asked for. */
const char *plot_unit_default(const char *column);
/* A unit as one prints it. */
const char *plot_unit_text(const char *unit);
/* Splits "8 us" into 8 and "us"; false if it does not begin with a number. */
bool plot_quantity(const char *text, double *number, const char **unit);
/* The same in the base unit (fs, bytes, bits/s), so that units can be mixed. */
bool plot_quantity_base(const char *text, double *number);

/* ---- plot_select.c ---- */
/* The columns of the matrix: those between `system` and what was measured. */
size_t plot_axes(const struct csv_table *table, int *columns, size_t most);
/* Whether a row is one that the entry's `where` asks for. */
bool plot_selects(const struct plot *plot, const struct csv_table *table, size_t row);

/* ---- plot_breakdown.c, plot_lines.c: write the two files. ---- */
/* Whether `y` is a quantity's name or "file.column"; with the name that is nearest, or NULL. */
bool plot_y_is_known(const char *y, const char **nearest);
enum error_code plot_breakdown_write(const struct plot *plot, FILE *settings, FILE *data, struct error *error);
enum error_code plot_lines_write(const struct plot *plot, FILE *settings, FILE *data, struct error *error);

/* ---- gnuplot.c ---- */
/* Writes `name = 'text'`, quoted; the text may have several lines. */
void gnuplot_set_text(FILE *settings, const char *name, const char *text);
/* Runs `gnuplot -c script argument`. */
enum error_code gnuplot_run(const char *script, const char *argument, struct error *error);

#endif
