/* test_client.c: load generators against a server that is a port and nothing more. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/random.h"
#include "stack/net_headers.h"
#include "workloads/client.h"

enum { HOSTS_MAX = 64, PAYLOAD = 1024, ARRIVALS_MAX = 200000 };

/* What it does with a frame: by default it sends it back after `delay`. */
struct server {
    sim_time delay;
    uint64_t drop_every, corrupt_every, mismatch_every; /* 0: never */
    uint64_t dies_after;                                /* so many frames; 0: never */
    bool twice;                                         /* the first reply, without its request */
    uint64_t frames, at_once, at_once_max;
    struct port ports[HOSTS_MAX];
    struct link *links[HOSTS_MAX];
    sim_time arrivals[ARRIVALS_MAX];
    unsigned from[ARRIVALS_MAX];
    uint16_t source_ports[16], destination_ports[16]; /* of the first frames */
};
static struct server server;
static ledger_component nic;
static struct ledger *ledger;
static struct client *client;
static uint64_t completions;
static uint64_t stop_at;
static sim_time last_completion;

static const struct system_address server_address = {{0x02, 0, 0, 0, 0, 9}, 0x0a000001};

static void turn_round(struct frame *frame) {
    struct net_udp udp;
    uint32_t offset;
    cr_assert_eq(net_udp_parse(frame->bytes, frame->length_bytes, true, &udp, &offset), NET_OK);
    cr_assert_eq(memcmp(udp.destination_mac, server_address.mac, 6), 0);
    cr_assert_eq(udp.destination_ip, server_address.ip);
    if (server.frames <= 16) {
        server.source_ports[server.frames - 1] = udp.source_port;
        server.destination_ports[server.frames - 1] = udp.destination_port;
    }
    struct net_udp back = udp;
    memcpy(back.destination_mac, udp.source_mac, 6);
    memcpy(back.source_mac, udp.destination_mac, 6);
    back.source_ip = udp.destination_ip;
    back.destination_ip = udp.source_ip;
    back.source_port = udp.destination_port;
    back.destination_port = udp.source_port;
    net_udp_write(frame->bytes, &back, 77, true);
}

static bool is_nth(uint64_t every) {
    return every != 0 && server.frames % every == 0;
}

static void reply(void *context) {
    struct frame *frame = context;
    struct port *port = frame->carrier;
    server.at_once -= 1;
    (void)link_send(port, frame, nic, sim_now());
}

static void send_copy(struct port *port, const struct frame *frame) {
    struct frame *copy = frame_allocate();
    memcpy(copy->bytes, frame->bytes, frame->length_bytes);
    copy->length_bytes = frame->length_bytes;
    (void)link_send(port, copy, nic, sim_now());
}

static void server_receive(struct port *port, struct frame *frame) {
    if (server.frames < ARRIVALS_MAX) {
        server.arrivals[server.frames] = sim_now();
        server.from[server.frames] = (unsigned)(port - server.ports);
    }
    server.frames += 1;
    ledger_hand_over(frame->request, ledger_find("wire"), nic, LEDGER_SERVICE);
    if (is_nth(server.drop_every) || (server.dies_after != 0 && server.frames > server.dies_after)) {
        ledger_abandon(frame->request, "test", sim_now());
        frame_release(frame);
        return;
    }
    turn_round(frame);
    if (is_nth(server.corrupt_every)) {
        frame->bytes[100] ^= 0x10;
    }
    if (is_nth(server.mismatch_every)) { /* a right frame from a wrong port */
        struct net_udp udp;
        uint32_t offset;
        (void)net_udp_parse(frame->bytes, frame->length_bytes, true, &udp, &offset);
        udp.source_port += 1;
        net_udp_write(frame->bytes, &udp, 1, true);
    }
    if (server.twice && server.frames == 1) {
        send_copy(port, frame);
    }
    server.at_once += 1;
    server.at_once_max = server.at_once > server.at_once_max ? server.at_once : server.at_once_max;
    frame->carrier = port;
    sim_event_init(&frame->event, SIM_PRIORITY_HARDWARE, reply, frame);
    sim_schedule(&frame->event, server.delay);
}

static void completed(void *context, uint64_t count) {
    (void)context;
    completions += 1;
    last_completion = sim_now();
    cr_assert_eq(count, completions);
    if (stop_at != 0 && completions == stop_at) {
        client_stop(client);
    }
}

