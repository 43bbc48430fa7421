/* Which commands are fetched next.
 *
 * Controllers that have something to fetch stand in one line, and each one's queues
 * in a line of its own, so that a drive with many idle controllers is as fast as one
 * with few. A fetch takes as many free slots as it brings commands, and as many
 * places in the completion queue: no command in the drive waits for software. When
 * the slots are taken, the line decides who gets those that become free. */
#include <stdlib.h>

#include "hw/nvme/nvme_internal.h"
#include "sim/error.h"

/* ---- the lines ---- */

static uint32_t unread(const struct nvme_sq *sq) {
    return nvme_ring_distance(sq->head, sq->tail, sq->entries);
}

static bool may_be_fetched(const struct nvme_sq *sq) {
    return sq->created && sq->deletion == NULL && unread(sq) > 0 && sq->cq->taken + 1 < sq->cq->entries;
}

static uint32_t quota(const struct nvme_function *function) {
    const struct nvme_config *config = function->nvme->config;
    return config->arbitration == NVME_WEIGHTED ? function->weight : (uint32_t)config->burst;
}

static void line_up(struct nvme_function *function) {
    struct nvme *nvme = function->nvme;
    if (function->active || (function->ready_first == NULL && !function->sqs[0].listed)) {
        return;
    }
    function->active = true;
    function->next_active = NULL;
    *(nvme->active_first == NULL ? &nvme->active_first : &nvme->active_last->next_active) = function;
    nvme->active_last = function;
}

static void step_out(struct nvme *nvme) {
    struct nvme_function *function = nvme->active_first;
    nvme->active_first = function->next_active;
    function->active = false;
    function->credit = quota(function);
}

void nvme_sq_ready(struct nvme_sq *sq) {
    struct nvme_function *function = sq->function;
    if (!sq->listed && may_be_fetched(sq) && function->ready && !function->fatal) {
        sq->listed = true;
        sq->next_ready = NULL;
        if (sq->id != 0) { /* the admin queue is in no line: it goes first */
            *(function->ready_first == NULL ? &function->ready_first : &function->ready_last->next_ready) = sq;
            function->ready_last = sq;
        }
    }
    line_up(function);
}

void nvme_function_withdraw(struct nvme_function *function) {
    struct nvme *nvme = function->nvme;
    for (struct nvme_sq *sq = function->ready_first; sq != NULL; sq = sq->next_ready) {
        sq->listed = false;
    }
    function->sqs[0].listed = false;
    function->ready_first = NULL;
    function->credit = quota(function);
    if (!function->active) {
        return;
    }
    struct nvme_function *before = NULL;
    for (struct nvme_function *each = nvme->active_first; each != function; each = each->next_active) {
        before = each;
    }
    *(before != NULL ? &before->next_active : &nvme->active_first) = function->next_active;
    nvme->active_last = nvme->active_last == function ? before : nvme->active_last;
    function->active = false;
}

/* ---- one fetch ---- */

static struct nvme_command *take_command(struct nvme *nvme, struct nvme_sq *sq) {
    struct nvme_command *command = nvme->free_commands;
    nvme->free_commands = command->next;
    nvme->free_count--;
    command->function = sq->function;
    command->sq = sq;
    command->generation = sq->function->generation;
    command->request = sq->riders[sq->head];
    command->owner = nvme->components.queue;
    command->result = 0;
    command->next = NULL;
    sq->riders[sq->head] = NULL;
    sq->head = (sq->head + 1) % sq->entries;
    sq->under_way++;
    sq->cq->taken++;
    sq->function->under_way++;
    return command;
}

static void fetched(struct dma_op *op) {
    struct nvme_fetch *fetch = op->context;
    struct nvme_function *function = fetch->function;
    struct nvme *nvme = function->nvme;
    const bool stale = fetch->generation != function->generation;
    const bool fault = op->status != DMA_DONE;
    function->fetching -= stale ? 0 : 1;
    if (fault && !stale) {
        nvme_function_fatal(function); /* its commands are unknown: software can only reset it */
    }
    for (uint32_t i = 0; i < fetch->count; i++) {
        struct nvme_command *command = fetch->commands[i];
        command->sqe = fetch->entries[i];
        if (stale || fault) {
            nvme_drop(command);
        } else if (command->request != NULL) {
            ledger_turn_at(command->request, LEDGER_WAITING, sim_now());
            nvme_limit(command);
        } else {
            nvme_limit(command);
        }
    }
    fetch->next = nvme->free_fetches;
    nvme->free_fetches = fetch;
    nvme_sq_ready(&function->sqs[0]); /* a limited controller may go on */
    nvme_pump(nvme);
}

