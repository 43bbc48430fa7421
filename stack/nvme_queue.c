/* Layout of the memory of a queue pair: the SQ, the CQ, each on its own frames, then
 * a PRP list of a frame for each command id. */
#include "stack/nvme_queue.h"

#include <stdlib.h>

#include "hw/machine.h"
#include "hw/nvme/nvme.h"
#include "stack/udp_stack.h"

enum { ENTRIES_MAX = 4096, PRP_BYTES = 8, NO_SLOT = 0xffff };

static uint64_t frames(uint64_t bytes) {
    return (bytes + MEMORY_FRAME_BYTES - 1) / MEMORY_FRAME_BYTES * MEMORY_FRAME_BYTES;
}

static uint64_t cq_at(uint32_t entries) {
    return frames((uint64_t)entries * NVME_SQE_BYTES);
}

static uint64_t lists_at(uint32_t entries) {
    return cq_at(entries) + frames((uint64_t)entries * NVME_CQE_BYTES);
}

uint64_t nvme_pair_memory_bytes(uint32_t entries) {
    return lists_at(entries) + (uint64_t)entries * MEMORY_FRAME_BYTES;
}

/* ---- life ---- */

void nvme_pair_init(struct nvme_pair *pair, const struct nvme_pair_config *config) {
    const uint32_t entries = config->entries;
    SIM_ASSERT_MSG(entries >= NVME_QUEUE_MIN && entries <= ENTRIES_MAX && (entries & (entries - 1)) == 0 &&
                       config->physical % MEMORY_FRAME_BYTES == 0 && config->device_address % MEMORY_FRAME_BYTES == 0,
                   "a queue pair of %u entries", entries);
    *pair = (struct nvme_pair){.config = *config,
                               .sq = config->physical,
                               .cq = config->physical + cq_at(entries),
                               .lists = config->physical + lists_at(entries),
                               .phase = true,
                               .variation = 1.0};
    memory_fill(config->machine->memory, pair->cq, 0, (size_t)entries * NVME_CQE_BYTES);
    pair->slots = calloc(entries, sizeof *pair->slots);
    SIM_ASSERT_MSG(pair->slots != NULL, "out of memory");
    for (uint32_t i = 0; i < entries; i++) {
        pair->slots[i].next_free = (uint16_t)(i + 1 < entries ? i + 1 : NO_SLOT);
    }
}

void nvme_pair_fini(struct nvme_pair *pair) {
    free(pair->slots);
    pair->slots = NULL;
}

/* ---- costs ---- */

static uint64_t lines_of(const struct cost *cost) {
    return cost != NULL ? (uint64_t)cost->lines * MEMORY_LINE_BYTES : 0;
}

static void charge(struct nvme_pair *pair, struct context *context, struct cost *cost, uint64_t lines_at) {
    if (cost != NULL) {
        (void)stack_charge(context, cost, pair->variation, lines_at);
    }
}

/* ---- building commands ---- */

static uint32_t pages_of(const struct block_io *io) {
    return io->segment_count;
}

bool nvme_pair_describable(const struct nvme_pair *pair, const struct block_io *io) {
    const uint32_t count = io->segment_count;
    uint64_t bytes = 0;
    if (io->operation == BLOCK_FLUSH) {
        return true;
    }
    if (count == 0 || count > BLOCK_SEGMENTS_MAX || io->blocks == 0 || io->blocks > NVME_NLB_MASK + 1 ||
        io->segments[0].device_address % 4 != 0) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct block_segment *segment = &io->segments[i];
        const uint64_t offset = segment->device_address % NVME_PAGE_BYTES;
        const uint64_t end = offset + segment->length_bytes;
        if ((i > 0 && offset != 0) || (i + 1 < count && end != NVME_PAGE_BYTES) || end > NVME_PAGE_BYTES ||
            segment->length_bytes == 0) {
            return false;
        }
        bytes += segment->length_bytes;
    }
    return bytes == (uint64_t)io->blocks * pair->config.block_bytes;
}

