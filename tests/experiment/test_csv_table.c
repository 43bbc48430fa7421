/* test_csv_table.c: reading and writing the results' CSVs. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiment/csv_table.h"

/* Writes `length` bytes to a file of its own and returns its path. */
static const char *write_bytes(const char *bytes, size_t length) {
    static char path[64];
    (void)snprintf(path, sizeof path, "/tmp/stillsuit_csv_XXXXXX");
    const int descriptor = mkstemp(path);
    cr_assert(descriptor >= 0);
    cr_assert_eq(write(descriptor, bytes, length), (ssize_t)length);
    cr_assert_eq(close(descriptor), 0);
    return path;
}

static enum error_code read_text(const char *text, struct csv_table *table, struct error *error) {
    const char *path = write_bytes(text, strlen(text));
    const enum error_code code = csv_table_read(path, table, error);
    cr_assert_eq(unlink(path), 0);
    return code;
}

Test(csv_table, cells_are_found_by_row_and_column) {
    struct csv_table table;
    struct error error = {0};
    cr_assert_eq(read_text("point,system,mean_ns\n0,linux,3360.5\n1,arrakis,380\n", &table, &error), OK);
    cr_assert_eq(table.column_count, 3);
    cr_assert_eq(table.row_count, 2);
    cr_assert_eq(csv_table_column(&table, "mean_ns"), 2);
    cr_assert_eq(csv_table_column(&table, "mean"), -1);
    cr_assert_str_eq(csv_table_cell(&table, 1, 1), "arrakis");
    cr_assert_eq(csv_table_number(&table, 0, 2), 3360.5);
    cr_assert(isnan(csv_table_number(&table, 0, 1)));
    csv_table_free(&table);
}

Test(csv_table, a_part_of_a_number_is_no_number) {
    struct csv_table table;
    cr_assert_eq(read_text("a,b\n12 us,\n", &table, NULL), OK);
    cr_assert(isnan(csv_table_number(&table, 0, 0)));
    cr_assert(isnan(csv_table_number(&table, 0, 1)));
    csv_table_free(&table);
}

Test(csv_table, quoted_fields_may_hold_anything) {
    struct csv_table table;
    cr_assert_eq(read_text("a,b\n\"x, y\",\"say \"\"no\"\"\"\n\"two\nlines\",\"\"\n", &table, NULL), OK);
    cr_assert_eq(table.row_count, 2);
    cr_assert_str_eq(csv_table_cell(&table, 0, 0), "x, y");
    cr_assert_str_eq(csv_table_cell(&table, 0, 1), "say \"no\"");
    cr_assert_str_eq(csv_table_cell(&table, 1, 0), "two\nlines");
    cr_assert_str_eq(csv_table_cell(&table, 1, 1), "");
    csv_table_free(&table);
}

Test(csv_table, windows_line_ends_and_a_missing_last_one_are_read) {
    struct csv_table table;
    cr_assert_eq(read_text("a,b\r\n1,\"2\"\r\n3,4", &table, NULL), OK);
    cr_assert_eq(table.row_count, 2);
    cr_assert_str_eq(table.columns[1], "b");
    cr_assert_str_eq(csv_table_cell(&table, 0, 1), "2");
    cr_assert_str_eq(csv_table_cell(&table, 1, 1), "4");
    csv_table_free(&table);
}

Test(csv_table, many_rows_grow_the_table) {
    enum { ROWS = 1000 };
    char *text = malloc(16 * (ROWS + 1));
    cr_assert_not_null(text);
    int used = snprintf(text, 16, "n,twice\n");
    for (int i = 0; i < ROWS; ++i) {
        used += snprintf(text + used, 16, "%d,%d\n", i, 2 * i);
    }
    struct csv_table table;
    cr_assert_eq(read_text(text, &table, NULL), OK);
    cr_assert_eq(table.row_count, ROWS);
    for (size_t row = 0; row < ROWS; ++row) {
        cr_assert_eq(csv_table_number(&table, row, 1), 2.0 * (double)row);
    }
    csv_table_free(&table);
    free(text);
}

Test(csv_table, rows_are_found_by_their_columns) {
    struct csv_table table;
    cr_assert_eq(read_text("system,kind,v\na,total,1\nb,total,2\nb,waiting,3\nb,total,4\n", &table, NULL), OK);
    const char *const where[] = {"system", "b", "kind", "total", NULL};
    cr_assert_eq(csv_table_find(&table, 0, where), 1);
    cr_assert_eq(csv_table_find(&table, 2, where), 3);
    cr_assert_eq(csv_table_find(&table, 4, where), table.row_count);
    const char *const unknown_column[] = {"sytem", "b", NULL};
    cr_assert_eq(csv_table_find(&table, 0, unknown_column), table.row_count);
    csv_table_free(&table);
}

static void expect_error(const char *text, const char *words) {
    struct csv_table table;
    struct error error = {0};
    cr_assert_eq(read_text(text, &table, &error), ERR_CONFIG);
    cr_assert_not_null(strstr(error.text, words), "'%s' does not say '%s'", error.text, words);
    cr_assert_null(table.storage);
}

Test(csv_table, what_is_no_table_is_refused_with_its_line) {
    expect_error("", "empty");
    expect_error("a,b\n1,2\n3\n", ":3: the line has fewer fields");
    expect_error("a,b\n1,2,3\n", ":2: the line has more fields");
    expect_error("a,b\n1,\"2\n", "a quote is not closed");
    expect_error("a,b\n\"1\"2,3\n", ":2: text behind a closing quote");
}

Test(csv_table, a_missing_file_is_named) {
    struct csv_table table;
    struct error error = {0};
    cr_assert_eq(csv_table_read("/nonexistent/latency.csv", &table, &error), ERR_NOT_FOUND);
    cr_assert_not_null(strstr(error.text, "/nonexistent/latency.csv"));
}

Test(csv_table, what_is_written_is_read_back) {
    static const char *const texts[] = {"plain", "",         "a,b", "\"", "line\nbreak", "carriage\rreturn",
                                        "1 us",  "\"\",\"\""};
    enum { TEXTS = sizeof texts / sizeof *texts };
    char buffer[512] = "";
    FILE *out = fmemopen(buffer, sizeof buffer, "w");
    cr_assert_not_null(out);
    for (size_t i = 0; i < TEXTS; ++i) {
        (void)fprintf(out, "%sc%zu", i == 0 ? "" : ",", i);
    }
    (void)fputc('\n', out);
    for (size_t i = 0; i < TEXTS; ++i) {
        (void)fputs(i == 0 ? "" : ",", out);
        csv_write_field(texts[i], out);
    }
    (void)fputc('\n', out);
    (void)fclose(out);
    struct csv_table table;
    cr_assert_eq(read_text(buffer, &table, NULL), OK);
    cr_assert_eq(table.row_count, 1);
    for (size_t i = 0; i < TEXTS; ++i) {
        cr_assert_str_eq(csv_table_cell(&table, 0, (int)i), texts[i]);
    }
    csv_table_free(&table);
}
