/* ultrix_sched.c: who waits sleeps on a channel; processes are switched in the kernel.
 *
 * A process that waits for its turn does so in one of two places: in the kernel, on its
 * way through ultrix_sleep or ultrix_reschedule, or in user mode, where an interrupt
 * displaced it. The first goes on by itself; the second's frame is restored by whoever
 * gives it the processor. */
#include "kernel_model/common/system.h"
#include "kernel_model/ultrix/ultrix.h"

/* What is kept across a switch: s0 to s7, fp, sp, ra, Status. The u-area and the kernel
 * stack are in two wired entries of the TLB, which change with it. */
enum { PCB_WORDS = 12, WIRED = 2, WIRED_INSTRUCTIONS = 4, QUEUE_WORDS = 3 };
/* 4.3BSD has a queue for each four priorities, whose members take turns. */
enum { PRIORITIES_A_QUEUE = 4 };

/* ---- the run queue ---- */

static unsigned queue_of(unsigned priority) {
    return priority / PRIORITIES_A_QUEUE;
}

void ultrix_queue_push(struct ultrix *ultrix, struct ultrix_process *process) {
    struct ultrix_process **at = &ultrix->run_queue;
    while (*at != NULL && queue_of((*at)->priority) <= queue_of(process->priority)) {
        at = &(*at)->next;
    }
    process->next = *at;
    *at = process;
}

/* A queue of the kernel's is linked words: an element in or out touches its neighbours. */
static void touch_queue(struct ultrix *ultrix) {
    for (uint64_t i = 0; i < QUEUE_WORDS; i++) {
        const uint64_t word = ultrix->globals + 0x100 + 4 * i;
        ultrix_store(ultrix, word, ultrix_load(ultrix, word));
    }
}

void ultrix_wakeup(struct ultrix *ultrix, struct ultrix_process *process) {
    ultrix_work(ultrix, ultrix_components.scheduler);
    ultrix_step(ultrix, &ultrix->costs->wakeup);
    touch_queue(ultrix); /* off the sleep queue */
    touch_queue(ultrix); /* onto the run queue */
    ultrix->counters.wakeups++;
    process->sleeps_on = NULL;
    ultrix_queue_push(ultrix, process);
    if (ultrix->current != NULL && process->priority < ultrix->current->user_priority) {
        ultrix->switch_due = true;
    }
}

void ultrix_wakeup_all(struct ultrix *ultrix, const void *channel) {
    for (struct ultrix_process *at = ultrix->processes; at != NULL; at = at->next_made) {
        if (at->sleeps_on == channel) {
            ultrix_wakeup(ultrix, at);
        }
    }
}

/* ---- from one process to another ---- */

static void save_pcb(struct ultrix_process *process) {
    struct ultrix *ultrix = process->ultrix;
    for (uint64_t i = 0; i < PCB_WORDS; i++) {
        ultrix_store(ultrix, process->u_area + ULTRIX_U_PCB + 4 * i, ultrix->cpu->registers[R3000_RA - i]);
    }
}

static void load_pcb(struct ultrix_process *process) {
    struct ultrix *ultrix = process->ultrix;
    r3000_execute(ultrix->cpu, WIRED * WIRED_INSTRUCTIONS);
    r3000_set_entry_hi(ultrix->cpu, r3000_hi(0, process->asid));
    for (uint64_t i = 0; i < PCB_WORDS; i++) {
        ultrix->cpu->registers[R3000_RA - i] = ultrix_load(ultrix, process->u_area + ULTRIX_U_PCB + 4 * i);
    }
}

/* The best of the run queue, with its own registers if it was interrupted in user mode. */
static struct ultrix_process *take_next(struct ultrix *ultrix) {
    struct ultrix_process *next = ultrix->run_queue;
    ultrix->run_queue = next->next;
    ultrix->current = next;
    ultrix->switch_due = false;
    ultrix->counters.switches++;
    load_pcb(next);
    if (next->interrupted) {
        ultrix_frame_restore(ultrix, next->u_area + ULTRIX_U_FRAME);
    }
    return next;
}

/* The mode that the processor will be in after the next rfe. */
static void return_to(struct ultrix *ultrix, bool user) {
    const uint32_t both = R3000_STATUS_IE_PREVIOUS | R3000_STATUS_USER_PREVIOUS;
    const uint32_t status = ultrix->cpu->status;
    ultrix->cpu->status = user ? status | both : status & ~both;
}

/* What the machine works for waits while it works for somebody else. */
static void suspend_request(const struct ultrix *ultrix) {
    if (ultrix->request != NULL && ultrix->current->apart) {
        ledger_turn_at(ultrix->request, LEDGER_WAITING, sim_now());
    }
}

/* Nobody can run: the processor waits with interrupts enabled. */
static void idle(struct ultrix_process *process) {
    struct ultrix *ultrix = process->ultrix;
    bool attached = false;
    for (unsigned line = 0; line < R3000_LINES; line++) {
        attached = attached || (line != R3000_TIMER_LINE && ultrix->lines[line].serve != NULL);
    }
    SIM_ASSERT_MSG(attached, "every process sleeps, and nothing will wake one");
    cpu_run(process->context);
    ultrix->current = NULL;
    return_to(ultrix, true); /* the idle loop: nothing but interrupts tells it from a user */
    r3000_leave_to(ultrix->cpu, NULL);
    cpu_block(process->context);
}

