/* pcie_fixture.h: a machine from YAML, a probe on a link of its own that notes what
 * reaches it, and arithmetic of the link that is not the model's. */
#ifndef STILLSUIT_TESTS_HW_PCIE_FIXTURE_H
#define STILLSUIT_TESTS_HW_PCIE_FIXTURE_H

#include <criterion/criterion.h>
#include <string.h>

#include "hw/machine.h"

/* Time of so many bytes on gen3 x8 with a max_payload of 256: 8 GT/s, 128b/130b, and
 * two 8-byte DLLPs in every (256 + 28) * 2.5 / 8 + 115 = 203 symbol times. */
static inline sim_time gen3_x8_time(uint64_t bytes) {
    return bytes * (8 * 125000 * UINT64_C(130) * 203) / (8 * UINT64_C(128) * (203 - 16));
}

/* A machine, which its configuration outlives; both are the fixture's to the end of
 * the test's process. */
static inline struct machine *make_machine(const char *text) {
    enum { MADE_MAX = 64 };
    static struct {
        struct config *config;
        struct machine *machine;
    } made[MADE_MAX];
    static unsigned made_count;
    struct diagnostics diagnostics;
    struct machine *machine = NULL;
    cr_assert(made_count < MADE_MAX);
    diagnostics_init(&diagnostics);
    machine_declare_components();
    struct config *config = config_parse("machine.yaml", text, &diagnostics);
    cr_assert_not_null(config);
    const bool good = machine_create(config_root(config), &machine, &diagnostics);
    diagnostics_print(&diagnostics, stderr);
    cr_assert(good);
    made[made_count].config = config;
    made[made_count++].machine = machine;
    return made[made_count - 1].machine;
}

/* ---- a device without a type: its functions and what was written to them ---- */
enum { PROBE_WRITES_MAX = 16 };
struct probe {
    struct device device;
    struct pcie_link *link;
    struct pcie_function function, second;
    struct {
        sim_time when;
        struct pcie_function *function;
        unsigned bar;
        uint64_t offset, value;
        struct request *request;
    } writes[PROBE_WRITES_MAX];
    unsigned count;
};

static inline void probe_write(struct device *device, struct pcie_function *function, unsigned bar, uint64_t offset,
                               uint32_t size_bytes, uint64_t value, struct request *request) {
    struct probe *probe = device->state;
    cr_assert(probe->count < PROBE_WRITES_MAX && size_bytes <= 8);
    probe->writes[probe->count].when = sim_now();
    probe->writes[probe->count].function = function;
    probe->writes[probe->count].bar = bar;
    probe->writes[probe->count].offset = offset;
    probe->writes[probe->count].value = value;
    probe->writes[probe->count++].request = request;
}

static inline uint64_t probe_read(struct device *device, struct pcie_function *function, unsigned bar, uint64_t offset,
                                  uint32_t size_bytes) {
    (void)device, (void)function, (void)size_bytes;
    return 1000 * bar + offset;
}

static const struct device_ops probe_ops = {
    .type_name = "probe", .help = "test", .mmio_read = probe_read, .mmio_write = probe_write};

static inline struct pcie_link_config gen3_x8(void) {
    return (struct pcie_link_config){3, 8, 256, 512, 32};
}

static inline void probe_make(struct probe *probe, struct machine *machine, const struct pcie_link_config *config) {
    static const uint64_t bars[PCIE_BARS] = {16384, 4096};
    struct error error = {0};
    memset(probe, 0, sizeof *probe);
    probe->device = (struct device){&probe_ops, "probe", machine, NULL, probe};
    probe->link = pcie_link_create(machine->pcie, "probe", config, &error);
    cr_assert(probe->link != NULL, "%s", error.text);
    pcie_function_attach(probe->link, &probe->function, &probe->device, 0, bars);
    pcie_function_attach(probe->link, &probe->second, &probe->device, 1, bars);
    probe->function.bus_master = probe->second.bus_master = true;
}

/* ---- a DMA operation that notes when it is done ---- */
struct transfer {
    struct dma_op op;
    sim_time done;
    unsigned calls;
    unsigned char bytes[12288];
};

static inline void transfer_done(struct dma_op *op) {
    struct transfer *transfer = op->context;
    transfer->done = sim_now();
    transfer->calls++;
}

static inline void transfer_make(struct transfer *transfer, struct pcie_function *function, bool write,
                                 uint64_t address, uint32_t length_bytes) {
    memset(transfer, 0, sizeof *transfer);
    for (uint32_t i = 0; write && i < length_bytes; i++) {
        transfer->bytes[i] = (unsigned char)(i * 7 + 1);
    }
    transfer->op.function = function;
    transfer->op.address = address;
    transfer->op.length_bytes = length_bytes;
    transfer->op.write = write;
    transfer->op.data = transfer->bytes;
    transfer->op.done = transfer_done;
    transfer->op.context = transfer;
}

/* ---- statistics by name ---- */
struct found {
    const char *instance, *counter;
    uint64_t value;
    unsigned hits;
};

static inline void found_counter(void *context, const char *instance, const char *counter, uint64_t value) {
    struct found *found = context;
    if (strcmp(instance, found->instance) == 0 && strcmp(counter, found->counter) == 0) {
        found->value = value;
        found->hits++;
    }
}

/* The counter, which must be told exactly once. */
static inline uint64_t counter_of(const struct machine *machine, const char *instance, const char *counter) {
    struct found found = {instance, counter, 0, 0};
    const struct stats_sink sink = {&found, found_counter, NULL};
    machine_visit_stats(machine, &sink);
    cr_assert_eq(found.hits, 1, "%s.%s is told %u times", instance, counter, found.hits);
    return found.value;
}

/* ---- a domain with frames from the top half of a 64 MiB memory ---- */
static inline uint64_t next_frame(void *context) {
    uint64_t *next = context;
    *next += MEMORY_FRAME_BYTES;
    return *next;
}

/* ---- what the tests of PCIe share ---- */
#define NO_IOMMU                                                                                                       \
    "memory: {size: 64 MiB}\ncore: {count: 2}\ncache: {model: flat, flat_cycles: 22 cycles}\niommu: {mode: off}\n"
#define WITH_IOMMU                                                                                                     \
    "memory: {size: 64 MiB}\ncache: {model: flat, flat_cycles: 22 cycles}\n"                                           \
    "iommu: {mode: on, walk_overhead: 230 ns, hit_latency: 3 ns}\n"

/* Defaults of the root complex, as documented. */
enum { READ_NS = 406, WRITE_NS = 300, MMIO_NS = 300, MSI_NS = 300 };

#endif
