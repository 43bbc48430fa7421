/* block_store.c: two sparse layers of pages over nothing (or over another store).
 *
 * A layer is a tree of 64 children a node, by page number, with a bit for each child
 * that is there: a drive of any size begins with an empty root, and the pages that
 * exist are found in order. A page is 4 KiB (or one block, if that is larger) with a
 * bit for each of its blocks that this layer has; what it has not shows through from
 * below. */
#include "hw/media/block_store.h"

#include <stdlib.h>
#include <string.h>

#include "sim/error.h"

enum { PAGE_BYTES = 4096, BLOCK_BYTES_MIN = 512, FAN_BITS = 6, FAN = 1 << FAN_BITS, FAN_MASK = FAN - 1 };

struct page {
    uint8_t present; /* a bit a block */
    unsigned char bytes[];
};

struct node {
    uint64_t present; /* a bit a child */
    void *children[FAN];
};

struct layer {
    struct node *root;
    uint64_t blocks; /* that it has */
};

struct block_store {
    uint32_t block_bytes, page_bytes, page_blocks;
    uint64_t blocks;
    unsigned height; /* levels of nodes */
    struct layer durable, cached;
    const struct block_store *below; /* whose durable layer shows through; NULL for none */
    uint64_t resident_bytes;
};

/* ---- memory ---- */

static void *take(struct block_store *store, size_t bytes) {
    void *taken = calloc(1, bytes);
    SIM_ASSERT_MSG(taken != NULL, "out of memory");
    store->resident_bytes += bytes;
    return taken;
}

static void give(struct block_store *store, void *given, size_t bytes) {
    store->resident_bytes -= bytes;
    free(given);
}

static size_t page_size(const struct block_store *store) {
    return sizeof(struct page) + store->page_bytes;
}

/* ---- the tree ---- */

static unsigned child_at(uint64_t page, unsigned level) {
    return (unsigned)(page >> (FAN_BITS * level)) & FAN_MASK;
}

static struct page *find_page(const struct block_store *store, const struct layer *layer, uint64_t number) {
    const struct node *node = layer->root;
    for (unsigned level = store->height; node != NULL && level-- > 1;) {
        node = node->children[child_at(number, level)];
    }
    return node != NULL ? node->children[child_at(number, 0)] : NULL;
}

static struct page *make_page(struct block_store *store, struct layer *layer, uint64_t number) {
    struct node *node = layer->root;
    if (node == NULL) {
        node = layer->root = take(store, sizeof *node);
    }
    for (unsigned level = store->height - 1; level > 0; level--) {
        const unsigned child = child_at(number, level);
        if (node->children[child] == NULL) {
            node->children[child] = take(store, sizeof *node);
            node->present |= UINT64_C(1) << child;
        }
        node = node->children[child];
    }
    const unsigned child = child_at(number, 0);
    if (node->children[child] == NULL) {
        node->children[child] = take(store, page_size(store));
        node->present |= UINT64_C(1) << child;
    }
    return node->children[child];
}

/* Unhooks a page, with the nodes that are empty then. The page stays allocated. */
static struct page *unhook_page(struct block_store *store, struct layer *layer, uint64_t number) {
    struct node *path[FAN];
    struct node *node = layer->root;
    for (unsigned level = store->height - 1; level > 0; level--) {
        path[level] = node;
        node = node->children[child_at(number, level)];
    }
    path[0] = node;
    struct page *page = node->children[child_at(number, 0)];
    void *gone = page;
    for (unsigned level = 0; level < store->height; level++) {
        const unsigned child = child_at(number, level);
        if (gone != page) {
            give(store, gone, sizeof(struct node));
        }
        path[level]->children[child] = NULL;
        path[level]->present &= ~(UINT64_C(1) << child);
        if (path[level]->present != 0) {
            return page;
        }
        gone = path[level];
    }
    give(store, gone, sizeof(struct node));
    layer->root = NULL;
    return page;
}

/* The first page of a subtree whose number is not below `least`; NULL for none. */
static struct page *next_in(const struct node *node, unsigned level, uint64_t base, uint64_t least, uint64_t *number) {
    const unsigned shift = FAN_BITS * level;
    unsigned child = least > base ? (unsigned)((least - base) >> shift) : 0;
    for (; child < FAN; child++) {
        const uint64_t later = node->present >> child;
        if (later == 0) {
            return NULL;
        }
        child += (unsigned)__builtin_ctzll(later);
        const uint64_t at = base + ((uint64_t)child << shift);
        if (level == 0) {
            *number = at;
            return node->children[child];
        }
        struct page *page = next_in(node->children[child], level - 1, at, least, number);
        if (page != NULL) {
            return page;
        }
    }
    return NULL;
}

