/* libos_place.c: buffers that are packets: nothing is copied. */
#include "libos_model/libos_net.h"

enum { PAYLOAD_BYTES_MAX = FRAME_BYTES_MAX - NET_UDP_HEADERS_BYTES };

void libos_place_packet(struct libos_thread *thread, struct system_buffer *buffer, struct libos_packet *packet) {
    if (buffer->packet != NULL) {
        libos_packet_done(thread, buffer->packet);
    }
    buffer->packet = packet;
    buffer->physical = packet->carrier.payload;
    buffer->capacity_bytes = PAYLOAD_BYTES_MAX;
}

struct libos_packet *libos_unplace_packet(struct libos_thread *thread, struct system_buffer *buffer) {
    struct libos_packet *packet = buffer->packet;
    if (packet == NULL) {
        packet = libos_packet_take(thread, buffer->request);
    }
    buffer->packet = NULL;
    buffer->request = NULL;
    return packet;
}

enum error_code libos_place_buffer_create(struct system_thread *base, uint32_t capacity_bytes,
                                          struct system_buffer *buffer) {
    struct libos_thread *thread = libos_thread_of(base);
    if (capacity_bytes > PAYLOAD_BYTES_MAX) {
        return ERR_RANGE;
    }
    *buffer = (struct system_buffer){.physical = 0};
    libos_place_packet(thread, buffer, libos_packet_take(thread, NULL));
    return OK;
}
