/* test_interpreter.c: what a script makes a system do. */
#include <criterion/criterion.h>
#include <string.h>

#include "fake_system.h"
#include "sim/random.h"
#include "workloads/interpreter.h"
#include "workloads/op.h"

static struct fake_system fake;
static struct error failure;

static struct interpreter *start(const char *text) {
    fake_system_init(&fake);
    struct interpreter *interpreter = interpreter_create(fake_script(text), &fake.system, "echo", 0, &failure);
    cr_assert_not_null(interpreter);
    return interpreter;
}

static void deliver(void *context) {
    (void)context;
    fake_deliver(&fake, 7, (struct system_endpoint){0x0a000001, 4711}, NULL);
}

/* Messages arrive at the given instants. */
static void deliver_at(struct sim_event *events, const sim_time *times, size_t count) {
    for (size_t i = 0; i < count; ++i) {
        sim_event_init(&events[i], SIM_PRIORITY_HARDWARE, deliver, NULL);
        sim_schedule_at(&events[i], times[i]);
    }
}

static uint64_t counted[WORKLOAD_COUNTERS];
static void count(void *context, const char *instance, const char *counter, uint64_t value) {
    static const char *const names[] = {"loops",
                                        "waits",
                                        "received",
                                        "empty_receives",
                                        "sent",
                                        "send_failures",
                                        "computes",
                                        "unanswered",
                                        "misbehaviours",
                                        "misbehaviours_refused",
                                        "misbehaviours_granted",
                                        "log_appends",
                                        "log_durable",
                                        "log_pops",
                                        "log_trims",
                                        "file_writes",
                                        "file_reads",
                                        "file_syncs",
                                        "file_bytes",
                                        "lookups",
                                        "replayed",
                                        "replayed_late"};
    _Static_assert(sizeof names / sizeof names[0] == WORKLOAD_COUNTERS, "each has its name");
    (void)context;
    cr_assert_str_eq(instance, "echo");
    for (size_t i = 0; i < WORKLOAD_COUNTERS; ++i) {
        counted[i] = strcmp(names[i], counter) == 0 ? value : counted[i];
    }
}
static uint64_t counter(const struct interpreter *interpreter, enum workload_counter which) {
    const struct stats_sink sink = {.counter = count};
    interpreter_visit_stats(interpreter, &sink);
    return counted[which];
}

#define ECHO_SETUP "server:\n  setup: [{socket: {name: s, port: 7}}]\n  loop:\n"

Test(interpreter, echo_does_what_the_script_says) {
    struct sim_event events[2];
    struct interpreter *interpreter = start(ECHO_SETUP "    - wait: s\n"
                                                       "    - receive: {from: s, into: buf}\n"
                                                       "    - compute: 8 us\n"
                                                       "    - send: {to: s, from: buf}\n");
    cr_assert_not(interpreter_is_ready(interpreter));
    deliver_at(events, (const sim_time[]){10 * SIM_US, 12 * SIM_US}, 2);
    sim_run(SIM_MS);
    cr_assert(interpreter_is_ready(interpreter));
    cr_assert_not(interpreter_failed(interpreter, &failure));
    cr_assert_str_eq(fake.log, "process echo\nthread on 0\nopen 7\nwait 7 block\n"
                               "receive from 4711\ncompute 8000000 ps\nsend to 4711\nwait 7 block\n"
                               "receive from 4711\ncompute 8000000 ps\nsend to 4711\nwait 7 block\n");
    cr_assert_eq(fake.buffers, 1);
    cr_assert_eq(counter(interpreter, WORKLOAD_RECEIVED), 2);
    cr_assert_eq(counter(interpreter, WORKLOAD_SENT), 2);
    cr_assert_eq(counter(interpreter, WORKLOAD_LOOPS), 3);
    interpreter_reset_stats(interpreter);
    cr_assert_eq(counter(interpreter, WORKLOAD_SENT), 0);
}

Test(interpreter, receive_of_nothing_restarts_the_loop) {
    struct sim_event events[1];
    (void)start(ECHO_SETUP "    - compute: 1 us\n"
                           "    - receive: {from: s, into: buf}\n"
                           "    - send: {to: s, from: buf}\n");
    deliver_at(events, (const sim_time[]){1500 * SIM_NS}, 1);
    sim_run(2500 * SIM_NS);
    cr_assert_str_eq(fake.log, "process echo\nthread on 0\nopen 7\ncompute 1000000 ps\nreceive nothing\n"
                               "compute 1000000 ps\nreceive from 4711\nsend to 4711\ncompute 1000000 ps\n");
}

