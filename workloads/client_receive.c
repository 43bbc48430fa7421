/* client_receive.c: a frame that reaches a client's host. */
#include <string.h>

#include "workloads/client_internal.h"

/* The host's software takes the frame: from the link to when it is done with it. */
static sim_time take(struct client_host *host, struct request *request) {
    const sim_time now = sim_now();
    sim_time begin;
    const sim_time end = client_core_work(host, now, host->client->config.receive_time, &begin);
    if (request != NULL) {
        ledger_hand_over_at(request, request->owner, client_components.receive,
                            begin > now ? LEDGER_WAITING : LEDGER_SERVICE, now);
        ledger_turn_at(request, LEDGER_SERVICE, begin);
    }
    return end;
}

static void discard(struct client_host *host, struct request *request, const char *reason, uint64_t *counter) {
    const sim_time end = take(host, request);
    *counter += 1;
    ledger_abandon(request, reason, end);
}

static bool is_from_server(const struct client_host *host, const struct net_udp *udp) {
    const struct client *client = host->client;
    const uint32_t flow = (uint32_t)udp->destination_port - (uint32_t)client->config.source_port;
    return udp->source_ip == client->server.ip && memcmp(udp->source_mac, client->server.mac, 6) == 0 &&
           udp->destination_ip == host->address.ip && flow < client->config.flows &&
           udp->source_port == host->flows[flow].udp.destination_port;
}

/* A sequence number that was never sent, or came back on another's request. */
static bool is_asked_for(const struct client *client, const struct request *request, uint64_t sequence) {
    const bool own = client->ledger == NULL || (request != NULL && request->tag == sequence);
    return own && sequence != 0 && sequence <= client->sequence;
}

static void complete(struct client_host *host, struct request *request, uint32_t slot) {
    struct client *client = host->client;
    const sim_time end = take(host, request);
    ledger_end(request, client_components.receive, end);
    client->stats.completed += 1;
    client->stats.payload_bytes += client->payload.length_bytes;
    if (client->completed != NULL) {
        client->completed(client->completed_context, client->stats.completed);
    }
    if (slot == CLIENT_NO_SLOT) {
        return;
    }
    client_slot_end(host, slot);
    if (client->config.arrivals.process == CLIENT_CLOSED) {
        client_slot_idle(host, slot, end);
    } else {
        client_slot_give_back(host, slot);
    }
}

static void match(struct client_host *host, struct request *request, uint64_t cookie) {
    struct client *client = host->client;
    const uint64_t sequence = cookie >> CLIENT_SLOT_BITS;
    const uint32_t slot = (uint32_t)(cookie & CLIENT_NO_SLOT);
    const bool slot_exists = client->tracked ? slot < host->slot_count : slot == CLIENT_NO_SLOT;
    if (!slot_exists || !is_asked_for(client, request, sequence)) {
        discard(host, request, "mismatched", &client->stats.mismatched);
    } else if (client->tracked && host->slots[slot].sequence != sequence) {
        discard(host, request, "late", &client->stats.late);
    } else {
        complete(host, request, slot);
    }
}

void client_receive(struct port *port, struct frame *frame) {
    struct client_host *host = port->owner;
    struct client *client = host->client;
    struct request *request = frame->request;
    struct net_udp udp;
    uint64_t cookie = 0;
    enum client_verdict verdict;
    if (client->seen != NULL) {
        client->seen(client->seen_context, frame->bytes, frame->length_bytes);
    }
    if (memcmp(frame->bytes, host->address.mac, 6) != 0) {
        client->stats.ignored += 1;
        frame_release(frame);
        ledger_abandon(request, "to another host", sim_now());
        return;
    }
    client->stats.received += 1;
    if (client->config.transport == CLIENT_TCP) {
        client_tcp_receive(host, frame);
        return;
    }
    verdict = client_reply_check(&client->payload, frame, &udp, &cookie);
    frame_release(frame); /* the next request may take it */
    if (verdict == CLIENT_CORRUPT) {
        discard(host, request, "corrupt", &client->stats.corrupt);
    } else if (verdict == CLIENT_MISMATCHED || !is_from_server(host, &udp)) {
        discard(host, request, "mismatched", &client->stats.mismatched);
    } else {
        match(host, request, cookie);
    }
}
