/* download_wake.h: predicates that say when a sleeping environment wants to run.
 *
 * An environment that waits for several things at once (a word in shared memory, a
 * ring's index, a count) downloads an expression over memory that it may read; the
 * kernel's scheduler evaluates it instead of scheduling the environment so that it may
 * look for itself. Same bytecode, no instruction that writes. A predicate that is
 * stopped (an access outside, a division by zero) wakes its environment: it would
 * sleep forever otherwise. An environment has one; it is verified once, and may be slept
 * on again. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_DOWNLOAD_WAKE_H
#define STILLSUIT_KERNEL_MODEL_EXO_DOWNLOAD_WAKE_H

#include "kernel_model/exo/download_run.h"

struct download_waiters_config {
    struct memory *memory;
    struct download_costs *costs;
    uint64_t limit_cycles; /* of one evaluation */
    void *context;
    /* Whether an owner may read that memory. */
    bool (*holds)(void *context, uint32_t owner, uint64_t physical, uint32_t length_bytes);
};
struct download_waiters_counters {
    uint64_t slept, unsafe, foreign; /* predicates taken; refused: the verifier, a region */
    uint64_t evaluated, woken, stopped, cycles;
};

struct download_woken {
    uint32_t owner;
    uint32_t value; /* of the predicate; 0 if it was stopped */
    enum download_stop stop;
};

struct download_waiters;

/* The caller frees it; `config` is copied. */
struct download_waiters *download_waiters_create(const struct download_waiters_config *config);
void download_waiters_free(struct download_waiters *waiters);

/* `owner`'s predicate, in place of the one it had. ERR_EXISTS: it sleeps; ERR_DENIED: a
 * region is not its own to read, or the verifier refuses. */
enum error_code download_predicate(struct download_waiters *waiters, uint32_t owner,
                                   const struct download_instruction *code, uint32_t count,
                                   const struct download_region *regions, uint32_t region_count, struct error *error);
/* It sleeps until its predicate is not 0. ERR_NOT_FOUND: it has none; ERR_EXISTS: it
 * sleeps already. */
enum error_code download_sleep(struct download_waiters *waiters, uint32_t owner);
/* Both at once. */
enum error_code download_wait(struct download_waiters *waiters, uint32_t owner, const struct download_instruction *code,
                              uint32_t count, const struct download_region *regions, uint32_t region_count,
                              struct error *error);
/* Wakes it for another reason, or because it is no more, and forgets the predicate; false: it
 * did not sleep. */
bool download_wait_cancel(struct download_waiters *waiters, uint32_t owner);

/* Evaluates the predicate of one that may sleep, charged as below. True: it is awake now. */
bool download_waiter_poll(struct download_waiters *waiters, struct context *context, uint32_t owner,
                          struct download_woken *woken);
/* For the scheduler: evaluates the predicates of all who sleep, in the order in which
 * they went to sleep, and takes out those to be woken, at most `capacity`; returns how
 * many. What it takes is charged to `context` (NULL: takes no time), whose cpu_run is
 * the caller's. */
uint32_t download_waiters_poll(struct download_waiters *waiters, struct context *context, struct download_woken *woken,
                               uint32_t capacity);

const struct download_waiters_counters *download_waiters_counters(const struct download_waiters *waiters);

#endif
