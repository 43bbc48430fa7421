#include "stack/tcp_host.h"

#include "sim/error.h"

enum { SEQUENCE_STEP = 0x10001 }; /* from one connection to the next */

void tcp_host_init(struct tcp_host *host, const struct tcp_config *config,
                   struct tcp_stream *(*make)(void *owner, struct tcp_stream *listener), void *owner) {
    *host = (struct tcp_host){.config = *config, .next_sequence = SEQUENCE_STEP, .make = make, .owner = owner};
}

/* ---- look-up ---- */

static uint32_t hash(uint32_t remote_ip, uint16_t remote_port, uint16_t local_port) {
    const uint32_t ports = (uint32_t)remote_port << 16 | local_port;
    uint32_t mixed = (remote_ip ^ ports) * UINT32_C(0x9e3779b1);
    mixed = (mixed ^ mixed >> 15 ^ remote_ip) * UINT32_C(0x85ebca6b);
    return (mixed ^ mixed >> 13) % TCP_HOST_BUCKETS;
}

static struct tcp_stream **bucket_of(struct tcp_host *host, const struct tcp_path *path) {
    return &host->buckets[hash(path->remote_ip, path->remote_port, path->local_port)];
}

struct tcp_stream *tcp_host_find(const struct tcp_host *host, const struct net_tcp *header) {
    struct tcp_stream *stream = host->buckets[hash(header->source_ip, header->source_port, header->destination_port)];
    for (; stream != NULL; stream = stream->next_in_bucket) {
        const struct tcp_path *path = &stream->connection.path;
        if (path->remote_ip == header->source_ip && path->remote_port == header->source_port &&
            path->local_ip == header->destination_ip && path->local_port == header->destination_port) {
            return stream;
        }
    }
    return NULL;
}

static struct tcp_stream *find_listener(const struct tcp_host *host, uint16_t port) {
    struct tcp_stream *stream = host->listeners[port % TCP_HOST_LISTENERS];
    while (stream != NULL && stream->port != port) {
        stream = stream->next_in_bucket;
    }
    return stream;
}

static void insert(struct tcp_host *host, struct tcp_stream *stream, struct tcp_stream **bucket) {
    stream->host = host;
    stream->hashed = true;
    stream->next_in_bucket = *bucket;
    *bucket = stream;
}

static void prepare(struct tcp_host *host, struct tcp_stream *stream, const struct tcp_path *path) {
    tcp_init(&stream->connection, &host->config, &host->counters, path);
    insert(host, stream, bucket_of(host, path));
    stream->port = path->local_port;
    host->next_sequence += SEQUENCE_STEP;
}

/* ---- opening ---- */

bool tcp_host_listen(struct tcp_host *host, struct tcp_stream *stream, uint16_t port, unsigned backlog) {
    if (find_listener(host, port) != NULL) {
        return false;
    }
    *stream = (struct tcp_stream){.listening = true, .port = port, .backlog = backlog};
    insert(host, stream, &host->listeners[port % TCP_HOST_LISTENERS]);
    return true;
}

void tcp_host_connect(struct tcp_host *host, struct tcp_stream *stream, const struct tcp_path *path) {
    *stream = (struct tcp_stream){.listening = false};
    prepare(host, stream, path);
    tcp_connect(&stream->connection, host->next_sequence);
}

static struct tcp_path path_back(const struct net_tcp *header) {
    struct tcp_path path = {.local_ip = header->destination_ip,
                            .remote_ip = header->source_ip,
                            .local_port = header->destination_port,
                            .remote_port = header->source_port};
    for (unsigned i = 0; i < 6; ++i) {
        path.local_mac[i] = header->destination_mac[i];
        path.remote_mac[i] = header->source_mac[i];
    }
    return path;
}

static bool is_opening(const struct net_tcp *header) {
    return (header->flags & (NET_TCP_SYN | NET_TCP_ACK | NET_TCP_RST)) == NET_TCP_SYN;
}

/* A SYN at a listener. What does not fit its backlog is ignored: the peer tries again. */
static struct tcp_stream *open_connection(struct tcp_host *host, struct tcp_stream *listener,
                                          const struct net_tcp *header) {
    struct tcp_stream *stream = listener->pending < listener->backlog ? host->make(host->owner, listener) : NULL;
    if (stream == NULL) {
        host->host_counters.backlog_drops++;
        return NULL;
    }
    const struct tcp_path path = path_back(header);
    *stream = (struct tcp_stream){.listener = listener};
    prepare(host, stream, &path);
    listener->pending++;
    tcp_accept(&stream->connection, host->next_sequence, header);
    return stream;
}

static void queue_for_accept(struct tcp_stream *stream) {
    struct tcp_stream *listener = stream->listener;
    stream->next_accept = NULL;
    if (listener->accept_first == NULL) {
        listener->accept_first = stream;
    } else {
        listener->accept_last->next_accept = stream;
    }
    listener->accept_last = stream;
}

