/* test_x86_exceptions.c: vectors, frames, system calls, interrupts and what they take. */
#include "tests/hw/x86_fixture.h"

static uint64_t frame_word(uint64_t offset) {
    return memory_read64(x86_machine->memory, FIXTURE_STACK - X86_FRAME_BYTES + offset);
}

/* ---- each instruction's exception ---- */

static void kinds(void *argument) {
    (void)argument;
    uint64_t value = 0;
    int32_t result = 0;
    x86_fixture_enter();
    x86_fixture_map(PAGE_A, FRAME_A, true);
    cr_expect_not(x86_divide(cpu, 1, 0, &result));
    cr_expect_eq(seen.vector, X86_DE);
    cr_expect_not(x86_divide(cpu, INT64_C(1) << 40, 2, &result), "the quotient does not fit");
    cr_expect(x86_divide(cpu, -7, 2, &result) && result == -3);
    cr_expect_not(x86_add(cpu, INT32_MIN, -1, &result));
    cr_expect_eq(seen.vector, X86_OF);
    cr_expect(x86_add(cpu, INT32_MAX, -1, &result) && result == INT32_MAX - 1);
    cpu->cr0 |= X86_CR0_TS;
    cr_expect_not(x86_float(cpu));
    cr_expect_eq(seen.vector, X86_NM);
    cpu->cr0 &= ~X86_CR0_TS;
    cr_expect(x86_float(cpu), "usable now");
    cr_expect_not(x86_privileged(cpu));
    cr_expect(seen.vector == X86_GP && seen.error_code == 0);
    cr_expect_not(x86_load(cpu, UINT64_C(1) << 47, 8, &value), "not canonical");
    cr_expect_eq(seen.vector, X86_GP);
    cr_expect(x86_load(cpu, PAGE_A + 1, 4, &value), "unaligned accesses are allowed,");
    x86_set_flags(cpu, X86_RFLAGS_AC);
    cr_expect_not(x86_load(cpu, PAGE_A + 1, 4, &value), "until the program asks for the check");
    cr_expect(seen.vector == X86_AC && seen.error_code == 0);
    cr_expect_neq(cpu->rflags & X86_RFLAGS_AC, 0, "IRET has brought it back");
    cr_expect_eq(cpu->counters.exceptions[X86_GP], 2);
    cr_expect_eq(seen.exceptions, 7);
    cr_expect_not(seen.was_user);
}
Test(x86_exceptions, each_has_its_vector) {
    x86_fixture_run(kinds);
}

static void software(void *argument) {
    (void)argument;
    x86_fixture_enter();
    x86_int(cpu, X86_OF);
    cr_expect_eq(seen.vector, X86_OF, "its gate is open to programs");
    x86_int(cpu, X86_PF);
    cr_expect_eq(seen.vector, X86_GP, "a page fault cannot be feigned");
    cr_expect_eq(seen.error_code, X86_PF << X86_ERROR_SELECTOR_SHIFT | X86_ERROR_IDT);
}
Test(x86_exceptions, a_gate_says_who_may_use_it) {
    x86_fixture_run(software);
}

static void page_faults(void *argument) {
    (void)argument;
    uint64_t value = 0;
    x86_fixture_enter();
    x86_fixture_map(PAGE_A, FRAME_A, false);
    cr_expect_not(x86_load(cpu, PAGE_B + 5, 1, &value));
    cr_expect(seen.vector == X86_PF && seen.cr2 == PAGE_B + 5);
    cr_expect_eq(seen.error_code, X86_PF_US);
    cr_expect_not(x86_store(cpu, PAGE_B, 8, 1));
    cr_expect_eq(seen.error_code, X86_PF_US | X86_PF_WR);
    cr_expect(x86_load(cpu, PAGE_A, 8, &value));
    cr_expect_not(x86_store(cpu, PAGE_A + 8, 8, 1));
    cr_expect_eq(seen.error_code, X86_PF_US | X86_PF_WR | X86_PF_P, "there, but not for stores");
    cr_expect_not(x86_load(cpu, X86_DIRECT_MAP + FRAME_A, 8, &value), "the kernel's map of memory");
    cr_expect_eq(seen.error_code, X86_PF_US | X86_PF_P);
    cr_expect_not(x86_load(cpu, UINT64_C(0xffffffffffff0000), 8, &value));
    cr_expect_eq(seen.error_code, X86_PF_US);
    /* Over a page's end: the second page's fault names the second page. */
    cr_expect_not(x86_load(cpu, PAGE_A + 4092, 8, &value));
    cr_expect_eq(seen.cr2, PAGE_B);
}
Test(x86_exceptions, a_page_fault_says_what_was_tried_and_why_not) {
    x86_fixture_run(page_faults);
}

/* ---- the frame ---- */

