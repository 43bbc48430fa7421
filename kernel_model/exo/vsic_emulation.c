/* vsic_emulation.c: the emulating core's loop. */
#include <string.h>

#include "hw/mmu_regs.h"
#include "kernel_model/exo/vsic_emulation_internal.h"
#include "stack/udp_stack.h"

ledger_component exo_emulation_component;

void exo_emulation_declare_components(void) {
    static const struct ledger_declaration declaration = {"vsic_emulation", "cpu", "VSIC emulation", NULL};
    exo_emulation_component = ledger_declare(&declaration);
}

static void charge(struct exo_emulation *emulation, struct cost *cost) {
    (void)stack_charge(emulation->context, cost, 1.0, emulation->kernel->working_set);
}

/* ---- a request's checks ---- */

/* The library's page table, entry by entry, through this core's caches. */
static bool walk(struct exo_emulation *emulation, struct exo_environment *holder, uint64_t address, bool write,
                 uint64_t *physical) {
    const struct memory *memory = emulation->kernel->machine->memory;
    uint64_t needed = MMU_PTE_PRESENT | MMU_PTE_USER;
    needed |= write ? MMU_PTE_WRITABLE : 0;
    uint64_t table = address_space_root(holder->space);
    emulation->counters.page_walks++;
    charge(emulation, &emulation->kernel->costs->emulation_walk);
    if (address >> (MMU_VIRTUAL_BITS - 1) != 0) {
        return false;
    }
    for (unsigned level = MMU_LEVELS; level > 0; level--) {
        const unsigned shift = MMU_PAGE_BITS + (level - 1) * MMU_INDEX_BITS;
        const uint64_t index = address >> shift & ((1U << MMU_INDEX_BITS) - 1);
        const uint64_t at = table + index * MMU_ENTRY_BYTES;
        cpu_touch(emulation->context, at, MMU_ENTRY_BYTES, false);
        const uint64_t entry = memory_read64(memory, at);
        if ((entry & needed) != needed) {
            return false;
        }
        table = entry & MMU_PTE_ADDRESS;
    }
    *physical = table + address % MEMORY_FRAME_BYTES;
    return memory_contains(memory, table, MEMORY_FRAME_BYTES); /* a device's registers are no buffer */
}

/* The physical function may reach the frame from now on. */
static bool admit(struct exo_emulation *emulation, uint64_t physical) {
    const uint64_t frame = physical / MEMORY_FRAME_BYTES * MEMORY_FRAME_BYTES;
    const struct iommu *iommu = emulation->kernel->machine->iommu;
    uint64_t ignored = 0;
    return iommu_mode(iommu) != IOMMU_ON || iommu_peek(iommu, emulation->pcie->requester_id, frame, true, &ignored) ||
           iommu_map(emulation->domain, frame, frame, MEMORY_FRAME_BYTES, IOMMU_READ | IOMMU_WRITE) == OK;
}

static bool add_segment(struct exo_emulation *emulation, struct exo_environment *holder, uint64_t address,
                        uint32_t length_bytes, struct block_io *io) {
    while (length_bytes > 0) {
        const uint32_t room = MEMORY_FRAME_BYTES - (uint32_t)(address % MEMORY_FRAME_BYTES);
        const uint32_t take = length_bytes < room ? length_bytes : room;
        uint64_t physical = 0;
        if (io->segment_count == BLOCK_SEGMENTS_MAX ||
            !walk(emulation, holder, address, io->operation == BLOCK_READ, &physical) || !admit(emulation, physical)) {
            return false;
        }
        io->segments[io->segment_count++] = (struct block_segment){physical, physical, take};
        address += take;
        length_bytes -= take;
    }
    return true;
}

static enum error_code refuse(uint64_t *counter, enum error_code code) {
    ++*counter;
    return code;
}

static enum error_code check_area(struct exo_emulation *emulation, const struct exo_emulated *emulated,
                                  const struct exo_ring_request *request) {
    struct exo_emulation_counters *counters = &emulation->counters;
    uint32_t slot = 0;
    while (slot < EXO_VSIC_AREAS &&
           (emulated->areas[slot].vsa == NULL || emulated->areas[slot].vsa->nsid != request->nsid)) {
        slot++;
    }
    if (slot == EXO_VSIC_AREAS) {
        return refuse(&counters->refused_not_attached, ERR_DENIED);
    }
    if (request->operation == EXO_RING_WRITE && (emulated->areas[slot].rights & NVME_RIGHT_WRITE) == 0) {
        return refuse(&counters->refused_read_only, ERR_DENIED);
    }
    const uint64_t blocks = emulated->areas[slot].vsa->blocks;
    if (request->operation != EXO_RING_FLUSH &&
        (request->blocks == 0 || request->block >= blocks || request->blocks > blocks - request->block)) {
        return refuse(&counters->refused_out_of_range, ERR_RANGE);
    }
    return OK;
}

