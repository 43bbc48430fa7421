/* ops_control.c: operations that decide what runs next. */
#include "sim/random.h"
#include "workloads/op.h"

/* ---- branch ---- */

struct branch_config {
    double probability;
    const struct config_node *then_node, *else_node;
    struct block then_block, else_block;
};

static const struct param branch_params[] = {
    {"probability", PARAM_SHARE, offsetof(struct branch_config, probability), NULL, NULL, NULL, NULL,
     "of taking 'then'"},
    {"then", PARAM_NODE, offsetof(struct branch_config, then_node), "", NULL, NULL, NULL, "operations; required"},
    {"else", PARAM_NODE, offsetof(struct branch_config, else_node), "", NULL, NULL, NULL, "operations otherwise"},
    {0}};

static bool branch_compile(struct compiler *compiler, const struct config_node *node, void *config) {
    struct branch_config *own = config;
    const bool then_good = compile_required_block(compiler, node, "then", &own->then_block);
    return compile_block(compiler, own->else_node, &own->else_block) && then_good;
}

static enum op_result branch_run(struct workload_thread *thread, const void *config) {
    const struct branch_config *own = config;
    const bool taken = random_uniform(thread->random) < own->probability;
    return run_block(thread, taken ? &own->then_block : &own->else_block);
}

const struct op_type op_branch = {.name = "branch",
                                  .help = "takes one of two ways, at random",
                                  .params = branch_params,
                                  .config_bytes = sizeof(struct branch_config),
                                  .compile = branch_compile,
                                  .run = branch_run};

/* ---- choose ---- */

struct choose_config {
    const char *by;
    const struct config_node *among;
    struct block chosen;
};

static const struct param choose_params[] = {
    {"by", PARAM_TEXT, offsetof(struct choose_config, by), NULL, NULL, NULL, NULL,
     "which of them: a parameter's value, as a rule"},
    {"among", PARAM_NODE, offsetof(struct choose_config, among), "", NULL, NULL, NULL,
     "a mapping of values to operations; required. What is not chosen is not part of the script"},
    {0}};

static bool choose_compile(struct compiler *compiler, const struct config_node *node, void *config) {
    struct choose_config *own = config;
    if (own->by == NULL) {
        return false; /* reported */
    }
    if (own->among == NULL || own->among->kind != CONFIG_MAPPING) {
        return compile_error(compiler, own->among != NULL ? own->among : node,
                             "'among' is due: a mapping of values to lists of operations");
    }
    const struct config_node *list = config_get(own->among, own->by);
    if (list == NULL) {
        return own->among->incomplete ||
               compile_error(compiler, own->among, "there is nothing for '%s' to choose", own->by);
    }
    return compile_in_place(compiler, list, &own->chosen);
}

static enum op_result choose_run(struct workload_thread *thread, const void *config) {
    return run_block(thread, &((const struct choose_config *)config)->chosen);
}

const struct op_type op_choose = {.name = "choose",
                                  .help = "takes one of several ways, the same each time",
                                  .params = choose_params,
                                  .config_bytes = sizeof(struct choose_config),
                                  .compile = choose_compile,
                                  .run = choose_run};

/* ---- repeat ---- */

struct repeat_config {
    uint64_t times;
    const struct config_node *body_node;
    struct block body;
};

static const struct param repeat_params[] = {
    {"times", PARAM_INTEGER, offsetof(struct repeat_config, times), NULL, "1", "1000000000", NULL, "how often"},
    {"do", PARAM_NODE, offsetof(struct repeat_config, body_node), "", NULL, NULL, NULL, "operations; required"},
    {0}};

static bool repeat_compile(struct compiler *compiler, const struct config_node *node, void *config) {
    struct repeat_config *own = config;
    return compile_required_block(compiler, node, "do", &own->body);
}

static enum op_result repeat_run(struct workload_thread *thread, const void *config) {
    const struct repeat_config *own = config;
    for (uint64_t i = 0; i < own->times; ++i) {
        const enum op_result result = run_block(thread, &own->body);
        if (result != OP_DONE) {
            return result;
        }
    }
    return OP_DONE;
}

const struct op_type op_repeat = {.name = "repeat",
                                  .help = "runs operations a number of times",
                                  .params = repeat_params,
                                  .config_bytes = sizeof(struct repeat_config),
                                  .compile = repeat_compile,
                                  .run = repeat_run};
