/* test_aegis_nested.c: an environment of Aegis with page tables of its own, over what the
 * kernel bound for it. */
#include "tests/kernel_model/aegis_x86_fixture.h"

#include "hw/mmu_regs.h"
#include "kernel_model/exo/aegis_nested.h"
#include "tests/kernel_model/aegis_fixture.h"

enum { TABLES = 16, DATA = 4, IDT = 13, STACK = 14 };
#define TABLES_AT UINT32_C(0x10000000) /* of the second level */
#define DATA_AT UINT32_C(0x20000000)
#define UNBOUND_AT UINT32_C(0x30000000)
#define FAR_AT UINT64_C(0x7f0000000000) /* virtual: no system call could name it */
#define FULL (MMU_PTE_PRESENT | MMU_PTE_WRITABLE | MMU_PTE_USER)

static struct aegis_environment *alice, *bob;
static struct exo_handle data[DATA], bobs, derived;
static uint64_t data_frames[DATA], bobs_frame, own_tables;
static struct aegis_exception last;

/* ---- the library's page table: ordinary stores to its own pages ---- */

/* A word of a table, before there is a root and after (the tables are mapped where the
 * second level has them). */
static void write_entry(uint64_t at, uint64_t value) {
    cr_assert(fixture_store((uint32_t)at, 4, (uint32_t)value));
    cr_assert(fixture_store((uint32_t)at + 4, 4, (uint32_t)(value >> 32)));
}
static uint64_t read_entry(uint64_t at) {
    uint32_t low = 0, high = 0;
    cr_assert(fixture_load((uint32_t)at, 4, &low) && fixture_load((uint32_t)at + 4, 4, &high));
    return low | (uint64_t)high << 32;
}

/* Where a page's leaf stands; makes the tables on the way. */
static uint64_t leaf_of(uint64_t page) {
    uint64_t table = TABLES_AT;
    for (unsigned level = MMU_LEVELS; level > 1; level--) {
        const uint64_t at = table + (page >> (12 + 9 * (level - 1)) & 511) * 8;
        if (read_entry(at) == 0) {
            cr_assert_lt(++own_tables, IDT);
            write_entry(at, (TABLES_AT + own_tables * AEGIS_PAGE) | FULL);
        }
        table = read_entry(at) & MMU_PTE_ADDRESS;
    }
    return table + (page >> 12 & 511) * 8;
}

static void set_up(struct aegis_environment *environment) {
    uint64_t physical = 0;
    for (uint32_t i = 0; i < TABLES; i++) {
        const struct exo_handle handle = fixture_frame(environment, &physical);
        cr_assert_eq(aegis_tlb_insert(environment, TABLES_AT + i * AEGIS_PAGE, &handle, true, NULL), OK);
    }
    for (uint32_t i = 0; i < DATA; i++) {
        data[i] = fixture_frame(environment, &data_frames[i]);
        cr_assert_eq(aegis_tlb_insert(environment, DATA_AT + i * AEGIS_PAGE, &data[i], true, NULL), OK);
    }
    for (uint32_t i = 0; i < TABLES; i++) {
        write_entry(leaf_of(TABLES_AT + i * AEGIS_PAGE), (TABLES_AT + i * AEGIS_PAGE) | FULL);
    }
    for (uint32_t vector = 0; vector < X86_EXCEPTIONS; vector++) {
        write_entry(TABLES_AT + IDT * AEGIS_PAGE + vector * X86_GATE_BYTES, x86_gate(AEGIS_CODE_HANDLER, 0));
    }
    cr_assert_eq(aegis_nest(environment, NULL), OK);
    cr_assert(aegis->x86->guest);
    cr_expect(fixture_store(DATA_AT, 4, 0xda7a), "without a root, the second level's addresses");
    aegis_nested_set_root(environment, TABLES_AT);
    aegis_nested_set_handlers(environment, TABLES_AT + IDT * AEGIS_PAGE, TABLES_AT + (STACK + 1) * AEGIS_PAGE, NULL);
}

static void run_alice(void (*main)(struct aegis_environment *environment),
                      enum aegis_resume (*exception)(struct aegis_environment *environment,
                                                     const struct aegis_exception *exception)) {
    static struct aegis_program program;
    static const struct aegis_program idle = {.name = "bob"};
    program = (struct aegis_program){.name = "alice", .main = main, .exception = exception, .notice = fixture_obey};
    fixture_make();
    alice = fixture_environment("alice", &program, 1);
    bob = fixture_environment("bob", &idle, 0);
    bobs = fixture_frame(bob, &bobs_frame);
    memory_write64(machine->memory, bobs_frame, 0x5ec2e7);
    fixture_run(SIM_S);
    cr_expect_eq(memory_read64(machine->memory, bobs_frame), 0x5ec2e7);
    fixture_check_accounts();
}

