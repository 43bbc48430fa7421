/* test_x86_nested.c: a program in a virtual machine: its own page tables and handlers,
 * and what leaves it for the kernel. */
#include "tests/hw/x86_fixture.h"

/* The program's memory: addresses of the second level, frame by frame. */
enum {
    OWN_FRAMES = 0x00a00000, /* physical */
    OWN_AT = 0x20000000,     /* of the second level */
    OWN_PAGES = 32,
    OWN_IDT = 0x00600000, /* virtual */
    OWN_STACK = 0x00700000,
    ROOT_PAGE = 0,
    DATA_PAGE = 20,
    IDT_PAGE = 21,
    STACK_PAGE = 22,
    WALK = 24 * FIXTURE_LINE_CYCLES
};
#define FULL (MMU_PTE_PRESENT | MMU_PTE_WRITABLE | MMU_PTE_USER)
#define MARKED (MMU_PTE_ACCESSED | MMU_PTE_DIRTY)

static unsigned own_tables = 1; /* in use: the root */

static struct {
    unsigned count;
    uint64_t cr2, error_code, frame_rip, frame_rflags;
    enum x86_vector vector;
    bool was_guest;
    enum x86_resume answer;
    void (*repair)(void);
} own;

static uint64_t own_physical(unsigned page) {
    return OWN_FRAMES + (uint64_t)page * X86_PAGE_BYTES;
}
static uint64_t own_address(unsigned page) {
    return OWN_AT + (uint64_t)page * X86_PAGE_BYTES;
}

/* Where a virtual page's leaf lies in physical memory; makes the tables on the way. */
static uint64_t own_leaf(uint64_t page) {
    uint64_t table = own_physical(ROOT_PAGE);
    for (unsigned level = MMU_LEVELS; level > 1; level--) {
        const uint64_t at = table + (page >> (12 + 9 * (level - 1)) & 511) * 8;
        if (memory_read64(x86_machine->memory, at) == 0) {
            memory_write64(x86_machine->memory, at, own_address(own_tables++) | FULL | MARKED);
        }
        table = OWN_FRAMES + ((memory_read64(x86_machine->memory, at) & MMU_PTE_ADDRESS) - OWN_AT);
    }
    return table + (page >> 12 & 511) * 8;
}
static void own_map(uint64_t page, uint64_t entry) {
    memory_write64(x86_machine->memory, own_leaf(page), entry);
}

static enum x86_resume own_exception(void *program, struct x86 *from) {
    const uint64_t frame = own_physical(STACK_PAGE) + X86_PAGE_BYTES - X86_FRAME_BYTES;
    cr_assert_eq(program, &own);
    own.count++;
    own.vector = from->vector;
    own.cr2 = from->cr2;
    own.error_code = from->error_code;
    own.was_guest = from->guest;
    own.frame_rip = memory_read64(x86_machine->memory, frame + X86_FRAME_RIP);
    own.frame_rflags = memory_read64(x86_machine->memory, frame + X86_FRAME_RFLAGS);
    if (own.repair != NULL) {
        own.repair();
    }
    x86_return(from);
    return own.answer;
}

/* A machine of the program's, with its root, its IDT and its stack set by itself. */
static void set_up(void) {
    x86_fixture_enter();
    for (unsigned i = 0; i < OWN_PAGES; i++) {
        cr_assert_eq(
            address_space_map(kernel_tables, own_address(i), own_physical(i), X86_PAGE_BYTES, MMU_USER | MMU_WRITE),
            OK);
    }
    own_map(PAGE_A, own_address(DATA_PAGE) | FULL | MARKED);
    own_map(OWN_IDT, own_address(IDT_PAGE) | FULL | MARKED);
    own_map(OWN_STACK - X86_PAGE_BYTES, own_address(STACK_PAGE) | FULL | MARKED);
    for (unsigned vector = 0; vector < X86_EXCEPTIONS; vector++) {
        memory_write64(x86_machine->memory, own_physical(IDT_PAGE) + vector * X86_GATE_BYTES, x86_gate(0x1000, 0));
    }
    own.answer = X86_SKIP;
    space.idt = OWN_IDT;
    space.stack = OWN_STACK;
    space.exception = own_exception;
    space.program = &own;
    cr_assert(x86_set_root(cpu, own_address(ROOT_PAGE)));
}

static void nested_run(void (*body)(void *argument)) {
    x86_fixture_make("");
    space = x86_space_make(kernel_tables, 1, true);
    x86_fixture_go(body);
}

/* ---- its own faults ---- */

