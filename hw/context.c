/* context.c: contexts: what they charge, how their tasks block, and their life.
 * Charging only appends to a list of segments; context_run.c executes it. */
#include <stdio.h>
#include <stdlib.h>

#include "hw/core_internal.h"

/* The context whose task's code ran last. */
static struct context *executing;

struct context *context_current(void) {
    return executing != NULL && executing->task == sim_task_current() ? executing : NULL;
}

static bool has_core(const struct context *context) {
    return context->core->current == context;
}

/* ---- the list of segments ---- */

static void push(struct context *context, struct segment segment) {
    if (context->count == context->capacity) {
        context->capacity = context->capacity == 0 ? 16 : 2 * context->capacity;
        context->segments = realloc(context->segments, context->capacity * sizeof *context->segments);
        SIM_ASSERT_MSG(context->segments != NULL, "out of memory");
    }
    context->segments[context->count++] = segment;
}

static __attribute__((noinline)) void push_work(struct context *context) {
    SIM_ASSERT_MSG(context->component != 0, "%s: work of no component", context->name);
    push(context, (struct segment){.component = context->component, .request = context->request});
}

static void forget_segments(struct context *context) {
    context->count = 0;
    context->next = 0;
    context->begun = false;
    context->total = 0;
    context->active = NULL;
}

/* While its segments are being executed nobody may add to them. */
static void assert_chargeable(const struct context *context) {
    SIM_ASSERT_MSG(context->state != CONTEXT_RUNNING && context->state != CONTEXT_SPINNING, "%s: charged while it runs",
                   context->name);
}

void cpu_work_for(struct context *context, ledger_component component, struct request *request) {
    assert_chargeable(context);
    if (context->count > 0 && context->component == component && context->request == request &&
        !context->segments[context->count - 1].marker) {
        return;
    }
    context->component = component;
    context->request = request;
    push_work(context);
}

static __attribute__((noinline)) void charge_new_work(struct context *context, uint64_t cycles) {
    push_work(context);
    context->segments[context->count - 1].cycles += cycles;
}

void cpu_charge(struct context *context, uint64_t cycles) {
    assert_chargeable(context);
    context->total += cycles;
    if (context->count == 0 || context->segments[context->count - 1].marker) {
        charge_new_work(context, cycles);
        return;
    }
    context->segments[context->count - 1].cycles += cycles;
}

/* What a component waits for its caches is told apart from its code: a component of
 * its own below it, declared when it is first needed. */
static ledger_component stall_component(ledger_component component) {
    static ledger_component known[LEDGER_COMPONENTS_MAX];
    static char names[LEDGER_COMPONENTS_MAX][48], labels[LEDGER_COMPONENTS_MAX][64];
    if (known[component] == 0) {
        (void)snprintf(names[component], sizeof names[0], "%s_cache", ledger_component_name(component));
        (void)snprintf(labels[component], sizeof labels[0], "%s: cache misses", ledger_component_label(component));
        known[component] = ledger_declare(&(struct ledger_declaration){
            .name = names[component], .parent = ledger_component_name(component), .label = labels[component]});
    }
    return known[component];
}

/* The stalls of a piece of work stand before its code, as one segment: so the code's
 * component owns the request when the work is done. */
void context_charge_stall(struct context *context, uint64_t cycles) {
    assert_chargeable(context);
    if (cycles == 0) {
        return;
    }
    if (context->count == 0 || context->segments[context->count - 1].marker) {
        push_work(context);
    }
    const struct segment code = context->segments[context->count - 1];
    if (context->count < 2 || context->segments[context->count - 2].stall_of != code.component ||
        context->segments[context->count - 2].request != code.request) {
        context->segments[context->count - 1] = (struct segment){
            .component = stall_component(code.component), .request = code.request, .stall_of = code.component};
        push(context, code);
    }
    context->segments[context->count - 2].cycles += cycles;
    context->total += cycles;
}

void cpu_charge_time(struct context *context, sim_time duration) {
    cpu_charge(context, sim_clock_cycles(&context->core->clock, duration));
}

void cpu_pass_on(struct context *context, ledger_component component, enum ledger_kind kind) {
    assert_chargeable(context);
    if (context->request == NULL) {
        return;
    }
    push(context,
         (struct segment){.component = component, .request = context->request, .kind = (uint8_t)kind, .marker = true});
    context->request = NULL;
}

/* ---- blocking ---- */

static void block(struct context *context, enum context_state state) {
    context->state = state;
    sim_task_block();
    executing = context;
    context->state = CONTEXT_EXECUTING;
}

static void assert_executing(const struct context *context) {
    SIM_ASSERT_MSG(context->state == CONTEXT_EXECUTING && context_current() == context,
                   "%s: only its own task may let it run", context->name);
}

/* Returns at once if the core is the context's. */
static void await_core(struct context *context) {
    if (!has_core(context)) {
        block(context, CONTEXT_BLOCKED);
    }
}

/* It has given the core away with work still charged: what it held waits. */
static void suspend_request(const struct context *context) {
    struct request *request = context->segments[0].request;
    if (request != NULL && request->kind == LEDGER_SERVICE) {
        ledger_turn_at(request, LEDGER_WAITING, sim_now());
    }
}

