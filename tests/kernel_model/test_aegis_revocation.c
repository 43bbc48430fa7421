/* test_aegis_revocation.c: taking frames back: asked, refused, and by force. */
#include "tests/kernel_model/aegis_fixture.h"

enum { HELD = 20, ASKED = 12, GUARANTEED = 5 };

static struct aegis_environment *alice;
static uint64_t frames[HELD];
static struct exo_handle handles[HELD];
static unsigned asked, repossessed;
static uint64_t gives;
static bool alive_after;

static void hold(struct aegis_environment *environment) {
    uint32_t value = 0;
    for (uint32_t i = 0; i < HELD; i++) {
        handles[i] = fixture_frame(environment, &frames[i]);
        cr_assert_eq(i < GUARANTEED
                         ? aegis_map_guaranteed(environment, PAGE_X + i * AEGIS_PAGE, &handles[i], true, NULL)
                         : aegis_tlb_insert(environment, PAGE_X + i * AEGIS_PAGE, &handles[i], true, NULL),
                     OK);
        cr_expect(fixture_store(PAGE_X + i * AEGIS_PAGE, 4, i));
    }
    fixture_compute(environment, 100 * SIM_MS);
    for (uint32_t i = 0; i < GUARANTEED; i++) {
        cr_expect(fixture_load(PAGE_X + i * AEGIS_PAGE, 4, &value) && value == i, "guaranteed page %u is gone", i);
    }
    alive_after = true;
}

static void on_notice(struct aegis_environment *environment, enum aegis_notice notice) {
    asked += notice == AEGIS_REVOKE ? 1 : 0;
    repossessed += notice == AEGIS_REPOSSESSED ? 1 : 0;
    if (notice == AEGIS_REVOKE) {
        for (uint64_t i = 0; i < gives; i++) { /* the ones that it needs least */
            cr_expect_eq(aegis_frame_release(environment, &handles[HELD - 1 - i], NULL), OK);
        }
    } else if (notice == AEGIS_SLICE_END) {
        (void)aegis_yield(environment, NULL);
    }
}

static void revoke(void *context) {
    (void)context;
    aegis_revoke_frames(alice, ASKED, 10 * SIM_MS);
}

static void run(uint64_t given) {
    static const struct aegis_program program = {
        .name = "alice", .main = hold, .exception = fixture_skip, .notice = on_notice};
    static struct sim_event when;
    gives = given;
    fixture_make();
    alice = fixture_environment("alice", &program, 1);
    sim_event_init(&when, SIM_PRIORITY_HARDWARE, revoke, NULL);
    sim_schedule_at(&when, 30 * SIM_MS);
    fixture_run(SIM_S);
    fixture_check_accounts();
    cr_expect(alive_after, "the library OS lives on");
    cr_expect_eq(asked, 1);
}

static unsigned free_of(unsigned from) {
    unsigned count = 0;
    for (unsigned i = from; i < HELD; i++) {
        count += frames_is_free(aegis->kernel->frames, frames[i]) ? 1 : 0;
    }
    return count;
}

static void expect_vector(uint32_t count) {
    const uint64_t vector = alice->save_area + AEGIS_SAVE_REPOSSESSED;
    cr_expect_eq(memory_read32(machine->memory, vector), count);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t frame = memory_read32(machine->memory, vector + 4 + 4 * (uint64_t)i);
        cr_expect(frames_is_free(aegis->kernel->frames, frame), "frame 0x%x was not taken", frame);
    }
}

Test(aegis_revocation, one_that_gives_back_chooses_itself) {
    run(ASKED);
    cr_expect_eq(free_of(0), ASKED);
    cr_expect_eq(free_of(HELD - ASKED), ASKED, "the ones that it chose");
    cr_expect_eq(repossessed, 0);
    expect_vector(0);
}

Test(aegis_revocation, one_that_does_not_loses_them_by_force) {
    run(0);
    cr_expect_eq(free_of(0), ASKED);
    cr_expect_eq(free_of(GUARANTEED), ASKED, "none of the guaranteed ones");
    cr_expect_eq(repossessed, 1, "it is told");
    cr_expect_eq(alice->counters.repossessed, ASKED);
    expect_vector(ASKED);
}

Test(aegis_revocation, one_that_gives_some_loses_the_rest) {
    run(4);
    cr_expect_eq(free_of(0), ASKED);
    expect_vector(ASKED - 4);
}

static void touch_taken(struct aegis_environment *environment) {
    uint32_t value = 0;
    hold(environment);
    cr_expect_eq(handled, 0);
    cr_expect_not(fixture_load(PAGE_X + (HELD - 1) * AEGIS_PAGE, 4, &value), "its translation is gone, too");
    cr_expect_eq(aegis_tlb_insert(environment, PAGE_Y, &handles[HELD - 1], false, NULL), ERR_DENIED);
    cr_expect_eq(handled, 1);
    uint32_t count = 0;
    cr_expect(fixture_load(AEGIS_SAVE_AREA_AT + AEGIS_SAVE_REPOSSESSED, 4, &count), "it reads the vector itself");
    cr_expect_eq(count, ASKED);
}
Test(aegis_revocation, what_was_taken_is_out_of_reach) {
    static const struct aegis_program program = {
        .name = "alice", .main = touch_taken, .exception = fixture_skip, .notice = on_notice};
    static struct sim_event when;
    fixture_make();
    alice = fixture_environment("alice", &program, 1);
    sim_event_init(&when, SIM_PRIORITY_HARDWARE, revoke, NULL);
    sim_schedule_at(&when, 30 * SIM_MS);
    fixture_run(SIM_S);
    cr_expect(alive_after);
}

static void revoke_everything(void *context) {
    (void)context;
    aegis_revoke_frames(alice, 1000, 10 * SIM_MS);
}
Test(aegis_revocation, guaranteed_pages_stay_whatever_is_asked) {
    static const struct aegis_program program = {
        .name = "alice", .main = hold, .exception = fixture_skip, .notice = fixture_obey};
    static struct sim_event when;
    fixture_make();
    alice = fixture_environment("alice", &program, 1);
    sim_event_init(&when, SIM_PRIORITY_HARDWARE, revoke_everything, NULL);
    sim_schedule_at(&when, 30 * SIM_MS);
    fixture_run(SIM_S);
    cr_expect(alive_after);
    cr_expect_eq(free_of(0), HELD - GUARANTEED);
    cr_expect_eq(alice->guaranteed, GUARANTEED + 1);
}
