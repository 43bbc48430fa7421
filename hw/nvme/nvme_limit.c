/* The rate limit of a controller: two token buckets, of bytes and of commands.
 *
 * A bucket is kept as the time at which the next command would be due if commands
 * came at the rate exactly; one may pass when that is not more than the burst ahead.
 * The division's remainder is carried, so that nothing is lost over time. */
#include "hw/nvme/nvme_internal.h"

bool nvme_is_limited(const struct nvme_function *function) {
    return function->bytes.per_s != 0 || function->commands.per_s != 0;
}

/* When a bucket lets the next command pass. */
static sim_time allowed_at(const struct nvme_bucket *bucket, sim_time burst) {
    const sim_time now = sim_now();
    const bool waits = bucket->per_s != 0 && bucket->due > now && bucket->due - now > burst;
    return waits ? bucket->due - burst : now;
}

static sim_time next_allowed(const struct nvme_function *function) {
    const sim_time by_bytes = allowed_at(&function->bytes, function->rate.burst);
    const sim_time by_commands = allowed_at(&function->commands, function->rate.burst);
    return by_bytes > by_commands ? by_bytes : by_commands;
}

static void charge(struct nvme_bucket *bucket, uint64_t amount) {
    if (bucket->per_s == 0) {
        return;
    }
    if (bucket->due < sim_now()) { /* full */
        bucket->due = sim_now();
        bucket->remainder = 0;
    }
    const nvme_wide product = (nvme_wide)amount * SIM_S + bucket->remainder;
    bucket->due += (sim_time)(product / bucket->per_s);
    bucket->remainder = (uint64_t)(product % bucket->per_s);
}

static void pass(struct nvme_command *command) {
    struct nvme_function *function = command->function;
    charge(&function->bytes, nvme_io_bytes(command));
    charge(&function->commands, 1);
    nvme_process(command);
}

void nvme_limit(struct nvme_command *command) {
    struct nvme_function *function = command->function;
    if (command->sq->id == 0 || !nvme_is_limited(function)) {
        nvme_process(command);
        return;
    }
    const sim_time when = next_allowed(function);
    if (function->limited == NULL && when <= sim_now()) {
        pass(command);
        return;
    }
    function->counters.limited++;
    nvme_own(command, function->nvme->components.limit, LEDGER_WAITING);
    command->next = NULL;
    *function->limited_end = command;
    function->limited_end = &command->next;
    if (!sim_event_pending(&function->limit_event)) {
        sim_schedule_at(&function->limit_event, when);
    }
}

void nvme_limit_expired(void *context) {
    struct nvme_function *function = context;
    while (function->limited != NULL) {
        const sim_time when = next_allowed(function);
        if (when > sim_now()) {
            sim_schedule_at(&function->limit_event, when);
            return;
        }
        struct nvme_command *command = function->limited;
        function->limited = command->next;
        function->limited_end = function->limited == NULL ? &function->limited : function->limited_end;
        nvme_own(command, function->nvme->components.queue, LEDGER_WAITING);
        pass(command);
    }
    nvme_sq_ready(&function->sqs[0]);
    nvme_pump(function->nvme);
}

bool nvme_limit_withdraw(struct nvme_command *command) {
    struct nvme_function *function = command->function;
    for (struct nvme_command **at = &function->limited; *at != NULL; at = &(*at)->next) {
        if (*at == command) {
            *at = command->next;
            if (command->next == NULL) {
                function->limited_end = at;
            }
            return true;
        }
    }
    return false;
}
