/* Transmit: which queue's packet is next, and its data's way out of memory.
 *
 * Queues that have a whole packet and whose limiter allows it stand in one line, so
 * that a card with many idle queues is as fast as one with few. Packets leave in the
 * order in which they were scheduled. */
#include "hw/nic/nic_internal.h"
#include "sim/error.h"

/* ---- the line of queues ---- */

static void line_up(struct nic *nic, struct nic_queue *queue, bool in_front) {
    queue->tx.active = true;
    queue->tx.next_active = NULL;
    if (nic->active_first == NULL) {
        nic->active_first = queue;
        nic->active_last = queue;
    } else if (in_front) {
        queue->tx.next_active = nic->active_first;
        nic->active_first = queue;
    } else {
        nic->active_last->tx.next_active = queue;
        nic->active_last = queue;
    }
}

static struct nic_queue *step_out(struct nic *nic) {
    struct nic_queue *queue = nic->active_first;
    nic->active_first = queue->tx.next_active;
    queue->tx.active = false;
    return queue;
}

static struct nic_tx_entry *head_entry(struct nic_tx *tx) {
    uint32_t place = tx->stock_first;
    while (!tx->stock[place].first) { /* context descriptors go before */
        place = (place + 1) % NIC_TX_STOCK;
    }
    return &tx->stock[place];
}

static void make_eligible(struct nic_queue *queue, bool in_front) {
    struct nic_tx *tx = &queue->tx;
    const struct nic_components *components = &queue->nic->components;
    if (tx->packets == 0 || tx->active || sim_event_pending(&tx->limit_event)) {
        return;
    }
    if (tx->rate_factor != 0 && tx->next_allowed > sim_now()) {
        ledger_hand_over(head_entry(tx)->request, components->tx_queue, components->tx_limit, LEDGER_WAITING);
        sim_schedule_at(&tx->limit_event, tx->next_allowed);
    } else {
        line_up(queue->nic, queue, in_front);
    }
}

void nic_tx_activate(struct nic_queue *queue) {
    make_eligible(queue, false);
}

void nic_tx_limit_expired(void *context) {
    struct nic_queue *queue = context;
    const struct nic_components *components = &queue->nic->components;
    ledger_hand_over(head_entry(&queue->tx)->request, components->tx_limit, components->tx_queue, LEDGER_WAITING);
    line_up(queue->nic, queue, false);
    nic_tx_pump(queue->nic);
}

void nic_tx_deactivate(struct nic_queue *queue) {
    struct nic *nic = queue->nic;
    (void)sim_cancel(&queue->tx.limit_event);
    if (!queue->tx.active) {
        return;
    }
    struct nic_queue *before = NULL;
    for (struct nic_queue *each = nic->active_first; each != queue; each = each->tx.next_active) {
        before = each;
    }
    *(before != NULL ? &before->tx.next_active : &nic->active_first) = queue->tx.next_active;
    nic->active_last = nic->active_last == queue ? before : nic->active_last;
    queue->tx.active = false;
}

/* ---- rate limiter ---- */

/* RTTBCNRC: after a packet the queue is silent until `factor` times the packet's time
 * on the wire has passed, so that it gets line rate / factor (7.7.2.3). */
static void limit(struct nic_queue *queue, uint32_t length_bytes) {
    struct nic_tx *tx = &queue->tx;
    const struct link *link = queue->nic->port.link;
    if (tx->rate_factor == 0 || link == NULL) {
        return;
    }
    const sim_time wire_time = link_frame_time(link, length_bytes < FRAME_BYTES_MIN ? FRAME_BYTES_MIN : length_bytes);
    const sim_time whole = wire_time >> NIC_RATE_FRACTION_BITS;
    const sim_time part = wire_time & ((UINT64_C(1) << NIC_RATE_FRACTION_BITS) - 1);
    const sim_time span = whole * tx->rate_factor + ((part * tx->rate_factor) >> NIC_RATE_FRACTION_BITS);
    const sim_time now = sim_now();
    tx->next_allowed = (tx->next_allowed > now ? tx->next_allowed : now) + span;
}

