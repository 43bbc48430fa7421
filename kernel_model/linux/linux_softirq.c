/* linux_softirq.c: NET_RX: __do_softirq, net_rx_action, and ksoftirqd.
 *
 * As in 3.8: raised softirqs run where an interrupt ends, whether or not ksoftirqd
 * is waiting to do it, and where softirqs are switched on again; after some rounds
 * the rest is left to ksoftirqd, a thread that CFS treats like any other. So what
 * the network takes from the applications under overload follows from these rules. */
#include <stdio.h>

#include "kernel_model/linux/linux_internal.h"

enum { NET_RX_JIFFIES = 2 };

bool linux_softirq_due(const struct linux_cpu *cpu) {
    return (cpu->net_receive_raised || cpu->alarms.first != NULL) && cpu->softirqs_off == 0;
}

void linux_napi_schedule(struct linux_cpu *cpu, struct linux_queue *queue) {
    if (queue->scheduled) {
        return;
    }
    queue->scheduled = true;
    queue->next_polled = NULL;
    if (cpu->poll_last == NULL) {
        cpu->poll_first = queue;
    } else {
        cpu->poll_last->next_polled = queue;
    }
    cpu->poll_last = queue;
    cpu->net_receive_raised = true;
}

static struct linux_queue *take_polled(struct linux_cpu *cpu) {
    struct linux_queue *queue = cpu->poll_first;
    cpu->poll_first = queue->next_polled;
    if (cpu->poll_first == NULL) {
        cpu->poll_last = NULL;
    }
    return queue;
}

static uint64_t jiffies(const struct linux_cpu *cpu) {
    return sim_now() / (SIM_S / cpu->system->config.tick_hz);
}

/* Polls in turn until nobody has anything left, or budget or time is used up. */
static void net_receive_action(struct linux_cpu *cpu, struct context *context) {
    const struct linux_config *config = &cpu->system->config;
    const uint64_t limit = jiffies(cpu) + NET_RX_JIFFIES;
    uint64_t taken = 0;
    while (cpu->poll_first != NULL) {
        if (taken >= config->netdev_budget || jiffies(cpu) > limit) {
            cpu->counters.time_squeezes += 1;
            cpu->net_receive_raised = true;
            return;
        }
        struct linux_queue *queue = cpu->poll_first;
        const uint64_t done = linux_napi_poll(cpu, context, queue, config->napi_weight);
        taken += done;
        if (done >= config->napi_weight) { /* it is not done: to the end of the line */
            (void)take_polled(cpu);
            queue->scheduled = false;
            linux_napi_schedule(cpu, queue);
        }
    }
}

void linux_softirq_serve(struct linux_cpu *cpu, struct context *context) {
    struct linux_profile *profile = &cpu->system->profile;
    uint64_t rounds = cpu->system->config.softirq_restarts;
    cpu->softirqs_off += 1;
    do {
        cpu->net_receive_raised = false;
        cpu->counters.softirq_rounds += 1;
        cpu_work_for(context, linux_components.softirq_overhead, NULL);
        linux_charge(context, &profile->softirq_round, 1);
        linux_tcp_timers(cpu, context); /* TIMER_SOFTIRQ comes before NET_RX */
        net_receive_action(cpu, context);
        rounds -= 1;
    } while (cpu->net_receive_raised && rounds > 0);
    if (cpu->net_receive_raised && cpu->ksoftirqd->state == LINUX_SLEEPING) {
        cpu->counters.ksoftirqd_wakeups += 1;
        linux_sched_wake(cpu->ksoftirqd, cpu);
    }
    cpu_work_for(context, linux_components.softirq_overhead, NULL);
    cpu_run(context);
    cpu->softirqs_off -= 1;
}

/* Once each time that irq_exit asks; what is left after that is ksoftirqd's. */
static void softirq_main(void *argument) {
    struct linux_cpu *cpu = argument;
    for (;;) {
        while (cpu->softirq_entered) {
            cpu->softirq_entered = false;
            linux_softirq_serve(cpu, cpu->softirq);
            linux_sched_resume(cpu, cpu->softirq);
        }
        cpu_block(cpu->softirq);
    }
}

/* run_ksoftirqd, within smpboot's loop. */
static void ksoftirqd_main(struct linux_thread *thread) {
    struct linux_cpu *cpu = thread->cpu;
    for (;;) {
        while (cpu->net_receive_raised) {
            linux_softirq_serve(cpu, thread->context);
            linux_sched_preemption_point(thread, linux_components.softirq_overhead, NULL);
        }
        thread->state = LINUX_SLEEPING;
        cpu_run(thread->context);
        if (thread->state == LINUX_SLEEPING) {
            linux_sched_sleep(thread, NULL);
        }
    }
}

void linux_softirq_open(struct linux_cpu *cpu) {
    char name[32];
    (void)snprintf(name, sizeof name, "softirq/%u", cpu->index);
    cpu->softirq = context_create(cpu->core, CORE_SOFTIRQ, name, NULL, softirq_main, cpu);
    (void)snprintf(name, sizeof name, "ksoftirqd/%u", cpu->index);
    cpu->ksoftirqd = linux_thread_create(cpu, name, ksoftirqd_main);
}
