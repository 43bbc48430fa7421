/* linux_socket.c: from the protocol code to the socket: look-up by port, accounting
 * against the socket's buffer, queueing, wake-up. */
#include <stdlib.h>
#include <string.h>

#include "kernel_model/linux/linux_internal.h"

/* ---- neighbours: who sent from where (there is no ARP on the simulated wire) ---- */

static unsigned neighbour_slot(const struct linux_system *system, uint32_t ip) {
    const unsigned home = (ip ^ ip >> 8) % LINUX_NEIGHBOURS;
    for (unsigned i = 0; i < LINUX_NEIGHBOURS; ++i) {
        const unsigned slot = (home + i) % LINUX_NEIGHBOURS;
        if (!system->neighbours[slot].known || system->neighbours[slot].ip == ip) {
            return slot;
        }
    }
    return home; /* full: the table forgets one */
}

static void learn_neighbour(struct linux_system *system, const struct net_udp *udp) {
    struct linux_neighbour *neighbour = &system->neighbours[neighbour_slot(system, udp->source_ip)];
    neighbour->known = true;
    neighbour->ip = udp->source_ip;
    memcpy(neighbour->mac, udp->source_mac, sizeof neighbour->mac);
}

void linux_neighbour_find(const struct linux_system *system, uint32_t ip, uint8_t mac[6]) {
    const struct linux_neighbour *neighbour = &system->neighbours[neighbour_slot(system, ip)];
    if (neighbour->known && neighbour->ip == ip) {
        memcpy(mac, neighbour->mac, 6);
    } else {
        memset(mac, 0xff, 6);
    }
}

/* ---- lists of waiting threads ---- */

void linux_waiters_add(struct linux_thread **list, struct linux_thread *thread) {
    while (*list != NULL) {
        list = &(*list)->next_waiter;
    }
    thread->next_waiter = NULL;
    *list = thread;
}

struct linux_thread *linux_waiters_take(struct linux_thread **list) {
    struct linux_thread *thread = *list;
    if (thread != NULL) {
        *list = thread->next_waiter;
    }
    return thread;
}

/* ---- binding ---- */

static struct linux_socket **bucket_of(struct linux_system *system, uint16_t port) {
    return &system->buckets[port % LINUX_UDP_BUCKETS];
}

static struct linux_socket *find(struct linux_system *system, uint16_t port) {
    struct linux_socket *socket = *bucket_of(system, port);
    while (socket != NULL && socket->port != port) {
        socket = socket->next_in_bucket;
    }
    return socket;
}

enum error_code linux_socket_bind(struct system_thread *thread, uint16_t port, struct system_socket **out) {
    struct linux_system *system = (struct linux_system *)thread->process->system;
    if (find(system, port) != NULL) {
        return ERR_EXISTS;
    }
    struct linux_socket *socket = calloc(1, sizeof *socket);
    SIM_ASSERT_MSG(socket != NULL, "out of memory");
    socket->base.process = thread->process;
    socket->system = system;
    socket->port = port;
    socket->next_in_bucket = *bucket_of(system, port);
    *bucket_of(system, port) = socket;
    socket->next = system->sockets;
    system->sockets = socket;
    *out = &socket->base;
    return OK;
}

void linux_sockets_free(struct linux_system *system) {
    while (system->sockets != NULL) {
        struct linux_socket *socket = system->sockets;
        system->sockets = socket->next;
        free(socket);
    }
}

/* ---- input ---- */

/* kfree_skb: the work so far was for nothing. */
void linux_socket_drop(struct linux_cpu *cpu, struct context *context, struct linux_skb *skb, uint64_t *counter,
                       const char *reason) {
    cpu_run(context);
    cpu_work_for(context, linux_components.net_housekeeping, NULL);
    linux_charge(context, &cpu->system->profile.skb_free, 1);
    *counter += 1;
    if (skb->carrier.request != NULL) {
        ledger_abandon(skb->carrier.request, reason, sim_now());
    }
    linux_skb_release(cpu->system, skb);
}

