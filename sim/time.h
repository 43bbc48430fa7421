/* time.h: simulated time, in femtoseconds since the start of the run.
 * 64 bits hold five hours; a 2.2 GHz cycle is rounded by less than a millionth. */
#ifndef STILLSUIT_SIM_TIME_H
#define STILLSUIT_SIM_TIME_H

#include <stdint.h>

typedef uint64_t sim_time;

#define SIM_FS ((sim_time)1)
#define SIM_PS ((sim_time)1000)
#define SIM_NS ((sim_time)1000000)
#define SIM_US ((sim_time)1000000000)
#define SIM_MS ((sim_time)1000000000000)
#define SIM_S ((sim_time)1000000000000000)
#define SIM_TIME_MAX UINT64_MAX

/* Nanoseconds, for reports. */
static inline double sim_time_ns(sim_time time) {
    return (double)time / 1e6;
}

#endif
