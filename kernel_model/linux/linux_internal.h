/* linux_internal.h: the state that the kernel's parts share, and what they ask of
 * each other. Read it from the bottom of the system up: driver, NAPI and softirq,
 * scheduler, sockets, system calls. */
#ifndef STILLSUIT_KERNEL_MODEL_LINUX_LINUX_INTERNAL_H
#define STILLSUIT_KERNEL_MODEL_LINUX_LINUX_INTERNAL_H

#include <stddef.h>

#include "hw/core.h"
#include "hw/nic/nic.h"
#include "hw/nic/nic_regs.h"
#include "kernel_model/common/frames.h"
#include "kernel_model/common/system.h"
#include "kernel_model/linux/linux_profile.h"
#include "sim/engine.h"
#include "sim/random.h"
#include "stack/tcp_alarm.h"
#include "stack/tcp_carrier.h"
#include "stack/tcp_stack.h"
#include "stack/udp_stack.h"

enum {
    LINUX_QUEUES_MAX = 16,
    LINUX_BUFFER_BYTES = 2048,      /* half a page: ixgbe's receive buffer */
    LINUX_REFILL_BATCH = 16,        /* IXGBE_RX_BUFFER_WRITE */
    LINUX_TRANSMIT_CLEAN_MAX = 256, /* IXGBE_DEFAULT_TX_WORK */
    LINUX_UDP_BUCKETS = 256,        /* udp_table of a small machine */
    LINUX_NEIGHBOURS = 256,
    LINUX_IDLE_HISTORY = 8,   /* menu governor: INTERVALS */
    LINUX_VECTOR_NIC = 0x30,  /* of queue 0 */
    LINUX_VECTOR_NVME = 0x60, /* of queue pair 1; one a CPU */
    LINUX_NVME_QUEUES_MAX = 64,
    LINUX_VECTOR_TIMER = 0xef,
    LINUX_VECTOR_ONE_SHOT = 0xee, /* a timer of a connection, while the tick may be off */
    LINUX_VECTOR_RESCHEDULE = 0xfd
};

struct linux_components {
    ledger_component ready, interrupt, scheduler, idle_exit, context_switch, socket_queue, crossing_return,
        crossing_syscall, epoll;
    ledger_component softirq_overhead, idle_loop, net_housekeeping, timer_tick, recv_poll;
};
extern struct linux_components linux_components;

/* What a CPU counts, as in counters.csv. */
#define LINUX_COUNTERS(X)                                                                                              \
    X(interrupts)                                                                                                      \
    X(timer_ticks)                                                                                                     \
    X(rescheduling_interrupts)                                                                                         \
    X(softirq_rounds)                                                                                                  \
    X(polls)                                                                                                           \
    X(time_squeezes)                                                                                                   \
    X(ksoftirqd_wakeups)                                                                                               \
    X(packets_received)                                                                                                \
    X(packets_sent)                                                                                                    \
    X(stack_drops)                                                                                                     \
    X(no_socket_drops)                                                                                                 \
    X(socket_buffer_drops)                                                                                             \
    X(transmit_ring_drops)                                                                                             \
    X(context_switches)                                                                                                \
    X(preemptions)                                                                                                     \
    X(wakeups)                                                                                                         \
    X(send_buffer_waits)                                                                                               \
    X(idle_entries)                                                                                                    \
    X(throttle_changes)

/* The same of systems with TCP. */
#define LINUX_STREAM_COUNTERS(X)                                                                                       \
    X(one_shot_timers)                                                                                                 \
    X(epoll_waits)                                                                                                     \
    X(epoll_events)

struct linux_counters {
#define LINUX_COUNTER_MEMBER(counter) uint64_t counter;
    LINUX_COUNTERS(LINUX_COUNTER_MEMBER)
    LINUX_STREAM_COUNTERS(LINUX_COUNTER_MEMBER)
#undef LINUX_COUNTER_MEMBER
};

/* A socket buffer with its data: a page fragment that the NIC writes or reads. */
struct linux_skb {
    struct linux_skb *next;
    uint64_t physical; /* of the frame's first byte; the buffer is its own for good */
    uint32_t frame_bytes, payload_offset, payload_bytes;
    struct system_endpoint peer;
    double variation;                                 /* the packet's factor on kernel cycles */
    bool checked;                                     /* the NIC has verified its checksums */
    struct linux_socket *charged;                     /* whose send buffer it counts against */
    struct tcp_carrier carrier;                       /* whose request it carries; TCP: its place in the stream */
    bool tcp, held /* for retransmission */, on_ring; /* not released while it is either */
};

