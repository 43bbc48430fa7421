/* linux_block.c: the block layer. Without a scheduler an operation goes to the driver
 * as it is, as bio-based drivers have it (brd, NVMe in 3.8). With one, operations wait
 * on the thread's plug until it needs them, are joined where they are neighbours, and
 * go to the driver in the scheduler's order, so many at a time. */
#include <stdlib.h>

#include "kernel_model/linux/linux_storage.h"

enum {
    PLUG_MAX = 16, /* BLK_MAX_REQUEST_COUNT */
    REQUEST_BYTES_MAX = 131072,
    WRITES_STARVED = 2 /* batches of reads that may pass a write */
};

/* What the driver is given: one operation, or several neighbours. */
struct request_of_block {
    struct block_io io;
    struct block_io *first, *last; /* members, by their `next` */
    struct request_of_block *next;
    sim_time deadline;
};

struct linux_block_layer {
    struct block_device base;
    struct linux_storage *storage;
    struct request_of_block *plug, *plug_last; /* not given to the scheduler yet */
    unsigned plugged;
    struct request_of_block *queue; /* in order of arrival */
    struct request_of_block *free_requests;
    uint64_t position; /* behind the last one that was given to the driver */
    unsigned starved;
    uint64_t in_flight;
};

/* ---- requests ---- */

static struct request_of_block *make(struct linux_block_layer *layer, struct block_io *member) {
    struct request_of_block *request = layer->free_requests;
    if (request == NULL) {
        request = malloc(sizeof *request);
        SIM_ASSERT_MSG(request != NULL, "out of memory");
    } else {
        layer->free_requests = request->next;
    }
    const struct linux_storage_config *config = &layer->storage->config;
    request->io = *member;
    request->io.done = NULL;
    request->io.private = NULL;
    request->io.context = request;
    member->next = NULL;
    request->first = request->last = member;
    request->next = NULL;
    request->deadline = sim_now() + (member->operation == BLOCK_READ ? config->read_expire : config->write_expire);
    return request;
}

static bool is_joinable(const struct block_io *io) {
    return io->operation != BLOCK_FLUSH && !io->force_unit_access;
}

/* Back merge: `io` begins where the request ends. */
static bool join(struct linux_block_layer *layer, struct request_of_block *request, struct block_io *io) {
    struct block_io *whole = &request->io;
    if (!is_joinable(io) || !is_joinable(whole) || io->operation != whole->operation ||
        whole->block + whole->blocks != io->block ||
        whole->segment_count + io->segment_count > BLOCK_SEGMENTS_MAX - 1 ||
        (uint64_t)(whole->blocks + io->blocks) * layer->base.block_bytes > REQUEST_BYTES_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < io->segment_count; ++i) {
        whole->segments[whole->segment_count++] = io->segments[i];
    }
    whole->blocks += io->blocks;
    io->next = NULL;
    request->last->next = io;
    request->last = io;
    layer->storage->counters.block_merges += 1;
    return true;
}

/* ---- the scheduler ---- */

static struct request_of_block **oldest(struct linux_block_layer *layer, enum block_operation operation) {
    struct request_of_block **at = &layer->queue;
    while (*at != NULL && (*at)->io.operation != operation) {
        at = &(*at)->next;
    }
    return at;
}

/* The nearest behind the head's position, else the first of all: one way. */
static struct request_of_block **nearest(struct linux_block_layer *layer, enum block_operation operation) {
    struct request_of_block **ahead = NULL, **lowest = NULL;
    for (struct request_of_block **at = &layer->queue; *at != NULL; at = &(*at)->next) {
        if ((*at)->io.operation != operation) {
            continue;
        }
        const uint64_t block = (*at)->io.block;
        if (block >= layer->position && (ahead == NULL || block < (*ahead)->io.block)) {
            ahead = at;
        }
        lowest = lowest == NULL || block < (*lowest)->io.block ? at : lowest;
    }
    return ahead != NULL ? ahead : lowest;
}

/* deadline-iosched: reads before writes, unless writes have waited twice; the oldest if
 * it has expired, else the next in the direction of the head. */
static struct request_of_block **choose(struct linux_block_layer *layer) {
    if (layer->storage->config.scheduler == LINUX_SCHEDULER_NOOP || layer->queue->io.operation == BLOCK_FLUSH) {
        return &layer->queue;
    }
    struct request_of_block **reads = oldest(layer, BLOCK_READ), **writes = oldest(layer, BLOCK_WRITE);
    if (*reads == NULL && *writes == NULL) {
        return &layer->queue;
    }
    const bool read = *reads != NULL && (*writes == NULL || layer->starved < WRITES_STARVED);
    layer->starved = read && *writes != NULL ? layer->starved + 1 : 0;
    struct request_of_block **first = read ? reads : writes;
    return (*first)->deadline <= sim_now() ? first : nearest(layer, read ? BLOCK_READ : BLOCK_WRITE);
}

