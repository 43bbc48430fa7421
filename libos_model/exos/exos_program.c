#include "kernel_model/exo/aegis_user.h"
#include "kernel_model/exo/binding.h"
#include "kernel_model/exo/slice.h"
#include "libos_model/exos/exos.h"
#include "libos_model/exos/pmap.h"

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

enum error_code exos_start(struct aegis_environment *environment, const struct exos_vm_costs *costs,
                           struct error *error) {
    const struct exos_pmap *pmap = exos_pmap_of(costs);
    return pmap->start != NULL ? pmap->start(environment, error) : OK;
}

enum aegis_resume exos_skip(struct aegis_environment *environment, struct exos_costs *costs) {
    aegis_user_step(environment, &costs->exception_handler);
    aegis_user_restore_scratch(environment);
    return AEGIS_SKIP;
}

void exos_slice_end(struct aegis_environment *environment, struct exos_costs *costs) {
    const struct aegis_registers *names = aegis_register_names(environment);
    const uint32_t area = AEGIS_SAVE_AREA_AT + AEGIS_SAVE_CONTEXT;
    aegis_user_step(environment, &costs->context_save);
    for (uint32_t i = 0; i < names->count; i++) {
        aegis_user_save_register(environment, area + names->bytes * i, names->first + i);
    }
    (void)aegis_yield(environment, NULL);
    aegis_user_step(environment, &costs->context_restore);
    for (uint32_t i = 0; i < names->count; i++) {
        aegis_user_restore_register(environment, area + names->bytes * i, names->first + i);
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
        aegis_user_step(environment, &costs->revoke_choose);
        const struct exo_handle handle = chosen->handle;
        if (aegis_frame_release(environment, &handle, NULL) != OK) {
            return;
        }
    }
}
