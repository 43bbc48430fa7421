/* Descriptor rings: what receive and transmit have in common. */
#include "hw/nic/nic_internal.h"
#include "sim/error.h"

enum { RING_ALIGNMENT_BYTES = 128 }; /* 8.2.3.8.1, 8.2.3.8.3 */

bool nic_ring_enable(struct nic_ring *ring) {
    const uint32_t length = ring->length_bytes / NIC_DESCRIPTOR_BYTES;
    if (ring->base % RING_ALIGNMENT_BYTES != 0 || ring->length_bytes % RING_ALIGNMENT_BYTES != 0 ||
        length < NIC_RING_MIN || length > NIC_RING_MAX) {
        return false;
    }
    ring->length = length;
    ring->head = 0;
    ring->fetched = 0;
    ring->tail = 0;
    ring->enabled = true;
    return true;
}

uint32_t nic_ring_fetchable(const struct nic_ring *ring, uint32_t most) {
    const uint32_t to_end = ring->length - ring->fetched;
    uint32_t count = nic_ring_unread(ring);
    count = count < to_end ? count : to_end;
    return count < most ? count : most;
}

void nic_ring_fetch(struct nic_queue *queue, struct nic_ring *ring, uint32_t count, void *into, struct request *request,
                    ledger_component owner, void (*done)(struct dma_op *op)) {
    SIM_ASSERT(count > 0 && !ring->fetching);
    ring->fetching = true;
    ring->fetch_slot = ring->fetched;
    ring->fetch_count = count;
    ring->fetch_generation = ring->generation;
    struct dma_op *op = &ring->fetch;
    op->function = &queue->function->pcie;
    op->next = NULL;
    op->address = ring->base + (uint64_t)ring->fetched * NIC_DESCRIPTOR_BYTES;
    op->length_bytes = count * NIC_DESCRIPTOR_BYTES;
    op->write = false;
    op->data = into;
    op->request = request;
    op->owner = owner;
    op->done = done;
    op->context = queue;
    dma_submit(op);
}

bool nic_ring_fetched(struct nic_ring *ring, bool *stale) {
    ring->fetching = false;
    *stale = ring->generation != ring->fetch_generation;
    if (*stale) {
        return false;
    }
    ring->fetched = nic_ring_after(ring, ring->fetch_slot, ring->fetch_count);
    return ring->fetch.status == DMA_DONE;
}
