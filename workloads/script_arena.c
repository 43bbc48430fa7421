/* script_arena.c: a script's memory, and new nodes in it. */
#include <string.h>

#include "workloads/script_internal.h"

void script_arena_free(struct script_arena *arena) {
    arena_free(&arena->memory);
    *arena = (struct script_arena){0};
}

static const char *file_name(struct script_arena *arena, const char *file) {
    if (file == NULL) {
        return NULL;
    }
    if (arena->last_file_copy == NULL || strcmp(arena->last_file_copy, file) != 0) {
        arena->last_file_copy = arena_copy_text(&arena->memory, file, strlen(file));
    }
    return arena->last_file_copy;
}

struct config_node *script_new_node(struct script_arena *arena, const struct config_node *like, enum config_kind kind,
                                    size_t capacity) {
    struct config_node *node = arena_allocate(&arena->memory, sizeof *node);
    node->kind = kind;
    node->file = file_name(arena, like->file);
    node->line = like->line;
    node->column = like->column;
    node->quoted = like->quoted;
    node->incomplete = like->incomplete;
    if (capacity != 0) {
        node->children = arena_allocate(&arena->memory, capacity * sizeof *node->children);
    }
    if (capacity != 0 && kind == CONFIG_MAPPING) {
        node->keys = arena_allocate(&arena->memory, capacity * sizeof *node->keys);
        node->key_nodes = arena_allocate(&arena->memory, capacity * sizeof *node->key_nodes);
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
