/* aegis_trap.c: into the kernel and out of it: system calls, exceptions and interrupts.
 *
 * The number of instructions on each path is what its calls add up to: loads, stores
 * and the processor's own steps as they stand here, plus the step's cost from the
 * profile. */
#include "kernel_model/exo/aegis_machine.h"
#include "kernel_model/exo/aegis_network.h"
#include "kernel_model/exo/binding.h"
#include "kernel_model/exo/revocation.h"
#include "kernel_model/exo/slice.h"

enum { STACK_WORDS = 4 };

void aegis_step(struct aegis *aegis, struct cost *cost) {
    cost->uses++;
    aegis->machine->execute(aegis, cost->cycles);
}

uint32_t aegis_load(struct aegis *aegis, uint64_t physical) {
    return aegis->machine->load(aegis, physical);
}

void aegis_store(struct aegis *aegis, uint64_t physical, uint32_t value) {
    aegis->machine->store(aegis, physical, value);
}

void aegis_work(struct aegis *aegis, ledger_component component) {
    struct context *context = context_current();
    if (context != NULL) {
        cpu_work_for(context, component, aegis->current != NULL ? aegis_request(aegis->current) : NULL);
    }
}

static void user_work(struct aegis_environment *environment) {
    cpu_work_for(context_current(), environment->component, aegis_request(environment));
}

struct request *aegis_request(const struct aegis_environment *environment) {
    const struct context *context = context_current();
    const bool serves = context == environment->main || context == environment->entry;
    return serves ? environment->request : NULL;
}

/* ---- system calls ---- */

/* The environment's kernel stack: four registers that the called code may use. */
static void stack_enter(struct aegis_environment *environment) {
    struct aegis *aegis = environment->aegis;
    const uint32_t stack = aegis_load(aegis, environment->block + AEGIS_BLOCK_STACK);
    for (uint32_t i = 0; i < STACK_WORDS; i++) {
        const uint64_t at = stack + (uint64_t)aegis->machine->registers.bytes * i;
        aegis->machine->store_register(aegis, at, aegis->machine->registers.saved[i]);
    }
    aegis_step(aegis, &aegis->costs->system_call_stack);
    for (uint32_t i = 0; i < STACK_WORDS; i++) { /* on the way out; counted here, where the stack is known */
        (void)aegis_load(aegis, stack + (uint64_t)aegis->machine->registers.bytes * i);
    }
}

void aegis_call_begin(struct aegis_environment *environment, ledger_component component, bool with_stack) {
    struct aegis *aegis = environment->aegis;
    struct context *context = context_current();
    if (context == NULL) {
        return;
    }
    SIM_ASSERT_MSG(aegis->current == environment && aegis->machine->is_user(aegis), "%s calls, and does not run",
                   environment->environment->name);
    user_work(environment);
    aegis->machine->enter(aegis);
    aegis->machine->read_cause(aegis);
    (void)aegis_load(aegis, aegis->globals + 4); /* the call's entry in the table */
    aegis_step(aegis, &aegis->costs->system_call);
    if (with_stack) {
        stack_enter(environment);
    }
    aegis_work(aegis, component);
    cpu_run(context); /* what it does takes effect when its turn in time has come */
}

void aegis_call_end(struct aegis_environment *environment) {
    struct aegis *aegis = environment->aegis;
    if (context_current() == NULL) {
        return;
    }
    aegis_work(aegis, aegis_components.trap);
    aegis->machine->skip_call(aegis);
    aegis->machine->return_to_user(aegis);
    user_work(environment);
}

enum error_code aegis_check_frames(struct aegis_environment *environment, const struct exo_handle *handle,
                                   unsigned rights, uint64_t *physical, uint64_t *count, struct error *error) {
    struct aegis *aegis = environment->aegis;
    aegis_step(aegis, &aegis->costs->capability_check);
    const enum error_code code = exo_memory_frames(environment->environment, handle, rights, physical, count, error);
    aegis_work(aegis, aegis_components.binding); /* the check below did its own bookkeeping */
    return code;
}

