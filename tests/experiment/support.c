/* support.c: temporary folders, runs, and reading what they wrote. */
#include "tests/experiment/support.h"

#include <dirent.h>
#include <ftw.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "experiment/results.h"

void enter_sources(void) {
    cr_assert_eq(chdir(SOURCE_DIR), 0);
}

void make_temporary_folder(char out[SUPPORT_PATH_BYTES]) {
    (void)snprintf(out, SUPPORT_PATH_BYTES, "/tmp/stillsuit-test-XXXXXX");
    cr_assert_not_null(mkdtemp(out));
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *where) {
    (void)status, (void)type, (void)where;
    return remove(path);
}

void remove_folder(const char *folder) {
    cr_expect_eq(nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0, "%s cannot be removed", folder);
}

const char *path_in(const char *folder, const char *name) {
    static char paths[60][2 * SUPPORT_PATH_BYTES];
    static unsigned next;
    char *path = paths[next++ % 60];
    (void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

bool file_exists(const char *path) {
    return access(path, F_OK) == 0;
}

char *read_text(const char *path) {
    FILE *in = fopen(path, "r");
    cr_assert_not_null(in, "%s cannot be read", path);
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    for (int c; (c = fgetc(in)) != EOF;) {
        (void)fputc(c, out);
    }
    (void)fclose(out);
    (void)fclose(in);
    return text;
}

void write_text(const char *path, const char *text) {
    FILE *out = fopen(path, "w");
    cr_assert_not_null(out, "%s cannot be written", path);
    (void)fputs(text, out);
    cr_assert_eq(fclose(out), 0);
}

struct experiment *load_good(const char *path, const char *const *settings) {
    struct diagnostics diagnostics;
    size_t count = 0;
    while (settings[count] != NULL) {
        count++;
    }
    diagnostics_init(&diagnostics);
    struct experiment *experiment = experiment_load(path, settings, count, &diagnostics);
    diagnostics_print(&diagnostics, stderr);
    diagnostics_free(&diagnostics);
    cr_assert_not_null(experiment, "%s is not valid", path);
    return experiment;
}

struct run_summary run_into(const char *folder, const char *path, const char *const *settings, unsigned jobs) {
    struct experiment *experiment = load_good(path, settings);
    const struct run_options options = {.jobs = jobs, .out = folder, .quiet = true};
    struct run_summary summary;
    struct error error = {0};
    cr_assert_eq(experiment_run(experiment, &options, &summary, &error), OK, "%s: %s", path, error.text);
    experiment_free(experiment);
    return summary;
}

char *text_of(struct diagnostics *diagnostics) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    cr_assert_not_null(out);
    diagnostics_print(diagnostics, out);
    (void)fclose(out);
    diagnostics_free(diagnostics);
    return text;
}

size_t check_corpus(const char *folder, char *(*messages)(const char *path)) {
    size_t count = 0;
    DIR *files = opendir(folder);
    cr_assert_not_null(files);
    for (const struct dirent *entry; (entry = readdir(files)) != NULL;) {
        const size_t length = strlen(entry->d_name);
        if (length <= 5 || strcmp(entry->d_name + length - 5, ".yaml") != 0) {
            continue;
        }
        char beside[300];
        (void)snprintf(beside, sizeof beside, "%.*s.expected", (int)length - 5, entry->d_name);
        char *expected = read_text(path_in(folder, beside)), *text = messages(path_in(folder, entry->d_name));
        cr_expect_str_eq(text, expected, "%s:\n%s", entry->d_name, text);
        cr_expect_neq(text[0], '\0', "%s was accepted", entry->d_name);
        free(expected);
        free(text);
        count++;
    }
    (void)closedir(files);
    return count;
}

struct csv_table read_csv(const char *folder, const char *name) {
    struct csv_table table;
    struct error error = {0};
    cr_assert_eq(csv_table_read(path_in(folder, name), &table, &error), OK, "%s", error.text);
    return table;
}

double number_where(const struct csv_table *table, const char *column, const char *const *where) {
    const int index = csv_table_column(table, column);
    cr_assert_geq(index, 0, "there is no column %s", column);
    const size_t row = csv_table_find(table, 0, where);
    cr_assert_lt(row, table->row_count, "there is no row for %s", column);
    cr_assert_eq(csv_table_find(table, row + 1, where), table->row_count, "more than one row for %s", column);
    const double value = csv_table_number(table, row, index);
    cr_assert(isfinite(value), "%s is no number", column);
    return value;
}

void expect_same_results(const char *a, const char *b) {
    for (size_t i = 0; i < RESULT_FILES; i++) {
        char *x = read_text(path_in(a, result_file_names[i]));
        char *y = read_text(path_in(b, result_file_names[i]));
        cr_expect_gt(strlen(x), 0);
        cr_expect(strcmp(x, y) == 0, "%s differs between %s and %s", result_file_names[i], a, b);
        free(x);
        free(y);
    }
}
