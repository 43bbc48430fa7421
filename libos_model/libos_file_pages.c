/* libos_file_pages.c: pages of files in the library's memory, and the directory. */
#include <string.h>

#include "libos_model/libos_files_internal.h"
#include "stack/crc32c.h"
#include "stack/udp_stack.h"

ledger_component libos_file_component;

void libos_file_charge(struct libos_file_store *store, struct cost *cost, struct request *request) {
    cpu_work_for(store->thread->context, libos_file_component, request);
    (void)stack_charge(store->thread->context, cost, 1.0, store->thread->storage_lines_at);
}

uint64_t libos_page_memory(const struct libos_file_store *store, const struct libos_cached_page *page) {
    return store->memory + (uint64_t)(1 + (page - store->pages)) * LIBOS_FILE_PAGE;
}

/* ---- operations ---- */

static void aim(const struct libos_file_store *store, struct block_io *io, enum block_operation operation,
                uint64_t page, uint64_t physical) {
    const uint32_t blocks = LIBOS_FILE_PAGE / store->area->device.block_bytes;
    *io = (struct block_io){
        .operation = operation, .block = page * blocks, .blocks = blocks, .owner = libos_file_component};
    const enum error_code code = libos_segments(store->thread, io, physical, LIBOS_FILE_PAGE);
    SIM_ASSERT(code == OK);
}

static enum error_code start(struct libos_file_store *store, struct block_io *io) {
    struct context *context = store->thread->context;
    enum error_code code = block_submit(&store->area->device, context, io);
    while (code == ERR_AGAIN) {
        block_wait(&store->area->device, context, NULL);
        code = block_submit(&store->area->device, context, io);
    }
    return code;
}

enum error_code libos_file_io(struct libos_file_store *store, struct block_io *io, struct request *request) {
    struct context *context = store->thread->context;
    cpu_work_for(context, libos_file_component, request);
    io->request = request;
    io->owner = libos_file_component;
    enum error_code code = start(store, io);
    if (code == OK) {
        block_wait(&store->area->device, context, io);
        code = io->status;
    }
    cpu_work_for(context, libos_file_component, request);
    return code;
}

enum error_code libos_file_flush(struct libos_file_store *store, struct request *request) {
    if (!store->area->device.volatile_cache) {
        return OK;
    }
    store->io = (struct block_io){.operation = BLOCK_FLUSH};
    return libos_file_io(store, &store->io, request);
}

/* ---- the directory ---- */

static uint32_t directory_checksum(const struct libos_directory *directory) {
    struct libos_directory copy = *directory;
    copy.checksum = 0;
    return crc32c(0, &copy, sizeof copy);
}

enum error_code libos_directory_read(struct libos_file_store *store) {
    struct memory *memory = store->thread->driver.memory;
    store->directory = (struct libos_directory){.magic = LIBOS_FILES_MAGIC, .next_page = LIBOS_DIRECTORY_PAGES};
    for (uint64_t i = 0; i < LIBOS_DIRECTORY_PAGES; i++) {
        struct libos_directory found;
        aim(store, &store->io, BLOCK_READ, i, store->memory);
        const enum error_code code = libos_file_io(store, &store->io, NULL);
        if (code != OK) {
            return code;
        }
        memory_read(memory, store->memory, &found, sizeof found);
        if (found.magic == LIBOS_FILES_MAGIC && found.checksum == directory_checksum(&found) &&
            found.generation % LIBOS_DIRECTORY_PAGES == i && found.generation > store->directory.generation &&
            found.count <= LIBOS_FILES_MAX) {
            store->directory = found;
        }
    }
    for (uint32_t i = 0; i < store->directory.count; i++) {
        store->size_bytes[i] = store->directory.entries[i].size_bytes;
    }
    return OK;
}

enum error_code libos_directory_write(struct libos_file_store *store, struct request *request) {
    struct libos_directory *directory = &store->directory;
    directory->generation++;
    directory->checksum = directory_checksum(directory);
    memory_write(store->thread->driver.memory, store->memory, directory, sizeof *directory);
    aim(store, &store->io, BLOCK_WRITE, directory->generation % LIBOS_DIRECTORY_PAGES, store->memory);
    store->io.force_unit_access = store->area->device.volatile_cache;
    cpu_work_for(store->thread->context, libos_file_component, request);
    cpu_touch(store->thread->context, store->memory, LIBOS_FILE_PAGE, true);
    return libos_file_io(store, &store->io, request);
}

/* ---- the cache: a page has one place ---- */

static uint64_t page_on_drive(const struct libos_file_store *store, const struct libos_cached_page *page) {
    return (uint64_t)store->directory.entries[page->file].first_page + page->page;
}

static enum error_code write_back(struct libos_file_store *store, struct libos_cached_page *page,
                                  struct request *request) {
    aim(store, &page->io, BLOCK_WRITE, page_on_drive(store, page), libos_page_memory(store, page));
    const enum error_code code = libos_file_io(store, &page->io, request);
    page->dirty = code != OK;
    return code;
}

enum error_code libos_page_get(struct libos_file_store *store, uint32_t file, uint32_t number, bool read,
                               struct request *request, struct libos_cached_page **out) {
    struct libos_cached_page *page = &store->pages[(file * 61 + number) % LIBOS_CACHE_PAGES];
    enum error_code code = OK;
    *out = page;
    if (page->valid && page->file == file && page->page == number) {
        return OK;
    }
    if (page->valid && page->dirty) {
        code = write_back(store, page, request);
    }
    if (code != OK) {
        return code;
    }
    page->valid = true;
    page->file = file;
    page->page = number;
    if (read) {
        aim(store, &page->io, BLOCK_READ, page_on_drive(store, page), libos_page_memory(store, page));
        code = libos_file_io(store, &page->io, request);
        page->valid = code == OK;
    } else {
        memory_fill(store->thread->driver.memory, libos_page_memory(store, page), 0, LIBOS_FILE_PAGE);
    }
    return code;
}

/* The request rides on the last; the others' ends are waited for behind it. */
enum error_code libos_pages_write(struct libos_file_store *store, uint32_t file, struct request *request) {
    struct context *context = store->thread->context;
    uint32_t left = 0;
    for (uint32_t i = 0; i < LIBOS_CACHE_PAGES; i++) {
        left += store->pages[i].valid && store->pages[i].dirty && store->pages[i].file == file;
    }
    enum error_code code = OK;
    for (uint32_t i = 0; i < LIBOS_CACHE_PAGES && left > 0; i++) {
        struct libos_cached_page *page = &store->pages[i];
        if (!page->valid || !page->dirty || page->file != file) {
            continue;
        }
        left--;
        aim(store, &page->io, BLOCK_WRITE, page_on_drive(store, page), libos_page_memory(store, page));
        page->io.request = left == 0 ? request : NULL;
        const enum error_code started = start(store, &page->io);
        page->under_way = started == OK;
        code = started != OK ? started : code;
    }
    for (uint32_t i = 0; i < LIBOS_CACHE_PAGES; i++) {
        struct libos_cached_page *page = &store->pages[i];
        if (page->under_way) {
            block_wait(&store->area->device, context, &page->io);
            page->under_way = false;
            page->dirty = page->io.status != OK;
            code = page->io.status != OK ? page->io.status : code;
        }
    }
    cpu_work_for(context, libos_file_component, request);
    return code;
}

void libos_pages_forget(struct libos_file_store *store, uint32_t file) {
    for (uint32_t i = 0; i < LIBOS_CACHE_PAGES; i++) {
        store->pages[i].valid = store->pages[i].valid && store->pages[i].file != file;
    }
}
