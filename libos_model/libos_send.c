/* libos_send.c: the way out. */
#include <string.h>

#include "libos_model/libos_net.h"

/* ---- neighbours ----
 * Addresses are learned from what arrives, one an entry; a collision forgets. */

void libos_neighbour_learn(struct libos_thread *thread, uint32_t ip, const uint8_t mac[6]) {
    struct libos_neighbour *entry = &thread->neighbours[ip % LIBOS_NEIGHBOURS];
    entry->ip = ip;
    memcpy(entry->mac, mac, sizeof entry->mac);
}

static void neighbour_mac(struct libos_thread *thread, uint32_t ip, uint8_t mac[6]) {
    const struct libos_neighbour *entry = &thread->neighbours[ip % LIBOS_NEIGHBOURS];
    if (entry->ip == ip) {
        memcpy(mac, entry->mac, 6);
        return;
    }
    memset(mac, 0xff, 6); /* broadcast reaches it, too */
    thread->counters.unknown_neighbours++;
}

/* ---- room ---- */

static void line_written(void *context) {
    cpu_spin_wake(context);
}

/* Waits until the NIC has sent something. The request waits in the stack. */
static void wait_for_transmit(struct libos_thread *thread, struct request *request) {
    struct memory *memory = thread->driver.memory;
    const uint64_t cycles = libos_system_of(thread)->profile.steps[LIBOS_poll].cycles;
    thread->counters.transmit_waits++;
    cpu_work_for(thread->context, system_components.net_stack_out, request);
    cpu_pass_on(thread->context, system_components.net_stack_out, LEDGER_WAITING);
    vf_housekeep(&thread->driver, thread->context);
    while (thread->driver.free_count == 0 || !vf_tx_room(&thread->driver)) {
        memory_watch_set(memory, &thread->watch, vf_tx_line(&thread->driver), line_written, thread->context);
        cpu_spin(thread->context, cycles, vf_components.poll);
        memory_watch_clear(memory, &thread->watch);
        vf_housekeep(&thread->driver, thread->context);
    }
}

void libos_await_transmit(struct libos_thread *thread, struct request *request) {
    if (!vf_tx_room(&thread->driver)) {
        wait_for_transmit(thread, request);
    }
}

struct libos_packet *libos_packet_take(struct libos_thread *thread, struct request *request) {
    if (thread->driver.free_count == 0) {
        wait_for_transmit(thread, request);
    }
    struct libos_packet *packet = &thread->packets[vf_buffer_take(&thread->driver)];
    packet->carrier.payload = vf_buffer_physical(&thread->driver, packet->buffer) + NET_UDP_HEADERS_BYTES;
    return packet;
}

/* ---- transmit ---- */

enum error_code libos_transmit_frame(struct libos_thread *thread, struct libos_packet *packet, uint32_t frame_bytes,
                                     bool tcp, struct request *request) {
    libos_charge(thread, LIBOS_tx_descriptor);
    packet->carrier.request = NULL;
    vf_tx_protocol(&thread->driver, thread->context, tcp);
    const enum error_code code = vf_tx_send(&thread->driver, thread->context, packet->buffer, frame_bytes, request);
    thread->counters.sent += code == OK;
    return code;
}

void libos_write_headers(struct libos_thread *thread, const struct libos_packet *packet, uint16_t port,
                         uint32_t length_bytes, struct system_endpoint to) {
    const struct libos_system *system = libos_system_of(thread);
    struct net_udp udp = {.source_ip = system->config.ip,
                          .destination_ip = to.address,
                          .source_port = port,
                          .destination_port = to.port,
                          .payload_bytes = (uint16_t)length_bytes};
    memcpy(udp.source_mac, thread->process->mac, sizeof udp.source_mac);
    neighbour_mac(thread, to.address, udp.destination_mac);
    udp_stack_output(&thread->stack, thread->context, vf_buffer_physical(&thread->driver, packet->buffer), &udp,
                     system->config.checksum_offload);
}

enum error_code libos_transmit_udp(struct libos_thread *thread, const struct libos_socket *socket,
                                   struct libos_packet *packet, uint32_t length_bytes, struct system_endpoint to,
                                   struct request *request) {
    libos_await_transmit(thread, request);
    libos_stage(thread, system_components.net_stack_out, request);
    libos_write_headers(thread, packet, socket->port, length_bytes, to);
    return libos_transmit_frame(thread, packet, NET_UDP_HEADERS_BYTES + length_bytes, false, request);
}
