/* libos_stream.c: POSIX calls on TCP sockets, in the library. */
#include "libos_model/libos_net.h"

enum { SEND_BUFFER_BYTES = 212992 }; /* unacknowledged, of a connection, before send waits: as Linux has it */

/* ---- listen, accept, close: on no request's path ---- */

static void begin_control(struct libos_thread *thread, enum libos_stream_step step) {
    thread->stack.variation = 1.0;
    cpu_work_for(thread->context, vf_components.housekeeping, NULL);
    libos_stream_charge(thread, step);
}

enum error_code libos_stream_listen(struct system_thread *base, uint16_t port, unsigned backlog,
                                    struct system_socket **out) {
    struct libos_thread *thread = libos_thread_of(base);
    enum error_code code = libos_tcp_open(thread);
    if (code != OK) {
        return code;
    }
    begin_control(thread, LIBOS_STREAM_stream_setup);
    struct tcp_host *host = &thread->tcp->host;
    struct tcp_stream *made = host->make(host->owner, NULL);
    if (made == NULL) {
        return ERR_EXHAUSTED;
    }
    struct libos_stream *stream = libos_stream_of(made);
    stream->socket.port = port;
    if (!tcp_host_listen(host, &stream->stream, port, backlog)) {
        return ERR_EXISTS;
    }
    code = libos_socket_filter(thread, NET_PROTOCOL_TCP, port, &stream->socket.filter);
    if (code != OK) {
        tcp_stream_forget(&stream->stream);
    }
    *out = &stream->socket.base;
    return code;
}

enum error_code libos_stream_accept(struct system_thread *base, struct system_socket *handle,
                                    struct system_socket **out) {
    struct libos_thread *thread = libos_thread_of(base);
    begin_control(thread, LIBOS_STREAM_accept);
    struct tcp_stream *accepted = tcp_stream_accept(&((struct libos_stream *)(void *)handle)->stream);
    if (accepted == NULL) {
        return ERR_AGAIN;
    }
    *out = &libos_stream_of(accepted)->socket.base;
    return OK;
}

static void drop_unread(struct libos_thread *thread, struct tcp_connection *connection) {
    for (struct tcp_segment *unread; (unread = tcp_first_ready(connection)) != NULL;) {
        (void)tcp_consume(connection, unread->length_bytes);
        libos_packet_drop(thread, libos_packet_of(tcp_carrier_of(unread)), &thread->counters.no_socket,
                          "socket closed");
    }
}

enum error_code libos_stream_close(struct system_thread *base, struct system_socket *handle) {
    struct libos_thread *thread = libos_thread_of(base);
    struct libos_stream *stream = (struct libos_stream *)(void *)handle;
    struct error ignored = {OK, ""};
    if (!stream->socket.is_stream) {
        return ERR_UNSUPPORTED;
    }
    begin_control(thread, LIBOS_STREAM_stream_setup);
    event_set_remove_item(&stream->socket.item);
    tcp_stream_close(&stream->stream);
    if (stream->stream.listening) {
        tcp_stream_forget(&stream->stream);
        return exo_revoke(thread->process->environment, &stream->socket.filter, &ignored);
    }
    drop_unread(thread, &stream->stream.connection);
    libos_tcp_output(thread, stream, NULL);
    return OK;
}

/* ---- recv ---- */

static void read_packet(void *owner, struct tcp_carrier *carrier) {
    libos_packet_done(owner, libos_packet_of(carrier));
}

/* What has come since the last turn counts. */
static bool has_data(struct libos_thread *thread, const struct tcp_connection *connection) {
    if (connection->ready_bytes == 0) {
        cpu_work_for(thread->context, vf_components.poll, NULL);
        thread->stack.variation = 1.0;
        libos_charge(thread, LIBOS_poll);
        cpu_run(thread->context);
        libos_take_all(thread);
    }
    return connection->ready_bytes > 0;
}

