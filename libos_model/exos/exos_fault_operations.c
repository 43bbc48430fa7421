/* exos_fault_operations.c: three programs compute with a slice each, and a fault strikes: in
 * the library of one of them, as it saves its registers, which ends that environment; or in
 * the exokernel, which all have in common. */
#include "kernel_model/common/system.h"
#include "kernel_model/exo/aegis_user.h"
#include "kernel_model/exo/slice.h"
#include "libos_model/exos/exos.h"

static void compute_slice(struct exos_system *system, unsigned program) {
    cpu_charge_time(context_current(), PROGRESS_SLICE);
    cpu_run(context_current());
    system->progress.done[program]++;
}

static void run_compute(struct operations *base) {
    struct exos_system *system = (struct exos_system *)base;
    (void)aegis_user_work(system->measured, system_components.app);
    compute_slice(system, PROGRESS_MEASURED);
}
void exos_run_compute_library_fault(struct operations *base) {
    run_compute(base);
}
void exos_run_compute_kernel_fault(struct operations *base) {
    run_compute(base);
}

/* ---- the programs beside it ---- */

static void other_main(struct aegis_environment *environment) {
    for (;;) {
        compute_slice(environment->state, PROGRESS_MEASURED + 1);
    }
}

static void faulty_main(struct aegis_environment *environment) {
    for (;;) {
        compute_slice(environment->state, PROGRESS_FAULTY);
    }
}

/* It follows a pointer that is not one, and has no handler for what comes of it. */
static void faulty_notice(struct aegis_environment *environment, enum aegis_notice notice) {
    struct exos_system *system = environment->state;
    uint32_t value = 0;
    const bool due = system->library_fault && !system->progress.faulted && sim_now() >= system->plan.fault_after;
    if (notice == AEGIS_SLICE_END && due) {
        cpu_run(context_current());
        progress_death(&system->progress, PROGRESS_FAULTY);
        (void)aegis_user_load(environment, 0, 4, &value);
    }
    if (notice == AEGIS_SLICE_END) {
        exos_slice_end(environment, &system->profile.exos);
    }
}

static void other_notice(struct aegis_environment *environment, enum aegis_notice notice) {
    struct exos_system *system = environment->state;
    if (notice == AEGIS_SLICE_END) {
        exos_slice_end(environment, &system->profile.exos);
    }
}

static const struct aegis_program other_program = {.name = "other", .main = other_main, .notice = other_notice};
static const struct aegis_program faulty_program = {.name = "faulty", .main = faulty_main, .notice = faulty_notice};

static enum error_code start(struct exos_system *system, struct error *error) {
    const struct aegis_program *const programs[] = {&other_program, &faulty_program};
    const enum error_code code = exos_make_programs(system, programs, sizeof programs / sizeof programs[0], error);
    for (unsigned i = 0; i < PROGRESS_PROGRAMS; i++) {
        progress_begin(&system->progress, i);
    }
    return code;
}

/* ---- the kernel's fault ---- */

static void on_fault(void *context) {
    struct exos_system *system = context;
    system->aegis->faulty = true;
}

static void on_rebooted(void *context) {
    struct exos_system *system = context;
    struct error error = {OK, ""};
    struct exo_handle slice;
    aegis_reboot(system->aegis);
    enum error_code code = exos_make_measured(system, &error);
    if (code == OK) {
        code = aegis_slice_allocate(system->measured, AEGIS_ANY_POSITION, &slice, &error);
    }
    if (code == OK) {
        code = start(system, &error);
    }
    if (code != OK) {
        system->meter.failed(system->meter.context, &error);
        return;
    }
    aegis_start(system->aegis);
}

static void on_panic(void *context) {
    struct exos_system *system = context;
    progress_stop(&system->progress);
    sim_event_init(&system->rebooted, SIM_PRIORITY_SOFTWARE, on_rebooted, system);
    sim_schedule(&system->rebooted, system->plan.reboot);
}

enum error_code exos_make_mortals(struct exos_system *system, bool library, struct error *error) {
    if (!library && system->aegis->machine->reset == NULL) {
        return error_set(error, ERR_UNSUPPORTED, "kernel.operation: aegis does not start again on this machine");
    }
    if (system->plan.count > 1) {
        return error_set(error, ERR_UNSUPPORTED, "kernel.operation: what ends in a fault is measured alone");
    }
    system->library_fault = library;
    system->aegis->on_panic = on_panic;
    system->aegis->panic_state = system;
    sim_event_init(&system->fault, SIM_PRIORITY_SOFTWARE, on_fault, system);
    if (!library) {
        sim_schedule(&system->fault, system->plan.fault_after);
    }
    return start(system, error);
}
