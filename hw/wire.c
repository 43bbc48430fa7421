/* Links: each direction is a first-in-first-out resource, so that a frame costs one
 * event: when a direction is free next is arithmetic. */
#include "hw/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/error.h"
#include "sim/usage.h"

const struct param link_params[] = {
    {.key = "rate",
     .type = PARAM_BIT_RATE,
     .offset = offsetof(struct link_config, rate_bits_per_s),
     .default_text = "10 Gbps",
     .minimum = "1 Mbps",
     .maximum = "1000 Gbps",
     .help = "bits a second, each way"},
    {.key = "propagation",
     .type = PARAM_TIME,
     .offset = offsetof(struct link_config, propagation),
     .default_text = "10 ns",
     .minimum = "0 ns",
     .maximum = "1 s",
     .help = "one way; 5 ns a metre of cable"},
    {0},
};

struct direction {
    sim_time free_at;
    struct port *to;
    uint64_t frames, bytes;
    struct usage usage;
    char resource[64];
};

struct link {
    char name[48];
    uint64_t rate_bits_per_s;
    sim_time propagation;
    struct direction directions[2]; /* by the side that sends */
};

static ledger_component wire_component;
static ledger_component switch_component;

void wire_declare_components(void) {
    static const struct ledger_declaration wire = {"wire", NULL, "Wire", "switch nic client"};
    static const struct ledger_declaration fabric = {"switch", NULL, "Switch", "wire"};
    wire_component = ledger_declare(&wire);
    switch_component = ledger_declare(&fabric);
}

struct link *link_create(const char *name, const struct link_config *config) {
    struct link *link = calloc(1, sizeof *link);
    SIM_ASSERT_MSG(link != NULL, "out of memory");
    SIM_ASSERT(config->rate_bits_per_s > 0);
    (void)snprintf(link->name, sizeof link->name, "%s", name);
    link->rate_bits_per_s = config->rate_bits_per_s;
    link->propagation = config->propagation;
    for (unsigned side = 0; side < 2; side++) {
        struct direction *direction = &link->directions[side];
        (void)snprintf(direction->resource, sizeof direction->resource, "%s.%u", link->name, side);
        usage_init(&direction->usage, sim_now());
    }
    return link;
}

void link_free(struct link *link) {
    free(link);
}

void link_connect(struct link *link, struct port *side0, struct port *side1) {
    SIM_ASSERT_MSG(side0->link == NULL && side1->link == NULL, "a port of %s is connected already", link->name);
    side0->link = link;
    side0->side = 0;
    side1->link = link;
    side1->side = 1;
    link->directions[0].to = side1;
    link->directions[1].to = side0;
}

uint64_t link_rate(const struct link *link) {
    return link->rate_bits_per_s;
}

/* Rounded down to the femtosecond; 1,538 bytes in fs are below 2^64. */
static sim_time byte_time(const struct link *link, uint32_t bytes) {
    return (uint64_t)bytes * 8 * SIM_S / link->rate_bits_per_s;
}

sim_time link_frame_time(const struct link *link, uint32_t length_bytes) {
    return byte_time(link, length_bytes + FRAME_PREAMBLE_BYTES + FRAME_FCS_BYTES + FRAME_GAP_BYTES);
}

sim_time link_free_at(const struct port *from) {
    return from->link->directions[from->side].free_at;
}

static void frame_arrives(void *context) {
    struct frame *frame = context;
    struct port *port = frame->carrier;
    port->receive(port, frame);
}

sim_time link_send(struct port *from, struct frame *frame, ledger_component owner, sim_time earliest) {
    struct link *link = from->link;
    SIM_ASSERT_MSG(link != NULL, "a port that is not connected sends");
    SIM_ASSERT(frame->length_bytes <= FRAME_BYTES_MAX && earliest >= sim_now());
    if (frame->length_bytes < FRAME_BYTES_MIN) { /* IEEE 802.3, 4.2.3.3: the MAC pads */
        memset(frame->bytes + frame->length_bytes, 0, FRAME_BYTES_MIN - frame->length_bytes);
        frame->length_bytes = FRAME_BYTES_MIN;
    }
    struct direction *direction = &link->directions[from->side];
    const sim_time start = direction->free_at > earliest ? direction->free_at : earliest;
    const sim_time last_bit = start + byte_time(link, frame->length_bytes + FRAME_PREAMBLE_BYTES + FRAME_FCS_BYTES);
    direction->free_at = start + link_frame_time(link, frame->length_bytes);
    direction->frames++;
    direction->bytes += frame->length_bytes;
    usage_book(&direction->usage, wire_component, start, direction->free_at);
    if (start > earliest) {
        ledger_hand_over_at(frame->request, owner, wire_component, LEDGER_WAITING, earliest);
        ledger_turn_at(frame->request, LEDGER_SERVICE, start);
    } else {
        ledger_hand_over_at(frame->request, owner, wire_component, LEDGER_SERVICE, earliest);
    }
    frame->carrier = direction->to;
    sim_event_init(&frame->event, SIM_PRIORITY_HARDWARE, frame_arrives, frame);
    sim_schedule_at(&frame->event, last_bit + link->propagation);
    return direction->free_at;
}

void link_visit_stats(const struct link *link, const struct stats_sink *sink) {
    for (unsigned side = 0; side < 2; side++) {
        const struct direction *direction = &link->directions[side];
        stats_counter(sink, direction->resource, "frames", direction->frames);
        stats_counter(sink, direction->resource, "bytes", direction->bytes);
        stats_usage(sink, direction->resource, &direction->usage);
    }
}

void link_reset_stats(struct link *link) {
    for (unsigned side = 0; side < 2; side++) {
        struct direction *direction = &link->directions[side];
        direction->frames = 0;
        direction->bytes = 0;
        usage_reset(&direction->usage, sim_now());
    }
}
