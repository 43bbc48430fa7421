/* test_pcie.c: sizes and rates of links, MMIO, interrupts. The machine's caches are
 * flat, so that every time is arithmetic. */
#include <math.h>

#include "tests/hw/pcie_fixture.h"

static struct probe probe;
static struct machine *machine;

static void set_up(const char *text) {
    const struct pcie_link_config config = gen3_x8();
    machine = make_machine(text);
    probe_make(&probe, machine, &config);
}

/* ---- sizes and rates ---- */

Test(pcie, sizes_follow_the_bandwidth_model) {
    set_up(NO_IOMMU);
    cr_expect_eq(pcie_write_bytes(probe.link, 8), 32);
    cr_expect_eq(pcie_write_bytes(probe.link, 256), 280);
    cr_expect_eq(pcie_write_bytes(probe.link, 257), 257 + 48);
    cr_expect_eq(pcie_read_request_bytes(probe.link, 512), 24);
    cr_expect_eq(pcie_read_request_bytes(probe.link, 2048), 96);
    cr_expect_eq(pcie_completion_bytes(probe.link, 8), 28);
    cr_expect_eq(pcie_completion_bytes(probe.link, 512), 552);
    cr_expect_eq(pcie_serialize(probe.link, 1000), gen3_x8_time(1000));
}

/* pcie-bench, effective rates by generation, lanes and payload: what acknowledgements
 * and credits leave to packets. */
Test(pcie, effective_rates_are_the_published_ones) {
    static const struct {
        uint64_t generation, lanes, max_payload;
        double gbps;
    } published[] = {{2, 8, 128, 27.58}, {2, 8, 256, 28.68}, {3, 4, 256, 29.07}, {3, 8, 256, 57.88}};
    set_up(NO_IOMMU);
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
        const struct pcie_link_config config = {published[i].generation, published[i].lanes, published[i].max_payload,
                                                512, 32};
        struct error error = {0};
        const struct pcie_link *link = pcie_link_create(machine->pcie, "l", &config, &error);
        const double gbps = 8e6 * 1e6 / (double)pcie_serialize(link, 1000000);
        cr_expect(fabs(gbps / published[i].gbps - 1.0) < 0.01, "gen%d x%d: %.2f", (int)config.generation,
                  (int)config.lanes, gbps);
    }
}

Test(pcie, links_that_do_not_exist_are_refused) {
    static const struct pcie_link_config bad[] = {
        {3, 3, 256, 512, 32}, {3, 0, 256, 512, 32},  {3, 32, 256, 512, 32}, {0, 8, 256, 512, 32}, {5, 8, 256, 512, 32},
        {3, 8, 100, 512, 32}, {3, 8, 8192, 512, 32}, {3, 8, 256, 300, 32},  {3, 8, 256, 512, 0},
    };
    set_up(NO_IOMMU);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct error error = {0};
        cr_expect(pcie_link_create(machine->pcie, "bad", &bad[i], &error) == NULL);
        cr_expect_eq(error.code, ERR_RANGE);
        cr_expect(strlen(error.text) > 0);
    }
}

/* ---- MMIO ---- */

Test(pcie, a_doorbell_takes_the_root_and_the_link) {
    set_up(NO_IOMMU);
    pcie_mmio_write(machine->pcie, probe.function.bar_address[0] + 24, 4, 77);
    sim_run(SIM_MS);
    cr_assert_eq(probe.count, 1);
    cr_expect_eq(probe.writes[0].when, MMIO_NS * SIM_NS + gen3_x8_time(24 + 4));
    cr_expect_eq(probe.writes[0].function, &probe.function);
    cr_expect_eq(probe.writes[0].bar, 0);
    cr_expect_eq(probe.writes[0].offset, 24);
    cr_expect_eq(probe.writes[0].value, 77);
}

Test(pcie, posted_writes_arrive_in_order_one_behind_the_other) {
    set_up(NO_IOMMU);
    pcie_mmio_write(machine->pcie, probe.function.bar_address[0], 8, 1);
    pcie_mmio_write(machine->pcie, probe.second.bar_address[1] + 8, 4, 2);
    pcie_mmio_write(machine->pcie, probe.function.bar_address[1], 4, 3);
    sim_run(SIM_MS);
    cr_assert_eq(probe.count, 3);
    for (unsigned i = 0; i < 3; i++) {
        cr_expect_eq(probe.writes[i].value, i + 1);
    }
    cr_expect_eq(probe.writes[0].when, MMIO_NS * SIM_NS + gen3_x8_time(32));
    cr_expect_eq(probe.writes[1].when, probe.writes[0].when + gen3_x8_time(28));
    cr_expect_eq(probe.writes[1].function, &probe.second);
    cr_expect_eq(probe.writes[1].bar, 1);
}

