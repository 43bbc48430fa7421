/* test_aegis_adversary.c: a library OS makes random calls with random arguments while
 * another does its work. Whatever it finds, the other's memory and time stay what they
 * were; a monitor written apart from the kernel looks at what the hardware would do. */
#include <stdlib.h>

#include "hw/mmu_regs.h"
#include "tests/kernel_model/aegis_fixture.h"

/* Fewer under a sanitizer, and as many as one likes with -DAEGIS_ADVERSARY_CALLS=... */
#ifndef AEGIS_ADVERSARY_CALLS
#ifdef __SANITIZE_ADDRESS__
#define AEGIS_ADVERSARY_CALLS 30000
#else
#define AEGIS_ADVERSARY_CALLS 500000
#endif
#endif
enum { CALLS = AEGIS_ADVERSARY_CALLS, LOOK = 250, BOBS_PAGES = 12, POOL = 64, FRAMES_MAX = 2048, SEED = 1 };

static struct aegis_environment *mallory, *bob;
static struct exo_handle bobs[BOBS_PAGES], shared, pool[POOL];
static uint64_t bobs_frames[BOBS_PAGES];
static struct random_stream *stream;
static uint64_t made, bobs_rounds, bobs_errors;

static uint32_t draw(uint64_t bound) {
    return (uint32_t)random_below(stream, bound);
}

/* ---- the monitor: every entry that would translate is one that its owner may have ---- */

/* Whom a frame was given to, from the answers alone. Nobody: 0. */
static enum { NOBODY, MALLORYS, BOBS } given[FRAMES_MAX];

static void give(uint64_t physical, int whose) {
    const uint64_t frame = physical / AEGIS_PAGE;
    cr_assert(frame < FRAMES_MAX && given[frame] != BOBS, "seed %d, call %llu: Bob's frame was given away", SEED,
              (unsigned long long)made);
    given[frame] = whose;
}

/* The map that everybody reads says that it is free: then nobody addresses it. What is
 * taken by force is seen here, too: it was given, and is free. */
static bool is_free(uint64_t physical) {
    const uint64_t frame = physical / AEGIS_PAGE;
    return (memory_read32(machine->memory, aegis->free_map + frame / 32 * 4) >> frame % 32 & 1) != 0;
}

static bool may_have(const struct aegis_environment *environment, uint64_t frame, bool write) {
    if (frame == aegis->free_map) {
        return !write;
    }
    if (frame == environment->save_area) {
        return true;
    }
    if (environment == mallory && frame == bobs_frames[0]) {
        return !write; /* what bob shares, to read */
    }
    return !is_free(frame) && given[frame / AEGIS_PAGE] == (environment == mallory ? MALLORYS : BOBS);
}

static void check(unsigned asid, uint64_t frame, bool write, const char *where) {
    const struct aegis_environment *owner = asid == mallory->asid ? mallory : bob;
    cr_assert(asid == mallory->asid || asid == bob->asid);
    cr_assert(may_have(owner, frame, write), "seed %d, call %llu: %s: frame 0x%llx is not %s's to %s", SEED,
              (unsigned long long)made, where, (unsigned long long)frame, owner->environment->name,
              write ? "write" : "read");
}

#ifdef FIXTURE_X86
enum { ENTRIES = 512, LEVELS = 4 };

/* All leaves below a table, as the hardware would walk to them. */
static void check_table(unsigned asid, uint64_t table, unsigned level) {
    for (unsigned i = 0; i < ENTRIES; i++) {
        const uint64_t entry = memory_read64(machine->memory, table + 8 * i), at = entry & MMU_PTE_ADDRESS;
        if ((entry & MMU_PTE_PRESENT) != 0 && level > 1) {
            check_table(asid, at, level - 1);
        } else if ((entry & MMU_PTE_PRESENT) != 0) {
            check(asid, at, (entry & MMU_PTE_WRITABLE) != 0, "page table");
        }
    }
}

static void look_at_hardware(void) {
    for (unsigned i = 0; i < MMU_NESTED_TLB_ENTRIES; i++) {
        const struct mmu_nested_entry *entry = &aegis->x86->translation.tlb[i];
        if (entry->page != 0) {
            check(entry->tag, entry->frame, entry->write, "TLB");
        }
    }
    check_table(mallory->asid, address_space_root(mallory->environment->space), LEVELS);
    check_table(bob->asid, address_space_root(bob->environment->space), LEVELS);
}
#else
static void check_entry(uint32_t hi, uint32_t lo, const char *where) {
    if ((lo & R3000_LO_VALID) != 0) {
        check((hi & R3000_HI_ASID) >> R3000_ASID_SHIFT, lo & R3000_LO_PFN, (lo & R3000_LO_DIRTY) != 0, where);
    }
}

