/* download_costs.h: what downloaded code costs, counted in steps that really happen.
 *
 * An engine, the bytecode's interpreter, the predicates and XN count steps into a
 * struct download_work; who runs them charges the steps' cycles to a core. A step's
 * cycles are those of its machine instructions on the processor at hand, so that the
 * same profile serves any clock; profile section `download`. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_DOWNLOAD_COSTS_H
#define STILLSUIT_KERNEL_MODEL_EXO_DOWNLOAD_COSTS_H

#include <stdint.h>

#include "hw/core.h"
#include "sim/param.h"

/* Step, default cycles, help. The defaults count R3000 instructions of straight code
 * that hits its caches, one cycle each (profiles give their count and range). */
#define DOWNLOAD_STEPS(X)                                                                                              \
    X(filter_call, 12, "Call of an interpreter for one filter, and its return")                                        \
    X(bpf_load, 30, "Interpreted load at a fixed offset, with its bounds check")                                       \
    X(bpf_load_indexed, 33, "Interpreted load at X + offset")                                                          \
    X(bpf_header_length, 24, "Interpreted 4 * ([k] & 15)")                                                             \
    X(bpf_immediate, 15, "Interpreted load of a constant, the length or scratch memory; a store to scratch")           \
    X(bpf_alu, 16, "Interpreted arithmetic but multiplication and division")                                           \
    X(bpf_multiply, 28, "Interpreted multiplication")                                                                  \
    X(bpf_divide, 51, "Interpreted division")                                                                          \
    X(bpf_jump, 19, "Interpreted comparison and jump")                                                                 \
    X(bpf_return, 14, "Interpreted return")                                                                            \
    X(demux_call, 12, "Merged demultiplexing by an interpreter: call and return")                                      \
    X(demux_node, 10, "A node of the trie: its leaves and fields looked at")                                           \
    X(demux_field, 28, "A field of a node: bounds check, load by its width, byte order, mask")                         \
    X(demux_base, 14, "... whose offset counts from the end of a header of variable length")                           \
    X(demux_compare, 6, "A field with one value: the comparison")                                                      \
    X(demux_hash, 25, "A field with several values: the hash function and the first entry's comparison")               \
    X(demux_probe, 6, "Each further entry of a hash chain")                                                            \
    X(demux_test, 36, "A test at a leaf that is no equality: load, mask, comparison")                                  \
    X(demux_leaf, 8, "A leaf: whose the packet is")                                                                    \
    X(compiled_call, 8, "Merged demultiplexing by machine code: call, check of the length, return")                    \
    X(compiled_node, 0, "A node: nothing, its fields follow one another in the code")                                  \
    X(compiled_field, 3, "A field: load, its delay slot, mask")                                                        \
    X(compiled_base, 5, "... whose offset counts from the end of a header of variable length")                         \
    X(compiled_compare, 4, "Comparison with a constant of the code, branch, its delay slot")                           \
    X(compiled_hash, 12, "A hash function made for the field, the first entry's comparison, an indirect jump")         \
    X(compiled_probe, 6, "Each further entry of a hash chain")                                                         \
    X(compiled_test, 6, "A test that is no equality: load, mask, comparison")                                          \
    X(compiled_leaf, 2, "A leaf: whose the packet is")                                                                 \
    X(key_store, 18, "Collapsed filters: a field put into the key instead of compared")                                \
    X(key_hash, 40, "Collapsed filters: the hash over a key, and the first entry's comparison")                        \
    X(key_probe, 12, "Each further entry of a hash chain")                                                             \
    X(code_entry, 20, "Entry of a verified program: registers, regions; and its exit")                                 \
    X(code_alu, 1, "A verified instruction on registers")                                                              \
    X(code_multiply, 12, "... multiplication")                                                                         \
    X(code_divide, 37, "... division, with its check")                                                                 \
    X(code_jump, 2, "... comparison and jump, with its delay slot")                                                    \
    X(code_load, 6, "... load, with its bounds check")                                                                 \
    X(code_store, 5, "... store, with its bounds check")                                                               \
    X(code_bulk, 14, "Start of a bulk instruction: bounds checks, loop")                                               \
    X(code_copy_word, 4, "Bulk copy, a word of 4 bytes")                                                               \
    X(code_sum_word, 5, "Bulk checksum, a word")                                                                       \
    X(code_copy_sum_word, 7, "Bulk copy and checksum in one pass, a word")                                             \
    X(code_send, 25, "Reply handed to the driver")                                                                     \
    X(code_emit, 8, "An extent told to the kernel")                                                                    \
    X(upcall, 30, "A packet queued for its library, which is told")                                                    \
    X(filter_verify, 150, "A filter's instruction downloaded: checked, read into paths, made into machine code")       \
    X(filter_compare, 60, "... the filter compared with another one, whether both may take a packet")                  \
    X(code_verify, 80, "An instruction of the bytecode downloaded: nine rules, made into machine code")                \
    X(predicate_scan, 8, "A sleeping environment looked at: its predicate found")                                      \
    X(xn_compare, 10, "XN: an extent of an ownership function's output compared")                                      \
    X(xn_registry, 20, "XN: a block's registry entry looked up and changed")                                           \
    X(xn_copy_word, 4, "XN: a word of a modification, saved and applied")

enum download_step {
#define DOWNLOAD_STEP_ENUM(name, cycles, help) DOWNLOAD_##name,
    DOWNLOAD_STEPS(DOWNLOAD_STEP_ENUM)
#undef DOWNLOAD_STEP_ENUM
        DOWNLOAD_STEP_COUNT
};

struct download_costs {
    struct cost step[DOWNLOAD_STEP_COUNT];
};
extern const struct param download_cost_params[];

/* Defaults alone: for tests, and where no profile is given. */
void download_costs_default(struct download_costs *costs);

/* Steps that happened. */
struct download_work {
    uint64_t count[DOWNLOAD_STEP_COUNT];
};
static inline void download_count(struct download_work *work, enum download_step step, uint64_t times) {
    work->count[step] += times;
}
void download_work_add(struct download_work *to, const struct download_work *more);
/* Cycles of what was counted. */
uint64_t download_work_cycles(const struct download_work *work, const struct download_costs *costs);
/* Charges it to a context, counts the costs' uses, and forgets the steps; returns the
 * cycles. Without a context (before the run) it costs nothing. */
uint64_t download_work_charge(struct download_work *work, struct download_costs *costs, struct context *context);

#endif
