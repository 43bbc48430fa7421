#include "libos_model/vsic_ring.h"

#include "stack/udp_stack.h"

void vsic_ring_init(struct vsic_ring *ring, struct memory *memory, uint64_t physical) {
    *ring = (struct vsic_ring){.memory = memory, .physical = physical};
    for (uint32_t i = EXO_RING_ENTRIES; i-- > 0;) {
        ring->free_ids[ring->free_count++] = (uint16_t)i;
    }
}

static uint64_t request_at(const struct vsic_ring *ring) {
    return ring->physical + ring->written % EXO_RING_ENTRIES * sizeof(struct exo_ring_request);
}
static uint64_t completion_at(const struct vsic_ring *ring) {
    return ring->physical + EXO_RING_COMPLETIONS_AT +
           ring->read % EXO_RING_ENTRIES * sizeof(struct exo_ring_completion);
}

static void charge(struct context *context, struct cost *cost, uint64_t lines_at) {
    if (cost != NULL) {
        (void)stack_charge(context, cost, 1.0, lines_at);
    }
}

static bool describe(const struct block_io *io, struct exo_ring_request *request) {
    static const enum exo_ring_operation operations[] = {
        [BLOCK_READ] = EXO_RING_READ, [BLOCK_WRITE] = EXO_RING_WRITE, [BLOCK_FLUSH] = EXO_RING_FLUSH};
    *request = (struct exo_ring_request){.operation = (uint8_t)operations[io->operation],
                                         .flags = io->force_unit_access ? (uint8_t)EXO_RING_FUA : (uint8_t)0,
                                         .block = io->block,
                                         .blocks = io->blocks};
    for (uint32_t i = 0; i < io->segment_count; i++) {
        const struct block_segment *segment = &io->segments[i];
        struct exo_ring_segment *last =
            request->segment_count > 0 ? &request->segments[request->segment_count - 1] : NULL;
        if (last != NULL && last->address + last->length_bytes == segment->device_address) {
            last->length_bytes += segment->length_bytes; /* a run of virtual memory, whatever its frames */
        } else if (request->segment_count == EXO_RING_SEGMENTS) {
            return false;
        } else {
            request->segments[request->segment_count++] =
                (struct exo_ring_segment){.address = segment->device_address, .length_bytes = segment->length_bytes};
        }
    }
    return true;
}

enum error_code vsic_ring_submit(struct vsic_ring *ring, struct context *context, struct block_io *io, uint32_t nsid) {
    struct exo_ring_request request;
    if (!vsic_ring_room(ring)) {
        return ERR_AGAIN;
    }
    if (!describe(io, &request)) {
        return ERR_UNSUPPORTED;
    }
    const uint64_t at = request_at(ring);
    const uint64_t turn = ring->written / EXO_RING_ENTRIES + 1;
    request.nsid = nsid;
    request.id = ring->free_ids[--ring->free_count];
    ring->ios[request.id] = io;
    ring->under_way++;
    io->finished = false;
    cpu_work_for(context, ring->submit, io->request);
    charge(context, ring->costs.submit, ring->costs.working_set);
    cpu_touch(context, at, sizeof request, true);
    cpu_pass_on(context, ledger_find("ready"), LEDGER_WAITING);
    memory_write(ring->memory, at, &request, sizeof request);
    cpu_run(context);
    memory_board(ring->memory, at, io->request);
    memory_write64(ring->memory, at + offsetof(struct exo_ring_request, turn), turn);
    ring->written++;
    memory_device_wrote(ring->memory, at, sizeof request);
    return OK;
}

bool vsic_ring_ready(const struct vsic_ring *ring) {
    return memory_read64(ring->memory, completion_at(ring)) == ring->read / EXO_RING_ENTRIES + 1;
}

uint64_t vsic_ring_line(const struct vsic_ring *ring) {
    return completion_at(ring);
}

struct block_io *vsic_ring_reap(struct vsic_ring *ring, struct context *context) {
    if (!vsic_ring_ready(ring)) {
        return NULL;
    }
    struct exo_ring_completion completion;
    const uint64_t at = completion_at(ring);
    memory_read(ring->memory, at, &completion, sizeof completion);
    struct request *request = memory_alight(ring->memory, at);
    cpu_work_for(context, ring->complete, request);
    cpu_touch(context, at, sizeof completion, false);
    charge(context, ring->costs.complete, ring->costs.working_set);
    ring->read++;
    SIM_ASSERT_MSG(completion.id < EXO_RING_ENTRIES && ring->ios[completion.id] != NULL,
                   "the kernel answers a request");
    struct block_io *io = ring->ios[completion.id];
    ring->ios[completion.id] = NULL;
    ring->free_ids[ring->free_count++] = completion.id;
    ring->under_way--;
    io->status = (enum error_code)completion.status;
    io->owner = ring->complete;
    io->finished = true;
    return io;
}
