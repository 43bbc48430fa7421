/* test_trace_io.c: the block operations that `run --trace io` lists. */
#include <string.h>

#include "tests/experiment/support.h"

static const char fig2[] = "configs/experiments/arrakis-fig2.yaml";

static void run_traced(const char *folder, const char *path, const char *const *settings, uint64_t calls) {
    struct error error = {0};
    struct run_summary summary;
    struct experiment *experiment = load_good(path, settings);
    const struct run_options options = {.jobs = 2, .out = folder, .quiet = true, .restart = true, .trace_calls = calls};
    cr_assert_eq(experiment_run(experiment, &options, &summary, &error), OK, "%s", error.text);
    experiment_free(experiment);
}

/* "<operation> <what>" of each operation of the n-th call of a system, "!" if forced. */
static void list_call(const struct csv_table *table, const char *system, size_t number, char *out, size_t out_bytes) {
    const char *last = "";
    size_t calls = 0;
    out[0] = '\0';
    for (size_t row = 0; row < table->row_count; row++) {
        if (strcmp(csv_table_cell(table, row, csv_table_column(table, "system")), system) != 0) {
            continue;
        }
        const char *call = csv_table_cell(table, row, csv_table_column(table, "call"));
        calls += strcmp(call, last) != 0;
        last = call;
        if (calls == number) {
            const size_t length = strlen(out);
            const bool forced =
                strcmp(csv_table_cell(table, row, csv_table_column(table, "force_unit_access")), "1") == 0;
            cr_expect_str_eq(csv_table_cell(table, row, csv_table_column(table, "call_name")), "fsync");
            (void)snprintf(out + length, out_bytes - length, "%s %s %s%s\n",
                           csv_table_cell(table, row, csv_table_column(table, "operation")),
                           csv_table_cell(table, row, csv_table_column(table, "what")),
                           csv_table_cell(table, row, csv_table_column(table, "blocks")), forced ? "!" : "");
        }
    }
}

static void expect_call(const struct csv_table *table, const char *system, const char *expected) {
    char listed[1024];
    list_call(table, system, 2, listed, sizeof listed); /* the first may allocate a block */
    cr_expect_str_eq(listed, expected, "%s:\n%s", system, listed);
}

/* An append within a block, and an fsync: ext2 writes in place and orders nothing; ext3
 * and ext4 commit a transaction; btrfs writes elsewhere and then the superblock. */
Test(trace_io, file_systems_differ_in_what_an_fsync_writes) {
    char folder[SUPPORT_PATH_BYTES];
    enter_sources();
    make_temporary_folder(folder);
    run_traced(folder, fig2, SETTINGS("run.requests=20"), 12);
    struct csv_table trace = read_csv(folder, "trace-io.csv");
    static const char journal[] = "write data 1\n"
                                  "write journal_descriptor 1\n"
                                  "write journal_metadata 1\n"
                                  "flush barrier 0\n"
                                  "write journal_commit 1!\n";
    expect_call(&trace, "ext2_64B", "write data 1\nwrite inode 1\n");
    expect_call(&trace, "ext3_64B", journal);
    expect_call(&trace, "ext4_64B", journal);
    expect_call(&trace, "btrfs_64B", "write data 1\nwrite log_node 2\nflush barrier 0\nwrite superblock 1!\n");
    csv_table_free(&trace);
    remove_folder(folder);
}

static size_t calls_of(const char *folder, const char *system) {
    struct csv_table trace = read_csv(folder, "trace-io.csv");
    char last[32] = "";
    size_t calls = 0;
    for (size_t row = 0; row < trace.row_count; row++) {
        const char *call = csv_table_cell(&trace, row, csv_table_column(&trace, "call"));
        if (strcmp(csv_table_cell(&trace, row, csv_table_column(&trace, "system")), system) == 0) {
            calls += strcmp(call, last) != 0;
            (void)snprintf(last, sizeof last, "%s", call);
        }
    }
    csv_table_free(&trace);
    return calls;
}

/* Every second call is a write, which moves no block. A library OS has no calls: each
 * operation counts. */
Test(trace_io, as_many_calls_as_are_asked_for) {
    char folder[SUPPORT_PATH_BYTES];
    enter_sources();
    make_temporary_folder(folder);
    run_traced(folder, "configs/experiments/arrakis-table2.yaml", SETTINGS("run.requests=40"), 10);
    cr_expect_eq(calls_of(folder, "durable_write_linux"), 5);
    cr_expect_eq(calls_of(folder, "durable_write_arrakis_posix"), 10);
    cr_expect_eq(calls_of(folder, "read_hit_linux"), 0);
    remove_folder(folder);
}

Test(trace_io, changes_no_result_and_is_the_same_each_time) {
    char a[SUPPORT_PATH_BYTES], b[SUPPORT_PATH_BYTES], plain[SUPPORT_PATH_BYTES];
    enter_sources();
    make_temporary_folder(a);
    make_temporary_folder(b);
    make_temporary_folder(plain);
    run_traced(a, fig2, SETTINGS("run.requests=20", "only=ext4_1KB"), 12);
    run_traced(b, fig2, SETTINGS("run.requests=20", "only=ext4_1KB"), 12);
    run_traced(plain, fig2, SETTINGS("run.requests=20", "only=ext4_1KB"), 0);
    char *x = read_text(path_in(a, "trace-io.csv")), *y = read_text(path_in(b, "trace-io.csv"));
    cr_expect_str_eq(x, y);
    free(x);
    free(y);
    expect_same_results(a, plain);
    cr_expect_not(file_exists(path_in(plain, "trace-io.csv")));
    run_traced(a, fig2, SETTINGS("run.requests=20", "only=ext4_1KB"), 0);
    cr_expect_not(file_exists(path_in(a, "trace-io.csv")), "of an earlier run");
    remove_folder(a);
    remove_folder(b);
    remove_folder(plain);
}
