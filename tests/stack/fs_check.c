/* fs_check.c: fsck: walks what is on a device by the layout alone, sharing no code
 * with the file system but the description of its blocks and the journal's replay. */
#include <stdlib.h>
#include <string.h>

#include "tests/stack/fs_fixture.h"

/* What a block is found to be used by: 0 nobody. */
struct check {
    const struct fs_image *image;
    const struct fs_superblock *super;
    uint8_t *used;
    const char *wrong;
};

static void blame(struct check *check, const char *what) {
    check->wrong = check->wrong == NULL ? what : check->wrong;
}

static void use(struct check *check, uint64_t block) {
    if (block >= check->super->blocks) {
        blame(check, "a block beyond the device's end");
    } else if (check->used[block]++ != 0) {
        blame(check, "a block is used twice");
    }
}

/* ---- block maps ---- */

static void walk_pointers(struct check *check, uint64_t block, unsigned level) {
    uint32_t pointers[FS_POINTERS_PER_BLOCK];
    if (block == 0) {
        return;
    }
    use(check, block);
    if (level > 0 && check->wrong == NULL && fs_image_read(check->image, block, pointers)) {
        for (size_t i = 0; i < FS_POINTERS_PER_BLOCK; ++i) {
            walk_pointers(check, pointers[i], level - 1);
        }
    }
}

static void walk_extents(struct check *check, const struct fs_extent_header *header, const struct fs_extent *extents,
                         unsigned capacity, unsigned depth) {
    uint64_t end = 0;
    if (header->magic != FS_EXTENT_MAGIC || header->entries > capacity || header->depth != depth) {
        blame(check, "a node of extents is damaged");
        return;
    }
    for (unsigned i = 0; i < header->entries; ++i) {
        const uint64_t start = (uint64_t)extents[i].start_high << 32 | extents[i].start_low;
        if (depth == 1) {
            struct {
                struct fs_extent_header header;
                struct fs_extent extents[FS_EXTENTS_PER_BLOCK];
                uint8_t rest[8];
            } leaf;
            use(check, start);
            if (fs_image_read(check->image, start, &leaf)) {
                walk_extents(check, &leaf.header, leaf.extents, FS_EXTENTS_PER_BLOCK, 0);
            }
            continue;
        }
        if (extents[i].logical < end || extents[i].length == 0) {
            blame(check, "extents overlap");
        }
        end = extents[i].logical + extents[i].length;
        for (uint64_t b = 0; b < extents[i].length; ++b) {
            use(check, start + b);
        }
    }
}

static void walk_inode(struct check *check, const struct fs_inode *inode) {
    if (check->super->kind == FS_EXT4) {
        walk_extents(check, &inode->map.tree.header, inode->map.tree.extents, FS_EXTENTS_INLINE,
                     inode->map.tree.header.depth == 1);
        return;
    }
    for (unsigned i = 0; i < FS_POINTERS; ++i) {
        walk_pointers(check, inode->map.pointers[i], i < FS_DIRECT ? 0 : i - FS_DIRECT + 1);
    }
}

/* ---- journalling file systems ---- */

static void check_directory(struct check *check, const uint8_t *in_use) {
    uint8_t named[FS_INODES + 1] = {0};
    for (uint64_t block = 0; block < FS_DIRECTORY_BLOCKS; ++block) {
        struct fs_directory_entry entries[64];
        (void)fs_image_read(check->image, check->super->directory_block + block, entries);
        for (size_t i = 0; i < 64; ++i) {
            const uint32_t inode = entries[i].inode;
            if (inode > FS_INODES || (inode != 0 && (!in_use[inode] || named[inode]++ != 0))) {
                blame(check, "an entry of the directory names no inode of its own");
            }
        }
    }
    for (size_t i = 1; i <= FS_INODES; ++i) {
        if (in_use[i] && !named[i]) {
            blame(check, "an inode has no name");
        }
    }
}

static void check_group(struct check *check, uint64_t group) {
    struct fs_group descriptors[FS_BLOCK_BYTES / FS_GROUP_BYTES];
    uint8_t bits[FS_BLOCK_BYTES];
    const uint64_t per_block = FS_BLOCK_BYTES / FS_GROUP_BYTES;
    uint32_t free_blocks = 0;
    (void)fs_image_read(check->image, check->super->group_block + group / per_block, descriptors);
    const struct fs_group *descriptor = &descriptors[group % per_block];
    memset(bits, 0, sizeof bits);
    if (descriptor->initialised) {
        (void)fs_image_read(check->image, check->super->bitmap_block + group, bits);
    }
    for (uint64_t i = 0; i < FS_BLOCK_BITS; ++i) {
        const uint64_t block = group * FS_BLOCK_BITS + i;
        const bool marked = bits[i / 8] >> i % 8 & 1;
        const bool fixed = block < check->super->data_block || block >= check->super->blocks;
        const bool used = !fixed && check->used[block] != 0;
        if (descriptor->initialised ? marked != (fixed || used) : used) {
            blame(check, marked ? "a block is marked that nobody uses" : "a block is used and not marked");
        }
        free_blocks += !fixed && !used;
    }
    if (free_blocks != descriptor->free_blocks) {
        blame(check, "a group's count of free blocks is wrong");
    }
}

