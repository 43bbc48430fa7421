/* test_aegis_adversary.c: a library OS makes random calls with random arguments while
 * another does its work. Whatever it finds, the other's frames, packets, disk blocks and
 * time stay what they were. The monitor (monitor.h) says of each call whether it may be
 * granted, and what the TLB, the software TLB, the free map and the shares of time have to
 * be. */
#ifndef FIXTURE_X86 /* which has no driver of an adapter on Aegis: packets are for the other */
#define FIXTURE_DEVICES "devices:\n  - {name: ln, type: nic/lance}\n"
enum { PACKETS = 1, KERNEL_TAKES = 0 };
#else
enum { PACKETS = 0, KERNEL_TAKES = 1 /* frames for page tables */ };
#endif

#include <stdlib.h>

#include "kernel_model/exo/aegis_x86.h"
#include "kernel_model/exo/name_space.h"
#include "tests/kernel_model/aegis_fixture.h"
#include "tests/kernel_model/monitor.h"

/* Fewer under a sanitizer, and as many as one likes with -DAEGIS_ADVERSARY_CALLS=... */
#ifndef AEGIS_ADVERSARY_CALLS
#ifdef __SANITIZE_ADDRESS__
#define AEGIS_ADVERSARY_CALLS 60000
#else
#define AEGIS_ADVERSARY_CALLS 1000000
#endif
#endif
enum {
    CALLS = AEGIS_ADVERSARY_CALLS,
    LOOK = 500,
    BOBS_PAGES = 12,
    POOL = 64,
    FRAMES_MAX = 2048,
    SLICES_LEAST = 2, /* it keeps so many, to go on */
    SEED = 1,
    SLACK = 20 /* slices that one can be behind its share: those that were taken, and will be paid back */
};

static struct aegis_environment *mallory, *bob;
static struct exo_handle bobs[BOBS_PAGES], shared, pool[POOL];
static uint64_t bobs_frames[BOBS_PAGES];
static struct random_stream *stream;
static struct monitor monitor;
static uint64_t calls, bobs_rounds, bobs_errors, attack_ended, granted, refused;
static bool given[FRAMES_MAX], spaces[64];
static struct exo_environment *alice; /* Bob, as adversary_blocks.h names him */
static struct exo_handle tree, directories;
static struct error error;

#define MUST(condition, what) cr_assert((condition), "seed %d, call %llu: %s", SEED, (unsigned long long)calls, what)

static uint32_t draw(uint64_t bound) {
    return (uint32_t)random_below(stream, bound);
}

/* ---- what the monitor hears ---- */

static void own_pages(const struct aegis_environment *environment, unsigned space) {
    const struct monitor_mapping save = {.write = true,
                                         .environment = space,
                                         .capability = MONITOR_NONE,
                                         .virtual_address = AEGIS_SAVE_AREA_AT,
                                         .physical = environment->save_area,
                                         .length_bytes = AEGIS_PAGE};
    const struct monitor_mapping map = {.environment = space,
                                        .capability = MONITOR_NONE,
                                        .virtual_address = AEGIS_FREE_MAP_AT,
                                        .physical = aegis->free_map,
                                        .length_bytes = AEGIS_PAGE};
    monitor_mapped(&monitor, &save);
    monitor_mapped(&monitor, &map);
}

static void hear_frame(const struct aegis_environment *environment, const struct exo_handle *handle,
                       uint64_t physical) {
    monitor_granted_frames(&monitor, environment->environment->number, handle, physical, AEGIS_PAGE);
    MUST(monitor.fault == NULL, monitor.fault);
    given[physical / AEGIS_PAGE] = true;
}

/* What was taken by force the kernel writes into the repossession vector. A name that the
 * monitor does not know yet is of a call that is about to return. */
static uint64_t taken_early[16];
static unsigned taken_early_count;
static void settle_filters(void);
static void hear_force(void) {
    struct memory *memory = machine->memory;
    const uint64_t vector = mallory->save_area + AEGIS_SAVE_REPOSSESSED;
    const uint32_t count = memory_read32(memory, vector);
    MUST(count <= AEGIS_REPOSSESSION_MAX, "the vector lost names");
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t physical = memory_read32(memory, vector + 4 + 4 * (uint64_t)i);
        if (!monitor_frame_taken(&monitor, mallory->environment->number, physical)) {
            cr_assert_lt(taken_early_count, 16U);
            taken_early[taken_early_count++] = physical;
        }
    }
    memory_write32(memory, vector, 0);
    settle_filters();
}

