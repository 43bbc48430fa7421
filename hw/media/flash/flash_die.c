/* flash_die.c: a die: its queues, what it does next, and suspension. */
#include "hw/media/flash/flash_internal.h"

/* ---- Accounts ---- */

ledger_component flash_die_component(const struct flash_die *die) {
    const struct flash_components *by = &die->flash->components;
    return die->suspending ? by->suspend : die->current->is_collection ? by->collect : by->array;
}

static void book_until(struct flash_die *die, sim_time when) {
    if (when <= die->segment) {
        return;
    }
    usage_book(&die->usage, flash_die_component(die), die->segment, when);
    if (die->suspending) {
        die->suspend_time += when - die->segment;
    } else if (die->current->is_collection) {
        die->collect_time += when - die->segment;
    }
    die->segment = when;
}

/* How long the die has worked for collection; for suspending. */
static sim_time collect_sum(const struct flash_die *die, sim_time now) {
    const bool is_open = die->current != NULL && die->current->is_collection && !die->suspending && now > die->segment;
    return die->collect_time + (is_open ? now - die->segment : 0);
}

static sim_time suspend_sum(const struct flash_die *die, sim_time now) {
    return die->suspend_time + (die->suspending && now > die->segment ? now - die->segment : 0);
}

/* ---- Queues ---- */

static void push(struct flash_queue *queue, struct flash_op *op) {
    op->next = NULL;
    if (queue->first == NULL) {
        queue->first = op;
    } else {
        queue->last->next = op;
    }
    queue->last = op;
}

static void mark_arrival(struct flash_op *op, sim_time now) {
    op->sequence = ++op->flash->sequence;
    op->arrived = now;
    op->collect_mark = collect_sum(op->die, now);
    op->suspend_mark = suspend_sum(op->die, now);
}

/* Collection's next operation, if there is one. */
static void prepare_collection(struct flash_die *die) {
    struct flash_op *op = &die->collect;
    const enum ftl_step step = ftl_collect_next(&die->flash->ftl, die->index, &op->slot, &op->units);
    if (step == FTL_STEP_NONE) {
        return;
    }
    op->kind = step == FTL_STEP_READ ? FLASH_READ : step == FTL_STEP_PROGRAM ? FLASH_PROGRAM : FLASH_ERASE;
    die->collect_ready = true;
    mark_arrival(op, sim_now());
}

/* What the die does next, taken from where it waited; NULL: nothing. */
static struct flash_op *pick(struct flash_die *die) {
    struct flash *flash = die->flash;
    if (!die->collect_ready && die->suspended == NULL && ftl_collect_wanted(&flash->ftl, die->index)) {
        prepare_collection(die);
    }
    struct flash_op *best = die->reads.first;
    struct flash_op *write = die->writes.first;
    struct flash_op *collect = die->collect_ready ? &die->collect : NULL;
    if (best == NULL || (flash->config->order == FLASH_FIFO && die->suspended == NULL)) {
        const bool is_blocked = write != NULL && !ftl_has_room(&flash->ftl, die->index, FTL_HOST);
        SIM_ASSERT_MSG(!is_blocked || collect != NULL, "a flash die is full and has nothing to collect");
        if (write != NULL && !is_blocked && (best == NULL || write->sequence < best->sequence)) {
            best = write;
        }
        if (collect != NULL && (best == NULL || collect->sequence < best->sequence)) {
            best = collect;
        }
    }
    if (best == die->reads.first && best != NULL) {
        die->reads.first = best->next;
    } else if (best == write && best != NULL) {
        die->writes.first = best->next;
    } else if (best != NULL) {
        die->collect_ready = false;
    }
    return best;
}

/* ---- An operation ---- */

