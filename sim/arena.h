/* arena.h: memory of many small things that go all at once. */
#ifndef STILLSUIT_SIM_ARENA_H
#define STILLSUIT_SIM_ARENA_H

#include <stddef.h>

struct arena_block;
struct arena {                  /* zeroed: empty */
    struct arena_block *blocks; /* newest first */
};

/* Zeroed, aligned for anything; never NULL. The arena owns it. */
void *arena_allocate(struct arena *arena, size_t bytes);
/* A copy of `length` characters, ended by a 0. */
char *arena_copy_text(struct arena *arena, const char *text, size_t length);
/* Frees all of it; the arena is empty then. */
void arena_free(struct arena *arena);

#endif
