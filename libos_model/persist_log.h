/* persist_log.h: a persistent log in a library, on whatever block device the library
 * has: open, close, create an entry, append, iterate, trim (Arrakis' TAPS; Peter et
 * al., OSDI 2014, section 3.6).
 *
 * An append returns at once and calls back when the entry is durable. Many may be
 * under way; they are acknowledged in order, each only when it and all before it are
 * durable, so that what was acknowledged is always a prefix. Where the device may lose
 * what was written, a flush makes it durable, one for all entries that have been
 * written by then (group commit), or each write forces its own way to the medium
 * (FUA). The log's header is not written with an append: opening finds the end by
 * looking for whole entries (persist_layout.h), and repairs the header.
 *
 * Everything is [context]: made by one thread of the library, whose context pays. */
#ifndef STILLSUIT_LIBOS_MODEL_PERSIST_LOG_H
#define STILLSUIT_LIBOS_MODEL_PERSIST_LOG_H

#include "hw/memory.h"
#include "libos_model/persist_recover.h"
#include "sim/param.h"
#include "stack/block.h"

/* How an entry becomes durable on a device with a volatile cache. */
enum persist_durability {
    PERSIST_FLUSH,  /* a flush after the writes */
    PERSIST_FUA,    /* every write past the cache */
    PERSIST_NOTHING /* neither: loses entries with the power; to show that a test sees it */
};

/* What the library's code costs, and where the lines that it touches lie. NULL: nothing. */
struct persist_costs {
    struct cost *create, *append, *checksum_per_kib, *complete;
    uint64_t lines_at;
};

struct persist_log_config {
    struct block_device *device;
    uint64_t first_block, blocks; /* of the device: the log's area */
    struct memory *memory;
    /* Memory of the library that the device reaches, contiguous to both:
     * persist_log_memory_bytes of it, beginning at a frame. */
    uint64_t physical, device_address;
    uint32_t in_flight;   /* appends that may be under way, at least 1 */
    uint32_t entry_bytes; /* the largest payload */
    uint64_t log;         /* the identity of one that is made */
    uint64_t repair_interval;
    /* ^ entries after which the header is brought up to date in passing; 0: only by
     * trim, pop and close */
    enum persist_durability durability;
    struct persist_costs costs;
};

struct persist_log;

/* One entry, from creation until it is durable. The log owns it. */
struct persist_entry {
    uint64_t payload; /* physical: where the bytes go, before append */
    uint32_t capacity_bytes, length_bytes;
    struct request *request; /* rides along, from whoever below "cpu" has it; "log_commit"
                                has it when `done` is called; NULL: nobody's */
    enum error_code status;
    uint64_t position, sequence; /* once appended */
    /* Called once it is durable, or has failed; the entry is the log's again when it
     * returns. NULL: nobody is told. It may create and append. */
    void (*done)(struct persist_entry *entry);
    void *context;
    /* The log's own. */
    struct persist_log *log;
    struct persist_entry *next;
    uint64_t at, granules; /* its memory, from the log's on; its size on media */
    uint32_t writes_left;
    bool covered; /* a flush that is under way, or done, was asked for after it was written */
    bool durable;
    struct block_io writes[2]; /* the second one if it runs over the ring's end */
};

/* A change of the head that is under way (trim, pop). The caller owns it. */
struct persist_change {
    bool finished;
    enum error_code status;
    struct persist_change *next;
};

struct persist_counters {
    uint64_t appended, acknowledged, bytes, flushes, header_writes, trimmed, read, full, retries;
};

/* Bytes of memory that such a log needs; granule, entry_bytes and in_flight count. */
uint64_t persist_log_memory_bytes(const struct persist_log_config *config);
/* A log that is not open. NULL with `error` for an area that is too small or not the
 * device's. The caller frees it. */
struct persist_log *persist_log_create(const struct persist_log_config *config, struct error *error);
void persist_log_free(struct persist_log *log);

/* Opens the log that is in the area: finds its end, repairs its header. ERR_NOT_FOUND:
 * there is none; ERR_IO: it is damaged, or the device failed. */
enum error_code persist_log_open(struct persist_log *log, struct context *context);
/* Makes a new, empty one there, and opens it. */
enum error_code persist_log_format(struct persist_log *log, struct context *context);
/* Waits for all that is under way and brings the header up to date. */
enum error_code persist_log_close(struct persist_log *log, struct context *context);

/* An entry with room for so many bytes, or NULL with ERR_AGAIN (all are under way: wait
 * for one) or ERR_RANGE (larger than the log was made for). */
struct persist_entry *persist_log_entry(struct persist_log *log, struct context *context, uint32_t bytes,
                                        enum error_code *code);
/* Gives back an entry that was not appended. */
void persist_log_entry_drop(struct persist_entry *entry);
/* Puts the entry, with length_bytes of payload, at the log's end, and returns.
 * ERR_EXHAUSTED: no room (trim); ERR_IO: the device failed once; the entry is the
 * caller's still. */
enum error_code persist_log_append(struct persist_entry *entry, struct context *context);

/* Entries that are durable: sequence numbers head..durable - 1 can be read. */
uint64_t persist_log_head(const struct persist_log *log);
uint64_t persist_log_durable(const struct persist_log *log);
/* The sequence number that the next entry gets. */
uint64_t persist_log_end(const struct persist_log *log);
/* Takes completions that are there and goes on with what they make possible. */
void persist_log_poll(struct persist_log *log, struct context *context);
/* Returns once all entries before `sequence` are durable; ERR_IO if they never will be. */
enum error_code persist_log_wait(struct persist_log *log, struct context *context, uint64_t sequence);
/* Returns once something of the log's has finished. */
void persist_log_wait_any(struct persist_log *log, struct context *context);

/* Reads one durable entry into memory, as much as fits, for `request` (NULL: nobody's),
 * which `owner` has before and after. ERR_NOT_FOUND: no such entry; ERR_IO: it is
 * damaged. To iterate: from head on. */
enum error_code persist_log_read(struct persist_log *log, struct context *context, uint64_t sequence, uint64_t physical,
                                 uint32_t capacity_bytes, uint32_t *length_bytes, struct request *request,
                                 ledger_component owner);
/* Gives up the oldest entries, up to `sequence`; `change` tells when that is durable
 * (their room is free from then on, and they do not come back). ERR_RANGE: that far
 * the log is not durable. */
enum error_code persist_log_trim(struct persist_log *log, struct context *context, uint64_t sequence,
                                 struct persist_change *change);
void persist_log_wait_change(struct persist_log *log, struct context *context, const struct persist_change *change);

/* Bytes that can be appended before a trim is due, headers and padding included. */
uint64_t persist_log_room_bytes(const struct persist_log *log);
const struct persist_counters *persist_log_counters(const struct persist_log *log);
/* Whether opening found the header out of date. */
bool persist_log_was_outdated(const struct persist_log *log);

/* Components below "cpu": "log_append" (the library's code), "log_commit" (an entry is
 * written and waits for those before it or for the flush), "log_read". */
struct persist_components {
    ledger_component append, commit, read;
};
extern struct persist_components persist_components;
void persist_declare_components(void);

#endif
