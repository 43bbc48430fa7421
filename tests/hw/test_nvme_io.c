/* Reads and writes through queues: data, time, faults. */
#include <stdio.h>

#include "hw/media/block_store.h"
#include "sim/random.h"
#include "tests/hw/nvme_fixture.h"

#define FAST "media: {type: low_latency, read_latency: 6 us, write_latency: 5 us, partition_rate: 1000 MB/s}"
#define DRIVE "capacity: 1 GiB, command_processing: 1 us, " FAST

static struct nvme_fixture fixture;
static struct test_driver driver;

Test(nvme_io, what_was_written_is_read_back_through_prp_lists_that_cross_pages) {
    static const struct {
        uint32_t blocks;
        uint64_t offset;
    } cases[] = {{1, 0}, {1, 3584}, {8, 0}, {8, 4}, {16, 8}, {17, 512}, {24, 0}, {256, 0}, {256, 2048}, {255, 4092}};
    nvme_fixture_make(&fixture, DRIVE, "on");
    driver_enable(&driver, &fixture, 0);
    driver_create_queue(&driver, 1, 16, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const uint64_t from = driver.data + cases[i].offset;
        const uint64_t to = driver.data + (512 << 10) + 4096 - (cases[i].offset & 0xffc);
        const uint64_t bytes = cases[i].blocks * UINT64_C(512);
        fill_memory(&fixture, from, bytes, 7 + i);
        memory_fill(fixture.machine->memory, driver.data + (512 << 10), 0, 512 << 10);
        const struct nvme_sqe write = io_command(&driver, NVME_WRITE, 1, 1000 * i, cases[i].blocks, from);
        cr_assert_eq(command_run(&driver, 1, write, NULL), NVME_SUCCESS, "case %zu", i);
        const struct nvme_sqe read = io_command(&driver, NVME_READ, 1, 1000 * i, cases[i].blocks, to);
        cr_assert_eq(command_run(&driver, 1, read, NULL), NVME_SUCCESS, "case %zu", i);
        cr_assert(memory_has(&fixture, to, bytes, 7 + i), "case %zu", i);
        uint8_t beyond = 0;
        memory_read(fixture.machine->memory, to + bytes, &beyond, 1);
        cr_assert_eq(beyond, 0, "nothing is written behind the buffer");
    }
    nvme_fixture_free(&fixture);
}

Test(nvme_io, more_pages_than_a_list_holds_go_on_in_the_next) {
    nvme_fixture_make(&fixture, "max_transfer: 1 MiB, " DRIVE, "off");
    driver_enable(&driver, &fixture, 0);
    driver_create_queue(&driver, 1, 16, 0);
    fill_memory(&fixture, driver.data, 1 << 20, 3);
    /* The fixture's list begins three entries before a page's end. */
    cr_assert_eq(command_run(&driver, 1, io_command(&driver, NVME_WRITE, 1, 77, 2048, driver.data), NULL), 0);
    memory_fill(fixture.machine->memory, driver.data, 0, 1 << 20);
    cr_assert_eq(command_run(&driver, 1, io_command(&driver, NVME_READ, 1, 77, 2048, driver.data), NULL), 0);
    cr_assert(memory_has(&fixture, driver.data, 1 << 20, 3));
    nvme_fixture_free(&fixture);
}

/* ---- exact time ---- */

static sim_time cqe_written_at;

static void cqe_written(void *context) {
    (void)context;
    cqe_written_at = sim_now();
}

/* One 4 KiB read, and where its time goes: doorbell, fetch, processing, medium, data
 * and completion, each from the link's and the root's arithmetic. */
