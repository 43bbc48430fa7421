/* libos_tcp.c: connections in the library: what the thread takes off its ring, timers,
 * what goes out. A connection is its thread's alone: nothing is locked.
 *
 * Not modelled: large receive and segmentation offload. Closed sockets keep their
 * memory until the end of the run. */
#include <stdlib.h>

#include "libos_model/libos_net.h"

/* ---- opening ---- */

/* From the library's heap, which grows by a call of the exokernel; 0: it may not. */
static uint64_t allocate_state(struct libos_thread *thread) {
    enum { HEAP_BYTES = 64 * 1024 };
    struct libos_tcp *tcp = thread->tcp;
    const uint64_t bytes = tcp_stack_state_bytes(&tcp->stack);
    struct error ignored = {OK, ""};
    if (tcp->state_end - tcp->state_next < bytes) {
        tcp->state_next = libos_memory(thread->process, HEAP_BYTES, &ignored);
        tcp->state_end = tcp->state_next != 0 ? tcp->state_next + HEAP_BYTES : 0;
    }
    const uint64_t at = tcp->state_next;
    tcp->state_next += at != 0 ? bytes : 0;
    return at;
}

static struct tcp_stream *make_stream(void *owner, struct tcp_stream *listener) {
    struct libos_thread *thread = owner;
    const uint64_t state_at = allocate_state(thread);
    if (state_at == 0) {
        return NULL;
    }
    struct libos_stream *stream = calloc(1, sizeof *stream);
    SIM_ASSERT(stream != NULL);
    (void)listener;
    stream->socket.base.process = thread->base.process;
    stream->socket.thread = thread;
    stream->socket.is_stream = true;
    stream->state_at = state_at;
    tcp_alarm_init(&stream->alarm, &stream->stream, &thread->tcp->alarms, SIM_PRIORITY_SOFTWARE);
    stream->next = thread->tcp->streams;
    thread->tcp->streams = stream;
    return &stream->stream;
}

/* It looks at the clock as it polls. */
static void raise_alarm(void *owner, bool alone) {
    struct libos_thread *thread = owner;
    (void)alone;
    if (thread->asleep) {
        exo_end_point_alarm(thread->process->environment, &thread->end_point);
    } else {
        cpu_spin_wake(thread->context);
    }
}

enum error_code libos_tcp_open(struct libos_thread *thread) {
    struct libos_system *system = libos_system_of(thread);
    struct error error = {OK, ""};
    if (thread->tcp != NULL) {
        return OK;
    }
    if (system->profile.stack.tcp_node == NULL) {
        return ERR_UNSUPPORTED;
    }
    uint64_t at = libos_memory(thread->process, libos_profile_stream_working_set_bytes(&system->profile) + 1, &error);
    if (at == 0) {
        return ERR_EXHAUSTED;
    }
    thread->tcp = calloc(1, sizeof *thread->tcp);
    SIM_ASSERT(thread->tcp != NULL);
    for (size_t i = 0; i < LIBOS_STREAM_STEP_COUNT; i++) {
        thread->tcp->lines_at[i] = at;
        at += (uint64_t)system->profile.stream_steps[i].lines * MEMORY_LINE_BYTES;
    }
    thread->tcp->alarms = (struct tcp_alarms){.raise = raise_alarm, .owner = thread};
    tcp_host_init(&thread->tcp->host, &system->config.tcp, make_stream, thread);
    tcp_stack_init(&thread->tcp->stack, &thread->stack, &system->profile.tcp, at);
    vf_tx_expect_both(&thread->driver);
    system->streams = true;
    return OK;
}

void libos_tcp_free(struct libos_thread *thread) {
    if (thread->tcp == NULL) {
        return;
    }
    while (thread->tcp->streams != NULL) {
        struct libos_stream *stream = thread->tcp->streams;
        thread->tcp->streams = stream->next;
        tcp_alarm_cancel(&stream->alarm);
        free(stream);
    }
    while (thread->tcp->event_sets != NULL) {
        struct libos_event_set *set = thread->tcp->event_sets;
        thread->tcp->event_sets = set->next;
        free(set);
    }
    free(thread->tcp);
}

void libos_stream_charge(struct libos_thread *thread, enum libos_stream_step step) {
    (void)stack_charge(thread->context, &libos_system_of(thread)->profile.stream_steps[step], thread->stack.variation,
                       thread->tcp->lines_at[step]);
}

bool libos_tcp_takes(const struct libos_thread *thread, const struct vf_packet *raw) {
    return thread->tcp != NULL &&
           tcp_stack_takes(&thread->tcp->stack, vf_buffer_physical(&thread->driver, raw->buffer), raw->length_bytes);
}

/* ---- output ---- */

/* A stream's segment is kept if it has data; a refusal is of no stream. */
static void transmit(struct libos_thread *thread, const struct libos_stream *stream, const struct net_tcp *header,
                     struct libos_packet *packet, struct request *worker) {
    struct request *request = packet->carrier.request;
    worker = request != NULL ? request : worker;
    libos_await_transmit(thread, worker);
    libos_stage(thread, system_components.net_stack_out, worker);
    if (stream != NULL) {
        tcp_stack_touch(&thread->tcp->stack, thread->context, stream->state_at);
    }
    tcp_stack_output(&thread->tcp->stack, thread->context, vf_buffer_physical(&thread->driver, packet->buffer), header,
                     libos_system_of(thread)->config.checksum_offload);
    tcp_carrier_leaves(&packet->carrier);
    (void)libos_transmit_frame(thread, packet, net_tcp_headers_bytes(header) + header->payload_bytes, true, request);
}

