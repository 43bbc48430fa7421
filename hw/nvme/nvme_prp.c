/* Physical region pages (4.3): where a command's data lie, and their way between
 * memory and the command's buffer.
 *
 * PRP1 may point anywhere on a 4-byte boundary; what follows are whole pages. Two
 * pages stand in the command; of more, PRP2 points to a list, whose last entry points
 * to the next list if there are still more. */
#include <stdlib.h>

#include "hw/nvme/nvme_internal.h"
#include "sim/error.h"

enum { ENTRY_BYTES = 8, PRP_ALIGNMENT = 4, OP_PAGES_MAX = 3 }; /* three pages and a part: at most 4 frames */

uint8_t *nvme_buffer(struct nvme_command *command, uint64_t bytes) {
    if (bytes > command->buffer_capacity) {
        free(command->buffer);
        command->buffer = malloc(bytes);
        SIM_ASSERT_MSG(command->buffer != NULL, "out of memory");
        command->buffer_capacity = bytes;
    }
    return command->buffer;
}

static void reserve_pages(struct nvme_command *command, uint32_t count) {
    if (count <= command->pages_capacity) {
        return;
    }
    free(command->pages);
    free(command->ops);
    command->pages = calloc(count, sizeof *command->pages);
    command->ops = calloc(count, sizeof *command->ops);
    SIM_ASSERT_MSG(command->pages != NULL && command->ops != NULL, "out of memory");
    command->pages_capacity = count;
}

/* ---- lists ---- */

static void read_list(struct nvme_command *command, uint64_t address);

static void list_read(struct dma_op *op) {
    struct nvme_command *command = op->context;
    if (nvme_is_stale(command)) {
        nvme_drop(command);
        return;
    }
    if (op->status != DMA_DONE) {
        command->function->counters.transfer_faults++;
        nvme_complete(command, NVME_DATA_TRANSFER_ERROR);
        return;
    }
    const uint32_t entries = op->length_bytes / ENTRY_BYTES;
    const uint64_t *read = &command->pages[command->pages_known];
    for (uint32_t i = 0; i < entries; i++) { /* a pointer to the next list is page-aligned, too */
        if (read[i] % NVME_PAGE_BYTES != 0) {
            nvme_complete(command, NVME_PRP_OFFSET_INVALID);
            return;
        }
    }
    if (command->pages_known + entries == command->page_count) {
        command->pages_known = command->page_count;
        command->then(command);
        return;
    }
    command->pages_known += entries - 1;
    read_list(command, command->pages[command->pages_known]);
}

static void read_list(struct nvme_command *command, uint64_t address) {
    const uint64_t room = (NVME_PAGE_BYTES - address % NVME_PAGE_BYTES) / ENTRY_BYTES;
    const uint32_t missing = command->page_count - command->pages_known;
    struct dma_op *op = &command->ops[0];
    op->function = &command->function->pcie;
    op->next = NULL;
    op->address = address;
    op->length_bytes = (uint32_t)(missing < room ? missing : room) * ENTRY_BYTES;
    op->write = false;
    op->data = &command->pages[command->pages_known];
    op->request = command->request;
    op->owner = command->owner;
    op->done = list_read;
    op->context = command;
    dma_submit(op);
}

void nvme_find_pages(struct nvme_command *command, uint64_t length_bytes, nvme_step *then) {
    const uint64_t prp1 = command->sqe.prp1;
    const uint64_t prp2 = command->sqe.prp2;
    const uint64_t offset = prp1 % NVME_PAGE_BYTES;
    command->length_bytes = length_bytes;
    command->page_count = (uint32_t)((offset + length_bytes + NVME_PAGE_BYTES - 1) / NVME_PAGE_BYTES);
    (void)nvme_buffer(command, length_bytes);
    reserve_pages(command, command->page_count);
    command->pages[0] = prp1;
    command->pages_known = 1;
    command->then = then;
    if (prp1 % PRP_ALIGNMENT != 0 || (command->page_count == 2 && prp2 % NVME_PAGE_BYTES != 0) ||
        (command->page_count > 2 && prp2 % ENTRY_BYTES != 0)) {
        nvme_complete(command, NVME_PRP_OFFSET_INVALID);
        return;
    }
    if (command->page_count > 2) {
        read_list(command, prp2);
        return;
    }
    if (command->page_count == 2) {
        command->pages[1] = prp2;
        command->pages_known = 2;
    }
    then(command);
}

/* ---- data ---- */

/* Bytes of the data in one of its pages. */
static uint32_t bytes_in_page(const struct nvme_command *command, uint32_t page, uint64_t before) {
    const uint64_t room = NVME_PAGE_BYTES - (page == 0 ? command->pages[0] % NVME_PAGE_BYTES : 0);
    const uint64_t left = command->length_bytes - before;
    return (uint32_t)(left < room ? left : room);
}

/* Pages that follow each other go in one operation. */
struct dma_op *nvme_plan_data(struct nvme_command *command, bool write) {
    struct dma_op *op = NULL;
    uint64_t done = 0;
    uint32_t pages = 0; /* of this operation */
    command->op_count = 0;
    for (uint32_t page = 0; page < command->page_count; page++) {
        const uint32_t bytes = bytes_in_page(command, page, done);
        if (op != NULL && pages < OP_PAGES_MAX && op->address + op->length_bytes == command->pages[page]) {
            op->length_bytes += bytes;
            pages++;
        } else {
            struct dma_op *next = &command->ops[command->op_count++];
            *(op != NULL ? &op->next : &next->next) = next;
            op = next;
            op->next = NULL;
            op->function = &command->function->pcie;
            op->address = command->pages[page];
            op->length_bytes = bytes;
            op->write = write;
            op->data = command->buffer + done;
            op->request = NULL;
            op->done = NULL;
            op->context = command;
            pages = 1;
        }
        done += bytes;
    }
    return op;
}

bool nvme_pages_reachable(const struct nvme_command *command) {
    const struct machine *machine = command->nvme->device->machine;
    uint64_t done = 0;
    for (uint32_t page = 0; page < command->page_count; page++) {
        const uint32_t bytes = bytes_in_page(command, page, done);
        uint64_t physical = 0;
        if (!iommu_peek(machine->iommu, command->function->pcie.requester_id, command->pages[page], true, &physical) ||
            !memory_contains(machine->memory, physical, bytes)) {
            return false;
        }
        done += bytes;
    }
    return true;
}

static void data_read(struct dma_op *op) {
    struct nvme_command *command = op->context;
    if (nvme_is_stale(command)) {
        nvme_drop(command);
        return;
    }
    for (uint32_t i = 0; i < command->op_count; i++) {
        if (command->ops[i].status != DMA_DONE) {
            command->function->counters.transfer_faults++;
            nvme_complete(command, NVME_DATA_TRANSFER_ERROR);
            return;
        }
    }
    command->then(command);
}

void nvme_read_data(struct nvme_command *command, nvme_step *then) {
    struct dma_op *last = nvme_plan_data(command, false);
    command->then = then;
    command->ops[0].request = command->request;
    command->ops[0].owner = command->owner;
    last->done = data_read;
    dma_submit(&command->ops[0]);
}
