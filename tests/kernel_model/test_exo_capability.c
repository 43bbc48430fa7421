/* The table of capabilities: what it lets pass, and what it ends. */
#include <criterion/criterion.h>
#include <string.h>

#include "kernel_model/exo/capability.h"

enum { ALICE = 1, BOB = 2, CAROL = 3 };

static const struct siphash_key KEY = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
static struct exo_capabilities *table;
static int frame, filter;

struct releases {
    uint32_t count, derived;
    uint32_t order[16];
};
static struct releases released;

static void release(void *context, void *object, uint32_t index, bool derived) {
    (void)context;
    (void)object;
    released.order[released.count++ % 16] = index;
    released.derived += derived;
}

static void make_table(void) {
    table = exo_capabilities_create(KEY, 64);
    exo_capabilities_on_release(table, EXO_FRAMES, release, NULL);
    exo_capabilities_on_release(table, EXO_FILTER, release, NULL);
}

static struct exo_handle grant(uint32_t holder, unsigned rights) {
    struct exo_handle handle;
    cr_assert_eq(exo_capability_grant(table, NULL, EXO_FRAMES, &frame, holder, rights, &handle), OK);
    return handle;
}

static enum exo_refusal check(uint32_t holder, const struct exo_handle *handle, unsigned rights) {
    return exo_capability_check(table, holder, handle, EXO_FRAMES, rights, NULL);
}

/* The vectors of the authors' reference implementation, vectors_sip64: key
 * 00..0f, input 00..n-1. */
Test(exo_capability, siphash_matches_the_published_vectors) {
    uint8_t input[16];
    for (uint8_t i = 0; i < sizeof input; i++) {
        input[i] = i;
    }
    cr_assert_eq(siphash_24(KEY, input, 0), UINT64_C(0x726fdb47dd0e0e31));
    cr_assert_eq(siphash_24(KEY, input, 1), UINT64_C(0x74f839c593dc67fd));
    cr_assert_eq(siphash_24(KEY, input, 8), UINT64_C(0x93f5f5799a932462));
    cr_assert_eq(siphash_24(KEY, input, 15), UINT64_C(0xa129ca6149be45e5));
}

Test(exo_capability, a_granted_handle_passes_with_its_rights) {
    make_table();
    const struct exo_handle handle = grant(ALICE, EXO_READ | EXO_BIND);
    void *object = NULL;
    cr_assert_eq(exo_capability_check(table, ALICE, &handle, EXO_FRAMES, EXO_READ, &object), EXO_ALLOWED);
    cr_assert_eq(object, &frame);
    cr_assert_eq(check(ALICE, &handle, EXO_READ | EXO_BIND), EXO_ALLOWED);
    cr_assert_eq(check(ALICE, &handle, EXO_READ | EXO_WRITE), EXO_OVERREACHING);
    cr_assert_eq(check(BOB, &handle, EXO_READ), EXO_NOT_HOLDER);
    cr_assert_eq(exo_capability_check(table, ALICE, &handle, EXO_FILTER, EXO_READ, NULL), EXO_WRONG_TYPE);
}

/* Every single bit of a handle is covered by its code. */
Test(exo_capability, a_handle_with_any_bit_flipped_is_forged) {
    make_table();
    const struct exo_handle handle = grant(ALICE, EXO_READ);
    for (size_t bit = 0; bit < 8 * sizeof handle; bit++) {
        struct exo_handle forged = handle;
        uint8_t *bytes = (uint8_t *)&forged;
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1U << bit % 8);
        cr_assert_eq(check(ALICE, &forged, EXO_READ), EXO_FORGED, "bit %zu", bit);
    }
}

Test(exo_capability, a_handle_made_with_another_key_is_forged) {
    make_table();
    struct exo_capabilities *other = exo_capabilities_create((struct siphash_key){1, 2}, 64);
    struct exo_handle handle;
    (void)grant(ALICE, EXO_ALL);
    cr_assert_eq(exo_capability_grant(other, NULL, EXO_FRAMES, &frame, ALICE, EXO_ALL, &handle), OK);
    cr_assert_eq(check(ALICE, &handle, EXO_READ), EXO_FORGED);
    exo_capabilities_free(other);
}