/* One direction's part in interrupt moderation. */
struct linux_moderation {
    uint64_t packets, bytes; /* cleaned since the last interrupt */
    unsigned latency_class;  /* 0 lowest, 1 low, 2 bulk */
};

/* A queue pair with its interrupt vector: ixgbe's q_vector. */
struct linux_queue {
    struct linux_system *system;
    uint32_t index;
    struct linux_cpu *cpu;                /* that its vector interrupts */
    uint64_t receive_ring, transmit_ring; /* physical */
    uint32_t receive_size, transmit_size;
    uint32_t receive_clean, receive_use; /* next to clean, next to give to the NIC */
    uint32_t transmit_clean, transmit_use;
    uint32_t unfilled; /* cleaned since the last refill */
    struct linux_skb **receive_slots, **transmit_slots;
    struct linux_queue *next_polled; /* NAPI's list */
    bool scheduled;
    struct linux_moderation receive_moderation, transmit_moderation;
    sim_time throttle; /* what EITR holds */
};

/* An interrupt as the core delivered it. */
struct linux_arrival {
    uint32_t vector;
    sim_time raised, awake;
};

enum linux_thread_state { LINUX_SLEEPING, LINUX_READY, LINUX_RUNNING };

struct linux_thread {
    struct system_thread base;
    struct linux_cpu *cpu;
    struct context *context;
    uint64_t id;
    enum linux_thread_state state;
    bool user;    /* in user mode: it can be pre-empted at any point */
    bool resumes; /* was pre-empted: who switches to it pays for that */
    sim_time virtual_runtime, run_since, run_total, run_total_at_switch; /* CFS */
    struct linux_thread *next_ready;
    struct linux_thread *next_waiter;
    struct linux_socket *in_recv; /* within recvmsg of this socket, data at hand */
    double variation;             /* of the packet that it works on */
    uint32_t skbs_to_free;
    struct linux_file_call *file_call;          /* that it is in; NULL: none */
    void (*entry)(struct linux_thread *thread); /* the kernel's own, or the one that calls body */
    void (*body)(struct system_thread *thread, void *argument);
    void *argument;
    struct linux_thread *next; /* all threads of the system */
};

struct linux_cpu {
    struct linux_system *system;
    struct core *core;
    unsigned index;
    struct context *interrupt, *softirq, *swapper;
    struct linux_arrival arrival; /* what `interrupt` is dispatched for */
    /* Softirqs: NET_RX is the one that is modelled. */
    bool net_receive_raised;
    bool softirq_entered;  /* irq_exit has asked for them */
    unsigned softirqs_off; /* being served, or local_bh_disable */
    struct linux_queue *poll_first, *poll_last;
    struct linux_thread *ksoftirqd;
    /* CFS */
    struct linux_thread *current; /* NULL: the idle thread */
    struct linux_thread *ready;   /* by virtual runtime, then by id */
    unsigned ready_count;
    sim_time minimum_virtual_runtime;
    bool reschedule; /* TIF_NEED_RESCHED */
    /* Idle */
    bool asleep;
    int idle_state; /* while asleep; -1: polling */
    sim_time asleep_since, idle_history[LINUX_IDLE_HISTORY];
    unsigned idle_count;
    struct sim_event tick;
    struct tcp_alarms alarms; /* of the connections that its softirq serves */
    struct linux_counters counters;
};

enum linux_socket_type { LINUX_UDP, LINUX_TCP };

struct linux_socket {
    struct system_socket base;
    struct linux_system *system;
    enum linux_socket_type type;
    uint16_t port;
    struct linux_skb *first, *last;
    uint64_t receive_allocated_bytes, send_allocated_bytes;
    struct linux_thread *sleepers, *pollers, *writers; /* waiting, in order of arrival */
    struct event_item item;                            /* in an event set */
    struct linux_socket *next_in_bucket, *next;
};

/* A TCP socket: a listener or a connection. */
struct linux_stream {
    struct linux_socket socket;
    struct tcp_stream stream;
    struct tcp_alarm alarm;
    uint64_t state_at; /* physical: the lines of its control block; 0: none */
    struct linux_stream *next;
};

/* eventpoll */
struct linux_event_set {
    struct system_event_set base;
    struct event_set set;
    struct linux_thread *sleepers, *pollers;
    struct linux_event_set *next;
};

/* TCP of the system, from the first listening socket on. */
struct linux_tcp {
    struct tcp_host host;
    struct tcp_stack stack;
    uint64_t state_next, state_end; /* memory for control blocks */
    struct linux_stream *streams;
};

