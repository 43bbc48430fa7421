#include "libos_model/libos_files_internal.h"

#include <stdio.h>
#include <stdlib.h>

struct libos_storage_components libos_storage_components;

void libos_storage_declare_components(void) {
    static const struct ledger_declaration table[] = {
        {"storage_out", "cpu", "Storage driver, out", NULL},
        {"storage_doorbell", "storage_out", "Storage doorbell store", NULL},
        {"storage_in", "cpu", "Storage driver, in", NULL},
        {"file", "cpu", "File layer", NULL},
        {0}};
    ledger_component out[4];
    ledger_declare_all(table, out);
    libos_file_component = out[3];
    libos_storage_components = (struct libos_storage_components){.out = out[0], .doorbell = out[1], .in = out[2]};
    libos_file_component = out[3];
}

/* ---- completions ---- */

static struct libos_storage *storage_of(const struct block_device *device) {
    return ((const struct libos_area *)(const void *)device)->storage;
}

static bool ready(const struct libos_storage *storage) {
    return storage->emulated ? vsic_ring_ready(&storage->ring) : nvme_pair_ready(&storage->pair);
}
static uint64_t line(const struct libos_storage *storage) {
    return storage->emulated ? vsic_ring_line(&storage->ring) : nvme_pair_line(&storage->pair);
}

/* All are taken before anybody is told, so that the drive learns of the room at once. */
static unsigned take(struct libos_storage *storage, struct context *context) {
    struct block_io *first = NULL;
    struct block_io **end = &first;
    struct block_io *io = NULL;
    unsigned count = 0;
    while ((io = storage->emulated ? vsic_ring_reap(&storage->ring, context)
                                   : nvme_pair_reap(&storage->pair, context)) != NULL) {
        io->next = NULL;
        *end = io;
        end = &io->next;
        count++;
        cpu_pass_on(context, libos_storage_components.in, LEDGER_WAITING);
    }
    if (!storage->emulated) {
        nvme_pair_release(&storage->pair, context);
    }
    while (first != NULL) {
        io = first;
        first = io->next;
        cpu_work_for(context, libos_storage_components.in, io->request);
        if (io->done != NULL) {
            io->done(io);
        }
    }
    cpu_work_for(context, vf_components.housekeeping, NULL);
    return count;
}

static bool source_ready(const struct libos_source *source) {
    return ready(source->context);
}
static bool source_busy(const struct libos_source *source) {
    const struct libos_storage *storage = source->context;
    return storage->emulated ? storage->ring.under_way > 0 : storage->pair.under_way > 0;
}
static uint64_t source_line(const struct libos_source *source) {
    return line(source->context);
}
static void source_take(struct libos_source *source) {
    struct libos_storage *storage = source->context;
    (void)take(storage, storage->thread->context);
}

/* ---- the block device ---- */

static enum error_code submit_untraced(struct block_device *device, struct context *context, struct block_io *io) {
    const struct libos_area *area = (const struct libos_area *)(const void *)device;
    struct libos_storage *storage = area->storage;
    if (io->operation != BLOCK_FLUSH &&
        (io->blocks == 0 || io->block >= device->blocks || io->blocks > device->blocks - io->block)) {
        return ERR_RANGE;
    }
    io->status = OK;
    if (storage->emulated) {
        return vsic_ring_submit(&storage->ring, context, io, area->nsid);
    }
    if (!nvme_pair_room(&storage->pair)) {
        return ERR_AGAIN;
    }
    cpu_work_for(context, libos_storage_components.out, io->request);
    const enum error_code code = nvme_pair_submit(&storage->pair, context, io, area->nsid);
    return code == OK ? nvme_pair_ring(&storage->pair, context) : code;
}

/* Each operation counts as a call of its own: there is no kernel to call. */
static enum error_code submit(struct block_device *device, struct context *context, struct block_io *io) {
    struct libos_system *system = libos_system_of(storage_of(device)->thread);
    /* As it is now: it may be finished, and used again, within the call. */
    const struct block_trace_event event = {.submitted = sim_now(),
                                            .call = system->block_operations + 1,
                                            .call_name = "",
                                            .operation = io->operation,
                                            .force_unit_access = io->force_unit_access,
                                            .block = io->block,
                                            .blocks = io->blocks,
                                            .purpose = (enum block_purpose)io->purpose};
    const enum error_code code = submit_untraced(device, context, io);
    if (code == OK) {
        system->block_operations++;
        if (system->trace_sink != NULL) {
            system->trace_sink(system->trace_context, &event);
        }
    }
    return code;
}

void libos_trace_blocks(struct system *system, void (*sink)(void *context, const struct block_trace_event *event),
                        void *context) {
    struct libos_system *own = (struct libos_system *)(void *)system;
    own->trace_sink = sink;
    own->trace_context = context;
}

