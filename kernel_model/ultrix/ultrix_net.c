#include "kernel_model/ultrix/ultrix_net.h"

#include <stdlib.h>
#include <string.h>

enum {
    WORD = 4,
    DATA_BYTES = ULTRIX_DATAGRAM_WORDS * WORD,
    FRAME_BYTES = NET_UDP_HEADERS_BYTES + DATA_BYTES,
    FRAME_AT = WORD + LANCE_DRIVER_OFFSET, /* in an mbuf */
    HEADER_WORDS = (LANCE_DRIVER_OFFSET + NET_UDP_HEADERS_BYTES) / WORD,
    IP_WORDS = NET_IPV4_BYTES / WORD,
    PSEUDO_WORDS = 3,
    ADDRESS_WORDS = 4, /* of a struct sockaddr_in */
    QUEUE_WORDS = 3
};

#define NET_COST(name, text)                                                                                           \
    { .key = #name, .type = PARAM_COST, .offset = offsetof(struct ultrix_net_costs, name), .help = text }
const struct param ultrix_net_cost_params[] = {
    NET_COST(interrupt, "the adapter's interrupt: its priority, whose it is"),
    NET_COST(soft_interrupt, "the network's software interrupt: its priority, which protocol"),
    NET_COST(mbuf_get, "an mbuf taken from the free list"),
    NET_COST(mbuf_free, "an mbuf given back"),
    NET_COST(ether_input, "a frame's type, its queue, the software interrupt asked for"),
    NET_COST(ip_input, "IP's input, beside its checksum: lengths, addresses, options, fragments"),
    NET_COST(udp_input, "UDP's input, beside its checksum: lengths, the socket searched"),
    NET_COST(append, "a datagram and its sender's address put into the socket's buffer"),
    NET_COST(send, "sendto: the address copied and checked, the message described"),
    NET_COST(udp_output, "UDP's output, beside its checksum: connected for one datagram, its header"),
    NET_COST(ip_output, "IP's output, beside its checksum: a route, its header, the length"),
    NET_COST(ether_output, "the station's address, the frame's header, the interface's queue"),
    NET_COST(receive, "recvfrom: the message described, the address given out"),
    NET_COST(sum_word, "a word added to a checksum, beside its load"),
    {0}};

/* ---- life ---- */

static bool take_memory(struct ultrix_net *net) {
    struct frames *frames = net->ultrix->frames;
    net->mbufs = frames_allocate(frames);
    net->queues = frames_allocate(frames);
    return net->mbufs != 0 && net->queues != 0;
}

struct ultrix_net *ultrix_net_create(struct ultrix *ultrix, struct lance_driver_costs *lance,
                                     struct ultrix_net_costs *costs, const struct net_udp *remote,
                                     struct error *error) {
    struct ultrix_net *net = calloc(1, sizeof *net);
    SIM_ASSERT(net != NULL);
    *net = (struct ultrix_net){.ultrix = ultrix, .costs = costs, .remote = *remote};
    net->network = ledger_find("ultrix_network");
    net->ready = ledger_find("ready");
    if (!take_memory(net)) {
        (void)error_set(error, ERR_EXHAUSTED, "no memory for the network");
        free(net);
        return NULL;
    }
    if (lance_driver_init(&net->driver, ultrix->machine, ultrix->frames, lance, remote->source_mac, error) != OK) {
        free(net);
        return NULL;
    }
    ultrix_attach(ultrix, LANCE_DRIVER_LINE, ultrix_net_serve_adapter, net);
    ultrix_attach(ultrix, ULTRIX_NET_SOFTWARE_LINE, ultrix_net_serve_software, net);
    return net;
}

void ultrix_net_free(struct ultrix_net *net) {
    free(net);
}

/* ---- mbufs and queues ---- */

uint64_t ultrix_mbuf_at(const struct ultrix_net *net, uint32_t mbuf) {
    return net->mbufs + (uint64_t)mbuf * ULTRIX_MBUF_BYTES;
}

uint64_t ultrix_mbuf_frame(const struct ultrix_net *net, uint32_t mbuf) {
    return ultrix_mbuf_at(net, mbuf) + FRAME_AT;
}

/* Linked words: an element in or out touches its neighbours. */
static void touch_queue(struct ultrix_net *net) {
    for (uint64_t i = 0; i < QUEUE_WORDS; i++) {
        ultrix_store(net->ultrix, net->queues + WORD * i, ultrix_load(net->ultrix, net->queues + WORD * i));
    }
}

uint32_t ultrix_mbuf_get(struct ultrix_net *net) {
    uint32_t mbuf = 0;
    ultrix_step(net->ultrix, &net->costs->mbuf_get);
    touch_queue(net);
    while (mbuf < ULTRIX_MBUFS && net->taken[mbuf]) {
        mbuf++;
    }
    if (mbuf < ULTRIX_MBUFS) {
        net->taken[mbuf] = true;
    }
    return mbuf;
}

void ultrix_mbuf_free(struct ultrix_net *net, uint32_t mbuf) {
    ultrix_step(net->ultrix, &net->costs->mbuf_free);
    touch_queue(net);
    net->taken[mbuf] = false;
}

void ultrix_net_queue(struct ultrix_net *net, uint32_t *queue, uint32_t *count, uint32_t mbuf) {
    touch_queue(net);
    queue[(*count)++] = mbuf;
}

uint32_t ultrix_net_dequeue(struct ultrix_net *net, uint32_t *queue, uint32_t *count) {
    touch_queue(net);
    const uint32_t mbuf = queue[0];
    (*count)--;
    memmove(queue, queue + 1, *count * sizeof *queue);
    return mbuf;
}

void ultrix_net_sum(struct ultrix_net *net, uint32_t mbuf, uint32_t from, uint32_t words) {
    const uint64_t at = ultrix_mbuf_frame(net, mbuf) + from;
    for (uint32_t i = 0; i < words; i++) {
        (void)ultrix_load(net->ultrix, at + (uint64_t)WORD * i);
        ultrix_step(net->ultrix, &net->costs->sum_word);
    }
}

/* ---- out ---- */

/* From a call to the socket, by way of a descriptor. */
static void enter_socket(struct ultrix_process *process, struct ultrix_net *net) {
    struct ultrix *ultrix = process->ultrix;
    ultrix_call_begin(process, net->network);
    ultrix_step(ultrix, &ultrix->costs->file);
    (void)ultrix_load(ultrix, process->u_area + ULTRIX_U_FILES);
    (void)ultrix_load(ultrix, process->u_area + ULTRIX_U_FILES + WORD);
}

/* The datagram in an mbuf, with all its headers; the bytes are put together by
 * net_udp_write, each word is stored where it belongs. */
static void build(struct ultrix_net *net, uint32_t mbuf, const uint32_t *words) {
    struct ultrix *ultrix = net->ultrix;
    uint8_t frame[LANCE_DRIVER_OFFSET + FRAME_BYTES] = {0};
    net->remote.payload_bytes = DATA_BYTES;
    memcpy(frame + LANCE_DRIVER_OFFSET + NET_UDP_HEADERS_BYTES, words, DATA_BYTES);
    net_udp_write(frame + LANCE_DRIVER_OFFSET, &net->remote, net->identification++, true);
    ultrix_step(ultrix, &ultrix->costs->copy);
    for (uint32_t i = 0; i < sizeof frame / WORD; i++) {
        uint32_t word = 0;
        memcpy(&word, frame + (size_t)i * WORD, WORD);
        if (i >= HEADER_WORDS) {
            ultrix_step(ultrix, &ultrix->costs->copy_word);
            r3000_execute(ultrix->cpu, 1); /* the load of the user's word */
        }
        ultrix_store(ultrix, ultrix_mbuf_at(net, mbuf) + WORD + (uint64_t)i * WORD, word);
    }
}

static void output(struct ultrix_net *net, uint32_t mbuf) {
    struct ultrix *ultrix = net->ultrix;
    ultrix_step(ultrix, &net->costs->udp_output);
    ultrix_net_sum(net, mbuf, NET_ETHERNET_BYTES + NET_IPV4_BYTES - PSEUDO_WORDS * WORD,
                   PSEUDO_WORDS + NET_UDP_BYTES / WORD + ULTRIX_DATAGRAM_WORDS);
    ultrix_step(ultrix, &net->costs->ip_output);
    ultrix_net_sum(net, mbuf, NET_ETHERNET_BYTES, IP_WORDS);
    ultrix_step(ultrix, &net->costs->ether_output);
    touch_queue(net); /* onto the interface's queue, and off it */
    touch_queue(net);
    const uint64_t to = lance_driver_transmit_at(&net->driver);
    if (to == 0) {
        net->dropped++;
    } else {
        lance_driver_copy(&net->driver, to, ultrix_mbuf_frame(net, mbuf), FRAME_BYTES);
        lance_driver_transmit(&net->driver, FRAME_BYTES, ultrix->request);
        ultrix->request = NULL; /* it is on its way */
    }
    ultrix_work(ultrix, net->network);
    ultrix_mbuf_free(net, mbuf);
}

void ultrix_sendto(struct ultrix_process *process, struct ultrix_net *net, const uint32_t *words) {
    struct ultrix *ultrix = process->ultrix;
    enter_socket(process, net);
    ultrix_step(ultrix, &net->costs->send);
    ultrix_step(ultrix, &ultrix->costs->copy); /* the address, into an mbuf of its own */
    const uint32_t address = ultrix_mbuf_get(net);
    for (uint32_t i = 0; i < ADDRESS_WORDS; i++) {
        ultrix_step(ultrix, &ultrix->costs->copy_word);
    }
    ultrix_step(ultrix, &ultrix->costs->socket_send);
    const uint32_t mbuf = ultrix_mbuf_get(net);
    SIM_ASSERT_MSG(address != ULTRIX_MBUFS && mbuf != ULTRIX_MBUFS, "no mbuf for a process that sends");
    build(net, mbuf, words);
    output(net, mbuf);
    ultrix_mbuf_free(net, address);
    ultrix_call_end(process);
}

/* ---- to the process ---- */

void ultrix_recvfrom(struct ultrix_process *process, struct ultrix_net *net, uint32_t *words) {
    struct ultrix *ultrix = process->ultrix;
    enter_socket(process, net);
    ultrix_step(ultrix, &net->costs->receive);
    ultrix_step(ultrix, &ultrix->costs->socket_receive);
    while (net->socket_count == 0) {
        net->waits = process;
        ultrix_sleep(process, net, ULTRIX_PRIORITY_WAIT);
        ultrix_work(ultrix, net->network);
    }
    const uint32_t mbuf = ultrix_net_dequeue(net, net->socket, &net->socket_count);
    cpu_run(process->context);
    ultrix->request = memory_alight(ultrix->machine->memory, ultrix_mbuf_at(net, mbuf));
    ultrix_work(ultrix, net->network);
    ultrix_step(ultrix, &ultrix->costs->copy);
    for (uint32_t i = 0; i < ULTRIX_DATAGRAM_WORDS + ADDRESS_WORDS; i++) { /* the data, then who sent it */
        ultrix_step(ultrix, &ultrix->costs->copy_word);
        const uint64_t at = ultrix_mbuf_at(net, mbuf) + WORD + (uint64_t)WORD * HEADER_WORDS;
        const uint32_t word = ultrix_load(ultrix, at + (uint64_t)WORD * (i % ULTRIX_DATAGRAM_WORDS));
        if (i < ULTRIX_DATAGRAM_WORDS) {
            words[i] = word;
        }
        r3000_execute(ultrix->cpu, 1); /* the store to the user's word */
    }
    ultrix_mbuf_free(net, mbuf);
    ultrix_call_end(process);
}

/* ---- counters ---- */

void ultrix_net_visit_stats(const struct ultrix_net *net, const struct stats_sink *sink) {
    lance_driver_visit_stats(&net->driver, sink);
    stats_counter(sink, "ultrix.net", "dropped", net->dropped);
    stats_counter(sink, "ultrix.net", "refused", net->refused);
}

void ultrix_net_reset_stats(struct ultrix_net *net) {
    lance_driver_reset_stats(&net->driver);
    net->dropped = net->refused = 0;
}