/* A client from its YAML, each host on a 10 Gb/s link of its own to the server. */
static void build(const char *yaml) {
    static const struct ledger_declaration declaration = {"nic", NULL, "Test server", "wire"};
    struct diagnostics diagnostics;
    struct client_config config;
    struct error error = {0};
    diagnostics_init(&diagnostics);
    struct config *tree = config_parse("client", yaml, &diagnostics);
    cr_assert(client_config_bind(config_get(config_root(tree), "client"), &config, &diagnostics));
    wire_declare_components();
    client_declare_components();
    nic = ledger_declare(&declaration);
    ledger = ledger_create("echo");
    ledger_record(ledger, true);
    client = client_create(&(struct client_setup){.name = "client",
                                                  .config = &config,
                                                  .ledger = ledger,
                                                  .server = server_address,
                                                  .server_port = 7,
                                                  .server_ports = 1},
                           &error);
    cr_assert_not_null(client, "%s", error.text);
    client_on_completed(client, completed, NULL);
    for (unsigned i = 0; i < client_hosts(client); ++i) {
        const struct link_config link = {10000000000, 10 * SIM_NS};
        server.links[i] = link_create("link", &link);
        server.ports[i] = (struct port){.receive = server_receive};
        link_connect(server.links[i], client_port(client, i), &server.ports[i]);
    }
    config_free(tree);
    diagnostics_free(&diagnostics);
}

/* Everything that was begun has ended, and nothing was left behind. */
static void check_closed(void) {
    cr_assert_eq(ledger_audit(ledger, sim_now()), 0);
    cr_assert_eq(ledger_live(ledger), 0);
}

/* Bits of a frame of `payload` from its first to its last, at 10 Gb/s: 0.1 ns each. */
static sim_time wire_time(uint64_t payload) {
    return (42 + payload + FRAME_FCS_BYTES + FRAME_PREAMBLE_BYTES) * 8 * 100 * SIM_PS;
}
static sim_time slot_time(uint64_t payload) {
    return wire_time(payload) + FRAME_GAP_BYTES * 8 * 100 * SIM_PS;
}

Test(client, latency_is_the_sum_of_its_stages) {
    server.delay = 3 * SIM_US;
    stop_at = 1000;
    build("client: {payload: 1024 B}");
    client_start(client, SIM_US);
    sim_run(SIM_S);
    const struct histogram *latency = ledger_latency(ledger);
    const sim_time expected = 2 * (wire_time(PAYLOAD) + 10 * SIM_NS) + 3 * SIM_US;
    cr_assert_eq(latency->minimum, expected);
    cr_assert_eq(latency->maximum, expected);
    cr_assert_eq(latency->count, 1000);
    cr_assert_eq(last_completion, SIM_US + 1000 * expected, "each request follows the reply at once");
    const struct client_stats stats = client_stats(client);
    cr_assert_eq(stats.offered, 1000);
    cr_assert_eq(stats.completed, 1000);
    cr_assert_eq(stats.payload_bytes, 1000 * PAYLOAD);
    cr_assert_eq(stats.dropped, 0);
    check_closed();
}

Test(client, closed_loop_costs_no_event_of_its_own) {
    stop_at = 10000;
    build("client: {payload: 64 B}");
    client_start(client, 0);
    sim_run(SIM_S);
    /* Two arrivals and the server's delay a request, and the start. */
    cr_assert_eq(sim_events_run(), 3 * 10000 + 1);
}

Test(client, closed_loop_keeps_exactly_so_many_outstanding) {
    server.delay = 100 * SIM_US; /* longer than it takes to send all */
    stop_at = 5000;
    build("client: {arrivals: {process: closed, outstanding: 7}, hosts: 3, payload: 64 B}");
    client_start(client, 0);
    sim_run(50 * SIM_US);
    cr_assert_eq(ledger_live(ledger), 21);
    cr_assert_eq(server.at_once, 21);
    sim_run(SIM_S);
    cr_assert_eq(server.at_once_max, 21);
    cr_assert_eq(client_stats(client).offered, 5000 + 20, "those under way at the stop were answered");
    check_closed();
}

Test(client, constant_rate_is_exact_and_staggered) {
    build("client: {arrivals: {process: constant, rate: 300 kpps}, hosts: 4, payload: 64 B}");
    client_start(client, 5 * SIM_US);
    sim_run(SIM_MS * 100 + 5 * SIM_US);
    client_stop(client);
    sim_run(SIM_S);
    cr_assert_eq(server.frames, 30001); /* both ends of 100 ms */
    for (uint64_t k = 0; k < server.frames; ++k) {
        const sim_time begun = server.arrivals[k] - wire_time(64) - 10 * SIM_NS;
        cr_assert_eq(begun, 5 * SIM_US + k * 10000000000 / 3, "arrival %lu", (unsigned long)k);
        cr_assert_eq(server.from[k], k % 4);
    }
    cr_assert_eq(client_stats(client).completed, 30001);
    check_closed();
}

