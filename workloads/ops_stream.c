/* ops_stream.c: operations on TCP connections: a listening socket with all of its
 * connections is one set, which a thread serves message by message.
 *
 * A message begins with 12 bytes: 8 that are its sender's, and its own length, as 4
 * bytes, big-endian. */
#include <stdlib.h>

#include "hw/memory.h"
#include "sim/engine.h"
#include "workloads/connections.h"
#include "workloads/op.h"

/* ---- listen ---- */

struct listen_config {
    const char *name;
    uint64_t port, backlog;
    bool per_thread;
    uint32_t socket;
};

static const struct param listen_params[] = {
    {"name", PARAM_TEXT, offsetof(struct listen_config, name), NULL, NULL, NULL, NULL, "what the script calls it"},
    {"port", PARAM_INTEGER, offsetof(struct listen_config, port), NULL, "1", "65535", NULL, "the port it is bound to"},
    {"backlog", PARAM_INTEGER, offsetof(struct listen_config, backlog), "511", "1", "65535", NULL,
     "connections that may wait to be accepted; more are turned away and try again"},
    {"per_thread", PARAM_BOOL, offsetof(struct listen_config, per_thread), "false", NULL, NULL, NULL,
     "thread n binds port + n; otherwise all threads ask for the same port"},
    {0}};

static bool is_given(const char *name) {
    return name != NULL && name[0] != '\0';
}

static bool listen_compile(struct compiler *compiler, const struct config_node *node, void *config) {
    struct listen_config *own = config;
    return is_given(own->name) && compile_declare_listener(compiler, config_get(node, "name"), own->name,
                                                           (uint16_t)own->port, own->per_thread, &own->socket);
}

static enum op_result listen_run(struct workload_thread *thread, const void *config) {
    const struct listen_config *own = config;
    const struct system_ops *ops = thread->ops;
    const uint16_t port = (uint16_t)(own->port + (own->per_thread ? thread->index : 0));
    struct workload_listener *listener = calloc(1, sizeof *listener);
    SIM_ASSERT_MSG(listener != NULL, "out of memory");
    thread->listeners[own->socket] = listener;
    struct system_socket **socket = &thread->sockets[own->socket];
    enum error_code code = ops->socket_listen_tcp(thread->thread, port, (unsigned)own->backlog, socket);
    if (code != OK) {
        return run_failed(thread, code, "listening");
    }
    code = ops->event_set_create(thread->thread, &listener->set);
    if (code == OK) {
        code = ops->event_set_add(thread->thread, listener->set, *socket, NULL);
    }
    return code == OK ? OP_DONE : run_failed(thread, code, "making an event set");
}

static bool offers_streams(const struct system_ops *ops) {
    return ops->socket_listen_tcp != NULL && ops->socket_accept != NULL && ops->event_wait != NULL;
}

const struct op_type op_listen = {.name = "listen",
                                  .help = "opens a TCP socket that takes connections",
                                  .params = listen_params,
                                  .config_bytes = sizeof(struct listen_config),
                                  .flags = OP_SETUP_ONLY,
                                  .compile = listen_compile,
                                  .offered = offers_streams,
                                  .run = listen_run};

/* ---- serve ---- */

enum { EVENTS_MAX = 1024 };

struct serve_config {
    const char *on, *into, *receive_as, *before_as;
    int how; /* enum system_wait */
    uint64_t events;
    uint32_t receive_span, before_span;
    const struct config_node *body_node;
    struct block body;
    uint32_t socket, buffer;
};

static const char *const ways[] = {[SYSTEM_WAIT_BLOCK] = "block", [SYSTEM_WAIT_SPIN] = "spin", NULL};

static const struct param serve_params[] = {
    {"on", PARAM_TEXT, offsetof(struct serve_config, on), NULL, NULL, NULL, NULL, "the listening socket"},
    {"into", PARAM_TEXT, offsetof(struct serve_config, into), NULL, NULL, NULL, NULL,
     "the buffer with the message, for the operations; each connection has memory of its own for it"},
    {"how", PARAM_CHOICE, offsetof(struct serve_config, how), "block", NULL, NULL, ways,
     "gives up the core meanwhile, or asks again and again"},
    {"events", PARAM_INTEGER, offsetof(struct serve_config, events), "64", "1", "1024", NULL,
     "that one call of epoll_wait may report"},
    {"receive_as", PARAM_TEXT, offsetof(struct serve_config, receive_as), "", NULL, NULL, NULL,
     "the row of the breakdown for the call that receives the message's end, as 'measure' has it"},
    {"before_as", PARAM_TEXT, offsetof(struct serve_config, before_as), "", NULL, NULL, NULL,
     "the row for what the processor did for the message before that call"},
    {"do", PARAM_NODE, offsetof(struct serve_config, body_node), "", NULL, NULL, NULL,
     "operations for each message; required"},
    {0}};

