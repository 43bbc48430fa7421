/* Registers: a table of ranges, one handler each. A function reaches what its own
 * BAR shows: a virtual one its own queues. What is not there is counted, read as all
 * ones, and changes nothing. */
#include "hw/nic/nic_internal.h"

enum { PHYSICAL = 1, VIRTUAL = 2, BOTH = 3, VECTORS_A_WORD = 32, ACCESS_BYTES = 4 };
#define NOTHING UINT32_MAX

/* `index` counts the register (a queue, a word), `field` is the offset within it. Each
 * returns false for what is not there. */
typedef bool register_read(struct nic_function *function, uint32_t index, uint32_t field, uint32_t *value);
typedef bool register_write(struct nic_function *function, uint32_t index, uint32_t field, uint32_t value,
                            struct request **request);

/* ---- rings: what receive and transmit share ---- */

static bool ring_read(const struct nic_ring *ring, uint32_t field, uint32_t *value) {
    switch (field) {
    case NIC_QUEUE_BAL:
        *value = (uint32_t)ring->base;
        return true;
    case NIC_QUEUE_BAH:
        *value = (uint32_t)(ring->base >> 32);
        return true;
    case NIC_QUEUE_LEN:
        *value = ring->length_bytes;
        return true;
    case NIC_QUEUE_HEAD:
        *value = ring->head;
        return true;
    case NIC_QUEUE_TAIL:
        *value = ring->tail;
        return true;
    case NIC_QUEUE_CTL:
        *value = ring->enabled ? NIC_QUEUE_CTL_ENABLE : 0;
        return true;
    default:
        return false;
    }
}

/* Where a ring lies is set while it is off. */
static bool ring_write(struct nic_ring *ring, uint32_t field, uint32_t value) {
    if (ring->enabled) {
        return false;
    }
    switch (field) {
    case NIC_QUEUE_BAL:
        ring->base = (ring->base & ~(uint64_t)UINT32_MAX) | value;
        return true;
    case NIC_QUEUE_BAH:
        ring->base = (ring->base & UINT32_MAX) | (uint64_t)value << 32;
        return true;
    case NIC_QUEUE_LEN:
        ring->length_bytes = value;
        return true;
    case NIC_QUEUE_HEAD:
        return value == 0; /* enabling sets it */
    default:
        return false;
    }
}

/* A doorbell: true if it moves the tail of a ring that is on. */
static bool ring_doorbell(struct nic_function *function, struct nic_ring *ring, uint32_t value) {
    function->counters.doorbells++;
    if (!ring->enabled || value >= ring->length) {
        function->counters.bad_doorbells++;
        return false;
    }
    ring->tail = value;
    return true;
}

/* ---- receive queues ---- */

static bool rx_read(struct nic_function *function, uint32_t index, uint32_t field, uint32_t *value) {
    const struct nic_queue *queue = nic_queue_of(function, index);
    if (queue != NULL && field == NIC_RX_SRRCTL) {
        *value = queue->rx.control;
        return true;
    }
    return queue != NULL && ring_read(&queue->rx.ring, field, value);
}

static bool rx_switch(struct nic_queue *queue, bool on) {
    bool good = true;
    if (on && !queue->rx.ring.enabled) {
        good = nic_rx_enable(queue);
    } else if (!on && queue->rx.ring.enabled) {
        nic_rx_reset(queue);
    }
    nic_physical_queues_changed(queue->nic);
    return good;
}

static bool rx_write(struct nic_function *function, uint32_t index, uint32_t field, uint32_t value,
                     struct request **request) {
    struct nic_queue *queue = nic_queue_of(function, index);
    (void)request;
    if (queue == NULL) {
        return false;
    }
    if (field == NIC_QUEUE_TAIL) {
        if (ring_doorbell(function, &queue->rx.ring, value)) {
            nic_rx_tail(queue);
        }
        return true;
    }
    if (field == NIC_QUEUE_CTL) {
        return rx_switch(queue, (value & NIC_QUEUE_CTL_ENABLE) != 0);
    }
    if (field == NIC_RX_SRRCTL) { /* the buffers' size counts from the next enabling */
        queue->rx.control = value;
        return true;
    }
    return ring_write(&queue->rx.ring, field, value);
}

/* ---- transmit queues ---- */

static bool tx_read(struct nic_function *function, uint32_t index, uint32_t field, uint32_t *value) {
    const struct nic_queue *queue = nic_queue_of(function, index);
    return queue != NULL && ring_read(&queue->tx.ring, field, value);
}

static bool tx_switch(struct nic_queue *queue, bool on) {
    if (on && !queue->tx.ring.enabled) {
        return nic_tx_enable(queue);
    }
    if (!on && queue->tx.ring.enabled) {
        nic_tx_reset(queue);
    }
    return true;
}

