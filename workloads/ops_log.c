/* ops_log.c: operations on persistent logs and queues.
 *
 * An append with `then` returns at once: the message is put aside with its buffer, its
 * connection and what was measured of it, the thread goes on with others, and `then`
 * runs for it when a later call of the thread (waiting, as a rule) learns that the entry
 * is durable. Buffers come from a pool that grows to as many as are under way. */
#include "workloads/logs.h"

#include <stdlib.h>

#include "sim/engine.h"
#include "workloads/connections.h"
#include "workloads/op.h"

static bool is_given(const char *name) {
    return name != NULL && name[0] != '\0';
}

static bool offers_logs(const struct system_ops *ops) {
    return ops->log_open != NULL && ops->log_append != NULL && ops->log_wait != NULL && ops->log_trim != NULL &&
           ops->log_pop != NULL;
}

/* Of the message that was received last. */
static struct request *request_of(const struct workload_thread *thread) {
    return thread->current != NULL ? thread->current->request : NULL;
}

/* ---- log ---- */

struct log_config {
    const char *name;
    uint64_t capacity;
    uint32_t log;
};

static const struct param log_params[] = {
    {"name", PARAM_TEXT, offsetof(struct log_config, name), NULL, NULL, NULL, NULL, "what the script calls it"},
    {"capacity", PARAM_BYTES, offsetof(struct log_config, capacity), "16 MiB", "64 KiB", NULL, NULL,
     "what it takes of the drive, with headers and padding"},
    {0}};

static bool log_compile(struct compiler *compiler, const struct config_node *node, void *config) {
    struct log_config *own = config;
    return is_given(own->name) &&
           compile_declare_log(compiler, config_get(node, "name"), own->name, own->capacity, &own->log);
}

static enum op_result log_run(struct workload_thread *thread, const void *config) {
    const struct log_config *own = config;
    char name[32];
    (void)snprintf(name, sizeof name, "%.20s.%u", own->name, thread->index);
    const enum error_code code =
        thread->ops->log_open(thread->thread, name, own->capacity, &thread->logs[own->log].handle);
    return code == OK ? OP_DONE : run_failed(thread, code, "opening a log");
}

const struct op_type op_log = {.name = "log",
                               .help = "opens a persistent log, which each thread has for itself",
                               .plain = "name",
                               .params = log_params,
                               .config_bytes = sizeof(struct log_config),
                               .flags = OP_SETUP_ONLY,
                               .compile = log_compile,
                               .offered = offers_logs,
                               .run = log_run};

/* ---- append ---- */

enum when_full { TRIM_WHEN_FULL, FAIL_WHEN_FULL };

struct append_config {
    const char *to, *from, *durable_as, *call_as;
    uint64_t bytes;
    int when_full;
    const struct config_node *then_node;
    struct block then;
    uint32_t log, buffer, span, call_span;
    bool measured, call_measured;
};

static const char *const ways_when_full[] = {[TRIM_WHEN_FULL] = "trim", [FAIL_WHEN_FULL] = "fail", NULL};

static const struct param append_params[] = {
    {"to", PARAM_TEXT, offsetof(struct append_config, to), NULL, NULL, NULL, NULL, "the log"},
    {"from", PARAM_TEXT, offsetof(struct append_config, from), "", NULL, NULL, NULL,
     "the buffer with the message; without it, memory that the log has for that"},
    {"bytes", PARAM_BYTES, offsetof(struct append_config, bytes), "0 B", NULL, "64 KiB", NULL,
     "of the entry; 0 B: as many as were received"},
    {"durable_as", PARAM_TEXT, offsetof(struct append_config, durable_as), "", NULL, NULL, NULL,
     "the row of the breakdown for the time from the call's return until the entry is durable"},
    {"call_as", PARAM_TEXT, offsetof(struct append_config, call_as), "", NULL, NULL, NULL,
     "the row of the breakdown for the call that appends, until it returns"},
    {"when_full", PARAM_CHOICE, offsetof(struct append_config, when_full), "trim", NULL, NULL, ways_when_full,
     "gives up the older half of the log's entries, or fails"},
    {"then", PARAM_NODE, offsetof(struct append_config, then_node), "", NULL, NULL, NULL,
     "operations for the message once it is durable; without them the append returns only then"},
    {0}};

