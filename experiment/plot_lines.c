/* plot_lines.c: a line a system over one column of the matrix, with the published
 * values as hollow points. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiment/plot_internal.h"

enum { AXES_MAX = 16 };

/* Okabe and Ito's colours, without the yellow, which is too light for a line. */
static const unsigned palette[] = {0xD55E00, 0x0072B2, 0x009E73, 0xCC79A7, 0xE69F00, 0x56B4E9, 0x000000, 0x777777};

struct series {
    size_t first; /* row that it begins with: its system and its place on the other axes */
    bool has_published;
};
struct value {
    double x, y, deviation;
};
/* A place of x that needs its mark on the axis. */
struct mark {
    double x;
    const char *text;
};

struct lines {
    const struct plot *plot;
    struct csv_table table;
    char file[PLOT_TEXT_BYTES], column[PLOT_TEXT_BYTES], path[PLOT_PATH_BYTES];
    int system, x, y, deviation, axes[AXES_MAX];
    size_t axis_count;
    struct series series[PLOT_SERIES_MAX];
    size_t series_count;
    struct mark marks[PLOT_VALUES_MAX];
    size_t mark_count;
    bool mixed_units; /* of x: everything is in the base unit then */
    bool named;       /* x is names: places 1, 2, ... in the order of the table */
    const char *x_unit, *unit;
    double scale;
};

/* What y may be, and the file and column that it stands for. */
static const char *const y_names[][3] = {
    {"throughput", "throughput.csv", "completed_per_s"},
    {"bandwidth", "throughput.csv", "bytes_per_s"},
    {"latency", "latency.csv", "mean_ns"},
    {"median", "latency.csv", "p50_ns"},
    {"p99", "latency.csv", "p99_ns"},
};
enum { Y_NAMES = sizeof y_names / sizeof *y_names };

bool plot_y_is_known(const char *y, const char **nearest) {
    const char *names[Y_NAMES + 1] = {NULL};
    bool known = strchr(y, '.') != NULL;
    for (size_t i = 0; i < Y_NAMES; ++i) {
        names[i] = y_names[i][0];
        known = known || strcmp(names[i], y) == 0;
    }
    *nearest = config_nearest(y, names);
    return known;
}

static void name_y(struct lines *self) {
    const char *y = self->plot->entry.y;
    for (size_t i = 0; i < Y_NAMES; ++i) {
        if (strcmp(y_names[i][0], y) == 0) {
            (void)snprintf(self->file, sizeof self->file, "%s", y_names[i][1]);
            (void)snprintf(self->column, sizeof self->column, "%s", y_names[i][2]);
            return;
        }
    }
    const char *dot = strrchr(y, '.');
    (void)snprintf(self->file, sizeof self->file, "%.*s.csv", (int)(dot - y), y); /* was checked */
    (void)snprintf(self->column, sizeof self->column, "%s", dot + 1);
}

static bool is_relative(const struct lines *self) {
    return self->plot->entry.relative_to[0] != '\0' || self->plot->entry.relative_to_place != NULL;
}

static enum error_code check_place(const struct lines *self, struct error *error) {
    const struct config_node *place = self->plot->entry.relative_to_place;
    for (size_t i = 0; place != NULL && i < place->count; ++i) {
        if (csv_table_column(&self->table, place->keys[i]) < 0) {
            return error_set(error, ERR_CONFIG, "plot %s: relative_to_place: %s has no column '%s'",
                             self->plot->entry.name, self->path, place->keys[i]);
        }
    }
    return OK;
}

static enum error_code check_reference(const struct lines *self, struct error *error) {
    const struct plot_entry *entry = &self->plot->entry;
    bool found = entry->relative_to[0] == '\0';
    for (size_t row = 0; !found && row < self->table.row_count; ++row) {
        found = strcmp(csv_table_cell(&self->table, row, self->system), entry->relative_to) == 0;
    }
    return found ? check_place(self, error)
                 : error_set(error, ERR_CONFIG, "plot %s: relative_to: %s has no system '%s'", entry->name, self->path,
                             entry->relative_to);
}

static enum error_code find_columns(struct lines *self, struct error *error) {
    const struct plot_entry *entry = &self->plot->entry;
    self->system = csv_table_column(&self->table, "system");
    self->x = csv_table_column(&self->table, entry->x);
    self->y = csv_table_column(&self->table, self->column);
    const bool has_deviation = entry->deviations && strcmp(self->column, "mean_ns") == 0;
    self->deviation = has_deviation ? csv_table_column(&self->table, "stddev_ns") : -1;
    const char *missing = self->system < 0 ? "system" : self->x < 0 ? entry->x : self->y < 0 ? self->column : NULL;
    if (missing != NULL) {
        return error_set(error, ERR_CONFIG, "plot %s: %s has no column '%s'", entry->name, self->path, missing);
    }
    if (is_relative(self)) {
        self->deviation = -1; /* a ratio's is another */
    }
    self->axis_count = plot_axes(&self->table, self->axes, AXES_MAX);
    return check_reference(self, error);
}

