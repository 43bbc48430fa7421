/* Admin commands: their table, the queues' commands, abort and asynchronous events. */
#include <string.h>

#include "hw/nvme/nvme_internal.h"
#include "sim/error.h"

/* ---- queues (5.3 to 5.6) ---- */

static bool entry_sizes_are_set(const struct nvme_function *function) {
    return (function->cc >> NVME_CC_IOSQES_SHIFT & NVME_CC_ENTRY_MASK) == NVME_CC_IOSQES &&
           (function->cc >> NVME_CC_IOCQES_SHIFT & NVME_CC_ENTRY_MASK) == NVME_CC_IOCQES;
}

/* What is wrong with the part that both creations have in common. */
static enum nvme_status check_creation(const struct nvme_function *function, const struct nvme_sqe *sqe) {
    const uint32_t entries = (sqe->dword10 >> 16) + 1;
    if (entries < NVME_QUEUE_MIN || entries > function->nvme->config->queue_entries) {
        return NVME_INVALID_QUEUE_SIZE;
    }
    if ((sqe->dword11 & NVME_QUEUE_CONTIGUOUS) == 0 || !entry_sizes_are_set(function)) { /* CAP.CQR */
        return NVME_INVALID_FIELD;
    }
    return sqe->prp1 % NVME_PAGE_BYTES != 0 ? NVME_PRP_OFFSET_INVALID : NVME_SUCCESS;
}

static enum nvme_status create_cq(struct nvme_function *function, const struct nvme_sqe *sqe, uint8_t *data,
                                  uint32_t *result) {
    const uint32_t queue = sqe->dword10 & 0xffff;
    const uint32_t vector = sqe->dword11 >> 16;
    (void)data, (void)result;
    if (queue == 0 || queue > function->queue_count || function->cqs[queue].created) {
        return NVME_INVALID_QUEUE_ID;
    }
    const enum nvme_status status = check_creation(function, sqe);
    if (status != NVME_SUCCESS) {
        return status;
    }
    if (vector > function->queue_count || vector >= PCIE_MSIX_MAX) {
        return NVME_INVALID_VECTOR;
    }
    nvme_cq_create(&function->cqs[queue], sqe->prp1, (sqe->dword10 >> 16) + 1, (sqe->dword11 & NVME_CQ_INTERRUPTS) != 0,
                   (uint16_t)vector);
    return NVME_SUCCESS;
}

static enum nvme_status create_sq(struct nvme_function *function, const struct nvme_sqe *sqe, uint8_t *data,
                                  uint32_t *result) {
    const uint32_t queue = sqe->dword10 & 0xffff;
    const uint32_t cq = sqe->dword11 >> 16;
    (void)data, (void)result;
    if (cq == 0 || cq > function->queue_count) {
        return NVME_INVALID_QUEUE_ID;
    }
    if (!function->cqs[cq].created) {
        return NVME_CQ_INVALID;
    }
    if (queue == 0 || queue > function->queue_count || function->sqs[queue].created) {
        return NVME_INVALID_QUEUE_ID;
    }
    const enum nvme_status status = check_creation(function, sqe);
    if (status == NVME_SUCCESS) {
        nvme_sq_create(&function->sqs[queue], &function->cqs[cq], sqe->prp1, (sqe->dword10 >> 16) + 1);
    }
    return status;
}

static enum nvme_status delete_cq(struct nvme_function *function, const struct nvme_sqe *sqe, uint8_t *data,
                                  uint32_t *result) {
    const uint32_t queue = sqe->dword10 & 0xffff;
    (void)data, (void)result;
    if (queue == 0 || queue > function->queue_count || !function->cqs[queue].created) {
        return NVME_INVALID_QUEUE_ID;
    }
    if (function->cqs[queue].users > 0) {
        return NVME_INVALID_QUEUE_DELETION;
    }
    nvme_cq_delete(&function->cqs[queue]);
    return NVME_SUCCESS;
}

/* Fetches end at once; the queue is gone when the commands under way are completed. */
static enum nvme_status delete_sq(struct nvme_function *function, const struct nvme_sqe *sqe, uint8_t *data,
                                  uint32_t *result) {
    const uint32_t queue = sqe->dword10 & 0xffff;
    (void)data, (void)result;
    if (queue == 0 || queue > function->queue_count || !function->sqs[queue].created ||
        function->sqs[queue].deletion != NULL) {
        return NVME_INVALID_QUEUE_ID;
    }
    if (function->sqs[queue].under_way > 0) {
        return NVME_PENDING;
    }
    nvme_sq_delete(&function->sqs[queue]);
    return NVME_SUCCESS;
}

