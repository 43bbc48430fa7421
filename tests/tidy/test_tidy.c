/* test_tidy.c: the house rules, run over the sources; and each rule on what breaks it. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/tidy/house_rules.h"

/* ---- Over the sources ---- */

struct sweep {
    house_rule *rule;
    const char *const *endings; /* of the files it reads; ends with NULL */
    FILE *findings;
    size_t files;
};

static const char *const code_files[] = {".c", ".h", ".cpp", ".cc", ".hpp", NULL};
static const char *const text_files[] = {".c",  ".h", ".cpp", ".cc",    ".hpp",  ".md",   ".yaml", ".txt", ".gp",
                                         ".sh", ".1", "run",  "/setup", "/demo", "/test", "/lint", NULL};

static bool is_wanted(const struct sweep *sweep, const char *path) {
    for (const char *const *ending = sweep->endings; *ending != NULL; ++ending) {
        const size_t length = strlen(path), tail = strlen(*ending);
        if (length >= tail && strcmp(path + length - tail, *ending) == 0) {
            return true;
        }
    }
    return false;
}

static char *read_all(const char *path) {
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "%s cannot be read", path);
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    char part[4096];
    size_t count;
    while ((count = fread(part, 1, sizeof part, file)) > 0) {
        (void)fwrite(part, 1, count, out);
    }
    (void)fclose(file);
    (void)fclose(out);
    return text;
}

static void check_file(struct sweep *sweep, const char *path, const char *full) {
    char *text = read_all(full);
    struct source source;
    source_init(&source, path, text);
    sweep->rule(&source, sweep->findings);
    source_free(&source);
    free(text);
    sweep->files++;
}

/* What is built, written by runs, or broken on purpose. */
static bool is_skipped(const char *path, const char *name) {
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, ".git") == 0 ||
           strncmp(path, "build", 5) == 0 || strncmp(path, "results/", 8) == 0 ||
           strncmp(path, "tests/bad_configs", 17) == 0;
}

static void sweep_folder(struct sweep *sweep, const char *folder) {
    char full[4096];
    (void)snprintf(full, sizeof full, "%s/%s", SOURCE_DIR, folder);
    DIR *directory = opendir(full);
    cr_assert_not_null(directory, "%s cannot be read", full);
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char path[2048];
        (void)snprintf(path, sizeof path, "%s%s%s", folder, folder[0] != '\0' ? "/" : "", entry->d_name);
        (void)snprintf(full, sizeof full, "%s/%s", SOURCE_DIR, path);
        struct stat status;
        if (is_skipped(path, entry->d_name) || lstat(full, &status) != 0) {
            continue;
        }
        if (S_ISDIR(status.st_mode)) {
            sweep_folder(sweep, path);
        } else if (S_ISREG(status.st_mode) && is_wanted(sweep, path)) {
            check_file(sweep, path, full);
        }
    }
    (void)closedir(directory);
}

static void expect_clean(house_rule *rule, const char *const *endings) {
    char *text = NULL;
    size_t length = 0;
    struct sweep sweep = {rule, endings, open_memstream(&text, &length), 0};
    sweep_folder(&sweep, "");
    (void)fclose(sweep.findings);
    cr_expect_str_eq(text, "", "\n%s", text);
    cr_expect_gt(sweep.files, 50, "only %zu files were looked at", sweep.files);
    free(text);
}

Test(tidy, layers_point_down) {
    expect_clean(rule_layers, code_files);
}

Test(tidy, cpp_stays_in_sim) {
    expect_clean(rule_cpp_stays_in_sim, code_files);
}

Test(tidy, no_banned_calls) {
    expect_clean(rule_banned_calls, code_files);
}

Test(tidy, files_are_short) {
    expect_clean(rule_file_length, code_files);
}

Test(tidy, functions_fit_a_screen) {
    expect_clean(rule_function_length, code_files);
}

