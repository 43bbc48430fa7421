/* persist_internal.h: what the log's files share. */
#ifndef STILLSUIT_LIBOS_MODEL_PERSIST_INTERNAL_H
#define STILLSUIT_LIBOS_MODEL_PERSIST_INTERNAL_H

#include "libos_model/persist_log.h"

enum { PERSIST_WINDOW_BYTES = 16384 }; /* read at once while the end is looked for */

struct persist_place {
    uint64_t position;
    uint32_t length_bytes;
};

struct persist_log {
    struct persist_log_config config;
    uint32_t granule_bytes;
    uint64_t granules, ring;
    struct persist_log_header header; /* as written last */
    bool open, outdated;
    enum error_code failed; /* the device's first error: nothing can become durable after it */

    /* Positions and sequence numbers: what is on media for good, what is given up, what
     * was acknowledged, what was appended. */
    uint64_t stored_head_position;
    uint64_t head_position, head_sequence;
    uint64_t durable_position, durable_sequence;
    uint64_t end_position, end_sequence;
    struct persist_place *places; /* of the live entries, by sequence modulo its capacity */
    uint64_t places_capacity;

    struct persist_entry *entries, *free_entries;
    struct persist_entry *oldest, **newest;  /* under way, in order */
    struct block_io *backlog, **backlog_end; /* that the device had no room for */
    uint32_t under_way;                      /* operations at the device */

    bool flushing;
    struct block_io flush;
    bool header_dirty, header_writing;
    struct block_io header_write;
    uint64_t written_head_position;                   /* in the header that is being written */
    struct persist_change *changes, *changes_writing; /* waiting for a header; for the one being written */
    uint64_t repaired_sequence;                       /* the end in the newest header */

    uint64_t window; /* offset of the memory for reading */
    struct block_io read;
    uint64_t window_granule, window_count; /* what it holds while the end is looked for */
    struct context *opener;
    struct persist_counters counters;
};

static inline uint64_t persist_physical(const struct persist_log *log, uint64_t offset) {
    return log->config.physical + offset;
}

/* Fills in where `granules` granules of the log's memory from `offset` on lie, and
 * where they go on the device. */
void persist_io_prepare(struct persist_log *log, struct block_io *io, enum block_operation operation, uint64_t granule,
                        uint64_t granules, uint64_t offset);
/* Submits, or puts it into the backlog. */
void persist_io_submit(struct persist_log *log, struct context *context, struct block_io *io);
/* Counts a completion; a failure is for good. */
void persist_io_finished(struct persist_log *log, const struct block_io *io);
/* Goes on: backlog, flush, acknowledgements, header. */
void persist_pump(struct persist_log *log, struct context *context);
/* Submits `io`, which has no `done`, and returns when it is finished. */
enum error_code persist_io_wait(struct persist_log *log, struct context *context, struct block_io *io);
/* Writes the header if it is dirty and none is under way. */
void persist_header_write(struct persist_log *log, struct context *context);
/* Remembers where entry `sequence` lies, whose predecessors are known. */
void persist_place_set(struct persist_log *log, uint64_t sequence, struct persist_place place);
static inline const struct persist_place *persist_place(const struct persist_log *log, uint64_t sequence) {
    SIM_ASSERT(log->places_capacity != 0);
    return &log->places[sequence % log->places_capacity];
}
void persist_charge(struct context *context, struct cost *cost, double factor, uint64_t lines_at);

#endif
