/* ext.c: ext2, ext3 and ext4: layout, inodes, directory, fsync. */
#include <stdlib.h>
#include <string.h>

#include "stack/fs/fs_internal.h"

/* ---- format ---- */

static void lay_out(struct fs *fs) {
    struct fs_superblock *super = &fs->super;
    const uint64_t per_block = FS_BLOCK_BYTES / FS_GROUP_BYTES;
    super->groups = (fs->blocks + FS_BLOCK_BITS - 1) / FS_BLOCK_BITS;
    super->group_block = 1;
    super->inode_block = super->group_block + (super->groups + per_block - 1) / per_block;
    super->directory_block = super->inode_block + FS_INODE_BLOCKS;
    super->journal_block = super->directory_block + FS_DIRECTORY_BLOCKS;
    super->journal_blocks = fs->behaviour->journal ? fs->options.journal_blocks : 0;
    super->bitmap_block = super->journal_block + super->journal_blocks;
    super->data_block = super->bitmap_block + super->groups;
}

static bool is_dirty(const struct fs_buffer *buffer, const void *context) {
    (void)context;
    return buffer->dirtied != SIM_TIME_MAX;
}

static bool is_any(const struct fs_buffer *buffer, const void *context) {
    (void)buffer;
    (void)context;
    return true;
}

static enum error_code write_super(struct fs *fs, const struct fs_call *call) {
    const uint64_t frame = fs_frame(fs);
    memory_fill(fs->host.memory, frame, 0, FS_BLOCK_BYTES);
    fs_super_seal(&fs->super);
    memory_write(fs->host.memory, frame, &fs->super, sizeof fs->super);
    const enum error_code code = fs_io_write(fs, call, 0, frame, BLOCK_FOR_superblock, true);
    fs_frame_free(fs, frame);
    return code;
}

/* Writes the buffers that differ from their place; without a journal's rules. */
static enum error_code write_dirty(struct fs *fs, const struct fs_call *call) {
    size_t count = 0;
    struct fs_buffer **buffers = fs_buffers_gather(fs, is_dirty, NULL, &count);
    for (size_t i = 0; i < count; ++i) {
        buffers[i]->dirtied = SIM_TIME_MAX;
        fs_buffer_unchanged(fs, buffers[i]);
    }
    const enum error_code code = fs_buffers_write(fs, call, buffers, count);
    free(buffers);
    return code;
}

/* mke2fs zeroes the journal: nothing of a former one may look like a transaction. */
static enum error_code zero_journal(struct fs *fs, const struct fs_call *call) {
    struct fs_io_list list = {0};
    const uint64_t frame = fs_frame(fs);
    memory_fill(fs->host.memory, frame, 0, FS_BLOCK_BYTES);
    for (uint64_t i = 0; i < fs->super.journal_blocks; ++i) {
        (void)fs_io_block(fs, call, &list, BLOCK_WRITE, fs->super.journal_block + i, frame, BLOCK_FOR_other);
    }
    const enum error_code code = fs_io_finish(fs, call, &list);
    fs_frame_free(fs, frame);
    return code;
}

static enum error_code format(struct fs *fs, const struct fs_call *call) {
    size_t count = 0;
    struct fs_buffer **buffers = fs_buffers_gather(fs, is_any, NULL, &count);
    for (size_t i = 0; i < count; ++i) {
        fs_buffer_drop(fs, buffers[i]);
    }
    free(buffers);
    lay_out(fs);
    if (fs->super.data_block >= fs->blocks) {
        return ERR_RANGE;
    }
    enum error_code code = ext_groups_format(fs, call);
    for (uint64_t block = fs->super.inode_block; block < fs->super.journal_block; ++block) {
        fs_buffer_new(fs, block, block < fs->super.directory_block ? BLOCK_FOR_inode : BLOCK_FOR_directory)->dirtied =
            sim_now();
    }
    code = code == OK ? write_dirty(fs, call) : code;
    if (code == OK && fs->behaviour->journal) {
        fs->journal.first = fs->super.journal_block;
        fs->journal.blocks = fs->super.journal_blocks;
        code = zero_journal(fs, call);
        code = code == OK ? ext_journal_reset(fs, call, 1) : code;
    }
    code = code == OK ? fs_io_flush(fs, call) : code;
    return code == OK ? write_super(fs, call) : code;
}

/* ---- inodes ---- */

struct fs_inode *ext_inode(struct fs *fs, const struct fs_call *call, const struct fs_file *file,
                           struct fs_buffer **buffer) {
    const uint32_t per_block = FS_BLOCK_BYTES / FS_INODE_BYTES, at = file->number - 1;
    *buffer = fs_buffer_get(fs, call, fs->super.inode_block + at / per_block, BLOCK_FOR_inode);
    return *buffer != NULL ? (struct fs_inode *)fs_buffer_bytes(fs, *buffer) + at % per_block : NULL;
}

