/* ftl.c: the map, the blocks and where writes go. */
#include "hw/media/flash/ftl.h"

#include <stdlib.h>
#include <string.h>

#include "sim/allocate.h"

/* ---- Buckets of closed blocks ---- */

static void bucket_add(struct ftl_die *die, uint32_t index) {
    struct ftl_block *block = &die->blocks[index];
    const uint32_t bucket = block->valid;
    block->next = FTL_NONE;
    block->previous = die->bucket_last[bucket];
    if (block->previous != FTL_NONE) {
        die->blocks[block->previous].next = index;
    } else {
        die->bucket_first[bucket] = index;
    }
    die->bucket_last[bucket] = index;
    if (bucket < die->lowest) {
        die->lowest = bucket;
    }
}

void ftl_bucket_remove(struct ftl_die *die, uint32_t index) {
    const struct ftl_block *block = &die->blocks[index];
    if (block->previous != FTL_NONE) {
        die->blocks[block->previous].next = block->next;
    } else {
        die->bucket_first[block->valid] = block->next;
    }
    if (block->next != FTL_NONE) {
        die->blocks[block->next].previous = block->previous;
    } else {
        die->bucket_last[block->valid] = block->previous;
    }
}

/* ---- Blocks ---- */

/* The free block to use next: in the order of erasing; with wear levelling the least
 * worn one, which a fresh one always is. */
static uint32_t take_free(struct ftl *ftl, struct ftl_die *die) {
    const uint32_t slots = ftl->config.slots;
    uint32_t index;
    if (die->fresh < ftl->config.blocks) {
        index = die->fresh++;
        die->blocks[index].owners = sim_allocate(slots, sizeof *die->blocks[index].owners);
    } else {
        uint32_t before = FTL_NONE, before_best = FTL_NONE;
        index = die->free_first;
        for (uint32_t at = index; ftl->config.wear != FTL_WEAR_NONE && at != FTL_NONE; at = die->blocks[at].next) {
            if (die->blocks[at].erases < die->blocks[index].erases) {
                index = at;
                before_best = before;
            }
            before = at;
        }
        const uint32_t next = die->blocks[index].next;
        if (before_best == FTL_NONE) {
            die->free_first = next;
        } else {
            die->blocks[before_best].next = next;
        }
        if (next == FTL_NONE) {
            die->free_last = before_best;
        }
    }
    die->free_count--;
    die->blocks[index].state = FTL_BLOCK_OPEN;
    return index;
}

static void close_block(struct ftl_die *die, uint32_t index) {
    struct ftl_block *block = &die->blocks[index];
    block->state = FTL_BLOCK_CLOSED;
    block->closed = die->closings++;
    bucket_add(die, index);
}

void ftl_collect_erase(struct ftl *ftl, uint32_t die_index) {
    struct ftl_die *die = &ftl->dies[die_index];
    const uint32_t index = die->victim;
    struct ftl_block *block = &die->blocks[index];
    SIM_ASSERT_MSG(block->state == FTL_BLOCK_VICTIM && block->valid == 0, "a block is erased that holds data");
    die->victim = FTL_NONE;
    block->state = FTL_BLOCK_FREE;
    block->written = 0;
    block->erases++;
    block->next = FTL_NONE;
    if (die->free_last != FTL_NONE) {
        die->blocks[die->free_last].next = index;
    } else {
        die->free_first = index;
    }
    die->free_last = index;
    die->free_count++;
    ftl->counters.erases++;
}

/* ---- The map ---- */

uint32_t *ftl_entry(struct ftl *ftl, uint32_t unit) {
    uint32_t **chunk = &ftl->chunks[unit / FTL_CHUNK_UNITS];
    if (*chunk == NULL) {
        *chunk = sim_allocate(FTL_CHUNK_UNITS, sizeof **chunk);
    }
    return &(*chunk)[unit % FTL_CHUNK_UNITS];
}

