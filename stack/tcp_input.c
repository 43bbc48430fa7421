/* tcp_input.c: a segment that has arrived: RFC 9293, 3.10.7. */
#include "sim/error.h"
#include "stack/tcp_internal.h"

enum { DUPLICATE_THRESHOLD = 3 };

/* ---- round trip: RFC 6298, 2 ---- */

static void measure(struct tcp_connection *connection, sim_time rtt) {
    if (connection->smoothed_rtt == 0) {
        connection->smoothed_rtt = rtt;
        connection->rtt_variation = rtt / 2;
    } else {
        const sim_time smoothed = connection->smoothed_rtt;
        const sim_time distance = smoothed > rtt ? smoothed - rtt : rtt - smoothed;
        connection->rtt_variation = (3 * connection->rtt_variation + distance) / 4;
        connection->smoothed_rtt = (7 * smoothed + rtt) / 8;
    }
    const sim_time rto = connection->smoothed_rtt + 4 * connection->rtt_variation;
    const struct tcp_config *config = connection->config;
    connection->rto = rto < config->rto_minimum   ? config->rto_minimum
                      : rto > config->rto_maximum ? config->rto_maximum
                                                  : rto;
}

/* ---- acknowledgments ---- */

/* Moves what was acknowledged as a whole to the list of its kind; returns when the
 * last of it was sent, if that happened once (Karn); 0 otherwise. */
static sim_time take_acknowledged(struct tcp_connection *connection, uint32_t acknowledgment) {
    sim_time sent_at = 0;
    while (connection->first != NULL && connection->first != connection->unsent &&
           tcp_not_after(connection->first->sequence + connection->first->length_bytes, acknowledgment)) {
        struct tcp_segment *segment = connection->first;
        connection->first = segment->next;
        if (segment->lost) {
            segment->lost = false;
            connection->lost_bytes -= segment->length_bytes;
        }
        sent_at = segment->transmissions == 1 ? segment->sent_at : 0;
        segment->next = NULL;
        if (connection->acknowledged == NULL) {
            connection->acknowledged = segment;
        } else {
            connection->acknowledged_last->next = segment;
        }
        connection->acknowledged_last = segment;
    }
    return sent_at;
}

/* RFC 5681, 3.1; within recovery RFC 6582, 3.2. */
static void open_congestion_window(struct tcp_connection *connection, uint32_t bytes, uint32_t acknowledgment) {
    const uint32_t mss = connection->mss;
    if (connection->recovering) {
        if (tcp_not_after(connection->recover, acknowledgment)) {
            connection->recovering = false;
            connection->congestion_window = connection->slow_start_threshold;
            return;
        }
        if (connection->first != NULL && connection->first != connection->unsent) {
            tcp_mark_lost(connection, connection->first);
        }
        const uint32_t left = connection->congestion_window > bytes ? connection->congestion_window - bytes : 0;
        connection->congestion_window = left + mss;
        return;
    }
    if (connection->congestion_window < connection->slow_start_threshold) {
        connection->congestion_window += bytes < mss ? bytes : mss;
    } else {
        const uint32_t step = mss * mss / connection->congestion_window;
        connection->congestion_window += step > 0 ? step : 1;
    }
    if (connection->congestion_window > 16 * TCP_WINDOW_MAX) {
        connection->congestion_window = 16 * TCP_WINDOW_MAX; /* the peer's window ends far before */
    }
}

static void acknowledge(struct tcp_connection *connection, uint32_t acknowledgment, sim_time now) {
    const uint32_t bytes = acknowledgment - connection->send_unacknowledged;
    const sim_time sent_at = take_acknowledged(connection, acknowledgment);
    connection->send_unacknowledged = acknowledgment;
    connection->duplicate_acks = 0;
    connection->backoffs = 0;
    if (sent_at != 0) {
        measure(connection, now - sent_at);
    }
    open_congestion_window(connection, bytes, acknowledgment);
    connection->retransmit_due = tcp_is_outstanding(connection) ? now + connection->rto : 0;
}

