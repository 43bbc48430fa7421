#include "stack/event_set.h"

static void enqueue(struct event_set *set, struct event_item *item) {
    item->queued = true;
    item->next = NULL;
    item->previous = set->last;
    if (set->last == NULL) {
        set->first = item;
    } else {
        set->last->next = item;
    }
    set->last = item;
    set->queued++;
}

static void dequeue(struct event_set *set, struct event_item *item) {
    item->queued = false;
    *(item->previous != NULL ? &item->previous->next : &set->first) = item->next;
    *(item->next != NULL ? &item->next->previous : &set->last) = item->previous;
    set->queued--;
}

void event_set_add_item(struct event_set *set, struct event_item *item) {
    item->set = set;
    item->queued = false;
    if (item->readiness(item->source) != 0) {
        enqueue(set, item);
    }
}

void event_set_remove_item(struct event_item *item) {
    if (item->set != NULL && item->queued) {
        dequeue(item->set, item);
    }
    item->set = NULL;
}

bool event_item_mark(struct event_item *item) {
    if (item->set == NULL || item->queued) {
        return false;
    }
    enqueue(item->set, item);
    return true;
}

struct event_item *event_set_look(struct event_set *set, unsigned *ready) {
    struct event_item *item = set->first;
    *ready = 0;
    if (item != NULL) {
        dequeue(set, item);
        *ready = item->readiness(item->source);
        if (*ready != 0) {
            enqueue(set, item);
        }
    }
    return item;
}

struct event_item *event_set_peek(const struct event_set *set) {
    struct event_item *item = set->first;
    while (item != NULL && item->readiness(item->source) == 0) {
        item = item->next;
    }
    return item;
}
