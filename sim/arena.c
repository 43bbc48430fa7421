#include "sim/arena.h"

#include <stdalign.h>
#include <string.h>

#include "sim/allocate.h"

enum { BLOCK_BYTES = 16384 };

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    alignas(max_align_t) unsigned char bytes[];
};

void *arena_allocate(struct arena *arena, size_t bytes) {
    const size_t align = alignof(max_align_t);
    const size_t rounded = (bytes + align - 1) / align * align;
    struct arena_block *block = arena->blocks;
    if (block == NULL || block->size - block->used < rounded) {
        const size_t size = rounded > BLOCK_BYTES ? rounded : BLOCK_BYTES;
        block = sim_allocate(1, sizeof *block + size);
        block->size = size;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *result = block->bytes + block->used;
    block->used += rounded;
    return result;
}

char *arena_copy_text(struct arena *arena, const char *text, size_t length) {
    char *copy = arena_allocate(arena, length + 1);
    memcpy(copy, text, length);
    return copy;
}

void arena_free(struct arena *arena) {
    for (struct arena_block *block = arena->blocks; block != NULL;) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
    arena->blocks = NULL;
}
