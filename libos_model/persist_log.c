/* persist_log.c: appending: an entry's way from creation to its acknowledgement. */
#include "libos_model/persist_log.h"

#include <stdlib.h>
#include <string.h>

#include "libos_model/persist_internal.h"
#include "stack/crc32c.h"
#include "stack/udp_stack.h"

enum { PLACES_FIRST = 64 };

struct persist_components persist_components;

void persist_declare_components(void) {
    static const struct ledger_declaration table[] = {{"log_append", "cpu", "Log append", NULL},
                                                      {"log_commit", "cpu", "Log, waiting for its flush or turn", NULL},
                                                      {"log_read", "cpu", "Log read", NULL},
                                                      {0}};
    ledger_component out[3];
    core_declare_components();
    ledger_declare_all(table, out);
    persist_components = (struct persist_components){.append = out[0], .commit = out[1], .read = out[2]};
}

void persist_charge(struct context *context, struct cost *cost, double factor, uint64_t lines_at) {
    if (cost != NULL) {
        (void)stack_charge(context, cost, factor, lines_at);
    }
}

/* ---- operations at the device ---- */

void persist_io_prepare(struct persist_log *log, struct block_io *io, enum block_operation operation, uint64_t granule,
                        uint64_t granules, uint64_t offset) {
    uint64_t bytes = granules * log->granule_bytes;
    SIM_ASSERT(granule + granules <= log->granules);
    *io = (struct block_io){.operation = operation,
                            .block = log->config.first_block + granule,
                            .blocks = (uint32_t)granules,
                            .context = io->context,
                            .done = io->done};
    while (bytes > 0) {
        const uint64_t room = MEMORY_FRAME_BYTES - (log->config.physical + offset) % MEMORY_FRAME_BYTES;
        const uint64_t take = bytes < room ? bytes : room;
        SIM_ASSERT(io->segment_count < BLOCK_SEGMENTS_MAX);
        io->segments[io->segment_count++] =
            (struct block_segment){.physical = log->config.physical + offset,
                                   .device_address = log->config.device_address + offset,
                                   .length_bytes = (uint32_t)take};
        offset += take;
        bytes -= take;
    }
}

/* The backlog first: operations go to the device in the order in which they came. */
static void drain_backlog(struct persist_log *log, struct context *context) {
    while (log->backlog != NULL) {
        struct block_io *io = log->backlog;
        struct block_io *next = io->next;
        const enum error_code code = block_submit(log->config.device, context, io);
        if (code == ERR_AGAIN) {
            log->counters.retries++;
            return;
        }
        log->backlog = next;
        log->backlog_end = next == NULL ? &log->backlog : log->backlog_end;
        if (code != OK) { /* the device will not have it: as if it had failed there */
            io->status = code;
            io->finished = true;
            if (io->done != NULL) {
                io->done(io);
            }
        }
    }
}

void persist_io_submit(struct persist_log *log, struct context *context, struct block_io *io) {
    io->next = NULL;
    *log->backlog_end = io;
    log->backlog_end = &io->next;
    log->under_way++;
    drain_backlog(log, context);
}

void persist_io_finished(struct persist_log *log, const struct block_io *io) {
    SIM_ASSERT(log->under_way > 0);
    log->under_way--;
    if (io->status != OK && log->failed == OK) {
        log->failed = io->status;
    }
}

enum error_code persist_io_wait(struct persist_log *log, struct context *context, struct block_io *io) {
    persist_io_submit(log, context, io);
    while (!io->finished) {
        persist_log_wait_any(log, context);
    }
    log->under_way--;
    return io->status;
}

/* ---- set-up ---- */

static uint64_t entry_granules_max(const struct persist_log_config *config) {
    return persist_entry_granules(config->entry_bytes, config->device->block_bytes);
}

static uint64_t window_bytes(const struct persist_log_config *config) {
    const uint64_t entry = entry_granules_max(config) * config->device->block_bytes;
    return entry > PERSIST_WINDOW_BYTES ? entry : (uint64_t)PERSIST_WINDOW_BYTES;
}

uint64_t persist_log_memory_bytes(const struct persist_log_config *config) {
    const uint64_t granule = config->device->block_bytes;
    return granule + window_bytes(config) + config->in_flight * entry_granules_max(config) * granule;
}

