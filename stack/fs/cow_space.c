/* cow_space.c: free space: a bitmap in memory, items of the space tree on the device.
 * Nodes lie in the device's first part, data behind them, as in btrfs's block groups.
 * What is released keeps its contents until a commit no longer needs it. */
#include <stdlib.h>
#include <string.h>

#include "stack/fs/fs_internal.h"

enum { METADATA_BLOCKS_MAX = 1 << 18 };

static bool bit(const uint8_t *bits, uint64_t i) {
    return (bits[i / 8] >> i % 8 & 1) != 0;
}

static void set_bit(uint8_t *bits, uint64_t i, bool value) {
    bits[i / 8] = (uint8_t)(value ? bits[i / 8] | 1U << i % 8 : bits[i / 8] & ~(1U << i % 8));
}

static bool is_free(const struct fs *fs, uint64_t block) {
    return !bit(fs->in_use, block) && !bit(fs->pinned, block);
}

static void count_free(struct fs *fs, uint64_t block, int change) {
    *(block < fs->metadata_end ? &fs->metadata_free : &fs->free_blocks) += (uint64_t)change;
}

static void mark(struct fs *fs, uint64_t block, bool in_use) {
    set_bit(fs->in_use, block, in_use);
    fs->space_dirty[block / FS_SPACE_BLOCKS] = 1;
}

void cow_space_open(struct fs *fs) {
    const uint64_t chunks = fs->blocks / FS_SPACE_BLOCKS + 1;
    free(fs->in_use);
    free(fs->pinned);
    free(fs->space_dirty);
    fs->in_use = calloc(chunks, FS_SPACE_BLOCKS / 8);
    fs->pinned = calloc(chunks, FS_SPACE_BLOCKS / 8);
    fs->space_dirty = calloc(chunks, 1);
    SIM_ASSERT_MSG(fs->in_use != NULL && fs->pinned != NULL && fs->space_dirty != NULL, "out of memory");
    fs->metadata_end = fs->blocks / 4 < METADATA_BLOCKS_MAX ? fs->blocks / 4 : METADATA_BLOCKS_MAX;
    fs->metadata_next = FS_COW_METADATA_FIRST;
    fs->data_next = fs->metadata_end;
    fs->metadata_free = fs->metadata_end;
    fs->free_blocks = fs->blocks - fs->metadata_end;
    fs->pinned_count = 0;
    cow_take(fs, 0, FS_COW_METADATA_FIRST);
    if (FS_COW_SUPERBLOCK_COPY < fs->blocks) {
        cow_take(fs, FS_COW_SUPERBLOCK_COPY, 1);
    }
}

void cow_take(struct fs *fs, uint64_t block, uint64_t count) {
    for (uint64_t i = block; i < block + count; ++i) {
        if (!bit(fs->in_use, i)) {
            mark(fs, i, true);
            count_free(fs, i, bit(fs->pinned, i) ? 0 : -1);
        }
    }
}

/* The first free block from `next` on, or before it, within bounds; 0: none. */
static uint64_t find_free(const struct fs *fs, uint64_t next, uint64_t first, uint64_t end) {
    for (uint64_t step = 0, at = next; step < end - first; ++step, ++at) {
        at = at >= end ? first : at;
        if (at % 8 == 0 && at + 8 <= end && (fs->in_use[at / 8] | fs->pinned[at / 8]) == 0xff) {
            step += 7;
            at += 7;
        } else if (is_free(fs, at)) {
            return at;
        }
    }
    return 0;
}

uint64_t cow_new_metadata(struct fs *fs) {
    const uint64_t block = find_free(fs, fs->metadata_next, FS_COW_METADATA_FIRST, fs->metadata_end);
    if (block != 0) {
        cow_take(fs, block, 1);
        fs->metadata_next = block + 1;
    }
    return block;
}

