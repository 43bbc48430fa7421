#include "sim/clock.h"

#include "sim/error.h"

__extension__ typedef unsigned __int128 wide;

static uint64_t greatest_common_divisor(uint64_t a, uint64_t b) {
    while (b != 0) {
        const uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* floor(2^64 / divisor); for 1 the largest number, which serves as well. */
static uint64_t inverse_of(uint64_t divisor) {
    return divisor == 1 ? UINT64_MAX : (uint64_t)(((wide)1 << 64) / divisor);
}

/* floor(value / divisor). The product falls short of value / divisor by less than one,
 * so that the quotient is right or one too small. */
static inline uint64_t divide(uint64_t value, uint64_t divisor, uint64_t inverse) {
    const uint64_t quotient = (uint64_t)(((wide)value * inverse) >> 64);
    return quotient + (value - quotient * divisor >= divisor ? 1 : 0);
}

struct sim_clock sim_clock_make(uint64_t frequency_hz) {
    SIM_ASSERT_MSG(frequency_hz > 0 && frequency_hz <= SIM_S, "a clock of %llu Hz", (unsigned long long)frequency_hz);
    const uint64_t divisor = greatest_common_divisor(SIM_S, frequency_hz);
    const uint64_t numerator = SIM_S / divisor;
    const uint64_t denominator = frequency_hz / divisor;
    return (struct sim_clock){frequency_hz, numerator, denominator, inverse_of(numerator), inverse_of(denominator)};
}

/* Products are of 64 bits where that is enough, since a 128-bit division costs ten
 * times as much and this runs at every synchronization. */
sim_time sim_clock_edge(const struct sim_clock *clock, uint64_t cycle) {
    const wide product = (wide)cycle * clock->numerator;
    if ((product >> 64) == 0) {
        return divide((uint64_t)product, clock->denominator, clock->denominator_inverse);
    }
    return (uint64_t)(product / clock->denominator);
}

uint64_t sim_clock_cycle_floor(const struct sim_clock *clock, sim_time time) {
    /* The last n with floor(n * num / den) <= time, that is n * num < (time + 1) * den. */
    const wide bound = ((wide)time + 1) * clock->denominator - 1;
    if ((bound >> 64) == 0) {
        return divide((uint64_t)bound, clock->numerator, clock->numerator_inverse);
    }
    return (uint64_t)(bound / clock->numerator);
}

uint64_t sim_clock_cycle_ceil(const struct sim_clock *clock, sim_time time) {
    const uint64_t floor = sim_clock_cycle_floor(clock, time);
    return sim_clock_edge(clock, floor) == time ? floor : floor + 1;
}

sim_time sim_clock_after(const struct sim_clock *clock, sim_time from, uint64_t cycles) {
    return sim_clock_edge(clock, sim_clock_cycle_ceil(clock, from) + cycles);
}

uint64_t sim_clock_cycles(const struct sim_clock *clock, sim_time duration) {
    const wide halves = ((wide)duration * clock->denominator * 2) / clock->numerator;
    return (uint64_t)((halves + 1) / 2);
}