Test(nvme_io, a_read_takes_the_sum_of_its_stages) {
    nvme_fixture_make(&fixture, DRIVE, "off");
    driver_enable(&driver, &fixture, 0);
    driver_create_queue(&driver, 1, 16, 0);
    cr_assert_eq(command_run(&driver, 1, io_command(&driver, NVME_WRITE, 1, 0, 8, driver.data), NULL), NVME_SUCCESS);
    const sim_time start = sim_now();
    struct request *request = ledger_begin(fixture.ledger, fixture.driver, LEDGER_SERVICE, start);
    (void)command_put(&driver, 1, io_command(&driver, NVME_READ, 1, 0, 8, driver.data));
    struct memory_watch watch = {0};
    const uint64_t cqe = driver.queues[1].cq + driver.queues[1].head * UINT64_C(16);
    memory_watch_set(fixture.machine->memory, &watch, cqe & ~UINT64_C(63), cqe_written, NULL);
    pcie_mmio_write_for(fixture.machine->pcie, driver.registers + NVME_SQ_DOORBELL(1, 4), 4, driver.queues[1].tail,
                        request, fixture.driver);
    run_for(100 * SIM_US);
    const sim_time doorbell = MMIO_NS * SIM_NS + gen3_x8_time(4 + 24);
    const sim_time fetch = gen3_x8_time(24) + READ_NS * SIM_NS + gen3_x8_time(64 + 20);
    const sim_time processing = SIM_US;
    const sim_time medium = 6 * SIM_US + 4096 * SIM_NS;
    /* Data: 16 packets; the completion's follows on the link and is visible behind it. */
    const sim_time data = gen3_x8_time(4096 + 16 * 24) + gen3_x8_time(16 + 24) + WRITE_NS * SIM_NS;
    const sim_time sum = doorbell + fetch + processing + medium + data;
    const sim_time error = cqe_written_at - start > sum ? cqe_written_at - start - sum : sum - (cqe_written_at - start);
    cr_assert_leq(error, 8, "%llu instead of %llu fs", (unsigned long long)(cqe_written_at - start),
                  (unsigned long long)sum); /* each gen3_x8_time is rounded down */
    cr_assert_eq(request->owner, fixture.ready);
    cr_assert_eq(memory_alight(fixture.machine->memory, cqe), request);
    cr_assert_eq(request->spent[ledger_find("nvme_processing")][LEDGER_SERVICE], processing);
    cr_assert_eq(request->spent[ledger_find("media")][LEDGER_SERVICE], medium);
    cr_assert_eq(request->spent[ledger_find("media")][LEDGER_WAITING], 0);
    cr_assert_eq(request->spent[ledger_find("nvme_queue")][LEDGER_WAITING], 0);
    cr_assert_eq(request->spent[ledger_find("doorbell")][LEDGER_SERVICE], doorbell);
    ledger_hand_over(request, fixture.ready, fixture.driver, LEDGER_SERVICE);
    ledger_end(request, fixture.driver, sim_now());
    cr_assert_eq(ledger_completed(fixture.ledger), 1);
    nvme_fixture_free(&fixture);
}

/* Several commands for one doorbell: requests boarded at their entries. */
Test(nvme_io, requests_ride_at_their_entries) {
    enum { COMMANDS = 10 };
    struct request *requests[COMMANDS];
    nvme_fixture_make(&fixture, DRIVE, "on");
    driver_enable(&driver, &fixture, 0);
    driver_create_queue(&driver, 1, 16, 0);
    for (uint32_t i = 0; i < COMMANDS; i++) {
        requests[i] = ledger_begin(fixture.ledger, fixture.driver, LEDGER_SERVICE, sim_now());
        requests[i]->tag = i;
        const uint64_t entry = driver.queues[1].sq + (uint64_t)driver.queues[1].tail * NVME_SQE_BYTES;
        memory_board(fixture.machine->memory, entry, requests[i]);
        (void)command_put(&driver, 1, io_command(&driver, NVME_READ, 1, 8 * i, 8, driver.data));
    }
    const uint16_t first_id = (uint16_t)(driver.next_id - COMMANDS);
    doorbell_ring(&driver, 1);
    run_for(SIM_MS);
    for (uint32_t i = 0; i < COMMANDS; i++) {
        struct nvme_cqe cqe;
        const uint64_t at = driver.queues[1].cq + (uint64_t)driver.queues[1].head * NVME_CQE_BYTES;
        cr_assert(completion_take(&driver, 1, &cqe));
        struct request *request = memory_alight(fixture.machine->memory, at);
        cr_assert_not_null(request);
        cr_assert_eq(request->tag, (uint64_t)(cqe.command_id - first_id), "the right one");
        cr_assert_eq(request->owner, fixture.ready);
        ledger_hand_over(request, fixture.ready, fixture.driver, LEDGER_SERVICE);
        ledger_end(request, fixture.driver, sim_now());
    }
    cr_assert_eq(ledger_completed(fixture.ledger), COMMANDS);
    nvme_fixture_free(&fixture);
}

