/* iommu.c: parameters, life, and the verdict on one access. */
#include "hw/iommu.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "hw/iommu_internal.h"

static const char *const modes[] = {
    [IOMMU_ON] = "on", [IOMMU_PASS_THROUGH] = "pass_through", [IOMMU_OFF] = "off", NULL};

#define ROW(name, kind, value, low, high, text)                                                                        \
    {                                                                                                                  \
        .key = #name, .type = (kind), .offset = offsetof(struct iommu_config, name), .default_text = (value),          \
        .minimum = (low), .maximum = (high), .help = (text)                                                            \
    }

/* Defaults: VT-d of Xeon E5-2600 (Sandy Bridge-EP), from pcie-bench's raw data
 * (Neugebauer et al., SIGCOMM 2018): 128 entries, about 243 ns a miss, of which one
 * read of a table that the LLC holds is 13 ns. */
const struct param iommu_params[] = {
    {.key = "mode",
     .type = PARAM_CHOICE,
     .offset = offsetof(struct iommu_config, mode),
     .default_text = "on",
     .choices = modes,
     .help = "on: each function reaches what its domain maps; pass_through: all memory, without a walk; off: no IOMMU"},
    ROW(iotlb_entries, PARAM_INTEGER, "128", "1", "1048576", "translations that the IOTLB holds"),
    ROW(iotlb_ways, PARAM_INTEGER, "0", "0", "1048576", "ways of the IOTLB; 0: fully associative"),
    ROW(walk_cache_entries, PARAM_INTEGER, "32", "0", "65536", "cached entries of each upper table level; 0: none"),
    ROW(walkers, PARAM_INTEGER, "1", "1", "64", "walks that may overlap"),
    ROW(walk_overhead, PARAM_TIME, "230 ns", "0 ns", "100 us", "of a walk, beside its memory reads"),
    ROW(hit_latency, PARAM_TIME, "0 ns", "0 ns", "100 us", "of an IOTLB look-up, beyond a request without IOMMU"),
    ROW(invalidation_cycles, PARAM_CYCLES, "2000 cycles", "0 cycles", "10000000 cycles",
        "of the processor, for a queued invalidation with its wait"),
    ROW(fault_records, PARAM_INTEGER, "64", "0", "65536", "newest faults that are kept"),
    {0},
};

struct iommu *iommu_create(const struct iommu_config *config, struct memory *memory, struct cache *cache,
                           struct error *error) {
    if (config->iotlb_ways != 0 && config->iotlb_entries % config->iotlb_ways != 0) {
        (void)error_set(error, ERR_CONFIG, "iommu: iotlb_entries (%llu) is not a multiple of iotlb_ways (%llu)",
                        (unsigned long long)config->iotlb_entries, (unsigned long long)config->iotlb_ways);
        return NULL;
    }
    if (config->iotlb_entries == 0 || config->walkers == 0 || config->walkers > IOMMU_WALKERS_MAX) {
        (void)error_set(error, ERR_CONFIG, "iommu: at least one IOTLB entry and 1 to %d walkers", IOMMU_WALKERS_MAX);
        return NULL;
    }
    struct iommu *iommu = calloc(1, sizeof *iommu);
    SIM_ASSERT_MSG(iommu != NULL, "out of memory");
    iommu->config = *config;
    iommu->memory = memory;
    iommu->cache = cache;
    iommu->llc_latency = cache_llc_latency(cache);
    iommu_tlb_init(&iommu->iotlb, (uint32_t)config->iotlb_entries, (uint32_t)config->iotlb_ways);
    for (unsigned i = 0; i < IOMMU_LEVELS - 1; ++i) {
        iommu_tlb_init(&iommu->upper[i], (uint32_t)config->walk_cache_entries, 0);
    }
    iommu->function_index = calloc(IOMMU_REQUESTERS, sizeof *iommu->function_index);
    iommu->faults = calloc(config->fault_records + 1, sizeof *iommu->faults);
    SIM_ASSERT_MSG(iommu->function_index != NULL && iommu->faults != NULL, "out of memory");
    return iommu;
}

void iommu_free(struct iommu *iommu) {
    if (iommu == NULL) {
        return;
    }
    for (uint32_t i = 0; i < iommu->domain_count; ++i) {
        free(iommu->domains[i]);
    }
    free(iommu->domains);
    iommu_tlb_free(&iommu->iotlb);
    for (unsigned i = 0; i < IOMMU_LEVELS - 1; ++i) {
        iommu_tlb_free(&iommu->upper[i]);
    }
    free(iommu->function_index);
    free(iommu->functions);
    free(iommu->faults);
    free(iommu);
}