static bool was_taken_early(uint64_t physical) {
    bool found = false;
    for (unsigned i = 0; i < taken_early_count; i++) {
        found = found || taken_early[i] == physical;
    }
    return found;
}

/* Whether Mallory may use that handle so, as far as the monitor has heard. */
static bool allows(const struct exo_handle *handle, uint32_t type, unsigned rights) {
    hear_force();
    return monitor_allows(&monitor, mallory->environment->number, handle, type, rights);
}

/* An answer: granted only if the monitor said so; and if `exact`, refused for want of a
 * capability only if it did not. What was taken in the middle of a call it may have seen or
 * not. True: it was granted, and holds still. */
static bool answered_in_time(enum error_code code, bool before, bool after, bool exact) {
    MUST(code != OK || before, "a call was granted against the rules");
    MUST(!exact || code != ERR_DENIED || !before || !after, "a capability was refused that is good");
    granted += code == OK;
    refused += code == ERR_DENIED;
    return code == OK && after;
}

/* ---- what the hardware would do ---- */

#include "tests/kernel_model/adversary_hardware.h"

/* The map that everybody reads: what is somebody's is not free, and what was given back is. */
static void check_free_map(void) {
    bool owned[FRAMES_MAX] = {false};
    for (uint32_t i = 0; i < monitor.used; i++) {
        const struct monitor_capability *at = &monitor.at[i];
        if (at->live && at->type == EXO_FRAMES) {
            owned[at->physical / AEGIS_PAGE] = true;
        }
    }
    for (uint64_t frame = 0; frame < FRAMES_MAX; frame++) {
        const bool is_free = (memory_read32(machine->memory, aegis->free_map + frame / 32 * 4) >> frame % 32 & 1) != 0;
        MUST(!owned[frame] || !is_free, "the map says free of a frame that is somebody's");
        MUST(!given[frame] || owned[frame] || is_free || KERNEL_TAKES,
             "the map says taken of a frame that was given back");
    }
}

/* ---- the adversary ---- */

