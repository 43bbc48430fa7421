#include "hw/interval.h"

static void on_event(void *context) {
    struct interval *interval = context;
    interval->ticks++;
    sim_schedule_at(&interval->event, interval->start + (interval->ticks + 1) * interval->period);
    interval->on_tick(interval->context);
}

void interval_init(struct interval *interval, void (*on_tick)(void *context), void *context) {
    *interval = (struct interval){.on_tick = on_tick, .context = context};
    sim_event_init(&interval->event, SIM_PRIORITY_HARDWARE, on_event, interval);
}

void interval_start(struct interval *interval, sim_time period) {
    interval_stop(interval);
    interval->start = sim_now();
    interval->period = period;
    interval->ticks = 0;
    if (period > 0) {
        sim_schedule(&interval->event, period);
    }
}

void interval_stop(struct interval *interval) {
    (void)sim_cancel(&interval->event);
}
