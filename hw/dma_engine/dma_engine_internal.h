/* dma_engine_internal.h: what the engine's registers and its commands share. */
#ifndef STILLSUIT_HW_DMA_ENGINE_DMA_ENGINE_INTERNAL_H
#define STILLSUIT_HW_DMA_ENGINE_DMA_ENGINE_INTERNAL_H

#include "hw/dma_engine/dma_engine.h"
#include "hw/machine.h"
#include "sim/random.h"

struct dma_engine_config {
    struct pcie_link_config link;
    sim_time engine_latency;
    uint64_t internal_rate; /* bytes per second */
    uint64_t outstanding;
};

struct dma_engine;

/* A slot: one command in flight, or idle. */
struct dma_engine_command {
    struct dma_engine *engine;
    struct sim_event event; /* the end of the engine's own present step */
    struct dma_op write, read;
    struct request *request;
    sim_time began;
    uint64_t address;
    unsigned char out[DMA_ENGINE_SIZE_MAX], in[DMA_ENGINE_SIZE_MAX]; /* internal memory */
};

struct dma_engine {
    struct pcie_function function;
    struct device *device;
    struct dma_engine_config config;
    ledger_component component;
    struct random_stream *stream;
    struct dma_engine_command *commands;                     /* `outstanding` of them */
    sim_time memory_free;                                    /* when internal memory is */
    uint64_t address, window_bytes, size_bytes, count, mode; /* registers */
    bool busy, refused;
    uint64_t issued, completed, faults, mismatches, bytes;
    sim_time started, finished;
    struct histogram latency;
    struct ledger *ledger;
    void (*done)(void *context);
    void *done_context;
};

/* Transfers lie on whole lines: bytes of the window that one takes. */
static inline uint64_t dma_engine_unit_bytes(uint64_t size_bytes) {
    return (size_bytes + MEMORY_LINE_BYTES - 1) / MEMORY_LINE_BYTES * MEMORY_LINE_BYTES;
}

void dma_engine_command_init(struct dma_engine *engine, struct dma_engine_command *command);
/* Issues the job's next transfer in an idle slot. */
void dma_engine_command_begin(struct dma_engine_command *command);
void dma_engine_job_ends(struct dma_engine *engine);

#endif
