/* linux_epoll.c: eventpoll: sockets put themselves into the set's list of the ready
 * (ep_poll_callback); epoll_wait looks at that list alone and, level-triggered, leaves
 * in it what is still ready. */
#include <stdlib.h>

#include "kernel_model/linux/linux_internal.h"

_Static_assert((int)EVENT_READABLE == (int)SYSTEM_READABLE && (int)EVENT_ACCEPTABLE == (int)SYSTEM_ACCEPTABLE &&
                   (int)EVENT_CLOSED == (int)SYSTEM_CLOSED,
               "readiness has one coding");

static struct linux_event_set *set_of(struct system_event_set *set) {
    return (struct linux_event_set *)set;
}

/* ---- epoll_create, epoll_ctl ---- */

enum error_code linux_event_set_create(struct system_thread *caller, struct system_event_set **out) {
    struct linux_system *system = (struct linux_system *)caller->process->system;
    if (system->profile.stack.tcp_node == NULL) {
        return ERR_UNSUPPORTED;
    }
    struct linux_event_set *set = calloc(1, sizeof *set);
    SIM_ASSERT_MSG(set != NULL, "out of memory");
    set->base.process = caller->process;
    set->next = system->event_sets;
    system->event_sets = set;
    *out = &set->base;
    return linux_tcp_open(system);
}

void linux_event_sets_free(struct linux_system *system) {
    while (system->event_sets != NULL) {
        struct linux_event_set *set = system->event_sets;
        system->event_sets = set->next;
        free(set);
    }
}

static unsigned readiness(const void *source) {
    const struct linux_socket *socket = source;
    if (socket->type == LINUX_TCP) {
        return tcp_stream_readiness(&((const struct linux_stream *)socket)->stream);
    }
    return socket->first != NULL ? EVENT_READABLE : 0;
}

enum error_code linux_event_set_add(struct system_thread *caller, struct system_event_set *where,
                                    struct system_socket *what, void *user) {
    struct linux_thread *thread = (struct linux_thread *)caller;
    struct linux_socket *socket = (struct linux_socket *)what;
    if (socket->item.set != NULL) {
        return ERR_EXISTS;
    }
    linux_free_read_skbs(thread);
    linux_syscall_enter(thread, NULL);
    linux_charge(thread->context, &linux_of(thread)->profile.epoll_control, 1);
    cpu_run(thread->context);
    socket->item = (struct event_item){.source = socket, .user = user, .readiness = readiness};
    event_set_add_item(&set_of(where)->set, &socket->item);
    linux_syscall_return(thread, NULL);
    return OK;
}

/* ---- ep_poll_callback ---- */

void linux_event_set_wake(struct linux_cpu *cpu, struct linux_event_set *set) {
    struct linux_thread *thread = linux_waiters_take(&set->sleepers); /* exclusive: one a wake-up */
    if (thread != NULL) {
        linux_sched_wake(thread, cpu);
        return;
    }
    thread = linux_waiters_take(&set->pollers);
    if (thread != NULL) {
        cpu_spin_wake(thread->context);
    }
}

const struct linux_skb *linux_event_set_first(const struct linux_event_set *set) {
    const struct event_item *item = event_set_peek(&set->set);
    return item != NULL ? linux_socket_first(item->source) : NULL;
}

/* ---- epoll_wait ---- */

struct harvest {
    struct system_event *events;
    unsigned capacity, count, looked;
    const struct linux_skb *first; /* of the first event, if it is data */
};

/* ep_send_events: one round of the list; what is no longer ready leaves it. */
static void collect(struct linux_event_set *set, struct harvest *harvest) {
    const size_t round = set->set.queued;
    for (size_t i = 0; i < round && harvest->count < harvest->capacity; ++i) {
        unsigned ready;
        const struct event_item *item = event_set_look(&set->set, &ready);
        harvest->looked += 1;
        if (ready != 0) {
            if (harvest->count == 0) {
                harvest->first = linux_socket_first(item->source);
            }
            harvest->events[harvest->count++] = (struct system_event){.user = item->user, .ready = ready};
        }
    }
}

static void sleep_on(struct linux_thread *thread, struct linux_event_set *set) {
    cpu_work_for(thread->context, linux_components.scheduler, NULL);
    linux_charge(thread->context, &linux_of(thread)->profile.sleep, 1);
    thread->state = LINUX_SLEEPING;
    linux_waiters_add(&set->sleepers, thread);
    cpu_run(thread->context);
    if (thread->state == LINUX_SLEEPING) {
        linux_sched_sleep_on_set(thread, set);
    }
}

/* epoll_wait with a timeout of 0, again and again, as a spin of the same length. */
static void spin_on(struct linux_thread *thread, struct linux_event_set *set) {
    struct linux_profile *profile = &linux_of(thread)->profile;
    const uint64_t cycles =
        profile->crossing_syscall.cost.cycles + profile->epoll_wait.cost.cycles + profile->crossing_return.cost.cycles;
    thread->user = true;
    while (event_set_peek(&set->set) == NULL) {
        cpu_work_for(thread->context, linux_components.recv_poll, NULL);
        linux_charge(thread->context, &profile->crossing_syscall, 1);
        linux_charge(thread->context, &profile->epoll_wait, 1);
        linux_charge(thread->context, &profile->crossing_return, 1);
        cpu_run(thread->context);
        if (event_set_peek(&set->set) != NULL) {
            break;
        }
        struct system_event unused;
        struct harvest none = {.events = &unused, .capacity = 1};
        collect(set, &none); /* nothing is ready; the list is empty now, and whoever comes in wakes */
        linux_waiters_add(&set->pollers, thread);
        cpu_spin(thread->context, cycles > 0 ? cycles : 1, linux_components.recv_poll);
    }
}

/* What it found is charged to the first event's request; the others wait. */
static void report(struct linux_thread *thread, const struct harvest *harvest) {
    struct linux_profile *profile = &linux_of(thread)->profile;
    const struct linux_skb *first = harvest->first;
    const double variation = first != NULL ? first->variation : 1;
    cpu_work_for(thread->context, linux_components.epoll, first != NULL ? first->carrier.request : NULL);
    linux_charge(thread->context, &profile->epoll_wait, variation);
    for (unsigned i = 1; i < harvest->looked; ++i) {
        linux_charge(thread->context, &profile->epoll_event, variation);
    }
    linux_charge(thread->context, &profile->crossing_return, variation);
    if (first != NULL && first->carrier.request != NULL) {
        cpu_pass_on(thread->context, linux_components.socket_queue, LEDGER_WAITING);
    }
    cpu_run(thread->context);
    linux_sched_preemption_point(thread, linux_components.epoll, NULL);
    thread->user = true;
}

enum error_code linux_event_wait(struct system_thread *caller, struct system_event_set *where, enum system_wait how,
                                 struct system_event *events, unsigned capacity, unsigned *count) {
    struct linux_thread *thread = (struct linux_thread *)caller;
    struct linux_event_set *set = set_of(where);
    struct harvest harvest = {.events = events, .capacity = capacity};
    SIM_ASSERT(capacity > 0);
    thread->in_recv = NULL;
    linux_free_read_skbs(thread);
    if (how == SYSTEM_WAIT_SPIN) {
        spin_on(thread, set);
    }
    linux_syscall_enter(thread, NULL);
    collect(set, &harvest);
    while (harvest.count == 0) {
        sleep_on(thread, set);
        collect(set, &harvest);
    }
    thread->cpu->counters.epoll_waits += 1;
    thread->cpu->counters.epoll_events += harvest.count;
    report(thread, &harvest);
    *count = harvest.count;
    return OK;
}
