/* plot_published.c: the published values that a plot shows beside the simulated. */
#include <math.h>
#include <string.h>

#include "experiment/plot_internal.h"

/* The first error of what was reported, as a struct error. */
static enum error_code first_error(const struct diagnostics *diagnostics, const char *path, struct error *error) {
    for (size_t i = 0; i < diagnostics->count; ++i) {
        const struct diagnostic *item = &diagnostics->items[i];
        if (!item->warning) {
            return error_set(error, ERR_CONFIG, "%s:%u:%u: %s", item->file, item->line, item->column, item->text);
        }
    }
    return error_set(error, ERR_CONFIG, "%s: cannot be read", path);
}

static enum error_code load_table(struct plot_published *published, const char *path, const char *table,
                                  struct error *error) {
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    enum error_code code = OK;
    published->paper = paper_load(path, &diagnostics);
    const size_t index = published->paper == NULL ? 0 : paper_table_find(published->paper, table);
    if (published->paper == NULL || diagnostics.errors > 0) {
        code = first_error(&diagnostics, path, error);
    } else if (index == paper_tables(published->paper)) {
        code = error_set(error, ERR_NOT_FOUND, "%s has no table '%s'", path, table);
    } else {
        published->count = paper_figures(published->paper, index, NULL, published->figures, PLOT_VALUES_MAX, error);
        published->count = published->count < PLOT_VALUES_MAX ? published->count : PLOT_VALUES_MAX;
    }
    diagnostics_free(&diagnostics);
    return code;
}

enum error_code plot_published_open(struct plot *plot, struct error *error) {
    const struct config_node *wanted = plot->entry.published;
    if (wanted == NULL) {
        return OK;
    }
    char path[PLOT_PATH_BYTES];
    paper_find(plot->folder, config_text(config_get(wanted, "paper"), ""), path, sizeof path);
    return load_table(&plot->published, path, config_text(config_get(wanted, "table"), ""), error);
}

double plot_published_value(const struct plot_published *published, const char *row, const char *column) {
    for (size_t i = 0; i < published->count; ++i) {
        const struct paper_figure *figure = &published->figures[i];
        if ((strcmp(figure->row, row) == 0 || strcmp(figure->source_row, row) == 0) &&
            strcmp(figure->column, column) == 0) {
            return figure->published;
        }
    }
    return (double)NAN;
}

const char *plot_published_unit(const struct plot_published *published) {
    return published->count > 0 ? published->figures[0].unit : "";
}
