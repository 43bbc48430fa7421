/* test_ops_replay.c: a recorded trace on a system that writes down what it is asked. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_system.h"
#include "sim/random.h"
#include "workloads/interpreter.h"
#include "workloads/op.h"

static struct fake_system fake;
static struct interpreter *interpreter;
static uint64_t completed;

/* Three requests, 10 us apart: in DiskSim's format, microseconds. */
static const char trace[] = "0 0 8 8 0\n10 0 0 16 1\n20 0 120 8 0\n";

static void start(const char *text) {
    struct diagnostics diagnostics;
    struct error error = {0};
    char folder[] = "/tmp/stillsuit-test-XXXXXX";
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
    FILE *file = fopen("t.trace", "w");
    cr_assert_not_null(file);
    (void)fputs(trace, file);
    (void)fclose(file);
    diagnostics_init(&diagnostics);
    random_seed(1);
    fake_system_init(&fake);
    struct script *script = script_parse("test.yaml", text, NULL, NULL, &diagnostics);
    diagnostics_print(&diagnostics, stderr);
    (void)unlink("t.trace");
    (void)rmdir(folder);
    cr_assert_not_null(script);
    interpreter = interpreter_create(script, &fake.system, "app", 0, &error);
    cr_assert_not_null(interpreter, "%s", error.text);
}

static void on_completed(void *context) {
    (void)context;
    completed += 1;
}

static struct ledger *measure(void) {
    system_components.app = fake.app;
    struct ledger *ledger = ledger_create("rounds");
    ledger_record(ledger, true);
    interpreter_loops_are_requests(interpreter, ledger, on_completed, NULL);
    return ledger;
}

static void expect_log(const char *expected) {
    const char *at = strstr(fake.log, "open ");
    cr_assert_not_null(at, "%s", fake.log);
    cr_assert_eq(strncmp(at, expected, strlen(expected)), 0, "%s--- expected:\n%s", at, expected);
}

#define REPLAY(size, more)                                                                                             \
    "server:\n"                                                                                                        \
    "  buffer: 8 KiB\n"                                                                                                \
    "  setup: [{file: {name: d, size: " size ", direct: true}}]\n"                                                     \
    "  loop: [{replay: {trace: t.trace, format: disksim, time_unit: 1 us, to: d" more "}}]\n"

/* A call takes 1 us; between them the thread waits for the next one's time. */
Test(ops_replay, each_request_comes_at_its_time) {
    start(REPLAY("64 KiB", ""));
    struct ledger *ledger = measure();
    sim_run(22 * SIM_US);
    expect_log("open d 65536 direct\n"
               "write 0 4096 4096 for a request\n"
               "compute 9000000 ps\n"
               "read 0 0 8192 for a request\n"
               "compute 9000000 ps\n"
               "write 0 61440 4096 for a request\n");
    cr_assert_eq(completed, 3);
    cr_assert_eq(histogram_mean(ledger_latency(ledger)), (double)SIM_US, "the waits are no part of a request");
    cr_assert_eq(interpreter_count(interpreter, WORKLOAD_REPLAYED_LATE), 0);
}

/* At 40 times the speed they are 250 ns apart: the second is 0.75 us late, the third 1.5. */
Test(ops_replay, what_is_late_has_waited) {
    start(REPLAY("64 KiB", ", speed: 40"));
    struct ledger *ledger = measure();
    sim_run(3 * SIM_US + 1);
    cr_assert_eq(completed, 3);
    cr_assert_eq(fake.computes, 0);
    cr_assert_eq(ledger_latency(ledger)->maximum, 2 * SIM_US + SIM_US / 2);
    cr_assert_eq(interpreter_count(interpreter, WORKLOAD_REPLAYED_LATE), 2 + 1, "the first of the next round, too");
}

Test(ops_replay, a_closed_loop_waits_for_nothing_and_begins_anew) {
    start(REPLAY("64 KiB", ", pace: closed"));
    sim_run(4 * SIM_US + SIM_US / 2);
    cr_assert_eq(fake.computes, 0);
    expect_log("open d 65536 direct\nwrite 0 4096 4096\nread 0 0 8192\nwrite 0 61440 4096\nwrite 0 4096 4096\n");
}

Test(ops_replay, offsets_fold_into_a_smaller_file) {
    start(REPLAY("32 KiB", ", pace: closed, fold: true"));
    sim_run(3 * SIM_US);
    expect_log("open d 32768 direct\nwrite 0 4096 4096\nread 0 0 8192\nwrite 0 28672 4096\n");
}

Test(ops_replay, threads_take_the_next_in_turn) {
    start("server:\n"
          "  threads: 2\n"
          "  buffer: 8 KiB\n"
          "  setup: [{file: {name: d, size: 64 KiB}}]\n"
          "  loop: [{replay: {trace: t.trace, format: disksim, to: d, pace: closed}}]\n");
    sim_run(SIM_US + SIM_US / 2);
    expect_log("open d 65536\nwrite 0 4096 4096\nopen d 65536\nread 1 0 8192\nwrite 0 61440 4096\nwrite 1 4096 4096\n");
    cr_assert_eq(interpreter_count(interpreter, WORKLOAD_REPLAYED), 4);
    cr_assert_eq(interpreter_count(interpreter, WORKLOAD_FILE_READS), 1, "nobody takes a request that another has");
}