static enum aegis_resume map_on_demand(struct aegis_environment *environment, const struct aegis_exception *exception) {
    (void)environment;
    handled++;
    last = *exception;
    write_entry(leaf_of(FAR_AT), DATA_AT | FULL);
    return AEGIS_RETRY;
}

/* ---- without the kernel ---- */

static void own_table(struct aegis_environment *environment) {
    uint64_t value = 0;
    set_up(environment);
    const uint64_t exits = aegis->x86->counters.exits, checked = aegis->kernel->counters.refused[EXO_ALLOWED];
    cr_expect(aegis_nested_load(environment, FAR_AT, &value) && value == 0xda7a);
    cr_expect_eq(handled, 1, "its own page fault");
    cr_expect_eq(last.code, AEGIS_CAUSE_MISS_LOAD);
    cr_expect_eq(read_entry(leaf_of(FAR_AT)) & (MMU_PTE_ACCESSED | MMU_PTE_DIRTY), MMU_PTE_ACCESSED);
    cr_expect(aegis_nested_store(environment, FAR_AT, 7));
    cr_expect_neq(read_entry(leaf_of(FAR_AT)) & MMU_PTE_DIRTY, 0, "it reads its dirty bit in its own table");
    write_entry(leaf_of(FAR_AT), DATA_AT | MMU_PTE_PRESENT | MMU_PTE_USER);
    aegis_nested_invalidate(environment, FAR_AT);
    cr_expect(aegis_nested_store(environment, FAR_AT, 8), "a fault, and its handler gives the right back");
    cr_expect_eq(last.code, AEGIS_CAUSE_PROTECTION);
    cr_expect_eq(memory_read64(machine->memory, data_frames[0]), 8);
    cr_expect_eq(aegis->x86->counters.exits, exits, "the kernel has not run");
    cr_expect_eq(aegis->kernel->counters.refused[EXO_ALLOWED], checked, "and no capability was presented");
    cr_expect_eq(aegis->counters.exceptions, 0);
}
Test(aegis_nested, its_page_table_is_its_own) {
    run_alice(own_table, map_on_demand);
    cr_expect_eq(handled, 2);
}

static void kinds(struct aegis_environment *environment) {
    uint64_t value = 0;
    int32_t sum = 0;
    set_up(environment);
    cr_expect_not(aegis->machine->user_add(aegis, INT32_MAX, 1, &sum));
    cr_expect_eq(last_exception.code, AEGIS_CAUSE_OVERFLOW);
    cr_expect_not(aegis->machine->user_coprocessor(aegis, 1));
    cr_expect_eq(last_exception.code, AEGIS_CAUSE_COPROCESSOR);
    cr_expect_not(aegis_nested_load(environment, DATA_AT + 1, &value));
    cr_expect_eq(last_exception.code, AEGIS_CAUSE_ADDRESS_LOAD);
    cr_expect_eq(aegis->counters.exceptions, 0);
    cr_expect_eq(aegis->x86->counters.program_exceptions, 3);
}
Test(aegis_nested, so_are_its_exceptions) {
    run_alice(kinds, fixture_skip);
}

/* ---- with the kernel ---- */

static void calls(struct aegis_environment *environment) {
    set_up(environment);
    const sim_time from = fixture_now();
    cr_expect_eq(aegis_number(environment, false), environment->environment->number);
    cr_expect_eq(fixture_cycles(from), 1 + X86_EXIT_CYCLES + 1 + costs.system_call.cycles + 2 + X86_ENTRY_CYCLES);
    cr_expect(aegis->x86->guest);
    cr_expect_eq(aegis_nest(environment, NULL), OK, "once more changes nothing");
    cr_expect(aegis->x86->guest && aegis->x86->space->root == TABLES_AT);
}
Test(aegis_nested, a_system_call_is_an_exit_and_an_entry) {
    run_alice(calls, fixture_skip);
}

