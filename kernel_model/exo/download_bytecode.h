/* download_bytecode.h: the instructions of downloaded code that runs in the kernel:
 * handlers of packets, predicates of sleeping environments, ownership functions of
 * metadata. (Classic BPF, download_bpf.h, chooses packets but writes nothing.)
 *
 * The machine: sixteen registers of 32 bits, not set at the start; up to eight
 * regions of memory, declared when the code is downloaded, each readable and
 * perhaps writable; nothing else. Region 0 is what the code is run on: the packet
 * for a handler, the block for an ownership function. An instruction is eight bytes:
 * operation, three operands a, b, c of a byte, and a signed immediate of 32 bits.
 * Words in memory are little-endian, at any alignment; swap16 and swap32 turn them
 * into network order.
 *
 * Jumps go forward only. `repeat` runs the a instructions that follow it, its body,
 * `immediate` times; bodies do not nest, and no jump crosses a body's edge but to
 * its end. Bulk instructions take offsets and lengths from registers in a row, the
 * first of which is c, and their immediate is the longest length that they may meet.
 * So the time of any program has a bound that one can read off it
 * (download_verify.h). */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_DOWNLOAD_BYTECODE_H
#define STILLSUIT_KERNEL_MODEL_EXO_DOWNLOAD_BYTECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel_model/exo/download_costs.h"

enum {
    DOWNLOAD_REGISTERS = 16,
    DOWNLOAD_REGIONS_MAX = 8,
    DOWNLOAD_CODE_MAX = 256,    /* instructions */
    DOWNLOAD_REPEAT_MAX = 1024, /* times */
    DOWNLOAD_BULK_MAX = 2048,   /* bytes of one bulk instruction */
    DOWNLOAD_SENDS_MAX = 4,     /* of one run */
    DOWNLOAD_EMITS_MAX = 64
};

/* What an operand is; the verifier reads these and nothing else about an operation. */
enum download_use {
    USE_READ_A = 1,           /* register a is read */
    USE_READ_B = 2,           /* ... b */
    USE_READ_C = 4,           /* ... c */
    USE_WRITE_A = 8,          /* register a is set */
    USE_IMMEDIATE = 16,       /* the immediate counts; otherwise it is 0 */
    USE_REGION_A_WRITE = 32,  /* a is a region that is written */
    USE_REGION_B_READ = 64,   /* b is a region that is read */
    USE_REGION_C_READ = 128,  /* c is a region that is read */
    USE_REGION_C_WRITE = 256, /* c is a region that is written */
    USE_REGION_C_SIZE = 512,  /* c is a region, whose size is asked for */
    USE_JUMP = 1024,          /* forward, over `immediate` instructions */
    USE_DIVIDE = 2048         /* by register c, or by the immediate */
};

/* Kinds of code, and what each may do. */
enum download_kind {
    DOWNLOAD_HANDLER = 1,   /* a packet's: may write its regions and send */
    DOWNLOAD_PREDICATE = 2, /* a sleeper's: reads */
    DOWNLOAD_OWNS = 4,      /* a metadata type's: reads, and emits extents */
    DOWNLOAD_ANY = 7
};

