/* plot_label.c: names and quantities as a reader of a plot wants them. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "experiment/plot_internal.h"
#include "sim/ledger.h"
#include "sim/time.h"

void plot_label(const struct plot *plot, const char *name, char *out, size_t out_bytes) {
    const char *given = config_text(config_get(plot->entry.labels, name), NULL);
    const ledger_component component = ledger_find(name);
    if (given == NULL && component != 0) {
        given = ledger_component_label(component);
    }
    (void)snprintf(out, out_bytes, "%s", given != NULL ? given : name);
    if (given == NULL) {
        for (char *at = out; *at != '\0'; ++at) {
            *at = *at == '_' ? ' ' : *at;
        }
        out[0] = (char)toupper((unsigned char)out[0]);
    }
}

/* A column of which `where` takes one value alone tells nothing apart. */
static bool is_fixed(const struct plot *plot, const char *column) {
    const struct config_node *wanted = config_get(plot->entry.where, column);
    return wanted != NULL && wanted->kind == CONFIG_SCALAR;
}

static void append(const char *text, const char *separator, char *out, size_t out_bytes) {
    const size_t used = strlen(out);
    if (text[0] != '\0') {
        (void)snprintf(out + used, out_bytes - used, "%s%s", used > 0 ? separator : "", text);
    }
}

void plot_place_label(const struct plot *plot, const struct csv_table *table, size_t row, int except,
                      const char *separator, char *out, size_t out_bytes) {
    enum { AXES_MAX = 64 };
    int axes[AXES_MAX];
    const size_t count = plot_axes(table, axes, AXES_MAX);
    plot_label(plot, csv_table_cell(table, row, csv_table_column(table, "system")), out, out_bytes);
    for (size_t i = 0; i < count; ++i) {
        const char *value = csv_table_cell(table, row, axes[i]);
        if (axes[i] != except && !is_fixed(plot, table->columns[axes[i]])) {
            append(config_text(config_get(plot->entry.labels, value), value), separator, out, out_bytes);
        }
    }
}

/* What a column's ending says that it is in, and what that can be shown as. The
 * first unit of an ending is its default. */
static const struct plot_unit {
    const char *ending, *unit;
    double scale;
} units[] = {
    {"bytes_per_s", "Gbps", 8e-9}, {"bytes_per_s", "Mbps", 8e-6},
    {"bytes_per_s", "GB/s", 1e-9}, {"bytes_per_s", "MB/s", 1e-6},
    {"_per_s", "kpps", 1e-3},      {"_per_s", "Mpps", 1e-6},
    {"_per_s", "pps", 1},          {"_per_s", "/s", 1},
    {"_ns", "us", 1e-3},           {"_ns", "ns", 1},
    {"_ns", "ms", 1e-6},           {"_percent", "%", 1},
};

static bool ends_with(const char *text, const char *ending) {
    const size_t length = strlen(text), tail = strlen(ending);
    return length >= tail && strcmp(text + length - tail, ending) == 0;
}

double plot_unit_scale(const char *column, const char *unit) {
    for (size_t i = 0; i < sizeof units / sizeof *units; ++i) {
        if (ends_with(column, units[i].ending) && strcmp(unit, units[i].unit) == 0) {
            return units[i].scale;
        }
    }
    return unit[0] == '\0' ? 1 : 0;
}

const char *plot_unit_default(const char *column) {
    for (size_t i = 0; i < sizeof units / sizeof *units; ++i) {
        if (ends_with(column, units[i].ending)) {
            return units[i].unit;
        }
    }
    return "";
}

const char *plot_unit_text(const char *unit) {
    return strcmp(unit, "us") == 0 ? "µs" : unit;
}

bool plot_quantity(const char *text, double *number, const char **unit) {
    char *end;
    *number = strtod(text, &end);
    if (end == text) {
        return false;
    }
    while (*end == ' ') {
        ++end;
    }
    *unit = end;
    return true;
}

bool plot_quantity_base(const char *text, double *number) {
    static const enum param_type whole[] = {PARAM_TIME,      PARAM_BYTES,     PARAM_BIT_RATE,
                                            PARAM_BYTE_RATE, PARAM_FREQUENCY, PARAM_CYCLES};
    char why[PLOT_TEXT_BYTES];
    uint64_t value;
    for (size_t i = 0; i < sizeof whole / sizeof *whole; ++i) {
        if (param_parse(whole[i], text, &value, why, sizeof why)) {
            *number = (double)value;
            return true;
        }
    }
    return param_parse(PARAM_RATE, text, number, why, sizeof why) ||
           param_parse(PARAM_SHARE, text, number, why, sizeof why) ||
           param_parse(PARAM_REAL, text, number, why, sizeof why);
}
