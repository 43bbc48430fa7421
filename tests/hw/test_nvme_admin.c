/* Registers, admin commands, interrupts, events: controllers as drivers meet them. */
#include "tests/hw/nvme_fixture.h"

#define FAST "media: {type: low_latency, read_latency: 6 us, write_latency: 5 us}"

static struct nvme_fixture fixture;
static struct test_driver driver;

static uint64_t word(uint64_t physical) {
    return memory_read64(fixture.machine->memory, physical);
}
static uint32_t half(uint64_t physical) {
    return memory_read32(fixture.machine->memory, physical);
}
static uint8_t byte(uint64_t physical) {
    return *memory_at(fixture.machine->memory, physical);
}

static uint32_t admin(struct nvme_sqe sqe, uint32_t *result) {
    return command_run(&driver, 0, sqe, result);
}

static uint32_t identify(uint32_t what, uint32_t nsid) {
    memory_fill(fixture.machine->memory, driver.data, 0xee, 4096);
    return admin(
        (struct nvme_sqe){
            .opcode = NVME_ADMIN_IDENTIFY, .nsid = nsid, .prp1 = driver.data + driver.offset, .dword10 = what},
        NULL);
}

Test(nvme_admin, registers_say_what_the_controller_is) {
    nvme_fixture_make(&fixture, "queue_entries: 256, doorbell_stride: 4096 B, " FAST, "off");
    driver_enable(&driver, &fixture, 0);
    struct pcie_root *root = fixture.machine->pcie;
    const uint64_t cap = pcie_mmio_read(root, driver.registers + NVME_REG_CAP, 8);
    cr_assert_eq(cap & 0xffff, 255, "MQES");
    cr_assert_eq(cap >> 32 & 0xf, 10, "4 << 10 is 4096");
    cr_assert_eq(cap >> 37 & 1, 1, "the NVM command set");
    cr_assert_eq(cap >> 48, 0, "pages of 4 KiB alone");
    cr_assert_eq(drive_register(&driver, NVME_REG_VS), 0x10400);
    cr_assert_eq(pcie_mmio_read(root, driver.registers + NVME_REG_ASQ, 8), driver.queues[0].sq);
    drive_poke(&driver, NVME_REG_ASQ, 8, 0);
    cr_assert_eq(pcie_mmio_read(root, driver.registers + NVME_REG_ASQ, 8), driver.queues[0].sq, "not while it is on");
    driver_create_queue(&driver, 1, 256, 0);
    cr_assert_eq(command_run(&driver, 1, io_command(&driver, NVME_READ, 1, 0, 1, driver.data), NULL), NVME_SUCCESS);
    drive_poke(&driver, NVME_REG_CC, 4, 0);
    cr_assert_eq(drive_register(&driver, NVME_REG_CSTS), 0);
    drive_poke(&driver, NVME_REG_CC, 4, NVME_CC_ON | 1 << NVME_CC_MPS_SHIFT);
    cr_assert_eq(drive_register(&driver, NVME_REG_CSTS), NVME_CSTS_FATAL, "pages of 8 KiB");
    nvme_fixture_free(&fixture);
}