/* ---- exceptions ---- */

void aegis_back_to_work(struct aegis_environment *environment) {
    user_work(environment);
}

/* Three scratch registers go to the save area, and carry what happened; the
 * application's handler runs in user mode and goes on without the kernel. */
enum aegis_resume aegis_dispatch(struct aegis_environment *environment, const struct aegis_exception *exception) {
    struct aegis *aegis = environment->aegis;
    const struct aegis_machine *machine = aegis->machine;
    const uint32_t told[AEGIS_SCRATCH] = {exception->epc, exception->bad_address, exception->cause};
    aegis_work(aegis, aegis_components.dispatch);
    const uint32_t block = aegis_load(aegis, aegis->globals);
    const uint32_t save = aegis_load(aegis, block + AEGIS_BLOCK_SAVE_AREA);
    for (uint32_t i = 0; i < AEGIS_SCRATCH; i++) {
        const unsigned scratch = machine->registers.scratch[i];
        machine->store_register(aegis, save + AEGIS_SAVE_SCRATCH + (uint64_t)machine->registers.bytes * i, scratch);
        machine->set_register(aegis, scratch, told[i]);
    }
    machine->read_fault(aegis);
    const uint32_t handler = aegis_load(aegis, block + AEGIS_BLOCK_HANDLERS + 4 * (uint32_t)exception->code);
    aegis_step(aegis, &aegis->costs->exception_dispatch);
    environment->counters.exceptions++;
    aegis->counters.exceptions++;
    if (handler == 0 || environment->nested == AEGIS_NESTED_EXCEPTIONS_MAX) {
        aegis_die(environment);
    }
    machine->return_to_user(aegis);
    user_work(environment);
    environment->nested++;
    const enum aegis_resume resume = environment->program->exception(environment, exception);
    environment->nested--;
    user_work(environment);
    return resume;
}

/* ---- interrupts ---- */

void aegis_interrupted(struct aegis *aegis) {
    core_dispatch(aegis->core, CORE_INTERRUPT, aegis->interrupt);
}

/* Who died in a call of its own is off the processor by now. */
static void bury(struct aegis *aegis) {
    for (struct aegis_environment *at = aegis->environments, *next; at != NULL; at = next) {
        next = at->next;
        if (at->dead) {
            aegis_environment_destroy(at);
        }
    }
}

static void serve(struct aegis *aegis) {
    bury(aegis);
    if (aegis->machine->take(aegis, AEGIS_LINE_TIMER)) {
        aegis_slice_tick(aegis);
        return;
    }
    if (aegis->machine->take(aegis, AEGIS_LINE_NETWORK)) {
        aegis_network_serve(aegis);
        return;
    }
    (void)aegis->machine->take(aegis, AEGIS_LINE_NOTICE);
    aegis_revocation_abort(aegis);
    struct aegis_environment *current = aegis->current;
    if (current != NULL && current->pending != 0 && !current->notifier_busy) {
        aegis_step(aegis, &aegis->costs->upcall);
        core_dispatch(aegis->core, CORE_THREAD, current->notifier);
    } else if (current == NULL) {
        struct aegis_environment *next = aegis_next(aegis, NULL);
        if (next != NULL) {
            aegis_account(aegis, next);
            aegis_switch(aegis, next);
            core_dispatch(aegis->core, CORE_THREAD, aegis_turn(next, AEGIS_SLICE_BEGIN));
        }
    }
}

void aegis_interrupt_body(void *argument) {
    struct aegis *aegis = argument;
    for (;;) {
        cpu_work_for(aegis->interrupt, aegis_components.slice, NULL);
        aegis->machine->interrupt_begin(aegis);
        serve(aegis);
        aegis->machine->interrupt_return(aegis);
    }
}
