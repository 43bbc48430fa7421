/* ops_misbehave.c: a process that attacks another, to see that it gets nowhere. */
#include "workloads/op.h"

struct misbehave_config {
    int how; /* enum system_misbehaviour */
    uint64_t times;
};

#define NAME(name, answered, help) #name,
static const char *const ways[] = {SYSTEM_MISBEHAVIOURS(NAME) NULL};
#undef NAME
#define ANSWERED(name, answered, help) answered,
static const bool answer_decides[] = {SYSTEM_MISBEHAVIOURS(ANSWERED)};
#undef ANSWERED

static const struct param misbehave_params[] = {
    {"how", PARAM_CHOICE, offsetof(struct misbehave_config, how), NULL, NULL, NULL, ways,
     "the attack on the system's first process (docs/configuration.md)"},
    {"times", PARAM_INTEGER, offsetof(struct misbehave_config, times), "1", "1", "1000000", NULL, "how often"},
    {0}};

static bool misbehave_offered(const struct system_ops *ops) {
    return ops->misbehave != NULL;
}

/* A refusal is an answer like any other: the script goes on. */
static bool is_refusal(enum error_code code) {
    return code == ERR_DENIED || code == ERR_OVERLAP || code == ERR_SHARE || code == ERR_FAULT || code == ERR_EXHAUSTED;
}

static enum op_result misbehave_run(struct workload_thread *thread, const void *config) {
    const struct misbehave_config *own = config;
    const struct system_endpoint accomplice =
        thread->current != NULL ? thread->current->peer : (struct system_endpoint){0, 0};
    for (uint64_t i = 0; i < own->times; ++i) {
        const enum error_code code =
            thread->ops->misbehave(thread->thread, (enum system_misbehaviour)own->how, accomplice);
        if (code == ERR_AGAIN) { /* there is nothing to attack yet */
            return OP_RESTART;
        }
        if (code != OK && !is_refusal(code)) {
            return run_failed(thread, code, "misbehaving towards the system's first process");
        }
        thread->counters[WORKLOAD_MISBEHAVIOURS] += 1;
        thread->counters[WORKLOAD_MISBEHAVIOURS_REFUSED] += code != OK;
        thread->counters[WORKLOAD_MISBEHAVIOURS_GRANTED] += code == OK && answer_decides[own->how];
    }
    return OP_DONE;
}

const struct op_type op_misbehave = {.name = "misbehave",
                                     .help = "attacks the system's first process, as a malicious library would",
                                     .plain = "how",
                                     .params = misbehave_params,
                                     .config_bytes = sizeof(struct misbehave_config),
                                     .flags = OP_LOOP_ONLY | OP_TAKES_TIME,
                                     .offered = misbehave_offered,
                                     .run = misbehave_run};
