/* clock.h: clock domains. Every model belongs to one and takes whole cycles of it.
 *
 * An edge is the exact product of its number and the period, rounded once, so that
 * nothing drifts: edge(n) = floor(n * 1e15 / Hz). */
#ifndef STILLSUIT_SIM_CLOCK_H
#define STILLSUIT_SIM_CLOCK_H

#include <stdint.h>

#include "sim/time.h"

struct sim_clock {
    uint64_t frequency_hz;
    uint64_t numerator, denominator; /* period in fs = numerator / denominator, reduced */
    /* 2^64 over each, rounded down, so that a division is a multiplication: */
    uint64_t numerator_inverse, denominator_inverse;
};

/* A clock of `frequency_hz` (not 0), with its edge 0 at time 0. */
struct sim_clock sim_clock_make(uint64_t frequency_hz);

/* The instant of edge `cycle`. */
sim_time sim_clock_edge(const struct sim_clock *clock, uint64_t cycle);

/* The number of the first edge at or after `time`, and of the last at or before. */
uint64_t sim_clock_cycle_ceil(const struct sim_clock *clock, sim_time time);
uint64_t sim_clock_cycle_floor(const struct sim_clock *clock, sim_time time);

/* The instant `cycles` whole cycles after the first edge at or after `from`. */
sim_time sim_clock_after(const struct sim_clock *clock, sim_time from, uint64_t cycles);

/* Cycles that cover `duration`, rounded to nearest: for figures given in time. */
uint64_t sim_clock_cycles(const struct sim_clock *clock, sim_time duration);

/* The length of `cycles` cycles counted from edge 0. */
static inline sim_time sim_clock_time(const struct sim_clock *clock, uint64_t cycles) {
    return sim_clock_edge(clock, cycles);
}

#endif
