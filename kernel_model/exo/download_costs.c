#include "kernel_model/exo/download_costs.h"

#include <string.h>

const struct param download_cost_params[] = {
#define DOWNLOAD_STEP_ROW(name, number, text)                                                                          \
    {.key = #name,                                                                                                     \
     .type = PARAM_COST,                                                                                               \
     .offset = offsetof(struct download_costs, step) + sizeof(struct cost) * DOWNLOAD_##name,                          \
     .default_text = #number " cycles",                                                                                \
     .help = (text)},
    DOWNLOAD_STEPS(DOWNLOAD_STEP_ROW)
#undef DOWNLOAD_STEP_ROW
        {0}};

void download_costs_default(struct download_costs *costs) {
    static const uint64_t cycles[DOWNLOAD_STEP_COUNT] = {
#define DOWNLOAD_STEP_CYCLES(name, number, text) number,
        DOWNLOAD_STEPS(DOWNLOAD_STEP_CYCLES)
#undef DOWNLOAD_STEP_CYCLES
    };
    memset(costs, 0, sizeof *costs);
    for (int i = 0; i < DOWNLOAD_STEP_COUNT; i++) {
        costs->step[i].cycles = cycles[i];
    }
}

void download_work_add(struct download_work *to, const struct download_work *more) {
    for (int i = 0; i < DOWNLOAD_STEP_COUNT; i++) {
        to->count[i] += more->count[i];
    }
}

uint64_t download_work_cycles(const struct download_work *work, const struct download_costs *costs) {
    uint64_t cycles = 0;
    for (int i = 0; i < DOWNLOAD_STEP_COUNT; i++) {
        cycles += work->count[i] * costs->step[i].cycles;
    }
    return cycles;
}

uint64_t download_work_charge(struct download_work *work, struct download_costs *costs, struct context *context) {
    const uint64_t cycles = download_work_cycles(work, costs);
    for (int i = 0; i < DOWNLOAD_STEP_COUNT; i++) {
        costs->step[i].uses += work->count[i];
    }
    if (context != NULL) {
        cpu_charge(context, cycles);
    }
    memset(work, 0, sizeof *work);
    return cycles;
}