static sim_time array_time(struct flash_die *die, struct flash_op *op) {
    struct flash *flash = die->flash;
    if (op->kind == FLASH_ERASE) {
        return flash->config->erase;
    }
    if (op->kind == FLASH_READ) {
        return flash->config->read[flash_page_type(flash, op->slot)];
    }
    if (op->is_collection) {
        die->programming = ftl_collect_program(&flash->ftl, die->index, &op->units);
    } else {
        const struct flash_batch *batch = op->batch;
        die->programming = ftl_program(&flash->ftl, die->index, FTL_HOST, batch->units, batch->ids, batch->count);
        op->units = batch->count;
    }
    return flash->config->program[flash_page_type(flash, die->programming % flash->ftl.config.slots)];
}

/* Whether the answer to an op has an event of its own, so that the die's is only
 * needed if something waits for the die. */
static bool answers_later(const struct flash_op *op) {
    return op->kind == FLASH_READ && !op->is_collection && !op->is_before_write && op->flash->config->firmware_read > 0;
}

static bool may_be_suspended(const struct flash_die *die, sim_time at) {
    const struct flash_config *config = die->flash->config;
    const struct flash_op *op = die->current;
    return die->reads.first != NULL && op->suspends < config->suspends_max &&
           (op->kind == FLASH_ERASE
                ? config->suspend != FLASH_SUSPEND_NONE
                : op->kind == FLASH_PROGRAM && config->suspend == FLASH_SUSPEND_PROGRAM_AND_ERASE) &&
           op->data_end > at + config->suspend_latency;
}

/* When the die is to be looked at next. */
static sim_time next_step(const struct flash_die *die, sim_time now) {
    const sim_time from = die->interruptible_from > now ? die->interruptible_from : now;
    return may_be_suspended(die, from) ? from : die->current->data_end;
}

static void start(struct flash_die *die, struct flash_op *op) {
    struct flash *flash = die->flash;
    const sim_time now = sim_now();
    const ledger_component component = op->is_collection ? flash->components.collect : flash->components.channel;
    op->collect_wait = collect_sum(die, now) - op->collect_mark;
    op->suspend_wait = suspend_sum(die, now) - op->suspend_mark;
    die->current = op;
    die->segment = now;
    op->started = op->command_start = op->command_end = now;
    op->suspended = 0;
    op->suspends = 0;
    const sim_time array = array_time(die, op);
    const sim_time command = flash->config->command + (op->kind == FLASH_PROGRAM ? flash->transfer_time[op->units] : 0);
    if (command > 0) {
        const struct flash_transfer transfer = {now, 0, command, NULL, component};
        flash_channel_plan(die->channel, now, &transfer, &op->command_start, &op->command_end);
    }
    op->array_end = op->data_start = op->data_end = op->command_end + array;
    die->interruptible_from = op->command_end;
    if (op->kind == FLASH_READ) {
        const struct flash_transfer transfer = {op->array_end, 0, flash->transfer_time[op->units], op, component};
        flash_channel_plan(die->channel, now, &transfer, &op->data_start, &op->data_end);
    }
    const bool is_waited_for = die->reads.first != NULL || die->writes.first != NULL || die->suspended != NULL;
    if (!answers_later(op)) {
        sim_schedule_at(&die->event, next_step(die, now));
        return;
    }
    sim_schedule_at(&op->event, op->data_end + flash->config->firmware_read);
    if (is_waited_for || die->collect_ready) {
        sim_schedule_at(&die->event, op->data_end);
    }
}

void flash_die_moved(struct flash_op *op) {
    if (sim_cancel(&op->die->event)) {
        sim_schedule_at(&op->die->event, op->data_end);
    }
    if (sim_cancel(&op->event)) {
        sim_schedule_at(&op->event, op->data_end + op->flash->config->firmware_read);
    }
}

/* ---- Suspension ---- */

static void begin_to_suspend(struct flash_die *die) {
    const sim_time now = sim_now();
    struct flash_op *op = die->current;
    book_until(die, now);
    op->left = op->array_end - now;
    op->suspended_at = now;
    op->suspends++;
    die->suspending = true;
    die->flash->stats.suspends++;
    sim_schedule(&die->event, die->flash->config->suspend_latency);
}

