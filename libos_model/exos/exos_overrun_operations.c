/* exos_overrun_operations.c: the measured program computes beside two others, each with a
 * slice of its own. One of them leaves when its slices end, until it does so no more: it
 * hangs. The kernel charges it and then ends it. */
#include "kernel_model/exo/slice.h"
#include "libos_model/exos/exos.h"

/* So many slices it has like everybody else. */
enum { GOOD_SLICES = 40 };

void exos_run_compute_beside_overrunner(struct operations *base) {
    exos_run_compute(base);
}

static void on_notice(struct aegis_environment *environment, enum aegis_notice notice) {
    struct exos_system *system = environment->state;
    if (notice == AEGIS_SLICE_END && system->overrunner_slices < GOOD_SLICES) {
        system->overrunner_slices++;
        exos_slice_end(environment, &system->profile.exos);
    }
}

static const struct aegis_program overrunner_program = {.name = "overrunner", .main = exos_spin, .notice = on_notice};

enum error_code exos_make_overrunner(struct exos_system *system, struct error *error) {
    const struct aegis_program *const programs[] = {&exos_other_program, &overrunner_program};
    return exos_make_programs(system, programs, sizeof programs / sizeof programs[0], error);
}