struct linux_process {
    struct system_process base;
    char *name;
    struct linux_process *next;
};

struct linux_neighbour {
    uint32_t ip;
    uint8_t mac[6];
    bool known;
};

struct linux_system {
    struct system base;
    struct linux_config config;
    struct linux_profile profile;
    struct frames *frames;
    struct device *nic;
    struct pcie_function *function;
    struct iommu_domain *domain; /* NULL: the machine's IOMMU is off or passes through */
    struct udp_stack stack;
    struct random_stream *variation;
    struct linux_cpu *cpus;
    struct linux_queue queues[LINUX_QUEUES_MAX];
    struct linux_socket *buckets[LINUX_UDP_BUCKETS], *sockets;
    struct linux_neighbour neighbours[LINUX_NEIGHBOURS];
    struct linux_tcp *tcp; /* NULL: none */
    struct linux_event_set *event_sets;
    struct linux_thread *threads;
    struct linux_process *processes;
    struct linux_skb *free_skbs;
    struct linux_skb_chunk *skb_chunks;
    struct linux_storage *storage; /* NULL: none */
    uint64_t thread_count;
    struct sim_event boot;
    bool booted;
    sim_time slice_latency, slice_minimum, wakeup_granularity; /* scaled by the number of cores */
};

static inline struct linux_system *linux_of(const struct linux_thread *thread) {
    return thread->cpu->system;
}

/* Charges a step to the context's present work. */
static inline void linux_charge(struct context *context, struct linux_step *step, double variation) {
    (void)stack_charge(context, &step->cost, variation, step->lines_at);
}

/* ---- linux_skb.c: socket buffers ---- */
/* A buffer from the pool, which grows; NULL when memory has run out. */
struct linux_skb *linux_skb_allocate(struct linux_system *system);
void linux_skb_release(struct linux_system *system, struct linux_skb *skb);
void linux_skb_pool_free(struct linux_system *system);
/* `count` frames that the device may reach, contiguous; 0 when there are none. */
uint64_t linux_dma_allocate(struct linux_system *system, uint64_t count);

/* ---- linux_driver.c: ixgbe ---- */
enum error_code linux_driver_open(struct linux_system *system, struct error *error);
void linux_driver_close(struct linux_system *system);
/* The request of the next packet that the ring holds, taken from the memory; NULL. */
struct request *linux_driver_first_request(struct linux_queue *queue);
/* Writes a register of the device; it rings for nobody's request. */
void linux_driver_write(struct linux_queue *queue, struct context *context, uint64_t offset, uint32_t value);
/* Lets the queue interrupt again. */
void linux_driver_unmask(struct linux_queue *queue, struct context *context);
/* Takes the next received packet off the ring, handing its request to the network
 * stack; NULL if the NIC has written none. */
struct linux_skb *linux_driver_receive(struct linux_queue *queue, struct context *context);
/* Gives the NIC buffers in exchange for those that were taken, if these are at least
 * `batch`. */
void linux_driver_refill(struct linux_queue *queue, struct context *context, uint32_t batch);
/* Releases what was sent, up to a limit. False if there was more. */
bool linux_driver_transmit_clean(struct linux_queue *queue, struct context *context);
/* Puts a frame on the ring and rings the doorbell. False: the ring is full. */
bool linux_driver_transmit(struct linux_queue *queue, struct context *context, struct linux_skb *skb);
/* The queue that a CPU sends through. */
struct linux_queue *linux_driver_queue_of(struct linux_cpu *cpu);
/* ---- linux_moderation.c: chooses the interrupt interval from what the last brought ---- */
void linux_driver_moderate(struct linux_queue *queue, struct context *context);

/* ---- linux_interrupt.c: hard interrupts ---- */
void linux_interrupt_open(struct linux_cpu *cpu);

/* ---- linux_softirq.c: NET_RX and its daemon; linux_napi.c: the poll ---- */
void linux_softirq_open(struct linux_cpu *cpu);
/* napi_schedule: the queue will be polled by the softirq of `cpu`. */
void linux_napi_schedule(struct linux_cpu *cpu, struct linux_queue *queue);
/* Whether raised softirqs may run here now. */
bool linux_softirq_due(const struct linux_cpu *cpu);
/* __do_softirq, on whatever context calls it. */
void linux_softirq_serve(struct linux_cpu *cpu, struct context *context);
/* ixgbe_poll: returns the packets taken, `weight` if there is more to do. */
uint64_t linux_napi_poll(struct linux_cpu *cpu, struct context *context, struct linux_queue *queue, uint64_t weight);