enum error_code exo_emulation_translate(struct exo_emulation *emulation, struct exo_emulated *emulated,
                                        const struct exo_ring_request *request, struct exo_emulated_io *slot) {
    static const enum block_operation operations[] = {BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH};
    struct exo_emulation_counters *counters = &emulation->counters;
    if (request->operation > EXO_RING_FLUSH || request->segment_count > EXO_RING_SEGMENTS) {
        return refuse(&counters->refused_malformed, ERR_RANGE);
    }
    const enum error_code code = check_area(emulation, emulated, request);
    if (code != OK) {
        return code;
    }
    slot->io = (struct block_io){.operation = operations[request->operation],
                                 .force_unit_access = (request->flags & EXO_RING_FUA) != 0,
                                 .block = request->block,
                                 .blocks = request->blocks,
                                 .context = slot,
                                 .owner = exo_emulation_component};
    if (request->operation == EXO_RING_FLUSH) {
        slot->io.force_unit_access = false;
        slot->io.block = slot->io.blocks = 0;
        return OK;
    }
    for (uint32_t i = 0; i < request->segment_count; i++) {
        if (!add_segment(emulation, emulated->vsic->holder, request->segments[i].address,
                         request->segments[i].length_bytes, &slot->io)) {
            return refuse(&counters->refused_memory, ERR_FAULT);
        }
    }
    return nvme_pair_describable(&emulation->pair, &slot->io) ? OK
                                                              : refuse(&counters->refused_malformed, ERR_UNSUPPORTED);
}

/* ---- requests and answers ---- */

static void answer(struct exo_emulation *emulation, struct exo_emulated *emulated, uint16_t id, enum error_code status,
                   struct request *passenger) {
    struct memory *memory = emulation->kernel->machine->memory;
    struct context *context = emulation->context;
    const uint64_t at = exo_emulated_completion_at(emulated, emulated->answered);
    const struct exo_ring_completion completion = {
        .turn = emulated->answered / EXO_RING_ENTRIES + 1, .id = id, .status = (uint16_t)status};
    cpu_work_for(context, exo_emulation_component, passenger);
    charge(emulation, &emulation->kernel->costs->emulation_complete);
    cpu_touch(context, emulated->state, MEMORY_LINE_BYTES, true);
    cpu_touch(context, at, sizeof completion, true);
    cpu_pass_on(context, ledger_find("ready"), LEDGER_WAITING);
    cpu_run(context);
    emulated->answered++;
    emulation->counters.completions++;
    if (emulated->vsic == NULL) {
        ledger_abandon(passenger, "interface revoked", sim_now());
        return;
    }
    memory_write(memory, at, &completion, sizeof completion);
    memory_board(memory, at, passenger);
    memory_device_wrote(memory, at, sizeof completion);
}

static bool request_ready(const struct exo_emulation *emulation, const struct exo_emulated *emulated) {
    const uint64_t at = exo_emulated_request_at(emulated, emulated->taken);
    return memory_read64(emulation->kernel->machine->memory, at) == emulated->taken / EXO_RING_ENTRIES + 1;
}

/* What stands in a ring while there is none waits for a completion. */
static bool has_room(const struct exo_emulation *emulation, const struct exo_emulated *emulated) {
    return nvme_pair_room(&emulation->pair) && emulation->free_ios != NULL && emulated->under_way < EXO_RING_ENTRIES;
}

/* A request has been answered; false if that was the last of an interface that is gone. */
static bool let_go(struct exo_emulated *emulated) {
    emulated->under_way--;
    if (emulated->vsic != NULL || emulated->under_way > 0) {
        return true;
    }
    exo_emulated_free(emulated);
    return false;
}

