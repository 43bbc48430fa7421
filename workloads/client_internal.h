/* client_internal.h: what the files of the client share. */
#ifndef STILLSUIT_WORKLOADS_CLIENT_INTERNAL_H
#define STILLSUIT_WORKLOADS_CLIENT_INTERNAL_H

#include "sim/random.h"
#include "stack/tcp_host.h"
#include "workloads/client_frame.h"

/* A cookie is sequence * 2^20 + slot, so that a reply finds its slot by itself. */
enum { CLIENT_SLOT_BITS = 20, CLIENT_NO_SLOT = (1 << CLIENT_SLOT_BITS) - 1 };

/* What is known of a request under way: of a closed loop, or where there is a
 * timeout. In use, it is in the list of deadlines if there is a timeout. */
struct client_slot {
    uint64_t sequence; /* 0: free */
    sim_time deadline;
    uint32_t previous, next; /* in the list of deadlines; CLIENT_NO_SLOT ends it */
};

/* A slot of a closed loop with think time: when it sends next. */
struct client_thinker {
    struct sim_event event;
    struct client_host *host;
    uint32_t slot;
};

/* A connection of a host, and the request that is under way on it. */
struct client_connection {
    struct tcp_stream stream;
    struct client_host *host;
    uint32_t index;
    struct sim_event timer;
    uint64_t sequence; /* of the request; 0: none */
    uint32_t received_bytes;
    bool wrong;              /* the reply is not what was asked for */
    struct request *request; /* came with the reply so far */
    struct client_connection *next_idle;
};

/* A request that waits for a connection. */
struct client_waiting {
    struct request *request;
    uint64_t sequence;
};

struct client_host {
    struct client *client;
    unsigned index;
    struct system_address address;
    struct port port;
    struct random_stream *random;
    struct client_flow *flows;
    size_t next_flow;
    sim_time *core_free_at; /* of the host's cores; NULL if its software takes no time */
    sim_time last_send;
    struct sim_event arrival; /* the next of an open loop, or a closed loop's first */
    uint64_t arrivals;
    struct client_slot *slots;
    uint32_t slot_count, free_slot; /* free slots are chained by `next` */
    uint32_t first_deadline, last_deadline;
    struct sim_event deadline_timer;
    struct client_thinker *thinkers;
    /* TCP */
    struct tcp_host tcp;
    struct client_connection *connections, *idle;
    uint64_t opened;                /* of the connections */
    struct client_waiting *waiting; /* a ring */
    uint32_t waiting_first, waiting_count, waiting_capacity;
    uint16_t identification;
};

struct client {
    char name[64];
    struct client_config config;
    struct ledger *ledger;
    struct system_address server;
    struct client_payload payload;
    struct client_host *hosts;
    bool running, tracked; /* tracked: requests have slots */
    sim_time start;
    uint64_t rate_micro; /* open loops: requests in 1e6 s, all hosts */
    sim_time mean_gap;   /* Poisson: of one host */
    uint64_t sequence;   /* last one used; the first is 1 */
    void (*completed)(void *context, uint64_t count);
    void *completed_context;
    void (*seen)(void *context, const uint8_t *bytes, uint32_t length_bytes);
    void *seen_context;
    struct client_stats stats;
    sim_time measured_from;
    uint64_t live_before; /* under way when measuring began */
    /* TCP */
    uint16_t server_port;
    unsigned server_ports;
    struct client_segment *free_segments;
    uint64_t established, aborted;
    void (*connected)(void *context);
    void *connected_context;
};

struct client_components {
    ledger_component client, send, receive;
};
extern struct client_components client_components;

/* ---- client_slots.c ---- */
void client_slots_init(struct client_host *host);
/* A free slot, or CLIENT_NO_SLOT if there cannot be more. */
uint32_t client_slot_take(struct client_host *host);
/* A slot's request is under way from `when` on; and is so no longer. */
void client_slot_begin(struct client_host *host, uint32_t slot, uint64_t sequence, sim_time when);
void client_slot_end(struct client_host *host, uint32_t slot);
void client_slot_give_back(struct client_host *host, uint32_t slot);

/* ---- client_send.c ---- */
/* A request begins at `when` (not past) and is sent. */
void client_send(struct client_host *host, uint32_t slot, sim_time when);
/* When one of the host's cores has worked for `duration` on what comes at `when`;
 * `begin` receives when it took it up. */
sim_time client_core_work(struct client_host *host, sim_time when, sim_time duration, sim_time *begin);

/* ---- client_arrivals.c ---- */
void client_arrivals_init(struct client_host *host);
void client_arrivals_start(struct client_host *host);
/* A closed loop's slot is free from `when` on: thinks, then sends. */
void client_slot_idle(struct client_host *host, uint32_t slot, sim_time when);

/* ---- client_tcp.c ---- */
/* The byte of every message at an offset behind its head. */
static inline uint8_t client_tcp_byte(uint32_t at) {
    return (uint8_t)(at * 37 + (at >> 8) + 1);
}
static inline uint32_t client_tcp_reply_bytes(const struct client *client) {
    const struct client_config *config = &client->config;
    return (uint32_t)(config->reply_bytes != 0 ? config->reply_bytes : config->payload_bytes);
}
void client_tcp_init(struct client_host *host);
void client_tcp_free_host(struct client_host *host);
void client_tcp_free(struct client *client);
/* Opens the host's next connection, if there is one left. */
void client_tcp_open_next(struct client_host *host);
/* A request begins at `when` (not past); the slot of a closed loop is a connection. */
void client_tcp_send(struct client_host *host, uint32_t slot, sim_time when);
void client_tcp_receive(struct client_host *host, struct frame *frame);

/* ---- client_receive.c ---- */
void client_receive(struct port *port, struct frame *frame);

#endif
