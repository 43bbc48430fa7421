/* test_ultrix.c: the monolithic kernel: calls, signals, protection, pipes. */
#include "kernel_model/ultrix/ultrix.h"
#include "tests/kernel_model/ultrix_fixture.h"

enum { PAGES = 80, ROUNDS = 300, SECRET = 0x5eed };

static struct ultrix_process *alice, *bob;
static struct ultrix_pipe *there, *back;
static void (*scenario)(void);
static unsigned handled;
static enum ultrix_signal last_signal;

static void alice_main(struct ultrix_process *process) {
    scenario();
    cr_expect_not(finished);
    fixture_stop(process);
}

static void bob_main(struct ultrix_process *process) {
    for (;;) {
        uint32_t words[8];
        const uint32_t count = ultrix_read(process, there, words, 8);
        ultrix_write(process, back, words, count);
    }
}

static void run(void (*what)(void)) {
    struct error error = {OK, ""};
    fixture_make(0); /* no clock */
    scenario = what;
    alice = fixture_process("alice", alice_main, NULL);
    bob = fixture_process("bob", bob_main, NULL);
    there = ultrix_pipe_create(ultrix);
    back = ultrix_pipe_create(ultrix);
    cr_assert_eq(ultrix_data_grow(alice, PAGES, &error), OK);
    cr_assert_eq(ultrix_share(alice, bob, &error), OK);
    fixture_run(alice, 10 * SIM_S);
    cr_expect(finished);
}

static uint64_t cycles_since(sim_time from) {
    cpu_run(context_current());
    return sim_clock_cycles(core_clock(cpu->core), sim_now() - from);
}
static sim_time now(void) {
    cpu_run(context_current());
    return sim_now();
}
static bool load(uint64_t page, uint32_t *value) {
    return r3000_load(cpu, ULTRIX_DATA_AT + (uint32_t)page * ULTRIX_PAGE, 4, value);
}
static bool store(uint64_t page, uint32_t value) {
    return r3000_store(cpu, ULTRIX_DATA_AT + (uint32_t)page * ULTRIX_PAGE, 4, value);
}
static enum r3000_resume count(struct ultrix_process *process, enum ultrix_signal signal, uint32_t address) {
    (void)process, (void)address;
    handled++;
    last_signal = signal;
    return R3000_SKIP;
}

/* ---- system calls: registers are saved and are what they were ---- */

static void call(void) {
    cpu->registers[R3000_SP] = SECRET;
    cr_expect_eq(ultrix_getpid(alice), alice->asid);
    cr_expect_eq(cpu->registers[R3000_SP], SECRET);
    cr_expect(r3000_is_user(cpu));
    const uint64_t before = cpu->counters.stores;
    (void)ultrix_getpid(alice);
    cr_expect_geq(cpu->counters.stores - before, 37, "a frame with all registers");
}
Test(ultrix, a_call_saves_all_registers_and_restores_them) {
    run(call);
}

/* ---- signals ---- */

static void overflow(void) {
    int32_t sum = 0;
    alice->handler = count;
    cpu->registers[R3000_SP] = SECRET;
    cr_expect_not(r3000_add(cpu, INT32_MAX, 1, &sum));
    cr_expect_eq(handled, 1);
    cr_expect_eq(last_signal, ULTRIX_SIGFPE);
    cr_expect_eq(cpu->registers[R3000_SP], SECRET, "sigreturn brings the registers back");
    cr_expect(r3000_is_user(cpu));
    cr_expect_eq(alice->pending, 0);
    cr_expect_eq(ultrix->counters.system_calls, 1, "sigreturn");
}
Test(ultrix, an_overflow_is_a_signal_and_a_system_call_to_return) {
    run(overflow);
}

/* ---- protection ---- */

static enum r3000_resume unprotect(struct ultrix_process *process, enum ultrix_signal signal, uint32_t address) {
    cr_assert_eq(signal, ULTRIX_SIGSEGV);
    handled++;
    cr_expect_eq(ultrix_mprotect(process, address, 1, ULTRIX_READ_WRITE), OK);
    return R3000_RETRY;
}

