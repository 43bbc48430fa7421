/* download_bpf.h: packet filters as classic BPF programs (McCanne and Jacobson, USENIX
 * Winter 1993): compiled from text by libpcap, checked, interpreted.
 *
 * A program comes from an application and is not trusted. bpf_validate of libpcap
 * decides that each operation exists, that jumps go forward and stay inside, that no
 * constant divisor is zero, that scratch memory is in bounds and that the last
 * instruction returns. The kernel's own checks come on top: a limit to the length, no
 * unconditional jump that wraps around (bpf_validate takes it in user space), no code
 * without a meaning, no load beyond the longest packet (where some systems have
 * ancillary data), no value read before it was written (A, X and scratch), constant
 * shifts below 32. Jumps forward alone mean that a program ends after at most `count`
 * instructions. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_DOWNLOAD_BPF_H
#define STILLSUIT_KERNEL_MODEL_EXO_DOWNLOAD_BPF_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel_model/exo/download_costs.h"
#include "sim/error.h"

enum { DOWNLOAD_BPF_MAX = 512, DOWNLOAD_PACKET_BYTES_MAX = 2048 };

/* struct bpf_insn of pcap/bpf.h, field by field (download_bpf.c asserts it), so that
 * only the files that call libpcap see its headers. */
struct download_bpf_instruction {
    uint16_t code;
    uint8_t jump_true, jump_false;
    uint32_t k;
};

struct download_bpf {
    uint32_t count;
    struct download_bpf_instruction code[DOWNLOAD_BPF_MAX];
};

/* Compiles a filter expression of pcap-filter(7) for Ethernet. ERR_CONFIG with
 * libpcap's words; ERR_RANGE: too long. What comes out is checked like a raw program. */
enum error_code download_bpf_compile(const char *text, struct download_bpf *program, struct error *error);

/* Accepts a raw program, or says why not. ERR_RANGE: length; ERR_DENIED: unsafe. */
enum error_code download_bpf_accept(const struct download_bpf_instruction *code, uint32_t count,
                                    struct download_bpf *program, struct error *error);

/* A packet as the engines see it: its bytes in simulated memory. */
struct download_packet {
    const uint8_t *bytes;
    uint32_t length_bytes;
};

/* The program's verdict: 0 rejects. A load outside the packet and a division by an X
 * that is 0 reject. Counts each instruction executed. */
uint32_t download_bpf_run(const struct download_bpf *program, struct download_packet packet,
                          struct download_work *work);

/* Equality jumps whose constants are another's to compare (download_collapse.h). */
enum { DOWNLOAD_BPF_KEYS_MAX = 16 };
struct download_bpf_keys {
    uint32_t count;
    bool is_key[DOWNLOAD_BPF_MAX];         /* by instruction */
    uint32_t value[DOWNLOAD_BPF_KEYS_MAX]; /* what A was there, in order; set by the run */
};
/* The same run, but at each such jump A is put into `keys` and the jump is taken. */
uint32_t download_bpf_run_keyed(const struct download_bpf *program, struct download_packet packet,
                                struct download_bpf_keys *keys, struct download_work *work);

#endif
