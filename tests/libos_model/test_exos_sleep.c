/* test_exos_sleep.c: packets at run time: filters, rings and predicates of a running
 * environment; who sleeps until a packet has come, and when it is woken. */
#include "kernel_model/exo/aegis_sleep.h"
#include "tests/libos_model/exos_wire_fixture.h"

enum { THERE = 0x0a000002, START = 1000, SLICE_US = 15625 };

static struct exos_udp_costs udp_costs;
static struct exos_udp udp;
static struct error error;
static uint32_t received_count;
static sim_time received_at;

static void set_up(void) {
    wire_fixture_make(wire_fixture_ignore);
    exos_fixture_costs("exos-udp-1995.yaml", exos_udp_cost_params, &udp_costs);
}
TestSuite(exos_sleep, .init = set_up, .fini = wire_fixture_free);

static void prepare(struct aegis_environment *environment, bool sleeps) {
    udp = (struct exos_udp){
        .environment = environment,
        .costs = &udp_costs,
        .sleeps = sleeps,
        .remote = {.source_ip = HERE, .destination_ip = THERE, .source_port = PORT, .destination_port = PORT}};
    memcpy(udp.remote.source_mac, here, 6);
    memcpy(udp.remote.destination_mac, there, 6);
}

static void arrive(void) {
    struct net_udp header = {.source_ip = THERE, .destination_ip = HERE, .payload_bytes = FRAME - 42};
    header.source_port = header.destination_port = PORT;
    memcpy(header.source_mac, there, 6);
    memcpy(header.destination_mac, here, 6);
    struct frame *frame = frame_allocate();
    memset(frame->bytes, 0, FRAME);
    net_udp_write(frame->bytes, &header, 1, true);
    frame->length_bytes = FRAME;
    frame->request = NULL;
    (void)link_send(&far, frame, client, sim_now());
}

static void run_until_us(uint64_t us) {
    sim_run(us * SIM_US);
}

/* ---- programs ---- */

static void spin(struct aegis_environment *environment) {
    for (;;) {
        fixture_compute(environment, SIM_MS);
    }
}
static void receive(struct aegis_environment *environment) {
    uint32_t words[EXOS_DATAGRAM_WORDS];
    for (;;) {
        exos_udp_receive(&udp, words);
        received_count++;
        received_at = fixture_now();
        (void)aegis_user_work(environment, system_components.app);
    }
}
static void rest(struct aegis_environment *environment) {
    (void)environment;
}
static const struct aegis_program busy = {.name = "busy", .main = spin, .notice = fixture_obey};
static const struct aegis_program receiver = {.name = "receiver", .main = receive, .notice = fixture_obey};
static const struct aegis_program passive = {.name = "passive", .main = rest};

static struct aegis_environment *make_receiver(bool sleeps) {
    struct aegis_environment *environment = fixture_environment("receiver", &receiver, 1);
    prepare(environment, sleeps);
    cr_assert_eq(exos_udp_open(&udp, &error), OK, "%s", error.text);
    return environment;
}

/* ---- when it is woken ---- */

Test(exos_sleep, who_sleeps_alone_leaves_the_processor_idle_and_is_woken_by_its_packet) {
    const struct aegis_environment *environment = make_receiver(true);
    fixture_run(START * SIM_US);
    const sim_time asleep_since = environment->used;
    cr_expect_not_null(environment->sleeper);
    run_until_us(10000);
    cr_expect_eq(environment->used, asleep_since, "it did not run");
    arrive();
    run_until_us(10500);
    cr_expect_eq(received_count, 1);
    cr_expect_eq(environment->counters.sleeps, 2, "and sleeps again");
    cr_expect_eq(download_waiters_counters(aegis_waiters(aegis))->woken, 1);
    fixture_check_accounts();
}

