/* interpreter.h: runs a compiled script on a system, whichever it is.
 *
 * The script becomes one process with `threads` threads. Each runs the setup, then
 * the loop until the run ends; a thread that cannot go on ends with an error. */
#ifndef STILLSUIT_WORKLOADS_INTERPRETER_H
#define STILLSUIT_WORKLOADS_INTERPRETER_H

#include "kernel_model/common/system.h"
#include "workloads/op.h"
#include "workloads/script.h"

struct interpreter;

/* Makes the process `name` and its threads; thread n is pinned to core
 * first_core + n. NULL with `error` if the system refuses. Script, system and name
 * must outlive it. The caller frees it, after the run. */
struct interpreter *interpreter_create(const struct script *script, struct system *system, const char *name,
                                       unsigned first_core, struct error *error);
void interpreter_free(struct interpreter *interpreter);

/* Calls once, when every thread has finished its setup: clients may begin. */
void interpreter_on_ready(struct interpreter *interpreter, void (*ready)(void *context), void *context);
bool interpreter_is_ready(const struct interpreter *interpreter);

/* Makes every round of the loop a request of `ledger`: it begins in "app" where the
 * round does, and ends there with it. `completed` is called as each ends. */
void interpreter_loops_are_requests(struct interpreter *interpreter, struct ledger *ledger,
                                    void (*completed)(void *context), void *context);
/* Calls when a thread ends with an error, at that instant (to stop the run). */
void interpreter_on_failure(struct interpreter *interpreter, void (*failed)(void *context), void *context);
/* Whether a thread ended with an error, and the first such error. */
bool interpreter_failed(const struct interpreter *interpreter, struct error *error);

/* A thread's handle in the system; with it, its process. */
struct system_thread *interpreter_thread(const struct interpreter *interpreter, unsigned index);

/* A counter since the last reset, summed over the threads. */
uint64_t interpreter_count(const struct interpreter *interpreter, enum workload_counter counter);
/* What its threads measured, merged; the caller frees it (spans_free). */
void interpreter_spans(const struct interpreter *interpreter, struct spans *out);
/* Counters under the process's name, summed over its threads; and anew from 0. */
void interpreter_visit_stats(const struct interpreter *interpreter, const struct stats_sink *sink);
void interpreter_reset_stats(struct interpreter *interpreter);

#endif
