/* fs.c: making, locking, charging, opening. */
#include <stdlib.h>
#include <string.h>

#include "stack/fs/fs_internal.h"
#include "stack/udp_stack.h"

const char *const fs_kind_names[FS_KINDS + 1] = {"ext2", "ext3", "ext4", "btrfs", NULL};

const struct param fs_cost_params[] = {
#define FS_COST_ROW(name, text)                                                                                        \
    {.key = #name, .type = PARAM_COST, .offset = offsetof(struct fs_costs, name), .help = (text)},
    FS_COSTS(FS_COST_ROW)
#undef FS_COST_ROW
        {0}};

static const struct fs_behaviour *const behaviours[FS_KINDS] = {&fs_ext2, &fs_ext3, &fs_ext4, &fs_btrfs};

/* ---- charging ---- */

uint64_t fs_working_set_bytes(const struct fs_costs *costs) {
    const struct cost *rows = (const struct cost *)(const void *)costs;
    uint64_t bytes = 0;
    for (size_t i = 0; i < FS_COST_ROWS; ++i) {
        bytes += (uint64_t)rows[i].lines * MEMORY_LINE_BYTES;
    }
    return bytes;
}

static void place_costs(struct fs *fs) {
    const struct cost *rows = (const struct cost *)(const void *)fs->costs;
    uint64_t at = fs->host.working_set;
    for (size_t i = 0; i < FS_COST_ROWS; ++i) {
        fs->lines_at[i] = at;
        at += (uint64_t)rows[i].lines * MEMORY_LINE_BYTES;
    }
}

void fs_charge(struct fs *fs, const struct fs_call *call, struct cost *cost, double factor) {
    const size_t row = (size_t)(cost - (struct cost *)(void *)fs->costs);
    (void)stack_charge(call->cpu, cost, factor, fs->lines_at[row]);
}

void fs_work(struct fs *fs, const struct fs_call *call, enum fs_work work) {
    if (fs->host.work != NULL) {
        fs->host.work(fs->host.context, call, work);
    }
}

/* ---- locks ---- */

void fs_lock(struct fs *fs, const struct fs_call *call) {
    while (fs->locked) {
        fs->host.sleep(fs->host.context, call, &fs->lock_queue);
    }
    fs->locked = true;
}

void fs_unlock(struct fs *fs, const struct fs_call *call) {
    fs->locked = false;
    fs->host.wake(fs->host.context, call, &fs->lock_queue);
}

void fs_begin_commit(struct fs *fs, const struct fs_call *call) {
    while (fs->committing) {
        fs->host.sleep(fs->host.context, call, &fs->commit_queue);
    }
    fs->committing = true;
}

void fs_end_commit(struct fs *fs, const struct fs_call *call) {
    fs->committing = false;
    fs->host.wake(fs->host.context, call, &fs->commit_queue);
}

void fs_file_lock(struct fs *fs, const struct fs_call *call, struct fs_file *file) {
    while (file->writing) {
        fs->host.sleep(fs->host.context, call, &file->writers);
    }
    file->writing = true;
}

void fs_file_unlock(struct fs *fs, const struct fs_call *call, struct fs_file *file) {
    file->writing = false;
    fs->host.wake(fs->host.context, call, &file->writers);
}

/* ---- memory, time ---- */

uint64_t fs_frame(struct fs *fs) {
    if (fs->free_frame_count > 0) {
        return fs->free_frames[--fs->free_frame_count];
    }
    const uint64_t frame = fs->host.frame_allocate(fs->host.context);
    SIM_ASSERT_MSG(frame != 0, "no memory for the file system's buffers");
    return frame;
}

void fs_frame_free(struct fs *fs, uint64_t frame) {
    if (fs->free_frame_count == fs->free_frame_capacity) {
        fs->free_frame_capacity = fs->free_frame_capacity * 2 + 64;
        fs->free_frames = realloc(fs->free_frames, fs->free_frame_capacity * sizeof *fs->free_frames);
        SIM_ASSERT_MSG(fs->free_frames != NULL, "out of memory");
    }
    fs->free_frames[fs->free_frame_count++] = frame;
}

uint64_t fs_now_ns(const struct fs *fs) {
    const sim_time step = fs->behaviour->time_step > fs->host.time_step ? fs->behaviour->time_step : fs->host.time_step;
    return (step > 0 ? sim_now() / step * step : sim_now()) / SIM_NS;
}

/* ---- making ---- */

enum error_code fs_create(struct block_device *device, const struct fs_host *host, const struct fs_options *options,
                          struct fs_costs *costs, struct fs **out, struct error *error) {
    SIM_ASSERT(FS_BLOCK_BYTES % device->block_bytes == 0 && options->kind < FS_KINDS);
    const struct fs_behaviour *behaviour = behaviours[options->kind];
    const uint32_t sectors = FS_BLOCK_BYTES / device->block_bytes;
    const uint64_t blocks = device->blocks / sectors;
    const uint64_t journal = behaviour->journal ? options->journal_blocks : 0;
    const uint64_t needed = 256 + 2 * journal;
    if (blocks < needed) {
        return error_set(error, ERR_RANGE, "%s needs %llu blocks of 4 KiB, and '%s' has %llu",
                         fs_kind_names[options->kind], (unsigned long long)needed, device->name,
                         (unsigned long long)blocks);
    }
    struct fs *fs = calloc(1, sizeof *fs);
    SIM_ASSERT_MSG(fs != NULL, "out of memory");
    fs->behaviour = behaviour;
    fs->options = *options;
    fs->host = *host;
    fs->device = device;
    fs->costs = costs;
    fs->sectors = sectors;
    fs->blocks = blocks;
    fs->changed_since = SIM_TIME_MAX;
    fs->running = 1;
    place_costs(fs);
    *out = fs;
    return OK;
}

void fs_free(struct fs *fs) {
    if (fs == NULL) {
        return;
    }
    fs_pages_free(fs);
    fs_buffers_free(fs);
    fs_io_free(fs);
    while (fs->files != NULL) {
        struct fs_file *file = fs->files;
        fs->files = file->next;
        free(file->log_extents);
        free(file);
    }
    free(fs->free_frames);
    free(fs->journal.records);
    free(fs->in_use);
    free(fs->pinned);
    free(fs->pinned_list);
    free(fs->space_dirty);
    free(fs);
}

static uint32_t super_checksum(const struct fs_superblock *super) {
    struct fs_superblock copy = *super;
    copy.checksum = 0;
    return fs_crc32c(0, &copy, sizeof copy);
}

void fs_super_seal(struct fs_superblock *super) {
    super->checksum = super_checksum(super);
}

bool fs_super_valid(const struct fs_superblock *super) {
    return super->magic == FS_MAGIC && super->checksum == super_checksum(super) && super->kind < FS_KINDS;
}

enum error_code fs_format(struct fs *fs, const struct fs_call *call) {
    fs->super = (struct fs_superblock){.magic = FS_MAGIC,
                                       .kind = (uint32_t)fs->options.kind,
                                       .journal_checksums = fs->options.journal_checksums,
                                       .blocks = fs->blocks};
    return fs->behaviour->format(fs, call);
}

enum error_code fs_mount(struct fs *fs, const struct fs_call *call) {
    const uint64_t frame = fs_frame(fs);
    const uint64_t places[] = {fs->behaviour->copy_on_write ? FS_COW_SUPERBLOCK : 0, FS_COW_SUPERBLOCK_COPY};
    enum error_code code = ERR_NOT_FOUND;
    for (size_t i = 0; i < (fs->behaviour->copy_on_write ? 2 : 1) && places[i] < fs->blocks; ++i) {
        struct fs_superblock super;
        if (fs_io_read(fs, call, places[i], frame, BLOCK_FOR_superblock) != OK) {
            continue;
        }
        memory_read(fs->host.memory, frame, &super, sizeof super);
        if (fs_super_valid(&super) && super.kind == (uint32_t)fs->options.kind && super.blocks <= fs->blocks &&
            (code != OK || super.generation > fs->super.generation)) {
            fs->super = super;
            code = OK;
        }
    }
    fs_frame_free(fs, frame);
    return code == OK ? fs->behaviour->mount(fs, call) : code;
}

/* ---- files ---- */

struct fs_file *fs_add_file(struct fs *fs, const char *name, uint32_t number) {
    struct fs_file **last = &fs->files;
    struct fs_file *file = calloc(1, sizeof *file);
    SIM_ASSERT_MSG(file != NULL, "out of memory");
    (void)snprintf(file->name, sizeof file->name, "%s", name);
    file->number = number;
    while (*last != NULL && (*last)->number < number) {
        last = &(*last)->next;
    }
    file->next = *last;
    *last = file;
    return file;
}

static struct fs_file *find(const struct fs *fs, const char *name) {
    for (struct fs_file *file = fs->files; file != NULL; file = file->next) {
        if (strcmp(file->name, name) == 0) {
            return file;
        }
    }
    return NULL;
}

static uint32_t free_number(const struct fs *fs) {
    uint32_t number = 1;
    for (const struct fs_file *file = fs->files; file != NULL && file->number == number; file = file->next) {
        number += 1;
    }
    return number;
}

/* A transaction must fit the journal: it is closed before it grows too large. */
static enum error_code keep_transaction_small(struct fs *fs, const struct fs_call *call) {
    const bool large = fs->behaviour->copy_on_write
                           ? cow_metadata_is_short(fs)
                           : fs->behaviour->journal && fs->changed_count > fs->journal.blocks / 4 - 16;
    return large ? fs_commit(fs, call) : OK;
}

/* Blocks for all of the size, mapped; contents as the device has them. */
static enum error_code preallocate(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t bytes) {
    const uint64_t blocks = (bytes + FS_BLOCK_BYTES - 1) / FS_BLOCK_BYTES;
    for (uint64_t index = 0; index < blocks;) {
        uint64_t block = 0, got = 1;
        fs_lock(fs, call);
        enum error_code code = fs->behaviour->map(fs, call, file, index, &block);
        if (code == OK && block == 0) {
            code = fs->behaviour->allocate(fs, call, file, index, blocks - index, &block, &got);
            if (code == OK && fs->behaviour->copy_on_write) {
                code = fs->behaviour->data_written(fs, call, file, index, got, block, NULL);
            }
        }
        index += got;
        const uint64_t mapped = index * FS_BLOCK_BYTES < bytes ? index * FS_BLOCK_BYTES : bytes;
        file->size = file->size > mapped ? file->size : mapped;
        file->disk_size = file->disk_size > mapped ? file->disk_size : mapped;
        if (code == OK) {
            code = fs->behaviour->inode_changed(fs, call, file, true);
        }
        fs_unlock(fs, call);
        code = code == OK ? keep_transaction_small(fs, call) : code;
        if (code != OK) {
            return code;
        }
    }
    return OK;
}

enum error_code fs_open(struct fs *fs, const struct fs_call *call, const char *name, uint64_t size_bytes,
                        struct fs_file **out) {
    fs_charge(fs, call, &fs->costs->open, 1);
    struct fs_file *file = find(fs, name);
    enum error_code code = OK;
    if (file == NULL) {
        const uint32_t number = free_number(fs);
        if (number > FS_INODES || strlen(name) >= FS_NAME_BYTES) {
            return ERR_EXHAUSTED;
        }
        file = fs_add_file(fs, name, number);
        file->mtime_ns = fs_now_ns(fs);
        fs_lock(fs, call);
        code = fs->behaviour->create(fs, call, file);
        fs_unlock(fs, call);
    }
    if (code == OK && file->size < size_bytes) {
        code = preallocate(fs, call, file, size_bytes);
    }
    *out = file;
    return code;
}

uint64_t fs_size(const struct fs_file *file) {
    return file->size;
}

/* ---- syncing ---- */

enum error_code fs_commit(struct fs *fs, const struct fs_call *call) {
    return fs->behaviour->commit != NULL ? fs->behaviour->commit(fs, call) : OK;
}

enum error_code fs_sync(struct fs *fs, const struct fs_call *call, struct fs_file *file, bool data_only) {
    fs->counters.syncs += 1;
    fs_charge(fs, call, &fs->costs->sync, 1);
    const enum error_code code = fs_write_pages(fs, call, file, 0, UINT64_MAX, SIM_TIME_MAX, true);
    return code == OK ? fs->behaviour->sync(fs, call, file, data_only) : code;
}

enum error_code fs_write_back(struct fs *fs, const struct fs_call *call, sim_time before, uint64_t limit) {
    const uint64_t written = fs->counters.pages_written;
    enum error_code code = OK;
    for (struct fs_file *file = fs->files; file != NULL && code == OK; file = file->next) {
        if (fs->counters.pages_written - written >= limit) {
            return OK;
        }
        if (file->first_dirty != NULL) {
            code = fs_write_pages(fs, call, file, 0, UINT64_MAX, before, true);
        }
    }
    return code == OK && fs->behaviour->write_metadata != NULL ? fs->behaviour->write_metadata(fs, call, before) : code;
}

uint64_t fs_open_transaction(const struct fs *fs) {
    return fs->running;
}

uint64_t fs_committed_transaction(const struct fs *fs) {
    return fs->committed;
}

sim_time fs_transaction_since(const struct fs *fs) {
    return fs->behaviour->commit != NULL ? fs->changed_since : SIM_TIME_MAX;
}

uint64_t fs_dirty_pages(const struct fs *fs) {
    return fs->dirty_pages;
}

uint64_t fs_cached_pages(const struct fs *fs) {
    return fs->cached_pages;
}

struct fs_counters *fs_counters(struct fs *fs) {
    return &fs->counters;
}
