/* siphash.h: SipHash-2-4, a keyed 64-bit message authentication code for short
 * inputs: Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_SIPHASH_H
#define STILLSUIT_KERNEL_MODEL_EXO_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
    uint64_t k0, k1;
};

/* The code of `length_bytes` bytes under `key`. */
uint64_t siphash_24(struct siphash_key key, const uint8_t *bytes, size_t length_bytes);

#endif
