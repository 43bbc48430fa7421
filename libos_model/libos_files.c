/* libos_files.c: files of struct system_ops: a small layer for POSIX calls on one VSA of
 * the process. Writes go to pages in the library's memory; a sync writes these, flushes
 * if the drive may lose them, and then writes the directory if the file's size has
 * changed, so that no size ever counts bytes that are not there. A file is one run of pages, fixed
 * when it is made. O_DIRECT goes to the drive from the application's own memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libos_model/libos_files_internal.h"

enum { FILE_BYTES_USUAL = 1 << 20 };

static struct libos_file *file_of(struct system_file *file) {
    return (struct libos_file *)(void *)file;
}
static struct libos_file_entry *entry_of(const struct libos_file *file) {
    return &file->store->directory.entries[file->index];
}
static struct libos_storage_costs *costs_of(const struct libos_file_store *store) {
    return &libos_system_of(store->thread)->profile.storage;
}

/* ---- opening ---- */

static enum error_code open_store(struct libos_thread *thread, struct error *error) {
    struct libos_storage *storage = thread->storage;
    char name[EXO_VSA_NAME_BYTES];
    bool made = false;
    if (storage == NULL) {
        return ERR_UNSUPPORTED;
    }
    if (storage->files != NULL) {
        return OK;
    }
    struct libos_area *area = NULL;
    (void)snprintf(name, sizeof name, "%s.files.%u", thread->process->name, core_index(thread->thread->home->core));
    enum error_code code =
        libos_area_open(thread, name, libos_system_of(thread)->config.storage.area, &area, &made, error);
    if (code != OK) {
        return code;
    }
    struct libos_file_store *store = calloc(1, sizeof *store);
    SIM_ASSERT(store != NULL);
    store->thread = thread;
    store->area = area;
    storage->files = store;
    store->memory = libos_memory(thread->process, (uint64_t)(1 + LIBOS_CACHE_PAGES) * LIBOS_FILE_PAGE, error);
    return store->memory == 0 ? ERR_EXHAUSTED : libos_directory_read(store);
}

static uint64_t pages_of(const struct libos_file_store *store) {
    return store->area->device.blocks / (LIBOS_FILE_PAGE / store->area->device.block_bytes);
}

/* The file's place in the directory, new if need be. */
static enum error_code find_or_make(struct libos_file_store *store, const struct system_file_options *options,
                                    uint32_t *index) {
    struct libos_directory *directory = &store->directory;
    const uint64_t bytes = options->size_bytes != 0 ? options->size_bytes : (uint64_t)FILE_BYTES_USUAL;
    const uint64_t pages = (bytes + LIBOS_FILE_PAGE - 1) / LIBOS_FILE_PAGE;
    for (*index = 0; *index < directory->count; ++*index) {
        const struct libos_file_entry *entry = &directory->entries[*index];
        if (strcmp(entry->name, options->name) == 0) {
            return options->size_bytes <= (uint64_t)entry->pages * LIBOS_FILE_PAGE ? OK : ERR_EXHAUSTED;
        }
    }
    if (strlen(options->name) >= LIBOS_FILE_NAME) {
        return ERR_RANGE;
    }
    if (directory->count == LIBOS_FILES_MAX || pages > pages_of(store) - directory->next_page) {
        return ERR_EXHAUSTED;
    }
    struct libos_file_entry *entry = &directory->entries[directory->count++];
    *entry = (struct libos_file_entry){
        .first_page = directory->next_page, .pages = (uint32_t)pages, .size_bytes = options->size_bytes};
    (void)snprintf(entry->name, sizeof entry->name, "%s", options->name);
    directory->next_page += entry->pages;
    store->size_bytes[*index] = entry->size_bytes;
    return libos_directory_write(store, NULL);
}

enum error_code libos_file_open(struct system_thread *base, const struct system_file_options *options,
                                struct system_file **out) {
    struct libos_thread *thread = libos_thread_of(base);
    struct error error = {OK, ""};
    enum error_code code = open_store(thread, &error);
    uint32_t index = 0;
    if (code == OK) {
        code = find_or_make(thread->storage->files, options, &index);
    }
    if (code != OK) {
        return code;
    }
    struct libos_file *file = calloc(1, sizeof *file);
    SIM_ASSERT(file != NULL);
    *file = (struct libos_file){.base = {.process = base->process},
                                .next = thread->storage->files->files,
                                .store = thread->storage->files,
                                .index = index,
                                .direct = options->direct};
    thread->storage->files->files = file;
    *out = &file->base;
    return OK;
}

/* ---- reading and writing ---- */

/* Whole blocks between the drive and the application's memory. What the cache has of
 * the file is written and forgotten first. */
