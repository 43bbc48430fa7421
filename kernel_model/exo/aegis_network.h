/* aegis_network.h: packets on Aegis: the adapter's interrupt, whose a packet is, and how
 * it comes to its environment.
 *
 * An environment binds a packet filter to a page of its own, the ring. A packet that its
 * filter takes is answered by the handler that the environment has downloaded, at once and
 * whoever runs; or it is copied into the ring, where the environment finds it when its
 * turn comes, or is woken for it (aegis_sleep.h). What the bytes mean is a library's affair.
 *
 * A filter is a capability; its ring is memory by capability, and so is what handlers name.
 * Whichever ends, the filter or the handler ends, too. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_AEGIS_NETWORK_H
#define STILLSUIT_KERNEL_MODEL_EXO_AEGIS_NETWORK_H

#include "kernel_model/common/lance_driver.h"
#include "kernel_model/exo/aegis.h"
#include "kernel_model/exo/download_bind.h"

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

/* [env] Packets that the filter (as tcpdump writes it) takes come into the frame of a
 * capability that allows writing, from now on; `out` is the filter's capability. Its
 * instructions are verified, and compared with the filters that are there. ERR_DENIED; what
 * exo_bound_filter_text answers. */
enum error_code aegis_packet_bind(struct aegis_environment *environment, const char *filter,
                                  const struct exo_handle *ring, struct exo_handle *out, struct error *error);
/* [env] Ends that, with the filter's handler; takes EXO_CONTROL. ERR_DENIED. What is in the ring
 * stays there. */
enum error_code aegis_packet_release(struct aegis_environment *environment, const struct exo_handle *filter,
                                     struct error *error);
/* [env] A handler for packets of one's own filter, verified: exo_bound_handler. */
enum error_code aegis_packet_handler(struct aegis_environment *environment, const struct exo_handle *filter,
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
/* Those that sleep, or NULL without an adapter. */
struct download_waiters *aegis_waiters(const struct aegis *aegis);
void aegis_network_free(struct aegis *aegis);
/* The adapter's interrupt, on the interrupt context. */
void aegis_network_serve(struct aegis *aegis);
/* A dying environment gets no more packets, and its handlers do not run. */
void aegis_network_forget(struct aegis_environment *environment);

#endif
