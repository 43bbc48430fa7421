#include "kernel_model/exo/download_verify.h"

#include <string.h>

/* What is known of the registers before an instruction, on every way to it. */
struct knowledge {
    bool reached;
    uint16_t set, constant; /* a bit a register */
    uint32_t value[DOWNLOAD_REGISTERS];
};

/* What the longest way from an instruction on takes. */
struct bound {
    uint64_t cycles, sends, emits;
};

struct verification {
    struct download_program *program;
    const struct download_costs *costs;
    uint64_t limit_cycles;
    uint32_t body_end[DOWNLOAD_CODE_MAX]; /* of the body that an instruction is in; 0: none */
    struct knowledge before[DOWNLOAD_CODE_MAX + 1];
    struct bound from[DOWNLOAD_CODE_MAX + 1];
};

static const struct download_rule *rule_of(const struct download_instruction *at) {
    return &download_rules[at->operation];
}

/* ---- rule 1: length ---- */

static bool rule_length(const struct verification *v) {
    return v->program->code[v->program->count - 1].operation == OPERATION_return_value;
}

/* ---- rule 2: operations and operands ---- */

static bool register_or_zero(uint8_t operand, bool is_register, bool other) {
    return is_register ? operand < DOWNLOAD_REGISTERS : other || operand == 0;
}

static bool rule_operands(const struct verification *v, const struct download_instruction *at) {
    if (at->operation >= DOWNLOAD_OPERATION_COUNT || (rule_of(at)->kinds & v->program->kind) == 0) {
        return false;
    }
    const struct download_rule *rule = rule_of(at);
    const bool repeat = at->operation == OPERATION_repeat;
    const unsigned regions_c = USE_REGION_C_READ | USE_REGION_C_WRITE | USE_REGION_C_SIZE;
    return register_or_zero(at->a, (rule->use & (USE_READ_A | USE_WRITE_A)) != 0,
                            repeat || (rule->use & USE_REGION_A_WRITE) != 0) &&
           register_or_zero(at->b, (rule->use & USE_READ_B) != 0, (rule->use & USE_REGION_B_READ) != 0) &&
           register_or_zero(at->c, (rule->use & USE_READ_C) != 0, rule->group > 0 || (rule->use & regions_c) != 0) &&
           at->c + rule->group <= DOWNLOAD_REGISTERS && ((rule->use & USE_IMMEDIATE) != 0 || at->immediate == 0) &&
           (rule->group == 0 || (at->immediate >= 1 && at->immediate <= DOWNLOAD_BULK_MAX));
}

/* ---- rule 3: regions ---- */

static bool region_allows(const struct verification *v, uint32_t region, bool write) {
    return region < v->program->region_count && (!write || v->program->regions[region].writable);
}

static bool rule_regions(const struct verification *v, const struct download_instruction *at) {
    const unsigned use = rule_of(at)->use;
    return ((use & USE_REGION_A_WRITE) == 0 || region_allows(v, at->a, true)) &&
           ((use & USE_REGION_B_READ) == 0 || region_allows(v, at->b, false)) &&
           ((use & USE_REGION_C_WRITE) == 0 || region_allows(v, at->c, true)) &&
           ((use & (USE_REGION_C_READ | USE_REGION_C_SIZE)) == 0 || region_allows(v, at->c, false));
}

/* ---- rule 4: bodies ---- */

static bool rule_body(struct verification *v, uint32_t i) {
    const struct download_instruction *at = &v->program->code[i];
    if (v->body_end[i] != 0 && (at->operation == OPERATION_repeat || at->operation == OPERATION_return_value)) {
        return false;
    }
    if (at->operation != OPERATION_repeat) {
        return true;
    }
    if (at->a == 0 || i + 1 + at->a >= v->program->count || at->immediate < 1 || at->immediate > DOWNLOAD_REPEAT_MAX) {
        return false;
    }
    for (uint32_t j = i + 1; j <= i + at->a; j++) {
        v->body_end[j] = i + 1 + at->a;
    }
    return true;
}

/* ---- rule 5: jumps ---- */

static bool rule_jump(const struct verification *v, uint32_t i) {
    const struct download_instruction *at = &v->program->code[i];
    if ((rule_of(at)->use & USE_JUMP) == 0) {
        return true;
    }
    if (at->immediate < 0 || (uint32_t)at->immediate >= v->program->count - i - 1) {
        return false;
    }
    const uint32_t target = i + 1 + (uint32_t)at->immediate;
    return v->body_end[target] == v->body_end[i] || (v->body_end[i] != 0 && target == v->body_end[i]);
}

/* ---- rule 6: registers ---- */

static uint16_t bit(uint32_t number) {
    return (uint16_t)(1u << number);
}