static bool serve_compile(struct compiler *compiler, const struct config_node *node, void *config) {
    struct serve_config *own = config;
    const bool socket =
        is_given(own->on) && compile_use_listener(compiler, config_get(node, "on"), own->on, &own->socket);
    const bool buffer =
        is_given(own->into) && compile_buffer(compiler, config_get(node, "into"), own->into, true, &own->buffer);
    bool spans = true;
    if (own->receive_as != NULL && own->receive_as[0] != '\0') {
        spans = compile_span(compiler, config_get(node, "receive_as"), own->receive_as, &own->receive_span);
    }
    if (own->before_as != NULL && own->before_as[0] != '\0') {
        spans = compile_span(compiler, config_get(node, "before_as"), own->before_as, &own->before_span) && spans;
    }
    return compile_required_block(compiler, node, "do", &own->body) && socket && buffer && spans;
}

/* Takes all connections that wait. */
static enum op_result accept_all(struct workload_thread *thread, const struct serve_config *own) {
    const struct system_ops *ops = thread->ops;
    struct workload_listener *listener = thread->listeners[own->socket];
    for (;;) {
        struct system_socket *socket = NULL;
        enum error_code code = ops->socket_accept(thread->thread, thread->sockets[own->socket], &socket);
        if (code == ERR_AGAIN) {
            return OP_DONE;
        }
        if (code != OK) {
            return run_failed(thread, code, "accepting a connection");
        }
        struct workload_connection *connection = calloc(1, sizeof *connection);
        SIM_ASSERT_MSG(connection != NULL, "out of memory");
        connection->socket = socket;
        connection->next = listener->connections;
        listener->connections = connection;
        code = ops->buffer_create(thread->thread, thread->buffers[own->buffer].capacity_bytes, &connection->buffer);
        if (code == OK) {
            code = ops->event_set_add(thread->thread, listener->set, socket, connection);
        }
        if (code != OK) {
            return run_failed(thread, code, "taking up a connection");
        }
    }
}

static void close_connection(struct workload_thread *thread, struct workload_connection *connection) {
    if (connection->socket != NULL) {
        (void)thread->ops->socket_close(thread->thread, connection->socket);
        connection->socket = NULL;
    }
}

