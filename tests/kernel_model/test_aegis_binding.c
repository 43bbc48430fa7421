/* test_aegis_binding.c: what an environment can address, and what it cannot. */
#include "tests/kernel_model/aegis_fixture.h"

static struct aegis_environment *alice, *bob;
static struct exo_handle bobs;
static uint64_t bobs_frame;

static bool reaches(struct aegis_environment *environment, uint32_t page, uint32_t *value) {
    (void)environment;
    return fixture_load(page, 4, value);
}

/* Two environments; alice runs `main`, and bob has a frame that holds a secret. */
static void run_alice(void (*main)(struct aegis_environment *environment)) {
    static struct aegis_program program;
    static const struct aegis_program idle = {.name = "bob"};
    program = (struct aegis_program){.name = "alice", .main = main, .exception = fixture_skip, .notice = fixture_obey};
    fixture_make();
    alice = fixture_environment("alice", &program, 1);
    bob = fixture_environment("bob", &idle, 0);
    bobs = fixture_frame(bob, &bobs_frame);
    memory_write32(machine->memory, bobs_frame, 0x5ec2e7);
    fixture_run(SIM_S);
    fixture_check_accounts();
    cr_expect_eq(memory_read32(machine->memory, bobs_frame), 0x5ec2e7, "bob's memory was written");
#ifndef FIXTURE_X86
    cr_expect_eq(cpu->counters.tlb_shutdowns, 0);
#endif
    aegis_free(aegis);
}

/* ---- a capability is needed ---- */

static void expect_refused(const struct exo_handle *handle, bool write, enum exo_refusal why) {
    uint32_t value = 0;
    const uint64_t before = alice->environment->counters.refused[why];
    cr_expect_eq(aegis_tlb_insert(alice, PAGE_X, handle, write, NULL), ERR_DENIED);
    cr_expect_eq(alice->environment->counters.refused[why], before + 1, "not refused as %s", exo_refusal_text(why));
    cr_expect_not(reaches(alice, PAGE_X, &value));
    cr_expect_neq(value, 0x5ec2e7);
}

static void present_bad_ones(struct aegis_environment *environment) {
    uint64_t physical = 0;
    struct exo_handle forged = bobs;
    expect_refused(&bobs, false, EXO_NOT_HOLDER);
    forged.holder = environment->environment->number;
    expect_refused(&forged, false, EXO_FORGED);
    struct exo_handle stale = fixture_frame(environment, &physical);
    cr_expect_eq(aegis_frame_release(environment, &stale, NULL), OK);
    expect_refused(&stale, false, EXO_STALE);
    const struct exo_handle own = fixture_frame(environment, &physical);
    struct exo_handle reading;
    cr_expect_eq(aegis_derive(environment, &own, EXO_READ, environment, &reading, NULL), OK);
    expect_refused(&reading, true, EXO_OVERREACHING);
    reading.rights |= EXO_WRITE;
    expect_refused(&reading, true, EXO_FORGED);
    cr_expect_eq(aegis_tlb_insert(environment, PAGE_X, &own, true, NULL), OK);
}
Test(aegis_binding, a_translation_takes_a_capability_of_the_frame) {
    run_alice(present_bad_ones);
}

static void read_only(struct aegis_environment *environment) {
    uint64_t physical = 0;
    uint32_t value = 0;
    const struct exo_handle own = fixture_frame(environment, &physical);
    cr_expect_eq(aegis_tlb_insert(environment, PAGE_X, &own, false, NULL), OK);
    cr_expect(reaches(environment, PAGE_X, &value));
    cr_expect_not(fixture_store(PAGE_X, 4, 1));
    cr_expect_eq(last_exception.code, AEGIS_CAUSE_PROTECTION);
    cr_expect_eq(aegis_tlb_insert(environment, PAGE_X, &own, true, NULL), OK, "replaces what was there");
    cr_expect(fixture_store(PAGE_X, 4, 7));
    cr_expect_eq(memory_read32(machine->memory, physical), 7);
    aegis_tlb_remove(environment, PAGE_X);
    cr_expect_not(reaches(environment, PAGE_X, &value));
    cr_expect_eq(last_exception.code, AEGIS_CAUSE_MISS_LOAD);
}
Test(aegis_binding, rights_are_those_of_the_entry) {
    run_alice(read_only);
}

