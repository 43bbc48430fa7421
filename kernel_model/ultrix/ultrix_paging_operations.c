/* ultrix_paging_operations.c: programs with more pages than there are frames; which of them
 * leave is the kernel's choice. */
#include "kernel_model/ultrix/ultrix_system.h"

static struct ultrix_system *system_of(struct operations *base) {
    return (struct ultrix_system *)base;
}

static uint32_t page_at(uint64_t index) {
    return ULTRIX_DATA_AT + (uint32_t)index * ULTRIX_PAGE;
}

static uint32_t load(void *context, uint64_t page) {
    const struct ultrix_system *system = context;
    uint32_t value = 0;
    const bool there = r3000_load(system->ultrix->cpu, page_at(page), 4, &value);
    SIM_ASSERT(there);
    return value;
}

static void store(void *context, uint64_t page, uint32_t value) {
    const struct ultrix_system *system = context;
    const bool there = r3000_store(system->ultrix->cpu, page_at(page), 4, value);
    SIM_ASSERT(there);
}

enum error_code ultrix_prepare_cycle(struct operations *base, struct error *error) {
    struct ultrix_system *system = system_of(base);
    if (system->measured->data_pages > 0) {
        return error_set(error, ERR_UNSUPPORTED, "kernel.operation: cycle or collect comes first, and not both");
    }
    return ultrix_paging_begin(system->paging, system->measured, system->plan.pages, error);
}

/* The next page, and what the backing store has in it. */
void ultrix_run_cycle(struct operations *base) {
    struct ultrix_system *system = system_of(base);
    const uint64_t page = system->scanned++ % system->plan.pages;
    const uint32_t number = load(system, page);
    SIM_ASSERT(number == page);
}

enum error_code ultrix_prepare_collect(struct operations *base, struct error *error) {
    struct ultrix_system *system = system_of(base);
    if (system->plan.pages < (uint64_t)2 * COLLECTOR_LIVE_EVERY) {
        return error_set(error, ERR_RANGE, "kernel.pages: a heap has at least %d pages", 2 * COLLECTOR_LIVE_EVERY);
    }
    collector_init(&system->collector, system->plan.pages);
    return ultrix_prepare_cycle(base, error);
}

void ultrix_run_collect(struct operations *base) {
    struct ultrix_system *system = system_of(base);
    const struct collector_memory memory = {.load = load, .store = store, .context = system};
    collector_cycle(&system->collector, &memory);
}
