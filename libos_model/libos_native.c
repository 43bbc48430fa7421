/* libos_native.c: "arrakis_native": the application works on packets where they lie:
 * receive_packet gives it one, send_packet takes it, and the buffer comes back to
 * the pool once the NIC has sent it. */
#include "libos_model/libos_storage.h"
#include "libos_model/libos_systems.h"

static struct system *create(struct machine *machine, const struct config_node *node, struct diagnostics *diagnostics) {
    return libos_create(&arrakis_native_ops, LIBOS_NATIVE, machine, node, diagnostics);
}

static enum error_code receive(struct system_thread *base, struct system_socket *handle, struct system_buffer *into) {
    struct libos_thread *thread = libos_thread_of(base);
    struct libos_packet *packet = libos_receive_packet(thread, libos_socket_of(handle));
    if (packet == NULL) {
        return ERR_AGAIN;
    }
    libos_place_packet(thread, into, packet);
    into->length_bytes = packet->payload_bytes;
    into->peer = (struct system_endpoint){.address = packet->udp.source_ip, .port = packet->udp.source_port};
    into->request = packet->carrier.request;
    cpu_work_for(thread->context, system_components.app, into->request);
    return OK;
}

static enum error_code send(struct system_thread *base, struct system_socket *handle, struct system_buffer *buffer,
                            struct system_endpoint to) {
    struct libos_thread *thread = libos_thread_of(base);
    struct request *request = buffer->request;
    if (buffer->length_bytes > FRAME_BYTES_MAX - NET_UDP_HEADERS_BYTES) {
        return ERR_RANGE;
    }
    struct libos_packet *packet = libos_unplace_packet(thread, buffer);
    return libos_transmit_udp(thread, libos_socket_of(handle), packet, buffer->length_bytes, to, request);
}

const struct system_ops arrakis_native_ops = {
    .type_name = "arrakis_native",
    .help = "a library OS on the exokernel with packets in place, no copies (Arrakis/N)",
    LIBOS_SHARED_OPS,
    LIBOS_STORAGE_OPS,
    .create = create,
    .buffer_create = libos_place_buffer_create,
    .receive = receive,
    .send = send,
};
