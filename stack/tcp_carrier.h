/* tcp_carrier.h: the packet buffers that a stream's bytes lie in, and the requests (the
 * ledger's) that travel with them: the same in a kernel's socket buffers and in a
 * library's packets. A request rides on the last segment of its message. As long as that
 * is not acknowledged its sender keeps it: if a copy is dropped on its way, the request
 * comes back and rides again when the segment is sent again. */
#ifndef STILLSUIT_STACK_TCP_CARRIER_H
#define STILLSUIT_STACK_TCP_CARRIER_H

#include <stddef.h>

#include "hw/core.h"
#include "sim/ledger.h"
#include "stack/tcp_host.h"

/* Part of the owner's buffer. A datagram uses `payload` and `request` as well. */
struct tcp_carrier {
    struct tcp_segment segment;
    uint64_t payload;        /* physical: of its first byte */
    struct request *request; /* whose message it ends, while it is here; NULL: none */
    struct request *away;    /* the one that rode on it last */
};

static inline struct tcp_carrier *tcp_carrier_of(const struct tcp_segment *segment) {
    return (struct tcp_carrier *)(void *)((char *)(uintptr_t)segment - offsetof(struct tcp_carrier, segment));
}

/* Its segment leaves; the request with it, who is kept until tcp_carrier_settle. The
 * caller then passes the request on. */
void tcp_carrier_leaves(struct tcp_carrier *carrier);
/* The segment is acknowledged, or its connection ends: there is no retransmission any
 * more, and a request that is here ends. The buffer is free to be released. */
void tcp_carrier_settle(struct tcp_carrier *carrier);

/* ---- reading ---- */

/* The request whose message the next bytes end, within so many; NULL: nobody's. */
struct request *tcp_first_request(const struct tcp_connection *connection, uint32_t capacity_bytes);

struct tcp_reading {
    uint64_t into; /* physical */
    uint32_t capacity_bytes;
    /* A buffer has been read to its end; its request is the reader's. */
    void (*done)(void *owner, struct tcp_carrier *carrier);
    void *owner;
    /* What tcp_read found. */
    uint32_t length_bytes;
    struct request *request; /* whose message is read to its end; NULL: of none */
};
/* Copies what there is, on `context`'s core: up to the capacity, or to the end of a
 * request's message, since a request is one reader's. */
void tcp_read(struct context *context, struct tcp_connection *connection, struct tcp_reading *reading);

/* ---- sending ---- */

/* What a place does for the connections in it. */
struct tcp_sender {
    /* A buffer for a segment without data; NULL: there is none, and the segment is lost. */
    struct tcp_carrier *(*control)(void *owner);
    /* The hardware still has a copy of it on its ring, which will do. */
    bool (*flying)(void *owner, const struct tcp_carrier *carrier);
    void (*transmit)(void *owner, const struct net_tcp *header, struct tcp_carrier *carrier);
    /* It is settled, and free. */
    void (*release)(void *owner, struct tcp_carrier *carrier);
};
/* Sends what a connection has due, and lets go of what its peer has acknowledged. */
void tcp_sender_run(const struct tcp_sender *sender, void *owner, struct tcp_stream *stream);
/* The end of a socket that its process has closed and its peer acknowledged; nothing
 * before that. */
void tcp_sender_bury(const struct tcp_sender *sender, void *owner, struct tcp_stream *stream);

#endif
