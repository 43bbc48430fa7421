/* persist_layout.h: a persistent log as it lies on a drive.
 *
 * The area is a run of granules, a granule being a block of the device (512 bytes,
 * or 4 KiB). Two hold the log's header, in two versions of which the newer counts;
 * the others are a ring of entries:
 *
 *     granule 0, 1   header, generations even and odd
 *     granule 2...   the ring; position p lies in granule 2 + p % ring
 *
 * An entry is its header, the payload, and in the last bytes of its last granule the
 * end marker; it may run over the ring's end to its beginning. Positions count
 * granules and never go back. An entry's header names its own position, the next
 * entry's, its number, the log and the incarnation (how often the log had been opened
 * when it was written), under a checksum; the payload has one, too. So whatever
 * blocks a power cut kept or lost, and in whatever order, the end of the log is where
 * the first entry is missing, and nothing left over from an earlier lap, an earlier
 * log, or an earlier incarnation can be taken for one.
 *
 * All numbers are little-endian, as the hosts modelled here are. */
#ifndef STILLSUIT_LIBOS_MODEL_PERSIST_LAYOUT_H
#define STILLSUIT_LIBOS_MODEL_PERSIST_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

enum {
    PERSIST_HEADER_GRANULES = 2,
    PERSIST_RING_GRANULES_MIN = 4,
    PERSIST_VERSION = 1,
    PERSIST_ENTRY_MAGIC = 0x59544e45, /* "ENTY" */
    PERSIST_END_MAGIC = 0x44454e44    /* "DNED" */
};
#define PERSIST_LOG_MAGIC UINT64_C(0x474f4c5453495350) /* "PSISTLOG" */

/* The log's header. What it says of the end may be out of date: an append does not
 * write it. What it says of the head is what has been given up for good. */
struct persist_log_header {
    uint64_t magic;
    uint32_t version, granule_bytes;
    uint64_t granules;   /* of the area */
    uint64_t log;        /* the log's identity, drawn when it was made */
    uint64_t generation; /* of this header; its parity says in which granule it lies */
    uint64_t incarnation;
    uint64_t head_position, head_sequence; /* the oldest entry */
    uint64_t end_position, end_sequence;   /* behind the newest one known then */
    uint64_t entries;                      /* end_sequence - head_sequence */
    uint32_t reserved, checksum;           /* of the bytes before */
};
_Static_assert(sizeof(struct persist_log_header) == 96, "the log's header on media");
_Static_assert(offsetof(struct persist_log_header, head_position) == 48, "the log's header on media");
_Static_assert(offsetof(struct persist_log_header, checksum) == 92, "the checksum covers what comes before");

struct persist_entry_header {
    uint32_t magic;
    uint32_t length_bytes; /* of the payload, to the byte */
    uint64_t log, incarnation;
    uint64_t position, next; /* of this entry, of the next one */
    uint64_t sequence;       /* entries before it since the log was made */
    uint32_t reserved;
    uint32_t payload_checksum;
    uint32_t reserved_too;
    uint32_t checksum; /* of the bytes before */
};
_Static_assert(sizeof(struct persist_entry_header) == 64, "an entry's header on media");
_Static_assert(offsetof(struct persist_entry_header, checksum) == 60, "the checksum covers what comes before");

struct persist_end_marker {
    uint64_t sequence;
    uint32_t magic;
    uint32_t header_checksum; /* of the entry that ends here */
};
_Static_assert(sizeof(struct persist_end_marker) == 16, "an entry's end on media");

enum { PERSIST_ENTRY_OVERHEAD = sizeof(struct persist_entry_header) + sizeof(struct persist_end_marker) };

/* Granules of an entry with so many bytes of payload. */
static inline uint64_t persist_entry_granules(uint64_t length_bytes, uint32_t granule_bytes) {
    return (length_bytes + PERSIST_ENTRY_OVERHEAD + granule_bytes - 1) / granule_bytes;
}

/* The granule of a position, in an area of so many granules. */
static inline uint64_t persist_granule_of(uint64_t position, uint64_t granules) {
    return PERSIST_HEADER_GRANULES + position % (granules - PERSIST_HEADER_GRANULES);
}

#endif
