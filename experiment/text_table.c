#include "experiment/text_table.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "sim/allocate.h"

enum { GAP = 2 };

struct column {
    enum text_table_kind kind;
    char *group, *head;
    size_t width; /* characters */
};
struct text_table {
    struct column *columns;
    char **cells; /* row by row */
    size_t column_count, key_count, cell_count, cell_capacity;
};

/* ---- filling ---- */

struct text_table *text_table_create(void) {
    return sim_allocate(1, sizeof(struct text_table));
}

void text_table_free(struct text_table *table) {
    for (size_t i = 0; i < table->column_count; i++) {
        free(table->columns[i].group);
        free(table->columns[i].head);
    }
    for (size_t i = 0; i < table->cell_count; i++) {
        free(table->cells[i]);
    }
    free(table->columns);
    free(table->cells);
    free(table);
}

/* Characters of UTF-8, each taken to be one wide. */
static size_t width_of(const char *text) {
    size_t width = 0;
    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xc0U) != 0x80;
    }
    return width;
}

static char *copy(const char *text) {
    char *made = strdup(text);
    SIM_ASSERT_MSG(made != NULL, "out of memory");
    return made;
}

void text_table_column(struct text_table *table, enum text_table_kind kind, const char *group, const char *head) {
    SIM_ASSERT(table->cell_count == 0 && (kind != TEXT_TABLE_KEY || table->key_count == table->column_count));
    table->columns = realloc(table->columns, (table->column_count + 1) * sizeof *table->columns);
    SIM_ASSERT_MSG(table->columns != NULL, "out of memory");
    table->columns[table->column_count++] =
        (struct column){kind, group != NULL ? copy(group) : NULL, copy(head), width_of(head)};
    table->key_count += kind == TEXT_TABLE_KEY;
}

void text_table_cell(struct text_table *table, const char *text) {
    if (table->cell_count == table->cell_capacity) {
        table->cell_capacity = table->cell_capacity == 0 ? 256 : 2 * table->cell_capacity;
        table->cells = realloc(table->cells, table->cell_capacity * sizeof *table->cells);
        SIM_ASSERT_MSG(table->cells != NULL, "out of memory");
    }
    struct column *column = &table->columns[table->cell_count % table->column_count];
    const size_t width = width_of(text);
    column->width = width > column->width ? width : column->width;
    table->cells[table->cell_count++] = copy(text);
}

void text_table_number(struct text_table *table, double value, int decimals) {
    char text[64];
    (void)snprintf(text, sizeof text, "%.*f", decimals, value);
    text_table_cell(table, isnan(value) ? "-" : text);
}

/* ---- printing ---- */

/* The end of the unit that begins at a column: it alone, or all that share its group. */
static size_t unit_end(const struct text_table *table, size_t from) {
    const char *group = table->columns[from].group;
    size_t end = from + 1;
    while (group != NULL && end < table->column_count && table->columns[end].group != NULL &&
           strcmp(table->columns[end].group, group) == 0) {
        end++;
    }
    return end;
}

static size_t columns_width(const struct text_table *table, size_t from, size_t to) {
    size_t width = 0;
    for (size_t i = from; i < to; i++) {
        width += table->columns[i].width + (i > from ? GAP : 0);
    }
    return width;
}

/* That of a unit: its group's name may be wider than its columns are. */
static size_t unit_width(const struct text_table *table, size_t from, size_t to) {
    const size_t columns = columns_width(table, from, to);
    const size_t name = table->columns[from].group != NULL ? width_of(table->columns[from].group) : 0;
    return name > columns ? name : columns;
}

static void put(FILE *out, const char *text, size_t width, bool right) {
    const size_t own = width_of(text), fill = width > own ? width - own : 0;
    (void)fprintf(out, "%*s%s%*s", right ? (int)fill : 0, "", text, right ? 0 : (int)fill, "");
}

struct block {
    size_t from, to; /* columns beside the keys */
    bool grouped;
};

/* As many units as fit, one at least. */
static struct block next_block(const struct text_table *table, size_t from, size_t width) {
    struct block block = {from, from, false};
    size_t used = columns_width(table, 0, table->key_count);
    while (block.to < table->column_count) {
        const size_t end = unit_end(table, block.to);
        used += GAP + unit_width(table, block.to, end);
        if (block.to > from && width != 0 && used > width) {
            break;
        }
        block.grouped = block.grouped || table->columns[block.to].group != NULL;
        block.to = end;
    }
    return block;
}

static void print_keys(const struct text_table *table, FILE *out, size_t row, bool heads, bool blank) {
    for (size_t i = 0; i < table->key_count; i++) {
        const char *text = heads ? table->columns[i].head : table->cells[row * table->column_count + i];
        (void)fprintf(out, "%*s", i > 0 ? GAP : 0, "");
        put(out, blank ? "" : text, table->columns[i].width, false);
    }
}

static void print_groups(const struct text_table *table, FILE *out, const struct block *block) {
    print_keys(table, out, 0, true, true);
    for (size_t from = block->from; from < block->to; from = unit_end(table, from)) {
        const struct column *column = &table->columns[from];
        (void)fprintf(out, "%*s", GAP, "");
        put(out, column->group != NULL ? column->group : "", unit_width(table, from, unit_end(table, from)), true);
    }
    (void)fputc('\n', out);
}

/* The heads, or a row's cells. */
static void print_line(const struct text_table *table, FILE *out, const struct block *block, size_t row, bool heads) {
    print_keys(table, out, row, heads, false);
    for (size_t from = block->from; from < block->to; from = unit_end(table, from)) {
        const size_t end = unit_end(table, from);
        (void)fprintf(out, "%*s", (int)(unit_width(table, from, end) - columns_width(table, from, end)), "");
        for (size_t i = from; i < end; i++) {
            const char *text = heads ? table->columns[i].head : table->cells[row * table->column_count + i];
            (void)fprintf(out, "%*s", GAP, "");
            put(out, text, table->columns[i].width, true);
        }
    }
    (void)fputc('\n', out);
}

static void print_rule(const struct text_table *table, FILE *out, const struct block *block) {
    size_t width = columns_width(table, 0, table->key_count);
    for (size_t from = block->from; from < block->to; from = unit_end(table, from)) {
        width += GAP + unit_width(table, from, unit_end(table, from));
    }
    for (size_t i = 0; i < width; i++) {
        (void)fputc('-', out);
    }
    (void)fputc('\n', out);
}

void text_table_print(const struct text_table *table, FILE *out, size_t width) {
    const size_t rows = table->column_count > 0 ? table->cell_count / table->column_count : 0;
    struct block block = {table->key_count, table->key_count, false};
    while (block.to < table->column_count) {
        if (block.to > table->key_count) {
            (void)fputc('\n', out);
        }
        block = next_block(table, block.to, width);
        if (block.grouped) {
            print_groups(table, out, &block);
        }
        print_line(table, out, &block, 0, true);
        print_rule(table, out, &block);
        for (size_t row = 0; row < rows; row++) {
            print_line(table, out, &block, row, false);
        }
    }
}
