/* Read, Write, Flush and Dataset Management.
 *
 * What can be wrong with a command is looked at in this order: opcode, fields of
 * dword 0, namespace, rights, length, range, PRPs; the first gives the status. */
#include <stdlib.h>
#include <string.h>

#include "hw/nvme/nvme_internal.h"
#include "sim/error.h"

/* ---- the namespace ---- */

bool nvme_still_attached(const struct nvme_command *command) {
    const struct nvme_namespace *space = command->space;
    const unsigned right = command->sqe.opcode == NVME_READ ? NVME_RIGHT_READ : NVME_RIGHT_WRITE;
    return space->exists && space->generation == command->space_generation &&
           (command->function->rights[space->nsid] & right) != 0;
}

static enum nvme_status find_namespace(struct nvme_command *command, unsigned rights) {
    struct nvme_function *function = command->function;
    struct nvme *nvme = command->nvme;
    const uint32_t nsid = command->sqe.nsid;
    if (nsid == 0 || nsid > nvme->config->namespaces) { /* not a valid NSID (6.1.2) */
        function->counters.refused_not_attached++;
        return NVME_INVALID_NAMESPACE;
    }
    struct nvme_namespace *space = nvme_namespace_of(nvme, nsid);
    if (space == NULL || function->rights[nsid] == 0) { /* an inactive one (6.1.5) */
        function->counters.refused_not_attached++;
        return NVME_INVALID_FIELD;
    }
    if ((function->rights[nsid] & rights) != rights) {
        function->counters.refused_read_only++;
        return NVME_READ_ONLY_RANGE;
    }
    command->space = space;
    command->space_generation = space->generation;
    return NVME_SUCCESS;
}

static bool is_in_range(const struct nvme_command *command, uint64_t block, uint64_t blocks) {
    const uint64_t size = nvme_size_of(command->space);
    return block <= size && blocks <= size - block;
}

static uint64_t first_block(const struct nvme_sqe *sqe) {
    return sqe->dword10 | (uint64_t)sqe->dword11 << 32;
}

uint64_t nvme_io_bytes(const struct nvme_command *command) {
    const struct nvme *nvme = command->nvme;
    if (command->sqe.opcode != NVME_READ && command->sqe.opcode != NVME_WRITE) {
        return 0;
    }
    const uint64_t bytes = ((uint64_t)(command->sqe.dword12 & NVME_NLB_MASK) + 1) * nvme->block_bytes;
    return bytes < nvme->config->max_transfer_bytes ? bytes : nvme->config->max_transfer_bytes;
}

/* Length and range of a Read or Write. */
static enum nvme_status find_blocks(struct nvme_command *command) {
    const struct nvme *nvme = command->nvme;
    command->block = first_block(&command->sqe);
    command->blocks = (command->sqe.dword12 & NVME_NLB_MASK) + 1;
    if ((uint64_t)command->blocks * nvme->block_bytes > nvme->config->max_transfer_bytes) {
        return NVME_INVALID_FIELD; /* more than MDTS (5.15.2.2) */
    }
    if (!is_in_range(command, command->block, command->blocks)) {
        command->function->counters.refused_out_of_range++;
        return NVME_LBA_OUT_OF_RANGE;
    }
    return NVME_SUCCESS;
}

/* ---- the medium ---- */

static void part_done(struct media_command *part) {
    struct nvme_command *command = part->context;
    if (command->part_count > 1 && command->parts_left > 1) {
        ledger_release(part->request, sim_now());
    } else if (command->part_count > 1 && command->request != NULL) {
        ledger_join(command->request, part->request, sim_now());
    }
    if (--command->parts_left > 0) {
        return;
    }
    if (nvme_is_stale(command)) {
        nvme_drop(command);
    } else {
        command->then(command);
    }
}

static void add_part(struct nvme_command *command, enum media_operation operation, uint64_t drive_block,
                     uint64_t blocks) {
    const struct nvme *nvme = command->nvme;
    if (command->part_count == command->parts_capacity) {
        command->parts_capacity = command->parts_capacity == 0 ? 1 : 2 * command->parts_capacity;
        command->parts = realloc(command->parts, command->parts_capacity * sizeof *command->parts);
        SIM_ASSERT_MSG(command->parts != NULL, "out of memory");
    }
    struct media_command *part = &command->parts[command->part_count++];
    memset(part, 0, sizeof *part);
    part->operation = operation;
    part->offset_bytes = drive_block * nvme->block_bytes;
    part->length_bytes = blocks * nvme->block_bytes;
    part->owner = command->owner;
    part->done = part_done;
    part->context = command;
}

/* One part for each extent that a run of the namespace lies in. */
static void add_parts(struct nvme_command *command, enum media_operation operation, uint64_t block, uint64_t blocks) {
    while (blocks > 0) {
        uint64_t run = 0;
        const uint64_t place = nvme_map(command->space, block, &run);
        run = run < blocks ? run : blocks;
        add_part(command, operation, place, run);
        block += run;
        blocks -= run;
    }
}

