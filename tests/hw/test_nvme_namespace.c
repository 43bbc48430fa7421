/* Namespaces: by the control path and by admin commands. */
#include "tests/hw/nvme_fixture.h"

#define DRIVE "capacity: 1 MiB, virtual_functions: 3, namespaces: 4, extents_per_namespace: 6, "
#define FAST "media: {type: low_latency}"
enum { BLOCKS = 2048 };

static struct nvme_fixture fixture;
static struct test_driver driver;

static enum error_code create(const struct nvme_extent *extents, uint32_t count) {
    uint32_t nsid = 0;
    return nvme_namespace_create(fixture.nvme, extents, count, &nsid);
}
#define CREATE(...) create((const struct nvme_extent[]){__VA_ARGS__}, sizeof((struct nvme_extent[]){__VA_ARGS__}) / 16)

static int byte_of(uint64_t block) {
    uint8_t bytes[512];
    block_store_read(nvme_store(fixture.nvme), block, 1, bytes);
    return bytes[511];
}

static void put(uint64_t block, uint32_t blocks, uint8_t value) {
    static uint8_t bytes[512 * BLOCKS];
    memset(bytes, value, sizeof bytes);
    block_store_write(nvme_store(fixture.nvme), block, blocks, bytes, true);
}

Test(nvme_namespace, extents_are_checked) {
    nvme_fixture_make(&fixture, DRIVE "default_namespace: false, " FAST, "off");
    cr_assert_eq(CREATE({0, 0}), ERR_RANGE);
    cr_assert_eq(CREATE({BLOCKS, 1}), ERR_RANGE);
    cr_assert_eq(CREATE({BLOCKS - 1, 2}), ERR_RANGE);
    cr_assert_eq(CREATE({1, UINT64_MAX}), ERR_RANGE, "it does not wrap");
    cr_assert_eq(CREATE({10, 10}, {19, 5}), ERR_OVERLAP, "among themselves");
    cr_assert_eq(CREATE({10, 10}, {5, 5}, {20, 1}), OK, "side by side");
    cr_assert_eq(CREATE({0, 6}), ERR_OVERLAP);
    cr_assert_eq(CREATE({19, 1}), ERR_OVERLAP);
    cr_assert_eq(CREATE({30, 1}, {32, 1}, {34, 1}, {36, 1}, {38, 1}, {40, 1}, {42, 1}), ERR_EXHAUSTED, "seven");
    cr_assert_eq(CREATE({0, 5}), OK);
    cr_assert_eq(CREATE({21, 5}), OK);
    cr_assert_eq(CREATE({BLOCKS - 5, 5}), OK);
    cr_assert_eq(CREATE({100, 5}), ERR_EXHAUSTED, "no NSID left");
    struct nvme_extent extents[2];
    cr_assert_eq(nvme_namespace_extents(fixture.nvme, 1, extents, 2), 3);
    cr_assert_eq(extents[1].first_block, 5);
    cr_assert_eq(nvme_namespace_blocks(fixture.nvme, 1), 16);
    cr_assert_eq(nvme_namespace_blocks(fixture.nvme, 9), 0);
    nvme_fixture_free(&fixture);
}

Test(nvme_namespace, allocation_takes_the_first_free_blocks) {
    nvme_fixture_make(&fixture, DRIVE "default_namespace: false, " FAST, "off");
    cr_assert_eq(CREATE({100, 50}, {200, 1}), OK);
    uint32_t nsid = 0;
    cr_assert_eq(nvme_namespace_allocate(fixture.nvme, 180, &nsid), OK);
    struct nvme_extent extents[3];
    cr_assert_eq(nvme_namespace_extents(fixture.nvme, nsid, extents, 3), 3);
    cr_assert(extents[0].first_block == 0 && extents[0].blocks == 100);
    cr_assert(extents[1].first_block == 150 && extents[1].blocks == 50);
    cr_assert(extents[2].first_block == 201 && extents[2].blocks == 30);
    cr_assert_eq(nvme_namespace_allocate(fixture.nvme, BLOCKS - 230, &nsid), ERR_EXHAUSTED);
    cr_assert_eq(nvme_namespace_allocate(fixture.nvme, BLOCKS - 231, &nsid), OK, "all that is left");
    cr_assert_eq(nvme_namespace_allocate(fixture.nvme, 1, &nsid), ERR_EXHAUSTED);
    cr_assert_eq(nvme_namespace_allocate(fixture.nvme, 0, &nsid), ERR_RANGE);
    nvme_fixture_free(&fixture);
}

