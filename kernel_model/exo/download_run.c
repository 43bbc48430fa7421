#include "kernel_model/exo/download_run.h"

#include <string.h>

struct run {
    const struct download_program *program;
    struct memory *memory;
    struct download_region subject;
    const struct download_observer *observer;
    struct download_work *work;
    struct download_outcome *outcome;
    uint32_t r[DOWNLOAD_REGISTERS];
    uint32_t body_start, body_end, turns_left; /* of the repeat that is under way */
};

/* ---- memory ---- */

/* The physical address of a range of a region; false: not inside. */
static bool locate(struct run *run, uint32_t region, uint32_t offset, uint32_t length, bool write, uint64_t *physical) {
    const struct download_region *at = region == 0 ? &run->subject : &run->program->regions[region];
    if ((uint64_t)offset + length > at->length_bytes) {
        run->outcome->stop = DOWNLOAD_OUTSIDE;
        return false;
    }
    *physical = at->physical + offset;
    if (run->observer != NULL && length > 0) {
        run->observer->access(run->observer->context, *physical, length, write);
    }
    return true;
}

static bool load(struct run *run, const struct download_instruction *at) {
    uint64_t physical = 0;
    uint8_t bytes[4] = {0};
    const uint32_t width = download_access_bytes(at->operation);
    if (!locate(run, at->c, run->r[at->b] + (uint32_t)at->immediate, width, false, &physical)) {
        return false;
    }
    memory_read(run->memory, physical, bytes, width);
    run->r[at->a] = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    return true;
}

static bool store(struct run *run, const struct download_instruction *at) {
    uint64_t physical = 0;
    const uint32_t width = download_access_bytes(at->operation), value = run->r[at->a];
    if (!locate(run, at->c, run->r[at->b] + (uint32_t)at->immediate, width, true, &physical)) {
        return false;
    }
    const uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24)};
    memory_write(run->memory, physical, bytes, width);
    return true;
}

/* ---- bulk ---- */

/* RFC 1071: 16-bit words in network order, an odd byte as the high one of its word. */
static uint32_t sum_bytes(const uint8_t *bytes, uint32_t length, uint32_t sum) {
    uint64_t total = sum;
    for (uint32_t i = 0; i < length; i++) {
        total += (uint64_t)bytes[i] << (i % 2 == 0 ? 8 : 0);
    }
    return (uint32_t)((total & UINT32_MAX) + (total >> 32));
}

static uint32_t fold(uint32_t sum) {
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return ~sum & 0xffff;
}

static bool bulk(struct run *run, const struct download_instruction *at) {
    const bool copies = at->operation == OPERATION_copy || at->operation == OPERATION_copy_sum;
    uint32_t *row = &run->r[at->c];
    const uint32_t from = copies ? row[1] : row[0], length = copies ? row[2] : row[1];
    if (length > (uint32_t)at->immediate) {
        run->outcome->stop = DOWNLOAD_TOO_LARGE;
        return false;
    }
    uint8_t bytes[DOWNLOAD_BULK_MAX];
    uint64_t source = 0, target = 0;
    if (!locate(run, at->b, from, length, false, &source) ||
        (copies && !locate(run, at->a, row[0], length, true, &target))) {
        return false;
    }
    download_bulk_count(at, length, run->work);
    if (at->operation == OPERATION_send) {
        run->outcome->sends[run->outcome->send_count++] = (struct download_send){source, length};
        return true;
    }
    memory_read(run->memory, source, bytes, length);
    if (copies) {
        memory_write(run->memory, target, bytes, length);
    }
    if (at->operation != OPERATION_copy) {
        uint32_t *sum = copies ? &row[3] : &run->r[at->a];
        *sum = sum_bytes(bytes, length, *sum);
    }
    return true;
}

/* ---- registers ---- */

static bool divide(struct run *run, const struct download_instruction *at) {
    const uint32_t divisor = at->operation == OPERATION_divide_immediate ? (uint32_t)at->immediate : run->r[at->c];
    if (divisor == 0) {
        run->outcome->stop = DOWNLOAD_BY_ZERO;
        return false;
    }
    run->r[at->a] = at->operation == OPERATION_modulo ? run->r[at->b] % divisor : run->r[at->b] / divisor;
    return true;
}

