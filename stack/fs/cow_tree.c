/* cow_tree.c: B-trees that are copied on write: a node that the device has is never
 * changed; its changed copy gets a new block, and so does every node above it. Full
 * nodes are split on the way down. */
#include <string.h>

#include "stack/fs/fs_internal.h"

struct fs_node *cow_node(struct fs *fs, const struct fs_buffer *buffer) {
    return fs_buffer_bytes(fs, buffer);
}

static struct fs_buffer *get(struct fs *fs, const struct fs_call *call, uint64_t block) {
    struct fs_buffer *buffer = fs_buffer_find(fs, block);
    if (buffer == NULL) {
        buffer = fs_buffer_get(fs, call, block, BLOCK_FOR_tree_node);
        if (buffer != NULL) {
            buffer->written = true;
        }
        if (buffer != NULL && !fs_node_valid(cow_node(fs, buffer), block)) {
            fs->counters.checksum_errors += 1;
            fs_buffer_drop(fs, buffer);
            return NULL;
        }
    }
    return buffer;
}

static struct fs_buffer *new_node(struct fs *fs, enum fs_tree_id tree, uint32_t level) {
    const uint64_t block = cow_new_metadata(fs);
    if (block == 0) {
        return NULL;
    }
    const bool log = tree == FS_TREE_LOG || tree == FS_TREE_LOG_ROOTS;
    struct fs_buffer *buffer = fs_buffer_new(fs, block, log ? BLOCK_FOR_log_node : BLOCK_FOR_tree_node);
    cow_node(fs, buffer)->header =
        (struct fs_node_header){.magic = FS_NODE_MAGIC, .block = block, .generation = fs->running, .level = level};
    buffer->tree = (uint8_t)tree;
    buffer->written = false;
    fs_buffer_changed(fs, buffer);
    return buffer;
}

/* The node itself if the device does not have it, or its copy. */
static struct fs_buffer *writable(struct fs *fs, struct fs_buffer *buffer, enum fs_tree_id tree) {
    if (buffer == NULL || !buffer->written) {
        return buffer;
    }
    struct fs_buffer *copy = new_node(fs, tree, 0);
    if (copy == NULL) {
        return NULL;
    }
    struct fs_node *node = cow_node(fs, copy);
    const struct fs_node_header header = node->header;
    memcpy(node, cow_node(fs, buffer), FS_BLOCK_BYTES);
    node->header.block = header.block;
    node->header.generation = header.generation;
    cow_release(fs, buffer->block, 1);
    fs_buffer_drop(fs, buffer);
    return copy;
}

static bool is_full(const struct fs_node *node) {
    return node->header.count == (node->header.level == 0 ? (uint32_t)FS_NODE_ITEMS : (uint32_t)FS_NODE_BRANCHES);
}

static void insert_branch(struct fs_node *node, uint32_t at, struct fs_key key, uint64_t block, uint64_t generation) {
    struct fs_node_branch *slot = &node->u.branches[at];
    memmove(slot + 1, slot, (node->header.count - at) * sizeof *slot);
    *slot = (struct fs_node_branch){key, block, generation};
    node->header.count += 1;
}

/* The upper half of child `at` goes to a new node behind it. Items that are appended
 * leave a full node behind, not two halves. */
static bool split_child(struct fs *fs, struct fs_node *parent, uint32_t at, struct fs_node *child, enum fs_tree_id tree,
                        const struct fs_key *key) {
    struct fs_buffer *buffer = new_node(fs, tree, child->header.level);
    if (buffer == NULL) {
        return false;
    }
    struct fs_node *right = cow_node(fs, buffer);
    const uint32_t count = child->header.count;
    if (child->header.level == 0) {
        const bool appends = fs_key_compare(&child->u.items[count - 1].key, key) < 0;
        const uint32_t kept = appends ? count - 1 : count / 2;
        memcpy(right->u.items, child->u.items + kept, (count - kept) * sizeof right->u.items[0]);
        right->header.count = count - kept;
        child->header.count = kept;
        insert_branch(parent, at + 1, right->u.items[0].key, buffer->block, fs->running);
    } else {
        const uint32_t kept = count / 2;
        memcpy(right->u.branches, child->u.branches + kept, (count - kept) * sizeof right->u.branches[0]);
        right->header.count = count - kept;
        child->header.count = kept;
        insert_branch(parent, at + 1, right->u.branches[0].key, buffer->block, fs->running);
    }
    return true;
}

static void insert_item(struct fs_node *leaf, const struct fs_key *key, const union fs_value *value) {
    const int at = fs_node_search(leaf, key);
    if (at >= 0 && fs_key_compare(&leaf->u.items[at].key, key) == 0) {
        leaf->u.items[at].value = *value;
        return;
    }
    struct fs_node_item *slot = &leaf->u.items[at + 1];
    memmove(slot + 1, slot, (leaf->header.count - (uint32_t)(at + 1)) * sizeof *slot);
    *slot = (struct fs_node_item){*key, *value};
    leaf->header.count += 1;
}

/* The root, writable and with room. */
static struct fs_buffer *writable_root(struct fs *fs, const struct fs_call *call, enum fs_tree_id tree,
                                       const struct fs_key *key) {
    struct fs_tree *own = &fs->trees[tree];
    struct fs_buffer *root = own->root == 0 ? new_node(fs, tree, 0) : writable(fs, get(fs, call, own->root), tree);
    if (root == NULL) {
        return NULL;
    }
    own->root = root->block;
    struct fs_node *node = cow_node(fs, root);
    if (!is_full(node)) {
        return root;
    }
    struct fs_buffer *above = new_node(fs, tree, node->header.level + 1);
    if (above == NULL) {
        return NULL;
    }
    const struct fs_key lowest = node->header.level == 0 ? node->u.items[0].key : node->u.branches[0].key;
    insert_branch(cow_node(fs, above), 0, lowest, root->block, fs->running);
    own->root = above->block;
    return split_child(fs, cow_node(fs, above), 0, node, tree, key) ? above : NULL;
}