static bool append_compile(struct compiler *compiler, const struct config_node *node, void *config) {
    struct append_config *own = config;
    bool good = is_given(own->to) && compile_use_log(compiler, config_get(node, "to"), own->to, &own->log);
    const bool from = is_given(own->from);
    good = compile_buffer(compiler, from ? config_get(node, "from") : node, from ? own->from : "(log)", !from,
                          &own->buffer) &&
           good;
    own->measured = is_given(own->durable_as);
    if (own->measured) {
        good = compile_span(compiler, config_get(node, "durable_as"), own->durable_as, &own->span) && good;
    }
    own->call_measured = is_given(own->call_as);
    if (own->call_measured) {
        good = compile_span(compiler, config_get(node, "call_as"), own->call_as, &own->call_span) && good;
    }
    return compile_block(compiler, own->then_node, &own->then) && good;
}

/* A message that cannot go on. */
static void lose(struct system_buffer *buffer, const char *reason) {
    struct request *request = buffer->request;
    buffer->request = NULL;
    if (request != NULL) {
        const sim_time now = sim_now(); /* what was charged may reach beyond it */
        ledger_abandon(request, reason, request->since > now ? request->since : now);
    }
}

/* Runs `then` for the message in place of whatever the thread is at. */
static void go_on(struct workload_append *put_aside) {
    struct workload_thread *thread = put_aside->thread;
    const struct append_config *own = put_aside->config;
    struct system_buffer *shown = &thread->buffers[own->buffer];
    const struct system_buffer kept = *shown;
    struct system_buffer *current = thread->current;
    struct workload_connection *serving = thread->serving;
    spans_swap(&thread->spans, &put_aside->spans);
    if (own->measured) {
        spans_add(&thread->spans, own->span, measure_now(thread) - put_aside->begun);
    }
    *shown = put_aside->buffer;
    thread->current = shown;
    thread->serving = put_aside->connection;
    const bool gone = put_aside->connection != NULL && put_aside->connection->socket == NULL;
    if (!gone) {
        (void)run_block(thread, &own->then);
    }
    lose(shown, gone ? "connection closed" : "unanswered");
    spans_end(&thread->spans);
    put_aside->buffer = *shown;
    *shown = kept;
    thread->current = current;
    thread->serving = serving;
    spans_swap(&thread->spans, &put_aside->spans);
}

static void on_durable(struct system_append *append) {
    struct workload_append *put_aside = append->context;
    struct workload_thread *thread = put_aside->thread;
    struct workload_log *log = &thread->logs[put_aside->config->log];
    log->under_way--;
    if (append->status != OK) {
        lose(&put_aside->buffer, "not durable");
        (void)run_failed(thread, append->status, "making an entry durable");
    } else {
        log->kept++;
        thread->counters[WORKLOAD_DURABLE] += 1;
        go_on(put_aside);
    }
    put_aside->next = log->free;
    log->free = put_aside;
}

static struct workload_append *take_free(struct workload_thread *thread, struct workload_log *log,
                                         uint32_t capacity_bytes) {
    struct workload_append *taken = log->free;
    if (taken != NULL) {
        log->free = taken->next;
        return taken;
    }
    taken = calloc(1, sizeof *taken);
    SIM_ASSERT_MSG(taken != NULL, "out of memory");
    taken->thread = thread;
    const enum error_code code = thread->ops->buffer_create(thread->thread, capacity_bytes, &taken->buffer);
    if (code != OK) {
        free(taken);
        (void)run_failed(thread, code, "making a buffer for a message under way");
        return NULL;
    }
    return taken;
}

