/* test_tcp.c: the state machine on a network that does as it should. */
#include "tests/stack/tcp_fixture.h"

Test(tcp, handshake_takes_three_segments) {
    open_both(1000, 5000);
    cr_assert_eq(ends[0].counters.segments_out, 2U); /* SYN, ACK */
    cr_assert_eq(ends[1].counters.segments_out, 1U); /* SYN and ACK */
    cr_assert_eq(ends[0].connection.mss, 1460U);
    cr_assert_eq(ends[0].connection.send_next, 1001U);
    cr_assert_eq(ends[1].connection.receive_next, 1001U);
    cr_assert_eq(ends[0].connection.receive_next, 5001U);
    cr_assert((ends[0].outcomes & TCP_OPENED) != 0 && (ends[1].outcomes & TCP_OPENED) != 0);
}

Test(tcp, the_smaller_mss_holds) {
    make_ends(1, 1);
    ends[1].config.mss_bytes = 900;
    pump(0);
    run_for(SIM_MS);
    cr_assert_eq(ends[0].connection.mss, 900U);
    cr_assert_eq(ends[1].connection.mss, 900U);
}

Test(tcp, a_lost_syn_is_sent_again_after_the_initial_timeout) {
    make_ends(1, 1);
    struct tcp_transmission out;
    cr_assert(tcp_output(&ends[0].connection, now, &out)); /* and nobody carries it */
    cr_assert_eq(tcp_deadline(&ends[0].connection), now + SIM_S);
    run_for(SIM_S - 1);
    cr_assert_eq(ends[0].connection.state, TCP_SYN_SENT);
    run_for(SIM_MS);
    cr_assert_eq(ends[0].connection.state, TCP_ESTABLISHED);
    cr_assert_eq(ends[0].counters.retransmissions, 1U);
}

/* A reply carries the request's acknowledgment; the reply's own is delayed. */
Test(tcp, acknowledgments_ride_on_data_or_wait) {
    open_both(1, 1);
    const uint64_t before[2] = {ends[0].counters.segments_out, ends[1].counters.segments_out};
    write_bytes(0, 0, 100);
    pump(0);
    run_for(one_way);
    write_bytes(1, 0, 100);
    pump(1);
    run_for(20 * SIM_MS);
    cr_assert_eq(ends[1].counters.segments_out, before[1] + 1, "the reply alone");
    cr_assert_eq(ends[0].counters.segments_out, before[0] + 1, "the request alone");
    run_for(40 * SIM_MS);
    cr_assert_eq(ends[0].counters.segments_out, before[0] + 2, "the delayed acknowledgment");
    cr_assert_eq(ends[1].connection.send_unacknowledged, ends[1].connection.send_next);
    check_received(0, 100);
    check_received(1, 100);
}

Test(tcp, every_second_segment_is_acknowledged_at_once) {
    open_both(1, 1);
    const uint64_t before = ends[1].counters.segments_out;
    write_bytes(0, 0, 4 * 1460);
    pump(0);
    run_for(one_way);
    cr_assert_eq(ends[1].counters.segments_out, before + 2);
}

Test(tcp, slow_start_doubles_in_a_round_trip) {
    open_both(1, 1);
    const uint32_t initial = ends[0].connection.congestion_window;
    cr_assert_eq(initial, 10U * 1460U);
    write_bytes(0, 0, 200 * 1460);
    pump(0);
    const uint64_t first = ends[0].counters.segments_out;
    run_for(2 * one_way);
    cr_assert_eq(ends[0].connection.congestion_window, initial + 5 * 1460, "one segment an acknowledgment of two");
    cr_assert_gt(ends[0].counters.segments_out, first);
    run_for(SIM_S);
    check_received(1, 200 * 1460);
    cr_assert_eq(ends[0].counters.retransmissions, 0U);
}

/* More data than the window: the sender stops, and goes on when the reader reads. */
Test(tcp, a_slow_reader_stops_the_sender) {
    open_both(1, 1);
    ends[1].reads = false;
    write_bytes(0, 0, 200000);
    pump(0);
    run_for(100 * SIM_MS);
    cr_assert_leq(ends[1].connection.ready_bytes, 65535U);
    cr_assert_gt(ends[1].connection.ready_bytes, 65535U - 1460U);
    ends[1].reads = true;
    pump(1);
    run_for(SIM_S);
    check_received(1, 200000);
}

static unsigned lose_updates(unsigned from, const struct net_tcp *header, uint64_t number, sim_time *delay) {
    (void)number;
    (void)delay;
    return from == 1 && header->payload_bytes == 0 && header->window_bytes > 1460 ? 0 : 1;
}

Test(tcp, a_lost_window_update_is_asked_for) {
    open_both(1, 1);
    ends[1].reads = false;
    write_bytes(0, 0, 100000);
    pump(0);
    run_for(SIM_S);
    fate = lose_updates;
    ends[1].reads = true;
    pump(1);
    fate = NULL;
    run_for(30 * SIM_S);
    check_received(1, 100000);
    cr_assert_geq(ends[0].counters.window_probes, 1U);
}

