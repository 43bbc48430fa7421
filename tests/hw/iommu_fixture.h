/* iommu_fixture.h: an IOMMU over a small memory, for its tests. */
#ifndef STILLSUIT_TESTS_HW_IOMMU_FIXTURE_H
#define STILLSUIT_TESTS_HW_IOMMU_FIXTURE_H

#include <criterion/criterion.h>
#include <string.h>

#include "hw/iommu.h"
#include "hw/iommu_regs.h"
#include "sim/config.h"

enum { FIXTURE_FUNCTION = 0x0110, FIXTURE_OTHER = 0x0111 }; /* 01:02.0 and 01:02.1 */

static struct memory *memory;
static struct cache *cache;
static struct iommu *iommu;
static uint64_t next_frame, last_frame;

static inline uint64_t fixture_allocate(void *context) {
    (void)context;
    if (next_frame == last_frame) {
        return 0;
    }
    next_frame += MEMORY_FRAME_BYTES;
    return next_frame;
}

static inline void fixture_bind(const struct param *params, void *out) {
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    cr_assert(config_bind(NULL, params, out, &diagnostics), "the defaults parse and lie in range");
    diagnostics_free(&diagnostics);
}

static inline struct iommu_config fixture_config(void) {
    struct iommu_config config = {0};
    fixture_bind(iommu_params, &config);
    return config;
}

/* 2 GHz: a read of the LLC takes 15 ns, of the DRAM 95 ns. Memory of 64 MiB, tables
 * from 1 MiB to 2 MiB. */
static inline void fixture_make(const struct iommu_config *config) {
    struct cache_config cache_config = {0};
    fixture_bind(cache_params, &cache_config);
    const struct sim_clock clock = sim_clock_make(UINT64_C(2000000000));
    struct error error = {0};
    memory = memory_create(UINT64_C(64) << 20);
    cache = cache_create(&cache_config, 1, &clock, &error);
    cr_assert_not_null(cache, "%s", error.text);
    iommu = iommu_create(config, memory, cache, &error);
    cr_assert_not_null(iommu, "%s", error.text);
    next_frame = 1 << 20;
    last_frame = 2 << 20;
}

static inline void fixture_drop(void) {
    iommu_free(iommu);
    cache_free(cache);
    memory_free(memory);
}

static inline struct iommu_domain *fixture_domain(void) {
    struct error error = {0};
    struct iommu_domain *domain = iommu_domain_create(iommu, fixture_allocate, NULL, &error);
    cr_assert_not_null(domain, "%s", error.text);
    return domain;
}

/* The address of a second-level entry, found by the test's own reading. */
static inline uint64_t fixture_entry(const struct iommu_domain *domain, uint64_t iova, unsigned level) {
    uint64_t table = iommu_domain_root(domain);
    for (unsigned at = 4; at > level; --at) {
        table = memory_read64(memory, table + ((iova >> (12 + 9 * (at - 1))) & 511) * 8) & IOMMU_PTE_ADDRESS;
    }
    return table + ((iova >> (12 + 9 * (level - 1))) & 511) * 8;
}

struct fixture_wanted {
    const char *instance, *name;
    uint64_t value;
    bool found;
};
static inline void fixture_match(void *context, const char *instance, const char *name, uint64_t value) {
    struct fixture_wanted *wanted = context;
    if (strcmp(instance, wanted->instance) == 0 && strcmp(name, wanted->name) == 0) {
        wanted->value = value;
        wanted->found = true;
    }
}
/* A counter of the IOMMU; UINT64_MAX if it is not told. */
static inline uint64_t fixture_counter(const char *instance, const char *name) {
    struct fixture_wanted wanted = {.instance = instance, .name = name};
    const struct stats_sink sink = {.context = &wanted, .counter = fixture_match};
    iommu_visit_stats(iommu, &sink);
    return wanted.found ? wanted.value : UINT64_MAX;
}

#endif
