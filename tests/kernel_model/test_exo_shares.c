/* test_exo_shares.c: what an environment is charged equals what it holds, after any sequence
 * of calls; and one that exhausts its own limits leaves the others theirs. */
#include "hw/iommu_regs.h"
#include "hw/mmu_regs.h"
#include "tests/kernel_model/exo_fixture.h"

enum { STEPS = 20000, HELD_MAX = 512, DAVES = 3 };
static const uint64_t FAR = UINT64_C(0x200000000000), GIB = UINT64_C(1) << 30;

static struct error error;
static uint64_t boot_frames; /* free when the first function's context table was made */

/* ---- by itself: tables are walked in memory ---- */

/* Tables below `table`, itself among them, of a level whose entries say `present`. */
static uint64_t count_tables(uint64_t table, unsigned level, uint64_t present) {
    uint64_t count = 1;
    for (uint64_t i = 0; level > 1 && i < MEMORY_FRAME_BYTES / 8; i++) {
        const uint64_t entry = memory_read64(fixture_machine->memory, table + 8 * i);
        count += (entry & present) != 0 ? count_tables(entry & MMU_PTE_ADDRESS, level - 1, present) : 0;
    }
    return count;
}

static uint64_t tables_of(const struct exo_environment *environment) {
    return count_tables(address_space_root(environment->space), MMU_LEVELS, MMU_PTE_PRESENT) +
           count_tables(iommu_domain_root(environment->domain), IOMMU_LEVELS, IOMMU_PTE_READ | IOMMU_PTE_WRITE);
}

/* Nothing is anybody's that is not charged: frames, capabilities. */
static void check_sums(void) {
    uint64_t frames = frames_available(kernel->frames), capabilities = 0;
    for (const struct exo_environment *at = kernel->environments; at != NULL; at = at->next) {
        frames += at->frames_held + at->table_frame_count;
        capabilities += exo_capabilities_charged(kernel->capabilities, at->number);
    }
    cr_assert_eq(frames, boot_frames, "%llu frames of %llu", (unsigned long long)frames,
                 (unsigned long long)boot_frames);
    cr_assert_eq(capabilities, exo_capabilities_live(kernel->capabilities));
}

static void set_up(void) {
    struct exo_handle function;
    fixture_kernel_make("on", "header");
    /* The context table of the bus is made, and is the IOMMU's. */
    cr_assert_eq(exo_function_grant(alice, fixture_nic, FIXTURE_MAC_A, &function, &error), OK, "%s", error.text);
    cr_assert_eq(exo_revoke(alice, &function, &error), OK, "%s", error.text);
    boot_frames = frames_available(kernel->frames) + alice->table_frame_count + bob->table_frame_count;
}

/* ---- any sequence ---- */

/* What the test knows of a capability that somebody holds. */
struct held {
    struct exo_handle handle;
    struct exo_environment *holder, *payer;
    uint64_t frames, bindings; /* what hangs on it alone */
    uint32_t parent;           /* place of the one that it was derived from; HELD_MAX: none */
    bool live;
};
static struct held held[HELD_MAX];
static struct exo_environment *actors[2 + DAVES]; /* alice, bob, and some who come and go */
static struct random_stream *dice;

static uint32_t place(void) {
    uint32_t i = 0;
    while (i < HELD_MAX && held[i].live) {
        i++;
    }
    return i;
}

static void forget(uint32_t index) {
    held[index].live = false;
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        if (held[i].live && held[i].parent == index) {
            forget(i);
        }
    }
}

static void forget_all_of(const struct exo_environment *gone) {
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        if (held[i].live && held[i].holder == gone) {
            forget(i);
        }
    }
}

static void check_against_own_books(void) {
    for (uint32_t a = 0; a < 2 + DAVES; a++) {
        uint64_t frames = 0, bindings = 0, capabilities = 0;
        for (uint32_t i = 0; i < HELD_MAX; i++) {
            frames += held[i].live && held[i].holder == actors[a] ? held[i].frames : 0;
            bindings += held[i].live && held[i].holder == actors[a] ? held[i].bindings : 0;
            capabilities += held[i].live && held[i].payer == actors[a];
        }
        if (actors[a] != NULL) {
            cr_assert_eq(actors[a]->frames_held, frames);
            cr_assert_eq(actors[a]->bindings_held, bindings);
            cr_assert_eq(exo_capabilities_charged(kernel->capabilities, actors[a]->number), capabilities);
            cr_assert_leq(capabilities, actors[a]->limits.capabilities);
            cr_assert_leq(actors[a]->table_frame_count, actors[a]->limits.table_frames);
        }
    }
}

