/* pcie_lane.c: one direction of a link as a resource that is booked ahead. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/pcie_internal.h"

void pcie_lane_init(struct pcie_lane *lane, const char *link_name, const char *suffix) {
    const size_t bytes = strlen(link_name) + strlen(suffix) + 1;
    lane->name = malloc(bytes);
    SIM_ASSERT(lane->name != NULL);
    (void)snprintf(lane->name, bytes, "%s%s", link_name, suffix);
    usage_init(&lane->usage, sim_now());
}

void pcie_lane_free(struct pcie_lane *lane) {
    free(lane->name);
    free(lane->bookings);
}

/* Nothing can be booked before now, so what is over goes to the account for good. */
static void settle(struct pcie_lane *lane, sim_time now) {
    size_t over = 0;
    while (over < lane->count && lane->bookings[over].until <= now) {
        usage_book(&lane->usage, lane->bookings[over].component, lane->bookings[over].from, lane->bookings[over].until);
        over++;
    }
    if (over > 0) {
        lane->count -= over;
        memmove(lane->bookings, lane->bookings + over, lane->count * sizeof *lane->bookings);
    }
}

static void insert(struct pcie_lane *lane, size_t at, struct pcie_booking booking) {
    if (lane->count == lane->capacity) {
        lane->capacity = lane->capacity == 0 ? 32 : 2 * lane->capacity;
        lane->bookings = realloc(lane->bookings, lane->capacity * sizeof *lane->bookings);
        SIM_ASSERT(lane->bookings != NULL);
    }
    memmove(lane->bookings + at + 1, lane->bookings + at, (lane->count - at) * sizeof *lane->bookings);
    lane->bookings[at] = booking;
    lane->count++;
}

sim_time pcie_lane_book(struct pcie_lane *lane, ledger_component component, sim_time earliest, sim_time duration) {
    settle(lane, sim_now());
    size_t at = lane->count;
    sim_time start = earliest;
    if (at > 0 && earliest < lane->bookings[at - 1].until) {
        for (at = 0; at < lane->count && start + duration > lane->bookings[at].from; at++) {
            start = lane->bookings[at].until > start ? lane->bookings[at].until : start;
        }
    }
    struct pcie_booking *before = at > 0 ? &lane->bookings[at - 1] : NULL;
    if (before != NULL && before->until == start && before->component == component) {
        before->until += duration; /* a stream of transfers is one booking: searches stay short */
    } else {
        insert(lane, at, (struct pcie_booking){start, start + duration, component});
    }
    return start;
}

void pcie_lane_visit(const struct pcie_lane *lane, const struct stats_sink *sink) {
    struct usage usage = lane->usage; /* the account is settled lazily: finish a copy */
    const sim_time now = sim_now();
    for (size_t i = 0; i < lane->count && lane->bookings[i].from < now; i++) {
        usage_switch(&usage, lane->bookings[i].component, lane->bookings[i].from);
        if (lane->bookings[i].until <= now) {
            usage_switch(&usage, 0, lane->bookings[i].until);
        }
    }
    stats_usage(sink, lane->name, &usage);
}

void pcie_lane_reset(struct pcie_lane *lane) {
    const sim_time now = sim_now();
    settle(lane, now);
    if (lane->count > 0 && lane->bookings[0].from < now) {
        lane->bookings[0].from = now; /* the part before belongs to the warm-up */
    }
    usage_reset(&lane->usage, now);
}
