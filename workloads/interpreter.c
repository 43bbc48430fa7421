/* interpreter.c: the threads of a script. */
#include "workloads/interpreter.h"

#include <stdlib.h>

#include "sim/engine.h"
#include "sim/random.h"
#include "workloads/connections.h"
#include "workloads/logs.h"
#include "workloads/replay.h"
#include "workloads/script_internal.h"
#include "workloads/tables.h"

/* Rounds of the loop at one instant after which it is taken to stand still. */
enum { STALL_ROUNDS = 1000000 };

struct interpreter {
    const struct script *script;
    struct system *system;
    const char *name;
    struct workload_thread *threads;
    struct workload_replay *replays;
    unsigned thread_count, in_setup;
    struct ledger *ledger; /* of the rounds of the loop; NULL: they are no requests */
    void (*completed)(void *context);
    void *completed_context;
    void (*ready)(void *context);
    void *ready_context;
    void (*failed)(void *context);
    void *failed_context;
};

enum op_result run_failed(struct workload_thread *thread, enum error_code code, const char *what) {
    (void)error_set(&thread->error, code, "%s, thread %u: %s: %s", thread->interpreter->name, thread->index, what,
                    error_code_text(code));
    return OP_FAILED;
}

enum op_result run_block(struct workload_thread *thread, const struct block *block) {
    enum op_result result = OP_DONE;
    for (size_t i = 0; i < block->count && result == OP_DONE; ++i) {
        result = block->ops[i].type->run(thread, block->ops[i].config);
        if (thread->error.code != OK) { /* also of what ran when an append became durable */
            result = OP_FAILED;
        }
    }
    return result;
}

static enum op_result make_buffers(struct workload_thread *thread) {
    const struct script *script = thread->interpreter->script;
    for (size_t i = 0; i < script->buffer_count; ++i) {
        const enum error_code code =
            thread->ops->buffer_create(thread->thread, (uint32_t)script->buffer_bytes, &thread->buffers[i]);
        if (code != OK) {
            return run_failed(thread, code, "making a buffer");
        }
    }
    return OP_DONE;
}

static void end_setup(struct interpreter *interpreter) {
    interpreter->in_setup -= 1;
    if (interpreter->in_setup == 0 && interpreter->ready != NULL) {
        interpreter->ready(interpreter->ready_context);
    }
}

void begin_round(struct workload_thread *thread, sim_time when) {
    const struct interpreter *interpreter = thread->interpreter;
    if (interpreter->ledger == NULL || thread->loop_request != NULL) {
        return;
    }
    const sim_time now = measure_now(thread);
    struct request *request =
        ledger_begin(interpreter->ledger, system_components.app, when < now ? LEDGER_WAITING : LEDGER_SERVICE, when);
    if (when < now) {
        ledger_hand_over_at(request, system_components.app, system_components.app, LEDGER_SERVICE, now);
    }
    thread->loop_request = request;
    spans_begin(&thread->spans, request->measured);
}

static enum op_result run_round(struct workload_thread *thread, const struct block *block) {
    const struct interpreter *interpreter = thread->interpreter;
    if (interpreter->ledger == NULL) {
        return run_block(thread, block);
    }
    if (interpreter->script->trace_count == 0) { /* else `replay` says when it begins */
        begin_round(thread, measure_now(thread));
    }
    const enum op_result result = run_block(thread, block);
    struct request *request = thread->loop_request;
    thread->loop_request = NULL;
    if (request == NULL) {
        return result;
    }
    if (result == OP_FAILED) {
        ledger_abandon(request, "failed", measure_now(thread));
        return result;
    }
    ledger_end(request, system_components.app, measure_now(thread));
    spans_end(&thread->spans);
    interpreter->completed(interpreter->completed_context);
    return result;
}

/* Ends only when an operation fails: the run ends first otherwise. */
static void loop(struct workload_thread *thread, const struct block *block) {
    sim_time last = SIM_TIME_MAX;
    unsigned rounds = 0;
    do {
        const sim_time now = sim_now();
        rounds = now == last ? rounds + 1 : 0;
        last = now;
        if (rounds == STALL_ROUNDS) { /* sockets that are never empty, and nothing that takes time */
            (void)run_failed(thread, ERR_UNSUPPORTED, "its loop takes no simulated time");
            return;
        }
        spans_end(&thread->spans);
        thread->counters[WORKLOAD_LOOPS] += 1;
    } while (run_round(thread, block) != OP_FAILED);
}

static void body(struct system_thread *system_thread, void *argument) {
    struct workload_thread *thread = argument;
    struct interpreter *interpreter = thread->interpreter;
    SIM_ASSERT(system_thread == thread->thread);
    if (make_buffers(thread) == OP_DONE && run_block(thread, &interpreter->script->setup) == OP_DONE) {
        end_setup(interpreter);
        loop(thread, &interpreter->script->loop);
    }
    if (interpreter->failed != NULL) {
        interpreter->failed(interpreter->failed_context);
    }
}