static void look_at_frame(void) {
    cr_expect_eq(x86_frame(cpu), X86_DIRECT_MAP + FIXTURE_STACK - X86_FRAME_BYTES);
    cr_expect_eq(frame_word(X86_FRAME_RIP), 0x401234);
    cr_expect_eq(frame_word(X86_FRAME_CS), X86_USER_CS);
    cr_expect_eq(frame_word(X86_FRAME_RFLAGS), X86_RFLAGS_ONE | X86_RFLAGS_IF | X86_RFLAGS_AC);
    cr_expect_eq(frame_word(X86_FRAME_RSP), 0x7ffe0018, "as it was, though frames are aligned");
    cr_expect_eq(frame_word(X86_FRAME_SS), X86_USER_SS);
    cr_expect_eq(frame_word(0) == 0x401234 && memory_read64(x86_machine->memory, FIXTURE_STACK - 48) == X86_PF_US, 1,
                 "the error code below");
    cr_expect_eq(cpu->rflags & (X86_RFLAGS_IF | X86_RFLAGS_AC), 0);
    x86_kernel_store(cpu, x86_frame(cpu) + X86_FRAME_RIP, 8, 0x405678); /* to the program's handler */
}
static void frames(void *argument) {
    (void)argument;
    uint64_t value = 0;
    x86_fixture_enter();
    cpu->rip = 0x401234;
    cpu->registers[X86_RSP] = 0x7ffe0018;
    x86_set_flags(cpu, X86_RFLAGS_AC | X86_RFLAGS_IF); /* IF is not its to set */
    seen.repair = look_at_frame;
    cr_expect_not(x86_load(cpu, PAGE_B, 8, &value));
    cr_expect_eq(cpu->rip, 0x405678, "what the kernel wrote there is what IRET loads");
    cr_expect_eq(cpu->registers[X86_RSP], 0x7ffe0018);
    cr_expect(x86_is_user(cpu));
}
Test(x86_exceptions, the_frame_lies_on_the_kernels_stack) {
    x86_fixture_run(frames);
}

Test(x86_exceptions, the_idt_is_bytes) {
    x86_fixture_make("");
    const uint64_t low = memory_read64(x86_machine->memory, FIXTURE_IDT + 16 * X86_PF);
    const uint64_t high = memory_read64(x86_machine->memory, FIXTURE_IDT + 16 * X86_PF + 8);
    cr_expect_eq(high << 32 | (low >> 48 & 0xffff) << 16 | (low & 0xffff), UINT64_C(0xffffffff81000000) + 16 * X86_PF);
    cr_expect_eq(low >> 16 & 0xffff, X86_KERNEL_CS);
    cr_expect_eq(low >> 40 & 0xff, 0x8e, "present, privilege 0, interrupt gate");
    cr_expect_eq(memory_read64(x86_machine->memory, FIXTURE_IDT + 16 * X86_OF) >> 40 & 0xff, 0xee);
    cr_expect_eq(memory_read64(x86_machine->memory, FIXTURE_IDT + 16 * 0x40), 0, "and none beyond the lines");
    const uint64_t rsp0 = memory_read32(x86_machine->memory, FIXTURE_TSS + 4) |
                          (uint64_t)memory_read32(x86_machine->memory, FIXTURE_TSS + 8) << 32;
    cr_expect_eq(rsp0, X86_DIRECT_MAP + FIXTURE_STACK);
}

/* ---- time ---- */

static void times(void *argument) {
    (void)argument;
    uint64_t value = 0;
    x86_fixture_enter();
    x86_fixture_map(PAGE_A, FRAME_A, true);
    sim_time from = x86_fixture_now();
    x86_execute(cpu, 17);
    cr_expect_eq(x86_fixture_cycles(from), 17);
    from = x86_fixture_now();
    x86_syscall(cpu);
    cr_expect_not(x86_is_user(cpu));
    x86_return(cpu);
    cr_expect_eq(x86_fixture_cycles(from), FIXTURE_SYSCALL + FIXTURE_SYSRET, "no memory is touched");
    from = x86_fixture_now();
    cr_expect_not(x86_load(cpu, PAGE_B, 8, &value));
    cr_expect_eq(x86_fixture_cycles(from), 4 * FIXTURE_LINE_CYCLES + 1 + FIXTURE_DELIVERY + FIXTURE_BACK,
                 "the walk, the load, into the kernel, and back");
    from = x86_fixture_now();
    cr_expect_not(x86_privileged(cpu));
    cr_expect_eq(x86_fixture_cycles(from), 1 + FIXTURE_DELIVERY + FIXTURE_BACK);
    from = x86_fixture_now();
    x86_syscall(cpu);
    x86_kernel_store(cpu, X86_DIRECT_MAP + FRAME_A, 8, UINT64_C(0x1122334455667788));
    cr_expect_eq(x86_kernel_load(cpu, X86_DIRECT_MAP + FRAME_A + 4, 4), 0x11223344);
    cr_expect(x86_invlpg(cpu, PAGE_A));
    x86_switch(cpu, &space);
    x86_flush(cpu, &space);
    x86_return(cpu);
    cr_expect_eq(x86_fixture_cycles(from), FIXTURE_SYSCALL + 2 * (1 + FIXTURE_LINE_CYCLES) + FIXTURE_INVLPG +
                                               FIXTURE_CR3 + FIXTURE_CR3 + FIXTURE_SYSRET);
}
Test(x86_exceptions, time_is_the_sum_of_its_steps) {
    x86_fixture_run(times);
}

