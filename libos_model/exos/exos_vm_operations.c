/* exos_vm_operations.c: Tables 10 and 13: what programs do with their own virtual memory
 * (Appel and Li, "Virtual Memory Primitives for User Programs", ASPLOS 1991). */
#include <stdlib.h>

#include "kernel_model/exo/aegis_user.h"
#include "libos_model/exos/exos.h"
#include "sim/random.h"

static struct exos_system *system_of(struct operations *base) {
    return (struct exos_system *)base;
}

static bool touch(struct exos_system *system, uint64_t index) {
    uint32_t value = 0;
    return aegis_user_load(system->measured, exos_vm_page(index), 4, &value);
}

/* ---- prepared ---- */

static void dirty_all(struct exos_system *system) {
    for (uint64_t i = 0; i < system->vm.pages; i++) {
        (void)aegis_user_store(system->measured, exos_vm_page(i), 4, 1);
    }
}

enum error_code exos_prepare_pages(struct operations *base, struct error *error) {
    struct exos_system *system = system_of(base);
    const enum error_code code = exos_vm_grow(&system->vm, system->plan.pages, error);
    if (code == OK) {
        dirty_all(system);
    }
    return code;
}

/* ---- one page asked about, some protected, some unprotected ---- */

void exos_run_dirty(struct operations *base) {
    const bool dirty = exos_vm_is_dirty(&system_of(base)->vm, EXOS_DATA_AT);
    SIM_ASSERT(dirty);
}

void exos_run_protect_one(struct operations *base) {
    exos_vm_protect(&system_of(base)->vm, EXOS_DATA_AT, 1, AEGIS_NO_ACCESS);
}

void exos_run_protect_all(struct operations *base) {
    struct exos_system *system = system_of(base);
    exos_vm_protect(&system->vm, EXOS_DATA_AT, system->plan.pages, AEGIS_NO_ACCESS);
}

void exos_run_unprotect_all(struct operations *base) {
    struct exos_system *system = system_of(base);
    exos_vm_protect(&system->vm, EXOS_DATA_AT, system->plan.pages, AEGIS_READ_WRITE);
}

void exos_run_reprotect(struct operations *base) {
    exos_run_protect_all(base);
    exos_run_unprotect_all(base);
}

/* ---- a trap, which the program skips ---- */

enum error_code exos_prepare_trap(struct operations *base, struct error *error) {
    struct exos_system *system = system_of(base);
    const enum error_code code = exos_prepare_pages(base, error);
    if (code == OK) {
        system->vm.on_trap = NULL;
        exos_vm_protect(&system->vm, EXOS_DATA_AT, 1, AEGIS_NO_ACCESS);
    }
    return code;
}

void exos_run_trap(struct operations *base) {
    const bool reached = touch(system_of(base), 0);
    SIM_ASSERT(!reached);
}

/* ---- a garbage collector's ---- */

static enum error_code prepare_order(struct exos_system *system, struct error *error) {
    const enum error_code code = exos_prepare_pages(&system->base, error);
    if (code != OK) {
        return code;
    }
    const uint64_t pages = system->plan.pages;
    free(system->permutation);
    system->permutation = malloc(pages * sizeof *system->permutation);
    SIM_ASSERT(system->permutation != NULL);
    for (uint64_t i = 0; i < pages; i++) {
        system->permutation[i] = (uint32_t)i;
    }
    if (system->order == NULL) {
        system->order = random_stream_create("exos.pages");
    }
    return OK;
}

static void swap(uint32_t *a, uint32_t *b) {
    const uint32_t was = *a;
    *a = *b;
    *b = was;
}

/* The page that was accessible is protected, and the one that trapped is not any more. */
static enum aegis_resume exchange(struct exos_vm *vm, uint32_t address) {
    struct exos_system *system = vm->context;
    exos_vm_protect(vm, exos_vm_page(system->last_unprotected), 1, AEGIS_NO_ACCESS);
    exos_vm_protect(vm, address, 1, AEGIS_READ_WRITE);
    system->last_unprotected = (address - EXOS_DATA_AT) / AEGIS_PAGE;
    return AEGIS_RETRY;
}

