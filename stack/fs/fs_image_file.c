/* fs_image_file.c: files on a device after a crash. */
#include <string.h>

#include "stack/fs/fs.h"
#include "stack/fs/fs_image.h"

/* ---- journalling and plain ---- */

static bool read_inode(const struct fs_image *image, uint32_t number, struct fs_inode *inode) {
    uint8_t bytes[FS_BLOCK_BYTES];
    const uint32_t per_block = FS_BLOCK_BYTES / FS_INODE_BYTES;
    const bool good = fs_image_read(image, fs_image_superblock(image)->inode_block + (number - 1) / per_block, bytes);
    memcpy(inode, bytes + (number - 1) % per_block * FS_INODE_BYTES, sizeof *inode);
    return good && inode->used != 0;
}

static bool find_entry(const struct fs_image *image, const char *name, uint32_t *number) {
    uint8_t bytes[FS_BLOCK_BYTES];
    for (uint64_t block = 0; block < FS_DIRECTORY_BLOCKS; ++block) {
        if (!fs_image_read(image, fs_image_superblock(image)->directory_block + block, bytes)) {
            return false;
        }
        for (size_t i = 0; i < FS_BLOCK_BYTES / sizeof(struct fs_directory_entry); ++i) {
            struct fs_directory_entry entry;
            memcpy(&entry, bytes + i * sizeof entry, sizeof entry);
            if (entry.inode != 0 && strncmp(entry.name, name, sizeof entry.name) == 0) {
                *number = entry.inode;
                return true;
            }
        }
    }
    return false;
}

static bool map_extents(const struct fs_image *image, const struct fs_inode *inode, uint64_t index, uint64_t *block) {
    uint8_t bytes[FS_BLOCK_BYTES];
    struct fs_extent_header header = inode->map.tree.header;
    struct fs_extent extents[FS_EXTENTS_PER_BLOCK];
    memcpy(extents, inode->map.tree.extents, sizeof inode->map.tree.extents);
    for (;;) {
        int at = -1;
        if (header.magic != FS_EXTENT_MAGIC || header.entries > FS_EXTENTS_PER_BLOCK || header.depth > 1) {
            return false;
        }
        for (int i = 0; i < header.entries && extents[i].logical <= index; ++i) {
            at = i;
        }
        const struct fs_extent *extent = &extents[at >= 0 ? at : 0];
        const uint64_t start = (uint64_t)extent->start_high << 32 | extent->start_low;
        if (header.depth == 0) {
            *block =
                at >= 0 && index < (uint64_t)extent->logical + extent->length ? start + index - extent->logical : 0;
            return true;
        }
        if (!fs_image_read(image, start, bytes)) {
            return false;
        }
        memcpy(&header, bytes, sizeof header);
        memcpy(extents, bytes + sizeof header, sizeof extents);
    }
}

static bool map_pointers(const struct fs_image *image, const struct fs_inode *inode, uint64_t index, uint64_t *block) {
    uint32_t pointers[FS_POINTERS_PER_BLOCK];
    uint64_t span = 1;
    unsigned levels = 0;
    if (index < FS_DIRECT) {
        *block = inode->map.pointers[index];
        return true;
    }
    index -= FS_DIRECT;
    for (levels = 1; levels <= 3; ++levels) {
        span *= FS_POINTERS_PER_BLOCK;
        if (index < span) {
            break;
        }
        index -= span;
    }
    if (levels > 3) {
        return false;
    }
    uint64_t at = inode->map.pointers[FS_DIRECT + levels - 1];
    for (; levels > 0 && at != 0; --levels) {
        span /= FS_POINTERS_PER_BLOCK;
        if (at >= fs_image_superblock(image)->blocks || !fs_image_read(image, at, pointers)) {
            return false;
        }
        at = pointers[index / span];
        index %= span;
    }
    *block = at;
    return true;
}

/* ---- copy on write: the log's items stand over the file tree's ---- */

static bool find_item(const struct fs_image *image, const struct fs_key *key, struct fs_node_item *item) {
    return fs_image_item(image, FS_TREE_LOG, key, false, item) || fs_image_item(image, FS_TREE_FILES, key, false, item);
}

