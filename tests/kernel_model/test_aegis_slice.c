/* test_aegis_slice.c: time slices: who gets them, who takes more, and what it costs. */
#include "tests/kernel_model/aegis_fixture.h"

enum { TAIL_MS = 5 };

static struct aegis_environment *alice, *bob;

static void spin(struct aegis_environment *environment) {
    for (;;) {
        fixture_compute(environment, SIM_MS);
    }
}
static const struct aegis_program obedient = {.name = "obedient", .main = spin, .notice = fixture_obey};

static void expect_share(const struct aegis_environment *environment, double share) {
    aegis_account(aegis, aegis->current); /* up to now */
    const double has = (double)environment->used / (double)sim_now();
    cr_expect(has > share - 0.01 && has < share + 0.01, "%s has %.3f of the processor, not %.3f",
              environment->program->name, has, share);
}

/* ---- the vector ---- */

Test(aegis_slice, positions_are_shares) {
    fixture_make();
    alice = fixture_environment("alice", &obedient, 1);
    bob = fixture_environment("bob", &obedient, 3);
    fixture_run(4 * SIM_S);
    expect_share(alice, 0.25);
    expect_share(bob, 0.75);
    cr_expect_eq(aegis->counters.overruns, 0);
    cr_expect_eq(alice->excess, 0);
    fixture_check_accounts();
}

Test(aegis_slice, a_position_has_one_owner_until_its_capability_ends) {
    struct error error = {OK, ""};
    struct exo_handle first, second;
    fixture_make();
    alice = fixture_environment("alice", &obedient, 0);
    bob = fixture_environment("bob", &obedient, 0);
    cr_expect_eq(aegis_slice_allocate(alice, 3, &first, &error), OK);
    cr_expect_eq(aegis_slice_allocate(bob, 3, &second, &error), ERR_EXISTS);
    cr_expect_eq(aegis_slice_allocate(bob, 8, &second, &error), ERR_RANGE);
    cr_expect_eq(exo_revoke(bob->environment, &first, &error), ERR_DENIED, "another's capability");
    cr_expect_eq(exo_revoke(alice->environment, &first, &error), OK);
    cr_expect_eq(aegis_slice_allocate(bob, 3, &second, &error), OK);
    for (unsigned i = 0; i < 7; i++) {
        cr_expect_eq(aegis_slice_allocate(alice, AEGIS_ANY_POSITION, &first, &error), OK);
    }
    cr_expect_eq(aegis_slice_allocate(alice, AEGIS_ANY_POSITION, &first, &error), ERR_EXHAUSTED);
}

/* ---- begin and end of a slice are the library's ---- */

static unsigned begins, ends;
static uint64_t registers_after;
/* A register that no kernel touches. */
static unsigned scratch(void) {
    return aegis->machine->registers.saved[0];
}
static void save_and_yield(struct aegis_environment *environment, enum aegis_notice notice) {
    begins += notice == AEGIS_SLICE_BEGIN ? 1 : 0;
    if (notice == AEGIS_SLICE_END) {
        const uint64_t saved = aegis->machine->get_register(aegis, scratch());
        ends++;
        (void)aegis_yield(environment, NULL);
        aegis->machine->set_register(aegis, scratch(), saved);
    }
}
static void keep_register(struct aegis_environment *environment) {
    aegis->machine->set_register(aegis, scratch(), 0x1234);
    fixture_compute(environment, 100 * SIM_MS);
    registers_after = aegis->machine->get_register(aegis, scratch());
    aegis_exit(environment);
}
static void scribble(struct aegis_environment *environment) {
    for (;;) {
        fixture_compute(environment, SIM_MS);
        aegis->machine->set_register(aegis, scratch(), 0xbad);
    }
}
Test(aegis_slice, the_library_saves_its_own_context) {
    static const struct aegis_program keeps = {.name = "keeps", .main = keep_register, .notice = save_and_yield};
    static const struct aegis_program scribbles = {.name = "scribbles", .main = scribble, .notice = fixture_obey};
    fixture_make();
    alice = fixture_environment("alice", &keeps, 1);
    bob = fixture_environment("bob", &scribbles, 1);
    fixture_run(SIM_S);
    cr_expect_eq(registers_after, 0x1234);
    cr_expect_eq(ends, 6, "100 ms are six slices and a bit");
    cr_expect_eq(begins, 1, "told at its first; at the others it returns from its yield");
    fixture_check_accounts();
}

/* ---- yielding ---- */

static sim_time pattern[8];
static unsigned pattern_count;
static void yield_to_bob(struct aegis_environment *environment) {
    fixture_compute(environment, 2 * SIM_MS);
    pattern[pattern_count++] = sim_now();
    cr_expect_eq(aegis_yield(environment, environment), ERR_NOT_FOUND);
    cr_expect_eq(aegis_yield(environment, bob), OK);
    pattern[pattern_count++] = sim_now();
    spin(environment);
}
Test(aegis_slice, a_named_environment_gets_the_rest_of_the_slice) {
    static const struct aegis_program yields = {.name = "yields", .main = yield_to_bob, .notice = fixture_obey};
    fixture_make();
    alice = fixture_environment("alice", &yields, 1);
    bob = fixture_environment("bob", &obedient, 0); /* no slice of its own */
    fixture_run(100 * SIM_MS);
    cr_expect_eq(pattern_count, 2);
    cr_expect(pattern[1] > 15625 * SIM_US && pattern[1] < 15725 * SIM_US, "back at the end of the slice");
    cr_expect(bob->used > 13 * SIM_MS && bob->used < 14 * SIM_MS);
    fixture_check_accounts();
}

/* ---- overruns ---- */