/* RFC 5681, 3.2. */
static void duplicate(struct tcp_connection *connection) {
    connection->counters->duplicate_acks++;
    connection->duplicate_acks++;
    if (connection->recovering) {
        connection->congestion_window += connection->mss;
    } else if (connection->duplicate_acks == DUPLICATE_THRESHOLD && connection->first != NULL &&
               tcp_not_after(connection->recover, connection->send_unacknowledged)) {
        connection->counters->fast_retransmits++;
        tcp_halve(connection);
        tcp_mark_lost(connection, connection->first);
        connection->recovering = true;
        connection->recover = connection->send_next;
        connection->congestion_window = connection->slow_start_threshold + DUPLICATE_THRESHOLD * connection->mss;
    }
}

static void take_window(struct tcp_connection *connection, const struct net_tcp *header) {
    const bool newer = tcp_before(connection->window_sequence, header->sequence) ||
                       (connection->window_sequence == header->sequence &&
                        tcp_not_after(connection->window_acknowledgment, header->acknowledgment));
    if (!newer) {
        return;
    }
    if (header->window_bytes > connection->send_window && !tcp_is_outstanding(connection)) {
        connection->retransmit_due = 0; /* it was there to probe */
        connection->backoffs = 0;
    }
    connection->send_window = header->window_bytes;
    connection->window_sequence = header->sequence;
    connection->window_acknowledgment = header->acknowledgment;
}

static void fin_acknowledged(struct tcp_connection *connection, sim_time now) {
    connection->fin_lost = false;
    if (connection->state == TCP_FIN_WAIT_1) {
        connection->state = TCP_FIN_WAIT_2;
    } else if (connection->state == TCP_CLOSING) {
        tcp_enter_time_wait(connection, now);
    } else if (connection->state == TCP_LAST_ACK) {
        connection->state = TCP_CLOSED;
    }
}

static unsigned take_acknowledgment(struct tcp_connection *connection, const struct net_tcp *header, sim_time now) {
    const uint32_t acknowledgment = header->acknowledgment;
    unsigned outcome = 0;
    if (tcp_before(connection->send_next, acknowledgment)) {
        connection->ack_due = true; /* of what was never sent */
        return 0;
    }
    if (tcp_before(connection->send_unacknowledged, acknowledgment)) {
        acknowledge(connection, acknowledgment, now);
        outcome = TCP_SPACE;
        if (connection->fin_sent && acknowledgment == connection->send_end) {
            fin_acknowledged(connection, now);
        }
    } else if (acknowledgment == connection->send_unacknowledged && header->payload_bytes == 0 &&
               (header->flags & NET_TCP_FIN) == 0 && header->window_bytes == connection->send_window &&
               connection->first != NULL && tcp_is_outstanding(connection)) {
        duplicate(connection);
    }
    take_window(connection, header);
    return outcome;
}

/* ---- data ---- */

/* A part of a segment that lies before `sequence` counts no more. */
static void cut_front(struct tcp_segment *segment, uint32_t sequence) {
    const uint32_t bytes = sequence - segment->sequence;
    segment->sequence = sequence;
    segment->offset_bytes += bytes;
    segment->length_bytes -= bytes;
}

static void make_ready(struct tcp_connection *connection, struct tcp_segment *segment) {
    segment->next = NULL;
    if (connection->ready_first == NULL) {
        connection->ready_first = segment;
    } else {
        connection->ready_last->next = segment;
    }
    connection->ready_last = segment;
    connection->ready_bytes += segment->length_bytes;
    connection->receive_next += segment->length_bytes;
    connection->counters->bytes_in += segment->length_bytes;
}

/* Ahead of a gap: the list is in order and without overlaps. False: nothing new. */
static bool keep_early(struct tcp_connection *connection, struct tcp_segment *segment) {
    struct tcp_segment **link = &connection->early;
    while (*link != NULL && tcp_not_after((*link)->sequence + (*link)->length_bytes, segment->sequence)) {
        link = &(*link)->next;
    }
    struct tcp_segment *const behind = *link;
    if (behind != NULL) {
        const uint32_t end = behind->sequence + behind->length_bytes;
        if (tcp_not_after(behind->sequence, segment->sequence)) {
            if (tcp_not_after(segment->sequence + segment->length_bytes, end)) {
                return false;
            }
            cut_front(segment, end);
            return keep_early(connection, segment);
        }
        if (tcp_before(behind->sequence, segment->sequence + segment->length_bytes)) {
            segment->length_bytes = behind->sequence - segment->sequence; /* the rest comes again if it is due */
        }
    }
    segment->next = *link;
    *link = segment;
    return true;
}

