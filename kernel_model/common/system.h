/* system.h: the one interface through which workloads see an operating system,
 * whichever it is: Linux, a library OS on the exokernel, or a bare driver. The
 * same script therefore runs unchanged on each that offers what it uses.
 *
 * Calls marked [thread] are made from within the body of one of the system's
 * threads and take simulated time; the others set up before the run. */
#ifndef STILLSUIT_KERNEL_MODEL_COMMON_SYSTEM_H
#define STILLSUIT_KERNEL_MODEL_COMMON_SYSTEM_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/machine.h"
#include "sim/config.h"
#include "sim/ledger.h"
#include "stack/block_trace.h"

struct system;
struct system_process;
struct system_thread;
struct system_socket;
struct system_event_set;
struct system_file;
struct system_log;

/* A peer on the network, in host byte order. */
struct system_endpoint {
    uint32_t address;
    uint16_t port;
};

/* A message's place: the application's own memory for a system that copies, the
 * packet itself for one that does not. Prepared by buffer_create. */
struct system_buffer {
    uint64_t physical; /* of the first byte of payload */
    uint32_t capacity_bytes, length_bytes;
    struct system_endpoint peer;
    struct request *request; /* owned by "app" between receive and send; NULL if none */
    void *packet;            /* the system's own */
};

/* How a thread waits for a socket. */
enum system_wait {
    SYSTEM_WAIT_BLOCK, /* gives up the core until something arrives */
    SYSTEM_WAIT_SPIN   /* stays on the core and asks again and again */
};

/* What a socket in an event set is ready for. */
enum system_readiness { SYSTEM_READABLE = 1, SYSTEM_ACCEPTABLE = 2, SYSTEM_CLOSED = 4 };
struct system_event {
    void *user; /* as given to event_set_add */
    unsigned ready;
};

/* How a file is opened; it comes into being if there is none of that name. */
struct system_file_options {
    const char *name;
    uint64_t size_bytes; /* at least so large, allocated; 0: as it is */
    bool direct;         /* O_DIRECT: past the page cache, whole blocks */
};
enum system_sync { SYSTEM_SYNC_ALL, SYSTEM_SYNC_DATA }; /* fsync, fdatasync */
#define SYSTEM_FILE_END UINT64_MAX                      /* as an offset: append */

/* An append to a log that is under way; the caller's, untouched until `done`. */
struct system_append {
    uint64_t physical; /* the entry's bytes: the caller's until it is done */
    uint32_t length_bytes;
    struct request *request; /* owned by "app" before, and again when it is durable */
    enum error_code status;
    bool finished;
    uint64_t position; /* of the entry in the log, once appended */
    /* [thread] Called once it is durable, by whatever call of the thread takes the
     * completion; NULL: nobody is told. */
    void (*done)(struct system_append *append);
    void *context;
    struct system_append *next; /* the system's */
    void *private;
};

/* The server's own address, known to clients: the machine's on the network. */
struct system_address {
    uint8_t mac[6];
    uint32_t ip;
};

/* What a hostile process can try against the system's first process: name in YAML,
 * whether the call's answer alone tells if it got through (the others show in memory
 * or on the wire), help. */
#define SYSTEM_MISBEHAVIOURS(X)                                                                                        \
    X(foreign_descriptor, false, "sends, as payload, memory of another process: a transmit descriptor names it")       \
    X(foreign_receive_descriptor, false, "has packets written over memory of another process")                         \
    X(spoofed_port, false, "sends in the name of another's port")                                                      \
    X(overlapping_filter, true, "asks for packets that another's filter takes")                                        \
    X(greedy_filter, true, "asks for all packets that come")                                                           \
    X(port_share, true, "asks for more ports than its share")                                                          \
    X(foreign_doorbell, true, "writes to a doorbell of another's function")                                            \
    X(forged_capability, true, "presents another's capability, rewritten to its own name")
enum system_misbehaviour {
#define SYSTEM_MISBEHAVIOUR_ENUM(name, answered, help) MISBEHAVE_##name,
    SYSTEM_MISBEHAVIOURS(SYSTEM_MISBEHAVIOUR_ENUM)
#undef SYSTEM_MISBEHAVIOUR_ENUM
        MISBEHAVIOURS
};

