/* pmap_kernel.c: the kernel binds pages; the library's table is words, in two forms. */
#include "kernel_model/exo/aegis_user.h"
#include "libos_model/exos/pmap.h"

enum { LINEAR_BYTES = 4, HASHED_BYTES = 8 };

static void step(struct exos_vm *vm, struct cost *cost) {
    aegis_user_step(vm->environment, cost);
}

/* The table lies in guaranteed pages of its own: it is always there. */
static uint32_t get(struct exos_vm *vm, uint32_t entry) {
    uint32_t value = 0;
    const bool there = aegis_user_load(vm->environment, entry, 4, &value);
    SIM_ASSERT(there);
    return value;
}

static void set(struct exos_vm *vm, uint32_t entry, uint32_t value) {
    const bool there = aegis_user_store(vm->environment, entry, 4, value);
    SIM_ASSERT(there);
}

/* How many pages a table for `pages` pages takes; sets vm->capacity. */
static uint64_t size(struct exos_vm *vm, uint64_t pages) {
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
        const uint32_t tag = get(vm, at);
        step(vm, &vm->costs->hash_probe);
        vm->probes++;
        if (tag == page) {
            return at + 4;
        }
        if (tag == 0) {
            if (make) {
                set(vm, at, page);
            }
            return make ? at + 4 : 0;
        }
        slot = (slot + 1) % vm->capacity;
    }
    return 0;
}

static uint32_t entry_of(struct exos_vm *vm, uint32_t address, bool make) {
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

/* Beside it in a linear table, looked up in a hashed one. */
static uint32_t next(struct exos_vm *vm, uint32_t entry, uint32_t address) {
    return vm->costs->page_table == EXOS_TABLE_LINEAR ? entry + LINEAR_BYTES : entry_of(vm, address, false);
}

static enum error_code make(struct exos_vm *vm, uint64_t pages, struct error *error) {
    const uint64_t count = size(vm, pages);
    enum error_code code = OK;
    for (uint64_t i = 0; i < count && code == OK; i++) {
        struct exo_handle handle;
        uint64_t physical = 0;
        code = aegis_frame_allocate(vm->environment, 0, AEGIS_ANY_COLOR, &handle, &physical, error);
        if (code == OK) {
            code =
                aegis_map_guaranteed(vm->environment, EXOS_TABLE_AT + (uint32_t)i * AEGIS_PAGE, &handle, true, error);
        }
    }
    vm->table_pages = code == OK ? count : 0;
    return code;
}

static void changed(struct exos_vm *vm, uint32_t first, uint64_t pages, enum aegis_protection protection) {
    const enum error_code code = aegis_tlb_protect(vm->environment, first, pages, protection, NULL);
    SIM_ASSERT_MSG(code == OK, "0x%x is not bound", first);
}

static void bind(struct exos_vm *vm, uint32_t address, bool write) {
    step(vm, &vm->costs->page_walk);
    const enum error_code code =
        aegis_tlb_insert(vm->environment, address, &vm->handles[(address - EXOS_DATA_AT) / AEGIS_PAGE], write, NULL);
    SIM_ASSERT(code == OK);
}

const struct exos_pmap exos_pmap_kernel = {.name = "kernel",
                                           .make = make,
                                           .entry = entry_of,
                                           .next = next,
                                           .get = get,
                                           .set = set,
                                           .changed = changed,
                                           .bind = bind};