/* ---- linux_thread.c: threads, pinned to a CPU each ---- */
/* A sleeping thread; `name` is copied into its context. */
struct linux_thread *linux_thread_create(struct linux_cpu *cpu, const char *name,
                                         void (*body)(struct linux_thread *thread));
void linux_threads_free(struct linux_system *system);

/* ---- linux_sched.c: CFS ---- */
/* Makes a sleeping thread ready. `waker` is the CPU on which that happens; NULL:
 * at set-up. */
void linux_sched_wake(struct linux_thread *thread, struct linux_cpu *waker);
/* [thread] Leaves the CPU until woken. The caller has set the state to
 * LINUX_SLEEPING, let the CPU run, and found that nobody woke it meanwhile. On
 * return the switch is charged for `request` (that of the socket's first datagram,
 * if there is a socket). */
void linux_sched_sleep(struct linux_thread *thread, const struct linux_socket *socket);
/* [thread] The same for a thread that works for `request` (NULL: nobody): the switch
 * back to it is charged as `component`. */
void linux_sched_sleep_for(struct linux_thread *thread, ledger_component component, struct request *request);
/* The same for an event set. */
void linux_sched_sleep_on_set(struct linux_thread *thread, const struct linux_event_set *set);
/* [thread] Where a pre-emption that is due may happen in kernel code: on return to
 * user mode, in cond_resched. Work goes on for `component` and `request`. */
void linux_sched_preemption_point(struct linux_thread *thread, ledger_component component, struct request *request);
/* At the end of an interrupt or softirq, in its `context`: who has the thread level. */
void linux_sched_resume(struct linux_cpu *cpu, struct context *context);
/* The tick's part: is the present thread's slice over? */
void linux_sched_tick(struct linux_cpu *cpu);
/* Gives the thread level to the first thread that is ready. False: there is none. */
bool linux_sched_start(struct linux_cpu *cpu);
/* [thread] Its body has returned: another gets the CPU. */
void linux_sched_exit(struct linux_thread *thread);

/* ---- linux_idle.c: the idle loop, its governor, the tick ---- */
void linux_idle_open(struct linux_cpu *cpu);
/* The CPU is interrupted; `raised`: when the pin was. True if it was in an idle state
 * that takes time to leave. */
bool linux_idle_leave(struct linux_cpu *cpu, sim_time raised);
/* The tick runs while the CPU is not idle (NOHZ). */
void linux_tick_start(struct linux_cpu *cpu);
void linux_tick_stop(struct linux_cpu *cpu);

/* ---- linux_socket.c: demultiplexing and socket buffers ---- */
/* netif_receive_skb and above, for one packet; the request is net_stack_in's. */
void linux_socket_input(struct linux_cpu *cpu, struct context *context, struct linux_skb *skb);
/* [thread] ERR_EXISTS: the port is bound. */
enum error_code linux_socket_bind(struct system_thread *thread, uint16_t port, struct system_socket **socket);
/* The socket buffer that a reader would get first; NULL: none. A stream without one may
 * be ready all the same. */
const struct linux_skb *linux_socket_first(const struct linux_socket *socket);
bool linux_socket_is_ready(const struct linux_socket *socket);
/* sock_def_readable: wakes who waits for the socket, or for a set that it is in. */
void linux_socket_data_ready(struct linux_cpu *cpu, struct linux_socket *socket);
/* kfree_skb: the work so far was for nothing. */
void linux_socket_drop(struct linux_cpu *cpu, struct context *context, struct linux_skb *skb, uint64_t *counter,
                       const char *reason);
/* A sent packet no longer counts against its socket; wakes writers. */
void linux_socket_sent(struct linux_cpu *cpu, struct linux_skb *skb);
void linux_sockets_free(struct linux_system *system);
/* Adds to the end of a list of waiting threads; takes the first, or NULL. */
void linux_waiters_add(struct linux_thread **list, struct linux_thread *thread);
struct linux_thread *linux_waiters_take(struct linux_thread **list);
/* The MAC address of a peer, as learnt from what it sent; broadcast if unknown. */
void linux_neighbour_find(const struct linux_system *system, uint32_t ip, uint8_t mac[6]);

