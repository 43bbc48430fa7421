#include "kernel_model/exo/nested.h"

#include <stdlib.h>

enum { WORD_BYTES = 8 };

/* A capability of frames ends: INVEPT on every virtual processor. */
static void on_released(void *context, uint64_t physical, uint64_t count, uint32_t index, bool derived) {
    struct exo_kernel *kernel = context;
    (void)physical, (void)count, (void)index, (void)derived;
    for (struct exo_nested *at = kernel->nested; at != NULL; at = at->next) {
        mmu_nested_invalidate_all(&at->translation);
    }
}

struct exo_nested *exo_nested_create(struct exo_environment *environment) {
    struct exo_kernel *kernel = environment->kernel;
    SIM_ASSERT_MSG(environment->space != NULL, "%s: its processor walks no page tables", environment->name);
    struct exo_nested *nested = calloc(1, sizeof *nested);
    SIM_ASSERT(nested != NULL);
    nested->environment = environment;
    mmu_nested_init(&nested->translation, kernel->machine->memory, environment->space);
    nested->next = kernel->nested;
    kernel->nested = nested;
    kernel->frames_released = on_released;
    kernel->frames_released_context = kernel;
    return nested;
}

void exo_nested_free(struct exo_nested *nested) {
    struct exo_nested **at = &nested->environment->kernel->nested;
    while (*at != nested) {
        at = &(*at)->next;
    }
    *at = nested->next;
    free(nested);
}

static bool reach(struct exo_nested *nested, uint64_t virtual_address, bool write, uint64_t *physical,
                  enum mmu_nested_result *result) {
    struct context *context = context_current();
    SIM_ASSERT_MSG(virtual_address % WORD_BYTES == 0, "%s: an unaligned word", nested->environment->name);
    const enum mmu_nested_result found =
        mmu_nested_access(&nested->translation, context, virtual_address, write, physical);
    if (result != NULL) {
        *result = found;
    }
    if (found != MMU_NESTED_OK) {
        return false;
    }
    if (context != NULL) {
        cpu_charge(context, 1);
        cpu_touch(context, *physical, WORD_BYTES, write);
    }
    return true;
}

bool exo_nested_store(struct exo_nested *nested, uint64_t virtual_address, uint64_t value,
                      enum mmu_nested_result *result) {
    uint64_t physical = 0;
    if (!reach(nested, virtual_address, true, &physical, result)) {
        return false;
    }
    memory_write64(nested->environment->kernel->machine->memory, physical, value);
    return true;
}

bool exo_nested_load(struct exo_nested *nested, uint64_t virtual_address, uint64_t *value,
                     enum mmu_nested_result *result) {
    uint64_t physical = 0;
    *value = 0;
    if (!reach(nested, virtual_address, false, &physical, result)) {
        return false;
    }
    *value = memory_read64(nested->environment->kernel->machine->memory, physical);
    return true;
}
