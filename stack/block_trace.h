/* block_trace.h: a block device that tells of every operation before it hands it to
 * the one below: which blocks, in which order, with which flushes, and what for.
 * Costs nothing and takes no time. */
#ifndef STILLSUIT_STACK_BLOCK_TRACE_H
#define STILLSUIT_STACK_BLOCK_TRACE_H

#include "stack/block.h"

/* What an operation is for: name in traces, help. */
#define BLOCK_PURPOSES(X)                                                                                              \
    X(other, "raw: no file system says")                                                                               \
    X(data, "contents of a file")                                                                                      \
    X(superblock, "superblock")                                                                                        \
    X(group, "group descriptors")                                                                                      \
    X(bitmap, "block bitmap")                                                                                          \
    X(inode, "inode table")                                                                                            \
    X(directory, "directory entries")                                                                                  \
    X(indirect, "indirect block or extent leaf")                                                                       \
    X(journal_descriptor, "journal: descriptor block")                                                                 \
    X(journal_metadata, "journal: copy of a metadata block")                                                           \
    X(journal_commit, "journal: commit block")                                                                         \
    X(journal_superblock, "journal: where it begins")                                                                  \
    X(tree_node, "node of a copy-on-write tree")                                                                       \
    X(log_node, "node of the log tree")                                                                                \
    X(barrier, "flush that orders what came before it")
enum block_purpose {
#define BLOCK_PURPOSE_ENUM(name, help) BLOCK_FOR_##name,
    BLOCK_PURPOSES(BLOCK_PURPOSE_ENUM)
#undef BLOCK_PURPOSE_ENUM
        BLOCK_PURPOSE_COUNT
};
const char *block_purpose_name(enum block_purpose purpose);

struct block_trace_event {
    sim_time submitted;
    uint64_t call;         /* which call (write, fsync) it belongs to; 0: none, background */
    const char *call_name; /* "fsync"; "" if nobody says */
    enum block_operation operation;
    bool force_unit_access;
    uint64_t block; /* of the device */
    uint32_t blocks;
    enum block_purpose purpose;
};

/* The caller's; a device like any other, that stands in front of `below`. */
struct block_tracer {
    struct block_device base;
    struct block_device *below;
    void (*sink)(void *context, const struct block_trace_event *event);
    void *context;
};
void block_tracer_init(struct block_tracer *tracer, struct block_device *below,
                       void (*sink)(void *context, const struct block_trace_event *event), void *context);

#endif
