/* test_exo_code_adversary.c: random calls on what is downloaded and on XN's blocks: Alice's
 * data, metadata and packets stay hers. What XN holds is looked at by its calls for all
 * (states, pointers) and on the disk; whose packet it is, by sending some. */
#include "kernel_model/common/system.h"
#include "kernel_model/exo/download_bind.h"
#include "kernel_model/exo/exo_xn.h"
#include "kernel_model/exo/memory.h"
#include "sim/random.h"
#include "tests/kernel_model/monitor.h"
#include "tests/kernel_model/xn_fixture.h"

enum { CALLS = 50000, LOOK = 100, SEED = 1997, POOL = 32, ROOT = 3, INODE = 20, DATA = 30, DATA_BLOCKS = 4 };

static struct monitor monitor;
static struct random_stream *stream;
static struct machine *machine;
static struct exo_kernel *kernel;
static struct exo_environment *alice, *mallory;
static struct exo_xn *blocks;
static struct exo_bound_downloads *downloads;
static struct exo_costs costs;
static struct exo_handle directories, tree, filter, pool[EXO_TYPES][POOL];
static struct exo_region hers, buffer;
static struct error error;
static uint64_t calls, granted[3];
static uint32_t delivered;

#define MUST(condition, what) cr_assert((condition), "seed %d, call %llu: %s", SEED, (unsigned long long)calls, what)

static uint32_t draw(uint64_t bound) {
    return (uint32_t)random_below(stream, bound);
}

static void deliver(void *context, uint32_t owner, uint32_t number, uint64_t physical, uint32_t length_bytes,
                    struct request *request) {
    (void)context, (void)number, (void)physical, (void)length_bytes, (void)request;
    delivered = owner;
}

static void send(void *context, uint32_t owner, struct download_send frame, struct request *request) {
    (void)context, (void)owner, (void)frame, (void)request;
}

static void make_kernel(void) {
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    random_seed(SEED);
    machine_declare_components();
    system_declare_components();
    exo_declare_components();
    struct config *config = config_parse("machine.yaml", "memory: {size: 16 MiB}\n", &diagnostics);
    cr_assert(config != NULL && machine_create(config_root(config), &machine, &diagnostics));
    stream = random_stream_create("adversary");
    kernel = exo_kernel_create(machine, &costs, EXO_IDLE_HALT, &error);
    const struct exo_limits limits = exo_limits_default();
    alice = exo_environment_create(kernel, "alice", &limits, &error);
    mallory = exo_environment_create(kernel, "mallory", &limits, &error);
    const struct exo_bound_downloads_config with = {.packets = {.memory = machine->memory,
                                                                .costs = &fixture_costs,
                                                                .engine = DOWNLOAD_MERGED,
                                                                .handler_limit_cycles = 2000,
                                                                .send = send,
                                                                .deliver = deliver},
                                                    .predicate_limit_cycles = 2000};
    downloads = exo_bound_downloads_create(kernel, &with);
    blocks = exo_xn_create(kernel, fixture_xn);
}

static void alice_changes(uint32_t block, uint32_t at, uint32_t value, uint32_t at2, uint32_t value2,
                          struct download_extent extent) {
    const uint32_t words[][3] = {{0, 1}, {at, value}, {at2, value2}};
    struct xn_write writes[3];
    for (int i = 0; i < 3; i++) {
        writes[i] = (struct xn_write){words[i][0] * 4, 4, &words[i][1]};
    }
    cr_assert_eq(exo_xn_modify(blocks, alice, &tree, block, writes, 3, XN_ALLOCATE, extent, &error), OK, "%s",
                 error.text);
}

static void make(void) {
    fixture_make();
    make_kernel();
    monitor_init(&monitor);
    uint32_t type = 0, number = 0;
    cr_assert_eq(exo_xn_template(blocks, alice, directory_owns, sizeof directory_owns / sizeof *directory_owns, &type,
                                 &directories, &error),
                 OK);
    cr_assert_eq(exo_xn_root(blocks, alice, &directories, ROOT, &tree, &error), OK);
    cr_assert_eq(exo_xn_initialise(blocks, alice, &tree, ROOT, fixture_empty, &error), OK);
    alice_changes(ROOT, 1, INODE, 100, 0, (struct download_extent){INODE, 1, inode_type});
    cr_assert_eq(exo_xn_initialise(blocks, alice, &tree, INODE, fixture_empty, &error), OK);
    alice_changes(INODE, 1, DATA, 2, DATA_BLOCKS, (struct download_extent){DATA, DATA_BLOCKS, XN_DATA});
    for (uint32_t i = 0; i < DATA_BLOCKS; i++) {
        uint8_t bytes[BLOCK_BYTES];
        memset(bytes, (int)(0x50 + i), sizeof bytes);
        const struct xn_write write = {0, BLOCK_BYTES, bytes};
        cr_assert_eq(exo_xn_write_data(blocks, alice, &tree, DATA + i, &write, &error), OK);
        cr_assert_eq(exo_xn_flush(blocks, alice, &tree, DATA + i, &error), OK);
    }
    cr_assert_eq(exo_memory_allocate(alice, 0, 4096, &hers, &error), OK);
    cr_assert_eq(exo_memory_allocate(alice, 0, 4096, &buffer, &error), OK);
    memory_fill(machine->memory, hers.physical, 0x5a, 4096);
    cr_assert_eq(exo_bound_filter_text(downloads, alice, NULL, "udp dst port 7", &number, &filter, &error), OK);
    cr_assert_eq(exo_derive(alice, &directories, EXO_BIND, mallory, &pool[EXO_TEMPLATE][0], &error), OK);
    (void)monitor_granted(&monitor, NULL, EXO_TEMPLATE, mallory->number, &pool[EXO_TEMPLATE][0]);
}

