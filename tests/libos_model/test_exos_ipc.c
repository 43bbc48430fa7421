/* test_exos_ipc.c: words through a pipe, a counter by turns, registers across a call. */
#include "tests/libos_model/exos_fixture.h"

enum { ROUNDS = 2000, BURST = EXOS_RING_BYTES / 4 + 40, SECRET = 0x5eed, CLOBBERED = 0xbad };

static struct exos_ipc_costs ipc_costs;
static struct exos_costs exos_costs;
static struct exos_ipc near, far;
static unsigned finished;
static uint32_t received;
static enum error_code (*connect)(struct exos_ipc *first, struct exos_ipc *second,
                                  struct error *error) = exos_ipc_connect;

static void on_notice(struct aegis_environment *environment, enum aegis_notice notice) {
    if (notice == AEGIS_SLICE_END) {
        exos_slice_end(environment, &exos_costs);
    }
}

static void run(const struct aegis_program *first, const struct aegis_program *second) {
    struct error error = {OK, ""};
    fixture_make();
    exos_fixture_costs("exos-ipc-1995.yaml", exos_ipc_cost_params, &ipc_costs);
    exos_fixture_costs("exos-1995.yaml", exos_cost_params, &exos_costs);
    struct aegis_environment *alice = fixture_environment(first->name, first, 1);
    struct aegis_environment *bob = fixture_environment(second->name, second, 0);
    near = (struct exos_ipc){.environment = alice, .costs = &ipc_costs, .shared = EXOS_SHARED_AT};
    far = (struct exos_ipc){.environment = bob, .costs = &ipc_costs};
    cr_assert_eq(connect(&near, &far, &error), OK, "%s", error.text);
    fixture_run(2 * SIM_S);
    fixture_check_accounts();
    cr_expect_eq(near.depth, 0);
}

/* ---- a pipe ---- */

static void send_numbers(struct aegis_environment *environment) {
    (void)environment;
    uint32_t burst[BURST / 2];
    for (uint32_t i = 0; i < ROUNDS; i++) {
        exos_pipe_write(&near, EXOS_SHARED_REQUESTS, &i, 1);
    }
    for (uint32_t i = 0; i < BURST / 2; i++) {
        burst[i] = ROUNDS + i;
    }
    exos_pipe_write(&near, EXOS_SHARED_REQUESTS, burst, BURST / 2); /* one that takes several rounds of the ring */
    exos_pipe_write(&near, EXOS_SHARED_REQUESTS, burst, BURST / 2);
    uint32_t answer = 0;
    (void)exos_pipe_read(&near, EXOS_SHARED_REPLIES, &answer, 1);
    cr_expect_eq(answer, SECRET);
    finished++;
}

static void receive_numbers(struct aegis_environment *environment) {
    (void)environment;
    for (; received < ROUNDS; received++) {
        uint32_t word = UINT32_MAX;
        cr_assert_eq(exos_pipe_read(&far, EXOS_SHARED_REQUESTS, &word, 1), 1);
        cr_assert_eq(word, received, "%u for %u", word, received);
    }
    for (unsigned got = 0; got < BURST / 2 * 2;) {
        uint32_t words[16];
        const uint32_t count = exos_pipe_read(&far, EXOS_SHARED_REQUESTS, words, 16);
        for (uint32_t i = 0; i < count; i++, got++) {
            cr_assert_eq(words[i], ROUNDS + got % (BURST / 2));
        }
    }
    const uint32_t answer = SECRET;
    exos_pipe_write(&far, EXOS_SHARED_REPLIES, &answer, 1);
    for (;;) {
        exos_ipc_yield(&far);
    }
}
Test(exos_ipc, a_pipe_keeps_words_and_order_and_waits_when_it_is_full) {
    static const struct aegis_program sender = {.name = "sender", .main = send_numbers, .notice = on_notice};
    static const struct aegis_program receiver = {.name = "receiver", .main = receive_numbers, .notice = on_notice};
    run(&sender, &receiver);
    cr_expect_eq(finished, 1);
    cr_expect_eq(received, ROUNDS);
    cr_expect_gt(far.yields, ROUNDS / (EXOS_RING_BYTES / 4) - 1);
}

/* ---- a counter ---- */

