/* ultrix_vm.c: page tables that are the kernel's, faults and mprotect. */
#include "kernel_model/ultrix/ultrix.h"

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

/* Nothing is paged out here: what faults is not allowed. */
enum r3000_resume ultrix_fault(struct ultrix_process *process, enum r3000_code code, uint32_t address) {
    struct ultrix *ultrix = process->ultrix;
    (void)code;
    ultrix_work(ultrix, ultrix_components.memory);
    ultrix_step(ultrix, &ultrix->costs->fault);
    const uint64_t at = ultrix_pte_at(process, address);
    (void)(at != 0 ? ultrix_load(ultrix, at) : 0);
    ultrix_signal_post(process, ULTRIX_SIGSEGV);
    return ultrix_signal_deliver(process, address);
}

static uint32_t pte_of(uint32_t old, enum ultrix_protection protection) {
    static const uint32_t bits[] = {0, R3000_LO_VALID | ULTRIX_PTE_READ,
                                    R3000_LO_VALID | R3000_LO_DIRTY | ULTRIX_PTE_READ | ULTRIX_PTE_WRITE};
    return (old & R3000_LO_PFN) | ULTRIX_PTE_ALLOCATED | bits[protection];
}

/* The table, and what the TLB has of it: changed in place. */
static void protect_page(struct ultrix_process *process, uint32_t page, enum ultrix_protection protection) {
    struct ultrix *ultrix = process->ultrix;
    struct r3000 *cpu = ultrix->cpu;
    const uint64_t at = ultrix_pte_at(process, page);
    ultrix_step(ultrix, &ultrix->costs->protect_page);
    const uint32_t pte = pte_of(ultrix_load(ultrix, at), protection);
    ultrix_store(ultrix, at, pte);
    r3000_set_entry_hi(cpu, r3000_hi(page, process->asid));
    r3000_tlbp(cpu);
    r3000_execute(cpu, CP0_MOVE);
    if ((cpu->index & R3000_INDEX_PROBE_FAILED) == 0) {
        r3000_set_entry_lo(cpu, pte & ~UINT32_C(0xff));
        r3000_tlbwi(cpu);
    }
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