Test(exos_sleep, who_polls_takes_the_processor_for_it) {
    const struct aegis_environment *environment = make_receiver(false);
    fixture_run(START * SIM_US);
    aegis_account(aegis, aegis->current);
    const sim_time from = environment->used;
    run_until_us(10000);
    aegis_account(aegis, aegis->current);
    cr_expect_gt(environment->used - from, 8 * SIM_MS);
}

/* The receiver owns the first slice of the vector, the other the second. */
Test(exos_sleep, in_its_own_slice_it_is_woken_at_once_and_in_anothers_it_waits) {
    make_receiver(true);
    struct aegis_environment *other = fixture_environment("busy", &busy, 1);
    fixture_run(START * SIM_US);
    cr_expect_eq(aegis->current, other, "the sleeper's slice is the next one's");
    run_until_us(2000);
    arrive();
    run_until_us(3000);
    cr_expect_eq(received_count, 1, "it has the rest of its slice");
    cr_expect_eq(aegis->current, other, "and sleeps again");
    cr_expect_eq(other->excess, 0, "a guest that leaves in time owes nothing");
    run_until_us(SLICE_US + 2000);
    arrive();
    run_until_us(2 * SLICE_US - 100);
    cr_expect_eq(received_count, 1, "the other's slice is the other's");
    run_until_us(2 * SLICE_US + 500);
    cr_expect_eq(received_count, 2);
    fixture_check_accounts();
}

/* A guest that does not leave is charged what it took of the slice. */
static const struct aegis_program deaf = {.name = "deaf", .main = spin};
Test(exos_sleep, a_guest_that_stays_is_charged) {
    make_receiver(true);
    const struct aegis_environment *other = fixture_environment("deaf", &deaf, 1);
    fixture_run(START * SIM_US);
    run_until_us(5000);
    arrive();
    run_until_us(SLICE_US + 500);
    cr_expect_eq(received_count, 0);
    cr_expect(other->excess > (int64_t)(10 * SIM_MS) && other->excess < (int64_t)(11 * SIM_MS), "%lld fs",
              (long long)other->excess);
    cr_expect_eq(udp.environment->owed, other->excess);
    fixture_check_accounts();
}

/* Its turns cost the kernel an evaluation each, and no switch. */
Test(exos_sleep, the_predicate_is_evaluated_when_its_turn_comes) {
    const struct aegis_environment *environment = make_receiver(true);
    (void)fixture_environment("busy", &busy, 1);
    fixture_run(START * SIM_US);
    const uint64_t before = environment->counters.predicates, slices = environment->counters.slices;
    run_until_us(10 * SLICE_US + START);
    cr_expect_geq(environment->counters.predicates - before, 5);
    cr_expect_leq(environment->counters.predicates - before, 10);
    cr_expect_eq(environment->counters.slices, slices, "it had no turn");
}

/* ---- what else wakes it ---- */

static uint64_t asked;
static void on_notice(struct aegis_environment *environment, enum aegis_notice notice) {
    if (notice == AEGIS_REVOKE) {
        asked += environment->revoke_asked;
        const struct exo_handle last = environment->frames->next->next->next->handle;
        cr_expect_eq(aegis_frame_release(environment, &last, &error), OK, "%s", error.text);
    } else {
        fixture_obey(environment, notice);
    }
}
static const struct aegis_program owner = {.name = "owner", .main = receive, .notice = on_notice};

Test(exos_sleep, a_sleeper_hears_of_a_revocation_and_sleeps_on) {
    struct aegis_environment *environment = fixture_environment("owner", &owner, 1);
    uint64_t physical = 0;
    prepare(environment, true);
    cr_assert_eq(exos_udp_open(&udp, &error), OK, "%s", error.text);
    (void)fixture_frame(environment, &physical);
    (void)fixture_environment("busy", &busy, 1);
    fixture_run(START * SIM_US);
    aegis_revoke_frames(environment, 1, 100 * SIM_MS);
    run_until_us(3 * SLICE_US);
    cr_expect_eq(asked, 1);
    cr_expect_eq(environment->revoke_asked, 0, "it has answered");
    cr_expect_eq(environment->counters.repossessed, 0);
    cr_expect_not_null(environment->sleeper, "its main sleeps on");
    cr_expect_eq(received_count, 0);
    arrive();
    run_until_us(6 * SLICE_US);
    cr_expect_eq(received_count, 1);
}