/* What was early and is in order now. An early one that is covered by then shrinks to
 * nothing, and stays in the list of the ready until it is read. */
static void join_early(struct tcp_connection *connection) {
    while (connection->early != NULL && tcp_not_after(connection->early->sequence, connection->receive_next)) {
        struct tcp_segment *segment = connection->early;
        connection->early = segment->next;
        const uint32_t end = segment->sequence + segment->length_bytes;
        cut_front(segment, tcp_before(connection->receive_next, end) ? connection->receive_next : end);
        make_ready(connection, segment);
    }
}

static void acknowledge_soon(struct tcp_connection *connection, sim_time now) {
    connection->unacknowledged_segments++;
    if (connection->unacknowledged_segments >= 2 || connection->config->delayed_ack == 0) {
        connection->ack_due = true;
    } else if (connection->ack_due_at == 0) {
        connection->ack_due_at = now + connection->config->delayed_ack;
    }
}

static unsigned take_data(struct tcp_connection *connection, const struct net_tcp *header, struct tcp_segment *segment,
                          sim_time now) {
    segment->sequence = header->sequence;
    segment->length_bytes = header->payload_bytes;
    segment->push = (header->flags & NET_TCP_PSH) != 0;
    const uint32_t end = header->sequence + header->payload_bytes;
    if (tcp_before(connection->advertised_end, end)) { /* beyond the window */
        segment->length_bytes -= end - connection->advertised_end;
    }
    if (tcp_before(segment->sequence, connection->receive_next)) {
        const uint32_t old = connection->receive_next - segment->sequence;
        cut_front(segment, segment->sequence + (old < segment->length_bytes ? old : segment->length_bytes));
    }
    if (segment->length_bytes == 0) {
        connection->counters->duplicates++;
        connection->ack_due = true;
        return 0;
    }
    if (segment->sequence == connection->receive_next) {
        const bool gap = connection->early != NULL;
        make_ready(connection, segment);
        join_early(connection);
        connection->ack_due = connection->ack_due || gap;
        acknowledge_soon(connection, now);
        return TCP_KEPT | TCP_NEWS;
    }
    connection->counters->out_of_order++;
    connection->ack_due = true;
    return keep_early(connection, segment) ? TCP_KEPT : 0;
}

/* FIN counts once all before it is there. */
static unsigned take_fin(struct tcp_connection *connection, const struct net_tcp *header, sim_time now) {
    if ((header->flags & NET_TCP_FIN) != 0) {
        connection->fin_seen = true;
        connection->fin_sequence = header->sequence + header->payload_bytes;
    }
    if (!connection->fin_seen || connection->fin_received || connection->receive_next != connection->fin_sequence) {
        return 0;
    }
    connection->fin_received = true;
    connection->receive_next += 1;
    connection->advertised_end += tcp_before(connection->advertised_end, connection->receive_next) ? 1 : 0;
    connection->ack_due = true;
    if (connection->state == TCP_ESTABLISHED) {
        connection->state = TCP_CLOSE_WAIT;
    } else if (connection->state == TCP_FIN_WAIT_1) {
        connection->state = TCP_CLOSING;
    } else if (connection->state == TCP_FIN_WAIT_2) {
        tcp_enter_time_wait(connection, now);
    }
    return TCP_PEER_CLOSED;
}

/* ---- opening ---- */

static unsigned establish(struct tcp_connection *connection, const struct net_tcp *header) {
    connection->state = TCP_ESTABLISHED;
    connection->send_window = header->window_bytes;
    connection->window_sequence = header->sequence;
    connection->window_acknowledgment = header->acknowledgment;
    connection->send_unacknowledged = connection->initial_send + 1;
    connection->recover = connection->initial_send;
    connection->retransmit_due = 0;
    connection->backoffs = 0;
    connection->rto = connection->config->rto_initial;
    tcp_begin_sending(connection);
    return TCP_OPENED;
}

