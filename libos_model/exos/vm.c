#include "libos_model/exos/vm.h"

#include <stdlib.h>

#include "kernel_model/exo/aegis_user.h"
#include "libos_model/exos/paging.h"
#include "libos_model/exos/pmap.h"
#include "sim/random.h"

const char *const exos_table_names[] = {"linear", "hashed", "hardware", NULL};
const char *const exos_frames_names[] = {"any", "colored", "random", NULL};

#define VM_COST(name, text)                                                                                            \
    { .key = #name, .type = PARAM_COST, .offset = offsetof(struct exos_vm_costs, name), .help = text }
const struct param exos_vm_cost_params[] = {
    {.key = "page_table",
     .type = PARAM_CHOICE,
     .offset = offsetof(struct exos_vm_costs, page_table),
     .default_text = "linear",
     .choices = exos_table_names,
     .help = "the form of the application's page table; hardware: its own under nested paging (x86-64)"},
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
    {.key = "flush_above",
     .type = PARAM_INTEGER,
     .offset = offsetof(struct exos_vm_costs, flush_above),
     .default_text = "33",
     .minimum = "0",
     .maximum = "1000000",
     .help = "under nested paging: translations of so many pages are invalidated one by one; of more, all are at once "
             "(33: Linux's tlb_single_page_flush_ceiling)"},
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

void exos_vm_enter(struct exos_vm *vm, uint32_t address, uint64_t physical) {
    const uint32_t entry = vm->pmap->entry(vm, address, true);
    SIM_ASSERT_MSG(entry != 0, "the page table is full");
    vm->pmap->set(vm, entry, (uint32_t)physical | EXOS_PTE_MAPPED | EXOS_PTE_READ | EXOS_PTE_WRITE);
}

/* One more page. It is bound for writing, and then kept from it, if its first store is to be
 * noticed: what comes back with that was checked already. */
static enum error_code add_page(struct exos_vm *vm, struct error *error) {
    const uint32_t address = exos_vm_page(vm->pages);
    struct exo_handle *handle = &vm->handles[vm->pages];
    uint64_t physical = 0;
    enum error_code code = take_frame(vm, handle, &physical, error);
    if (code == OK) {
        code = aegis_tlb_insert(vm->environment, address, handle, true, error);
    }
    if (code == OK && !vm->pmap->marks_dirty) {
        code = aegis_tlb_protect(vm->environment, address, 1, AEGIS_READ_ONLY, error);
    }
    if (code != OK) {
        return code;
    }
    exos_vm_enter(vm, address, physical);
    vm->pages++;
    return OK;
}

enum error_code exos_vm_reserve(struct exos_vm *vm, uint64_t pages, struct error *error) {
    if (vm->pmap == NULL) {
        vm->pmap = exos_pmap_of(vm->costs);
    }
    enum error_code code = vm->table_pages == 0 ? vm->pmap->make(vm, pages, error) : OK;
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

static uint32_t entry_of(struct exos_vm *vm, uint32_t address) {
    const uint32_t entry = vm->table_pages > 0 ? vm->pmap->entry(vm, address, false) : 0;
    SIM_ASSERT_MSG(entry != 0, "0x%x is not mapped", address);
    return entry;
}

bool exos_vm_is_dirty(struct exos_vm *vm, uint32_t address) {
    step(vm, &vm->costs->lookup);
    const uint32_t entry = vm->table_pages > 0 ? vm->pmap->entry(vm, address, false) : 0;
    return entry != 0 && (vm->pmap->get(vm, entry) & EXOS_PTE_DIRTY) != 0;
}

static uint32_t rights_of(enum aegis_protection protection) {
    static const uint32_t rights[] = {0, EXOS_PTE_READ, EXOS_PTE_READ | EXOS_PTE_WRITE};
    return rights[protection];
}

/* Pages one after the other that are to allow the same from now on. */
struct run {
    uint32_t first;
    uint64_t pages;
    enum aegis_protection protection;
};

/* Changes one entry. A clean page is not to be written where the library marks it. */
static struct run change_entry(struct exos_vm *vm, uint32_t entry, uint32_t address, enum aegis_protection protection) {
    enum { RIGHTS = EXOS_PTE_READ | EXOS_PTE_WRITE };
    step(vm, &vm->costs->protect_page);
    const uint32_t old = vm->pmap->get(vm, entry);
    vm->pmap->set(vm, entry, (old & ~(uint32_t)RIGHTS) | rights_of(protection));
    const bool kept = !vm->pmap->marks_dirty && protection == AEGIS_READ_WRITE && (old & EXOS_PTE_DIRTY) == 0;
    return (struct run){address, 1, kept ? AEGIS_READ_ONLY : protection};
}

static void tell(struct exos_vm *vm, const struct run *run) {
    vm->pmap->changed(vm, run->first, run->pages, run->protection);
}

/* Told of run by run. */
void exos_vm_protect(struct exos_vm *vm, uint32_t address, uint64_t pages, enum aegis_protection protection) {
    step(vm, &vm->costs->lookup);
    step(vm, &vm->costs->protect);
    uint32_t entry = entry_of(vm, address);
    struct run run = change_entry(vm, entry, address, protection);
    for (uint64_t i = 1; i < pages; i++) {
        const uint32_t at = address + (uint32_t)i * AEGIS_PAGE;
        entry = vm->pmap->next(vm, entry, at);
        SIM_ASSERT_MSG(entry != 0, "0x%x is not mapped", at);
        const struct run page = change_entry(vm, entry, at, protection);
        if (page.protection == run.protection) {
            run.pages++;
        } else {
            tell(vm, &run);
            run = page;
        }
    }
    tell(vm, &run);
}

void exos_vm_clean(struct exos_vm *vm, uint32_t address) {
    step(vm, &vm->costs->lookup);
    const uint32_t entry = entry_of(vm, address), old = vm->pmap->get(vm, entry);
    vm->pmap->set(vm, entry, old & ~(uint32_t)EXOS_PTE_DIRTY);
    if ((old & EXOS_PTE_READ) != 0) {
        vm->pmap->changed(vm, address, 1, AEGIS_READ_ONLY);
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
    uint32_t entry = vm->table_pages > 0 ? vm->pmap->entry(vm, address, false) : 0;
    uint32_t pte = entry != 0 ? vm->pmap->get(vm, entry) : 0;
    if ((pte & EXOS_PTE_MAPPED) == 0) {
        if (vm->on_absent == NULL || !vm->on_absent(vm, address)) {
            return false;
        }
        entry = vm->pmap->entry(vm, address, false);
        pte = vm->pmap->get(vm, entry);
    }
    if ((pte & (write ? EXOS_PTE_WRITE : EXOS_PTE_READ)) == 0) {
        *resume = trap(vm, address);
        return true;
    }
    const bool dirty = (pte & EXOS_PTE_DIRTY) != 0;
    if (write && !dirty && !vm->pmap->marks_dirty) {
        vm->dirtied++;
        vm->pmap->set(vm, entry, pte | EXOS_PTE_DIRTY);
    }
    vm->misses += exception->code != AEGIS_CAUSE_PROTECTION ? 1 : 0;
    const uint64_t index = (address - EXOS_DATA_AT) / AEGIS_PAGE;
    const bool bound = aegis_tlb_insert(vm->environment, address, &vm->handles[index],
                                        write || (dirty && (pte & EXOS_PTE_WRITE) != 0), NULL) == OK;
    aegis_user_restore_scratch(vm->environment);
    *resume = AEGIS_RETRY;
    return bound;
}
