/* pageout.c: the paging daemon: a clock with two hands. */
#include "kernel_model/ultrix/paging.h"

enum { CP0_MOVE = 1, RATE = 4, REVOLUTIONS_MAX = 2 };

/* The entry is what the daemon made it in the TLB, too. */
static void set_entry(struct ultrix_paging *paging, const struct ultrix_frame *frame, uint32_t pte) {
    struct ultrix *ultrix = paging->ultrix;
    struct r3000 *cpu = ultrix->cpu;
    ultrix_store(ultrix, frame->owner->data_table + 4 * frame->page, pte);
    r3000_set_entry_hi(cpu, r3000_hi(ULTRIX_DATA_AT + (uint32_t)frame->page * ULTRIX_PAGE, frame->owner->asid));
    r3000_tlbp(cpu);
    r3000_execute(cpu, CP0_MOVE);
    if ((cpu->index & R3000_INDEX_PROBE_FAILED) == 0) {
        r3000_set_entry_lo(cpu, pte & ~(uint32_t)ULTRIX_PTE_OWN);
        r3000_tlbwi(cpu);
    }
}

/* Looks at a frame; its page's entry, or 0 if there is nothing to be done with it. */
static uint32_t look(struct ultrix_paging *paging, uint32_t number) {
    const struct ultrix_frame *frame = &paging->frames[number];
    ultrix_step(paging->ultrix, &paging->costs->scan);
    ultrix_paging_touch(paging, number, false);
    if (frame->owner == NULL || frame->is_free || frame->busy) {
        return 0;
    }
    return ultrix_load(paging->ultrix, frame->owner->data_table + 4 * frame->page);
}

/* The front hand: used or not is to show from here on. */
static void clear_reference(struct ultrix_paging *paging, uint32_t number) {
    const uint32_t pte = look(paging, number);
    if ((pte & R3000_LO_VALID) != 0) {
        set_entry(paging, &paging->frames[number], pte & ~(uint32_t)(R3000_LO_VALID | R3000_LO_DIRTY));
    }
}

/* The back hand: what was not used since leaves. False: nothing did. */
static bool let_go(struct ultrix_paging *paging, uint32_t number) {
    const uint32_t pte = look(paging, number);
    if ((pte & R3000_LO_PFN) == 0 || (pte & R3000_LO_VALID) != 0) {
        return false;
    }
    if ((pte & ULTRIX_PTE_MODIFIED) == 0) {
        ultrix_paging_release(paging, number);
        return true;
    }
    if (paging->written >= paging->costs->writes / RATE) {
        return false;
    }
    paging->written++;
    ultrix_step(paging->ultrix, &paging->costs->transfer);
    cpu_run(paging->daemon->context);
    ultrix_store_begin(paging, number, true, NULL);
    ultrix_work(paging->ultrix, ultrix_components.memory);
    return true;
}

static void scan(struct ultrix_paging *paging) {
    const struct ultrix_paging_costs *costs = paging->costs;
    unsigned revolutions = 0;
    while (paging->scanned < paging->may_scan && paging->free < costs->lots_free && revolutions <= REVOLUTIONS_MAX) {
        const uint64_t back = (paging->front + costs->resident - costs->hand_spread) % costs->resident;
        clear_reference(paging, (uint32_t)paging->front);
        if (let_go(paging, (uint32_t)back)) {
            revolutions = 0;
        }
        paging->scanned++;
        paging->counters.scans++;
        paging->front = (paging->front + 1) % costs->resident;
        revolutions += paging->front == 0 ? 1 : 0;
    }
    r3000_set_entry_hi(paging->ultrix->cpu, r3000_hi(0, paging->daemon->asid));
}

void ultrix_pageout_main(struct ultrix_process *process) {
    struct ultrix_paging *paging = process->state;
    for (;;) {
        ultrix_sleep(process, paging, ULTRIX_PRIORITY_MEMORY);
        ultrix_work(paging->ultrix, ultrix_components.memory);
        scan(paging);
    }
}

void ultrix_paging_wake(struct ultrix_paging *paging) {
    if (paging->daemon->sleeps_on == paging && paging->scanned < paging->may_scan) {
        ultrix_wakeup(paging->ultrix, paging->daemon);
        ultrix_work(paging->ultrix, ultrix_components.memory);
    }
}

/* A straight line between the two rates. */
void ultrix_paging_schedule(struct ultrix_paging *paging) {
    const struct ultrix_paging_costs *costs = paging->costs;
    const uint64_t lots = costs->lots_free, free = paging->free < lots ? paging->free : lots;
    paging->scanned = paging->written = 0;
    paging->may_scan = (costs->slow_scan * free + costs->fast_scan * (lots - free)) / lots / RATE;
    if (paging->free < lots) {
        ultrix_paging_wake(paging);
    }
}
