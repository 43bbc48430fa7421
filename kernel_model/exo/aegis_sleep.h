/* aegis_sleep.h: wake-up predicates: an environment that waits says for what, and has no turn
 * until it is there.
 *
 * The predicate is code that was downloaded (download_wake.h), over memory that its environment
 * may read. The kernel evaluates it when the environment's turn comes, instead of switching to
 * it so that it may look for itself, and when a packet was put into a ring of it. Its slices
 * are the next one's while it sleeps. Who wakes in a slice of its own has the rest of it: for
 * who has it as a guest, the slice ends there, as any slice ends.
 *
 * A revocation comes to a sleeper as to others, in its turn. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_AEGIS_SLEEP_H
#define STILLSUIT_KERNEL_MODEL_EXO_AEGIS_SLEEP_H

#include "kernel_model/exo/aegis.h"
#include "kernel_model/exo/download_wake.h"

/* [env] What the environment's sleep waits for: exo_bound_predicate. It is verified here, once.
 * The machine has an adapter (aegis_network.h), whose code the downloaded code's part of the
 * kernel is. */
enum error_code aegis_predicate(struct aegis_environment *environment, const struct download_instruction *code,
                                uint32_t count, const struct download_region *regions, uint32_t region_count,
                                struct error *error);
/* [env] On main or entry: sleeps until the predicate is not 0; at once if it is not. ERR_NOT_FOUND:
 * there is none, or not any more (its memory is the environment's no longer); ERR_UNSUPPORTED: it is entered
 * while its main has something to do, which goes on. */
enum error_code aegis_sleep(struct aegis_environment *environment);

/* ---- For the kernel's own files. ---- */
/* Whether it can run; evaluates the predicate of one that sleeps, at the calling context's cost. */
bool aegis_sleep_ready(struct aegis_environment *environment);
/* On the interrupt context: something has come that a sleeper may wait for. */
void aegis_sleep_check(struct aegis_environment *environment);
/* It is to run whatever its predicate says. */
void aegis_sleep_end(struct aegis_environment *environment);

#endif
