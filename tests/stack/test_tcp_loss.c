/* test_tcp_loss.c: whatever the network does, the stream arrives as it was sent. */
#include "tests/stack/tcp_fixture.h"

static uint64_t lost_at; /* the number of the client's data segment that is lost */
static uint64_t data_segments;
static unsigned losses;

static unsigned lose_one(unsigned from, const struct net_tcp *header, uint64_t number, sim_time *delay) {
    (void)number;
    (void)delay;
    return from == 0 && header->payload_bytes > 0 && data_segments++ == lost_at ? 0 : 1;
}

/* Three duplicates tell of a loss in a round trip, long before the timer. */
Test(tcp_loss, a_hole_is_filled_by_fast_retransmit) {
    open_both(1, 1);
    fate = lose_one;
    lost_at = 3;
    write_bytes(0, 0, 10 * 1460);
    pump(0);
    run_for(10 * SIM_MS);
    check_received(1, 10 * 1460);
    cr_assert_eq(ends[0].counters.fast_retransmits, 1U);
    cr_assert_eq(ends[0].counters.retransmissions, 1U);
    cr_assert_eq(ends[0].counters.timeouts, 0U);
    cr_assert_eq(ends[1].counters.out_of_order, 6U);
    cr_assert_eq(ends[0].connection.congestion_window, ends[0].connection.slow_start_threshold);
    cr_assert_eq(ends[0].connection.slow_start_threshold, 7U * 1460U / 2, "half of the seven in flight then");
}

/* The last one has no duplicates behind it: the timer alone finds it. */
Test(tcp_loss, a_lost_tail_waits_for_the_timer) {
    open_both(1, 1);
    write_bytes(0, 0, 100);
    pump(0);
    run_for(SIM_S); /* a round trip was measured: the timeout is the least */
    fate = lose_one;
    lost_at = 0;
    write_bytes(0, 100, 100);
    const sim_time sent = now;
    pump(0);
    cr_assert_eq(tcp_deadline(&ends[0].connection), sent + 200 * SIM_MS);
    run_for(199 * SIM_MS);
    cr_assert_eq(ends[1].received_bytes, 100U);
    run_for(2 * SIM_MS);
    check_received(1, 200);
    cr_assert_eq(ends[0].counters.timeouts, 1U);
    cr_assert_eq(ends[0].connection.congestion_window, 1460U, "one segment: it is not acknowledged yet");
}

static unsigned lose_some_times(unsigned from, const struct net_tcp *header, uint64_t number, sim_time *delay) {
    (void)number;
    (void)delay;
    if (from == 0 && header->payload_bytes > 0 && losses > 0) {
        losses--;
        return 0;
    }
    return 1;
}

Test(tcp_loss, the_timeout_doubles_each_time) {
    open_both(1, 1);
    write_bytes(0, 0, 100);
    pump(0);
    run_for(SIM_S);
    fate = lose_some_times;
    losses = 4;
    write_bytes(0, 100, 100);
    pump(0);
    run_for((200 + 400 + 800 + 1600) * SIM_MS - SIM_MS);
    cr_assert_eq(ends[1].received_bytes, 100U);
    run_for(2 * SIM_MS);
    check_received(1, 200);
    cr_assert_eq(ends[0].counters.timeouts, 4U);
}

Test(tcp_loss, a_dead_peer_is_given_up) {
    open_both(1, 1);
    ends[0].config.retries = 3;
    fate = lose_some_times;
    losses = UINT32_MAX;
    write_bytes(0, 0, 100);
    pump(0);
    run_for(100 * SIM_S);
    cr_assert((ends[0].outcomes & TCP_ABORTED) != 0);
    cr_assert_eq(ends[0].connection.state, TCP_CLOSED);
    cr_assert_eq(ends[0].counters.retransmissions, 3U);
}

/* ---- any pattern ---- */

static unsigned loss_percent, reorder_percent, double_percent;

