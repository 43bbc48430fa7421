/* plot_breakdown.c: stacked bars: what the components of each system take, with the
 * published values beside them. Geometry is plots/breakdown.gp's. */
#include <math.h>
#include <string.h>

#include "experiment/plot_internal.h"

enum { ROWS_MAX = 32, GROUPS_MAX = 64 };

/* Okabe and Ito's colours, which the colour-blind tell apart, in an order in which
 * neighbours differ in lightness as well; then darker kin for more rows. */
static const unsigned palette[] = {0x0072B2, 0xE69F00, 0x009E73, 0xF0E442, 0xD55E00, 0x56B4E9, 0xCC79A7,
                                   0x999999, 0x004C77, 0x996A00, 0x006A4D, 0x8E3F00, 0x885170, 0x555555};

struct breakdown {
    const struct plot *plot;
    struct csv_table table;
    const char *rows[ROWS_MAX];
    size_t row_count;
    /* One group a point: its first row in the table. */
    size_t groups[GROUPS_MAX], group_count;
    int point, system, component, kind, mean, deviation;
    double scale, highest;
    const char *unit;
};

/* 55 % of the way to white: the published bars. */
static unsigned tint(unsigned colour) {
    unsigned out = 0;
    for (unsigned shift = 0; shift <= 16; shift += 8) {
        const unsigned part = colour >> shift & 0xFFU;
        out |= (part + (0xFFU - part) * 55 / 100) << shift;
    }
    return out;
}

/* Whether white text reads better on it than black. */
static bool is_dark(unsigned colour) {
    return 299 * (colour >> 16 & 0xFFU) + 587 * (colour >> 8 & 0xFFU) + 114 * (colour & 0xFFU) < 140000;
}

static enum error_code read_rows(struct breakdown *self, struct error *error) {
    const struct config_node *rows = self->plot->entry.rows;
    if (rows == NULL) {
        rows = config_path(self->plot->root, "report.rows");
    }
    for (size_t i = 0; rows != NULL && i < rows->count && i < ROWS_MAX; ++i) {
        const char *name = config_text(rows->children[i], "");
        /* What sums up the others is no part of a stack. */
        if (strcmp(name, "rows") != 0 && strcmp(name, "end_to_end") != 0) {
            self->rows[self->row_count++] = name;
        }
    }
    if (self->row_count == 0) {
        return error_set(error, ERR_CONFIG, "plot %s: needs rows, or a report with rows", self->plot->entry.name);
    }
    return OK;
}

static enum error_code read_table(struct breakdown *self, struct error *error) {
    char path[PLOT_PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/breakdown.csv", self->plot->folder);
    const enum error_code code = csv_table_read(path, &self->table, error);
    if (code != OK) {
        return code;
    }
    static const char *const names[] = {"point", "system", "component", "kind", "mean_ns", "stddev_ns"};
    int *const columns[] = {&self->point, &self->system, &self->component, &self->kind, &self->mean, &self->deviation};
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
        *columns[i] = csv_table_column(&self->table, names[i]);
        if (*columns[i] < 0) {
            return error_set(error, ERR_CONFIG, "%s has no column '%s'", path, names[i]);
        }
    }
    for (size_t row = 0; row < self->table.row_count && self->group_count < GROUPS_MAX; ++row) {
        const char *point = csv_table_cell(&self->table, row, self->point);
        const bool same =
            self->group_count > 0 &&
            strcmp(csv_table_cell(&self->table, self->groups[self->group_count - 1], self->point), point) == 0;
        if (!same && plot_selects(self->plot, &self->table, row)) {
            self->groups[self->group_count++] = row;
        }
    }
    return self->group_count > 0 ? OK : error_set(error, ERR_NOT_FOUND, "%s holds nothing to draw", path);
}

/* A component's value in a group, in the plot's unit; NAN if it has none. */
static double simulated(const struct breakdown *self, size_t group, const char *component, int column) {
    const char *point = csv_table_cell(&self->table, self->groups[group], self->point);
    const char *const where[] = {"point", point, "component", component, "kind", "total", NULL};
    const size_t row = csv_table_find(&self->table, self->groups[group], where);
    return row < self->table.row_count ? self->scale * csv_table_number(&self->table, row, column) : (double)NAN;
}

static double published(const struct breakdown *self, size_t group, const char *component) {
    const char *system = csv_table_cell(&self->table, self->groups[group], self->system);
    return plot_published_value(&self->plot->published, component, system);
}

/* Breaks a label into lines at commas and blanks, so that neighbours do not touch. */
static void wrap(char *label) {
    enum { LINE_CHARACTERS = 16 };
    size_t start = 0;
    for (size_t i = 0; label[i] != '\0'; ++i) {
        const size_t word = strcspn(label + i + 1, " \n");
        if (label[i] == '\n') {
            start = i + 1;
        } else if (label[i] == ' ' && ((i > 0 && label[i - 1] == ',') || i + 1 + word - start > LINE_CHARACTERS)) {
            label[i] = '\n';
            start = i + 1;
        }
    }
}

/* Returns how many lines it has. */
static size_t write_group_label(const struct breakdown *self, size_t group, FILE *settings) {
    char label[PLOT_TEXT_BYTES], name[PLOT_TEXT_BYTES];
    plot_place_label(self->plot, &self->table, self->groups[group], -1, "\n", label, sizeof label);
    wrap(label);
    (void)snprintf(name, sizeof name, "group_label[%zu]", group + 1);
    gnuplot_set_text(settings, name, label);
    size_t lines = 1;
    for (const char *at = label; *at != '\0'; ++at) {
        lines += *at == '\n';
    }
    return lines;
}

