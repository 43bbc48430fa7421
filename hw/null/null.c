/* null.c: "null": the smallest device, and the template of every other: one
 * register in one BAR, which keeps what was written to it, and two counters.
 * docs/add-a-device.md walks through this file. */
#include "hw/machine.h"

enum { NULL_BAR_BYTES = 4096, NULL_REGISTER = 0 };

struct null_config {
    struct pcie_link_config link;
    uint64_t initial_value;
};

struct null_state {
    struct pcie_function function;
    uint64_t value, reads, writes;
};

static const struct param null_params[] = {PCIE_LINK_ROWS("pcie_", offsetof(struct null_config, link)),
                                           {"initial_value", PARAM_INTEGER, offsetof(struct null_config, initial_value),
                                            "0", NULL, NULL, NULL, "what the register holds at first"},
                                           {0}};

static enum error_code null_check(const void *config, struct error *error) {
    return pcie_link_check(&((const struct null_config *)config)->link, error);
}

static enum error_code null_init(struct device *device, struct error *error) {
    static const uint64_t bar_bytes[PCIE_BARS] = {NULL_BAR_BYTES};
    const struct null_config *config = device->config;
    struct null_state *null = device->state;
    struct pcie_link *link = pcie_link_create(device->machine->pcie, device->name, &config->link, error);
    if (link == NULL) {
        return error->code;
    }
    pcie_function_attach(link, &null->function, device, 0, bar_bytes);
    null->value = config->initial_value;
    return OK;
}

static uint64_t null_mmio_read(struct device *device, struct pcie_function *function, unsigned bar, uint64_t offset,
                               uint32_t size_bytes) {
    struct null_state *null = device->state;
    (void)function, (void)bar, (void)size_bytes;
    null->reads++;
    return offset == NULL_REGISTER ? null->value : 0;
}

static void null_mmio_write(struct device *device, struct pcie_function *function, unsigned bar, uint64_t offset,
                            uint32_t size_bytes, uint64_t value, struct request *request) {
    struct null_state *null = device->state;
    (void)function, (void)bar, (void)size_bytes;
    null->writes++;
    if (offset == NULL_REGISTER) {
        null->value = value;
    }
    ledger_abandon(request, "null device", sim_now()); /* nothing is rung for here */
}

static void null_visit_stats(const struct device *device, const struct stats_sink *sink) {
    const struct null_state *null = device->state;
    stats_counter(sink, device->name, "reads", null->reads);
    stats_counter(sink, device->name, "writes", null->writes);
}

static void null_reset_stats(struct device *device) {
    struct null_state *null = device->state;
    null->reads = 0;
    null->writes = 0;
}

extern const struct device_ops null_ops;
const struct device_ops null_ops = {
    .type_name = "null",
    .help = "one register in one BAR; the template for a device",
    .params = null_params,
    .config_bytes = sizeof(struct null_config),
    .state_bytes = sizeof(struct null_state),
    .check = null_check,
    .init = null_init,
    .mmio_read = null_mmio_read,
    .mmio_write = null_mmio_write,
    .visit_stats = null_visit_stats,
    .reset_stats = null_reset_stats,
};
