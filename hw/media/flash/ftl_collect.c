/* ftl_collect.c: garbage collection: which block, and what is left to do with it. */
#include <string.h>

#include "hw/media/flash/ftl.h"

/* ---- The victim ---- */

/* The closed block with the fewest valid units; of several the one that has had as
 * few for longest. */
static uint32_t fewest_valid(const struct ftl *ftl, struct ftl_die *die) {
    while (die->lowest < ftl->config.slots && die->bucket_first[die->lowest] == FTL_NONE) {
        die->lowest++;
    }
    return die->bucket_first[die->lowest];
}

/* Rosenblum and Ousterhout, The design and implementation of a log-structured file
 * system (1991), section 3.6: benefit/cost = (1 - u) age / (1 + u). Age is counted in
 * blocks that closed since. */
static double cost_benefit(const struct ftl *ftl, const struct ftl_die *die, const struct ftl_block *block) {
    const double used = (double)block->valid / (double)ftl->config.slots;
    return (1 - used) * (double)(die->closings - block->closed) / (1 + used);
}

static bool is_better(const struct ftl *ftl, const struct ftl_die *die, const struct ftl_block *one,
                      const struct ftl_block *other) {
    if (ftl->config.policy == FTL_COST_BENEFIT) {
        return cost_benefit(ftl, die, one) > cost_benefit(ftl, die, other);
    }
    return die->closings - one->closed > die->closings - other->closed;
}

static uint32_t search(const struct ftl *ftl, const struct ftl_die *die) {
    uint32_t best = FTL_NONE;
    for (uint32_t i = 0; i < die->fresh; i++) {
        const struct ftl_block *block = &die->blocks[i];
        if (block->state == FTL_BLOCK_CLOSED && block->valid < ftl->config.slots &&
            (best == FTL_NONE || is_better(ftl, die, block, &die->blocks[best]))) {
            best = i;
        }
    }
    return best;
}

/* Static wear levelling: the least worn block, if it lies too far below the most worn
 * one. Its data have not changed for long; they move, and it is used again. */
static uint32_t left_behind(const struct ftl *ftl, const struct ftl_die *die) {
    uint32_t least = FTL_NONE, most = 0;
    for (uint32_t i = 0; i < die->fresh; i++) {
        const struct ftl_block *block = &die->blocks[i];
        most = block->erases > most ? block->erases : most;
        if (block->state == FTL_BLOCK_CLOSED && (least == FTL_NONE || block->erases < die->blocks[least].erases)) {
            least = i;
        }
    }
    return least != FTL_NONE && most - die->blocks[least].erases > ftl->config.wear_gap ? least : FTL_NONE;
}

uint32_t ftl_choose_victim(struct ftl *ftl, struct ftl_die *die) {
    if (ftl->config.wear == FTL_WEAR_STATIC && die->free_count > FTL_RESERVE_BLOCKS) {
        const uint32_t cold = left_behind(ftl, die);
        if (cold != FTL_NONE) {
            ftl->counters.wear_moves++;
            return cold;
        }
    }
    uint32_t best = ftl->config.policy == FTL_GREEDY ? fewest_valid(ftl, die) : search(ftl, die);
    if (best != FTL_NONE && die->blocks[best].valid == ftl->config.slots) {
        best = FTL_NONE; /* nothing to gain */
    }
    return best;
}

/* ---- Step by step ---- */

/* Map entries lie anywhere: they are fetched into the cache that many slots before they
 * are needed. */
enum { FETCH_AHEAD = 32 };

static void fetch_ahead(const struct ftl *ftl, const struct ftl_block *block, uint32_t slot) {
    if (slot + FETCH_AHEAD < ftl->config.slots) {
        const uint32_t unit = block->owners[slot + FETCH_AHEAD];
        if (unit != FTL_NONE) {
            __builtin_prefetch(&ftl->chunks[unit / FTL_CHUNK_UNITS][unit % FTL_CHUNK_UNITS], 1);
        }
    }
}

/* Reads what is valid in the stripe at `position` into memory. */
static uint32_t gather(struct ftl *ftl, struct ftl_die *die) {
    struct ftl_block *block = &die->blocks[die->victim];
    struct ftl_held *held = &die->held;
    const uint32_t before = held->count;
    for (uint32_t slot = die->position; slot < die->position + ftl->config.stripe; slot++) {
        const uint32_t unit = block->owners[slot];
        fetch_ahead(ftl, block, slot);
        if (unit != FTL_NONE) {
            const uint32_t id = ftl_new_id(ftl);
            *ftl_entry(ftl, unit) = id;
            block->owners[slot] = FTL_NONE;
            held->units[held->count] = unit;
            held->ids[held->count++] = id;
        }
    }
    const uint32_t found = held->count - before;
    block->valid -= found;
    die->valid -= found;
    die->incoming += found;
    return found;
}

