/* exo_fixture.h: a small machine with an SR-IOV NIC, an exokernel on it, and a wire
 * whose far end the test holds. */
#ifndef STILLSUIT_TESTS_KERNEL_MODEL_EXO_FIXTURE_H
#define STILLSUIT_TESTS_KERNEL_MODEL_EXO_FIXTURE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "hw/machine.h"
#include "hw/nic/nic.h"
#include "kernel_model/common/system.h"
#include "kernel_model/exo/doorbell.h"
#include "kernel_model/exo/filter.h"
#include "kernel_model/exo/vnic.h"
#include "sim/random.h"
#include "stack/net_headers.h"

static const uint8_t FIXTURE_MAC_A[6] = {2, 0, 0, 0, 0, 1};
static const uint8_t FIXTURE_MAC_B[6] = {2, 0, 0, 0, 0, 2};
static const uint8_t FIXTURE_MAC_CLIENT[6] = {2, 0, 0, 0, 0, 0x99};
enum { FIXTURE_IP = 0x0a000001, FIXTURE_IP_CLIENT = 0x0a000063, FIXTURE_FRAMES_MAX = 256 };

/* The far end: keeps what arrives, and may answer. */
struct fixture_client {
    struct port port;
    struct link *link;
    uint32_t count;
    uint32_t length_bytes[FIXTURE_FRAMES_MAX];
    uint8_t bytes[FIXTURE_FRAMES_MAX][FRAME_BYTES_MAX];
    struct request *request; /* of the last frame */
    void (*arrived)(struct fixture_client *client);
};

static struct machine *fixture_machine;
static struct device *fixture_nic;
static struct fixture_client fixture_client;
static ledger_component fixture_client_component;

static inline void fixture_client_receive(struct port *port, struct frame *frame) {
    struct fixture_client *client = port->owner;
    const uint32_t at = client->count++ % FIXTURE_FRAMES_MAX;
    client->length_bytes[at] = frame->length_bytes;
    memcpy(client->bytes[at], frame->bytes, frame->length_bytes);
    client->request = frame->request;
    frame_release(frame);
    if (client->arrived != NULL) {
        client->arrived(client);
    }
}

/* Sends a datagram of `payload_bytes` bytes of `fill` into the NIC. */
static inline void fixture_client_send(const uint8_t destination_mac[6], uint16_t source_port,
                                       uint16_t destination_port, uint16_t payload_bytes, uint8_t fill,
                                       struct request *request) {
    struct frame *frame = frame_allocate();
    struct net_udp udp = {.source_ip = FIXTURE_IP_CLIENT,
                          .destination_ip = FIXTURE_IP,
                          .source_port = source_port,
                          .destination_port = destination_port,
                          .payload_bytes = payload_bytes};
    memcpy(udp.source_mac, FIXTURE_MAC_CLIENT, 6);
    memcpy(udp.destination_mac, destination_mac, 6);
    memset(frame->bytes + NET_UDP_HEADERS_BYTES, fill, payload_bytes);
    net_udp_write(frame->bytes, &udp, 1, true);
    frame->length_bytes = NET_UDP_HEADERS_BYTES + payload_bytes;
    if (frame->length_bytes < FRAME_BYTES_MIN) {
        memset(frame->bytes + frame->length_bytes, 0, FRAME_BYTES_MIN - frame->length_bytes);
        frame->length_bytes = FRAME_BYTES_MIN;
    }
    frame->request = request;
    (void)link_send(&fixture_client.port, frame, fixture_client_component, sim_now());
}

/* More of the machine, set before it is made: "cache: {model: flat}". */
static const char *fixture_more = "";

