/* flash_internal.h: what the files of the flash medium share.
 *
 * A die does one operation at a time: command (and a program's data) over its channel,
 * then the array, then a read's data over the channel. When an operation starts, its
 * end is computed: the array's times are known, and a channel serves transfers in the
 * order in which they become ready. A transfer that becomes ready earlier than one
 * that is planned already pushes that one back, and the event at its end with it. So
 * a read costs one event, and times are those of a simulation with an event for every
 * step. */
#ifndef STILLSUIT_HW_MEDIA_FLASH_FLASH_INTERNAL_H
#define STILLSUIT_HW_MEDIA_FLASH_FLASH_INTERNAL_H

#include "hw/media/flash/flash.h"
#include "hw/media/flash/ftl.h"
#include "sim/usage.h"

enum { FLASH_CELL_BITS_MAX = 3, FLASH_NAME_BYTES = 80 };
enum flash_suspend { FLASH_SUSPEND_NONE, FLASH_SUSPEND_ERASE, FLASH_SUSPEND_PROGRAM_AND_ERASE };
enum flash_order { FLASH_FIFO, FLASH_READS_FIRST };
enum flash_unwritten { FLASH_UNWRITTEN_ARRAY, FLASH_UNWRITTEN_ZEROS };
enum flash_fill { FLASH_EMPTY, FLASH_SEQUENTIAL, FLASH_RANDOM };

struct flash_config {
    uint64_t channels, chips, dies, planes, pages_per_block, page_bytes, unit_bytes;
    double over_provisioning;
    int cell; /* bits of a cell - 1 */
    sim_time read[FLASH_CELL_BITS_MAX], program[FLASH_CELL_BITS_MAX], erase;
    uint64_t channel_rate; /* bytes per second */
    sim_time command, firmware_read, firmware_write, fill_wait;
    int suspend, order, unwritten;
    sim_time suspend_latency, resume_latency;
    uint64_t suspends_max;
    int policy, wear;
    uint64_t collect_start, collect_stop, wear_gap;
    int fill;
    double fill_overwrites;
};

struct flash;
struct flash_die;
struct flash_channel;

enum flash_kind { FLASH_READ, FLASH_PROGRAM, FLASH_ERASE };

/* A part of a write that one program covers. */
struct flash_part {
    struct media_command *command;
    struct request *request;
    sim_time arrived;
};
/* Units that are programmed together: of host writes. */
struct flash_batch {
    uint32_t units[FTL_STRIPE_MAX], ids[FTL_STRIPE_MAX];
    struct flash_part parts[FTL_STRIPE_MAX];
    uint32_t count, part_count;
};

/* An operation of a die. The host's come from a pool; a die has one of its own for
 * collection. */
struct flash_op {
    struct sim_event event; /* its answer, where that comes later than the die is free */
    struct flash *flash;
    struct flash_die *die;
    struct flash_op *next; /* in the die's queue, or the pool */
    struct flash_op *made_before;
    uint8_t kind; /* enum flash_kind */
    bool is_collection, is_before_write;
    uint32_t suspends;
    uint32_t slot, units;  /* of a read: the first slot within its block; how many units it transfers */
    uint32_t unit_written; /* of a read before a write: the logical unit */
    uint64_t sequence;
    /* When it came; had the die; had the channel for its command; the array began and
     * ended; its data had the channel. */
    sim_time arrived, started, command_start, command_end, array_end, data_start, data_end;
    sim_time collect_mark, suspend_mark; /* the die's sums below when it came */
    sim_time collect_wait, suspend_wait; /* of its wait, what was behind collection, suspending */
    sim_time suspended, suspended_at;    /* how long its array stood still; since when */
    sim_time left;                       /* of its array time, while it is suspended */
    struct media_command *command;
    struct request *request;
    struct flash_batch *batch; /* of a host's program */
};

struct flash_queue {
    struct flash_op *first, *last;
};

struct flash_die {
    struct flash *flash;
    struct flash_channel *channel;
    uint32_t index;
    char name[FLASH_NAME_BYTES];
    struct sim_event event; /* the die's next step, where something waits for it */
    struct flash_op *current, *suspended;
    bool suspending;
    sim_time segment;            /* up to where the account of `current` is booked */
    sim_time interruptible_from; /* `current` may be suspended from here on */
    uint32_t programming;        /* first physical slot of the program under way, or FTL_NONE */
    struct flash_queue reads, writes;
    struct flash_op collect; /* collection's operation; `collect_ready`: it waits for the die */
    bool collect_ready;
    uint8_t collect_step;
    sim_time collect_time, suspend_time; /* sums of what is over */
    struct usage usage;
};

