/* test_linux_load.c: the kernel offered more than it can take, and how it shares a
 * core. */
#include <criterion/criterion.h>

#include "linux_fixture.h"

static struct linux_fixture fixture;
static struct linux_fixture_echo echo = {.port = LINUX_FIXTURE_PORT, .wait = SYSTEM_WAIT_BLOCK};

static void open_with(const char *const settings[]) {
    if (!linux_fixture_open(&fixture, settings)) {
        diagnostics_print(&fixture.diagnostics, stderr);
        cr_assert_fail("the system");
    }
}

/* Replies a second while `per_second` datagrams a second are offered. */
static double goodput(uint64_t per_second, sim_time duration) {
    const uint64_t before = fixture.replies;
    const sim_time interval = SIM_S / per_second;
    linux_fixture_flood(&fixture, interval, duration / interval);
    linux_fixture_run(duration);
    const double result = (double)(fixture.replies - before) * 1e15 / (double)duration;
    linux_fixture_run(20 * SIM_MS); /* empties the queues */
    return result;
}

Test(linux_load, overload_loses_throughput_to_packets_dropped_late) {
    open_with(NULL);
    linux_fixture_thread(&fixture, 0, linux_fixture_echo_main, &echo);
    linux_fixture_run(SIM_MS);
    const double light = goodput(100000, 50 * SIM_MS);
    cr_assert_float_eq(light, 100000, 1000);
    cr_assert_eq(linux_fixture_counter(&fixture, "socket_buffer_drops"), 0);
    const double peak = goodput(240000, 50 * SIM_MS);
    const double over = goodput(450000, 50 * SIM_MS);
    const uint64_t dropped = linux_fixture_counter(&fixture, "socket_buffer_drops");
    const double far_over = goodput(1000000, 50 * SIM_MS);
    cr_assert_gt(peak, 200000);
    cr_assert_lt(over, peak * 0.9, "%f after %f", over, peak);
    cr_assert_lt(far_over, over, "%f after %f", far_over, over);
    cr_assert_gt(dropped, 1000);
    cr_assert_gt(linux_fixture_counter(&fixture, "ksoftirqd_wakeups"), 0);
    /* Beyond what the softirq itself can take, the ring overflows too. */
    const struct ledger_drop *drops = NULL;
    uint64_t at_ring = 0;
    uint64_t at_socket = 0;
    for (size_t i = ledger_drops(fixture.ledger, &drops); i-- > 0;) {
        const bool nic = ledger_component_within(drops[i].owner, ledger_find("nic"));
        at_ring += nic ? drops[i].count : 0;
        at_socket += nic ? 0 : drops[i].count;
    }
    cr_assert_gt(at_ring, 0);
    cr_assert_eq(at_socket, linux_fixture_counter(&fixture, "socket_buffer_drops"));
    cr_assert_eq(ledger_audit(fixture.ledger, sim_now()), 0);
    cr_assert_eq(fixture.sent, fixture.replies + at_ring + at_socket);
    linux_fixture_close(&fixture);
}

/* A round ends with the poll in which the budget is reached. */
Test(linux_load, a_round_keeps_to_its_budget) {
    open_with((const char *const[]){"system.netdev_budget=100", "system.napi_weight=30", NULL});
    linux_fixture_thread(&fixture, 0, linux_fixture_echo_main, &echo);
    linux_fixture_run(SIM_MS);
    (void)goodput(1000000, 20 * SIM_MS);
    const uint64_t packets = linux_fixture_counter(&fixture, "packets_received");
    const uint64_t rounds = linux_fixture_counter(&fixture, "softirq_rounds");
    cr_assert_gt(linux_fixture_counter(&fixture, "time_squeezes"), 50);
    cr_assert_leq(packets, rounds * 120);
    cr_assert_gt(packets, 10000);
    linux_fixture_close(&fixture);
}

/* ---- CFS ---- */

struct hog {
    uint64_t steps;
};

static void hog_main(struct system_thread *thread, void *argument) {
    struct hog *hog = argument;
    for (;;) {
        linux_system_ops.compute(thread, NULL, 100 * SIM_US);
        hog->steps += 1;
    }
}

Test(linux_load, two_threads_share_a_core_evenly) {
    struct hog hogs[2] = {{0}, {0}};
    open_with(NULL);
    linux_fixture_thread(&fixture, 0, hog_main, &hogs[0]);
    linux_fixture_thread(&fixture, 0, hog_main, &hogs[1]);
    linux_fixture_run(SIM_S);
    const uint64_t sum = hogs[0].steps + hogs[1].steps;
    cr_assert_gt(sum, 9900);
    cr_assert_float_eq((double)hogs[0].steps / (double)sum, 0.5, 0.02, "%f", (double)hogs[0].steps / (double)sum);
    cr_assert_gt(linux_fixture_counter(&fixture, "preemptions"), 20);
    cr_assert_float_eq((double)linux_fixture_counter(&fixture, "timer_ticks"), 250, 2);
    linux_fixture_close(&fixture);
}

