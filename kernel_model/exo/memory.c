#include "kernel_model/exo/memory.h"

#include <stdlib.h>

#include "kernel_model/exo/vsic_emulation.h"

/* The object behind a capability of type EXO_FRAMES. */
struct frame_run {
    struct exo_kernel *kernel;
    struct exo_environment *holder;
    uint64_t physical, count;
    struct exo_mapping *mappings;
};

/* ---- mappings ---- */

enum error_code exo_mapping_add(struct exo_mapping **list, struct exo_environment *environment, uint32_t capability,
                                uint64_t physical, uint64_t *virtual_address, uint64_t length_bytes, bool write,
                                bool device_visible) {
    if (environment->bindings_held >= environment->limits.bindings) {
        return exo_share(environment, "bindings", NULL);
    }
    const uint64_t at = *virtual_address != 0 ? *virtual_address : exo_environment_reserve(environment, length_bytes);
    const unsigned flags = MMU_USER | (write ? (unsigned)MMU_WRITE : 0U);
    enum error_code code = address_space_map(environment->space, at, physical, length_bytes, flags);
    if (code != OK) {
        return exo_tables_error(environment, code);
    }
    if (device_visible) {
        const unsigned rights = IOMMU_READ | (write ? (unsigned)IOMMU_WRITE : 0U);
        code = iommu_map(environment->domain, at, physical, length_bytes, rights);
        if (code != OK) {
            address_space_unmap(environment->space, at, length_bytes);
            return exo_tables_error(environment, code);
        }
    }
    struct exo_mapping *mapping = malloc(sizeof *mapping);
    SIM_ASSERT(mapping != NULL);
    *mapping = (struct exo_mapping){.next = *list,
                                    .environment = environment,
                                    .capability = capability,
                                    .device_visible = device_visible,
                                    .virtual_address = at,
                                    .length_bytes = length_bytes};
    *list = mapping;
    environment->bindings_held++;
    *virtual_address = at;
    return OK;
}

void exo_mappings_remove(struct exo_mapping **list, uint32_t capability) {
    while (*list != NULL) {
        struct exo_mapping *mapping = *list;
        if (capability != EXO_ANY_CAPABILITY && mapping->capability != capability) {
            list = &mapping->next;
            continue;
        }
        exo_emulation_forget(mapping->environment->kernel, mapping->environment, mapping->virtual_address,
                             mapping->length_bytes);
        address_space_unmap(mapping->environment->space, mapping->virtual_address, mapping->length_bytes);
        if (mapping->device_visible) {
            const uint64_t cycles =
                iommu_unmap(mapping->environment->domain, mapping->virtual_address, mapping->length_bytes);
            struct context *context = context_current();
            if (context != NULL) {
                cpu_work_for(context, exo_components.control_plane, NULL);
                cpu_charge(context, cycles);
            }
        }
        mapping->environment->bindings_held--;
        *list = mapping->next;
        free(mapping);
    }
}

/* ---- frames ---- */

static void release(void *context, void *object, uint32_t index, bool derived) {
    (void)context;
    struct frame_run *run = object;
    struct exo_kernel *kernel = run->kernel;
    if (kernel->frames_released != NULL) {
        kernel->frames_released(kernel->frames_released_context, run->physical, run->count, index, derived);
    }
    exo_mappings_remove(&run->mappings, derived ? index : (uint32_t)EXO_ANY_CAPABILITY);
    if (derived) {
        return;
    }
    for (uint64_t i = 0; i < run->count; i++) {
        frames_give_back(run->kernel->frames, run->physical + i * MEMORY_FRAME_BYTES);
    }
    run->holder->frames_held -= run->count;
    free(run);
}

void exo_memory_init(struct exo_kernel *kernel) {
    exo_capabilities_on_release(kernel->capabilities, EXO_FRAMES, release, NULL);
}

/* Takes exactly the frames asked for, or none. */
static uint64_t take_named(struct exo_kernel *kernel, uint64_t wanted, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t frame = wanted + i * MEMORY_FRAME_BYTES;
        if (!memory_contains(kernel->machine->memory, frame, MEMORY_FRAME_BYTES) ||
            !frames_take(kernel->frames, frame)) {
            while (i-- > 0) {
                frames_give_back(kernel->frames, wanted + i * MEMORY_FRAME_BYTES);
            }
            return 0;
        }
        memory_fill(kernel->machine->memory, frame, 0, MEMORY_FRAME_BYTES);
    }
    return wanted;
}