static void kernels_pages(struct aegis_environment *environment) {
    uint64_t physical = 0;
    const struct exo_handle own = fixture_frame(environment, &physical);
    cr_expect_eq(aegis_tlb_insert(environment, AEGIS_FREE_MAP_AT, &own, true, NULL), ERR_RANGE);
    cr_expect_eq(aegis_tlb_insert(environment, AEGIS_SAVE_AREA_AT, &own, true, NULL), ERR_RANGE);
    cr_expect_eq(aegis_tlb_insert(environment, AEGIS_USER_END, &own, true, NULL), ERR_RANGE);
    cr_expect_not(fixture_store(AEGIS_FREE_MAP_AT, 4, 0), "the free map is there to read");
}
Test(aegis_binding, the_kernels_own_pages_are_not_the_environments_to_bind) {
    run_alice(kernels_pages);
}

/* To use a frame is not to give it back; and what is lent is not the borrower's to keep. */
static void lent(struct aegis_environment *environment) {
    struct exo_handle all, reading;
    uint32_t value = 0;
    cr_expect_eq(exo_derive(bob->environment, &bobs, EXO_READ | EXO_WRITE, environment->environment, &all, NULL), OK);
    cr_expect_eq(exo_derive(bob->environment, &bobs, EXO_READ, environment->environment, &reading, NULL), OK);
    cr_expect_eq(aegis_frame_release(environment, &reading, NULL), ERR_DENIED);
    cr_expect_eq(aegis_frame_release(environment, &all, NULL), ERR_DENIED);
    cr_expect_not(frames_is_free(aegis->kernel->frames, bobs_frame));
    cr_expect_eq(aegis_map_guaranteed(environment, PAGE_X, &all, false, NULL), ERR_DENIED);
    cr_expect_eq(environment->guaranteed, 1, "the save area");
    exo_capability_revoke(aegis->kernel->capabilities, &all);
    cr_expect_not(reaches(environment, PAGE_X, &value), "it was guaranteed all the same");
}
Test(aegis_binding, what_is_lent_is_not_given_back_nor_guaranteed) {
    run_alice(lent);
}

/* ---- revocation reaches every cache ---- */

static void shared(struct aegis_environment *environment) {
    struct exo_handle own;
    uint32_t value = 0;
    cr_expect_eq(exo_derive(bob->environment, &bobs, EXO_READ, environment->environment, &own, NULL), OK);
    cr_expect_eq(aegis_tlb_insert(environment, PAGE_X, &own, false, NULL), OK);
    cr_expect_eq(aegis_tlb_insert(environment, PAGE_Y, &own, false, NULL), OK);
    cr_expect(reaches(environment, PAGE_X, &value) && value == 0x5ec2e7);
    exo_capability_revoke(aegis->kernel->capabilities, &own); /* a child: bob's own stays */
    cr_expect_not(reaches(environment, PAGE_X, &value), "the TLB or the software TLB has it still");
    cr_expect_not(reaches(environment, PAGE_Y, &value));
    cr_expect_neq(value, 0x5ec2e7);
    cr_expect_eq(aegis_tlb_insert(environment, PAGE_X, &own, false, NULL), ERR_DENIED);
}
Test(aegis_binding, a_revoked_capability_takes_its_translations_along) {
    run_alice(shared);
}

/* A grandchild is passed on, and goes with its grandparent. */
static void subtree(struct aegis_environment *environment) {
    uint64_t physical = 0;
    struct exo_handle child, grandchild, refused;
    const struct exo_handle own = fixture_frame(environment, &physical);
    cr_expect_eq(aegis_derive(environment, &own, EXO_READ | EXO_GRANT, environment, &child, NULL), OK);
    cr_expect_eq(aegis_derive(environment, &child, EXO_READ | EXO_WRITE, environment, &refused, NULL), ERR_DENIED,
                 "more rights than its parent");
    cr_expect_eq(aegis_derive(environment, &child, EXO_READ, bob, &grandchild, NULL), OK);
    cr_expect_eq(aegis_revoke(environment, &child, NULL), ERR_DENIED, "without the right to");
    uint64_t named = 0, count = 0;
    cr_expect_eq(exo_memory_frames(bob->environment, &grandchild, EXO_READ, &named, &count, NULL), OK);
    cr_expect(named == physical && count == 1);
    cr_expect_eq(aegis_revoke(environment, &own, NULL), OK);
    cr_expect_eq(exo_memory_frames(bob->environment, &grandchild, EXO_READ, &named, &count, NULL), ERR_DENIED);
    cr_expect(aegis_frame_is_free(environment, physical));
}
Test(aegis_binding, revoking_ends_the_subtree) {
    run_alice(subtree);
}

/* ---- physical names ---- */

