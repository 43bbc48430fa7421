/* persist_open.c: a log's header: opening, repair, giving up old entries, reading. */
#include <stdlib.h>
#include <string.h>

#include "libos_model/persist_internal.h"
#include "stack/crc32c.h"

/* ---- the header ---- */

/* The header's bytes into memory, and the write on its way. */
static void header_prepare(struct persist_log *log) {
    struct persist_log_header *header = &log->header;
    header->generation++;
    header->head_position = log->head_position;
    header->head_sequence = log->head_sequence;
    header->end_position = log->durable_position;
    header->end_sequence = log->durable_sequence;
    header->entries = header->end_sequence - header->head_sequence;
    header->checksum = persist_log_header_checksum(header);
    memory_fill(log->config.memory, persist_physical(log, 0), 0, log->granule_bytes);
    memory_write(log->config.memory, persist_physical(log, 0), header, sizeof *header);
    persist_io_prepare(log, &log->header_write, BLOCK_WRITE, header->generation % PERSIST_HEADER_GRANULES, 1, 0);
    log->header_write.force_unit_access = log->config.device->volatile_cache;
    log->written_head_position = header->head_position;
    log->repaired_sequence = header->end_sequence;
    log->counters.header_writes++;
}

static void finish_changes(struct persist_change *change, enum error_code status) {
    while (change != NULL) {
        struct persist_change *next = change->next;
        change->status = status;
        change->finished = true;
        change = next;
    }
}

static void on_header_written(struct block_io *io) {
    struct persist_log *log = io->context;
    persist_io_finished(log, io);
    log->header_writing = false;
    if (io->status == OK) {
        log->stored_head_position = log->written_head_position; /* the room before it may be written again */
    }
    struct persist_change *written = log->changes_writing;
    log->changes_writing = NULL;
    finish_changes(written, io->status);
    persist_pump(log, context_current());
}

void persist_header_write(struct persist_log *log, struct context *context) {
    if (!log->header_dirty || log->header_writing) {
        return;
    }
    if (log->failed != OK) {
        struct persist_change *lost = log->changes;
        log->changes = NULL;
        finish_changes(lost, ERR_IO);
        log->header_dirty = false;
        return;
    }
    log->header_dirty = false;
    log->header_writing = true;
    log->changes_writing = log->changes;
    log->changes = NULL;
    log->header_write.done = on_header_written;
    log->header_write.context = log;
    header_prepare(log);
    cpu_work_for(context, persist_components.append, NULL);
    cpu_touch(context, persist_physical(log, 0), sizeof log->header, true);
    persist_io_submit(log, context, &log->header_write);
}

static enum error_code header_write_now(struct persist_log *log, struct context *context) {
    struct persist_change change = {.finished = false};
    log->changes = &change;
    log->header_dirty = true;
    persist_header_write(log, context);
    persist_log_wait_change(log, context, &change);
    return change.status;
}

/* ---- opening ---- */

/* For persist_recover: a window of granules is read at once. */
static bool read_granule(void *reader, uint64_t granule, void *out) {
    struct persist_log *log = reader;
    if (granule < log->window_granule || granule >= log->window_granule + log->window_count) {
        const uint64_t most = PERSIST_WINDOW_BYTES / log->granule_bytes;
        const uint64_t rest =
            granule < PERSIST_HEADER_GRANULES ? PERSIST_HEADER_GRANULES - granule : log->granules - granule;
        log->window_granule = granule;
        log->window_count = rest < most ? rest : most;
        log->read.done = NULL;
        persist_io_prepare(log, &log->read, BLOCK_READ, granule, log->window_count, log->window);
        if (persist_io_wait(log, log->opener, &log->read) != OK) {
            log->window_count = 0;
            return false;
        }
    }
    const uint64_t at = log->window + (granule - log->window_granule) * log->granule_bytes;
    cpu_touch(log->opener, persist_physical(log, at), log->granule_bytes, false);
    memory_read(log->config.memory, persist_physical(log, at), out, log->granule_bytes);
    return true;
}

static void remember(void *context, const struct persist_entry_header *header, const uint8_t *payload) {
    (void)payload;
    struct persist_log *log = context;
    if (log->end_sequence == 0) { /* the first that is met is the head */
        log->head_sequence = header->sequence;
    }
    persist_place_set(log, header->sequence, (struct persist_place){header->position, header->length_bytes});
    log->end_sequence = header->sequence + 1;
}

/* What the device holds in its cache only would be missing after a power cut behind
 * a header that counts it. */
static enum error_code flush_now(struct persist_log *log, struct context *context) {
    if (!log->config.device->volatile_cache) {
        return OK;
    }
    log->read = (struct block_io){.operation = BLOCK_FLUSH};
    return persist_io_wait(log, context, &log->read);
}

static void set_places(struct persist_log *log, const struct persist_recovered *found) {
    log->header = found->header;
    log->stored_head_position = log->head_position = found->header.head_position;
    log->head_sequence = found->header.head_sequence;
    log->durable_position = log->end_position = found->end_position;
    log->durable_sequence = log->end_sequence = found->end_sequence;
}

enum error_code persist_log_open(struct persist_log *log, struct context *context) {
    struct persist_recovered found;
    SIM_ASSERT(!log->open);
    cpu_work_for(context, persist_components.read, NULL);
    log->opener = context;
    log->window_count = 0;
    const struct persist_area area = {
        .granule_bytes = log->granule_bytes, .granules = log->granules, .read = read_granule, .context = log};
    enum error_code code = persist_recover(&area, remember, log, &found);
    log->opener = NULL;
    if (code == OK) {
        code = flush_now(log, context);
    }
    if (code != OK) {
        return code;
    }
    set_places(log, &found);
    log->outdated = found.outdated;
    log->header.incarnation++; /* nothing that was under way before can be taken for what comes */
    code = header_write_now(log, context);
    log->open = code == OK;
    return code;
}

