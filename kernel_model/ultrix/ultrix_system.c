#include "kernel_model/ultrix/ultrix_system.h"

#include <stdlib.h>

#include "kernel_model/common/system.h"

/* ---- configuration ---- */

struct profile_file {
    const struct config_node *ultrix, *paging, *net, *lance;
};
static const struct param profile_params[] = {
    {.key = "ultrix", .type = PARAM_NODE, .offset = offsetof(struct profile_file, ultrix), .help = "its steps"},
    {.key = "paging",
     .type = PARAM_NODE,
     .offset = offsetof(struct profile_file, paging),
     .help = "pages that come and go"},
    {.key = "net", .type = PARAM_NODE, .offset = offsetof(struct profile_file, net), .help = "its network's steps"},
    {.key = "lance",
     .type = PARAM_NODE,
     .offset = offsetof(struct profile_file, lance),
     .help = "its driver of the network adapter"},
    {0}};

struct entry_file {
    const char *type;
    const struct config_node *profile;
    struct ultrix_config config;
};

static bool bind_entry(const struct config_node *node, struct ultrix_system *system, struct diagnostics *diagnostics) {
    enum { ENTRY_ROWS = 2, ROWS_MAX = 16 };
    struct param rows[ROWS_MAX] = {
        {.key = "type", .type = PARAM_TEXT, .offset = offsetof(struct entry_file, type), .default_text = "ultrix"},
        {.key = "profile", .type = PARAM_NODE, .offset = offsetof(struct entry_file, profile)}};
    for (size_t i = 0; ultrix_params[i].key != NULL; i++) {
        SIM_ASSERT(ENTRY_ROWS + i + 1 < ROWS_MAX);
        rows[ENTRY_ROWS + i] = ultrix_params[i];
        rows[ENTRY_ROWS + i].offset += offsetof(struct entry_file, config);
    }
    struct entry_file entry = {0};
    struct profile_file profile = {0};
    if (!config_bind(node, rows, &entry, diagnostics)) {
        return false;
    }
    system->config = entry.config;
    return config_bind(entry.profile, profile_params, &profile, diagnostics) &&
           config_bind(profile.ultrix, ultrix_cost_params, &system->costs, diagnostics) &&
           config_bind(profile.paging, ultrix_paging_cost_params, &system->paging_costs, diagnostics) &&
           config_bind(profile.net, ultrix_net_cost_params, &system->net_costs, diagnostics) &&
           config_bind(profile.lance, lance_driver_cost_params, &system->lance_costs, diagnostics);
}

static struct operations *create(struct machine *machine, const struct config_node *node,
                                 struct diagnostics *diagnostics) {
    struct ultrix_system *system = calloc(1, sizeof *system);
    SIM_ASSERT(system != NULL);
    system->base = (struct operations){&ultrix_operations_ops, machine};
    struct error error = {0};
    if (bind_entry(node, system, diagnostics) && machine != NULL) {
        system->ultrix = ultrix_create(machine, &system->config, &system->costs, &error);
        if (system->ultrix == NULL) {
            diagnostics_at(diagnostics, node, "%s", error.text);
        }
    }
    if (system->ultrix == NULL) {
        free(system);
        return NULL;
    }
    return &system->base;
}

static void destroy(struct operations *base) {
    struct ultrix_system *system = (struct ultrix_system *)base;
    (void)sim_cancel(&system->fault);
    (void)sim_cancel(&system->rebooted);
    ultrix_pipe_free(system->requests);
    ultrix_pipe_free(system->replies);
    ultrix_net_free(system->net);
    ultrix_free(system->ultrix); /* with its processes */
    ultrix_paging_free(system->paging);
    collector_free(&system->collector);
    random_stream_free(system->order);
    free(system->permutation);
    free(system);
}

/* ---- the process that is measured ---- */

static void work_for(struct operations *base, struct request *request) {
    const struct ultrix_system *system = (struct ultrix_system *)base;
    struct ultrix *ultrix = system->ultrix;
    if (request == NULL && system->peer != NULL) { /* it may wait for its turn, with work for what has ended */
        cpu_forget_request(system->peer->context, ultrix->request);
    }
    ultrix->request = request;
    ultrix_work(ultrix, system_components.app);
}

static void loop_step(struct operations *base) {
    struct ultrix_system *system = (struct ultrix_system *)base;
    ultrix_step(system->ultrix, &system->costs.loop);
}

static void measured_main(struct ultrix_process *process) {
    struct ultrix_system *system = process->state;
    const struct operations_loop loop = {&system->base, process->context, work_for, loop_step};
    struct error error = {0};
    if (operations_prepare(&system->base, &system->plan, &error) != OK) {
        system->meter.failed(system->meter.context, &error);
        return;
    }
    if (system->plan.answers) {
        ultrix_answer_udp(system);
        return;
    }
    operations_repeat(&loop, &system->plan, &system->meter);
}

static bool is_planned(const struct ultrix_system *system, operation_run *one, operation_run *other) {
    bool planned = false;
    for (size_t i = 0; i < system->plan.count; i++) {
        operation_run *const run = system->plan.sequence[i]->run;
        planned = planned || run == one || run == other;
    }
    return planned;
}

/* ---- programs that compute beside it ---- */

/* For ever: more at a time than any turn has. */
static void compute(struct ultrix_process *process) {
    const struct ultrix_system *system = process->state;
    for (;;) {
        ultrix_work(process->ultrix, system_components.app);
        cpu_charge_time(process->context, system->config.quantum);
        cpu_run(process->context);
    }
}

