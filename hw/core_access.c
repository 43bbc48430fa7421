/* core_access.c: what a context does with memory and devices. */
#include "hw/core_internal.h"

void cpu_touch(struct context *context, uint64_t physical, uint32_t length_bytes, bool write) {
    const struct core *core = context->core;
    context_charge_stall(
        context, cache_touch(core->machine->cache, core->index, physical, length_bytes, write, CACHE_DEPENDENT));
}

/* Source and destination are two streams that the fill buffers serve at the same
 * time, so the longer stall hides the shorter. What the copy's instructions take
 * comes on top: they wait for the first line and then run no faster than data
 * arrives. */
void cpu_copy(struct context *context, uint64_t to_physical, uint64_t from_physical, uint32_t length_bytes) {
    const struct core *core = context->core;
    struct cache *cache = core->machine->cache;
    if (length_bytes == 0) {
        return;
    }
    const uint64_t rate = core->config.copy_bytes_per_cycle;
    const uint64_t source = cache_touch(cache, core->index, from_physical, length_bytes, false, CACHE_SEQUENTIAL);
    const uint64_t target = cache_touch(cache, core->index, to_physical, length_bytes, true, CACHE_SEQUENTIAL);
    context_charge_stall(context, source > target ? source : target);
    cpu_charge(context, (length_bytes + rate - 1) / rate);
    memory_copy(core->machine->memory, to_physical, from_physical, length_bytes);
}

/* ---- user mode ---- */

uint64_t context_page_faults(const struct context *context) {
    return context->page_faults;
}

/* What the hardware makes of an address at this instant. A misaligned access to a
 * device page faults too (an alignment check), so none crosses a page. */
static bool translate(struct context *context, uint64_t address, uint32_t size_bytes, bool write, uint64_t *physical) {
    SIM_ASSERT_MSG(size_bytes == 1 || size_bytes == 2 || size_bytes == 4 || size_bytes == 8, "an access of %u bytes",
                   size_bytes);
    *physical = address;
    if (address % size_bytes == 0 &&
        (context->space == NULL || address_space_translate(context->space, address, write, true, physical))) {
        return true;
    }
    context->page_faults++;
    context->core->page_faults++;
    return false;
}

static void store(struct memory *memory, uint64_t physical, uint32_t size_bytes, uint64_t value) {
    uint8_t bytes[8];
    for (uint32_t i = 0; i < size_bytes; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
    memory_write(memory, physical, bytes, size_bytes);
}

static uint64_t load(const struct memory *memory, uint64_t physical, uint32_t size_bytes) {
    uint8_t bytes[8] = {0};
    uint64_t value = 0;
    memory_read(memory, physical, bytes, size_bytes);
    for (uint32_t i = size_bytes; i > 0; i--) {
        value = value << 8 | bytes[i - 1];
    }
    return value;
}

/* Whether an access goes to memory rather than over PCIe, where an address that is
 * nobody's is dropped and counted. */
static bool is_memory(const struct machine *machine, uint64_t physical, uint32_t size_bytes) {
    return !pcie_is_mmio(machine->pcie, physical) && memory_contains(machine->memory, physical, size_bytes);
}

/* Translated when the instruction executes, after what was charged before it: a
 * binding revoked meanwhile is gone. */
bool cpu_mmio_write(struct context *context, uint64_t address, uint32_t size_bytes, uint64_t value,
                    struct request *request, ledger_component owner) {
    struct machine *machine = context->core->machine;
    uint64_t physical = 0;
    cpu_charge(context, pcie_root_configuration(machine->pcie)->mmio_write_cycles);
    cpu_run(context);
    if (!translate(context, address, size_bytes, true, &physical)) {
        return false;
    }
    if (is_memory(machine, physical, size_bytes)) {
        store(machine->memory, physical, size_bytes, value);
        return true;
    }
    if (request == NULL) {
        pcie_mmio_write(machine->pcie, physical, size_bytes, value);
        return true;
    }
    SIM_ASSERT_MSG(request->owner == owner, "%s rings for a request that %s owns", ledger_component_name(owner),
                   ledger_component_name(request->owner));
    pcie_mmio_write_for(machine->pcie, physical, size_bytes, value, request, owner);
    if (context->request == request) {
        context->request = NULL;
    }
    return true;
}

bool cpu_mmio_read(struct context *context, uint64_t address, uint32_t size_bytes, uint64_t *value) {
    struct machine *machine = context->core->machine;
    uint64_t physical = 0;
    *value = 0;
    cpu_run(context);
    if (!translate(context, address, size_bytes, false, &physical)) {
        return false;
    }
    if (is_memory(machine, physical, size_bytes)) {
        cpu_touch(context, physical, size_bytes, false);
        *value = load(machine->memory, physical, size_bytes);
        return true;
    }
    cpu_charge_time(context, pcie_root_configuration(machine->pcie)->mmio_read_latency);
    cpu_run(context);
    *value = pcie_mmio_read(machine->pcie, physical, size_bytes);
    return true;
}