static void allocate(struct exo_environment *who) {
    struct exo_region region = {.physical = 0};
    const uint32_t at = place();
    const uint64_t frames = 1 + random_below(dice, 4);
    if (at < HELD_MAX && exo_memory_allocate(who, 0, frames * MEMORY_FRAME_BYTES, &region, &error) == OK) {
        held[at] = (struct held){region.handle, who, who, frames, 0, HELD_MAX, true};
    }
}

static void map(struct held *one) {
    struct exo_region region = {.handle = one->handle};
    region.virtual_address = random_below(dice, 2) == 0 ? 0 : FAR + GIB * random_below(dice, 64);
    one->bindings += exo_memory_map(one->holder, &region, false, &error) == OK ? 1 : 0;
}

static void derive(uint32_t from) {
    const uint32_t at = place(), to = (uint32_t)random_below(dice, 2 + DAVES);
    struct exo_handle handle;
    if (at < HELD_MAX && actors[to] != NULL &&
        exo_derive(held[from].holder, &held[from].handle, EXO_READ | EXO_CONTROL | EXO_GRANT, actors[to], &handle,
                   &error) == OK) {
        held[at] = (struct held){handle, actors[to], held[from].holder, 0, 0, from, true};
    }
}

/* One who comes, with limits of its own, or goes with all that it has. */
static void come_or_go(uint32_t which) {
    if (actors[which] != NULL) {
        forget_all_of(actors[which]);
        exo_environment_destroy(actors[which]);
        actors[which] = NULL;
        return;
    }
    struct exo_limits limits = exo_limits_default();
    limits.frames = 20;
    limits.table_frames = 24;
    limits.capabilities = 12;
    limits.bindings = 10;
    actors[which] = exo_environment_create(kernel, "dave", &limits, &error);
    cr_assert_not_null(actors[which], "%s", error.text);
}

static void step(void) {
    const uint32_t who = (uint32_t)random_below(dice, 2 + DAVES), which = (uint32_t)random_below(dice, HELD_MAX);
    const uint64_t what = random_below(dice, 20);
    if (what < 4 && actors[who] != NULL) {
        allocate(actors[who]);
    } else if (what == 4 && who >= 2) {
        if (actors[who] == NULL || random_below(dice, 4) == 0) {
            come_or_go(who);
        }
    } else if (held[which].live && what < 12) {
        map(&held[which]);
    } else if (held[which].live && what < 18) {
        derive(which);
    } else if (held[which].live) {
        const enum error_code code = exo_revoke(held[which].holder, &held[which].handle, &error);
        cr_assert_eq(code, OK, "%s", error.text);
        forget(which);
    }
}

Test(exo_shares, what_is_charged_is_what_is_held_after_any_sequence) {
    set_up();
    dice = random_stream_create("test.shares");
    actors[0] = alice;
    actors[1] = bob;
    alice->limits.bindings = 40;
    bob->limits.table_frames = 60;
    for (uint32_t i = 0; i < STEPS; i++) {
        step();
        check_against_own_books();
        if (i % 64 == 0) {
            check_sums();
            cr_assert_eq(alice->table_frame_count, tables_of(alice));
        }
    }
    cr_expect_gt(kernel->counters.shares, STEPS / 100, "limits were not reached: %llu",
                 (unsigned long long)kernel->counters.shares);
    for (uint32_t i = 2; i < 2 + DAVES; i++) {
        if (actors[i] != NULL) {
            cr_assert_eq(actors[i]->table_frame_count, tables_of(actors[i]));
            come_or_go(i);
        }
    }
    forget_all_of(alice);
    exo_environment_destroy(alice);
    check_sums();
    forget_all_of(bob);
    exo_environment_destroy(bob);
    check_sums();
    cr_expect_eq(frames_available(kernel->frames), boot_frames, "all frames are free again");
    cr_expect_eq(exo_capabilities_live(kernel->capabilities), 0);
    random_stream_free(dice);
}