enum iommu_mode iommu_mode(const struct iommu *iommu) {
    return (enum iommu_mode)iommu->config.mode;
}
const struct iommu_config *iommu_configuration(const struct iommu *iommu) {
    return &iommu->config;
}
uint64_t iommu_root_table(const struct iommu *iommu) {
    return iommu->root_table;
}

struct iommu_function *iommu_make_function(struct iommu *iommu, uint16_t requester_id) {
    if (iommu->function_count == iommu->function_capacity) {
        iommu->function_capacity = iommu->function_capacity == 0 ? 64 : 2 * iommu->function_capacity;
        iommu->functions = realloc(iommu->functions, iommu->function_capacity * sizeof *iommu->functions);
        SIM_ASSERT_MSG(iommu->functions != NULL, "out of memory");
    }
    struct iommu_function *function = &iommu->functions[iommu->function_count];
    iommu->function_index[requester_id] = ++iommu->function_count;
    *function = (struct iommu_function){.requester_id = requester_id};
    (void)snprintf(function->instance, sizeof function->instance, "iommu/%02x:%02x.%x", requester_id >> 8U,
                   (requester_id >> 3U) & 0x1fU, requester_id & 7U);
    return function;
}

/* Allows an access whose address is known, if it is memory's. */
static struct iommu_result conclude(struct iommu *iommu, uint16_t requester_id, uint64_t iova, bool write,
                                    struct iommu_result result) {
    result.allowed = result.allowed && memory_contains(iommu->memory, result.physical, 1);
    if (!result.allowed) {
        result.physical = 0;
        iommu_record_fault(iommu, iommu_function_of(iommu, requester_id), iova, write, result.done);
    }
    return result;
}

/* What the IOTLB or a walk says of a page. False: a fault. */
static bool find_page(struct iommu *iommu, const struct iommu_function *function, uint64_t page,
                      struct iommu_walk *walk, uint64_t *frame, uint8_t *rights) {
    const struct iommu_tlb_entry *entry = iommu_tlb_find(&iommu->iotlb, function->domain, page);
    if (entry == NULL) {
        iommu->counters.iotlb_misses += 1;
        iommu_walk_begin(iommu, walk);
        return iommu_walk_tables(iommu, function, page, walk, frame, rights);
    }
    *frame = entry->value;
    *rights = entry->rights;
    if (entry->ready <= walk->time) {
        iommu->counters.iotlb_hits += 1;
        return true;
    }
    /* The walk for this page is under way: this access waits for it, not for its own. */
    iommu->counters.iotlb_misses += 1;
    iommu->counters.waiting += entry->ready - walk->time;
    walk->time = entry->ready;
    return true;
}

static struct iommu_result translate_on(struct iommu *iommu, uint16_t requester_id, uint64_t iova, bool write,
                                        sim_time when) {
    struct iommu_function *function = iommu_function_of(iommu, requester_id);
    const sim_time looked_up = when + iommu->config.hit_latency;
    struct iommu_walk walk = {.time = looked_up};
    struct iommu_result result = {0};
    bool known = function->context_cached;
    if (!known) {
        iommu_walk_begin(iommu, &walk);
        known = iommu_walk_context(iommu, function, &walk);
    }
    if (known && function->pass_through) {
        result.physical = iova;
        result.allowed = true;
    } else if (known && iova >> IOMMU_ADDRESS_BITS == 0) {
        uint64_t frame = 0;
        uint8_t rights = 0;
        if (find_page(iommu, function, iova >> IOMMU_PAGE_BITS, &walk, &frame, &rights)) {
            result.physical = frame | iova % MEMORY_FRAME_BYTES;
            result.allowed = (rights & (write ? IOMMU_WRITE : IOMMU_READ)) != 0;
        }
        result.iotlb_hit = walk.time == looked_up;
    }
    iommu_walk_end(iommu, &walk);
    result.done = walk.time;
    result.walk = walk.time - looked_up;
    return result;
}

struct iommu_result iommu_translate(struct iommu *iommu, uint16_t requester_id, uint64_t iova, bool write,
                                    sim_time when) {
    struct iommu_result result = {.allowed = true, .physical = iova, .done = when};
    if (iommu->config.mode == IOMMU_ON) {
        result = translate_on(iommu, requester_id, iova, write, when);
    } else if (iommu->config.mode == IOMMU_PASS_THROUGH) {
        result.allowed = !iommu_function_of(iommu, requester_id)->blocked;
    }
    return conclude(iommu, requester_id, iova, write, result);
}
