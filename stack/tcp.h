/* tcp.h: the state of a TCP connection: what arrives changes it, and what is due to
 * be sent is asked of it. RFC 9293; congestion control of RFC 5681 (Reno) with
 * NewReno's partial acknowledgments (RFC 6582); timer of RFC 6298; delayed
 * acknowledgments (RFC 1122, 4.2.3.2).
 *
 * It touches no packet and takes no time: it knows segments by sequence number and
 * length, and their bytes are the owner's, who embeds a struct tcp_segment in
 * whatever holds them. No call blocks or calls back, so that an owner may stop
 * between any two of them (to charge what a segment costs, say):
 *
 *   tcp_input(...) or tcp_append(...) or tcp_consume(...) or tcp_timer(...)
 *   while (tcp_output(connection, now, &out)) { send out.header, out.segment }
 *   while ((segment = tcp_take_acknowledged(connection)) != NULL) { release it }
 *   see to it that tcp_timer is called at tcp_deadline(connection)
 *
 * Not modelled: options beside MSS (no window scale: windows end at 65,535 bytes; no
 * timestamps; no SACK), Nagle's algorithm (applications that answer requests switch
 * it off), urgent data. */
#ifndef STILLSUIT_STACK_TCP_H
#define STILLSUIT_STACK_TCP_H

#include "sim/param.h"
#include "sim/time.h"
#include "stack/tcp_headers.h"

enum { TCP_WINDOW_MAX = 65535 };

/* How an end behaves; the defaults are Linux's. */
struct tcp_config {
    uint64_t mss_bytes; /* that it takes, and sends at most */
    uint64_t receive_buffer_bytes;
    uint64_t initial_window_segments; /* RFC 6928 */
    uint64_t retries;                 /* of one segment, after which the connection is given up */
    sim_time rto_initial, rto_minimum, rto_maximum, delayed_ack, time_wait;
};
extern const struct param tcp_config_params[];

enum tcp_state {
    TCP_CLOSED,
    TCP_SYN_SENT,
    TCP_SYN_RECEIVED,
    TCP_ESTABLISHED,
    TCP_FIN_WAIT_1,
    TCP_FIN_WAIT_2,
    TCP_CLOSE_WAIT,
    TCP_CLOSING,
    TCP_LAST_ACK,
    TCP_TIME_WAIT
};

/* Bytes of the stream in a buffer of the owner's. */
struct tcp_segment {
    struct tcp_segment *next;
    uint32_t sequence;     /* of the first byte that counts */
    uint32_t length_bytes; /* that count */
    uint32_t offset_bytes; /* received: of the first byte that counts in the payload */
    uint32_t transmissions;
    bool push; /* the last of what was written at once */
    bool lost; /* believed to be: due again */
    sim_time sent_at;
};

struct tcp_counters {
    uint64_t segments_in, segments_out, bytes_in, bytes_out, retransmissions, timeouts, fast_retransmits,
        duplicate_acks, out_of_order, duplicates, window_probes, resets;
};

/* Where a connection runs, in host byte order. */
struct tcp_path {
    uint8_t local_mac[6], remote_mac[6];
    uint32_t local_ip, remote_ip;
    uint16_t local_port, remote_port;
};

struct tcp_connection {
    const struct tcp_config *config;
    struct tcp_counters *counters; /* of the host: several connections count together */
    struct tcp_path path;
    enum tcp_state state;
    /* Sending. [first..] was sent and is not acknowledged; from `unsent` on it waits. */
    struct tcp_segment *first, *last, *unsent, *acknowledged, *acknowledged_last;
    uint32_t initial_send, send_unacknowledged, send_next, send_end, send_window, window_sequence,
        window_acknowledgment, mss, lost_bytes;
    /* Congestion. */
    uint32_t congestion_window, slow_start_threshold, recover, duplicate_acks;
    bool recovering;
    /* Round trip and retransmission. */
    sim_time smoothed_rtt, rtt_variation, rto;
    uint32_t backoffs;
    sim_time retransmit_due, ack_due_at, time_wait_due; /* 0: none */
    /* What is due. */
    bool syn_due, fin_wanted, fin_sent, fin_lost, ack_due, probe_due;
    /* Receiving: in order and unread; ahead of a gap. */
    struct tcp_segment *ready_first, *ready_last, *early;
    uint32_t initial_receive, receive_next, advertised_end, ready_bytes, fin_sequence, unacknowledged_segments;
    bool fin_seen, fin_received;
};

