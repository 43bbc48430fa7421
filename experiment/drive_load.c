/* drive_load.c: see drive_load.h. Memory from LOAD_ADDRESS on: admin queue, queue pair,
 * a buffer for each command; the IOMMU's tables lie below. */
#include "experiment/drive_load.h"

#include <stdlib.h>
#include <string.h>

#include "hw/nvme/nvme.h"
#include "libos_model/libos_storage.h"
#include "sim/engine.h"
#include "sim/random.h"
#include "stack/nvme_queue.h"

enum { LOAD_ADDRESS = 1 << 30, ADMIN_ENTRIES = 16, PAIR_ENTRIES_MAX = 4096, POLL_CYCLES = 4 };

const struct param drive_load_params[] = {
    {"device", PARAM_TEXT, offsetof(struct drive_load_config, device), "ssd", NULL, NULL, NULL,
     "the machine's device of type nvme"},
    {"block", PARAM_BYTES, offsetof(struct drive_load_config, block_bytes), "4 KiB", "512 B", "128 KiB", NULL,
     "of a command; whole blocks of the drive"},
    {"window", PARAM_BYTES, offsetof(struct drive_load_config, window_bytes), "0 B", NULL, NULL, NULL,
     "of the drive, from its begin, that commands go to; 0 B: all of it"},
    {"depth", PARAM_INTEGER, offsetof(struct drive_load_config, depth), "1", "1", "4095", NULL,
     "commands that are under way together"},
    {"reads", PARAM_SHARE, offsetof(struct drive_load_config, read_share), "100 %", "0 %", "100 %", NULL,
     "share of commands that read; the others write"},
    {"random", PARAM_BOOL, offsetof(struct drive_load_config, random), "true", NULL, NULL, NULL,
     "a multiple of `block` at random within the window, else one after the other"},
    {0},
};

struct drive_load {
    struct drive_load_config config;
    struct machine *machine;
    struct device *device;
    struct context *context;
    struct nvme_pair pair;
    struct cost submit, complete;
    struct random_stream *stream;
    struct ledger *ledger;
    struct memory_watch watch;
    struct block_io *ios;
    bool (*completed)(void *context, uint64_t count);
    void *completed_context;
    uint64_t places, next, count; /* where commands may go; the next in order; done */
    uint64_t next_table;
    uint32_t nsid;
    enum error_code failure;
};

/* ---- what was asked for ---- */

static bool refuse(const struct config_node *node, const char *key, struct diagnostics *diagnostics, const char *text,
                   uint64_t value, uint64_t limit) {
    const struct config_node *place = config_get(node, key);
    diagnostics_at(diagnostics, place != NULL ? place : node, text, key, (unsigned long long)value,
                   (unsigned long long)limit);
    return false;
}

static bool check(struct drive_load *load, const struct config_node *node, struct diagnostics *diagnostics) {
    const struct drive_load_config *config = &load->config;
    if (load->device == NULL || load->device->ops != &nvme_ops) {
        const struct config_node *place = config_get(node, "device");
        diagnostics_at(diagnostics, place != NULL ? place : node, "drive.device: the machine has no NVMe drive '%s'",
                       config->device);
        return false;
    }
    const uint64_t block = nvme_block_bytes(load->device);
    const uint64_t bytes = nvme_blocks(load->device) * block;
    const uint64_t most = (uint64_t)nvme_transfer_blocks(load->device) * block;
    const uint64_t window = config->window_bytes != 0 ? config->window_bytes : bytes;
    const uint32_t entries =
        nvme_queue_entries(load->device) < PAIR_ENTRIES_MAX ? nvme_queue_entries(load->device) : PAIR_ENTRIES_MAX;
    bool good = true;
    if (config->block_bytes % block != 0) {
        good = refuse(node, "block", diagnostics, "drive.%s: %llu B are not whole blocks of the drive, %llu B each",
                      config->block_bytes, block);
    } else if (config->block_bytes > most) {
        good = refuse(node, "block", diagnostics, "drive.%s: %llu B are more than the drive transfers at once, %llu B",
                      config->block_bytes, most);
    }
    if (window > bytes) {
        good =
            refuse(node, "window", diagnostics, "drive.%s: %llu B are more than the drive has, %llu B", window, bytes);
    } else if (window < config->block_bytes) {
        good = refuse(node, "window", diagnostics, "drive.%s: %llu B are less than a command's %llu B", window,
                      config->block_bytes);
    }
    if (config->depth >= entries) {
        good = refuse(node, "depth", diagnostics,
                      "drive.%s: %llu commands need a queue of more than the %llu entries that the drive allows",
                      config->depth, entries);
    }
    load->places = window / config->block_bytes;
    return good;
}

