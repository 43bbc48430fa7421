/* test_lance.c: initialization, frames both ways at 10 Mb/s, and what is missed. */
#include "hw/ethernet/lance.h"
#include "tests/hw/pcie_fixture.h"

enum {
    INIT_BLOCK = 0x1000,
    RX_RING = 0x2000,
    TX_RING = 0x3000,
    RX_BUFFERS = 0x10000,
    TX_BUFFER = 0x20000,
    RX_ENTRIES = 4
};
static const uint8_t station[6] = {8, 0, 0x2b, 1, 2, 3};
static struct machine *machine;
static struct device *nic;
static struct lance *lance;
static struct port far;
static struct link *cable;
static uint32_t far_count;
static sim_time far_when;
static uint8_t far_bytes[FRAME_BYTES_MAX];
static uint32_t far_length;
static struct ledger *ledger;
static ledger_component client, driver;

static void far_receive(struct port *port, struct frame *frame) {
    (void)port;
    far_count++;
    far_when = sim_now();
    far_length = frame->length_bytes;
    memcpy(far_bytes, frame->bytes, frame->length_bytes);
    if (frame->request != NULL) {
        ledger_hand_over(frame->request, ledger_find("wire"), client, LEDGER_SERVICE);
        ledger_end(frame->request, client, sim_now());
    }
    frame_release(frame);
}

static void csr(uint16_t number, uint16_t value) {
    pcie_poke(machine->pcie, lance->function.bar_address[0] + LANCE_RAP, 4, number);
    pcie_poke(machine->pcie, lance->function.bar_address[0] + LANCE_RDP, 4, value);
}

static void descriptor_write(uint64_t ring, uint32_t index, uint32_t buffer, uint32_t bytes, uint16_t flags) {
    const struct lance_descriptor descriptor = {(uint16_t)buffer, (uint16_t)(buffer >> 16 | flags),
                                                (uint16_t)(0xf000 | (0x1000 - bytes)), 0};
    memory_write(machine->memory, ring + index * sizeof descriptor, &descriptor, sizeof descriptor);
}

static struct lance_descriptor descriptor_read(uint64_t ring, uint32_t index) {
    struct lance_descriptor descriptor;
    memory_read(machine->memory, ring + index * sizeof descriptor, &descriptor, sizeof descriptor);
    return descriptor;
}

static void interrupted(void *os, struct core *core, uint32_t vector, sim_time raised, sim_time awake) {
    (void)os, (void)core, (void)raised, (void)awake;
    cr_assert_eq(vector, 5);
}

static void set_up(void) {
    static const struct ledger_declaration table[] = {
        {"client", NULL, "Client", "wire"}, {"driver", "cpu", "Driver", NULL}, {0}};
    ledger_component out[2];
    machine = make_machine("memory: {size: 64 MiB}\ncache: {model: flat}\niommu: {mode: off}\n"
                           "devices:\n  - {name: ln, type: nic/lance}\n");
    ledger_declare_all(table, out);
    client = out[0];
    driver = out[1];
    nic = machine_device(machine, "ln");
    lance = nic->state;
    const struct link_config config = {10000000, 0};
    cable = link_create("cable", &config);
    far.receive = far_receive;
    link_connect(cable, &far, nic->ops->network_port(nic, 0));
    ledger = ledger_create("frames");
    ledger_record(ledger, true);
    struct lance_init_block block = {.receive_ring_low = RX_RING,
                                     .receive_ring_high = 2 << 13,
                                     .transmit_ring_low = TX_RING,
                                     .transmit_ring_high = 1 << 13};
    memcpy(block.physical_address, station, 6);
    memory_write(machine->memory, INIT_BLOCK, &block, sizeof block);
    for (uint32_t i = 0; i < RX_ENTRIES; i++) {
        descriptor_write(RX_RING, i, RX_BUFFERS + i * 0x800, 0x600, LANCE_OWN);
    }
    csr(1, INIT_BLOCK);
    csr(2, 0);
    csr(0, LANCE_INIT);
    sim_run(SIM_MS);
    cr_assert_eq(lance->csr[0] & LANCE_IDON, LANCE_IDON);
    csr(0, LANCE_IDON | LANCE_STRT | LANCE_INEA);
    core_set_interrupt_handler(machine->cores[0], interrupted, NULL);
    pcie_msix_route(&lance->function, 0, 0, 5);
}
static void tear_down(void) {
    (void)ledger_audit(ledger, sim_now());
    machine_free(machine);
    link_free(cable);
}
TestSuite(lance, .init = set_up, .fini = tear_down);