Test(nvme_admin, identify) {
    nvme_fixture_make(&fixture, "capacity: 1 GiB, block: 4 KiB, virtual_functions: 2, namespaces: 8, " FAST, "on");
    driver_enable(&driver, &fixture, 0);
    cr_assert_eq(identify(NVME_CNS_CONTROLLER, 0), NVME_SUCCESS);
    cr_assert_eq(byte(driver.data + NVME_ID_MDTS), 5, "128 KiB");
    cr_assert_eq(half(driver.data + NVME_ID_VERSION), 0x10400);
    cr_assert_eq(byte(driver.data + NVME_ID_SQES), 0x66);
    cr_assert_eq(byte(driver.data + NVME_ID_CQES), 0x44);
    cr_assert_eq(half(driver.data + NVME_ID_NN), 8);
    cr_assert_eq(byte(driver.data + NVME_ID_OACS) & 8, 8);
    cr_assert_eq(byte(driver.data + NVME_ID_VWC) & 1, 0);
    cr_assert_eq(identify(NVME_CNS_NAMESPACE, 1), NVME_SUCCESS);
    cr_assert_eq(word(driver.data + NVME_NS_SIZE), 1 << 18);
    cr_assert_eq(half(driver.data + NVME_NS_LBAF0) >> 16, 12);
    cr_assert_eq(identify(NVME_CNS_NAMESPACE, 2), NVME_SUCCESS);
    cr_assert_eq(word(driver.data + NVME_NS_SIZE), 0, "an inactive one: zeroes");
    cr_assert_eq(identify(NVME_CNS_NAMESPACE, 9), NVME_INVALID_NAMESPACE);
    cr_assert_eq(identify(0x77, 0), NVME_INVALID_FIELD);
    cr_assert_eq(identify(NVME_CNS_ACTIVE_NAMESPACES, 0), NVME_SUCCESS);
    cr_assert_eq(word(driver.data), 1, "NSID 1, then none");
    cr_assert_eq(identify(NVME_CNS_ACTIVE_NAMESPACES, 1), NVME_SUCCESS);
    cr_assert_eq(word(driver.data), 0);
    driver_enable(&driver, &fixture, 2);
    cr_assert_eq(identify(NVME_CNS_CONTROLLER, 0), NVME_SUCCESS);
    cr_assert_eq(byte(driver.data + NVME_ID_CNTLID), 2);
    cr_assert_eq(byte(driver.data + NVME_ID_OACS), 0, "no namespace management");
    cr_assert_eq(identify(NVME_CNS_ACTIVE_NAMESPACES, 0), NVME_SUCCESS);
    cr_assert_eq(word(driver.data), 0, "nothing is attached");
    cr_assert_eq(admin((struct nvme_sqe){.opcode = NVME_ADMIN_IDENTIFY, .prp1 = 0x1000, .dword10 = 1}, NULL),
                 NVME_DATA_TRANSFER_ERROR);
    nvme_fixture_free(&fixture);
}

static uint32_t create(uint8_t opcode, uint32_t queue, uint32_t entries, uint32_t dword11, uint64_t offset) {
    return admin((struct nvme_sqe){.opcode = opcode,
                                   .prp1 = driver.data + driver.offset + offset,
                                   .dword10 = (entries - 1) << 16 | queue,
                                   .dword11 = dword11},
                 NULL);
}

Test(nvme_admin, queues_are_created_and_deleted_with_checks) {
    nvme_fixture_make(&fixture, "physical_queues: 4, queue_entries: 64, " FAST, "off");
    driver_enable(&driver, &fixture, 0);
    enum { CQ = NVME_ADMIN_CREATE_CQ, SQ = NVME_ADMIN_CREATE_SQ };
    cr_assert_eq(create(SQ, 1, 8, 1 << 16 | 1, 0), NVME_CQ_INVALID, "no such CQ yet");
    cr_assert_eq(create(CQ, 0, 8, 1, 0), NVME_INVALID_QUEUE_ID);
    cr_assert_eq(create(CQ, 5, 8, 1, 0), NVME_INVALID_QUEUE_ID);
    cr_assert_eq(create(CQ, 1, 1, 1, 0), NVME_INVALID_QUEUE_SIZE);
    cr_assert_eq(create(CQ, 1, 65, 1, 0), NVME_INVALID_QUEUE_SIZE);
    cr_assert_eq(create(CQ, 1, 8, 0, 0), NVME_INVALID_FIELD, "not contiguous");
    cr_assert_eq(create(CQ, 1, 8, 1, 64), NVME_PRP_OFFSET_INVALID);
    cr_assert_eq(create(CQ, 1, 8, 5 << 16 | 3, 0), NVME_INVALID_VECTOR);
    cr_assert_eq(create(CQ, 1, 8, 1, 0), NVME_SUCCESS);
    cr_assert_eq(create(CQ, 1, 8, 1, 0), NVME_INVALID_QUEUE_ID, "it is there");
    cr_assert_eq(create(SQ, 1, 8, 5 << 16 | 1, 0), NVME_INVALID_QUEUE_ID, "no such CQ at all");
    cr_assert_eq(create(SQ, 2, 8, 1 << 16 | 1, 4096), NVME_SUCCESS);
    cr_assert_eq(create(SQ, 3, 8, 1 << 16 | 1, 8192), NVME_SUCCESS, "two on one CQ");
    const struct nvme_sqe delete_cq = {.opcode = NVME_ADMIN_DELETE_CQ, .dword10 = 1};
    struct nvme_sqe delete_sq = {.opcode = NVME_ADMIN_DELETE_SQ, .dword10 = 2};
    cr_assert_eq(admin(delete_cq, NULL), NVME_INVALID_QUEUE_DELETION);
    cr_assert_eq(admin(delete_sq, NULL), NVME_SUCCESS);
    cr_assert_eq(admin(delete_sq, NULL), NVME_INVALID_QUEUE_ID);
    delete_sq.dword10 = 3;
    cr_assert_eq(admin(delete_sq, NULL), NVME_SUCCESS);
    cr_assert_eq(admin(delete_cq, NULL), NVME_SUCCESS);
    cr_assert_eq(admin(delete_cq, NULL), NVME_INVALID_QUEUE_ID);
    cr_assert_eq(admin((struct nvme_sqe){.opcode = 0x7f}, NULL), NVME_INVALID_OPCODE);
    nvme_fixture_free(&fixture);
}

