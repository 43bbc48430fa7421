/* ultrix_sched.c: who waits sleeps on a channel; processes are switched in the kernel. */
#include "kernel_model/ultrix/ultrix.h"

/* What is kept across a switch: s0 to s7, fp, sp, ra, Status. The u-area and the kernel
 * stack are in two wired entries of the TLB, which change with it. */
enum { PCB_WORDS = 12, WIRED = 2, WIRED_INSTRUCTIONS = 4, QUEUE_WORDS = 3 };

static void queue_push(struct ultrix *ultrix, struct ultrix_process *process) {
    struct ultrix_process **end = &ultrix->run_queue;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    process->next = NULL;
    *end = process;
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
    queue_push(ultrix, process);
}

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

static void take_next(struct ultrix *ultrix) {
    struct ultrix_process *next = ultrix->run_queue;
    ultrix->run_queue = next->next;
    ultrix->current = next;
    ultrix->counters.switches++;
    load_pcb(next);
}

/* Nobody can run: the processor waits with interrupts enabled. */
static void idle(struct ultrix_process *process) {
    struct ultrix *ultrix = process->ultrix;
    SIM_ASSERT_MSG(ultrix->interrupt != NULL, "every process sleeps, and nothing will wake one");
    cpu_run(process->context);
    ultrix->current = NULL;
    ultrix->request = NULL;
    r3000_leave_to(ultrix->cpu, NULL);
    cpu_block(process->context);
}

void ultrix_end_idle(struct ultrix *ultrix) {
    ultrix_work(ultrix, ultrix_components.scheduler);
    touch_queue(ultrix);
    take_next(ultrix);
    core_dispatch(ultrix->cpu->core, CORE_THREAD, ultrix->current->context);
}

void ultrix_sleep(struct ultrix_process *process, const void *channel) {
    struct ultrix *ultrix = process->ultrix;
    ultrix_work(ultrix, ultrix_components.scheduler);
    ultrix_step(ultrix, &ultrix->costs->sleep);
    touch_queue(ultrix);
    process->sleeps_on = channel;
    process->status = ultrix->cpu->status; /* one of the PCB's words */
    save_pcb(process);
    ultrix_step(ultrix, &ultrix->costs->switch_to);
    touch_queue(ultrix);
    struct ultrix_process *next = ultrix->run_queue;
    if (next == NULL) {
        idle(process);
    } else {
        take_next(ultrix);
        cpu_run(process->context);
        core_dispatch(ultrix->cpu->core, CORE_THREAD, next->context);
        cpu_block(process->context);
    }
    ultrix->cpu->status = process->status;
    ultrix_work(ultrix, ultrix_components.scheduler);
}

/* A new process begins with a return to user mode. */
void ultrix_process_body(void *argument) {
    struct ultrix_process *process = argument;
    ultrix_work(process->ultrix, ultrix_components.scheduler);
    r3000_rfe(process->ultrix->cpu);
    process->main(process);
    SIM_ASSERT_MSG(false, "%s: its program has no end", process->name);
}

void ultrix_start(struct ultrix *ultrix, struct ultrix_process *first) {
    struct ultrix_process **at = &ultrix->run_queue;
    while (*at != first) {
        at = &(*at)->next;
    }
    *at = first->next;
    ultrix->current = first;
    r3000_set_entry_hi(ultrix->cpu, r3000_hi(0, first->asid));
    core_dispatch(ultrix->cpu->core, CORE_THREAD, first->context);
}
