/* event_set.h: the data structure behind epoll, in a kernel or in a library: sources
 * that became ready stand in a list; who waits looks at those alone, however many
 * there are. Level-triggered: a source that is still ready stays in the list, at its
 * end, so that none starves another. Costs and wake-ups are the owner's. */
#ifndef STILLSUIT_STACK_EVENT_SET_H
#define STILLSUIT_STACK_EVENT_SET_H

#include <stdbool.h>
#include <stddef.h>

/* What a source is ready for; as enum system_readiness has it. */
enum event_readiness { EVENT_READABLE = 1, EVENT_ACCEPTABLE = 2, EVENT_CLOSED = 4 };

struct event_set;

/* A source's membership; the owner's memory. A source is in one set at most. */
struct event_item {
    struct event_set *set; /* NULL: in none */
    struct event_item *next, *previous;
    bool queued;
    void *source, *user;
    unsigned (*readiness)(const void *source); /* enum event_readiness, now */
};

struct event_set {
    struct event_item *first, *last;
    size_t queued; /* in the list; some may not be ready any more */
};

/* Adds a source; in the list at once if it is ready. */
void event_set_add_item(struct event_set *set, struct event_item *item);
void event_set_remove_item(struct event_item *item);
/* The source may be ready. True if it came into the list by that: who waits for the
 * set must be told. An item in no set: false. */
bool event_item_mark(struct event_item *item);
/* Takes the first of the list and looks at it: `ready` tells what for, and it goes to
 * the end of the list; 0: it is ready no more and leaves the list. NULL: an empty
 * list. One round is `queued` calls, as it was before the first. */
struct event_item *event_set_look(struct event_set *set, unsigned *ready);
/* The first that is ready, or NULL, without taking it. */
struct event_item *event_set_peek(const struct event_set *set);

#endif
