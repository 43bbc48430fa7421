/* test_aegis_transfer.c: protected control transfer. */
#include "tests/kernel_model/aegis_fixture.h"

#ifndef TRANSFER_SUITE
#define TRANSFER_SUITE aegis_transfer
#endif

static struct aegis_environment *client, *server;
static unsigned entered, returned;
#ifndef FIXTURE_X86
static uint64_t instructions_at_entry;
#endif
static sim_time time_at_entry;

static void answer(struct aegis_environment *environment) {
    for (;;) {
        time_at_entry = fixture_now();
#ifndef FIXTURE_X86
        instructions_at_entry = cpu->counters.instructions;
        cr_expect_eq(cpu->entry_hi & R3000_HI_ASID, environment->asid << R3000_ASID_SHIFT);
#endif
        entered++;
        cr_expect_eq(aegis->current, environment);
        const struct aegis_registers *names = &aegis->machine->registers;
        aegis_set_register(environment, names->result,
                           aegis_register(environment, names->message[0]) +
                               aegis_register(environment, names->message[3]));
        if (aegis_transfer(environment, client->environment->number, AEGIS_SYNCHRONOUS) != OK) {
            return;
        }
    }
}
static const struct aegis_program closed_program = {.name = "closed"}; /* it has no entry point */
static struct aegis_environment *closed;
static const struct aegis_program server_program = {.name = "server", .entered = answer};

static void run_client(void (*main)(struct aegis_environment *environment)) {
    static struct aegis_program program;
    program = (struct aegis_program){.name = "client", .main = main, .notice = fixture_obey};
    fixture_make();
    client = fixture_environment("client", &program, 1);
    server = fixture_environment("server", &server_program, 0);
    closed = fixture_environment("closed", &closed_program, 0);
    fixture_run(SIM_S);
    fixture_check_accounts();
}

#ifndef FIXTURE_X86
static void ping(struct aegis_environment *environment) {
    for (unsigned i = 0; i < 5; i++) {
        for (uint32_t r = 0; r < R3000_REGISTERS; r++) {
            cpu->registers[r] = 1000 * i + r;
        }
        const sim_time from = fixture_now();
        const uint64_t instructions = cpu->counters.instructions;
        cr_expect_eq(aegis_transfer(environment, server->environment->number, AEGIS_SYNCHRONOUS), OK);
        const uint64_t back = fixture_cycles(time_at_entry);
        returned++;
        cr_expect_eq(instructions_at_entry - instructions, CALL_INSTRUCTIONS + 30, "30 instructions one way");
        cr_expect_eq(sim_clock_cycles(core_clock(aegis->core), time_at_entry - from),
                     CALL_INSTRUCTIONS + EXCEPTION_CYCLES + 30);
        cr_expect_eq(back, CALL_INSTRUCTIONS + EXCEPTION_CYCLES + 30);
        cr_expect_eq(cpu->registers[R3000_V0], 2 * 1000 * i + R3000_A0 + R3000_A3);
        cr_expect_eq(cpu->registers[R3000_T0], 1000 * i + R3000_T0, "the kernel touches no register");
    }
}
Test(TRANSFER_SUITE, registers_are_the_message_and_it_takes_30_instructions) {
    run_client(ping);
    cr_expect_eq(entered, 5);
    cr_expect_eq(returned, 5);
    cr_expect_eq(aegis->counters.transfers, 10);
    cr_expect_gt(server->used, 0, "in its client's slice");
}
#endif

static void nobody(struct aegis_environment *environment) {
    cr_expect_eq(aegis_transfer(environment, 999, AEGIS_SYNCHRONOUS), ERR_NOT_FOUND);
    cr_expect_eq(aegis_transfer(environment, environment->environment->number, AEGIS_SYNCHRONOUS), ERR_NOT_FOUND);
    cr_expect_eq(aegis_transfer(environment, closed->environment->number, AEGIS_SYNCHRONOUS), ERR_NOT_FOUND);
    returned++;
    cr_expect(aegis->machine->is_user(aegis));
    cr_expect_eq(aegis->current, environment);
}
Test(TRANSFER_SUITE, one_to_nobody_comes_back) {
    run_client(nobody);
    cr_expect_eq(returned, 1);
}

/* ---- waiting for an entry ---- */

static struct aegis_environment *waiting;
static unsigned served;
static void wait_main(struct aegis_environment *environment) {
    aegis_wait(environment);
    for (;;) {
        served++;
        (void)aegis_transfer(environment, client->environment->number, AEGIS_SYNCHRONOUS);
    }
}
static void ask_twice(struct aegis_environment *environment) {
    (void)aegis_yield(environment, waiting); /* it reaches its wait */
    for (unsigned i = 0; i < 2; i++) {
        cr_expect_eq(aegis_transfer(environment, waiting->environment->number, AEGIS_SYNCHRONOUS), OK);
    }
    returned = 1;
}
Test(TRANSFER_SUITE, a_context_that_waits_is_entered_where_it_waits) {
    static const struct aegis_program waits = {.name = "waiting", .main = wait_main};
    static const struct aegis_program asks = {.name = "asks", .main = ask_twice, .notice = fixture_obey};
    fixture_make();
    client = fixture_environment("client", &asks, 1);
    waiting = fixture_environment("waiting", &waits, 0);
    fixture_run(SIM_S);
    cr_expect_eq(served, 2);
    cr_expect_eq(returned, 1);
    fixture_check_accounts();
}

