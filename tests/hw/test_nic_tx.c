/* test_nic_tx.c: out of memory onto the wire: exact times, contents, the ledger,
 * scheduling, limits, what is malformed. */
#include <stdio.h>

#include "tests/hw/nic_fixture.h"

static const struct flow from_pf = {0, FAR, 0x0a000002, 0x0a000001, 7, 1000};
static const struct flow from_vf0 = {1, FAR, 0x0a000002, 0x0a000001, 7, 1000};

static sim_time serialize(const struct driver *driver, uint64_t bytes) {
    return pcie_serialize(driver->function->link, bytes);
}

static void open_filter(struct nic_fixture *fixture, uint32_t function) {
    const struct nic_filter all = {0};
    cr_assert_eq(nic_transmit_filter_set(fixture->nic, function, 0, &all), OK);
}

static void start_virtual(struct nic_fixture *fixture, struct driver *driver, uint32_t function) {
    function_start(fixture, function);
    open_filter(fixture, function);
    driver_start(driver, fixture, function, 0, 0);
}

/* ---- time ---- */

Test(nic_tx, unloaded_time_is_the_sum_of_its_stages) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "", "off");
    function_start(&fixture, 0);
    driver_start(&driver, &fixture, 0, 0, 0);
    const uint32_t length_bytes = udp_frame(bytes, &from_pf, 64);
    tx_post(&driver, bytes, length_bytes);
    tx_ring_doorbell(&driver);
    run_for(100 * SIM_US);
    const sim_time doorbell = 300 * SIM_NS + serialize(&driver, 24 + 4);
    const sim_time fetch = serialize(&driver, 24) + 406 * SIM_NS + serialize(&driver, 20 + 16);
    const sim_time data = serialize(&driver, 24) + 406 * SIM_NS + serialize(&driver, 20 + length_bytes);
    const sim_time wire = (8 + length_bytes + 4) * 800 * SIM_PS;
    cr_assert_eq(fixture.far_count, 1);
    cr_expect_eq(fixture.far_frames[0].when, doorbell + fetch + data + 400 * SIM_NS + wire);
    cr_expect_eq(fixture.far_frames[0].length_bytes, length_bytes);
    cr_expect_arr_eq(fixture.far_frames[0].bytes, bytes, length_bytes);
    cr_expect_eq(tx_descriptor(&driver, 0).status_length, NIC_TX_DD);
    cr_expect_eq(driver_peek(&driver, driver.tx_base + NIC_QUEUE_HEAD), 1);
    nic_fixture_free(&fixture);
}

/* The request rides on the doorbell; each stage is in the ledger, and they tile. */
Test(nic_tx, a_request_on_the_doorbell_is_accounted_stage_by_stage) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "", "off");
    start_virtual(&fixture, &driver, 1);
    const uint32_t length_bytes = udp_frame(bytes, &from_vf0, 64);
    tx_post(&driver, bytes, length_bytes);
    struct request *request = ledger_begin(fixture.ledger, fixture.driver, LEDGER_SERVICE, 0);
    pcie_mmio_write_for(fixture.machine->pcie, driver.function->bar_address[0] + driver.tx_base + NIC_QUEUE_TAIL, 4,
                        driver.tx_tail, request, fixture.driver);
    run_for(100 * SIM_US);
    cr_assert_eq(fixture.far_frames[0].request, request);
    cr_expect_eq(request->spent[ledger_find("doorbell")][LEDGER_SERVICE], 300 * SIM_NS + serialize(&driver, 24 + 4));
    cr_expect_eq(request->spent[ledger_find("dma_read")][LEDGER_SERVICE],
                 2 * serialize(&driver, 24) + 2 * 406 * SIM_NS + serialize(&driver, 20 + 16) +
                     serialize(&driver, 20 + length_bytes));
    cr_expect_eq(request->spent[ledger_find("nic_tx")][LEDGER_SERVICE], 400 * SIM_NS);
    cr_expect_eq(request->spent[ledger_find("nic_tx_queue")][LEDGER_WAITING], 0);
    cr_expect_eq(request->spent[ledger_find("wire")][LEDGER_SERVICE], (8 + length_bytes + 4) * 800 * SIM_PS);
    ledger_end(request, fixture.client, fixture.far_frames[0].when);
    nic_fixture_free(&fixture);
}

/* A batch behind one doorbell: software has boarded each packet's request at its
 * buffer. The card takes them as the descriptors come. */
