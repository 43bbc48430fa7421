/* adversary_hardware.h: what the processor would translate, against the monitor: on the R3000 its
 * TLB and the software TLB, on x86-64 its TLB and both environments' page tables.
 *
 * For test_aegis_adversary.c. */
#ifndef STILLSUIT_TESTS_KERNEL_MODEL_ADVERSARY_HARDWARE_H
#define STILLSUIT_TESTS_KERNEL_MODEL_ADVERSARY_HARDWARE_H

#ifdef FIXTURE_X86
static void look_at_hardware(void) {
    for (unsigned i = 0; i < MMU_NESTED_TLB_ENTRIES; i++) {
        const struct mmu_nested_entry *entry = &aegis->x86->translation.tlb[i];
        if (entry->page != 0) {
            monitor_check_entry(&monitor, entry->tag, (entry->page - 1) * AEGIS_PAGE, entry->frame, entry->write);
            MUST(monitor.fault == NULL, monitor.fault);
        }
    }
    const struct aegis_environment *both[] = {mallory, bob};
    for (int i = 0; i < 2; i++) {
        monitor_check_bindings(&monitor, machine->memory, address_space_root(both[i]->environment->space),
                               both[i]->home);
        MUST(monitor.fault == NULL, monitor.fault);
    }
    for (const struct aegis_x86_tables *at = aegis->processor->more; at != NULL; at = at->next) {
        if (at->name_space != 0) {
            monitor_check_bindings(&monitor, machine->memory, address_space_root(at->tables), at->name_space);
            MUST(monitor.fault == NULL, monitor.fault);
        }
    }
}
#else
static void check_entry(uint32_t hi, uint32_t lo) {
    if ((lo & R3000_LO_VALID) != 0) {
        monitor_check_entry(&monitor, (hi & R3000_HI_ASID) >> R3000_ASID_SHIFT, hi & R3000_HI_VPN, lo & R3000_LO_PFN,
                            (lo & R3000_LO_DIRTY) != 0);
        MUST(monitor.fault == NULL, monitor.fault);
    }
}

static void look_at_hardware(void) {
    MUST(cpu->counters.tlb_shutdowns == 0, "two entries match");
    for (uint32_t i = 0; i < 64; i++) {
        check_entry(cpu->tlb[i].hi, cpu->tlb[i].lo);
    }
    for (uint64_t i = 0; i < 4096; i++) {
        const uint64_t at = aegis->stlb.physical + 8 * i;
        check_entry(memory_read32(machine->memory, at), memory_read32(machine->memory, at + 4));
    }
}
#endif

#endif
