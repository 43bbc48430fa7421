/* adversary_fixture.h: a machine with a NIC and a drive, an exokernel, Alice with all that
 * one can have, two adversaries, the monitor that heard of it, and its looks at the hardware. */
#ifndef STILLSUIT_TESTS_KERNEL_MODEL_ADVERSARY_FIXTURE_H
#define STILLSUIT_TESTS_KERNEL_MODEL_ADVERSARY_FIXTURE_H

#include <stdlib.h>

#include "hw/nic/nic_internal.h"
#include "hw/nvme/nvme_internal.h"
#include "kernel_model/exo/vsa.h"
#include "tests/kernel_model/exo_fixture.h"
#include "tests/kernel_model/monitor.h"

enum {
    SEED = 20140910,
    LOOK = 500, /* calls between two looks at the hardware */
    POOL = 48,  /* handles of a type that an adversary remembers */
    FRAMES = 24,
    PORT = 100,
    PORTS = 8,
    AREA_BYTES = 1 << 20,
    BLOCK = 512
};

static struct monitor monitor;
static struct random_stream *stream;
static struct device *ssd;
static struct exo_drive *drive;
static struct exo_environment *mallory[2];
static struct exo_thread *thread;
static struct exo_handle pool[EXO_TYPES][POOL];
static struct error error;
static uint64_t calls;

/* What Alice has. */
static struct exo_region memory[3], packet; /* the last for what arrives */
static struct exo_handle function, queue, filter, vsic, storage_queue, area, end_point, doorbell, directories, tree,
    downloaded;
static struct exo_storage_binding binding;
static uint64_t registers;
static uint32_t nsid;
static struct nvme_extent extent;

#define MUST(condition, ...)                                                                                           \
    cr_assert((condition), "seed %d, call %llu: %s", SEED, (unsigned long long)calls, __VA_ARGS__)

static uint32_t draw(uint64_t bound) {
    return (uint32_t)random_below(stream, bound);
}

/* ---- the machine ---- */

static void make_machine(void) {
    fixture_more = "  - {name: ssd, type: nvme, capacity: 16 MiB, virtual_functions: 3, queues_per_function: 2,\n"
                   "     doorbell_stride: 4096 B, default_namespace: false, media: {type: low_latency}}\n";
    fixture_machine_make("on", "header");
    random_seed(SEED);
    stream = random_stream_create("adversary");
    ssd = machine_device(fixture_machine, "ssd");
    kernel = exo_kernel_create(fixture_machine, &fixture_costs, EXO_IDLE_HALT, &error);
    drive = exo_drive_add(kernel, ssd, 0, &error);
    cr_assert_not_null(drive, "%s", error.text);
}

static struct exo_environment *make_environment(const char *name) {
    struct exo_limits limits = exo_limits_default();
    limits.address = FIXTURE_IP;
    limits.frames = 2048;
    limits.filters = 12;
    limits.storage_bytes = 4 << 20;
    struct exo_environment *environment = exo_environment_create(kernel, name, &limits, &error);
    cr_assert_not_null(environment, "%s", error.text);
    return environment;
}

static void nothing(void *argument) {
    (void)argument;
}

/* ---- what Alice gets, and the monitor hears ---- */

static void record_mapping(uint32_t environment, const struct exo_handle *handle, uint64_t at, uint64_t physical,
                           uint64_t length_bytes, bool write, bool is_registers) {
    const struct monitor_mapping mapping = {.write = write,
                                            .environment = environment,
                                            .capability = handle->index,
                                            .virtual_address = at,
                                            .physical = physical,
                                            .length_bytes = length_bytes,
                                            .registers = is_registers};
    monitor_mapped(&monitor, &mapping);
}

static void alice_memory(struct exo_region *region) {
    cr_assert_eq(exo_memory_allocate(alice, 0, FRAMES * MEMORY_FRAME_BYTES, region, &error), OK, "%s", error.text);
    monitor_granted_frames(&monitor, alice->number, &region->handle, region->physical, region->length_bytes);
    cr_assert_eq(exo_memory_map(alice, region, true, &error), OK, "%s", error.text);
    record_mapping(alice->number, &region->handle, region->virtual_address, region->physical, region->length_bytes,
                   true, false);
}

