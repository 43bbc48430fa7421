/* source.c: a source file, and its code without comments, literals and directives. */
#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tidy/house_rules.h"

static void blank(char *at) {
    if (*at != '\n') {
        *at = ' ';
    }
}

/* Blanks from `at` up to the end of a literal that began with `quote`. */
static char *blank_literal(char *at, char quote) {
    *at++ = ' ';
    while (*at != '\0' && *at != quote && *at != '\n') {
        if (*at == '\\' && at[1] != '\0') {
            blank(at++);
        }
        blank(at++);
    }
    if (*at == quote) {
        *at++ = ' ';
    }
    return at;
}

static char *blank_comment(char *at) {
    const bool line = at[1] == '/';
    while (*at != '\0' && !(line && *at == '\n')) {
        const bool ends = !line && at[0] == '*' && at[1] == '/';
        blank(at++);
        if (ends) {
            blank(at++);
            break;
        }
    }
    return at;
}

/* A quote between digits, as in C++'s 1'000, is none. */
static bool is_quote(const char *code, const char *at) {
    return *at == '"' || (*at == '\'' && (at == code || !isalnum((unsigned char)at[-1])));
}

static void blank_directives(char *code) {
    for (char *line = code; line != NULL && *line != '\0';) {
        const bool directive = line[strspn(line, " \t")] == '#';
        bool goes_on = directive;
        while (goes_on) {
            const size_t length = strcspn(line, "\n");
            goes_on = length > 0 && line[length - 1] == '\\';
            memset(line, ' ', length);
            line += length + (line[length] == '\n' ? 1U : 0U);
        }
        if (!directive) {
            line = strchr(line, '\n');
            line = line != NULL ? line + 1 : NULL;
        }
    }
}

void source_init(struct source *source, const char *path, const char *text) {
    source->path = path;
    source->text = text;
    source->code = strdup(text);
    for (char *at = source->code; *at != '\0';) {
        if (at[0] == '/' && (at[1] == '*' || at[1] == '/')) {
            at = blank_comment(at);
        } else if (is_quote(source->code, at)) {
            at = blank_literal(at, *at);
        } else {
            ++at;
        }
    }
    blank_directives(source->code);
}

void source_free(struct source *source) {
    free(source->code);
}
