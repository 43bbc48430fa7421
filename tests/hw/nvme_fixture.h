/* nvme_fixture.h: a machine with one NVMe drive, and drivers of a few lines that do
 * with queues what real ones do. Function f's memory is a region of its own; with the
 * IOMMU on it sees it, and nothing else, at physical + IOVA_OFFSET. */
#ifndef STILLSUIT_TESTS_HW_NVME_FIXTURE_H
#define STILLSUIT_TESTS_HW_NVME_FIXTURE_H

#include "hw/nvme/nvme.h"
#include "tests/hw/pcie_fixture.h"

#define NVME_IOVA_OFFSET UINT64_C(0x40000000)
#define NVME_REGION_BYTES (UINT64_C(4) << 20)
enum { QUEUE_ENTRIES_DEFAULT = 64, QUEUES_MAX = 4, COMPLETIONS_MAX = 4096 };

struct nvme_fixture {
    struct machine *machine;
    struct device *nvme;
    struct ledger *ledger;
    ledger_component driver, ready;
    uint64_t table_frames;
    bool iommu;
};

struct test_queue {
    uint64_t sq, cq; /* physical */
    uint32_t entries, tail, head, sq_head;
    bool phase;
};

/* A function as its driver sees it. Queue 0 is the admin queue. */
struct test_driver {
    struct nvme_fixture *fixture;
    uint32_t function;
    uint64_t region, offset; /* physical; what the device adds */
    uint64_t registers, stride;
    uint64_t data; /* physical: free for buffers from here, page-aligned */
    struct test_queue queues[QUEUES_MAX];
    uint16_t next_id;
};

/* `settings` is put into the drive's entry. */
void nvme_fixture_make(struct nvme_fixture *fixture, const char *settings, const char *iommu_mode);
void nvme_fixture_free(struct nvme_fixture *fixture);

/* Brings a function on line, maps its region and enables its controller. */
void driver_enable(struct test_driver *driver, struct nvme_fixture *fixture, uint32_t function);
/* Creates queue pair `queue`, by admin commands; with interrupts if `vector` > 0. */
void driver_create_queue(struct test_driver *driver, uint16_t queue, uint32_t entries, uint16_t vector);

/* Writes a command into the next entry; no doorbell. Returns its id. */
uint16_t command_put(struct test_driver *driver, uint16_t queue, struct nvme_sqe sqe);
void doorbell_ring(struct test_driver *driver, uint16_t queue);
/* Takes the next completion; false: none. Rings the CQ's doorbell (poked). */
bool completion_take(struct test_driver *driver, uint16_t queue, struct nvme_cqe *cqe);
/* One command and its completion: runs until it is there. Returns the status. */
uint32_t command_run(struct test_driver *driver, uint16_t queue, struct nvme_sqe sqe, uint32_t *result);
static inline uint32_t status_of(const struct nvme_cqe *cqe) {
    return cqe->status >> NVME_CQE_STATUS_SHIFT & NVME_CQE_STATUS_MASK;
}

/* A Read or Write at the driver's buffer `physical` (within its first two pages). */
struct nvme_sqe io_command(const struct test_driver *driver, uint8_t opcode, uint32_t nsid, uint64_t block,
                           uint32_t blocks, uint64_t physical);
/* Data of `bytes` at `physical`, by consecutive pages: fills PRPs, with a list at
 * `list` (physical) where one is due. */
void describe_data(const struct test_driver *driver, struct nvme_sqe *sqe, uint64_t physical, uint64_t bytes,
                   uint64_t list);
void fill_memory(struct nvme_fixture *fixture, uint64_t physical, uint64_t bytes, uint64_t seed);
bool memory_has(struct nvme_fixture *fixture, uint64_t physical, uint64_t bytes, uint64_t seed);
uint32_t drive_register(const struct test_driver *driver, uint64_t offset);
void drive_poke(const struct test_driver *driver, uint64_t offset, uint32_t size_bytes, uint64_t value);
/* Runs for a time from now. */
void run_for(sim_time duration);

#endif
