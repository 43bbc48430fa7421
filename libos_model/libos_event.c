/* libos_event.c: epoll in the library: a call polls the thread's ring, which puts the
 * sockets that got something into the set's list, and reports from that list. */
#include <stdlib.h>

#include "libos_model/libos_net.h"

_Static_assert((int)EVENT_READABLE == (int)SYSTEM_READABLE && (int)EVENT_ACCEPTABLE == (int)SYSTEM_ACCEPTABLE &&
                   (int)EVENT_CLOSED == (int)SYSTEM_CLOSED,
               "readiness has one coding");

static struct event_set *set_of(struct system_event_set *set) {
    return &((struct libos_event_set *)(void *)set)->set;
}

enum error_code libos_event_set_create(struct system_thread *base, struct system_event_set **out) {
    struct libos_thread *thread = libos_thread_of(base);
    const enum error_code code = libos_tcp_open(thread);
    if (code != OK) {
        return code;
    }
    struct libos_event_set *set = calloc(1, sizeof *set);
    SIM_ASSERT(set != NULL);
    set->base.process = base->process;
    set->next = thread->tcp->event_sets;
    thread->tcp->event_sets = set;
    *out = &set->base;
    return OK;
}

static unsigned readiness(const void *source) {
    const struct libos_socket *socket = source;
    if (socket->is_stream) {
        return tcp_stream_readiness(&((const struct libos_stream *)source)->stream);
    }
    return socket->first != NULL ? EVENT_READABLE : 0;
}

enum error_code libos_event_set_add(struct system_thread *base, struct system_event_set *where,
                                    struct system_socket *handle, void *user) {
    struct libos_socket *socket = libos_socket_of(handle);
    if (socket->thread != libos_thread_of(base)) {
        return ERR_UNSUPPORTED; /* a socket is its thread's: nothing is locked */
    }
    if (socket->item.set != NULL) {
        return ERR_EXISTS;
    }
    socket->item = (struct event_item){.source = socket, .user = user, .readiness = readiness};
    event_set_add_item(set_of(where), &socket->item);
    return OK;
}

/* One round of the list; what is no longer ready leaves it. */
static unsigned collect(struct libos_thread *thread, struct event_set *set, struct system_event *events,
                        unsigned capacity) {
    unsigned count = 0;
    const size_t round = set->queued;
    for (size_t i = 0; i < round && count < capacity; i++) {
        unsigned ready = 0;
        const struct event_item *item = event_set_look(set, &ready);
        libos_stream_charge(thread, LIBOS_STREAM_event);
        if (ready != 0) {
            events[count++] = (struct system_event){.user = item->user, .ready = ready};
        }
    }
    return count;
}

/* What the call itself takes is nobody's: the requests that it finds wait meanwhile. */
static void begin(struct libos_thread *thread) {
    thread->stack.variation = 1.0;
    cpu_work_for(thread->context, vf_components.poll, NULL);
}

enum error_code libos_event_wait(struct system_thread *base, struct system_event_set *where, enum system_wait how,
                                 struct system_event *events, unsigned capacity, unsigned *count) {
    struct libos_thread *thread = libos_thread_of(base);
    struct event_set *set = set_of(where);
    vf_housekeep(&thread->driver, thread->context);
    begin(thread);
    libos_charge(thread, LIBOS_poll);
    cpu_run(thread->context);
    bool taken = libos_take_all(thread);
    begin(thread);
    *count = collect(thread, set, events, capacity);
    while (*count == 0 && !taken) { /* what storage has finished returns, too */
        taken = libos_turn(thread, how);
        begin(thread);
        *count = collect(thread, set, events, capacity);
    }
    libos_stream_charge(thread, LIBOS_STREAM_event_wait);
    cpu_run(thread->context);
    return OK;
}
