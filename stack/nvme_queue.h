/* nvme_queue.h: the driver's half of an NVMe queue pair, as a kernel or a library
 * runs it: builds commands and PRP lists in simulated memory, rings doorbells, takes
 * completions by their phase bit.
 *
 * It does not know where it is placed: costs, the components that they are booked to
 * and the way to a doorbell are the caller's. A queue pair is for one context at a
 * time; a lock, if several share it, is the caller's too. */
#ifndef STILLSUIT_STACK_NVME_QUEUE_H
#define STILLSUIT_STACK_NVME_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/core.h"
#include "hw/memory.h"
#include "hw/nvme/nvme_regs.h"
#include "hw/pcie.h"
#include "sim/error.h"
#include "sim/param.h"
#include "stack/block.h"

struct device;
struct machine;

/* Memory that a queue pair needs: one physically (and for the device) contiguous,
 * frame-aligned region; entries is a power of two from 2 to 4096. */
uint64_t nvme_pair_memory_bytes(uint32_t entries);

/* Steps; NULL charges nothing. Their lines lie from `working_set` on, in this order. */
struct nvme_pair_costs {
    struct cost *submit;   /* a command: tag, entry, PRPs */
    struct cost *prp_list; /* more, for a command that needs a list */
    struct cost *complete; /* a completion */
};

struct nvme_pair_config {
    struct machine *machine;
    uint16_t queue;                    /* its number, from 1: both of the SQ and of its CQ */
    uint32_t entries;                  /* of both queues; entries - 1 commands may be under way */
    uint64_t physical, device_address; /* of the memory, nvme_pair_memory_bytes long */
    uint64_t doorbells;                /* address of register offset 0, as `ring` wants it */
    uint32_t doorbell_stride;
    uint32_t block_bytes;
    /* [context] Writes a doorbell: register address, value, the request that rides
     * along and its owner. ERR_FAULT if the register is not mapped. NULL: the store is
     * made by cpu_mmio_write, through the context's address space. */
    enum error_code (*ring)(void *placement, struct context *context, uint64_t address, uint32_t value,
                            struct request *request, ledger_component owner);
    void *placement;
    struct nvme_pair_costs costs;
    uint64_t working_set;
    /* Work is booked to them. `submit` 0: the caller has begun the work; `complete` 0:
     * the request of a completion stays with "ready", for the caller to take. */
    ledger_component submit, doorbell, complete;
};

struct nvme_pair_slot {
    struct block_io *io; /* NULL: free */
    uint16_t next_free;
};

struct nvme_pair {
    struct nvme_pair_config config;
    uint64_t sq, cq, lists;  /* physical */
    uint32_t tail, rung;     /* of the SQ: written to; as the device knows it */
    uint32_t head, released; /* of the CQ: taken up to; as the device knows it */
    uint32_t sq_head;        /* as the device last said */
    bool phase;
    uint32_t under_way;
    uint16_t first_free;
    struct nvme_pair_slot *slots; /* by command id; entries of them */
    double variation;             /* the present factor on cycles; 1 for none */
    uint64_t submitted, completed, doorbells, failed;
};

/* The caller calls nvme_pair_fini. Commands under way there are forgotten. */
void nvme_pair_init(struct nvme_pair *pair, const struct nvme_pair_config *config);
void nvme_pair_fini(struct nvme_pair *pair);

/* Whether a command may be submitted. */
static inline bool nvme_pair_room(const struct nvme_pair *pair) {
    return pair->under_way + 1 < pair->config.entries;
}
/* Whether the segments can be told by PRPs: a device address on a 4-byte boundary,
 * all but the first on a frame's begin, all but the last up to a frame's end, and
 * together blocks * block_bytes. */
bool nvme_pair_describable(const struct nvme_pair *pair, const struct block_io *io);

/* [context] Writes the command for `io` on namespace `nsid` into the next entry; it is
 * the device's from the next doorbell on. The present work must be the request's (or
 * nobody's); it stays the request's, boarded at its entry. ERR_AGAIN: no room;
 * ERR_UNSUPPORTED: not describable (copy to a buffer that is). */
enum error_code nvme_pair_submit(struct nvme_pair *pair, struct context *context, struct block_io *io, uint32_t nsid);
/* [context] Tells the device of all that was submitted since; the request of the last
 * rides on the write, those of the others are `submit`'s until it arrives. Afterwards
 * the work is nobody's. No effect if there is nothing to tell. ERR_FAULT: the doorbell is not mapped; the
 * entries stay, and the next doorbell tells of them. */
enum error_code nvme_pair_ring(struct nvme_pair *pair, struct context *context);

/* Whether a completion is there, as memory says now, and the line that changes when
 * one comes (for a memory_watch). Charges nothing: a poll that finds none hits L1. */
bool nvme_pair_ready(const struct nvme_pair *pair);
uint64_t nvme_pair_line(const struct nvme_pair *pair);
/* [context] Takes the next completion: sets the operation's status and `finished`,
 * and hands it back; NULL if there is none. The work from here is that request's, of
 * `complete`, and io->owner says so. `done` is the caller's to call. The device learns
 * of the room by nvme_pair_release. */
struct block_io *nvme_pair_reap(struct nvme_pair *pair, struct context *context);
/* [context] Writes the CQ's doorbell, if completions were taken since. The work is
 * nobody's then. */
void nvme_pair_release(struct nvme_pair *pair, struct context *context);

/* What a completion's status means to the caller: OK, ERR_RANGE, ERR_DENIED (not
 * attached, read-only), ERR_FAULT (its memory cannot be reached), ERR_IO. */
enum error_code nvme_status_code(uint32_t status);

/* ---- Set-up before the run, without simulated time ---- */
/* Enables a function's controller, with its admin queue in that memory (two frames;
 * entries: 2 to 64): pokes AQA, ASQ, ACQ, CC. ERR_IO if it does not get ready. */
enum error_code nvme_boot_controller(struct device *nvme, uint32_t function, uint64_t device_address, uint32_t entries,
                                     struct error *error);
/* Has the controller create the pair's CQ and SQ: with interrupts by an MSI-X vector,
 * or (vector < 0) without. */
enum error_code nvme_boot_pair(struct device *nvme, uint32_t function, const struct nvme_pair *pair, int vector,
                               struct error *error);
/* Deletes both, which must be idle. */
enum error_code nvme_boot_delete_pair(struct device *nvme, uint32_t function, const struct nvme_pair *pair);

#endif
