/* test_null.c: the template works, and is not noticed when idle. */
#include "tests/hw/pcie_fixture.h"

static const char with_null[] = "memory: {size: 64 MiB}\n"
                                "iommu: {mode: off}\n"
                                "devices:\n"
                                "  - {name: idle, type: \"null\", initial_value: 5}\n";

static struct pcie_function *function_at(struct machine *machine) {
    return machine_device(machine, "idle")->state; /* its first member */
}

Test(null, its_register_keeps_what_is_written) {
    struct machine *machine = make_machine(with_null);
    const uint64_t bar = function_at(machine)->bar_address[0];
    cr_expect_eq(pcie_mmio_read(machine->pcie, bar, 8), 5);
    pcie_mmio_write(machine->pcie, bar, 8, 99);
    pcie_mmio_write(machine->pcie, bar + 8, 8, 1); /* no register there: counted all the same */
    sim_run(SIM_MS);
    cr_expect_eq(pcie_mmio_read(machine->pcie, bar, 8), 99);
    cr_expect_eq(pcie_mmio_read(machine->pcie, bar + 8, 8), 0);
    cr_expect_eq(counter_of(machine, "idle", "reads"), 3);
    cr_expect_eq(counter_of(machine, "idle", "writes"), 2);
    machine_reset_stats(machine);
    cr_expect_eq(counter_of(machine, "idle", "reads"), 0);
    machine_free(machine);
}

Test(null, a_request_that_rings_it_ends_there) {
    static const struct ledger_declaration app = {"app", NULL, "Application", "pcie"};
    const ledger_component owner = ledger_declare(&app);
    struct machine *machine = make_machine(with_null);
    struct ledger *ledger = ledger_create("ring");
    struct request *request = ledger_begin(ledger, owner, LEDGER_SERVICE, 0);
    pcie_mmio_write_for(machine->pcie, function_at(machine)->bar_address[0], 8, 1, request, owner);
    sim_run(SIM_MS);
    cr_expect_eq(ledger_live(ledger), 0);
}

/* The time at which a probe's transfer ends in a machine. */
static sim_time transfer_time(const char *text) {
    static struct probe probe;
    static struct transfer read;
    const struct pcie_link_config config = gen3_x8();
    struct machine *machine = make_machine(text);
    probe_make(&probe, machine, &config);
    transfer_make(&read, &probe.function, false, 0x10000, 2048);
    const sim_time start = sim_now();
    dma_submit(&read.op);
    sim_run(start + SIM_MS);
    return read.done - start;
}

Test(null, an_idle_one_changes_no_time) {
    const sim_time without = transfer_time("memory: {size: 64 MiB}\niommu: {mode: off}\n");
    const sim_time with = transfer_time(with_null);
    cr_expect_gt(without, 0);
    cr_expect_eq(with, without);
}
