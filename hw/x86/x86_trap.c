/* x86_trap.c: into the kernel (or a program's own handler) and out of it. */
#include "hw/x86/x86.h"
#include "hw/x86/x86_internal.h"

static bool has_error_code(enum x86_vector vector) {
    return vector < X86_EXCEPTIONS && (X86_WITH_ERROR_CODE >> vector & 1) != 0;
}

static void touch(uint64_t physical, uint32_t size_bytes, bool write) {
    struct context *context = context_current();
    if (context != NULL) {
        cpu_touch(context, physical, size_bytes, write);
    }
}

static void tell_entering(struct x86 *cpu) {
    if (cpu->vectors.entering != NULL && context_current() != NULL) {
        cpu->vectors.entering(cpu->vectors.os, cpu);
    }
}

/* ---- through the IDT, on the kernel's stack ---- */

static uint64_t kernel_stack(const struct x86 *cpu) {
    const uint64_t at = cpu->tss + X86_TSS_RSP0;
    return memory_read32(cpu->memory, at) | (uint64_t)memory_read32(cpu->memory, at + 4) << 32;
}

/* The five words of a frame as the processor is now. */
static void fill_frame(const struct x86 *cpu, uint64_t words[X86_FRAME_BYTES / 8]) {
    words[X86_FRAME_RIP / 8] = cpu->rip;
    words[X86_FRAME_CS / 8] = cpu->cs;
    words[X86_FRAME_RFLAGS / 8] = cpu->rflags;
    words[X86_FRAME_RSP / 8] = cpu->registers[X86_RSP];
    words[X86_FRAME_SS / 8] = X86_USER_SS;
}

/* What the hardware does at once; what it takes is charged by charge_delivery. The
 * handler's stub pops the error code. */
static void push_frame(struct x86 *cpu, unsigned vector, uint64_t error_code) {
    uint64_t words[X86_FRAME_BYTES / 8];
    const uint64_t gate = memory_read64(cpu->memory, cpu->idt + (uint64_t)vector * X86_GATE_BYTES);
    SIM_ASSERT_MSG((gate & X86_GATE_PRESENT) != 0, "%s: vector %u has no gate", cpu->name, vector);
    const uint64_t frame = (kernel_stack(cpu) & ~(uint64_t)(X86_FRAME_ALIGNMENT - 1)) - X86_FRAME_BYTES;
    fill_frame(cpu, words);
    memory_write(cpu->memory, frame - X86_DIRECT_MAP, words, sizeof words);
    if (has_error_code((enum x86_vector)vector)) {
        memory_write64(cpu->memory, frame - X86_DIRECT_MAP - 8, error_code);
    }
    cpu->registers[X86_RSP] = frame;
    cpu->cs = X86_KERNEL_CS;
    cpu->rflags &= ~(X86_RFLAGS_IF | X86_RFLAGS_AC);
    cpu->way = X86_BY_FRAME;
}

static void charge_delivery(struct x86 *cpu, unsigned vector) {
    const uint64_t frame = cpu->registers[X86_RSP] - X86_DIRECT_MAP;
    const uint32_t code_bytes = has_error_code((enum x86_vector)vector) ? 8 : 0;
    x86_cycles(cpu, cpu->config.exception_cycles);
    touch(cpu->idt + (uint64_t)vector * X86_GATE_BYTES, X86_GATE_BYTES, false);
    touch(cpu->tss + X86_TSS_RSP0, 8, false);
    touch(frame - code_bytes, X86_FRAME_BYTES + code_bytes, true);
}

/* ---- out of a virtual machine, and into it ---- */

static void leave_guest(struct x86 *cpu, enum x86_exit reason) {
    cpu->space->guest = (struct x86_guest){cpu->rip, cpu->registers[X86_RSP], cpu->rflags, cpu->cs};
    cpu->guest = false;
    cpu->cs = X86_KERNEL_CS;
    cpu->rflags = X86_RFLAGS_ONE;
    cpu->registers[X86_RSP] = kernel_stack(cpu);
    cpu->exit_reason = reason;
    cpu->way = X86_BY_EXIT;
    cpu->counters.exits++;
}