static void look_at_hardware(void) {
    cr_assert_eq(cpu->counters.tlb_shutdowns, 0);
    for (uint32_t i = 0; i < 64; i++) {
        check_entry(cpu->tlb[i].hi, cpu->tlb[i].lo, "TLB");
    }
    for (uint64_t i = 0; i < 4096; i++) {
        const uint64_t at = aegis->stlb.physical + 8 * i;
        check_entry(memory_read32(machine->memory, at), memory_read32(machine->memory, at + 4), "software TLB");
    }
}
#endif

static void monitor(void) {
    look_at_hardware();
    for (uint32_t i = 0; i < BOBS_PAGES; i++) {
        cr_assert(!is_free(bobs_frames[i]), "seed %d, call %llu: Bob's frame is free", SEED, (unsigned long long)made);
    }
}

/* ---- the adversary ---- */

static struct exo_handle some_handle(void) {
    struct exo_handle handle = pool[draw(POOL)];
    switch (draw(8)) {
    case 0:
        handle = bobs[draw(BOBS_PAGES)];
        break;
    case 1:
        handle = bobs[draw(BOBS_PAGES)];
        handle.holder = mallory->environment->number;
        break;
    case 2:
        handle.rights = EXO_ALL;
        break;
    case 3:
        ((uint8_t *)&handle)[draw(sizeof handle)] ^= (uint8_t)(1U << draw(8));
        break;
    case 4:
        handle = shared;
        break;
    default:
        break;
    }
    return handle;
}

static uint32_t some_page(void) {
    static const uint32_t odd[] = {AEGIS_SAVE_AREA_AT, AEGIS_FREE_MAP_AT, R3000_KSEG0,
                                   R3000_KSEG1,        R3000_KSEG2,       UINT32_MAX};
    return draw(10) == 0 ? odd[draw(6)] : PAGE_X + draw(300) * AEGIS_PAGE + draw(AEGIS_PAGE);
}

static void memory_call(void) {
    const struct exo_handle handle = some_handle();
    struct exo_handle *slot = &pool[draw(POOL)];
    uint64_t physical = 0;
    uint32_t value = 0;
    switch (draw(8)) {
    case 0:
        if (aegis_frame_allocate(mallory, draw(3) == 0 ? bobs_frames[draw(BOBS_PAGES)] : 0, AEGIS_ANY_COLOR, slot,
                                 &physical, NULL) == OK) {
            give(physical, MALLORYS);
        }
        break;
    case 1:
        (void)aegis_frame_release(mallory, &handle, NULL);
        break;
    case 2:
        (void)aegis_map_guaranteed(mallory, some_page(), &handle, draw(2) == 0, NULL);
        break;
    case 3:
        aegis_tlb_remove(mallory, some_page());
        break;
    case 4:
        (void)fixture_load(some_page() & ~3U, 4, &value);
        break;
    case 5:
        (void)fixture_store(some_page() & ~3U, 4, 0xdead);
        break;
    default:
        (void)aegis_tlb_insert(mallory, some_page(), &handle, draw(2) == 0, NULL);
        break;
    }
}

static void control_call(struct aegis_environment *environment) {
    const struct exo_handle handle = some_handle();
    struct exo_handle *slot = &pool[draw(POOL)];
    switch (draw(8)) {
    case 0:
        (void)aegis_derive(environment, &handle, draw(EXO_ALL + 1), environment, slot, NULL);
        break;
    case 1:
        (void)aegis_revoke(environment, &handle, NULL);
        break;
    case 2:
        if (draw(20) == 0) {
            (void)aegis_transfer(environment, draw(5), draw(2) == 0 ? AEGIS_SYNCHRONOUS : AEGIS_ASYNCHRONOUS);
        }
        break;
    case 3:
        if (draw(50) == 0) {
            (void)aegis_yield(environment, draw(2) == 0 ? bob : NULL);
        }
        break;
    case 4:
        cr_expect_neq(aegis_slice_allocate(environment, draw(12), slot, NULL), OK, "every slice is taken");
        break;
    case 5:
        fixture_compute(environment, draw(2000) * SIM_US);
        break;
    default:
        (void)aegis_number(environment, draw(2) == 0);
        break;
    }
}

