/* test_exos_stride.c: the stride scheduler, a library OS. */
#include "libos_model/exos/exos.h"
#include "libos_model/exos/stride.h"
#include "tests/kernel_model/aegis_fixture.h"

static struct exos_costs exos_costs;
static struct stride stride;

static void spin(struct aegis_environment *environment) {
    for (;;) {
        fixture_compute(environment, 100 * SIM_MS);
    }
}
static void obey(struct aegis_environment *environment, enum aegis_notice notice) {
    if (notice == AEGIS_SLICE_END) {
        exos_slice_end(environment, &exos_costs);
    }
}
static const struct aegis_program client = {.name = "client", .main = spin, .notice = obey};

static void make(void) {
    struct diagnostics diagnostics;
    struct error error = {OK, ""};
    struct exo_handle slice;
    fixture_make();
    diagnostics_init(&diagnostics);
    struct config *profile = config_load(SOURCE_DIR "/configs/profiles/exos-1995.yaml", &diagnostics);
    cr_assert(config_bind(config_root(profile), exos_cost_params, &exos_costs, &diagnostics));
    stride.costs = &exos_costs;
    struct aegis_environment *scheduler = fixture_environment("stride", &stride_program, 0);
    scheduler->state = &stride;
    cr_assert_eq(aegis_slice_allocate(scheduler, AEGIS_ANY_POSITION, &slice, &error), OK);
}

Test(exos_stride, three_to_two_to_one_within_a_percent_over_10000_slices) {
    static const uint64_t tickets[] = {3, 2, 1};
    make();
    for (size_t i = 0; i < 3; i++) {
        stride_add(&stride, fixture_environment("client", &client, 0), tickets[i]);
    }
    fixture_run(10000 * 15625 * SIM_US);
    uint64_t slices = 0;
    for (size_t i = 0; i < 3; i++) {
        const struct stride_client *at = &stride.clients[i];
        const double share = (double)at->environment->used / (double)sim_now(), due = (double)tickets[i] / 6;
        cr_expect(share > 0.99 * due && share < 1.01 * due, "client %zu has %.5f, not %.5f", i, share, due);
        slices += at->slices;
    }
    cr_expect(slices >= 9999 && slices <= 10001, "%llu slices", (unsigned long long)slices);
    fixture_check_accounts();
}

static void leave_late(struct aegis_environment *environment, enum aegis_notice notice) {
    if (notice == AEGIS_SLICE_END) {
        fixture_compute(environment, 5 * SIM_MS);
        exos_slice_end(environment, &exos_costs);
    }
}
Test(exos_stride, one_that_overruns_pays_with_its_own_share) {
    static const struct aegis_program late = {.name = "late", .main = spin, .notice = leave_late};
    make();
    stride_add(&stride, fixture_environment("late", &late, 0), 1);
    stride_add(&stride, fixture_environment("client", &client, 0), 1);
    fixture_run(2000 * 15625 * SIM_US);
    for (size_t i = 0; i < 2; i++) {
        const double share = (double)stride.clients[i].environment->used / (double)sim_now();
        cr_expect(share > 0.49 && share < 0.51, "client %zu has %.4f", i, share);
        cr_expect_eq(stride.clients[i].pass > 0, true);
    }
    cr_expect_gt(stride.clients[1].slices, stride.clients[0].slices);
    fixture_check_accounts();
}

static void run_and_exit(struct aegis_environment *environment) {
    fixture_compute(environment, 50 * SIM_MS);
    aegis_exit(environment);
}
Test(exos_stride, one_that_ends_leaves_its_time_to_the_others) {
    static const struct aegis_program ends = {.name = "ends", .main = run_and_exit, .notice = obey};
    make();
    stride_add(&stride, fixture_environment("ends", &ends, 0), 5);
    stride_add(&stride, fixture_environment("client", &client, 0), 1);
    fixture_run(4 * SIM_S);
    cr_expect_eq(stride.count, 1);
    cr_expect_gt(stride.clients[0].environment->used, 3900 * SIM_MS);
    fixture_check_accounts();
}
