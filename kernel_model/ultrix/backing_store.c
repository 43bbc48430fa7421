/* backing_store.c: where pages are that are not in memory: a disk that does one transfer
 * after the other and interrupts at the end of each. */
#include <string.h>

#include "kernel_model/ultrix/paging.h"

static struct ultrix_transfer *head(struct ultrix_paging *paging) {
    return &paging->transfers[paging->first_transfer];
}

/* Each takes as many cycles of the processor's clock as its step says. */
static void start_next(struct ultrix_paging *paging) {
    if (paging->transferring || paging->transfer_count == 0) {
        return;
    }
    const struct ultrix_transfer *transfer = head(paging);
    struct cost *cost = transfer->out ? &paging->costs->page_out : &paging->costs->page_in;
    cost->uses++;
    if (transfer->request != NULL) {
        ledger_turn_at(transfer->request, LEDGER_SERVICE, sim_now());
    }
    paging->transferring = true;
    const struct sim_clock *clock = core_clock(paging->ultrix->cpu->core);
    const uint64_t now = sim_clock_cycle_ceil(clock, sim_now());
    sim_schedule_at(&paging->done, sim_clock_edge(clock, now + cost->cycles));
}

void ultrix_store_begin(struct ultrix_paging *paging, uint32_t frame, bool out, struct request *request) {
    const uint64_t size = paging->costs->resident;
    SIM_ASSERT(paging->transfer_count < size && !paging->frames[frame].busy);
    paging->frames[frame].busy = true;
    paging->transfers[(paging->first_transfer + paging->transfer_count) % size] =
        (struct ultrix_transfer){frame, out, request};
    paging->transfer_count++;
    start_next(paging);
}

/* The bytes, and an interrupt. */
static void on_done(void *context) {
    struct ultrix_paging *paging = context;
    const struct ultrix_transfer *transfer = head(paging);
    const struct ultrix_frame *frame = &paging->frames[transfer->frame];
    struct memory *memory = paging->ultrix->machine->memory;
    uint8_t *stored = frame->owner->store + frame->page * ULTRIX_PAGE;
    if (transfer->out) {
        memory_read(memory, frame->physical, stored, ULTRIX_PAGE);
        paging->counters.out++;
    } else {
        memory_write(memory, frame->physical, stored, ULTRIX_PAGE);
        paging->counters.in++;
    }
    if (transfer->request != NULL) {
        ledger_hand_over(transfer->request, ultrix_components.store, paging->ready, LEDGER_WAITING);
    }
    r3000_raise(paging->ultrix->cpu, ULTRIX_STORE_LINE);
}

/* What was written is clean, on the store, and free. */
static void end_of_write(struct ultrix_paging *paging, uint32_t number) {
    const struct ultrix_frame *frame = &paging->frames[number];
    const uint64_t at = frame->owner->data_table + 4 * frame->page;
    const uint32_t pte = ultrix_load(paging->ultrix, at) & ~(uint32_t)ULTRIX_PTE_MODIFIED;
    ultrix_store(paging->ultrix, at, pte | ULTRIX_PTE_ON_STORE);
    ultrix_paging_release(paging, number);
}

static void serve(void *state) {
    struct ultrix_paging *paging = state;
    const struct ultrix_transfer transfer = *head(paging);
    ultrix_work(paging->ultrix, ultrix_components.memory);
    ultrix_step(paging->ultrix, &paging->costs->store_interrupt);
    cpu_run(paging->ultrix->interrupt);
    paging->first_transfer = (paging->first_transfer + 1) % paging->costs->resident;
    paging->transfer_count--;
    paging->transferring = false;
    paging->frames[transfer.frame].busy = false;
    start_next(paging);
    if (transfer.out) {
        end_of_write(paging, transfer.frame);
    }
    ultrix_wakeup_all(paging->ultrix, &paging->frames[transfer.frame]);
    ultrix_work(paging->ultrix, ultrix_components.memory);
}

void ultrix_store_attach(struct ultrix_paging *paging) {
    sim_event_init(&paging->done, SIM_PRIORITY_HARDWARE, on_done, paging);
    ultrix_attach(paging->ultrix, ULTRIX_STORE_LINE, serve, paging);
}
