/* client.h: load generators: client machines that send requests and check replies.
 *
 * Each host is a port on a link, with an address of its own and one or more UDP
 * flows, or TCP connections. It costs the simulated system nothing but the wire; what its own software
 * takes is `send_time` and `receive_time`. A request's ledger begins at the instant
 * at which the client decides to send it (an open loop's arrival, whatever queues
 * then) and ends when the client has taken the reply.
 *
 * Arrivals:
 *   closed    `outstanding` requests a host; the next follows a reply (after `think`)
 *   constant  `rate` a second over all hosts: arrival k is at floor(k * 1e15 / rate)
 *             fs from the start, and is host k modulo hosts's
 *   poisson   the same rate; each host draws its gaps from the stream "<name>.<host>"
 *
 * Over TCP each connection has one request under way: a closed loop keeps all of them
 * busy, an open loop's request takes a free one or waits at the host for one.
 *
 * The experiment drives the phases: client_connect, client_start, client_begin_measure at the end of
 * the warm-up, client_stats at the end of the window, client_stop. */
#ifndef STILLSUIT_WORKLOADS_CLIENT_H
#define STILLSUIT_WORKLOADS_CLIENT_H

#include "hw/wire.h"
#include "kernel_model/common/system.h"
#include "sim/config.h"
#include "stack/tcp_host.h"

enum client_process { CLIENT_CLOSED, CLIENT_CONSTANT, CLIENT_POISSON };
enum client_think { CLIENT_THINK_CONSTANT, CLIENT_THINK_EXPONENTIAL };

enum {
    CLIENT_PAYLOAD_MIN = 8, /* the sequence number */
    CLIENT_PAYLOAD_MAX = 1472,
    CLIENT_TCP_PAYLOAD_MIN = 12 /* and the message's length, 4 bytes, big-endian */
};
enum client_transport { CLIENT_UDP, CLIENT_TCP };

struct client_arrivals {
    int process;          /* enum client_process */
    uint64_t outstanding; /* closed: a host */
    double rate;          /* constant, poisson: requests per second, all hosts */
};

/* `client:` of a script. */
struct client_config {
    const struct config_node *arrivals_node;
    struct client_arrivals arrivals; /* filled from it by client_config_bind */
    uint64_t payload_bytes;
    uint64_t hosts, flows, cores;
    sim_time timeout, think, send_time, receive_time;
    int think_distribution; /* enum client_think */
    uint64_t send_queue;
    uint64_t source_port;
    const char *address;
    int transport; /* enum client_transport */
    uint64_t connections, reply_bytes;
    const struct config_node *tcp_node;
    struct tcp_config tcp; /* filled from it by client_config_bind */
};
extern const struct param client_params[];          /* struct client_config */
extern const struct param client_arrivals_params[]; /* struct client_arrivals */

/* Fills `config` from a `client:` mapping (NULL: defaults), arrivals included.
 * Returns false if anything was reported. */
bool client_config_bind(const struct config_node *node, struct client_config *config, struct diagnostics *diagnostics);

/* Components "client", above "client_send" and "client_receive"; next: wire, client. */
void client_declare_components(void);

struct client_setup {
    const char *name;                   /* of its streams and counters: "client" */
    const struct client_config *config; /* copied */
    struct ledger *ledger;              /* of its requests, its own; NULL: none */
    struct system_address server;
    uint16_t server_port;
    unsigned server_ports; /* flows spread over so many ports from server_port on; at least 1 */
    unsigned first_host;   /* number of its first host in the experiment, for addresses */
};

struct client;
/* NULL with `error` if the addresses do not fit. The caller frees it. */
struct client *client_create(const struct client_setup *setup, struct error *error);
void client_free(struct client *client);
unsigned client_hosts(const struct client *client);
/* The host's end of a link; link_connect it before the start. */
struct port *client_port(struct client *client, unsigned host);
/* The host's own address. */
struct system_address client_address(const struct client *client, unsigned host);

/* Opens the connections, one after the other on each host; calls back once all are
 * established: at once where there are none to open. */
void client_connect(struct client *client, void (*connected)(void *context), void *context);
/* Starts sending at `at` (not past). */
void client_start(struct client *client, sim_time at);
/* No further requests; replies to those under way are still taken. */
void client_stop(struct client *client);
/* Calls with each reply that completes a request, with how many have since the last
 * client_begin_measure (or the start). NULL for none. */
void client_on_completed(struct client *client, void (*completed)(void *context, uint64_t count), void *context);

/* Calls with each frame that reaches a host, before the host looks at it: for who
 * watches what leaves the server. NULL for none. */
void client_on_frame(struct client *client, void (*seen)(void *context, const uint8_t *bytes, uint32_t length_bytes),
                     void *context);

/* Counters start anew at the present instant. The ledger is the experiment's to
 * switch: a request that began before and completes after counts here, not there. */
void client_begin_measure(struct client *client);

/* Since client_begin_measure. */
struct client_stats {
    sim_time elapsed;
    uint64_t offered;       /* requests that began */
    uint64_t completed;     /* replies that were good and in time */
    uint64_t dropped;       /* offered, not completed and not under way any more; with a ledger alone */
    uint64_t payload_bytes; /* payload of the completed replies */
    uint64_t sent;          /* frames handed to the link */
    uint64_t received;      /* frames that came in, good or not */
    uint64_t timeouts;      /* requests given up */
    uint64_t late;          /* replies to requests given up */
    uint64_t corrupt;       /* a checksum or a header was wrong */
    uint64_t mismatched;    /* well formed, but not what was asked for */
    uint64_t ignored;       /* not to this host's MAC address: a switch floods */
    uint64_t send_drops;    /* requests that found the host's own send queue full */
};
struct client_stats client_stats(const struct client *client);
void client_visit_stats(const struct client *client, const struct stats_sink *sink);

#endif
