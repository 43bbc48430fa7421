#include "kernel_model/exo/aegis_nested.h"

#include "hw/x86/x86.h"
#include "kernel_model/exo/aegis_machine.h"

enum { WORD_BYTES = 8, INSTRUCTION = 1 };

enum error_code aegis_nest(struct aegis_environment *environment, struct error *error) {
    struct aegis *aegis = environment->aegis;
    if (aegis->x86 == NULL) {
        return error_set(error, ERR_UNSUPPORTED, "%s: the processor has no nested paging",
                         environment->environment->name);
    }
    if (environment->name_spaces != UINT64_C(1) << environment->home) {
        return error_set(error, ERR_UNSUPPORTED, "%s: it has name spaces of the kernel's",
                         environment->environment->name);
    }
    SIM_ASSERT_MSG(context_current() != NULL, "%s: nested before the run", environment->environment->name);
    aegis_call_begin(environment, aegis_components.binding, false);
    aegis_step(aegis, &aegis->costs->nest);
    x86_nest(aegis->x86);
    aegis_call_end(environment);
    return OK;
}

/* The processor as the environment's own code has it. */
static struct x86 *own(struct aegis_environment *environment) {
    struct x86 *cpu = environment->aegis->x86;
    SIM_ASSERT_MSG(cpu != NULL && environment->aegis->current == environment && cpu->guest,
                   "%s does not run under nested paging", environment->environment->name);
    return cpu;
}

/* The handler's IRET is the library's, too. One that faults in its handler again and again
 * would run out of stack, and out of its machine; it is ended before. */
static enum x86_resume on_exception(void *program, struct x86 *cpu) {
    struct aegis_environment *environment = program;
    struct aegis_exception exception;
    aegis_x86_describe(cpu, &exception);
    if (environment->nested == AEGIS_NESTED_EXCEPTIONS_MAX) {
        aegis_exit(environment);
    }
    environment->nested++;
    if (environment->stub != NULL) {
        environment->stub(environment, &exception);
    }
    const enum aegis_resume resume = environment->program->exception(environment, &exception);
    environment->nested--;
    aegis_back_to_work(environment);
    x86_return(cpu);
    return (enum x86_resume)resume;
}

void aegis_nested_set_root(struct aegis_environment *environment, uint64_t root) {
    (void)x86_set_root(own(environment), root);
}

void aegis_nested_invalidate(struct aegis_environment *environment, uint64_t virtual_address) {
    (void)x86_invlpg(own(environment), virtual_address);
}

void aegis_nested_set_handlers(struct aegis_environment *environment, uint64_t idt, uint64_t stack, aegis_stub *stub) {
    struct x86 *cpu = own(environment);
    SIM_ASSERT_MSG(environment->program->exception != NULL, "%s has no handler", environment->environment->name);
    x86_execute(cpu, 2 * INSTRUCTION);
    cpu->space->idt = idt;
    cpu->space->stack = stack;
    cpu->space->exception = on_exception;
    cpu->space->program = environment;
    environment->stub = stub;
}

bool aegis_nested_load(struct aegis_environment *environment, uint64_t virtual_address, uint64_t *value) {
    return x86_load(own(environment), virtual_address, WORD_BYTES, value);
}

bool aegis_nested_store(struct aegis_environment *environment, uint64_t virtual_address, uint64_t value) {
    return x86_store(own(environment), virtual_address, WORD_BYTES, value);
}