Test(client, poisson_has_its_mean_and_spread) {
    random_seed(7);
    build("client: {arrivals: {process: poisson, rate: 100 kpps}, payload: 64 B, hosts: 2}");
    client_start(client, 0);
    sim_run(SIM_S);
    client_stop(client);
    sim_run(2 * SIM_S);
    /* 100,000 arrivals: sigma of their number 316. */
    cr_assert_float_eq((double)server.frames, 100000, 1300, "%lu", (unsigned long)server.frames);
    double mean = 0;
    double square = 0;
    sim_time last[2] = {0, 0};
    for (uint64_t k = 0; k < server.frames; ++k) {
        const double gap = (double)(server.arrivals[k] - last[server.from[k]]) / 1e9;
        last[server.from[k]] = server.arrivals[k];
        mean += gap / (double)server.frames;
        square += gap * gap / (double)server.frames;
    }
    cr_assert_float_eq(mean, 20, 0.3, "a host's gap: %f us", mean);
    cr_assert_float_eq(sqrt(square - mean * mean) / mean, 1, 0.02, "an exponential varies by its mean");
    check_closed();
}

Test(client, a_lost_request_times_out_and_its_place_is_used_again) {
    server.delay = SIM_US;
    server.drop_every = 10;
    stop_at = 900;
    build("client: {arrivals: {outstanding: 4}, timeout: 50 us, payload: 64 B}");
    client_start(client, 0);
    sim_run(SIM_S);
    const struct client_stats stats = client_stats(client);
    cr_assert_eq(stats.completed, stats.offered - stats.timeouts);
    cr_assert_eq(stats.timeouts, server.frames / 10);
    cr_assert_eq(stats.dropped, stats.timeouts);
    cr_assert_eq(stats.late, 0);
    check_closed();
}

Test(client, a_timeout_takes_place_at_its_instant) {
    server.drop_every = 1; /* nothing ever comes back */
    build("client: {arrivals: {outstanding: 2}, timeout: 50 us, payload: 64 B}");
    client_start(client, SIM_US);
    sim_run(SIM_US + 50 * SIM_US - 1);
    cr_assert_eq(client_stats(client).timeouts, 0);
    cr_assert_eq(client_stats(client).offered, 2);
    sim_run(SIM_US + 50 * SIM_US);
    cr_assert_eq(client_stats(client).timeouts, 2);
    sim_run(SIM_US + 10 * 50 * SIM_US);
    cr_assert_eq(client_stats(client).timeouts, 20);
    cr_assert_eq(client_stats(client).offered, 22);
}

Test(client, each_request_has_its_own_deadline) {
    const sim_time latency = 2 * (wire_time(64) + 10 * SIM_NS);
    const sim_time second = latency + slot_time(64); /* the second reply came so much later */
    server.dies_after = 2;
    build("client: {arrivals: {outstanding: 2}, timeout: 50 us, payload: 64 B}");
    client_start(client, 0);
    for (uint64_t round = 1; round <= 5; ++round) {
        sim_run(latency + round * 50 * SIM_US - 1);
        cr_assert_eq(client_stats(client).timeouts, 2 * round - 2);
        sim_run(latency + round * 50 * SIM_US);
        cr_assert_eq(client_stats(client).timeouts, 2 * round - 1);
        sim_run(second + round * 50 * SIM_US - 1);
        cr_assert_eq(client_stats(client).timeouts, 2 * round - 1);
        sim_run(second + round * 50 * SIM_US);
        cr_assert_eq(client_stats(client).timeouts, 2 * round);
    }
}

Test(client, timeouts_cost_an_event_a_timeout_not_one_a_request) {
    server.delay = SIM_US;
    stop_at = 20000;
    build("client: {arrivals: {outstanding: 16}, timeout: 1 ms, payload: 64 B}");
    client_start(client, 0);
    sim_run(SIM_S);
    const uint64_t timer = sim_events_run() - 3 * (20000 + 15) - 1;
    cr_assert_leq(timer, last_completion / SIM_MS + 1, "%lu", (unsigned long)timer);
    cr_assert_eq(client_stats(client).timeouts, 0);
}

