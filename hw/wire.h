/* wire.h: Ethernet frames, links and ports.
 *
 * A link is full duplex, a first-in-first-out resource a direction. A frame
 * occupies it for its bytes, the FCS, the preamble and the gap (IEEE 802.3, 4.4.2),
 * and arrives when its last bit has. */
#ifndef STILLSUIT_HW_WIRE_H
#define STILLSUIT_HW_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/engine.h"
#include "sim/ledger.h"
#include "sim/param.h"
#include "sim/stats_sink.h"

enum {
    FRAME_BYTES_MAX = 1518 - 4, /* without FCS */
    FRAME_BYTES_MIN = 60,
    FRAME_FCS_BYTES = 4,
    FRAME_PREAMBLE_BYTES = 8, /* with start-of-frame delimiter */
    FRAME_GAP_BYTES = 12
};

/* A frame in flight, from a pool; whoever has the pointer owns it. */
struct frame {
    struct sim_event event;  /* its owner's: an arrival, say */
    struct request *request; /* rides along; NULL for none */
    struct frame *next;      /* its owner's: a queue */
    void *carrier;           /* its owner's */
    uint32_t length_bytes;   /* without FCS; never below FRAME_BYTES_MIN on the wire */
    uint8_t bytes[FRAME_BYTES_MAX + 14];
};
struct frame *frame_allocate(void);
void frame_release(struct frame *frame);

/* What lies at the end of a link: takes a frame when its last bit has arrived. */
struct port {
    void (*receive)(struct port *port, struct frame *frame);
    void *owner;
    struct link *link; /* set by link_connect */
    unsigned side;     /* 0 or 1 */
};

struct link_config {
    uint64_t rate_bits_per_s;
    sim_time propagation;
};
extern const struct param link_params[];

struct link;
/* The caller frees it. */
struct link *link_create(const char *name, const struct link_config *config);
void link_free(struct link *link);
void link_connect(struct link *link, struct port *side0, struct port *side1);
uint64_t link_rate(const struct link *link);

/* Sends from a port: begins when the link is free, not before `earliest` (>= now;
 * calls on one side come in the order of their starts). The link takes the frame.
 * Its request must be owned by `owner`; it waits in "wire" for the link, crosses,
 * and is owned by "wire" on arrival. Returns when the last bit will have left (the
 * gap included), for a sender that paces itself. */
sim_time link_send(struct port *from, struct frame *frame, ledger_component owner, sim_time earliest);
/* When the side's transmitter is free. */
sim_time link_free_at(const struct port *from);
/* Time on the wire of a frame of so many bytes (without FCS). */
sim_time link_frame_time(const struct link *link, uint32_t length_bytes);

/* ---- switch: store and forward, learning, a queue a port ---- */
struct switch_config {
    sim_time latency;     /* last bit in to first bit out, queue empty */
    uint64_t queue_bytes; /* a port's; more is dropped and counted */
};
extern const struct param switch_params[];
struct ethernet_switch;
struct ethernet_switch *switch_create(const char *name, const struct switch_config *config, unsigned ports);
void switch_free(struct ethernet_switch *ethernet_switch);
struct port *switch_port(struct ethernet_switch *ethernet_switch, unsigned index);
/* Puts an address into the table before the run, so that a first frame is not
 * flooded (a request that rides on a flooded frame follows one copy only). */
void switch_learn(struct ethernet_switch *ethernet_switch, const uint8_t mac[6], unsigned port);

/* "wire" and "switch". wire's next: switch, nic, client. */
void wire_declare_components(void);
void link_visit_stats(const struct link *link, const struct stats_sink *sink);
void switch_visit_stats(const struct ethernet_switch *ethernet_switch, const struct stats_sink *sink);
/* The end of the warm-up: counters and accounts start anew. */
void link_reset_stats(struct link *link);
void switch_reset_stats(struct ethernet_switch *ethernet_switch);

#endif
