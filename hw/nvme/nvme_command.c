/* The life of a command: fetched, processed, carried out, completed. */
#include <string.h>

#include "hw/nvme/nvme_internal.h"
#include "sim/error.h"

void nvme_own(struct nvme_command *command, ledger_component to, enum ledger_kind kind) {
    ledger_hand_over(command->request, command->owner, to, kind);
    command->owner = to;
}

/* ---- slots ---- */

static void release(struct nvme_command *command) {
    struct nvme_function *function = command->function;
    struct nvme *nvme = command->nvme;
    struct nvme_sq *sq = command->sq;
    const bool stale = nvme_is_stale(command);
    nvme->cache.promised_bytes -= command->promised_bytes;
    command->promised_bytes = 0;
    function->under_way--;
    command->next = nvme->free_commands;
    nvme->free_commands = command;
    nvme->free_count++;
    if (stale) {
        return;
    }
    sq->under_way--;
    if (sq->under_way == 0 && sq->deletion != NULL) {
        struct nvme_command *deletion = sq->deletion;
        nvme_sq_delete(sq);
        sq->deletion = NULL;
        nvme_complete(deletion, NVME_SUCCESS);
    }
    nvme_sq_ready(sq);
}

void nvme_drop(struct nvme_command *command) {
    struct nvme *nvme = command->nvme;
    command->function->counters.aborted++;
    nvme_abandon(command->request, "controller reset");
    command->request = NULL;
    release(command);
    nvme_pump(nvme);
}

/* ---- time ---- */

static void step(void *context) {
    struct nvme_command *command = context;
    if (nvme_is_stale(command)) {
        nvme_drop(command);
    } else {
        command->then(command);
    }
}

void nvme_wait(struct nvme_command *command, sim_time duration, nvme_step *then) {
    command->then = then;
    sim_event_init(&command->event, SIM_PRIORITY_HARDWARE, step, command);
    sim_schedule(&command->event, duration);
}

static void processed(struct nvme_command *command) {
    if (command->sq->id == 0) {
        nvme_admin(command);
    } else {
        nvme_io(command);
    }
}

/* Processors serve in order: the one that is free first takes the command. */
void nvme_process(struct nvme_command *command) {
    const struct nvme *nvme = command->nvme;
    const sim_time now = sim_now();
    sim_time *free_at = &nvme->processors[0];
    for (uint64_t i = 1; i<nvme->config->processors && * free_at> now; i++) {
        free_at = nvme->processors[i] < *free_at ? &nvme->processors[i] : free_at;
    }
    const sim_time start = *free_at > now ? *free_at : now;
    *free_at = start + nvme->config->processing;
    ledger_hand_over_at(command->request, command->owner, nvme->components.processing, LEDGER_SERVICE, start);
    command->owner = nvme->components.processing;
    nvme_wait(command, *free_at - now, processed);
}

/* ---- completion ---- */

static void completed(struct dma_op *op) {
    struct nvme_command *command = op->context;
    struct nvme_function *function = command->function;
    struct nvme *nvme = command->nvme;
    if (nvme_is_stale(command)) {
        nvme_drop(command);
        return;
    }
    if (op->status != DMA_DONE) {
        nvme_function_fatal(function); /* software would wait for ever: it can only reset */
        nvme_drop(command);
        return;
    }
    if (command->request != NULL) {
        ledger_hand_over(command->request, command->owner, nvme->components.ready, LEDGER_WAITING);
        memory_board(nvme->device->machine->memory, op->segment_physical[0], command->request);
        command->request = NULL;
    }
    function->counters.completions++;
    nvme_cq_interrupt(command->sq->cq);
    release(command);
    nvme_pump(nvme);
}

