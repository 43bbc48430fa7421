/* aegis_r3000.c: Aegis on a processor whose TLB is software's: vectors, misses, and the
 * TLB with the software TLB behind it.
 *
 * The number of instructions on each path is what its calls add up to: loads, stores
 * and CP0 moves as they stand here and in the files that call, plus the steps' costs
 * from the profile. */
#include <string.h>

#include "hw/r3000/r3000.h"
#include "kernel_model/common/lance_driver.h"
#include "kernel_model/exo/aegis_machine.h"
#include "kernel_model/exo/binding.h"

enum { CP0_MOVE = 1, JUMP = 1 };

/* The kernel's records hold entries as this processor's TLB takes them. */
_Static_assert((int)AEGIS_ENVIRONMENTS_MAX == (int)R3000_ASIDS - 1, "an ASID each; 0 is the kernel's");
_Static_assert((int)AEGIS_PAGE == (int)R3000_PAGE_BYTES && (int)AEGIS_ASID_SHIFT == (int)R3000_ASID_SHIFT,
               "pages and ASIDs");
_Static_assert(AEGIS_LO_VALID == R3000_LO_VALID && AEGIS_LO_WRITE == R3000_LO_DIRTY && AEGIS_LO_FRAME == R3000_LO_PFN,
               "EntryLo");
_Static_assert(AEGIS_USER_END == R3000_KSEG0, "kuseg");
_Static_assert((int)AEGIS_CAUSE_PROTECTION == (int)R3000_MOD && (int)AEGIS_CAUSE_MISS_LOAD == (int)R3000_TLBL &&
                   (int)AEGIS_CAUSE_MISS_STORE == (int)R3000_TLBS && (int)AEGIS_CAUSE_ADDRESS_LOAD == (int)R3000_ADEL &&
                   (int)AEGIS_CAUSE_ADDRESS_STORE == (int)R3000_ADES && (int)AEGIS_CAUSE_BUS == (int)R3000_DBE &&
                   (int)AEGIS_CAUSE_COPROCESSOR == (int)R3000_CPU && (int)AEGIS_CAUSE_OVERFLOW == (int)R3000_OV,
               "the codes of Cause");
_Static_assert((int)AEGIS_RETRY == (int)R3000_RETRY && (int)AEGIS_SKIP == (int)R3000_SKIP, "how to go on");

/* ---- instructions ---- */

static void execute(struct aegis *aegis, uint64_t count) {
    r3000_execute(aegis->r3000, count);
}

static uint32_t load(struct aegis *aegis, uint64_t physical) {
    return r3000_kernel_load(aegis->r3000, R3000_KSEG0 | (uint32_t)physical);
}

static void store(struct aegis *aegis, uint64_t physical, uint32_t value) {
    r3000_kernel_store(aegis->r3000, R3000_KSEG0 | (uint32_t)physical, value);
}

static void store_register(struct aegis *aegis, uint64_t physical, unsigned number) {
    store(aegis, physical, aegis->r3000->registers[number]);
}

/* ---- into the kernel and out ---- */

static bool is_user(const struct aegis *aegis) {
    return r3000_is_user(aegis->r3000);
}

static void enter(struct aegis *aegis) {
    r3000_execute(aegis->r3000, 2); /* the call's number or the callee's, syscall */
    cpu_run(context_current());
    r3000_enter(aegis->r3000, R3000_SYS);
}

static void read_register(struct aegis *aegis) {
    r3000_execute(aegis->r3000, CP0_MOVE);
}

static void skip_call(struct aegis *aegis) {
    r3000_execute(aegis->r3000, CP0_MOVE + 1); /* EPC, behind the syscall */
}

static void read_fault(struct aegis *aegis) {
    r3000_execute(aegis->r3000, 3 * CP0_MOVE); /* EPC, BadVAddr, Cause */
}

static void return_to_user(struct aegis *aegis) {
    r3000_execute(aegis->r3000, JUMP); /* the rfe is in its delay slot */
    r3000_rfe(aegis->r3000);
}

static void jump_away(struct aegis *aegis) {
    r3000_execute(aegis->r3000, JUMP + 1); /* jump, rfe */
}

