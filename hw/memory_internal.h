/* memory_internal.h: what memory.c, memory_passengers.c and memory_watches.c share. */
#ifndef STILLSUIT_HW_MEMORY_INTERNAL_H
#define STILLSUIT_HW_MEMORY_INTERNAL_H

#include "hw/memory.h"

/* ---- Passengers: open addressing with linear probing, at most half full. ---- */
struct memory_seat {
    uint64_t address;
    struct request *request; /* NULL: free */
};
struct memory_passengers {
    struct memory_seat *seats;
    uint64_t capacity; /* a power of two */
    uint64_t count;
};
void memory_passengers_init(struct memory_passengers *passengers);
void memory_passengers_free(struct memory_passengers *passengers);

/* ---- Watches: lists in order of setting, by a hash of the line. ---- */
enum { MEMORY_WATCH_BUCKETS = 256, MEMORY_WATCH_PENDING = MEMORY_WATCH_BUCKETS };

/* One pass over a list; `next` moves on when that watch is cleared meanwhile. */
struct memory_watch_pass {
    struct memory_watch *next;
    struct memory_watch_pass *outer;
};
struct memory_watches {
    uint32_t count;
    uint32_t writing;               /* depth of memory_device_wrote */
    uint64_t lowest, highest;       /* no watched line is outside of these */
    struct memory_watch_pass *pass; /* innermost running, or NULL */
    /* The last list holds what was set by a callback: it takes part only later, so
     * that a callback that sets its watch again does not run without end. */
    struct memory_watch *lists[MEMORY_WATCH_BUCKETS + 1];
};

struct memory {
    uint64_t size_bytes;
    uint8_t **frames; /* by frame number; NULL: never written, all zero */
    uint64_t resident_frames;
    struct memory_slab *slabs;
    struct memory_passengers passengers;
    struct memory_watches watches;
};

#endif
