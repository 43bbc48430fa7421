/* ultrix_fault_operations.c: three programs compute, and a fault strikes: in code that is
 * one program's own, which ends with it; or in the kernel, which all have in common. */
#include "kernel_model/common/system.h"
#include "kernel_model/ultrix/ultrix_system.h"

static void compute_slice(struct ultrix_system *system, unsigned program) {
    ultrix_work(system->ultrix, system_components.app);
    cpu_charge_time(context_current(), PROGRESS_SLICE);
    cpu_run(context_current());
    system->progress.done[program]++;
}

static void run_compute(struct operations *base) {
    compute_slice((struct ultrix_system *)base, PROGRESS_MEASURED);
}
void ultrix_run_compute_library_fault(struct operations *base) {
    run_compute(base);
}
void ultrix_run_compute_kernel_fault(struct operations *base) {
    run_compute(base);
}

static bool is_due(const struct ultrix_system *system) {
    return !system->progress.faulted && sim_now() >= system->plan.fault_after;
}

static void other_main(struct ultrix_process *process) {
    struct ultrix_system *system = process->state;
    for (;;) {
        compute_slice(system, PROGRESS_MEASURED + 1);
    }
}

/* Its library follows a pointer that is not one; it has no handler for what comes of it. */
static void faulty_main(struct ultrix_process *process) {
    struct ultrix_system *system = process->state;
    uint32_t value = 0;
    for (;;) {
        compute_slice(system, PROGRESS_FAULTY);
        if (system->library_fault && is_due(system)) {
            cpu_run(process->context);
            progress_death(&system->progress, PROGRESS_FAULTY);
            (void)r3000_load(system->ultrix->cpu, 0, 4, &value);
        }
    }
}

static enum error_code start(struct ultrix_system *system, struct error *error) {
    struct ultrix *ultrix = system->ultrix;
    struct ultrix_process *const others[] = {ultrix_process_create(ultrix, "other", other_main, system),
                                             ultrix_process_create(ultrix, "faulty", faulty_main, system)};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (others[i] == NULL) {
            return error_set(error, ERR_EXHAUSTED, "no memory for a process");
        }
        others[i]->apart = true;
    }
    for (unsigned i = 0; i < PROGRESS_PROGRAMS; i++) {
        progress_begin(&system->progress, i);
    }
    return OK;
}

/* ---- the kernel's fault ---- */

static void on_fault(void *context) {
    struct ultrix_system *system = context;
    system->ultrix->faulty = true;
}

static void on_rebooted(void *context) {
    struct ultrix_system *system = context;
    struct error error = {OK, ""};
    ultrix_reboot(system->ultrix);
    enum error_code code = ultrix_make_measured(system, &error);
    if (code == OK) {
        code = start(system, &error);
    }
    if (code != OK) {
        system->meter.failed(system->meter.context, &error);
        return;
    }
    ultrix_start(system->ultrix, system->measured);
}

static void on_panic(void *context) {
    struct ultrix_system *system = context;
    system->measured = system->peer = NULL;
    progress_stop(&system->progress);
    sim_event_init(&system->rebooted, SIM_PRIORITY_SOFTWARE, on_rebooted, system);
    sim_schedule(&system->rebooted, system->plan.reboot);
}

enum error_code ultrix_make_mortals(struct ultrix_system *system, bool library, struct error *error) {
    if (system->config.hz == 0) {
        return error_set(error, ERR_UNSUPPORTED, "hz: without a clock the programs' turns would not end");
    }
    if (system->plan.count > 1) {
        return error_set(error, ERR_UNSUPPORTED, "kernel.operation: what ends in a fault is measured alone");
    }
    system->library_fault = library;
    system->ultrix->on_panic = on_panic;
    system->ultrix->panic_state = system;
    sim_event_init(&system->fault, SIM_PRIORITY_SOFTWARE, on_fault, system);
    if (!library) {
        sim_schedule(&system->fault, system->plan.fault_after);
    }
    return start(system, error);
}
