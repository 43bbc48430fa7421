/* test_isolation.c: configs/experiments/isolation.yaml, shortened: what an intruder
 * gets at, as counters.csv says, and what its neighbour notices of it. */
#include <stdlib.h>
#include <string.h>

#include "tests/experiment/support.h"

static const char config[] = "configs/experiments/isolation.yaml";
static const char *const systems[] = {"arrakis_posix", "arrakis_native"};

/* Who stops each attack, and counts it. */
struct attack {
    const char *how, *instance, *counter;
    bool iommu; /* that is what stops it */
};
static const struct attack attacks[] = {
    {"foreign_descriptor", "exokernel.intruder", "iommu_faults", true},
    {"foreign_receive_descriptor", "exokernel.intruder", "iommu_faults", true},
    {"spoofed_port", "nic.vf1", "transmit_filter_drops", false},
    {"overlapping_filter", "exokernel.intruder", "filters_overlapping", false},
    {"greedy_filter", "exokernel.intruder", "filters_greedy", false},
    {"port_share", "exokernel.intruder", "shares_exceeded", false},
    {"foreign_doorbell", "exokernel.intruder", "page_faults", false},
    {"forged_capability", "exokernel.intruder", "capabilities_forged", false},
};
enum {
    SYSTEMS = sizeof systems / sizeof *systems,
    ATTACKS = sizeof attacks / sizeof *attacks,
    REQUESTS = 400,
    ATTACKS_AT_LEAST = 40 /* 20,000 datagrams a second, for 400 requests of 10 us */
};

static char folder[SUPPORT_PATH_BYTES];
static void set_up(void) {
    enter_sources();
    make_temporary_folder(folder);
}
static void tear_down(void) {
    remove_folder(folder);
}
TestSuite(isolation, .init = set_up, .fini = tear_down);

static const struct csv_table *counters;
static double counter(const char *system, const char *how, const char *iommu, const char *instance, const char *name) {
    return number_where(counters, "value",
                        WHERE("system", system, "how", how, "iommu", iommu, "instance", instance, "counter", name));
}

static void expect_stopped(const char *system, const struct attack *attack, const char *iommu) {
    cr_expect_geq(counter(system, attack->how, iommu, attack->instance, attack->counter), ATTACKS_AT_LEAST,
                  "%s, %s, iommu %s: not counted", system, attack->how, iommu);
    cr_expect_eq(counter(system, attack->how, iommu, "isolation", "breaches"), 0, "%s, %s, iommu %s: a breach", system,
                 attack->how, iommu);
}

/* The same tries, and nobody stands in their way: so the check is what stops them. */
static void expect_breach(const char *system, const struct attack *attack) {
    cr_expect_eq(counter(system, attack->how, "off", attack->instance, attack->counter), 0);
    cr_expect_gt(counter(system, attack->how, "off", "isolation", "breaches"), 0, "%s, %s: no breach without IOMMU",
                 system, attack->how);
}

/* An attack's own counter is one that no other attack moves. */
static void expect_told_apart(const char *system, const struct attack *attack) {
    for (size_t i = 0; i < ATTACKS; i++) {
        if (strcmp(attacks[i].counter, attack->counter) != 0) {
            cr_expect_eq(counter(system, attack->how, "on", attacks[i].instance, attacks[i].counter), 0,
                         "%s, %s: moves %s", system, attack->how, attacks[i].counter);
        }
    }
}

/* Nothing is refused to the neighbour, and it loses nothing. */
static void expect_neighbour_unharmed(const char *system, const char *how) {
    static const char *const refusals[] = {"capabilities_denied", "filters_overlapping", "filters_greedy",
                                           "shares_exceeded",     "page_faults",         "iommu_faults"};
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        cr_expect_eq(counter(system, how, "on", "exokernel.server", refusals[i]), 0, "%s, %s", how, refusals[i]);
    }
    cr_expect_eq(counter(system, how, "on", "client", "completed"), REQUESTS);
    cr_expect_eq(counter(system, how, "on", "client", "mismatched"), 0);
    cr_expect_eq(counter(system, how, "on", "client", "corrupt"), 0);
    cr_expect_eq(counter(system, how, "on", "client", "dropped"), 0);
}

Test(isolation, an_intruder_gets_nowhere_unless_the_iommu_is_off) {
    (void)run_into(folder, config, SETTINGS("run.requests=400"), 2);
    struct csv_table table = read_csv(folder, "counters.csv");
    counters = &table;
    for (size_t s = 0; s < SYSTEMS; s++) {
        for (size_t i = 0; i < ATTACKS; i++) {
            expect_stopped(systems[s], &attacks[i], "on");
            if (attacks[i].iommu) {
                expect_breach(systems[s], &attacks[i]);
            } else {
                expect_stopped(systems[s], &attacks[i], "off");
            }
            expect_told_apart(systems[s], &attacks[i]);
            expect_neighbour_unharmed(systems[s], attacks[i].how);
        }
    }
    cr_expect_gt(counter("arrakis_native", "foreign_descriptor", "off", "isolation", "secret_bytes_leaked"), 0);
    cr_expect_gt(counter("arrakis_native", "foreign_receive_descriptor", "off", "isolation", "secret_bytes_changed"),
                 0);
    csv_table_free(&table);
}

