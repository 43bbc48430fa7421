/* x86_fixture.h: an x86-64 processor with a program of the test's, a kernel that counts,
 * and page tables. Each line touched costs FIXTURE_LINE_CYCLES. */
#ifndef STILLSUIT_TESTS_HW_X86_FIXTURE_H
#define STILLSUIT_TESTS_HW_X86_FIXTURE_H

#include <stdio.h>

#include "hw/mmu_regs.h"
#include "hw/x86/x86.h"
#include "tests/hw/pcie_fixture.h"

enum {
    FIXTURE_LINE_CYCLES = 2,
    FIXTURE_SYSCALL = 40,
    FIXTURE_SYSRET = 35,
    FIXTURE_EXCEPTION = 150,
    FIXTURE_IRET = 100,
    FIXTURE_EXIT = 450,
    FIXTURE_ENTRY = 400,
    FIXTURE_INVLPG = 120,
    FIXTURE_INVEPT = 410,
    FIXTURE_CR3 = 160,
    FIXTURE_ASSIST = 90,
    FIXTURE_EOI = 30,
    FIXTURE_DELIVERY = FIXTURE_EXCEPTION + 3 * FIXTURE_LINE_CYCLES, /* gate, task state, frame */
    FIXTURE_BACK = FIXTURE_IRET + FIXTURE_LINE_CYCLES,
    FIXTURE_IDT = 0x10000,
    FIXTURE_TSS = 0x11000,
    FIXTURE_STACK = 0x13000, /* top of the kernel's */
    FIXTURE_TABLES = 0x100000,
    PAGE_A = 0x00400000,
    PAGE_B = 0x00401000,
    FRAME_A = 0x00800000,
    FRAME_B = 0x00900000
};

static struct machine *x86_machine;
static struct x86 *cpu;
static ledger_component x86_component;
static struct context *x86_main;
static struct address_space *kernel_tables;
static struct x86_space space;
static uint64_t next_table = FIXTURE_TABLES;

/* What the kernel saw, and what it answers. */
static struct {
    unsigned exceptions;
    enum x86_vector vector;
    uint64_t error_code, cr2;
    bool was_user;
    enum x86_resume answer;
    void (*repair)(void); /* in the handler; NULL: nothing */
} seen;

static inline uint64_t x86_fixture_table(void *context) {
    (void)context;
    next_table += X86_PAGE_BYTES;
    return next_table;
}

static inline enum x86_resume x86_fixture_exception(void *os, struct x86 *from) {
    (void)os;
    seen.exceptions++;
    seen.vector = from->vector;
    seen.error_code = from->error_code;
    seen.cr2 = from->cr2;
    seen.was_user = x86_is_user(from);
    if (seen.repair != NULL) {
        seen.repair();
    }
    x86_return(from);
    return seen.answer;
}

static inline void x86_fixture_enter(void) {
    cpu_work_for(x86_main, x86_component, NULL);
}

static inline void x86_fixture_make(const char *keys) {
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "memory: {size: 16 MiB}\n"
                   "core: {count: 1, clock: 1 GHz}\n"
                   "cache: {model: flat, flat_cycles: %d cycles}\n"
                   "iommu: {mode: off}\n"
                   "x86: {syscall: %d cycles, sysret: %d cycles, exception: %d cycles, iret: %d cycles,"
                   " exit: %d cycles, entry: %d cycles, invlpg: %d cycles, invept: %d cycles, cr3: %d cycles,"
                   " assist: %d cycles, eoi: %d cycles%s}\n",
                   FIXTURE_LINE_CYCLES, FIXTURE_SYSCALL, FIXTURE_SYSRET, FIXTURE_EXCEPTION, FIXTURE_IRET, FIXTURE_EXIT,
                   FIXTURE_ENTRY, FIXTURE_INVLPG, FIXTURE_INVEPT, FIXTURE_CR3, FIXTURE_ASSIST, FIXTURE_EOI, keys);
    x86_machine = make_machine(text);
    cpu = x86_machine->x86[0];
    x86_component = ledger_declare(&(struct ledger_declaration){"user", "cpu", NULL, NULL});
    const struct x86_vectors vectors = {.exception = x86_fixture_exception};
    x86_boot(cpu, &vectors, FIXTURE_IDT, FIXTURE_TSS);
    x86_set_kernel_stack(cpu, X86_DIRECT_MAP + FIXTURE_STACK);
    kernel_tables = address_space_create(x86_machine->memory, x86_fixture_table, NULL);
    seen.answer = X86_SKIP;
}

/* Runs `body` in user mode to its end, in `space`. */
static inline void x86_fixture_go(void (*body)(void *argument)) {
    x86_switch(cpu, &space);
    x86_main = context_create(x86_machine->cores[0], CORE_THREAD, "main", NULL, body, NULL);
    x86_leave_to(cpu, x86_main);
    sim_run(SIM_TIME_MAX);
}

/* Under kernel paging. */
static inline void x86_fixture_run_with(void (*body)(void *argument), const char *keys) {
    x86_fixture_make(keys);
    space = x86_space_make(kernel_tables, 1, false);
    x86_fixture_go(body);
}
static inline void x86_fixture_run(void (*body)(void *argument)) {
    x86_fixture_run_with(body, "");
}

static inline void x86_fixture_map(uint64_t page, uint64_t frame, bool write) {
    cr_assert_eq(address_space_map(kernel_tables, page, frame, X86_PAGE_BYTES, MMU_USER | (write ? MMU_WRITE : 0)), OK);
}

/* Where the entry of a page lies, of a level (1: leaf), found by the test's own reading. */
static inline uint64_t x86_fixture_entry(struct address_space *tables, uint64_t page, unsigned level) {
    uint64_t table = address_space_root(tables);
    for (unsigned at = MMU_LEVELS; at > level; at--) {
        table = memory_read64(x86_machine->memory, table + (page >> (12 + 9 * (at - 1)) & 511) * 8) & MMU_PTE_ADDRESS;
    }
    return table + (page >> (12 + 9 * (level - 1)) & 511) * 8;
}

/* Cycles since `from`, once all that was charged is executed. */
static inline uint64_t x86_fixture_cycles(sim_time from) {
    cpu_run(x86_main);
    return sim_clock_cycles(core_clock(x86_machine->cores[0]), sim_now() - from);
}
static inline sim_time x86_fixture_now(void) {
    cpu_run(x86_main);
    return sim_now();
}

#endif
