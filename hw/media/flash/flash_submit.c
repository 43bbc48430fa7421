/* flash_submit.c: commands become operations of dies. */
#include <stdlib.h>

#include "hw/media/flash/flash_internal.h"

/* ---- The pools ---- */

struct flash_op *flash_op_take(struct flash *flash, enum flash_kind kind) {
    struct flash_op **pool = kind == FLASH_PROGRAM ? &flash->batch_pool : &flash->pool;
    struct flash_op *op = *pool;
    if (op != NULL) {
        *pool = op->next;
    } else {
        op = calloc(1, sizeof *op);
        SIM_ASSERT(op != NULL);
        sim_event_init(&op->event, SIM_PRIORITY_HARDWARE, flash_op_event, op);
        op->flash = flash;
        op->kind = (uint8_t)kind;
        op->made_before = flash->made;
        flash->made = op;
        if (kind == FLASH_PROGRAM) {
            op->batch = calloc(1, sizeof *op->batch);
            SIM_ASSERT(op->batch != NULL);
        }
    }
    op->next = NULL;
    op->is_before_write = false;
    return op;
}

void flash_op_give(struct flash_op *op) {
    struct flash_op **pool = op->batch != NULL ? &op->flash->batch_pool : &op->flash->pool;
    op->next = *pool;
    *pool = op;
}

/* ---- Reads ---- */

/* Where a read of `unit` goes: sets the op's die (NULL: memory answers) and its page.
 * Returns what units that one read answers have in common. */
static uint32_t locate(struct flash *flash, uint32_t unit, struct flash_die **die, uint32_t *slot) {
    const uint32_t entry = ftl_lookup(&flash->ftl, unit), stripe = flash->stripe;
    *die = NULL;
    *slot = 0;
    if ((entry & FTL_PENDING) != 0) {
        return FTL_PENDING;
    }
    if (entry == 0) {
        const uint32_t row = unit / stripe;
        if (flash->config->unwritten == FLASH_UNWRITTEN_ARRAY) {
            *die = &flash->dies[row % flash->die_count];
            *slot = row / flash->die_count % (uint32_t)flash->config->pages_per_block * stripe;
        }
        return FTL_PENDING | (1 + row % (FTL_PENDING - 1)); /* apart from pages and from memory */
    }
    struct flash_die *home = &flash->dies[flash_die_of(flash, entry - 1)];
    if (home->programming != FTL_NONE && entry - 1 - home->programming < stripe) {
        return FTL_PENDING; /* the controller has it until it is programmed */
    }
    *die = home;
    *slot = (entry - 1) % flash->ftl.config.slots;
    return (entry - 1) / stripe;
}

/* An op for the units from `unit` on that one read answers. */
static struct flash_op *make_read(struct flash *flash, uint32_t unit, uint32_t end) {
    struct flash_op *op = flash_op_take(flash, FLASH_READ);
    uint32_t slot;
    const uint32_t common = locate(flash, unit, &op->die, &slot);
    op->slot = slot;
    op->units = 1;
    struct flash_die *die;
    while (unit + op->units < end && op->units < flash->stripe &&
           locate(flash, unit + op->units, &die, &slot) == common) {
        op->units++;
    }
    if (op->die != NULL) {
        flash->stats.page_reads++;
    } else if (common == FTL_PENDING) {
        flash->stats.buffer_reads++;
    } else {
        flash->stats.zero_reads++;
    }
    return op;
}

static void send(struct flash *flash, struct flash_op *op, struct media_command *command, struct request *request) {
    op->command = command;
    op->request = request;
    command->parts_left++;
    if (op->die != NULL) {
        flash_die_submit(op->die, op);
        return;
    }
    ledger_hand_over(request, flash->components.queue, flash->components.firmware, LEDGER_SERVICE);
    sim_schedule(&op->event, flash->config->firmware_read);
}

static void submit_read(struct flash *flash, struct media_command *command, uint32_t first, uint32_t end) {
    struct flash_op *op = make_read(flash, first, end);
    flash->stats.reads++;
    if (first + op->units == end) {
        send(flash, op, command, command->request);
        return;
    }
    struct flash_op *all = op, *last = op;
    for (uint32_t unit = first + op->units; unit < end; unit += last->units) {
        last->next = make_read(flash, unit, end);
        last = last->next;
    }
    while (all != NULL) {
        op = all;
        all = op->next;
        send(flash, op, command, ledger_fork(command->request, sim_now()));
    }
}

/* ---- Writes ---- */

static void launch(struct flash *flash) {
    struct flash_op *op = flash->filling;
    flash->filling = NULL;
    (void)sim_cancel(&flash->fill_event);
    flash_die_submit(op->die, op);
}

void flash_fill_event(void *context) {
    launch(context);
}

