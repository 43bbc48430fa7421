/* client_tcp.c: requests over TCP: each of a host's connections carries one request
 * at a time. A request of an open loop that finds all of them busy waits for one.
 *
 * A request's ledger rides on the last segment of its message, and what comes back on
 * the last of the reply; it ends when the host has taken the whole reply. */
#include <stdlib.h>
#include <string.h>

#include "sim/error.h"
#include "workloads/client_internal.h"

enum { COOKIE_BYTES = 8 };

/* A segment's bytes, at the host: its memory costs the simulated system nothing. */
struct client_segment {
    struct tcp_segment tcp;
    struct client_segment *next_free;
    struct request *request, *away; /* riding on it; the one that rode on it last */
    uint8_t bytes[NET_TCP_MSS_ETHERNET];
};

static struct client_segment *segment_of(struct tcp_segment *segment) {
    return (struct client_segment *)(void *)((char *)segment - offsetof(struct client_segment, tcp));
}

static struct client_connection *connection_of(struct tcp_stream *stream) {
    return (struct client_connection *)(void *)((char *)stream - offsetof(struct client_connection, stream));
}

static struct client_segment *allocate(struct client *client) {
    struct client_segment *segment = client->free_segments;
    if (segment != NULL) {
        client->free_segments = segment->next_free;
    } else {
        segment = malloc(sizeof *segment);
        SIM_ASSERT_MSG(segment != NULL, "out of memory");
    }
    segment->tcp = (struct tcp_segment){.next = NULL};
    segment->request = NULL;
    segment->away = NULL;
    return segment;
}

static void release(struct client *client, struct client_segment *segment) {
    segment->next_free = client->free_segments;
    client->free_segments = segment;
}

static sim_time later(sim_time a, sim_time b) {
    return a > b ? a : b;
}

/* ---- frames ---- */

/* What rode on a segment was dropped on its way: it rides again with the segment. */
static void came_back(void *keeper, struct request *request) {
    struct client_segment *segment = keeper;
    segment->request = request;
    segment->away = NULL;
}

static void let_go(struct client *client, struct client_segment *segment) {
    if (segment->away != NULL && segment->away->keeper == segment) {
        ledger_keep(segment->away, NULL, NULL);
    }
    if (segment->request != NULL) {
        ledger_give_up(segment->request, "delivered without it", later(sim_now(), segment->request->since));
    }
    release(client, segment);
}

static void send_frame(struct client_host *host, const struct net_tcp *header, struct client_segment *segment,
                       sim_time earliest) {
    struct frame *frame = frame_allocate();
    const uint32_t headers_bytes = net_tcp_headers_bytes(header);
    sim_time when = later(earliest, host->last_send); /* the link takes frames in one order */
    if (segment != NULL) {
        memcpy(frame->bytes + headers_bytes, segment->bytes, segment->tcp.length_bytes);
        frame->request = segment->request;
        segment->request = NULL;
    } else {
        frame->request = NULL;
    }
    net_tcp_write(frame->bytes, header, host->identification++, true);
    frame->length_bytes = headers_bytes + header->payload_bytes;
    if (frame->length_bytes < FRAME_BYTES_MIN) {
        memset(frame->bytes + frame->length_bytes, 0, FRAME_BYTES_MIN - frame->length_bytes);
        frame->length_bytes = FRAME_BYTES_MIN;
    }
    if (segment != NULL && frame->request != NULL) {
        struct request *request = frame->request;
        segment->away = request;
        ledger_keep(request, came_back, segment);
        when = later(when, request->since);
        if (request->owner != client_components.send) {
            ledger_hand_over_at(request, request->owner, client_components.send, LEDGER_SERVICE, when);
        }
    }
    host->last_send = when;
    host->client->stats.sent += 1;
    (void)link_send(&host->port, frame, client_components.send, when);
}

static void on_timer(void *context);

static void arm(struct client_connection *connection) {
    const sim_time due = tcp_deadline(&connection->stream.connection);
    if (due != 0 && (!sim_event_pending(&connection->timer) || connection->timer.due > due)) {
        (void)sim_cancel(&connection->timer);
        sim_schedule_at(&connection->timer, later(due, sim_now()));
    }
}

