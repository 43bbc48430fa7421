#include "kernel_model/exo/transfer.h"

#include "kernel_model/exo/aegis_machine.h"
#include "kernel_model/exo/slice.h"

/* ---- which context of an environment has its thread of control ---- */

/* A context leaves: what it displaced is in its place again. */
static void pop(struct aegis_environment *environment) {
    environment->active = environment->below;
    environment->request = environment->below_request;
    environment->below = NULL;
    environment->below_request = NULL;
}

static void push(struct aegis_environment *environment, struct context *context, struct request *request) {
    environment->below = environment->active;
    environment->below_request = environment->request;
    environment->active = context;
    environment->request = request;
}

/* The context at which an environment can be entered now, or NULL. */
static struct context *entrance(const struct aegis_environment *callee, uint32_t entry) {
    if (callee->dead || callee->notifier_busy || (callee->active != NULL && callee->below != NULL)) {
        return NULL;
    }
    return callee->waiter != NULL ? callee->waiter : entry != 0 && !callee->entry_busy ? callee->entry : NULL;
}

/* ---- the transfer ---- */

/* From the vector to the callee's entry point. What is loaded here is the model's
 * bookkeeping, too: the callee is found by number. */
static struct context *demultiplex(struct aegis *aegis, struct aegis_environment *callee) {
    const unsigned index = callee != NULL ? callee->home : 0;
    aegis->machine->read_cause(aegis);
    (void)aegis_load(aegis, aegis->globals);
    const uint32_t block = aegis_load(aegis, aegis->globals + AEGIS_PAGE / 2 + 4 * (uint64_t)index);
    const uint32_t entry = aegis_load(aegis, block + AEGIS_BLOCK_ENTRY);
    aegis_step(aegis, &aegis->costs->transfer);
    return callee != NULL ? entrance(callee, entry) : NULL;
}

/* Who is entered goes on; who called waits, for good or for its own slice. */
static void hand_over(struct aegis_environment *caller, struct aegis_environment *callee, struct context *entered,
                      enum aegis_transfer_kind kind) {
    struct request *request = caller->request;
    caller->request = NULL;
    if (kind == AEGIS_SYNCHRONOUS) {
        pop(caller);
        caller->waiter = context_current();
        const bool replies = callee->donee == caller;
        caller->donee = replies ? NULL : callee;
    }
    callee->donee = callee->donee == caller ? NULL : callee->donee;
    callee->entry_busy = callee->entry_busy || entered == callee->entry;
    callee->waiter = NULL;
    push(callee, entered, request);
}

enum error_code aegis_transfer(struct aegis_environment *environment, uint32_t to, enum aegis_transfer_kind kind) {
    struct aegis *aegis = environment->aegis;
    struct context *context = context_current();
    SIM_ASSERT_MSG(context == environment->main || context == environment->entry, "%s: a notifier transfers",
                   environment->environment->name);
    struct aegis_environment *callee = aegis_environment_find(aegis, to);
    (void)aegis_user_work(environment, environment->component);
    aegis->machine->enter(aegis);
    cpu_work_for(context, aegis_components.transfer, environment->request);
    struct context *entered = demultiplex(aegis, callee != environment ? callee : NULL);
    aegis->machine->read_resume(aegis);
    aegis_store(aegis, environment->block + AEGIS_BLOCK_RESUME, AEGIS_CODE_RESUME);
    aegis_switch(aegis, entered != NULL ? callee : environment);
    if (entered == NULL) {
        aegis->machine->return_to_user(aegis);
        (void)aegis_user_work(environment, environment->component);
        return ERR_NOT_FOUND;
    }
    aegis->machine->jump_away(aegis);
    cpu_run(context);
    environment->counters.transfers++;
    aegis->counters.transfers++;
    hand_over(environment, callee, entered, kind);
    aegis_slice_pass(environment, callee);
    aegis_account(aegis, callee);
    aegis->machine->leave_to(aegis, entered);
    cpu_block(context);
    const enum error_code result = environment->transfer_result;
    environment->transfer_result = OK;
    (void)aegis_user_work(environment, environment->component);
    return result;
}

void aegis_wait(struct aegis_environment *environment) {
    struct context *context = context_current();
    aegis_call_begin(environment, aegis_components.transfer, false);
    SIM_ASSERT_MSG(context == environment->active, "%s: waits where it is not", environment->environment->name);
    pop(environment);
    environment->waiter = context;
    struct aegis_environment *next =
        aegis_runnable(environment) ? environment : aegis_next(environment->aegis, environment);
    aegis_leave(environment, next, AEGIS_SLICE_BEGIN);
    (void)aegis_user_work(environment, environment->component);
}

void aegis_transfer_forget(struct aegis_environment *callee) {
    for (struct aegis_environment *at = callee->aegis->environments; at != NULL; at = at->next) {
        if (at->donee != callee) {
            continue;
        }
        at->donee = NULL;
        if (at->waiter != NULL) {
            push(at, at->waiter, NULL);
            at->waiter = NULL;
            at->transfer_result = ERR_FAULT;
        }
    }
}