/* ---- linux_syscall.c: [thread] what processes call; linux_send.c: sendmsg ---- */
/* Into and out of the kernel, for `request` (NULL: on no request's path). */
void linux_syscall_enter(struct linux_thread *thread, struct request *request);
void linux_syscall_return(struct linux_thread *thread, struct request *request);
/* Charges for the release of the datagrams that were read: off every path. */
void linux_free_read_skbs(struct linux_thread *thread);
enum error_code linux_socket_wait(struct system_thread *thread, struct system_socket *socket, enum system_wait how);
enum error_code linux_receive(struct system_thread *thread, struct system_socket *socket, struct system_buffer *into);
enum error_code linux_send(struct system_thread *thread, struct system_socket *socket, struct system_buffer *buffer,
                           struct system_endpoint to);

/* sk_stream_wait_memory, sock_alloc_send_skb: waits while the socket has too much under
 * way. */
void linux_await_space(struct linux_thread *thread, struct linux_socket *socket, struct request *request);
/* The work was for nothing: a message to be sent and its request end here. */
void linux_discard(struct linux_thread *thread, struct request *request, const char *reason);

/* ---- linux_tcp.c: connections: input, timers, output, on whatever context; ---- */
/* ---- linux_stream.c: [thread] what processes call ---- */
static inline struct linux_stream *linux_stream_of(const struct tcp_stream *stream) {
    return (struct linux_stream *)(void *)((char *)(uintptr_t)stream - offsetof(struct linux_stream, stream));
}
static inline struct linux_skb *linux_skb_of(const struct tcp_carrier *carrier) {
    return (struct linux_skb *)(void *)((char *)(uintptr_t)carrier - offsetof(struct linux_skb, carrier));
}
static inline struct linux_event_set *linux_event_set_of(const struct event_set *set) {
    return (struct linux_event_set *)(void *)((char *)(uintptr_t)set - offsetof(struct linux_event_set, set));
}
/* Makes ready for TCP: its working set, its tables. ERR_UNSUPPORTED: the profile has no
 * costs for it. */
enum error_code linux_tcp_open(struct linux_system *system);
void linux_tcp_close(struct linux_system *system);
bool linux_tcp_takes(const struct linux_system *system, const struct linux_skb *skb);
/* tcp_v4_rcv: one packet; its request is net_stack_in's. */
void linux_tcp_input(struct linux_cpu *cpu, struct context *context, struct linux_skb *skb);
/* tcp_push_pending_frames: sends what the connection has due, releases what it has
 * done with, and sets its timer. The work is for `worker`, but where a segment carries
 * a request of its own; `variation`: the factor on its cycles. */
void linux_tcp_output(struct linux_stream *stream, struct linux_cpu *cpu, struct context *context,
                      struct request *worker, double variation);
/* The control block's lines, for the present work. */
void linux_tcp_touch(struct linux_stream *stream, struct context *context, double variation);
/* What is due of the CPU's timers. */
void linux_tcp_timers(struct linux_cpu *cpu, struct context *context);
enum error_code linux_stream_listen(struct system_thread *thread, uint16_t port, unsigned backlog,
                                    struct system_socket **socket);
enum error_code linux_stream_accept(struct system_thread *thread, struct system_socket *listener,
                                    struct system_socket **connection);
enum error_code linux_stream_close(struct system_thread *thread, struct system_socket *socket);
/* recvmsg and sendmsg of a stream; see linux_receive, linux_send. */
enum error_code linux_stream_receive(struct linux_thread *thread, struct linux_stream *stream,
                                     struct system_buffer *into);
enum error_code linux_stream_send(struct linux_thread *thread, struct linux_stream *stream,
                                  struct system_buffer *buffer);

/* ---- linux_epoll.c: [thread] ---- */
enum error_code linux_event_set_create(struct system_thread *thread, struct system_event_set **set);
enum error_code linux_event_set_add(struct system_thread *thread, struct system_event_set *set,
                                    struct system_socket *socket, void *user);
enum error_code linux_event_wait(struct system_thread *thread, struct system_event_set *set, enum system_wait how,
                                 struct system_event *events, unsigned capacity, unsigned *count);
void linux_event_sets_free(struct linux_system *system);
/* The socket buffer that the first ready socket of a set has; NULL: none. */
const struct linux_skb *linux_event_set_first(const struct linux_event_set *set);
/* ep_poll_callback: a source has come into the set's list. */
void linux_event_set_wake(struct linux_cpu *cpu, struct linux_event_set *set);

/* ---- linux_components.c, linux_stats.c ---- */
void linux_declare_components(void);
void linux_visit_stats(const struct system *system, const struct stats_sink *sink);
void linux_reset_stats(struct system *system);

#endif
