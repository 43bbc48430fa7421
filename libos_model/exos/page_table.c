#include "libos_model/exos/page_table.h"

#include "kernel_model/exo/aegis_user.h"

enum { LINEAR_BYTES = 4, HASHED_BYTES = 8 };

static void step(struct exos_vm *vm, struct cost *cost) {
    aegis_user_step(vm->environment, cost);
}

/* The table lies in guaranteed pages of its own: it is always there. */
uint32_t exos_table_get(struct exos_vm *vm, uint32_t entry) {
    uint32_t value = 0;
    const bool there = aegis_user_load(vm->environment, entry, 4, &value);
    SIM_ASSERT(there);
    return value;
}

void exos_table_set(struct exos_vm *vm, uint32_t entry, uint32_t value) {
    const bool there = aegis_user_store(vm->environment, entry, 4, value);
    SIM_ASSERT(there);
}

uint64_t exos_table_size(struct exos_vm *vm, uint64_t pages) {
    if (vm->costs->page_table == EXOS_TABLE_LINEAR) {
        vm->capacity = (pages * LINEAR_BYTES + AEGIS_PAGE - 1) / AEGIS_PAGE * AEGIS_PAGE / LINEAR_BYTES;
        return vm->capacity * LINEAR_BYTES / AEGIS_PAGE;
    }
    vm->capacity = AEGIS_PAGE / HASHED_BYTES;
    while (vm->capacity < 2 * pages) { /* half full at most: chains stay short */
        vm->capacity *= 2;
    }
    return vm->capacity * HASHED_BYTES / AEGIS_PAGE;
}

/* Knuth's multiplicative hash (The Art of Computer Programming, vol. 3, 6.4): the upper
 * bits of the product with 2^32 divided by the golden ratio. */
static uint64_t hash(const struct exos_vm *vm, uint32_t address) {
    const uint32_t product = (address >> AEGIS_PAGE_BITS) * UINT32_C(2654435769);
    return ((uint64_t)product * vm->capacity) >> 32;
}

/* Linear probing. A tag of 0 is an empty entry: page 0 is never mapped. */
static uint32_t hashed_entry(struct exos_vm *vm, uint32_t address, bool make) {
    const uint32_t page = address & AEGIS_PAGE_MASK;
    uint64_t slot = hash(vm, address);
    step(vm, &vm->costs->page_walk);
    for (uint64_t i = 0; i < vm->capacity; i++) {
        const uint32_t at = EXOS_TABLE_AT + (uint32_t)slot * HASHED_BYTES;
        const uint32_t tag = exos_table_get(vm, at);
        step(vm, &vm->costs->hash_probe);
        vm->probes++;
        if (tag == page) {
            return at + 4;
        }
        if (tag == 0) {
            if (make) {
                exos_table_set(vm, at, page);
            }
            return make ? at + 4 : 0;
        }
        slot = (slot + 1) % vm->capacity;
    }
    return 0;
}

uint32_t exos_table_entry(struct exos_vm *vm, uint32_t address, bool make) {
    const uint64_t index = ((uint64_t)address - EXOS_DATA_AT) / AEGIS_PAGE;
    if (vm->table_pages == 0 || address < EXOS_DATA_AT || index >= vm->capacity) {
        return 0;
    }
    if (vm->costs->page_table == EXOS_TABLE_HASHED) {
        return hashed_entry(vm, address, make);
    }
    step(vm, &vm->costs->page_walk);
    return EXOS_TABLE_AT + (uint32_t)index * LINEAR_BYTES;
}

uint32_t exos_table_next(struct exos_vm *vm, uint32_t entry, uint32_t address) {
    return vm->costs->page_table == EXOS_TABLE_LINEAR ? entry + LINEAR_BYTES : exos_table_entry(vm, address, false);
}
