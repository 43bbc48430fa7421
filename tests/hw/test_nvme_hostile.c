/* A million random commands on a virtual controller: valid, malformed and hostile
 * ones. Each gets the status that a small oracle of its own says; the controller goes
 * on; nobody else's blocks or memory change. */
#include "hw/media/block_store.h"
#include "sim/random.h"
#include "tests/hw/nvme_fixture.h"

enum {
    COMMANDS = 1000000,
    QUEUES = 2,
    ENTRIES = 64,
    SLOT_BYTES = 8192, /* of lists and ranges, a command */
    BLOCK = 512,
    NAMESPACES = 8,
    MDTS_BLOCKS = 256,
    ATTACKER = 1,
    VICTIM = 2,
    OWN_BLOCKS = 3000,
    SHARED_BLOCKS = 500,
    DRIVE_BLOCKS = 8192
};

static struct nvme_fixture fixture;
static struct test_driver attacker, victim;
static struct random_stream *dice;
static uint32_t own, shared, others, bad_doorbells;

static struct {
    bool used;
    uint32_t expected;
} awaited[65536];

static bool chance(uint32_t one_in) {
    return random_below(dice, one_in) == 0;
}

static uint64_t pick(const uint64_t *values, size_t count) {
    return values[random_below(dice, count)];
}

/* ---- the oracle: from the specification's text, not from the controller ---- */

/* Whether the function can reach an address. */
static bool reachable(uint64_t address) {
    return address - (attacker.region + attacker.offset) < NVME_REGION_BYTES;
}

static uint64_t word_at(uint64_t address) {
    return memory_read64(fixture.machine->memory, address - attacker.offset);
}

/* Reads the list that begins at `list` for `pages` pages; the pages' addresses. */
static uint32_t oracle_list(uint64_t list, uint64_t pages, uint64_t *out) {
    while (pages > 0) {
        const uint64_t room = (4096 - list % 4096) / 8;
        const uint64_t entries = pages < room ? pages : room;
        if (!reachable(list)) {
            return NVME_DATA_TRANSFER_ERROR;
        }
        for (uint64_t i = 0; i < entries; i++) {
            if (word_at(list + 8 * i) % 4096 != 0) {
                return NVME_PRP_OFFSET_INVALID;
            }
        }
        const bool more = pages > room;
        for (uint64_t i = 0; i < entries - (more ? 1 : 0); i++) {
            *out++ = word_at(list + 8 * i);
            pages--;
        }
        list = more ? word_at(list + 4096 - list % 4096 - 8) : list;
    }
    return NVME_SUCCESS;
}

static uint32_t oracle_data(const struct nvme_sqe *sqe, uint64_t bytes) {
    uint64_t pages[64] = {sqe->prp1, sqe->prp2};
    if (sqe->prp1 % 4 != 0) {
        return NVME_PRP_OFFSET_INVALID;
    }
    const uint64_t count = (sqe->prp1 % 4096 + bytes + 4095) / 4096;
    if (count == 2 && sqe->prp2 % 4096 != 0) {
        return NVME_PRP_OFFSET_INVALID;
    }
    if (count > 2) {
        const uint32_t status =
            sqe->prp2 % 8 != 0 ? (uint32_t)NVME_PRP_OFFSET_INVALID : oracle_list(sqe->prp2, count - 1, pages + 1);
        if (status != NVME_SUCCESS) {
            return status;
        }
    }
    for (uint64_t i = 0; i < count; i++) {
        if (!reachable(pages[i])) {
            return NVME_DATA_TRANSFER_ERROR;
        }
    }
    return NVME_SUCCESS;
}

static uint64_t size_of(uint32_t nsid) {
    return nsid == own ? OWN_BLOCKS : SHARED_BLOCKS;
}

static bool inside(uint32_t nsid, uint64_t first, uint64_t blocks) {
    return first < size_of(nsid) ? blocks <= size_of(nsid) - first : first == size_of(nsid) && blocks == 0;
}

