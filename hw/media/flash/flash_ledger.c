/* flash_ledger.c: where a request's time went. An operation's times are complete when
 * the die is done with it; they are told then, in one go. Requests leave through
 * "media", which knows who may have them back. */
#include "hw/media/flash/flash_internal.h"

static const struct ledger_declaration declarations[] = {
    {"flash_queue", "media", "Flash: waiting for the die", "media"},
    {"flash_gc", "media", "Flash: waiting behind garbage collection", "media"},
    {"flash_suspend", "media", "Flash: suspending and being suspended", "media"},
    {"flash_channel", "media", "Flash: channel", "media"},
    {"flash_array", "media", "Flash: array", "media"},
    {"flash_buffer", "media", "Flash: waiting for a page to fill", "media"},
    {"flash_firmware", "media", "Flash: firmware and error correction", "media"},
    {0}};

void flash_declare_components(void) {
    ledger_component unused[sizeof declarations / sizeof declarations[0]];
    ledger_declare_all(declarations, unused);
}

void flash_find_components(struct flash_components *out) {
    *out = (struct flash_components){.media = ledger_find("media"),
                                     .queue = ledger_find("flash_queue"),
                                     .collect = ledger_find("flash_gc"),
                                     .suspend = ledger_find("flash_suspend"),
                                     .channel = ledger_find("flash_channel"),
                                     .array = ledger_find("flash_array"),
                                     .buffer = ledger_find("flash_buffer"),
                                     .firmware = ledger_find("flash_firmware")};
}

/* The request goes on to `to` at `from` if it will be there for a while. */
static void go_on(struct request *request, ledger_component to, enum ledger_kind kind, sim_time from, sim_time until) {
    if (until > from) {
        ledger_hand_over_at(request, request->owner, to, kind, from);
    }
}

void flash_book_request(const struct flash_op *op, struct request *request, sim_time arrived) {
    const struct flash_components *by = &op->flash->components;
    if (request == NULL) {
        return;
    }
    go_on(request, by->buffer, LEDGER_WAITING, arrived, op->arrived);
    /* The parts of the wait, one after the other in this order. */
    const sim_time behind_collection = op->arrived + op->collect_wait;
    const sim_time behind_suspending = behind_collection + op->suspend_wait;
    go_on(request, by->collect, LEDGER_WAITING, op->arrived, behind_collection);
    go_on(request, by->suspend, LEDGER_WAITING, behind_collection, behind_suspending);
    go_on(request, by->queue, LEDGER_WAITING, behind_suspending, op->started);
    go_on(request, by->channel, LEDGER_WAITING, op->started, op->command_start);
    go_on(request, by->channel, LEDGER_SERVICE, op->command_start, op->command_end);
    go_on(request, by->suspend, LEDGER_WAITING, op->command_end, op->command_end + op->suspended);
    go_on(request, by->array, LEDGER_SERVICE, op->command_end + op->suspended, op->array_end);
    go_on(request, by->channel, LEDGER_WAITING, op->array_end, op->data_start);
    go_on(request, by->channel, LEDGER_SERVICE, op->data_start, op->data_end);
    ledger_hand_over_at(request, request->owner, by->firmware, LEDGER_SERVICE, op->data_end);
}

void flash_part_done(struct flash *flash, struct media_command *command, struct request *request) {
    const sim_time now = sim_now();
    if (--command->parts_left > 0) {
        ledger_release(request, now);
        return;
    }
    if (request != command->request) {
        ledger_join(command->request, request, now);
    }
    if (command->request != NULL) {
        ledger_hand_over_at(command->request, command->request->owner, flash->components.media, LEDGER_SERVICE, now);
        ledger_hand_over_at(command->request, flash->components.media, command->owner, LEDGER_SERVICE, now);
    }
    command->done(command);
}
