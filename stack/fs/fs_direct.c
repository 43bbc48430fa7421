/* fs_direct.c: O_DIRECT: between the device and the caller's memory. */
#include <stdlib.h>

#include "stack/fs/fs_internal.h"

enum { RUN_BYTES_MAX = FS_RUN_BLOCKS_MAX * FS_BLOCK_BYTES };

static bool is_aligned(const struct fs *fs, uint64_t offset, uint64_t physical, uint32_t length_bytes) {
    return ((offset | physical | length_bytes) & (fs->device->block_bytes - 1)) == 0 && length_bytes > 0;
}

/* Pages in the way are written and forgotten. */
static enum error_code leave_cache(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t offset,
                                   uint32_t length_bytes) {
    const uint64_t first = offset / FS_BLOCK_BYTES, last = (offset + length_bytes - 1) / FS_BLOCK_BYTES;
    const enum error_code code = file->dirty_pages > 0 || file->under_write_back > 0
                                     ? fs_write_pages(fs, call, file, first, last, SIM_TIME_MAX, true)
                                     : OK;
    for (uint64_t index = first; index <= last && code == OK; ++index) {
        struct fs_page *page = fs_page_find(file, index);
        if (page != NULL && !page->dirty && !page->write_back && !page->reading) {
            fs_page_drop(fs, page);
        }
    }
    return code;
}

/* Blocks of the file that lie one after the other: from `index` on, at most `count`;
 * `block` 0: a hole of so many. */
static enum error_code map_run(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t index,
                               uint64_t count, uint64_t *block, uint64_t *run) {
    enum error_code code = fs->behaviour->map(fs, call, file, index, block);
    for (*run = 1; code == OK && *run < count; ++*run) {
        uint64_t next = 0;
        code = fs->behaviour->map(fs, call, file, index + *run, &next);
        if (next != (*block == 0 ? 0 : *block + *run)) {
            break;
        }
    }
    return code;
}

static uint64_t blocks_of(uint64_t offset, uint32_t length_bytes) {
    const uint64_t blocks = (offset % FS_BLOCK_BYTES + length_bytes + FS_BLOCK_BYTES - 1) / FS_BLOCK_BYTES;
    return blocks < FS_RUN_BLOCKS_MAX ? blocks : FS_RUN_BLOCKS_MAX;
}

/* How much of the transfer lies in a run of blocks that begins where it does. */
static uint32_t piece_of(uint64_t offset, uint32_t length_bytes, uint64_t run) {
    const uint64_t bytes = run * FS_BLOCK_BYTES - offset % FS_BLOCK_BYTES;
    return bytes < length_bytes ? (uint32_t)bytes : length_bytes;
}

enum error_code fs_read_direct(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t offset,
                               uint64_t physical, uint32_t length_bytes) {
    fs->counters.reads += 1;
    if (!is_aligned(fs, offset, physical, length_bytes)) {
        return ERR_RANGE;
    }
    struct fs_io_list list = {0};
    enum error_code code = leave_cache(fs, call, file, offset, length_bytes);
    while (code == OK && length_bytes > 0 && offset < file->size) {
        uint64_t block = 0, run = 0;
        fs_lock(fs, call);
        code = map_run(fs, call, file, offset / FS_BLOCK_BYTES, blocks_of(offset, length_bytes), &block, &run);
        fs_unlock(fs, call);
        const uint32_t piece = piece_of(offset, length_bytes, run);
        fs_charge(fs, call, &fs->costs->direct, (double)run);
        if (code == OK && block != 0) {
            const uint64_t sector = block * fs->sectors + offset % FS_BLOCK_BYTES / fs->device->block_bytes;
            code = fs_io_direct(fs, call, &list, BLOCK_READ, sector, physical, piece);
        } else {
            memory_fill(fs->host.memory, physical, 0, piece);
        }
        offset += piece;
        physical += piece;
        length_bytes -= piece;
    }
    const enum error_code finished = fs_io_finish(fs, call, &list);
    return code == OK ? finished : code;
}

