/* pcie_root.c: the root complex: its costs, the links below it, the components. */
#include <stddef.h>
#include <stdlib.h>

#include "hw/machine.h"
#include "hw/pcie_internal.h"

const struct param pcie_root_params[] = {
    {"read_latency", PARAM_TIME, offsetof(struct pcie_root_config, read_latency), "406 ns", "1 ns", "100 us", NULL,
     "DMA read, request in to completion out, LLC hit, without the link's time (pcie-bench, Sandy Bridge: 413 ns with "
     "the link's 7 ns for 8 bytes, 96 % of it the root)"},
    {"write_latency", PARAM_TIME, offsetof(struct pcie_root_config, write_latency), "300 ns", "1 ns", "100 us", NULL,
     "DMA write, in to visible to a core (assumed; 100 to 400 ns)"},
    {"mmio_write_latency", PARAM_TIME, offsetof(struct pcie_root_config, mmio_write_latency), "300 ns", "1 ns",
     "100 us", NULL, "a core's posted write, out to the device (assumed; 100 to 400 ns)"},
    {"mmio_read_latency", PARAM_TIME, offsetof(struct pcie_root_config, mmio_read_latency), "700 ns", "1 ns", "100 us",
     NULL, "a core's read of a device register, round trip (recalled: 450 to 900 ns)"},
    {"mmio_write_cycles", PARAM_CYCLES, offsetof(struct pcie_root_config, mmio_write_cycles), "100 cycles", NULL, NULL,
     NULL, "what the posted write costs the core (recalled)"},
    {"msi_latency", PARAM_TIME, offsetof(struct pcie_root_config, msi_latency), "300 ns", "1 ns", "100 us", NULL,
     "a device's interrupt message to the core's pin, without the link's time (assumed; 100 to 400 ns)"},
    {"completion_bytes", PARAM_BYTES, offsetof(struct pcie_root_config, completion_bytes), "0 B", NULL, "4096 B", NULL,
     "largest completion payload; 0 stands for the link's max_payload, older chipsets use 64"},
    {"device_window_base", PARAM_BYTES, offsetof(struct pcie_root_config, device_window_base), "256 GiB", "1 MiB", NULL,
     NULL, "physical address from which BARs are laid out; a multiple of 4 KiB, above memory"},
    {0}};

/* ---- components ---- */

/* Whoever had a device write or read: a device, the medium, or software that waits. */
#define AFTER_DMA "nic dma_engine timer nvme ready medium cpu"
static const struct ledger_declaration declarations[] = {
    {"pcie", NULL, "PCIe", AFTER_DMA},
    {"dma_read", "pcie", "DMA read", AFTER_DMA},
    {"dma_read_iotlb_miss", "dma_read", "DMA read: IOTLB miss", NULL},
    {"dma_read_dram_miss", "dma_read", "DMA read: LLC miss", NULL},
    {"dma_write", "pcie", "DMA write", AFTER_DMA},
    {"dma_write_iotlb_miss", "dma_write", "DMA write: IOTLB miss", NULL},
    {"dma_write_dram_miss", "dma_write", "DMA write: LLC miss", NULL},
    {"doorbell", "pcie", "Doorbell", "nic nvme medium timer dma_engine"},
    {0}};
static struct pcie_components components;

void pcie_declare_components(void) {
    ledger_component out[sizeof declarations / sizeof declarations[0]];
    ledger_declare_all(declarations, out);
    components = (struct pcie_components){out[0], {out[1], out[2], out[3]}, {out[4], out[5], out[6]}, out[7]};
}

const struct pcie_components *pcie_components(void) {
    return &components;
}

/* ---- life ---- */

struct pcie_root *pcie_root_create(struct machine *machine, const struct pcie_root_config *config,
                                   struct error *error) {
    const uint64_t completion = config->completion_bytes;
    if (completion != 0 && (completion < MEMORY_LINE_BYTES || (completion & (completion - 1)) != 0)) {
        (void)error_set(error, ERR_RANGE, "pcie.completion_bytes: %llu is neither 0 nor a power of two from 64",
                        (unsigned long long)completion);
        return NULL;
    }
    if (config->device_window_base % MEMORY_FRAME_BYTES != 0 ||
        (machine->memory != NULL && config->device_window_base < memory_size(machine->memory))) {
        (void)error_set(error, ERR_OVERLAP, "pcie.device_window_base: 0x%llx is no multiple of 4 KiB above memory",
                        (unsigned long long)config->device_window_base);
        return NULL;
    }
    pcie_declare_components();
    struct pcie_root *root = calloc(1, sizeof *root);
    SIM_ASSERT(root != NULL);
    root->machine = machine;
    root->config = *config;
    root->links_end = &root->links;
    root->window_end = config->device_window_base;
    return root;
}

void pcie_root_free(struct pcie_root *root) {
    if (root == NULL) {
        return;
    }
    while (root->links != NULL) {
        struct pcie_link *link = root->links;
        root->links = link->next;
        pcie_link_free(link);
    }
    while (root->messages != NULL) {
        struct pcie_message *message = root->messages;
        root->messages = message->all;
        (void)sim_cancel(&message->event);
        free(message);
    }
    free(root->windows);
    free(root);
}

const struct pcie_root_config *pcie_root_configuration(const struct pcie_root *root) {
    return &root->config;
}

/* ---- the pool of messages ---- */

struct pcie_message *pcie_message_take(struct pcie_root *root, sim_callback *arrive) {
    struct pcie_message *message = root->pool;
    if (message != NULL) {
        root->pool = message->next;
    } else {
        message = calloc(1, sizeof *message);
        SIM_ASSERT(message != NULL);
        message->root = root;
        message->all = root->messages;
        root->messages = message;
    }
    sim_event_init(&message->event, SIM_PRIORITY_HARDWARE, arrive, message);
    return message;
}

void pcie_message_give(struct pcie_message *message) {
    message->next = message->root->pool;
    message->root->pool = message;
}

/* ---- statistics ---- */

void pcie_visit_stats(const struct pcie_root *root, const struct stats_sink *sink) {
    stats_counter(sink, "pcie", "mmio_reads", root->mmio_reads);
    stats_counter(sink, "pcie", "mmio_writes", root->mmio_writes);
    stats_counter(sink, "pcie", "mmio_unmapped", root->mmio_unmapped);
    for (const struct pcie_link *link = root->links; link != NULL; link = link->next) {
        pcie_link_visit_stats(link, sink);
    }
}

void pcie_reset_stats(struct pcie_root *root) {
    root->mmio_reads = root->mmio_writes = root->mmio_unmapped = 0;
    for (struct pcie_link *link = root->links; link != NULL; link = link->next) {
        pcie_link_reset_stats(link);
    }
}
