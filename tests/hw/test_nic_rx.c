/* test_nic_rx.c: from the wire into memory: exact times, contents, limits, faults. */
#include "tests/hw/nic_fixture.h"

static const struct flow to_pf = {FAR, 0, 0x0a000001, 0x0a000002, 1000, 7};
static const struct flow to_vf0 = {FAR, 1, 0x0a000001, 0x0a000002, 1000, 7};

static sim_time written_at;
static void note_time(void *context) {
    (void)context;
    written_at = sim_now();
}

/* Wire, pipeline, and one DMA chain of packet and write-back: each stage is a figure
 * of the configuration, and the sum is exact. */
Test(nic_rx, unloaded_time_is_the_sum_of_its_stages) {
    struct nic_fixture fixture;
    struct driver driver;
    struct memory_watch watch;
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "", "off");
    function_start(&fixture, 0);
    driver_start(&driver, &fixture, 0, 0, 32);
    run_for(100 * SIM_US); /* descriptors are on chip */
    memory_watch_set(fixture.machine->memory, &watch, driver.rx_ring, note_time, NULL);
    const uint32_t length_bytes = udp_frame(bytes, &to_pf, 64);
    const sim_time start = sim_now();
    far_send(&fixture, bytes, length_bytes, NULL);
    run_for(100 * SIM_US);
    const struct pcie_link *link = driver.function->link;
    const sim_time wire = (8 + length_bytes + 4) * 800 * SIM_PS;
    const sim_time data = pcie_serialize(link, 24 + length_bytes);
    const sim_time status = pcie_serialize(link, 24 + 16);
    cr_expect_eq(written_at - start, wire + 400 * SIM_NS + data + status + 300 * SIM_NS);
    nic_fixture_free(&fixture);
}

Test(nic_rx, packet_descriptor_and_request_arrive_together) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t bytes[1600];
    uint8_t found[1600];
    nic_fixture_make(&fixture, "", "on");
    function_start(&fixture, 1);
    driver_start(&driver, &fixture, 1, 0, 32);
    run_for(100 * SIM_US);
    const uint32_t length_bytes = udp_frame(bytes, &to_vf0, 999);
    struct request *request = ledger_begin(fixture.ledger, fixture.client, LEDGER_SERVICE, sim_now());
    far_send(&fixture, bytes, length_bytes, request);
    run_for(100 * SIM_US);
    const union nic_rx_descriptor done = rx_descriptor(&driver, 0);
    cr_expect_eq(done.write_back.status_error,
                 (uint32_t)(NIC_RX_DD | NIC_RX_EOP | NIC_RX_IPCS | NIC_RX_L4CS | NIC_RX_UDPCS));
    cr_expect_eq(done.write_back.length_bytes, length_bytes);
    cr_expect_eq(done.write_back.packet_info, (uint32_t)(NIC_RX_TYPE_IPV4 | NIC_RX_TYPE_UDP));
    memory_read(fixture.machine->memory, driver.rx_buffers, found, length_bytes);
    cr_expect_arr_eq(found, bytes, length_bytes);
    cr_expect_eq(memory_alight(fixture.machine->memory, driver.rx_buffers), request);
    cr_expect_eq(request->owner, fixture.ready);
    cr_expect_eq(request->kind, LEDGER_WAITING);
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "rx_packets"), 1);
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "rx_bytes"), length_bytes);
    cr_expect_eq(driver_peek(&driver, driver.rx_base + NIC_QUEUE_HEAD), 1);
    ledger_abandon(request, "test", sim_now());
    nic_fixture_free(&fixture);
}

static uint32_t status_of(const uint8_t *bytes, uint32_t length_bytes) {
    struct nic_fixture fixture;
    struct driver driver;
    nic_fixture_make(&fixture, "", "off");
    function_start(&fixture, 0);
    driver_start(&driver, &fixture, 0, 0, 32);
    far_send(&fixture, bytes, length_bytes, NULL);
    run_for(100 * SIM_US);
    const uint32_t status = rx_descriptor(&driver, 0).write_back.status_error;
    nic_fixture_free(&fixture);
    return status & ~(uint32_t)(NIC_RX_DD | NIC_RX_EOP);
}

