/* linux_storage.c: the storage stack put together: devices, file system, components,
 * and how a call of the file system sleeps and is woken here. */
#include "kernel_model/linux/linux_storage.h"

#include <stdlib.h>
#include <string.h>

struct linux_call_components linux_file_write_components, linux_file_read_components, linux_file_sync_components,
    linux_write_back_components;

/* ---- components ---- */

static struct linux_call_components declare(const struct ledger_declaration table[6]) {
    ledger_component out[6];
    ledger_declare_all(table, out);
    return (struct linux_call_components){.code = out[0],
                                          .copy = out[1],
                                          .block = out[2],
                                          .device = out[3],
                                          .context_switch = out[4],
                                          .journal = out[5] != 0 ? out[5] : out[0]};
}

void linux_storage_declare_components(void) {
    static const struct ledger_declaration write[] = {
        {"file_write", "cpu", "write", "file_write app scheduler"},
        {"file_write_copy", "file_write", "write: copy", NULL},
        {"file_write_block", "file_write", "write: block layer and driver", NULL},
        {"file_write_device", "file_write", "write: waiting for the device", NULL},
        {"file_write_switch", "file_write", "write: scheduler", NULL},
        {"file_write_journal", "file_write", "write: journal", NULL},
        {0}};
    static const struct ledger_declaration read[] = {
        {"file_read", "cpu", "read", "file_read app scheduler"},
        {"file_read_copy", "file_read", "read: copy", NULL},
        {"file_read_block", "file_read", "read: block layer and driver", NULL},
        {"file_read_device", "file_read", "read: waiting for the device", NULL},
        {"file_read_switch", "file_read", "read: scheduler", NULL},
        {"file_read_journal", "file_read", "read: journal", NULL},
        {0}};
    static const struct ledger_declaration sync[] = {
        {"file_sync", "cpu", "fsync", "file_sync app scheduler"},
        {"file_sync_copy", "file_sync", "fsync: copy", NULL},
        {"file_sync_block", "file_sync", "fsync: block layer and driver", NULL},
        {"file_sync_device", "file_sync", "fsync: waiting for the device", NULL},
        {"file_sync_switch", "file_sync", "fsync: scheduler", NULL},
        {"file_sync_journal", "file_sync", "fsync: journal or log", NULL},
        {0}};
    static const struct ledger_declaration write_back = {"write_back", "cpu", "Write-back and storage interrupts", ""};
    linux_file_write_components = declare(write);
    linux_file_read_components = declare(read);
    linux_file_sync_components = declare(sync);
    const ledger_component own = ledger_declare(&write_back);
    linux_write_back_components = (struct linux_call_components){own, own, own, own, own, own};
}

/* ---- calls ---- */

void linux_call_work(struct linux_file_call *call, ledger_component component) {
    call->at = component;
    cpu_work_for(call->base.cpu, component, call->request);
}

struct linux_file_call *linux_call_of(struct linux_system *system, struct context *context) {
    struct linux_thread *thread = system->cpus[core_index(context_core(context))].current;
    return thread != NULL && thread->context == context ? thread->file_call : NULL;
}

struct linux_file_call linux_kernel_call(struct linux_thread *thread) {
    return (struct linux_file_call){.base = {.cpu = thread->context},
                                    .thread = thread,
                                    .components = &linux_write_back_components,
                                    .at = linux_write_back_components.code};
}

void linux_storage_sleep(struct linux_file_call *call, struct fs_queue *queue, ledger_component component) {
    struct linux_thread *thread = call->thread;
    struct linux_thread *waiters = queue->sleepers;
    const ledger_component before = call->at;
    linux_call_work(call, call->components->context_switch);
    linux_charge(thread->context, &linux_of(thread)->profile.sleep, 1);
    thread->state = LINUX_SLEEPING;
    linux_waiters_add(&waiters, thread);
    queue->sleepers = waiters;
    if (call->request != NULL) {
        cpu_pass_on(thread->context, component, LEDGER_WAITING);
    }
    cpu_run(thread->context);
    if (thread->state == LINUX_SLEEPING) {
        linux_sched_sleep_for(thread, call->components->context_switch, call->request);
    }
    linux_call_work(call, before);
}

void linux_storage_wake(struct fs_queue *queue, struct linux_cpu *cpu) {
    struct linux_thread *waiters = queue->sleepers;
    queue->sleepers = NULL;
    while (waiters != NULL) {
        linux_sched_wake(linux_waiters_take(&waiters), cpu);
    }
}

