/* ultrix_vm.c: page tables that are the kernel's, faults and mprotect. */
#include "kernel_model/ultrix/paging.h"

enum { CP0_MOVE = 1 };

uint64_t ultrix_pte_at(const struct ultrix_process *process, uint32_t address) {
    if (address >= ULTRIX_DATA_AT && address - ULTRIX_DATA_AT < ULTRIX_DATA_PAGES_MAX * ULTRIX_PAGE) {
        return process->data_table + 4 * (uint64_t)((address - ULTRIX_DATA_AT) / ULTRIX_PAGE);
    }
    if (address >= ULTRIX_STACK_AT && address - ULTRIX_STACK_AT < ULTRIX_STACK_PAGES * ULTRIX_PAGE) {
        return process->stack_table + 4 * (uint64_t)((address - ULTRIX_STACK_AT) / ULTRIX_PAGE);
    }
    return 0;
}

/* ---- faults ---- */

static void update_tlb(struct ultrix_process *process, uint32_t page, uint32_t pte) {
    struct r3000 *cpu = process->ultrix->cpu;
    r3000_set_entry_hi(cpu, r3000_hi(page, process->asid));
    r3000_tlbp(cpu);
    r3000_execute(cpu, CP0_MOVE);
    if ((cpu->index & R3000_INDEX_PROBE_FAILED) == 0) {
        r3000_set_entry_lo(cpu, pte & ~(uint32_t)ULTRIX_PTE_OWN);
        r3000_tlbwi(cpu);
    }
}

/* Its frame, wherever it is, becomes the page's again. */
static void make_resident(struct ultrix_process *process, uint32_t address, uint32_t pte) {
    struct ultrix *ultrix = process->ultrix;
    const uint64_t page = (address - ULTRIX_DATA_AT) / ULTRIX_PAGE;
    if ((pte & R3000_LO_PFN) == 0) {
        ultrix_paging_bring(ultrix->paging, process, page);
    } else if ((pte & R3000_LO_VALID) == 0) {
        ultrix->counters.reclaims++;
        ultrix_step(ultrix, &ultrix->costs->reclaim);
        if (process->store != NULL) {
            ultrix_paging_reclaim(ultrix->paging, process, page);
        }
    }
}

/* What is allowed becomes possible: the entry is valid, and may be written once it was. */
static enum r3000_resume repair(struct ultrix_process *process, uint64_t at, bool write, uint32_t address) {
    struct ultrix *ultrix = process->ultrix;
    uint32_t pte = ultrix_load(ultrix, at) | R3000_LO_VALID;
    if (write && (pte & ULTRIX_PTE_MODIFIED) == 0) {
        ultrix->counters.modifies++;
        pte |= ULTRIX_PTE_MODIFIED;
    }
    if ((pte & ULTRIX_PTE_WRITE) != 0 && (pte & ULTRIX_PTE_MODIFIED) != 0) {
        pte |= R3000_LO_DIRTY;
    }
    ultrix_store(ultrix, at, pte);
    update_tlb(process, address, pte);
    ultrix_trap_leave(ultrix);
    return R3000_RETRY;
}

enum r3000_resume ultrix_fault(struct ultrix_process *process, enum r3000_code code, uint32_t address) {
    struct ultrix *ultrix = process->ultrix;
    const bool write = code != R3000_TLBL;
    ultrix_work(ultrix, ultrix_components.memory);
    ultrix_step(ultrix, &ultrix->costs->fault);
    const uint64_t at = ultrix_pte_at(process, address);
    const uint32_t pte = at != 0 ? ultrix_load(ultrix, at) : 0;
    if ((pte & (write ? ULTRIX_PTE_WRITE : ULTRIX_PTE_READ)) != 0) {
        make_resident(process, address, pte);
        return repair(process, at, write, address);
    }
    ultrix_signal_post(process, ULTRIX_SIGSEGV);
    return ultrix_signal_deliver(process, address);
}

/* ---- mprotect ---- */

/* Only what the kernel allows is said here. An entry can refuse reading in no other way than
 * by not being valid, and valid is also the reference bit: it comes back when the page is
 * used, not when it is allowed to be. */
static uint32_t pte_of(uint32_t old, enum ultrix_protection protection) {
    static const uint32_t rights[] = {0, ULTRIX_PTE_READ, ULTRIX_PTE_READ | ULTRIX_PTE_WRITE};
    const uint32_t kept = R3000_LO_PFN | ULTRIX_PTE_ALLOCATED | ULTRIX_PTE_MODIFIED | ULTRIX_PTE_ON_STORE;
    uint32_t pte = (old & kept) | rights[protection];
    if (protection != ULTRIX_NO_ACCESS) {
        pte |= old & R3000_LO_VALID;
    }
    if (protection == ULTRIX_READ_WRITE && (pte & ULTRIX_PTE_MODIFIED) != 0) {
        pte |= R3000_LO_DIRTY;
    }
    return pte;
}

/* The table, and what the TLB has of it: changed in place. */
static void protect_page(struct ultrix_process *process, uint32_t page, enum ultrix_protection protection) {
    struct ultrix *ultrix = process->ultrix;
    const uint64_t at = ultrix_pte_at(process, page);
    ultrix_step(ultrix, &ultrix->costs->protect_page);
    const uint32_t pte = pte_of(ultrix_load(ultrix, at), protection);
    ultrix_store(ultrix, at, pte);
    update_tlb(process, page, pte);
}

enum error_code ultrix_mprotect(struct ultrix_process *process, uint32_t address, uint64_t pages,
                                enum ultrix_protection protection) {
    struct ultrix *ultrix = process->ultrix;
    const uint32_t first = address & R3000_HI_VPN;
    const bool own = first >= ULTRIX_DATA_AT && (first - ULTRIX_DATA_AT) / ULTRIX_PAGE + pages <= process->data_pages;
    ultrix_call_begin(process, ultrix_components.memory);
    ultrix_step(ultrix, &ultrix->costs->mprotect);
    for (uint64_t i = 0; own && i < pages; i++) {
        protect_page(process, first + (uint32_t)i * ULTRIX_PAGE, protection);
    }
    r3000_set_entry_hi(ultrix->cpu, r3000_hi(0, process->asid));
    ultrix_call_end(process);
    return own ? OK : ERR_RANGE;
}
