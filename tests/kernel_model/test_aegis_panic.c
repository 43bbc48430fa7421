/* test_aegis_panic.c: an exception in the exokernel ends every environment, with all that it
 * holds; then the machine starts anew, with all of its memory and slices. */
#include "tests/kernel_model/aegis_fixture.h"

enum { LIVES = 3, PAGES = 20 };

static struct ledger *ledger;
static uint64_t frames_at_boot, slices_done[LIVES];
static unsigned life;
static struct sim_event fault, rebooted;
static struct exo_handle old_frame;
static struct aegis_environment *owner;

static void worker(struct aegis_environment *environment) {
    struct error error = {OK, ""};
    uint64_t physical = 0;
    const enum error_code code = aegis_tlb_insert(environment, PAGE_X, &old_frame, true, &error);
    cr_expect_eq(code == OK, life == 0 && environment == owner, "a capability of another, or of an earlier life");
    for (unsigned i = 0; i < PAGES; i++) {
        (void)fixture_frame(environment, &physical);
    }
    for (;;) {
        environment->request = ledger_begin(ledger, system_components.app, LEDGER_SERVICE, sim_now());
        fixture_compute(environment, 10 * SIM_MS);
        ledger_end(environment->request, system_components.app, sim_now());
        environment->request = NULL;
        (void)aegis_user_work(environment, system_components.app);
        slices_done[life]++;
    }
}

static const struct aegis_program program = {
    .name = "worker", .main = worker, .exception = fixture_skip, .notice = fixture_obey};

static void begin_life(void) {
    uint64_t physical = 0;
    struct aegis_environment *environment = fixture_environment("worker", &program, 2);
    (void)fixture_environment("other", &program, 1);
    if (life == 0) {
        old_frame = fixture_frame(environment, &physical);
        owner = environment;
    }
    sim_schedule(&fault, SIM_S);
}

static void on_fault(void *context) {
    (void)context;
    aegis->faulty = true;
}

static void on_rebooted(void *context) {
    (void)context;
    life++;
    aegis_reboot(aegis);
    if (life < LIVES) {
        begin_life();
        aegis_start(aegis);
    }
}

static void on_panic(void *context) {
    (void)context;
    cr_expect_null(aegis->environments);
    cr_expect_null(aegis->current);
    const uint64_t available = frames_available(aegis->kernel->frames);
    cr_expect_eq(available, frames_at_boot, "every frame is free again, but for %lld",
                 (long long)(frames_at_boot - available));
    cr_expect_eq(ledger_live(ledger), 0, "what was under way was abandoned");
    sim_schedule(&rebooted, 10 * SIM_S);
}

Test(aegis_panic, everything_ends_and_starts_anew) {
    const struct ledger_drop *drops = NULL;
    fixture_make();
    aegis_environment_destroy(fixture_environment("first", &program, 1)); /* some tables are made once, and stay */
    frames_at_boot = frames_available(aegis->kernel->frames);
    ledger = ledger_create("test");
    ledger_record(ledger, true);
    aegis->on_panic = on_panic;
    sim_event_init(&fault, SIM_PRIORITY_SOFTWARE, on_fault, NULL);
    sim_event_init(&rebooted, SIM_PRIORITY_SOFTWARE, on_rebooted, NULL);
    begin_life();
    fixture_run(LIVES * 12 * SIM_S);
    cr_expect_eq(aegis->panics, LIVES);
    for (unsigned i = 0; i < LIVES; i++) {
        cr_expect(slices_done[i] >= 95 && slices_done[i] <= 103, "life %u: %llu", i,
                  (unsigned long long)slices_done[i]);
    }
    cr_assert_eq(ledger_drops(ledger, &drops), 1);
    cr_expect_eq(drops[0].count, 2 * LIVES);
    fixture_check_accounts();
}
