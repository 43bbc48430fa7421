#include "kernel_model/exo/doorbell.h"

#include <stdlib.h>

#include "stack/udp_stack.h"

/* ---- end points ---- */

static void end_point_release(void *context, void *object, uint32_t index, bool derived) {
    struct exo_kernel *kernel = context;
    (void)index;
    if (derived) {
        return;
    }
    struct exo_end_point *end_point = object;
    /* Doorbells bound to it ring for nobody from now on. */
    for (struct exo_doorbell *at = kernel->doorbells; at != NULL; at = at->next) {
        at->end_point = at->end_point == end_point ? NULL : at->end_point;
    }
    struct exo_end_point **link = &end_point->thread->end_points;
    while (*link != end_point) {
        link = &(*link)->next;
    }
    *link = end_point->next;
    free(end_point);
}

enum error_code exo_end_point_create(struct exo_thread *thread, struct exo_handle *out, struct error *error) {
    struct exo_environment *environment = thread->environment;
    exo_enter(environment->kernel, NULL);
    struct exo_end_point *end_point = calloc(1, sizeof *end_point);
    SIM_ASSERT(end_point != NULL);
    end_point->thread = thread;
    const enum error_code code = exo_grant(environment, NULL, EXO_END_POINT, end_point, out, error);
    if (code != OK) {
        free(end_point);
        return code;
    }
    end_point->handle = *out;
    end_point->next = thread->end_points;
    thread->end_points = end_point;
    return OK;
}

enum error_code exo_end_point_wait(struct exo_thread *thread, const struct exo_handle *handle, struct error *error) {
    struct exo_kernel *kernel = thread->environment->kernel;
    exo_enter(kernel, &kernel->costs->end_point_wait);
    void *object = NULL;
    const enum error_code code = exo_check(thread->environment, handle, EXO_END_POINT, EXO_CONTROL, &object, error);
    if (code != OK) {
        return code;
    }
    struct exo_end_point *end_point = object;
    if (end_point->thread != thread) {
        return error_set(error, ERR_DENIED, "%s: the end point is another thread's", thread->environment->name);
    }
    cpu_run(thread->context); /* what was charged is done before the decision to sleep */
    if (!end_point->pending) {
        end_point->waiting = true;
        exo_thread_sleep(thread);
        end_point->waiting = false;
    }
    end_point->pending = false;
    return OK;
}

void exo_end_point_alarm(struct exo_environment *environment, const struct exo_handle *handle) {
    struct exo_kernel *kernel = environment->kernel;
    struct error ignored;
    void *object = NULL;
    if (exo_check(environment, handle, EXO_END_POINT, EXO_CONTROL, &object, &ignored) != OK) {
        return;
    }
    for (const struct exo_doorbell *at = kernel->doorbells; at != NULL; at = at->next) {
        if (at->end_point == object) {
            core_interrupt(at->end_point->thread->home->core, at->vector);
            return;
        }
    }
}

/* ---- doorbells ---- */

static void forget_ring(struct exo_doorbell *doorbell) {
    for (unsigned i = 0; i < doorbell->function->kernel->machine->core_count; i++) {
        struct exo_core *home = &doorbell->function->kernel->cores[i];
        for (struct exo_doorbell **at = &home->rung; *at != NULL; at = &(*at)->next_rung) {
            if (*at == doorbell) {
                *at = doorbell->next_rung;
                home->rung_end = doorbell->next_rung == NULL ? at : home->rung_end;
                return;
            }
        }
    }
}

static void doorbell_release(void *context, void *object, uint32_t index, bool derived) {
    struct exo_kernel *kernel = context;
    (void)index;
    if (derived) {
        return;
    }
    struct exo_doorbell *doorbell = object;
    pcie_msix_mask(doorbell->function->pcie, doorbell->entry, true);
    if (doorbell->rung) {
        forget_ring(doorbell);
    }
    struct exo_doorbell **at = &kernel->doorbells;
    while (*at != doorbell) {
        at = &(*at)->next;
    }
    *at = doorbell->next;
    free(doorbell);
}

static bool has_doorbell(const struct exo_kernel *kernel, const struct exo_function *function, uint32_t entry) {
    for (const struct exo_doorbell *at = kernel->doorbells; at != NULL; at = at->next) {
        if (at->function == function && at->entry == entry) {
            return true;
        }
    }
    return false;
}

static const struct exo_doorbell *vector_user(const struct exo_kernel *kernel, uint32_t vector) {
    const struct exo_doorbell *at = kernel->doorbells;
    while (at != NULL && at->vector != vector) {
        at = at->next;
    }
    return at;
}