/* A buffer for a segment without data; NULL: there is none, and the segment is lost. */
static struct libos_packet *take_for_control(struct libos_thread *thread) {
    if (thread->driver.free_count == 0) {
        vf_housekeep(&thread->driver, thread->context);
    }
    const uint32_t buffer = vf_buffer_take(&thread->driver);
    if (buffer == VF_NO_BUFFER) {
        return NULL;
    }
    thread->packets[buffer].carrier.request = NULL;
    return &thread->packets[buffer];
}

/* What a thread does for its connections' output, for `worker`'s sake. */
struct output {
    struct libos_thread *thread;
    struct libos_stream *stream;
    struct request *worker;
};

static struct tcp_carrier *control_packet(void *owner) {
    struct libos_packet *packet = take_for_control(((struct output *)owner)->thread);
    return packet != NULL ? &packet->carrier : NULL;
}

static bool is_flying(void *owner, const struct tcp_carrier *carrier) {
    return vf_buffer_is_flying(&((struct output *)owner)->thread->driver, libos_packet_of(carrier)->buffer);
}

static void transmit_for(void *owner, const struct net_tcp *header, struct tcp_carrier *carrier) {
    const struct output *output = owner;
    transmit(output->thread, output->stream, header, libos_packet_of(carrier), output->worker);
}

static void release(void *owner, struct tcp_carrier *carrier) {
    vf_buffer_release(&((struct output *)owner)->thread->driver, libos_packet_of(carrier)->buffer);
}

static const struct tcp_sender sender = {control_packet, is_flying, transmit_for, release};

void libos_tcp_output(struct libos_thread *thread, struct libos_stream *stream, struct request *worker) {
    struct output output = {thread, stream, worker};
    tcp_sender_run(&sender, &output, &stream->stream);
    tcp_sender_bury(&sender, &output, &stream->stream);
    tcp_alarm_set(&stream->alarm);
}

/* ---- what happens to a connection ---- */

static void follow_up(struct libos_thread *thread, const struct tcp_arrival *arrival) {
    if (arrival->readied != NULL) {
        (void)event_item_mark(&libos_stream_of(arrival->readied)->socket.item);
    }
    if (arrival->stream != NULL) {
        libos_tcp_output(thread, libos_stream_of(arrival->stream), NULL);
    }
}

void libos_tcp_timers(struct libos_thread *thread) {
    for (struct tcp_stream *stream; (stream = tcp_alarms_take(&thread->tcp->alarms)) != NULL;) {
        const struct tcp_arrival arrival = tcp_stream_timer(stream, sim_now());
        follow_up(thread, &arrival);
    }
}

/* RST for what nobody takes. */
static void refuse(struct libos_thread *thread, const struct net_tcp *answer) {
    struct libos_packet *packet = take_for_control(thread);
    if (packet != NULL) {
        transmit(thread, NULL, answer, packet, NULL);
    }
}

/* Streams hold so many of the thread's buffers at most, that enough are left to
 * receive acknowledgments and to send. */
static bool pool_is_low(const struct libos_thread *thread) {
    return thread->driver.free_count < thread->driver.config.buffers / 8;
}

void libos_tcp_input(struct libos_thread *thread, struct libos_packet *packet, const struct vf_packet *raw) {
    struct net_tcp header;
    uint32_t offset = 0;
    const uint64_t frame = vf_buffer_physical(&thread->driver, raw->buffer);
    const enum net_verdict verdict =
        tcp_stack_input(&thread->tcp->stack, thread->context, frame, raw->length_bytes, raw->checked, &header, &offset);
    if (raw->bad || verdict == NET_BAD_IP_CHECKSUM || verdict == NET_BAD_TCP_CHECKSUM) {
        libos_packet_drop(thread, packet, &thread->counters.bad_checksums, "bad checksum");
        return;
    }
    if (verdict != NET_OK || header.destination_ip != libos_system_of(thread)->config.ip) {
        libos_packet_drop(thread, packet, &thread->counters.bad_packets,
                          verdict != NET_OK ? net_verdict_text(verdict) : "not ours");
        return;
    }
    if (header.payload_bytes > 0 && pool_is_low(thread)) {
        libos_packet_drop(thread, packet, &thread->counters.socket_full, "no buffers");
        return;
    }
    libos_charge(thread, LIBOS_demultiplex);
    const struct tcp_stream *stream = tcp_host_find(&thread->tcp->host, &header);
    if (stream != NULL) {
        tcp_stack_touch(&thread->tcp->stack, thread->context, libos_stream_of(stream)->state_at);
    }
    packet->carrier.payload = frame + offset;
    packet->payload_bytes = header.payload_bytes;
    packet->carrier.away = NULL;
    packet->carrier.segment = (struct tcp_segment){.next = NULL};
    const struct tcp_arrival arrival = tcp_host_input(&thread->tcp->host, &header, &packet->carrier.segment, sim_now());
    if ((arrival.outcome & TCP_KEPT) != 0) {
        ledger_keep(packet->carrier.request, NULL, NULL); /* it need not be sent again */
        thread->counters.received++;
        cpu_pass_on(thread->context, libos_socket_queue, LEDGER_WAITING);
    } else if (packet->carrier.request != NULL) {
        libos_packet_drop(thread, packet, &thread->counters.bad_packets, "segment not taken");
    } else {
        libos_packet_done(thread, packet);
    }
    if (arrival.answered) {
        refuse(thread, &arrival.answer);
    }
    follow_up(thread, &arrival);
}
