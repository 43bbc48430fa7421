/* udp.h: UDP as a library on Aegis' packets: headers, checksums and the datagram's bytes
 * are read and written by the application, in its own pages; and a handler that it can
 * download, which answers in its place.
 *
 * A receiver that finds nothing gives up its slice and looks again in its next turn, or sleeps
 * on a predicate: that the ring's ends differ. */
#ifndef STILLSUIT_LIBOS_MODEL_EXOS_UDP_H
#define STILLSUIT_LIBOS_MODEL_EXOS_UDP_H

#include "kernel_model/exo/aegis_network.h"
#include "sim/param.h"
#include "stack/net_headers.h"

/* Instructions beside loads and stores; profile section `udp`. */
struct exos_udp_costs {
    struct cost input, output, sum_word, copy_sum_word;
};
extern const struct param exos_udp_cost_params[];

/* Where the ring and the page of frames to be sent lie in the environment. */
#define EXOS_PACKET_RING_AT UINT32_C(0x30000000)
#define EXOS_PACKET_PAGE_AT UINT32_C(0x30001000)
/* ... and what in that page: a frame, where datagrams are copied to, the handler's words. */
enum exos_packet_page {
    EXOS_PACKET_FRAME = 0x000 + LANCE_DRIVER_OFFSET,
    EXOS_PACKET_DATA = 0x800,
    EXOS_PACKET_HANDLER = 0xc00
};
enum { EXOS_DATAGRAM_WORDS = 8 }; /* 60 bytes with IP's and UDP's headers */

struct exos_udp {
    struct aegis_environment *environment;
    struct exos_udp_costs *costs;
    struct net_udp remote; /* as datagrams are sent: from here, to the other side */
    uint64_t ring, page;   /* physical */
    struct exo_handle filter;
    uint32_t tail;
    bool sleeps; /* set by the caller: on a predicate, while it waits */
    uint16_t identification;
    uint64_t refused; /* datagrams whose headers or checksums are wrong */
};

/* Two pages of the environment's, a filter for datagrams from the other side, and what its sleep
 * waits for. ERR_EXHAUSTED, ERR_OVERLAP. */
enum error_code exos_udp_open(struct exos_udp *udp, struct error *error);
/* No more datagrams come; the pages stay. */
enum error_code exos_udp_close(struct exos_udp *udp, struct error *error);
/* Sends EXOS_DATAGRAM_WORDS words; the environment's request goes along. */
enum error_code exos_udp_send(struct exos_udp *udp, const uint32_t *words);
/* Waits for a datagram and the request that comes with it. */
void exos_udp_receive(struct exos_udp *udp, uint32_t *words);
/* Downloads a handler that sums each datagram as it copies it into
 * its page, counts its first word on and sends it back, in the kernel. A datagram
 * whose first word is `limit` or more comes to the library, as does one that is wrong.
 * ERR_DENIED: the kernel refuses. */
enum error_code exos_udp_download(struct exos_udp *udp, uint32_t limit, struct error *error);

#endif
