/* libos_net.h: what the library OSes share: a process is an environment with a
 * virtual function, a thread has a queue pair and a core of its own, and polls.
 *
 * Everything below the system interface runs in the process: the exokernel is
 * entered to open a socket (a filter is checked and bound in the NIC) and to sleep,
 * never for a packet.
 *
 * On a packet's path: ready (waiting) -> net_stack_in -> socket_queue (waiting; no
 * time passes if the thread receives at once) -> net_stack_in -> [copy_in] -> app ->
 * [copy_out] -> net_stack_out -> doorbell_write -> the NIC. */
#ifndef STILLSUIT_LIBOS_MODEL_LIBOS_NET_H
#define STILLSUIT_LIBOS_MODEL_LIBOS_NET_H

#include <stddef.h>

#include "kernel_model/common/system.h"
#include "kernel_model/exo/doorbell.h"
#include "kernel_model/exo/filter.h"
#include "libos_model/libos_profile.h"
#include "libos_model/vf_driver.h"
#include "sim/random.h"
#include "stack/tcp_alarm.h"
#include "stack/tcp_carrier.h"
#include "stack/tcp_stack.h"
#include "stack/udp_stack.h"

enum { LIBOS_NEIGHBOURS = 64, LIBOS_SOCKETS_HASH = 64 };

struct libos_system {
    struct system base;
    enum libos_kind kind;
    struct libos_config config;
    struct libos_profile profile;
    struct exo_kernel *kernel;
    struct device *nic;
    struct exo_drive *drive; /* NULL: none */
    struct libos_process *processes, **processes_end;
    uint32_t process_count;
    bool streams;                                                             /* some thread has TCP */
    void (*trace_sink)(void *context, const struct block_trace_event *event); /* NULL: nobody listens */
    void *trace_context;
    uint64_t block_operations; /* of all areas: their numbers in traces */
};

struct libos_process {
    struct system_process base;
    struct libos_process *next;
    struct exo_environment *environment;
    struct exo_handle function;
    uint64_t registers; /* the function's, in its address space */
    struct libos_region *regions;
    struct libos_drive *drive; /* NULL: the system has none */
    uint8_t mac[6];
    struct libos_thread *threads;
    char name[32];
};

/* Memory of the process, where processor and devices find it. */
struct libos_region {
    struct libos_region *next;
    uint64_t physical, device_address, length_bytes;
};

/* A packet in a buffer of the thread's pool, between arrival and the NIC. */
struct libos_packet {
    struct libos_packet *next; /* in a socket's queue */
    uint32_t buffer;
    uint32_t payload_bytes;
    struct net_udp udp;
    struct tcp_carrier carrier; /* its payload and the request it carries; TCP: its place in the stream */
};

struct libos_neighbour {
    uint32_t ip; /* 0: none */
    uint8_t mac[6];
};

/* Something that a thread polls beside its receive ring, such as a storage queue:
 * whatever the thread waits for, what comes here is taken. */
struct libos_source {
    struct libos_source *next;
    bool (*ready)(const struct libos_source *source);    /* memory says that something is there */
    bool (*busy)(const struct libos_source *source);     /* something will come: the thread must not sleep */
    uint64_t (*line)(const struct libos_source *source); /* that changes when it does; physical */
    void (*take)(struct libos_source *source);           /* [thread] takes what is there */
    void *context;
    struct memory_watch watch;
};

struct libos_counters {
    uint64_t received, sent, no_socket, socket_full, bad_packets, bad_checksums, transmit_waits, sleeps,
        unknown_neighbours;
};

/* TCP of a thread, from its first listening socket on. */
struct libos_tcp {
    struct tcp_host host;
    struct tcp_stack stack;
    struct libos_stream *streams;
    struct tcp_alarms alarms;
    struct libos_event_set *event_sets;
    uint64_t lines_at[LIBOS_STREAM_STEP_COUNT];
    uint64_t state_next, state_end; /* memory for control blocks */
};

