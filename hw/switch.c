/* A store-and-forward switch: a table that learns from source addresses, and an
 * output queue a port. The queue needs no events of its own: the link's calendar
 * says when each frame in it leaves. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/wire.h"
#include "sim/error.h"

const struct param switch_params[] = {
    {.key = "latency",
     .type = PARAM_TIME,
     .offset = offsetof(struct switch_config, latency),
     .default_text = "1 us",
     .minimum = "0 ns",
     .maximum = "1 ms",
     .help = "last bit in to first bit out, with the queue empty"},
    {.key = "queue",
     .type = PARAM_BYTES,
     .offset = offsetof(struct switch_config, queue_bytes),
     .default_text = "512 KiB",
     .minimum = "1518 B",
     .maximum = "1 GiB",
     .help = "an output port's; a frame that finds no room is dropped"},
    {0},
};

enum { TABLE_ENTRIES = 4096, TABLE_PROBES = 16, MAC_BYTES = 6, DEPARTURES_FIRST = 256 };
#define NOBODY UINT64_MAX

struct learned {
    uint64_t mac; /* NOBODY: free */
    uint32_t port;
};

/* A frame in the output queue; it leaves when its first bit does. */
struct departure {
    sim_time start;
    uint32_t bytes;
};

struct switch_port {
    struct port port; /* first */
    struct ethernet_switch *fabric;
    uint32_t index;
    struct departure *departures; /* ring of `capacity`, a power of two */
    uint32_t capacity, first, count;
    uint64_t queued_bytes;
    uint64_t frames_in, frames_out, drops, bytes_queued_max;
    char instance[64];
};

struct ethernet_switch {
    char name[48];
    struct switch_config config;
    uint32_t port_count;
    struct switch_port *ports;
    ledger_component component, wire;
    uint64_t floods, filtered;
    struct learned table[TABLE_ENTRIES];
};

static void receive(struct port *port, struct frame *frame);

struct ethernet_switch *switch_create(const char *name, const struct switch_config *config, unsigned ports) {
    struct ethernet_switch *fabric = calloc(1, sizeof *fabric);
    SIM_ASSERT_MSG(fabric != NULL, "out of memory");
    (void)snprintf(fabric->name, sizeof fabric->name, "%s", name);
    fabric->config = *config;
    fabric->port_count = ports;
    fabric->component = ledger_find("switch");
    fabric->wire = ledger_find("wire");
    SIM_ASSERT_MSG(fabric->component != 0, "wire_declare_components comes first");
    fabric->ports = calloc(ports, sizeof *fabric->ports);
    SIM_ASSERT_MSG(fabric->ports != NULL, "out of memory");
    for (uint32_t i = 0; i < ports; i++) {
        struct switch_port *port = &fabric->ports[i];
        port->port.receive = receive;
        port->port.owner = port;
        port->fabric = fabric;
        port->index = i;
        port->capacity = DEPARTURES_FIRST;
        port->departures = calloc(port->capacity, sizeof *port->departures);
        SIM_ASSERT_MSG(port->departures != NULL, "out of memory");
        (void)snprintf(port->instance, sizeof port->instance, "%s.%u", fabric->name, i);
    }
    for (size_t i = 0; i < TABLE_ENTRIES; i++) {
        fabric->table[i].mac = NOBODY;
    }
    return fabric;
}

void switch_free(struct ethernet_switch *ethernet_switch) {
    if (ethernet_switch == NULL) {
        return;
    }
    for (uint32_t i = 0; i < ethernet_switch->port_count; i++) {
        free(ethernet_switch->ports[i].departures);
    }
    free(ethernet_switch->ports);
    free(ethernet_switch);
}

struct port *switch_port(struct ethernet_switch *ethernet_switch, unsigned index) {
    SIM_ASSERT(index < ethernet_switch->port_count);
    return &ethernet_switch->ports[index].port;
}

static uint64_t mac_at(const uint8_t *bytes) {
    uint64_t mac = 0;
    for (unsigned i = 0; i < MAC_BYTES; i++) {
        mac = mac << 8 | bytes[i];
    }
    return mac;
}

static bool is_group(const uint8_t *mac) {
    return (mac[0] & 1) != 0;
}

/* The entry of an address or the free one where it would go; NULL: its part of the
 * table is full, and the address stays unknown. */
static struct learned *look_up(struct ethernet_switch *fabric, uint64_t mac) {
    const uint64_t hash = (mac * UINT64_C(0x9e3779b97f4a7c15)) >> 52;
    for (uint64_t probe = 0; probe < TABLE_PROBES; probe++) {
        struct learned *entry = &fabric->table[(hash + probe) % TABLE_ENTRIES];
        if (entry->mac == mac || entry->mac == NOBODY) {
            return entry;
        }
    }
    return NULL;
}

void switch_learn(struct ethernet_switch *ethernet_switch, const uint8_t mac[6], unsigned port) {
    const uint64_t key = mac_at(mac);
    struct learned *entry = look_up(ethernet_switch, key);
    if (entry != NULL && !is_group(mac)) {
        entry->mac = key;
        entry->port = port;
    }
}

