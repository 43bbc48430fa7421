/* aegis_environment.c: an environment's life on Aegis. */
#include <stdio.h>
#include <stdlib.h>

#include "kernel_model/exo/aegis.h"
#include "kernel_model/exo/aegis_machine.h"
#include "kernel_model/exo/aegis_network.h"
#include "kernel_model/exo/binding.h"
#include "kernel_model/exo/name_space.h"
#include "kernel_model/exo/revocation.h"
#include "kernel_model/exo/slice.h"
#include "kernel_model/exo/transfer.h"

static void make_contexts(struct aegis_environment *environment, const char *name) {
    struct core *core = environment->aegis->core;
    char text[64];
    environment->main = context_create(core, CORE_THREAD, name, NULL, aegis_main_body, environment);
    (void)snprintf(text, sizeof text, "%.24s.entry", name);
    environment->entry = context_create(core, CORE_THREAD, text, NULL, aegis_entry_body, environment);
    (void)snprintf(text, sizeof text, "%.24s.notice", name);
    environment->notifier = context_create(core, CORE_THREAD, text, NULL, aegis_notifier_body, environment);
    environment->active = environment->program->main != NULL ? environment->main : NULL;
}

/* The block tells the kernel where the environment's entry points are. */
static void fill_block(struct aegis_environment *environment) {
    struct memory *memory = environment->aegis->kernel->machine->memory;
    const uint64_t block = environment->block;
    memory_write32(memory, block + AEGIS_BLOCK_NUMBER, environment->environment->number);
    memory_write32(memory, block + AEGIS_BLOCK_SAVE_AREA, (uint32_t)environment->save_area);
    memory_write32(memory, block + AEGIS_BLOCK_STACK, (uint32_t)(block + AEGIS_BLOCK_KERNEL_STACK));
    memory_write32(memory, block + AEGIS_BLOCK_ENTRY, environment->program->entered != NULL ? AEGIS_CODE_ENTRY : 0);
    for (uint32_t code = 0; code < AEGIS_CAUSES; code++) {
        memory_write32(memory, block + AEGIS_BLOCK_HANDLERS + 4 * code,
                       environment->program->exception != NULL ? AEGIS_CODE_HANDLER : 0);
    }
    memory_write32(memory, environment->aegis->globals + AEGIS_PAGE / 2 + 4 * environment->home, (uint32_t)block);
}

/* The save area is the environment's first frame, and guaranteed; the block is the
 * kernel's. */
static enum error_code take_memory(struct aegis_environment *environment, struct error *error) {
    struct aegis *aegis = environment->aegis;
    struct exo_handle handle;
    environment->block = frames_allocate(aegis->kernel->frames);
    if (environment->block == 0) {
        return error_set(error, ERR_EXHAUSTED, "no memory for an environment");
    }
    aegis_mark_free(aegis, environment->block, false);
    enum error_code code = aegis->machine->begin(environment, error);
    if (code == OK) {
        code = aegis_frame_allocate(environment, 0, AEGIS_ANY_COLOR, &handle, &environment->save_area, error);
    }
    if (code == OK) {
        environment->frames->guaranteed = true;
        environment->guaranteed = 1;
        code = aegis_map_own(environment, AEGIS_SAVE_AREA_AT, environment->save_area, true, error);
    }
    return code == OK ? aegis_map_own(environment, AEGIS_FREE_MAP_AT, aegis->free_map, false, error) : code;
}

struct aegis_environment *aegis_environment_create(struct aegis *aegis, const char *name,
                                                   const struct exo_limits *limits, const struct aegis_program *program,
                                                   void *state, struct error *error) {
    SIM_ASSERT_MSG(context_current() == NULL, "%s: environments are made before the run", name);
    struct exo_environment *inner = exo_environment_create(aegis->kernel, name, limits, error);
    if (inner == NULL) {
        return NULL;
    }
    struct aegis_environment *environment = calloc(1, sizeof *environment);
    SIM_ASSERT(environment != NULL);
    environment->aegis = aegis;
    environment->environment = inner;
    environment->program = program;
    environment->state = state;
    environment->component = ledger_find("app");
    aegis_revocation_init(environment);
    struct aegis_environment **end = &aegis->environments;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = environment;
    make_contexts(environment, name);
    environment->asid = environment->home = aegis_name_space_take(environment);
    if (environment->asid == 0) {
        (void)error_set(error, ERR_EXHAUSTED, "%s: every address-space id is taken", name);
        aegis_environment_destroy(environment);
        return NULL;
    }
    if (take_memory(environment, error) != OK) {
        aegis_environment_destroy(environment);
        return NULL;
    }
    fill_block(environment);
    return environment;
}