static struct request *arrive(const uint8_t to[6], uint32_t length, uint8_t fill) {
    struct frame *frame = frame_allocate();
    memset(frame->bytes, fill, length);
    memcpy(frame->bytes, to, 6);
    frame->length_bytes = length;
    frame->request = ledger_begin(ledger, client, LEDGER_SERVICE, sim_now());
    struct request *request = frame->request;
    (void)link_send(&far, frame, client, sim_now());
    return request;
}

Test(lance, receives_into_its_ring) {
    struct request *request = arrive(station, 100, 7);
    sim_run(sim_now() + SIM_MS);
    const struct lance_descriptor got = descriptor_read(RX_RING, 0);
    cr_assert_eq(got.flags & 0xff00, LANCE_STP | LANCE_ENP);
    cr_assert_eq(got.message_bytes, 104);
    uint8_t bytes[100];
    memory_read(machine->memory, RX_BUFFERS, bytes, sizeof bytes);
    cr_assert_eq(memcmp(bytes, station, 6), 0);
    cr_assert_eq(bytes[99], 7);
    cr_assert_eq(lance->csr[0] & (LANCE_RINT | LANCE_INTR), LANCE_RINT | LANCE_INTR);
    cr_assert_eq(lance->function.interrupts, 1);
    cr_assert_eq(memory_alight(machine->memory, RX_BUFFERS), request, "the request rides with the frame");
    cr_assert_eq(request->owner, ledger_find("ready"));
    /* on the wire: the frame, FCS, preamble (and the gap after it) at 100 ns a bit */
    cr_assert_eq(request->spent[ledger_find("wire")][LEDGER_SERVICE], (100 + 4 + 8) * 8 * 100 * SIM_NS);
    ledger_abandon(request, "end of the test", sim_now());
}

Test(lance, one_interrupt_until_it_is_acknowledged) {
    for (uint32_t i = 0; i < 2; i++) {
        struct request *request = arrive(station, 60, 1);
        sim_run(sim_now() + SIM_MS);
        ledger_abandon(request, "end of the test", sim_now());
    }
    cr_assert_eq(lance->function.interrupts, 1);
    csr(0, LANCE_RINT | LANCE_INEA);
    cr_assert_eq(lance->csr[0] & (LANCE_RINT | LANCE_INTR), 0);
    struct request *request = arrive(station, 60, 1);
    sim_run(sim_now() + SIM_MS);
    cr_assert_eq(lance->function.interrupts, 2);
    ledger_abandon(request, "end of the test", sim_now());
}

Test(lance, other_stations_frames_pass_by) {
    (void)arrive((const uint8_t[6]){8, 0, 0x2b, 9, 9, 9}, 60, 1);
    sim_run(sim_now() + SIM_MS);
    cr_assert_eq(lance->counters.not_mine, 1);
    struct request *request = arrive((const uint8_t[6]){255, 255, 255, 255, 255, 255}, 60, 1);
    sim_run(sim_now() + SIM_MS);
    cr_assert_eq(lance->counters.received, 1);
    ledger_abandon(request, "end of the test", sim_now());
}

