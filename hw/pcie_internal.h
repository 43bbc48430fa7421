/* pcie_internal.h: what the files of PCIe share among themselves. Everyone else
 * includes hw/pcie.h. */
#ifndef STILLSUIT_HW_PCIE_INTERNAL_H
#define STILLSUIT_HW_PCIE_INTERNAL_H

#include "hw/pcie.h"
#include "sim/usage.h"

/* ---- One direction of a link (pcie_lane.c) ----
 * Bytes are booked when a transfer is planned, ahead of the instant at which they
 * cross: a completion leaves the root a whole read latency after its request. What
 * becomes ready earlier than something booked already takes the gap before it. */
struct pcie_booking {
    sim_time from, until;
    ledger_component component;
};
struct pcie_lane {
    char *name;
    struct usage usage;
    struct pcie_booking *bookings; /* not yet over; ordered, without overlap */
    size_t count, capacity;
};

void pcie_lane_init(struct pcie_lane *lane, const char *link_name, const char *suffix);
void pcie_lane_free(struct pcie_lane *lane);
/* Books `duration` for `component` in the first gap at or after `earliest` (>= now)
 * and returns its start. */
sim_time pcie_lane_book(struct pcie_lane *lane, ledger_component component, sim_time earliest, sim_time duration);
void pcie_lane_visit(const struct pcie_lane *lane, const struct stats_sink *sink);
void pcie_lane_reset(struct pcie_lane *lane);

/* ---- Links and functions ---- */
enum { PCIE_FUNCTIONS_MAX = 256 }; /* of a link: a function number has 8 bits (ARI) */

struct pcie_attached {
    struct pcie_function *function;
    char *name;                                /* "nic.vf3": the instance of its counters */
    uint64_t msix_pending[PCIE_MSIX_MAX / 64]; /* raised while masked */
};

struct pcie_link {
    struct pcie_root *root;
    struct pcie_link *next; /* the root's list, in order of creation */
    struct pcie_link_config config;
    uint16_t bus;
    uint64_t completion_bytes;             /* largest completion payload */
    uint64_t fs_numerator, fs_denominator; /* time of a byte */
    struct pcie_lane up, down;             /* device to root, root to device */
    sim_time last_visible;                 /* of posted writes upstream: their order */
    sim_time last_mmio;                    /* of posted writes downstream */
    uint64_t tags_free, tag_waits;
    struct dma_op **waiting; /* chains that wait for tags: a ring */
    size_t waiting_first, waiting_count, waiting_capacity;
    struct pcie_attached *functions[PCIE_FUNCTIONS_MAX]; /* by number */
};

struct pcie_window {
    uint64_t base, bytes;
    struct pcie_function *function;
    unsigned bar;
};

/* A posted write or an interrupt message under way, from the root's pool. */
struct pcie_message {
    struct sim_event event;
    struct pcie_root *root;
    struct pcie_function *function;
    unsigned bar;
    uint32_t size_bytes;
    uint64_t offset, value; /* of an interrupt: core, vector */
    struct request *request;
    struct pcie_message *next; /* the pool's */
    struct pcie_message *all;  /* every message ever made, to free them */
};

struct pcie_root {
    struct machine *machine;
    struct pcie_root_config config;
    struct pcie_link *links, **links_end;
    uint16_t link_count;
    uint64_t window_end;                               /* where the next BAR may begin */
    struct pcie_window *windows;                       /* by base */
    size_t window_count, window_capacity, window_last; /* last: hit by the last access */
    struct pcie_message *pool, *messages;
    uint64_t mmio_reads, mmio_writes, mmio_unmapped;
};

/* An idle message, with its event prepared for `arrive` with the message itself. */
struct pcie_message *pcie_message_take(struct pcie_root *root, sim_callback *arrive);
void pcie_message_give(struct pcie_message *message);

/* ---- Components ---- */
struct pcie_dma_components {
    ledger_component transfer, iotlb_miss, dram_miss;
};
/* In the order of the table in pcie_root.c. */
struct pcie_components {
    ledger_component pcie;
    struct pcie_dma_components read, write;
    ledger_component doorbell;
};
const struct pcie_components *pcie_components(void);

void pcie_link_visit_stats(const struct pcie_link *link, const struct stats_sink *sink);
void pcie_link_reset_stats(struct pcie_link *link);
void pcie_link_free(struct pcie_link *link);

#endif