/* Takes the next entry of the completion queue, whose place was promised at the fetch. */
static void plan_completion(struct nvme_command *command) {
    struct nvme_cq *cq = command->sq->cq;
    const uint32_t phase = cq->phase ? NVME_CQE_PHASE : 0;
    command->cqe = (struct nvme_cqe){
        .result = command->result,
        .sq_head = (uint16_t)command->sq->head,
        .sq_id = command->sq->id,
        .command_id = command->sqe.command_id,
        .status = (uint16_t)((uint32_t)command->status << NVME_CQE_STATUS_SHIFT | phase),
    };
    struct dma_op *op = &command->cqe_op;
    op->function = &command->function->pcie;
    op->next = NULL;
    op->address = cq->base + (uint64_t)cq->tail * NVME_CQE_BYTES;
    op->length_bytes = NVME_CQE_BYTES;
    op->write = true;
    op->data = &command->cqe;
    op->request = NULL;
    op->owner = command->owner;
    op->done = completed;
    op->context = command;
    cq->tail = cq->tail + 1 == cq->entries ? 0 : cq->tail + 1;
    cq->phase = cq->tail == 0 ? !cq->phase : cq->phase;
}

void nvme_complete(struct nvme_command *command, enum nvme_status status) {
    struct nvme_function *function = command->function;
    if (function->fatal) { /* it completes nothing any more */
        nvme_drop(command);
        return;
    }
    command->status = status;
    function->counters.errors += status != NVME_SUCCESS ? 1 : 0;
    plan_completion(command);
    command->cqe_op.request = command->request;
    dma_submit(&command->cqe_op);
}

static void refused(struct dma_op *op) {
    struct nvme_command *command = op->context;
    command->function->counters.transfer_faults++;
    if (nvme_is_stale(command)) {
        nvme_drop(command);
    } else {
        nvme_complete(command, NVME_DATA_TRANSFER_ERROR);
    }
}

/* Data and completion are posted one behind the other. Where the data cannot be
 * written, the completion says so. */
void nvme_complete_with_data(struct nvme_command *command) {
    if (command->function->fatal) {
        nvme_drop(command);
        return;
    }
    struct dma_op *last = nvme_plan_data(command, true);
    command->ops[0].request = command->request;
    command->ops[0].owner = command->owner;
    if (!nvme_pages_reachable(command)) {
        last->done = refused;
        last->context = command;
        dma_submit(&command->ops[0]);
        return;
    }
    command->status = NVME_SUCCESS;
    plan_completion(command);
    last->next = &command->cqe_op;
    dma_submit(&command->ops[0]);
}

/* ---- reset ---- */

static void drop_limited(struct nvme_function *function) {
    struct nvme_command *command = function->limited;
    function->limited = NULL;
    function->limited_end = &function->limited;
    (void)sim_cancel(&function->limit_event);
    while (command != NULL) {
        struct nvme_command *next = command->next;
        nvme_drop(command);
        command = next;
    }
}

static void drop_deletions(struct nvme_function *function) {
    for (uint32_t i = 1; i <= function->queue_count; i++) {
        struct nvme_command *deletion = function->sqs[i].deletion;
        function->sqs[i].deletion = NULL;
        if (deletion != NULL) {
            nvme_drop(deletion);
        }
    }
}

void nvme_function_reset(struct nvme_function *function) {
    function->generation++;
    function->ready = false;
    function->fatal = false;
    function->shutdown = 0;
    function->cc = 0;
    function->fetching = 0;
    function->event_count = 0;
    function->event_masked = false;
    function->arbitration_feature = 7;
    function->coalescing = 0;
    function->event_mask = 0;
    function->write_cache = true;
    memset(function->uncoalesced, 0, sizeof function->uncoalesced);
    nvme_function_withdraw(function);
    drop_limited(function);
    drop_deletions(function);
    nvme_cache_waiters_drop(function);
    for (uint32_t i = 0; i <= function->queue_count; i++) {
        nvme_sq_delete(&function->sqs[i]);
        nvme_cq_delete(&function->cqs[i]);
    }
}

void nvme_function_fatal(struct nvme_function *function) {
    function->counters.fatal_faults += function->fatal ? 0 : 1;
    function->fatal = true;
    nvme_function_withdraw(function);
}