/* ---- what is wrong gets the specification's status ---- */

Test(nvme_io, what_is_wrong_gets_its_status) {
    nvme_fixture_make(&fixture, "virtual_functions: 1, namespaces: 8, default_namespace: false, " DRIVE, "on");
    struct nvme_sqe sqe;
    uint32_t a = 0;
    uint32_t b = 0;
    cr_assert_eq(nvme_namespace_allocate(fixture.nvme, 1000, &a), OK);
    cr_assert_eq(nvme_namespace_allocate(fixture.nvme, 1000, &b), OK);
    driver_enable(&driver, &fixture, 1);
    driver_create_queue(&driver, 1, 16, 0);
    cr_assert_eq(nvme_namespace_attach(fixture.nvme, 1, a, NVME_RIGHT_READ | NVME_RIGHT_WRITE), OK);
#define RUN(...) command_run(&driver, 1, io_command(&driver, __VA_ARGS__), NULL)
    cr_assert_eq(RUN(NVME_WRITE, a, 992, 8, driver.data), NVME_SUCCESS);
    cr_assert_eq(RUN(NVME_WRITE, a, 993, 8, driver.data), NVME_LBA_OUT_OF_RANGE);
    cr_assert_eq(RUN(NVME_READ, a, 1000, 1, driver.data), NVME_LBA_OUT_OF_RANGE);
    cr_assert_eq(RUN(NVME_READ, a, UINT64_MAX, 8, driver.data), NVME_LBA_OUT_OF_RANGE, "it does not wrap");
    cr_assert_eq(RUN(NVME_READ, b, 0, 8, driver.data), NVME_INVALID_FIELD, "not attached: inactive");
    cr_assert_eq(RUN(NVME_READ, 5, 0, 8, driver.data), NVME_INVALID_FIELD, "does not exist: inactive");
    cr_assert_eq(RUN(NVME_READ, 9, 0, 8, driver.data), NVME_INVALID_NAMESPACE);
    cr_assert_eq(RUN(NVME_READ, 0, 0, 8, driver.data), NVME_INVALID_NAMESPACE);
    cr_assert_eq(RUN(NVME_READ, a, 0, 257, driver.data), NVME_INVALID_FIELD, "more than MDTS");
    cr_assert_eq(RUN(0x7f, a, 0, 8, driver.data), NVME_INVALID_OPCODE);
    cr_assert_eq(RUN(NVME_READ, a, 0, 8, driver.data + 2), NVME_PRP_OFFSET_INVALID);
    sqe = io_command(&driver, NVME_READ, a, 0, 16, driver.data);
    sqe.prp2 += 8;
    cr_assert_eq(command_run(&driver, 1, sqe, NULL), NVME_PRP_OFFSET_INVALID);
    sqe = io_command(&driver, NVME_READ, a, 0, 8, driver.data);
    sqe.flags = 0x40; /* SGL */
    cr_assert_eq(command_run(&driver, 1, sqe, NULL), NVME_INVALID_FIELD);
    sqe = io_command(&driver, NVME_READ, a, 0, 8, driver.data);
    sqe.prp1 = 0x1000; /* not mapped */
    cr_assert_eq(command_run(&driver, 1, sqe, NULL), NVME_DATA_TRANSFER_ERROR);
    sqe.opcode = NVME_WRITE;
    cr_assert_eq(command_run(&driver, 1, sqe, NULL), NVME_DATA_TRANSFER_ERROR);
    sqe = io_command(&driver, NVME_READ, a, 0, 64, driver.data);
    sqe.prp2 = 0x1000; /* a list that is not to be reached */
    cr_assert_eq(command_run(&driver, 1, sqe, NULL), NVME_DATA_TRANSFER_ERROR);
    cr_assert_eq(nvme_namespace_attach(fixture.nvme, 1, a, NVME_RIGHT_READ), OK);
    cr_assert_eq(RUN(NVME_WRITE, a, 0, 8, driver.data), NVME_READ_ONLY_RANGE);
    cr_assert_eq(RUN(NVME_READ, a, 0, 8, driver.data), NVME_SUCCESS);
    const struct nvme_counters *counters = nvme_counters(fixture.nvme, 1);
    cr_assert_eq(counters->refused_read_only, 1);
    cr_assert_eq(counters->refused_out_of_range, 3);
    cr_assert_eq(counters->refused_not_attached, 4);
    cr_assert_eq(counters->transfer_faults, 3);
    nvme_fixture_free(&fixture);
}

