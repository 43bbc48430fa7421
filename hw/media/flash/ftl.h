/* ftl.h: the flash translation layer as a state machine without time: which physical
 * slot holds which logical unit, which blocks are free, what is to be collected.
 *
 * The planes of a die work in lock-step: a block here is one block of each plane, and
 * what one program writes is a stripe: one page of each plane. A slot holds one
 * mapping unit. Host writes and collected data go to blocks of their own, so that
 * what outlived a collection does not lie among what was written a moment ago.
 *
 * A unit that was accepted and is not programmed yet is pending: the controller's
 * memory holds it, and its older copy is stale. So is a unit that collection has read
 * out: what does not fill a stripe stays in memory until the next victim's does. */
#ifndef STILLSUIT_HW_MEDIA_FLASH_FTL_H
#define STILLSUIT_HW_MEDIA_FLASH_FTL_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/error.h"
#include "sim/random.h"

enum {
    FTL_STRIPE_MAX = 128,      /* units of a stripe */
    FTL_CHUNK_UNITS = 1 << 16, /* of the map, allocated when one of them is first written */
    FTL_RESERVE_BLOCKS = 1,    /* free blocks of a die that only collection may take */
    FTL_OPEN_BLOCKS = 2        /* of a die: the host's and collection's */
};
#define FTL_NONE UINT32_MAX
#define FTL_PENDING UINT32_C(0x80000000) /* bit of a map entry */

enum ftl_stream { FTL_HOST, FTL_COLLECTED, FTL_STREAMS };
enum ftl_policy { FTL_GREEDY, FTL_COST_BENEFIT, FTL_FIFO };
enum ftl_wear { FTL_WEAR_NONE, FTL_WEAR_DYNAMIC, FTL_WEAR_STATIC };
enum ftl_block_state { FTL_BLOCK_FREE, FTL_BLOCK_OPEN, FTL_BLOCK_CLOSED, FTL_BLOCK_VICTIM };
enum ftl_step { FTL_STEP_NONE, FTL_STEP_READ, FTL_STEP_PROGRAM, FTL_STEP_ERASE };

struct ftl_config {
    uint32_t dies, blocks;                /* blocks of a die */
    uint32_t slots, stripe;               /* units of a block, of a stripe */
    uint32_t units;                       /* logical ones */
    uint32_t collect_start, collect_stop; /* free blocks of a die: collection begins at or below, ends at or above */
    enum ftl_policy policy;
    enum ftl_wear wear;
    uint32_t wear_gap; /* FTL_WEAR_STATIC: erases that blocks may lie apart */
};

struct ftl_block {
    uint32_t *owners;        /* logical unit by slot, FTL_NONE for what is stale; NULL before the first use */
    uint32_t valid, written; /* slots that hold a unit; slots programmed or padded */
    uint32_t erases;
    uint32_t next, previous; /* in its bucket, or in the list of free blocks */
    uint32_t closed;         /* the die's count of closings when it closed */
    uint8_t state;           /* enum ftl_block_state */
};

/* What collection holds in memory. */
struct ftl_held {
    uint32_t units[2 * FTL_STRIPE_MAX], ids[2 * FTL_STRIPE_MAX];
    uint32_t count;
};

struct ftl_die {
    struct ftl_block *blocks;
    uint32_t fresh;      /* blocks from here on were never used */
    uint32_t free_count; /* with the fresh ones */
    uint32_t free_first, free_last;
    uint32_t open[FTL_STREAMS];           /* FTL_NONE: none */
    uint32_t *bucket_first, *bucket_last; /* closed blocks by valid slots, oldest first */
    uint32_t lowest;                      /* no bucket below holds a block */
    uint32_t closings;
    uint32_t valid, incoming; /* units that lie here; that are on their way here */
    uint32_t limit;           /* of both together, beyond which other dies are chosen */
    bool collecting;
    uint32_t victim, position; /* the next slot of the victim to look at */
    struct ftl_held held;
};

