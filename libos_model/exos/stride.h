/* stride.h: a proportional-share scheduler as a library OS (Waldspurger and Weihl,
 * "Stride Scheduling", 1995). It holds the slices; at the beginning of each it yields
 * the processor to the client that has had least for its tickets. A client's pass
 * advances by the time that it really took, so that one which overruns pays for it. */
#ifndef STILLSUIT_LIBOS_MODEL_EXOS_STRIDE_H
#define STILLSUIT_LIBOS_MODEL_EXOS_STRIDE_H

#include "kernel_model/exo/aegis.h"

struct exos_costs;

enum { STRIDE_CLIENTS_MAX = 32 };

struct stride_client {
    struct aegis_environment *environment;
    uint64_t tickets;
    sim_time pass;   /* processor time by ticket */
    uint64_t slices; /* given to it */
};
struct stride {
    struct exos_costs *costs;
    struct stride_client clients[STRIDE_CLIENTS_MAX];
    size_t count;
};

/* A client with a share of `tickets` (at least 1); before the run. */
void stride_add(struct stride *stride, struct aegis_environment *environment, uint64_t tickets);
/* The scheduler's program; its environment's state is the struct stride. It runs until
 * no client is left that can. */
extern const struct aegis_program stride_program;

#endif