Test(nvme_io, a_namespace_of_many_extents_is_one_run_of_blocks) {
    static const struct nvme_extent extents[] = {{5000, 3}, {100, 5}, {9000, 1}, {200, 991}};
    nvme_fixture_make(&fixture, "default_namespace: false, " DRIVE, "off");
    uint32_t nsid = 0;
    cr_assert_eq(nvme_namespace_create(fixture.nvme, extents, 4, &nsid), OK);
    cr_assert_eq(nvme_namespace_attach(fixture.nvme, 0, nsid, NVME_RIGHT_READ | NVME_RIGHT_WRITE), OK);
    driver_enable(&driver, &fixture, 0);
    driver_create_queue(&driver, 1, 16, 0);
    struct request *request = ledger_begin(fixture.ledger, fixture.driver, LEDGER_SERVICE, sim_now());
    memory_board(fixture.machine->memory, driver.queues[1].sq, request);
    fill_memory(&fixture, driver.data, 16 * 512, 5);
    cr_assert_eq(RUN(NVME_WRITE, nsid, 1, 16, driver.data), NVME_SUCCESS);
    cr_assert_eq(RUN(NVME_READ, nsid, 1, 16, driver.data + 65536), NVME_SUCCESS);
    cr_assert(memory_has(&fixture, driver.data + 65536, 16 * 512, 5));
    /* Blocks 1, 2 | 3..7 | 8 | 9..16 of the namespace, where they must be on the drive. */
    static const struct {
        uint64_t place;
        uint32_t blocks, from;
    } parts[] = {{5001, 2, 0}, {100, 5, 2}, {9000, 1, 7}, {200, 8, 8}};
    for (size_t i = 0; i < 4; i++) {
        uint8_t bytes[512 * 8];
        block_store_read(nvme_store(fixture.nvme), parts[i].place, parts[i].blocks, bytes);
        uint8_t expected[512 * 8];
        memory_read(fixture.machine->memory, driver.data + parts[i].from * 512, expected, parts[i].blocks * 512);
        cr_assert_arr_eq(bytes, expected, parts[i].blocks * 512);
    }
    cr_assert_eq(RUN(NVME_READ, nsid, 999, 2, driver.data), NVME_LBA_OUT_OF_RANGE);
    ledger_hand_over(request, fixture.ready, fixture.driver, LEDGER_SERVICE);
    ledger_end(request, fixture.driver, sim_now());
    nvme_fixture_free(&fixture);
}