static void leave_to(struct aegis *aegis, struct context *next) {
    r3000_leave_to(aegis->r3000, next);
}

/* The block's address and the ASID: two stores' worth of state. */
static void switch_to(struct aegis *aegis, struct aegis_environment *next) {
    const uint32_t hi = load(aegis, next->block + AEGIS_BLOCK_ENTRY_HI);
    store(aegis, aegis->globals, (uint32_t)next->block);
    r3000_set_entry_hi(aegis->r3000, hi);
}

/* ---- the vectors ---- */

static void on_entering(void *os, struct r3000 *cpu) {
    (void)cpu;
    aegis_work(os, aegis_components.trap);
}

static enum r3000_resume dispatch(struct aegis_environment *environment, const struct r3000 *cpu) {
    const struct aegis_exception exception = {(enum aegis_cause)r3000_cause_code(cpu), cpu->epc, cpu->bad_address,
                                              cpu->cause};
    return (enum r3000_resume)aegis_dispatch(environment, &exception);
}

static enum r3000_resume on_general(void *os, struct r3000 *cpu) {
    const struct aegis *aegis = os;
    return dispatch(aegis->current, cpu);
}

/* Within the count of the path: mtc0 EntryLo, tlbwr. EntryHi holds the page already. */
static void refill_with(struct r3000 *cpu, uint32_t lo) {
    r3000_set_entry_lo(cpu, lo);
    r3000_tlbwr(cpu);
}

/* The software TLB, the guaranteed mappings. */
static bool refill(struct aegis_environment *environment, struct r3000 *cpu) {
    struct aegis *aegis = environment->aegis;
    const uint32_t hi = cpu->entry_hi;
    uint32_t lo = 0;
    if (stlb_probe(&aegis->stlb, &aegis->costs->stlb_probe, hi, &lo)) {
        refill_with(cpu, lo);
        return true;
    }
    if (!aegis_guaranteed_find(environment, hi & R3000_HI_VPN, &lo)) {
        return false;
    }
    environment->counters.guaranteed_hits++;
    aegis->counters.guaranteed_hits++;
    stlb_insert(&aegis->stlb, hi, lo);
    refill_with(cpu, lo);
    return true;
}

/* A miss in kuseg: the kernel's two, and then the application. */
static enum r3000_resume on_refill(void *os, struct r3000 *cpu) {
    struct aegis *aegis = os;
    struct aegis_environment *environment = aegis->current;
    aegis_work(aegis, aegis_components.stlb);
    r3000_execute(cpu, 2 * CP0_MOVE); /* EntryHi, BadVAddr */
    if (refill(environment, cpu)) {
        r3000_execute(cpu, CP0_MOVE + JUMP); /* EPC */
        r3000_rfe(cpu);
        aegis_back_to_work(environment);
        return R3000_RETRY;
    }
    environment->counters.tlb_upcalls++;
    aegis->counters.tlb_upcalls++;
    return dispatch(environment, cpu);
}

/* ---- interrupts ---- */

static const unsigned line_of[AEGIS_LINES] = {
    [AEGIS_LINE_NOTICE] = 0, [AEGIS_LINE_TIMER] = R3000_TIMER_LINE, [AEGIS_LINE_NETWORK] = LANCE_DRIVER_LINE};

static void on_interrupt(void *os, struct r3000 *cpu) {
    (void)cpu;
    aegis_interrupted(os);
}

static void raise_line(struct aegis *aegis, enum aegis_line line) {
    r3000_raise(aegis->r3000, line_of[line]);
}

static bool take_line(struct aegis *aegis, enum aegis_line line) {
    const bool waits = (aegis->r3000->cause >> R3000_CAUSE_PENDING_SHIFT & 1U << line_of[line]) != 0;
    if (waits) {
        r3000_acknowledge(aegis->r3000, line_of[line]);
    }
    return waits;
}

static void interrupt_begin(struct aegis *aegis) {
    r3000_interrupt_begin(aegis->r3000, aegis->interrupt);
}

