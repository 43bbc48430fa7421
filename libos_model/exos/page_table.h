/* page_table.h: the two forms of a page table that vm.h offers, as words in the
 * application's memory. An entry is named by its address there. */
#ifndef STILLSUIT_LIBOS_MODEL_EXOS_PAGE_TABLE_H
#define STILLSUIT_LIBOS_MODEL_EXOS_PAGE_TABLE_H

#include "libos_model/exos/vm.h"

/* How many pages a table for `pages` pages takes; sets vm->capacity. */
uint64_t exos_table_size(struct exos_vm *vm, uint64_t pages);
/* The address of the entry of the page at `address`; with `make`, a new one in a hashed
 * table. 0: there is none. Charged: the walk, and the words that it loads. */
uint32_t exos_table_entry(struct exos_vm *vm, uint32_t address, bool make);
/* The entry of the page at `address`, which follows the one at `entry`: beside it in a
 * linear table, looked up in a hashed one. */
uint32_t exos_table_next(struct exos_vm *vm, uint32_t entry, uint32_t address);
/* An entry's word: a load, a store. */
uint32_t exos_table_get(struct exos_vm *vm, uint32_t entry);
void exos_table_set(struct exos_vm *vm, uint32_t entry, uint32_t value);

#endif
