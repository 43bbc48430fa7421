/* tcp_stack.h: TCP over IP on packets in simulated memory, beside udp_stack.h: it
 * charges the steps it takes to whatever context calls it. The state of connections
 * is in tcp.h and takes no time by itself. */
#ifndef STILLSUIT_STACK_TCP_STACK_H
#define STILLSUIT_STACK_TCP_STACK_H

#include "stack/tcp_headers.h"
#include "stack/udp_stack.h"

/* Costs of the protocol code itself, beside ip_input and ip_output: `tcp:` in
 * configs/profiles/stack-ip.yaml. */
struct tcp_stack_costs {
    struct cost input, ack_input, output, ack_output, open;
    struct cost connection; /* for each segment: its lines are the connection's own */
};
extern const struct param tcp_stack_params[];

struct tcp_stack {
    struct udp_stack *ip; /* whose memory, variation, identification and IP it shares */
    struct tcp_stack_costs *costs;
    uint64_t working_set;
};

uint64_t tcp_stack_working_set_bytes(const struct tcp_stack_costs *costs);
void tcp_stack_init(struct tcp_stack *stack, struct udp_stack *ip, struct tcp_stack_costs *costs, uint64_t working_set);

/* Input: reads the headers of the frame at `physical`, which lies in one page frame,
 * and charges for it: a segment with data, a pure acknowledgment, or one that opens a
 * connection. */
enum net_verdict tcp_stack_input(struct tcp_stack *stack, struct context *context, uint64_t physical,
                                 uint32_t length_bytes, bool checked_by_hardware, struct net_tcp *tcp,
                                 uint32_t *payload_offset);
/* Output: writes headers in front of a payload that lies at
 * physical + NET_TCP_HEADERS_BYTES (none, where there is an MSS option) and charges
 * for it. */
void tcp_stack_output(struct tcp_stack *stack, struct context *context, uint64_t physical, const struct net_tcp *tcp,
                      bool checksum_by_hardware);
/* The state of one connection, which lies at `state`: read and written for a segment. */
void tcp_stack_touch(struct tcp_stack *stack, struct context *context, uint64_t state);
uint64_t tcp_stack_state_bytes(const struct tcp_stack *stack);
/* Whether the frame at `physical` is TCP's to take. */
bool tcp_stack_takes(const struct tcp_stack *stack, uint64_t physical, uint32_t length_bytes);

#endif
