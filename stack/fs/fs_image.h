/* fs_image.h: what is found on a device after a crash: recovery as a function of the
 * blocks alone. It takes no simulated time and writes nothing: mounting uses it to
 * find what the journal holds, a test runs it on thousands of images. */
#ifndef STILLSUIT_STACK_FS_FS_IMAGE_H
#define STILLSUIT_STACK_FS_FS_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/error.h"
#include "stack/fs/fs_layout.h"

/* Reads a block of 4 KiB; false: it cannot be read. */
typedef bool fs_read_block(void *context, uint64_t block, void *out);

struct fs_image;

/* Finds the newest superblock that is whole and reads the journal. NULL with `error`:
 * there is no file system. The caller frees it; `read` is kept. */
struct fs_image *fs_image_open(fs_read_block *read, void *context, struct error *error);
void fs_image_free(struct fs_image *image);
const struct fs_superblock *fs_image_superblock(const struct fs_image *image);
/* A block as it is once the journal is replayed. */
bool fs_image_read(const struct fs_image *image, uint64_t block, void *out);

/* Blocks that the journal holds, each in its newest version. */
size_t fs_image_replayed(const struct fs_image *image);
const uint8_t *fs_image_replayed_block(const struct fs_image *image, size_t index, uint64_t *block);
/* The sequence number after the last committed transaction. */
uint64_t fs_image_next_sequence(const struct fs_image *image);

/* A file by name; false: there is none. */
struct fs_image_file {
    uint32_t number;
    uint64_t size_bytes, mtime_ns;
};
bool fs_image_find(const struct fs_image *image, const char *name, struct fs_image_file *file);
/* Where a block of it lies; 0: nowhere. False: what says so cannot be read. */
bool fs_image_map(const struct fs_image *image, const struct fs_image_file *file, uint64_t index, uint64_t *block);
/* Bytes of it; holes are zeroes. False also if a checksum does not fit. */
bool fs_image_read_file(const struct fs_image *image, const struct fs_image_file *file, uint64_t offset, void *out,
                        size_t length_bytes);

/* Copy on write: the item at `key`, or the last one before it (`at_most`), of a tree. */
bool fs_image_item(const struct fs_image *image, enum fs_tree_id tree, const struct fs_key *key, bool at_most,
                   struct fs_node_item *item);
/* The root of a tree; 0: empty. */
uint64_t fs_image_root(const struct fs_image *image, enum fs_tree_id tree);
/* Whether a node is what it should be. */
bool fs_node_valid(const struct fs_node *node, uint64_t block);
int fs_key_compare(const struct fs_key *a, const struct fs_key *b);
/* The last entry not above `key`; -1: none. */
int fs_node_search(const struct fs_node *node, const struct fs_key *key);

#endif