static void attack(struct aegis_environment *environment) {
    for (made = 0; made < CALLS; made++) {
        if (draw(3) == 0) {
            control_call(environment);
        } else {
            memory_call();
        }
        if (made % LOOK == 0) {
            monitor();
        }
    }
}

/* Hears the kernel sometimes. */
static void mallory_notice(struct aegis_environment *environment, enum aegis_notice notice) {
    if (notice == AEGIS_SLICE_END && draw(4) != 0) {
        fixture_compute(environment, draw(300) * SIM_US);
        (void)aegis_yield(environment, NULL);
    } else if (notice == AEGIS_REVOKE && draw(2) == 0 && environment->frames->next != NULL) {
        (void)aegis_frame_release(environment, &environment->frames->next->handle, NULL);
    }
}

/* ---- the other ---- */

static void work(struct aegis_environment *environment) {
    for (uint32_t i = 0; i < BOBS_PAGES; i++) {
        cr_assert_eq(aegis_tlb_insert(environment, PAGE_Y + i * AEGIS_PAGE, &bobs[i], true, NULL), OK);
    }
    for (;; bobs_rounds++) {
        for (uint32_t i = 0; i < BOBS_PAGES; i++) {
            uint32_t value = 0;
            const uint32_t at = PAGE_Y + i * AEGIS_PAGE + 4 * (uint32_t)(bobs_rounds % 1000), mark = i << 20;
            bobs_errors += fixture_store(at, 4, mark | (uint32_t)bobs_rounds) ? 0 : 1;
            fixture_compute(environment, 100 * SIM_US);
            bobs_errors += fixture_load(at, 4, &value) && value == (mark | (uint32_t)bobs_rounds) ? 0 : 1;
        }
    }
}

static void revoke_again(void *context) {
    struct sim_event *event = context;
    if (!mallory->dead) {
        aegis_revoke_frames(mallory, 1 + draw(3), SIM_MS + draw(30) * SIM_MS);
        sim_schedule(event, 40 * SIM_MS);
    }
}

Test(aegis_adversary, random_calls_leave_the_other_as_it_was) {
    static const struct aegis_program attacks = {
        .name = "mallory", .main = attack, .exception = fixture_skip, .notice = mallory_notice};
    static const struct aegis_program works = {.name = "bob", .main = work, .notice = fixture_obey};
    static struct sim_event again;
    struct error error = {OK, ""};
    config.excess_threshold = 1000000; /* it is to live */
    fixture_make();
    stream = random_stream_create("adversary");
    mallory = fixture_environment("mallory", &attacks, 4);
    bob = fixture_environment("bob", &works, 4);
    mallory->environment->limits.frames = 600;
    for (uint32_t i = 0; i < BOBS_PAGES; i++) {
        bobs[i] = fixture_frame(bob, &bobs_frames[i]);
        give(bobs_frames[i], BOBS);
    }
    cr_assert_eq(exo_derive(bob->environment, &bobs[0], EXO_READ, mallory->environment, &shared, &error), OK);
    sim_event_init(&again, SIM_PRIORITY_HARDWARE, revoke_again, &again);
    sim_schedule(&again, 40 * SIM_MS);
    fixture_run(CALLS / 30000 * 100 * SIM_S);
    monitor();
    fixture_check_accounts();
    cr_expect_eq(made, CALLS, "%llu calls", (unsigned long long)made);
    cr_expect_eq(bobs_errors, 0);
    cr_expect_gt(bobs_rounds, 100);
    cr_expect_eq(bob->counters.exceptions, 0);
    cr_expect_eq(bob->environment->frames_held, BOBS_PAGES + 1);
    cr_expect_gt(mallory->environment->counters.refused[EXO_FORGED], 0);
    cr_expect_gt(mallory->environment->counters.refused[EXO_NOT_HOLDER], 0);
    cr_expect_gt(mallory->counters.overruns, 0);
    cr_expect_gt(mallory->counters.forfeited, 0);
    cr_expect_gt(mallory->counters.repossessed, 0);
    cr_expect_geq(bob->used + 20 * 15625 * SIM_US, sim_now() / 2, "bob's half of the time");
}