/* Writes the experiment without the intruder and without its axes. */
static void write_alone(const char *path) {
    struct diagnostics diagnostics;
    diagnostics_init(&diagnostics);
    struct config *experiment = config_load(config, &diagnostics);
    cr_assert_not_null(experiment);
    struct config_node *root = (struct config_node *)(uintptr_t)config_root(experiment);
    size_t kept = 0;
    for (size_t i = 0; i < root->count; i++) {
        if (strcmp(root->keys[i], "also") != 0 && strcmp(root->keys[i], "matrix") != 0) {
            root->keys[kept] = root->keys[i];
            root->key_nodes[kept] = root->key_nodes[i];
            root->children[kept++] = root->children[i];
        }
    }
    cr_assert_eq(kept + 2, root->count);
    root->count = kept;
    FILE *out = fopen(path, "w");
    cr_assert_not_null(out);
    config_write(root, out);
    (void)fclose(out);
    config_free(experiment);
    diagnostics_free(&diagnostics);
}

/* The intruder shares the link, the root complex, the IOTLB and the last-level cache:
 * its neighbour may meet it there, and no more. */
Test(isolation, the_neighbour_is_as_fast_as_alone) {
    write_alone(path_in(folder, "alone.yaml"));
    (void)run_into(path_in(folder, "beside"), config, SETTINGS("run.requests=400"), 2);
    (void)run_into(path_in(folder, "alone"), path_in(folder, "alone.yaml"),
                   SETTINGS("run.requests=400", "workload.script=workloads/udp_echo.yaml"), 2);
    struct csv_table beside = read_csv(path_in(folder, "beside"), "latency.csv");
    struct csv_table alone = read_csv(path_in(folder, "alone"), "latency.csv");
    for (size_t s = 0; s < SYSTEMS; s++) {
        const double p50 = number_where(&alone, "p50_ns", WHERE("system", systems[s]));
        const double mean = number_where(&alone, "mean_ns", WHERE("system", systems[s]));
        for (size_t i = 0; i < ATTACKS; i++) {
            const char *const *where = WHERE("system", systems[s], "how", attacks[i].how, "iommu", "on");
            cr_expect_eq(number_where(&beside, "requests", where), REQUESTS);
            cr_expect_float_eq(number_where(&beside, "p50_ns", where), p50, 0.01 * p50, "%s, %s", systems[s],
                               attacks[i].how);
            cr_expect_float_eq(number_where(&beside, "mean_ns", where), mean, 0.01 * mean, "%s, %s", systems[s],
                               attacks[i].how);
        }
    }
    csv_table_free(&beside);
    csv_table_free(&alone);
}

/* Two processes that mean well: each serves its own clients. */
Test(isolation, a_second_honest_process_serves_its_own_clients) {
    write_text(path_in(folder, "second.yaml"), "server:\n"
                                               "  setup: [{socket: {name: s, port: 8}}]\n"
                                               "  loop:\n"
                                               "    - wait: {on: s, how: spin}\n"
                                               "    - receive: {from: s, into: buf}\n"
                                               "    - send: {to: s, from: buf}\n"
                                               "client: {arrivals: {process: constant, rate: 20 kpps}}\n");
    write_alone(path_in(folder, "alone.yaml"));
    FILE *out = fopen(path_in(folder, "alone.yaml"), "a");
    cr_assert_not_null(out);
    (void)fputs("also: {second: {script: second.yaml}}\n", out);
    (void)fclose(out);
    (void)run_into(path_in(folder, "out"), path_in(folder, "alone.yaml"),
                   SETTINGS("run.requests=400", "workload.script=workloads/udp_echo.yaml"), 2);
    struct csv_table table = read_csv(path_in(folder, "out"), "counters.csv");
    for (size_t s = 0; s < SYSTEMS; s++) {
#define SECOND(instance_name, counter_name)                                                                            \
    number_where(&table, "value", WHERE("system", systems[s], "instance", instance_name, "counter", counter_name))
        cr_expect_geq(SECOND("second.client", "completed"), ATTACKS_AT_LEAST);
        cr_expect_eq(SECOND("second.client", "mismatched"), 0);
        cr_expect_eq(SECOND("client", "completed"), REQUESTS);
        cr_expect_eq(SECOND("client", "mismatched"), 0);
        cr_expect_lt(abs((int)SECOND("second", "sent") - (int)SECOND("second.client", "completed")), 2,
                     "what is sent arrives");
#undef SECOND
    }
    cr_expect_eq(csv_table_find(&table, 0, WHERE("instance", "isolation")), table.row_count, "nobody misbehaves");
    csv_table_free(&table);
}
