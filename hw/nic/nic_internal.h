/* nic_internal.h: the NIC's state and what its files call of each other. Everyone
 * else includes hw/nic/nic.h.
 *
 *   receive   wire -> nic_rx.c: pipeline, nic_filter.c chooses a queue, packet
 *             buffer, descriptor, one DMA chain of packet and write-back, interrupt
 *   transmit  doorbell -> nic_tx_ring.c: descriptors fetched, packets recognized ->
 *             nic_tx.c: scheduler, rate limiter, data DMA -> nic_tx_send.c: filter,
 *             checksums, wire, write-back
 *   control   nic_registers.c (what drivers write), nic_control.c (what the physical
 *             function's driver calls), nic_interrupt.c (vectors and moderation)
 *
 * Nothing here loops over all functions or queues for a packet. */
#ifndef STILLSUIT_HW_NIC_NIC_INTERNAL_H
#define STILLSUIT_HW_NIC_NIC_INTERNAL_H

#include "hw/machine.h"
#include "hw/nic/nic.h"
#include "hw/nic/nic_regs.h"
#include "hw/pcie.h"
#include "hw/wire.h"

enum {
    NIC_VIRTUAL_FUNCTIONS_MAX = 255, /* with the physical one, a bus's function numbers */
    NIC_FETCH_MAX = 64,              /* descriptors a DMA read brings at most */
    NIC_RX_STOCK = 128,              /* descriptors on chip, a queue */
    NIC_TX_STOCK = 128,
    NIC_TX_SEGMENTS_MAX = 40, /* descriptors a packet may have (7.2.3.2.4) */
    NIC_RX_SEGMENTS_MAX = 2,  /* buffers are 1 KiB or larger */
    NIC_READS_MAX = 64,
    NIC_FLOWS = 1024, /* of the look-aside for filter look-ups */
    NIC_RSS_TABLE = 128,
    NIC_MAC_BYTES = 6,
    NIC_QUANTUM_DEFAULT_BYTES = 1536 /* of the weighted scheduler: one packet of any size */
};

enum nic_scheduler { NIC_ROUND_ROBIN, NIC_WEIGHTED };

struct nic_config {
    struct pcie_link_config pcie;
    uint64_t virtual_functions, queues, queues_per_function;
    uint64_t receive_filters, transmit_filters; /* the latter a function's */
    int filtering, scheduler;
    uint64_t receive_buffer_bytes, receive_queue_bytes, transmit_buffer_bytes;
    sim_time rx_pipeline, tx_pipeline;
    uint64_t fetch_max, rx_prefetch, write_back_batch, reads_outstanding;
};
extern const struct param nic_params[];
enum error_code nic_config_check(const struct nic_config *config, struct error *error);

/* Counters of a function, in the order of their reports. */
#define NIC_COUNTERS(X)                                                                                                \
    X(rx_packets)                                                                                                      \
    X(rx_bytes)                                                                                                        \
    X(tx_packets)                                                                                                      \
    X(tx_bytes)                                                                                                        \
    X(rx_no_descriptor_drops)                                                                                          \
    X(rx_filter_drops)                                                                                                 \
    X(rx_buffer_drops)                                                                                                 \
    X(rx_fault_drops)                                                                                                  \
    X(transmit_filter_drops)                                                                                           \
    X(tx_fault_drops)                                                                                                  \
    X(tx_no_link_drops)                                                                                                \
    X(bad_descriptors)                                                                                                 \
    X(doorbells)                                                                                                       \
    X(bad_doorbells)                                                                                                   \
    X(bad_register_accesses)
#define NIC_COUNTER_FIELD(name) uint64_t name;
struct nic_counters {
    NIC_COUNTERS(NIC_COUNTER_FIELD)
};
#undef NIC_COUNTER_FIELD

struct nic;
struct nic_queue;

struct nic_function {
    struct nic *nic;
    struct pcie_function pcie;
    uint32_t number;
    bool enabled, has_mac;
    uint8_t mac[NIC_MAC_BYTES];
    uint32_t transmit_filter_count; /* slots in use lie below */
    struct nic_filter_slot *transmit_filters;
    struct nic_counters counters;
};

/* Either table's: a filter, and whose it is. */
struct nic_filter_slot {
    bool used;
    uint32_t function;
    struct nic_filter filter;
};

/* A ring in memory, and how far the card has got: [head, fetched) lies on chip,
 * [fetched, tail) is the card's, not yet read. */
struct nic_ring {
    uint64_t base;
    uint32_t length_bytes, length; /* register; descriptors (0 until enabled) */
    uint32_t head, fetched, tail;
    bool enabled, fetching;
    uint32_t generation; /* counts resets, so that what was under way is recognized */
    uint32_t fetch_generation, fetch_slot, fetch_count;
    struct dma_op fetch;
};

struct nic_rx_entry {
    union nic_rx_descriptor descriptor;
    uint32_t slot;
};

struct nic_rx {
    struct nic_ring ring;
    uint32_t buffer_bytes, control; /* control: SRRCTL as written */
    uint32_t stock_first, stock_count;
    struct nic_rx_entry stock[NIC_RX_STOCK];
    union nic_rx_descriptor fetched[NIC_FETCH_MAX];
    struct frame *waiting, **waiting_end; /* for a descriptor */
    uint64_t buffered_bytes;
};

