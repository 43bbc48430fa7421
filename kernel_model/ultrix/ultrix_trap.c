/* ultrix_trap.c: into the kernel and out of it, always by the same general path. */
#include "kernel_model/common/system.h"
#include "kernel_model/ultrix/ultrix.h"

/* A frame: r1 to r31, HI, LO, Status, EPC, Cause, BadVAddr. */
enum { FRAME_REGISTERS = 31, FRAME_OTHERS = 6, FRAME_WORDS = FRAME_REGISTERS + FRAME_OTHERS };
/* What a label (setjmp in the kernel) holds: s0 to s7, fp, sp, ra, Status. */
enum { LABEL_WORDS = 12, CP0_MOVE = 1, JUMP = 1 };

void ultrix_work(struct ultrix *ultrix, ledger_component component) {
    const bool nobodys = ultrix->current != NULL && ultrix->current->apart;
    cpu_work_for(context_current(), component, nobodys ? NULL : ultrix->request);
}

void ultrix_step(struct ultrix *ultrix, struct cost *cost) {
    cost->uses++;
    r3000_execute(ultrix->cpu, cost->cycles);
}

void ultrix_user_step(struct ultrix *ultrix, struct cost *cost) {
    ultrix_work(ultrix, system_components.app);
    ultrix_step(ultrix, cost);
}

uint32_t ultrix_load(struct ultrix *ultrix, uint64_t physical) {
    return r3000_kernel_load(ultrix->cpu, R3000_KSEG0 | (uint32_t)physical);
}

void ultrix_store(struct ultrix *ultrix, uint64_t physical, uint32_t value) {
    r3000_kernel_store(ultrix->cpu, R3000_KSEG0 | (uint32_t)physical, value);
}

/* ---- the frame ---- */

void ultrix_frame_save(struct ultrix *ultrix, uint64_t frame) {
    struct r3000 *cpu = ultrix->cpu;
    const uint32_t others[FRAME_OTHERS] = {0, 0, cpu->status, cpu->epc, cpu->cause, cpu->bad_address};
    r3000_execute(cpu, FRAME_OTHERS); /* mfhi, mflo, four moves from CP0 */
    ultrix_step(ultrix, &ultrix->costs->trap_entry);
    for (uint32_t i = 0; i < FRAME_REGISTERS; i++) {
        ultrix_store(ultrix, frame + 4 * (uint64_t)i, cpu->registers[1 + i]);
    }
    for (uint32_t i = 0; i < FRAME_OTHERS; i++) {
        ultrix_store(ultrix, frame + 4 * (uint64_t)(FRAME_REGISTERS + i), others[i]);
    }
}

void ultrix_frame_restore(struct ultrix *ultrix, uint64_t frame) {
    struct r3000 *cpu = ultrix->cpu;
    ultrix_step(ultrix, &ultrix->costs->trap_exit);
    for (uint32_t i = 0; i < FRAME_REGISTERS; i++) {
        cpu->registers[1 + i] = ultrix_load(ultrix, frame + 4 * (uint64_t)i);
    }
    for (uint32_t i = 0; i < FRAME_OTHERS - 2; i++) { /* not Cause and BadVAddr */
        (void)ultrix_load(ultrix, frame + 4 * (uint64_t)(FRAME_REGISTERS + i));
    }
    r3000_execute(cpu, 4 + JUMP); /* mthi, mtlo, Status, EPC */
}

void ultrix_trap_enter(struct ultrix *ultrix) {
    ultrix_work(ultrix, ultrix_components.trap);
    ultrix_frame_save(ultrix, ultrix->current->u_area + ULTRIX_U_FRAME);
}

void ultrix_trap_leave(struct ultrix *ultrix) {
    struct ultrix_process *process = ultrix->current;
    ultrix_reschedule(process);
    ultrix_work(ultrix, ultrix_components.trap);
    ultrix_frame_restore(ultrix, process->u_area + ULTRIX_U_FRAME);
    r3000_rfe(ultrix->cpu);
    ultrix_work(ultrix, system_components.app);
}

/* ---- system calls ---- */

