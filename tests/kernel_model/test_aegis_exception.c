/* test_aegis_exception.c: system calls and exceptions, instruction by instruction. */
#include "tests/kernel_model/aegis_fixture.h"

static struct aegis_environment *alice;

static void run(void (*main)(struct aegis_environment *environment),
                enum aegis_resume (*exception)(struct aegis_environment *environment,
                                               const struct aegis_exception *exception)) {
    static struct aegis_program program;
    program = (struct aegis_program){.name = "alice", .main = main, .exception = exception, .notice = fixture_obey};
    fixture_make();
    alice = fixture_environment("alice", &program, 1);
    fixture_run(SIM_S);
    fixture_check_accounts();
}

#ifndef FIXTURE_X86
/* ---- dispatch ---- */

static uint64_t instructions_at_handler;
static sim_time time_at_handler;
static uint32_t save_area_word[3];

static enum aegis_resume look(struct aegis_environment *environment, const struct aegis_exception *exception) {
    time_at_handler = fixture_now();
    instructions_at_handler = cpu->counters.instructions;
    for (uint32_t i = 0; i < 3; i++) {
        save_area_word[i] = memory_read32(machine->memory, environment->save_area + 4 * i);
    }
    cr_expect(aegis->machine->is_user(aegis), "the handler runs in user mode");
    cr_expect_eq(cpu->registers[R3000_T0 + 1], exception->bad_address, "the scratch registers say what happened");
    cr_expect_eq(cpu->registers[R3000_T0 + 2], exception->cause);
    return fixture_skip(environment, exception);
}

static void unaligned(struct aegis_environment *environment) {
    uint32_t value = 0;
    (void)environment;
    for (uint32_t i = 0; i < 3; i++) {
        cpu->registers[R3000_T0 + i] = 0x100 + i;
    }
    const sim_time from = fixture_now();
    const uint64_t instructions = cpu->counters.instructions, rfes = cpu->counters.exceptions[R3000_SYS];
    cr_expect_not(fixture_load(PAGE_X + 1, 4, &value));
    cr_expect_eq(instructions_at_handler - instructions, 1 + 18, "18 instructions from the vector to the handler");
    cr_expect_eq(sim_clock_cycles(core_clock(aegis->core), time_at_handler - from), 1 + EXCEPTION_CYCLES + 18);
    cr_expect_eq(fixture_cycles(time_at_handler), 0, "and back without the kernel");
    cr_expect_eq(cpu->counters.exceptions[R3000_SYS], rfes);
    cr_expect(last_exception.code == AEGIS_CAUSE_ADDRESS_LOAD && last_exception.bad_address == PAGE_X + 1);
    for (uint32_t i = 0; i < 3; i++) {
        cr_expect_eq(save_area_word[i], 0x100 + i, "the scratch registers are in the save area");
    }
}
Test(aegis_exception, dispatch_takes_18_instructions_and_resuming_none) {
    run(unaligned, look);
    cr_expect_eq(handled, 1);
}
#endif

static void each_kind(struct aegis_environment *environment) {
    int32_t sum = 0;
    (void)environment;
    cr_expect_not(aegis->machine->user_add(aegis, INT32_MAX, INT32_MAX, &sum));
    cr_expect_eq(last_exception.code, AEGIS_CAUSE_OVERFLOW);
    cr_expect_not(aegis->machine->user_coprocessor(aegis, 1));
    cr_expect_eq(last_exception.code, AEGIS_CAUSE_COPROCESSOR);
    cr_expect_not(fixture_store(AEGIS_USER_END, 4, 1));
    cr_expect_eq(last_exception.code, AEGIS_CAUSE_ADDRESS_STORE);
}
Test(aegis_exception, each_kind_reaches_the_application) {
    run(each_kind, fixture_skip);
    cr_expect_eq(handled, 3);
    cr_expect_eq(aegis->counters.exceptions, 3);
}

