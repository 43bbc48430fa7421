/* test_xn.c: an ownership function that lies is caught; blocks of others stay theirs;
 * the disk is consistent whenever the power fails. */
#include "sim/random.h"
#include "tests/kernel_model/xn_fixture.h"

TestSuite(xn, .init = xn_fixture_make, .fini = xn_fixture_unmake);

static const struct download_extent nothing = {0, 0, 0};

static uint64_t lies(void) {
    return xn_counters(fixture_xn)->lies;
}

static uint32_t word_of(uint32_t owner, uint32_t block, uint32_t word) {
    uint32_t value = 0;
    cr_assert_eq(xn_read(fixture_xn, owner, block, word * 4, 4, &value, NULL), OK);
    return value;
}

static void write_block(uint32_t owner, uint32_t block) {
    const struct xn_write write = {0, 4, &block};
    cr_assert_eq(xn_write_data(fixture_xn, owner, block, &write, NULL), OK);
    cr_assert_eq(xn_flush(fixture_xn, owner, block, NULL), OK);
}

Test(xn, a_declared_allocation_is_made) {
    fixture_tree(1, 0, 1);
    cr_assert_eq(fixture_change(1, 1, (const uint32_t[][2]){{0, 1}, {1, 10}, {2, 3}}, 3, XN_ALLOCATE,
                                (struct download_extent){10, 3, XN_DATA}),
                 OK);
    for (uint32_t block = 10; block < 13; block++) {
        cr_assert_eq(xn_state(fixture_xn, block), XN_STATE_ALLOCATED);
    }
    cr_assert_eq(xn_state(fixture_xn, 13), XN_STATE_FREE);
    cr_assert_eq(fixture_change(1, 1, (const uint32_t[][2]){{100, 7}}, 1, XN_KEEP, nothing), OK, "a time, say");
    cr_assert_eq(lies(), 0);
    cr_assert_gt(xn_counters(fixture_xn)->cycles, 0);
}

Test(xn, an_owns_that_lies_is_caught_and_rolled_back) {
    fixture_tree(1, 0, 1);
    const struct download_extent extent = {10, 2, XN_DATA};
    const uint32_t three[][2] = {{0, 1}, {1, 10}, {2, 3}}, two[][2] = {{0, 1}, {1, 10}, {2, 2}};
    /* takes one more than it says; takes without saying; says without taking; frees what it takes */
    cr_assert_eq(fixture_change(1, 1, three, 3, XN_ALLOCATE, extent), ERR_FAULT);
    cr_assert_eq(fixture_change(1, 1, two, 3, XN_KEEP, nothing), ERR_FAULT);
    cr_assert_eq(fixture_change(1, 1, (const uint32_t[][2]){{100, 7}}, 1, XN_ALLOCATE, extent), ERR_FAULT);
    cr_assert_eq(fixture_change(1, 1, two, 3, XN_FREE, extent), ERR_FAULT);
    cr_assert_eq(lies(), 4);
    cr_assert_eq(word_of(1, 1, 0), 0, "as it was");
    cr_assert_eq(word_of(1, 1, 1), 0);
    cr_assert_eq(xn_state(fixture_xn, 10), XN_STATE_FREE);
    /* drops a block that it owned, silently, or in exchange for another */
    cr_assert_eq(fixture_change(1, 1, two, 3, XN_ALLOCATE, extent), OK);
    cr_assert_eq(fixture_change(1, 1, (const uint32_t[][2]){{2, 1}}, 1, XN_KEEP, nothing), ERR_FAULT);
    cr_assert_eq(
        fixture_change(1, 1, (const uint32_t[][2]){{1, 11}}, 1, XN_ALLOCATE, (struct download_extent){12, 1, XN_DATA}),
        ERR_FAULT);
    cr_assert_eq(xn_state(fixture_xn, 10), XN_STATE_ALLOCATED);
    cr_assert_eq(word_of(1, 1, 1), 10);
    /* gives a block another type, so as to read it as metadata */
    cr_assert_eq(fixture_change(1, 0, (const uint32_t[][2]){{0, 2}, {2, 20}}, 2, XN_ALLOCATE,
                                (struct download_extent){20, 1, XN_DATA}),
                 ERR_FAULT);
}

