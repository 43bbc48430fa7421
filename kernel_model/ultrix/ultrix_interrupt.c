/* ultrix_interrupt.c: interrupts: a frame, the line's handler, and whoever should run then. */
#include "kernel_model/ultrix/ultrix.h"

void ultrix_attach(struct ultrix *ultrix, unsigned line, void (*serve)(void *state), void *state) {
    SIM_ASSERT(line < R3000_LINES && ultrix->lines[line].serve == NULL);
    ultrix->lines[line] = (struct ultrix_line){serve, state};
}

/* A line of the hardware's before one that the kernel raises itself. */
static unsigned pending_line(const struct ultrix *ultrix) {
    const uint32_t pending = ultrix->cpu->cause >> R3000_CAUSE_PENDING_SHIFT;
    unsigned line = R3000_LINES - 1;
    while ((pending >> line & 1) == 0) {
        SIM_ASSERT_MSG(line > 0, "an interrupt without a line");
        line--;
    }
    return line;
}

void ultrix_interrupt_body(void *argument) {
    struct ultrix *ultrix = argument;
    for (;;) {
        const struct ultrix_process *process = ultrix->current;
        ultrix->interrupted_request = ultrix->request;
        ultrix->request = NULL;
        ultrix_work(ultrix, ultrix_components.trap);
        r3000_interrupt_begin(ultrix->cpu, ultrix->interrupt);
        ultrix_frame_save(ultrix, (process != NULL ? process->u_area : ultrix->idle_area) + ULTRIX_U_FRAME);
        const unsigned line = pending_line(ultrix);
        SIM_ASSERT_MSG(ultrix->lines[line].serve != NULL, "nothing is attached to line %u", line);
        r3000_acknowledge(ultrix->cpu, line);
        ultrix->lines[line].serve(ultrix->lines[line].state);
        ultrix_interrupt_end(ultrix);
        ultrix->request = ultrix->interrupted_request;
        r3000_interrupt_return(ultrix->cpu, ultrix->interrupt);
    }
}
