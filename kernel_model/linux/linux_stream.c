/* linux_stream.c: system calls on TCP sockets. */
#include "kernel_model/linux/linux_internal.h"

static struct linux_thread *thread_of(struct system_thread *thread) {
    return (struct linux_thread *)thread;
}

/* ---- listen, accept, close ---- */

/* A call that is on no request's path. */
static void control_call(struct linux_thread *thread, struct linux_step *step) {
    thread->in_recv = NULL;
    linux_free_read_skbs(thread);
    linux_syscall_enter(thread, NULL);
    linux_charge(thread->context, step, 1);
    cpu_run(thread->context);
}

enum error_code linux_stream_listen(struct system_thread *caller, uint16_t port, unsigned backlog,
                                    struct system_socket **out) {
    struct linux_thread *thread = thread_of(caller);
    struct linux_system *system = linux_of(thread);
    const enum error_code code = linux_tcp_open(system);
    if (code != OK) {
        return code;
    }
    control_call(thread, &system->profile.stream_setup);
    struct tcp_host *host = &system->tcp->host;
    struct tcp_stream *made = host->make(host->owner, NULL);
    if (made == NULL) {
        linux_syscall_return(thread, NULL);
        return ERR_EXHAUSTED;
    }
    struct linux_stream *stream = linux_stream_of(made);
    stream->socket.base.process = caller->process;
    stream->socket.port = port;
    stream->alarm.alarms = &thread->cpu->alarms;
    const bool listens = tcp_host_listen(host, &stream->stream, port, backlog);
    linux_syscall_return(thread, NULL);
    *out = &stream->socket.base;
    return listens ? OK : ERR_EXISTS;
}

enum error_code linux_stream_accept(struct system_thread *caller, struct system_socket *where,
                                    struct system_socket **out) {
    struct linux_thread *thread = thread_of(caller);
    control_call(thread, &linux_of(thread)->profile.accept);
    struct tcp_stream *accepted = tcp_stream_accept(&((struct linux_stream *)where)->stream);
    linux_syscall_return(thread, NULL);
    if (accepted == NULL) {
        return ERR_AGAIN;
    }
    *out = &linux_stream_of(accepted)->socket.base;
    return OK;
}

enum error_code linux_stream_close(struct system_thread *caller, struct system_socket *where) {
    struct linux_thread *thread = thread_of(caller);
    struct linux_stream *stream = (struct linux_stream *)where;
    if (stream->socket.type != LINUX_TCP) {
        return ERR_UNSUPPORTED;
    }
    control_call(thread, &linux_of(thread)->profile.stream_setup);
    event_set_remove_item(&stream->socket.item);
    while (!stream->stream.listening && tcp_first_ready(&stream->stream.connection) != NULL) {
        struct tcp_segment *unread = tcp_first_ready(&stream->stream.connection);
        struct linux_skb *skb = linux_skb_of(tcp_carrier_of(unread));
        (void)tcp_consume(&stream->stream.connection, unread->length_bytes);
        ledger_give_up(skb->carrier.request, "socket closed", sim_now());
        linux_skb_release(linux_of(thread), skb);
    }
    tcp_stream_close(&stream->stream);
    if (stream->stream.listening) {
        tcp_stream_forget(&stream->stream);
    } else {
        linux_tcp_output(stream, thread->cpu, thread->context, NULL, 1);
    }
    linux_syscall_return(thread, NULL);
    return OK;
}

/* ---- tcp_recvmsg ---- */

static void read_skb(void *owner, struct tcp_carrier *carrier) {
    struct linux_thread *thread = owner;
    linux_skb_release(linux_of(thread), linux_skb_of(carrier));
    thread->skbs_to_free += 1;
}

static bool has_data(struct linux_thread *thread, const struct tcp_connection *connection) {
    if (connection->ready_bytes == 0) { /* what arrives until the call gets here counts */
        cpu_run(thread->context);
    }
    return connection->ready_bytes > 0;
}

