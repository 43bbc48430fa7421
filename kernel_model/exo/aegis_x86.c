/* aegis_x86.c: Aegis on a processor that walks page tables itself: into the kernel and out.
 * What is bound stands in page tables: aegis_x86_tables.c.
 *
 * The number of cycles on each path is what its calls add up to: the processor's steps
 * (hw/x86), loads and stores as they stand here and in the files that call, instructions
 * at a cycle each, plus the steps' costs from the profile.
 *
 * Flags and stack pointer of an environment are kept in its block while another runs; the
 * other registers are the library's to save. An environment begins with alignment checked
 * (RFLAGS.AC), so that a library finds here what it finds on processors that always check. */
#include <stdlib.h>
#include <string.h>

#include "kernel_model/exo/aegis_nested.h"
#include "kernel_model/exo/aegis_x86.h"
#include "kernel_model/exo/binding.h"

_Static_assert((int)AEGIS_PAGE == (int)X86_PAGE_BYTES, "pages");
_Static_assert((int)AEGIS_RETRY == (int)X86_RETRY && (int)AEGIS_SKIP == (int)X86_SKIP, "how to go on");

enum { MOVE = 1 };

/* ---- instructions ---- */

static void execute(struct aegis *aegis, uint64_t count) {
    x86_execute(aegis->x86, count);
}

static uint32_t load(struct aegis *aegis, uint64_t physical) {
    return (uint32_t)x86_kernel_load(aegis->x86, X86_DIRECT_MAP + physical, 4);
}

static void store(struct aegis *aegis, uint64_t physical, uint32_t value) {
    x86_kernel_store(aegis->x86, X86_DIRECT_MAP + physical, 4, value);
}

static void store_register(struct aegis *aegis, uint64_t physical, unsigned number) {
    aegis_x86_store(aegis, physical, aegis->x86->registers[number]);
}

/* ---- into the kernel and out ---- */

static bool is_user(const struct aegis *aegis) {
    return x86_is_user(aegis->x86);
}

static void enter(struct aegis *aegis) {
    x86_execute(aegis->x86, MOVE); /* the call's number or the callee's */
    cpu_run(context_current());
    x86_syscall(aegis->x86);
}

/* A system call has an entry of its own, and its return address in a register. */
static void nothing(struct aegis *aegis) {
    (void)aegis;
}

/* The error code popped, CR2, the frame's RIP. */
static void read_fault(struct aegis *aegis) {
    struct x86 *cpu = aegis->x86;
    x86_execute(cpu, 2 * MOVE);
    if (cpu->way == X86_BY_FRAME) {
        (void)x86_kernel_load(cpu, x86_frame(cpu) + X86_FRAME_RIP, 8);
    }
}

/* An exception's way back leads to the application's handler. */
static void return_to_user(struct aegis *aegis) {
    struct x86 *cpu = aegis->x86;
    if (cpu->way == X86_BY_FRAME) {
        x86_kernel_store(cpu, x86_frame(cpu) + X86_FRAME_RIP, 8, AEGIS_CODE_HANDLER);
    } else if (cpu->way == X86_BY_EXIT && cpu->exit_reason != X86_EXIT_VMCALL) {
        x86_execute(cpu, MOVE); /* VMWRITE */
        cpu->space->guest.rip = AEGIS_CODE_HANDLER;
    }
    x86_return(cpu);
}

static void jump_away(struct aegis *aegis) {
    x86_charge_return(aegis->x86);
}

static void leave_to(struct aegis *aegis, struct context *next) {
    x86_leave_to(aegis->x86, next);
}

/* What of the environment that leaves would be lost goes to its block; under nested paging
 * the hardware has kept it. */
