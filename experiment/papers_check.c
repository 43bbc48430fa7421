/* papers_check.c: what can be wrong with a file of published figures. A slip here
 * would quietly compare with nothing, or call a prediction what was fitted. */
#include <stdlib.h>
#include <string.h>

#include "experiment/papers.h"
#include "experiment/results.h"

static const char *const paper_keys[] = {"paper", "title", "tables", NULL};
static const char *const table_keys[] = {"title",   "use",         "unit", "experiment", "source", "source_text",
                                         "row_key", "row_sources", "rows", "columns",    "notes",  NULL};
static const char *const source_keys[] = {"file", "column", "scale", "where", NULL};
static const char *const uses[] = {"calibration", "prediction", NULL};
enum { PAPER_ROWS_MAX = 256 };

static bool is_one_of(const char *text, const char *const *list) {
    while (*list != NULL && strcmp(*list, text) != 0) {
        list++;
    }
    return *list != NULL;
}

/* A value of `what` that is none of the list, with the nearest one. */
static void check_word(const struct config_node *node, const char *what, const char *const *list,
                       struct diagnostics *diagnostics) {
    const char *text = config_text(node, "");
    if (!is_one_of(text, list)) {
        const char *nearest = config_nearest(text, list);
        diagnostics_at(diagnostics, node, "%s: there is no '%s'%s%s%s", what, text,
                       nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
                       nearest != NULL ? "'?" : "");
    }
}

static bool is_number(const char *text) {
    char *end;
    (void)strtod(text, &end);
    return end != text && *end == '\0';
}

/* `use:` for the whole table, or row by row. */
static void check_use(const struct config_node *use, const char *const *rows, struct diagnostics *diagnostics) {
    if (use->kind != CONFIG_MAPPING) {
        check_word(use, "use", uses, diagnostics);
        return;
    }
    (void)config_check_keys(use, rows, diagnostics);
    for (size_t i = 0; i < use->count; i++) {
        check_word(use->children[i], "use", uses, diagnostics);
    }
}

static void check_source(const struct config_node *source, struct diagnostics *diagnostics) {
    if (source->kind != CONFIG_MAPPING) {
        diagnostics_at(diagnostics, source, "source: expected {file:, column:, scale:, where:}");
        return;
    }
    (void)config_check_keys(source, source_keys, diagnostics);
    const char *files[RESULT_FILES + 1] = {NULL};
    memcpy(files, result_file_names, RESULT_FILES * sizeof *files);
    const struct config_node *file = config_get(source, "file"), *scale = config_get(source, "scale");
    if (file != NULL) {
        check_word(file, "source.file", files, diagnostics);
    }
    if (config_get(source, "column") == NULL) {
        diagnostics_at(diagnostics, source, "source: 'column' is missing");
    }
    if (scale != NULL && !is_number(config_text(scale, ""))) {
        diagnostics_at(diagnostics, scale, "source.scale: '%s' is not a number", config_text(scale, ""));
    }
}

/* `null` stands for what the paper does not have. */
static void check_values(const struct config_node *columns, const struct config_node *rows,
                         struct diagnostics *diagnostics) {
    for (size_t c = 0; c < columns->count; c++) {
        const struct config_node *values = columns->children[c];
        if (values->kind != CONFIG_SEQUENCE || values->count != rows->count) {
            diagnostics_at(diagnostics, values, "%s has %zu values for %zu rows", columns->keys[c],
                           values->kind == CONFIG_SEQUENCE ? values->count : 0, rows->count);
            continue;
        }
        for (size_t r = 0; r < values->count; r++) {
            const char *text = config_text(values->children[r], "");
            if (!is_number(text) && strcmp(text, "null") != 0) {
                diagnostics_at(diagnostics, values->children[r], "%s: '%s' is neither a number nor null",
                               columns->keys[c], text);
            }
        }
    }
}

static void check_parts(const struct config_node *table, struct diagnostics *diagnostics) {
    const struct config_node *rows = config_get(table, "rows"), *columns = config_get(table, "columns");
    const struct config_node *row_sources = config_get(table, "row_sources");
    if (rows->kind != CONFIG_SEQUENCE || rows->count > PAPER_ROWS_MAX) {
        diagnostics_at(diagnostics, rows, "rows: expected a list of at most %d names", PAPER_ROWS_MAX);
        return;
    }
    if (columns->kind != CONFIG_MAPPING) {
        diagnostics_at(diagnostics, columns, "columns: expected a mapping of systems to lists of values");
        return;
    }
    const char *names[PAPER_ROWS_MAX + 1] = {NULL};
    for (size_t i = 0; i < rows->count; i++) {
        names[i] = config_text(rows->children[i], "");
    }
    check_use(config_get(table, "use"), names, diagnostics);
    check_source(config_get(table, "source"), diagnostics);
    check_values(columns, rows, diagnostics);
    if (row_sources != NULL) {
        const char *own_keys[] = {config_text(config_get(table, "row_key"), "component"), "column", "scale", NULL};
        (void)config_check_keys(row_sources, names, diagnostics);
        for (size_t i = 0; row_sources->kind == CONFIG_MAPPING && i < row_sources->count; i++) {
            (void)config_check_keys(row_sources->children[i], own_keys, diagnostics);
        }
    }
}

static void check_table(const struct config_node *table, struct diagnostics *diagnostics) {
    static const char *const needed[] = {"use", "experiment", "source", "rows", "columns"};
    if (table->kind != CONFIG_MAPPING) {
        diagnostics_at(diagnostics, table, "expected a mapping that describes a table");
        return;
    }
    (void)config_check_keys(table, table_keys, diagnostics);
    bool complete = true;
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        if (config_get(table, needed[i]) == NULL) {
            diagnostics_at(diagnostics, table, "'%s' is missing", needed[i]);
            complete = false;
        }
    }
    if (complete) {
        check_parts(table, diagnostics);
    }
}

bool paper_check(const struct config_node *root, struct diagnostics *diagnostics) {
    const size_t errors = diagnostics->errors;
    const struct config_node *tables = config_get(root, "tables");
    (void)config_check_keys(root, paper_keys, diagnostics);
    if (config_text(config_get(root, "paper"), NULL) == NULL) {
        diagnostics_at(diagnostics, root, "'paper' is missing: its name");
    }
    if (tables == NULL || tables->kind != CONFIG_MAPPING) {
        diagnostics_at(diagnostics, tables != NULL ? tables : root,
                       "'tables' is missing: a mapping of names to tables");
        return false;
    }
    for (size_t i = 0; i < tables->count; i++) {
        check_table(tables->children[i], diagnostics);
    }
    return diagnostics->errors == errors;
}
