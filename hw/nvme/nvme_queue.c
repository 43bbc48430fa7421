/* Submission and completion queues: how they come and go, what a doorbell does, and
 * the interrupts of a completion queue. */
#include <stdlib.h>
#include <string.h>

#include "hw/nvme/nvme_internal.h"
#include "sim/error.h"

void nvme_abandon(struct request *request, const char *reason) {
    ledger_abandon(request, reason, sim_now());
}

/* ---- life ---- */

void nvme_cq_create(struct nvme_cq *cq, uint64_t base, uint32_t entries, bool interrupts, uint16_t vector) {
    cq->base = base;
    cq->entries = entries;
    cq->head = 0;
    cq->tail = 0;
    cq->taken = 0;
    cq->users = 0;
    cq->vector = vector;
    cq->interrupts = interrupts;
    cq->coalesced = 0;
    cq->phase = true; /* of the first pass, over entries that software has zeroed */
    cq->created = true;
}

void nvme_sq_create(struct nvme_sq *sq, struct nvme_cq *cq, uint64_t base, uint32_t entries) {
    sq->cq = cq;
    sq->base = base;
    sq->entries = entries;
    sq->head = 0;
    sq->tail = 0;
    sq->under_way = 0;
    sq->deletion = NULL;
    sq->riders = calloc(entries, sizeof *sq->riders);
    SIM_ASSERT_MSG(sq->riders != NULL, "out of memory");
    sq->created = true;
    cq->users++;
}

void nvme_cq_delete(struct nvme_cq *cq) {
    (void)sim_cancel(&cq->coalesce_event);
    cq->created = false;
}

void nvme_sq_delete(struct nvme_sq *sq) {
    if (!sq->created) {
        return;
    }
    for (uint32_t slot = 0; slot < sq->entries; slot++) {
        nvme_abandon(sq->riders[slot], "queue deleted");
    }
    free(sq->riders);
    sq->riders = NULL;
    sq->created = false;
    sq->cq->users--;
}

/* ---- doorbells ---- */

/* Takes aboard the request that software has put at a submission entry: one that
 * memory has for others is left there. */
static struct request *passenger(const struct nvme_sq *sq, uint32_t slot) {
    const struct nvme *nvme = sq->function->nvme;
    const struct nvme_components *components = &nvme->components;
    const struct machine *machine = nvme->device->machine;
    uint64_t physical = 0;
    if (!iommu_peek(machine->iommu, sq->function->pcie.requester_id, sq->base + (uint64_t)slot * NVME_SQE_BYTES, false,
                    &physical)) {
        return NULL;
    }
    struct request *request = memory_alight(machine->memory, physical);
    if (request == NULL) {
        return NULL;
    }
    const bool software = ledger_component_within(request->owner, components->cpu);
    if (!software && request->owner != components->doorbell) {
        memory_board(machine->memory, physical, request);
        return NULL;
    }
    if (software && ledger_allows(request->owner, components->doorbell)) {
        ledger_hand_over(request, request->owner, components->doorbell, LEDGER_WAITING);
    }
    ledger_hand_over(request, request->owner, components->queue, LEDGER_WAITING);
    return request;
}

void nvme_sq_rung(struct nvme_sq *sq, uint32_t tail, struct request *request) {
    const struct nvme_components *components = &sq->function->nvme->components;
    ledger_hand_over(request, components->doorbell, components->queue, LEDGER_WAITING);
    const uint32_t last = (tail + sq->entries - 1) % sq->entries;
    for (uint32_t slot = sq->tail; slot != tail; slot = (slot + 1) % sq->entries) {
        struct request *rider = slot == last && request != NULL ? request : passenger(sq, slot);
        request = rider == request ? NULL : request;
        nvme_abandon(sq->riders[slot], "doorbell rung again");
        sq->riders[slot] = rider;
    }
    nvme_abandon(request, "doorbell rung without a command");
    sq->tail = tail;
    nvme_sq_ready(sq);
    nvme_pump(sq->function->nvme);
}

void nvme_cq_rung(struct nvme_cq *cq, uint32_t head) {
    struct nvme_function *function = cq->function;
    const bool was_full = cq->taken + 1 >= cq->entries;
    cq->taken -= nvme_ring_distance(cq->head, head, cq->entries);
    cq->head = head;
    for (uint32_t i = 0; was_full && i <= function->queue_count; i++) {
        if (function->sqs[i].created && function->sqs[i].cq == cq) {
            nvme_sq_ready(&function->sqs[i]);
        }
    }
    if (was_full) {
        nvme_pump(function->nvme);
    }
}

/* ---- interrupts ---- */

static void raise_now(struct nvme_cq *cq) {
    cq->coalesced = 0;
    (void)sim_cancel(&cq->coalesce_event);
    cq->function->counters.interrupts++;
    pcie_msix_raise(&cq->function->pcie, cq->vector);
}

void nvme_cq_coalesced(void *context) {
    raise_now(context);
}

/* Interrupt coalescing (5.21.1.8): not for the admin queue, nor for a vector that is
 * excepted; a time or a threshold of 0 switches it off. */
void nvme_cq_interrupt(struct nvme_cq *cq) {
    const struct nvme_function *function = cq->function;
    const uint32_t threshold = function->coalescing & 0xff;
    const sim_time time = (sim_time)(function->coalescing >> 8 & 0xff) * 100 * SIM_US;
    if (!cq->interrupts) {
        return;
    }
    if (cq->id == 0 || function->uncoalesced[cq->vector] || threshold == 0 || time == 0) {
        raise_now(cq);
        return;
    }
    cq->coalesced++;
    if (cq->coalesced > threshold) {
        raise_now(cq);
    } else if (!sim_event_pending(&cq->coalesce_event)) {
        sim_schedule(&cq->coalesce_event, time);
    }
}

/* ---- asynchronous events ---- */

/* Completes a request for an event if there is one and none was reported since the
 * log page was last read (5.2). The error stays counted and logged in any case. */
void nvme_event(struct nvme_function *function, uint32_t information, uint16_t queue) {
    const uint32_t place = function->errors_head++ % NVME_ERRORS_LOGGED;
    function->error_log[place].count = ++function->error_count;
    function->error_log[place].queue = queue;
    function->error_log[place].status = 0xffff; /* of no command */
    if (function->event_count == 0 || function->event_masked || !function->ready || function->nvme->free_count == 0) {
        return;
    }
    struct nvme *nvme = function->nvme;
    struct nvme_command *command = nvme->free_commands;
    nvme->free_commands = command->next;
    nvme->free_count--;
    command->function = function;
    command->sq = &function->sqs[0];
    command->generation = function->generation;
    command->request = NULL;
    command->sqe =
        (struct nvme_sqe){.opcode = NVME_ADMIN_ASYNC_EVENT, .command_id = function->events[--function->event_count]};
    command->result = information << 8 | (uint32_t)NVME_LOG_ERRORS << 16;
    function->event_masked = true;
    function->under_way++;
    command->sq->under_way++;
    nvme_complete(command, NVME_SUCCESS);
}