/* Takes the next request; false if its interface was revoked meanwhile. */
static bool take(struct exo_emulation *emulation, struct exo_emulated *emulated) {
    struct memory *memory = emulation->kernel->machine->memory;
    struct context *context = emulation->context;
    const uint64_t at = exo_emulated_request_at(emulated, emulated->taken);
    struct request *passenger = memory_alight(memory, at);
    struct exo_emulated_io *slot = emulation->free_ios;
    struct exo_ring_request request;
    cpu_work_for(context, exo_emulation_component, passenger);
    cpu_copy(context, slot->copy, at, sizeof request);
    memory_read(memory, slot->copy, &request, sizeof request);
    emulated->taken++;
    emulated->under_way++;
    emulation->counters.requests++;
    charge(emulation, &emulation->kernel->costs->emulation_request);
    cpu_touch(context, emulated->state, 2 * MEMORY_LINE_BYTES, true);
    enum error_code code = exo_emulation_translate(emulation, emulated, &request, slot);
    if (code == OK) {
        slot->io.request = passenger;
        slot->id = request.id;
        slot->emulated = emulated;
        code = nvme_pair_submit(&emulation->pair, context, &slot->io, request.nsid);
    }
    if (code != OK) {
        answer(emulation, emulated, request.id, code, passenger);
        return let_go(emulated);
    }
    emulation->free_ios = slot->next_free;
    return true;
}

static void finish(struct exo_emulation *emulation, struct block_io *io) {
    struct exo_emulated_io *slot = io->context;
    struct exo_emulated *emulated = slot->emulated;
    answer(emulation, emulated, slot->id, io->status, io->request);
    slot->next_free = emulation->free_ios;
    emulation->free_ios = slot;
    (void)let_go(emulated);
}

/* ---- the loop ---- */

/* One turn over all rings, each with as many requests as it has weight. */
static bool take_requests(struct exo_emulation *emulation) {
    bool worked = false;
    for (uint32_t i = 0; i < EXO_EMULATED_MAX; i++) {
        struct exo_emulated *emulated = emulation->emulated[(emulation->next + i) % EXO_EMULATED_MAX];
        if (emulated == NULL || emulated->vsic == NULL) {
            continue;
        }
        cpu_touch(emulation->context, exo_emulated_request_at(emulated, emulated->taken), sizeof(uint64_t), false);
        const uint32_t weight = emulated->vsic->weight;
        for (uint32_t turn = 0; turn < weight; turn++) {
            if (!has_room(emulation, emulated) || !request_ready(emulation, emulated)) {
                break;
            }
            worked = true;
            if (!take(emulation, emulated) || emulated->vsic == NULL) { /* it ended meanwhile */
                break;
            }
        }
    }
    emulation->next = (emulation->next + 1) % EXO_EMULATED_MAX;
    return worked;
}

static void wake(void *context) {
    cpu_spin_wake(context);
}

/* Nothing to do: every line that could bring something is watched. */
static void rest(struct exo_emulation *emulation) {
    struct memory *memory = emulation->kernel->machine->memory;
    struct context *context = emulation->context;
    bool ready = nvme_pair_ready(&emulation->pair);
    for (uint32_t i = 0; i < EXO_EMULATED_MAX; i++) {
        struct exo_emulated *emulated = emulation->emulated[i];
        if (emulated != NULL && emulated->vsic != NULL) {
            memory_watch_set(memory, &emulated->watch, exo_emulated_request_at(emulated, emulated->taken), wake,
                             context);
            ready = ready || (has_room(emulation, emulated) && request_ready(emulation, emulated));
        }
    }
    memory_watch_set(memory, &emulation->watch, nvme_pair_line(&emulation->pair), wake, context);
    if (!ready) {
        cpu_spin(context, emulation->kernel->costs->emulation_poll.cycles + 1, exo_emulation_component);
    }
    for (uint32_t i = 0; i < EXO_EMULATED_MAX; i++) {
        if (emulation->emulated[i] != NULL) {
            memory_watch_clear(memory, &emulation->emulated[i]->watch);
        }
    }
    memory_watch_clear(memory, &emulation->watch);
}

void exo_emulation_main(void *argument) {
    struct exo_emulation *emulation = argument;
    struct context *context = emulation->context;
    for (;;) {
        cpu_work_for(context, exo_emulation_component, NULL);
        charge(emulation, &emulation->kernel->costs->emulation_poll);
        cpu_run(context);
        emulation->counters.turns++;
        bool worked = take_requests(emulation);
        if (worked) {
            (void)nvme_pair_ring(&emulation->pair, context);
        }
        struct block_io *io = NULL;
        while ((io = nvme_pair_reap(&emulation->pair, context)) != NULL) {
            finish(emulation, io);
            worked = true;
        }
        nvme_pair_release(&emulation->pair, context);
        cpu_work_for(context, exo_emulation_component, NULL);
        cpu_run(context);
        if (!worked) {
            rest(emulation);
        }
    }
}
