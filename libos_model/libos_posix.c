/* libos_posix.c: "arrakis_posix": POSIX sockets in the library: the payload is copied
 * between packets and the application's memory, as recvfrom and sendto have it. */
#include "libos_model/libos_storage.h"
#include "libos_model/libos_systems.h"

static struct system *create(struct machine *machine, const struct config_node *node, struct diagnostics *diagnostics) {
    return libos_create(&arrakis_posix_ops, LIBOS_POSIX, machine, node, diagnostics);
}

static enum error_code buffer_create(struct system_thread *thread, uint32_t capacity_bytes,
                                     struct system_buffer *buffer) {
    struct error error = {OK, ""};
    *buffer = (struct system_buffer){.capacity_bytes = capacity_bytes};
    buffer->physical = libos_memory(libos_thread_of(thread)->process, (uint64_t)capacity_bytes + 1, &error);
    return buffer->physical != 0 ? OK : error.code;
}

static enum error_code receive(struct system_thread *base, struct system_socket *handle, struct system_buffer *into) {
    struct libos_thread *thread = libos_thread_of(base);
    if (libos_socket_of(handle)->is_stream) {
        return libos_stream_receive(thread, (struct libos_stream *)(void *)handle, into);
    }
    struct libos_packet *packet = libos_receive_packet(thread, libos_socket_of(handle));
    if (packet == NULL) {
        return ERR_AGAIN;
    }
    libos_stage(thread, system_components.net_stack_in, packet->carrier.request);
    libos_charge(thread, LIBOS_socket_receive);
    libos_stage(thread, system_components.copy_in, packet->carrier.request);
    libos_charge(thread, LIBOS_copy_in);
    /* What does not fit is cut off, as recvfrom does. */
    into->length_bytes = packet->payload_bytes < into->capacity_bytes ? packet->payload_bytes : into->capacity_bytes;
    cpu_copy(thread->context, into->physical, packet->carrier.payload, into->length_bytes);
    into->peer = (struct system_endpoint){.address = packet->udp.source_ip, .port = packet->udp.source_port};
    into->request = packet->carrier.request;
    libos_packet_done(thread, packet);
    cpu_work_for(thread->context, system_components.app, into->request);
    return OK;
}

static enum error_code send(struct system_thread *base, struct system_socket *handle, struct system_buffer *buffer,
                            struct system_endpoint to) {
    struct libos_thread *thread = libos_thread_of(base);
    struct request *request = buffer->request;
    if (libos_socket_of(handle)->is_stream) {
        return libos_stream_send(thread, (struct libos_stream *)(void *)handle, buffer);
    }
    if (buffer->length_bytes > FRAME_BYTES_MAX - NET_UDP_HEADERS_BYTES) {
        return ERR_RANGE;
    }
    struct libos_packet *packet = libos_packet_take(thread, request);
    libos_stage(thread, system_components.net_stack_out, request);
    libos_charge(thread, LIBOS_socket_send);
    libos_stage(thread, system_components.copy_out, request);
    libos_charge(thread, LIBOS_copy_out);
    cpu_copy(thread->context, packet->carrier.payload, buffer->physical, buffer->length_bytes);
    buffer->request = NULL;
    return libos_transmit_udp(thread, libos_socket_of(handle), packet, buffer->length_bytes, to, request);
}

const struct system_ops arrakis_posix_ops = {
    .type_name = "arrakis_posix",
    .help = "a library OS on the exokernel with POSIX sockets (Arrakis/P)",
    LIBOS_SHARED_OPS,
    LIBOS_STORAGE_OPS,
    .create = create,
    .buffer_create = buffer_create,
    .receive = receive,
    .send = send,
    .socket_listen_tcp = libos_stream_listen,
    .socket_accept = libos_stream_accept,
    .socket_close = libos_stream_close,
    .event_set_create = libos_event_set_create,
    .event_set_add = libos_event_set_add,
    .event_wait = libos_event_wait,
};
