/* Receive: from the wire into memory.
 *
 * A packet takes a descriptor that the card already holds; the stock is refilled
 * when half of it is used, so that normally no packet waits for a fetch. Packet and
 * write-back are one DMA chain: software never sees the one without the other. */
#include <stdlib.h>
#include <string.h>

#include "hw/nic/nic_internal.h"
#include "sim/error.h"

enum { TRANSFERS_A_BLOCK = 64 };

static void drop(struct frame *frame, const char *reason) {
    ledger_abandon(frame->request, reason, sim_now());
    frame_release(frame);
}

/* ---- transfers ---- */

static struct nic_rx_transfer *transfer_take(struct nic *nic) {
    if (nic->rx_pool == NULL) {
        struct nic_rx_transfer *block = calloc(TRANSFERS_A_BLOCK, sizeof *block);
        nic->rx_blocks = realloc(nic->rx_blocks, (nic->rx_block_count + 1) * sizeof(struct nic_rx_transfer *));
        SIM_ASSERT_MSG(block != NULL && nic->rx_blocks != NULL, "out of memory");
        nic->rx_blocks[nic->rx_block_count++] = block;
        for (size_t i = 0; i < TRANSFERS_A_BLOCK; i++) {
            block[i].next = nic->rx_pool;
            nic->rx_pool = &block[i];
        }
    }
    struct nic_rx_transfer *transfer = nic->rx_pool;
    nic->rx_pool = transfer->next;
    return transfer;
}

void nic_rx_free(struct nic *nic) {
    for (size_t i = 0; i < nic->rx_block_count; i++) {
        free(nic->rx_blocks[i]);
    }
    free(nic->rx_blocks);
}

static uint32_t descriptors_for(const struct nic_rx *rx, uint32_t length_bytes) {
    return (length_bytes + rx->buffer_bytes - 1) / rx->buffer_bytes;
}

/* ---- the stock of descriptors ---- */

static void fetched(struct dma_op *op);

static void fetch_if_low(struct nic_queue *queue) {
    struct nic_rx *rx = &queue->rx;
    const uint32_t most = (uint32_t)queue->nic->config->rx_prefetch;
    const bool low = rx->stock_count <= most / 2 || rx->waiting != NULL;
    if (rx->ring.enabled && !rx->ring.fetching && low && nic_ring_unread(&rx->ring) > 0) {
        nic_ring_fetch(queue, &rx->ring, nic_ring_fetchable(&rx->ring, most), rx->fetched, NULL, 0, fetched);
    }
}

/* Whether a packet that finds too few descriptors on chip may wait for more. A
 * virtual function that posts none must not fill the buffer that all share. */
static bool may_wait(const struct nic_queue *queue) {
    const struct nic_rx *rx = &queue->rx;
    const bool drops = queue->function->number != 0 || (rx->control & NIC_SRRCTL_DROP_ENABLE) != 0;
    return rx->ring.fetching || nic_ring_unread(&rx->ring) > 0 || !drops;
}

static struct nic_rx_entry take_descriptor(struct nic_rx *rx) {
    const struct nic_rx_entry entry = rx->stock[rx->stock_first];
    rx->stock_first = (rx->stock_first + 1) % NIC_RX_STOCK;
    rx->stock_count--;
    rx->ring.head = nic_ring_after(&rx->ring, entry.slot, 1);
    return entry;
}

/* ---- a packet into memory ---- */

static void give_up(struct nic_rx_transfer *transfer, const char *reason) {
    drop(transfer->frame, reason);
    transfer->frame = NULL;
}

static void delivered(struct nic_rx_transfer *transfer) {
    struct nic_queue *queue = transfer->queue;
    struct nic *nic = queue->nic;
    struct frame *frame = transfer->frame;
    struct nic_counters *counters = &queue->function->counters;
    counters->rx_packets++;
    counters->rx_bytes += transfer->length_bytes;
    memory_board(nic->device->machine->memory, transfer->data[0].segment_physical[0], frame->request);
    ledger_hand_over(frame->request, nic->components.rx, nic->components.ready, LEDGER_WAITING);
    frame_release(frame);
    nic_interrupt_received(queue);
}

static void transfer_done(struct dma_op *op) {
    struct nic_rx_transfer *transfer = op->context;
    struct nic_queue *queue = transfer->queue;
    struct nic *nic = queue->nic;
    nic->rx_buffered_bytes -= transfer->length_bytes;
    if (transfer->generation != queue->rx.ring.generation) {
        give_up(transfer, "queue reset");
    } else {
        queue->rx.buffered_bytes -= transfer->length_bytes;
        bool fault = false;
        for (uint32_t i = 0; i < transfer->segments; i++) {
            fault = fault || transfer->data[i].status == DMA_FAULT || transfer->status[i].status == DMA_FAULT;
        }
        if (fault) {
            queue->function->counters.rx_fault_drops++;
            give_up(transfer, "receive DMA fault");
        } else {
            delivered(transfer);
        }
    }
    transfer->next = nic->rx_pool;
    nic->rx_pool = transfer;
}

