/* fs_layout.h: what the file system writes: own formats, with the structure of the
 * real ones and without their history. Blocks are 4 KiB; integers are little-endian;
 * one directory; inodes by number from 1.
 *
 * Journalling and plain (ext2, ext3, ext4), block by block:
 *   0 superblock | group descriptors | inode table | directory | journal | block
 *   bitmaps, one a group of 32,768 blocks | data
 * The journal: its superblock, then a ring of transactions: descriptor block (which
 * blocks follow), their copies, commit block. A block map is 15 pointers, of which
 * three are indirect (ext2, ext3), or a tree of extents of at most two levels (ext4).
 *
 * Copy on write (btrfs): superblock at 16, a copy at 16,384; the rest is nodes of
 * trees, and data, both wherever there was room. The superblock names the root tree,
 * whose items name the others, and the log tree, whose items stand over those of the
 * file tree until the next commit.
 *
 * What must not tear (superblock, commit block, journal superblock) lies within the
 * first 512 bytes of its block, which a drive writes whole or not at all. */
#ifndef STILLSUIT_STACK_FS_FS_LAYOUT_H
#define STILLSUIT_STACK_FS_FS_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

enum {
    FS_BLOCK_BYTES = 4096,
    FS_BLOCK_BITS = 32768,
    FS_INODES = 256,
    FS_INODE_BYTES = 256,
    FS_INODE_BLOCKS = FS_INODES * FS_INODE_BYTES / FS_BLOCK_BYTES,
    FS_NAME_BYTES = 40, /* with the terminating 0 */
    FS_DIRECTORY_BLOCKS = FS_INODES * 64 / FS_BLOCK_BYTES,
    FS_GROUP_BYTES = 32,
    FS_COW_SUPERBLOCK = 16,
    FS_COW_SUPERBLOCK_COPY = 16384,
    FS_COW_METADATA_FIRST = 32
};

#define FS_MAGIC UINT32_C(0x57555321)
#define FS_JOURNAL_MAGIC UINT32_C(0xc03b3998)
#define FS_NODE_MAGIC UINT32_C(0x45444f4e)
#define FS_EXTENT_MAGIC UINT16_C(0xf30a)

struct fs_superblock {
    uint32_t magic, checksum; /* CRC-32C of the 128 bytes, with 0 here */
    uint32_t kind;            /* enum fs_kind */
    uint32_t journal_checksums;
    uint64_t blocks;
    uint64_t generation; /* of the root tree; grows with every commit */
    uint64_t groups, group_block, inode_block, directory_block;
    uint64_t journal_block, journal_blocks, bitmap_block, data_block;
    uint64_t root_block;                /* root tree of `generation` */
    uint64_t log_block, log_generation; /* root tree of the log to be replayed over it; 0: none */
    uint64_t unused;
};
_Static_assert(sizeof(struct fs_superblock) == 128, "superblock");

struct fs_group {
    uint32_t free_blocks;
    uint32_t initialised; /* 0: nothing in use, and the bitmap was never written */
    uint8_t unused[24];
};
_Static_assert(sizeof(struct fs_group) == FS_GROUP_BYTES, "group descriptor");

enum { FS_DIRECT = 12, FS_POINTERS = FS_DIRECT + 3, FS_POINTERS_PER_BLOCK = FS_BLOCK_BYTES / 4 };

struct fs_extent {
    uint32_t logical;
    uint16_t length, start_high;
    uint32_t start_low; /* of an index: the leaf */
};
struct fs_extent_header {
    uint16_t magic, entries, capacity, depth; /* depth 0: extents; 1: of the root alone, leaves */
    uint32_t unused;
};
_Static_assert(sizeof(struct fs_extent) == 12 && sizeof(struct fs_extent_header) == 12, "extents");
enum { FS_EXTENTS_INLINE = 4, FS_EXTENTS_PER_BLOCK = (FS_BLOCK_BYTES - 12) / 12, FS_EXTENT_BLOCKS_MAX = 32768 };

struct fs_inode {
    uint32_t used, unused;
    uint64_t size_bytes;
    uint64_t mtime_ns;
    uint64_t blocks; /* in use, with indirect ones */
    union {
        uint32_t pointers[FS_POINTERS];
        struct {
            struct fs_extent_header header;
            struct fs_extent extents[FS_EXTENTS_INLINE];
        } tree;
    } map;
    uint8_t rest[FS_INODE_BYTES - 32 - 60];
};
_Static_assert(sizeof(struct fs_inode) == FS_INODE_BYTES, "inode");

