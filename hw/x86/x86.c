/* x86.c: the processor's life, its spaces, its timer and its counters. */
#include "hw/x86/x86.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/machine.h"
#include "hw/x86/x86_internal.h"

#define X86_CYCLES(name, value, text)                                                                                  \
    { #name, PARAM_CYCLES, offsetof(struct x86_config, name##_cycles), value, "0 cycles", "100000 cycles", NULL, text }
const struct param x86_params[] = {
    X86_CYCLES(syscall, "40 cycles", "SYSCALL (assumed, 25 to 60)"),
    X86_CYCLES(sysret, "35 cycles", "SYSRET (assumed, 20 to 60)"),
    X86_CYCLES(exception, "150 cycles",
               "delivering an exception or interrupt through the IDT, beside what it reads and writes (assumed, 90 to "
               "300)"),
    X86_CYCLES(iret, "100 cycles", "IRET from it (assumed, 60 to 250)"),
    X86_CYCLES(exit, "450 cycles", "a VM exit (assumed, 300 to 800)"),
    X86_CYCLES(entry, "400 cycles", "a VM entry (assumed, 250 to 700)"),
    X86_CYCLES(invlpg, "120 cycles", "INVLPG (assumed, 80 to 250)"),
    X86_CYCLES(invept, "400 cycles", "INVEPT or INVVPID (assumed, 150 to 1000)"),
    X86_CYCLES(cr3, "150 cycles", "MOV to CR3, or VMPTRLD (assumed, 80 to 300)"),
    X86_CYCLES(assist, "100 cycles", "setting an accessed or dirty bit on a walk (assumed, 20 to 250)"),
    X86_CYCLES(eoi, "40 cycles", "end of interrupt, a store to the local APIC (assumed, 20 to 100)"),
    {"pcid", PARAM_BOOL, offsetof(struct x86_config, pcid), "true", NULL, NULL, NULL,
     "translations carry their space's tag; if not, a MOV to CR3 empties the TLB"},
    {0}};

static void on_tick(void *context);

struct x86 *x86_create(struct machine *machine, struct core *core, const struct x86_config *config) {
    struct x86 *cpu = calloc(1, sizeof *cpu);
    SIM_ASSERT(cpu != NULL);
    cpu->config = *config;
    cpu->core = core;
    cpu->memory = machine->memory;
    (void)snprintf(cpu->name, sizeof cpu->name, "x86.%u", core_index(core));
    interval_init(&cpu->timer, on_tick, cpu);
    return cpu;
}

void x86_free(struct x86 *cpu) {
    if (cpu != NULL) {
        interval_stop(&cpu->timer);
        free(cpu);
    }
}

/* Code addresses are names: the model's kernel has no bytes. */
static uint64_t handler_of(unsigned vector) {
    return UINT64_C(0xffffffff81000000) + (uint64_t)vector * X86_GATE_BYTES;
}

void x86_boot(struct x86 *cpu, const struct x86_vectors *vectors, uint64_t idt, uint64_t tss) {
    cpu->vectors = *vectors;
    cpu->booted = true;
    cpu->idt = idt;
    cpu->tss = tss;
    for (unsigned vector = 0; vector < X86_EXCEPTIONS + X86_LINES; vector++) {
        const uint64_t at = idt + (uint64_t)vector * X86_GATE_BYTES;
        memory_write64(cpu->memory, at, x86_gate(handler_of(vector), vector == X86_OF ? X86_RPL : 0));
        memory_write64(cpu->memory, at + 8, handler_of(vector) >> 32);
    }
    core_set_interrupt_handler(cpu->core, x86_on_pin, cpu);
    cpu->cr0 = X86_CR0_PE | X86_CR0_WP | X86_CR0_AM | X86_CR0_PG;
    cpu->cs = X86_KERNEL_CS;
    cpu->rflags = X86_RFLAGS_ONE;
    cpu->way = X86_BY_SYSCALL;
    cpu->registers[X86_R11] = X86_RFLAGS_ONE | X86_RFLAGS_IF;
    mmu_nested_init(&cpu->translation, cpu->memory, NULL);
}

/* RSP0 lies at half a word's boundary. */
void x86_set_kernel_stack(struct x86 *cpu, uint64_t top) {
    for (uint32_t half = 0; half < 8; half += 4) {
        x86_kernel_store(cpu, X86_DIRECT_MAP + cpu->tss + X86_TSS_RSP0 + half, 4, top >> (8 * half) & UINT32_MAX);
    }
}

/* ---- spaces ---- */

struct x86_space x86_space_make(struct address_space *tables, uint32_t tag, bool nested) {
    return (struct x86_space){.tables = tables,
                              .tag = tag,
                              .nested = nested,
                              .root = MMU_NO_ROOT,
                              .guest = {.rflags = X86_RFLAGS_ONE | X86_RFLAGS_IF, .cs = X86_USER_CS}};
}

void x86_switch(struct x86 *cpu, struct x86_space *space) {
    SIM_ASSERT_MSG(!x86_is_user(cpu), "%s: the kernel switches spaces", cpu->name);
    x86_cycles(cpu, cpu->config.cr3_cycles);
    cpu->counters.switches++;
    if (cpu->space != space) {
        cpu->way = space->nested ? X86_BY_EXIT : X86_BY_SYSCALL;
        cpu->registers[X86_R11] = X86_RFLAGS_ONE | X86_RFLAGS_IF;
    }
    cpu->space = space;
    mmu_nested_switch(&cpu->translation, space->tables, space->nested ? space->root : MMU_NO_ROOT, space->tag);
    if (!cpu->config.pcid) {
        mmu_nested_invalidate_all(&cpu->translation);
    }
}

void x86_nest(struct x86 *cpu) {
    struct x86_space *space = cpu->space;
    SIM_ASSERT_MSG(!x86_is_user(cpu) && (space->nested || cpu->way == X86_BY_SYSCALL), "%s: not in a system call",
                   cpu->name);
    if (space->nested) {
        return;
    }
    space->nested = true;
    space->root = MMU_NO_ROOT;
    space->guest = (struct x86_guest){.rip = cpu->registers[X86_RCX],
                                      .rsp = cpu->registers[X86_RSP],
                                      .rflags = cpu->registers[X86_R11],
                                      .cs = X86_USER_CS};
    cpu->way = X86_BY_EXIT;
    cpu->exit_reason = X86_EXIT_VMCALL; /* as if it had come by one */
    x86_cycles(cpu, cpu->config.cr3_cycles);
    mmu_nested_invalidate_tag(&cpu->translation, space->tag);
}

static bool may(struct x86 *cpu) {
    return !x86_is_user(cpu) || cpu->guest || x86_privileged(cpu);
}

bool x86_invlpg(struct x86 *cpu, uint64_t address) {
    if (!may(cpu)) {
        return false;
    }
    x86_cycles(cpu, cpu->config.invlpg_cycles);
    mmu_nested_invalidate(&cpu->translation, address);
    return true;
}

bool x86_set_root(struct x86 *cpu, uint64_t root) {
    SIM_ASSERT_MSG(!x86_is_user(cpu) || cpu->guest || !cpu->space->nested, "%s", cpu->name);
    if (!may(cpu)) {
        return false;
    }
    x86_cycles(cpu, cpu->config.cr3_cycles);
    cpu->space->root = root;
    mmu_nested_set_root(&cpu->translation, root);
    return true;
}

/* Without tags the TLB has nothing of a space that was left. */
static bool may_be_cached(const struct x86 *cpu, const struct x86_space *space) {
    return cpu->space == space || cpu->config.pcid || space->nested;
}

void x86_invlpg_of(struct x86 *cpu, const struct x86_space *space, uint64_t address) {
    struct mmu_nested *translation = &cpu->translation;
    const uint32_t tag = translation->tag;
    if (!may_be_cached(cpu, space)) {
        return;
    }
    SIM_ASSERT_MSG(!space->nested, "%s: INVLPG of a second level's page", cpu->name);
    x86_cycles(cpu, cpu->config.invlpg_cycles + (cpu->space == space ? 0 : 2 * cpu->config.cr3_cycles));
    translation->tag = space->tag;
    mmu_nested_invalidate(translation, address);
    translation->tag = tag;
}

void x86_flush(struct x86 *cpu, const struct x86_space *space) {
    if (may_be_cached(cpu, space)) {
        x86_cycles(cpu, space->nested ? cpu->config.invept_cycles : cpu->config.cr3_cycles);
        mmu_nested_invalidate_tag(&cpu->translation, space->tag);
    }
}

/* ---- the local APIC's timer ---- */

static void on_tick(void *context) {
    x86_raise(context, X86_TIMER_LINE);
}

void x86_timer_start(struct x86 *cpu, sim_time period) {
    interval_start(&cpu->timer, period);
}

/* ---- counters ---- */

static void visit_exceptions(const struct x86 *cpu, const struct stats_sink *sink) {
    static const char *const names[X86_EXCEPTIONS] = {[X86_DE] = "exceptions_divide",
                                                      [X86_OF] = "exceptions_overflow",
                                                      [X86_NM] = "exceptions_device_not_available",
                                                      [X86_DF] = "exceptions_double_fault",
                                                      [X86_GP] = "exceptions_protection",
                                                      [X86_PF] = "exceptions_page_fault",
                                                      [X86_AC] = "exceptions_alignment"};
    for (int i = 0; i < X86_EXCEPTIONS; i++) {
        if (names[i] != NULL) {
            stats_counter(sink, cpu->name, names[i], cpu->counters.exceptions[i]);
        }
    }
}

/* A processor that no kernel drives has nothing to tell. */
void x86_visit_stats(const struct x86 *cpu, const struct stats_sink *sink) {
    if (!cpu->booted) {
        return;
    }
    visit_exceptions(cpu, sink);
    stats_counter(sink, cpu->name, "exceptions_of_programs", cpu->counters.program_exceptions);
    stats_counter(sink, cpu->name, "system_calls", cpu->counters.system_calls);
    stats_counter(sink, cpu->name, "vm_exits", cpu->counters.exits);
    stats_counter(sink, cpu->name, "vm_entries", cpu->counters.entries);
    stats_counter(sink, cpu->name, "space_switches", cpu->counters.switches);
    stats_counter(sink, cpu->name, "loads", cpu->counters.loads);
    stats_counter(sink, cpu->name, "stores", cpu->counters.stores);
    stats_counter(sink, cpu->name, "tlb_hits", cpu->translation.hits);
    stats_counter(sink, cpu->name, "walks", cpu->translation.walks);
    stats_counter(sink, cpu->name, "walk_references", cpu->translation.references);
    stats_counter(sink, cpu->name, "accessed_dirty_marks", cpu->translation.marks);
    stats_counter(sink, cpu->name, "ept_violations", cpu->translation.second_faults);
    stats_counter(sink, cpu->name, "interrupts", cpu->counters.interrupts);
}

void x86_reset_stats(struct x86 *cpu) {
    struct mmu_nested *translation = &cpu->translation;
    memset(&cpu->counters, 0, sizeof cpu->counters);
    translation->hits = translation->walks = translation->references = translation->marks = 0;
    translation->first_faults = translation->second_faults = 0;
}
