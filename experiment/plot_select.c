/* plot_select.c: which rows of a results table a plot is about. */
#include <string.h>

#include "experiment/plot_internal.h"

size_t plot_axes(const struct csv_table *table, int *columns, size_t most) {
    static const char *const measured[] = {"component", "requests", "offered_per_s", "resource", "instance", NULL};
    size_t count = 0;
    for (int column = csv_table_column(table, "system") + 1; (size_t)column < table->column_count; ++column) {
        for (const char *const *name = measured; *name != NULL; ++name) {
            if (strcmp(table->columns[column], *name) == 0) {
                return count;
            }
        }
        if (count < most) {
            columns[count++] = column;
        }
    }
    return count;
}

/* One text, or a list of which one must be it. */
static bool value_is(const struct config_node *wanted, const char *text) {
    if (wanted->kind == CONFIG_SCALAR) {
        return strcmp(wanted->text, text) == 0;
    }
    for (size_t i = 0; i < wanted->count; ++i) {
        if (strcmp(config_text(wanted->children[i], ""), text) == 0) {
            return true;
        }
    }
    return false;
}

bool plot_selects(const struct plot *plot, const struct csv_table *table, size_t row) {
    const struct config_node *where = plot->entry.where;
    for (size_t i = 0; where != NULL && i < where->count; ++i) {
        const int column = csv_table_column(table, where->keys[i]);
        if (column >= 0 && !value_is(where->children[i], csv_table_cell(table, row, column))) {
            return false;
        }
    }
    return true;
}
