/* plot.c: an experiment's plots, from its results folder. */
#include "experiment/plot.h"

#include <errno.h>
#include <string.h>

#include "experiment/experiment.h"
#include "experiment/plot_internal.h"
#include "experiment/share.h"
#include "experiment/system_types.h"

static const char *const kinds[] = {"breakdown", "lines", NULL};
static const char *const scales[] = {"linear", "log", "symlog", NULL};

const struct param plot_params[] = {
    {"kind", PARAM_CHOICE, offsetof(struct plot_entry, kind), NULL, NULL, NULL, kinds,
     "stacked bars of components, or a line a system"},
    {"name", PARAM_TEXT, offsetof(struct plot_entry, name), NULL, NULL, NULL, NULL,
     "of the files: <name>.png and <name>.svg"},
    {"title", PARAM_TEXT, offsetof(struct plot_entry, title), "", NULL, NULL, NULL, "above the plot"},
    {"rows", PARAM_NODE, offsetof(struct plot_entry, rows), "report.rows", NULL, NULL, NULL,
     "breakdown: the components, from the bottom up"},
    {"x", PARAM_TEXT, offsetof(struct plot_entry, x), "", NULL, NULL, NULL,
     "lines: a column of the matrix, of numbers or of names"},
    {"y", PARAM_TEXT, offsetof(struct plot_entry, y), "throughput", NULL, NULL, NULL,
     "lines: throughput, bandwidth, latency, median, p99, or file.column (\"latency.p999_ns\")"},
    {"xlabel", PARAM_TEXT, offsetof(struct plot_entry, xlabel), "", NULL, NULL, NULL, "lines: instead of the column"},
    {"ylabel", PARAM_TEXT, offsetof(struct plot_entry, ylabel), "", NULL, NULL, NULL, "instead of what y names"},
    {"unit", PARAM_TEXT, offsetof(struct plot_entry, unit), "", NULL, NULL, NULL,
     "of y: the published table's unless given here"},
    {"xscale", PARAM_CHOICE, offsetof(struct plot_entry, xscale), "linear", NULL, NULL, scales,
     "symlog: logarithmic, with room for 0"},
    {"yscale", PARAM_CHOICE, offsetof(struct plot_entry, yscale), "linear", NULL, NULL, scales, "the same for y"},
    {"where", PARAM_NODE, offsetof(struct plot_entry, where), "", NULL, NULL, NULL,
     "only rows with these: {column: text or list of texts}"},
    {"relative_to", PARAM_TEXT, offsetof(struct plot_entry, relative_to), "", NULL, NULL, NULL,
     "lines: y is divided by this system's at the same place; without it y is what it is"},
    {"relative_to_place", PARAM_NODE, offsetof(struct plot_entry, relative_to_place), "", NULL, NULL, NULL,
     "lines: y is divided by the same system's where these columns are so: {column: text}"},
    {"labels", PARAM_NODE, offsetof(struct plot_entry, labels), "", NULL, NULL, NULL,
     "{system, component or value of the matrix: its name in the plot}"},
    {"deviations", PARAM_BOOL, offsetof(struct plot_entry, deviations), "true", NULL, NULL, NULL,
     "lines: a bar of the standard deviation at each mean latency"},
    {"published", PARAM_NODE, offsetof(struct plot_entry, published), "", NULL, NULL, NULL,
     "{paper: file, table: name}: shown beside what was simulated"},
    {0},
};

static bool name_is_plain(const char *name) {
    return name[0] != '\0' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == strlen(name);
}

static void check_y(const struct config_node *node, const struct plot_entry *entry, struct diagnostics *diagnostics) {
    const char *nearest;
    if (entry->kind == PLOT_LINES && !plot_y_is_known(entry->y, &nearest)) {
        diagnostics_at(diagnostics, config_get(node, "y"),
                       "plot %s: y: '%s' is neither a quantity nor file.column%s%s%s", entry->name, entry->y,
                       nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
                       nearest != NULL ? "'?" : "");
    }
}

/* What the table's ranges cannot say. */
static void check_entry(const struct config_node *node, const struct plot_entry *entry,
                        struct diagnostics *diagnostics) {
    static const char *const published_keys[] = {"paper", "table", NULL};
    if (!name_is_plain(entry->name)) {
        diagnostics_at(diagnostics, config_get(node, "name"), "a plot's name is letters, digits, '-' and '_'");
    }
    if (entry->kind == PLOT_LINES && entry->x[0] == '\0') {
        diagnostics_at(diagnostics, node, "plot %s: lines need an 'x': a column of the matrix", entry->name);
    }
    if (entry->relative_to_place != NULL && entry->relative_to_place->kind != CONFIG_MAPPING) {
        diagnostics_at(diagnostics, entry->relative_to_place, "plot %s: relative_to_place: expected {column: text}",
                       entry->name);
    }
    if (entry->published != NULL) {
        if (entry->published->kind != CONFIG_MAPPING || config_get(entry->published, "paper") == NULL ||
            config_get(entry->published, "table") == NULL) {
            diagnostics_at(diagnostics, entry->published, "plot %s: published: expected {paper: file, table: name}",
                           entry->name);
        } else {
            (void)config_check_keys(entry->published, published_keys, diagnostics);
        }
    }
}

