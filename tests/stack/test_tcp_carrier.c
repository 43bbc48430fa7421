/* The requests that ride on a stream's segments, and the connections' timers: what a
 * kernel and a library share. Clock 1 GHz, flat cache: 7 cycles a line, 16 bytes a cycle. */
#include <criterion/criterion.h>
#include <string.h>

#include "hw/machine.h"
#include "sim/config.h"
#include "stack/tcp_alarm.h"
#include "stack/tcp_carrier.h"

enum { LINE = 7, BUFFERS = 0x200000, READ_INTO = 0x400000, PIECE_BYTES = 64 };

static struct machine machine;
static struct ledger *ledger;
static ledger_component wire;
static struct tcp_host hosts[2];
static struct tcp_stream client, server, listener;
static struct tcp_carrier carriers[4]; /* the server's, of what it received */

static const struct tcp_config config = {.mss_bytes = 1460,
                                         .receive_buffer_bytes = 65535,
                                         .initial_window_segments = 10,
                                         .retries = 3,
                                         .rto_initial = SIM_S,
                                         .rto_minimum = 200 * SIM_MS,
                                         .rto_maximum = 120 * SIM_S,
                                         .delayed_ack = 40 * SIM_MS,
                                         .time_wait = 60 * SIM_S};

static struct tcp_stream *make_stream(void *owner, struct tcp_stream *of) {
    (void)of;
    return owner;
}

/* ---- a client whose segments go to the server at once, or nowhere ---- */

static struct tcp_carrier empty; /* of segments without data */
static unsigned sent, released, received;
static bool is_flying, network_loses;

static struct tcp_carrier *control(void *owner) {
    (void)owner;
    return &empty;
}

static bool flying(void *owner, const struct tcp_carrier *carrier) {
    (void)owner;
    return is_flying && carrier != &empty;
}

static void transmit(void *owner, const struct net_tcp *header, struct tcp_carrier *carrier) {
    struct tcp_host *to = owner;
    struct request *request = carrier->request;
    tcp_carrier_leaves(carrier);
    carrier->request = NULL;
    sent += header->payload_bytes > 0;
    if (network_loses) {
        ledger_abandon(request, "lost", sim_now());
        return;
    }
    struct tcp_carrier *arrived = &carriers[received];
    *arrived = (struct tcp_carrier){.request = request, .payload = carrier->payload};
    const struct tcp_arrival arrival = tcp_host_input(to, header, &arrived->segment, sim_now());
    if ((arrival.outcome & TCP_KEPT) != 0) {
        ledger_keep(request, NULL, NULL);
        received++;
    }
}

static void release(void *owner, struct tcp_carrier *carrier) {
    (void)owner;
    (void)carrier;
    released++;
}

static const struct tcp_sender sender = {control, flying, transmit, release};

static void client_sends(void) {
    tcp_sender_run(&sender, &hosts[1], &client);
}
static void server_sends(void) {
    tcp_sender_run(&sender, &hosts[0], &server);
}

static void connect_both(void) {
    const struct tcp_path path = {.local_ip = 1, .remote_ip = 2, .local_port = 1000, .remote_port = 7};
    tcp_host_init(&hosts[0], &config, make_stream, &client);
    tcp_host_init(&hosts[1], &config, make_stream, &server);
    cr_assert(tcp_host_listen(&hosts[1], &listener, 7, 1));
    tcp_host_connect(&hosts[0], &client, &path);
    client_sends();
    server_sends();
    client_sends();
    cr_assert(tcp_can_send(&client.connection) && tcp_can_send(&server.connection));
}

/* A message's last piece with its request, or one before it. */
static void write_piece(struct tcp_carrier *carrier, struct request *request, uint64_t at) {
    *carrier = (struct tcp_carrier){
        .segment = {.length_bytes = PIECE_BYTES, .push = request != NULL}, .request = request, .payload = at};
    tcp_append(&client.connection, &carrier->segment);
}

static struct request *begin(void) {
    return ledger_begin(ledger, wire, LEDGER_SERVICE, sim_now());
}

