/* protect.c: what a bound page allows, changed by its owner. */
#include "kernel_model/exo/binding.h"

enum { CP0_MOVE = 1 };

/* In the TLB the entry is changed where it is; what is not there will be found in the
 * software TLB. */
static void change_tlb(struct aegis *aegis, uint32_t hi, uint32_t lo) {
    struct r3000 *cpu = aegis->cpu;
    r3000_set_entry_hi(cpu, hi);
    r3000_tlbp(cpu);
    r3000_execute(cpu, CP0_MOVE); /* Index, to see whether it was found */
    if ((cpu->index & R3000_INDEX_PROBE_FAILED) == 0) {
        r3000_set_entry_lo(cpu, lo);
        r3000_tlbwi(cpu);
    }
}

/* EntryLo as the page's binding allows it. */
static enum error_code allow(struct aegis_environment *environment, uint32_t page, bool write, uint32_t *lo,
                             struct error *error) {
    struct aegis *aegis = environment->aegis;
    aegis_step(aegis, &aegis->costs->binding_find);
    const struct aegis_binding *binding = aegis_binding_find(environment, page);
    if (binding == NULL || (write && !binding->write)) {
        return error_set(error, ERR_DENIED, "%s: 0x%x is not bound for that", environment->environment->name, page);
    }
    *lo = aegis_entry_lo((uint64_t)binding->frame * MEMORY_FRAME_BYTES, write);
    return OK;
}

static enum error_code protect_page(struct aegis_environment *environment, uint32_t page,
                                    enum aegis_protection protection, struct error *error) {
    struct aegis *aegis = environment->aegis;
    const uint32_t hi = r3000_hi(page, environment->asid);
    uint32_t lo = 0;
    aegis_step(aegis, &aegis->costs->protect_page);
    enum error_code code = aegis_check_page(environment, page, error);
    if (code == OK && protection != AEGIS_NO_ACCESS) {
        code = allow(environment, page, protection == AEGIS_READ_WRITE, &lo, error);
    }
    if (code != OK) {
        return code;
    }
    if (protection == AEGIS_NO_ACCESS) {
        stlb_remove(&aegis->stlb, hi);
    } else {
        stlb_insert(&aegis->stlb, hi, lo);
    }
    change_tlb(aegis, hi, lo);
    return OK;
}

enum error_code aegis_tlb_protect(struct aegis_environment *environment, uint32_t virtual_address, uint64_t pages,
                                  enum aegis_protection protection, struct error *error) {
    struct aegis *aegis = environment->aegis;
    const uint32_t first = virtual_address & R3000_HI_VPN;
    enum error_code code = OK;
    aegis_call_begin(environment, aegis_components.binding, true);
    for (uint64_t i = 0; i < pages && code == OK; i++) {
        const uint64_t page = first + i * AEGIS_PAGE;
        code = protect_page(environment, page < R3000_KSEG0 ? (uint32_t)page : R3000_KSEG0, protection, error);
    }
    r3000_set_entry_hi(aegis->cpu, r3000_hi(0, environment->asid));
    aegis_call_end(environment);
    return code;
}
