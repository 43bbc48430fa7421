#include "kernel_model/exo/revocation.h"

#include "kernel_model/exo/aegis_machine.h"

/* The deadline is noticed by the kernel like a device: by an interrupt. */
static void on_deadline(void *context) {
    struct aegis_environment *environment = context;
    environment->revoke_late = true;
    environment->aegis->machine->raise(environment->aegis, AEGIS_LINE_NOTICE);
}

void aegis_revocation_init(struct aegis_environment *environment) {
    sim_event_init(&environment->revoke_deadline, SIM_PRIORITY_HARDWARE, on_deadline, environment);
}

void aegis_revoke_frames(struct aegis_environment *environment, uint64_t frames, sim_time time) {
    environment->revoke_asked += frames;
    (void)sim_cancel(&environment->revoke_deadline);
    sim_schedule(&environment->revoke_deadline, time);
    aegis_post(environment, AEGIS_REVOKE);
}

static uint64_t holds(const struct aegis_environment *environment) {
    uint64_t frames = 0;
    for (const struct aegis_frame *at = environment->frames; at != NULL; at = at->next) {
        frames += at->guaranteed ? 0 : 1;
    }
    return frames;
}

void aegis_revocation_demand(struct aegis_environment *environment) {
    struct aegis *aegis = environment->aegis;
    struct aegis_environment *richest = environment;
    uint64_t most = holds(environment);
    for (struct aegis_environment *at = aegis->environments; at != NULL; at = at->next) {
        if (!at->dead && holds(at) > most) {
            richest = at;
            most = holds(at);
        }
    }
    if (aegis->config.revoke_time > 0 && richest != environment && richest->revoke_asked == 0) {
        aegis_revoke_frames(richest, 1, aegis->config.revoke_time);
    }
}

void aegis_revocation_answered(struct aegis_environment *environment) {
    if (environment->revoke_asked > 0 && --environment->revoke_asked == 0) {
        (void)sim_cancel(&environment->revoke_deadline);
        environment->revoke_late = false;
    }
}

/* ---- by force ---- */

/* The frame that it got last and that nothing guarantees. */
static struct aegis_frame *victim(const struct aegis_environment *environment) {
    struct aegis_frame *last = NULL;
    for (struct aegis_frame *at = environment->frames; at != NULL; at = at->next) {
        last = at->guaranteed ? last : at;
    }
    return last;
}

/* Adds to the repossession vector, for the library OS to find. A full one loses names,
 * and its count tells. */
static void write_vector(struct aegis_environment *environment, uint64_t physical) {
    struct aegis *aegis = environment->aegis;
    const uint64_t vector = environment->save_area + AEGIS_SAVE_REPOSSESSED;
    const uint32_t count = aegis_load(aegis, vector);
    if (count < AEGIS_REPOSSESSION_MAX) {
        aegis_store(aegis, vector + 4 + 4 * (uint64_t)count, (uint32_t)physical);
    }
    aegis_store(aegis, vector, count + 1);
}

static void repossess(struct aegis_environment *environment) {
    struct aegis *aegis = environment->aegis;
    for (struct aegis_frame *frame; environment->revoke_asked > 0 && (frame = victim(environment)) != NULL;
         environment->revoke_asked--) {
        aegis_step(aegis, &aegis->costs->repossess);
        write_vector(environment, frame->physical);
        const struct exo_handle handle = frame->handle; /* the record goes with it */
        exo_capability_revoke(aegis->kernel->capabilities, &handle);
        environment->counters.repossessed++;
        aegis->counters.repossessed++;
    }
    environment->revoke_asked = 0;
    if (environment->program->notice != NULL) {
        environment->pending |= AEGIS_REPOSSESSED;
    }
}

void aegis_revocation_abort(struct aegis *aegis) {
    for (struct aegis_environment *at = aegis->environments; at != NULL; at = at->next) {
        if (at->revoke_late) {
            at->revoke_late = false;
            cpu_work_for(aegis->interrupt, aegis_components.revocation, NULL);
            repossess(at);
        }
    }
}
