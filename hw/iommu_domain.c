/* iommu_domain.c: the kernel's side: root, context and second-level tables. */
#include <stdlib.h>

#include "hw/iommu_internal.h"

enum { DOMAINS_MAX = 65535 /* identifiers have 16 bits; 0 is not given out */ };

static bool have_frame(uint64_t *frame, uint64_t (*allocate_frame)(void *context), void *context) {
    *frame = *frame != 0 ? *frame : allocate_frame(context);
    return *frame != 0;
}

void iommu_set_allocator(struct iommu *iommu, uint64_t (*allocate_frame)(void *context), void *context) {
    iommu->allocate_frame = allocate_frame;
    iommu->allocator = context;
}

/* The place of a free identifier, less one; behind the last if there is none. */
static uint32_t free_place(const struct iommu *iommu) {
    uint32_t place = 0;
    while (place < iommu->domain_count && iommu->domains[place] != NULL) {
        place++;
    }
    return place;
}

static bool make_own_tables(struct iommu *iommu, uint64_t (*allocate_frame)(void *context), void *context) {
    if (iommu->allocate_frame != NULL) {
        allocate_frame = iommu->allocate_frame;
        context = iommu->allocator;
    }
    return have_frame(&iommu->root_table, allocate_frame, context) &&
           have_frame(&iommu->queue, allocate_frame, context) &&
           have_frame(&iommu->queue_status, allocate_frame, context);
}

struct iommu_domain *iommu_domain_create(struct iommu *iommu, uint64_t (*allocate_frame)(void *context), void *context,
                                         struct error *error) {
    const uint32_t place = free_place(iommu);
    if (place == DOMAINS_MAX) {
        (void)error_set(error, ERR_EXHAUSTED, "iommu: no domain identifier is left");
        return NULL;
    }
    uint64_t root = 0;
    if (!make_own_tables(iommu, allocate_frame, context) || !have_frame(&root, allocate_frame, context)) {
        (void)error_set(error, ERR_EXHAUSTED, "iommu: no frame is left for the tables of a domain");
        return NULL;
    }
    if (place == iommu->domain_capacity) {
        iommu->domain_capacity = iommu->domain_capacity == 0 ? 16 : 2 * iommu->domain_capacity;
        iommu->domains = realloc(iommu->domains, iommu->domain_capacity * sizeof(struct iommu_domain *));
        SIM_ASSERT_MSG(iommu->domains != NULL, "out of memory");
    }
    struct iommu_domain *domain = calloc(1, sizeof *domain);
    SIM_ASSERT_MSG(domain != NULL, "out of memory");
    iommu->domains[place] = domain;
    iommu->domain_count += place == iommu->domain_count ? 1 : 0;
    *domain = (struct iommu_domain){.iommu = iommu,
                                    .allocate_frame = allocate_frame,
                                    .allocator = context,
                                    .root = root,
                                    .id = (uint16_t)(place + 1)};
    return domain;
}

static uint64_t context_address(struct iommu *iommu, uint16_t requester_id, struct iommu_domain *domain);

static bool is_attached(const struct iommu_domain *domain, uint16_t requester_id) {
    struct iommu *iommu = domain->iommu;
    const uint64_t at = context_address(iommu, requester_id, NULL);
    return at != 0 && (memory_read64(iommu->memory, at) & IOMMU_CONTEXT_PRESENT) != 0 &&
           (memory_read64(iommu->memory, at + 8) >> IOMMU_CONTEXT_DOMAIN_SHIFT & IOMMU_CONTEXT_DOMAIN_MASK) ==
               domain->id;
}

