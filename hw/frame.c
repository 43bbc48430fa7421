/* Frames come from a pool that grows by blocks and is never given back: the number
 * in flight is bounded by the queues of the run. */
#include <stdlib.h>

#include "hw/wire.h"
#include "sim/error.h"

enum { FRAMES_A_BLOCK = 64 };

static struct frame *pool;

static void grow(void) {
    struct frame *block = calloc(FRAMES_A_BLOCK, sizeof *block);
    SIM_ASSERT_MSG(block != NULL, "out of memory");
    for (size_t i = 0; i < FRAMES_A_BLOCK; i++) {
        block[i].next = pool;
        pool = &block[i];
    }
}

struct frame *frame_allocate(void) {
    if (pool == NULL) {
        grow();
    }
    struct frame *frame = pool;
    pool = frame->next;
    frame->next = NULL;
    frame->request = NULL;
    frame->carrier = NULL;
    frame->length_bytes = 0;
    frame->event.heap_index = SIM_EVENT_IDLE;
    return frame;
}

void frame_release(struct frame *frame) {
    SIM_ASSERT_MSG(!sim_event_pending(&frame->event), "a frame is released while its event is due");
    frame->next = pool;
    pool = frame;
}
