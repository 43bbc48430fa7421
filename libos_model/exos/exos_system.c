/* exos_system.c: Aegis with the library OS, as a set of operations. */
#include <stdio.h>
#include <stdlib.h>

#include "kernel_model/common/system.h"
#include "kernel_model/exo/aegis_user.h"
#include "kernel_model/exo/slice.h"
#include "libos_model/exos/exos.h"

/* ---- configuration ---- */

struct profile_file {
    const struct config_node *aegis, *exos, *vm, *ipc, *udp, *lance, *download;
};
static const struct param profile_params[] = {
    {.key = "aegis", .type = PARAM_NODE, .offset = offsetof(struct profile_file, aegis), .help = "the kernel's steps"},
    {.key = "exos",
     .type = PARAM_NODE,
     .offset = offsetof(struct profile_file, exos),
     .help = "the library's steps, and the measuring program's"},
    {.key = "vm",
     .type = PARAM_NODE,
     .offset = offsetof(struct profile_file, vm),
     .help = "the library's virtual memory"},
    {.key = "ipc",
     .type = PARAM_NODE,
     .offset = offsetof(struct profile_file, ipc),
     .help = "the library's communication"},
    {.key = "udp",
     .type = PARAM_NODE,
     .offset = offsetof(struct profile_file, udp),
     .default_text = "",
     .help = "the library's UDP; without this and the next two, there is no network"},
    {.key = "lance",
     .type = PARAM_NODE,
     .offset = offsetof(struct profile_file, lance),
     .default_text = "",
     .help = "the kernel's driver of the network adapter"},
    {.key = "download",
     .type = PARAM_NODE,
     .offset = offsetof(struct profile_file, download),
     .default_text = "",
     .help = "packet filters and handlers"},
    {0}};

struct entry_file {
    const char *type;
    const struct config_node *profile;
    struct aegis_config config;
};

/* All of it or nothing: where there is no adapter there is no driver either. */
static bool bind_network(const struct config_node *node, const struct profile_file *file, struct exos_profile *profile,
                         struct diagnostics *diagnostics) {
    profile->has_network = file->udp != NULL || file->lance != NULL || file->download != NULL;
    if (!profile->has_network) {
        return true;
    }
    if (file->udp == NULL || file->lance == NULL || file->download == NULL) {
        diagnostics_at(diagnostics, node, "a profile has udp, lance and download, or none of them; '%s' is missing",
                       file->udp == NULL     ? "udp"
                       : file->lance == NULL ? "lance"
                                             : "download");
        return false;
    }
    bool good = config_bind(file->udp, exos_udp_cost_params, &profile->udp, diagnostics);
    good = config_bind(file->lance, lance_driver_cost_params, &profile->network.lance, diagnostics) && good;
    return config_bind(file->download, download_cost_params, &profile->network.download, diagnostics) && good;
}

static bool bind_profile(const struct config_node *node, struct exos_profile *profile,
                         struct diagnostics *diagnostics) {
    struct profile_file file = {0};
    if (!config_bind(node, profile_params, &file, diagnostics)) {
        return false;
    }
    bool good = config_bind(file.aegis, aegis_cost_params, &profile->aegis, diagnostics);
    good = config_bind(file.exos, exos_cost_params, &profile->exos, diagnostics) && good;
    good = config_bind(file.vm, exos_vm_cost_params, &profile->vm, diagnostics) && good;
    good = config_bind(file.ipc, exos_ipc_cost_params, &profile->ipc, diagnostics) && good;
    return bind_network(node, &file, profile, diagnostics) && good;
}

static bool bind_entry(const struct config_node *node, struct exos_system *system, struct diagnostics *diagnostics) {
    enum { ENTRY_ROWS = 2, ROWS_MAX = 32 };
    struct param rows[ROWS_MAX] = {
        {.key = "type", .type = PARAM_TEXT, .offset = offsetof(struct entry_file, type), .default_text = "aegis"},
        {.key = "profile", .type = PARAM_NODE, .offset = offsetof(struct entry_file, profile)}};
    for (size_t i = 0; aegis_params[i].key != NULL; i++) {
        SIM_ASSERT(ENTRY_ROWS + i + 1 < ROWS_MAX);
        rows[ENTRY_ROWS + i] = aegis_params[i];
        rows[ENTRY_ROWS + i].offset += offsetof(struct entry_file, config);
    }
    struct entry_file entry = {0};
    if (!config_bind(node, rows, &entry, diagnostics)) {
        return false;
    }
    system->config = entry.config;
    return bind_profile(entry.profile, &system->profile, diagnostics);
}

