/* paging.c: the core map and its free list; pages that come. */
#include "kernel_model/ultrix/paging.h"

#include <stdlib.h>
#include <string.h>

enum { CORE_MAP_ENTRY_BYTES = 16, NONE = UINT32_MAX, DAEMON_RATE = 4 };

#define PAGING_COST(name, text)                                                                                        \
    { .key = #name, .type = PARAM_COST, .offset = offsetof(struct ultrix_paging_costs, name), .help = text }
#define PAGING_NUMBER(name, value, least, text)                                                                        \
    { #name, PARAM_INTEGER, offsetof(struct ultrix_paging_costs, name), value, least, "100000", NULL, text }
const struct param ultrix_paging_cost_params[] = {
    PAGING_COST(page_in, "a page read from the backing store, for which its process sleeps"),
    PAGING_COST(page_out, "a page written to it"),
    PAGING_COST(allocate, "a frame off the free list: its old page's entry, its new page's"),
    PAGING_COST(release, "a frame onto the free list"),
    PAGING_COST(scan, "one hand of the clock at one frame"),
    PAGING_COST(transfer, "a transfer described and queued"),
    PAGING_COST(store_interrupt, "a transfer's end: its frame, who waits, the next transfer"),
    PAGING_NUMBER(resident, "64", "4", "frames for pages that come and go"),
    PAGING_NUMBER(lots_free, "8", "1", "free frames below which the daemon works"),
    PAGING_NUMBER(desired_free, "4", "1", "free frames below which it is woken at once"),
    PAGING_NUMBER(hand_spread, "32", "1", "frames between the hands"),
    PAGING_NUMBER(slow_scan, "100", "4", "frames that it looks at in a second when lots_free are free"),
    PAGING_NUMBER(fast_scan, "200", "4", "... and when none is"),
    PAGING_NUMBER(writes, "40", "4", "writes that it begins in a second, at most"),
    {0}};

static uint64_t pte_at(const struct ultrix_frame *frame) {
    return frame->owner->data_table + 4 * frame->page;
}

void ultrix_paging_touch(struct ultrix_paging *paging, uint32_t frame, bool change) {
    const uint64_t at = paging->core_map + (uint64_t)frame * CORE_MAP_ENTRY_BYTES;
    const uint32_t word = ultrix_load(paging->ultrix, at);
    if (change) {
        ultrix_store(paging->ultrix, at, word);
    }
}

/* ---- the free list ---- */

static void append_free(struct ultrix_paging *paging, uint32_t number) {
    struct ultrix_frame *frame = &paging->frames[number];
    frame->is_free = true;
    frame->previous = paging->last_free;
    frame->next = NONE;
    *(paging->last_free != NONE ? &paging->frames[paging->last_free].next : &paging->first_free) = number;
    paging->last_free = number;
    paging->free++;
}

static void remove_free(struct ultrix_paging *paging, uint32_t number) {
    struct ultrix_frame *frame = &paging->frames[number];
    frame->is_free = false;
    *(frame->previous != NONE ? &paging->frames[frame->previous].next : &paging->first_free) = frame->next;
    *(frame->next != NONE ? &paging->frames[frame->next].previous : &paging->last_free) = frame->previous;
    paging->free--;
}

void ultrix_paging_release(struct ultrix_paging *paging, uint32_t number) {
    ultrix_step(paging->ultrix, &paging->costs->release);
    ultrix_paging_touch(paging, number, true);
    append_free(paging, number);
    ultrix_wakeup_all(paging->ultrix, &paging->free);
    ultrix_work(paging->ultrix, ultrix_components.memory);
}

/* Whose page it was has it no more. */
static void take_from_owner(struct ultrix_paging *paging, struct ultrix_frame *frame) {
    if (frame->owner != NULL) {
        const uint64_t at = pte_at(frame);
        ultrix_store(paging->ultrix, at, ultrix_load(paging->ultrix, at) & ~(uint32_t)R3000_LO_PFN);
        frame->owner = NULL;
    }
}

/* Sleeps; what the process works for waits for the backing store meanwhile. */
static void wait_for(struct ultrix_paging *paging, struct ultrix_process *process, const void *channel) {
    struct ultrix *ultrix = paging->ultrix;
    struct request *const request = process->apart ? NULL : ultrix->request;
    if (request != NULL) {
        cpu_pass_on(process->context, ultrix_components.store, LEDGER_WAITING);
        ultrix->request = NULL;
    }
    ultrix_sleep(process, channel, ULTRIX_PRIORITY_MEMORY);
    cpu_run(process->context);
    ultrix->request = request != NULL ? request : ultrix->request;
    ultrix_work(ultrix, ultrix_components.memory);
}

static uint32_t allocate(struct ultrix_paging *paging, struct ultrix_process *process) {
    while (paging->free == 0) {
        paging->counters.waits++;
        ultrix_paging_wake(paging);
        wait_for(paging, process, &paging->free);
    }
    const uint32_t number = paging->first_free;
    remove_free(paging, number);
    ultrix_step(paging->ultrix, &paging->costs->allocate);
    ultrix_paging_touch(paging, number, true);
    take_from_owner(paging, &paging->frames[number]);
    if (paging->free < paging->costs->desired_free) {
        ultrix_paging_wake(paging);
    }
    return number;
}

/* ---- pages that come ---- */

/* The transfer takes the request along; it comes back when the process has its turn. */
static void read_in(struct ultrix_paging *paging, struct ultrix_process *process, uint32_t number) {
    struct ultrix *ultrix = paging->ultrix;
    struct request *const request = process->apart ? NULL : ultrix->request;
    ultrix_step(ultrix, &paging->costs->transfer);
    cpu_pass_on(process->context, ultrix_components.store, LEDGER_WAITING);
    cpu_run(process->context);
    ultrix->request = request != NULL ? NULL : ultrix->request;
    ultrix_store_begin(paging, number, false, request);
    while (paging->frames[number].busy) {
        wait_for(paging, process, &paging->frames[number]);
    }
    cpu_run(process->context);
    ultrix->request = request != NULL ? request : ultrix->request;
    ultrix_work(ultrix, ultrix_components.memory);
}

static void fill(struct ultrix_paging *paging, uint64_t physical) {
    for (uint64_t at = 0; at < ULTRIX_PAGE; at += 4) {
        ultrix_store(paging->ultrix, physical + at, 0);
    }
    paging->counters.filled++;
}

void ultrix_paging_bring(struct ultrix_paging *paging, struct ultrix_process *process, uint64_t page) {
    struct ultrix *ultrix = paging->ultrix;
    const uint64_t at = process->data_table + 4 * page;
    const uint32_t number = allocate(paging, process);
    struct ultrix_frame *frame = &paging->frames[number];
    frame->owner = process;
    frame->page = page;
    const uint32_t pte = ultrix_load(ultrix, at);
    if ((pte & ULTRIX_PTE_ON_STORE) != 0) {
        read_in(paging, process, number);
    } else {
        fill(paging, frame->physical);
    }
    ultrix_store(ultrix, at, (pte & ULTRIX_PTE_OWN) | (uint32_t)frame->physical);
}

void ultrix_paging_reclaim(struct ultrix_paging *paging, struct ultrix_process *process, uint64_t page) {
    const uint64_t at = process->data_table + 4 * page;
    uint32_t number = 0;
    while (paging->frames[number].owner != process || paging->frames[number].page != page) {
        number++; /* the kernel has the frame's number from the entry */
        SIM_ASSERT(number < paging->costs->resident);
    }
    ultrix_paging_touch(paging, number, false);
    while (paging->frames[number].busy) {
        wait_for(paging, process, &paging->frames[number]);
    }
    if (paging->frames[number].owner != process || paging->frames[number].page != page) {
        ultrix_paging_bring(paging, process, page); /* it was given away before this process had its turn */
        return;
    }
    if (paging->frames[number].is_free) {
        ultrix_paging_touch(paging, number, true);
        remove_free(paging, number);
        paging->counters.reclaims++;
    }
    (void)ultrix_load(paging->ultrix, at);
}

/* ---- life ---- */

static bool make_frames(struct ultrix_paging *paging) {
    struct frames *free = paging->ultrix->frames;
    const uint64_t count = paging->costs->resident;
    paging->core_map = frames_allocate_contiguous(free, count * CORE_MAP_ENTRY_BYTES / ULTRIX_PAGE + 1);
    bool good = paging->core_map != 0;
    for (uint32_t i = 0; i < count && good; i++) {
        paging->frames[i].physical = frames_allocate(free);
        good = paging->frames[i].physical != 0;
        append_free(paging, i);
    }
    return good;
}

struct ultrix_paging *ultrix_paging_create(struct ultrix *ultrix, struct ultrix_paging_costs *costs,
                                           struct error *error) {
    if (costs->lots_free >= costs->resident || costs->hand_spread >= costs->resident) {
        (void)error_set(error, ERR_RANGE, "paging: lots_free and hand_spread are less than resident");
        return NULL;
    }
    if (ultrix->config.hz == 0) {
        (void)error_set(error, ERR_UNSUPPORTED, "hz: without a clock the paging daemon would have no turns");
        return NULL;
    }
    struct ultrix_paging *paging = calloc(1, sizeof *paging);
    SIM_ASSERT(paging != NULL);
    *paging = (struct ultrix_paging){.ultrix = ultrix, .costs = costs, .first_free = NONE, .last_free = NONE};
    paging->frames = calloc(costs->resident, sizeof *paging->frames);
    paging->transfers = calloc(costs->resident, sizeof *paging->transfers);
    SIM_ASSERT(paging->frames != NULL && paging->transfers != NULL);
    paging->may_scan = costs->fast_scan / DAEMON_RATE;
    paging->ready = ledger_find("ready");
    if (make_frames(paging)) {
        paging->daemon = ultrix_process_of_kernel(ultrix, "pageout", ultrix_pageout_main, paging);
    }
    if (paging->daemon == NULL) {
        (void)error_set(error, ERR_EXHAUSTED, "no memory for pages that come and go");
        ultrix_paging_free(paging);
        return NULL;
    }
    ultrix_store_attach(paging);
    ultrix->paging = paging;
    return paging;
}

void ultrix_paging_free(struct ultrix_paging *paging) {
    if (paging != NULL) {
        (void)sim_cancel(&paging->done);
        free(paging->frames);
        free(paging->transfers);
        free(paging);
    }
}

enum error_code ultrix_paging_begin(struct ultrix_paging *paging, struct ultrix_process *process, uint64_t pages,
                                    struct error *error) {
    struct memory *memory = paging->ultrix->machine->memory;
    SIM_ASSERT(process->data_pages == 0 && process->store == NULL);
    if (pages > ULTRIX_DATA_PAGES_MAX) {
        return error_set(error, ERR_RANGE, "kernel.pages: a process has at most %d", (int)ULTRIX_DATA_PAGES_MAX);
    }
    process->store = calloc(pages, ULTRIX_PAGE);
    SIM_ASSERT(process->store != NULL);
    process->data_pages = pages;
    for (uint64_t i = 0; i < pages; i++) {
        const uint32_t number = (uint32_t)i;
        memcpy(process->store + i * ULTRIX_PAGE, &number, sizeof number);
        memory_write32(memory, process->data_table + 4 * i,
                       ULTRIX_PTE_ALLOCATED | ULTRIX_PTE_READ | ULTRIX_PTE_WRITE | ULTRIX_PTE_ON_STORE);
    }
    return OK;
}

void ultrix_paging_visit_stats(const struct ultrix_paging *paging, const struct stats_sink *sink) {
    stats_counter(sink, "paging", "pages_in", paging->counters.in); /* named alike on every system */
    stats_counter(sink, "paging", "pages_out", paging->counters.out);
    stats_counter(sink, "ultrix.vm", "scans", paging->counters.scans);
    stats_counter(sink, "ultrix.vm", "free_reclaims", paging->counters.reclaims);
    stats_counter(sink, "ultrix.vm", "zero_filled", paging->counters.filled);
    stats_counter(sink, "ultrix.vm", "waits_for_frame", paging->counters.waits);
}
