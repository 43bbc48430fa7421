/* ram_disk.h: a block device of the tests' own: contents in a block_store, times drawn
 * at random, so that operations overtake each other. A write reaches the store in two
 * halves, and a flush covers only what had finished when it was asked for. */
#ifndef STILLSUIT_TESTS_LIBOS_MODEL_RAM_DISK_H
#define STILLSUIT_TESTS_LIBOS_MODEL_RAM_DISK_H

#include "hw/machine.h"
#include "hw/media/block_store.h"
#include "sim/random.h"
#include "stack/block.h"

enum { RAM_DISK_DEPTH_MAX = 256 };

struct ram_disk;
struct ram_disk_slot {
    struct ram_disk *disk;
    struct block_io *io; /* NULL: free */
    struct sim_event middle, end;
    uint64_t *covered; /* blocks that a flush makes durable */
    uint64_t covered_count;
};

struct ram_disk {
    struct block_device base;
    struct memory *memory;
    struct block_store *store;
    struct random_stream *random;
    sim_time least, most; /* of an operation */
    ledger_component component;
    struct ram_disk_slot slots[RAM_DISK_DEPTH_MAX];
    uint32_t used, most_used;
    struct block_io *finished, **finished_end;
    struct context *waiter;
    uint64_t reads, writes, flushes, fua_writes;
    uint64_t fail_at_write; /* the write of that number fails; 0: none does */
};

/* A disk of so many blocks in a machine. `volatile_cache` as in struct block_device. */
struct ram_disk *ram_disk_create(struct machine *machine, uint32_t block_bytes, uint64_t blocks, bool volatile_cache);
void ram_disk_free(struct ram_disk *disk);
/* The power is cut and comes back: what was under way is forgotten, each block of the
 * cache is kept with that probability. */
void ram_disk_power_cut(struct ram_disk *disk, double kept);

#endif
