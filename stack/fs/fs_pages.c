/* fs_pages.c: pages of files: found by index, listed by use and, when dirty, by
 * index within the file. */
#include <stdlib.h>

#include "stack/fs/fs_internal.h"

static struct fs_page **slot(const struct fs_file *file, uint64_t index) {
    const uint64_t chunk = index / FS_PAGES_PER_CHUNK;
    return chunk < file->chunk_count && file->chunks[chunk] != NULL ? &file->chunks[chunk][index % FS_PAGES_PER_CHUNK]
                                                                    : NULL;
}

struct fs_page *fs_page_find(const struct fs_file *file, uint64_t index) {
    struct fs_page **at = slot(file, index);
    return at != NULL ? *at : NULL;
}

static struct fs_page **make_slot(struct fs_file *file, uint64_t index) {
    const uint64_t chunk = index / FS_PAGES_PER_CHUNK;
    if (chunk >= file->chunk_count) {
        const size_t count = (size_t)(chunk + 1) > 2 * file->chunk_count ? (size_t)(chunk + 1) : 2 * file->chunk_count;
        file->chunks = realloc(file->chunks, count * sizeof(struct fs_page **));
        SIM_ASSERT_MSG(file->chunks != NULL, "out of memory");
        for (size_t i = file->chunk_count; i < count; ++i) {
            file->chunks[i] = NULL;
        }
        file->chunk_count = count;
    }
    if (file->chunks[chunk] == NULL) {
        file->chunks[chunk] = calloc(FS_PAGES_PER_CHUNK, sizeof(struct fs_page *));
        SIM_ASSERT_MSG(file->chunks[chunk] != NULL, "out of memory");
    }
    return &file->chunks[chunk][index % FS_PAGES_PER_CHUNK];
}

/* ---- by use ---- */

static void unlink_use(struct fs *fs, struct fs_page *page) {
    *(page->older != NULL ? &page->older->newer : &fs->oldest) = page->newer;
    *(page->newer != NULL ? &page->newer->older : &fs->newest) = page->older;
}

static void link_newest(struct fs *fs, struct fs_page *page) {
    page->older = fs->newest;
    page->newer = NULL;
    *(fs->newest != NULL ? &fs->newest->newer : &fs->oldest) = page;
    fs->newest = page;
}

void fs_page_used(struct fs *fs, struct fs_page *page) {
    if (fs->newest != page) {
        unlink_use(fs, page);
        link_newest(fs, page);
    }
}

struct fs_page *fs_page_add(struct fs *fs, const struct fs_call *call, struct fs_file *file, uint64_t index) {
    const uint64_t frame = fs->free_frame_count > 0 ? fs_frame(fs) : fs->host.frame_allocate(fs->host.context);
    if (frame == 0) {
        return NULL;
    }
    struct fs_page *page = calloc(1, sizeof *page);
    SIM_ASSERT_MSG(page != NULL, "out of memory");
    fs_charge(fs, call, &fs->costs->new_page, 1);
    *page = (struct fs_page){.file = file, .index = index, .frame = frame};
    *make_slot(file, index) = page;
    link_newest(fs, page);
    fs->cached_pages += 1;
    return page;
}

void fs_page_drop(struct fs *fs, struct fs_page *page) {
    SIM_ASSERT(!page->dirty && !page->write_back);
    *slot(page->file, page->index) = NULL;
    unlink_use(fs, page);
    fs->cached_pages -= 1;
    fs->host.frame_release(fs->host.context, page->frame);
    free(page);
}

uint64_t fs_shrink(struct fs *fs, uint64_t count) {
    uint64_t freed = 0;
    for (struct fs_page *page = fs->oldest; page != NULL && freed < count;) {
        struct fs_page *next = page->newer;
        if (!page->dirty && !page->write_back && page->up_to_date) {
            fs_page_drop(fs, page);
            freed += 1;
        }
        page = next;
    }
    return freed;
}

/* ---- dirty ones ---- */

void fs_page_dirty(struct fs *fs, struct fs_page *page) {
    struct fs_file *file = page->file;
    if (page->dirty) {
        return;
    }
    page->dirty = true;
    page->dirtied = sim_now();
    file->dirty_pages += 1;
    fs->dirty_pages += 1;
    struct fs_page *before = file->last_dirty; /* most files are written forwards */
    while (before != NULL && before->index > page->index) {
        before = before->previous_dirty;
    }
    page->previous_dirty = before;
    page->next_dirty = before != NULL ? before->next_dirty : file->first_dirty;
    *(before != NULL ? &before->next_dirty : &file->first_dirty) = page;
    *(page->next_dirty != NULL ? &page->next_dirty->previous_dirty : &file->last_dirty) = page;
}

void fs_page_clean(struct fs *fs, struct fs_page *page) {
    struct fs_file *file = page->file;
    SIM_ASSERT(page->dirty);
    page->dirty = false;
    file->dirty_pages -= 1;
    fs->dirty_pages -= 1;
    *(page->previous_dirty != NULL ? &page->previous_dirty->next_dirty : &file->first_dirty) = page->next_dirty;
    *(page->next_dirty != NULL ? &page->next_dirty->previous_dirty : &file->last_dirty) = page->previous_dirty;
    page->previous_dirty = page->next_dirty = NULL;
}

sim_time fs_dirty_since(const struct fs *fs) {
    sim_time oldest = SIM_TIME_MAX;
    for (const struct fs_file *file = fs->files; file != NULL; file = file->next) {
        for (const struct fs_page *page = file->first_dirty; page != NULL; page = page->next_dirty) {
            oldest = page->dirtied < oldest ? page->dirtied : oldest;
        }
        if (file->inode_dirty && file->mtime_ns * SIM_NS < oldest) {
            oldest = file->mtime_ns * SIM_NS;
        }
    }
    if (!fs->behaviour->copy_on_write && fs->changed != NULL && fs->changed_since < oldest) {
        oldest = fs->changed_since;
    }
    return oldest;
}

void fs_pages_free(struct fs *fs) {
    while (fs->oldest != NULL) {
        struct fs_page *page = fs->oldest;
        fs->oldest = page->newer;
        free(page);
    }
    for (struct fs_file *file = fs->files; file != NULL; file = file->next) {
        for (size_t i = 0; i < file->chunk_count; ++i) {
            free(file->chunks[i]);
        }
        free(file->chunks);
    }
}