Test(xn, anothers_block_cannot_be_claimed) {
    fixture_tree(1, 0, 1);
    fixture_tree(2, 2, 3);
    const struct download_extent extent = {10, 1, XN_DATA};
    const uint32_t words[][2] = {{0, 1}, {1, 10}, {2, 1}};
    cr_assert_eq(fixture_change(1, 1, words, 3, XN_ALLOCATE, extent), OK);
    cr_assert_eq(fixture_change(2, 3, words, 3, XN_ALLOCATE, extent), ERR_OVERLAP);
    cr_assert_eq(xn_counters(fixture_xn)->stolen, 1);
    cr_assert_eq(fixture_change(2, 3, words, 3, XN_FREE, extent), ERR_FAULT);
    cr_assert_eq(fixture_change(2, 1, words, 3, XN_KEEP, nothing), ERR_DENIED, "another's metadata");
    uint32_t value = 0;
    cr_assert_eq(xn_read(fixture_xn, 2, 10, 0, 4, &value, NULL), ERR_DENIED);
    const struct xn_write write = {0, 4, &value};
    cr_assert_eq(xn_write_data(fixture_xn, 2, 10, &write, NULL), ERR_DENIED);
    cr_assert_eq(xn_write_data(fixture_xn, 1, 1, &write, NULL), ERR_DENIED, "metadata is no data");
    cr_assert_eq(xn_flush(fixture_xn, 2, 10, NULL), ERR_DENIED);
    cr_assert_eq(xn_root(fixture_xn, 2, directory_type, 10, NULL), ERR_OVERLAP);
}

Test(xn, new_metadata_owns_nothing) {
    uint32_t words[BLOCK_BYTES / 4] = {1, 0};
    cr_assert_eq(xn_root(fixture_xn, 1, directory_type, 5, NULL), OK);
    cr_assert_eq(xn_initialise(fixture_xn, 1, 5, words, NULL), ERR_FAULT, "block 0 out of thin air");
    cr_assert_eq(xn_initialise(fixture_xn, 1, 5, fixture_empty, NULL), OK);
    cr_assert_eq(xn_initialise(fixture_xn, 1, 5, fixture_empty, NULL), ERR_DENIED, "once");
}

Test(xn, owns_that_is_no_function_of_blocks_is_refused) {
    fixture_tree(1, 0, 1);
    /* beyond the disk; overlapping itself; no blocks at all */
    cr_assert_eq(fixture_change(1, 1, (const uint32_t[][2]){{0, 1}, {1, BLOCKS - 1}, {2, 2}}, 3, XN_ALLOCATE,
                                (struct download_extent){BLOCKS - 1, 1, XN_DATA}),
                 ERR_FAULT);
    cr_assert_eq(fixture_change(1, 1, (const uint32_t[][2]){{0, 2}, {1, 10}, {2, 2}}, 3, XN_ALLOCATE,
                                (struct download_extent){10, 2, XN_DATA}),
                 ERR_FAULT);
    cr_assert_eq(xn_counters(fixture_xn)->faults, 2);
    cr_assert_eq(fixture_change(1, 1, (const uint32_t[][2]){{0, 1}}, 1, XN_ALLOCATE,
                                (struct download_extent){BLOCKS, 1, XN_DATA}),
                 ERR_RANGE);
}

/* Two extents of the same blocks: one block is owned once. */
Test(xn, a_block_is_owned_once) {
    fixture_tree(1, 0, 1);
    cr_assert_eq(fixture_change(1, 1, (const uint32_t[][2]){{3, 10}, {4, 2}}, 2, XN_KEEP, nothing), OK);
    cr_assert_eq(fixture_change(1, 1, (const uint32_t[][2]){{0, 2}, {1, 10}, {2, 2}}, 3, XN_ALLOCATE,
                                (struct download_extent){10, 2, XN_DATA}),
                 ERR_FAULT);
    cr_assert_eq(xn_counters(fixture_xn)->faults, 1, "that is no set of blocks");
    cr_assert_eq(xn_state(fixture_xn, 10), XN_STATE_FREE);
}

