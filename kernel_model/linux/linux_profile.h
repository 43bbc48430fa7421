/* linux_profile.h: what the kernel's steps cost, and what an entry of type "linux"
 * may say. */
#ifndef STILLSUIT_KERNEL_MODEL_LINUX_LINUX_PROFILE_H
#define STILLSUIT_KERNEL_MODEL_LINUX_LINUX_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel_model/common/frames.h"
#include "sim/config.h"
#include "sim/param.h"
#include "sim/time.h"
#include "stack/tcp_host.h"
#include "stack/tcp_stack.h"
#include "stack/udp_stack.h"

/* One list of the steps: key, help. What each is for is also in docs and in the
 * profile itself. */
#define LINUX_STEPS(X)                                                                                                 \
    X(irq_handler, "the NIC's interrupt handler: irq_enter, handler, napi_schedule, irq_exit")                         \
    X(resched_handler, "the handler of the rescheduling inter-processor interrupt")                                    \
    X(timer_tick, "the periodic tick: time keeping, accounting, scheduler_tick")                                       \
    X(softirq_round, "one round of __do_softirq and net_rx_action, without its polls")                                 \
    X(napi_poll, "one call of the driver's poll, without its packets")                                                 \
    X(buffer_refill, "giving the NIC one receive buffer")                                                              \
    X(transmit_clean, "releasing one transmitted packet")                                                              \
    X(driver_receive, "driver, socket buffer, GRO and netif_receive_skb for one packet")                               \
    X(socket_deliver, "socket look-up, filter, accounting and queueing of one datagram")                               \
    X(wake_up, "sock_def_readable and try_to_wake_up for one datagram")                                                \
    X(context_switch, "schedule() and switch_to, in")                                                                  \
    X(sleep, "leaving the run queue in a blocking call")                                                               \
    X(recv, "recvmsg, without the copy of the payload")                                                                \
    X(recv_empty, "recvmsg that finds nothing")                                                                        \
    X(epoll_wait, "epoll_wait that reports one event")                                                                 \
    X(skb_free, "releasing a socket buffer that was read")                                                             \
    X(crossing_syscall, "from user mode to the system call's function")                                                \
    X(crossing_return, "from the system call's function back to user mode")                                            \
    X(sendmsg, "sendmsg and allocation of the socket buffer, without the copy of the payload")                         \
    X(driver_transmit, "routing, qdisc and driver for one packet, without IP and UDP")                                 \
    X(idle_loop, "entering the idle loop: NOHZ, governor; its footprint displaces the L1")

/* Those of systems with TCP. */
#define LINUX_STREAM_STEPS(X)                                                                                          \
    X(epoll_event, "epoll_wait: each event that it looks at beyond the first")                                         \
    X(epoll_control, "epoll_ctl that adds a socket")                                                                   \
    X(accept, "accept: a file, a socket, a descriptor")                                                                \
    X(stream_setup, "listen and close, by the socket")

/* A step: its cost, and where the lines that it touches lie. */
struct linux_step {
    struct cost cost;
    uint64_t lines_at; /* physical */
};

struct linux_profile {
#define LINUX_STEP_MEMBER(name, help) struct linux_step name;
    LINUX_STEPS(LINUX_STEP_MEMBER)
    LINUX_STREAM_STEPS(LINUX_STEP_MEMBER)
#undef LINUX_STEP_MEMBER
    double variation; /* coefficient of variation of a packet's kernel cycles */
    const struct config_node *stack_node;
    struct udp_stack_costs stack;
    struct tcp_stack_costs tcp;
};
extern const struct param linux_profile_params[];

/* Fills a profile from `profile:`; false if anything was reported. */
bool linux_profile_bind(const struct config_node *node, struct linux_profile *profile, struct diagnostics *diagnostics);
/* Gives every step a region of kernel memory of its own. Returns the address of the
 * IP stack's region; 0 if memory ran out. */
uint64_t linux_profile_place(struct linux_profile *profile, struct frames *frames);
/* The same for what streams need beyond that; the address is of TCP's region. */
uint64_t linux_profile_place_streams(struct linux_profile *profile, struct frames *frames);
/* Calls `visit` for every cost, the IP stack's included; with `streams` those of TCP. */
void linux_profile_visit(const struct linux_profile *profile, bool streams,
                         void (*visit)(void *context, const char *key, const struct cost *cost), void *context);

enum linux_wait_with { LINUX_WAIT_RECV, LINUX_WAIT_EPOLL };
enum linux_throttle { LINUX_THROTTLE_ADAPTIVE, LINUX_THROTTLE_FIXED, LINUX_THROTTLE_OFF };

/* The system's entry. */
struct linux_config {
    const char *name, *type, *nic, *ip_text, *mac_text;
    const struct config_node *profile_node, *storage_node;
    uint64_t queues;
    uint64_t interrupt_core; /* of queue 0; queue n is n cores further */
    uint64_t receive_ring, transmit_ring;
    uint64_t napi_weight, netdev_budget, softirq_restarts;
    uint64_t receive_buffer_bytes, send_buffer_bytes;
    uint64_t truesize_bytes;
    const struct config_node *tcp_node;
    struct tcp_config tcp;
    uint64_t tick_hz;
    sim_time idle_latency_limit;
    sim_time sched_latency, sched_min_granularity, sched_wakeup_granularity;
    int wait_with;
    int interrupt_throttle;
    sim_time throttle_lowest, throttle_low, throttle_bulk;
    uint32_t ip;
    uint8_t mac[6];
};
extern const struct param linux_config_params[];

/* Fills the configuration of an entry; false if anything was reported. */
bool linux_config_bind(const struct config_node *node, struct linux_config *config, struct diagnostics *diagnostics);

#endif