/* ---- what the file system asks of its host ---- */

static struct linux_file_call *call_from(const struct fs_call *call) {
    return call->user;
}

static void host_sleep(void *context, const struct fs_call *call, struct fs_queue *queue) {
    (void)context;
    struct linux_file_call *own = call_from(call);
    linux_storage_sleep(own, queue, own->components->context_switch);
}

static void host_wake(void *context, const struct fs_call *call, struct fs_queue *queue) {
    struct linux_storage *storage = context;
    struct linux_file_call *own = call_from(call);
    if (queue->sleepers != NULL) {
        linux_charge(call->cpu, &storage->system->profile.wake_up, 1);
        cpu_run(call->cpu); /* who is woken runs from then on */
        linux_storage_wake(queue, own->thread->cpu);
    }
}

static void host_work(void *context, const struct fs_call *call, enum fs_work work) {
    (void)context;
    struct linux_file_call *own = call_from(call);
    const ledger_component components[] = {[FS_WORK_CODE] = own->components->code,
                                           [FS_WORK_COPY] = own->components->copy,
                                           [FS_WORK_JOURNAL] = own->components->journal};
    linux_call_work(own, components[work]);
}

static uint64_t host_frame(void *context) {
    struct linux_storage *storage = context;
    return frames_allocate(storage->system->frames);
}

static void host_frame_release(void *context, uint64_t frame) {
    struct linux_storage *storage = context;
    frames_give_back(storage->system->frames, frame);
}

/* ---- tracing ---- */

static void deliver(void *context, const struct block_trace_event *event) {
    const struct linux_storage *storage = context;
    if (storage->trace_sink == NULL) {
        return;
    }
    struct block_trace_event named = *event;
    if (event->call != 0 && storage->calls - event->call < LINUX_CALLS_NAMED) {
        named.call_name = storage->call_names[event->call % LINUX_CALLS_NAMED];
    }
    storage->trace_sink(storage->trace_context, &named);
}

void linux_storage_trace(struct system *system, void (*sink)(void *context, const struct block_trace_event *event),
                         void *context) {
    struct linux_storage *storage = ((struct linux_system *)system)->storage;
    if (storage != NULL) {
        storage->trace_sink = sink;
        storage->trace_context = context;
    }
}

/* ---- open and close ---- */

static struct linux_step *step_at(struct linux_storage_profile *profile, size_t index) {
    return (struct linux_step *)(void *)profile + index; /* the steps come first, one after the other */
}

#define COUNT_STEP(name, help) +1
enum { STORAGE_STEPS = 0 LINUX_STORAGE_STEPS(COUNT_STEP) };
#undef COUNT_STEP

static bool place_profile(struct linux_storage *storage) {
    struct linux_storage_profile *profile = &storage->profile;
    uint64_t bytes = fs_working_set_bytes(&profile->costs);
    for (size_t i = 0; i < STORAGE_STEPS; ++i) {
        bytes += (uint64_t)step_at(profile, i)->cost.lines * MEMORY_LINE_BYTES;
    }
    uint64_t address = frames_allocate_contiguous(storage->system->frames, bytes / MEMORY_FRAME_BYTES + 1);
    storage->host.working_set = address;
    address += fs_working_set_bytes(&profile->costs);
    for (size_t i = 0; i < STORAGE_STEPS; ++i) {
        step_at(profile, i)->lines_at = address;
        address += (uint64_t)step_at(profile, i)->cost.lines * MEMORY_LINE_BYTES;
    }
    return storage->host.working_set != 0;
}

static enum error_code make_fs(struct linux_storage *storage, struct error *error) {
    const struct linux_storage_config *config = &storage->config;
    storage->host.memory = storage->system->base.machine->memory;
    storage->host.context = storage;
    storage->host.time_step = SIM_S / storage->system->config.tick_hz;
    storage->host.frame_allocate = host_frame;
    storage->host.frame_release = host_frame_release;
    storage->host.sleep = host_sleep;
    storage->host.wake = host_wake;
    storage->host.work = host_work;
    storage->host.commit = linux_commit_and_wait;
    const struct fs_options options = {.kind = config->filesystem,
                                       .journal_blocks = config->journal_bytes / FS_PAGE_BYTES,
                                       .barriers = config->barriers,
                                       .journal_checksums = config->journal_checksums};
    return fs_create(storage->top, &storage->host, &options, &storage->profile.costs, &storage->fs, error);
}