static struct nvme_fetch *take_fetch(struct nvme *nvme) {
    struct nvme_fetch *fetch = nvme->free_fetches;
    if (fetch == NULL) {
        fetch = calloc(1, sizeof *fetch);
        SIM_ASSERT_MSG(fetch != NULL, "out of memory");
        fetch->all_next = nvme->all_fetches;
        nvme->all_fetches = fetch;
        return fetch;
    }
    nvme->free_fetches = fetch->next;
    return fetch;
}

static void start_fetch(struct nvme_sq *sq, uint32_t count) {
    struct nvme_function *function = sq->function;
    struct nvme *nvme = function->nvme;
    struct nvme_fetch *fetch = take_fetch(nvme);
    fetch->function = function;
    fetch->generation = function->generation;
    fetch->count = count;
    fetch->op.function = &function->pcie;
    fetch->op.next = NULL;
    fetch->op.address = sq->base + (uint64_t)sq->head * NVME_SQE_BYTES;
    fetch->op.length_bytes = count * NVME_SQE_BYTES;
    fetch->op.write = false;
    fetch->op.data = fetch->entries;
    fetch->op.owner = nvme->components.queue;
    fetch->op.done = fetched;
    fetch->op.context = fetch;
    for (uint32_t i = 0; i < count; i++) {
        fetch->commands[i] = take_command(nvme, sq);
    }
    /* Of the requests that wait for this fetch, the last tells in its ledger what it
     * was like; the others wait for it. */
    fetch->op.request = fetch->commands[count - 1]->request;
    function->fetching++;
    dma_submit(&fetch->op);
}

/* ---- the arbiter ---- */

static uint32_t least(uint64_t a, uint64_t b) {
    return (uint32_t)(a < b ? a : b);
}

/* How many commands of the queue may be fetched at once. */
static uint32_t fetchable(const struct nvme_sq *sq) {
    const struct nvme_function *function = sq->function;
    const struct nvme *nvme = function->nvme;
    const struct nvme_config *config = nvme->config;
    const uint32_t exponent = function->arbitration_feature & 7; /* AB (4.13): 7 is no limit */
    uint32_t count = least(unread(sq), sq->entries - sq->head);
    count = least(count, config->fetch_max);
    count = least(count, nvme->free_count);
    count = least(count, function->credit);
    count = least(count, sq->cq->entries - 1 - sq->cq->taken);
    count = exponent == 7 ? count : least(count, UINT32_C(1) << exponent);
    if (config->commands_per_function != 0) {
        count = least(count, config->commands_per_function - function->under_way);
    }
    return nvme_is_limited(function) ? least(count, 1) : count;
}

/* A controller at its share of slots, or in its limit, comes back when a command of
 * its own ends or passes. Its admin queue knows no limit. */
static bool must_wait(const struct nvme_function *function) {
    const uint64_t share = function->nvme->config->commands_per_function;
    if (share != 0 && function->under_way >= share) {
        return true;
    }
    return !function->sqs[0].listed && nvme_is_limited(function) &&
           (function->limited != NULL || function->fetching > 0);
}

static void fetch_from(struct nvme_sq *sq) {
    sq->listed = false;
    if (may_be_fetched(sq)) {
        const uint32_t count = fetchable(sq);
        sq->function->credit -= count;
        start_fetch(sq, count);
        nvme_sq_ready(sq);
    }
}

static void serve(struct nvme *nvme) {
    struct nvme_function *function = nvme->active_first;
    struct nvme_sq *sq = function->ready_first;
    if (function->sqs[0].listed) {
        fetch_from(&function->sqs[0]);
    } else {
        function->ready_first = sq->next_ready;
        fetch_from(sq);
    }
    if (function->ready_first == NULL && !function->sqs[0].listed) {
        step_out(nvme);
    } else if (function->credit == 0) {
        step_out(nvme);
        line_up(function);
    }
}

void nvme_pump(struct nvme *nvme) {
    while (nvme->free_count > 0 && nvme->active_first != NULL) {
        if (must_wait(nvme->active_first)) {
            step_out(nvme);
        } else {
            serve(nvme);
        }
    }
}