static enum error_code slept, again;
static struct exo_handle words_handle;
static void sleep_on_words(struct aegis_environment *environment) {
    static const struct download_instruction code[] = {
        {OPERATION_set, 0, 0, 0, 0}, {OPERATION_load32, 1, 0, 0, 0}, {OPERATION_return_value, 1, 0, 0, 0}};
    uint64_t physical = 0;
    cr_expect_eq(aegis_sleep(environment), ERR_NOT_FOUND, "on what?");
    words_handle = fixture_frame(environment, &physical);
    const struct download_region word = {physical, 4, false}, foreign = {aegis->globals, 4, false};
    cr_expect_eq(aegis_predicate(environment, code, 3, &foreign, 1, &error), ERR_DENIED, "the kernel's memory");
    cr_expect_eq(aegis_predicate(environment, code, 3, &word, 1, &error), OK, "%s", error.text);
    slept = aegis_sleep(environment);
    again = aegis_sleep(environment);
}
static const struct aegis_program sleeper = {.name = "sleeper", .main = sleep_on_words, .notice = fixture_obey};

Test(exos_sleep, who_loses_what_it_waits_for_is_woken_and_cannot_wait_for_it_any_more) {
    struct aegis_environment *environment = fixture_environment("sleeper", &sleeper, 1);
    slept = again = ERR_RANGE;
    fixture_run(START * SIM_US);
    cr_expect_not_null(environment->sleeper);
    exo_capability_revoke(aegis->kernel->capabilities, &words_handle);
    cr_expect_null(environment->sleeper);
    run_until_us(2 * SLICE_US);
    cr_expect_eq(slept, OK);
    cr_expect_eq(again, ERR_NOT_FOUND);
}

/* ---- filters at run time ---- */

static uint64_t opened_in;
static bool closes;
static void open_and_receive(struct aegis_environment *environment) {
    uint32_t words[EXOS_DATAGRAM_WORDS];
    const sim_time from = fixture_now();
    cr_assert_eq(exos_udp_open(&udp, &error), OK, "%s", error.text);
    opened_in = fixture_cycles(from);
    exos_udp_receive(&udp, words);
    received_count++;
    if (closes) {
        cr_expect_eq(exos_udp_close(&udp, &error), OK, "%s", error.text);
        cr_expect_eq(exos_udp_close(&udp, &error), ERR_DENIED, "once");
    }
    (void)environment;
}
static const struct aegis_program opener = {.name = "opener", .main = open_and_receive, .notice = fixture_obey};

Test(exos_sleep, a_filter_is_opened_and_closed_by_a_running_environment) {
    struct aegis_environment *environment = fixture_environment("opener", &opener, 1);
    prepare(environment, true);
    closes = true;
    fixture_run(5 * START * SIM_US);
    arrive();
    run_until_us(8 * START);
    cr_expect_eq(received_count, 1);
    cr_expect_eq(environment->environment->filters_held, 0);
    const uint64_t looked_at = 12 * network_costs.download.step[DOWNLOAD_filter_verify].cycles;
    cr_expect_gt(opened_in, looked_at, "the filter has a dozen instructions at least");
    arrive();
    run_until_us(12 * START);
    cr_expect_eq(aegis_network_counters(aegis)->unclaimed, 1, "it is nobody's any more");
    struct aegis_environment *next = fixture_environment("next", &passive, 0);
    prepare(next, false);
    cr_expect_eq(exos_udp_open(&udp, &error), OK, "and another's to have: %s", error.text);
}

/* The exact cost of downloading a predicate: a call with a stack, a check of its region and
 * five instructions. */
