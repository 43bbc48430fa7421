/* fs_file.c: reading and writing through the page cache. */
#include "stack/fs/fs_internal.h"

static void copy(struct fs *fs, const struct fs_call *call, uint64_t to, uint64_t from, uint32_t length_bytes) {
    fs_work(fs, call, FS_WORK_COPY);
    cpu_copy(call->cpu, to, from, length_bytes);
    fs_work(fs, call, FS_WORK_CODE);
}

static void await_pages(struct fs *fs, const struct fs_call *call) {
    fs->host.sleep(fs->host.context, call, &fs->page_queue);
}

/* ---- filling pages ---- */

static bool is_good(struct fs *fs, const struct fs_call *call, const struct fs_page *page) {
    struct fs_node_item item;
    const struct fs_key key = {0, FS_ITEM_CHECKSUM, page->block / FS_CHECKSUM_BLOCKS};
    fs_charge(fs, call, &fs->costs->checksum_per_kib, FS_BLOCK_BYTES / 1024.0);
    if (!cow_find(fs, call, FS_TREE_CHECKSUMS, key, &item)) {
        return true; /* preallocated, never written */
    }
    const uint32_t known = item.value.checksums[page->block % FS_CHECKSUM_BLOCKS];
    const bool good = known == 0 || known == fs_crc32c(0, memory_at(fs->host.memory, page->frame), FS_BLOCK_BYTES);
    fs->counters.checksum_errors += good ? 0 : 1;
    return good;
}

/* Fills pages that were just added, `count` from `first` on. */
static enum error_code read_pages(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t first,
                                  uint64_t count) {
    struct fs_io_list list = {0};
    enum error_code code = OK;
    for (uint64_t index = first; index < first + count; ++index) {
        struct fs_page *page = fs_page_find(file, index);
        page->reading = true;
    }
    for (uint64_t index = first; index < first + count && code == OK; ++index) {
        struct fs_page *page = fs_page_find(file, index);
        if (page->block == 0) {
            fs_lock(fs, call);
            code = fs->behaviour->map(fs, call, file, index, &page->block);
            fs_unlock(fs, call);
        }
        if (code == OK && page->block != 0) {
            (void)fs_io_block(fs, call, &list, BLOCK_READ, page->block, page->frame, BLOCK_FOR_data);
        } else {
            memory_fill(fs->host.memory, page->frame, 0, FS_BLOCK_BYTES);
        }
    }
    const enum error_code read = fs_io_finish(fs, call, &list);
    code = code == OK ? read : code;
    for (uint64_t index = first; index < first + count; ++index) {
        struct fs_page *page = fs_page_find(file, index);
        if (code == OK && fs->behaviour->data_checksums && page->block != 0 && !is_good(fs, call, page)) {
            code = ERR_IO;
        }
        page->reading = false;
        page->up_to_date = code == OK;
    }
    fs->host.wake(fs->host.context, call, &fs->page_queue);
    return code;
}

/* ---- write ---- */

/* The page, once nobody reads it in and, where it must hold still, nobody writes it. */
static struct fs_page *page_to_write(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t index) {
    struct fs_page *page = fs_page_find(file, index);
    while (page != NULL && (page->reading || (page->write_back && fs->behaviour->data_checksums))) {
        await_pages(fs, call);
        page = fs_page_find(file, index);
    }
    return page != NULL ? page : fs_page_add(fs, call, file, index);
}

/* A block for the page: now, or a promise. */
static enum error_code provide_block(struct fs *fs, const struct fs_call *call, struct fs_page *page) {
    const struct fs_behaviour *behaviour = fs->behaviour;
    enum error_code code = OK;
    if (page->block == 0 && !page->reserved) {
        fs_lock(fs, call);
        code = behaviour->map(fs, call, page->file, page->index, &page->block);
        uint64_t got = 1;
        if (code == OK && page->block == 0 && !behaviour->delayed) {
            code = behaviour->allocate(fs, call, page->file, page->index, 1, &page->block, &got);
        }
        fs_unlock(fs, call);
    }
    const bool promise = behaviour->delayed && !page->reserved && (page->block == 0 || behaviour->copy_on_write);
    if (code == OK && promise && !page->dirty) {
        if (fs->free_blocks <= fs->reserved_blocks) {
            return ERR_EXHAUSTED;
        }
        fs_charge(fs, call, &fs->costs->reserve, 1);
        page->reserved = true;
        fs->reserved_blocks += 1;
    }
    return code;
}

static enum error_code update_inode(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t end,
                                    bool mapped) {
    const uint64_t now_ns = fs_now_ns(fs);
    const bool grew = end > file->size, grew_on_disk = mapped && end > file->disk_size;
    if (!grew && !grew_on_disk && file->mtime_ns == now_ns) {
        return OK;
    }
    file->size = grew ? end : file->size;
    file->disk_size = grew_on_disk ? end : file->disk_size;
    file->mtime_ns = now_ns;
    fs_charge(fs, call, &fs->costs->update, 1);
    fs_lock(fs, call);
    const enum error_code code = fs->behaviour->inode_changed(fs, call, file, grew_on_disk);
    fs_unlock(fs, call);
    return code;
}

