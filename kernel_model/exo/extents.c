#include "kernel_model/exo/extents.h"

#include <stdlib.h>
#include <string.h>

static void insert(struct extents *extents, uint32_t at, struct nvme_extent run) {
    if (extents->count == extents->capacity) {
        extents->capacity = 2 * extents->capacity + 16;
        extents->runs = realloc(extents->runs, extents->capacity * sizeof *extents->runs);
        SIM_ASSERT(extents->runs != NULL);
    }
    memmove(extents->runs + at + 1, extents->runs + at, (extents->count - at) * sizeof *extents->runs);
    extents->runs[at] = run;
    extents->count++;
}

static void erase(struct extents *extents, uint32_t at) {
    extents->count--;
    memmove(extents->runs + at, extents->runs + at + 1, (extents->count - at) * sizeof *extents->runs);
}

void extents_init(struct extents *extents, uint64_t first, uint64_t blocks) {
    *extents = (struct extents){.count = 0};
    if (blocks > 0) {
        insert(extents, 0, (struct nvme_extent){first, blocks});
    }
}

void extents_fini(struct extents *extents) {
    free(extents->runs);
    *extents = (struct extents){.count = 0};
}

static struct nvme_extent take_front(struct extents *extents, uint32_t at, uint64_t blocks) {
    struct nvme_extent *run = &extents->runs[at];
    const struct nvme_extent taken = {run->first_block, blocks < run->blocks ? blocks : run->blocks};
    run->first_block += taken.blocks;
    run->blocks -= taken.blocks;
    if (run->blocks == 0) {
        erase(extents, at);
    }
    return taken;
}

uint32_t extents_take(struct extents *extents, uint64_t blocks, struct nvme_extent *out, uint32_t capacity) {
    if (blocks == 0 || capacity == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < extents->count; i++) {
        if (extents->runs[i].blocks >= blocks) {
            out[0] = take_front(extents, i, blocks);
            return 1;
        }
    }
    uint64_t found = 0;
    for (uint32_t i = 0; i < extents->count && i < capacity; i++) {
        found += extents->runs[i].blocks;
    }
    if (found < blocks) {
        return 0;
    }
    uint32_t count = 0;
    while (blocks > 0) {
        out[count] = take_front(extents, 0, blocks);
        blocks -= out[count++].blocks;
    }
    return count;
}

bool extents_take_at(struct extents *extents, uint64_t first, uint64_t blocks) {
    for (uint32_t i = 0; i < extents->count; i++) {
        const struct nvme_extent run = extents->runs[i];
        if (first < run.first_block || first - run.first_block >= run.blocks ||
            blocks > run.blocks - (first - run.first_block) || blocks == 0) {
            continue;
        }
        const struct nvme_extent before = {run.first_block, first - run.first_block};
        const struct nvme_extent behind = {first + blocks, run.blocks - before.blocks - blocks};
        erase(extents, i);
        if (behind.blocks > 0) {
            insert(extents, i, behind);
        }
        if (before.blocks > 0) {
            insert(extents, i, before);
        }
        return true;
    }
    return false;
}

void extents_give(struct extents *extents, struct nvme_extent run) {
    uint32_t at = 0;
    while (at < extents->count && extents->runs[at].first_block < run.first_block) {
        at++;
    }
    SIM_ASSERT_MSG((at == 0 || extents->runs[at - 1].first_block + extents->runs[at - 1].blocks <= run.first_block) &&
                       (at == extents->count || run.first_block + run.blocks <= extents->runs[at].first_block),
                   "blocks are given back that are free");
    insert(extents, at, run);
    if (at + 1 < extents->count && run.first_block + run.blocks == extents->runs[at + 1].first_block) {
        extents->runs[at].blocks += extents->runs[at + 1].blocks;
        erase(extents, at + 1);
    }
    if (at > 0 && extents->runs[at - 1].first_block + extents->runs[at - 1].blocks == run.first_block) {
        extents->runs[at - 1].blocks += extents->runs[at].blocks;
        erase(extents, at);
    }
}

uint64_t extents_free_blocks(const struct extents *extents) {
    uint64_t blocks = 0;
    for (uint32_t i = 0; i < extents->count; i++) {
        blocks += extents->runs[i].blocks;
    }
    return blocks;
}
