/* ultrix_signal.c: signals: posted to a process, delivered on its way out of the kernel. */
#include "kernel_model/common/system.h"
#include "kernel_model/ultrix/ultrix.h"

/* A signal context on the user's stack: mask, program counter, 32 registers, HI, LO, and
 * what happened; the arguments of the handler. */
enum { CONTEXT_WORDS = 40, CONTEXT_AT = 0x800 };

static uint64_t stack_of(const struct ultrix_process *process) {
    const uint32_t pte = memory_read32(process->ultrix->machine->memory, process->stack_table);
    return (pte & R3000_LO_PFN) + CONTEXT_AT;
}

/* Between the frame and the user's stack, word by word. */
static void copy_context(struct ultrix_process *process, bool out) {
    struct ultrix *ultrix = process->ultrix;
    const uint64_t frame = process->u_area + ULTRIX_U_FRAME, stack = stack_of(process);
    ultrix_step(ultrix, &ultrix->costs->copy);
    for (uint64_t i = 0; i < CONTEXT_WORDS; i++) {
        const uint32_t word = ultrix_load(ultrix, (out ? frame : stack) + 4 * i);
        ultrix_step(ultrix, &ultrix->costs->copy_word);
        ultrix_store(ultrix, (out ? stack : frame) + 4 * i, word);
    }
}

void ultrix_signal_post(struct ultrix_process *process, enum ultrix_signal signal) {
    struct ultrix *ultrix = process->ultrix;
    const uint64_t word = process->u_area + ULTRIX_U_SIGNALS;
    ultrix_work(ultrix, ultrix_components.signal);
    ultrix_step(ultrix, &ultrix->costs->signal_post);
    process->pending = ultrix_load(ultrix, word) | UINT32_C(1) << signal;
    ultrix_store(ultrix, word, process->pending);
}

static enum ultrix_signal take(struct ultrix_process *process) {
    unsigned signal = 0;
    while ((process->pending >> signal & 1) == 0) {
        signal++;
    }
    process->pending &= ~(UINT32_C(1) << signal);
    ultrix_store(process->ultrix, process->u_area + ULTRIX_U_SIGNALS, process->pending);
    return (enum ultrix_signal)signal;
}

/* The user's frame is where the handler was entered from, whatever it did since. */
static void sigreturn(struct ultrix_process *process) {
    struct ultrix *ultrix = process->ultrix;
    ultrix_call_begin(process, ultrix_components.signal);
    ultrix_step(ultrix, &ultrix->costs->signal_return);
    copy_context(process, false);
    ultrix_call_end(process);
}

enum r3000_resume ultrix_signal_deliver(struct ultrix_process *process, uint32_t address) {
    struct ultrix *ultrix = process->ultrix;
    ultrix->counters.signals++;
    ultrix_work(ultrix, ultrix_components.signal);
    const enum ultrix_signal signal = take(process);
    if (process->handler == NULL && signal != ULTRIX_SIGUSR) {
        ultrix_die(process);
    }
    ultrix_step(ultrix, &ultrix->costs->signal_deliver);
    copy_context(process, true);
    ultrix_trap_leave(ultrix); /* into the trampoline */
    ultrix_user_step(ultrix, &ultrix->costs->signal_handler);
    const enum r3000_resume resume = process->handler != NULL ? process->handler(process, signal, address) : R3000_SKIP;
    sigreturn(process);
    return resume;
}

/* ---- by another process ---- */

void ultrix_kill(struct ultrix_process *process, struct ultrix_process *to, enum ultrix_signal signal) {
    struct ultrix *ultrix = process->ultrix;
    ultrix_call_begin(process, ultrix_components.signal);
    ultrix_step(ultrix, &ultrix->costs->kill);
    ultrix_signal_post(to, signal);
    if (to->sleeps_on == to) {
        ultrix_wakeup(ultrix, to);
    }
    ultrix_call_end(process);
}

/* It sleeps on itself, where kill looks for it. */
void ultrix_sigpause(struct ultrix_process *process) {
    struct ultrix *ultrix = process->ultrix;
    ultrix_call_begin(process, ultrix_components.signal);
    ultrix_step(ultrix, &ultrix->costs->sigpause);
    const uint32_t masked = process->masked;
    process->masked = 0;
    while (ultrix_load(ultrix, process->u_area + ULTRIX_U_SIGNALS) == 0) {
        ultrix_sleep(process, process, ULTRIX_PRIORITY_PAUSE);
    }
    ultrix_call_end(process);
    process->masked = masked;
}
