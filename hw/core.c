/* core.c: levels and dispatching, interrupts, idle states. What a context does with
 * the core is in context.c. */
#include "hw/core.h"

#include <stdio.h>
#include <stdlib.h>

#include "hw/core_internal.h"

static void on_awake(void *context);

struct core *core_create(struct machine *machine, unsigned index, const struct core_config *config) {
    struct core *core = calloc(1, sizeof *core);
    SIM_ASSERT_MSG(core != NULL, "out of memory");
    core->machine = machine;
    core->index = index;
    core->config = *config;
    core->clock = machine->clock;
    core->idle_state = -1;
    (void)snprintf(core->name, sizeof core->name, "core%u", index);
    sim_event_init(&core->awake, SIM_PRIORITY_HARDWARE, on_awake, core);
    usage_init(&core->usage, sim_now());
    return core;
}

void core_free(struct core *core) {
    if (core == NULL) {
        return;
    }
    (void)sim_cancel(&core->awake);
    while (core->ipis_made != NULL) {
        struct core_ipi *ipi = core->ipis_made;
        core->ipis_made = ipi->next_made;
        (void)sim_cancel(&ipi->event);
        free(ipi);
    }
    while (core->contexts != NULL) {
        struct context *context = core->contexts;
        core->contexts = context->next_of_core;
        context_free(context);
    }
    free(core);
}

unsigned core_index(const struct core *core) {
    return core->index;
}
const struct sim_clock *core_clock(const struct core *core) {
    return &core->clock;
}
const struct core_config *core_configuration(const struct core *core) {
    return &core->config;
}

void core_use(struct core *core, ledger_component component, sim_time when) {
    if (core->usage.component != component) {
        usage_switch(&core->usage, component, when);
    }
}

/* The edge at which something that happens now takes effect. */
static uint64_t next_edge(const struct core *core) {
    return sim_clock_cycle_ceil(&core->clock, sim_now());
}

/* ---- levels ---- */

/* From now on the core is on its way out of the idle state. */
static void begin_waking(struct core *core) {
    const sim_time exit_latency = core->config.idle[core->idle_state].exit_latency;
    core_use(core, core->exit_component, sim_clock_edge(&core->clock, next_edge(core)));
    core->power = CORE_WAKING;
    core->idle_state = -1;
    sim_schedule_at(&core->awake, sim_clock_after(&core->clock, sim_now() + exit_latency, 0));
}

/* Gives the core to the highest level that has a context. */
static void reschedule(struct core *core) {
    struct context *top = NULL;
    for (int level = CORE_LEVELS - 1; level >= 0 && top == NULL; level--) {
        top = core->levels[level];
    }
    if (core->power != CORE_AWAKE) {
        if (core->power == CORE_ASLEEP && top != NULL) {
            begin_waking(core);
        }
        return;
    }
    struct context *displaced = core->current;
    if (top == displaced) {
        return;
    }
    const uint64_t cycle = next_edge(core);
    core->current = top;
    if (displaced != NULL) {
        context_preempt(displaced, cycle);
    }
    if (top != NULL) {
        context_resume(top, cycle);
    } else {
        core_use(core, 0, sim_clock_edge(&core->clock, cycle));
    }
}

/* ---- interrupts ---- */

/* Hands pending vectors to the OS, as long as it does not dispatch for one. A
 * handler may come back in here by what it dispatches: the loop outside goes on. */
static void deliver(struct core *core) {
    if (core->delivering) {
        return;
    }
    core->delivering = true;
    while (core->pending_count > 0 && core->levels[CORE_INTERRUPT] == NULL) {
        const struct core_pending first = core->pending[core->pending_head];
        core->pending_head = (core->pending_head + 1) % CORE_VECTORS;
        core->pending_count--;
        core->interrupts++;
        SIM_ASSERT_MSG(core->handler != NULL, "%s: an interrupt, and no handler", core->name);
        core->handler(core->os, core, first.vector, first.raised, sim_clock_edge(&core->clock, next_edge(core)));
    }
    core->delivering = false;
}

void core_set_interrupt_handler(struct core *core, core_interrupt_handler *handler, void *os) {
    core->handler = handler;
    core->os = os;
}