void cpu_run(struct context *context) {
    assert_executing(context);
    if (context->count == 0) {
        await_core(context);
        return;
    }
    if (!has_core(context)) {
        suspend_request(context);
        block(context, CONTEXT_RUNNING);
    } else if (context->total > 0) {
        context_run_segments(context);
        block(context, CONTEXT_RUNNING);
    }
    context_advance(context, context->begin + context->total, false);
    forget_segments(context);
}

void cpu_block(struct context *context) {
    assert_executing(context);
    if (context->count > 0) {
        cpu_run(context);
    }
    if (context->core->levels[context->level] == context) {
        core_dispatch(context->core, context->level, NULL);
    }
    await_core(context);
}

void cpu_spin(struct context *context, uint64_t cycles, ledger_component component) {
    assert_executing(context);
    SIM_ASSERT_MSG(cycles > 0 && component != 0, "%s: a spin takes cycles, of a component", context->name);
    context->core->spins++;
    context->spinning = true;
    context->spin_woken = false;
    cpu_run(context);
    if (!context->spin_woken) {
        context->spin_cycles = cycles;
        context->spin_component = component;
        context->spin_phase = 0;
        context_run_spin(context);
        block(context, CONTEXT_SPINNING);
        context->begin = context->spin_end;
    }
    context->spinning = false;
}

void cpu_spin_wake(struct context *context) {
    if (!context->spinning || context->spin_woken) {
        return;
    }
    context->spin_woken = true;
    if (context->state != CONTEXT_SPINNING || !has_core(context)) {
        return; /* it will see that when it has the core */
    }
    const uint64_t now = sim_clock_cycle_ceil(&context->core->clock, sim_now());
    const uint64_t phase = context_spin_phase(context, now);
    context->spin_end = now + (phase == 0 ? 0 : context->spin_cycles - phase);
    sim_task_wake_at(context->task, context_edge(context, context->spin_end));
}

bool cpu_is_spinning(const struct context *context) {
    return context->spinning;
}

void cpu_forget_request(struct context *context, const struct request *request) {
    for (size_t i = context->next; i < context->count; i++) {
        struct segment *segment = &context->segments[i];
        if (segment->request == request) {
            SIM_ASSERT_MSG(!segment->marker, "%s: is to hand over a request that has ended", context->name);
            segment->request = NULL;
        }
    }
    context->active = context->active == request ? NULL : context->active;
    context->request = context->request == request ? NULL : context->request;
}

/* ---- life ---- */

static void finish(struct context *context) {
    if (context->count > 0) {
        cpu_run(context);
    }
    context->state = CONTEXT_ENDED;
    executing = NULL;
    if (context->core->levels[context->level] == context) {
        core_dispatch(context->core, context->level, NULL);
    }
}

static void context_main(void *argument) {
    struct context *context = argument;
    executing = context;
    context->state = CONTEXT_EXECUTING;
    await_core(context); /* it may have lost the core at the very instant */
    context->body(context->argument);
    finish(context);
}

static void on_start(void *argument) {
    struct context *context = argument;
    context->state = CONTEXT_STARTING;
    context->task = sim_task_create(context->name, 0, context_main, context);
}

struct context *context_create(struct core *core, enum core_level level, const char *name, struct address_space *space,
                               void (*body)(void *argument), void *argument) {
    struct context *context = calloc(1, sizeof *context);
    SIM_ASSERT_MSG(context != NULL, "out of memory");
    context->core = core;
    context->level = level;
    context->space = space;
    context->body = body;
    context->argument = argument;
    context->component = ledger_find("cpu");
    context->next_of_core = core->contexts;
    core->contexts = context;
    (void)snprintf(context->name, sizeof context->name, "%s", name);
    sim_event_init(&context->start, SIM_PRIORITY_SOFTWARE, on_start, context);
    return context;
}

struct core *context_core(const struct context *context) {
    return context->core;
}
struct address_space *context_space(const struct context *context) {
    return context->space;
}

void context_migrate(struct context *context, struct core *core) {
    SIM_ASSERT_MSG(context->core->levels[context->level] != context, "%s: it is dispatched", context->name);
    struct context **link = &context->core->contexts;
    while (*link != context) {
        link = &(*link)->next_of_core;
    }
    *link = context->next_of_core;
    context->next_of_core = core->contexts;
    core->contexts = context;
    context->core = core;
}

/* Its struct stays with the core, so that who still points at it sees an ended one. */
void context_kill(struct context *context) {
    SIM_ASSERT_MSG(context_current() != context, "%s: a context ends itself by returning", context->name);
    if (context->core->levels[context->level] == context) {
        core_dispatch(context->core, context->level, NULL);
    }
    (void)sim_cancel(&context->start);
    if (context->task != NULL && context->state != CONTEXT_ENDED) {
        sim_task_kill(context->task);
    }
    context->state = CONTEXT_ENDED;
    forget_segments(context);
}

void context_free(struct context *context) {
    (void)sim_cancel(&context->start);
    if (context->task != NULL && context->state != CONTEXT_ENDED) {
        sim_task_kill(context->task);
    }
    if (executing == context) {
        executing = NULL;
    }
    free(context->segments);
    free(context);
}
