/* test_r3000_tlb.c: the software-managed TLB. */
#include "tests/hw/r3000_fixture.h"

enum { PAGE_A = 0x00010000, PAGE_B = 0x00020000, FRAME_A = 0x00300000, FRAME_B = 0x00301000 };

#define VALID R3000_LO_VALID
#define WRITABLE (R3000_LO_VALID | R3000_LO_DIRTY)

/* ---- what a translation finds ---- */

static void through_a_page(void *argument) {
    (void)argument;
    uint32_t value = 0;
    r3000_fixture_enter();
    r3000_fixture_map(3, PAGE_A, 0, FRAME_A | WRITABLE);
    cr_expect(r3000_store(cpu, PAGE_A + 0x124, 4, 0x12345678));
    cr_expect_eq(memory_read32(cpu->memory, FRAME_A + 0x124), 0x12345678);
    cr_expect(r3000_load(cpu, PAGE_A + 0x124, 2, &value));
    cr_expect_eq(value, 0x5678, "little-endian");
    cr_expect(r3000_load(cpu, PAGE_A + 0x127, 1, &value));
    cr_expect_eq(value, 0x12);
    cr_expect_eq(seen.refills + seen.generals, 0);
}
Test(r3000_tlb, loads_and_stores_go_through_the_entry) {
    r3000_fixture_run(through_a_page);
}

static void fault_kinds(void *argument) {
    (void)argument;
    uint32_t value = 0;
    r3000_fixture_enter();
    cr_expect_not(r3000_load(cpu, PAGE_A + 8, 4, &value));
    cr_expect(seen.refills == 1 && seen.generals == 0 && seen.code == R3000_TLBL && seen.bad_address == PAGE_A + 8);
    cr_expect_eq(cpu->context, PAGE_A >> R3000_PAGE_BITS << R3000_CONTEXT_VPN_SHIFT);
    cr_expect_eq(cpu->entry_hi & R3000_HI_VPN, PAGE_A, "ready for tlbwr");
    cr_expect_not(r3000_store(cpu, PAGE_A, 4, 1));
    cr_expect(seen.refills == 2 && seen.code == R3000_TLBS);
    r3000_fixture_map(9, PAGE_A, 0, FRAME_A); /* there, not valid: the general vector */
    cr_expect_not(r3000_load(cpu, PAGE_A, 4, &value));
    cr_expect(seen.refills == 2 && seen.generals == 1 && seen.code == R3000_TLBL);
    r3000_fixture_map(9, PAGE_A, 0, FRAME_A | VALID); /* valid, not dirty */
    cr_expect(r3000_load(cpu, PAGE_A, 4, &value));
    cr_expect_not(r3000_store(cpu, PAGE_A, 4, 1));
    cr_expect(seen.generals == 2 && seen.code == R3000_MOD && seen.bad_address == PAGE_A);
    cr_expect_eq(memory_read32(cpu->memory, FRAME_A), 0, "nothing was written");
    cr_expect_not(seen.was_user, "the vectors run in kernel mode");
    cr_expect(r3000_is_user(cpu), "and the program goes on in user mode");
}
Test(r3000_tlb, a_miss_an_invalid_entry_and_a_clean_page_are_told_apart) {
    r3000_fixture_run(fault_kinds);
}

static void asids(void *argument) {
    (void)argument;
    uint32_t value = 0;
    r3000_fixture_enter();
    memory_write32(cpu->memory, FRAME_A, 0xaaaa);
    memory_write32(cpu->memory, FRAME_B, 0xbbbb);
    r3000_fixture_map(10, PAGE_A, 5, FRAME_A | VALID);
    r3000_fixture_map(11, PAGE_A, 6, FRAME_B | VALID);
    r3000_fixture_map(12, PAGE_B, 63, FRAME_B | VALID | R3000_LO_GLOBAL);
    r3000_set_entry_hi(cpu, r3000_hi(0, 5));
    cr_expect(r3000_load(cpu, PAGE_A, 4, &value) && value == 0xaaaa);
    r3000_set_entry_hi(cpu, r3000_hi(0, 6));
    cr_expect(r3000_load(cpu, PAGE_A, 4, &value) && value == 0xbbbb);
    r3000_set_entry_hi(cpu, r3000_hi(0, 7));
    cr_expect_not(r3000_load(cpu, PAGE_A, 4, &value), "another's ASID is no match");
    cr_expect(r3000_load(cpu, PAGE_B, 4, &value) && value == 0xbbbb, "a global entry is everybody's");
}
Test(r3000_tlb, address_space_ids_keep_entries_apart) {
    r3000_fixture_run(asids);
}

static void kernel_segments(void *argument) {
    (void)argument;
    uint32_t value = 0;
    r3000_fixture_enter();
    cr_expect_not(r3000_load(cpu, R3000_KSEG0 | FRAME_A, 4, &value));
    cr_expect_eq(seen.code, R3000_ADEL);
    cr_expect_not(r3000_store(cpu, R3000_KSEG1 | FRAME_A, 4, 1));
    cr_expect_eq(seen.code, R3000_ADES);
    cr_expect_not(r3000_load(cpu, R3000_KSEG2, 4, &value));
    cr_expect_eq(seen.code, R3000_ADEL);
    cr_expect_eq(memory_read32(cpu->memory, FRAME_A), 0);
}
Test(r3000_tlb, user_code_does_not_reach_the_kernels_segments) {
    r3000_fixture_run(kernel_segments);
}

