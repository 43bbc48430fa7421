/* xn.c: the calls that allocate, change and write. */
#include "kernel_model/exo/xn.h"

#include <stdlib.h>
#include <string.h>

#include "kernel_model/exo/xn_internal.h"

struct xn *xn_create(const struct xn_config *config) {
    struct xn *xn = calloc(1, sizeof *xn);
    SIM_ASSERT(xn != NULL);
    xn->config = *config;
    xn->type_count = 1;
    xn->blocks = calloc(config->blocks, sizeof *xn->blocks);
    xn->slots = malloc(config->slots * sizeof *xn->slots);
    SIM_ASSERT(xn->blocks != NULL && xn->slots != NULL);
    for (uint32_t i = 0; i < config->blocks; i++) {
        xn->blocks[i].slot = XN_NO_SLOT;
    }
    memset(xn->slots, 0xff, config->slots * sizeof *xn->slots);
    return xn;
}

void xn_free(struct xn *xn) {
    if (xn == NULL) {
        return;
    }
    for (uint32_t i = 1; i < xn->type_count; i++) {
        free(xn->types[i]);
    }
    free(xn->blocks);
    free(xn->slots);
    free(xn);
}

void xn_charge(struct xn *xn) {
    xn->counters.cycles += download_work_charge(&xn->work, xn->config.costs, context_current());
}

static enum error_code refuse(struct xn *xn, uint64_t *counter, struct error *error, enum error_code code,
                              const char *why) {
    (*counter)++;
    xn_charge(xn);
    return error_set(error, code, "the block stays as it was: %s", why);
}

enum error_code xn_template(struct xn *xn, const struct download_instruction *owns, uint32_t count, uint32_t *type,
                            struct error *error) {
    if (xn->type_count == XN_TYPES_MAX) {
        return error_set(error, ERR_EXHAUSTED, "the kernel has %d types of metadata", XN_TYPES_MAX - 1);
    }
    struct download_program *program = calloc(1, sizeof *program);
    SIM_ASSERT(program != NULL);
    const struct download_region block = {0, xn->config.block_bytes, false};
    const enum error_code code = download_verify(DOWNLOAD_OWNS, owns, count, &block, 1, xn->config.costs,
                                                 xn->config.owns_limit_cycles, program, NULL, error);
    if (code != OK) {
        xn->counters.unsafe++;
        free(program);
        return code;
    }
    *type = xn->type_count;
    xn->types[xn->type_count++] = program;
    return OK;
}

/* ---- who may do what ---- */

static struct xn_block *entry_of(struct xn *xn, uint32_t owner, uint32_t block) {
    download_count(&xn->work, DOWNLOAD_xn_registry, 1);
    struct xn_block *entry = block < xn->config.blocks ? &xn->blocks[block] : NULL;
    const bool holds = entry != NULL && entry->state == XN_STATE_ALLOCATED && entry->owner == owner;
    return holds ? entry : NULL;
}

static void allocate(struct xn *xn, uint32_t owner, uint32_t type, uint32_t block) {
    download_count(&xn->work, DOWNLOAD_xn_registry, 1);
    xn->blocks[block] = (struct xn_block){
        .state = XN_STATE_ALLOCATED, .owner = owner, .type = type, .slot = XN_NO_SLOT, .contents = type == XN_DATA};
}

enum error_code xn_root(struct xn *xn, uint32_t owner, uint32_t type, uint32_t block, struct error *error) {
    if (type == XN_DATA || type >= xn->type_count || block >= xn->config.blocks) {
        return error_set(error, ERR_RANGE, "no such block or type of metadata");
    }
    if (xn->blocks[block].state != XN_STATE_FREE) {
        return refuse(xn, &xn->counters.stolen, error, ERR_OVERLAP, "it is not free");
    }
    if (xn->root_count == XN_ROOTS_MAX) {
        return error_set(error, ERR_EXHAUSTED, "the kernel has %d roots", XN_ROOTS_MAX);
    }
    allocate(xn, owner, type, block);
    xn->roots[xn->root_count++] = block;
    xn_charge(xn);
    return OK;
}

