/* memory.c: frames that come into being when they are first written. */
#include "hw/memory.h"

#include <stdlib.h>
#include <string.h>

#include "hw/memory_internal.h"
#include "sim/error.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words in simulated memory are read as the host has them");

enum { SLAB_FRAMES = 64 };

/* Frames are cut from slabs: one host allocation for many. */
struct memory_slab {
    struct memory_slab *next;
    uint32_t used;
    _Alignas(16) uint8_t frames[SLAB_FRAMES][MEMORY_FRAME_BYTES]; /* as calloc has it: structures are read in place */
};

static const uint8_t zero_frame[MEMORY_FRAME_BYTES];

struct memory *memory_create(uint64_t size_bytes) {
    SIM_ASSERT_MSG(size_bytes != 0 && size_bytes % MEMORY_FRAME_BYTES == 0, "memory is a multiple of %d bytes",
                   MEMORY_FRAME_BYTES);
    struct memory *memory = calloc(1, sizeof *memory);
    SIM_ASSERT_MSG(memory != NULL, "out of memory");
    memory->size_bytes = size_bytes;
    /* calloc maps zero pages: the array costs what is touched of it. */
    memory->frames = calloc(size_bytes / MEMORY_FRAME_BYTES, sizeof *memory->frames);
    SIM_ASSERT_MSG(memory->frames != NULL, "out of memory");
    memory_passengers_init(&memory->passengers);
    return memory;
}

void memory_free(struct memory *memory) {
    if (memory == NULL) {
        return;
    }
    while (memory->slabs != NULL) {
        struct memory_slab *slab = memory->slabs;
        memory->slabs = slab->next;
        free(slab);
    }
    memory_passengers_free(&memory->passengers);
    free(memory->frames);
    free(memory);
}

uint64_t memory_size(const struct memory *memory) {
    return memory->size_bytes;
}

uint64_t memory_resident_bytes(const struct memory *memory) {
    return memory->resident_frames * MEMORY_FRAME_BYTES;
}

bool memory_contains(const struct memory *memory, uint64_t address, uint64_t length) {
    return address <= memory->size_bytes && length <= memory->size_bytes - address;
}

static void check_range(const struct memory *memory, uint64_t address, uint64_t length) {
    SIM_ASSERT_MSG(memory_contains(memory, address, length), "[%#llx, +%llu) lies outside memory of %llu bytes",
                   (unsigned long long)address, (unsigned long long)length, (unsigned long long)memory->size_bytes);
}

static uint8_t *make_frame(struct memory *memory, uint64_t number) {
    struct memory_slab *slab = memory->slabs;
    if (slab == NULL || slab->used == SLAB_FRAMES) {
        slab = calloc(1, sizeof *slab);
        SIM_ASSERT_MSG(slab != NULL, "out of memory");
        slab->next = memory->slabs;
        memory->slabs = slab;
    }
    memory->resident_frames += 1;
    memory->frames[number] = slab->frames[slab->used++];
    return memory->frames[number];
}

static inline uint8_t *frame_to_write(struct memory *memory, uint64_t address) {
    uint8_t *frame = memory->frames[address / MEMORY_FRAME_BYTES];
    return frame != NULL ? frame : make_frame(memory, address / MEMORY_FRAME_BYTES);
}

static inline const uint8_t *frame_to_read(const struct memory *memory, uint64_t address) {
    const uint8_t *frame = memory->frames[address / MEMORY_FRAME_BYTES];
    return frame != NULL ? frame : zero_frame;
}

/* Bytes from `address` to the end of its frame, at most `length`. */
static inline size_t within_frame(uint64_t address, size_t length) {
    const size_t room = MEMORY_FRAME_BYTES - (size_t)(address % MEMORY_FRAME_BYTES);
    return room < length ? room : length;
}

uint8_t *memory_at(struct memory *memory, uint64_t address) {
    check_range(memory, address, 1);
    return frame_to_write(memory, address) + address % MEMORY_FRAME_BYTES;
}

