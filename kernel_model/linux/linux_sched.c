/* linux_sched.c: CFS for threads of one weight (nice 0), a run queue a CPU, after
 * kernel/sched/fair.c of 3.8. A thread's run time is what passes while it is
 * current, interrupts and softirqs included (CONFIG_IRQ_TIME_ACCOUNTING is off), so
 * that who is interrupted pays.
 *
 * Kernel code is not pre-empted (CONFIG_PREEMPT_VOLUNTARY): a thread in user mode
 * is, at the end of an interrupt; otherwise it is at its next pre-emption point. */
#include "kernel_model/linux/linux_internal.h"

enum { LATENCY_THREADS = 8 }; /* sched_nr_latency */

/* ---- virtual time ---- */

static void update_current(struct linux_cpu *cpu) {
    struct linux_thread *current = cpu->current;
    sim_time least = SIM_TIME_MAX;
    if (current != NULL) {
        const sim_time delta = sim_now() - current->run_since;
        current->run_since = sim_now();
        current->run_total += delta;
        current->virtual_runtime += delta;
        least = current->virtual_runtime;
    }
    if (cpu->ready != NULL && cpu->ready->virtual_runtime < least) {
        least = cpu->ready->virtual_runtime;
    }
    if (least != SIM_TIME_MAX && least > cpu->minimum_virtual_runtime) {
        cpu->minimum_virtual_runtime = least;
    }
}

/* One slice of those that `threads` share: sched_slice. */
static sim_time slice(const struct linux_system *system, unsigned threads) {
    const sim_time period = threads > LATENCY_THREADS ? threads * system->slice_minimum : system->slice_latency;
    return period / threads;
}

/* place_entity: a new thread begins a slice behind; one that slept gets up to half
 * a period (GENTLE_FAIR_SLEEPERS), never more than it had. */
static void place(struct linux_cpu *cpu, struct linux_thread *thread) {
    const sim_time minimum = cpu->minimum_virtual_runtime;
    if (thread->run_total == 0) {
        thread->virtual_runtime = minimum + slice(cpu->system, cpu->ready_count + 1);
        return;
    }
    const sim_time credit = cpu->system->slice_latency / 2;
    const sim_time earliest = minimum > credit ? minimum - credit : 0;
    if (thread->virtual_runtime < earliest) {
        thread->virtual_runtime = earliest;
    }
}

/* ---- the queue: by virtual runtime, then by id ---- */

static void enqueue(struct linux_cpu *cpu, struct linux_thread *thread) {
    struct linux_thread **link = &cpu->ready;
    while (*link != NULL && ((*link)->virtual_runtime < thread->virtual_runtime ||
                             ((*link)->virtual_runtime == thread->virtual_runtime && (*link)->id < thread->id))) {
        link = &(*link)->next_ready;
    }
    thread->next_ready = *link;
    *link = thread;
    thread->state = LINUX_READY;
    cpu->ready_count += 1;
}

/* The next thread becomes current; NULL: the idle thread does. */
static struct linux_thread *pick(struct linux_cpu *cpu) {
    struct linux_thread *next = cpu->ready;
    cpu->reschedule = false;
    cpu->current = next;
    if (next != NULL) {
        cpu->ready = next->next_ready;
        cpu->ready_count -= 1;
        next->state = LINUX_RUNNING;
        next->run_since = sim_now();
        next->run_total_at_switch = next->run_total;
        linux_tick_start(cpu);
    }
    return next;
}

static void dispatch(struct linux_cpu *cpu, struct linux_thread *next) {
    cpu->counters.context_switches += next != NULL ? 1 : 0;
    core_dispatch(cpu->core, CORE_THREAD, next != NULL ? next->context : cpu->swapper);
}

/* ---- switching ---- */

/* A thread that was pre-empted goes on where it was and cannot charge for being
 * switched to: who gives way to it does. */
static void pay_for_preempted(struct linux_cpu *cpu, struct context *context) {
    if (cpu->ready != NULL && cpu->ready->resumes) {
        cpu_work_for(context, linux_components.context_switch, NULL);
        linux_charge(context, &cpu->system->profile.context_switch, 1);
        cpu_run(context);
    }
}

/* The thread, which is no longer current, waits for its turn; then it pays. */
static void await_turn(struct linux_thread *thread, struct linux_thread *next) {
    thread->resumes = false;
    dispatch(thread->cpu, next);
    cpu_block(thread->context);
}

static void charge_switch(struct linux_thread *thread, struct request *request, double variation) {
    cpu_work_for(thread->context, linux_components.context_switch, request);
    linux_charge(thread->context, &linux_of(thread)->profile.context_switch, variation);
}

/* False: it was woken before it had left. */
static bool leave(struct linux_thread *thread) {
    struct linux_cpu *cpu = thread->cpu;
    pay_for_preempted(cpu, thread->context);
    if (thread->state != LINUX_SLEEPING) {
        return false;
    }
    update_current(cpu);
    await_turn(thread, pick(cpu));
    return true;
}

