/* libos_log.c: persistent logs and queues of struct system_ops: each is a VSA of its
 * own, under the process's name and the log's. */
#include <stdio.h>
#include <stdlib.h>

#include "libos_model/libos_storage.h"
#include "libos_model/persist_queue.h"

struct libos_log {
    struct system_log base;
    struct libos_log *next;
    struct libos_thread *thread;
    struct persist_log *log;
    struct persist_change change; /* of the newest trim */
    bool trimming;
};

static struct libos_log *log_of(struct system_log *log) {
    return (struct libos_log *)(void *)log;
}

static enum error_code make(struct libos_thread *thread, struct libos_log *log, struct libos_area *area,
                            struct error *error) {
    struct libos_system *system = libos_system_of(thread);
    struct libos_storage_costs *costs = &system->profile.storage;
    struct persist_log_config config = {.device = &area->device,
                                        .blocks = area->device.blocks,
                                        .memory = system->base.machine->memory,
                                        .in_flight = (uint32_t)system->config.storage.log_in_flight,
                                        .entry_bytes = (uint32_t)system->config.storage.log_entry,
                                        .log = random_below(thread->random, UINT64_C(1) << 62) + 1,
                                        .repair_interval = system->config.storage.log_repair,
                                        .durability = (enum persist_durability)system->config.storage.log_durability,
                                        .costs = {.create = &costs->log_create,
                                                  .append = &costs->log_append,
                                                  .checksum_per_kib = &costs->log_checksum_per_kib,
                                                  .complete = &costs->log_complete,
                                                  .lines_at = thread->storage_lines_at}};
    config.physical = libos_memory(thread->process, persist_log_memory_bytes(&config), error);
    if (config.physical == 0) {
        return ERR_EXHAUSTED;
    }
    config.device_address = libos_region_of(thread->process, config.physical, 1)->device_address;
    log->log = persist_log_create(&config, error);
    return log->log != NULL ? OK : error->code;
}

enum error_code libos_log_open(struct system_thread *base, const char *name, uint64_t capacity_bytes,
                               struct system_log **out) {
    struct libos_thread *thread = libos_thread_of(base);
    struct error error = {OK, ""};
    struct libos_area *area = NULL;
    bool made = false;
    char full[EXO_VSA_NAME_BYTES];
    (void)snprintf(full, sizeof full, "%s.%s", thread->process->name, name);
    enum error_code code = libos_area_open(thread, full, capacity_bytes, &area, &made, &error);
    if (code != OK) {
        return code;
    }
    struct libos_log *log = calloc(1, sizeof *log);
    SIM_ASSERT(log != NULL);
    log->base.process = base->process;
    log->thread = thread;
    log->next = thread->storage->logs;
    thread->storage->logs = log;
    code = make(thread, log, area, &error);
    if (code == OK) {
        code = made ? ERR_NOT_FOUND : persist_log_open(log->log, thread->context);
        code = code == ERR_NOT_FOUND ? persist_log_format(log->log, thread->context) : code;
    }
    *out = &log->base;
    return code;
}

/* The caller is told in the application's name. */
static void on_durable(struct persist_entry *entry) {
    struct system_append *append = entry->context;
    struct context *context = context_current();
    append->status = entry->status;
    append->position = entry->sequence;
    append->finished = true;
    cpu_work_for(context, system_components.app, append->request);
    if (append->done != NULL) {
        append->done(append);
    }
}

enum error_code libos_log_append(struct system_thread *base, struct system_log *handle, struct system_append *append) {
    struct libos_thread *thread = libos_thread_of(base);
    struct context *context = thread->context;
    struct libos_log *log = log_of(handle);
    if (log->thread != thread) {
        return ERR_UNSUPPORTED; /* a log is its thread's: nothing is locked */
    }
    enum error_code code = OK;
    cpu_work_for(context, persist_components.append, append->request);
    struct persist_entry *entry = persist_log_entry(log->log, context, append->length_bytes, &code);
    while (entry == NULL && code == ERR_AGAIN) {
        cpu_pass_on(context, persist_components.append, LEDGER_WAITING);
        persist_log_wait_any(log->log, context);
        cpu_work_for(context, persist_components.append, append->request);
        entry = persist_log_entry(log->log, context, append->length_bytes, &code);
    }
    if (entry == NULL) {
        return code;
    }
    append->finished = false;
    cpu_copy(context, entry->payload, append->physical, append->length_bytes);
    entry->request = append->request;
    entry->done = on_durable;
    entry->context = append;
    code = persist_log_append(entry, context);
    if (code != OK) {
        persist_log_entry_drop(entry);
        cpu_work_for(context, system_components.app, append->request);
    }
    return code;
}

void libos_log_wait(struct system_thread *base, struct system_log *handle, struct system_append *append) {
    struct libos_thread *thread = libos_thread_of(base);
    struct libos_log *log = log_of(handle);
    while (!append->finished) {
        persist_log_wait_any(log->log, thread->context);
        persist_log_poll(log->log, thread->context);
    }
}

/* Returns once the trim is on its way; the one before has arrived then. */
enum error_code libos_log_trim(struct system_thread *base, struct system_log *handle, uint64_t entries) {
    struct libos_thread *thread = libos_thread_of(base);
    struct libos_log *log = log_of(handle);
    cpu_work_for(thread->context, persist_components.append, NULL);
    if (log->trimming) {
        persist_log_wait_change(log->log, thread->context, &log->change);
    }
    const uint64_t head = persist_log_head(log->log);
    if (entries > persist_log_durable(log->log) - head) {
        return ERR_RANGE;
    }
    log->trimming = true;
    return persist_log_trim(log->log, thread->context, head + entries, &log->change);
}

enum error_code libos_log_pop(struct system_thread *base, struct system_log *handle, uint64_t physical,
                              uint32_t capacity_bytes, uint32_t *length_bytes, struct request *request) {
    struct libos_thread *thread = libos_thread_of(base);
    return persist_queue_pop(log_of(handle)->log, thread->context, physical, capacity_bytes, length_bytes, request,
                             system_components.app);
}

void libos_logs_visit(const struct libos_storage *storage, const char *instance, const struct stats_sink *sink) {
    struct persist_counters sum = {0};
    for (const struct libos_log *at = storage->logs; at != NULL; at = at->next) {
        const struct persist_counters *counters = persist_log_counters(at->log);
        sum.appended += counters->appended;
        sum.acknowledged += counters->acknowledged;
        sum.flushes += counters->flushes;
        sum.header_writes += counters->header_writes;
        sum.trimmed += counters->trimmed;
        sum.read += counters->read;
    }
    if (storage->logs == NULL) {
        return;
    }
    stats_counter(sink, instance, "log_appended", sum.appended);
    stats_counter(sink, instance, "log_acknowledged", sum.acknowledged);
    stats_counter(sink, instance, "log_flushes", sum.flushes);
    stats_counter(sink, instance, "log_header_writes", sum.header_writes);
    stats_counter(sink, instance, "log_trimmed", sum.trimmed);
    stats_counter(sink, instance, "log_read", sum.read);
}

void libos_logs_free(struct libos_storage *storage) {
    while (storage->logs != NULL) {
        struct libos_log *log = storage->logs;
        storage->logs = log->next;
        persist_log_free(log->log);
        free(log);
    }
}
