/* test_linux_echo.c: a datagram's way through the kernel and back: bytes, ledger,
 * idle states, wake-ups. */
#include <criterion/criterion.h>
#include <string.h>

#include "linux_fixture.h"

static struct linux_fixture fixture;
static struct linux_fixture_echo echo = {.port = LINUX_FIXTURE_PORT, .wait = SYSTEM_WAIT_BLOCK};

enum { CYCLE_FS = 454546 }; /* of 2.2 GHz, rounded up */

static void open_with(const char *const settings[]) {
    if (!linux_fixture_open(&fixture, settings)) {
        diagnostics_print(&fixture.diagnostics, stderr);
        cr_assert_fail("the system");
    }
}

/* Everything that began has ended, and what the components had sums to the whole. */
static void check_ledger(uint64_t completed) {
    cr_assert_eq(ledger_audit(fixture.ledger, sim_now()), 0);
    cr_assert_eq(ledger_completed(fixture.ledger), completed);
    double sum = 0;
    for (size_t i = 1; i <= ledger_component_count(); ++i) {
        const ledger_component component = (ledger_component)i;
        if (ledger_component_parent(component) == 0) {
            sum += histogram_mean(ledger_spent(fixture.ledger, component, LEDGER_KINDS));
        }
    }
    cr_assert_float_eq(sum, histogram_mean(ledger_latency(fixture.ledger)), 1000);
}

static void send_spaced(unsigned count, sim_time gap) {
    for (unsigned i = 0; i < count; ++i) {
        linux_fixture_send(&fixture);
        linux_fixture_run(gap);
    }
}

static void check_reply(uint64_t number) {
    const struct system_address server = linux_system_ops.address(fixture.system);
    cr_assert_eq(fixture.bad_replies, 0);
    cr_assert_eq(fixture.reply.source_ip, server.ip);
    cr_assert_eq(memcmp(fixture.reply.source_mac, server.mac, 6), 0);
    cr_assert_eq(fixture.reply.source_port, LINUX_FIXTURE_PORT);
    cr_assert_eq(fixture.reply.destination_port, LINUX_FIXTURE_CLIENT_PORT);
    cr_assert_eq(fixture.reply.payload_bytes, fixture.payload_bytes);
    for (uint32_t i = 0; i < fixture.payload_bytes; ++i) {
        cr_assert_eq(fixture.reply_payload[i], linux_fixture_byte(number, i), "byte %u", i);
    }
}

Test(linux_echo, comes_back_with_its_bytes) {
    open_with(NULL);
    linux_fixture_thread(&fixture, 0, linux_fixture_echo_main, &echo);
    linux_fixture_run(SIM_MS);
    send_spaced(1, SIM_MS);
    cr_assert_eq(fixture.replies, 1);
    check_reply(1);
    fixture.payload_bytes = 1; /* padded on the wire */
    send_spaced(1, SIM_MS);
    check_reply(2);
    fixture.payload_bytes = 1472;
    send_spaced(1, SIM_MS);
    check_reply(3);
    cr_assert_eq(iommu_fault_count(fixture.machine->iommu), 0);
    check_ledger(3);
    linux_fixture_close(&fixture);
}

Test(linux_echo, many_come_back_in_order) {
    open_with(NULL);
    linux_fixture_thread(&fixture, 0, linux_fixture_echo_main, &echo);
    linux_fixture_run(SIM_MS);
    for (unsigned i = 0; i < 2000; ++i) { /* around both rings several times */
        linux_fixture_send(&fixture);
        linux_fixture_run(20 * SIM_US);
    }
    linux_fixture_run(SIM_MS);
    cr_assert_eq(fixture.replies, 2000);
    check_reply(2000);
    check_ledger(2000);
    linux_fixture_close(&fixture);
}

Test(linux_echo, pays_for_leaving_the_idle_state_exactly) {
    open_with(NULL);
    linux_fixture_thread(&fixture, 0, linux_fixture_echo_main, &echo);
    linux_fixture_run(SIM_MS);
    send_spaced(50, SIM_MS);
    check_ledger(50);
    const struct histogram *exits = ledger_spent(fixture.ledger, ledger_find("idle_exit"), LEDGER_KINDS);
    cr_assert_geq(exits->minimum, 2 * SIM_US);
    cr_assert_leq(exits->maximum, 2 * SIM_US + CYCLE_FS);
    cr_assert_gt(linux_fixture_spent(&fixture, "context_switch", LEDGER_SERVICE), 0);
    linux_fixture_close(&fixture);
}

Test(linux_echo, polls_when_no_idle_state_is_quick_enough) {
    open_with((const char *const[]){"system.idle_latency_limit=1 us", NULL});
    linux_fixture_thread(&fixture, 0, linux_fixture_echo_main, &echo);
    linux_fixture_run(SIM_MS);
    send_spaced(50, SIM_MS);
    check_ledger(50);
    cr_assert_eq(ledger_spent(fixture.ledger, ledger_find("idle_exit"), LEDGER_KINDS)->maximum, 0);
    linux_fixture_close(&fixture);
}

