/* test_pit.c: the interval timer interrupts when it should, and only then. */
#include "tests/hw/pcie_fixture.h"

enum { PERIOD = 0x00, CONTROL = 0x08, COUNT = 0x10 };

static unsigned count;
static sim_time times[16];

static void interrupted(void *os, struct core *core, uint32_t vector, sim_time raised, sim_time awake) {
    (void)os, (void)core, (void)awake;
    cr_assert_eq(vector, 32);
    cr_assert_lt(count, 16);
    times[count++] = raised;
}

static struct machine *machine;
static uint64_t bar;

/* 3 MHz: a tick is no whole number of femtoseconds. */
static void set_up(void) {
    machine = make_machine("memory: {size: 64 MiB}\n"
                           "devices: [{name: timer, type: timer/pit, clock: 3 MHz}]\n");
    struct pcie_function *function = machine_device(machine, "timer")->state; /* its first member */
    core_set_interrupt_handler(machine->cores[0], interrupted, NULL);
    pcie_msix_route(function, 0, 0, 32);
    bar = function->bar_address[0];
}

static void write_register(uint64_t offset, uint64_t value) {
    pcie_poke(machine->pcie, bar + offset, 8, value);
}

static sim_time message(void) {
    return gen3_x8_time(24 + 4) + 300 * SIM_NS;
}

Test(pit, one_shot_expires_once) {
    set_up();
    write_register(PERIOD, 30);
    write_register(CONTROL, 1);
    sim_run(4 * SIM_US);
    cr_expect_eq(pcie_mmio_read(machine->pcie, bar + COUNT, 8), 18); /* 12 ticks are 4 us */
    sim_run(SIM_MS);
    cr_assert_eq(count, 1);
    cr_expect_eq(times[0], 10 * SIM_US + message());
    cr_expect_eq(pcie_mmio_read(machine->pcie, bar + CONTROL, 8), 0);
    cr_expect_eq(pcie_mmio_read(machine->pcie, bar + COUNT, 8), 0);
    cr_expect_eq(counter_of(machine, "timer.pf", "interrupts"), 1);
}

Test(pit, periodic_does_not_drift) {
    set_up();
    write_register(PERIOD, 7);
    write_register(CONTROL, 3);
    sim_run(12 * 7 * SIM_US / 3 + SIM_US);
    cr_assert_eq(count, 12);
    for (uint64_t i = 0; i < count; i++) {
        cr_expect_eq(times[i], (i + 1) * 7 * SIM_US / 3 + message());
    }
}

Test(pit, it_stops_and_starts_anew) {
    set_up();
    write_register(PERIOD, 30);
    write_register(CONTROL, 3);
    sim_run(9 * SIM_US);
    write_register(CONTROL, 3); /* again, from here */
    sim_run(18 * SIM_US);
    cr_expect_eq(count, 0);
    write_register(CONTROL, 0);
    sim_run(SIM_MS);
    cr_expect_eq(count, 0);
}

Test(pit, without_a_period_it_stands) {
    set_up();
    write_register(CONTROL, 3);
    sim_run(SIM_MS);
    cr_expect_eq(count, 0);
}