/* name, operands, registers in a row from c, step that it costs, kinds, meaning */
#define DOWNLOAD_OPERATIONS(X)                                                                                         \
    X(set, USE_WRITE_A | USE_IMMEDIATE, 0, code_alu, DOWNLOAD_ANY, "a = immediate")                                    \
    X(move, USE_WRITE_A | USE_READ_B, 0, code_alu, DOWNLOAD_ANY, "a = b")                                              \
    X(add, USE_WRITE_A | USE_READ_B | USE_READ_C, 0, code_alu, DOWNLOAD_ANY, "a = b + c")                              \
    X(subtract, USE_WRITE_A | USE_READ_B | USE_READ_C, 0, code_alu, DOWNLOAD_ANY, "a = b - c")                         \
    X(multiply, USE_WRITE_A | USE_READ_B | USE_READ_C, 0, code_multiply, DOWNLOAD_ANY, "a = b * c")                    \
    X(divide, USE_WRITE_A | USE_READ_B | USE_READ_C | USE_DIVIDE, 0, code_divide, DOWNLOAD_ANY,                        \
      "a = b / c; c = 0 stops the program")                                                                            \
    X(modulo, USE_WRITE_A | USE_READ_B | USE_READ_C | USE_DIVIDE, 0, code_divide, DOWNLOAD_ANY,                        \
      "a = b % c; c = 0 stops the program")                                                                            \
    X(and, USE_WRITE_A | USE_READ_B | USE_READ_C, 0, code_alu, DOWNLOAD_ANY, "a = b & c")                              \
    X(or, USE_WRITE_A | USE_READ_B | USE_READ_C, 0, code_alu, DOWNLOAD_ANY, "a = b | c")                               \
    X(xor, USE_WRITE_A | USE_READ_B | USE_READ_C, 0, code_alu, DOWNLOAD_ANY, "a = b ^ c")                              \
    X(shift_left, USE_WRITE_A | USE_READ_B | USE_READ_C, 0, code_alu, DOWNLOAD_ANY, "a = b << (c & 31)")               \
    X(shift_right, USE_WRITE_A | USE_READ_B | USE_READ_C, 0, code_alu, DOWNLOAD_ANY, "a = b >> (c & 31)")              \
    X(add_immediate, USE_WRITE_A | USE_READ_B | USE_IMMEDIATE, 0, code_alu, DOWNLOAD_ANY, "a = b + immediate")         \
    X(and_immediate, USE_WRITE_A | USE_READ_B | USE_IMMEDIATE, 0, code_alu, DOWNLOAD_ANY, "a = b & immediate")         \
    X(divide_immediate, USE_WRITE_A | USE_READ_B | USE_IMMEDIATE | USE_DIVIDE, 0, code_divide, DOWNLOAD_ANY,           \
      "a = b / immediate")                                                                                             \
    X(swap16, USE_WRITE_A | USE_READ_B, 0, code_alu, DOWNLOAD_ANY, "a = the two low bytes of b, exchanged")            \
    X(swap32, USE_WRITE_A | USE_READ_B, 0, code_alu, DOWNLOAD_ANY, "a = b, its four bytes reversed")                   \
    X(fold, USE_WRITE_A | USE_READ_B, 0, code_alu, DOWNLOAD_ANY, "a = the Internet checksum of the sum b")             \
    X(size, USE_WRITE_A | USE_REGION_C_SIZE, 0, code_alu, DOWNLOAD_ANY, "a = bytes of region c")                       \
    X(load8, USE_WRITE_A | USE_READ_B | USE_REGION_C_READ | USE_IMMEDIATE, 0, code_load, DOWNLOAD_ANY,                 \
      "a = the byte at b + immediate of region c")                                                                     \
    X(load16, USE_WRITE_A | USE_READ_B | USE_REGION_C_READ | USE_IMMEDIATE, 0, code_load, DOWNLOAD_ANY,                \
      "... two bytes")                                                                                                 \
    X(load32, USE_WRITE_A | USE_READ_B | USE_REGION_C_READ | USE_IMMEDIATE, 0, code_load, DOWNLOAD_ANY,                \
      "... four bytes")                                                                                                \
    X(store8, USE_READ_A | USE_READ_B | USE_REGION_C_WRITE | USE_IMMEDIATE, 0, code_store, DOWNLOAD_HANDLER,           \
      "the byte at b + immediate of region c = a")                                                                     \
    X(store16, USE_READ_A | USE_READ_B | USE_REGION_C_WRITE | USE_IMMEDIATE, 0, code_store, DOWNLOAD_HANDLER,          \
      "... two bytes")                                                                                                 \
    X(store32, USE_READ_A | USE_READ_B | USE_REGION_C_WRITE | USE_IMMEDIATE, 0, code_store, DOWNLOAD_HANDLER,          \
      "... four bytes")                                                                                                \
    X(jump, USE_JUMP | USE_IMMEDIATE, 0, code_jump, DOWNLOAD_ANY, "skip `immediate` instructions")                     \
    X(jump_equal, USE_READ_A | USE_READ_B | USE_JUMP | USE_IMMEDIATE, 0, code_jump, DOWNLOAD_ANY, "... if a = b")      \
    X(jump_different, USE_READ_A | USE_READ_B | USE_JUMP | USE_IMMEDIATE, 0, code_jump, DOWNLOAD_ANY,                  \
      "... if a differs from b")                                                                                       \
    X(jump_less, USE_READ_A | USE_READ_B | USE_JUMP | USE_IMMEDIATE, 0, code_jump, DOWNLOAD_ANY,                       \
      "... if a < b, unsigned")                                                                                        \
    X(jump_at_least, USE_READ_A | USE_READ_B | USE_JUMP | USE_IMMEDIATE, 0, code_jump, DOWNLOAD_ANY,                   \
      "... if a >= b, unsigned")                                                                                       \
    X(repeat, USE_IMMEDIATE, 0, code_alu, DOWNLOAD_ANY, "run the next a instructions `immediate` times")               \
    X(copy, USE_REGION_A_WRITE | USE_REGION_B_READ | USE_IMMEDIATE, 3, code_bulk, DOWNLOAD_HANDLER,                    \
      "copy from region b to region a; c: to offset, from offset, bytes")                                              \
    X(sum, USE_READ_A | USE_WRITE_A | USE_REGION_B_READ | USE_IMMEDIATE, 2, code_bulk, DOWNLOAD_ANY,                   \
      "a += ones' complement sum over region b; c: from offset, bytes")                                                \
    X(copy_sum, USE_REGION_A_WRITE | USE_REGION_B_READ | USE_IMMEDIATE, 4, code_bulk, DOWNLOAD_HANDLER,                \
      "copy and sum in one pass; c: to offset, from offset, bytes, sum")                                               \
    X(send, USE_REGION_B_READ | USE_IMMEDIATE, 2, code_send, DOWNLOAD_HANDLER,                                         \
      "send a frame that lies in region b; c: from offset, bytes")                                                     \
    X(emit, USE_READ_A | USE_READ_B | USE_READ_C, 0, code_emit, DOWNLOAD_OWNS,                                         \
      "this metadata owns b blocks of type c from block a on")                                                         \
    X(return_value, USE_READ_A, 0, code_alu, DOWNLOAD_ANY, "end; a is the program's value")

enum download_operation {
#define DOWNLOAD_OPERATION_ENUM(name, use, group, step, kinds, help) OPERATION_##name,
    DOWNLOAD_OPERATIONS(DOWNLOAD_OPERATION_ENUM)
#undef DOWNLOAD_OPERATION_ENUM
        DOWNLOAD_OPERATION_COUNT
};

struct download_instruction {
    uint8_t operation, a, b, c;
    int32_t immediate;
};
_Static_assert(sizeof(struct download_instruction) == 8, "eight bytes");

/* A row of the table above. */
struct download_rule {
    const char *name;
    unsigned use;   /* enum download_use */
    uint32_t group; /* registers in a row from c: all read; copy_sum sets the last */
    enum download_step step;
    unsigned kinds; /* enum download_kind that may have it */
    const char *help;
};
extern const struct download_rule download_rules[DOWNLOAD_OPERATION_COUNT];

/* Bytes that a load or a store moves; 0 for others. */
uint32_t download_access_bytes(enum download_operation operation);

/* Counts the words that a bulk instruction moves or sums, beside its own step. */
void download_bulk_count(const struct download_instruction *at, uint32_t bytes, struct download_work *work);

#endif