static void submit_parts(struct nvme_command *command, nvme_step *then) {
    const uint32_t count = command->part_count;
    struct media *media = command->nvme->media;
    command->then = then;
    command->parts_left = count;
    for (uint32_t i = 0; i < count; i++) {
        struct request *request = command->request;
        command->parts[i].request = request != NULL && count > 1 ? ledger_fork(request, sim_now()) : request;
    }
    for (uint32_t i = 0; i < count; i++) {
        media_submit(media, &command->parts[i]);
    }
}

/* The store's side of a run of the namespace: for each extent's part of it. */
static void for_runs(struct nvme_command *command,
                     void (*act)(struct nvme_command *command, uint64_t place, uint32_t blocks, uint8_t *data)) {
    uint64_t block = command->block;
    uint32_t left = command->blocks;
    uint8_t *data = command->buffer;
    while (left > 0) {
        uint64_t run = 0;
        const uint64_t place = nvme_map(command->space, block, &run);
        const uint32_t blocks = run < left ? (uint32_t)run : left;
        act(command, place, blocks, data);
        data += (size_t)blocks * command->nvme->block_bytes;
        block += blocks;
        left -= blocks;
    }
}

/* ---- Read ---- */

static void load(struct nvme_command *command, uint64_t place, uint32_t blocks, uint8_t *data) {
    block_store_read(command->nvme->store, place, blocks, data);
}

static void read_from_medium(struct nvme_command *command) {
    if (!nvme_still_attached(command)) {
        nvme_complete(command, NVME_INVALID_FIELD);
        return;
    }
    for_runs(command, load);
    command->function->counters.read_bytes += command->length_bytes;
    nvme_complete_with_data(command);
}

static bool is_cached(const struct nvme_command *command) {
    uint64_t block = command->block;
    uint32_t left = command->blocks;
    while (left > 0) {
        uint64_t run = 0;
        const uint64_t place = nvme_map(command->space, block, &run);
        const uint32_t blocks = run < left ? (uint32_t)run : left;
        if (!nvme_cache_has(command->nvme, place, blocks)) {
            return false;
        }
        block += blocks;
        left -= blocks;
    }
    return true;
}

static void read_pages_known(struct nvme_command *command) {
    const struct nvme *nvme = command->nvme;
    if (!nvme_still_attached(command)) { /* the list's fetch took time */
        nvme_complete(command, NVME_INVALID_FIELD);
        return;
    }
    if (nvme->cache.latest.count > 0 && is_cached(command)) {
        command->function->counters.cache_hits++;
        nvme_wait(command, nvme->config->cache_latency, read_from_medium);
        return;
    }
    command->part_count = 0;
    add_parts(command, MEDIA_READ, command->block, command->blocks);
    submit_parts(command, read_from_medium);
}

static enum nvme_status io_read(struct nvme_command *command) {
    enum nvme_status status = find_namespace(command, NVME_RIGHT_READ);
    status = status == NVME_SUCCESS ? find_blocks(command) : status;
    command->function->counters.reads++;
    if (status == NVME_SUCCESS) {
        nvme_find_pages(command, (uint64_t)command->blocks * command->nvme->block_bytes, read_pages_known);
    }
    return status;
}

/* ---- Write ---- */

static void store_durably(struct nvme_command *command, uint64_t place, uint32_t blocks, uint8_t *data) {
    nvme_cache_forget(command->nvme, place, blocks);
    block_store_write(command->nvme->store, place, blocks, data, true);
}

static void written(struct nvme_command *command) {
    if (!nvme_still_attached(command)) {
        nvme_complete(command, NVME_INVALID_FIELD);
        return;
    }
    for_runs(command, store_durably);
    command->function->counters.write_bytes += command->length_bytes;
    nvme_complete(command, NVME_SUCCESS);
}

static void store_in_cache(struct nvme_command *command, uint64_t place, uint32_t blocks, uint8_t *data) {
    nvme_cache_put(command->nvme, command->space, place, blocks, data);
}

static void in_cache(struct nvme_command *command) {
    command->nvme->cache.promised_bytes -= command->promised_bytes;
    command->promised_bytes = 0;
    if (!nvme_still_attached(command)) {
        nvme_complete(command, NVME_INVALID_FIELD);
        return;
    }
    for_runs(command, store_in_cache);
    command->function->counters.write_bytes += command->length_bytes;
    nvme_complete(command, NVME_SUCCESS);
    nvme_cache_destage(command->nvme);
}

void nvme_write_cached(struct nvme_command *command) {
    nvme_own(command, command->nvme->components.processing, LEDGER_SERVICE);
    command->promised_bytes = command->length_bytes;
    command->nvme->cache.promised_bytes += command->length_bytes;
    nvme_wait(command, command->nvme->config->cache_latency, in_cache);
}

/* With a volatile cache, FUA and a cache that is switched off go to the medium. */
static bool goes_to_medium(const struct nvme_command *command) {
    const int cache = command->nvme->config->write_cache;
    const bool forced = (command->sqe.dword12 >> NVME_FORCE_UNIT_ACCESS_BIT & 1) != 0;
    return cache == NVME_CACHE_NONE || (cache == NVME_CACHE_VOLATILE && (forced || !command->function->write_cache));
}

