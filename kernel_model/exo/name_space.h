/* name_space.h: more than one set of addresses for an environment.
 *
 * Frames have names that are the machine's; the addresses under which an environment
 * reaches them are a second level of names, and its own. One environment may have several
 * such name spaces, each with bindings of its own: a program that it does not trust runs
 * in one beside it, or a copy of itself with other frames at the same addresses, without
 * another protection domain's capabilities, slices and save area. The save area and the
 * free map are in all of them.
 *
 * A processor that walks page tables needs no call for this: a program under nested
 * paging has as many as it makes roots. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_NAME_SPACE_H
#define STILLSUIT_KERNEL_MODEL_EXO_NAME_SPACE_H

#include "kernel_model/exo/aegis.h"

enum { AEGIS_NAME_SPACES_MAX = 8 }; /* of an environment */

/* [env] A new one, in which nothing is bound. ERR_SHARE: it has as many as it may;
 * ERR_EXHAUSTED: no address-space id is free, or no memory for its page table; ERR_UNSUPPORTED:
 * not under nested paging. */
enum error_code aegis_name_space_create(struct aegis_environment *environment, unsigned *name_space,
                                        struct error *error);
/* [env] From now on the environment's accesses and bindings are of this one. Its first is
 * environment->home. ERR_DENIED: it is not its own. */
enum error_code aegis_name_space_enter(struct aegis_environment *environment, unsigned name_space, struct error *error);
/* [env] Ends one, with what is bound in it. ERR_DENIED: it is not its own, or its first,
 * or the one that it is in. */
enum error_code aegis_name_space_destroy(struct aegis_environment *environment, unsigned name_space,
                                         struct error *error);

/* ---- For the kernel's own files. ---- */
/* An address-space id that nobody has, which is then the environment's; 0: none. */
unsigned aegis_name_space_take(struct aegis_environment *environment);
/* The environment ends: nothing of its own pages is left in any but its first. */
void aegis_name_space_forget(struct aegis_environment *environment);

#endif
