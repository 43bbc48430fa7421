/* A point with the hardware alone: a DMA engine reads and writes memory by size,
 * window and warmth, and no operating system runs. */
#include <string.h>

#include "experiment/point_kinds.h"
#include "experiment/results.h"
#include "experiment/system_types.h"
#include "hw/dma_engine/dma_engine.h"
#include "hw/machine.h"
#include "sim/engine.h"
#include "sim/random.h"

struct dma_settings {
    const char *device;
    uint64_t size_bytes, window_bytes;
    bool random, warm;
};
static const struct param dma_params[] = {
    {"device", PARAM_TEXT, offsetof(struct dma_settings, device), "dma", NULL, NULL, NULL,
     "The machine's device of type dma_engine"},
    {"size", PARAM_BYTES, offsetof(struct dma_settings, size_bytes), "64 B", "1 B", "8192 B", NULL,
     "Bytes of a transfer"},
    {"window", PARAM_BYTES, offsetof(struct dma_settings, window_bytes), "8 KiB", "64 B", "1 GiB", NULL,
     "Memory that the transfers lie in"},
    {"random", PARAM_BOOL, offsetof(struct dma_settings, random), "true", NULL, NULL, NULL,
     "Addresses at random within the window, else one after the other"},
    {"warm", PARAM_BOOL, offsetof(struct dma_settings, warm), "true", NULL, NULL, NULL,
     "The processor has just written the window; else no cache holds any of it"},
    {0},
};

struct dma_system {
    const char *type;
    int mode;
};
/* In the order of enum dma_engine_mode. */
static const char *const modes[] = {"read_latency", "read_bandwidth", "write_bandwidth", "write_then_read", NULL};
static const char *const dma_types[] = {"dma_engine", NULL};
static const struct param dma_system_params[] = {
    {"type", PARAM_TEXT, offsetof(struct dma_system, type), "dma_engine", NULL, NULL, NULL, "dma_engine"},
    {"mode", PARAM_CHOICE, offsetof(struct dma_system, mode), NULL, NULL, NULL, modes, "What the engine does"},
    {0},
};

struct dma_bench {
    const struct plan_point *point;
    struct machine *machine;
    struct device *engine;
    struct ledger *ledger;
    struct dma_settings settings;
    struct dma_system system;
    uint64_t window_address, next_table;
};

enum { WINDOW_ADDRESS = 1 << 30 };

/* The tables of the IOMMU lie below the window. */
static uint64_t table_frame(void *context) {
    struct dma_bench *bench = context;
    const uint64_t frame = bench->next_table;
    bench->next_table += MEMORY_FRAME_BYTES;
    memory_fill(bench->machine->memory, frame, 0, MEMORY_FRAME_BYTES);
    return frame < WINDOW_ADDRESS ? frame : 0;
}

static bool map_window(struct dma_bench *bench, struct diagnostics *diagnostics) {
    if (iommu_mode(bench->machine->iommu) == IOMMU_OFF) {
        return true;
    }
    struct error error = {0};
    struct iommu_domain *domain = iommu_domain_create(bench->machine->iommu, table_frame, bench, &error);
    const uint64_t bytes =
        (bench->settings.window_bytes + MEMORY_FRAME_BYTES - 1) / MEMORY_FRAME_BYTES * MEMORY_FRAME_BYTES;
    if (domain == NULL ||
        iommu_map(domain, bench->window_address, bench->window_address, bytes, IOMMU_READ | IOMMU_WRITE) != OK) {
        diagnostics_at(diagnostics, config_get(config_root(bench->point->config), "dma"),
                       "dma.window: the IOMMU cannot map it");
        return false;
    }
    iommu_attach(bench->machine->iommu, dma_engine_function(bench->engine)->requester_id, domain);
    return true;
}