enum error_code linux_storage_open(struct linux_system *system, const struct config_node *node, struct error *error) {
    struct diagnostics none;
    if (node == NULL) {
        return OK;
    }
    struct linux_storage *storage = calloc(1, sizeof *storage);
    SIM_ASSERT_MSG(storage != NULL, "out of memory");
    diagnostics_init(&none); /* what is wrong with it was said by linux_config_bind */
    const bool good = linux_storage_bind(node, &storage->config, &storage->profile, &none);
    diagnostics_free(&none);
    SIM_ASSERT(good);
    storage->system = system;
    system->storage = storage;
    if (!place_profile(storage)) {
        return error_set(error, ERR_EXHAUSTED, "the machine's memory is too small for the storage stack");
    }
    if (storage->config.thread_core >= system->base.machine->core_count) {
        return error_set(error, ERR_RANGE, "storage.thread_core is %u, and the machine has %u cores",
                         (unsigned)storage->config.thread_core, system->base.machine->core_count);
    }
    storage->disk = storage->config.device == LINUX_RAM_DISK ? linux_ram_disk_open(storage, error)
                                                             : linux_nvme_open(storage, error);
    if (storage->disk == NULL) {
        return error->code;
    }
    block_tracer_init(&storage->tracer, linux_block_open(storage, storage->disk), deliver, storage);
    storage->top = &storage->tracer.base;
    const enum error_code code = make_fs(storage, error);
    if (code == OK) {
        linux_writeback_open(storage);
    }
    return code;
}

/* Files on one file system, whoever opens them. */
enum error_code linux_storage_check(const struct system *base, uint64_t file_bytes, uint64_t log_bytes,
                                    unsigned threads, struct error *error) {
    const struct linux_storage *storage = ((const struct linux_system *)(const void *)base)->storage;
    (void)log_bytes;
    (void)threads;
    if (storage == NULL) {
        return OK; /* said where they are opened */
    }
    const uint64_t bytes = storage->disk->blocks * storage->disk->block_bytes;
    return file_bytes <= bytes ? OK
                               : error_set(error, ERR_RANGE, "its files, %llu B, are more than the drive has, %llu B",
                                           (unsigned long long)file_bytes, (unsigned long long)bytes);
}

void linux_storage_close(struct linux_system *system) {
    struct linux_storage *storage = system->storage;
    if (storage == NULL) {
        return;
    }
    linux_writeback_close(storage);
    fs_free(storage->fs);
    linux_block_close(storage);
    if (storage->disk != NULL && storage->config.device == LINUX_RAM_DISK) {
        linux_ram_disk_close(storage->disk);
    } else if (storage->disk != NULL) {
        linux_nvme_close(storage->disk);
    }
    while (storage->files != NULL) {
        struct linux_file *file = storage->files;
        storage->files = file->next;
        free(file);
    }
    free(storage);
    system->storage = NULL;
}

/* ---- results ---- */

void linux_storage_visit_stats(const struct linux_system *system, const struct stats_sink *sink) {
    const struct linux_storage *storage = system->storage;
    if (storage == NULL) {
        return;
    }
#define TELL(counter) stats_counter(sink, system->config.name, #counter, storage->counters.counter);
    LINUX_STORAGE_COUNTERS(TELL)
#undef TELL
    const struct fs_counters *counters = fs_counters(storage->fs);
#define TELL_FS(counter) stats_counter(sink, fs_kind_names[storage->config.filesystem], #counter, counters->counter);
    FS_COUNTERS(TELL_FS)
#undef TELL_FS
}

void linux_storage_reset_stats(struct linux_system *system) {
    if (system->storage != NULL) {
        system->storage->counters = (struct linux_storage_counters){0};
        *fs_counters(system->storage->fs) = (struct fs_counters){0};
    }
}

void linux_storage_visit_costs(const struct linux_system *system,
                               void (*visit)(void *context, const char *key, const struct cost *cost), void *context) {
    const struct linux_storage *storage = system->storage;
    char key[96];
    if (storage == NULL) {
        return;
    }
#define VISIT_STEP(name, help) visit(context, "storage." #name, &storage->profile.name.cost);
    LINUX_STORAGE_STEPS(VISIT_STEP)
#undef VISIT_STEP
#define VISIT_COST(name, help)                                                                                         \
    (void)snprintf(key, sizeof key, "storage.%s.%s", fs_kind_names[storage->config.filesystem], #name);                \
    visit(context, key, &storage->profile.costs.name);
    FS_COSTS(VISIT_COST)
#undef VISIT_COST
}