static struct exo_handle any_handle(void) {
    struct exo_handle handle = pool[draw(POOL)];
    for (int i = 0; i < POOL && monitor_find(&monitor, &handle) == NULL && draw(20) != 0; i++) {
        handle = pool[draw(POOL)]; /* rather one that lives */
    }
    switch (draw(12)) {
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
    case 5:
        handle.generation += draw(3);
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

static void revoke(const struct exo_handle *handle) {
    const bool before = allows(handle, handle->type, EXO_CONTROL);
    monitor_time(&monitor, sim_now());
    const enum error_code code = aegis_revoke(mallory, handle, NULL);
    if (answered_in_time(code, before, allows(handle, handle->type, EXO_CONTROL), true)) {
        monitor_time(&monitor, sim_now());
        monitor_revoked(&monitor, handle);
    }
}

/* Remembers a handle, and gives up what was in its place. */
static void keep_any(const struct exo_handle *handle) {
    struct exo_handle *at = &pool[draw(POOL)];
    const struct exo_handle was = *at;
    *at = *handle;
    if (was.type == EXO_FRAMES && monitor_find(&monitor, &was) != NULL) {
        revoke(&was);
    }
}

/* Rather one of that type. */
static struct exo_handle some_handle(enum exo_type type) {
    struct exo_handle handle = any_handle();
    for (int i = 0; i < POOL && handle.type != type && draw(40) != 0; i++) {
        handle = any_handle();
    }
    return handle;
}

static void keep(enum exo_type type, const struct exo_handle *handle) {
    (void)type;
    keep_any(handle);
}

/* To a call in which no time passes. */
static bool answered(enum error_code code, bool allowed, bool exact) {
    return answered_in_time(code, allowed, allowed, exact);
}

static int who(const struct exo_environment *environment) {
    return environment == alice ? 1 : 0;
}

#include "tests/kernel_model/adversary_blocks.h"

static bool is_page(uint32_t address) {
    const uint32_t page = address & AEGIS_PAGE_MASK;
    return page < AEGIS_USER_END && page != AEGIS_SAVE_AREA_AT && page != AEGIS_FREE_MAP_AT;
}

#include "tests/kernel_model/adversary_packets.h"

static void allocate(void) {
    struct exo_handle handle;
    uint64_t physical = 0;
    const uint64_t wanted = draw(3) == 0   ? bobs_frames[draw(BOBS_PAGES)]
                            : draw(3) == 0 ? draw(FRAMES_MAX + 9) * UINT64_C(4096) + (draw(9) == 0 ? draw(4096) : 0)
                                           : 0;
    const uint32_t color = draw(4) == 0 ? draw(20) : (uint32_t)AEGIS_ANY_COLOR;
    taken_early_count = 0;
    if (aegis_frame_allocate(mallory, wanted, color, &handle, &physical, NULL) != OK) {
        hear_force();
        return;
    }
    hear_force();
    MUST(physical < FRAMES_MAX * UINT64_C(4096) && (wanted == 0 || physical == wanted), "another frame than asked for");
    MUST(wanted != 0 || color == AEGIS_ANY_COLOR || physical / AEGIS_PAGE % config.page_colors == color, "its color");
    granted++;
    if (was_taken_early(physical)) {
        given[physical / AEGIS_PAGE] = true;
    } else {
        hear_frame(mallory, &handle, physical);
    }
    keep_any(&handle);
}

static void release(void) {
    const struct exo_handle handle = any_handle();
    const bool before = allows(&handle, EXO_FRAMES, EXO_CONTROL);
    const enum error_code code = aegis_frame_release(mallory, &handle, NULL);
    if (answered_in_time(code, before, allows(&handle, EXO_FRAMES, EXO_CONTROL), true)) {
        monitor_revoked(&monitor, &handle);
    }
}

/* A translation, guaranteed or not. */
static void bind(bool guaranteed) {
    const struct exo_handle handle = any_handle();
    const uint32_t address = some_page();
    const bool write = draw(2) == 0;
    const unsigned rights = EXO_READ | (write ? (unsigned)EXO_WRITE : 0U), space = mallory->asid;
    const bool before = allows(&handle, EXO_FRAMES, rights);
    const struct monitor_capability *held = monitor_find(&monitor, &handle);
    const bool own = held != NULL && monitor_owner_of(&monitor, held->physical) == mallory->environment->number;
    const enum error_code code = guaranteed ? aegis_map_guaranteed(mallory, address, &handle, write, NULL)
                                            : aegis_tlb_insert(mallory, address, &handle, write, NULL);
    const bool after = allows(&handle, EXO_FRAMES, rights);
    MUST(code != OK || is_page(address), "a page of the kernel's was bound");
    MUST(code != OK || !guaranteed || own, "a frame that is only lent was guaranteed");
    if (answered_in_time(code, before, after, !guaranteed || own)) {
        monitor_bound(&monitor, space, address & AEGIS_PAGE_MASK, &handle, write);
    }
}

static void unbind(void) {
    const uint32_t address = some_page();
    aegis_tlb_remove(mallory, address);
    if (is_page(address)) {
        monitor_unbound(&monitor, mallory->asid, address & AEGIS_PAGE_MASK);
    }
}

static void name_space_call(void) {
    unsigned space = draw(70);
    bool own = space < 64 && spaces[space];
    switch (draw(4)) {
    case 0:
        if (aegis_name_space_create(mallory, &space, NULL) == OK) {
            MUST(space < 64 && !spaces[space] && space != bob->asid && space != 0, "a name space of another's");
            spaces[space] = true;
            own_pages(mallory, space);
        }
        break;
    case 1:
        own = own && space != mallory->home && space != mallory->asid;
        if (answered_in_time(aegis_name_space_destroy(mallory, space, NULL), own, own, true)) {
            spaces[space] = false;
            monitor_space_ended(&monitor, space);
        }
        break;
    default:
        (void)answered_in_time(aegis_name_space_enter(mallory, space, NULL), own, own, true);
        break;
    }
}

static void memory_call(void) {
    uint32_t value = 0;
    switch (draw(10)) {
    case 0:
        allocate();
        break;
    case 1:
        release();
        break;
    case 2:
        bind(true);
        break;
    case 3:
        unbind();
        break;
    case 4:
        (void)fixture_load(some_page() & ~3U, 4, &value);
        break;
    case 5:
        (void)fixture_store(some_page() & ~3U, 4, 0xdead);
        break;
    case 6:
        (void)aegis_tlb_protect(mallory, some_page(), draw(3), (enum aegis_protection)draw(3), NULL);
        break;
    case 7:
        name_space_call();
        break;
    default:
        bind(false);
        break;
    }
}

static uint32_t slices_of_mallory(void) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < monitor.used; i++) {
        const struct monitor_capability *at = &monitor.at[i];
        count += at->live && at->type == EXO_SLICE && !at->derived && at->holder == mallory->environment->number;
    }
    return count;
}

static bool position_is_free(uint64_t position) {
    bool is_free = position < config.slices;
    for (uint32_t i = 0; i < monitor.used; i++) {
        const struct monitor_capability *at = &monitor.at[i];
        is_free = is_free && !(at->live && at->type == EXO_SLICE && !at->derived && at->object == position + 1);
    }
    return is_free;
}