void iommu_domain_destroy(struct iommu_domain *domain) {
    struct iommu *iommu = domain->iommu;
    for (uint32_t i = 0; i < iommu->function_count; ++i) {
        if (is_attached(domain, iommu->functions[i].requester_id)) {
            (void)iommu_attach(iommu, iommu->functions[i].requester_id, NULL);
        }
    }
    if (iommu->config.mode == IOMMU_ON) { /* also what was cached before a function was detached */
        iommu_queue_domain(iommu, domain->id);
        (void)iommu_queue_submit(iommu);
    }
    iommu->domains[domain->id - 1] = NULL;
    free(domain);
}

uint64_t iommu_domain_root(const struct iommu_domain *domain) {
    return domain->root;
}

/* The address of a function's context entry; makes its table from `domain`'s frames
 * if that is given. 0: there is none. */
static uint64_t context_address(struct iommu *iommu, uint16_t requester_id, struct iommu_domain *domain) {
    if (iommu->root_table == 0) {
        return 0;
    }
    const uint64_t at = iommu->root_table + (requester_id >> 8U) * sizeof(struct iommu_root_entry);
    uint64_t entry = memory_read64(iommu->memory, at);
    if ((entry & IOMMU_ROOT_PRESENT) == 0) {
        const bool own = iommu->allocate_frame != NULL;
        const uint64_t frame = domain == NULL ? 0
                               : own          ? iommu->allocate_frame(iommu->allocator)
                                              : domain->allocate_frame(domain->allocator);
        if (frame == 0) {
            return 0;
        }
        entry = frame | IOMMU_ROOT_PRESENT;
        memory_write64(iommu->memory, at, entry);
    }
    return (entry & IOMMU_ROOT_CONTEXT_TABLE) + (requester_id & 0xffU) * sizeof(struct iommu_context_entry);
}

enum error_code iommu_attach(struct iommu *iommu, uint16_t requester_id, struct iommu_domain *domain) {
    const uint64_t at = context_address(iommu, requester_id, domain);
    if (at == 0 && domain != NULL) {
        return ERR_EXHAUSTED;
    }
    iommu_function_of(iommu, requester_id)->blocked = domain == NULL;
    if (at == 0) {
        return OK; /* without a table it is blocked as it is */
    }
    const struct iommu_context_entry old = {memory_read64(iommu->memory, at), memory_read64(iommu->memory, at + 8)};
    struct iommu_context_entry new = {0};
    if (domain != NULL) {
        new.low = domain->root | IOMMU_CONTEXT_PRESENT |
                  (iommu->config.mode == IOMMU_PASS_THROUGH ? IOMMU_CONTEXT_TYPE_PASS_THROUGH
                                                            : IOMMU_CONTEXT_TYPE_SECOND_LEVEL);
        new.high = IOMMU_CONTEXT_WIDTH_48 | ((uint64_t)domain->id << IOMMU_CONTEXT_DOMAIN_SHIFT);
    }
    memory_write64(iommu->memory, at, 0); /* never present with one half of another entry */
    memory_write64(iommu->memory, at + 8, new.high);
    memory_write64(iommu->memory, at, new.low);
    if ((old.low & IOMMU_CONTEXT_PRESENT) != 0) {
        const uint16_t id = (uint16_t)(old.high >> IOMMU_CONTEXT_DOMAIN_SHIFT);
        iommu_queue_context(iommu, requester_id, id);
        iommu_queue_domain(iommu, id);
        (void)iommu_queue_submit(iommu);
    }
    return OK;
}

/* The address of the leaf entry of a page; makes the tables on the way if `make`.
 * 0: a table is missing, or cannot be had. */
