#include "kernel_model/exo/scheduler.h"

#include <stdio.h>
#include <stdlib.h>

#include "kernel_model/exo/doorbell.h"

/* The kernel's context at an interrupt: delivers what was rung, then leaves. */
static void interrupt_body(void *argument) {
    struct exo_core *home = argument;
    for (;;) {
        exo_doorbells_deliver(home, home->interrupt);
        if (home->thread == NULL || home->thread->sleeping) {
            if (!sim_event_pending(&home->rest)) {
                sim_schedule(&home->rest, 0);
            }
        }
        cpu_block(home->interrupt);
    }
}

static void on_interrupt(void *os, struct core *core, uint32_t vector, sim_time raised, sim_time awake) {
    (void)raised;
    (void)awake;
    struct exo_kernel *kernel = os;
    struct exo_core *home = &kernel->cores[core_index(core)];
    (void)exo_doorbell_rung(home, vector); /* nobody's: the interrupt costs all the same */
    core_dispatch(core, CORE_INTERRUPT, home->interrupt);
}

static void on_rest(void *context) {
    struct exo_core *home = context;
    const bool halt = home->kernel->idle == EXO_IDLE_HALT && core_configuration(home->core)->idle[0].name != NULL;
    if (core_is_idle(home->core)) {
        core_enter_idle(home->core, halt ? 0 : -1, exo_components.idle_exit);
    }
}

void exo_scheduler_init(struct exo_kernel *kernel) {
    const unsigned count = kernel->machine->core_count;
    kernel->cores = calloc(count, sizeof *kernel->cores);
    SIM_ASSERT(kernel->cores != NULL);
    for (unsigned i = 0; i < count; i++) {
        struct exo_core *home = &kernel->cores[i];
        char name[32];
        (void)snprintf(name, sizeof name, "exokernel.interrupt.%u", i);
        home->kernel = kernel;
        home->core = kernel->machine->cores[i];
        home->rung_end = &home->rung;
        home->interrupt = context_create(home->core, CORE_INTERRUPT, name, NULL, interrupt_body, home);
        sim_event_init(&home->rest, SIM_PRIORITY_SOFTWARE, on_rest, home);
        core_set_interrupt_handler(home->core, on_interrupt, kernel);
    }
}

void exo_scheduler_fini(struct exo_kernel *kernel) {
    for (unsigned i = 0; i < kernel->machine->core_count; i++) {
        (void)sim_cancel(&kernel->cores[i].rest);
        context_kill(kernel->cores[i].interrupt);
    }
    free(kernel->cores);
}

struct exo_thread *exo_thread_create(struct exo_environment *environment, unsigned core, const char *name,
                                     void (*body)(void *argument), void *argument, struct error *error) {
    struct exo_kernel *kernel = environment->kernel;
    if (core >= kernel->machine->core_count) {
        (void)error_set(error, ERR_RANGE, "%s: there is no core %u", environment->name, core);
        return NULL;
    }
    struct exo_core *home = &kernel->cores[core];
    if (home->thread != NULL || home->dedicated) {
        (void)error_set(error, ERR_EXHAUSTED, "%s: core %u belongs to %s%s", environment->name, core,
                        home->dedicated ? "the kernel" : "a thread of ",
                        home->dedicated ? "" : home->thread->environment->name);
        return NULL;
    }
    struct exo_thread *thread = calloc(1, sizeof *thread);
    SIM_ASSERT(thread != NULL);
    thread->environment = environment;
    thread->home = home;
    thread->context = context_create(home->core, CORE_THREAD, name, environment->space, body, argument);
    home->thread = thread;
    core_dispatch(home->core, CORE_THREAD, thread->context);
    return thread;
}

void exo_thread_destroy(struct exo_thread *thread) {
    struct exo_capabilities *capabilities = thread->home->kernel->capabilities;
    while (thread->end_points != NULL) {
        exo_capability_revoke(capabilities, &thread->end_points->handle);
    }
    thread->environment->page_faults_ended += context_page_faults(thread->context);
    context_kill(thread->context);
    thread->home->thread = NULL;
    free(thread);
}

void exo_thread_sleep(struct exo_thread *thread) {
    struct exo_core *home = thread->home;
    thread->sleeping = true;
    if (!sim_event_pending(&home->rest)) {
        sim_schedule(&home->rest, 0); /* at this instant, but once the thread is off */
    }
    cpu_block(thread->context);
}

void exo_thread_run(struct exo_thread *thread) {
    thread->sleeping = false;
    core_dispatch(thread->home->core, CORE_THREAD, thread->context);
}
