/* pcie_link.c: a link's rate and sizes, and the functions on it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/device.h"
#include "hw/pcie_internal.h"

const struct param pcie_link_params[] = {PCIE_LINK_ROWS("", 0), {0}};

/* PCI Express Base Specification 3.0, table 2-3 and following (confidence: recalled,
 * and checked by the four effective rates of the pcie-bench paper, which follow to
 * 0.4 %): the most symbol times between two acknowledgements, and between two
 * updates of credits, is
 *     (max_payload + 28) * factor / lanes + internal delay.  */
static uint64_t dllp_interval_symbols(const struct pcie_link_config *config) {
    static const uint64_t internal_delay[] = {0, 19, 70, 115, 115};
    const bool small = config->max_payload_bytes <= 256;
    uint64_t tenths = small ? 14 : 10;
    if (config->lanes >= 12) {
        tenths = small ? 30 : 20;
    } else if (config->lanes == 8 && small) {
        tenths = 25;
    }
    return (config->max_payload_bytes + 28) * tenths / (10 * config->lanes) + internal_delay[config->generation];
}

/* The rate that is left for packets: transfers times line code, less the
 * acknowledgement and the update of credits (8 bytes each) in every interval, as the
 * pcie-bench model counts them. Its authors found real links do a little better. */
static void set_rate(struct pcie_link *link) {
    static const uint64_t fs_per_transfer[] = {0, 400000, 200000, 125000, 62500};
    enum { DLLP_BYTES = 2 * 8 };
    const struct pcie_link_config *config = &link->config;
    const bool wide_code = config->generation >= 3; /* 128b/130b, before that 8b/10b */
    const uint64_t interval = dllp_interval_symbols(config);
    SIM_ASSERT(interval > DLLP_BYTES);
    link->fs_numerator = 8 * fs_per_transfer[config->generation] * (wide_code ? 130 : 10) * interval;
    link->fs_denominator = config->lanes * (wide_code ? 128 : 8) * (interval - DLLP_BYTES);
}

static bool is_power_of_two(uint64_t value) {
    return value != 0 && (value & (value - 1)) == 0;
}

enum error_code pcie_link_check(const struct pcie_link_config *config, struct error *error) {
    const uint64_t lanes = config->lanes;
    if (config->generation < 1 || config->generation > 4) {
        return error_set(error, ERR_RANGE, "there is no PCIe generation %llu; 1..4 are modelled",
                         (unsigned long long)config->generation);
    }
    if (lanes > 16 || (!is_power_of_two(lanes) && lanes != 12)) {
        return error_set(error, ERR_RANGE, "a link of %llu lanes does not exist; 1, 2, 4, 8, 12 and 16 do",
                         (unsigned long long)lanes);
    }
    if (!is_power_of_two(config->max_payload_bytes) || config->max_payload_bytes < 128 ||
        config->max_payload_bytes > 4096) {
        return error_set(error, ERR_RANGE, "a max_payload of %llu bytes does not exist; 128, 256, ... 4096 do",
                         (unsigned long long)config->max_payload_bytes);
    }
    if (!is_power_of_two(config->max_read_request_bytes) || config->max_read_request_bytes < 128 ||
        config->max_read_request_bytes > 4096) {
        return error_set(error, ERR_RANGE, "a max_read_request of %llu bytes does not exist; 128, 256, ... 4096 do",
                         (unsigned long long)config->max_read_request_bytes);
    }
    if (config->tags < 1 || config->tags > 256) {
        return error_set(error, ERR_RANGE, "%llu tags: 1..256 are possible", (unsigned long long)config->tags);
    }
    return OK;
}

struct pcie_link *pcie_link_create(struct pcie_root *root, const char *name, const struct pcie_link_config *config,
                                   struct error *error) {
    if (pcie_link_check(config, error) != OK) {
        return NULL;
    }
    if (root->link_count == UINT8_MAX) {
        (void)error_set(error, ERR_EXHAUSTED, "no bus number is left for the link of %s", name);
        return NULL;
    }
    struct pcie_link *link = calloc(1, sizeof *link);
    SIM_ASSERT(link != NULL);
    link->root = root;
    link->config = *config;
    link->bus = ++root->link_count; /* bus 0 is the root's own */
    link->tags_free = config->tags;
    link->completion_bytes = root->config.completion_bytes;
    if (link->completion_bytes == 0 || link->completion_bytes > config->max_payload_bytes) {
        link->completion_bytes = config->max_payload_bytes;
    }
    set_rate(link);
    pcie_lane_init(&link->up, name, ".pcie_up");
    pcie_lane_init(&link->down, name, ".pcie_down");
    *root->links_end = link;
    root->links_end = &link->next;
    return link;
}

void pcie_link_free(struct pcie_link *link) {
    for (size_t i = 0; i < PCIE_FUNCTIONS_MAX; i++) {
        if (link->functions[i] != NULL) {
            free(link->functions[i]->name);
            free(link->functions[i]);
        }
    }
    pcie_lane_free(&link->up);
    pcie_lane_free(&link->down);
    free(link->waiting);
    free(link);
}

/* ---- sizes (pcie-bench's model) ---- */

enum { WRITE_HEADER_BYTES = 24, READ_REQUEST_BYTES = 24, COMPLETION_HEADER_BYTES = 20 };

/* Packets for so many bytes; a transfer of none still takes one. */
static uint64_t pieces(uint64_t length_bytes, uint64_t piece_bytes) {
    return length_bytes <= piece_bytes ? 1 : (length_bytes + piece_bytes - 1) / piece_bytes;
}

