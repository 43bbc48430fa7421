/* libos_files_internal.h: what the small file layer's files share. */
#ifndef STILLSUIT_LIBOS_MODEL_LIBOS_FILES_INTERNAL_H
#define STILLSUIT_LIBOS_MODEL_LIBOS_FILES_INTERNAL_H

#include "libos_model/libos_file_layout.h"
#include "libos_model/libos_storage.h"

enum { LIBOS_CACHE_PAGES = 256 };

struct libos_file {
    struct system_file base;
    struct libos_file *next;
    struct libos_file_store *store;
    uint32_t index; /* in the directory */
    bool direct;
};

/* A page of a file in the library's memory. */
struct libos_cached_page {
    bool valid, dirty, under_way;
    uint32_t file, page; /* of the file */
    struct block_io io;
};

struct libos_file_store {
    struct libos_thread *thread;
    struct libos_area *area;
    struct libos_file *files;
    struct libos_directory directory;     /* as on the drive */
    uint64_t size_bytes[LIBOS_FILES_MAX]; /* of each file, now */
    uint64_t memory;                      /* physical: the directory's page, then the cache's */
    struct libos_cached_page pages[LIBOS_CACHE_PAGES];
    struct block_io io;
};

/* The directory's newer whole version off the drive, or an empty one. */
enum error_code libos_directory_read(struct libos_file_store *store);
enum error_code libos_directory_write(struct libos_file_store *store, struct request *request);
/* One operation on the store's own `io`, waited for; `request` rides along. */
enum error_code libos_file_io(struct libos_file_store *store, struct block_io *io, struct request *request);
enum error_code libos_file_flush(struct libos_file_store *store, struct request *request);

/* A file's page in the cache, read if `read` says so and it was not there. */
enum error_code libos_page_get(struct libos_file_store *store, uint32_t file, uint32_t page, bool read,
                               struct request *request, struct libos_cached_page **out);
/* Writes what is dirty of a file, several pages at a time. */
enum error_code libos_pages_write(struct libos_file_store *store, uint32_t file, struct request *request);
void libos_pages_forget(struct libos_file_store *store, uint32_t file);
uint64_t libos_page_memory(const struct libos_file_store *store, const struct libos_cached_page *page);
void libos_file_charge(struct libos_file_store *store, struct cost *cost, struct request *request);

#endif
