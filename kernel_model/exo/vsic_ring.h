/* vsic_ring.h: the memory that a library shares with the kernel's emulation of a VSIC:
 * a ring of request descriptors of 256 bytes (OSDI'14, section 4) and one of
 * completions. The library writes a request and, last, its turn (the lap of the ring,
 * from 1); the kernel answers with a completion of the same kind. Whatever the
 * library writes there, the kernel reads once, into memory of its own. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_VSIC_RING_H
#define STILLSUIT_KERNEL_MODEL_EXO_VSIC_RING_H

#include <stddef.h>
#include <stdint.h>

enum {
    EXO_RING_ENTRIES = 64,
    EXO_RING_SEGMENTS = 13,
    EXO_VSIC_AREAS = 4 /* VSAs that an emulated VSIC can hold */
};
enum exo_ring_operation { EXO_RING_READ, EXO_RING_WRITE, EXO_RING_FLUSH };
enum { EXO_RING_FUA = 1 };

struct exo_ring_segment {
    uint64_t address; /* virtual, of the library */
    uint32_t length_bytes, reserved;
};

struct exo_ring_request {
    uint64_t turn;
    uint8_t operation, flags;
    uint16_t id; /* the library's; comes back */
    uint32_t nsid;
    uint64_t block;
    uint32_t blocks, segment_count;
    uint64_t reserved[2];
    struct exo_ring_segment segments[EXO_RING_SEGMENTS];
};
_Static_assert(sizeof(struct exo_ring_request) == 256, "a request descriptor has 256 bytes");
_Static_assert(offsetof(struct exo_ring_request, segments) == 48, "request descriptor");

struct exo_ring_completion {
    uint64_t turn;
    uint16_t id, status; /* enum error_code */
    uint32_t reserved;
};
_Static_assert(sizeof(struct exo_ring_completion) == 16, "four completions a line");

enum {
    EXO_RING_COMPLETIONS_AT = EXO_RING_ENTRIES * (int)sizeof(struct exo_ring_request),
    EXO_RING_BYTES = EXO_RING_COMPLETIONS_AT + EXO_RING_ENTRIES * (int)sizeof(struct exo_ring_completion)
};

#endif
