/* test_log.c: a script that makes each request durable before it answers, on a drive's
 * own interface and on an emulated one. */
#include "tests/experiment/checks.h"
#include "tests/experiment/support.h"

static const char config[] = "tests/experiment/data/log.yaml";
static const char *const systems[] = {"posix", "native"};
static const char *const functions[] = {"4", "0"};
enum { REQUESTS = 500, OUTSTANDING = 8 };

static struct csv_table counters, breakdown;

static double counter(const char *system, const char *vfs, const char *instance, const char *name) {
    return number_where(&counters, "value",
                        WHERE("system", system, "virtual_functions", vfs, "instance", instance, "counter", name));
}
static double mean_of(const char *system, const char *vfs, const char *component) {
    return number_where(&breakdown, "mean_ns",
                        WHERE("system", system, "virtual_functions", vfs, "component", component, "kind", "total"));
}

static void check_point(const char *system, const char *vfs) {
    const double appends = counter(system, vfs, "server", "log_appends");
    cr_expect_geq(appends, REQUESTS);
    cr_expect_leq(appends - counter(system, vfs, "server", "log_durable"), OUTSTANDING);
    cr_expect_eq(counter(system, vfs, "server", "unanswered"), 0);
    cr_expect_eq(counter(system, vfs, "server", "send_failures"), 0);
    cr_expect_gt(counter(system, vfs, "server", "log_trims"), 0, "64 KiB are full after some hundred entries");
    cr_expect_gt(counter(system, vfs, "libos.server.core0", "log_flushes"), 0);
    cr_expect_lt(counter(system, vfs, "libos.server.core0", "log_flushes"),
                 counter(system, vfs, "libos.server.core0", "log_acknowledged"), "a flush serves several");
    cr_expect_gt(mean_of(system, vfs, "log_commit"), 0);
}

Test(log, each_answer_is_durable_first, .init = enter_sources) {
    char folder[SUPPORT_PATH_BYTES];
    make_temporary_folder(folder);
    (void)run_into(folder, config, NO_SETTINGS, 2);
    check_breakdown(folder);
    check_utilization(folder);
    check_latency(folder, 4, false);
    counters = read_csv(folder, "counters.csv");
    breakdown = read_csv(folder, "breakdown.csv");
    for (int s = 0; s < 2; s++) {
        for (int f = 0; f < 2; f++) {
            check_point(systems[s], functions[f]);
        }
        cr_expect_eq(counter(systems[s], "4", "exokernel.emulation.ssd", "requests"), 0);
        cr_expect_gt(mean_of(systems[s], "0", "vsic_emulation"), 0);
        cr_expect_geq(counter(systems[s], "0", "exokernel.emulation.ssd", "requests"), REQUESTS);
    }
    csv_table_free(&counters);
    csv_table_free(&breakdown);
    remove_folder(folder);
}

/* Eight at a time take less than eight times as long as one: appends overlap. */
Test(log, appends_of_different_requests_overlap, .init = enter_sources) {
    char folder[SUPPORT_PATH_BYTES];
    double per_s[2];
    const char *const outstanding[] = {"workload.client.arrivals.outstanding=1",
                                       "workload.client.arrivals.outstanding=8"};
    for (int i = 0; i < 2; i++) {
        make_temporary_folder(folder);
        (void)run_into(folder, config, SETTINGS(outstanding[i], "run.requests=300"), 2);
        struct csv_table throughput = read_csv(folder, "throughput.csv");
        per_s[i] = number_where(&throughput, "completed_per_s", WHERE("system", "posix", "virtual_functions", "4"));
        csv_table_free(&throughput);
        remove_folder(folder);
    }
    cr_expect_gt(per_s[1], 2 * per_s[0], "%.0f a second one by one, %.0f eight at a time", per_s[0], per_s[1]);
}