static void check_ext(struct check *check) {
    uint8_t in_use[FS_INODES + 1] = {0};
    for (uint64_t block = 0; block < FS_INODE_BLOCKS; ++block) {
        struct fs_inode inodes[FS_BLOCK_BYTES / FS_INODE_BYTES];
        (void)fs_image_read(check->image, check->super->inode_block + block, inodes);
        for (size_t i = 0; i < FS_BLOCK_BYTES / FS_INODE_BYTES; ++i) {
            if (inodes[i].used) {
                in_use[block * (FS_BLOCK_BYTES / FS_INODE_BYTES) + i + 1] = 1;
                walk_inode(check, &inodes[i]);
            }
        }
    }
    for (uint64_t block = 0; block < check->super->data_block; ++block) {
        if (check->used[block]) {
            blame(check, "a file has blocks of the metadata");
        }
    }
    check_directory(check, in_use);
    for (uint64_t group = 0; group < check->super->groups; ++group) {
        check_group(check, group);
    }
}

/* ---- copy on write ---- */

struct walk {
    struct check *check;
    struct fs_key last;
    bool any, marks; /* count what it finds as used */
    uint8_t *space;  /* of the space tree: a bitmap */
};

static int compare(const struct fs_key *a, const struct fs_key *b) {
    return a->object != b->object ? (a->object < b->object ? -1 : 1)
           : a->type != b->type   ? (a->type < b->type ? -1 : 1)
                                  : (a->offset > b->offset) - (a->offset < b->offset);
}

static void see_item(struct walk *walk, const struct fs_node_item *item) {
    if (walk->any && compare(&walk->last, &item->key) >= 0) {
        blame(walk->check, "keys are not in order");
    }
    walk->last = item->key;
    walk->any = true;
    if (item->key.type == FS_ITEM_EXTENT && walk->marks) {
        for (uint64_t i = 0; i < item->value.words[1]; ++i) {
            use(walk->check, item->value.words[0] + i);
        }
    }
    if (item->key.type == FS_ITEM_SPACE && walk->space != NULL) {
        memcpy(walk->space + item->key.offset * (FS_SPACE_BLOCKS / 8), item->value.bitmap, FS_SPACE_BLOCKS / 8);
    }
}

static void walk_tree(struct walk *walk, uint64_t block, int level) {
    struct fs_node node;
    if (!fs_image_read(walk->check->image, block, &node) || node.header.magic != FS_NODE_MAGIC ||
        node.header.block != block || (level >= 0 && node.header.level != (uint32_t)level) ||
        node.header.checksum != fs_crc32c(0, (const uint8_t *)&node + 4, FS_BLOCK_BYTES - 4)) {
        blame(walk->check, "a node is damaged");
        return;
    }
    use(walk->check, block);
    for (uint32_t i = 0; i < node.header.count && walk->check->wrong == NULL; ++i) {
        if (node.header.level == 0) {
            see_item(walk, &node.u.items[i]);
        } else {
            walk_tree(walk, node.u.branches[i].block, (int)node.header.level - 1);
        }
    }
}

static void check_cow(struct check *check) {
    const uint64_t blocks = check->super->blocks;
    uint8_t *space = calloc(blocks / FS_SPACE_BLOCKS + 1, FS_SPACE_BLOCKS / 8);
    for (unsigned tree = 0; tree <= FS_TREE_ROOTS; ++tree) {
        const uint64_t root = fs_image_root(check->image, (enum fs_tree_id)tree);
        struct walk walk = {.check = check, .marks = tree == FS_TREE_FILES, .space = space};
        if (root != 0) {
            walk_tree(&walk, root, -1);
        } else if (tree == FS_TREE_ROOTS || tree == FS_TREE_SPACE) {
            blame(check, "a tree is missing");
        }
    }
    for (uint64_t block = 0; block < blocks; ++block) {
        const bool fixed = block < FS_COW_METADATA_FIRST || block == FS_COW_SUPERBLOCK_COPY;
        const bool marked = space[block / 8] >> block % 8 & 1;
        if (marked != (fixed || check->used[block] != 0)) {
            blame(check, marked ? "a block is marked that nobody uses" : "a block is used and not marked");
        }
    }
    free(space);
    /* The log may share nothing with what is committed. */
    for (unsigned tree = FS_TREE_LOG; tree <= FS_TREE_LOG_ROOTS; ++tree) {
        const uint64_t root = fs_image_root(check->image, (enum fs_tree_id)tree);
        struct walk walk = {.check = check, .marks = tree == FS_TREE_LOG};
        if (root != 0) {
            walk_tree(&walk, root, -1);
        }
    }
}

const char *fs_check(fs_read_block *read, void *context) {
    struct error error = {0};
    struct fs_image *image = fs_image_open(read, context, &error);
    if (image == NULL) {
        return "there is no file system";
    }
    struct check check = {.image = image, .super = fs_image_superblock(image)};
    check.used = calloc(check.super->blocks, 1);
    if (check.super->kind == FS_BTRFS) {
        check_cow(&check);
    } else {
        check_ext(&check);
    }
    free(check.used);
    fs_image_free(image);
    return check.wrong;
}
