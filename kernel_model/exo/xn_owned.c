/* xn_owned.c: ownership functions and the sets that they give. */
#include <stdlib.h>

#include "kernel_model/exo/xn_internal.h"

bool xn_expand(const struct xn *xn, const struct download_extent *extent, struct xn_owned *owned) {
    if (extent->count == 0 || extent->type >= xn->type_count ||
        (uint64_t)extent->block + extent->count > xn->config.blocks ||
        owned->count + (uint64_t)extent->count > XN_OWNED_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < extent->count; i++) {
        owned->at[owned->count].block = extent->block + i;
        owned->at[owned->count++].type = extent->type;
    }
    return true;
}

static int by_block(const void *a, const void *b) {
    const uint32_t *left = a, *right = b; /* the block comes first */
    return (*left > *right) - (*left < *right);
}

static bool sort(struct xn_owned *owned) {
    qsort(owned->at, owned->count, sizeof owned->at[0], by_block);
    for (uint32_t i = 1; i < owned->count; i++) {
        if (owned->at[i].block == owned->at[i - 1].block) {
            return false;
        }
    }
    return true;
}

bool xn_owns(struct xn *xn, uint32_t type, uint64_t physical, struct xn_owned *owned) {
    struct download_outcome outcome;
    const struct download_region block = {physical, xn->config.block_bytes, false};
    download_run(xn->types[type], xn->config.memory, &block, NULL, &xn->work, &outcome);
    owned->count = 0;
    if (outcome.stop != DOWNLOAD_RETURNED) {
        return false;
    }
    download_count(&xn->work, DOWNLOAD_xn_compare, outcome.emit_count);
    for (uint32_t i = 0; i < outcome.emit_count; i++) {
        if (!xn_expand(xn, &outcome.emits[i], owned)) {
            return false;
        }
    }
    return sort(owned);
}

bool xn_differ_by(struct xn *xn, const struct xn_owned *more, const struct xn_owned *less,
                  const struct xn_owned *difference) {
    uint32_t in_less = 0, in_difference = 0;
    download_count(&xn->work, DOWNLOAD_xn_compare, more->count);
    for (uint32_t i = 0; i < more->count; i++) {
        if (in_less < less->count && less->at[in_less].block == more->at[i].block &&
            less->at[in_less].type == more->at[i].type) {
            in_less++;
        } else if (in_difference < difference->count && difference->at[in_difference].block == more->at[i].block &&
                   difference->at[in_difference].type == more->at[i].type) {
            in_difference++;
        } else {
            return false;
        }
    }
    return in_less == less->count && in_difference == difference->count;
}
