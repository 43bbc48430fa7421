/* describe.c: `describe`: the parameter tables, as the program itself reads them. */
#include <string.h>

#include "cli/cli.h"
#include "experiment/drive_load.h"
#include "experiment/operation_types.h"
#include "experiment/plan.h"
#include "experiment/plot.h"
#include "experiment/point_kinds.h"
#include "experiment/system_types.h"
#include "hw/device.h"
#include "hw/machine.h"
#include "hw/media/media.h"
#include "hw/wire.h"
#include "kernel_model/exo/aegis.h"
#include "kernel_model/exo/exokernel.h"
#include "kernel_model/linux/linux_system.h"
#include "kernel_model/ultrix/ultrix.h"
#include "libos_model/exos/exos.h"
#include "libos_model/libos_profile.h"
#include "stack/fs/fs.h"
#include "stack/tcp.h"
#include "stack/tcp_stack.h"
#include "stack/udp_stack.h"
#include "workloads/op.h"
#include "workloads/script.h"

enum { TOPICS_MAX = 512 };

/* Something with a table of keys. */
struct topic {
    const char *group, *name, *help;
    const struct param *params;
    const struct param *profile; /* a system's profile; NULL: none */
};
struct topics {
    struct topic items[TOPICS_MAX];
    size_t count;
};

static void add(struct topics *topics, const struct topic *topic) {
    SIM_ASSERT(topics->count < TOPICS_MAX);
    topics->items[topics->count++] = *topic;
}

static void add_tables(struct topics *topics) {
    const struct topic tables[] = {
        {"of an experiment", "run", "how long, and with which seed", plan_run_params, NULL},
        {"of an experiment", "systems", "what any system's entry may say instead of the experiment",
         plan_override_params, NULL},
        {"of an experiment", "workload", "which script, with which parameters", workload_params, NULL},
        {"of an experiment", "plot", "one entry of the list 'plot'", plot_params, NULL},
        {"of an experiment", "drive", "what is asked of a drive alone", drive_load_params, NULL},
        {"of an experiment", "link", "a network link", link_params, NULL},
        {"of an experiment", "switch", "a network switch", switch_params, NULL},
        {"of an experiment", "kernel", "what an experiment of kind kernel repeats", point_kernel_params, NULL},
        {"of a script", "client", "the load generators", client_params, NULL},
        {"of a script", "client/arrivals", "when requests begin", client_arrivals_params, NULL},
        {"of a script", "client/tcp", "how the load generators' TCP behaves", tcp_config_params, NULL},
        {"of a script", "server", "what the server's threads do", script_server_params, NULL},
        {"of a script", "parameters", "the declaration of one parameter", script_parameter_params, NULL},
        {"of a profile", "stack", "costs of IP and UDP, wherever they are placed", udp_stack_params, NULL},
        {"of a system", "storage", "Linux's block device and file system", linux_storage_params, NULL},
        {"of a profile", "storage/profile", "costs of Linux's storage stack", linux_storage_profile_params, NULL},
        {"of a profile", "filesystem", "costs of a file system, one section each", fs_cost_params, NULL},
        {"of a profile", "stack/tcp", "costs of TCP, wherever it is placed", tcp_stack_params, NULL},
        {"of a profile", "exokernel", "costs of the exokernel's calls", exo_cost_params, NULL},
        {"of a profile", "aegis_costs", "instructions of Aegis' steps", aegis_cost_params, NULL},
        {"of a profile", "exos_costs", "instructions of its library OS", exos_cost_params, NULL},
        {"of a profile", "exos_vm", "... of that one's virtual memory", exos_vm_cost_params, NULL},
        {"of a profile", "exos_ipc", "... of its communication", exos_ipc_cost_params, NULL},
        {"of a profile", "ultrix_costs", "instructions of Ultrix' steps", ultrix_cost_params, NULL},
        {"of a profile", "storage", "costs of a library OS's storage", libos_storage_cost_params, NULL},
        {"of a system", "libos/storage", "what a library OS has of a drive", libos_storage_params, NULL},
        {"of a system", "libos/storage/processes", "one process' share of the drive", libos_share_params, NULL},
    };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; ++i) {
        add(topics, &tables[i]);
    }
}

