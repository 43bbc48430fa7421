/* An environment with more than one name space: the same address is another frame's. */
#include "kernel_model/exo/name_space.h"
#include "tests/kernel_model/aegis_fixture.h"

TestSuite(aegis_name_space, .init = fixture_make);

enum { FIRST_MARK = 0x1111, SECOND_MARK = 0x2222 };

static bool store(struct aegis_environment *environment, uint32_t value) {
    return aegis_user_store(environment, PAGE_X, 4, value);
}

static uint32_t load(struct aegis_environment *environment) {
    uint32_t value = 0;
    (void)aegis_user_load(environment, PAGE_X, 4, &value);
    return value;
}

static void enter(struct aegis_environment *environment, unsigned name_space) {
    cr_assert_eq(aegis_name_space_enter(environment, name_space, NULL), OK);
}

static unsigned make(struct aegis_environment *environment) {
    unsigned name_space = 0;
    cr_assert_eq(aegis_name_space_create(environment, &name_space, NULL), OK);
    return name_space;
}

static bool done;

static void two_spaces_main(struct aegis_environment *environment) {
    uint64_t one = 0, two = 0;
    const struct exo_handle first = fixture_frame(environment, &one), second = fixture_frame(environment, &two);
    const unsigned other = make(environment);
    cr_expect_neq(other, environment->home);
    cr_assert_eq(aegis_tlb_insert(environment, PAGE_X, &first, true, NULL), OK);
    enter(environment, other);
    cr_expect_not(store(environment, 1), "what is bound in the first is not bound here");
    cr_assert_eq(aegis_tlb_insert(environment, PAGE_X, &second, true, NULL), OK);
    cr_expect(store(environment, SECOND_MARK));
    enter(environment, environment->home);
    cr_expect(store(environment, FIRST_MARK));
    cr_expect_eq(memory_read32(machine->memory, one), FIRST_MARK);
    cr_expect_eq(memory_read32(machine->memory, two), SECOND_MARK);
#ifdef FIXTURE_X86
    const uint64_t *misses = &aegis->x86->translation.walks;
#else
    const uint64_t *misses = &cpu->counters.refills;
#endif
    const uint64_t before = *misses;
    for (unsigned i = 0; i < 4; i++) {
        enter(environment, i % 2 == 0 ? other : environment->home);
        cr_expect_eq(load(environment), i % 2 == 0 ? SECOND_MARK : FIRST_MARK);
    }
    cr_expect_eq(*misses, before, "both stay in the TLB");
    done = true;
}

static const struct aegis_program two_spaces = {.name = "two", .main = two_spaces_main, .exception = fixture_skip};

Test(aegis_name_space, an_address_is_another_frame_in_each) {
    (void)fixture_environment("two", &two_spaces, 1);
    fixture_run(SIM_MS);
    cr_expect(done);
    fixture_check_accounts();
}

/* The save area is in each, or no exception could be handled there. */
static void save_area_main(struct aegis_environment *environment) {
    uint32_t value = 0;
    enter(environment, make(environment));
    cr_expect(aegis_user_store(environment, AEGIS_SAVE_AREA_AT + AEGIS_SAVE_CONTEXT, 4, 77));
    enter(environment, environment->home);
    cr_expect(aegis_user_load(environment, AEGIS_SAVE_AREA_AT + AEGIS_SAVE_CONTEXT, 4, &value));
    cr_expect_eq(value, 77U);
    done = true;
}

static const struct aegis_program saver = {.name = "saver", .main = save_area_main, .exception = fixture_skip};

Test(aegis_name_space, the_save_area_is_in_all) {
    (void)fixture_environment("saver", &saver, 1);
    fixture_run(SIM_MS);
    cr_expect(done);
}

/* A revoked frame is in none; an ended name space leaves nothing behind for the next one
 * that has its id. */
static void ending_main(struct aegis_environment *environment) {
    uint64_t one = 0;
    const struct exo_handle frame = fixture_frame(environment, &one);
    const unsigned other = make(environment);
    enter(environment, other);
    cr_assert_eq(aegis_tlb_insert(environment, PAGE_X, &frame, true, NULL), OK);
    cr_expect(store(environment, FIRST_MARK));
    cr_expect_eq(aegis_name_space_destroy(environment, other, NULL), ERR_DENIED, "it is in it");
    enter(environment, environment->home);
    cr_expect_eq(aegis_name_space_destroy(environment, other, NULL), OK);
    cr_expect_eq(aegis_name_space_enter(environment, other, NULL), ERR_DENIED, "it is gone");
    cr_expect_eq(make(environment), other, "the id is used again");
    enter(environment, other);
    cr_expect_not(store(environment, 1), "an old translation is left in the new name space");
    cr_assert_eq(aegis_tlb_insert(environment, PAGE_X, &frame, true, NULL), OK);
    enter(environment, environment->home);
    cr_assert_eq(aegis_frame_release(environment, &frame, NULL), OK);
    enter(environment, other);
    cr_expect_not(store(environment, 1), "a frame that was given back is still reached");
    done = true;
}

static const struct aegis_program ending = {.name = "ending", .main = ending_main, .exception = fixture_skip};

Test(aegis_name_space, ends_with_what_is_bound_in_it) {
    (void)fixture_environment("ending", &ending, 1);
    fixture_run(SIM_MS);
    cr_expect(done);
#ifndef FIXTURE_X86
    cr_expect_eq(cpu->counters.tlb_shutdowns, 0);
#endif
}

static const struct aegis_program none = {.name = "none"};

Test(aegis_name_space, another_s_is_refused) {
    struct aegis_environment *alice = fixture_environment("alice", &none, 0);
    struct aegis_environment *bob = fixture_environment("bob", &none, 0);
    const unsigned bobs = make(bob);
    cr_expect_eq(aegis_name_space_enter(alice, bobs, NULL), ERR_DENIED);
    cr_expect_eq(aegis_name_space_enter(alice, bob->home, NULL), ERR_DENIED);
    cr_expect_eq(aegis_name_space_enter(alice, UINT32_MAX, NULL), ERR_DENIED);
    cr_expect_eq(aegis_name_space_destroy(alice, bobs, NULL), ERR_DENIED);
    cr_expect_eq(aegis_name_space_destroy(alice, alice->home, NULL), ERR_DENIED, "its first");
}

Test(aegis_name_space, as_many_as_its_share_and_as_there_are_ids) {
    struct aegis_environment *alice = fixture_environment("alice", &none, 0);
    unsigned name_space = 0;
    for (unsigned i = 1; i < AEGIS_NAME_SPACES_MAX; i++) {
        (void)make(alice);
    }
    cr_expect_eq(aegis_name_space_create(alice, &name_space, NULL), ERR_SHARE);
    unsigned taken = AEGIS_NAME_SPACES_MAX;
    while (taken < AEGIS_ENVIRONMENTS_MAX) {
        struct aegis_environment *next = fixture_environment("next", &none, 0);
        taken++;
        for (unsigned i = 1; i < AEGIS_NAME_SPACES_MAX && taken < AEGIS_ENVIRONMENTS_MAX; i++, taken++) {
            (void)make(next);
        }
    }
    struct error error = {0};
    const struct exo_limits limits = exo_limits_default();
    cr_expect_null(aegis_environment_create(aegis, "late", &limits, &none, NULL, &error));
    cr_expect_eq(error.code, ERR_EXHAUSTED);
    aegis_environment_destroy(alice);
    cr_expect_not_null(aegis_environment_create(aegis, "later", &limits, &none, NULL, &error),
                       "its ids are free again");
}