/* The length that a message says it has; 0: too little of it is there to tell. */
static uint32_t message_bytes(const struct workload_thread *thread, const struct system_buffer *buffer) {
    enum { HEAD_BYTES = 12, LENGTH_AT = 8 };
    uint8_t bytes[4];
    if (buffer->length_bytes < HEAD_BYTES) {
        return 0;
    }
    memory_read(thread->thread->process->system->machine->memory, buffer->physical + LENGTH_AT, bytes, sizeof bytes);
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Takes what is there behind what came before. OK: the message is whole; ERR_AGAIN: it
 * is not, yet. */
static enum error_code take_message(struct workload_thread *thread, struct workload_connection *connection) {
    struct system_buffer *whole = &connection->buffer;
    struct system_buffer rest = *whole;
    if (connection->complete) { /* the last one was served: a new one begins */
        connection->complete = false;
        whole->length_bytes = 0;
        rest.length_bytes = 0;
    }
    rest.physical = whole->physical + whole->length_bytes;
    rest.capacity_bytes = whole->capacity_bytes - whole->length_bytes;
    rest.request = NULL;
    const enum error_code code = thread->ops->receive(thread->thread, connection->socket, &rest);
    if (code != OK) {
        return code;
    }
    whole->length_bytes += rest.length_bytes;
    whole->peer = rest.peer;
    whole->request = rest.request != NULL ? rest.request : whole->request;
    const uint32_t due = message_bytes(thread, whole);
    if (due > whole->capacity_bytes) {
        return ERR_RANGE;
    }
    connection->complete = due != 0 && whole->length_bytes >= due;
    return connection->complete ? OK : ERR_AGAIN;
}

/* A message that the operations did not answer. */
static void forget_request(struct workload_thread *thread, struct system_buffer *buffer) {
    struct request *request = buffer->request;
    buffer->request = NULL;
    if (request != NULL) {
        const sim_time now = sim_now(); /* what was charged may reach beyond it */
        thread->counters[WORKLOAD_UNANSWERED] += 1;
        ledger_abandon(request, "unanswered", request->since > now ? request->since : now);
    }
}

/* The message begins with what was done for it until it was received. */
static void begin_spans(struct workload_thread *thread, const struct serve_config *own, const struct request *request,
                        sim_time begin) {
    spans_begin(&thread->spans, request != NULL && request->measured);
    if (begin == 0 || request == NULL) {
        return;
    }
    const sim_time end = measure_now(thread);
    const sim_time inside = end - begin;
    const sim_time spent = measure_spent(request, end);
    if (own->receive_as[0] != '\0') {
        spans_add(&thread->spans, own->receive_span, inside);
    }
    if (own->before_as[0] != '\0') {
        spans_add(&thread->spans, own->before_span, spent > inside ? spent - inside : 0);
    }
}

/* `begin`: when the call that received its end began; 0: not measured. */
static enum op_result run_for(struct workload_thread *thread, const struct serve_config *own,
                              struct workload_connection *connection, sim_time begin) {
    struct system_buffer *shown = &thread->buffers[own->buffer];
    const struct system_buffer kept = *shown;
    *shown = connection->buffer;
    connection->buffer.request = NULL;
    thread->serving = connection;
    thread->current = shown;
    begin_spans(thread, own, shown->request, begin);
    const enum op_result result = run_block(thread, &own->body);
    forget_request(thread, shown);
    thread->serving = NULL;
    thread->current = NULL;
    connection->buffer = *shown; /* other memory, if an append keeps the message's */
    *shown = kept;
    return result == OP_FAILED ? OP_FAILED : OP_DONE;
}

static enum op_result serve_connection(struct workload_thread *thread, const struct serve_config *own,
                                       struct workload_connection *connection) {
    if (connection->socket == NULL) {
        return OP_DONE; /* closed by an event before this one */
    }
    const bool measures = own->receive_as[0] != '\0' || own->before_as[0] != '\0';
    const sim_time begin = measures ? measure_now(thread) : 0;
    const enum error_code code = take_message(thread, connection);
    switch (code) {
    case OK:
        thread->counters[WORKLOAD_RECEIVED] += 1;
        return run_for(thread, own, connection, begin);
    case ERR_AGAIN:
        thread->counters[WORKLOAD_EMPTY_RECEIVES] += 1;
        return OP_DONE;
    case ERR_NOT_FOUND:
        close_connection(thread, connection);
        return OP_DONE;
    default:
        return run_failed(thread, code, code == ERR_RANGE ? "a message larger than the buffer" : "receiving");
    }
}

static enum op_result serve_run(struct workload_thread *thread, const void *config) {
    const struct serve_config *own = config;
    const struct workload_listener *listener = thread->listeners[own->socket];
    struct system_event events[EVENTS_MAX];
    unsigned count = 0;
    thread->counters[WORKLOAD_WAITS] += 1;
    const enum error_code code = thread->ops->event_wait(thread->thread, listener->set, (enum system_wait)own->how,
                                                         events, (unsigned)own->events, &count);
    if (code != OK) {
        return run_failed(thread, code, "waiting for events");
    }
    enum op_result result = OP_DONE;
    for (unsigned i = 0; i < count && result == OP_DONE; ++i) {
        struct workload_connection *connection = events[i].user;
        result = connection == NULL ? accept_all(thread, own) : serve_connection(thread, own, connection);
    }
    return result;
}

const struct op_type op_serve = {.name = "serve",
                                 .help = "waits for connections and messages, and works on each message",
                                 .params = serve_params,
                                 .config_bytes = sizeof(struct serve_config),
                                 .flags = OP_LOOP_ONLY | OP_TAKES_TIME,
                                 .compile = serve_compile,
                                 .offered = offers_streams,
                                 .run = serve_run};

/* ---- the end of a thread ---- */

void connections_free(struct workload_thread *thread, size_t sockets) {
    for (size_t i = 0; thread->listeners != NULL && i < sockets; ++i) {
        struct workload_listener *listener = thread->listeners[i];
        while (listener != NULL && listener->connections != NULL) {
            struct workload_connection *connection = listener->connections;
            listener->connections = connection->next;
            free(connection);
        }
        free(listener);
    }
    free(thread->listeners);
}