struct ftl_counters {
    uint64_t host_units;   /* programmed for the host */
    uint64_t copied_units; /* programmed by collection */
    uint64_t padded_units; /* slots left empty in stripes that were not full */
    uint64_t stale_units;  /* programmed although overwritten meanwhile (among the host's and the copied) */
    uint64_t host_stripes, copied_stripes, collect_reads, erases, wear_moves, deallocated_units;
};

struct ftl {
    struct ftl_config config;
    uint32_t **chunks; /* of the map; entries: 0, physical slot + 1, or FTL_PENDING | id */
    uint32_t next_id;
    uint32_t next_die; /* of the rotation of host writes */
    struct ftl_die *dies;
    struct ftl_counters counters;
};

/* Whether the blocks leave room to collect and can be numbered. Errors: ERR_RANGE. */
enum error_code ftl_check(const struct ftl_config *config, struct error *error);
/* Checks, and allocates the tables. */
enum error_code ftl_init(struct ftl *ftl, const struct ftl_config *config, struct error *error);
void ftl_free(struct ftl *ftl);

/* The map entry of a unit. */
static inline uint32_t ftl_lookup(const struct ftl *ftl, uint32_t unit) {
    const uint32_t *chunk = ftl->chunks[unit / FTL_CHUNK_UNITS];
    return chunk != NULL ? chunk[unit % FTL_CHUNK_UNITS] : 0;
}
/* The same, to be changed; its chunk is allocated if it is not. */
uint32_t *ftl_entry(struct ftl *ftl, uint32_t unit);
/* Takes a unit's new contents into memory; its older copy is stale from now. Returns
 * the id under which the unit is pending. */
uint32_t ftl_accept(struct ftl *ftl, uint32_t unit);
/* Deallocates units; what is not mapped is passed over. */
void ftl_deallocate(struct ftl *ftl, uint32_t first, uint32_t count);

/* The next die for a stripe of the host's: in rotation, without those that hold more
 * than their share and half the room that is left to spare. */
uint32_t ftl_choose_die(struct ftl *ftl);
/* Whether a stripe of that stream can be programmed now. */
bool ftl_has_room(const struct ftl *ftl, uint32_t die, enum ftl_stream stream);
/* Programs the next stripe of a stream: `count` units that were accepted under `ids`;
 * its other slots stay empty. Returns its first physical slot. */
uint32_t ftl_program(struct ftl *ftl, uint32_t die, enum ftl_stream stream, const uint32_t *units, const uint32_t *ids,
                     uint32_t count);

/* What collection is to do next on a die. FTL_STEP_READ: a stripe has been read into
 * memory (ftl_collect_place tells which); FTL_STEP_PROGRAM: call ftl_collect_program
 * when it is done; FTL_STEP_ERASE: ftl_collect_erase likewise. Begins when few blocks
 * are free, goes on until enough are. */
enum ftl_step ftl_collect_next(struct ftl *ftl, uint32_t die, uint32_t *first_slot, uint32_t *units);
uint32_t ftl_collect_program(struct ftl *ftl, uint32_t die, uint32_t *units);
void ftl_collect_erase(struct ftl *ftl, uint32_t die);
/* Whether a die should be collecting. */
static inline bool ftl_collect_wanted(const struct ftl *ftl, uint32_t die) {
    return ftl->dies[die].collecting || ftl->dies[die].free_count <= ftl->config.collect_start;
}
/* All of it at once, in no time. */
void ftl_collect_now(struct ftl *ftl, uint32_t die);

/* Writes every unit once, in order; then `overwrites` units that the stream chooses
 * (none with stream NULL), collecting as needed: in no time. Counters stay 0. */
void ftl_fill(struct ftl *ftl, struct random_stream *stream, uint64_t overwrites);

/* Least and most erases of a block. */
void ftl_erase_range(const struct ftl *ftl, uint32_t *least, uint32_t *most);

/* For collection: an id for what becomes pending; a closed block leaves its bucket. */
static inline uint32_t ftl_new_id(struct ftl *ftl) {
    return FTL_PENDING | ftl->next_id++;
}
void ftl_bucket_remove(struct ftl_die *die, uint32_t block);
/* The block that collection should take, or FTL_NONE. */
uint32_t ftl_choose_victim(struct ftl *ftl, struct ftl_die *die);

#endif