static void write_data_here(struct nvme_command *command) {
    struct nvme *nvme = command->nvme;
    if (!nvme_still_attached(command)) {
        nvme_complete(command, NVME_INVALID_FIELD);
        return;
    }
    if (goes_to_medium(command)) {
        command->part_count = 0;
        add_parts(command, MEDIA_WRITE, command->block, command->blocks);
        submit_parts(command, written);
    } else if (nvme->cache.room_waiters == NULL && nvme_cache_room(nvme, command->length_bytes)) {
        nvme_write_cached(command);
    } else {
        nvme_wait_for_room(command);
    }
}

static void write_pages_known(struct nvme_command *command) {
    nvme_read_data(command, write_data_here);
}

static enum nvme_status io_write(struct nvme_command *command) {
    enum nvme_status status = find_namespace(command, NVME_RIGHT_WRITE);
    status = status == NVME_SUCCESS ? find_blocks(command) : status;
    command->function->counters.writes++;
    if (status == NVME_SUCCESS) {
        nvme_find_pages(command, (uint64_t)command->blocks * command->nvme->block_bytes, write_pages_known);
    }
    return status;
}

/* ---- Flush ---- */

static enum nvme_status io_flush(struct nvme_command *command) {
    command->function->counters.flushes++;
    command->space = NULL; /* all namespaces (VWC bits 2:1) */
    if (command->sqe.nsid != NVME_NSID_ALL) {
        const enum nvme_status status = find_namespace(command, 0);
        if (status != NVME_SUCCESS) {
            return status;
        }
    }
    nvme_flush(command);
    return NVME_SUCCESS;
}

/* ---- Dataset Management ---- */

static uint32_t range_count(const struct nvme_command *command) {
    return (command->sqe.dword10 & NVME_DSM_RANGES_MASK) + 1;
}

static struct nvme_dsm_range range_at(const struct nvme_command *command, uint32_t index) {
    struct nvme_dsm_range range;
    memcpy(&range, command->buffer + (size_t)index * sizeof range, sizeof range);
    return range;
}

static void deallocated(struct nvme_command *command) {
    struct nvme *nvme = command->nvme;
    if (!nvme_still_attached(command)) {
        nvme_complete(command, NVME_INVALID_FIELD);
        return;
    }
    for (uint32_t i = 0; i < command->part_count; i++) {
        const uint64_t place = command->parts[i].offset_bytes / nvme->block_bytes;
        const uint64_t blocks = command->parts[i].length_bytes / nvme->block_bytes;
        nvme_cache_forget(nvme, place, blocks);
        block_store_deallocate(nvme->store, place, blocks);
    }
    nvme_complete(command, NVME_SUCCESS);
}

static void ranges_here(struct nvme_command *command) {
    if (!nvme_still_attached(command)) {
        nvme_complete(command, NVME_INVALID_FIELD);
        return;
    }
    for (uint32_t i = 0; i < range_count(command); i++) {
        const struct nvme_dsm_range range = range_at(command, i);
        if (!is_in_range(command, range.first_block, range.blocks)) {
            command->function->counters.refused_out_of_range++;
            nvme_complete(command, NVME_LBA_OUT_OF_RANGE);
            return;
        }
    }
    command->part_count = 0;
    for (uint32_t i = 0; (command->sqe.dword11 & NVME_DSM_DEALLOCATE) != 0 && i < range_count(command); i++) {
        const struct nvme_dsm_range range = range_at(command, i);
        add_parts(command, MEDIA_DEALLOCATE, range.first_block, range.blocks);
    }
    if (command->part_count == 0) { /* hints alone */
        nvme_complete(command, NVME_SUCCESS);
    } else {
        submit_parts(command, deallocated);
    }
}

static void range_pages_known(struct nvme_command *command) {
    nvme_read_data(command, ranges_here);
}

static enum nvme_status io_dataset_management(struct nvme_command *command) {
    command->function->counters.deallocates++;
    const enum nvme_status status = find_namespace(command, NVME_RIGHT_WRITE);
    if (status == NVME_SUCCESS) {
        nvme_find_pages(command, range_count(command) * sizeof(struct nvme_dsm_range), range_pages_known);
    }
    return status;
}

/* ---- dispatch ---- */

void nvme_io(struct nvme_command *command) {
    enum nvme_status (*handler)(struct nvme_command *) = NULL;
    switch (command->sqe.opcode) {
    case NVME_READ:
        handler = io_read;
        break;
    case NVME_WRITE:
        handler = io_write;
        break;
    case NVME_FLUSH:
        handler = io_flush;
        break;
    case NVME_DATASET_MANAGEMENT:
        handler = io_dataset_management;
        break;
    default:
        nvme_complete(command, NVME_INVALID_OPCODE);
        return;
    }
    if ((command->sqe.flags & (NVME_FLAGS_FUSE | NVME_FLAGS_PSDT)) != 0) { /* no fused commands, no SGLs */
        nvme_complete(command, NVME_INVALID_FIELD);
        return;
    }
    const enum nvme_status status = handler(command);
    if (status != NVME_SUCCESS) {
        nvme_complete(command, status);
    }
}
