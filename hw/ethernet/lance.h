/* lance.h: "nic/lance": a 10 Mb/s Ethernet controller after the Am7990, with rings of
 * descriptors in memory that it reads and writes by DMA.
 *
 * Software writes an initialization block, points CSR1 and CSR2 at it, and sets INIT,
 * then STRT. A descriptor whose OWN bit is set is the chip's: a receive descriptor is a
 * buffer for the next frame, a transmit descriptor a frame to be sent, which the chip
 * finds when it is told to look (TDMD) or after the poll interval. It clears OWN when
 * it is done, sets RINT or TINT, and interrupts (MSI-X vector 0) if INEA is set.
 *
 * What the model leaves out: buffers chained to one frame (such descriptors are
 * answered with ERR), collisions (the link is full duplex), the multicast filter (all
 * multicast frames pass), loopback. */
#ifndef STILLSUIT_HW_ETHERNET_LANCE_H
#define STILLSUIT_HW_ETHERNET_LANCE_H

#include "hw/device.h"
#include "hw/ethernet/lance_regs.h"

enum { LANCE_RING_MAX = 128, LANCE_QUEUE_MAX = 2 };

struct lance_config {
    struct pcie_link_config link;
    sim_time poll_interval;
};

struct lance_counters {
    uint64_t received, sent, missed, not_mine, memory_errors, too_long, refused;
};

/* A ring as the initialization block has it. */
struct lance_ring {
    uint64_t address;
    uint32_t entries, next;
    bool busy; /* the chip works at `next` */
    struct lance_descriptor descriptor;
    uint8_t bytes[FRAME_BYTES_MAX + FRAME_FCS_BYTES];
    uint32_t length_bytes;
    struct frame *frame;
    struct dma_op data, status;
};

struct lance {
    struct device *device;
    struct pcie_function function;
    struct port port;
    uint16_t rap, csr[4];
    struct lance_init_block init_block;
    struct dma_op init;
    struct lance_ring receive, transmit;
    struct frame *waiting[LANCE_QUEUE_MAX]; /* the silo: frames that arrived while one is stored */
    uint32_t waiting_count;
    struct sim_event poll, left;
    struct lance_counters counters;
    ledger_component nic, rx, tx, ready, wire, doorbell, cpu;
};

extern const struct device_ops lance_ops;

/* ---- for the files of the device ---- */
/* Sets status bits of CSR0 and interrupts as it says. */
void lance_raise(struct lance *lance, uint16_t status);
/* The descriptor at the ring's next entry. */
uint64_t lance_descriptor_address(const struct lance_ring *ring);
void lance_dma(struct lance *lance, struct dma_op *op, uint64_t address, uint32_t length_bytes, bool write, void *data,
               void (*done)(struct dma_op *op));
/* Looks at the transmit ring unless it is at work. */
void lance_transmit_look(struct lance *lance);
void lance_frame_left(void *context);
void lance_receive(struct port *port, struct frame *frame);

#endif