static struct operations *create(struct machine *machine, const struct config_node *node,
                                 struct diagnostics *diagnostics) {
    struct exos_system *system = calloc(1, sizeof *system);
    SIM_ASSERT(system != NULL);
    system->base = (struct operations){&aegis_operations_ops, machine};
    struct error error = {0};
    if (bind_entry(node, system, diagnostics) && machine != NULL) {
        if (system->profile.vm.page_table == EXOS_TABLE_HARDWARE && machine->x86 == NULL) {
            (void)error_set(&error, ERR_UNSUPPORTED, "page_table: hardware: its cores are no 'x86'");
        } else {
            system->aegis = aegis_create(machine, &system->config, &system->profile.aegis, &error);
        }
        if (system->aegis == NULL) {
            diagnostics_at(diagnostics, node, "%s", error.text);
        }
    }
    if (system->aegis == NULL) {
        free(system);
        return NULL;
    }
    return &system->base;
}

static void destroy(struct operations *base) {
    struct exos_system *system = (struct exos_system *)base;
    aegis_free(system->aegis);
    exos_vm_free(&system->vm);
    exos_paging_free(&system->paging);
    collector_free(&system->collector);
    free(system->permutation);
    random_stream_free(system->order);
    free(system);
}

/* ---- the program that is measured ---- */

static void work_for(struct operations *base, struct request *request) {
    struct aegis_environment *environment = ((struct exos_system *)base)->measured;
    environment->request = request;
    (void)aegis_user_work(environment, system_components.app);
}

static void loop_step(struct operations *base) {
    struct exos_system *system = (struct exos_system *)base;
    system->profile.exos.loop.uses++;
    aegis_user_execute(system->measured, system->profile.exos.loop.cycles);
}

static void measured_main(struct aegis_environment *environment) {
    struct exos_system *system = environment->state;
    const struct operations_loop loop = {&system->base, environment->main, work_for, loop_step};
    struct error error = {0};
    if (exos_start(environment, &system->profile.vm, &error) != OK ||
        operations_prepare(&system->base, &system->plan, &error) != OK) {
        system->meter.failed(system->meter.context, &error);
        return;
    }
    if (system->plan.answers) {
        exos_answer_udp(system);
        return;
    }
    operations_repeat(&loop, &system->plan, &system->meter);
}

static enum aegis_resume measured_exception(struct aegis_environment *environment,
                                            const struct aegis_exception *exception) {
    struct exos_system *system = environment->state;
    enum aegis_resume resume = AEGIS_SKIP;
    const bool past_library = system->own_handler && exception->code == AEGIS_CAUSE_PROTECTION;
    if (!past_library && exos_vm_fault(&system->vm, exception, &resume)) {
        return resume;
    }
    if (exos_peers_fault(system, exception)) {
        return AEGIS_RETRY;
    }
    return exos_skip(environment, &system->profile.exos);
}

static void measured_notice(struct aegis_environment *environment, enum aegis_notice notice) {
    struct exos_system *system = environment->state;
    if (notice == AEGIS_SLICE_END) {
        exos_slice_end(environment, &system->profile.exos);
    } else if (notice == AEGIS_REVOKE) {
        exos_give_back(environment, &system->profile.exos);
    }
}

static const struct aegis_program measured_program = {
    .name = "measured", .main = measured_main, .exception = measured_exception, .notice = measured_notice};

enum error_code exos_make_measured(struct exos_system *system, struct error *error) {
    struct exo_limits limits = exo_limits_default();
    system->measured = aegis_environment_create(system->aegis, "measured", &limits, &measured_program, system, error);
    return system->measured != NULL ? OK : error->code;
}

enum error_code exos_make_programs(struct exos_system *system, const struct aegis_program *const *programs,
                                   size_t count, struct error *error) {
    enum error_code code = OK;
    for (size_t i = 0; i < count && code == OK; i++) {
        const struct exo_limits limits = exo_limits_default();
        struct exo_handle slice;
        struct aegis_environment *environment =
            aegis_environment_create(system->aegis, programs[i]->name, &limits, programs[i], system, error);
        code = environment != NULL ? aegis_slice_allocate(environment, AEGIS_ANY_POSITION, &slice, error) : error->code;
    }
    return code;
}