/* A queue is deleted when what is under way in it has been completed. */
Test(nvme_admin, deletion_waits_for_commands_under_way) {
    nvme_fixture_make(&fixture, FAST, "off");
    driver_enable(&driver, &fixture, 0);
    driver_create_queue(&driver, 1, 16, 0);
    for (int i = 0; i < 10; i++) {
        (void)command_put(&driver, 1, io_command(&driver, NVME_READ, 1, 0, 8, driver.data));
    }
    doorbell_ring(&driver, 1);
    run_for(3 * SIM_US); /* fetched, on the medium */
    cr_assert_eq(admin((struct nvme_sqe){.opcode = NVME_ADMIN_DELETE_SQ, .dword10 = 1}, NULL), NVME_SUCCESS);
    struct nvme_cqe cqe;
    int completed = 0;
    while (completion_take(&driver, 1, &cqe)) {
        completed++;
    }
    cr_assert_eq(completed, 10);
    nvme_fixture_free(&fixture);
}

Test(nvme_admin, a_reset_forgets_what_is_under_way) {
    nvme_fixture_make(&fixture, FAST, "off");
    driver_enable(&driver, &fixture, 0);
    driver_create_queue(&driver, 1, 64, 0);
    for (sim_time when = 0; when < 20 * SIM_US; when += 500 * SIM_NS) {
        for (uint32_t i = 0; i < 20; i++) {
            (void)command_put(&driver, 1, io_command(&driver, NVME_WRITE, 1, 8 * i, 8, driver.data));
        }
        doorbell_ring(&driver, 1);
        run_for(when);
        drive_poke(&driver, NVME_REG_CC, 4, 0);
        driver_enable(&driver, &fixture, 0);
        memory_fill(fixture.machine->memory, driver.queues[0].cq, 0, 4096);
        driver_create_queue(&driver, 1, 64, 0);
        memory_fill(fixture.machine->memory, driver.queues[1].cq, 0, 4096);
        cr_assert_eq(command_run(&driver, 1, io_command(&driver, NVME_READ, 1, 0, 8, driver.data), NULL), NVME_SUCCESS);
    }
    cr_assert_gt(nvme_counters(fixture.nvme, 0)->aborted, 100);
    nvme_fixture_free(&fixture);
}

