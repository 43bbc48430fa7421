#include "kernel_model/exo/binding.h"
#include "kernel_model/exo/slice.h"
#include "libos_model/exos/exos.h"

enum { SAVED_REGISTERS = 31 }; /* all but zero */

#define EXOS_COST(name, text)                                                                                          \
    { .key = #name, .type = PARAM_COST, .offset = offsetof(struct exos_costs, name), .help = text }
const struct param exos_cost_params[] = {
    EXOS_COST(loop, "one turn of the loop that repeats what is measured"),
    EXOS_COST(procedure_call, "a call of an empty procedure, and back"),
    EXOS_COST(exception_handler, "the application's handler of an exception, and back behind the instruction"),
    EXOS_COST(context_save, "saving a context, beside its stores"),
    EXOS_COST(context_restore, "restoring a context, beside its loads"),
    EXOS_COST(revoke_choose, "choosing a frame to give back"),
    EXOS_COST(stride_pick, "the stride scheduler: the client with the least pass, and its next pass"),
    {0}};

static void step(struct aegis_environment *environment, struct cost *cost) {
    cost->uses++;
    r3000_execute(environment->aegis->cpu, cost->cycles);
}

enum r3000_resume exos_skip(struct aegis_environment *environment, struct exos_costs *costs) {
    struct r3000 *cpu = environment->aegis->cpu;
    step(environment, &costs->exception_handler);
    for (uint32_t i = 0; i < 3; i++) {
        (void)r3000_load(cpu, AEGIS_SAVE_AREA_AT + AEGIS_SAVE_SCRATCH + 4 * i, 4, &cpu->registers[R3000_T0 + i]);
    }
    return R3000_SKIP;
}

void exos_slice_end(struct aegis_environment *environment, struct exos_costs *costs) {
    struct r3000 *cpu = environment->aegis->cpu;
    const uint32_t area = AEGIS_SAVE_AREA_AT + AEGIS_SAVE_CONTEXT;
    step(environment, &costs->context_save);
    for (uint32_t i = 0; i < SAVED_REGISTERS; i++) {
        (void)r3000_store(cpu, area + 4 * i, 4, cpu->registers[1 + i]);
    }
    (void)aegis_yield(environment, NULL);
    step(environment, &costs->context_restore);
    for (uint32_t i = 0; i < SAVED_REGISTERS; i++) {
        (void)r3000_load(cpu, area + 4 * i, 4, &cpu->registers[1 + i]);
    }
}

void exos_give_back(struct aegis_environment *environment, struct exos_costs *costs) {
    while (environment->revoke_asked > 0) {
        const struct aegis_frame *chosen = NULL;
        for (const struct aegis_frame *at = environment->frames; at != NULL; at = at->next) {
            chosen = at->guaranteed ? chosen : at;
        }
        if (chosen == NULL) {
            return;
        }
        step(environment, &costs->revoke_choose);
        const struct exo_handle handle = chosen->handle;
        if (aegis_frame_release(environment, &handle, NULL) != OK) {
            return;
        }
    }
}
