/* pmap_nested.c: the application's page table is the one that the processor walks, over
 * the kernel's second level, and its exceptions come to it without the kernel (hw/x86/x86.h).
 *
 * Addresses of the second level are the virtual ones: what the library edits is what a page
 * allows, not where it is. The tables that have the pages' entries lie one behind the other, so
 * that the library's view of them is an array. */
#include "hw/mmu_regs.h"
#include "hw/x86/x86_regs.h"
#include "kernel_model/exo/aegis_nested.h"
#include "kernel_model/exo/aegis_user.h"
#include "libos_model/exos/ipc.h"
#include "libos_model/exos/pmap.h"

enum { ENTRIES = AEGIS_PAGE / MMU_ENTRY_BYTES, SPAN_BITS = 21 }; /* a table of pages covers 2 MiB */
/* Beside the stack and the save area, so that one table serves all of these. */
#define TABLES_AT UINT32_C(0x7fe00000)
#define HANDLERS_AT (EXOS_STACK_AT - AEGIS_PAGE) /* gates from below, the handlers' stack from above */

/* Tables behind those of the pages. */
enum table { ROOT, DIRECTORIES, LOWER, UPPER, OF_SHARED, OF_TOP, TABLES };

/* What an entry that is not present says to the library: bits that hardware ignores (SDM
 * volume 3A, table 4-20). */
#define MAPPED (UINT32_C(1) << 9)
#define FULL ((uint32_t)(MMU_PTE_PRESENT | MMU_PTE_WRITABLE | MMU_PTE_USER))

static uint32_t table_at(const struct exos_vm *vm, enum table table) {
    return TABLES_AT + ((uint32_t)(vm->table_pages - TABLES) + (uint32_t)table) * AEGIS_PAGE;
}

/* ---- entries: the lower half of each; the upper is zero, all addresses being below 4 GiB ---- */

static uint32_t entry_of(struct exos_vm *vm, uint32_t address, bool make) {
    const uint64_t index = ((uint64_t)address - EXOS_DATA_AT) / AEGIS_PAGE;
    (void)make;
    if (vm->table_pages == 0 || address < EXOS_DATA_AT || index >= vm->capacity) {
        return 0;
    }
    aegis_user_step(vm->environment, &vm->costs->page_walk);
    return TABLES_AT + (uint32_t)index * MMU_ENTRY_BYTES;
}

static uint32_t next(struct exos_vm *vm, uint32_t entry, uint32_t address) {
    (void)vm, (void)address;
    return entry + MMU_ENTRY_BYTES;
}

static uint32_t get(struct exos_vm *vm, uint32_t entry) {
    uint32_t word = 0;
    const bool there = aegis_user_load(vm->environment, entry, 4, &word);
    SIM_ASSERT(there);
    return (word & EXOS_PTE_FRAME) | ((word & MAPPED) != 0 ? EXOS_PTE_MAPPED : 0) |
           ((word & MMU_PTE_PRESENT) != 0 ? EXOS_PTE_READ : 0) | ((word & MMU_PTE_WRITABLE) != 0 ? EXOS_PTE_WRITE : 0) |
           ((word & MMU_PTE_DIRTY) != 0 ? EXOS_PTE_DIRTY : 0) |
           ((word & MMU_PTE_ACCESSED) != 0 ? EXOS_PTE_REFERENCED : 0);
}

static void put(struct exos_vm *vm, uint32_t entry, uint32_t word) {
    const bool there = aegis_user_store(vm->environment, entry, 4, word);
    SIM_ASSERT(there);
}

static void set(struct exos_vm *vm, uint32_t entry, uint32_t pte) {
    const uint32_t address = EXOS_DATA_AT + (entry - TABLES_AT) / MMU_ENTRY_BYTES * AEGIS_PAGE;
    if ((pte & EXOS_PTE_MAPPED) == 0) {
        put(vm, entry, 0);
        return;
    }
    put(vm, entry,
        address | MAPPED | (uint32_t)MMU_PTE_USER | ((pte & EXOS_PTE_READ) != 0 ? (uint32_t)MMU_PTE_PRESENT : 0) |
            ((pte & EXOS_PTE_WRITE) != 0 ? (uint32_t)MMU_PTE_WRITABLE : 0) |
            ((pte & EXOS_PTE_DIRTY) != 0 ? (uint32_t)MMU_PTE_DIRTY : 0) |
            ((pte & EXOS_PTE_REFERENCED) != 0 ? (uint32_t)MMU_PTE_ACCESSED : 0));
}

/* A right that was given needs no invalidation: an access that a cached translation forbids
 * walks again (SDM volume 3A, 4.10.4.3). */
static void changed(struct exos_vm *vm, uint32_t first, uint64_t pages, enum aegis_protection protection) {
    if (protection == AEGIS_READ_WRITE) {
        return;
    }
    if (pages > vm->costs->flush_above) {
        aegis_nested_set_root(vm->environment, table_at(vm, ROOT));
        return;
    }
    for (uint64_t i = 0; i < pages; i++) {
        aegis_nested_invalidate(vm->environment, first + i * AEGIS_PAGE);
    }
}