Test(xn, a_change_stays_within_its_block) {
    uint8_t before[SLOTS * BLOCK_BYTES], after[SLOTS * BLOCK_BYTES];
    const uint32_t word = 7;
    fixture_tree(1, 0, 1);
    cr_assert_eq(fixture_change(1, 1, (const uint32_t[][2]){{0, 1}, {1, 10}, {2, 1}}, 3, XN_ALLOCATE,
                                (struct download_extent){10, 1, XN_DATA}),
                 OK);
    write_block(1, 10);
    memory_read(fixture_memory, CACHE, before, sizeof before);
    const struct xn_write over[] = {{BLOCK_BYTES - 2, 4, &word}, {BLOCK_BYTES, 4, &word}, {UINT32_MAX, 4, &word}};
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(xn_write_data(fixture_xn, 1, 10, &over[i], NULL), ERR_DENIED);
        cr_expect_eq(xn_modify(fixture_xn, 1, 1, &over[i], 1, XN_KEEP, nothing, NULL), ERR_RANGE);
    }
    memory_read(fixture_memory, CACHE, after, sizeof after);
    cr_assert_eq(memcmp(before, after, sizeof before), 0, "the block beside it was written");
}

/* What a block held for its last owner is not the next one's to read. */
Test(xn, a_block_comes_without_its_past) {
    const struct download_extent extent = {10, 1, XN_DATA};
    const uint32_t take[][2] = {{0, 1}, {1, 10}, {2, 1}}, drop[][2] = {{0, 0}};
    const uint32_t secret = 0x5ec2e7, word = 1;
    uint32_t value = 0;
    fixture_tree(1, 0, 1);
    fixture_tree(2, 2, 3);
    cr_assert_eq(fixture_change(1, 1, take, 3, XN_ALLOCATE, extent), OK);
    const struct xn_write whole = {8, 4, &secret}, part = {0, 4, &word};
    cr_assert_eq(xn_write_data(fixture_xn, 1, 10, &whole, NULL), OK);
    cr_assert_eq(xn_flush(fixture_xn, 1, 10, NULL), OK);
    cr_assert_eq(fixture_change(1, 1, drop, 1, XN_FREE, extent), OK);
    cr_assert_eq(fixture_change(2, 3, take, 3, XN_ALLOCATE, extent), OK);
    cr_assert_eq(xn_read(fixture_xn, 2, 10, 8, 4, &value, NULL), OK);
    cr_assert_eq(value, 0, "before it was written");
    cr_assert_eq(xn_write_data(fixture_xn, 2, 10, &part, NULL), OK);
    cr_assert_eq(xn_read(fixture_xn, 2, 10, 8, 4, &value, NULL), OK);
    cr_assert_eq(value, 0, "after a part of it was");
}

/* ... nor where its cache slot went meanwhile. */
Test(xn, a_block_that_is_written_first_comes_without_its_past) {
    const struct download_extent extent = {10, 1, XN_DATA};
    const uint32_t take[][2] = {{0, 1}, {1, 10}, {2, 1}}, drop[][2] = {{0, 0}};
    const uint32_t secret = 0x5ec2e7, word = 1;
    uint32_t value = 0;
    fixture_tree(1, 0, 1);
    cr_assert_eq(fixture_change(1, 1, take, 3, XN_ALLOCATE, extent), OK);
    const struct xn_write whole = {8, 4, &secret}, part = {0, 4, &word};
    cr_assert_eq(xn_write_data(fixture_xn, 1, 10, &whole, NULL), OK);
    cr_assert_eq(xn_flush(fixture_xn, 1, 10, NULL), OK);
    cr_assert_eq(fixture_change(1, 1, drop, 1, XN_FREE, extent), OK);
    fixture_tree(2, 2, 3);
    cr_assert_eq(fixture_change(2, 3, take, 3, XN_ALLOCATE, extent), OK);
    cr_assert_eq(xn_write_data(fixture_xn, 2, 10, &part, NULL), OK);
    cr_assert_eq(xn_read(fixture_xn, 2, 10, 8, 4, &value, NULL), OK);
    cr_assert_eq(value, 0);
}