static enum aegis_resume bind_second_level(struct aegis_environment *environment,
                                           const struct aegis_exception *exception) {
    handled++;
    last = *exception;
    cr_expect_eq(aegis_tlb_insert(environment, exception->bad_address, &data[1], true, NULL), OK);
    return AEGIS_RETRY;
}
static void demand(struct aegis_environment *environment) {
    uint64_t value = 0;
    set_up(environment);
    memory_write64(machine->memory, data_frames[1], 0x1234);
    write_entry(leaf_of(FAR_AT), UNBOUND_AT | FULL);
    cr_expect(aegis_nested_load(environment, FAR_AT, &value) && value == 0x1234);
    cr_expect_eq(last.code, AEGIS_CAUSE_MISS_LOAD);
    cr_expect_eq(last.bad_address, UNBOUND_AT, "the address that is to be bound");
}
Test(aegis_nested, what_the_second_level_lacks_comes_by_way_of_the_kernel) {
    run_alice(demand, bind_second_level);
    cr_expect_eq(handled, 1);
    cr_expect_eq(aegis->counters.exceptions, 1);
}

static void break_in(struct aegis_environment *environment) {
    uint64_t value = 0;
    set_up(environment);
    const uint64_t leaf = leaf_of(FAR_AT);
    for (uint64_t target = 0; target < memory_size(machine->memory); target += AEGIS_PAGE) {
        write_entry(leaf, target | FULL); /* every frame by its physical name */
        aegis_nested_invalidate(environment, FAR_AT);
        cr_assert_not(aegis_nested_load(environment, FAR_AT, &value) && value == 0x5ec2e7);
    }
    write_entry(leaf, bobs_frame | FULL);
    aegis_nested_invalidate(environment, FAR_AT);
    cr_expect_not(aegis_nested_store(environment, FAR_AT, 1));
    aegis_nested_set_root(environment, bobs_frame); /* as its page table */
    cr_expect_not(aegis_nested_load(environment, FAR_AT, &value));
}
Test(aegis_nested, no_table_reaches_another_environments_frame) {
    run_alice(break_in, fixture_skip);
    cr_expect_gt(handled, 1000);
}

static void rights(struct aegis_environment *environment) {
    uint64_t value = 0;
    set_up(environment);
    cr_expect_eq(aegis_tlb_insert(environment, UNBOUND_AT, &data[2], false, NULL), OK);
    write_entry(leaf_of(FAR_AT), UNBOUND_AT | FULL);
    cr_expect(aegis_nested_load(environment, FAR_AT, &value));
    cr_expect_not(aegis_nested_store(environment, FAR_AT, 1), "bound for reading");
    cr_expect(last_exception.code == AEGIS_CAUSE_PROTECTION && last_exception.bad_address == UNBOUND_AT);
    cr_expect_eq(aegis_tlb_insert(environment, UNBOUND_AT, &data[2], true, NULL), OK);
    cr_expect(aegis_nested_store(environment, FAR_AT, 1));
    const sim_time from = fixture_now();
    cr_expect_eq(aegis_tlb_protect(environment, UNBOUND_AT, 1, AEGIS_NO_ACCESS, NULL), OK);
    cr_expect_geq(fixture_cycles(from), X86_INVEPT_CYCLES, "the kernel knows no virtual address of it");
    cr_expect_not(aegis_nested_load(environment, FAR_AT, &value));
    aegis_tlb_remove(environment, DATA_AT);
    write_entry(leaf_of(FAR_AT), DATA_AT | FULL);
    aegis_nested_invalidate(environment, FAR_AT);
    cr_expect_not(aegis_nested_load(environment, FAR_AT, &value));
}
Test(aegis_nested, rights_are_those_of_the_binding) {
    run_alice(rights, fixture_skip);
}

/* ---- revocation by another, who runs under kernel paging ---- */

