/* test_nic_tx_sharing.c: rate limiters, scheduling among queues, the transmit buffer. */
#include <stdio.h>

#include "tests/hw/nic_fixture.h"

static const struct flow from_vf0 = {1, FAR, 0x0a000002, 0x0a000001, 7, 1000};

/* ---- rates, weights, room ---- */

static void set_rate(struct driver *physical, uint32_t queue, uint32_t factor) {
    driver_poke(physical, NIC_RATE_SELECT, queue);
    driver_poke(physical, NIC_RATE_FACTOR, factor);
}

/* 10 Gb/s / 12.5 = 0.8 Gb/s of wire time: exactly so, packet by packet. */
Test(nic_tx, a_limited_queue_keeps_its_rate_exactly) {
    struct nic_fixture fixture;
    struct driver physical, driver;
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "", "off");
    function_start(&fixture, 0);
    driver_start_virtual(&fixture, &driver, 1);
    driver_start(&physical, &fixture, 0, 2, 0);
    set_rate(&physical, 0, NIC_RATE_ENABLE | 25 << (NIC_RATE_FRACTION_BITS - 1));
    struct request *requests[10];
    for (unsigned i = 0; i < 10; i++) {
        requests[i] = ledger_begin(fixture.ledger, fixture.driver, LEDGER_WAITING, 0);
        memory_board(fixture.machine->memory, driver.tx_buffers + driver.tx_tail * BUFFER_BYTES, requests[i]);
        tx_post(&driver, bytes, udp_frame(bytes, &from_vf0, 958));
    }
    tx_ring_doorbell(&driver);
    run_for(1 * SIM_MS);
    cr_assert_eq(fixture.far_count, 10);
    const sim_time spacing = (1000 + 24) * 800 * SIM_PS * 25 / 2;
    for (unsigned i = 1; i < 10; i++) {
        cr_expect_eq(fixture.far_frames[i].when - fixture.far_frames[i - 1].when, spacing);
        cr_expect_eq(requests[i]->spent[ledger_find("nic_tx_limit")][LEDGER_WAITING], spacing);
    }
    cr_expect_eq(requests[0]->spent[ledger_find("nic_tx_limit")][LEDGER_WAITING], 0);
    nic_fixture_free(&fixture);
}

Test(nic_tx, a_limited_queue_does_not_hold_up_another) {
    struct nic_fixture fixture;
    struct driver physical, drivers[2];
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "", "off");
    function_start(&fixture, 0);
    driver_start_virtual(&fixture, &drivers[0], 1);
    driver_start_virtual(&fixture, &drivers[1], 2);
    driver_start(&physical, &fixture, 0, 4, 0);
    set_rate(&physical, 0, NIC_RATE_ENABLE | 1000 << NIC_RATE_FRACTION_BITS);
    struct flow flow = from_vf0;
    for (unsigned i = 0; i < 20; i++) {
        flow.from_function = 1;
        tx_post(&drivers[0], bytes, udp_frame(bytes, &flow, 958));
        flow.from_function = 2;
        tx_post(&drivers[1], bytes, udp_frame(bytes, &flow, 958));
    }
    tx_ring_doorbell(&drivers[0]);
    tx_ring_doorbell(&drivers[1]);
    run_for(100 * SIM_US);
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "tx_packets"), 1);
    cr_expect_eq(nic_counter(&fixture, "nic.vf1", "tx_packets"), 20);
    nic_fixture_free(&fixture);
}

/* Two queues with a backlog each: how many of 40 packets each gets. */
static void share(const char *settings, uint32_t credits, unsigned *first, unsigned *second) {
    struct nic_fixture fixture;
    struct driver physical, drivers[2];
    uint8_t bytes[1600];
    char text[128];
    (void)snprintf(text, sizeof text, "transmit_buffer: 4 KiB, %s", settings);
    nic_fixture_make(&fixture, text, "off");
    function_start(&fixture, 0);
    driver_start_virtual(&fixture, &drivers[0], 1);
    driver_start_virtual(&fixture, &drivers[1], 2);
    driver_start(&physical, &fixture, 0, 4, 0);
    driver_poke(&physical, NIC_RATE_SELECT, 0);
    driver_poke(&physical, NIC_CREDIT, credits);
    struct flow flow = from_vf0;
    for (unsigned i = 0; i < 60; i++) {
        flow.from_function = 1;
        tx_post(&drivers[0], bytes, udp_frame(bytes, &flow, 768 - 42));
        flow.from_function = 2;
        tx_post(&drivers[1], bytes, udp_frame(bytes, &flow, 768 - 42));
    }
    tx_ring_doorbell(&drivers[0]);
    tx_ring_doorbell(&drivers[1]);
    while (fixture.far_count < 50) {
        run_for(100 * SIM_NS);
    }
    *first = *second = 0;
    for (unsigned i = 10; i < 50; i++) { /* the first packets find an idle card */
        *(fixture.far_frames[i].bytes[11] == 1 ? first : second) += 1;
    }
    nic_fixture_free(&fixture);
}

Test(nic_tx, round_robin_is_packet_by_packet) {
    unsigned first, second;
    share("scheduler: round_robin", 72, &first, &second);
    cr_expect_eq(first, 20);
    cr_expect_eq(second, 20);
}

Test(nic_tx, weights_share_the_line) {
    unsigned first, second;
    share("scheduler: weighted", 72, &first, &second); /* a round is six packets and two */
    cr_expect_eq(first, 30);
    cr_expect_eq(second, 10);
}

/* The card reads no more data than its transmit buffer holds: the rest waits in
 * memory, where scheduling can still reach it. */
Test(nic_tx, the_transmit_buffer_is_finite) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "transmit_buffer: 4 KiB, tx_pipeline: 0 ns", "off");
    driver_start_virtual(&fixture, &driver, 1);
    for (unsigned i = 0; i < 30; i++) {
        tx_post(&driver, bytes, udp_frame(bytes, &from_vf0, 958));
    }
    tx_ring_doorbell(&driver);
    for (unsigned i = 0; i < 300; i++) {
        run_for(100 * SIM_NS);
        const uint64_t reads = nic_counter(&fixture, "nic.vf0", "dma_read_bytes");
        const uint64_t read = reads > 30 * 16 ? reads - 30 * 16 : 0;
        cr_expect_leq(read, (fixture.far_count + 1) * 1000 + 4096);
    }
    cr_expect_eq(fixture.far_count, 30);
    for (unsigned i = 6; i < 30; i++) {
        cr_expect_leq(fixture.far_frames[i].when - fixture.far_frames[i - 1].when, 2 * 1024 * 800 * SIM_PS);
    }
    nic_fixture_free(&fixture);
}

Test(nic_tx, without_a_link_packets_are_dropped_and_counted) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "", "off");
    driver_start_virtual(&fixture, &driver, 1);
    fixture.nic->ops->network_port(fixture.nic, 0)->link = NULL;
    tx_post(&driver, bytes, udp_frame(bytes, &from_vf0, 64));
    tx_ring_doorbell(&driver);
    run_for(100 * SIM_US);
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "tx_no_link_drops"), 1);
    cr_expect_eq(tx_descriptor(&driver, 0).status_length, NIC_TX_DD);
    nic_fixture_free(&fixture);
}
