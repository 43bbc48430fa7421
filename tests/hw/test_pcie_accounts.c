/* test_pcie_accounts.c: what the ledger and the links' accounts say of PCIe. */
#include "tests/hw/pcie_fixture.h"

static struct probe probe;
static struct machine *machine;

static void set_up(const char *text) {
    const struct pcie_link_config config = gen3_x8();
    machine = make_machine(text);
    probe_make(&probe, machine, &config);
}

static sim_time sum_of(const struct ledger *ledger, const char *name, enum ledger_kind kind) {
    return (sim_time)ledger_sum(ledger, ledger_find(name), kind);
}

Test(pcie_accounts, the_ledger_follows_every_stage) {
    static const struct ledger_declaration device = {"nic", NULL, "NIC", "pcie"};
    static struct transfer ahead, read;
    uint64_t frames = UINT64_C(32) << 20;
    struct error error = {0};
    const ledger_component nic = ledger_declare(&device);
    set_up("memory: {size: 64 MiB}\ncache: {llc_cycles: 22 cycles, dram_latency: 80 ns}\n"
           "iommu: {mode: on, walk_overhead: 230 ns, walk_cache_entries: 0}\n");
    struct iommu_domain *domain = iommu_domain_create(machine->iommu, next_frame, &frames, &error);
    cr_assert_eq(iommu_map(domain, 0x1000, 0x50000, 4096, IOMMU_READ | IOMMU_WRITE), OK);
    cr_assert_eq(iommu_attach(machine->iommu, probe.function.requester_id, domain), OK);
    struct ledger *ledger = ledger_create("dma");
    ledger_record(ledger, true);
    struct request *request = ledger_begin(ledger, nic, LEDGER_SERVICE, 0);
    transfer_make(&ahead, &probe.second, true, 0x9000, 256); /* is refused, but is on the link before */
    transfer_make(&read, &probe.function, false, 0x1000, 64);
    read.op.request = request;
    read.op.owner = nic;
    dma_submit(&ahead.op);
    dma_submit(&read.op);
    sim_run(SIM_MS);
    ledger_end(request, nic, read.done);
    cr_assert_eq(ledger_completed(ledger), 1);
    const sim_time waiting = sum_of(ledger, "dma_read", LEDGER_WAITING);
    const sim_time walk = sum_of(ledger, "dma_read_iotlb_miss", LEDGER_SERVICE);
    const sim_time dram = sum_of(ledger, "dma_read_dram_miss", LEDGER_SERVICE);
    const sim_time service = sum_of(ledger, "dma_read", LEDGER_SERVICE);
    cr_expect_eq(waiting, gen3_x8_time(280));
    cr_expect_gt(walk, 230 * SIM_NS);
    cr_expect_eq(dram, 80 * SIM_NS);
    cr_expect_eq(service, gen3_x8_time(24) + READ_NS * SIM_NS + gen3_x8_time(84));
    cr_expect_eq(waiting + walk + dram + service, read.done);
    cr_expect_eq(ledger_audit(ledger, SIM_MS), 0);
}

Test(pcie_accounts, a_doorbell_carries_a_request) {
    static const struct ledger_declaration device = {"nic", NULL, "NIC", "pcie"};
    static const struct ledger_declaration app = {"app", NULL, "Application", "pcie"};
    const ledger_component nic = ledger_declare(&device);
    const ledger_component owner = ledger_declare(&app);
    set_up(NO_IOMMU);
    struct ledger *ledger = ledger_create("ring");
    ledger_record(ledger, true);
    struct request *rung = ledger_begin(ledger, owner, LEDGER_SERVICE, 0);
    struct request *lost = ledger_begin(ledger, owner, LEDGER_SERVICE, 0);
    pcie_mmio_write(machine->pcie, probe.function.bar_address[0], 8, 0); /* is on the link before it */
    pcie_mmio_write_for(machine->pcie, probe.function.bar_address[0], 4, 1, rung, owner);
    pcie_mmio_write_for(machine->pcie, 0x1000, 4, 1, lost, owner); /* memory, no BAR */
    sim_run(SIM_MS);
    cr_assert_eq(probe.count, 2);
    cr_expect_eq(probe.writes[1].request, rung);
    ledger_hand_over_at(rung, ledger_find("doorbell"), nic, LEDGER_SERVICE, probe.writes[1].when);
    ledger_end(rung, nic, probe.writes[1].when);
    cr_expect_eq(sum_of(ledger, "doorbell", LEDGER_WAITING), gen3_x8_time(32));
    cr_expect_eq(sum_of(ledger, "doorbell", LEDGER_SERVICE), MMIO_NS * SIM_NS + gen3_x8_time(28));
    cr_expect_eq(ledger_live(ledger), 0);
    const struct ledger_drop *drops = NULL;
    cr_assert_eq(ledger_drops(ledger, &drops), 1);
    cr_expect_eq(drops[0].owner, ledger_find("doorbell"));
}

struct account {
    const char *resource;
    sim_time busy, elapsed;
};

static void take_account(void *context, const char *resource, const struct usage *usage) {
    struct account *account = context;
    if (strcmp(resource, account->resource) != 0) {
        return;
    }
    struct usage closed = *usage;
    usage_close(&closed, sim_now());
    account->elapsed = usage_elapsed(&closed);
    for (size_t i = 1; i < LEDGER_COMPONENTS_MAX; i++) {
        account->busy += closed.spent[i];
    }
    cr_expect_eq(account->busy + closed.spent[0], account->elapsed);
}

static struct account account_of(const char *resource) {
    struct account account = {resource, 0, 0};
    const struct stats_sink sink = {&account, NULL, take_account};
    machine_visit_stats(machine, &sink);
    return account;
}

Test(pcie_accounts, busy_and_idle_are_the_elapsed_time) {
    static struct transfer reads[4];
    set_up(NO_IOMMU);
    for (unsigned i = 0; i < 4; i++) {
        transfer_make(&reads[i], &probe.function, false, 0x10000, 4096);
        dma_submit(&reads[i].op);
    }
    const sim_time crossing = gen3_x8_time(16 * 20 + 4096);
    const sim_time half = gen3_x8_time(24) + READ_NS * SIM_NS + crossing / 2; /* in the middle of the first */
    sim_run(half);
    struct account down = account_of("probe.pcie_down");
    cr_expect_eq(down.busy, crossing / 2);
    cr_expect_eq(down.elapsed, sim_now());
    machine_reset_stats(machine);
    const sim_time reset = sim_now();
    cr_expect_eq(account_of("probe.pcie_down").busy, 0);
    sim_run(SIM_MS);
    down = account_of("probe.pcie_down");
    cr_expect_eq(down.busy, 4 * crossing - crossing / 2);
    cr_expect_eq(down.elapsed, sim_now() - reset);
    cr_expect_eq(counter_of(machine, "probe.pf", "dma_reads"), 4);
    machine_reset_stats(machine);
    cr_expect_eq(counter_of(machine, "probe.pf", "dma_reads"), 0);
}
