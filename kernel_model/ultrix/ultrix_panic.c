/* ultrix_panic.c: an exception in kernel mode. No process is to blame, and none can be
 * trusted to have what the kernel held for it: the machine stops, and all of them end.
 *
 * What comes after (a reboot, services that start again) is the caller's: on_panic. */
#include <string.h>

#include "kernel_model/ultrix/ultrix.h"

/* At the instant of the panic, on no context: all that ran is gone. */
static void on_stopped(void *context) {
    struct ultrix *ultrix = context;
    struct r3000 *cpu = ultrix->cpu;
    if (ultrix->interrupted_request != NULL) {
        ledger_abandon(ultrix->interrupted_request, "panic", sim_now());
    }
    while (ultrix->processes != NULL) {
        ultrix_process_free(ultrix->processes);
    }
    context_kill(ultrix->interrupt);
    ultrix->interrupt = NULL;
    ultrix->request = ultrix->interrupted_request = NULL;
    ultrix->asids = 0;
    ultrix->faulty = ultrix->switch_due = false;
    memset(ultrix->lines, 0, sizeof ultrix->lines);
    memset(cpu->tlb, 0, sizeof cpu->tlb);
    cpu->cause &= ~R3000_CAUSE_PENDING;
    SIM_ASSERT_MSG(ultrix->on_panic != NULL, "panic: an exception in kernel mode");
    ultrix->on_panic(ultrix->panic_state);
}

void ultrix_panic(struct ultrix *ultrix) {
    ultrix->counters.panics++;
    cpu_run(ultrix->interrupt);
    r3000_timer_start(ultrix->cpu, 0);
    core_dispatch(ultrix->cpu->core, CORE_THREAD, NULL);
    sim_event_init(&ultrix->stopped, SIM_PRIORITY_SOFTWARE, on_stopped, ultrix);
    sim_schedule(&ultrix->stopped, 0);
    cpu_block(ultrix->interrupt);
    SIM_ASSERT_MSG(false, "the kernel runs after a panic");
}

void ultrix_reboot(struct ultrix *ultrix) {
    struct r3000_vectors vectors = ultrix_vectors;
    vectors.os = ultrix;
    ultrix->interrupt = context_create(ultrix->machine->cores[0], CORE_INTERRUPT, "ultrix.interrupt", NULL,
                                       ultrix_interrupt_body, ultrix);
    r3000_boot(ultrix->cpu, &vectors);
}