static bool survived;
static void fault(struct aegis_environment *environment) {
    uint32_t value = 0;
    (void)environment;
    (void)fixture_load(PAGE_X + 1, 4, &value);
    survived = true;
}
Test(aegis_exception, one_that_nobody_handles_ends_the_environment) {
    run(fault, NULL);
    cr_expect_not(survived);
    cr_expect_null(aegis->environments);
    cr_expect_eq(aegis->destroyed, 1);
    cr_expect_eq(exo_capabilities_live(aegis->kernel->capabilities), 0, "with all that it held");
}

static enum aegis_resume faults_again(struct aegis_environment *environment, const struct aegis_exception *exception) {
    uint32_t value = 0;
    (void)environment, (void)exception;
    handled++;
    (void)fixture_load(PAGE_X + 1, 4, &value);
    return AEGIS_RETRY;
}
Test(aegis_exception, a_handler_that_faults_for_ever_ends_the_environment) {
    run(fault, faults_again);
    cr_expect_not(survived);
    cr_expect_eq(aegis->destroyed, 1);
    cr_expect_leq(handled, 32);
}

#ifndef FIXTURE_X86
/* ---- system calls ---- */

static void calls(struct aegis_environment *environment) {
    sim_time from = fixture_now();
    cr_expect_eq(aegis_number(environment, false), environment->environment->number);
    const uint64_t plain = fixture_cycles(from);
    /* Number and syscall; annulled; Cause, the table, the step; two loads; EPC, +4, jump, rfe. */
    cr_expect_eq(plain, CALL_INSTRUCTIONS + EXCEPTION_CYCLES + 2 + costs.system_call.cycles + 2 + 4);
    from = fixture_now();
    cr_expect_eq(aegis_number(environment, true), environment->environment->number);
    cr_expect_eq(fixture_cycles(from), plain + 1 + 4 + costs.system_call_stack.cycles + 4,
                 "the stack: its address, four stores, four loads");
}
Test(aegis_exception, a_system_call_is_its_instructions) {
    run(calls, fixture_skip);
}
#endif

/* ---- the ledger ---- */

static struct ledger *ledger;
static sim_time begun;

static void for_a_request(struct aegis_environment *environment) {
    uint32_t value = 0;
    begun = fixture_now();
    environment->request = ledger_begin(ledger, system_components.app, LEDGER_SERVICE, begun);
    (void)aegis_user_work(environment, system_components.app);
    aegis->machine->execute(aegis, 5);
    (void)fixture_load(PAGE_X + 1, 4, &value);
    (void)aegis_number(environment, false);
    fixture_compute(environment, 20 * SIM_MS); /* past the end of its slice */
    ledger_end(environment->request, system_components.app, fixture_now());
    environment->request = NULL;
}
Test(aegis_exception, every_cycle_of_a_request_is_in_its_ledger) {
    ledger = ledger_create("requests");
    ledger_record(ledger, true);
    run(for_a_request, fixture_skip);
    cr_assert_eq(ledger_completed(ledger), 1);
    cr_expect_eq(ledger_audit(ledger, sim_now()), 0);
#ifndef FIXTURE_X86
    const sim_time cycle = 40 * SIM_NS;
    cr_expect_eq(ledger_sum(ledger, aegis_components.dispatch, LEDGER_SERVICE), 18 * cycle);
    cr_expect_eq(ledger_sum(ledger, aegis_components.trap, LEDGER_SERVICE),
                 (2 * EXCEPTION_CYCLES + 2 + costs.system_call.cycles + 2 + 4) * cycle);
    cr_expect_eq(ledger_sum(ledger, system_components.app, LEDGER_SERVICE),
                 (5 + 1 + CALL_INSTRUCTIONS) * cycle + 20 * SIM_MS);
#endif
    cr_expect_gt(ledger_sum(ledger, system_components.app, LEDGER_WAITING), 0, "the timer's interrupt");
}
