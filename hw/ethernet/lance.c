#include "hw/ethernet/lance.h"

#include <string.h>

#include "hw/machine.h"
#include "hw/nic/nic.h"

static const struct param lance_params[] = {
    PCIE_LINK_ROWS("pcie_", offsetof(struct lance_config, link)),
    {"poll_interval", PARAM_TIME, offsetof(struct lance_config, poll_interval), "1.6 ms", "1 us", "1 s", NULL,
     "how often it looks at the transmit ring by itself (Am7990 data sheet: 1.6 ms)"},
    {0}};

static enum error_code lance_check(const void *config, struct error *error) {
    return pcie_link_check(&((const struct lance_config *)config)->link, error);
}

/* ---- interrupts ---- */

static const uint16_t causes = LANCE_IDON | LANCE_TINT | LANCE_RINT | LANCE_MERR | LANCE_MISS;

void lance_raise(struct lance *lance, uint16_t status) {
    const bool had = (lance->csr[0] & LANCE_INTR) != 0;
    lance->csr[0] |= status | ((status & (LANCE_MERR | LANCE_MISS)) != 0 ? (uint16_t)LANCE_ERR : 0);
    if ((lance->csr[0] & causes) != 0) {
        lance->csr[0] |= LANCE_INTR;
    }
    if (!had && (lance->csr[0] & LANCE_INTR) != 0 && (lance->csr[0] & LANCE_INEA) != 0) {
        pcie_msix_raise(&lance->function, 0);
    }
}

/* ---- initialization ---- */

static void ring_set(struct lance_ring *ring, uint16_t low, uint16_t high) {
    ring->address = (uint64_t)(high & 0xff) << 16 | (low & 0xfff8u);
    ring->entries = 1u << (high >> 13);
    ring->next = 0;
    ring->busy = false;
}

static void initialized(struct dma_op *op) {
    struct lance *lance = op->context;
    if (op->status == DMA_FAULT) {
        lance->counters.memory_errors++;
        lance_raise(lance, LANCE_MERR);
        return;
    }
    const struct lance_init_block *block = &lance->init_block;
    ring_set(&lance->receive, block->receive_ring_low, block->receive_ring_high);
    ring_set(&lance->transmit, block->transmit_ring_low, block->transmit_ring_high);
    lance_raise(lance, LANCE_IDON);
}

static void look(void *context) {
    struct lance *lance = context;
    const struct lance_config *config = lance->device->config;
    lance_transmit_look(lance);
    sim_schedule(&lance->poll, config->poll_interval);
}

static void stop(struct lance *lance) {
    (void)sim_cancel(&lance->poll);
    lance->csr[0] = LANCE_STOP;
}

/* ---- registers ---- */

static void control(struct lance *lance, uint16_t value) {
    lance->csr[0] &= (uint16_t) ~(value & causes);
    lance->csr[0] = (uint16_t)((lance->csr[0] & ~LANCE_INEA) | (value & LANCE_INEA));
    if ((lance->csr[0] & causes) == 0) {
        lance->csr[0] &= (uint16_t) ~(LANCE_INTR | LANCE_ERR);
    }
    if ((value & LANCE_STOP) != 0) {
        stop(lance);
        return;
    }
    if ((value & LANCE_INIT) != 0) {
        lance->csr[0] = (uint16_t)((lance->csr[0] & ~LANCE_STOP) | LANCE_INIT);
        const uint64_t address = (uint64_t)(lance->csr[2] & 0xff) << 16 | lance->csr[1];
        lance_dma(lance, &lance->init, address, sizeof lance->init_block, false, &lance->init_block, initialized);
        dma_submit(&lance->init);
    }
    if ((value & LANCE_STRT) != 0 && lance->receive.entries > 0) {
        lance->csr[0] = (uint16_t)((lance->csr[0] & ~LANCE_STOP) | LANCE_STRT | LANCE_TXON | LANCE_RXON);
        (void)sim_cancel(&lance->poll);
        look(lance);
    }
    if ((value & LANCE_TDMD) != 0) {
        lance_transmit_look(lance);
    }
    lance_raise(lance, 0); /* what was pending while interrupts were off */
}

