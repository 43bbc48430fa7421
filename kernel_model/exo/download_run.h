/* download_run.h: runs a verified program.
 *
 * Every access is checked against its region: an offset that was no constant is known
 * only now. What fails stops the program; what it did to its own regions until then
 * stays done, and is its owner's to bear. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_DOWNLOAD_RUN_H
#define STILLSUIT_KERNEL_MODEL_EXO_DOWNLOAD_RUN_H

#include "hw/memory.h"
#include "kernel_model/exo/download_verify.h"

enum download_stop {
    DOWNLOAD_RETURNED,
    DOWNLOAD_OUTSIDE,   /* an access beyond its region */
    DOWNLOAD_BY_ZERO,   /* a division */
    DOWNLOAD_TOO_LARGE, /* a bulk length above the one declared */
    DOWNLOAD_STOPS
};

struct download_send {
    uint64_t physical;
    uint32_t length_bytes;
};
struct download_extent {
    uint32_t block, count, type;
};

struct download_outcome {
    enum download_stop stop;
    uint32_t value; /* if it returned */
    uint32_t send_count, emit_count;
    struct download_send sends[DOWNLOAD_SENDS_MAX];
    struct download_extent emits[DOWNLOAD_EMITS_MAX];
};

/* Told of each access before it happens: for tests, which check it by a reference of
 * their own. */
struct download_observer {
    void *context;
    void (*access)(void *context, uint64_t physical, uint32_t length_bytes, bool write);
};

/* Runs on `subject` as region 0, at most as long as was declared (NULL: the declared
 * region 0). Adds the steps to `work`; `observer` may be NULL. */
void download_run(const struct download_program *program, struct memory *memory, const struct download_region *subject,
                  const struct download_observer *observer, struct download_work *work,
                  struct download_outcome *outcome);

#endif