Test(interpreter, while_receive_drains_and_goes_on) {
    struct sim_event events[2];
    (void)start(ECHO_SETUP "    - wait: {on: s, how: spin}\n"
                           "    - while_receive: {from: s, into: buf, do: [{send: {to: s, from: buf}}]}\n"
                           "    - compute: {cycles: 3 cycles}\n");
    deliver_at(events, (const sim_time[]){SIM_US, SIM_US}, 2);
    sim_run(SIM_MS);
    cr_assert_str_eq(fake.log, "process echo\nthread on 0\nopen 7\nwait 7 spin\n"
                               "receive from 4711\nsend to 4711\nreceive from 4711\nsend to 4711\nreceive nothing\n"
                               "compute 1500 ps\nwait 7 spin\n"); /* 3 cycles of 2 GHz */
}

Test(interpreter, computing_nothing_asks_the_system_for_nothing) {
    struct sim_event events[1];
    struct interpreter *interpreter = start(ECHO_SETUP "    - wait: s\n"
                                                       "    - receive: {from: s, into: buf}\n"
                                                       "    - compute: {time: 0 us, distribution: exponential}\n"
                                                       "    - send: {to: s, from: buf}\n");
    deliver_at(events, (const sim_time[]){SIM_US}, 1);
    sim_run(SIM_MS);
    cr_assert_eq(fake.computes, 0);
    cr_assert_eq(counter(interpreter, WORKLOAD_SENT), 1);
}

Test(interpreter, repeat_repeats) {
    (void)start("server: {loop: [{repeat: {times: 3, do: [{compute: 1 us}, {repeat: {times: 2, do: [{compute: 2 "
                "us}]}}]}}, {compute: 1 ms}]}");
    sim_run(500 * SIM_US);
    cr_assert_eq(fake.computes, 3 + 6 + 1);
    cr_assert_eq(fake.computed, 3 * SIM_US + 6 * 2 * SIM_US + SIM_MS);
}

Test(interpreter, branch_takes_its_share) {
    random_seed(3);
    struct interpreter *interpreter =
        start("server: {loop: [{branch: {probability: 30 %, then: [{compute: 1 us}], else: [{compute: 2 us}]}}]}");
    sim_run(170 * SIM_MS); /* 1.7 us a round: 100,000 rounds; sigma of the share is 0.15 % */
    const double rounds = (double)counter(interpreter, WORKLOAD_COMPUTES);
    const double share = (2 * rounds - (double)(fake.computed / SIM_US)) / rounds;
    cr_assert_float_eq(share, 0.3, 0.006, "%f", share);
}

Test(interpreter, a_branch_without_else_does_nothing_else) {
    (void)start("server: {loop: [{branch: {probability: 0 %, then: [{compute: 1 us}]}}, {compute: 5 us}]}");
    sim_run(52 * SIM_US);
    cr_assert_eq(fake.computes, 11);
    cr_assert_eq(fake.computed, 55 * SIM_US);
}

Test(interpreter, exponential_has_its_mean) {
    random_seed(11);
    struct interpreter *interpreter = start("server: {loop: [{compute: {time: 5 us, distribution: exponential}}]}");
    sim_run(SIM_S / 2);
    const double mean = (double)fake.computed / (double)counter(interpreter, WORKLOAD_COMPUTES);
    cr_assert_float_eq(mean, 5e9, 5e9 * 0.015, "%f", mean); /* 100,000 draws: sigma 0.3 % */
    cr_assert_neq(fake.last_compute, 5 * SIM_US);
}

Test(interpreter, lognormal_has_its_mean) {
    random_seed(12);
    struct interpreter *interpreter =
        start("server: {loop: [{compute: {cycles: 10000 cycles, distribution: lognormal, cv: 0.5}}]}");
    sim_run(SIM_S / 2);
    const double mean = (double)fake.computed / (double)counter(interpreter, WORKLOAD_COMPUTES);
    cr_assert_float_eq(mean, 5e9, 5e9 * 0.008, "%f", mean);
    cr_assert_neq(fake.last_compute, 5 * SIM_US);
}

Test(interpreter, same_seed_same_draws) {
    random_seed(5);
    (void)start("server: {loop: [{compute: {time: 5 us, distribution: exponential}}]}");
    sim_run(SIM_MS);
    const sim_time first = fake.last_compute;
    struct random_stream *stream = random_stream_create("echo.thread0");
    sim_time draw = 0;
    for (uint64_t i = 0; i < fake.computes; ++i) {
        draw = random_exponential(stream, 5 * SIM_US);
    }
    cr_assert_eq(first, draw);
    random_stream_free(stream);
}

