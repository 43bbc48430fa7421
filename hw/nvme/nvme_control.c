/* What the physical function's driver calls, beside namespaces. */
#include "hw/nvme/nvme_internal.h"
#include "sim/error.h"

uint32_t nvme_virtual_functions(const struct device *nvme) {
    return nvme_of(nvme)->function_count - 1;
}

uint32_t nvme_queues_per_function(const struct device *nvme) {
    return (uint32_t)nvme_of(nvme)->config->queues_per_function;
}

uint32_t nvme_physical_queues(const struct device *nvme) {
    return (uint32_t)nvme_of(nvme)->config->physical_queues;
}

uint32_t nvme_queue_entries(const struct device *nvme) {
    return (uint32_t)nvme_of(nvme)->config->queue_entries;
}

uint32_t nvme_namespaces(const struct device *nvme) {
    return (uint32_t)nvme_of(nvme)->config->namespaces;
}

uint32_t nvme_extents_max(const struct device *nvme) {
    return (uint32_t)nvme_of(nvme)->config->extents;
}

uint32_t nvme_transfer_blocks(const struct device *nvme) {
    return (uint32_t)(nvme_of(nvme)->config->max_transfer_bytes / nvme_of(nvme)->block_bytes);
}

uint32_t nvme_block_bytes(const struct device *nvme) {
    return nvme_of(nvme)->block_bytes;
}

uint64_t nvme_blocks(const struct device *nvme) {
    return nvme_of(nvme)->blocks;
}

uint32_t nvme_doorbell_stride(const struct device *nvme) {
    return (uint32_t)nvme_of(nvme)->config->doorbell_stride;
}

bool nvme_volatile_cache(const struct device *nvme) {
    return nvme_of(nvme)->config->write_cache == NVME_CACHE_VOLATILE;
}

struct block_store *nvme_store(struct device *nvme) {
    return nvme_of(nvme)->store;
}

struct pcie_function *nvme_function(struct device *device, uint32_t function) {
    struct nvme *nvme = nvme_of(device);
    return function < nvme->function_count ? &nvme->functions[function].pcie : NULL;
}

const struct nvme_counters *nvme_counters(const struct device *device, uint32_t function) {
    const struct nvme *nvme = nvme_of(device);
    return function < nvme->function_count ? &nvme->functions[function].counters : NULL;
}

void nvme_function_enable(struct device *device, uint32_t number, bool enabled) {
    struct nvme *nvme = nvme_of(device);
    SIM_ASSERT_MSG(number > 0 && number < nvme->function_count, "virtual function %u of %u", number,
                   nvme->function_count - 1);
    struct nvme_function *function = &nvme->functions[number];
    if (function->online == enabled) {
        return;
    }
    function->online = enabled;
    function->pcie.bus_master = enabled;
    nvme_function_reset(function);
    for (uint32_t nsid = 1; !enabled && nsid <= nvme->config->namespaces; nsid++) {
        function->rights[nsid] = 0;
    }
}

enum error_code nvme_set_weight(struct device *device, uint32_t number, uint32_t weight) {
    struct nvme *nvme = nvme_of(device);
    if (number >= nvme->function_count || weight == 0) {
        return ERR_RANGE;
    }
    struct nvme_function *function = &nvme->functions[number];
    function->weight = weight;
    if (nvme->config->arbitration == NVME_WEIGHTED) {
        function->credit = weight;
    }
    return OK;
}

enum error_code nvme_set_rate(struct device *device, uint32_t number, const struct nvme_rate *rate) {
    struct nvme *nvme = nvme_of(device);
    if (number >= nvme->function_count) {
        return ERR_RANGE;
    }
    struct nvme_function *function = &nvme->functions[number];
    function->rate = *rate;
    function->bytes = (struct nvme_bucket){rate->bytes_per_s, 0, sim_now()};
    function->commands = (struct nvme_bucket){rate->commands_per_s, 0, sim_now()};
    if (function->limited != NULL) { /* who waits is judged anew */
        (void)sim_cancel(&function->limit_event);
        sim_schedule(&function->limit_event, 0);
    }
    return OK;
}

void nvme_power_cut(struct device *device, struct random_stream *random, double kept) {
    struct nvme *nvme = nvme_of(device);
    nvme_cache_power_cut(nvme);
    block_store_power_cut(nvme->store, random, kept);
    for (uint32_t i = 0; i < nvme->function_count; i++) {
        nvme_function_reset(&nvme->functions[i]);
    }
}
