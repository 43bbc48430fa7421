/* test_mutants.c: each mutant (scripts/mutants) can still be applied, names tests that there
 * are, and is in the documentation. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TESTS_MAX = 16, MUTANTS_MIN = 40 };

struct mutant {
    const char *title, *against, *file;
    const char *fails[TESTS_MAX]; /* "program suite/test" */
    size_t fails_count;
    char *taken_out, *put_in;
};

static char *read_file(const char *path) {
    char full[4096];
    (void)snprintf(full, sizeof full, "%s/%s", SOURCE_DIR, path);
    FILE *file = fopen(full, "rb");
    cr_assert_not_null(file, "%s cannot be read", path);
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    for (int c; (c = fgetc(file)) != EOF;) {
        (void)fputc(c, out);
    }
    (void)fclose(file);
    (void)fclose(out);
    return text;
}

/* Splits the text of a mutant, in place. */
static struct mutant parse(const char *path, char *text) {
    static const char out[] = "-- taken out\n", in[] = "-- put in\n";
    struct mutant mutant = {0};
    mutant.taken_out = strstr(text, out);
    mutant.put_in = mutant.taken_out != NULL ? strstr(mutant.taken_out, in) : NULL;
    cr_assert_not_null(mutant.put_in, "%s has no \"-- taken out\" and \"-- put in\"", path);
    *mutant.taken_out = *mutant.put_in = '\0';
    mutant.taken_out += sizeof out - 1;
    mutant.put_in += sizeof in - 1;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char *value = strstr(line, ": ");
        cr_assert_not_null(value, "%s: \"%s\" is no line of a mutant", path, line);
        *value = '\0';
        value += 2;
        const bool fails = strcmp(line, "fails") == 0;
        cr_assert(fails || strcmp(line, "title") == 0 || strcmp(line, "against") == 0 || strcmp(line, "file") == 0,
                  "%s: there is no key %s", path, line);
        cr_assert_lt(mutant.fails_count, (size_t)TESTS_MAX);
        if (fails) {
            mutant.fails[mutant.fails_count++] = value;
        }
        mutant.title = line[0] == 't' ? value : mutant.title;
        mutant.against = line[0] == 'a' ? value : mutant.against;
        mutant.file = strcmp(line, "file") == 0 ? value : mutant.file;
    }
    cr_assert(mutant.title != NULL && mutant.against != NULL && mutant.file != NULL && mutant.fails_count > 0,
              "%s says too little", path);
    return mutant;
}

static size_t times(const char *text, const char *part) {
    size_t count = 0;
    for (const char *at = strstr(text, part); part[0] != '\0' && at != NULL; at = strstr(at + 1, part)) {
        count++;
    }
    return count;
}

/* A suite may be named by a macro, for a file that another one includes. */
static void name_of_suite(const char *text, char *suite) {
    char definition[160], name[128];
    (void)snprintf(definition, sizeof definition, "#define %s ", suite);
    const char *at = strstr(text, definition);
    if (at != NULL && sscanf(at + strlen(definition), "%127s", name) == 1) {
        (void)snprintf(suite, sizeof name, "%s", name);
    }
}

/* Whether a source of the program declares a test that the pattern "suite/test" matches. */
static bool declares(const char *text, const char *pattern) {
    bool found = false;
    for (const char *at = strstr(text, "\nTest("); at != NULL && !found; at = strstr(at + 1, "\nTest(")) {
        char suite[128], test[128], name[260];
        if (sscanf(at, " Test(%127[^,], %127[^,) ]", suite, test) == 2) {
            name_of_suite(text, suite);
            (void)snprintf(name, sizeof name, "%s/%s", suite, test);
            found = fnmatch(pattern, name, 0) == 0;
        }
    }
    return found;
}

/* A test's text; behind that of a file that includes another for another processor, the other's. */
static char *read_test(const char *path) {
    char *text = read_file(path), included[300];
    const char *at = strstr(text, ".c\"\n");
    while (at != NULL && at > text && at[-1] != '"') {
        at--;
    }
    if (at == NULL || sscanf(at, "%299[^\"]", included) != 1) {
        return text;
    }
    char *other = read_file(included), *both = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&both, &length);
    (void)fprintf(out, "%s\n%s", text, other);
    (void)fclose(out);
    free(text);
    free(other);
    return both;
}

static bool test_exists(const char *program, const char *pattern) {
    char folder[256], path[600];
    (void)snprintf(folder, sizeof folder, "%s/tests/%s", SOURCE_DIR, program + strlen("test_"));
    DIR *directory = opendir(folder);
    cr_assert_not_null(directory, "%s cannot be read", folder);
    bool found = false;
    for (const struct dirent *entry; !found && (entry = readdir(directory)) != NULL;) {
        const size_t length = strlen(entry->d_name);
        if (length > 2 && strcmp(entry->d_name + length - 2, ".c") == 0) {
            (void)snprintf(path, sizeof path, "tests/%s/%s", program + strlen("test_"), entry->d_name);
            char *text = read_test(path);
            found = declares(text, pattern);
            free(text);
        }
    }
    (void)closedir(directory);
    return found;
}

static void check(const char *name, const char *documentation) {
    char path[512], quoted[300];
    (void)snprintf(path, sizeof path, "tests/mutants/%s", name);
    char *text = read_file(path);
    const struct mutant mutant = parse(path, text);
    char *source = read_file(mutant.file);
    cr_expect_eq(times(source, mutant.taken_out), 1, "%s: what it takes out is %zu times in %s", path,
                 times(source, mutant.taken_out), mutant.file);
    cr_expect_str_neq(mutant.taken_out, mutant.put_in, "%s changes nothing", path);
    for (size_t i = 0; i < mutant.fails_count; i++) {
        char program[64], pattern[200];
        cr_assert_eq(sscanf(mutant.fails[i], "%63s %199s", program, pattern), 2, "%s: %s", path, mutant.fails[i]);
        cr_expect(strncmp(program, "test_", 5) == 0 && test_exists(program, pattern), "%s: there is no test %s of %s",
                  path, pattern, program);
    }
    (void)snprintf(quoted, sizeof quoted, "`%.*s`", (int)(strlen(name) - strlen(".mutant")), name);
    cr_expect_not_null(strstr(documentation, quoted), "docs/exokernel.md does not name %s", quoted);
    free(source);
    free(text);
}

Test(mutants, can_be_applied_and_are_documented) {
    char *documentation = read_file("docs/exokernel.md");
    DIR *directory = opendir(SOURCE_DIR "/tests/mutants");
    size_t count = 0;
    cr_assert_not_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (strstr(entry->d_name, ".mutant") != NULL) {
            check(entry->d_name, documentation);
            count++;
        }
    }
    (void)closedir(directory);
    cr_expect_geq(count, (size_t)MUTANTS_MIN);
    free(documentation);
}

/* The monitor of the adversaries takes nothing from what it watches but the layout of a
 * handle and the names of rights: no other header, and no function. */
Test(mutants, the_monitor_stands_apart_from_the_kernel) {
    static const char *const files[] = {"tests/kernel_model/monitor.h", "tests/kernel_model/monitor.c"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *text = read_file(files[i]);
        cr_expect_eq(times(text, "#include \"kernel_model/"), times(text, "#include \"kernel_model/exo/capability.h\""),
                     "%s", files[i]);
        cr_expect_eq(times(text, "#include \"tests/"), times(text, "#include \"tests/kernel_model/monitor.h\""));
        cr_expect_eq(times(text, "exo_capability_"), 0, "%s calls what it is to watch", files[i]);
        free(text);
    }
}
