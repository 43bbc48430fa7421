/* cow_items.c: inodes, extents and checksums as items. */
#include <string.h>

#include "stack/fs/fs_internal.h"

static bool covers(const struct fs_node_item *item, uint32_t number, uint64_t index) {
    return item->key.object == number && item->key.type == FS_ITEM_EXTENT &&
           index < item->key.offset + item->value.words[1];
}

enum error_code cow_map(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t index,
                        uint64_t *block) {
    struct fs_node_item item;
    const struct fs_key key = {file->number, FS_ITEM_EXTENT, index};
    *block = cow_find_at_most(fs, call, FS_TREE_FILES, key, &item) && covers(&item, file->number, index)
                 ? item.value.words[0] + index - item.key.offset
                 : 0;
    return OK;
}

static enum error_code put_extent(struct fs *fs, const struct fs_call *call, enum fs_tree_id tree, uint32_t number,
                                  uint64_t index, uint64_t count, uint64_t block) {
    const union fs_value value = {.words = {block, count}};
    return cow_put(fs, call, tree, (struct fs_key){number, FS_ITEM_EXTENT, index}, &value);
}

/* Takes [index, end) out of one extent: what lies before and behind it stays. */
static enum error_code cut(struct fs *fs, const struct fs_call *call, enum fs_tree_id tree,
                           const struct fs_node_item *item, uint64_t index, uint64_t end) {
    const uint32_t number = (uint32_t)item->key.object;
    const uint64_t from = item->key.offset, to = from + item->value.words[1], block = item->value.words[0];
    const uint64_t cut_from = from > index ? from : index, cut_to = to < end ? to : end;
    enum error_code code = OK;
    if (tree == FS_TREE_FILES) {
        cow_release(fs, block + cut_from - from, cut_to - cut_from);
    }
    if (from < index) {
        code = put_extent(fs, call, tree, number, from, index - from, block);
    } else if (from > index || to > end) { /* at `index` itself the new one takes the item's place */
        code = cow_delete(fs, call, tree, item->key);
    }
    if (code == OK && to > end) {
        code = put_extent(fs, call, tree, number, end, to - end, block + end - from);
    }
    return code;
}

enum error_code cow_map_range(struct fs *fs, const struct fs_call *call, enum fs_tree_id tree, uint32_t number,
                              uint64_t index, uint64_t count, uint64_t block) {
    struct fs_node_item item;
    struct fs_key key = {number, FS_ITEM_EXTENT, index};
    const uint64_t end = index + count;
    enum error_code code = OK;
    if (cow_find_at_most(fs, call, tree, key, &item) && covers(&item, number, index)) {
        code = cut(fs, call, tree, &item, index, end);
    }
    while (code == OK && cow_find_above(fs, call, tree, key, &item) && item.key.object == number &&
           item.key.type == FS_ITEM_EXTENT && item.key.offset < end) {
        key = item.key;
        code = cut(fs, call, tree, &item, index, end);
    }
    return code == OK ? put_extent(fs, call, tree, number, index, count, block) : code;
}

/* Of preallocated blocks nothing is known; what was of their former contents goes. */
static enum error_code forget_checksums(struct fs *fs, const struct fs_call *call, enum fs_tree_id tree, uint64_t block,
                                        uint64_t count) {
    enum error_code code = OK;
    struct fs_node_item item;
    struct fs_key key = {0, FS_ITEM_CHECKSUM, block / FS_CHECKSUM_BLOCKS};
    bool more = cow_find(fs, call, tree, key, &item) || cow_find_above(fs, call, tree, key, &item);
    for (; more && code == OK && item.key.offset * FS_CHECKSUM_BLOCKS < block + count;
         more = cow_find_above(fs, call, tree, item.key, &item)) {
        for (uint64_t i = 0; i < FS_CHECKSUM_BLOCKS; ++i) {
            const uint64_t at = item.key.offset * FS_CHECKSUM_BLOCKS + i;
            item.value.checksums[i] = at >= block && at < block + count ? 0 : item.value.checksums[i];
        }
        code = cow_put(fs, call, tree, item.key, &item.value);
    }
    return code;
}

enum error_code cow_put_checksums(struct fs *fs, const struct fs_call *call, enum fs_tree_id tree, uint64_t block,
                                  uint64_t count, const uint32_t *checksums) {
    enum error_code code = OK;
    if (checksums == NULL) {
        return forget_checksums(fs, call, tree, block, count);
    }
    for (uint64_t i = 0; i < count && code == OK;) {
        struct fs_node_item item = {.value = {{0}}};
        const struct fs_key key = {0, FS_ITEM_CHECKSUM, (block + i) / FS_CHECKSUM_BLOCKS};
        if (!cow_find(fs, call, tree, key, &item)) {
            memset(&item.value, 0, sizeof item.value);
        }
        do {
            item.value.checksums[(block + i) % FS_CHECKSUM_BLOCKS] = checksums[i];
            i += 1;
        } while (i < count && (block + i) % FS_CHECKSUM_BLOCKS != 0);
        code = cow_put(fs, call, tree, key, &item.value);
    }
    return code;
}

enum error_code cow_put_file(struct fs *fs, const struct fs_call *call, enum fs_tree_id tree,
                             const struct fs_file *file, bool name) {
    const uint64_t blocks = (file->disk_size + FS_BLOCK_BYTES - 1) / FS_BLOCK_BYTES;
    const union fs_value inode = {.words = {file->disk_size, file->mtime_ns, blocks}};
    union fs_value text = {{0}};
    enum error_code code = cow_put(fs, call, tree, (struct fs_key){file->number, FS_ITEM_INODE, 0}, &inode);
    if (code == OK && name) {
        memcpy(text.name, file->name, sizeof text.name);
        code = cow_put(fs, call, tree, (struct fs_key){file->number, FS_ITEM_NAME, 0}, &text);
    }
    return code;
}