/* ---- system calls ---- */

static void calls(void *argument) {
    (void)argument;
    x86_fixture_enter();
    cpu->rip = 0x400080;
    x86_set_flags(cpu, X86_RFLAGS_OF);
    const uint64_t flags = cpu->rflags;
    x86_syscall(cpu);
    cr_expect_eq(cpu->registers[X86_RCX], 0x400080);
    cr_expect_eq(cpu->registers[X86_R11], flags);
    cr_expect_eq(cpu->rflags & X86_RFLAGS_IF, 0, "interrupts are off in the kernel");
    x86_return(cpu);
    cr_expect_eq(cpu->rflags, flags);
    cr_expect_eq(cpu->rip, 0x400080);
    cr_expect_eq(cpu->counters.system_calls, 1);
    cr_expect_not(x86_invlpg(cpu, PAGE_A), "a program's INVLPG is privileged");
    cr_expect_not(x86_set_root(cpu, 0));
    cr_expect_eq(seen.vector, X86_GP);
}
Test(x86_exceptions, a_system_call_keeps_flags_and_address_in_registers) {
    x86_fixture_run(calls);
}

/* ---- interrupts ---- */

static struct context *interrupt_context;
static uint64_t interrupt_at_cycle, interrupts_run;
static unsigned lines_at_begin;

static void interrupt_body(void *argument) {
    (void)argument;
    for (;;) {
        cpu_work_for(interrupt_context, x86_component, NULL);
        interrupt_at_cycle = sim_clock_cycles(core_clock(x86_machine->cores[0]), sim_now());
        interrupts_run++;
        lines_at_begin = cpu->pending;
        x86_interrupt_begin(cpu, interrupt_context);
        x86_acknowledge(cpu, x86_is_pending(cpu, X86_TIMER_LINE) ? X86_TIMER_LINE : 0);
        x86_execute(cpu, 10);
        x86_interrupt_return(cpu, interrupt_context);
    }
}
static void on_interrupt(void *os, struct x86 *from) {
    (void)os;
    core_dispatch(from->core, CORE_INTERRUPT, interrupt_context);
}

enum { SERVED = FIXTURE_DELIVERY + FIXTURE_EOI + 10 + FIXTURE_BACK };

static void interrupts_make(void) {
    cpu->vectors.interrupt = on_interrupt;
    interrupt_context = context_create(x86_machine->cores[0], CORE_INTERRUPT, "isr", NULL, interrupt_body, NULL);
    x86_fixture_enter();
}

static void interrupted(void *argument) {
    (void)argument;
    interrupts_make();
    const sim_time start = x86_fixture_now();
    const uint64_t zero = sim_clock_cycles(core_clock(x86_machine->cores[0]), start);
    x86_timer_start(cpu, SIM_US); /* 1000 cycles */
    x86_execute(cpu, 1500);
    cr_expect_eq(x86_fixture_cycles(start), 1500 + SERVED, "user code is stretched by exactly that");
    cr_expect_eq(interrupt_at_cycle - zero, 1000, "in the middle of user code");
    cr_expect_eq(cpu->timer.ticks, 1);
    cr_expect_eq(frame_word(X86_FRAME_CS), X86_USER_CS, "its frame");
    x86_syscall(cpu);
    x86_execute(cpu, 600); /* past the tick at 2000 */
    cpu_run(x86_main);
    cr_expect_eq(interrupts_run, 1, "the kernel is not interrupted");
    cr_expect(x86_is_pending(cpu, X86_TIMER_LINE));
    x86_return(cpu);
    cr_expect_eq(interrupts_run, 2);
    cr_expect_eq(interrupt_at_cycle - zero, 1500 + SERVED + FIXTURE_SYSCALL + 600 + FIXTURE_SYSRET,
                 "but user code is, at once");
    cr_expect_eq(cpu->timer.start + 2 * cpu->timer.period, start + 2 * SIM_US);
    x86_timer_start(cpu, 0);
}
Test(x86_exceptions, interrupts_wait_while_the_kernel_runs) {
    x86_fixture_run(interrupted);
}

static void two_lines(void *argument) {
    (void)argument;
    interrupts_make();
    x86_syscall(cpu);
    x86_raise(cpu, 0);
    x86_raise(cpu, X86_TIMER_LINE);
    cr_expect_eq(cpu->counters.interrupts, 0);
    x86_return(cpu);
    cr_expect_eq(interrupts_run, 2, "one after the other, without user code in between");
    cr_expect_eq(lines_at_begin, 1, "the timer's vector is the higher");
    cr_expect_eq(cpu->counters.interrupts, 2);
    cr_expect_eq(cpu->pending, 0);
    core_interrupt(x86_machine->cores[0], 32); /* a device's vector: line 0 */
    x86_execute(cpu, 1);
    cpu_run(x86_main);
    cr_expect_eq(interrupts_run, 3);
}
Test(x86_exceptions, lines_that_wait_are_served_in_turn) {
    x86_fixture_run(two_lines);
}
