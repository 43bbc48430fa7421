/* vf_driver.h: a user-level driver for one queue pair of a virtual function.
 *
 * Rings and packet buffers lie in the environment's own memory; the driver reaches
 * the NIC only through the registers that the exokernel mapped. It writes and reads
 * descriptors of the 82599 (hw/nic/nic_regs.h) as bytes.
 *
 *   receive ring   [head, tail) belongs to the NIC; what it has filled (DD set) from
 *                  head on is the driver's to take; slots behind tail lack a buffer
 *   transmit ring  [head, tail) was given to the NIC; what it has sent (DD set) from
 *                  head on can be reclaimed
 *
 * Functions with a context charge for the lines of the descriptors that they touch,
 * to the work that each names. */
#ifndef STILLSUIT_LIBOS_MODEL_VF_DRIVER_H
#define STILLSUIT_LIBOS_MODEL_VF_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/core.h"
#include "hw/memory.h"
#include "kernel_model/exo/memory.h"

enum { VF_BUFFER_BYTES = 2048, VF_NO_BUFFER = UINT32_MAX };

/* What happens off the path, and where its working set lies; the steps on the path
 * are the caller's to charge, with the packet's own variation. */
struct vf_costs {
    struct cost *rx_refill, *tx_reclaim;
    uint64_t refill_lines, reclaim_lines;
};

struct vf_driver_config {
    uint32_t ring;    /* descriptors of each ring */
    uint32_t buffers; /* at least as many as both rings */
    uint32_t refill_batch;
    bool checksum_offload;
    uint64_t registers; /* virtual address of the function's BAR 0 */
    uint32_t queue;     /* of the function */
    struct vf_costs costs;
};

struct vf_driver {
    struct vf_driver_config config;
    struct memory *memory;
    struct exo_environment *environment;
    struct exo_region rx_ring, tx_ring, packets;
    uint32_t rx_head, rx_tail, tx_head, tx_tail;
    uint32_t *rx_buffers, *tx_buffers;  /* by slot */
    uint32_t *free_buffers, free_count; /* a stack: the buffer freed last is the warmest */
    bool *held, *flying;                /* by buffer: see vf_buffer_hold */
    bool tcp, two_protocols;            /* what the transmit queue's context says; whether it changes */
    uint64_t refilled, reclaimed, doorbells, received, sent;
};

/* A packet taken off the receive ring. */
struct vf_packet {
    uint32_t buffer;
    uint32_t length_bytes;
    bool checked; /* the NIC has looked at both checksums */
    bool bad;     /* and one is wrong, or the NIC reported an error */
    struct request *request;
};

/* Components: "driver_housekeeping" (refill and reclaim: nobody's), "doorbell_write"
 * (the store that rings the NIC; below "net_stack_out"), "libos_poll". */
struct vf_components {
    ledger_component housekeeping, doorbell_write, poll;
};
extern struct vf_components vf_components;
void vf_declare_components(void);

/* Allocates rings and buffers from the environment, programs the queue and fills the
 * receive ring. Before the run. The caller calls vf_driver_fini. */
enum error_code vf_driver_init(struct vf_driver *driver, struct exo_environment *environment,
                               const struct vf_driver_config *config, struct error *error);
void vf_driver_fini(struct vf_driver *driver);

/* Where a buffer lies, for the processor. */
static inline uint64_t vf_buffer_physical(const struct vf_driver *driver, uint32_t buffer) {
    return driver->packets.physical + (uint64_t)buffer * VF_BUFFER_BYTES;
}

/* Whether a packet has arrived, as memory says at this instant; and the line that
 * will change when it does. Charges nothing: a poll that finds nothing hits L1. */
bool vf_rx_ready(const struct vf_driver *driver);
uint64_t vf_rx_line(const struct vf_driver *driver);
/* Takes the packet that has arrived, with its request; the caller owns the buffer.
 * From then on the work is that request's, of `component`. */
struct vf_packet vf_rx_take(struct vf_driver *driver, struct context *context, ledger_component component);

/* A buffer of the pool, or VF_NO_BUFFER; and back. */
uint32_t vf_buffer_take(struct vf_driver *driver);
void vf_buffer_give(struct vf_driver *driver, uint32_t buffer);

/* A buffer that is kept beyond its transmission, to be sent again if need be: it goes
 * back to the pool once it is both released and no longer the NIC's (flying). */
void vf_buffer_hold(struct vf_driver *driver, uint32_t buffer);
void vf_buffer_release(struct vf_driver *driver, uint32_t buffer);
static inline bool vf_buffer_is_flying(const struct vf_driver *driver, uint32_t buffer) {
    return driver->flying[buffer];
}

/* What protocol the packets that follow are of, for the NIC's checksums; a change takes
 * a descriptor. There must be room. */
void vf_tx_protocol(struct vf_driver *driver, struct context *context, bool tcp);
/* From now on both are sent: room is always kept for the change. */
void vf_tx_expect_both(struct vf_driver *driver);
/* Whether the transmit ring has a slot. */
bool vf_tx_room(const struct vf_driver *driver);
uint64_t vf_tx_line(const struct vf_driver *driver); /* changes when one gets free */
/* Sends the first bytes of a buffer, which is the NIC's from now on, and rings. The
 * present work must be `request`'s (or nobody's), in the transmit component; the
 * doorbell is charged to "doorbell_write". Afterwards the work is nobody's. ERR_FAULT:
 * the registers are not mapped; the packet is dropped. */
enum error_code vf_tx_send(struct vf_driver *driver, struct context *context, uint32_t buffer, uint32_t length_bytes,
                           struct request *request);

/* Takes back what was sent and gives the NIC new buffers, a batch a doorbell; all of
 * it nobody's, of "driver_housekeeping". */
void vf_housekeep(struct vf_driver *driver, struct context *context);

/* Lets the queue raise one interrupt, at once if a packet has come since the last. */
void vf_interrupt_arm(struct vf_driver *driver, struct context *context);

#endif