/* Sends what is due, not before `earliest`. */
static void pump(struct client_connection *connection, sim_time earliest) {
    struct client_host *host = connection->host;
    struct tcp_connection *tcp = &connection->stream.connection;
    struct tcp_transmission out;
    struct tcp_segment *acknowledged;
    while (tcp_output(tcp, sim_now(), &out)) {
        send_frame(host, &out.header, out.segment != NULL ? segment_of(out.segment) : NULL, earliest);
    }
    while ((acknowledged = tcp_take_acknowledged(tcp)) != NULL) {
        let_go(host->client, segment_of(acknowledged));
    }
    arm(connection);
}

/* ---- requests ---- */

/* The message: cookie, its own length, the pattern. */
static void put_message(uint8_t *bytes, const struct client *client, uint32_t from, uint32_t count, uint64_t cookie) {
    uint8_t head[CLIENT_TCP_PAYLOAD_MIN];
    net_put32(head, (uint32_t)(cookie >> 32));
    net_put32(head + 4, (uint32_t)cookie);
    net_put32(head + COOKIE_BYTES, (uint32_t)client->config.payload_bytes);
    for (uint32_t i = 0; i < count; ++i) {
        const uint32_t at = from + i;
        bytes[i] = at < sizeof head ? head[at] : client_tcp_byte(at);
    }
}

static void send_message(struct client_connection *connection, struct request *request, uint64_t sequence,
                         sim_time when) {
    struct client *client = connection->host->client;
    struct tcp_connection *tcp = &connection->stream.connection;
    const uint32_t length = (uint32_t)client->config.payload_bytes;
    connection->sequence = sequence;
    connection->received_bytes = 0;
    connection->wrong = false;
    if (!tcp_can_send(tcp)) {
        ledger_give_up(request, "connection closed", when);
        client->stats.send_drops += 1;
        return;
    }
    for (uint32_t done = 0; done < length;) {
        struct client_segment *segment = allocate(client);
        segment->tcp.length_bytes = length - done < tcp->mss ? length - done : tcp->mss;
        put_message(segment->bytes, client, done, segment->tcp.length_bytes, sequence);
        done += segment->tcp.length_bytes;
        segment->tcp.push = done == length;
        segment->request = done == length ? request : NULL;
        tcp_append(tcp, &segment->tcp);
    }
    pump(connection, when);
}

/* An open loop's request that no connection is free for. */
static void wait_for_connection(struct client_host *host, struct request *request, uint64_t sequence) {
    if (host->waiting_count == host->waiting_capacity) {
        const uint32_t capacity = host->waiting_capacity == 0 ? 64 : 2 * host->waiting_capacity;
        struct client_waiting *grown = calloc(capacity, sizeof *grown);
        SIM_ASSERT_MSG(grown != NULL, "out of memory");
        for (uint32_t i = 0; i < host->waiting_count; ++i) {
            grown[i] = host->waiting[(host->waiting_first + i) % host->waiting_capacity];
        }
        free(host->waiting);
        host->waiting = grown;
        host->waiting_first = 0;
        host->waiting_capacity = capacity;
    }
    host->waiting[(host->waiting_first + host->waiting_count) % host->waiting_capacity] =
        (struct client_waiting){request, sequence};
    host->waiting_count += 1;
}

static struct request *begin(const struct client *client, uint64_t sequence, enum ledger_kind kind, sim_time when) {
    if (client->ledger == NULL) {
        return NULL;
    }
    struct request *request = ledger_begin(client->ledger, client_components.send, kind, when);
    request->tag = sequence;
    return request;
}

/* The host's software takes `send_time` for a request that comes at `when`. */
static void work_and_send(struct client_connection *connection, struct request *request, uint64_t sequence,
                          sim_time when) {
    struct client_host *host = connection->host;
    sim_time first;
    const sim_time end = client_core_work(host, when, host->client->config.send_time, &first);
    ledger_turn_at(request, LEDGER_SERVICE, first);
    send_message(connection, request, sequence, end);
}

void client_tcp_send(struct client_host *host, uint32_t slot, sim_time when) {
    struct client *client = host->client;
    client->stats.offered += 1;
    const uint64_t sequence = ++client->sequence;
    struct client_connection *connection = slot != CLIENT_NO_SLOT ? &host->connections[slot] : host->idle;
    if (connection == NULL && host->waiting_count >= client->config.send_queue) {
        client->stats.send_drops += 1;
        ledger_abandon(begin(client, sequence, LEDGER_WAITING, when), "send queue full", when);
        return;
    }
    struct request *request = begin(client, sequence, LEDGER_WAITING, when);
    if (connection == NULL) {
        wait_for_connection(host, request, sequence);
        return;
    }
    if (slot == CLIENT_NO_SLOT) {
        host->idle = connection->next_idle;
    }
    work_and_send(connection, request, sequence, when);
}

