/* aegis_network.h: packets on Aegis: the adapter's interrupt, whose a packet is, and how
 * it comes to its environment.
 *
 * An environment binds a packet filter to a page of its own, the ring. A packet that its
 * filter takes is answered by the handler that the environment has downloaded, at once and
 * whoever runs; or it is copied into the ring, where the environment finds it when its
 * turn comes. What the bytes mean is a library's affair. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_AEGIS_NETWORK_H
#define STILLSUIT_KERNEL_MODEL_EXO_AEGIS_NETWORK_H

#include "kernel_model/common/lance_driver.h"
#include "kernel_model/exo/aegis.h"
#include "kernel_model/exo/download_packet.h"

/* Profile sections `lance` and `download`. */
struct aegis_network_costs {
    struct lance_driver_costs lance;
    struct download_costs download;
};

/* A ring's page: the kernel counts packets in at `head`, the library out at `tail`; then
 * slots, each a length and, two bytes behind a word, the frame. */
enum aegis_packet_ring {
    AEGIS_RING_HEAD = 0x00,
    AEGIS_RING_TAIL = 0x04,
    AEGIS_RING_SLOTS_AT = 0x100,
    AEGIS_RING_SLOTS = 8,
    AEGIS_RING_SLOT_BYTES = 0x1c0,
    AEGIS_RING_FRAME = 4 + LANCE_DRIVER_OFFSET, /* in a slot */
    AEGIS_RING_FRAME_MAX = AEGIS_RING_SLOT_BYTES - AEGIS_RING_FRAME
};

/* Takes the machine's adapter. aegis_free frees it. Before the run. ERR_NOT_FOUND: there is
 * none; ERR_EXHAUSTED. */
enum error_code aegis_network_create(struct aegis *aegis, struct aegis_network_costs *costs, const uint8_t mac[6],
                                     struct error *error);

/* Before the run. Packets that the filter (as tcpdump writes it) takes come into the
 * frame of a capability that allows writing. ERR_DENIED; what
 * download_demux_install_text answers. */
enum error_code aegis_packet_bind(struct aegis_environment *environment, const char *filter,
                                  const struct exo_handle *ring, uint32_t *number, struct error *error);
/* Before the run. A handler for packets of one's own filter: exo_download_handler. */
enum error_code aegis_packet_handler(struct aegis_environment *environment, uint32_t filter,
                                     const struct download_instruction *code, uint32_t count,
                                     const struct download_region *regions, uint32_t region_count, struct error *error);
/* [env] Sends a frame that lies at `address`, two bytes behind a word, in a page that the
 * environment has bound. The environment's request goes along. ERR_DENIED: it is not
 * bound; ERR_RANGE: its length or place; ERR_EXHAUSTED: no descriptor is free. */
enum error_code aegis_packet_send(struct aegis_environment *environment, uint32_t address, uint32_t length_bytes);

const struct exo_download_counters *aegis_network_counters(const struct aegis *aegis);
void aegis_network_visit_stats(const struct aegis *aegis, const struct stats_sink *sink);
void aegis_network_reset_stats(struct aegis *aegis);

/* ---- For the kernel's own files. ---- */
void aegis_network_free(struct aegis *aegis);
/* The adapter's interrupt, on the interrupt context. */
void aegis_network_serve(struct aegis *aegis);
/* A dying environment gets no more packets, and its handlers do not run. */
void aegis_network_forget(struct aegis_environment *environment);

#endif