static uint16_t registers_read(const struct download_instruction *at) {
    const struct download_rule *rule = rule_of(at);
    uint16_t read = 0;
    read |= (rule->use & USE_READ_A) != 0 ? bit(at->a) : 0;
    read |= (rule->use & USE_READ_B) != 0 ? bit(at->b) : 0;
    read |= (rule->use & USE_READ_C) != 0 ? bit(at->c) : 0;
    for (uint32_t i = 0; i < rule->group; i++) {
        read |= bit(at->c + i);
    }
    return read;
}

static uint16_t registers_written(const struct download_instruction *at) {
    return at->operation == OPERATION_copy_sum     ? bit(at->c + 3u)
           : (rule_of(at)->use & USE_WRITE_A) != 0 ? bit(at->a)
                                                   : 0;
}

static bool rule_registers(const struct knowledge *known, const struct download_instruction *at) {
    return !known->reached || (registers_read(at) & ~known->set) == 0;
}

/* ---- rule 7: constant addresses ---- */

static bool inside(const struct verification *v, uint32_t region, uint64_t offset, uint64_t length) {
    return offset + length <= v->program->regions[region].length_bytes;
}

static bool bulk_inside(const struct verification *v, const struct knowledge *known, uint32_t region, uint32_t offset,
                        uint32_t length) {
    const uint64_t least = (known->constant & bit(length)) != 0 ? known->value[length] : 0;
    return (known->constant & bit(offset)) == 0 || inside(v, region, known->value[offset], least);
}

static bool rule_addresses(const struct verification *v, const struct knowledge *known,
                           const struct download_instruction *at) {
    const uint32_t width = download_access_bytes(at->operation);
    if (width > 0) {
        return (known->constant & bit(at->b)) == 0 ||
               inside(v, at->c, known->value[at->b] + (uint32_t)at->immediate, width);
    }
    switch (at->operation) {
    case OPERATION_copy:
    case OPERATION_copy_sum:
        return bulk_inside(v, known, at->a, at->c, at->c + 2u) && bulk_inside(v, known, at->b, at->c + 1u, at->c + 2u);
    case OPERATION_sum:
    case OPERATION_send:
        return bulk_inside(v, known, at->b, at->c, at->c + 1u);
    default:
        return true;
    }
}

/* ---- rule 8: division ---- */

static bool rule_division(const struct knowledge *known, const struct download_instruction *at) {
    const unsigned use = rule_of(at)->use;
    if ((use & USE_DIVIDE) == 0) {
        return true;
    }
    return (use & USE_IMMEDIATE) != 0 ? at->immediate != 0
                                      : (known->constant & bit(at->c)) == 0 || known->value[at->c] != 0;
}

/* ---- what an instruction adds to what is known, and to whom it goes on ---- */

static struct knowledge knowledge_after(const struct knowledge *known, const struct download_instruction *at) {
    struct knowledge after = *known;
    const uint16_t written = registers_written(at);
    after.set |= written;
    after.constant &= (uint16_t)~written;
    const bool from_constant = at->operation == OPERATION_add_immediate && (known->constant & bit(at->b)) != 0;
    if (at->operation == OPERATION_set || from_constant) {
        after.constant |= bit(at->a);
        after.value[at->a] = (from_constant ? known->value[at->b] : 0) + (uint32_t)at->immediate;
    }
    return after;
}

static void merge(struct knowledge *into, const struct knowledge *from) {
    if (!into->reached) {
        *into = *from;
        return;
    }
    into->set &= from->set;
    into->constant &= from->constant;
    for (uint32_t i = 0; i < DOWNLOAD_REGISTERS; i++) {
        if (into->value[i] != from->value[i]) {
            into->constant &= (uint16_t)~bit(i);
        }
    }
}

static void flow(struct verification *v, uint32_t i) {
    const struct download_instruction *at = &v->program->code[i];
    struct knowledge after = knowledge_after(&v->before[i], at);
    if (!v->before[i].reached || at->operation == OPERATION_return_value) {
        return;
    }
    if (at->operation == OPERATION_repeat) {
        for (uint32_t j = i + 1; j <= i + at->a; j++) { /* from the second time on it may be another value */
            after.constant &= (uint16_t)~registers_written(&v->program->code[j]);
        }
    }
    if ((rule_of(at)->use & USE_JUMP) != 0) {
        merge(&v->before[i + 1 + (uint32_t)at->immediate], &after);
    }
    if (at->operation != OPERATION_jump) {
        merge(&v->before[i + 1], &after);
    }
}

/* ---- rule 9: time ---- */

/* The bound of what follows `i` at `next`: a body's end is not its affair. */
static struct bound bound_at(const struct verification *v, uint32_t i, uint32_t next) {
    return v->body_end[i] == next ? (struct bound){0} : v->from[next];
}

static struct bound larger(struct bound a, struct bound b) {
    return (struct bound){a.cycles > b.cycles ? a.cycles : b.cycles, a.sends > b.sends ? a.sends : b.sends,
                          a.emits > b.emits ? a.emits : b.emits};
}

