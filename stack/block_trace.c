#include "stack/block_trace.h"

#include "sim/engine.h"

const char *block_purpose_name(enum block_purpose purpose) {
    static const char *const names[] = {
#define BLOCK_PURPOSE_NAME(name, help) #name,
        BLOCK_PURPOSES(BLOCK_PURPOSE_NAME)
#undef BLOCK_PURPOSE_NAME
    };
    return purpose < BLOCK_PURPOSE_COUNT ? names[purpose] : "?";
}

static enum error_code submit(struct block_device *device, struct context *context, struct block_io *io) {
    struct block_tracer *tracer = (struct block_tracer *)device;
    /* As it is now: a device may finish the operation, and its owner reuse it, within the call. */
    const struct block_trace_event event = {.submitted = sim_now(),
                                            .call = io->call,
                                            .call_name = "",
                                            .operation = io->operation,
                                            .force_unit_access = io->force_unit_access,
                                            .block = io->block,
                                            .blocks = io->blocks,
                                            .purpose = (enum block_purpose)io->purpose};
    const enum error_code code = block_submit(tracer->below, context, io);
    if (code == OK) {
        tracer->sink(tracer->context, &event);
    }
    return code;
}

static void wait_for(struct block_device *device, struct context *context, struct block_io *io) {
    block_wait(((struct block_tracer *)device)->below, context, io);
}

static unsigned poll(struct block_device *device, struct context *context) {
    return block_poll(((struct block_tracer *)device)->below, context);
}

static const struct block_device_ops ops = {.type_name = "trace", .submit = submit, .wait = wait_for, .poll = poll};

void block_tracer_init(struct block_tracer *tracer, struct block_device *below,
                       void (*sink)(void *context, const struct block_trace_event *event), void *context) {
    *tracer = (struct block_tracer){.base = *below, .below = below, .sink = sink, .context = context};
    tracer->base.ops = &ops;
}