/* Both generations are written, so that no header of an older log is left. */
enum error_code persist_log_format(struct persist_log *log, struct context *context) {
    const struct persist_recovered fresh = {.header = {.magic = PERSIST_LOG_MAGIC,
                                                       .version = PERSIST_VERSION,
                                                       .granule_bytes = log->granule_bytes,
                                                       .granules = log->granules,
                                                       .log = log->config.log,
                                                       .incarnation = 1}};
    SIM_ASSERT(!log->open);
    set_places(log, &fresh);
    enum error_code code = OK;
    for (int i = 0; i < PERSIST_HEADER_GRANULES && code == OK; i++) {
        code = header_write_now(log, context);
    }
    log->open = code == OK;
    return code;
}

enum error_code persist_log_close(struct persist_log *log, struct context *context) {
    SIM_ASSERT(log->open);
    enum error_code code = persist_log_wait(log, context, log->end_sequence);
    if (code == OK && log->repaired_sequence != log->durable_sequence) {
        log->header_dirty = true;
    }
    persist_pump(log, context);
    while (log->under_way > 0) {
        persist_log_wait_any(log, context);
    }
    log->open = false;
    return log->failed == OK ? code : ERR_IO;
}

/* ---- trim ---- */

enum error_code persist_log_trim(struct persist_log *log, struct context *context, uint64_t sequence,
                                 struct persist_change *change) {
    if (sequence < log->head_sequence || sequence > log->durable_sequence) {
        return ERR_RANGE;
    }
    if (sequence > log->head_sequence) {
        const struct persist_place *last = persist_place(log, sequence - 1);
        log->head_position = last->position + persist_entry_granules(last->length_bytes, log->granule_bytes);
        log->counters.trimmed += sequence - log->head_sequence;
        log->head_sequence = sequence;
    }
    *change = (struct persist_change){.next = log->changes};
    log->changes = change;
    log->header_dirty = true;
    persist_header_write(log, context);
    return OK;
}

void persist_log_wait_change(struct persist_log *log, struct context *context, const struct persist_change *change) {
    persist_pump(log, context);
    while (!change->finished) {
        persist_log_wait_any(log, context);
    }
}

/* ---- reading ---- */

/* The entry's granules into the window; in two reads if it runs over the ring's end. */
static enum error_code read_granules(struct persist_log *log, struct context *context, uint64_t position,
                                     uint64_t granules, struct request *request) {
    uint64_t done = 0;
    while (done < granules) {
        const uint64_t granule = persist_granule_of(position + done, log->granules);
        const uint64_t to_end = log->granules - granule;
        const uint64_t count = granules - done < to_end ? granules - done : to_end;
        log->read.done = NULL;
        persist_io_prepare(log, &log->read, BLOCK_READ, granule, count, log->window + done * log->granule_bytes);
        log->read.request = request;
        log->read.owner = persist_components.read;
        const enum error_code code = persist_io_wait(log, context, &log->read);
        if (code != OK) {
            return code;
        }
        done += count;
    }
    return OK;
}

static bool entry_is_whole(const struct persist_log *log, uint64_t position, uint64_t sequence, uint64_t granules) {
    const uint64_t at = persist_physical(log, log->window);
    struct persist_entry_header header;
    memory_read(log->config.memory, at, &header, sizeof header);
    if (header.magic != PERSIST_ENTRY_MAGIC || header.checksum != persist_entry_header_checksum(&header) ||
        header.position != position || header.sequence != sequence || header.next != position + granules ||
        header.length_bytes != persist_place(log, sequence)->length_bytes) {
        return false;
    }
    uint8_t *payload = malloc(header.length_bytes + 1);
    SIM_ASSERT(payload != NULL);
    memory_read(log->config.memory, at + sizeof header, payload, header.length_bytes);
    const bool whole = crc32c(0, payload, header.length_bytes) == header.payload_checksum;
    free(payload);
    return whole;
}

enum error_code persist_log_read(struct persist_log *log, struct context *context, uint64_t sequence, uint64_t physical,
                                 uint32_t capacity_bytes, uint32_t *length_bytes, struct request *request,
                                 ledger_component owner) {
    if (sequence < log->head_sequence || sequence >= log->durable_sequence) {
        return ERR_NOT_FOUND;
    }
    const struct persist_costs *costs = &log->config.costs;
    const uint32_t length = persist_place(log, sequence)->length_bytes;
    const uint64_t granules = persist_entry_granules(length, log->granule_bytes);
    const uint64_t position = persist_place(log, sequence)->position;
    cpu_work_for(context, persist_components.read, request);
    persist_charge(context, costs->append, 1.0, costs->lines_at);
    enum error_code code = read_granules(log, context, position, granules, request);
    cpu_work_for(context, persist_components.read, request);
    if (code == OK) {
        cpu_touch(context, persist_physical(log, log->window), (uint32_t)(length + sizeof(struct persist_entry_header)),
                  false);
        persist_charge(context, costs->checksum_per_kib, length / 1024.0, costs->lines_at);
        code = entry_is_whole(log, position, sequence, granules) ? OK : ERR_IO;
    }
    if (code == OK) {
        const uint32_t take = length < capacity_bytes ? length : capacity_bytes;
        cpu_copy(context, physical, persist_physical(log, log->window) + sizeof(struct persist_entry_header), take);
        *length_bytes = length;
        log->counters.read++;
    }
    cpu_work_for(context, owner != 0 ? owner : persist_components.read, request);
    return code;
}
