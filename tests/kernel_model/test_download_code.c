/* test_download_code.c: programs that the verifier takes and refuses, what they do, and
 * that none of those it takes ever leaves its regions or its time. */
#include <criterion/criterion.h>
#include <string.h>

#include "kernel_model/exo/download_run.h"
#include "sim/random.h"

typedef struct download_instruction instruction;
#define I(name, a, b, c, immediate)                                                                                    \
    { OPERATION_##name, (a), (b), (c), (immediate) }
#define END I(return_value, 0, 0, 0, 0)

enum { PACKET = 0x1000, TABLE = 0x3000, OUT = 0x5000, MEMORY_BYTES = 0x8000, LIMIT = 5000 };
static const struct download_region regions[3] = {{PACKET, 128, false}, {TABLE, 64, false}, {OUT, 256, true}};
static struct download_program program;
static struct download_outcome outcome;
static struct download_costs costs;
static struct download_work work;
static struct memory *memory;

static void set_up(void) {
    download_costs_default(&costs);
    memory = memory_create(MEMORY_BYTES);
}
TestSuite(download_code, .init = set_up);

/* The rule that a program breaks; 0: it passes. */
static unsigned verify_as(enum download_kind kind, const instruction *code, uint32_t count) {
    struct download_verdict verdict;
    const enum error_code result =
        download_verify(kind, code, count, regions, 3, &costs, LIMIT, &program, &verdict, NULL);
    cr_assert_eq(result == OK, verdict.rule == 0);
    return verdict.rule;
}
#define VERIFY_AS(kind, ...)                                                                                           \
    verify_as(kind, (instruction[]){__VA_ARGS__}, sizeof((instruction[]){__VA_ARGS__}) / sizeof(instruction))
#define VERIFY(...) VERIFY_AS(DOWNLOAD_HANDLER, __VA_ARGS__)

static uint64_t run(void) {
    memset(&work, 0, sizeof work);
    download_run(&program, memory, NULL, NULL, &work, &outcome);
    const uint64_t cycles = download_work_cycles(&work, &costs);
    cr_assert_leq(cycles, program.bound_cycles);
    return cycles;
}

static uint64_t cycles_of(enum download_step step) {
    return costs.step[step].cycles;
}

/* ---- what is refused ---- */

Test(download_code, length) {
    static instruction longest[DOWNLOAD_CODE_MAX + 1];
    for (int i = 0; i <= DOWNLOAD_CODE_MAX; i++) {
        longest[i] = (instruction)I(set, 0, 0, 0, 1);
    }
    longest[DOWNLOAD_CODE_MAX - 1] = longest[DOWNLOAD_CODE_MAX] = (instruction)END;
    cr_assert_eq(verify_as(DOWNLOAD_HANDLER, longest, DOWNLOAD_CODE_MAX), 0);
    cr_assert_eq(verify_as(DOWNLOAD_HANDLER, longest, DOWNLOAD_CODE_MAX + 1), 1);
    cr_assert_eq(verify_as(DOWNLOAD_HANDLER, longest, 0), 1);
    cr_assert_eq(VERIFY(I(set, 0, 0, 0, 1)), 1, "falls off the end");
}

Test(download_code, operands) {
    cr_assert_eq(VERIFY({DOWNLOAD_OPERATION_COUNT, 0, 0, 0, 0}, END), 2);
    cr_assert_eq(VERIFY(I(set, 16, 0, 0, 1), END), 2);
    cr_assert_eq(VERIFY(I(set, 0, 1, 0, 1), END), 2, "an operand that has no meaning");
    cr_assert_eq(VERIFY(I(set, 0, 0, 0, 1), I(move, 1, 0, 0, 5), END), 2);
    cr_assert_eq(VERIFY(I(copy, 2, 0, 14, 8), END), 2, "a row beyond the last register");
    cr_assert_eq(VERIFY(I(copy, 2, 0, 0, 0), END), 2);
    cr_assert_eq(VERIFY(I(copy, 2, 0, 0, DOWNLOAD_BULK_MAX + 1), END), 2);
    cr_assert_eq(VERIFY(I(set, 0, 0, 0, 1), I(emit, 0, 0, 0, 0), END), 2, "no handler's");
}

Test(download_code, kinds) {
    const instruction store[] = {I(set, 0, 0, 0, 0), I(store8, 0, 0, 2, 0), END};
    const instruction emit[] = {I(set, 0, 0, 0, 0), I(emit, 0, 0, 0, 0), END};
    cr_assert_eq(verify_as(DOWNLOAD_HANDLER, store, 3), 0);
    cr_assert_eq(verify_as(DOWNLOAD_PREDICATE, store, 3), 2);
    cr_assert_eq(verify_as(DOWNLOAD_OWNS, store, 3), 2);
    cr_assert_eq(verify_as(DOWNLOAD_OWNS, emit, 3), 0);
    cr_assert_eq(verify_as(DOWNLOAD_PREDICATE, emit, 3), 2);
}

Test(download_code, regions_that_are_not_ones_own) {
    cr_assert_eq(VERIFY(I(set, 0, 0, 0, 0), I(load8, 1, 0, 3, 0), END), 3, "was not declared");
    cr_assert_eq(VERIFY(I(set, 0, 0, 0, 0), I(store8, 0, 0, 0, 0), END), 3, "is not writable");
    cr_assert_eq(VERIFY(I(set, 0, 0, 0, 0), I(set, 1, 0, 0, 0), I(set, 2, 0, 0, 4), I(copy, 1, 0, 0, 8), END), 3);
    cr_assert_eq(VERIFY(I(set, 0, 0, 0, 0), I(set, 1, 0, 0, 0), I(set, 2, 0, 0, 4), I(copy, 2, 0, 0, 8), END), 0);
}

Test(download_code, bodies) {
    const instruction one = I(set, 0, 0, 0, 1);
    cr_assert_eq(VERIFY(one, I(repeat, 1, 0, 0, 3), one, END), 0);
    cr_assert_eq(VERIFY(one, I(repeat, 0, 0, 0, 3), one, END), 4);
    cr_assert_eq(VERIFY(one, I(repeat, 2, 0, 0, 3), one, END), 4, "the body reaches the end");
    cr_assert_eq(VERIFY(one, I(repeat, 1, 0, 0, 0), one, END), 4);
    cr_assert_eq(VERIFY(one, I(repeat, 1, 0, 0, DOWNLOAD_REPEAT_MAX + 1), one, END), 4);
    cr_assert_eq(VERIFY(one, I(repeat, 2, 0, 0, 3), I(repeat, 1, 0, 0, 3), one, END), 4, "nested");
    cr_assert_eq(VERIFY(one, I(repeat, 2, 0, 0, 3), END, one, END), 4, "returns from a body");
}

Test(download_code, loops_and_wild_jumps) {
    const instruction one = I(set, 0, 0, 0, 1);
    cr_assert_eq(VERIFY(one, I(jump, 0, 0, 0, -1), END), 5, "a loop");
    cr_assert_eq(VERIFY(one, I(jump, 0, 0, 0, -2), END), 5);
    cr_assert_eq(VERIFY(one, I(jump, 0, 0, 0, 1), END), 5, "beyond the end");
    cr_assert_eq(VERIFY(one, I(jump, 0, 0, 0, 0), END), 0);
    cr_assert_eq(VERIFY(one, I(jump, 0, 0, 0, INT32_MAX), END), 5);
    cr_assert_eq(VERIFY(one, I(jump, 0, 0, 0, 1), I(repeat, 2, 0, 0, 9), one, one, END), 5, "into a body");
    cr_assert_eq(VERIFY(one, I(jump, 0, 0, 0, 2), I(repeat, 2, 0, 0, 9), one, one, END), 5, "its middle");
    cr_assert_eq(VERIFY(one, I(jump, 0, 0, 0, 3), I(repeat, 2, 0, 0, 9), one, one, END), 0, "past it");
    cr_assert_eq(VERIFY(one, I(repeat, 2, 0, 0, 9), I(jump, 0, 0, 0, 2), one, one, END), 5, "out of it");
    cr_assert_eq(VERIFY(one, I(repeat, 2, 0, 0, 9), I(jump, 0, 0, 0, 1), one, one, END), 0, "to its end");
}

Test(download_code, registers_never_set) {
    cr_assert_eq(VERIFY(END), 6);
    cr_assert_eq(VERIFY(I(move, 0, 1, 0, 0), END), 6);
    cr_assert_eq(VERIFY(I(set, 0, 0, 0, 1), I(set, 1, 0, 0, 1), I(jump_equal, 0, 1, 0, 1), I(set, 2, 0, 0, 1),
                        I(return_value, 2, 0, 0, 0)),
                 6, "set on one way only");
    cr_assert_eq(VERIFY(I(set, 0, 0, 0, 1), I(set, 1, 0, 0, 1), I(copy, 2, 0, 0, 4), END), 6, "a row not whole");
}

Test(download_code, constant_addresses_outside) {
    cr_assert_eq(VERIFY(I(set, 0, 0, 0, 60), I(load32, 0, 0, 1, 0), END), 0);
    cr_assert_eq(VERIFY(I(set, 0, 0, 0, 60), I(load32, 0, 0, 1, 1), END), 7);
    cr_assert_eq(VERIFY(I(set, 0, 0, 0, 60), I(load32, 0, 0, 1, -61), END), 7, "below the start");
    cr_assert_eq(VERIFY(I(set, 0, 0, 0, 256), I(store8, 0, 0, 2, 0), END), 7);
    cr_assert_eq(VERIFY(I(set, 0, 0, 0, 0), I(set, 1, 0, 0, 100), I(set, 2, 0, 0, 29), I(copy, 2, 0, 0, 64), END), 7);
    /* what a repeat changes is no constant any more, and is checked as it runs */
    cr_assert_eq(
        VERIFY(I(set, 0, 0, 0, 0), I(repeat, 2, 0, 0, 65), I(load8, 1, 0, 1, 0), I(add_immediate, 0, 0, 0, 1), END), 0);
    (void)run();
    cr_assert_eq(outcome.stop, DOWNLOAD_OUTSIDE);
    cr_assert_eq(work.count[DOWNLOAD_code_load], 65);
}

Test(download_code, division_by_zero) {
    cr_assert_eq(VERIFY(I(set, 0, 0, 0, 8), I(divide_immediate, 0, 0, 0, 0), END), 8);
    cr_assert_eq(VERIFY(I(set, 0, 0, 0, 8), I(set, 1, 0, 0, 0), I(divide, 0, 0, 1, 0), END), 8);
    cr_assert_eq(VERIFY(I(set, 0, 0, 0, 8), I(load8, 1, 0, 0, 0), I(modulo, 0, 0, 1, 0), END), 0);
    (void)run();
    cr_assert_eq(outcome.stop, DOWNLOAD_BY_ZERO);
    memory_fill(memory, PACKET, 5, 128);
    (void)run();
    cr_assert_eq(outcome.stop, DOWNLOAD_RETURNED);
    cr_assert_eq(outcome.value, 8 % 5);
}

Test(download_code, too_long_a_time) {
    cr_assert_eq(VERIFY(I(set, 0, 0, 0, 0), I(repeat, 1, 0, 0, 1024), I(load8, 0, 0, 0, 0), END), 9);
    cr_assert_eq(VERIFY(I(set, 0, 0, 0, 0), I(repeat, 1, 0, 0, 512), I(load8, 0, 0, 0, 0), END), 0);
    const instruction send = I(send, 0, 2, 0, 64);
    cr_assert_eq(VERIFY(I(set, 0, 0, 0, 0), I(set, 1, 0, 0, 9), send, send, send, send, END), 0);
    cr_assert_eq(VERIFY(I(set, 0, 0, 0, 0), I(set, 1, 0, 0, 9), send, send, send, send, send, END), 9);
    cr_assert_eq(VERIFY(I(set, 0, 0, 0, 0), I(set, 1, 0, 0, 9), I(repeat, 1, 0, 0, 5), send, END), 9);
}

/* ---- what it does, and takes ---- */

Test(download_code, the_bound_is_the_longest_way_exactly) {
    /* The way through the division is longer; the packet chooses. */
    cr_assert_eq(VERIFY(I(set, 0, 0, 0, 0), I(load8, 1, 0, 0, 0), I(jump_equal, 0, 1, 0, 1),
                        I(divide_immediate, 1, 1, 0, 3), I(return_value, 1, 0, 0, 0)),
                 0);
    const uint64_t common = cycles_of(DOWNLOAD_code_entry) + cycles_of(DOWNLOAD_code_load) +
                            cycles_of(DOWNLOAD_code_jump) + 2 * cycles_of(DOWNLOAD_code_alu);
    cr_assert_eq(program.bound_cycles, common + cycles_of(DOWNLOAD_code_divide));
    cr_assert_eq(run(), common);
    memory_fill(memory, PACKET, 9, 1);
    cr_assert_eq(run(), program.bound_cycles);
    cr_assert_eq(outcome.value, 3);
}

Test(download_code, repeat_takes_its_turns) {
    cr_assert_eq(VERIFY(I(set, 0, 0, 0, 0), I(repeat, 1, 0, 0, 10), I(add_immediate, 0, 0, 0, 7), END), 0);
    const uint64_t cycles = run();
    cr_assert_eq(outcome.value, 70);
    cr_assert_eq(cycles, cycles_of(DOWNLOAD_code_entry) + 13 * cycles_of(DOWNLOAD_code_alu) +
                             10 * cycles_of(DOWNLOAD_code_jump));
    cr_assert_eq(cycles, program.bound_cycles);
}

Test(download_code, copy_and_checksum_in_one_pass) {
    uint8_t packet[61], copied[61];
    for (uint32_t i = 0; i < sizeof packet; i++) {
        packet[i] = (uint8_t)(i * 37 + 200);
    }
    memory_write(memory, PACKET, packet, sizeof packet);
    cr_assert_eq(VERIFY(I(set, 4, 0, 0, 16), I(set, 5, 0, 0, 0), I(set, 6, 0, 0, 61), I(set, 7, 0, 0, 0),
                        I(copy_sum, 2, 0, 4, 128), I(fold, 0, 7, 0, 0), END),
                 0);
    const uint64_t cycles = run();
    memory_read(memory, OUT + 16, copied, sizeof copied);
    cr_assert_eq(memcmp(packet, copied, sizeof packet), 0);
    uint32_t sum = 0; /* by the book: words in network order, the odd byte padded */
    for (uint32_t i = 0; i < 62; i += 2) {
        sum += (uint32_t)packet[i] << 8 | (i + 1 < 61 ? packet[i + 1] : 0);
    }
    sum = (sum & 0xffff) + (sum >> 16);
    cr_assert_eq(outcome.value, ~((sum & 0xffff) + (sum >> 16)) & 0xffff);
    cr_assert_eq(cycles, cycles_of(DOWNLOAD_code_entry) + 6 * cycles_of(DOWNLOAD_code_alu) +
                             cycles_of(DOWNLOAD_code_bulk) + 16 * cycles_of(DOWNLOAD_code_copy_sum_word));
    cr_assert_eq(program.bound_cycles - cycles, (32 - 16) * cycles_of(DOWNLOAD_code_copy_sum_word));
    cr_assert_lt(cycles_of(DOWNLOAD_code_copy_sum_word),
                 cycles_of(DOWNLOAD_code_copy_word) + cycles_of(DOWNLOAD_code_sum_word));
}

Test(download_code, a_bulk_length_above_the_declared_one_stops) {
    memory_fill(memory, PACKET, 100, 1);
    cr_assert_eq(VERIFY(I(set, 4, 0, 0, 0), I(set, 5, 0, 0, 0), I(load8, 6, 4, 0, 0), I(copy, 2, 0, 4, 99),
                        I(return_value, 4, 0, 0, 0)),
                 0);
    (void)run();
    cr_assert_eq(outcome.stop, DOWNLOAD_TOO_LARGE);
    cr_assert_eq(work.count[DOWNLOAD_code_copy_word], 0, "and costs no word");
    memory_fill(memory, PACKET, 99, 1);
    (void)run();
    cr_assert_eq(outcome.stop, DOWNLOAD_RETURNED);
}

Test(download_code, a_short_packet_is_the_region) {
    cr_assert_eq(VERIFY(I(size, 1, 0, 0, 0), I(load8, 0, 1, 0, -1), END), 0);
    const struct download_region subject = {PACKET + 8, 20, false};
    memory_fill(memory, PACKET + 27, 42, 1);
    download_run(&program, memory, &subject, NULL, &work, &outcome);
    cr_assert_eq(outcome.value, 42);
    cr_assert_eq(VERIFY(I(set, 1, 0, 0, 20), I(load8, 0, 1, 0, 0), END), 0, "within the longest packet");
    download_run(&program, memory, &subject, NULL, &work, &outcome);
    cr_assert_eq(outcome.stop, DOWNLOAD_OUTSIDE, "but not within this one");
}

/* ---- random programs against an independent monitor ---- */

static uint32_t leaks;
static void monitor(void *context, uint64_t physical, uint32_t length, bool write) {
    (void)context;
    const bool in_out = physical >= 0x5000 && physical + length <= 0x5100;
    const bool in_read =
        (physical >= 0x1000 && physical + length <= 0x1080) || (physical >= 0x3000 && physical + length <= 0x3040);
    leaks += !(in_out || (in_read && !write));
}

static instruction random_instruction(struct random_stream *random, uint32_t left) {
    instruction at = {.operation = (uint8_t)random_below(random, DOWNLOAD_OPERATION_COUNT)};
    const struct download_rule *rule = &download_rules[at.operation];
    at.a = (uint8_t)random_below(random, (rule->use & USE_REGION_A_WRITE) != 0 ? 4 : 16);
    at.b = (uint8_t)random_below(random, (rule->use & USE_REGION_B_READ) != 0 ? 3 : 16);
    at.c = (uint8_t)random_below(random, (rule->use & (USE_REGION_C_READ | USE_REGION_C_WRITE)) != 0 ? 3 : 12);
    const bool bulk = rule->group > 0;
    at.immediate =
        (rule->use & USE_IMMEDIATE) == 0 ? 0 : (int32_t)random_below(random, bulk ? 300 : 90) - (bulk ? 0 : 20);
    if ((rule->use & USE_JUMP) != 0) {
        at.immediate = (int32_t)random_below(random, left);
    }
    if (at.operation == OPERATION_repeat) {
        at = (instruction)I(repeat, (uint8_t)(1 + random_below(random, 6)), 0, 0,
                            (int32_t)(1 + random_below(random, 9)));
    }
    const unsigned reads_c = USE_READ_C | USE_REGION_C_READ | USE_REGION_C_WRITE | USE_REGION_C_SIZE;
    at.a = (rule->use & (USE_READ_A | USE_WRITE_A | USE_REGION_A_WRITE)) != 0 || at.operation == OPERATION_repeat ? at.a
                                                                                                                  : 0;
    at.b = (rule->use & (USE_READ_B | USE_REGION_B_READ)) != 0 ? at.b : 0;
    at.c = (rule->use & reads_c) != 0 || bulk ? at.c : 0;
    return at;
}

Test(download_code, random_programs_never_leave_their_regions_nor_their_time, .timeout = 120) {
    random_seed(21);
    struct random_stream *random = random_stream_create("test.code");
    static uint8_t before[MEMORY_BYTES], after[MEMORY_BYTES];
    for (uint32_t i = 0; i < MEMORY_BYTES; i++) {
        before[i] = (uint8_t)random_below(random, 256);
    }
    memory_write(memory, 0, before, sizeof before);
    const struct download_observer observer = {NULL, monitor};
    uint32_t passed = 0, stops[DOWNLOAD_STOPS] = {0};
    uint64_t tried = 0;
    for (; passed < 100000; tried++) {
        instruction code[40];
        const uint32_t count = 17 + (uint32_t)random_below(random, 12);
        for (uint8_t i = 0; i < 16; i++) {
            code[i] = (instruction)I(set, i, 0, 0, (int32_t)random_below(random, 140));
        }
        for (uint32_t i = 16; i + 1 < count; i++) {
            code[i] = random_instruction(random, count - i);
        }
        code[count - 1] = (instruction)END;
        if (verify_as(DOWNLOAD_HANDLER, code, count) != 0) {
            continue;
        }
        passed++;
        memset(&work, 0, sizeof work);
        download_run(&program, memory, NULL, &observer, &work, &outcome);
        stops[outcome.stop]++;
        cr_assert_leq(download_work_cycles(&work, &costs), program.bound_cycles, "program %u", passed);
        cr_assert_leq(program.bound_cycles, LIMIT);
        cr_assert_eq(leaks, 0, "program %u", passed);
        if (passed % 64 == 0) { /* what no region is for writing, is as it was */
            memory_read(memory, 0, after, sizeof after);
            cr_assert_eq(memcmp(before, after, OUT), 0);
            cr_assert_eq(memcmp(before + OUT + 256, after + OUT + 256, MEMORY_BYTES - OUT - 256), 0);
        }
    }
    cr_assert_gt(stops[DOWNLOAD_RETURNED], 10000);
    cr_assert_gt(stops[DOWNLOAD_OUTSIDE], 1000);
    cr_assert_gt(stops[DOWNLOAD_TOO_LARGE], 100);
    random_stream_free(random);
}