static void prepare(struct interpreter *interpreter, unsigned index) {
    struct workload_thread *thread = &interpreter->threads[index];
    char stream[SCRIPT_NAME_BYTES];
    (void)snprintf(stream, sizeof stream, "%s.thread%u", interpreter->name, index);
    thread->interpreter = interpreter;
    thread->index = index;
    thread->ops = interpreter->system->ops;
    thread->clock = &interpreter->system->machine->clock;
    thread->sockets = calloc(interpreter->script->socket_count + 1, sizeof *thread->sockets);
    thread->buffers = calloc(interpreter->script->buffer_count + 1, sizeof *thread->buffers);
    thread->files = calloc(interpreter->script->file_count + 1, sizeof *thread->files);
    for (size_t i = 0; thread->files != NULL && i < interpreter->script->file_count; ++i) {
        thread->files[i].size_bytes = interpreter->script->files[i].size_bytes;
    }
    thread->listeners = calloc(interpreter->script->socket_count + 1, sizeof *thread->listeners);
    thread->logs = calloc(interpreter->script->log_count + 1, sizeof *thread->logs);
    thread->tables = calloc(interpreter->script->table_count + 1, sizeof *thread->tables);
    thread->replays = interpreter->replays;
    thread->random = random_stream_create(stream);
    spans_init(&thread->spans, interpreter->script->span_count);
    SIM_ASSERT_MSG(thread->sockets != NULL && thread->buffers != NULL && thread->files != NULL &&
                       thread->listeners != NULL && thread->logs != NULL && thread->tables != NULL,
                   "out of memory");
}

static bool offers_all(const struct interpreter *interpreter, struct error *error) {
    const struct system_ops *ops = interpreter->system->ops;
    for (size_t i = 0; op_type_at(i) != NULL; ++i) {
        const struct op_type *type = op_type_at(i);
        if (type->offered != NULL && script_uses(interpreter->script, type->name) && !type->offered(ops)) {
            (void)error_set(error, ERR_UNSUPPORTED, "the system '%s' does not offer the operation '%s'", ops->type_name,
                            type->name);
            return false;
        }
    }
    return true;
}

/* Files and logs that the setup opens are not opened before the run. */
static bool storage_is_there(const struct interpreter *interpreter, struct error *error) {
    const struct script *script = interpreter->script;
    const struct system_ops *ops = interpreter->system->ops;
    uint64_t file_bytes = 0;
    for (size_t i = 0; i < script->file_count; ++i) {
        file_bytes += script->files[i].size_bytes;
    }
    return ops->storage_check == NULL || script->file_count + script->log_count == 0 ||
           ops->storage_check(interpreter->system, file_bytes, script->log_bytes, interpreter->thread_count, error) ==
               OK;
}

static bool create_threads(struct interpreter *interpreter, unsigned first_core, struct error *error) {
    const struct system_ops *ops = interpreter->system->ops;
    struct system_process *process = ops->process_create(interpreter->system, interpreter->name, error);
    for (unsigned i = 0; process != NULL && i < interpreter->thread_count; ++i) {
        prepare(interpreter, i);
        struct workload_thread *thread = &interpreter->threads[i];
        thread->thread = ops->thread_create(process, first_core + i, body, thread, error);
        if (thread->thread == NULL) {
            return false;
        }
    }
    return process != NULL;
}

struct interpreter *interpreter_create(const struct script *script, struct system *system, const char *name,
                                       unsigned first_core, struct error *error) {
    struct interpreter *interpreter = calloc(1, sizeof *interpreter);
    SIM_ASSERT_MSG(interpreter != NULL, "out of memory");
    *interpreter = (struct interpreter){.script = script,
                                        .system = system,
                                        .name = name,
                                        .thread_count = script_threads(script),
                                        .in_setup = script_threads(script)};
    interpreter->threads = calloc(interpreter->thread_count, sizeof *interpreter->threads);
    interpreter->replays = calloc(script->trace_count + 1, sizeof *interpreter->replays);
    SIM_ASSERT_MSG(interpreter->threads != NULL && interpreter->replays != NULL, "out of memory");
    if (!offers_all(interpreter, error) || !storage_is_there(interpreter, error) ||
        !create_threads(interpreter, first_core, error)) {
        interpreter_free(interpreter);
        return NULL;
    }
    return interpreter;
}

void interpreter_free(struct interpreter *interpreter) {
    if (interpreter == NULL) {
        return;
    }
    for (unsigned i = 0; i < interpreter->thread_count; ++i) {
        struct workload_thread *thread = &interpreter->threads[i];
        spans_free(&thread->spans);
        connections_free(thread, interpreter->script->socket_count);
        logs_free(thread, interpreter->script->log_count);
        tables_free(thread, interpreter->script->table_count);
        free(thread->sockets);
        free(thread->buffers);
        free(thread->files);
        free(thread->tables);
        if (thread->random != NULL) {
            random_stream_free(thread->random);
        }
    }
    free(interpreter->threads);
    free(interpreter->replays);
    free(interpreter);
}