static void beyond_memory(void *argument) {
    (void)argument;
    uint32_t value = 0;
    r3000_fixture_enter();
    r3000_fixture_map(10, PAGE_A, 0, UINT32_C(0x10000000) | VALID);
    cr_expect_not(r3000_load(cpu, PAGE_A, 4, &value));
    cr_expect_eq(seen.code, R3000_DBE);
}
Test(r3000_tlb, an_entry_that_names_no_memory_is_a_bus_error) {
    r3000_fixture_run(beyond_memory);
}

/* ---- the instructions ---- */

static void probe_and_read(void *argument) {
    (void)argument;
    r3000_fixture_enter();
    r3000_fixture_map(40, PAGE_A, 5, FRAME_A | VALID);
    cpu->entry_hi = r3000_hi(PAGE_A, 5);
    r3000_tlbp(cpu);
    cr_expect_eq(cpu->index, 40U << R3000_INDEX_SHIFT);
    cpu->entry_lo = 0;
    r3000_tlbr(cpu);
    cr_expect_eq(cpu->entry_lo, FRAME_A | VALID);
    cpu->entry_hi = r3000_hi(PAGE_A, 6);
    r3000_tlbp(cpu);
    cr_expect_neq(cpu->index & R3000_INDEX_PROBE_FAILED, 0);
}
Test(r3000_tlb, probe_and_read) {
    r3000_fixture_run(probe_and_read);
}

static void random_replacement(void *argument) {
    (void)argument;
    bool hit[R3000_TLB_ENTRIES_MAX] = {false};
    r3000_fixture_enter();
    for (uint32_t i = 0; i < 8; i++) {
        r3000_fixture_map(i, PAGE_B + i * FIXTURE_PAGE, 0, FRAME_B | VALID);
    }
    for (uint32_t i = 0; i < 2000; i++) {
        const uint32_t index = r3000_random(cpu) >> R3000_INDEX_SHIFT;
        cr_assert(index >= 8 && index < 64, "Random names entry %u", index);
        hit[index] = true;
        cpu->entry_hi = r3000_hi(PAGE_A, 1 + i % 60);
        cpu->entry_lo = FRAME_A | VALID;
        r3000_tlbwr(cpu);
        r3000_execute(cpu, 2); /* a period of 3 and one of 56 meet everywhere */
    }
    for (uint32_t i = 8; i < 64; i++) {
        cr_expect(hit[i], "entry %u is never replaced", i);
    }
    for (uint32_t i = 0; i < 8; i++) {
        cr_expect_eq(cpu->tlb[i].hi, PAGE_B + i * FIXTURE_PAGE, "wired entry %u was replaced", i);
    }
}
Test(r3000_tlb, random_replaces_every_entry_but_the_wired_ones) {
    r3000_fixture_run(random_replacement);
}

static void random_counts_cycles(void *argument) {
    (void)argument;
    r3000_fixture_enter();
    const uint32_t before = r3000_random(cpu) >> R3000_INDEX_SHIFT;
    r3000_execute(cpu, 1);
    const uint32_t after = r3000_random(cpu) >> R3000_INDEX_SHIFT;
    cr_expect_eq(after, before == 8 ? 63 : before - 1);
    r3000_execute(cpu, 55);
    cr_expect_eq(r3000_random(cpu) >> R3000_INDEX_SHIFT, before, "56 entries, 56 cycles");
}
Test(r3000_tlb, random_counts_down_a_step_a_cycle) {
    r3000_fixture_run(random_counts_cycles);
}

static void two_matches(void *argument) {
    (void)argument;
    uint32_t value = 0;
    r3000_fixture_enter();
    r3000_fixture_map(10, PAGE_A, 0, FRAME_A | VALID);
    r3000_fixture_map(20, PAGE_A, 0, FRAME_B | VALID);
    (void)r3000_load(cpu, PAGE_A, 4, &value);
    cr_expect_neq(cpu->status & R3000_STATUS_TLB_SHUTDOWN, 0);
    cr_expect_eq(cpu->counters.tlb_shutdowns, 1);
}
Test(r3000_tlb, two_entries_that_match_shut_it_down) {
    r3000_fixture_run(two_matches);
}

static void repair_miss(void) {
    cpu->entry_lo = FRAME_A | VALID;
    r3000_tlbwr(cpu);
}
static void retried(void *argument) {
    (void)argument;
    uint32_t value = 0;
    r3000_fixture_enter();
    memory_write32(cpu->memory, FRAME_A, 0xaaaa);
    seen.repair = repair_miss;
    seen.answer = R3000_RETRY;
    const sim_time from = r3000_fixture_now();
    cr_expect(r3000_load(cpu, PAGE_A, 4, &value));
    cr_expect_eq(value, 0xaaaa);
    cr_expect_eq(seen.refills, 1);
    /* The load, what it annulled, tlbwr, rfe, the load again. */
    cr_expect_eq(r3000_fixture_cycles(from), 1 + FIXTURE_EXCEPTION_CYCLES + 1 + 1 + 1);
}
Test(r3000_tlb, a_handler_that_refills_has_the_access_retried) {
    r3000_fixture_run(retried);
}
