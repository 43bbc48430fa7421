/* fs_image.c: reading a device after a crash. */
#include "stack/fs/fs_image.h"

#include <stdlib.h>
#include <string.h>

#include "stack/fs/fs.h"

struct replayed {
    uint64_t block;
    uint8_t bytes[FS_BLOCK_BYTES];
};

struct fs_image {
    fs_read_block *read;
    void *context;
    struct fs_superblock super;
    struct replayed **blocks; /* by block number */
    size_t count, capacity;
    uint64_t next_sequence;
    uint64_t roots[FS_TREES];
};

/* ---- the journal ---- */

static size_t place_of(const struct fs_image *image, uint64_t block) {
    size_t low = 0, high = image->count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (image->blocks[middle]->block < block) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void keep(struct fs_image *image, uint64_t block, const uint8_t *bytes) {
    const size_t at = place_of(image, block);
    if (at == image->count || image->blocks[at]->block != block) {
        if (image->count == image->capacity) {
            image->capacity = image->capacity * 2 + 16;
            image->blocks = realloc(image->blocks, image->capacity * sizeof(struct replayed *));
            SIM_ASSERT_MSG(image->blocks != NULL, "out of memory");
        }
        memmove(image->blocks + at + 1, image->blocks + at, (image->count - at) * sizeof(struct replayed *));
        image->blocks[at] = malloc(sizeof(struct replayed));
        SIM_ASSERT_MSG(image->blocks[at] != NULL, "out of memory");
        image->blocks[at]->block = block;
        image->count += 1;
    }
    memcpy(image->blocks[at]->bytes, bytes, FS_BLOCK_BYTES);
}

static bool read_ring(const struct fs_image *image, uint64_t place, void *out) {
    return image->read(image->context, image->super.journal_block + place, out);
}

static uint64_t next_place(const struct fs_image *image, uint64_t place) {
    return place + 1 == image->super.journal_blocks ? 1 : place + 1;
}

static bool is_record(const uint8_t *bytes, uint32_t type, uint64_t sequence) {
    struct fs_journal_header header;
    memcpy(&header, bytes, sizeof header);
    return header.magic == FS_JOURNAL_MAGIC && header.type == type && header.sequence == sequence;
}

/* The transaction at `place`: true if it is whole; then `place` is behind it. With
 * `apply` its blocks are kept. */
static bool scan_transaction(struct fs_image *image, uint64_t *place, uint64_t sequence, bool apply) {
    _Alignas(8) uint8_t bytes[FS_BLOCK_BYTES];
    uint8_t copy[FS_BLOCK_BYTES];
    uint64_t at = *place, length = 0;
    uint32_t checksum = 0;
    bool last = false;
    while (!last) {
        const struct fs_journal_descriptor *descriptor = (const void *)bytes;
        if (!read_ring(image, at, bytes) || !is_record(bytes, FS_JOURNAL_DESCRIPTOR, sequence) ||
            descriptor->count > FS_JOURNAL_TAGS || length > image->super.journal_blocks) {
            return false;
        }
        checksum = fs_crc32c(checksum, bytes, sizeof bytes);
        last = descriptor->last != 0;
        at = next_place(image, at);
        for (uint64_t i = 0; i < descriptor->count; ++i, at = next_place(image, at), ++length) {
            if (!read_ring(image, at, copy)) {
                return false;
            }
            checksum = image->super.journal_checksums ? fs_crc32c(checksum, copy, sizeof copy) : checksum;
            if (apply) {
                keep(image, descriptor->blocks[i], copy);
            }
        }
    }
    struct fs_journal_commit commit;
    if (!read_ring(image, at, bytes) || !is_record(bytes, FS_JOURNAL_COMMIT, sequence)) {
        return false;
    }
    memcpy(&commit, bytes, sizeof commit);
    *place = next_place(image, at);
    return commit.checked == 0 || commit.checksum == checksum;
}

static bool read_journal(struct fs_image *image) {
    uint8_t bytes[FS_BLOCK_BYTES];
    struct fs_journal_superblock super;
    if (image->super.journal_blocks == 0) {
        return true;
    }
    if (!read_ring(image, 0, bytes)) {
        return false;
    }
    memcpy(&super, bytes, sizeof super);
    if (super.header.magic != FS_JOURNAL_MAGIC || super.header.type != FS_JOURNAL_SUPERBLOCK || super.start == 0 ||
        super.start >= image->super.journal_blocks) {
        return false;
    }
    uint64_t place = super.start, sequence = super.header.sequence;
    for (uint64_t end = place; scan_transaction(image, &end, sequence, false); ++sequence) {
        (void)scan_transaction(image, &place, sequence, true);
    }
    image->next_sequence = sequence;
    return true;
}

/* ---- trees ---- */

int fs_key_compare(const struct fs_key *a, const struct fs_key *b) {
    if (a->object != b->object) {
        return a->object < b->object ? -1 : 1;
    }
    if (a->type != b->type) {
        return a->type < b->type ? -1 : 1;
    }
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

bool fs_node_valid(const struct fs_node *node, uint64_t block) {
    const struct fs_node_header *header = &node->header;
    return header->magic == FS_NODE_MAGIC && header->block == block &&
           header->count <= (header->level == 0 ? FS_NODE_ITEMS : FS_NODE_BRANCHES) &&
           header->checksum ==
               fs_crc32c(0, (const uint8_t *)node + sizeof header->checksum, FS_BLOCK_BYTES - sizeof header->checksum);
}

int fs_node_search(const struct fs_node *node, const struct fs_key *key) {
    int low = 0, high = (int)node->header.count;
    while (low < high) {
        const int middle = (low + high) / 2;
        const struct fs_key *at = node->header.level == 0 ? &node->u.items[middle].key : &node->u.branches[middle].key;
        if (fs_key_compare(at, key) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low - 1;
}

/* The last item not above `key`, below this node. */
static bool last_at_most(const struct fs_image *image, uint64_t block, const struct fs_key *key,
                         struct fs_node_item *item) {
    struct fs_node node;
    if (!image->read(image->context, block, &node) || !fs_node_valid(&node, block)) {
        return false;
    }
    int at = fs_node_search(&node, key);
    if (node.header.level == 0) {
        if (at >= 0) {
            *item = node.u.items[at];
        }
        return at >= 0;
    }
    for (; at >= 0; --at) { /* leaves may have become empty */
        if (last_at_most(image, node.u.branches[at].block, key, item)) {
            return true;
        }
    }
    return false;
}

bool fs_image_item(const struct fs_image *image, enum fs_tree_id tree, const struct fs_key *key, bool at_most,
                   struct fs_node_item *item) {
    return image->roots[tree] != 0 && last_at_most(image, image->roots[tree], key, item) &&
           (at_most || fs_key_compare(&item->key, key) == 0);
}

uint64_t fs_image_root(const struct fs_image *image, enum fs_tree_id tree) {
    return image->roots[tree];
}

static void find_roots(struct fs_image *image) {
    image->roots[FS_TREE_ROOTS] = image->super.root_block;
    image->roots[FS_TREE_LOG_ROOTS] =
        image->super.log_generation == image->super.generation + 1 ? image->super.log_block : 0;
    for (unsigned tree = 0; tree < FS_TREES; ++tree) {
        struct fs_node_item item;
        const struct fs_key key = {tree, FS_ITEM_ROOT, 0};
        const bool log = tree == FS_TREE_LOG;
        if ((tree < FS_TREE_ROOTS || log) &&
            fs_image_item(image, log ? FS_TREE_LOG_ROOTS : FS_TREE_ROOTS, &key, false, &item)) {
            image->roots[tree] = item.value.words[0];
        }
    }
}

/* ---- opening ---- */

struct fs_image *fs_image_open(fs_read_block *read, void *context, struct error *error) {
    static const uint64_t places[] = {0, FS_COW_SUPERBLOCK, FS_COW_SUPERBLOCK_COPY};
    uint8_t bytes[FS_BLOCK_BYTES];
    struct fs_image *image = calloc(1, sizeof *image);
    SIM_ASSERT_MSG(image != NULL, "out of memory");
    image->read = read;
    image->context = context;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; ++i) {
        struct fs_superblock super;
        if (!read(context, places[i], bytes)) {
            continue;
        }
        memcpy(&super, bytes, sizeof super);
        const uint32_t checksum = super.checksum;
        super.checksum = 0;
        if (super.magic != FS_MAGIC || fs_crc32c(0, &super, sizeof super) != checksum ||
            (super.kind == FS_BTRFS) != (places[i] != 0)) {
            continue;
        }
        super.checksum = checksum;
        if (image->super.magic == 0 || super.generation > image->super.generation) {
            image->super = super;
        }
    }
    if (image->super.magic == 0 || !read_journal(image)) {
        (void)error_set(error, ERR_NOT_FOUND, image->super.magic == 0 ? "no superblock" : "the journal cannot be read");
        fs_image_free(image);
        return NULL;
    }
    if (image->super.kind == FS_BTRFS) {
        find_roots(image);
    }
    return image;
}

void fs_image_free(struct fs_image *image) {
    if (image == NULL) {
        return;
    }
    for (size_t i = 0; i < image->count; ++i) {
        free(image->blocks[i]);
    }
    free(image->blocks);
    free(image);
}

const struct fs_superblock *fs_image_superblock(const struct fs_image *image) {
    return &image->super;
}

bool fs_image_read(const struct fs_image *image, uint64_t block, void *out) {
    const size_t at = place_of(image, block);
    if (at < image->count && image->blocks[at]->block == block) {
        memcpy(out, image->blocks[at]->bytes, FS_BLOCK_BYTES);
        return true;
    }
    return image->read(image->context, block, out);
}

size_t fs_image_replayed(const struct fs_image *image) {
    return image->count;
}

const uint8_t *fs_image_replayed_block(const struct fs_image *image, size_t index, uint64_t *block) {
    *block = image->blocks[index]->block;
    return image->blocks[index]->bytes;
}

uint64_t fs_image_next_sequence(const struct fs_image *image) {
    return image->next_sequence;
}
