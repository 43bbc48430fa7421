/* download_extract.c: reads paths out of a program by running it on symbols: A and X
 * are a constant, a masked field, or unknown; a branch on a field splits the run. */
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_model/exo/download_atoms.h"
#include "sim/error.h"

enum value_kind { VALUE_UNKNOWN, VALUE_CONSTANT, VALUE_FIELD, VALUE_HEADER_LENGTH };
struct value {
    enum value_kind kind;
    uint32_t constant;
    struct download_field field; /* base alone for VALUE_HEADER_LENGTH */
};

struct state {
    uint32_t at;
    struct value a, x;
    struct download_path path;
};

enum { STATES_MAX = 64, STEPS_MAX = 16384 };
struct extraction {
    const struct download_bpf *program;
    struct download_paths *paths;
    uint32_t waiting, steps;
    bool overflow;
    struct state stack[STATES_MAX];
};

/* ---- adding to a path; false: it cannot be satisfied ---- */

static bool add_atom(struct extraction *run, struct download_path *path, const struct download_field *field,
                     uint32_t value) {
    if ((value & ~field->mask) != 0) {
        return false;
    }
    uint32_t at = 0;
    while (at < path->atom_count && download_field_compare(&path->atoms[at].field, field) < 0) {
        at++;
    }
    if (at < path->atom_count && download_field_compare(&path->atoms[at].field, field) == 0) {
        return path->atoms[at].value == value;
    }
    if (path->atom_count == DOWNLOAD_ATOMS_MAX) {
        run->overflow = true;
        return false;
    }
    memmove(&path->atoms[at + 1], &path->atoms[at], (path->atom_count - at) * sizeof path->atoms[0]);
    path->atoms[at] = (struct download_atom){*field, value};
    path->atom_count++;
    return true;
}

static bool add_test(struct extraction *run, struct download_path *path, const struct download_field *field,
                     enum download_relation relation, uint32_t value) {
    for (uint32_t i = 0; i < path->atom_count; i++) {
        const struct download_test test = {*field, relation, value};
        if (download_field_compare(&path->atoms[i].field, field) == 0) {
            return download_test_holds(&test, path->atoms[i].value);
        }
    }
    if (path->test_count == DOWNLOAD_ATOMS_MAX) {
        run->overflow = true;
        return false;
    }
    path->tests[path->test_count++] = (struct download_test){*field, relation, value};
    return true;
}

/* A load demands that the field is in the packet. */
static bool add_presence(struct extraction *run, struct download_path *path, const struct download_field *field) {
    struct download_field present = *field;
    present.mask = 0;
    return add_atom(run, path, &present, 0);
}

/* ---- loads and arithmetic ---- */

static uint8_t width_of(uint16_t code) {
    return BPF_SIZE(code) == BPF_W ? 4 : BPF_SIZE(code) == BPF_H ? 2 : 1;
}

static struct value constant(uint32_t k) {
    return (struct value){.kind = VALUE_CONSTANT, .constant = k};
}

static bool load(struct extraction *run, struct state *state, const struct download_bpf_instruction *at) {
    const uint8_t width = width_of(at->code);
    struct download_field field = {DOWNLOAD_NO_BASE, (uint16_t)at->k, width,
                                   width == 4 ? UINT32_MAX : (UINT32_C(1) << 8 * width) - 1};
    const bool based = BPF_MODE(at->code) == BPF_IND && state->x.kind == VALUE_HEADER_LENGTH;
    const uint64_t moved = (uint64_t)at->k + state->x.constant;
    const bool fixed = BPF_MODE(at->code) == BPF_IND && state->x.kind == VALUE_CONSTANT && moved < UINT16_MAX;
    field.base = based ? state->x.field.base : (uint16_t)DOWNLOAD_NO_BASE;
    field.offset = fixed ? (uint16_t)moved : field.offset;
    if (BPF_MODE(at->code) == BPF_ABS || based || fixed) {
        state->a = (struct value){.kind = VALUE_FIELD, .field = field};
        return add_presence(run, &state->path, &field);
    }
    if (BPF_MODE(at->code) == BPF_IND) {
        state->path.exact = false; /* it may leave the packet, which rejects */
    }
    state->a = BPF_MODE(at->code) == BPF_IMM ? constant(at->k) : (struct value){.kind = VALUE_UNKNOWN};
    return true;
}