/* One run of blocks of a write; the file's map knows them afterwards. */
static enum error_code write_run(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t offset,
                                 uint64_t physical, uint32_t length_bytes, uint32_t *piece) {
    uint64_t block = 0, run = 0;
    struct fs_io_list list = {0};
    const uint64_t index = offset / FS_BLOCK_BYTES, most = blocks_of(offset, length_bytes);
    fs_lock(fs, call);
    enum error_code code = map_run(fs, call, file, index, most, &block, &run);
    if (code == OK && (block == 0 || fs->behaviour->copy_on_write)) {
        code = fs->behaviour->allocate(fs, call, file, index, run, &block, &run);
    }
    fs_unlock(fs, call);
    *piece = piece_of(offset, length_bytes, run);
    fs_charge(fs, call, &fs->costs->direct, (double)run);
    if (code != OK) {
        return code;
    }
    const uint64_t sector = block * fs->sectors + offset % FS_BLOCK_BYTES / fs->device->block_bytes;
    (void)fs_io_direct(fs, call, &list, BLOCK_WRITE, sector, physical, *piece);
    code = fs_io_finish(fs, call, &list);
    if (code == OK && fs->behaviour->data_written != NULL) {
        uint32_t checksums[FS_RUN_BLOCKS_MAX];
        uint8_t bytes[FS_BLOCK_BYTES];
        for (uint64_t i = 0; i < run; ++i) {
            fs_charge(fs, call, &fs->costs->checksum_per_kib, FS_BLOCK_BYTES / 1024.0);
            memory_read(fs->host.memory, physical + i * FS_BLOCK_BYTES, bytes, sizeof bytes);
            checksums[i] = fs_crc32c(0, bytes, sizeof bytes);
        }
        fs_lock(fs, call);
        code = fs->behaviour->data_written(fs, call, file, index, run, block, checksums);
        fs_unlock(fs, call);
    }
    return code;
}

/* A hole, or a part of a block that is copied on write, needs the rest of the block:
 * such a write goes through the page cache, and from there to the device. */
static enum error_code fall_back(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t offset,
                                 uint64_t physical, uint32_t length_bytes) {
    const enum error_code code = fs_write_cached(fs, call, file, offset, physical, length_bytes);
    return code == OK ? leave_cache(fs, call, file, offset, length_bytes) : code;
}

static bool is_partial(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t offset,
                       uint32_t length_bytes) {
    if ((offset | length_bytes) % FS_BLOCK_BYTES == 0) {
        return false;
    }
    const uint64_t ends[] = {offset / FS_BLOCK_BYTES, (offset + length_bytes - 1) / FS_BLOCK_BYTES};
    bool hole = fs->behaviour->copy_on_write;
    for (size_t i = 0; i < 2 && !hole; ++i) {
        uint64_t block = 0;
        fs_lock(fs, call);
        (void)fs->behaviour->map(fs, call, file, ends[i], &block);
        fs_unlock(fs, call);
        hole = block == 0;
    }
    return hole;
}

static enum error_code write_runs(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t offset,
                                  uint64_t physical, uint32_t length_bytes) {
    enum error_code code = OK;
    while (code == OK && length_bytes > 0) {
        uint32_t piece = 0;
        code = write_run(fs, call, file, offset, physical, length_bytes, &piece);
        offset += piece;
        physical += piece;
        length_bytes -= piece;
    }
    const uint64_t now_ns = fs_now_ns(fs);
    if (code == OK && (offset > file->disk_size || file->mtime_ns != now_ns)) {
        const bool grew = offset > file->disk_size;
        file->size = offset > file->size ? offset : file->size;
        file->disk_size = grew ? offset : file->disk_size;
        file->mtime_ns = now_ns;
        fs_charge(fs, call, &fs->costs->update, 1);
        fs_lock(fs, call);
        code = fs->behaviour->inode_changed(fs, call, file, grew);
        fs_unlock(fs, call);
    }
    return code;
}

enum error_code fs_write_direct(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t offset,
                                uint64_t physical, uint32_t length_bytes) {
    fs->counters.writes += 1;
    fs_file_lock(fs, call, file);
    const uint64_t at = offset == UINT64_MAX ? file->size : offset;
    enum error_code code =
        is_aligned(fs, at, physical, length_bytes) ? leave_cache(fs, call, file, at, length_bytes) : ERR_RANGE;
    if (code == OK) {
        code = is_partial(fs, call, file, at, length_bytes) ? fall_back(fs, call, file, at, physical, length_bytes)
                                                            : write_runs(fs, call, file, at, physical, length_bytes);
    }
    fs_file_unlock(fs, call, file);
    return code;
}
