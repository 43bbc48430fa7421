/* fs_writeback.c: dirty pages to the device. */
#include <stdlib.h>

#include "stack/fs/fs_internal.h"

/* Pages that are on their way. */
struct writing {
    struct fs_io_list ios;
    struct fs_page **pages;
    uint32_t *checksums; /* where the file system has some */
    size_t count, capacity;
};

static void note(struct writing *writing, struct fs_page *page, uint32_t checksum) {
    if (writing->count == writing->capacity) {
        writing->capacity = writing->capacity * 2 + 32;
        writing->pages = realloc(writing->pages, writing->capacity * sizeof(struct fs_page *));
        writing->checksums = realloc(writing->checksums, writing->capacity * sizeof(uint32_t));
        SIM_ASSERT_MSG(writing->pages != NULL && writing->checksums != NULL, "out of memory");
    }
    writing->pages[writing->count] = page;
    writing->checksums[writing->count++] = checksum;
}

static struct fs_page *next_to_write(const struct fs_file *file, uint64_t first, uint64_t last, sim_time before,
                                     bool allocate) {
    struct fs_page *page = file->first_dirty;
    while (page != NULL && page->index <= last &&
           (page->index < first || page->dirtied >= before || page->write_back || (!allocate && page->block == 0))) {
        page = page->next_dirty;
    }
    return page != NULL && page->index <= last ? page : NULL;
}

/* Dirty pages from `page` on that follow each other and want new blocks. */
static uint64_t run_length(const struct fs *fs, const struct fs_page *page, uint64_t last) {
    uint64_t count = 1;
    for (const struct fs_page *next = page->next_dirty;
         next != NULL && next->index == page->index + count && next->index <= last && !next->write_back &&
         (next->block == 0 || fs->behaviour->copy_on_write);
         next = next->next_dirty) {
        count += 1;
    }
    return count;
}

/* Blocks for a run of pages, or for its beginning. */
static enum error_code allocate_run(struct fs *fs, const struct fs_call *call, struct fs_page *page, uint64_t last) {
    struct fs_file *file = page->file;
    uint64_t block = 0, got = 0;
    const uint64_t first = page->index;
    fs_lock(fs, call);
    enum error_code code = fs->behaviour->allocate(fs, call, file, first, run_length(fs, page, last), &block, &got);
    for (uint64_t i = 0; i < got && code == OK; ++i) {
        struct fs_page *each = fs_page_find(file, first + i);
        each->block = block + i;
        fs->reserved_blocks -= each->reserved ? 1 : 0;
        each->reserved = false;
    }
    if (code == OK && !fs->behaviour->copy_on_write) {
        const uint64_t end = (first + got) * FS_BLOCK_BYTES < file->size ? (first + got) * FS_BLOCK_BYTES : file->size;
        file->disk_size = end > file->disk_size ? end : file->disk_size;
        code = fs->behaviour->inode_changed(fs, call, file, true);
    }
    fs_unlock(fs, call);
    return code;
}

static void submit_page(struct fs *fs, const struct fs_call *call, struct writing *writing, struct fs_page *page) {
    uint32_t checksum = 0;
    fs_charge(fs, call, &fs->costs->writepage, 1);
    if (fs->behaviour->data_checksums) {
        fs_charge(fs, call, &fs->costs->checksum_per_kib, FS_BLOCK_BYTES / 1024.0);
        checksum = fs_crc32c(0, memory_at(fs->host.memory, page->frame), FS_BLOCK_BYTES);
    }
    note(writing, page, checksum);
    fs_page_clean(fs, page);
    page->write_back = true;
    page->file->under_write_back += 1;
    (void)fs_io_block(fs, call, &writing->ios, BLOCK_WRITE, page->block, page->frame, BLOCK_FOR_data);
}

/* Tells the file system of the runs that were written. */
static enum error_code tell_written(struct fs *fs, const struct fs_call *call, struct fs_file *file,
                                    const struct writing *writing) {
    enum error_code code = OK;
    for (size_t i = 0; i < writing->count && code == OK;) {
        size_t run = 1;
        while (i + run < writing->count && writing->pages[i + run]->index == writing->pages[i]->index + run &&
               writing->pages[i + run]->block == writing->pages[i]->block + run) {
            run += 1;
        }
        fs_lock(fs, call);
        code = fs->behaviour->data_written(fs, call, file, writing->pages[i]->index, run, writing->pages[i]->block,
                                           &writing->checksums[i]);
        fs_unlock(fs, call);
        i += run;
    }
    return code;
}

enum error_code fs_write_pages(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t first,
                               uint64_t last, sim_time before, bool allocate) {
    struct writing writing = {0};
    struct fs_page *page;
    enum error_code code = OK;
    while (code == OK && (page = next_to_write(file, first, last, before, allocate)) != NULL) {
        if (page->block == 0 || (fs->behaviour->copy_on_write && page->reserved)) {
            code = allocate_run(fs, call, page, last);
        }
        if (code == OK && page->dirty && !page->write_back) {
            submit_page(fs, call, &writing, page);
        }
    }
    const enum error_code written = fs_io_finish(fs, call, &writing.ios);
    code = code == OK ? written : code;
    if (code == OK && fs->behaviour->data_written != NULL) {
        code = tell_written(fs, call, file, &writing);
    }
    for (size_t i = 0; i < writing.count; ++i) {
        writing.pages[i]->write_back = false;
    }
    fs->counters.pages_written += writing.count;
    file->under_write_back -= writing.count;
    if (writing.count > 0) {
        fs->host.wake(fs->host.context, call, &fs->page_queue);
    }
    while (file->under_write_back > 0) {
        fs->host.sleep(fs->host.context, call, &fs->page_queue);
    }
    free(writing.pages);
    free(writing.checksums);
    return code;
}