/* ---- replies ---- */

/* The connection is free from `when` on. */
static void next_request(struct client_connection *connection, sim_time when) {
    struct client_host *host = connection->host;
    if (host->client->config.arrivals.process == CLIENT_CLOSED) {
        client_slot_idle(host, connection->index, when);
    } else if (host->waiting_count > 0) {
        const struct client_waiting waiting = host->waiting[host->waiting_first];
        host->waiting_first = (host->waiting_first + 1) % host->waiting_capacity;
        host->waiting_count -= 1;
        work_and_send(connection, waiting.request, waiting.sequence, when);
    } else {
        connection->next_idle = host->idle;
        host->idle = connection;
    }
}

static void complete(struct client_connection *connection) {
    struct client_host *host = connection->host;
    struct client *client = host->client;
    struct request *request = connection->request;
    const sim_time now = sim_now();
    sim_time first;
    const sim_time end = client_core_work(host, now, client->config.receive_time, &first);
    const bool good = !connection->wrong && (request == NULL || request->tag == connection->sequence);
    connection->request = NULL;
    connection->sequence = 0;
    ledger_turn_at(request, LEDGER_SERVICE, first);
    if (good) {
        ledger_end(request, client_components.receive, end);
        client->stats.completed += 1;
        client->stats.payload_bytes += client_tcp_reply_bytes(client);
    } else {
        ledger_abandon(request, "mismatched", end);
        client->stats.mismatched += 1;
    }
    if (good && client->completed != NULL) {
        client->completed(client->completed_context, client->stats.completed);
    }
    next_request(connection, end);
}

/* A reply begins as the request did, and goes on so as far as that went. */
static bool is_expected(const struct client_connection *connection, const uint8_t *bytes, uint32_t count) {
    const struct client *client = connection->host->client;
    uint8_t expected[NET_TCP_MSS_ETHERNET];
    const uint32_t from = connection->received_bytes;
    const uint32_t known = (uint32_t)client->config.payload_bytes;
    if (from >= known) {
        return true;
    }
    const uint32_t compared = known - from < count ? known - from : count;
    put_message(expected, client, from, compared, connection->sequence);
    return memcmp(expected, bytes, compared) == 0;
}

/* Takes what is there of the reply. */
static void read_reply(struct client_connection *connection) {
    struct client *client = connection->host->client;
    struct tcp_connection *tcp = &connection->stream.connection;
    const uint32_t whole = client_tcp_reply_bytes(client);
    for (struct tcp_segment *ready; (ready = tcp_first_ready(tcp)) != NULL;) {
        struct client_segment *segment = segment_of(ready);
        const uint32_t left = connection->sequence != 0 ? whole - connection->received_bytes : 0;
        const uint32_t count = ready->length_bytes < left ? ready->length_bytes : left;
        if (ready->length_bytes > left) { /* more than was asked for */
            client->stats.mismatched += left == 0;
            connection->wrong = true;
        }
        connection->wrong = connection->wrong || !is_expected(connection, segment->bytes + ready->offset_bytes, count);
        connection->received_bytes += count;
        if (segment->request != NULL && connection->request == NULL && left > 0) {
            connection->request = segment->request;
            segment->request = NULL;
        }
        (void)tcp_consume(tcp, ready->length_bytes);
        let_go(client, segment);
        if (left > 0 && connection->received_bytes == whole) {
            complete(connection);
        }
    }
}

/* ---- events ---- */

static void opened(struct client_connection *connection) {
    struct client_host *host = connection->host;
    struct client *client = host->client;
    client->established += 1;
    if (client->config.arrivals.process != CLIENT_CLOSED) {
        connection->next_idle = host->idle;
        host->idle = connection;
    }
    client_tcp_open_next(host);
    if (client->established == client->config.hosts * client->config.connections && client->connected != NULL) {
        client->connected(client->connected_context);
    }
}

