/* test_fit.c: fitting finds the values that a table was made with, leaves the rest of
 * the file alone, and refuses what may not be fitted. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/experiment/support.h"

static char folder[SUPPORT_PATH_BYTES];

static void begin(void) {
    enter_sources();
    make_temporary_folder(folder);
    cr_assert_eq(mkdir(path_in(folder, "papers"), 0700), 0);
}

static void end(void) {
    remove_folder(folder);
}

TestSuite(fit, .init = begin, .fini = end);

static enum error_code fit(const char *profile, bool check_only, double *change, struct error *error) {
    char path[SUPPORT_PATH_BYTES + 64], papers[SUPPORT_PATH_BYTES + 64], *text = NULL;
    size_t bytes = 0;
    (void)snprintf(path, sizeof path, "%s", profile);
    (void)snprintf(papers, sizeof papers, "%s/papers", folder);
    const struct fit_options options = {.profile = path, .papers_folder = papers, .jobs = 2, .check_only = check_only};
    FILE *out = open_memstream(&text, &bytes);
    const enum error_code code = fit_run(&options, change, out, error);
    (void)fclose(out);
    free(text);
    return code;
}

/* ---- hardware: one time ---- */

#define ENGINE_TEXT(latency)                                                                                           \
    "# The engine, as these tests take it.\n"                                                                          \
    "engine_latency: {value: " latency " ns, fit: lab/latency} # to be fitted\n"                                       \
    "internal_rate: {value: 9600 MB/s, source: \"this test\"}\n"

static const char latency_experiment[] = "name: latency\n"
                                         "kind: dma\n"
                                         "machine:\n"
                                         "  include: " SOURCE_DIR "/configs/machines/e5-2630-nfp6000.yaml\n"
                                         "  devices: [{include: engine.yaml, name: dma, type: dma_engine}]\n"
                                         "dma: {device: dma, size: 64 B}\n"
                                         "systems: {engine: {type: dma_engine, mode: read_latency}}\n"
                                         "matrix: {dma.size: [8 B, 512 B]}\n"
                                         "run: {warmup_requests: 20, requests: 200}\n";

/* A table of what the experiment gives with the values that are right. */
static void write_latency_paper(const char *use) {
    write_text(path_in(folder, "latency.yaml"), latency_experiment);
    write_text(path_in(folder, "engine.yaml"), ENGINE_TEXT("133"));
    (void)run_into(path_in(folder, "truth"), path_in(folder, "latency.yaml"), NO_SETTINGS, 2);
    struct csv_table csv = read_csv(path_in(folder, "truth"), "latency.csv");
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "paper: lab\n"
                   "tables:\n"
                   "  latency:\n"
                   "    use: %s\n"
                   "    unit: ns\n"
                   "    experiment: ../latency.yaml\n"
                   "    source: {file: latency.csv, column: mean_ns}\n"
                   "    row_key: size\n"
                   "    rows: [8 B, 512 B]\n"
                   "    columns: {engine: [%.3f, %.3f]}\n",
                   use, number_where(&csv, "mean_ns", WHERE("size", "8 B")),
                   number_where(&csv, "mean_ns", WHERE("size", "512 B")));
    write_text(path_in(folder, "papers/lab.yaml"), text);
    csv_table_free(&csv);
}

Test(fit, a_perturbed_value_is_found_again) {
    double change = 0, value = 0;
    struct error error = {0};
    write_latency_paper("calibration");
    write_text(path_in(folder, "engine.yaml"), ENGINE_TEXT("210"));
    cr_assert_eq(fit(path_in(folder, "engine.yaml"), false, &change, &error), OK, "%s", error.text);
    cr_expect_gt(change, 0.3, "it changed by %g", change);
    char *text = read_text(path_in(folder, "engine.yaml"));
    const char *at = strstr(text, "value: ");
    cr_assert(at != NULL && sscanf(at, "value: %lf ns, fit:", &value) == 1, "%s", text);
    cr_expect_float_eq(value, 133, 0.5, "%g", value);
    /* Nothing but the number is another. */
    char expected[512];
    static const char parts[] = ENGINE_TEXT("#");
    const size_t front = strcspn(strchr(parts, '{'), "#") + (size_t)(strchr(parts, '{') - parts);
    (void)snprintf(expected, sizeof expected, "%.*s%.4g%s", (int)front, parts, value, parts + front + 1);
    cr_expect_str_eq(text, expected);
    free(text);
}

