/* core_fixture.h: a machine of bare cores for the tests of core and context. */
#ifndef STILLSUIT_TESTS_HW_CORE_FIXTURE_H
#define STILLSUIT_TESTS_HW_CORE_FIXTURE_H

#include <criterion/criterion.h>
#include <stdlib.h>

#include "hw/machine.h"

enum { FIXTURE_CORES = 3, FIXTURE_FLAT_CYCLES = 7, FIXTURE_MMIO_WRITE_CYCLES = 100 };

/* Components as an operating system would declare them. */
struct fixture_components {
    ledger_component alpha, beta, gamma, interrupt, outside;
};
static struct fixture_components component;

static const struct ledger_declaration fixture_declarations[] = {
    {"alpha", "cpu", NULL, NULL},     {"beta", "cpu", NULL, NULL},          {"gamma", "cpu", NULL, NULL},
    {"interrupt", "cpu", NULL, NULL}, {"client", NULL, NULL, "client cpu"}, {0},
};

static struct machine machine;

static inline struct core_config fixture_core_config(uint64_t clock_hz) {
    return (struct core_config){
        .count = FIXTURE_CORES,
        .clock_hz = clock_hz,
        .interrupt_cycles = 900,
        .inter_processor_latency = 1500 * SIM_NS,
        .copy_bytes_per_cycle = 16,
        .idle = {{"C1", 2 * SIM_US, 2 * SIM_US, false}, {"C6", 104 * SIM_US, 345 * SIM_US, true}},
    };
}

/* Cores of a clock; each line touched costs FIXTURE_FLAT_CYCLES. */
static inline void fixture_make(uint64_t clock_hz) {
    struct error error = {0};
    pcie_declare_components();
    core_declare_components();
    ledger_component indices[5];
    ledger_declare_all(fixture_declarations, indices);
    component = (struct fixture_components){indices[0], indices[1], indices[2], indices[3], indices[4]};
    machine.clock = sim_clock_make(clock_hz);
    machine.memory = memory_create(UINT64_C(64) << 20);
    const struct cache_config cache = {.model = 1, .flat_cycles = FIXTURE_FLAT_CYCLES, .line_fill_buffers = 10};
    machine.cache = cache_create(&cache, FIXTURE_CORES, &machine.clock, &error);
    cr_assert_not_null(machine.cache, "%s", error.text);
    const struct pcie_root_config pcie = {.read_latency = 400 * SIM_NS,
                                          .write_latency = 300 * SIM_NS,
                                          .mmio_write_latency = 300 * SIM_NS,
                                          .mmio_read_latency = 700 * SIM_NS,
                                          .mmio_write_cycles = FIXTURE_MMIO_WRITE_CYCLES,
                                          .msi_latency = 300 * SIM_NS,
                                          .device_window_base = UINT64_C(1) << 38};
    machine.pcie = pcie_root_create(&machine, &pcie, &error);
    cr_assert_not_null(machine.pcie, "%s", error.text);
    const struct core_config config = fixture_core_config(clock_hz);
    machine.core_count = FIXTURE_CORES;
    machine.cores = calloc(FIXTURE_CORES, sizeof(struct core *));
    for (unsigned i = 0; i < FIXTURE_CORES; i++) {
        machine.cores[i] = core_create(&machine, i, &config);
    }
}

static inline void fixture_free(void) {
    for (unsigned i = 0; i < FIXTURE_CORES; i++) {
        core_free(machine.cores[i]);
    }
    free(machine.cores);
    pcie_root_free(machine.pcie);
    cache_free(machine.cache);
    memory_free(machine.memory);
}

/* A core's account, closed at the present instant. */
struct fixture_account {
    struct usage usage;
    uint64_t interrupts, coalesced, preemptions, idle_entries, spins, page_faults;
};

static inline void fixture_take_usage(void *context, const char *resource, const struct usage *usage) {
    struct fixture_account *account = context;
    (void)resource;
    account->usage = *usage;
    usage_close(&account->usage, sim_now());
}

static inline void fixture_take_counter(void *context, const char *instance, const char *counter, uint64_t value) {
    struct fixture_account *account = context;
    (void)instance;
    const struct {
        const char *name;
        uint64_t *place;
    } places[] = {{"interrupts", &account->interrupts},
                  {"interrupts_coalesced", &account->coalesced},
                  {"preemptions", &account->preemptions},
                  {"idle_entries", &account->idle_entries},
                  {"spins", &account->spins},
                  {"page_faults", &account->page_faults}};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (strcmp(places[i].name, counter) == 0) {
            *places[i].place = value;
            return;
        }
    }
    cr_assert_fail("an unknown counter %s", counter);
}

static inline struct fixture_account fixture_account(const struct core *core) {
    struct fixture_account account = {0};
    const struct stats_sink sink = {&account, fixture_take_counter, fixture_take_usage};
    core_visit_stats(core, &sink);
    return account;
}

static inline sim_time fixture_sum(const struct usage *usage) {
    sim_time sum = 0;
    for (size_t i = 0; i < LEDGER_COMPONENTS_MAX; i++) {
        sum += usage->spent[i];
    }
    return sum;
}

/* A call at an instant. */
struct fixture_call {
    struct sim_event event;
    void (*function)(void *argument);
    void *argument;
};
static inline void fixture_call_at(struct fixture_call *call, sim_time when, void (*function)(void *), void *argument) {
    sim_event_init(&call->event, SIM_PRIORITY_HARDWARE, function, argument);
    sim_schedule_at(&call->event, when);
}

#endif