Test(interpreter, threads_have_their_cores_and_ports) {
    struct interpreter *interpreter =
        start("server:\n  threads: 3\n  setup: [{socket: {name: s, port: 100, per_thread: true}}]\n"
              "  loop: [{wait: s}, {receive: {from: s, into: b}}, {send: {to: s, from: b}}]\n");
    sim_run(SIM_MS);
    cr_assert_str_eq(fake.log, "process echo\nthread on 0\nthread on 1\nthread on 2\nopen 100\nwait 100 block\n"
                               "open 101\nwait 101 block\nopen 102\nwait 102 block\n");
    cr_assert_eq(fake.buffers, 3);
    cr_assert(interpreter_is_ready(interpreter));
}

Test(interpreter, a_core_that_is_not_there_is_refused) {
    fake_system_init(&fake);
    struct script *script = fake_script("server: {threads: 3, loop: [{compute: 1 us}]}");
    cr_assert_null(interpreter_create(script, &fake.system, "echo", 6, &failure));
    cr_assert_eq(failure.code, ERR_RANGE);
    cr_assert_str_eq(failure.text, "there is no core 8");
    script_free(script);
}

static unsigned calls;
static void called(void *context) {
    (void)context;
    calls += 1;
}

Test(interpreter, a_refused_socket_ends_the_thread_with_an_error) {
    struct interpreter *interpreter = start(ECHO_SETUP "    - wait: s\n");
    unsigned *ready = NULL;
    interpreter_on_ready(interpreter, called, ready);
    fake.open_error = ERR_OVERLAP;
    sim_run(SIM_MS);
    cr_assert_eq(calls, 0, "it was never ready");
    cr_assert(interpreter_failed(interpreter, &failure));
    cr_assert_eq(failure.code, ERR_OVERLAP);
    cr_assert_str_eq(failure.text, "echo, thread 0: opening a UDP socket: overlaps what another holds");
}

Test(interpreter, ready_and_failure_are_told_once) {
    struct sim_event events[1];
    struct interpreter *interpreter =
        start("server:\n  threads: 2\n  setup: [{socket: {name: s, port: 7, per_thread: true}}]\n"
              "  loop: [{wait: s}, {receive: {from: s, into: b}}, {send: {to: s, from: b}}]\n");
    interpreter_on_ready(interpreter, called, NULL);
    deliver_at(events, (const sim_time[]){SIM_US}, 1);
    sim_run(SIM_US / 2);
    cr_assert_eq(calls, 1);
    interpreter_on_failure(interpreter, called, NULL);
    fake.send_error = ERR_FAULT;
    sim_run(SIM_MS);
    cr_assert_eq(calls, 2);
    cr_assert(interpreter_failed(interpreter, &failure));
    cr_assert_str_eq(failure.text, "echo, thread 0: sending: a protection fault");
}

static struct ledger *ledger;
static struct request *begin_request(void) {
    static const struct ledger_declaration client = {"client", NULL, "Client", "app client"};
    ledger = ledger == NULL ? ledger_create("echo") : ledger;
    ledger_record(ledger, true);
    return ledger_begin(ledger, ledger_declare(&client), LEDGER_SERVICE, sim_now());
}
static void deliver_request(void *context) {
    (void)context;
    fake_deliver(&fake, 7, (struct system_endpoint){1, 2}, begin_request());
}

Test(interpreter, computes_for_the_request_in_hand_and_not_afterwards) {
    struct sim_event event;
    (void)start(ECHO_SETUP "    - wait: s\n"
                           "    - receive: {from: s, into: buf}\n"
                           "    - compute: 2 us\n"
                           "    - send: {to: s, from: buf}\n"
                           "    - compute: 1 us\n");
    sim_event_init(&event, SIM_PRIORITY_HARDWARE, deliver_request, NULL);
    sim_schedule_at(&event, SIM_US);
    sim_run(SIM_MS);
    cr_assert_not_null(strstr(fake.log, "compute 2000000 ps for a request\nsend to 2\ncompute 1000000 ps\nwait"));
    cr_assert_eq(ledger_completed(ledger), 1);
    cr_assert_eq(ledger_audit(ledger, sim_now()), 0);
}

Test(interpreter, a_refused_send_loses_the_message_and_closes_its_ledger) {
    struct sim_event event;
    struct interpreter *interpreter = start(ECHO_SETUP "    - wait: s\n"
                                                       "    - receive: {from: s, into: buf}\n"
                                                       "    - send: {to: s, from: buf}\n");
    const struct ledger_drop *drops;
    fake.send_error = ERR_EXHAUSTED;
    sim_event_init(&event, SIM_PRIORITY_HARDWARE, deliver_request, NULL);
    sim_schedule_at(&event, SIM_US);
    sim_run(SIM_MS);
    cr_assert_not(interpreter_failed(interpreter, &failure));
    cr_assert_eq(counter(interpreter, WORKLOAD_SEND_FAILURES), 1);
    cr_assert_eq(counter(interpreter, WORKLOAD_SENT), 0);
    cr_assert_eq(ledger_audit(ledger, sim_now()), 0);
    cr_assert_eq(ledger_drops(ledger, &drops), 1);
    cr_assert_str_eq(drops[0].reason, "send refused");
}