Test(client, a_reply_after_its_timeout_is_late_not_completed) {
    server.delay = 80 * SIM_US;
    const struct ledger_drop *drops;
    build("client: {arrivals: {outstanding: 1}, timeout: 50 us, payload: 64 B}");
    client_start(client, 0);
    sim_run(SIM_MS);
    client_stop(client);
    sim_run(2 * SIM_MS);
    const struct client_stats stats = client_stats(client);
    cr_assert_eq(stats.completed, 0);
    cr_assert_eq(stats.late, stats.offered);
    cr_assert_eq(stats.timeouts, stats.offered);
    cr_assert_eq(ledger_drops(ledger, &drops), 1);
    cr_assert_str_eq(drops[0].reason, "late");
    check_closed();
}

Test(client, an_open_loop_has_timeouts_too) {
    server.drop_every = 4;
    build("client: {arrivals: {process: constant, rate: 1 Mpps}, timeout: 200 us, payload: 64 B}");
    client_start(client, 0);
    sim_run(10 * SIM_MS);
    client_stop(client);
    sim_run(SIM_S);
    const struct client_stats stats = client_stats(client);
    cr_assert_eq(stats.offered, 10001);
    cr_assert_eq(stats.timeouts, 2500);
    cr_assert_eq(stats.completed, 7501);
    check_closed();
}

Test(client, an_open_loop_without_timeouts_counts_what_is_gone) {
    server.drop_every = 4;
    server.delay = 500 * SIM_US;
    build("client: {arrivals: {process: constant, rate: 1 Mpps}, payload: 64 B}");
    client_start(client, 0);
    sim_run(5 * SIM_MS + SIM_US / 2);
    client_begin_measure(client);
    completions = 0;
    sim_run(10 * SIM_MS + SIM_US / 2);
    const struct client_stats stats = client_stats(client);
    cr_assert_eq(stats.elapsed, 5 * SIM_MS);
    cr_assert_eq(stats.offered, 5000);
    cr_assert_eq(stats.completed, 3750);
    cr_assert_eq(stats.dropped, 1250);
}

Test(client, a_corrupt_reply_is_found) {
    server.corrupt_every = 5;
    stop_at = 800;
    build("client: {timeout: 1 ms, payload: 64 B}");
    client_start(client, 0);
    sim_run(SIM_S * 2);
    const struct client_stats stats = client_stats(client);
    const struct ledger_drop *drops;
    cr_assert_eq(stats.completed, 800);
    cr_assert_eq(stats.corrupt, server.frames / 5);
    cr_assert_gt(stats.corrupt, 190);
    cr_assert_eq(stats.mismatched, 0);
    cr_assert_eq(ledger_drops(ledger, &drops), 1);
    cr_assert_str_eq(drops[0].reason, "corrupt");
    check_closed();
}

Test(client, a_reply_from_elsewhere_is_no_reply) {
    server.mismatch_every = 5;
    stop_at = 80;
    build("client: {timeout: 1 ms, payload: 64 B}");
    client_start(client, 0);
    sim_run(SIM_S);
    const struct client_stats stats = client_stats(client);
    cr_assert_eq(stats.completed, 80);
    cr_assert_eq(stats.mismatched, server.frames / 5);
    cr_assert_eq(stats.corrupt, 0);
    check_closed();
}

Test(client, a_reply_that_comes_twice_completes_once) {
    server.twice = true;
    stop_at = 100;
    build("client: {payload: 64 B, timeout: 1 ms}");
    client_start(client, 0);
    sim_run(SIM_S);
    const struct client_stats stats = client_stats(client);
    cr_assert_eq(stats.completed, 100);
    cr_assert_eq(stats.mismatched, 1);
    check_closed();
}

static void send_stray(void *context) {
    static const uint8_t other[6] = {2, 9, 9, 9, 9, 9};
    struct frame *frame = frame_allocate();
    (void)context;
    memset(frame->bytes, 0, 60);
    memcpy(frame->bytes, other, 6);
    frame->length_bytes = 60;
    (void)link_send(&server.ports[0], frame, nic, sim_now());
}

Test(client, frames_to_others_are_ignored) {
    struct sim_event event;
    build("client: {payload: 64 B}");
    sim_event_init(&event, SIM_PRIORITY_HARDWARE, send_stray, NULL);
    sim_schedule_at(&event, SIM_US);
    sim_run(SIM_MS);
    cr_assert_eq(client_stats(client).ignored, 1);
    cr_assert_eq(client_stats(client).received, 0);
}