static void bind(struct exos_vm *vm, uint32_t address, bool write) {
    const uint32_t entry = entry_of(vm, address, false), old = get(vm, entry);
    set(vm, entry, write ? old | EXOS_PTE_WRITE : old & ~(uint32_t)EXOS_PTE_WRITE);
    changed(vm, address, 1, write ? AEGIS_READ_WRITE : AEGIS_READ_ONLY);
}

/* ---- exceptions, without the kernel ---- */

/* The code at every gate keeps the scratch registers where the kernel would, so that the
 * rest of the library need not know who delivered the exception. */
static void stub(struct aegis_environment *environment, const struct aegis_exception *exception) {
    const struct aegis_registers *names = aegis_register_names(environment);
    const uint32_t told[AEGIS_SCRATCH] = {exception->epc, exception->bad_address, exception->cause};
    for (uint32_t i = 0; i < AEGIS_SCRATCH; i++) {
        aegis_user_save_register(environment, AEGIS_SAVE_AREA_AT + AEGIS_SAVE_SCRATCH + names->bytes * i,
                                 names->scratch[i]);
        aegis_set_register(environment, names->scratch[i], told[i]);
    }
}

/* ---- making it ---- */

static enum error_code take_page(struct aegis_environment *environment, uint32_t at, struct error *error) {
    struct exo_handle handle;
    uint64_t physical = 0;
    const enum error_code code = aegis_frame_allocate(environment, 0, AEGIS_ANY_COLOR, &handle, &physical, error);
    return code == OK ? aegis_map_guaranteed(environment, at, &handle, true, error) : code;
}

static enum error_code start(struct aegis_environment *environment, struct error *error) {
    const uint64_t gate = x86_gate(AEGIS_CODE_HANDLER, 0);
    enum error_code code = aegis_nest(environment, error);
    if (code != OK || environment->program->exception == NULL) {
        return code;
    }
    code = take_page(environment, HANDLERS_AT, error);
    for (uint32_t i = 0; i < X86_EXCEPTIONS && code == OK; i++) {
        const uint32_t at = HANDLERS_AT + i * X86_GATE_BYTES;
        (void)aegis_user_store(environment, at, 4, (uint32_t)gate);
        (void)aegis_user_store(environment, at + 4, 4, (uint32_t)(gate >> 32));
    }
    if (code == OK) {
        aegis_nested_set_handlers(environment, HANDLERS_AT, HANDLERS_AT + AEGIS_PAGE, stub);
    }
    return code;
}

static void point(struct exos_vm *vm, enum table from, uint32_t index, uint32_t to) {
    put(vm, table_at(vm, from) + index % ENTRIES * MMU_ENTRY_BYTES, to | FULL);
}

/* All that is the library's own may be reached, if the kernel has bound it. */
static void fill_identically(struct exos_vm *vm, enum table table, uint32_t region) {
    for (uint32_t i = 0; i < ENTRIES; i++) {
        point(vm, table, i, region + i * AEGIS_PAGE);
    }
}

static void fill(struct exos_vm *vm, uint64_t leaves) {
    point(vm, ROOT, 0, table_at(vm, DIRECTORIES));
    point(vm, DIRECTORIES, 0, table_at(vm, LOWER));
    point(vm, DIRECTORIES, 1, table_at(vm, UPPER));
    for (uint32_t i = 0; i < leaves; i++) {
        point(vm, LOWER, (EXOS_DATA_AT >> SPAN_BITS) + i, TABLES_AT + i * AEGIS_PAGE);
    }
    point(vm, LOWER, EXOS_SHARED_AT >> SPAN_BITS, table_at(vm, OF_SHARED));
    point(vm, UPPER, TABLES_AT >> SPAN_BITS, table_at(vm, OF_TOP));
    fill_identically(vm, OF_SHARED, EXOS_SHARED_AT);
    fill_identically(vm, OF_TOP, TABLES_AT);
}

static enum error_code make(struct exos_vm *vm, uint64_t pages, struct error *error) {
    const uint64_t leaves = (pages + ENTRIES - 1) / ENTRIES, count = leaves + TABLES;
    enum error_code code = OK;
    for (uint64_t i = 0; i < count && code == OK; i++) {
        code = take_page(vm->environment, TABLES_AT + (uint32_t)i * AEGIS_PAGE, error);
    }
    if (code == OK) {
        vm->capacity = leaves * ENTRIES;
        vm->table_pages = count;
        fill(vm, leaves);
        aegis_nested_set_root(vm->environment, table_at(vm, ROOT));
    }
    return code;
}

const struct exos_pmap exos_pmap_nested = {.name = "nested",
                                           .marks_dirty = true,
                                           .start = start,
                                           .make = make,
                                           .entry = entry_of,
                                           .next = next,
                                           .get = get,
                                           .set = set,
                                           .changed = changed,
                                           .bind = bind};