static unsigned at_random(unsigned from, const struct net_tcp *header, uint64_t number, sim_time *delay) {
    (void)from;
    (void)header;
    (void)number;
    *delay = draw() % 100 < reorder_percent ? draw() % 200 * SIM_US : 0;
    if (draw() % 100 < loss_percent) {
        return 0;
    }
    return draw() % 100 < double_percent ? 2 : 1;
}

/* Both directions at once, then both close; nothing may be left over. */
static void transfer(uint64_t seed, uint32_t bytes, uint32_t first_sequence) {
    memset(ends, 0, sizeof ends);
    fate_seed = seed;
    fate = at_random;
    make_ends(first_sequence, first_sequence + 12345);
    for (unsigned i = 0; i < 2; i++) {
        ends[i].config.rto_initial = 10 * SIM_MS;
        ends[i].config.rto_minimum = SIM_MS;
        ends[i].config.rto_maximum = SIM_S;
        ends[i].config.retries = 100;
        ends[i].config.delayed_ack = 500 * SIM_US;
    }
    pump(0);
    while (!tcp_can_send(&ends[0].connection) || !tcp_can_send(&ends[1].connection)) {
        cr_assert(step(now + 1000 * SIM_S), "seed %llu: the handshake stands still", (unsigned long long)seed);
    }
    for (unsigned i = 0; i < 2; i++) {
        write_bytes(i, 0, bytes);
        tcp_close(&ends[i].connection);
        pump(i);
    }
    run_for(2000 * SIM_S);
    for (unsigned i = 0; i < 2; i++) {
        check_received(i, bytes);
        cr_assert_eq(ends[i].connection.state, TCP_CLOSED, "seed %llu: end %u is in state %d", (unsigned long long)seed,
                     i, (int)ends[i].connection.state);
        cr_assert_eq(ends[i].pieces, 0U, "seed %llu: end %u keeps %u pieces", (unsigned long long)seed, i,
                     ends[i].pieces);
    }
    cr_assert_eq(flight_count, 0U);
}

Test(tcp_loss, any_pattern_of_loss_delivers_the_stream) {
    for (uint64_t seed = 1; seed <= 150; seed++) {
        loss_percent = (unsigned)(seed % 31);
        reorder_percent = 0;
        double_percent = 0;
        transfer(seed, 1 + (uint32_t)(seed * 761 % 90000), (uint32_t)seed);
    }
}

Test(tcp_loss, any_order_delivers_the_stream) {
    for (uint64_t seed = 1; seed <= 150; seed++) {
        loss_percent = 0;
        reorder_percent = (unsigned)(seed % 60);
        double_percent = (unsigned)(seed % 20);
        transfer(seed, 1 + (uint32_t)(seed * 761 % 90000), (uint32_t)seed);
    }
}

Test(tcp_loss, all_of_it_at_once_and_across_the_wrap) {
    for (uint64_t seed = 1; seed <= 150; seed++) {
        loss_percent = 10;
        reorder_percent = 20;
        double_percent = 5;
        transfer(seed, 1 + (uint32_t)(seed * 761 % 90000), UINT32_MAX - (uint32_t)(seed * 97 % 90000));
    }
}

/* Each single segment lost, one after the other. */
Test(tcp_loss, every_single_loss_is_recovered_from) {
    for (lost_at = 0; lost_at < 40; lost_at++) {
        memset(ends, 0, sizeof ends);
        fate = NULL;
        open_both(1, 1);
        data_segments = 0;
        fate = lose_one;
        write_bytes(0, 0, 40 * 1460);
        pump(0);
        run_for(5 * SIM_S);
        check_received(1, 40 * 1460);
        cr_assert_eq(ends[0].counters.retransmissions, 1U, "lost %llu: %llu retransmissions",
                     (unsigned long long)lost_at, (unsigned long long)ends[0].counters.retransmissions);
    }
}
