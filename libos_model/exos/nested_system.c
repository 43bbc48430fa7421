/* nested_system.c: the operations on memory, once more on a processor that walks page
 * tables: the application edits its own, over the kernel's second level (nested.h). */
#include <stdlib.h>

#include "hw/mmu_regs.h"
#include "kernel_model/common/system.h"
#include "kernel_model/exo/nested.h"
#include "kernel_model/exo/scheduler.h"
#include "libos_model/exos/exos.h"

enum { PAGE = MEMORY_FRAME_BYTES, ENTRIES = PAGE / MMU_ENTRY_BYTES };
/* Addresses of the second level, and virtual ones. */
#define TABLES_AT UINT64_C(0x40000000)
#define FRAMES_AT UINT64_C(0x80000000)
#define PAGES_AT UINT64_C(0x10000000)
#define READABLE (MMU_PTE_PRESENT | MMU_PTE_USER)
#define WRITABLE (READABLE | MMU_PTE_WRITABLE)

struct nested_costs {
    struct cost loop, entry_edit, invalidate;
};
#define NESTED_COST(name, text)                                                                                        \
    { .key = #name, .type = PARAM_COST, .offset = offsetof(struct nested_costs, name), .help = text }
static const struct param cost_params[] = {
    NESTED_COST(loop, "one turn of the loop that repeats what is measured"),
    NESTED_COST(entry_edit, "finding a page's entry in a linear page table, beside the access"),
    NESTED_COST(invalidate, "INVLPG"),
    {0}};

struct nested_system {
    struct operations base;
    struct nested_costs costs;
    struct exo_costs exo_costs; /* none: what is measured makes no kernel call */
    struct exo_kernel *kernel;
    struct exo_environment *environment;
    struct exo_thread *thread;
    struct exo_nested *nested;
    struct exo_region tables, frames;
    uint64_t table_count; /* in use */
    struct operations_plan plan;
    struct operations_meter meter;
    struct request *request;
};

static struct nested_system *system_of(struct operations *base) {
    return (struct nested_system *)base;
}

static void step(struct cost *cost) {
    cost->uses++;
    cpu_charge(context_current(), cost->cycles);
}

/* ---- the application's page table ---- */

/* Before the root is set the application builds its tables where they lie. */
static uint64_t *table_word(struct nested_system *system, uint64_t at) {
    const uint64_t physical = system->tables.physical + (at - TABLES_AT);
    return (uint64_t *)(void *)memory_at(system->base.machine->memory, physical);
}

/* The second-level address of the leaf entry; makes the tables on the way. */
static uint64_t leaf_of(struct nested_system *system, uint64_t virtual_address) {
    uint64_t table = TABLES_AT;
    for (unsigned level = MMU_LEVELS; level > 1; level--) {
        const unsigned shift = MMU_PAGE_BITS + (level - 1) * MMU_INDEX_BITS;
        uint64_t *entry = table_word(system, table + 8 * (virtual_address >> shift & (ENTRIES - 1)));
        if (*entry == 0) {
            *entry = (TABLES_AT + PAGE * system->table_count++) | WRITABLE;
        }
        table = *entry & MMU_PTE_ADDRESS;
    }
    return table + 8 * (virtual_address >> MMU_PAGE_BITS & (ENTRIES - 1));
}

static enum error_code take(struct nested_system *system, struct exo_region *region, uint64_t at, uint64_t pages,
                            struct error *error) {
    const enum error_code code = exo_memory_allocate(system->environment, 0, pages * PAGE, region, error);
    region->virtual_address = at;
    return code == OK ? exo_memory_map(system->environment, region, true, error) : code;
}

/* Pages from PAGES_AT on, and the tables themselves at their own addresses. */
static enum error_code build_tables(struct nested_system *system, uint64_t pages, struct error *error) {
    const uint64_t tables = 8 + 2 * (pages / ENTRIES + 1);
    enum error_code code = take(system, &system->tables, TABLES_AT, tables, error);
    code = code == OK ? take(system, &system->frames, FRAMES_AT, pages, error) : code;
    system->table_count = 1;
    for (uint64_t i = 0; i < pages && code == OK; i++) {
        *table_word(system, leaf_of(system, PAGES_AT + i * PAGE)) = (FRAMES_AT + i * PAGE) | WRITABLE;
    }
    for (uint64_t i = 0; i < tables && code == OK; i++) {
        *table_word(system, leaf_of(system, TABLES_AT + i * PAGE)) = (TABLES_AT + i * PAGE) | WRITABLE;
    }
    SIM_ASSERT(code != OK || system->table_count <= tables);
    if (code == OK) {
        mmu_nested_set_root(&system->nested->translation, TABLES_AT);
    }
    return code;
}

/* ---- operations ---- */

static void run_walk(struct operations *base) {
    struct nested_system *system = system_of(base);
    uint64_t value = 0;
    for (uint64_t i = 0; i < system->plan.pages; i++) {
        const bool good = exo_nested_load(system->nested, PAGES_AT + i * PAGE, &value, NULL);
        SIM_ASSERT(good);
    }
}

static void edit(struct nested_system *system, uint64_t index, uint64_t rights) {
    const uint64_t at = PAGES_AT + index * PAGE;
    step(&system->costs.entry_edit);
    const bool good = exo_nested_store(system->nested, leaf_of(system, at), (FRAMES_AT + index * PAGE) | rights, NULL);
    SIM_ASSERT(good);
    step(&system->costs.invalidate);
    mmu_nested_invalidate(&system->nested->translation, at);
}

static void run_protect(struct operations *base) {
    struct nested_system *system = system_of(base);
    edit(system, 0, READABLE);
    edit(system, 0, WRITABLE);
}

static const struct operation operations[] = {
    {"walk", "a load from each of `pages` pages", NULL, run_walk},
    {"protect", "the right to write a page taken away, and given back", NULL, run_protect},
    {0}};

/* ---- the system ---- */

static void work_for(struct operations *base, struct request *request) {
    (void)base;
    cpu_work_for(context_current(), system_components.app, request);
}

static void loop_step(struct operations *base) {
    step(&system_of(base)->costs.loop);
}

static void measured_body(void *argument) {
    struct nested_system *system = argument;
    const struct operations_loop loop = {&system->base, system->thread->context, work_for, loop_step};
    work_for(&system->base, NULL);
    operations_repeat(&loop, &system->plan, &system->meter);
}

static struct operations *create(struct machine *machine, const struct config_node *node,
                                 struct diagnostics *diagnostics) {
    struct entry {
        const char *type;
        const struct config_node *profile;
    } entry = {0};
    static const struct param rows[] = {
        {.key = "type", .type = PARAM_TEXT, .offset = offsetof(struct entry, type), .default_text = "nested"},
        {.key = "profile", .type = PARAM_NODE, .offset = offsetof(struct entry, profile)},
        {0}};
    struct nested_system *system = calloc(1, sizeof *system);
    struct error error = {0};
    SIM_ASSERT(system != NULL);
    system->base = (struct operations){&nested_operations_ops, machine};
    bool good = config_bind(node, rows, &entry, diagnostics) &&
                config_bind(entry.profile, cost_params, &system->costs, diagnostics) && machine != NULL;
    if (good && machine->r3000 != NULL) {
        diagnostics_at(diagnostics, node, "nested needs a machine that walks page tables; its cores are 'r3000'");
        good = false;
    }
    if (good) {
        system->kernel = exo_kernel_create(machine, &system->exo_costs, EXO_IDLE_POLL, &error);
        if (system->kernel == NULL) {
            diagnostics_at(diagnostics, node, "%s", error.text);
        }
    }
    if (system->kernel == NULL) {
        free(system);
        return NULL;
    }
    return &system->base;
}

static void destroy(struct operations *base) {
    struct nested_system *system = system_of(base);
    if (system->nested != NULL) {
        exo_nested_free(system->nested);
    }
    exo_kernel_free(system->kernel);
    free(system);
}

static enum error_code begin(struct operations *base, const struct operations_plan *plan,
                             const struct operations_meter *meter, struct error *error) {
    struct nested_system *system = system_of(base);
    struct exo_limits limits = exo_limits_default();
    limits.frames = UINT32_MAX;
    system->plan = *plan;
    system->meter = *meter;
    system->environment = exo_environment_create(system->kernel, "measured", &limits, error);
    if (system->environment == NULL) {
        return error->code;
    }
    system->nested = exo_nested_create(system->environment);
    const enum error_code code = build_tables(system, plan->pages, error);
    if (code == OK) {
        system->thread = exo_thread_create(system->environment, 0, "measured", measured_body, system, error);
    }
    return code != OK || system->thread != NULL ? code : error->code;
}

static void declare_components(void) {
    system_declare_components();
    exo_declare_components();
}

static void visit_stats(const struct operations *base, const struct stats_sink *sink) {
    const struct nested_system *system = (const struct nested_system *)base;
    const struct mmu_nested *translation = &system->nested->translation;
    exo_visit_stats(system->kernel, sink);
    stats_counter(sink, "nested", "tlb_hits", translation->hits);
    stats_counter(sink, "nested", "walks", translation->walks);
    stats_counter(sink, "nested", "references", translation->references);
}

static void reset_stats(struct operations *base) {
    struct mmu_nested *translation = &system_of(base)->nested->translation;
    translation->hits = translation->walks = translation->references = 0;
}

static void visit_costs(const struct operations *base,
                        void (*visit)(void *context, const char *key, const struct cost *cost), void *context) {
    const struct nested_system *system = (const struct nested_system *)base;
    param_visit_costs(cost_params, &system->costs, NULL, visit, context);
}

static const struct param no_params[] = {{0}};

const struct operations_ops nested_operations_ops = {
    .type_name = "nested",
    .help = "an application's own page tables under nested paging (x86-64)",
    .profile_params = cost_params,
    .params = no_params,
    .operations = operations,
    .declare_components = declare_components,
    .create = create,
    .destroy = destroy,
    .begin = begin,
    .visit_stats = visit_stats,
    .reset_stats = reset_stats,
    .visit_costs = visit_costs,
};
