/* test_bad_configs.c: every file in tests/bad_configs/generic is refused with exactly
 * the text that lies beside it. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim/config.h"

enum { PATH_BYTES = 512, FILES_AT_LEAST = 50 };

static const char folder[] = "tests/bad_configs/generic";

/* What loading prints; the caller frees it. */
static char *messages_of(const char *path, size_t *errors) {
    struct diagnostics diagnostics;
    char *text = NULL;
    size_t length = 0;
    diagnostics_init(&diagnostics);
    struct config *config = config_load(path, &diagnostics);
    FILE *out = open_memstream(&text, &length);
    cr_assert_not_null(out);
    diagnostics_print(&diagnostics, out);
    (void)fclose(out);
    *errors = diagnostics.errors;
    config_free(config);
    diagnostics_free(&diagnostics);
    return text;
}

static char *content_of(const char *path) {
    FILE *in = fopen(path, "r");
    cr_assert_not_null(in, "%s is missing", path);
    char *text = calloc(1, 65536);
    const size_t length = fread(text, 1, 65535, in);
    cr_assert_lt(length, 65535);
    (void)fclose(in);
    return text;
}

static void check_file(const char *name, size_t stem) {
    char path[PATH_BYTES];
    char expected_path[PATH_BYTES];
    size_t errors = 0;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    (void)snprintf(expected_path, sizeof expected_path, "%s/%.*s.expected", folder, (int)stem, name);
    char *expected = content_of(expected_path);
    char *messages = messages_of(path, &errors);
    cr_expect_str_eq(messages, expected, "%s:\n%s", name, messages);
    cr_expect_gt(errors, 0, "%s was accepted", name);
    cr_expect_neq(expected[0], '\0', "%s is empty", expected_path);
    free(messages);
    free(expected);
}

Test(bad_configs, each_is_refused_as_written_beside_it) {
    cr_assert_eq(chdir(SOURCE_DIR), 0);
    DIR *files = opendir(folder);
    cr_assert_not_null(files);
    size_t checked = 0;
    for (const struct dirent *entry = readdir(files); entry != NULL; entry = readdir(files)) {
        const size_t length = strlen(entry->d_name);
        if (length > 5 && strcmp(entry->d_name + length - 5, ".yaml") == 0) {
            check_file(entry->d_name, length - 5);
            checked += 1;
        }
    }
    (void)closedir(files);
    cr_expect_geq(checked, FILES_AT_LEAST);
}

static void check_large(const char *path, long long bytes, const char *expected) {
    const int descriptor = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    size_t errors = 0;
    cr_assert_geq(descriptor, 0);
    cr_assert_eq(ftruncate(descriptor, (off_t)bytes), 0);
    (void)close(descriptor);
    char *messages = messages_of(path, &errors);
    cr_expect_str_eq(messages, expected);
    cr_expect_eq(errors, 1);
    free(messages);
    (void)unlink(path);
}

Test(bad_configs, a_gigabyte_is_refused_unread, .timeout = 5) {
    char temporary[] = "/tmp/stillsuit-test-XXXXXX";
    cr_assert_not_null(mkdtemp(temporary));
    cr_assert_eq(chdir(temporary), 0);
    check_large(
        "large.yaml", 1LL << 30,
        "large.yaml:1:1: cannot read this file: it has 1073741824 bytes, and a configuration may have 1048576\n");
    check_large("above.yaml", CONFIG_FILE_BYTES_MAX + 1,
                "above.yaml:1:1: cannot read this file: it has 1048577 bytes, and a configuration may have 1048576\n");
    /* As large as it may be: read, and found to be no text. */
    check_large("zeros.yaml", CONFIG_FILE_BYTES_MAX, "zeros.yaml:1:1: this is not text: a zero byte\n");
    cr_assert_eq(chdir("/"), 0);
    (void)rmdir(temporary);
}

Test(bad_configs, what_is_no_file_is_refused, .timeout = 5) {
    size_t errors = 0;
    char *messages = messages_of("/nonexistent/a.yaml", &errors);
    cr_expect_str_eq(messages, "/nonexistent/a.yaml:1:1: cannot read this file: No such file or directory\n");
    free(messages);
    messages = messages_of("/dev/zero", &errors);
    cr_expect_str_eq(messages, "/dev/zero:1:1: cannot read this file: it is not a regular file\n");
    free(messages);
    messages = messages_of("/", &errors);
    cr_expect_str_eq(messages, "/:1:1: cannot read this file: it is a directory\n");
    free(messages);
}

Test(bad_configs, a_pipe_does_not_hang, .timeout = 5) {
    char temporary[] = "/tmp/stillsuit-test-XXXXXX";
    size_t errors = 0;
    cr_assert_not_null(mkdtemp(temporary));
    cr_assert_eq(chdir(temporary), 0);
    cr_assert_eq(mkfifo("pipe.yaml", 0600), 0);
    char *messages = messages_of("pipe.yaml", &errors);
    cr_expect_str_eq(messages, "pipe.yaml:1:1: cannot read this file: it is not a regular file\n");
    free(messages);
    (void)unlink("pipe.yaml");
    cr_assert_eq(chdir("/"), 0);
    (void)rmdir(temporary);
}
