/* fs_fixture.h: a core, a file system on it, and a drive with a volatile cache whose
 * power can be cut at any operation. One a test: each test is a process of its own. */
#ifndef STILLSUIT_TESTS_STACK_FS_FIXTURE_H
#define STILLSUIT_TESTS_STACK_FS_FIXTURE_H

#include <criterion/criterion.h>

#include "hw/machine.h"
#include "sim/random.h"
#include "stack/fs/fs.h"
#include "stack/fs/fs_image.h"

/* A drive: finishes each operation within submit. */
struct fs_drive {
    struct block_device base;
    uint8_t *medium, *cache; /* the newest contents: in `cache` where `in_cache` */
    uint8_t *in_cache;       /* a byte a block */
    uint64_t *cached;        /* which those are, in order */
    size_t cached_count;
    bool ignores_flush;
    uint64_t operations;
    /* Called when an operation is on its way: what it writes is in the cache. */
    void (*on_operation)(struct fs_drive *drive, void *context);
    void *context;
    /* What a power cut leaves: set up by fs_drive_cut. */
    uint8_t *survives; /* a byte a block of the cache */
};

struct fs_fixture {
    struct machine machine;
    struct fs_drive drive;
    struct block_tracer tracer;
    struct fs_host host;
    struct fs_costs costs;
    struct fs_options options;
    struct fs *fs;
    struct fs_call call;
    uint64_t next_frame;
    char trace[4096]; /* one line an operation: "write data 1", "flush", "write! journal_commit 1" */
    bool tracing;
};
extern struct fs_fixture fixture;

/* Runs `body` in a context on a machine with a drive of `blocks` blocks of 4 KiB,
 * which it sees as `block_bytes` each, and an empty mounted file system. */
void fs_fixture_run(enum fs_kind kind, uint32_t block_bytes, uint64_t blocks, void (*body)(void));
/* Unmounts without a word, as a crash does, and mounts anew. */
void fs_fixture_remount(void);
/* Starts a new trace; the trace so far. */
void fs_fixture_trace(void);
/* Executes what was charged; how many cycles (of 1 ns) it was. */
uint64_t fs_fixture_cycles(void);
/* Memory of the application. */
uint64_t fs_fixture_memory(uint32_t bytes);
/* Lets time pass. */
void fs_fixture_wait(sim_time duration);

/* The power is cut: each block of the cache survives with probability `kept`. Until
 * the next cut, fs_drive_read reads what is left; the drive itself goes on. */
void fs_drive_cut(struct fs_drive *drive, struct random_stream *random, double kept);
bool fs_drive_read(void *drive, uint64_t block, void *out); /* fs_read_block */

/* fs_check.c: an independent check of what is on a device. Returns NULL, or what is
 * wrong (static). */
const char *fs_check(fs_read_block *read, void *context);

#endif