enum error_code linux_stream_receive(struct linux_thread *thread, struct linux_stream *stream,
                                     struct system_buffer *into) {
    struct tcp_connection *connection = &stream->stream.connection;
    struct linux_profile *profile = &linux_of(thread)->profile;
    if (thread->in_recv != &stream->socket) {
        linux_free_read_skbs(thread);
        linux_syscall_enter(thread, NULL);
    }
    thread->in_recv = NULL;
    if (!has_data(thread, connection)) {
        cpu_work_for(thread->context, linux_components.recv_poll, NULL);
        linux_charge(thread->context, &profile->recv_empty, 1);
        linux_syscall_return(thread, NULL);
        return stream->stream.peer_closed || stream->stream.aborted ? ERR_NOT_FOUND : ERR_AGAIN;
    }
    struct request *request = tcp_first_request(connection, into->capacity_bytes);
    struct tcp_reading reading = {into->physical, into->capacity_bytes, .done = read_skb, .owner = thread};
    thread->variation = linux_skb_of(tcp_carrier_of(tcp_first_ready(connection)))->variation;
    into->peer = (struct system_endpoint){connection->path.remote_ip, connection->path.remote_port};
    cpu_work_for(thread->context, system_components.copy_in, request);
    linux_charge(thread->context, &profile->recv, thread->variation);
    linux_tcp_touch(stream, thread->context, thread->variation);
    tcp_read(thread->context, connection, &reading);
    SIM_ASSERT(reading.request == request);
    into->request = request;
    into->length_bytes = reading.length_bytes;
    if (connection->ack_due) { /* tcp_cleanup_rbuf: the window has opened */
        linux_tcp_output(stream, thread->cpu, thread->context, request, thread->variation);
    }
    linux_syscall_return(thread, into->request);
    cpu_work_for(thread->context, system_components.app, into->request);
    return OK;
}

/* ---- tcp_sendmsg ---- */

static void release_list(struct linux_system *system, struct linux_skb *list) {
    while (list != NULL) {
        struct linux_skb *next = list->next;
        list->held = false;
        list->carrier.request = NULL;
        linux_skb_release(system, list);
        list = next;
    }
}

/* The message in socket buffers of a segment each; the request rides on the last. NULL:
 * no memory. */
static struct linux_skb *copy_out(struct linux_thread *thread, const struct tcp_connection *connection,
                                  const struct system_buffer *buffer, struct linux_skb **last) {
    struct linux_system *system = linux_of(thread);
    struct linux_skb *first = NULL;
    struct linux_skb **link = &first;
    for (uint32_t done = 0; done < buffer->length_bytes;) {
        const uint32_t left = buffer->length_bytes - done;
        struct linux_skb *skb = linux_skb_allocate(system);
        if (skb == NULL) {
            release_list(system, first);
            return NULL;
        }
        skb->held = true;
        skb->carrier.payload = skb->physical + NET_TCP_HEADERS_BYTES;
        skb->carrier.segment.length_bytes = left < connection->mss ? left : connection->mss;
        cpu_copy(thread->context, skb->carrier.payload, buffer->physical + done, skb->carrier.segment.length_bytes);
        done += skb->carrier.segment.length_bytes;
        *link = skb;
        link = &skb->next;
        *last = skb;
    }
    (*last)->carrier.segment.push = true;
    (*last)->carrier.request = buffer->request;
    return first;
}

enum error_code linux_stream_send(struct linux_thread *thread, struct linux_stream *stream,
                                  struct system_buffer *buffer) {
    struct tcp_connection *connection = &stream->stream.connection;
    struct request *request = buffer->request;
    struct linux_skb *last = NULL;
    enum error_code code = OK;
    thread->in_recv = NULL;
    linux_syscall_enter(thread, request);
    cpu_work_for(thread->context, system_components.copy_out, request);
    linux_await_space(thread, &stream->socket, request);
    linux_charge(thread->context, &linux_of(thread)->profile.sendmsg, thread->variation);
    struct linux_skb *skb = NULL;
    if (!tcp_can_send(connection)) {
        code = ERR_NOT_FOUND;
    } else if (buffer->length_bytes > 0) {
        skb = copy_out(thread, connection, buffer, &last);
        code = skb != NULL ? OK : ERR_EXHAUSTED;
    }
    if (skb == NULL) {
        linux_discard(thread, request, code == ERR_NOT_FOUND ? "connection closed" : "no memory");
    }
    for (struct linux_skb *next; skb != NULL; skb = next) {
        next = skb->next;
        tcp_append(connection, &skb->carrier.segment);
    }
    if (last != NULL) {
        linux_tcp_output(stream, thread->cpu, thread->context, request, thread->variation);
        if (last->held && last->carrier.request == request) { /* a window is shut */
            cpu_work_for(thread->context, system_components.net_stack_out, request);
            cpu_pass_on(thread->context, system_components.net_stack_out, LEDGER_WAITING);
        }
    }
    buffer->request = NULL;
    thread->variation = 1;
    linux_free_read_skbs(thread);
    linux_syscall_return(thread, NULL);
    return code;
}
