/* client_slots.c: requests under way, and their timeouts: one timer a host over a
 * list in order of deadlines, not an event a request. */
#include <stdlib.h>

#include "sim/error.h"
#include "workloads/client_internal.h"

enum { FIRST_SLOTS = 64 };

static void add_slots(struct client_host *host, uint32_t count) {
    host->slots = realloc(host->slots, count * sizeof *host->slots);
    SIM_ASSERT_MSG(host->slots != NULL, "out of memory");
    for (uint32_t slot = count; slot-- > host->slot_count;) { /* the lowest is taken first */
        host->slots[slot] = (struct client_slot){.next = host->free_slot};
        host->free_slot = slot;
    }
    host->slot_count = count;
}

uint32_t client_slot_take(struct client_host *host) {
    if (host->free_slot == CLIENT_NO_SLOT) {
        const uint32_t doubled = host->slot_count == 0 ? FIRST_SLOTS : 2 * host->slot_count;
        const uint32_t count = doubled < CLIENT_NO_SLOT ? doubled : CLIENT_NO_SLOT;
        if (count == host->slot_count) {
            return CLIENT_NO_SLOT;
        }
        add_slots(host, count);
    }
    const uint32_t slot = host->free_slot;
    host->free_slot = host->slots[slot].next;
    return slot;
}

void client_slot_give_back(struct client_host *host, uint32_t slot) {
    host->slots[slot].next = host->free_slot;
    host->free_slot = slot;
}

static void unlink_slot(struct client_host *host, uint32_t slot) {
    const struct client_slot *own = &host->slots[slot];
    if (own->previous == CLIENT_NO_SLOT) {
        host->first_deadline = own->next;
    } else {
        host->slots[own->previous].next = own->next;
    }
    if (own->next == CLIENT_NO_SLOT) {
        host->last_deadline = own->previous;
    } else {
        host->slots[own->next].previous = own->previous;
    }
}

/* From the end: all but a few come in order. */
static void link_slot(struct client_host *host, uint32_t slot) {
    struct client_slot *own = &host->slots[slot];
    uint32_t before = host->last_deadline;
    while (before != CLIENT_NO_SLOT && host->slots[before].deadline > own->deadline) {
        before = host->slots[before].previous;
    }
    own->previous = before;
    own->next = before == CLIENT_NO_SLOT ? host->first_deadline : host->slots[before].next;
    if (before == CLIENT_NO_SLOT) {
        host->first_deadline = slot;
    } else {
        host->slots[before].next = slot;
    }
    if (own->next == CLIENT_NO_SLOT) {
        host->last_deadline = slot;
    } else {
        host->slots[own->next].previous = slot;
    }
}

/* The timer never fires later than the first deadline; it may fire earlier, and then
 * looks for the next. A reply in time therefore leaves it alone: it costs an event a
 * timeout, not one a request. */
static void arm(struct client_host *host) {
    if (host->first_deadline == CLIENT_NO_SLOT) {
        return;
    }
    const sim_time due = host->slots[host->first_deadline].deadline;
    if (!sim_event_pending(&host->deadline_timer) || host->deadline_timer.due > due) {
        (void)sim_cancel(&host->deadline_timer);
        sim_schedule_at(&host->deadline_timer, due);
    }
}

void client_slot_begin(struct client_host *host, uint32_t slot, uint64_t sequence, sim_time when) {
    struct client_slot *own = &host->slots[slot];
    own->sequence = sequence;
    if (host->client->config.timeout != 0) {
        own->deadline = when + host->client->config.timeout;
        link_slot(host, slot);
        arm(host);
    }
}

void client_slot_end(struct client_host *host, uint32_t slot) {
    host->slots[slot].sequence = 0;
    if (host->client->config.timeout != 0) {
        unlink_slot(host, slot);
    }
}

static void deadline_passes(void *context) {
    struct client_host *host = context;
    struct client *client = host->client;
    const sim_time now = sim_now();
    while (host->first_deadline != CLIENT_NO_SLOT && host->slots[host->first_deadline].deadline <= now) {
        const uint32_t slot = host->first_deadline;
        client_slot_end(host, slot);
        client->stats.timeouts += 1;
        if (client->config.arrivals.process == CLIENT_CLOSED) {
            client_slot_idle(host, slot, now);
        } else {
            client_slot_give_back(host, slot);
        }
    }
    arm(host);
}

void client_slots_init(struct client_host *host) {
    host->free_slot = CLIENT_NO_SLOT;
    host->first_deadline = CLIENT_NO_SLOT;
    host->last_deadline = CLIENT_NO_SLOT;
    sim_event_init(&host->deadline_timer, SIM_PRIORITY_SOFTWARE, deadline_passes, host);
    if (host->client->config.arrivals.process == CLIENT_CLOSED) {
        add_slots(host, (uint32_t)host->client->config.arrivals.outstanding);
    }
}