Test(nvme_admin, features) {
    nvme_fixture_make(&fixture, "write_cache: volatile, physical_queues: 4, " FAST, "off");
    driver_enable(&driver, &fixture, 0);
    uint32_t result = 0;
    struct nvme_sqe set = {.opcode = NVME_ADMIN_SET_FEATURES, .dword10 = NVME_FEATURE_QUEUES, .dword11 = 0x00070007};
    struct nvme_sqe get = {.opcode = NVME_ADMIN_GET_FEATURES, .dword10 = NVME_FEATURE_QUEUES};
    cr_assert_eq(admin(set, &result), NVME_SUCCESS);
    cr_assert_eq(result, 0x00030003, "four are what there is");
    set.dword11 = 0xffff;
    cr_assert_eq(admin(set, &result), NVME_INVALID_FIELD);
    get.dword10 = NVME_FEATURE_WRITE_CACHE;
    cr_assert_eq(admin(get, &result), NVME_SUCCESS);
    cr_assert_eq(result, 1);
    set.dword10 = NVME_FEATURE_WRITE_CACHE, set.dword11 = 0;
    cr_assert_eq(admin(set, NULL), NVME_SUCCESS);
    cr_assert_eq(admin(get, &result), NVME_SUCCESS);
    cr_assert_eq(result, 0);
    set.dword10 |= UINT32_C(1) << 31;
    cr_assert_eq(admin(set, NULL), NVME_FEATURE_NOT_SAVEABLE);
    set.dword10 = 0x7f;
    cr_assert_eq(admin(set, NULL), NVME_INVALID_FIELD);
    driver_create_queue(&driver, 1, 16, 0);
    set.dword10 = NVME_FEATURE_QUEUES, set.dword11 = 0x00070007;
    cr_assert_eq(admin(set, NULL), NVME_COMMAND_SEQUENCE_ERROR, "queues exist");
    nvme_fixture_free(&fixture);
    nvme_fixture_make(&fixture, FAST, "off");
    driver_enable(&driver, &fixture, 0);
    cr_assert_eq(admin(get, &result), NVME_INVALID_FIELD, "there is no volatile cache");
    nvme_fixture_free(&fixture);
}

/* ---- interrupts ---- */

static unsigned interrupts;
static uint32_t last_vector;

static void interrupt(void *os, struct core *core, uint32_t vector, sim_time raised, sim_time awake) {
    (void)os, (void)core, (void)raised, (void)awake;
    interrupts++;
    last_vector = vector;
}

static void read_some(uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        (void)command_put(&driver, 1, io_command(&driver, NVME_READ, 1, 8 * i, 8, driver.data));
    }
    doorbell_ring(&driver, 1);
    run_for(SIM_MS);
    struct nvme_cqe cqe;
    for (uint32_t i = 0; i < count; i++) {
        cr_assert(completion_take(&driver, 1, &cqe));
    }
}

Test(nvme_admin, completions_interrupt_by_their_vector_unless_it_is_masked) {
    nvme_fixture_make(&fixture, FAST, "off");
    core_set_interrupt_handler(fixture.machine->cores[1], interrupt, NULL);
    driver_enable(&driver, &fixture, 0);
    driver_create_queue(&driver, 1, 64, 2);
    struct pcie_function *function = nvme_function(fixture.nvme, 0);
    pcie_msix_route(function, 2, 1, 77);
    read_some(3);
    cr_assert_eq(interrupts, 3);
    cr_assert_eq(last_vector, 77);
    pcie_msix_mask(function, 2, true);
    read_some(3);
    cr_assert_eq(interrupts, 3);
    pcie_msix_mask(function, 2, false);
    run_for(SIM_MS);
    cr_assert_eq(interrupts, 4, "what was pending");
    const struct nvme_sqe coalesce = {
        .opcode = NVME_ADMIN_SET_FEATURES, .dword10 = NVME_FEATURE_COALESCING, .dword11 = 1 << 8 | 3};
    cr_assert_eq(admin(coalesce, NULL), NVME_SUCCESS);
    read_some(10);
    cr_assert_eq(interrupts, 7, "four, four, and two when the time has passed");
    const struct nvme_sqe except = {
        .opcode = NVME_ADMIN_SET_FEATURES, .dword10 = NVME_FEATURE_VECTOR, .dword11 = 1 << 16 | 2};
    cr_assert_eq(admin(except, NULL), NVME_SUCCESS);
    read_some(2);
    cr_assert_eq(interrupts, 9);
    nvme_fixture_free(&fixture);
}