/* What it was working for will not complete. */
static void drop_request(struct request **request) {
    if (*request != NULL) {
        ledger_abandon(*request, "environment destroyed", sim_now());
        *request = NULL;
    }
}

void aegis_environment_destroy(struct aegis_environment *environment) {
    struct aegis *aegis = environment->aegis;
    environment->dead = true;
    environment->active = environment->sleeper = NULL;
    (void)sim_cancel(&environment->revoke_deadline);
    aegis_transfer_forget(environment);
    aegis_slice_forget(environment);
    aegis_network_forget(environment);
    context_kill(environment->main);
    context_kill(environment->entry);
    context_kill(environment->notifier);
    drop_request(&environment->request);
    drop_request(&environment->below_request);
    aegis_forget(environment, AEGIS_ANY_NAME_SPACE);
    aegis_name_space_forget(environment);
    aegis->machine->end(environment);
    exo_environment_destroy(environment->environment);
    environment->environment = NULL;
    if (environment->block != 0) {
        frames_give_back(aegis->kernel->frames, environment->block);
        aegis_mark_free(aegis, environment->block, true);
    }
    struct aegis_environment **at = &aegis->environments;
    while (*at != environment) {
        at = &(*at)->next;
    }
    *at = environment->next;
    environment->next = aegis->graveyard; /* others may still name it */
    aegis->graveyard = environment;
    aegis->destroyed++;
}

struct aegis_environment *aegis_environment_find(struct aegis *aegis, uint32_t number) {
    struct aegis_environment *at = aegis->environments;
    while (at != NULL && (at->dead || at->environment->number != number)) {
        at = at->next;
    }
    return at;
}

uint32_t aegis_number(struct aegis_environment *environment, bool with_stack) {
    struct aegis *aegis = environment->aegis;
    aegis_call_begin(environment, aegis_components.trap, with_stack);
    const uint32_t block = aegis_load(aegis, aegis->globals);
    const uint32_t number = aegis_load(aegis, block + AEGIS_BLOCK_NUMBER);
    aegis_call_end(environment);
    return number;
}

enum error_code aegis_derive(struct aegis_environment *environment, const struct exo_handle *handle, unsigned rights,
                             const struct aegis_environment *to, struct exo_handle *out, struct error *error) {
    struct aegis *aegis = environment->aegis;
    if (to->dead) {
        return error_set(error, ERR_NOT_FOUND, "%s: that environment has ended", environment->environment->name);
    }
    aegis_call_begin(environment, aegis_components.binding, true);
    aegis_step(aegis, &aegis->costs->capability_check);
    aegis_step(aegis, &aegis->costs->capability_derive);
    const enum error_code code = exo_derive(environment->environment, handle, rights, to->environment, out, error);
    aegis_call_end(environment);
    return code;
}

/* A frame of its own that goes this way is given back, as by aegis_frame_release. */
enum error_code aegis_revoke(struct aegis_environment *environment, const struct exo_handle *handle,
                             struct error *error) {
    struct aegis *aegis = environment->aegis;
    aegis_call_begin(environment, aegis_components.binding, true);
    aegis_step(aegis, &aegis->costs->capability_check);
    aegis_step(aegis, &aegis->costs->capability_revoke);
    const enum error_code code =
        exo_check(environment->environment, handle, (enum exo_type)handle->type, EXO_CONTROL, NULL, error);
    aegis_work(aegis, aegis_components.binding);
    if (code == OK) {
        exo_capability_revoke(aegis->kernel->capabilities, handle);
    }
    aegis_call_end(environment);
    return code;
}

ledger_component aegis_user_work(struct aegis_environment *environment, ledger_component component) {
    const ledger_component was = environment->component;
    environment->component = component;
    cpu_work_for(context_current(), component, aegis_request(environment));
    return was;
}