/* ---- what one takes, the other does not miss ---- */

struct got {
    uint64_t frames, derived, mapped, tables;
};

/* Takes as much of everything as it is given, in the worst way: each mapping in tables of
 * its own, capabilities made for the other. */
static struct got take_all(struct exo_environment *who, struct exo_environment *other) {
    struct got got = {0};
    struct exo_region region = {.physical = 0}, first = {.physical = 0};
    struct exo_handle derived;
    enum error_code code = exo_memory_allocate(who, 0, MEMORY_FRAME_BYTES, &first, &error);
    cr_assert_eq(code, OK, "%s", error.text);
    for (got.frames = 1; code == OK; got.frames += code == OK) {
        code = exo_memory_allocate(who, 0, MEMORY_FRAME_BYTES, &region, &error);
    }
    cr_expect_eq(code, ERR_SHARE, "%s", error.text);
    for (code = OK; code == OK && got.derived < 10000; got.derived += code == OK) {
        code = exo_derive(who, &first.handle, EXO_READ, other, &derived, &error);
    }
    cr_expect_eq(code, ERR_SHARE, "%s", error.text);
    for (code = OK; code == OK; got.mapped += code == OK) {
        first.virtual_address = FAR + 512 * GIB * got.mapped;
        code = got.mapped < 250 ? exo_memory_map(who, &first, true, &error) : ERR_RANGE;
    }
    cr_expect_eq(code, ERR_SHARE, "frames for tables: %s", error.text);
    for (code = OK; code == OK; got.mapped += code == OK) { /* in tables that are there */
        first.virtual_address = FAR + MEMORY_FRAME_BYTES * (1 + got.mapped);
        code = exo_memory_map(who, &first, true, &error);
    }
    cr_expect_eq(code, ERR_SHARE, "bindings: %s", error.text);
    got.tables = who->table_frame_count;
    return got;
}

static struct exo_environment *with_limits(const char *name) {
    struct exo_limits limits = exo_limits_default();
    limits.frames = 1000;
    limits.table_frames = 400;
    limits.capabilities = 3000;
    limits.bindings = 200;
    struct exo_environment *environment = exo_environment_create(kernel, name, &limits, &error);
    cr_assert_not_null(environment, "%s", error.text);
    return environment;
}

Test(exo_shares, one_that_exhausts_its_limits_leaves_the_other_its_own) {
    set_up();
    struct exo_environment *greedy = with_limits("greedy"), *modest = with_limits("modest");
    const struct got first = take_all(greedy, modest), second = take_all(modest, greedy);
    cr_expect_eq(first.frames, greedy->limits.frames);
    cr_expect_eq(first.frames + first.derived, greedy->limits.capabilities);
    cr_expect_eq(first.mapped, greedy->limits.bindings);
    cr_expect_leq(first.tables, greedy->limits.table_frames);
    cr_expect_gt(first.tables, greedy->limits.table_frames - 6, "less than one more mapping needs");
    cr_expect_eq(memcmp(&first, &second, sizeof first), 0, "what one took, the other lacks");
    cr_expect_eq(greedy->counters.shares, 4, "each refusal is counted");
    cr_expect_eq(fixture_exo_counter("exokernel.greedy", "shares_exceeded"), 4);
    cr_expect_eq(fixture_exo_counter("exokernel.greedy", "capabilities_held"), 3000);
    cr_expect_eq(fixture_exo_counter("exokernel.greedy", "bindings_held"), 200);
    cr_expect_eq(fixture_exo_counter("exokernel.greedy", "table_frames_held"), first.tables);
    exo_environment_destroy(greedy);
    check_sums();
    cr_expect_eq(exo_capabilities_charged(kernel->capabilities, modest->number), 1000,
                 "what it had derived for the other ended with it");
}

/* ---- capabilities: who pays ---- */

