#include "stack/tcp_alarm.h"

static void append(struct tcp_alarms *alarms, struct tcp_alarm *alarm) {
    struct tcp_alarm **end = &alarms->first;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    alarm->next = NULL;
    *end = alarm;
}

static void on_timer(void *argument) {
    struct tcp_alarm *alarm = argument;
    struct tcp_alarms *alarms = alarm->alarms;
    const sim_time due = tcp_deadline(&alarm->stream->connection);
    if (due == 0 || alarm->due) {
        return;
    }
    if (due > sim_now()) {
        sim_schedule_at(&alarm->event, due);
        return;
    }
    alarm->due = true;
    append(alarms, alarm);
    alarms->raise(alarms->owner, alarms->first == alarm);
}

void tcp_alarm_init(struct tcp_alarm *alarm, struct tcp_stream *stream, struct tcp_alarms *alarms,
                    enum sim_priority priority) {
    *alarm = (struct tcp_alarm){.stream = stream, .alarms = alarms};
    sim_event_init(&alarm->event, priority, on_timer, alarm);
}

/* An event that comes too early looks again, which costs nothing: so it need not be moved
 * each time that the deadline does. */
void tcp_alarm_set(struct tcp_alarm *alarm) {
    const sim_time due = tcp_deadline(&alarm->stream->connection);
    if (due == 0 || alarm->due) {
        return;
    }
    if (!sim_event_pending(&alarm->event) || alarm->event.due > due) {
        (void)sim_cancel(&alarm->event);
        sim_schedule_at(&alarm->event, due > sim_now() ? due : sim_now());
    }
}

void tcp_alarm_cancel(struct tcp_alarm *alarm) {
    (void)sim_cancel(&alarm->event);
}

struct tcp_stream *tcp_alarms_take(struct tcp_alarms *alarms) {
    struct tcp_alarm *alarm = alarms->first;
    if (alarm == NULL) {
        return NULL;
    }
    alarms->first = alarm->next;
    alarm->due = false;
    return alarm->stream;
}