void memory_read(const struct memory *memory, uint64_t address, void *out, size_t length_bytes) {
    check_range(memory, address, length_bytes);
    uint8_t *to = out;
    while (length_bytes != 0) {
        const size_t part = within_frame(address, length_bytes);
        memcpy(to, frame_to_read(memory, address) + address % MEMORY_FRAME_BYTES, part);
        to += part;
        address += part;
        length_bytes -= part;
    }
}

void memory_write(struct memory *memory, uint64_t address, const void *data, size_t length_bytes) {
    check_range(memory, address, length_bytes);
    const uint8_t *from = data;
    while (length_bytes != 0) {
        const size_t part = within_frame(address, length_bytes);
        memcpy(frame_to_write(memory, address) + address % MEMORY_FRAME_BYTES, from, part);
        from += part;
        address += part;
        length_bytes -= part;
    }
}

/* Both pieces lie within a frame each. */
static void copy_piece(struct memory *memory, uint64_t to, uint64_t from, size_t length) {
    if (memory->frames[from / MEMORY_FRAME_BYTES] == NULL && memory->frames[to / MEMORY_FRAME_BYTES] == NULL) {
        return; /* zeros onto zeros: no frame need come into being */
    }
    uint8_t *target = frame_to_write(memory, to) + to % MEMORY_FRAME_BYTES;
    memmove(target, frame_to_read(memory, from) + from % MEMORY_FRAME_BYTES, length);
}

/* As within_frame, for a range that ends before `end`. */
static size_t within_frame_backwards(uint64_t end, size_t length) {
    const size_t room = (size_t)((end - 1) % MEMORY_FRAME_BYTES) + 1;
    return room < length ? room : length;
}

void memory_copy(struct memory *memory, uint64_t to, uint64_t from, size_t length_bytes) {
    check_range(memory, to, length_bytes);
    check_range(memory, from, length_bytes);
    if (to <= from || to - from >= length_bytes) {
        while (length_bytes != 0) {
            const size_t part = within_frame(to, within_frame(from, length_bytes));
            copy_piece(memory, to, from, part);
            to += part;
            from += part;
            length_bytes -= part;
        }
        return;
    }
    /* The ranges overlap upwards: begin at the end, as memmove does. */
    while (length_bytes != 0) {
        const size_t part = within_frame_backwards(to + length_bytes, length_bytes);
        const size_t piece = within_frame_backwards(from + length_bytes, part);
        length_bytes -= piece;
        copy_piece(memory, to + length_bytes, from + length_bytes, piece);
    }
}

void memory_fill(struct memory *memory, uint64_t address, uint8_t value, size_t length_bytes) {
    check_range(memory, address, length_bytes);
    while (length_bytes != 0) {
        const size_t part = within_frame(address, length_bytes);
        if (value != 0 || memory->frames[address / MEMORY_FRAME_BYTES] != NULL) {
            memset(frame_to_write(memory, address) + address % MEMORY_FRAME_BYTES, value, part);
        }
        address += part;
        length_bytes -= part;
    }
}

static inline void check_word(const struct memory *memory, uint64_t address, uint64_t size) {
    SIM_ASSERT_MSG(address % size == 0, "%#llx is not aligned", (unsigned long long)address);
    check_range(memory, address, size);
}

uint32_t memory_read32(const struct memory *memory, uint64_t address) {
    uint32_t value;
    check_word(memory, address, sizeof value);
    memcpy(&value, frame_to_read(memory, address) + address % MEMORY_FRAME_BYTES, sizeof value);
    return value;
}

uint64_t memory_read64(const struct memory *memory, uint64_t address) {
    uint64_t value;
    check_word(memory, address, sizeof value);
    memcpy(&value, frame_to_read(memory, address) + address % MEMORY_FRAME_BYTES, sizeof value);
    return value;
}

void memory_write32(struct memory *memory, uint64_t address, uint32_t value) {
    check_word(memory, address, sizeof value);
    memcpy(frame_to_write(memory, address) + address % MEMORY_FRAME_BYTES, &value, sizeof value);
}

void memory_write64(struct memory *memory, uint64_t address, uint64_t value) {
    check_word(memory, address, sizeof value);
    memcpy(frame_to_write(memory, address) + address % MEMORY_FRAME_BYTES, &value, sizeof value);
}
