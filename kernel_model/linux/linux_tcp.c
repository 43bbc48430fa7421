/* linux_tcp.c: connections in the kernel: what arrives, timers, what goes out; on the
 * softirq's context or on that of a thread in a system call.
 *
 * Not modelled: GRO and TSO (each segment passes the stack by itself), the backlog of
 * a socket that a thread has locked (a segment is taken in between the thread's steps
 * instead), SYN cookies. Closed sockets keep their memory until the end of the run. */
#include <stdlib.h>

#include "kernel_model/linux/linux_internal.h"

/* ---- opening ---- */

/* From the slab of control blocks; 0: memory has run out. */
static uint64_t allocate_state(struct linux_system *system) {
    enum { SLAB_FRAMES = 8 };
    struct linux_tcp *tcp = system->tcp;
    const uint64_t bytes = tcp_stack_state_bytes(&tcp->stack);
    if (tcp->state_end - tcp->state_next < bytes) {
        tcp->state_next = frames_allocate_contiguous(system->frames, SLAB_FRAMES);
        tcp->state_end = tcp->state_next != 0 ? tcp->state_next + SLAB_FRAMES * MEMORY_FRAME_BYTES : 0;
    }
    const uint64_t at = tcp->state_next;
    tcp->state_next += at != 0 ? bytes : 0;
    return at;
}

void linux_tcp_touch(struct linux_stream *stream, struct context *context, double variation) {
    struct linux_system *system = stream->socket.system;
    if (stream->state_at != 0) {
        system->stack.variation = variation;
        tcp_stack_touch(&system->tcp->stack, context, stream->state_at);
    }
}

static struct tcp_stream *make_stream(void *owner, struct tcp_stream *listener) {
    struct linux_system *system = owner;
    const uint64_t state_at = allocate_state(system);
    if (state_at == 0) {
        return NULL;
    }
    struct linux_stream *stream = calloc(1, sizeof *stream);
    SIM_ASSERT_MSG(stream != NULL, "out of memory");
    stream->socket.system = system;
    stream->socket.type = LINUX_TCP;
    stream->state_at = state_at;
    tcp_alarm_init(&stream->alarm, &stream->stream, NULL, SIM_PRIORITY_HARDWARE);
    stream->socket.base.process = listener != NULL ? linux_stream_of(listener)->socket.base.process : NULL;
    stream->next = system->tcp->streams;
    system->tcp->streams = stream;
    return &stream->stream;
}

/* One interrupt for all of an instant. */
static void raise_alarm(void *owner, bool alone) {
    const struct linux_cpu *cpu = owner;
    if (alone) {
        core_interrupt(cpu->core, LINUX_VECTOR_ONE_SHOT);
    }
}

enum error_code linux_tcp_open(struct linux_system *system) {
    if (system->tcp != NULL) {
        return OK;
    }
    if (system->profile.stack.tcp_node == NULL) {
        return ERR_UNSUPPORTED;
    }
    const uint64_t lines = linux_profile_place_streams(&system->profile, system->frames);
    if (lines == 0) {
        return ERR_EXHAUSTED;
    }
    system->tcp = calloc(1, sizeof *system->tcp);
    SIM_ASSERT_MSG(system->tcp != NULL, "out of memory");
    for (unsigned i = 0; i < system->base.machine->core_count; ++i) {
        struct linux_cpu *cpu = &system->cpus[i];
        cpu->alarms = (struct tcp_alarms){.raise = raise_alarm, .owner = cpu};
    }
    tcp_host_init(&system->tcp->host, &system->config.tcp, make_stream, system);
    tcp_stack_init(&system->tcp->stack, &system->stack, &system->profile.tcp, lines);
    return OK;
}

void linux_tcp_close(struct linux_system *system) {
    if (system->tcp == NULL) {
        return;
    }
    while (system->tcp->streams != NULL) {
        struct linux_stream *stream = system->tcp->streams;
        system->tcp->streams = stream->next;
        tcp_alarm_cancel(&stream->alarm);
        free(stream);
    }
    free(system->tcp);
    system->tcp = NULL;
}

