/* x86_internal.h: what the processor's files share. */
#ifndef STILLSUIT_HW_X86_X86_INTERNAL_H
#define STILLSUIT_HW_X86_X86_INTERNAL_H

#include "hw/x86/x86.h"

/* An exception that an instruction met. */
struct x86_fault {
    enum x86_vector vector;
    uint64_t error_code;
    uint64_t address;  /* of #PF: linear */
    bool second_level; /* an EPT violation: */
    uint64_t physical, qualification;
};

/* ---- x86_execute.c ---- */
void x86_cycles(struct x86 *cpu, uint64_t cycles);
/* The running context has executed all that it charged. */
void x86_settle(void);
/* A translated word of the program's, for what the hardware itself reads and writes on
 * its behalf (gates, frames). False: `fault`. */
bool x86_translate(struct x86 *cpu, uint64_t address, bool write, uint64_t *physical, struct x86_fault *fault);

/* ---- x86_trap.c ---- */
/* Raises an exception at the present instruction, into whose it is. */
enum x86_resume x86_raise_fault(struct x86 *cpu, const struct x86_fault *fault);

/* The core's interrupt pin: other devices' vectors arrive as line vector % X86_LINES. */
core_interrupt_handler x86_on_pin;

#endif
