/* test_dma_engine.c: the engine's times in closed form, its modes and bounds, and
 * how far the published figures of pcie-bench are (configs/papers/hardware.yaml). */
#include <math.h>
#include <stdlib.h>

#include "hw/dma_engine/dma_engine.h"
#include "tests/hw/pcie_fixture.h"

static struct machine *machine;
static struct device *engine;
static unsigned finished;

enum { WINDOW_BYTES = 8192 };
static const uint64_t window = UINT64_C(1) << 20;

static void set_up(const char *more) {
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "memory: {size: 64 MiB}\ncache: {model: flat}\niommu: {mode: off}\n"
                   "devices: [{name: bench, type: dma_engine%s}]\n",
                   more);
    machine = make_machine(text);
    engine = machine_device(machine, "bench");
}

static void job_done(void *context) {
    (void)context;
    finished++;
}

static struct dma_engine_job job_of(enum dma_engine_mode mode, uint32_t size_bytes, uint64_t count) {
    return (struct dma_engine_job){mode, false, window, WINDOW_BYTES, size_bytes, count, NULL};
}

static struct dma_engine_result run(struct dma_engine_job job) {
    finished = 0;
    cr_assert_eq(dma_engine_start(engine, &job, job_done, NULL), OK);
    sim_run(sim_now() + 100 * SIM_MS);
    cr_assert_eq(finished, 1);
    return dma_engine_result(engine);
}

static sim_time internal(uint64_t bytes) {
    return bytes * SIM_S / UINT64_C(9600000000);
}

Test(dma_engine, a_read_is_the_sum_of_its_stages) {
    set_up("");
    const struct dma_engine_result result = run(job_of(DMA_ENGINE_LATENCY_READ, 64, 10));
    const sim_time expected = 133 * SIM_NS + gen3_x8_time(24) + 406 * SIM_NS + gen3_x8_time(84) + internal(64);
    cr_expect_eq(result.latency->minimum, expected);
    cr_expect_eq(result.latency->maximum, expected);
    cr_expect_eq(result.finished - result.started, 10 * expected);
    cr_expect_eq(result.transfers, 10);
    cr_expect_eq(result.bytes, 640);
}

Test(dma_engine, a_write_holds_its_slot_for_a_round_trip) {
    set_up(", outstanding: 1");
    const struct dma_engine_result result = run(job_of(DMA_ENGINE_BANDWIDTH_WRITE, 64, 10));
    const sim_time expected = 133 * SIM_NS + internal(64) + gen3_x8_time(88) + 406 * SIM_NS;
    cr_expect_eq(result.latency->minimum, expected);
    cr_expect_eq(result.finished - result.started, 10 * expected);
}

Test(dma_engine, outstanding_bounds_what_is_in_flight) {
    sim_time elapsed[2];
    for (int i = 0; i < 2; i++) {
        set_up(i == 0 ? ", outstanding: 1" : ", outstanding: 4");
        const struct dma_engine_result result = run(job_of(DMA_ENGINE_BANDWIDTH_READ, 8, 1000));
        elapsed[i] = result.finished - result.started;
    }
    cr_expect(fabs((double)elapsed[0] / (double)elapsed[1] - 4.0) < 0.1);
}

Test(dma_engine, throughput_stays_below_the_link) {
    static const enum dma_engine_mode modes[] = {DMA_ENGINE_BANDWIDTH_READ, DMA_ENGINE_BANDWIDTH_WRITE};
    for (int i = 0; i < 2; i++) {
        set_up(", internal_rate: 100 GB/s, outstanding: 256, pcie_tags: 256");
        const struct dma_engine_result result = run(job_of(modes[i], 2048, 4000));
        const uint64_t overhead = modes[i] == DMA_ENGINE_BANDWIDTH_READ ? 8 * 20 : 8 * 24;
        const double limit = 2048 * 8 * 1e15 / (double)gen3_x8_time(2048 + overhead);
        const double reached = dma_engine_bits_per_s(engine);
        cr_expect(reached < limit && reached > 0.99 * limit, "%.2f of %.2f Gbps", reached / 1e9, limit / 1e9);
        cr_expect_eq(result.transfers, 4000);
    }
}

Test(dma_engine, writes_really_write) {
    set_up("");
    (void)run(job_of(DMA_ENGINE_BANDWIDTH_WRITE, 64, WINDOW_BYTES / 64));
    for (uint64_t line = 0; line < WINDOW_BYTES; line += 64) {
        cr_expect_eq(memory_read64(machine->memory, window + line) & 0xff, (line / 64 + 1) & 0xff);
    }
    cr_expect_eq(memory_read64(machine->memory, window + WINDOW_BYTES), 0);
    cr_expect_eq(counter_of(machine, "bench.pf", "dma_write_bytes"), WINDOW_BYTES);
}