struct system_ops {
    const char *type_name; /* in YAML: "linux", "arrakis_posix", "arrakis_native", "driver" */
    const char *help;
    const struct param *profile_params; /* of `profile:`, cost by cost; ends with {0} */
    const struct param *params;         /* of the system's own entry, beside type and profile */
    void (*declare_components)(void);
    /* Builds on a machine. The caller frees with `destroy`. */
    struct system *(*create)(struct machine *machine, const struct config_node *node, struct diagnostics *diagnostics);
    void (*destroy)(struct system *system);
    struct system_address (*address)(const struct system *system);

    /* A process (an application with its library OS, if it has one), and a thread
     * of it, pinned to a core; the thread starts when the run does. NULL with
     * `error` if something is refused. */
    struct system_process *(*process_create)(struct system *system, const char *name, struct error *error);
    struct system_thread *(*thread_create)(struct system_process *process, unsigned core,
                                           void (*body)(struct system_thread *thread, void *argument), void *argument,
                                           struct error *error);

    /* [thread] A UDP socket bound to a port. */
    enum error_code (*socket_open_udp)(struct system_thread *thread, uint16_t port, struct system_socket **socket);
    enum error_code (*buffer_create)(struct system_thread *thread, uint32_t capacity_bytes,
                                     struct system_buffer *buffer);
    /* [thread] Blocks (or spins) until the socket has something. */
    enum error_code (*socket_wait)(struct system_thread *thread, struct system_socket *socket, enum system_wait how);
    /* [thread] Takes one message; ERR_AGAIN if there is none. The request, if any,
     * is owned by "app" afterwards, in service. */
    enum error_code (*receive)(struct system_thread *thread, struct system_socket *socket, struct system_buffer *into);
    /* [thread] Sends `buffer` to `to`; its request goes along and leaves the buffer. */
    enum error_code (*send)(struct system_thread *thread, struct system_socket *socket, struct system_buffer *buffer,
                            struct system_endpoint to);
    /* [thread] The application computes, in "app". */
    void (*compute)(struct system_thread *thread, struct request *request, sim_time duration);

    /* ---- Streams and events; NULL in a system that has none. ---- */
    /* [thread] A TCP socket that listens. A connection is a socket, too: wait, receive
     * and send as above; receive takes what has arrived, up to the buffer's capacity,
     * in order, and ERR_NOT_FOUND says that the peer has closed. */
    enum error_code (*socket_listen_tcp)(struct system_thread *thread, uint16_t port, unsigned backlog,
                                         struct system_socket **socket);
    /* [thread] The next established connection; ERR_AGAIN if there is none. */
    enum error_code (*socket_accept)(struct system_thread *thread, struct system_socket *listener,
                                     struct system_socket **connection);
    enum error_code (*socket_close)(struct system_thread *thread, struct system_socket *socket);
    /* [thread] epoll: a set of sockets; event_wait returns when at least one is ready
     * (level-triggered), or when an append of the thread has become durable (then
     * possibly with no event). */
    enum error_code (*event_set_create)(struct system_thread *thread, struct system_event_set **set);
    enum error_code (*event_set_add)(struct system_thread *thread, struct system_event_set *set,
                                     struct system_socket *socket, void *user);
    enum error_code (*event_wait)(struct system_thread *thread, struct system_event_set *set, enum system_wait how,
                                  struct system_event *events, unsigned capacity, unsigned *count);

    /* Whether what a process will open can be had at all: bytes of its files and logs, of
     * each of its threads, against the drive; ERR_RANGE says of what there is not enough.
     * Before the run. May be NULL. */
    enum error_code (*storage_check)(const struct system *system, uint64_t file_bytes, uint64_t log_bytes,
                                     unsigned threads, struct error *error);

