/* csv_table.h: a result CSV in memory, for reports, plots, validation and fits. */
#ifndef STILLSUIT_EXPERIMENT_CSV_TABLE_H
#define STILLSUIT_EXPERIMENT_CSV_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "sim/error.h"

struct csv_table {
    size_t column_count, row_count;
    char **columns; /* names */
    char **cells;   /* row_count * column_count */
    char *storage;
};

/* Reads a file whose first line names the columns. Fields may be quoted (RFC 4180).
 * The caller frees it. */
enum error_code csv_table_read(const char *path, struct csv_table *table, struct error *error);
void csv_table_free(struct csv_table *table);
/* Index of a column, or -1. */
int csv_table_column(const struct csv_table *table, const char *name);
const char *csv_table_cell(const struct csv_table *table, size_t row, int column);
/* A cell as a number; NAN if it is none. */
double csv_table_number(const struct csv_table *table, size_t row, int column);

/* The first row at or after `from` in which each named column has the text given;
 * `where` is pairs {column, text}, ended by a NULL column. row_count if none. */
size_t csv_table_find(const struct csv_table *table, size_t from, const char *const *where);

/* Writes one field, quoted if it needs to be. */
void csv_write_field(const char *text, void *file);

#endif