static void enter_guest(struct x86 *cpu) {
    const struct x86_guest *guest = &cpu->space->guest;
    cpu->rip = guest->rip;
    cpu->registers[X86_RSP] = guest->rsp;
    cpu->rflags = guest->rflags;
    cpu->cs = guest->cs;
    cpu->guest = true;
    cpu->counters.entries++;
}

static enum x86_exit reason_of(const struct x86_fault *fault) {
    return fault->second_level       ? X86_EXIT_EPT_VIOLATION
           : fault->vector == X86_DF ? X86_EXIT_TRIPLE_FAULT
                                     : X86_EXIT_EXCEPTION;
}

/* ---- exceptions ---- */

static void set_cause(struct x86 *cpu, const struct x86_fault *fault) {
    cpu->vector = fault->vector;
    cpu->error_code = fault->error_code;
    cpu->cr2 = fault->vector == X86_PF ? fault->address : cpu->cr2;
}

static enum x86_resume raise_in_kernel(struct x86 *cpu, const struct x86_fault *fault) {
    SIM_ASSERT_MSG(cpu->vectors.exception != NULL, "%s: an exception, and no vectors", cpu->name);
    SIM_ASSERT_MSG(x86_is_user(cpu), "%s: the kernel raises vector %u", cpu->name, (unsigned)fault->vector);
    set_cause(cpu, fault);
    cpu->counters.exceptions[fault->vector % X86_EXCEPTIONS]++;
    if (cpu->guest) {
        cpu->exit_qualification = fault->qualification;
        cpu->exit_address = fault->physical;
        leave_guest(cpu, reason_of(fault));
        tell_entering(cpu);
        x86_cycles(cpu, cpu->config.exit_cycles);
    } else {
        push_frame(cpu, fault->vector, fault->error_code);
        tell_entering(cpu);
        charge_delivery(cpu, fault->vector);
    }
    return cpu->vectors.exception(cpu->vectors.os, cpu);
}

/* A word of a frame or gate in the program's own memory. */
static bool program_word(struct x86 *cpu, uint64_t at, bool write, uint64_t *word, struct x86_fault *fault) {
    uint64_t physical = 0;
    if (at % 8 != 0 || !x86_translate(cpu, at, write, &physical, fault)) {
        fault->second_level = fault->second_level && at % 8 == 0;
        return false;
    }
    touch(physical, 8, write);
    if (write) {
        memory_write64(cpu->memory, physical, *word);
    } else {
        *word = memory_read64(cpu->memory, physical);
    }
    return true;
}

/* The gate, then the frame on the handler's stack: from above, or below what the handler
 * has there already. False: one of them cannot be reached. */
static bool push_in_program(struct x86 *cpu, const struct x86_fault *fault, struct x86_fault *other) {
    const struct x86_space *space = cpu->space;
    const bool ring_3 = (cpu->cs & X86_RPL) == X86_RPL;
    const uint64_t top = (ring_3 ? space->stack : cpu->registers[X86_RSP]) & ~(uint64_t)(X86_FRAME_ALIGNMENT - 1);
    uint64_t gate = 0, error_code = fault->error_code, words[X86_FRAME_BYTES / 8];
    *other = (struct x86_fault){0};
    if (!program_word(cpu, space->idt + (uint64_t)fault->vector * X86_GATE_BYTES, false, &gate, other)) {
        return false;
    }
    if ((gate & X86_GATE_PRESENT) == 0) {
        return false;
    }
    fill_frame(cpu, words);
    for (uint64_t i = X86_FRAME_BYTES / 8; i > 0; i--) {
        if (!program_word(cpu, top - X86_FRAME_BYTES + 8 * (i - 1), true, &words[i - 1], other)) {
            return false;
        }
    }
    if (has_error_code(fault->vector) && !program_word(cpu, top - X86_FRAME_BYTES - 8, true, &error_code, other)) {
        return false;
    }
    cpu->registers[X86_RSP] = top - X86_FRAME_BYTES;
    return true;
}