Test(nic_rx, a_wrong_ip_checksum_is_seen) {
    uint8_t bytes[1600];
    const uint32_t length_bytes = udp_frame(bytes, &to_pf, 33);
    bytes[14 + 8] ^= 1; /* time to live; the UDP checksum does not cover it */
    cr_expect_eq(status_of(bytes, length_bytes), NIC_RX_IPCS | NIC_RX_UDPCS | NIC_RX_L4CS | NIC_RX_ERROR_IP);
}

Test(nic_rx, a_wrong_udp_checksum_is_seen) {
    uint8_t bytes[1600];
    const uint32_t length_bytes = udp_frame(bytes, &to_pf, 33);
    bytes[length_bytes - 1] ^= 0x80;
    cr_expect_eq(status_of(bytes, length_bytes), NIC_RX_IPCS | NIC_RX_UDPCS | NIC_RX_L4CS | NIC_RX_ERROR_L4);
}

Test(nic_rx, a_datagram_without_checksum_is_not_looked_at) {
    uint8_t bytes[1600];
    const uint32_t length_bytes = udp_frame(bytes, &to_pf, 33);
    bytes[40] = bytes[41] = 0;
    cr_expect_eq(status_of(bytes, length_bytes), (uint32_t)(NIC_RX_IPCS | NIC_RX_UDPCS));
}

Test(nic_rx, a_udp_length_beyond_the_packet_is_an_error) {
    uint8_t bytes[1600];
    const uint32_t length_bytes = udp_frame(bytes, &to_pf, 33);
    bytes[38] = 0xff;
    cr_expect_eq(status_of(bytes, length_bytes), NIC_RX_IPCS | NIC_RX_UDPCS | NIC_RX_L4CS | NIC_RX_ERROR_L4);
}

Test(nic_rx, what_is_not_ip_has_no_checksums) {
    uint8_t bytes[1600];
    const uint32_t length_bytes = udp_frame(bytes, &to_pf, 33);
    bytes[12] = 0x86; /* another Ethertype */
    cr_expect_eq(status_of(bytes, length_bytes), 0);
}

/* The stock on chip is refilled before it is empty: at line rate with the smallest
 * packets, twice around the ring, none waits for a descriptor. */
Test(nic_rx, smallest_packets_at_line_rate_wait_for_no_descriptor) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "", "off");
    function_start(&fixture, 0);
    driver_start(&driver, &fixture, 0, 0, 63);
    run_for(100 * SIM_US);
    const uint32_t length_bytes = udp_frame(bytes, &to_pf, 18);
    for (unsigned i = 0; i < 128; i++) {
        struct request *request = ledger_begin(fixture.ledger, fixture.client, LEDGER_SERVICE, sim_now());
        far_send(&fixture, bytes, length_bytes, request);
        run_for(67200 * SIM_PS);
        const uint32_t head = driver_peek(&driver, driver.rx_base + NIC_QUEUE_HEAD);
        memory_write64(fixture.machine->memory, driver.rx_ring + 16 * ((head + 63) % 64),
                       driver.rx_buffers + BUFFER_BYTES * ((head + 63) % 64));
        driver_poke(&driver, driver.rx_base + NIC_QUEUE_TAIL, (head + 63) % 64);
    }
    run_for(100 * SIM_US);
    cr_expect_eq(nic_counter(&fixture, "nic.pf", "rx_packets"), 128);
    for (unsigned i = 0; i < 64; i++) {
        struct request *request =
            memory_alight(fixture.machine->memory, driver.rx_buffers + (uint64_t)i * BUFFER_BYTES);
        cr_assert(request != NULL);
        cr_expect_eq(request->spent[ledger_find("nic_rx_queue")][LEDGER_WAITING], 0);
    }
    nic_fixture_free(&fixture);
}