Test(nic_tx, requests_of_a_batch_are_taken_from_their_buffers) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t bytes[1600];
    struct request *requests[3];
    nic_fixture_make(&fixture, "", "on");
    start_virtual(&fixture, &driver, 1);
    const uint32_t length_bytes = udp_frame(bytes, &from_vf0, 64);
    for (unsigned i = 0; i < 3; i++) {
        requests[i] = ledger_begin(fixture.ledger, fixture.driver, LEDGER_WAITING, 0);
        memory_board(fixture.machine->memory, driver.tx_buffers + driver.tx_tail * BUFFER_BYTES, requests[i]);
        tx_post(&driver, bytes, length_bytes);
    }
    pcie_mmio_write_for(fixture.machine->pcie, driver.function->bar_address[0] + driver.tx_base + NIC_QUEUE_TAIL, 4,
                        driver.tx_tail, requests[2], fixture.driver);
    run_for(100 * SIM_US);
    cr_assert_eq(fixture.far_count, 3);
    for (unsigned i = 0; i < 3; i++) {
        cr_expect_eq(fixture.far_frames[i].request, requests[i]);
        cr_expect(memory_alight(fixture.machine->memory, driver.tx_buffers + i * BUFFER_BYTES) == NULL);
        cr_expect_gt(requests[i]->spent[ledger_find("dma_read")][LEDGER_SERVICE], 0);
        ledger_end(requests[i], fixture.client, sim_now());
    }
    nic_fixture_free(&fixture);
}

Test(nic_tx, a_request_that_software_has_yet_to_take_stays_in_memory) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "", "on");
    start_virtual(&fixture, &driver, 1);
    struct request *request = ledger_begin(fixture.ledger, fixture.ready, LEDGER_WAITING, 0);
    memory_board(fixture.machine->memory, driver.tx_buffers, request);
    tx_post(&driver, bytes, udp_frame(bytes, &from_vf0, 64));
    tx_ring_doorbell(&driver);
    run_for(100 * SIM_US);
    cr_expect(fixture.far_frames[0].request == NULL);
    cr_expect_eq(memory_alight(fixture.machine->memory, driver.tx_buffers), request);
    nic_fixture_free(&fixture);
}

/* ---- rings and packets ---- */

Test(nic_tx, a_ring_goes_around_and_packets_keep_their_order) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "", "on");
    start_virtual(&fixture, &driver, 1);
    struct flow flow = from_vf0;
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < 50; i++) {
            flow.destination_port = (uint16_t)(round * 50 + i);
            tx_post(&driver, bytes, udp_frame(bytes, &flow, 18 + i));
        }
        tx_ring_doorbell(&driver);
        run_for(100 * SIM_US);
    }
    cr_assert_eq(fixture.far_count, 200);
    for (unsigned i = 0; i < 200; i++) {
        cr_expect_eq(fixture.far_frames[i].bytes[36] << 8 | fixture.far_frames[i].bytes[37], i);
    }
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "tx_packets"), 200);
    nic_fixture_free(&fixture);
}

Test(nic_tx, smallest_packets_fill_the_line_and_never_more) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "", "off");
    function_start(&fixture, 0);
    driver_start(&driver, &fixture, 0, 0, 0);
    for (unsigned i = 0; i < 63; i++) {
        tx_post(&driver, bytes, udp_frame(bytes, &from_pf, 18));
    }
    tx_ring_doorbell(&driver);
    run_for(100 * SIM_US);
    cr_assert_eq(fixture.far_count, 63);
    for (unsigned i = 1; i < 63; i++) {
        cr_expect_geq(fixture.far_frames[i].when - fixture.far_frames[i - 1].when, 67200 * SIM_PS);
    }
    const sim_time last_ten = fixture.far_frames[62].when - fixture.far_frames[52].when;
    cr_expect_eq(last_ten, 10 * 67200 * SIM_PS);
    nic_fixture_free(&fixture);
}

Test(nic_tx, a_packet_in_pieces_is_gathered) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "", "on");
    start_virtual(&fixture, &driver, 1);
    const uint32_t length_bytes = udp_frame(bytes, &from_vf0, 1000);
    static const uint32_t cuts[] = {0, 14, 15, 42, 700, 1042};
    for (unsigned i = 0; i + 1 < sizeof cuts / sizeof cuts[0]; i++) {
        const uint64_t place = driver.tx_buffers + i * BUFFER_BYTES + 77 * i;
        const uint32_t piece = cuts[i + 1] - cuts[i];
        memory_write(fixture.machine->memory, place, bytes + cuts[i], piece);
        tx_put(&driver, data_descriptor(place + driver.offset, piece, i == 4 ? NIC_TX_EOP | NIC_TX_RS : 0, 0));
        tx_ring_doorbell(&driver); /* nothing leaves before the end is there */
        run_for(10 * SIM_US);
        cr_expect_eq(fixture.far_count, i == 4 ? 1 : 0);
    }
    cr_expect_eq(fixture.far_frames[0].length_bytes, length_bytes);
    cr_expect_arr_eq(fixture.far_frames[0].bytes, bytes, length_bytes);
    cr_expect_eq(tx_descriptor(&driver, 4).status_length, NIC_TX_DD);
    nic_fixture_free(&fixture);
}

