/* cow_commit.c: how what has been changed becomes durable. A commit writes every node
 * that has changed, then, behind a flush, the superblock that names the new roots. An
 * fsync does not wait for that: it writes the file's items into a log tree, and the
 * superblock that names the log. */
#include <stdlib.h>
#include <string.h>

#include "stack/fs/fs_internal.h"

/* Nodes on their way, as they were at one instant. */
struct batch {
    size_t count;
    uint64_t *blocks, *copies; /* frames */
    uint8_t *purposes;
};

static bool is_of_log(const struct fs_buffer *buffer) {
    return buffer->purpose == BLOCK_FOR_log_node;
}

static bool goes(const struct fs_buffer *buffer, const void *context) {
    return buffer->changed && is_of_log(buffer) == *(const bool *)context;
}

/* Copies the changed nodes, of the log or of the rest; the device has them from here on. */
static struct batch close_nodes(struct fs *fs, const struct fs_call *call, bool log) {
    struct batch batch = {0};
    struct fs_buffer **buffers = fs_buffers_gather(fs, goes, &log, &batch.count);
    batch.blocks = calloc(batch.count + 1, sizeof *batch.blocks);
    batch.copies = calloc(batch.count + 1, sizeof *batch.copies);
    batch.purposes = calloc(batch.count + 1, 1);
    SIM_ASSERT_MSG(batch.blocks != NULL && batch.copies != NULL && batch.purposes != NULL, "out of memory");
    for (size_t i = 0; i < batch.count; ++i) {
        struct fs_node *node = cow_node(fs, buffers[i]);
        node->header.checksum =
            fs_crc32c(0, (const uint8_t *)node + sizeof(uint32_t), FS_BLOCK_BYTES - sizeof(uint32_t));
        fs_charge(fs, call, &fs->costs->commit_block, 1);
        batch.blocks[i] = buffers[i]->block;
        batch.purposes[i] = (uint8_t)buffers[i]->purpose;
        batch.copies[i] = fs_frame(fs);
        memory_copy(fs->host.memory, batch.copies[i], buffers[i]->frame, FS_BLOCK_BYTES);
        buffers[i]->written = true;
        fs_buffer_unchanged(fs, buffers[i]);
    }
    free(buffers);
    fs->counters.metadata_blocks_written += batch.count;
    return batch;
}

static enum error_code write_batch(struct fs *fs, const struct fs_call *call, struct batch *batch) {
    struct fs_io_list list = {0};
    for (size_t i = 0; i < batch->count; ++i) {
        (void)fs_io_block(fs, call, &list, BLOCK_WRITE, batch->blocks[i], batch->copies[i],
                          (enum block_purpose)batch->purposes[i]);
    }
    const enum error_code code = fs_io_finish(fs, call, &list);
    for (size_t i = 0; i < batch->count; ++i) {
        fs_frame_free(fs, batch->copies[i]);
    }
    free(batch->blocks);
    free(batch->copies);
    free(batch->purposes);
    return code;
}

/* What the superblock names is durable before it is written. */
static enum error_code write_super(struct fs *fs, const struct fs_call *call, struct fs_superblock *super,
                                   bool copies) {
    const uint64_t frame = fs_frame(fs);
    enum error_code code = fs_io_flush(fs, call);
    fs_super_seal(super);
    memory_fill(fs->host.memory, frame, 0, FS_BLOCK_BYTES);
    memory_write(fs->host.memory, frame, super, sizeof *super);
    if (code == OK) {
        code = fs_io_write(fs, call, FS_COW_SUPERBLOCK, frame, BLOCK_FOR_superblock, true);
    }
    if (code == OK && copies && FS_COW_SUPERBLOCK_COPY < fs->blocks) {
        code = fs_io_write(fs, call, FS_COW_SUPERBLOCK_COPY, frame, BLOCK_FOR_superblock, true);
    }
    fs_frame_free(fs, frame);
    return code;
}

/* ---- the whole ---- */

static bool is_log_node(const struct fs_buffer *buffer, const void *context) {
    (void)context;
    return is_of_log(buffer);
}

/* The log's items are all in the other trees; its blocks are free after the commit. */
static void drop_log(struct fs *fs) {
    size_t count = 0;
    struct fs_buffer **nodes = fs_buffers_gather(fs, is_log_node, NULL, &count);
    for (size_t i = 0; i < count; ++i) {
        cow_release(fs, nodes[i]->block, 1);
        fs_buffer_drop(fs, nodes[i]);
    }
    free(nodes);
    fs->trees[FS_TREE_LOG] = fs->trees[FS_TREE_LOG_ROOTS] = (struct fs_tree){0};
    for (struct fs_file *file = fs->files; file != NULL; file = file->next) {
        file->log_count = 0;
        file->in_log = false;
    }
}

static enum error_code put_root(struct fs *fs, const struct fs_call *call, enum fs_tree_id roots,
                                enum fs_tree_id tree) {
    const union fs_value value = {.words = {fs->trees[tree].root, fs->running}};
    return cow_put(fs, call, roots, (struct fs_key){tree, FS_ITEM_ROOT, 0}, &value);
}

/* Inodes, free space and roots as of now. New nodes take space, which the space tree
 * must say, which takes new nodes: until nothing changes any more. */