/* PRP1, and PRP2 or a list in the command's own frame, whose lines are touched. */
static void put_prps(struct nvme_pair *pair, struct context *context, const struct block_io *io, uint16_t id,
                     struct nvme_sqe *sqe) {
    struct memory *memory = pair->config.machine->memory;
    const uint32_t count = pages_of(io);
    sqe->prp1 = io->segments[0].device_address;
    if (count == 2) {
        sqe->prp2 = io->segments[1].device_address;
    }
    if (count <= 2) {
        return;
    }
    const uint64_t list = pair->lists + (uint64_t)id * MEMORY_FRAME_BYTES;
    for (uint32_t i = 1; i < count; i++) {
        memory_write64(memory, list + (uint64_t)(i - 1) * PRP_BYTES, io->segments[i].device_address);
    }
    sqe->prp2 = pair->config.device_address + (list - pair->config.physical);
    cpu_touch(context, list, (count - 1) * PRP_BYTES, true);
    charge(pair, context, pair->config.costs.prp_list, pair->config.working_set + lines_of(pair->config.costs.submit));
}

static struct nvme_sqe build(struct nvme_pair *pair, struct context *context, const struct block_io *io, uint16_t id,
                             uint32_t nsid) {
    static const uint8_t opcodes[] = {[BLOCK_READ] = NVME_READ, [BLOCK_WRITE] = NVME_WRITE, [BLOCK_FLUSH] = NVME_FLUSH};
    struct nvme_sqe sqe = {.opcode = opcodes[io->operation], .command_id = id, .nsid = nsid};
    if (io->operation == BLOCK_FLUSH) {
        return sqe;
    }
    const bool forced = io->operation == BLOCK_WRITE && io->force_unit_access;
    sqe.dword10 = (uint32_t)io->block;
    sqe.dword11 = (uint32_t)(io->block >> 32);
    sqe.dword12 = (io->blocks - 1) | (forced ? UINT32_C(1) << NVME_FORCE_UNIT_ACCESS_BIT : 0);
    put_prps(pair, context, io, id, &sqe);
    return sqe;
}

/* ---- submission ---- */

enum error_code nvme_pair_submit(struct nvme_pair *pair, struct context *context, struct block_io *io, uint32_t nsid) {
    struct memory *memory = pair->config.machine->memory;
    if (!nvme_pair_room(pair)) {
        return ERR_AGAIN;
    }
    if (!nvme_pair_describable(pair, io)) {
        return ERR_UNSUPPORTED;
    }
    const uint16_t id = pair->first_free;
    pair->first_free = pair->slots[id].next_free;
    pair->slots[id].io = io;
    pair->under_way++;
    pair->submitted++;
    io->finished = false;
    io->submitted = sim_now();
    if (pair->config.submit != 0) {
        cpu_work_for(context, pair->config.submit, io->request);
        io->owner = pair->config.submit;
    }
    charge(pair, context, pair->config.costs.submit, pair->config.working_set);
    const struct nvme_sqe sqe = build(pair, context, io, id, nsid);
    const uint64_t entry = pair->sq + (uint64_t)pair->tail * NVME_SQE_BYTES;
    cpu_touch(context, entry, NVME_SQE_BYTES, true);
    memory_write(memory, entry, &sqe, sizeof sqe);
    if (io->request != NULL) {
        memory_board(memory, entry, io->request);
    }
    pair->tail = (pair->tail + 1) % pair->config.entries;
    return OK;
}

static enum error_code ring(struct nvme_pair *pair, struct context *context, uint64_t address, uint32_t value,
                            struct request *request, ledger_component owner) {
    if (pair->config.ring != NULL) {
        return pair->config.ring(pair->config.placement, context, address, value, request, owner);
    }
    return cpu_mmio_write(context, address, sizeof value, value, request, owner) ? OK : ERR_FAULT;
}

enum error_code nvme_pair_ring(struct nvme_pair *pair, struct context *context) {
    struct memory *memory = pair->config.machine->memory;
    if (pair->rung == pair->tail) {
        return OK;
    }
    const uint32_t last = (pair->tail + pair->config.entries - 1) % pair->config.entries;
    const uint64_t entry = pair->sq + (uint64_t)last * NVME_SQE_BYTES;
    struct request *request = memory_alight(memory, entry); /* the last one's: it rides along */
    cpu_work_for(context, pair->config.doorbell, request);
    const enum error_code code =
        ring(pair, context, pair->config.doorbells + NVME_SQ_DOORBELL(pair->config.queue, pair->config.doorbell_stride),
             pair->tail, request, pair->config.doorbell);
    if (code != OK) {
        if (request != NULL) {
            memory_board(memory, entry, request);
        }
        cpu_work_for(context, pair->config.doorbell, NULL);
        return code;
    }
    cpu_work_for(context, pair->config.doorbell, NULL);
    pair->rung = pair->tail;
    pair->doorbells++;
    return OK;
}