enum error_code exo_doorbell_create(struct exo_environment *environment, const struct exo_handle *function,
                                    uint32_t queue, const struct exo_handle *end_point, struct exo_handle *out,
                                    struct error *error) {
    struct exo_kernel *kernel = environment->kernel;
    exo_enter(kernel, NULL);
    void *owner = NULL;
    void *target = NULL;
    enum error_code code = exo_check(environment, function, EXO_FUNCTION, EXO_BIND, &owner, error);
    if (code == OK) {
        code = exo_check(environment, end_point, EXO_END_POINT, EXO_BIND, &target, error);
    }
    if (code != OK) {
        return code;
    }
    struct exo_function *source = owner;
    if (queue >= 64 || (source->queues >> queue & 1) == 0) {
        return error_set(error, ERR_RANGE, "%s: queue %u was not granted", environment->name, queue);
    }
    if (has_doorbell(kernel, source, queue)) {
        return error_set(error, ERR_EXISTS, "%s: queue %u has a doorbell", environment->name, queue);
    }
    struct exo_doorbell *doorbell = calloc(1, sizeof *doorbell);
    SIM_ASSERT(doorbell != NULL);
    *doorbell =
        (struct exo_doorbell){.next = kernel->doorbells, .function = source, .end_point = target, .entry = queue};
    while (vector_user(kernel, doorbell->vector) != NULL) {
        doorbell->vector++;
    }
    kernel->doorbells = doorbell;
    const unsigned core = core_index(doorbell->end_point->thread->home->core);
    code = doorbell->vector < EXO_VECTORS
               ? exo_grant(environment, function, EXO_DOORBELL, doorbell, out, error)
               : error_set(error, ERR_EXHAUSTED, "%s: no interrupt vector is left", environment->name);
    if (code != OK) {
        doorbell_release(kernel, doorbell, 0, false);
        return code;
    }
    pcie_msix_route(source->pcie, queue, core, doorbell->vector);
    return OK;
}

/* ---- delivery ---- */

bool exo_doorbell_rung(struct exo_core *core, uint32_t vector) {
    struct exo_doorbell *doorbell = core->kernel->doorbells;
    while (doorbell != NULL && doorbell->vector != vector) {
        doorbell = doorbell->next;
    }
    if (doorbell == NULL) {
        return false;
    }
    if (!doorbell->rung) {
        doorbell->rung = true;
        doorbell->next_rung = NULL;
        *core->rung_end = doorbell;
        core->rung_end = &doorbell->next_rung;
    }
    return true;
}

static struct exo_doorbell *take_rung(struct exo_core *core) {
    struct exo_doorbell *doorbell = core->rung;
    if (doorbell != NULL) {
        core->rung = doorbell->next_rung;
        core->rung_end = core->rung == NULL ? &core->rung : core->rung_end;
        doorbell->rung = false;
        doorbell->rings++;
    }
    return doorbell;
}

static void notify(struct exo_core *core, struct context *context, struct exo_end_point *end_point) {
    struct exo_costs *costs = core->kernel->costs;
    struct exo_thread *thread = end_point->thread;
    end_point->pending = true;
    if (end_point->waiting && thread->sleeping) {
        (void)stack_charge(context, &costs->doorbell_wake, 1.0, core->kernel->working_set);
        cpu_run(context);
        exo_thread_run(thread);
    } else {
        thread->upcalls++;
        (void)stack_charge(context, &costs->doorbell_upcall, 1.0, core->kernel->working_set);
    }
}

void exo_doorbells_deliver(struct exo_core *core, struct context *context) {
    struct exo_kernel *kernel = core->kernel;
    cpu_work_for(context, exo_components.doorbell, NULL);
    cpu_charge(context, core_configuration(core->core)->interrupt_cycles);
    cpu_run(context);
    for (struct exo_doorbell *doorbell = take_rung(core); doorbell != NULL; doorbell = take_rung(core)) {
        struct exo_end_point *end_point = doorbell->end_point;
        cpu_work_for(context, exo_components.doorbell, NULL);
        (void)stack_charge(context, &kernel->costs->doorbell_interrupt, 1.0, kernel->working_set);
        if (end_point != NULL) {
            notify(core, context, end_point);
        }
    }
    cpu_run(context);
}

void exo_doorbell_init(struct exo_kernel *kernel) {
    exo_capabilities_on_release(kernel->capabilities, EXO_END_POINT, end_point_release, kernel);
    exo_capabilities_on_release(kernel->capabilities, EXO_DOORBELL, doorbell_release, kernel);
}