static bool load_x(struct extraction *run, struct state *state, const struct download_bpf_instruction *at) {
    if (BPF_MODE(at->code) == BPF_MSH) {
        const struct download_field byte = {DOWNLOAD_NO_BASE, (uint16_t)at->k, 1, 0};
        state->x = (struct value){.kind = VALUE_HEADER_LENGTH, .field = {.base = (uint16_t)at->k}};
        return add_presence(run, &state->path, &byte);
    }
    state->x = BPF_MODE(at->code) == BPF_IMM ? constant(at->k) : (struct value){.kind = VALUE_UNKNOWN};
    return true;
}

static void compute(struct state *state, const struct download_bpf_instruction *at) {
    const uint16_t operation = BPF_OP(at->code);
    if (operation == BPF_AND && BPF_SRC(at->code) == BPF_K && state->a.kind == VALUE_FIELD) {
        state->a.field.mask &= at->k;
        return;
    }
    if ((operation == BPF_DIV || operation == BPF_MOD) && BPF_SRC(at->code) == BPF_X) {
        state->path.exact = false; /* a zero rejects */
    }
    state->a = (struct value){.kind = VALUE_UNKNOWN};
}

/* ---- branches ---- */

/* Adds to the path what A's field must satisfy if the comparison came out as `taken`. */
static bool assume(struct extraction *run, struct state *state, const struct download_bpf_instruction *at, bool taken) {
    const struct download_field *field = &state->a.field;
    struct download_field masked = *field;
    switch (BPF_OP(at->code)) {
    case BPF_JEQ:
        return taken ? add_atom(run, &state->path, field, at->k)
                     : add_test(run, &state->path, field, DOWNLOAD_DIFFERS, at->k);
    case BPF_JSET:
        masked.mask &= at->k;
        return taken ? add_test(run, &state->path, &masked, DOWNLOAD_DIFFERS, 0)
                     : add_atom(run, &state->path, &masked, 0);
    case BPF_JGE:
        if (at->k == 0) {
            return taken;
        }
        return add_test(run, &state->path, field, taken ? DOWNLOAD_ABOVE : DOWNLOAD_AT_MOST, at->k - 1);
    default: /* BPF_JGT */
        return add_test(run, &state->path, field, taken ? DOWNLOAD_ABOVE : DOWNLOAD_AT_MOST, at->k);
    }
}

static void split(struct extraction *run, const struct state *state, const struct download_bpf_instruction *at,
                  bool taken) {
    struct state next = *state;
    next.at += UINT32_C(1) + (taken ? at->jump_true : at->jump_false);
    if (state->a.kind == VALUE_FIELD && BPF_SRC(at->code) == BPF_K) {
        if (!assume(run, &next, at, taken)) {
            return;
        }
    } else if (at->jump_true != at->jump_false) {
        next.path.exact = false;
    } else if (!taken) {
        return; /* one way, whatever is compared */
    }
    if (run->waiting == STATES_MAX) {
        run->overflow = true;
        return;
    }
    run->stack[run->waiting++] = next;
}

static void accept_path(struct extraction *run, const struct state *state, const struct download_bpf_instruction *at) {
    if (BPF_RVAL(at->code) == BPF_K && at->k == 0) {
        return;
    }
    if (run->paths->count == DOWNLOAD_PATHS_MAX) {
        run->overflow = true;
        return;
    }
    struct download_path *path = &run->paths->path[run->paths->count++];
    *path = state->path;
    path->exact = path->exact && BPF_RVAL(at->code) == BPF_K; /* A may be 0 */
}

