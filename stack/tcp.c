/* tcp.c: opening, sending, timers. What arrives is in tcp_input.c. */
#include "stack/tcp.h"

#include <stddef.h>
#include <string.h>

#include "sim/error.h"
#include "stack/tcp_internal.h"

#define ROW(name, kind, member, value, low, high, text)                                                                \
    {                                                                                                                  \
        .key = (name), .type = (kind), .offset = offsetof(struct tcp_config, member), .default_text = (value),         \
        .minimum = (low), .maximum = (high), .help = (text)                                                            \
    }
const struct param tcp_config_params[] = {
    ROW("mss", PARAM_BYTES, mss_bytes, "1460 B", "88 B", "1460 B", "the largest segment's payload"),
    ROW("receive_buffer", PARAM_BYTES, receive_buffer_bytes, "65535 B", "2920 B", "65535 B",
        "bytes that a connection takes ahead of its reader: the window (it is not scaled)"),
    ROW("initial_window", PARAM_INTEGER, initial_window_segments, "10", "1", "44",
        "segments sent before the first acknowledgment (RFC 6928)"),
    ROW("retries", PARAM_INTEGER, retries, "15", "1", "100", "of a segment before the connection is given up"),
    ROW("rto_initial", PARAM_TIME, rto_initial, "1 s", "1 ms", "100 s",
        "retransmission timeout before a round trip was measured (RFC 6298)"),
    ROW("rto_minimum", PARAM_TIME, rto_minimum, "200 ms", "1 us", "100 s", "the least (Linux: TCP_RTO_MIN)"),
    ROW("rto_maximum", PARAM_TIME, rto_maximum, "120 s", "1 ms", "1000 s", "the most (Linux: TCP_RTO_MAX)"),
    ROW("delayed_ack", PARAM_TIME, delayed_ack, "40 ms", "0 us", "500 ms",
        "how long an acknowledgment waits for data to ride on (Linux: TCP_DELACK_MIN)"),
    ROW("time_wait", PARAM_TIME, time_wait, "60 s", "1 ms", "1000 s", "TIME-WAIT (Linux: TCP_TIMEWAIT_LEN)"),
    {0}};

enum { DUPLICATE_THRESHOLD_SEGMENTS = 2 };

/* ---- opening ---- */

void tcp_init(struct tcp_connection *connection, const struct tcp_config *config, struct tcp_counters *counters,
              const struct tcp_path *path) {
    *connection = (struct tcp_connection){
        .config = config, .counters = counters, .path = *path, .mss = NET_TCP_MSS_DEFAULT, .rto = config->rto_initial};
}

static void set_initial_sequence(struct tcp_connection *connection, uint32_t sequence) {
    connection->initial_send = sequence;
    connection->send_unacknowledged = sequence;
    connection->send_next = sequence;
    connection->send_end = sequence + 1; /* SYN takes one */
    connection->syn_due = true;
}

void tcp_connect(struct tcp_connection *connection, uint32_t initial_sequence) {
    SIM_ASSERT(connection->state == TCP_CLOSED);
    set_initial_sequence(connection, initial_sequence);
    connection->state = TCP_SYN_SENT;
}

void tcp_take_mss(struct tcp_connection *connection, const struct net_tcp *syn) {
    const uint32_t own = (uint32_t)connection->config->mss_bytes;
    const uint32_t offered = syn->mss != 0 ? syn->mss : NET_TCP_MSS_DEFAULT;
    connection->mss = offered < own ? offered : own;
}

void tcp_begin_sending(struct tcp_connection *connection) {
    connection->congestion_window = (uint32_t)connection->config->initial_window_segments * connection->mss;
    connection->slow_start_threshold = UINT32_MAX / 2;
}

void tcp_accept(struct tcp_connection *connection, uint32_t initial_sequence, const struct net_tcp *syn) {
    SIM_ASSERT(connection->state == TCP_CLOSED);
    set_initial_sequence(connection, initial_sequence);
    tcp_take_mss(connection, syn);
    connection->initial_receive = syn->sequence;
    connection->receive_next = syn->sequence + 1;
    connection->advertised_end = connection->receive_next;
    connection->send_window = syn->window_bytes;
    connection->window_sequence = syn->sequence;
    connection->state = TCP_SYN_RECEIVED;
}

/* ---- appending ---- */

void tcp_append(struct tcp_connection *connection, struct tcp_segment *segment) {
    SIM_ASSERT(tcp_can_send(connection) && segment->length_bytes > 0 && segment->length_bytes <= connection->mss);
    segment->sequence = connection->send_end;
    segment->next = NULL;
    segment->lost = false;
    segment->transmissions = 0;
    connection->send_end += segment->length_bytes;
    if (connection->first == NULL) {
        connection->first = segment;
    } else {
        connection->last->next = segment;
    }
    connection->last = segment;
    connection->unsent = connection->unsent == NULL ? segment : connection->unsent;
}

