/* vsic_emulation_setup.c: an emulation's beginning and end, and its interfaces'. */
#include <stdio.h>
#include <stdlib.h>

#include "kernel_model/exo/scheduler.h"
#include "kernel_model/exo/vsic_emulation_internal.h"

enum { ADMIN_ENTRIES = 16, ADMIN_FRAMES = 2, STATE_BYTES = 2 * MEMORY_LINE_BYTES };

const struct exo_emulation_counters *exo_emulation_counters(const struct exo_drive *drive) {
    return &drive->emulation->counters;
}
struct context *exo_emulation_context(const struct exo_drive *drive) {
    return drive->emulation->context;
}

/* Frames of the kernel's that the physical function reaches, at the same address. */
static uint64_t kernel_memory(struct exo_emulation *emulation, uint64_t bytes) {
    const uint64_t frames = (bytes + MEMORY_FRAME_BYTES - 1) / MEMORY_FRAME_BYTES;
    struct exo_kernel *kernel = emulation->kernel;
    const uint64_t at = frames_allocate_contiguous(kernel->frames, frames);
    if (at != 0 && iommu_mode(kernel->machine->iommu) == IOMMU_ON &&
        iommu_map(emulation->domain, at, at, frames * MEMORY_FRAME_BYTES, IOMMU_READ | IOMMU_WRITE) != OK) {
        return 0;
    }
    return at;
}

static enum error_code make_queue(struct exo_emulation *emulation, uint32_t entries, struct error *error) {
    struct exo_kernel *kernel = emulation->kernel;
    struct device *device = emulation->drive->device;
    const uint64_t admin = kernel_memory(emulation, (uint64_t)ADMIN_FRAMES * MEMORY_FRAME_BYTES);
    const uint64_t at = kernel_memory(emulation, nvme_pair_memory_bytes(entries));
    const uint64_t copies = kernel_memory(emulation, entries * sizeof(struct exo_ring_request));
    if (admin == 0 || at == 0 || copies == 0) {
        return error_set(error, ERR_EXHAUSTED, "no memory to emulate storage interfaces of %s", device->name);
    }
    const struct nvme_pair_config config = {
        .machine = kernel->machine,
        .queue = 1,
        .entries = entries,
        .physical = at,
        .device_address = at,
        .doorbells = emulation->pcie->bar_address[0],
        .doorbell_stride = nvme_doorbell_stride(device),
        .block_bytes = nvme_block_bytes(device),
        .costs = {.submit = &kernel->costs->emulation_submit, .complete = &kernel->costs->emulation_reap},
        .working_set = kernel->working_set,
        .submit = exo_emulation_component,
        .doorbell = exo_emulation_component,
        .complete = exo_emulation_component};
    nvme_pair_init(&emulation->pair, &config);
    emulation->ios = calloc(entries, sizeof *emulation->ios);
    SIM_ASSERT(emulation->ios != NULL);
    for (uint32_t i = entries; i-- > 0;) {
        emulation->ios[i].copy = copies + i * sizeof(struct exo_ring_request);
        emulation->ios[i].next_free = emulation->free_ios;
        emulation->free_ios = &emulation->ios[i];
    }
    enum error_code code = nvme_boot_controller(device, 0, admin, ADMIN_ENTRIES, error);
    if (code == OK) {
        code = nvme_boot_pair(device, 0, &emulation->pair, -1, error);
    }
    return code;
}

enum error_code exo_emulation_start(struct exo_drive *drive, unsigned core, uint32_t entries, struct error *error) {
    struct exo_kernel *kernel = drive->kernel;
    if (drive->emulation != NULL) {
        return error_set(error, ERR_EXISTS, "%s has an emulation", drive->device->name);
    }
    if (core >= kernel->machine->core_count) {
        return error_set(error, ERR_RANGE, "there is no core %u", core);
    }
    struct exo_core *home = &kernel->cores[core];
    if (home->thread != NULL || home->dedicated) {
        return error_set(error, ERR_EXHAUSTED, "core %u is taken", core);
    }
    struct exo_emulation *emulation = calloc(1, sizeof *emulation);
    SIM_ASSERT(emulation != NULL);
    *emulation =
        (struct exo_emulation){.drive = drive, .kernel = kernel, .core = core, .pcie = nvme_function(drive->device, 0)};
    drive->emulation = emulation;
    emulation->domain = iommu_domain_create(kernel->machine->iommu, frames_allocate_callback, kernel->frames, error);
    enum error_code code = emulation->domain == NULL
                               ? ERR_EXHAUSTED
                               : iommu_attach(kernel->machine->iommu, emulation->pcie->requester_id, emulation->domain);
    if (code == OK) {
        code = make_queue(emulation, entries, error);
    }
    if (code != OK) {
        exo_emulation_stop(drive);
        return code;
    }
    home->dedicated = true;
    emulation->context =
        context_create(home->core, CORE_THREAD, "exokernel.vsic_emulation", NULL, exo_emulation_main, emulation);
    core_dispatch(home->core, CORE_THREAD, emulation->context);
    return OK;
}

