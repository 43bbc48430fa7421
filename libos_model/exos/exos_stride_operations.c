/* exos_stride_operations.c: Figure 3: the measured program computes beside two others, all
 * under a scheduler that is a library OS and holds the only slices. */
#include "kernel_model/common/system.h"
#include "kernel_model/exo/slice.h"
#include "libos_model/exos/exos.h"

/* Its tickets and the others' add up to 3 + 2 + 1. */
enum { PROGRAMS = 3 };

/* As much computing as fills a slice. */
void exos_run_compute(struct operations *base) {
    const struct exos_system *system = (const struct exos_system *)base;
    (void)aegis_user_work(system->measured, system_components.app);
    cpu_charge_time(context_current(), system->config.quantum);
    cpu_run(context_current());
}

void exos_spin(struct aegis_environment *environment) {
    const struct exos_system *system = environment->state;
    for (;;) {
        cpu_charge_time(context_current(), system->config.quantum);
        cpu_run(context_current());
    }
}

static void on_notice(struct aegis_environment *environment, enum aegis_notice notice) {
    struct exos_system *system = environment->state;
    if (notice == AEGIS_SLICE_END) {
        exos_slice_end(environment, &system->profile.exos);
    }
}

const struct aegis_program exos_other_program = {.name = "other", .main = exos_spin, .notice = on_notice};

static struct aegis_environment *make(struct exos_system *system, const struct aegis_program *program, void *state,
                                      struct error *error) {
    struct exo_limits limits = exo_limits_default();
    return aegis_environment_create(system->aegis, program->name, &limits, program, state, error);
}

enum error_code exos_make_scheduler(struct exos_system *system, struct error *error) {
    struct exo_handle slice;
    struct aegis_environment *scheduler = make(system, &stride_program, &system->stride, error);
    if (scheduler == NULL) {
        return error->code;
    }
    system->stride.costs = &system->profile.exos;
    for (uint64_t tickets = PROGRAMS; tickets > 0; tickets--) {
        struct aegis_environment *program =
            tickets == system->plan.tickets ? system->measured : make(system, &exos_other_program, system, error);
        if (program == NULL) {
            return error->code;
        }
        stride_add(&system->stride, program, tickets);
    }
    return aegis_slice_allocate(scheduler, AEGIS_ANY_POSITION, &slice, error);
}
