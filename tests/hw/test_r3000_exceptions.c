/* test_r3000_exceptions.c: exceptions, interrupts and what instructions take. */
#include "tests/hw/r3000_fixture.h"

enum { PAGE_A = 0x00010000, FRAME_A = 0x00300000 };

static void kinds(void *argument) {
    (void)argument;
    uint32_t value = 0;
    int32_t sum = 0;
    r3000_fixture_enter();
    cr_expect_not(r3000_load(cpu, PAGE_A + 2, 4, &value));
    cr_expect(seen.code == R3000_ADEL && seen.bad_address == PAGE_A + 2, "unaligned before unmapped");
    cr_expect_not(r3000_store(cpu, PAGE_A + 1, 2, 0));
    cr_expect_eq(seen.code, R3000_ADES);
    cr_expect_not(r3000_add(cpu, INT32_MIN, -1, &sum));
    cr_expect_eq(seen.code, R3000_OV);
    cr_expect(r3000_add(cpu, INT32_MAX, -1, &sum) && sum == INT32_MAX - 1);
    cr_expect_not(r3000_coprocessor(cpu, 1));
    cr_expect_eq(seen.code, R3000_CPU);
    cr_expect_eq((cpu->cause & R3000_CAUSE_COPROCESSOR) >> R3000_CAUSE_COPROCESSOR_SHIFT, 1);
    cpu->status |= R3000_STATUS_COPROCESSOR(1);
    cr_expect(r3000_coprocessor(cpu, 1), "usable now");
    cr_expect_eq(seen.generals, 4);
    cr_expect_eq(cpu->counters.exceptions[R3000_OV], 1);
}
Test(r3000_exceptions, each_has_its_cause) {
    r3000_fixture_run(kinds);
}

static void system_call(void *argument) {
    (void)argument;
    r3000_fixture_enter();
    const uint32_t before = cpu->status;
    r3000_enter(cpu, R3000_SYS);
    cr_expect_not(r3000_is_user(cpu));
    cr_expect_eq(cpu->status & R3000_STATUS_IE_CURRENT, 0, "interrupts are off in the kernel");
    cr_expect_eq(r3000_cause_code(cpu), R3000_SYS);
    r3000_rfe(cpu);
    cr_expect_eq(cpu->status & 0xf, before & 0xf);
}
Test(r3000_exceptions, status_is_a_stack) {
    r3000_fixture_run(system_call);
}

/* ---- time ---- */

static void instruction_costs(void *argument) {
    (void)argument;
    uint32_t value = 0;
    r3000_fixture_enter();
    r3000_fixture_map(9, PAGE_A, 0, FRAME_A | R3000_LO_VALID | R3000_LO_DIRTY);
    sim_time from = r3000_fixture_now();
    r3000_execute(cpu, 17);
    cr_expect_eq(r3000_fixture_cycles(from), 17, "an instruction a cycle");
    from = r3000_fixture_now();
    (void)r3000_load(cpu, PAGE_A, 4, &value);
    cr_expect_eq(r3000_fixture_cycles(from), 1, "loads hit");
    from = r3000_fixture_now();
    (void)r3000_kernel_load(cpu, R3000_KSEG1 | FRAME_A);
    cr_expect_eq(r3000_fixture_cycles(from), 1 + 15, "uncached");
    from = r3000_fixture_now();
    (void)r3000_load(cpu, PAGE_A + 1, 4, &value);
    cr_expect_eq(r3000_fixture_cycles(from), 1 + FIXTURE_EXCEPTION_CYCLES + 1, "the load, what it annulled, rfe");
    cr_expect_eq(cpu->counters.instructions, 1 + 17 + 1 + 1 + 1 + 1, "tlbwi, and the above");
}
Test(r3000_exceptions, time_is_instructions_and_stalls) {
    r3000_fixture_run(instruction_costs);
}

static void write_buffer(void *argument) {
    (void)argument;
    r3000_fixture_enter();
    r3000_fixture_map(9, PAGE_A, 0, FRAME_A | R3000_LO_VALID | R3000_LO_DIRTY);
    r3000_execute(cpu, 100);
    sim_time from = r3000_fixture_now();
    for (uint32_t i = 0; i < 4; i++) {
        (void)r3000_store(cpu, PAGE_A + 4 * i, 4, i);
    }
    cr_expect_eq(r3000_fixture_cycles(from), 4, "four fit the buffer");
    /* The first is in memory 5 cycles after cycle 1, when the fifth is due at cycle 5. */
    from = r3000_fixture_now();
    (void)r3000_store(cpu, PAGE_A + 16, 4, 4);
    cr_expect_eq(r3000_fixture_cycles(from), 1 + 1);
    from = r3000_fixture_now();
    for (uint32_t i = 0; i < 20; i++) {
        (void)r3000_store(cpu, PAGE_A + 4 * i, 4, i);
    }
    cr_expect_eq(r3000_fixture_cycles(from), 20 * FIXTURE_WRITE_CYCLES, "then memory sets the pace");
}
Test(r3000_exceptions, stores_wait_for_a_full_write_buffer) {
    r3000_fixture_run(write_buffer);
}

/* ---- interrupts ---- */

static struct context *interrupt_context;
static uint64_t interrupt_at_cycle, interrupts_run;

static void interrupt_body(void *argument) {
    (void)argument;
    for (;;) {
        cpu_work_for(interrupt_context, r3000_component, NULL);
        interrupt_at_cycle = sim_clock_cycles(core_clock(r3000_machine->cores[0]), sim_now());
        interrupts_run++;
        r3000_interrupt_begin(cpu, interrupt_context);
        r3000_acknowledge(cpu, R3000_TIMER_LINE);
        r3000_execute(cpu, 10);
        r3000_interrupt_return(cpu, interrupt_context);
    }
}
static void on_interrupt(void *os, struct r3000 *from) {
    (void)os;
    core_dispatch(from->core, CORE_INTERRUPT, interrupt_context);
}

static void user_body(void *argument) {
    (void)argument;
    const struct r3000_vectors vectors = {
        .refill = r3000_fixture_refill, .general = r3000_fixture_general, .interrupt = on_interrupt};
    cpu->vectors = vectors;
    interrupt_context = context_create(r3000_machine->cores[0], CORE_INTERRUPT, "isr", NULL, interrupt_body, NULL);
    r3000_fixture_enter();
    r3000_timer_start(cpu, 4 * SIM_US); /* 100 cycles */
    sim_time from = r3000_fixture_now();
    r3000_execute(cpu, 150);
    cr_expect_eq(r3000_fixture_cycles(from), 150 + FIXTURE_EXCEPTION_CYCLES + 10 + 1);
    cr_expect_eq(interrupt_at_cycle, 100, "in the middle of user code");
    r3000_enter(cpu, R3000_SYS); /* cycle 164 on: the kernel, past the tick at 200 */
    r3000_execute(cpu, 60);
    cpu_run(r3000_main);
    cr_expect_eq(interrupts_run, 1, "the kernel is not interrupted");
    r3000_rfe(cpu);
    cr_expect_eq(interrupts_run, 2);
    cr_expect_eq(interrupt_at_cycle, 164 + FIXTURE_EXCEPTION_CYCLES + 60 + 1, "but user code is, at once");
    r3000_timer_start(cpu, 0);
}
Test(r3000_exceptions, interrupts_wait_while_the_kernel_runs) {
    r3000_fixture_run(user_body);
}