static uint32_t oracle_ranges(const struct nvme_sqe *sqe) {
    const uint32_t count = (sqe->dword10 & 0xff) + 1;
    const uint32_t status = oracle_data(sqe, count * UINT64_C(16));
    for (uint32_t i = 0; status == NVME_SUCCESS && i < count; i++) { /* they lie on one page */
        const uint32_t blocks = (uint32_t)(word_at(sqe->prp1 + i * 16) >> 32);
        if (!inside(sqe->nsid, word_at(sqe->prp1 + i * 16 + 8), blocks)) {
            return NVME_LBA_OUT_OF_RANGE;
        }
    }
    return status;
}

static uint32_t oracle(const struct nvme_sqe *sqe) {
    const bool write = sqe->opcode == 1 || sqe->opcode == 9;
    if (sqe->opcode > 2 && sqe->opcode != 9) {
        return NVME_INVALID_OPCODE;
    }
    if ((sqe->flags & 0xc3) != 0) {
        return NVME_INVALID_FIELD;
    }
    if (sqe->opcode == 0 && sqe->nsid == UINT32_MAX) {
        return NVME_SUCCESS;
    }
    if (sqe->nsid == 0 || sqe->nsid > NAMESPACES) {
        return NVME_INVALID_NAMESPACE;
    }
    if (sqe->nsid != own && sqe->nsid != shared) {
        return NVME_INVALID_FIELD;
    }
    if (write && sqe->nsid == shared) {
        return NVME_READ_ONLY_RANGE;
    }
    if (sqe->opcode == 0) {
        return NVME_SUCCESS;
    }
    if (sqe->opcode == 9) {
        return oracle_ranges(sqe);
    }
    const uint64_t blocks = (sqe->dword12 & 0xffff) + UINT64_C(1);
    if (blocks > MDTS_BLOCKS) {
        return NVME_INVALID_FIELD;
    }
    if (!inside(sqe->nsid, sqe->dword10 | (uint64_t)sqe->dword11 << 32, blocks)) {
        return NVME_LBA_OUT_OF_RANGE;
    }
    return oracle_data(sqe, blocks * BLOCK);
}

/* ---- commands ---- */

static uint64_t any_page(void) {
    const uint64_t good = attacker.data + attacker.offset + 4096 * random_below(dice, 512);
    const uint64_t bad[] = {0,
                            attacker.data, /* physical: not what it sees */
                            victim.data + victim.offset,
                            victim.region,
                            attacker.region + attacker.offset + NVME_REGION_BYTES,
                            UINT64_MAX - 4095,
                            UINT64_C(1) << 48,
                            UINT64_C(1) << 63,
                            good + 12};
    return chance(24) ? pick(bad, sizeof bad / sizeof bad[0]) : good;
}

static uint64_t any_block(uint64_t blocks) {
    const uint64_t odd[] = {OWN_BLOCKS,        OWN_BLOCKS - blocks, OWN_BLOCKS - blocks + 1, UINT64_MAX,
                            UINT64_C(1) << 32, DRIVE_BLOCKS,        UINT64_MAX - blocks + 1, UINT64_C(1) << 63};
    return chance(8) ? pick(odd, sizeof odd / sizeof odd[0]) : random_below(dice, SHARED_BLOCKS - 1);
}

static uint32_t any_namespace(void) {
    const uint64_t odd[] = {others, 0, NAMESPACES, NAMESPACES + 1, UINT32_MAX, UINT32_MAX - 1};
    return chance(8) ? (uint32_t)pick(odd, sizeof odd / sizeof odd[0]) : chance(5) ? shared : own;
}