static enum error_code choose_unit(struct lines *self, struct error *error) {
    const struct plot_entry *entry = &self->plot->entry;
    const char *published = self->plot->published.paper != NULL ? plot_published_unit(&self->plot->published) : "";
    if (is_relative(self)) {
        self->unit = "";
        self->scale = 1;
        return OK;
    }
    self->unit = entry->unit[0] != '\0' ? entry->unit : published;
    self->unit = self->unit[0] != '\0' ? self->unit : plot_unit_default(self->column);
    self->scale = plot_unit_scale(self->column, self->unit);
    if (self->scale == 0) {
        return error_set(error, ERR_CONFIG, "plot %s: %s cannot be shown in '%s'", entry->name, self->column,
                         self->unit);
    }
    return OK;
}

/* Whether two rows belong to one line: all but x is the same. */
static bool same_series(const struct lines *self, size_t one, size_t other) {
    bool same =
        strcmp(csv_table_cell(&self->table, one, self->system), csv_table_cell(&self->table, other, self->system)) == 0;
    for (size_t i = 0; same && i < self->axis_count; ++i) {
        same = self->axes[i] == self->x || strcmp(csv_table_cell(&self->table, one, self->axes[i]),
                                                  csv_table_cell(&self->table, other, self->axes[i])) == 0;
    }
    return same;
}

static enum error_code find_series(struct lines *self, struct error *error) {
    for (size_t row = 0; row < self->table.row_count; ++row) {
        size_t at = 0;
        while (at < self->series_count && !same_series(self, self->series[at].first, row)) {
            ++at;
        }
        if (at < self->series_count || !plot_selects(self->plot, &self->table, row)) {
            continue;
        }
        if (self->series_count == PLOT_SERIES_MAX) {
            return error_set(error, ERR_RANGE, "plot %s: more than %d lines; narrow it with 'where:'",
                             self->plot->entry.name, PLOT_SERIES_MAX);
        }
        self->series[self->series_count++].first = row;
    }
    return self->series_count > 0 ? OK
                                  : error_set(error, ERR_NOT_FOUND, "plot %s: nothing to draw", self->plot->entry.name);
}

/* Of a name the place; 0 if it has none. */
static size_t place_of(const struct lines *self, const char *name) {
    for (size_t i = 0; i < self->mark_count; ++i) {
        if (strcmp(self->marks[i].text, name) == 0) {
            return i + 1;
        }
    }
    return 0;
}

static double x_of(const struct lines *self, const char *text) {
    double number;
    const char *unit;
    if (self->named) {
        const size_t place = place_of(self, text);
        return place > 0 ? (double)place : (double)NAN;
    }
    if (self->mixed_units) {
        return plot_quantity_base(text, &number) ? number : (double)NAN;
    }
    return plot_quantity(text, &number, &unit) ? number : (double)NAN;
}

static int by_x(const void *one, const void *other) {
    const double a = ((const struct mark *)one)->x, b = ((const struct mark *)other)->x;
    return (a > b) - (a < b);
}

static void find_names(struct lines *self) {
    for (size_t row = 0; row < self->table.row_count && self->mark_count < PLOT_VALUES_MAX; ++row) {
        const char *text = csv_table_cell(&self->table, row, self->x);
        if (place_of(self, text) == 0 && plot_selects(self->plot, &self->table, row)) {
            self->marks[self->mark_count] = (struct mark){(double)(self->mark_count + 1), text};
            self->mark_count++;
        }
    }
}

/* Whether no value of x is a number. */
static bool are_names(const struct lines *self) {
    bool names = self->table.row_count > 0;
    for (size_t row = 0; names && row < self->table.row_count; ++row) {
        double number;
        const char *unit;
        names = !plot_quantity(csv_table_cell(&self->table, row, self->x), &number, &unit);
    }
    return names;
}

