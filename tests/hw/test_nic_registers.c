/* test_nic_registers.c: who reaches which register, what nonsense does: nothing,
 * and it is counted. */
#include "hw/nic/nic_internal.h"
#include "tests/hw/nic_fixture.h"

static struct driver handle(struct nic_fixture *fixture, uint32_t function) {
    struct driver driver = {.fixture = fixture, .function = nic_function(fixture->nic, function)};
    return driver;
}

static uint64_t bad(const struct nic_fixture *fixture, const char *instance) {
    return nic_counter(fixture, instance, "bad_register_accesses");
}

Test(nic_registers, rings_read_back_what_was_written) {
    struct nic_fixture fixture;
    nic_fixture_make(&fixture, "", "off");
    function_start(&fixture, 0);
    function_start(&fixture, 1);
    struct driver physical = handle(&fixture, 0);
    struct driver virtual = handle(&fixture, 1);
    const struct {
        struct driver *driver;
        uint64_t base;
    } rings[] = {{&physical, NIC_RX_QUEUE_BASE(5)}, {&physical, NIC_RX_QUEUE_BASE_HIGH(100)},
                 {&physical, NIC_TX_QUEUE_BASE(5)}, {&physical, NIC_TX_QUEUE_BASE(100)},
                 {&virtual, NIC_RX_QUEUE_BASE(1)},  {&virtual, NIC_VF_TX_QUEUE_BASE(1)}};
    for (size_t i = 0; i < sizeof rings / sizeof rings[0]; i++) {
        struct driver *driver = rings[i].driver;
        driver_poke(driver, rings[i].base + NIC_QUEUE_BAL, 0x12345600);
        driver_poke(driver, rings[i].base + NIC_QUEUE_BAH, 0x9a);
        driver_poke(driver, rings[i].base + NIC_QUEUE_LEN, 4096);
        driver_poke(driver, rings[i].base + NIC_QUEUE_CTL, NIC_QUEUE_CTL_ENABLE);
        cr_expect_eq(driver_peek(driver, rings[i].base + NIC_QUEUE_BAL), 0x12345600);
        cr_expect_eq(driver_peek(driver, rings[i].base + NIC_QUEUE_BAH), 0x9a);
        cr_expect_eq(driver_peek(driver, rings[i].base + NIC_QUEUE_LEN), 4096);
        cr_expect_eq(driver_peek(driver, rings[i].base + NIC_QUEUE_CTL), (uint32_t)NIC_QUEUE_CTL_ENABLE);
        cr_expect_eq(driver_peek(driver, rings[i].base + NIC_QUEUE_HEAD), 0);
        driver_poke(driver, rings[i].base + NIC_QUEUE_BAL, 0); /* not while it is on */
        cr_expect_eq(driver_peek(driver, rings[i].base + NIC_QUEUE_BAL), 0x12345600);
    }
    cr_expect_eq(bad(&fixture, "nic.pf"), 4);
    cr_expect_eq(bad(&fixture, "nic.vf0"), 2);
    nic_fixture_free(&fixture);
}

/* Queue 1 of virtual function 1 is 3 on the card. */
Test(nic_registers, a_function_reaches_its_own_queues_alone) {
    struct nic_fixture fixture;
    nic_fixture_make(&fixture, "", "off");
    function_start(&fixture, 0);
    function_start(&fixture, 2);
    struct driver physical = handle(&fixture, 0);
    struct driver virtual = handle(&fixture, 2);
    driver_poke(&virtual, NIC_RX_QUEUE_BASE(1) + NIC_QUEUE_LEN, 2048);
    cr_expect_eq(nic_of(fixture.nic)->queues[3].rx.ring.length_bytes, 2048);
    driver_poke(&virtual, NIC_RX_QUEUE_BASE(2) + NIC_QUEUE_LEN, 2048);
    driver_poke(&virtual, NIC_VF_TX_QUEUE_BASE(2) + NIC_QUEUE_TAIL, 5);
    cr_expect_eq(bad(&fixture, "nic.vf1"), 2, "it has two");
    driver_poke(&physical, NIC_RX_QUEUE_BASE(3) + NIC_QUEUE_LEN, 1024);
    cr_expect_eq(driver_peek(&physical, NIC_RX_QUEUE_BASE(3) + NIC_QUEUE_LEN), UINT32_MAX);
    cr_expect_eq(bad(&fixture, "nic.pf"), 2, "it was given away");
    nic_function_enable(fixture.nic, 2, false);
    driver_poke(&physical, NIC_RX_QUEUE_BASE(3) + NIC_QUEUE_LEN, 1024);
    cr_expect_eq(driver_peek(&physical, NIC_RX_QUEUE_BASE(3) + NIC_QUEUE_LEN), 1024, "and is back");
    nic_fixture_free(&fixture);
}

