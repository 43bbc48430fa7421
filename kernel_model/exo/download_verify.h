/* download_verify.h: which programs run in the kernel. The rules, each of which
 * download_verify.c checks in a function of its number:
 *
 *  1 Length: 1 to DOWNLOAD_CODE_MAX instructions; the last is return_value, outside
 *    any body.
 *  2 Operations: each exists and is one of the program's kind; operands that it does
 *    not use are 0, registers are below 16, a row of registers fits.
 *  3 Regions: each that is named was declared, and is writable where it is written.
 *  4 Bodies: `repeat` has a body of at least one instruction that ends inside the
 *    program, 1 to DOWNLOAD_REPEAT_MAX times; it holds no repeat and no return_value.
 *  5 Jumps: forward, and onto an instruction: from a body only within it or to its
 *    end; from outside never into a body.
 *  6 Registers: on every way to an instruction, what it reads has been set.
 *  7 Addresses: where offset or length are constants, they lie inside the region. All
 *    others are checked as the program runs, and one outside stops it.
 *  8 Division: the divisor is no constant 0; another is checked as the program runs.
 *  9 Time: the longest way costs at most the limit; so many sends and emits as a run
 *    may have. A bulk instruction counts with its longest length.
 *
 * As jumps go forward and bodies do not nest, every program that passes ends, and
 * its time, the registers and its regions are all that it can take. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_DOWNLOAD_VERIFY_H
#define STILLSUIT_KERNEL_MODEL_EXO_DOWNLOAD_VERIFY_H

#include "kernel_model/exo/download_bytecode.h"
#include "sim/error.h"

/* Memory that a program may reach. */
struct download_region {
    uint64_t physical;
    uint32_t length_bytes; /* of region 0 the longest that it may have */
    bool writable;
};

struct download_program {
    enum download_kind kind;
    uint32_t count, region_count;
    struct download_instruction code[DOWNLOAD_CODE_MAX];
    struct download_region regions[DOWNLOAD_REGIONS_MAX];
    uint64_t bound_cycles; /* no run takes more */
};

/* A rule that was broken; 0: none. */
struct download_verdict {
    unsigned rule;
    uint32_t instruction;
};

/* Verifies `code` and fills `program`. ERR_DENIED, with the rule and the instruction in
 * `error` and `verdict` (either may be NULL). */
enum error_code download_verify(enum download_kind kind, const struct download_instruction *code, uint32_t count,
                                const struct download_region *regions, uint32_t region_count,
                                const struct download_costs *costs, uint64_t limit_cycles,
                                struct download_program *program, struct download_verdict *verdict,
                                struct error *error);

#endif