Test(pcie, what_is_no_bar_is_dropped_and_counted) {
    set_up(NO_IOMMU);
    const uint64_t base = probe.function.bar_address[0];
    const uint64_t end = probe.second.bar_address[1] + 4096;
    cr_expect_eq(base % 16384, 0);
    cr_expect_eq(probe.second.bar_address[0] % 16384, 0); /* behind a smaller one */
    cr_expect(!pcie_is_mmio(machine->pcie, base - 8) && pcie_is_mmio(machine->pcie, base));
    cr_expect(pcie_is_mmio(machine->pcie, end - 1) && !pcie_is_mmio(machine->pcie, end));
    pcie_mmio_write(machine->pcie, base - 8, 8, 1);
    pcie_mmio_write(machine->pcie, base + 16384 - 4, 8, 1); /* half of it beyond the BAR */
    pcie_mmio_write(machine->pcie, end, 4, 1);
    pcie_mmio_write(machine->pcie, UINT64_MAX - 3, 4, 1);
    cr_expect_eq(pcie_mmio_read(machine->pcie, end, 4), UINT64_MAX);
    sim_run(SIM_MS);
    cr_expect_eq(probe.count, 0);
    cr_expect_eq(counter_of(machine, "pcie", "mmio_unmapped"), 5);
}

Test(pcie, every_window_is_found) {
    set_up(NO_IOMMU);
    static struct probe others[9];
    const struct pcie_link_config config = gen3_x8();
    for (unsigned i = 0; i < 9; i++) {
        probe_make(&others[i], machine, &config);
    }
    for (unsigned i = 0; i < 9; i++) {
        const unsigned at = (i * 5) % 9; /* not in their order */
        cr_expect_eq(pcie_mmio_read(machine->pcie, others[at].second.bar_address[1] + 16, 4), 1016);
        pcie_poke(machine->pcie, others[at].function.bar_address[0] + 8, 8, i);
        cr_expect_eq(others[at].count, 1);
        cr_expect_eq(others[at].writes[0].offset, 8);
        cr_expect_eq(others[at].writes[0].when, 0);
    }
}

/* ---- MSI-X ---- */

static struct {
    unsigned count, core;
    uint32_t vector;
    sim_time when;
} interrupt;

static void interrupted(void *os, struct core *core, uint32_t vector, sim_time raised, sim_time awake) {
    (void)os, (void)awake;
    interrupt.count++;
    interrupt.core = core_index(core);
    interrupt.vector = vector;
    interrupt.when = raised;
}

static void set_up_interrupts(void) {
    set_up(NO_IOMMU);
    for (unsigned i = 0; i < machine->core_count; i++) {
        core_set_interrupt_handler(machine->cores[i], interrupted, NULL);
    }
}

Test(pcie, an_interrupt_is_a_message_to_its_core) {
    set_up_interrupts();
    pcie_msix_route(&probe.function, 100, 1, 42);
    pcie_msix_raise(&probe.function, 100);
    pcie_msix_route(&probe.function, 100, 0, 43); /* too late for the one under way */
    sim_run(SIM_MS);
    cr_assert_eq(interrupt.count, 1);
    cr_expect_eq(interrupt.core, 1);
    cr_expect_eq(interrupt.vector, 42);
    cr_expect_eq(interrupt.when, gen3_x8_time(24 + 4) + MSI_NS * SIM_NS);
    cr_expect_eq(counter_of(machine, "probe.pf", "interrupts"), 1);
}

Test(pcie, an_interrupt_does_not_overtake_the_data) {
    static struct transfer write;
    uint64_t frames = UINT64_C(32) << 20;
    struct error error = {0};
    set_up(WITH_IOMMU); /* a page walk delays the data, and not the message */
    core_set_interrupt_handler(machine->cores[0], interrupted, NULL);
    struct iommu_domain *domain = iommu_domain_create(machine->iommu, next_frame, &frames, &error);
    cr_assert_eq(iommu_map(domain, 0x1000, 0x50000, 4096, IOMMU_WRITE), OK);
    cr_assert_eq(iommu_attach(machine->iommu, probe.function.requester_id, domain), OK);
    pcie_msix_route(&probe.function, 0, 0, 7);
    transfer_make(&write, &probe.function, true, 0x1000, 64);
    dma_submit(&write.op);
    pcie_msix_raise(&probe.function, 0);
    sim_run(SIM_MS);
    cr_assert_eq(interrupt.count, 1);
    cr_expect_gt(write.done, gen3_x8_time(88 + 28) + MSI_NS * SIM_NS);
    cr_expect_eq(interrupt.when, write.done);
}

Test(pcie, a_masked_interrupt_stays_pending) {
    set_up_interrupts();
    pcie_msix_route(&probe.function, 3, 0, 9);
    pcie_msix_mask(&probe.function, 3, true);
    pcie_msix_raise(&probe.function, 3);
    pcie_msix_raise(&probe.function, 3);
    sim_run(SIM_US);
    cr_expect_eq(interrupt.count, 0);
    pcie_msix_mask(&probe.function, 3, false);
    pcie_msix_mask(&probe.function, 3, false);
    sim_run(2 * SIM_US);
    cr_expect_eq(interrupt.count, 1); /* one pending bit */
}