/* ---- making it ---- */

static uint64_t table_frame(void *context) {
    struct drive_load *load = context;
    const uint64_t frame = load->next_table;
    load->next_table += MEMORY_FRAME_BYTES;
    memory_fill(load->machine->memory, frame, 0, MEMORY_FRAME_BYTES);
    return frame < LOAD_ADDRESS ? frame : 0;
}

/* The device sees this memory at its physical address, and no other. */
static bool map(struct drive_load *load, uint64_t bytes) {
    if (iommu_mode(load->machine->iommu) != IOMMU_ON) {
        return true;
    }
    struct error error = {0};
    struct iommu_domain *domain = iommu_domain_create(load->machine->iommu, table_frame, load, &error);
    return domain != NULL && iommu_map(domain, LOAD_ADDRESS, LOAD_ADDRESS, bytes, IOMMU_READ | IOMMU_WRITE) == OK &&
           iommu_attach(load->machine->iommu, nvme_function(load->device, 0)->requester_id, domain) == OK;
}

/* All of the drive: the namespace that it came with, or one that is made. */
static enum error_code take_namespace(struct drive_load *load) {
    load->nsid = 1;
    if (nvme_namespace_blocks(load->device, 1) == nvme_blocks(load->device)) {
        return OK;
    }
    const enum error_code code = nvme_namespace_allocate(load->device, nvme_blocks(load->device), &load->nsid);
    return code == OK ? nvme_namespace_attach(load->device, 0, load->nsid, NVME_RIGHT_READ | NVME_RIGHT_WRITE) : code;
}

static uint64_t frames(uint64_t bytes) {
    return (bytes + MEMORY_FRAME_BYTES - 1) / MEMORY_FRAME_BYTES * MEMORY_FRAME_BYTES;
}

/* Each command has its buffer for good; its place on the drive changes. */
static void make_buffers(struct drive_load *load, uint64_t address) {
    load->ios = calloc(load->config.depth, sizeof *load->ios);
    SIM_ASSERT(load->ios != NULL);
    for (uint64_t i = 0; i < load->config.depth; i++) {
        struct block_io *io = &load->ios[i];
        io->blocks = (uint32_t)(load->config.block_bytes / nvme_block_bytes(load->device));
        for (uint64_t left = load->config.block_bytes; left > 0;) {
            const uint32_t take = left < MEMORY_FRAME_BYTES ? (uint32_t)left : MEMORY_FRAME_BYTES;
            io->segments[io->segment_count++] =
                (struct block_segment){.physical = address, .device_address = address, .length_bytes = take};
            address += MEMORY_FRAME_BYTES;
            left -= take;
        }
    }
}

static enum error_code boot(struct drive_load *load, struct error *error) {
    const uint64_t pair_at = LOAD_ADDRESS + 2 * MEMORY_FRAME_BYTES;
    uint32_t entries = NVME_QUEUE_MIN;
    while (entries <= load->config.depth) {
        entries *= 2;
    }
    const uint64_t buffers_at = pair_at + nvme_pair_memory_bytes(entries);
    const uint64_t end = buffers_at + load->config.depth * frames(load->config.block_bytes);
    if (!memory_contains(load->machine->memory, LOAD_ADDRESS, end - LOAD_ADDRESS) || !map(load, end - LOAD_ADDRESS)) {
        return error_set(error, ERR_EXHAUSTED, "the machine's memory is too small for the queue pair and its buffers");
    }
    make_buffers(load, buffers_at);
    load->submit = (struct cost){.cycles = load->config.submit_cycles};
    load->complete = (struct cost){.cycles = load->config.complete_cycles};
    const struct nvme_pair_config config = {.machine = load->machine,
                                            .queue = 1,
                                            .entries = entries,
                                            .physical = pair_at,
                                            .device_address = pair_at,
                                            .doorbells = nvme_function(load->device, 0)->bar_address[0],
                                            .doorbell_stride = nvme_doorbell_stride(load->device),
                                            .block_bytes = nvme_block_bytes(load->device),
                                            .costs = {.submit = &load->submit, .complete = &load->complete},
                                            .submit = libos_storage_components.out,
                                            .doorbell = libos_storage_components.doorbell,
                                            .complete = libos_storage_components.in};
    nvme_pair_init(&load->pair, &config);
    enum error_code code = nvme_boot_controller(load->device, 0, LOAD_ADDRESS, ADMIN_ENTRIES, error);
    code = code == OK ? take_namespace(load) : code;
    return code == OK ? nvme_boot_pair(load->device, 0, &load->pair, -1, error) : code;
}

