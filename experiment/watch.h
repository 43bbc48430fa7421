/* watch.h: whether anybody got at a process: a secret in its memory, and what leaves
 * the machine in its name. It looks at the simulated bytes, and asks no model. */
#ifndef STILLSUIT_EXPERIMENT_WATCH_H
#define STILLSUIT_EXPERIMENT_WATCH_H

#include "workloads/client.h"
#include "workloads/interpreter.h"

struct watch;

/* Before the run: has `process` allocate memory as its application would, fills it
 * with a secret, and names it in struct system_process. `clients` (its own; they must
 * outlive the watch) are the only ones that may hear from its `ports` ports from
 * `port` on. NULL with `error` if the system refuses. The caller frees it. */
struct watch *watch_create(const struct interpreter *process, uint16_t port, unsigned ports,
                           const struct client *clients, struct error *error);
void watch_free(struct watch *watch);

/* A frame that another's client got, for client_on_frame; `context` is the watch. */
void watch_frame(void *context, const uint8_t *bytes, uint32_t length_bytes);

/* Since the start of the run, as instance "isolation": bytes of the secret that are no
 * longer what they were, and that were seen outside; frames in the process's name;
 * `granted`, what kernels gave and must not; and "breaches", the sum: 0 if nobody got
 * at anything. */
void watch_visit_stats(const struct watch *watch, uint64_t granted, const struct stats_sink *sink);

#endif
