/* libos_profile.h: what a library OS's steps cost, and what an entry of its type may
 * say. One profile file serves all three systems. */
#ifndef STILLSUIT_LIBOS_MODEL_LIBOS_PROFILE_H
#define STILLSUIT_LIBOS_MODEL_LIBOS_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel_model/exo/environment.h"
#include "sim/config.h"
#include "sim/param.h"
#include "stack/tcp_host.h"
#include "stack/tcp_stack.h"
#include "stack/udp_stack.h"

enum libos_kind { LIBOS_POSIX = 1, LIBOS_NATIVE = 2, LIBOS_DRIVER = 4, LIBOS_STACK = 3, LIBOS_ALL = 7 };

/* key, which systems charge it, help */
#define LIBOS_STEPS(X)                                                                                                 \
    X(poll, LIBOS_ALL, "one turn of the event loop that asks the receive ring")                                        \
    X(rx_descriptor, LIBOS_ALL, "driver: taking one packet off the receive ring")                                      \
    X(tx_descriptor, LIBOS_ALL, "driver: writing one transmit descriptor")                                             \
    X(rx_refill, LIBOS_ALL, "driver: giving the receive ring one buffer, without the doorbell")                        \
    X(tx_reclaim, LIBOS_ALL, "driver: taking one transmitted buffer back")                                             \
    X(demultiplex, LIBOS_STACK, "finding a datagram's socket")                                                         \
    X(socket_receive, LIBOS_POSIX, "recvfrom in the library, without the copy")                                        \
    X(socket_send, LIBOS_POSIX, "sendto in the library, without the copy")                                             \
    X(copy_in, LIBOS_POSIX, "a copy out of a packet, beyond what its bytes take")                                      \
    X(copy_out, LIBOS_POSIX, "a copy into a packet, with its buffer, beyond what its bytes take")                      \
    X(bounce, LIBOS_DRIVER, "swapping addresses and ports in place")

/* Those of threads with TCP: key, help. */
#define LIBOS_STREAM_STEPS(X)                                                                                          \
    X(event_wait, "a turn of event_wait that reports something, without its events")                                   \
    X(event, "each event that event_wait looks at")                                                                    \
    X(accept, "accepting a connection")                                                                                \
    X(stream_setup, "listening and closing, by the socket; the filter costs its own")

enum libos_stream_step {
#define LIBOS_STREAM_STEP_ENUM(name, help) LIBOS_STREAM_##name,
    LIBOS_STREAM_STEPS(LIBOS_STREAM_STEP_ENUM)
#undef LIBOS_STREAM_STEP_ENUM
        LIBOS_STREAM_STEP_COUNT
};

enum libos_step {
#define LIBOS_STEP_ENUM(name, systems, help) LIBOS_##name,
    LIBOS_STEPS(LIBOS_STEP_ENUM)
#undef LIBOS_STEP_ENUM
        LIBOS_STEP_COUNT
};

/* Of what a system with a drive does; section `storage` of the profile, which others
 * need not have. */
struct libos_storage_costs {
    struct cost submit, complete;       /* driver: a command, a completion */
    struct cost log_create, log_append; /* an entry from the pool; its header, its place */
    struct cost log_checksum_per_kib, log_complete;
    struct cost file_call, file_page; /* a call of the file layer; a page of it in memory */
};
extern const struct param libos_storage_cost_params[];
uint64_t libos_storage_working_set_bytes(const struct libos_storage_costs *costs);

struct libos_profile {
    struct cost steps[LIBOS_STEP_COUNT];
    double variation; /* coefficient of variation of a stage's code cycles */
    const struct config_node *stack_node, *exokernel_node, *storage_node;
    struct udp_stack_costs stack;
    struct cost stream_steps[LIBOS_STREAM_STEP_COUNT];
    struct tcp_stack_costs tcp;
    struct exo_costs exokernel;
    struct libos_storage_costs storage;
};
extern const struct param libos_profile_params[];

/* Fills a profile from `profile:`; false if anything was reported. */
bool libos_profile_bind(const struct config_node *node, struct libos_profile *profile, struct diagnostics *diagnostics);
/* Calls `visit` for every cost that a run of such a system charges (those of storage
 * depend on what the script does, and are left out); `streams`: one with TCP. */
void libos_profile_visit(const struct libos_profile *profile, enum libos_kind kind, bool checksum_offload, bool streams,
                         void (*visit)(void *context, const char *key, const struct cost *cost), void *context);
/* Bytes of memory that the steps and the stack touch, beside packets and rings. */
uint64_t libos_profile_working_set_bytes(const struct libos_profile *profile);
/* The same of what threads with TCP need beyond that. */
uint64_t libos_profile_stream_working_set_bytes(const struct libos_profile *profile);

/* `storage:` of the system's entry. */
struct libos_storage_config {
    const char *drive;
    uint64_t area; /* bytes of the VSA in which a thread's files lie */
    uint64_t queue;
    uint64_t log_in_flight, log_entry, log_repair;
    int log_durability; /* enum persist_durability */
    uint64_t weight, rate;
    const struct config_node *processes; /* by name: {weight, rate}, instead of those; may be NULL */
    bool emulation;
    uint64_t emulation_core, emulation_queue;
};
extern const struct param libos_storage_params[];
/* A process's share of the drive: one of `processes`. What it does not say is the
 * entry's. */
struct libos_share {
    uint64_t weight, rate;
};
extern const struct param libos_share_params[];
/* The share of the process of that name. */
struct libos_share libos_share_of(const struct libos_storage_config *config, const char *process);

/* The system's entry. */
struct libos_config {
    const char *name, *type, *nic, *ip_text, *mac_text;
    const struct config_node *profile_node, *storage_node;
    struct libos_storage_config storage; /* if storage_node is not NULL */
    uint64_t ring, buffers, refill_batch;
    uint64_t rate_limit; /* bits a second of each thread's queue; 0: none */
    bool checksum_offload;
    int idle; /* enum exo_idle */
    struct exo_limits limits;
    const struct config_node *tcp_node;
    struct tcp_config tcp;
    uint32_t ip;
    uint8_t mac[6];
};
extern const struct param libos_config_params[];
/* Binds `storage:`, if the entry has it; libos_config_bind does. */
bool libos_storage_config_bind(struct libos_config *config, struct diagnostics *diagnostics);

/* Fills the configuration of an entry; false if anything was reported. */
bool libos_config_bind(const struct config_node *node, struct libos_config *config, struct diagnostics *diagnostics);

#endif
