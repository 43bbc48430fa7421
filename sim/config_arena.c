/* config_arena.c: one arena a configuration owns its nodes and strings; they go with
 * it, all at once. */
#include "sim/config_internal.h"

#include <stdlib.h>
#include <string.h>

struct config *config_new(void) {
    struct config *config = calloc(1, sizeof *config);
    SIM_ASSERT_MSG(config != NULL, "out of memory");
    return config;
}

void config_free(struct config *config) {
    if (config == NULL) {
        return;
    }
    arena_free(&config->arena);
    free(config);
}

const char *config_file_name(struct config *config, const char *file) {
    if (config->last_file == NULL || strcmp(config->last_file, file) != 0) {
        config->last_file = arena_copy_text(&config->arena, file, strlen(file));
    }
    return config->last_file;
}

struct config_node *config_new_node(struct config *config, enum config_kind kind, const char *file, uint32_t line,
                                    uint32_t column) {
    struct config_node *node = arena_allocate(&config->arena, sizeof *node);
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
    void *array = arena_allocate(&config->arena, capacity * item_bytes);
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
        copy->text = arena_copy_text(&config->arena, node->text, strlen(node->text));
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
