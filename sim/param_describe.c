/* param_describe.c: a table as text. */
#include <string.h>

#include "sim/param_internal.h"

enum { CELL_BYTES = 256, COLUMNS = 4 };

struct row {
    char cells[COLUMNS][CELL_BYTES];
};

static void append(char *cell, const char *text) {
    const size_t used = strlen(cell);
    (void)snprintf(cell + used, CELL_BYTES - used, "%s", text);
}

/* "1..256", ">= 1 us", "<= 4", "a | b", or "". */
static void write_range(const struct param *param, char *cell) {
    if (param->type == PARAM_CHOICE) {
        for (size_t i = 0; param->choices[i] != NULL; ++i) {
            append(cell, i == 0 ? "" : " | ");
            append(cell, param->choices[i]);
        }
    } else if (param->minimum != NULL && param->maximum != NULL) {
        (void)snprintf(cell, CELL_BYTES, "%s..%s", param->minimum, param->maximum);
    } else if (param->minimum != NULL) {
        (void)snprintf(cell, CELL_BYTES, ">= %s", param->minimum);
    } else if (param->maximum != NULL) {
        (void)snprintf(cell, CELL_BYTES, "<= %s", param->maximum);
    } else if (param->type == PARAM_SHARE) {
        append(cell, "0 %..100 %");
    }
}

static struct row row_of(const struct param *param) {
    struct row row = {{{0}}};
    append(row.cells[0], param->key);
    append(row.cells[1], param_type_name(param->type));
    if (param->default_text == NULL) {
        append(row.cells[2], "required");
    } else {
        append(row.cells[2], param->default_text[0] == '\0' ? "none" : param->default_text);
    }
    write_range(param, row.cells[3]);
    return row;
}

/* Without blanks at the end of a line: they would be noise in a diff. */
static void print_row(const struct row *row, const int *widths, const char *help, FILE *out) {
    size_t cells = COLUMNS;
    while (help == NULL && row->cells[cells - 1][0] == '\0') {
        cells -= 1;
    }
    for (size_t i = 0; i < cells; ++i) {
        const bool last = help == NULL && i + 1 == cells;
        (void)fprintf(out, "%-*s%s", last ? 0 : widths[i], row->cells[i], last ? "" : "  ");
    }
    (void)fprintf(out, "%s\n", help == NULL ? "" : help);
}

void param_describe(const struct param *params, FILE *out) {
    static const struct row head = {{"key", "type", "default", "range"}};
    int widths[COLUMNS];
    for (size_t i = 0; i < COLUMNS; ++i) {
        widths[i] = (int)strlen(head.cells[i]);
    }
    for (const struct param *param = params; param->key != NULL; ++param) {
        const struct row row = row_of(param);
        for (size_t i = 0; i < COLUMNS; ++i) {
            const int width = (int)strlen(row.cells[i]);
            widths[i] = width > widths[i] ? width : widths[i];
        }
    }
    print_row(&head, widths, "meaning", out);
    for (const struct param *param = params; param->key != NULL; ++param) {
        const struct row row = row_of(param);
        print_row(&row, widths, param->help, out);
    }
}
