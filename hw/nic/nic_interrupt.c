/* Vectors: a cause becomes a message unless its vector is masked, and not more often
 * than its throttle allows (EITR, 7.3.2.1). A cause that comes meanwhile is
 * remembered. */
#include "hw/nic/nic_internal.h"

static void raise_now(struct nic_queue *queue) {
    struct nic_vector *vector = &queue->vector;
    const sim_time interval =
        (sim_time)(vector->throttle >> NIC_EITR_INTERVAL_SHIFT & NIC_EITR_INTERVAL_MASK) * NIC_EITR_UNIT_US * SIM_US;
    vector->pending = false;
    vector->next_allowed = sim_now() + interval;
    if (vector->auto_mask) {
        vector->enabled = false;
    }
    const uint32_t entry = nic_queue_number(queue);
    if (entry < PCIE_MSIX_MAX) {
        pcie_msix_raise(&queue->function->pcie, entry);
    }
}

static void consider(struct nic_queue *queue) {
    struct nic_vector *vector = &queue->vector;
    if (!vector->pending || !vector->enabled || sim_event_pending(&vector->event)) {
        return;
    }
    if (sim_now() >= vector->next_allowed) {
        raise_now(queue);
    } else {
        sim_schedule_at(&vector->event, vector->next_allowed);
    }
}

static void throttle_expired(void *context) {
    consider(context);
}

void nic_interrupt_init(struct nic_queue *queue) {
    sim_event_init(&queue->vector.event, SIM_PRIORITY_HARDWARE, throttle_expired, queue);
}

static void cause(struct nic_queue *queue) {
    queue->vector.pending = true;
    consider(queue);
}

void nic_interrupt_received(struct nic_queue *queue) {
    if (!queue->vector.no_receive) {
        cause(queue);
    }
}

void nic_interrupt_transmitted(struct nic_queue *queue) {
    if (queue->vector.transmit) {
        cause(queue);
    }
}

void nic_interrupt_enable(struct nic_queue *queue, bool enabled) {
    queue->vector.enabled = enabled;
    consider(queue);
}

void nic_interrupt_reset(struct nic_queue *queue) {
    struct nic_vector *vector = &queue->vector;
    (void)sim_cancel(&vector->event);
    vector->enabled = false;
    vector->pending = false;
    vector->auto_mask = false;
    vector->no_receive = false;
    vector->transmit = false;
    vector->throttle = 0;
    vector->next_allowed = 0;
}
