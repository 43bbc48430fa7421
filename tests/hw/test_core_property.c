/* Properties that hold whatever happens on the cores: random work on threads that
 * take turns, in softirqs and interrupts, with idle states in between. What the
 * cores executed is counted apart, as it is charged. */
#include "sim/random.h"
#include "tests/hw/core_fixture.h"

enum { THREADS_PER_CORE = 2, REQUESTS = 200, VECTORS = 5 };

static struct ledger *ledger;
static struct random_stream *stream;
static uint64_t charged[FIXTURE_CORES][LEDGER_COMPONENTS_MAX]; /* cycles */
static unsigned ended, threads_left;
static bool asleep[FIXTURE_CORES];

static struct {
    struct context *threads[THREADS_PER_CORE], *softirq, *interrupt;
    unsigned turn;
} cores[FIXTURE_CORES];

static ledger_component random_component(void) {
    const ledger_component components[] = {component.alpha, component.beta, component.gamma};
    return components[random_below(stream, 3)];
}

static void charge(struct context *self, ledger_component to, uint64_t cycles) {
    charged[core_index(context_core(self))][to] += cycles;
    cpu_charge(self, cycles);
}

/* A request that is worked on in several runs, lies ready in between, and knows in
 * its tag how many cycles were spent on it. */
static void one_request(struct context *self) {
    struct request *request = ledger_begin(ledger, component.outside, LEDGER_WAITING, sim_now());
    const uint64_t runs = 1 + random_below(stream, 3);
    ledger_component last = 0;
    for (uint64_t run = 0; run < runs; run++) {
        const uint64_t steps = 1 + random_below(stream, 4);
        for (uint64_t step = 0; step < steps; step++) {
            const uint64_t cycles = random_below(stream, 400);
            last = random_component();
            cpu_work_for(self, last, request);
            charge(self, last, cycles);
            request->tag += cycles;
        }
        if (random_below(stream, 2) == 0) {
            cpu_pass_on(self, ledger_find("ready"), LEDGER_WAITING);
            cpu_work_for(self, component.gamma, NULL);
            charge(self, component.gamma, random_below(stream, 100));
        }
        cpu_run(self);
    }
    if (request->owner != last) {
        cpu_work_for(self, component.alpha, request);
        cpu_run(self);
        last = component.alpha;
    }
    ledger_end(request, last, sim_now());
    cpu_work_for(self, component.beta, NULL);
}

static void thread_body(void *argument) {
    struct context **place = argument;
    for (unsigned i = 0; i < REQUESTS; i++) {
        one_request(context_current());
    }
    *place = NULL; /* not to be dispatched again */
    threads_left--;
}

static void softirq_body(void *argument) {
    struct context *self = context_current();
    (void)argument;
    for (;;) {
        one_request(self);
        cpu_block(self);
    }
}

static void interrupt_body(void *argument) {
    struct context *self = context_current();
    (void)argument;
    for (;;) {
        cpu_work_for(self, component.interrupt, NULL);
        charge(self, component.interrupt, random_below(stream, 200));
        cpu_run(self);
        if (random_below(stream, 3) == 0) {
            core_dispatch(context_core(self), CORE_SOFTIRQ, cores[core_index(context_core(self))].softirq);
        }
        cpu_block(self);
    }
}

static void on_interrupt(void *os, struct core *core, uint32_t vector, sim_time raised, sim_time awake) {
    (void)os, (void)vector;
    cr_assert(raised <= sim_now() && sim_now() <= awake);
    asleep[core_index(core)] = false;
    core_dispatch(core, CORE_INTERRUPT, cores[core_index(core)].interrupt);
}

/* What a request waited and what it was served, against what was charged for it. A
 * cycle of 2.2 GHz is rounded at each end of an interval, hence the tolerance. */
static bool cycles_are_exact;
static void observe(void *context, const struct request *request) {
    (void)context;
    sim_time total = 0, service = 0;
    for (unsigned i = 0; i < request->touched_count; i++) {
        const sim_time *spent = request->spent[request->touched[i]];
        total += spent[LEDGER_WAITING] + spent[LEDGER_SERVICE];
        service += spent[LEDGER_SERVICE];
    }
    ended++;
    cr_assert_eq(total, sim_now() - request->born);
    const sim_time expected = sim_clock_time(&machine.clock, request->tag);
    const sim_time difference = service > expected ? service - expected : expected - service;
    cr_assert_leq(difference, cycles_are_exact ? 0 : 100, "served %llu fs of %llu", (unsigned long long)service,
                  (unsigned long long)expected);
}

/* ---- what disturbs them ---- */

static struct fixture_call ticks[FIXTURE_CORES], raises;
static const unsigned indices[FIXTURE_CORES] = {0, 1, 2};

static void again(struct fixture_call *call, uint64_t mean_cycles, void (*function)(void *), void *argument) {
    if (threads_left > 0) {
        const sim_time mean = sim_clock_time(&machine.clock, mean_cycles);
        fixture_call_at(call, sim_now() + random_exponential(stream, mean) + 1, function, argument);
    }
}

