/* libos_thread.c: a thread of a library OS: its queue pair, its memory, its costs. */
#include <stdio.h>
#include <stdlib.h>

#include "libos_model/libos_storage.h"

void libos_charge(struct libos_thread *thread, enum libos_step step) {
    struct libos_system *system = libos_system_of(thread);
    (void)stack_charge(thread->context, &system->profile.steps[step], thread->stack.variation, thread->lines_at[step]);
}

void libos_stage(struct libos_thread *thread, ledger_component component, struct request *request) {
    const double variation = libos_system_of(thread)->profile.variation;
    thread->stack.variation = variation > 0 ? random_lognormal_factor(thread->random, variation) : 1.0;
    cpu_work_for(thread->context, component, request);
}

void libos_compute(struct system_thread *base, struct request *request, sim_time duration) {
    struct libos_thread *thread = libos_thread_of(base);
    cpu_work_for(thread->context, system_components.app, request);
    cpu_charge_time(thread->context, duration);
}

struct context *libos_thread_context(struct system_thread *base) {
    return libos_thread_of(base)->context;
}

uint64_t libos_memory(struct libos_process *process, uint64_t length_bytes, struct error *error) {
    struct exo_region region = {.physical = 0};
    if (exo_memory_allocate(process->environment, 0, length_bytes, &region, error) != OK ||
        exo_memory_map(process->environment, &region, true, error) != OK) {
        return 0;
    }
    struct libos_region *known = malloc(sizeof *known);
    SIM_ASSERT(known != NULL);
    *known = (struct libos_region){.next = process->regions,
                                   .physical = region.physical,
                                   .device_address = region.device_address,
                                   .length_bytes = region.length_bytes};
    process->regions = known;
    return region.physical;
}

const struct libos_region *libos_region_of(const struct libos_process *process, uint64_t physical,
                                           uint64_t length_bytes) {
    const struct libos_region *at = process->regions;
    while (at != NULL && (physical < at->physical || length_bytes > at->length_bytes ||
                          physical - at->physical > at->length_bytes - length_bytes)) {
        at = at->next;
    }
    return at;
}

static void thread_main(void *argument) {
    struct libos_thread *thread = argument;
    thread->body(&thread->base, thread->argument);
}

/* ---- creation ---- */

/* Each step's lines lie behind the last one's, the stack's at the end. */
static enum error_code place_working_sets(struct libos_thread *thread, struct error *error) {
    struct libos_system *system = libos_system_of(thread);
    const uint64_t bytes = libos_profile_working_set_bytes(&system->profile);
    uint64_t at = libos_memory(thread->process, bytes + 1, error);
    if (at == 0) {
        return ERR_EXHAUSTED;
    }
    for (size_t i = 0; i < LIBOS_STEP_COUNT; i++) {
        thread->lines_at[i] = at;
        at += (uint64_t)system->profile.steps[i].lines * MEMORY_LINE_BYTES;
    }
    udp_stack_init(&thread->stack, system->base.machine->memory, &system->profile.stack, at);
    thread->stack.variation = 1.0;
    return OK;
}

static enum error_code set_up_queue(struct libos_thread *thread, struct error *error) {
    struct libos_system *system = libos_system_of(thread);
    struct libos_process *process = thread->process;
    enum error_code code =
        exo_queue_grant(process->environment, &process->function, &thread->queue_index, &thread->queue, error);
    if (code == OK && system->config.rate_limit != 0) {
        code = exo_queue_set_rate(process->environment, &thread->queue, system->config.rate_limit, error);
    }
    if (code == OK) {
        code = exo_end_point_create(thread->thread, &thread->end_point, error);
    }
    if (code == OK) {
        code = exo_doorbell_create(process->environment, &process->function, thread->queue_index, &thread->end_point,
                                   &thread->doorbell, error);
    }
    if (code != OK) {
        return code;
    }
    const struct vf_driver_config config = {
        .ring = (uint32_t)system->config.ring,
        .buffers = (uint32_t)system->config.buffers,
        .refill_batch = (uint32_t)system->config.refill_batch,
        .checksum_offload = system->config.checksum_offload,
        .registers = process->registers,
        .queue = thread->queue_index,
        .costs = {.rx_refill = &system->profile.steps[LIBOS_rx_refill],
                  .tx_reclaim = &system->profile.steps[LIBOS_tx_reclaim],
                  .refill_lines = thread->lines_at[LIBOS_rx_refill],
                  .reclaim_lines = thread->lines_at[LIBOS_tx_reclaim]},
    };
    return vf_driver_init(&thread->driver, process->environment, &config, error);
}

static void make_packets(struct libos_thread *thread) {
    const uint32_t count = thread->driver.config.buffers;
    thread->packets = calloc(count, sizeof *thread->packets);
    SIM_ASSERT(thread->packets != NULL);
    for (uint32_t i = 0; i < count; i++) {
        thread->packets[i].buffer = i;
    }
}

struct system_thread *libos_thread_create(struct system_process *base, unsigned core,
                                          void (*body)(struct system_thread *thread, void *argument), void *argument,
                                          struct error *error) {
    struct libos_process *process = (struct libos_process *)(void *)base;
    struct libos_thread *thread = calloc(1, sizeof *thread);
    SIM_ASSERT(thread != NULL);
    char name[64];
    (void)snprintf(name, sizeof name, "libos.%s.core%u", process->name, core);
    thread->base.process = base;
    thread->process = process;
    thread->body = body;
    thread->argument = argument;
    thread->random = random_stream_create(name);
    thread->thread = exo_thread_create(process->environment, core, name, thread_main, thread, error);
    if (thread->thread != NULL) {
        thread->context = thread->thread->context;
    }
    if (thread->thread == NULL || place_working_sets(thread, error) != OK || set_up_queue(thread, error) != OK ||
        (process->drive != NULL && libos_storage_open(thread, error) != OK)) {
        libos_thread_free(thread);
        return NULL;
    }
    make_packets(thread);
    thread->next = process->threads;
    process->threads = thread;
    return &thread->base;
}

void libos_thread_free(struct libos_thread *thread) {
    struct exo_environment *environment = thread->process->environment;
    struct error ignored;
    if (thread->storage != NULL && thread->storage->queue.type != EXO_NONE) {
        (void)exo_revoke(environment, &thread->storage->queue, &ignored);
    }
    if (thread->doorbell.type != EXO_NONE) {
        (void)exo_revoke(environment, &thread->doorbell, &ignored);
    }
    if (thread->queue.type != EXO_NONE) {
        (void)exo_revoke(environment, &thread->queue, &ignored);
    }
    if (thread->thread != NULL) {
        exo_thread_destroy(thread->thread);
    }
    memory_watch_clear(libos_system_of(thread)->base.machine->memory, &thread->watch);
    libos_storage_free(thread);
    libos_sockets_free(thread);
    libos_tcp_free(thread);
    vf_driver_fini(&thread->driver);
    random_stream_free(thread->random);
    free(thread->packets);
    free(thread);
}