#ifndef FIXTURE_X86
static unsigned misses;
static enum aegis_resume on_miss(struct aegis_environment *environment, const struct aegis_exception *exception) {
    misses++;
    cr_assert(exos_ipc_fault(environment == near.environment ? &near : &far, exception));
    return AEGIS_RETRY;
}
#endif

static void count_even(struct aegis_environment *environment) {
    uint32_t counter = 0;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        exos_counter_take(&near, false);
        exos_ipc_yield(&near);
        (void)aegis_user_load(environment, EXOS_SHARED_AT + EXOS_SHARED_COUNTER, 4, &counter);
        cr_assert_eq(counter, 2 * (i + 1), "the other did not count");
    }
    finished++;
}
static void count_odd(struct aegis_environment *environment) {
    (void)environment;
    for (;;) {
        exos_counter_take(&far, true);
    }
}
Test(exos_ipc, a_counter_is_counted_on_by_turns) {
    static const struct aegis_program even = {.name = "even", .main = count_even, .notice = on_notice};
    static const struct aegis_program odd = {.name = "odd", .main = count_odd, .notice = on_notice};
    run(&even, &odd);
    cr_expect_eq(finished, 1);
    cr_expect_eq(near.yields, ROUNDS, "one yield a turn");
}

/* ---- calls ---- */

static void clobber(struct aegis_environment *environment) {
    const struct aegis_registers *names = aegis_register_names(environment);
    do {
        for (unsigned i = 0; i < names->saved_count; i++) {
            aegis_set_register(environment, names->saved[i], CLOBBERED);
        }
    } while (exos_reply(&far) == OK);
}

static uint64_t call_once(struct aegis_environment *environment, bool trusting) {
    const sim_time from = fixture_now();
    aegis_set_register(environment, aegis_register_names(environment)->saved[1], SECRET);
    cr_assert_eq(exos_call(&near, 1, trusting), OK);
    return fixture_cycles(from);
}

static void call_both_ways(struct aegis_environment *environment) {
    const unsigned kept = aegis_register_names(environment)->saved[1];
    (void)call_once(environment, false); /* the stack's page comes into the TLB */
    const uint64_t careful = call_once(environment, false);
    cr_expect_eq(aegis_register(environment, kept), SECRET, "a register that was to be kept is lost");
    const uint64_t trusting = call_once(environment, true);
    cr_expect_eq(aegis_register(environment, kept), CLOBBERED, "who trusts finds what the server left");
    cr_expect_geq(careful, trusting + 2 * (uint64_t)aegis_register_names(environment)->saved_count,
                  "registers were stored and loaded");
    finished++;
}
Test(exos_ipc, a_call_that_does_not_trust_keeps_its_registers) {
    static const struct aegis_program client = {.name = "client", .main = call_both_ways, .notice = on_notice};
    static const struct aegis_program server = {.name = "server", .entered = clobber};
    run(&client, &server);
    cr_expect_eq(finished, 1);
}

#ifndef FIXTURE_X86
/* Nothing but the hardware's TLB remembers a page, and it is emptied by and by. */
static void count_and_evict(struct aegis_environment *environment) {
    for (uint32_t i = 0; i < ROUNDS / 10; i++) {
        exos_counter_take(&near, false);
        exos_ipc_yield(&near);
        for (unsigned entry = 0; entry < R3000_TLB_ENTRIES_MAX; entry++) {
            environment->aegis->r3000->tlb[entry] = (struct r3000_tlb_entry){R3000_KSEG0 | entry << R3000_PAGE_BITS, 0};
        }
    }
    finished++;
}
Test(exos_ipc, what_the_tlb_has_lost_is_bound_again) {
    static const struct aegis_program even = {
        .name = "even", .main = count_and_evict, .exception = on_miss, .notice = on_notice};
    static const struct aegis_program odd = {
        .name = "odd", .main = count_odd, .exception = on_miss, .notice = on_notice};
    config.stlb_entries = 0;
    run(&even, &odd);
    cr_expect_eq(finished, 1);
    cr_expect_gt(misses, 2 * (ROUNDS / 10));
}

#endif

/* ---- a pipe between two who do not trust each other ---- */

static void stop(struct aegis_environment *environment) {
    (void)environment;
    for (;;) {
        exos_ipc_yield(&far);
    }
}