static unsigned reached;
static void borrow(struct aegis_environment *environment) {
    uint64_t value = 0;
    set_up(environment);
    cr_expect_eq(aegis_tlb_insert(environment, UNBOUND_AT, &derived, false, NULL), OK);
    write_entry(leaf_of(FAR_AT), UNBOUND_AT | FULL);
    cr_expect(aegis_nested_load(environment, FAR_AT, &value) && value == 0x5ec2e7);
    reached++;
    (void)aegis_yield(environment, bob);
    cr_expect(aegis->x86->guest, "back in its machine");
    cr_expect_not(aegis_nested_load(environment, FAR_AT, &value));
    cr_expect_neq(value, 0x5ec2e7);
    reached++;
}
static void take_back(struct aegis_environment *environment) {
    cr_expect_not(aegis->x86->guest);
    cr_expect_eq(aegis_revoke(environment, &bobs, NULL), OK);
    aegis_exit(environment);
}
Test(aegis_nested, a_revoked_frame_is_out_of_reach) {
    static const struct aegis_program borrows = {
        .name = "alice", .main = borrow, .exception = fixture_skip, .notice = fixture_obey};
    static const struct aegis_program lends = {.name = "bob", .main = take_back, .notice = fixture_obey};
    fixture_make();
    alice = fixture_environment("alice", &borrows, 1);
    bob = fixture_environment("bob", &lends, 0);
    bobs = fixture_frame(bob, &bobs_frame);
    memory_write64(machine->memory, bobs_frame, 0x5ec2e7);
    cr_assert_eq(exo_derive(bob->environment, &bobs, EXO_READ, alice->environment, &derived, NULL), OK);
    fixture_run(SIM_S);
    cr_expect_eq(reached, 2);
    fixture_check_accounts();
}

/* ---- a program that spoils its own handlers ---- */

static void spoil(struct aegis_environment *environment) {
    uint64_t value = 0;
    set_up(environment);
    const uint64_t stack = TABLES_AT + STACK * AEGIS_PAGE;
    write_entry(leaf_of(stack), 0);
    aegis_nested_invalidate(environment, stack);
    cr_expect_not(aegis_nested_load(environment, FAR_AT, &value));
    cr_expect_eq(last_exception.code, AEGIS_CAUSE_BUS, "no stack for its handler: the kernel tells it");
    cr_expect_eq(aegis->counters.exceptions, 1);
    reached++;
}
Test(aegis_nested, a_handler_without_a_stack_is_its_own_affair) {
    run_alice(spoil, fixture_skip);
    cr_expect_eq(reached, 1);
}

static enum aegis_resume fault_again(struct aegis_environment *environment, const struct aegis_exception *exception) {
    uint64_t value = 0;
    (void)exception;
    handled++;
    (void)aegis_nested_load(environment, FAR_AT, &value);
    return AEGIS_RETRY;
}
static void fault_once(struct aegis_environment *environment) {
    uint64_t value = 0;
    set_up(environment);
    (void)aegis_nested_load(environment, FAR_AT, &value);
    reached++;
}
Test(aegis_nested, a_handler_that_faults_for_ever_ends_the_environment) {
    run_alice(fault_once, fault_again);
    cr_expect_eq(reached, 0);
    cr_expect_eq(aegis->destroyed, 1);
    cr_expect_leq(handled, 32);
}

/* ---- slices ---- */

static void nested_spin(struct aegis_environment *environment) {
    set_up(environment);
    for (;;) {
        fixture_compute(environment, SIM_MS);
        cr_assert(aegis->x86->guest);
    }
}
static void plain_spin(struct aegis_environment *environment) {
    for (;;) {
        fixture_compute(environment, SIM_MS);
        cr_assert_not(aegis->x86->guest);
    }
}
static void nested_deaf(struct aegis_environment *environment) {
    set_up(environment);
    aegis->x86->rflags &= ~X86_RFLAGS_IF; /* as its own handlers may */
    for (;;) {
        fixture_compute(environment, SIM_MS);
    }
}
Test(aegis_nested, time_is_shared_with_others) {
    static const struct aegis_program nested = {
        .name = "alice", .main = nested_spin, .exception = fixture_skip, .notice = fixture_obey};
    static const struct aegis_program plain = {.name = "bob", .main = plain_spin, .notice = fixture_obey};
    fixture_make();
    alice = fixture_environment("alice", &nested, 1);
    bob = fixture_environment("bob", &plain, 3);
    fixture_run(2 * SIM_S);
    fixture_check_accounts();
    const double share = (double)alice->used / (double)sim_now();
    cr_expect(share > 0.24 && share < 0.26, "%.3f", share);
}
Test(aegis_nested, one_that_does_not_yield_is_destroyed) {
    static const struct aegis_program deaf = {.name = "alice", .main = nested_deaf, .exception = fixture_skip};
    static const struct aegis_program plain = {.name = "bob", .main = plain_spin, .notice = fixture_obey};
    fixture_make();
    alice = fixture_environment("alice", &deaf, 1);
    bob = fixture_environment("bob", &plain, 1);
    fixture_run(2 * SIM_S);
    cr_expect_eq(aegis->destroyed, 1);
    cr_expect_eq(aegis->environments, bob);
    fixture_check_accounts();
}