/* ---- completion ---- */

uint64_t nvme_pair_line(const struct nvme_pair *pair) {
    const uint64_t entry = pair->cq + (uint64_t)pair->head * NVME_CQE_BYTES;
    return entry / MEMORY_LINE_BYTES * MEMORY_LINE_BYTES;
}

static struct nvme_cqe next_completion(const struct nvme_pair *pair) {
    struct nvme_cqe cqe;
    memory_read(pair->config.machine->memory, pair->cq + (uint64_t)pair->head * NVME_CQE_BYTES, &cqe, sizeof cqe);
    return cqe;
}

bool nvme_pair_ready(const struct nvme_pair *pair) {
    const struct nvme_cqe cqe = next_completion(pair);
    return ((cqe.status & NVME_CQE_PHASE) != 0) == pair->phase;
}

enum error_code nvme_status_code(uint32_t status) {
    switch (status) {
    case NVME_SUCCESS:
        return OK;
    case NVME_LBA_OUT_OF_RANGE:
        return ERR_RANGE;
    case NVME_INVALID_FIELD: /* an inactive namespace, for a command that was built here */
    case NVME_INVALID_NAMESPACE:
    case NVME_READ_ONLY_RANGE:
        return ERR_DENIED;
    case NVME_DATA_TRANSFER_ERROR:
        return ERR_FAULT;
    default:
        return ERR_IO;
    }
}

static void give_slot(struct nvme_pair *pair, uint16_t id) {
    pair->slots[id].io = NULL;
    pair->slots[id].next_free = pair->first_free;
    pair->first_free = id;
    pair->under_way--;
}

struct block_io *nvme_pair_reap(struct nvme_pair *pair, struct context *context) {
    const struct nvme_cqe cqe = next_completion(pair);
    if (((cqe.status & NVME_CQE_PHASE) != 0) != pair->phase) {
        return NULL;
    }
    const uint64_t entry = pair->cq + (uint64_t)pair->head * NVME_CQE_BYTES;
    struct request *request = memory_alight(pair->config.machine->memory, entry);
    SIM_ASSERT_MSG(cqe.command_id < pair->config.entries && pair->slots[cqe.command_id].io != NULL,
                   "a completion for command %u, which is not under way", cqe.command_id);
    struct block_io *io = pair->slots[cqe.command_id].io;
    pair->head = (pair->head + 1) % pair->config.entries;
    pair->phase = pair->head == 0 ? !pair->phase : pair->phase;
    pair->sq_head = cqe.sq_head;
    pair->completed++;
    if (pair->config.complete != 0) {
        cpu_work_for(context, pair->config.complete, request);
    }
    io->owner = pair->config.complete != 0 ? pair->config.complete : ledger_find("ready");
    cpu_touch(context, entry, NVME_CQE_BYTES, false);
    charge(pair, context, pair->config.costs.complete,
           pair->config.working_set + lines_of(pair->config.costs.submit) + lines_of(pair->config.costs.prp_list));
    give_slot(pair, cqe.command_id);
    io->request = request;
    io->status = nvme_status_code(cqe.status >> NVME_CQE_STATUS_SHIFT & NVME_CQE_STATUS_MASK);
    io->finished = true;
    pair->failed += io->status != OK ? 1 : 0;
    return io;
}

void nvme_pair_release(struct nvme_pair *pair, struct context *context) {
    if (pair->released == pair->head) {
        return;
    }
    cpu_work_for(context, pair->config.doorbell, NULL);
    if (ring(pair, context, pair->config.doorbells + NVME_CQ_DOORBELL(pair->config.queue, pair->config.doorbell_stride),
             pair->head, NULL, pair->config.doorbell) == OK) {
        pair->released = pair->head;
        pair->doorbells++;
    }
}