struct libos_thread {
    struct system_thread base;
    struct libos_thread *next;
    struct libos_process *process;
    struct exo_thread *thread;
    struct context *context;
    struct exo_handle queue, end_point, doorbell;
    uint32_t queue_index;
    struct vf_driver driver;
    struct udp_stack stack;
    struct random_stream *random;
    struct memory_watch watch;
    struct libos_source *sources;        /* in the order in which they came */
    struct libos_storage *storage;       /* NULL: the system has no drive */
    uint64_t lines_at[LIBOS_STEP_COUNT]; /* working sets of the steps */
    uint64_t storage_lines_at;           /* and of storage's */
    struct libos_tcp *tcp;               /* NULL: none */
    bool asleep;                         /* at its end point */
    struct libos_packet *packets;        /* by buffer */
    uint32_t queued;                     /* of them in sockets' queues */
    struct libos_socket *sockets[LIBOS_SOCKETS_HASH];
    struct libos_neighbour neighbours[LIBOS_NEIGHBOURS];
    struct libos_counters counters;
    void (*body)(struct system_thread *thread, void *argument);
    void *argument;
};

struct libos_socket {
    struct system_socket base;
    struct libos_socket *next; /* of the same hash */
    struct libos_thread *thread;
    uint16_t port;
    struct exo_handle filter;
    struct libos_packet *first, *last;
    bool is_stream;
    struct event_item item; /* in an event set */
};

/* A TCP socket: a listener or a connection; a connection has its listener's filter. */
struct libos_stream {
    struct libos_socket socket;
    struct tcp_stream stream;
    struct tcp_alarm alarm;
    uint64_t state_at; /* physical: the lines of its control block */
    struct libos_stream *next;
};

struct libos_event_set {
    struct system_event_set base;
    struct event_set set;
    struct libos_event_set *next;
};

/* "socket_queue": a datagram that its thread has taken off the ring for a socket and
 * not yet received. */
extern ledger_component libos_socket_queue;

static inline struct libos_thread *libos_thread_of(struct system_thread *thread) {
    return (struct libos_thread *)(void *)thread;
}
static inline struct libos_socket *libos_socket_of(struct system_socket *socket) {
    return (struct libos_socket *)(void *)socket;
}
static inline struct libos_system *libos_system_of(const struct libos_thread *thread) {
    return (struct libos_system *)(void *)thread->process->base.system;
}

/* ---- libos_system.c: members of the ops tables that all share ---- */
void libos_declare_components(void);
struct system *libos_create(const struct system_ops *ops, enum libos_kind kind, struct machine *machine,
                            const struct config_node *node, struct diagnostics *diagnostics);
void libos_destroy(struct system *system);
enum error_code libos_storage_check(const struct system *base, uint64_t file_bytes, uint64_t log_bytes,
                                    unsigned threads, struct error *error);
struct system_address libos_address(const struct system *system);
struct system_process *libos_process_create(struct system *system, const char *name, struct error *error);
void libos_trace_blocks(struct system *system, void (*sink)(void *context, const struct block_trace_event *event),
                        void *context);
void libos_visit_stats(const struct system *system, const struct stats_sink *sink);
void libos_reset_stats(struct system *system);
void libos_visit_costs(const struct system *system,
                       void (*visit)(void *context, const char *key, const struct cost *cost), void *context);

/* ---- libos_thread.c ---- */
struct system_thread *libos_thread_create(struct system_process *process, unsigned core,
                                          void (*body)(struct system_thread *thread, void *argument), void *argument,
                                          struct error *error);
void libos_thread_free(struct libos_thread *thread);
void libos_compute(struct system_thread *thread, struct request *request, sim_time duration);
struct context *libos_thread_context(struct system_thread *thread);
/* Charges a step to the present work, with the stage's variation. */
void libos_charge(struct libos_thread *thread, enum libos_step step);
/* Begins a stage of a packet's path: the work is `request`'s, and its cycles vary by
 * a factor drawn now. */