/* The places of x, and whether they share a unit. */
static enum error_code find_marks(struct lines *self, struct error *error) {
    double number;
    self->named = are_names(self);
    if (self->named) {
        self->x_unit = "";
        find_names(self);
        return OK;
    }
    for (size_t row = 0; row < self->table.row_count; ++row) {
        const char *unit, *text = csv_table_cell(&self->table, row, self->x);
        if (!plot_quantity(text, &number, &unit)) {
            return error_set(error, ERR_CONFIG, "plot %s: '%s' of column %s is no number", self->plot->entry.name, text,
                             self->plot->entry.x);
        }
        self->mixed_units = self->mixed_units || (self->x_unit != NULL && strcmp(self->x_unit, unit) != 0);
        self->x_unit = self->x_unit != NULL ? self->x_unit : unit;
    }
    for (size_t row = 0; row < self->table.row_count; ++row) {
        const struct mark mark = {x_of(self, csv_table_cell(&self->table, row, self->x)),
                                  csv_table_cell(&self->table, row, self->x)};
        size_t at = 0;
        while (at < self->mark_count && self->marks[at].x != mark.x) {
            ++at;
        }
        if (at == self->mark_count && self->mark_count < PLOT_VALUES_MAX &&
            plot_selects(self->plot, &self->table, row)) {
            self->marks[self->mark_count++] = mark;
        }
        if (mark.x <= 0 && self->plot->entry.xscale == PLOT_LOG) {
            return error_set(error, ERR_CONFIG, "plot %s: '%s' has no place on a logarithmic axis; take xscale: symlog",
                             self->plot->entry.name, mark.text);
        }
    }
    qsort(self->marks, self->mark_count, sizeof *self->marks, by_x);
    return OK;
}

/* What the row that `row` is divided by has in a column: what the plot names, or the same. */
static const char *wanted_at(const struct lines *self, size_t row, int column) {
    const struct plot_entry *entry = &self->plot->entry;
    if (column == self->system && entry->relative_to[0] != '\0') {
        return entry->relative_to;
    }
    const struct config_node *named = config_get(entry->relative_to_place, self->table.columns[column]);
    return named != NULL ? config_text(named, "") : csv_table_cell(&self->table, row, column);
}

/* The row that `row` is divided by; the table's size if there is none. */
static size_t reference_row(const struct lines *self, size_t row) {
    for (size_t at = 0; at < self->table.row_count; ++at) {
        bool same = strcmp(csv_table_cell(&self->table, at, self->system), wanted_at(self, row, self->system)) == 0;
        for (size_t i = 0; same && i < self->axis_count; ++i) {
            same = strcmp(csv_table_cell(&self->table, at, self->axes[i]), wanted_at(self, row, self->axes[i])) == 0;
        }
        if (same) {
            return at;
        }
    }
    return self->table.row_count;
}

/* What a row's y is multiplied with. */
static double scale_of(const struct lines *self, size_t row) {
    if (!is_relative(self)) {
        return self->scale;
    }
    const size_t reference = reference_row(self, row);
    return reference < self->table.row_count ? 1 / csv_table_number(&self->table, reference, self->y) : (double)NAN;
}

static int value_by_x(const void *one, const void *other) {
    const double a = ((const struct value *)one)->x, b = ((const struct value *)other)->x;
    return (a > b) - (a < b);
}

static void write_simulated(const struct lines *self, size_t index, FILE *data) {
    struct value values[PLOT_VALUES_MAX];
    size_t count = 0;
    for (size_t row = self->series[index].first; row < self->table.row_count && count < PLOT_VALUES_MAX; ++row) {
        if (same_series(self, self->series[index].first, row) && plot_selects(self->plot, &self->table, row)) {
            const double deviation = self->deviation < 0 ? 0 : csv_table_number(&self->table, row, self->deviation);
            const double scale = scale_of(self, row);
            values[count++] = (struct value){x_of(self, csv_table_cell(&self->table, row, self->x)),
                                             scale * csv_table_number(&self->table, row, self->y), scale * deviation};
        }
    }
    qsort(values, count, sizeof *values, value_by_x);
    (void)fprintf(data, "# simulated%zu\n", index + 1);
    for (size_t i = 0; i < count; ++i) {
        (void)fprintf(data, "%.9g %.9g %.9g\n", values[i].x, values[i].y, values[i].deviation);
    }
    (void)fputs("\n\n", data);
}

static void write_published(struct lines *self, size_t index, FILE *data) {
    const char *system = csv_table_cell(&self->table, self->series[index].first, self->system);
    const struct plot_published *published = &self->plot->published;
    for (size_t i = 0; i < published->count; ++i) {
        const char *row = published->figures[i].row;
        const double value = plot_published_value(published, row, system);
        const bool own = strcmp(published->figures[i].column, system) == 0;
        const double x = x_of(self, row);
        if (!own || isnan(value) || isnan(x)) {
            continue;
        }
        if (!self->series[index].has_published) {
            (void)fprintf(data, "# published%zu\n", index + 1);
        }
        self->series[index].has_published = true;
        (void)fprintf(data, "%.9g %.9g\n", x, value);
    }
    if (self->series[index].has_published) {
        (void)fputs("\n\n", data);
    }
}

