/* engine.h: simulated time, ordered callbacks and blocking tasks.
 *
 * SystemC advances time and runs the coroutines; the order of what happens is
 * ours. Events due at one instant run by (priority, then the order in which they
 * were scheduled), never by address and never by SystemC's own rule. One
 * simulation a process, as SystemC has it.
 *
 * Two ways to write behaviour: callbacks (cheap; hardware) and tasks (straight
 * code that blocks; software). */
#ifndef STILLSUIT_SIM_ENGINE_H
#define STILLSUIT_SIM_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/time.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef void sim_callback(void *context);

/* Order among events of one instant; lower runs first. */
enum sim_priority {
    SIM_PRIORITY_HARDWARE = 64,  /* devices, links */
    SIM_PRIORITY_SOFTWARE = 128, /* cores and the tasks on them */
    SIM_PRIORITY_OBSERVER = 192  /* probes, end of run */
};

enum { SIM_EVENT_IDLE = UINT32_MAX };

/* Owned by the caller; must outlive its schedule. */
struct sim_event {
    sim_time due;
    uint64_t order;      /* within an instant: priority, then order of scheduling */
    uint32_t heap_index; /* SIM_EVENT_IDLE when not scheduled */
    uint8_t priority;
    void *context;
    sim_callback *callback;
    struct sim_event *later; /* the next of those due at about the same time */
};

/* Prepares an event; it is idle afterwards. */
void sim_event_init(struct sim_event *event, enum sim_priority priority, sim_callback *callback, void *context);

/* The present instant. */
sim_time sim_now(void);

/* Schedules an idle event `delay` from now, or at an instant that is not past. */
void sim_schedule(struct sim_event *event, sim_time delay);
void sim_schedule_at(struct sim_event *event, sim_time due);

/* Takes an event out of the queue. Returns false if it was idle. */
bool sim_cancel(struct sim_event *event);

static inline bool sim_event_pending(const struct sim_event *event) {
    return event->heap_index != SIM_EVENT_IDLE;
}

/* Runs until sim_stop, until nothing is left to do, or up to and including
 * `until`, whichever comes first; callable again to go on. */
void sim_run(sim_time until);

/* Ends sim_run after the event that is running. */
void sim_stop(void);

/* Events run so far (a task's wake-up counts as one). */
uint64_t sim_events_run(void);

/* Calls `observer` at every boundary between two events (a power cut, say, may come at
 * each); it looks, and schedules nothing. NULL: nobody looks. */
void sim_observe(sim_callback *observer, void *context);

/* ---- Tasks: a coroutine each (SC_THREAD). ---- */
struct sim_task;

enum { SIM_TASK_STACK_BYTES = 256 * 1024 };

/* Starts `body(argument)` at the present instant (behind what is due already). The
 * engine owns the task and its name's copy; stack_bytes 0 stands for
 * SIM_TASK_STACK_BYTES. A task ends by returning, or is dropped with the engine. */
struct sim_task *sim_task_create(const char *name, size_t stack_bytes, void (*body)(void *argument), void *argument);

/* The running task, or NULL within a callback. */
struct sim_task *sim_task_current(void);
const char *sim_task_name(const struct sim_task *task);

/* Blocks the running task until sim_task_wake. A wake that came before is not
 * remembered: the caller checks its condition in a loop or knows better. */
void sim_task_block(void);

/* Blocks the running task for a time, or until an instant. */
void sim_task_delay(sim_time delay);
void sim_task_wait_until(sim_time due);

/* Lets a blocked task go on, at `due` (not past) or now; in the order of events.
 * The task must be blocked, with no wake-up pending. */
void sim_task_wake(struct sim_task *task);
void sim_task_wake_at(struct sim_task *task, sim_time due);
/* Takes back a wake-up that has not happened; false if none was pending. The task
 * stays blocked. */
bool sim_task_wake_cancel(struct sim_task *task);
bool sim_task_is_blocked(const struct sim_task *task);

/* Ends a blocked task for good: it never runs again. What it held on its stack is
 * its owner's to release. */
void sim_task_kill(struct sim_task *task);

/* SystemC's own clock normally lags and catches up at the end of a run, as a
 * temporally decoupled initiator's does (IEEE 1666, 10.2). In lockstep it stands at
 * sim_now() whenever an event runs: for foreign SystemC and TLM-2.0 modules, and
 * for VCD. Before the first sim_run. */
void sim_set_lockstep(bool on);

#ifdef __cplusplus
}
#endif

#endif
