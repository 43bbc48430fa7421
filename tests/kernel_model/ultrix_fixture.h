/* ultrix_fixture.h: a machine with Ultrix, for tests of its parts. A test makes processes and
 * starts one; fixture_stop ends the run. */
#ifndef STILLSUIT_TESTS_KERNEL_MODEL_ULTRIX_FIXTURE_H
#define STILLSUIT_TESTS_KERNEL_MODEL_ULTRIX_FIXTURE_H

#include <criterion/criterion.h>
#include <string.h>

#include "kernel_model/common/system.h"
#include "kernel_model/ultrix/paging.h"
#include "sim/random.h"

static struct machine *machine;
static struct ultrix *ultrix;
static struct ultrix_costs costs;
static struct ultrix_paging_costs paging_costs;
static struct r3000 *cpu;
static bool finished;

static void fixture_costs(struct diagnostics *diagnostics) {
    struct config *profile = config_load(SOURCE_DIR "/configs/profiles/ultrix-4.2.yaml", diagnostics);
    cr_assert(
        profile != NULL &&
        config_bind(config_get(config_root(profile), "ultrix"), ultrix_cost_params, &costs, diagnostics) &&
        config_bind(config_get(config_root(profile), "paging"), ultrix_paging_cost_params, &paging_costs, diagnostics));
}

/* `hz` clock interrupts a second. */
static void fixture_make(uint64_t hz) {
    const struct ultrix_config config = {.hz = hz, .quantum = 100 * SIM_MS};
    struct diagnostics diagnostics;
    struct error error = {OK, ""};
    diagnostics_init(&diagnostics);
    random_seed(1);
    finished = false;
    machine_declare_components();
    system_declare_components();
    ultrix_declare_components();
    struct config *text = config_parse("machine.yaml",
                                       "memory: {size: 8 MiB}\n"
                                       "core: {count: 1, clock: 25 MHz}\n"
                                       "cache: {model: flat, flat_cycles: 0 cycles}\n"
                                       "iommu: {mode: off}\n"
                                       "r3000: {exception_cycles: 3 cycles}\n",
                                       &diagnostics);
    cr_assert(text != NULL && machine_create(config_root(text), &machine, &diagnostics));
    fixture_costs(&diagnostics);
    ultrix = ultrix_create(machine, &config, &costs, &error);
    cr_assert_not_null(ultrix, "%s", error.text);
    cpu = ultrix->cpu;
}

static struct ultrix_process *fixture_process(const char *name, void (*main)(struct ultrix_process *process),
                                              void *state) {
    struct ultrix_process *process = ultrix_process_create(ultrix, name, main, state);
    cr_assert_not_null(process);
    return process;
}

static void fixture_run(struct ultrix_process *first, sim_time limit) {
    ultrix_start(ultrix, first);
    sim_run(limit);
    cr_expect_eq(cpu->counters.tlb_shutdowns, 0);
}

/* By a process, at its end. */
static inline void fixture_stop(struct ultrix_process *process) {
    cpu_run(process->context);
    finished = true;
    sim_stop();
    cpu_block(process->context);
}

static inline sim_time fixture_now(const struct ultrix_process *process) {
    cpu_run(process->context);
    return sim_now();
}

/* User code of so long. */
static inline void fixture_compute(struct ultrix_process *process, sim_time time) {
    ultrix_work(ultrix, system_components.app);
    cpu_charge_time(process->context, time);
    cpu_run(process->context);
}

#endif
