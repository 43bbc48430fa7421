/* client_send.c: a request from its beginning to the link. */
#include "sim/error.h"
#include "workloads/client_internal.h"

/* Of the cores that are free by `when` the one that became so last: a reply's next
 * request is sent by the core that took the reply, and no core is kept waiting for
 * work that lies ahead. If none is free, the one that will be first. */
static size_t choose_core(const struct client_host *host, sim_time when) {
    const sim_time *free_at = host->core_free_at;
    size_t best = 0;
    for (size_t i = 1; i < host->client->config.cores; ++i) {
        const bool better =
            free_at[best] > when ? free_at[i] < free_at[best] : free_at[i] <= when && free_at[i] > free_at[best];
        best = better ? i : best;
    }
    return best;
}

sim_time client_core_work(struct client_host *host, sim_time when, sim_time duration, sim_time *begin) {
    *begin = when;
    if (duration == 0 || host->core_free_at == NULL) {
        return when;
    }
    sim_time *free_at = &host->core_free_at[choose_core(host, when)];
    *begin = *free_at > when ? *free_at : when;
    *free_at = *begin + duration;
    return *free_at;
}

/* The host's software has the request until it gives the frame to the link. */
static struct request *begin_request(const struct client *client, uint64_t sequence, sim_time when, sim_time begin) {
    if (client->ledger == NULL) {
        return NULL;
    }
    struct request *request =
        ledger_begin(client->ledger, client_components.send, begin > when ? LEDGER_WAITING : LEDGER_SERVICE, when);
    request->tag = sequence;
    if (begin > when) {
        ledger_turn_at(request, LEDGER_SERVICE, begin);
    }
    return request;
}

/* An open loop does not wait for its own link: what the send queue cannot hold is
 * lost, as it is for datagrams on a real host. */
static bool queue_is_full(const struct client_host *host) {
    const struct client *client = host->client;
    if (client->config.arrivals.process == CLIENT_CLOSED) {
        return false;
    }
    const sim_time now = sim_now();
    const sim_time free_at = link_free_at(&host->port);
    const sim_time frame = link_frame_time(host->port.link, NET_UDP_HEADERS_BYTES + client->payload.length_bytes);
    return free_at > now && (free_at - now) / frame >= client->config.send_queue;
}

static void drop(struct client_host *host, uint32_t slot, sim_time when) {
    struct client *client = host->client;
    client->stats.send_drops += 1;
    ledger_abandon(begin_request(client, 0, when, when), "send queue full", when);
    if (slot != CLIENT_NO_SLOT) {
        client_slot_give_back(host, slot);
    }
}

void client_send(struct client_host *host, uint32_t slot, sim_time when) {
    struct client *client = host->client;
    if (client->config.transport == CLIENT_TCP) {
        client_tcp_send(host, slot, when);
        return;
    }
    client->stats.offered += 1;
    if (queue_is_full(host) || (client->tracked && slot == CLIENT_NO_SLOT)) {
        drop(host, slot, when);
        return;
    }
    const uint64_t sequence = ++client->sequence;
    if (slot != CLIENT_NO_SLOT) {
        client_slot_begin(host, slot, sequence, when);
    }
    sim_time begin;
    sim_time end = client_core_work(host, when, client->config.send_time, &begin);
    /* One core may finish before another that began earlier with more to do; the
     * host's link takes frames in one order. */
    end = end > host->last_send ? end : host->last_send;
    host->last_send = end;
    struct frame *frame = frame_allocate();
    frame->request = begin_request(client, sequence, when, begin);
    client_flow_write(&host->flows[host->next_flow], &client->payload, sequence << CLIENT_SLOT_BITS | slot, frame);
    host->next_flow = host->next_flow + 1 == client->config.flows ? 0 : host->next_flow + 1;
    client->stats.sent += 1;
    (void)link_send(&host->port, frame, client_components.send, end);
}