/* A transmit descriptor on chip. */
struct nic_tx_entry {
    struct nic_tx_descriptor descriptor;
    struct request *request; /* of the packet that begins here */
    uint32_t slot;
    bool first, last, bad; /* of a packet; bad stands at the last */
};

/* What a context descriptor said. */
struct nic_tx_context {
    bool set, tcp;
    uint32_t ip_offset, ip_bytes;
};

struct nic_tx {
    struct nic_ring ring;
    uint32_t stock_first, stock_count, packets; /* whole packets in stock */
    uint32_t packet_first, packet_segments;     /* the one that is not whole yet */
    struct nic_tx_entry stock[NIC_TX_STOCK];
    struct nic_tx_descriptor fetched[NIC_FETCH_MAX];
    struct request **riders; /* by slot: requests that came with the doorbell for it */
    struct nic_tx_context context;
    uint32_t under_way; /* packets between scheduler and wire */
    /* scheduler */
    struct nic_queue *next_active;
    bool active;
    uint32_t quantum_bytes, deficit_bytes;
    /* rate limiter */
    uint32_t rate_factor; /* RTTBCNRC */
    sim_time next_allowed;
    struct sim_event limit_event;
    /* write-back */
    struct dma_op write_back;
    bool writing_back;
    uint32_t written_back, reported, reports; /* slots; descriptors with RS since */
};

struct nic_vector {
    bool enabled, pending, auto_mask;
    bool no_receive, transmit; /* IVAR: receiving is no cause; completed transmission is one */
    uint32_t throttle;         /* EITR */
    sim_time next_allowed;
    struct sim_event event;
};

struct nic_queue {
    struct nic *nic;
    struct nic_function *function; /* whose it is now */
    uint32_t index;                /* physical numbering */
    struct nic_rx rx;
    struct nic_tx tx;
    struct nic_vector vector;
};

/* A received packet under way into memory. */
struct nic_rx_transfer {
    struct nic_queue *queue;
    struct frame *frame;
    struct nic_rx_transfer *next; /* the pool's */
    uint32_t generation, length_bytes, segments;
    union nic_rx_descriptor write_back[NIC_RX_SEGMENTS_MAX];
    struct dma_op data[NIC_RX_SEGMENTS_MAX], status[NIC_RX_SEGMENTS_MAX];
};

/* A packet under way out of memory; they leave in the order of scheduling. */
struct nic_tx_transfer {
    struct nic_queue *queue;
    struct frame *frame;
    uint32_t generation, length_bytes, slot_after, options; /* options: POPTS */
    bool done, bad, report;
    struct nic_tx_context context;
    uint32_t segments;
    struct dma_op data[NIC_TX_SEGMENTS_MAX];
};

/* Headers as far as filters and checksums want them, in host order. */
struct nic_headers {
    bool ipv4, ports; /* ports: not a fragment, and UDP or TCP */
    uint8_t protocol;
    uint32_t source, destination;
    uint16_t source_port, destination_port;
    uint32_t ip_offset, l4_offset, end; /* within the frame */
};

struct nic_flow {
    uint32_t generation, source, destination, ports, scope;
    int32_t slot;
};

/* A frame between the transmit buffer and the last bit's leaving. */
struct nic_departure {
    sim_time when;
    uint32_t bytes;
};

struct nic_components {
    ledger_component nic, rx, rx_queue, tx, tx_queue, tx_limit, wire, ready, doorbell, cpu;
};

struct nic {
    struct device *device;
    const struct nic_config *config;
    struct pcie_link *link;
    struct port port;
    struct nic_components components;
    uint32_t function_count, queue_count;
    struct nic_function *functions;
    struct nic_queue *queues;

    /* receive */
    uint64_t rx_buffered_bytes;
    struct nic_rx_transfer *rx_pool;
    struct nic_rx_transfer **rx_blocks;
    size_t rx_block_count;

    /* transmit */
    uint64_t tx_buffered_bytes;
    struct nic_tx_transfer *transfers; /* ring of config->reads_outstanding */
    uint32_t transfer_first, transfer_count;
    struct nic_departure *departures; /* ring */
    uint32_t departure_first, departure_count, departure_capacity;
    struct nic_queue *active_first, *active_last;
    struct sim_event room_event;
    struct nic_tx_descriptor done_descriptors[NIC_FETCH_MAX]; /* what a write-back writes */

    /* filters */
    struct nic_filter_slot *receive_filters;
    uint64_t *filter_order; /* those in use: priority above slot, ascending */
    uint32_t filter_order_count;
    uint32_t flow_generation;
    struct nic_flow flows[NIC_FLOWS];
    uint64_t *mac_keys; /* hash table; 0: free */
    uint32_t *mac_functions, mac_capacity;
    bool default_to_physical;
    struct nic_queue *physical_default; /* the physical function's lowest queue that receives */
    uint32_t rss_queues, rss_hash[12][256];
    struct nic_queue *rss_table[NIC_RSS_TABLE];

