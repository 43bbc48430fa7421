#include "experiment/watch.h"

#include <stdlib.h>
#include <string.h>

#include "sim/random.h"
#include "stack/net_headers.h"

/* A piece is long enough to be nowhere by chance. */
enum { SECRET_BYTES = 256, PIECE_BYTES = 16 };

struct watch {
    struct memory *memory;
    struct system_buffer buffer;
    struct system_address address; /* of the process */
    uint16_t port;
    unsigned ports;
    const struct client *clients;
    uint8_t secret[SECRET_BYTES];
    uint64_t leaked_bytes, spoofed_frames;
};

static void draw_secret(struct watch *watch) {
    struct random_stream *stream = random_stream_create("watch");
    for (size_t i = 0; i < SECRET_BYTES; i++) {
        watch->secret[i] = (uint8_t)random_below(stream, 256);
    }
    random_stream_free(stream);
}

struct watch *watch_create(const struct interpreter *process, uint16_t port, unsigned ports,
                           const struct client *clients, struct error *error) {
    struct system_thread *thread = interpreter_thread(process, 0);
    struct system *system = thread->process->system;
    struct watch *watch = calloc(1, sizeof *watch);
    SIM_ASSERT(watch != NULL);
    *watch = (struct watch){.memory = system->machine->memory,
                            .address = thread->process->address,
                            .port = port,
                            .ports = ports,
                            .clients = clients};
    const enum error_code code = system->ops->buffer_create(thread, SECRET_BYTES, &watch->buffer);
    if (code != OK) {
        (void)error_set(error, code, "no memory for a secret: %s", error_code_text(code));
        free(watch);
        return NULL;
    }
    draw_secret(watch);
    memory_write(watch->memory, watch->buffer.physical, watch->secret, SECRET_BYTES);
    thread->process->secret_physical = watch->buffer.physical;
    thread->process->secret_bytes = SECRET_BYTES;
    return watch;
}

void watch_free(struct watch *watch) {
    free(watch);
}

/* ---- what left the machine ---- */

static bool contains(const uint8_t *bytes, uint32_t length_bytes, const uint8_t *piece) {
    for (uint32_t at = 0; at + PIECE_BYTES <= length_bytes; at++) {
        if (bytes[at] == piece[0] && memcmp(bytes + at, piece, PIECE_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_for_clients(const struct watch *watch, uint32_t ip) {
    for (unsigned host = 0; host < client_hosts(watch->clients); host++) {
        if (client_address(watch->clients, host).ip == ip) {
            return true;
        }
    }
    return false;
}

/* The process answers its clients and nobody else. */
static bool is_in_its_name(const struct watch *watch, const uint8_t *bytes, uint32_t length_bytes) {
    struct net_udp udp;
    uint32_t offset = 0;
    if (net_udp_parse(bytes, length_bytes, false, &udp, &offset) != NET_OK) {
        return false;
    }
    const unsigned index = (unsigned)udp.source_port - watch->port;
    return udp.source_ip == watch->address.ip && index < watch->ports && !is_for_clients(watch, udp.destination_ip);
}

void watch_frame(void *context, const uint8_t *bytes, uint32_t length_bytes) {
    struct watch *watch = context;
    for (uint32_t at = 0; at < SECRET_BYTES; at += PIECE_BYTES) {
        if (contains(bytes, length_bytes, watch->secret + at)) {
            watch->leaked_bytes += PIECE_BYTES;
        }
    }
    watch->spoofed_frames += is_in_its_name(watch, bytes, length_bytes);
}

/* ---- counters ---- */

static uint64_t changed_bytes(const struct watch *watch) {
    uint8_t now[SECRET_BYTES];
    uint64_t changed = 0;
    memory_read(watch->memory, watch->buffer.physical, now, SECRET_BYTES);
    for (size_t i = 0; i < SECRET_BYTES; i++) {
        changed += now[i] != watch->secret[i];
    }
    return changed;
}

void watch_visit_stats(const struct watch *watch, uint64_t granted, const struct stats_sink *sink) {
    const uint64_t changed = changed_bytes(watch);
    stats_counter(sink, "isolation", "secret_bytes_changed", changed);
    stats_counter(sink, "isolation", "secret_bytes_leaked", watch->leaked_bytes);
    stats_counter(sink, "isolation", "frames_spoofed", watch->spoofed_frames);
    stats_counter(sink, "isolation", "misbehaviours_granted", granted);
    stats_counter(sink, "isolation", "breaches", changed + watch->leaked_bytes + watch->spoofed_frames + granted);
}
