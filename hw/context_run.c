/* context_run.c: how what a context has charged meets simulated time.
 *
 * There is one wake-up for all of a context's segments, whose instant is known as
 * long as nobody takes the core away; what happened in between is booked
 * afterwards, at the edges at which it happened. Taking the core away cancels the
 * wake-up, books what was done, splits the segment that was under way, and lets its
 * request wait. */
#include "hw/core_internal.h"

/* A segment begins (or goes on after it was taken off the core). */
static void begin_segment(struct context *context, const struct segment *segment, sim_time when) {
    struct request *request = segment->request;
    if (segment->marker) {
        ledger_hand_over_at(request, request->owner, segment->component, (enum ledger_kind)segment->kind, when);
        context->active = NULL;
        return;
    }
    if (segment->cycles > 0) {
        core_use(context->core, segment->component, when);
    }
    context->active = request;
    if (request == NULL) {
        return;
    }
    if (request->owner != segment->component) {
        ledger_hand_over_at(request, request->owner, segment->component, LEDGER_SERVICE, when);
    } else if (request->kind == LEDGER_WAITING) {
        ledger_turn_at(request, LEDGER_SERVICE, when);
    }
}

void context_advance(struct context *context, uint64_t cycle, bool enter) {
    while (context->next < context->count) {
        const struct segment *segment = &context->segments[context->next];
        if (!context->begun) {
            if (segment->cycles > 0 && (context->begin > cycle || (context->begin == cycle && !enter))) {
                return;
            }
            begin_segment(context, segment, context_edge(context, context->begin));
            context->begun = true;
        }
        if (segment->cycles > cycle - context->begin) {
            return;
        }
        context->begin += segment->cycles;
        context->total -= segment->cycles;
        context->next++;
        context->begun = false;
    }
}

void context_run_segments(struct context *context) {
    const uint64_t end = context->begin + context->total;
    if (context->next < context->count) {
        context_advance(context, context->begin, true);
    } else {
        ledger_turn_at(context->active, LEDGER_SERVICE, context_edge(context, context->begin));
    }
    sim_task_wake_at(context->task, context_edge(context, end));
}

static void stop_segments(struct context *context, uint64_t cycle) {
    context_advance(context, cycle, false);
    if (context->next < context->count && context->begun) {
        const uint64_t done = cycle - context->begin;
        context->segments[context->next].cycles -= done;
        context->total -= done;
        context->begun = false;
    }
    context->begin = cycle;
    ledger_turn_at(context->active, LEDGER_WAITING, context_edge(context, cycle));
    (void)sim_task_wake_cancel(context->task);
}

void context_run_spin(struct context *context) {
    core_use(context->core, context->spin_component, context_edge(context, context->begin));
    if (context->spin_woken) {
        const uint64_t rest = context->spin_phase == 0 ? 0 : context->spin_cycles - context->spin_phase;
        context->spin_end = context->begin + rest;
        sim_task_wake_at(context->task, context_edge(context, context->spin_end));
    }
}

/* How much of an iteration was done at an edge since `begin`. */
uint64_t context_spin_phase(const struct context *context, uint64_t cycle) {
    return (cycle - context->begin + context->spin_phase) % context->spin_cycles;
}

static void stop_spin(struct context *context, uint64_t cycle) {
    context->spin_phase = context_spin_phase(context, cycle);
    context->begin = cycle;
    (void)sim_task_wake_cancel(context->task);
}

void context_resume(struct context *context, uint64_t cycle) {
    context->begin = cycle;
    switch (context->state) {
    case CONTEXT_NEW:
        sim_schedule_at(&context->start, context_edge(context, cycle));
        break;
    case CONTEXT_BLOCKED:
        sim_task_wake_at(context->task, context_edge(context, cycle));
        break;
    case CONTEXT_RUNNING:
        context_run_segments(context);
        break;
    case CONTEXT_SPINNING:
        context_run_spin(context);
        break;
    case CONTEXT_STARTING: /* these begin at edges: this is one */
    case CONTEXT_EXECUTING:
    case CONTEXT_ENDED:
        break;
    }
}

void context_preempt(struct context *context, uint64_t cycle) {
    switch (context->state) {
    case CONTEXT_NEW:
        (void)sim_cancel(&context->start);
        break;
    case CONTEXT_BLOCKED:
        (void)sim_task_wake_cancel(context->task);
        break;
    case CONTEXT_RUNNING:
        stop_segments(context, cycle);
        context->core->preemptions += context->total > 0 ? 1 : 0;
        break;
    case CONTEXT_SPINNING:
        stop_spin(context, cycle);
        context->core->preemptions++;
        break;
    case CONTEXT_STARTING:
    case CONTEXT_EXECUTING:
    case CONTEXT_ENDED:
        break;
    }
}
