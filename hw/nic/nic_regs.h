/* nic_regs.h: registers and descriptors of the SR-IOV NIC, laid out as on the Intel
 * 82599 10 GbE Controller (datasheet, order 331520, revision 3.4). Sections are
 * given beside each. Registers that the real part does not have carry "model:". */
#ifndef STILLSUIT_HW_NIC_NIC_REGS_H
#define STILLSUIT_HW_NIC_NIC_REGS_H

#include <stdint.h>

/* ---- BAR 0, per queue (8.2.3.8, 8.2.3.9). The physical function addresses queues
 * 0..127; a virtual function addresses its own from 0 (8.3). ---- */
#define NIC_RX_QUEUE_BASE(n) (UINT64_C(0x01000) + UINT64_C(0x40) * (n)) /* n < 64 */
#define NIC_RX_QUEUE_BASE_HIGH(n) (UINT64_C(0x0D000) + UINT64_C(0x40) * ((n)-64))
#define NIC_TX_QUEUE_BASE(n) (UINT64_C(0x06000) + UINT64_C(0x40) * (n))    /* physical function */
#define NIC_VF_TX_QUEUE_BASE(n) (UINT64_C(0x02000) + UINT64_C(0x40) * (n)) /* virtual function */
enum {
    NIC_QUEUE_STRIDE = 0x40,
    NIC_QUEUE_BAL = 0x00,  /* RDBAL, TDBAL */
    NIC_QUEUE_BAH = 0x04,  /* RDBAH, TDBAH */
    NIC_QUEUE_LEN = 0x08,  /* RDLEN, TDLEN: bytes, a multiple of 128 */
    NIC_QUEUE_HEAD = 0x10, /* RDH, TDH */
    NIC_QUEUE_TAIL = 0x18, /* RDT, TDT: the doorbell */
    NIC_QUEUE_CTL = 0x28,  /* RXDCTL, TXDCTL */
    NIC_RX_SRRCTL = 0x14,  /* buffer size in KiB, bits 4:0 (0: 2 KiB); bit 28: drop without descriptors */
    NIC_QUEUE_CTL_ENABLE = 1 << 25,
    NIC_SRRCTL_DROP_ENABLE = 1 << 28 /* always on for a virtual function, which must not fill the packet buffer */
};
#define NIC_EITR(n)                                                                                                    \
    (UINT64_C(0x0820) + UINT64_C(4) * (n)) /* n < 24; 8.2.3.5.12: interval in bits 11:3, units of 2 us at 10 Gb/s */
#define NIC_EITR_HIGH(n) (UINT64_C(0x12300) + UINT64_C(4) * ((n)-24)) /* physical function, 24 <= n < 128 */
enum { NIC_EITR_INTERVAL_SHIFT = 3, NIC_EITR_INTERVAL_MASK = 0x1ff, NIC_EITR_UNIT_US = 2 };
enum { NIC_RATE_SELECT = 0x4904, NIC_RATE_FACTOR = 0x4984 }; /* RTTDQSEL, RTTBCNRC (8.2.3.10): physical function only */
enum {
    NIC_CREDIT = 0x4908,
    NIC_CREDIT_MASK = 0x3fff,
    NIC_CREDIT_UNIT_BYTES = 64
};                                          /* RTTDT1C: weight of the queue in RTTDQSEL; CRQ 13:0 */
#define NIC_RATE_ENABLE (UINT32_C(1) << 31) /* RS_ENA */
enum {
    NIC_RATE_FRACTION_BITS = 14, /* RF_DEC 13:0 */
    NIC_RATE_INTEGER_BITS = 10   /* RF_INT 23:14; the queue is slowed to line rate / factor */
};
/* One interrupt vector a queue: enabling and disabling write these (8.2.3.5). */
enum {
    NIC_EIMS = 0x0880,
    NIC_EIMC = 0x0888
}; /* bit n: vector n of this function (PF: EIMS_EX beyond 31, model: +4 a word) */
/* EIMS_EX, EIMC_EX: every vector of the physical function, 32 a word. EIAM, EIAM_EX
 * (8.2.3.5.9): a vector whose bit is set masks itself when its message goes out. */
#define NIC_EIMS_EX(word) (UINT64_C(0x0AA0) + UINT64_C(4) * (word))
#define NIC_EIMC_EX(word) (UINT64_C(0x0AB0) + UINT64_C(4) * (word))
enum { NIC_EIAM = 0x0890 };
#define NIC_EIAM_EX(word) (UINT64_C(0x0AD0) + UINT64_C(4) * (word))
/* IVAR, VTIVAR (8.2.3.5.16): which causes have a vector; a byte each for receive and
 * transmit of queue 2n, then of queue 2n + 1. model: the vector is the queue's own
 * number, whatever bits 5:0 say; after a reset receiving has it and transmitting none. */