struct fs_directory_entry {
    uint32_t inode; /* 0: free */
    uint8_t unused[20];
    char name[FS_NAME_BYTES];
};
_Static_assert(sizeof(struct fs_directory_entry) == 64, "directory entry");

/* ---- the journal ---- */
enum { FS_JOURNAL_DESCRIPTOR = 1, FS_JOURNAL_COMMIT = 2, FS_JOURNAL_SUPERBLOCK = 4 };
struct fs_journal_header {
    uint32_t magic, type;
    uint64_t sequence; /* of the transaction */
};
struct fs_journal_superblock {
    struct fs_journal_header header; /* sequence: the oldest transaction that may have to be replayed */
    uint64_t start;                  /* where in the ring it begins, from 1 */
    uint64_t unused;
};
struct fs_journal_descriptor {
    struct fs_journal_header header;
    uint64_t count;
    uint64_t last; /* 1: the commit block follows the copies; 0: another descriptor does */
    uint64_t blocks[];
};
enum { FS_JOURNAL_TAGS = (FS_BLOCK_BYTES - 32) / 8 };
struct fs_journal_commit {
    struct fs_journal_header header;
    uint32_t checked, checksum; /* CRC-32C over descriptors and copies, if `checked` */
};
_Static_assert(sizeof(struct fs_journal_descriptor) == 32, "descriptor block");
_Static_assert(sizeof(struct fs_journal_commit) == 24, "commit block");

/* ---- copy-on-write trees ---- */
enum fs_item { FS_ITEM_INODE = 1, FS_ITEM_NAME, FS_ITEM_EXTENT, FS_ITEM_CHECKSUM, FS_ITEM_SPACE, FS_ITEM_ROOT };

struct fs_key {
    uint64_t object, type, offset; /* compared in this order */
};
/* INODE (inode, 0): size, mtime in ns, blocks. NAME (inode, 0): its name. EXTENT
 * (inode, block of the file): first block, count. CHECKSUM (0, block / 8): CRC-32C
 * of 8 blocks. SPACE (0, block / 256): bitmap of 256 blocks. ROOT (tree, 0): root
 * node, its generation. */
union fs_value {
    uint64_t words[5];
    uint32_t checksums[8];
    uint8_t bitmap[32];
    char name[FS_NAME_BYTES];
};
struct fs_node_item {
    struct fs_key key;
    union fs_value value;
};
struct fs_node_branch {
    struct fs_key key; /* not above any of the child's */
    uint64_t block, generation;
};
struct fs_node_header {
    uint32_t checksum, magic; /* CRC-32C of what follows the checksum */
    uint64_t block, generation;
    uint32_t level, count; /* 0: items */
};
enum {
    FS_NODE_ITEMS = (FS_BLOCK_BYTES - 32) / 64,
    FS_NODE_BRANCHES = (FS_BLOCK_BYTES - 32) / 40,
    FS_SPACE_BLOCKS = 256,
    FS_CHECKSUM_BLOCKS = 8
};
struct fs_node {
    struct fs_node_header header;
    union {
        struct fs_node_item items[FS_NODE_ITEMS];
        struct fs_node_branch branches[FS_NODE_BRANCHES];
        uint8_t bytes[FS_BLOCK_BYTES - 32];
    } u;
};
_Static_assert(sizeof(struct fs_node_item) == 64 && sizeof(struct fs_node_branch) == 40, "node entries");
_Static_assert(sizeof(struct fs_node) == FS_BLOCK_BYTES, "node");

enum fs_tree_id {
    FS_TREE_FILES,
    FS_TREE_CHECKSUMS,
    FS_TREE_SPACE,
    FS_TREE_ROOTS,
    FS_TREE_LOG,
    FS_TREE_LOG_ROOTS,
    FS_TREES
};

/* CRC-32C (Castagnoli, reflected, polynomial 0x82f63b78), continued from `crc`; 0 to
 * begin with. */
uint32_t fs_crc32c(uint32_t crc, const void *data, size_t length_bytes);

#endif
