/* core_stats.c: a core's components, account and counters. */
#include "hw/core_internal.h"

/* Software hands to hardware by ringing or by programming a device, and to other
 * software by what it leaves in memory. */
void core_declare_components(void) {
    static const struct ledger_declaration declarations[] = {
        {"cpu", NULL, "Software", "cpu doorbell nic nvme medium timer dma_engine pcie ready client wire backing_store"},
        {"ready", NULL, "Ready in memory", "cpu"},
        {0},
    };
    ledger_component indices[2];
    ledger_declare_all(declarations, indices);
}

/* The account as it stands now. It is a copy, since what the running context has
 * done so far is not booked yet. */
static struct usage usage_now(const struct core *core) {
    struct usage usage = core->usage;
    const struct context *context = core->current;
    const uint64_t now = sim_clock_cycle_floor(&core->clock, sim_now());
    if (context == NULL || context->state != CONTEXT_RUNNING) {
        return usage;
    }
    uint64_t at = context->begin;
    for (uint32_t i = context->next; i < context->count && at <= now; i++) {
        const struct segment *segment = &context->segments[i];
        const bool booked = i == context->next && context->begun;
        if (!booked && segment->cycles > 0) {
            usage_switch(&usage, segment->component, sim_clock_edge(&core->clock, at));
        }
        at += segment->cycles;
    }
    return usage;
}

void core_visit_stats(const struct core *core, const struct stats_sink *sink) {
    const struct usage usage = usage_now(core);
    stats_usage(sink, core->name, &usage);
    stats_counter(sink, core->name, "interrupts", core->interrupts);
    stats_counter(sink, core->name, "interrupts_coalesced", core->coalesced);
    stats_counter(sink, core->name, "preemptions", core->preemptions);
    stats_counter(sink, core->name, "idle_entries", core->idle_entries);
    stats_counter(sink, core->name, "spins", core->spins);
    stats_counter(sink, core->name, "page_faults", core->page_faults);
}

void core_reset_usage(struct core *core) {
    struct context *context = core->current;
    const uint64_t now = sim_clock_cycle_floor(&core->clock, sim_now());
    if (context != NULL && context->state == CONTEXT_RUNNING && context->begin <= now) {
        context_advance(context, now, true);
    }
    usage_reset(&core->usage, sim_now());
    core->interrupts = 0;
    core->coalesced = 0;
    core->preemptions = 0;
    core->idle_entries = 0;
    core->spins = 0;
    core->page_faults = 0;
}
