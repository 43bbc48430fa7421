/* lance_driver.h: a driver of nic/lance on an R3000, for whichever kernel there is: the
 * rings in the kernel's memory, and the loads, stores and register accesses on a frame's
 * way through them. What is done with a frame is the kernel's affair.
 *
 * The processor's cache does not see what a device writes: before a frame is read, its
 * lines are thrown out, and memory is read again. Frames lie two bytes behind a word, so
 * that what follows the Ethernet header is aligned. */
#ifndef STILLSUIT_KERNEL_MODEL_COMMON_LANCE_DRIVER_H
#define STILLSUIT_KERNEL_MODEL_COMMON_LANCE_DRIVER_H

#include "hw/machine.h"
#include "hw/r3000/r3000.h"
#include "kernel_model/common/frames.h"
#include "sim/ledger.h"

/* Instructions and stalls beside accesses; profile section `lance`. */
struct lance_driver_costs {
    struct cost interrupt, receive, refill_line, invalidate_word, transmit, copy, copy_word;
};
extern const struct param lance_driver_cost_params[];

enum {
    LANCE_DRIVER_RING = 8,
    LANCE_DRIVER_BUFFER_BYTES = 2048,
    LANCE_DRIVER_OFFSET = 2, /* of a frame in its buffer */
    LANCE_DRIVER_LINE = 4    /* the interrupt line */
};

struct lance_driver {
    struct machine *machine;
    struct r3000 *cpu;
    struct lance_driver_costs *costs; /* the caller's */
    uint64_t data_port;               /* CSR0, once the address port holds 0 */
    uint64_t receive_ring, transmit_ring, receive_buffers, transmit_buffers;
    uint32_t receive_next, transmit_next;
    uint64_t received, sent, interrupts, full; /* full: no transmit descriptor was free */
};

/* Takes the machine's first nic/lance, makes rings and buffers and tells it to initialize
 * itself, under the address `mac`; it receives once its interrupt has been acknowledged.
 * Before the run. ERR_NOT_FOUND: there is none; ERR_EXHAUSTED. */
enum error_code lance_driver_init(struct lance_driver *driver, struct machine *machine, struct frames *frames,
                                  struct lance_driver_costs *costs, const uint8_t mac[6], struct error *error);

/* For the interrupt: reads what happened and takes it back. False: nothing more. */
bool lance_driver_acknowledge(struct lance_driver *driver);
/* The next frame received, without its FCS, and the request that came with it (may be
 * NULL), in `ready`'s hands. False: there is none. */
bool lance_driver_received(struct lance_driver *driver, uint64_t *physical, uint32_t *length_bytes,
                           struct request **request);
/* The frame's memory may be read from here on: its lines are new. */
void lance_driver_refresh(struct lance_driver *driver, uint64_t physical, uint32_t length_bytes);
/* Gives its buffer back to the chip. */
void lance_driver_release(struct lance_driver *driver);
/* Where the next frame to be sent has to be put; 0: no descriptor is free. */
uint64_t lance_driver_transmit_at(struct lance_driver *driver);
/* Sends the frame that was put there; its request (may be NULL), owned by the present
 * work's component, goes along, and the work that follows is nobody's. */
void lance_driver_transmit(struct lance_driver *driver, uint32_t length_bytes, struct request *request);
/* Copies a frame, word by word. */
void lance_driver_copy(struct lance_driver *driver, uint64_t to, uint64_t from, uint32_t length_bytes);

void lance_driver_visit_stats(const struct lance_driver *driver, const struct stats_sink *sink);
void lance_driver_reset_stats(struct lance_driver *driver);

#endif