static void charge_switch_for(struct linux_thread *thread, const struct linux_skb *skb) {
    charge_switch(thread, skb != NULL ? skb->carrier.request : NULL, skb != NULL ? skb->variation : 1);
}

void linux_sched_sleep(struct linux_thread *thread, const struct linux_socket *socket) {
    if (leave(thread)) {
        charge_switch_for(thread, socket != NULL ? linux_socket_first(socket) : NULL);
    }
}

void linux_sched_sleep_for(struct linux_thread *thread, ledger_component component, struct request *request) {
    if (leave(thread)) {
        cpu_work_for(thread->context, component, request);
        linux_charge(thread->context, &linux_of(thread)->profile.context_switch, 1);
    }
}

void linux_sched_sleep_on_set(struct linux_thread *thread, const struct linux_event_set *set) {
    if (leave(thread)) {
        charge_switch_for(thread, linux_event_set_first(set));
    }
}

void linux_sched_preemption_point(struct linux_thread *thread, ledger_component component, struct request *request) {
    struct linux_cpu *cpu = thread->cpu;
    if (!cpu->reschedule) {
        return;
    }
    cpu_work_for(thread->context, component, request);
    cpu_pass_on(thread->context, linux_components.scheduler, LEDGER_WAITING);
    cpu_run(thread->context);
    pay_for_preempted(cpu, thread->context);
    update_current(cpu);
    enqueue(cpu, thread);
    struct linux_thread *next = pick(cpu);
    if (next != thread) {
        await_turn(thread, next);
        charge_switch(thread, request, 1);
    }
    cpu_work_for(thread->context, component, request);
}

void linux_sched_exit(struct linux_thread *thread) {
    struct linux_cpu *cpu = thread->cpu;
    cpu_run(thread->context);
    thread->state = LINUX_SLEEPING;
    pay_for_preempted(cpu, thread->context);
    update_current(cpu);
    dispatch(cpu, pick(cpu));
}

bool linux_sched_start(struct linux_cpu *cpu) {
    SIM_ASSERT(cpu->current == NULL);
    if (cpu->ready == NULL) {
        return false;
    }
    update_current(cpu);
    dispatch(cpu, pick(cpu));
    return true;
}

static void preempt(struct linux_cpu *cpu, struct context *context) {
    struct linux_thread *previous = cpu->current;
    pay_for_preempted(cpu, context);
    update_current(cpu);
    enqueue(cpu, previous);
    struct linux_thread *next = pick(cpu);
    if (next != previous) {
        cpu->counters.preemptions += 1;
        previous->resumes = true;
        dispatch(cpu, next);
    }
}

void linux_sched_resume(struct linux_cpu *cpu, struct context *context) {
    if (cpu->current != NULL) {
        if (cpu->reschedule && cpu->current->user) {
            preempt(cpu, context);
        }
        return;
    }
    pay_for_preempted(cpu, context);
    if (!linux_sched_start(cpu)) {
        core_dispatch(cpu->core, CORE_THREAD, cpu->swapper);
    }
}

/* ---- wake-up and tick ---- */

void linux_sched_wake(struct linux_thread *thread, struct linux_cpu *waker) {
    struct linux_cpu *cpu = thread->cpu;
    SIM_ASSERT(thread->state == LINUX_SLEEPING);
    cpu->counters.wakeups += 1;
    if (cpu->current == thread) { /* on its way to sleep: it stays */
        thread->state = LINUX_RUNNING;
        return;
    }
    update_current(cpu);
    place(cpu, thread);
    enqueue(cpu, thread);
    const bool had_to = cpu->reschedule;
    const sim_time granularity = cpu->system->wakeup_granularity;
    cpu->reschedule =
        had_to || cpu->current == NULL || cpu->current->virtual_runtime > thread->virtual_runtime + granularity;
    if (cpu->reschedule && !had_to && waker != cpu) {
        if (waker != NULL) {
            core_send_ipi(cpu->core, LINUX_VECTOR_RESCHEDULE);
        } else if (cpu->system->booted) {
            core_interrupt(cpu->core, LINUX_VECTOR_RESCHEDULE);
        }
    }
}

/* check_preempt_tick */
void linux_sched_tick(struct linux_cpu *cpu) {
    struct linux_thread *current = cpu->current;
    update_current(cpu);
    if (current == NULL || cpu->ready == NULL) {
        return;
    }
    const sim_time ideal = slice(cpu->system, cpu->ready_count + 1);
    const sim_time ran = current->run_total - current->run_total_at_switch;
    if (ran > ideal ||
        (ran >= cpu->system->slice_minimum && current->virtual_runtime > cpu->ready->virtual_runtime + ideal)) {
        cpu->reschedule = true;
    }
}
