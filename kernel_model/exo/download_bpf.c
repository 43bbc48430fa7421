#include "kernel_model/exo/download_bpf.h"

#include <pcap/pcap.h>
#include <stddef.h>
#include <string.h>

_Static_assert(sizeof(struct bpf_insn) == sizeof(struct download_bpf_instruction), "same layout");
_Static_assert(offsetof(struct bpf_insn, jt) == offsetof(struct download_bpf_instruction, jump_true), "same layout");
_Static_assert(offsetof(struct bpf_insn, k) == offsetof(struct download_bpf_instruction, k), "same layout");

/* ---- the kernel's own checks ---- */

/* What an instruction reads and writes: a bit for A, one for X, one a scratch word. */
enum { VALUE_A = 1, VALUE_X = 2, VALUE_SCRATCH = 4 };

static uint32_t scratch(uint32_t index) {
    return (uint32_t)VALUE_SCRATCH << index;
}

static uint32_t values_read(const struct download_bpf_instruction *at) {
    const uint32_t source = BPF_SRC(at->code) == BPF_X ? VALUE_X : 0;
    switch (BPF_CLASS(at->code)) {
    case BPF_LD:
    case BPF_LDX:
        return BPF_MODE(at->code) == BPF_IND ? (uint32_t)VALUE_X : BPF_MODE(at->code) == BPF_MEM ? scratch(at->k) : 0;
    case BPF_ST:
        return VALUE_A;
    case BPF_STX:
        return VALUE_X;
    case BPF_ALU:
        return VALUE_A | (BPF_OP(at->code) == BPF_NEG ? 0 : source);
    case BPF_JMP:
        return BPF_OP(at->code) == BPF_JA ? 0 : VALUE_A | source;
    case BPF_RET:
        return BPF_RVAL(at->code) == BPF_A ? VALUE_A : 0;
    default:
        return BPF_MISCOP(at->code) == BPF_TAX ? VALUE_A : VALUE_X;
    }
}

static uint32_t values_written(const struct download_bpf_instruction *at) {
    switch (BPF_CLASS(at->code)) {
    case BPF_LD:
    case BPF_ALU:
        return VALUE_A;
    case BPF_LDX:
        return VALUE_X;
    case BPF_ST:
    case BPF_STX:
        return scratch(at->k);
    case BPF_MISC:
        return BPF_MISCOP(at->code) == BPF_TAX ? VALUE_X : VALUE_A;
    default:
        return 0;
    }
}

/* bpf_validate lets pass some codes that mean nothing: loads in a mode that X has not. */
static bool means_something(uint16_t code) {
    const uint32_t extra = code & 0xff00u;
    switch (BPF_CLASS(code)) {
    case BPF_LD:
        return extra == 0 && (BPF_MODE(code) == BPF_ABS || BPF_MODE(code) == BPF_IND
                                  ? BPF_SIZE(code) != 0x18
                                  : BPF_SIZE(code) == BPF_W && BPF_MODE(code) != BPF_MSH);
    case BPF_LDX:
        return code == (BPF_LDX | BPF_B | BPF_MSH) || code == (BPF_LDX | BPF_IMM) || code == (BPF_LDX | BPF_MEM) ||
               code == (BPF_LDX | BPF_W | BPF_LEN);
    case BPF_ST:
    case BPF_STX:
        return code == BPF_CLASS(code);
    case BPF_RET:
        return code == (BPF_RET | BPF_K) || code == (BPF_RET | BPF_A);
    case BPF_MISC:
        return code == (BPF_MISC | BPF_TAX) || code == (BPF_MISC | BPF_TXA);
    case BPF_JMP:
        return extra == 0 && (BPF_OP(code) != BPF_JA || BPF_SRC(code) == BPF_K);
    default: /* BPF_ALU */
        return extra == 0 && (BPF_OP(code) != BPF_NEG || BPF_SRC(code) == BPF_K);
    }
}

/* In user space bpf_validate lets an unconditional jump wrap around, which is a loop. */
static bool jumps_forward(const struct download_bpf_instruction *at, uint32_t left) {
    return BPF_CLASS(at->code) != BPF_JMP || BPF_OP(at->code) != BPF_JA || at->k < left;
}