static void look(void) {
    uint8_t bytes[BLOCK_BYTES];
    for (uint32_t i = 0; i < DATA_BLOCKS; i++) {
        MUST(xn_state(fixture_xn, DATA + i) == XN_STATE_ALLOCATED && xn_type(fixture_xn, DATA + i) == XN_DATA,
             "Alice's block is free");
        memory_read(fixture_memory, DISK + (uint64_t)(DATA + i) * BLOCK_BYTES, bytes, sizeof bytes);
        MUST(bytes[0] == 0x50 + i && bytes[BLOCK_BYTES - 1] == 0x50 + i, "Alice's block has changed on the disk");
        const enum error_code code = exo_xn_read(blocks, alice, &tree, DATA + i, 0, sizeof bytes, bytes, &error);
        MUST(code == ERR_EXHAUSTED || (code == OK && bytes[7] == 0x50 + i), "Alice's block has changed");
    }
    MUST(xn_type(fixture_xn, INODE) == inode_type && xn_type(fixture_xn, ROOT) == directory_type + 1,
         "Alice's metadata is of another type");
    for (uint64_t i = 0; i < 4096; i++) {
        MUST(*memory_at(machine->memory, hers.physical + i) == 0x5a, "a handler wrote into Alice's memory");
    }
    const uint8_t packet[64] = {[12] = 8, [14] = 0x45, [23] = 17, [37] = 7};
    memory_write(machine->memory, buffer.physical, packet, sizeof packet);
    delivered = 0;
    (void)exo_download_packet(exo_bound_packets(downloads), NULL, buffer.physical, sizeof packet, NULL);
    MUST(delivered == alice->number, "Alice's packet went elsewhere");
}

static struct exo_handle some_handle(enum exo_type type) {
    const struct exo_handle own[] = {directories, tree, filter, hers.handle};
    struct exo_handle handle = pool[type][draw(POOL)];
    for (int i = 0; i < POOL && monitor_find(&monitor, &handle) == NULL; i++) {
        handle = pool[type][draw(POOL)];
    }
    switch (draw(8)) {
    case 0:
        return own[draw(4)];
    case 1:
        handle = own[draw(4)];
        handle.holder = mallory->number;
        return handle;
    case 2:
        ((uint8_t *)&handle)[draw(sizeof handle)] ^= (uint8_t)(1U << draw(8));
        return handle;
    default:
        return handle;
    }
}

static void answered(unsigned kind, enum error_code code, bool allowed) {
    MUST(code != OK || allowed, "a call was granted against the rules");
    granted[kind] += code == OK;
}

static uint32_t roots[8];

/* A change that says the truth, lies, or takes what is another's. */
static enum error_code claim(const struct exo_handle *handle, uint32_t block) {
    const uint32_t one = 1, points = draw(3) == 0 ? DATA : draw(BLOCKS);
    const struct xn_write writes[] = {{0, 4, &one}, {4, 4, &points}};
    const struct download_extent extent = {draw(2) == 0 ? points : draw(BLOCKS), 1, inode_type};
    return exo_xn_modify(blocks, mallory, handle, block, writes, 2, XN_ALLOCATE, extent, NULL);
}