static uint64_t leaf_address(struct iommu_domain *domain, uint64_t page, bool make) {
    struct memory *memory = domain->iommu->memory;
    uint64_t table = domain->root;
    for (unsigned level = IOMMU_LEVELS; level > 1; --level) {
        const uint64_t at = iommu_entry_address(table, page, level);
        if (!memory_contains(memory, at, sizeof(uint64_t))) {
            return 0; /* someone wrote nonsense into the table */
        }
        uint64_t entry = memory_read64(memory, at);
        if ((entry & (IOMMU_PTE_READ | IOMMU_PTE_WRITE)) == 0) {
            const uint64_t frame = make ? domain->allocate_frame(domain->allocator) : 0;
            if (frame == 0) {
                return 0;
            }
            entry = frame | IOMMU_PTE_READ | IOMMU_PTE_WRITE; /* rights are the leaf's to restrict */
            memory_write64(memory, at, entry);
        }
        table = entry & IOMMU_PTE_ADDRESS;
    }
    const uint64_t at = iommu_entry_address(table, page, 1);
    return memory_contains(memory, at, sizeof(uint64_t)) ? at : 0;
}

/* Clears the leaves of `count` pages. */
static void clear_pages(struct iommu_domain *domain, uint64_t page, uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) {
        const uint64_t at = leaf_address(domain, page + i, false);
        if (at != 0) {
            memory_write64(domain->iommu->memory, at, 0);
        }
    }
}

static bool is_range_of_frames(uint64_t address, uint64_t length_bytes) {
    const uint64_t end = UINT64_C(1) << IOMMU_ADDRESS_BITS;
    return length_bytes != 0 && (address | length_bytes) % MEMORY_FRAME_BYTES == 0 && length_bytes <= end &&
           address <= end - length_bytes;
}

enum error_code iommu_map(struct iommu_domain *domain, uint64_t iova, uint64_t physical, uint64_t length_bytes,
                          unsigned rights) {
    struct memory *memory = domain->iommu->memory;
    if (!is_range_of_frames(iova, length_bytes) || physical % MEMORY_FRAME_BYTES != 0 ||
        !memory_contains(memory, physical, length_bytes) || rights == 0 ||
        (rights & ~(unsigned)(IOMMU_READ | IOMMU_WRITE)) != 0) {
        return ERR_RANGE;
    }
    const uint64_t page = iova >> IOMMU_PAGE_BITS;
    const uint64_t count = length_bytes >> IOMMU_PAGE_BITS;
    for (uint64_t i = 0; i < count; ++i) {
        const uint64_t at = leaf_address(domain, page + i, false);
        if (at != 0 && memory_read64(memory, at) != 0) {
            return ERR_EXISTS;
        }
    }
    for (uint64_t i = 0; i < count; ++i) {
        const uint64_t at = leaf_address(domain, page + i, true);
        if (at == 0) { /* nothing stays half mapped; the tables made stay, empty */
            clear_pages(domain, page, i);
            return ERR_EXHAUSTED;
        }
        memory_write64(memory, at, (physical + i * MEMORY_FRAME_BYTES) | rights);
    }
    return OK;
}

static uint64_t invalidate(struct iommu_domain *domain, uint64_t iova, uint64_t length_bytes, bool leaf_only) {
    if (domain->iommu->config.mode != IOMMU_ON) {
        return 0; /* nothing is cached of tables that nobody reads */
    }
    iommu_queue_pages(domain->iommu, domain->id, iova >> IOMMU_PAGE_BITS, length_bytes >> IOMMU_PAGE_BITS, leaf_only);
    return iommu_queue_submit(domain->iommu);
}

uint64_t iommu_unmap(struct iommu_domain *domain, uint64_t iova, uint64_t length_bytes) {
    SIM_ASSERT_MSG(is_range_of_frames(iova, length_bytes), "whole frames are unmapped");
    clear_pages(domain, iova >> IOMMU_PAGE_BITS, length_bytes >> IOMMU_PAGE_BITS);
    /* The upper tables stay: what is cached of them stays true. */
    return invalidate(domain, iova, length_bytes, true);
}

uint64_t iommu_invalidate(struct iommu_domain *domain, uint64_t iova, uint64_t length_bytes) {
    SIM_ASSERT_MSG(is_range_of_frames(iova, length_bytes), "whole frames are invalidated");
    return invalidate(domain, iova, length_bytes, false);
}
