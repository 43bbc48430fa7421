#include "experiment/papers.h"

#include <libgen.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiment/csv_table.h"
#include "experiment/plan.h"
#include "experiment/share.h"

struct paper {
    struct config *config;
    const struct config_node *tables;
};

struct paper *paper_load(const char *path, struct diagnostics *diagnostics) {
    const size_t errors = diagnostics->errors;
    struct config *config = config_load(path, diagnostics);
    if (config == NULL) {
        return NULL;
    }
    const struct config_node *tables = config_get(config_root(config), "tables");
    const bool good = paper_check(config_root(config), diagnostics);
    if (!good || diagnostics->errors > errors) {
        config_free(config);
        return NULL;
    }
    struct paper *paper = malloc(sizeof *paper);
    SIM_ASSERT(paper != NULL);
    *paper = (struct paper){config, tables};
    return paper;
}

void paper_free(struct paper *paper) {
    if (paper != NULL) {
        config_free(paper->config);
        free(paper);
    }
}

const char *paper_name(const struct paper *paper) {
    return config_text(config_get(config_root(paper->config), "paper"), "");
}

const char *paper_title(const struct paper *paper) {
    return config_text(config_get(config_root(paper->config), "title"), paper_name(paper));
}

void paper_find(const char *folder, const char *written, char *out, size_t out_bytes) {
    enum { PATH_BYTES = 1024 };
    char copy[PATH_BYTES], name[PATH_BYTES];
    (void)snprintf(copy, sizeof copy, "%s", written);
    const char *base = basename(copy);
    const char *ending = strchr(base, '.') == NULL ? ".yaml" : "";
    (void)snprintf(out, out_bytes, "%s/%s%s", folder, base, ending);
    if (access(out, R_OK) == 0) {
        return;
    }
    (void)snprintf(name, sizeof name, "configs/papers/%s%s", base, ending);
    if (!share_find(name, out, out_bytes) && access(written, R_OK) == 0) {
        (void)snprintf(out, out_bytes, "%s", written);
    }
}

size_t paper_tables(const struct paper *paper) {
    return paper->tables->count;
}

const char *paper_table_name(const struct paper *paper, size_t table) {
    return paper->tables->keys[table];
}

const char *paper_table_title(const struct paper *paper, size_t table) {
    return config_text(config_get(paper->tables->children[table], "title"), paper_table_name(paper, table));
}

size_t paper_table_find(const struct paper *paper, const char *name) {
    size_t i = 0;
    while (i < paper->tables->count && strcmp(paper->tables->keys[i], name) != 0) {
        i++;
    }
    return i;
}

void paper_table_experiment(const struct paper *paper, size_t table, char *out, size_t out_bytes) {
    plan_resolve_path(config_get(paper->tables->children[table], "experiment"), out, out_bytes);
}

static double number(const struct config_node *node, double otherwise) {
    const char *text = config_text(node, NULL);
    if (text == NULL) {
        return otherwise;
    }
    char *end;
    const double value = strtod(text, &end);
    return *end == '\0' && end != text ? value : NAN;
}

static bool is_calibration(const struct config_node *table, const char *row) {
    const struct config_node *use = config_get(table, "use");
    if (use->kind == CONFIG_MAPPING) {
        use = config_get(use, row);
    }
    return strcmp(config_text(use, "prediction"), "calibration") == 0;
}

/* Where a row's value stands: the table's source, with the row's own exceptions. */
static double look_up(const struct config_node *table, const struct csv_table *csv, const char *system,
                      const char *row) {
    const struct config_node *source = config_get(table, "source");
    const struct config_node *own = config_get(config_get(table, "row_sources"), row);
    const char *row_key = config_text(config_get(table, "row_key"), "component");
    const char *row_text = config_text(config_get(own, row_key), row);
    const char *column = config_text(config_get(own, "column"), config_text(config_get(source, "column"), ""));
    const char *where[16] = {"system", system, row_key, row_text};
    size_t used = 4;
    const struct config_node *fixed = config_get(source, "where");
    for (size_t i = 0; fixed != NULL && i < fixed->count && used + 2 < sizeof where / sizeof where[0]; i++) {
        where[used++] = fixed->keys[i];
        where[used++] = config_text(fixed->children[i], "");
    }
    where[used] = NULL;
    const size_t found = csv_table_find(csv, 0, where);
    const int index = csv_table_column(csv, column);
    if (found >= csv->row_count || index < 0) {
        return NAN;
    }
    return csv_table_number(csv, found, index) *
           number(config_get(own, "scale"), number(config_get(source, "scale"), 1));
}

static double error_percent(double published, double simulated) {
    if (isnan(simulated)) {
        return NAN;
    }
    if (published == 0) {
        return simulated == 0 ? 0 : NAN;
    }
    return 100 * (simulated - published) / published;
}

size_t paper_figures(const struct paper *paper, size_t table_index, const char *folder, struct paper_figure *out,
                     size_t capacity, struct error *error) {
    const struct config_node *table = paper->tables->children[table_index];
    const struct config_node *rows = config_get(table, "rows");
    const struct config_node *columns = config_get(table, "columns");
    struct csv_table csv = {0};
    if (folder != NULL) {
        char path[1200];
        (void)snprintf(path, sizeof path, "%s/%s", folder,
                       config_text(config_path(table, "source.file"), "breakdown.csv"));
        if (csv_table_read(path, &csv, error) != OK) {
            return 0;
        }
    }
    size_t count = 0;
    for (size_t c = 0; c < columns->count; c++) {
        for (size_t r = 0; r < rows->count; r++) {
            const char *row = config_text(rows->children[r], "");
            const double published = number(columns->children[c]->children[r], NAN);
            if (isnan(published)) {
                continue; /* a point that the paper does not have */
            }
            if (count < capacity) {
                const double simulated = folder != NULL ? look_up(table, &csv, columns->keys[c], row) : NAN;
                const struct config_node *own = config_get(config_get(table, "row_sources"), row);
                const char *key = config_text(config_get(table, "row_key"), "component");
                out[count] = (struct paper_figure){.row = row,
                                                   .source_row = config_text(config_get(own, key), row),
                                                   .column = columns->keys[c],
                                                   .unit = config_text(config_get(table, "unit"), ""),
                                                   .calibration = is_calibration(table, row),
                                                   .published = published,
                                                   .simulated = simulated,
                                                   .error_percent = error_percent(published, simulated)};
            }
            count++;
        }
    }
    if (folder != NULL) {
        csv_table_free(&csv);
    }
    return count;
}