/* A packet that finds no descriptor on chip waits for a fetch, in nic_rx_queue. */
Test(nic_rx, a_packet_waits_in_the_buffer_for_a_fetch) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "rx_pipeline: 0 ns", "off");
    function_start(&fixture, 0);
    driver_start(&driver, &fixture, 0, 0, 0);
    run_for(100 * SIM_US);
    const uint32_t length_bytes = udp_frame(bytes, &to_pf, 18);
    struct request *request = ledger_begin(fixture.ledger, fixture.client, LEDGER_SERVICE, sim_now());
    far_send(&fixture, bytes, length_bytes, request);
    run_for(57600 * SIM_PS); /* it has just come; the physical function's queue may keep it */
    cr_expect_eq(request->owner, ledger_find("nic_rx_queue"));
    run_for(1 * SIM_US);
    driver_poke(&driver, driver.rx_base + NIC_QUEUE_TAIL, 8);
    run_for(100 * SIM_US);
    const struct pcie_link *link = driver.function->link;
    const sim_time fetch = pcie_serialize(link, 24) + 406 * SIM_NS + pcie_serialize(link, 20 + 8 * 16);
    cr_expect_eq(request->spent[ledger_find("nic_rx_queue")][LEDGER_WAITING], 1 * SIM_US + fetch);
    cr_expect_eq(request->owner, fixture.ready);
    nic_fixture_free(&fixture);
}

Test(nic_rx, a_virtual_function_without_descriptors_drops_at_once) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "", "off");
    function_start(&fixture, 1);
    driver_start(&driver, &fixture, 1, 0, 2);
    run_for(100 * SIM_US);
    const uint32_t length_bytes = udp_frame(bytes, &to_vf0, 100);
    for (unsigned i = 0; i < 5; i++) {
        far_send(&fixture, bytes, length_bytes,
                 ledger_begin(fixture.ledger, fixture.client, LEDGER_SERVICE, sim_now()));
    }
    run_for(100 * SIM_US);
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "rx_packets"), 2);
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "rx_no_descriptor_drops"), 3);
    const struct ledger_drop *drops = NULL;
    cr_assert_eq(ledger_drops(fixture.ledger, &drops), 1);
    cr_expect_eq(drops[0].count, 3);
    cr_expect_eq(drops[0].owner, ledger_find("nic_rx"));
    cr_expect_eq(ledger_live(fixture.ledger), 2);
    nic_fixture_free(&fixture);
}

/* The physical function's queue holds packets back instead, until the packet buffer
 * is full: 4 KiB here, so four of 1,000 bytes. */
Test(nic_rx, the_packet_buffer_is_finite) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "receive_buffer: 4 KiB", "off");
    function_start(&fixture, 0);
    driver_start(&driver, &fixture, 0, 0, 0);
    const uint32_t length_bytes = udp_frame(bytes, &to_pf, 1000 - 42);
    for (unsigned i = 0; i < 10; i++) {
        far_send(&fixture, bytes, length_bytes, NULL);
    }
    run_for(100 * SIM_US);
    cr_expect_eq(nic_counter(&fixture, "nic.pf", "rx_buffer_drops"), 6);
    driver_poke(&driver, driver.rx_base + NIC_QUEUE_TAIL, 32);
    run_for(100 * SIM_US);
    cr_expect_eq(nic_counter(&fixture, "nic.pf", "rx_packets"), 4);
    for (unsigned i = 0; i < 10; i++) { /* and it is empty again */
        far_send(&fixture, bytes, length_bytes, NULL);
    }
    run_for(100 * SIM_US);
    cr_expect_eq(nic_counter(&fixture, "nic.pf", "rx_packets"), 14);
    nic_fixture_free(&fixture);
}

Test(nic_rx, a_queue_fills_no_more_than_its_share) {
    struct nic_fixture fixture;
    struct driver drivers[2];
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "receive_buffer: 64 KiB, receive_buffer_per_queue: 2 KiB", "off");
    function_start(&fixture, 0);
    function_start(&fixture, 1);
    driver_start(&drivers[0], &fixture, 0, 4, 0);
    driver_start(&drivers[1], &fixture, 1, 0, 32);
    const uint32_t length_bytes = udp_frame(bytes, &to_pf, 1000 - 42);
    for (unsigned i = 0; i < 10; i++) {
        far_send(&fixture, bytes, length_bytes, NULL);
    }
    far_send(&fixture, bytes, udp_frame(bytes, &to_vf0, 1000 - 42), NULL);
    run_for(100 * SIM_US);
    cr_expect_eq(nic_counter(&fixture, "nic.pf", "rx_buffer_drops"), 8);
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "rx_packets"), 1);
    nic_fixture_free(&fixture);
}

