/* Contexts: charging, the ledger's and the account's exactness, blocking, spinning.
 * Clock 1 GHz where a test does not say otherwise. */
#include "tests/hw/core_fixture.h"

static struct ledger *ledger;

/* What the last request that ended had spent. */
static struct {
    unsigned ended;
    sim_time spent[LEDGER_COMPONENTS_MAX][LEDGER_KINDS], total;
} seen;

static void observe(void *context, const struct request *request) {
    (void)context;
    memset(&seen.spent, 0, sizeof seen.spent);
    seen.total = 0;
    seen.ended++;
    for (unsigned i = 0; i < request->touched_count; i++) {
        const unsigned at = request->touched[i];
        for (unsigned kind = 0; kind < LEDGER_KINDS; kind++) {
            seen.spent[at][kind] = request->spent[at][kind];
            seen.total += request->spent[at][kind];
        }
    }
    cr_assert_eq(seen.total, sim_now() - request->born, "a request's parts are its life");
}

static void start(uint64_t clock_hz) {
    fixture_make(clock_hz);
    ledger = ledger_create("test");
    ledger_record(ledger, true);
    ledger_observe(ledger, observe, NULL);
}

static void end(void) {
    cr_assert_eq(ledger_audit(ledger, sim_now()), 0);
    ledger_free(ledger);
    fixture_free();
}

static struct context *thread(unsigned core, const char *name, void (*body)(void *), void *argument) {
    return context_create(machine.cores[core], CORE_THREAD, name, NULL, body, argument);
}

static void dispatch(struct context *context) {
    core_dispatch(context_core(context), CORE_THREAD, context);
}

/* ---- charging ---- */

static struct request *arrive(void) {
    return ledger_begin(ledger, component.outside, LEDGER_WAITING, sim_now());
}

static void three_steps(void *argument) {
    struct context *self = context_current();
    struct request *request = arrive();
    (void)argument;
    cpu_work_for(self, component.alpha, request);
    cpu_charge(self, 100);
    cpu_charge(self, 20);
    cpu_work_for(self, component.beta, request);
    cpu_charge_time(self, 30 * SIM_NS);
    cpu_pass_on(self, ledger_find("ready"), LEDGER_WAITING);
    cpu_work_for(self, component.gamma, NULL);
    cpu_charge(self, 50);
    cr_assert_eq(sim_now(), 0);
    cpu_run(self);
    cr_assert_eq(sim_now(), 200 * SIM_NS);
    cpu_work_for(self, component.alpha, request);
    cpu_run(self);
    ledger_end(request, component.alpha, sim_now());
}

Test(context, charges_become_time_in_one_event) {
    start(1000000000);
    dispatch(thread(0, "t", three_steps, NULL));
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(seen.ended, 1);
    cr_assert_eq(seen.spent[component.alpha][LEDGER_SERVICE], 120 * SIM_NS);
    cr_assert_eq(seen.spent[component.beta][LEDGER_SERVICE], 30 * SIM_NS);
    cr_assert_eq(seen.spent[ledger_find("ready")][LEDGER_WAITING], 50 * SIM_NS);
    cr_assert_eq(seen.total, 200 * SIM_NS);
    const struct fixture_account account = fixture_account(machine.cores[0]);
    cr_assert_eq(account.usage.spent[component.gamma], 50 * SIM_NS);
    /* The first dispatch, the task's start, and one wake-up for all of it. */
    cr_assert_eq(sim_events_run(), 3);
    end();
}

static void one_request(void *argument) {
    struct context *self = context_current();
    struct request *request = arrive();
    const uint64_t *cycles = argument;
    cpu_work_for(self, component.alpha, request);
    cpu_charge(self, cycles[0]);
    cpu_work_for(self, component.beta, request);
    cpu_charge(self, cycles[1]);
    cpu_run(self);
    cr_assert_eq(request->kind, LEDGER_SERVICE);
    ledger_end(request, component.beta, sim_now());
}

static void steal(void *argument) {
    struct context *self = context_current();
    const uint64_t *cycles = argument;
    for (;;) {
        cpu_work_for(self, component.interrupt, NULL);
        cpu_charge(self, *cycles);
        cpu_block(self);
    }
}

static void on_vector(void *os, struct core *core, uint32_t vector, sim_time raised, sim_time awake) {
    (void)vector, (void)raised, (void)awake;
    core_dispatch(core, CORE_INTERRUPT, os);
}

static void raise_1(void *core) {
    core_interrupt(core, 1);
}

static void handle_interrupts(unsigned core, uint64_t *cycles) {
    struct context *context = context_create(machine.cores[core], CORE_INTERRUPT, "irq", NULL, steal, cycles);
    core_set_interrupt_handler(machine.cores[core], on_vector, context);
}