uint64_t pcie_write_bytes(const struct pcie_link *link, uint64_t length_bytes) {
    return pieces(length_bytes, link->config.max_payload_bytes) * WRITE_HEADER_BYTES + length_bytes;
}

uint64_t pcie_read_request_bytes(const struct pcie_link *link, uint64_t length_bytes) {
    return pieces(length_bytes, link->config.max_read_request_bytes) * READ_REQUEST_BYTES;
}

uint64_t pcie_completion_bytes(const struct pcie_link *link, uint64_t length_bytes) {
    return pieces(length_bytes, link->completion_bytes) * COMPLETION_HEADER_BYTES + length_bytes;
}

sim_time pcie_serialize(const struct pcie_link *link, uint64_t bytes) {
    SIM_ASSERT(bytes <= UINT32_MAX / 1024); /* keeps the product within 64 bits */
    return bytes * link->fs_numerator / link->fs_denominator;
}

/* ---- functions ---- */

static char *function_name(const struct device *device, uint32_t number) {
    enum { NAME_BYTES = 128 };
    char *name = malloc(NAME_BYTES);
    SIM_ASSERT(name != NULL);
    const char *instance = device != NULL ? device->name : "device";
    if (number == 0) {
        (void)snprintf(name, NAME_BYTES, "%s.pf", instance);
    } else {
        (void)snprintf(name, NAME_BYTES, "%s.vf%u", instance, (unsigned)(number - 1));
    }
    return name;
}

static void add_window(struct pcie_root *root, struct pcie_function *function, unsigned bar, uint64_t bytes) {
    enum { FRAME_BYTES = 4096 };
    SIM_ASSERT_MSG(is_power_of_two(bytes) && bytes >= FRAME_BYTES, "a BAR is a power of two of whole frames");
    if (root->window_count == root->window_capacity) {
        root->window_capacity = root->window_capacity == 0 ? 16 : 2 * root->window_capacity;
        root->windows = realloc(root->windows, root->window_capacity * sizeof *root->windows);
        SIM_ASSERT(root->windows != NULL);
    }
    const uint64_t base = (root->window_end + bytes - 1) & ~(bytes - 1); /* a BAR is aligned to its size */
    root->windows[root->window_count++] = (struct pcie_window){base, bytes, function, bar};
    root->window_end = base + bytes;
    function->bar_address[bar] = base;
    function->bar_bytes[bar] = bytes;
}

void pcie_function_attach(struct pcie_link *link, struct pcie_function *function, struct device *device,
                          uint32_t number, const uint64_t bar_bytes[PCIE_BARS]) {
    SIM_ASSERT_MSG(number < PCIE_FUNCTIONS_MAX && link->functions[number] == NULL, "function %u of a link is taken",
                   (unsigned)number);
    struct pcie_attached *attached = calloc(1, sizeof *attached);
    SIM_ASSERT(attached != NULL);
    attached->function = function;
    function->name = attached->name = function_name(device, number);
    link->functions[number] = attached;
    function->requester_id = (uint16_t)((uint32_t)link->bus << 8U | number);
    function->device = device;
    function->number = number;
    function->link = link;
    for (unsigned bar = 0; bar < PCIE_BARS; bar++) {
        function->bar_address[bar] = 0;
        function->bar_bytes[bar] = 0;
        if (bar_bytes[bar] != 0) {
            add_window(link->root, function, bar, bar_bytes[bar]);
        }
    }
}

/* ---- statistics ---- */

static void visit_function(const struct pcie_attached *attached, const struct stats_sink *sink) {
    const struct pcie_function *function = attached->function;
    const bool active = (function->dma_reads | function->dma_writes | function->dma_faults | function->interrupts) != 0;
    if (function->number != 0 && !function->bus_master && !active) {
        return; /* one of many virtual functions that nobody uses */
    }
    stats_counter(sink, attached->name, "dma_reads", function->dma_reads);
    stats_counter(sink, attached->name, "dma_read_bytes", function->dma_read_bytes);
    stats_counter(sink, attached->name, "dma_writes", function->dma_writes);
    stats_counter(sink, attached->name, "dma_write_bytes", function->dma_write_bytes);
    stats_counter(sink, attached->name, "dma_faults", function->dma_faults);
    stats_counter(sink, attached->name, "interrupts", function->interrupts);
}

void pcie_link_visit_stats(const struct pcie_link *link, const struct stats_sink *sink) {
    for (size_t i = 0; i < PCIE_FUNCTIONS_MAX; i++) {
        if (link->functions[i] != NULL) {
            visit_function(link->functions[i], sink);
        }
    }
    stats_counter(sink, link->up.name, "tag_waits", link->tag_waits);
    pcie_lane_visit(&link->up, sink);
    pcie_lane_visit(&link->down, sink);
}

void pcie_link_reset_stats(struct pcie_link *link) {
    for (size_t i = 0; i < PCIE_FUNCTIONS_MAX; i++) {
        if (link->functions[i] != NULL) {
            struct pcie_function *function = link->functions[i]->function;
            function->dma_reads = function->dma_writes = 0;
            function->dma_read_bytes = function->dma_write_bytes = 0;
            function->dma_faults = function->interrupts = 0;
        }
    }
    link->tag_waits = 0;
    pcie_lane_reset(&link->up);
    pcie_lane_reset(&link->down);
}