Test(nic_rx, small_buffers_take_two_descriptors) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t bytes[1600];
    uint8_t found[1600];
    /* One at a time on chip, so that a packet waits for its second descriptor. */
    nic_fixture_make(&fixture, "rx_prefetch: 1", "off");
    function_start(&fixture, 0);
    driver_start(&driver, &fixture, 0, 0, 0);
    driver_poke(&driver, driver.rx_base + NIC_QUEUE_CTL, 0);
    driver_poke(&driver, driver.rx_base + NIC_RX_SRRCTL, 1); /* 1 KiB */
    driver_poke(&driver, driver.rx_base + NIC_QUEUE_CTL, NIC_QUEUE_CTL_ENABLE);
    driver_poke(&driver, driver.rx_base + NIC_QUEUE_TAIL, 32);
    const uint32_t length_bytes = udp_frame(bytes, &to_pf, 1400);
    far_send(&fixture, bytes, length_bytes, NULL);
    run_for(100 * SIM_US);
    const union nic_rx_descriptor first = rx_descriptor(&driver, 0);
    const union nic_rx_descriptor second = rx_descriptor(&driver, 1);
    cr_expect_eq(first.write_back.status_error, (uint32_t)NIC_RX_DD);
    cr_expect_eq(first.write_back.length_bytes, 1024);
    cr_expect(second.write_back.status_error & NIC_RX_EOP);
    cr_expect_eq(second.write_back.length_bytes, length_bytes - 1024);
    memory_read(fixture.machine->memory, driver.rx_buffers, found, 1024);
    memory_read(fixture.machine->memory, driver.rx_buffers + BUFFER_BYTES, found + 1024, length_bytes - 1024);
    cr_expect_arr_eq(found, bytes, length_bytes);
    nic_fixture_free(&fixture);
}

/* ---- isolation ---- */

static void post_at(struct driver *driver, uint32_t slot, uint64_t address) {
    memory_write64(driver->fixture->machine->memory, driver->rx_ring + 16 * slot, address);
}

/* A descriptor that points into another function's memory: with the IOMMU nothing
 * lands there and the fault is counted; without it, it does. */
static void aim_at_another(const char *mode, bool reaches) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "", mode);
    function_start(&fixture, 1);
    function_start(&fixture, 2);
    driver_start(&driver, &fixture, 1, 0, 0);
    const uint64_t victim = region_of(2) + 0x8000;
    post_at(&driver, 0, victim + driver.offset);
    driver_poke(&driver, driver.rx_base + NIC_QUEUE_TAIL, 8);
    const uint32_t length_bytes = udp_frame(bytes, &to_vf0, 64);
    struct request *request = ledger_begin(fixture.ledger, fixture.client, LEDGER_SERVICE, sim_now());
    far_send(&fixture, bytes, length_bytes, request);
    far_send(&fixture, bytes, length_bytes, NULL);
    run_for(100 * SIM_US);
    cr_expect_eq(memory_read64(fixture.machine->memory, victim) != 0, reaches);
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "rx_fault_drops"), reaches ? 0 : 1);
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "dma_faults"), reaches ? 0 : 1);
    cr_expect_eq(iommu_fault_count(fixture.machine->iommu), reaches ? 0 : 1);
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "rx_packets"), reaches ? 2 : 1, "the queue goes on");
    cr_expect(rx_descriptor(&driver, 1).write_back.status_error & NIC_RX_DD);
    cr_expect_eq(ledger_live(fixture.ledger), reaches ? 1 : 0);
    nic_fixture_free(&fixture);
}

Test(nic_rx, a_descriptor_outside_its_domain_gets_nowhere) {
    aim_at_another("on", false);
}
Test(nic_rx, it_is_the_iommu_that_stops_it) {
    aim_at_another("off", true);
}