/* Descriptors with RS are written back eight at a time, the rest when the queue
 * falls idle: 20 packets are three writes. */
Test(nic_tx, write_backs_come_in_batches) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "", "off");
    start_virtual(&fixture, &driver, 1);
    for (unsigned i = 0; i < 20; i++) {
        tx_post(&driver, bytes, udp_frame(bytes, &from_vf0, 1000));
    }
    tx_ring_doorbell(&driver);
    run_for(100 * SIM_US);
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "dma_writes"), 3);
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "dma_write_bytes"), 20 * 16);
    for (unsigned i = 0; i < 20; i++) {
        cr_expect_eq(tx_descriptor(&driver, i).status_length, NIC_TX_DD);
    }
    nic_fixture_free(&fixture);
}

Test(nic_tx, without_rs_nothing_is_written_back) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "", "off");
    start_virtual(&fixture, &driver, 1);
    const uint32_t length_bytes = udp_frame(bytes, &from_vf0, 64);
    memory_write(fixture.machine->memory, driver.tx_buffers, bytes, length_bytes);
    tx_put(&driver, data_descriptor(driver.tx_buffers, length_bytes, NIC_TX_EOP, 0));
    tx_ring_doorbell(&driver);
    run_for(100 * SIM_US);
    cr_expect_eq(fixture.far_count, 1);
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "dma_writes"), 0);
    nic_fixture_free(&fixture);
}

/* ---- checksums ---- */

static void offload(uint32_t payload_bytes, bool context, uint32_t expected_frames) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t good[1600];
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "", "on");
    start_virtual(&fixture, &driver, 1);
    const uint32_t length_bytes = udp_frame(good, &from_vf0, payload_bytes);
    memcpy(bytes, good, length_bytes);
    bytes[24] = bytes[25] = bytes[40] = bytes[41] = 0;
    memory_write(fixture.machine->memory, driver.tx_buffers, bytes, length_bytes);
    if (context) {
        tx_put(&driver, (struct nic_tx_descriptor){14 << NIC_TX_MACLEN_SHIFT | 20,
                                                   NIC_TX_DTYP_CONTEXT | NIC_TX_DEXT | NIC_TX_TUCMD_IPV4, 0});
    }
    tx_put(&driver, data_descriptor(driver.tx_buffers + driver.offset, length_bytes, NIC_TX_EOP | NIC_TX_RS,
                                    NIC_TX_POPTS_IXSM | NIC_TX_POPTS_TXSM));
    tx_ring_doorbell(&driver);
    run_for(100 * SIM_US);
    cr_assert_eq(fixture.far_count, expected_frames);
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "bad_descriptors"), 1 - expected_frames);
    if (expected_frames == 1) {
        cr_expect_arr_eq(fixture.far_frames[0].bytes, good, length_bytes, "what software would have computed");
    }
    nic_fixture_free(&fixture);
}

Test(nic_tx, checksums_are_inserted_even_length) {
    offload(64, true, 1);
}
Test(nic_tx, checksums_are_inserted_odd_length) {
    offload(1471, true, 1);
}
Test(nic_tx, checksums_are_inserted_one_byte) {
    offload(19, true, 1);
}
Test(nic_tx, offload_without_a_context_is_malformed) {
    offload(64, false, 0);
}

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
    start_virtual(&fixture, &driver, 1);
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
    start_virtual(&fixture, &driver, 1);
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
    start_virtual(&fixture, &driver, 1);
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
    start_virtual(&fixture, &driver, 1);
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
    open_filter(&fixture, 1);
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
    start_virtual(&fixture, &driver, 1);
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
    start_virtual(&fixture, &drivers[0], 1);
    start_virtual(&fixture, &drivers[1], 2);
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
    start_virtual(&fixture, &drivers[0], 1);
    start_virtual(&fixture, &drivers[1], 2);
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
    start_virtual(&fixture, &driver, 1);
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
    start_virtual(&fixture, &driver, 1);
    fixture.nic->ops->network_port(fixture.nic, 0)->link = NULL;
    tx_post(&driver, bytes, udp_frame(bytes, &from_vf0, 64));
    tx_ring_doorbell(&driver);
    run_for(100 * SIM_US);
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "tx_no_link_drops"), 1);
    cr_expect_eq(tx_descriptor(&driver, 0).status_length, NIC_TX_DD);
    nic_fixture_free(&fixture);
}
