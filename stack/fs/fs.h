/* fs.h: a file system over a block device: ext2, ext3, ext4 and btrfs as behaviours
 * of one model. It does not know whether it runs in a kernel or in a library: who
 * places it gives it memory, ways to sleep and to wake, and a context to charge.
 *
 * What a call costs comes out of what it does: blocks found in bitmaps, inodes and
 * maps updated, pages written, a journal's transaction or a tree's new nodes, each
 * written to the device and read back from there. See docs/storage-linux.md for the
 * blocks, their order and the flushes.
 *
 * Pages of files are kept here, since a journal must write them in order; who may
 * have how many, and when they are written back, is the caller's policy.
 *
 * All calls are [context]: within the task of call->cpu, charging and taking time. */
#ifndef STILLSUIT_STACK_FS_FS_H
#define STILLSUIT_STACK_FS_FS_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/core.h"
#include "hw/memory.h"
#include "sim/param.h"
#include "stack/block.h"
#include "stack/block_trace.h"

enum { FS_PAGE_BYTES = 4096 }; /* its block, and a page */

enum fs_kind { FS_EXT2, FS_EXT3, FS_EXT4, FS_BTRFS, FS_KINDS };
extern const char *const fs_kind_names[FS_KINDS + 1]; /* "ext2", ...; NULL ends */

/* What the steps of one file system cost; one section a file system in a profile. */
#define FS_COSTS(X)                                                                                                    \
    X(open, "finding a file by its name")                                                                              \
    X(write, "write_begin and write_end for one page of a write")                                                      \
    X(update, "changing the inode in a write: size and time, with the journal's handle or the tree's reservation")     \
    X(new_page, "adding a page to the page cache")                                                                     \
    X(reserve, "reserving a block that is allocated later")                                                            \
    X(allocate, "finding a block and mapping it")                                                                      \
    X(read, "reading one page from the page cache")                                                                    \
    X(direct, "O_DIRECT: pinning and mapping, for each page")                                                          \
    X(sync, "fsync itself: walking the mapping, waiting for pages")                                                    \
    X(writepage, "preparing one dirty page for the device, and ending its write-back")                                 \
    X(metadata_write, "writing one metadata block in its place")                                                       \
    X(commit, "one commit of a transaction or of the log tree, without its blocks")                                    \
    X(commit_block, "each metadata block of a commit: its tag, its copy's buffer, or its node's checksum and header")  \
    X(tree_update, "one item of a tree: search, copy on write of the path, insertion")                                 \
    X(checksum_per_kib, "CRC-32C of 1 KiB of data, in proportion")
struct fs_costs {
#define FS_COST_MEMBER(name, help) struct cost name;
    FS_COSTS(FS_COST_MEMBER)
#undef FS_COST_MEMBER
};
extern const struct param fs_cost_params[];

struct fs_options {
    int kind;                /* enum fs_kind */
    uint64_t journal_blocks; /* of 4 KiB; at least 64 */
    bool barriers;           /* flush the device where order asks for it */
    bool journal_checksums;
};

/* Threads that sleep until something happens; the host's. Zeroed: none. */
struct fs_queue {
    void *sleepers;
};

/* What a call works for. */
enum fs_work { FS_WORK_CODE, FS_WORK_COPY, FS_WORK_JOURNAL };
struct fs_call {
    struct context *cpu;
    uint64_t id; /* in traces; 0: background */
    void *user;  /* the host's */
};

/* What the placement provides. */
struct fs_host {
    struct memory *memory;
    void *context;
    uint64_t working_set; /* physical address of the lines that the costs touch */
    sim_time time_step;   /* of the clock that inodes' times come from (a kernel's tick) */
    /* A frame that the device may reach (device address = physical address); 0: none. */
    uint64_t (*frame_allocate)(void *context);
    void (*frame_release)(void *context, uint64_t frame);
    /* Sleeps until fs_host.wake of that queue; wakes everybody in it. The second may
     * be called wherever a context runs. */
    void (*sleep)(void *context, const struct fs_call *call, struct fs_queue *queue);
    void (*wake)(void *context, const struct fs_call *call, struct fs_queue *queue);
    /* Says what the charges that follow are for; NULL: nobody asks. */
    void (*work)(void *context, const struct fs_call *call, enum fs_work work);
    /* Has a thread of its own run fs_commit and returns when transaction `sequence` is
     * committed; NULL: the caller commits by itself. */
    void (*commit)(void *context, const struct fs_call *call, uint64_t sequence);
};

