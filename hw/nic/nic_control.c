/* What the physical function's driver does with the card: functions, addresses,
 * filters. It takes no time here; what the driver pays is the kernel's to say. */
#include <string.h>

#include "hw/nic/nic_internal.h"
#include "sim/error.h"

uint32_t nic_virtual_functions(const struct device *nic) {
    return nic_of(nic)->function_count - 1;
}

uint32_t nic_queues_per_function(const struct device *nic) {
    return (uint32_t)nic_of(nic)->config->queues_per_function;
}

uint32_t nic_filter_slots(const struct device *nic) {
    return (uint32_t)nic_of(nic)->config->receive_filters;
}

enum nic_filter_mode nic_filter_mode(const struct device *nic) {
    return (enum nic_filter_mode)nic_of(nic)->config->filtering;
}

uint64_t nic_line_rate(const struct device *nic) {
    const struct link *link = nic_of(nic)->port.link;
    return link != NULL ? link_rate(link) : 0;
}

struct pcie_function *nic_function(struct device *nic, uint32_t function) {
    struct nic *card = nic_of(nic);
    return function < card->function_count ? &card->functions[function].pcie : NULL;
}

/* ---- queues ---- */

struct nic_queue *nic_queue_of(struct nic_function *function, uint32_t number) {
    struct nic *nic = function->nic;
    if (function->number == 0) {
        struct nic_queue *queue = number < nic->queue_count ? &nic->queues[number] : NULL;
        return queue != NULL && queue->function == function ? queue : NULL;
    }
    const uint32_t each = (uint32_t)nic->config->queues_per_function;
    return number < each && function->enabled ? &nic->queues[(function->number - 1) * each + number] : NULL;
}

uint32_t nic_queue_number(const struct nic_queue *queue) {
    const uint32_t each = (uint32_t)queue->nic->config->queues_per_function;
    return queue->function->number == 0 ? queue->index : queue->index % each;
}

void nic_queue_reset(struct nic_queue *queue) {
    nic_rx_reset(queue);
    nic_tx_reset(queue);
    nic_interrupt_reset(queue);
    queue->rx.ring.base = 0;
    queue->rx.ring.length_bytes = 0;
    queue->rx.control = 0;
    queue->tx.ring.base = 0;
    queue->tx.ring.length_bytes = 0;
    queue->tx.rate_factor = 0;
    queue->tx.quantum_bytes = NIC_QUANTUM_DEFAULT_BYTES;
}

/* ---- functions ---- */

static void clear_filters(struct nic *nic, struct nic_function *function) {
    for (uint32_t slot = 0; slot < nic->config->receive_filters; slot++) {
        if (nic->receive_filters[slot].function == function->number) {
            nic->receive_filters[slot].used = false;
        }
    }
    for (uint32_t slot = 0; slot < nic->config->transmit_filters; slot++) {
        function->transmit_filters[slot].used = false;
    }
    function->transmit_filter_count = 0;
    nic_filter_changed(nic);
}

void nic_function_enable(struct device *nic, uint32_t function, bool enabled) {
    struct nic *card = nic_of(nic);
    SIM_ASSERT_MSG(function < card->function_count, "%s has no function %u", nic->name, (unsigned)function);
    struct nic_function *one = &card->functions[function];
    if (one->enabled == enabled) {
        return;
    }
    const uint32_t each = (uint32_t)card->config->queues_per_function;
    const uint32_t first = function == 0 ? 0 : (function - 1) * each;
    const uint32_t after = function == 0 ? card->queue_count : first + each;
    for (uint32_t i = first; i < after; i++) {
        struct nic_queue *queue = &card->queues[i];
        if (function != 0 || queue->function == one) {
            nic_queue_reset(queue);
            queue->function = function != 0 && !enabled ? &card->functions[0] : one;
        }
    }
    if (!enabled) {
        clear_filters(card, one);
        one->has_mac = false;
    }
    one->enabled = enabled;
    one->pcie.bus_master = enabled;
    nic_mac_changed(card);
    nic_physical_queues_changed(card);
}

void nic_function_set_mac(struct device *nic, uint32_t function, const uint8_t mac[6]) {
    struct nic *card = nic_of(nic);
    SIM_ASSERT_MSG(function < card->function_count, "%s has no function %u", nic->name, (unsigned)function);
    card->functions[function].has_mac = true;
    memcpy(card->functions[function].mac, mac, NIC_MAC_BYTES);
    nic_mac_changed(card);
}

/* ---- filters ---- */

static enum error_code set_slot(struct nic_filter_slot *slot, uint32_t function, const struct nic_filter *filter) {
    if (filter != NULL &&
        (filter->peer_count > NIC_FILTER_RANGES_MAX || filter->service_count > NIC_FILTER_RANGES_MAX)) {
        return ERR_RANGE;
    }
    slot->used = filter != NULL;
    slot->function = function;
    if (filter != NULL) {
        slot->filter = *filter;
    }
    return OK;
}

enum error_code nic_receive_filter_set(struct device *nic, uint32_t slot, uint32_t function,
                                       const struct nic_filter *filter) {
    struct nic *card = nic_of(nic);
    if (slot >= card->config->receive_filters) {
        return ERR_EXHAUSTED;
    }
    const uint64_t queues = function == 0 ? card->queue_count : card->config->queues_per_function;
    if (function >= card->function_count || (filter != NULL && filter->queue >= queues)) {
        return ERR_RANGE;
    }
    const enum error_code code = set_slot(&card->receive_filters[slot], function, filter);
    nic_filter_changed(card);
    return code;
}

enum error_code nic_transmit_filter_set(struct device *nic, uint32_t function, uint32_t slot,
                                        const struct nic_filter *filter) {
    struct nic *card = nic_of(nic);
    if (function >= card->function_count) {
        return ERR_RANGE;
    }
    if (slot >= card->config->transmit_filters) {
        return ERR_EXHAUSTED;
    }
    struct nic_function *one = &card->functions[function];
    const enum error_code code = set_slot(&one->transmit_filters[slot], function, filter);
    one->transmit_filter_count = 0;
    for (uint32_t i = 0; i < card->config->transmit_filters; i++) {
        if (one->transmit_filters[i].used) {
            one->transmit_filter_count = i + 1;
        }
    }
    return code;
}

void nic_set_default_to_physical(struct device *nic, bool on) {
    nic_of(nic)->default_to_physical = on;
}

void nic_set_rss(struct device *nic, uint32_t queues) {
    nic_of(nic)->rss_queues = queues;
    nic_physical_queues_changed(nic_of(nic));
}
