/* test_ops_file.c: what operations on files make of a system. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "fake_system.h"
#include "sim/random.h"
#include "workloads/interpreter.h"
#include "workloads/op.h"

static struct fake_system fake;
static struct ledger *ledger;
static uint64_t completed;

static struct interpreter *start(const char *text) {
    struct diagnostics diagnostics;
    struct error error = {0};
    diagnostics_init(&diagnostics);
    random_seed(1);
    fake_system_init(&fake);
    struct script *script = script_parse("test.yaml", text, NULL, NULL, &diagnostics);
    diagnostics_print(&diagnostics, stderr);
    cr_assert_not_null(script);
    struct interpreter *interpreter = interpreter_create(script, &fake.system, "app", 0, &error);
    cr_assert_not_null(interpreter, "%s", error.text);
    return interpreter;
}

static void expect_log(const char *log) {
    cr_assert_eq(strncmp(fake.log, log, strlen(log)), 0, "%s--- expected:\n%s", fake.log, log);
}

Test(ops_file, places) {
    (void)start("server:\n"
                "  buffer: 4 KiB\n"
                "  setup:\n"
                "    - file: {name: log}\n"
                "    - file: {name: table, size: 8 KiB, direct: true}\n"
                "  loop:\n"
                "    - write: {to: log, bytes: 64 B}\n"
                "    - write: {to: log, bytes: 64 B, at: 100 B}\n"
                "    - read: {from: table, bytes: 4 KiB}\n"
                "    - write: {to: table, bytes: 4 KiB, at: next}\n"
                "    - sync: log\n"
                "    - sync: {file: table, how: fdatasync}\n");
    sim_run(11 * SIM_US);
    expect_log("process app\nthread on 0\nopen log 0\nopen table 8192 direct\n"
               "write 0 -1 64\nwrite 0 100 64\nread 1 0 4096\nwrite 1 4096 4096\nfsync 0 0 0\nfdatasync 1 0 0\n"
               "write 0 -1 64\nwrite 0 100 64\nread 1 0 4096\n"); /* it has come round */
}

Test(ops_file, random_places_lie_within_the_file) {
    (void)start("server:\n"
                "  buffer: 4 KiB\n"
                "  setup: [{file: {name: table, size: 64 KiB}}]\n"
                "  loop: [{read: {from: table, bytes: 4 KiB, at: random}}]\n");
    sim_run(400 * SIM_US);
    bool seen[16] = {false};
    for (const char *at = fake.log; (at = strstr(at, "read 0 ")) != NULL; ++at) {
        const unsigned long offset = strtoul(at + 7, NULL, 10);
        cr_assert_eq(offset % 4096, 0);
        cr_assert_lt(offset, 65536);
        seen[offset / 4096] = true;
    }
    for (size_t i = 0; i < 16; ++i) {
        cr_assert(seen[i], "block %zu was never read", i);
    }
}

Test(ops_file, threads_may_have_files_of_their_own) {
    (void)start("server:\n"
                "  threads: 2\n"
                "  setup: [{file: {name: own, per_thread: true}}]\n"
                "  loop: [{write: {to: own, bytes: 8 B}}]\n");
    sim_run(SIM_US / 2);
    cr_assert_not_null(strstr(fake.log, "open own.0 0\n"));
    cr_assert_not_null(strstr(fake.log, "open own.1 0\n"));
}

Test(ops_file, a_failure_ends_the_thread) {
    struct error error = {0};
    struct interpreter *interpreter = start("server:\n"
                                            "  setup: [{file: {name: log}}]\n"
                                            "  loop: [{write: {to: log, bytes: 8 B}}]\n");
    fake.file_error = ERR_EXHAUSTED;
    sim_run(SIM_MS);
    cr_assert(interpreter_failed(interpreter, &error));
    cr_assert_str_eq(error.text, "app, thread 0: writing to a file: none left");
}

static void on_completed(void *context) {
    (void)context;
    completed += 1;
}

Test(ops_file, each_round_can_be_a_request) {
    struct interpreter *interpreter = start("server:\n"
                                            "  setup: [{file: {name: log}}]\n"
                                            "  loop:\n"
                                            "    - write: {to: log, bytes: 8 B}\n"
                                            "    - compute: 2 us\n");
    system_components.app = fake.app;
    ledger = ledger_create("rounds");
    ledger_record(ledger, true);
    interpreter_loops_are_requests(interpreter, ledger, on_completed, NULL);
    sim_run(31 * SIM_US);
    cr_assert_not_null(strstr(fake.log, "write 0 -1 8 for a request\ncompute 2000000 ps for a request\n"));
    cr_assert_eq(completed, 10);
    cr_assert_eq(ledger_completed(ledger), 10);
    cr_assert_eq(histogram_mean(ledger_latency(ledger)), 3.0 * SIM_US);
    cr_assert_eq(ledger_audit(ledger, sim_now()), 1);
}