/* A planned transfer. */
struct flash_transfer {
    sim_time ready, start, end;
    struct flash_op *op; /* whose data it is that may be pushed back; NULL: it begins as planned */
    ledger_component component;
};
struct flash_channel {
    char name[FLASH_NAME_BYTES];
    struct flash_transfer *transfers; /* not yet over; by readiness */
    uint32_t count, capacity;
    struct usage usage;
};

struct flash_components {
    ledger_component media, queue, collect, suspend, channel, array, buffer, firmware;
};

struct flash_stats {
    uint64_t reads, writes, deallocations;         /* commands */
    uint64_t page_reads, buffer_reads, zero_reads; /* parts of reads: from flash, from memory, of nothing */
    uint64_t reads_before_write;                   /* of units that were written in part */
    uint64_t suspends;
};

struct flash {
    struct media *media;
    const struct flash_config *config;
    struct ftl ftl;
    uint32_t die_count, unit_bytes, stripe, cells;
    sim_time transfer_time[FTL_STRIPE_MAX + 1]; /* of so many units */
    struct flash_channel *channels;
    struct flash_die *dies;
    struct flash_op *pool, *batch_pool; /* without, with a batch */
    struct flash_op *made;              /* every op of the pools, to free them */
    struct flash_op *filling;           /* the batch that takes units */
    struct sim_event fill_event;
    uint64_t sequence;
    struct flash_components components;
    struct flash_stats stats;
};

/* ---- flash_config.c ---- */
extern const struct param flash_params[];
enum error_code flash_check(const void *config, struct error *error);
bool flash_check_places(const struct media *media, struct diagnostics *diagnostics);
/* What the translation layer manages, for a drive of that capacity. */
enum error_code flash_geometry(const struct flash_config *config, uint64_t capacity_bytes, struct ftl_config *out,
                               struct error *error);

/* ---- flash_ledger.c ---- */
void flash_declare_components(void);
void flash_find_components(struct flash_components *out);
/* Tells the request of a read or a program where its time went, from `arrived` (when
 * it came to the medium, or joined a batch) up to the end on the die. */
void flash_book_request(const struct flash_op *op, struct request *request, sim_time arrived);
/* A part of a command is over now: `request`, its branch or the command's own, was
 * since `since` in the firmware. */
void flash_part_done(struct flash *flash, struct media_command *command, struct request *request);

/* ---- flash_channel.c ---- */
/* Plans a transfer that becomes ready at `ready` (not past); returns its place. The
 * op's data_start and data_end are kept up to date. */
void flash_channel_plan(struct flash_channel *channel, sim_time now, const struct flash_transfer *transfer,
                        sim_time *start, sim_time *end);
void flash_channel_settle(struct flash_channel *channel, sim_time now);

/* ---- flash_die.c ---- */
/* Puts a host's read or program into the die's queue. */
void flash_die_submit(struct flash_die *die, struct flash_op *op);
/* The end of the op's data on the channel has moved. */
void flash_die_moved(struct flash_op *op);
void flash_die_event(void *context);
/* Books what the die does up to now. */
void flash_die_settle(struct flash_die *die);
/* The account's component for what the die does. */
ledger_component flash_die_component(const struct flash_die *die);
/* An op's answer: what is left after the die. */
void flash_op_event(void *context);

/* ---- flash_submit.c ---- */
void flash_submit(struct media *media, struct media_command *command);
void flash_fill_event(void *context);
/* Takes an op from the pool; gives it back. */
struct flash_op *flash_op_take(struct flash *flash, enum flash_kind kind);
void flash_op_give(struct flash_op *op);
/* A read that came before a write in part is over: the write goes on. */
void flash_write_after_read(struct flash_op *op);

static inline uint32_t flash_die_of(const struct flash *flash, uint32_t slot) {
    return slot / (flash->ftl.config.blocks * flash->ftl.config.slots);
}
/* Which of the cell's bits a slot's page holds (0: LSB, 1: CSB, 2: MSB): pages of a
 * block take turns. */
static inline uint32_t flash_page_type(const struct flash *flash, uint32_t slot_of_block) {
    const uint32_t turn = slot_of_block / flash->stripe % flash->cells;
    return flash->cells == 2 ? 2 * turn : turn;
}

#endif
