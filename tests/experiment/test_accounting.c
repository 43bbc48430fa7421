/* test_accounting.c: every nanosecond is accounted for, and an unloaded request takes
 * what arithmetic says. */
#include <math.h>
#include <string.h>

#include "experiment/results.h"
#include "sim/param.h"
#include "sim/time.h"
#include "tests/experiment/checks.h"
#include "tests/experiment/support.h"

static char folder[SUPPORT_PATH_BYTES];

static void begin(void) {
    enter_sources();
    make_temporary_folder(folder);
}

static void end(void) {
    remove_folder(folder);
}

TestSuite(accounting, .init = begin, .fini = end);

Test(accounting, every_system_adds_up) {
    struct experiment *experiment = load_good("tests/experiment/data/echo.yaml", NO_SETTINGS);
    cr_assert_eq(experiment_systems(experiment), 4);
    const struct run_summary summary = run_into(folder, "tests/experiment/data/echo.yaml", NO_SETTINGS, 2);
    check_headers(folder, experiment);
    check_breakdown(folder);
    check_utilization(folder);
    check_latency(folder, summary.points, false);
    experiment_free(experiment);
    /* The breakdown's whole is the latency. */
    struct csv_table latency = read_csv(folder, "latency.csv"), breakdown = read_csv(folder, "breakdown.csv");
    for (size_t row = 0; row < latency.row_count; row++) {
        const char *point = csv_table_cell(&latency, row, csv_table_column(&latency, "point"));
        cr_expect_eq(csv_table_number(&latency, row, csv_table_column(&latency, "mean_ns")),
                     number_where(&breakdown, "mean_ns", WHERE("point", point, "component", "end_to_end")));
        cr_expect_eq(csv_table_number(&latency, row, csv_table_column(&latency, "requests")), 400);
    }
    csv_table_free(&latency);
    csv_table_free(&breakdown);
}

Test(accounting, the_rows_of_the_report_are_their_sum) {
    static const char *const rows[] = {"net_stack_in", "net_stack_out", "copy_in", "copy_out", "app"};
    (void)run_into(folder, "tests/experiment/data/echo.yaml", NO_SETTINGS, 2);
    struct csv_table csv = read_csv(folder, "breakdown.csv");
    for (size_t system = 0; system < 4; system++) {
        static const char *const names[] = {"linux", "arrakis_posix", "arrakis_native", "driver"};
        double sum = 0;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            sum +=
                number_where(&csv, "mean_ns",
                             WHERE("system", names[system], "payload", "64 B", "component", rows[i], "kind", "total"));
        }
        cr_expect_float_eq(
            number_where(&csv, "mean_ns", WHERE("system", names[system], "payload", "64 B", "component", "rows")), sum,
            0.003, "%s", names[system]);
    }
    csv_table_free(&csv);
}

Test(accounting, the_hardware_alone_adds_up) {
    struct experiment *experiment = load_good("tests/experiment/data/dma.yaml", NO_SETTINGS);
    const struct run_summary summary = run_into(folder, "tests/experiment/data/dma.yaml", NO_SETTINGS, 2);
    check_headers(folder, experiment);
    check_breakdown(folder);
    check_utilization(folder);
    check_latency(folder, summary.points, false);
    experiment_free(experiment);
}

/* ---- closed form ---- */

/* A parameter of the experiment, with or without provenance. */
static const char *parameter(const struct experiment *experiment, const char *path) {
    const struct config_node *node = config_path(experiment_config(experiment), path);
    cr_assert_not_null(node, "there is no %s", path);
    const struct config_node *value = config_get(node, "value");
    return config_text(value != NULL ? value : node, "");
}

static double time_ns(const struct experiment *experiment, const char *path) {
    sim_time value = 0;
    char why[128];
    cr_assert(param_parse(PARAM_TIME, parameter(experiment, path), &value, why, sizeof why), "%s: %s", path, why);
    return sim_time_ns(value);
}

static double number_of(const struct experiment *experiment, enum param_type type, const char *path) {
    uint64_t value = 0;
    char why[128];
    cr_assert(param_parse(type, parameter(experiment, path), &value, why, sizeof why), "%s: %s", path, why);
    return (double)value;
}

/* Nanoseconds a byte on the 82599's link: PCIe 2.0 x8, 5 GT/s with 8b/10b, of which
 * two 8-byte DLLPs take their part in every (256 + 28) * 2.5 / 8 + 70 symbols. */
static double pcie_ns_per_byte(const struct experiment *experiment) {
    const char *nic = "machine.devices[nic].";
    char path[64];
    (void)snprintf(path, sizeof path, "%spcie_generation", nic);
    cr_assert_eq(number_of(experiment, PARAM_INTEGER, path), 2);
    (void)snprintf(path, sizeof path, "%spcie_lanes", nic);
    cr_assert_eq(number_of(experiment, PARAM_INTEGER, path), 8);
    (void)snprintf(path, sizeof path, "%smax_payload", nic);
    cr_assert_eq(number_of(experiment, PARAM_BYTES, path), 256);
    const double symbols = floor((256 + 28) * 2.5 / 8) + 70;
    return 0.2 * 10 / 8 * symbols / (symbols - 16);
}

struct stages {
    double wire, network, nic, dma_write, dma_read, doorbell;
};

/* Headers around a memory write and a read request: 24 bytes; around a completion: 20.
 * A write and a completion carry at most 256 bytes. */