#define NIC_IVAR(n) (UINT64_C(0x0900) + UINT64_C(4) * (n))    /* physical function */
#define NIC_VF_IVAR(n) (UINT64_C(0x0120) + UINT64_C(4) * (n)) /* virtual function */
#define NIC_IVAR_RX_VALID(queue) (UINT32_C(1) << (16 * ((queue) % 2) + 7))
#define NIC_IVAR_TX_VALID(queue) (UINT32_C(1) << (16 * ((queue) % 2) + 15))
enum { NIC_PF_BAR_BYTES = 128 * 1024, NIC_VF_BAR_BYTES = 16 * 1024 };

/* ---- Receive descriptor, advanced (7.1.6). 16 bytes. ---- */
union nic_rx_descriptor {
    struct {
        uint64_t packet_address; /* software writes */
        uint64_t header_address; /* 0; bit 0 (DD) reads 0 */
    } read;
    struct {
        uint32_t packet_info; /* RSS type, packet type */
        uint32_t rss_hash;
        uint32_t status_error; /* extended status 19:0, extended error 31:20 */
        uint16_t length_bytes; /* PKT_LEN, without FCS */
        uint16_t vlan;
    } write_back;
};
_Static_assert(sizeof(union nic_rx_descriptor) == 16, "82599 datasheet, 7.1.6");
enum {
    NIC_RX_TYPE_IPV4 = 1 << 4, /* packet_info: packet type 16:4 (7.1.6.2) */
    NIC_RX_TYPE_TCP = 1 << 8,
    NIC_RX_TYPE_UDP = 1 << 9,
    NIC_RX_RSS_TCP_IPV4 = 1, /* RSS type 3:0 */
    NIC_RX_RSS_IPV4 = 2,
    NIC_RX_RSS_UDP_IPV4 = 7
};
enum {
    NIC_RX_DD = 1 << 0,    /* descriptor done */
    NIC_RX_EOP = 1 << 1,   /* end of packet */
    NIC_RX_UDPCS = 1 << 4, /* UDP checksum was looked at */
    NIC_RX_L4CS = 1 << 5,  /* L4 checksum was looked at */
    NIC_RX_IPCS = 1 << 6   /* IPv4 checksum was looked at */
};
#define NIC_RX_ERROR_L4 (UINT32_C(1) << 30)
#define NIC_RX_ERROR_IP (UINT32_C(1) << 31)

/* ---- Transmit descriptors, advanced (7.2.3.2). 16 bytes. ---- */
struct nic_tx_descriptor {
    uint64_t address;       /* data: buffer; context: IPLEN 8:0, MACLEN 15:9 */
    uint32_t command;       /* data: DTALEN 15:0, DTYP 23:20, DCMD 31:24; context: DTYP 23:20, TUCMD 19:9 */
    uint32_t status_length; /* data: DD bit 0, POPTS 13:8, PAYLEN 31:14 */
};
_Static_assert(sizeof(struct nic_tx_descriptor) == 16, "82599 datasheet, 7.2.3.2.4");
#define NIC_TX_LENGTH_MASK UINT32_C(0xffff)
#define NIC_TX_DTYP_DATA (UINT32_C(3) << 20)
#define NIC_TX_DTYP_CONTEXT (UINT32_C(2) << 20)
#define NIC_TX_DTYP_MASK (UINT32_C(15) << 20)
#define NIC_TX_EOP (UINT32_C(1) << 24)
#define NIC_TX_IFCS (UINT32_C(1) << 25)
#define NIC_TX_RS (UINT32_C(1) << 27) /* report status: write DD back */
#define NIC_TX_DEXT (UINT32_C(1) << 29)
#define NIC_TX_DD UINT32_C(1)
#define NIC_TX_POPTS_IXSM (UINT32_C(1) << 8) /* insert the IPv4 header checksum */
#define NIC_TX_POPTS_TXSM (UINT32_C(1) << 9) /* insert the UDP/TCP checksum */
#define NIC_TX_PAYLEN_SHIFT 14
/* Context descriptor (7.2.3.2.3). TXSM computes the whole checksum, pseudo header
 * included (model: the real part wants the pseudo header's sum in the field). */
#define NIC_TX_IPLEN_MASK UINT64_C(0x1ff)
#define NIC_TX_MACLEN_SHIFT 9
#define NIC_TX_MACLEN_MASK UINT64_C(0x7f)
#define NIC_TX_TUCMD_IPV4 (UINT32_C(1) << 10)
#define NIC_TX_TUCMD_TCP (UINT32_C(1) << 11) /* L4T 12:11: 0 UDP, 1 TCP */

enum { NIC_RING_MIN = 64, NIC_RING_MAX = 4096, NIC_DESCRIPTOR_BYTES = 16 };

#endif
