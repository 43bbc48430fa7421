/* test_tcp.c: requests over TCP on Linux and on the library OS, from the same script:
 * with one and many connections, messages of several segments, and losses. */
#include "tests/experiment/tcp_bench.h"

static const char linux_entry[] = "type: linux, profile: {include: profiles/linux-3.8.yaml}";
static const char libos_entry[] =
    "type: arrakis_posix, ring: 512, buffers: 4096, profile: {include: profiles/arrakis-2014.yaml}";
static const char linux_instance[] = "linux";
static const char libos_instance[] = "libos.server.core0";

/* Every request that began has ended well, or is under way on a connection. */
static void check_all_served(uint64_t least, uint64_t connections) {
    const struct client_stats stats = client_stats(bench.client);
    cr_assert(bench.connected);
    cr_assert_geq(stats.completed, least, "%llu completed", (unsigned long long)stats.completed);
    cr_assert_leq(stats.offered - stats.completed, connections);
    cr_assert_eq(stats.corrupt + stats.mismatched + stats.send_drops, 0U);
    cr_assert_eq(ledger_live(bench.ledger), stats.offered - stats.completed);
    cr_assert_eq(ledger_completed(bench.ledger), stats.completed);
}

static void serve(const char *system, const char *parameters, sim_time duration, uint64_t least, uint64_t connections) {
    tcp_bench_build(system, parameters, "hosts: 1");
    tcp_bench_run(duration);
    check_all_served(least, connections);
    cr_assert_eq(bench.lost, 0U);
    cr_assert_eq(tcp_bench_counter("client.0", "tcp_retransmissions"), 0U);
    cr_assert_eq(tcp_bench_counter("client.0", "tcp_out_of_order"), 0U);
}

Test(tcp_systems, linux_answers_on_one_connection) {
    serve(linux_entry, "how: block", 5 * SIM_MS, 90, 1);
    cr_assert_eq(tcp_bench_counter(linux_instance, "tcp_accepted"), 1U);
}
Test(tcp_systems, linux_polls) {
    serve(linux_entry, "how: spin", 5 * SIM_MS, 90, 1);
}
Test(tcp_systems, libos_answers_on_one_connection) {
    serve(libos_entry, "how: spin", 5 * SIM_MS, 500, 1);
    cr_assert_eq(tcp_bench_counter(libos_instance, "tcp_accepted"), 1U);
}
Test(tcp_systems, libos_sleeps_and_is_woken) {
    serve(libos_entry, "how: block", 5 * SIM_MS, 90, 1);
    cr_assert_geq(tcp_bench_counter(libos_instance, "sleeps"), 100U);
}
Test(tcp_systems, linux_serves_many_connections) {
    serve(linux_entry, "payload: 100 B, connections: 400", 40 * SIM_MS, 2000, 400);
    cr_assert_eq(tcp_bench_counter(linux_instance, "tcp_accepted"), 400U);
    cr_assert_gt(tcp_bench_counter(linux_instance, "epoll_events"),
                 2 * tcp_bench_counter(linux_instance, "epoll_waits"), "one call reports several");
}
Test(tcp_systems, libos_serves_many_connections) {
    serve(libos_entry, "how: spin, payload: 100 B, connections: 400", 40 * SIM_MS, 4000, 400);
}

/* 10,000 bytes are seven segments each way. */
Test(tcp_systems, linux_takes_messages_of_several_segments) {
    serve(linux_entry, "payload: 10000 B, connections: 3", 10 * SIM_MS, 200, 3);
}
Test(tcp_systems, libos_takes_messages_of_several_segments) {
    serve(libos_entry, "how: spin, payload: 10000 B, connections: 3", 10 * SIM_MS, 200, 3);
}
Test(tcp_systems, linux_answers_with_more_than_was_asked) {
    serve(linux_entry, "payload: 64 B, reply: 5000 B, connections: 2", 10 * SIM_MS, 150, 2);
    cr_assert_eq(client_stats(bench.client).payload_bytes, 5000 * client_stats(bench.client).completed);
}
Test(tcp_systems, libos_answers_with_more_than_was_asked) {
    serve(libos_entry, "how: spin, payload: 64 B, reply: 5000 B, connections: 2", 10 * SIM_MS, 150, 2);
}
/* More than a window: both wait for acknowledgments in the middle of a message. */
Test(tcp_systems, linux_takes_messages_beyond_a_window) {
    serve(linux_entry, "payload: 64 KiB, connections: 2", 30 * SIM_MS, 20, 2);
}
Test(tcp_systems, libos_takes_messages_beyond_a_window) {
    serve(libos_entry, "how: spin, payload: 64 KiB, connections: 2", 30 * SIM_MS, 20, 2);
}