static void drop(const struct ethernet_switch *fabric, struct frame *frame, const char *reason) {
    ledger_hand_over(frame->request, fabric->wire, fabric->component, LEDGER_SERVICE);
    ledger_abandon(frame->request, reason, sim_now());
    frame_release(frame);
}

static void let_go(struct switch_port *port, sim_time now) {
    while (port->count > 0 && port->departures[port->first].start <= now) {
        port->queued_bytes -= port->departures[port->first].bytes;
        port->first = (port->first + 1) & (port->capacity - 1);
        port->count--;
    }
}

static void grow(struct switch_port *port) {
    SIM_ASSERT(port->capacity > 0);
    struct departure *bigger = calloc((size_t)port->capacity * 2, sizeof *bigger);
    SIM_ASSERT_MSG(bigger != NULL, "out of memory");
    SIM_ASSERT(port->departures != NULL || port->count == 0);
    for (uint32_t i = 0; i < port->count; i++) {
        bigger[i] = port->departures[(port->first + i) & (port->capacity - 1)];
    }
    free(port->departures);
    port->departures = bigger;
    port->first = 0;
    port->capacity *= 2;
}

/* Into the output queue of a port. A frame counts from its arrival until its first
 * bit leaves. */
static void forward(struct switch_port *out, struct frame *frame) {
    const struct ethernet_switch *fabric = out->fabric;
    const sim_time now = sim_now();
    let_go(out, now);
    if (out->queued_bytes + frame->length_bytes > fabric->config.queue_bytes) {
        out->drops++;
        drop(fabric, frame, "switch queue full");
        return;
    }
    if (out->count == out->capacity) {
        grow(out);
    }
    ledger_hand_over(frame->request, fabric->wire, fabric->component, LEDGER_SERVICE);
    const uint32_t bytes = frame->length_bytes;
    const sim_time end = link_send(&out->port, frame, fabric->component, now + fabric->config.latency);
    out->departures[(out->first + out->count++) & (out->capacity - 1)] =
        (struct departure){end - link_frame_time(out->port.link, bytes), bytes};
    out->queued_bytes += bytes;
    out->frames_out++;
    if (out->queued_bytes > out->bytes_queued_max) {
        out->bytes_queued_max = out->queued_bytes;
    }
}

/* To every other port: the request follows the frame itself, which goes to the
 * lowest one; the copies are nobody's. */
static void flood(struct switch_port *in, struct frame *frame) {
    struct ethernet_switch *fabric = in->fabric;
    struct switch_port *first = NULL;
    fabric->floods++;
    for (uint32_t i = 0; i < fabric->port_count; i++) {
        struct switch_port *out = &fabric->ports[i];
        if (out == in || out->port.link == NULL) {
            continue;
        }
        if (first == NULL) {
            first = out;
            continue;
        }
        struct frame *copy = frame_allocate();
        copy->length_bytes = frame->length_bytes;
        memcpy(copy->bytes, frame->bytes, frame->length_bytes);
        forward(out, copy);
    }
    if (first != NULL) {
        forward(first, frame);
    } else {
        drop(fabric, frame, "switch has no other port");
    }
}

static void receive(struct port *port, struct frame *frame) {
    struct switch_port *in = port->owner;
    struct ethernet_switch *fabric = in->fabric;
    in->frames_in++;
    switch_learn(fabric, frame->bytes + MAC_BYTES, in->index);
    const struct learned *to = is_group(frame->bytes) ? NULL : look_up(fabric, mac_at(frame->bytes));
    if (to == NULL || to->mac == NOBODY) {
        flood(in, frame);
    } else if (to->port == in->index || fabric->ports[to->port].port.link == NULL) {
        fabric->filtered++;
        drop(fabric, frame, "switch filtered");
    } else {
        forward(&fabric->ports[to->port], frame);
    }
}

void switch_visit_stats(const struct ethernet_switch *ethernet_switch, const struct stats_sink *sink) {
    stats_counter(sink, ethernet_switch->name, "floods", ethernet_switch->floods);
    stats_counter(sink, ethernet_switch->name, "filtered", ethernet_switch->filtered);
    for (uint32_t i = 0; i < ethernet_switch->port_count; i++) {
        const struct switch_port *port = &ethernet_switch->ports[i];
        stats_counter(sink, port->instance, "frames_in", port->frames_in);
        stats_counter(sink, port->instance, "frames_out", port->frames_out);
        stats_counter(sink, port->instance, "drops", port->drops);
        stats_counter(sink, port->instance, "queued_bytes_max", port->bytes_queued_max);
    }
}

void switch_reset_stats(struct ethernet_switch *ethernet_switch) {
    ethernet_switch->floods = 0;
    ethernet_switch->filtered = 0;
    for (uint32_t i = 0; i < ethernet_switch->port_count; i++) {
        struct switch_port *port = &ethernet_switch->ports[i];
        port->frames_in = 0;
        port->frames_out = 0;
        port->drops = 0;
        port->bytes_queued_max = 0;
    }
}