static void own_faults(void *argument) {
    (void)argument;
    uint64_t value = 0;
    set_up();
    cr_expect(cpu->guest && x86_is_user(cpu));
    cpu->rip = 0x401234;
    x86_set_flags(cpu, X86_RFLAGS_AC);
    cr_expect_not(x86_store(cpu, PAGE_B + 8, 8, 1));
    cr_expect_eq(own.count, 1);
    cr_expect(own.vector == X86_PF && own.cr2 == PAGE_B + 8);
    cr_expect_eq(own.error_code, X86_PF_US | X86_PF_WR);
    cr_expect(own.was_guest, "it has not left the machine");
    cr_expect_eq(own.frame_rip, 0x401234, "on its own stack");
    cr_expect_neq(own.frame_rflags & X86_RFLAGS_AC, 0);
    cr_expect_eq(memory_read64(x86_machine->memory, own_physical(STACK_PAGE) + X86_PAGE_BYTES - 48),
                 X86_PF_US | X86_PF_WR, "the error code below the frame");
    cr_expect_not(x86_load(cpu, PAGE_A + 1, 2, &value));
    cr_expect_eq(own.vector, X86_AC);
    cr_expect_not(x86_add(cpu, INT32_MAX, 1, &(int32_t){0}));
    cr_expect_eq(own.vector, X86_OF);
    cr_expect_eq(cpu->counters.program_exceptions, 3);
    cr_expect_eq(seen.exceptions, 0, "the kernel has seen nothing of it");
    cr_expect_eq(cpu->counters.exits, 0);
    cr_expect_eq(cpu->counters.entries, 1);
}
Test(x86_nested, a_programs_exceptions_are_its_own) {
    nested_run(own_faults);
}

static void map_b(void) {
    own_map(PAGE_B, own_address(DATA_PAGE + 3) | FULL | MARKED);
}
static void own_times(void *argument) {
    (void)argument;
    uint64_t value = 0;
    set_up();
    cr_expect_not(x86_load(cpu, PAGE_B, 8, &value), "gate and stack are in the TLB now");
    cr_expect(x86_load(cpu, PAGE_A, 8, &value));
    sim_time from = x86_fixture_now();
    cr_expect(x86_load(cpu, PAGE_A, 8, &value));
    cr_expect_eq(x86_fixture_cycles(from), 1 + FIXTURE_LINE_CYCLES);
    cr_expect(x86_invlpg(cpu, PAGE_A));
    cr_expect_eq(x86_fixture_cycles(from), 1 + FIXTURE_LINE_CYCLES + FIXTURE_INVLPG, "without the kernel");
    from = x86_fixture_now();
    cr_expect(x86_load(cpu, PAGE_A, 8, &value));
    cr_expect_eq(x86_fixture_cycles(from), WALK + 1 + FIXTURE_LINE_CYCLES);
    own.answer = X86_RETRY;
    own.repair = map_b;
    from = x86_fixture_now();
    const uint64_t references = cpu->translation.references;
    cr_expect(x86_load(cpu, PAGE_B, 8, &value), "mapped in the handler");
    cr_expect_eq(cpu->translation.references - references, 20 + 24, "to the leaf that is not there; to the page");
    cr_expect_eq(x86_fixture_cycles(from), 20 * FIXTURE_LINE_CYCLES + 1                                /* the load */
                                               + FIXTURE_EXCEPTION + (1 + 5 + 1) * FIXTURE_LINE_CYCLES /* gate, frame */
                                               + FIXTURE_IRET + 5 * FIXTURE_LINE_CYCLES + WALK + 1 +
                                               FIXTURE_LINE_CYCLES);
}
Test(x86_nested, its_exception_is_the_sum_of_its_stages) {
    nested_run(own_times);
}

/* ---- what leaves ---- */

static struct {
    enum x86_exit reason;
    uint64_t qualification, address;
} exited;

static void note_exit(void) {
    exited.reason = cpu->exit_reason;
    exited.qualification = cpu->exit_qualification;
    exited.address = cpu->exit_address;
    cr_expect_not(cpu->guest);
}