uint64_t cow_new_data(struct fs *fs, uint64_t count, uint64_t *got) {
    const uint64_t block = find_free(fs, fs->data_next, fs->metadata_end, fs->blocks);
    *got = 0;
    if (block != 0) {
        while (*got < count && block + *got < fs->blocks && is_free(fs, block + *got)) {
            *got += 1;
        }
        cow_take(fs, block, *got);
        fs->data_next = block + *got;
    }
    return block;
}

void cow_pin(struct fs *fs, uint64_t block) {
    if (bit(fs->pinned, block)) {
        return;
    }
    if (fs->pinned_count == fs->pinned_capacity) {
        fs->pinned_capacity = fs->pinned_capacity * 2 + 256;
        fs->pinned_list = realloc(fs->pinned_list, fs->pinned_capacity * sizeof *fs->pinned_list);
        SIM_ASSERT_MSG(fs->pinned_list != NULL, "out of memory");
    }
    count_free(fs, block, bit(fs->in_use, block) ? 0 : -1);
    set_bit(fs->pinned, block, true);
    fs->pinned_list[fs->pinned_count++] = block;
}

void cow_release(struct fs *fs, uint64_t block, uint64_t count) {
    for (uint64_t i = block; i < block + count; ++i) {
        SIM_ASSERT_MSG(bit(fs->in_use, i), "block %llu is not in use", (unsigned long long)i);
        cow_pin(fs, i);
        mark(fs, i, false);
    }
}

uint64_t *cow_take_pinned(struct fs *fs, size_t *count) {
    uint64_t *list = fs->pinned_list;
    *count = fs->pinned_count;
    fs->pinned_list = NULL;
    fs->pinned_count = fs->pinned_capacity = 0;
    return list;
}

void cow_unpin(struct fs *fs, uint64_t *blocks, size_t count) {
    for (size_t i = 0; i < count; ++i) {
        set_bit(fs->pinned, blocks[i], false);
        count_free(fs, blocks[i], bit(fs->in_use, blocks[i]) ? 0 : 1);
    }
    free(blocks);
}

bool cow_metadata_is_short(const struct fs *fs) {
    return fs->metadata_free < fs->metadata_end / 4;
}

enum error_code cow_put_space(struct fs *fs, const struct fs_call *call, bool *changed) {
    enum error_code code = OK;
    *changed = false;
    for (uint64_t chunk = 0; chunk <= fs->blocks / FS_SPACE_BLOCKS && code == OK; ++chunk) {
        if (fs->space_dirty[chunk] == 0) {
            continue;
        }
        union fs_value value = {{0}};
        const struct fs_key key = {0, FS_ITEM_SPACE, chunk};
        struct fs_node_item present;
        *changed = true;
        /* First its place, which may take blocks of this very chunk; then what it says. */
        if (!cow_find(fs, call, FS_TREE_SPACE, key, &present)) {
            code = cow_put(fs, call, FS_TREE_SPACE, key, &value);
        }
        fs->space_dirty[chunk] = 0;
        memcpy(value.bitmap, fs->in_use + chunk * (FS_SPACE_BLOCKS / 8), sizeof value.bitmap);
        code = code == OK ? cow_put(fs, call, FS_TREE_SPACE, key, &value) : code;
    }
    return code;
}

enum error_code cow_load_space(struct fs *fs, const struct fs_call *call) {
    struct fs_node_item item = {.key = {0, FS_ITEM_SPACE, 0}};
    bool more = cow_find(fs, call, FS_TREE_SPACE, item.key, &item);
    if (!more) {
        return ERR_IO;
    }
    for (; more && item.key.type == FS_ITEM_SPACE; more = cow_find_above(fs, call, FS_TREE_SPACE, item.key, &item)) {
        for (uint64_t i = 0; i < FS_SPACE_BLOCKS && item.key.offset * FS_SPACE_BLOCKS + i < fs->blocks; ++i) {
            if (bit(item.value.bitmap, i)) {
                cow_take(fs, item.key.offset * FS_SPACE_BLOCKS + i, 1);
            }
        }
    }
    memset(fs->space_dirty, 0, fs->blocks / FS_SPACE_BLOCKS + 1);
    return OK;
}
