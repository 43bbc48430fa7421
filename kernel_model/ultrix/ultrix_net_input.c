/* ultrix_net_input.c: a frame's way in: two interrupts, two queues. */
#include <string.h>

#include "kernel_model/ultrix/ultrix_net.h"

enum { WORD = 4, IP_WORDS = NET_IPV4_BYTES / WORD, PSEUDO_WORDS = 3 };

static void step(struct ultrix_net *net, struct cost *cost) {
    ultrix_step(net->ultrix, cost);
}

static void work_for(struct ultrix_net *net, struct request *request) {
    cpu_work_for(net->ultrix->interrupt, net->network, request);
}

static void drop(struct ultrix_net *net, struct request *request, const char *why, uint64_t *counter) {
    (*counter)++;
    cpu_run(net->ultrix->interrupt);
    if (request != NULL) {
        ledger_abandon(request, why, sim_now());
    }
    work_for(net, NULL);
}

/* ---- the adapter's interrupt ---- */

/* One frame from its buffer into an mbuf, and onto IP's queue; the software interrupt will
 * take it from there. */
static void ether_input(struct ultrix_net *net, uint64_t physical, uint32_t length_bytes, struct request *request) {
    work_for(net, request);
    const uint32_t mbuf = ultrix_mbuf_get(net);
    if (mbuf == ULTRIX_MBUFS || length_bytes + WORD + LANCE_DRIVER_OFFSET > ULTRIX_MBUF_BYTES) {
        if (mbuf != ULTRIX_MBUFS) {
            ultrix_mbuf_free(net, mbuf);
        }
        drop(net, request, "no mbuf", &net->dropped);
        return;
    }
    lance_driver_refresh(&net->driver, physical, length_bytes);
    lance_driver_copy(&net->driver, ultrix_mbuf_frame(net, mbuf), physical, length_bytes);
    ultrix_store(net->ultrix, ultrix_mbuf_at(net, mbuf), length_bytes);
    step(net, &net->costs->ether_input);
    ultrix_net_queue(net, net->input, &net->input_count, mbuf);
    cpu_pass_on(net->ultrix->interrupt, net->ready, LEDGER_WAITING);
    cpu_run(net->ultrix->interrupt);
    memory_board(net->ultrix->machine->memory, ultrix_mbuf_at(net, mbuf), request);
    work_for(net, NULL);
    r3000_raise(net->ultrix->cpu, ULTRIX_NET_SOFTWARE_LINE);
}

void ultrix_net_serve_adapter(void *state) {
    struct ultrix_net *net = state;
    uint64_t physical = 0;
    uint32_t length = 0;
    struct request *request = NULL;
    work_for(net, NULL);
    step(net, &net->costs->interrupt);
    while (lance_driver_acknowledge(&net->driver)) {
        while (lance_driver_received(&net->driver, &physical, &length, &request)) {
            ether_input(net, physical, length, request);
            lance_driver_release(&net->driver);
        }
    }
}

/* ---- the network's software interrupt ---- */

/* What net_udp_parse finds is what the loads and sums beside it stand for. */
static bool is_expected(struct ultrix_net *net, uint32_t mbuf) {
    uint8_t frame[ULTRIX_MBUF_BYTES];
    struct net_udp got;
    uint32_t offset = 0;
    const uint32_t length = ultrix_load(net->ultrix, ultrix_mbuf_at(net, mbuf));
    memory_read(net->ultrix->machine->memory, ultrix_mbuf_frame(net, mbuf), frame, length);
    return net_udp_parse(frame, length, true, &got, &offset) == NET_OK &&
           got.destination_port == net->remote.source_port && got.source_ip == net->remote.destination_ip &&
           got.payload_bytes == ULTRIX_DATAGRAM_WORDS * WORD;
}

static void ip_input(struct ultrix_net *net, uint32_t mbuf, struct request *request) {
    work_for(net, request);
    step(net, &net->costs->ip_input);
    ultrix_net_sum(net, mbuf, NET_ETHERNET_BYTES, IP_WORDS);
    step(net, &net->costs->udp_input);
    ultrix_net_sum(net, mbuf, NET_ETHERNET_BYTES + NET_IPV4_BYTES - PSEUDO_WORDS * WORD,
                   PSEUDO_WORDS + NET_UDP_BYTES / WORD + ULTRIX_DATAGRAM_WORDS);
    if (!is_expected(net, mbuf)) {
        ultrix_mbuf_free(net, mbuf);
        drop(net, request, "not a good datagram", &net->refused);
        return;
    }
    step(net, &net->costs->append);
    ultrix_net_queue(net, net->socket, &net->socket_count, mbuf);
    cpu_pass_on(net->ultrix->interrupt, net->ready, LEDGER_WAITING);
    cpu_run(net->ultrix->interrupt);
    memory_board(net->ultrix->machine->memory, ultrix_mbuf_at(net, mbuf), request);
    work_for(net, NULL);
    if (net->waits != NULL) {
        ultrix_wakeup(net->ultrix, net->waits);
        work_for(net, NULL);
        net->waits = NULL;
    }
}

void ultrix_net_serve_software(void *state) {
    struct ultrix_net *net = state;
    work_for(net, NULL);
    step(net, &net->costs->soft_interrupt);
    while (net->input_count > 0) {
        const uint32_t mbuf = ultrix_net_dequeue(net, net->input, &net->input_count);
        cpu_run(net->ultrix->interrupt);
        ip_input(net, mbuf, memory_alight(net->ultrix->machine->memory, ultrix_mbuf_at(net, mbuf)));
    }
}