static void violations(void *argument) {
    (void)argument;
    uint64_t value = 0;
    set_up();
    seen.repair = note_exit;
    own_map(PAGE_B, UINT64_C(0x30000000) | FULL | MARKED); /* an address that the kernel gave nothing for */
    cr_expect_not(x86_load(cpu, PAGE_B + 24, 8, &value));
    cr_expect_eq(own.count, 0, "not the program's");
    cr_expect_eq(seen.exceptions, 1);
    cr_expect_eq(exited.reason, X86_EXIT_EPT_VIOLATION);
    cr_expect_eq(exited.address & ~UINT64_C(4095), 0x30000000);
    cr_expect_eq(exited.qualification, X86_EPT_READ | X86_EPT_LINEAR_VALID | X86_EPT_OF_TRANSLATION);
    cr_expect_eq(seen.cr2, PAGE_B + 24, "the virtual address is told, too");
    /* A page that the second level gives for reading. */
    cr_assert_eq(address_space_map(kernel_tables, 0x30000000, FRAME_B, X86_PAGE_BYTES, MMU_USER), OK);
    cr_expect(x86_load(cpu, PAGE_B, 8, &value));
    const sim_time from = x86_fixture_now();
    cr_expect_not(x86_store(cpu, PAGE_B, 8, 1));
    cr_expect_eq(x86_fixture_cycles(from), WALK + 1 + FIXTURE_EXIT + FIXTURE_ENTRY, "out and in again");
    cr_expect_eq(exited.qualification,
                 X86_EPT_WRITE | X86_EPT_READABLE | X86_EPT_LINEAR_VALID | X86_EPT_OF_TRANSLATION);
    /* A root that is nobody's: the walk itself is at fault. */
    cr_expect(x86_set_root(cpu, UINT64_C(0x40000000)));
    cr_expect_not(x86_load(cpu, PAGE_A, 8, &value));
    cr_expect_eq(exited.reason, X86_EXIT_EPT_VIOLATION);
    cr_expect_eq(exited.qualification & X86_EPT_OF_TRANSLATION, 0);
    cr_expect_eq(cpu->counters.exits, 3);
    cr_expect_eq(cpu->translation.second_faults, 3);
}
Test(x86_nested, a_violation_of_the_second_level_is_the_kernels) {
    nested_run(violations);
}

static void calls(void *argument) {
    (void)argument;
    set_up();
    cpu->rip = 0x400500;
    cpu->registers[X86_RSP] = 0x7fff0000;
    x86_set_flags(cpu, X86_RFLAGS_AC);
    const uint64_t flags = cpu->rflags;
    const sim_time from = x86_fixture_now();
    x86_syscall(cpu);
    cr_expect_eq(cpu->exit_reason, X86_EXIT_VMCALL);
    cr_expect(!x86_is_user(cpu) && (cpu->rflags & (X86_RFLAGS_IF | X86_RFLAGS_AC)) == 0);
    x86_return(cpu);
    cr_expect_eq(x86_fixture_cycles(from), FIXTURE_EXIT + FIXTURE_ENTRY);
    cr_expect(cpu->guest && cpu->rip == 0x400500 && cpu->registers[X86_RSP] == 0x7fff0000 && cpu->rflags == flags);
    cr_expect_not(x86_privileged(cpu), "CLI is no program's here, either");
    cr_expect_eq(own.vector, X86_GP, "but the fault is its own");
}
Test(x86_nested, a_system_call_is_an_exit) {
    nested_run(calls);
}

/* ---- a program that spoils its own handlers ---- */

static void spoiled(void *argument) {
    (void)argument;
    uint64_t value = 0;
    set_up();
    seen.repair = note_exit;
    own_map(OWN_STACK - X86_PAGE_BYTES, 0);
    cr_expect_not(x86_load(cpu, PAGE_B, 8, &value), "no stack for the frame");
    cr_expect_eq(exited.reason, X86_EXIT_TRIPLE_FAULT);
    cr_expect_eq(seen.vector, X86_DF);
    own_map(OWN_STACK - X86_PAGE_BYTES, UINT64_C(0x30000000) | FULL | MARKED);
    cr_expect_not(x86_load(cpu, PAGE_B, 8, &value), "one that is not its memory");
    cr_expect_eq(exited.reason, X86_EXIT_EPT_VIOLATION);
    own_map(OWN_STACK - X86_PAGE_BYTES, own_address(STACK_PAGE) | FULL | MARKED);
    (void)x86_invlpg(cpu, OWN_STACK - X86_PAGE_BYTES);
    memory_write64(x86_machine->memory, own_physical(IDT_PAGE) + X86_PF * X86_GATE_BYTES, 0);
    cr_expect_not(x86_load(cpu, PAGE_B, 8, &value), "no gate");
    cr_expect_eq(exited.reason, X86_EXIT_TRIPLE_FAULT);
    cr_expect_eq(own.count, 0);
    space.idt = 0;
    cr_expect_not(x86_load(cpu, PAGE_B, 8, &value), "no handlers at all: the kernel's");
    cr_expect_eq(exited.reason, X86_EXIT_EXCEPTION);
    cr_expect_eq(seen.vector, X86_PF);
}
Test(x86_nested, it_harms_itself_alone) {
    nested_run(spoiled);
}

