/* test_aegis_shares.c: the kernel's records of bindings, and capabilities, on Aegis: charged,
 * given back, refused beyond an environment's limits. Before the run, calls take no time. */
#include "tests/kernel_model/aegis_fixture.h"

enum { BINDINGS = 20, CAPABILITIES = 30, OWN = 2 /* pages that the kernel keeps: save area, free map */ };

static const struct aegis_program idle = {.name = "idle"};
static struct error error;

static struct aegis_environment *limited(const char *name) {
    struct exo_limits limits = exo_limits_default();
    limits.bindings = BINDINGS;
    limits.capabilities = CAPABILITIES;
    struct aegis_environment *environment = aegis_environment_create(aegis, name, &limits, &idle, NULL, &error);
    cr_assert_not_null(environment, "%s", error.text);
    return environment;
}

static uint32_t page(uint64_t number) {
    return PAGE_X + (uint32_t)number * AEGIS_PAGE;
}

/* Binds one frame at page after page. Returns how many it was given. */
static uint64_t bind_all(struct aegis_environment *environment, const struct exo_handle *frame) {
    uint64_t count = 0;
    while (count < 10 * BINDINGS && aegis_tlb_insert(environment, page(count), frame, true, &error) == OK) {
        count++;
    }
    cr_expect_eq(error.code, ERR_SHARE, "%s", error.text);
    return count;
}

Test(aegis_shares, records_of_bindings_are_charged_and_come_back) {
    uint64_t physical = 0;
    fixture_make();
    struct aegis_environment *greedy = limited("greedy"), *modest = limited("modest");
    const struct exo_handle frame = fixture_frame(greedy, &physical), second = fixture_frame(greedy, &physical);
    const struct exo_handle theirs = fixture_frame(modest, &physical);
    cr_expect_eq(bind_all(greedy, &frame), BINDINGS - OWN);
    cr_expect_eq(greedy->environment->counters.shares, 1);
    cr_expect_null(aegis_binding_find(greedy, page(BINDINGS - OWN)), "nothing was bound");
    cr_expect_eq(aegis_tlb_insert(greedy, page(0), &second, true, &error), OK, "one in another's place: %s",
                 error.text);
    cr_expect_eq(greedy->environment->bindings_held, BINDINGS);
    aegis_tlb_remove(greedy, page(1));
    cr_expect_eq(greedy->environment->bindings_held, BINDINGS - 1);
    cr_expect_eq(aegis_tlb_insert(greedy, page(100), &frame, false, &error), OK, "%s", error.text);
    cr_expect_eq(aegis_frame_release(greedy, &frame, &error), OK, "%s", error.text);
    cr_expect_eq(greedy->environment->bindings_held, OWN + 1, "the second frame's");
    cr_expect_eq(bind_all(modest, &theirs), BINDINGS - OWN, "the other has its own");
}

/* Bound under a capability of another's frame, it is still a record for who addresses it. */
Test(aegis_shares, a_record_is_charged_to_who_addresses_the_frame) {
    uint64_t physical = 0;
    struct exo_handle derived;
    fixture_make();
    struct aegis_environment *owner = limited("owner"), *guest = limited("guest");
    const struct exo_handle frame = fixture_frame(owner, &physical);
    cr_assert_eq(aegis_derive(owner, &frame, EXO_READ, guest, &derived, &error), OK, "%s", error.text);
    cr_assert_eq(aegis_tlb_insert(guest, PAGE_X, &derived, false, &error), OK, "%s", error.text);
    cr_expect_eq(guest->environment->bindings_held, OWN + 1);
    cr_expect_eq(owner->environment->bindings_held, OWN);
    aegis_environment_destroy(owner);
    cr_expect_eq(guest->environment->bindings_held, OWN, "it went with the frame");
}

Test(aegis_shares, one_that_derives_without_end_leaves_the_other_its_capabilities) {
    uint64_t physical = 0;
    struct exo_handle derived;
    unsigned made = 0;
    fixture_make();
    struct aegis_environment *greedy = limited("greedy"), *modest = limited("modest");
    const struct exo_handle frame = fixture_frame(greedy, &physical);
    while (made < 10 * CAPABILITIES && aegis_derive(greedy, &frame, EXO_READ, modest, &derived, &error) == OK) {
        made++;
    }
    cr_expect_eq(error.code, ERR_SHARE, "%s", error.text);
    cr_expect_eq(made, CAPABILITIES - 2, "beside the save area's and the frame's");
    for (unsigned i = 0; i + 1 < CAPABILITIES; i++) {
        (void)fixture_frame(modest, &physical);
    }
    cr_expect_eq(aegis_frame_allocate(modest, 0, AEGIS_ANY_COLOR, &derived, &physical, &error), ERR_SHARE);
    cr_expect_eq(aegis_slice_allocate(modest, AEGIS_ANY_POSITION, &derived, &error), ERR_SHARE, "a slice is one, too");
    cr_expect_eq(modest->environment->counters.shares, 2);
    aegis_environment_destroy(modest);
    cr_expect_eq(exo_capabilities_charged(aegis->kernel->capabilities, greedy->environment->number), 2,
                 "what it had derived for the other has ended");
}

Test(aegis_shares, slices_are_a_share_and_come_back) {
    struct exo_limits limits = exo_limits_default();
    struct exo_handle slices[3];
    fixture_make();
    limits.slices = 3;
    struct aegis_environment *greedy = aegis_environment_create(aegis, "greedy", &limits, &idle, NULL, &error);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(aegis_slice_allocate(greedy, AEGIS_ANY_POSITION, &slices[i], &error), OK, "%s", error.text);
    }
    struct exo_handle more;
    cr_expect_eq(aegis_slice_allocate(greedy, AEGIS_ANY_POSITION, &more, &error), ERR_SHARE);
    cr_expect_eq(greedy->environment->counters.shares, 1);
    cr_expect_eq(aegis_revoke(greedy, &slices[1], &error), OK, "%s", error.text);
    cr_expect_eq(aegis_slice_allocate(greedy, AEGIS_ANY_POSITION, &more, &error), OK, "%s", error.text);
}