static void write_back_fields(const struct nic *nic, union nic_rx_descriptor *write_back, const uint8_t *bytes,
                              const struct nic_headers *headers) {
    uint32_t info = headers->ipv4 ? NIC_RX_TYPE_IPV4 : 0;
    uint32_t hash = 0;
    if (headers->ports) {
        info |= headers->protocol == 6 ? NIC_RX_TYPE_TCP : NIC_RX_TYPE_UDP;
    }
    if (nic->rss_queues > 1 && headers->ipv4) {
        hash = nic_rss_hash(nic, headers);
        info |= !headers->ports ? NIC_RX_RSS_IPV4 : headers->protocol == 6 ? NIC_RX_RSS_TCP_IPV4 : NIC_RX_RSS_UDP_IPV4;
    }
    write_back->write_back.packet_info = info;
    write_back->write_back.rss_hash = hash;
    write_back->write_back.status_error = NIC_RX_DD | NIC_RX_EOP | nic_checksum_status(bytes, headers);
    write_back->write_back.vlan = 0;
}

static void prepare(struct dma_op *op, const struct nic_queue *queue, uint64_t address, uint32_t length_bytes,
                    void *data) {
    op->function = &queue->function->pcie;
    op->next = NULL;
    op->address = address;
    op->length_bytes = length_bytes;
    op->write = true;
    op->data = data;
    op->request = NULL;
    op->done = NULL;
}

/* The queue holds enough descriptors. All data first, then all write-backs. */
static void start(struct nic_queue *queue, struct frame *frame, const struct nic_headers *headers) {
    struct nic *nic = queue->nic;
    struct nic_rx *rx = &queue->rx;
    struct nic_rx_transfer *transfer = transfer_take(nic);
    const uint32_t segments = descriptors_for(rx, frame->length_bytes);
    transfer->queue = queue;
    transfer->frame = frame;
    transfer->generation = rx->ring.generation;
    transfer->length_bytes = frame->length_bytes;
    transfer->segments = segments;
    uint32_t offset = 0;
    for (uint32_t i = 0; i < segments; i++) {
        const uint32_t left = frame->length_bytes - offset;
        const uint32_t bytes = left < rx->buffer_bytes ? left : rx->buffer_bytes;
        const struct nic_rx_entry entry = take_descriptor(rx);
        const uint64_t slot_address = rx->ring.base + (uint64_t)entry.slot * NIC_DESCRIPTOR_BYTES;
        union nic_rx_descriptor *write_back = &transfer->write_back[i];
        memset(write_back, 0, sizeof *write_back);
        write_back->write_back.status_error = NIC_RX_DD;
        if (i + 1 == segments) {
            write_back_fields(nic, write_back, frame->bytes, headers);
        }
        write_back->write_back.length_bytes = (uint16_t)bytes;
        prepare(&transfer->data[i], queue, entry.descriptor.read.packet_address, bytes, frame->bytes + offset);
        prepare(&transfer->status[i], queue, slot_address, NIC_DESCRIPTOR_BYTES, write_back);
        transfer->data[i].next = i + 1 < segments ? &transfer->data[i + 1] : &transfer->status[0];
        transfer->status[i].next = i + 1 < segments ? &transfer->status[i + 1] : NULL;
        offset += bytes;
    }
    transfer->data[0].request = frame->request;
    transfer->data[0].owner = nic->components.rx;
    transfer->status[segments - 1].done = transfer_done;
    transfer->status[segments - 1].context = transfer;
    dma_submit(&transfer->data[0]);
    fetch_if_low(queue);
}

/* ---- waiting for a descriptor ---- */

static void lose_waiting(struct nic_queue *queue, const char *reason) {
    struct nic_rx *rx = &queue->rx;
    while (rx->waiting != NULL) {
        struct frame *frame = rx->waiting;
        rx->waiting = frame->next;
        queue->nic->rx_buffered_bytes -= frame->length_bytes;
        rx->buffered_bytes -= frame->length_bytes;
        queue->function->counters.rx_no_descriptor_drops++;
        drop(frame, reason);
    }
    rx->waiting_end = &rx->waiting;
}

