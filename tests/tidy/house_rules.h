/* house_rules.h: the rules that hold for every source file, as functions that write
 * what breaks them, a line each: "path:line: what". */
#ifndef STILLSUIT_TESTS_TIDY_HOUSE_RULES_H
#define STILLSUIT_TESTS_TIDY_HOUSE_RULES_H

#include <stdio.h>

enum { FILE_LINES_MAX = 600, FUNCTION_LINES_MAX = 80 };

struct source {
    const char *path; /* from the root: "hw/null/null.c" */
    const char *text;
    char *code; /* the text with comments, literals and directives blanked; line ends stay */
};

/* Prepares a source; source_free releases what it made. */
void source_init(struct source *source, const char *path, const char *text);
void source_free(struct source *source);

typedef void house_rule(const struct source *source, FILE *findings);

house_rule rule_layers;           /* includes point down, from the root */
house_rule rule_cpp_stays_in_sim; /* C++ and SystemC are in sim/ alone */
house_rule rule_banned_calls;     /* nothing unsafe; in models nothing that is not reproducible */
house_rule rule_file_length;
house_rule rule_function_length;
house_rule rule_header_form; /* a leading comment, a guard that matches the path */
house_rule rule_unfinished;  /* no notes of what is yet to do */
house_rule rule_own_words;   /* the project speaks only of itself */

#endif
