/* mmu.h: address spaces with x86-64 page tables in simulated memory.
 *
 * What a process may touch is what its page table maps: frames, and device pages
 * (the BAR of its own virtual function). Format: Intel SDM vol. 3, 4.5 (4-level
 * paging); bits used: present, writable, user, accessed, dirty. */
#ifndef STILLSUIT_HW_MMU_H
#define STILLSUIT_HW_MMU_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/memory.h"
#include "sim/error.h"

enum { MMU_WRITE = 1, MMU_USER = 2 };

struct address_space;

/* An empty address space; zeroed table frames come from `allocate_frame` (0: none
 * left). NULL if there is none for the root. The caller frees it (the frames are
 * the allocator's). */
struct address_space *address_space_create(struct memory *memory, uint64_t (*allocate_frame)(void *context),
                                           void *context);
void address_space_free(struct address_space *space);
/* The frame of the root table: what CR3 would hold. */
uint64_t address_space_root(const struct address_space *space);

/* Maps or unmaps whole 4 KiB pages. ERR_EXISTS, ERR_EXHAUSTED, ERR_RANGE. */
enum error_code address_space_map(struct address_space *space, uint64_t virtual_address, uint64_t physical,
                                  uint64_t length_bytes, unsigned flags);
void address_space_unmap(struct address_space *space, uint64_t virtual_address, uint64_t length_bytes);

/* What the hardware walk finds. False: a page fault (not mapped, or no right). */
bool address_space_translate(struct address_space *space, uint64_t virtual_address, bool write, bool user,
                             uint64_t *physical);

#endif
