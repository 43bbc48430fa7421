/* extents.h: which blocks of a drive are free: sorted runs, given out first fit. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_EXTENTS_H
#define STILLSUIT_KERNEL_MODEL_EXO_EXTENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/nvme/nvme.h"

/* Free runs, ascending, none adjacent to the next. */
struct extents {
    struct nvme_extent *runs;
    uint32_t count, capacity;
};

/* Blocks [first, first + blocks) are free. extents_fini frees the list. */
void extents_init(struct extents *extents, uint64_t first, uint64_t blocks);
void extents_fini(struct extents *extents);
/* Takes `blocks` in at most `capacity` runs: one run if there is one so large (the
 * first), else the first runs that there are. Returns how many, or 0 (and takes
 * nothing) if they do not suffice. */
uint32_t extents_take(struct extents *extents, uint64_t blocks, struct nvme_extent *out, uint32_t capacity);
/* Takes exactly these blocks, or none. */
bool extents_take_at(struct extents *extents, uint64_t first, uint64_t blocks);
/* Gives blocks back, which must not be free. */
void extents_give(struct extents *extents, struct nvme_extent run);
uint64_t extents_free_blocks(const struct extents *extents);

#endif