static void make_lists(struct nvme_sqe *sqe, uint64_t bytes, uint64_t slot) {
    struct memory *memory = fixture.machine->memory;
    const uint64_t lists = attacker.region + (UINT64_C(1) << 20) + slot * SLOT_BYTES;
    sqe->prp1 = any_page() + (chance(3) ? 4 * random_below(dice, 1024) : 0) + (chance(64) ? 1 : 0);
    const uint64_t pages = (sqe->prp1 % 4096 + bytes + 4095) / 4096;
    if (pages <= 2) {
        sqe->prp2 = pages == 2 || chance(4) ? any_page() : 0;
        return;
    }
    /* A third of the lists go on in the slot's second page. */
    uint64_t at = lists + (chance(3) ? 4096 - 8 * (1 + random_below(dice, 6)) : 8 * random_below(dice, 100));
    sqe->prp2 = at + attacker.offset;
    for (uint64_t left = pages - 1; left > 0; left--, at += 8) {
        if (at % 4096 == 4096 - 8 && left > 1) {
            memory_write64(memory, at, chance(16) ? any_page() | 8 : lists + 4096 + attacker.offset);
            at = lists + 4096;
        }
        memory_write64(memory, at, any_page());
    }
    const uint64_t stray[] = {sqe->prp2 + 4, 0, victim.region + victim.offset, UINT64_MAX - 4095, UINT64_MAX - 7};
    sqe->prp2 = chance(32) ? pick(stray, sizeof stray / sizeof stray[0]) : sqe->prp2;
}

static void make_ranges(struct nvme_sqe *sqe, uint64_t slot) {
    struct memory *memory = fixture.machine->memory;
    const uint64_t at = attacker.region + (UINT64_C(1) << 20) + slot * SLOT_BYTES;
    const uint32_t count = (uint32_t)(1 + random_below(dice, chance(8) ? 256 : 4));
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t blocks = chance(64) ? UINT32_MAX : random_below(dice, 4);
        memory_write64(memory, at + i * 16, blocks << 32);
        memory_write64(memory, at + i * 16 + 8, chance(64) ? any_block(1) : random_below(dice, OWN_BLOCKS - 4));
    }
    sqe->prp1 = at + attacker.offset;
    sqe->dword10 = count - 1;
    sqe->dword11 = (uint32_t)random_below(dice, 8);
}

static struct nvme_sqe any_command(uint64_t slot) {
    struct nvme_sqe sqe = {.opcode = (uint8_t)(chance(2) ? NVME_READ : NVME_WRITE),
                           .nsid = any_namespace(),
                           .dword13 = (uint32_t)random_below(dice, UINT32_MAX)};
    const uint64_t blocks = chance(64) ? 1 + random_below(dice, 65536) : 1 + random_below(dice, chance(16) ? 256 : 12);
    const uint64_t first = any_block(blocks);
    if (chance(32)) {
        sqe.opcode = (uint8_t)random_below(dice, 256);
    } else if (chance(32)) {
        sqe.opcode = chance(2) ? NVME_FLUSH : NVME_DATASET_MANAGEMENT;
    }
    sqe.dword10 = (uint32_t)first;
    sqe.dword11 = (uint32_t)(first >> 32);
    sqe.dword12 = (uint32_t)(blocks - 1) | (chance(4) ? UINT32_C(1) << 30 : 0) | (chance(8) ? UINT32_C(1) << 31 : 0);
    sqe.flags = (uint8_t)(chance(64) ? random_below(dice, 256) : 0);
    if (sqe.opcode == NVME_DATASET_MANAGEMENT) {
        make_ranges(&sqe, slot);
    } else {
        make_lists(&sqe, blocks <= MDTS_BLOCKS ? blocks * BLOCK : BLOCK, slot);
    }
    return sqe;
}

/* ---- queues that are not there, and admin commands that are not a guest's ---- */

static void ring_wrongly(void) {
    const uint64_t before = nvme_counters(fixture.nvme, ATTACKER)->bad_doorbells;
    const uint64_t queue = chance(2) ? 3 + random_below(dice, 20) : 1 + random_below(dice, QUEUES);
    const uint32_t value =
        queue > QUEUES ? (uint32_t)random_below(dice, 64) : ENTRIES + (uint32_t)random_below(dice, 1000);
    const uint64_t offset = chance(2) ? NVME_SQ_DOORBELL(queue, 4) : NVME_CQ_DOORBELL(queue, 4);
    drive_poke(&attacker, offset, 4, value);
    bad_doorbells++;
    cr_assert_eq(nvme_counters(fixture.nvme, ATTACKER)->bad_doorbells, before + 1);
}

