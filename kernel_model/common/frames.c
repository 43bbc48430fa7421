#include "kernel_model/common/frames.h"

#include <stdlib.h>

#include "sim/error.h"

enum { WORD_BITS = 64, RESERVED_BYTES = 1 << 20 };

struct frames {
    struct memory *memory;
    uint64_t *taken; /* one bit a frame */
    uint64_t count;  /* of all frames */
    uint64_t available;
    uint64_t hint; /* no frame of a word before this one is free */
};

static bool is_taken(const struct frames *frames, uint64_t frame) {
    return (frames->taken[frame / WORD_BITS] >> (frame % WORD_BITS) & 1) != 0;
}

static void mark(struct frames *frames, uint64_t frame, bool taken) {
    const uint64_t bit = UINT64_C(1) << (frame % WORD_BITS);
    if (taken) {
        frames->taken[frame / WORD_BITS] |= bit;
        frames->available--;
    } else {
        frames->taken[frame / WORD_BITS] &= ~bit;
        frames->available++;
    }
}

struct frames *frames_create(struct memory *memory) {
    struct frames *frames = calloc(1, sizeof *frames);
    SIM_ASSERT_MSG(frames != NULL, "out of memory");
    frames->memory = memory;
    frames->count = memory_size(memory) / MEMORY_FRAME_BYTES;
    const uint64_t words = (frames->count + WORD_BITS - 1) / WORD_BITS;
    frames->taken = calloc(words, sizeof *frames->taken);
    SIM_ASSERT_MSG(frames->taken != NULL, "out of memory");
    frames->available = words * WORD_BITS;
    for (uint64_t frame = 0; frame < frames->count && frame < RESERVED_BYTES / MEMORY_FRAME_BYTES; frame++) {
        mark(frames, frame, true);
    }
    for (uint64_t frame = frames->count; frame < words * WORD_BITS; frame++) {
        mark(frames, frame, true); /* the last word's bits past the end of memory */
    }
    return frames;
}

void frames_free(struct frames *frames) {
    if (frames != NULL) {
        free(frames->taken);
        free(frames);
    }
}

/* Nothing of what its former owner wrote is left in a frame. */
static uint64_t hand_out(struct frames *frames, uint64_t frame, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        mark(frames, frame + i, true);
    }
    const uint64_t address = frame * MEMORY_FRAME_BYTES;
    memory_fill(frames->memory, address, 0, count * MEMORY_FRAME_BYTES);
    return address;
}

/* Moves the hint to the first word with a free frame; there must be one. */
static void find_free_word(struct frames *frames) {
    while (frames->taken[frames->hint] == UINT64_MAX) {
        frames->hint++;
    }
}

uint64_t frames_allocate(struct frames *frames) {
    if (frames->available == 0) {
        return 0;
    }
    find_free_word(frames);
    const uint64_t bit = (uint64_t)__builtin_ctzll(~frames->taken[frames->hint]);
    return hand_out(frames, frames->hint * WORD_BITS + bit, 1);
}

uint64_t frames_allocate_contiguous(struct frames *frames, uint64_t count) {
    if (count == 0 || count > frames->available) {
        return 0;
    }
    find_free_word(frames);
    uint64_t run = 0;
    for (uint64_t frame = frames->hint * WORD_BITS; frame < frames->count; frame++) {
        run = is_taken(frames, frame) ? 0 : run + 1;
        if (run == count) {
            return hand_out(frames, frame + 1 - count, count);
        }
    }
    return 0;
}

static bool is_frame(const struct frames *frames, uint64_t address) {
    return address % MEMORY_FRAME_BYTES == 0 && address / MEMORY_FRAME_BYTES < frames->count;
}

bool frames_is_free(const struct frames *frames, uint64_t address) {
    return is_frame(frames, address) && !is_taken(frames, address / MEMORY_FRAME_BYTES);
}

bool frames_take(struct frames *frames, uint64_t address) {
    if (!frames_is_free(frames, address)) {
        return false;
    }
    (void)hand_out(frames, address / MEMORY_FRAME_BYTES, 1);
    return true;
}

void frames_give_back(struct frames *frames, uint64_t address) {
    SIM_ASSERT_MSG(is_frame(frames, address) && address >= RESERVED_BYTES &&
                       is_taken(frames, address / MEMORY_FRAME_BYTES),
                   "frame %#llx was not handed out", (unsigned long long)address);
    const uint64_t frame = address / MEMORY_FRAME_BYTES;
    mark(frames, frame, false);
    if (frame / WORD_BITS < frames->hint) {
        frames->hint = frame / WORD_BITS;
    }
}

uint64_t frames_available(const struct frames *frames) {
    return frames->available;
}

uint64_t frames_allocate_callback(void *context) {
    return frames_allocate(context);
}
