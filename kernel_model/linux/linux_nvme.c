/* linux_nvme.c: the NVMe driver: a queue pair a CPU, whose completions interrupt that
 * CPU. As in 3.8's nvme.c, completions are taken in the interrupt handler itself, and
 * there is no softirq in between. */
#include <stdlib.h>

#include "hw/nvme/nvme.h"
#include "kernel_model/linux/linux_storage.h"
#include "stack/nvme_queue.h"

enum { ADMIN_ENTRIES = 32, TRANSFER_BYTES_MIN = 131072 };

struct linux_nvme_queue {
    struct nvme_pair pair;
    bool busy; /* a command is being written to it: the queue's lock */
};

struct linux_nvme {
    struct block_device base;
    struct linux_storage *storage;
    struct device *device;
    uint32_t nsid, queue_count;
    struct linux_nvme_queue *queues;
    uint8_t *mapped; /* a bit a frame that the device may reach */
    uint64_t in_flight;
    struct fs_queue waiters;
};

static struct linux_nvme *nvme_of(struct block_device *device) {
    return (struct linux_nvme *)device;
}

static struct linux_nvme_queue *queue_of(struct linux_nvme *self, const struct context *context) {
    return &self->queues[core_index(context_core(context)) % self->queue_count];
}

/* ---- memory that the drive may reach ---- */

static bool map(struct linux_nvme *self, uint64_t address, uint64_t bytes) {
    const struct linux_system *system = self->storage->system;
    if (self->mapped == NULL) { /* no IOMMU, or it passes everything through */
        return true;
    }
    for (uint64_t frame = address / MEMORY_FRAME_BYTES; frame * MEMORY_FRAME_BYTES < address + bytes; ++frame) {
        const uint64_t at = frame * MEMORY_FRAME_BYTES;
        if ((self->mapped[frame / 8] >> frame % 8 & 1) != 0) {
            continue;
        }
        const enum error_code code = iommu_map(system->domain, at, at, MEMORY_FRAME_BYTES, IOMMU_READ | IOMMU_WRITE);
        if (code != OK && code != ERR_EXISTS && code != ERR_OVERLAP) { /* the NIC's memory is mapped already */
            return false;
        }
        self->mapped[frame / 8] |= (uint8_t)(1U << frame % 8);
    }
    return true;
}

/* ---- the block device ---- */

static enum error_code submit(struct block_device *device, struct context *context, struct block_io *io) {
    struct linux_nvme *self = nvme_of(device);
    struct linux_nvme_queue *queue = queue_of(self, context);
    const struct linux_file_call *call = linux_call_of(self->storage->system, context);
    const ledger_component work = call != NULL ? call->components->block : linux_write_back_components.block;
    if (io->operation != BLOCK_FLUSH && (io->blocks > device->blocks || io->block > device->blocks - io->blocks)) {
        return ERR_RANGE;
    }
    if (queue->busy || !nvme_pair_room(&queue->pair)) {
        return ERR_AGAIN;
    }
    for (uint32_t i = 0; i < io->segment_count; ++i) {
        if (!map(self, io->segments[i].physical, io->segments[i].length_bytes)) {
            return ERR_EXHAUSTED;
        }
    }
    queue->busy = true;
    queue->pair.config.doorbell = work;
    enum error_code code = nvme_pair_submit(&queue->pair, context, io, self->nsid);
    if (code == OK) {
        self->in_flight += 1;
        code = nvme_pair_ring(&queue->pair, context);
        SIM_ASSERT_MSG(code == OK, "the kernel's doorbell is not mapped");
    }
    queue->busy = false;
    return code;
}

static void wait_for(struct block_device *device, struct context *context, struct block_io *io) {
    struct linux_nvme *self = nvme_of(device);
    struct linux_file_call *call = linux_call_of(self->storage->system, context);
    SIM_ASSERT_MSG(call != NULL, "who waits for a drive is in a call");
    call->awaited = io;
    if (io == NULL && self->in_flight > 0) {
        linux_storage_sleep(call, &self->waiters, call->components->device);
    }
    while (io != NULL && !io->finished) {
        linux_storage_sleep(call, &self->waiters, call->components->device);
    }
    call->awaited = NULL;
}

