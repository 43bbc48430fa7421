/* test_nic_tx_faults.c: what a function may not send, what is malformed, and queues
 * that are reset under way. */
#include "tests/hw/nic_fixture.h"

static const struct flow from_vf0 = {1, FAR, 0x0a000002, 0x0a000001, 7, 1000};

/* ---- the transmit filter ---- */

static unsigned sent_with(const struct nic_filter *filter, const struct flow *flow, uint8_t spoof) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "", "on");
    function_start(&fixture, 1);
    if (filter != NULL) {
        cr_assert_eq(nic_transmit_filter_set(fixture.nic, 1, 3, filter), OK);
    }
    driver_start(&driver, &fixture, 1, 0, 0);
    const uint32_t length_bytes = udp_frame(bytes, flow, 64);
    bytes[11] = (uint8_t)(bytes[11] + spoof);
    tx_post(&driver, bytes, length_bytes);
    tx_ring_doorbell(&driver);
    run_for(100 * SIM_US);
    const unsigned sent = fixture.far_count;
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "transmit_filter_drops"), 1 - sent);
    cr_expect_eq(tx_descriptor(&driver, 0).status_length, NIC_TX_DD, "the ring goes on either way");
    nic_fixture_free(&fixture);
    return sent;
}

static const struct nic_filter service_7 = {
    .protocol = 17, .service_count = 1, .services = {{0x0a000002, 0xffffffff, 7, 7}}};

Test(nic_tx, a_virtual_function_without_filter_sends_nothing) {
    cr_expect_eq(sent_with(NULL, &from_vf0, 0), 0);
}
Test(nic_tx, what_the_filter_names_is_sent) {
    cr_expect_eq(sent_with(&service_7, &from_vf0, 0), 1);
}
Test(nic_tx, a_source_address_of_another_is_not_sent) {
    cr_expect_eq(sent_with(&service_7, &from_vf0, 1), 0);
}

Test(nic_tx, a_source_port_of_another_is_not_sent) {
    struct flow flow = from_vf0;
    flow.source_port = 8;
    cr_expect_eq(sent_with(&service_7, &flow, 0), 0);
}

Test(nic_tx, a_source_ip_of_another_is_not_sent) {
    struct flow flow = from_vf0;
    flow.source_ip++;
    cr_expect_eq(sent_with(&service_7, &flow, 0), 0);
}

Test(nic_tx, a_peer_that_is_not_listed_is_not_sent_to) {
    struct nic_filter filter = service_7;
    filter.peer_count = 1;
    filter.peers[0] = (struct nic_endpoints){0x0a000009, 0xffffffff, 0, 65535};
    cr_expect_eq(sent_with(&filter, &from_vf0, 0), 0);
}

/* ---- what is malformed ---- */

static void goes_on_after(struct nic_tx_descriptor bad, const char *counter, uint64_t faults) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "", "on");
    driver_start_virtual(&fixture, &driver, 1);
    struct request *request = ledger_begin(fixture.ledger, fixture.driver, LEDGER_SERVICE, 0);
    tx_put(&driver, bad);
    pcie_mmio_write_for(fixture.machine->pcie, driver.function->bar_address[0] + driver.tx_base + NIC_QUEUE_TAIL, 4,
                        driver.tx_tail, request, fixture.driver);
    run_for(10 * SIM_US);
    tx_post(&driver, bytes, udp_frame(bytes, &from_vf0, 64));
    tx_ring_doorbell(&driver);
    run_for(100 * SIM_US);
    cr_expect_eq(fixture.far_count, 1);
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", counter), 1);
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "dma_faults"), faults);
    cr_expect_eq(tx_descriptor(&driver, 1).status_length, NIC_TX_DD);
    cr_expect_eq(ledger_live(fixture.ledger), 0, "its request was given up");
    nic_fixture_free(&fixture);
}

enum { WHOLE = NIC_TX_EOP | NIC_TX_RS };

Test(nic_tx, a_descriptor_of_no_bytes_is_dropped) {
    goes_on_after(data_descriptor(region_of(1) + IOVA_OFFSET, 0, WHOLE, 0), "bad_descriptors", 0);
}
Test(nic_tx, a_packet_that_is_too_long_is_dropped) {
    goes_on_after(data_descriptor(region_of(1) + IOVA_OFFSET, 1515, WHOLE, 0), "bad_descriptors", 0);
}
Test(nic_tx, a_packet_without_a_header_is_dropped) {
    goes_on_after(data_descriptor(region_of(1) + IOVA_OFFSET, 13, WHOLE, 0), "bad_descriptors", 0);
}
Test(nic_tx, a_legacy_descriptor_is_dropped) {
    struct nic_tx_descriptor legacy = data_descriptor(region_of(1) + IOVA_OFFSET, 64, WHOLE, 0);
    legacy.command &= ~NIC_TX_DEXT;
    goes_on_after(legacy, "bad_descriptors", 0);
}
Test(nic_tx, data_of_another_function_is_not_read) {
    goes_on_after(data_descriptor(region_of(2) + IOVA_OFFSET, 64, WHOLE, 0), "tx_fault_drops", 1);
}