static void save_running(struct aegis *aegis) {
    struct x86 *cpu = aegis->x86;
    const struct aegis_environment *from = aegis->processor->running;
    if (from == NULL || cpu->space->nested) {
        return;
    }
    const bool frame = cpu->way == X86_BY_FRAME;
    const uint64_t flags = frame ? x86_kernel_load(cpu, x86_frame(cpu) + X86_FRAME_RFLAGS, 8) : cpu->registers[X86_R11];
    const uint64_t stack = frame ? x86_kernel_load(cpu, x86_frame(cpu) + X86_FRAME_RSP, 8) : cpu->registers[X86_RSP];
    aegis_x86_store(aegis, from->block + BLOCK_FLAGS, flags);
    aegis_x86_store(aegis, from->block + BLOCK_STACK_POINTER, stack);
}

static void switch_to(struct aegis *aegis, struct aegis_environment *next) {
    struct x86 *cpu = aegis->x86;
    struct aegis_x86 *own = aegis->processor;
    store(aegis, aegis->globals, (uint32_t)next->block);
    if (own->running == next) {
        return;
    }
    save_running(aegis);
    (void)aegis_x86_load(aegis, next->block + BLOCK_CR3);
    x86_switch(cpu, &own->spaces[next->asid]);
    own->running = next;
    if (!cpu->space->nested) {
        cpu->registers[X86_R11] = aegis_x86_load(aegis, next->block + BLOCK_FLAGS);
        cpu->registers[X86_RSP] = aegis_x86_load(aegis, next->block + BLOCK_STACK_POINTER);
    }
}

/* ---- the vectors ---- */

static void on_entering(void *os, struct x86 *cpu) {
    (void)cpu;
    aegis_work(os, aegis_components.trap);
}

/* What a page fault means to a library; the kernel's half of the addresses is nobody's. A
 * program with tables of its own has more addresses than that. */
static enum aegis_cause page_fault(const struct x86 *cpu) {
    const bool write = (cpu->error_code & X86_PF_WR) != 0;
    if (cpu->cr2 >= AEGIS_USER_END && !cpu->space->nested) {
        return write ? AEGIS_CAUSE_ADDRESS_STORE : AEGIS_CAUSE_ADDRESS_LOAD;
    }
    if ((cpu->error_code & X86_PF_P) != 0) {
        return AEGIS_CAUSE_PROTECTION;
    }
    return write ? AEGIS_CAUSE_MISS_STORE : AEGIS_CAUSE_MISS_LOAD;
}

/* An alignment check does not say whether it was a store, nor where. */
static enum aegis_cause cause_of(const struct x86 *cpu) {
    switch (cpu->vector) {
    case X86_PF:
        return page_fault(cpu);
    case X86_NM:
        return AEGIS_CAUSE_COPROCESSOR;
    case X86_OF:
    case X86_DE:
        return AEGIS_CAUSE_OVERFLOW;
    case X86_AC:
    case X86_GP:
        return AEGIS_CAUSE_ADDRESS_LOAD;
    case X86_UD:
    case X86_DF:
    default:
        return AEGIS_CAUSE_BUS;
    }
}

/* The address that matters: virtual; of the second level, where that is what forbids it. */
static uint64_t bad_address(const struct x86 *cpu) {
    if (!cpu->guest && cpu->way == X86_BY_EXIT && cpu->exit_reason == X86_EXIT_EPT_VIOLATION) {
        return cpu->exit_address;
    }
    return cpu->vector == X86_PF ? cpu->cr2 : 0;
}

void aegis_x86_describe(const struct x86 *cpu, struct aegis_exception *exception) {
    *exception =
        (struct aegis_exception){cause_of(cpu), (uint32_t)cpu->rip, (uint32_t)bad_address(cpu), (uint32_t)cpu->vector};
}

static enum x86_resume on_exception(void *os, struct x86 *cpu) {
    const struct aegis *aegis = os;
    struct aegis_exception exception;
    aegis_x86_describe(cpu, &exception);
    return (enum x86_resume)aegis_dispatch(aegis->current, &exception);
}

/* ---- interrupts ---- */

static const unsigned line_of[AEGIS_LINES] = {
    [AEGIS_LINE_NOTICE] = 0, [AEGIS_LINE_TIMER] = X86_TIMER_LINE, [AEGIS_LINE_NETWORK] = 2};

