/* UDP echo on each library OS, from the wire and back, with real bytes. */
#include "tests/libos_model/libos_fixture.h"

/* Every reply carries the payload and goes back to where the request came from, with
 * checksums that hold. */
static void check_replies(uint32_t count, uint16_t payload_bytes) {
    for (uint32_t i = 0; i < count; i++) {
        struct net_udp udp;
        uint32_t offset = 0;
        const uint8_t *bytes = fixture_client.bytes[i];
        cr_assert_eq(net_udp_parse(bytes, fixture_client.length_bytes[i], true, &udp, &offset), NET_OK, "reply %u", i);
        cr_assert_eq(udp.source_ip, FIXTURE_IP);
        cr_assert_eq(udp.destination_ip, FIXTURE_IP_CLIENT);
        cr_assert_eq(udp.source_port, 7);
        cr_assert_eq(udp.destination_port, 1234);
        cr_assert_eq(udp.payload_bytes, payload_bytes);
        cr_assert_arr_eq(udp.source_mac, FIXTURE_MAC_A, 6);
        cr_assert_arr_eq(udp.destination_mac, FIXTURE_MAC_CLIENT, 6);
        for (uint32_t at = 0; at < payload_bytes; at++) {
            cr_assert_eq(bytes[offset + at], (uint8_t)i, "reply %u, byte %u", i, at);
        }
    }
}

static void echo_on(const struct system_ops *ops, enum system_wait how, const char *more, uint16_t payload_bytes,
                    const char *iommu, const char *filtering) {
    fixture_machine_make(iommu, filtering);
    echo.how = how;
    echo.payload_bytes = payload_bytes;
    echo_prepare(ops, more, 100, 1);
    ledger_record(echo.ledger, true);
    sim_run(5 * SIM_MS);
    cr_assert_eq(echo.failed, OK, "%s: %s", ops->type_name, error_code_text(echo.failed));
    cr_assert_eq(echo.replies, 100U, "%s: %u replies", ops->type_name, echo.replies);
    check_replies(100, payload_bytes);
    cr_assert_eq(ledger_completed(echo.ledger), 100U);
    cr_assert_eq(ledger_audit(echo.ledger, sim_now()), 0U);
    cr_assert_eq(fixture_nic_counter("transmit_filter_drops"), 0U);
    cr_assert_eq(libos_counter("exokernel", "iommu_faults"), 0U);
    cr_assert_eq(libos_counter("exokernel", "page_faults"), 0U);
}

Test(libos_echo, posix_polls) {
    echo_on(&arrakis_posix_ops, SYSTEM_WAIT_SPIN, "", 1024, "on", "mac");
}
Test(libos_echo, native_polls) {
    echo_on(&arrakis_native_ops, SYSTEM_WAIT_SPIN, "", 1024, "on", "mac");
}
Test(libos_echo, driver_polls) {
    echo_on(&libos_driver_ops, SYSTEM_WAIT_SPIN, "", 1024, "on", "mac");
}
Test(libos_echo, header_filters_serve_as_well) {
    echo_on(&arrakis_posix_ops, SYSTEM_WAIT_SPIN, "", 64, "on", "header");
}
Test(libos_echo, it_works_without_iommu) {
    echo_on(&arrakis_native_ops, SYSTEM_WAIT_SPIN, "", 64, "off", "mac");
}
Test(libos_echo, it_works_with_pass_through) {
    echo_on(&arrakis_posix_ops, SYSTEM_WAIT_SPIN, "", 64, "pass_through", "mac");
}
Test(libos_echo, it_works_with_software_checksums) {
    echo_on(&arrakis_posix_ops, SYSTEM_WAIT_SPIN, "checksum_offload: false", 64, "on", "mac");
}
Test(libos_echo, posix_sleeps_and_is_woken) {
    echo_on(&arrakis_posix_ops, SYSTEM_WAIT_BLOCK, "", 64, "on", "mac");
    cr_assert_geq(libos_counter("libos.echo.core0", "sleeps"), 99U);
}
Test(libos_echo, native_sleeps_and_is_woken) {
    echo_on(&arrakis_native_ops, SYSTEM_WAIT_BLOCK, "idle: poll", 64, "on", "mac");
}
Test(libos_echo, driver_sleeps_and_is_woken) {
    echo_on(&libos_driver_ops, SYSTEM_WAIT_BLOCK, "", 64, "on", "mac");
}