static void interrupt_return(struct aegis *aegis) {
    r3000_interrupt_return(aegis->r3000, aegis->interrupt);
}

static void timer_start(struct aegis *aegis, sim_time period) {
    r3000_timer_start(aegis->r3000, period);
}

static sim_time timer_tick(const struct aegis *aegis) {
    return interval_latest(&aegis->r3000->timer);
}

/* ---- the TLB and what stands behind it ---- */

/* An address that no program can use, for entries that shall never match. */
static uint32_t nowhere(uint32_t index) {
    return R3000_KSEG0 | index << R3000_PAGE_BITS;
}

static void restore_entry_hi(struct aegis *aegis) {
    r3000_set_entry_hi(aegis->r3000, aegis->current != NULL ? r3000_hi(0, aegis->current->asid) : 0);
}

/* Whether the TLB has an entry for EntryHi; its index then. */
static bool probe(struct r3000 *cpu, uint32_t hi) {
    r3000_set_entry_hi(cpu, hi);
    r3000_tlbp(cpu);
    return (cpu->index & R3000_INDEX_PROBE_FAILED) == 0;
}

/* Never two entries that match: what is there is replaced. */
static enum error_code bind(struct aegis_environment *environment, uint32_t page, uint64_t physical, bool write,
                            struct error *error) {
    struct aegis *aegis = environment->aegis;
    struct r3000 *cpu = aegis->r3000;
    const uint32_t hi = r3000_hi(page, environment->asid), lo = aegis_entry_lo(physical, write);
    (void)error;
    stlb_insert(&aegis->stlb, hi, lo);
    const bool there = probe(cpu, hi);
    r3000_set_entry_lo(cpu, lo);
    if (there) {
        r3000_tlbwi(cpu);
    } else {
        r3000_tlbwr(cpu);
    }
    restore_entry_hi(aegis);
    return OK;
}

static void unbind(struct aegis_environment *environment, unsigned name_space, uint32_t page) {
    struct aegis *aegis = environment->aegis;
    struct r3000 *cpu = aegis->r3000;
    const uint32_t hi = r3000_hi(page, name_space);
    if (probe(cpu, hi)) {
        r3000_set_entry_hi(cpu, nowhere(cpu->index >> R3000_INDEX_SHIFT));
        r3000_set_entry_lo(cpu, 0);
        r3000_tlbwi(cpu);
    }
    restore_entry_hi(aegis);
    stlb_remove(&aegis->stlb, hi);
}

/* A miss finds it in the guaranteed list. */
static enum error_code keep(struct aegis_environment *environment, uint32_t page, uint64_t physical, bool write,
                            struct error *error) {
    (void)environment, (void)page, (void)physical, (void)write, (void)error;
    return OK;
}

/* In the TLB the entry is changed where it is; what is not there will be found in the
 * software TLB. */
static void allow(struct aegis_environment *environment, uint32_t page, uint64_t physical, bool access, bool write) {
    struct aegis *aegis = environment->aegis;
    struct r3000 *cpu = aegis->r3000;
    const uint32_t hi = r3000_hi(page, environment->asid), lo = access ? aegis_entry_lo(physical, write) : 0;
    if (access) {
        stlb_insert(&aegis->stlb, hi, lo);
    } else {
        stlb_remove(&aegis->stlb, hi);
    }
    const bool there = probe(cpu, hi);
    r3000_execute(cpu, CP0_MOVE); /* Index, to see whether it was found */
    if (there) {
        r3000_set_entry_lo(cpu, lo);
        r3000_tlbwi(cpu);
    }
}

static void allowed(struct aegis_environment *environment) {
    r3000_set_entry_hi(environment->aegis->r3000, r3000_hi(0, environment->asid));
}

/* The TLB keeps both spaces' entries: their ASIDs differ. */
static void enter_space(struct aegis_environment *environment) {
    const uint32_t hi = r3000_hi(0, environment->asid);
    store(environment->aegis, environment->block + AEGIS_BLOCK_ENTRY_HI, hi);
    r3000_set_entry_hi(environment->aegis->r3000, hi);
}

/* ---- user code ---- */