static void manage_wrongly(void) {
    const uint16_t queue = (uint16_t)(chance(2) ? 9 + random_below(dice, 60000) : 0);
    const struct {
        struct nvme_sqe sqe;
        uint32_t expected;
    } cases[] = {
        {{.opcode = NVME_ADMIN_NAMESPACE_MANAGEMENT, .nsid = others, .dword10 = 1}, NVME_INVALID_OPCODE},
        {{.opcode = NVME_ADMIN_NAMESPACE_ATTACHMENT, .nsid = others}, NVME_INVALID_OPCODE},
        {{.opcode = NVME_ADMIN_CREATE_CQ, .dword10 = 7 << 16 | queue, .dword11 = 1}, NVME_INVALID_QUEUE_ID},
        {{.opcode = NVME_ADMIN_CREATE_SQ, .dword10 = 7 << 16 | 3, .dword11 = 5 << 16 | 1}, NVME_CQ_INVALID},
        {{.opcode = NVME_ADMIN_CREATE_SQ, .dword10 = 7 << 16 | queue, .dword11 = 1 << 16 | 1}, NVME_INVALID_QUEUE_ID},
        {{.opcode = NVME_ADMIN_CREATE_SQ, .dword10 = 7 << 16 | 1, .dword11 = 1 << 16 | 1}, NVME_INVALID_QUEUE_ID},
        {{.opcode = NVME_ADMIN_DELETE_SQ, .dword10 = queue}, NVME_INVALID_QUEUE_ID},
        {{.opcode = NVME_ADMIN_DELETE_CQ, .dword10 = queue}, NVME_INVALID_QUEUE_ID},
        {{.opcode = NVME_ADMIN_DELETE_CQ, .dword10 = 1}, NVME_INVALID_QUEUE_DELETION},
        {{.opcode = NVME_ADMIN_IDENTIFY, .nsid = others, .prp1 = victim.data, .dword10 = 0}, NVME_DATA_TRANSFER_ERROR},
        {{.opcode = NVME_ADMIN_IDENTIFY, .dword10 = NVME_CNS_ALLOCATED_NAMESPACES}, NVME_INVALID_FIELD},
    };
    const uint64_t which = random_below(dice, sizeof cases / sizeof cases[0]);
    cr_assert_eq(command_run(&attacker, 0, cases[which].sqe, NULL), cases[which].expected, "admin case %llu",
                 (unsigned long long)which);
}

/* ---- the run ---- */

static uint32_t put_some(uint16_t queue) {
    const uint32_t count = 1 + (uint32_t)random_below(dice, ENTRIES - 1);
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t slot = (uint64_t)(queue - 1) * ENTRIES + attacker.queues[queue].tail;
        const struct nvme_sqe sqe = any_command(slot);
        const uint32_t expected = oracle(&sqe);
        const uint16_t id = command_put(&attacker, queue, sqe);
        awaited[id].used = true;
        awaited[id].expected = expected;
    }
    doorbell_ring(&attacker, queue);
    return count;
}

static uint32_t take_some(uint16_t queue) {
    struct nvme_cqe cqe;
    uint32_t taken = 0;
    while (completion_take(&attacker, queue, &cqe)) {
        cr_assert(awaited[cqe.command_id].used, "id %u completes twice", cqe.command_id);
        cr_assert_eq(status_of(&cqe), awaited[cqe.command_id].expected, "status %03x, the oracle says %03x",
                     status_of(&cqe), awaited[cqe.command_id].expected);
        awaited[cqe.command_id].used = false;
        taken++;
    }
    return taken;
}