Test(xn, owns_cannot_write_nor_run_for_ever) {
    uint32_t type;
    const instruction writes[] = {I(set, 0, 0, 0, 0), I(store8, 0, 0, 0, 0), I(return_value, 0, 0, 0, 0)};
    const instruction back[] = {I(set, 0, 0, 0, 0), I(jump, 0, 0, 0, -1), I(return_value, 0, 0, 0, 0)};
    const instruction elsewhere[] = {I(set, 0, 0, 0, 0), I(load8, 0, 0, 1, 0), I(return_value, 0, 0, 0, 0)};
    cr_assert_eq(xn_template(fixture_xn, writes, 3, &type, NULL), ERR_DENIED);
    cr_assert_eq(xn_template(fixture_xn, back, 3, &type, NULL), ERR_DENIED);
    cr_assert_eq(xn_template(fixture_xn, elsewhere, 3, &type, NULL), ERR_DENIED, "reads the block alone");
    cr_assert_eq(xn_counters(fixture_xn)->unsafe, 3);
}

/* ---- order ---- */

Test(xn, a_block_is_not_reused_while_the_disk_points_to_it) {
    fixture_tree(1, 0, 1);
    const struct download_extent extent = {10, 1, XN_DATA};
    const uint32_t take[][2] = {{0, 1}, {1, 10}, {2, 1}}, drop[][2] = {{0, 0}};
    cr_assert_eq(fixture_change(1, 1, take, 3, XN_ALLOCATE, extent), OK);
    cr_assert_eq(fixture_change(1, 1, drop, 1, XN_FREE, extent), OK);
    cr_assert_eq(xn_state(fixture_xn, 10), XN_STATE_FREE, "the disk never knew");
    cr_assert_eq(fixture_change(1, 1, take, 3, XN_ALLOCATE, extent), OK);
    write_block(1, 10);
    cr_assert_eq(xn_flush(fixture_xn, 1, 1, NULL), OK);
    cr_assert_eq(xn_disk_pointers(fixture_xn, 10), 1);
    cr_assert_eq(fixture_change(1, 1, drop, 1, XN_FREE, extent), OK);
    cr_assert_eq(xn_state(fixture_xn, 10), XN_STATE_WILL_FREE);
    cr_assert_eq(fixture_change(1, 1, take, 3, XN_ALLOCATE, extent), ERR_OVERLAP);
    cr_assert_eq(xn_flush(fixture_xn, 1, 1, NULL), OK);
    cr_assert_eq(xn_state(fixture_xn, 10), XN_STATE_FREE);
    cr_assert_eq(fixture_change(1, 1, take, 3, XN_ALLOCATE, extent), OK);
}

Test(xn, nothing_points_to_what_was_not_written) {
    fixture_tree(1, 0, 1);
    cr_assert_eq(xn_flush(fixture_xn, 1, 0, NULL), ERR_AGAIN, "the inode is not there");
    cr_assert_eq(fixture_change(1, 1, (const uint32_t[][2]){{0, 1}, {1, 10}, {2, 1}}, 3, XN_ALLOCATE,
                                (struct download_extent){10, 1, XN_DATA}),
                 OK);
    cr_assert_eq(xn_flush(fixture_xn, 1, 1, NULL), ERR_AGAIN, "nor is the data");
    write_block(1, 10);
    cr_assert_eq(xn_flush(fixture_xn, 1, 1, NULL), OK);
    cr_assert_eq(xn_flush(fixture_xn, 1, 0, NULL), OK);
    cr_assert_eq(xn_counters(fixture_xn)->tainted, 2);
    cr_assert_eq(xn_crash_and_recover(fixture_xn, NULL), OK);
    cr_assert_eq(xn_state(fixture_xn, 10), XN_STATE_ALLOCATED);
    cr_assert_eq(word_of(1, 10, 0), 10);
}