Test(dma_engine, what_was_written_is_read_back) {
    set_up("");
    struct dma_engine_job job = job_of(DMA_ENGINE_WRITE_THEN_READ, 100, 500);
    job.random = true;
    const struct dma_engine_result result = run(job);
    cr_expect_eq(result.mismatches, 0);
    cr_expect_eq(result.transfers, 500);
    cr_expect_eq(counter_of(machine, "bench.pf", "dma_reads"), 500);
    cr_expect_eq(counter_of(machine, "bench.pf", "dma_writes"), 500);
}

Test(dma_engine, random_addresses_cover_the_window) {
    set_up("");
    struct dma_engine_job job = job_of(DMA_ENGINE_BANDWIDTH_WRITE, 64, 20 * WINDOW_BYTES / 64);
    job.random = true;
    (void)run(job);
    for (uint64_t line = 0; line < WINDOW_BYTES; line += 64) {
        cr_expect_neq(memory_read64(machine->memory, window + line), 0);
    }
    cr_expect_eq(memory_read64(machine->memory, window - 8), 0);
    cr_expect_eq(memory_read64(machine->memory, window + WINDOW_BYTES), 0);
}

Test(dma_engine, impossible_jobs_are_refused) {
    set_up("");
    const struct dma_engine_job good = job_of(DMA_ENGINE_LATENCY_READ, 64, 5);
    struct dma_engine_job bad[6] = {good, good, good, good, good, good};
    bad[0].size_bytes = 0;
    bad[1].size_bytes = DMA_ENGINE_SIZE_MAX + 1;
    bad[2].count = 0;
    bad[3].window_bytes = 63;
    bad[4].address = window + 4;
    bad[5].mode = DMA_ENGINE_MODES;
    for (int i = 0; i < 6; i++) {
        cr_expect_eq(dma_engine_start(engine, &bad[i], job_done, NULL), ERR_RANGE);
    }
    cr_assert_eq(dma_engine_start(engine, &good, job_done, NULL), OK);
    cr_expect_eq(dma_engine_start(engine, &good, job_done, NULL), ERR_AGAIN);
    sim_run(SIM_MS);
    cr_expect_eq(finished, 1);
}

Test(dma_engine, its_registers_do_the_same) {
    set_up("");
    const uint64_t bar = dma_engine_function(engine)->bar_address[0];
    pcie_mmio_write(machine->pcie, bar + DMA_ENGINE_ADDRESS, 8, window);
    pcie_mmio_write(machine->pcie, bar + DMA_ENGINE_WINDOW, 8, WINDOW_BYTES);
    pcie_mmio_write(machine->pcie, bar + DMA_ENGINE_SIZE, 8, 64);
    pcie_mmio_write(machine->pcie, bar + DMA_ENGINE_COUNT, 8, 3);
    pcie_mmio_write(machine->pcie, bar + DMA_ENGINE_MODE, 8, DMA_ENGINE_BANDWIDTH_WRITE);
    pcie_mmio_write(machine->pcie, bar + DMA_ENGINE_CONTROL, 8, 1);
    sim_run(SIM_US / 2);
    cr_expect_eq(pcie_mmio_read(machine->pcie, bar + DMA_ENGINE_CONTROL, 8), 1);
    sim_run(SIM_MS);
    cr_expect_eq(pcie_mmio_read(machine->pcie, bar + DMA_ENGINE_CONTROL, 8), 0);
    cr_expect_eq(pcie_mmio_read(machine->pcie, bar + DMA_ENGINE_DONE, 8), 3);
    cr_expect_eq(memory_read64(machine->memory, window + 128) & 0xff, 3);
    pcie_poke(machine->pcie, bar + DMA_ENGINE_SIZE, 8, 0);
    pcie_poke(machine->pcie, bar + DMA_ENGINE_CONTROL, 8, 1);
    cr_expect_eq(pcie_mmio_read(machine->pcie, bar + DMA_ENGINE_CONTROL, 8), 2);
}

Test(dma_engine, faults_are_counted_and_the_job_ends) {
    set_up("");
    struct dma_engine_job job = job_of(DMA_ENGINE_LATENCY_READ, 64, 5);
    job.address = UINT64_C(64) << 20; /* the end of memory */
    const struct dma_engine_result result = run(job);
    cr_expect_eq(result.faults, 5);
    cr_expect_eq(result.transfers, 0);
    cr_expect_eq(result.bytes, 0);
}

Test(dma_engine, the_ledger_agrees_with_the_clock) {
    static const enum dma_engine_mode modes[] = {DMA_ENGINE_LATENCY_READ, DMA_ENGINE_BANDWIDTH_READ,
                                                 DMA_ENGINE_BANDWIDTH_WRITE, DMA_ENGINE_WRITE_THEN_READ};
    set_up("");
    for (int i = 0; i < 4; i++) {
        struct ledger *ledger = ledger_create("dma");
        ledger_record(ledger, true);
        struct dma_engine_job job = job_of(modes[i], 512, 200);
        job.ledger = ledger;
        const struct dma_engine_result result = run(job);
        const struct histogram *latency = ledger_latency(ledger);
        cr_expect_eq(ledger_completed(ledger), 200);
        cr_expect_eq(latency->maximum, result.latency->maximum);
        cr_expect_eq(latency->minimum, result.latency->minimum);
        cr_expect_eq(ledger_audit(ledger, sim_now()), 0);
        ledger_free(ledger);
    }
}

