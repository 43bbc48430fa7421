/* aegis_panic.c: an exception in the exokernel's own code. It is less code than another
 * kernel's, and no less deadly: the machine stops, and every environment ends. */
#include "kernel_model/exo/aegis_machine.h"

/* At the instant of the panic, on no context: all that ran is gone. */
static void on_stopped(void *context) {
    struct aegis *aegis = context;
    while (aegis->environments != NULL) {
        aegis_environment_destroy(aegis->environments);
    }
    context_kill(aegis->interrupt);
    aegis->interrupt = NULL;
    aegis->faulty = false;
    SIM_ASSERT_MSG(aegis->on_panic != NULL, "panic: an exception in the exokernel");
    aegis->on_panic(aegis->panic_state);
}

void aegis_panic(struct aegis *aegis) {
    aegis->panics++;
    cpu_run(aegis->interrupt);
    aegis->machine->timer_start(aegis, 0);
    core_dispatch(aegis->core, CORE_THREAD, NULL);
    sim_event_init(&aegis->stopped, SIM_PRIORITY_SOFTWARE, on_stopped, aegis);
    sim_schedule(&aegis->stopped, 0);
    cpu_block(aegis->interrupt);
    SIM_ASSERT_MSG(false, "the exokernel runs after a panic");
}

void aegis_make_interrupt(struct aegis *aegis) {
    aegis->interrupt =
        context_create(aegis->core, CORE_INTERRUPT, "aegis.interrupt", NULL, aegis_interrupt_body, aegis);
}

void aegis_reboot(struct aegis *aegis) {
    aegis->machine->reset(aegis);
    aegis_make_interrupt(aegis);
}
