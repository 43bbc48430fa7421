/* xn_internal.h: what the files of XN share: registry, cache, sets of owned blocks. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_XN_INTERNAL_H
#define STILLSUIT_KERNEL_MODEL_EXO_XN_INTERNAL_H

#include "kernel_model/exo/xn.h"

enum { XN_OWNED_MAX = 1024, XN_NO_SLOT = UINT32_MAX };

/* The registry's entry of a block. */
struct xn_block {
    enum xn_state state;
    uint32_t owner, type;
    uint32_t disk_pointers; /* in metadata on the disk */
    uint32_t slot;          /* of the cache; XN_NO_SLOT */
    bool contents;          /* metadata: it was initialised since it was allocated */
    bool on_disk;           /* it was written since it was allocated */
    bool dirty;
    uint64_t used; /* when it was last looked at, for the cache */
};

struct xn {
    struct xn_config config;
    struct xn_block *blocks;
    uint32_t *slots; /* which block a slot holds; UINT32_MAX: none */
    struct download_program *types[XN_TYPES_MAX];
    uint32_t type_count; /* with XN_DATA */
    uint32_t roots[XN_ROOTS_MAX], root_count;
    uint64_t uses;
    struct download_work work;
    struct xn_counters counters;
};

/* A set of blocks with their types, in order. */
struct xn_owned {
    uint32_t count;
    struct {
        uint32_t block, type;
    } at[XN_OWNED_MAX];
};

/* Runs a type's owns on a block's bytes in memory. False: it was stopped, or emitted
 * what is no set of blocks of the disk. */
bool xn_owns(struct xn *xn, uint32_t type, uint64_t physical, struct xn_owned *owned);
/* An extent as a set; false: not blocks of the disk, or too many. */
bool xn_expand(const struct xn *xn, const struct download_extent *extent, struct xn_owned *owned);
/* Whether `more` is `less` and `difference` together, which have nothing in common. */
bool xn_differ_by(struct xn *xn, const struct xn_owned *more, const struct xn_owned *less,
                  const struct xn_owned *difference);

/* Where a block lies on the disk. */
uint64_t xn_disk_address(const struct xn *xn, uint32_t block);
/* Brings a block into the cache (from the disk if `read`) and gives the address of its
 * bytes; 0: every slot is dirty. Others than the blocks last used stay. */
uint64_t xn_cached(struct xn *xn, uint32_t block, bool read);
/* Takes a block out of the cache, dirty or not. */
void xn_discard(struct xn *xn, uint32_t block);

/* One pointer more or fewer on the disk to each block of a set; blocks that wait to be
 * free, and are no longer pointed to, become free, with what they alone pointed to. */
void xn_disk_points(struct xn *xn, const struct xn_owned *owned);
void xn_disk_points_no_more(struct xn *xn, const struct xn_owned *owned);
/* Frees a block that nobody owns any more, as soon as the disk allows. */
void xn_release(struct xn *xn, uint32_t block);

/* Charges what was counted. */
void xn_charge(struct xn *xn);

#endif
