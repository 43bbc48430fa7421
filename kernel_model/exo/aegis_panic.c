/* aegis_panic.c: an exception in the exokernel's own code. It is less code than another
 * kernel's, and no less deadly: the machine stops, and every environment ends. */
#include <string.h>

#include "kernel_model/exo/aegis.h"

/* At the instant of the panic, on no context: all that ran is gone. */
static void on_stopped(void *context) {
    struct aegis *aegis = context;
    while (aegis->environments != NULL) {
        aegis_environment_destroy(aegis->environments);
    }
    context_kill(aegis->interrupt);
    aegis->interrupt = NULL;
    aegis->faulty = false;
    memset(aegis->cpu->tlb, 0, sizeof aegis->cpu->tlb);
    aegis->cpu->cause &= ~R3000_CAUSE_PENDING;
    SIM_ASSERT_MSG(aegis->on_panic != NULL, "panic: an exception in the exokernel");
    aegis->on_panic(aegis->panic_state);
}

void aegis_panic(struct aegis *aegis) {
    aegis->panics++;
    cpu_run(aegis->interrupt);
    r3000_timer_start(aegis->cpu, 0);
    core_dispatch(aegis->cpu->core, CORE_THREAD, NULL);
    sim_event_init(&aegis->stopped, SIM_PRIORITY_SOFTWARE, on_stopped, aegis);
    sim_schedule(&aegis->stopped, 0);
    cpu_block(aegis->interrupt);
    SIM_ASSERT_MSG(false, "the exokernel runs after a panic");
}

void aegis_reboot(struct aegis *aegis) {
    struct r3000_vectors vectors = aegis_vectors;
    vectors.os = aegis;
    aegis->interrupt =
        context_create(aegis->cpu->core, CORE_INTERRUPT, "aegis.interrupt", NULL, aegis_interrupt_body, aegis);
    r3000_boot(aegis->cpu, &vectors);
}
