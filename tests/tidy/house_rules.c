/* house_rules.c: the rules. */
#include "tests/tidy/house_rules.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool starts(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

static bool ends(const char *text, const char *with) {
    const size_t length = strlen(text), tail = strlen(with);
    return length >= tail && strcmp(text + length - tail, with) == 0;
}

static size_t line_of(const char *text, const char *at) {
    size_t line = 1;
    for (; text < at; ++text) {
        line += *text == '\n';
    }
    return line;
}

static bool is_word(char c) {
    return isalnum((unsigned char)c) || c == '_';
}

/* The next place at which `word` stands by itself, or NULL. */
static const char *find_word(const char *text, const char *from, const char *word) {
    const size_t length = strlen(word);
    for (const char *at = from; (at = strstr(at, word)) != NULL; ++at) {
        if ((at == text || !is_word(at[-1])) && !is_word(at[length])) {
            return at;
        }
    }
    return NULL;
}

/* ---- Layers ---- */

/* From the bottom up. Folders of one rank do not include each other. */
static const struct layer {
    const char *folder;
    int rank;
} layers[] = {
    {"sim/", 0},
    {"hw/", 1},
    {"stack/", 2},
    {"kernel_model/common/", 3},
    {"kernel_model/linux/", 4},
    {"kernel_model/exo/", 4},
    {"kernel_model/ultrix/", 4},
    {"libos_model/", 5},
    {"workloads/", 6},
    {"experiment/", 7},
    {"cli/", 8},
};

static const struct layer *layer_of(const char *path) {
    for (size_t i = 0; i < sizeof layers / sizeof *layers; ++i) {
        if (starts(path, layers[i].folder)) {
            return &layers[i];
        }
    }
    return NULL;
}

/* Pairs that ranks alone do not keep apart. */
static bool is_apart(const char *from, const char *to) {
    /* A library OS is on the exokernel; scripts see one interface, whatever serves it. */
    const bool monolithic = starts(to, "kernel_model/linux/") || starts(to, "kernel_model/ultrix/");
    return (starts(from, "libos_model/") && monolithic) ||
           (starts(from, "workloads/") &&
            (monolithic || starts(to, "libos_model/") || starts(to, "kernel_model/exo/")));
}

void rule_layers(const struct source *source, FILE *findings) {
    const struct layer *own = layer_of(source->path);
    static const char directive[] = "#include \"";
    for (const char *at = source->text; own != NULL && (at = strstr(at, directive)) != NULL;) {
        char target[256];
        const size_t line = line_of(source->text, at);
        at += sizeof directive - 1;
        (void)snprintf(target, sizeof target, "%.*s", (int)strcspn(at, "\"\n"), at);
        const struct layer *other = layer_of(target);
        if (other == NULL) {
            (void)fprintf(findings, "%s:%zu: '%s' is not written from the root of the sources\n", source->path, line,
                          target);
        } else if (other->rank > own->rank || (other->rank == own->rank && other != own) ||
                   is_apart(source->path, target)) {
            (void)fprintf(findings, "%s:%zu: includes '%s', which does not lie below it\n", source->path, line, target);
        }
    }
}

void rule_cpp_stays_in_sim(const struct source *source, FILE *findings) {
    const bool in_sim = starts(source->path, "sim/") && ends(source->path, ".cpp");
    /* The benchmark that compares with another simulator is written in its language. */
    const bool cpp = ends(source->path, ".cpp") || ends(source->path, ".cc") || ends(source->path, ".hpp");
    if (cpp && !in_sim && !starts(source->path, "bench/")) {
        (void)fprintf(findings, "%s:1: C++ lives in sim/ alone\n", source->path);
    }
    const char *at = strstr(source->text, "#include <systemc");
    if (at != NULL && !in_sim && (at == source->text || at[-1] == '\n')) {
        (void)fprintf(findings, "%s:%zu: SystemC is included in sim/*.cpp alone\n", source->path,
                      line_of(source->text, at));
    }
}

/* ---- Calls ---- */

static bool is_model(const char *path) {
    const struct layer *layer = layer_of(path);
    return layer != NULL && layer->rank < layer_of("experiment/")->rank;
}

static void find_calls(const struct source *source, const char *const *names, const char *why, FILE *findings) {
    for (; *names != NULL; ++names) {
        for (const char *at = source->code; (at = find_word(source->code, at, *names)) != NULL;) {
            const size_t line = line_of(source->code, at);
            const bool member = at > source->code && (at[-1] == '.' || at[-1] == '>');
            at += strlen(*names);
            if (at[strspn(at, " \n")] == '(' && !member) {
                (void)fprintf(findings, "%s:%zu: calls %s: %s\n", source->path, line, *names, why);
            }
        }
    }
}

