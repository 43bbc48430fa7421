/* collector.h: a program with a copying garbage collector (Cheney, "A nonrecursive list
 * compacting algorithm", CACM 1970), as its pages see it: the same program on whichever
 * system, to ask who knows best which pages are needed.
 *
 * The heap is two semispaces. A cycle is a collection and the allocations until the next:
 * every fourth page of the one holds what is still reachable; it is read, and what it holds
 * is written to the other, page after page. Then the whole first space is dead. The program
 * fills the rest of the second with new objects, and the two change roles. One word stands
 * for a page's content, and what is read is compared with what was written. */
#ifndef STILLSUIT_KERNEL_MODEL_COMMON_COLLECTOR_H
#define STILLSUIT_KERNEL_MODEL_COMMON_COLLECTOR_H

#include <stdbool.h>
#include <stdint.h>

/* Its memory: pages 0 onwards. */
struct collector_memory {
    uint32_t (*load)(void *context, uint64_t page);
    void (*store)(void *context, uint64_t page, uint32_t value);
    /* A page that was just used; one whose content will not be needed. NULL: nobody listens. */
    void (*used)(void *context, uint64_t page);
    void (*dead)(void *context, uint64_t page);
    void *context;
};

struct collector {
    uint64_t space_pages; /* of a semispace */
    bool second;          /* objects are in the second one */
    uint32_t stamp;       /* of the last object */
    uint32_t *expected;   /* by page of the space with objects */
};

enum { COLLECTOR_LIVE_EVERY = 4 };

/* `pages` pages, of which the first half holds a heap: each page its number. The caller
 * frees it. Needs at least 2 * COLLECTOR_LIVE_EVERY pages. */
void collector_init(struct collector *collector, uint64_t pages);
void collector_free(struct collector *collector);
/* [thread] A collection, and allocations until the next is due. */
void collector_cycle(struct collector *collector, const struct collector_memory *memory);

#endif