Test(dma_engine, same_seed_same_addresses) {
    struct histogram first[2];
    for (int i = 0; i < 2; i++) {
        set_up("");
        struct dma_engine_job job = job_of(DMA_ENGINE_BANDWIDTH_WRITE, 64, 7);
        job.random = true;
        (void)run(job);
        uint64_t digest = 0;
        for (uint64_t line = 0; line < WINDOW_BYTES; line += 64) {
            digest = digest * 31 + memory_read64(machine->memory, window + line);
        }
        histogram_init(&first[i]);
        first[i].minimum = digest;
    }
    cr_expect_neq(first[0].minimum, 0);
    cr_expect_eq(first[0].minimum, first[1].minimum);
}

/* ---- pcie-bench's host: Xeon E5-2630, NFP-6000 on gen3 x8 ---- */

static struct dma_engine_result bench(enum dma_engine_mode mode, uint32_t size_bytes, uint64_t count) {
    machine = make_machine("memory: {size: 64 MiB}\niommu: {mode: off}\n"
                           "devices: [{name: bench, type: dma_engine}]\n");
    engine = machine_device(machine, "bench");
    cache_touch(machine->cache, 0, window, WINDOW_BYTES, true, CACHE_SEQUENTIAL); /* warm */
    return run(job_of(mode, size_bytes, count));
}

static void report(const char *what, unsigned size_bytes, double simulated, double published) {
    (void)fprintf(stderr, "%-16s %5u B: %7.1f, published %7.1f (%+.1f %%)\n", what, size_bytes, simulated, published,
                  100.0 * (simulated / published - 1.0));
}

/* Calibrated (8 and 64 bytes) and predicted (the others); within 10 % of each. */
Test(dma_engine, published_read_latencies) {
    static const struct {
        uint32_t size_bytes;
        double published_ns;
    } rows[] = {{8, 547}, {64, 560}, {512, 707}, {2048, 1133}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct dma_engine_result result = bench(DMA_ENGINE_LATENCY_READ, rows[i].size_bytes, 100);
        const double simulated = histogram_mean(result.latency) / 1e6;
        report("read latency, ns", rows[i].size_bytes, simulated, rows[i].published_ns);
        cr_expect(fabs(simulated / rows[i].published_ns - 1.0) < (i < 2 ? 0.005 : 0.10));
    }
}

/* Predicted. The miss is known: 64-byte writes are bound by the slots, and pcie-bench's
 * engine holds one longer for a write (674 ns) than for a read (510 ns); ours does not. */
Test(dma_engine, published_bandwidths) {
    static const struct {
        enum dma_engine_mode mode;
        uint32_t size_bytes;
        double published_gbps, within;
    } rows[] = {
        {DMA_ENGINE_BANDWIDTH_READ, 64, 32.1, 0.10},   {DMA_ENGINE_BANDWIDTH_READ, 512, 55.7, 0.10},
        {DMA_ENGINE_BANDWIDTH_READ, 2048, 55.6, 0.10}, {DMA_ENGINE_BANDWIDTH_WRITE, 64, 24.3, 0.25},
        {DMA_ENGINE_BANDWIDTH_WRITE, 512, 54.4, 0.10}, {DMA_ENGINE_BANDWIDTH_WRITE, 2048, 54.4, 0.10},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)bench(rows[i].mode, rows[i].size_bytes, 20000);
        const double simulated = dma_engine_bits_per_s(engine) / 1e9;
        report(rows[i].mode == DMA_ENGINE_BANDWIDTH_READ ? "read, Gbps" : "write, Gbps", rows[i].size_bytes, simulated,
               rows[i].published_gbps);
        cr_expect(fabs(simulated / rows[i].published_gbps - 1.0) < rows[i].within);
    }
}

/* Predicted: 64 bytes that no cache holds, and 8 bytes read behind their own write. */
Test(dma_engine, published_cold_read_and_write_then_read) {
    (void)bench(DMA_ENGINE_LATENCY_READ, 64, 1);
    cache_flush_all(machine->cache);
    const double cold = histogram_mean(run(job_of(DMA_ENGINE_LATENCY_READ, 64, 100)).latency) / 1e6;
    report("cold read, ns", 64, cold, 613);
    cr_expect(fabs(cold / 613 - 1.0) < 0.10);
    const double both = histogram_mean(bench(DMA_ENGINE_WRITE_THEN_READ, 8, 100).latency) / 1e6;
    report("write+read, ns", 8, both, 533);
    cr_expect(fabs(both / 533 - 1.0) < 0.10);
}
