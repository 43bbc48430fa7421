/* exo_storage_fixture.h: a machine with an NVMe drive, an exokernel on it, and two
 * environments that drive queue pairs as a library does. */
#ifndef STILLSUIT_TESTS_KERNEL_MODEL_EXO_STORAGE_FIXTURE_H
#define STILLSUIT_TESTS_KERNEL_MODEL_EXO_STORAGE_FIXTURE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "hw/machine.h"
#include "kernel_model/common/system.h"
#include "kernel_model/exo/scheduler.h"
#include "kernel_model/exo/vsa.h"
#include "kernel_model/exo/vsic_emulation.h"
#include "sim/random.h"
#include "stack/nvme_queue.h"

enum { FIXTURE_DRIVE_BYTES = 16 << 20, FIXTURE_BLOCK = 512, FIXTURE_QUEUE = 16, FIXTURE_BUFFER_BYTES = 64 << 10 };

static struct machine *storage_machine;
static struct device *ssd;
static struct exo_kernel *kernel;
static struct exo_drive *drive;
static struct exo_environment *alice, *bob;
static struct exo_costs storage_costs;
static struct error error;
/* What environments may have, set before storage_make. */
static struct exo_limits storage_limits;
static const char *storage_iommu = "on";

/* A drive of 16 MiB with so many virtual functions. */
static inline void storage_make(unsigned functions) {
    static char text[1024];
    struct diagnostics diagnostics;
    (void)snprintf(text, sizeof text,
                   "memory: {size: 64 MiB}\ncore: {count: 3}\niommu: {mode: \"%s\"}\ndevices:\n"
                   "  - {name: ssd, type: nvme, capacity: 16 MiB, virtual_functions: %u, queues_per_function: 2,\n"
                   "     doorbell_stride: 4096 B, default_namespace: false, write_cache: volatile,\n"
                   "     media: {type: low_latency}}\n",
                   storage_iommu, functions);
    random_seed(3);
    machine_declare_components();
    system_declare_components();
    exo_declare_components();
    diagnostics_init(&diagnostics);
    struct config *config = config_parse("machine.yaml", text, &diagnostics);
    const bool made = config != NULL && machine_create(config_root(config), &storage_machine, &diagnostics);
    if (!made) {
        diagnostics_print(&diagnostics, stderr);
    }
    cr_assert(made);
    ssd = machine_device(storage_machine, "ssd");
    kernel = exo_kernel_create(storage_machine, &storage_costs, EXO_IDLE_HALT, &error);
    drive = exo_drive_add(kernel, ssd, 0, &error);
    cr_assert_not_null(drive, "%s", error.text);
    if (storage_limits.frames == 0) {
        storage_limits = exo_limits_default();
    }
    alice = exo_environment_create(kernel, "alice", &storage_limits, &error);
    bob = exo_environment_create(kernel, "bob", &storage_limits, &error);
    cr_assert(alice != NULL && bob != NULL, "%s", error.text);
}

/* A library's side: a VSIC, a queue pair, a buffer, a thread on a core of its own. */
struct user {
    struct exo_environment *environment;
    struct exo_thread *thread;
    struct exo_handle vsic, queue;
    struct exo_region rings, buffer;
    struct nvme_pair pair;
    struct exo_storage_binding binding;
    void (*body)(struct user *user);
};

static inline void user_region(struct user *user, uint64_t bytes, struct exo_region *region) {
    cr_assert_eq(exo_memory_allocate(user->environment, 0, bytes, region, &error), OK, "%s", error.text);
    cr_assert_eq(exo_memory_map(user->environment, region, true, &error), OK, "%s", error.text);
}

static inline struct exo_queue_memory user_queue_memory(const struct user *user) {
    return (struct exo_queue_memory){
        user->rings.device_address, user->rings.device_address + (user->pair.cq - user->rings.physical), FIXTURE_QUEUE};
}

