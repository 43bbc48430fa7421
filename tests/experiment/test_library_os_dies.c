/* test_library_os_dies.c: configs/questions/library-os-dies.yaml: a program hangs, and
 * what that takes from another is bounded by the kernel's threshold. */
#include "tests/experiment/support.h"

static const char config[] = "configs/questions/library-os-dies.yaml";
static const double slice_ns = 15625000;

static char folder[SUPPORT_PATH_BYTES];
static struct csv_table latency, counters;

static void set_up(void) {
    enter_sources();
    make_temporary_folder(folder);
    (void)run_into(folder, config, NO_SETTINGS, 2);
    latency = read_csv(folder, "latency.csv");
    counters = read_csv(folder, "counters.csv");
}
static void tear_down(void) {
    csv_table_free(&latency);
    csv_table_free(&counters);
    remove_folder(folder);
}
TestSuite(library_os_dies, .init = set_up, .fini = tear_down);

static double of(const char *system, const char *done, const char *column) {
    return number_where(&latency, column, WHERE("system", system, "done", done));
}
static double counter(const char *system, const char *done, const char *instance, const char *name) {
    return number_where(&counters, "value",
                        WHERE("system", system, "done", done, "instance", instance, "counter", name));
}

static void expect_slices(double ns, double slices, const char *what) {
    cr_expect(ns > 0.99 * slices * slice_ns && ns < 1.01 * slices * slice_ns, "%s: %.3f slices, not %.0f", what,
              ns / slice_ns, slices);
}

/* A third of the processor before, a half after; in between the dead one keeps what the
 * threshold lets it, and is charged each tick of that. */
static void check_system(const char *system, unsigned threshold) {
    expect_slices(of(system, "0", "max_ns"), 3, system);
    expect_slices(of(system, "20", "max_ns"), 3, system);
    expect_slices(of(system, "30", "max_ns"), 3 + threshold + 1, system);
    expect_slices(of(system, "40", "max_ns"), 2, system);
    expect_slices(of(system, "70", "max_ns"), 2, system);
    cr_expect_eq(counter(system, "20", "aegis", "environments_destroyed"), 0);
    cr_expect_eq(counter(system, "20", "aegis", "excess_ticks"), 0);
    cr_expect_eq(counter(system, "30", "aegis", "environments_destroyed"), 1);
    cr_expect_eq(counter(system, "30", "aegis", "excess_ticks"), threshold + 1);
}

Test(library_os_dies, the_others_wait_for_the_threshold_and_then_have_its_time) {
    check_system("threshold_2", 2);
    check_system("threshold_8", 8);
    check_system("threshold_32", 32);
}
