/* exos_revocation_operations.c: a program that needs a frame beside one that has taken all
 * of them, and that gives back when it is asked, or does not. */
#include "kernel_model/exo/aegis_user.h"
#include "kernel_model/exo/slice.h"
#include "libos_model/exos/exos.h"

/* A frame when there is none; what is done with it; and it is given back, for the other to
 * take again in its own slice. */
void exos_run_need_frame(struct operations *base) {
    struct exos_system *system = (struct exos_system *)base;
    struct aegis_environment *environment = system->measured;
    struct exo_handle handle;
    uint64_t physical = 0;
    while (aegis_frame_allocate(environment, 0, AEGIS_ANY_COLOR, &handle, &physical, NULL) != OK) {
        (void)aegis_yield(environment, NULL);
    }
    system->hoarder_abstains = false;
    (void)aegis_tlb_insert(environment, EXOS_DATA_AT, &handle, true, NULL);
    (void)aegis_user_store(system->measured, EXOS_DATA_AT, 4, 1);
    (void)aegis_frame_release(environment, &handle, NULL);
    (void)aegis_yield(environment, NULL);
}

/* ---- the one that has them ---- */

static void take_all(struct aegis_environment *environment) {
    struct exo_handle handle;
    uint64_t physical = 0;
    while (aegis_frame_allocate(environment, 0, AEGIS_ANY_COLOR, &handle, &physical, NULL) == OK) {
    }
}

/* Takes what is free whenever its slice begins, but for a frame that it was asked for, or
 * lost: who needs it has it first. (Counted in slices, that is too long or too short, by
 * whose slice the deadline falls into.) */
static void hoard(struct aegis_environment *environment) {
    struct exos_system *system = environment->state;
    for (;;) {
        if (system->hoarder_grabs) {
            system->hoarder_grabs = false;
            take_all(environment);
        }
        cpu_charge_time(context_current(), system->config.quantum / 100);
        cpu_run(context_current());
    }
}

static void slice_begins(struct exos_system *system) {
    system->hoarder_grabs = !system->hoarder_abstains;
}

static void on_notice(struct aegis_environment *environment, enum aegis_notice notice, bool gives) {
    struct exos_system *system = environment->state;
    if (notice == AEGIS_SLICE_END) {
        exos_slice_end(environment, &system->profile.exos);
        slice_begins(system); /* back from there, its next one */
    } else if (notice == AEGIS_SLICE_BEGIN) {
        slice_begins(system);
    } else if (notice == AEGIS_REPOSSESSED || gives) {
        exos_give_back(environment, &system->profile.exos); /* nothing, if it was taken already */
        system->hoarder_abstains = true;
        system->hoarder_grabs = false;
    }
}

static void polite_notice(struct aegis_environment *environment, enum aegis_notice notice) {
    on_notice(environment, notice, true);
}

static void deaf_notice(struct aegis_environment *environment, enum aegis_notice notice) {
    on_notice(environment, notice, false);
}

static const struct aegis_program polite_program = {.name = "hoarder", .main = hoard, .notice = polite_notice};
static const struct aegis_program deaf_program = {.name = "hoarder", .main = hoard, .notice = deaf_notice};

void exos_run_need_frame_of_deaf(struct operations *base) {
    exos_run_need_frame(base);
}

enum error_code exos_make_hoarder(struct exos_system *system, struct error *error) {
    struct exo_limits limits = exo_limits_default();
    struct exo_handle slice;
    const bool deaf = exos_is_planned(system, exos_run_need_frame_of_deaf, NULL);
    limits.frames = UINT32_MAX;
    struct aegis_environment *hoarder = aegis_environment_create(system->aegis, "hoarder", &limits,
                                                                 deaf ? &deaf_program : &polite_program, system, error);
    return hoarder != NULL ? aegis_slice_allocate(hoarder, AEGIS_ANY_POSITION, &slice, error) : error->code;
}
