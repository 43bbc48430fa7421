/* Transmit rings: doorbells, descriptor fetches, and which descriptors make a packet.
 *
 * A packet's request reaches the card in one of two ways: it rides on the doorbell
 * for the packet's last descriptor, or software has boarded it at the address of the
 * packet's first byte. */
#include <stdlib.h>

#include "hw/nic/nic_internal.h"
#include "sim/error.h"

void nic_abandon(struct request *request, const char *reason) {
    ledger_abandon(request, reason, sim_now());
}

bool nic_tx_enable(struct nic_queue *queue) {
    struct nic_tx *tx = &queue->tx;
    if (!nic_ring_enable(&tx->ring)) {
        return false;
    }
    free(tx->riders);
    tx->riders = calloc(tx->ring.length, sizeof *tx->riders);
    SIM_ASSERT_MSG(tx->riders != NULL, "out of memory");
    tx->written_back = 0;
    tx->reported = 0;
    tx->reports = 0;
    return true;
}

/* ---- doorbell ---- */

static void fetched(struct dma_op *op);

void nic_tx_fetch(struct nic_queue *queue) {
    struct nic_tx *tx = &queue->tx;
    struct nic_ring *ring = &tx->ring;
    const struct nic_components *components = &queue->nic->components;
    if (!ring->enabled || ring->fetching || tx->stock_count > NIC_TX_STOCK - NIC_FETCH_MAX ||
        nic_ring_unread(ring) == 0) {
        return;
    }
    const uint32_t count = nic_ring_fetchable(ring, (uint32_t)queue->nic->config->fetch_max);
    /* Of the requests that wait for this fetch, the one whose doorbell ends it tells
     * in its ledger what the fetch was like; the others wait for it. */
    struct request *request = tx->riders[ring->fetched + count - 1];
    ledger_hand_over(request, components->tx_queue, components->tx, LEDGER_SERVICE);
    nic_ring_fetch(queue, ring, count, tx->fetched, request, components->tx, fetched);
}

void nic_tx_tail(struct nic_queue *queue, struct request *request) {
    struct nic_tx *tx = &queue->tx;
    const struct nic_components *components = &queue->nic->components;
    if (request != NULL) {
        const uint32_t slot = (tx->ring.tail + tx->ring.length - 1) % tx->ring.length;
        ledger_hand_over(request, components->doorbell, components->tx_queue, LEDGER_WAITING);
        if (tx->riders[slot] != NULL) {
            nic_abandon(request, "doorbell rung twice");
        } else {
            tx->riders[slot] = request;
        }
    }
    nic_tx_fetch(queue);
}

/* ---- requests of packets ---- */

/* Takes the request aboard at a packet's first byte, if software has put one there
 * for the card: a request that memory still has for software is left. */
static struct request *passenger(struct nic_queue *queue, uint64_t address) {
    struct machine *machine = queue->nic->device->machine;
    const struct nic_components *components = &queue->nic->components;
    uint64_t physical = 0;
    if (!iommu_peek(machine->iommu, queue->function->pcie.requester_id, address, false, &physical)) {
        return NULL;
    }
    struct request *request = memory_alight(machine->memory, physical);
    if (request == NULL) {
        return NULL;
    }
    const bool software = ledger_component_within(request->owner, components->cpu);
    if (software || request->owner == components->doorbell) {
        if (software && ledger_allows(request->owner, components->doorbell)) {
            ledger_hand_over(request, request->owner, components->doorbell, LEDGER_WAITING);
        }
        ledger_hand_over(request, request->owner, components->tx_queue, LEDGER_WAITING);
    } else if (!ledger_component_within(request->owner, components->nic)) {
        memory_board(machine->memory, physical, request);
        return NULL;
    }
    return request;
}

/* The request that came with the doorbell for a slot. */
static struct request *rider(struct nic_queue *queue, uint32_t slot) {
    struct request *request = queue->tx.riders[slot];
    queue->tx.riders[slot] = NULL;
    if (request != NULL && request->owner == queue->nic->components.tx) { /* it came along with the fetch */
        ledger_hand_over(request, queue->nic->components.tx, queue->nic->components.tx_queue, LEDGER_WAITING);
    }
    return request;
}

/* ---- packets ---- */

static bool is_known(const struct nic_tx_descriptor *descriptor) {
    const uint32_t type = descriptor->command & NIC_TX_DTYP_MASK;
    return (descriptor->command & NIC_TX_DEXT) != 0 && (type == NIC_TX_DTYP_DATA || type == NIC_TX_DTYP_CONTEXT);
}