/* Units that were overwritten or deallocated since they were read need no copy. */
static void drop_stale(const struct ftl *ftl, struct ftl_die *die) {
    struct ftl_held *held = &die->held;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < held->count; i++) {
        if (ftl_lookup(ftl, held->units[i]) == held->ids[i]) {
            held->units[kept] = held->units[i];
            held->ids[kept++] = held->ids[i];
        }
    }
    die->incoming -= held->count - kept;
    held->count = kept;
}

static bool begin_victim(struct ftl *ftl, struct ftl_die *die) {
    die->collecting = die->free_count < ftl->config.collect_stop;
    if (!die->collecting) {
        return false;
    }
    const uint32_t victim = ftl_choose_victim(ftl, die);
    if (victim == FTL_NONE) {
        die->collecting = false;
        return false;
    }
    ftl_bucket_remove(die, victim);
    die->blocks[victim].state = FTL_BLOCK_VICTIM;
    die->victim = victim;
    die->position = 0;
    return true;
}

enum ftl_step ftl_collect_next(struct ftl *ftl, uint32_t die_index, uint32_t *first_slot, uint32_t *units) {
    struct ftl_die *die = &ftl->dies[die_index];
    const uint32_t stripe = ftl->config.stripe;
    if (die->held.count >= stripe) {
        drop_stale(ftl, die);
        if (die->held.count >= stripe) {
            return FTL_STEP_PROGRAM;
        }
    }
    if (die->victim == FTL_NONE && !begin_victim(ftl, die)) {
        return FTL_STEP_NONE;
    }
    for (; die->position < ftl->config.slots && die->blocks[die->victim].valid > 0; die->position += stripe) {
        const uint32_t found = gather(ftl, die);
        if (found > 0) {
            *first_slot = die->position;
            *units = found;
            die->position += stripe;
            ftl->counters.collect_reads++;
            return FTL_STEP_READ;
        }
    }
    return FTL_STEP_ERASE;
}

uint32_t ftl_collect_program(struct ftl *ftl, uint32_t die_index, uint32_t *units) {
    struct ftl_held *held = &ftl->dies[die_index].held;
    const uint32_t stripe = ftl->config.stripe;
    const uint32_t first = ftl_program(ftl, die_index, FTL_COLLECTED, held->units, held->ids, stripe);
    held->count -= stripe;
    memmove(held->units, held->units + stripe, held->count * sizeof held->units[0]);
    memmove(held->ids, held->ids + stripe, held->count * sizeof held->ids[0]);
    *units = stripe;
    return first;
}

/* ---- In no time ---- */

void ftl_collect_now(struct ftl *ftl, uint32_t die) {
    uint32_t slot, units;
    for (;;) {
        switch (ftl_collect_next(ftl, die, &slot, &units)) {
        case FTL_STEP_NONE:
            return;
        case FTL_STEP_READ:
            break;
        case FTL_STEP_PROGRAM:
            (void)ftl_collect_program(ftl, die, &units);
            break;
        case FTL_STEP_ERASE:
            ftl_collect_erase(ftl, die);
            break;
        }
    }
}

static void store(struct ftl *ftl, const uint32_t *units, uint32_t count) {
    uint32_t ids[FTL_STRIPE_MAX];
    const uint32_t die = ftl_choose_die(ftl);
    for (uint32_t i = 0; i < count; i++) {
        ids[i] = ftl_accept(ftl, units[i]);
    }
    ftl->dies[die].incoming += count;
    if (ftl_collect_wanted(ftl, die)) {
        ftl_collect_now(ftl, die);
    }
    (void)ftl_program(ftl, die, FTL_HOST, units, ids, count);
}

void ftl_fill(struct ftl *ftl, struct random_stream *stream, uint64_t overwrites) {
    const uint32_t stripe = ftl->config.stripe, all = ftl->config.units;
    uint32_t units[FTL_STRIPE_MAX];
    for (uint32_t first = 0; first < all; first += stripe) {
        const uint32_t count = all - first < stripe ? all - first : stripe;
        for (uint32_t i = 0; i < count; i++) {
            units[i] = first + i;
        }
        store(ftl, units, count);
    }
    for (uint64_t done = 0; stream != NULL && done < overwrites; done += stripe) {
        for (uint32_t i = 0; i < stripe; i++) {
            units[i] = (uint32_t)random_below(stream, all);
        }
        store(ftl, units, stripe);
    }
    memset(&ftl->counters, 0, sizeof ftl->counters);
}

void ftl_erase_range(const struct ftl *ftl, uint32_t *least, uint32_t *most) {
    *least = UINT32_MAX;
    *most = 0;
    for (uint32_t i = 0; i < ftl->config.dies; i++) {
        for (uint32_t block = 0; block < ftl->config.blocks; block++) {
            const uint32_t erases = ftl->dies[i].blocks[block].erases;
            *least = erases < *least ? erases : *least;
            *most = erases > *most ? erases : *most;
        }
    }
}
