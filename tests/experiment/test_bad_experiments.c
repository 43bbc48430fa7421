/* test_bad_experiments.c: every file in tests/bad_configs/experiments is refused with
 * exactly the text that lies beside it, all of its errors at once, and nothing is
 * written. */
#include <stdlib.h>
#include <string.h>

#include "tests/experiment/program.h"
#include "tests/experiment/support.h"

enum { FILES_AT_LEAST = 60 };
static const char corpus[] = "tests/bad_configs/experiments";

static char *messages_with(const char *path, const char *const *settings) {
    struct diagnostics diagnostics;
    size_t count = 0;
    while (settings[count] != NULL) {
        count++;
    }
    diagnostics_init(&diagnostics);
    struct experiment *experiment = experiment_load(path, settings, count, &diagnostics);
    cr_expect_eq(experiment == NULL, diagnostics.errors > 0, "%s", path);
    experiment_free(experiment);
    return text_of(&diagnostics);
}

static char *messages_of(const char *path) {
    return messages_with(path, NO_SETTINGS);
}

Test(bad_experiments, each_is_refused_as_written_beside_it, .init = enter_sources) {
    cr_expect_geq(check_corpus(corpus, messages_of), FILES_AT_LEAST);
}

static void expect_setting_refused(const char *setting, const char *expected) {
    char *messages = messages_with("tests/experiment/data/echo.yaml", SETTINGS(setting));
    cr_expect_str_eq(messages, expected, "--set %s:\n%s", setting, messages);
    free(messages);
}

Test(bad_experiments, settings_are_checked_like_the_file, .init = enter_sources) {
    expect_setting_refused("run.request=5", "--set run.request:1:1: unknown key 'request' in run; did you mean "
                                            "'requests'?\n");
    expect_setting_refused("run.requests=5 us",
                           "--set run.requests:1:1: run.requests: '5 us' is not an integer such as '64'\n");
    expect_setting_refused("run.warmup=5",
                           "--set run.warmup:1:1: run.warmup: '5' has no unit; write for example '5 us'\n");
    expect_setting_refused("machine.cors.count=2",
                           "--set machine.cors.count:1:1: there is no 'cors' in machine; did you mean 'core'?\n");
    expect_setting_refused("machine.devices[nic].lanes=8",
                           "--set machine.devices[nic].lanes:1:1: unknown key 'lanes' in machine.devices[nic]\n");
    expect_setting_refused("run.requests", "--set run.requests:1:1: an assignment is due, such as "
                                           "machine.nics[0].rate=10 Gbps\n");
    expect_setting_refused("systems.driver.type=linus",
                           "--set systems.driver.type:1:1: systems.driver.type: there is no system 'linus'; did you "
                           "mean 'linux'?\n");
}

Test(bad_experiments, several_settings_are_refused_at_once, .init = enter_sources) {
    char *messages = messages_with("tests/experiment/data/echo.yaml", SETTINGS("run.warmup=5", "only=bsd", "titel=x"));
    cr_expect_not_null(strstr(messages, "--set run.warmup:1:1: "));
    cr_expect_not_null(strstr(messages, "--set only:1:1: only: there is no system 'bsd'"));
    cr_expect_not_null(strstr(messages, "--set titel:1:1: unknown key 'titel'; did you mean 'title'?"));
    free(messages);
}

/* Through the program, as a person meets it. */
Test(bad_experiments, nothing_is_written_and_the_exit_code_is_2) {
    char folder[SUPPORT_PATH_BYTES], line[2 * SUPPORT_PATH_BYTES];
    make_temporary_folder(folder);
    const char *results = path_in(folder, "results");
    (void)snprintf(line, sizeof line, "run %s/several_layers.yaml --out %s", corpus, results);
    EXPECT(line, 2, "several_layers.yaml:3:1: ", "several_layers.yaml:23:17: ");
    cr_expect_not(file_exists(results));
    remove_folder(folder);
}
