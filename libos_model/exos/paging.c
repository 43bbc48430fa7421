#include "libos_model/exos/paging.h"
#include "kernel_model/exo/aegis_user.h"

#include <stdlib.h>
#include <string.h>

#include "hw/machine.h"
#include "libos_model/exos/pmap.h"

/* Instructions that put a slot onto a stack, or take it off. */
enum { STACK = 3 };

const char *const exos_victim_names[] = {"lru", "clock", "own", NULL};

static void step(struct exos_paging *paging, struct cost *cost) {
    cost->uses++;
    aegis_user_execute(paging->vm->environment, cost->cycles);
}

static uint8_t *stored(struct exos_paging *paging, uint64_t page) {
    return paging->store + page * AEGIS_PAGE;
}

static struct memory *memory_of(const struct exos_paging *paging) {
    return paging->vm->environment->aegis->kernel->machine->memory;
}

/* ---- who leaves ---- */

static uint64_t advance(struct exos_paging *paging) {
    const uint64_t at = paging->hand;
    paging->hand = (at + 1) % paging->frames;
    return at;
}

/* Slots are filled in the order in which pages come: the hand is at the one that came first. */
static uint64_t choose_slot(struct exos_paging *paging) {
    const struct exos_vm_costs *costs = paging->vm->costs;
    step(paging, &paging->vm->costs->choose_victim);
    if (costs->victim == EXOS_VICTIM_OWN && paging->slot_of[paging->used] != UINT64_MAX) {
        return paging->slot_of[paging->used];
    }
    while (costs->victim == EXOS_VICTIM_CLOCK && paging->referenced[paging->hand]) {
        const uint64_t slot = advance(paging);
        paging->referenced[slot] = false;
        exos_vm_protect(paging->vm, exos_vm_page(paging->page_of[slot]), 1, AEGIS_NO_ACCESS);
    }
    return advance(paging);
}

/* The clock's: a page whose right to read the hand took is used. */
static enum aegis_resume mark_used(struct exos_vm *vm, uint32_t address) {
    struct exos_paging *paging = vm->context;
    paging->referenced[paging->slot_of[(address - EXOS_DATA_AT) / AEGIS_PAGE]] = true;
    exos_vm_protect(vm, address, 1, AEGIS_READ_WRITE);
    return AEGIS_RETRY;
}

/* ---- a page leaves, a page comes ---- */

static void give_frame_back(struct exos_paging *paging, uint64_t page, uint32_t entry) {
    struct exos_vm *vm = paging->vm;
    vm->pmap->set(vm, entry, 0);
    const enum error_code code = aegis_frame_release(vm->environment, &vm->handles[page], NULL);
    SIM_ASSERT_MSG(code == OK, "a resident page's frame is not the environment's");
    paging->slot_of[page] = UINT64_MAX;
}

static void evict(struct exos_paging *paging, uint64_t slot) {
    struct exos_vm *vm = paging->vm;
    const uint64_t page = paging->page_of[slot];
    const uint32_t entry = vm->pmap->entry(vm, exos_vm_page(page), false);
    if ((vm->pmap->get(vm, entry) & EXOS_PTE_DIRTY) != 0) {
        memory_read(memory_of(paging), paging->frame_of[slot], stored(paging, page), AEGIS_PAGE);
        step(paging, &vm->costs->page_out);
        paging->out++;
    }
    give_frame_back(paging, page, entry);
}

static bool bring(struct exos_paging *paging, uint64_t page, uint64_t slot) {
    struct exos_vm *vm = paging->vm;
    uint64_t physical = 0;
    if (aegis_frame_allocate(vm->environment, 0, AEGIS_ANY_COLOR, &vm->handles[page], &physical, NULL) != OK) {
        return false;
    }
    if (!paging->blank[page]) {
        step(paging, &vm->costs->page_in);
        memory_write(memory_of(paging), physical, stored(paging, page), AEGIS_PAGE);
        paging->in++;
    }
    paging->blank[page] = false;
    exos_vm_enter(vm, exos_vm_page(page), physical);
    paging->page_of[slot] = page;
    paging->frame_of[slot] = physical;
    paging->slot_of[page] = slot;
    paging->referenced[slot] = true;
    return true;
}

/* One that was never filled, or one that a page was discarded from; else a page leaves. */
static uint64_t take_slot(struct exos_paging *paging) {
    if (paging->empty > 0) {
        aegis_user_execute(paging->vm->environment, STACK);
        return paging->empty_slots[--paging->empty];
    }
    if (paging->resident < paging->frames) {
        return paging->resident++;
    }
    const uint64_t slot = choose_slot(paging);
    evict(paging, slot);
    return slot;
}

static bool on_absent(struct exos_vm *vm, uint32_t address) {
    struct exos_paging *paging = vm->context;
    const uint64_t page = (address - EXOS_DATA_AT) / AEGIS_PAGE;
    if (address < EXOS_DATA_AT || page >= paging->pages) {
        return false;
    }
    return bring(paging, page, take_slot(paging));
}

void exos_paging_use(struct exos_paging *paging, uint64_t page) {
    aegis_user_execute(paging->vm->environment, 1);
    paging->used = page;
}

void exos_paging_discard(struct exos_paging *paging, uint64_t page) {
    struct exos_vm *vm = paging->vm;
    const uint64_t slot = paging->slot_of[page];
    aegis_user_execute(vm->environment, STACK);
    paging->blank[page] = true;
    if (slot != UINT64_MAX) {
        give_frame_back(paging, page, vm->pmap->entry(vm, exos_vm_page(page), false));
        paging->empty_slots[paging->empty++] = slot;
    }
}

/* ---- making it ---- */

static void *array(uint64_t count, size_t bytes) {
    void *made = calloc(count, bytes);
    SIM_ASSERT(made != NULL);
    return made;
}

enum error_code exos_paging_begin(struct exos_paging *paging, struct exos_vm *vm, uint64_t pages, struct error *error) {
    const uint64_t frames = vm->costs->resident;
    const enum error_code code = exos_vm_reserve(vm, pages, error);
    if (code != OK) {
        return code;
    }
    *paging = (struct exos_paging){.vm = vm, .pages = pages, .frames = frames};
    paging->page_of = array(frames, sizeof *paging->page_of);
    paging->frame_of = array(frames, sizeof *paging->frame_of);
    paging->referenced = array(frames, sizeof *paging->referenced);
    paging->empty_slots = array(frames, sizeof *paging->empty_slots);
    paging->blank = array(pages, sizeof *paging->blank);
    paging->slot_of = array(pages, sizeof *paging->slot_of);
    paging->store = array(pages, AEGIS_PAGE);
    for (uint64_t i = 0; i < pages; i++) {
        const uint32_t number = (uint32_t)i;
        paging->slot_of[i] = UINT64_MAX;
        memcpy(stored(paging, i), &number, sizeof number);
    }
    vm->on_absent = on_absent;
    vm->on_trap = mark_used;
    vm->context = paging;
    return OK;
}

void exos_paging_free(struct exos_paging *paging) {
    free(paging->page_of);
    free(paging->frame_of);
    free(paging->referenced);
    free(paging->slot_of);
    free(paging->empty_slots);
    free(paging->blank);
    free(paging->store);
}