/* The slot that an entry points to holds nothing any more. */
static void make_stale(struct ftl *ftl, uint32_t entry) {
    if (entry == 0 || (entry & FTL_PENDING) != 0) {
        return;
    }
    const uint32_t slots = ftl->config.slots, global = (entry - 1) / slots;
    struct ftl_die *die = &ftl->dies[global / ftl->config.blocks];
    const uint32_t index = global % ftl->config.blocks;
    struct ftl_block *block = &die->blocks[index];
    block->owners[(entry - 1) % slots] = FTL_NONE;
    die->valid--;
    if (block->state == FTL_BLOCK_CLOSED) {
        ftl_bucket_remove(die, index);
        block->valid--;
        bucket_add(die, index);
    } else {
        block->valid--;
    }
}

uint32_t ftl_accept(struct ftl *ftl, uint32_t unit) {
    uint32_t *entry = ftl_entry(ftl, unit);
    make_stale(ftl, *entry);
    const uint32_t id = ftl_new_id(ftl);
    *entry = id;
    return id;
}

void ftl_deallocate(struct ftl *ftl, uint32_t first, uint32_t count) {
    const uint32_t end = first + count;
    for (uint32_t unit = first; unit < end;) {
        uint32_t *chunk = ftl->chunks[unit / FTL_CHUNK_UNITS];
        const uint32_t left = FTL_CHUNK_UNITS - unit % FTL_CHUNK_UNITS;
        const uint32_t stop = left < end - unit ? unit + left : end;
        for (; chunk != NULL && unit < stop; unit++) {
            uint32_t *entry = &chunk[unit % FTL_CHUNK_UNITS];
            ftl->counters.deallocated_units += *entry != 0 ? 1 : 0;
            make_stale(ftl, *entry);
            *entry = 0;
        }
        unit = stop;
    }
}

/* ---- Writes ---- */

uint32_t ftl_choose_die(struct ftl *ftl) {
    const uint32_t dies = ftl->config.dies;
    uint32_t least = 0;
    uint64_t least_units = UINT64_MAX;
    for (uint32_t tried = 0; tried < dies; tried++) {
        const uint32_t index = ftl->next_die;
        const struct ftl_die *die = &ftl->dies[index];
        const uint64_t units = (uint64_t)die->valid + die->incoming;
        ftl->next_die = index + 1 == dies ? 0 : index + 1;
        if (units + ftl->config.stripe <= die->limit) {
            return index;
        }
        if (units < least_units) {
            least_units = units;
            least = index;
        }
    }
    return least; /* writes of one unit, over and over, may fill all of them on paper */
}

bool ftl_has_room(const struct ftl *ftl, uint32_t die_index, enum ftl_stream stream) {
    const struct ftl_die *die = &ftl->dies[die_index];
    return die->open[stream] != FTL_NONE || die->free_count > (stream == FTL_HOST ? FTL_RESERVE_BLOCKS : 0);
}

uint32_t ftl_program(struct ftl *ftl, uint32_t die_index, enum ftl_stream stream, const uint32_t *units,
                     const uint32_t *ids, uint32_t count) {
    struct ftl_die *die = &ftl->dies[die_index];
    const uint32_t slots = ftl->config.slots, stripe = ftl->config.stripe;
    SIM_ASSERT_MSG(ftl_has_room(ftl, die_index, stream), "a flash die has no erased page left");
    if (die->open[stream] == FTL_NONE) {
        die->open[stream] = take_free(ftl, die);
    }
    const uint32_t index = die->open[stream];
    struct ftl_block *block = &die->blocks[index];
    const uint32_t first_slot = block->written;
    const uint32_t first = (die_index * ftl->config.blocks + index) * slots + first_slot;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t *entry = ftl_entry(ftl, units[i]);
        const bool is_wanted = *entry == ids[i];
        block->owners[first_slot + i] = is_wanted ? units[i] : FTL_NONE;
        if (is_wanted) {
            *entry = first + i + 1;
            block->valid++;
            die->valid++;
        } else {
            ftl->counters.stale_units++;
        }
    }
    for (uint32_t i = count; i < stripe; i++) {
        block->owners[first_slot + i] = FTL_NONE;
    }
    die->incoming -= count;
    block->written += stripe;
    *(stream == FTL_HOST ? &ftl->counters.host_units : &ftl->counters.copied_units) += count;
    *(stream == FTL_HOST ? &ftl->counters.host_stripes : &ftl->counters.copied_stripes) += 1;
    ftl->counters.padded_units += stripe - count;
    if (block->written == slots) {
        die->open[stream] = FTL_NONE;
        close_block(die, index);
    }
    return first;
}

