/* vsic_ring.h: a library's half of an emulated VSIC: 256-byte requests in memory that it
 * shares with the kernel's emulating core (kernel_model/exo/vsic_ring.h).
 *
 * The same calls as an NVMe queue pair has (stack/nvme_queue.h), save that a request is
 * visible as soon as it is written: there is no doorbell. */
#ifndef STILLSUIT_LIBOS_MODEL_VSIC_RING_H
#define STILLSUIT_LIBOS_MODEL_VSIC_RING_H

#include "hw/core.h"
#include "hw/memory.h"
#include "kernel_model/exo/vsic_ring.h"
#include "sim/param.h"
#include "stack/block.h"

struct vsic_ring_costs {
    struct cost *submit, *complete; /* NULL: nothing */
    uint64_t working_set;
};

struct vsic_ring {
    struct memory *memory;
    uint64_t physical; /* of the rings */
    struct vsic_ring_costs costs;
    ledger_component submit, complete; /* work is booked to them */
    uint64_t written, read;            /* requests, completions */
    uint32_t under_way;
    struct block_io *ios[EXO_RING_ENTRIES]; /* by id */
    uint16_t free_ids[EXO_RING_ENTRIES];
    uint32_t free_count;
};

void vsic_ring_init(struct vsic_ring *ring, struct memory *memory, uint64_t physical);
static inline bool vsic_ring_room(const struct vsic_ring *ring) {
    return ring->under_way < EXO_RING_ENTRIES;
}
/* [context] Writes a request on namespace `nsid`, which the kernel sees at once; its
 * segments' device addresses must be the library's own (virtual) ones. The present work
 * is the request's, which then waits for the kernel. ERR_AGAIN: no room;
 * ERR_UNSUPPORTED: more segments than a request can name. */
enum error_code vsic_ring_submit(struct vsic_ring *ring, struct context *context, struct block_io *io, uint32_t nsid);
bool vsic_ring_ready(const struct vsic_ring *ring);
/* The line that changes when a completion comes. */
uint64_t vsic_ring_line(const struct vsic_ring *ring);
/* [context] Takes the next completion, as nvme_pair_reap does. */
struct block_io *vsic_ring_reap(struct vsic_ring *ring, struct context *context);

#endif
