/* bench_nvme: the NVMe controller's own speed over the flash of bench_flash: random
 * reads of 4 KiB simulated per second of wall and of processor time at queue depths 16
 * and 32 over 8 channels, on an empty and on a full drive; events per read, memory, and
 * what a fresh drive of 1 TB takes. Commands, doorbells, DMA over PCIe and completions
 * are simulated in full; the host is bare: it takes a completion and writes the next
 * command in no time of its own ("core": a simulated core runs the driver). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/apart.h"
#include "experiment/drive_load.h"
#include "experiment/system_types.h"
#include "hw/nvme/nvme.h"
#include "sim/engine.h"
#include "sim/random.h"
#include "stack/nvme_queue.h"

enum { REPEATS = 3, ENTRIES = 64, BLOCK_BYTES = 4096, ADMIN_AT = 1 << 20, PAIR_AT = 2 << 20, DATA_AT = 8 << 20 };

struct run {
    const char *name, *precondition;
    uint64_t capacity_bytes;
    unsigned depth;
    uint64_t commands;
    bool has_core, has_ledger;
};
/* The bare host: a queue pair in memory, and a watch on the next completion's line. */
struct host {
    struct machine *machine;
    struct nvme_pair pair; /* for its place in memory */
    struct memory_watch watch;
    struct random_stream *stream;
    uint64_t blocks, left, done, sq_doorbell, cq_doorbell;
    uint32_t tail, head;
    bool phase;
};

static void put(struct host *host, uint16_t id) {
    const uint64_t block = random_below(host->stream, host->blocks) * (BLOCK_BYTES / 512);
    const struct nvme_sqe sqe = {.opcode = NVME_READ,
                                 .command_id = id,
                                 .nsid = 1,
                                 .prp1 = DATA_AT + (uint64_t)id * BLOCK_BYTES,
                                 .dword10 = (uint32_t)block,
                                 .dword11 = (uint32_t)(block >> 32),
                                 .dword12 = BLOCK_BYTES / 512 - 1};
    memory_write(host->machine->memory, host->pair.sq + (uint64_t)host->tail * NVME_SQE_BYTES, &sqe, sizeof sqe);
    host->tail = (host->tail + 1) % ENTRIES;
}

static void ring(struct host *host) {
    pcie_mmio_write(host->machine->pcie, host->sq_doorbell, 4, host->tail);
}

static void watch(struct host *host);

static void line_written(void *context) {
    struct host *host = context;
    struct memory *memory = host->machine->memory;
    const uint32_t before = host->head;
    for (;;) {
        struct nvme_cqe cqe;
        memory_read(memory, host->pair.cq + (uint64_t)host->head * NVME_CQE_BYTES, &cqe, sizeof cqe);
        if (((cqe.status & NVME_CQE_PHASE) != 0) != host->phase) {
            break;
        }
        host->head = (host->head + 1) % ENTRIES;
        host->phase = host->head == 0 ? !host->phase : host->phase;
        host->done++;
        if (host->left > 0) {
            host->left--;
            put(host, cqe.command_id);
        }
    }
    if (host->head != before) {
        pcie_mmio_write(host->machine->pcie, host->cq_doorbell, 4, host->head);
        ring(host);
    }
    watch(host);
}

static void watch(struct host *host) {
    memory_watch_clear(host->machine->memory, &host->watch);
    const uint64_t entry = host->pair.cq + (uint64_t)host->head * NVME_CQE_BYTES;
    memory_watch_set(host->machine->memory, &host->watch, entry / MEMORY_LINE_BYTES * MEMORY_LINE_BYTES, line_written,
                     host);
}

static bool boot(struct host *host, const struct run *run) {
    struct device *device = machine_device(host->machine, "ssd");
    struct error error = {0};
    const struct nvme_pair_config config = {.machine = host->machine,
                                            .queue = 1,
                                            .entries = ENTRIES,
                                            .physical = PAIR_AT,
                                            .device_address = PAIR_AT,
                                            .doorbells = nvme_function(device, 0)->bar_address[0],
                                            .doorbell_stride = nvme_doorbell_stride(device),
                                            .block_bytes = nvme_block_bytes(device)};
    nvme_pair_init(&host->pair, &config);
    if (nvme_boot_controller(device, 0, ADMIN_AT, 16, &error) != OK ||
        nvme_boot_pair(device, 0, &host->pair, -1, &error) != OK) {
        (void)fprintf(stderr, "%s\n", error.text);
        return false;
    }
    host->stream = random_stream_create("bench");
    host->blocks = run->capacity_bytes / BLOCK_BYTES;
    host->left = run->commands - run->depth;
    host->phase = true;
    host->sq_doorbell = config.doorbells + NVME_SQ_DOORBELL(1, config.doorbell_stride);
    host->cq_doorbell = config.doorbells + NVME_CQ_DOORBELL(1, config.doorbell_stride);
    return true;
}