static enum aegis_resume skip_theirs(struct aegis_environment *environment, const struct aegis_exception *exception) {
    struct exos_ipc *own = environment == near.environment ? &near : &far;
    return exos_ipc_fault(own, exception) ? AEGIS_RETRY : fixture_skip(environment, exception);
}

static void read_from_a_stranger(struct aegis_environment *environment) {
    uint32_t words[4] = {1, 2, 3, 4};
    cr_expect_not(aegis_user_store(environment, near.theirs + EXOS_SHARED_REPLIES, 4, 8),
                  "the other's page can be written");
    exos_pipe_write(&near, EXOS_SHARED_REQUESTS, words, 4);
    uint32_t answer = 0; /* not what a head that cannot be would show */
    cr_expect_eq(exos_pipe_read(&near, EXOS_SHARED_REPLIES, &answer, 1), 1);
    cr_expect_eq(answer, SECRET);
    finished++;
}

/* More than a ring holds, then what is true. */
static void lie(struct aegis_environment *environment) {
    const uint32_t secret = SECRET;
    uint32_t words[4] = {0};
    cr_expect_eq(exos_pipe_read(&far, EXOS_SHARED_REQUESTS, words, 4), 4);
    cr_expect(words[0] == 1 && words[3] == 4);
    cr_expect(aegis_user_store(environment, far.shared + EXOS_SHARED_REPLIES, 4, EXOS_RING_BYTES + 4));
    exos_ipc_yield(&far);
    cr_expect_eq(near.refused, 1);
    cr_expect(aegis_user_store(environment, far.shared + EXOS_SHARED_REPLIES, 4, 0));
    exos_pipe_write(&far, EXOS_SHARED_REPLIES, &secret, 1);
    stop(environment);
}
Test(exos_ipc, a_pipe_of_strangers_is_not_written_by_the_other_and_refuses_a_lie) {
    static const struct aegis_program reader = {
        .name = "reader", .main = read_from_a_stranger, .exception = skip_theirs, .notice = on_notice};
    static const struct aegis_program liar = {
        .name = "liar", .main = lie, .exception = skip_theirs, .notice = on_notice};
    connect = exos_ipc_connect_apart;
    run(&reader, &liar);
    cr_expect_eq(finished, 1);
    cr_expect_eq(near.refused, 1);
    cr_expect_eq(far.refused, 0);
}
Test(exos_ipc, a_pipe_of_strangers_keeps_words_and_order_and_waits_when_it_is_full) {
    static const struct aegis_program sender = {.name = "sender", .main = send_numbers, .notice = on_notice};
    static const struct aegis_program receiver = {.name = "receiver", .main = receive_numbers, .notice = on_notice};
    connect = exos_ipc_connect_apart;
    run(&sender, &receiver);
    cr_expect_eq(finished, 1);
    cr_expect_eq(received, ROUNDS);
    cr_expect_eq(near.refused + far.refused, 0);
    cr_expect_gt(ipc_costs.ring_check.uses, 2 * ROUNDS);
}

/* ---- a client that trusts its server, which does not trust it ---- */

enum { TABLE = 16, WITHIN = 3, BEYOND = 0x10000 };

static uint32_t word_at(const struct exos_ipc *ipc, uint32_t address) {
    uint32_t word = 0;
    cr_expect(aegis_user_load(ipc->environment, address, 4, &word));
    return word;
}

static void put_word(const struct exos_ipc *ipc, uint32_t address, uint32_t word) {
    cr_expect(aegis_user_store(ipc->environment, address, 4, word));
}

/* Says that more is in the ring than it holds, and half a word; then sends an index that is
 * within the server's table, and puts one beyond it into its place while the server waits. */
static void client_lies(struct aegis_environment *environment) {
    (void)environment;
    const uint32_t requests = near.shared + EXOS_SHARED_REQUESTS;
    const uint32_t lies[] = {EXOS_RING_BYTES + 4, 2, UINT32_MAX - 3};
    for (uint32_t i = 0; i < 3; i++) {
        put_word(&near, requests, lies[i]);
        exos_ipc_yield(&near);
        cr_expect_eq(far.refused, i + 1, "a head of %u was believed", lies[i]);
    }
    put_word(&near, requests, 0);
    const uint32_t index = WITHIN;
    exos_pipe_write(&near, EXOS_SHARED_REQUESTS, &index, 1);
    exos_ipc_yield(&near); /* it has checked */
    put_word(&near, requests + 8, BEYOND);
    uint32_t answer = 0;
    cr_expect_eq(exos_pipe_read(&near, EXOS_SHARED_REPLIES, &answer, 1), 1);
    cr_expect_eq(answer, WITHIN);
    finished++;
}