bool linux_tcp_takes(const struct linux_system *system, const struct linux_skb *skb) {
    return system->tcp != NULL && tcp_stack_takes(&system->tcp->stack, skb->physical, skb->frame_bytes);
}

/* ---- output ---- */

/* A full ring loses the segment, as a full qdisc does; the timer sends it again. */
static void hand_to_driver(struct linux_cpu *cpu, struct context *context, struct linux_skb *skb) {
    struct request *request = skb->carrier.request;
    if (skb->held) {
        tcp_carrier_leaves(&skb->carrier);
    }
    cpu->softirqs_off += 1;
    if (linux_driver_transmit(linux_driver_queue_of(cpu), context, skb)) {
        cpu->counters.packets_sent += 1;
    } else {
        cpu_run(context);
        cpu->counters.transmit_ring_drops += 1;
        skb->on_ring = false;
        skb->carrier.request = NULL;
        ledger_abandon(request, "transmit ring full", sim_now());
        linux_skb_release(cpu->system, skb);
    }
    cpu->softirqs_off -= 1;
}

/* tcp_transmit_skb, for `worker`'s sake. */
static void transmit(struct linux_cpu *cpu, struct context *context, struct linux_stream *stream,
                     const struct net_tcp *header, struct linux_skb *skb, struct request *worker, double variation) {
    struct linux_system *system = cpu->system;
    skb->tcp = true;
    skb->on_ring = true; /* from now on, so that an acknowledgment does not release it meanwhile */
    skb->frame_bytes = net_tcp_headers_bytes(header) + header->payload_bytes;
    cpu_work_for(context, system_components.net_stack_out,
                 skb->carrier.request != NULL ? skb->carrier.request : worker);
    if (stream != NULL) {
        linux_tcp_touch(stream, context, variation);
    }
    system->stack.variation = variation;
    tcp_stack_output(&system->tcp->stack, context, skb->physical, header, true);
    linux_charge(context, &system->profile.driver_transmit, variation);
    hand_to_driver(cpu, context, skb);
}

static void wake_writers(struct linux_stream *stream, struct linux_cpu *cpu) {
    const struct tcp_connection *connection = &stream->stream.connection;
    while (stream->socket.writers != NULL &&
           (!tcp_can_send(connection) ||
            2 * (uint64_t)tcp_unacknowledged_bytes(connection) <= cpu->system->config.send_buffer_bytes)) {
        linux_sched_wake(linux_waiters_take(&stream->socket.writers), cpu);
    }
}

/* For whose sake a connection's output is done, and where. */
struct output {
    struct linux_cpu *cpu;
    struct context *context;
    struct linux_stream *stream;
    struct request *worker;
    double variation;
};

static struct tcp_carrier *control_skb(void *owner) {
    struct linux_skb *skb = linux_skb_allocate(((struct output *)owner)->cpu->system);
    return skb != NULL ? &skb->carrier : NULL;
}

static bool is_on_ring(void *owner, const struct tcp_carrier *carrier) {
    (void)owner;
    return linux_skb_of(carrier)->on_ring;
}

static void transmit_for(void *owner, const struct net_tcp *header, struct tcp_carrier *carrier) {
    const struct output *output = owner;
    transmit(output->cpu, output->context, output->stream, header, linux_skb_of(carrier), output->worker,
             output->variation);
}

static void release(void *owner, struct tcp_carrier *carrier) {
    struct linux_skb *skb = linux_skb_of(carrier);
    skb->held = false;
    linux_skb_release(((struct output *)owner)->cpu->system, skb);
}

static const struct tcp_sender sender = {control_skb, is_on_ring, transmit_for, release};

