/* test_aegis_demand.c: no frame is free: who holds most is asked for one. */
#include "tests/kernel_model/aegis_fixture.h"

static struct aegis_environment *rich, *poor;
static bool gives, got;
static unsigned asked, lost;
static sim_time waited;

static void take_all(struct aegis_environment *environment) {
    struct exo_handle handle;
    uint64_t physical = 0;
    while (aegis_frame_allocate(environment, 0, AEGIS_ANY_COLOR, &handle, &physical, NULL) == OK) {
    }
    for (;;) {
        fixture_compute(environment, 100 * SIM_MS);
    }
}

static void need_one(struct aegis_environment *environment) {
    struct exo_handle handle;
    uint64_t physical = 0;
    fixture_compute(environment, 100 * SIM_MS); /* the other has all by then */
    const sim_time from = sim_now();
    while (aegis_frame_allocate(environment, 0, AEGIS_ANY_COLOR, &handle, &physical, NULL) != OK && sim_now() < SIM_S) {
        (void)aegis_yield(environment, NULL);
    }
    got = sim_now() < SIM_S;
    waited = sim_now() - from;
}

static void on_notice(struct aegis_environment *environment, enum aegis_notice notice) {
    asked += notice == AEGIS_REVOKE ? 1 : 0;
    lost += notice == AEGIS_REPOSSESSED ? 1 : 0;
    if (notice == AEGIS_REVOKE && gives) {
        const struct aegis_frame *last = environment->frames;
        while (last->next != NULL) {
            last = last->next;
        }
        const struct exo_handle handle = last->handle;
        cr_expect_eq(aegis_frame_release(environment, &handle, NULL), OK);
    }
    fixture_obey(environment, notice);
}

static void run(sim_time revoke_time) {
    static const struct aegis_program hoarder = {.name = "rich", .main = take_all, .notice = on_notice};
    static const struct aegis_program modest = {.name = "poor", .main = need_one, .notice = fixture_obey};
    config.revoke_time = revoke_time;
    config.quantum = 5 * SIM_MS;
    fixture_make();
    rich = fixture_environment("rich", &hoarder, 1);
    poor = fixture_environment("poor", &modest, 1);
    fixture_run(2 * SIM_S);
    fixture_check_accounts();
}

Test(aegis_demand, who_answers_is_waited_for_no_longer_than_its_turn) {
    gives = true;
    run(200 * SIM_MS);
    cr_expect(got && waited < 20 * SIM_MS);
    cr_expect(asked == 1 && lost == 0);
}
Test(aegis_demand, who_does_not_answer_loses_a_frame_at_the_deadline) {
    run(200 * SIM_MS);
    cr_expect(got && waited >= 200 * SIM_MS && waited < 220 * SIM_MS);
    cr_expect(asked == 1 && lost == 1);
    cr_expect_eq(rich->counters.repossessed, 1);
}
Test(aegis_demand, without_a_time_nobody_is_asked) {
    run(0);
    cr_expect_not(got);
    cr_expect_eq(asked, 0);
}
