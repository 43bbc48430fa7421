/* The drive as a device: its life, its components, its counters. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/nvme/nvme_internal.h"
#include "sim/allocate.h"
#include "sim/config.h"
#include "sim/error.h"

static const struct ledger_declaration declarations[] = {
    {"nvme", NULL, "NVMe controller", "nvme media ready pcie"},
    {"nvme_queue", "nvme", "NVMe: in a queue", NULL},
    {"nvme_limit", "nvme", "NVMe: rate limit", NULL},
    {"nvme_processing", "nvme", "NVMe: command processing", NULL},
    {"nvme_cache", "nvme", "NVMe: room in the cache, flush", NULL},
    {0},
};

void nvme_declare_components(void) {
    ledger_component out[sizeof declarations / sizeof declarations[0]];
    ledger_declare_all(declarations, out);
    media_declare_components();
}

static struct nvme_components find_components(void) {
    nvme_declare_components();
    return (struct nvme_components){.nvme = ledger_find("nvme"),
                                    .queue = ledger_find("nvme_queue"),
                                    .limit = ledger_find("nvme_limit"),
                                    .processing = ledger_find("nvme_processing"),
                                    .cache = ledger_find("nvme_cache"),
                                    .ready = ledger_find("ready"),
                                    .doorbell = ledger_find("doorbell"),
                                    .cpu = ledger_find("cpu")};
}

/* ---- making ---- */

static uint64_t bar_bytes(const struct nvme *nvme, uint32_t queues) {
    const uint64_t end = NVME_REG_DOORBELLS + 2 * ((uint64_t)queues + 1) * nvme->config->doorbell_stride;
    uint64_t bytes = 2 * (uint64_t)NVME_REG_DOORBELLS;
    while (bytes < end) {
        bytes *= 2;
    }
    return bytes;
}

static void make_queues(struct nvme_function *function) {
    function->sqs = sim_allocate((size_t)function->queue_count + 1, sizeof *function->sqs);
    function->cqs = sim_allocate((size_t)function->queue_count + 1, sizeof *function->cqs);
    for (uint32_t i = 0; i <= function->queue_count; i++) {
        function->sqs[i].function = function;
        function->cqs[i].function = function;
        function->sqs[i].id = (uint16_t)i;
        function->cqs[i].id = (uint16_t)i;
        sim_event_init(&function->cqs[i].coalesce_event, SIM_PRIORITY_HARDWARE, nvme_cq_coalesced, &function->cqs[i]);
    }
}

static void make_function(struct nvme *nvme, uint32_t number) {
    struct nvme_function *function = &nvme->functions[number];
    function->nvme = nvme;
    function->number = number;
    function->online = number == 0;
    function->queue_count = (uint32_t)(number == 0 ? nvme->config->physical_queues : nvme->config->queues_per_function);
    function->rights = sim_allocate(nvme->config->namespaces + 1, 1);
    function->weight = 1;
    function->limited_end = &function->limited;
    sim_event_init(&function->limit_event, SIM_PRIORITY_HARDWARE, nvme_limit_expired, function);
    make_queues(function);
    const uint64_t bars[PCIE_BARS] = {bar_bytes(nvme, function->queue_count), 0};
    pcie_function_attach(nvme->link, &function->pcie, nvme->device, number, bars);
    function->pcie.bus_master = number == 0;
    nvme_function_reset(function);
}

static void make_commands(struct nvme *nvme) {
    const size_t count = nvme->config->commands;
    nvme->commands = sim_allocate(count, sizeof *nvme->commands);
    for (size_t i = count; i-- > 0;) {
        struct nvme_command *command = &nvme->commands[i];
        command->nvme = nvme;
        command->next = nvme->free_commands;
        nvme->free_commands = command;
    }
    nvme->free_count = (uint32_t)count;
}

static struct media *make_media(const struct nvme_config *config, const char *device_name, bool only_check,
                                struct diagnostics *diagnostics) {
    char name[96];
    (void)snprintf(name, sizeof name, "%s.media", device_name);
    return media_create(config->media, name, config->capacity_bytes, (uint32_t)config->block_bytes, only_check,
                        diagnostics);
}

static enum error_code init(struct device *device, struct error *error) {
    struct nvme *nvme = nvme_of(device);
    nvme->device = device;
    nvme->config = device->config;
    const enum error_code code = nvme_config_check(nvme->config, error);
    if (code != OK) {
        return code;
    }
    nvme->components = find_components();
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    nvme->media = make_media(nvme->config, device->name, false, &diagnostics);
    const enum error_code media_code =
        nvme->media == NULL ? error_set(error, ERR_CONFIG, "media: %s",
                                        diagnostics.count > 0 ? diagnostics.items[0].text : "cannot be made")
                            : OK;
    diagnostics_free(&diagnostics);
    if (media_code != OK) {
        return media_code;
    }
    nvme->link = pcie_link_create(device->machine->pcie, device->name, &nvme->config->link, error);
    if (nvme->link == NULL) {
        return ERR_CONFIG;
    }
    nvme->block_bytes = (uint32_t)nvme->config->block_bytes;
    nvme->blocks = nvme->config->capacity_bytes / nvme->block_bytes;
    nvme->store = block_store_create(nvme->block_bytes, nvme->blocks);
    nvme->processors = sim_allocate(nvme->config->processors, sizeof *nvme->processors);
    nvme_cache_init(nvme);
    make_commands(nvme);
    nvme->function_count = (uint32_t)nvme->config->virtual_functions + 1;
    nvme->functions = sim_allocate(nvme->function_count, sizeof *nvme->functions);
    for (uint32_t i = 0; i < nvme->function_count; i++) {
        make_function(nvme, i);
    }
    return nvme_namespaces_init(nvme) ? OK : error_set(error, ERR_RANGE, "no namespace can be made");
}