static void start_waiting(struct nic_queue *queue) {
    struct nic_rx *rx = &queue->rx;
    const struct nic_components *components = &queue->nic->components;
    while (rx->waiting != NULL && rx->stock_count >= descriptors_for(rx, rx->waiting->length_bytes)) {
        struct frame *frame = rx->waiting;
        struct nic_headers headers;
        rx->waiting = frame->next;
        if (rx->waiting == NULL) {
            rx->waiting_end = &rx->waiting;
        }
        ledger_hand_over(frame->request, components->rx_queue, components->rx, LEDGER_SERVICE);
        nic_headers_parse(frame->bytes, frame->length_bytes, &headers);
        start(queue, frame, &headers);
    }
    if (rx->waiting != NULL && !may_wait(queue)) {
        lose_waiting(queue, "no receive descriptor");
    }
}

static void fetched(struct dma_op *op) {
    struct nic_queue *queue = op->context;
    struct nic_rx *rx = &queue->rx;
    bool stale = false;
    if (nic_ring_fetched(&rx->ring, &stale)) {
        for (uint32_t i = 0; i < rx->ring.fetch_count; i++) {
            rx->stock[(rx->stock_first + rx->stock_count++) % NIC_RX_STOCK] =
                (struct nic_rx_entry){rx->fetched[i], nic_ring_after(&rx->ring, rx->ring.fetch_slot, i)};
        }
    } else if (!stale && rx->stock_count == 0) { /* lost to a fault: their slots are passed over */
        rx->ring.head = rx->ring.fetched;
    }
    fetch_if_low(queue);
    start_waiting(queue);
}

bool nic_rx_enable(struct nic_queue *queue) {
    enum { BUFFER_UNITS_MASK = 0x1f, BUFFER_UNIT_BYTES = 1024, BUFFER_UNITS_DEFAULT = 2 }; /* 8.2.3.8.7 */
    struct nic_rx *rx = &queue->rx;
    const uint32_t units = rx->control & BUFFER_UNITS_MASK;
    rx->buffer_bytes = (units != 0 ? units : BUFFER_UNITS_DEFAULT) * BUFFER_UNIT_BYTES;
    return nic_ring_enable(&rx->ring);
}

void nic_rx_tail(struct nic_queue *queue) {
    fetch_if_low(queue);
}

/* ---- from the wire ---- */

static void admit(struct nic_queue *queue, struct frame *frame, const struct nic_headers *headers) {
    struct nic *nic = queue->nic;
    struct nic_rx *rx = &queue->rx;
    const uint32_t length_bytes = frame->length_bytes;
    if (!rx->ring.enabled) {
        queue->function->counters.rx_no_descriptor_drops++;
        drop(frame, "receive queue disabled");
        return;
    }
    if (nic->rx_buffered_bytes + length_bytes > nic->config->receive_buffer_bytes ||
        rx->buffered_bytes + length_bytes > nic->config->receive_queue_bytes) {
        queue->function->counters.rx_buffer_drops++;
        drop(frame, "receive buffer full");
        return;
    }
    const bool enough = rx->waiting == NULL && rx->stock_count >= descriptors_for(rx, length_bytes);
    if (!enough && !may_wait(queue)) {
        queue->function->counters.rx_no_descriptor_drops++;
        drop(frame, "no receive descriptor");
        return;
    }
    nic->rx_buffered_bytes += length_bytes;
    rx->buffered_bytes += length_bytes;
    if (enough) {
        start(queue, frame, headers);
        return;
    }
    ledger_hand_over(frame->request, nic->components.rx, nic->components.rx_queue, LEDGER_WAITING);
    frame->next = NULL;
    *rx->waiting_end = frame;
    rx->waiting_end = &frame->next;
    fetch_if_low(queue);
}

static void classify(void *context) {
    struct frame *frame = context;
    struct nic *nic = frame->carrier;
    struct nic_headers headers;
    nic_headers_parse(frame->bytes, frame->length_bytes, &headers);
    struct nic_queue *queue = nic_filter_receive(nic, frame->bytes, &headers);
    if (queue == NULL) {
        nic->functions[0].counters.rx_filter_drops++;
        drop(frame, "no receive filter");
        return;
    }
    admit(queue, frame, &headers);
}

void nic_rx_receive(struct port *port, struct frame *frame) {
    struct nic *nic = port->owner;
    ledger_hand_over(frame->request, nic->components.wire, nic->components.rx, LEDGER_SERVICE);
    frame->carrier = nic;
    sim_event_init(&frame->event, SIM_PRIORITY_HARDWARE, classify, frame);
    sim_schedule(&frame->event, nic->config->rx_pipeline);
}

void nic_rx_reset(struct nic_queue *queue) {
    struct nic_rx *rx = &queue->rx;
    lose_waiting(queue, "queue reset");
    rx->buffered_bytes = 0; /* what is under way is no longer this queue's */
    rx->ring.enabled = false;
    rx->ring.generation++;
    rx->stock_first = 0;
    rx->stock_count = 0;
}