void exo_emulation_stop(struct exo_drive *drive) {
    struct exo_emulation *emulation = drive->emulation;
    if (emulation == NULL) {
        return;
    }
    if (emulation->context != NULL) {
        context_kill(emulation->context);
        drive->kernel->cores[emulation->core].dedicated = false;
    }
    memory_watch_clear(drive->kernel->machine->memory, &emulation->watch);
    for (uint32_t i = 0; i < EXO_EMULATED_MAX; i++) {
        if (emulation->emulated[i] != NULL) {
            memory_watch_clear(drive->kernel->machine->memory, &emulation->emulated[i]->watch);
            free(emulation->emulated[i]);
        }
    }
    nvme_pair_fini(&emulation->pair);
    free(emulation->ios);
    free(emulation);
    drive->emulation = NULL;
}

void exo_emulation_visit_stats(const struct exo_kernel *kernel, const struct stats_sink *sink) {
    for (const struct exo_drive *drive = kernel->drives; drive != NULL; drive = drive->next) {
        if (drive->emulation == NULL) {
            continue;
        }
        const struct exo_emulation_counters *counters = &drive->emulation->counters;
        char instance[64];
        (void)snprintf(instance, sizeof instance, "exokernel.emulation.%s", drive->device->name);
        stats_counter(sink, instance, "requests", counters->requests);
        stats_counter(sink, instance, "completions", counters->completions);
        stats_counter(sink, instance, "page_walks", counters->page_walks);
        stats_counter(sink, instance, "turns", counters->turns);
        stats_counter(sink, instance, "refused_malformed", counters->refused_malformed);
        stats_counter(sink, instance, "refused_not_attached", counters->refused_not_attached);
        stats_counter(sink, instance, "refused_out_of_range", counters->refused_out_of_range);
        stats_counter(sink, instance, "refused_read_only", counters->refused_read_only);
        stats_counter(sink, instance, "refused_memory", counters->refused_memory);
    }
}

/* ---- interfaces ---- */

struct exo_emulated *exo_emulated_create(struct exo_emulation *emulation, struct exo_vsic *vsic, struct error *error) {
    struct exo_kernel *kernel = emulation->kernel;
    uint32_t at = 0;
    while (at < EXO_EMULATED_MAX && emulation->emulated[at] != NULL) {
        at++;
    }
    const uint64_t rings = (EXO_RING_BYTES + MEMORY_FRAME_BYTES - 1) / MEMORY_FRAME_BYTES;
    const uint64_t physical =
        at < EXO_EMULATED_MAX ? frames_allocate_contiguous(kernel->frames, rings + 1) : 0; /* and one of state */
    if (physical == 0) {
        (void)error_set(error, ERR_EXHAUSTED, "no emulated storage interface is left");
        return NULL;
    }
    struct exo_emulated *emulated = calloc(1, sizeof *emulated);
    SIM_ASSERT(emulated != NULL);
    *emulated = (struct exo_emulated){
        .emulation = emulation, .vsic = vsic, .physical = physical, .state = physical + rings * MEMORY_FRAME_BYTES};
    emulation->emulated[at] = emulated;
    return emulated;
}