void libos_stage(struct libos_thread *thread, ledger_component component, struct request *request);
/* Zeroed memory of the process, whole frames; physical address, 0 on error. */
uint64_t libos_memory(struct libos_process *process, uint64_t length_bytes, struct error *error);
/* The region of the process's that has all of these bytes; NULL: none has. */
const struct libos_region *libos_region_of(const struct libos_process *process, uint64_t physical,
                                           uint64_t length_bytes);

/* ---- libos_sources.c ---- */
void libos_source_add(struct libos_thread *thread, struct libos_source *source);
/* Takes what is there; false if nothing was. */
bool libos_sources_take(struct libos_thread *thread);
/* Memory says that a packet, a timer or a source's thing is there. */
bool libos_is_something_there(const struct libos_thread *thread);
/* Waits until something is there: spins, or sleeps if `how` says so and nothing is under
 * way at a source. Takes nothing. */
void libos_idle(struct libos_thread *thread, enum system_wait how);

/* ---- libos_socket.c ---- */
enum error_code libos_socket_open_udp(struct system_thread *thread, uint16_t port, struct system_socket **socket);
void libos_sockets_free(struct libos_thread *thread);
enum error_code libos_socket_wait(struct system_thread *thread, struct system_socket *socket, enum system_wait how);
bool libos_socket_is_ready(const struct libos_socket *socket);
/* Binds a port of a protocol to the thread's queue, both ways. */
enum error_code libos_socket_filter(struct libos_thread *thread, uint8_t protocol, uint16_t port,
                                    struct exo_handle *filter);
/* One turn of waiting, the only one there is: housekeeping; then, unless something is
 * there, spins or sleeps until a packet has come, a timer is due or a source has
 * something; takes one of each. True: a source had something. */
bool libos_turn(struct libos_thread *thread, enum system_wait how);
/* Takes all that is there, without waiting; the answer as above. */
bool libos_take_all(struct libos_thread *thread);
/* The next packet for a socket, its work begun in "net_stack_in"; NULL if none has
 * arrived. Its buffer is the caller's. */
struct libos_packet *libos_receive_packet(struct libos_thread *thread, struct libos_socket *socket);
/* Gives a packet's buffer back to the pool. */
void libos_packet_done(struct libos_thread *thread, struct libos_packet *packet);
/* The same of one that goes nowhere; its request ends here. */
void libos_packet_drop(struct libos_thread *thread, struct libos_packet *packet, uint64_t *counter, const char *reason);

/* ---- libos_tcp.c: connections: input, timers, output ---- */
static inline struct libos_stream *libos_stream_of(const struct tcp_stream *stream) {
    return (struct libos_stream *)(void *)((char *)(uintptr_t)stream - offsetof(struct libos_stream, stream));
}
static inline struct libos_packet *libos_packet_of(const struct tcp_carrier *carrier) {
    return (struct libos_packet *)(void *)((char *)(uintptr_t)carrier - offsetof(struct libos_packet, carrier));
}
/* ERR_UNSUPPORTED: the profile has no costs for it. */
enum error_code libos_tcp_open(struct libos_thread *thread);
void libos_tcp_free(struct libos_thread *thread);
bool libos_tcp_takes(const struct libos_thread *thread, const struct vf_packet *raw);
/* One packet off the ring, its work begun in "net_stack_in". */
void libos_tcp_input(struct libos_thread *thread, struct libos_packet *packet, const struct vf_packet *raw);
/* Sends what a connection has due, releases what it has done with, sets its timer. The
 * work is for `worker`, but where a segment carries a request of its own. */
void libos_tcp_output(struct libos_thread *thread, struct libos_stream *stream, struct request *worker);
/* What is due of the thread's timers. */
void libos_tcp_timers(struct libos_thread *thread);
static inline bool libos_tcp_timer_is_due(const struct libos_thread *thread) {
    return thread->tcp != NULL && thread->tcp->alarms.first != NULL;
}
void libos_stream_charge(struct libos_thread *thread, enum libos_stream_step step);

