/* Cores: levels, interrupts, idle states, configuration. Clock 1 GHz, so that a
 * cycle is a nanosecond, where a test does not say otherwise. */
#include <string.h>

#include "sim/config.h"
#include "tests/hw/core_fixture.h"

/* ---- a small operating system ---- */

enum { LOG_MAX = 32 };
static struct {
    uint32_t vector;
    sim_time raised, awake, called, served;
} log_entries[LOG_MAX];
static unsigned logged;

static struct context *interrupt_context;
static uint64_t interrupt_cost = 50;

static void on_interrupt(void *os, struct core *core, uint32_t vector, sim_time raised, sim_time awake) {
    (void)os;
    cr_assert_lt(logged, LOG_MAX);
    log_entries[logged].vector = vector;
    log_entries[logged].raised = raised;
    log_entries[logged].awake = awake;
    log_entries[logged++].called = sim_now();
    core_dispatch(core, CORE_INTERRUPT, interrupt_context);
}

static void interrupt_body(void *argument) {
    (void)argument;
    for (;;) {
        struct context *self = context_current();
        const unsigned entry = logged - 1;
        cpu_work_for(self, component.interrupt, NULL);
        cpu_charge(self, interrupt_cost);
        cpu_run(self);
        log_entries[entry].served = sim_now();
        cpu_block(self);
    }
}

struct job {
    uint64_t cycles;
    sim_time began, ended;
};

static void work(void *argument) {
    struct job *job = argument;
    struct context *self = context_current();
    job->began = sim_now();
    cpu_work_for(self, component.alpha, NULL);
    cpu_charge(self, job->cycles);
    cpu_run(self);
    job->ended = sim_now();
}

static void raise_7(void *core) {
    core_interrupt(core, 7);
}
static void raise_8(void *core) {
    core_interrupt(core, 8);
}
static void raise_9(void *core) {
    core_interrupt(core, 9);
}

static struct core *start(uint64_t clock_hz) {
    fixture_make(clock_hz);
    struct core *core = machine.cores[0];
    interrupt_context = context_create(core, CORE_INTERRUPT, "irq", NULL, interrupt_body, NULL);
    core_set_interrupt_handler(core, on_interrupt, NULL);
    return core;
}

Test(core, an_interrupt_stretches_a_thread_by_what_it_takes) {
    struct core *core = start(1000000000);
    struct job job = {.cycles = 1000};
    struct fixture_call call;
    core_dispatch(core, CORE_THREAD, context_create(core, CORE_THREAD, "job", NULL, work, &job));
    fixture_call_at(&call, 300 * SIM_NS, raise_7, core);
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(job.began, 0);
    cr_assert_eq(job.ended, 1050 * SIM_NS);
    cr_assert_eq(logged, 1);
    cr_assert_eq(log_entries[0].vector, 7);
    cr_assert_eq(log_entries[0].raised, 300 * SIM_NS);
    cr_assert_eq(log_entries[0].awake, 300 * SIM_NS);
    cr_assert_eq(log_entries[0].served, 350 * SIM_NS);
    const struct fixture_account account = fixture_account(core);
    cr_assert_eq(account.usage.spent[component.alpha], 1000 * SIM_NS);
    cr_assert_eq(account.usage.spent[component.interrupt], 50 * SIM_NS);
    cr_assert_eq(account.interrupts, 1);
    cr_assert_eq(account.preemptions, 1);
    cr_assert_eq(core_dispatched(core, CORE_THREAD), NULL);
    fixture_free();
}

/* Off the edges: what happens between two edges takes effect at the second. */
Test(core, transitions_lie_on_clock_edges) {
    struct core *core = start(2200000000);
    struct job job = {.cycles = 1000};
    struct fixture_call call;
    core_dispatch(core, CORE_THREAD, context_create(core, CORE_THREAD, "job", NULL, work, &job));
    fixture_call_at(&call, 100 * SIM_NS + 1, raise_7, core);
    sim_run(SIM_TIME_MAX);
    /* 100 ns is exactly edge 220; edge(n) = floor(n * 5000000 / 11) fs. */
    const sim_time edge_221 = UINT64_C(221) * 5000000 / 11;
    cr_assert_eq(log_entries[0].called, 100 * SIM_NS + 1);
    cr_assert_eq(log_entries[0].awake, edge_221);
    cr_assert_eq(log_entries[0].served, UINT64_C(271) * 5000000 / 11);
    cr_assert_eq(job.ended, UINT64_C(1050) * 5000000 / 11);
    const struct fixture_account account = fixture_account(core);
    cr_assert_eq(account.usage.spent[component.interrupt], UINT64_C(271) * 5000000 / 11 - edge_221);
    cr_assert_eq(fixture_sum(&account.usage), job.ended);
    fixture_free();
}