static void on_interrupt(void *os, struct x86 *cpu) {
    (void)cpu;
    aegis_interrupted(os);
}

static void raise_line(struct aegis *aegis, enum aegis_line line) {
    x86_raise(aegis->x86, line_of[line]);
}

static bool take_line(struct aegis *aegis, enum aegis_line line) {
    const bool waits = x86_is_pending(aegis->x86, line_of[line]);
    if (waits) {
        x86_acknowledge(aegis->x86, line_of[line]);
    }
    return waits;
}

static void interrupt_begin(struct aegis *aegis) {
    x86_interrupt_begin(aegis->x86, aegis->interrupt);
}

static void interrupt_return(struct aegis *aegis) {
    x86_interrupt_return(aegis->x86, aegis->interrupt);
}

static void timer_start(struct aegis *aegis, sim_time period) {
    x86_timer_start(aegis->x86, period);
}

static sim_time timer_tick(const struct aegis *aegis) {
    return interval_latest(&aegis->x86->timer);
}

/* ---- user code ---- */

static bool user_load(struct aegis *aegis, uint32_t address, uint32_t size_bytes, uint32_t *value) {
    uint64_t wide = 0;
    const bool good = x86_load(aegis->x86, address, size_bytes, &wide);
    *value = (uint32_t)wide;
    return good;
}

static bool user_store(struct aegis *aegis, uint32_t address, uint32_t size_bytes, uint32_t value) {
    return x86_store(aegis->x86, address, size_bytes, value);
}

static bool user_add(struct aegis *aegis, int32_t a, int32_t b, int32_t *sum) {
    return x86_add(aegis->x86, a, b, sum);
}

static bool user_coprocessor(struct aegis *aegis, unsigned number) {
    SIM_ASSERT(number >= 1 && number <= 3);
    return x86_float(aegis->x86);
}

static bool save_register(struct aegis *aegis, uint32_t address, unsigned number) {
    return x86_store(aegis->x86, address, 8, aegis->x86->registers[number]);
}

static bool restore_register(struct aegis *aegis, uint32_t address, unsigned number) {
    return x86_load(aegis->x86, address, 8, &aegis->x86->registers[number]);
}

static uint64_t get_register(const struct aegis *aegis, unsigned number) {
    return aegis->x86->registers[number];
}

static void set_register(struct aegis *aegis, unsigned number, uint64_t value) {
    aegis->x86->registers[number] = value;
}

/* ---- life ---- */

static void install(struct aegis *aegis) {
    const struct x86_vectors vectors = {
        .entering = on_entering, .exception = on_exception, .interrupt = on_interrupt, .os = aegis};
    const struct aegis_x86 *own = aegis->processor;
    x86_boot(aegis->x86, &vectors, own->idt, own->tss);
    x86_set_kernel_stack(aegis->x86, X86_DIRECT_MAP + own->stack + AEGIS_PAGE);
    aegis->x86->cr0 |= X86_CR0_TS; /* floating point is nobody's as yet */
}

static enum error_code boot(struct aegis *aegis, struct error *error) {
    struct frames *frames = aegis->kernel->frames;
    struct aegis_x86 *own = calloc(1, sizeof *own);
    SIM_ASSERT(own != NULL);
    own->idt = frames_allocate(frames);
    own->tss = frames_allocate(frames);
    own->stack = frames_allocate(frames);
    if (own->idt == 0 || own->tss == 0 || own->stack == 0) {
        free(own);
        return error_set(error, ERR_EXHAUSTED, "no memory for the processor's tables");
    }
    aegis->processor = own;
    aegis->x86 = aegis->kernel->machine->x86[0];
    install(aegis);
    return OK;
}

/* No translation is left: they went with the environments. */
static void reset(struct aegis *aegis) {
    struct aegis_x86 *own = aegis->processor;
    memset(own->spaces, 0, sizeof own->spaces);
    own->running = NULL;
    own->stale_count = 0;
    aegis->x86->space = NULL;
    aegis->x86->pending = 0;
    install(aegis);
}

