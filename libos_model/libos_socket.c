/* libos_socket.c: sockets in the library: demultiplexing in software, waiting. */
#include <stdlib.h>
#include <string.h>

#include "libos_model/libos_net.h"

/* ---- opening ---- */

static struct libos_socket *find_socket(const struct libos_thread *thread, uint16_t port) {
    struct libos_socket *socket = thread->sockets[port % LIBOS_SOCKETS_HASH];
    while (socket != NULL && socket->port != port) {
        socket = socket->next;
    }
    return socket;
}

/* The bare driver has one socket, and gives it everything. */
static struct libos_socket *only_socket(const struct libos_thread *thread) {
    for (size_t i = 0; i < LIBOS_SOCKETS_HASH; i++) {
        if (thread->sockets[i] != NULL) {
            return thread->sockets[i];
        }
    }
    return NULL;
}

enum error_code libos_socket_filter(struct libos_thread *thread, uint8_t protocol, uint16_t port,
                                    struct exo_handle *filter) {
    struct libos_process *process = thread->process;
    struct error error = {OK, ""};
    const struct nic_filter space = {.priority = 1,
                                     .protocol = protocol,
                                     .service_count = 1,
                                     .services = {{.address = libos_system_of(thread)->config.ip,
                                                   .mask = UINT32_MAX,
                                                   .port_low = port,
                                                   .port_high = port}},
                                     .queue = thread->queue_index};
    return exo_filter_create(process->environment, &process->function, EXO_FILTER_RX | EXO_FILTER_TX, &space, filter,
                             &error);
}

enum error_code libos_socket_open_udp(struct system_thread *base, uint16_t port, struct system_socket **out) {
    struct libos_thread *thread = libos_thread_of(base);
    struct libos_system *system = libos_system_of(thread);
    if (system->kind == LIBOS_DRIVER && only_socket(thread) != NULL) {
        return ERR_UNSUPPORTED; /* it does not tell packets apart */
    }
    struct libos_socket *socket = calloc(1, sizeof *socket);
    SIM_ASSERT(socket != NULL);
    const enum error_code code = libos_socket_filter(thread, NET_PROTOCOL_UDP, port, &socket->filter);
    if (code != OK) {
        free(socket);
        return code;
    }
    socket->base.process = base->process;
    socket->thread = thread;
    socket->port = port;
    socket->next = thread->sockets[port % LIBOS_SOCKETS_HASH];
    thread->sockets[port % LIBOS_SOCKETS_HASH] = socket;
    *out = &socket->base;
    return OK;
}

void libos_sockets_free(struct libos_thread *thread) {
    for (size_t i = 0; i < LIBOS_SOCKETS_HASH; i++) {
        while (thread->sockets[i] != NULL) {
            struct libos_socket *socket = thread->sockets[i];
            thread->sockets[i] = socket->next;
            free(socket);
        }
    }
}

/* ---- input ---- */

void libos_packet_done(struct libos_thread *thread, struct libos_packet *packet) {
    packet->carrier.request = NULL;
    vf_buffer_give(&thread->driver, packet->buffer);
}

/* A packet that goes nowhere; its request ends here, and the work that follows is
 * nobody's. */
void libos_packet_drop(struct libos_thread *thread, struct libos_packet *packet, uint64_t *counter,
                       const char *reason) {
    cpu_run(thread->context);
    cpu_work_for(thread->context, vf_components.housekeeping, NULL);
    ledger_abandon(packet->carrier.request, reason, sim_now());
    libos_packet_done(thread, packet);
    ++*counter;
}

/* Sockets together hold half a ring at most, so that the pool never runs dry. */
static void enqueue(struct libos_thread *thread, struct libos_socket *socket, struct libos_packet *packet) {
    if (socket == NULL) {
        libos_packet_drop(thread, packet, &thread->counters.no_socket, "no socket");
        return;
    }
    if (thread->queued >= thread->driver.config.ring / 2) {
        libos_packet_drop(thread, packet, &thread->counters.socket_full, "socket full");
        return;
    }
    thread->queued++;
    packet->next = NULL;
    if (socket->first == NULL) {
        socket->first = packet;
    } else {
        socket->last->next = packet;
    }
    socket->last = packet;
    (void)event_item_mark(&socket->item);
    thread->counters.received++;
    cpu_pass_on(thread->context, libos_socket_queue, LEDGER_WAITING);
}