static enum error_code transfer_direct(struct libos_file *file, enum block_operation operation, uint64_t offset,
                                       uint64_t physical, uint32_t length_bytes, struct request *request) {
    struct libos_file_store *store = file->store;
    const uint32_t block = store->area->device.block_bytes;
    if (offset % block != 0 || length_bytes % block != 0 || length_bytes == 0) {
        return ERR_RANGE;
    }
    enum error_code code = libos_pages_write(store, file->index, request);
    if (code != OK) {
        return code;
    }
    libos_pages_forget(store, file->index);
    store->io = (struct block_io){.operation = operation,
                                  .block = ((uint64_t)entry_of(file)->first_page * LIBOS_FILE_PAGE + offset) / block,
                                  .blocks = length_bytes / block};
    code = libos_segments(store->thread, &store->io, physical, length_bytes);
    return code == OK ? libos_file_io(store, &store->io, request) : code;
}

static enum error_code transfer_cached(struct libos_file *file, bool write, uint64_t offset, uint64_t physical,
                                       uint32_t length_bytes, struct request *request) {
    struct libos_file_store *store = file->store;
    const uint64_t size = store->size_bytes[file->index];
    while (length_bytes > 0) {
        const uint32_t within = (uint32_t)(offset % LIBOS_FILE_PAGE);
        const uint32_t take = length_bytes < LIBOS_FILE_PAGE - within ? length_bytes : LIBOS_FILE_PAGE - within;
        const uint32_t number = (uint32_t)(offset / LIBOS_FILE_PAGE);
        const bool whole = within == 0 && take == LIBOS_FILE_PAGE;
        const bool read = !(write && whole) && (uint64_t)number * LIBOS_FILE_PAGE < size;
        struct libos_cached_page *page = NULL;
        libos_file_charge(store, &costs_of(store)->file_page, request);
        const enum error_code code = libos_page_get(store, file->index, number, read, request, &page);
        if (code != OK) {
            return code;
        }
        const uint64_t at = libos_page_memory(store, page) + within;
        cpu_work_for(store->thread->context, libos_file_component, request);
        cpu_copy(store->thread->context, write ? at : physical, write ? physical : at, take);
        page->dirty = page->dirty || write;
        offset += take;
        physical += take;
        length_bytes -= take;
    }
    return OK;
}

static enum error_code transfer(struct libos_file *file, bool write, uint64_t offset, uint64_t physical,
                                uint32_t length_bytes, struct request *request) {
    return file->direct
               ? transfer_direct(file, write ? BLOCK_WRITE : BLOCK_READ, offset, physical, length_bytes, request)
               : transfer_cached(file, write, offset, physical, length_bytes, request);
}

enum error_code libos_file_write(struct system_thread *base, struct system_file *handle, uint64_t offset_bytes,
                                 uint64_t physical, uint32_t length_bytes, struct request *request) {
    struct libos_file *file = file_of(handle);
    uint64_t *size = &file->store->size_bytes[file->index];
    const uint64_t offset = offset_bytes == SYSTEM_FILE_END ? *size : offset_bytes;
    const uint64_t room = (uint64_t)entry_of(file)->pages * LIBOS_FILE_PAGE;
    enum error_code code = offset > room || length_bytes > room - offset ? ERR_EXHAUSTED : OK;
    libos_file_charge(file->store, &costs_of(file->store)->file_call, request);
    if (code == OK) {
        code = transfer(file, true, offset, physical, length_bytes, request);
    }
    if (code == OK && offset + length_bytes > *size) {
        *size = offset + length_bytes;
    }
    cpu_work_for(libos_thread_of(base)->context, system_components.app, request);
    return code;
}

enum error_code libos_file_read(struct system_thread *base, struct system_file *handle, uint64_t offset_bytes,
                                uint64_t physical, uint32_t length_bytes, struct request *request) {
    struct libos_file *file = file_of(handle);
    const uint64_t size = file->store->size_bytes[file->index];
    enum error_code code = offset_bytes > size || length_bytes > size - offset_bytes ? ERR_RANGE : OK;
    libos_file_charge(file->store, &costs_of(file->store)->file_call, request);
    if (code == OK) {
        code = transfer(file, false, offset_bytes, physical, length_bytes, request);
    }
    cpu_work_for(libos_thread_of(base)->context, system_components.app, request);
    return code;
}

/* The size is part of what fdatasync must keep (POSIX: all that is needed to read the
 * data back), so both do the same. */
enum error_code libos_file_sync(struct system_thread *base, struct system_file *handle, enum system_sync how,
                                struct request *request) {
    struct libos_file *file = file_of(handle);
    struct libos_file_store *store = file->store;
    (void)how;
    libos_file_charge(store, &costs_of(store)->file_call, request);
    enum error_code code = libos_pages_write(store, file->index, request);
    if (code == OK) {
        code = libos_file_flush(store, request);
    }
    if (code == OK && entry_of(file)->size_bytes != store->size_bytes[file->index]) {
        entry_of(file)->size_bytes = store->size_bytes[file->index];
        code = libos_directory_write(store, request);
    }
    cpu_work_for(libos_thread_of(base)->context, system_components.app, request);
    return code;
}

void libos_files_free(struct libos_storage *storage) {
    struct libos_file_store *store = storage->files;
    if (store == NULL) {
        return;
    }
    while (store->files != NULL) {
        struct libos_file *file = store->files;
        store->files = file->next;
        free(file);
    }
    free(store);
    storage->files = NULL;
}
