#include "stack/udp_stack.h"

#include <stddef.h>

#define ROW(name, text)                                                                                                \
    { .key = #name, .type = PARAM_COST, .offset = offsetof(struct udp_stack_costs, name), .help = (text) }

const struct param udp_stack_params[] = {
    ROW(ip_input, "IPv4 input: header checks, options, route to this host"),
    ROW(udp_input, "UDP input: header checks, the datagram's addressing"),
    ROW(ip_output, "IPv4 output: route, neighbour, header"),
    ROW(udp_output, "UDP output: header"),
    ROW(checksum_per_kib, "software checksum of 1 KiB, in proportion; not charged where the hardware does it"),
    {.key = "tcp",
     .type = PARAM_NODE,
     .offset = offsetof(struct udp_stack_costs, tcp_node),
     .default_text = "",
     .help = "costs of TCP, for scripts that listen"},
    {0},
};

enum { HEADER_LINE_BYTES = 64, KIB = 1024 };

/* ---- the working set: each cost's lines in a region of their own, in this order ---- */

static uint64_t region_bytes(const struct cost *cost) {
    return (uint64_t)cost->lines * MEMORY_LINE_BYTES;
}

static uint64_t udp_input_at(const struct udp_stack *stack) {
    return stack->working_set + region_bytes(&stack->costs->ip_input);
}

static uint64_t ip_output_at(const struct udp_stack *stack) {
    return udp_input_at(stack) + region_bytes(&stack->costs->udp_input);
}

static uint64_t udp_output_at(const struct udp_stack *stack) {
    return ip_output_at(stack) + region_bytes(&stack->costs->ip_output);
}

static uint64_t checksum_at(const struct udp_stack *stack) {
    return udp_output_at(stack) + region_bytes(&stack->costs->udp_output);
}

uint64_t udp_stack_working_set_bytes(const struct udp_stack_costs *costs) {
    return region_bytes(&costs->ip_input) + region_bytes(&costs->udp_input) + region_bytes(&costs->ip_output) +
           region_bytes(&costs->udp_output) + region_bytes(&costs->checksum_per_kib);
}

void udp_stack_init(struct udp_stack *stack, struct memory *memory, struct udp_stack_costs *costs,
                    uint64_t working_set) {
    *stack = (struct udp_stack){.memory = memory, .costs = costs, .working_set = working_set, .variation = 1.0};
}

/* ---- charging ---- */

uint64_t stack_charge(struct context *context, struct cost *cost, double variation, uint64_t lines_at) {
    /* Signed on the way: the host converts those in one instruction. */
    cpu_charge(context, (uint64_t)(int64_t)((double)(int64_t)cost->cycles * variation + 0.5));
    if (cost->lines > 0) {
        cpu_touch(context, lines_at, cost->lines * MEMORY_LINE_BYTES, false);
    }
    cost->uses++;
    return lines_at + region_bytes(cost);
}

/* Reads the bytes that it sums, and takes cycles in proportion to their number. */
void ip_stack_charge_checksum(struct udp_stack *stack, struct context *context, uint64_t physical,
                              uint32_t length_bytes) {
    cpu_touch(context, physical, length_bytes, false);
    (void)stack_charge(context, &stack->costs->checksum_per_kib, stack->variation * (double)length_bytes / KIB,
                       checksum_at(stack));
}

void ip_stack_charge_input(struct udp_stack *stack, struct context *context) {
    (void)stack_charge(context, &stack->costs->ip_input, stack->variation, stack->working_set);
}

void ip_stack_charge_output(struct udp_stack *stack, struct context *context) {
    (void)stack_charge(context, &stack->costs->ip_output, stack->variation, ip_output_at(stack));
}

/* ---- the packet's bytes ---- */

static bool lies_in_one_frame(uint64_t physical, uint32_t length_bytes) {
    return physical % MEMORY_FRAME_BYTES + length_bytes <= MEMORY_FRAME_BYTES;
}

enum { DATAGRAM_BYTES_MAX = NET_ETHERNET_BYTES + UINT16_MAX };

/* ---- input ---- */

static enum net_verdict parse(const struct udp_stack *stack, uint64_t physical, uint32_t length_bytes, bool verify,
                              struct net_udp *udp, uint32_t *payload_offset) {
    if (lies_in_one_frame(physical, length_bytes)) {
        return net_udp_parse(memory_at(stack->memory, physical), length_bytes, verify, udp, payload_offset);
    }
    /* Frames are not neighbours in the simulator's own memory: make the packet one piece. */
    static uint8_t whole[DATAGRAM_BYTES_MAX];
    SIM_ASSERT_MSG(length_bytes <= sizeof whole, "a packet of %u bytes", length_bytes);
    memory_read(stack->memory, physical, whole, length_bytes);
    return net_udp_parse(whole, length_bytes, verify, udp, payload_offset);
}

/* Whether the packet got as far as the UDP code before it was refused. */
static bool reached_udp(enum net_verdict verdict) {
    return verdict == NET_OK || verdict == NET_BAD_UDP_LENGTH || verdict == NET_BAD_UDP_CHECKSUM;
}

enum net_verdict udp_stack_input(struct udp_stack *stack, struct context *context, uint64_t physical,
                                 uint32_t length_bytes, bool checked_by_hardware, struct net_udp *udp,
                                 uint32_t *payload_offset) {
    const enum net_verdict verdict = parse(stack, physical, length_bytes, !checked_by_hardware, udp, payload_offset);
    const uint32_t header_bytes = length_bytes < HEADER_LINE_BYTES ? length_bytes : HEADER_LINE_BYTES;
    cpu_touch(context, physical, header_bytes, false);
    if (verdict != NET_NOT_IPV4) {
        ip_stack_charge_input(stack, context);
    }
    if (reached_udp(verdict)) {
        (void)stack_charge(context, &stack->costs->udp_input, stack->variation, udp_input_at(stack));
        if (!checked_by_hardware && verdict != NET_BAD_UDP_LENGTH) {
            ip_stack_charge_checksum(stack, context, physical + NET_ETHERNET_BYTES, length_bytes - NET_ETHERNET_BYTES);
        }
    }
    stack->verdicts[verdict]++;
    return verdict;
}

/* ---- output ---- */

void udp_stack_output(struct udp_stack *stack, struct context *context, uint64_t physical, const struct net_udp *udp,
                      bool checksum_by_hardware) {
    const uint32_t length_bytes = NET_UDP_HEADERS_BYTES + (uint32_t)udp->payload_bytes;
    const uint16_t identification = stack->identification++;
    if (lies_in_one_frame(physical, length_bytes)) {
        net_udp_write(memory_at(stack->memory, physical), udp, identification, !checksum_by_hardware);
    } else {
        static uint8_t whole[DATAGRAM_BYTES_MAX];
        SIM_ASSERT_MSG(length_bytes <= sizeof whole, "a packet of %u bytes", length_bytes);
        memory_read(stack->memory, physical, whole, length_bytes);
        net_udp_write(whole, udp, identification, !checksum_by_hardware);
        memory_write(stack->memory, physical, whole, NET_UDP_HEADERS_BYTES);
    }
    (void)stack_charge(context, &stack->costs->udp_output, stack->variation, udp_output_at(stack));
    if (!checksum_by_hardware) {
        ip_stack_charge_checksum(stack, context, physical + NET_ETHERNET_BYTES, length_bytes - NET_ETHERNET_BYTES);
    }
    ip_stack_charge_output(stack, context);
    cpu_touch(context, physical, NET_UDP_HEADERS_BYTES, true);
}
