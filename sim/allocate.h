/* allocate.h: memory of the host's, for models that cannot go on without it. */
#ifndef STILLSUIT_SIM_ALLOCATE_H
#define STILLSUIT_SIM_ALLOCATE_H

#include <stdlib.h>

#include "sim/error.h"

/* `count` zeroed elements of `bytes` each, for free(); never NULL, also for none. The
 * program ends where memory has run out. */
static inline void *sim_allocate(size_t count, size_t bytes) {
    void *memory = calloc(count > 0 ? count : 1, bytes);
    SIM_ASSERT_MSG(memory != NULL, "out of memory");
    return memory;
}

#endif