Test(core, vectors_wait_for_the_interrupt_level_in_order_and_once) {
    struct core *core = start(1000000000);
    struct fixture_call calls[5];
    fixture_call_at(&calls[0], 100 * SIM_NS, raise_7, core);
    fixture_call_at(&calls[1], 110 * SIM_NS, raise_9, core);
    fixture_call_at(&calls[2], 120 * SIM_NS, raise_8, core);
    fixture_call_at(&calls[3], 130 * SIM_NS, raise_9, core);
    fixture_call_at(&calls[4], 140 * SIM_NS, raise_7, core); /* 7 is in service: pending anew */
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(logged, 4);
    const uint32_t vectors[] = {7, 9, 8, 7};
    const sim_time raised[] = {100, 110, 120, 140};
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_eq(log_entries[i].vector, vectors[i]);
        cr_assert_eq(log_entries[i].raised, raised[i] * SIM_NS);
        cr_assert_eq(log_entries[i].awake, (100 + 50 * i) * SIM_NS);
        cr_assert_eq(log_entries[i].served, (150 + 50 * i) * SIM_NS);
    }
    const struct fixture_account account = fixture_account(core);
    cr_assert_eq(account.interrupts, 4);
    cr_assert_eq(account.coalesced, 1);
    cr_assert_eq(account.usage.spent[component.interrupt], 200 * SIM_NS);
    cr_assert_eq(account.usage.spent[0], 100 * SIM_NS);
    fixture_free();
}

/* The job is pushed aside once by two vectors in a row, not resumed in between. */
Test(core, a_queued_vector_goes_before_what_was_displaced) {
    struct core *core = start(1000000000);
    struct job job = {.cycles = 1000};
    struct fixture_call calls[2];
    core_dispatch(core, CORE_THREAD, context_create(core, CORE_THREAD, "job", NULL, work, &job));
    fixture_call_at(&calls[0], 100 * SIM_NS, raise_7, core);
    fixture_call_at(&calls[1], 110 * SIM_NS, raise_8, core);
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(job.ended, 1100 * SIM_NS);
    cr_assert_eq(fixture_account(core).preemptions, 1);
    fixture_free();
}

Test(core, an_idle_state_delays_the_interrupt_by_its_exit_latency) {
    struct core *core = start(1000000000);
    struct fixture_call calls[2];
    core_enter_idle(core, 0, component.gamma);
    fixture_call_at(&calls[0], 5 * SIM_US, raise_7, core);
    fixture_call_at(&calls[1], 6 * SIM_US, raise_8, core); /* still on its way out */
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(logged, 2);
    cr_assert_eq(log_entries[0].raised, 5 * SIM_US);
    cr_assert_eq(log_entries[0].awake, 7 * SIM_US);
    cr_assert_eq(log_entries[0].served, 7050 * SIM_NS);
    cr_assert_eq(log_entries[1].vector, 8);
    cr_assert_eq(log_entries[1].raised, 6 * SIM_US);
    cr_assert_eq(log_entries[1].awake, 7050 * SIM_NS);
    const struct fixture_account account = fixture_account(core);
    cr_assert_eq(account.usage.spent[0], 5 * SIM_US);
    cr_assert_eq(account.usage.spent[component.gamma], 2 * SIM_US);
    cr_assert_eq(account.idle_entries, 1);
    fixture_free();
}

struct dispatch {
    struct core *core;
    struct context *context;
};
static void dispatch_thread(void *argument) {
    const struct dispatch *dispatch = argument;
    core_dispatch(dispatch->core, CORE_THREAD, dispatch->context);
}

Test(core, a_thread_dispatched_from_afar_pays_the_exit_latency_too) {
    struct core *core = start(1000000000);
    struct job job = {.cycles = 100};
    struct dispatch dispatch = {core, context_create(core, CORE_THREAD, "job", NULL, work, &job)};
    struct fixture_call call;
    core_enter_idle(core, 1, component.gamma);
    fixture_call_at(&call, SIM_US, dispatch_thread, &dispatch);
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(job.began, 105 * SIM_US);
    cr_assert_eq(job.ended, 105100 * SIM_NS);
    fixture_free();
}

