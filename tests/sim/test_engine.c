/* The engine: order, cancelling, tasks, and that SystemC's own order never shows. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "sim/engine.h"

static char trail[256];

static void mark(void *context) {
    (void)strncat(trail, context, sizeof trail - strlen(trail) - 1);
}

Test(engine, orders_by_time_then_priority_then_schedule) {
    struct sim_event events[5];
    sim_event_init(&events[0], SIM_PRIORITY_SOFTWARE, mark, "d");
    sim_event_init(&events[1], SIM_PRIORITY_HARDWARE, mark, "b");
    sim_event_init(&events[2], SIM_PRIORITY_HARDWARE, mark, "c");
    sim_event_init(&events[3], SIM_PRIORITY_OBSERVER, mark, "a");
    sim_event_init(&events[4], SIM_PRIORITY_HARDWARE, mark, "e");
    sim_schedule(&events[0], 10);
    sim_schedule(&events[1], 10);
    sim_schedule(&events[2], 10);
    sim_schedule(&events[3], 9);
    sim_schedule(&events[4], 11);
    sim_run(SIM_TIME_MAX);
    cr_assert_str_eq(trail, "abcde");
    cr_assert_eq(sim_now(), 11);
    cr_assert_eq(sim_events_run(), 5);
}

Test(engine, cancelled_events_do_not_run) {
    struct sim_event a, b;
    sim_event_init(&a, SIM_PRIORITY_HARDWARE, mark, "a");
    sim_event_init(&b, SIM_PRIORITY_HARDWARE, mark, "b");
    cr_assert_not(sim_cancel(&a));
    sim_schedule(&a, 1);
    sim_schedule(&b, 2);
    cr_assert(sim_cancel(&a));
    cr_assert_not(sim_event_pending(&a));
    sim_run(SIM_TIME_MAX);
    cr_assert_str_eq(trail, "b");
}

Test(engine, runs_up_to_and_including_its_end_and_goes_on) {
    struct sim_event a, b;
    sim_event_init(&a, SIM_PRIORITY_HARDWARE, mark, "a");
    sim_event_init(&b, SIM_PRIORITY_HARDWARE, mark, "b");
    sim_schedule(&a, 10);
    sim_schedule(&b, 20);
    sim_run(10);
    cr_assert_str_eq(trail, "a");
    sim_run(15);
    cr_assert_eq(sim_now(), 15);
    sim_run(30);
    cr_assert_str_eq(trail, "ab");
    cr_assert_eq(sim_now(), 30);
}

static uint64_t heap_state = 88172645463325252u;
static uint64_t next_random(void) {
    heap_state ^= heap_state << 13;
    heap_state ^= heap_state >> 7;
    heap_state ^= heap_state << 17;
    return heap_state;
}

enum { MANY = 5000 };
static struct sim_event many[MANY];
static sim_time last_due;
static uint64_t last_sequence, ran;

static void check_order(void *context) {
    const struct sim_event *event = context;
    cr_assert_eq(event->due, sim_now());
    cr_assert(event->due > last_due || (event->due == last_due && event->order > last_sequence) || ran == 0);
    last_due = event->due;
    last_sequence = event->order;
    ran++;
}

Test(engine, keeps_order_under_random_scheduling_and_cancelling) {
    for (size_t i = 0; i < MANY; i++) {
        sim_event_init(&many[i], SIM_PRIORITY_HARDWARE, check_order, &many[i]);
        sim_schedule(&many[i], next_random() % 1000);
    }
    uint64_t cancelled = 0;
    for (size_t i = 0; i < MANY; i += 3) {
        cancelled += sim_cancel(&many[i]) ? 1 : 0;
    }
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(ran, MANY - cancelled);
}

/* From a few events a slot of the engine's wheel to delays of many of its turns, with
 * events that schedule themselves anew, so that both of its parts are passed through. */
static uint64_t lives;
static void check_order_and_go_on(void *context) {
    struct sim_event *event = context;
    check_order(event);
    if (lives > 0) {
        lives--;
        const uint64_t shift = next_random() % 30;
        sim_schedule(event, next_random() % (UINT64_C(1) << (10 + shift)));
    }
}

Test(engine, keeps_order_over_delays_of_every_length) {
    enum { AT_ONCE = 200, LIVES = 20000 };
    lives = LIVES;
    for (size_t i = 0; i < AT_ONCE; i++) {
        sim_event_init(&many[i], SIM_PRIORITY_HARDWARE, check_order_and_go_on, &many[i]);
        sim_schedule(&many[i], next_random() % SIM_MS);
    }
    uint64_t cancelled = 0;
    for (size_t i = 0; i < AT_ONCE; i += 3) {
        cancelled += sim_cancel(&many[i]) ? 1 : 0;
    }
    sim_run(SIM_US);
    for (size_t i = 0; i < AT_ONCE; i += 7) {
        cancelled += sim_cancel(&many[i]) ? 1 : 0;
    }
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(ran, AT_ONCE + LIVES - cancelled);
}