static uint32_t used;
static void serve_one(struct aegis_environment *environment) {
    (void)environment;
    uint32_t index = 0;
    cr_expect_eq(exos_pipe_read(&far, EXOS_SHARED_REQUESTS, &index, 1), 1);
    cr_expect_lt(index, TABLE, "it is checked");
    exos_ipc_yield(&far);
    cr_expect_eq(word_at(&far, far.theirs + EXOS_SHARED_REQUESTS + 8), BEYOND, "the client did not change it");
    used = index;
    exos_pipe_write(&far, EXOS_SHARED_REPLIES, &index, 1);
    stop(environment);
}
Test(exos_ipc, a_server_that_does_not_trust_survives_a_client_that_lies) {
    static const struct aegis_program client = {
        .name = "client", .main = client_lies, .exception = skip_theirs, .notice = on_notice};
    static const struct aegis_program server = {
        .name = "server", .main = serve_one, .exception = skip_theirs, .notice = on_notice};
    connect = exos_ipc_connect_one_way;
    run(&client, &server);
    cr_expect_eq(finished, 1);
    cr_expect_eq(used, WITHIN);
    cr_expect_eq(near.refused, 0, "who trusts checks nothing");
}

/* The same lies the other way round: the client takes what is not there, and what it has
 * checked in the server's page it finds changed. */
static void client_trusts(struct aegis_environment *environment) {
    cr_expect_not(aegis_user_store(environment, near.theirs + EXOS_SHARED_REPLIES, 4, 8),
                  "the server's page can be written");
    uint32_t answers[2] = {SECRET, SECRET};
    cr_expect_eq(exos_pipe_read(&near, EXOS_SHARED_REPLIES, answers, 2), 2);
    cr_expect(answers[0] == 0 && answers[1] == 0, "words that nobody has written");
    const uint32_t in_place = near.theirs + EXOS_SHARED_REPLIES + 8;
    exos_ipc_yield(&near);
    cr_expect_lt(word_at(&near, in_place), TABLE, "it is checked");
    exos_ipc_yield(&near);
    used = word_at(&near, in_place);
    finished++;
}

static void server_lies(struct aegis_environment *environment) {
    const uint32_t replies = far.shared + EXOS_SHARED_REPLIES;
    cr_expect_not(aegis_user_store(environment, far.theirs + EXOS_SHARED_REQUESTS, 4, 8),
                  "the client's page can be written");
    put_word(&far, replies, EXOS_RING_BYTES + 8);
    exos_ipc_yield(&far);
    put_word(&far, replies + 8, WITHIN);
    exos_ipc_yield(&far);
    put_word(&far, replies + 8, BEYOND);
    stop(environment);
}
Test(exos_ipc, a_client_that_trusts_falls_with_a_server_that_lies) {
    static const struct aegis_program client = {
        .name = "client", .main = client_trusts, .exception = skip_theirs, .notice = on_notice};
    static const struct aegis_program server = {
        .name = "server", .main = server_lies, .exception = skip_theirs, .notice = on_notice};
    connect = exos_ipc_connect_one_way;
    run(&client, &server);
    cr_expect_eq(finished, 1);
    cr_expect_eq(used, BEYOND);
}

Test(exos_ipc, a_pipe_of_one_way_trust_keeps_words_and_order_and_checks_on_one_side) {
    static const struct aegis_program sender = {.name = "sender", .main = send_numbers, .notice = on_notice};
    static const struct aegis_program receiver = {.name = "receiver", .main = receive_numbers, .notice = on_notice};
    connect = exos_ipc_connect_one_way;
    run(&sender, &receiver);
    cr_expect_eq(finished, 1);
    cr_expect_eq(received, ROUNDS);
    cr_expect_eq(near.refused + far.refused, 0);
    cr_expect_geq(ipc_costs.ring_check.uses, ROUNDS, "the receiver's checks");
    cr_expect_lt(ipc_costs.ring_check.uses, 2 * ROUNDS, "and the sender's, too");
}
