/* dma_engine.c: registers and jobs of "dma_engine"; the life of a command is in
 * command.c. */
#include <stdlib.h>
#include <string.h>

#include "hw/dma_engine/dma_engine_internal.h"

static const struct param engine_params[] = {
    PCIE_LINK_ROWS("pcie_", offsetof(struct dma_engine_config, link)),
    {"engine_latency", PARAM_TIME, offsetof(struct dma_engine_config, engine_latency), "133 ns", "0 ns", "100 us", NULL,
     "of a command, beside its transfers (calibrated: pcie-bench's 8-byte read takes 547 ns on an NFP-6000 whose host "
     "answers in 413 ns)"},
    {"internal_rate", PARAM_BYTE_RATE, offsetof(struct dma_engine_config, internal_rate), "9600 MB/s", "1 MB/s", NULL,
     NULL, "of internal memory, through which every byte passes (assumed: NFP-6000, 8 bytes a cycle at 1.2 GHz)"},
    {"outstanding", PARAM_INTEGER, offsetof(struct dma_engine_config, outstanding), "32", "1", "256", NULL,
     "commands in flight in the bandwidth modes"},
    {0}};

static const struct ledger_declaration engine_component = {"dma_engine", NULL, "DMA engine", "pcie"};

void dma_engine_declare_components(void) {
    (void)ledger_declare(&engine_component);
}

static enum error_code engine_check(const void *config, struct error *error) {
    return pcie_link_check(&((const struct dma_engine_config *)config)->link, error);
}

static enum error_code engine_init(struct device *device, struct error *error) {
    static const uint64_t bar_bytes[PCIE_BARS] = {DMA_ENGINE_BAR_BYTES};
    const struct dma_engine_config *config = device->config;
    struct dma_engine *engine = device->state;
    struct pcie_link *link = pcie_link_create(device->machine->pcie, device->name, &config->link, error);
    if (link == NULL) {
        return error->code;
    }
    char stream[128];
    (void)snprintf(stream, sizeof stream, "%s.addresses", device->name);
    pcie_function_attach(link, &engine->function, device, 0, bar_bytes);
    engine->function.bus_master = true;
    engine->config = *config;
    engine->device = device;
    engine->component = ledger_declare(&engine_component);
    engine->stream = random_stream_create(stream);
    engine->commands = calloc(config->outstanding, sizeof *engine->commands);
    SIM_ASSERT(engine->commands != NULL);
    histogram_init(&engine->latency);
    for (uint64_t i = 0; i < config->outstanding; i++) {
        dma_engine_command_init(engine, &engine->commands[i]);
    }
    return OK;
}

static void engine_fini(struct device *device) {
    struct dma_engine *engine = device->state;
    for (uint64_t i = 0; i < engine->config.outstanding; i++) {
        (void)sim_cancel(&engine->commands[i].event);
    }
    free(engine->commands);
    random_stream_free(engine->stream);
    histogram_free(&engine->latency);
}

/* ---- jobs ---- */

static bool job_is_possible(const struct dma_engine *engine) {
    const uint64_t size = engine->size_bytes;
    return size >= 1 && size <= DMA_ENGINE_SIZE_MAX && engine->count >= 1 &&
           (engine->mode & ~(uint64_t)DMA_ENGINE_RANDOM) < DMA_ENGINE_MODES &&
           engine->window_bytes >= dma_engine_unit_bytes(size) && engine->address % MEMORY_LINE_BYTES == 0;
}

static void go(struct dma_engine *engine) {
    engine->refused = engine->busy || !job_is_possible(engine);
    if (engine->refused) {
        return;
    }
    const uint64_t mode = engine->mode & ~(uint64_t)DMA_ENGINE_RANDOM;
    const bool one = mode == DMA_ENGINE_LATENCY_READ || mode == DMA_ENGINE_WRITE_THEN_READ;
    const uint64_t slots = one ? 1 : engine->config.outstanding;
    engine->busy = true;
    engine->issued = engine->completed = engine->faults = engine->mismatches = engine->bytes = 0;
    engine->started = engine->finished = sim_now();
    histogram_clear(&engine->latency);
    for (uint64_t i = 0; i < slots && engine->issued < engine->count; i++) {
        dma_engine_command_begin(&engine->commands[i]);
    }
}

void dma_engine_job_ends(struct dma_engine *engine) {
    void (*done)(void *) = engine->done;
    engine->busy = false;
    engine->finished = sim_now();
    engine->done = NULL;
    engine->ledger = NULL;
    if (engine->function.msix[0].enabled) {
        pcie_msix_raise(&engine->function, 0);
    }
    if (done != NULL) {
        done(engine->done_context);
    }
}

/* ---- registers ---- */