Test(xn, metadata_is_freed_empty) {
    fixture_tree(1, 0, 1);
    const struct download_extent inode = {1, 1, 1};
    const uint32_t take[][2] = {{0, 1}, {1, 10}, {2, 1}}, drop[][2] = {{0, 0}};
    cr_assert_eq(fixture_change(1, 1, take, 3, XN_ALLOCATE, (struct download_extent){10, 1, XN_DATA}), OK);
    cr_assert_eq(fixture_change(1, 0, drop, 1, XN_FREE, inode), ERR_DENIED);
    cr_assert_eq(xn_counters(fixture_xn)->not_empty, 1);
    write_block(1, 10);
    cr_assert_eq(xn_flush(fixture_xn, 1, 1, NULL), OK);
    cr_assert_eq(fixture_change(1, 1, drop, 1, XN_FREE, (struct download_extent){10, 1, XN_DATA}), OK);
    cr_assert_eq(xn_state(fixture_xn, 10), XN_STATE_WILL_FREE, "the inode on the disk has it");
    cr_assert_eq(fixture_change(1, 0, drop, 1, XN_FREE, inode), OK);
    cr_assert_eq(xn_state(fixture_xn, 1), XN_STATE_FREE);
    cr_assert_eq(xn_state(fixture_xn, 10), XN_STATE_FREE, "the inode's image is nobody's now");
}

Test(xn, the_cache_takes_clean_blocks_only) {
    fixture_tree(1, 0, 1);
    cr_assert_eq(fixture_change(1, 1, (const uint32_t[][2]){{0, 1}, {1, 10}, {2, 20}}, 3, XN_ALLOCATE,
                                (struct download_extent){10, 20, XN_DATA}),
                 OK);
    const struct xn_write write = {0, 4, "dirt"};
    for (uint32_t i = 0; i < SLOTS - 2; i++) {
        cr_assert_eq(xn_write_data(fixture_xn, 1, 10 + i, &write, NULL), OK);
    }
    cr_assert_eq(xn_write_data(fixture_xn, 1, 29, &write, NULL), ERR_EXHAUSTED);
    cr_assert_eq(xn_flush(fixture_xn, 1, 10, NULL), OK);
    cr_assert_eq(xn_write_data(fixture_xn, 1, 29, &write, NULL), OK);
    cr_assert_eq(xn_counters(fixture_xn)->evictions, 1);
    cr_assert_eq(xn_flush(fixture_xn, 1, 29, NULL), OK);
    cr_assert_eq(word_of(1, 10, 0), 0x74726964, "back from the disk");
}

/* ---- random calls, random power failures, a reference that reads the disk itself ---- */

/* Marks what the tree under a directory on the disk owns; false: something twice. */
static bool mark(uint32_t directory, uint8_t *seen) {
    for (uint32_t i = 0; i < memory_read32(fixture_memory, DISK + directory * BLOCK_BYTES); i++) {
        const uint32_t inode = memory_read32(fixture_memory, DISK + directory * BLOCK_BYTES + 4 + 4 * i);
        if (seen[inode]++ != 0) {
            return false;
        }
        const uint64_t at = DISK + (uint64_t)inode * BLOCK_BYTES;
        for (uint32_t j = 0; j < memory_read32(fixture_memory, at); j++) {
            const uint32_t first = memory_read32(fixture_memory, at + 4 + 8 * j);
            for (uint32_t k = 0; k < memory_read32(fixture_memory, at + 8 + 8 * j); k++) {
                if (seen[first + k]++ != 0) {
                    return false;
                }
            }
        }
    }
    return true;
}

static void check_disk(void) {
    uint8_t seen[BLOCKS] = {[0] = 1, [2] = 1};
    cr_assert(mark(0, seen) && mark(2, seen), "a block is owned twice on the disk");
    for (uint32_t block = 0; block < BLOCKS; block++) {
        cr_assert(seen[block] == 0 || xn_state(fixture_xn, block) != XN_STATE_FREE, "block %u could be reused", block);
    }
}