static enum error_code check(const struct persist_log_config *config, struct error *error) {
    const struct block_device *device = config->device;
    if (config->blocks > device->blocks || config->first_block > device->blocks - config->blocks) {
        return error_set(error, ERR_RANGE, "a log's area lies beyond the end of %s", device->name);
    }
    const uint64_t least = PERSIST_HEADER_GRANULES + PERSIST_RING_GRANULES_MIN + entry_granules_max(config);
    if (config->blocks < least) {
        return error_set(error, ERR_RANGE, "a log of %llu blocks is too small: %llu are the least",
                         (unsigned long long)config->blocks, (unsigned long long)least);
    }
    if (config->in_flight == 0 ||
        entry_granules_max(config) * device->block_bytes > (uint64_t)(BLOCK_SEGMENTS_MAX - 1) * MEMORY_FRAME_BYTES) {
        return error_set(error, ERR_RANGE, "a log's entries may have 128 KiB at most, and one must be able to go");
    }
    return OK;
}

struct persist_log *persist_log_create(const struct persist_log_config *config, struct error *error) {
    if (check(config, error) != OK) {
        return NULL;
    }
    struct persist_log *log = calloc(1, sizeof *log);
    SIM_ASSERT(log != NULL && config->physical % MEMORY_FRAME_BYTES == 0);
    log->config = *config;
    log->granule_bytes = config->device->block_bytes;
    log->granules = config->blocks;
    log->ring = config->blocks - PERSIST_HEADER_GRANULES;
    log->newest = &log->oldest;
    log->backlog_end = &log->backlog;
    log->window = log->granule_bytes;
    log->entries = calloc(config->in_flight, sizeof *log->entries);
    SIM_ASSERT(log->entries != NULL);
    const uint64_t granules = entry_granules_max(config);
    for (uint32_t i = config->in_flight; i-- > 0;) {
        struct persist_entry *entry = &log->entries[i];
        entry->log = log;
        entry->at = log->window + window_bytes(config) + i * granules * log->granule_bytes;
        entry->next = log->free_entries;
        log->free_entries = entry;
    }
    return log;
}

void persist_log_free(struct persist_log *log) {
    if (log != NULL) {
        free(log->places);
        free(log->entries);
        free(log);
    }
}

/* ---- creation ---- */

struct persist_entry *persist_log_entry(struct persist_log *log, struct context *context, uint32_t bytes,
                                        enum error_code *code) {
    if (bytes > log->config.entry_bytes) {
        *code = ERR_RANGE;
        return NULL;
    }
    if (log->free_entries == NULL) {
        *code = ERR_AGAIN;
        return NULL;
    }
    struct persist_entry *entry = log->free_entries;
    log->free_entries = entry->next;
    persist_charge(context, log->config.costs.create, 1.0, log->config.costs.lines_at);
    entry->payload = persist_physical(log, entry->at) + sizeof(struct persist_entry_header);
    entry->capacity_bytes = bytes;
    entry->length_bytes = bytes;
    entry->request = NULL;
    entry->done = NULL;
    entry->context = NULL;
    *code = OK;
    return entry;
}

void persist_log_entry_drop(struct persist_entry *entry) {
    entry->next = entry->log->free_entries;
    entry->log->free_entries = entry;
}

void persist_place_set(struct persist_log *log, uint64_t sequence, struct persist_place place) {
    const uint64_t live = sequence - log->head_sequence + 1;
    if (live > log->places_capacity) {
        const uint64_t capacity = log->places_capacity == 0 ? PLACES_FIRST : 2 * log->places_capacity;
        struct persist_place *places = calloc(capacity, sizeof *places);
        SIM_ASSERT(places != NULL);
        for (uint64_t at = log->head_sequence; at < sequence; at++) {
            places[at % capacity] = *persist_place(log, at);
        }
        free(log->places);
        log->places = places;
        log->places_capacity = capacity;
    }
    log->places[sequence % log->places_capacity] = place;
}

/* ---- append ---- */

static uint32_t checksum_memory(const struct memory *memory, uint64_t physical, uint32_t length_bytes) {
    uint8_t bytes[MEMORY_FRAME_BYTES];
    uint32_t checksum = 0;
    while (length_bytes > 0) {
        const uint32_t take = length_bytes < sizeof bytes ? length_bytes : (uint32_t)sizeof bytes;
        memory_read(memory, physical, bytes, take);
        checksum = crc32c(checksum, bytes, take);
        physical += take;
        length_bytes -= take;
    }
    return checksum;
}

