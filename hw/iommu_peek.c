/* iommu_peek.c: what the tables say, read without the hardware: no time passes, no
 * cache learns, nothing is counted. */
#include "hw/iommu_internal.h"

static bool read_word(const struct iommu *iommu, uint64_t address, uint64_t *word) {
    if (!memory_contains(iommu->memory, address, sizeof *word)) {
        return false;
    }
    *word = memory_read64(iommu->memory, address);
    return true;
}

static bool peek_context(const struct iommu *iommu, uint16_t requester_id, uint64_t entry[2]) {
    enum { ENTRY_BYTES = sizeof(struct iommu_context_entry) };
    const uint64_t bus = requester_id >> 8U;
    const uint64_t device_function = requester_id & 0xffU;
    if (iommu->root_table == 0 || !read_word(iommu, iommu->root_table + bus * ENTRY_BYTES, &entry[0]) ||
        (entry[0] & IOMMU_ROOT_PRESENT) == 0) {
        return false;
    }
    const uint64_t place = (entry[0] & IOMMU_ROOT_CONTEXT_TABLE) + device_function * ENTRY_BYTES;
    return read_word(iommu, place, &entry[0]) && read_word(iommu, place + sizeof entry[0], &entry[1]) &&
           (entry[0] & IOMMU_CONTEXT_PRESENT) != 0;
}

static bool peek_tables(const struct iommu *iommu, uint64_t table, uint64_t iova, bool write, uint64_t *physical) {
    const uint64_t right = write ? IOMMU_PTE_WRITE : IOMMU_PTE_READ;
    for (unsigned level = IOMMU_LEVELS; level >= 1; --level) {
        uint64_t entry = 0;
        if (!read_word(iommu, iommu_entry_address(table, iova >> IOMMU_PAGE_BITS, level), &entry) ||
            (entry & right) == 0 || (level > 1 && (entry & IOMMU_PTE_PAGE_SIZE) != 0)) {
            return false;
        }
        table = entry & IOMMU_PTE_ADDRESS;
    }
    *physical = table | iova % MEMORY_FRAME_BYTES;
    return memory_contains(iommu->memory, *physical, 1);
}

bool iommu_peek(const struct iommu *iommu, uint16_t requester_id, uint64_t iova, bool write, uint64_t *physical) {
    uint64_t entry[2];
    *physical = iova;
    if (iommu->config.mode != IOMMU_ON) {
        const uint32_t index = iommu->function_index[requester_id];
        if (iommu->config.mode == IOMMU_PASS_THROUGH && index != 0 && iommu->functions[index - 1].blocked) {
            return false;
        }
        return memory_contains(iommu->memory, iova, 1);
    }
    if (iova >> IOMMU_ADDRESS_BITS != 0 || !peek_context(iommu, requester_id, entry)) {
        return false;
    }
    if ((entry[0] & IOMMU_CONTEXT_TYPE) == IOMMU_CONTEXT_TYPE_PASS_THROUGH) {
        return memory_contains(iommu->memory, iova, 1);
    }
    return (entry[0] & IOMMU_CONTEXT_TYPE) == IOMMU_CONTEXT_TYPE_SECOND_LEVEL &&
           (entry[1] & IOMMU_CONTEXT_WIDTH) == IOMMU_CONTEXT_WIDTH_48 &&
           peek_tables(iommu, entry[0] & IOMMU_CONTEXT_TABLE, iova, write, physical);
}