/* ---- events ---- */

Test(nvme_admin, an_invalid_doorbell_is_an_event) {
    nvme_fixture_make(&fixture, FAST, "off");
    driver_enable(&driver, &fixture, 0);
    const struct nvme_sqe wait = {.opcode = NVME_ADMIN_ASYNC_EVENT};
    const uint16_t first = command_put(&driver, 0, wait);
    for (int i = 0; i < 3; i++) {
        (void)command_put(&driver, 0, wait);
    }
    doorbell_ring(&driver, 0);
    run_for(SIM_MS);
    struct nvme_cqe cqe;
    cr_assert_not(completion_take(&driver, 0, &cqe), "they wait");
    cr_assert_eq(admin(wait, NULL), NVME_EVENT_LIMIT_EXCEEDED, "the fifth");
    drive_poke(&driver, NVME_SQ_DOORBELL(7, 4), 4, 1);
    run_for(SIM_MS);
    cr_assert(completion_take(&driver, 0, &cqe));
    cr_assert(cqe.command_id >= first && cqe.command_id < first + 4);
    cr_assert_eq(cqe.result, NVME_EVENT_INVALID_DOORBELL << 8 | NVME_LOG_ERRORS << 16);
    drive_poke(&driver, NVME_SQ_DOORBELL(0, 4), 4, 1000);
    run_for(SIM_MS);
    cr_assert_not(completion_take(&driver, 0, &cqe), "not before the log has been read");
    const struct nvme_sqe log = {
        .opcode = NVME_ADMIN_GET_LOG_PAGE, .prp1 = driver.data, .dword10 = 255 << 16 | NVME_LOG_ERRORS};
    cr_assert_eq(admin(log, NULL), NVME_SUCCESS);
    cr_assert_eq(word(driver.data), 2, "the newest error first");
    cr_assert_eq(word(driver.data + 64), 1);
    drive_poke(&driver, NVME_SQ_DOORBELL(0, 4), 4, 1000);
    run_for(SIM_MS);
    cr_assert(completion_take(&driver, 0, &cqe));
    cr_assert_eq(cqe.result >> 8 & 0xff, NVME_EVENT_INVALID_DOORBELL_VALUE);
    cr_assert_eq(nvme_counters(fixture.nvme, 0)->bad_doorbells, 3);
    nvme_fixture_free(&fixture);
}

Test(nvme_admin, a_command_in_the_rate_limit_can_be_aborted) {
    nvme_fixture_make(&fixture, FAST, "off");
    driver_enable(&driver, &fixture, 0);
    driver_create_queue(&driver, 1, 16, 0);
    const struct nvme_rate rate = {.commands_per_s = 10};
    cr_assert_eq(nvme_set_rate(fixture.nvme, 0, &rate), OK);
    (void)command_put(&driver, 1, io_command(&driver, NVME_READ, 1, 0, 8, driver.data));
    const uint16_t second = command_put(&driver, 1, io_command(&driver, NVME_READ, 1, 0, 8, driver.data));
    doorbell_ring(&driver, 1);
    run_for(SIM_MS);
    struct nvme_cqe cqe;
    cr_assert(completion_take(&driver, 1, &cqe));
    cr_assert_not(completion_take(&driver, 1, &cqe));
    uint32_t result = 7;
    const struct nvme_sqe abort = {.opcode = NVME_ADMIN_ABORT, .dword10 = (uint32_t)second << 16 | 1};
    cr_assert_eq(admin(abort, &result), NVME_SUCCESS);
    cr_assert_eq(result, 0);
    cr_assert(completion_take(&driver, 1, &cqe));
    cr_assert_eq(status_of(&cqe), NVME_ABORT_REQUESTED);
    cr_assert_eq(admin(abort, &result), NVME_SUCCESS);
    cr_assert_eq(result, 1, "there is none");
    nvme_fixture_free(&fixture);
}
