/* pool.h: points in processes of their own, several at a time: SystemC allows one
 * simulation a process. */
#ifndef STILLSUIT_EXPERIMENT_POOL_H
#define STILLSUIT_EXPERIMENT_POOL_H

#include <stdbool.h>
#include <stddef.h>

#include "sim/error.h"

struct pool_job {
    size_t count;
    unsigned jobs; /* at a time; 0: one a core of this machine */
    bool progress; /* a bar on stderr, if it is a terminal */
    const char *what;
    /* In a child: returns its exit status. */
    int (*work)(void *context, size_t index);
    /* In the parent, as each one ends, in whatever order. */
    void (*ended)(void *context, size_t index, bool good);
    bool (*skip)(void *context, size_t index); /* needs no work: counted as ended well */
    void *context;
};

/* Runs all; returns the number that failed. */
size_t pool_run(const struct pool_job *job);

#endif
