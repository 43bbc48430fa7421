/* flash_checker.c: what the parts of a translation layer's state must agree on, from
 * its tables alone. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "tests/hw/flash_fixture.h"

/* Every slot that names an owner is where that owner's entry points. */
static void check_block(const struct ftl *ftl, uint32_t die, uint32_t index, uint32_t *seen, uint64_t *valid) {
    const struct ftl_block *block = &ftl->dies[die].blocks[index];
    uint32_t count = 0;
    for (uint32_t slot = 0; block->owners != NULL && slot < block->written; slot++) {
        const uint32_t unit = block->owners[slot];
        if (unit != FTL_NONE) {
            cr_assert_lt(unit, ftl->config.units);
            cr_assert_eq(ftl_lookup(ftl, unit), (die * ftl->config.blocks + index) * ftl->config.slots + slot + 1);
            cr_assert_eq(seen[unit], 0, "unit %u lies in two slots", unit);
            seen[unit] = 1;
            count++;
        }
    }
    cr_assert_eq(count, block->valid);
    cr_assert_eq(block->written % ftl->config.stripe, 0);
    cr_assert((block->state == FTL_BLOCK_FREE) == (block->written == 0), "die %u block %u", die, index);
    cr_assert(block->state != FTL_BLOCK_CLOSED || block->written == ftl->config.slots);
    cr_assert(block->state != FTL_BLOCK_OPEN || block->written < ftl->config.slots);
    *valid += count;
}

/* The buckets hold exactly the closed blocks, each in its own. */
static void check_buckets(const struct ftl *ftl, const struct ftl_die *die) {
    uint32_t listed = 0, closed = 0;
    for (uint32_t bucket = 0; bucket <= ftl->config.slots; bucket++) {
        uint32_t before = FTL_NONE;
        for (uint32_t at = die->bucket_first[bucket]; at != FTL_NONE; at = die->blocks[at].next) {
            cr_assert_eq(die->blocks[at].valid, bucket);
            cr_assert_eq(die->blocks[at].state, FTL_BLOCK_CLOSED);
            cr_assert_eq(die->blocks[at].previous, before);
            cr_assert_geq(bucket, die->lowest);
            before = at;
            listed++;
        }
        cr_assert_eq(die->bucket_last[bucket], before);
    }
    for (uint32_t i = 0; i < ftl->config.blocks; i++) {
        closed += die->blocks[i].state == FTL_BLOCK_CLOSED;
    }
    cr_assert_eq(listed, closed);
}

static void check_free(const struct ftl *ftl, const struct ftl_die *die) {
    uint32_t listed = 0, free_blocks = 0;
    for (uint32_t at = die->free_first; at != FTL_NONE; at = die->blocks[at].next) {
        cr_assert_eq(die->blocks[at].state, FTL_BLOCK_FREE);
        cr_assert_eq(die->blocks[at].valid, 0);
        listed++;
    }
    for (uint32_t i = 0; i < ftl->config.blocks; i++) {
        free_blocks += die->blocks[i].state == FTL_BLOCK_FREE;
    }
    cr_assert_eq(listed + (ftl->config.blocks - die->fresh), die->free_count);
    cr_assert_eq(free_blocks, die->free_count);
}

void flash_check_state(const struct flash_drive *drive) {
    const struct ftl *ftl = &drive->flash->ftl;
    uint32_t *seen = calloc(ftl->config.units, sizeof *seen);
    uint64_t mapped = 0, found = 0;
    for (uint32_t die = 0; die < ftl->config.dies; die++) {
        uint64_t valid = 0;
        for (uint32_t block = 0; block < ftl->config.blocks; block++) {
            check_block(ftl, die, block, seen, &valid);
        }
        check_buckets(ftl, &ftl->dies[die]);
        check_free(ftl, &ftl->dies[die]);
        cr_assert_eq(valid, ftl->dies[die].valid);
        found += valid;
    }
    for (uint32_t unit = 0; unit < ftl->config.units; unit++) {
        const uint32_t entry = ftl_lookup(ftl, unit);
        mapped += entry != 0 && (entry & FTL_PENDING) == 0;
    }
    cr_assert_eq(mapped, found, "%llu units are mapped, %llu lie in slots", (unsigned long long)mapped,
                 (unsigned long long)found);
    free(seen);
}