static uint64_t predicate_cycles, empty_cycles;
static void download_once(struct aegis_environment *environment) {
    static const struct download_instruction one[] = {{OPERATION_set, 0, 0, 0, 0},
                                                      {OPERATION_return_value, 0, 0, 0, 0}};
    uint64_t physical = 0;
    (void)fixture_frame(environment, &physical);
    const struct download_region word = {physical, 4, false};
    sim_time from = fixture_now();
    (void)aegis_number(environment, true);
    empty_cycles = fixture_cycles(from);
    from = fixture_now();
    cr_expect_eq(aegis_predicate(environment, one, 2, &word, 1, &error), OK, "%s", error.text);
    predicate_cycles = fixture_cycles(from);
}
static const struct aegis_program downloader = {.name = "downloader", .main = download_once, .notice = fixture_obey};

Test(exos_sleep, a_download_costs_a_call_its_checks_and_its_instructions) {
    enum { NUMBER_LOADS = 2 /* aegis_number's own work */ };
    (void)fixture_environment("downloader", &downloader, 1);
    fixture_run(START * SIM_US);
    cr_expect_eq(predicate_cycles, empty_cycles - NUMBER_LOADS + costs.capability_check.cycles +
                                       2 * network_costs.download.step[DOWNLOAD_code_verify].cycles);
}

Test(exos_sleep, filters_are_a_share) {
    struct exo_limits limits = exo_limits_default();
    struct exo_handle filter;
    uint64_t physical = 0;
    char text[32];
    limits.filters = 20;
    struct aegis_environment *greedy = aegis_environment_create(aegis, "greedy", &limits, &passive, NULL, &error);
    struct aegis_environment *modest = aegis_environment_create(aegis, "modest", &limits, &passive, NULL, &error);
    struct aegis_environment *both[] = {greedy, modest};
    for (uint32_t who = 0; who < 2; who++) {
        const struct exo_handle ring = fixture_frame(both[who], &physical);
        uint32_t port = 1000 * (who + 1), made = 0;
        enum error_code code = OK;
        for (; code == OK; made += code == OK) {
            (void)snprintf(text, sizeof text, "udp dst port %u", port + made);
            code = aegis_packet_bind(both[who], text, &ring, &filter, &error);
        }
        cr_expect_eq(code, ERR_SHARE, "%s", error.text);
        cr_expect_eq(made, 20);
        cr_expect_eq(both[who]->environment->counters.shares, 1);
    }
}

/* ---- a ring is memory by capability ---- */

Test(exos_sleep, a_ring_goes_with_its_frame_and_no_packet_is_written_there) {
    struct aegis_environment *mine = fixture_environment("mine", &passive, 0);
    struct aegis_environment *other = fixture_environment("other", &passive, 0);
    uint64_t physical = 0;
    struct exo_handle filter;
    const struct exo_handle ring = fixture_frame(mine, &physical);
    cr_assert_eq(aegis_packet_bind(mine, "udp dst port 7", &ring, &filter, &error), OK, "%s", error.text);
    cr_assert_eq(aegis_frame_release(mine, &ring, &error), OK, "%s", error.text);
    cr_expect_eq(mine->environment->filters_held, 0);
    cr_expect_eq(aegis_packet_release(mine, &filter, &error), ERR_DENIED, "it has ended");
    uint64_t theirs = 0;
    struct exo_handle taken;
    cr_assert_eq(aegis_frame_allocate(other, physical, AEGIS_ANY_COLOR, &taken, &theirs, &error), OK, "%s", error.text);
    fixture_run(START * SIM_US);
    arrive();
    run_until_us(2 * START);
    cr_expect_eq(aegis_network_counters(aegis)->unclaimed, 1);
    for (uint64_t at = 0; at < AEGIS_PAGE; at += 4) {
        cr_assert_eq(memory_read32(machine->memory, theirs + at), 0, "a packet was written over another's memory");
    }
}
