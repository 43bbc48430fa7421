/* test_nic_isolation.c: a function whose driver is hostile. */
#include "hw/nic/nic_internal.h"
#include "tests/hw/nic_fixture.h"

static uint64_t state = 42;
static uint32_t draw(uint32_t bound) {
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % bound;
}

static uint64_t random_address(void) {
    switch (draw(4)) {
    case 0:
        return region_of(2) + IOVA_OFFSET + draw(REGION_BYTES); /* its own */
    case 1:
        return region_of(1) + draw(REGION_BYTES) + (draw(2) ? IOVA_OFFSET : 0);
    case 2:
        return (uint64_t)draw(UINT32_MAX) << 20;
    default:
        return draw(UINT32_MAX);
    }
}

static void misbehave(struct nic_fixture *fixture, struct driver *driver) {
    struct memory *memory = fixture->machine->memory;
    const uint64_t bar = driver->function->bar_address[0];
    static const uint32_t fields[] = {0, 4, 8, 0x10, 0x14, 0x18, 0x18, 0x18, 0x28, 0x28};
    for (unsigned i = 0; i < 8; i++) { /* descriptors of all kinds, in its own memory */
        const uint64_t place = region_of(2) + draw(8192 / 16) * 16;
        memory_write64(memory, place, random_address());
        memory_write64(memory, place + 8,
                       (uint64_t)draw(UINT32_MAX) << 32 | (draw(3) ? 0x2b300000 + draw(2000) : draw(UINT32_MAX)));
    }
    const uint64_t base = draw(2) ? NIC_RX_QUEUE_BASE(draw(3)) : NIC_VF_TX_QUEUE_BASE(draw(3));
    uint32_t value = draw(3) ? draw(64) : draw(UINT32_MAX);
    const uint32_t field = fields[draw(10)];
    if (field == NIC_QUEUE_LEN) {
        value = 1024;
    } else if (field == NIC_QUEUE_BAL) {
        value = (uint32_t)(region_of(2) + IOVA_OFFSET) + draw(16) * 256;
    } else if (field == NIC_QUEUE_CTL) {
        value = draw(4) ? NIC_QUEUE_CTL_ENABLE : 0;
    }
    struct request *request =
        draw(4) ? NULL : ledger_begin(fixture->ledger, fixture->driver, LEDGER_SERVICE, sim_now());
    if (draw(10) == 0) {
        pcie_mmio_write_for(fixture->machine->pcie, bar + draw(NIC_VF_BAR_BYTES - 8), 1u << draw(4), value, request,
                            fixture->driver);
    } else {
        pcie_mmio_write_for(fixture->machine->pcie, bar + base + field, 4, value, request, fixture->driver);
    }
}

static const struct flow in = {FAR, 1, 0x0a000001, 0x0a000002, 1000, 7};
static const struct flow out = {1, FAR, 0x0a000002, 0x0a000001, 7, 1000};
static const struct flow at_attacker = {FAR, 2, 0x0a000001, 0x0a000003, 1000, 7};

/* One packet in: it lies where it belongs, byte for byte. */
static void receives(struct driver *victim, unsigned round) {
    struct nic_fixture *fixture = victim->fixture;
    struct memory *memory = fixture->machine->memory;
    uint8_t bytes[1600], found[1600];
    const uint32_t slot = round % RING_DESCRIPTORS;
    const uint64_t buffer = victim->rx_buffers + slot * BUFFER_BYTES;
    const uint32_t length_bytes = udp_frame(bytes, &in, 18 + round % 1000);
    far_send(fixture, bytes, length_bytes, NULL);
    run_for(30 * SIM_US);
    const union nic_rx_descriptor done = rx_descriptor(victim, slot);
    cr_assert(done.write_back.status_error & NIC_RX_DD, "round %u", round);
    cr_assert_eq(done.write_back.length_bytes, length_bytes);
    memory_read(memory, buffer, found, length_bytes);
    cr_assert_arr_eq(found, bytes, length_bytes);
    memory_write64(memory, victim->rx_ring + 16 * slot, buffer + victim->offset);
    memory_write64(memory, victim->rx_ring + 16 * slot + 8, 0);
    driver_poke(victim, victim->rx_base + NIC_QUEUE_TAIL, (slot + 63) % RING_DESCRIPTORS);
}

