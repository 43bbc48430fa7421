/* r3000_fixture.h: an R3000 with a program of the test's, and vectors that count. */
#ifndef STILLSUIT_TESTS_HW_R3000_FIXTURE_H
#define STILLSUIT_TESTS_HW_R3000_FIXTURE_H

#include <stdio.h>

#include "hw/r3000/r3000.h"
#include "tests/hw/pcie_fixture.h"

enum { FIXTURE_EXCEPTION_CYCLES = 3, FIXTURE_WRITE_CYCLES = 5, FIXTURE_PAGE = 0x1000 };

static struct machine *r3000_machine;
static struct r3000 *cpu;
static ledger_component r3000_component;
static struct context *r3000_main;

/* What the vectors saw, and what they answer. */
static struct {
    unsigned refills, generals, interrupts;
    enum r3000_code code;
    uint32_t bad_address;
    bool was_user;
    enum r3000_resume answer;
    void (*repair)(void); /* in the handler; NULL: nothing */
} seen;

static inline enum r3000_resume r3000_fixture_handle(void) {
    seen.code = r3000_cause_code(cpu);
    seen.bad_address = cpu->bad_address;
    seen.was_user = r3000_is_user(cpu);
    if (seen.repair != NULL) {
        seen.repair();
    }
    r3000_rfe(cpu);
    return seen.answer;
}
static inline enum r3000_resume r3000_fixture_refill(void *os, struct r3000 *from) {
    (void)os, (void)from;
    seen.refills++;
    return r3000_fixture_handle();
}
static inline enum r3000_resume r3000_fixture_general(void *os, struct r3000 *from) {
    (void)os, (void)from;
    seen.generals++;
    return r3000_fixture_handle();
}

/* Runs `body` in user mode to its end, on a processor with those keys beside. */
static inline void r3000_fixture_run_with(void (*body)(void *argument), const char *keys) {
    char text[512];
    (void)snprintf(text, sizeof text,
                   "memory: {size: 16 MiB}\n"
                   "core: {count: 1, clock: 25 MHz}\n"
                   "cache: {model: flat, flat_cycles: 0 cycles}\n"
                   "iommu: {mode: off}\n"
                   "r3000: {exception_cycles: 3 cycles, write_cycles: 5 cycles, write_buffer_entries: 4,"
                   " uncached_cycles: 15 cycles%s}\n",
                   keys);
    r3000_machine = make_machine(text);
    cpu = r3000_machine->r3000[0];
    r3000_component = ledger_declare(&(struct ledger_declaration){"user", "cpu", NULL, NULL});
    const struct r3000_vectors vectors = {.refill = r3000_fixture_refill, .general = r3000_fixture_general};
    r3000_boot(cpu, &vectors);
    seen.answer = R3000_SKIP;
    r3000_main = context_create(r3000_machine->cores[0], CORE_THREAD, "main", NULL, body, NULL);
    r3000_leave_to(cpu, r3000_main);
    sim_run(SIM_TIME_MAX);
}

static inline void r3000_fixture_enter(void) {
    cpu_work_for(r3000_main, r3000_component, NULL);
}

static inline void r3000_fixture_run(void (*body)(void *argument)) {
    r3000_fixture_run_with(body, "");
}

/* Kernel mode for the test's own sake: writes a TLB entry at an index. */
static inline void r3000_fixture_map(uint32_t index, uint32_t page, unsigned asid, uint32_t lo) {
    const uint32_t hi = cpu->entry_hi;
    cpu->index = index << R3000_INDEX_SHIFT;
    cpu->entry_hi = r3000_hi(page, asid);
    cpu->entry_lo = lo;
    r3000_tlbwi(cpu);
    cpu->entry_hi = hi;
}

/* Cycles since `from`, once all that was charged is executed. */
static inline uint64_t r3000_fixture_cycles(sim_time from) {
    cpu_run(r3000_main);
    return sim_clock_cycles(core_clock(r3000_machine->cores[0]), sim_now() - from);
}
static inline sim_time r3000_fixture_now(void) {
    cpu_run(r3000_main);
    return sim_now();
}

#endif
