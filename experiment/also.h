/* also.h: further processes on the system of a point, beside the one that is measured:
 *
 *   also: {intruder: {script: path, parameters: {...}, client: {...}}, ...}
 *
 * Each entry is a workload: its script runs as a process of that name, on the cores
 * behind those before it, with clients of its own if it opens a socket. Their requests
 * are not measured: breakdown, latency and throughput are the first process's. If one
 * of them misbehaves, the first process is watched (watch.h). */
#ifndef STILLSUIT_EXPERIMENT_ALSO_H
#define STILLSUIT_EXPERIMENT_ALSO_H

#include "experiment/network.h"
#include "workloads/interpreter.h"

struct also;

/* Loads the scripts of `also:` (NULL: none); never NULL. What is wrong is reported.
 * The caller frees it, after the run. */
struct also *also_load(const struct config_node *node, struct diagnostics *diagnostics);
void also_free(struct also *also);
/* Of all their clients. */
unsigned also_hosts(const struct also *also);

/* Without a network: false, with reports, if one would need it. */
bool also_check_offline(const struct also *also, struct diagnostics *diagnostics);
/* Whether `storage.processes` of the system's entry names processes that there are. */
bool also_check_shares(const struct also *also, const struct config_node *system, struct diagnostics *diagnostics);

/* What they stand beside. */
struct also_first {
    const struct config_node *node; /* its workload */
    struct system *system;
    const struct script *script;
    const struct interpreter *interpreter;
    const struct client *client; /* NULL without a network */
};
/* Makes the processes and connects their clients (network NULL: there are none). False if anything was reported. */
bool also_build(struct also *also, const struct also_first *first, struct network *network,
                struct diagnostics *diagnostics);
/* Before the run: their clients will start when they are ready; `failed` is called at
 * the instant at which a thread of one ends with an error; and that error. */
void also_prepare(struct also *also, void (*failed)(void *context), void *context);
bool also_failed(const struct also *also, struct error *error);
/* The end of the warm-up. */
void also_reset_stats(struct also *also);
/* Their counters, under their names; their clients' under "<name>.client". */
void also_visit_stats(const struct also *also, const struct stats_sink *sink);

#endif