static const struct block_device_ops ops = {.type_name = "nvme", .submit = submit, .wait = wait_for};

/* ---- completions ---- */

/* Wakes those whose operation has ended, and those who wait for any. */
static void wake(struct linux_nvme *self, struct linux_cpu *cpu) {
    struct linux_thread *all = self->waiters.sleepers, *left = NULL;
    self->waiters.sleepers = NULL;
    while (all != NULL) {
        struct linux_thread *thread = linux_waiters_take(&all);
        const struct block_io *awaited = thread->file_call->awaited;
        if (awaited == NULL || awaited->finished) {
            linux_sched_wake(thread, cpu);
        } else {
            linux_waiters_add(&left, thread);
        }
    }
    self->waiters.sleepers = left;
}

void linux_nvme_interrupt(struct linux_cpu *cpu, uint32_t index) {
    struct linux_storage *storage = cpu->system->storage;
    struct linux_nvme *self = nvme_of(storage->disk);
    struct linux_nvme_queue *queue = &self->queues[index];
    struct block_io *io;
    storage->counters.block_interrupts += 1;
    linux_charge(cpu->interrupt, &storage->profile.nvme_interrupt, 1);
    while ((io = nvme_pair_reap(&queue->pair, cpu->interrupt)) != NULL) {
        self->in_flight -= 1;
        cpu_work_for(cpu->interrupt, linux_write_back_components.block, NULL);
        linux_block_ended(storage, cpu->interrupt, io);
    }
    nvme_pair_release(&queue->pair, cpu->interrupt);
    cpu_work_for(cpu->interrupt, linux_write_back_components.block, NULL);
    if (self->waiters.sleepers != NULL) {
        linux_charge(cpu->interrupt, &storage->system->profile.wake_up, 1);
        cpu_run(cpu->interrupt);
        wake(self, cpu);
    }
}

/* ---- open and close ---- */

static enum error_code open_queue(struct linux_nvme *self, uint32_t index, struct error *error) {
    struct linux_storage *storage = self->storage;
    struct linux_system *system = storage->system;
    struct pcie_function *function = nvme_function(self->device, 0);
    const uint32_t entries = (uint32_t)storage->config.queue_entries;
    const uint64_t bytes = nvme_pair_memory_bytes(entries);
    const uint64_t memory = frames_allocate_contiguous(system->frames, bytes / MEMORY_FRAME_BYTES);
    if (memory == 0 || !map(self, memory, bytes)) {
        return error_set(error, ERR_EXHAUSTED, "the machine's memory is too small for NVMe queue pair %u", index + 1);
    }
    const struct nvme_pair_config config = {
        .machine = system->base.machine,
        .queue = (uint16_t)(index + 1),
        .entries = entries,
        .physical = memory,
        .device_address = memory,
        .doorbells = function->bar_address[0],
        .doorbell_stride = nvme_doorbell_stride(self->device),
        .block_bytes = nvme_block_bytes(self->device),
        .costs = {.submit = &storage->profile.nvme_submit.cost,
                  .prp_list = &storage->profile.nvme_prp_list.cost,
                  .complete = &storage->profile.nvme_complete.cost},
        .working_set = storage->profile.nvme_submit.lines_at, /* the three lie one behind the other */
        .doorbell = linux_write_back_components.block,
    };
    nvme_pair_init(&self->queues[index].pair, &config);
    pcie_msix_route(function, index + 1, system->cpus[index].index, LINUX_VECTOR_NVME + index);
    return nvme_boot_pair(self->device, 0, &self->queues[index].pair, (int)index + 1, error);
}