Test(exo_shares, who_derives_pays_and_has_it_back_with_the_capability) {
    set_up();
    struct exo_region region = {.physical = 0};
    struct exo_handle passed, own;
    cr_assert_eq(exo_memory_allocate(alice, 0, 4096, &region, &error), OK);
    const uint32_t before = exo_capabilities_charged(kernel->capabilities, bob->number);
    cr_assert_eq(exo_derive(alice, &region.handle, EXO_READ | EXO_GRANT, bob, &passed, &error), OK);
    cr_expect_eq(exo_capabilities_charged(kernel->capabilities, bob->number), before, "it asked for nothing");
    cr_expect_eq(exo_capabilities_charged(kernel->capabilities, alice->number), 2);
    cr_assert_eq(exo_derive(bob, &passed, EXO_READ, alice, &own, &error), OK);
    cr_expect_eq(exo_capabilities_charged(kernel->capabilities, bob->number), before + 1);
    cr_assert_eq(exo_revoke(alice, &region.handle, &error), OK, "%s", error.text);
    cr_expect_eq(exo_capabilities_charged(kernel->capabilities, alice->number), 0);
    cr_expect_eq(exo_capabilities_charged(kernel->capabilities, bob->number), before);
}

Test(exo_shares, what_is_reserved_is_there_and_no_more_is_promised) {
    set_up();
    struct exo_limits limits = exo_limits_default();
    limits.capabilities = EXO_CAPABILITIES_MAX;
    cr_expect_null(exo_environment_create(kernel, "all", &limits, &error));
    cr_expect_eq(error.code, ERR_EXHAUSTED);
    limits.capabilities = EXO_CAPABILITIES_MAX / 2;
    struct exo_environment *half = exo_environment_create(kernel, "half", &limits, &error);
    cr_assert_not_null(half, "%s", error.text);
    cr_expect_null(exo_environment_create(kernel, "other half", &limits, &error), "two are there already");
    exo_environment_destroy(half);
    cr_expect_not_null(exo_environment_create(kernel, "again", &limits, &error), "%s", error.text);
    check_sums();
}

Test(exo_shares, an_environment_without_tables_is_refused) {
    set_up();
    struct exo_limits limits = exo_limits_default();
    limits.table_frames = 1;
    cr_expect_null(exo_environment_create(kernel, "one", &limits, &error), "two roots take two");
    cr_expect_eq(error.code, ERR_SHARE, "%s", error.text);
    check_sums();
}

/* ---- an IOMMU domain that ends ---- */

/* Its tables are other memory then, and the function must not read them. */
Test(exo_shares, a_function_whose_domain_has_ended_reaches_nothing) {
    set_up();
    struct exo_handle function;
    struct exo_region region = {.physical = 0};
    struct exo_environment *gone = with_limits("gone");
    cr_assert_eq(exo_function_grant(gone, fixture_nic, FIXTURE_MAC_B, &function, &error), OK, "%s", error.text);
    cr_assert_eq(exo_memory_allocate(gone, 0, 4096, &region, &error), OK);
    cr_assert_eq(exo_memory_map(gone, &region, true, &error), OK);
    const uint16_t requester = nic_function(fixture_nic, 1)->requester_id;
    const uint64_t at = region.device_address;
    cr_expect(iommu_translate(fixture_machine->iommu, requester, at, true, 0).allowed, "its own");
    exo_environment_destroy(gone);
    cr_expect_not(iommu_translate(fixture_machine->iommu, requester, at, true, SIM_MS).allowed);
    check_sums();
    struct exo_environment *next = with_limits("next"); /* in the same frames, under the same identifier */
    cr_assert_eq(exo_function_grant(next, fixture_nic, FIXTURE_MAC_B, &function, &error), OK, "%s", error.text);
    cr_expect_not(iommu_translate(fixture_machine->iommu, requester, at, true, 2 * SIM_MS).allowed,
                  "what the last holder had mapped");
    cr_assert_eq(exo_memory_allocate(next, 0, 4096, &region, &error), OK);
    region.virtual_address = 0;
    cr_assert_eq(exo_memory_map(next, &region, true, &error), OK);
    cr_expect(iommu_translate(fixture_machine->iommu, requester, region.device_address, true, 3 * SIM_MS).allowed);
}
