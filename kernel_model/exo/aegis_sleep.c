#include "kernel_model/exo/aegis_sleep.h"

#include "kernel_model/exo/aegis_machine.h"
#include "kernel_model/exo/aegis_network.h"
#include "kernel_model/exo/slice.h"

/* Its thread of control is where it went to sleep; below one that has been entered since. */
void aegis_sleep_end(struct aegis_environment *environment) {
    struct context **place = environment->active == NULL ? &environment->active : &environment->below;
    if (environment->sleeper != NULL) {
        SIM_ASSERT(*place == NULL);
        *place = environment->sleeper;
        environment->sleeper = NULL;
    }
}

/* True: it does not sleep any more. */
static bool evaluate(struct aegis_environment *environment) {
    struct aegis *aegis = environment->aegis;
    struct download_woken woken;
    aegis->counters.predicates++;
    environment->counters.predicates++;
    if (!download_waiter_poll(aegis_waiters(aegis), context_current(), environment->environment->number, &woken)) {
        return false;
    }
    aegis_sleep_end(environment);
    return true;
}

bool aegis_sleep_ready(struct aegis_environment *environment) {
    return aegis_runnable(environment) || (environment->sleeper != NULL && !environment->dead && evaluate(environment));
}

void aegis_sleep_check(struct aegis_environment *environment) {
    struct aegis *aegis = environment->aegis;
    if (environment->sleeper == NULL || !evaluate(environment)) {
        return;
    }
    if (aegis->current == NULL) {
        aegis->machine->raise(aegis, AEGIS_LINE_NOTICE); /* somebody has something to do */
    } else {
        aegis_slice_reclaim(environment);
    }
}

enum error_code aegis_sleep(struct aegis_environment *environment) {
    struct aegis *aegis = environment->aegis;
    struct context *context = context_current();
    aegis_call_begin(environment, aegis_components.slice, false);
    SIM_ASSERT_MSG(context == environment->active, "%s: sleeps where it is not", environment->environment->name);
    struct download_waiters *waiters = aegis_waiters(aegis);
    enum error_code code = environment->below != NULL ? ERR_UNSUPPORTED : ERR_NOT_FOUND;
    if (code != ERR_UNSUPPORTED && waiters != NULL) {
        code = download_sleep(waiters, environment->environment->number);
    }
    if (code == OK) {
        environment->sleeper = context;
        environment->active = NULL;
        environment->counters.sleeps++;
        aegis->counters.sleeps++;
    }
    if (code != OK || evaluate(environment)) {
        aegis_call_end(environment);
        return code;
    }
    aegis_leave(environment, aegis_next(aegis, environment), AEGIS_SLICE_BEGIN);
    (void)aegis_user_work(environment, environment->component);
    return OK;
}
