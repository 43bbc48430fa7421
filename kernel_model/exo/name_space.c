#include "kernel_model/exo/name_space.h"

#include "kernel_model/exo/aegis_machine.h"
#include "kernel_model/exo/binding.h"

static uint64_t bit(unsigned name_space) {
    return UINT64_C(1) << name_space;
}

static bool is_own(const struct aegis_environment *environment, unsigned name_space) {
    return name_space <= AEGIS_ENVIRONMENTS_MAX && (environment->name_spaces & bit(name_space)) != 0;
}

unsigned aegis_name_space_take(struct aegis_environment *environment) {
    struct aegis *aegis = environment->aegis;
    uint64_t taken = 0;
    for (const struct aegis_environment *at = aegis->environments; at != NULL; at = at->next) {
        taken |= at->name_spaces;
    }
    for (unsigned asid = 1; asid <= AEGIS_ENVIRONMENTS_MAX; asid++) {
        if ((taken & bit(asid)) == 0) {
            environment->name_spaces |= bit(asid);
            return asid;
        }
    }
    return 0;
}

static enum error_code create(struct aegis_environment *environment, unsigned *name_space, struct error *error) {
    const struct aegis_machine *machine = environment->aegis->machine;
    unsigned held = 0;
    for (unsigned asid = 1; asid <= AEGIS_ENVIRONMENTS_MAX; asid++) {
        held += is_own(environment, asid) ? 1 : 0;
    }
    if (held == AEGIS_NAME_SPACES_MAX) {
        return exo_share(environment->environment, "name spaces", error);
    }
    *name_space = aegis_name_space_take(environment);
    if (*name_space == 0) {
        return error_set(error, ERR_EXHAUSTED, "every address-space id is taken");
    }
    const enum error_code code =
        machine->make_space != NULL ? machine->make_space(environment, *name_space, error) : OK;
    if (code != OK) {
        environment->name_spaces &= ~bit(*name_space);
    }
    return code;
}

enum error_code aegis_name_space_create(struct aegis_environment *environment, unsigned *name_space,
                                        struct error *error) {
    struct aegis *aegis = environment->aegis;
    aegis_call_begin(environment, aegis_components.binding, true);
    aegis_step(aegis, &aegis->costs->name_space_create);
    const enum error_code code = create(environment, name_space, error);
    aegis_call_end(environment);
    return code;
}

enum error_code aegis_name_space_enter(struct aegis_environment *environment, unsigned name_space,
                                       struct error *error) {
    struct aegis *aegis = environment->aegis;
    aegis_call_begin(environment, aegis_components.binding, false);
    aegis_step(aegis, &aegis->costs->name_space_enter);
    enum error_code code = OK;
    if (!is_own(environment, name_space)) {
        code = error_set(error, ERR_DENIED, "%s: name space %u is not its own", environment->environment->name,
                         name_space);
    } else if (name_space != environment->asid) {
        environment->asid = name_space;
        aegis->machine->enter_space(environment);
    }
    aegis_call_end(environment);
    return code;
}

/* The kernel's own mappings, which any of them may have in the TLB. */
static void drop_own_pages(struct aegis_environment *environment, unsigned name_space) {
    const struct aegis_machine *machine = environment->aegis->machine;
    machine->unbind(environment, name_space, AEGIS_SAVE_AREA_AT);
    machine->unbind(environment, name_space, AEGIS_FREE_MAP_AT);
    if (machine->end_space != NULL) {
        machine->end_space(environment, name_space);
    }
}

enum error_code aegis_name_space_destroy(struct aegis_environment *environment, unsigned name_space,
                                         struct error *error) {
    struct aegis *aegis = environment->aegis;
    aegis_call_begin(environment, aegis_components.binding, true);
    aegis_step(aegis, &aegis->costs->name_space_create);
    enum error_code code = OK;
    if (!is_own(environment, name_space) || name_space == environment->home || name_space == environment->asid) {
        code = error_set(error, ERR_DENIED, "%s: name space %u is not one to end", environment->environment->name,
                         name_space);
    } else {
        aegis_forget(environment, name_space);
        drop_own_pages(environment, name_space);
        environment->name_spaces &= ~bit(name_space);
    }
    aegis_call_end(environment);
    return code;
}

void aegis_name_space_forget(struct aegis_environment *environment) {
    for (unsigned asid = 1; asid <= AEGIS_ENVIRONMENTS_MAX; asid++) {
        if (is_own(environment, asid) && asid != environment->home) {
            drop_own_pages(environment, asid);
        }
    }
}
