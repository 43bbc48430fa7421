#include "kernel_model/exo/stlb.h"

static uint32_t address_of(const struct stlb *stlb, uint32_t hi) {
    return R3000_KSEG0 | (uint32_t)(stlb->physical + stlb_slot(stlb, hi) * STLB_ENTRY_BYTES);
}

uint64_t stlb_slot(const struct stlb *stlb, uint32_t hi) {
    const uint32_t page = hi >> R3000_PAGE_BITS;
    const uint32_t asid = (hi & R3000_HI_ASID) >> R3000_ASID_SHIFT;
    return (page ^ asid << 6) & (stlb->entries - 1);
}

bool stlb_probe(struct stlb *stlb, struct cost *cost, uint32_t hi, uint32_t *lo) {
    if (stlb->entries == 0) {
        return false;
    }
    const uint32_t address = address_of(stlb, hi);
    const uint32_t tag = r3000_kernel_load(stlb->cpu, address);
    *lo = r3000_kernel_load(stlb->cpu, address + 4);
    r3000_execute(stlb->cpu, cost->cycles);
    cost->uses++;
    const bool hit = tag == hi && (*lo & R3000_LO_VALID) != 0;
    stlb->hits += hit ? 1 : 0;
    stlb->misses += hit ? 0 : 1;
    return hit;
}

void stlb_insert(struct stlb *stlb, uint32_t hi, uint32_t lo) {
    if (stlb->entries == 0) {
        return;
    }
    const uint32_t address = address_of(stlb, hi), physical = address & R3000_UNMAPPED_MASK;
    const uint32_t tag = memory_read32(stlb->cpu->memory, physical);
    const bool taken = (memory_read32(stlb->cpu->memory, physical + 4) & R3000_LO_VALID) != 0;
    stlb->conflicts += taken && tag != hi ? 1 : 0;
    stlb->inserts++;
    r3000_kernel_store(stlb->cpu, address, hi);
    r3000_kernel_store(stlb->cpu, address + 4, lo);
}

void stlb_remove(struct stlb *stlb, uint32_t hi) {
    if (stlb->entries == 0) {
        return;
    }
    const uint32_t address = address_of(stlb, hi);
    if (r3000_kernel_load(stlb->cpu, address) == hi) {
        r3000_kernel_store(stlb->cpu, address + 4, 0);
    }
}
