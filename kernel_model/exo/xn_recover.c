/* xn_recover.c: the registry from the disk alone, and what one may ask of it. */
#include <stdlib.h>
#include <string.h>

#include "kernel_model/exo/xn_internal.h"

/* Metadata that was found and not yet read. */
struct frontier {
    uint32_t *blocks;
    uint32_t count;
};

/* Enters what a block on the disk owns. False: it owns what another does. */
static bool visit(struct xn *xn, uint32_t block, struct frontier *frontier) {
    const struct xn_block *entry = &xn->blocks[block];
    struct xn_owned owned;
    if (!xn_owns(xn, entry->type, xn_disk_address(xn, block), &owned)) {
        return false;
    }
    for (uint32_t i = 0; i < owned.count; i++) {
        struct xn_block *below = &xn->blocks[owned.at[i].block];
        if (below->state != XN_STATE_FREE) {
            return false;
        }
        *below = (struct xn_block){.state = XN_STATE_ALLOCATED,
                                   .owner = entry->owner,
                                   .type = owned.at[i].type,
                                   .disk_pointers = 1,
                                   .slot = XN_NO_SLOT,
                                   .contents = true,
                                   .on_disk = true};
        if (owned.at[i].type != XN_DATA) {
            frontier->blocks[frontier->count++] = owned.at[i].block;
        }
    }
    return true;
}

enum error_code xn_crash_and_recover(struct xn *xn, struct error *error) {
    struct frontier frontier = {calloc(xn->config.blocks, sizeof(uint32_t)), 0};
    SIM_ASSERT(frontier.blocks != NULL);
    struct xn_block roots[XN_ROOTS_MAX];
    uint32_t kept = 0;
    for (uint32_t i = 0; i < xn->root_count; i++) {
        roots[i] = xn->blocks[xn->roots[i]];
    }
    for (uint32_t i = 0; i < xn->config.blocks; i++) {
        xn->blocks[i] = (struct xn_block){.state = XN_STATE_FREE, .slot = XN_NO_SLOT};
    }
    memset(xn->slots, 0xff, xn->config.slots * sizeof *xn->slots);
    for (uint32_t i = 0; i < xn->root_count; i++) {
        if (roots[i].on_disk) { /* else it never was */
            const uint32_t block = xn->roots[i];
            xn->blocks[block] = (struct xn_block){.state = XN_STATE_ALLOCATED,
                                                  .owner = roots[i].owner,
                                                  .type = roots[i].type,
                                                  .slot = XN_NO_SLOT,
                                                  .contents = true,
                                                  .on_disk = true};
            xn->roots[kept++] = block;
            frontier.blocks[frontier.count++] = block;
        }
    }
    xn->root_count = kept;
    bool good = true;
    while (good && frontier.count > 0) {
        good = visit(xn, frontier.blocks[--frontier.count], &frontier);
    }
    free(frontier.blocks);
    xn_charge(xn);
    return good ? OK : error_set(error, ERR_FAULT, "two blocks on the disk own the same one");
}

/* ---- what is known ---- */

enum xn_state xn_state(const struct xn *xn, uint32_t block) {
    return xn->blocks[block].state;
}

uint32_t xn_type(const struct xn *xn, uint32_t block) {
    return xn->blocks[block].type;
}

uint32_t xn_disk_pointers(const struct xn *xn, uint32_t block) {
    return xn->blocks[block].disk_pointers;
}

bool xn_is_dirty(const struct xn *xn, uint32_t block) {
    return xn->blocks[block].dirty;
}

const struct xn_counters *xn_counters(const struct xn *xn) {
    return &xn->counters;
}

void xn_visit_stats(const struct xn *xn, const char *instance, const struct stats_sink *sink) {
    const struct xn_counters *c = &xn->counters;
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {{"changes", c->changes}, {"lies", c->lies},     {"stolen", c->stolen},
                {"faults", c->faults},   {"denied", c->denied}, {"not_empty", c->not_empty},
                {"tainted", c->tainted}, {"unsafe", c->unsafe}, {"deferred", c->deferred},
                {"reads", c->reads},     {"writes", c->writes}, {"evictions", c->evictions},
                {"cycles", c->cycles}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        stats_counter(sink, instance, rows[i].name, rows[i].value);
    }
}
