/* command.c: the life of one command of the DMA engine.
 *
 *   read:            engine latency -> DMA read -> internal memory -> complete
 *   write:           engine latency -> internal memory -> DMA write -> credit -> complete
 *   write-then-read: engine latency -> internal memory -> DMA write, read -> internal
 *                    memory -> complete */
#include <string.h>

#include "hw/dma_engine/dma_engine_internal.h"

static enum dma_engine_mode mode_of(const struct dma_engine *engine) {
    return (enum dma_engine_mode)(engine->mode & ~(uint64_t)DMA_ENGINE_RANDOM);
}

/* Goes on with `next` at `when`. */
static void go_on(struct dma_engine_command *command, sim_callback *next, sim_time when) {
    sim_event_init(&command->event, SIM_PRIORITY_HARDWARE, next, command);
    sim_schedule_at(&command->event, when);
}

/* Passes the transfer through internal memory, not before `earliest`: one command
 * after the other. Returns when it is through. */
static sim_time pass_memory(struct dma_engine_command *command, sim_time earliest) {
    struct dma_engine *engine = command->engine;
    const sim_time start = earliest > engine->memory_free ? earliest : engine->memory_free;
    const sim_time whole = engine->size_bytes * SIM_S / engine->config.internal_rate;
    engine->memory_free = start + whole;
    if (start > earliest) {
        ledger_turn_at(command->request, LEDGER_WAITING, earliest);
        ledger_turn_at(command->request, LEDGER_SERVICE, start);
    }
    return engine->memory_free;
}

static void complete(void *context) {
    struct dma_engine_command *command = context;
    struct dma_engine *engine = command->engine;
    const enum dma_engine_mode mode = mode_of(engine);
    const struct dma_op *op = mode == DMA_ENGINE_BANDWIDTH_WRITE ? &command->write : &command->read;
    const bool both = mode == DMA_ENGINE_WRITE_THEN_READ;
    if (op->status == DMA_FAULT || (both && command->write.status == DMA_FAULT)) {
        engine->faults++;
    } else {
        engine->bytes += engine->size_bytes;
        engine->mismatches += both && memcmp(command->out, command->in, engine->size_bytes) != 0 ? 1 : 0;
        histogram_add(&engine->latency, sim_now() - command->began);
    }
    ledger_end(command->request, engine->component, sim_now());
    engine->completed++;
    if (engine->issued < engine->count) {
        dma_engine_command_begin(command);
    } else if (engine->completed == engine->count) {
        dma_engine_job_ends(engine);
    }
}

/* The read's bytes have arrived: into internal memory. */
static void read_done(struct dma_op *op) {
    struct dma_engine_command *command = op->context;
    go_on(command, complete, pass_memory(command, sim_now()));
}

/* The write has been taken. Its credit comes back as late as a read's answer would:
 * both are a round trip to the root. */
static void write_done(struct dma_op *op) {
    struct dma_engine_command *command = op->context;
    const struct pcie_root_config *root = pcie_root_configuration(command->engine->device->machine->pcie);
    const sim_time back = root->read_latency > root->write_latency ? root->read_latency - root->write_latency : 0;
    ledger_turn_at(command->request, LEDGER_WAITING, sim_now());
    go_on(command, complete, sim_now() + back);
}

static void prepare(struct dma_engine_command *command, struct dma_op *op, void *data) {
    op->function = &command->engine->function;
    op->next = NULL;
    op->address = command->address;
    op->length_bytes = (uint32_t)command->engine->size_bytes;
    op->data = data;
    op->request = NULL;
    op->owner = command->engine->component;
    op->context = command;
}

static void submit_read(void *context) {
    struct dma_engine_command *command = context;
    prepare(command, &command->read, command->in);
    command->read.request = command->request;
    dma_submit(&command->read);
}

static void submit_write(void *context) {
    struct dma_engine_command *command = context;
    prepare(command, &command->write, command->out);
    if (mode_of(command->engine) == DMA_ENGINE_WRITE_THEN_READ) {
        prepare(command, &command->read, command->in);
        command->write.next = &command->read;
        command->read.request = command->request; /* what the engine waits for */
    } else {
        command->write.request = command->request;
    }
    dma_submit(&command->write);
}

/* Bytes that tell which transfer wrote them. */
static void fill(unsigned char *out, uint64_t size_bytes, uint64_t serial) {
    for (uint64_t i = 0; i < size_bytes; i++) {
        out[i] = (unsigned char)((serial >> (8 * (i % 8))) + i / 8);
    }
}

void dma_engine_command_init(struct dma_engine *engine, struct dma_engine_command *command) {
    command->engine = engine;
    sim_event_init(&command->event, SIM_PRIORITY_HARDWARE, complete, command);
    command->write.write = true;
    command->write.done = write_done;
    command->read.done = read_done;
}

void dma_engine_command_begin(struct dma_engine_command *command) {
    struct dma_engine *engine = command->engine;
    const uint64_t unit = dma_engine_unit_bytes(engine->size_bytes);
    const uint64_t units = engine->window_bytes / unit;
    const uint64_t serial = engine->issued++;
    const bool random = (engine->mode & DMA_ENGINE_RANDOM) != 0;
    const sim_time now = sim_now();
    const sim_time ready = now + engine->config.engine_latency;
    command->began = now;
    command->address = engine->address + unit * (random ? random_below(engine->stream, units) : serial % units);
    command->request =
        engine->ledger != NULL ? ledger_begin(engine->ledger, engine->component, LEDGER_SERVICE, now) : NULL;
    if (mode_of(engine) == DMA_ENGINE_LATENCY_READ || mode_of(engine) == DMA_ENGINE_BANDWIDTH_READ) {
        go_on(command, submit_read, ready);
    } else {
        fill(command->out, engine->size_bytes, serial + 1);
        go_on(command, submit_write, pass_memory(command, ready));
    }
}