void linux_tcp_output(struct linux_stream *stream, struct linux_cpu *cpu, struct context *context,
                      struct request *worker, double variation) {
    struct output output = {cpu, context, stream, worker, variation};
    tcp_sender_run(&sender, &output, &stream->stream);
    wake_writers(stream, cpu);
    tcp_sender_bury(&sender, &output, &stream->stream);
    tcp_alarm_set(&stream->alarm);
    if (linux_softirq_due(cpu)) {
        linux_softirq_serve(cpu, context);
    }
}

/* ---- timers ---- */

static void follow_up(struct linux_cpu *cpu, struct context *context, const struct tcp_arrival *arrival,
                      double variation) {
    if (arrival->readied != NULL) {
        linux_socket_data_ready(cpu, &linux_stream_of(arrival->readied)->socket);
    }
    if (arrival->stream != NULL) {
        linux_tcp_output(linux_stream_of(arrival->stream), cpu, context, NULL, variation);
    }
}

void linux_tcp_timers(struct linux_cpu *cpu, struct context *context) {
    for (struct tcp_stream *stream; (stream = tcp_alarms_take(&cpu->alarms)) != NULL;) {
        cpu_work_for(context, linux_components.softirq_overhead, NULL);
        const struct tcp_arrival arrival = tcp_stream_timer(stream, sim_now());
        follow_up(cpu, context, &arrival, 1);
    }
}

/* ---- input ---- */

/* RST for what nobody takes. */
static void refuse(struct linux_cpu *cpu, struct context *context, const struct net_tcp *answer) {
    struct linux_skb *skb = linux_skb_allocate(cpu->system);
    if (skb != NULL) {
        transmit(cpu, context, NULL, answer, skb, NULL, 1);
    }
}

/* Data: the reader is woken; from then on the request waits for it. */
static void charge_wake_up(struct linux_cpu *cpu, struct context *context, const struct linux_skb *skb) {
    cpu_work_for(context, linux_components.scheduler, skb->carrier.request);
    linux_charge(context, &cpu->system->profile.wake_up, skb->variation);
    cpu_pass_on(context, linux_components.socket_queue, LEDGER_WAITING);
}

void linux_tcp_input(struct linux_cpu *cpu, struct context *context, struct linux_skb *skb) {
    struct linux_system *system = cpu->system;
    struct net_tcp header;
    uint32_t offset = 0;
    const enum net_verdict verdict =
        tcp_stack_input(&system->tcp->stack, context, skb->physical, skb->frame_bytes, skb->checked, &header, &offset);
    if (verdict != NET_OK || header.destination_ip != system->config.ip) {
        linux_socket_drop(cpu, context, skb, &cpu->counters.stack_drops,
                          verdict != NET_OK ? net_verdict_text(verdict) : "not ours");
        return;
    }
    const double variation = skb->variation;
    linux_charge(context, &system->profile.socket_deliver, variation);
    struct tcp_stream *stream = tcp_host_find(&system->tcp->host, &header);
    if (stream != NULL) {
        linux_tcp_touch(linux_stream_of(stream), context, variation);
    }
    if (header.payload_bytes > 0) {
        charge_wake_up(cpu, context, skb);
    }
    cpu_run(context);
    skb->carrier.payload = skb->physical + offset;
    skb->carrier.segment = (struct tcp_segment){.next = NULL};
    const struct tcp_arrival arrival = tcp_host_input(&system->tcp->host, &header, &skb->carrier.segment, sim_now());
    if ((arrival.outcome & TCP_KEPT) != 0) {
        ledger_keep(skb->carrier.request, NULL, NULL); /* it need not be sent again */
    } else {
        ledger_abandon(skb->carrier.request, "segment not taken", sim_now());
        skb->carrier.request = NULL;
        linux_skb_release(system, skb);
    }
    if (arrival.stream != NULL) {
        linux_stream_of(arrival.stream)->alarm.alarms = &cpu->alarms;
    }
    if (arrival.answered) {
        refuse(cpu, context, &arrival.answer);
    }
    follow_up(cpu, context, &arrival, variation);
}
