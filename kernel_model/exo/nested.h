/* nested.h: the modern form of a secure binding of memory, on a processor that walks
 * page tables itself (as Dune uses it): the application edits its own page table in
 * hardware, and the kernel checks only the second level.
 *
 * The second level is the environment's address space, which exo_memory_map fills
 * against capabilities; the application's tables lie in frames mapped there, and name
 * addresses of it. To map, protect or look at a dirty bit is then a store or a load of
 * the application's: no call, and no capability. What the kernel has to do is to see
 * that a revoked frame is in no processor's TLB. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_NESTED_H
#define STILLSUIT_KERNEL_MODEL_EXO_NESTED_H

#include "hw/mmu_nested.h"
#include "kernel_model/exo/memory.h"

struct exo_nested {
    struct exo_nested *next;
    struct exo_environment *environment;
    struct mmu_nested translation;
};

/* Nested translation for a thread of the environment, without a root as yet: the
 * application sets it (mmu_nested_set_root) to a table in its memory. The kernel owns
 * it, until exo_nested_free; free it before its environment. */
struct exo_nested *exo_nested_create(struct exo_environment *environment);
void exo_nested_free(struct exo_nested *nested);

/* [env] The application's stores and loads of 8 bytes, by virtual address. False: a
 * fault, which `result` tells (may be NULL). */
bool exo_nested_store(struct exo_nested *nested, uint64_t virtual_address, uint64_t value,
                      enum mmu_nested_result *result);
bool exo_nested_load(struct exo_nested *nested, uint64_t virtual_address, uint64_t *value,
                     enum mmu_nested_result *result);

#endif