static void resume(struct flash_die *die) {
    const sim_time now = sim_now(), latency = die->flash->config->resume_latency;
    struct flash_op *op = die->suspended;
    die->suspended = NULL;
    die->current = op;
    die->segment = die->interruptible_from = now + latency;
    usage_book(&die->usage, die->flash->components.suspend, now, now + latency);
    die->suspend_time += latency;
    op->suspended += now + latency - op->suspended_at;
    op->array_end = op->data_start = op->data_end = now + latency + op->left;
    sim_schedule_at(&die->event, op->data_end);
}

/* ---- One after the other ---- */

static void dispatch(struct flash_die *die) {
    if (die->suspended != NULL && die->reads.first == NULL) {
        resume(die);
        return;
    }
    struct flash_op *op = pick(die);
    if (op != NULL) {
        start(die, op);
    }
}

/* The die is free of what it did. */
static struct flash_op *finish(struct flash_die *die) {
    struct flash_op *op = die->current;
    book_until(die, op->data_end);
    die->current = NULL;
    if (op->kind == FLASH_PROGRAM) {
        die->programming = FTL_NONE;
    } else if (op->kind == FLASH_ERASE) {
        ftl_collect_erase(&die->flash->ftl, die->index);
    }
    return op;
}

static void answer(struct flash_op *op) {
    struct flash *flash = op->flash;
    if (op->kind == FLASH_PROGRAM) {
        const struct flash_batch *batch = op->batch;
        for (uint32_t i = 0; i < batch->part_count; i++) {
            flash_book_request(op, batch->parts[i].request, batch->parts[i].arrived);
        }
        for (uint32_t i = 0; i < batch->part_count; i++) {
            flash_part_done(flash, batch->parts[i].command, batch->parts[i].request);
        }
        flash_op_give(op);
        return;
    }
    struct media_command *command = op->command;
    struct request *request = op->request;
    if (op->die != NULL) {
        flash_book_request(op, request, op->arrived);
    }
    if (op->is_before_write) {
        flash_write_after_read(op);
        return;
    }
    flash_op_give(op);
    flash_part_done(flash, command, request);
}

void flash_op_event(void *context) {
    struct flash_op *op = context;
    if (op->die != NULL && op->die->current == op) {
        (void)finish(op->die); /* nothing waited for the die */
    }
    answer(op);
}

void flash_die_event(void *context) {
    struct flash_die *die = context;
    if (die->suspending) {
        book_until(die, sim_now());
        die->suspending = false;
        die->suspended = die->current;
        die->current = NULL;
        dispatch(die);
        return;
    }
    if (sim_now() < die->current->data_end) {
        if (may_be_suspended(die, sim_now())) {
            begin_to_suspend(die);
        } else {
            sim_schedule_at(&die->event, die->current->data_end);
        }
        return;
    }
    struct flash_op *op = finish(die);
    dispatch(die); /* before the answer, which may bring more work: that comes last */
    if (op->is_collection || answers_later(op)) {
        return;
    }
    if (op->kind == FLASH_PROGRAM && op->flash->config->firmware_write > 0) {
        sim_schedule(&op->event, op->flash->config->firmware_write);
        return;
    }
    answer(op);
}

void flash_die_submit(struct flash_die *die, struct flash_op *op) {
    const sim_time now = sim_now();
    mark_arrival(op, now);
    push(op->kind == FLASH_READ ? &die->reads : &die->writes, op);
    if (die->current != NULL && !sim_event_pending(&die->event) && die->current->data_end <= now) {
        (void)finish(die); /* a read whose answer has its own event */
    }
    if (die->current == NULL) {
        dispatch(die);
        return;
    }
    if (die->suspending) {
        return;
    }
    const sim_time at = next_step(die, now);
    if (!sim_event_pending(&die->event)) {
        sim_schedule_at(&die->event, at);
    } else if (at < die->event.due) {
        (void)sim_cancel(&die->event);
        sim_schedule_at(&die->event, at);
    }
}

void flash_die_settle(struct flash_die *die) {
    const sim_time now = sim_now();
    if (die->current != NULL) {
        book_until(die, now < die->current->data_end ? now : die->current->data_end);
    }
}
