/* paging.h: more pages than frames, as a library: which page leaves is the application's
 * choice.
 *
 * The pager holds `frames` frames at most for the pages of a library's virtual memory. A
 * page that is not there raises an exception like any other; the pager chooses a victim,
 * writes it to the backing store if its dirty bit is set, gives its frame back (with which
 * the kernel ends the binding), takes a frame, reads the page into it and enters it in the
 * page table. The kernel knows of none of this but the frames. A page whose content is not
 * needed any more is discarded: its frame is given back and nothing is written, and when it
 * is used again, nothing is read.
 *
 * The backing store's bytes are kept; an access to it is a step of so many cycles, for which
 * the program waits. */
#ifndef STILLSUIT_LIBOS_MODEL_EXOS_PAGING_H
#define STILLSUIT_LIBOS_MODEL_EXOS_PAGING_H

#include "libos_model/exos/vm.h"

/* Who leaves.
 * lru: who came first. In a cyclic scan that is the least recently used page, as each page is
 * used once between its coming and its next turn.
 * clock: who was not used since the hand last passed. There are no reference bits on this
 * processor: the hand takes the right to read, and the trap says that a page is used.
 * own: the page that the application says it has just used. */
enum exos_victim { EXOS_VICTIM_LRU, EXOS_VICTIM_CLOCK, EXOS_VICTIM_OWN };
extern const char *const exos_victim_names[];

struct exos_paging {
    struct exos_vm *vm;
    uint64_t pages, frames; /* from EXOS_DATA_AT on; that hold them at once */
    uint64_t resident;      /* frames in use */
    uint64_t hand;          /* the slot that lru and clock look at next */
    uint64_t used;          /* own: the page that was just used */
    uint64_t *page_of;      /* by slot */
    uint64_t *frame_of;     /* by slot: physical address */
    bool *referenced;       /* by slot: used since the hand passed */
    uint64_t *slot_of;      /* by page; UINT64_MAX: it is not resident */
    uint64_t *empty_slots;  /* a stack of those that pages were discarded from */
    uint64_t empty;
    bool *blank;      /* by page: has no content that anybody needs */
    uint8_t *store;   /* the backing store's bytes */
    uint64_t in, out; /* pages read from it, and written to it */
};

/* [env] Pages EXOS_DATA_AT onwards, none of them resident, each zero but for its number in the first
 * word; makes the table of `vm`, which must have no pages, and takes its on_absent, on_trap and
 * context. Frames and policy are those of the costs' `resident` and `victim`. Errors as of
 * exos_vm_reserve. */
enum error_code exos_paging_begin(struct exos_paging *paging, struct exos_vm *vm, uint64_t pages, struct error *error);
void exos_paging_free(struct exos_paging *paging);
/* [env] The application says which page it uses now. Costs a store of its own loop's. */
void exos_paging_use(struct exos_paging *paging, uint64_t page);
/* [env] The application does not need what the page holds. Its next content is whatever the
 * frame has that it gets then. */
void exos_paging_discard(struct exos_paging *paging, uint64_t page);

#endif