void tcp_close(struct tcp_connection *connection) {
    connection->fin_wanted = true;
    if (connection->state == TCP_SYN_SENT) {
        connection->state = TCP_CLOSED;
        connection->syn_due = false;
        connection->retransmit_due = 0;
    }
}

struct tcp_segment *tcp_take_acknowledged(struct tcp_connection *connection) {
    struct tcp_segment *segment = connection->acknowledged;
    if (segment != NULL) {
        connection->acknowledged = segment->next;
        segment->next = NULL;
    }
    return segment;
}

/* ---- the window that is offered ---- */

static uint32_t room(const struct tcp_connection *connection) {
    const uint32_t buffer = (uint32_t)connection->config->receive_buffer_bytes;
    return connection->ready_bytes < buffer ? buffer - connection->ready_bytes : 0;
}

/* The right edge moves only if that lets through a segment or half a buffer, and never
 * to the left: RFC 9293, 3.8.6.2.2. */
static uint32_t offered_end(const struct tcp_connection *connection) {
    const uint32_t open_to = connection->receive_next + room(connection);
    const uint32_t half = (uint32_t)connection->config->receive_buffer_bytes / 2;
    const uint32_t least = connection->mss < half ? connection->mss : half;
    const bool worth_it =
        tcp_before(connection->advertised_end, open_to) && open_to - connection->advertised_end >= least;
    return worth_it ? open_to : connection->advertised_end;
}

struct tcp_segment *tcp_consume(struct tcp_connection *connection, uint32_t length_bytes) {
    struct tcp_segment *segment = connection->ready_first;
    SIM_ASSERT(segment != NULL && length_bytes <= segment->length_bytes);
    segment->sequence += length_bytes;
    segment->offset_bytes += length_bytes;
    segment->length_bytes -= length_bytes;
    connection->ready_bytes -= length_bytes;
    const uint32_t opened = offered_end(connection) - connection->advertised_end;
    const uint32_t half = (uint32_t)connection->config->receive_buffer_bytes / 2;
    if (opened >= half || opened >= 2 * connection->mss) { /* the peer may be waiting for it */
        const bool was_nearly_shut = connection->advertised_end - connection->receive_next < half;
        connection->ack_due = connection->ack_due || was_nearly_shut;
    }
    if (segment->length_bytes > 0) {
        return NULL;
    }
    connection->ready_first = segment->next;
    segment->next = NULL;
    return segment;
}

/* ---- sending ---- */

static void put_header(struct tcp_connection *connection, struct tcp_transmission *out, uint32_t sequence,
                       uint8_t flags) {
    const struct tcp_path *path = &connection->path;
    const bool synchronized = connection->state != TCP_SYN_SENT;
    if (synchronized) {
        connection->advertised_end = offered_end(connection);
        connection->ack_due = false;
        connection->ack_due_at = 0;
        connection->unacknowledged_segments = 0;
    }
    const uint32_t window = synchronized ? connection->advertised_end - connection->receive_next : room(connection);
    out->header = (struct net_tcp){.source_ip = path->local_ip,
                                   .destination_ip = path->remote_ip,
                                   .source_port = path->local_port,
                                   .destination_port = path->remote_port,
                                   .sequence = sequence,
                                   .acknowledgment = synchronized ? connection->receive_next : 0,
                                   .window_bytes = (uint16_t)(window < TCP_WINDOW_MAX ? window : TCP_WINDOW_MAX),
                                   .flags = (uint8_t)(flags | (synchronized ? NET_TCP_ACK : 0)),
                                   .mss = (uint16_t)((flags & NET_TCP_SYN) != 0 ? connection->config->mss_bytes : 0),
                                   .payload_bytes = out->segment != NULL ? out->segment->length_bytes : 0};
    memcpy(out->header.source_mac, path->local_mac, 6);
    memcpy(out->header.destination_mac, path->remote_mac, 6);
    connection->counters->segments_out++;
    connection->counters->bytes_out += out->header.payload_bytes;
}

static void start_timer(struct tcp_connection *connection, sim_time now) {
    if (connection->retransmit_due == 0) {
        connection->retransmit_due = now + connection->rto;
    }
}

static void send_syn(struct tcp_connection *connection, sim_time now, struct tcp_transmission *out) {
    out->again = connection->send_next != connection->initial_send;
    connection->counters->retransmissions += out->again;
    connection->send_next = connection->initial_send + 1;
    connection->syn_due = false;
    put_header(connection, out, connection->initial_send, NET_TCP_SYN);
    start_timer(connection, now);
}