enum error_code exo_memory_allocate(struct exo_environment *environment, uint64_t wanted, uint64_t length_bytes,
                                    struct exo_region *region, struct error *error) {
    struct exo_kernel *kernel = environment->kernel;
    exo_enter(kernel, &kernel->costs->memory_allocate);
    const uint64_t free_frames = environment->limits.frames - environment->frames_held;
    if (length_bytes == 0 || wanted % MEMORY_FRAME_BYTES != 0) {
        return error_set(error, ERR_RANGE, "%s: memory comes in whole frames", environment->name);
    }
    const uint64_t count = (length_bytes - 1) / MEMORY_FRAME_BYTES + 1;
    if (count > free_frames) {
        (void)exo_share(environment, "frames", NULL);
        return error_set(error, ERR_SHARE, "%s: %llu frames, and %llu are left of its share", environment->name,
                         (unsigned long long)count, (unsigned long long)free_frames);
    }
    const uint64_t physical = wanted != 0  ? take_named(kernel, wanted, count)
                              : count == 1 ? frames_allocate(kernel->frames)
                                           : frames_allocate_contiguous(kernel->frames, count);
    if (physical == 0) {
        environment->counters.exhausted++;
        kernel->counters.exhausted++;
        return error_set(error, ERR_EXHAUSTED, "%s: those frames are not free", environment->name);
    }
    struct frame_run *run = calloc(1, sizeof *run);
    SIM_ASSERT(run != NULL);
    *run = (struct frame_run){.kernel = kernel, .holder = environment, .physical = physical, .count = count};
    environment->frames_held += count;
    *region = (struct exo_region){.physical = physical, .length_bytes = count * MEMORY_FRAME_BYTES};
    const enum error_code code = exo_grant(environment, NULL, EXO_FRAMES, run, &region->handle, error);
    if (code != OK) {
        release(NULL, run, 0, false);
    }
    return code;
}

enum error_code exo_memory_frames(struct exo_environment *environment, const struct exo_handle *handle, unsigned rights,
                                  uint64_t *physical, uint64_t *count, struct error *error) {
    void *object = NULL;
    const enum error_code code = exo_check(environment, handle, EXO_FRAMES, rights, &object, error);
    if (code == OK) {
        const struct frame_run *run = object;
        *physical = run->physical;
        *count = run->count;
    }
    return code;
}

static bool covers(const void *object, void *frame) {
    const struct frame_run *run = object;
    return *(const uint64_t *)frame - run->physical < run->count * MEMORY_FRAME_BYTES;
}

bool exo_memory_holds(const struct exo_kernel *kernel, uint32_t environment, uint64_t physical, uint64_t length_bytes,
                      bool write) {
    const unsigned rights = EXO_READ | (write ? (unsigned)EXO_WRITE : 0U);
    bool holds = length_bytes > 0 && memory_contains(kernel->machine->memory, physical, length_bytes);
    uint64_t frame = physical / MEMORY_FRAME_BYTES * MEMORY_FRAME_BYTES;
    for (; holds && frame < physical + length_bytes; frame += MEMORY_FRAME_BYTES) {
        holds = exo_capability_any(kernel->capabilities, environment, EXO_FRAMES, rights, covers, &frame);
    }
    return holds;
}

enum error_code exo_memory_map(struct exo_environment *environment, struct exo_region *region, bool write,
                               struct error *error) {
    struct exo_kernel *kernel = environment->kernel;
    if (environment->space == NULL) {
        return error_set(error, ERR_UNSUPPORTED, "%s: the processor walks no page tables", environment->name);
    }
    exo_enter(kernel, &kernel->costs->memory_map);
    const unsigned rights = EXO_READ | (write ? (unsigned)EXO_WRITE : 0U);
    void *object = NULL;
    enum error_code code = exo_check(environment, &region->handle, EXO_FRAMES, rights, &object, error);
    if (code != OK) {
        return code;
    }
    struct frame_run *run = object;
    uint64_t at = region->virtual_address;
    code = exo_mapping_add(&run->mappings, environment, region->handle.index, run->physical, &at,
                           run->count * MEMORY_FRAME_BYTES, write, true);
    if (code != OK) {
        return error_set(error, code, "%s: %s", environment->name, error_code_text(code));
    }
    region->virtual_address = at;
    region->physical = run->physical;
    region->length_bytes = run->count * MEMORY_FRAME_BYTES;
    const bool translated = iommu_mode(kernel->machine->iommu) == IOMMU_ON;
    region->device_address = translated ? at : run->physical;
    return OK;
}
