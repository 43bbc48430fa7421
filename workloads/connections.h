/* connections.h: what a thread that runs a script knows of its TCP connections. */
#ifndef STILLSUIT_WORKLOADS_CONNECTIONS_H
#define STILLSUIT_WORKLOADS_CONNECTIONS_H

#include "kernel_model/common/system.h"

struct workload_thread;

/* A connection, with the memory that its messages are received into. */
struct workload_connection {
    struct system_socket *socket; /* NULL: closed */
    struct system_buffer buffer;  /* the present message, as far as it is there */
    bool complete;                /* it was whole, and served */
    struct workload_connection *next;
};

/* A listening socket of a script: its set holds it and all its connections. */
struct workload_listener {
    struct system_event_set *set;
    struct workload_connection *connections;
};

void connections_free(struct workload_thread *thread, size_t sockets);

#endif
