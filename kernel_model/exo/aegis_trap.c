/* aegis_trap.c: into the kernel and out of it: system calls, exceptions, TLB misses
 * and interrupts.
 *
 * The number of instructions on each path is what its calls add up to: loads, stores
 * and CP0 moves as they stand here, plus the step's cost from the profile. */
#include "kernel_model/exo/aegis.h"
#include "kernel_model/exo/aegis_network.h"
#include "kernel_model/exo/binding.h"
#include "kernel_model/exo/revocation.h"
#include "kernel_model/exo/slice.h"

enum { CP0_MOVE = 1, JUMP = 1, NESTED_MAX = 16 };

void aegis_step(struct aegis *aegis, struct cost *cost) {
    cost->uses++;
    r3000_execute(aegis->cpu, cost->cycles);
}

uint32_t aegis_load(struct aegis *aegis, uint64_t physical) {
    return r3000_kernel_load(aegis->cpu, R3000_KSEG0 | (uint32_t)physical);
}

void aegis_store(struct aegis *aegis, uint64_t physical, uint32_t value) {
    r3000_kernel_store(aegis->cpu, R3000_KSEG0 | (uint32_t)physical, value);
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
    for (uint32_t i = 0; i < 4; i++) {
        r3000_kernel_store(aegis->cpu, stack + 4 * i, aegis->cpu->registers[R3000_RA - i]);
    }
    aegis_step(aegis, &aegis->costs->system_call_stack);
    for (uint32_t i = 0; i < 4; i++) { /* on the way out; counted here, where the stack is known */
        (void)r3000_kernel_load(aegis->cpu, stack + 4 * i);
    }
}

void aegis_call_begin(struct aegis_environment *environment, ledger_component component, bool with_stack) {
    struct aegis *aegis = environment->aegis;
    struct context *context = context_current();
    if (context == NULL) {
        return;
    }
    SIM_ASSERT_MSG(aegis->current == environment && r3000_is_user(aegis->cpu), "%s calls, and does not run",
                   environment->environment->name);
    user_work(environment);
    r3000_execute(aegis->cpu, 2); /* the call's number, syscall */
    cpu_run(context);
    r3000_enter(aegis->cpu, R3000_SYS);
    r3000_execute(aegis->cpu, CP0_MOVE);         /* Cause */
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
    r3000_execute(aegis->cpu, CP0_MOVE + 1 + JUMP); /* EPC, behind the syscall, jump */
    r3000_rfe(aegis->cpu);
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

static void on_entering(void *os, struct r3000 *cpu) {
    (void)cpu;
    aegis_work(os, aegis_components.trap);
}

/* Three scratch registers go to the save area, and carry what happened; the
 * application's handler runs in user mode and goes on without the kernel. */
static enum r3000_resume dispatch(struct aegis_environment *environment) {
    struct aegis *aegis = environment->aegis;
    struct r3000 *cpu = aegis->cpu;
    aegis_work(aegis, aegis_components.dispatch);
    const uint32_t block = aegis_load(aegis, aegis->globals);
    const uint32_t save = aegis_load(aegis, block + AEGIS_BLOCK_SAVE_AREA);
    for (uint32_t i = 0; i < 3; i++) {
        r3000_kernel_store(cpu, save + AEGIS_SAVE_SCRATCH + 4 * i, cpu->registers[R3000_T0 + i]);
    }
    const struct aegis_exception exception = {r3000_cause_code(cpu), cpu->epc, cpu->bad_address, cpu->cause};
    cpu->registers[R3000_T0] = cpu->epc;
    cpu->registers[R3000_T0 + 1] = cpu->bad_address;
    cpu->registers[R3000_T0 + 2] = cpu->cause;
    r3000_execute(cpu, 3 * CP0_MOVE);
    const uint32_t handler = aegis_load(aegis, block + AEGIS_BLOCK_HANDLERS + 4 * (uint32_t)exception.code);
    aegis_step(aegis, &aegis->costs->exception_dispatch);
    environment->counters.exceptions++;
    aegis->counters.exceptions++;
    if (handler == 0 || environment->nested == NESTED_MAX) {
        aegis_die(environment);
    }
    r3000_execute(cpu, JUMP);
    r3000_rfe(cpu);
    user_work(environment);
    environment->nested++;
    const enum r3000_resume resume = environment->program->exception(environment, &exception);
    environment->nested--;
    user_work(environment);
    return resume;
}

static enum r3000_resume on_general(void *os, struct r3000 *cpu) {
    (void)cpu;
    const struct aegis *aegis = os;
    return dispatch(aegis->current);
}

/* A miss in kuseg: the software TLB, the guaranteed mappings, the application. */
static enum r3000_resume on_refill(void *os, struct r3000 *cpu) {
    struct aegis *aegis = os;
    struct aegis_environment *environment = aegis->current;
    aegis_work(aegis, aegis_components.stlb);
    r3000_execute(cpu, 2 * CP0_MOVE); /* EntryHi, BadVAddr */
    if (aegis_refill(environment, cpu->entry_hi)) {
        r3000_execute(cpu, CP0_MOVE + JUMP); /* EPC */
        r3000_rfe(cpu);
        user_work(environment);
        return R3000_RETRY;
    }
    environment->counters.tlb_upcalls++;
    aegis->counters.tlb_upcalls++;
    return dispatch(environment);
}

/* ---- interrupts ---- */

static void on_interrupt(void *os, struct r3000 *cpu) {
    const struct aegis *aegis = os;
    core_dispatch(cpu->core, CORE_INTERRUPT, aegis->interrupt);
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

/* Lines: the timer; the network adapter; 0, raised by the kernel itself: somebody has a notice. */
static void serve(struct aegis *aegis) {
    struct r3000 *cpu = aegis->cpu;
    bury(aegis);
    if ((cpu->cause >> R3000_CAUSE_PENDING_SHIFT & 1U << R3000_TIMER_LINE) != 0) {
        r3000_acknowledge(cpu, R3000_TIMER_LINE);
        if (aegis->faulty) {
            aegis_panic(aegis);
        }
        aegis_slice_tick(aegis);
        return;
    }
    if ((cpu->cause >> R3000_CAUSE_PENDING_SHIFT & 1U << LANCE_DRIVER_LINE) != 0) {
        r3000_acknowledge(cpu, LANCE_DRIVER_LINE);
        aegis_network_serve(aegis);
        return;
    }
    r3000_acknowledge(cpu, 0);
    aegis_revocation_abort(aegis);
    struct aegis_environment *current = aegis->current;
    if (current != NULL && current->pending != 0 && !current->notifier_busy) {
        aegis_step(aegis, &aegis->costs->upcall);
        core_dispatch(cpu->core, CORE_THREAD, current->notifier);
    } else if (current == NULL) {
        struct aegis_environment *next = aegis_next(aegis, NULL);
        if (next != NULL) {
            aegis_account(aegis, next);
            aegis_switch(aegis, next);
            core_dispatch(cpu->core, CORE_THREAD, aegis_turn(next, AEGIS_SLICE_BEGIN));
        }
    }
}

void aegis_interrupt_body(void *argument) {
    struct aegis *aegis = argument;
    for (;;) {
        cpu_work_for(aegis->interrupt, aegis_components.slice, NULL);
        r3000_interrupt_begin(aegis->cpu, aegis->interrupt);
        serve(aegis);
        r3000_interrupt_return(aegis->cpu, aegis->interrupt);
    }
}

const struct r3000_vectors aegis_vectors = {
    .entering = on_entering, .refill = on_refill, .general = on_general, .interrupt = on_interrupt};