static void alice_network(void) {
    uint32_t index = 0;
    const struct nic_filter space = fixture_space(PORT, PORT + PORTS - 1);
    cr_assert_eq(exo_function_grant(alice, fixture_nic, FIXTURE_MAC_A, &function, &error), OK, "%s", error.text);
    monitor_granted(&monitor, NULL, EXO_FUNCTION, alice->number, &function)->object = 1;
    cr_assert_eq(exo_function_map(alice, &function, &registers, &error), OK, "%s", error.text);
    record_mapping(alice->number, &function, registers, nic_function(fixture_nic, 1)->bar_address[0],
                   nic_function(fixture_nic, 1)->bar_bytes[0], true, true);
    cr_assert_eq(exo_queue_grant(alice, &function, &index, &queue, &error), OK, "%s", error.text);
    (void)monitor_granted(&monitor, &function, EXO_QUEUE, alice->number, &queue);
    cr_assert_eq(exo_filter_create(alice, &function, EXO_FILTER_RX | EXO_FILTER_TX, &space, &filter, &error), OK, "%s",
                 error.text);
    (void)monitor_granted(&monitor, &function, EXO_FILTER, alice->number, &filter);
    struct exo_thread *own = exo_thread_create(alice, 0, "alice", nothing, NULL, &error);
    cr_assert_eq(exo_end_point_create(own, &end_point, &error), OK, "%s", error.text);
    (void)monitor_granted(&monitor, NULL, EXO_END_POINT, alice->number, &end_point);
    cr_assert_eq(exo_doorbell_create(alice, &function, 0, &end_point, &doorbell, &error), OK, "%s", error.text);
    (void)monitor_granted(&monitor, &function, EXO_DOORBELL, alice->number, &doorbell);
}

static void record_doorbells(uint32_t environment, const struct exo_handle *handle, uint32_t number,
                             const struct exo_storage_binding *bound) {
    const uint64_t first = NVME_SQ_DOORBELL(bound->queue, bound->doorbell_stride);
    record_mapping(environment, handle, bound->doorbells + first, nvme_function(ssd, number)->bar_address[0] + first,
                   2 * MEMORY_FRAME_BYTES, true, true);
}

static void alice_storage(void) {
    const struct exo_queue_memory rings = {memory[1].device_address, memory[1].device_address + 8192, 16};
    uint8_t bytes[BLOCK];
    cr_assert_eq(exo_vsic_grant(alice, drive, &vsic, &error), OK, "%s", error.text);
    monitor_granted(&monitor, NULL, EXO_VSIC, alice->number, &vsic)->object = 1;
    cr_assert_eq(exo_storage_queue_grant(alice, &vsic, &rings, false, &binding, &storage_queue, &error), OK, "%s",
                 error.text);
    (void)monitor_granted(&monitor, &vsic, EXO_STORAGE_QUEUE, alice->number, &storage_queue);
    record_doorbells(alice->number, &storage_queue, 1, &binding);
    cr_assert_eq(exo_vsa_create(alice, drive, "alice's", AREA_BYTES, EXO_ANY_BLOCK, &area, &error), OK, "%s",
                 error.text);
    cr_assert_eq(exo_vsa_attach(alice, &vsic, &area, true, &nsid, &error), OK, "%s", error.text);
    monitor_granted(&monitor, NULL, EXO_VSA, alice->number, &area)->object = nsid;
    cr_assert_eq(nvme_namespace_extents(ssd, nsid, &extent, 1), 1);
    for (uint64_t i = 0; i < extent.blocks; i++) {
        memset(bytes, (int)(i % 251 + 1), sizeof bytes);
        block_store_write(nvme_store(ssd), extent.first_block + i, 1, bytes, true);
    }
}