/* The answer to our SYN. */
static unsigned syn_sent(struct tcp_connection *connection, const struct net_tcp *header) {
    const bool acknowledges = (header->flags & NET_TCP_ACK) != 0;
    if (acknowledges && header->acknowledgment != connection->initial_send + 1) {
        return 0;
    }
    if ((header->flags & NET_TCP_RST) != 0) {
        if (acknowledges) {
            tcp_abort(connection);
        }
        return acknowledges ? TCP_ABORTED : 0;
    }
    if ((header->flags & NET_TCP_SYN) == 0) {
        return 0;
    }
    tcp_take_mss(connection, header);
    connection->initial_receive = header->sequence;
    connection->receive_next = header->sequence + 1;
    connection->advertised_end = connection->receive_next + (uint32_t)connection->config->receive_buffer_bytes;
    if (!acknowledges) { /* both open at once */
        connection->state = TCP_SYN_RECEIVED;
        connection->syn_due = true;
        return 0;
    }
    connection->ack_due = true;
    return establish(connection, header);
}

/* ---- all of it ---- */

/* RFC 9293, 3.10.7.4, first: whether any of it lies in the window. */
static bool is_acceptable(const struct tcp_connection *connection, const struct net_tcp *header) {
    const uint32_t length = header->payload_bytes + ((header->flags & NET_TCP_SYN) != 0 ? 1 : 0) +
                            ((header->flags & NET_TCP_FIN) != 0 ? 1 : 0);
    const uint32_t next = connection->receive_next;
    const uint32_t end = connection->advertised_end;
    if (length == 0) {
        return header->sequence == next || (!tcp_before(header->sequence, next) && tcp_before(header->sequence, end));
    }
    return tcp_before(next, header->sequence + length) &&
           (tcp_before(header->sequence, end) || (header->sequence == next && header->payload_bytes == 0));
}

/* True if the segment's data are to be looked at. */
static bool passes_checks(struct tcp_connection *connection, const struct net_tcp *header, unsigned *outcome) {
    if (!is_acceptable(connection, header)) {
        if ((header->flags & NET_TCP_RST) == 0) {
            /* A SYN that comes again has not seen our answer. */
            const bool syn_again = (header->flags & (NET_TCP_SYN | NET_TCP_ACK)) == NET_TCP_SYN;
            connection->syn_due = connection->state == TCP_SYN_RECEIVED && syn_again;
            connection->ack_due = !connection->syn_due;
            connection->counters->duplicates += header->payload_bytes > 0;
        }
        return false;
    }
    if ((header->flags & NET_TCP_RST) != 0) {
        tcp_abort(connection);
        *outcome = TCP_ABORTED;
        return false;
    }
    if ((header->flags & NET_TCP_SYN) != 0) { /* RFC 5961, 4.2 */
        connection->ack_due = true;
        return false;
    }
    return (header->flags & NET_TCP_ACK) != 0;
}

unsigned tcp_input(struct tcp_connection *connection, const struct net_tcp *header, struct tcp_segment *segment,
                   sim_time now) {
    unsigned outcome = 0;
    connection->counters->segments_in++;
    if (connection->state == TCP_CLOSED) {
        return 0;
    }
    if (connection->state == TCP_SYN_SENT) {
        return syn_sent(connection, header);
    }
    if (!passes_checks(connection, header, &outcome)) {
        return outcome;
    }
    if (connection->state == TCP_SYN_RECEIVED) {
        if (header->acknowledgment != connection->initial_send + 1) {
            return 0;
        }
        outcome |= establish(connection, header);
    }
    outcome |= take_acknowledgment(connection, header, now);
    if (header->payload_bytes > 0 && !connection->fin_received) {
        outcome |= take_data(connection, header, segment, now);
    }
    outcome |= take_fin(connection, header, now);
    return outcome;
}