/* Leaves TAIL_MS late, every time. */
static void leave_late(struct aegis_environment *environment, enum aegis_notice notice) {
    if (notice == AEGIS_SLICE_END) {
        fixture_compute(environment, TAIL_MS * SIM_MS);
        (void)aegis_yield(environment, NULL);
    }
}
static const struct aegis_program late = {.name = "late", .main = spin, .notice = leave_late};

Test(aegis_slice, an_overrun_is_charged_exactly_what_it_took) {
    fixture_make();
    alice = fixture_environment("alice", &late, 1);
    bob = fixture_environment("bob", &obedient, 1);
    fixture_run(30 * SIM_MS); /* one end of a slice */
    cr_expect_eq(alice->counters.overruns, 1);
    cr_expect_eq(alice->excess, bob->owed);
    /* From the tick at 15.625 ms: interrupt, notice, its tail and the yield, to the cycle. */
    cr_expect_eq(alice->used, 15625 * SIM_US + (sim_time)alice->excess);
    cr_expect(alice->excess > (int64_t)(TAIL_MS * SIM_MS) && alice->excess < (int64_t)(TAIL_MS * SIM_MS + 20 * SIM_US),
              "%lld fs", (long long)alice->excess);
    fixture_check_accounts();
}

Test(aegis_slice, what_it_took_is_forfeited_to_whom_it_took_it_from) {
    fixture_make();
    alice = fixture_environment("alice", &late, 1);
    bob = fixture_environment("bob", &obedient, 1);
    fixture_run(10 * SIM_S);
    cr_expect_gt(alice->counters.forfeited, 50);
    expect_share(alice, 0.5);
    expect_share(bob, 0.5);
    cr_expect_leq(alice->excess, (int64_t)(15625 * SIM_US + 2 * TAIL_MS * SIM_MS), "never far ahead");
    fixture_check_accounts();
}

Test(aegis_slice, a_third_loses_nothing) {
    fixture_make();
    alice = fixture_environment("alice", &late, 1);
    bob = fixture_environment("bob", &obedient, 1);
    struct aegis_environment *carol = fixture_environment("carol", &obedient, 2);
    fixture_run(10 * SIM_S);
    expect_share(alice, 0.25);
    expect_share(bob, 0.25);
    expect_share(carol, 0.5);
    fixture_check_accounts();
}

/* Does not yield at all. */
static const struct aegis_program deaf = {.name = "deaf", .main = spin};

Test(aegis_slice, one_that_does_not_yield_is_destroyed_at_the_threshold) {
    fixture_make();
    alice = fixture_environment("alice", &deaf, 1);
    bob = fixture_environment("bob", &obedient, 1);
    uint64_t physical = 0;
    (void)fixture_frame(alice, &physical);
    fixture_run(4 * SIM_S);
    cr_expect_eq(aegis->destroyed, 1);
    cr_expect_eq(aegis->environments, bob);
    cr_expect(frames_is_free(aegis->kernel->frames, physical), "what it held is free");
    cr_expect_eq(aegis->slices[0].owner, NULL);
    aegis_account(aegis, aegis->current);
    /* Its first slice, then nine: five of bob's, four of its own, which were forfeited
     * to bob before it took them, too. */
    cr_expect_gt(bob->used, 4 * SIM_S - 11 * 15625 * SIM_US);
    cr_expect_eq(bob->owed, (int64_t)(5 * 15625 * SIM_US), "to the femtosecond");
    fixture_check_accounts();
}

/* ---- overrunning by proxy ---- */

static void pass_on(struct aegis_environment *environment) {
    const uint32_t partner = environment == alice ? 3 : 1; /* their numbers, in order of creation */
    for (;;) {
        fixture_compute(environment, 3 * SIM_MS);
        (void)aegis_transfer(environment, partner, AEGIS_SYNCHRONOUS);
    }
}
static struct aegis_environment *mallory;
static void run_accomplices(sim_time until, const struct aegis_program *first, const struct aegis_program *second) {
    fixture_make();
    alice = fixture_environment("alice", first, 1);
    bob = fixture_environment("bob", &obedient, 1);
    mallory = fixture_environment("mallory", second, 0);
    fixture_run(until);
    aegis_account(aegis, aegis->current);
}
static const struct aegis_program pings = {.name = "pings", .main = pass_on};
static const struct aegis_program pongs = {.name = "pongs", .entered = pass_on};

Test(aegis_slice, transfers_between_accomplices_are_charged_too) {
    run_accomplices(100 * SIM_MS, &pings, &pongs);
    const int64_t quantum = 15625 * (int64_t)SIM_US;
    cr_expect_gt(mallory->excess, 0);
    cr_expect_eq(alice->excess + mallory->excess, bob->owed + alice->owed);
    cr_expect_geq((int64_t)bob->used + bob->owed + (int64_t)alice->counters.forfeited * quantum, 3 * quantum,
                  "bob's slices are his, or owed to him");
    fixture_check_accounts();
}

Test(aegis_slice, accomplices_do_not_hold_the_processor_for_ever) {
    run_accomplices(2 * SIM_S, &pings, &pongs);
    cr_expect_geq(aegis->destroyed, 1);
    cr_expect_gt(bob->used, SIM_S);
    fixture_check_accounts();
}

/* ... or by yielding to each other when their slice is over. */
static void yield_to_accomplice(struct aegis_environment *environment, enum aegis_notice notice) {
    if (notice == AEGIS_SLICE_END) {
        (void)aegis_yield(environment, environment == alice ? mallory : alice);
    }
}
Test(aegis_slice, a_slice_that_is_over_is_not_given_away) {
    static const struct aegis_program colludes = {.name = "colludes", .main = spin, .notice = yield_to_accomplice};
    run_accomplices(2 * SIM_S, &colludes, &colludes);
    expect_share(bob, 0.5);
    fixture_check_accounts();
}