static bool find_named(const struct fs_image *image, const char *name, struct fs_image_file *file) {
    for (uint32_t number = 1; number <= FS_INODES; ++number) {
        struct fs_node_item item;
        const struct fs_key key = {number, FS_ITEM_NAME, 0}, inode = {number, FS_ITEM_INODE, 0};
        if (find_item(image, &key, &item) && strncmp(item.value.name, name, FS_NAME_BYTES) == 0) {
            file->number = number;
            const bool good = find_item(image, &inode, &item);
            file->size_bytes = good ? item.value.words[0] : 0;
            file->mtime_ns = good ? item.value.words[1] : 0;
            return good;
        }
    }
    return false;
}

static bool covers(const struct fs_node_item *item, uint32_t number, uint64_t index) {
    return item->key.object == number && item->key.type == FS_ITEM_EXTENT &&
           index < item->key.offset + item->value.words[1];
}

static uint64_t map_items(const struct fs_image *image, uint32_t number, uint64_t index) {
    static const enum fs_tree_id trees[] = {FS_TREE_LOG, FS_TREE_FILES};
    const struct fs_key key = {number, FS_ITEM_EXTENT, index};
    for (size_t i = 0; i < 2; ++i) {
        struct fs_node_item item;
        if (fs_image_item(image, trees[i], &key, true, &item) && covers(&item, number, index)) {
            return item.value.words[0] + index - item.key.offset;
        }
    }
    return 0;
}

static bool checksum_fits(const struct fs_image *image, uint64_t block, const uint8_t *bytes) {
    static const enum fs_tree_id trees[] = {FS_TREE_LOG, FS_TREE_CHECKSUMS};
    const struct fs_key key = {0, FS_ITEM_CHECKSUM, block / FS_CHECKSUM_BLOCKS};
    for (size_t i = 0; i < 2; ++i) {
        struct fs_node_item item;
        const bool found = fs_image_item(image, trees[i], &key, false, &item);
        const uint32_t known = found ? item.value.checksums[block % FS_CHECKSUM_BLOCKS] : 0;
        if (known != 0) {
            return known == fs_crc32c(0, bytes, FS_BLOCK_BYTES);
        }
    }
    return true;
}

/* ---- either ---- */

bool fs_image_find(const struct fs_image *image, const char *name, struct fs_image_file *file) {
    struct fs_inode inode;
    *file = (struct fs_image_file){0};
    if (fs_image_superblock(image)->kind == FS_BTRFS) {
        return find_named(image, name, file);
    }
    if (!find_entry(image, name, &file->number) || !read_inode(image, file->number, &inode)) {
        return false;
    }
    file->size_bytes = inode.size_bytes;
    file->mtime_ns = inode.mtime_ns;
    return true;
}

bool fs_image_map(const struct fs_image *image, const struct fs_image_file *file, uint64_t index, uint64_t *block) {
    struct fs_inode inode;
    const uint32_t kind = fs_image_superblock(image)->kind;
    *block = 0;
    if (kind == FS_BTRFS) {
        *block = map_items(image, file->number, index);
        return true;
    }
    return read_inode(image, file->number, &inode) &&
           (kind == FS_EXT4 ? map_extents(image, &inode, index, block) : map_pointers(image, &inode, index, block));
}

bool fs_image_read_file(const struct fs_image *image, const struct fs_image_file *file, uint64_t offset, void *out,
                        size_t length_bytes) {
    uint8_t bytes[FS_BLOCK_BYTES], *to = out;
    while (length_bytes > 0) {
        const uint64_t index = offset / FS_BLOCK_BYTES, inside = offset % FS_BLOCK_BYTES;
        const size_t piece = FS_BLOCK_BYTES - inside < length_bytes ? FS_BLOCK_BYTES - inside : length_bytes;
        uint64_t block = 0;
        if (!fs_image_map(image, file, index, &block)) {
            return false;
        }
        memset(bytes, 0, sizeof bytes);
        if (block != 0) {
            if (block >= fs_image_superblock(image)->blocks || !fs_image_read(image, block, bytes)) {
                return false;
            }
            if (fs_image_superblock(image)->kind == FS_BTRFS && !checksum_fits(image, block, bytes)) {
                return false;
            }
        }
        memcpy(to, bytes + inside, piece);
        to += piece;
        offset += piece;
        length_bytes -= piece;
    }
    return true;
}
