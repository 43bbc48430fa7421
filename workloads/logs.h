/* logs.h: what a thread that runs a script knows of its persistent logs. */
#ifndef STILLSUIT_WORKLOADS_LOGS_H
#define STILLSUIT_WORKLOADS_LOGS_H

#include "kernel_model/common/system.h"
#include "workloads/spans.h"

struct workload_thread;
struct workload_connection;
struct append_config;

/* A message whose append is under way: put aside until that is durable. */
struct workload_append {
    struct workload_append *next; /* of those that are free */
    struct system_append append;
    struct workload_thread *thread;
    const struct append_config *config;
    struct system_buffer buffer; /* the message; when free: memory for another */
    struct workload_connection *connection;
    struct spans_message spans;
    sim_time begun;
};

struct workload_log {
    struct system_log *handle;
    uint64_t kept; /* entries that are durable and not given up */
    struct workload_append *free;
    uint64_t under_way;
};

void logs_free(struct workload_thread *thread, size_t logs);

#endif