static void run(void (*body)(void *)) {
    static const struct ledger_declaration declarations[] = {
        {"wire", NULL, NULL, "cpu"}, {"app", "cpu", NULL, NULL}, {0}};
    struct error error = {0};
    ledger_component out[2];
    core_declare_components();
    ledger_declare_all(declarations, out);
    wire = out[0];
    ledger = ledger_create("echo");
    machine.clock = sim_clock_make(1000000000);
    machine.memory = memory_create(UINT64_C(16) << 20);
    const struct cache_config cache = {.model = 1, .flat_cycles = LINE, .line_fill_buffers = 10};
    machine.cache = cache_create(&cache, 1, &machine.clock, &error);
    cr_assert_not_null(machine.cache, "%s", error.text);
    const struct core_config core_config = {.count = 1, .clock_hz = 1000000000, .copy_bytes_per_cycle = 16};
    struct core *core = core_create(&machine, 0, &core_config);
    core_dispatch(core, CORE_THREAD, context_create(core, CORE_THREAD, "t", NULL, body, NULL));
    sim_run(SIM_TIME_MAX);
    core_free(core);
    cache_free(machine.cache);
    memory_free(machine.memory);
    ledger_free(ledger);
}

/* ---- the request rides ---- */

static void lost_body(void *argument) {
    struct tcp_carrier carrier;
    struct tcp_transmission out;
    (void)argument;
    connect_both();
    struct request *request = begin();
    write_piece(&carrier, request, BUFFERS);
    network_loses = true;
    client_sends();
    cr_assert_eq(carrier.request, request, "it is here again, to ride on the next copy");
    cr_assert_null(carrier.away);
    cr_assert_eq(request->owner, ledger_retransmit());
    network_loses = false;
    cr_assert(!tcp_output(&client.connection, sim_now(), &out), "nothing is due before the timer");
    (void)tcp_timer(&client.connection, tcp_deadline(&client.connection));
    client_sends();
    cr_assert_null(carrier.request);
    cr_assert_eq(carrier.away, request);
    cr_assert_eq(tcp_first_request(&server.connection, PIECE_BYTES), request);
    cr_assert_null(request->keeper, "the server has it");
    server_sends();
    cr_assert_eq(sent, 2);
}

Test(tcp_carrier, a_lost_request_rides_on_the_next_copy) {
    run(lost_body);
}

static void settled_body(void *argument) {
    struct tcp_carrier carrier = {.segment = {.length_bytes = 1}};
    (void)argument;
    struct request *flies = begin();
    carrier.request = flies;
    tcp_carrier_leaves(&carrier);
    carrier.request = NULL;
    tcp_carrier_settle(&carrier);
    cr_assert(flies->live, "it is on its way; a drop from now on is its end");
    cr_assert_null(flies->keeper);
    cr_assert_null(carrier.away);
    ledger_abandon(flies, "lost", sim_now());
    cr_assert(!flies->live);
    struct request *stays = begin();
    carrier.request = stays;
    tcp_carrier_settle(&carrier);
    cr_assert(!stays->live, "its bytes arrived without it: there is nothing left to ride on");
    cr_assert_null(carrier.request);
}

Test(tcp_carrier, who_settles_lets_go_of_the_request) {
    run(settled_body);
}

static void acknowledged_body(void *argument) {
    struct tcp_carrier written[2];
    (void)argument;
    connect_both();
    is_flying = true;
    write_piece(&written[0], NULL, BUFFERS);
    client_sends();
    cr_assert_eq(sent, 0, "the copy on the ring will do");
    is_flying = false;
    (void)tcp_timer(&client.connection, tcp_deadline(&client.connection));
    client_sends();
    write_piece(&written[1], NULL, BUFFERS + PIECE_BYTES);
    client_sends();
    cr_assert_eq(received, 2);
    cr_assert_eq(released, 0);
    server_sends();
    client_sends();
    cr_assert_eq(released, 2, "acknowledged: both buffers are free");
    tcp_sender_bury(&sender, &hosts[1], &client);
    cr_assert(client.hashed, "an open connection is not buried");
}

Test(tcp_carrier, a_buffer_is_released_when_it_is_acknowledged) {
    run(acknowledged_body);
}

/* ---- reading ---- */

static unsigned read_to_the_end;

static void done(void *owner, struct tcp_carrier *carrier) {
    cr_assert_eq(owner, &read_to_the_end);
    cr_assert_null(carrier->request, "it is the reader's");
    read_to_the_end++;
}