static void collect(struct topics *topics) {
    struct topic topic = {.group = "of a machine"};
    for (size_t i = 0; (topic.params = machine_part_at(i, &topic.name, &topic.help)) != NULL; ++i) {
        add(topics, &topic);
    }
    const struct device_ops *device;
    for (size_t i = 0; (device = device_type_at(i)) != NULL; ++i) {
        add(topics, &(struct topic){"devices", device->type_name, device->help, device->params, NULL});
    }
    const struct media_ops *medium;
    for (size_t i = 0; (medium = media_type_at(i)) != NULL; ++i) {
        add(topics, &(struct topic){"media of a drive", medium->type_name, medium->help, medium->params, NULL});
    }
    const struct system_ops *system;
    for (size_t i = 0; (system = system_type_at(i)) != NULL; ++i) {
        add(topics,
            &(struct topic){"systems", system->type_name, system->help, system->params, system->profile_params});
    }
    const struct operations_ops *kernel;
    for (size_t i = 0; (kernel = operation_type_at(i)) != NULL; ++i) {
        add(topics,
            &(struct topic){"systems", kernel->type_name, kernel->help, kernel->params, kernel->profile_params});
    }
    add_tables(topics);
    for (size_t i = 0; (kernel = operation_type_at(i)) != NULL; ++i) {
        for (const struct operation *at = kernel->operations; at->name != NULL; ++at) {
            add(topics, &(struct topic){"operations of a kernel", at->name, at->help, NULL, NULL});
        }
    }
    const struct op_type *op;
    for (size_t i = 0; (op = op_type_at(i)) != NULL; ++i) {
        add(topics, &(struct topic){"operations of a script", op->name, op->help, op->params, NULL});
    }
}

static void print_names(const struct topics *topics) {
    const char *group = "";
    for (size_t i = 0; i < topics->count; ++i) {
        const struct topic *topic = &topics->items[i];
        if (strcmp(topic->group, group) != 0) {
            group = topic->group;
            (void)printf("%s\n", group);
        }
        (void)printf("  %-18s %s\n", topic->name, topic->help);
    }
}

static void print_topic(const struct topic *topic) {
    (void)printf("%s: %s\n\n", topic->name, topic->help);
    if (topic->params == NULL || topic->params[0].key == NULL) {
        (void)puts("It has no keys.");
    } else {
        param_describe(topic->params, stdout);
    }
    if (topic->profile != NULL) {
        (void)puts("\nIts profile:\n");
        param_describe(topic->profile, stdout);
    }
}

int cli_describe(const struct cli_arguments *arguments) {
    static struct topics topics;
    if (!cli_load_types(arguments)) {
        return CLI_USAGE;
    }
    topics.count = 0;
    collect(&topics);
    if (arguments->word_count == 0) {
        print_names(&topics);
        return CLI_OK;
    }
    const char *names[TOPICS_MAX + 1];
    bool found = false;
    for (size_t i = 0; i < topics.count; ++i) {
        names[i] = topics.items[i].name;
        if (strcmp(names[i], arguments->words[0]) == 0) {
            (void)fputs(found ? "\n" : "", stdout); /* a device and an operation may share a name */
            print_topic(&topics.items[i]);
            found = true;
        }
    }
    names[topics.count] = NULL;
    if (found) {
        return CLI_OK;
    }
    char suggestion[CLI_PATH_BYTES];
    cli_suggest(arguments->words[0], names, suggestion, sizeof suggestion);
    return cli_usage_error("there is nothing called '%s'%s (see: stillsuit describe)", arguments->words[0], suggestion);
}
