/* mmu.c: page tables in simulated memory, and the walk through them. */
#include "hw/mmu.h"

#include <stdlib.h>
#include <string.h>

#include "hw/mmu_regs.h"

enum { CACHED_WALKS = 256 };

/* A walk that was done before: where its entries lie and what they said. It holds
 * as long as they say the same, so that it never tells anything but what the walk
 * itself would tell; it only spares the host the chain of look-ups. */
struct cached_walk {
    uint64_t page; /* virtual page number plus one; 0: free */
    const uint8_t *entries[MMU_LEVELS];
    uint64_t values[MMU_LEVELS];
    uint64_t rights; /* common to all levels: MMU_PTE_WRITABLE | MMU_PTE_USER */
    uint64_t physical;
};

struct address_space {
    struct memory *memory;
    uint64_t (*allocate_frame)(void *context);
    void *allocator;
    uint64_t root;
    struct cached_walk cached[CACHED_WALKS];
};

struct address_space *address_space_create(struct memory *memory, uint64_t (*allocate_frame)(void *context),
                                           void *context) {
    const uint64_t root = allocate_frame(context);
    if (root == 0) {
        return NULL;
    }
    struct address_space *space = calloc(1, sizeof *space);
    SIM_ASSERT_MSG(space != NULL, "out of memory");
    space->memory = memory;
    space->allocate_frame = allocate_frame;
    space->allocator = context;
    space->root = root;
    return space;
}

void address_space_free(struct address_space *space) {
    free(space);
}

uint64_t address_space_root(const struct address_space *space) {
    return space->root;
}

/* Level 4 is the root, level 1 holds the leaves. */
static inline uint64_t entry_address(uint64_t table, uint64_t virtual_address, unsigned level) {
    const unsigned shift = MMU_PAGE_BITS + (level - 1) * MMU_INDEX_BITS;
    const uint64_t index = (virtual_address >> shift) & ((1U << MMU_INDEX_BITS) - 1);
    return table + index * MMU_ENTRY_BYTES;
}

/* Bits 63..47 are equal (SDM volume 1, 3.3.7.1). */
static inline bool is_canonical(uint64_t virtual_address) {
    const uint64_t high = virtual_address >> (MMU_VIRTUAL_BITS - 1);
    return high == 0 || high == (UINT64_MAX >> (MMU_VIRTUAL_BITS - 1));
}

static bool is_mappable(uint64_t virtual_address, uint64_t length_bytes) {
    return length_bytes != 0 && (virtual_address | length_bytes) % MEMORY_FRAME_BYTES == 0 &&
           virtual_address + (length_bytes - 1) >= virtual_address && is_canonical(virtual_address) &&
           is_canonical(virtual_address + length_bytes - 1) &&
           virtual_address >> (MMU_VIRTUAL_BITS - 1) == (virtual_address + length_bytes - 1) >> (MMU_VIRTUAL_BITS - 1);
}

/* The address of the leaf entry; makes the tables on the way if `make`. 0: a table
 * is missing, or cannot be had. */
static uint64_t leaf_address(struct address_space *space, uint64_t virtual_address, bool make) {
    uint64_t table = space->root;
    for (unsigned level = MMU_LEVELS; level > 1; --level) {
        const uint64_t at = entry_address(table, virtual_address, level);
        if (!memory_contains(space->memory, at, MMU_ENTRY_BYTES)) {
            return 0; /* someone wrote nonsense into the table */
        }
        uint64_t entry = memory_read64(space->memory, at);
        if ((entry & MMU_PTE_PRESENT) == 0) {
            const uint64_t frame = make ? space->allocate_frame(space->allocator) : 0;
            if (frame == 0) {
                return 0;
            }
            /* Rights are the leaf's to restrict. */
            entry = frame | MMU_PTE_PRESENT | MMU_PTE_WRITABLE | MMU_PTE_USER;
            memory_write64(space->memory, at, entry);
        }
        table = entry & MMU_PTE_ADDRESS;
    }
    const uint64_t at = entry_address(table, virtual_address, 1);
    return memory_contains(space->memory, at, MMU_ENTRY_BYTES) ? at : 0;
}

/* Removes the leaf of one page, if it has one. */
static void unmap_page(struct address_space *space, uint64_t virtual_address) {
    const uint64_t at = leaf_address(space, virtual_address, false);
    if (at != 0) {
        memory_write64(space->memory, at, 0);
    }
}

