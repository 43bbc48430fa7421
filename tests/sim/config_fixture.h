/* config_fixture.h: a configuration from a string, and what is reported as one text. */
#ifndef STILLSUIT_TESTS_SIM_CONFIG_FIXTURE_H
#define STILLSUIT_TESTS_SIM_CONFIG_FIXTURE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/config.h"
#include "sim/param.h"

static struct diagnostics said;

/* The caller frees it. */
static inline char *printed(const struct diagnostics *diagnostics) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    cr_assert_not_null(out);
    diagnostics_print(diagnostics, out);
    (void)fclose(out);
    return text;
}

static inline char *written(const struct config_node *node) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    cr_assert_not_null(out);
    config_write(node, out);
    (void)fclose(out);
    return text;
}

/* Compares all that was reported so far, and forgets it. */
static inline void expect_said_at(int line, const char *expected) {
    char *text = printed(&said);
    cr_expect_str_eq(text, expected, "line %d of the test: got\n%s", line, text);
    free(text);
    diagnostics_free(&said);
}
#define expect_said(expected) expect_said_at(__LINE__, expected)

static inline struct config *parsed(const char *text) {
    struct config *config = config_parse("t.yaml", text, &said);
    cr_assert_not_null(config, "%s", said.count == 0 ? "" : said.items[0].text);
    return config;
}

static inline void expect_written_at(int line, struct config *config, const char *expected) {
    char *text = written(config_root(config));
    cr_expect_str_eq(text, expected, "line %d of the test: got\n%s", line, text);
    free(text);
}
#define expect_written(config, expected) expect_written_at(__LINE__, config, expected)

#endif
