/* frames.h: which physical frames are free: a bitmap with a search hint, for
 * whichever kernel owns the machine's memory. */
#ifndef STILLSUIT_KERNEL_MODEL_COMMON_FRAMES_H
#define STILLSUIT_KERNEL_MODEL_COMMON_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/memory.h"

struct frames;

/* All frames of `memory` but the first megabyte are free. The caller frees it. */
struct frames *frames_create(struct memory *memory);
void frames_free(struct frames *frames);
/* A free frame, zeroed, or `count` contiguous ones; address, or 0 if there is none. */
uint64_t frames_allocate(struct frames *frames);
uint64_t frames_allocate_contiguous(struct frames *frames, uint64_t count);
/* A named frame; false if it is not free. */
bool frames_take(struct frames *frames, uint64_t address);
void frames_give_back(struct frames *frames, uint64_t address);
bool frames_is_free(const struct frames *frames, uint64_t address);
uint64_t frames_available(const struct frames *frames);
/* The signature that mmu.h and iommu.h want; `context` is the struct frames. */
uint64_t frames_allocate_callback(void *context);

#endif
