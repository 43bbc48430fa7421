/* lance_ring.c: frames out of the transmit ring and into the receive ring. */
#include <string.h>

#include "hw/ethernet/lance.h"
#include "hw/machine.h"

uint64_t lance_descriptor_address(const struct lance_ring *ring) {
    return ring->address + ring->next * sizeof(struct lance_descriptor);
}

void lance_dma(struct lance *lance, struct dma_op *op, uint64_t address, uint32_t length_bytes, bool write, void *data,
               void (*done)(struct dma_op *op)) {
    op->function = &lance->function;
    op->next = NULL;
    op->address = address;
    op->length_bytes = length_bytes;
    op->write = write;
    op->data = data;
    op->request = NULL;
    op->done = done;
    op->context = lance;
}

static uint64_t buffer_address(const struct lance_descriptor *descriptor) {
    return (uint64_t)(descriptor->flags & 0xff) << 16 | descriptor->address_low;
}

static uint32_t buffer_bytes(const struct lance_descriptor *descriptor) {
    return (0x1000u - (descriptor->buffer_bytes & 0xfff)) & 0xfff;
}

/* Gives the descriptor back to software; then `done`. */
static void give_back(struct lance *lance, struct lance_ring *ring, uint16_t errors, void (*done)(struct dma_op *op)) {
    ring->descriptor.flags = (uint16_t)((ring->descriptor.flags & ~LANCE_OWN) | errors);
    lance_dma(lance, &ring->status, lance_descriptor_address(ring), sizeof ring->descriptor, true, &ring->descriptor,
              done);
}

static void advance(struct lance_ring *ring) {
    ring->next = (ring->next + 1) % ring->entries;
    ring->busy = false;
}

static bool fault(struct lance *lance, const struct dma_op *op) {
    if (op->status == DMA_FAULT) {
        lance->counters.memory_errors++;
        lance_raise(lance, LANCE_MERR);
        return true;
    }
    return false;
}

/* ---- transmit ---- */

static void transmit_given_back(struct dma_op *op) {
    struct lance *lance = op->context;
    if (!fault(lance, op)) {
        lance_raise(lance, LANCE_TINT);
    }
    advance(&lance->transmit);
    lance_transmit_look(lance);
}

void lance_frame_left(void *context) {
    struct lance *lance = context;
    lance->counters.sent++;
    give_back(lance, &lance->transmit, 0, transmit_given_back);
    dma_submit(&lance->transmit.status);
}

/* Takes the request that software boarded at the frame's first byte. */
static struct request *passenger(struct lance *lance, uint64_t physical) {
    struct memory *memory = lance->device->machine->memory;
    struct request *request = memory_alight(memory, physical);
    if (request == NULL) {
        return NULL;
    }
    if (!ledger_component_within(request->owner, lance->cpu)) {
        memory_board(memory, physical, request); /* one on its way in, which software has not taken */
        return NULL;
    }
    ledger_hand_over(request, request->owner, lance->doorbell, LEDGER_WAITING);
    ledger_hand_over(request, lance->doorbell, lance->tx, LEDGER_SERVICE);
    return request;
}

static void transmit_fetched(struct dma_op *op) {
    struct lance *lance = op->context;
    struct lance_ring *ring = &lance->transmit;
    if (fault(lance, op)) {
        ring->busy = false;
        return;
    }
    struct frame *frame = frame_allocate();
    memcpy(frame->bytes, ring->bytes, ring->length_bytes);
    frame->length_bytes = ring->length_bytes < FRAME_BYTES_MIN ? (uint32_t)FRAME_BYTES_MIN : ring->length_bytes;
    memset(frame->bytes + ring->length_bytes, 0, frame->length_bytes - ring->length_bytes);
    frame->request = passenger(lance, ring->data.segment_physical[0]);
    sim_schedule_at(&lance->left, link_send(&lance->port, frame, lance->tx, sim_now()));
}

static void transmit_described(struct dma_op *op) {
    struct lance *lance = op->context;
    struct lance_ring *ring = &lance->transmit;
    const uint16_t whole = LANCE_STP | LANCE_ENP;
    const bool stopped = (lance->csr[0] & LANCE_TXON) == 0;
    if (fault(lance, op) || stopped || (ring->descriptor.flags & LANCE_OWN) == 0) {
        ring->busy = false;
        return;
    }
    ring->length_bytes = buffer_bytes(&ring->descriptor);
    if ((ring->descriptor.flags & whole) != whole || ring->length_bytes == 0 || ring->length_bytes > FRAME_BYTES_MAX) {
        lance->counters.refused++;
        give_back(lance, ring, LANCE_DESCRIPTOR_ERR, transmit_given_back);
        dma_submit(&ring->status);
        return;
    }
    lance_dma(lance, &ring->data, buffer_address(&ring->descriptor), ring->length_bytes, false, ring->bytes,
              transmit_fetched);
    dma_submit(&ring->data);
}

