/* lance_regs.h: registers, initialization block and descriptors of the Am7990 LANCE, as
 * in AMD's data sheet "Am7990 Local Area Network Controller for Ethernet". */
#ifndef STILLSUIT_HW_ETHERNET_LANCE_REGS_H
#define STILLSUIT_HW_ETHERNET_LANCE_REGS_H

#include <stdint.h>

/* Two ports: the register address port chooses what the data port shows. */
enum { LANCE_RDP = 0x0, LANCE_RAP = 0x4 };

/* CSR0: control and status. Status bits are cleared by writing 1. */
enum {
    LANCE_INIT = 0x0001, /* read the initialization block */
    LANCE_STRT = 0x0002, /* receive and transmit */
    LANCE_STOP = 0x0004, /* everything off */
    LANCE_TDMD = 0x0008, /* transmit demand: look at the ring now */
    LANCE_TXON = 0x0010,
    LANCE_RXON = 0x0020,
    LANCE_INEA = 0x0040, /* interrupts enabled */
    LANCE_INTR = 0x0080, /* one of the four below, or MISS, or MERR */
    LANCE_IDON = 0x0100, /* initialization done */
    LANCE_TINT = 0x0200, /* a frame was sent */
    LANCE_RINT = 0x0400, /* a frame was received */
    LANCE_MERR = 0x0800, /* memory did not answer */
    LANCE_MISS = 0x1000, /* a frame was lost: no descriptor, or no time */
    LANCE_ERR = 0x8000
};
/* CSR1 and CSR2: address of the initialization block, low and high. */

struct lance_init_block {
    uint16_t mode; /* LANCE_PROM: every frame */
    uint8_t physical_address[6];
    uint16_t multicast_filter[4];
    uint16_t receive_ring_low, receive_ring_high; /* bits 0..7 of high; 13..15: log2 of entries */
    uint16_t transmit_ring_low, transmit_ring_high;
};
enum { LANCE_PROM = 0x8000 };
_Static_assert(sizeof(struct lance_init_block) == 24, "twelve words");

/* A descriptor of either ring. */
struct lance_descriptor {
    uint16_t address_low;
    uint16_t flags;         /* bits 0..7: address, high */
    uint16_t buffer_bytes;  /* two's complement in bits 0..11; 12..15 ones */
    uint16_t message_bytes; /* receive: with FCS; transmit: error flags */
};
_Static_assert(sizeof(struct lance_descriptor) == 8, "four words");
enum {
    LANCE_OWN = 0x8000, /* the chip's */
    LANCE_DESCRIPTOR_ERR = 0x4000,
    LANCE_BUFFER_ERR = 0x0400, /* receive: it did not fit */
    LANCE_STP = 0x0200,        /* first buffer of a frame */
    LANCE_ENP = 0x0100         /* last buffer of a frame */
};

#endif
