/* Transmit: a packet on the card goes onto the wire, and its descriptors back. */
#include <string.h>

#include "hw/nic/nic_internal.h"
#include "sim/error.h"

/* ---- write-back ---- */

static void write_back(struct nic_queue *queue);

static void written_back(struct dma_op *op) {
    struct nic_queue *queue = op->context;
    struct nic_tx *tx = &queue->tx;
    tx->writing_back = false;
    if (tx->ring.enabled) {
        nic_interrupt_transmitted(queue);
        write_back(queue);
    }
}

/* Descriptors are written back once enough of them asked for it, or when the queue
 * has nothing else to do: a driver never waits for packets that do not come. All up
 * to the last one with RS are done, so all of them say so. */
static void write_back(struct nic_queue *queue) {
    struct nic_tx *tx = &queue->tx;
    const bool idle = tx->under_way == 0 && tx->packets == 0;
    if (tx->writing_back || tx->reports == 0 || (tx->reports < queue->nic->config->write_back_batch && !idle)) {
        return;
    }
    const uint32_t end = tx->reported > tx->written_back ? tx->reported : tx->ring.length;
    uint32_t count = end - tx->written_back;
    count = count < NIC_FETCH_MAX ? count : NIC_FETCH_MAX;
    struct dma_op *op = &tx->write_back;
    op->function = &queue->function->pcie;
    op->next = NULL;
    op->address = tx->ring.base + (uint64_t)tx->written_back * NIC_DESCRIPTOR_BYTES;
    op->length_bytes = count * NIC_DESCRIPTOR_BYTES;
    op->write = true;
    op->data = queue->nic->done_descriptors;
    op->request = NULL;
    op->done = written_back;
    op->context = queue;
    tx->writing_back = true;
    tx->written_back = nic_ring_after(&tx->ring, tx->written_back, count);
    if (tx->written_back == tx->reported) {
        tx->reports = 0;
    }
    dma_submit(op);
}

/* ---- the wire ---- */

static void drop(struct frame *frame, const char *reason) {
    nic_abandon(frame->request, reason);
    frame_release(frame);
}

static const char *refusal(struct nic_tx_transfer *transfer) {
    struct nic_queue *queue = transfer->queue;
    struct nic_counters *counters = &queue->function->counters;
    struct frame *frame = transfer->frame;
    struct nic_headers headers;
    if (transfer->bad) {
        counters->bad_descriptors++;
        return "bad transmit descriptor";
    }
    for (uint32_t i = 0; i < transfer->segments; i++) {
        if (transfer->data[i].status == DMA_FAULT) {
            counters->tx_fault_drops++;
            return "transmit DMA fault";
        }
    }
    if (queue->function->number != 0) {
        nic_headers_parse(frame->bytes, frame->length_bytes, &headers);
        if (!nic_filter_transmit_allowed(queue->function, frame->bytes, &headers)) {
            counters->transmit_filter_drops++;
            return "transmit filter";
        }
    }
    if (!nic_checksum_insert(frame->bytes, frame->length_bytes, &transfer->context, transfer->options)) {
        counters->bad_descriptors++;
        return "bad checksum offload";
    }
    if (queue->nic->port.link == NULL) {
        counters->tx_no_link_drops++;
        return "no link";
    }
    return NULL;
}

static void send_frame(struct nic *nic, struct nic_tx_transfer *transfer) {
    struct nic_counters *counters = &transfer->queue->function->counters;
    counters->tx_packets++;
    counters->tx_bytes += transfer->length_bytes;
    const sim_time leaves =
        link_send(&nic->port, transfer->frame, nic->components.tx, sim_now() + nic->config->tx_pipeline);
    SIM_ASSERT(nic->departure_count < nic->departure_capacity);
    nic->departures[(nic->departure_first + nic->departure_count++) % nic->departure_capacity] =
        (struct nic_departure){leaves, transfer->length_bytes};
}

void nic_tx_finish(struct nic *nic, struct nic_tx_transfer *transfer) {
    struct nic_queue *queue = transfer->queue;
    struct nic_tx *tx = &queue->tx;
    if (transfer->generation != tx->ring.generation) {
        nic->tx_buffered_bytes -= transfer->length_bytes;
        drop(transfer->frame, "queue reset");
        return;
    }
    const char *reason = refusal(transfer);
    if (reason == NULL) {
        send_frame(nic, transfer);
    } else {
        nic->tx_buffered_bytes -= transfer->length_bytes;
        drop(transfer->frame, reason);
    }
    tx->under_way--;
    tx->ring.head = transfer->slot_after;
    if (transfer->report) {
        tx->reports++;
        tx->reported = transfer->slot_after;
    }
    write_back(queue);
}