/* Follows one state until it ends or splits. */
static void follow(struct extraction *run, struct state *state) {
    for (bool good = true; good && !run->overflow; state->at++) {
        const struct download_bpf_instruction *at = &run->program->code[state->at];
        run->overflow = ++run->steps > STEPS_MAX;
        switch (BPF_CLASS(at->code)) {
        case BPF_LD:
            good = load(run, state, at);
            break;
        case BPF_LDX:
            good = load_x(run, state, at);
            break;
        case BPF_ALU:
            compute(state, at);
            break;
        case BPF_MISC:
            if (BPF_MISCOP(at->code) == BPF_TAX) {
                state->x = state->a;
            } else {
                state->a = state->x.kind == VALUE_HEADER_LENGTH ? (struct value){.kind = VALUE_UNKNOWN} : state->x;
            }
            break;
        case BPF_JMP:
            if (BPF_OP(at->code) == BPF_JA) {
                state->at += at->k;
                break;
            }
            split(run, state, at, true);
            split(run, state, at, false);
            return;
        case BPF_RET:
            accept_path(run, state, at);
            return;
        default: /* scratch memory is not followed: what comes out of it is unknown */
            break;
        }
    }
}

/* An atom implied by one on the same bytes with a wider mask, presence above all, need
 * not be looked at. */
static void drop_implied(struct download_path *path) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < path->atom_count; i++) {
        bool implied = false;
        for (uint32_t j = 0; j < path->atom_count && !implied; j++) {
            const struct download_field *narrow = &path->atoms[i].field, *wide = &path->atoms[j].field;
            implied = i != j && narrow->base == wide->base && narrow->offset == wide->offset &&
                      narrow->width_bytes == wide->width_bytes && (narrow->mask & ~wide->mask) == 0 &&
                      (path->atoms[j].value & narrow->mask) == path->atoms[i].value;
        }
        for (uint32_t j = 0; j < path->atom_count && !implied; j++) {
            /* 4 * (byte & 15) is computed, hence there, wherever a field counts from it. */
            const struct download_field *byte = &path->atoms[i].field;
            implied = byte->mask == 0 && byte->base == DOWNLOAD_NO_BASE && byte->width_bytes == 1 &&
                      path->atoms[j].field.base == byte->offset;
        }
        if (!implied) {
            path->atoms[kept++] = path->atoms[i];
        }
    }
    path->atom_count = kept;
}

/* Tests that an atom on the same field answers. False: it answers one with no. */
static bool drop_answered(struct download_path *path) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < path->test_count; i++) {
        bool answered = false;
        for (uint32_t j = 0; j < path->atom_count && !answered; j++) {
            answered = download_field_compare(&path->tests[i].field, &path->atoms[j].field) == 0;
            if (answered && !download_test_holds(&path->tests[i], path->atoms[j].value)) {
                return false;
            }
        }
        if (!answered) {
            path->tests[kept++] = path->tests[i];
        }
    }
    path->test_count = kept;
    return true;
}

void download_paths_extract(const struct download_bpf *program, struct download_paths *paths) {
    struct extraction *run = calloc(1, sizeof *run);
    SIM_ASSERT(run != NULL);
    run->program = program;
    run->paths = paths;
    paths->count = 0;
    run->stack[run->waiting++].path.exact = true;
    while (run->waiting > 0 && !run->overflow) {
        struct state state = run->stack[--run->waiting];
        follow(run, &state);
    }
    if (run->overflow) {
        paths->count = 1;
        memset(&paths->path[0], 0, sizeof paths->path[0]);
    }
    free(run);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < paths->count; i++) {
        drop_implied(&paths->path[i]);
        if (drop_answered(&paths->path[i])) {
            if (kept != i) {
                paths->path[kept] = paths->path[i];
            }
            kept++;
        }
    }
    paths->count = kept;
}