static void follow_up(const struct tcp_arrival *arrival) {
    if (arrival->stream == NULL) {
        return;
    }
    struct client_connection *connection = connection_of(arrival->stream);
    if ((arrival->outcome & TCP_OPENED) != 0) {
        pump(connection, sim_now());
        opened(connection);
    }
    if ((arrival->outcome & TCP_NEWS) != 0) {
        read_reply(connection);
    }
    if ((arrival->outcome & TCP_ABORTED) != 0) {
        connection->host->client->aborted += 1;
    }
    pump(connection, sim_now());
}

static void on_timer(void *context) {
    struct client_connection *connection = context;
    const sim_time due = tcp_deadline(&connection->stream.connection);
    if (due == 0) {
        return;
    }
    if (due > sim_now()) {
        sim_schedule_at(&connection->timer, due);
        return;
    }
    const struct tcp_arrival arrival = tcp_stream_timer(&connection->stream, sim_now());
    follow_up(&arrival);
}

void client_tcp_receive(struct client_host *host, struct frame *frame) {
    struct client *client = host->client;
    struct request *request = frame->request;
    struct net_tcp header;
    uint32_t offset = 0;
    const enum net_verdict verdict = net_tcp_parse(frame->bytes, frame->length_bytes, true, &header, &offset);
    if (verdict != NET_OK || header.destination_ip != host->address.ip) {
        uint64_t *counter = verdict == NET_NOT_TCP || verdict == NET_NOT_IPV4 || verdict == NET_OK
                                ? &client->stats.mismatched
                                : &client->stats.corrupt;
        *counter += 1;
        frame_release(frame);
        ledger_abandon(request, "corrupt", sim_now());
        return;
    }
    struct client_segment *segment = allocate(client);
    memcpy(segment->bytes, frame->bytes + offset, header.payload_bytes);
    frame_release(frame); /* the next request may take it */
    const struct tcp_arrival arrival = tcp_host_input(&host->tcp, &header, &segment->tcp, sim_now());
    if ((arrival.outcome & TCP_KEPT) != 0) {
        ledger_keep(request, NULL, NULL); /* it need not be sent again */
        segment->request = request;
        if (request != NULL) {
            ledger_hand_over(request, request->owner, client_components.receive, LEDGER_WAITING);
        }
    } else {
        ledger_abandon(request, "segment not taken", sim_now());
        release(client, segment);
    }
    if (arrival.answered) {
        send_frame(host, &arrival.answer, NULL, sim_now());
    }
    follow_up(&arrival);
}

/* ---- connections ---- */

void client_tcp_open_next(struct client_host *host) {
    const struct client *client = host->client;
    if (host->opened == client->config.connections) {
        return;
    }
    struct client_connection *connection = &host->connections[host->opened];
    const uint64_t number = host->index * client->config.connections + host->opened;
    host->opened += 1;
    struct tcp_path path = {.local_ip = host->address.ip,
                            .remote_ip = client->server.ip,
                            .local_port = (uint16_t)(client->config.source_port + connection->index),
                            .remote_port = (uint16_t)(client->server_port + number % client->server_ports)};
    memcpy(path.local_mac, host->address.mac, 6);
    memcpy(path.remote_mac, client->server.mac, 6);
    tcp_host_connect(&host->tcp, &connection->stream, &path);
    pump(connection, sim_now());
}

void client_tcp_init(struct client_host *host) {
    const struct client *client = host->client;
    const uint64_t count = client->config.connections;
    tcp_host_init(&host->tcp, &client->config.tcp, NULL, NULL);
    host->connections = calloc(count, sizeof *host->connections);
    SIM_ASSERT_MSG(host->connections != NULL, "out of memory");
    for (uint32_t i = 0; i < count; ++i) {
        host->connections[i].host = host;
        host->connections[i].index = i;
        sim_event_init(&host->connections[i].timer, SIM_PRIORITY_SOFTWARE, on_timer, &host->connections[i]);
    }
}

void client_tcp_free_host(struct client_host *host) {
    for (uint64_t i = 0; i < host->opened; ++i) {
        struct client_connection *connection = &host->connections[i];
        struct tcp_segment *segment;
        (void)sim_cancel(&connection->timer);
        while ((segment = tcp_take_any(&connection->stream.connection)) != NULL) {
            free(segment_of(segment));
        }
    }
    free(host->connections);
    free(host->waiting);
}

void client_tcp_free(struct client *client) {
    while (client->free_segments != NULL) {
        struct client_segment *segment = client->free_segments;
        client->free_segments = segment->next_free;
        free(segment);
    }
}