static uint64_t *programmable(struct dma_engine *engine, uint64_t offset) {
    switch (offset) {
    case DMA_ENGINE_ADDRESS:
        return &engine->address;
    case DMA_ENGINE_WINDOW:
        return &engine->window_bytes;
    case DMA_ENGINE_SIZE:
        return &engine->size_bytes;
    case DMA_ENGINE_COUNT:
        return &engine->count;
    case DMA_ENGINE_MODE:
        return &engine->mode;
    default:
        return NULL;
    }
}

static uint64_t engine_read(struct device *device, struct pcie_function *function, unsigned bar, uint64_t offset,
                            uint32_t size_bytes) {
    struct dma_engine *engine = device->state;
    const uint64_t *field = programmable(engine, offset);
    (void)function, (void)bar, (void)size_bytes;
    switch (offset) {
    case DMA_ENGINE_CONTROL:
        return (engine->busy ? 1U : 0U) | (engine->refused ? 2U : 0U);
    case DMA_ENGINE_DONE:
        return engine->completed;
    case DMA_ENGINE_FAULTS:
        return engine->faults;
    default:
        return field != NULL ? *field : 0;
    }
}

static void engine_write(struct device *device, struct pcie_function *function, unsigned bar, uint64_t offset,
                         uint32_t size_bytes, uint64_t value, struct request *request) {
    struct dma_engine *engine = device->state;
    uint64_t *field = programmable(engine, offset);
    (void)function, (void)bar, (void)size_bytes;
    if (field != NULL && !engine->busy) { /* a running job is not to be changed */
        *field = value;
    } else if (offset == DMA_ENGINE_CONTROL && (value & 1) != 0) {
        go(engine);
    }
    ledger_abandon(request, "dma_engine: no request rides on its registers", sim_now());
}

/* ---- for a caller that is not software ---- */

enum error_code dma_engine_start(struct device *device, const struct dma_engine_job *job, void (*done)(void *context),
                                 void *context) {
    struct dma_engine *engine = device->state;
    struct pcie_root *root = device->machine->pcie;
    const uint64_t bar = engine->function.bar_address[0];
    if (engine->busy) {
        return ERR_AGAIN;
    }
    pcie_poke(root, bar + DMA_ENGINE_ADDRESS, 8, job->address);
    pcie_poke(root, bar + DMA_ENGINE_WINDOW, 8, job->window_bytes);
    pcie_poke(root, bar + DMA_ENGINE_SIZE, 8, job->size_bytes);
    pcie_poke(root, bar + DMA_ENGINE_COUNT, 8, job->count);
    pcie_poke(root, bar + DMA_ENGINE_MODE, 8, (uint64_t)job->mode | (job->random ? DMA_ENGINE_RANDOM : 0));
    engine->done = done;
    engine->done_context = context;
    engine->ledger = job->ledger;
    pcie_poke(root, bar + DMA_ENGINE_CONTROL, 8, 1);
    if (engine->refused) {
        engine->done = NULL;
        engine->ledger = NULL;
        return ERR_RANGE;
    }
    return OK;
}

struct dma_engine_result dma_engine_result(const struct device *device) {
    const struct dma_engine *engine = device->state;
    return (struct dma_engine_result){
        .transfers = engine->completed - engine->faults,
        .bytes = engine->bytes,
        .faults = engine->faults,
        .mismatches = engine->mismatches,
        .started = engine->started,
        .finished = engine->busy ? sim_now() : engine->finished,
        .latency = &engine->latency,
    };
}

double dma_engine_bits_per_s(const struct device *device) {
    const struct dma_engine_result result = dma_engine_result(device);
    const sim_time elapsed = result.finished - result.started;
    return elapsed == 0 ? 0.0 : (double)result.bytes * 8.0 / ((double)elapsed / (double)SIM_S);
}

struct pcie_function *dma_engine_function(struct device *device) {
    return &((struct dma_engine *)device->state)->function;
}

/* ---- statistics ---- */

static void engine_visit_stats(const struct device *device, const struct stats_sink *sink) {
    const struct dma_engine *engine = device->state;
    stats_counter(sink, device->name, "transfers", engine->completed - engine->faults);
    stats_counter(sink, device->name, "faults", engine->faults);
    stats_counter(sink, device->name, "mismatches", engine->mismatches);
}

extern const struct device_ops dma_engine_ops;
const struct device_ops dma_engine_ops = {
    .type_name = "dma_engine",
    .help = "reads and writes memory by size, window and order: measures PCIe, IOMMU and caches",
    .params = engine_params,
    .config_bytes = sizeof(struct dma_engine_config),
    .state_bytes = sizeof(struct dma_engine),
    .declare_components = dma_engine_declare_components,
    .check = engine_check,
    .init = engine_init,
    .mmio_read = engine_read,
    .mmio_write = engine_write,
    .visit_stats = engine_visit_stats,
    .fini = engine_fini,
};