/* Puts a unit into the batch that is being filled; a new part of it if `is_new`. */
static void add_unit(struct flash *flash, uint32_t unit, bool is_new, struct media_command *command,
                     struct request *request) {
    if (flash->filling == NULL) {
        flash->filling = flash_op_take(flash, FLASH_PROGRAM);
        flash->filling->die = &flash->dies[ftl_choose_die(&flash->ftl)];
        flash->filling->batch->count = flash->filling->batch->part_count = 0;
        if (flash->config->fill_wait > 0) {
            sim_schedule(&flash->fill_event, flash->config->fill_wait);
        }
    }
    struct flash_batch *batch = flash->filling->batch;
    if (is_new) {
        batch->parts[batch->part_count++] = (struct flash_part){command, request, sim_now()};
    }
    batch->units[batch->count] = unit;
    batch->ids[batch->count++] = ftl_accept(&flash->ftl, unit);
    flash->ftl.dies[flash->filling->die->index].incoming++;
}

static void launch_if_due(struct flash *flash, bool is_full) {
    if (flash->filling != NULL &&
        (flash->filling->batch->count == flash->stripe || (is_full && flash->config->fill_wait == 0))) {
        launch(flash);
    }
}

void flash_write_after_read(struct flash_op *op) {
    struct flash *flash = op->flash;
    add_unit(flash, op->unit_written, true, op->command, op->request);
    flash_op_give(op);
    launch_if_due(flash, true);
}

/* Whether a write of units [first, end) must read this one before: it lies in flash
 * and is written in part. */
static bool needs_read(struct flash *flash, const struct media_command *command, uint32_t unit) {
    const uint64_t from = (uint64_t)unit * flash->unit_bytes, end = command->offset_bytes + command->length_bytes;
    const uint32_t entry = ftl_lookup(&flash->ftl, unit);
    return (command->offset_bytes > from || end < from + flash->unit_bytes) && entry != 0 && (entry & FTL_PENDING) == 0;
}

static void read_before_write(struct flash *flash, struct media_command *command, uint32_t unit,
                              struct request *request) {
    struct flash_op *op = make_read(flash, unit, unit + 1);
    flash->stats.reads_before_write++;
    op->is_before_write = true;
    op->unit_written = unit;
    send(flash, op, command, request);
}

static void submit_write(struct flash *flash, struct media_command *command, uint32_t first, uint32_t end) {
    const uint32_t room = flash->stripe - (flash->filling != NULL ? flash->filling->batch->count : 0);
    const bool is_one = end - first == 1 || (end - first <= room && !needs_read(flash, command, first) &&
                                             !needs_read(flash, command, end - 1));
    const struct flash_op *joined = NULL;
    flash->stats.writes++;
    for (uint32_t unit = first; unit < end; unit++) {
        if (needs_read(flash, command, unit)) {
            read_before_write(flash, command, unit,
                              is_one ? command->request : ledger_fork(command->request, sim_now()));
            continue;
        }
        const bool is_new = flash->filling == NULL || flash->filling != joined;
        struct request *request = command->request;
        if (is_new) {
            command->parts_left++;
            request = is_one ? request : ledger_fork(request, sim_now());
        }
        add_unit(flash, unit, is_new, command, request);
        joined = flash->filling;
        launch_if_due(flash, false);
    }
    launch_if_due(flash, true);
}

/* Units that lie wholly within the range; the rest of it stays. */
static void submit_deallocate(struct flash *flash, struct media_command *command) {
    const uint64_t end = command->offset_bytes + command->length_bytes;
    const uint32_t first = (uint32_t)((command->offset_bytes + flash->unit_bytes - 1) / flash->unit_bytes);
    const uint32_t last =
        end == flash->media->capacity_bytes ? flash->ftl.config.units : (uint32_t)(end / flash->unit_bytes);
    struct flash_op *op = flash_op_take(flash, FLASH_READ);
    flash->stats.deallocations++;
    if (last > first) {
        ftl_deallocate(&flash->ftl, first, last - first);
    }
    op->die = NULL;
    op->command = command;
    op->request = command->request;
    command->parts_left = 1;
    ledger_hand_over(command->request, flash->components.queue, flash->components.firmware, LEDGER_SERVICE);
    sim_schedule(&op->event, flash->config->firmware_write);
}

void flash_submit(struct media *media, struct media_command *command) {
    struct flash *flash = media->state;
    SIM_ASSERT_MSG(command->length_bytes > 0 && command->offset_bytes < media->capacity_bytes &&
                       command->length_bytes <= media->capacity_bytes - command->offset_bytes,
                   "a command to flash lies outside the drive");
    const uint32_t first = (uint32_t)(command->offset_bytes / flash->unit_bytes);
    const uint32_t end = (uint32_t)((command->offset_bytes + command->length_bytes - 1) / flash->unit_bytes) + 1;
    command->parts_left = 0;
    ledger_hand_over(command->request, command->owner, flash->components.queue, LEDGER_WAITING);
    if (command->operation == MEDIA_READ) {
        submit_read(flash, command, first, end);
    } else if (command->operation == MEDIA_WRITE) {
        submit_write(flash, command, first, end);
    } else {
        submit_deallocate(flash, command);
    }
}