Test(linux_load, three_threads_share_a_core_evenly) {
    struct hog hogs[3] = {{0}, {0}, {0}};
    open_with(NULL);
    for (unsigned i = 0; i < 3; ++i) {
        linux_fixture_thread(&fixture, 0, hog_main, &hogs[i]);
    }
    linux_fixture_run(3 * SIM_S);
    for (unsigned i = 0; i < 3; ++i) {
        cr_assert_float_eq((double)hogs[i].steps, 10000, 250, "%u: %lu", i, (unsigned long)hogs[i].steps);
    }
    linux_fixture_close(&fixture);
}

/* A thread that slept is placed ahead, and gets the core from one that computes. */
Test(linux_load, a_sleeper_preempts_one_that_computes) {
    struct hog hog = {0};
    open_with(NULL);
    linux_fixture_thread(&fixture, 0, linux_fixture_echo_main, &echo);
    linux_fixture_run(SIM_MS);
    linux_fixture_thread(&fixture, 0, hog_main, &hog);
    linux_fixture_run(50 * SIM_MS);
    for (unsigned i = 0; i < 50; ++i) {
        linux_fixture_send(&fixture);
        linux_fixture_run(SIM_MS);
    }
    cr_assert_eq(fixture.replies, 50);
    cr_assert_lt(linux_fixture_spent(&fixture, "socket_queue", LEDGER_WAITING), 10 * SIM_US);
    linux_fixture_close(&fixture);
}

Test(linux_load, an_idle_machine_has_no_ticks) {
    open_with(NULL);
    linux_fixture_thread(&fixture, 0, linux_fixture_echo_main, &echo);
    linux_fixture_run(SIM_S);
    cr_assert_leq(linux_fixture_counter(&fixture, "timer_ticks"), 1);
    linux_fixture_close(&fixture);
}

/* ---- sending more than the socket's buffer holds ---- */

static void blast_main(struct system_thread *thread, void *argument) {
    uint64_t *sent = argument;
    struct system_socket *socket = NULL;
    struct system_buffer buffer;
    cr_assert_eq(linux_system_ops.socket_open_udp(thread, LINUX_FIXTURE_PORT, &socket), OK);
    cr_assert_eq(linux_system_ops.buffer_create(thread, 2048, &buffer), OK);
    buffer.length_bytes = 1000;
    for (; *sent < 100; *sent += 1) {
        const struct system_endpoint to = {0x0a000002, LINUX_FIXTURE_CLIENT_PORT};
        cr_assert_eq(linux_system_ops.send(thread, socket, &buffer, to), OK);
    }
}

/* Two fit. The others wait for a poll that releases what was sent; the client's
 * datagrams, which nobody wants, cause polls. */
Test(linux_load, a_sender_waits_for_room) {
    uint64_t sent = 0;
    open_with((const char *const[]){"system.send_buffer=4608 B", NULL});
    fixture.port = 9;
    linux_fixture_thread(&fixture, 0, blast_main, &sent);
    linux_fixture_run(50 * SIM_MS); /* nothing comes in: what is sent must report itself */
    cr_assert_eq(sent, 100);
    cr_assert_eq(fixture.replies, 100);
    cr_assert_gt(linux_fixture_counter(&fixture, "send_buffer_waits"), 30);
    linux_fixture_close(&fixture);
}

/* Flows spread over two queues, whose vectors interrupt different cores. */
Test(linux_load, two_queues_interrupt_two_cores) {
    open_with((const char *const[]){"system.queues=2", NULL});
    linux_fixture_thread(&fixture, 0, linux_fixture_echo_main, &echo);
    linux_fixture_run(SIM_MS);
    for (unsigned i = 0; i < 64; ++i) {
        fixture.client_port = (uint16_t)(LINUX_FIXTURE_CLIENT_PORT + i);
        linux_fixture_send(&fixture);
        linux_fixture_run(SIM_MS);
    }
    cr_assert_eq(fixture.replies, 64);
    const uint64_t remote = linux_fixture_counter(&fixture, "rescheduling_interrupts");
    cr_assert(remote > 16 && remote < 48, "%lu of 64", (unsigned long)remote);
    cr_assert_eq(ledger_audit(fixture.ledger, sim_now()), 0);
    linux_fixture_close(&fixture);
}