static unsigned poll(struct block_device *device, struct context *context) {
    return take(storage_of(device), context);
}

static void line_written(void *context) {
    cpu_spin_wake(context);
}

static void wait(struct block_device *device, struct context *context, struct block_io *io) {
    struct libos_storage *storage = storage_of(device);
    struct libos_thread *thread = storage->thread;
    const uint64_t cycles = libos_system_of(thread)->profile.steps[LIBOS_poll].cycles;
    unsigned taken = take(storage, context);
    while (io != NULL ? !io->finished : taken == 0) {
        if (!ready(storage)) {
            memory_watch_set(thread->driver.memory, &storage->source.watch, line(storage), line_written, context);
            cpu_spin(context, cycles, vf_components.poll);
            memory_watch_clear(thread->driver.memory, &storage->source.watch);
        }
        taken += take(storage, context);
    }
}

static const struct block_device_ops area_ops = {"vsa", submit, wait, poll};

/* ---- set-up ---- */

enum error_code libos_drive_open(struct libos_process *process, struct error *error) {
    struct libos_system *system = (struct libos_system *)(void *)process->base.system;
    process->drive = calloc(1, sizeof *process->drive);
    SIM_ASSERT(process->drive != NULL);
    process->drive->drive = system->drive;
    const struct exo_handle *vsic = &process->drive->vsic;
    enum error_code code = exo_vsic_grant(process->environment, system->drive, &process->drive->vsic, error);
    process->drive->emulated = code == OK && exo_vsic_is_emulated(process->environment, vsic);
    const uint64_t weight = process->environment->limits.storage_weight; /* all that it may have */
    if (code == OK && weight > 1) {
        code = exo_vsic_set_weight(process->environment, vsic, (uint32_t)weight, error);
    }
    return code; /* the rate is its limit, which it has from the start */
}

static enum error_code open_pair(struct libos_storage *storage, struct error *error) {
    struct libos_thread *thread = storage->thread;
    struct libos_process *process = thread->process;
    struct libos_system *system = libos_system_of(thread);
    const uint32_t entries = (uint32_t)system->config.storage.queue;
    const uint64_t physical = libos_memory(process, nvme_pair_memory_bytes(entries), error);
    if (physical == 0) {
        return ERR_EXHAUSTED;
    }
    const struct libos_region *region = libos_region_of(process, physical, 1);
    struct libos_storage_costs *costs = &system->profile.storage;
    const struct nvme_pair_config config = {.machine = system->base.machine,
                                            .entries = entries,
                                            .physical = physical,
                                            .device_address = region->device_address,
                                            .block_bytes = nvme_block_bytes(system->drive->device),
                                            .costs = {.submit = &costs->submit, .complete = &costs->complete},
                                            .working_set = thread->storage_lines_at,
                                            .submit = libos_storage_components.out,
                                            .doorbell = libos_storage_components.doorbell,
                                            .complete = libos_storage_components.in};
    nvme_pair_init(&storage->pair, &config);
    const struct exo_queue_memory memory = {.submission = region->device_address,
                                            .completion = region->device_address + (storage->pair.cq - physical),
                                            .entries = entries};
    struct exo_storage_binding binding = {0};
    const enum error_code code = exo_storage_queue_grant(process->environment, &process->drive->vsic, &memory, false,
                                                         &binding, &storage->queue, error);
    storage->pair.config.queue = binding.queue;
    storage->pair.config.doorbells = binding.doorbells;
    storage->pair.config.doorbell_stride = binding.doorbell_stride;
    return code;
}

static enum error_code open_ring(struct libos_storage *storage, struct error *error) {
    struct libos_thread *thread = storage->thread;
    struct libos_process *process = thread->process;
    struct libos_storage_costs *costs = &libos_system_of(thread)->profile.storage;
    uint64_t virtual_address = 0;
    uint64_t physical = 0;
    if (process->threads != NULL) {
        return error_set(error, ERR_UNSUPPORTED, "%s: an emulated storage interface has one ring, for one thread",
                         process->name);
    }
    const enum error_code code =
        exo_vsic_ring_map(process->environment, &process->drive->vsic, &virtual_address, &physical, error);
    if (code == OK) {
        vsic_ring_init(&storage->ring, libos_system_of(thread)->base.machine->memory, physical);
        storage->ring.costs = (struct vsic_ring_costs){&costs->submit, &costs->complete, thread->storage_lines_at};
        storage->ring.submit = libos_storage_components.out;
        storage->ring.complete = libos_storage_components.in;
    }
    return code;
}