static void make(void (*code_make)(void)) {
    make_machine();
    monitor_init(&monitor);
    alice = make_environment("alice");
    mallory[0] = make_environment("mallory");
    mallory[1] = make_environment("trudy");
    for (int i = 0; i < 3; i++) {
        alice_memory(&memory[i]);
        memory_fill(fixture_machine->memory, memory[i].physical, (uint8_t)(0xa0 + i), memory[i].length_bytes);
    }
    alice_memory(&packet);
    alice_network();
    alice_storage();
    thread = exo_thread_create(mallory[0], 1, "mallory", nothing, NULL, &error);
    code_make();
    /* Two things are lent: a run of frames to read, and the area, to read. */
    cr_assert_eq(exo_derive(alice, &memory[2].handle, EXO_READ | EXO_GRANT, mallory[0], &pool[EXO_FRAMES][0], &error),
                 OK);
    monitor_derived(&monitor, &memory[2].handle, EXO_READ | EXO_GRANT, mallory[0]->number, &pool[EXO_FRAMES][0]);
    cr_assert_eq(exo_derive(alice, &area, EXO_READ, mallory[0], &pool[EXO_VSA][0], &error), OK);
    monitor_derived(&monitor, &area, EXO_READ, mallory[0]->number, &pool[EXO_VSA][0]);
}

/* ---- looks at the hardware ---- */

static uint64_t interfaces_of(const struct exo_environment *environment) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < monitor.used; i++) {
        const struct monitor_capability *at = &monitor.at[i];
        count += at->live && !at->derived && at->type == EXO_VSIC && at->holder == environment->number;
    }
    return count;
}

static void look_at_memory(void) {
    struct exo_environment *all[] = {alice, mallory[0], mallory[1]};
    for (int i = 0; i < 3; i++) {
        monitor_check_page_table(&monitor, fixture_machine->memory, address_space_root(all[i]->space), all[i]->number);
        MUST(monitor.fault == NULL, monitor.fault);
        monitor_check_device_table(&monitor, fixture_machine->memory, iommu_domain_root(all[i]->domain), all[i]->number,
                                   2 * interfaces_of(all[i]));
        MUST(monitor.fault == NULL, monitor.fault);
    }
    for (int i = 0; i < 3; i++) {
        static uint8_t now[FRAMES * MEMORY_FRAME_BYTES], was[FRAMES * MEMORY_FRAME_BYTES];
        memset(was, 0xa0 + i, sizeof was);
        memory_read(fixture_machine->memory, memory[i].physical, now, sizeof now);
        MUST(memcmp(now, was, sizeof now) == 0, "Alice's memory has changed");
    }
    MUST(alice->frames_held == 4 * FRAMES, "Alice's frames");
}

/* Each function reaches Alice's memory by Alice's domain, or what was lent, to read. */
static void look_at_devices(void) {
    for (uint32_t f = 1; f <= 4 + 3; f++) {
        const uint16_t id =
            f <= 4 ? nic_function(fixture_nic, f)->requester_id : nvme_function(ssd, f - 4)->requester_id;
        const bool hers = f == 1 || f == 5;
        for (int i = 0; i < 3; i++) {
            uint64_t physical = 0;
            const uint64_t at = memory[i].device_address + draw(FRAMES) * MEMORY_FRAME_BYTES;
            const bool reaches = iommu_peek(fixture_machine->iommu, id, at, true, &physical) &&
                                 monitor_owner_of(&monitor, physical) == alice->number;
            MUST(reaches == hers, "a function reaches Alice's memory, or hers does not");
        }
    }
    const struct pcie_function *pcie = nic_function(fixture_nic, 1);
    MUST(pcie->msix[0].enabled && pcie->msix[0].core == 0 && pcie->msix[0].vector == 0, "Alice's doorbell");
}

static struct nic_headers some_headers(bool hers, bool sends) {
    const uint16_t own = (uint16_t)(hers ? PORT + draw(PORTS) : draw(2) == 0 ? PORT + PORTS + draw(60000) : draw(PORT));
    const uint16_t peer = (uint16_t)draw(65536);
    const uint32_t ip = FIXTURE_IP, far = draw(2) == 0 ? FIXTURE_IP_CLIENT : draw(UINT32_MAX);
    return (struct nic_headers){.ipv4 = true,
                                .ports = true,
                                .protocol = NET_PROTOCOL_UDP,
                                .source = sends ? ip : far,
                                .destination = sends ? far : ip,
                                .source_port = sends ? own : peer,
                                .destination_port = sends ? peer : own};
}