Test(core, polling_idle_costs_nothing) {
    struct core *core = start(1000000000);
    struct job job = {.cycles = 100};
    struct dispatch dispatch = {core, context_create(core, CORE_THREAD, "job", NULL, work, &job)};
    struct fixture_call call;
    core_enter_idle(core, -1, component.gamma);
    fixture_call_at(&call, SIM_US, dispatch_thread, &dispatch);
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(job.began, SIM_US);
    cr_assert_eq(fixture_account(core).idle_entries, 0);
    fixture_free();
}

static void withdraw_and_idle(void *argument) {
    struct core *core = argument;
    core_dispatch(core, CORE_THREAD, NULL);
    core_enter_idle(core, 0, component.gamma);
}

/* What woke the core is gone when it is awake: it falls asleep again, and the next
 * interrupt pays again. */
Test(core, a_core_whose_work_is_withdrawn_sleeps_on) {
    struct core *core = start(1000000000);
    struct job job = {.cycles = 100};
    struct dispatch dispatch = {core, context_create(core, CORE_THREAD, "job", NULL, work, &job)};
    struct fixture_call calls[3];
    core_enter_idle(core, 0, component.gamma);
    fixture_call_at(&calls[0], 1 * SIM_US, dispatch_thread, &dispatch);
    fixture_call_at(&calls[1], 2 * SIM_US, withdraw_and_idle, core);
    fixture_call_at(&calls[2], 10 * SIM_US, raise_7, core);
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(job.began, 0);
    cr_assert_eq(job.ended, 0);
    cr_assert_eq(log_entries[0].awake, 12 * SIM_US);
    const struct fixture_account account = fixture_account(core);
    cr_assert_eq(account.idle_entries, 2);
    cr_assert_eq(account.usage.spent[component.gamma], 4 * SIM_US);
    fixture_free();
}

static void withdraw(void *core) {
    core_dispatch(core, CORE_THREAD, NULL);
}

/* A state that was chosen before something was dispatched is void. */
Test(core, a_dispatch_voids_the_choice_of_an_idle_state) {
    struct core *core = start(1000000000);
    struct job job = {.cycles = 100};
    struct dispatch dispatch = {core, context_create(core, CORE_THREAD, "job", NULL, work, &job)};
    struct fixture_call calls[5];
    core_enter_idle(core, 0, component.gamma);
    fixture_call_at(&calls[0], 1000 * SIM_NS, dispatch_thread, &dispatch);
    fixture_call_at(&calls[1], 1200 * SIM_NS, withdraw_and_idle, core);
    fixture_call_at(&calls[2], 1400 * SIM_NS, dispatch_thread, &dispatch);
    fixture_call_at(&calls[3], 1600 * SIM_NS, withdraw, core);
    fixture_call_at(&calls[4], 5 * SIM_US, raise_7, core);
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(fixture_account(core).idle_entries, 1);
    cr_assert_eq(log_entries[0].awake, 5 * SIM_US);
    fixture_free();
}

Test(core, a_deep_state_empties_the_caches) {
    fixture_make(1000000000);
    struct error error = {0};
    struct cache_config config = {0};
    struct diagnostics found;
    diagnostics_init(&found);
    cr_assert(config_bind(NULL, cache_params, &config, &found));
    cache_free(machine.cache);
    machine.cache = cache_create(&config, FIXTURE_CORES, &machine.clock, &error);
    cr_assert_not_null(machine.cache);
    (void)cache_touch(machine.cache, 0, 0x100000, 64, false, CACHE_DEPENDENT);
    cr_assert_eq(cache_level_of(machine.cache, 0, 0x100000), 1);
    core_enter_idle(machine.cores[0], 1, component.gamma);
    cr_assert_eq(cache_level_of(machine.cache, 0, 0x100000), 3);
    diagnostics_free(&found);
    fixture_free();
}

static void send_ipi(void *core) {
    core_send_ipi(core, 7);
}
static void send_other_ipi(void *core) {
    core_send_ipi(core, 8);
}

Test(core, an_inter_processor_interrupt_takes_its_latency) {
    struct core *core = start(1000000000);
    struct fixture_call calls[2];
    fixture_call_at(&calls[0], 100 * SIM_NS, send_ipi, core);
    fixture_call_at(&calls[1], 200 * SIM_NS, send_other_ipi, core); /* both are under way at once */
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(logged, 2);
    cr_assert_eq(log_entries[0].raised, 1600 * SIM_NS);
    cr_assert_eq(log_entries[1].raised, 1700 * SIM_NS);
    cr_assert_eq(log_entries[1].vector, 8);
    fixture_free();
}