static void hear_slice(const struct aegis_environment *environment, const struct exo_handle *handle,
                       uint64_t position) {
    monitor_time(&monitor, sim_now());
    monitor_granted(&monitor, NULL, EXO_SLICE, environment->environment->number, handle)->object = position + 1;
    MUST(monitor.fault == NULL, monitor.fault);
}

static void capability_call(void) {
    const struct exo_handle handle = any_handle();
    struct exo_handle made_handle;
    const unsigned rights = draw(EXO_ALL + 1);
    const struct aegis_environment *to = draw(8) == 0 ? bob : mallory;
    if (draw(2) == 0) {
        const unsigned needed = rights | (to == mallory ? 0U : (unsigned)EXO_GRANT);
        const bool before = allows(&handle, handle.type, needed);
        const enum error_code code = aegis_derive(mallory, &handle, rights, to, &made_handle, NULL);
        if (answered_in_time(code, before, allows(&handle, handle.type, needed), true)) {
            monitor_derived(&monitor, &handle, rights, to->environment->number, &made_handle);
            keep_any(&made_handle);
        }
        return;
    }
    if (handle.type != EXO_SLICE || slices_of_mallory() > SLICES_LEAST) {
        revoke(&handle);
    }
}

static void control_call(struct aegis_environment *environment) {
    const uint64_t position = draw(12);
    struct exo_handle handle;
    switch (draw(8)) {
    case 0:
    case 1:
        capability_call();
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
    case 4: {
        const bool is_free = position_is_free(position);
        const enum error_code code = aegis_slice_allocate(environment, position, &handle, NULL);
        MUST((code == OK) == is_free, "a slice that is another's, or one that is free was refused");
        if (code == OK) {
            hear_slice(environment, &handle, position);
            keep_any(&handle);
        }
        break;
    }
    case 5:
        fixture_compute(environment, draw(2000) * SIM_US);
        break;
    default:
        MUST(aegis_number(environment, draw(2) == 0) == environment->environment->number, "its number");
        break;
    }
}

static void look(void) {
    hear_force();
    look_at_hardware();
    check_free_map();
    for (uint32_t i = 0; i < BOBS_PAGES; i++) {
        MUST(monitor_owner_of(&monitor, bobs_frames[i]) == bob->environment->number, "Bob's frame was given away");
    }
    look_at_blocks();
    /* Time that Mallory has in its hands is on its account at the next change alone. */
    const uint64_t running = aegis->current == bob ? sim_now() - aegis->since : 0;
    monitor_time(&monitor, sim_now());
    monitor_check_time(&monitor, bob->environment->number, bob->used + running, SLACK * config.quantum);
    MUST(monitor.fault == NULL, monitor.fault);
}

static void attack(struct aegis_environment *environment) {
    for (calls = 0; calls < CALLS; calls++) {
        const uint32_t kind = draw(24);
        if (kind < 7) {
            control_call(environment);
        } else if (kind == 7 && PACKETS) {
            packet_call();
        } else if (kind < 12) {
            hear_force();
            blocks_call(mallory->environment);
        } else {
            memory_call();
        }
        MUST(monitor.fault == NULL, monitor.fault);
        if (calls % LOOK == 0) {
            look();
        }
    }
    look();
    attack_ended = sim_now();
    sim_stop();
}

/* Hears the kernel sometimes. */
static void mallory_notice(struct aegis_environment *environment, enum aegis_notice notice) {
    if (notice == AEGIS_SLICE_END && draw(4) != 0) {
        fixture_compute(environment, draw(300) * SIM_US);
        (void)aegis_yield(environment, NULL);
    } else if (notice == AEGIS_REVOKE && draw(2) == 0 && environment->frames->next != NULL) {
        const struct exo_handle handle = environment->frames->next->handle;
        if (aegis_frame_release(environment, &handle, NULL) == OK) {
            monitor_revoked(&monitor, &handle);
        }
    }
}

/* ---- the other ---- */