static enum error_code check(const void *config, struct error *error) {
    return nvme_config_check(config, error);
}

static bool check_places(const void *config, const char *name, struct diagnostics *diagnostics) {
    const size_t errors = diagnostics->errors;
    (void)make_media(config, name, true, diagnostics);
    return diagnostics->errors == errors;
}

/* ---- freeing ---- */

static void free_function(struct nvme_function *function) {
    for (uint32_t i = 0; i <= function->queue_count; i++) {
        free(function->sqs[i].riders);
    }
    free(function->sqs);
    free(function->cqs);
    free(function->rights);
}

static void free_commands(struct nvme *nvme) {
    for (uint64_t i = 0; i < nvme->config->commands; i++) {
        struct nvme_command *command = &nvme->commands[i];
        free(command->buffer);
        free(command->pages);
        free(command->ops);
        free(command->parts);
    }
    free(nvme->commands);
    while (nvme->all_fetches != NULL) {
        struct nvme_fetch *fetch = nvme->all_fetches;
        nvme->all_fetches = fetch->all_next;
        free(fetch);
    }
}

static void fini(struct device *device) {
    struct nvme *nvme = nvme_of(device);
    for (uint32_t i = 0; i < nvme->function_count; i++) {
        free_function(&nvme->functions[i]);
    }
    for (uint64_t i = 0; nvme->namespaces != NULL && i <= nvme->config->namespaces; i++) {
        free(nvme->namespaces[i].extents);
        free(nvme->namespaces[i].starts);
    }
    if (nvme->commands != NULL) {
        free_commands(nvme);
    }
    nvme_cache_free(nvme);
    free(nvme->functions);
    free(nvme->namespaces);
    free(nvme->processors);
    media_free(nvme->media);
    block_store_free(nvme->store);
}

/* ---- counters ---- */

static void visit_function(const struct nvme_function *function, const struct stats_sink *sink) {
    static const struct nvme_counters none;
    const struct nvme_counters *counters = &function->counters;
    if (function->number != 0 && !function->online && memcmp(counters, &none, sizeof none) == 0) {
        return; /* one of many that nobody uses */
    }
#define NVME_COUNTER_VISIT(counter) stats_counter(sink, function->pcie.name, #counter, counters->counter);
    NVME_COUNTERS(NVME_COUNTER_VISIT)
#undef NVME_COUNTER_VISIT
}

static void visit_stats(const struct device *device, const struct stats_sink *sink) {
    const struct nvme *nvme = nvme_of(device);
    for (uint32_t i = 0; i < nvme->function_count; i++) {
        visit_function(&nvme->functions[i], sink);
    }
    if (nvme->config->write_cache != NVME_CACHE_NONE) {
        stats_counter(sink, device->name, "cache_destages", nvme->cache.destages);
        stats_counter(sink, device->name, "cache_superseded", nvme->cache.superseded);
        stats_counter(sink, device->name, "cache_room_waits", nvme->cache.room_waits);
    }
    if (nvme->media->ops->visit_stats != NULL) {
        nvme->media->ops->visit_stats(nvme->media, sink);
    }
}

static void reset_stats(struct device *device) {
    struct nvme *nvme = nvme_of(device);
    for (uint32_t i = 0; i < nvme->function_count; i++) {
        memset(&nvme->functions[i].counters, 0, sizeof nvme->functions[i].counters);
    }
    nvme->cache.destages = nvme->cache.superseded = nvme->cache.room_waits = 0;
    if (nvme->media->ops->reset_stats != NULL) {
        nvme->media->ops->reset_stats(nvme->media);
    }
}

const struct device_ops nvme_ops = {
    .type_name = "nvme",
    .help = "NVMe drive with SR-IOV virtual controllers and namespaces of extents, over a medium",
    .params = nvme_params,
    .config_bytes = sizeof(struct nvme_config),
    .state_bytes = sizeof(struct nvme),
    .declare_components = nvme_declare_components,
    .check = check,
    .check_places = check_places,
    .init = init,
    .mmio_read = nvme_mmio_read,
    .mmio_write = nvme_mmio_write,
    .visit_stats = visit_stats,
    .reset_stats = reset_stats,
    .fini = fini,
};
