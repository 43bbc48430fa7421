/* test_own_victims.c: configs/questions/own-victims.yaml and own-collector.yaml, shortened: the
 * application's choice against a kernel's, on both systems. */
#include "tests/experiment/support.h"

static char folder[SUPPORT_PATH_BYTES];
static struct csv_table latency, counters;

static void set_up(void) {
    enter_sources();
    make_temporary_folder(folder);
}
static void tear_down(void) {
    csv_table_free(&latency);
    csv_table_free(&counters);
    remove_folder(folder);
}
TestSuite(own_victims, .init = set_up, .fini = tear_down);

static void run(const char *config, const char *const *settings) {
    (void)run_into(folder, config, settings, 2);
    latency = read_csv(folder, "latency.csv");
    counters = read_csv(folder, "counters.csv");
}
static double mean_ns(const char *system, const char *pages) {
    return number_where(&latency, "mean_ns", WHERE("system", system, "pages", pages));
}
static double counter(const char *system, const char *pages, const char *instance, const char *name) {
    return number_where(&counters, "value",
                        WHERE("system", system, "pages", pages, "instance", instance, "counter", name));
}

/* 65 pages in 64 frames: the kernel reads each anew, as a library does that knows no more. */
Test(own_victims, a_kernel_misses_every_page_of_a_scan) {
    run("configs/questions/own-victims.yaml", SETTINGS("run.requests=640", "run.warmup_requests=130"));
    cr_expect_eq(counter("ultrix", "65", "paging", "pages_in"), 640);
    cr_expect_eq(counter("lru", "65", "paging", "pages_in"), 640);
    cr_expect_eq(counter("own", "65", "paging", "pages_in"), 10);
    cr_expect_eq(counter("ultrix", "32", "paging", "pages_in"), 0);
    cr_expect_gt(mean_ns("ultrix", "65"), 50 * mean_ns("own", "65"));
    cr_expect_gt(mean_ns("ultrix", "65"), 20e6, "20 ms a page");
    cr_expect_lt(mean_ns("ultrix", "65"), 20.2e6);
}

/* The space that fits in memory with room for what is copied: nothing is written or read by who
 * knows what is dead; a kernel writes the dead pages, and reads them to have them overwritten. */
Test(own_victims, a_kernel_keeps_what_a_collector_knows_to_be_dead) {
    run("configs/questions/own-collector.yaml", SETTINGS("run.requests=6", "run.warmup_requests=3"));
    cr_expect_eq(counter("own", "96", "paging", "pages_in") + counter("own", "96", "paging", "pages_out"), 0);
    cr_expect_gt(counter("ultrix", "96", "paging", "pages_in"), 6 * 20);
    cr_expect_gt(counter("ultrix", "96", "paging", "pages_out"), 6 * 20);
    cr_expect_eq(counter("ultrix", "48", "paging", "pages_out"), 0);
    cr_expect_gt(mean_ns("ultrix", "96"), 500 * mean_ns("own", "96"));
    cr_expect_lt(mean_ns("ultrix", "48"), mean_ns("own", "48"), "who discards pays for it when all fits");
}
