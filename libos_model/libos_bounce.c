/* libos_bounce.c: "driver": no protocol code at all: what arrives goes back to where
 * it came from, headers swapped in place. A swap changes neither checksum, since a
 * one's complement sum does not see the order of its words (RFC 1071). */
#include "libos_model/libos_net.h"
#include "libos_model/libos_systems.h"

static struct system *create(struct machine *machine, const struct config_node *node, struct diagnostics *diagnostics) {
    return libos_create(&libos_driver_ops, LIBOS_DRIVER, machine, node, diagnostics);
}

static enum error_code receive(struct system_thread *base, struct system_socket *handle, struct system_buffer *into) {
    struct libos_thread *thread = libos_thread_of(base);
    struct libos_packet *packet = libos_receive_packet(thread, libos_socket_of(handle));
    if (packet == NULL) {
        return ERR_AGAIN;
    }
    libos_place_packet(thread, into, packet);
    into->length_bytes = packet->payload_bytes;
    into->peer = (struct system_endpoint){0, 0}; /* it has not looked */
    into->request = packet->carrier.request;
    cpu_work_for(thread->context, system_components.app, into->request);
    return OK;
}

static void swap(uint8_t *a, uint8_t *b, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const uint8_t kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

static void swap_headers(struct memory *memory, uint64_t frame) {
    enum { IP_SOURCE = NET_ETHERNET_BYTES + 12, IP_BYTES = 4, PORT_SOURCE = NET_ETHERNET_BYTES + NET_IPV4_BYTES };
    uint8_t bytes[NET_UDP_HEADERS_BYTES];
    memory_read(memory, frame, bytes, sizeof bytes);
    swap(bytes, bytes + 6, 6);
    swap(bytes + IP_SOURCE, bytes + IP_SOURCE + IP_BYTES, IP_BYTES);
    swap(bytes + PORT_SOURCE, bytes + PORT_SOURCE + 2, 2);
    memory_write(memory, frame, bytes, sizeof bytes);
}

/* `to` is not asked: it returns to its sender. */
static enum error_code send(struct system_thread *base, struct system_socket *handle, struct system_buffer *buffer,
                            struct system_endpoint to) {
    (void)handle;
    (void)to;
    struct libos_thread *thread = libos_thread_of(base);
    struct request *request = buffer->request;
    if (buffer->packet == NULL || buffer->length_bytes > FRAME_BYTES_MAX - NET_UDP_HEADERS_BYTES) {
        return ERR_RANGE;
    }
    struct libos_packet *packet = libos_unplace_packet(thread, buffer);
    const uint64_t frame = vf_buffer_physical(&thread->driver, packet->buffer);
    libos_await_transmit(thread, request);
    libos_stage(thread, system_components.net_stack_out, request);
    libos_charge(thread, LIBOS_bounce);
    cpu_touch(thread->context, frame, NET_UDP_HEADERS_BYTES, true);
    swap_headers(thread->driver.memory, frame);
    return libos_transmit_frame(thread, packet, NET_UDP_HEADERS_BYTES + buffer->length_bytes, false, request);
}

const struct system_ops libos_driver_ops = {
    .type_name = "driver",
    .help = "a bare driver on a virtual function that bounces packets, without protocol code",
    LIBOS_SHARED_OPS,
    .create = create,
    .buffer_create = libos_place_buffer_create,
    .receive = receive,
    .send = send,
};