Test(context, a_preempted_request_waits_for_exactly_that_long) {
    start(2200000000);
    uint64_t stolen = 77;
    uint64_t cycles[2] = {1000, 1000};
    struct fixture_call calls[2];
    handle_interrupts(0, &stolen);
    dispatch(thread(0, "t", one_request, cycles));
    fixture_call_at(&calls[0], 100 * SIM_NS, raise_1, machine.cores[0]);     /* edge 220 */
    fixture_call_at(&calls[1], 600 * SIM_NS + 9, raise_1, machine.cores[0]); /* before edge 1321 */
    sim_run(SIM_TIME_MAX);
    const sim_time times[] = {0,
                              UINT64_C(220) * 5000000 / 11,
                              UINT64_C(297) * 5000000 / 11,
                              UINT64_C(1077) * 5000000 / 11,
                              UINT64_C(1321) * 5000000 / 11,
                              UINT64_C(1398) * 5000000 / 11,
                              UINT64_C(2154) * 5000000 / 11};
    cr_assert_eq(seen.spent[component.alpha][LEDGER_SERVICE], times[1] + times[3] - times[2]);
    cr_assert_eq(seen.spent[component.alpha][LEDGER_WAITING], times[2] - times[1]);
    cr_assert_eq(seen.spent[component.beta][LEDGER_SERVICE], times[4] - times[3] + times[6] - times[5]);
    cr_assert_eq(seen.spent[component.beta][LEDGER_WAITING], times[5] - times[4]);
    cr_assert_eq(sim_now(), times[6]);
    end();
}

/* An interrupt at the very instant at which a segment, or all of them, end: the
 * hardware comes first, and the request waits with what was finished. */
Test(context, preemption_at_a_boundary_splits_nothing) {
    start(1000000000);
    uint64_t stolen = 10;
    uint64_t cycles[2] = {100, 200};
    struct fixture_call calls[2];
    handle_interrupts(0, &stolen);
    fixture_call_at(&calls[0], 100 * SIM_NS, raise_1, machine.cores[0]);
    fixture_call_at(&calls[1], 310 * SIM_NS, raise_1, machine.cores[0]);
    dispatch(thread(0, "t", one_request, cycles));
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(seen.spent[component.alpha][LEDGER_SERVICE], 100 * SIM_NS);
    cr_assert_eq(seen.spent[component.alpha][LEDGER_WAITING], 10 * SIM_NS);
    cr_assert_eq(seen.spent[component.beta][LEDGER_SERVICE], 200 * SIM_NS);
    cr_assert_eq(seen.spent[component.beta][LEDGER_WAITING], 10 * SIM_NS);
    cr_assert_eq(seen.total, 320 * SIM_NS);
    end();
}

static void swap_in(void *context) {
    dispatch(context);
}

Test(context, another_thread_takes_the_core_and_gives_it_back) {
    start(1000000000);
    uint64_t first[2] = {500, 500}, second[2] = {100, 0};
    struct context *a = thread(0, "a", one_request, first);
    struct context *b = thread(0, "b", one_request, second);
    struct fixture_call calls[3];
    dispatch(a);
    fixture_call_at(&calls[0], 200 * SIM_NS, swap_in, b);
    fixture_call_at(&calls[1], 260 * SIM_NS, swap_in, a); /* b has 40 cycles left */
    fixture_call_at(&calls[2], 2 * SIM_US, swap_in, b);
    sim_run(1500 * SIM_NS);
    cr_assert_eq(seen.ended, 1);
    cr_assert_eq(seen.total, 1060 * SIM_NS);
    cr_assert_eq(seen.spent[component.alpha][LEDGER_WAITING], 60 * SIM_NS);
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(seen.ended, 2);
    cr_assert_eq(seen.spent[component.alpha][LEDGER_SERVICE], 100 * SIM_NS);
    cr_assert_eq(sim_now(), 2040 * SIM_NS);
    cr_assert_eq(fixture_account(machine.cores[0]).preemptions, 2);
    end();
}

/* ---- who runs ---- */

static struct context *expected;
static bool helper_agrees(void) {
    return context_current() == expected;
}

static void check_current(void *argument) {
    struct context *self = *(struct context **)argument;
    expected = self;
    cr_assert(helper_agrees());
    for (unsigned i = 0; i < 20; i++) {
        cpu_charge(self, 10 + i);
        cpu_run(self);
        expected = self;
        cr_assert(helper_agrees());
    }
}

static void nobody(void *argument) {
    (void)argument;
    cr_assert_null(context_current());
}