Test(linux_echo, takes_deeper_states_when_allowed) {
    open_with((const char *const[]){"system.idle_latency_limit=200 us", NULL});
    linux_fixture_thread(&fixture, 0, linux_fixture_echo_main, &echo);
    linux_fixture_run(SIM_MS);
    send_spaced(20, SIM_MS);
    const struct histogram *exits = ledger_spent(fixture.ledger, ledger_find("idle_exit"), LEDGER_KINDS);
    cr_assert_geq(exits->minimum, 104 * SIM_US);
    check_ledger(20);
    linux_fixture_close(&fixture);
}

/* A receiver that is running neither sleeps nor switches, and its lines are warm:
 * the same cost table gives the shorter rows. */
Test(linux_echo, a_running_receiver_is_faster) {
    open_with((const char *const[]){"system.profile.variation.value=0", NULL});
    struct linux_fixture_echo spinning = {.port = LINUX_FIXTURE_PORT, .wait = SYSTEM_WAIT_SPIN};
    linux_fixture_thread(&fixture, 0, linux_fixture_echo_main, &spinning);
    linux_fixture_run(SIM_MS);
    send_spaced(100, 100 * SIM_US);
    check_ledger(100);
    cr_assert_eq(ledger_spent(fixture.ledger, ledger_find("idle_exit"), LEDGER_KINDS)->maximum, 0);
    cr_assert_eq(ledger_spent(fixture.ledger, ledger_find("context_switch"), LEDGER_KINDS)->maximum, 0);
    const double out = linux_fixture_spent(&fixture, "net_stack_out", LEDGER_SERVICE);
    const double back = linux_fixture_spent(&fixture, "crossing_return", LEDGER_SERVICE);
    /* Published: 1.05 us and 0.10 us, against 1.42 us and 0.20 us when idle. */
    cr_assert_float_eq(out, 1.05 * SIM_US, 0.15 * SIM_US, "%f us", out / SIM_US);
    cr_assert_float_eq(back, 0.10 * SIM_US, 0.03 * SIM_US, "%f us", back / SIM_US);
    linux_fixture_close(&fixture);
}

Test(linux_echo, an_idle_receiver_finds_its_lines_displaced) {
    open_with((const char *const[]){"system.profile.variation.value=0", NULL});
    linux_fixture_thread(&fixture, 0, linux_fixture_echo_main, &echo);
    linux_fixture_run(SIM_MS);
    send_spaced(100, 100 * SIM_US);
    check_ledger(100);
    const double out = linux_fixture_spent(&fixture, "net_stack_out", LEDGER_SERVICE);
    const double back = linux_fixture_spent(&fixture, "crossing_return", LEDGER_SERVICE);
    cr_assert_float_eq(out, 1.42 * SIM_US, 0.15 * SIM_US, "%f us", out / SIM_US);
    cr_assert_float_eq(back, 0.20 * SIM_US, 0.03 * SIM_US, "%f us", back / SIM_US);
    linux_fixture_close(&fixture);
}

Test(linux_echo, wakes_a_thread_on_another_core) {
    open_with((const char *const[]){"system.interrupt_core=1", NULL});
    linux_fixture_thread(&fixture, 0, linux_fixture_echo_main, &echo);
    linux_fixture_run(SIM_MS);
    send_spaced(20, SIM_MS);
    cr_assert_eq(fixture.replies, 20);
    cr_assert_geq(linux_fixture_counter(&fixture, "rescheduling_interrupts"), 20);
    /* The inter-processor interrupt and its core's idle exit are the queue's wait. */
    cr_assert_gt(linux_fixture_spent(&fixture, "socket_queue", LEDGER_WAITING), 3 * SIM_US);
    check_ledger(20);
    linux_fixture_close(&fixture);
}

Test(linux_echo, waits_with_epoll) {
    open_with((const char *const[]){"system.wait_with=epoll", NULL});
    linux_fixture_thread(&fixture, 0, linux_fixture_echo_main, &echo);
    linux_fixture_run(SIM_MS);
    send_spaced(20, SIM_MS);
    cr_assert_eq(fixture.replies, 20);
    cr_assert_gt(linux_fixture_spent(&fixture, "epoll", LEDGER_SERVICE), 300 * SIM_NS);
    check_ledger(20);
    linux_fixture_close(&fixture);
}

Test(linux_echo, the_variation_is_the_requests_own) {
    open_with(NULL);
    linux_fixture_thread(&fixture, 0, linux_fixture_echo_main, &echo);
    linux_fixture_run(SIM_MS);
    send_spaced(1000, 100 * SIM_US);
    const struct histogram *out = ledger_spent(fixture.ledger, ledger_find("net_stack_out"), LEDGER_SERVICE);
    const double share = histogram_stddev(out) / histogram_mean(out);
    cr_assert(share > 0.1 && share < 0.25, "%f", share);
    linux_fixture_close(&fixture);
}