static void run_bare(struct host *host, const struct run *run) {
    watch(host);
    for (uint16_t i = 0; i < run->depth; i++) {
        put(host, i);
    }
    ring(host);
    sim_run(SIM_TIME_MAX);
}

struct count {
    uint64_t most, done;
};
static bool counted(void *context, uint64_t done) {
    struct count *count = context;
    count->done = done;
    return done < count->most;
}

static struct machine *make(const struct run *run, const char *file) {
    struct diagnostics diagnostics;
    char text[1024];
    diagnostics_init(&diagnostics);
    (void)snprintf(text, sizeof text,
                   "memory: {size: 2 GiB}\ncore: {count: 1, clock: 2.2 GHz}\ncache: {llc_bytes: 15 MiB, ddio_ways: 2}\n"
                   "iommu: {mode: off}\ndevices:\n  - name: ssd\n    type: nvme\n    capacity: %llu B\n"
                   "    pcie_generation: 3\n    pcie_lanes: 8\n    media: {include: %s, precondition: %s}\n",
                   (unsigned long long)run->capacity_bytes, file, run->precondition);
    struct config *config = config_parse("bench", text, &diagnostics);
    struct machine *machine = NULL;
    if (config != NULL) {
        (void)machine_create(config_root(config), &machine, &diagnostics);
    }
    diagnostics_print(&diagnostics, stderr);
    return machine;
}

/* In a process of its own, since there is one simulation in each; it ends with it. */
static void measure(const void *argument, const char *file, struct bench_speed *out) {
    const struct run *run = argument;
    static struct host host;
    system_types_declare_components();
    const struct bench_clock begun = bench_clock_now();
    host.machine = make(run, file);
    if (host.machine == NULL || (!run->has_core && !boot(&host, run))) {
        exit(1);
    }
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct count count = {.most = run->commands};
    struct drive_load *load = NULL;
    struct ledger *ledger = NULL;
    if (run->has_core) {
        const struct drive_load_config config = {
            .device = "ssd", .block_bytes = BLOCK_BYTES, .depth = run->depth, .read_share = 1, .random = true};
        load = drive_load_create(host.machine, &config, NULL, &diagnostics);
        ledger = run->has_ledger ? ledger_create("reads") : NULL;
        if (ledger != NULL) {
            ledger_record(ledger, true);
        }
    }
    const struct bench_clock ready = bench_clock_now();
    if (run->has_core) {
        drive_load_start(load, ledger, counted, &count);
        sim_run(SIM_TIME_MAX);
    } else {
        run_bare(&host, run);
        count.done = host.done;
    }
    *out = bench_speed_since(begun, ready, count.done);
}

int main(int argc, char *argv[]) {
    const char *file = argc > 1 ? argv[1] : "bench/flash.yaml";
    const uint64_t gib = UINT64_C(1) << 30, reads = 500000;
    const struct run runs[] = {
        {"empty, depth 16", "none", 16 * gib, 16, reads, false, false},
        {"empty, depth 32", "none", 16 * gib, 32, reads, false, false},
        {"full, depth 16", "random", 16 * gib, 16, reads, false, false},
        {"full, depth 32", "random", 16 * gib, 32, reads, false, false},
        {"full, depth 16, core", "random", 16 * gib, 16, reads, true, false},
        {"full, depth 32, core, ledger", "random", 16 * gib, 32, reads, true, true},
        {"empty 1 TB, depth 32", "none", UINT64_C(1000000000000), 32, reads, false, false},
    };
    (void)printf("%-34s %12s %12s %9s %10s %12s %9s %9s\n", "4 KiB random, NVMe, 8 channels", "I/Os/wall s",
                 "I/Os/CPU s", "CPU ns", "events/I/O", "simulated/s", "set-up s", "peak MB");
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        struct bench_speed best;
        if (!bench_best(measure, &runs[i], file, REPEATS, true, &best)) {
            return 1;
        }
        (void)printf("%-34s %12.0f %12.0f %9.0f %10.2f %12.0f %9.2f %9.1f\n", runs[i].name, best.per_s, best.cpu_per_s,
                     best.cpu_ns, best.events, best.simulated_per_s, best.setup_s, best.peak_mb);
        (void)fflush(stdout);
    }
    return 0;
}