Test(nic_registers, a_virtual_function_sets_no_rates) {
    struct nic_fixture fixture;
    nic_fixture_make(&fixture, "", "off");
    function_start(&fixture, 1);
    struct pcie_function *virtual = nic_function(fixture.nic, 1);
    cr_expect_gt(NIC_RATE_SELECT, NIC_VF_BAR_BYTES, "they are not even in its BAR");
    nic_sriov_ops.mmio_write(fixture.nic, virtual, 0, NIC_RATE_SELECT, 4, 0, NULL);
    nic_sriov_ops.mmio_write(fixture.nic, virtual, 0, NIC_RATE_FACTOR, 4, NIC_RATE_ENABLE | 1 << 20, NULL);
    nic_sriov_ops.mmio_write(fixture.nic, virtual, 0, NIC_CREDIT, 4, 100, NULL);
    cr_expect_eq(nic_of(fixture.nic)->queues[0].tx.rate_factor, 0);
    cr_expect_eq(bad(&fixture, "nic.vf0"), 3);
    nic_fixture_free(&fixture);
}

Test(nic_registers, nonsense_is_counted_and_changes_nothing) {
    struct nic_fixture fixture;
    nic_fixture_make(&fixture, "", "off");
    function_start(&fixture, 0);
    struct driver driver = handle(&fixture, 0);
    struct pcie_root *pcie = fixture.machine->pcie;
    const uint64_t bar = driver.function->bar_address[0];
    pcie_poke(pcie, bar + NIC_RX_QUEUE_BASE(0) + NIC_QUEUE_LEN, 8, 1024);     /* 64 bits */
    pcie_poke(pcie, bar + NIC_RX_QUEUE_BASE(0) + NIC_QUEUE_LEN + 2, 4, 1024); /* not aligned */
    pcie_poke(pcie, bar + NIC_RX_QUEUE_BASE(0) + 0x3c, 4, 1024);              /* no such field */
    pcie_poke(pcie, bar + 0x1fffc, 4, 1024);                                  /* no such register */
    pcie_poke(pcie, bar + NIC_RATE_SELECT, 4, 128);                           /* no such queue */
    pcie_poke(pcie, bar + NIC_RATE_FACTOR, 4, NIC_RATE_ENABLE);
    cr_expect_eq(driver_peek(&driver, 0x1fffc), UINT32_MAX);
    cr_expect_eq(driver_peek(&driver, NIC_RX_QUEUE_BASE(0) + NIC_QUEUE_LEN), 0);
    cr_expect_eq(bad(&fixture, "nic.pf"), 7);
    nic_fixture_free(&fixture);
}

Test(nic_registers, a_ring_that_is_none_cannot_be_enabled) {
    static const struct {
        uint32_t base, length;
    } wrong[] = {{0x1000, 0}, {0x1000, 1000}, {0x1000, 63 * 16}, {0x1000, 4097 * 16}, {0x1010, 1024}};
    struct nic_fixture fixture;
    nic_fixture_make(&fixture, "", "off");
    function_start(&fixture, 0);
    struct driver driver = handle(&fixture, 0);
    const uint64_t rings[] = {NIC_RX_QUEUE_BASE(0), NIC_TX_QUEUE_BASE(0)};
    for (size_t i = 0; i < 2 * sizeof wrong / sizeof wrong[0]; i++) {
        driver_poke(&driver, rings[i % 2] + NIC_QUEUE_BAL, wrong[i / 2].base);
        driver_poke(&driver, rings[i % 2] + NIC_QUEUE_LEN, wrong[i / 2].length);
        driver_poke(&driver, rings[i % 2] + NIC_QUEUE_CTL, NIC_QUEUE_CTL_ENABLE);
        cr_expect_eq(driver_peek(&driver, rings[i % 2] + NIC_QUEUE_CTL), 0);
    }
    cr_expect_eq(bad(&fixture, "nic.pf"), 2 * sizeof wrong / sizeof wrong[0]);
    nic_fixture_free(&fixture);
}

