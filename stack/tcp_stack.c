#include "stack/tcp_stack.h"

#include <stddef.h>

#define ROW(name, text)                                                                                                \
    { .key = #name, .type = PARAM_COST, .offset = offsetof(struct tcp_stack_costs, name), .help = (text) }

const struct param tcp_stack_params[] = {
    ROW(input, "TCP input of a segment with data: sequence and acknowledgment, round trip, windows, queueing"),
    ROW(ack_input, "TCP input of a pure acknowledgment, by itself"),
    ROW(output, "TCP output of a segment with data: windows, header, timer"),
    ROW(ack_output, "TCP output of a pure acknowledgment"),
    ROW(connection, "a connection's own state, for each of its segments: its lines"),
    ROW(open, "a connection's set-up or end, for each of its segments with SYN, FIN or RST"),
    {0},
};

enum { HEADER_LINE_BYTES = 64 };

/* ---- the working set: each cost's lines in a region of their own, in this order ---- */

static uint64_t region_bytes(const struct cost *cost) {
    return (uint64_t)cost->lines * MEMORY_LINE_BYTES;
}

static uint64_t ack_input_at(const struct tcp_stack *stack) {
    return stack->working_set + region_bytes(&stack->costs->input);
}

static uint64_t output_at(const struct tcp_stack *stack) {
    return ack_input_at(stack) + region_bytes(&stack->costs->ack_input);
}

static uint64_t ack_output_at(const struct tcp_stack *stack) {
    return output_at(stack) + region_bytes(&stack->costs->output);
}

static uint64_t open_at(const struct tcp_stack *stack) {
    return ack_output_at(stack) + region_bytes(&stack->costs->ack_output);
}

uint64_t tcp_stack_working_set_bytes(const struct tcp_stack_costs *costs) {
    return region_bytes(&costs->input) + region_bytes(&costs->ack_input) + region_bytes(&costs->output) +
           region_bytes(&costs->ack_output) + region_bytes(&costs->open);
}

void tcp_stack_init(struct tcp_stack *stack, struct udp_stack *ip, struct tcp_stack_costs *costs,
                    uint64_t working_set) {
    *stack = (struct tcp_stack){.ip = ip, .costs = costs, .working_set = working_set};
}

static bool is_control(const struct net_tcp *tcp) {
    return (tcp->flags & (NET_TCP_SYN | NET_TCP_FIN | NET_TCP_RST)) != 0;
}

/* ---- input ---- */

static void charge_input(struct tcp_stack *stack, struct context *context, const struct net_tcp *tcp) {
    const double variation = stack->ip->variation;
    if (tcp->payload_bytes > 0) {
        (void)stack_charge(context, &stack->costs->input, variation, stack->working_set);
    } else if (!is_control(tcp)) {
        (void)stack_charge(context, &stack->costs->ack_input, variation, ack_input_at(stack));
    }
    if (is_control(tcp)) {
        (void)stack_charge(context, &stack->costs->open, variation, open_at(stack));
    }
}

static const uint8_t *frame_at(const struct tcp_stack *stack, uint64_t physical, uint32_t length_bytes) {
    SIM_ASSERT(physical % MEMORY_FRAME_BYTES + length_bytes <= MEMORY_FRAME_BYTES);
    return memory_at(stack->ip->memory, physical);
}

bool tcp_stack_takes(const struct tcp_stack *stack, uint64_t physical, uint32_t length_bytes) {
    return net_is_protocol(frame_at(stack, physical, length_bytes), length_bytes, NET_PROTOCOL_TCP);
}

enum net_verdict tcp_stack_input(struct tcp_stack *stack, struct context *context, uint64_t physical,
                                 uint32_t length_bytes, bool checked_by_hardware, struct net_tcp *tcp,
                                 uint32_t *payload_offset) {
    const enum net_verdict verdict =
        net_tcp_parse(frame_at(stack, physical, length_bytes), length_bytes, !checked_by_hardware, tcp, payload_offset);
    const uint32_t header_bytes = length_bytes < HEADER_LINE_BYTES ? length_bytes : HEADER_LINE_BYTES;
    cpu_touch(context, physical, header_bytes, false);
    if (verdict != NET_NOT_IPV4) {
        ip_stack_charge_input(stack->ip, context);
    }
    if (!checked_by_hardware && (verdict == NET_OK || verdict == NET_BAD_TCP_CHECKSUM)) {
        ip_stack_charge_checksum(stack->ip, context, physical + NET_ETHERNET_BYTES, length_bytes - NET_ETHERNET_BYTES);
    }
    if (verdict == NET_OK) {
        charge_input(stack, context, tcp);
    }
    stack->ip->verdicts[verdict]++;
    return verdict;
}

void tcp_stack_touch(struct tcp_stack *stack, struct context *context, uint64_t state) {
    struct cost *cost = &stack->costs->connection;
    cpu_charge(context, (uint64_t)((double)cost->cycles * stack->ip->variation + 0.5));
    cpu_touch(context, state, cost->lines * MEMORY_LINE_BYTES, true);
    cost->uses++;
}

uint64_t tcp_stack_state_bytes(const struct tcp_stack *stack) {
    return region_bytes(&stack->costs->connection);
}

/* ---- output ---- */

static void charge_output(struct tcp_stack *stack, struct context *context, const struct net_tcp *tcp) {
    const double variation = stack->ip->variation;
    if (tcp->payload_bytes > 0) {
        (void)stack_charge(context, &stack->costs->output, variation, output_at(stack));
    } else {
        (void)stack_charge(context, &stack->costs->ack_output, variation, ack_output_at(stack));
    }
    if (is_control(tcp)) {
        (void)stack_charge(context, &stack->costs->open, variation, open_at(stack));
    }
}

void tcp_stack_output(struct tcp_stack *stack, struct context *context, uint64_t physical, const struct net_tcp *tcp,
                      bool checksum_by_hardware) {
    const uint32_t headers_bytes = net_tcp_headers_bytes(tcp);
    const uint32_t length_bytes = headers_bytes + tcp->payload_bytes;
    SIM_ASSERT(physical % MEMORY_FRAME_BYTES + length_bytes <= MEMORY_FRAME_BYTES);
    SIM_ASSERT(tcp->mss == 0 || tcp->payload_bytes == 0);
    net_tcp_write(memory_at(stack->ip->memory, physical), tcp, stack->ip->identification++, !checksum_by_hardware);
    charge_output(stack, context, tcp);
    if (!checksum_by_hardware) {
        ip_stack_charge_checksum(stack->ip, context, physical + NET_ETHERNET_BYTES, length_bytes - NET_ETHERNET_BYTES);
    }
    ip_stack_charge_output(stack->ip, context);
    cpu_touch(context, physical, headers_bytes, true);
}