static void send_segment(struct tcp_connection *connection, struct tcp_segment *segment, sim_time now,
                         struct tcp_transmission *out) {
    out->segment = segment;
    out->again = segment->transmissions > 0;
    if (segment->lost) {
        segment->lost = false;
        connection->lost_bytes -= segment->length_bytes;
    }
    connection->counters->retransmissions += out->again;
    segment->transmissions++;
    segment->sent_at = now;
    put_header(connection, out, segment->sequence, segment->push ? NET_TCP_PSH : 0);
    start_timer(connection, now);
}

static struct tcp_segment *first_lost(const struct tcp_connection *connection) {
    struct tcp_segment *segment = connection->lost_bytes > 0 ? connection->first : NULL;
    while (segment != NULL && !segment->lost) {
        segment = segment->next;
    }
    return segment;
}

/* The first lost segment goes out whatever the congestion window says. */
static bool send_lost(struct tcp_connection *connection, sim_time now, struct tcp_transmission *out) {
    struct tcp_segment *segment = first_lost(connection);
    if (segment == NULL || (segment != connection->first &&
                            tcp_flight_bytes(connection) + segment->length_bytes > connection->congestion_window)) {
        return false;
    }
    send_segment(connection, segment, now, out);
    return true;
}

static bool send_new(struct tcp_connection *connection, sim_time now, struct tcp_transmission *out) {
    struct tcp_segment *segment = connection->unsent;
    if (segment == NULL) {
        return false;
    }
    const uint32_t flight = tcp_flight_bytes(connection);
    const uint32_t end = segment->sequence + segment->length_bytes;
    if (flight > 0 && flight + segment->length_bytes > connection->congestion_window) {
        return false;
    }
    if (tcp_before(connection->send_unacknowledged + connection->send_window, end)) {
        if (!tcp_is_outstanding(connection)) {
            start_timer(connection, now); /* to probe: an update of the window may get lost */
        }
        return false;
    }
    connection->unsent = segment->next;
    connection->send_next = end;
    send_segment(connection, segment, now, out);
    return true;
}

static bool send_fin(struct tcp_connection *connection, sim_time now, struct tcp_transmission *out) {
    const bool first_time = connection->fin_wanted && !connection->fin_sent && connection->unsent == NULL;
    if (!first_time && !connection->fin_lost) {
        return false;
    }
    if (first_time) {
        connection->fin_sent = true;
        connection->send_end += 1;
        connection->send_next = connection->send_end;
        connection->state = connection->state == TCP_CLOSE_WAIT ? TCP_LAST_ACK : TCP_FIN_WAIT_1;
    }
    out->again = connection->fin_lost;
    connection->counters->retransmissions += out->again;
    connection->fin_lost = false;
    put_header(connection, out, connection->send_end - 1, NET_TCP_FIN);
    start_timer(connection, now);
    return true;
}

bool tcp_output(struct tcp_connection *connection, sim_time now, struct tcp_transmission *out) {
    *out = (struct tcp_transmission){.segment = NULL};
    if (connection->syn_due) {
        send_syn(connection, now, out);
        return true;
    }
    if (connection->state < TCP_ESTABLISHED) {
        const bool answers = connection->state == TCP_SYN_RECEIVED && connection->ack_due;
        if (answers) {
            put_header(connection, out, connection->send_next, 0);
        }
        return answers;
    }
    if (send_lost(connection, now, out) || send_new(connection, now, out) || send_fin(connection, now, out)) {
        return true;
    }
    if (connection->probe_due) { /* an old byte's place: the peer must answer with its window */
        connection->probe_due = false;
        connection->counters->window_probes++;
        put_header(connection, out, connection->send_unacknowledged - 1, 0);
        return true;
    }
    if (connection->ack_due) {
        put_header(connection, out, connection->send_next, 0);
        return true;
    }
    return false;
}

/* ---- loss ---- */

void tcp_mark_lost(struct tcp_connection *connection, struct tcp_segment *segment) {
    if (!segment->lost) {
        segment->lost = true;
        connection->lost_bytes += segment->length_bytes;
    }
}

void tcp_halve(struct tcp_connection *connection) {
    const uint32_t half = (connection->send_next - connection->send_unacknowledged) / 2;
    const uint32_t least = DUPLICATE_THRESHOLD_SEGMENTS * connection->mss;
    connection->slow_start_threshold = half > least ? half : least;
}