    uint32_t rate_select; /* RTTDQSEL */
};

static inline struct nic *nic_of(const struct device *device) {
    return device->state;
}

/* ---- nic_ring.c ---- */
/* Enables with the registers as they are; false if they describe no ring. */
bool nic_ring_enable(struct nic_ring *ring);
static inline uint32_t nic_ring_after(const struct nic_ring *ring, uint32_t slot, uint32_t count) {
    const uint32_t sum = slot + count;
    return sum >= ring->length ? sum - ring->length : sum;
}
/* Descriptors in memory that the card may read. */
static inline uint32_t nic_ring_unread(const struct nic_ring *ring) {
    return ring->tail >= ring->fetched ? ring->tail - ring->fetched : ring->tail + ring->length - ring->fetched;
}
/* How many descriptors one read may bring: up to `most`, not across the ring's end. */
uint32_t nic_ring_fetchable(const struct nic_ring *ring, uint32_t most);
/* Reads so many into `into`. */
void nic_ring_fetch(struct nic_queue *queue, struct nic_ring *ring, uint32_t count, void *into, struct request *request,
                    ledger_component owner, void (*done)(struct dma_op *op));
/* The fetch has come back: true if its descriptors are to be used; else they were
 * lost to a fault, or belong to a ring that is gone. Advances `fetched`. */
bool nic_ring_fetched(struct nic_ring *ring, bool *stale);

/* ---- nic_rx.c ---- */
void nic_rx_receive(struct port *port, struct frame *frame);
bool nic_rx_enable(struct nic_queue *queue);
void nic_rx_tail(struct nic_queue *queue);
void nic_rx_reset(struct nic_queue *queue);
void nic_rx_free(struct nic *nic);

/* ---- nic_tx_ring.c ---- */
void nic_tx_tail(struct nic_queue *queue, struct request *request);
void nic_tx_fetch(struct nic_queue *queue);
bool nic_tx_enable(struct nic_queue *queue);
void nic_tx_reset(struct nic_queue *queue);
/* Gives up a request that `owner` below "nic" has. */
void nic_abandon(struct request *request, const char *reason);

/* ---- nic_tx.c ---- */
/* Lets the scheduler see a queue that has packets, now or when its limiter allows. */
void nic_tx_activate(struct nic_queue *queue);
void nic_tx_deactivate(struct nic_queue *queue);
/* Starts what may start. */
void nic_tx_pump(struct nic *nic);
void nic_tx_limit_expired(void *context);
void nic_tx_room(void *context);

/* ---- nic_tx_send.c ---- */
void nic_tx_finish(struct nic *nic, struct nic_tx_transfer *transfer);

/* ---- nic_filter.c, nic_match.c ---- */
void nic_headers_parse(const uint8_t *bytes, uint32_t length_bytes, struct nic_headers *headers);
/* The queue that a received frame goes to, NULL for none, and its RSS hash. */
struct nic_queue *nic_filter_receive(struct nic *nic, const uint8_t *bytes, const struct nic_headers *headers);
bool nic_filter_transmit_allowed(const struct nic_function *function, const uint8_t *bytes,
                                 const struct nic_headers *headers);
bool nic_filter_matches(const struct nic_filter *filter, const struct nic_headers *headers, bool receive);
void nic_filter_changed(struct nic *nic);
void nic_mac_changed(struct nic *nic);
void nic_rss_init(struct nic *nic);
uint32_t nic_rss_hash(const struct nic *nic, const struct nic_headers *headers);
/* The physical function's queues have changed. */
void nic_physical_queues_changed(struct nic *nic);

/* ---- nic_checksum.c ---- */
/* Extended status and errors of a received frame. */
uint32_t nic_checksum_status(const uint8_t *bytes, const struct nic_headers *headers);
/* Inserts what POPTS asks for. False: the context does not describe the frame. */
bool nic_checksum_insert(uint8_t *bytes, uint32_t length_bytes, const struct nic_tx_context *context, uint32_t options);

/* ---- nic_interrupt.c ---- */
void nic_interrupt_init(struct nic_queue *queue);
void nic_interrupt_received(struct nic_queue *queue);
void nic_interrupt_transmitted(struct nic_queue *queue); /* descriptors were written back */
void nic_interrupt_enable(struct nic_queue *queue, bool enabled);
void nic_interrupt_reset(struct nic_queue *queue);

/* ---- nic_registers.c ---- */
uint64_t nic_mmio_read(struct device *device, struct pcie_function *function, unsigned bar, uint64_t offset,
                       uint32_t size_bytes);
void nic_mmio_write(struct device *device, struct pcie_function *function, unsigned bar, uint64_t offset,
                    uint32_t size_bytes, uint64_t value, struct request *request);

/* ---- nic_control.c ---- */
/* A function's queue pair by the number that the function knows, or NULL. */
struct nic_queue *nic_queue_of(struct nic_function *function, uint32_t number);
/* The number by which a queue's function knows it. */
uint32_t nic_queue_number(const struct nic_queue *queue);
void nic_queue_reset(struct nic_queue *queue);

#endif