static bool tx_write(struct nic_function *function, uint32_t index, uint32_t field, uint32_t value,
                     struct request **request) {
    struct nic_queue *queue = nic_queue_of(function, index);
    if (queue == NULL) {
        return false;
    }
    if (field == NIC_QUEUE_TAIL) {
        if (ring_doorbell(function, &queue->tx.ring, value)) {
            struct request *rider = *request;
            *request = NULL;
            nic_tx_tail(queue, rider);
        }
        return true;
    }
    if (field == NIC_QUEUE_CTL) {
        return tx_switch(queue, (value & NIC_QUEUE_CTL_ENABLE) != 0);
    }
    return ring_write(&queue->tx.ring, field, value);
}

/* ---- interrupts ---- */

static bool throttle_read(struct nic_function *function, uint32_t index, uint32_t field, uint32_t *value) {
    const struct nic_queue *queue = nic_queue_of(function, index);
    *value = queue != NULL ? queue->vector.throttle : 0;
    return queue != NULL && field == 0;
}

static bool throttle_write(struct nic_function *function, uint32_t index, uint32_t field, uint32_t value,
                           struct request **request) {
    struct nic_queue *queue = nic_queue_of(function, index);
    (void)request;
    if (queue == NULL || field != 0) {
        return false;
    }
    queue->vector.throttle = value & (NIC_EITR_INTERVAL_MASK << NIC_EITR_INTERVAL_SHIFT);
    return true;
}

static bool mask_read(struct nic_function *function, uint32_t index, uint32_t field, uint32_t *value) {
    (void)field;
    *value = 0;
    for (uint32_t bit = 0; bit < VECTORS_A_WORD; bit++) {
        const struct nic_queue *queue = nic_queue_of(function, index * VECTORS_A_WORD + bit);
        *value |= queue != NULL && queue->vector.enabled ? UINT32_C(1) << bit : 0;
    }
    return true;
}

static void for_bits(struct nic_function *function, uint32_t word, uint32_t value,
                     void (*act)(struct nic_queue *queue, bool on), bool on) {
    for (uint32_t bit = 0; value >> bit != 0; bit++) {
        struct nic_queue *queue = nic_queue_of(function, word * VECTORS_A_WORD + bit);
        if ((value >> bit & 1) != 0 && queue != NULL) {
            act(queue, on);
        }
        if (bit + 1 == VECTORS_A_WORD) {
            return;
        }
    }
}

static bool mask_set(struct nic_function *function, uint32_t index, uint32_t field, uint32_t value,
                     struct request **request) {
    (void)field;
    (void)request;
    for_bits(function, index, value, nic_interrupt_enable, true);
    return true;
}

static bool mask_clear(struct nic_function *function, uint32_t index, uint32_t field, uint32_t value,
                       struct request **request) {
    (void)field;
    (void)request;
    for_bits(function, index, value, nic_interrupt_enable, false);
    return true;
}

static void set_auto_mask(struct nic_queue *queue, bool on) {
    queue->vector.auto_mask = on;
}

static bool auto_mask_write(struct nic_function *function, uint32_t index, uint32_t field, uint32_t value,
                            struct request **request) {
    (void)field;
    (void)request;
    for_bits(function, index, ~value, set_auto_mask, false);
    for_bits(function, index, value, set_auto_mask, true);
    return true;
}

static bool causes_read(struct nic_function *function, uint32_t index, uint32_t field, uint32_t *value) {
    *value = 0;
    for (uint32_t number = 2 * index; number < 2 * index + 2; number++) {
        const struct nic_queue *queue = nic_queue_of(function, number);
        if (queue != NULL) {
            *value |= queue->vector.no_receive ? 0 : NIC_IVAR_RX_VALID(number);
            *value |= queue->vector.transmit ? NIC_IVAR_TX_VALID(number) : 0;
        }
    }
    return field == 0;
}

static bool causes_write(struct nic_function *function, uint32_t index, uint32_t field, uint32_t value,
                         struct request **request) {
    (void)request;
    for (uint32_t number = 2 * index; number < 2 * index + 2; number++) {
        struct nic_queue *queue = nic_queue_of(function, number);
        if (queue != NULL) {
            queue->vector.no_receive = (value & NIC_IVAR_RX_VALID(number)) == 0;
            queue->vector.transmit = (value & NIC_IVAR_TX_VALID(number)) != 0;
        }
    }
    return field == 0;
}

/* ---- rates and weights: by the queue that RTTDQSEL selects ---- */

static bool select_write(struct nic_function *function, uint32_t index, uint32_t field, uint32_t value,
                         struct request **request) {
    (void)index;
    (void)field;
    (void)request;
    function->nic->rate_select = value;
    return value < function->nic->queue_count;
}

static bool rate_write(struct nic_function *function, uint32_t index, uint32_t field, uint32_t value,
                       struct request **request) {
    struct nic *nic = function->nic;
    (void)index;
    (void)field;
    (void)request;
    if (nic->rate_select >= nic->queue_count) {
        return false;
    }
    const uint32_t factor = value & ((UINT32_C(1) << (NIC_RATE_INTEGER_BITS + NIC_RATE_FRACTION_BITS)) - 1);
    nic->queues[nic->rate_select].tx.rate_factor = (value & NIC_RATE_ENABLE) != 0 ? factor : 0;
    return true;
}

