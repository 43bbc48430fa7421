/* ultrix_clock.c: clock interrupts, and priorities that decay, as in 4.3BSD (Leffler et
 * al., The Design and Implementation of the 4.3BSD UNIX Operating System, 1989, 4.4).
 *
 * Each tick is charged to whoever runs; every fourth, its priority is computed anew:
 * 50 + ticks / 4, where less is better. Once a second all that was charged decays to
 * 2 load / (2 load + 1) of itself. Load is the number of processes that can run at that
 * instant, not its average over a minute: no run here lasts as long as that average.
 *
 * A process is displaced, on its way back to user mode, by one that was woken with a better
 * priority, and each quantum by one that is as good at least. */
#include "kernel_model/ultrix/paging.h"

enum { RECENT_MAX = 255, TICKS_A_PRIORITY = 4, PRIORITY_MAX = 127, PAGING_RATE = 4 };

void ultrix_set_priority(struct ultrix_process *process) {
    const unsigned priority = ULTRIX_PRIORITY_USER + process->recent_ticks / TICKS_A_PRIORITY;
    process->user_priority = priority < PRIORITY_MAX ? priority : PRIORITY_MAX;
}

static void recompute(struct ultrix_process *process) {
    ultrix_step(process->ultrix, &process->ultrix->costs->recompute);
    ultrix_set_priority(process);
}

static void charge(struct ultrix_process *process) {
    process->recent_ticks += process->recent_ticks < RECENT_MAX ? 1 : 0;
    if (process->recent_ticks % TICKS_A_PRIORITY == 0) {
        recompute(process);
    }
}

/* Who waits for its turn in the kernel keeps the priority that it slept with. */
static void requeue(struct ultrix *ultrix) {
    struct ultrix_process *queue = ultrix->run_queue;
    ultrix->run_queue = NULL;
    while (queue != NULL) {
        struct ultrix_process *process = queue;
        queue = process->next;
        if (process->priority >= ULTRIX_PRIORITY_USER) {
            process->priority = process->user_priority;
        }
        ultrix_queue_push(ultrix, process);
    }
}

static void each_second(struct ultrix *ultrix) {
    unsigned load = ultrix->current != NULL ? 1 : 0;
    for (const struct ultrix_process *at = ultrix->run_queue; at != NULL; at = at->next) {
        load++;
    }
    for (struct ultrix_process *at = ultrix->processes; at != NULL; at = at->next_made) {
        at->recent_ticks = at->recent_ticks * 2 * load / (2 * load + 1);
        if (!at->dead) {
            recompute(at);
        }
    }
    requeue(ultrix);
}

static void tick(void *state) {
    struct ultrix *ultrix = state;
    const uint64_t quantum = ultrix->config.quantum / (SIM_S / ultrix->config.hz);
    const uint64_t every = ultrix->config.hz > PAGING_RATE ? ultrix->config.hz / PAGING_RATE : 1;
    ultrix_work(ultrix, ultrix_components.clock);
    ultrix_step(ultrix, &ultrix->costs->clock_tick);
    if (ultrix->faulty) {
        ultrix_panic(ultrix);
    }
    ultrix->ticks++;
    if (ultrix->current != NULL) {
        charge(ultrix->current);
    }
    if (ultrix->ticks % ultrix->config.hz == 0) {
        each_second(ultrix);
    }
    if (ultrix->ticks % (quantum > 0 ? quantum : 1) == 0) {
        ultrix->switch_due = true;
    }
    if (ultrix->paging != NULL && ultrix->ticks % every == 0) {
        ultrix_paging_schedule(ultrix->paging);
    }
}

void ultrix_clock_start(struct ultrix *ultrix) {
    if (ultrix->config.hz > 0) {
        ultrix_attach(ultrix, R3000_TIMER_LINE, tick, ultrix);
        r3000_timer_start(ultrix->cpu, SIM_S / ultrix->config.hz);
    }
}