/* An open loop's requests take free connections, and wait for one if there is none. */
static void open_loop(const char *system) {
    tcp_bench_build(system, "connections: 2, payload: 100 B", "arrivals: {process: poisson, rate: 20 kpps}");
    tcp_bench_run(50 * SIM_MS);
    const struct client_stats stats = client_stats(bench.client);
    cr_assert_gt(stats.completed, 850U);
    cr_assert_lt(stats.completed, 1150U);
    cr_assert_eq(stats.corrupt + stats.mismatched + stats.send_drops, 0U);
    cr_assert_gt(histogram_mean(ledger_spent(bench.ledger, ledger_find("client_send"), LEDGER_WAITING)), 0.0,
                 "some waited for a connection");
}
Test(tcp_systems, linux_takes_an_open_loop) {
    open_loop(linux_entry);
}
Test(tcp_systems, libos_takes_an_open_loop) {
    open_loop(libos_entry);
}

/* ---- losses ---- */

static bool every_thirteenth(const struct tcp_bench *of, bool to_server, bool data, uint64_t number) {
    (void)of;
    (void)to_server;
    return data && number % 13 == 12;
}

/* A lost segment's request waits in "retransmit" and completes all the same: its time
 * is in its latency, and the ledger is whole. */
static void survive(const char *system, const char *instance, const char *parameters) {
    tcp_bench_build(system, parameters, "hosts: 1, tcp: {rto_minimum: 2 ms, rto_initial: 2 ms}");
    bench.loses = every_thirteenth;
    tcp_bench_run(400 * SIM_MS);
    check_all_served(200, 8);
    cr_assert_gt(bench.lost, 20U);
    cr_assert_gt(tcp_bench_counter("client.0", "tcp_retransmissions"), 5U);
    cr_assert_gt(tcp_bench_counter(instance, "tcp_retransmissions"), 5U);
    cr_assert_gt(histogram_mean(ledger_spent(bench.ledger, ledger_find("retransmit"), LEDGER_KINDS)), 0.0);
    const struct ledger_drop *drops = NULL;
    uint64_t dropped = 0;
    for (size_t i = ledger_drops(bench.ledger, &drops); i-- > 0;) {
        dropped += strcmp(drops[i].reason, "lost") == 0 ? drops[i].count : 0;
    }
    cr_assert_gt(dropped, 0U, "the drop is counted, too");
}
Test(tcp_systems, linux_survives_losses) {
    survive("type: linux, tcp: {rto_minimum: 2 ms, rto_initial: 2 ms},"
            " profile: {include: profiles/linux-3.8.yaml}",
            linux_instance, "payload: 3000 B, connections: 8");
    cr_assert_gt(tcp_bench_counter(linux_instance, "one_shot_timers"), 0U);
}
Test(tcp_systems, libos_survives_losses) {
    survive("type: arrakis_posix, buffers: 4096, tcp: {rto_minimum: 2 ms, rto_initial: 2 ms},"
            " profile: {include: profiles/arrakis-2014.yaml}",
            libos_instance, "how: spin, payload: 3000 B, connections: 8");
}
Test(tcp_systems, libos_survives_losses_asleep) {
    survive("type: arrakis_posix, buffers: 4096, tcp: {rto_minimum: 2 ms, rto_initial: 2 ms},"
            " profile: {include: profiles/arrakis-2014.yaml}",
            libos_instance, "how: block, payload: 3000 B, connections: 8");
}

/* A NIC's ring that is too small: the hardware drops, and TCP makes up for it. */
Test(tcp_systems, linux_survives_a_ring_that_overflows) {
    tcp_bench_build("type: linux, receive_ring: 64, tcp: {rto_minimum: 2 ms, rto_initial: 2 ms},"
                    " profile: {include: profiles/linux-3.8.yaml}",
                    "payload: 100 B, connections: 600", "tcp: {rto_minimum: 2 ms, rto_initial: 2 ms}");
    tcp_bench_run(300 * SIM_MS);
    check_all_served(5000, 600);
}

/* ---- refusal, determinism ---- */

Test(tcp_systems, nobody_listens_at_another_port) {
    tcp_bench_build(linux_entry, "connections: 1", "hosts: 1");
    tcp_bench_run(2 * SIM_MS);
    struct net_tcp syn = {.source_ip = client_address(bench.client, 0).ip,
                          .destination_ip = bench.system->ops->address(bench.system).ip,
                          .source_port = 5000,
                          .destination_port = 9,
                          .flags = NET_TCP_SYN,
                          .mss = 1460};
    memcpy(syn.source_mac, client_address(bench.client, 0).mac, 6);
    memcpy(syn.destination_mac, bench.system->ops->address(bench.system).mac, 6);
    struct frame *frame = frame_allocate();
    net_tcp_write(frame->bytes, &syn, 1, true);
    frame->length_bytes = FRAME_BYTES_MIN;
    frame->request = NULL;
    (void)link_send(&bench.near_server, frame, ledger_find("wire"), sim_now());
    tcp_bench_run(2 * SIM_MS);
    cr_assert_eq(tcp_bench_counter(linux_instance, "tcp_refused"), 1U);
    check_all_served(50, 1);
}