void tcp_abort(struct tcp_connection *connection) {
    connection->state = TCP_CLOSED;
    connection->syn_due = false;
    connection->ack_due = false;
    connection->retransmit_due = 0;
    connection->ack_due_at = 0;
    connection->time_wait_due = 0;
    connection->counters->resets++;
}

static void mark_all_lost(struct tcp_connection *connection) {
    for (struct tcp_segment *at = connection->first; at != NULL && at != connection->unsent; at = at->next) {
        tcp_mark_lost(connection, at);
    }
    connection->fin_lost = connection->fin_sent && connection->state != TCP_FIN_WAIT_2;
}

/* RFC 6298, 5.4 to 5.7; RFC 5681, 3.1. */
static unsigned time_out(struct tcp_connection *connection, sim_time now) {
    connection->retransmit_due = 0;
    connection->backoffs++;
    if (connection->backoffs > connection->config->retries) {
        tcp_abort(connection);
        return TCP_ABORTED;
    }
    connection->rto =
        2 * connection->rto < connection->config->rto_maximum ? 2 * connection->rto : connection->config->rto_maximum;
    if (connection->state < TCP_ESTABLISHED) {
        connection->counters->timeouts++;
        connection->syn_due = true;
    } else if (tcp_is_outstanding(connection)) {
        connection->counters->timeouts++;
        if (!connection->recovering || connection->backoffs == 1) {
            tcp_halve(connection);
        }
        connection->congestion_window = connection->mss;
        connection->recovering = false;
        connection->recover = connection->send_next;
        connection->duplicate_acks = 0;
        mark_all_lost(connection);
    } else if (connection->unsent != NULL) {
        connection->probe_due = true;
    }
    if (connection->state < TCP_ESTABLISHED || connection->unsent != NULL || tcp_is_outstanding(connection)) {
        start_timer(connection, now);
    }
    return 0;
}

/* ---- timers ---- */

static sim_time earlier(sim_time a, sim_time b) {
    return a == 0 || (b != 0 && b < a) ? b : a;
}

sim_time tcp_deadline(const struct tcp_connection *connection) {
    return earlier(earlier(connection->retransmit_due, connection->ack_due_at), connection->time_wait_due);
}

static bool is_due(sim_time deadline, sim_time now) {
    return deadline != 0 && deadline <= now;
}

unsigned tcp_timer(struct tcp_connection *connection, sim_time now) {
    unsigned outcome = 0;
    if (is_due(connection->ack_due_at, now)) {
        connection->ack_due_at = 0;
        connection->ack_due = true;
    }
    if (is_due(connection->retransmit_due, now)) {
        outcome |= time_out(connection, now);
    }
    if (is_due(connection->time_wait_due, now)) {
        connection->time_wait_due = 0;
        connection->state = TCP_CLOSED;
    }
    return outcome;
}

void tcp_enter_time_wait(struct tcp_connection *connection, sim_time now) {
    connection->state = TCP_TIME_WAIT;
    connection->retransmit_due = 0;
    connection->time_wait_due = now + connection->config->time_wait;
}

/* ---- the end ---- */

static struct tcp_segment *take_first(struct tcp_segment **list) {
    struct tcp_segment *segment = *list;
    if (segment != NULL) {
        *list = segment->next;
        segment->next = NULL;
    }
    return segment;
}

struct tcp_segment *tcp_take_any(struct tcp_connection *connection) {
    struct tcp_segment **const lists[] = {&connection->acknowledged, &connection->first, &connection->ready_first,
                                          &connection->early};
    connection->unsent = NULL;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; ++i) {
        if (*lists[i] != NULL) {
            return take_first(lists[i]);
        }
    }
    return NULL;
}

bool tcp_refuse(const struct net_tcp *header, struct net_tcp *answer) {
    if ((header->flags & NET_TCP_RST) != 0) {
        return false;
    }
    const uint32_t length = header->payload_bytes + ((header->flags & NET_TCP_SYN) != 0 ? 1 : 0) +
                            ((header->flags & NET_TCP_FIN) != 0 ? 1 : 0);
    const bool acknowledges = (header->flags & NET_TCP_ACK) != 0;
    *answer = (struct net_tcp){.source_ip = header->destination_ip,
                               .destination_ip = header->source_ip,
                               .source_port = header->destination_port,
                               .destination_port = header->source_port,
                               .sequence = acknowledges ? header->acknowledgment : 0,
                               .acknowledgment = acknowledges ? 0 : header->sequence + length,
                               .flags = (uint8_t)(NET_TCP_RST | (acknowledges ? 0 : NET_TCP_ACK))};
    memcpy(answer->source_mac, header->destination_mac, 6);
    memcpy(answer->destination_mac, header->source_mac, 6);
    return true;
}
