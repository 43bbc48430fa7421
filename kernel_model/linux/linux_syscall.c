/* linux_syscall.c: crossings, waiting for a datagram, and recvmsg. */
#include "kernel_model/linux/linux_internal.h"

static struct linux_thread *thread_of(struct system_thread *thread) {
    return (struct linux_thread *)thread;
}

void linux_syscall_enter(struct linux_thread *thread, struct request *request) {
    thread->user = false;
    cpu_work_for(thread->context, linux_components.crossing_syscall, request);
    linux_charge(thread->context, &linux_of(thread)->profile.crossing_syscall, thread->variation);
}

void linux_syscall_return(struct linux_thread *thread, struct request *request) {
    cpu_work_for(thread->context, linux_components.crossing_return, request);
    linux_charge(thread->context, &linux_of(thread)->profile.crossing_return, thread->variation);
    linux_sched_preemption_point(thread, linux_components.crossing_return, request);
    thread->user = true;
}

void linux_free_read_skbs(struct linux_thread *thread) {
    if (thread->skbs_to_free == 0) {
        return;
    }
    cpu_work_for(thread->context, linux_components.net_housekeeping, NULL);
    for (; thread->skbs_to_free > 0; --thread->skbs_to_free) {
        linux_charge(thread->context, &linux_of(thread)->profile.skb_free, 1);
    }
}

/* ---- waiting ---- */

/* Sleeps in the kernel until the socket has something. */
static void await_data(struct linux_thread *thread, struct linux_socket *socket) {
    struct linux_profile *profile = &linux_of(thread)->profile;
    while (!linux_socket_is_ready(socket)) {
        cpu_work_for(thread->context, linux_components.scheduler, NULL);
        linux_charge(thread->context, &profile->sleep, 1);
        thread->state = LINUX_SLEEPING;
        linux_waiters_add(&socket->sleepers, thread);
        cpu_run(thread->context);
        if (thread->state == LINUX_SLEEPING) {
            linux_sched_sleep(thread, socket);
        }
    }
}

/* epoll_wait, which says that there is something, and returns. */
static void epoll_wait(struct linux_thread *thread, struct linux_socket *socket) {
    struct linux_profile *profile = &linux_of(thread)->profile;
    linux_syscall_enter(thread, NULL);
    await_data(thread, socket);
    const struct linux_skb *skb = linux_socket_first(socket);
    const double variation = skb != NULL ? skb->variation : 1;
    cpu_work_for(thread->context, linux_components.epoll, skb != NULL ? skb->carrier.request : NULL);
    linux_charge(thread->context, &profile->epoll_wait, variation);
    linux_charge(thread->context, &profile->crossing_return, variation);
    cpu_pass_on(thread->context, linux_components.socket_queue, LEDGER_WAITING);
    cpu_run(thread->context);
    linux_sched_preemption_point(thread, linux_components.epoll, NULL);
    thread->user = true;
}

/* Calls recv without blocking, again and again: one call by its steps, which also
 * keeps their lines in the cache, the rest as a spin of the same length. */
static void spin(struct linux_thread *thread, struct linux_socket *socket) {
    struct linux_profile *profile = &linux_of(thread)->profile;
    const uint64_t cycles =
        profile->crossing_syscall.cost.cycles + profile->recv_empty.cost.cycles + profile->crossing_return.cost.cycles;
    thread->user = true;
    while (!linux_socket_is_ready(socket)) {
        cpu_work_for(thread->context, linux_components.recv_poll, NULL);
        linux_charge(thread->context, &profile->crossing_syscall, 1);
        linux_charge(thread->context, &profile->recv_empty, 1);
        linux_charge(thread->context, &profile->crossing_return, 1);
        linux_waiters_add(&socket->pollers, thread);
        cpu_spin(thread->context, cycles > 0 ? cycles : 1, linux_components.recv_poll);
    }
}

enum error_code linux_socket_wait(struct system_thread *caller, struct system_socket *where, enum system_wait how) {
    struct linux_thread *thread = thread_of(caller);
    struct linux_socket *socket = (struct linux_socket *)where;
    linux_free_read_skbs(thread);
    if (how == SYSTEM_WAIT_SPIN) {
        spin(thread, socket);
    } else if (linux_of(thread)->config.wait_with == LINUX_WAIT_EPOLL) {
        epoll_wait(thread, socket);
    } else if (thread->in_recv != socket) {
        linux_syscall_enter(thread, NULL);
        await_data(thread, socket);
        thread->in_recv = socket;
    }
    return OK;
}

/* ---- recvmsg ---- */

static struct linux_skb *dequeue(struct linux_socket *socket) {
    struct linux_skb *skb = socket->first;
    if (skb != NULL) {
        socket->first = skb->next;
        socket->receive_allocated_bytes -= socket->system->config.truesize_bytes;
    }
    return skb;
}

static struct linux_skb *dequeue_or_wait_for_charges(struct linux_thread *thread, struct linux_socket *socket) {
    struct linux_skb *skb = dequeue(socket);
    if (skb == NULL) { /* what arrives until the call gets here counts */
        cpu_run(thread->context);
        skb = dequeue(socket);
    }
    return skb;
}

enum error_code linux_receive(struct system_thread *caller, struct system_socket *where, struct system_buffer *into) {
    struct linux_thread *thread = thread_of(caller);
    struct linux_socket *socket = (struct linux_socket *)where;
    struct linux_profile *profile = &linux_of(thread)->profile;
    if (socket->type == LINUX_TCP) {
        return linux_stream_receive(thread, (struct linux_stream *)socket, into);
    }
    if (thread->in_recv != socket) {
        linux_free_read_skbs(thread);
        linux_syscall_enter(thread, NULL);
    }
    thread->in_recv = NULL;
    struct linux_skb *skb = dequeue_or_wait_for_charges(thread, socket);
    if (skb == NULL) {
        cpu_work_for(thread->context, linux_components.recv_poll, NULL);
        linux_charge(thread->context, &profile->recv_empty, 1);
        linux_syscall_return(thread, NULL);
        return ERR_AGAIN;
    }
    thread->variation = skb->variation;
    into->request = skb->carrier.request;
    into->peer = skb->peer;
    into->length_bytes = skb->payload_bytes < into->capacity_bytes ? skb->payload_bytes : into->capacity_bytes;
    cpu_work_for(thread->context, system_components.copy_in, into->request);
    linux_charge(thread->context, &profile->recv, thread->variation);
    cpu_copy(thread->context, into->physical, skb->physical + skb->payload_offset, into->length_bytes);
    linux_skb_release(linux_of(thread), skb);
    thread->skbs_to_free += 1;
    linux_syscall_return(thread, into->request);
    cpu_work_for(thread->context, system_components.app, into->request);
    return OK;
}