static bool rule_time(struct verification *v, uint32_t i) {
    const struct download_instruction *at = &v->program->code[i];
    struct download_work work = {{0}};
    download_count(&work, rule_of(at)->step, 1);
    download_bulk_count(at, rule_of(at)->group > 0 ? (uint32_t)at->immediate : 0, &work);
    struct bound bound = {0};
    if (at->operation == OPERATION_repeat) {
        const struct bound body = v->from[i + 1], after = v->from[i + 1 + at->a];
        const uint64_t times = (uint64_t)at->immediate;
        const uint64_t turn = v->costs->step[DOWNLOAD_code_jump].cycles;
        bound = (struct bound){times * (body.cycles + turn) + after.cycles, times * body.sends + after.sends,
                               times * body.emits + after.emits};
    } else if (at->operation != OPERATION_return_value) {
        bound = at->operation == OPERATION_jump ? bound : bound_at(v, i, i + 1);
        if ((rule_of(at)->use & USE_JUMP) != 0) {
            bound = larger(bound, bound_at(v, i, i + 1 + (uint32_t)at->immediate));
        }
    }
    bound.cycles += download_work_cycles(&work, v->costs);
    bound.sends += at->operation == OPERATION_send;
    bound.emits += at->operation == OPERATION_emit;
    v->from[i] = bound;
    return bound.cycles <= v->limit_cycles && bound.sends <= DOWNLOAD_SENDS_MAX && bound.emits <= DOWNLOAD_EMITS_MAX;
}

/* ---- the whole ---- */

static enum error_code refuse(struct download_verdict *verdict, struct error *error, unsigned rule, uint32_t at) {
    static const char *const rules[] = {"",     "length",    "operation or operand", "region",   "body",
                                        "jump", "registers", "constant address",     "division", "time"};
    if (verdict != NULL) {
        *verdict = (struct download_verdict){rule, at};
    }
    return error_set(error, ERR_DENIED, "the program breaks rule %u (%s) at instruction %u", rule, rules[rule], at);
}

/* The first rule of shape that instruction i breaks, or 0. */
static unsigned shape(struct verification *v, uint32_t i) {
    const struct download_instruction *at = &v->program->code[i];
    return !rule_operands(v, at) ? 2 : !rule_regions(v, at) ? 3 : !rule_body(v, i) ? 4 : 0;
}

/* ... of what flows to it. */
static unsigned meaning(const struct verification *v, uint32_t i) {
    const struct download_instruction *at = &v->program->code[i];
    const struct knowledge *known = &v->before[i];
    return !rule_registers(known, at) ? 6 : !rule_addresses(v, known, at) ? 7 : !rule_division(known, at) ? 8 : 0;
}

static enum error_code verify(struct verification *v, struct download_verdict *verdict, struct error *error) {
    const uint32_t count = v->program->count;
    for (uint32_t i = 0; i < count; i++) {
        const unsigned broken = shape(v, i);
        if (broken != 0) {
            return refuse(verdict, error, broken, i);
        }
    }
    if (!rule_length(v)) {
        return refuse(verdict, error, 1, count - 1);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!rule_jump(v, i)) {
            return refuse(verdict, error, 5, i);
        }
    }
    v->before[0].reached = true;
    for (uint32_t i = 0; i < count; i++) {
        const unsigned broken = meaning(v, i);
        if (broken != 0) {
            return refuse(verdict, error, broken, i);
        }
        flow(v, i);
    }
    for (uint32_t i = count; i-- > 0;) {
        if (!rule_time(v, i)) {
            return refuse(verdict, error, 9, i);
        }
    }
    return OK;
}

enum error_code download_verify(enum download_kind kind, const struct download_instruction *code, uint32_t count,
                                const struct download_region *regions, uint32_t region_count,
                                const struct download_costs *costs, uint64_t limit_cycles,
                                struct download_program *program, struct download_verdict *verdict,
                                struct error *error) {
    SIM_ASSERT(region_count <= DOWNLOAD_REGIONS_MAX);
    if (verdict != NULL) {
        *verdict = (struct download_verdict){0, 0};
    }
    if (count == 0 || count > DOWNLOAD_CODE_MAX) {
        return refuse(verdict, error, 1, 0);
    }
    const uint64_t entry = costs->step[DOWNLOAD_code_entry].cycles;
    struct verification v = {
        .program = program, .costs = costs, .limit_cycles = limit_cycles > entry ? limit_cycles - entry : 0};
    *program = (struct download_program){.kind = kind, .count = count, .region_count = region_count};
    memcpy(program->code, code, count * sizeof *code);
    if (region_count > 0) {
        memcpy(program->regions, regions, region_count * sizeof *regions);
    }
    const enum error_code result = verify(&v, verdict, error);
    program->bound_cycles = entry + v.from[0].cycles;
    return result;
}