static void names(struct aegis_environment *environment) {
    uint64_t physical = 0, other = 0;
    struct exo_handle handle, second;
    cr_expect_eq(aegis_frame_allocate(environment, 0x400000, AEGIS_ANY_COLOR, &handle, &physical, NULL), OK);
    cr_expect_eq(physical, 0x400000, "the frame that was asked for");
    cr_expect_eq(aegis_frame_allocate(environment, 0x400000, AEGIS_ANY_COLOR, &second, &other, NULL), ERR_EXHAUSTED);
    cr_expect_eq(aegis_frame_allocate(environment, bobs_frame, AEGIS_ANY_COLOR, &second, &other, NULL), ERR_EXHAUSTED);
    for (uint32_t color = 0; color < 16; color += 5) {
        cr_expect_eq(aegis_frame_allocate(environment, 0, color, &second, &other, NULL), OK);
        cr_expect_eq(other / AEGIS_PAGE % 16, color);
    }
    cr_expect_eq(aegis_frame_allocate(environment, 0, 16, &second, &other, NULL), ERR_RANGE);
    cr_expect_not(aegis_frame_is_free(environment, 0x400000));
    cr_expect(aegis_frame_is_free(environment, 0x401000));
    cr_expect_eq(aegis_frame_release(environment, &handle, NULL), OK);
    cr_expect(aegis_frame_is_free(environment, 0x400000));
    unsigned wrong = 0;
    for (uint64_t at = 0; at < memory_size(machine->memory); at += AEGIS_PAGE) {
        wrong += aegis_frame_is_free(environment, at) != frames_is_free(aegis->kernel->frames, at);
    }
    cr_expect_eq(wrong, 0, "the free map is wrong of %u frames", wrong);
    cr_expect_eq(handled, 0);
}
Test(aegis_binding, frames_have_names_and_colors_and_the_free_ones_can_be_read) {
    run_alice(names);
}

#ifndef FIXTURE_X86
/* ---- the software TLB ---- */

enum { MANY = 200 };

static void bind_many(struct aegis_environment *environment) {
    uint64_t physical = 0;
    for (uint32_t i = 0; i < MANY; i++) {
        const struct exo_handle handle = fixture_frame(environment, &physical);
        cr_assert_eq(aegis_tlb_insert(environment, PAGE_X + i * AEGIS_PAGE, &handle, true, NULL), OK);
        memory_write32(machine->memory, physical, i);
    }
}

static void absorbed(struct aegis_environment *environment) {
    uint32_t value = 0;
    bind_many(environment);
    const uint64_t misses = aegis->stlb.misses;
    for (uint32_t i = 0; i < MANY; i++) {
        const uint64_t refills = cpu->counters.refills, instructions = cpu->counters.instructions;
        const sim_time from = fixture_now();
        cr_expect(reaches(environment, PAGE_X + i * AEGIS_PAGE, &value) && value == i);
        const uint64_t cycles = fixture_cycles(from);
        if (cpu->counters.refills > refills) {
            cr_expect_eq(cpu->counters.instructions - instructions, 1 + 18 + 1, "a hit is 18 instructions");
            cr_expect_eq(cycles, 1 + EXCEPTION_CYCLES + 18 + 1);
        } else {
            cr_expect_eq(cycles, 1);
        }
    }
    cr_expect_geq(aegis->stlb.hits, MANY - 64, "64 entries at most were still in the TLB");
    cr_expect_eq(aegis->stlb.misses, misses);
    cr_expect_eq(handled, 0, "no miss came up to the application");
}
Test(aegis_binding, the_software_tlb_absorbs_misses_in_18_instructions) {
    run_alice(absorbed);
}

static enum aegis_resume look_up(struct aegis_environment *environment, const struct aegis_exception *exception) {
    handled++;
    const uint32_t index = (exception->bad_address - PAGE_X) / AEGIS_PAGE;
    const struct aegis_frame *frame = environment->frames->next; /* behind the save area */
    for (uint32_t i = 0; i < index; i++) {
        frame = frame->next;
    }
    cr_expect_eq(aegis_tlb_insert(environment, exception->bad_address, &frame->handle, true, NULL), OK);
    return AEGIS_RETRY;
}
static void comes_up(struct aegis_environment *environment) {
    uint32_t value = 0;
    bind_many(environment);
    for (uint32_t i = 0; i < MANY; i++) {
        cr_expect(reaches(environment, PAGE_X + i * AEGIS_PAGE, &value) && value == i);
    }
    cr_expect_geq(handled, MANY - 64);
    cr_expect_eq(environment->counters.tlb_upcalls, handled);
}
Test(aegis_binding, without_it_the_application_looks_up_its_own_page_table) {
    static const struct aegis_program program = {
        .name = "alice", .main = comes_up, .exception = look_up, .notice = fixture_obey};
    config.stlb_entries = 0;
    fixture_make();
    alice = fixture_environment("alice", &program, 1);
    fixture_run(SIM_S);
    cr_expect_gt(handled, 0);
}