static void protection(void) {
    uint32_t value = 0;
    alice->handler = count;
    for (uint64_t i = 0; i < PAGES; i++) {
        cr_expect(store(i, 100 + (uint32_t)i));
    }
    cr_expect_eq(ultrix_mprotect(alice, ULTRIX_DATA_AT, PAGES, ULTRIX_NO_ACCESS), OK);
    for (uint64_t i = 0; i < PAGES; i++) {
        cr_expect_not(load(i, &value), "page %llu", (unsigned long long)i);
    }
    cr_expect_eq(handled, PAGES);
    cr_expect_eq(ultrix_mprotect(alice, ULTRIX_DATA_AT, PAGES, ULTRIX_READ_ONLY), OK);
    for (uint64_t i = 0; i < PAGES; i++) {
        cr_expect(load(i, &value) && value == 100 + i);
        cr_expect_not(store(i, 7));
    }
    alice->handler = unprotect;
    for (uint64_t i = 0; i < PAGES; i++) {
        cr_expect(store(i, 8) && load(i, &value) && value == 8);
    }
    cr_expect_eq(handled, 3 * PAGES);
    cr_expect_eq(ultrix_mprotect(alice, ULTRIX_DATA_AT, PAGES + 1, ULTRIX_READ_ONLY), ERR_RANGE);
    cr_expect_eq(ultrix_mprotect(alice, ULTRIX_STACK_AT, 1, ULTRIX_READ_ONLY), ERR_RANGE);
}
Test(ultrix, protection_is_the_kernels_and_a_handler_may_change_it) {
    run(protection);
}

/* Per page: the entry read and written, the TLB probed and its entry changed. */
static void batch(void) {
    for (uint64_t i = 0; i < 3; i++) {
        (void)store(i, 1);
    }
    sim_time from = now();
    (void)ultrix_mprotect(alice, ULTRIX_DATA_AT, 1, ULTRIX_NO_ACCESS);
    const uint64_t one = cycles_since(from);
    from = now();
    (void)ultrix_mprotect(alice, ULTRIX_DATA_AT, 3, ULTRIX_NO_ACCESS);
    enum { ENTRY = 2, TLB = 5 };
    cr_expect_eq(cycles_since(from) - one, 2 * (costs.protect_page.cycles + ENTRY + TLB));
}
Test(ultrix, a_page_more_takes_what_its_steps_take) {
    run(batch);
}

/* ---- pipes and signals between processes ---- */

static void ping_pong(void) {
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint32_t word = UINT32_MAX;
        ultrix_write(alice, there, &i, 1);
        cr_assert_eq(ultrix_read(alice, back, &word, 1), 1);
        cr_assert_eq(word, i);
    }
    cr_expect_eq(ultrix->counters.switches, 2 * ROUNDS);
    cr_expect_leq(ultrix->counters.wakeups, ROUNDS, "who was woken answers before the other has to wait");
    cr_expect_geq(ultrix->counters.wakeups, ROUNDS - 1);
}
Test(ultrix, a_pipe_wakes_who_sleeps_at_its_other_end) {
    run(ping_pong);
}

/* Ten times as much as fits: the writer sleeps for room. */
static void more_than_fits(void) {
    uint32_t next = 0, word = 0;
    for (uint32_t i = 0; i < 400; i++) {
        ultrix_write(alice, there, &i, 1);
    }
    while (next < 400 && ultrix_read(alice, back, &word, 1) == 1) {
        cr_assert_eq(word, next);
        next++;
    }
    cr_expect_eq(next, 400);
}
Test(ultrix, a_full_pipe_keeps_order) {
    run(more_than_fits);
}

static void wait_for_signal(struct ultrix_process *process) {
    process->handler = count;
    for (;;) {
        ultrix_sigpause(process);
        ultrix_kill(process, alice, ULTRIX_SIGUSR);
    }
}
static void signals(void) {
    bob->main = wait_for_signal;
    alice->handler = count;
    ultrix_kill(alice, bob, ULTRIX_SIGUSR);
    ultrix_sigpause(alice);
    cr_expect_eq(handled, 2, "both handlers ran");
    ultrix_kill(alice, bob, ULTRIX_SIGUSR);
    ultrix_sigpause(alice);
    cr_expect_eq(handled, 4);
}
Test(ultrix, a_signal_wakes_who_waits_for_it) {
    run(signals);
}
