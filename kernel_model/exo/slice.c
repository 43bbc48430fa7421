#include "kernel_model/exo/slice.h"

#include <stdlib.h>

#include "kernel_model/exo/aegis_machine.h"
#include "kernel_model/exo/aegis_sleep.h"

/* ---- the vector ---- */

static void release(void *context, void *object, uint32_t index, bool derived) {
    (void)context, (void)index;
    struct aegis_slice *slice = object;
    if (!derived) {
        slice->owner = NULL;
    }
}

void aegis_slice_init(struct aegis *aegis) {
    aegis->slices = calloc(aegis->config.slices, sizeof *aegis->slices);
    SIM_ASSERT(aegis->slices != NULL);
    for (uint64_t i = 0; i < aegis->config.slices; i++) {
        aegis->slices[i].aegis = aegis;
    }
    exo_capabilities_on_release(aegis->kernel->capabilities, EXO_SLICE, release, aegis);
}

static enum error_code choose(struct aegis *aegis, uint64_t *position, struct error *error) {
    if (*position == AEGIS_ANY_POSITION) {
        *position = 0;
        while (*position < aegis->config.slices && aegis->slices[*position].owner != NULL) {
            (*position)++;
        }
        return *position < aegis->config.slices ? OK : error_set(error, ERR_EXHAUSTED, "no slice is free");
    }
    if (*position >= aegis->config.slices) {
        return error_set(error, ERR_RANGE, "the vector has %llu slices", (unsigned long long)aegis->config.slices);
    }
    return aegis->slices[*position].owner == NULL ? OK : error_set(error, ERR_EXISTS, "the slice is another's");
}

static enum error_code check_share(const struct aegis_environment *environment, struct error *error) {
    const struct aegis *aegis = environment->aegis;
    uint64_t held = 0;
    for (uint64_t i = 0; i < aegis->config.slices; i++) {
        held += aegis->slices[i].owner == environment ? 1 : 0;
    }
    return held < environment->environment->limits.slices ? OK : exo_share(environment->environment, "slices", error);
}

enum error_code aegis_slice_allocate(struct aegis_environment *environment, uint64_t position,
                                     struct exo_handle *handle, struct error *error) {
    struct aegis *aegis = environment->aegis;
    aegis_call_begin(environment, aegis_components.slice, true);
    aegis_step(aegis, &aegis->costs->slice_allocate);
    enum error_code code = check_share(environment, error);
    code = code == OK ? choose(aegis, &position, error) : code;
    if (code == OK) {
        struct aegis_slice *slice = &aegis->slices[position];
        code = exo_grant(environment->environment, NULL, EXO_SLICE, slice, handle, error);
        slice->owner = code == OK ? environment : NULL;
        slice->handle = *handle;
    }
    aegis_call_end(environment);
    return code;
}

void aegis_slice_forget(struct aegis_environment *environment) {
    struct aegis *aegis = environment->aegis;
    for (uint64_t i = 0; i < aegis->config.slices; i++) {
        if (aegis->slices[i].owner == environment) {
            exo_capability_revoke(aegis->kernel->capabilities, &aegis->slices[i].handle);
        }
    }
    aegis->overrunner = aegis->overrunner == environment ? NULL : aegis->overrunner;
    aegis->substitute = aegis->substitute == environment ? NULL : aegis->substitute;
    if (aegis->current == environment) {
        aegis_account(aegis, NULL);
    }
}

/* ---- overruns ---- */

/* Whose time the present slice is. */
static struct aegis_environment *holder(const struct aegis *aegis) {
    return aegis->substitute != NULL ? aegis->substitute : aegis->slices[aegis->position].owner;
}

/* `environment` took `time` of a slice of `victim`'s. What one took and what the
 * others are owed add up to zero at any instant. */
static void charge(struct aegis_environment *environment, struct aegis_environment *victim, sim_time time) {
    if (victim != NULL && victim != environment) {
        environment->excess += (int64_t)time;
        victim->owed += (int64_t)time;
    }
}

void aegis_slice_settle(struct aegis_environment *environment) {
    struct aegis *aegis = environment->aegis;
    if (aegis->overrunner != environment) {
        return;
    }
    const sim_time over = sim_now() - aegis->overrun_since;
    if (over > aegis->config.epilogue || environment->excess_ticks > 0) {
        environment->counters.overruns += environment->excess_ticks == 0 ? 1 : 0;
        aegis->counters.overruns += environment->excess_ticks == 0 ? 1 : 0;
        charge(environment, holder(aegis), over);
    }
    environment->excess_ticks = 0;
    aegis->overrunner = NULL;
}

void aegis_slice_pass(struct aegis_environment *from, struct aegis_environment *to) {
    struct aegis *aegis = from->aegis;
    if (aegis->overrunner == from) {
        const uint64_t ticks = from->excess_ticks; /* or accomplices would take turns for ever */
        aegis_slice_settle(from);
        aegis->overrunner = to;
        aegis->overrun_since = sim_now();
        to->excess_ticks = ticks;
        aegis_post(to, AEGIS_SLICE_END);
        aegis->machine->raise(aegis, AEGIS_LINE_NOTICE);
    }
}

