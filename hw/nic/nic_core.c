/* The card as a device: its life, its components, its counters. */
#include <stdlib.h>
#include <string.h>

#include "hw/nic/nic_internal.h"
#include "sim/allocate.h"
#include "sim/error.h"

static const struct ledger_declaration declarations[] = {
    {"nic", NULL, "NIC", "pcie"},
    {"nic_rx", "nic", "NIC, receive", "dma_write ready pcie"},
    {"nic_rx_queue", "nic_rx", "NIC, receive: packet buffer", NULL},
    {"nic_tx", "nic", "NIC, transmit", "nic_tx dma_read wire pcie"},
    {"nic_tx_queue", "nic_tx", "NIC, transmit: queue", NULL},
    {"nic_tx_limit", "nic_tx", "NIC, transmit: rate limiter", NULL},
    {0},
};

void nic_declare_components(void) {
    ledger_component out[sizeof declarations / sizeof declarations[0]];
    ledger_declare_all(declarations, out);
}

static struct nic_components find_components(void) {
    nic_declare_components();
    return (struct nic_components){.nic = ledger_find("nic"),
                                   .rx = ledger_find("nic_rx"),
                                   .rx_queue = ledger_find("nic_rx_queue"),
                                   .tx = ledger_find("nic_tx"),
                                   .tx_queue = ledger_find("nic_tx_queue"),
                                   .tx_limit = ledger_find("nic_tx_limit"),
                                   .wire = ledger_find("wire"),
                                   .ready = ledger_find("ready"),
                                   .doorbell = ledger_find("doorbell"),
                                   .cpu = ledger_find("cpu")};
}

static void make_functions(struct nic *nic) {
    nic->function_count = (uint32_t)nic->config->virtual_functions + 1;
    nic->functions = sim_allocate(nic->function_count, sizeof *nic->functions);
    for (uint32_t i = 0; i < nic->function_count; i++) {
        struct nic_function *function = &nic->functions[i];
        function->nic = nic;
        function->number = i;
        function->transmit_filters = sim_allocate(nic->config->transmit_filters, sizeof *function->transmit_filters);
        const uint64_t bars[PCIE_BARS] = {i == 0 ? NIC_PF_BAR_BYTES : NIC_VF_BAR_BYTES, 0};
        pcie_function_attach(nic->link, &function->pcie, nic->device, i, bars);
    }
}

static void make_queues(struct nic *nic) {
    nic->queue_count = (uint32_t)nic->config->queues;
    nic->queues = sim_allocate(nic->queue_count, sizeof *nic->queues);
    for (uint32_t i = 0; i < nic->queue_count; i++) {
        struct nic_queue *queue = &nic->queues[i];
        queue->nic = nic;
        queue->index = i;
        queue->function = &nic->functions[0];
        queue->rx.waiting_end = &queue->rx.waiting;
        sim_event_init(&queue->tx.limit_event, SIM_PRIORITY_HARDWARE, nic_tx_limit_expired, queue);
        nic_interrupt_init(queue);
        nic_queue_reset(queue);
    }
}

static void make_transmit(struct nic *nic) {
    enum { SMALLEST_PACKET_BYTES = 14 };
    nic->transfers = sim_allocate(nic->config->reads_outstanding, sizeof *nic->transfers);
    nic->departure_capacity = (uint32_t)(nic->config->transmit_buffer_bytes / SMALLEST_PACKET_BYTES + 1);
    nic->departures = sim_allocate(nic->departure_capacity, sizeof *nic->departures);
    sim_event_init(&nic->room_event, SIM_PRIORITY_HARDWARE, nic_tx_room, nic);
    for (size_t i = 0; i < NIC_FETCH_MAX; i++) {
        nic->done_descriptors[i].status_length = NIC_TX_DD;
    }
}

static void make_filters(struct nic *nic) {
    nic->receive_filters = sim_allocate(nic->config->receive_filters, sizeof *nic->receive_filters);
    nic->filter_order = sim_allocate(nic->config->receive_filters, sizeof *nic->filter_order);
    nic->mac_capacity = 2;
    while (nic->mac_capacity < 2 * nic->function_count) {
        nic->mac_capacity *= 2;
    }
    nic->mac_keys = sim_allocate(nic->mac_capacity, sizeof *nic->mac_keys);
    nic->mac_functions = sim_allocate(nic->mac_capacity, sizeof *nic->mac_functions);
    nic_rss_init(nic);
    nic_filter_changed(nic);
}

static enum error_code check(const void *config, struct error *error) {
    return nic_config_check(config, error);
}

static enum error_code init(struct device *device, struct error *error) {
    struct nic *nic = nic_of(device);
    nic->device = device;
    nic->config = device->config;
    const enum error_code code = nic_config_check(nic->config, error);
    if (code != OK) {
        return code;
    }
    nic->link = pcie_link_create(device->machine->pcie, device->name, &nic->config->pcie, error);
    if (nic->link == NULL) {
        return ERR_CONFIG;
    }
    nic->components = find_components();
    nic->port.receive = nic_rx_receive;
    nic->port.owner = nic;
    make_functions(nic);
    make_queues(nic);
    make_transmit(nic);
    make_filters(nic);
    return OK;
}

static void fini(struct device *device) {
    struct nic *nic = nic_of(device);
    for (uint32_t i = 0; i < nic->queue_count; i++) {
        free(nic->queues[i].tx.riders);
    }
    for (uint32_t i = 0; i < nic->function_count; i++) {
        free(nic->functions[i].transmit_filters);
    }
    nic_rx_free(nic);
    free(nic->functions);
    free(nic->queues);
    free(nic->transfers);
    free(nic->departures);
    free(nic->receive_filters);
    free(nic->filter_order);
    free(nic->mac_keys);
    free(nic->mac_functions);
}

static struct port *network_port(struct device *device, unsigned index) {
    return index == 0 ? &nic_of(device)->port : NULL;
}

/* ---- counters ---- */

static void visit_function(const struct nic_function *function, const struct stats_sink *sink) {
    static const struct nic_counters none;
    const struct nic_counters *counters = &function->counters;
    if (function->number != 0 && !function->enabled && memcmp(counters, &none, sizeof none) == 0) {
        return; /* one of many that nobody uses */
    }
#define NIC_COUNTER_VISIT(counter) stats_counter(sink, function->pcie.name, #counter, counters->counter);
    NIC_COUNTERS(NIC_COUNTER_VISIT)
#undef NIC_COUNTER_VISIT
}

static void visit_stats(const struct device *device, const struct stats_sink *sink) {
    const struct nic *nic = nic_of(device);
    for (uint32_t i = 0; i < nic->function_count; i++) {
        visit_function(&nic->functions[i], sink);
    }
}

static void reset_stats(struct device *device) {
    struct nic *nic = nic_of(device);
    for (uint32_t i = 0; i < nic->function_count; i++) {
        memset(&nic->functions[i].counters, 0, sizeof nic->functions[i].counters);
    }
}

const struct device_ops nic_sriov_ops = {
    .type_name = "nic/sriov",
    .help = "10 GbE NIC with SR-IOV virtual functions, filters and rate limiters, after the Intel 82599",
    .params = nic_params,
    .config_bytes = sizeof(struct nic_config),
    .state_bytes = sizeof(struct nic),
    .declare_components = nic_declare_components,
    .check = check,
    .init = init,
    .mmio_read = nic_mmio_read,
    .mmio_write = nic_mmio_write,
    .network_port = network_port,
    .visit_stats = visit_stats,
    .reset_stats = reset_stats,
    .fini = fini,
};
