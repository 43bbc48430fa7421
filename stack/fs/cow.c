/* cow.c: btrfs: format, mount, files. */
#include <stdlib.h>

#include "stack/fs/fs_internal.h"

static enum error_code format(struct fs *fs, const struct fs_call *call) {
    for (unsigned tree = 0; tree < FS_TREES; ++tree) {
        fs->trees[tree] = (struct fs_tree){0};
    }
    cow_space_open(fs);
    fs->running = 1;
    fs->committed = 0;
    return cow_commit_running(fs, call);
}

/* ---- mount ---- */

static void load_roots(struct fs *fs, const struct fs_call *call) {
    struct fs_node_item item;
    fs->trees[FS_TREE_ROOTS].root = fs->super.root_block;
    for (unsigned tree = 0; tree < FS_TREE_ROOTS; ++tree) {
        const struct fs_key key = {tree, FS_ITEM_ROOT, 0};
        fs->trees[tree].root = cow_find(fs, call, FS_TREE_ROOTS, key, &item) ? item.value.words[0] : 0;
    }
}

static enum error_code replay_item(struct fs *fs, const struct fs_call *call, const struct fs_node_item *item) {
    switch (item->key.type) {
    case FS_ITEM_EXTENT:
        cow_take(fs, item->value.words[0], item->value.words[1]);
        return cow_map_range(fs, call, FS_TREE_FILES, (uint32_t)item->key.object, item->key.offset,
                             item->value.words[1], item->value.words[0]);
    case FS_ITEM_CHECKSUM:
        for (uint64_t i = 0; i < FS_CHECKSUM_BLOCKS; ++i) {
            if (item->value.checksums[i] != 0) {
                const enum error_code code =
                    cow_put_checksums(fs, call, FS_TREE_CHECKSUMS, item->key.offset * FS_CHECKSUM_BLOCKS + i, 1,
                                      &item->value.checksums[i]);
                if (code != OK) {
                    return code;
                }
            }
        }
        return OK;
    default:
        return cow_put(fs, call, FS_TREE_FILES, item->key, &item->value);
    }
}

/* The log's nodes, which no bitmap knows, keep their contents until their items are
 * in the other trees and committed. */
static enum error_code replay_log(struct fs *fs, const struct fs_call *call) {
    struct fs_node_item item;
    const struct fs_key root = {FS_TREE_LOG, FS_ITEM_ROOT, 0};
    enum error_code code = cow_visit_nodes(fs, call, fs->super.log_block, cow_pin);
    fs->trees[FS_TREE_LOG_ROOTS].root = fs->super.log_block;
    if (code != OK || !cow_find(fs, call, FS_TREE_LOG_ROOTS, root, &item)) {
        return ERR_IO;
    }
    fs->trees[FS_TREE_LOG].root = item.value.words[0];
    code = cow_visit_nodes(fs, call, item.value.words[0], cow_pin);
    struct fs_key key = {0, 0, 0};
    while (code == OK && cow_find_above(fs, call, FS_TREE_LOG, key, &item)) {
        key = item.key;
        code = replay_item(fs, call, &item);
    }
    fs->trees[FS_TREE_LOG] = fs->trees[FS_TREE_LOG_ROOTS] = (struct fs_tree){0};
    return code;
}

static enum error_code load_files(struct fs *fs, const struct fs_call *call) {
    struct fs_node_item item = {.key = {0, 0, 0}};
    while (cow_find_above(fs, call, FS_TREE_FILES, item.key, &item)) {
        if (item.key.type == FS_ITEM_NAME) {
            struct fs_node_item inode;
            const struct fs_key key = {item.key.object, FS_ITEM_INODE, 0};
            if (!cow_find(fs, call, FS_TREE_FILES, key, &inode)) {
                return ERR_IO;
            }
            struct fs_file *file = fs_add_file(fs, item.value.name, (uint32_t)item.key.object);
            file->size = file->disk_size = inode.value.words[0];
            file->mtime_ns = inode.value.words[1];
            file->blocks = inode.value.words[2];
        }
    }
    return OK;
}

static enum error_code mount(struct fs *fs, const struct fs_call *call) {
    fs->blocks = fs->super.blocks;
    fs->committed = fs->super.generation;
    fs->running = fs->committed + 1;
    cow_space_open(fs);
    load_roots(fs, call);
    enum error_code code = fs->files == NULL ? cow_load_space(fs, call) : ERR_EXISTS;
    if (code == OK && fs->super.log_generation == fs->running) {
        code = replay_log(fs, call);
        code = code == OK ? cow_commit_running(fs, call) : code;
    }
    return code == OK ? load_files(fs, call) : code;
}

/* ---- files ---- */

static enum error_code inode_changed(struct fs *fs, const struct fs_call *call, struct fs_file *file, bool data) {
    (void)call;
    file->inode_dirty = true;
    file->sync_sequence = fs->running;
    file->data_sync_sequence = data ? fs->running : file->data_sync_sequence;
    fs->changed_since = fs->changed_since == SIM_TIME_MAX ? sim_now() : fs->changed_since;
    return OK;
}

static enum error_code create(struct fs *fs, const struct fs_call *call, struct fs_file *file) {
    const enum error_code code = cow_put_file(fs, call, FS_TREE_FILES, file, true);
    return code == OK ? inode_changed(fs, call, file, true) : code;
}

static enum error_code allocate(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t index,
                                uint64_t count, uint64_t *block, uint64_t *got) {
    (void)file;
    (void)index;
    fs_charge(fs, call, &fs->costs->allocate, 1);
    *block = cow_new_data(fs, count, got);
    fs->counters.blocks_allocated += *got;
    return *block != 0 ? OK : ERR_EXHAUSTED;
}

static void note_for_log(struct fs_file *file, uint64_t index, uint64_t block, uint64_t count) {
    if (file->log_count == file->log_capacity) {
        file->log_capacity = file->log_capacity * 2 + 16;
        file->log_extents = realloc(file->log_extents, file->log_capacity * sizeof *file->log_extents);
        SIM_ASSERT_MSG(file->log_extents != NULL, "out of memory");
    }
    file->log_extents[file->log_count++] = (struct fs_log_extent){index, block, count};
}

static enum error_code data_written(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t index,
                                    uint64_t count, uint64_t block, const uint32_t *checksums) {
    enum error_code code = cow_map_range(fs, call, FS_TREE_FILES, file->number, index, count, block);
    code = code == OK ? cow_put_checksums(fs, call, FS_TREE_CHECKSUMS, block, count, checksums) : code;
    const uint64_t end = (index + count) * FS_BLOCK_BYTES;
    const uint64_t reached = end < file->size ? end : file->size;
    file->disk_size = reached > file->disk_size ? reached : file->disk_size;
    note_for_log(file, index, block, count);
    return code == OK ? inode_changed(fs, call, file, true) : code;
}

const struct fs_behaviour fs_btrfs = {.copy_on_write = true,
                                      .delayed = true,
                                      .data_checksums = true,
                                      .format = format,
                                      .mount = mount,
                                      .create = create,
                                      .map = cow_map,
                                      .allocate = allocate,
                                      .data_written = data_written,
                                      .inode_changed = inode_changed,
                                      .sync = cow_sync,
                                      .commit = cow_commit};