static enum error_code make_others(struct ultrix_system *system, struct error *error) {
    if (system->plan.others > 0 && system->config.hz == 0) {
        return error_set(error, ERR_UNSUPPORTED, "kernel.others: without a clock (hz: 0) their turns would not end");
    }
    for (uint64_t i = 0; i < system->plan.others; i++) {
        struct ultrix_process *other = ultrix_process_create(system->ultrix, "other", compute, system);
        if (other == NULL) {
            return error_set(error, ERR_EXHAUSTED, "no memory for a process");
        }
        other->apart = true;
    }
    return OK;
}

/* ---- what a plan needs ---- */

/* The adapter and a socket, if the plan has any use for them, and at the far end the
 * programs beside it. */
static enum error_code make_network(struct ultrix_system *system, struct error *error) {
    const bool answers = system->plan.answers;
    struct net_udp remote = {.source_mac = {8, 0, 0x2b, 0, 0, 1}, .destination_mac = {8, 0, 0x2b, 0, 0, 1}};
    if (!is_planned(system, ultrix_run_udp, NULL)) {
        return OK;
    }
    remote.source_mac[5] = answers ? 2 : 1;
    remote.destination_mac[5] = answers ? 1 : 2;
    remote.source_ip = 0x0a000000U + remote.source_mac[5];
    remote.destination_ip = 0x0a000000U + remote.destination_mac[5];
    remote.source_port = remote.destination_port = 7;
    system->net = ultrix_net_create(system->ultrix, &system->lance_costs, &system->net_costs, &remote, error);
    if (system->net == NULL) {
        return error->code;
    }
    return answers ? make_others(system, error) : OK;
}

static enum error_code make_paging(struct ultrix_system *system, struct error *error) {
    if (!is_planned(system, ultrix_run_cycle, ultrix_run_collect)) {
        return OK;
    }
    system->paging = ultrix_paging_create(system->ultrix, &system->paging_costs, error);
    return system->paging != NULL ? OK : error->code;
}

enum error_code ultrix_make_measured(struct ultrix_system *system, struct error *error) {
    system->measured = ultrix_process_create(system->ultrix, "measured", measured_main, system);
    if (system->measured == NULL) {
        return error_set(error, ERR_EXHAUSTED, "no memory for a process");
    }
    system->measured->handler = ultrix_on_signal;
    return OK;
}

static enum error_code begin(struct operations *base, const struct operations_plan *plan,
                             const struct operations_meter *meter, struct error *error) {
    struct ultrix_system *system = (struct ultrix_system *)base;
    system->plan = *plan;
    system->meter = *meter;
    system->order = random_stream_create("ultrix.pages");
    (void)ultrix_make_measured(system, error);
    system->peer = ultrix_process_create(system->ultrix, "peer", ultrix_peer_main, system);
    system->requests = ultrix_pipe_create(system->ultrix);
    system->replies = ultrix_pipe_create(system->ultrix);
    if (system->measured == NULL || system->peer == NULL || system->requests == NULL || system->replies == NULL) {
        return error_set(error, ERR_EXHAUSTED, "no memory for two processes");
    }
    enum error_code code = ultrix_share(system->measured, system->peer, error);
    if (code == OK) {
        code = make_network(system, error);
    }
    if (code == OK) {
        code = make_paging(system, error);
    }
    if (code == OK && is_planned(system, ultrix_run_compute_library_fault, ultrix_run_compute_kernel_fault)) {
        code = ultrix_make_mortals(system, is_planned(system, ultrix_run_compute_library_fault, NULL), error);
    }
    if (code == OK) {
        ultrix_start(system->ultrix, system->measured);
    }
    return code;
}

/* ---- the rest of the interface ---- */

static void declare_components(void) {
    system_declare_components();
    ultrix_declare_components();
}

static void visit_stats(const struct operations *base, const struct stats_sink *sink) {
    const struct ultrix_system *system = (const struct ultrix_system *)base;
    ultrix_visit_stats(system->ultrix, sink);
    progress_visit_stats(&system->progress, sink);
    if (system->net != NULL) {
        ultrix_net_visit_stats(system->net, sink);
    }
    if (system->paging != NULL) {
        ultrix_paging_visit_stats(system->paging, sink);
    }
}

static void reset_stats(struct operations *base) {
    struct ultrix_system *system = (struct ultrix_system *)base;
    ultrix_reset_stats(system->ultrix);
    if (system->net != NULL) {
        ultrix_net_reset_stats(system->net);
    }
    if (system->paging != NULL) {
        system->paging->counters = (struct ultrix_paging_counters){0};
    }
}

static void visit_costs(const struct operations *base,
                        void (*visit)(void *context, const char *key, const struct cost *cost), void *context) {
    const struct ultrix_system *system = (const struct ultrix_system *)base;
    param_visit_costs(ultrix_cost_params, &system->costs, NULL, visit, context);
    if (system->paging != NULL) {
        param_visit_costs(ultrix_paging_cost_params, &system->paging_costs, NULL, visit, context);
    }
    if (system->net != NULL) {
        param_visit_costs(ultrix_net_cost_params, &system->net_costs, NULL, visit, context);
        param_visit_costs(lance_driver_cost_params, &system->lance_costs, NULL, visit, context);
    }
}

const struct operations_ops ultrix_operations_ops = {
    .type_name = "ultrix",
    .help = "a monolithic kernel on an R3000, after Ultrix 4.2",
    .profile_params = profile_params,
    .params = ultrix_params,
    .operations = ultrix_operations,
    .over_wire = ultrix_run_udp,
    .adapter = "nic/lance",
    .declare_components = declare_components,
    .create = create,
    .destroy = destroy,
    .begin = begin,
    .visit_stats = visit_stats,
    .reset_stats = reset_stats,
    .visit_costs = visit_costs,
};