Test(fit, what_is_fitted_stays_and_a_check_writes_nothing) {
    double change = 1;
    struct error error = {0};
    write_latency_paper("calibration");
    cr_assert_eq(fit(path_in(folder, "engine.yaml"), true, &change, &error), OK, "%s", error.text);
    cr_expect_lt(change, 0.005, "it would change by %g", change);
    write_text(path_in(folder, "engine.yaml"), ENGINE_TEXT("210"));
    cr_assert_eq(fit(path_in(folder, "engine.yaml"), true, &change, &error), OK, "%s", error.text);
    cr_expect_gt(change, 0.3);
    char *text = read_text(path_in(folder, "engine.yaml"));
    cr_expect_str_eq(text, ENGINE_TEXT("210"));
    free(text);
}

/* ---- software: cycles of two steps ---- */

static void write_profile(unsigned receive_cycles, unsigned transmit_cycles) {
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "include: " SOURCE_DIR "/configs/profiles/arrakis-2014.yaml\n"
                   "rx_descriptor: {cycles: %u, lines: 0, fit: lab/echo}\n"
                   "tx_descriptor:\n"
                   "  cycles: %u # a comment\n"
                   "  lines: 0\n"
                   "  fit: lab/echo\n"
                   "variation: {value: 0, source: \"this test\"}\n",
                   receive_cycles, transmit_cycles);
    write_text(path_in(folder, "profile.yaml"), text);
}

static void write_echo_paper(void) {
    write_text(path_in(folder, "echo.yaml"),
               "name: echo\n"
               "machine:\n"
               "  include: " SOURCE_DIR "/configs/machines/e5-2430-x520.yaml\n"
               "workload: {script: " SOURCE_DIR "/workloads/udp_echo.yaml, parameters: {how: spin}}\n"
               "systems: {driver: {type: driver, profile: {include: profile.yaml}}}\n"
               "run: {warmup_requests: 50, requests: 300}\n");
    write_profile(180, 90);
    (void)run_into(path_in(folder, "truth"), path_in(folder, "echo.yaml"), NO_SETTINGS, 1);
    struct csv_table csv = read_csv(path_in(folder, "truth"), "breakdown.csv");
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "paper: lab\n"
                   "tables:\n"
                   "  echo:\n"
                   "    use: {net_stack_in: calibration, net_stack_out: calibration, end_to_end: prediction}\n"
                   "    experiment: ../echo.yaml\n"
                   "    source: {column: mean_ns, where: {kind: total}}\n"
                   "    rows: [net_stack_in, net_stack_out, end_to_end]\n"
                   "    columns: {driver: [%.3f, %.3f, 1]}\n",
                   number_where(&csv, "mean_ns", WHERE("component", "net_stack_in", "kind", "total")),
                   number_where(&csv, "mean_ns", WHERE("component", "net_stack_out", "kind", "total")));
    write_text(path_in(folder, "papers/lab.yaml"), text);
    csv_table_free(&csv);
}

static double cycles_in(const char *text, const char *key) {
    const char *at = strstr(text, key);
    double cycles = NAN;
    cr_assert_not_null(at);
    cr_assert_eq(sscanf(strstr(at, "cycles: "), "cycles: %lf", &cycles), 1, "%s", text);
    return cycles;
}

