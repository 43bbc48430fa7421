/* revocation.h: taking resources back, in the open.
 *
 * The kernel asks: so many frames, by then. The library OS, which knows which of its
 * frames it needs least, chooses and gives them back. If it has not by the deadline,
 * the kernel breaks bindings by force (the abort protocol), writes what it took into
 * the environment's repossession vector and tells it (AEGIS_REPOSSESSED). The library
 * OS lives on; frames under guaranteed mappings stay. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_REVOCATION_H
#define STILLSUIT_KERNEL_MODEL_EXO_REVOCATION_H

#include "kernel_model/exo/aegis.h"

/* Asks for `frames` of an environment's frames within `time` from now. */
void aegis_revoke_frames(struct aegis_environment *environment, uint64_t frames, sim_time time);

/* ---- For the kernel's own files. ---- */
/* `environment` found no free frame: who holds most, and more than it does, is asked for
 * one, unless it has been asked already. Only with config.revoke_time. */
void aegis_revocation_demand(struct aegis_environment *environment);
void aegis_revocation_init(struct aegis_environment *environment);
/* A frame was given back: counts as an answer. */
void aegis_revocation_answered(struct aegis_environment *environment);
/* Deadlines that have passed, on the interrupt context. */
void aegis_revocation_abort(struct aegis *aegis);

#endif
