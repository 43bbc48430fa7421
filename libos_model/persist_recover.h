/* persist_recover.h: what a log is after a power cut, from its blocks alone.
 *
 * A pure function over a way to read: a library OS runs it over its drive as it opens
 * a log, a test over what a power cut would leave. */
#ifndef STILLSUIT_LIBOS_MODEL_PERSIST_RECOVER_H
#define STILLSUIT_LIBOS_MODEL_PERSIST_RECOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "libos_model/persist_layout.h"
#include "sim/error.h"

/* Where a log lies. `read` copies one granule out; false: it cannot be read. */
struct persist_area {
    uint32_t granule_bytes;
    uint64_t granules;
    bool (*read)(void *context, uint64_t granule, void *out);
    void *context;
};

struct persist_recovered {
    struct persist_log_header header; /* the newer of the two that is whole */
    uint64_t end_position, end_sequence;
    bool outdated; /* entries lie beyond what the header says: it is due for repair */
};

/* Called with every entry, oldest first. */
typedef void persist_visit(void *context, const struct persist_entry_header *header, const uint8_t *payload);

/* Finds head and end. ERR_NOT_FOUND: there is no log; ERR_IO: entries that were
 * durable when the header was written cannot be read. */
enum error_code persist_recover(const struct persist_area *area, persist_visit *visit, void *visit_context,
                                struct persist_recovered *out);

/* Checksums of the two kinds of header. */
uint32_t persist_log_header_checksum(const struct persist_log_header *header);
uint32_t persist_entry_header_checksum(const struct persist_entry_header *header);
/* Whether a header is whole and of a log in an area of these measures. */
bool persist_log_header_valid(const struct persist_log_header *header, uint32_t granule_bytes, uint64_t granules);

#endif