/* ---- abort (5.1) ---- */

/* What waits for its controller's rate limit can be aborted; what is being carried
 * out cannot. Bit 0 of the result: not aborted. */
static enum nvme_status abort_command(struct nvme_function *function, const struct nvme_sqe *sqe, uint8_t *data,
                                      uint32_t *result) {
    const uint32_t queue = sqe->dword10 & 0xffff;
    const uint32_t id = sqe->dword10 >> 16;
    (void)data;
    *result = 1;
    for (struct nvme_command *each = function->limited; each != NULL; each = each->next) {
        if (each->sq->id == queue && each->sqe.command_id == id) {
            (void)nvme_limit_withdraw(each);
            nvme_own(each, function->nvme->components.processing, LEDGER_SERVICE);
            function->counters.aborted++;
            *result = 0;
            nvme_complete(each, NVME_ABORT_REQUESTED);
            break;
        }
    }
    return NVME_SUCCESS;
}

/* ---- asynchronous events (5.2) ---- */

static enum nvme_status asynchronous_event(struct nvme_function *function, const struct nvme_sqe *sqe, uint8_t *data,
                                           uint32_t *result) {
    (void)data, (void)result;
    if (function->event_count == NVME_EVENTS_MAX) {
        return NVME_EVENT_LIMIT_EXCEEDED;
    }
    function->events[function->event_count++] = sqe->command_id;
    return NVME_PENDING;
}

enum nvme_status nvme_get_log_page(struct nvme_function *function, const struct nvme_sqe *sqe, uint8_t *data,
                                   uint32_t *result) {
    enum { ENTRY_BYTES = 64, RETAIN_BIT = 15 };
    const uint64_t bytes = (uint64_t)((sqe->dword10 >> 16 & 0xffff) + 1) * 4;
    (void)result;
    if ((sqe->dword10 & 0xff) != NVME_LOG_ERRORS) {
        return NVME_INVALID_LOG_PAGE;
    }
    if (bytes > NVME_IDENTIFY_BYTES) {
        return NVME_INVALID_FIELD;
    }
    memset(data, 0, NVME_IDENTIFY_BYTES);
    for (uint32_t i = 0; i < NVME_ERRORS_LOGGED && i < function->error_count; i++) { /* the newest first */
        const uint32_t place = (function->errors_head + NVME_ERRORS_LOGGED - 1 - i) % NVME_ERRORS_LOGGED;
        memcpy(data + (size_t)i * ENTRY_BYTES, &function->error_log[place].count, 8);
        memcpy(data + (size_t)i * ENTRY_BYTES + 8, &function->error_log[place].queue, 2);
        memcpy(data + (size_t)i * ENTRY_BYTES + 10, &function->error_log[place].status, 2);
    }
    if ((sqe->dword10 >> RETAIN_BIT & 1) == 0) {
        function->event_masked = false;
    }
    return NVME_SUCCESS;
}

/* ---- dispatch ---- */

enum data_way { NO_DATA, TO_HOST, FROM_HOST };

static const struct admin_command {
    uint8_t opcode;
    bool physical; /* the physical function's alone */
    enum data_way data;
    nvme_admin_handler *handler;
} admin_commands[] = {
    {NVME_ADMIN_DELETE_SQ, false, NO_DATA, delete_sq},
    {NVME_ADMIN_CREATE_SQ, false, NO_DATA, create_sq},
    {NVME_ADMIN_GET_LOG_PAGE, false, TO_HOST, nvme_get_log_page},
    {NVME_ADMIN_DELETE_CQ, false, NO_DATA, delete_cq},
    {NVME_ADMIN_CREATE_CQ, false, NO_DATA, create_cq},
    {NVME_ADMIN_IDENTIFY, false, TO_HOST, nvme_identify},
    {NVME_ADMIN_ABORT, false, NO_DATA, abort_command},
    {NVME_ADMIN_SET_FEATURES, false, NO_DATA, nvme_set_features},
    {NVME_ADMIN_GET_FEATURES, false, NO_DATA, nvme_get_features},
    {NVME_ADMIN_ASYNC_EVENT, false, NO_DATA, asynchronous_event},
    {NVME_ADMIN_NAMESPACE_MANAGEMENT, true, FROM_HOST, nvme_namespace_management},
    {NVME_ADMIN_NAMESPACE_ATTACHMENT, true, FROM_HOST, nvme_namespace_attachment},
};

