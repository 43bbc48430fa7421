#include "hw/mmu_nested.h"

#include <string.h>

#include "hw/mmu_regs.h"

void mmu_nested_init(struct mmu_nested *nested, struct memory *memory, struct address_space *second) {
    memset(nested, 0, sizeof *nested);
    nested->memory = memory;
    nested->second = second;
    nested->root = MMU_NO_ROOT;
}

void mmu_nested_switch(struct mmu_nested *nested, struct address_space *second, uint64_t root, uint32_t tag) {
    nested->second = second;
    nested->root = root;
    nested->tag = tag;
}

void mmu_nested_set_root(struct mmu_nested *nested, uint64_t root) {
    nested->root = root;
    mmu_nested_invalidate_tag(nested, nested->tag);
}

/* ---- the TLB: set-associative, least recently used ---- */

static struct mmu_nested_entry *set_of(struct mmu_nested *nested, uint64_t page) {
    enum { SETS = MMU_NESTED_TLB_ENTRIES / MMU_NESTED_TLB_WAYS };
    return &nested->tlb[page % SETS * MMU_NESTED_TLB_WAYS];
}

static struct mmu_nested_entry *find(struct mmu_nested *nested, uint64_t page) {
    struct mmu_nested_entry *set = set_of(nested, page);
    for (int way = 0; way < MMU_NESTED_TLB_WAYS; way++) {
        if (set[way].page == page + 1 && set[way].tag == nested->tag) {
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
    *oldest = (struct mmu_nested_entry){
        .page = page + 1, .frame = frame, .tag = nested->tag, .write = write, .used = ++nested->clock};
}

void mmu_nested_invalidate(struct mmu_nested *nested, uint64_t virtual_address) {
    struct mmu_nested_entry *entry = find(nested, virtual_address >> MMU_PAGE_BITS);
    if (entry != NULL) {
        entry->page = 0;
    }
}

void mmu_nested_invalidate_tag(struct mmu_nested *nested, uint32_t tag) {
    for (int i = 0; i < MMU_NESTED_TLB_ENTRIES; i++) {
        nested->tlb[i].page = nested->tlb[i].tag == tag ? 0 : nested->tlb[i].page;
    }
}

void mmu_nested_invalidate_all(struct mmu_nested *nested) {
    memset(nested->tlb, 0, sizeof nested->tlb);
}

/* ---- the walk ---- */

/* One walk: what it was asked, and the first-level entries on its way, root's first:
 * their places, and whether one may be written (as marking it does). */
struct walk {
    struct context *context;
    uint64_t virtual_address;
    bool write;
    unsigned count;
    uint64_t places[MMU_LEVELS], entries[MMU_LEVELS], addresses[MMU_LEVELS];
    bool markable[MMU_LEVELS];
};

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

static enum mmu_nested_result fault(struct mmu_nested *nested, const struct walk *walk, enum mmu_nested_result kind,
                                    uint64_t address, uint64_t *physical) {
    nested->first_faults += kind == MMU_NESTED_FIRST ? 1 : 0;
    nested->second_faults += kind == MMU_NESTED_SECOND ? 1 : 0;
    *physical = address;
    /* What is cached of the page is dropped (SDM 3A, 4.10.4.1; 3C, 28.3.3.1). */
    mmu_nested_invalidate(nested, walk->virtual_address);
    return kind;
}

/* Four references: one a level of the kernel's tables. */
static bool second_level(struct mmu_nested *nested, struct context *context, uint64_t address, uint64_t *physical,
                         bool *writable) {
    uint64_t table = address_space_root(nested->second);
    *writable = true;
    for (unsigned level = MMU_LEVELS; level > 0; level--) {
        const uint64_t entry = reference(nested, context, table + index_of(address, level) * MMU_ENTRY_BYTES);
        if (!allows(entry, false)) {
            return false;
        }
        *writable = *writable && (entry & MMU_PTE_WRITABLE) != 0;
        table = entry & MMU_PTE_ADDRESS;
    }
    *physical = table | (address & ((1U << MMU_PAGE_BITS) - 1));
    return memory_contains(nested->memory, *physical, 1);
}

/* Where a table's entry lies: under nested paging its address is translated, too. */
static bool place_of(struct mmu_nested *nested, struct walk *walk, uint64_t at) {
    const unsigned i = walk->count++;
    walk->addresses[i] = at;
    walk->places[i] = at;
    walk->markable[i] = true;
    return nested->root == MMU_NO_ROOT ? memory_contains(nested->memory, at, MMU_ENTRY_BYTES)
                                       : second_level(nested, walk->context, at, &walk->places[i], &walk->markable[i]);
}

/* Down the first level. `*table` becomes the page's own address. */
static enum mmu_nested_result first_level(struct mmu_nested *nested, struct walk *walk, uint64_t *table,
                                          uint64_t *physical) {
    for (unsigned level = MMU_LEVELS; level > 0; level--) {
        const uint64_t at = *table + index_of(walk->virtual_address, level) * MMU_ENTRY_BYTES;
        if (!place_of(nested, walk, at)) {
            nested->fault_of_table = true;
            return fault(nested, walk, MMU_NESTED_SECOND, at, physical);
        }
        const uint64_t entry = reference(nested, walk->context, walk->places[walk->count - 1]);
        walk->entries[walk->count - 1] = entry;
        if (!allows(entry, walk->write)) {
            nested->fault_present = (entry & MMU_PTE_PRESENT) != 0;
            return fault(nested, walk, MMU_NESTED_FIRST, walk->virtual_address, physical);
        }
        *table = entry & MMU_PTE_ADDRESS;
    }
    return MMU_NESTED_OK;
}

/* Accessed, and dirty in the leaf of a store; a second level that forbids to write the
 * table forbids that, too. */
static enum mmu_nested_result mark(struct mmu_nested *nested, struct walk *walk, uint64_t *physical) {
    for (unsigned i = 0; i < MMU_LEVELS; i++) {
        const uint64_t marks = MMU_PTE_ACCESSED | (walk->write && i == MMU_LEVELS - 1 ? MMU_PTE_DIRTY : 0);
        if ((walk->entries[i] & marks) == marks) {
            continue;
        }
        if (!walk->markable[i]) {
            nested->fault_of_table = true;
            return fault(nested, walk, MMU_NESTED_SECOND, walk->addresses[i], physical);
        }
        walk->entries[i] |= marks;
        nested->marks++;
        if (walk->context != NULL) {
            cpu_touch(walk->context, walk->places[i], MMU_ENTRY_BYTES, true);
        }
        memory_write64(nested->memory, walk->places[i], walk->entries[i]);
    }
    return MMU_NESTED_OK;
}

static bool writable_throughout(const struct walk *walk) {
    uint64_t common = MMU_PTE_WRITABLE;
    for (unsigned i = 0; i < MMU_LEVELS; i++) {
        common &= walk->entries[i];
    }
    return common != 0;
}

static enum mmu_nested_result walk_tables(struct mmu_nested *nested, struct walk *walk, uint64_t *physical) {
    const bool one_level = nested->root == MMU_NO_ROOT;
    uint64_t table = one_level ? address_space_root(nested->second) : nested->root;
    bool writable = true;
    nested->walks++;
    nested->fault_present = nested->fault_of_table = false;
    enum mmu_nested_result result = first_level(nested, walk, &table, physical);
    if (result != MMU_NESTED_OK) {
        return result;
    }
    *physical = table;
    if (!one_level && !second_level(nested, walk->context, table, physical, &writable)) {
        return fault(nested, walk, MMU_NESTED_SECOND, table, physical);
    }
    if (walk->write && !writable) {
        nested->fault_present = true;
        return fault(nested, walk, MMU_NESTED_SECOND, table, physical);
    }
    result = mark(nested, walk, physical);
    if (result == MMU_NESTED_OK) {
        const bool dirty = (walk->entries[MMU_LEVELS - 1] & MMU_PTE_DIRTY) != 0;
        fill(nested, walk->virtual_address >> MMU_PAGE_BITS, *physical, dirty && writable && writable_throughout(walk));
    }
    return result;
}

enum mmu_nested_result mmu_nested_access(struct mmu_nested *nested, struct context *context, uint64_t virtual_address,
                                         bool write, uint64_t *physical) {
    const uint64_t offset = virtual_address & ((1U << MMU_PAGE_BITS) - 1);
    struct mmu_nested_entry *entry = find(nested, virtual_address >> MMU_PAGE_BITS);
    if (entry != NULL && (entry->write || !write)) {
        nested->hits++;
        entry->used = ++nested->clock;
        *physical = entry->frame | offset;
        return MMU_NESTED_OK;
    }
    struct walk walk = {.context = context, .virtual_address = virtual_address, .write = write};
    if (virtual_address >> (MMU_VIRTUAL_BITS - 1) != 0) { /* the upper half is no program's */
        nested->fault_present = nested->fault_of_table = false;
        return fault(nested, &walk, MMU_NESTED_FIRST, virtual_address, physical);
    }
    const enum mmu_nested_result result = walk_tables(nested, &walk, physical);
    *physical |= result == MMU_NESTED_OK ? offset : 0;
    return result;
}
