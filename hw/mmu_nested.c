#include "hw/mmu_nested.h"

#include <string.h>

#include "hw/mmu_regs.h"

void mmu_nested_init(struct mmu_nested *nested, struct memory *memory, struct address_space *second) {
    memset(nested, 0, sizeof *nested);
    nested->memory = memory;
    nested->second = second;
}

void mmu_nested_set_root(struct mmu_nested *nested, uint64_t root) {
    nested->root = root;
    mmu_nested_invalidate_all(nested);
}

/* ---- the TLB: set-associative, least recently used ---- */

static struct mmu_nested_entry *set_of(struct mmu_nested *nested, uint64_t page) {
    enum { SETS = MMU_NESTED_TLB_ENTRIES / MMU_NESTED_TLB_WAYS };
    return &nested->tlb[page % SETS * MMU_NESTED_TLB_WAYS];
}

static struct mmu_nested_entry *find(struct mmu_nested *nested, uint64_t page) {
    struct mmu_nested_entry *set = set_of(nested, page);
    for (int way = 0; way < MMU_NESTED_TLB_WAYS; way++) {
        if (set[way].page == page + 1) {
            return &set[way];
        }
    }
    return NULL;
}

static void fill(struct mmu_nested *nested, uint64_t page, uint64_t frame, bool write) {
    struct mmu_nested_entry *set = set_of(nested, page);
    struct mmu_nested_entry *oldest = find(nested, page);
    for (int way = 0; oldest == NULL && way < MMU_NESTED_TLB_WAYS; way++) {
        oldest = set[way].page == 0 ? &set[way] : NULL;
    }
    if (oldest == NULL) {
        oldest = set;
        for (int way = 1; way < MMU_NESTED_TLB_WAYS; way++) {
            oldest = set[way].used < oldest->used ? &set[way] : oldest;
        }
    }
    *oldest = (struct mmu_nested_entry){.page = page + 1, .frame = frame, .write = write, .used = ++nested->clock};
}

void mmu_nested_invalidate(struct mmu_nested *nested, uint64_t virtual_address) {
    struct mmu_nested_entry *entry = find(nested, virtual_address >> MMU_PAGE_BITS);
    if (entry != NULL) {
        entry->page = 0;
    }
}

void mmu_nested_invalidate_all(struct mmu_nested *nested) {
    memset(nested->tlb, 0, sizeof nested->tlb);
}

/* ---- the walk ---- */

static uint64_t index_of(uint64_t address, unsigned level) {
    return (address >> (MMU_PAGE_BITS + (level - 1) * MMU_INDEX_BITS)) & ((1U << MMU_INDEX_BITS) - 1);
}

static uint64_t reference(struct mmu_nested *nested, struct context *context, uint64_t physical) {
    nested->references++;
    if (context != NULL) {
        cpu_touch(context, physical, MMU_ENTRY_BYTES, false);
    }
    return memory_read64(nested->memory, physical);
}

static bool allows(uint64_t entry, bool write) {
    const uint64_t needed = MMU_PTE_PRESENT | MMU_PTE_USER | (write ? MMU_PTE_WRITABLE : 0);
    return (entry & needed) == needed;
}

/* Four references: one a level of the kernel's tables. */
static bool second_level(struct mmu_nested *nested, struct context *context, uint64_t address, bool write,
                         uint64_t *physical) {
    uint64_t table = address_space_root(nested->second);
    for (unsigned level = MMU_LEVELS; level > 0; level--) {
        const uint64_t entry = reference(nested, context, table + index_of(address, level) * MMU_ENTRY_BYTES);
        if (!allows(entry, write)) {
            return false;
        }
        table = entry & MMU_PTE_ADDRESS;
    }
    *physical = table | (address & ((1U << MMU_PAGE_BITS) - 1));
    return memory_contains(nested->memory, *physical, 1);
}

static enum mmu_nested_result fault(struct mmu_nested *nested, enum mmu_nested_result kind, uint64_t address,
                                    uint64_t *physical) {
    nested->first_faults += kind == MMU_NESTED_FIRST ? 1 : 0;
    nested->second_faults += kind == MMU_NESTED_SECOND ? 1 : 0;
    *physical = address;
    return kind;
}

/* The first level: each table's address goes through the second before it is read. */
static enum mmu_nested_result walk(struct mmu_nested *nested, struct context *context, uint64_t virtual_address,
                                   bool write, uint64_t *physical) {
    uint64_t table = nested->root;
    nested->walks++;
    for (unsigned level = MMU_LEVELS; level > 0; level--) {
        const uint64_t at = table + index_of(virtual_address, level) * MMU_ENTRY_BYTES;
        uint64_t place = 0;
        if (!second_level(nested, context, at, false, &place)) {
            return fault(nested, MMU_NESTED_SECOND, at, physical);
        }
        const uint64_t entry = reference(nested, context, place);
        if (!allows(entry, write)) {
            return fault(nested, MMU_NESTED_FIRST, virtual_address, physical);
        }
        table = entry & MMU_PTE_ADDRESS;
    }
    if (!second_level(nested, context, table, write, physical)) {
        return fault(nested, MMU_NESTED_SECOND, table, physical);
    }
    fill(nested, virtual_address >> MMU_PAGE_BITS, *physical, write);
    return MMU_NESTED_OK;
}

enum mmu_nested_result mmu_nested_access(struct mmu_nested *nested, struct context *context, uint64_t virtual_address,
                                         bool write, uint64_t *physical) {
    const uint64_t offset = virtual_address & ((1U << MMU_PAGE_BITS) - 1);
    struct mmu_nested_entry *entry = find(nested, virtual_address >> MMU_PAGE_BITS);
    if (virtual_address >> (MMU_VIRTUAL_BITS - 1) != 0) { /* the upper half is no program's */
        return fault(nested, MMU_NESTED_FIRST, virtual_address, physical);
    }
    if (entry != NULL && (entry->write || !write)) {
        nested->hits++;
        entry->used = ++nested->clock;
        *physical = entry->frame | offset;
        return MMU_NESTED_OK;
    }
    const enum mmu_nested_result result = walk(nested, context, virtual_address, write, physical);
    *physical |= result == MMU_NESTED_OK ? offset : 0;
    return result;
}
