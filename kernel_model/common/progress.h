/* progress.h: three programs compute side by side, until a fault: what they have got done,
 * and what of it goes with them. The same on each system that runs them.
 *
 * Work is counted in slices of 1/64 s of computing. What a program has done lies in its
 * memory: it is lost when the program ends or the machine stops. */
#ifndef STILLSUIT_KERNEL_MODEL_COMMON_PROGRESS_H
#define STILLSUIT_KERNEL_MODEL_COMMON_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/stats_sink.h"
#include "sim/time.h"

/* The first is the one that is measured; the last has the faulty library. */
enum { PROGRESS_PROGRAMS = 3, PROGRESS_MEASURED = 0, PROGRESS_FAULTY = PROGRESS_PROGRAMS - 1 };
#define PROGRESS_SLICE (SIM_S / 64)

struct progress {
    uint64_t done[PROGRESS_PROGRAMS]; /* slices, since the program began */
    bool runs[PROGRESS_PROGRAMS];
    uint64_t lost, deaths, stops; /* slices; programs that ended alone; times that the machine stopped */
    bool faulted;                 /* the fault has struck, and will not again */
};

void progress_begin(struct progress *progress, unsigned program);
/* One has ended; all have, with the machine. */
void progress_death(struct progress *progress, unsigned program);
void progress_stop(struct progress *progress);
/* Instance "programs": done, lost, running, deaths, stops. */
void progress_visit_stats(const struct progress *progress, const struct stats_sink *sink);

#endif