    /* ---- Files; NULL in a system that has none. [thread] ---- */
    enum error_code (*file_open)(struct system_thread *thread, const struct system_file_options *options,
                                 struct system_file **file);
    /* Writes from, or reads into, memory of the application (`physical`), for
     * `request`, which "app" owns before and after; NULL: nobody's. */
    enum error_code (*file_write)(struct system_thread *thread, struct system_file *file, uint64_t offset_bytes,
                                  uint64_t physical, uint32_t length_bytes, struct request *request);
    enum error_code (*file_read)(struct system_thread *thread, struct system_file *file, uint64_t offset_bytes,
                                 uint64_t physical, uint32_t length_bytes, struct request *request);
    /* Returns when what was written is durable. */
    enum error_code (*file_sync)(struct system_thread *thread, struct system_file *file, enum system_sync how,
                                 struct request *request);

    /* ---- Persistent logs and queues; NULL in a system that has none. [thread] ---- */
    /* A log of that name with room for so many bytes; a new one is empty. */
    enum error_code (*log_open)(struct system_thread *thread, const char *name, uint64_t capacity_bytes,
                                struct system_log **log);
    /* Returns once the entry is on its way; `append` tells when it is durable.
     * ERR_EXHAUSTED: the log is full (trim it). */
    enum error_code (*log_append)(struct system_thread *thread, struct system_log *log, struct system_append *append);
    /* Returns when that append is durable. */
    void (*log_wait)(struct system_thread *thread, struct system_log *log, struct system_append *append);
    /* Gives up the `entries` oldest entries. */
    enum error_code (*log_trim)(struct system_thread *thread, struct system_log *log, uint64_t entries);
    /* A log as a queue: takes the oldest entry into memory; ERR_AGAIN if it is empty. */
    enum error_code (*log_pop)(struct system_thread *thread, struct system_log *log, uint64_t physical,
                               uint32_t capacity_bytes, uint32_t *length_bytes, struct request *request);

    /* The hardware context beneath, for operations that the table does not cover. */
    struct context *(*thread_context)(struct system_thread *thread);
    /* [thread] May be NULL. Does what a malicious library would, against the system's
     * first process, by the paths that honest code has and with no right that it
     * lacks; what it aims at (addresses, ports) it is told, since protection must not
     * rest on secrets. What leaks goes to `accomplice`. Returns what kernel and
     * hardware answered: OK, or why it was refused; ERR_NOT_FOUND: the thread is the
     * first process's own, and there is nobody to attack. */
    enum error_code (*misbehave)(struct system_thread *thread, enum system_misbehaviour how,
                                 struct system_endpoint accomplice);

    /* May be NULL. Tells `sink` of every block operation from now on, in the order in
     * which the file system gives them to the block layer. */
    void (*trace_blocks)(struct system *system, void (*sink)(void *context, const struct block_trace_event *event),
                         void *context);
    void (*visit_stats)(const struct system *system, const struct stats_sink *sink);
    void (*reset_stats)(struct system *system);
    /* Calls `visit` with each cost of the profile: key, cost. For "never charged". */
    void (*visit_costs)(const struct system *system,
                        void (*visit)(void *context, const char *key, const struct cost *cost), void *context);
};

/* What every system's own struct begins with. */
struct system {
    const struct system_ops *ops;
    struct machine *machine;
};
struct system_process {
    struct system *system;
    struct system_address address; /* where peers reach it; set by process_create */
    /* Memory that nobody but the process should read or write, and that an experiment
     * watches: what misbehaviour aims at. 0: none was set. */
    uint64_t secret_physical;
    uint32_t secret_bytes;
};
struct system_thread {
    struct system_process *process;
};
struct system_socket {
    struct system_process *process;
};
struct system_event_set {
    struct system_process *process;
};
struct system_file {
    struct system_process *process;
};
struct system_log {
    struct system_process *process;
};

/* Components that every system shares, the rows of the papers' tables: "app",
 * "net_stack_in", "net_stack_out", "copy_in", "copy_out", and "socket_queue", where a
 * packet waits for its receiver; all under "cpu". Indices are
 * filled by system_declare_components, which every declare_components calls. */
struct system_components {
    ledger_component app, net_stack_in, net_stack_out, copy_in, copy_out, socket_queue;
};
extern struct system_components system_components;
void system_declare_components(void);

#endif
