/* slice.h: time as a resource: a linear vector of time slices.
 *
 * A position belongs to an environment by capability. The timer ends each slice; the
 * environment is told (AEGIS_SLICE_END), saves its own context and yields. What it
 * takes beyond the epilogue that it is allowed is charged to it, to the femtosecond,
 * and owed to those whose slices it ate into: once it adds up to a slice, a later
 * slice of its own is forfeited to who is owed most. One that does not yield for
 * longer than the threshold is destroyed. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_SLICE_H
#define STILLSUIT_KERNEL_MODEL_EXO_SLICE_H

#include "kernel_model/exo/aegis.h"

struct aegis_slice {
    struct aegis *aegis;
    struct aegis_environment *owner; /* NULL: free */
    struct exo_handle handle;
};

#define AEGIS_ANY_POSITION UINT64_MAX

/* [env] The position, or the first that is free. ERR_EXISTS, ERR_EXHAUSTED, ERR_RANGE,
 * ERR_SHARE. */
enum error_code aegis_slice_allocate(struct aegis_environment *environment, uint64_t position,
                                     struct exo_handle *handle, struct error *error);
/* [env] Gives the processor up for the rest of the slice: to `to`, if it can run, or to
 * who comes next in the vector (always so once the slice is over: the next one is
 * another's). Returns when its turn comes again. ERR_NOT_FOUND: `to`
 * cannot run (and the call has returned at once). */
enum error_code aegis_yield(struct aegis_environment *environment, struct aegis_environment *to);

/* ---- For the kernel's own files. ---- */
void aegis_slice_init(struct aegis *aegis);
/* The timer's interrupt, on the interrupt context. */
void aegis_slice_tick(struct aegis *aegis);
/* `environment` gives up the processor: an overrun of its ends here. */
void aegis_slice_settle(struct aegis_environment *environment);
/* `from` transfers control to `to`: a slice that is over is over for both. */
void aegis_slice_pass(struct aegis_environment *from, struct aegis_environment *to);
/* It has woken up: if the present slice is its own, it is over for who has it as a guest. */
void aegis_slice_reclaim(struct aegis_environment *environment);
/* Takes a dying environment out of the vector. */
void aegis_slice_forget(struct aegis_environment *environment);

#endif