/* ---- dirty bits in its own tables ---- */

static void dirty(void *argument) {
    (void)argument;
    uint64_t value = 0;
    set_up();
    own_map(PAGE_B, own_address(DATA_PAGE + 1) | FULL);
    cr_expect(x86_load(cpu, PAGE_B, 8, &value));
    cr_expect_eq(memory_read64(x86_machine->memory, own_leaf(PAGE_B)) & MARKED, MMU_PTE_ACCESSED);
    const sim_time from = x86_fixture_now();
    cr_expect(x86_store(cpu, PAGE_B, 8, 1));
    cr_expect_eq(x86_fixture_cycles(from), WALK + FIXTURE_LINE_CYCLES + FIXTURE_ASSIST + 1 + FIXTURE_LINE_CYCLES);
    cr_expect_eq(memory_read64(x86_machine->memory, own_leaf(PAGE_B)) & MARKED, MARKED);
    const uint64_t second = memory_read64(x86_machine->memory, x86_fixture_entry(kernel_tables, OWN_AT, 1));
    cr_expect_eq(second & MARKED, 0, "the second level has no such bits");
    /* A table in memory that the kernel gave for reading cannot be marked. */
    const uint64_t leaf = own_leaf(PAGE_B), table = own_address((unsigned)((leaf - OWN_FRAMES) / X86_PAGE_BYTES));
    address_space_unmap(kernel_tables, table, X86_PAGE_BYTES);
    cr_assert_eq(address_space_map(kernel_tables, table, leaf & ~UINT64_C(4095), X86_PAGE_BYTES, MMU_USER), OK);
    own_map(PAGE_B, own_address(DATA_PAGE + 1) | FULL);
    (void)x86_invlpg(cpu, PAGE_B);
    seen.repair = note_exit;
    cr_expect_not(x86_load(cpu, PAGE_B, 8, &value));
    cr_expect_eq(exited.reason, X86_EXIT_EPT_VIOLATION);
    cr_expect_eq(exited.qualification & X86_EPT_OF_TRANSLATION, 0);
}
Test(x86_nested, it_reads_its_dirty_bits_in_its_own_table) {
    nested_run(dirty);
}

/* ---- interrupts ---- */

static struct context *interrupt_context;
static uint64_t interrupts_run;

static void interrupt_body(void *argument) {
    (void)argument;
    for (;;) {
        cpu_work_for(interrupt_context, x86_component, NULL);
        interrupts_run++;
        cr_expect_eq(cpu->exit_reason, X86_EXIT_INTERRUPT);
        x86_interrupt_begin(cpu, interrupt_context);
        x86_acknowledge(cpu, X86_TIMER_LINE);
        x86_interrupt_return(cpu, interrupt_context);
    }
}
static void on_interrupt(void *os, struct x86 *from) {
    (void)os;
    core_dispatch(from->core, CORE_INTERRUPT, interrupt_context);
}
static void linger(void) {
    cr_expect_eq(cpu->rflags & X86_RFLAGS_IF, 0, "its handler begins with interrupts off");
    x86_execute(cpu, 2000);
    cpu_run(x86_main);
}
static void interrupted(void *argument) {
    (void)argument;
    uint64_t value = 0;
    set_up();
    cpu->vectors.interrupt = on_interrupt;
    interrupt_context = context_create(x86_machine->cores[0], CORE_INTERRUPT, "isr", NULL, interrupt_body, NULL);
    const sim_time from = x86_fixture_now();
    x86_timer_start(cpu, 2 * SIM_US);
    x86_execute(cpu, 2500);
    cr_expect_eq(x86_fixture_cycles(from), 2500 + FIXTURE_EXIT + FIXTURE_EOI + FIXTURE_ENTRY);
    cr_expect(interrupts_run == 1 && cpu->guest);
    own.repair = linger;
    cr_expect_not(x86_load(cpu, PAGE_B, 8, &value));
    cr_expect_eq(interrupts_run, 3, "what a program's handler turns off is not the kernel's interrupts");
    x86_timer_start(cpu, 0);
}
Test(x86_nested, an_interrupt_is_an_exit) {
    nested_run(interrupted);
}
