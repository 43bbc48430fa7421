/* fake_system.h: a system that writes down what it is asked to do. Its calls take no
 * time but for waiting and computing. */
#ifndef STILLSUIT_TESTS_WORKLOADS_FAKE_SYSTEM_H
#define STILLSUIT_TESTS_WORKLOADS_FAKE_SYSTEM_H

#include "kernel_model/common/system.h"
#include "sim/engine.h"

enum { FAKE_INBOX_MAX = 64, FAKE_LOG_BYTES = 65536, FAKE_SOCKETS_MAX = 16 };

struct script;
struct fake_message {
    struct system_endpoint peer;
    struct request *request;
};

struct fake_socket {
    struct system_socket socket;
    struct fake_system *system;
    uint16_t port;
    struct fake_message inbox[FAKE_INBOX_MAX];
    unsigned first, count;
    struct sim_task *waiter;
};

struct fake_system {
    struct system system;
    struct machine machine;
    struct system_process process;
    struct fake_socket sockets[FAKE_SOCKETS_MAX];
    unsigned socket_count, threads, buffers;
    char log[FAKE_LOG_BYTES];               /* one line a call: "wait 7 block" */
    enum error_code open_error, send_error; /* returned if not OK */
    enum error_code misbehave_answer, file_error;
    struct system_file files[8];
    unsigned file_count;
    bool endless;      /* sockets are never empty */
    sim_time computed; /* in all */
    uint64_t computes, sends;
    sim_time last_compute;
    ledger_component app;
};

/* A script that must be good. */
struct script *fake_script(const char *text);
/* A machine with a clock of 2 GHz, and nothing else. */
void fake_system_init(struct fake_system *fake);
/* A message arrives now for the socket on `port`, which must be open. `request` is
 * handed to "app". */
void fake_deliver(struct fake_system *fake, uint16_t port, struct system_endpoint peer, struct request *request);

#endif