/* Everything that is not the attacker's holds this. */
static void check_others(void) {
    static uint8_t bytes[DRIVE_BLOCKS * BLOCK];
    block_store_read(nvme_store(fixture.nvme), 0, DRIVE_BLOCKS, bytes);
    for (uint32_t nsid = 1; nsid <= NAMESPACES; nsid++) {
        struct nvme_extent extents[8];
        const uint32_t count = nvme_namespace_extents(fixture.nvme, nsid, extents, 8);
        for (uint32_t i = 0; nsid != own && i < count; i++) {
            for (uint64_t block = extents[i].first_block; block < extents[i].first_block + extents[i].blocks; block++) {
                for (uint64_t at = 0; at < BLOCK; at += 8) {
                    uint64_t word = 0;
                    memcpy(&word, bytes + block * BLOCK + at, 8);
                    cr_assert_eq(word, UINT64_C(0x5a5a000000000000) | block);
                }
            }
        }
    }
    cr_assert(memory_has(&fixture, victim.region + (UINT64_C(1) << 20), UINT64_C(3) << 20, 99));
}

static void set_up(void) {
    static const struct nvme_extent mine[] = {{100, 1000}, {5000, 1500}, {1500, 500}};
    nvme_fixture_make(
        &fixture,
        "capacity: 4 MiB, virtual_functions: 2, namespaces: 8, default_namespace: false, "
        "write_cache: volatile, write_cache_size: 64 KiB, commands: 64, command_processing: 100 ns, "
        "write_cache_latency: 100 ns, media: {type: low_latency, read_latency: 1 us, write_latency: 1 us, "
        "partitions: 64}",
        "on");
    dice = random_stream_create("hostile");
    cr_assert_eq(nvme_namespace_create(fixture.nvme, mine, 3, &own), OK);
    cr_assert_eq(nvme_namespace_allocate(fixture.nvme, SHARED_BLOCKS, &shared), OK);
    cr_assert_eq(nvme_namespace_allocate(fixture.nvme, 4000, &others), OK);
    driver_enable(&attacker, &fixture, ATTACKER);
    driver_enable(&victim, &fixture, VICTIM);
    cr_assert_eq(nvme_namespace_attach(fixture.nvme, ATTACKER, own, 3), OK);
    cr_assert_eq(nvme_namespace_attach(fixture.nvme, ATTACKER, shared, NVME_RIGHT_READ), OK);
    cr_assert_eq(nvme_namespace_attach(fixture.nvme, VICTIM, others, 3), OK);
    for (uint64_t block = 0; block < DRIVE_BLOCKS; block++) {
        uint64_t words[BLOCK / 8];
        for (size_t i = 0; i < BLOCK / 8; i++) {
            words[i] = UINT64_C(0x5a5a000000000000) | block;
        }
        block_store_write(nvme_store(fixture.nvme), block, 1, words, true);
    }
    fill_memory(&fixture, victim.region + (UINT64_C(1) << 20), UINT64_C(3) << 20, 99);
    driver_create_queue(&attacker, 1, ENTRIES, 0);
    driver_create_queue(&attacker, 2, ENTRIES, 0);
    driver_create_queue(&victim, 1, ENTRIES, 0);
}

Test(nvme_hostile, a_million_random_commands_each_get_their_status) {
    set_up();
    uint32_t done = 0;
    while (done < COMMANDS) {
        uint32_t outstanding = put_some(1) + put_some(2);
        done += outstanding;
        if (chance(4)) {
            ring_wrongly();
        }
        for (int i = 0; i < 10000 && outstanding > 0; i++) {
            run_for(10 * SIM_US);
            outstanding -= take_some(1) + take_some(2);
        }
        cr_assert_eq(outstanding, 0, "the controller stopped");
        if (chance(8)) {
            manage_wrongly();
        }
    }
    check_others();
    const struct nvme_counters *counters = nvme_counters(fixture.nvme, ATTACKER);
    cr_assert_eq(counters->bad_doorbells, bad_doorbells);
    cr_assert_eq(counters->fatal_faults, 0);
    cr_assert_gt(counters->transfer_faults, COMMANDS / 100);
    cr_assert_gt(counters->refused_out_of_range, COMMANDS / 100);
    cr_assert_gt(counters->completions - counters->errors, COMMANDS / 4, "most are valid");
    cr_assert_gt(iommu_fault_count(fixture.machine->iommu), COMMANDS / 100);
    /* The others' controller serves as before. */
    cr_assert_eq(command_run(&victim, 1,
                             io_command(&victim, NVME_READ, others, 3992, 8, victim.region + 700000 / 4096 * 4096),
                             NULL),
                 NVME_SUCCESS);
    cr_assert_eq(nvme_counters(fixture.nvme, VICTIM)->errors, 0);
    random_stream_free(dice);
    nvme_fixture_free(&fixture);
}

