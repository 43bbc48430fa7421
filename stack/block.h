/* block.h: what storage code sees of a drive: blocks that can be read, written and
 * flushed, several at a time. A file system, a log, a trace replay stand on it,
 * whether they run in a kernel or in a library; what lies below (a driver with
 * interrupts, a library's own queue pair, a RAM disk) is the ops table's.
 *
 * Calls marked [context] are made from within the task of a core's context: they
 * charge what they take to its present work and take simulated time. */
#ifndef STILLSUIT_STACK_BLOCK_H
#define STILLSUIT_STACK_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/core.h"
#include "sim/error.h"
#include "sim/ledger.h"

enum block_operation { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH };

enum { BLOCK_SEGMENTS_MAX = 33 }; /* 128 KiB in frames that start anywhere */

/* A run of memory within one frame. */
struct block_segment {
    uint64_t physical;       /* for the processor */
    uint64_t device_address; /* for the device, as its IOMMU domain has it */
    uint32_t length_bytes;
};

/* One operation. The caller owns it; nobody touches it between submit and done. */
struct block_io {
    enum block_operation operation;
    bool force_unit_access; /* BLOCK_WRITE: durable when it is done */
    uint64_t block;         /* first, in the device's blocks */
    uint32_t blocks;
    uint32_t segment_count;
    struct block_segment segments[BLOCK_SEGMENTS_MAX]; /* together blocks * block_bytes */
    uint8_t purpose;                                   /* what it is for: enum block_purpose of block_trace.h */
    uint64_t call;                                     /* the call (fsync, say) that it belongs to; 0: none */
    struct request *request;                           /* rides along; NULL: nobody's */
    ledger_component owner;                            /* who holds it now, and again when done */
    enum error_code status;                            /* when done: OK; ERR_RANGE, ERR_DENIED, ERR_IO: the device's */
    bool finished;
    /* Called once it is finished, in whichever context takes the completion; NULL:
     * nobody is told. It may submit. */
    void (*done)(struct block_io *io);
    void *context;
    /* The device's own, while it is under way. */
    struct block_io *next;
    void *private;
    sim_time submitted;
};

struct block_device;

struct block_device_ops {
    const char *type_name;
    /* [context] Starts an operation. ERR_AGAIN: the device's queue is full (wait for
     * one and try again); ERR_RANGE: not blocks of the device; ERR_DENIED. */
    enum error_code (*submit)(struct block_device *device, struct context *context, struct block_io *io);
    /* [context] Returns when `io` is finished; NULL: when any that was under way is.
     * A kernel's thread sleeps meanwhile, a library's polls its completion queue. */
    void (*wait)(struct block_device *device, struct context *context, struct block_io *io);
    /* [context] Takes the completions that are there, without waiting; returns how
     * many. A device whose completions come by interrupt has none to take. */
    unsigned (*poll)(struct block_device *device, struct context *context);
};

/* What every device's own struct begins with. */
struct block_device {
    const struct block_device_ops *ops;
    const char *name;
    uint32_t block_bytes; /* 512 or 4096 */
    uint64_t blocks;
    uint32_t depth;      /* operations that may be under way */
    bool volatile_cache; /* what is written may be lost with the power until a flush */
};

static inline enum error_code block_submit(struct block_device *device, struct context *context, struct block_io *io) {
    return device->ops->submit(device, context, io);
}
static inline void block_wait(struct block_device *device, struct context *context, struct block_io *io) {
    device->ops->wait(device, context, io);
}
static inline unsigned block_poll(struct block_device *device, struct context *context) {
    return device->ops->poll != NULL ? device->ops->poll(device, context) : 0;
}

#endif
