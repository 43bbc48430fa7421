/* xn_fixture.h: a small disk under XN, and a file system that a student can read.
 *
 * A directory block: word 0 is how many entries there are (at most 8); entry i is
 * word 1 + i, the number of an inode block. An inode block: word 0 is how many extents
 * (at most 8); extent i is words 1 + 2i and 2 + 2i: first block, count. */
#ifndef STILLSUIT_TESTS_KERNEL_MODEL_XN_FIXTURE_H
#define STILLSUIT_TESTS_KERNEL_MODEL_XN_FIXTURE_H

#include <criterion/criterion.h>
#include <string.h>

#include "kernel_model/exo/xn.h"

typedef struct download_instruction instruction;
#define I(name, a, b, c, immediate)                                                                                    \
    { OPERATION_##name, (a), (b), (c), (immediate) }

enum { BLOCK_BYTES = 512, BLOCKS = 64, SLOTS = 12, CACHE = 0x10000, DISK = 0x20000, ENTRIES_MAX = 8 };

/* r1 entries, r2 offset of the next, r3 its block, r4 count, r5 type, r6 entries seen */
static const instruction inode_owns[] = {
    I(set, 0, 0, 0, 0),         I(load32, 1, 0, 0, 0), I(set, 2, 0, 0, 4),           I(set, 5, 0, 0, XN_DATA),
    I(set, 6, 0, 0, 0),         I(repeat, 6, 0, 0, 8), I(jump_at_least, 6, 1, 0, 5), I(load32, 3, 2, 0, 0),
    I(load32, 4, 2, 0, 4),      I(emit, 3, 4, 5, 0),   I(add_immediate, 2, 2, 0, 8), I(add_immediate, 6, 6, 0, 1),
    I(return_value, 0, 0, 0, 0)};
/* The same for a directory, of inodes: type 1, one block each. */
static const instruction directory_owns[] = {
    I(set, 0, 0, 0, 0),         I(load32, 1, 0, 0, 0), I(set, 2, 0, 0, 4),           I(set, 4, 0, 0, 1),
    I(set, 5, 0, 0, 1),         I(set, 6, 0, 0, 0),    I(repeat, 5, 0, 0, 8),        I(jump_at_least, 6, 1, 0, 4),
    I(load32, 3, 2, 0, 0),      I(emit, 3, 4, 5, 0),   I(add_immediate, 2, 2, 0, 4), I(add_immediate, 6, 6, 0, 1),
    I(return_value, 0, 0, 0, 0)};

static struct memory *fixture_memory;
static struct download_costs xn_download_costs;
static struct xn *fixture_xn;
static uint32_t inode_type, directory_type;
static const uint8_t fixture_empty[BLOCK_BYTES];

static inline void xn_fixture_make(void) {
    download_costs_default(&xn_download_costs);
    fixture_memory = memory_create(0x40000);
    const struct xn_config with = {.memory = fixture_memory,
                                   .costs = &xn_download_costs,
                                   .block_bytes = BLOCK_BYTES,
                                   .blocks = BLOCKS,
                                   .slots = SLOTS,
                                   .cache_physical = CACHE,
                                   .disk_physical = DISK,
                                   .owns_limit_cycles = 4000};
    fixture_xn = xn_create(&with);
    cr_assert_eq(xn_template(fixture_xn, inode_owns, sizeof inode_owns / sizeof *inode_owns, &inode_type, NULL), OK);
    cr_assert_eq(
        xn_template(fixture_xn, directory_owns, sizeof directory_owns / sizeof *directory_owns, &directory_type, NULL),
        OK);
    cr_assert_eq(inode_type, 1);
}

static inline void xn_fixture_unmake(void) {
    xn_free(fixture_xn);
    memory_free(fixture_memory);
}

/* Changes up to three words of a block. */
static inline enum error_code fixture_change(uint32_t owner, uint32_t block, const uint32_t (*words)[2], uint32_t count,
                                             enum xn_change change, struct download_extent blocks_of) {
    struct xn_write writes[3];
    for (uint32_t i = 0; i < count; i++) {
        writes[i] = (struct xn_write){words[i][0] * 4, 4, &words[i][1]};
    }
    return xn_modify(fixture_xn, owner, block, writes, count, change, blocks_of, NULL);
}

/* A root directory at `block`, and an inode in it at `inode`, as entry 0. */
static inline void fixture_tree(uint32_t owner, uint32_t block, uint32_t inode) {
    cr_assert_eq(xn_root(fixture_xn, owner, directory_type, block, NULL), OK);
    cr_assert_eq(xn_initialise(fixture_xn, owner, block, fixture_empty, NULL), OK);
    cr_assert_eq(fixture_change(owner, block, (const uint32_t[][2]){{0, 1}, {1, inode}}, 2, XN_ALLOCATE,
                                (struct download_extent){inode, 1, inode_type}),
                 OK);
    cr_assert_eq(xn_initialise(fixture_xn, owner, inode, fixture_empty, NULL), OK);
}

#endif
