#include "kernel_model/ultrix/ultrix_system.h"

#include <stdlib.h>

#include "kernel_model/common/system.h"

/* ---- configuration ---- */

struct profile_file {
    const struct config_node *ultrix, *net, *lance;
};
static const struct param profile_params[] = {
    {.key = "ultrix", .type = PARAM_NODE, .offset = offsetof(struct profile_file, ultrix), .help = "its steps"},
    {.key = "net", .type = PARAM_NODE, .offset = offsetof(struct profile_file, net), .help = "its network's steps"},
    {.key = "lance",
     .type = PARAM_NODE,
     .offset = offsetof(struct profile_file, lance),
     .help = "its driver of the network adapter"},
    {0}};

struct entry_file {
    const char *type;
    const struct config_node *profile;
};
static const struct param entry_params[] = {
    {.key = "type", .type = PARAM_TEXT, .offset = offsetof(struct entry_file, type), .default_text = "ultrix"},
    {.key = "profile", .type = PARAM_NODE, .offset = offsetof(struct entry_file, profile)},
    {0}};
static const struct param no_params[] = {{0}};

static bool bind_entry(const struct config_node *node, struct ultrix_system *system, struct diagnostics *diagnostics) {
    struct entry_file entry = {0};
    struct profile_file profile = {0};
    return config_bind(node, entry_params, &entry, diagnostics) &&
           config_bind(entry.profile, profile_params, &profile, diagnostics) &&
           config_bind(profile.ultrix, ultrix_cost_params, &system->costs, diagnostics) &&
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
        system->ultrix = ultrix_create(machine, &system->costs, &error);
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
    ultrix_process_free(system->measured);
    ultrix_process_free(system->peer);
    ultrix_pipe_free(system->requests);
    ultrix_pipe_free(system->replies);
    ultrix_net_free(system->net);
    ultrix_free(system->ultrix);
    random_stream_free(system->order);
    free(system->permutation);
    free(system);
}

/* ---- the process that is measured ---- */

static void work_for(struct operations *base, struct request *request) {
    struct ultrix *ultrix = ((struct ultrix_system *)base)->ultrix;
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

/* The adapter and a socket, if the plan has any use for them. */
static enum error_code make_network(struct ultrix_system *system, struct error *error) {
    const bool answers = system->plan.answers;
    struct net_udp remote = {.source_mac = {8, 0, 0x2b, 0, 0, 1}, .destination_mac = {8, 0, 0x2b, 0, 0, 1}};
    bool needed = false;
    for (size_t i = 0; i < system->plan.count; i++) {
        needed = needed || system->plan.sequence[i]->run == ultrix_run_udp;
    }
    if (!needed) {
        return OK;
    }
    if (system->plan.others > 0) {
        return error_set(error, ERR_UNSUPPORTED, "kernel.others: ultrix has no clock that would end their turns");
    }
    remote.source_mac[5] = answers ? 2 : 1;
    remote.destination_mac[5] = answers ? 1 : 2;
    remote.source_ip = 0x0a000000U + remote.source_mac[5];
    remote.destination_ip = 0x0a000000U + remote.destination_mac[5];
    remote.source_port = remote.destination_port = 7;
    system->net = ultrix_net_create(system->ultrix, &system->lance_costs, &system->net_costs, &remote, error);
    return system->net != NULL ? OK : error->code;
}

static enum error_code begin(struct operations *base, const struct operations_plan *plan,
                             const struct operations_meter *meter, struct error *error) {
    struct ultrix_system *system = (struct ultrix_system *)base;
    system->plan = *plan;
    system->meter = *meter;
    system->order = random_stream_create("ultrix.pages");
    system->measured = ultrix_process_create(system->ultrix, "measured", measured_main, system);
    system->peer = ultrix_process_create(system->ultrix, "peer", ultrix_peer_main, system);
    system->requests = ultrix_pipe_create(system->ultrix);
    system->replies = ultrix_pipe_create(system->ultrix);
    if (system->measured == NULL || system->peer == NULL || system->requests == NULL || system->replies == NULL) {
        return error_set(error, ERR_EXHAUSTED, "no memory for two processes");
    }
    system->measured->handler = ultrix_on_signal;
    enum error_code code = ultrix_share(system->measured, system->peer, error);
    if (code == OK) {
        code = make_network(system, error);
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
    if (system->net != NULL) {
        ultrix_net_visit_stats(system->net, sink);
    }
}

static void reset_stats(struct operations *base) {
    struct ultrix_system *system = (struct ultrix_system *)base;
    ultrix_reset_stats(system->ultrix);
    if (system->net != NULL) {
        ultrix_net_reset_stats(system->net);
    }
}

static void visit_costs(const struct operations *base,
                        void (*visit)(void *context, const char *key, const struct cost *cost), void *context) {
    const struct ultrix_system *system = (const struct ultrix_system *)base;
    param_visit_costs(ultrix_cost_params, &system->costs, NULL, visit, context);
    if (system->net != NULL) {
        param_visit_costs(ultrix_net_cost_params, &system->net_costs, NULL, visit, context);
        param_visit_costs(lance_driver_cost_params, &system->lance_costs, NULL, visit, context);
    }
}

const struct operations_ops ultrix_operations_ops = {
    .type_name = "ultrix",
    .help = "a monolithic kernel on an R3000, after Ultrix 4.2",
    .profile_params = profile_params,
    .params = no_params,
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
