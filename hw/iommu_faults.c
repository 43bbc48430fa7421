/* iommu_faults.c: who was refused, and what the IOMMU counts. */
#include "hw/iommu_internal.h"

void iommu_record_fault(struct iommu *iommu, struct iommu_function *function, uint64_t iova, bool write,
                        sim_time when) {
    function->faults += 1;
    iommu->counters.faults += 1;
    if (iommu->config.fault_records != 0) {
        iommu->faults[iommu->fault_total % iommu->config.fault_records] =
            (struct iommu_fault){.requester_id = function->requester_id, .write = write, .iova = iova, .when = when};
    }
    iommu->fault_total += 1;
}

void iommu_refuse(struct iommu *iommu, uint16_t requester_id, uint64_t iova, bool write, sim_time when) {
    iommu_record_fault(iommu, iommu_function_of(iommu, requester_id), iova, write, when);
}

uint64_t iommu_bindings_epoch(const struct iommu *iommu) {
    return iommu->bindings_epoch;
}

uint32_t iommu_faults(const struct iommu *iommu, struct iommu_fault *out, uint32_t capacity) {
    const uint64_t records = iommu->config.fault_records;
    uint64_t kept = iommu->fault_total < records ? iommu->fault_total : records;
    kept = kept < capacity ? kept : capacity;
    for (uint64_t i = 0; i < kept; ++i) {
        out[i] = iommu->faults[(iommu->fault_total - kept + i) % records];
    }
    return (uint32_t)kept;
}

uint64_t iommu_fault_count(const struct iommu *iommu) {
    return iommu->fault_total;
}

void iommu_visit_stats(const struct iommu *iommu, const struct stats_sink *sink) {
    const struct iommu_counters *counters = &iommu->counters;
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"iotlb_hits", counters->iotlb_hits},
        {"iotlb_misses", counters->iotlb_misses},
        {"walks", counters->walks},
        {"walk_reads", counters->walk_reads},
        {"walk_dram_reads", counters->walk_dram_reads},
        {"context_reads", counters->context_reads},
        {"walk_busy_ns", counters->walking / SIM_NS},
        {"walk_wait_ns", counters->waiting / SIM_NS},
        {"invalidations", counters->invalidations},
        {"faults", counters->faults},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        stats_counter(sink, "iommu", rows[i].name, rows[i].value);
    }
    for (uint32_t id = 0; id < IOMMU_REQUESTERS; ++id) {
        const uint32_t index = iommu->function_index[id];
        if (index != 0 && iommu->functions[index - 1].faults != 0) {
            stats_counter(sink, iommu->functions[index - 1].instance, "faults", iommu->functions[index - 1].faults);
        }
    }
}

void iommu_reset_stats(struct iommu *iommu) {
    iommu->counters = (struct iommu_counters){0};
    for (uint32_t i = 0; i < iommu->function_count; ++i) {
        iommu->functions[i].faults = 0;
    }
}
