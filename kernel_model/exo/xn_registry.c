/* xn_registry.c: the cache of blocks, and when a block is free again. */
#include <stdlib.h>

#include "kernel_model/exo/xn_internal.h"

uint64_t xn_disk_address(const struct xn *xn, uint32_t block) {
    return xn->config.disk_physical + (uint64_t)block * xn->config.block_bytes;
}

/* ---- the cache ---- */

static uint64_t slot_address(const struct xn *xn, uint32_t slot) {
    return xn->config.cache_physical + (uint64_t)slot * xn->config.block_bytes;
}

/* A slot without a block, if need be that of the clean block not used for longest. */
static uint32_t slot_find(struct xn *xn) {
    uint32_t found = XN_NO_SLOT;
    for (uint32_t slot = 0; slot < xn->config.slots; slot++) {
        const uint32_t block = xn->slots[slot];
        if (block == UINT32_MAX) {
            return slot;
        }
        if (!xn->blocks[block].dirty &&
            (found == XN_NO_SLOT || xn->blocks[block].used < xn->blocks[xn->slots[found]].used)) {
            found = slot;
        }
    }
    if (found != XN_NO_SLOT) {
        xn->counters.evictions++;
        xn_discard(xn, xn->slots[found]);
    }
    return found;
}

uint64_t xn_cached(struct xn *xn, uint32_t block, bool read) {
    struct xn_block *entry = &xn->blocks[block];
    if (entry->slot == XN_NO_SLOT) {
        const uint32_t slot = slot_find(xn);
        if (slot == XN_NO_SLOT) {
            return 0;
        }
        entry->slot = slot;
        xn->slots[slot] = block;
        xn->counters.reads += read;
        if (read) {
            memory_copy(xn->config.memory, slot_address(xn, slot), xn_disk_address(xn, block), xn->config.block_bytes);
        } else {
            memory_fill(xn->config.memory, slot_address(xn, slot), 0, xn->config.block_bytes);
        }
    }
    entry->used = ++xn->uses;
    return slot_address(xn, entry->slot);
}

void xn_discard(struct xn *xn, uint32_t block) {
    struct xn_block *entry = &xn->blocks[block];
    if (entry->slot != XN_NO_SLOT) {
        xn->slots[entry->slot] = UINT32_MAX;
        entry->slot = XN_NO_SLOT;
    }
    entry->dirty = false;
}

/* ---- pointers on the disk ---- */

void xn_disk_points(struct xn *xn, const struct xn_owned *owned) {
    for (uint32_t i = 0; i < owned->count; i++) {
        xn->blocks[owned->at[i].block].disk_pointers++;
    }
    download_count(&xn->work, DOWNLOAD_xn_registry, owned->count);
}

void xn_disk_points_no_more(struct xn *xn, const struct xn_owned *owned) {
    download_count(&xn->work, DOWNLOAD_xn_registry, owned->count);
    for (uint32_t i = 0; i < owned->count; i++) {
        struct xn_block *entry = &xn->blocks[owned->at[i].block];
        SIM_ASSERT(entry->disk_pointers > 0);
        entry->disk_pointers--;
        if (entry->state == XN_STATE_WILL_FREE && entry->disk_pointers == 0) {
            xn_release(xn, owned->at[i].block);
        }
    }
}

/* What a freed block's image on the disk points to is pointed to no more. Each level is
 * one of the file system's tree. */
void xn_release(struct xn *xn, uint32_t block) {
    struct xn_block *entry = &xn->blocks[block];
    download_count(&xn->work, DOWNLOAD_xn_registry, 1);
    xn_discard(xn, block);
    if (entry->disk_pointers > 0) {
        xn->counters.deferred += entry->state != XN_STATE_WILL_FREE;
        entry->state = XN_STATE_WILL_FREE;
        return;
    }
    const bool image = entry->type != XN_DATA && entry->on_disk;
    const uint32_t type = entry->type;
    *entry = (struct xn_block){.state = XN_STATE_FREE, .slot = XN_NO_SLOT};
    if (image) {
        struct xn_owned *owned = malloc(sizeof *owned);
        SIM_ASSERT(owned != NULL);
        const bool good = xn_owns(xn, type, xn_disk_address(xn, block), owned);
        SIM_ASSERT(good); /* it was, when it was written */
        xn_disk_points_no_more(xn, owned);
        free(owned);
    }
}