Test(tidy, headers_have_comment_and_guard) {
    expect_clean(rule_header_form, code_files);
}

Test(tidy, nothing_is_left_for_later) {
    expect_clean(rule_unfinished, text_files);
}

Test(tidy, the_project_speaks_of_itself) {
    expect_clean(rule_own_words, text_files);
}

/* ---- The rules themselves ---- */

static void expect_findings(house_rule *rule, const char *path, const char *text, const char *expected) {
    char *found = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&found, &length);
    struct source source;
    source_init(&source, path, text);
    rule(&source, out);
    (void)fclose(out);
    source_free(&source);
    if (expected[0] == '\0') {
        cr_expect_str_eq(found, "", "%s: found '%s'", path, found);
    } else {
        cr_expect_not_null(strstr(found, expected), "%s: found '%s', not '%s'", path, found, expected);
    }
    free(found);
}

Test(rules, an_include_that_points_up_is_found) {
    expect_findings(rule_layers, "hw/core.c", "#include \"sim/time.h\"\n#include \"hw/core.h\"\n", "");
    expect_findings(rule_layers, "sim/clock.c", "\n#include \"hw/core.h\"\n", "sim/clock.c:2: includes 'hw/core.h'");
    expect_findings(rule_layers, "hw/core.c", "#include \"kernel_model/common/system.h\"\n", "does not lie below");
    expect_findings(rule_layers, "kernel_model/linux/a.c", "#include \"kernel_model/exo/vnic.h\"\n", "does not lie");
    expect_findings(rule_layers, "kernel_model/exo/a.c", "#include \"kernel_model/linux/a.h\"\n", "does not lie");
    expect_findings(rule_layers, "kernel_model/common/a.c", "#include \"kernel_model/linux/a.h\"\n", "does not lie");
    expect_findings(rule_layers, "libos_model/a.c", "#include \"kernel_model/linux/a.h\"\n", "does not lie");
    expect_findings(rule_layers, "workloads/a.c", "#include \"libos_model/a.h\"\n", "does not lie");
    expect_findings(rule_layers, "hw/core.c", "#include \"core.h\"\n", "not written from the root");
}

Test(rules, cpp_outside_sim_is_found) {
    expect_findings(rule_cpp_stays_in_sim, "sim/engine.cpp", "#include <systemc>\n", "");
    expect_findings(rule_cpp_stays_in_sim, "hw/core.cpp", "", "C++ lives in sim/");
    expect_findings(rule_cpp_stays_in_sim, "sim/engine.h", "/* */\n#include <systemc.h>\n", "sim/engine.h:2: SystemC");
}

Test(rules, a_banned_call_is_found) {
    expect_findings(rule_banned_calls, "hw/a.c", "int f(void) { return\n rand(); }", "hw/a.c:2: calls rand");
    expect_findings(rule_banned_calls, "hw/a.c", "x = time (NULL);", "calls time");
    expect_findings(rule_banned_calls, "hw/a.c", "x = getenv(\"A\");", "calls getenv");
    expect_findings(rule_banned_calls, "hw/a.c", "x = clock_gettime(0, &t);", "calls clock_gettime");
    expect_findings(rule_banned_calls, "hw/a.c", "x = __rdtsc();", "calls __rdtsc");
    expect_findings(rule_banned_calls, "cli/a.c", "strcpy(a, b); sprintf(a, b); n = atoi(a);", "calls atoi");
    expect_findings(rule_banned_calls, "cli/a.c", "strcpy(a, b); sprintf(a, b); n = atoi(a);", "calls sprintf");
    expect_findings(rule_banned_calls, "cli/a.c", "strcpy(a, b); sprintf(a, b); n = atoi(a);", "calls strcpy");
}

