/* The contents of a drive: sparse, in two layers, and what a power cut leaves. */
#include <criterion/criterion.h>
#include <string.h>

#include "hw/media/block_store.h"

enum { BLOCKS = 4096, BLOCK_BYTES = 512 };

static void fill(unsigned char *bytes, size_t count, unsigned char value) {
    memset(bytes, value, count);
}

static int byte_of(const struct block_store *store, uint64_t block) {
    unsigned char bytes[BLOCK_BYTES];
    block_store_read(store, block, 1, bytes);
    for (size_t i = 1; i < sizeof bytes; i++) {
        cr_assert_eq(bytes[i], bytes[0], "block %llu is not of one piece", (unsigned long long)block);
    }
    return bytes[0];
}

static void put(struct block_store *store, uint64_t block, unsigned char value, bool durable) {
    unsigned char bytes[BLOCK_BYTES];
    fill(bytes, sizeof bytes, value);
    block_store_write(store, block, 1, bytes, durable);
}

Test(block_store, a_fresh_terabyte_takes_nearly_nothing) {
    struct block_store *store = block_store_create(BLOCK_BYTES, UINT64_C(1) << 31);
    cr_assert_lt(block_store_resident_bytes(store), 4096);
    cr_assert_eq(byte_of(store, (UINT64_C(1) << 31) - 1), 0);
    put(store, (UINT64_C(1) << 31) - 1, 7, true);
    cr_assert_eq(byte_of(store, (UINT64_C(1) << 31) - 1), 7);
    cr_assert_lt(block_store_resident_bytes(store), 16384);
    block_store_deallocate(store, 0, UINT64_C(1) << 31);
    cr_assert_lt(block_store_resident_bytes(store), 4096, "what was deallocated takes nothing");
    block_store_free(store);
}

Test(block_store, runs_cross_pages) {
    static unsigned char in[BLOCK_BYTES * 100], out[sizeof in];
    struct block_store *store = block_store_create(BLOCK_BYTES, BLOCKS);
    for (size_t i = 0; i < sizeof in; i++) {
        in[i] = (unsigned char)(i * 31 + i / BLOCK_BYTES);
    }
    block_store_write(store, 13, 100, in, false);
    block_store_read(store, 13, 100, out);
    cr_assert_arr_eq(in, out, sizeof in);
    block_store_flush(store);
    memset(out, 0, sizeof out);
    block_store_read(store, 13, 100, out);
    cr_assert_arr_eq(in, out, sizeof in);
    cr_assert_eq(block_store_volatile_blocks(store), 0);
    block_store_free(store);
}

Test(block_store, the_cache_covers_the_medium) {
    struct block_store *store = block_store_create(BLOCK_BYTES, BLOCKS);
    uint64_t found = 0;
    put(store, 9, 1, true);
    put(store, 9, 2, false);
    put(store, 700, 3, false);
    cr_assert_eq(byte_of(store, 9), 2);
    cr_assert_eq(byte_of(store, 8), 0);
    cr_assert_eq(block_store_volatile_blocks(store), 2);
    cr_assert(block_store_next_volatile(store, 0, &found) && found == 9);
    cr_assert(block_store_next_volatile(store, 10, &found) && found == 700);
    cr_assert_not(block_store_next_volatile(store, 701, &found));
    put(store, 9, 4, true); /* written through: the cache has no other version */
    cr_assert_eq(byte_of(store, 9), 4);
    cr_assert_eq(block_store_volatile_blocks(store), 1);
    block_store_flush_blocks(store, 700, 1);
    cr_assert_eq(block_store_volatile_blocks(store), 0);
    block_store_free(store);
}

Test(block_store, a_power_cut_loses_only_the_cache) {
    random_seed(3);
    struct random_stream *random = random_stream_create("cut");
    struct block_store *store = block_store_create(BLOCK_BYTES, BLOCKS);
    for (uint64_t block = 0; block < 2000; block++) {
        put(store, block, 1, true);
        put(store, block, 2, block % 2 == 0 ? false : true);
    }
    struct block_store *left = block_store_after_power_cut(store, random, 0.3);
    uint64_t kept = 0;
    for (uint64_t block = 0; block < 2000; block++) {
        const int byte = byte_of(left, block);
        cr_assert(byte == 2 || (byte == 1 && block % 2 == 0));
        kept += byte == 2 && block % 2 == 0 ? 1 : 0;
        cr_assert_eq(byte_of(store, block), 2, "the store goes on");
    }
    cr_assert(kept > 240 && kept < 360, "%llu of 1000", (unsigned long long)kept);
    cr_assert_lt(block_store_resident_bytes(left), block_store_resident_bytes(store));
    block_store_deallocate(left, 0, 3);
    cr_assert_eq(byte_of(left, 1), 0, "nothing shows through");
    block_store_power_cut(store, random, 0.0);
    cr_assert_eq(byte_of(store, 4), 1);
    cr_assert_eq(byte_of(store, 5), 2);
    cr_assert_eq(block_store_volatile_blocks(store), 0);
    block_store_free(left);
    block_store_free(store);
    random_stream_free(random);
}

/* Against a plain array of two versions. */
Test(block_store, behaves_as_two_arrays_do) {
    enum { SMALL = 300, STEPS = 20000 };
    static unsigned char durable[SMALL], cached[SMALL];
    static bool dirty[SMALL];
    random_seed(11);
    struct random_stream *random = random_stream_create("steps");
    struct block_store *store = block_store_create(4096 / 4, SMALL);
    static unsigned char bytes[1024 * 16];
    for (int step = 0; step < STEPS; step++) {
        const uint64_t block = random_below(random, SMALL);
        const uint64_t most = SMALL - block < 16 ? SMALL - block : 16;
        const uint32_t blocks = (uint32_t)(1 + random_below(random, most));
        const uint64_t what = random_below(random, 8);
        if (what < 4) {
            fill(bytes, sizeof bytes, (unsigned char)step);
            block_store_write(store, block, blocks, bytes, what == 0);
        } else if (what == 4) {
            block_store_flush_blocks(store, block, blocks);
        } else if (what == 5 && step % 7 == 0) {
            block_store_deallocate(store, block, blocks);
        }
        for (uint64_t i = block; i < block + blocks; i++) {
            if (what == 0) {
                durable[i] = (unsigned char)step, dirty[i] = false;
            } else if (what < 4) {
                cached[i] = (unsigned char)step, dirty[i] = true;
            } else if (what == 4 && dirty[i]) {
                durable[i] = cached[i], dirty[i] = false;
            } else if (what == 5 && step % 7 == 0) {
                durable[i] = 0, dirty[i] = false;
            }
        }
        block_store_read(store, block, blocks, bytes);
        for (uint64_t i = block; i < block + blocks; i++) {
            cr_assert_eq(bytes[(i - block) * 1024 + 1023], dirty[i] ? cached[i] : durable[i], "step %d", step);
        }
    }
    uint64_t count = 0;
    for (size_t i = 0; i < SMALL; i++) {
        count += dirty[i] ? 1 : 0;
    }
    cr_assert_eq(block_store_volatile_blocks(store), count);
    block_store_free(store);
    random_stream_free(random);
}