/* ---- room in the transmit buffer ---- */

static bool has_room(struct nic *nic, uint32_t length_bytes) {
    const sim_time now = sim_now();
    while (nic->departure_count > 0 && nic->departures[nic->departure_first].when <= now) {
        nic->tx_buffered_bytes -= nic->departures[nic->departure_first].bytes;
        nic->departure_first = (nic->departure_first + 1) % nic->departure_capacity;
        nic->departure_count--;
    }
    if (nic->tx_buffered_bytes + length_bytes <= nic->config->transmit_buffer_bytes) {
        return true;
    }
    if (nic->departure_count > 0 && !sim_event_pending(&nic->room_event)) {
        sim_schedule_at(&nic->room_event, nic->departures[nic->departure_first].when);
    }
    return false; /* or when data under way has become a frame */
}

void nic_tx_room(void *context) {
    nic_tx_pump(context);
}

/* ---- one packet ---- */

static uint32_t packet_length(struct nic_tx *tx) {
    uint64_t length_bytes = 0;
    const struct nic_tx_entry *entry = head_entry(tx);
    for (uint32_t place = (uint32_t)(entry - tx->stock);; place = (place + 1) % NIC_TX_STOCK) {
        length_bytes += tx->stock[place].descriptor.command & NIC_TX_LENGTH_MASK;
        if (tx->stock[place].last) {
            return length_bytes > FRAME_BYTES_MAX ? FRAME_BYTES_MAX : (uint32_t)length_bytes;
        }
    }
}

static void set_context(struct nic_tx_context *context, const struct nic_tx_descriptor *descriptor) {
    context->set = true;
    context->ip_bytes = (uint32_t)(descriptor->address & NIC_TX_IPLEN_MASK);
    context->ip_offset = (uint32_t)(descriptor->address >> NIC_TX_MACLEN_SHIFT & NIC_TX_MACLEN_MASK);
    context->tcp = (descriptor->command & NIC_TX_TUCMD_TCP) != 0;
}

static void add_segment(struct nic_tx_transfer *transfer, const struct nic_tx_descriptor *descriptor) {
    struct frame *frame = transfer->frame;
    const uint32_t bytes = descriptor->command & NIC_TX_LENGTH_MASK;
    if (bytes == 0 || frame->length_bytes + bytes > FRAME_BYTES_MAX) {
        transfer->bad = true;
        return;
    }
    struct dma_op *op = &transfer->data[transfer->segments++];
    op->function = &transfer->queue->function->pcie;
    op->next = NULL;
    op->address = descriptor->address;
    op->length_bytes = bytes;
    op->write = false;
    op->data = frame->bytes + frame->length_bytes;
    op->request = NULL;
    op->done = NULL;
    if (transfer->segments > 1) {
        transfer->data[transfer->segments - 2].next = op;
    }
    frame->length_bytes += bytes;
}

/* Takes a whole packet out of the queue's stock. */
static void gather(struct nic_tx_transfer *transfer) {
    struct nic_tx *tx = &transfer->queue->tx;
    bool last = false;
    while (!last) {
        struct nic_tx_entry *entry = &tx->stock[tx->stock_first];
        const bool before_packet = !entry->first && transfer->segments == 0 && !transfer->bad;
        tx->stock_first = (tx->stock_first + 1) % NIC_TX_STOCK;
        tx->stock_count--;
        transfer->slot_after = nic_ring_after(&tx->ring, entry->slot, 1);
        if (before_packet) {
            set_context(&tx->context, &entry->descriptor);
            continue;
        }
        if (entry->first) { /* POPTS stands in a packet's first descriptor */
            transfer->options = entry->descriptor.status_length & (NIC_TX_POPTS_IXSM | NIC_TX_POPTS_TXSM);
            transfer->frame->request = entry->request;
            entry->request = NULL;
        }
        transfer->report = transfer->report || (entry->descriptor.command & NIC_TX_RS) != 0;
        transfer->bad = transfer->bad || entry->bad;
        if (!transfer->bad) {
            add_segment(transfer, &entry->descriptor);
        }
        last = entry->last;
    }
    tx->packets--;
    transfer->context = tx->context;
}