/* The inode's numbers go to its block in memory. */
static struct fs_buffer *write_inode(struct fs *fs, const struct fs_call *call, const struct fs_file *file) {
    struct fs_buffer *buffer = NULL;
    struct fs_inode *inode = ext_inode(fs, call, file, &buffer);
    if (inode != NULL) {
        inode->used = 1;
        inode->size_bytes = file->disk_size;
        inode->mtime_ns = file->mtime_ns;
        inode->blocks = file->blocks;
    }
    return inode != NULL ? buffer : NULL;
}

static enum error_code inode_changed(struct fs *fs, const struct fs_call *call, struct fs_file *file, bool data) {
    if (!fs->behaviour->journal) { /* it goes to its block when it is written */
        file->inode_dirty = true;
        file->inode_data_dirty = file->inode_data_dirty || data;
        return OK;
    }
    struct fs_buffer *buffer = write_inode(fs, call, file);
    if (buffer == NULL) {
        return ERR_IO;
    }
    fs_buffer_changed(fs, buffer);
    file->sync_sequence = fs->running;
    file->data_sync_sequence = data ? fs->running : file->data_sync_sequence;
    return OK;
}

static enum error_code create(struct fs *fs, const struct fs_call *call, struct fs_file *file) {
    struct fs_buffer *directory =
        fs_buffer_get(fs, call, fs->super.directory_block + (file->number - 1) / 64, BLOCK_FOR_directory);
    struct fs_buffer *block = NULL;
    struct fs_inode *inode = ext_inode(fs, call, file, &block);
    if (directory == NULL || inode == NULL) {
        return ERR_IO;
    }
    memset(inode, 0, sizeof *inode);
    if (fs->behaviour->extents) {
        inode->map.tree.header = (struct fs_extent_header){.magic = FS_EXTENT_MAGIC, .capacity = FS_EXTENTS_INLINE};
    }
    struct fs_directory_entry *entry =
        (struct fs_directory_entry *)fs_buffer_bytes(fs, directory) + (file->number - 1) % 64;
    *entry = (struct fs_directory_entry){.inode = file->number};
    memcpy(entry->name, file->name, sizeof entry->name);
    (void)write_inode(fs, call, file);
    fs_buffer_changed(fs, directory);
    fs_buffer_changed(fs, block);
    return inode_changed(fs, call, file, true);
}
_Static_assert(FS_BLOCK_BYTES / sizeof(struct fs_directory_entry) == 64, "entries of a directory block");

/* ---- blocks of files ---- */

static uint64_t goal_of(struct fs *fs, const struct fs_file *file) {
    const uint64_t share = (fs->blocks - fs->super.data_block) / FS_INODES;
    return file->last_block != 0 ? file->last_block + 1 : fs->super.data_block + (file->number - 1) * share;
}

static enum error_code allocate(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t index,
                                uint64_t count, uint64_t *block, uint64_t *got) {
    enum error_code code = ext_map_prepare(fs, call, file, index);
    if (code == OK) {
        code = ext_take_blocks(fs, call, goal_of(fs, file), count, block, got);
    }
    if (code != OK) {
        return code;
    }
    fs_charge(fs, call, &fs->costs->allocate, fs->behaviour->extents ? 1 : (double)*got);
    file->last_block = *block + *got - 1;
    file->blocks += *got;
    code = ext_map_set(fs, call, file, index, *block, *got);
    file->ordered = true;
    return code == OK ? inode_changed(fs, call, file, true) : code;
}

/* ---- fsync ---- */

struct owned {
    uint32_t owner;
};

static bool is_owned(const struct fs_buffer *buffer, const void *context) {
    const struct owned *owned = context;
    return buffer->changed && buffer->owner == owned->owner;
}

/* ext2: the file's indirect blocks, then its inode's block; no bitmap, no flush. */
static enum error_code sync_in_place(struct fs *fs, const struct fs_call *call, struct fs_file *file, bool data_only) {
    size_t count = 0;
    struct fs_buffer **buffers = fs_buffers_gather(fs, is_owned, &(struct owned){file->number}, &count);
    for (size_t i = 0; i < count; ++i) {
        buffers[i]->dirtied = SIM_TIME_MAX;
        fs_buffer_unchanged(fs, buffers[i]);
    }
    enum error_code code = count > 0 ? fs_buffers_write(fs, call, buffers, count) : OK;
    free(buffers);
    if (code == OK && (data_only ? file->inode_data_dirty : file->inode_dirty)) {
        struct fs_buffer *buffer = write_inode(fs, call, file);
        file->inode_dirty = file->inode_data_dirty = false;
        code = buffer != NULL ? fs_buffers_write(fs, call, &buffer, 1) : ERR_IO;
    }
    return code;
}

/* ext3, ext4: the transaction that has the inode must be committed; if it is, what
 * was written since may still lie in the device's cache. */
static enum error_code sync_journal(struct fs *fs, const struct fs_call *call, struct fs_file *file, bool data_only) {
    const uint64_t sequence = data_only ? file->data_sync_sequence : file->sync_sequence;
    if (sequence <= fs->committed) {
        return fs_io_flush(fs, call);
    }
    while (fs->committed < sequence && fs->failed == OK) {
        if (fs->host.commit != NULL) {
            fs->host.commit(fs->host.context, call, sequence);
        } else {
            (void)ext_journal_commit(fs, call);
        }
    }
    return fs->failed;
}

