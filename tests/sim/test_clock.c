/* Clock domains: edges by exact arithmetic, nothing drifts. */
#include <criterion/criterion.h>

#include "sim/clock.h"

Test(clock, edges_of_2200_mhz) {
    const struct sim_clock clock = sim_clock_make(UINT64_C(2200000000));
    cr_assert_eq(sim_clock_edge(&clock, 0), 0);
    cr_assert_eq(sim_clock_edge(&clock, 1), 454545); /* floor(1e15 / 2.2e9) */
    cr_assert_eq(sim_clock_edge(&clock, 11), 5 * SIM_NS);
    /* An hour of cycles is an hour: no rounding piles up. */
    cr_assert_eq(sim_clock_edge(&clock, UINT64_C(2200000000) * 3600), 3600 * SIM_S);
}

Test(clock, ceil_and_floor_invert_edge_for_many_clocks) {
    const uint64_t frequencies[] = {UINT64_C(2200000000), 25000000, 16670000, 12500000, UINT64_C(3300000000), 1};
    for (size_t f = 0; f < sizeof frequencies / sizeof frequencies[0]; f++) {
        const struct sim_clock clock = sim_clock_make(frequencies[f]);
        for (uint64_t cycle = 0; cycle < 2000; cycle++) {
            const sim_time edge = sim_clock_edge(&clock, cycle);
            cr_assert_eq(sim_clock_cycle_floor(&clock, edge), cycle);
            cr_assert_eq(sim_clock_cycle_ceil(&clock, edge), cycle);
            cr_assert_eq(sim_clock_cycle_ceil(&clock, edge + 1), cycle + 1);
            if (edge > 0) {
                cr_assert_eq(sim_clock_cycle_floor(&clock, edge - 1), cycle - 1);
            }
        }
    }
}

Test(clock, after_counts_whole_cycles_from_the_next_edge) {
    const struct sim_clock clock = sim_clock_make(1000000000);
    cr_assert_eq(sim_clock_after(&clock, 0, 3), 3 * SIM_NS);
    cr_assert_eq(sim_clock_after(&clock, 1, 3), 4 * SIM_NS);
    cr_assert_eq(sim_clock_cycles(&clock, 1499999), 1);
    cr_assert_eq(sim_clock_cycles(&clock, 1500000), 2);
}
