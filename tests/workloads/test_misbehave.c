/* test_misbehave.c: the operation by which a script attacks. */
#include <criterion/criterion.h>
#include <string.h>

#include "fake_system.h"
#include "workloads/interpreter.h"

static struct fake_system fake;
static struct error failure;

static const char intruder[] = "server:\n"
                               "  setup: [{socket: {name: s, port: 7}}]\n"
                               "  loop:\n"
                               "    - wait: s\n"
                               "    - receive: {from: s, into: buf}\n"
                               "    - misbehave: {how: greedy_filter, times: 2}\n"
                               "    - send: {to: s, from: buf}\n";
static const char posting[] = "server:\n"
                              "  setup: [{socket: {name: s, port: 7}}]\n"
                              "  loop:\n"
                              "    - wait: s\n"
                              "    - receive: {from: s, into: buf}\n"
                              "    - misbehave: foreign_descriptor\n";

static void deliver(void *context) {
    (void)context;
    fake_deliver(&fake, 7, (struct system_endpoint){0x0a000001, 4711}, NULL);
}

/* One message comes; kernel and hardware answer each attack so. */
static struct interpreter *attack(const char *text, enum error_code answer) {
    static struct sim_event event;
    fake_system_init(&fake);
    fake.misbehave_answer = answer;
    struct interpreter *interpreter = interpreter_create(fake_script(text), &fake.system, "intruder", 0, &failure);
    cr_assert_not_null(interpreter, "%s", failure.text);
    sim_event_init(&event, SIM_PRIORITY_HARDWARE, deliver, NULL);
    sim_schedule_at(&event, SIM_US);
    sim_run(SIM_MS);
    return interpreter;
}

static void expect_counts(const struct interpreter *interpreter, uint64_t tries, uint64_t refused, uint64_t granted) {
    cr_expect_eq(interpreter_count(interpreter, WORKLOAD_MISBEHAVIOURS), tries);
    cr_expect_eq(interpreter_count(interpreter, WORKLOAD_MISBEHAVIOURS_REFUSED), refused);
    cr_expect_eq(interpreter_count(interpreter, WORKLOAD_MISBEHAVIOURS_GRANTED), granted);
}

Test(misbehave, a_refusal_is_counted_and_the_script_goes_on) {
    struct interpreter *interpreter = attack(intruder, ERR_DENIED);
    expect_counts(interpreter, 2, 2, 0);
    cr_expect_not_null(strstr(fake.log, "receive from 4711\nmisbehave 4 for 4711\nmisbehave 4 for 4711\n"
                                        "send to 4711\nwait 7 block\n"),
                       "%s", fake.log);
    cr_expect_not(interpreter_failed(interpreter, &failure));
}

Test(misbehave, what_must_not_be_granted_is_counted_if_it_is) {
    expect_counts(attack(intruder, OK), 2, 0, 2);
}

/* A descriptor is taken without comment: whether it does harm shows elsewhere. */
Test(misbehave, an_answer_that_decides_nothing_is_no_grant) {
    expect_counts(attack(posting, OK), 1, 0, 0);
}

Test(misbehave, an_attack_that_finds_nobody_yet_is_tried_again) {
    struct interpreter *interpreter = attack(intruder, ERR_AGAIN);
    expect_counts(interpreter, 0, 0, 0);
    cr_expect_null(strstr(fake.log, "send"), "the loop starts anew");
    cr_expect_not(interpreter_failed(interpreter, &failure));
}

Test(misbehave, with_nobody_to_attack_the_thread_ends) {
    const struct interpreter *interpreter = attack(intruder, ERR_NOT_FOUND);
    cr_assert(interpreter_failed(interpreter, &failure));
    cr_expect_str_eq(failure.text, "intruder, thread 0: misbehaving towards the system's first process: no such thing");
}

Test(misbehave, a_system_that_does_not_offer_it_says_so_before_the_run) {
    fake_system_init(&fake);
    struct system_ops without = *fake.system.ops;
    without.misbehave = NULL;
    fake.system.ops = &without;
    cr_assert_null(interpreter_create(fake_script(intruder), &fake.system, "intruder", 0, &failure));
    cr_expect_str_eq(failure.text, "the system 'fake' does not offer the operation 'misbehave'");
    cr_expect_str_eq(fake.log, "", "nothing was made");
}

Test(misbehave, counters_are_shown_by_scripts_that_use_it) {
    cr_expect(script_uses(fake_script(intruder), "misbehave"));
    cr_expect_not(script_uses(fake_script("server: {loop: [{compute: 1 us}]}"), "misbehave"));
    cr_expect_not(script_uses(fake_script(intruder), "compute"));
}
