/* test_determinism.c: the bytes of the results depend on configuration and seed alone. */
#include <stdlib.h>
#include <string.h>

#include "experiment/results.h"
#include "tests/experiment/support.h"

static const char echo[] = "tests/experiment/data/echo.yaml";
static char folder[SUPPORT_PATH_BYTES];

static void begin(void) {
    enter_sources();
    make_temporary_folder(folder);
}

static void end(void) {
    remove_folder(folder);
}

TestSuite(determinism, .init = begin, .fini = end);

Test(determinism, neither_jobs_nor_a_second_run_change_a_byte) {
    const struct run_summary one = run_into(path_in(folder, "one"), echo, NO_SETTINGS, 1);
    const struct run_summary two = run_into(path_in(folder, "two"), echo, NO_SETTINGS, 2);
    const struct run_summary again = run_into(path_in(folder, "one"), echo, NO_SETTINGS, 3);
    cr_expect_eq(one.points, 8);
    cr_expect_eq(one.failed + two.failed + again.failed, 0);
    cr_expect_eq(again.resumed, 0, "a run that ended is not one to resume");
    cr_expect_neq(one.results_digest, 0);
    cr_expect_eq(one.results_digest, two.results_digest);
    cr_expect_eq(one.results_digest, again.results_digest);
    cr_expect_eq(one.events, two.events);
    expect_same_results(path_in(folder, "one"), path_in(folder, "two"));
}

Test(determinism, the_hardware_alone_too) {
    static const char dma[] = "tests/experiment/data/dma.yaml";
    (void)run_into(path_in(folder, "one"), dma, NO_SETTINGS, 1);
    (void)run_into(path_in(folder, "two"), dma, NO_SETTINGS, 2);
    expect_same_results(path_in(folder, "one"), path_in(folder, "two"));
}

Test(determinism, another_seed_gives_other_samples) {
    (void)run_into(path_in(folder, "one"), echo, SETTINGS("run.seed=1"), 2);
    (void)run_into(path_in(folder, "two"), echo, SETTINGS("run.seed=2"), 2);
    struct csv_table one = read_csv(path_in(folder, "one"), "latency.csv");
    struct csv_table two = read_csv(path_in(folder, "two"), "latency.csv");
    cr_assert_eq(one.row_count, two.row_count);
    const int mean = csv_table_column(&one, "mean_ns");
    for (size_t row = 0; row < one.row_count; row++) {
        cr_expect_neq(csv_table_number(&one, row, mean), csv_table_number(&two, row, mean), "point %zu", row);
    }
    csv_table_free(&one);
    csv_table_free(&two);
}

/* The seed of the command line stands for the experiment's. */
Test(determinism, a_seed_given_to_the_run_is_the_same_as_one_in_the_file) {
    (void)run_into(path_in(folder, "one"), echo, SETTINGS("run.seed=5"), 2);
    struct experiment *experiment = load_good(echo, NO_SETTINGS);
    const char *out = path_in(folder, "two");
    const struct run_options options = {.jobs = 2, .seed_given = true, .seed = 5, .out = out, .quiet = true};
    struct run_summary summary;
    struct error error = {0};
    cr_assert_eq(experiment_run(experiment, &options, &summary, &error), OK, "%s", error.text);
    experiment_free(experiment);
    expect_same_results(path_in(folder, "one"), path_in(folder, "two"));
}

/* The rows of one system of a CSV, without the point's number; the caller frees them. */
static char *rows_of(const char *results, const char *csv, const char *system) {
    char *text = read_text(path_in(results, csv)), *out = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&out, &bytes);
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        const char *rest = line + strcspn(line, ",") + 1;
        if (strncmp(rest, system, strlen(system)) == 0 && rest[strlen(system)] == ',') {
            (void)fprintf(stream, "%s\n", rest);
        }
    }
    (void)fclose(stream);
    free(text);
    cr_assert_neq(out[0], '\0', "%s has no rows of %s", csv, system);
    return out;
}

static void expect_same_rows(const char *a, const char *b, const char *system, const enum result_file *files,
                             size_t count) {
    for (size_t i = 0; i < count; i++) {
        char *x = rows_of(a, result_file_names[files[i]], system);
        char *y = rows_of(b, result_file_names[files[i]], system);
        cr_expect(strcmp(x, y) == 0, "%s, %s:\n%s\n---\n%s", system, result_file_names[files[i]], x, y);
        free(x);
        free(y);
    }
}

/* A system's results are its own: they hang on no other system of the experiment. */
Test(determinism, a_system_alone_gives_what_it_gives_among_others) {
    static const enum result_file files[] = {RESULT_BREAKDOWN, RESULT_LATENCY, RESULT_THROUGHPUT, RESULT_UTILIZATION,
                                             RESULT_COUNTERS};
    (void)run_into(path_in(folder, "all"), echo, NO_SETTINGS, 2);
    (void)run_into(path_in(folder, "alone"), echo, SETTINGS("only=arrakis_native"), 2);
    expect_same_rows(path_in(folder, "all"), path_in(folder, "alone"), "arrakis_native", files, RESULT_FILES);
}

/* Writes the experiment again, resolved, with more devices in its machine. */
static void write_with_devices(const char *path, const char *more) {
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct config *config = config_load(echo, &diagnostics);
    struct config *extra = config_parse("extra", more, &diagnostics);
    cr_assert(config != NULL && extra != NULL && diagnostics.errors == 0);
    const struct config_node *devices = config_path(config_root(config), "machine.devices");
    const struct config_node *added = config_get(config_root(extra), "devices");
    cr_assert(devices != NULL && added != NULL);
    struct config_node *children[16];
    cr_assert_leq(devices->count + added->count, 16);
    memcpy(children, devices->children, devices->count * sizeof *children);
    memcpy(children + devices->count, added->children, added->count * sizeof *children);
    struct config_node *list = (struct config_node *)(uintptr_t)devices;
    list->children = children;
    list->count += added->count;
    FILE *out = fopen(path, "w");
    cr_assert_not_null(out);
    config_write(config_root(config), out);
    (void)fclose(out);
    config_free(config);
    config_free(extra);
    diagnostics_free(&diagnostics);
}

Test(determinism, idle_devices_change_nothing) {
    static const char *const systems[] = {"linux", "arrakis_posix", "arrakis_native", "driver"};
    static const enum result_file files[] = {RESULT_BREAKDOWN, RESULT_LATENCY, RESULT_THROUGHPUT};
    const char *path = path_in(folder, "more.yaml");
    write_with_devices(path, "devices:\n"
                             "  - {name: idle, type: null}\n"
                             "  - {name: spare, type: nic/sriov}\n");
    (void)run_into(path_in(folder, "more"), path_in(folder, "more.yaml"),
                   SETTINGS("workload.script=workloads/udp_echo.yaml"), 2);
    (void)run_into(path_in(folder, "plain"), echo, SETTINGS("workload.script=workloads/udp_echo.yaml"), 2);
    struct csv_table counters = read_csv(path_in(folder, "more"), "counters.csv");
    cr_expect_eq(
        number_where(&counters, "value",
                     WHERE("system", "driver", "payload", "64 B", "instance", "spare.pf", "counter", "rx_packets")),
        0);
    csv_table_free(&counters);
    for (size_t i = 0; i < sizeof systems / sizeof *systems; i++) {
        expect_same_rows(path_in(folder, "plain"), path_in(folder, "more"), systems[i], files,
                         sizeof files / sizeof *files);
    }
}