static struct page *next_page(const struct block_store *store, const struct layer *layer, uint64_t least,
                              uint64_t *number) {
    const bool none = layer->root == NULL || least > (store->blocks - 1) / store->page_blocks;
    return none ? NULL : next_in(layer->root, store->height - 1, 0, least, number);
}

static void free_node(struct node *node, unsigned level) {
    for (unsigned child = 0; node != NULL && child < FAN; child++) {
        if (level > 0) {
            free_node(node->children[child], level - 1);
        } else {
            free(node->children[child]);
        }
    }
    free(node);
}

/* ---- blocks of a page ---- */

/* Bits of blocks [first, first + count) of a page. */
static uint8_t bits_of(uint32_t first, uint32_t count) {
    return (uint8_t)(((1U << count) - 1) << first);
}

static unsigned count_bits(uint8_t bits) {
    return (unsigned)__builtin_popcount(bits);
}

/* The part of a run that lies in the page of its first block. */
static uint32_t run_in_page(const struct block_store *store, uint64_t block, uint64_t blocks, uint32_t *first) {
    *first = (uint32_t)(block % store->page_blocks);
    const uint32_t room = store->page_blocks - *first;
    return blocks < room ? (uint32_t)blocks : room;
}

static void remove_bits(struct block_store *store, struct layer *layer, uint64_t number, struct page *page,
                        uint8_t bits) {
    layer->blocks -= count_bits(page->present & bits);
    page->present &= (uint8_t)~bits;
    if (page->present == 0) {
        give(store, unhook_page(store, layer, number), page_size(store));
    }
}

/* Puts bytes of a whole page's layout in place, those that `bits` names. */
static void put_bits(struct block_store *store, struct layer *layer, uint64_t number, const unsigned char *bytes,
                     uint8_t bits) {
    struct page *page = make_page(store, layer, number);
    for (uint32_t i = 0; i < store->page_blocks; i++) {
        if ((bits >> i & 1) != 0) {
            const size_t at = (size_t)i * store->block_bytes;
            memcpy(page->bytes + at, bytes + at, store->block_bytes);
        }
    }
    layer->blocks += count_bits(bits & (uint8_t)~page->present);
    page->present |= bits;
}

static void check_range(const struct block_store *store, uint64_t block, uint64_t blocks) {
    SIM_ASSERT_MSG(block <= store->blocks && blocks <= store->blocks - block, "blocks %llu + %llu of %llu",
                   (unsigned long long)block, (unsigned long long)blocks, (unsigned long long)store->blocks);
}

/* ---- life ---- */

struct block_store *block_store_create(uint32_t block_bytes, uint64_t blocks) {
    SIM_ASSERT_MSG(block_bytes >= BLOCK_BYTES_MIN && (block_bytes & (block_bytes - 1)) == 0 && blocks > 0,
                   "a drive of %llu blocks of %u bytes", (unsigned long long)blocks, block_bytes);
    struct block_store *store = calloc(1, sizeof *store);
    SIM_ASSERT_MSG(store != NULL, "out of memory");
    store->block_bytes = block_bytes;
    store->page_bytes = block_bytes > PAGE_BYTES ? block_bytes : PAGE_BYTES;
    store->page_blocks = store->page_bytes / block_bytes;
    store->blocks = blocks;
    store->height = 1;
    for (uint64_t pages = (blocks - 1) / store->page_blocks; pages >= FAN; pages >>= FAN_BITS) {
        store->height++;
    }
    store->resident_bytes = sizeof *store;
    return store;
}

void block_store_free(struct block_store *store) {
    if (store != NULL) {
        free_node(store->durable.root, store->height - 1);
        free_node(store->cached.root, store->height - 1);
        free(store);
    }
}

uint32_t block_store_block_bytes(const struct block_store *store) {
    return store->block_bytes;
}

uint64_t block_store_blocks(const struct block_store *store) {
    return store->blocks;
}

