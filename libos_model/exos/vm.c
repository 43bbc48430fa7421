#include "libos_model/exos/vm.h"

#include <stdlib.h>

#include "kernel_model/exo/aegis_user.h"
#include "libos_model/exos/page_table.h"
#include "libos_model/exos/paging.h"
#include "sim/random.h"

const char *const exos_table_names[] = {"linear", "hashed", NULL};
const char *const exos_frames_names[] = {"any", "colored", "random", NULL};

#define VM_COST(name, text)                                                                                            \
    { .key = #name, .type = PARAM_COST, .offset = offsetof(struct exos_vm_costs, name), .help = text }
const struct param exos_vm_cost_params[] = {
    {.key = "page_table",
     .type = PARAM_CHOICE,
     .offset = offsetof(struct exos_vm_costs, page_table),
     .default_text = "linear",
     .choices = exos_table_names,
     .help = "the form of the application's page table"},
    {.key = "frames",
     .type = PARAM_CHOICE,
     .offset = offsetof(struct exos_vm_costs, frames),
     .default_text = "any",
     .choices = exos_frames_names,
     .help = "which frames it asks for: any, by color of the cache, by name at random"},
    VM_COST(lookup, "finding an address in the library's map of its address space, on a call"),
    VM_COST(page_walk, "the address of a page's entry in the page table"),
    VM_COST(hash_probe, "one look into a hashed page table"),
    VM_COST(protect, "a call that changes protection, beside the lookup, the entries and the kernel's part"),
    VM_COST(protect_page, "changing one page's entry in the page table"),
    VM_COST(trap, "a protection trap: to the application's handler, and back to what trapped"),
    VM_COST(choose_victim, "choosing a page to leave, beside a look at it"),
    VM_COST(page_in, "a page read from the backing store, for which the program waits"),
    VM_COST(page_out, "a page written to it, likewise"),
    {.key = "resident",
     .type = PARAM_INTEGER,
     .offset = offsetof(struct exos_vm_costs, resident),
     .default_text = "64",
     .minimum = "1",
     .maximum = "65536",
     .help = "frames that hold pages which come and go"},
    {.key = "victim",
     .type = PARAM_CHOICE,
     .offset = offsetof(struct exos_vm_costs, victim),
     .default_text = "lru",
     .choices = exos_victim_names,
     .help = "which of those pages leaves: the least recently used, by a clock, the application's own choice"},
    {0}};

static void step(struct exos_vm *vm, struct cost *cost) {
    aegis_user_step(vm->environment, cost);
}

/* ---- making it ---- */

static enum error_code make_table(struct exos_vm *vm, uint64_t pages, struct error *error) {
    const uint64_t count = exos_table_size(vm, pages);
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

/* The free map, which every environment can read, says which names to ask for. */
static enum error_code take_at_random(struct exos_vm *vm, struct exo_handle *handle, uint64_t *physical,
                                      struct error *error) {
    if (vm->draw == NULL) {
        vm->draw = random_stream_create("exos.frames");
    }
    const uint64_t frames = vm->environment->aegis->frame_count;
    for (uint64_t tries = 0; tries < 64 * frames; tries++) {
        const uint64_t wanted = random_below(vm->draw, frames) * AEGIS_PAGE;
        if (aegis_frame_is_free(vm->environment, wanted)) {
            return aegis_frame_allocate(vm->environment, wanted, AEGIS_ANY_COLOR, handle, physical, error);
        }
    }
    return error_set(error, ERR_EXHAUSTED, "no frame is free");
}

static enum error_code take_frame(struct exos_vm *vm, struct exo_handle *handle, uint64_t *physical,
                                  struct error *error) {
    if (vm->costs->frames == EXOS_FRAMES_RANDOM) {
        return take_at_random(vm, handle, physical, error);
    }
    const uint32_t color = (uint32_t)(vm->pages % vm->environment->aegis->config.page_colors);
    return aegis_frame_allocate(vm->environment, 0, vm->costs->frames == EXOS_FRAMES_COLORED ? color : AEGIS_ANY_COLOR,
                                handle, physical, error);
}

/* One more page. It is bound for writing, and then kept from it: what comes back with the
 * first store was checked already. */
static enum error_code add_page(struct exos_vm *vm, struct error *error) {
    const uint32_t address = exos_vm_page(vm->pages);
    struct exo_handle *handle = &vm->handles[vm->pages];
    uint64_t physical = 0;
    enum error_code code = take_frame(vm, handle, &physical, error);
    if (code == OK) {
        code = aegis_tlb_insert(vm->environment, address, handle, true, error);
    }
    if (code == OK) {
        code = aegis_tlb_protect(vm->environment, address, 1, AEGIS_READ_ONLY, error);
    }
    if (code != OK) {
        return code;
    }
    const uint32_t entry = exos_table_entry(vm, address, true);
    SIM_ASSERT_MSG(entry != 0, "the page table is full");
    exos_table_set(vm, entry, (uint32_t)physical | EXOS_PTE_MAPPED | EXOS_PTE_READ | EXOS_PTE_WRITE);
    vm->pages++;
    return OK;
}

enum error_code exos_vm_reserve(struct exos_vm *vm, uint64_t pages, struct error *error) {
    enum error_code code = vm->table_pages == 0 ? make_table(vm, pages, error) : OK;
    if (code == OK && pages > vm->capacity) {
        code = error_set(error, ERR_EXHAUSTED, "the page table has %llu entries", (unsigned long long)vm->capacity);
    }
    if (code == OK && pages > vm->pages) {
        vm->handles = realloc(vm->handles, pages * sizeof *vm->handles);
        SIM_ASSERT(vm->handles != NULL);
    }
    return code;
}

enum error_code exos_vm_grow(struct exos_vm *vm, uint64_t pages, struct error *error) {
    enum error_code code = exos_vm_reserve(vm, pages, error);
    while (code == OK && vm->pages < pages) {
        code = add_page(vm, error);
    }
    return code;
}

void exos_vm_free(struct exos_vm *vm) {
    free(vm->handles);
    random_stream_free(vm->draw);
}

/* ---- what an application asks and changes ---- */

bool exos_vm_is_dirty(struct exos_vm *vm, uint32_t address) {
    step(vm, &vm->costs->lookup);
    const uint32_t entry = exos_table_entry(vm, address, false);
    return entry != 0 && (exos_table_get(vm, entry) & EXOS_PTE_DIRTY) != 0;
}

static uint32_t rights_of(enum aegis_protection protection) {
    static const uint32_t rights[] = {0, EXOS_PTE_READ, EXOS_PTE_READ | EXOS_PTE_WRITE};
    return rights[protection];
}

/* Changes one entry. What the kernel is to allow: a clean page is not to be written. */
static enum aegis_protection change_entry(struct exos_vm *vm, uint32_t entry, enum aegis_protection protection) {
    SIM_ASSERT_MSG(entry != 0, "a page is not mapped");
    step(vm, &vm->costs->protect_page);
    const uint32_t old = exos_table_get(vm, entry);
    exos_table_set(vm, entry, (old & ~(uint32_t)(EXOS_PTE_READ | EXOS_PTE_WRITE)) | rights_of(protection));
    return protection == AEGIS_READ_WRITE && (old & EXOS_PTE_DIRTY) == 0 ? AEGIS_READ_ONLY : protection;
}

static void tell_kernel(struct exos_vm *vm, uint32_t first, uint64_t pages, enum aegis_protection protection) {
    const enum error_code code = aegis_tlb_protect(vm->environment, first, pages, protection, NULL);
    SIM_ASSERT_MSG(code == OK, "0x%x is not bound", first);
}

/* A call to the kernel for each run of pages that it is to treat alike. */
void exos_vm_protect(struct exos_vm *vm, uint32_t address, uint64_t pages, enum aegis_protection protection) {
    step(vm, &vm->costs->lookup);
    step(vm, &vm->costs->protect);
    uint64_t begun = 0;
    enum aegis_protection run = protection;
    uint32_t entry = 0;
    for (uint64_t i = 0; i < pages; i++) {
        const uint32_t at = address + (uint32_t)i * AEGIS_PAGE;
        entry = i == 0 ? exos_table_entry(vm, at, false) : exos_table_next(vm, entry, at);
        const enum aegis_protection own = change_entry(vm, entry, protection);
        if (i > 0 && own != run) {
            tell_kernel(vm, address + (uint32_t)begun * AEGIS_PAGE, i - begun, run);
            begun = i;
        }
        run = own;
    }
    tell_kernel(vm, address + (uint32_t)begun * AEGIS_PAGE, pages - begun, run);
}

void exos_vm_clean(struct exos_vm *vm, uint32_t address) {
    step(vm, &vm->costs->lookup);
    const uint32_t entry = exos_table_entry(vm, address, false);
    SIM_ASSERT_MSG(entry != 0, "0x%x is not mapped", address);
    const uint32_t old = exos_table_get(vm, entry);
    exos_table_set(vm, entry, old & ~(uint32_t)EXOS_PTE_DIRTY);
    if ((old & EXOS_PTE_READ) != 0) {
        tell_kernel(vm, address, 1, AEGIS_READ_ONLY);
    }
}

/* ---- exceptions ---- */

static enum aegis_resume trap(struct exos_vm *vm, uint32_t address) {
    vm->traps++;
    step(vm, &vm->costs->trap);
    const enum aegis_resume resume = vm->on_trap != NULL ? vm->on_trap(vm, address) : AEGIS_SKIP;
    aegis_user_restore_scratch(vm->environment);
    return resume;
}

bool exos_vm_fault(struct exos_vm *vm, const struct aegis_exception *exception, enum aegis_resume *resume) {
    const bool write = exception->code == AEGIS_CAUSE_PROTECTION || exception->code == AEGIS_CAUSE_MISS_STORE;
    const uint32_t address = exception->bad_address;
    if (exception->code != AEGIS_CAUSE_MISS_LOAD && !write) {
        return false;
    }
    uint32_t entry = exos_table_entry(vm, address, false);
    uint32_t pte = entry != 0 ? exos_table_get(vm, entry) : 0;
    if ((pte & EXOS_PTE_MAPPED) == 0) {
        if (vm->on_absent == NULL || !vm->on_absent(vm, address)) {
            return false;
        }
        entry = exos_table_entry(vm, address, false);
        pte = exos_table_get(vm, entry);
    }
    if ((pte & (write ? EXOS_PTE_WRITE : EXOS_PTE_READ)) == 0) {
        *resume = trap(vm, address);
        return true;
    }
    const bool dirty = (pte & EXOS_PTE_DIRTY) != 0;
    if (write && !dirty) {
        vm->dirtied++;
        exos_table_set(vm, entry, pte | EXOS_PTE_DIRTY);
    }
    vm->misses += exception->code != AEGIS_CAUSE_PROTECTION ? 1 : 0;
    const uint64_t index = (address - EXOS_DATA_AT) / AEGIS_PAGE;
    const bool bound = aegis_tlb_insert(vm->environment, address, &vm->handles[index],
                                        write || (dirty && (pte & EXOS_PTE_WRITE) != 0), NULL) == OK;
    aegis_user_restore_scratch(vm->environment);
    *resume = AEGIS_RETRY;
    return bound;
}