static enum error_code begin(struct operations *base, const struct operations_plan *plan,
                             const struct operations_meter *meter, struct error *error) {
    struct exos_system *system = (struct exos_system *)base;
    struct exo_limits limits = exo_limits_default();
    struct exo_handle slice;
    system->plan = *plan;
    system->meter = *meter;
    (void)exos_make_measured(system, error);
    system->partner = aegis_environment_create(system->aegis, "partner", &limits, &exos_partner_program, system, error);
    if (system->measured == NULL || system->partner == NULL) {
        return error->code;
    }
    system->vm.environment = system->measured;
    system->vm.costs = &system->profile.vm;
    enum error_code code = exos_make_peers(system, error);
    if (code == OK && exos_is_planned(system, exos_run_need_frame, exos_run_need_frame_of_deaf)) {
        code = exos_make_hoarder(system, error);
    }
    if (code == OK && exos_is_planned(system, exos_run_compute_beside_overrunner, NULL)) {
        code = exos_make_overrunner(system, error);
    }
    if (code == OK && exos_is_planned(system, exos_run_compute_library_fault, exos_run_compute_kernel_fault)) {
        code = exos_make_mortals(system, exos_is_planned(system, exos_run_compute_library_fault, NULL), error);
    }
    if (code == OK) {
        code = exos_is_planned(system, exos_run_compute, NULL)
                   ? exos_make_scheduler(system, error)
                   : aegis_slice_allocate(system->measured, AEGIS_ANY_POSITION, &slice, error);
    }
    if (code == OK) {
        code = exos_make_network(system, error);
    }
    if (code == OK) {
        aegis_start(system->aegis);
    }
    return code;
}

/* ---- the rest of the interface ---- */

static void declare_components(void) {
    system_declare_components();
    exo_declare_components();
    aegis_declare_components();
}

static void visit_stats(const struct operations *base, const struct stats_sink *sink) {
    const struct exos_system *system = (const struct exos_system *)base;
    aegis_visit_stats(system->aegis, sink);
    stats_counter(sink, "exos.vm", "traps", system->vm.traps);
    stats_counter(sink, "exos.vm", "misses", system->vm.misses);
    stats_counter(sink, "exos.vm", "dirtied", system->vm.dirtied);
    stats_counter(sink, "exos.vm", "hash_probes", system->vm.probes);
    stats_counter(sink, "exos.vm", "pages_in", system->paging.in);
    stats_counter(sink, "exos.vm", "pages_out", system->paging.out);
    stats_counter(sink, "paging", "pages_in", system->paging.in); /* named alike on every system */
    stats_counter(sink, "paging", "pages_out", system->paging.out);
    stats_counter(sink, "exos.udp", "refused", system->udp.refused);
    progress_visit_stats(&system->progress, sink);
}

static void reset_stats(struct operations *base) {
    struct exos_system *system = (struct exos_system *)base;
    aegis_reset_stats(system->aegis);
    system->vm.traps = system->vm.misses = system->vm.dirtied = system->vm.probes = 0;
    system->paging.in = system->paging.out = 0;
}

static void visit_costs(const struct operations *base,
                        void (*visit)(void *context, const char *key, const struct cost *cost), void *context) {
    const struct exos_system *system = (const struct exos_system *)base;
    param_visit_costs(aegis_cost_params, &system->profile.aegis, "aegis", visit, context);
    param_visit_costs(exos_cost_params, &system->profile.exos, "exos", visit, context);
    param_visit_costs(exos_vm_cost_params, &system->profile.vm, "vm", visit, context);
    param_visit_costs(exos_ipc_cost_params, &system->profile.ipc, "ipc", visit, context);
    if (system->aegis->network != NULL) {
        param_visit_costs(exos_udp_cost_params, &system->profile.udp, "udp", visit, context);
        param_visit_costs(lance_driver_cost_params, &system->profile.network.lance, "lance", visit, context);
    }
}

const struct operations_ops aegis_operations_ops = {
    .type_name = "aegis",
    .help = "the exokernel of SOSP'95, with a library OS",
    .profile_params = profile_params,
    .params = aegis_params,
    .operations = exos_operations,
    .over_wire = exos_run_udp,
    .adapter = "nic/lance",
    .declare_components = declare_components,
    .create = create,
    .destroy = destroy,
    .begin = begin,
    .visit_stats = visit_stats,
    .reset_stats = reset_stats,
    .visit_costs = visit_costs,
};