uint64_t block_store_resident_bytes(const struct block_store *store) {
    return store->resident_bytes;
}

uint64_t block_store_volatile_blocks(const struct block_store *store) {
    return store->cached.blocks;
}

/* ---- contents ---- */

static void write_layer(struct block_store *store, struct layer *layer, uint64_t block, uint32_t blocks,
                        const unsigned char *from) {
    while (blocks > 0) {
        uint32_t first = 0;
        const uint32_t run = run_in_page(store, block, blocks, &first);
        const uint8_t bits = bits_of(first, run);
        struct page *page = make_page(store, layer, block / store->page_blocks);
        memcpy(page->bytes + (size_t)first * store->block_bytes, from, (size_t)run * store->block_bytes);
        layer->blocks += count_bits(bits & (uint8_t)~page->present);
        page->present |= bits;
        from += (size_t)run * store->block_bytes;
        block += run;
        blocks -= run;
    }
}

static void drop_blocks(struct block_store *store, struct layer *layer, uint64_t block, uint64_t end);

void block_store_write(struct block_store *store, uint64_t block, uint32_t blocks, const void *data, bool durable) {
    check_range(store, block, blocks);
    if (durable && store->cached.blocks > 0) {
        drop_blocks(store, &store->cached, block, block + blocks);
    }
    write_layer(store, durable ? &store->durable : &store->cached, block, blocks, data);
}

void block_store_write_below(struct block_store *store, uint64_t block, uint32_t blocks, const void *data) {
    check_range(store, block, blocks);
    write_layer(store, &store->durable, block, blocks, data);
}

/* Copies the blocks of `wanted` that a page has; returns those that it has not. */
static uint8_t read_page(const struct block_store *store, const struct page *page, uint32_t first, uint8_t wanted,
                         unsigned char *out) {
    const uint8_t there = page != NULL ? page->present & wanted : 0;
    if (there == 0) {
        return wanted;
    }
    if (there == wanted) { /* the common case: one run */
        memcpy(out, page->bytes + (size_t)first * store->block_bytes, (size_t)count_bits(wanted) * store->block_bytes);
        return 0;
    }
    for (uint32_t i = first; i < store->page_blocks; i++) {
        if ((there >> i & 1) != 0) {
            memcpy(out + (size_t)(i - first) * store->block_bytes, page->bytes + (size_t)i * store->block_bytes,
                   store->block_bytes);
        }
    }
    return wanted & (uint8_t)~there;
}

/* From the bottom up, so that each layer covers what lies below. */
static void read_run(const struct block_store *store, uint64_t number, uint32_t first, uint32_t run,
                     unsigned char *out) {
    const uint8_t wanted = bits_of(first, run);
    const struct page *cached = store->cached.blocks > 0 ? find_page(store, &store->cached, number) : NULL;
    const struct page *durable = find_page(store, &store->durable, number);
    if (cached != NULL && (cached->present & wanted) == wanted) {
        (void)read_page(store, cached, first, wanted, out);
        return;
    }
    if (durable == NULL || (durable->present & wanted) != wanted) {
        const struct page *below = store->below != NULL ? find_page(store, &store->below->durable, number) : NULL;
        if (below == NULL || (below->present & wanted) != wanted) {
            memset(out, 0, (size_t)run * store->block_bytes);
        }
        (void)read_page(store, below, first, wanted, out);
    }
    (void)read_page(store, durable, first, wanted, out);
    (void)read_page(store, cached, first, wanted, out);
}

void block_store_read(const struct block_store *store, uint64_t block, uint32_t blocks, void *out) {
    unsigned char *to = out;
    check_range(store, block, blocks);
    while (blocks > 0) {
        uint32_t first = 0;
        const uint32_t run = run_in_page(store, block, blocks, &first);
        read_run(store, block / store->page_blocks, first, run, to);
        to += (size_t)run * store->block_bytes;
        block += run;
        blocks -= run;
    }
}

/* Bits of a page that lie in [block, end). */
static uint8_t bits_within(const struct block_store *store, uint64_t number, uint64_t block, uint64_t end) {
    const uint64_t start = number * store->page_blocks;
    const uint64_t from = block > start ? block - start : 0;
    const uint64_t to = end - start < store->page_blocks ? end - start : store->page_blocks;
    return bits_of((uint32_t)from, (uint32_t)(to - from));
}