Test(interpreter, a_message_that_is_never_answered_is_closed_by_the_next) {
    struct sim_event events[2];
    struct interpreter *interpreter = start(ECHO_SETUP "    - wait: s\n    - receive: {from: s, into: buf}\n");
    const struct ledger_drop *drops;
    for (unsigned i = 0; i < 2; ++i) {
        sim_event_init(&events[i], SIM_PRIORITY_HARDWARE, deliver_request, NULL);
        sim_schedule_at(&events[i], SIM_US);
    }
    sim_run(SIM_MS);
    cr_assert_eq(counter(interpreter, WORKLOAD_UNANSWERED), 1);
    cr_assert_eq(ledger_live(ledger), 1, "the second is in the buffer still");
    cr_assert_eq(ledger_drops(ledger, &drops), 1);
    cr_assert_str_eq(drops[0].reason, "unanswered");
}

Test(interpreter, a_loop_that_stands_still_is_an_error_not_a_hang) {
    struct interpreter *interpreter = start(ECHO_SETUP "    - wait: s\n    - receive: {from: s, into: buf}\n");
    fake.endless = true;
    sim_run(SIM_MS);
    cr_assert(interpreter_failed(interpreter, &failure));
    cr_assert_not_null(strstr(failure.text, "its loop takes no simulated time"));
}

Test(interpreter, udp_echo_runs_as_it_stands) {
    struct diagnostics diagnostics;
    struct sim_event events[1];
    diagnostics_init(&diagnostics);
    struct script *script = script_load(SOURCE_DIR "/workloads/udp_echo.yaml", NULL, NULL, &diagnostics);
    diagnostics_print(&diagnostics, stderr);
    cr_assert_not_null(script);
    cr_assert_eq(diagnostics.count, 0);
    fake_system_init(&fake);
    (void)interpreter_create(script, &fake.system, "echo", 0, &failure);
    deliver_at(events, (const sim_time[]){SIM_US}, 1);
    sim_run(SIM_MS);
    cr_assert_str_eq(fake.log, "process echo\nthread on 0\nopen 7\nwait 7 block\n"
                               "receive from 4711\nsend to 4711\nwait 7 block\n");
}

#define MEASURED_LOOP                                                                                                  \
    "    - wait: s\n"                                                                                                  \
    "    - measure: {as: recv, before: arrival, do: [{receive: {from: s, into: buf}}]}\n"                              \
    "    - measure: {as: work, do: [{compute: 8 us}]}\n"                                                               \
    "    - compute: 1 us\n"                                                                                            \
    "    - measure: {as: work, do: [{compute: 2 us}]}\n"                                                               \
    "    - send: {to: s, from: buf}\n"

/* A request of which software had 5 us before it is delivered. */
static void deliver_known(void *context) {
    static const struct ledger_declaration cpu = {"cpu", NULL, "CPU", "app"},
                                           app = {"app", "cpu", "application", "cpu"};
    const ledger_component at = ledger_declare(&cpu);
    (void)ledger_declare(&app);
    struct request *request = ledger_begin(context, at, LEDGER_SERVICE, sim_now() - 5 * SIM_US);
    fake_deliver(&fake, 7, (struct system_endpoint){0x0a000001, 4711}, request);
}

Test(interpreter, measures_operations_for_each_message) {
    struct interpreter *interpreter = start(ECHO_SETUP MEASURED_LOOP);
    struct ledger *known = ledger_create("requests");
    ledger_record(known, true);
    struct sim_event event;
    sim_event_init(&event, SIM_PRIORITY_HARDWARE, deliver_known, known);
    sim_schedule_at(&event, 10 * SIM_US);
    sim_run(SIM_MS);
    struct spans spans;
    interpreter_spans(interpreter, &spans);
    cr_assert_eq(spans.count, 3);
    cr_expect_eq(spans.each[0].count, 1);
    cr_expect_eq((uint64_t)spans.each[0].sum, 0, "the fake receives in no time");
    cr_expect_eq((uint64_t)spans.each[1].sum, 5 * SIM_US);
    cr_expect_eq((uint64_t)spans.each[2].sum, 10 * SIM_US, "both, without what lies between them");
    cr_expect_eq((uint64_t)spans.sum.sum, 15 * SIM_US);
    spans_free(&spans);
}