void lance_transmit_look(struct lance *lance) {
    struct lance_ring *ring = &lance->transmit;
    if ((lance->csr[0] & LANCE_TXON) != 0 && !ring->busy) {
        ring->busy = true;
        lance_dma(lance, &ring->status, lance_descriptor_address(ring), sizeof ring->descriptor, false,
                  &ring->descriptor, transmit_described);
        dma_submit(&ring->status);
    }
}

/* ---- receive ---- */

static void receive_begin(struct lance *lance, struct frame *frame);

static void miss(struct lance *lance, struct frame *frame) {
    lance->counters.missed++;
    ledger_abandon(frame->request, "no receive descriptor", sim_now());
    frame_release(frame);
    lance_raise(lance, LANCE_MISS);
}

/* The ring is free for the frame that waited longest. */
static void receive_next(struct lance *lance) {
    lance->receive.busy = false;
    if (lance->waiting_count > 0) {
        struct frame *frame = lance->waiting[0];
        lance->waiting_count--;
        memmove(&lance->waiting[0], &lance->waiting[1], lance->waiting_count * sizeof lance->waiting[0]);
        ledger_turn_at(frame->request, LEDGER_SERVICE, sim_now());
        receive_begin(lance, frame);
    }
}

static void receive_given_back(struct dma_op *op) {
    struct lance *lance = op->context;
    struct lance_ring *ring = &lance->receive;
    struct frame *frame = ring->frame;
    if (fault(lance, op) || ring->data.status == DMA_FAULT) {
        ledger_abandon(frame->request, "memory did not answer", sim_now());
    } else if ((ring->descriptor.flags & LANCE_DESCRIPTOR_ERR) != 0) {
        lance->counters.too_long++;
        ledger_abandon(frame->request, "the buffer is too short", sim_now());
    } else {
        lance->counters.received++;
        memory_board(lance->device->machine->memory, ring->data.segment_physical[0], frame->request);
        ledger_hand_over(frame->request, lance->rx, lance->ready, LEDGER_WAITING);
    }
    frame_release(frame);
    ring->frame = NULL;
    advance(ring);
    lance_raise(lance, LANCE_RINT);
    receive_next(lance);
}

static void receive_described(struct dma_op *op) {
    struct lance *lance = op->context;
    struct lance_ring *ring = &lance->receive;
    struct frame *frame = ring->frame;
    if (fault(lance, op) || (ring->descriptor.flags & LANCE_OWN) == 0) {
        ring->frame = NULL;
        miss(lance, frame);
        receive_next(lance);
        return;
    }
    const uint32_t length = frame->length_bytes + FRAME_FCS_BYTES, room = buffer_bytes(&ring->descriptor);
    ring->descriptor.message_bytes = (uint16_t)length;
    ring->descriptor.flags |= LANCE_STP | LANCE_ENP;
    const bool fits = length <= room;
    give_back(lance, ring, fits ? 0 : LANCE_DESCRIPTOR_ERR | LANCE_BUFFER_ERR, receive_given_back);
    if (!fits) {
        dma_submit(&ring->status);
        return;
    }
    memset(ring->bytes, 0, sizeof ring->bytes); /* the FCS itself is not modelled */
    memcpy(ring->bytes, frame->bytes, frame->length_bytes);
    lance_dma(lance, &ring->data, buffer_address(&ring->descriptor), length, true, ring->bytes, NULL);
    ring->data.next = &ring->status;
    ring->data.request = frame->request;
    ring->data.owner = lance->rx;
    dma_submit(&ring->data);
}

static void receive_begin(struct lance *lance, struct frame *frame) {
    struct lance_ring *ring = &lance->receive;
    ring->busy = true;
    ring->frame = frame;
    lance_dma(lance, &ring->status, lance_descriptor_address(ring), sizeof ring->descriptor, false, &ring->descriptor,
              receive_described);
    dma_submit(&ring->status);
}

static bool is_mine(const struct lance *lance, const struct frame *frame) {
    return (lance->init_block.mode & LANCE_PROM) != 0 || (frame->bytes[0] & 1) != 0 ||
           memcmp(frame->bytes, lance->init_block.physical_address, 6) == 0;
}

void lance_receive(struct port *port, struct frame *frame) {
    struct lance *lance = port->owner;
    if (frame->request != NULL) {
        ledger_hand_over(frame->request, lance->wire, lance->rx, LEDGER_SERVICE);
    }
    if ((lance->csr[0] & LANCE_RXON) == 0 || !is_mine(lance, frame)) {
        lance->counters.not_mine++;
        ledger_abandon(frame->request, "not for this station", sim_now());
        frame_release(frame);
    } else if (!lance->receive.busy) {
        receive_begin(lance, frame);
    } else if (lance->waiting_count < LANCE_QUEUE_MAX) {
        ledger_turn_at(frame->request, LEDGER_WAITING, sim_now());
        lance->waiting[lance->waiting_count++] = frame;
    } else {
        miss(lance, frame);
    }
}
