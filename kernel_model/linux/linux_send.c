/* linux_send.c: sendmsg, down to the NIC's doorbell. */
#include "kernel_model/linux/linux_internal.h"

enum { PAYLOAD_BYTES_MAX = 1500 - NET_IPV4_BYTES - NET_UDP_BYTES };

static bool is_full(const struct linux_socket *socket) {
    const uint64_t limit = socket->system->config.send_buffer_bytes;
    if (socket->type == LINUX_TCP) {
        const struct tcp_connection *connection = &((const struct linux_stream *)socket)->stream.connection;
        return tcp_can_send(connection) && tcp_unacknowledged_bytes(connection) >= limit;
    }
    return socket->send_allocated_bytes >= limit;
}

void linux_await_space(struct linux_thread *thread, struct linux_socket *socket, struct request *request) {
    struct linux_system *system = linux_of(thread);
    while (is_full(socket)) {
        thread->cpu->counters.send_buffer_waits += 1;
        cpu_pass_on(thread->context, system_components.copy_out, LEDGER_WAITING);
        cpu_work_for(thread->context, linux_components.scheduler, NULL);
        linux_charge(thread->context, &system->profile.sleep, 1);
        thread->state = LINUX_SLEEPING;
        linux_waiters_add(&socket->writers, thread);
        cpu_run(thread->context);
        if (thread->state == LINUX_SLEEPING) {
            linux_sched_sleep(thread, NULL);
        }
        cpu_work_for(thread->context, system_components.copy_out, request);
    }
}

/* A socket buffer with the payload behind room for the headers; NULL: no memory. */
static struct linux_skb *copy_out(struct linux_thread *thread, struct linux_socket *socket,
                                  const struct system_buffer *buffer) {
    struct linux_system *system = linux_of(thread);
    cpu_work_for(thread->context, system_components.copy_out, buffer->request);
    linux_await_space(thread, socket, buffer->request);
    socket->send_allocated_bytes += system->config.truesize_bytes;
    linux_charge(thread->context, &system->profile.sendmsg, thread->variation);
    struct linux_skb *skb = linux_skb_allocate(system);
    if (skb == NULL) {
        socket->send_allocated_bytes -= system->config.truesize_bytes;
        return NULL;
    }
    skb->charged = socket;
    skb->carrier.request = buffer->request;
    skb->payload_offset = NET_UDP_HEADERS_BYTES;
    skb->payload_bytes = buffer->length_bytes;
    skb->frame_bytes = NET_UDP_HEADERS_BYTES + buffer->length_bytes;
    cpu_copy(thread->context, skb->physical + skb->payload_offset, buffer->physical, buffer->length_bytes);
    return skb;
}

/* The work was for nothing: the packet and its request end here. */
void linux_discard(struct linux_thread *thread, struct request *request, const char *reason) {
    cpu_run(thread->context);
    cpu_work_for(thread->context, linux_components.net_housekeeping, NULL);
    if (request != NULL) {
        ledger_abandon(request, reason, sim_now());
    }
}

/* ip_output, dev_queue_xmit, ixgbe_xmit_frame: with softirqs off, so that one that
 * is raised meanwhile runs when they are on again (local_bh_enable). */
static void net_stack_out(struct linux_thread *thread, struct linux_socket *socket, struct linux_skb *skb,
                          struct system_endpoint to) {
    struct linux_system *system = linux_of(thread);
    struct linux_cpu *cpu = thread->cpu;
    struct context *context = thread->context;
    struct net_udp udp = {.source_ip = system->config.ip,
                          .destination_ip = to.address,
                          .source_port = socket->port,
                          .destination_port = to.port,
                          .payload_bytes = (uint16_t)skb->payload_bytes};
    for (unsigned i = 0; i < 6; ++i) {
        udp.source_mac[i] = system->config.mac[i];
    }
    linux_neighbour_find(system, to.address, udp.destination_mac);
    cpu_work_for(context, system_components.net_stack_out, skb->carrier.request);
    system->stack.variation = thread->variation;
    udp_stack_output(&system->stack, context, skb->physical, &udp, true);
    linux_charge(context, &system->profile.driver_transmit, thread->variation);
    cpu->softirqs_off += 1;
    if (linux_driver_transmit(linux_driver_queue_of(cpu), context, skb)) {
        cpu->counters.packets_sent += 1;
    } else {
        cpu->counters.transmit_ring_drops += 1;
        linux_discard(thread, skb->carrier.request, "transmit ring full");
        socket->send_allocated_bytes -= system->config.truesize_bytes;
        linux_skb_release(system, skb);
    }
    cpu->softirqs_off -= 1;
    if (linux_softirq_due(cpu)) {
        linux_softirq_serve(cpu, context);
    }
}

enum error_code linux_send(struct system_thread *caller, struct system_socket *where, struct system_buffer *buffer,
                           struct system_endpoint to) {
    struct linux_thread *thread = (struct linux_thread *)caller;
    struct linux_socket *socket = (struct linux_socket *)where;
    if (socket->type == LINUX_TCP) {
        return linux_stream_send(thread, (struct linux_stream *)socket, buffer);
    }
    if (buffer->length_bytes > PAYLOAD_BYTES_MAX) {
        return ERR_RANGE; /* it would take fragments */
    }
    thread->in_recv = NULL;
    linux_syscall_enter(thread, buffer->request);
    struct linux_skb *skb = copy_out(thread, socket, buffer);
    if (skb != NULL) {
        net_stack_out(thread, socket, skb, to);
    } else {
        linux_discard(thread, buffer->request, "no memory");
    }
    buffer->request = NULL;
    thread->variation = 1;
    linux_free_read_skbs(thread);
    linux_syscall_return(thread, NULL);
    return skb != NULL ? OK : ERR_EXHAUSTED;
}