enum error_code libos_stream_receive(struct libos_thread *thread, struct libos_stream *stream,
                                     struct system_buffer *into) {
    struct tcp_connection *connection = &stream->stream.connection;
    if (!has_data(thread, connection)) {
        return stream->stream.peer_closed || stream->stream.aborted ? ERR_NOT_FOUND : ERR_AGAIN;
    }
    struct request *request = tcp_first_request(connection, into->capacity_bytes);
    struct tcp_reading reading = {into->physical, into->capacity_bytes, .done = read_packet, .owner = thread};
    into->peer = (struct system_endpoint){connection->path.remote_ip, connection->path.remote_port};
    libos_stage(thread, system_components.net_stack_in, request);
    libos_charge(thread, LIBOS_socket_receive);
    tcp_stack_touch(&thread->tcp->stack, thread->context, stream->state_at);
    libos_stage(thread, system_components.copy_in, request);
    libos_charge(thread, LIBOS_copy_in);
    tcp_read(thread->context, connection, &reading);
    SIM_ASSERT(reading.request == request);
    into->request = request;
    into->length_bytes = reading.length_bytes;
    if (connection->ack_due) { /* the window has opened */
        libos_tcp_output(thread, stream, request);
    }
    cpu_work_for(thread->context, system_components.app, into->request);
    return OK;
}

/* ---- send ---- */

/* The request waits while there are no buffers, or too many are this connection's:
 * acknowledgments are taken meanwhile. */
static void await_space(struct libos_thread *thread, const struct tcp_connection *connection, struct request *request) {
    while (tcp_can_send(connection) &&
           (thread->driver.free_count == 0 || tcp_unacknowledged_bytes(connection) >= SEND_BUFFER_BYTES)) {
        thread->counters.transmit_waits++;
        cpu_work_for(thread->context, system_components.net_stack_out, request);
        cpu_pass_on(thread->context, system_components.net_stack_out, LEDGER_WAITING);
        libos_turn(thread, SYSTEM_WAIT_SPIN);
    }
}

/* The next piece of the message, appended to the stream; the request rides on the last. */
static struct libos_packet *append(struct libos_thread *thread, struct tcp_connection *connection,
                                   const struct system_buffer *buffer, uint32_t from, struct request *request) {
    struct libos_packet *packet = libos_packet_take(thread, request);
    const uint32_t left = buffer->length_bytes - from;
    packet->carrier.payload = vf_buffer_physical(&thread->driver, packet->buffer) + NET_TCP_HEADERS_BYTES;
    packet->carrier.segment = (struct tcp_segment){.length_bytes = left < connection->mss ? left : connection->mss};
    packet->carrier.segment.push = packet->carrier.segment.length_bytes == left;
    packet->carrier.request = packet->carrier.segment.push ? request : NULL;
    packet->carrier.away = NULL;
    vf_buffer_hold(&thread->driver, packet->buffer);
    libos_stage(thread, system_components.copy_out, request);
    if (from == 0) {
        libos_charge(thread, LIBOS_copy_out);
    }
    cpu_copy(thread->context, packet->carrier.payload, buffer->physical + from, packet->carrier.segment.length_bytes);
    tcp_append(connection, &packet->carrier.segment);
    return packet;
}

enum error_code libos_stream_send(struct libos_thread *thread, struct libos_stream *stream,
                                  struct system_buffer *buffer) {
    struct tcp_connection *connection = &stream->stream.connection;
    struct request *request = buffer->request;
    libos_stage(thread, system_components.net_stack_out, request);
    libos_charge(thread, LIBOS_socket_send);
    struct libos_packet *last = NULL;
    for (uint32_t done = 0; done < buffer->length_bytes; done += last->carrier.segment.length_bytes) {
        await_space(thread, connection, request);
        if (!tcp_can_send(connection)) {
            return ERR_NOT_FOUND; /* the request stays the caller's */
        }
        last = append(thread, connection, buffer, done, request);
    }
    buffer->request = NULL;
    libos_tcp_output(thread, stream, request);
    if (last != NULL && request != NULL && last->carrier.request == request) { /* a window is shut */
        cpu_work_for(thread->context, system_components.net_stack_out, request);
        cpu_pass_on(thread->context, system_components.net_stack_out, LEDGER_WAITING);
    }
    return OK;
}
