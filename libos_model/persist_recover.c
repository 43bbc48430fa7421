#include "libos_model/persist_recover.h"

#include <stdlib.h>
#include <string.h>

#include "stack/crc32c.h"

uint32_t persist_log_header_checksum(const struct persist_log_header *header) {
    return crc32c(0, header, offsetof(struct persist_log_header, checksum));
}

uint32_t persist_entry_header_checksum(const struct persist_entry_header *header) {
    return crc32c(0, header, offsetof(struct persist_entry_header, checksum));
}

bool persist_log_header_valid(const struct persist_log_header *header, uint32_t granule_bytes, uint64_t granules) {
    return header->magic == PERSIST_LOG_MAGIC && header->version == PERSIST_VERSION &&
           header->checksum == persist_log_header_checksum(header) && header->granule_bytes == granule_bytes &&
           header->granules == granules && header->head_position <= header->end_position &&
           header->head_sequence <= header->end_sequence;
}

static bool find_header(const struct persist_area *area, uint8_t *granule, struct persist_log_header *newest) {
    bool found = false;
    for (uint64_t i = 0; i < PERSIST_HEADER_GRANULES; i++) {
        struct persist_log_header header;
        if (!area->read(area->context, i, granule)) {
            continue;
        }
        memcpy(&header, granule, sizeof header);
        if (persist_log_header_valid(&header, area->granule_bytes, area->granules) &&
            header.generation % PERSIST_HEADER_GRANULES == i && (!found || header.generation > newest->generation)) {
            *newest = header;
            found = true;
        }
    }
    return found;
}

/* ---- one entry ---- */

struct walk {
    const struct persist_area *area;
    const struct persist_log_header *header;
    uint64_t position, sequence, incarnation; /* the entry looked for, and the least incarnation that it may have */
    uint8_t *bytes;                           /* of the entry */
    size_t capacity_bytes;
};

static bool read_granule(struct walk *walk, uint64_t index) {
    const struct persist_area *area = walk->area;
    const size_t at = (size_t)index * area->granule_bytes;
    if (at + area->granule_bytes > walk->capacity_bytes) {
        walk->capacity_bytes = 2 * (at + area->granule_bytes);
        walk->bytes = realloc(walk->bytes, walk->capacity_bytes);
        SIM_ASSERT(walk->bytes != NULL);
    }
    return area->read(area->context, persist_granule_of(walk->position + index, area->granules), walk->bytes + at);
}

/* The header alone: is it the one that is due here? */
static bool header_fits(const struct walk *walk, const struct persist_entry_header *entry) {
    const uint64_t ring = walk->area->granules - PERSIST_HEADER_GRANULES;
    return entry->magic == PERSIST_ENTRY_MAGIC && entry->checksum == persist_entry_header_checksum(entry) &&
           entry->log == walk->header->log && entry->position == walk->position && entry->sequence == walk->sequence &&
           entry->incarnation >= walk->incarnation &&
           entry->next - entry->position == persist_entry_granules(entry->length_bytes, walk->area->granule_bytes) &&
           entry->next - walk->header->head_position <= ring;
}

/* Reads the entry that is due at the walk's position; false if it is not there, or
 * not all of it. */
static bool read_entry(struct walk *walk, struct persist_entry_header *entry) {
    if (!read_granule(walk, 0)) {
        return false;
    }
    memcpy(entry, walk->bytes, sizeof *entry);
    if (!header_fits(walk, entry)) {
        return false;
    }
    const uint64_t granules = entry->next - entry->position;
    for (uint64_t i = 1; i < granules; i++) {
        if (!read_granule(walk, i)) {
            return false;
        }
    }
    struct persist_end_marker end;
    memcpy(&end, walk->bytes + granules * walk->area->granule_bytes - sizeof end, sizeof end);
    return end.magic == PERSIST_END_MAGIC && end.sequence == entry->sequence &&
           end.header_checksum == entry->checksum &&
           crc32c(0, walk->bytes + sizeof *entry, entry->length_bytes) == entry->payload_checksum;
}

enum error_code persist_recover(const struct persist_area *area, persist_visit *visit, void *visit_context,
                                struct persist_recovered *out) {
    memset(out, 0, sizeof *out);
    struct walk walk = {.area = area, .header = &out->header, .capacity_bytes = area->granule_bytes};
    walk.bytes = malloc(walk.capacity_bytes);
    SIM_ASSERT(walk.bytes != NULL);
    if (!find_header(area, walk.bytes, &out->header)) {
        free(walk.bytes);
        return ERR_NOT_FOUND;
    }
    const struct persist_log_header *header = &out->header;
    walk.position = header->head_position;
    walk.sequence = header->head_sequence;
    for (;;) {
        /* What lies beyond the end that a header knows was written after it. */
        if (walk.position >= header->end_position && walk.incarnation < header->incarnation) {
            walk.incarnation = header->incarnation;
        }
        struct persist_entry_header entry;
        if (!read_entry(&walk, &entry)) {
            break;
        }
        if (visit != NULL) {
            visit(visit_context, &entry, walk.bytes + sizeof entry);
        }
        walk.position = entry.next;
        walk.sequence++;
        walk.incarnation = entry.incarnation;
    }
    free(walk.bytes);
    out->end_position = walk.position;
    out->end_sequence = walk.sequence;
    out->outdated = walk.position != header->end_position;
    return walk.position < header->end_position ? ERR_IO : OK;
}
