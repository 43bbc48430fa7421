/* plot_published.c: the published values that a plot shows beside the simulated. */
#include <libgen.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "experiment/plot_internal.h"
#include "experiment/share.h"

/* The paper's file: beside the results, or in configs/papers, or as it is written.
 * The results' config.yaml is a copy, so that its relative paths lead nowhere. */
static void find_paper(const struct plot *plot, const char *paper, char *out, size_t out_bytes) {
    char copy[PLOT_PATH_BYTES], name[PLOT_PATH_BYTES];
    (void)snprintf(copy, sizeof copy, "%s", paper);
    const char *base = basename(copy);
    const char *ending = strchr(base, '.') == NULL ? ".yaml" : "";
    (void)snprintf(out, out_bytes, "%s/%s%s", plot->folder, base, ending);
    if (access(out, R_OK) == 0) {
        return;
    }
    (void)snprintf(name, sizeof name, "configs/papers/%s%s", base, ending);
    if (!share_find(name, out, out_bytes) && access(paper, R_OK) == 0) {
        (void)snprintf(out, out_bytes, "%s", paper);
    }
}

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
    find_paper(plot, config_text(config_get(wanted, "paper"), ""), path, sizeof path);
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
