/* Doorbells and end points: each call takes its right, and its thread. */
#include "tests/kernel_model/exo_fixture.h"

static struct error error;
static struct exo_thread *threads[2]; /* Alice's, Bob's */
static struct exo_handle function, end_point, doorbell;

static void no_body(void *argument) {
    (void)argument;
}

static void make(void) {
    uint32_t queue = 0;
    struct exo_handle ignored;
    fixture_kernel_make("on", "header");
    threads[0] = exo_thread_create(alice, 0, "alice", no_body, NULL, &error);
    threads[1] = exo_thread_create(bob, 1, "bob", no_body, NULL, &error);
    cr_assert_eq(exo_function_grant(alice, fixture_nic, FIXTURE_MAC_A, &function, &error), OK, "%s", error.text);
    cr_assert_eq(exo_queue_grant(alice, &function, &queue, &ignored, &error), OK, "%s", error.text);
    cr_assert_eq(exo_end_point_create(threads[0], &end_point, &error), OK, "%s", error.text);
}

/* What Bob gets of Alice's, with some rights. */
static struct exo_handle lend(const struct exo_handle *handle, unsigned rights) {
    struct exo_handle lent;
    cr_assert_eq(exo_derive(alice, handle, rights, bob, &lent, &error), OK, "%s", error.text);
    return lent;
}

Test(exo_doorbell, binding_takes_the_right_to_bind) {
    make();
    const unsigned others = EXO_ALL & ~(unsigned)EXO_BIND;
    struct exo_handle bobs_end_point;
    cr_assert_eq(exo_end_point_create(threads[1], &bobs_end_point, &error), OK);
    const struct exo_handle weak_function = lend(&function, others), full_function = lend(&function, EXO_BIND),
                            weak_end_point = lend(&end_point, others), full_end_point = lend(&end_point, EXO_BIND);
    cr_assert_eq(exo_doorbell_create(bob, &weak_function, 0, &bobs_end_point, &doorbell, &error), ERR_DENIED);
    cr_assert_eq(exo_doorbell_create(bob, &full_function, 0, &weak_end_point, &doorbell, &error), ERR_DENIED);
    cr_assert_eq(exo_doorbell_create(bob, &full_function, 0, &end_point, &doorbell, &error), ERR_DENIED, "not his");
    cr_assert_null(kernel->doorbells);
    cr_assert_eq(bob->counters.refused[EXO_OVERREACHING], 2);
    cr_assert_eq(exo_doorbell_create(bob, &full_function, 0, &full_end_point, &doorbell, &error), OK, "%s", error.text);
}

Test(exo_doorbell, an_end_point_is_waited_for_by_its_thread_alone) {
    make();
    const struct exo_handle to_ring = lend(&end_point, EXO_BIND), to_wait = lend(&end_point, EXO_CONTROL);
    cr_assert_eq(exo_end_point_wait(threads[1], &end_point, &error), ERR_DENIED, "not his");
    cr_assert_eq(bob->counters.refused[EXO_NOT_HOLDER], 1);
    cr_assert_eq(exo_end_point_wait(threads[1], &to_ring, &error), ERR_DENIED, "to ring it is not to wait for it");
    cr_assert_eq(bob->counters.refused[EXO_OVERREACHING], 1);
    cr_assert_eq(exo_end_point_wait(threads[1], &to_wait, &error), ERR_DENIED, "it is another thread's");
    cr_assert_eq(bob->counters.refused[EXO_ALLOWED], 1, "the capability is good");
}
