/* udp_stack.h: IP and UDP, the protocol code that a kernel or a library OS runs.
 *
 * It works on packets in simulated memory, on whatever context calls it, and does
 * not know which: it charges the steps it takes and touches the lines it reads.
 * Placement, demultiplexing, buffering and scheduling are the caller's. */
#ifndef STILLSUIT_STACK_UDP_STACK_H
#define STILLSUIT_STACK_UDP_STACK_H

#include "hw/core.h"
#include "hw/memory.h"
#include "sim/param.h"
#include "stack/net_headers.h"

/* Costs of the protocol code itself: the same on every system, from one file
 * (configs/profiles/stack-ip.yaml). */
struct udp_stack_costs {
    struct cost ip_input, udp_input, ip_output, udp_output;
    struct cost checksum_per_kib;       /* software checksum, when the hardware does not */
    const struct config_node *tcp_node; /* `tcp:`, for struct tcp_stack_costs; NULL: none */
};
extern const struct param udp_stack_params[];

/* A placement of the code: who pays, and where its working set lies. */
struct udp_stack {
    struct memory *memory;
    struct udp_stack_costs *costs;
    uint64_t working_set; /* physical address of the lines that the steps touch */
    double variation;     /* the present factor on cycles; 1 for none */
    uint64_t verdicts[NET_VERDICTS];
    uint16_t identification;
};

/* Bytes of working set that the costs' lines ask for. */
uint64_t udp_stack_working_set_bytes(const struct udp_stack_costs *costs);
void udp_stack_init(struct udp_stack *stack, struct memory *memory, struct udp_stack_costs *costs,
                    uint64_t working_set);

/* Charges one cost: its cycles times `variation`, and its lines from `lines_at`,
 * read through the cache; counts the use. Returns the address after those lines. */
uint64_t stack_charge(struct context *context, struct cost *cost, double variation, uint64_t lines_at);

/* Input: reads the headers of the frame at `physical` and charges for it.
 * `checked_by_hardware` skips software verification. */
enum net_verdict udp_stack_input(struct udp_stack *stack, struct context *context, uint64_t physical,
                                 uint32_t length_bytes, bool checked_by_hardware, struct net_udp *udp,
                                 uint32_t *payload_offset);
/* Output: writes headers in front of a payload that lies at
 * physical + NET_UDP_HEADERS_BYTES and charges for it. */
void udp_stack_output(struct udp_stack *stack, struct context *context, uint64_t physical, const struct net_udp *udp,
                      bool checksum_by_hardware);

/* ---- for protocols beside UDP: the steps that they share ---- */
void ip_stack_charge_input(struct udp_stack *stack, struct context *context);
void ip_stack_charge_output(struct udp_stack *stack, struct context *context);
/* Of so many bytes in software. */
void ip_stack_charge_checksum(struct udp_stack *stack, struct context *context, uint64_t physical,
                              uint32_t length_bytes);

#endif