/* With commands under way it stays until the last has ended; nobody hears of them. */
void exo_emulated_free(struct exo_emulated *emulated) {
    struct exo_emulation *emulation = emulated->emulation;
    struct exo_kernel *kernel = emulation->kernel;
    exo_mappings_remove(&emulated->mappings, EXO_ANY_CAPABILITY);
    memory_watch_clear(kernel->machine->memory, &emulated->watch);
    emulated->vsic = NULL;
    if (emulated->under_way > 0) {
        return;
    }
    for (uint32_t i = 0; i < EXO_EMULATED_MAX; i++) {
        emulation->emulated[i] = emulation->emulated[i] == emulated ? NULL : emulation->emulated[i];
    }
    const uint64_t end = emulated->state + MEMORY_FRAME_BYTES;
    for (uint64_t at = emulated->physical; at < end; at += MEMORY_FRAME_BYTES) {
        frames_give_back(kernel->frames, at);
    }
    free(emulated);
}

static bool used_elsewhere(const struct exo_emulation *emulation, const struct exo_vsa *vsa) {
    for (uint32_t i = 0; i < EXO_EMULATED_MAX; i++) {
        for (uint32_t slot = 0; emulation->emulated[i] != NULL && slot < EXO_VSIC_AREAS; slot++) {
            if (emulation->emulated[i]->areas[slot].vsa == vsa) {
                return true;
            }
        }
    }
    return false;
}

enum error_code exo_emulated_apply(struct exo_emulated *emulated, struct exo_vsa *vsa, unsigned rights) {
    struct exo_emulation *emulation = emulated->emulation;
    uint32_t slot = 0;
    while (slot < EXO_VSIC_AREAS && emulated->areas[slot].vsa != vsa) {
        slot++;
    }
    if (slot == EXO_VSIC_AREAS && rights != 0) {
        slot = 0;
        while (slot < EXO_VSIC_AREAS && emulated->areas[slot].vsa != NULL) {
            slot++;
        }
    }
    if (slot == EXO_VSIC_AREAS) {
        return rights == 0 ? OK : ERR_EXHAUSTED;
    }
    emulated->areas[slot].vsa = rights != 0 ? vsa : NULL;
    emulated->areas[slot].rights = rights;
    struct device *device = emulation->drive->device;
    if (rights != 0) {
        return nvme_namespace_attach(device, 0, vsa->nsid, NVME_RIGHT_READ | NVME_RIGHT_WRITE);
    }
    if (!used_elsewhere(emulation, vsa)) {
        (void)nvme_namespace_detach(device, 0, vsa->nsid);
    }
    return OK;
}

enum error_code exo_vsic_ring_map(struct exo_environment *environment, const struct exo_handle *handle,
                                  uint64_t *virtual_address, uint64_t *physical, struct error *error) {
    struct exo_kernel *kernel = environment->kernel;
    exo_enter(kernel, &kernel->costs->memory_map);
    void *object = NULL;
    enum error_code code = exo_check(environment, handle, EXO_VSIC, EXO_BIND, &object, error);
    if (code != OK) {
        return code;
    }
    const struct exo_vsic *vsic = object;
    if (vsic->emulated == NULL) {
        return error_set(error, ERR_UNSUPPORTED, "%s: the interface is no emulated one", environment->name);
    }
    const uint64_t rings = (EXO_RING_BYTES + MEMORY_FRAME_BYTES - 1) / MEMORY_FRAME_BYTES * MEMORY_FRAME_BYTES;
    *virtual_address = 0;
    *physical = vsic->emulated->physical;
    code = exo_mapping_add(&vsic->emulated->mappings, environment, handle->index, *physical, virtual_address, rings,
                           true, false);
    return code == OK ? OK : error_set(error, code, "%s: %s", environment->name, error_code_text(code));
}

/* ---- mappings that end ---- */

void exo_emulation_forget(struct exo_kernel *kernel, struct exo_environment *environment, uint64_t virtual_address,
                          uint64_t length_bytes) {
    const struct iommu *iommu = kernel->machine->iommu;
    for (struct exo_drive *drive = kernel->drives; drive != NULL; drive = drive->next) {
        struct exo_emulation *emulation = drive->emulation;
        if (emulation == NULL || iommu_mode(iommu) != IOMMU_ON) {
            continue;
        }
        for (uint64_t at = 0; at < length_bytes; at += MEMORY_FRAME_BYTES) {
            uint64_t frame = 0;
            uint64_t ignored = 0;
            if (address_space_translate(environment->space, virtual_address + at, false, false, &frame) &&
                iommu_peek(iommu, emulation->pcie->requester_id, frame, true, &ignored)) {
                (void)iommu_unmap(emulation->domain, frame, MEMORY_FRAME_BYTES);
            }
        }
    }
}