/* Offsets with the sign bit name no byte of a packet; Linux has its ancillary data there. */
static bool stays_in_packet(const struct download_bpf_instruction *at) {
    const bool load = BPF_CLASS(at->code) == BPF_LD || BPF_CLASS(at->code) == BPF_LDX;
    const uint32_t mode = BPF_MODE(at->code);
    return !load || (mode != BPF_ABS && mode != BPF_IND && mode != BPF_MSH) || at->k < DOWNLOAD_PACKET_BYTES_MAX;
}

static bool shift_defined(const struct download_bpf_instruction *at) {
    const bool shift = BPF_CLASS(at->code) == BPF_ALU && (BPF_OP(at->code) == BPF_LSH || BPF_OP(at->code) == BPF_RSH);
    return !shift || BPF_SRC(at->code) == BPF_X || at->k < 32;
}

/* One pass serves, since jumps go forward: what is written on every way that leads to
 * an instruction is the intersection over the ways. */
static enum error_code check_values(const struct download_bpf *program, struct error *error) {
    uint32_t written[DOWNLOAD_BPF_MAX + 1];
    memset(written, 0xff, sizeof written);
    written[0] = 0;
    for (uint32_t i = 0; i < program->count; i++) {
        const struct download_bpf_instruction *at = &program->code[i];
        if (!means_something(at->code)) {
            return error_set(error, ERR_DENIED, "filter, instruction %u: code 0x%x means nothing", i, at->code);
        }
        if (!jumps_forward(at, program->count - i - 1)) {
            return error_set(error, ERR_DENIED, "filter, instruction %u: jumps back or out", i);
        }
        if (!stays_in_packet(at) || !shift_defined(at)) {
            return error_set(error, ERR_DENIED, "filter, instruction %u: offset or shift %u is out of range", i, at->k);
        }
        if ((values_read(at) & ~written[i]) != 0) {
            return error_set(error, ERR_DENIED, "filter, instruction %u: reads a value that may not be set", i);
        }
        const uint32_t after = written[i] | values_written(at);
        if (BPF_CLASS(at->code) == BPF_JMP) {
            const bool always = BPF_OP(at->code) == BPF_JA;
            written[i + 1 + (always ? at->k : at->jump_true)] &= after;
            written[i + 1 + (always ? at->k : at->jump_false)] &= after;
        } else if (BPF_CLASS(at->code) != BPF_RET) {
            written[i + 1] &= after;
        }
    }
    return OK;
}

enum error_code download_bpf_accept(const struct download_bpf_instruction *code, uint32_t count,
                                    struct download_bpf *program, struct error *error) {
    if (count == 0 || count > DOWNLOAD_BPF_MAX) {
        return error_set(error, ERR_RANGE, "a filter of %u instructions: 1 to %d are taken", count, DOWNLOAD_BPF_MAX);
    }
    struct bpf_insn copy[DOWNLOAD_BPF_MAX];
    memcpy(copy, code, count * sizeof *copy);
    if (bpf_validate(copy, (int)count) == 0) {
        return error_set(error, ERR_DENIED, "the filter is not safe: libpcap's bpf_validate refuses it");
    }
    program->count = count;
    memcpy(program->code, code, count * sizeof *code);
    return check_values(program, error);
}

enum error_code download_bpf_compile(const char *text, struct download_bpf *program, struct error *error) {
    pcap_t *pcap = pcap_open_dead(DLT_EN10MB, DOWNLOAD_PACKET_BYTES_MAX);
    if (pcap == NULL) {
        return error_set(error, ERR_EXHAUSTED, "libpcap does not open");
    }
    struct bpf_program compiled;
    enum error_code code;
    if (pcap_compile(pcap, &compiled, text, 1, PCAP_NETMASK_UNKNOWN) != 0) {
        code = error_set(error, ERR_CONFIG, "the filter '%s' does not compile: %s", text, pcap_geterr(pcap));
    } else {
        struct download_bpf_instruction raw[DOWNLOAD_BPF_MAX];
        const uint32_t kept = compiled.bf_len <= DOWNLOAD_BPF_MAX ? compiled.bf_len : 0;
        memcpy(raw, compiled.bf_insns, kept * sizeof *raw);
        code = download_bpf_accept(raw, kept, program, error);
        pcap_freecode(&compiled);
    }
    pcap_close(pcap);
    return code;
}