static uint32_t swap32(uint32_t value) {
    return value >> 24 | (value >> 8 & 0xff00) | (value << 8 & 0xff0000) | value << 24;
}

static uint32_t compute(const struct run *run, const struct download_instruction *at) {
    const uint32_t b = run->r[at->b & 15], c = run->r[at->c & 15], immediate = (uint32_t)at->immediate;
    switch (at->operation) {
    case OPERATION_set:
        return immediate;
    case OPERATION_move:
        return b;
    case OPERATION_add:
        return b + c;
    case OPERATION_subtract:
        return b - c;
    case OPERATION_multiply:
        return b * c;
    case OPERATION_and:
        return b & c;
    case OPERATION_or:
        return b | c;
    case OPERATION_xor:
        return b ^ c;
    case OPERATION_shift_left:
        return b << (c & 31);
    case OPERATION_shift_right:
        return b >> (c & 31);
    case OPERATION_add_immediate:
        return b + immediate;
    case OPERATION_and_immediate:
        return b & immediate;
    case OPERATION_swap16:
        return (b >> 8 & 0xff) | (b & 0xff) << 8;
    case OPERATION_swap32:
        return swap32(b);
    case OPERATION_fold:
        return fold(b);
    default: /* OPERATION_size */
        return at->c == 0 ? run->subject.length_bytes : run->program->regions[at->c].length_bytes;
    }
}

static bool taken(const struct run *run, const struct download_instruction *at) {
    const uint32_t a = run->r[at->a], b = run->r[at->b];
    switch (at->operation) {
    case OPERATION_jump_equal:
        return a == b;
    case OPERATION_jump_different:
        return a != b;
    case OPERATION_jump_less:
        return a < b;
    case OPERATION_jump_at_least:
        return a >= b;
    default:
        return true;
    }
}

/* ---- the loop ---- */

/* False: the program was stopped. */
static bool step(struct run *run, const struct download_instruction *at) {
    const struct download_rule *rule = &download_rules[at->operation];
    if (rule->group > 0) {
        return bulk(run, at);
    }
    if ((rule->use & USE_DIVIDE) != 0) {
        return divide(run, at);
    }
    if (download_access_bytes(at->operation) > 0) {
        return (rule->use & USE_WRITE_A) != 0 ? load(run, at) : store(run, at);
    }
    if (at->operation == OPERATION_emit) {
        run->outcome->emits[run->outcome->emit_count++] =
            (struct download_extent){run->r[at->a], run->r[at->b], run->r[at->c]};
    } else {
        run->r[at->a] = compute(run, at);
    }
    return true;
}

/* The end of a body: back to its start while turns are left. */
static uint32_t turn(struct run *run, uint32_t next) {
    if (run->turns_left > 0 && next == run->body_end) {
        download_count(run->work, DOWNLOAD_code_jump, 1);
        if (--run->turns_left > 0) {
            return run->body_start;
        }
    }
    return next;
}

void download_run(const struct download_program *program, struct memory *memory, const struct download_region *subject,
                  const struct download_observer *observer, struct download_work *work,
                  struct download_outcome *outcome) {
    struct run run = {.program = program, .memory = memory, .observer = observer, .work = work, .outcome = outcome};
    if (program->region_count > 0) {
        run.subject = subject != NULL ? *subject : program->regions[0];
        SIM_ASSERT(run.subject.length_bytes <= program->regions[0].length_bytes);
    }
    memset(outcome, 0, sizeof *outcome);
    download_count(work, DOWNLOAD_code_entry, 1);
    for (uint32_t i = 0;;) {
        const struct download_instruction *at = &program->code[i];
        download_count(work, download_rules[at->operation].step, 1);
        uint32_t next = i + 1;
        if (at->operation == OPERATION_return_value) {
            outcome->value = run.r[at->a];
            return;
        }
        if (at->operation == OPERATION_repeat) {
            run.body_start = i + 1;
            run.body_end = i + 1 + at->a;
            run.turns_left = (uint32_t)at->immediate;
        } else if ((download_rules[at->operation].use & USE_JUMP) != 0) {
            next += taken(&run, at) ? (uint32_t)at->immediate : 0;
        } else if (!step(&run, at)) {
            return;
        }
        i = turn(&run, next);
    }
}