static void dispatch(struct linux_block_layer *layer, struct context *context) {
    while (layer->queue != NULL && layer->in_flight < layer->storage->config.queue_depth) {
        struct request_of_block **at = choose(layer), *request = *at;
        SIM_ASSERT(request != NULL); /* it chooses one of a queue that is not empty */
        *at = request->next;
        layer->in_flight += 1;
        const enum error_code code = block_submit(layer->storage->disk, context, &request->io);
        if (code == ERR_AGAIN) { /* the driver's queue is full: an end of another brings us back */
            layer->in_flight -= 1;
            request->next = layer->queue;
            layer->queue = request;
            return;
        }
        layer->position = request->io.block + request->io.blocks;
        if (code != OK) {
            request->io.status = code;
            linux_block_ended(layer->storage, context, &request->io);
        }
    }
}

static void unplug(struct linux_block_layer *layer, struct context *context) {
    struct request_of_block **last = &layer->queue;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = layer->plug;
    layer->plug = layer->plug_last = NULL;
    layer->plugged = 0;
    dispatch(layer, context);
}

void linux_block_ended(struct linux_storage *storage, struct context *context, struct block_io *io) {
    struct linux_block_layer *layer = storage->layer;
    linux_charge(context, &storage->profile.block_complete, 1);
    io->finished = true;
    if (storage->config.scheduler == LINUX_SCHEDULER_NONE) {
        if (io->done != NULL) {
            io->done(io);
        }
        return;
    }
    struct request_of_block *request = io->context;
    for (struct block_io *member = request->first, *next; member != NULL; member = next) {
        next = member->next;
        member->status = io->status;
        member->finished = true;
        if (member->done != NULL) {
            member->done(member);
        }
    }
    request->next = layer->free_requests;
    layer->free_requests = request;
    layer->in_flight -= 1;
    dispatch(layer, context);
}

/* ---- the device that the file system sees ---- */

static void count(struct linux_storage *storage, const struct block_io *io) {
    uint64_t *const counters[] = {[BLOCK_READ] = &storage->counters.block_reads,
                                  [BLOCK_WRITE] = &storage->counters.block_writes,
                                  [BLOCK_FLUSH] = &storage->counters.block_flushes};
    *counters[io->operation] += 1;
}

static enum error_code enqueue(struct linux_block_layer *layer, struct context *context, struct block_io *io) {
    linux_charge(context, &layer->storage->profile.block_merge, 1);
    io->finished = false;
    if (layer->plug_last == NULL || !join(layer, layer->plug_last, io)) {
        struct request_of_block *request = make(layer, io);
        *(layer->plug_last != NULL ? &layer->plug_last->next : &layer->plug) = request;
        layer->plug_last = request;
        layer->plugged += 1;
    }
    if (layer->plugged >= PLUG_MAX || !is_joinable(io)) {
        unplug(layer, context);
    }
    return OK;
}

static enum error_code submit(struct block_device *device, struct context *context, struct block_io *io) {
    struct linux_block_layer *layer = (struct linux_block_layer *)device;
    struct linux_storage *storage = layer->storage;
    struct linux_file_call *call = linux_call_of(storage->system, context);
    SIM_ASSERT_MSG(call != NULL, "block I/O outside of a call");
    const ledger_component before = call->at;
    linux_call_work(call, call->components->block);
    linux_charge(context, &storage->profile.block_submit, 1);
    const enum error_code code = storage->config.scheduler == LINUX_SCHEDULER_NONE
                                     ? block_submit(storage->disk, context, io)
                                     : enqueue(layer, context, io);
    if (code == OK) {
        count(storage, io);
    }
    linux_call_work(call, before);
    return code;
}

static void wait_for(struct block_device *device, struct context *context, struct block_io *io) {
    struct linux_block_layer *layer = (struct linux_block_layer *)device;
    struct linux_file_call *call = linux_call_of(layer->storage->system, context);
    const ledger_component before = call->at;
    linux_call_work(call, call->components->block);
    if (layer->plug != NULL || layer->queue != NULL) {
        unplug(layer, context);
    }
    if (io == NULL || !io->finished) {
        block_wait(layer->storage->disk, context, io);
    }
    linux_call_work(call, before);
}

static const struct block_device_ops ops = {.type_name = "linux", .submit = submit, .wait = wait_for};

struct block_device *linux_block_open(struct linux_storage *storage, struct block_device *disk) {
    struct linux_block_layer *layer = calloc(1, sizeof *layer);
    SIM_ASSERT_MSG(layer != NULL, "out of memory");
    layer->base = *disk;
    layer->base.ops = &ops;
    layer->storage = storage;
    storage->layer = layer;
    return &layer->base;
}

void linux_block_close(struct linux_storage *storage) {
    struct linux_block_layer *layer = storage->layer;
    while (layer != NULL && layer->free_requests != NULL) {
        struct request_of_block *request = layer->free_requests;
        layer->free_requests = request->next;
        free(request);
    }
    free(layer);
}