Test(exo_capability, derivation_only_lessens) {
    make_table();
    const struct exo_handle parent = grant(ALICE, EXO_READ | EXO_GRANT);
    struct exo_handle child;
    enum error_code code = OK;
    cr_assert_eq(exo_capability_derive(table, ALICE, &parent, EXO_READ, BOB, &child, &code), EXO_ALLOWED);
    cr_assert_eq(check(BOB, &child, EXO_READ), EXO_ALLOWED);
    cr_assert_eq(check(ALICE, &child, EXO_READ), EXO_NOT_HOLDER);
    struct exo_handle more;
    cr_assert_eq(exo_capability_derive(table, ALICE, &parent, EXO_READ | EXO_WRITE, BOB, &more, &code),
                 EXO_OVERREACHING);
    cr_assert_eq(code, ERR_DENIED);
    /* Without EXO_GRANT it goes no further, but may be lessened for oneself. */
    cr_assert_eq(exo_capability_derive(table, BOB, &child, EXO_READ, CAROL, &more, &code), EXO_OVERREACHING);
    cr_assert_eq(exo_capability_derive(table, BOB, &child, EXO_READ, BOB, &more, &code), EXO_ALLOWED);
}

Test(exo_capability, revocation_takes_the_whole_subtree_leaves_first) {
    make_table();
    const struct exo_handle root = grant(ALICE, EXO_ALL);
    const struct exo_handle sibling = grant(ALICE, EXO_ALL);
    struct exo_handle child;
    struct exo_handle grandchild;
    struct exo_handle inner;
    enum error_code code = OK;
    cr_assert_eq(exo_capability_derive(table, ALICE, &root, EXO_ALL, BOB, &child, &code), EXO_ALLOWED);
    cr_assert_eq(exo_capability_derive(table, BOB, &child, EXO_READ, CAROL, &grandchild, &code), EXO_ALLOWED);
    cr_assert_eq(exo_capability_grant(table, &child, EXO_FILTER, &filter, BOB, EXO_ALL, &inner), OK);
    cr_assert_eq(exo_capabilities_live(table), 5U);
    exo_capability_revoke(table, &root);
    cr_assert_eq(check(ALICE, &root, EXO_READ), EXO_STALE);
    cr_assert_eq(check(BOB, &child, EXO_READ), EXO_STALE);
    cr_assert_eq(check(CAROL, &grandchild, EXO_READ), EXO_STALE);
    cr_assert_eq(exo_capability_check(table, BOB, &inner, EXO_FILTER, 0, NULL), EXO_STALE);
    cr_assert_eq(check(ALICE, &sibling, EXO_READ), EXO_ALLOWED);
    cr_assert_eq(exo_capabilities_live(table), 1U);
    cr_assert_eq(released.count, 4U);
    cr_assert_eq(released.derived, 2U);
    cr_assert_eq(released.order[3], root.index, "the root is last");
    cr_assert_eq(released.order[2], child.index, "behind its own children");
}

Test(exo_capability, a_reused_slot_does_not_revive_an_old_handle) {
    make_table();
    const struct exo_handle old = grant(ALICE, EXO_ALL);
    exo_capability_revoke(table, &old);
    const struct exo_handle fresh = grant(ALICE, EXO_ALL);
    cr_assert_eq(fresh.index, old.index, "the slot is used again");
    cr_assert_eq(check(ALICE, &old, EXO_READ), EXO_STALE);
    cr_assert_eq(check(ALICE, &fresh, EXO_READ), EXO_ALLOWED);
    exo_capability_revoke(table, &old); /* stale: no effect */
    cr_assert_eq(check(ALICE, &fresh, EXO_READ), EXO_ALLOWED);
}

Test(exo_capability, a_holder_loses_all_at_once) {
    make_table();
    const struct exo_handle mine = grant(ALICE, EXO_ALL);
    struct exo_handle passed;
    enum error_code code = OK;
    cr_assert_eq(exo_capability_derive(table, ALICE, &mine, EXO_READ, BOB, &passed, &code), EXO_ALLOWED);
    const struct exo_handle bobs = grant(BOB, EXO_ALL);
    exo_capability_revoke_holder(table, ALICE);
    cr_assert_eq(check(BOB, &passed, EXO_READ), EXO_STALE);
    cr_assert_eq(check(BOB, &bobs, EXO_READ), EXO_ALLOWED);
}

Test(exo_capability, the_table_is_finite) {
    table = exo_capabilities_create(KEY, 3);
    struct exo_handle handle;
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(exo_capability_grant(table, NULL, EXO_FRAMES, &frame, ALICE, EXO_ALL, &handle), OK);
    }
    cr_assert_eq(exo_capability_grant(table, NULL, EXO_FRAMES, &frame, ALICE, EXO_ALL, &handle), ERR_EXHAUSTED);
}