/* All but page 0 are protected. */
enum error_code exos_prepare_appel1(struct operations *base, struct error *error) {
    struct exos_system *system = system_of(base);
    if (system->plan.pages < 2) {
        return error_set(error, ERR_RANGE, "kernel.pages: appel1 takes at least 2 pages");
    }
    const enum error_code code = prepare_order(system, error);
    if (code == OK) {
        system->vm.on_trap = exchange;
        system->vm.context = system;
        system->last_unprotected = 0;
        exos_vm_protect(&system->vm, exos_vm_page(1), system->plan.pages - 1, AEGIS_NO_ACCESS);
    }
    return code;
}

/* A page at random of those that are protected. */
void exos_run_appel1(struct operations *base) {
    struct exos_system *system = system_of(base);
    const uint64_t other = 1 + random_below(system->order, system->plan.pages - 1);
    (void)touch(system, (system->last_unprotected + other) % system->plan.pages);
}

static enum aegis_resume unprotect(struct exos_vm *vm, uint32_t address) {
    exos_vm_protect(vm, address, 1, AEGIS_READ_WRITE);
    return AEGIS_RETRY;
}

enum error_code exos_prepare_appel2(struct operations *base, struct error *error) {
    struct exos_system *system = system_of(base);
    system->vm.on_trap = unprotect;
    system->vm.context = system;
    return prepare_order(system, error);
}

/* All are protected at once, then touched in a random order. */
void exos_run_appel2(struct operations *base) {
    struct exos_system *system = system_of(base);
    const uint64_t pages = system->plan.pages;
    exos_vm_protect(&system->vm, EXOS_DATA_AT, pages, AEGIS_NO_ACCESS);
    for (uint64_t i = 0; i < pages; i++) {
        swap(&system->permutation[i], &system->permutation[i + random_below(system->order, pages - i)]);
        (void)touch(system, system->permutation[i]);
    }
}

/* ---- more pages than frames ---- */

enum error_code exos_prepare_cycle(struct operations *base, struct error *error) {
    struct exos_system *system = system_of(base);
    if (system->vm.table_pages > 0) {
        return error_set(error, ERR_UNSUPPORTED, "kernel.operation: cycle or collect comes first, and not both");
    }
    return exos_paging_begin(&system->paging, &system->vm, system->plan.pages, error);
}

/* The next page, and what the page store has in it; the program knows that it will not come
 * back to it for longer than to any other. */
void exos_run_cycle(struct operations *base) {
    struct exos_system *system = system_of(base);
    const uint64_t page = system->scanned++ % system->plan.pages;
    uint32_t number = 0;
    const bool there = aegis_user_load(system->measured, exos_vm_page(page), 4, &number);
    SIM_ASSERT(there && number == page);
    exos_paging_use(&system->paging, page);
}

/* ---- a garbage collector's heap ---- */

static uint32_t heap_load(void *context, uint64_t page) {
    const struct exos_system *system = context;
    uint32_t value = 0;
    const bool there = aegis_user_load(system->measured, exos_vm_page(page), 4, &value);
    SIM_ASSERT(there);
    return value;
}

static void heap_store(void *context, uint64_t page, uint32_t value) {
    const struct exos_system *system = context;
    const bool there = aegis_user_store(system->measured, exos_vm_page(page), 4, value);
    SIM_ASSERT(there);
}

static void heap_used(void *context, uint64_t page) {
    exos_paging_use(&((struct exos_system *)context)->paging, page);
}

static void heap_dead(void *context, uint64_t page) {
    exos_paging_discard(&((struct exos_system *)context)->paging, page);
}

enum error_code exos_prepare_collect(struct operations *base, struct error *error) {
    struct exos_system *system = system_of(base);
    if (system->plan.pages < (uint64_t)2 * COLLECTOR_LIVE_EVERY) {
        return error_set(error, ERR_RANGE, "kernel.pages: a heap has at least %d pages", 2 * COLLECTOR_LIVE_EVERY);
    }
    collector_init(&system->collector, system->plan.pages);
    return exos_prepare_cycle(base, error);
}

/* Who chooses its own victims says what it knows: a page just used is needed last, and what
 * was collected is not needed at all. */
void exos_run_collect(struct operations *base) {
    struct exos_system *system = system_of(base);
    struct collector_memory memory = {.load = heap_load, .store = heap_store, .context = system};
    if (system->profile.vm.victim == EXOS_VICTIM_OWN) {
        memory.used = heap_used;
        memory.dead = heap_dead;
    }
    collector_cycle(&system->collector, &memory);
}