/* What keeps a program's own exception from being delivered leaves for the kernel: the
 * second level's violation, or a double fault (its third fault shuts the machine down). */
static enum x86_resume leave_for(struct x86 *cpu, const struct x86_fault *other) {
    const struct x86_fault beyond = {.vector = X86_DF};
    return raise_in_kernel(cpu, other->second_level ? other : &beyond);
}

/* Straight to the program's own handler. */
static enum x86_resume raise_in_program(struct x86 *cpu, const struct x86_fault *fault) {
    struct x86_fault other;
    while (!push_in_program(cpu, fault, &other)) {
        if (leave_for(cpu, &other) == X86_SKIP) {
            return X86_SKIP;
        }
    }
    set_cause(cpu, fault);
    cpu->counters.program_exceptions++;
    cpu->cs = X86_KERNEL_CS;
    cpu->rflags &= ~(X86_RFLAGS_IF | X86_RFLAGS_AC);
    x86_cycles(cpu, cpu->config.exception_cycles);
    return cpu->space->exception(cpu->space->program, cpu);
}

enum x86_resume x86_raise_fault(struct x86 *cpu, const struct x86_fault *fault) {
    const bool own = cpu->guest && !fault->second_level && cpu->space->idt != 0;
    return own ? raise_in_program(cpu, fault) : raise_in_kernel(cpu, fault);
}

void x86_syscall(struct x86 *cpu) {
    SIM_ASSERT_MSG(x86_is_user(cpu), "%s: the kernel calls itself", cpu->name);
    cpu->counters.system_calls++;
    if (cpu->guest) {
        leave_guest(cpu, X86_EXIT_VMCALL);
        tell_entering(cpu);
        x86_cycles(cpu, cpu->config.exit_cycles);
        return;
    }
    cpu->registers[X86_RCX] = cpu->rip;
    cpu->registers[X86_R11] = cpu->rflags;
    cpu->rflags &= ~(X86_RFLAGS_IF | X86_RFLAGS_AC); /* by IA32_FMASK */
    cpu->cs = X86_KERNEL_CS;
    cpu->way = X86_BY_SYSCALL;
    tell_entering(cpu);
    x86_cycles(cpu, cpu->config.syscall_cycles);
}

/* ---- interrupts ---- */

static unsigned first_vector(const struct x86 *cpu) {
    unsigned line = X86_LINES - 1; /* the highest vector goes first */
    while (line > 0 && (cpu->pending >> line & 1) == 0) {
        line--;
    }
    return X86_LINE_VECTOR + line;
}

/* In a virtual machine an interrupt makes it exit, whatever IF says there. */
static bool is_let_through(const struct x86 *cpu) {
    return cpu->pending != 0 && (cpu->guest || (cpu->rflags & X86_RFLAGS_IF) != 0);
}

static void take_interrupt(struct x86 *cpu) {
    cpu->counters.interrupts++;
    if (cpu->guest) {
        leave_guest(cpu, X86_EXIT_INTERRUPT);
    } else {
        push_frame(cpu, first_vector(cpu), 0);
    }
    cpu->vectors.interrupt(cpu->vectors.os, cpu);
}

void x86_raise(struct x86 *cpu, unsigned line) {
    SIM_ASSERT(line < X86_LINES);
    cpu->pending |= UINT32_C(1) << line;
    if (is_let_through(cpu)) {
        take_interrupt(cpu);
    }
}

void x86_acknowledge(struct x86 *cpu, unsigned line) {
    x86_cycles(cpu, cpu->config.eoi_cycles);
    cpu->pending &= ~(UINT32_C(1) << line);
}

void x86_on_pin(void *os, struct core *core, uint32_t vector, sim_time raised, sim_time awake) {
    (void)core, (void)raised, (void)awake;
    x86_raise(os, vector % X86_LINES);
}