struct drive_load *drive_load_create(struct machine *machine, const struct drive_load_config *config,
                                     const struct config_node *node, struct diagnostics *diagnostics) {
    struct drive_load *load = calloc(1, sizeof *load);
    SIM_ASSERT(load != NULL);
    *load = (struct drive_load){.config = *config,
                                .machine = machine,
                                .device = machine_device(machine, config->device),
                                .stream = random_stream_create("drive_load.place"),
                                .next_table = LOAD_ADDRESS / 2};
    struct error error = {0};
    bool good = check(load, node, diagnostics);
    if (good && boot(load, &error) != OK) {
        diagnostics_at(diagnostics, node, "drive: %s", error.text[0] != '\0' ? error.text : "it cannot be set up");
        good = false;
    }
    if (!good) {
        free(load->ios);
        free(load);
        return NULL;
    }
    return load;
}

/* ---- the load ---- */

static void submit(struct drive_load *load, struct block_io *io) {
    const bool reads = load->config.read_share >= 1 ||
                       (load->config.read_share > 0 && random_uniform(load->stream) < load->config.read_share);
    const uint64_t place = load->config.random ? random_below(load->stream, load->places) : load->next;
    load->next = load->next + 1 < load->places ? load->next + 1 : 0;
    io->operation = reads ? BLOCK_READ : BLOCK_WRITE;
    io->block = place * io->blocks;
    if (load->ledger != NULL) {
        cpu_run(load->context);
        io->request = ledger_begin(load->ledger, libos_storage_components.out, LEDGER_SERVICE, sim_now());
        cpu_work_for(load->context, libos_storage_components.out, io->request);
    }
    const enum error_code code = nvme_pair_submit(&load->pair, load->context, io, load->nsid);
    SIM_ASSERT_MSG(code == OK, "a command of the load was not taken: %s", error_code_text(code));
    cpu_pass_on(load->context, libos_storage_components.out, LEDGER_WAITING); /* for the doorbell */
}

static void line_written(void *context) {
    cpu_spin_wake(context);
}

static void await(struct drive_load *load) {
    if (!nvme_pair_ready(&load->pair)) {
        struct memory *memory = load->machine->memory;
        memory_watch_set(memory, &load->watch, nvme_pair_line(&load->pair), line_written, load->context);
        cpu_spin(load->context, POLL_CYCLES, libos_storage_components.in);
        memory_watch_clear(memory, &load->watch);
    }
}

/* Takes what has come and asks anew for each; false: the load is over. */
static bool turn(struct drive_load *load) {
    struct block_io *io = NULL;
    while ((io = nvme_pair_reap(&load->pair, load->context)) != NULL) {
        if (io->status != OK) {
            load->failure = io->status;
            return false;
        }
        if (load->ledger != NULL) {
            cpu_run(load->context);
            ledger_end(io->request, libos_storage_components.in, sim_now());
            cpu_work_for(load->context, libos_storage_components.in, NULL);
        }
        if (!load->completed(load->completed_context, ++load->count)) {
            return false;
        }
        submit(load, io);
    }
    nvme_pair_release(&load->pair, load->context);
    return nvme_pair_ring(&load->pair, load->context) == OK;
}

static void body(void *argument) {
    struct drive_load *load = argument;
    for (uint64_t i = 0; i < load->config.depth; i++) {
        submit(load, &load->ios[i]);
    }
    (void)nvme_pair_ring(&load->pair, load->context);
    do {
        await(load);
    } while (turn(load));
    sim_stop();
}

void drive_load_start(struct drive_load *load, struct ledger *ledger, bool (*completed)(void *context, uint64_t count),
                      void *context) {
    load->ledger = ledger;
    load->completed = completed;
    load->completed_context = context;
    load->context = context_create(load->machine->cores[0], CORE_THREAD, "load", NULL, body, load);
    core_dispatch(load->machine->cores[0], CORE_THREAD, load->context);
}

void drive_load_reset(struct drive_load *load) {
    load->pair.submitted = load->pair.completed = load->pair.doorbells = load->pair.failed = 0;
}

bool drive_load_failed(const struct drive_load *load, struct error *error) {
    if (load->failure != OK) {
        (void)error_set(error, load->failure, "the drive refused a command: %s", error_code_text(load->failure));
    }
    return load->failure != OK;
}
