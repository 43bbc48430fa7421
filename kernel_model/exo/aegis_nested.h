/* aegis_nested.h: the modern form of a secure binding of memory, for an environment of
 * Aegis on a processor with nested paging: it edits its own page table in hardware.
 *
 * What is bound (binding.h) is from then on the second level: the pages that the kernel
 * checked a capability for are the addresses that the environment's own tables name. They
 * lie in such pages themselves. To map, to protect, to look at a dirty bit is a store or
 * a load of the environment's own; its page faults, and all exceptions that it has a
 * handler for, come straight to it. What its second level does not have comes by way of
 * the kernel, as a miss, whose bad_address is of the second level. A system call costs a
 * VM exit and an entry.
 *
 * The save area and the free map are bound as before, at their addresses of the second
 * level: the environment maps them where it wants them. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_AEGIS_NESTED_H
#define STILLSUIT_KERNEL_MODEL_EXO_AEGIS_NESTED_H

#include "kernel_model/exo/aegis.h"

struct x86;

/* [env] The environment runs under nested paging from here on; as long as it has set no
 * root, its addresses are the second level's. ERR_UNSUPPORTED: the processor has none. */
enum error_code aegis_nest(struct aegis_environment *environment, struct error *error);

/* ---- User code of an environment under nested paging: no system calls. ---- */
/* MOV to CR3: the root of its tables (hw/mmu_regs.h), an address of the second level. */
void aegis_nested_set_root(struct aegis_environment *environment, uint64_t root);
/* INVLPG: after it took a right away in an entry. */
void aegis_nested_invalidate(struct aegis_environment *environment, uint64_t virtual_address);
/* LIDT and the stack for frames, which are pushed from `stack` downwards; both virtual.
 * Gates lie at `idt` (x86_gate in hw/x86/x86_regs.h). The code there is `stub`, which saves
 * registers, say (NULL: it does nothing), and then the handler, program->exception. */
void aegis_nested_set_handlers(struct aegis_environment *environment, uint64_t idt, uint64_t stack, aegis_stub *stub);
/* Words at any virtual address, which may lie beyond what a system call can name. False: an
 * exception, and its handler skipped the instruction. */
bool aegis_nested_load(struct aegis_environment *environment, uint64_t virtual_address, uint64_t *value);
bool aegis_nested_store(struct aegis_environment *environment, uint64_t virtual_address, uint64_t value);

/* ---- For the kernel's own files: aegis_x86.c ---- */
/* The exception that the processor has met, in the library's terms. */
void aegis_x86_describe(const struct x86 *cpu, struct aegis_exception *exception);

#endif