Test(nic_tx, a_packet_of_too_many_pieces_is_dropped) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "", "on");
    driver_start_virtual(&fixture, &driver, 1);
    for (unsigned i = 0; i < 40; i++) {
        tx_put(&driver, data_descriptor(driver.tx_buffers + driver.offset, 16, 0, 0));
    }
    tx_post(&driver, bytes, udp_frame(bytes, &from_vf0, 64));
    tx_ring_doorbell(&driver);
    run_for(100 * SIM_US);
    cr_expect_eq(fixture.far_count, 1);
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "bad_descriptors"), 1);
    nic_fixture_free(&fixture);
}

Test(nic_tx, a_ring_of_another_function_is_not_read) {
    struct nic_fixture fixture;
    struct driver driver;
    nic_fixture_make(&fixture, "", "on");
    driver_start_virtual(&fixture, &driver, 1);
    driver_poke(&driver, driver.tx_base + NIC_QUEUE_CTL, 0);
    driver_poke(&driver, driver.tx_base + NIC_QUEUE_BAL, (uint32_t)(region_of(2) + IOVA_OFFSET));
    driver_poke(&driver, driver.tx_base + NIC_QUEUE_CTL, NIC_QUEUE_CTL_ENABLE);
    struct request *request = ledger_begin(fixture.ledger, fixture.driver, LEDGER_SERVICE, 0);
    pcie_mmio_write_for(fixture.machine->pcie, driver.function->bar_address[0] + driver.tx_base + NIC_QUEUE_TAIL, 4, 63,
                        request, fixture.driver);
    run_for(100 * SIM_US);
    cr_expect_eq(fixture.far_count, 0);
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "dma_faults"), 2, "63 descriptors in two fetches");
    cr_expect_eq(ledger_live(fixture.ledger), 0);
    nic_fixture_free(&fixture);
}

static void reset_after(sim_time delay) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "", "on");
    driver_start_virtual(&fixture, &driver, 1);
    const uint32_t length_bytes = udp_frame(bytes, &from_vf0, 1000);
    for (unsigned i = 0; i < 20; i++) {
        tx_post(&driver, bytes, length_bytes);
        struct request *request = ledger_begin(fixture.ledger, fixture.driver, LEDGER_SERVICE, 0);
        pcie_mmio_write_for(fixture.machine->pcie, driver.function->bar_address[0] + driver.tx_base + NIC_QUEUE_TAIL, 4,
                            driver.tx_tail, request, fixture.driver);
    }
    run_for(delay);
    nic_function_enable(fixture.nic, 1, false);
    run_for(100 * SIM_US);
    cr_expect_eq(ledger_live(fixture.ledger), fixture.far_count, "the rest was given up");
    function_mac(1, bytes);
    nic_function_enable(fixture.nic, 1, true);
    nic_function_set_mac(fixture.nic, 1, bytes);
    function_open_filter(&fixture, 1);
    driver_start(&driver, &fixture, 1, 0, 0);
    const unsigned before = fixture.far_count;
    tx_post(&driver, bytes, udp_frame(bytes, &from_vf0, 64));
    tx_ring_doorbell(&driver);
    run_for(100 * SIM_US);
    cr_expect_eq(fixture.far_count, before + 1);
    nic_fixture_free(&fixture);
}

Test(nic_tx, a_reset_loses_no_request_on_the_doorbell) {
    reset_after(200 * SIM_NS);
}
Test(nic_tx, a_reset_loses_no_request_in_the_fetch) {
    reset_after(500 * SIM_NS);
}
Test(nic_tx, a_reset_loses_no_request_in_data_dma) {
    reset_after(1300 * SIM_NS);
}
Test(nic_tx, a_reset_loses_no_request_in_the_queue) {
    reset_after(2500 * SIM_NS);
}
Test(nic_tx, a_reset_loses_no_request_on_the_wire) {
    reset_after(6 * SIM_US);
}

/* The queue alone is switched off and on again while packets are under way: they are
 * the old ring's, and leave no trace in the new one. */
Test(nic_tx, a_ring_that_is_set_up_anew_has_nothing_of_the_old_one) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "", "on");
    driver_start_virtual(&fixture, &driver, 1);
    for (unsigned i = 0; i < 20; i++) {
        tx_post(&driver, bytes, udp_frame(bytes, &from_vf0, 1000));
    }
    tx_ring_doorbell(&driver);
    while (nic_counter(&fixture, "nic.vf0", "tx_packets") < 2) {
        run_for(10 * SIM_NS);
    }
    driver_poke(&driver, driver.tx_base + NIC_QUEUE_CTL, 0);
    driver_poke(&driver, driver.tx_base + NIC_QUEUE_CTL, NIC_QUEUE_CTL_ENABLE);
    const uint64_t written = nic_counter(&fixture, "nic.vf0", "dma_writes");
    run_for(100 * SIM_US);
    cr_expect_eq(fixture.far_count, 2);
    cr_expect_eq(driver_peek(&driver, driver.tx_base + NIC_QUEUE_HEAD), 0);
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "dma_writes"), written);
    nic_fixture_free(&fixture);
}