void x86_interrupt_begin(struct x86 *cpu, struct context *context) {
    SIM_ASSERT(context == context_current());
    if (cpu->way == X86_BY_EXIT) {
        x86_cycles(cpu, cpu->config.exit_cycles);
    } else {
        charge_delivery(cpu, first_vector(cpu));
    }
}

/* ---- back ---- */

void x86_charge_return(struct x86 *cpu) {
    if (cpu->way == X86_BY_FRAME) {
        x86_cycles(cpu, cpu->config.iret_cycles);
        touch(cpu->registers[X86_RSP] - X86_DIRECT_MAP, X86_FRAME_BYTES, false);
    } else {
        x86_cycles(cpu, cpu->way == X86_BY_EXIT ? cpu->config.entry_cycles : cpu->config.sysret_cycles);
    }
}

/* A frame's words; flags that no program may set are as they must be. */
static void load_frame(struct x86 *cpu, const uint64_t words[X86_FRAME_BYTES / 8]) {
    cpu->rip = words[X86_FRAME_RIP / 8];
    cpu->cs = (uint16_t)words[X86_FRAME_CS / 8];
    cpu->rflags = words[X86_FRAME_RFLAGS / 8] | X86_RFLAGS_ONE;
    cpu->registers[X86_RSP] = words[X86_FRAME_RSP / 8];
}

static void go_back(struct x86 *cpu) {
    uint64_t words[X86_FRAME_BYTES / 8];
    SIM_ASSERT_MSG(!x86_is_user(cpu), "%s: only the kernel returns", cpu->name);
    switch (cpu->way) {
    case X86_BY_EXIT:
        enter_guest(cpu);
        break;
    case X86_BY_FRAME:
        memory_read(cpu->memory, cpu->registers[X86_RSP] - X86_DIRECT_MAP, words, sizeof words);
        load_frame(cpu, words);
        break;
    case X86_BY_SYSCALL:
        cpu->rip = cpu->registers[X86_RCX];
        cpu->rflags = cpu->registers[X86_R11] | X86_RFLAGS_ONE;
        cpu->cs = X86_USER_CS;
        break;
    }
}

/* IRET by a program's own handler, in its machine. */
static void return_in_program(struct x86 *cpu) {
    uint64_t words[X86_FRAME_BYTES / 8];
    struct x86_fault other = {0};
    x86_cycles(cpu, cpu->config.iret_cycles);
    for (uint64_t i = 0; i < X86_FRAME_BYTES / 8; i++) {
        while (!program_word(cpu, cpu->registers[X86_RSP] + 8 * i, false, &words[i], &other)) {
            if (leave_for(cpu, &other) == X86_SKIP) {
                return;
            }
        }
    }
    x86_settle();
    load_frame(cpu, words);
}

/* An interrupt has displaced the running context between two instructions: what it
 * works for waits (an empty charge names it) until it has the core again. */
static void stand_aside(void) {
    struct context *context = context_current();
    if (context != NULL) {
        cpu_charge(context, 0);
        cpu_run(context);
    }
}

void x86_return(struct x86 *cpu) {
    if (cpu->guest) {
        return_in_program(cpu);
        return;
    }
    x86_charge_return(cpu);
    x86_settle();
    go_back(cpu);
    if (is_let_through(cpu)) {
        take_interrupt(cpu);
        stand_aside();
    }
}

void x86_leave_to(struct x86 *cpu, struct context *next) {
    core_dispatch(cpu->core, CORE_THREAD, next);
    go_back(cpu);
    if (is_let_through(cpu)) {
        take_interrupt(cpu);
    }
}

/* Nothing happens between the last look at the lines and leaving the core: what is
 * raised later meets an idle interrupt level. */
void x86_interrupt_return(struct x86 *cpu, struct context *context) {
    x86_charge_return(cpu);
    cpu_run(context);
    go_back(cpu);
    if (is_let_through(cpu)) {
        take_interrupt(cpu); /* the same context again: it stays on the core */
        return;
    }
    cpu_block(context);
}
