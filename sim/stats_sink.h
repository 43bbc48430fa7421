/* stats_sink.h: how a model tells its counters: one call each, in a fixed order. */
#ifndef STILLSUIT_SIM_STATS_SINK_H
#define STILLSUIT_SIM_STATS_SINK_H

#include <stdint.h>

#include "sim/usage.h"

struct stats_sink {
    void *context;
    /* A count since the end of the warm-up, or since the start if `instance` does
     * not tell apart. */
    void (*counter)(void *context, const char *instance, const char *counter, uint64_t value);
    /* A resource's account, still open. */
    void (*usage)(void *context, const char *resource, const struct usage *usage);
};

static inline void stats_counter(const struct stats_sink *sink, const char *instance, const char *counter,
                                 uint64_t value) {
    if (sink->counter) {
        sink->counter(sink->context, instance, counter, value);
    }
}

static inline void stats_usage(const struct stats_sink *sink, const char *resource, const struct usage *usage) {
    if (sink->usage) {
        sink->usage(sink->context, resource, usage);
    }
}

#endif