/* ---- whose slices ---- */

static void long_work(struct aegis_environment *environment) {
    entered++;
    fixture_compute(environment, 100 * SIM_MS);
    (void)aegis_transfer(environment, client->environment->number, AEGIS_SYNCHRONOUS);
}
static enum aegis_transfer_kind how;
static void delegate(struct aegis_environment *environment) {
    cr_expect_eq(aegis_transfer(environment, server->environment->number, how), OK);
    returned++;
    fixture_compute(environment, SIM_S);
}
static void spin(struct aegis_environment *environment) {
    for (;;) {
        fixture_compute(environment, SIM_MS);
    }
}
static sim_time run_delegation(enum aegis_transfer_kind kind) {
    static const struct aegis_program works = {.name = "server", .entered = long_work, .notice = fixture_obey};
    static const struct aegis_program delegates = {.name = "client", .main = delegate, .notice = fixture_obey};
    static const struct aegis_program spins = {.name = "other", .main = spin, .notice = fixture_obey};
    how = kind;
    fixture_make();
    client = fixture_environment("client", &delegates, 1);
    server = fixture_environment("server", &works, 0);
    (void)fixture_environment("other", &spins, 1);
    fixture_run(160 * SIM_MS);
    fixture_check_accounts();
    return server->used;
}
Test(TRANSFER_SUITE, synchronous_gives_slices_to_come_until_control_returns) {
    const sim_time used = run_delegation(AEGIS_SYNCHRONOUS);
    cr_expect(used > 70 * SIM_MS && used < 90 * SIM_MS, "half of the time: %llu us",
              (unsigned long long)(used / SIM_US));
    cr_expect_eq(returned, 0, "its work is not done");
}
Test(TRANSFER_SUITE, asynchronous_gives_what_is_left_of_the_slice) {
    const sim_time used = run_delegation(AEGIS_ASYNCHRONOUS);
    cr_expect(used > 15 * SIM_MS && used < 16 * SIM_MS, "a slice: %llu us", (unsigned long long)(used / SIM_US));
    cr_expect_eq(returned, 1, "the caller goes on in its own");
}

/* ---- a callee that ends ---- */

static void die(struct aegis_environment *environment) {
    entered++;
    aegis_exit(environment);
}
static void trusting(struct aegis_environment *environment) {
    cr_expect_eq(aegis_transfer(environment, server->environment->number, AEGIS_SYNCHRONOUS), ERR_FAULT);
    returned++;
}
Test(TRANSFER_SUITE, a_callee_that_ends_gives_its_caller_back) {
    static const struct aegis_program dies = {.name = "server", .entered = die};
    static const struct aegis_program trusts = {.name = "client", .main = trusting, .notice = fixture_obey};
    fixture_make();
    client = fixture_environment("client", &trusts, 1);
    server = fixture_environment("server", &dies, 0);
    fixture_run(SIM_S);
    cr_expect_eq(entered, 1);
    cr_expect_eq(returned, 1);
    cr_expect_eq(aegis->destroyed, 1);
    fixture_check_accounts();
}

/* ---- the request goes along ---- */

static struct ledger *ledger;
static void with_request(struct aegis_environment *environment) {
    struct request *request = ledger_begin(ledger, system_components.app, LEDGER_SERVICE, fixture_now());
    environment->request = request;
    cr_expect_eq(aegis_transfer(environment, server->environment->number, AEGIS_SYNCHRONOUS), OK);
    cr_expect_eq(environment->request, request, "and comes back");
    cpu_run(context_current());
    ledger_end(environment->request, system_components.app, sim_now());
    environment->request = NULL;
}
Test(TRANSFER_SUITE, the_request_goes_with_the_message) {
    ledger = ledger_create("requests");
    ledger_record(ledger, true);
    run_client(with_request);
    cr_expect_eq(ledger_completed(ledger), 1);
    cr_expect_eq(ledger_audit(ledger, sim_now()), 0);
#ifndef FIXTURE_X86
    const sim_time cycle = 40 * SIM_NS;
    cr_expect_eq(ledger_sum(ledger, aegis_components.transfer, LEDGER_SERVICE), 60 * cycle);
    cr_expect_eq(ledger_sum(ledger, aegis_components.trap, LEDGER_SERVICE), 2 * EXCEPTION_CYCLES * cycle);
    cr_expect_eq(ledger_sum(ledger, system_components.app, LEDGER_SERVICE), 2 * CALL_INSTRUCTIONS * cycle);
#endif
}