static bool user_load(struct aegis *aegis, uint32_t address, uint32_t size_bytes, uint32_t *value) {
    return r3000_load(aegis->r3000, address, size_bytes, value);
}

static bool user_store(struct aegis *aegis, uint32_t address, uint32_t size_bytes, uint32_t value) {
    return r3000_store(aegis->r3000, address, size_bytes, value);
}

static bool user_add(struct aegis *aegis, int32_t a, int32_t b, int32_t *sum) {
    return r3000_add(aegis->r3000, a, b, sum);
}

static bool user_coprocessor(struct aegis *aegis, unsigned number) {
    return r3000_coprocessor(aegis->r3000, number);
}

static bool save_register(struct aegis *aegis, uint32_t address, unsigned number) {
    return r3000_store(aegis->r3000, address, 4, aegis->r3000->registers[number]);
}

static bool restore_register(struct aegis *aegis, uint32_t address, unsigned number) {
    return r3000_load(aegis->r3000, address, 4, &aegis->r3000->registers[number]);
}

static uint64_t get_register(const struct aegis *aegis, unsigned number) {
    return aegis->r3000->registers[number];
}

static void set_register(struct aegis *aegis, unsigned number, uint64_t value) {
    aegis->r3000->registers[number] = (uint32_t)value;
}

/* ---- life ---- */

static void install(struct aegis *aegis) {
    const struct r3000_vectors vectors = {
        .entering = on_entering, .refill = on_refill, .general = on_general, .interrupt = on_interrupt, .os = aegis};
    r3000_boot(aegis->r3000, &vectors);
}

static enum error_code boot(struct aegis *aegis, struct error *error) {
    const uint64_t bytes = aegis->config.stlb_entries * STLB_ENTRY_BYTES;
    aegis->r3000 = aegis->kernel->machine->r3000[0];
    aegis->stlb.cpu = aegis->r3000;
    aegis->stlb.entries = aegis->config.stlb_entries;
    if (bytes > 0) {
        const uint64_t frames = (bytes + MEMORY_FRAME_BYTES - 1) / MEMORY_FRAME_BYTES;
        aegis->stlb.physical = frames_allocate_contiguous(aegis->kernel->frames, frames);
    }
    if (bytes > 0 && aegis->stlb.physical == 0) {
        return error_set(error, ERR_EXHAUSTED, "no memory for the software TLB");
    }
    install(aegis);
    return OK;
}

static void shutdown(struct aegis *aegis) {
    r3000_timer_start(aegis->r3000, 0);
}

static void reset(struct aegis *aegis) {
    memset(aegis->r3000->tlb, 0, sizeof aegis->r3000->tlb);
    aegis->r3000->cause &= ~R3000_CAUSE_PENDING;
    install(aegis);
}

static enum error_code begin(struct aegis_environment *environment, struct error *error) {
    (void)error;
    memory_write32(environment->aegis->kernel->machine->memory, environment->block + AEGIS_BLOCK_ENTRY_HI,
                   r3000_hi(0, environment->asid));
    return OK;
}

static void end(struct aegis_environment *environment) {
    (void)environment; /* with its bindings nothing of its ASID is left anywhere */
}

const struct aegis_machine aegis_r3000 = {
    .name = "r3000",
    .registers = {.bytes = 4,
                  .first = 1,
                  .count = R3000_REGISTERS - 1,
                  .scratch = {R3000_T0, R3000_T1, R3000_T2},
                  .message = {R3000_A0, R3000_A1, R3000_A2, R3000_A3},
                  .result = R3000_V0,
                  .saved = {31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20},
                  .saved_count = 12,
                  .stack = R3000_SP},
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
    .read_cause = read_register,
    .read_resume = read_register,
    .skip_call = skip_call,
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
    .bind = bind,
    .unbind = unbind,
    .keep = keep,
    .allow = allow,
    .allowed = allowed,
    .enter_space = enter_space,
    .user_load = user_load,
    .user_store = user_store,
    .user_add = user_add,
    .user_coprocessor = user_coprocessor,
    .save_register = save_register,
    .restore_register = restore_register,
    .get_register = get_register,
    .set_register = set_register,
};