static void two_steps(void *argument) {
    struct context *self = context_current();
    sim_time *ended = argument;
    cpu_work_for(self, component.alpha, NULL);
    cpu_charge(self, 440);
    cpu_work_for(self, component.beta, NULL);
    cpu_charge(self, 1760);
    cpu_run(self);
    *ended = sim_now();
}

/* What was executed since the last booking counts, at any instant at which somebody
 * asks; so it does when the warm-up ends in the middle of a segment. */
Test(core, accounts_are_up_to_date_and_start_anew_at_any_instant) {
    struct core *core = start(2200000000);
    sim_time ended = 0;
    struct fixture_call call;
    core_dispatch(core, CORE_THREAD, context_create(core, CORE_THREAD, "job", NULL, two_steps, &ended));
    fixture_call_at(&call, 700 * SIM_NS, raise_7, core);
    sim_run(250 * SIM_NS + 5);
    const struct fixture_account early = fixture_account(core);
    cr_assert_eq(early.usage.spent[component.alpha], 200 * SIM_NS);
    cr_assert_eq(early.usage.spent[component.beta], 50 * SIM_NS + 5);
    sim_run(300 * SIM_NS + 1);
    core_reset_usage(core);
    sim_run(600 * SIM_NS + 3);
    const struct fixture_account account = fixture_account(core);
    cr_assert_eq(account.usage.spent[component.alpha], 0);
    cr_assert_eq(account.usage.spent[component.beta], 300 * SIM_NS + 2);
    cr_assert_eq(fixture_sum(&account.usage), usage_elapsed(&account.usage));
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(ended, (UINT64_C(2200) + 50) * 5000000 / 11);
    const struct fixture_account later = fixture_account(core);
    cr_assert_eq(later.usage.spent[component.beta] + later.usage.spent[component.interrupt], ended - 300 * SIM_NS - 1);
    cr_assert_eq(later.interrupts, 1);
    core_reset_usage(core);
    cr_assert_eq(fixture_account(core).interrupts, 0);
    fixture_free();
}

/* ---- configuration ---- */

static struct config *tree;
static struct diagnostics diagnostics;

static bool bind(const char *text, struct core_config *config) {
    diagnostics_init(&diagnostics);
    tree = text == NULL ? NULL : config_parse("core.yaml", text, &diagnostics);
    return core_config_bind(tree == NULL ? NULL : config_root(tree), config, &diagnostics);
}

static void release(void) {
    config_free(tree);
    diagnostics_free(&diagnostics);
}

Test(core, defaults_are_those_of_the_reference_machine) {
    struct core_config config;
    cr_assert(bind(NULL, &config));
    cr_assert_eq(config.count, 6);
    cr_assert_eq(config.clock_hz, 2200000000);
    cr_assert_eq(config.interrupt_cycles, 900);
    cr_assert_eq(config.inter_processor_latency, 1500 * SIM_NS);
    cr_assert_str_eq(config.idle[2].name, "C3");
    cr_assert_eq(config.idle[2].exit_latency, 80 * SIM_US);
    cr_assert(config.idle[3].flushes_caches);
    release();
}

Test(core, idle_states_are_a_list) {
    struct core_config config;
    cr_assert(bind("count: 2\nclock: 25 MHz\nidle:\n"
                   "  - {name: C1, exit_latency: 1 us, target_residency: 1 us}\n"
                   "  - {name: C6, exit_latency: 50 us, target_residency: 200 us, flushes_caches: true}\n",
                   &config));
    cr_assert_eq(config.count, 2);
    cr_assert_str_eq(config.idle[1].name, "C6");
    cr_assert(config.idle[1].flushes_caches);
    cr_assert_null(config.idle[2].name);
    release();
    cr_assert(bind("idle: []\n", &config));
    cr_assert_null(config.idle[0].name);
    release();
}

Test(core, bad_idle_states_are_all_reported) {
    struct core_config config;
    cr_assert_not(bind("cuont: 2\nidle:\n"
                       "  - {name: C6, exit_latency: 1 us, target_residency: 9 us}\n"
                       "  - {name: C1, exit_latency: 50 us, target_residency: 2 us}\n"
                       "  - {name: C2, exit_latency: 50}\n",
                       &config));
    cr_assert_eq(diagnostics.errors, 4);
    release();
    cr_assert_not(bind("idle: C1\n", &config));
    cr_assert_eq(diagnostics.errors, 1);
    cr_assert_eq(diagnostics.items[0].line, 1);
    release();
}
