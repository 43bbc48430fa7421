/* libos_file_layout.h: the small file layer's VSA as it lies on the drive: pages of
 * 4 KiB, of which 0 and 1 hold the directory, generations even and odd, of which the
 * newer whole one counts. A file is one run of pages. All numbers are little-endian. */
#ifndef STILLSUIT_LIBOS_MODEL_LIBOS_FILE_LAYOUT_H
#define STILLSUIT_LIBOS_MODEL_LIBOS_FILE_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#define LIBOS_FILES_MAGIC UINT64_C(0x53454c494653424c) /* "LBSFILES" */
enum { LIBOS_FILE_PAGE = 4096, LIBOS_DIRECTORY_PAGES = 2, LIBOS_FILES_MAX = 63, LIBOS_FILE_NAME = 40 };

struct libos_file_entry {
    char name[LIBOS_FILE_NAME]; /* ends with a zero */
    uint32_t first_page, pages;
    uint64_t size_bytes;
    uint64_t reserved;
};
_Static_assert(sizeof(struct libos_file_entry) == 64, "a directory's entry");

struct libos_directory {
    uint64_t magic, generation;
    uint32_t count, next_page;
    uint64_t reserved[4];
    uint32_t reserved_too, checksum; /* of the page with this field zero */
    struct libos_file_entry entries[LIBOS_FILES_MAX];
};
_Static_assert(sizeof(struct libos_directory) == LIBOS_FILE_PAGE, "the directory is one page");

#endif