/* ---- libos_stream.c: POSIX calls on streams ---- */
enum error_code libos_stream_listen(struct system_thread *thread, uint16_t port, unsigned backlog,
                                    struct system_socket **socket);
enum error_code libos_stream_accept(struct system_thread *thread, struct system_socket *listener,
                                    struct system_socket **connection);
enum error_code libos_stream_close(struct system_thread *thread, struct system_socket *socket);
enum error_code libos_stream_receive(struct libos_thread *thread, struct libos_stream *stream,
                                     struct system_buffer *into);
enum error_code libos_stream_send(struct libos_thread *thread, struct libos_stream *stream,
                                  struct system_buffer *buffer);

/* ---- libos_event.c: the library's epoll ---- */
enum error_code libos_event_set_create(struct system_thread *thread, struct system_event_set **set);
enum error_code libos_event_set_add(struct system_thread *thread, struct system_event_set *set,
                                    struct system_socket *socket, void *user);
enum error_code libos_event_wait(struct system_thread *thread, struct system_event_set *set, enum system_wait how,
                                 struct system_event *events, unsigned capacity, unsigned *count);

/* ---- libos_send.c ---- */
/* A packet with an empty payload area, waiting for the NIC to return one if need be
 * (the request waits, too). */
struct libos_packet *libos_packet_take(struct libos_thread *thread, struct request *request);
/* Waits until the transmit ring has a slot. */
void libos_await_transmit(struct libos_thread *thread, struct request *request);
/* Headers for `length_bytes` of payload, descriptor, doorbell; in "net_stack_out".
 * The packet is the NIC's afterwards. */
enum error_code libos_transmit_udp(struct libos_thread *thread, const struct libos_socket *socket,
                                   struct libos_packet *packet, uint32_t length_bytes, struct system_endpoint to,
                                   struct request *request);
/* The descriptor and doorbell alone, for a frame of so many bytes, of UDP or TCP. */
enum error_code libos_transmit_frame(struct libos_thread *thread, struct libos_packet *packet, uint32_t frame_bytes,
                                     bool tcp, struct request *request);
/* The headers of a datagram with so many bytes of payload, into the packet, from a
 * port; work of the present stage. */
void libos_write_headers(struct libos_thread *thread, const struct libos_packet *packet, uint16_t port,
                         uint32_t length_bytes, struct system_endpoint to);
void libos_neighbour_learn(struct libos_thread *thread, uint32_t ip, const uint8_t mac[6]);

/* ---- libos_hostile.c ---- */
/* What a library that means harm does: see struct system_ops. */
enum error_code libos_misbehave(struct system_thread *thread, enum system_misbehaviour how,
                                struct system_endpoint accomplice);

/* ---- libos_place.c: buffers that are packets (native, driver) ---- */
enum error_code libos_place_buffer_create(struct system_thread *thread, uint32_t capacity_bytes,
                                          struct system_buffer *buffer);
/* Puts a packet into a buffer, in place of the one that is in it. */
void libos_place_packet(struct libos_thread *thread, struct system_buffer *buffer, struct libos_packet *packet);
/* Takes the packet out of a buffer, or an empty one if there is none. */
struct libos_packet *libos_unplace_packet(struct libos_thread *thread, struct system_buffer *buffer);

/* What every library OS does in the same way, for its ops table. */
#define LIBOS_SHARED_OPS                                                                                               \
    .profile_params = libos_profile_params, .params = libos_config_params,                                             \
    .declare_components = libos_declare_components, .destroy = libos_destroy, .address = libos_address,                \
    .process_create = libos_process_create, .thread_create = libos_thread_create,                                      \
    .socket_open_udp = libos_socket_open_udp, .socket_wait = libos_socket_wait, .compute = libos_compute,              \
    .thread_context = libos_thread_context, .visit_stats = libos_visit_stats, .reset_stats = libos_reset_stats,        \
    .visit_costs = libos_visit_costs

#endif