static uint64_t lance_read(struct device *device, struct pcie_function *function, unsigned bar, uint64_t offset,
                           uint32_t size_bytes) {
    const struct lance *lance = device->state;
    (void)function, (void)bar, (void)size_bytes;
    return offset == LANCE_RAP ? lance->rap : offset == LANCE_RDP ? lance->csr[lance->rap] : 0;
}

static void lance_write(struct device *device, struct pcie_function *function, unsigned bar, uint64_t offset,
                        uint32_t size_bytes, uint64_t value, struct request *request) {
    struct lance *lance = device->state;
    (void)function, (void)bar, (void)size_bytes;
    if (offset == LANCE_RAP) {
        lance->rap = (uint16_t)(value & 3);
    } else if (offset == LANCE_RDP && lance->rap == 0) {
        control(lance, (uint16_t)value);
    } else if (offset == LANCE_RDP) {
        lance->csr[lance->rap] = (uint16_t)value;
    }
    ledger_abandon(request, "a frame's request rides in memory", sim_now());
}

/* ---- life ---- */

static enum error_code lance_init(struct device *device, struct error *error) {
    static const uint64_t bar_bytes[PCIE_BARS] = {MEMORY_FRAME_BYTES};
    const struct lance_config *config = device->config;
    struct lance *lance = device->state;
    struct pcie_link *link = pcie_link_create(device->machine->pcie, device->name, &config->link, error);
    if (link == NULL) {
        return error->code;
    }
    pcie_function_attach(link, &lance->function, device, 0, bar_bytes);
    lance->function.bus_master = true;
    lance->device = device;
    lance->port.receive = lance_receive;
    lance->port.owner = lance;
    lance->csr[0] = LANCE_STOP;
    sim_event_init(&lance->poll, SIM_PRIORITY_HARDWARE, look, lance);
    sim_event_init(&lance->left, SIM_PRIORITY_HARDWARE, lance_frame_left, lance);
    nic_declare_components();
    lance->rx = ledger_find("nic_rx");
    lance->tx = ledger_find("nic_tx");
    lance->ready = ledger_find("ready");
    lance->wire = ledger_find("wire");
    lance->doorbell = ledger_find("doorbell");
    lance->cpu = ledger_find("cpu");
    return OK;
}

static struct port *lance_port(struct device *device, unsigned index) {
    struct lance *lance = device->state;
    return index == 0 ? &lance->port : NULL;
}

static void lance_visit_stats(const struct device *device, const struct stats_sink *sink) {
    const struct lance_counters *counters = &((const struct lance *)device->state)->counters;
    stats_counter(sink, device->name, "rx_packets", counters->received);
    stats_counter(sink, device->name, "tx_packets", counters->sent);
    stats_counter(sink, device->name, "rx_missed", counters->missed);
    stats_counter(sink, device->name, "rx_not_mine", counters->not_mine);
    stats_counter(sink, device->name, "rx_too_long", counters->too_long);
    stats_counter(sink, device->name, "tx_refused", counters->refused);
    stats_counter(sink, device->name, "memory_errors", counters->memory_errors);
}

static void lance_reset_stats(struct device *device) {
    ((struct lance *)device->state)->counters = (struct lance_counters){0};
}

static void lance_fini(struct device *device) {
    struct lance *lance = device->state;
    (void)sim_cancel(&lance->poll);
    (void)sim_cancel(&lance->left);
    for (uint32_t i = 0; i < lance->waiting_count; i++) {
        frame_release(lance->waiting[i]);
    }
    if (lance->receive.frame != NULL) {
        frame_release(lance->receive.frame);
    }
}

const struct device_ops lance_ops = {
    .type_name = "nic/lance",
    .help = "10 Mb/s Ethernet controller after the Am7990 (rings in memory)",
    .params = lance_params,
    .config_bytes = sizeof(struct lance_config),
    .state_bytes = sizeof(struct lance),
    .declare_components = nic_declare_components,
    .check = lance_check,
    .init = lance_init,
    .mmio_read = lance_read,
    .mmio_write = lance_write,
    .network_port = lance_port,
    .visit_stats = lance_visit_stats,
    .reset_stats = lance_reset_stats,
    .fini = lance_fini,
};