/* Without the IOMMU the same write lands in the victim's memory: it is the IOMMU that
 * keeps them apart, not luck. */
Test(nvme_hostile, without_the_iommu_a_read_lands_anywhere) {
    nvme_fixture_make(&fixture, "capacity: 4 MiB, virtual_functions: 2, media: {type: low_latency}", "off");
    driver_enable(&attacker, &fixture, ATTACKER);
    driver_enable(&victim, &fixture, VICTIM);
    cr_assert_eq(nvme_namespace_attach(fixture.nvme, ATTACKER, 1, NVME_RIGHT_READ), OK);
    driver_create_queue(&attacker, 1, ENTRIES, 0);
    fill_memory(&fixture, victim.data, 4096, 99);
    cr_assert_eq(command_run(&attacker, 1, io_command(&attacker, NVME_READ, 1, 0, 8, victim.data), NULL), NVME_SUCCESS);
    cr_assert_not(memory_has(&fixture, victim.data, 4096, 99));
    nvme_fixture_free(&fixture);
}

/* Queues where the function has no memory: its controller fails, and it alone. */
Test(nvme_hostile, queues_out_of_reach_stop_their_own_controller_alone) {
    nvme_fixture_make(&fixture, "capacity: 4 MiB, virtual_functions: 2, media: {type: low_latency}", "on");
    driver_enable(&attacker, &fixture, ATTACKER);
    driver_enable(&victim, &fixture, VICTIM);
    cr_assert_eq(nvme_namespace_attach(fixture.nvme, VICTIM, 1, 3), OK);
    driver_create_queue(&victim, 1, ENTRIES, 0);
    const struct nvme_sqe cq = {.opcode = NVME_ADMIN_CREATE_CQ,
                                .prp1 = attacker.data + attacker.offset,
                                .dword10 = 7 << 16 | 1,
                                .dword11 = NVME_QUEUE_CONTIGUOUS};
    const struct nvme_sqe sq = {.opcode = NVME_ADMIN_CREATE_SQ,
                                .prp1 = victim.data + victim.offset,
                                .dword10 = 7 << 16 | 1,
                                .dword11 = 1 << 16 | NVME_QUEUE_CONTIGUOUS};
    cr_assert_eq(command_run(&attacker, 0, cq, NULL), NVME_SUCCESS);
    cr_assert_eq(command_run(&attacker, 0, sq, NULL), NVME_SUCCESS);
    drive_poke(&attacker, NVME_SQ_DOORBELL(1, 4), 4, 5);
    run_for(SIM_MS);
    cr_assert_eq(drive_register(&attacker, NVME_REG_CSTS), NVME_CSTS_READY | NVME_CSTS_FATAL);
    cr_assert_eq(nvme_counters(fixture.nvme, ATTACKER)->fatal_faults, 1);
    cr_assert_eq(command_run(&victim, 1, io_command(&victim, NVME_READ, 1, 0, 8, victim.data), NULL), NVME_SUCCESS);
    nvme_function_enable(fixture.nvme, ATTACKER, false); /* a reset mends it */
    nvme_function_enable(fixture.nvme, ATTACKER, true);
    cr_assert_eq(drive_register(&attacker, NVME_REG_CSTS), 0);
    nvme_fixture_free(&fixture);
}