Test(nvme_io, deallocated_blocks_read_as_zeroes) {
    nvme_fixture_make(&fixture, DRIVE, "off");
    driver_enable(&driver, &fixture, 0);
    driver_create_queue(&driver, 1, 16, 0);
    fill_memory(&fixture, driver.data, 8192, 5);
    cr_assert_eq(RUN(NVME_WRITE, 1, 0, 16, driver.data), NVME_SUCCESS);
    const struct nvme_dsm_range ranges[2] = {{0, 2, 1}, {0, 3, 10}};
    memory_write(fixture.machine->memory, driver.data + 16384, ranges, sizeof ranges);
    struct nvme_sqe sqe = {.opcode = NVME_DATASET_MANAGEMENT,
                           .nsid = 1,
                           .prp1 = driver.data + 16384,
                           .dword10 = 1,
                           .dword11 = NVME_DSM_DEALLOCATE};
    cr_assert_eq(command_run(&driver, 1, sqe, NULL), NVME_SUCCESS);
    cr_assert_eq(RUN(NVME_READ, 1, 0, 16, driver.data + 65536), NVME_SUCCESS);
    for (uint32_t block = 0; block < 16; block++) {
        const bool gone = (block >= 1 && block < 3) || (block >= 10 && block < 13);
        uint8_t before[512];
        uint8_t after[512];
        memory_read(fixture.machine->memory, driver.data + block * 512, before, 512);
        memory_read(fixture.machine->memory, driver.data + 65536 + block * 512, after, 512);
        memset(before, gone ? 0 : before[0], gone ? 512 : 0);
        cr_assert_arr_eq(before, after, 512, "block %u", block);
    }
    const struct nvme_dsm_range bad = {0, 2, (UINT64_C(1) << 21) - 1};
    memory_write(fixture.machine->memory, driver.data + 16384, &bad, sizeof bad);
    sqe.dword10 = 0;
    cr_assert_eq(command_run(&driver, 1, sqe, NULL), NVME_LBA_OUT_OF_RANGE);
    nvme_fixture_free(&fixture);
}

Test(nvme_io, a_full_completion_queue_holds_commands_back_and_loses_none) {
    nvme_fixture_make(&fixture, DRIVE, "off");
    driver_enable(&driver, &fixture, 0);
    driver_create_queue(&driver, 1, 16, 0);
    /* A CQ of 4 for a SQ of 16. */
    const struct nvme_sqe delete_sq = {.opcode = NVME_ADMIN_DELETE_SQ, .dword10 = 1};
    const struct nvme_sqe delete_cq = {.opcode = NVME_ADMIN_DELETE_CQ, .dword10 = 1};
    cr_assert_eq(command_run(&driver, 0, delete_sq, NULL), NVME_SUCCESS);
    cr_assert_eq(command_run(&driver, 0, delete_cq, NULL), NVME_SUCCESS);
    driver_create_queue(&driver, 1, 4, 0);
    struct test_queue cq = driver.queues[1];
    cr_assert_eq(command_run(&driver, 0, delete_sq, NULL), NVME_SUCCESS);
    const struct nvme_sqe create = {.opcode = NVME_ADMIN_CREATE_SQ,
                                    .prp1 = driver.queues[1].sq,
                                    .dword10 = 15 << 16 | 1,
                                    .dword11 = 1 << 16 | NVME_QUEUE_CONTIGUOUS};
    cr_assert_eq(command_run(&driver, 0, create, NULL), NVME_SUCCESS);
    driver.queues[1] = (struct test_queue){.sq = cq.sq, .cq = cq.cq, .entries = 16, .phase = true};
    const uint16_t first = driver.next_id;
    for (uint32_t i = 0; i < 15; i++) {
        (void)command_put(&driver, 1, io_command(&driver, NVME_READ, 1, i, 1, driver.data));
    }
    doorbell_ring(&driver, 1);
    run_for(SIM_MS);
    cr_assert_eq(nvme_counters(fixture.nvme, 0)->reads, 3, "three places, three commands");
    driver.queues[1].entries = 4; /* as far as completions go */
    uint32_t seen = 0;
    for (int i = 0; i < 15; i++) {
        struct nvme_cqe cqe;
        cr_assert(completion_take(&driver, 1, &cqe), "completion %d", i);
        seen |= UINT32_C(1) << (cqe.command_id - first);
        run_for(SIM_MS);
    }
    cr_assert_eq(seen, 0x7fff);
    nvme_fixture_free(&fixture);
}

