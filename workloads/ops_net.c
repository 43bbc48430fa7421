/* ops_net.c: operations on sockets. */
#include "sim/engine.h"
#include "workloads/connections.h"
#include "workloads/op.h"

/* ---- socket ---- */

struct socket_config {
    const char *name;
    int type;
    uint64_t port;
    bool per_thread;
    uint32_t socket;
};

static const char *const socket_types[] = {"udp", NULL};

static const struct param socket_params[] = {
    {"name", PARAM_TEXT, offsetof(struct socket_config, name), NULL, NULL, NULL, NULL, "what the script calls it"},
    {"type", PARAM_CHOICE, offsetof(struct socket_config, type), "udp", NULL, NULL, socket_types, "its protocol"},
    {"port", PARAM_INTEGER, offsetof(struct socket_config, port), NULL, "1", "65535", NULL, "the port it is bound to"},
    {"per_thread", PARAM_BOOL, offsetof(struct socket_config, per_thread), "false", NULL, NULL, NULL,
     "thread n binds port + n; otherwise all threads ask for the same port"},
    {0}};

/* An empty name was reported already, or is missing. */
static bool is_given(const char *name) {
    return name != NULL && name[0] != '\0';
}

static bool socket_compile(struct compiler *compiler, const struct config_node *node, void *config) {
    struct socket_config *own = config;
    return is_given(own->name) && compile_declare_socket(compiler, config_get(node, "name"), own->name,
                                                         (uint16_t)own->port, own->per_thread, &own->socket);
}

static enum op_result socket_run(struct workload_thread *thread, const void *config) {
    const struct socket_config *own = config;
    const uint16_t port = (uint16_t)(own->port + (own->per_thread ? thread->index : 0));
    const enum error_code code = thread->ops->socket_open_udp(thread->thread, port, &thread->sockets[own->socket]);
    return code == OK ? OP_DONE : run_failed(thread, code, "opening a UDP socket");
}

const struct op_type op_socket = {.name = "socket",
                                  .help = "opens a socket",
                                  .params = socket_params,
                                  .config_bytes = sizeof(struct socket_config),
                                  .flags = OP_SETUP_ONLY,
                                  .compile = socket_compile,
                                  .run = socket_run};

/* ---- wait ---- */

struct wait_config {
    const char *on;
    int how; /* enum system_wait */
    uint32_t socket;
};

static const char *const wait_ways[] = {[SYSTEM_WAIT_BLOCK] = "block", [SYSTEM_WAIT_SPIN] = "spin", NULL};

static const struct param wait_params[] = {
    {"on", PARAM_TEXT, offsetof(struct wait_config, on), NULL, NULL, NULL, NULL, "the socket"},
    {"how", PARAM_CHOICE, offsetof(struct wait_config, how), "block", NULL, NULL, wait_ways,
     "gives up the core meanwhile, or asks again and again"},
    {0}};

static bool wait_compile(struct compiler *compiler, const struct config_node *node, void *config) {
    struct wait_config *own = config;
    return is_given(own->on) && compile_use_socket(compiler, config_get(node, "on"), own->on, &own->socket);
}

static enum op_result wait_run(struct workload_thread *thread, const void *config) {
    const struct wait_config *own = config;
    thread->counters[WORKLOAD_WAITS] += 1;
    const enum error_code code =
        thread->ops->socket_wait(thread->thread, thread->sockets[own->socket], (enum system_wait)own->how);
    return code == OK ? OP_DONE : code == ERR_AGAIN ? OP_RESTART : run_failed(thread, code, "waiting for a socket");
}

const struct op_type op_wait = {.name = "wait",
                                .help = "waits until a socket has something to receive",
                                .plain = "on",
                                .params = wait_params,
                                .config_bytes = sizeof(struct wait_config),
                                .flags = OP_LOOP_ONLY | OP_TAKES_TIME,
                                .compile = wait_compile,
                                .run = wait_run};

/* ---- receive ---- */

struct receive_config {
    const char *from, *into;
    const struct config_node *body_node; /* of while_receive */
    struct block body;
    uint32_t socket, buffer;
};

static const struct param receive_params[] = {
    {"from", PARAM_TEXT, offsetof(struct receive_config, from), NULL, NULL, NULL, NULL, "the socket"},
    {"into", PARAM_TEXT, offsetof(struct receive_config, into), NULL, NULL, NULL, NULL, "the buffer that is filled"},
    {0}};

static bool receive_compile(struct compiler *compiler, const struct config_node *node, void *config) {
    struct receive_config *own = config;
    const bool socket =
        is_given(own->from) && compile_use_socket(compiler, config_get(node, "from"), own->from, &own->socket);
    const bool buffer =
        is_given(own->into) && compile_buffer(compiler, config_get(node, "into"), own->into, true, &own->buffer);
    return socket && buffer;
}

/* A message that is no longer in the application's hands and went nowhere. */
static void forget(struct system_buffer *buffer, const char *reason) {
    struct request *request = buffer->request;
    buffer->request = NULL;
    if (request != NULL) {
        const sim_time now = sim_now(); /* what was charged may reach beyond it */
        ledger_abandon(request, reason, request->since > now ? request->since : now);
    }
}

static enum error_code take(struct workload_thread *thread, const struct receive_config *own) {
    struct system_buffer *buffer = &thread->buffers[own->buffer];
    if (buffer->request != NULL) {
        thread->counters[WORKLOAD_UNANSWERED] += 1;
        forget(buffer, "unanswered");
    }
    const enum error_code code = thread->ops->receive(thread->thread, thread->sockets[own->socket], buffer);
    thread->counters[code == OK ? WORKLOAD_RECEIVED : WORKLOAD_EMPTY_RECEIVES] += code == OK || code == ERR_AGAIN;
    if (code == OK) {
        thread->current = buffer;
        spans_begin(&thread->spans, buffer->request != NULL && buffer->request->measured);
    }
    return code;
}