enum error_code libos_storage_open(struct libos_thread *thread, struct error *error) {
    struct libos_system *system = libos_system_of(thread);
    struct libos_storage *storage = calloc(1, sizeof *storage);
    SIM_ASSERT(storage != NULL);
    thread->storage = storage;
    storage->thread = thread;
    storage->emulated = thread->process->drive->emulated;
    storage->source = (struct libos_source){
        .ready = source_ready, .busy = source_busy, .line = source_line, .take = source_take, .context = storage};
    thread->storage_lines_at =
        libos_memory(thread->process, libos_storage_working_set_bytes(&system->profile.storage) + 1, error);
    if (thread->storage_lines_at == 0) {
        return ERR_EXHAUSTED;
    }
    const enum error_code code = storage->emulated ? open_ring(storage, error) : open_pair(storage, error);
    if (code == OK) {
        libos_source_add(thread, &storage->source);
    }
    return code;
}

void libos_storage_free(struct libos_thread *thread) {
    struct libos_storage *storage = thread->storage;
    if (storage == NULL) {
        return;
    }
    memory_watch_clear(libos_system_of(thread)->base.machine->memory, &storage->source.watch);
    libos_logs_free(storage);
    libos_files_free(storage);
    while (storage->areas != NULL) {
        struct libos_area *area = storage->areas;
        storage->areas = area->next;
        free(area);
    }
    nvme_pair_fini(&storage->pair);
    free(storage);
    thread->storage = NULL;
}

void libos_storage_visit(const struct libos_storage *storage, const char *instance, const struct stats_sink *sink) {
    stats_counter(sink, instance, "storage_submitted",
                  storage->emulated ? storage->ring.written : storage->pair.submitted);
    stats_counter(sink, instance, "storage_completed",
                  storage->emulated ? storage->ring.read : storage->pair.completed);
    libos_logs_visit(storage, instance, sink);
}

/* ---- storage areas ---- */

static enum error_code find_area(struct libos_thread *thread, const char *name, uint64_t bytes, struct exo_handle *vsa,
                                 bool *made, struct error *error) {
    struct libos_process *process = thread->process;
    *made = false;
    enum error_code code = exo_vsa_acquire(process->environment, process->drive->drive, name, EXO_ALL, vsa, error);
    if (code == ERR_NOT_FOUND) {
        *made = true;
        code = exo_vsa_create(process->environment, process->drive->drive, name, bytes, EXO_ANY_BLOCK, vsa, error);
    }
    return code;
}

enum error_code libos_area_open(struct libos_thread *thread, const char *name, uint64_t bytes, struct libos_area **out,
                                bool *made, struct error *error) {
    struct libos_process *process = thread->process;
    struct libos_storage *storage = thread->storage;
    if (storage == NULL) {
        return error_set(error, ERR_UNSUPPORTED, "%s: the system has no drive", process->name);
    }
    struct libos_area *area = calloc(1, sizeof *area);
    SIM_ASSERT(area != NULL);
    enum error_code code = find_area(thread, name, bytes, &area->vsa, made, error);
    if (code == OK) {
        code = exo_vsa_attach(process->environment, &process->drive->vsic, &area->vsa, true, &area->nsid, error);
    }
    if (code != OK) {
        free(area);
        return code;
    }
    (void)snprintf(area->name, sizeof area->name, "%s", name);
    const struct device *device = process->drive->drive->device;
    area->storage = storage;
    area->device = (struct block_device){.ops = &area_ops,
                                         .name = area->name,
                                         .block_bytes = nvme_block_bytes(device),
                                         .blocks = exo_vsa_blocks(process->environment, &area->vsa),
                                         .depth = storage->emulated ? (uint32_t)EXO_RING_ENTRIES
                                                                    : storage->pair.config.entries - 1,
                                         .volatile_cache = nvme_volatile_cache(device)};
    area->next = storage->areas;
    storage->areas = area;
    *out = area;
    return OK;
}

enum error_code libos_segments(const struct libos_thread *thread, struct block_io *io, uint64_t physical,
                               uint64_t bytes) {
    const struct libos_region *region = libos_region_of(thread->process, physical, bytes);
    if (region == NULL) {
        return ERR_FAULT;
    }
    io->segment_count = 0;
    while (bytes > 0) {
        const uint64_t room = MEMORY_FRAME_BYTES - physical % MEMORY_FRAME_BYTES;
        const uint64_t take_bytes = bytes < room ? bytes : room;
        if (io->segment_count == BLOCK_SEGMENTS_MAX) {
            return ERR_RANGE;
        }
        io->segments[io->segment_count++] =
            (struct block_segment){.physical = physical,
                                   .device_address = region->device_address + (physical - region->physical),
                                   .length_bytes = (uint32_t)take_bytes};
        physical += take_bytes;
        bytes -= take_bytes;
    }
    return OK;
}