static bool is_context(const struct nic_tx_descriptor *descriptor) {
    return is_known(descriptor) && (descriptor->command & NIC_TX_DTYP_MASK) == NIC_TX_DTYP_CONTEXT;
}

/* Adds a descriptor to the stock. A packet ends at EOP, and, as a bad one, at what is
 * no descriptor of this card, or where it has too many. */
static void take_in(struct nic_queue *queue, const struct nic_tx_descriptor *descriptor, uint32_t slot) {
    struct nic_tx *tx = &queue->tx;
    const uint32_t place = (tx->stock_first + tx->stock_count++) % NIC_TX_STOCK;
    struct nic_tx_entry *entry = &tx->stock[place];
    *entry = (struct nic_tx_entry){.descriptor = *descriptor, .slot = slot};
    struct request *request = rider(queue, slot);
    if (tx->packet_segments == 0 && is_context(descriptor)) {
        nic_abandon(request, "doorbell for no packet");
        return;
    }
    if (tx->packet_segments++ == 0) {
        entry->first = true;
        tx->packet_first = place;
        entry->request = passenger(queue, descriptor->address);
    }
    struct nic_tx_entry *first = &tx->stock[tx->packet_first];
    if (first->request == NULL) {
        first->request = request;
    } else if (request != first->request) {
        nic_abandon(request, "two requests for a packet");
    }
    const bool wrong = !is_known(descriptor) || is_context(descriptor);
    const bool end = !wrong && (descriptor->command & NIC_TX_EOP) != 0;
    entry->bad = wrong || (!end && tx->packet_segments == NIC_TX_SEGMENTS_MAX);
    entry->last = end || entry->bad;
    if (entry->last) {
        tx->packet_segments = 0;
        tx->packets++;
    }
}

/* What a fault has lost: the packet that it cut in two, and the requests that came
 * with these descriptors. */
static void lose_fetched(struct nic_queue *queue) {
    struct nic_tx *tx = &queue->tx;
    for (uint32_t i = 0; i < tx->ring.fetch_count; i++) {
        nic_abandon(rider(queue, tx->ring.fetch_slot + i), "descriptor fetch fault");
    }
    queue->function->counters.tx_fault_drops++;
    if (tx->packet_segments > 0) {
        struct nic_tx_entry *end = &tx->stock[(tx->stock_first + tx->stock_count - 1) % NIC_TX_STOCK];
        end->last = true;
        end->bad = true;
        tx->packet_segments = 0;
        tx->packets++;
    }
}

static void fetched(struct dma_op *op) {
    struct nic_queue *queue = op->context;
    struct nic_tx *tx = &queue->tx;
    bool stale = false;
    if (nic_ring_fetched(&tx->ring, &stale)) {
        for (uint32_t i = 0; i < tx->ring.fetch_count; i++) {
            take_in(queue, &tx->fetched[i], tx->ring.fetch_slot + i);
        }
    } else if (!stale) {
        lose_fetched(queue);
    } else {
        nic_abandon(op->request, "queue reset");
    }
    nic_tx_fetch(queue);
    nic_tx_activate(queue);
    nic_tx_pump(queue->nic);
}

void nic_tx_reset(struct nic_queue *queue) {
    struct nic_tx *tx = &queue->tx;
    nic_tx_deactivate(queue);
    for (; tx->stock_count > 0; tx->stock_count--) {
        nic_abandon(tx->stock[tx->stock_first].request, "queue reset");
        tx->stock[tx->stock_first].request = NULL;
        tx->stock_first = (tx->stock_first + 1) % NIC_TX_STOCK;
    }
    for (uint32_t slot = 0; tx->ring.enabled && slot < tx->ring.length; slot++) {
        struct request *request = tx->riders[slot];
        tx->riders[slot] = NULL;
        if (request != NULL && !(tx->ring.fetching && tx->ring.fetch.request == request)) {
            nic_abandon(request, "queue reset"); /* one that DMA has is given up when it comes back */
        }
    }
    tx->stock_first = 0;
    tx->packets = 0;
    tx->packet_segments = 0;
    tx->under_way = 0;
    tx->reports = 0;
    tx->context.set = false;
    tx->next_allowed = 0;
    tx->ring.enabled = false;
    tx->ring.generation++;
}
