/* test_flash_nvme.c: flash behind the NVMe controller. */
#include <stdio.h>

#include "tests/hw/nvme_fixture.h"

static struct nvme_fixture fixture;
static struct test_driver driver;

Test(flash_nvme, data_come_back_and_their_time_is_told) {
    nvme_fixture_make(&fixture,
                      "capacity: 1 GiB, media: {type: flash, channels: 2, chips: 1, page_size: 8 KiB, read: 40 us, "
                      "precondition: random, pages_per_block: 64}",
                      "on");
    driver_enable(&driver, &fixture, 0);
    driver_create_queue(&driver, 1, 16, 0);
    for (uint64_t i = 0; i < 200; i++) { /* of 6 KiB: units in part, and whole ones */
        fill_memory(&fixture, driver.data, 6144, i);
        cr_assert_eq(command_run(&driver, 1, io_command(&driver, NVME_WRITE, 1, 12 * i, 12, driver.data), NULL), 0);
    }
    const uint64_t to = driver.data + 65536;
    for (uint64_t i = 0; i < 200; i++) {
        cr_assert_eq(command_run(&driver, 1, io_command(&driver, NVME_READ, 1, 12 * i, 12, to), NULL), 0);
        cr_assert(memory_has(&fixture, to, 6144, i));
    }
    struct request *request = ledger_begin(fixture.ledger, fixture.driver, LEDGER_SERVICE, sim_now());
    const uint64_t cqe = driver.queues[1].cq + driver.queues[1].head * UINT64_C(16);
    (void)command_put(&driver, 1, io_command(&driver, NVME_READ, 1, 0, 8, to));
    pcie_mmio_write_for(fixture.machine->pcie, driver.registers + NVME_SQ_DOORBELL(1, 4), 4, driver.queues[1].tail,
                        request, fixture.driver);
    run_for(SIM_MS);
    cr_assert_eq(request->owner, fixture.ready);
    cr_assert_eq(request->spent[ledger_find("flash_array")][LEDGER_SERVICE], 40 * SIM_US);
    cr_assert_eq(request->spent[ledger_find("flash_channel")][LEDGER_SERVICE], 10240 * SIM_NS);
    cr_assert_eq(memory_alight(fixture.machine->memory, cqe), request);
    ledger_hand_over(request, fixture.ready, fixture.driver, LEDGER_SERVICE);
    ledger_end(request, fixture.driver, sim_now());
    nvme_fixture_free(&fixture);
}