Test(nvme_namespace, what_leaves_a_namespace_is_wiped_and_what_stays_is_kept) {
    nvme_fixture_make(&fixture, DRIVE "default_namespace: false, " FAST, "off");
    cr_assert_eq(CREATE({100, 50}, {200, 50}), OK);
    put(0, BLOCKS, 7);
    /* Blocks 0..49 stay; 50..79 stay at 200..229; the rest goes; new blocks follow. */
    const struct nvme_extent longer[] = {{100, 50}, {200, 30}, {400, 40}};
    cr_assert_eq(nvme_namespace_resize(fixture.nvme, 1, longer, 3), OK);
    cr_assert_eq(byte_of(149), 7);
    cr_assert_eq(byte_of(229), 7);
    cr_assert_eq(byte_of(230), 0);
    cr_assert_eq(byte_of(249), 0);
    cr_assert_eq(byte_of(250), 7, "another's");
    cr_assert_eq(nvme_namespace_blocks(fixture.nvme, 1), 120);
    /* Moved by one block: nothing is where it was. */
    const struct nvme_extent moved[] = {{101, 50}};
    cr_assert_eq(nvme_namespace_resize(fixture.nvme, 1, moved, 1), OK);
    cr_assert_eq(byte_of(120), 0);
    put(101, 50, 8);
    cr_assert_eq(nvme_namespace_delete(fixture.nvme, 1), OK);
    cr_assert_eq(byte_of(130), 0, "nothing is left for the next owner");
    cr_assert_eq(nvme_namespace_delete(fixture.nvme, 1), ERR_NOT_FOUND);
    cr_assert_eq(nvme_namespace_resize(fixture.nvme, 1, moved, 1), ERR_NOT_FOUND);
    nvme_fixture_free(&fixture);
}

static void write_and_change(int what, sim_time when) {
    static const struct nvme_extent whole[] = {{100, 8}, {300, 1000}};
    (void)nvme_namespace_delete(fixture.nvme, 1);
    cr_assert_eq(create(whole, 2), OK);
    nvme_function_enable(fixture.nvme, 1, false);
    driver_enable(&driver, &fixture, 1);
    cr_assert_eq(nvme_namespace_attach(fixture.nvme, 1, 1, 3), OK);
    driver_create_queue(&driver, 1, 16, 0);
    for (uint32_t i = 0; i < 15; i++) {
        (void)command_put(&driver, 1, io_command(&driver, NVME_WRITE, 1, i, 33, driver.data + 512));
    }
    doorbell_ring(&driver, 1);
    run_for(when);
    const struct nvme_extent smaller = {100, 8};
    cr_assert_eq(what == 0   ? nvme_namespace_detach(fixture.nvme, 1, 1)
                 : what == 1 ? nvme_namespace_delete(fixture.nvme, 1)
                             : nvme_namespace_resize(fixture.nvme, 1, &smaller, 1),
                 OK);
}

/* Detached, deleted or shrunk while commands are under way: they end with an error,
 * and nothing is written where it is no longer theirs. */