Test(tcp, closing_takes_fin_both_ways_and_time_wait) {
    open_both(1, 1);
    write_bytes(0, 0, 5000);
    tcp_close(&ends[0].connection);
    pump(0);
    run_for(SIM_MS);
    check_received(1, 5000);
    cr_assert_eq(ends[0].connection.state, TCP_FIN_WAIT_2);
    cr_assert_eq(ends[1].connection.state, TCP_CLOSE_WAIT);
    cr_assert((ends[1].outcomes & TCP_PEER_CLOSED) != 0);
    write_bytes(1, 0, 3000); /* the other way is open still */
    tcp_close(&ends[1].connection);
    pump(1);
    run_for(SIM_MS);
    check_received(0, 3000);
    cr_assert_eq(ends[1].connection.state, TCP_CLOSED);
    cr_assert_eq(ends[0].connection.state, TCP_TIME_WAIT);
    run_for(61 * SIM_S);
    cr_assert_eq(ends[0].connection.state, TCP_CLOSED);
    cr_assert_eq(ends[0].pieces + ends[1].pieces, 0U);
}

Test(tcp, both_may_close_at_once) {
    open_both(1, 1);
    tcp_close(&ends[0].connection);
    tcp_close(&ends[1].connection);
    pump(0);
    pump(1);
    run_for(SIM_MS);
    cr_assert_eq(ends[0].connection.state, TCP_TIME_WAIT);
    cr_assert_eq(ends[1].connection.state, TCP_TIME_WAIT);
}

Test(tcp, both_may_open_at_once) {
    make_ends(100, 0);
    tcp_connect(&ends[1].connection, 900);
    pump(0);
    pump(1);
    run_for(SIM_MS);
    cr_assert_eq(ends[0].connection.state, TCP_ESTABLISHED);
    cr_assert_eq(ends[1].connection.state, TCP_ESTABLISHED);
}

Test(tcp, a_reset_in_the_window_ends_it_and_one_outside_does_not) {
    open_both(1, 1);
    struct net_tcp reset = {.flags = NET_TCP_RST, .sequence = ends[1].connection.receive_next + 70000};
    struct tcp_segment segment = {.next = NULL};
    cr_assert_eq(tcp_input(&ends[1].connection, &reset, &segment, now), 0U);
    cr_assert_eq(ends[1].connection.state, TCP_ESTABLISHED);
    reset.sequence = ends[1].connection.receive_next;
    cr_assert_eq(tcp_input(&ends[1].connection, &reset, &segment, now), (unsigned)TCP_ABORTED);
    cr_assert_eq(ends[1].connection.state, TCP_CLOSED);
    cr_assert_eq(tcp_deadline(&ends[1].connection), 0U);
}

Test(tcp, what_nobody_takes_is_refused_with_the_right_numbers) {
    struct net_tcp answer;
    const struct net_tcp syn = {.flags = NET_TCP_SYN, .sequence = 77, .source_port = 5, .destination_port = 9};
    cr_assert(tcp_refuse(&syn, &answer));
    cr_assert_eq(answer.flags, NET_TCP_RST | NET_TCP_ACK);
    cr_assert_eq(answer.acknowledgment, 78U);
    cr_assert_eq(answer.source_port, 9);
    const struct net_tcp data = {.flags = NET_TCP_ACK, .sequence = 1, .acknowledgment = 4711, .payload_bytes = 10};
    cr_assert(tcp_refuse(&data, &answer));
    cr_assert_eq(answer.flags, NET_TCP_RST);
    cr_assert_eq(answer.sequence, 4711U);
    cr_assert_not(tcp_refuse(&answer, &answer), "a RST gets no answer");
}

/* Nothing that a peer sends may break an invariant: ASan and SIM_ASSERT watch. */
Test(tcp, random_segments_do_no_harm) {
    for (uint64_t seed = 1; seed <= 200; seed++) {
        fate_seed = seed;
        flight_count = 0;
        open_both(draw(), draw());
        write_bytes(0, 0, 20000);
        for (unsigned i = 0; i < 300; i++) {
            struct end *end = &ends[draw() % 2];
            struct flying wild = {.to = (unsigned)(end - ends)};
            wild.header = (struct net_tcp){.sequence = end->connection.receive_next + draw() % 100000 - 50000,
                                           .acknowledgment = end->connection.send_next + draw() % 20000 - 10000,
                                           .flags = (uint8_t)(draw() % 32),
                                           .window_bytes = (uint16_t)draw(),
                                           .payload_bytes = draw() % 1461};
            arrive(wild.to, &wild);
            now += draw() % SIM_MS;
        }
        for (unsigned i = 0; i < 2; i++) {
            struct tcp_segment *segment;
            while ((segment = tcp_take_any(&ends[i].connection)) != NULL) {
                drop_piece(&ends[i], segment);
            }
            cr_assert_eq(ends[i].pieces, 0U);
            ends[i].received_bytes = 0;
        }
        while (flight_count > 0) {
            free(flights[--flight_count]);
        }
    }
}
