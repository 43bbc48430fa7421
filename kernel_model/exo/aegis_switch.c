/* aegis_switch.c: whose turn it is, and the contexts of an environment.
 *
 * An environment has three: main; entry, where protected transfers arrive; and the
 * notifier, where the kernel's notices arrive while the other two stand still. Only one
 * of them has the environment's turn. */
#include "kernel_model/exo/aegis_machine.h"
#include "kernel_model/exo/aegis_sleep.h"
#include "kernel_model/exo/slice.h"

void aegis_account(struct aegis *aegis, struct aegis_environment *next) {
    const sim_time now = sim_now();
    if (aegis->current != NULL) {
        aegis->current->used += now - aegis->since;
    } else {
        aegis->idle += now - aegis->since;
    }
    aegis->since = now;
    aegis->current = next;
}

void aegis_switch(struct aegis *aegis, struct aegis_environment *next) {
    if (next == NULL) {
        aegis_store(aegis, aegis->globals, 0);
        return;
    }
    aegis->machine->switch_to(aegis, next);
}

bool aegis_runnable(const struct aegis_environment *environment) {
    const bool told = (environment->pending & AEGIS_REVOKE) != 0 && !environment->notifier_busy;
    return !environment->dead && (environment->active != NULL || environment->notifier_yielded || told);
}

/* Who has an environment's slices: itself, or whom it called. */
static struct aegis_environment *heir(struct aegis_environment *owner) {
    for (unsigned depth = 0; owner != NULL && owner->donee != NULL && depth < AEGIS_ENVIRONMENTS_MAX; depth++) {
        owner = owner->donee;
    }
    return owner;
}

struct aegis_environment *aegis_next(struct aegis *aegis, const struct aegis_environment *except) {
    struct aegis_environment *robbed = heir(aegis->substitute);
    if (robbed != NULL && robbed != except && aegis_sleep_ready(robbed)) {
        return robbed;
    }
    for (uint64_t i = 0; i < aegis->config.slices; i++) {
        struct aegis_environment *next = heir(aegis->slices[(aegis->position + i) % aegis->config.slices].owner);
        if (next != NULL && next != except && aegis_sleep_ready(next)) {
            return next;
        }
    }
    return NULL;
}

struct context *aegis_turn(struct aegis_environment *environment, unsigned notice) {
    if (environment->notifier_yielded) {
        return environment->notifier;
    }
    environment->counters.slices++;
    if (environment->program->notice != NULL && (environment->pending | notice) != 0) {
        environment->pending |= notice;
        return environment->notifier;
    }
    return environment->active;
}

void aegis_leave(struct aegis_environment *environment, struct aegis_environment *next, unsigned notice) {
    struct aegis *aegis = environment->aegis;
    struct context *context = context_current();
    aegis_step(aegis, &aegis->costs->slice_switch);
    aegis_switch(aegis, next);
    aegis->machine->jump_away(aegis);
    cpu_run(context);
    aegis_slice_settle(environment);
    aegis_account(aegis, next);
    aegis->machine->leave_to(aegis, next != NULL ? aegis_turn(next, notice) : NULL);
    ledger_turn_at(aegis_request(environment), LEDGER_WAITING, sim_now());
    cpu_block(context);
}

void aegis_die(struct aegis_environment *environment) {
    environment->dead = true;
    environment->active = NULL;
    environment->notifier_yielded = false;
    struct aegis *aegis = environment->aegis;
    aegis->machine->raise(aegis, AEGIS_LINE_NOTICE); /* its remains are the interrupt context's to remove */
    aegis_leave(environment, aegis_next(aegis, environment), AEGIS_SLICE_BEGIN);
    SIM_ASSERT_MSG(false, "a dead environment runs");
}

void aegis_exit(struct aegis_environment *environment) {
    aegis_call_begin(environment, aegis_components.slice, false);
    aegis_die(environment);
}

void aegis_post(struct aegis_environment *environment, unsigned notices) {
    environment->pending |= notices;
    if (environment->program->notice == NULL) {
        environment->pending = 0;
    } else if (environment->aegis->current == environment) {
        environment->aegis->machine->raise(environment->aegis, AEGIS_LINE_NOTICE);
    }
}

/* ---- the contexts ---- */

/* The environment has nothing to run on this context until it is entered or told. */
static void rest(struct aegis_environment *environment) {
    aegis_call_begin(environment, aegis_components.slice, false);
    aegis_leave(environment, aegis_next(environment->aegis, environment), AEGIS_SLICE_BEGIN);
}

void aegis_main_body(void *argument) {
    struct aegis_environment *environment = argument;
    cpu_work_for(environment->main, environment->component, environment->request);
    environment->program->main(environment);
    environment->active = NULL;
    rest(environment);
    SIM_ASSERT_MSG(false, "%s: main goes on after its end", environment->environment->name);
}

/* In user mode: the library goes on with what was displaced, without the kernel. */
static void go_on(struct aegis_environment *environment, struct context *context) {
    if (environment->active == NULL) {
        rest(environment);
        return;
    }
    cpu_run(context);
    core_dispatch(environment->aegis->core, CORE_THREAD, environment->active);
    cpu_block(context);
}

void aegis_entry_body(void *argument) {
    struct aegis_environment *environment = argument;
    for (;;) {
        cpu_work_for(environment->entry, environment->component, environment->request);
        environment->program->entered(environment);
        environment->entry_busy = false;
        environment->active = environment->below;
        environment->below = NULL;
        go_on(environment, environment->entry);
    }
}

void aegis_notifier_body(void *argument) {
    struct aegis_environment *environment = argument;
    static const enum aegis_notice order[] = {AEGIS_REPOSSESSED, AEGIS_REVOKE, AEGIS_SLICE_BEGIN, AEGIS_SLICE_END};
    for (;;) {
        environment->notifier_busy = true;
        for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
            if ((environment->pending & order[i]) != 0) {
                environment->pending &= ~(unsigned)order[i];
                environment->counters.notices++;
                environment->aegis->counters.notices++;
                cpu_work_for(environment->notifier, environment->component, NULL);
                environment->program->notice(environment, order[i]);
            }
        }
        cpu_run(environment->notifier); /* an interrupt may bring another notice until here */
        if (environment->pending == 0) {
            environment->notifier_busy = false;
            go_on(environment, environment->notifier);
        }
    }
}