/* Header in front, marker behind: written to memory as bytes, and paid for. */
static void seal(struct persist_entry *entry, struct context *context) {
    struct persist_log *log = entry->log;
    const struct persist_costs *costs = &log->config.costs;
    struct memory *memory = log->config.memory;
    cpu_touch(context, entry->payload, entry->length_bytes, false);
    persist_charge(context, costs->checksum_per_kib, entry->length_bytes / 1024.0, costs->lines_at);
    struct persist_entry_header header = {.magic = PERSIST_ENTRY_MAGIC,
                                          .length_bytes = entry->length_bytes,
                                          .log = log->header.log,
                                          .incarnation = log->header.incarnation,
                                          .position = entry->position,
                                          .next = entry->position + entry->granules,
                                          .sequence = entry->sequence,
                                          .payload_checksum =
                                              checksum_memory(memory, entry->payload, entry->length_bytes)};
    header.checksum = persist_entry_header_checksum(&header);
    const struct persist_end_marker end = {
        .sequence = entry->sequence, .magic = PERSIST_END_MAGIC, .header_checksum = header.checksum};
    const uint64_t at = persist_physical(log, entry->at);
    const uint64_t end_at = at + entry->granules * log->granule_bytes - sizeof end;
    memory_write(memory, at, &header, sizeof header);
    memory_write(memory, end_at, &end, sizeof end);
    cpu_touch(context, at, sizeof header, true);
    cpu_touch(context, end_at, sizeof end, true);
}

static void on_written(struct block_io *io) {
    struct persist_entry *entry = io->context;
    struct persist_log *log = entry->log;
    struct context *context = context_current();
    persist_io_finished(log, io);
    entry->writes_left--;
    if (io == &entry->writes[0]) { /* the one that the request rode on */
        cpu_work_for(context, persist_components.append, entry->request);
        persist_charge(context, log->config.costs.complete, 1.0, log->config.costs.lines_at);
        cpu_pass_on(context, persist_components.commit, LEDGER_WAITING);
    }
    persist_pump(log, context);
}

static void start_writes(struct persist_entry *entry, struct context *context) {
    struct persist_log *log = entry->log;
    const bool force = log->config.durability == PERSIST_FUA && log->config.device->volatile_cache;
    const uint64_t granule = persist_granule_of(entry->position, log->granules);
    const uint64_t to_end = log->granules - granule;
    const uint64_t first = entry->granules < to_end ? entry->granules : to_end;
    const uint64_t counts[2] = {first, entry->granules - first};
    const uint64_t granules[2] = {granule, PERSIST_HEADER_GRANULES};
    entry->writes_left = counts[1] > 0 ? 2 : 1;
    const uint32_t writes = entry->writes_left;
    for (uint32_t i = 0; i < writes; i++) {
        struct block_io *io = &entry->writes[i];
        io->done = on_written;
        io->context = entry;
        persist_io_prepare(log, io, BLOCK_WRITE, granules[i], counts[i],
                           entry->at + (i == 0 ? 0 : counts[0] * log->granule_bytes));
        io->force_unit_access = force;
        io->request = i == 0 ? entry->request : NULL;
        io->owner = persist_components.append;
        persist_io_submit(log, context, io);
    }
}

enum error_code persist_log_append(struct persist_entry *entry, struct context *context) {
    struct persist_log *log = entry->log;
    SIM_ASSERT(log->open && entry->length_bytes <= entry->capacity_bytes);
    if (log->failed != OK) {
        return ERR_IO;
    }
    const uint64_t granules = persist_entry_granules(entry->length_bytes, log->granule_bytes);
    if (log->end_position + granules - log->stored_head_position > log->ring) {
        log->counters.full++;
        return ERR_EXHAUSTED;
    }
    entry->granules = granules;
    entry->position = log->end_position;
    entry->sequence = log->end_sequence;
    entry->status = OK;
    entry->covered = entry->durable = false;
    entry->next = NULL;
    persist_place_set(log, entry->sequence, (struct persist_place){entry->position, entry->length_bytes});
    log->end_position += granules;
    log->end_sequence++;
    log->counters.appended++;
    log->counters.bytes += entry->length_bytes;
    *log->newest = entry;
    log->newest = &entry->next;
    cpu_work_for(context, persist_components.append, entry->request);
    persist_charge(context, log->config.costs.append, 1.0, log->config.costs.lines_at);
    seal(entry, context);
    start_writes(entry, context);
    return OK;
}

