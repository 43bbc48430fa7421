/* test_sensitivity.c: what hangs on assumed values, on an experiment whose answer is known. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/experiment/support.h"

static char folder[SUPPORT_PATH_BYTES];

static void begin(void) {
    enter_sources();
    make_temporary_folder(folder);
}

static void end(void) {
    remove_folder(folder);
}

TestSuite(sensitivity, .init = begin, .fini = end);

/* The unloaded echo passes the switch twice: both ends of its range show in full. */
Test(sensitivity, both_ends_of_a_range_show) {
    static const char *const settings[] = {
        "only=driver", "run.requests=50", "network.switch.latency={value: 1 us, assumed: test, range: [0.5 us, 3 us]}"};
    const struct sensitivity_options options = {.experiment = "tests/experiment/data/unloaded.yaml",
                                                .settings = settings,
                                                .setting_count = sizeof settings / sizeof *settings,
                                                .out = folder,
                                                .jobs = 2};
    struct error error = {0};
    FILE *out = fopen("/dev/null", "w");
    cr_assert_eq(sensitivity_run(&options, out, &error), OK, "%s", error.text);
    (void)fclose(out);
    struct csv_table table = read_csv(folder, "sensitivity.csv");
    const char *const key = "network.switch.latency.value";
    const double was = number_where(
        &table, "as_it_stands", WHERE("payload", "18 B", "key", key, "end", "low", "output", "latency.csv.mean_ns"));
    const double low = number_where(
        &table, "changed_to", WHERE("payload", "18 B", "key", key, "end", "low", "output", "latency.csv.mean_ns"));
    const double high = number_where(
        &table, "changed_to", WHERE("payload", "18 B", "key", key, "end", "high", "output", "latency.csv.mean_ns"));
    cr_expect_float_eq(was - low, 2 * 500, 2, "%f %f", was, low);
    cr_expect_float_eq(high - was, 2 * 2000, 2, "%f %f", was, high);
    csv_table_free(&table);
}

Test(sensitivity, leaves_nothing_behind_when_the_experiment_is_not_valid) {
    static const char *const settings[] = {"run.requests=none"};
    const struct sensitivity_options options = {
        .experiment = "tests/experiment/data/unloaded.yaml", .settings = settings, .setting_count = 1, .out = folder};
    struct error error = {0};
    cr_expect_eq(sensitivity_run(&options, stdout, &error), ERR_CONFIG);
    cr_expect_neq(access(path_in(folder, "sensitivity.csv"), F_OK), 0);
}