/* Rings wrap many times, all buffers come back, whatever the batch. */
static void saturate(const struct system_ops *ops, const char *more) {
    fixture_machine_make("on", "mac");
    echo.how = SYSTEM_WAIT_SPIN;
    echo_prepare(ops, more, 5000, 40);
    sim_run(50 * SIM_MS);
    cr_assert_eq(echo.replies, 5000U, "%s: %u replies", ops->type_name, echo.replies);
    const struct libos_thread *thread = libos_thread_of(echo.thread);
    const struct vf_driver *driver = &thread->driver;
    const uint32_t ring = driver->config.ring;
    const uint32_t posted = (driver->rx_tail + ring - driver->rx_head) % ring;
    const uint32_t flying = (driver->tx_tail + ring - driver->tx_head) % ring;
    const uint32_t held = ops == &arrakis_posix_ops ? 0 : 1; /* the application's own */
    cr_assert_leq(driver->free_count + posted + flying, driver->config.buffers);
    cr_assert_geq(driver->free_count + posted + flying + held + 1, driver->config.buffers, "a buffer is lost");
    cr_assert_eq(libos_counter("libos.echo.core0", "datagrams_received"), 5000U);
    cr_assert_eq(libos_counter("libos.echo.core0", "datagrams_sent"), 5000U);
}

Test(libos_echo, posix_keeps_all_buffers) {
    saturate(&arrakis_posix_ops, "ring: 64\nbuffers: 128");
}
Test(libos_echo, native_keeps_all_buffers) {
    saturate(&arrakis_native_ops, "ring: 64\nbuffers: 128\nrefill_batch: 16");
}
Test(libos_echo, driver_keeps_all_buffers) {
    saturate(&libos_driver_ops, "ring: 128\nbuffers: 256\nrefill_batch: 64");
}

Test(libos_echo, a_packet_for_no_socket_is_dropped_by_the_library) {
    fixture_machine_make("on", "mac");
    echo.how = SYSTEM_WAIT_SPIN;
    echo_prepare(&arrakis_posix_ops, "", 10, 1);
    sim_run(40 * SIM_US);
    struct ledger *lost = ledger_create("lost");
    struct request *request = ledger_begin(lost, fixture_client_component, LEDGER_SERVICE, sim_now());
    fixture_client_send(FIXTURE_MAC_A, 1234, 99, 64, 1, request);
    sim_run(5 * SIM_MS);
    cr_assert_eq(echo.replies, 10U);
    cr_assert_eq(libos_counter("libos.echo.core0", "drops_no_socket"), 1U);
    const struct ledger_drop *drops = NULL;
    cr_assert_eq(ledger_drops(lost, &drops), 1U);
    cr_assert_eq(drops[0].owner, ledger_find("net_stack_in"));
    cr_assert_eq(ledger_audit(lost, sim_now()), 0U);
}

/* 40 outstanding saturate the queue: the rate specifier alone says how fast. */
Test(libos_echo, a_rate_limit_holds_for_the_whole_system) {
    fixture_machine_make("on", "mac");
    echo.how = SYSTEM_WAIT_SPIN;
    echo.payload_bytes = 1000;
    echo_prepare(&arrakis_native_ops, "rate_limit: 500 Mbps", 100000, 40);
    sim_run(2 * SIM_MS);
    const uint32_t before = echo.replies;
    sim_run(22 * SIM_MS);
    const double expected = 0.020 * 500e6 / 8 / (1042 + 24);
    cr_assert_float_eq(echo.replies - before, expected, 0.02 * expected, "%u replies", echo.replies - before);
}