enum error_code xn_initialise(struct xn *xn, uint32_t owner, uint32_t block, const void *bytes, struct error *error) {
    struct xn_block *entry = entry_of(xn, owner, block);
    if (entry == NULL || entry->type == XN_DATA || entry->contents) {
        return refuse(xn, &xn->counters.denied, error, ERR_DENIED, "not metadata to be initialised by this owner");
    }
    const uint64_t physical = xn_cached(xn, block, false);
    if (physical == 0) {
        return error_set(error, ERR_EXHAUSTED, "every block in the cache is dirty");
    }
    memory_write(xn->config.memory, physical, bytes, xn->config.block_bytes);
    download_count(&xn->work, DOWNLOAD_xn_copy_word, xn->config.block_bytes / 4);
    struct xn_owned owned;
    const bool good = xn_owns(xn, entry->type, physical, &owned);
    if (!good || owned.count > 0) {
        xn_discard(xn, block);
        return refuse(xn, good ? &xn->counters.lies : &xn->counters.faults, error, ERR_FAULT,
                      "new metadata owns nothing");
    }
    entry->contents = true;
    entry->dirty = true;
    xn_charge(xn);
    return OK;
}

/* ---- a change ---- */

static bool writes_fit(const struct xn *xn, const struct xn_write *writes, uint32_t count) {
    bool fit = count <= XN_WRITES_MAX;
    for (uint32_t i = 0; fit && i < count; i++) {
        fit = (uint64_t)writes[i].offset + writes[i].length_bytes <= xn->config.block_bytes;
    }
    return fit;
}

static void apply(struct xn *xn, uint64_t physical, const struct xn_write *writes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        memory_write(xn->config.memory, physical + writes[i].offset, writes[i].bytes, writes[i].length_bytes);
        download_count(&xn->work, DOWNLOAD_xn_copy_word, 2 * ((writes[i].length_bytes + 3) / 4)); /* saved, and made */
    }
}

/* Whether the blocks of an extent may become or cease to be owned; counts why not. */
static enum error_code check_extent(struct xn *xn, enum xn_change change, const struct xn_owned *extent,
                                    struct error *error) {
    for (uint32_t i = 0; i < extent->count; i++) {
        const struct xn_block *entry = &xn->blocks[extent->at[i].block];
        if (change == XN_ALLOCATE && entry->state != XN_STATE_FREE) {
            return refuse(xn, &xn->counters.stolen, error, ERR_OVERLAP, "a block of the extent is not free");
        }
        if (change == XN_FREE && entry->type != XN_DATA && entry->contents) {
            struct xn_owned below;
            const uint64_t physical = xn_cached(xn, extent->at[i].block, true);
            if (physical == 0) {
                return error_set(error, ERR_EXHAUSTED, "every block in the cache is dirty");
            }
            if (!xn_owns(xn, entry->type, physical, &below) || below.count > 0) {
                return refuse(xn, &xn->counters.not_empty, error, ERR_DENIED, "metadata to be freed owns something");
            }
        }
    }
    return OK;
}

static bool changed_as_declared(struct xn *xn, enum xn_change change, const struct xn_owned *before,
                                const struct xn_owned *after, const struct xn_owned *extent) {
    return change == XN_FREE ? xn_differ_by(xn, before, after, extent) : xn_differ_by(xn, after, before, extent);
}

static void commit(struct xn *xn, struct xn_block *entry, enum xn_change change, const struct xn_owned *extent) {
    for (uint32_t i = 0; i < extent->count; i++) {
        if (change == XN_ALLOCATE) {
            allocate(xn, entry->owner, extent->at[i].type, extent->at[i].block);
        } else {
            xn_release(xn, extent->at[i].block);
        }
    }
    entry->dirty = true;
    xn->counters.changes++;
}

/* Makes the change to metadata whose bytes are at `physical`, or leaves it. */
static enum error_code change_block(struct xn *xn, struct xn_block *entry, uint64_t physical,
                                    const struct xn_write *writes, uint32_t count, enum xn_change change,
                                    const struct xn_owned *extent, struct error *error) {
    struct xn_owned before, after;
    uint8_t *saved = malloc(xn->config.block_bytes);
    SIM_ASSERT(saved != NULL);
    memory_read(xn->config.memory, physical, saved, xn->config.block_bytes);
    enum error_code code = OK;
    if (!xn_owns(xn, entry->type, physical, &before)) {
        code = refuse(xn, &xn->counters.faults, error, ERR_FAULT, "owns fails");
    } else {
        apply(xn, physical, writes, count);
        const bool good = xn_owns(xn, entry->type, physical, &after);
        if (!good || !changed_as_declared(xn, change, &before, &after, extent)) {
            memory_write(xn->config.memory, physical, saved, xn->config.block_bytes);
            code = refuse(xn, good ? &xn->counters.lies : &xn->counters.faults, error, ERR_FAULT,
                          good ? "what it owns did not change as declared" : "owns fails");
        } else {
            commit(xn, entry, change, extent);
        }
    }
    free(saved);
    return code;
}

