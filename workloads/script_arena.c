/* script_arena.c: a script's memory, and new nodes in it. */
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "workloads/script_internal.h"

enum { BLOCK_BYTES = 8192 };

struct script_arena_block {
    struct script_arena_block *next;
    size_t used, size;
    alignas(max_align_t) unsigned char bytes[];
};

void *script_allocate(struct script_arena *arena, size_t bytes) {
    const size_t align = alignof(max_align_t);
    const size_t rounded = (bytes + align - 1) / align * align;
    struct script_arena_block *block = arena->blocks;
    if (block == NULL || block->size - block->used < rounded) {
        const size_t size = rounded > BLOCK_BYTES ? rounded : BLOCK_BYTES;
        block = calloc(1, sizeof *block + size);
        SIM_ASSERT_MSG(block != NULL, "out of memory");
        block->size = size;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *result = block->bytes + block->used;
    block->used += rounded;
    return result;
}

char *script_copy_text(struct script_arena *arena, const char *text, size_t length) {
    char *copy = script_allocate(arena, length + 1);
    memcpy(copy, text, length);
    return copy;
}

void script_arena_free(struct script_arena *arena) {
    for (struct script_arena_block *block = arena->blocks; block != NULL;) {
        struct script_arena_block *next = block->next;
        free(block);
        block = next;
    }
    *arena = (struct script_arena){0};
}

static const char *file_name(struct script_arena *arena, const char *file) {
    if (file == NULL) {
        return NULL;
    }
    if (arena->last_file_copy == NULL || strcmp(arena->last_file_copy, file) != 0) {
        arena->last_file_copy = script_copy_text(arena, file, strlen(file));
    }
    return arena->last_file_copy;
}

struct config_node *script_new_node(struct script_arena *arena, const struct config_node *like, enum config_kind kind,
                                    size_t capacity) {
    struct config_node *node = script_allocate(arena, sizeof *node);
    node->kind = kind;
    node->file = file_name(arena, like->file);
    node->line = like->line;
    node->column = like->column;
    node->quoted = like->quoted;
    node->incomplete = like->incomplete;
    if (capacity != 0) {
        node->children = script_allocate(arena, capacity * sizeof *node->children);
    }
    if (capacity != 0 && kind == CONFIG_MAPPING) {
        node->keys = script_allocate(arena, capacity * sizeof *node->keys);
        node->key_nodes = script_allocate(arena, capacity * sizeof *node->key_nodes);
    }
    return node;
}

struct config_node *script_wrap(struct script_arena *arena, const char *key, const struct config_node *value) {
    struct config_node *mapping = script_new_node(arena, value, CONFIG_MAPPING, 1);
    mapping->incomplete = false;
    mapping->keys[0] = key;
    /* The tree is read only through pointers to const; the cast adds no writing. */
    mapping->children[0] = (struct config_node *)(uintptr_t)value;
    mapping->key_nodes[0] = mapping->children[0];
    mapping->count = 1;
    return mapping;
}
