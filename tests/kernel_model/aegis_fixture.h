/* aegis_fixture.h: a small machine with Aegis on it and its checked-in costs: an R3000, or
 * an x86-64 core where FIXTURE_X86 is defined. */
#ifndef STILLSUIT_TESTS_KERNEL_MODEL_AEGIS_FIXTURE_H
#define STILLSUIT_TESTS_KERNEL_MODEL_AEGIS_FIXTURE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "hw/r3000/r3000.h"
#include "hw/x86/x86.h"
#include "kernel_model/common/system.h"
#include "kernel_model/exo/aegis.h"
#include "kernel_model/exo/aegis_user.h"
#include "kernel_model/exo/binding.h"
#include "kernel_model/exo/revocation.h"
#include "kernel_model/exo/slice.h"
#include "kernel_model/exo/transfer.h"
#include "sim/random.h"

/* A list of devices, in YAML, for a test that needs some. */
#ifndef FIXTURE_DEVICES
#define FIXTURE_DEVICES ""
#endif

/* Pages that stay with an environment, its save area one of them. */
#ifndef FIXTURE_GUARANTEED
#define FIXTURE_GUARANTEED 8
#endif

enum { PAGE_X = 0x00100000, PAGE_Y = 0x00200000, EXCEPTION_CYCLES = 3, CALL_INSTRUCTIONS = 2 };

#ifdef FIXTURE_X86
#define FIXTURE_PROFILE "aegis-x86.yaml"
#define FIXTURE_PROCESSOR "core: {count: 1, clock: 1 GHz}\n" FIXTURE_X86
#else
#define FIXTURE_PROFILE "aegis-1995.yaml"
#define FIXTURE_PROCESSOR "core: {count: 1, clock: 25 MHz}\nr3000: {exception_cycles: 3 cycles}\n"
#endif

static struct machine *machine;
static struct aegis *aegis;
static struct aegis_costs costs;
#ifndef FIXTURE_X86
static struct r3000 *cpu;
#endif
static struct aegis_config config = {.stlb_entries = 4096,
                                     .quantum = 15625 * SIM_US,
                                     .slices = 8,
                                     .epilogue = 200 * SIM_US,
                                     .excess_threshold = 8,
                                     .guaranteed_pages = FIXTURE_GUARANTEED,
                                     .page_colors = 16};

static inline void fixture_costs_load(struct diagnostics *diagnostics) {
    struct config *profile = config_load(SOURCE_DIR "/configs/profiles/" FIXTURE_PROFILE, diagnostics);
    cr_assert(profile != NULL &&
              config_bind(config_get(config_root(profile), "aegis"), aegis_cost_params, &costs, diagnostics));
}

static inline void fixture_make(void) {
    struct diagnostics diagnostics;
    struct error error = {OK, ""};
    diagnostics_init(&diagnostics);
    random_seed(1);
    machine_declare_components();
    system_declare_components();
    exo_declare_components();
    aegis_declare_components();
    struct config *text = config_parse("machine.yaml",
                                       "memory: {size: 8 MiB}\n"
                                       "cache: {model: flat, flat_cycles: 0 cycles}\n"
                                       "iommu: {mode: off}\n" FIXTURE_PROCESSOR FIXTURE_DEVICES,
                                       &diagnostics);
    cr_assert(text != NULL && machine_create(config_root(text), &machine, &diagnostics));
    fixture_costs_load(&diagnostics);
    aegis = aegis_create(machine, &config, &costs, &error);
    cr_assert_not_null(aegis, "%s", error.text);
#ifndef FIXTURE_X86
    cpu = aegis->r3000;
#endif
}

static inline struct aegis_environment *fixture_environment(const char *name, const struct aegis_program *program,
                                                            unsigned slices) {
    struct error error = {OK, ""};
    const struct exo_limits limits = exo_limits_default();
    struct aegis_environment *environment = aegis_environment_create(aegis, name, &limits, program, NULL, &error);
    cr_assert_not_null(environment, "%s", error.text);
    for (unsigned i = 0; i < slices; i++) {
        struct exo_handle handle;
        cr_assert_eq(aegis_slice_allocate(environment, AEGIS_ANY_POSITION, &handle, &error), OK, "%s", error.text);
    }
    return environment;
}

static inline void fixture_run(sim_time until) {
    aegis_start(aegis);
    sim_run(until);
}

/* A frame of an environment's, before the run or in it. */
static inline struct exo_handle fixture_frame(struct aegis_environment *environment, uint64_t *physical) {
    struct error error = {OK, ""};
    struct exo_handle handle;
    cr_assert_eq(aegis_frame_allocate(environment, 0, AEGIS_ANY_COLOR, &handle, physical, &error), OK, "%s",
                 error.text);
    return handle;
}

/* All time is somebody's. */
static inline void fixture_check_accounts(void) {
    aegis_account(aegis, aegis->current);
    sim_time sum = aegis->idle;
    int64_t debts = 0;
    for (const struct aegis_environment *at = aegis->environments; at != NULL; at = at->next) {
        sum += at->used;
        debts += at->excess - at->owed;
    }
    for (const struct aegis_environment *at = aegis->graveyard; at != NULL; at = at->next) {
        sum += at->used;
        debts += at->excess - at->owed;
    }
    cr_expect_eq(sum, sim_now(), "processor time does not add up");
    cr_expect_eq(debts, 0, "what was taken is not what is owed");
}

static inline uint64_t fixture_cycles(sim_time from) {
    cpu_run(context_current());
    return sim_clock_cycles(core_clock(aegis->core), sim_now() - from);
}
static inline sim_time fixture_now(void) {
    cpu_run(context_current());
    return sim_now();
}
/* Application code that takes a while. */
static inline void fixture_compute(struct aegis_environment *environment, sim_time time) {
    (void)aegis_user_work(environment, system_components.app);
    cpu_charge_time(context_current(), time);
    cpu_run(context_current());
}

/* User code of whoever runs, on either processor. */
static inline bool fixture_load(uint32_t address, uint32_t size_bytes, uint32_t *value) {
    return aegis->machine->user_load(aegis, address, size_bytes, value);
}
static inline bool fixture_store(uint32_t address, uint32_t size_bytes, uint32_t value) {
    return aegis->machine->user_store(aegis, address, size_bytes, value);
}

/* What an exception's handler saw, and does. */
static unsigned handled;
static struct aegis_exception last_exception;
static inline enum aegis_resume fixture_skip(struct aegis_environment *environment,
                                             const struct aegis_exception *exception) {
    (void)environment;
    handled++;
    last_exception = *exception;
    return AEGIS_SKIP;
}
/* Yields at the end of its slice, as it should. */
static inline void fixture_obey(struct aegis_environment *environment, enum aegis_notice notice) {
    if (notice == AEGIS_SLICE_END) {
        (void)aegis_yield(environment, NULL);
    }
}

#endif