Test(nic_rx, a_ring_outside_its_domain_is_passed_over) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "", "on");
    function_start(&fixture, 1);
    driver_start(&driver, &fixture, 1, 0, 0);
    driver_poke(&driver, driver.rx_base + NIC_QUEUE_CTL, 0);
    driver_poke(&driver, driver.rx_base + NIC_QUEUE_BAL, (uint32_t)region_of(2));
    driver_poke(&driver, driver.rx_base + NIC_QUEUE_BAH, 0);
    driver_poke(&driver, driver.rx_base + NIC_QUEUE_CTL, NIC_QUEUE_CTL_ENABLE);
    driver_poke(&driver, driver.rx_base + NIC_QUEUE_TAIL, 63);
    far_send(&fixture, bytes, udp_frame(bytes, &to_vf0, 64), NULL);
    run_for(100 * SIM_US);
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "dma_faults"), 2, "63 descriptors in two fetches");
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "rx_no_descriptor_drops"), 1);
    cr_expect_eq(driver_peek(&driver, driver.rx_base + NIC_QUEUE_HEAD), 63);
    nic_fixture_free(&fixture);
}

/* Switched off `delay` after packets were sent: they may be on the wire, in the
 * pipeline, in the buffer or in DMA. Nothing lands afterwards, no request is lost,
 * and the queue works again when it is set up anew. */
static void reset_after(sim_time delay) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "", "on");
    function_start(&fixture, 1);
    driver_start(&driver, &fixture, 1, 0, 32);
    const uint32_t length_bytes = udp_frame(bytes, &to_vf0, 64);
    for (unsigned i = 0; i < 8; i++) {
        far_send(&fixture, bytes, length_bytes,
                 ledger_begin(fixture.ledger, fixture.client, LEDGER_SERVICE, sim_now()));
    }
    run_for(delay);
    const uint64_t before = nic_counter(&fixture, "nic.vf0", "rx_packets");
    nic_function_enable(fixture.nic, 1, false);
    run_for(100 * SIM_US);
    cr_expect_eq(ledger_live(fixture.ledger), before, "those that had arrived wait for software");
    nic_function_enable(fixture.nic, 1, true);
    uint8_t mac[6];
    function_mac(1, mac);
    nic_function_set_mac(fixture.nic, 1, mac);
    driver_start(&driver, &fixture, 1, 0, 32);
    far_send(&fixture, bytes, length_bytes, NULL);
    run_for(100 * SIM_US);
    cr_expect(rx_descriptor(&driver, 0).write_back.status_error & NIC_RX_DD);
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "rx_packets"), before + 1);
    nic_fixture_free(&fixture);
}

Test(nic_rx, a_reset_loses_no_request_on_the_wire) {
    reset_after(50 * SIM_NS);
}
Test(nic_rx, a_reset_loses_no_request_in_the_pipeline) {
    reset_after(400 * SIM_NS);
}
Test(nic_rx, a_reset_loses_no_request_in_the_buffer) {
    reset_after(700 * SIM_NS);
}
Test(nic_rx, a_reset_loses_no_request_in_dma) {
    reset_after(1100 * SIM_NS);
}
Test(nic_rx, a_reset_loses_no_request_in_memory) {
    reset_after(5 * SIM_US);
}

/* The queue alone is switched off and on while a packet is in DMA: it is the old
 * ring's, and the new one knows nothing of it. */
Test(nic_rx, a_ring_that_is_set_up_anew_has_nothing_of_the_old_one) {
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "rx_pipeline: 0 ns, receive_buffer_per_queue: 2 KiB", "off");
    function_start(&fixture, 1);
    driver_start(&driver, &fixture, 1, 0, 32);
    run_for(100 * SIM_US);
    const uint32_t length_bytes = udp_frame(bytes, &to_vf0, 1400);
    far_send(&fixture, bytes, length_bytes, ledger_begin(fixture.ledger, fixture.client, LEDGER_SERVICE, sim_now()));
    run_for((8 + length_bytes + 4) * 800 * SIM_PS + 10 * SIM_NS);
    driver_poke(&driver, driver.rx_base + NIC_QUEUE_CTL, 0);
    driver_poke(&driver, driver.rx_base + NIC_QUEUE_CTL, NIC_QUEUE_CTL_ENABLE);
    run_for(100 * SIM_US);
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "rx_packets"), 0);
    cr_expect_eq(ledger_live(fixture.ledger), 0);
    driver_poke(&driver, driver.rx_base + NIC_QUEUE_TAIL, 32);
    run_for(10 * SIM_US);
    far_send(&fixture, bytes, length_bytes, NULL); /* its share of the buffer is free */
    run_for(100 * SIM_US);
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "rx_packets"), 1);
    nic_fixture_free(&fixture);
}