/* One bit a vector, as in the local APIC's request register: what is raised again
 * before it is delivered is one interrupt. */
static bool is_pending(const struct core *core, uint32_t vector) {
    for (uint32_t i = 0; i < core->pending_count; i++) {
        if (core->pending[(core->pending_head + i) % CORE_VECTORS].vector == vector) {
            return true;
        }
    }
    return false;
}

void core_interrupt(struct core *core, uint32_t vector) {
    SIM_ASSERT_MSG(vector < CORE_VECTORS, "%s: vector %u", core->name, vector);
    if (is_pending(core, vector)) {
        core->coalesced++;
        return;
    }
    core->pending[(core->pending_head + core->pending_count) % CORE_VECTORS] = (struct core_pending){vector, sim_now()};
    core->pending_count++;
    if (core->power == CORE_AWAKE) {
        deliver(core);
    } else if (core->power == CORE_ASLEEP) {
        begin_waking(core);
    }
}

static void on_ipi(void *context) {
    struct core_ipi *ipi = context;
    struct core *core = ipi->core;
    ipi->next_free = core->ipis_free;
    core->ipis_free = ipi;
    core_interrupt(core, ipi->vector);
}

void core_send_ipi(struct core *to, uint32_t vector) {
    struct core_ipi *ipi = to->ipis_free;
    if (ipi != NULL) {
        to->ipis_free = ipi->next_free;
    } else {
        ipi = calloc(1, sizeof *ipi);
        SIM_ASSERT_MSG(ipi != NULL, "out of memory");
        ipi->core = to;
        ipi->next_made = to->ipis_made;
        to->ipis_made = ipi;
        sim_event_init(&ipi->event, SIM_PRIORITY_HARDWARE, on_ipi, ipi);
    }
    ipi->vector = vector;
    sim_schedule(&ipi->event, to->config.inter_processor_latency);
}

/* ---- dispatching ---- */

void core_dispatch(struct core *core, enum core_level level, struct context *context) {
    SIM_ASSERT_MSG(context == NULL ||
                       (context->core == core && context->level == level && context->state != CONTEXT_ENDED),
                   "%s: %s cannot be dispatched here", core->name, context == NULL ? "" : context->name);
    core->levels[level] = context;
    if (level == CORE_INTERRUPT && context == NULL && core->power == CORE_AWAKE) {
        deliver(core);
    }
    reschedule(core);
    if (context != NULL) {
        core->idle_state = -1; /* chosen while waking, and void now */
    }
}

struct context *core_dispatched(const struct core *core, enum core_level level) {
    return core->levels[level];
}

bool core_is_idle(const struct core *core) {
    return core->levels[CORE_THREAD] == NULL && core->levels[CORE_SOFTIRQ] == NULL &&
           core->levels[CORE_INTERRUPT] == NULL;
}

/* ---- idle states ---- */

/* Enters the state that the OS chose, unless something came in between. */
static void fall_asleep(struct core *core) {
    if (core->idle_state < 0 || core->power != CORE_AWAKE || !core_is_idle(core) || core->pending_count > 0) {
        return;
    }
    core->power = CORE_ASLEEP;
    core->idle_entries++;
    if (core->config.idle[core->idle_state].flushes_caches && core->machine->cache != NULL) {
        cache_flush_core(core->machine->cache, core->index);
    }
}

void core_enter_idle(struct core *core, int state, ledger_component exit_component) {
    SIM_ASSERT_MSG(core_is_idle(core), "%s: idle with something to run", core->name);
    SIM_ASSERT_MSG(state < CORE_IDLE_STATES && (state < 0 || core->config.idle[state].name != NULL),
                   "%s: idle state %d does not exist", core->name, state);
    SIM_ASSERT_MSG(core->power != CORE_ASLEEP, "%s: it is asleep already", core->name);
    core->idle_state = state;
    core->exit_component = exit_component;
    fall_asleep(core);
}

/* The exit latency is over. If what woke the core is gone by now, the core goes on
 * to the state that the OS has chosen meanwhile. */
static void on_awake(void *context) {
    struct core *core = context;
    core->power = CORE_AWAKE;
    core_use(core, 0, sim_now());
    deliver(core);
    reschedule(core);
    fall_asleep(core);
}