Test(client, its_own_software_takes_time) {
    stop_at = 100;
    build("client: {send_time: 2 us, receive_time: 3 us, payload: 1024 B}");
    client_start(client, 0);
    sim_run(SIM_S);
    const struct histogram *latency = ledger_latency(ledger);
    cr_assert_eq(latency->minimum, 5 * SIM_US + 2 * (wire_time(PAYLOAD) + 10 * SIM_NS));
    cr_assert_eq(latency->maximum, latency->minimum);
    const struct histogram *sending = ledger_spent(ledger, ledger_find("client_send"), LEDGER_SERVICE);
    cr_assert_eq(sending->minimum, 2 * SIM_US);
    cr_assert_eq(sending->maximum, 2 * SIM_US);
    const struct histogram *receiving = ledger_spent(ledger, ledger_find("client_receive"), LEDGER_SERVICE);
    cr_assert_eq(receiving->maximum, 3 * SIM_US);
    const struct histogram *all = ledger_spent(ledger, ledger_find("client"), LEDGER_KINDS);
    cr_assert_eq(all->minimum, 5 * SIM_US);
    check_closed();
}

/* Each request costs a host 5 us of a core: one core does 200,000 a second. */
static double rate_with_cores(const char *yaml) {
    build(yaml);
    client_start(client, 0);
    sim_run(10 * SIM_MS);
    const struct client_stats stats = client_stats(client);
    return (double)stats.completed * 1e15 / (double)stats.elapsed;
}

Test(client, one_core_bounds_a_host) {
    const double rate =
        rate_with_cores("client: {send_time: 2 us, receive_time: 3 us, arrivals: {outstanding: 32}, payload: 64 B}");
    cr_assert_float_eq(rate, 200000, 4000, "%f", rate);
    const struct histogram *waiting = ledger_spent(ledger, ledger_find("client"), LEDGER_WAITING);
    cr_assert_gt(waiting->maximum, 100 * SIM_US, "requests wait for the core, and that is told");
}

Test(client, two_cores_do_twice_as_much) {
    const double rate = rate_with_cores(
        "client: {send_time: 2 us, receive_time: 3 us, cores: 2, arrivals: {outstanding: 32}, payload: 64 B}");
    cr_assert_float_eq(rate, 400000, 8000, "%f", rate);
}

Test(client, think_time_lies_between_reply_and_request) {
    stop_at = 100;
    build("client: {think: 20 us, arrivals: {outstanding: 3}, payload: 64 B}");
    client_start(client, 0);
    sim_run(SIM_S);
    const sim_time latency = 2 * (wire_time(64) + 10 * SIM_NS);
    cr_assert_eq(server.arrivals[3] - server.arrivals[0], latency + 20 * SIM_US);
    cr_assert_eq(ledger_latency(ledger)->minimum, latency, "thinking is on no request's path");
    check_closed();
}

Test(client, exponential_think_time_has_its_mean) {
    random_seed(2);
    stop_at = 20000;
    build("client: {think: 20 us, think_distribution: exponential, payload: 64 B}");
    client_start(client, 0);
    sim_run(10 * SIM_S);
    const double latency = (double)(2 * (wire_time(64) + 10 * SIM_NS));
    const double cycle = (double)last_completion / 20000;
    cr_assert_float_eq(cycle, latency + 20e9, 20e9 * 0.03, "%f", cycle);
}

Test(client, overload_of_its_own_link_queues_and_then_drops) {
    build("client: {arrivals: {process: constant, rate: 2 Mpps}, payload: 1024 B, send_queue: 100}");
    client_start(client, 0);
    sim_run(10 * SIM_MS);
    client_stop(client);
    sim_run(SIM_S);
    const struct client_stats stats = client_stats(client);
    const uint64_t line = 10 * SIM_MS / slot_time(PAYLOAD);
    cr_assert_eq(stats.offered, 20001);
    cr_assert_eq(stats.send_drops, stats.offered - stats.sent);
    cr_assert_eq(stats.dropped, stats.send_drops);
    cr_assert(stats.sent >= line + 99 && stats.sent <= line + 102, "%lu of %lu", (unsigned long)stats.sent,
              (unsigned long)line);
    const sim_time crossing = 2 * (wire_time(PAYLOAD) + 10 * SIM_NS);
    const sim_time longest = ledger_latency(ledger)->maximum;
    cr_assert(longest >= 99 * slot_time(PAYLOAD) + crossing && longest <= 100 * slot_time(PAYLOAD) + crossing);
    check_closed();
}