static void conflicting(struct aegis_environment *environment) {
    uint64_t physical = 0;
    uint32_t value = 0;
    const uint32_t apart = 4096 * AEGIS_PAGE; /* the same slot of the software TLB */
    for (uint32_t i = 0; i < 3; i++) {
        const struct exo_handle handle = fixture_frame(environment, &physical);
        cr_expect_eq(aegis_tlb_insert(environment, PAGE_X + i * apart, &handle, true, NULL), OK);
    }
    cr_expect_eq(aegis->stlb.conflicts, 2);
    const uint64_t entry = aegis->stlb.physical + stlb_slot(&aegis->stlb, r3000_hi(PAGE_X, environment->asid)) * 8;
    cr_expect_eq(memory_read32(machine->memory, entry), r3000_hi(PAGE_X + 2 * apart, environment->asid),
                 "an entry is bytes in memory: EntryHi");
    cr_expect_eq(memory_read32(machine->memory, entry + 4), (uint32_t)physical | R3000_LO_VALID | R3000_LO_DIRTY,
                 "and EntryLo");
    for (uint32_t i = 0; i < 64; i++) { /* out of the hardware's TLB */
        cpu->tlb[i] = (struct r3000_tlb_entry){R3000_KSEG0 | i << R3000_PAGE_BITS, 0};
    }
    cr_expect(reaches(environment, PAGE_X + 2 * apart, &value));
    cr_expect_not(reaches(environment, PAGE_X, &value), "it was overwritten: up to the application");
    cr_expect_eq(handled, 1);
}
Test(aegis_binding, the_software_tlb_is_direct_mapped_bytes) {
    run_alice(conflicting);
}
#endif

/* ---- guaranteed mappings ---- */

#ifndef FIXTURE_X86
static void guaranteed(struct aegis_environment *environment) {
    uint64_t physical = 0;
    uint32_t value = 0;
    for (uint32_t i = 0; i < 7; i++) { /* the save area is the eighth */
        const struct exo_handle handle = fixture_frame(environment, &physical);
        cr_expect_eq(aegis_map_guaranteed(environment, PAGE_X + i * AEGIS_PAGE, &handle, true, NULL), OK);
    }
    const struct exo_handle more = fixture_frame(environment, &physical);
    cr_expect_eq(aegis_map_guaranteed(environment, PAGE_Y, &more, true, NULL), ERR_SHARE);
    for (uint32_t i = 0; i < 64; i++) {
        cpu->tlb[i] = (struct r3000_tlb_entry){R3000_KSEG0 | i << R3000_PAGE_BITS, 0};
    }
    memory_fill(machine->memory, aegis->stlb.physical, 0, 4096 * 8);
    for (uint32_t i = 0; i < 7; i++) {
        cr_expect(reaches(environment, PAGE_X + i * AEGIS_PAGE, &value));
    }
    cr_expect_eq(handled, 0, "a guaranteed mapping never comes up");
    cr_expect_eq(environment->counters.guaranteed_hits, 7);
}
Test(aegis_binding, guaranteed_mappings_are_the_kernels_to_keep) {
    run_alice(guaranteed);
}
#endif

static void one_frame(struct aegis_environment *environment) {
    uint64_t physical = 0;
    const struct exo_handle handle = fixture_frame(environment, &physical);
    for (uint32_t i = 0; i < 40; i++) {
        cr_expect_eq(aegis_map_guaranteed(environment, PAGE_X + i * AEGIS_PAGE, &handle, true, NULL),
                     i < 7 ? OK : ERR_SHARE, "mapping %u", i);
    }
    cr_expect_eq(environment->guaranteed, 2, "the frame, and the save area");
    aegis_tlb_remove(environment, PAGE_X);
    cr_expect_eq(environment->guaranteed, 2, "six more mappings name it");
    for (uint32_t i = 1; i < 7; i++) {
        aegis_tlb_remove(environment, PAGE_X + i * AEGIS_PAGE);
    }
    cr_expect_eq(environment->guaranteed, 1, "none does: it can be revoked");
}
Test(aegis_binding, guaranteed_mappings_are_counted_and_can_be_given_up) {
    run_alice(one_frame);
}

