/* test_others.c: configs/questions/handler-against-upcall.yaml, shortened: what a round trip takes
 * when other programs compute beside the one that answers. */
#include "tests/experiment/support.h"

static char folder[SUPPORT_PATH_BYTES];
static struct csv_table latency;

static double mean_ns(const char *system, const char *others) {
    return number_where(&latency, "mean_ns", WHERE("system", system, "others", others));
}

/* A handler waits for nobody; an upcall for its turn among the others' slices; under Ultrix who
 * was woken displaces who computes. */
Test(others, who_waits_for_whom) {
    enter_sources();
    make_temporary_folder(folder);
    (void)run_into(folder, "configs/questions/handler-against-upcall.yaml", NO_SETTINGS, 2);
    latency = read_csv(folder, "latency.csv");
    cr_expect_lt(mean_ns("handler", "10"), 1.01 * mean_ns("handler", "0"));
    cr_expect_gt(mean_ns("upcall", "10"), 10 * 15.6e6);
    cr_expect_gt(mean_ns("ultrix", "1"), mean_ns("ultrix", "0"), "it costs a switch");
    cr_expect_lt(mean_ns("ultrix", "10"), 1.05 * mean_ns("ultrix", "0"));
    csv_table_free(&latency);
    remove_folder(folder);
}
