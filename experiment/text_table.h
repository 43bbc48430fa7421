/* text_table.h: a table for a terminal. Columns are as wide as what they hold; where they do
 * not fit side by side they stand in blocks below each other, each with the key columns. */
#ifndef STILLSUIT_EXPERIMENT_TEXT_TABLE_H
#define STILLSUIT_EXPERIMENT_TEXT_TABLE_H

#include <stddef.h>
#include <stdio.h>

enum text_table_kind {
    TEXT_TABLE_KEY,   /* says what a row is: on the left, in each block */
    TEXT_TABLE_NUMBER /* right-aligned */
};

struct text_table;
/* The caller frees it. */
struct text_table *text_table_create(void);
void text_table_free(struct text_table *table);

/* All columns come before the first cell, keys first. `group`: a line above the heads of
 * neighbours that share it, which stay together; NULL: none. Texts are copied. */
void text_table_column(struct text_table *table, enum text_table_kind kind, const char *group, const char *head);
/* The next cell, row by row from left to right. */
void text_table_cell(struct text_table *table, const char *text);
void text_table_number(struct text_table *table, double value, int decimals);

/* Prints it, at most `width` characters wide where its widest unit allows (0: as wide as it
 * is). */
void text_table_print(const struct text_table *table, FILE *out, size_t width);

#endif
