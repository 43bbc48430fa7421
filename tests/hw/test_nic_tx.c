/* test_nic_tx.c: out of memory onto the wire: exact times, contents, the ledger,
 * checksums. */
#include "tests/hw/nic_fixture.h"

static const struct flow from_pf = {0, FAR, 0x0a000002, 0x0a000001, 7, 1000};
static const struct flow from_vf0 = {1, FAR, 0x0a000002, 0x0a000001, 7, 1000};

static sim_time serialize(const struct driver *driver, uint64_t bytes) {
    return pcie_serialize(driver->function->link, bytes);
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
    driver_start_virtual(&fixture, &driver, 1);
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
    driver_start_virtual(&fixture, &driver, 1);
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
    driver_start_virtual(&fixture, &driver, 1);
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
    driver_start_virtual(&fixture, &driver, 1);
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
    driver_start_virtual(&fixture, &driver, 1);
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
    driver_start_virtual(&fixture, &driver, 1);
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
    driver_start_virtual(&fixture, &driver, 1);
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

/* `to_zero`: the payload is such that the UDP checksum would be 0, which stands for
 * none, so that 0xffff is sent instead (RFC 768). */
static void offload(uint32_t payload_bytes, bool context, uint32_t expected_frames, bool to_zero) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t good[1600];
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "", "on");
    driver_start_virtual(&fixture, &driver, 1);
    const uint32_t length_bytes = udp_frame(good, &from_vf0, payload_bytes);
    if (to_zero) {
        const uint32_t sum = (uint32_t)(good[42] << 8 | good[43]) + (uint32_t)(good[40] << 8 | good[41]);
        good[42] = (uint8_t)((sum + (sum >> 16)) >> 8);
        good[43] = (uint8_t)(sum + (sum >> 16));
        good[40] = good[41] = 0xff;
    }
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
    offload(64, true, 1, false);
}
Test(nic_tx, checksums_are_inserted_odd_length) {
    offload(1471, true, 1, false);
}
Test(nic_tx, checksums_are_inserted_one_byte) {
    offload(19, true, 1, false);
}
Test(nic_tx, a_checksum_of_zero_is_sent_as_ones) {
    offload(64, true, 1, true);
}
Test(nic_tx, offload_without_a_context_is_malformed) {
    offload(64, false, 0, false);
}
