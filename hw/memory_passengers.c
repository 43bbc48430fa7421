/* memory_passengers.c: requests by the address of the bytes that they ride on. A
 * small hash table that grows, so that boarding and alighting allocate nothing once
 * the run has its size. */
#include <stdlib.h>

#include "hw/memory_internal.h"
#include "sim/error.h"

enum { SEATS_AT_FIRST = 1024 };

static struct memory_seat *make_seats(uint64_t capacity) {
    struct memory_seat *seats = calloc(capacity, sizeof *seats);
    SIM_ASSERT_MSG(seats != NULL, "out of memory");
    return seats;
}

void memory_passengers_init(struct memory_passengers *passengers) {
    *passengers = (struct memory_passengers){.seats = make_seats(SEATS_AT_FIRST), .capacity = SEATS_AT_FIRST};
}

void memory_passengers_free(struct memory_passengers *passengers) {
    free(passengers->seats);
}

/* Fibonacci hashing: buffers lie at multiples of large powers of two. */
static inline uint64_t home(const struct memory_passengers *passengers, uint64_t address) {
    return ((address * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & (passengers->capacity - 1);
}

/* The seat of `address`, or the free one where it would sit. */
static uint64_t find_seat(const struct memory_passengers *passengers, uint64_t address) {
    uint64_t at = home(passengers, address);
    while (passengers->seats[at].request != NULL && passengers->seats[at].address != address) {
        at = (at + 1) & (passengers->capacity - 1);
    }
    return at;
}

static void grow(struct memory_passengers *passengers) {
    struct memory_passengers larger = {.seats = make_seats(2 * passengers->capacity),
                                       .capacity = 2 * passengers->capacity,
                                       .count = passengers->count};
    for (uint64_t i = 0; i < passengers->capacity; ++i) {
        if (passengers->seats[i].request != NULL) {
            larger.seats[find_seat(&larger, passengers->seats[i].address)] = passengers->seats[i];
        }
    }
    free(passengers->seats);
    *passengers = larger;
}

/* Frees a seat and closes the gap, so that no probe ends early at it. */
static void vacate(struct memory_passengers *passengers, uint64_t gap) {
    const uint64_t mask = passengers->capacity - 1;
    for (uint64_t at = (gap + 1) & mask; passengers->seats[at].request != NULL; at = (at + 1) & mask) {
        const uint64_t distance_from_home = (at - home(passengers, passengers->seats[at].address)) & mask;
        if (distance_from_home >= ((at - gap) & mask)) {
            passengers->seats[gap] = passengers->seats[at];
            gap = at;
        }
    }
    passengers->seats[gap] = (struct memory_seat){0};
    passengers->count -= 1;
}

void memory_board(struct memory *memory, uint64_t address, struct request *request) {
    if (request == NULL) {
        (void)memory_alight(memory, address); /* nobody's bytes replace what was there */
        return;
    }
    struct memory_passengers *passengers = &memory->passengers;
    uint64_t at = find_seat(passengers, address);
    if (passengers->seats[at].request == NULL) {
        if (2 * (passengers->count + 1) > passengers->capacity) {
            grow(passengers);
            at = find_seat(passengers, address);
        }
        passengers->count += 1;
    }
    passengers->seats[at] = (struct memory_seat){.address = address, .request = request};
}

struct request *memory_alight(struct memory *memory, uint64_t address) {
    struct memory_passengers *passengers = &memory->passengers;
    const uint64_t at = find_seat(passengers, address);
    struct request *request = passengers->seats[at].request;
    if (request != NULL) {
        vacate(passengers, at);
    }
    return request;
}