/* One packet out: it arrives once, and nobody else sends from its address. */
static void sends(struct driver *victim, unsigned round) {
    struct nic_fixture *fixture = victim->fixture;
    uint8_t bytes[1600];
    fixture->far_count = 0;
    const uint32_t length_bytes = udp_frame(bytes, &out, 18 + round % 700);
    tx_post(victim, bytes, length_bytes);
    tx_ring_doorbell(victim);
    run_for(30 * SIM_US);
    unsigned hits = 0;
    for (unsigned i = 0; i < fixture->far_count; i++) {
        const struct far_frame *frame = &fixture->far_frames[i];
        hits += frame->length_bytes == length_bytes && memcmp(frame->bytes, bytes, length_bytes) == 0;
        cr_assert(frame->bytes[11] == 2 || memcmp(frame->bytes, bytes, 42) == 0);
    }
    cr_assert_eq(hits, 1, "round %u", round);
    fixture->far_count = 0;
}

static void expect_faults(struct nic_fixture *fixture) {
    cr_expect_eq(nic_counter(fixture, "nic.vf0", "bad_doorbells"), 0);
    cr_expect_eq(nic_counter(fixture, "nic.vf0", "dma_faults"), 0);
    cr_expect_gt(nic_counter(fixture, "nic.vf1", "bad_register_accesses"), 100);
    cr_expect_gt(nic_counter(fixture, "nic.vf1", "bad_descriptors"), 10);
    cr_expect_gt(nic_counter(fixture, "nic.vf1", "dma_faults"), 100);
    nic_function_enable(fixture->nic, 2, false);
    run_for(1 * SIM_MS);
    cr_expect_eq(nic_of(fixture->nic)->rx_buffered_bytes, 0);
    cr_expect_eq(nic_of(fixture->nic)->transfer_count, 0);
    cr_expect_eq(ledger_live(fixture->ledger), 0, "every request that it rang with has an end");
}

/* Function 2 writes descriptors and registers at random while function 1 echoes: 1's
 * packets come and go unharmed, its memory stays what it was, and nothing ends the
 * simulation or loses a request. */
Test(nic_isolation, a_function_that_writes_at_random_harms_nobody) {
    struct nic_fixture fixture;
    struct driver victim, attacker;
    uint8_t bytes[1600];
    const struct nic_filter all = {0};
    static uint8_t before[REGION_BYTES / 2], after[REGION_BYTES / 2];
    nic_fixture_make(&fixture, "", "on");
    for (uint32_t i = 1; i <= 2; i++) {
        function_start(&fixture, i);
        cr_assert_eq(nic_transmit_filter_set(fixture.nic, i, 0, &all), OK);
    }
    driver_start(&victim, &fixture, 1, 0, 63);
    driver_start(&attacker, &fixture, 2, 0, 0);
    const uint64_t untouched = region_of(1) + REGION_BYTES / 2;
    for (uint64_t i = 0; i < REGION_BYTES / 2; i += 8) {
        memory_write64(fixture.machine->memory, untouched + i, i * UINT64_C(0x9e3779b97f4a7c15));
    }
    memory_read(fixture.machine->memory, untouched, before, sizeof before);
    for (unsigned round = 0; round < 2000; round++) {
        for (unsigned i = 0; i < 10; i++) {
            misbehave(&fixture, &attacker);
            run_for(draw(200) * SIM_NS);
        }
        if (round % 3 == 0) {
            far_send(&fixture, bytes, udp_frame(bytes, &at_attacker, draw(1400)), NULL);
        }
        receives(&victim, round);
        sends(&victim, round);
    }
    memory_read(fixture.machine->memory, untouched, after, sizeof after);
    cr_expect_arr_eq(before, after, sizeof before);
    expect_faults(&fixture);
    nic_fixture_free(&fixture);
}
