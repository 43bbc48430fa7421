/* aegis_x86_fixture.h: before aegis_fixture.h, or a test that includes it: Aegis on an
 * x86-64 core, whose steps have round numbers; lines are touched for nothing. */
#ifndef STILLSUIT_TESTS_KERNEL_MODEL_AEGIS_X86_FIXTURE_H
#define STILLSUIT_TESTS_KERNEL_MODEL_AEGIS_X86_FIXTURE_H

#define FIXTURE_X86                                                                                                    \
    "x86: {syscall: 40 cycles, sysret: 35 cycles, exception: 150 cycles, iret: 100 cycles, exit: 450 cycles,"          \
    " entry: 400 cycles, invlpg: 120 cycles, invept: 410 cycles, cr3: 160 cycles, assist: 90 cycles,"                  \
    " eoi: 30 cycles}\n"
enum {
    X86_SYSCALL_CYCLES = 40,
    X86_SYSRET_CYCLES = 35,
    X86_EXCEPTION_CYCLES = 150,
    X86_IRET_CYCLES = 100,
    X86_EXIT_CYCLES = 450,
    X86_ENTRY_CYCLES = 400,
    X86_INVLPG_CYCLES = 120,
    X86_INVEPT_CYCLES = 410,
    X86_CR3_CYCLES = 160
};

#endif