static void release_guaranteed(struct aegis_environment *environment) {
    uint64_t physical = 0;
    uint32_t value = 0;
    const struct exo_handle handle = fixture_frame(environment, &physical);
    cr_expect_eq(aegis_map_guaranteed(environment, PAGE_X, &handle, true, NULL), OK);
    cr_expect(fixture_store(PAGE_X, 4, 3));
    cr_expect_eq(aegis_frame_release(environment, &handle, NULL), OK);
    cr_expect_not(reaches(environment, PAGE_X, &value), "the kernel's list still has it");
    cr_expect_eq(environment->guaranteed, 1, "the save area");
}
Test(aegis_binding, a_guaranteed_mapping_goes_with_its_frame) {
    run_alice(release_guaranteed);
}

#ifndef FIXTURE_X86
static void protect_guaranteed(struct aegis_environment *environment) {
    uint64_t physical = 0;
    const struct exo_handle handle = fixture_frame(environment, &physical);
    cr_expect_eq(aegis_map_guaranteed(environment, PAGE_X, &handle, true, NULL), OK);
    cr_expect_eq(aegis_tlb_insert(environment, PAGE_X, &handle, false, NULL), OK);
    for (uint32_t i = 0; i < 64; i++) {
        cpu->tlb[i] = (struct r3000_tlb_entry){R3000_KSEG0 | i << R3000_PAGE_BITS, 0};
    }
    memory_fill(machine->memory, aegis->stlb.physical, 0, 4096 * 8);
    cr_expect_not(fixture_store(PAGE_X, 4, 1), "a miss brought the old right back");
    cr_expect_eq(last_exception.code, AEGIS_CAUSE_PROTECTION);
}
Test(aegis_binding, a_guaranteed_page_can_be_protected) {
    run_alice(protect_guaranteed);
}
#endif

/* ---- two address spaces ---- */

static void same_page(struct aegis_environment *environment) {
    uint64_t physical = 0;
    uint32_t value = 0;
    const struct exo_handle handle = fixture_frame(environment, &physical);
    const uint32_t mark = environment->environment->number;
    cr_expect_eq(aegis_tlb_insert(environment, PAGE_X, &handle, true, NULL), OK);
    for (unsigned i = 0; i < 20; i++) {
        cr_expect(fixture_store(PAGE_X + 4 * i, 4, mark));
        (void)aegis_yield(environment, NULL);
        cr_expect(reaches(environment, PAGE_X + 4 * i, &value) && value == mark, "another's memory at the same page");
    }
    cr_expect_eq(handled, 0);
}
Test(aegis_binding, environments_use_the_same_page_for_different_frames) {
    static const struct aegis_program program = {
        .name = "x", .main = same_page, .exception = fixture_skip, .notice = fixture_obey};
    fixture_make();
    alice = fixture_environment("alice", &program, 1);
    bob = fixture_environment("bob", &program, 1);
    fixture_run(SIM_S);
    fixture_check_accounts();
    cr_expect_geq(alice->counters.yields + bob->counters.yields, 40);
}

#ifndef FIXTURE_X86
/* Both are cached in the same slot of a software TLB of 64 entries, and the hardware's
 * TLB keeps neither: only the tag tells them apart. */
static enum aegis_resume bind_again(struct aegis_environment *environment, const struct aegis_exception *exception) {
    handled++;
    cr_expect_eq(aegis_tlb_insert(environment, exception->bad_address, &environment->frames->next->handle, true, NULL),
                 OK);
    return AEGIS_RETRY;
}
static void same_slot(struct aegis_environment *environment) {
    uint64_t physical = 0;
    uint32_t value = 0;
    (void)fixture_frame(environment, &physical);
    const uint32_t mark = environment->environment->number;
    for (unsigned i = 0; i < 20; i++) {
        cr_expect(fixture_store(PAGE_X, 4, mark));
        for (uint32_t entry = 0; entry < 64; entry++) {
            cpu->tlb[entry] = (struct r3000_tlb_entry){R3000_KSEG0 | entry << R3000_PAGE_BITS, 0};
        }
        (void)aegis_yield(environment, NULL);
        cr_expect(reaches(environment, PAGE_X, &value) && value == mark, "another's memory at the same page");
    }
}
Test(aegis_binding, the_software_tlbs_tag_has_the_address_space_id) {
    static const struct aegis_program program = {
        .name = "x", .main = same_slot, .exception = bind_again, .notice = fixture_obey};
    config.stlb_entries = 64;
    fixture_make();
    alice = fixture_environment("alice", &program, 1);
    bob = fixture_environment("bob", &program, 1);
    fixture_run(SIM_S);
    cr_expect_gt(aegis->stlb.conflicts, 10);
    cr_expect_gt(handled, 10);
}
#endif