static enum error_code settle(struct fs *fs, const struct fs_call *call) {
    enum error_code code = OK;
    bool changed = true;
    for (struct fs_file *file = fs->files; file != NULL && code == OK; file = file->next) {
        if (file->inode_dirty) {
            code = cow_put_file(fs, call, FS_TREE_FILES, file, false);
            file->inode_dirty = false;
        }
    }
    while (code == OK && changed) {
        for (unsigned tree = 0; tree < FS_TREE_ROOTS && code == OK; ++tree) {
            code = put_root(fs, call, FS_TREE_ROOTS, (enum fs_tree_id)tree);
        }
        code = code == OK ? cow_put_space(fs, call, &changed) : code;
    }
    return code;
}

enum error_code cow_commit_running(struct fs *fs, const struct fs_call *call) {
    size_t pinned_count = 0;
    fs_charge(fs, call, &fs->costs->commit, 1);
    fs_lock(fs, call);
    drop_log(fs);
    enum error_code code = settle(fs, call);
    struct batch batch = close_nodes(fs, call, false);
    uint64_t *pinned = cow_take_pinned(fs, &pinned_count);
    struct fs_superblock super = fs->super;
    super.generation = fs->running++;
    super.root_block = fs->trees[FS_TREE_ROOTS].root;
    super.log_block = super.log_generation = 0;
    fs->changed_since = SIM_TIME_MAX;
    fs_unlock(fs, call);
    const enum error_code written = write_batch(fs, call, &batch);
    code = code == OK ? written : code;
    code = code == OK ? write_super(fs, call, &super, true) : code;
    if (code == OK) {
        fs->super = super;
        fs->committed = super.generation;
        fs->counters.commits += 1;
        cow_unpin(fs, pinned, pinned_count);
    } else {
        free(pinned); /* stays pinned */
    }
    return code;
}

static bool has_changes(const struct fs *fs) {
    bool changed = fs->changed != NULL;
    for (const struct fs_file *file = fs->files; file != NULL; file = file->next) {
        changed = changed || file->inode_dirty;
    }
    return changed;
}

enum error_code cow_commit(struct fs *fs, const struct fs_call *call) {
    const uint64_t sequence = fs->running;
    fs_begin_commit(fs, call);
    if (fs->committed < sequence && fs->failed == OK && has_changes(fs)) {
        fs_work(fs, call, FS_WORK_JOURNAL);
        fs->failed = cow_commit_running(fs, call);
        fs_work(fs, call, FS_WORK_CODE);
    }
    fs_end_commit(fs, call);
    return fs->failed;
}

/* ---- one file ---- */

/* The checksums of an extent, from their tree into the log. */
static enum error_code log_checksums(struct fs *fs, const struct fs_call *call, const struct fs_log_extent *extent) {
    enum error_code code = OK;
    for (uint64_t i = 0; i < extent->count && code == OK; ++i) {
        struct fs_node_item item;
        const uint64_t block = extent->block + i;
        const struct fs_key key = {0, FS_ITEM_CHECKSUM, block / FS_CHECKSUM_BLOCKS};
        if (cow_find(fs, call, FS_TREE_CHECKSUMS, key, &item) &&
            (i == 0 || block % FS_CHECKSUM_BLOCKS == 0)) { /* an item as a whole, once */
            const uint64_t first = block % FS_CHECKSUM_BLOCKS;
            const uint64_t room = FS_CHECKSUM_BLOCKS - first, left = extent->count - i;
            code = cow_put_checksums(fs, call, FS_TREE_LOG, block, room < left ? room : left,
                                     item.value.checksums + first);
        }
    }
    return code;
}

static enum error_code log_file(struct fs *fs, const struct fs_call *call, struct fs_file *file) {
    enum error_code code = cow_put_file(fs, call, FS_TREE_LOG, file, !file->in_log);
    for (size_t i = 0; i < file->log_count && code == OK; ++i) {
        const struct fs_log_extent *extent = &file->log_extents[i];
        code = cow_map_range(fs, call, FS_TREE_LOG, file->number, extent->index, extent->count, extent->block);
        code = code == OK ? log_checksums(fs, call, extent) : code;
    }
    file->log_count = 0;
    file->in_log = true;
    return code == OK ? put_root(fs, call, FS_TREE_LOG_ROOTS, FS_TREE_LOG) : code;
}

static enum error_code write_log(struct fs *fs, const struct fs_call *call, struct fs_file *file) {
    fs_charge(fs, call, &fs->costs->commit, 1);
    fs_lock(fs, call);
    enum error_code code = log_file(fs, call, file);
    struct batch batch = close_nodes(fs, call, true);
    fs->super.log_block = fs->trees[FS_TREE_LOG_ROOTS].root;
    fs->super.log_generation = fs->super.generation + 1;
    fs_unlock(fs, call);
    const enum error_code written = write_batch(fs, call, &batch);
    code = code == OK ? written : code;
    fs->counters.log_commits += 1;
    return code == OK ? write_super(fs, call, &fs->super, false) : code;
}

enum error_code cow_sync(struct fs *fs, const struct fs_call *call, struct fs_file *file, bool data_only) {
    const uint64_t sequence = data_only ? file->data_sync_sequence : file->sync_sequence;
    enum error_code code = OK;
    fs_begin_commit(fs, call);
    if (sequence > fs->committed && fs->failed == OK) {
        fs_work(fs, call, FS_WORK_JOURNAL);
        /* The log's old nodes are free again only after a commit. */
        code = cow_metadata_is_short(fs) ? cow_commit_running(fs, call) : write_log(fs, call, file);
        fs->failed = code;
        fs_work(fs, call, FS_WORK_CODE);
    }
    fs_end_commit(fs, call);
    return fs->failed;
}