static void blocks_call(void) {
    const struct exo_handle handle = some_handle(EXO_BLOCKS), template = some_handle(EXO_TEMPLATE);
    const uint32_t block = draw(2) == 0 ? roots[draw(8)] : draw(BLOCKS + 2),
                   words[3] = {draw(3), draw(BLOCKS), draw(4)};
    const struct download_extent extent = {draw(BLOCKS + 4), draw(4), draw(4)};
    const struct xn_write writes[] = {{0, 4, &words[0]}, {4, 4, &words[1]}, {draw(2 * BLOCK_BYTES), draw(9), words}};
    const bool writes_it = monitor_allows(&monitor, mallory->number, &handle, EXO_BLOCKS, EXO_WRITE);
    const bool reads_it = monitor_allows(&monitor, mallory->number, &handle, EXO_BLOCKS, EXO_READ);
    uint8_t bytes[BLOCK_BYTES];
    struct exo_handle made;
    switch (draw(8)) {
    case 0:
        if (exo_xn_root(blocks, mallory, &template, block, &made, NULL) == OK) {
            MUST(monitor_allows(&monitor, mallory->number, &template, EXO_TEMPLATE, EXO_BIND), "a root for nothing");
            (void)monitor_granted(&monitor, NULL, EXO_BLOCKS, mallory->number, &made);
            pool[EXO_BLOCKS][draw(POOL)] = made;
            roots[draw(8)] = block;
            (void)exo_xn_initialise(blocks, mallory, &made, block, fixture_empty, NULL);
        }
        break;
    case 1:
        answered(0, exo_xn_initialise(blocks, mallory, &handle, block, fixture_empty, NULL), writes_it);
        break;
    case 2:
        answered(0, exo_xn_write_data(blocks, mallory, &handle, block, &writes[draw(3)], NULL), writes_it);
        break;
    case 3:
        answered(0, exo_xn_flush(blocks, mallory, &handle, block, NULL), writes_it);
        break;
    case 4:
        answered(1, exo_xn_read(blocks, mallory, &handle, block, draw(600), draw(100), bytes, NULL), reads_it);
        break;
    case 5:
        if (exo_xn_acquire(blocks, mallory, draw(2) == 0 ? ROOT : block, draw(32), &made, NULL) == OK) {
            MUST(block != ROOT, "Alice's tree");
            (void)monitor_granted(&monitor, NULL, EXO_BLOCKS, mallory->number, &made);
            pool[EXO_BLOCKS][draw(POOL)] = made;
        }
        break;
    case 6:
        answered(0, claim(&handle, block), writes_it);
        break;
    default:
        answered(0,
                 exo_xn_modify(blocks, mallory, &handle, block, writes, draw(4), (enum xn_change)draw(3), extent, NULL),
                 writes_it);
        break;
    }
}

static void code_call(void) {
    static const char *const texts[] = {"udp dst port 7", "udp dst port 8", "ip",      "udp",           "portrange 7-9",
                                        "len > 10",       "tcp port 7",     "not udp", "udp dst port 9"};
    instruction code[6];
    struct exo_handle made;
    uint32_t number = 0;
    for (int i = 0; i < 6; i++) { /* nonsense, but of operations that there are */
        code[i] = (instruction){(uint8_t)draw(36), (uint8_t)draw(8), (uint8_t)draw(8), (uint8_t)draw(4),
                                (int32_t)draw(70) - 2};
    }
    const struct download_region region = {draw(2) == 0 ? hers.physical : draw(1 << 24), draw(8192), draw(2) == 0};
    const instruction stores[] = {I(set, 0, 0, 0, 0), I(store32, 0, 0, 1, 0), I(return_value, 0, 0, 0, 0)};
    const struct exo_handle handle = some_handle(EXO_DOWNLOADED);
    const bool mine = exo_memory_holds(kernel, mallory->number, region.physical, region.length_bytes, true);
    switch (draw(5)) {
    case 0:
        if (exo_bound_filter_text(downloads, mallory, NULL, texts[draw(9)], &number, &made, NULL) == OK) {
            (void)monitor_granted(&monitor, NULL, EXO_DOWNLOADED, mallory->number, &made);
            pool[EXO_DOWNLOADED][draw(POOL)] = made;
            granted[2]++;
        }
        break;
    case 1:
        (void)exo_bound_handler(downloads, mallory, &handle, code, 6, &region, 1, NULL);
        break;
    case 2:
        MUST(exo_bound_handler(downloads, mallory, &handle, stores, 3, &region, 1, NULL) != OK || mine,
             "a handler over memory that is not its own");
        break;
    case 3:
        (void)exo_bound_wait(downloads, mallory, code, 6, &region, draw(2), NULL);
        break;
    default:
        if (exo_revoke(mallory, &handle, NULL) == OK) {
            MUST(monitor_allows(&monitor, mallory->number, &handle, handle.type, EXO_CONTROL), "revoked");
            monitor_revoked(&monitor, &handle);
        }
        break;
    }
}

Test(exo_code_adversary, random_calls_leave_blocks_and_packets_as_they_were) {
    make();
    look();
    for (calls = 1; calls <= CALLS; calls++) {
        (draw(2) == 0 ? blocks_call : code_call)();
        MUST(monitor.fault == NULL, monitor.fault);
        if (calls % LOOK == 0) {
            look();
        }
    }
    for (int i = 0; i < 3; i++) {
        cr_expect_gt(granted[i], 20, "kind %d: %llu", i, (unsigned long long)granted[i]);
    }
    cr_expect_gt(xn_counters(fixture_xn)->stolen + xn_counters(fixture_xn)->lies, 100);
    monitor_fini(&monitor);
}