static struct sim_task *pinger, *ponger;
static void ping(void *argument) {
    (void)argument;
    for (int i = 0; i < 3; i++) {
        mark("p");
        sim_task_delay(5);
        sim_task_wake(ponger);
    }
}
static void pong(void *argument) {
    (void)argument;
    for (int i = 0; i < 3; i++) {
        sim_task_block();
        cr_assert_eq(sim_now(), (sim_time)(5 * (i + 1)));
        cr_assert_str_eq(sim_task_name(sim_task_current()), "pong");
        mark("q");
    }
}

static void ping_pong(bool lockstep) {
    sim_set_lockstep(lockstep);
    pinger = sim_task_create("ping", 0, ping, NULL);
    ponger = sim_task_create("pong", 0, pong, NULL);
    sim_run(SIM_TIME_MAX);
    cr_assert_str_eq(trail, "ppqpqq", "%s", trail);
    cr_assert_eq(sim_now(), 15);
}

Test(engine, tasks_block_and_wake) {
    ping_pong(false);
}
Test(engine, tasks_in_lockstep_do_the_same) {
    ping_pong(true);
}

static void forever(void *argument) {
    uint64_t *count = argument;
    for (;;) {
        sim_task_delay(SIM_NS);
        (*count)++;
    }
}

Test(engine, stopped_run_can_go_on_with_its_tasks) {
    uint64_t counts[2] = {0, 0};
    (void)sim_task_create("one", 0, forever, &counts[0]);
    (void)sim_task_create("two", 0, forever, &counts[1]);
    sim_run(10 * SIM_NS);
    cr_assert_eq(counts[0], 10);
    cr_assert_eq(counts[1], 10);
    sim_run(25 * SIM_NS);
    cr_assert_eq(counts[0], 25);
    cr_assert_eq(counts[1], 25);
}

static void spawn_inner(void *argument) {
    mark("i");
    sim_task_delay(1);
    mark(argument);
}
static void spawn_outer(void *argument) {
    (void)argument;
    sim_task_delay(3);
    (void)sim_task_create("inner", 0, spawn_inner, "j");
    mark("o");
    sim_task_delay(2);
    mark("x");
}

Test(engine, tasks_can_start_during_the_run) {
    (void)sim_task_create("outer", 0, spawn_outer, NULL);
    sim_run(SIM_TIME_MAX);
    cr_assert_str_eq(trail, "oijx", "%s", trail);
}

static void cut_short(void *argument) {
    mark(argument);
    sim_task_delay(100);
    mark("never");
}

Test(engine, killed_task_never_runs_again) {
    struct sim_task *task = sim_task_create("short", 0, cut_short, "k");
    sim_run(50);
    cr_assert(sim_task_is_blocked(task));
    sim_task_kill(task);
    sim_run(1000);
    cr_assert_str_eq(trail, "k");
}

static struct sim_task *sleeper;
static void sleep_body(void *argument) {
    (void)argument;
    sim_task_wait_until(100);
    mark("w");
}
static void move_wake(void *context) {
    (void)context;
    cr_assert(sim_task_wake_cancel(sleeper));
    sim_task_wake_at(sleeper, 40);
}

Test(engine, wake_up_can_be_moved) {
    sleeper = sim_task_create("sleeper", 0, sleep_body, NULL);
    struct sim_event mover;
    sim_event_init(&mover, SIM_PRIORITY_HARDWARE, move_wake, NULL);
    sim_schedule(&mover, 30);
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(sim_now(), 40);
    cr_assert_str_eq(trail, "w");
}

static unsigned boundaries;
static char at_boundaries[64];
static void observe(void *context) {
    (void)context;
    at_boundaries[boundaries++] = (char)('0' + strlen(trail));
}

Test(engine, observers_see_every_boundary) {
    struct sim_event a, b;
    sim_event_init(&a, SIM_PRIORITY_HARDWARE, mark, "a");
    sim_event_init(&b, SIM_PRIORITY_HARDWARE, mark, "b");
    sim_schedule(&a, 1);
    sim_schedule(&b, 1);
    sim_observe(observe, NULL);
    sim_run(SIM_TIME_MAX);
    cr_assert_str_eq(at_boundaries, "012", "before, between and behind the two");
    sim_observe(NULL, NULL);
    sim_schedule(&a, 1);
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(boundaries, 3);
}
