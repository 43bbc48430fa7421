/* test_linux_config.c: what an entry of type "linux" may say, what is refused, and
 * what sockets refuse. */
#include <criterion/criterion.h>
#include <string.h>

#include "linux_fixture.h"

static struct linux_fixture fixture;

static void check_refused(const char *setting, const char *words) {
    cr_assert_not(linux_fixture_open(&fixture, (const char *const[]){setting, NULL}));
    cr_assert_eq(fixture.diagnostics.count, 1);
    cr_assert_not_null(strstr(fixture.diagnostics.items[0].text, words), "%s", fixture.diagnostics.items[0].text);
}

Test(linux_config, refuses_a_device_that_is_not_there) {
    check_refused("system.nic=eth0", "no nic/sriov");
}
Test(linux_config, refuses_a_core_that_is_not_there) {
    check_refused("system.interrupt_core=5", "2 cores");
}
Test(linux_config, refuses_a_bad_mac) {
    check_refused("system.mac=\"02:00:00:00:01\"", "MAC address");
}
Test(linux_config, refuses_a_group_mac) {
    check_refused("system.mac=\"03:00:00:00:00:01\"", "of a station");
}
Test(linux_config, refuses_a_bad_ip) {
    check_refused("system.ip=10.0.0.256", "IPv4 address");
}
Test(linux_config, refuses_an_unknown_key) {
    check_refused("system.napi_wait=3", "napi_weight");
}

static void bind_main(struct system_thread *thread, void *argument) {
    enum error_code *codes = argument;
    struct system_socket *socket = NULL;
    struct system_buffer buffer;
    codes[0] = linux_system_ops.socket_open_udp(thread, 7, &socket);
    struct system_socket *again = NULL;
    codes[1] = linux_system_ops.socket_open_udp(thread, 7, &again);
    codes[2] = linux_system_ops.buffer_create(thread, 4000, &buffer);
    codes[3] = linux_system_ops.receive(thread, socket, &buffer);
    buffer.length_bytes = 1473;
    codes[4] = linux_system_ops.send(thread, socket, &buffer, (struct system_endpoint){0x0a000002, 9});
}

Test(linux_config, sockets_refuse_what_they_must) {
    enum error_code codes[5];
    cr_assert(linux_fixture_open(&fixture, NULL));
    linux_fixture_thread(&fixture, 0, bind_main, codes);
    linux_fixture_run(SIM_MS);
    cr_assert_eq(codes[0], OK);
    cr_assert_eq(codes[1], ERR_EXISTS);
    cr_assert_eq(codes[2], OK);
    cr_assert_eq(codes[3], ERR_AGAIN);
    cr_assert_eq(codes[4], ERR_RANGE);
    linux_fixture_close(&fixture);
}

Test(linux_config, counts_what_nobody_listens_to) {
    cr_assert(linux_fixture_open(&fixture, NULL));
    fixture.port = 9;
    linux_fixture_send(&fixture);
    linux_fixture_run(SIM_MS);
    cr_assert_eq(linux_fixture_counter(&fixture, "no_socket_drops"), 1);
    cr_assert_eq(ledger_audit(fixture.ledger, sim_now()), 0);
    linux_fixture_close(&fixture);
}

static void count_unused(void *context, const char *key, const struct cost *cost) {
    unsigned *unused = context;
    *unused += cost->uses == 0 ? 1 : 0;
    if (cost->uses == 0) {
        /* Only other waits, another core, or a NIC without offload need these. */
        cr_assert(strcmp(key, "epoll_wait") == 0 || strcmp(key, "recv_empty") == 0 ||
                      strcmp(key, "resched_handler") == 0 || strcmp(key, "stack.checksum_per_kib") == 0 ||
                      strcmp(key, "timer_tick") == 0,
                  "%s was never charged", key);
    }
}

Test(linux_config, every_cost_of_the_path_is_charged) {
    static struct linux_fixture_echo echo = {.port = LINUX_FIXTURE_PORT, .wait = SYSTEM_WAIT_BLOCK};
    unsigned unused = 0;
    cr_assert(linux_fixture_open(&fixture, NULL));
    linux_fixture_thread(&fixture, 0, linux_fixture_echo_main, &echo);
    linux_fixture_run(SIM_MS);
    linux_fixture_send(&fixture);
    linux_fixture_run(SIM_MS);
    linux_fixture_send(&fixture);
    linux_fixture_run(SIM_MS);
    linux_system_ops.visit_costs(fixture.system, count_unused, &unused);
    cr_assert_leq(unused, 5);
    linux_fixture_close(&fixture);
}

Test(linux_config, counters_start_anew_after_the_warm_up) {
    static struct linux_fixture_echo echo = {.port = LINUX_FIXTURE_PORT, .wait = SYSTEM_WAIT_BLOCK};
    cr_assert(linux_fixture_open(&fixture, NULL));
    linux_fixture_thread(&fixture, 0, linux_fixture_echo_main, &echo);
    linux_fixture_run(SIM_MS);
    linux_fixture_send(&fixture);
    linux_fixture_run(SIM_MS);
    cr_assert_eq(linux_fixture_counter(&fixture, "packets_received"), 1);
    linux_system_ops.reset_stats(fixture.system);
    cr_assert_eq(linux_fixture_counter(&fixture, "packets_received"), 0);
    linux_fixture_close(&fixture);
}
