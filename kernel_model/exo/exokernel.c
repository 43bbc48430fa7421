#include "kernel_model/exo/exokernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_model/exo/doorbell.h"
#include "kernel_model/exo/filter.h"
#include "kernel_model/exo/scheduler.h"
#include "kernel_model/exo/vnic.h"
#include "kernel_model/exo/vsa.h"
#include "kernel_model/exo/vsic.h"
#include "kernel_model/exo/vsic_emulation.h"
#include "sim/random.h"
#include "stack/udp_stack.h"

struct exo_components exo_components;

#define EXO_COST(name, text)                                                                                           \
    { .key = #name, .type = PARAM_COST, .offset = offsetof(struct exo_costs, name), .help = text }
const struct param exo_cost_params[] = {
    EXO_COST(crossing, "a call into the kernel and back, without its own work"),
    EXO_COST(capability_check, "checking one capability: its code and its slot"),
    EXO_COST(memory_allocate, "allocating a run of frames"),
    EXO_COST(memory_map, "mapping a run for processor and devices"),
    EXO_COST(function_grant, "granting a virtual function"),
    EXO_COST(queue_grant, "granting a queue pair"),
    EXO_COST(rate_set, "setting a queue's rate"),
    EXO_COST(filter_check, "checking a filter against one that exists"),
    EXO_COST(filter_install, "installing a checked filter in the NIC"),
    EXO_COST(end_point_wait, "putting a thread to sleep on an end point"),
    EXO_COST(doorbell_interrupt, "from an interrupt vector to its end point"),
    EXO_COST(doorbell_upcall, "notifying a thread that runs"),
    EXO_COST(doorbell_wake, "putting a sleeping thread back onto its core"),
    EXO_COST(vsic_grant, "granting a virtual storage interface"),
    EXO_COST(storage_queue_grant, "granting a queue pair of one"),
    EXO_COST(vsa_create, "making, resizing or deleting a storage area"),
    EXO_COST(vsa_attach, "attaching a storage area to an interface"),
    EXO_COST(vsa_name, "finding a storage area by name"),
    EXO_COST(emulation_poll, "VSIC emulation: a turn over the request rings"),
    EXO_COST(emulation_request, "VSIC emulation: a request's checks"),
    EXO_COST(emulation_walk, "VSIC emulation: a page-table walk, without its loads"),
    EXO_COST(emulation_submit, "VSIC emulation: a command for the drive"),
    EXO_COST(emulation_reap, "VSIC emulation: a completion of the drive's"),
    EXO_COST(emulation_complete, "VSIC emulation: the answer to the library"),
    {0}};

void exo_declare_components(void) {
    static const struct ledger_declaration table[] = {{"control_plane", "cpu", "Control plane", NULL},
                                                      {"exo_doorbell", "cpu", "Doorbell", NULL},
                                                      {"exo_idle_exit", "cpu", "Leaving an idle state", NULL},
                                                      {0}};
    ledger_component out[3];
    ledger_declare_all(table, out);
    exo_emulation_declare_components();
    exo_components = (struct exo_components){.control_plane = out[0], .doorbell = out[1], .idle_exit = out[2]};
}

static struct siphash_key key_draw(void) {
    struct random_stream *stream = random_stream_create("exokernel");
    uint64_t words[4];
    for (size_t i = 0; i < 4; i++) {
        words[i] = random_below(stream, UINT64_C(1) << 32);
    }
    random_stream_free(stream);
    return (struct siphash_key){words[0] << 32 | words[1], words[2] << 32 | words[3]};
}

/* A region as large as the step that touches most. */
static uint64_t working_set_allocate(struct exo_kernel *kernel) {
    uint64_t lines = 1;
    for (const struct param *row = exo_cost_params; row->key != NULL; row++) {
        const struct cost *cost = (const struct cost *)(const void *)((const char *)kernel->costs + row->offset);
        lines = cost->lines > lines ? cost->lines : lines;
    }
    return frames_allocate_contiguous(kernel->frames, lines * MEMORY_LINE_BYTES / MEMORY_FRAME_BYTES + 1);
}

struct exo_kernel *exo_kernel_create(struct machine *machine, struct exo_costs *costs, enum exo_idle idle,
                                     struct error *error) {
    struct exo_kernel *kernel = calloc(1, sizeof *kernel);
    SIM_ASSERT(kernel != NULL);
    kernel->machine = machine;
    kernel->costs = costs;
    kernel->idle = idle;
    kernel->frames = frames_create(machine->memory);
    iommu_set_allocator(machine->iommu, frames_allocate_callback, kernel->frames);
    kernel->capabilities = exo_capabilities_create(key_draw(), EXO_CAPABILITIES_MAX);
    kernel->working_set = working_set_allocate(kernel);
    exo_memory_init(kernel);
    exo_vnic_init(kernel);
    exo_filter_init(kernel);
    exo_vsic_init(kernel);
    exo_vsa_init(kernel);
    exo_doorbell_init(kernel);
    exo_scheduler_init(kernel);
    if (kernel->working_set == 0) {
        (void)error_set(error, ERR_EXHAUSTED, "no memory for the exokernel");
        exo_kernel_free(kernel);
        return NULL;
    }
    return kernel;
}

void exo_kernel_free(struct exo_kernel *kernel) {
    if (kernel == NULL) {
        return;
    }
    for (unsigned i = 0; i < kernel->machine->core_count; i++) {
        if (kernel->cores[i].thread != NULL) {
            exo_thread_destroy(kernel->cores[i].thread);
        }
    }
    while (kernel->environments != NULL) {
        exo_environment_destroy(kernel->environments);
    }
    exo_vsa_fini(kernel);
    exo_scheduler_fini(kernel);
    exo_capabilities_free(kernel->capabilities);
    frames_free(kernel->frames);
    free(kernel);
}

/* ---- kernel calls ---- */

void exo_work(struct exo_kernel *kernel, struct cost *cost) {
    struct context *context = context_current();
    if (context != NULL && cost != NULL) {
        cpu_work_for(context, exo_components.control_plane, NULL);
        (void)stack_charge(context, cost, 1.0, kernel->working_set);
    }
}

void exo_enter(struct exo_kernel *kernel, struct cost *cost) {
    struct context *context = context_current();
    if (context != NULL) {
        exo_work(kernel, &kernel->costs->crossing);
        exo_work(kernel, cost);
        cpu_run(context);
    }
}

enum error_code exo_check(struct exo_environment *environment, const struct exo_handle *handle, enum exo_type type,
                          unsigned rights, void **object, struct error *error) {
    struct exo_kernel *kernel = environment->kernel;
    exo_work(kernel, &kernel->costs->capability_check);
    const enum exo_refusal refusal =
        exo_capability_check(kernel->capabilities, environment->number, handle, type, rights, object);
    kernel->counters.refused[refusal]++;
    environment->counters.refused[refusal]++;
    if (refusal != EXO_ALLOWED) {
        return error_set(error, ERR_DENIED, "%s: a capability was refused: %s", environment->name,
                         exo_refusal_text(refusal));
    }
    return OK;
}

void exo_register_write(struct exo_kernel *kernel, uint64_t physical, uint32_t value) {
    struct context *context = context_current();
    if (context == NULL) {
        pcie_poke(kernel->machine->pcie, physical, 4, value);
        return;
    }
    cpu_work_for(context, exo_components.control_plane, NULL);
    cpu_charge(context, pcie_root_configuration(kernel->machine->pcie)->mmio_write_cycles);
    cpu_run(context);
    pcie_mmio_write(kernel->machine->pcie, physical, 4, value);
}

/* ---- counters ---- */

static void visit_counters(const struct stats_sink *sink, const char *instance, const struct exo_counters *counters) {
    stats_counter(sink, instance, "capability_checks_passed", counters->refused[EXO_ALLOWED]);
    uint64_t denied = 0;
    for (int i = EXO_ALLOWED + 1; i < EXO_REFUSALS; i++) {
        char name[48];
        (void)snprintf(name, sizeof name, "capabilities_%s", exo_refusal_text((enum exo_refusal)i));
        stats_counter(sink, instance, name, counters->refused[i]);
        denied += counters->refused[i];
    }
    stats_counter(sink, instance, "capabilities_denied", denied);
    stats_counter(sink, instance, "filters_overlapping", counters->overlaps);
    stats_counter(sink, instance, "filters_greedy", counters->greedy);
    stats_counter(sink, instance, "filters_spoofing", counters->spoofs);
    stats_counter(sink, instance, "shares_exceeded", counters->shares);
    stats_counter(sink, instance, "grants_exhausted", counters->exhausted);
    stats_counter(sink, instance, "storage_areas_refused", counters->storage_refusals);
}

static uint64_t page_faults_of(const struct exo_environment *environment) {
    const struct exo_kernel *kernel = environment->kernel;
    uint64_t faults = environment->page_faults_ended;
    for (unsigned i = 0; i < kernel->machine->core_count; i++) {
        const struct exo_thread *thread = kernel->cores[i].thread;
        if (thread != NULL && thread->environment == environment) {
            faults += context_page_faults(thread->context);
        }
    }
    return faults;
}

static uint64_t dma_faults_of(const struct exo_environment *environment) {
    uint64_t faults = 0;
    for (const struct exo_function *at = environment->kernel->functions; at != NULL; at = at->next) {
        faults += at->holder == environment ? at->pcie->dma_faults : 0;
    }
    return faults;
}

void exo_visit_stats(const struct exo_kernel *kernel, const struct stats_sink *sink) {
    uint64_t page_faults = 0;
    for (const struct exo_environment *at = kernel->environments; at != NULL; at = at->next) {
        page_faults += page_faults_of(at);
    }
    visit_counters(sink, "exokernel", &kernel->counters);
    stats_counter(sink, "exokernel", "page_faults", page_faults);
    stats_counter(sink, "exokernel", "iommu_faults", iommu_fault_count(kernel->machine->iommu));
    stats_counter(sink, "exokernel", "capabilities_live", exo_capabilities_live(kernel->capabilities));
    stats_counter(sink, "exokernel", "frames_free", frames_available(kernel->frames));
    exo_emulation_visit_stats(kernel, sink);
    for (const struct exo_environment *at = kernel->environments; at != NULL; at = at->next) {
        char instance[64];
        (void)snprintf(instance, sizeof instance, "exokernel.%s", at->name);
        visit_counters(sink, instance, &at->counters);
        stats_counter(sink, instance, "page_faults", page_faults_of(at));
        stats_counter(sink, instance, "iommu_faults", dma_faults_of(at));
        stats_counter(sink, instance, "frames_held", at->frames_held);
        stats_counter(sink, instance, "table_frames_held", at->table_frame_count);
        stats_counter(sink, instance, "capabilities_held", exo_capabilities_charged(kernel->capabilities, at->number));
        stats_counter(sink, instance, "bindings_held", at->bindings_held);
        stats_counter(sink, instance, "filters_held", at->filters_held);
        stats_counter(sink, instance, "storage_interfaces_held", at->storage_interfaces_held);
        stats_counter(sink, instance, "storage_bytes_held", exo_vsa_bytes_of(at));
    }
}