/* The row that is for prediction says 1 ns: fitted to it, too, both would be 0. */
Test(fit, costs_are_found_again_from_the_calibration_rows_alone) {
    double change = 0;
    struct error error = {0};
    write_echo_paper();
    write_profile(60, 300);
    cr_assert_eq(fit(path_in(folder, "profile.yaml"), false, &change, &error), OK, "%s", error.text);
    char *text = read_text(path_in(folder, "profile.yaml"));
    cr_expect_float_eq(cycles_in(text, "rx_descriptor"), 180, 4, "%s", text);
    cr_expect_float_eq(cycles_in(text, "tx_descriptor"), 90, 4, "%s", text);
    cr_expect_not_null(strstr(text, " # a comment\n"), "%s", text);
    free(text);
}

/* ---- refusals ---- */

static void expect_refused(enum error_code code, const char *part) {
    double change = 0;
    struct error error = {0};
    char *before = read_text(path_in(folder, "engine.yaml"));
    const enum error_code got = fit(path_in(folder, "engine.yaml"), false, &change, &error);
    char *after = read_text(path_in(folder, "engine.yaml"));
    cr_expect_eq(got, code, "%d, not %d: %s", (int)got, (int)code, error.text);
    cr_expect_not_null(strstr(error.text, part), "%s", error.text);
    cr_expect_str_eq(after, before, "it was written all the same");
    free(before);
    free(after);
}

Test(fit, a_table_for_prediction_is_refused) {
    write_latency_paper("prediction");
    write_text(path_in(folder, "engine.yaml"), ENGINE_TEXT("210"));
    expect_refused(ERR_DENIED, "table latency has no figure that this profile may be fitted to");
}

Test(fit, what_names_nothing_is_refused) {
    write_latency_paper("calibration");
    write_text(path_in(folder, "engine.yaml"), "engine_latency: {value: 133 ns, fit: lab/latnecy}\n");
    expect_refused(ERR_NOT_FOUND, "'fit: lab/latnecy': the paper has no such table");
    write_text(path_in(folder, "engine.yaml"), "engine_latency: {value: 133 ns, fit: field/latency}\n");
    expect_refused(ERR_NOT_FOUND, "'fit: field/latency': there is no such paper");
    write_text(path_in(folder, "engine.yaml"), "engine_latency: {value: 133 ns, source: \"this test\"}\n");
    expect_refused(ERR_NOT_FOUND, "no key of ");
}

Test(fit, more_keys_than_figures_are_refused) {
    write_latency_paper("calibration");
    write_text(path_in(folder, "engine.yaml"), "engine_latency: {value: 133 ns, fit: lab/latency}\n"
                                               "internal_rate: {value: 9600 MB/s, fit: lab/latency}\n"
                                               "outstanding: {value: 32, fit: lab/latency}\n");
    expect_refused(ERR_RANGE, "2 figures cannot determine 3 keys");
}

/* ---- the profiles that come with the program ---- */

static void expect_fitted(const char *profile) {
    double change = 1;
    struct error error = {0};
    const struct fit_options options = {
        .profile = profile, .papers_folder = "configs/papers", .jobs = 2, .check_only = true};
    FILE *out = fopen("/dev/null", "w");
    cr_assert_eq(fit_run(&options, &change, out, &error), OK, "%s: %s", profile, error.text);
    (void)fclose(out);
    cr_expect_lt(change, 0.05, "%s would change by %.1f %%", profile, 100 * change);
}

Test(fit, the_arrakis_profile_is_fitted) {
    expect_fitted("configs/profiles/arrakis-2014.yaml");
}

Test(fit, the_linux_profile_is_fitted) {
    expect_fitted("configs/profiles/linux-3.8.yaml");
}

/* The engine's latency and the walk's overhead. */
Test(fit, the_parts_of_the_machines_are_fitted) {
    expect_fitted("configs/machines/e5-2630-nfp6000.yaml");
    expect_fitted("configs/parts/iommu-sandy-bridge.yaml");
}
