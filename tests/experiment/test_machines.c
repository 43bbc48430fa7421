/* test_machines.c: systems of one experiment on machines of their own. */
#include <stdlib.h>
#include <string.h>

#include "tests/experiment/support.h"

static const char config[] = "tests/experiment/data/machines.yaml";
static char folder[SUPPORT_PATH_BYTES];

static void begin(void) {
    enter_sources();
    make_temporary_folder(folder);
}
static void end(void) {
    remove_folder(folder);
}
TestSuite(machines, .init = begin, .fini = end);

/* The mean of each system, as its row says. */
static double mean_of(const char *system) {
    struct csv_table table = read_csv(folder, "latency.csv");
    const double mean = number_where(&table, "mean_ns", WHERE("system", system));
    csv_table_free(&table);
    return mean;
}

Test(machines, each_system_runs_on_its_own) {
    (void)run_into(folder, config, NO_SETTINGS, 2);
    cr_expect_float_eq(mean_of("half"), 2 * mean_of("common"), 0.001, "%f %f", mean_of("half"), mean_of("common"));
    cr_expect_lt(mean_of("nested"), mean_of("common") / 50);
}

Test(machines, a_machine_is_set_by_its_path) {
    (void)run_into(
        folder, config,
        SETTINGS("systems.half.machine.core.clock=6.25 MHz", "machine.core.clock=50 MHz", "only=[common, half]"), 2);
    cr_expect_float_eq(mean_of("half"), 8 * mean_of("common"), 0.001, "%f %f", mean_of("half"), mean_of("common"));
}

Test(machines, an_axis_may_be_a_systems_own_machine) {
    (void)run_into(folder, config,
                   SETTINGS("only=half", "matrix={systems.half.machine.core.clock: [12.5 MHz, 25 MHz]}"), 2);
    struct csv_table table = read_csv(folder, "latency.csv");
    const double slow = number_where(&table, "mean_ns", WHERE("clock", "12.5 MHz"));
    const double fast = number_where(&table, "mean_ns", WHERE("clock", "25 MHz"));
    csv_table_free(&table);
    cr_expect_float_eq(slow, 2 * fast, 0.001, "%f %f", slow, fast);
}

/* The results' config.yaml says the same, by itself. */
Test(machines, the_resolved_configuration_runs_to_the_same_results) {
    char again[SUPPORT_PATH_BYTES];
    make_temporary_folder(again);
    (void)run_into(folder, config, NO_SETTINGS, 2);
    (void)run_into(again, path_in(folder, "config.yaml"), NO_SETTINGS, 1);
    expect_same_results(folder, again);
    remove_folder(again);
}

/* An assumed value of a system's machine has its own row, and changes that system alone. */
Test(machines, sensitivity_reaches_a_systems_machine) {
    static const char *const settings[] = {
        "only=[common, half]",
        "systems.half.machine.core.clock={value: 12.5 MHz, assumed: test, range: [6.25 MHz, 25 MHz]}"};
    const struct sensitivity_options options = {.experiment = config,
                                                .settings = settings,
                                                .setting_count = sizeof settings / sizeof *settings,
                                                .out = folder,
                                                .jobs = 2};
    struct error error = {0};
    FILE *out = fopen(path_in(folder, "report"), "w");
    cr_assert_eq(sensitivity_run(&options, out, &error), OK, "%s", error.text);
    (void)fclose(out);
    struct csv_table table = read_csv(folder, "sensitivity.csv");
    const char *const key = "systems.half.machine.core.clock.value", *const output = "latency.csv.mean_ns";
    cr_expect_float_eq(
        number_where(&table, "change_percent", WHERE("key", key, "end", "low", "system", "half", "output", output)),
        100, 0.01);
    cr_expect_eq(
        number_where(&table, "change_percent", WHERE("key", key, "end", "low", "system", "common", "output", output)),
        0);
    csv_table_free(&table);
}