static void work(struct aegis_environment *environment) {
    for (uint32_t i = 0; i < BOBS_PAGES; i++) {
        cr_assert_eq(aegis_tlb_insert(environment, PAGE_Y + i * AEGIS_PAGE, &bobs[i], true, NULL), OK);
        monitor_bound(&monitor, bob->asid, PAGE_Y + i * AEGIS_PAGE, &bobs[i], true);
    }
    if (PACKETS) {
        bob_binds(environment);
    }
    for (;; bobs_rounds++) {
        bobs_errors += PACKETS ? bob_takes() : 0;
        for (uint32_t i = 0; i < BOBS_PAGES; i++) {
            uint32_t value = 0;
            const uint32_t at = PAGE_Y + i * AEGIS_PAGE + 4 * (uint32_t)(bobs_rounds % 1000), mark = i << 20;
            bobs_errors += fixture_store(at, 4, mark | (uint32_t)bobs_rounds) ? 0 : 1;
            fixture_compute(environment, 400 * SIM_US);
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

static void make_both(void) {
    static const struct aegis_program attacks = {
        .name = "mallory", .main = attack, .exception = fixture_skip, .notice = mallory_notice};
    static const struct aegis_program works = {.name = "bob", .main = work, .notice = fixture_obey};
    mallory = fixture_environment("mallory", &attacks, 0);
    bob = fixture_environment("bob", &works, 0);
    alice = bob->environment;
    mallory->environment->limits.frames = 600;
    spaces[mallory->home] = true;
    own_pages(mallory, mallory->asid);
    own_pages(bob, bob->asid);
    for (uint64_t i = 0; i < config.slices; i++) {
        struct aegis_environment *owner = i < config.slices / 2 ? mallory : bob;
        struct exo_handle handle;
        cr_assert_eq(aegis_slice_allocate(owner, i, &handle, &error), OK, "%s", error.text);
        hear_slice(owner, &handle, i);
        pool[i] = owner == mallory ? handle : pool[i];
    }
    for (uint32_t i = 0; i < BOBS_PAGES; i++) {
        bobs[i] = fixture_frame(bob, &bobs_frames[i]);
        hear_frame(bob, &bobs[i], bobs_frames[i]);
    }
    ring = fixture_frame(bob, &ring_physical);
    hear_frame(bob, &ring, ring_physical);
    make_blocks(aegis->kernel);
    cr_assert_eq(exo_derive(alice, &directories, EXO_BIND | EXO_GRANT, mallory->environment, &pool[POOL - 1], &error),
                 OK);
    monitor_derived(&monitor, &directories, EXO_BIND | EXO_GRANT, mallory->environment->number, &pool[POOL - 1]);
    cr_assert_eq(exo_derive(bob->environment, &bobs[0], EXO_READ, mallory->environment, &shared, &error), OK);
    monitor_derived(&monitor, &bobs[0], EXO_READ, mallory->environment->number, &shared);
}

Test(aegis_adversary, random_calls_leave_the_other_as_it_was, .timeout = 600) {
    static struct sim_event again, next_arrival;
    config.excess_threshold = 1000000; /* it is to live */
    fixture_make();
    if (PACKETS) {
        make_network();
    }
    monitor_init(&monitor);
    stream = random_stream_create("adversary");
    make_both();
    sim_event_init(&again, SIM_PRIORITY_HARDWARE, revoke_again, &again);
    sim_schedule(&again, 40 * SIM_MS);
    sim_event_init(&next_arrival, SIM_PRIORITY_HARDWARE, arrivals, &next_arrival);
    if (PACKETS) {
        sim_schedule(&next_arrival, ARRIVAL * SIM_MS);
    }
    fixture_run(CALLS / 10000 * 100 * SIM_S);
    fixture_check_accounts();
    cr_expect_eq(calls, CALLS, "%llu calls", (unsigned long long)calls);
    cr_expect_gt(granted, CALLS / 10);
    cr_expect_gt(refused, CALLS / 10);
    cr_expect_eq(bobs_errors, 0);
    cr_expect_gt(bobs_rounds, 100);
    cr_expect_eq(bob->counters.exceptions, 0);
    cr_expect_eq(bob->environment->frames_held, BOBS_PAGES + 2);
    for (int i = EXO_FORGED; i < EXO_REFUSALS; i++) {
        cr_expect_gt(mallory->environment->counters.refused[i], 0, "%s", exo_refusal_text((enum exo_refusal)i));
    }
    cr_expect_gt(mallory->counters.overruns, 0);
    cr_expect(!PACKETS || (sent > CALLS / 1000 && taken + AEGIS_RING_SLOTS >= sent), "%u sent, %u taken", sent, taken);
    cr_expect(claims > 20 && (!PACKETS || (filters_made > 20 && handlers_made > 20 && frames_sent > 20)),
              "%llu, %llu, %llu, %llu", (unsigned long long)filters_made, (unsigned long long)handlers_made,
              (unsigned long long)frames_sent, (unsigned long long)claims);
    cr_expect_gt(mallory->counters.forfeited, 0);
    cr_expect_gt(mallory->counters.repossessed, 0);
    monitor_fini(&monitor);
}
