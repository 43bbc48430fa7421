/* dma_engine.h: "dma_engine": a device that reads and writes memory to measure PCIe,
 * IOMMU and caches without any software, as pcie-bench does with a programmable NIC
 * (Neugebauer et al., SIGCOMM 2018). Programmed through registers in BAR 0 (below);
 * the functions here write them for a caller that is not software on a core.
 *
 * A command costs a fixed engine latency and a pass through the engine's internal
 * memory (store and forward, at a byte rate that all commands share). It holds its
 * slot from its start until it is complete: a read until its data lie in internal
 * memory, a write until the root has taken it and its credit is back. */
#ifndef STILLSUIT_HW_DMA_ENGINE_DMA_ENGINE_H
#define STILLSUIT_HW_DMA_ENGINE_DMA_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/device.h"
#include "sim/histogram.h"
#include "sim/ledger.h"

/* Registers of BAR 0, 8 bytes each. */
enum {
    DMA_ENGINE_ADDRESS = 0x00, /* first byte of the window, as the device sees memory */
    DMA_ENGINE_WINDOW = 0x08,  /* bytes of it */
    DMA_ENGINE_SIZE = 0x10,    /* bytes a transfer */
    DMA_ENGINE_COUNT = 0x18,   /* transfers */
    DMA_ENGINE_MODE = 0x20,    /* enum dma_engine_mode; bit 8: addresses at random */
    DMA_ENGINE_CONTROL = 0x28, /* write 1: go. Read: bit 0 busy, bit 1 the last go was refused */
    DMA_ENGINE_DONE = 0x30,    /* transfers completed, faults included */
    DMA_ENGINE_FAULTS = 0x38,
    DMA_ENGINE_BAR_BYTES = 4096
};
enum { DMA_ENGINE_RANDOM = 1 << 8 };
enum { DMA_ENGINE_SIZE_MAX = 8192 };

enum dma_engine_mode {
    DMA_ENGINE_LATENCY_READ,   /* one at a time */
    DMA_ENGINE_BANDWIDTH_READ, /* `outstanding` at a time */
    DMA_ENGINE_BANDWIDTH_WRITE,
    DMA_ENGINE_WRITE_THEN_READ, /* one at a time; the same bytes, and compares them */
    DMA_ENGINE_MODES
};

struct dma_engine_job {
    enum dma_engine_mode mode;
    bool random;           /* else one after the other, round and round */
    uint64_t address;      /* transfers begin on lines of 64 bytes from here */
    uint64_t window_bytes; /* at least a transfer, rounded up to lines */
    uint32_t size_bytes;   /* 1..DMA_ENGINE_SIZE_MAX */
    uint64_t count;
    struct ledger *ledger; /* each transfer is a request of it; NULL for none */
};

/* Starts a job at sim_now(); `done` (may be NULL) is called when its last transfer
 * is complete. ERR_AGAIN while one is running, ERR_RANGE for one that cannot be. */
enum error_code dma_engine_start(struct device *engine, const struct dma_engine_job *job, void (*done)(void *context),
                                 void *context);

struct dma_engine_result {
    uint64_t transfers, bytes; /* without faults */
    uint64_t faults;
    uint64_t mismatches; /* write-then-read that did not find its bytes */
    sim_time started, finished;
    const struct histogram *latency; /* of a transfer, in fs; the engine's, until the next job */
};
/* Of the last job; complete once `done` was called. */
struct dma_engine_result dma_engine_result(const struct device *engine);
/* Payload bits per second of the last job. */
double dma_engine_bits_per_s(const struct device *engine);

/* The PCIe function: to attach its requester id to an IOMMU domain. */
struct pcie_function *dma_engine_function(struct device *engine);

/* "dma_engine", a root, which hands over to "pcie". */
void dma_engine_declare_components(void);

#endif
