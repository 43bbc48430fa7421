/* stlb.h: the software TLB: a large direct-mapped cache of secure bindings in unmapped
 * physical memory, which absorbs the misses of the hardware's 64 entries.
 *
 * An entry is 8 bytes: EntryHi (page and ASID) and EntryLo, as the hardware takes
 * them. Memory holds 0 where nothing is cached: EntryLo without its valid bit. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_STLB_H
#define STILLSUIT_KERNEL_MODEL_EXO_STLB_H

#include <stdbool.h>
#include <stdint.h>

#include "hw/r3000/r3000.h"
#include "sim/param.h"

enum { STLB_ENTRY_BYTES = 8 };

struct stlb {
    struct r3000 *cpu;
    uint64_t physical; /* of its first entry */
    uint64_t entries;  /* a power of two; 0: none */
    uint64_t hits, misses, inserts, conflicts;
};

/* Where an EntryHi's entry lies: page number and ASID, folded. */
uint64_t stlb_slot(const struct stlb *stlb, uint32_t hi);
/* Two loads and `cost`; true with the EntryLo if the entry is the one asked for. */
bool stlb_probe(struct stlb *stlb, struct cost *cost, uint32_t hi, uint32_t *lo);
/* Two stores; what was there is overwritten. */
void stlb_insert(struct stlb *stlb, uint32_t hi, uint32_t lo);
/* Drops an entry if it is there: a load, and a store if so. */
void stlb_remove(struct stlb *stlb, uint32_t hi);

#endif
