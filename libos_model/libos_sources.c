/* libos_sources.c: what a thread's event loop waits for: its receive ring and whatever
 * else it polls. */
#include "libos_model/libos_net.h"

void libos_source_add(struct libos_thread *thread, struct libos_source *source) {
    struct libos_source **end = &thread->sources;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    source->next = NULL;
    *end = source;
}

static bool any_ready(const struct libos_thread *thread) {
    const struct libos_source *at = thread->sources;
    while (at != NULL && !at->ready(at)) {
        at = at->next;
    }
    return at != NULL;
}

static bool any_busy(const struct libos_thread *thread) {
    const struct libos_source *at = thread->sources;
    while (at != NULL && !at->busy(at)) {
        at = at->next;
    }
    return at != NULL;
}

bool libos_sources_take(struct libos_thread *thread) {
    bool taken = false;
    for (struct libos_source *at = thread->sources; at != NULL; at = at->next) {
        if (at->ready(at)) {
            at->take(at);
            taken = true;
        }
    }
    return taken;
}

static void line_written(void *context) {
    cpu_spin_wake(context);
}

bool libos_is_something_there(const struct libos_thread *thread) {
    return vf_rx_ready(&thread->driver) || libos_tcp_timer_is_due(thread) || any_ready(thread);
}

/* Polls until something is ready. Between two polls nothing needs simulating: the
 * lines are in L1 until a device writes them, which the watches tell. */
static void spin(struct libos_thread *thread) {
    struct memory *memory = thread->driver.memory;
    const uint64_t cycles = libos_system_of(thread)->profile.steps[LIBOS_poll].cycles;
    while (!libos_is_something_there(thread)) {
        memory_watch_set(memory, &thread->watch, vf_rx_line(&thread->driver), line_written, thread->context);
        for (struct libos_source *at = thread->sources; at != NULL; at = at->next) {
            memory_watch_set(memory, &at->watch, at->line(at), line_written, thread->context);
        }
        cpu_spin(thread->context, cycles, vf_components.poll);
        memory_watch_clear(memory, &thread->watch);
        for (struct libos_source *at = thread->sources; at != NULL; at = at->next) {
            memory_watch_clear(memory, &at->watch);
        }
    }
}

/* Sleeps until the doorbell rings. The interrupt is armed first and the ring looked
 * at again, so that no packet can fall between the two. */
static void sleep_for_packet(struct libos_thread *thread) {
    struct error error = {OK, ""};
    vf_interrupt_arm(&thread->driver, thread->context);
    if (libos_is_something_there(thread)) {
        return;
    }
    thread->counters.sleeps++;
    thread->asleep = true;
    const enum error_code code = exo_end_point_wait(thread->thread, &thread->end_point, &error);
    thread->asleep = false;
    SIM_ASSERT_MSG(code == OK, "%s", error.text);
}

void libos_idle(struct libos_thread *thread, enum system_wait how) {
    if (how == SYSTEM_WAIT_SPIN || any_busy(thread)) {
        spin(thread);
    } else if (!libos_is_something_there(thread)) {
        sleep_for_packet(thread);
    }
}
