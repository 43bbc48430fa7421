/* iommu_queue.c: the invalidation queue. Software writes descriptors into a ring in
 * memory; the hardware reads them back from there and does what their bits say. A
 * batch ends with a wait, whose status write tells that everything before it is
 * done; the processor spins for that, so the ring is empty between batches. */
#include "hw/iommu_internal.h"

enum { LARGEST_MASK = 18 /* pages of one descriptor, as a power of two */ };

static uint64_t slot_address(const struct iommu *iommu, uint32_t slot) {
    return iommu->queue + slot * sizeof(struct iommu_queue_descriptor);
}

static void push(struct iommu *iommu, uint64_t low, uint64_t high) {
    const uint32_t next = (iommu->queue_tail + 1) % IOMMU_QUEUE_ENTRIES;
    SIM_ASSERT_MSG(next != iommu->queue_head, "a batch fits the queue");
    memory_write64(iommu->memory, slot_address(iommu, iommu->queue_tail), low);
    memory_write64(iommu->memory, slot_address(iommu, iommu->queue_tail) + sizeof low, high);
    iommu->queue_tail = next;
}

void iommu_queue_context(struct iommu *iommu, uint16_t requester_id, uint16_t domain) {
    push(iommu,
         IOMMU_QI_CONTEXT | IOMMU_QI_CONTEXT_DEVICE | ((uint64_t)domain << IOMMU_QI_CONTEXT_DOMAIN_SHIFT) |
             ((uint64_t)requester_id << IOMMU_QI_CONTEXT_SOURCE_SHIFT),
         0);
}

void iommu_queue_domain(struct iommu *iommu, uint16_t domain) {
    push(iommu, IOMMU_QI_IOTLB | IOMMU_QI_IOTLB_DOMAIN | ((uint64_t)domain << IOMMU_QI_IOTLB_DOMAIN_SHIFT), 0);
}

void iommu_queue_pages(struct iommu *iommu, uint16_t domain, uint64_t page, uint64_t count, bool leaf_only) {
    if (count > UINT64_C(1) << LARGEST_MASK) {
        iommu_queue_domain(iommu, domain);
        return;
    }
    const uint64_t low = IOMMU_QI_IOTLB | IOMMU_QI_IOTLB_PAGE | ((uint64_t)domain << IOMMU_QI_IOTLB_DOMAIN_SHIFT);
    while (count != 0) { /* the largest aligned power of two that fits, again and again */
        uint64_t mask = 0;
        while ((page & ((UINT64_C(2) << mask) - 1)) == 0 && UINT64_C(2) << mask <= count) {
            ++mask;
        }
        push(iommu, low, page << IOMMU_PAGE_BITS | (leaf_only ? IOMMU_QI_IOTLB_LEAF_ONLY : 0) | mask);
        page += UINT64_C(1) << mask;
        count -= UINT64_C(1) << mask;
    }
}

/* ---- The hardware's side ---- */

static void forget_context(struct iommu *iommu, uint64_t low) {
    const uint16_t requester_id = (uint16_t)(low >> IOMMU_QI_CONTEXT_SOURCE_SHIFT);
    iommu_function_of(iommu, requester_id)->context_cached = false;
}

static void forget_translations(struct iommu *iommu, uint64_t low, uint64_t high) {
    const uint16_t domain = (uint16_t)(low >> IOMMU_QI_IOTLB_DOMAIN_SHIFT);
    iommu->counters.invalidations += 1;
    iommu->bindings_epoch += 1;
    if ((low & IOMMU_QI_IOTLB_GRANULARITY) == IOMMU_QI_IOTLB_DOMAIN) {
        iommu_tlb_drop_domain(&iommu->iotlb, domain);
        for (unsigned i = 0; i < IOMMU_LEVELS - 1; ++i) {
            iommu_tlb_drop_domain(&iommu->upper[i], domain);
        }
        return;
    }
    const uint64_t page = (high & IOMMU_QI_IOTLB_ADDRESS) >> IOMMU_PAGE_BITS;
    const uint64_t count = UINT64_C(1) << (high & IOMMU_QI_IOTLB_MASK);
    iommu_tlb_drop_pages(&iommu->iotlb, domain, page, count);
    for (unsigned level = 2; (high & IOMMU_QI_IOTLB_LEAF_ONLY) == 0 && level <= IOMMU_LEVELS; ++level) {
        const uint64_t first = iommu_prefix(page, level);
        const uint64_t last = iommu_prefix(page + count - 1, level);
        iommu_tlb_drop_pages(&iommu->upper[level - 2], domain, first, last - first + 1);
    }
}

static void execute(struct iommu *iommu, uint64_t low, uint64_t high) {
    switch (low & IOMMU_QI_TYPE) {
    case IOMMU_QI_CONTEXT:
        forget_context(iommu, low);
        break;
    case IOMMU_QI_IOTLB:
        forget_translations(iommu, low, high);
        break;
    case IOMMU_QI_WAIT:
        if ((low & IOMMU_QI_WAIT_STATUS_WRITE) != 0) {
            memory_write32(iommu->memory, high, (uint32_t)(low >> IOMMU_QI_WAIT_DATA_SHIFT));
        }
        break;
    default:
        SIM_ASSERT_MSG(false, "no such descriptor: %#llx", (unsigned long long)low);
    }
}

uint64_t iommu_queue_submit(struct iommu *iommu) {
    iommu->queue_serial += 1;
    push(iommu,
         IOMMU_QI_WAIT | IOMMU_QI_WAIT_STATUS_WRITE | ((uint64_t)iommu->queue_serial << IOMMU_QI_WAIT_DATA_SHIFT),
         iommu->queue_status);
    while (iommu->queue_head != iommu->queue_tail) {
        const uint64_t address = slot_address(iommu, iommu->queue_head);
        execute(iommu, memory_read64(iommu->memory, address), memory_read64(iommu->memory, address + sizeof(uint64_t)));
        iommu->queue_head = (iommu->queue_head + 1) % IOMMU_QUEUE_ENTRIES;
    }
    SIM_ASSERT(memory_read32(iommu->memory, iommu->queue_status) == iommu->queue_serial);
    return iommu->config.invalidation_cycles;
}