struct tcp_stream *tcp_stream_accept(struct tcp_stream *listener) {
    struct tcp_stream *stream = listener->accept_first;
    if (stream != NULL) {
        listener->accept_first = stream->next_accept;
        listener->pending--;
        listener->host->host_counters.accepted++;
        stream->next_accept = NULL;
        stream->listener = NULL;
    }
    return stream;
}

/* ---- events ---- */

static struct tcp_arrival note(struct tcp_stream *stream, unsigned outcome) {
    struct tcp_arrival arrival = {.stream = stream, .outcome = outcome};
    stream->peer_closed = stream->peer_closed || (outcome & TCP_PEER_CLOSED) != 0;
    stream->aborted = stream->aborted || (outcome & TCP_ABORTED) != 0;
    if ((outcome & TCP_OPENED) != 0 && stream->listener != NULL) {
        queue_for_accept(stream);
        arrival.readied = stream->listener;
    } else if ((outcome & (TCP_NEWS | TCP_PEER_CLOSED | TCP_ABORTED)) != 0 && stream->listener == NULL) {
        arrival.readied = stream;
    }
    if (stream->aborted && stream->listener != NULL) {
        /* Refused before it was established: it goes; otherwise accept finds it closed. */
        const bool queued = stream->connection.send_unacknowledged != stream->connection.initial_send;
        stream->listener->pending -= queued ? 0 : 1;
        stream->orphan = !queued;
        stream->listener = queued ? stream->listener : NULL;
    }
    return arrival;
}

struct tcp_arrival tcp_host_input(struct tcp_host *host, const struct net_tcp *header, struct tcp_segment *segment,
                                  sim_time now) {
    struct tcp_stream *stream = tcp_host_find(host, header);
    if (stream != NULL) {
        return note(stream, tcp_input(&stream->connection, header, segment, now));
    }
    struct tcp_arrival arrival = {.stream = NULL};
    struct tcp_stream *listener = find_listener(host, header->destination_port);
    if (listener != NULL && is_opening(header)) {
        arrival.stream = open_connection(host, listener, header);
        return arrival;
    }
    host->host_counters.no_stream++;
    arrival.answered = tcp_refuse(header, &arrival.answer);
    host->host_counters.refused += arrival.answered;
    return arrival;
}

struct tcp_arrival tcp_stream_timer(struct tcp_stream *stream, sim_time now) {
    return note(stream, tcp_timer(&stream->connection, now));
}

unsigned tcp_stream_readiness(const void *source) {
    const struct tcp_stream *stream = source;
    if (stream->listening) {
        return stream->accept_first != NULL ? EVENT_ACCEPTABLE : 0;
    }
    const unsigned closed = stream->peer_closed || stream->aborted ? EVENT_CLOSED : 0;
    return closed | (stream->connection.ready_bytes > 0 ? EVENT_READABLE : 0);
}

/* ---- the end ---- */

void tcp_stream_close(struct tcp_stream *stream) {
    stream->orphan = true;
    if (!stream->listening) {
        tcp_close(&stream->connection);
    }
}

bool tcp_stream_is_over(const struct tcp_stream *stream) {
    return stream->orphan && (stream->listening || stream->connection.state == TCP_CLOSED);
}

void tcp_stream_forget(struct tcp_stream *stream) {
    if (!stream->hashed) {
        return;
    }
    struct tcp_host *host = stream->host;
    struct tcp_stream **link = stream->listening ? &host->listeners[stream->port % TCP_HOST_LISTENERS]
                                                 : bucket_of(host, &stream->connection.path);
    while (*link != stream) {
        link = &(*link)->next_in_bucket;
    }
    *link = stream->next_in_bucket;
    stream->hashed = false;
}

/* ---- counters ---- */

void tcp_host_visit_stats(const struct tcp_host *host, const char *instance, const struct stats_sink *sink) {
    const struct tcp_counters *tcp = &host->counters;
    const struct {
        const char *name;
        uint64_t value;
    } counters[] = {{"tcp_segments_in", tcp->segments_in},
                    {"tcp_segments_out", tcp->segments_out},
                    {"tcp_bytes_in", tcp->bytes_in},
                    {"tcp_bytes_out", tcp->bytes_out},
                    {"tcp_retransmissions", tcp->retransmissions},
                    {"tcp_timeouts", tcp->timeouts},
                    {"tcp_fast_retransmits", tcp->fast_retransmits},
                    {"tcp_duplicate_acks", tcp->duplicate_acks},
                    {"tcp_out_of_order", tcp->out_of_order},
                    {"tcp_duplicates", tcp->duplicates},
                    {"tcp_window_probes", tcp->window_probes},
                    {"tcp_resets", tcp->resets},
                    {"tcp_accepted", host->host_counters.accepted},
                    {"tcp_backlog_drops", host->host_counters.backlog_drops},
                    {"tcp_refused", host->host_counters.refused}};
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; ++i) {
        stats_counter(sink, instance, counters[i].name, counters[i].value);
    }
}

void tcp_host_reset_stats(struct tcp_host *host) {
    host->counters = (struct tcp_counters){0};
    host->host_counters = (struct tcp_host_counters){0};
}
