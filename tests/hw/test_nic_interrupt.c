/* test_nic_interrupt.c: vectors: when they fire, how often, masked and not. */
#include "tests/hw/nic_fixture.h"

static const struct flow to_vf0 = {FAR, 1, 0x0a000001, 0x0a000002, 1000, 7};

static sim_time written_at;
static void note_time(void *context) {
    (void)context;
    written_at = sim_now();
}

static struct {
    unsigned count;
    sim_time raised[64];
} pin;
static void note_interrupt(void *os, struct core *core, uint32_t vector, sim_time raised, sim_time awake) {
    (void)os, (void)core, (void)awake;
    cr_expect_eq(vector, 40);
    pin.raised[pin.count++] = raised;
}

static void interrupt_machine(struct nic_fixture *fixture, struct driver *driver) {
    nic_fixture_make(fixture, "", "off");
    function_start(fixture, 1);
    core_set_interrupt_handler(fixture->machine->cores[0], note_interrupt, NULL);
    pcie_msix_route(nic_function(fixture->nic, 1), 1, 0, 40);
    struct nic_filter all = {.queue = 1};
    cr_assert_eq(nic_receive_filter_set(fixture->nic, 0, 1, &all), OK);
    driver_start(driver, fixture, 1, 1, 60);
    run_for(100 * SIM_US);
}

static void send_every(struct nic_fixture *fixture, unsigned count, sim_time interval) {
    uint8_t bytes[1600];
    const uint32_t length_bytes = udp_frame(bytes, &to_vf0, 64);
    for (unsigned i = 0; i < count; i++) {
        far_send(fixture, bytes, length_bytes, NULL);
        run_for(interval);
    }
}

Test(nic_rx, interrupts_follow_the_write_back) {
    struct nic_fixture fixture;
    struct driver driver;
    struct memory_watch watch;
    interrupt_machine(&fixture, &driver);
    driver_poke(&driver, NIC_EIMS, 1u << 1);
    memory_watch_set(fixture.machine->memory, &watch, driver.rx_ring, note_time, NULL);
    send_every(&fixture, 1, 100 * SIM_US);
    cr_assert_eq(pin.count, 1);
    cr_expect_eq(pin.raised[0], written_at + pcie_serialize(driver.function->link, 24 + 4) + 300 * SIM_NS);
    send_every(&fixture, 3, 10 * SIM_US);
    cr_expect_eq(pin.count, 4, "one each without a throttle");
    nic_fixture_free(&fixture);
}

Test(nic_rx, throttled_interrupts_keep_their_distance) {
    struct nic_fixture fixture;
    struct driver driver;
    interrupt_machine(&fixture, &driver);
    driver_poke(&driver, NIC_EITR(1), 10 << NIC_EITR_INTERVAL_SHIFT); /* 20 us */
    driver_poke(&driver, NIC_EIMS, 1u << 1);
    send_every(&fixture, 40, 2 * SIM_US);
    run_for(100 * SIM_US);
    cr_expect_eq(pin.count, 5, "at 0, 20, 40, 60 and 80 us");
    for (unsigned i = 1; i < pin.count; i++) {
        cr_expect_eq(pin.raised[i] - pin.raised[i - 1], 20 * SIM_US);
    }
    nic_fixture_free(&fixture);
}

Test(nic_rx, a_masked_vector_remembers) {
    struct nic_fixture fixture;
    struct driver driver;
    interrupt_machine(&fixture, &driver);
    send_every(&fixture, 3, 10 * SIM_US);
    cr_expect_eq(pin.count, 0);
    driver_poke(&driver, NIC_EIMS, 1u << 1);
    run_for(10 * SIM_US);
    cr_expect_eq(pin.count, 1);
    driver_poke(&driver, NIC_EIMC, 1u << 1);
    send_every(&fixture, 3, 10 * SIM_US);
    cr_expect_eq(pin.count, 1);
    nic_fixture_free(&fixture);
}

Test(nic_rx, an_auto_masked_vector_fires_once) {
    struct nic_fixture fixture;
    struct driver driver;
    interrupt_machine(&fixture, &driver);
    driver_poke(&driver, NIC_EIAM, 1u << 1);
    driver_poke(&driver, NIC_EIMS, 1u << 1);
    send_every(&fixture, 3, 10 * SIM_US);
    cr_expect_eq(pin.count, 1);
    cr_expect_eq(driver_peek(&driver, NIC_EIMS), 0);
    driver_poke(&driver, NIC_EIMS, 1u << 1);
    run_for(10 * SIM_US);
    cr_expect_eq(pin.count, 2, "two packets came meanwhile");
    nic_fixture_free(&fixture);
}

/* A completed transmission is a cause if IVAR says so, and receiving if it does. */
Test(nic_rx, causes_are_what_ivar_maps) {
    static const struct flow from_pf = {1, FAR, 0x0a000002, 0x0a000001, 7, 1000};
    struct nic_fixture fixture;
    struct driver driver;
    uint8_t bytes[1600];
    nic_fixture_make(&fixture, "", "off");
    function_start(&fixture, 0);
    core_set_interrupt_handler(fixture.machine->cores[0], note_interrupt, NULL);
    pcie_msix_route(nic_function(fixture.nic, 0), 0, 0, 40);
    driver_start(&driver, &fixture, 0, 0, 0);
    driver_poke(&driver, NIC_EIMS, 1);
    const uint32_t length_bytes = udp_frame(bytes, &from_pf, 64);
    cr_expect_eq(driver_peek(&driver, NIC_IVAR(0)) & NIC_IVAR_TX_VALID(0), 0, "off after a reset");
    tx_post(&driver, bytes, length_bytes);
    tx_ring_doorbell(&driver);
    run_for(100 * SIM_US);
    cr_expect_eq(pin.count, 0);
    driver_poke(&driver, NIC_IVAR(0), NIC_IVAR_TX_VALID(0));
    cr_expect_eq(driver_peek(&driver, NIC_IVAR(0)) & 0xffff, NIC_IVAR_TX_VALID(0));
    tx_post(&driver, bytes, length_bytes);
    tx_ring_doorbell(&driver);
    run_for(100 * SIM_US);
    cr_expect_eq(pin.count, 1);
    nic_fixture_free(&fixture);
}
