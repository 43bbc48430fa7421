/* paging.h: more pages than frames, as a kernel: a daemon chooses who leaves, after
 * 4.3BSD (Leffler et al., 1989, chapter 5): a global clock with two hands.
 *
 * There are no reference bits on this processor: a page table entry's valid bit is one.
 * The front hand clears it; an access then faults and is given the page back (a reclaim).
 * The back hand follows at a distance and frees what is still not valid: at once if it is
 * clean, else when the backing store has taken it. What is free keeps its content until
 * its frame is given away, and can be reclaimed until then. There is no modify bit
 * either: an entry does not allow the first write, whose exception sets ours.
 *
 * The daemon is a process of the kernel's. It is woken four times a second when fewer than
 * `lots_free` frames are free, and may look at more pages the fewer they are.
 *
 * The backing store does one transfer after the other; each takes the cycles of a step, as
 * the library OS's does (libos_model/exos/paging.h), and interrupts at its end. Who waits
 * for a page sleeps; writes are waited for by nobody but who needs a frame.
 *
 * paging.c: frames, faults. pageout.c: the daemon. backing_store.c: transfers. */
#ifndef STILLSUIT_KERNEL_MODEL_ULTRIX_PAGING_H
#define STILLSUIT_KERNEL_MODEL_ULTRIX_PAGING_H

#include "kernel_model/ultrix/ultrix.h"
#include "sim/param.h"

/* Instructions beside memory accesses and TLB instructions; profile section `paging`. */
struct ultrix_paging_costs {
    struct cost page_in, page_out; /* the backing store's time, not the processor's */
    struct cost allocate, release, scan, transfer, store_interrupt;
    uint64_t resident;                /* frames for pages that come and go */
    uint64_t lots_free, desired_free; /* frames */
    uint64_t hand_spread;             /* frames between the hands */
    uint64_t slow_scan, fast_scan;    /* pages a second, with lots_free frames free and with none */
    uint64_t writes;                  /* a second at most that the daemon begins */
};
extern const struct param ultrix_paging_cost_params[];

enum { ULTRIX_STORE_LINE = 5 };

/* An entry of the core map; UINT32_MAX ends a list. */
struct ultrix_frame {
    struct ultrix_process *owner; /* NULL: holds nobody's page */
    uint64_t page;                /* of the owner's data */
    uint64_t physical;
    uint32_t next, previous; /* on the free list */
    bool is_free, busy;      /* busy: being read or written */
};

struct ultrix_transfer {
    uint32_t frame;
    bool out;
    struct request *request; /* what waits for it; NULL: nobody's */
};

struct ultrix_paging {
    struct ultrix *ultrix;
    struct ultrix_paging_costs *costs; /* the caller's */
    uint64_t core_map;                 /* physical: 16 bytes a frame */
    struct ultrix_frame *frames;
    uint32_t first_free, last_free;
    uint64_t free;
    struct ultrix_process *daemon;
    uint64_t front;                      /* the front hand; the back one is hand_spread behind */
    uint64_t scanned, may_scan, written; /* since it was last woken by the clock */
    struct ultrix_transfer *transfers;   /* a ring, as large as there are frames */
    uint64_t first_transfer, transfer_count;
    bool transferring;
    struct sim_event done;
    ledger_component ready;
    struct ultrix_paging_counters {
        uint64_t in, out, scans, reclaims, filled, waits;
    } counters;
};

/* Before the run: frames and the daemon, for the kernel's processes. The caller frees it.
 * NULL: no memory, no clock, or numbers that do not fit together. */
struct ultrix_paging *ultrix_paging_create(struct ultrix *ultrix, struct ultrix_paging_costs *costs,
                                           struct error *error);
void ultrix_paging_free(struct ultrix_paging *paging);
/* A process that has no data pages gets so many, none of them resident; each is zero but for
 * its number in the first word. ERR_RANGE, ERR_EXHAUSTED. */
enum error_code ultrix_paging_begin(struct ultrix_paging *paging, struct ultrix_process *process, uint64_t pages,
                                    struct error *error);
void ultrix_paging_visit_stats(const struct ultrix_paging *paging, const struct stats_sink *sink);

/* ---- For the kernel's own files ---- */
/* A fault of the running process's that is allowed: the page becomes resident. May sleep. */
void ultrix_paging_bring(struct ultrix_paging *paging, struct ultrix_process *process, uint64_t page);
/* The same for a page that has a frame and is not valid. */
void ultrix_paging_reclaim(struct ultrix_paging *paging, struct ultrix_process *process, uint64_t page);
/* A frame onto the free list's end, or off it. */
void ultrix_paging_release(struct ultrix_paging *paging, uint32_t frame);
/* pageout.c: by the clock, four times a second; and by whoever finds too little free. */
void ultrix_paging_schedule(struct ultrix_paging *paging);
void ultrix_paging_wake(struct ultrix_paging *paging);
void ultrix_pageout_main(struct ultrix_process *process);
/* backing_store.c: queues a transfer of a frame; its end wakes who sleeps on the frame. */
void ultrix_store_begin(struct ultrix_paging *paging, uint32_t frame, bool out, struct request *request);
void ultrix_store_attach(struct ultrix_paging *paging);
/* An entry of the core map: a word looked at, or changed. */
void ultrix_paging_touch(struct ultrix_paging *paging, uint32_t frame, bool change);

#endif