/* ---- Life cycle ---- */

enum error_code ftl_check(const struct ftl_config *config, struct error *error) {
    /* Beyond the data: free and open blocks, the victim, and one for every die to
     * differ from its even share. */
    const uint64_t share = ((uint64_t)config->units + config->dies - 1) / config->dies;
    const uint64_t data = (share + config->slots - 1) / config->slots;
    const uint64_t spare = config->blocks - data, least = config->collect_stop + FTL_OPEN_BLOCKS + 2;
    if ((uint64_t)config->dies * config->blocks * config->slots >= FTL_PENDING - 1) {
        return error_set(error, ERR_RANGE, "the drive has %llu mapping units, at most %u can be numbered",
                         (unsigned long long)config->dies * config->blocks * config->slots, FTL_PENDING - 2);
    }
    if (config->blocks < data || spare < least) {
        return error_set(error, ERR_RANGE,
                         "over-provisioning leaves %lld spare blocks a die, at least %llu are needed: smaller blocks, "
                         "fewer dies or more over-provisioning",
                         (long long)config->blocks - (long long)data, (unsigned long long)least);
    }
    return OK;
}

enum error_code ftl_init(struct ftl *ftl, const struct ftl_config *config, struct error *error) {
    memset(ftl, 0, sizeof *ftl);
    ftl->config = *config;
    if (ftl_check(config, error) != OK) {
        return error->code;
    }
    ftl->chunks = sim_allocate((config->units + (uint64_t)FTL_CHUNK_UNITS - 1) / FTL_CHUNK_UNITS, sizeof *ftl->chunks);
    ftl->dies = sim_allocate(config->dies, sizeof *ftl->dies);
    const uint32_t share = (config->units + config->dies - 1) / config->dies;
    const uint32_t most = (config->blocks - config->collect_stop - FTL_OPEN_BLOCKS - 1) * config->slots;
    for (uint32_t i = 0; i < config->dies; i++) {
        struct ftl_die *die = &ftl->dies[i];
        const size_t bytes = ((size_t)config->slots + 1) * sizeof *die->bucket_first;
        die->blocks = sim_allocate(config->blocks, sizeof *die->blocks);
        die->bucket_first = sim_allocate(1, bytes);
        die->bucket_last = sim_allocate(1, bytes);
        memset(die->bucket_first, 0xff, bytes); /* FTL_NONE */
        memset(die->bucket_last, 0xff, bytes);
        die->lowest = config->slots;
        die->free_count = config->blocks;
        die->free_first = die->free_last = die->victim = FTL_NONE;
        die->open[FTL_HOST] = die->open[FTL_COLLECTED] = FTL_NONE;
        die->limit = share + (most - share) / 2;
    }
    return OK;
}

void ftl_free(struct ftl *ftl) {
    for (uint32_t i = 0; ftl->dies != NULL && i < ftl->config.dies; i++) {
        struct ftl_die *die = &ftl->dies[i];
        for (uint32_t block = 0; block < die->fresh; block++) {
            free(die->blocks[block].owners);
        }
        free(die->blocks);
        free(die->bucket_first);
        free(die->bucket_last);
    }
    free(ftl->dies);
    for (uint64_t i = 0; ftl->chunks != NULL && i * FTL_CHUNK_UNITS < ftl->config.units; i++) {
        free(ftl->chunks[i]);
    }
    free(ftl->chunks);
}