static void write_settings(const struct breakdown *self, bool any_published, FILE *settings) {
    char label[PLOT_TEXT_BYTES], name[PLOT_TEXT_BYTES];
    gnuplot_set_text(settings, "plot_title", self->plot->entry.title);
    (void)snprintf(label, sizeof label, "Time per request [%s]", plot_unit_text(self->unit));
    gnuplot_set_text(settings, "y_label", self->plot->entry.ylabel[0] != '\0' ? self->plot->entry.ylabel : label);
    (void)fprintf(settings, "rows = %zu\ngroups = %zu\nhas_published = %d\nhighest = %.9g\n", self->row_count,
                  self->group_count, any_published, self->highest);
    (void)fprintf(settings, "array row_label[%zu]\narray row_colour[%zu]\narray row_tint[%zu]\narray row_dark[%zu]\n",
                  self->row_count, self->row_count, self->row_count, self->row_count);
    for (size_t i = 0; i < self->row_count; ++i) {
        const unsigned colour = palette[i % (sizeof palette / sizeof *palette)];
        plot_label(self->plot, self->rows[i], label, sizeof label);
        (void)snprintf(name, sizeof name, "row_label[%zu]", i + 1);
        gnuplot_set_text(settings, name, label);
        (void)fprintf(settings, "row_colour[%zu] = 0x%06X\nrow_tint[%zu] = 0x%06X\nrow_dark[%zu] = %d\n", i + 1, colour,
                      i + 1, tint(colour), i + 1, is_dark(colour));
    }
    (void)fprintf(settings, "array group_label[%zu]\n", self->group_count);
    size_t lines = 1;
    for (size_t group = 0; group < self->group_count; ++group) {
        const size_t own = write_group_label(self, group, settings);
        lines = own > lines ? own : lines;
    }
    (void)fprintf(settings, "label_lines = %zu\n", lines);
}

/* One bar, a segment a line: row, group, 0 or 1 (published), from, to. Returns how
 * high it is; negative if there is none. */
static double write_bar(const struct breakdown *self, size_t group, bool is_published, FILE *data) {
    double from = 0;
    bool any = false;
    for (size_t i = 0; i < self->row_count; ++i) {
        const double value =
            is_published ? published(self, group, self->rows[i]) : simulated(self, group, self->rows[i], self->mean);
        if (!isnan(value)) {
            (void)fprintf(data, "%zu %zu %d %.9g %.9g\n", i + 1, group + 1, is_published, from, from + value);
            from += value;
            any = true;
        }
    }
    return any ? from : -1;
}

struct total {
    size_t group;
    bool is_published;
    double height, value, deviation;
};

/* The whole as measured, which is the sum of the rows unless some are left out. */
static struct total total_of(const struct breakdown *self, size_t group, bool is_published, double height) {
    struct total total = {group, is_published, height, height, 0};
    const double value = is_published ? published(self, group, "total") : simulated(self, group, "rows", self->mean);
    const double deviation =
        is_published ? published(self, group, "sigma") : simulated(self, group, "rows", self->deviation);
    total.value = isnan(value) ? height : value;
    total.deviation = isnan(deviation) ? 0 : deviation;
    return total;
}

static void write_data(struct breakdown *self, FILE *settings, FILE *data) {
    struct total totals[2 * GROUPS_MAX];
    size_t count = 0;
    bool any_published = false;
    (void)fprintf(data, "# segments: row group published from_%s to_%s\n", self->unit, self->unit);
    for (size_t group = 0; group < self->group_count; ++group) {
        for (int is_published = 0; is_published <= (self->plot->published.paper != NULL); ++is_published) {
            const double height = write_bar(self, group, is_published, data);
            if (height < 0) {
                continue;
            }
            any_published = any_published || is_published;
            totals[count] = total_of(self, group, is_published, height);
            self->highest = fmax(self->highest, totals[count].height + totals[count].deviation);
            count++;
        }
    }
    (void)fprintf(data, "\n\n# totals: group published height_%s total_%s deviation_%s\n", self->unit, self->unit,
                  self->unit);
    for (size_t i = 0; i < count; ++i) {
        (void)fprintf(data, "%zu %d %.9g %.9g %.9g\n", totals[i].group + 1, totals[i].is_published, totals[i].height,
                      totals[i].value, totals[i].deviation);
    }
    write_settings(self, any_published, settings);
}

enum error_code plot_breakdown_write(const struct plot *plot, FILE *settings, FILE *data, struct error *error) {
    struct breakdown self = {.plot = plot};
    self.unit = plot->published.paper != NULL ? plot_published_unit(&plot->published) : plot->entry.unit;
    self.unit = plot->entry.unit[0] != '\0' ? plot->entry.unit : self.unit[0] != '\0' ? self.unit : "us";
    self.scale = plot_unit_scale("mean_ns", self.unit);
    if (self.scale == 0) {
        return error_set(error, ERR_CONFIG, "plot %s: a breakdown is in ns, us or ms, not in '%s'", plot->entry.name,
                         self.unit);
    }
    enum error_code code = read_rows(&self, error);
    if (code == OK) {
        code = read_table(&self, error);
    }
    if (code == OK) {
        write_data(&self, settings, data);
    }
    csv_table_free(&self.table);
    return code;
}