Test(context, the_current_context_is_that_of_the_running_task) {
    start(1000000000);
    static struct context *contexts[FIXTURE_CORES];
    struct fixture_call calls[10];
    cr_assert_null(context_current());
    for (unsigned i = 0; i < FIXTURE_CORES; i++) {
        contexts[i] = thread(i, "t", check_current, &contexts[i]);
        dispatch(contexts[i]);
    }
    for (unsigned i = 0; i < 10; i++) {
        fixture_call_at(&calls[i], (i + 1) * 13 * SIM_NS, nobody, NULL);
    }
    sim_run(SIM_TIME_MAX);
    end();
}

/* ---- blocking ---- */

static sim_time woken[4];
static unsigned wakes;
static void sleeper(void *argument) {
    struct context *self = context_current();
    (void)argument;
    for (unsigned i = 0; i < 3; i++) {
        cpu_charge(self, 100);
        cpu_block(self);
        woken[wakes++] = sim_now();
    }
}

Test(context, a_blocked_thread_goes_on_when_dispatched) {
    start(1000000000);
    struct context *context = thread(0, "t", sleeper, NULL);
    struct fixture_call calls[2];
    dispatch(context);
    fixture_call_at(&calls[0], 500 * SIM_NS, swap_in, context);
    fixture_call_at(&calls[1], 900 * SIM_NS, swap_in, context);
    sim_run(450 * SIM_NS);
    cr_assert(core_is_idle(machine.cores[0]));
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(wakes, 2);
    cr_assert_eq(woken[0], 500 * SIM_NS);
    cr_assert_eq(woken[1], 900 * SIM_NS);
    const struct fixture_account account = fixture_account(machine.cores[0]);
    cr_assert_eq(account.usage.spent[ledger_find("cpu")], 300 * SIM_NS);
    cr_assert_eq(account.usage.spent[0], 700 * SIM_NS);
    end();
}

/* What a scheduler does: the thread that goes to sleep dispatches the next. */
static struct context *other;
static void yields(void *argument) {
    struct context *self = context_current();
    (void)argument;
    cpu_charge(self, 100);
    cpu_run(self);
    dispatch(other);
    cpu_block(self);
    woken[wakes++] = sim_now();
}
static void is_yielded_to(void *argument) {
    struct context *self = context_current();
    cpu_charge(self, 70);
    cpu_run(self);
    dispatch(argument);
    cpu_block(self);
}

Test(context, threads_hand_the_core_to_each_other) {
    start(1000000000);
    struct context *first = thread(0, "first", yields, NULL);
    other = thread(0, "other", is_yielded_to, first);
    dispatch(first);
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(wakes, 1);
    cr_assert_eq(woken[0], 170 * SIM_NS);
    end();
}

static void charges_after_leaving(void *argument) {
    struct context *self = context_current();
    struct request *request = arrive();
    (void)argument;
    cpu_work_for(self, component.alpha, request);
    cpu_charge(self, 100);
    cpu_run(self);
    core_dispatch(context_core(self), CORE_THREAD, NULL);
    cpu_charge(self, 10);
    cpu_run(self); /* waits for the core, and the request with it */
    cr_assert_eq(sim_now(), 410 * SIM_NS);
    ledger_end(request, component.alpha, sim_now());
}

Test(context, work_charged_off_the_core_waits_for_it) {
    start(1000000000);
    struct context *context = thread(0, "t", charges_after_leaving, NULL);
    struct fixture_call call;
    dispatch(context);
    fixture_call_at(&call, 400 * SIM_NS, swap_in, context);
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(seen.ended, 1);
    cr_assert_eq(seen.spent[component.alpha][LEDGER_WAITING], 300 * SIM_NS);
    cr_assert_eq(seen.spent[component.alpha][LEDGER_SERVICE], 110 * SIM_NS);
    end();
}

Test(context, a_killed_context_leaves_the_core_and_never_runs_again) {
    start(1000000000);
    struct context *sleeping = thread(0, "s", sleeper, NULL);
    uint64_t cycles[2] = {1000, 0};
    struct context *running = thread(1, "r", steal, cycles);
    struct context *fresh = thread(2, "f", steal, cycles);
    dispatch(sleeping);
    dispatch(running);
    sim_run(300 * SIM_NS);
    context_kill(sleeping);
    context_kill(running);
    context_kill(fresh);
    cr_assert(core_is_idle(machine.cores[1]));
    sim_run(10 * SIM_US);
    cr_assert_eq(wakes, 0);
    const struct fixture_account account = fixture_account(machine.cores[1]);
    cr_assert_eq(account.usage.spent[component.interrupt], 300 * SIM_NS);
    cr_assert_eq(fixture_sum(&account.usage), 10 * SIM_US);
    end();
}

static void withdraw(void *core) {
    core_dispatch(core, CORE_THREAD, NULL);
}
static void migrate_to_1(void *context) {
    context_migrate(context, machine.cores[1]);
    dispatch(context);
}