static void data_arrived(struct dma_op *op) {
    struct nic_tx_transfer *transfer = op->context;
    transfer->done = true;
    nic_tx_pump(transfer->queue->nic);
}

static void start(struct nic *nic, struct nic_queue *queue) {
    enum { HEADER_BYTES = 14 };
    const uint32_t reads = (uint32_t)nic->config->reads_outstanding;
    struct nic_tx_transfer *transfer = &nic->transfers[(nic->transfer_first + nic->transfer_count++) % reads];
    transfer->queue = queue;
    transfer->frame = frame_allocate();
    transfer->generation = queue->tx.ring.generation;
    transfer->done = false;
    transfer->bad = false;
    transfer->report = false;
    transfer->options = 0;
    transfer->segments = 0;
    gather(transfer);
    struct frame *frame = transfer->frame;
    transfer->bad = transfer->bad || frame->length_bytes < HEADER_BYTES;
    transfer->length_bytes = frame->length_bytes;
    nic->tx_buffered_bytes += transfer->length_bytes;
    queue->tx.under_way++;
    ledger_hand_over(frame->request, nic->components.tx_queue, nic->components.tx, LEDGER_SERVICE);
    if (transfer->bad) {
        transfer->done = true; /* it takes its turn in the order, but touches nothing */
        return;
    }
    limit(queue, transfer->length_bytes);
    transfer->data[0].request = frame->request;
    transfer->data[0].owner = nic->components.tx;
    transfer->data[transfer->segments - 1].done = data_arrived;
    transfer->data[transfer->segments - 1].context = transfer;
    dma_submit(&transfer->data[0]);
}

/* ---- the scheduler ---- */

/* Deficit round robin (Shreedhar and Varghese, 1996): true if it is the queue's turn
 * to send `length_bytes`. */
static bool may_send(const struct nic *nic, struct nic_tx *tx, uint32_t length_bytes) {
    if (nic->config->scheduler == NIC_ROUND_ROBIN) {
        return true;
    }
    if (tx->deficit_bytes < length_bytes) {
        tx->deficit_bytes += tx->quantum_bytes;
        return false;
    }
    tx->deficit_bytes -= length_bytes;
    return true;
}

static bool schedule_one(struct nic *nic) {
    if (nic->active_first == NULL || nic->transfer_count == nic->config->reads_outstanding) {
        return false;
    }
    const uint32_t length_bytes = packet_length(&nic->active_first->tx);
    if (!has_room(nic, length_bytes)) {
        return false;
    }
    struct nic_queue *queue = step_out(nic);
    struct nic_tx *tx = &queue->tx;
    if (!may_send(nic, tx, length_bytes)) {
        line_up(nic, queue, false);
        return true;
    }
    start(nic, queue);
    if (tx->packets == 0) {
        tx->deficit_bytes = 0; /* who has nothing to send saves up nothing */
    }
    const bool goes_on = nic->config->scheduler == NIC_WEIGHTED && tx->packets > 0;
    make_eligible(queue, goes_on && tx->deficit_bytes >= packet_length(tx));
    nic_tx_fetch(queue);
    return true;
}

void nic_tx_pump(struct nic *nic) {
    const uint32_t reads = (uint32_t)nic->config->reads_outstanding;
    do {
        while (nic->transfer_count > 0 && nic->transfers[nic->transfer_first].done) {
            struct nic_tx_transfer *transfer = &nic->transfers[nic->transfer_first];
            nic->transfer_first = (nic->transfer_first + 1) % reads;
            nic->transfer_count--;
            nic_tx_finish(nic, transfer);
        }
    } while (schedule_one(nic));
}
