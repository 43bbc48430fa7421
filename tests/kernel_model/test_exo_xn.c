/* test_exo_xn.c: XN's blocks by capability. */
#include "kernel_model/common/system.h"
#include "kernel_model/exo/exo_xn.h"
#include "sim/random.h"
#include "tests/kernel_model/xn_fixture.h"

enum { ROOT = 3, OTHER_ROOT = 9, INODE = 20 };

static struct exo_kernel *kernel;
static struct exo_environment *alice, *bob;
static struct exo_xn *blocks;
static struct exo_costs costs;
static struct exo_handle directories, tree;
static uint32_t type;
static struct error error;
static const struct download_extent nowhere = {0, 0, 0};

static void make_kernel(void) {
    static struct machine *machine;
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    random_seed(1);
    machine_declare_components();
    system_declare_components();
    exo_declare_components();
    struct config *config = config_parse("machine.yaml", "memory: {size: 16 MiB}\n", &diagnostics);
    cr_assert(config != NULL && machine_create(config_root(config), &machine, &diagnostics));
    kernel = exo_kernel_create(machine, &costs, EXO_IDLE_HALT, &error);
    const struct exo_limits limits = exo_limits_default();
    alice = exo_environment_create(kernel, "alice", &limits, &error);
    bob = exo_environment_create(kernel, "bob", &limits, &error);
}

/* Alice with a directory at ROOT. */
static void make(void) {
    xn_fixture_make();
    make_kernel();
    blocks = exo_xn_create(kernel, fixture_xn);
    cr_assert_eq(exo_xn_template(blocks, alice, directory_owns, sizeof directory_owns / sizeof *directory_owns, &type,
                                 &directories, &error),
                 OK, "%s", error.text);
    cr_assert_eq(exo_xn_root(blocks, alice, &directories, ROOT, &tree, &error), OK, "%s", error.text);
    cr_assert_eq(exo_xn_initialise(blocks, alice, &tree, ROOT, fixture_empty, &error), OK, "%s", error.text);
}

static void unmake(void) {
    exo_kernel_free(kernel);
    exo_xn_free(blocks);
    xn_fixture_unmake();
}

static enum error_code change(struct exo_environment *environment, const struct exo_handle *handle) {
    static const uint32_t five = 5;
    const struct xn_write write = {60, 4, &five};
    return exo_xn_modify(blocks, environment, handle, ROOT, &write, 1, XN_KEEP, nowhere, &error);
}

/* Every call on a tree with this handle. */
static void expect_denied(struct exo_environment *environment, const struct exo_handle *handle) {
    const struct xn_write write = {0, 4, fixture_empty};
    uint32_t word = 0;
    const uint64_t changes = xn_counters(fixture_xn)->changes, denied = xn_counters(fixture_xn)->denied;
    cr_expect_eq(change(environment, handle), ERR_DENIED);
    cr_expect_eq(exo_xn_initialise(blocks, environment, handle, ROOT, fixture_empty, &error), ERR_DENIED);
    cr_expect_eq(exo_xn_write_data(blocks, environment, handle, ROOT, &write, &error), ERR_DENIED);
    cr_expect_eq(exo_xn_flush(blocks, environment, handle, ROOT, &error), ERR_DENIED);
    cr_expect_eq(exo_xn_read(blocks, environment, handle, ROOT, 0, 4, &word, &error), ERR_DENIED);
    cr_expect_eq(xn_counters(fixture_xn)->changes, changes);
    cr_expect_eq(xn_counters(fixture_xn)->denied, denied, "the kernel refuses it before XN is asked");
}

Test(exo_xn, a_tree_is_changed_by_its_capability) {
    make();
    uint32_t word = 0;
    cr_assert_eq(change(alice, &tree), OK, "%s", error.text);
    cr_assert_eq(exo_xn_read(blocks, alice, &tree, ROOT, 60, 4, &word, &error), OK);
    cr_assert_eq(word, 5);
    cr_assert_eq(exo_xn_flush(blocks, alice, &tree, ROOT, &error), OK, "%s", error.text);
    unmake();
}