Test(context, a_migrated_context_takes_the_rest_of_its_work_along) {
    start(1000000000);
    uint64_t cycles[2] = {600, 400};
    struct context *context = thread(0, "t", one_request, cycles);
    struct fixture_call calls[2];
    dispatch(context);
    fixture_call_at(&calls[0], 250 * SIM_NS, withdraw, machine.cores[0]);
    fixture_call_at(&calls[1], 300 * SIM_NS, migrate_to_1, context);
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(seen.ended, 1);
    cr_assert_eq(seen.total, 1050 * SIM_NS);
    const struct fixture_account here = fixture_account(machine.cores[0]);
    const struct fixture_account there = fixture_account(machine.cores[1]);
    cr_assert_eq(here.usage.spent[component.alpha], 250 * SIM_NS);
    cr_assert_eq(there.usage.spent[component.alpha], 350 * SIM_NS);
    cr_assert_eq(there.usage.spent[component.beta], 400 * SIM_NS);
    end();
}

/* ---- spinning: iterations of 40 cycles, begun at 100 ns ---- */

static sim_time spun;
static void spinner(void *argument) {
    struct context *self = context_current();
    (void)argument;
    cpu_work_for(self, component.alpha, NULL);
    cpu_charge(self, 100);
    cpu_spin(self, 40, component.beta);
    spun = sim_now();
    cr_assert_not(cpu_is_spinning(self));
}
static void wake_spinner(void *context) {
    cpu_spin_wake(context);
}

/* Wakes a spinner at `wake`, with an interrupt of `stolen` cycles at `interrupt`
 * (0: none), and tells when it stopped. */
static sim_time spin_until(sim_time wake, sim_time interrupt, uint64_t stolen) {
    start(1000000000);
    struct context *context = thread(0, "t", spinner, NULL);
    struct fixture_call calls[3];
    handle_interrupts(0, &stolen);
    if (interrupt != 0) {
        fixture_call_at(&calls[1], interrupt, raise_1, machine.cores[0]);
    }
    fixture_call_at(&calls[0], wake, wake_spinner, context);
    fixture_call_at(&calls[2], wake, wake_spinner, context); /* twice is once */
    dispatch(context);
    sim_run(SIM_TIME_MAX);
    const struct fixture_account account = fixture_account(machine.cores[0]);
    cr_assert_eq(account.usage.spent[component.alpha], 100 * SIM_NS);
    cr_assert_eq(account.usage.spent[component.interrupt], interrupt != 0 ? stolen * SIM_NS : 0);
    cr_assert_eq(fixture_sum(&account.usage), sim_now());
    cr_assert_eq(account.usage.spent[0], sim_now() - spun);
    end();
    return spun;
}

Test(context, a_spin_ends_with_the_iteration_that_was_woken) {
    cr_assert_eq(spin_until(230 * SIM_NS, 0, 0), 260 * SIM_NS);
}
Test(context, a_wake_between_two_edges_is_seen_at_the_second) {
    cr_assert_eq(spin_until(230 * SIM_NS + 1, 0, 0), 260 * SIM_NS);
}
Test(context, a_wake_at_an_iterations_start_is_seen_at_once) {
    cr_assert_eq(spin_until(260 * SIM_NS, 0, 0), 260 * SIM_NS);
}
Test(context, a_wake_just_after_an_iterations_start_waits_for_its_end) {
    cr_assert_eq(spin_until(260 * SIM_NS + 1, 0, 0), 300 * SIM_NS);
}
Test(context, a_wake_as_the_spin_begins_ends_it) {
    cr_assert_eq(spin_until(100 * SIM_NS, 0, 0), 100 * SIM_NS);
}
Test(context, a_wake_before_the_first_iteration_is_not_lost) {
    cr_assert_eq(spin_until(50 * SIM_NS, 0, 0), 100 * SIM_NS);
}
/* 30 cycles into an iteration the core is gone for 1000; 10 are left after that, so
 * that iterations end at 1140, 1180, ... 1300, 1340. */
Test(context, an_interrupted_spin_remembers_its_phase) {
    cr_assert_eq(spin_until(1305 * SIM_NS, 130 * SIM_NS, 1000), 1340 * SIM_NS);
}
Test(context, a_spin_woken_while_off_the_core_finishes_its_iteration) {
    cr_assert_eq(spin_until(500 * SIM_NS, 130 * SIM_NS, 1000), 1140 * SIM_NS);
}
Test(context, an_interrupt_stretches_the_last_iteration_too) {
    cr_assert_eq(spin_until(120 * SIM_NS, 130 * SIM_NS, 1000), 1140 * SIM_NS);
}
Test(context, a_spin_interrupted_between_iterations_has_nothing_left_to_do) {
    cr_assert_eq(spin_until(500 * SIM_NS, 140 * SIM_NS, 1000), 1140 * SIM_NS);
}