static enum error_code write_piece(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t offset,
                                   uint64_t physical, uint32_t length_bytes) {
    const uint64_t index = offset / FS_BLOCK_BYTES, inside = offset % FS_BLOCK_BYTES;
    fs_charge(fs, call, &fs->costs->write, 1);
    struct fs_page *page = page_to_write(fs, call, file, index);
    if (page == NULL) {
        return ERR_EXHAUSTED;
    }
    enum error_code code = OK;
    if (!page->up_to_date && length_bytes < FS_BLOCK_BYTES) {
        if (index * FS_BLOCK_BYTES < file->size) {
            code = read_pages(fs, call, file, index, 1);
        } else {
            memory_fill(fs->host.memory, page->frame, 0, FS_BLOCK_BYTES);
        }
    }
    code = code == OK ? provide_block(fs, call, page) : code;
    if (code != OK) {
        return code;
    }
    copy(fs, call, page->frame + inside, physical, length_bytes);
    page->up_to_date = true;
    fs_page_used(fs, page);
    fs_page_dirty(fs, page);
    file->ordered = file->ordered || fs->behaviour->ordered_overwrites;
    return update_inode(fs, call, file, offset + length_bytes, page->block != 0 && !fs->behaviour->copy_on_write);
}

enum error_code fs_write_cached(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t offset,
                                uint64_t physical, uint32_t length_bytes) {
    enum error_code code = OK;
    while (length_bytes > 0 && code == OK) {
        const uint32_t room = FS_BLOCK_BYTES - (uint32_t)(offset % FS_BLOCK_BYTES);
        const uint32_t piece = room < length_bytes ? room : length_bytes;
        code = write_piece(fs, call, file, offset, physical, piece);
        offset += piece;
        physical += piece;
        length_bytes -= piece;
    }
    return code;
}

enum error_code fs_write(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t offset,
                         uint64_t physical, uint32_t length_bytes) {
    fs->counters.writes += 1;
    fs_file_lock(fs, call, file);
    const uint64_t at = offset == UINT64_MAX ? file->size : offset;
    const enum error_code code = fs_write_cached(fs, call, file, at, physical, length_bytes);
    fs_file_unlock(fs, call, file);
    return code;
}

/* ---- read ---- */

/* The page with its contents; a miss reads ahead if the file is read forwards. */
static enum error_code page_to_read(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t index,
                                    struct fs_page **found) {
    struct fs_page *page = fs_page_find(file, index);
    while (page != NULL && page->reading) {
        await_pages(fs, call);
        page = fs_page_find(file, index);
    }
    *found = page;
    if (page != NULL && page->up_to_date) {
        fs->counters.page_hits += 1;
        return OK;
    }
    fs->counters.page_misses += 1;
    const uint64_t end = (file->size + FS_BLOCK_BYTES - 1) / FS_BLOCK_BYTES;
    const uint64_t most = index == file->read_next ? 1 + FS_READ_AHEAD_PAGES : 1;
    uint64_t count = 0;
    while (count < most && index + count < end && (count == 0 || fs_page_find(file, index + count) == NULL)) {
        if ((count > 0 || page == NULL) && fs_page_add(fs, call, file, index + count) == NULL) {
            break;
        }
        count += 1;
    }
    if (count == 0) {
        return ERR_EXHAUSTED;
    }
    fs->counters.pages_read_ahead += count - 1;
    *found = fs_page_find(file, index);
    return read_pages(fs, call, file, index, count);
}

enum error_code fs_read(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t offset,
                        uint64_t physical, uint32_t length_bytes) {
    fs->counters.reads += 1;
    while (length_bytes > 0 && offset < file->size) {
        const uint64_t index = offset / FS_BLOCK_BYTES;
        const uint32_t inside = (uint32_t)(offset % FS_BLOCK_BYTES);
        uint32_t piece = FS_BLOCK_BYTES - inside < length_bytes ? FS_BLOCK_BYTES - inside : length_bytes;
        piece = piece < file->size - offset ? piece : (uint32_t)(file->size - offset);
        fs_charge(fs, call, &fs->costs->read, 1);
        struct fs_page *page = NULL;
        const enum error_code code = page_to_read(fs, call, file, index, &page);
        if (code != OK) {
            return code;
        }
        file->read_next = index + 1;
        copy(fs, call, physical, page->frame + inside, piece);
        fs_page_used(fs, page);
        offset += piece;
        physical += piece;
        length_bytes -= piece;
    }
    return OK;
}