/* IP and UDP, then the socket; NULL if the packet was dropped. */
static struct libos_socket *demultiplex(struct libos_thread *thread, struct libos_packet *packet,
                                        const struct vf_packet *raw) {
    struct libos_system *system = libos_system_of(thread);
    const uint64_t frame = vf_buffer_physical(&thread->driver, raw->buffer);
    uint32_t offset = 0;
    const enum net_verdict verdict =
        udp_stack_input(&thread->stack, thread->context, frame, raw->length_bytes, raw->checked, &packet->udp, &offset);
    if (raw->bad || verdict == NET_BAD_IP_CHECKSUM || verdict == NET_BAD_UDP_CHECKSUM) {
        libos_packet_drop(thread, packet, &thread->counters.bad_checksums, "bad checksum");
        return NULL;
    }
    if (verdict != NET_OK) {
        libos_packet_drop(thread, packet, &thread->counters.bad_packets, net_verdict_text(verdict));
        return NULL;
    }
    packet->carrier.payload = frame + offset;
    packet->payload_bytes = packet->udp.payload_bytes;
    libos_charge(thread, LIBOS_demultiplex);
    struct libos_socket *socket = find_socket(thread, packet->udp.destination_port);
    if (socket == NULL || packet->udp.destination_ip != system->config.ip) {
        libos_packet_drop(thread, packet, &thread->counters.no_socket, "no socket");
        return NULL;
    }
    libos_neighbour_learn(thread, packet->udp.source_ip, packet->udp.source_mac);
    return socket;
}

/* Takes one packet that is ready off the ring, up to its socket's queue. */
static void input(struct libos_thread *thread) {
    const struct vf_packet raw = vf_rx_take(&thread->driver, thread->context, system_components.net_stack_in);
    struct libos_packet *packet = &thread->packets[raw.buffer];
    packet->carrier.request = raw.request;
    libos_stage(thread, system_components.net_stack_in, raw.request);
    libos_charge(thread, LIBOS_rx_descriptor);
    if (libos_tcp_takes(thread, &raw)) {
        libos_tcp_input(thread, packet, &raw);
        return;
    }
    if (libos_system_of(thread)->kind != LIBOS_DRIVER) {
        struct libos_socket *socket = demultiplex(thread, packet, &raw);
        if (socket != NULL) {
            enqueue(thread, socket, packet);
        }
        return;
    }
    if (raw.length_bytes < NET_UDP_HEADERS_BYTES) {
        libos_packet_drop(thread, packet, &thread->counters.bad_packets, "short packet");
        return;
    }
    packet->carrier.payload = vf_buffer_physical(&thread->driver, raw.buffer) + NET_UDP_HEADERS_BYTES;
    packet->payload_bytes = raw.length_bytes - NET_UDP_HEADERS_BYTES;
    enqueue(thread, only_socket(thread), packet);
}

struct libos_packet *libos_receive_packet(struct libos_thread *thread, struct libos_socket *socket) {
    if (socket->first == NULL) {
        cpu_work_for(thread->context, vf_components.poll, NULL);
        thread->stack.variation = 1.0;
        libos_charge(thread, LIBOS_poll);
        if (!vf_rx_ready(&thread->driver)) {
            cpu_run(thread->context);
        }
        while (socket->first == NULL && vf_rx_ready(&thread->driver)) {
            input(thread);
        }
    }
    struct libos_packet *packet = socket->first;
    if (packet != NULL) {
        socket->first = packet->next;
        thread->queued--;
        cpu_work_for(thread->context, system_components.net_stack_in, packet->carrier.request);
    }
    return packet;
}

/* ---- waiting ---- */

/* What is there of each kind; whether a source had something. */
static bool take_one(struct libos_thread *thread) {
    if (libos_tcp_timer_is_due(thread)) {
        libos_tcp_timers(thread);
    }
    const bool taken = libos_sources_take(thread);
    if (vf_rx_ready(&thread->driver)) {
        input(thread);
    }
    return taken;
}

bool libos_turn(struct libos_thread *thread, enum system_wait how) {
    vf_housekeep(&thread->driver, thread->context);
    thread->stack.variation = 1.0;
    cpu_work_for(thread->context, vf_components.poll, NULL);
    libos_charge(thread, LIBOS_poll);
    libos_idle(thread, how);
    return take_one(thread);
}

bool libos_take_all(struct libos_thread *thread) {
    bool taken = false;
    while (libos_is_something_there(thread)) {
        taken = take_one(thread) || taken;
    }
    return taken;
}

bool libos_socket_is_ready(const struct libos_socket *socket) {
    return socket->is_stream ? tcp_stream_readiness(&((const struct libos_stream *)(const void *)socket)->stream) != 0
                             : socket->first != NULL;
}

enum error_code libos_socket_wait(struct system_thread *base, struct system_socket *handle, enum system_wait how) {
    struct libos_thread *thread = libos_thread_of(base);
    struct libos_socket *socket = libos_socket_of(handle);
    if (socket->thread != thread) {
        return ERR_UNSUPPORTED; /* a socket is its thread's: nothing is locked */
    }
    while (!libos_socket_is_ready(socket)) {
        libos_turn(thread, how);
    }
    return OK;
}