bool plot_check(const struct config_node *list, struct diagnostics *diagnostics) {
    const size_t before = diagnostics->errors;
    if (list != NULL && list->kind != CONFIG_SEQUENCE) {
        diagnostics_at(diagnostics, list, "plot: expected a list of plots");
        return false;
    }
    for (size_t i = 0; list != NULL && i < list->count; ++i) {
        struct plot_entry entry;
        if (config_bind(list->children[i], plot_params, &entry, diagnostics)) {
            check_entry(list->children[i], &entry, diagnostics);
            check_y(list->children[i], &entry, diagnostics);
        }
    }
    return diagnostics->errors == before;
}

static FILE *open_part(const struct plot *plot, const char *ending, struct error *error) {
    char path[PLOT_PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s.%s", plot->folder, plot->entry.name, ending);
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        (void)error_set(error, ERR_IO, "%s: %s", path, strerror(errno));
    }
    return file;
}

static enum error_code write_parts(const struct plot *plot, struct error *error) {
    FILE *settings = open_part(plot, "gp", error);
    FILE *data = settings != NULL ? open_part(plot, "dat", error) : NULL;
    enum error_code code = ERR_IO;
    if (data != NULL) {
        code = plot->entry.kind == PLOT_BREAKDOWN ? plot_breakdown_write(plot, settings, data, error)
                                                  : plot_lines_write(plot, settings, data, error);
    }
    const bool settings_bad = settings != NULL && (ferror(settings) | fclose(settings));
    const bool data_bad = data != NULL && (ferror(data) | fclose(data));
    if (code == OK && (settings_bad || data_bad)) {
        return error_set(error, ERR_IO, "%s: the plot's data could not be written", plot->folder);
    }
    return code;
}

static enum error_code draw(struct plot *plot, FILE *out, struct error *error) {
    char script[PLOT_PATH_BYTES], name[PLOT_TEXT_BYTES], base[PLOT_PATH_BYTES];
    (void)snprintf(name, sizeof name, "plots/%s.gp", kinds[plot->entry.kind]);
    if (!share_find(name, script, sizeof script)) {
        return error_set(error, ERR_NOT_FOUND, "%s is neither here nor where the program is", name);
    }
    enum error_code code = plot_published_open(plot, error);
    if (code == OK) {
        code = write_parts(plot, error);
    }
    paper_free(plot->published.paper);
    if (code == OK) {
        (void)snprintf(base, sizeof base, "%s/%s", plot->folder, plot->entry.name);
        code = gnuplot_run(script, base, error);
    }
    if (code == OK) {
        (void)fprintf(out, "plot: %s.png %s.svg\n", base, base);
    }
    return code;
}

static enum error_code draw_all(const char *folder, const struct config_node *root, FILE *out, struct error *error) {
    const struct config_node *list = config_get(root, "plot");
    for (size_t i = 0; list != NULL && i < list->count; ++i) {
        struct plot plot = {.folder = folder, .root = root};
        struct diagnostics unused;
        diagnostics_init(&unused);
        (void)config_bind(list->children[i], plot_params, &plot.entry, &unused); /* was checked */
        diagnostics_free(&unused);
        const enum error_code code = draw(&plot, out, error);
        if (code != OK) {
            return code;
        }
    }
    if (list == NULL || list->count == 0) {
        (void)fprintf(out, "the experiment has no 'plot:' list\n");
    }
    return OK;
}

enum error_code plot_run(const char *folder, FILE *out, struct error *error) {
    char path[PLOT_PATH_BYTES];
    system_types_declare_components(); /* for their labels */
    (void)snprintf(path, sizeof path, "%s/config.yaml", folder);
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct config *config = config_load(path, &diagnostics);
    enum error_code code;
    if (config == NULL || !plot_check(config_get(config_root(config), "plot"), &diagnostics)) {
        const struct diagnostic *first = diagnostics.count > 0 ? &diagnostics.items[0] : NULL;
        code = error_set(error, ERR_CONFIG, "%s: %s", path, first != NULL ? first->text : "cannot be read");
    } else {
        code = draw_all(folder, config_root(config), out, error);
    }
    config_free(config);
    diagnostics_free(&diagnostics);
    return code;
}