/* Who has been robbed most, of those that can run. */
static struct aegis_environment *creditor(const struct aegis *aegis) {
    struct aegis_environment *most = NULL;
    for (struct aegis_environment *at = aegis->environments; at != NULL; at = at->next) {
        if (at->owed > 0 && aegis_runnable(at) && (most == NULL || at->owed > most->owed)) {
            most = at;
        }
    }
    return most;
}

/* A new slice begins: its owner's, unless it has forfeited it. */
static void begin_slice(struct aegis *aegis) {
    aegis->substitute = NULL;
    for (uint64_t i = 0; i < aegis->config.slices; i++) { /* positions that are free are passed over */
        aegis->position = (aegis->position + 1) % aegis->config.slices;
        if (aegis->slices[aegis->position].owner != NULL) {
            break;
        }
    }
    struct aegis_environment *owner = aegis->slices[aegis->position].owner;
    if (owner == NULL || owner->excess < (int64_t)aegis->config.quantum) {
        return;
    }
    struct aegis_environment *robbed = creditor(aegis);
    if (robbed != NULL && robbed != owner) {
        owner->excess -= (int64_t)aegis->config.quantum;
        robbed->owed -= (int64_t)aegis->config.quantum;
        owner->counters.forfeited++;
        aegis->counters.forfeited++;
        aegis->substitute = robbed;
    }
}

/* The slice is over for who has the processor. */
static void end_slice(struct aegis *aegis, struct aegis_environment *current, sim_time tick) {
    aegis->overrunner = current;
    aegis->overrun_since = tick;
    current->excess_ticks = 0;
    if (current->program->notice == NULL) {
        return;
    }
    current->pending |= AEGIS_SLICE_END;
    if (!current->notifier_busy) {
        aegis_step(aegis, &aegis->costs->upcall);
        core_dispatch(aegis->core, CORE_THREAD, current->notifier);
    }
}

void aegis_slice_reclaim(struct aegis_environment *environment) {
    struct aegis *aegis = environment->aegis;
    struct aegis_environment *current = aegis->current;
    if (holder(aegis) == environment && current != environment && aegis->overrunner != current) {
        end_slice(aegis, current, sim_now());
    }
}

static void run_next(struct aegis *aegis) {
    struct aegis_environment *next = aegis_next(aegis, NULL);
    if (next != NULL) {
        aegis_step(aegis, &aegis->costs->slice_switch);
        aegis_switch(aegis, next);
        cpu_run(aegis->interrupt);
        aegis_account(aegis, next);
        core_dispatch(aegis->core, CORE_THREAD, aegis_turn(next, AEGIS_SLICE_BEGIN));
    }
}

/* Another whole slice has passed with the same environment. */
static void overrun(struct aegis *aegis, struct aegis_environment *current, sim_time tick) {
    charge(current, holder(aegis), tick - aegis->overrun_since);
    aegis->overrun_since = tick;
    current->counters.overruns += current->excess_ticks == 0 ? 1 : 0;
    aegis->counters.overruns += current->excess_ticks == 0 ? 1 : 0;
    if (holder(aegis) != current) {
        current->excess_ticks++;
        current->counters.excess_ticks++;
        aegis->counters.excess_ticks++;
    }
}

void aegis_slice_tick(struct aegis *aegis) {
    const sim_time tick = aegis->machine->timer_tick(aegis);
    struct aegis_environment *current = aegis->current;
    aegis_step(aegis, &aegis->costs->slice_tick);
    cpu_run(aegis->interrupt);
    const bool overran = current != NULL && aegis->overrunner == current;
    if (overran) {
        overrun(aegis, current, tick);
    }
    if (overran && current->excess_ticks > aegis->config.excess_threshold) {
        aegis_environment_destroy(current);
        current = NULL;
    }
    begin_slice(aegis);
    if (current != NULL && !overran) {
        end_slice(aegis, current, tick);
    } else if (current == NULL) {
        run_next(aegis);
    }
}

/* ---- giving it up ---- */

static struct aegis_environment *successor(struct aegis_environment *environment) {
    struct aegis *aegis = environment->aegis;
    const bool over = aegis->overrunner == environment;
    struct aegis_environment *next = aegis_next(aegis, over ? NULL : environment);
    return next != NULL ? next : environment;
}

enum error_code aegis_yield(struct aegis_environment *environment, struct aegis_environment *to) {
    struct aegis *aegis = environment->aegis;
    const bool notifying = context_current() == environment->notifier;
    aegis_call_begin(environment, aegis_components.slice, false);
    environment->counters.yields++;
    aegis->counters.yields++;
    if (to != NULL && (to == environment || !aegis_sleep_ready(to))) {
        aegis_call_end(environment);
        return ERR_NOT_FOUND;
    }
    /* Once its slice is over, who comes next is not its to say. */
    struct aegis_environment *next = to != NULL && aegis->overrunner != environment ? to : successor(environment);
    if (next == environment) {
        aegis_slice_settle(environment);
        aegis_call_end(environment);
        return OK;
    }
    environment->notifier_yielded = notifying;
    aegis_leave(environment, next, AEGIS_SLICE_BEGIN);
    environment->notifier_yielded = false;
    (void)aegis_user_work(environment, environment->component);
    return OK;
}