static enum op_result receive_run(struct workload_thread *thread, const void *config) {
    const enum error_code code = take(thread, config);
    return code == OK ? OP_DONE : code == ERR_AGAIN ? OP_RESTART : run_failed(thread, code, "receiving");
}

const struct op_type op_receive = {.name = "receive",
                                   .help = "takes one message; if there is none, the loop starts anew",
                                   .params = receive_params,
                                   .config_bytes = sizeof(struct receive_config),
                                   .flags = OP_LOOP_ONLY | OP_TAKES_TIME,
                                   .compile = receive_compile,
                                   .run = receive_run};

/* ---- while_receive ---- */

static const struct param while_receive_params[] = {
    {"from", PARAM_TEXT, offsetof(struct receive_config, from), NULL, NULL, NULL, NULL, "the socket"},
    {"into", PARAM_TEXT, offsetof(struct receive_config, into), NULL, NULL, NULL, NULL, "the buffer that is filled"},
    {"do", PARAM_NODE, offsetof(struct receive_config, body_node), "", NULL, NULL, NULL,
     "operations for each message; required"},
    {0}};

static bool while_receive_compile(struct compiler *compiler, const struct config_node *node, void *config) {
    struct receive_config *own = config;
    const bool names = receive_compile(compiler, node, config);
    return compile_required_block(compiler, node, "do", &own->body) && names;
}

static enum op_result while_receive_run(struct workload_thread *thread, const void *config) {
    const struct receive_config *own = config;
    enum error_code code;
    while ((code = take(thread, own)) == OK) {
        const enum op_result result = run_block(thread, &own->body);
        if (result != OP_DONE) {
            return result;
        }
    }
    return code == ERR_AGAIN ? OP_DONE : run_failed(thread, code, "receiving");
}

const struct op_type op_while_receive = {.name = "while_receive",
                                         .help = "takes messages and works on each, until there is none left",
                                         .params = while_receive_params,
                                         .config_bytes = sizeof(struct receive_config),
                                         .flags = OP_LOOP_ONLY | OP_TAKES_TIME,
                                         .compile = while_receive_compile,
                                         .run = while_receive_run};

/* ---- send ---- */

struct send_config {
    const char *to, *from;
    uint64_t bytes;
    bool to_connection;
    uint32_t socket, buffer;
};

static const struct param send_params[] = {
    {"to", PARAM_TEXT, offsetof(struct send_config, to), NULL, NULL, NULL, NULL,
     "the socket; the message goes to the peer that the buffer came from, within 'serve' over its connection"},
    {"from", PARAM_TEXT, offsetof(struct send_config, from), NULL, NULL, NULL, NULL, "the buffer that is sent"},
    {"bytes", PARAM_BYTES, offsetof(struct send_config, bytes), "0 B", NULL, "1 MiB", NULL,
     "that are sent of it; 0 B: as many as were received"},
    {0}};

static bool send_compile(struct compiler *compiler, const struct config_node *node, void *config) {
    struct send_config *own = config;
    const bool socket = is_given(own->to) &&
                        compile_use_any(compiler, config_get(node, "to"), own->to, &own->socket, &own->to_connection);
    const bool buffer =
        is_given(own->from) && compile_buffer(compiler, config_get(node, "from"), own->from, false, &own->buffer);
    return socket && buffer;
}

/* A full queue or a refusal loses the message, as it does for an application that
 * sends datagrams and looks no further; so does a connection that its peer has closed.
 * The server goes on. */
static bool loses_message(const struct send_config *own, enum error_code code) {
    return code == ERR_AGAIN || code == ERR_EXHAUSTED || code == ERR_DENIED || code == ERR_SHARE ||
           (own->to_connection && code == ERR_NOT_FOUND);
}

static enum op_result send_run(struct workload_thread *thread, const void *config) {
    const struct send_config *own = config;
    struct system_buffer *buffer = &thread->buffers[own->buffer];
    struct system_socket *socket = thread->sockets[own->socket];
    if (own->to_connection) {
        if (thread->serving == NULL) {
            return run_failed(thread, ERR_UNSUPPORTED, "sending to a listening socket outside of 'serve'");
        }
        socket = thread->serving->socket;
    }
    if (own->bytes > buffer->capacity_bytes) {
        return run_failed(thread, ERR_RANGE, "sending more bytes than the buffer has");
    }
    const uint32_t received_bytes = buffer->length_bytes;
    buffer->length_bytes = own->bytes != 0 ? (uint32_t)own->bytes : received_bytes;
    const enum error_code code = thread->ops->send(thread->thread, socket, buffer, buffer->peer);
    buffer->length_bytes = received_bytes;
    if (code == OK) {
        thread->counters[WORKLOAD_SENT] += 1;
        buffer->request = NULL;
        return OP_DONE;
    }
    if (!loses_message(own, code)) {
        return run_failed(thread, code, "sending");
    }
    thread->counters[WORKLOAD_SEND_FAILURES] += 1;
    forget(buffer, "send refused");
    return OP_DONE;
}

const struct op_type op_send = {.name = "send",
                                .help = "sends a buffer back to the peer that it came from",
                                .params = send_params,
                                .config_bytes = sizeof(struct send_config),
                                .flags = OP_LOOP_ONLY | OP_TAKES_TIME,
                                .compile = send_compile,
                                .run = send_run};