/* A machine with 3 cores and 4 virtual functions; mode "on" or "off" of the IOMMU. */
static inline void fixture_machine_make(const char *iommu, const char *filtering) {
    static char text[1024];
    struct diagnostics diagnostics;
    (void)snprintf(text, sizeof text,
                   "memory: {size: 256 MiB}\n"
                   "core: {count: 3}\n"
                   "iommu: {mode: \"%s\"}\n"
                   "devices:\n"
                   "  - {name: nic, type: nic/sriov, virtual_functions: 4, filtering: %s}\n"
                   "%s\n",
                   iommu, filtering, fixture_more);
    random_seed(1);
    machine_declare_components();
    system_declare_components();
    exo_declare_components();
    static const struct ledger_declaration client = {"client", NULL, "Client", "wire"};
    fixture_client_component = ledger_declare(&client);
    diagnostics_init(&diagnostics);
    struct config *config = config_parse("machine.yaml", text, &diagnostics);
    const bool made = config != NULL && machine_create(config_root(config), &fixture_machine, &diagnostics);
    if (!made) {
        diagnostics_print(&diagnostics, stderr);
    }
    cr_assert(made);
    fixture_nic = machine_device(fixture_machine, "nic");
    static const struct link_config link = {.rate_bits_per_s = 10000000000, .propagation = 10 * SIM_NS};
    fixture_client.link = link_create("cable", &link);
    fixture_client.port.receive = fixture_client_receive;
    fixture_client.port.owner = &fixture_client;
    link_connect(fixture_client.link, fixture_nic->ops->network_port(fixture_nic, 0), &fixture_client.port);
}

/* ---- an exokernel with two environments, for tests below the library OSes ---- */
static struct exo_kernel *kernel;
static struct exo_environment *alice, *bob;
static struct exo_costs fixture_costs;

static inline void fixture_kernel_make(const char *iommu, const char *filtering) {
    struct error error = {OK, ""};
    fixture_machine_make(iommu, filtering);
    kernel = exo_kernel_create(fixture_machine, &fixture_costs, EXO_IDLE_HALT, &error);
    cr_assert_not_null(kernel, "%s", error.text);
    struct exo_limits limits = exo_limits_default();
    limits.address = FIXTURE_IP;
    alice = exo_environment_create(kernel, "alice", &limits, &error);
    bob = exo_environment_create(kernel, "bob", &limits, &error);
    cr_assert(alice != NULL && bob != NULL, "%s", error.text);
}

/* A filter for UDP ports low..high of the machine's address. */
static inline struct nic_filter fixture_space(uint16_t low, uint16_t high) {
    return (struct nic_filter){
        .priority = 1,
        .protocol = NET_PROTOCOL_UDP,
        .service_count = 1,
        .services = {{.address = FIXTURE_IP, .mask = UINT32_MAX, .port_low = low, .port_high = high}}};
}

/* ---- counters by name ---- */
struct fixture_counter {
    const char *instance, *counter;
    uint64_t value;
    bool found;
};
static inline void fixture_count(void *context, const char *instance, const char *counter, uint64_t value) {
    struct fixture_counter *wanted = context;
    if (strcmp(wanted->instance, instance) == 0 && strcmp(wanted->counter, counter) == 0) {
        wanted->value += value;
        wanted->found = true;
    }
}
static inline uint64_t fixture_exo_counter(const char *instance, const char *counter) {
    struct fixture_counter wanted = {instance, counter, 0, false};
    const struct stats_sink sink = {&wanted, fixture_count, NULL};
    exo_visit_stats(kernel, &sink);
    cr_assert(wanted.found, "no counter %s of %s", counter, instance);
    return wanted.value;
}
/* Of the NIC, whatever instance. */
static inline void fixture_count_any(void *context, const char *instance, const char *counter, uint64_t value) {
    struct fixture_counter *wanted = context;
    (void)instance;
    if (strcmp(wanted->counter, counter) == 0) {
        wanted->value += value;
        wanted->found = true;
    }
}
static inline uint64_t fixture_nic_counter(const char *counter) {
    struct fixture_counter wanted = {NULL, counter, 0, false};
    const struct stats_sink sink = {&wanted, fixture_count_any, NULL};
    fixture_nic->ops->visit_stats(fixture_nic, &sink);
    cr_assert(wanted.found, "no counter %s", counter);
    return wanted.value;
}

#endif
