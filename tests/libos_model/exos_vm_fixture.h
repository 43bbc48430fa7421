/* exos_vm_fixture.h: one environment, alice, with the library's virtual memory. */
#ifndef STILLSUIT_TESTS_LIBOS_MODEL_EXOS_VM_FIXTURE_H
#define STILLSUIT_TESTS_LIBOS_MODEL_EXOS_VM_FIXTURE_H

#include "tests/libos_model/exos_fixture.h"

static struct exos_vm_costs vm_costs;
static struct exos_vm vm;
static struct aegis_environment *alice;
static void (*scenario)(void);
static enum error_code (*set_up)(void); /* alice's, before the scenario */
static bool finished;

static inline enum aegis_resume vm_fixture_exception(struct aegis_environment *environment,
                                                     const struct aegis_exception *exception) {
    enum aegis_resume resume = AEGIS_SKIP;
    if (!exos_vm_fault(&vm, exception, &resume)) {
        return fixture_skip(environment, exception);
    }
    return resume;
}

static inline void vm_fixture_main(struct aegis_environment *environment) {
    cr_assert_eq(exos_start(environment, &vm_costs, NULL), OK);
    cr_assert_eq(set_up(), OK);
    (void)aegis_user_work(environment, system_components.app);
    scenario();
    finished = true;
}

/* The machine, and the checked-in costs, which a test may change before vm_fixture_run. */
static inline void vm_fixture_make(void) {
    fixture_make();
    exos_fixture_costs("exos-vm-1995.yaml", exos_vm_cost_params, &vm_costs);
}

/* Alice sets up and does `what`, which must end in time; the accounts must tile. */
static inline void vm_fixture_run(enum error_code (*prepare)(void), void (*what)(void), sim_time duration) {
    static const struct aegis_program program = {
        .name = "alice", .main = vm_fixture_main, .exception = vm_fixture_exception, .notice = fixture_obey};
    set_up = prepare;
    scenario = what;
    finished = false;
    alice = fixture_environment("alice", &program, 1);
    memset(&vm, 0, sizeof vm);
    vm.environment = alice;
    vm.costs = &vm_costs;
    fixture_run(duration);
    cr_assert(finished);
    fixture_check_accounts();
}

#endif