/* Leaves the processor to the next process, until its own turn comes. */
static void switch_away(struct ultrix_process *process) {
    struct ultrix *ultrix = process->ultrix;
    process->status = ultrix->cpu->status; /* one of the PCB's words */
    save_pcb(process);
    ultrix_step(ultrix, &ultrix->costs->switch_to);
    touch_queue(ultrix);
    if (ultrix->run_queue == NULL) {
        idle(process);
    } else if (take_next(ultrix) != process) {
        struct ultrix_process *next = ultrix->current;
        const bool user = next->interrupted;
        next->interrupted = false;
        r3000_execute(ultrix->cpu, user ? 1 : 0); /* rfe */
        cpu_run(process->context);
        suspend_request(ultrix);
        if (user) {
            return_to(ultrix, true);
            r3000_leave_to(ultrix->cpu, next->context);
        } else {
            core_dispatch(ultrix->cpu->core, CORE_THREAD, next->context);
        }
        cpu_block(process->context);
    }
    ultrix->cpu->status = process->status;
    ultrix_work(ultrix, ultrix_components.scheduler);
}

void ultrix_sleep(struct ultrix_process *process, const void *channel, unsigned priority) {
    struct ultrix *ultrix = process->ultrix;
    ultrix_work(ultrix, ultrix_components.scheduler);
    ultrix_step(ultrix, &ultrix->costs->sleep);
    touch_queue(ultrix);
    process->sleeps_on = channel;
    process->priority = priority;
    switch_away(process);
}

/* ---- on the way back to user mode ---- */

/* A switch was asked for, and somebody is as good at least. */
static bool is_due(struct ultrix *ultrix, const struct ultrix_process *process) {
    const struct ultrix_process *next = ultrix->run_queue;
    const bool due = ultrix->switch_due && next != NULL && queue_of(next->priority) <= queue_of(process->user_priority);
    ultrix->switch_due = false;
    return due;
}

void ultrix_reschedule(struct ultrix_process *process) {
    struct ultrix *ultrix = process->ultrix;
    process->priority = process->user_priority;
    if (is_due(ultrix, process)) {
        ultrix_work(ultrix, ultrix_components.scheduler);
        ultrix->counters.preemptions++;
        ultrix_queue_push(ultrix, process);
        touch_queue(ultrix);
        switch_away(process);
    }
}

/* ---- at the end of an interrupt ---- */

static void dispatch_next(struct ultrix *ultrix) {
    struct ultrix_process *next = take_next(ultrix);
    return_to(ultrix, next->interrupted);
    next->interrupted = false;
    core_dispatch(ultrix->cpu->core, CORE_THREAD, next->context);
}

void ultrix_interrupt_end(struct ultrix *ultrix) {
    struct ultrix_process *process = ultrix->current;
    if (process != NULL && is_due(ultrix, process)) {
        ultrix_work(ultrix, ultrix_components.scheduler);
        ultrix->counters.preemptions++;
        process->interrupted = true;
        process->priority = process->user_priority;
        ultrix_queue_push(ultrix, process);
        touch_queue(ultrix);
        save_pcb(process);
        ultrix_step(ultrix, &ultrix->costs->switch_to);
        touch_queue(ultrix);
        dispatch_next(ultrix);
        return;
    }
    ultrix_work(ultrix, ultrix_components.trap);
    ultrix_frame_restore(ultrix, (process != NULL ? process->u_area : ultrix->idle_area) + ULTRIX_U_FRAME);
    if (process == NULL && ultrix->run_queue != NULL) { /* the idle loop looks */
        ultrix_work(ultrix, ultrix_components.scheduler);
        touch_queue(ultrix);
        dispatch_next(ultrix);
    }
}

/* ---- life ---- */

/* A new process begins with a return to user mode, or stays in the kernel. */
void ultrix_process_body(void *argument) {
    struct ultrix_process *process = argument;
    struct ultrix *ultrix = process->ultrix;
    ultrix->cpu->status =
        (ultrix->cpu->status & ~R3000_STATUS_STACK) | R3000_STATUS_IE_PREVIOUS | R3000_STATUS_USER_PREVIOUS;
    ultrix_work(ultrix, ultrix_components.scheduler);
    if (!process->in_kernel) {
        r3000_rfe(ultrix->cpu);
    }
    process->main(process);
    SIM_ASSERT_MSG(!process->in_kernel, "%s: a process of the kernel's has no end", process->name);
    ultrix_exit(process);
}

void ultrix_start(struct ultrix *ultrix, struct ultrix_process *first) {
    struct ultrix_process **at = &ultrix->run_queue;
    while (*at != first) {
        at = &(*at)->next;
    }
    *at = first->next;
    ultrix->current = first;
    ultrix_clock_start(ultrix);
    r3000_set_entry_hi(ultrix->cpu, r3000_hi(0, first->asid));
    core_dispatch(ultrix->cpu->core, CORE_THREAD, first->context);
}

void ultrix_die(struct ultrix_process *process) {
    struct ultrix *ultrix = process->ultrix;
    ultrix_work(ultrix, ultrix_components.scheduler);
    ultrix_step(ultrix, &ultrix->costs->exit);
    cpu_run(process->context);
    process->dead = true;
    switch_away(process);
    SIM_ASSERT_MSG(false, "%s: runs after its end", process->name);
}

void ultrix_exit(struct ultrix_process *process) {
    ultrix_call_begin(process, ultrix_components.scheduler);
    ultrix_die(process);
}
