/* test_redis.c: the Redis-like server: what it measures of a request, what look-ups cost,
 * and that appends overlap. */
#include "tests/experiment/checks.h"
#include "tests/experiment/support.h"

static const char table2[] = "configs/experiments/arrakis-table2.yaml";
static const char fig6[] = "configs/experiments/arrakis-fig6.yaml";
static const char *const rows[] = {"epoll_wait", "recv",  "parse_input",      "lookup_set_key", "log_marshaling",
                                   "write",      "fsync", "prepare_response", "send",           "other"};
enum { ROWS = sizeof rows / sizeof rows[0] };

static double mean_of(const struct csv_table *table, const char *system, const char *row) {
    return number_where(table, "mean_ns", WHERE("system", system, "component", row, "kind", "total"));
}

static void check_sum(const struct csv_table *table, const char *system) {
    double sum = 0;
    for (size_t i = 0; i < ROWS; i++) {
        sum += mean_of(table, system, rows[i]);
    }
    cr_expect_float_eq(sum, mean_of(table, system, "rows"), 0.01, "%s: %.3f", system, sum);
    cr_expect_lt(sum, mean_of(table, system, "end_to_end"));
}

Test(redis, rows_sum_to_the_total_and_follow_what_is_asked) {
    char folder[SUPPORT_PATH_BYTES];
    enter_sources();
    make_temporary_folder(folder);
    (void)run_into(folder, table2, SETTINGS("run.requests=100", "run.warmup_requests=50"), 2);
    struct csv_table breakdown = read_csv(folder, "breakdown.csv");
    static const char *const systems[] = {"read_hit_linux", "read_hit_arrakis_posix", "durable_write_linux",
                                          "durable_write_arrakis_posix"};
    for (size_t i = 0; i < 4; i++) {
        check_sum(&breakdown, systems[i]);
        cr_expect_eq(mean_of(&breakdown, systems[i], "fsync") > 0, i >= 2, "%s", systems[i]);
        cr_expect_eq(mean_of(&breakdown, systems[i], "log_marshaling") > 0, i >= 2, "%s", systems[i]);
    }
    /* A durable write waits for the drive: once on the log, three times and more on ext4. */
    const double on_log = mean_of(&breakdown, systems[3], "fsync"), on_ext4 = mean_of(&breakdown, systems[2], "fsync");
    cr_expect_gt(on_log, 25000);
    cr_expect_gt(on_ext4, 3 * on_log);
    csv_table_free(&breakdown);
    struct csv_table counters = read_csv(folder, "counters.csv");
    cr_expect_geq(
        number_where(&counters, "value", WHERE("system", systems[0], "instance", "server", "counter", "lookups")), 100);
    cr_expect_eq(
        number_where(&counters, "value", WHERE("system", systems[2], "instance", "server", "counter", "file_syncs")),
        number_where(&counters, "value", WHERE("system", systems[2], "instance", "server", "counter", "file_writes")));
    csv_table_free(&counters);
    remove_folder(folder);
}

/* What a look-up and the copy of a value take with so many keys of such popularity. */
static double look_up(const char *keys, const char *popularity) {
    char folder[SUPPORT_PATH_BYTES], keys_setting[128], popularity_setting[128];
    (void)snprintf(keys_setting, sizeof keys_setting, "workload.parameters.keys=%s", keys);
    (void)snprintf(popularity_setting, sizeof popularity_setting, "workload.parameters.popularity=%s", popularity);
    make_temporary_folder(folder);
    (void)run_into(folder, table2,
                   SETTINGS("only=read_hit_arrakis_posix", "run.requests=1000", keys_setting, popularity_setting,
                            "workload.parameters.skew=1.2"),
                   1);
    struct csv_table breakdown = read_csv(folder, "breakdown.csv");
    const double mean = mean_of(&breakdown, "read_hit_arrakis_posix", "lookup_set_key") +
                        mean_of(&breakdown, "read_hit_arrakis_posix", "prepare_response");
    csv_table_free(&breakdown);
    remove_folder(folder);
    return mean;
}

/* 64 MiB do not fit into the caches; the popular keys of a skewed distribution do. */
Test(redis, look_ups_cost_what_the_caches_make_of_them) {
    enter_sources();
    const double one = look_up("1", "uniform"), uniform = look_up("65536", "uniform"), zipf = look_up("65536", "zipf");
    cr_expect_gt(uniform, one + 2 * 80, "bucket, entry and value come from memory: %.1f after %.1f ns", uniform, one);
    cr_expect_gt(zipf, one, "%.1f after %.1f ns", zipf, one);
    cr_expect_lt(zipf, 0.8 * (uniform - one) + one, "%.1f of %.1f ns", zipf, uniform);
}

static double sets_per_s(const char *system, const char *connections, const char *parallel) {
    char folder[SUPPORT_PATH_BYTES], matrix[128], only[128], drive[128];
    (void)snprintf(matrix, sizeof matrix, "workload.parameters.connections=%s", connections);
    (void)snprintf(only, sizeof only, "only=%s", system);
    (void)snprintf(drive, sizeof drive, "machine.devices[ssd].media.parallel=%s", parallel);
    make_temporary_folder(folder);
    (void)run_into(folder, table2, SETTINGS(only, matrix, drive, "run.requests=300"), 1);
    struct csv_table throughput = read_csv(folder, "throughput.csv");
    const double per_s = number_where(&throughput, "completed_per_s", WHERE("system", system));
    csv_table_free(&throughput);
    remove_folder(folder);
    return per_s;
}

/* The server goes on while the log makes entries durable; with fsync it waits. */
Test(redis, appends_overlap_and_fsyncs_do_not) {
    enter_sources();
    const double log_one = sets_per_s("durable_write_arrakis_posix", "1", "4");
    const double log_many = sets_per_s("durable_write_arrakis_posix", "16", "4");
    const double log_serial = sets_per_s("durable_write_arrakis_posix", "16", "1");
    const double file_one = sets_per_s("durable_write_linux", "1", "4");
    const double file_many = sets_per_s("durable_write_linux", "16", "4");
    cr_expect_gt(log_many, 3 * log_one, "%.0f a second with 16 connections, %.0f with one", log_many, log_one);
    cr_expect_lt(log_serial, 1e9 / 22400, "a card that does one write at a time: %.0f", log_serial);
    cr_expect_lt(file_many, 1.6 * file_one, "%.0f a second with 16 connections, %.0f with one", file_many, file_one);
}

/* All of it hangs on configuration and seed alone. */
Test(redis, the_same_seed_gives_the_same_bytes) {
    char a[SUPPORT_PATH_BYTES], b[SUPPORT_PATH_BYTES];
    enter_sources();
    make_temporary_folder(a);
    make_temporary_folder(b);
    (void)run_into(a, fig6, SETTINGS("run.warmup=0 us", "run.duration=200 us", "only=arrakis_posix_get"), 1);
    (void)run_into(b, fig6, SETTINGS("run.warmup=0 us", "run.duration=200 us", "only=arrakis_posix_get"), 2);
    expect_same_results(a, b);
    remove_folder(a);
    remove_folder(b);
}