/* "Linux", and what else tells the line apart: "Linux, 64 B". */
static void write_series_label(const struct lines *self, size_t index, FILE *settings) {
    char label[PLOT_TEXT_BYTES], name[PLOT_TEXT_BYTES];
    plot_place_label(self->plot, &self->table, self->series[index].first, self->x, ", ", label, sizeof label);
    (void)snprintf(name, sizeof name, "series_label[%zu]", index + 1);
    gnuplot_set_text(settings, name, label);
}

static void write_axis(const struct lines *self, FILE *settings) {
    static const char *const scales[] = {"linear", "log", "symlog"};
    const struct plot_entry *entry = &self->plot->entry;
    char label[PLOT_TEXT_BYTES], pretty[PLOT_TEXT_BYTES];
    const bool has_unit = !self->mixed_units && self->x_unit != NULL && self->x_unit[0] != '\0';
    plot_label(self->plot, entry->x, pretty, sizeof pretty);
    (void)snprintf(label, sizeof label, has_unit ? "%s [%s]" : "%s", entry->xlabel[0] != '\0' ? entry->xlabel : pretty,
                   plot_unit_text(self->x_unit));
    gnuplot_set_text(settings, "x_label", entry->xlabel[0] != '\0' ? entry->xlabel : label);
    plot_label(self->plot, entry->y, pretty, sizeof pretty);
    (void)snprintf(label, sizeof label, self->unit[0] != '\0' ? "%s [%s]" : "%s", pretty, plot_unit_text(self->unit));
    gnuplot_set_text(settings, "y_label", entry->ylabel[0] != '\0' ? entry->ylabel : label);
    gnuplot_set_text(settings, "x_scale", scales[entry->xscale]);
    gnuplot_set_text(settings, "y_scale", scales[entry->yscale]);
    /* A place that is not evenly spaced is marked itself. */
    const bool marked = (entry->xscale != PLOT_LINEAR || self->mixed_units) && self->mark_count <= 24;
    const size_t marks = marked || self->named ? self->mark_count : 0;
    (void)fprintf(settings, "named = %d\nmarks = %zu\narray mark_x[%zu]\narray mark_label[%zu]\n", self->named, marks,
                  marks + 1, marks + 1);
    for (size_t i = 0; i < marks; ++i) {
        double number = 0;
        const char *unit;
        (void)plot_quantity(self->marks[i].text, &number, &unit);
        (void)snprintf(label, sizeof label, "%g", number);
        (void)fprintf(settings, "mark_x[%zu] = %.9g\n", i + 1, self->marks[i].x);
        (void)snprintf(pretty, sizeof pretty, "mark_label[%zu]", i + 1);
        gnuplot_set_text(settings, pretty, has_unit ? label : self->marks[i].text);
    }
}

static void write_settings(const struct lines *self, FILE *settings) {
    size_t published = 0;
    gnuplot_set_text(settings, "plot_title", self->plot->entry.title);
    write_axis(self, settings);
    (void)fprintf(settings, "series = %zu\narray series_label[%zu]\narray series_colour[%zu]\narray published[%zu]\n",
                  self->series_count, self->series_count, self->series_count, self->series_count);
    for (size_t i = 0; i < self->series_count; ++i) {
        write_series_label(self, i, settings);
        (void)fprintf(settings, "series_colour[%zu] = 0x%06X\n", i + 1,
                      palette[i % (sizeof palette / sizeof *palette)]);
        if (self->series[i].has_published) {
            (void)fprintf(settings, "published[%zu] = %zu\n", ++published, i + 1);
        }
    }
    for (size_t i = published; i < self->series_count; ++i) {
        (void)fprintf(settings, "published[%zu] = 1\n", i + 1); /* not drawn, but gnuplot looks at it */
    }
    (void)fprintf(settings, "published_count = %zu\nhas_deviation = %d\n", published, self->deviation >= 0);
}

static enum error_code prepare(struct lines *self, struct error *error) {
    name_y(self);
    (void)snprintf(self->path, sizeof self->path, "%s/%s", self->plot->folder, self->file);
    enum error_code code = csv_table_read(self->path, &self->table, error);
    code = code == OK ? find_columns(self, error) : code;
    code = code == OK ? choose_unit(self, error) : code;
    code = code == OK ? find_series(self, error) : code;
    return code == OK ? find_marks(self, error) : code;
}

enum error_code plot_lines_write(const struct plot *plot, FILE *settings, FILE *data, struct error *error) {
    struct lines *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return error_set(error, ERR_EXHAUSTED, "plot %s: out of memory", plot->entry.name);
    }
    self->plot = plot;
    const enum error_code code = prepare(self, error);
    if (code == OK) {
        for (size_t i = 0; i < self->series_count; ++i) {
            write_simulated(self, i, data);
            write_published(self, i, data);
        }
        write_settings(self, settings);
    }
    csv_table_free(&self->table);
    free(self);
    return code;
}
