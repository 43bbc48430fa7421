/* test_drive.c: a drive alone: what its figures have to do with each other and with
 * what the drive is made of. */
#include "tests/experiment/checks.h"
#include "tests/experiment/support.h"

static const char config[] = "tests/experiment/data/drive.yaml";

/* One number of a run of its own, at depth 1 without IOMMU unless `settings` say else. */
static double number_of(const char *file, const char *column, const char *const *where, const char *const *settings) {
    char folder[SUPPORT_PATH_BYTES];
    make_temporary_folder(folder);
    (void)run_into(folder, config, settings, 2);
    struct csv_table table = read_csv(folder, file);
    const double number = number_where(&table, column, where);
    csv_table_free(&table);
    remove_folder(folder);
    return number;
}

Test(drive, one_command_at_a_time_takes_its_latency, .init = enter_sources) {
    char folder[SUPPORT_PATH_BYTES];
    make_temporary_folder(folder);
    (void)run_into(folder, config, NO_SETTINGS, 2);
    check_breakdown(folder);
    check_utilization(folder);
    check_latency(folder, 6, false);
    struct csv_table latency = read_csv(folder, "latency.csv");
    struct csv_table throughput = read_csv(folder, "throughput.csv");
    struct csv_table counters = read_csv(folder, "counters.csv");
    const double mean = number_where(&latency, "mean_ns", WHERE("depth", "1", "iommu", "off"));
    cr_expect_eq(number_where(&latency, "stddev_ns", WHERE("depth", "1", "iommu", "off")), 0);
    cr_expect_gt(mean, 10000, "the cells alone take 10 us");
    cr_expect_lt(mean, 20000);
    /* Behind a completion there are the two doorbells and the poll, before the next. */
    const double per_s = number_where(&throughput, "completed_per_s", WHERE("depth", "1", "iommu", "off"));
    cr_expect_leq(per_s, 1e9 / mean);
    cr_expect_gt(per_s, 0.95e9 / mean);
    cr_expect_geq(number_where(&latency, "mean_ns", WHERE("depth", "1", "iommu", "on")), mean);
    /* Four partitions serve a command each in 10 us and a transfer. */
    const double most = number_where(&throughput, "completed_per_s", WHERE("depth", "16", "iommu", "off"));
    cr_expect_gt(most, 2 * per_s);
    cr_expect_lt(most, 4e5);
    cr_expect_eq(number_where(&counters, "value",
                              WHERE("depth", "1", "iommu", "off", "instance", "ssd.media", "counter", "writes")),
                 0);
    csv_table_free(&latency);
    csv_table_free(&throughput);
    csv_table_free(&counters);
    remove_folder(folder);
}

Test(drive, reads_and_writes_come_in_their_shares, .init = enter_sources) {
    const char *const settings[] = {"drive.reads=25 %", NULL};
    const char *const reads[] = {"depth", "4", "iommu", "off", "instance", "ssd.media", "counter", "reads", NULL};
    const char *const writes[] = {"depth", "4", "iommu", "off", "instance", "ssd.media", "counter", "writes", NULL};
    const double read = number_of("counters.csv", "value", reads, settings);
    const double written = number_of("counters.csv", "value", writes, settings);
    cr_expect_float_eq(read / (read + written), 0.25, 0.06, "%.0f and %.0f", read, written);
}

/* In order the blocks that are collected hold nothing any more; at random they do. */
Test(drive, write_amplification_is_told_of_flash, .init = enter_sources) {
    const char *const where[] = {"depth", "4", "iommu", "off", "counter", "write_amplification_millionths", NULL};
    const double in_order =
        number_of("counters.csv", "value", where,
                  SETTINGS("drive.device=flash", "drive.reads=0 %", "drive.random=false", "run.requests=9000"));
    const double at_random = number_of("counters.csv", "value", where,
                                       SETTINGS("drive.device=flash", "drive.reads=0 %", "run.requests=9000"));
    cr_expect_float_eq(in_order, 1e6, 1e4, "%.0f", in_order);
    cr_expect_gt(at_random, 1.2e6, "%.0f", at_random);
}

/* ---- A tenant beside one that floods the drive ---- */

static const char isolation[] = "tests/experiment/data/isolation_raid.yaml";

Test(drive, what_holds_a_flood_back_is_the_limit_or_the_arbiter_in_front_of_few_commands, .init = enter_sources) {
    char folder[SUPPORT_PATH_BYTES];
    make_temporary_folder(folder);
    (void)run_into(folder, isolation, NO_SETTINGS, 2);
    struct csv_table latency = read_csv(folder, "latency.csv");
#define MEDIAN(drive, rate) number_where(&latency, "p50_ns", WHERE("drive", drive, "reads", "0 %", "rate_limit", rate))
    const double alone = MEDIAN("raid_round_robin", "1 MB/s");
    cr_expect_lt(MEDIAN("raid_round_robin", "100 MB/s"), 1.2 * alone);
    cr_expect_gt(MEDIAN("raid_round_robin", "10000 MB/s"), 50 * alone);
    cr_expect_gt(MEDIAN("raid_weighted", "10000 MB/s"), 50 * alone);
    cr_expect_lt(MEDIAN("raid_short_queue", "10000 MB/s"), 0.2 * MEDIAN("raid_weighted", "10000 MB/s"));
#undef MEDIAN
    csv_table_free(&latency);
    remove_folder(folder);
}
