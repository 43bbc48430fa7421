/* tcp_alarm.h: the timer of a connection, as whoever serves connections sees it: those
 * that are due stand in a list until it takes them. */
#ifndef STILLSUIT_STACK_TCP_ALARM_H
#define STILLSUIT_STACK_TCP_ALARM_H

#include "sim/engine.h"
#include "stack/tcp_host.h"

/* Whoever serves them: a core's softirq, a thread of a library. */
struct tcp_alarms {
    struct tcp_alarm *first; /* due, in order of time */
    /* One is due now; `alone`: no other was. */
    void (*raise)(void *owner, bool alone);
    void *owner;
};

/* Part of the owner's own connection; all 0 before tcp_alarm_init. */
struct tcp_alarm {
    struct sim_event event;
    struct tcp_stream *stream;
    struct tcp_alarms *alarms; /* of whom serves it now: may change at any time */
    bool due;                  /* in that list */
    struct tcp_alarm *next;
};

/* `priority` is enum sim_priority: hardware where a timer interrupts, software where a
 * thread looks at the clock. */
void tcp_alarm_init(struct tcp_alarm *alarm, struct tcp_stream *stream, struct tcp_alarms *alarms,
                    enum sim_priority priority);
/* Sets it to the connection's deadline, if it has one. */
void tcp_alarm_set(struct tcp_alarm *alarm);
void tcp_alarm_cancel(struct tcp_alarm *alarm);
/* The next connection whose timer is due (tcp_stream_timer is to be called); NULL: none. */
struct tcp_stream *tcp_alarms_take(struct tcp_alarms *alarms);

#endif