static inline void user_open_pair(struct user *user) {
    user_region(user, nvme_pair_memory_bytes(FIXTURE_QUEUE), &user->rings);
    const ledger_component app = system_components.app;
    const struct nvme_pair_config config = {.machine = storage_machine,
                                            .entries = FIXTURE_QUEUE,
                                            .physical = user->rings.physical,
                                            .device_address = user->rings.device_address,
                                            .block_bytes = FIXTURE_BLOCK,
                                            .submit = app,
                                            .doorbell = app,
                                            .complete = app};
    nvme_pair_init(&user->pair, &config);
    const struct exo_queue_memory memory = user_queue_memory(user);
    cr_assert_eq(
        exo_storage_queue_grant(user->environment, &user->vsic, &memory, false, &user->binding, &user->queue, &error),
        OK, "%s", error.text);
    user->pair.config.queue = user->binding.queue;
    user->pair.config.doorbells = user->binding.doorbells;
    user->pair.config.doorbell_stride = user->binding.doorbell_stride;
}

static inline void user_make(struct user *user, struct exo_environment *environment) {
    *user = (struct user){.environment = environment};
    cr_assert_eq(exo_vsic_grant(environment, drive, &user->vsic, &error), OK, "%s", error.text);
    user_region(user, FIXTURE_BUFFER_BYTES, &user->buffer);
    if (!exo_vsic_is_emulated(environment, &user->vsic)) {
        user_open_pair(user);
    }
}

static inline void user_main(void *argument) {
    struct user *user = argument;
    user->body(user);
}

/* `body` runs on the core from the start of the run on. */
static inline void user_start(struct user *user, unsigned core, void (*body)(struct user *user)) {
    user->body = body;
    user->thread = exo_thread_create(user->environment, core, "user", user_main, user, &error);
    cr_assert_not_null(user->thread, "%s", error.text);
}

/* One command of a whole number of blocks at the buffer, and its status; ERR_AGAIN if
 * no completion comes within 10 ms; ERR_FAULT if the doorbell is not mapped. */
static inline enum error_code user_command(struct user *user, enum block_operation operation, uint32_t nsid,
                                           uint64_t block, uint32_t blocks) {
    struct context *context = user->thread->context;
    static struct block_io io;
    const uint32_t bytes = operation == BLOCK_FLUSH ? 0 : blocks * FIXTURE_BLOCK;
    io = (struct block_io){.operation = operation, .block = block, .blocks = blocks};
    for (uint32_t at = 0; at < bytes; at += MEMORY_FRAME_BYTES) {
        const uint32_t left = bytes - at;
        io.segments[io.segment_count++] = (struct block_segment){
            user->buffer.physical + at, user->buffer.device_address + at, left < 4096 ? left : 4096};
    }
    cpu_work_for(context, system_components.app, NULL);
    cr_assert_eq(nvme_pair_submit(&user->pair, context, &io, nsid), OK);
    if (nvme_pair_ring(&user->pair, context) != OK) {
        return ERR_FAULT;
    }
    for (int i = 0; i < 10000 && !nvme_pair_ready(&user->pair); i++) {
        cpu_work_for(context, system_components.app, NULL);
        cpu_charge_time(context, SIM_US);
        cpu_run(context);
    }
    if (!nvme_pair_ready(&user->pair)) {
        return ERR_AGAIN;
    }
    cr_assert_eq(nvme_pair_reap(&user->pair, context), &io);
    nvme_pair_release(&user->pair, context);
    return io.status;
}

static inline void user_fill(struct user *user, uint8_t value) {
    memory_fill(storage_machine->memory, user->buffer.physical, value, FIXTURE_BUFFER_BYTES);
}
static inline bool user_holds(const struct user *user, uint8_t value, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; i++) {
        if (*memory_at(storage_machine->memory, user->buffer.physical + i) != value) {
            return false;
        }
    }
    return true;
}
#endif