/* What a call brought about. */
enum tcp_outcome {
    TCP_KEPT = 1,         /* the segment is the connection's until it is consumed */
    TCP_NEWS = 2,         /* there is more to read */
    TCP_OPENED = 4,       /* it is established now */
    TCP_SPACE = 8,        /* bytes were acknowledged */
    TCP_PEER_CLOSED = 16, /* nothing will come behind what is there */
    TCP_ABORTED = 32      /* reset, or given up: it is closed */
};

/* A connection that is closed. Config, counters live longer. */
void tcp_init(struct tcp_connection *connection, const struct tcp_config *config, struct tcp_counters *counters,
              const struct tcp_path *path);
/* Opens it towards the peer; or, at the server, by a SYN that arrived. */
void tcp_connect(struct tcp_connection *connection, uint32_t initial_sequence);
void tcp_accept(struct tcp_connection *connection, uint32_t initial_sequence, const struct net_tcp *syn);
/* A segment of the connection has arrived; `segment` describes its payload (only its
 * offset is looked at). Returns enum tcp_outcome; without TCP_KEPT the segment stays
 * the caller's. */
unsigned tcp_input(struct tcp_connection *connection, const struct net_tcp *header, struct tcp_segment *segment,
                   sim_time now);
/* Appends `segment->length_bytes` bytes (at most the MSS, at least 1) to the stream. */
void tcp_append(struct tcp_connection *connection, struct tcp_segment *segment);
/* No more will be appended: FIN follows what there is. */
void tcp_close(struct tcp_connection *connection);

/* What is to be sent next; segment NULL: the header alone. The caller sends it. */
struct tcp_transmission {
    struct net_tcp header;
    struct tcp_segment *segment;
    bool again; /* a retransmission */
};
bool tcp_output(struct tcp_connection *connection, sim_time now, struct tcp_transmission *out);
/* The next segment that the peer has acknowledged: the caller's again. NULL: none. */
struct tcp_segment *tcp_take_acknowledged(struct tcp_connection *connection);

/* The first unread segment in order (with its offset and length), or NULL. */
static inline struct tcp_segment *tcp_first_ready(const struct tcp_connection *connection) {
    return connection->ready_first;
}
/* Reads `length_bytes` of it, at most all. Returns the segment once it is read to its
 * end: the caller's again; NULL before. */
struct tcp_segment *tcp_consume(struct tcp_connection *connection, uint32_t length_bytes);

/* When tcp_timer is due; 0: not at all. */
sim_time tcp_deadline(const struct tcp_connection *connection);
/* Does what is due by `now`; enum tcp_outcome. */
unsigned tcp_timer(struct tcp_connection *connection, sim_time now);

/* Any segment that the connection still has, of whatever kind: for who frees it. */
struct tcp_segment *tcp_take_any(struct tcp_connection *connection);
/* Bytes appended and not acknowledged. */
static inline uint32_t tcp_unacknowledged_bytes(const struct tcp_connection *connection) {
    return connection->send_end - connection->send_unacknowledged;
}
/* Whether data may be appended. */
static inline bool tcp_can_send(const struct tcp_connection *connection) {
    return (connection->state == TCP_ESTABLISHED || connection->state == TCP_CLOSE_WAIT) && !connection->fin_wanted;
}
/* The answer to a segment that no connection takes; false: a RST gets none. */
bool tcp_refuse(const struct net_tcp *header, struct net_tcp *answer);

#endif
