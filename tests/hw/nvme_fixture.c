#include "tests/hw/nvme_fixture.h"

#include <stdio.h>

enum { ADMIN_ENTRIES = 32 };

void nvme_fixture_make(struct nvme_fixture *fixture, const char *settings, const char *iommu_mode) {
    static const struct ledger_declaration driver = {"driver", "cpu", "Driver", NULL};
    char text[2048];
    memset(fixture, 0, sizeof *fixture);
    (void)snprintf(text, sizeof text,
                   "memory: {size: 512 MiB}\n"
                   "core: {count: 2}\n"
                   "cache: {model: flat}\n"
                   "iommu: {mode: %s}\n"
                   "devices:\n"
                   "  - {name: ssd, type: nvme, %s}\n",
                   iommu_mode, settings);
    fixture->machine = make_machine(text);
    fixture->driver = ledger_declare(&driver);
    fixture->ready = ledger_find("ready");
    fixture->nvme = machine_device(fixture->machine, "ssd");
    fixture->iommu = strcmp(iommu_mode, "on") == 0;
    fixture->table_frames = UINT64_C(384) << 20;
    fixture->ledger = ledger_create("io");
    ledger_record(fixture->ledger, true);
}

/* What is under way ends first: nobody takes events back. */
void nvme_fixture_free(struct nvme_fixture *fixture) {
    run_for(10 * SIM_S);
    (void)ledger_audit(fixture->ledger, sim_now());
    machine_free(fixture->machine);
    ledger_free(fixture->ledger);
}

void run_for(sim_time duration);

/* ---- registers ---- */

uint32_t drive_register(const struct test_driver *driver, uint64_t offset) {
    return (uint32_t)pcie_mmio_read(driver->fixture->machine->pcie, driver->registers + offset, 4);
}

void drive_poke(const struct test_driver *driver, uint64_t offset, uint32_t size_bytes, uint64_t value) {
    pcie_poke(driver->fixture->machine->pcie, driver->registers + offset, size_bytes, value);
}

/* ---- set-up ---- */

static void map_region(struct nvme_fixture *fixture, const struct test_driver *driver, uint16_t requester) {
    struct error error = {0};
    struct iommu *iommu = fixture->machine->iommu;
    struct iommu_domain *domain = iommu_domain_create(iommu, next_frame, &fixture->table_frames, &error);
    cr_assert(domain != NULL, "%s", error.text);
    cr_assert_eq(iommu_map(domain, driver->region + NVME_IOVA_OFFSET, driver->region, NVME_REGION_BYTES,
                           IOMMU_READ | IOMMU_WRITE),
                 OK);
    cr_assert_eq(iommu_attach(iommu, requester, domain), OK);
}

static void queue_init(struct nvme_fixture *fixture, struct test_queue *queue, uint64_t at, uint32_t entries) {
    memory_fill(fixture->machine->memory, at + (UINT64_C(128) << 10), 0, (size_t)entries * NVME_CQE_BYTES);
    *queue = (struct test_queue){.sq = at, .cq = at + (UINT64_C(128) << 10), .entries = entries, .phase = true};
}

void driver_enable(struct test_driver *driver, struct nvme_fixture *fixture, uint32_t function) {
    const struct pcie_function *pcie = nvme_function(fixture->nvme, function);
    memset(driver, 0, sizeof *driver);
    driver->fixture = fixture;
    driver->function = function;
    driver->region = NVME_REGION_BYTES * (function + 1);
    driver->offset = fixture->iommu ? NVME_IOVA_OFFSET : 0;
    driver->registers = pcie->bar_address[0];
    driver->stride = nvme_doorbell_stride(fixture->nvme);
    driver->data = driver->region + (UINT64_C(2) << 20);
    if (function > 0) {
        nvme_function_enable(fixture->nvme, function, true);
    }
    if (fixture->iommu) {
        map_region(fixture, driver, pcie->requester_id);
    }
    queue_init(fixture, &driver->queues[0], driver->region, ADMIN_ENTRIES);
    drive_poke(driver, NVME_REG_CC, 4, 0);
    drive_poke(driver, NVME_REG_AQA, 4, (ADMIN_ENTRIES - 1) << 16 | (ADMIN_ENTRIES - 1));
    drive_poke(driver, NVME_REG_ASQ, 8, driver->queues[0].sq + driver->offset);
    drive_poke(driver, NVME_REG_ACQ, 8, driver->queues[0].cq + driver->offset);
    drive_poke(driver, NVME_REG_CC, 4, NVME_CC_ON);
    cr_assert_eq(drive_register(driver, NVME_REG_CSTS), NVME_CSTS_READY);
}

void driver_create_queue(struct test_driver *driver, uint16_t number, uint32_t entries, uint16_t vector) {
    struct test_queue *queue = &driver->queues[number];
    queue_init(driver->fixture, queue, driver->region + number * (UINT64_C(256) << 10), entries);
    const uint32_t dword10 = (entries - 1) << 16 | number;
    const struct nvme_sqe cq = {.opcode = NVME_ADMIN_CREATE_CQ,
                                .prp1 = queue->cq + driver->offset,
                                .dword10 = dword10,
                                .dword11 = (uint32_t)vector << 16 | NVME_QUEUE_CONTIGUOUS |
                                           (vector > 0 ? NVME_CQ_INTERRUPTS : 0)};
    const struct nvme_sqe sq = {.opcode = NVME_ADMIN_CREATE_SQ,
                                .prp1 = queue->sq + driver->offset,
                                .dword10 = dword10,
                                .dword11 = (uint32_t)number << 16 | NVME_QUEUE_CONTIGUOUS};
    cr_assert_eq(command_run(driver, 0, cq, NULL), NVME_SUCCESS);
    cr_assert_eq(command_run(driver, 0, sq, NULL), NVME_SUCCESS);
}