static void drop_blocks(struct block_store *store, struct layer *layer, uint64_t block, uint64_t end) {
    uint64_t number = 0;
    uint64_t least = block / store->page_blocks;
    struct page *page = NULL;
    while ((page = next_page(store, layer, least, &number)) != NULL && number * store->page_blocks < end) {
        remove_bits(store, layer, number, page, bits_within(store, number, block, end));
        least = number + 1;
    }
}

void block_store_deallocate(struct block_store *store, uint64_t block, uint64_t blocks) {
    const uint64_t end = block + blocks;
    check_range(store, block, blocks);
    if (blocks == 0) {
        return;
    }
    drop_blocks(store, &store->cached, block, end);
    drop_blocks(store, &store->durable, block, end);
    if (store->below == NULL) {
        return;
    }
    unsigned char *zeroes = calloc(1, store->page_bytes); /* cover what would show through */
    SIM_ASSERT_MSG(zeroes != NULL, "out of memory");
    uint64_t number = 0;
    for (uint64_t least = block / store->page_blocks;
         next_page(store, &store->below->durable, least, &number) != NULL && number * store->page_blocks < end;
         least = number + 1) {
        put_bits(store, &store->durable, number, zeroes, bits_within(store, number, block, end));
    }
    free(zeroes);
}

/* ---- the volatile layer ---- */

/* Moves blocks of a page of the cache down. */
static void move_down(struct block_store *store, uint64_t number, struct page *page, uint8_t bits) {
    const uint8_t moved = page->present & bits;
    if (moved != 0) {
        put_bits(store, &store->durable, number, page->bytes, moved);
        remove_bits(store, &store->cached, number, page, moved);
    }
}

void block_store_flush_blocks(struct block_store *store, uint64_t block, uint64_t blocks) {
    const uint64_t end = block + blocks;
    check_range(store, block, blocks);
    uint64_t number = 0;
    uint64_t least = block / store->page_blocks;
    struct page *page = NULL;
    while (blocks > 0 && (page = next_page(store, &store->cached, least, &number)) != NULL &&
           number * store->page_blocks < end) {
        move_down(store, number, page, bits_within(store, number, block, end));
        least = number + 1;
    }
}

void block_store_flush(struct block_store *store) {
    block_store_flush_blocks(store, 0, store->blocks);
}

bool block_store_next_volatile(const struct block_store *store, uint64_t block, uint64_t *found) {
    uint64_t number = block / store->page_blocks;
    uint32_t first = (uint32_t)(block % store->page_blocks);
    uint64_t least = number;
    const struct page *page = NULL;
    while ((page = next_page(store, &store->cached, least, &number)) != NULL) {
        const unsigned from = number * store->page_blocks >= block ? 0 : first;
        const unsigned bits = (unsigned)page->present >> from << from;
        if (bits != 0) {
            *found = number * store->page_blocks + (unsigned)__builtin_ctz(bits);
            return true;
        }
        least = number + 1;
    }
    return false;
}

/* ---- the power is cut ---- */

void block_store_power_cut(struct block_store *store, struct random_stream *random, double kept) {
    uint64_t block = 0;
    while (block_store_next_volatile(store, block, &block)) {
        const uint64_t number = block / store->page_blocks;
        struct page *page = find_page(store, &store->cached, number);
        const uint8_t bit = bits_of((uint32_t)(block % store->page_blocks), 1);
        if (random_uniform(random) < kept) {
            move_down(store, number, page, bit);
        } else {
            remove_bits(store, &store->cached, number, page, bit);
        }
        block++;
    }
}

struct block_store *block_store_after_power_cut(const struct block_store *store, struct random_stream *random,
                                                double kept) {
    SIM_ASSERT_MSG(store->below == NULL, "what a power cut left is not cut again this way");
    struct block_store *left = block_store_create(store->block_bytes, store->blocks);
    left->below = store;
    uint64_t block = 0;
    while (block_store_next_volatile(store, block, &block)) {
        if (random_uniform(random) < kept) {
            const uint64_t number = block / store->page_blocks;
            const struct page *page = find_page(store, &store->cached, number);
            SIM_ASSERT(page != NULL);
            put_bits(left, &left->durable, number, page->bytes, bits_of((uint32_t)(block % store->page_blocks), 1));
        }
        block++;
    }
    return left;
}