static void reading_body(void *argument) {
    struct context *self = context_current();
    struct tcp_carrier written[3];
    uint8_t bytes[3 * PIECE_BYTES], copied[3 * PIECE_BYTES];
    (void)argument;
    connect_both();
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)i;
    }
    memory_write(machine.memory, BUFFERS, bytes, sizeof bytes);
    struct request *message = begin();
    for (unsigned i = 0; i < 3; i++) {
        write_piece(&written[i], i == 1 ? message : NULL, BUFFERS + i * PIECE_BYTES);
    }
    client_sends();
    struct tcp_connection *connection = &server.connection;
    cr_assert_eq(connection->ready_bytes, sizeof bytes);
    cr_assert_eq(tcp_first_request(connection, 2 * PIECE_BYTES), message);
    cr_assert_null(tcp_first_request(connection, 2 * PIECE_BYTES - 1), "its last byte is not within them");

    struct tcp_reading reading = {READ_INTO, 16, .done = done, .owner = &read_to_the_end};
    tcp_read(self, connection, &reading);
    cr_assert_eq(reading.length_bytes, 16);
    cr_assert_null(reading.request);
    cr_assert_eq(read_to_the_end, 0, "a part of a segment");
    const sim_time before = sim_now();
    cpu_run(self);
    cr_assert_gt(sim_now(), before, "copying takes time");
    reading.into += 16;
    reading.capacity_bytes = 1000;
    tcp_read(self, connection, &reading);
    cr_assert_eq(reading.length_bytes, 2 * PIECE_BYTES - 16, "to the end of the message, and not further");
    cr_assert_eq(reading.request, message);
    cr_assert_eq(read_to_the_end, 2);
    tcp_read(self, connection,
             &(struct tcp_reading){READ_INTO + 2 * PIECE_BYTES, 1000, done, &read_to_the_end, 0, NULL});
    cpu_run(self);
    memory_read(machine.memory, READ_INTO, copied, sizeof copied);
    cr_assert_arr_eq(copied, bytes, sizeof bytes);
    ledger_end(message, wire, sim_now());
}

Test(tcp_carrier, a_read_ends_with_the_message) {
    run(reading_body);
}

/* ---- timers ---- */

static unsigned raised, raised_alone;

static void raise(void *owner, bool alone) {
    (void)owner;
    raised++;
    raised_alone += alone;
}

static void alarm_body(void *argument) {
    struct context *self = context_current();
    struct tcp_alarms alarms = {.raise = raise};
    struct tcp_alarm first, second;
    struct tcp_carrier carrier;
    (void)argument;
    connect_both();
    network_loses = true;
    write_piece(&carrier, NULL, BUFFERS);
    client_sends();
    tcp_alarm_init(&first, &client, &alarms, SIM_PRIORITY_HARDWARE);
    tcp_alarm_init(&second, &client, &alarms, SIM_PRIORITY_HARDWARE);
    const sim_time deadline = tcp_deadline(&client.connection);
    tcp_alarm_set(&first);
    tcp_alarm_set(&second);
    cpu_charge(self, (deadline - sim_now()) / SIM_NS - 1);
    cpu_run(self);
    cr_assert_eq(raised, 0);
    cr_assert_null(tcp_alarms_take(&alarms));
    cpu_charge(self, 2);
    cpu_run(self);
    cr_assert_eq(raised, 2);
    cr_assert_eq(raised_alone, 1, "the second found the first one waiting");
    tcp_alarm_set(&first);
    cr_assert(!sim_event_pending(&first.event), "it is due already");
    cr_assert_eq(tcp_alarms_take(&alarms), &client);
    cr_assert_eq(tcp_alarms_take(&alarms), &client);
    cr_assert_null(tcp_alarms_take(&alarms));
    (void)tcp_stream_timer(&client, sim_now());
    tcp_alarm_set(&first);
    cr_assert(sim_event_pending(&first.event), "the next time out");
    tcp_alarm_cancel(&first);
    cr_assert(!sim_event_pending(&first.event));
}

Test(tcp_alarm, connections_that_are_due_stand_in_a_list) {
    run(alarm_body);
}

static void early_body(void *argument) {
    struct context *self = context_current();
    struct tcp_alarms alarms = {.raise = raise};
    struct tcp_alarm alarm;
    struct tcp_carrier carrier;
    (void)argument;
    connect_both();
    network_loses = true;
    write_piece(&carrier, NULL, BUFFERS);
    client_sends();
    tcp_alarm_init(&alarm, &client, &alarms, SIM_PRIORITY_SOFTWARE);
    tcp_alarm_set(&alarm);
    const sim_time moved = (client.connection.retransmit_due += SIM_MS);
    tcp_alarm_set(&alarm);
    cpu_charge(self, (moved - sim_now()) / SIM_NS - 1);
    cpu_run(self);
    cr_assert_eq(raised, 0, "it came too early, and looked again");
    cpu_charge(self, 2);
    cpu_run(self);
    cr_assert_eq(raised, 1);
}

Test(tcp_alarm, a_deadline_that_moved_is_kept) {
    run(early_body);
}
