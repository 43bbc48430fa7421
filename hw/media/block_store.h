/* block_store.h: the contents of a drive, as bytes, sparse: memory grows with what
 * is written, not with the drive's size.
 *
 * Two layers: what is durable, and, over it, what a volatile write cache holds. A
 * read sees the upper one. A flush moves blocks down. When the power is cut, each
 * block of the cache may or may not have reached the medium, in any order: the drive
 * chooses at random, and a block is whole or not there. */
#ifndef STILLSUIT_HW_MEDIA_BLOCK_STORE_H
#define STILLSUIT_HW_MEDIA_BLOCK_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/random.h"

struct block_store;

/* Blocks that were never written read as zeroes. The caller frees it. */
struct block_store *block_store_create(uint32_t block_bytes, uint64_t blocks);
void block_store_free(struct block_store *store);
uint32_t block_store_block_bytes(const struct block_store *store);
uint64_t block_store_blocks(const struct block_store *store);

/* Whole blocks, which must lie inside. `durable` false: into the volatile layer;
 * true: to the medium, and the cache no longer has another version. */
void block_store_write(struct block_store *store, uint64_t block, uint32_t blocks, const void *data, bool durable);
/* To the medium, under a newer version that the cache keeps. */
void block_store_write_below(struct block_store *store, uint64_t block, uint32_t blocks, const void *data);
void block_store_read(const struct block_store *store, uint64_t block, uint32_t blocks, void *out);
/* Blocks read as zeroes from now on (durably). */
void block_store_deallocate(struct block_store *store, uint64_t block, uint64_t blocks);
/* Everything in the cache becomes durable, or one run of blocks of it. */
void block_store_flush(struct block_store *store);
void block_store_flush_blocks(struct block_store *store, uint64_t block, uint64_t blocks);
/* Blocks in the volatile layer; and one of them, in order of block number, from
 * `block` on: false if there is none. */
uint64_t block_store_volatile_blocks(const struct block_store *store);
bool block_store_next_volatile(const struct block_store *store, uint64_t block, uint64_t *found);

/* The power is cut: each volatile block reaches the medium with probability `kept`,
 * drawn from `random`, or is lost. */
void block_store_power_cut(struct block_store *store, struct random_stream *random, double kept);
/* What a power cut now would leave, as a store of its own (this one goes on): the
 * caller frees it. Shares unchanged blocks with this one; valid until this one is
 * written again. */
struct block_store *block_store_after_power_cut(const struct block_store *store, struct random_stream *random,
                                                double kept);
/* Bytes of host memory that the contents take. */
uint64_t block_store_resident_bytes(const struct block_store *store);

#endif