Test(nvme_namespace, commands_under_way_do_not_outlive_an_attachment) {
    nvme_fixture_make(&fixture, DRIVE "default_namespace: false, " FAST, "off");
    memory_fill(fixture.machine->memory, 2 * NVME_REGION_BYTES + (2 << 20), 9, 65536);
    uint32_t refused = 0;
    for (int what = 0; what < 3; what++) {
        for (sim_time when = 0; when < 300 * SIM_US; when += 5 * SIM_US) {
            write_and_change(what, when);
            uint8_t before[BLOCKS];
            for (uint64_t block = 0; block < BLOCKS; block++) {
                before[block] = (uint8_t)byte_of(block);
            }
            run_for(SIM_MS);
            for (uint64_t block = 0; block < BLOCKS; block++) {
                cr_assert_eq(byte_of(block), before[block]);
            }
            struct nvme_cqe cqe;
            for (uint32_t i = 0; i < 15; i++) {
                cr_assert(completion_take(&driver, 1, &cqe), "each completes");
                const uint32_t status = status_of(&cqe);
                cr_assert(status == NVME_SUCCESS || status == NVME_INVALID_FIELD ||
                          (what == 2 && status == NVME_LBA_OUT_OF_RANGE));
                refused += status != NVME_SUCCESS ? 1 : 0;
            }
        }
    }
    cr_assert(refused > 500 && refused < 15 * 180 - 500, "%u", refused);
    nvme_fixture_free(&fixture);
}

/* ---- by admin commands ---- */

static uint32_t manage(uint32_t select, uint32_t nsid, uint32_t *result) {
    return command_run(&driver, 0,
                       (struct nvme_sqe){.opcode = NVME_ADMIN_NAMESPACE_MANAGEMENT,
                                         .nsid = nsid,
                                         .prp1 = driver.data + driver.offset,
                                         .dword10 = select},
                       result);
}

static uint32_t attach(uint32_t select, uint32_t nsid, uint16_t controller, uint32_t options) {
    const uint16_t list[2] = {1, controller};
    memory_fill(fixture.machine->memory, driver.data, 0, 4096);
    memory_write(fixture.machine->memory, driver.data, list, sizeof list);
    return command_run(&driver, 0,
                       (struct nvme_sqe){.opcode = NVME_ADMIN_NAMESPACE_ATTACHMENT,
                                         .nsid = nsid,
                                         .prp1 = driver.data + driver.offset,
                                         .dword10 = select,
                                         .dword15 = options},
                       NULL);
}

static void put_extents(uint64_t size, const struct nvme_extent *extents, uint64_t count) {
    struct memory *memory = fixture.machine->memory;
    memory_fill(memory, driver.data, 0, 4096);
    memory_write64(memory, driver.data + NVME_NS_SIZE, size);
    memory_write64(memory, driver.data + NVME_NS_CAPACITY, size);
    memory_write64(memory, driver.data + NVME_NS_EXTENT_COUNT, count);
    for (uint64_t i = 0; i < count; i++) {
        memory_write64(memory, driver.data + NVME_NS_EXTENTS + 16 * i, extents[i].first_block);
        memory_write64(memory, driver.data + NVME_NS_EXTENTS + 16 * i + 8, extents[i].blocks);
    }
}

