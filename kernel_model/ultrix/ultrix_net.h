/* ultrix_net.h: UDP in the kernel, as 4.2BSD has it: the adapter's interrupt fills an mbuf
 * and queues it, a software interrupt takes it through IP and UDP to a socket's buffer
 * and wakes who sleeps there, which is switched to and copies it out; on the way out, the
 * same layers downwards.
 *
 * Mbufs are bytes in the kernel's memory: length, then the frame, whose headers stay where
 * they are. */
#ifndef STILLSUIT_KERNEL_MODEL_ULTRIX_ULTRIX_NET_H
#define STILLSUIT_KERNEL_MODEL_ULTRIX_ULTRIX_NET_H

#include "kernel_model/common/lance_driver.h"
#include "kernel_model/ultrix/ultrix.h"
#include "stack/net_headers.h"

/* Instructions beside memory accesses; profile section `net`. */
struct ultrix_net_costs {
    struct cost interrupt, soft_interrupt, mbuf_get, mbuf_free;
    struct cost ether_input, ip_input, udp_input, append;
    struct cost send, udp_output, ip_output, ether_output, receive;
    struct cost sum_word;
};
extern const struct param ultrix_net_cost_params[];

enum { ULTRIX_MBUFS = 32, ULTRIX_MBUF_BYTES = 128, ULTRIX_DATAGRAM_WORDS = 8, ULTRIX_NET_SOFTWARE_LINE = 0 };

struct ultrix_net {
    struct ultrix *ultrix;
    struct lance_driver driver;
    struct ultrix_net_costs *costs; /* the caller's */
    uint64_t mbufs, queues;         /* physical */
    bool taken[ULTRIX_MBUFS];
    uint32_t input[ULTRIX_MBUFS], input_count;   /* IP's queue */
    uint32_t socket[ULTRIX_MBUFS], socket_count; /* the socket's */
    struct ultrix_process *waits;                /* for the socket */
    struct net_udp remote;                       /* as datagrams of the socket are sent */
    uint16_t identification;
    ledger_component network, ready;
    uint64_t dropped, refused;
};

/* Before the run: the adapter and a socket that is bound and connected to the other side of
 * `remote`. The caller frees it. NULL: no adapter, no memory. */
struct ultrix_net *ultrix_net_create(struct ultrix *ultrix, struct lance_driver_costs *lance,
                                     struct ultrix_net_costs *costs, const struct net_udp *remote, struct error *error);
void ultrix_net_free(struct ultrix_net *net);

/* System calls on the socket: ULTRIX_DATAGRAM_WORDS words, and the request that the machine
 * works for goes along or comes with them. */
void ultrix_sendto(struct ultrix_process *process, struct ultrix_net *net, const uint32_t *words);
void ultrix_recvfrom(struct ultrix_process *process, struct ultrix_net *net, uint32_t *words);

void ultrix_net_visit_stats(const struct ultrix_net *net, const struct stats_sink *sink);
void ultrix_net_reset_stats(struct ultrix_net *net);

/* ---- For the kernel's own files: ultrix_net_input.c ---- */
/* The adapter's interrupt and the network's software interrupt; the state is the struct
 * ultrix_net. */
void ultrix_net_serve_adapter(void *state);
void ultrix_net_serve_software(void *state);
/* Where an mbuf lies, and the frame in it. */
uint64_t ultrix_mbuf_at(const struct ultrix_net *net, uint32_t mbuf);
uint64_t ultrix_mbuf_frame(const struct ultrix_net *net, uint32_t mbuf);
/* ULTRIX_MBUFS: none is free. */
uint32_t ultrix_mbuf_get(struct ultrix_net *net);
void ultrix_mbuf_free(struct ultrix_net *net, uint32_t mbuf);
/* So many words of a frame in an mbuf, from a byte offset, are loaded and summed. */
void ultrix_net_sum(struct ultrix_net *net, uint32_t mbuf, uint32_t from, uint32_t words);
/* An element into a queue of the kernel's, or out of it. */
void ultrix_net_queue(struct ultrix_net *net, uint32_t *queue, uint32_t *count, uint32_t mbuf);
uint32_t ultrix_net_dequeue(struct ultrix_net *net, uint32_t *queue, uint32_t *count);

#endif