/* ---- background ---- */

static enum error_code write_metadata(struct fs *fs, const struct fs_call *call, sim_time before) {
    if (fs->behaviour->journal) {
        if (fs->journal.record_count == 0) {
            return OK;
        }
        fs_begin_commit(fs, call);
        const enum error_code code = ext_journal_checkpoint(fs, call);
        fs_end_commit(fs, call);
        return code;
    }
    for (struct fs_file *file = fs->files; file != NULL; file = file->next) {
        if (file->inode_dirty) {
            struct fs_buffer *buffer = write_inode(fs, call, file);
            if (buffer == NULL) {
                return ERR_IO;
            }
            fs_buffer_changed(fs, buffer);
            file->inode_dirty = file->inode_data_dirty = false;
        }
    }
    return fs->changed_since < before ? write_dirty(fs, call) : OK;
}

/* ---- mount ---- */

struct reader {
    struct fs *fs;
    const struct fs_call *call;
    uint64_t frame;
};

static bool read_block(void *context, uint64_t block, void *out) {
    struct reader *reader = context;
    const bool good =
        block < reader->fs->blocks && fs_io_read(reader->fs, reader->call, block, reader->frame, BLOCK_FOR_other) == OK;
    memory_read(reader->fs->host.memory, reader->frame, out, FS_BLOCK_BYTES);
    return good;
}

/* What the journal holds goes to its place. */
static enum error_code replay(struct fs *fs, const struct fs_call *call) {
    struct reader reader = {fs, call, fs_frame(fs)};
    struct error error = {0};
    struct fs_image *image = fs_image_open(read_block, &reader, &error);
    enum error_code code = image != NULL ? OK : ERR_IO;
    for (size_t i = 0; code == OK && i < fs_image_replayed(image); ++i) {
        uint64_t block = 0;
        memory_write(fs->host.memory, reader.frame, fs_image_replayed_block(image, i, &block), FS_BLOCK_BYTES);
        code = fs_io_write(fs, call, block, reader.frame, BLOCK_FOR_other, false);
    }
    code = code == OK ? fs_io_flush(fs, call) : code;
    if (code == OK && fs->behaviour->journal) {
        code = ext_journal_reset(fs, call, fs_image_next_sequence(image));
    }
    fs_image_free(image);
    fs_frame_free(fs, reader.frame);
    return code;
}

static enum error_code load_file(struct fs *fs, const struct fs_call *call, const struct fs_directory_entry *entry) {
    struct fs_buffer *buffer = NULL;
    struct fs_file *file = fs_add_file(fs, entry->name, entry->inode);
    const struct fs_inode *inode = ext_inode(fs, call, file, &buffer);
    if (inode == NULL) {
        return ERR_IO;
    }
    file->size = file->disk_size = inode->size_bytes;
    file->mtime_ns = inode->mtime_ns;
    file->blocks = inode->blocks;
    if (file->size > 0) {
        return ext_map(fs, call, file, (file->size - 1) / FS_BLOCK_BYTES, &file->last_block);
    }
    return OK;
}

static enum error_code mount(struct fs *fs, const struct fs_call *call) {
    fs->blocks = fs->super.blocks;
    fs->journal.first = fs->super.journal_block;
    fs->journal.blocks = fs->super.journal_blocks;
    enum error_code code = fs->files == NULL ? replay(fs, call) : ERR_EXISTS;
    code = code == OK ? ext_groups_mount(fs, call) : code;
    for (uint64_t i = 0; code == OK && i < FS_INODES; ++i) {
        struct fs_buffer *buffer = fs_buffer_get(fs, call, fs->super.directory_block + i / 64, BLOCK_FOR_directory);
        if (buffer == NULL) {
            return ERR_IO;
        }
        const struct fs_directory_entry entry = ((struct fs_directory_entry *)fs_buffer_bytes(fs, buffer))[i % 64];
        if (entry.inode != 0) {
            code = load_file(fs, call, &entry);
        }
    }
    return code;
}

/* ---- the three ---- */

#define COMMON                                                                                                         \
    .format = format, .mount = mount, .create = create, .map = ext_map, .allocate = allocate,                          \
    .inode_changed = inode_changed, .write_metadata = write_metadata

/* Inodes of 128 bytes have times in seconds. */
const struct fs_behaviour fs_ext2 = {.time_step = SIM_S, .sync = sync_in_place, COMMON};
const struct fs_behaviour fs_ext3 = {.journal = true,
                                     .ordered_overwrites = true,
                                     .time_step = SIM_S,
                                     .sync = sync_journal,
                                     .commit = ext_journal_commit,
                                     COMMON};
const struct fs_behaviour fs_ext4 = {
    .journal = true, .delayed = true, .extents = true, .sync = sync_journal, .commit = ext_journal_commit, COMMON};