/* A client as above, but made by hand: without a ledger, and with other ports. */
static void build_by_hand(const struct client_config *config, unsigned server_ports, unsigned first_host) {
    const struct link_config link = {10000000000, 10 * SIM_NS};
    struct error error;
    wire_declare_components();
    client_declare_components();
    const struct client_setup setup = {"client", config, NULL, server_address, 7, server_ports, first_host};
    client = client_create(&setup, &error);
    cr_assert_not_null(client);
    client_on_completed(client, completed, NULL);
    for (unsigned i = 0; i < client_hosts(client); ++i) {
        server.links[i] = link_create("link", &link);
        server.ports[i] = (struct port){.receive = server_receive};
        link_connect(server.links[i], client_port(client, i), &server.ports[i]);
    }
}

Test(client, flows_take_turns_and_spread_over_server_ports) {
    static const uint16_t destinations[16] = {7, 8, 9, 7, 7, 8, 9, 7, 7, 8, 9, 7, 7, 8, 9, 7};
    struct client_config config;
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    cr_assert(client_config_bind(NULL, &config, &diagnostics));
    config.flows = 4;
    stop_at = 16;
    build_by_hand(&config, 3, 0);
    client_start(client, 0);
    sim_run(SIM_S);
    cr_assert_eq(client_stats(client).completed, 16);
    for (unsigned i = 0; i < 16; ++i) {
        cr_assert_eq(server.source_ports[i], 32768 + i % 4);
        cr_assert_eq(server.destination_ports[i], destinations[i]);
    }
}

Test(client, hosts_have_addresses_of_their_own) {
    struct client_config config;
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    cr_assert(client_config_bind(NULL, &config, &diagnostics));
    config.hosts = 2;
    build_by_hand(&config, 1, 10);
    cr_assert_eq(client_address(client, 0).ip, 0x0a00800b, "10 hosts on from 10.0.128.1");
    cr_assert_eq(client_address(client, 1).ip, 0x0a00800c);
    cr_assert_neq(memcmp(client_address(client, 0).mac, client_address(client, 1).mac, 6), 0);
    cr_assert_eq(client_address(client, 0).mac[0] & 3, 2, "locally administered, not a group's");
    client_free(client);
}

Test(client, no_host_may_have_the_servers_address) {
    struct client_config config;
    struct diagnostics diagnostics;
    struct error error;
    diagnostics_init(&diagnostics);
    cr_assert(client_config_bind(NULL, &config, &diagnostics));
    config.address = "10.0.0.0";
    config.hosts = 2;
    const struct client_setup setup = {"client", &config, NULL, server_address, 7, 1, 0};
    cr_assert_null(client_create(&setup, &error));
    cr_assert_eq(error.code, ERR_OVERLAP);
    config.address = "255.255.255.250";
    config.hosts = 10;
    cr_assert_null(client_create(&setup, &error));
    cr_assert_eq(error.code, ERR_RANGE);
}

Test(client, without_a_ledger_it_works_as_well) {
    struct client_config config;
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    cr_assert(client_config_bind(NULL, &config, &diagnostics));
    stop_at = 100;
    build_by_hand(&config, 1, 0);
    client_start(client, 0);
    sim_run(SIM_S);
    cr_assert_eq(client_stats(client).completed, 100);
    client_free(client);
}

Test(client, sixty_four_hosts_share_the_rate) {
    build("client: {arrivals: {process: poisson, rate: 1 Mpps}, hosts: 64, flows: 8, payload: 64 B}");
    client_start(client, 0);
    sim_run(20 * SIM_MS);
    client_stop(client);
    sim_run(SIM_S);
    const struct client_stats stats = client_stats(client);
    cr_assert_float_eq((double)stats.offered, 20000, 600, "%lu", (unsigned long)stats.offered);
    cr_assert_eq(stats.completed, stats.offered);
    check_closed();
    client_free(client);
}

static void visit(void *sum, const char *instance, const char *counter, uint64_t value) {
    cr_assert_str_eq(instance, "client");
    *(uint64_t *)sum += strcmp(counter, "completed") == 0 ? value : 0;
}

Test(client, counters_are_told) {
    uint64_t sum = 0;
    build("client: {payload: 64 B}");
    stop_at = 42;
    client_start(client, 0);
    sim_run(SIM_S);
    client_visit_stats(client, &(struct stats_sink){.context = &sum, .counter = visit});
    cr_assert_eq(sum, 42);
}
