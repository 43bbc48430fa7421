/* flash_channel.c: a channel as a plan of transfers, first come (ready), first served. */
#include <stdlib.h>
#include <string.h>

#include "hw/media/flash/flash_internal.h"

/* What is over goes to the account for good. */
void flash_channel_settle(struct flash_channel *channel, sim_time now) {
    uint32_t over = 0;
    for (; over < channel->count && channel->transfers[over].end <= now; over++) {
        const struct flash_transfer *transfer = &channel->transfers[over];
        usage_book(&channel->usage, transfer->component, transfer->start, transfer->end);
    }
    if (over > 0) {
        channel->count -= over;
        memmove(channel->transfers, channel->transfers + over, channel->count * sizeof *channel->transfers);
    }
}

/* Those behind `at` begin when it has ended; up to the first that need not move. */
static void push_back(struct flash_channel *channel, uint32_t at) {
    for (uint32_t i = at + 1; i < channel->count && channel->transfers[i].start < channel->transfers[i - 1].end; i++) {
        struct flash_transfer *transfer = &channel->transfers[i];
        const sim_time by = channel->transfers[i - 1].end - transfer->start;
        SIM_ASSERT_MSG(transfer->op != NULL, "a transfer is pushed back that was to begin as planned");
        transfer->start += by;
        transfer->end += by;
        transfer->op->data_start = transfer->start;
        transfer->op->data_end = transfer->end;
        flash_die_moved(transfer->op);
    }
}

void flash_channel_plan(struct flash_channel *channel, sim_time now, const struct flash_transfer *wanted,
                        sim_time *start, sim_time *end) {
    flash_channel_settle(channel, now);
    if (channel->count == channel->capacity) {
        channel->capacity = channel->capacity == 0 ? 8 : 2 * channel->capacity;
        channel->transfers = realloc(channel->transfers, channel->capacity * sizeof *channel->transfers);
        SIM_ASSERT(channel->transfers != NULL);
    }
    uint32_t at = channel->count++;
    for (; at > 0 && channel->transfers[at - 1].ready > wanted->ready; at--) {
        channel->transfers[at] = channel->transfers[at - 1];
    }
    struct flash_transfer *transfer = &channel->transfers[at];
    const sim_time length = wanted->end - wanted->start;
    const sim_time free_from = at > 0 ? channel->transfers[at - 1].end : 0;
    *transfer = *wanted;
    transfer->start = wanted->ready > free_from ? wanted->ready : free_from;
    transfer->end = transfer->start + length;
    *start = transfer->start;
    *end = transfer->end;
    push_back(channel, at);
}
