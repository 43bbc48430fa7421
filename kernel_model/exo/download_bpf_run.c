/* download_bpf_run.c: the interpreter. The loads, the arithmetic and the verdict are
 * those of bpf_filter of libpcap; a test compares the two on random packets. */
#include <pcap/pcap.h>
#include <string.h>

#include "kernel_model/exo/download_bpf.h"

struct bpf_state {
    struct download_packet packet;
    uint32_t a, x;
    uint32_t scratch[BPF_MEMWORDS];
};

/* False: the load leaves the packet. */
static bool load_packet(const struct bpf_state *state, uint16_t code, uint64_t offset, uint32_t *value) {
    const uint32_t width = BPF_SIZE(code) == BPF_W ? 4 : BPF_SIZE(code) == BPF_H ? 2 : 1;
    if (offset + width > state->packet.length_bytes) {
        return false;
    }
    *value = 0;
    for (uint32_t i = 0; i < width; i++) {
        *value = *value << 8 | state->packet.bytes[offset + i];
    }
    return true;
}

static bool load_a(struct bpf_state *state, const struct download_bpf_instruction *at, struct download_work *work) {
    switch (BPF_MODE(at->code)) {
    case BPF_ABS:
        download_count(work, DOWNLOAD_bpf_load, 1);
        return load_packet(state, at->code, at->k, &state->a);
    case BPF_IND:
        download_count(work, DOWNLOAD_bpf_load_indexed, 1);
        return load_packet(state, at->code, (uint64_t)state->x + at->k, &state->a);
    case BPF_MEM:
        state->a = state->scratch[at->k];
        break;
    case BPF_LEN:
        state->a = state->packet.length_bytes;
        break;
    default:
        state->a = at->k;
        break;
    }
    download_count(work, DOWNLOAD_bpf_immediate, 1);
    return true;
}

static bool load_x(struct bpf_state *state, const struct download_bpf_instruction *at, struct download_work *work) {
    if (BPF_MODE(at->code) == BPF_MSH) {
        download_count(work, DOWNLOAD_bpf_header_length, 1);
        uint32_t byte = 0;
        const bool inside = load_packet(state, BPF_B, at->k, &byte);
        state->x = (byte & 15) * 4;
        return inside;
    }
    download_count(work, DOWNLOAD_bpf_immediate, 1);
    state->x = BPF_MODE(at->code) == BPF_MEM   ? state->scratch[at->k]
               : BPF_MODE(at->code) == BPF_LEN ? state->packet.length_bytes
                                               : at->k;
    return true;
}

/* False: a division by zero. */
static bool compute(struct bpf_state *state, const struct download_bpf_instruction *at, struct download_work *work) {
    const uint32_t operand = BPF_SRC(at->code) == BPF_X ? state->x : at->k;
    const uint16_t operation = BPF_OP(at->code);
    const bool divides = operation == BPF_DIV || operation == BPF_MOD;
    download_count(work,
                   divides                ? DOWNLOAD_bpf_divide
                   : operation == BPF_MUL ? DOWNLOAD_bpf_multiply
                                          : DOWNLOAD_bpf_alu,
                   1);
    if (divides && operand == 0) {
        return false;
    }
    switch (operation) {
    case BPF_ADD:
        state->a += operand;
        break;
    case BPF_SUB:
        state->a -= operand;
        break;
    case BPF_MUL:
        state->a *= operand;
        break;
    case BPF_DIV:
        state->a /= operand;
        break;
    case BPF_MOD:
        state->a %= operand;
        break;
    case BPF_AND:
        state->a &= operand;
        break;
    case BPF_OR:
        state->a |= operand;
        break;
    case BPF_XOR:
        state->a ^= operand;
        break;
    case BPF_LSH:
        state->a = operand < 32 ? state->a << operand : 0;
        break;
    case BPF_RSH:
        state->a = operand < 32 ? state->a >> operand : 0;
        break;
    default: /* BPF_NEG */
        state->a = 0 - state->a;
        break;
    }
    return true;
}

static uint32_t jump_distance(const struct bpf_state *state, const struct download_bpf_instruction *at) {
    const uint32_t operand = BPF_SRC(at->code) == BPF_X ? state->x : at->k;
    bool taken = false;
    switch (BPF_OP(at->code)) {
    case BPF_JA:
        return at->k;
    case BPF_JGT:
        taken = state->a > operand;
        break;
    case BPF_JGE:
        taken = state->a >= operand;
        break;
    case BPF_JEQ:
        taken = state->a == operand;
        break;
    default: /* BPF_JSET */
        taken = (state->a & operand) != 0;
        break;
    }
    return taken ? at->jump_true : at->jump_false;
}

static void move(struct bpf_state *state, const struct download_bpf_instruction *at) {
    switch (BPF_CLASS(at->code)) {
    case BPF_ST:
        state->scratch[at->k] = state->a;
        break;
    case BPF_STX:
        state->scratch[at->k] = state->x;
        break;
    default:
        if (BPF_MISCOP(at->code) == BPF_TAX) {
            state->x = state->a;
        } else {
            state->a = state->x;
        }
        break;
    }
}

/* Where the instruction at `i` jumps to, less one. */
static uint32_t jump(const struct bpf_state *state, const struct download_bpf *program, uint32_t i,
                     struct download_bpf_keys *keys, uint32_t *used, struct download_work *work) {
    const struct download_bpf_instruction *at = &program->code[i];
    if (keys != NULL && keys->is_key[i]) {
        download_count(work, DOWNLOAD_key_store, 1);
        keys->value[(*used)++] = state->a;
        return i + at->jump_true;
    }
    download_count(work, DOWNLOAD_bpf_jump, 1);
    return i + jump_distance(state, at);
}

uint32_t download_bpf_run(const struct download_bpf *program, struct download_packet packet,
                          struct download_work *work) {
    return download_bpf_run_keyed(program, packet, NULL, work);
}

uint32_t download_bpf_run_keyed(const struct download_bpf *program, struct download_packet packet,
                                struct download_bpf_keys *keys, struct download_work *work) {
    uint32_t keys_used = 0;
    struct bpf_state state = {.packet = packet};
    download_count(work, DOWNLOAD_filter_call, 1);
    for (uint32_t i = 0; i < program->count; i++) {
        const struct download_bpf_instruction *at = &program->code[i];
        bool good = true;
        switch (BPF_CLASS(at->code)) {
        case BPF_LD:
            good = load_a(&state, at, work);
            break;
        case BPF_LDX:
            good = load_x(&state, at, work);
            break;
        case BPF_ALU:
            good = compute(&state, at, work);
            break;
        case BPF_JMP:
            i = jump(&state, program, i, keys, &keys_used, work);
            break;
        case BPF_RET:
            download_count(work, DOWNLOAD_bpf_return, 1);
            return BPF_RVAL(at->code) == BPF_A ? state.a : at->k;
        default:
            download_count(work, DOWNLOAD_bpf_immediate, 1);
            move(&state, at);
            break;
        }
        if (!good) {
            return 0;
        }
    }
    return 0;
}