static bool credit_write(struct nic_function *function, uint32_t index, uint32_t field, uint32_t value,
                         struct request **request) {
    struct nic *nic = function->nic;
    (void)index;
    (void)field;
    (void)request;
    if (nic->rate_select >= nic->queue_count || (value & NIC_CREDIT_MASK) == 0) {
        return false;
    }
    nic->queues[nic->rate_select].tx.quantum_bytes = (value & NIC_CREDIT_MASK) * NIC_CREDIT_UNIT_BYTES;
    return true;
}

/* ---- dispatch ---- */

static const struct register_range {
    uint64_t base;
    uint32_t stride, count, first; /* first: number of the first register of the range */
    uint32_t functions;
    register_read *read;
    register_write *write;
} ranges[] = {
    /* The doorbells first: they are what the data path writes. */
    {NIC_RX_QUEUE_BASE(0), NIC_QUEUE_STRIDE, 64, 0, BOTH, rx_read, rx_write},
    {NIC_VF_TX_QUEUE_BASE(0), NIC_QUEUE_STRIDE, 128, 0, VIRTUAL, tx_read, tx_write},
    {NIC_TX_QUEUE_BASE(0), NIC_QUEUE_STRIDE, 128, 0, PHYSICAL, tx_read, tx_write},
    {NIC_RX_QUEUE_BASE_HIGH(64), NIC_QUEUE_STRIDE, 64, 64, PHYSICAL, rx_read, rx_write},
    {NIC_EIMS, 4, 2, 0, BOTH, mask_read, mask_set},
    {NIC_EIMC, 4, 2, 0, BOTH, mask_read, mask_clear},
    {NIC_EIAM, 4, 1, 0, BOTH, NULL, auto_mask_write},
    {NIC_IVAR(0), 4, 64, 0, PHYSICAL, causes_read, causes_write},
    {NIC_VF_IVAR(0), 4, 64, 0, VIRTUAL, causes_read, causes_write},
    {NIC_EITR(0), 4, 24, 0, BOTH, throttle_read, throttle_write},
    {NIC_EITR_HIGH(24), 4, 104, 24, PHYSICAL, throttle_read, throttle_write},
    {NIC_EIMS_EX(0), 4, 4, 0, PHYSICAL, mask_read, mask_set},
    {NIC_EIMC_EX(0), 4, 4, 0, PHYSICAL, mask_read, mask_clear},
    {NIC_EIAM_EX(0), 4, 4, 0, PHYSICAL, NULL, auto_mask_write},
    {NIC_RATE_SELECT, 4, 1, 0, PHYSICAL, NULL, select_write},
    {NIC_RATE_FACTOR, 4, 1, 0, PHYSICAL, NULL, rate_write},
    {NIC_CREDIT, 4, 1, 0, PHYSICAL, NULL, credit_write},
};

/* The range of an access that may be made at all: 32 bits, aligned, by the physical
 * function or a virtual one that is on. */
static const struct register_range *find(const struct nic_function *function, unsigned bar, uint64_t offset,
                                         uint32_t size_bytes) {
    const uint32_t kind = function->number == 0 ? PHYSICAL : VIRTUAL;
    if (bar != 0 || size_bytes != ACCESS_BYTES || offset % ACCESS_BYTES != 0 ||
        (function->number != 0 && !function->enabled)) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        const struct register_range *range = &ranges[i];
        if (offset - range->base < (uint64_t)range->stride * range->count && (range->functions & kind) != 0) {
            return range;
        }
    }
    return NULL;
}

uint64_t nic_mmio_read(struct device *device, struct pcie_function *pcie, unsigned bar, uint64_t offset,
                       uint32_t size_bytes) {
    struct nic_function *function = &nic_of(device)->functions[pcie->number];
    const struct register_range *range = find(function, bar, offset, size_bytes);
    uint32_t value = 0;
    if (range != NULL && range->read != NULL) {
        const uint32_t place = (uint32_t)(offset - range->base);
        if (range->read(function, range->first + place / range->stride, place % range->stride, &value)) {
            return value;
        }
    }
    function->counters.bad_register_accesses++;
    return NOTHING;
}

void nic_mmio_write(struct device *device, struct pcie_function *pcie, unsigned bar, uint64_t offset,
                    uint32_t size_bytes, uint64_t value, struct request *request) {
    struct nic_function *function = &nic_of(device)->functions[pcie->number];
    const struct register_range *range = find(function, bar, offset, size_bytes);
    bool good = false;
    if (range != NULL) {
        const uint32_t place = (uint32_t)(offset - range->base);
        good = range->write(function, range->first + place / range->stride, place % range->stride, (uint32_t)value,
                            &request);
    }
    if (!good) {
        function->counters.bad_register_accesses++;
    }
    nic_abandon(request, "doorbell without effect"); /* a doorbell that counted has taken it */
}