Test(nic_registers, a_doorbell_outside_the_ring_or_on_a_queue_that_is_off_does_nothing) {
    struct nic_fixture fixture;
    struct driver driver;
    nic_fixture_make(&fixture, "", "off");
    function_start(&fixture, 1);
    driver_start(&driver, &fixture, 1, 0, 0);
    struct request *request = ledger_begin(fixture.ledger, fixture.driver, LEDGER_SERVICE, 0);
    pcie_mmio_write_for(fixture.machine->pcie, driver.function->bar_address[0] + driver.tx_base + NIC_QUEUE_TAIL, 4, 64,
                        request, fixture.driver);
    driver_poke(&driver, driver.rx_base + NIC_QUEUE_TAIL, UINT32_MAX);
    driver_poke(&driver, NIC_VF_TX_QUEUE_BASE(1) + NIC_QUEUE_TAIL, 1);
    run_for(10 * SIM_US);
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "doorbells"), 3);
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "bad_doorbells"), 3);
    cr_expect_eq(nic_counter(&fixture, "nic.vf0", "dma_reads"), 0);
    cr_expect_eq(ledger_live(fixture.ledger), 0, "the request on it was given up");
    nic_fixture_free(&fixture);
}

Test(nic_registers, a_function_that_is_off_answers_nothing) {
    struct nic_fixture fixture;
    nic_fixture_make(&fixture, "", "off");
    struct driver driver = handle(&fixture, 3);
    cr_expect_eq(driver_peek(&driver, NIC_RX_QUEUE_BASE(0) + NIC_QUEUE_CTL), UINT32_MAX);
    driver_poke(&driver, NIC_RX_QUEUE_BASE(0) + NIC_QUEUE_LEN, 1024);
    cr_expect_eq(bad(&fixture, "nic.vf2"), 2);
    cr_expect_eq(nic_of(fixture.nic)->queues[4].rx.ring.length_bytes, 0);
    nic_fixture_free(&fixture);
}

Test(nic_registers, vectors_are_by_word) {
    struct nic_fixture fixture;
    nic_fixture_make(&fixture, "", "off");
    function_start(&fixture, 0);
    struct driver driver = handle(&fixture, 0);
    driver_poke(&driver, NIC_EIMS, 0x80000001);
    driver_poke(&driver, NIC_EIMS + 4, 2);
    driver_poke(&driver, NIC_EIMS_EX(3), 0x80000000);
    const struct nic *nic = nic_of(fixture.nic);
    for (uint32_t i = 0; i < 128; i++) {
        cr_expect_eq(nic->queues[i].vector.enabled, i == 0 || i == 31 || i == 33 || i == 127, "vector %u", i);
    }
    cr_expect_eq(driver_peek(&driver, NIC_EIMS), 0x80000001);
    cr_expect_eq(driver_peek(&driver, NIC_EIMS_EX(1)), 2);
    driver_poke(&driver, NIC_EIMC, 1);
    driver_poke(&driver, NIC_EIMC_EX(3), UINT32_MAX);
    cr_expect_eq(driver_peek(&driver, NIC_EIMS), 0x80000000);
    cr_expect_eq(driver_peek(&driver, NIC_EIMS_EX(3)), 0);
    driver_poke(&driver, NIC_EITR_HIGH(127), UINT32_MAX);
    cr_expect_eq(driver_peek(&driver, NIC_EITR_HIGH(127)), 0x1ff << 3);
    nic_fixture_free(&fixture);
}

Test(nic_registers, the_card_says_what_it_is) {
    struct nic_fixture fixture;
    nic_fixture_make(&fixture, "virtual_functions: 255, queues: 1024, queues_per_function: 4, filtering: header",
                     "off");
    cr_expect_eq(nic_virtual_functions(fixture.nic), 255);
    cr_expect_eq(nic_queues_per_function(fixture.nic), 4);
    cr_expect_eq(nic_filter_mode(fixture.nic), NIC_FILTER_HEADER);
    cr_expect_eq(nic_line_rate(fixture.nic), UINT64_C(10000000000));
    cr_expect(nic_function(fixture.nic, 255) != NULL);
    cr_expect(nic_function(fixture.nic, 256) == NULL);
    nic_fixture_free(&fixture);
}

Test(nic_registers, more_functions_than_queues_are_refused) {
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct config *config =
        config_parse("m.yaml", "devices:\n  - {name: nic, type: nic/sriov, virtual_functions: 65}\n", &diagnostics);
    cr_expect(!machine_create(config_root(config), NULL, &diagnostics));
    cr_assert_eq(diagnostics.errors, 1);
    cr_expect(strstr(diagnostics.items[0].text, "need 130; the card has 128") != NULL, "%s", diagnostics.items[0].text);
    diagnostics_free(&diagnostics);
    config_free(config);
}