static bool build(struct dma_bench *bench, const struct plan_point *point, struct diagnostics *diagnostics) {
    memset(bench, 0, sizeof *bench);
    bench->point = point;
    bench->window_address = WINDOW_ADDRESS;
    bench->next_table = WINDOW_ADDRESS / 2;
    random_seed(point->seed);
    system_types_declare_components();
    bench->ledger = ledger_create("transfers");
    const struct config_node *root = config_root(point->config);
    const struct config_node *machine = plan_machine(point, diagnostics);
    if (machine == NULL) {
        return false;
    }
    bool good = config_bind(config_get(root, "dma"), dma_params, &bench->settings, diagnostics);
    good = config_bind(point->system_node, dma_system_params, &bench->system, diagnostics) && good;
    if (good && strcmp(bench->system.type, dma_types[0]) != 0) {
        diagnostics_at(diagnostics, config_get(point->system_node, "type"),
                       "systems.%s.type: '%s' is not dma_engine, the one of kind: dma",
                       point->experiment->systems[point->system].name, bench->system.type);
        good = false;
    }
    if (bench->settings.size_bytes > bench->settings.window_bytes) {
        diagnostics_at(diagnostics, config_get(root, "dma"), "dma.size: %llu B do not fit into a window of %llu B",
                       (unsigned long long)bench->settings.size_bytes,
                       (unsigned long long)bench->settings.window_bytes);
        good = false;
    }
    if (point->run.requests == 0) {
        const struct config_node *run = config_get(root, "run");
        diagnostics_at(diagnostics, run != NULL ? run : root,
                       "run.requests: an experiment of kind dma counts transfers");
        good = false;
    }
    good = machine_create(machine, &bench->machine, diagnostics) && good;
    if (!good) {
        return false;
    }
    const struct config_node *at = config_path(root, "dma.device");
    const struct config_node *window = config_path(root, "dma.window");
    bench->engine = machine_device(bench->machine, bench->settings.device);
    if (bench->engine == NULL || strcmp(bench->engine->ops->type_name, "dma_engine") != 0) {
        diagnostics_at(diagnostics, at != NULL ? at : root, "dma.device: the machine has no dma_engine named '%s'",
                       bench->settings.device);
        return false;
    }
    if (!memory_contains(bench->machine->memory, bench->window_address, bench->settings.window_bytes)) {
        diagnostics_at(diagnostics, window != NULL ? window : root, "dma.window: the machine's memory ends before it");
        return false;
    }
    return map_window(bench, diagnostics);
}

bool point_dma_check(const struct plan_point *point, struct diagnostics *diagnostics) {
    struct dma_bench bench;
    return build(&bench, point, diagnostics);
}

static void stop(void *context) {
    (void)context;
    sim_stop();
}

static enum error_code run_job(struct dma_bench *bench, uint64_t count, struct ledger *ledger, struct error *error) {
    const struct dma_engine_job job = {.mode = (enum dma_engine_mode)bench->system.mode,
                                       .random = bench->settings.random,
                                       .address = bench->window_address,
                                       .window_bytes = bench->settings.window_bytes,
                                       .size_bytes = (uint32_t)bench->settings.size_bytes,
                                       .count = count,
                                       .ledger = ledger};
    const enum error_code code = dma_engine_start(bench->engine, &job, stop, NULL);
    if (code != OK) {
        return error_set(error, code, "the engine refuses: %s", error_code_text(code));
    }
    sim_run(SIM_TIME_MAX);
    return OK;
}

/* As pcie-bench does before a test: the host writes the window, or thrashes its
 * caches. Device reads allocate nothing, so a cold window stays cold. */
static void set_warmth(const struct dma_bench *bench) {
    cache_flush_all(bench->machine->cache);
    if (bench->settings.warm) {
        for (uint64_t offset = 0; offset < bench->settings.window_bytes; offset += MEMORY_LINE_BYTES) {
            (void)cache_touch(bench->machine->cache, 0, bench->window_address + offset, 1, true, CACHE_SEQUENTIAL);
        }
    }
}

enum error_code point_dma_run(const struct plan_point *point, FILE *out, uint64_t *requests, struct error *error) {
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct dma_bench bench;
    if (!build(&bench, point, &diagnostics)) {
        diagnostics_print(&diagnostics, stderr);
        return error_set(error, ERR_CONFIG, "the point cannot be built");
    }
    set_warmth(&bench);
    enum error_code code = OK;
    if (point->run.warmup_requests > 0) {
        code = run_job(&bench, point->run.warmup_requests, NULL, error);
    }
    if (!bench.settings.warm) {
        cache_flush_all(bench.machine->cache);
    }
    machine_reset_stats(bench.machine);
    ledger_record(bench.ledger, true);
    if (code == OK) {
        code = run_job(&bench, point->run.requests, bench.ledger, error);
    }
    if (code != OK) {
        return code;
    }
    const struct dma_engine_result result = dma_engine_result(bench.engine);
    const double seconds = (double)(result.finished - result.started) / 1e15;
    (void)ledger_audit(bench.ledger, sim_now());
    results_write_breakdown(out, point, bench.ledger, 0, false);
    results_write_latency(out, point, result.latency);
    results_write_throughput(out, point, (double)result.transfers / seconds, (double)result.transfers / seconds,
                             (double)result.faults / seconds, (double)result.bytes / seconds);
    struct results_sink sink = {out, point, sim_now()};
    const struct stats_sink stats_sink = results_stats_sink(&sink);
    machine_visit_stats(bench.machine, &stats_sink);
    *requests = result.transfers;
    return OK;
}
