/* tcp_internal.h: what the two files of the state machine share. */
#ifndef STILLSUIT_STACK_TCP_INTERNAL_H
#define STILLSUIT_STACK_TCP_INTERNAL_H

#include "stack/tcp.h"

/* Order in a space that wraps: RFC 9293, 3.4. */
static inline bool tcp_before(uint32_t a, uint32_t b) {
    return (int32_t)(a - b) < 0;
}
static inline bool tcp_not_after(uint32_t a, uint32_t b) {
    return (int32_t)(a - b) <= 0;
}

/* The peer's MSS option. */
void tcp_take_mss(struct tcp_connection *connection, const struct net_tcp *syn);
/* The first window to send into, once the connection is established. */
void tcp_begin_sending(struct tcp_connection *connection);
/* Something that was sent is not acknowledged. */
static inline bool tcp_is_outstanding(const struct tcp_connection *connection) {
    return connection->send_next != connection->send_unacknowledged;
}
/* Sent, not acknowledged, not believed lost. */
static inline uint32_t tcp_flight_bytes(const struct tcp_connection *connection) {
    return connection->send_next - connection->send_unacknowledged - connection->lost_bytes;
}
void tcp_mark_lost(struct tcp_connection *connection, struct tcp_segment *segment);
/* RFC 5681, eqn. 4: half of what is in flight. */
void tcp_halve(struct tcp_connection *connection);
void tcp_enter_time_wait(struct tcp_connection *connection, sim_time now);
void tcp_abort(struct tcp_connection *connection);

#endif