/* Appends, giving up old entries if the log is full and the script says so. */
static enum error_code append_entry(struct workload_thread *thread, const struct append_config *own,
                                    struct system_append *append) {
    struct workload_log *log = &thread->logs[own->log];
    enum error_code code = thread->ops->log_append(thread->thread, log->handle, append);
    while (code == ERR_EXHAUSTED && own->when_full == TRIM_WHEN_FULL && log->kept > 0) {
        const uint64_t entries = (log->kept + 1) / 2;
        code = thread->ops->log_trim(thread->thread, log->handle, entries);
        if (code == OK) {
            log->kept -= entries;
            thread->counters[WORKLOAD_TRIMS] += 1;
            code = thread->ops->log_trim(thread->thread, log->handle, 0); /* waits for the one before */
        }
        if (code == OK) {
            code = thread->ops->log_append(thread->thread, log->handle, append);
        }
    }
    return code;
}

static enum op_result append_and_wait(struct workload_thread *thread, const struct append_config *own,
                                      struct system_append *append) {
    struct workload_log *log = &thread->logs[own->log];
    const bool measured = own->measured || own->call_measured;
    const sim_time called = measured ? measure_now(thread) : 0;
    enum error_code code = append_entry(thread, own, append);
    if (code == OK) {
        const sim_time begun = measured ? measure_now(thread) : 0;
        if (own->call_measured) {
            spans_add(&thread->spans, own->call_span, begun - called);
        }
        thread->ops->log_wait(thread->thread, log->handle, append);
        code = append->status;
        log->kept += code == OK;
        thread->counters[WORKLOAD_DURABLE] += code == OK;
        if (own->measured) {
            spans_add(&thread->spans, own->span, measure_now(thread) - begun);
        }
    }
    return code == OK ? OP_DONE : run_failed(thread, code, "appending to a log");
}

/* Appends the message that was put aside, and notes what of it is measured. */
static enum error_code append_put_aside(struct workload_thread *thread, struct workload_append *put_aside) {
    const struct append_config *own = put_aside->config;
    const bool measured = own->measured || own->call_measured;
    const sim_time called = measured ? measure_now(thread) : 0;
    const enum error_code code = append_entry(thread, own, &put_aside->append);
    if (measured && code == OK) {
        put_aside->begun = measure_now(thread);
        put_aside->spans.present[own->call_span] += own->call_measured ? put_aside->begun - called : 0;
    }
    return code;
}

static enum op_result append_run(struct workload_thread *thread, const void *config) {
    const struct append_config *own = config;
    struct workload_log *log = &thread->logs[own->log];
    struct system_buffer *buffer = &thread->buffers[own->buffer];
    const uint32_t bytes = own->bytes != 0 ? (uint32_t)own->bytes : buffer->length_bytes;
    if (bytes > buffer->capacity_bytes) {
        return run_failed(thread, ERR_RANGE, "appending more bytes than the buffer has");
    }
    thread->counters[WORKLOAD_APPENDS] += 1;
    struct system_append append = {.physical = buffer->physical, .length_bytes = bytes, .request = request_of(thread)};
    if (own->then.count == 0) {
        append.request = thread_request(thread); /* a round's request waits along, too */
        return append_and_wait(thread, own, &append);
    }
    struct workload_append *put_aside = take_free(thread, log, buffer->capacity_bytes);
    if (put_aside == NULL) {
        return OP_FAILED;
    }
    /* The message goes with its memory; the thread has the pool's instead. */
    const struct system_buffer fresh = put_aside->buffer;
    put_aside->buffer = *buffer;
    put_aside->config = own;
    put_aside->connection = thread->serving;
    put_aside->append = append;
    put_aside->append.done = on_durable;
    put_aside->append.context = put_aside;
    put_aside->spans = (struct spans_message){.open = false};
    spans_swap(&thread->spans, &put_aside->spans);
    *buffer = fresh;
    buffer->length_bytes = 0;
    buffer->request = NULL;
    log->under_way++;
    const enum error_code code = append_put_aside(thread, put_aside);
    if (code != OK) {
        lose(&put_aside->buffer, "append refused");
        return run_failed(thread, code, "appending to a log");
    }
    return OP_DONE;
}

const struct op_type op_append = {.name = "append",
                                  .help = "appends an entry to a log, and goes on with the message once it is durable",
                                  .params = append_params,
                                  .config_bytes = sizeof(struct append_config),
                                  .flags = OP_LOOP_ONLY | OP_TAKES_TIME,
                                  .compile = append_compile,
                                  .offered = offers_logs,
                                  .run = append_run};