void interpreter_loops_are_requests(struct interpreter *interpreter, struct ledger *ledger,
                                    void (*completed)(void *context), void *context) {
    interpreter->ledger = ledger;
    interpreter->completed = completed;
    interpreter->completed_context = context;
}

void interpreter_on_ready(struct interpreter *interpreter, void (*ready)(void *context), void *context) {
    interpreter->ready = ready;
    interpreter->ready_context = context;
}

bool interpreter_is_ready(const struct interpreter *interpreter) {
    return interpreter->in_setup == 0;
}

void interpreter_on_failure(struct interpreter *interpreter, void (*failed)(void *context), void *context) {
    interpreter->failed = failed;
    interpreter->failed_context = context;
}

struct system_thread *interpreter_thread(const struct interpreter *interpreter, unsigned index) {
    SIM_ASSERT(index < interpreter->thread_count);
    return interpreter->threads[index].thread;
}

uint64_t interpreter_count(const struct interpreter *interpreter, enum workload_counter counter) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < interpreter->thread_count; ++i) {
        sum += interpreter->threads[i].counters[counter];
    }
    return sum;
}

bool interpreter_failed(const struct interpreter *interpreter, struct error *error) {
    for (unsigned i = 0; i < interpreter->thread_count; ++i) {
        if (interpreter->threads[i].error.code != OK) {
            *error = interpreter->threads[i].error;
            return true;
        }
    }
    return false;
}

void interpreter_spans(const struct interpreter *interpreter, struct spans *out) {
    spans_init(out, interpreter->script->span_count);
    for (unsigned i = 0; i < interpreter->thread_count; ++i) {
        spans_merge(out, &interpreter->threads[i].spans);
    }
}

/* Counters of operations that a script does not use are left out. */
static bool is_shown(const struct script *script, unsigned counter) {
    if (counter < WORKLOAD_MISBEHAVIOURS) {
        return true;
    }
    const char *operation = counter < WORKLOAD_APPENDS       ? "misbehave"
                            : counter < WORKLOAD_FILE_WRITES ? "log"
                            : counter < WORKLOAD_LOOKUPS     ? "file"
                            : counter < WORKLOAD_REPLAYED    ? "lookup"
                                                             : "replay";
    return script_uses(script, operation);
}

void interpreter_visit_stats(const struct interpreter *interpreter, const struct stats_sink *sink) {
    static const char *const names[WORKLOAD_COUNTERS] = {[WORKLOAD_LOOPS] = "loops",
                                                         [WORKLOAD_WAITS] = "waits",
                                                         [WORKLOAD_RECEIVED] = "received",
                                                         [WORKLOAD_EMPTY_RECEIVES] = "empty_receives",
                                                         [WORKLOAD_SENT] = "sent",
                                                         [WORKLOAD_SEND_FAILURES] = "send_failures",
                                                         [WORKLOAD_COMPUTES] = "computes",
                                                         [WORKLOAD_UNANSWERED] = "unanswered",
                                                         [WORKLOAD_MISBEHAVIOURS] = "misbehaviours",
                                                         [WORKLOAD_MISBEHAVIOURS_REFUSED] = "misbehaviours_refused",
                                                         [WORKLOAD_MISBEHAVIOURS_GRANTED] = "misbehaviours_granted",
                                                         [WORKLOAD_APPENDS] = "log_appends",
                                                         [WORKLOAD_DURABLE] = "log_durable",
                                                         [WORKLOAD_POPS] = "log_pops",
                                                         [WORKLOAD_TRIMS] = "log_trims",
                                                         [WORKLOAD_FILE_WRITES] = "file_writes",
                                                         [WORKLOAD_FILE_READS] = "file_reads",
                                                         [WORKLOAD_FILE_SYNCS] = "file_syncs",
                                                         [WORKLOAD_FILE_BYTES] = "file_bytes",
                                                         [WORKLOAD_LOOKUPS] = "lookups",
                                                         [WORKLOAD_REPLAYED] = "replayed",
                                                         [WORKLOAD_REPLAYED_LATE] = "replayed_late"};
    for (unsigned counter = 0; counter < WORKLOAD_COUNTERS; ++counter) {
        if (is_shown(interpreter->script, counter)) {
            stats_counter(sink, interpreter->name, names[counter],
                          interpreter_count(interpreter, (enum workload_counter)counter));
        }
    }
}

void interpreter_reset_stats(struct interpreter *interpreter) {
    for (unsigned i = 0; i < interpreter->thread_count; ++i) {
        for (unsigned counter = 0; counter < WORKLOAD_COUNTERS; ++counter) {
            interpreter->threads[i].counters[counter] = 0;
        }
        spans_reset(&interpreter->threads[i].spans);
    }
}
