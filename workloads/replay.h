/* replay.h: how far the threads of a script are with a recorded trace, which they share. */
#ifndef STILLSUIT_WORKLOADS_REPLAY_H
#define STILLSUIT_WORKLOADS_REPLAY_H

#include <stdbool.h>
#include <stddef.h>

#include "sim/time.h"

struct workload_replay {
    size_t next;     /* request */
    sim_time passed; /* of the trace's time, in earlier rounds of it */
    sim_time start;  /* of its time, if begun */
    bool begun;
};

#endif
