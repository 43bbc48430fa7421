/* tcp_host.h: the TCP sockets of one host, or of one thread of a library: which
 * connection a segment is for, by its four numbers; listening sockets with their
 * queues of connections to accept; refusal of what nobody takes. Like tcp.h it takes
 * no time and calls nobody but `make`. */
#ifndef STILLSUIT_STACK_TCP_HOST_H
#define STILLSUIT_STACK_TCP_HOST_H

#include "sim/stats_sink.h"
#include "stack/event_set.h"
#include "stack/tcp.h"

enum { TCP_HOST_BUCKETS = 1024, TCP_HOST_LISTENERS = 64 };

/* A socket: a listener or a connection. Part of the owner's own. */
struct tcp_stream {
    struct tcp_connection connection;
    struct tcp_host *host;
    struct tcp_stream *next_in_bucket;
    bool listening, hashed;
    uint16_t port;
    /* A listener's: connections that are established and not accepted, and how many
     * there are with those that are still being opened. */
    struct tcp_stream *accept_first, *accept_last;
    unsigned backlog, pending;
    /* A connection's, until it is accepted. */
    struct tcp_stream *listener, *next_accept;
    bool peer_closed, aborted;
    bool orphan; /* closed by the application: it ends by itself */
};

struct tcp_host_counters {
    uint64_t accepted, backlog_drops, refused, no_stream;
};

struct tcp_host {
    struct tcp_config config;
    struct tcp_counters counters;
    struct tcp_host_counters host_counters;
    struct tcp_stream *buckets[TCP_HOST_BUCKETS], *listeners[TCP_HOST_LISTENERS];
    uint32_t next_sequence; /* initial, of the next connection */
    /* A new socket for a connection that a SYN opens at a listener; NULL: no room. */
    struct tcp_stream *(*make)(void *owner, struct tcp_stream *listener);
    void *owner;
};

void tcp_host_init(struct tcp_host *host, const struct tcp_config *config,
                   struct tcp_stream *(*make)(void *owner, struct tcp_stream *listener), void *owner);
/* ERR_EXISTS as false: another listens there. */
bool tcp_host_listen(struct tcp_host *host, struct tcp_stream *stream, uint16_t port, unsigned backlog);
/* Opens a connection along a path. */
void tcp_host_connect(struct tcp_host *host, struct tcp_stream *stream, const struct tcp_path *path);

/* What a segment did. */
struct tcp_arrival {
    struct tcp_stream *stream;  /* whose output, deadline and acknowledged segments to see to; NULL: none */
    struct tcp_stream *readied; /* that has news for its reader; NULL: none */
    unsigned outcome;           /* enum tcp_outcome */
    bool answered;              /* `answer` is to be sent */
    struct net_tcp answer;
};
/* The connection that a segment is for, or NULL. */
struct tcp_stream *tcp_host_find(const struct tcp_host *host, const struct net_tcp *header);
struct tcp_arrival tcp_host_input(struct tcp_host *host, const struct net_tcp *header, struct tcp_segment *segment,
                                  sim_time now);
/* The same of a connection's timer. */
struct tcp_arrival tcp_stream_timer(struct tcp_stream *stream, sim_time now);

/* The next established connection of a listener, or NULL. */
struct tcp_stream *tcp_stream_accept(struct tcp_stream *listener);
/* The application lets go of it. */
void tcp_stream_close(struct tcp_stream *stream);
/* Nobody needs it any more: the owner may forget and free it. */
bool tcp_stream_is_over(const struct tcp_stream *stream);
void tcp_stream_forget(struct tcp_stream *stream);
void tcp_host_visit_stats(const struct tcp_host *host, const char *instance, const struct stats_sink *sink);
void tcp_host_reset_stats(struct tcp_host *host);
/* enum event_readiness of a struct tcp_stream. */
unsigned tcp_stream_readiness(const void *stream);

#endif
