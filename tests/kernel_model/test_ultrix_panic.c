/* test_ultrix_panic.c: an exception in kernel mode ends all that ran, and what was under way is
 * accounted for; then the machine runs again. */
#include "tests/kernel_model/ultrix_fixture.h"

enum { HZ = 256, REBOOT_S = 30 };

static struct ledger *ledger;
static uint64_t first_life, second_life;
static uint64_t frames_at_boot;
static unsigned panics;
static struct sim_event rebooted;

static void compute(struct ultrix_process *process) {
    uint64_t *slices = process->state;
    for (;;) {
        struct request *request = ledger_begin(ledger, system_components.app, LEDGER_SERVICE, sim_now());
        ultrix->request = request;
        fixture_compute(process, 10 * SIM_MS);
        ledger_end(request, system_components.app, sim_now());
        ultrix->request = NULL;
        ultrix_work(ultrix, system_components.app);
        (*slices)++;
    }
}

static void idle_away(struct ultrix_process *process) {
    ultrix_sigpause(process);
    cr_assert_fail("nobody sends a signal");
}

static void on_rebooted(void *context) {
    (void)context;
    cr_expect_eq(frames_available(ultrix->frames), frames_at_boot, "memory is as at the first boot");
    ultrix_reboot(ultrix);
    struct ultrix_process *process = fixture_process("again", compute, &second_life);
    cr_expect_eq(process->asid, 1);
    ultrix_start(ultrix, process);
}

static void on_panic(void *context) {
    (void)context;
    panics++;
    cr_expect_null(ultrix->processes);
    cr_expect_eq(ledger_live(ledger), 0, "the request under way was abandoned");
    sim_event_init(&rebooted, SIM_PRIORITY_SOFTWARE, on_rebooted, NULL);
    sim_schedule(&rebooted, REBOOT_S * SIM_S);
}

static void on_fault(void *context) {
    (void)context;
    ultrix->faulty = true;
}

Test(ultrix_panic, the_kernel_takes_all_along_and_the_machine_starts_anew) {
    struct sim_event fault;
    const struct ledger_drop *drops = NULL;
    fixture_make(HZ);
    frames_at_boot = frames_available(ultrix->frames);
    ledger = ledger_create("test");
    ledger_record(ledger, true);
    ultrix->on_panic = on_panic;
    struct ultrix_process *process = fixture_process("first", compute, &first_life);
    (void)fixture_process("sleeps", idle_away, NULL);
    sim_event_init(&fault, SIM_PRIORITY_SOFTWARE, on_fault, NULL);
    sim_schedule(&fault, 2 * SIM_S);
    fixture_run(process, (REBOOT_S + 5) * SIM_S);
    cr_expect_eq(panics, 1);
    cr_expect_eq(ultrix->counters.panics, 1);
    cr_expect(first_life >= 195 && first_life <= 200, "%llu", (unsigned long long)first_life);
    cr_expect(second_life >= 290 && second_life <= 300, "%llu", (unsigned long long)second_life);
    cr_assert_eq(ledger_drops(ledger, &drops), 1);
    cr_expect_str_eq(drops[0].reason, "panic");
    cr_expect_eq(drops[0].count, 1);
}