Test(nvme_namespace, admin_commands_of_the_physical_function_do_the_same) {
    const struct nvme_extent extents[] = {{500, 10}, {100, 5}};
    struct test_driver physical;
    struct test_driver guest;
    nvme_fixture_make(&fixture, DRIVE FAST, "on");
    driver_enable(&physical, &fixture, 0);
    driver_enable(&guest, &fixture, 2);
    driver = physical;
    uint32_t nsid = 0;
    put_extents(15, extents, 2);
    cr_assert_eq(manage(NVME_SELECT_CREATE, 0, &nsid), NVME_INVALID_FIELD, "NSID 1 has the whole drive");
    cr_assert_eq(manage(NVME_SELECT_DELETE, 1, NULL), NVME_SUCCESS);
    cr_assert_eq(manage(NVME_SELECT_DELETE, 1, NULL), NVME_INVALID_NAMESPACE);
    cr_assert_eq(manage(NVME_SELECT_CREATE, 0, &nsid), NVME_SUCCESS);
    cr_assert_eq(nsid, 1);
    put_extents(16, extents, 2);
    cr_assert_eq(manage(NVME_SELECT_CREATE, 0, &nsid), NVME_INVALID_FIELD, "the sum is another");
    put_extents(3000, NULL, 0);
    cr_assert_eq(manage(NVME_SELECT_CREATE, 0, &nsid), NVME_INSUFFICIENT_CAPACITY);
    put_extents(1000, NULL, 0);
    cr_assert_eq(manage(NVME_SELECT_CREATE, 0, &nsid), NVME_SUCCESS);
    cr_assert_eq(nsid, 2);
    cr_assert_eq(attach(NVME_SELECT_ATTACH, 3, 2, 0), NVME_INVALID_NAMESPACE);
    cr_assert_eq(attach(NVME_SELECT_ATTACH, 1, 9, 0), NVME_CONTROLLER_LIST_INVALID);
    cr_assert_eq(attach(NVME_SELECT_DETACH, 1, 2, 0), NVME_NOT_ATTACHED);
    cr_assert_eq(attach(NVME_SELECT_ATTACH, 1, 2, NVME_ATTACH_READ_ONLY), NVME_SUCCESS);
    cr_assert_eq(attach(NVME_SELECT_ATTACH, 1, 2, 0), NVME_ALREADY_ATTACHED);
    physical = driver;
    driver = guest;
    driver_create_queue(&driver, 1, 16, 0);
    cr_assert_eq(manage(NVME_SELECT_DELETE, 1, NULL), NVME_INVALID_OPCODE, "not a guest's command");
    cr_assert_eq(attach(NVME_SELECT_ATTACH, 2, 2, 0), NVME_INVALID_OPCODE);
    cr_assert_eq(command_run(&driver, 1, io_command(&driver, NVME_READ, 1, 7, 8, driver.data), NULL), NVME_SUCCESS);
    cr_assert_eq(command_run(&driver, 1, io_command(&driver, NVME_WRITE, 1, 0, 8, driver.data), NULL),
                 NVME_READ_ONLY_RANGE);
    nvme_function_enable(fixture.nvme, 2, false);
    nvme_function_enable(fixture.nvme, 2, true);
    driver_enable(&driver, &fixture, 2);
    driver_create_queue(&driver, 1, 16, 0);
    cr_assert_eq(command_run(&driver, 1, io_command(&driver, NVME_READ, 1, 7, 8, driver.data), NULL),
                 NVME_INVALID_FIELD, "off line: detached");
    nvme_fixture_free(&fixture);
}

Test(nvme_namespace, two_controllers_share_one) {
    struct test_driver writer;
    struct test_driver reader;
    nvme_fixture_make(&fixture, DRIVE FAST, "on");
    driver_enable(&writer, &fixture, 1);
    driver_enable(&reader, &fixture, 2);
    cr_assert_eq(nvme_namespace_attach(fixture.nvme, 1, 1, 3), OK);
    cr_assert_eq(nvme_namespace_attach(fixture.nvme, 2, 1, NVME_RIGHT_READ), OK);
    cr_assert_eq(nvme_namespace_attach(fixture.nvme, 4, 1, 3), ERR_RANGE, "no such function");
    driver_create_queue(&writer, 1, 16, 0);
    driver_create_queue(&reader, 1, 16, 0);
    fill_memory(&fixture, writer.data, 4096, 77);
    cr_assert_eq(command_run(&writer, 1, io_command(&writer, NVME_WRITE, 1, 5, 8, writer.data), NULL), NVME_SUCCESS);
    cr_assert_eq(command_run(&reader, 1, io_command(&reader, NVME_READ, 1, 5, 8, reader.data), NULL), NVME_SUCCESS);
    cr_assert(memory_has(&fixture, reader.data, 4096, 77));
    nvme_fixture_free(&fixture);
}