struct fs;
struct fs_file;

/* Bytes of working set that the costs' lines ask for. */
uint64_t fs_working_set_bytes(const struct fs_costs *costs);

/* A file system that is not mounted yet. `costs` is charged and must outlive it. The
 * caller frees it (after the run). ERR_RANGE: the device is too small for it. */
enum error_code fs_create(struct block_device *device, const struct fs_host *host, const struct fs_options *options,
                          struct fs_costs *costs, struct fs **fs, struct error *error);
void fs_free(struct fs *fs);

/* Writes an empty file system onto the device. */
enum error_code fs_format(struct fs *fs, const struct fs_call *call);
/* Reads it, after a crash too: replays journal or log tree and writes the result.
 * ERR_NOT_FOUND: there is none; ERR_IO: it cannot be read. */
enum error_code fs_mount(struct fs *fs, const struct fs_call *call);

/* Opens, or creates. `size_bytes`: blocks for so many bytes are allocated and the
 * file is at least so large; they read as what the device holds (zeroes, if new). */
enum error_code fs_open(struct fs *fs, const struct fs_call *call, const char *name, uint64_t size_bytes,
                        struct fs_file **file);
uint64_t fs_size(const struct fs_file *file);
/* Through the page cache. `offset` UINT64_MAX: at the end. ERR_EXHAUSTED: the device
 * or the host's memory is full; ERR_IO. A read ends at the end of the file. */
enum error_code fs_write(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t offset,
                         uint64_t physical, uint32_t length_bytes);
enum error_code fs_read(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t offset,
                        uint64_t physical, uint32_t length_bytes);
/* O_DIRECT: past the page cache. Offset and length are multiples of the device's
 * block, the memory is aligned likewise (else ERR_RANGE), whatever the pages hold of
 * it is written first and forgotten. */
enum error_code fs_write_direct(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t offset,
                                uint64_t physical, uint32_t length_bytes);
enum error_code fs_read_direct(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t offset,
                               uint64_t physical, uint32_t length_bytes);
/* fsync, or fdatasync: returns when what was written is durable. */
enum error_code fs_sync(struct fs *fs, const struct fs_call *call, struct fs_file *file, bool data_only);

/* ---- for the caller's background threads ---- */
/* Commits what has been changed so far (jbd2's thread, btrfs's transaction thread). */
enum error_code fs_commit(struct fs *fs, const struct fs_call *call);
/* The transaction that is open now and the last that is committed; when the open one
 * has taken its first block, or SIM_TIME_MAX. */
uint64_t fs_open_transaction(const struct fs *fs);
uint64_t fs_committed_transaction(const struct fs *fs);
sim_time fs_transaction_since(const struct fs *fs);
/* Writes back pages that were dirtied before `before`, at most about `limit`; then
 * metadata in its place. */
enum error_code fs_write_back(struct fs *fs, const struct fs_call *call, sim_time before, uint64_t limit);
uint64_t fs_dirty_pages(const struct fs *fs);
uint64_t fs_cached_pages(const struct fs *fs);
/* When the oldest dirty page or metadata block became so; SIM_TIME_MAX: none is. */
sim_time fs_dirty_since(const struct fs *fs);
/* Frees up to `count` clean pages, the least recently used first; how many it was. */
uint64_t fs_shrink(struct fs *fs, uint64_t count);

/* Since the last reset. */
#define FS_COUNTERS(X)                                                                                                 \
    X(writes)                                                                                                          \
    X(reads)                                                                                                           \
    X(syncs)                                                                                                           \
    X(page_hits)                                                                                                       \
    X(page_misses)                                                                                                     \
    X(pages_read_ahead)                                                                                                \
    X(pages_written)                                                                                                   \
    X(blocks_allocated)                                                                                                \
    X(commits)                                                                                                         \
    X(log_commits)                                                                                                     \
    X(metadata_blocks_written)                                                                                         \
    X(checkpoints)                                                                                                     \
    X(flushes)                                                                                                         \
    X(checksum_errors)
struct fs_counters {
#define FS_COUNTER_MEMBER(name) uint64_t name;
    FS_COUNTERS(FS_COUNTER_MEMBER)
#undef FS_COUNTER_MEMBER
};
struct fs_counters *fs_counters(struct fs *fs);

#endif