const struct linux_skb *linux_socket_first(const struct linux_socket *socket) {
    if (socket->type == LINUX_UDP) {
        return socket->first;
    }
    const struct tcp_segment *segment = tcp_first_ready(&((const struct linux_stream *)socket)->stream.connection);
    return segment != NULL ? linux_skb_of(tcp_carrier_of(segment)) : NULL;
}

bool linux_socket_is_ready(const struct linux_socket *socket) {
    return socket->type == LINUX_UDP ? socket->first != NULL
                                     : tcp_stream_readiness(&((const struct linux_stream *)socket)->stream) != 0;
}

void linux_socket_data_ready(struct linux_cpu *cpu, struct linux_socket *socket) {
    if (event_item_mark(&socket->item)) {
        linux_event_set_wake(cpu, linux_event_set_of(socket->item.set));
    }
    struct linux_thread *thread = linux_waiters_take(&socket->sleepers);
    if (thread != NULL) {
        linux_sched_wake(thread, cpu);
        return;
    }
    thread = linux_waiters_take(&socket->pollers);
    if (thread != NULL) {
        cpu_spin_wake(thread->context);
    }
}

/* udp_queue_rcv_skb with room in the buffer */
static void queue(struct linux_cpu *cpu, struct context *context, struct linux_socket *socket, struct linux_skb *skb) {
    cpu_work_for(context, linux_components.scheduler, skb->carrier.request);
    linux_charge(context, &cpu->system->profile.wake_up, skb->variation);
    cpu_pass_on(context, linux_components.socket_queue, LEDGER_WAITING);
    cpu_run(context);
    skb->next = NULL;
    if (socket->first == NULL) {
        socket->first = skb;
    } else {
        socket->last->next = skb;
    }
    socket->last = skb;
    socket->receive_allocated_bytes += cpu->system->config.truesize_bytes;
    linux_socket_data_ready(cpu, socket);
}

void linux_socket_input(struct linux_cpu *cpu, struct context *context, struct linux_skb *skb) {
    struct linux_system *system = cpu->system;
    struct linux_counters *counters = &cpu->counters;
    struct net_udp udp;
    system->stack.variation = skb->variation;
    if (linux_tcp_takes(system, skb)) {
        linux_tcp_input(cpu, context, skb);
        return;
    }
    const enum net_verdict verdict = udp_stack_input(&system->stack, context, skb->physical, skb->frame_bytes,
                                                     skb->checked, &udp, &skb->payload_offset);
    if (verdict != NET_OK || udp.destination_ip != system->config.ip) {
        linux_socket_drop(cpu, context, skb, &counters->stack_drops,
                          verdict != NET_OK ? net_verdict_text(verdict) : "not ours");
        return;
    }
    learn_neighbour(system, &udp);
    skb->payload_bytes = udp.payload_bytes;
    skb->peer = (struct system_endpoint){udp.source_ip, udp.source_port};
    linux_charge(context, &system->profile.socket_deliver, skb->variation);
    struct linux_socket *socket = find(system, udp.destination_port);
    if (socket == NULL) {
        linux_socket_drop(cpu, context, skb, &counters->no_socket_drops, "no socket");
    } else if (socket->receive_allocated_bytes >= system->config.receive_buffer_bytes) {
        linux_socket_drop(cpu, context, skb, &counters->socket_buffer_drops, "socket buffer full");
    } else {
        queue(cpu, context, socket, skb);
    }
}

/* ---- sock_wfree: space for who waits to send ---- */

void linux_socket_sent(struct linux_cpu *cpu, struct linux_skb *skb) {
    struct linux_socket *socket = skb->charged;
    if (socket == NULL) {
        return;
    }
    socket->send_allocated_bytes -= cpu->system->config.truesize_bytes;
    while (socket->writers != NULL && 2 * socket->send_allocated_bytes <= cpu->system->config.send_buffer_bytes) {
        linux_sched_wake(linux_waiters_take(&socket->writers), cpu);
    }
}