static enum error_code boot(struct linux_nvme *self, struct error *error) {
    struct linux_system *system = self->storage->system;
    const uint64_t admin = frames_allocate_contiguous(system->frames, 2);
    if (admin == 0 || !map(self, admin, 2 * (uint64_t)MEMORY_FRAME_BYTES)) {
        return error_set(error, ERR_EXHAUSTED, "the machine's memory is too small for the NVMe driver");
    }
    enum error_code code = nvme_boot_controller(self->device, 0, admin, ADMIN_ENTRIES, error);
    for (uint32_t i = 0; i < self->queue_count && code == OK; ++i) {
        code = open_queue(self, i, error);
    }
    self->nsid = 1;
    if (code == OK && nvme_namespace_blocks(self->device, 1) != nvme_blocks(self->device)) { /* no default namespace */
        code = nvme_namespace_allocate(self->device, nvme_blocks(self->device), &self->nsid);
        code =
            code == OK ? nvme_namespace_attach(self->device, 0, self->nsid, NVME_RIGHT_READ | NVME_RIGHT_WRITE) : code;
        if (code != OK) {
            (void)error_set(error, code, "the drive '%s' cannot be had as a whole", self->base.name);
        }
    }
    return code;
}

/* The machine's drive, if it will do. */
static struct device *find_drive(const struct linux_storage *storage, struct error *error) {
    const struct linux_storage_config *config = &storage->config;
    struct machine *machine = storage->system->base.machine;
    struct device *device = machine_device(machine, config->drive);
    if (device == NULL || device->ops != &nvme_ops) {
        (void)error_set(error, ERR_NOT_FOUND, "the machine has no nvme of the name '%s'", config->drive);
        return NULL;
    }
    if ((config->queue_entries & (config->queue_entries - 1)) != 0 ||
        config->queue_entries > nvme_queue_entries(device)) {
        (void)error_set(error, ERR_RANGE, "storage.queue_entries: %u is no power of two of at most %u",
                        (unsigned)config->queue_entries, nvme_queue_entries(device));
        return NULL;
    }
    if (nvme_transfer_blocks(device) != 0 &&
        (uint64_t)nvme_transfer_blocks(device) * nvme_block_bytes(device) < TRANSFER_BYTES_MIN) {
        (void)error_set(error, ERR_RANGE, "the drive '%s' takes less than 128 KiB in a command", config->drive);
        return NULL;
    }
    return device;
}

static void attach(struct linux_nvme *self) {
    struct linux_system *system = self->storage->system;
    struct machine *machine = system->base.machine;
    if (system->domain != NULL) {
        self->mapped = calloc(memory_size(machine->memory) / MEMORY_FRAME_BYTES / 8 + 1, 1);
        SIM_ASSERT_MSG(self->mapped != NULL, "out of memory");
        iommu_attach(machine->iommu, nvme_function(self->device, 0)->requester_id, system->domain);
    }
}

struct block_device *linux_nvme_open(struct linux_storage *storage, struct error *error) {
    struct device *device = find_drive(storage, error);
    if (device == NULL) {
        return NULL;
    }
    const uint32_t cores = storage->system->base.machine->core_count, queues = nvme_physical_queues(device);
    struct linux_nvme *self = calloc(1, sizeof *self);
    SIM_ASSERT_MSG(self != NULL, "out of memory");
    self->base = (struct block_device){.ops = &ops,
                                       .name = storage->config.drive,
                                       .block_bytes = nvme_block_bytes(device),
                                       .blocks = nvme_blocks(device),
                                       .depth = (uint32_t)storage->config.queue_entries - 1,
                                       .volatile_cache = nvme_volatile_cache(device)};
    self->storage = storage;
    self->device = device;
    self->queue_count = cores < queues ? cores : queues;
    self->queues = calloc(self->queue_count, sizeof *self->queues);
    SIM_ASSERT_MSG(self->queues != NULL, "out of memory");
    attach(self);
    if (boot(self, error) != OK) {
        linux_nvme_close(&self->base);
        return NULL;
    }
    return &self->base;
}

void linux_nvme_close(struct block_device *device) {
    struct linux_nvme *self = nvme_of(device);
    for (uint32_t i = 0; i < self->queue_count; ++i) {
        nvme_pair_fini(&self->queues[i].pair);
    }
    free(self->mapped);
    free(self->queues);
    free(self);
}