enum error_code xn_modify(struct xn *xn, uint32_t owner, uint32_t block, const struct xn_write *writes, uint32_t count,
                          enum xn_change change, struct download_extent extent, struct error *error) {
    struct xn_block *entry = entry_of(xn, owner, block);
    if (entry == NULL || entry->type == XN_DATA || !entry->contents) {
        return refuse(xn, &xn->counters.denied, error, ERR_DENIED, "not metadata that this owner may change");
    }
    struct xn_owned wanted = {.count = 0};
    if (!writes_fit(xn, writes, count) || (change != XN_KEEP && !xn_expand(xn, &extent, &wanted))) {
        return refuse(xn, &xn->counters.denied, error, ERR_RANGE, "not bytes of the block, or no extent of the disk");
    }
    enum error_code code = check_extent(xn, change, &wanted, error);
    const uint64_t physical = code == OK ? xn_cached(xn, block, true) : 0;
    if (code == OK && physical == 0) {
        code = error_set(error, ERR_EXHAUSTED, "every block in the cache is dirty");
    }
    if (code == OK) {
        code = change_block(xn, entry, physical, writes, count, change, &wanted, error);
    }
    xn_charge(xn);
    return code;
}

/* ---- data, and the disk ---- */

enum error_code xn_write_data(struct xn *xn, uint32_t owner, uint32_t block, const struct xn_write *write,
                              struct error *error) {
    struct xn_block *entry = entry_of(xn, owner, block);
    if (entry == NULL || entry->type != XN_DATA || !writes_fit(xn, write, 1)) {
        return refuse(xn, &xn->counters.denied, error, ERR_DENIED, "no data block of this owner's");
    }
    /* Until it was written, what the disk holds there is another's from before. */
    const uint64_t physical = xn_cached(xn, block, entry->on_disk);
    if (physical == 0) {
        return error_set(error, ERR_EXHAUSTED, "every block in the cache is dirty");
    }
    apply(xn, physical, write, 1);
    entry->dirty = true;
    xn_charge(xn);
    return OK;
}

enum error_code xn_read(struct xn *xn, uint32_t owner, uint32_t block, uint32_t offset, uint32_t length_bytes,
                        void *out, struct error *error) {
    const struct xn_block *entry = entry_of(xn, owner, block);
    if (entry == NULL || !entry->contents || (uint64_t)offset + length_bytes > xn->config.block_bytes) {
        return refuse(xn, &xn->counters.denied, error, ERR_DENIED, "no block that this owner may read");
    }
    const uint64_t physical = xn_cached(xn, block, entry->on_disk);
    if (physical == 0) {
        return error_set(error, ERR_EXHAUSTED, "every block in the cache is dirty");
    }
    memory_read(xn->config.memory, physical + offset, out, length_bytes);
    xn_charge(xn);
    return OK;
}

/* Metadata goes to the disk: the pointers there are those of the new image. False: it
 * points to a block that is not there yet. */
static bool write_metadata(struct xn *xn, uint32_t block, uint64_t physical) {
    struct xn_block *entry = &xn->blocks[block];
    struct xn_owned now, was = {.count = 0};
    bool good = xn_owns(xn, entry->type, physical, &now);
    SIM_ASSERT(good); /* it was, when it was changed */
    for (uint32_t i = 0; i < now.count; i++) {
        good = good && xn->blocks[now.at[i].block].on_disk;
    }
    if (!good) {
        return false;
    }
    if (entry->on_disk) {
        good = xn_owns(xn, entry->type, xn_disk_address(xn, block), &was);
        SIM_ASSERT(good);
    }
    memory_copy(xn->config.memory, xn_disk_address(xn, block), physical, xn->config.block_bytes);
    entry->on_disk = true;
    xn_disk_points(xn, &now);
    xn_disk_points_no_more(xn, &was);
    return true;
}

enum error_code xn_flush(struct xn *xn, uint32_t owner, uint32_t block, struct error *error) {
    struct xn_block *entry = entry_of(xn, owner, block);
    if (entry == NULL) {
        return refuse(xn, &xn->counters.denied, error, ERR_DENIED, "no block of this owner's");
    }
    if (!entry->dirty) {
        return OK;
    }
    const uint64_t physical = xn_cached(xn, block, true);
    if (entry->type == XN_DATA) {
        memory_copy(xn->config.memory, xn_disk_address(xn, block), physical, xn->config.block_bytes);
        entry->on_disk = true;
    } else if (!write_metadata(xn, block, physical)) {
        return refuse(xn, &xn->counters.tainted, error, ERR_AGAIN,
                      "it points to a block that has not been written yet");
    }
    entry->dirty = false;
    xn->counters.writes++;
    xn_charge(xn);
    return OK;
}