Test(nvme_io, a_fresh_terabyte_takes_less_than_a_megabyte) {
    struct machine *without = make_machine("memory: {size: 512 MiB}\ncache: {model: flat}\niommu: {mode: off}\n");
    (void)without;
    nvme_fixture_make(&fixture, "capacity: 1 TB, virtual_functions: 64, " FAST, "off");
    cr_assert_lt(block_store_resident_bytes(nvme_store(fixture.nvme)), 4096);
    driver_enable(&driver, &fixture, 0);
    driver_create_queue(&driver, 1, 16, 0);
    cr_assert_eq(RUN(NVME_WRITE, 1, (UINT64_C(1000000000000) / 512) - 8, 8, driver.data), NVME_SUCCESS);
    cr_assert_lt(block_store_resident_bytes(nvme_store(fixture.nvme)), 16384);
    nvme_fixture_free(&fixture);
}

/* ---- the drives that the configurations come with ---- */

static sim_time mean_of(uint8_t opcode, uint32_t blocks, uint32_t commands, uint64_t span) {
    sim_time sum = 0;
    struct random_stream *dice = random_stream_create("accesses");
    for (uint32_t i = 0; i < commands; i++) {
        struct memory_watch watch = {0};
        const uint64_t block = random_below(dice, span / 8) * 8;
        const uint64_t cqe = driver.queues[1].cq + driver.queues[1].head * UINT64_C(16);
        memory_watch_set(fixture.machine->memory, &watch, cqe & ~UINT64_C(63), cqe_written, NULL);
        (void)command_put(&driver, 1, io_command(&driver, opcode, 1, block, blocks, driver.data));
        const sim_time before = sim_now();
        pcie_mmio_write(fixture.machine->pcie, driver.registers + NVME_SQ_DOORBELL(1, 4), 4, driver.queues[1].tail);
        run_for(100 * SIM_MS + random_below(dice, 20 * SIM_MS)); /* at any angle of a disk */
        sum += cqe_written_at - before;
        struct nvme_cqe taken;
        cr_assert(completion_take(&driver, 1, &taken));
        cr_assert_eq(status_of(&taken), NVME_SUCCESS);
        memory_watch_clear(fixture.machine->memory, &watch);
    }
    random_stream_free(dice);
    return sum / commands;
}

static void start_part(const char *name) {
    char text[128];
    (void)snprintf(text, sizeof text, "include: configs/parts/%s.yaml", name);
    nvme_fixture_make(&fixture, text, "off");
    driver_enable(&driver, &fixture, 0);
    driver_create_queue(&driver, 1, 16, 0);
}

Test(nvme_io, the_drives_of_the_configurations_take_what_their_sources_say) {
    start_part("drive-raid-cache");
    const double cached_us = (double)mean_of(NVME_WRITE, 2, 20, 100000) / (double)SIM_US;
    cr_assert_float_eq(cached_us, 25.0, 0.1, "%f us", cached_us);
    nvme_fixture_free(&fixture);
    start_part("drive-low-latency");
    const double cells_us = (double)mean_of(NVME_READ, 8, 20, 100000) / (double)SIM_US;
    cr_assert(cells_us > 9.0 && cells_us < 12.0, "%f us", cells_us);
    nvme_fixture_free(&fixture);
    start_part("drive-disk-15k");
    const double disk_ms = (double)mean_of(NVME_READ, 8, 1000, UINT64_C(300000000000) / 512) / (double)SIM_MS;
    cr_assert_float_eq(disk_ms, 5.2, 0.3, "%f ms", disk_ms);
    nvme_fixture_free(&fixture);
    start_part("drive-disk-hp97560");
    const double old_ms = (double)mean_of(NVME_READ, 8, 500, UINT64_C(1374216192) / 512) / (double)SIM_MS;
    cr_assert(old_ms > 20 && old_ms < 26, "%f ms", old_ms);
    nvme_fixture_free(&fixture);
}
