/* media_internal.h: what the media share: how a command's ledger moves while a
 * first-in-first-out resource has it. */
#ifndef STILLSUIT_HW_MEDIA_MEDIA_INTERNAL_H
#define STILLSUIT_HW_MEDIA_MEDIA_INTERNAL_H

#include "hw/media/media.h"

__extension__ typedef unsigned __int128 media_wide;

/* The medium takes the command at sim_now() and serves it from `start` on. */
static inline void media_take(struct media_command *command, sim_time start) {
    ledger_hand_over(command->request, command->owner, media_component, LEDGER_WAITING);
    if (command->request != NULL) {
        ledger_turn_at(command->request, LEDGER_SERVICE, start);
    }
}

/* Gives it back, done. */
static inline void media_give_back(struct media_command *command) {
    ledger_hand_over(command->request, media_component, command->owner, LEDGER_SERVICE);
    command->done(command);
}

static inline void media_command_ends(void *context) {
    media_give_back(context);
}

/* Busy from `start` to `end`: gives the command back then. */
static inline void media_serve(struct media_command *command, sim_time start, sim_time end) {
    media_take(command, start);
    sim_event_init(&command->event, SIM_PRIORITY_HARDWARE, media_command_ends, command);
    sim_schedule_at(&command->event, end);
}

/* Time of so many bytes at a rate in bytes per second, rounded up to a femtosecond. */
static inline sim_time media_transfer_time(uint64_t bytes, uint64_t bytes_per_s) {
    const media_wide product = (media_wide)bytes * SIM_S;
    return (sim_time)((product + bytes_per_s - 1) / bytes_per_s);
}

#endif
