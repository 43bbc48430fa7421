/* iommu_regs.h: layouts of Intel's "Virtualization Technology for Directed I/O,
 * Architecture Specification" (revision 3.x), legacy mode, four-level second-level
 * tables. */
#ifndef STILLSUIT_HW_IOMMU_REGS_H
#define STILLSUIT_HW_IOMMU_REGS_H

#include <stdint.h>

/* ---- 9.1 Root entry: 128 bits, 256 in a table, indexed by bus ---- */
struct iommu_root_entry {
    uint64_t low, high; /* high: reserved */
};
#define IOMMU_ROOT_PRESENT (UINT64_C(1) << 0)
#define IOMMU_ROOT_CONTEXT_TABLE UINT64_C(0xfffffffffffff000) /* 63:12 */

/* ---- 9.3 Context entry: 128 bits, 256 in a table, indexed by device and function ---- */
struct iommu_context_entry {
    uint64_t low, high;
};
#define IOMMU_CONTEXT_PRESENT (UINT64_C(1) << 0)
#define IOMMU_CONTEXT_TYPE (UINT64_C(3) << 2)              /* 3:2, translation type */
#define IOMMU_CONTEXT_TYPE_SECOND_LEVEL (UINT64_C(0) << 2) /* untranslated requests only, by the tables */
#define IOMMU_CONTEXT_TYPE_PASS_THROUGH (UINT64_C(2) << 2)
#define IOMMU_CONTEXT_TABLE UINT64_C(0xfffffffffffff000) /* 63:12, second-level table pointer */
#define IOMMU_CONTEXT_WIDTH UINT64_C(7)                  /* of high, 66:64: address width */
#define IOMMU_CONTEXT_WIDTH_48 UINT64_C(2)               /* four levels */
#define IOMMU_CONTEXT_DOMAIN_SHIFT 8                     /* of high, 87:72: domain identifier */
#define IOMMU_CONTEXT_DOMAIN_MASK UINT64_C(0xffff)

/* ---- 9.8 Second-level paging entries: 64 bits, 512 in a table ---- */
#define IOMMU_PTE_READ (UINT64_C(1) << 0)
#define IOMMU_PTE_WRITE (UINT64_C(1) << 1)
#define IOMMU_PTE_PAGE_SIZE (UINT64_C(1) << 7) /* of an upper level; super pages are not offered: reserved */
#define IOMMU_PTE_ADDRESS UINT64_C(0x000ffffffffff000)

/* ---- 6.5.2 Queued invalidation: descriptors of 128 bits ---- */
struct iommu_queue_descriptor {
    uint64_t low, high;
};
#define IOMMU_QI_TYPE UINT64_C(0xf)
/* 6.5.2.1 Context-cache invalidate */
#define IOMMU_QI_CONTEXT UINT64_C(1)
#define IOMMU_QI_CONTEXT_DEVICE (UINT64_C(3) << 4) /* granularity: one function */
#define IOMMU_QI_CONTEXT_DOMAIN_SHIFT 16
#define IOMMU_QI_CONTEXT_SOURCE_SHIFT 32
/* 6.5.2.3 IOTLB invalidate */
#define IOMMU_QI_IOTLB UINT64_C(2)
#define IOMMU_QI_IOTLB_GRANULARITY (UINT64_C(3) << 4)
#define IOMMU_QI_IOTLB_DOMAIN (UINT64_C(2) << 4)
#define IOMMU_QI_IOTLB_PAGE (UINT64_C(3) << 4)
#define IOMMU_QI_IOTLB_DOMAIN_SHIFT 16
#define IOMMU_QI_IOTLB_ADDRESS UINT64_C(0xfffffffffffff000) /* of high */
#define IOMMU_QI_IOTLB_LEAF_ONLY (UINT64_C(1) << 6)         /* of high: invalidation hint */
#define IOMMU_QI_IOTLB_MASK UINT64_C(0x3f)                  /* of high: 2^mask pages, naturally aligned */
/* 6.5.2.8 Invalidation wait */
#define IOMMU_QI_WAIT UINT64_C(5)
#define IOMMU_QI_WAIT_STATUS_WRITE (UINT64_C(1) << 5)
#define IOMMU_QI_WAIT_DATA_SHIFT 32

enum {
    IOMMU_LEVELS = 4,
    IOMMU_PAGE_BITS = 12,
    IOMMU_INDEX_BITS = 9,
    IOMMU_ADDRESS_BITS = 48,
    IOMMU_QUEUE_ENTRIES = 256 /* queue address register, size 0: one frame */
};

_Static_assert(sizeof(struct iommu_root_entry) == 16, "9.1: a root entry has 128 bits");
_Static_assert(sizeof(struct iommu_context_entry) == 16, "9.3: a context entry has 128 bits");
_Static_assert(sizeof(struct iommu_queue_descriptor) == 16, "6.5.2: a descriptor has 128 bits");
_Static_assert(256 * sizeof(struct iommu_root_entry) == 4096, "the root table is one frame");
_Static_assert(256 * sizeof(struct iommu_context_entry) == 4096, "a context table is one frame");
_Static_assert(IOMMU_QUEUE_ENTRIES * sizeof(struct iommu_queue_descriptor) == 4096, "the queue is one frame");
_Static_assert(IOMMU_PAGE_BITS + IOMMU_LEVELS * IOMMU_INDEX_BITS == IOMMU_ADDRESS_BITS, "four levels: 48 bits");

#endif