static struct stages stages_of(const struct experiment *experiment, double payload_bytes) {
    const double frame = fmax(payload_bytes + 8 + 20 + 14, 60); /* UDP, IPv4, Ethernet, without FCS */
    const double bit_ns = 1e9 / number_of(experiment, PARAM_BIT_RATE, "network.link.rate");
    const double byte_ns = pcie_ns_per_byte(experiment);
    const double read = time_ns(experiment, "machine.pcie.read_latency");
    const double descriptor = 16;
    return (struct stages){
        /* client to switch to server, and back; the preamble goes in front, 8 bytes, and the FCS behind, 4. */
        .wire = 4 * (time_ns(experiment, "network.link.propagation") + (8 + frame + 4) * 8 * bit_ns),
        .network = 2 * time_ns(experiment, "network.switch.latency"),
        .nic = time_ns(experiment, "machine.devices[nic].rx_pipeline") +
               time_ns(experiment, "machine.devices[nic].tx_pipeline"),
        /* the packet and, behind it, its descriptor written back */
        .dma_write = (24 * ceil(frame / 256) + frame + 24 + descriptor) * byte_ns +
                     time_ns(experiment, "machine.pcie.write_latency"),
        /* the descriptor is fetched; it says where the packet is, which is fetched then. Of several
         * requests the last one's data come last. */
        .dma_read = 2 * read + (24 + 20 + descriptor) * byte_ns + (24 + 20 * ceil(frame / 256) + frame) * byte_ns,
        .doorbell = time_ns(experiment, "machine.pcie.mmio_write_latency") + (24 + 4) * byte_ns,
    };
}

static double mean_of(const struct csv_table *csv, const char *payload, const char *component) {
    return number_where(csv, "mean_ns", WHERE("payload", payload, "component", component, "kind", "total"));
}

Test(accounting, an_unloaded_echo_takes_the_sum_of_its_stages) {
    static const char path[] = "tests/experiment/data/unloaded.yaml";
    struct experiment *experiment = load_good(path, NO_SETTINGS);
    (void)run_into(folder, path, NO_SETTINGS, 2);
    struct csv_table csv = read_csv(folder, "breakdown.csv");
    const double clock = number_of(experiment, PARAM_FREQUENCY, "machine.core.clock") / 1e9;
    for (size_t i = 0; i < 2; i++) {
        static const char *const names[] = {"18 B", "1024 B"};
        static const double bytes[] = {18, 1024};
        const struct stages stages = stages_of(experiment, bytes[i]);
        const double hardware =
            stages.wire + stages.network + stages.nic + stages.dma_write + stages.dma_read + stages.doorbell;
        cr_expect_float_eq(mean_of(&csv, names[i], "wire"), stages.wire, 0.001);
        cr_expect_float_eq(mean_of(&csv, names[i], "switch"), stages.network, 0.001);
        cr_expect_float_eq(mean_of(&csv, names[i], "nic"), stages.nic, 0.001);
        cr_expect_float_eq(mean_of(&csv, names[i], "dma_write"), stages.dma_write, 0.01);
        cr_expect_float_eq(mean_of(&csv, names[i], "dma_read"), stages.dma_read, 0.01);
        cr_expect_float_eq(mean_of(&csv, names[i], "doorbell"), stages.doorbell, 0.01);
        cr_expect_float_eq(mean_of(&csv, names[i], "app"), 500, 0.5, "whole cycles of 500 ns");
        cr_expect_float_eq(mean_of(&csv, names[i], "doorbell_write"),
                           number_of(experiment, PARAM_CYCLES, "machine.pcie.mmio_write_cycles") / clock, 0.001);
        cr_expect_float_eq(mean_of(&csv, names[i], "end_to_end") - mean_of(&csv, names[i], "cpu") -
                               mean_of(&csv, names[i], "ready"),
                           hardware, 0.03);
    }
    csv_table_free(&csv);
    experiment_free(experiment);
}

/* ---- rates ---- */

/* More is offered than 10 Gbps carry: what is completed stays below the link. */
Test(accounting, throughput_stays_below_the_line_rate) {
    static const char *const systems[] = {"linux", "arrakis_posix", "arrakis_native", "driver"};
    const char *const settings[] = {"workload.client.arrivals={process: constant, rate: 3 Mpps}",
                                    "workload.client.think=0 us",
                                    "workload.client.think_distribution=constant",
                                    "workload.parameters.processing=0 us",
                                    "run={warmup: 200 us, warmup_requests: 0, duration: 1 ms}",
                                    NULL};
    (void)run_into(folder, "tests/experiment/data/echo.yaml", settings, 2);
    struct csv_table csv = read_csv(folder, "throughput.csv");
    for (size_t i = 0; i < sizeof systems / sizeof *systems; i++) {
        /* Preamble, headers, payload, FCS and gap; one packet more may end in the window. */
        const double line_per_s = 10e9 / 8 / (8 + 14 + 20 + 8 + 1024 + 4 + 12) + 1 / 1e-3;
        const char *const *where = WHERE("system", systems[i], "payload", "1024 B");
        const double completed = number_where(&csv, "completed_per_s", where);
        cr_expect(completed > 0 || i == 0, "%s", systems[i]); /* Linux may do nothing but receive and drop */
        cr_expect_leq(completed, line_per_s, "%s", systems[i]);
        cr_expect_leq(completed, number_where(&csv, "offered_per_s", where) + 1 / 1e-3, "%s", systems[i]);
        cr_expect_float_eq(number_where(&csv, "bytes_per_s", where), completed * 1024, 1);
    }
    csv_table_free(&csv);
}