enum error_code address_space_map(struct address_space *space, uint64_t virtual_address, uint64_t physical,
                                  uint64_t length_bytes, unsigned flags) {
    if (!is_mappable(virtual_address, length_bytes) || physical % MEMORY_FRAME_BYTES != 0 ||
        length_bytes > (UINT64_C(1) << MMU_PHYSICAL_BITS) ||
        physical > (UINT64_C(1) << MMU_PHYSICAL_BITS) - length_bytes) {
        return ERR_RANGE;
    }
    for (uint64_t offset = 0; offset < length_bytes; offset += MEMORY_FRAME_BYTES) {
        const uint64_t at = leaf_address(space, virtual_address + offset, false);
        if (at != 0 && (memory_read64(space->memory, at) & MMU_PTE_PRESENT) != 0) {
            return ERR_EXISTS;
        }
    }
    const uint64_t rights =
        ((flags & MMU_WRITE) != 0 ? MMU_PTE_WRITABLE : 0) | ((flags & MMU_USER) != 0 ? MMU_PTE_USER : 0);
    for (uint64_t offset = 0; offset < length_bytes; offset += MEMORY_FRAME_BYTES) {
        const uint64_t at = leaf_address(space, virtual_address + offset, true);
        if (at == 0) { /* nothing stays half mapped; the tables made stay, empty */
            while (offset != 0) {
                offset -= MEMORY_FRAME_BYTES;
                unmap_page(space, virtual_address + offset);
            }
            return ERR_EXHAUSTED;
        }
        memory_write64(space->memory, at, (physical + offset) | rights | MMU_PTE_PRESENT);
    }
    return OK;
}

void address_space_unmap(struct address_space *space, uint64_t virtual_address, uint64_t length_bytes) {
    SIM_ASSERT_MSG(is_mappable(virtual_address, length_bytes), "whole pages are unmapped");
    for (uint64_t offset = 0; offset < length_bytes; offset += MEMORY_FRAME_BYTES) {
        unmap_page(space, virtual_address + offset);
        const uint64_t page = (virtual_address + offset) >> MMU_PAGE_BITS;
        space->cached[page % CACHED_WALKS].page = 0;
    }
}

static bool allows(uint64_t rights, bool write, bool user) {
    return (!write || (rights & MMU_PTE_WRITABLE) != 0) && (!user || (rights & MMU_PTE_USER) != 0);
}

/* Whether the entries of the walk still say what they said. */
static inline bool still_holds(const struct cached_walk *walk) {
    uint64_t difference = 0;
    for (unsigned i = 0; i < MMU_LEVELS; ++i) {
        uint64_t value;
        memcpy(&value, walk->entries[i], sizeof value);
        difference |= value ^ walk->values[i];
    }
    return difference == 0;
}

/* Walks without side effects (SDM volume 3A, 4.6: a fault sets no dirty bit). */
static bool walk_tables(struct address_space *space, uint64_t virtual_address, struct cached_walk *walk,
                        uint64_t addresses[MMU_LEVELS]) {
    uint64_t table = space->root;
    walk->rights = MMU_PTE_WRITABLE | MMU_PTE_USER;
    for (unsigned level = MMU_LEVELS; level >= 1; --level) {
        const uint64_t at = entry_address(table, virtual_address, level);
        if (!memory_contains(space->memory, at, MMU_ENTRY_BYTES)) {
            return false;
        }
        const uint64_t entry = memory_read64(space->memory, at);
        if ((entry & MMU_PTE_PRESENT) == 0 || (level > 1 && (entry & MMU_PTE_PAGE_SIZE) != 0)) {
            return false;
        }
        addresses[level - 1] = at;
        walk->values[level - 1] = entry;
        walk->rights &= entry;
        table = entry & MMU_PTE_ADDRESS;
    }
    walk->physical = table;
    return true;
}

bool address_space_translate(struct address_space *space, uint64_t virtual_address, bool write, bool user,
                             uint64_t *physical) {
    const uint64_t page = (virtual_address & ((UINT64_C(1) << MMU_VIRTUAL_BITS) - 1)) >> MMU_PAGE_BITS;
    struct cached_walk *cached = &space->cached[page % CACHED_WALKS];
    if (!is_canonical(virtual_address)) {
        return false;
    }
    if (cached->page == page + 1 && allows(cached->rights, write, user) &&
        (!write || (cached->values[0] & MMU_PTE_DIRTY) != 0) && still_holds(cached)) {
        *physical = cached->physical | virtual_address % MEMORY_FRAME_BYTES;
        return true;
    }
    struct cached_walk walk = {.page = page + 1};
    uint64_t addresses[MMU_LEVELS];
    if (!walk_tables(space, virtual_address, &walk, addresses) || !allows(walk.rights, write, user)) {
        return false;
    }
    for (unsigned i = 0; i < MMU_LEVELS; ++i) {
        const uint64_t marks = MMU_PTE_ACCESSED | (i == 0 && write ? MMU_PTE_DIRTY : 0);
        if ((walk.values[i] & marks) != marks) {
            walk.values[i] |= marks;
            memory_write64(space->memory, addresses[i], walk.values[i]);
        }
        walk.entries[i] = memory_at(space->memory, addresses[i]);
    }
    *cached = walk;
    *physical = walk.physical | virtual_address % MEMORY_FRAME_BYTES;
    return true;
}
