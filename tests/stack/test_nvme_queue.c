/* A queue pair between a context on a core and a real controller: what it charges,
 * what it hands over, what it tells of errors. Clock 1 GHz, flat cache: 7 cycles a
 * line. */
#include <criterion/criterion.h>
#include <string.h>

#include "hw/machine.h"
#include "hw/nvme/nvme.h"
#include "sim/config.h"
#include "stack/nvme_queue.h"

enum { QUEUE_AT = 1 << 20, ADMIN_AT = 1 << 19, DATA_AT = 8 << 20, ENTRIES = 8, LINE = 7, MMIO_CYCLES = 100 };

static struct machine *machine;
static struct device *nvme;
static struct nvme_pair pair;
static struct ledger *ledger;
static ledger_component submit, doorbell, complete, application;
static struct cost submit_cost = {.cycles = 300, .lines = 2};
static struct cost list_cost = {.cycles = 50, .lines = 0};
static struct cost complete_cost = {.cycles = 200, .lines = 1};

static enum error_code ring(void *placement, struct context *context, uint64_t address, uint32_t value,
                            struct request *request, ledger_component owner) {
    cr_assert_eq(placement, &pair);
    cpu_charge(context, MMIO_CYCLES);
    cpu_run(context);
    pcie_mmio_write_for(machine->pcie, address, 4, value, request, owner);
    return OK;
}

static void make(void) {
    static const char text[] = "memory: {size: 64 MiB}\n"
                               "core: {count: 1, clock: 1 GHz}\n"
                               "cache: {model: flat, flat_cycles: 7 cycles}\n"
                               "iommu: {mode: off}\n"
                               "devices: [{name: ssd, type: nvme, capacity: 1 GiB, media: {type: low_latency}}]\n";
    static const struct ledger_declaration declarations[] = {{"submit", "cpu", NULL, NULL},
                                                             {"ring", "cpu", NULL, NULL},
                                                             {"complete", "cpu", NULL, NULL},
                                                             {"application", "cpu", NULL, NULL},
                                                             {0}};
    struct diagnostics diagnostics;
    struct error error = {0};
    ledger_component out[4];
    diagnostics_init(&diagnostics);
    machine_declare_components();
    struct config *config = config_parse("machine.yaml", text, &diagnostics);
    const bool good = machine_create(config_root(config), &machine, &diagnostics);
    diagnostics_print(&diagnostics, stderr);
    cr_assert(good);
    ledger_declare_all(declarations, out);
    submit = out[0], doorbell = out[1], complete = out[2], application = out[3];
    nvme = machine_device(machine, "ssd");
    ledger = ledger_create("io");
    ledger_record(ledger, true);
    cr_assert_eq(nvme_boot_controller(nvme, 0, ADMIN_AT, 16, &error), OK, "%s", error.text);
    const struct nvme_pair_config pair_config = {
        .machine = machine,
        .queue = 1,
        .entries = ENTRIES,
        .physical = QUEUE_AT,
        .device_address = QUEUE_AT,
        .doorbells = nvme_function(nvme, 0)->bar_address[0],
        .doorbell_stride = nvme_doorbell_stride(nvme),
        .block_bytes = 512,
        .ring = ring,
        .placement = &pair,
        .costs = {&submit_cost, &list_cost, &complete_cost},
        .working_set = 4 << 20,
        .submit = submit,
        .doorbell = doorbell,
        .complete = complete,
    };
    nvme_pair_init(&pair, &pair_config);
    cr_assert_eq(nvme_boot_pair(nvme, 0, &pair, -1, &error), OK, "%s", error.text);
}

static void run(void (*body)(void *)) {
    make();
    struct context *context = context_create(machine->cores[0], CORE_THREAD, "t", NULL, body, NULL);
    core_dispatch(machine->cores[0], CORE_THREAD, context);
    sim_run(SIM_TIME_MAX);
    cr_assert_eq(ledger_audit(ledger, sim_now()), 0);
    nvme_pair_fini(&pair);
    machine_free(machine);
    ledger_free(ledger);
}

static struct block_io operation(enum block_operation what, uint64_t block, uint32_t pages, uint64_t at) {
    struct block_io io = {.operation = what, .block = block, .blocks = pages * 8, .segment_count = pages};
    for (uint32_t i = 0; i < pages; i++) {
        io.segments[i] = (struct block_segment){at + i * UINT64_C(4096), at + i * UINT64_C(4096), 4096};
    }
    return io;
}

static void begin(struct context *self, struct block_io *io) {
    io->request = ledger_begin(ledger, application, LEDGER_SERVICE, sim_now());
    cpu_work_for(self, application, io->request);
    io->owner = application;
}

static struct block_io *await(struct context *self) {
    while (!nvme_pair_ready(&pair)) {
        cpu_work_for(self, application, NULL);
        cpu_charge(self, 100);
        cpu_run(self);
    }
    return nvme_pair_reap(&pair, self);
}

static void finish(struct context *self, struct block_io *io) {
    cpu_run(self);
    cr_assert(io->finished && io->owner == complete);
    ledger_end(io->request, complete, sim_now());
    cpu_work_for(self, application, NULL);
}

/* ---- one command: charges to the cycle ---- */