/* ---- pop ---- */

struct pop_config {
    const char *from, *into;
    uint32_t log, buffer;
};

static const struct param pop_params[] = {
    {"from", PARAM_TEXT, offsetof(struct pop_config, from), NULL, NULL, NULL, NULL, "the log"},
    {"into", PARAM_TEXT, offsetof(struct pop_config, into), NULL, NULL, NULL, NULL, "the buffer that is filled"},
    {0}};

static bool pop_compile(struct compiler *compiler, const struct config_node *node, void *config) {
    struct pop_config *own = config;
    const bool log = is_given(own->from) && compile_use_log(compiler, config_get(node, "from"), own->from, &own->log);
    return is_given(own->into) && compile_buffer(compiler, config_get(node, "into"), own->into, true, &own->buffer) &&
           log;
}

static enum op_result pop_run(struct workload_thread *thread, const void *config) {
    const struct pop_config *own = config;
    struct workload_log *log = &thread->logs[own->log];
    struct system_buffer *buffer = &thread->buffers[own->buffer];
    uint32_t length = 0;
    const enum error_code code = thread->ops->log_pop(thread->thread, log->handle, buffer->physical,
                                                      buffer->capacity_bytes, &length, request_of(thread));
    if (code == ERR_AGAIN) {
        return OP_RESTART;
    }
    buffer->length_bytes = length < buffer->capacity_bytes ? length : buffer->capacity_bytes;
    log->kept -= code == OK && log->kept > 0;
    thread->counters[WORKLOAD_POPS] += code == OK;
    return code == OK ? OP_DONE : run_failed(thread, code, "taking an entry off a log");
}

const struct op_type op_pop = {.name = "pop",
                               .help =
                                   "takes the oldest entry of a log for good; if there is none, the loop starts anew",
                               .params = pop_params,
                               .config_bytes = sizeof(struct pop_config),
                               .flags = OP_LOOP_ONLY | OP_TAKES_TIME,
                               .compile = pop_compile,
                               .offered = offers_logs,
                               .run = pop_run};

/* ---- trim ---- */

struct trim_config {
    const char *name;
    uint64_t keep;
    uint32_t log;
};

static const struct param trim_params[] = {
    {"log", PARAM_TEXT, offsetof(struct trim_config, name), NULL, NULL, NULL, NULL, "the log"},
    {"keep", PARAM_INTEGER, offsetof(struct trim_config, keep), "0", NULL, NULL, NULL,
     "the newest durable entries, which stay"},
    {0}};

static bool trim_compile(struct compiler *compiler, const struct config_node *node, void *config) {
    struct trim_config *own = config;
    return is_given(own->name) && compile_use_log(compiler, config_get(node, "log"), own->name, &own->log);
}

static enum op_result trim_run(struct workload_thread *thread, const void *config) {
    const struct trim_config *own = config;
    struct workload_log *log = &thread->logs[own->log];
    if (log->kept <= own->keep) {
        return OP_DONE;
    }
    const enum error_code code = thread->ops->log_trim(thread->thread, log->handle, log->kept - own->keep);
    log->kept = code == OK ? own->keep : log->kept;
    thread->counters[WORKLOAD_TRIMS] += code == OK;
    return code == OK ? OP_DONE : run_failed(thread, code, "trimming a log");
}

const struct op_type op_trim = {.name = "trim",
                                .help = "gives up a log's oldest entries",
                                .plain = "log",
                                .params = trim_params,
                                .config_bytes = sizeof(struct trim_config),
                                .compile = trim_compile,
                                .offered = offers_logs,
                                .run = trim_run};

/* ---- the end of a thread ---- */

void logs_free(struct workload_thread *thread, size_t logs) {
    for (size_t i = 0; thread->logs != NULL && i < logs; ++i) {
        while (thread->logs[i].free != NULL) {
            struct workload_append *append = thread->logs[i].free;
            thread->logs[i].free = append->next;
            free(append);
        }
    }
    free(thread->logs);
}
