/* interval.h: an interval timer, as processors have one: a tick at each whole multiple of
 * a period, counted from its start, so that it does not drift. */
#ifndef STILLSUIT_HW_INTERVAL_H
#define STILLSUIT_HW_INTERVAL_H

#include <stdint.h>

#include "sim/engine.h"

struct interval {
    struct sim_event event;
    void (*on_tick)(void *context);
    void *context;
    sim_time start, period;
    uint64_t ticks; /* since the start */
};

/* Stopped; each tick calls on_tick(context), with its own tick counted. */
void interval_init(struct interval *interval, void (*on_tick)(void *context), void *context);
/* A tick every `period` from now on; 0 stops it. */
void interval_start(struct interval *interval, sim_time period);
/* No tick any more; what was counted stays. */
void interval_stop(struct interval *interval);
/* The instant of the latest tick, or of the start. */
static inline sim_time interval_latest(const struct interval *interval) {
    return interval->start + interval->ticks * interval->period;
}

#endif
