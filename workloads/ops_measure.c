/* ops_measure.c: how long operations take for a message, by name. */
#include "sim/engine.h"
#include "workloads/op.h"

struct measure_config {
    const char *as, *before;
    const struct config_node *body_node;
    struct block body;
    uint32_t span, before_span;
};

static const struct param measure_params[] = {
    {"as", PARAM_TEXT, offsetof(struct measure_config, as), NULL, NULL, NULL, NULL,
     "the row of the breakdown that it becomes; the same name adds up"},
    {"before", PARAM_TEXT, offsetof(struct measure_config, before), "", NULL, NULL, NULL,
     "the row for what the processor did for a message that these operations receive, before they began"},
    {"do", PARAM_NODE, offsetof(struct measure_config, body_node), "", NULL, NULL, NULL, "operations; required"},
    {0}};

static bool measure_compile(struct compiler *compiler, const struct config_node *node, void *config) {
    struct measure_config *own = config;
    bool good = compile_required_block(compiler, node, "do", &own->body);
    if (own->as != NULL && own->as[0] != '\0') {
        good = compile_span(compiler, config_get(node, "as"), own->as, &own->span) && good;
    }
    if (own->before != NULL && own->before[0] != '\0') {
        good = compile_span(compiler, config_get(node, "before"), own->before, &own->before_span) && good;
    }
    return good;
}

sim_time measure_now(struct workload_thread *thread) {
    if (thread->ops->thread_context != NULL) {
        struct context *context = thread->ops->thread_context(thread->thread);
        if (context != NULL) {
            cpu_run(context);
        }
    }
    return sim_now();
}

sim_time measure_spent(const struct request *request, sim_time now) {
    const ledger_component cpu = ledger_find("cpu");
    sim_time sum = 0;
    for (ledger_component component = 1; cpu != 0 && component <= ledger_component_count(); component++) {
        if (ledger_component_within(component, cpu)) {
            sum += request->spent[component][LEDGER_WAITING] + request->spent[component][LEDGER_SERVICE];
        }
    }
    return now > request->since ? sum + (now - request->since) : sum;
}

static enum op_result measure_run(struct workload_thread *thread, const void *config) {
    const struct measure_config *own = config;
    const sim_time begin = measure_now(thread);
    const uint64_t received = thread->counters[WORKLOAD_RECEIVED];
    const enum op_result result = run_block(thread, &own->body);
    const sim_time end = measure_now(thread);
    spans_add(&thread->spans, own->span, end - begin);
    const struct request *request = thread_request(thread);
    if (own->before[0] != '\0' && thread->counters[WORKLOAD_RECEIVED] != received && request != NULL) {
        const sim_time spent = measure_spent(request, end), inside = end - begin;
        spans_add(&thread->spans, own->before_span, spent > inside ? spent - inside : 0);
    }
    return result;
}

const struct op_type op_measure = {.name = "measure",
                                   .help = "runs operations and tells how long they take for a message",
                                   .params = measure_params,
                                   .config_bytes = sizeof(struct measure_config),
                                   .flags = OP_LOOP_ONLY,
                                   .compile = measure_compile,
                                   .run = measure_run};