/* ---- commands ---- */

uint16_t command_put(struct test_driver *driver, uint16_t number, struct nvme_sqe sqe) {
    struct test_queue *queue = &driver->queues[number];
    sqe.command_id = driver->next_id++;
    memory_write(driver->fixture->machine->memory, queue->sq + (uint64_t)queue->tail * NVME_SQE_BYTES, &sqe,
                 sizeof sqe);
    queue->tail = (queue->tail + 1) % queue->entries;
    return sqe.command_id;
}

void doorbell_ring(struct test_driver *driver, uint16_t number) {
    drive_poke(driver, NVME_SQ_DOORBELL(number, driver->stride), 4, driver->queues[number].tail);
}

bool completion_take(struct test_driver *driver, uint16_t number, struct nvme_cqe *cqe) {
    struct test_queue *queue = &driver->queues[number];
    memory_read(driver->fixture->machine->memory, queue->cq + (uint64_t)queue->head * NVME_CQE_BYTES, cqe, sizeof *cqe);
    if ((cqe->status & NVME_CQE_PHASE) != (queue->phase ? 1 : 0)) {
        return false;
    }
    queue->head = (queue->head + 1) % queue->entries;
    queue->phase = queue->head == 0 ? !queue->phase : queue->phase;
    queue->sq_head = cqe->sq_head;
    drive_poke(driver, NVME_CQ_DOORBELL(number, driver->stride), 4, queue->head);
    return true;
}

uint32_t command_run(struct test_driver *driver, uint16_t number, struct nvme_sqe sqe, uint32_t *result) {
    struct nvme_cqe cqe = {0};
    const uint16_t id = command_put(driver, number, sqe);
    doorbell_ring(driver, number);
    bool done = false;
    for (int i = 0; i < 1000000 && !(done = completion_take(driver, number, &cqe)); i++) {
        run_for(100 * SIM_NS);
    }
    cr_assert(done, "opcode 0x%02x does not end", sqe.opcode);
    cr_assert_eq(cqe.command_id, id);
    cr_assert_eq(cqe.sq_id, number);
    if (result != NULL) {
        *result = cqe.result;
    }
    return status_of(&cqe);
}

void describe_data(const struct test_driver *driver, struct nvme_sqe *sqe, uint64_t physical, uint64_t bytes,
                   uint64_t list) {
    struct memory *memory = driver->fixture->machine->memory;
    const uint64_t first = NVME_PAGE_BYTES - physical % NVME_PAGE_BYTES;
    sqe->prp1 = physical + driver->offset;
    sqe->prp2 = 0;
    if (bytes <= first) {
        return;
    }
    uint64_t at = physical + first;
    uint64_t pages = (bytes - first + NVME_PAGE_BYTES - 1) / NVME_PAGE_BYTES;
    if (pages == 1) {
        sqe->prp2 = at + driver->offset;
        return;
    }
    sqe->prp2 = list + driver->offset;
    while (pages > 0) {
        if (list % NVME_PAGE_BYTES == NVME_PAGE_BYTES - 8 && pages > 1) { /* the next list: the page behind */
            memory_write64(memory, list, list + 8 + driver->offset);
            list += 8;
        }
        memory_write64(memory, list, at + driver->offset);
        list += 8;
        at += NVME_PAGE_BYTES;
        pages--;
    }
}

struct nvme_sqe io_command(const struct test_driver *driver, uint8_t opcode, uint32_t nsid, uint64_t block,
                           uint32_t blocks, uint64_t physical) {
    struct nvme_sqe sqe = {.opcode = opcode,
                           .nsid = nsid,
                           .dword10 = (uint32_t)block,
                           .dword11 = (uint32_t)(block >> 32),
                           .dword12 = blocks - 1};
    describe_data(driver, &sqe, physical, (uint64_t)blocks * nvme_block_bytes(driver->fixture->nvme),
                  driver->region + (UINT64_C(3) << 20) + 4096 - 24);
    return sqe;
}

/* ---- patterns ---- */

static uint8_t pattern(uint64_t seed, uint64_t at) {
    return (uint8_t)((seed + at) * 2654435761U >> 11);
}

void fill_memory(struct nvme_fixture *fixture, uint64_t physical, uint64_t bytes, uint64_t seed) {
    for (uint64_t i = 0; i < bytes; i++) {
        *memory_at(fixture->machine->memory, physical + i) = pattern(seed, i);
    }
}

bool memory_has(struct nvme_fixture *fixture, uint64_t physical, uint64_t bytes, uint64_t seed) {
    for (uint64_t i = 0; i < bytes; i++) {
        uint8_t byte = 0;
        memory_read(fixture->machine->memory, physical + i, &byte, 1);
        if (byte != pattern(seed, i)) {
            return false;
        }
    }
    return true;
}