void rule_banned_calls(const struct source *source, FILE *findings) {
    static const char *const everywhere[] = {"atoi", "atol", "atof",  "strcpy", "strcat",  "sprintf", "vsprintf",
                                             "gets", "rand", "srand", "random", "drand48", NULL};
    static const char *const models[] = {"time",   "clock",   "clock_gettime", "gettimeofday", "rdtsc",
                                         "_rdtsc", "__rdtsc", "getenv",        "getpid",       NULL};
    find_calls(source, everywhere, "it is banned", findings);
    if (is_model(source->path)) {
        find_calls(source, models, "a model depends on its configuration and seed alone", findings);
    }
}

/* ---- Lengths ---- */

void rule_file_length(const struct source *source, FILE *findings) {
    const size_t length = strlen(source->text);
    const size_t lines = line_of(source->text, source->text + length) - (ends(source->text, "\n") ? 1 : 0);
    if (lines > FILE_LINES_MAX) {
        (void)fprintf(findings, "%s:%zu: the file has %zu lines; at most %d can be read in one sitting\n", source->path,
                      lines, lines, FILE_LINES_MAX);
    }
}

/* The last character before `at` that is no blank. */
static const char *before(const char *code, const char *at) {
    while (at > code && isspace((unsigned char)at[-1])) {
        --at;
    }
    return at > code ? at - 1 : code;
}

/* Whether a brace opens `extern "C"`, whose contents stand at the top level. */
static bool is_linkage(const char *code, const char *brace) {
    const char *last = before(code, brace);
    return last - code >= 5 && strncmp(last - 5, "extern", 6) == 0;
}

void rule_function_length(const struct source *source, FILE *findings) {
    size_t depth = 0, linkages = 0;
    const char *function = NULL;
    for (const char *at = source->code; *at != '\0'; ++at) {
        if (*at == '{' && depth == 0 && is_linkage(source->code, at)) {
            linkages++;
        } else if (*at == '{') {
            function = depth++ == 0 ? (*before(source->code, at) == ')' ? at : NULL) : function;
        } else if (*at == '}' && depth > 0) {
            const size_t lines = function != NULL ? line_of(function, at) : 0;
            if (--depth == 0 && lines > FUNCTION_LINES_MAX) {
                (void)fprintf(findings, "%s:%zu: the function has %zu lines; at most %d fit a screen\n", source->path,
                              line_of(source->code, function), lines, FUNCTION_LINES_MAX);
            }
        } else if (*at == '}' && linkages > 0) {
            linkages--;
        }
    }
}

/* ---- Headers ---- */

void rule_header_form(const struct source *source, FILE *findings) {
    if (!ends(source->path, ".h")) {
        return;
    }
    if (!starts(source->text, "/*")) {
        (void)fprintf(findings, "%s:1: a header begins with a comment that says what it is for\n", source->path);
    }
    char guard[256] = "STILLSUIT_", line[600];
    size_t used = strlen(guard);
    for (const char *at = source->path; *at != '\0' && used + 1 < sizeof guard; ++at) {
        guard[used++] = isalnum((unsigned char)*at) ? (char)toupper((unsigned char)*at) : '_';
    }
    guard[used] = '\0';
    (void)snprintf(line, sizeof line, "\n#ifndef %s\n#define %s\n", guard, guard);
    if (strstr(source->text, line) == NULL) {
        (void)fprintf(findings, "%s:1: its include guard is not %s\n", source->path, guard);
    }
}

/* ---- Words ---- */

void rule_unfinished(const struct source *source, FILE *findings) {
    /* Written in two parts, or this file would break the rule. */
    static const char *const words[] = {"TO"
                                        "DO",
                                        "FIX"
                                        "ME",
                                        "XX"
                                        "X",
                                        NULL};
    for (const char *const *word = words; *word != NULL; ++word) {
        const char *at = find_word(source->text, source->text, *word);
        if (at != NULL) {
            (void)fprintf(findings, "%s:%zu: '%s' belongs in an issue\n", source->path, line_of(source->text, at),
                          *word);
        }
    }
}

void rule_own_words(const struct source *source, FILE *findings) {
    static const char *const words[] = {"shared/"
                                        "reference",
                                        "../"
                                        "shared/",
                                        "/wor"
                                        "k/",
                                        NULL};
    for (const char *const *word = words; *word != NULL; ++word) {
        const char *at = strstr(source->text, *word);
        if (at != NULL) {
            (void)fprintf(findings, "%s:%zu: mentions '%s', which is no part of the project\n", source->path,
                          line_of(source->text, at), *word);
        }
    }
}
