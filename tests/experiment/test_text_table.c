/* test_text_table.c: what a table looks like at each width. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiment/text_table.h"

static struct text_table *table;

static void make(void) {
    table = text_table_create();
}

static void unmake(void) {
    text_table_free(table);
}

static void expect(size_t width, const char *expected) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    text_table_print(table, out, width);
    (void)fclose(out);
    cr_expect_str_eq(text, expected, "at %zu:\n%s", width, text);
    free(text);
}

TestSuite(text_table, .init = make, .fini = unmake);

Test(text_table, columns_are_as_wide_as_what_they_hold) {
    text_table_column(table, TEXT_TABLE_KEY, NULL, "system");
    text_table_column(table, TEXT_TABLE_KEY, NULL, "n");
    text_table_column(table, TEXT_TABLE_NUMBER, NULL, "us");
    text_table_cell(table, "a");
    text_table_cell(table, "1000");
    text_table_number(table, 12.3456, 2);
    text_table_cell(table, "µµ");
    text_table_cell(table, "1");
    text_table_number(table, NAN, 2);
    expect(0, "system  n        us\n"
              "-------------------\n"
              "a       1000  12.35\n"
              "µµ      1         -\n");
}

static void fill_groups(void) {
    text_table_column(table, TEXT_TABLE_KEY, NULL, "");
    text_table_column(table, TEXT_TABLE_NUMBER, "one", "s");
    text_table_column(table, TEXT_TABLE_NUMBER, "one", "p");
    text_table_column(table, TEXT_TABLE_NUMBER, "a long name", "s");
    text_table_column(table, TEXT_TABLE_NUMBER, "a long name", "p");
    static const char *const cells[] = {"row", "1", "2", "3", "4"};
    for (size_t i = 0; i < 5; i++) {
        text_table_cell(table, cells[i]);
    }
}

Test(text_table, a_group_stays_together_below_its_name) {
    fill_groups();
    expect(0, "      one  a long name\n"
              "     s  p         s  p\n"
              "----------------------\n"
              "row  1  2         3  4\n");
}

Test(text_table, what_does_not_fit_stands_below_with_the_keys) {
    static const char *const blocks = "      one\n"
                                      "     s  p\n"
                                      "---------\n"
                                      "row  1  2\n"
                                      "\n"
                                      "     a long name\n"
                                      "            s  p\n"
                                      "----------------\n"
                                      "row         3  4\n";
    fill_groups();
    expect(21, blocks);
    expect(1, blocks);
}

Test(text_table, without_rows_there_are_heads_alone) {
    text_table_column(table, TEXT_TABLE_KEY, NULL, "key");
    text_table_column(table, TEXT_TABLE_NUMBER, NULL, "value");
    expect(0, "key  value\n----------\n");
}