/* Gives the core to another thread, or to none, and lets it sleep then. */
static void tick(void *argument) {
    const unsigned index = *(const unsigned *)argument;
    struct core *core = machine.cores[index];
    cores[index].turn = (cores[index].turn + 1) % THREADS_PER_CORE;
    struct context *next = cores[index].threads[cores[index].turn];
    if (random_below(stream, 4) == 0) {
        next = NULL;
    }
    core_dispatch(core, CORE_THREAD, next);
    if (next != NULL) {
        asleep[index] = false;
    } else if (core_is_idle(core) && !asleep[index]) {
        const int state = (int)random_below(stream, 2) - 1;
        asleep[index] = state >= 0;
        core_enter_idle(core, state, component.outside);
    }
    again(&ticks[index], 2000, tick, argument);
}

static void raise_somewhere(void *argument) {
    (void)argument;
    core_interrupt(machine.cores[random_below(stream, FIXTURE_CORES)], (uint32_t)random_below(stream, VECTORS));
    if (random_below(stream, 4) == 0) {
        core_send_ipi(machine.cores[random_below(stream, FIXTURE_CORES)], VECTORS);
    }
    again(&raises, 300, raise_somewhere, NULL);
}

static void run_at(uint64_t clock_hz, uint64_t seed) {
    fixture_make(clock_hz);
    random_seed(seed);
    stream = random_stream_create("property");
    ledger = ledger_create("test");
    ledger_record(ledger, true);
    ledger_observe(ledger, observe, NULL);
    cycles_are_exact = SIM_S % clock_hz == 0;
    for (unsigned i = 0; i < FIXTURE_CORES; i++) {
        struct core *core = machine.cores[i];
        for (unsigned j = 0; j < THREADS_PER_CORE; j++) {
            cores[i].threads[j] = context_create(core, CORE_THREAD, "t", NULL, thread_body, &cores[i].threads[j]);
            threads_left++;
        }
        cores[i].softirq = context_create(core, CORE_SOFTIRQ, "softirq", NULL, softirq_body, NULL);
        cores[i].interrupt = context_create(core, CORE_INTERRUPT, "irq", NULL, interrupt_body, NULL);
        core_set_interrupt_handler(core, on_interrupt, NULL);
        again(&ticks[i], 1000, tick, (void *)(uintptr_t)&indices[i]);
    }
    again(&raises, 1000, raise_somewhere, NULL);
    /* In many short runs, so that accounts are asked for at any instant. */
    const sim_time step = sim_clock_time(&machine.clock, 777) + 13;
    for (unsigned i = 1; i <= 300; i++) {
        sim_run(i * step);
        for (unsigned j = 0; j < FIXTURE_CORES; j++) {
            const struct fixture_account account = fixture_account(machine.cores[j]);
            cr_assert_eq(fixture_sum(&account.usage), usage_elapsed(&account.usage));
        }
    }
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(threads_left, 0);
}

static void check_and_free(void) {
    uint64_t preemptions = 0;
    uint64_t interrupts_seen = 0;
    uint64_t idle_entries = 0;
    for (unsigned i = 0; i < FIXTURE_CORES; i++) {
        const struct fixture_account account = fixture_account(machine.cores[i]);
        cr_assert_eq(fixture_sum(&account.usage), sim_now(), "busy and idle are all there is");
        for (ledger_component c = 1; c <= ledger_component_count(); c++) {
            if (c == component.outside) {
                continue; /* the exits from idle states */
            }
            const sim_time expected = sim_clock_time(&machine.clock, charged[i][c]);
            const sim_time spent = account.usage.spent[c];
            cr_assert_leq(spent > expected ? spent - expected : expected - spent, cycles_are_exact ? 0 : 10000,
                          "core %u executed for %s what was charged", i, ledger_component_name(c));
        }
        preemptions += account.preemptions;
        interrupts_seen += account.interrupts;
        idle_entries += account.idle_entries;
    }
    cr_assert_eq(ledger_audit(ledger, sim_now()), 0);
    cr_assert_eq(ledger_completed(ledger), ended);
    cr_assert_geq(ended, REQUESTS * THREADS_PER_CORE * FIXTURE_CORES);
    cr_assert_gt(preemptions, 500, "the cores were hardly disturbed");
    cr_assert_gt(interrupts_seen, 500);
    cr_assert_gt(idle_entries, 10);
    ledger_free(ledger);
    random_stream_free(stream);
    fixture_free();
}

Test(core_property, cycles_are_conserved_and_everything_adds_up) {
    run_at(1000000000, 1);
    check_and_free();
}
Test(core_property, everything_adds_up_when_no_edge_is_a_whole_number) {
    run_at(2200000000, 2);
    check_and_free();
}
Test(core_property, a_slow_clock_adds_up_too) {
    run_at(16670000, 3);
    check_and_free();
}