Test(rules, what_only_looks_like_a_banned_call_is_not) {
    expect_findings(rule_banned_calls, "hw/a.c", "/* rand() */ f(\"rand()\"); // rand()\n operand(1); sim_time(2);",
                    "");
    expect_findings(rule_banned_calls, "hw/a.c", "int time = 3; snprintf(a, 4, b); device->time(1);", "");
    expect_findings(rule_banned_calls, "experiment/run.c", "clock_gettime(0, &t);", "");
}

/* `lines` lines of `line`, between `head` and `tail`. */
static char *lines_between(const char *head, const char *line, size_t lines, const char *tail) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    (void)fputs(head, out);
    for (size_t i = 0; i < lines; ++i) {
        (void)fputs(line, out);
    }
    (void)fputs(tail, out);
    (void)fclose(out);
    return text;
}

static void expect_of_lines(house_rule *rule, const char *head, size_t lines, const char *tail, const char *expected) {
    char *text = lines_between(head, "    x = '{';\n", lines, tail);
    expect_findings(rule, "hw/a.c", text, expected);
    free(text);
}

Test(rules, a_long_file_is_found) {
    expect_of_lines(rule_file_length, "", FILE_LINES_MAX, "", "");
    expect_of_lines(rule_file_length, "", FILE_LINES_MAX + 1, "", "601 lines");
}

Test(rules, a_long_function_is_found) {
    expect_of_lines(rule_function_length, "void f(void) {\n", FUNCTION_LINES_MAX - 2, "}\n", "");
    expect_of_lines(rule_function_length, "void f(void) {\n", FUNCTION_LINES_MAX - 1, "}\n", "hw/a.c:1: the function");
    expect_of_lines(rule_function_length, "extern \"C\" {\nvoid f(void)\n{\n", FUNCTION_LINES_MAX, "}\n}\n",
                    "hw/a.c:3: the function");
    expect_of_lines(rule_function_length, "int a[] = {\n", 2 * FUNCTION_LINES_MAX, "};\n", "");
    expect_of_lines(rule_function_length, "#define A {\nvoid f(void) { if (a) { b(); } }\nint b[] = {\n",
                    2 * FUNCTION_LINES_MAX, "};\n", "");
}

Test(rules, a_header_without_comment_or_guard_is_found) {
    expect_findings(rule_header_form, "hw/a.h", "/* a.h: a. */\n#ifndef STILLSUIT_HW_A_H\n#define STILLSUIT_HW_A_H\n",
                    "");
    expect_findings(rule_header_form, "hw/a.h", "#ifndef STILLSUIT_HW_A_H\n#define STILLSUIT_HW_A_H\n", "begins with");
    expect_findings(rule_header_form, "hw/a.h", "/* */\n#ifndef STILLSUIT_A_H\n#define STILLSUIT_A_H\n",
                    "not STILLSUIT_HW_A_H");
    expect_findings(rule_header_form, "hw/a.c", "int a;\n", "");
}

Test(rules, notes_for_later_are_found) {
    expect_findings(rule_unfinished, "hw/a.c",
                    "int a;\n/* TO"
                    "DO: b */\n",
                    "hw/a.c:2:");
    expect_findings(rule_unfinished, "docs/a.md",
                    "FIX"
                    "ME\n",
                    "docs/a.md:1:");
    expect_findings(rule_unfinished, "hw/a.c",
                    "/* XX"
                    "X */\n",
                    "hw/a.c:1:");
    expect_findings(rule_unfinished, "hw/a.c",
                    "mkstemp(\"/tmp/aXX"
                    "XXXX\"); /* METHO"
                    "DS */\n",
                    "");
}

Test(rules, words_from_outside_are_found) {
    expect_findings(rule_own_words, "docs/a.md",
                    "see ../sha"
                    "red/reference/a.yaml\n",
                    "docs/a.md:1:");
    expect_findings(rule_own_words, "docs/a.md",
                    "\nsha"
                    "red/reference\n",
                    "docs/a.md:2:");
    expect_findings(rule_own_words, "docs/a.md", "shared memory, a reference, framework/ \n", "");
}
