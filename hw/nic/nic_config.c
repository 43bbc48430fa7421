/* Parameters of the NIC; defaults are the 82599's. */
#include "hw/nic/nic_internal.h"

static const char *const filterings[] = {"mac", "header", NULL};
static const char *const schedulers[] = {"round_robin", "weighted", NULL};

#define ROW(key_text, kind, field, standard, least, most, help_text)                                                   \
    {                                                                                                                  \
        .key = key_text, .type = kind, .offset = offsetof(struct nic_config, field), .default_text = standard,         \
        .minimum = least, .maximum = most, .help = help_text                                                           \
    }

const struct param nic_params[] = {
    ROW("pcie_generation", PARAM_INTEGER, pcie.generation, "2", "1", "4", "of its PCIe link"),
    ROW("pcie_lanes", PARAM_INTEGER, pcie.lanes, "8", "1", "16", "of its PCIe link"),
    ROW("max_payload", PARAM_BYTES, pcie.max_payload_bytes, "256 B", "128 B", "4096 B", "of a memory write"),
    ROW("max_read_request", PARAM_BYTES, pcie.max_read_request_bytes, "512 B", "128 B", "4096 B", "of a read request"),
    ROW("tags", PARAM_INTEGER, pcie.tags, "32", "1", "256", "read requests outstanding on the link"),
    ROW("virtual_functions", PARAM_INTEGER, virtual_functions, "64", "0", "255",
        "SR-IOV functions besides the physical one"),
    ROW("queues", PARAM_INTEGER, queues, "128", "1", "2048", "queue pairs of the card"),
    ROW("queues_per_function", PARAM_INTEGER, queues_per_function, "2", "1", "8", "queue pairs of a virtual function"),
    ROW("receive_filters", PARAM_INTEGER, receive_filters, "128", "0", "65536", "header filters of the card"),
    ROW("transmit_filters_per_function", PARAM_INTEGER, transmit_filters, "8", "0", "1024", "of each function"),
    {.key = "filtering",
     .type = PARAM_CHOICE,
     .offset = offsetof(struct nic_config, filtering),
     .default_text = "mac",
     .choices = filterings,
     .help = "what chooses among functions: the destination address (the 82599), or header filters"},
    ROW("receive_buffer", PARAM_BYTES, receive_buffer_bytes, "512 KiB", "2 KiB", "1 GiB", "packet buffer, receive"),
    ROW("receive_buffer_per_queue", PARAM_BYTES, receive_queue_bytes, "512 KiB", "2 KiB", "1 GiB",
        "share of the packet buffer that one queue may fill"),
    ROW("transmit_buffer", PARAM_BYTES, transmit_buffer_bytes, "160 KiB", "2 KiB", "1 GiB", "packet buffer, transmit"),
    ROW("rx_pipeline", PARAM_TIME, rx_pipeline, "400 ns", "0 ns", "1 ms",
        "last bit to first DMA: MAC, filters, checksums"),
    ROW("tx_pipeline", PARAM_TIME, tx_pipeline, "400 ns", "0 ns", "1 ms",
        "last DMA to first bit: filters, checksums, MAC"),
    ROW("descriptor_fetch_max", PARAM_INTEGER, fetch_max, "40", "1", "64", "transmit descriptors a fetch brings"),
    ROW("rx_prefetch", PARAM_INTEGER, rx_prefetch, "32", "1", "64",
        "receive descriptors a fetch brings, when half of that is left on chip"),
    ROW("descriptor_write_back_batch", PARAM_INTEGER, write_back_batch, "8", "1", "64",
        "transmit descriptors with RS that are written back together, unless the queue falls idle"),
    {.key = "scheduler",
     .type = PARAM_CHOICE,
     .offset = offsetof(struct nic_config, scheduler),
     .default_text = "round_robin",
     .choices = schedulers,
     .help = "among transmit queues: packet by packet, or by bytes with the weights of RTTDT1C"},
    ROW("dma_reads_outstanding_packets", PARAM_INTEGER, reads_outstanding, "16", "1", "64",
        "packets whose data may be under way from memory at once (assumed)"),
    {0},
};

enum error_code nic_config_check(const struct nic_config *config, struct error *error) {
    const uint64_t needed = config->virtual_functions * config->queues_per_function;
    if (needed > config->queues) {
        return error_set(error, ERR_RANGE,
                         "%llu virtual functions with %llu queue pairs each need %llu; the card has %llu (queues)",
                         (unsigned long long)config->virtual_functions, (unsigned long long)config->queues_per_function,
                         (unsigned long long)needed, (unsigned long long)config->queues);
    }
    return pcie_link_check(&config->pcie, error);
}