Test(exo_xn, forged_stale_and_others_capabilities_are_refused) {
    make();
    struct exo_handle forged = tree, lent;
    forged.holder = bob->number;
    expect_denied(bob, &forged);
    cr_expect_eq(bob->counters.refused[EXO_FORGED], 5);
    expect_denied(bob, &tree);
    cr_expect_eq(bob->counters.refused[EXO_NOT_HOLDER], 5);
    expect_denied(alice, &directories);
    cr_expect_eq(alice->counters.refused[EXO_WRONG_TYPE], 5);
    cr_assert_eq(exo_derive(alice, &tree, EXO_ALL, bob, &lent, &error), OK);
    cr_assert_eq(change(bob, &lent), OK, "%s", error.text);
    cr_assert_eq(exo_revoke(alice, &tree, &error), OK);
    expect_denied(bob, &lent);
    expect_denied(alice, &tree);
    cr_expect_eq(bob->counters.refused[EXO_STALE], 5);
    unmake();
}

Test(exo_xn, who_may_read_may_not_write) {
    make();
    struct exo_handle lent;
    uint32_t word = 0;
    cr_assert_eq(exo_derive(alice, &tree, EXO_READ, bob, &lent, &error), OK);
    cr_assert_eq(exo_xn_read(blocks, bob, &lent, ROOT, 60, 4, &word, &error), OK, "%s", error.text);
    cr_assert_eq(change(bob, &lent), ERR_DENIED);
    cr_assert_eq(exo_xn_flush(blocks, bob, &lent, ROOT, &error), ERR_DENIED);
    const struct xn_write write = {0, 4, fixture_empty};
    cr_assert_eq(exo_xn_write_data(blocks, bob, &lent, ROOT, &write, &error), ERR_DENIED);
    cr_assert_eq(exo_xn_initialise(blocks, bob, &lent, ROOT, fixture_empty, &error), ERR_DENIED);
    cr_expect_eq(bob->counters.refused[EXO_OVERREACHING], 4);
    unmake();
}

Test(exo_xn, one_tree_is_no_way_into_another_of_the_same_environment) {
    make();
    struct exo_handle other, lent;
    cr_assert_eq(exo_xn_root(blocks, alice, &directories, OTHER_ROOT, &other, &error), OK, "%s", error.text);
    cr_assert_eq(exo_derive(alice, &other, EXO_ALL, bob, &lent, &error), OK);
    cr_assert_eq(change(bob, &lent), ERR_DENIED, "ROOT is not of that tree");
    cr_assert_eq(xn_counters(fixture_xn)->denied, 1, "... and XN itself says so");
    unmake();
}

Test(exo_xn, roots_are_made_by_a_template_s_capability_and_shared_out) {
    make();
    struct exo_handle weak, root;
    cr_assert_eq(exo_xn_root(blocks, bob, &directories, OTHER_ROOT, &root, &error), ERR_DENIED);
    cr_assert_eq(exo_derive(alice, &directories, EXO_READ, bob, &weak, &error), OK);
    cr_assert_eq(exo_xn_root(blocks, bob, &weak, OTHER_ROOT, &root, &error), ERR_DENIED);
    cr_assert_eq(exo_xn_root(blocks, alice, &directories, ROOT, &root, &error), ERR_OVERLAP);
    for (uint32_t i = 1; i < EXO_XN_ROOTS_EACH; i++) {
        cr_assert_eq(exo_xn_root(blocks, alice, &directories, 30 + i, &root, &error), OK, "%s", error.text);
    }
    cr_assert_eq(exo_xn_root(blocks, alice, &directories, 50, &root, &error), ERR_SHARE);
    cr_assert_eq(xn_state(fixture_xn, 50), XN_STATE_FREE);
    unmake();
}

Test(exo_xn, blocks_outlive_their_environment_under_its_name) {
    make();
    struct exo_handle again;
    cr_assert_eq(change(alice, &tree), OK);
    exo_environment_destroy(alice);
    cr_assert_eq(xn_state(fixture_xn, ROOT), XN_STATE_ALLOCATED);
    cr_assert_eq(exo_xn_acquire(blocks, bob, ROOT, EXO_READ, &again, &error), ERR_DENIED, "it is Alice's");
    cr_assert_eq(exo_xn_acquire(blocks, bob, INODE, EXO_READ, &again, &error), ERR_NOT_FOUND);
    const struct exo_limits limits = exo_limits_default();
    alice = exo_environment_create(kernel, "alice", &limits, &error);
    expect_denied(alice, &tree);
    cr_assert_eq(exo_xn_acquire(blocks, alice, ROOT, EXO_READ | EXO_WRITE, &again, &error), OK, "%s", error.text);
    cr_assert_eq(change(alice, &again), OK, "%s", error.text);
    unmake();
}
