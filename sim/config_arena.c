/* config_arena.c: one arena a configuration owns its nodes and strings; they go with
 * it, all at once. */
#include "sim/config_internal.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 16384 };

struct config_block {
    struct config_block *next;
    size_t used, size;
    alignas(max_align_t) unsigned char bytes[];
};

struct config *config_new(void) {
    struct config *config = calloc(1, sizeof *config);
    SIM_ASSERT_MSG(config != NULL, "out of memory");
    return config;
}

void config_free(struct config *config) {
    if (config == NULL) {
        return;
    }
    for (struct config_block *block = config->blocks; block != NULL;) {
        struct config_block *next = block->next;
        free(block);
        block = next;
    }
    free(config);
}

void *config_allocate(struct config *config, size_t bytes) {
    const size_t align = alignof(max_align_t);
    const size_t rounded = (bytes + align - 1) / align * align;
    struct config_block *block = config->blocks;
    if (block == NULL || block->size - block->used < rounded) {
        const size_t size = rounded > BLOCK_BYTES ? rounded : BLOCK_BYTES;
        block = calloc(1, sizeof *block + size);
        SIM_ASSERT_MSG(block != NULL, "out of memory");
        block->size = size;
        block->next = config->blocks;
        config->blocks = block;
    }
    void *result = block->bytes + block->used;
    block->used += rounded;
    return result;
}

char *config_copy_text(struct config *config, const char *text, size_t length) {
    char *copy = config_allocate(config, length + 1);
    memcpy(copy, text, length);
    return copy;
}

const char *config_file_name(struct config *config, const char *file) {
    if (config->last_file == NULL || strcmp(config->last_file, file) != 0) {
        config->last_file = config_copy_text(config, file, strlen(file));
    }
    return config->last_file;
}

struct config_node *config_new_node(struct config *config, enum config_kind kind, const char *file, uint32_t line,
                                    uint32_t column) {
    struct config_node *node = config_allocate(config, sizeof *node);
    node->kind = kind;
    node->file = config_file_name(config, file);
    node->line = line;
    node->column = column;
    node->text = kind == CONFIG_SCALAR ? "" : NULL;
    return node;
}

/* Room for one more: arrays double, at 4, 8, 16... The old one stays in the arena. */
static void *grown(struct config *config, const void *old, size_t count, size_t item_bytes) {
    const size_t capacity = count == 0 ? 4 : 2 * count;
    void *array = config_allocate(config, capacity * item_bytes);
    if (count != 0) {
        memcpy(array, old, count * item_bytes);
    }
    return array;
}

void config_append(struct config *config, struct config_node *parent, struct config_node *key_node,
                   struct config_node *child) {
    const size_t count = parent->count;
    const bool power = count == 0 || (count >= 4 && (count & (count - 1)) == 0);
    if (power) {
        parent->children = grown(config, parent->children, count, sizeof(struct config_node *));
        if (parent->kind == CONFIG_MAPPING) {
            parent->keys = grown(config, parent->keys, count, sizeof(const char *));
            parent->key_nodes = grown(config, parent->key_nodes, count, sizeof(struct config_node *));
        }
    }
    SIM_ASSERT(parent->children != NULL);
    parent->children[count] = child;
    child->parent = parent;
    if (parent->kind == CONFIG_MAPPING) {
        parent->keys[count] = key_node->text;
        parent->key_nodes[count] = key_node;
        key_node->parent = parent;
    }
    parent->count = count + 1;
}

struct config_node *config_copy_node(struct config *config, const struct config_node *node) {
    struct config_node *copy = config_new_node(config, node->kind, node->file, node->line, node->column);
    copy->quoted = node->quoted;
    copy->incomplete = node->incomplete;
    if (node->kind == CONFIG_SCALAR) {
        copy->text = config_copy_text(config, node->text, strlen(node->text));
    }
    for (size_t i = 0; i < node->count; ++i) {
        struct config_node *key = node->kind == CONFIG_MAPPING ? config_copy_node(config, node->key_nodes[i]) : NULL;
        config_append(config, copy, key, config_copy_node(config, node->children[i]));
    }
    return copy;
}

struct config *config_clone(const struct config *config) {
    struct config *clone = config_new();
    clone->root = config_copy_node(clone, config->root);
    clone->includes = config->includes;
    return clone;
}

struct config_node *config_root(struct config *config) {
    return config->root;
}

size_t config_find_key(const struct config_node *node, const char *key) {
    for (size_t i = 0; i < node->count; ++i) {
        if (strcmp(node->keys[i], key) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}