/* Who gets a packet, and who may send it: hers are hers, others' are not. */
static void look_at_filters(void) {
    struct nic *nic = nic_of(fixture_nic);
    static uint8_t bytes[FRAME_BYTES_MAX];
    for (int i = 0; i < 40; i++) {
        const bool hers = i % 2 == 0;
        memcpy(bytes, hers || draw(2) == 0 ? FIXTURE_MAC_A : FIXTURE_MAC_B, 6);
        const struct nic_headers in = some_headers(hers, false);
        const struct nic_queue *to = nic_filter_receive(nic, bytes, &in);
        MUST(!hers || to != NULL, "Alice's packet is lost");
        MUST(to == NULL || (to->function->number == 1) == hers, "a packet goes to the wrong function");
        const struct nic_headers out = some_headers(hers, true);
        for (uint32_t f = 1; f <= 4; f++) {
            memcpy(bytes + 6, f == 1 || draw(2) == 0 ? FIXTURE_MAC_A : FIXTURE_MAC_B, 6);
            const bool may = nic_filter_transmit_allowed(&nic->functions[f], bytes, &out);
            MUST(!hers || may == (f == 1), "who sends in Alice's name");
            MUST(hers || f != 1 || !may, "Alice sends in another's name");
        }
    }
}

static bool is_attached(uint32_t number, uint32_t wanted) {
    static uint32_t list[1024];
    const struct nvme_sqe command = {.opcode = NVME_ADMIN_IDENTIFY, .nsid = 0, .dword10 = NVME_CNS_ACTIVE_NAMESPACES};
    if (nvme_admin_now(ssd, number, &command, list, NULL) != NVME_SUCCESS) {
        return false; /* it is off */
    }
    for (uint32_t i = 0; i < 1024 && list[i] != 0; i++) {
        if (list[i] == wanted) {
            return true;
        }
    }
    return false;
}

static bool lent_area;
static void find_lent(void) {
    lent_area = false;
    for (uint32_t i = 0; i < monitor.used; i++) {
        const struct monitor_capability *at = &monitor.at[i];
        lent_area = lent_area || (at->live && at->type == EXO_VSA && at->object == nsid && at->holder != alice->number);
    }
}

static void look_at_drive(void) {
    struct nvme_extent now = {0, 0};
    uint8_t bytes[BLOCK];
    MUST(nvme_namespace_extents(ssd, nsid, &now, 1) == 1 && now.first_block == extent.first_block &&
             now.blocks == extent.blocks,
         "Alice's area lies elsewhere");
    for (uint64_t i = draw(16); i < extent.blocks; i += 16) {
        block_store_read(nvme_store(ssd), extent.first_block + i, 1, bytes);
        MUST(bytes[0] == i % 251 + 1 && bytes[BLOCK - 1] == i % 251 + 1, "Alice's blocks have changed");
    }
    MUST(is_attached(1, nsid), "Alice's area is detached");
    find_lent();
    for (uint32_t f = 2; f <= 3; f++) {
        MUST(lent_area || !is_attached(f, nsid), "Alice's area is attached to another's interface");
        if (is_attached(f, nsid)) {
            MUST(nvme_of(ssd)->functions[f].rights[nsid] == NVME_RIGHT_READ, "Alice's area can be written by another");
        }
    }
    /* No block is in two areas. */
    for (uint32_t n = 1; n <= nvme_namespaces(ssd); n++) {
        struct nvme_extent other[64];
        const uint32_t count = nvme_namespace_extents(ssd, n, other, 64);
        for (uint32_t i = 0; n != nsid && i < count; i++) {
            MUST(other[i].first_block + other[i].blocks <= extent.first_block ||
                     extent.first_block + extent.blocks <= other[i].first_block,
                 "another's area lies over Alice's");
        }
    }
}

static void look(void) {
    MUST(monitor.fault == NULL, monitor.fault);
    look_at_memory();
    look_at_devices();
    look_at_filters();
    look_at_drive();
}

#endif