static const struct admin_command *find_command(const struct nvme_function *function, const struct nvme_sqe *sqe,
                                                enum nvme_status *status) {
    *status = NVME_INVALID_OPCODE;
    for (size_t i = 0; i < sizeof admin_commands / sizeof admin_commands[0]; i++) {
        if (admin_commands[i].opcode == sqe->opcode && (!admin_commands[i].physical || function->number == 0)) {
            const bool plain = (sqe->flags & (NVME_FLAGS_FUSE | NVME_FLAGS_PSDT)) == 0;
            *status = plain ? NVME_SUCCESS : NVME_INVALID_FIELD;
            return plain ? &admin_commands[i] : NULL;
        }
    }
    return NULL;
}

/* Bytes that go over the link: a log page may be shorter than a page. */
static uint64_t data_bytes(const struct nvme_sqe *sqe) {
    return sqe->opcode == NVME_ADMIN_GET_LOG_PAGE ? (uint64_t)((sqe->dword10 >> 16 & 0xffff) + 1) * 4
                                                  : NVME_IDENTIFY_BYTES;
}

static void pend(struct nvme_command *command);

static void finish(struct nvme_command *command, enum nvme_status status) {
    if (status == NVME_PENDING) {
        pend(command);
    } else {
        nvme_complete(command, status);
    }
}

static void carry_out(struct nvme_command *command) {
    enum nvme_status status = NVME_SUCCESS;
    const struct admin_command *found = find_command(command->function, &command->sqe, &status);
    finish(command, found->handler(command->function, &command->sqe, command->buffer, &command->result));
}

static void fetch_data(struct nvme_command *command) {
    nvme_read_data(command, carry_out);
}

/* The command's slot is held by a deletion, but not by a request for events. */
static void pend(struct nvme_command *command) {
    struct nvme_function *function = command->function;
    if (command->sqe.opcode == NVME_ADMIN_DELETE_SQ) {
        function->sqs[command->sqe.dword10 & 0xffff].deletion = command;
        return;
    }
    struct nvme *nvme = command->nvme;
    nvme_abandon(command->request, "waits for an event");
    command->request = NULL;
    command->sq->under_way--;
    function->under_way--;
    command->next = nvme->free_commands;
    nvme->free_commands = command;
    nvme->free_count++;
    nvme_sq_ready(command->sq);
    nvme_pump(nvme);
}

void nvme_admin(struct nvme_command *command) {
    struct nvme_function *function = command->function;
    enum nvme_status status = NVME_SUCCESS;
    const struct admin_command *found = find_command(function, &command->sqe, &status);
    function->counters.admin_commands++;
    if (found == NULL) {
        nvme_complete(command, status);
    } else if (found->data == FROM_HOST) {
        nvme_find_pages(command, NVME_IDENTIFY_BYTES, fetch_data);
    } else if (found->data == TO_HOST) {
        status = found->handler(function, &command->sqe, nvme_buffer(command, NVME_IDENTIFY_BYTES), &command->result);
        if (status == NVME_SUCCESS) {
            nvme_find_pages(command, data_bytes(&command->sqe), nvme_complete_with_data);
        } else {
            nvme_complete(command, status);
        }
    } else {
        finish(command, found->handler(function, &command->sqe, NULL, &command->result));
    }
}

enum nvme_status nvme_admin_now(struct device *device, uint32_t function_number, const struct nvme_sqe *command,
                                void *data, uint32_t *result) {
    struct nvme *nvme = nvme_of(device);
    enum nvme_status status = NVME_SUCCESS;
    uint32_t dword0 = 0;
    SIM_ASSERT_MSG(function_number < nvme->function_count, "function %u of %u", function_number, nvme->function_count);
    struct nvme_function *function = &nvme->functions[function_number];
    const struct admin_command *found = find_command(function, command, &status);
    if (found == NULL) {
        return status;
    }
    const bool busy = command->opcode == NVME_ADMIN_DELETE_SQ && (command->dword10 & 0xffff) <= function->queue_count &&
                      function->sqs[command->dword10 & 0xffff].under_way > 0;
    if (!function->ready || busy || command->opcode == NVME_ADMIN_ABORT || command->opcode == NVME_ADMIN_ASYNC_EVENT) {
        return NVME_COMMAND_SEQUENCE_ERROR;
    }
    SIM_ASSERT_MSG(found->data == NO_DATA || data != NULL, "opcode 0x%02x has data", command->opcode);
    status = found->handler(function, command, data, &dword0);
    if (result != NULL) {
        *result = dword0;
    }
    return status;
}