/* The leaf for a key, with every node on the way writable and, for an insertion, with
 * room; NULL: no room on the device, or a node that cannot be read. */
static struct fs_node *leaf_for(struct fs *fs, const struct fs_call *call, enum fs_tree_id tree,
                                const struct fs_key *key) {
    struct fs_buffer *buffer = writable_root(fs, call, tree, key);
    while (buffer != NULL && cow_node(fs, buffer)->header.level > 0) {
        struct fs_node *node = cow_node(fs, buffer);
        int at = fs_node_search(node, key);
        if (at < 0) {
            at = 0;
            node->u.branches[0].key = *key;
        }
        struct fs_buffer *child = writable(fs, get(fs, call, node->u.branches[at].block), tree);
        if (child == NULL) {
            return NULL;
        }
        node->u.branches[at].block = child->block;
        node->u.branches[at].generation = fs->running;
        if (is_full(cow_node(fs, child))) {
            if (!split_child(fs, node, (uint32_t)at, cow_node(fs, child), tree, key)) {
                return NULL;
            }
            const struct fs_node_branch *right = &node->u.branches[at + 1];
            child = fs_key_compare(&right->key, key) <= 0 ? fs_buffer_find(fs, right->block) : child;
        }
        buffer = child;
    }
    return buffer != NULL ? cow_node(fs, buffer) : NULL;
}

enum error_code cow_put(struct fs *fs, const struct fs_call *call, enum fs_tree_id tree, struct fs_key key,
                        const union fs_value *value) {
    fs_charge(fs, call, &fs->costs->tree_update, 1);
    struct fs_node *leaf = leaf_for(fs, call, tree, &key);
    if (leaf == NULL) {
        return ERR_EXHAUSTED;
    }
    insert_item(leaf, &key, value);
    return OK;
}

enum error_code cow_delete(struct fs *fs, const struct fs_call *call, enum fs_tree_id tree, struct fs_key key) {
    fs_charge(fs, call, &fs->costs->tree_update, 1);
    struct fs_node *leaf = leaf_for(fs, call, tree, &key);
    if (leaf == NULL) {
        return ERR_EXHAUSTED;
    }
    const int at = fs_node_search(leaf, &key);
    if (at >= 0 && fs_key_compare(&leaf->u.items[at].key, &key) == 0) {
        struct fs_node_item *slot = &leaf->u.items[at];
        leaf->header.count -= 1;
        memmove(slot, slot + 1, (leaf->header.count - (uint32_t)at) * sizeof *slot);
    }
    return OK;
}

/* ---- looking up; leaves may be empty ---- */

static bool last_at_most(struct fs *fs, const struct fs_call *call, uint64_t block, const struct fs_key *key,
                         struct fs_node_item *item) {
    const struct fs_buffer *buffer = get(fs, call, block);
    if (buffer == NULL) {
        return false;
    }
    const struct fs_node *node = cow_node(fs, buffer);
    int at = fs_node_search(node, key);
    if (node->header.level == 0) {
        if (at >= 0) {
            *item = node->u.items[at];
        }
        return at >= 0;
    }
    for (; at >= 0; --at) {
        if (last_at_most(fs, call, node->u.branches[at].block, key, item)) {
            return true;
        }
    }
    return false;
}

static bool first_above(struct fs *fs, const struct fs_call *call, uint64_t block, const struct fs_key *key,
                        struct fs_node_item *item) {
    const struct fs_buffer *buffer = get(fs, call, block);
    if (buffer == NULL) {
        return false;
    }
    const struct fs_node *node = cow_node(fs, buffer);
    int at = fs_node_search(node, key);
    if (node->header.level == 0) {
        const bool found = at + 1 < (int)node->header.count;
        if (found) {
            *item = node->u.items[at + 1];
        }
        return found;
    }
    for (at = at > 0 ? at : 0; at < (int)node->header.count; ++at) {
        if (first_above(fs, call, node->u.branches[at].block, key, item)) {
            return true;
        }
    }
    return false;
}

bool cow_find_at_most(struct fs *fs, const struct fs_call *call, enum fs_tree_id tree, struct fs_key key,
                      struct fs_node_item *item) {
    return fs->trees[tree].root != 0 && last_at_most(fs, call, fs->trees[tree].root, &key, item);
}

bool cow_find(struct fs *fs, const struct fs_call *call, enum fs_tree_id tree, struct fs_key key,
              struct fs_node_item *item) {
    return cow_find_at_most(fs, call, tree, key, item) && fs_key_compare(&item->key, &key) == 0;
}

bool cow_find_above(struct fs *fs, const struct fs_call *call, enum fs_tree_id tree, struct fs_key key,
                    struct fs_node_item *item) {
    return fs->trees[tree].root != 0 && first_above(fs, call, fs->trees[tree].root, &key, item);
}

enum error_code cow_visit_nodes(struct fs *fs, const struct fs_call *call, uint64_t block,
                                void (*visit)(struct fs *fs, uint64_t block)) {
    const struct fs_buffer *buffer = get(fs, call, block);
    enum error_code code = buffer != NULL ? OK : ERR_IO;
    visit(fs, block);
    if (code == OK && cow_node(fs, buffer)->header.level > 0) {
        const struct fs_node node = *cow_node(fs, buffer);
        for (uint32_t i = 0; i < node.header.count && code == OK; ++i) {
            code = cow_visit_nodes(fs, call, node.u.branches[i].block, visit);
        }
    }
    return code;
}
