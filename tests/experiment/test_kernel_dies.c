/* test_kernel_dies.c: configs/questions/kernel-dies.yaml: what goes with a fault, by whose code
 * it is in, and what is done meanwhile. */
#include "tests/experiment/support.h"

static const char config[] = "configs/questions/kernel-dies.yaml";
static const char library[] = "compute_library_fault", kernel[] = "compute_kernel_fault";

static char folder[SUPPORT_PATH_BYTES];
static struct csv_table counters, throughput;

static void set_up(void) {
    enter_sources();
    make_temporary_folder(folder);
    (void)run_into(folder, config, NO_SETTINGS, 2);
    counters = read_csv(folder, "counters.csv");
    throughput = read_csv(folder, "throughput.csv");
}
static void tear_down(void) {
    csv_table_free(&counters);
    csv_table_free(&throughput);
    remove_folder(folder);
}
TestSuite(kernel_dies, .init = set_up, .fini = tear_down);

static double programs(const char *system, const char *fault, const char *time, const char *name) {
    return number_where(&counters, "value",
                        WHERE("system", system, "fault", fault, "time", time, "instance", "programs", "counter", name));
}

static void expect_about(double value, double expected, double tolerance, const char *what) {
    cr_expect(value >= expected - tolerance && value <= expected + tolerance, "%s: %.0f, not %.0f", what, value,
              expected);
}

/* 64 slices a second are done, by three, then by two; the dead one's third is lost. */
static void check_library(const char *system) {
    expect_about(programs(system, library, "19 s", "done"), 19 * 64, 12, system);
    cr_expect_eq(programs(system, library, "19 s", "running"), 3);
    cr_expect_eq(programs(system, library, "21 s", "running"), 2);
    cr_expect_eq(programs(system, library, "90 s", "deaths"), 1);
    cr_expect_eq(programs(system, library, "90 s", "stops"), 0);
    const double lost = programs(system, library, "90 s", "lost");
    expect_about(lost, 20.0 * 64 / 3, 12, system);
    expect_about(programs(system, library, "90 s", "done") + lost, 90 * 64, 40, system);
}
Test(kernel_dies, a_fault_in_a_library_takes_one_program_along) {
    check_library("exos");
    check_library("ultrix");
}

/* Nothing is left, and nothing is done until the machine is up. */
static void check_kernel(const char *system) {
    expect_about(programs(system, kernel, "19 s", "done"), 19 * 64, 12, system);
    cr_expect_eq(programs(system, kernel, "21 s", "running"), 0);
    cr_expect_eq(programs(system, kernel, "79 s", "done"), 0);
    cr_expect_eq(programs(system, kernel, "90 s", "running"), 3);
    cr_expect_eq(programs(system, kernel, "90 s", "stops"), 1);
    expect_about(programs(system, kernel, "90 s", "lost"), 20 * 64, 12, system);
    expect_about(programs(system, kernel, "90 s", "done"), 10 * 64, 12, system);
}
Test(kernel_dies, a_fault_in_a_kernel_takes_all_along_on_both_systems) {
    check_kernel("exos");
    check_kernel("ultrix");
}

/* What was under way was abandoned, and is in no distribution. */
Test(kernel_dies, the_request_under_way_is_counted) {
    const char *const names[] = {"exos", "ultrix"};
    for (size_t i = 0; i < 2; i++) {
        const double dropped =
            number_where(&throughput, "dropped_per_s", WHERE("system", names[i], "fault", kernel, "time", "90 s"));
        cr_expect_float_eq(dropped, 1.0 / 90, 5e-4, "%s: %f", names[i], dropped);
        const double none =
            number_where(&throughput, "dropped_per_s", WHERE("system", names[i], "fault", library, "time", "90 s"));
        cr_expect_float_eq(none, 0, 1e-12);
    }
}
