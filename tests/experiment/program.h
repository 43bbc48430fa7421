/* program.h: running the built program, for tests of its command line. */
#ifndef STILLSUIT_TESTS_EXPERIMENT_PROGRAM_H
#define STILLSUIT_TESTS_EXPERIMENT_PROGRAM_H

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

struct outcome {
    int status; /* exit code */
    char *text; /* stdout and stderr, or what the redirection left of them; the caller frees it */
};

/* Runs "<variables> stillsuit <line>" from the sources' root, through a shell. */
static inline struct outcome run_with(const char *variables, const char *line) {
    char command[4096];
    (void)snprintf(command, sizeof command, "cd '%s' && %s '%s/stillsuit' %s 2>&1", SOURCE_DIR, variables, BINARY_DIR,
                   line);
    struct outcome outcome = {0, NULL};
    FILE *in = popen(command, "r");
    cr_assert_not_null(in);
    size_t length = 0;
    FILE *out = open_memstream(&outcome.text, &length);
    char part[4096];
    size_t count;
    while ((count = fread(part, 1, sizeof part, in)) > 0) {
        (void)fwrite(part, 1, count, out);
    }
    (void)fclose(out);
    const int status = pclose(in);
    cr_assert(WIFEXITED(status), "'%s' ended by a signal:\n%s", line, outcome.text);
    outcome.status = WEXITSTATUS(status);
    return outcome;
}

/* Runs "stillsuit <line>": the exit code must be `status`, and each of the texts
 * (ended by NULL) must be in what it says. */
static inline void expect(const char *line, int status, const char *const *texts) {
    const struct outcome outcome = run_with("", line);
    cr_expect_eq(outcome.status, status, "'%s': exit code %d, not %d:\n%s", line, outcome.status, status, outcome.text);
    for (; *texts != NULL; ++texts) {
        cr_expect_not_null(strstr(outcome.text, *texts), "'%s' does not say '%s':\n%s", line, *texts, outcome.text);
    }
    free(outcome.text);
}

#define EXPECT(line, status, ...) expect(line, status, (const char *const[]){__VA_ARGS__, NULL})

#endif