Test(lance, a_full_ring_misses_frames) {
    struct request *requests[RX_ENTRIES + 2];
    for (uint32_t i = 0; i < RX_ENTRIES + 2; i++) {
        requests[i] = arrive(station, 60, (uint8_t)i);
    }
    sim_run(sim_now() + SIM_MS);
    cr_assert_eq(lance->counters.received, RX_ENTRIES);
    cr_assert_eq(lance->counters.missed, 2);
    cr_assert_eq(lance->csr[0] & LANCE_MISS, LANCE_MISS);
    for (uint32_t i = 0; i < RX_ENTRIES; i++) {
        ledger_abandon(requests[i], "end of the test", sim_now());
    }
}

Test(lance, a_short_buffer_is_not_overrun) {
    descriptor_write(RX_RING, 0, RX_BUFFERS, 64, LANCE_OWN);
    (void)arrive(station, 61, 9); /* 65 with its FCS */
    sim_run(sim_now() + SIM_MS);
    cr_assert_eq(descriptor_read(RX_RING, 0).flags & LANCE_BUFFER_ERR, LANCE_BUFFER_ERR);
    cr_assert_eq(lance->counters.too_long, 1);
    cr_assert_eq(memory_read32(machine->memory, RX_BUFFERS), 0);
}

Test(lance, sends_on_demand) {
    const uint8_t text[100] = "a frame to be sent";
    memory_write(machine->memory, TX_BUFFER, text, sizeof text);
    descriptor_write(TX_RING, 0, TX_BUFFER, 100, LANCE_OWN | LANCE_STP | LANCE_ENP);
    struct request *request = ledger_begin(ledger, driver, LEDGER_SERVICE, sim_now());
    memory_board(machine->memory, TX_BUFFER, request);
    const sim_time asked = sim_now();
    csr(0, LANCE_TDMD | LANCE_INEA);
    sim_run(sim_now() + SIM_MS);
    cr_assert_eq(far_count, 1);
    cr_assert_eq(far_length, 100);
    cr_assert_eq(memcmp(far_bytes, text, 100), 0);
    cr_assert_geq(far_when - asked, (100 + 4 + 8) * 8 * 100 * SIM_NS);
    cr_assert_lt(far_when - asked, (100 + 4 + 8) * 8 * 100 * SIM_NS + 5 * SIM_US);
    cr_assert_eq(descriptor_read(TX_RING, 0).flags & LANCE_OWN, 0);
    cr_assert_eq(lance->csr[0] & LANCE_TINT, LANCE_TINT);
    cr_assert_eq(ledger_completed(ledger), 1);
}

Test(lance, finds_frames_by_itself_and_keeps_their_order) {
    for (uint32_t i = 0; i < 2; i++) {
        const uint8_t mark = (uint8_t)(i + 1);
        memory_write(machine->memory, TX_BUFFER + i * 0x800, &mark, 1);
        descriptor_write(TX_RING, i, TX_BUFFER + i * 0x800, 60, LANCE_OWN | LANCE_STP | LANCE_ENP);
    }
    sim_run(sim_now() + 4 * SIM_MS);
    cr_assert_eq(far_count, 2);
    cr_assert_eq(far_bytes[0], 2);
}

Test(lance, chained_buffers_are_answered_with_an_error) {
    descriptor_write(TX_RING, 0, TX_BUFFER, 60, LANCE_OWN | LANCE_STP);
    csr(0, LANCE_TDMD);
    sim_run(sim_now() + SIM_MS);
    cr_assert_eq(far_count, 0);
    cr_assert_eq(lance->counters.refused, 1);
    cr_assert_eq(descriptor_read(TX_RING, 0).flags & (LANCE_OWN | LANCE_DESCRIPTOR_ERR), LANCE_DESCRIPTOR_ERR);
}

Test(lance, stopped_it_does_nothing) {
    csr(0, LANCE_STOP);
    descriptor_write(TX_RING, 0, TX_BUFFER, 60, LANCE_OWN | LANCE_STP | LANCE_ENP);
    (void)arrive(station, 60, 1);
    csr(0, LANCE_TDMD);
    sim_run(sim_now() + 4 * SIM_MS);
    cr_assert_eq(far_count, 0);
    cr_assert_eq(lance->counters.received, 0);
}
