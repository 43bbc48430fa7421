/* pmap.h: what of the library's virtual memory depends on who translates its addresses;
 * all else of the library is the same on every machine.
 *
 * pmap_kernel.c: the kernel binds pages, on the R3000 in its TLBs, on x86-64 in its page
 * tables. The library's own table is words in a form of its choice, and what it changes
 * there it tells the kernel, by a call. pmap_nested.c (x86-64): the table is the one that
 * the processor walks, over the kernel's second level; a change is a store.
 *
 * A table's entry is named by the address at which the application reaches it. Whatever
 * its form, it is read and written as EXOS_PTE_ bits (vm.h). */
#ifndef STILLSUIT_LIBOS_MODEL_EXOS_PMAP_H
#define STILLSUIT_LIBOS_MODEL_EXOS_PMAP_H

#include "libos_model/exos/vm.h"

struct exos_pmap {
    const char *name;
    /* The processor sets an entry's dirty bit; else the library does, at a page's first store,
     * for which it keeps clean pages from being written. */
    bool marks_dirty;
    /* [env] What a program does first: it asks for such a machine and says where its exceptions
     * go. NULL: nothing. ERR_UNSUPPORTED: the processor has none; ERR_EXHAUSTED, ERR_SHARE. */
    enum error_code (*start)(struct aegis_environment *environment, struct error *error);
    /* A table for so many pages, in guaranteed pages of the application's; sets vm->capacity
     * and vm->table_pages. ERR_EXHAUSTED, ERR_SHARE. */
    enum error_code (*make)(struct exos_vm *vm, uint64_t pages, struct error *error);
    /* The entry of the page at `address`; with `make`, a new one. 0: there is none. Charged: the
     * walk, and what it loads. */
    uint32_t (*entry)(struct exos_vm *vm, uint32_t address, bool make);
    /* The entry of the page at `address`, which follows the one at `entry`. */
    uint32_t (*next)(struct exos_vm *vm, uint32_t entry, uint32_t address);
    /* A load, a store. The frame is the one that the table names: physical in pmap_kernel.c,
     * of the second level in pmap_nested.c. */
    uint32_t (*get)(struct exos_vm *vm, uint32_t entry);
    void (*set)(struct exos_vm *vm, uint32_t entry, uint32_t pte);
    /* The entries of `pages` bound pages were changed, to allow `protection` from now on, and no
     * more. */
    void (*changed)(struct exos_vm *vm, uint32_t first, uint64_t pages, enum aegis_protection protection);
    /* A mapped page can be read, or also written from now on, whatever the library's table says
     * of it beside that: the least that it takes. */
    void (*bind)(struct exos_vm *vm, uint32_t address, bool write);
};
extern const struct exos_pmap exos_pmap_kernel, exos_pmap_nested;

/* The one for a form of page table (costs->page_table). */
static inline const struct exos_pmap *exos_pmap_of(const struct exos_vm_costs *costs) {
    return costs->page_table == EXOS_TABLE_HARDWARE ? &exos_pmap_nested : &exos_pmap_kernel;
}

#endif