/* Gives up the last entry, or takes a first one. */
static void honest_call(uint32_t owner, uint32_t block, uint32_t other, uint32_t count) {
    uint32_t word[8] = {0};
    if (xn_read(fixture_xn, owner, block, 0, sizeof word, word, NULL) != OK) {
        return;
    }
    const bool inode = xn_type(fixture_xn, block) == inode_type;
    if (word[0] > 0 && word[0] < 3) {
        const uint32_t left = word[0] - 1, *entry = &word[inode ? 2 * left + 1 : left + 1];
        (void)fixture_change(owner, block, (const uint32_t[][2]){{0, left}}, 1, XN_FREE,
                             (struct download_extent){entry[0], inode ? entry[1] : 1, !inode});
    } else if (word[0] == 0) {
        const uint32_t words[][2] = {{0, 1}, {1, other}, {2, count}};
        (void)fixture_change(owner, block, words, 3, XN_ALLOCATE,
                             (struct download_extent){other, inode ? count : 1, !inode});
    }
}

/* A call with arguments that are often wrong: whoever, wherever, whatever. */
static void random_call(struct random_stream *random) {
    const uint32_t owner = 1 + (uint32_t)random_below(random, 2), block = (uint32_t)random_below(random, 24);
    const uint32_t other = (uint32_t)random_below(random, 24), entries = (uint32_t)random_below(random, 3);
    const uint32_t count = 1 + (uint32_t)random_below(random, 2);
    const enum xn_change change = (enum xn_change)random_below(random, 3);
    const uint32_t target = random_below(random, 4) == 0 ? (uint32_t)random_below(random, 24) : other;
    switch (random_below(random, 8)) {
    case 0: { /* a directory's entry */
        const uint32_t words[][2] = {{0, entries}, {entries > 0 ? entries : 1, target}};
        (void)fixture_change(owner, owner == 1 ? 0 : 2, words, 2, change, (struct download_extent){other, 1, 1});
        break;
    }
    case 1:
    case 2: { /* an inode's extent */
        const uint32_t at = entries > 0 ? 2 * entries - 1 : 1;
        const uint32_t words[][2] = {{0, entries}, {at, target}, {at + 1, count}};
        (void)fixture_change(owner, block, words, 3, change, (struct download_extent){other, count, XN_DATA});
        break;
    }
    case 3: /* honest */
        honest_call(owner, block, other, count);
        break;
    case 4:
        (void)xn_initialise(fixture_xn, owner, block, fixture_empty, NULL);
        break;
    case 5: {
        const struct xn_write write = {4 * entries, 4, &count};
        (void)xn_write_data(fixture_xn, owner, block, &write, NULL);
        break;
    }
    default:
        (void)xn_flush(fixture_xn, owner, block, NULL);
        break;
    }
}

Test(xn, no_calls_and_no_power_failure_make_the_disk_inconsistent) {
    random_seed(31);
    struct random_stream *random = random_stream_create("test.xn");
    fixture_tree(1, 0, 1);
    fixture_tree(2, 2, 3);
    for (uint32_t block = 4; block-- > 0;) {
        cr_assert_eq(xn_flush(fixture_xn, 1 + block / 2, block, NULL), OK);
    }
    for (uint32_t i = 0; i < 200000; i++) {
        random_call(random);
        if (i % 16 == 0) {
            check_disk();
        }
        if (random_below(random, 2000) == 0) {
            cr_assert_eq(xn_crash_and_recover(fixture_xn, NULL), OK);
            check_disk();
        }
    }
    const struct xn_counters *counters = xn_counters(fixture_xn);
    cr_assert_gt(counters->changes, 1000);
    cr_assert_gt(counters->lies, 1000);
    cr_assert_gt(counters->deferred, 100);
    cr_assert_gt(counters->tainted, 100);
    cr_assert_gt(counters->stolen, 1000);
    random_stream_free(random);
}
