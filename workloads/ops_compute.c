/* ops_compute.c: the application's own work. */
#include <math.h>

#include "sim/clock.h"
#include "sim/random.h"
#include "workloads/op.h"

enum distribution { CONSTANT, EXPONENTIAL, LOGNORMAL };

struct compute_config {
    sim_time time;
    uint64_t cycles;
    int distribution; /* enum distribution */
    double cv;
};

static const char *const distributions[] = {
    [CONSTANT] = "constant", [EXPONENTIAL] = "exponential", [LOGNORMAL] = "lognormal", NULL};

static const struct param compute_params[] = {
    {"time", PARAM_TIME, offsetof(struct compute_config, time), "0 us", NULL, "3600 s", NULL,
     "how long it takes on an undisturbed core (or cycles)"},
    {"cycles", PARAM_CYCLES, offsetof(struct compute_config, cycles), "0 cycles", NULL, "1000000000000 cycles", NULL,
     "the same in cycles of the core"},
    {"distribution", PARAM_CHOICE, offsetof(struct compute_config, distribution), "constant", NULL, NULL, distributions,
     "of which time or cycles is the mean"},
    {"cv", PARAM_REAL, offsetof(struct compute_config, cv), "0", "0", "100", NULL,
     "coefficient of variation of a lognormal distribution"},
    {0}};

static bool compute_compile(struct compiler *compiler, const struct config_node *node, void *config) {
    const struct compute_config *own = config;
    const struct config_node *cv = config_get(node, "cv");
    const bool time = config_get(node, "time") != NULL;
    if (time == (config_get(node, "cycles") != NULL) && !node->incomplete) {
        return compile_error(compiler, node, "either 'time' or 'cycles' is due");
    }
    if ((own->distribution == LOGNORMAL) != (cv != NULL) && !node->incomplete) {
        return compile_error(compiler, cv == NULL ? node : cv, "'cv' goes with a lognormal distribution, and it alone");
    }
    return true;
}

static sim_time draw(struct workload_thread *thread, const struct compute_config *own, sim_time mean) {
    switch ((enum distribution)own->distribution) {
    case EXPONENTIAL:
        return random_exponential(thread->random, mean);
    case LOGNORMAL:
        return (sim_time)llround((double)mean * random_lognormal_factor(thread->random, own->cv));
    case CONSTANT:
        break;
    }
    return mean;
}

static enum op_result compute_run(struct workload_thread *thread, const void *config) {
    const struct compute_config *own = config;
    const sim_time mean = own->cycles != 0 ? sim_clock_time(thread->clock, own->cycles) : own->time;
    const sim_time duration = mean == 0 ? 0 : draw(thread, own, mean);
    if (duration != 0) { /* nothing to do is not an event */
        thread->counters[WORKLOAD_COMPUTES] += 1;
        thread->ops->compute(thread->thread, thread_request(thread), duration);
    }
    return OP_DONE;
}

const struct op_type op_compute = {.name = "compute",
                                   .help = "the application computes, for the message that it received last",
                                   .plain = "time",
                                   .params = compute_params,
                                   .config_bytes = sizeof(struct compute_config),
                                   .flags = OP_TAKES_TIME,
                                   .compile = compute_compile,
                                   .run = compute_run};