static void shutdown(struct aegis *aegis) {
    x86_timer_start(aegis->x86, 0);
    aegis->x86->space = NULL;
    free(aegis->processor);
    aegis->processor = NULL;
}

/* The tables that an environment begins with were made before the kernel's own map of
 * free frames could know of them. */
static void map_free_frames(struct aegis *aegis) {
    for (uint64_t i = 0; i < aegis->frame_count; i++) {
        const uint64_t at = i * MEMORY_FRAME_BYTES;
        const uint32_t word = memory_read32(aegis->kernel->machine->memory, aegis->free_map + i / 32 * 4);
        if ((word >> i % 32 & 1) != (frames_is_free(aegis->kernel->frames, at) ? 1U : 0U)) {
            aegis_mark_free(aegis, at, frames_is_free(aegis->kernel->frames, at));
        }
    }
}

static enum error_code begin(struct aegis_environment *environment, struct error *error) {
    struct aegis *aegis = environment->aegis;
    struct x86_space *space = &aegis->processor->spaces[environment->home];
    (void)error;
    *space = x86_space_make(environment->environment->space, environment->home, false);
    aegis_x86_store(aegis, environment->block + BLOCK_CR3, address_space_root(space->tables) | space->tag);
    aegis_x86_store(aegis, environment->block + BLOCK_FLAGS, X86_RFLAGS_ONE | X86_RFLAGS_IF | X86_RFLAGS_AC);
    map_free_frames(aegis);
    return OK;
}

/* Its tables are given back next: the processor walks them no more. With its bindings
 * nothing of its tag is left in the TLB for who gets that next. */
static void end(struct aegis_environment *environment) {
    struct aegis *aegis = environment->aegis;
    struct aegis_x86 *own = aegis->processor;
    const struct exo_environment *inner = environment->environment;
    if (environment->home == 0) {
        return; /* it had not begun */
    }
    if (own->running == environment) {
        x86_switch(aegis->x86, &own->spaces[0]);
        own->running = NULL;
    }
    aegis_x86_free_tables(environment);
    for (uint32_t i = 0; i < inner->table_frame_count; i++) {
        aegis_mark_free(aegis, inner->table_frames[i], true);
    }
}

const struct aegis_machine aegis_x86 = {
    .name = "x86",
    .registers = {.bytes = 8,
                  .first = X86_RAX,
                  .count = X86_REGISTERS,
                  .scratch = {X86_R8, X86_R9, X86_RAX},
                  .message = {X86_RDI, X86_RSI, X86_RDX, X86_R10},
                  .result = X86_RAX,
                  .saved = {X86_RBX, X86_RBP, X86_R12, X86_R13, X86_R14, X86_R15},
                  .saved_count = 6,
                  .stack = X86_RSP},
    .boot = boot,
    .shutdown = shutdown,
    .reset = reset,
    .begin = begin,
    .end = end,
    .execute = execute,
    .load = load,
    .store = store,
    .store_register = store_register,
    .is_user = is_user,
    .enter = enter,
    .read_cause = nothing,
    .read_resume = nothing,
    .skip_call = nothing,
    .read_fault = read_fault,
    .return_to_user = return_to_user,
    .jump_away = jump_away,
    .leave_to = leave_to,
    .switch_to = switch_to,
    .raise = raise_line,
    .take = take_line,
    .interrupt_begin = interrupt_begin,
    .interrupt_return = interrupt_return,
    .timer_start = timer_start,
    .timer_tick = timer_tick,
    .bind = aegis_x86_bind,
    .unbind = aegis_x86_unbind,
    .keep = aegis_x86_bind,
    .allow = aegis_x86_allow,
    .allowed = aegis_x86_allowed,
    .make_space = aegis_x86_make_space,
    .end_space = aegis_x86_end_space,
    .enter_space = aegis_x86_enter_space,
    .user_load = user_load,
    .user_store = user_store,
    .user_add = user_add,
    .user_coprocessor = user_coprocessor,
    .save_register = save_register,
    .restore_register = restore_register,
    .get_register = get_register,
    .set_register = set_register,
};