void ultrix_call_begin(struct ultrix_process *process, ledger_component component) {
    struct ultrix *ultrix = process->ultrix;
    SIM_ASSERT_MSG(ultrix->current == process && r3000_is_user(ultrix->cpu), "%s calls, and does not run",
                   process->name);
    ultrix->counters.system_calls++;
    ultrix_user_step(ultrix, &ultrix->costs->system_call_stub);
    cpu_run(process->context);
    r3000_enter(ultrix->cpu, R3000_SYS);
    ultrix_trap_enter(ultrix);
    ultrix_work(ultrix, ultrix_components.system_call);
    for (uint64_t i = 0; i < LABEL_WORDS; i++) { /* where an error deep in the call would come back to */
        ultrix_store(ultrix, process->u_area + ULTRIX_U_LABEL + 4 * i, ultrix->cpu->registers[R3000_RA - i]);
    }
    (void)ultrix_load(ultrix, ultrix->globals + 4); /* the call's entry in the table */
    ultrix_step(ultrix, &ultrix->costs->system_call);
    ultrix_work(ultrix, component);
    cpu_run(process->context);
}

void ultrix_call_end(struct ultrix_process *process) {
    struct ultrix *ultrix = process->ultrix;
    ultrix_work(ultrix, ultrix_components.system_call);
    (void)ultrix_load(ultrix, ultrix->globals); /* is a switch due? */
    if ((ultrix_load(ultrix, process->u_area + ULTRIX_U_SIGNALS) & ~process->masked) != 0) {
        (void)ultrix_signal_deliver(process, 0);
        return;
    }
    ultrix_trap_leave(ultrix);
}

uint32_t ultrix_getpid(struct ultrix_process *process) {
    ultrix_call_begin(process, ultrix_components.system_call);
    (void)ultrix_load(process->ultrix, process->u_area + ULTRIX_U_FILES - 4); /* the process, its number */
    r3000_execute(process->ultrix->cpu, 2);
    ultrix_call_end(process);
    return process->asid;
}

/* ---- exceptions ---- */

static void on_entering(void *os, struct r3000 *cpu) {
    (void)cpu;
    ultrix_work(os, ultrix_components.trap);
}

/* Nine instructions (Kane and Heinrich, 6.3: the vector's use): the entry by way of Context,
 * into the TLB whatever it says; an invalid one traps again, to the general vector. */
static enum r3000_resume on_refill(void *os, struct r3000 *cpu) {
    enum { REST = 3 }; /* a delay, EPC, the jump */
    struct ultrix *ultrix = os;
    const uint64_t at = ultrix_pte_at(ultrix->current, cpu->bad_address);
    ultrix_work(ultrix, ultrix_components.memory);
    r3000_execute(cpu, CP0_MOVE);
    const uint32_t pte = at != 0 ? ultrix_load(ultrix, at) : 0;
    r3000_set_entry_lo(cpu, pte & ~(uint32_t)ULTRIX_PTE_OWN);
    r3000_tlbwr(cpu);
    r3000_execute(cpu, REST);
    ultrix->counters.refills++;
    r3000_rfe(cpu);
    ultrix_work(ultrix, system_components.app);
    return R3000_RETRY;
}

static enum ultrix_signal signal_of(enum r3000_code code) {
    return code == R3000_OV ? ULTRIX_SIGFPE : code == R3000_ADEL || code == R3000_ADES ? ULTRIX_SIGBUS : ULTRIX_SIGILL;
}

static enum r3000_resume on_general(void *os, struct r3000 *cpu) {
    struct ultrix *ultrix = os;
    struct ultrix_process *process = ultrix->current;
    const enum r3000_code code = r3000_cause_code(cpu);
    const uint32_t address = cpu->bad_address;
    ultrix->counters.traps++;
    ultrix_trap_enter(ultrix);
    ultrix_step(ultrix, &ultrix->costs->trap);
    if (code == R3000_TLBL || code == R3000_TLBS || code == R3000_MOD) {
        return ultrix_fault(process, code, address);
    }
    ultrix_signal_post(process, signal_of(code));
    return ultrix_signal_deliver(process, address);
}

static void on_interrupt(void *os, struct r3000 *cpu) {
    const struct ultrix *ultrix = os;
    core_dispatch(cpu->core, CORE_INTERRUPT, ultrix->interrupt);
}

const struct r3000_vectors ultrix_vectors = {
    .entering = on_entering, .refill = on_refill, .general = on_general, .interrupt = on_interrupt};