/* ---- durability ---- */

static bool needs_flush(const struct persist_log *log) {
    return log->config.device->volatile_cache && log->config.durability == PERSIST_FLUSH;
}

static void on_flushed(struct block_io *io) {
    struct persist_log *log = io->context;
    persist_io_finished(log, io);
    log->flushing = false;
    for (struct persist_entry *at = log->oldest; at != NULL; at = at->next) {
        at->durable = at->covered && io->status == OK;
    }
    persist_pump(log, context_current());
}

/* One flush at a time, once the oldest entry could be acknowledged by it; it covers
 * whatever has been written by now. */
static void start_flush(struct persist_log *log, struct context *context) {
    const struct persist_entry *oldest = log->oldest;
    if (!needs_flush(log) || log->flushing || log->failed != OK || oldest == NULL || oldest->writes_left > 0 ||
        oldest->durable) {
        return;
    }
    for (struct persist_entry *at = log->oldest; at != NULL; at = at->next) {
        at->covered = at->writes_left == 0;
    }
    log->flushing = true;
    log->counters.flushes++;
    log->flush = (struct block_io){.operation = BLOCK_FLUSH, .done = on_flushed, .context = log};
    persist_io_submit(log, context, &log->flush);
}

static bool is_durable(const struct persist_log *log, const struct persist_entry *entry) {
    return entry->writes_left == 0 && (!needs_flush(log) || entry->durable);
}

/* After a failure nothing becomes durable any more: whoever waits is told. An entry
 * whose writes are under way still belongs to the device. */
static void acknowledge(struct persist_log *log) {
    while (log->oldest != NULL && log->oldest->writes_left == 0 &&
           (log->failed != OK || is_durable(log, log->oldest))) {
        struct persist_entry *entry = log->oldest;
        log->oldest = entry->next;
        log->newest = log->oldest == NULL ? &log->oldest : log->newest;
        if (log->failed == OK) {
            log->durable_sequence = entry->sequence + 1;
            log->durable_position = entry->position + entry->granules;
            log->counters.acknowledged++;
        }
        entry->status = log->failed == OK ? OK : ERR_IO;
        if (entry->done != NULL) {
            entry->done(entry);
        }
        persist_log_entry_drop(entry);
    }
}

void persist_pump(struct persist_log *log, struct context *context) {
    drain_backlog(log, context);
    start_flush(log, context);
    acknowledge(log);
    start_flush(log, context);
    const uint64_t interval = log->config.repair_interval;
    if (interval != 0 && log->durable_sequence - log->repaired_sequence >= interval) {
        log->header_dirty = true;
    }
    persist_header_write(log, context);
}

/* ---- waiting ---- */

void persist_log_poll(struct persist_log *log, struct context *context) {
    (void)block_poll(log->config.device, context);
    persist_pump(log, context);
}

void persist_log_wait_any(struct persist_log *log, struct context *context) {
    drain_backlog(log, context);
    SIM_ASSERT_MSG(log->under_way > 0, "a log waits for nothing");
    block_wait(log->config.device, context, NULL);
}

enum error_code persist_log_wait(struct persist_log *log, struct context *context, uint64_t sequence) {
    SIM_ASSERT(sequence <= log->end_sequence);
    persist_pump(log, context);
    while (log->durable_sequence < sequence && log->oldest != NULL) {
        persist_log_wait_any(log, context);
        persist_pump(log, context);
    }
    return log->durable_sequence >= sequence ? OK : ERR_IO;
}

uint64_t persist_log_head(const struct persist_log *log) {
    return log->head_sequence;
}
uint64_t persist_log_durable(const struct persist_log *log) {
    return log->durable_sequence;
}
uint64_t persist_log_end(const struct persist_log *log) {
    return log->end_sequence;
}
uint64_t persist_log_room_bytes(const struct persist_log *log) {
    return (log->ring - (log->end_position - log->stored_head_position)) * log->granule_bytes;
}
const struct persist_counters *persist_log_counters(const struct persist_log *log) {
    return &log->counters;
}
bool persist_log_was_outdated(const struct persist_log *log) {
    return log->outdated;
}