static void one_command(void *argument) {
    struct context *self = context_current();
    (void)argument;
    memset(memory_at(machine->memory, DATA_AT), 0x5a, 4096);
    struct block_io io = operation(BLOCK_WRITE, 40, 1, DATA_AT);
    const sim_time before = sim_now();
    begin(self, &io);
    cr_assert_eq(nvme_pair_submit(&pair, self, &io, 1), OK);
    cr_assert_eq(nvme_pair_ring(&pair, self), OK);
    cr_assert_eq(sim_now() - before, (300 + 2 * LINE + LINE + MMIO_CYCLES) * SIM_NS, "cost, its lines, the entry");
    cr_assert_eq(await(self), &io);
    const sim_time reaped = sim_now();
    cpu_run(self);
    cr_assert_eq(sim_now() - reaped, (200 + LINE + LINE) * SIM_NS);
    cr_assert_eq(io.status, OK);
    cr_assert_eq(io.request->spent[submit][LEDGER_SERVICE] +
                     io.request->spent[ledger_find("submit_cache")][LEDGER_SERVICE],
                 (300 + 3 * LINE) * SIM_NS);
    cr_assert_eq(io.request->spent[doorbell][LEDGER_SERVICE], MMIO_CYCLES * SIM_NS);
    finish(self, &io);
    nvme_pair_release(&pair, self);
    cr_assert_eq(submit_cost.uses, 1);
    cr_assert_eq(list_cost.uses, 0);
    uint8_t stored[512];
    block_store_read(nvme_store(nvme), 47, 1, stored);
    cr_assert_eq(stored[511], 0x5a);
}

Test(nvme_queue, a_command_charges_its_steps_and_carries_its_request) {
    run(one_command);
}

/* ---- lists, several under way, wrapping round ---- */

static void many_commands(void *argument) {
    struct context *self = context_current();
    struct block_io ios[ENTRIES];
    (void)argument;
    for (uint32_t round = 0; round < 10; round++) {
        const uint32_t count = ENTRIES - 1;
        for (uint32_t i = 0; i < count; i++) {
            const uint64_t at = DATA_AT + i * (UINT64_C(128) << 10);
            const uint32_t pages = 1 + (i + round) % 33;
            memset(memory_at(machine->memory, at), (int)(round * 16 + i), 4096);
            ios[i] = operation(round % 2 == 0 ? BLOCK_WRITE : BLOCK_READ, 1000 * i, pages, at);
            if (pages == 33) {
                ios[i] = operation(BLOCK_READ, 0, 1, at);
            }
            begin(self, &ios[i]);
            cr_assert_eq(nvme_pair_submit(&pair, self, &ios[i], 1), OK);
        }
        struct block_io more = operation(BLOCK_READ, 0, 1, DATA_AT);
        cr_assert_not(nvme_pair_room(&pair));
        cr_assert_eq(nvme_pair_submit(&pair, self, &more, 1), ERR_AGAIN);
        cr_assert_eq(nvme_pair_ring(&pair, self), OK, "one doorbell for all");
        for (uint32_t i = 0; i < count; i++) {
            struct block_io *io = await(self);
            cr_assert_eq(io->status, OK);
            finish(self, io);
        }
        nvme_pair_release(&pair, self);
        for (uint32_t i = 0; round % 2 == 1 && i < count; i++) {
            cr_assert_eq(*memory_at(machine->memory, DATA_AT + i * (UINT64_C(128) << 10)), (round - 1) * 16 + i,
                         "round %u, command %u", round, i);
        }
    }
    cr_assert_eq(pair.completed, 10 * (ENTRIES - 1));
    cr_assert_eq(pair.doorbells, 20);
    cr_assert_gt(list_cost.uses, 0);
}

Test(nvme_queue, all_entries_under_way_again_and_again) {
    run(many_commands);
}

/* ---- what goes wrong ---- */

static void errors(void *argument) {
    struct context *self = context_current();
    static const struct {
        uint64_t block;
        uint32_t nsid;
        uint64_t at;
        enum error_code expected;
    } cases[] = {{0, 1, DATA_AT, OK},
                 {(UINT64_C(1) << 21) - 7, 1, DATA_AT, ERR_RANGE},
                 {0, 2, DATA_AT, ERR_DENIED},
                 {0, 1, UINT64_C(1) << 30, ERR_FAULT}};
    (void)argument;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct block_io io = operation(BLOCK_READ, cases[i].block, 1, cases[i].at);
        begin(self, &io);
        cr_assert_eq(nvme_pair_submit(&pair, self, &io, cases[i].nsid), OK);
        cr_assert_eq(nvme_pair_ring(&pair, self), OK);
        cr_assert_eq(await(self), &io);
        cr_assert_eq(io.status, cases[i].expected, "case %zu", i);
        finish(self, &io);
        nvme_pair_release(&pair, self);
    }
    struct block_io gap = operation(BLOCK_READ, 0, 2, DATA_AT);
    cpu_work_for(self, application, NULL);
    gap.segments[0].length_bytes = 2048; /* what follows would not begin where the page goes on */
    gap.blocks = 12;
    cr_assert_eq(nvme_pair_submit(&pair, self, &gap, 1), ERR_UNSUPPORTED);
    gap.segments[0].device_address += 2048;
    cr_assert(nvme_pair_describable(&pair, &gap));
    struct block_io flush = {.operation = BLOCK_FLUSH};
    begin(self, &flush);
    cr_assert_eq(nvme_pair_submit(&pair, self, &flush, 1), OK);
    cr_assert_eq(nvme_pair_ring(&pair, self), OK);
    cr_assert_eq(await(self), &flush);
    finish(self, &flush);
    cr_assert_eq(nvme_counters(nvme, 0)->flushes, 1);
    cr_assert_eq(nvme_boot_delete_pair(nvme, 0, &pair), OK);
}

Test(nvme_queue, a_status_becomes_an_error_of_the_operation) {
    run(errors);
}
