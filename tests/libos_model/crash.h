/* crash.h: cuts the power at every boundary between two events of a run, or at so many
 * of them spread over it, and has what would be left on the medium checked.
 *
 * At each cut some blocks of the volatile cache have reached the medium, others not:
 * none, all, or a random subset, in turn. Any structure on a block_store can be
 * tested: its recovery and what it promised are the check's. */
#ifndef STILLSUIT_TESTS_LIBOS_MODEL_CRASH_H
#define STILLSUIT_TESTS_LIBOS_MODEL_CRASH_H

#include "hw/media/block_store.h"

struct crash_test {
    const struct block_store *store; /* of the drive; set before, or as soon as there is one */
    /* Looks at an image; false, with a reason, if a promise was broken. */
    bool (*check)(void *context, struct block_store *image, char *why, size_t why_bytes);
    void *context;
    uint64_t every;   /* every n-th boundary; 1 for all */
    uint64_t stop_at; /* failures after which nothing more is tried; 0: never */
    struct random_stream *random;
    uint64_t boundaries, cuts, failures;
    char first_failure[256];
};

/* From now on, until crash_unwatch: cuts at the boundaries of the run. The test is the
 * caller's; `every` 0 stands for 1. */
void crash_watch(struct crash_test *test);
void crash_unwatch(struct crash_test *test);

#endif
