#include "experiment/also.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiment/watch.h"
#include "sim/engine.h"

enum { ALSO_MAX = 128, NAME_BYTES_MAX = 24 };

struct process {
    const char *name;
    const struct config_node *node;
    char client_name[NAME_BYTES_MAX + 8];
    struct script *script;
    struct interpreter *interpreter;
    struct client *client; /* NULL: nobody can send to it */
};

struct also {
    struct process processes[ALSO_MAX];
    size_t count;
    struct watch *watch;
    uint64_t granted; /* while warming up */
};

/* Results tell processes apart by name. */
static bool name_is_good(const char *name) {
    const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    return name[0] != '\0' && strspn(name, letters) == strlen(name) && strlen(name) < NAME_BYTES_MAX &&
           strcmp(name, "server") != 0 && strcmp(name, "client") != 0;
}

struct also *also_load(const struct config_node *node, struct diagnostics *diagnostics) {
    struct also *also = calloc(1, sizeof *also);
    SIM_ASSERT(also != NULL);
    if (node == NULL) {
        return also;
    }
    if (node->kind != CONFIG_MAPPING || node->count > ALSO_MAX) {
        diagnostics_at(diagnostics, node,
                       "also: expected a mapping of at most %d names to workloads, such as {intruder: {script: ...}}",
                       (int)ALSO_MAX);
        return also;
    }
    for (size_t i = 0; i < node->count; i++) {
        struct process *process = &also->processes[also->count++];
        process->name = node->keys[i];
        process->node = node->children[i];
        if (!name_is_good(process->name)) {
            diagnostics_at(diagnostics, node->key_nodes[i],
                           "also: '%s' is no name: letters, digits, '-', '_', fewer than %d of them, and neither "
                           "'server' nor 'client', which the first process has",
                           process->name, (int)NAME_BYTES_MAX);
        }
        (void)snprintf(process->client_name, sizeof process->client_name, "%.*s.client", (int)NAME_BYTES_MAX - 1,
                       process->name);
        process->script = script_load_workload(process->node, diagnostics);
    }
    return also;
}

void also_free(struct also *also) {
    if (also == NULL) {
        return;
    }
    for (size_t i = 0; i < also->count; i++) {
        interpreter_free(also->processes[i].interpreter);
        client_free(also->processes[i].client);
        script_free(also->processes[i].script);
    }
    watch_free(also->watch);
    free(also);
}

/* A script without a socket has no use for clients. */
static unsigned hosts_of(const struct process *process) {
    const bool reachable = process->script != NULL && script_server_port(process->script) != 0;
    return reachable ? (unsigned)script_client(process->script)->hosts : 0;
}

unsigned also_hosts(const struct also *also) {
    unsigned hosts = 0;
    for (size_t i = 0; i < also->count; i++) {
        hosts += hosts_of(&also->processes[i]);
    }
    return hosts;
}

/* ---- building ---- */

static bool make_client(struct process *process, unsigned first_host, struct network *network, struct error *error) {
    if (hosts_of(process) == 0) {
        return true;
    }
    const struct client_setup setup = {.name = process->client_name,
                                       .config = script_client(process->script),
                                       .server = interpreter_thread(process->interpreter, 0)->process->address,
                                       .server_port = script_server_port(process->script),
                                       .server_ports = script_server_ports(process->script),
                                       .first_host = first_host};
    process->client = client_create(&setup, error);
    if (process->client == NULL) {
        return false;
    }
    network_connect(network, process->client);
    return true;
}

/* A misbehaving process needs somebody to misbehave towards, whom somebody watches. */
static bool set_watch(struct also *also, const struct also_first *first, struct error *error) {
    bool needed = false;
    for (size_t i = 0; i < also->count; i++) {
        needed = needed || script_uses(also->processes[i].script, "misbehave");
    }
    if (!needed) {
        return true;
    }
    also->watch = watch_create(first->interpreter, script_server_port(first->script),
                               script_server_ports(first->script), first->client, error);
    for (size_t i = 0; also->watch != NULL && i < also->count; i++) {
        if (also->processes[i].client != NULL) {
            client_on_frame(also->processes[i].client, watch_frame, also->watch);
        }
    }
    return also->watch != NULL;
}

bool also_check_offline(const struct also *also, struct diagnostics *diagnostics) {
    bool good = true;
    for (size_t i = 0; i < also->count; i++) {
        const struct process *process = &also->processes[i];
        if (hosts_of(process) > 0) {
            diagnostics_at(diagnostics, process->node,
                           "also.%s: the script opens a socket, and an experiment of kind storage has no network",
                           process->name);
            good = false;
        }
        if (process->script != NULL && script_uses(process->script, "misbehave")) {
            diagnostics_at(diagnostics, process->node, "also.%s: 'misbehave' needs a network", process->name);
            good = false;
        }
    }
    return good;
}

bool also_check_shares(const struct also *also, const struct config_node *system, struct diagnostics *diagnostics) {
    const char *names[ALSO_MAX + 2] = {"server"};
    const struct config_node *shares = config_path(system, "storage.processes");
    bool good = true;
    for (size_t i = 0; i < also->count; i++) {
        names[i + 1] = also->processes[i].name;
    }
    for (size_t i = 0; shares != NULL && shares->kind == CONFIG_MAPPING && i < shares->count; i++) {
        size_t at = 0;
        while (names[at] != NULL && strcmp(names[at], shares->keys[i]) != 0) {
            at++;
        }
        if (names[at] == NULL) {
            const char *nearest = config_nearest(shares->keys[i], names);
            diagnostics_at(diagnostics, shares->key_nodes[i],
                           "storage.processes: there is no process '%s': 'server' is that of 'workload', others are "
                           "those of 'also'%s%s%s",
                           shares->keys[i], nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
                           nearest != NULL ? "'?" : "");
            good = false;
        }
    }
    return good;
}

bool also_build(struct also *also, const struct also_first *first, struct network *network,
                struct diagnostics *diagnostics) {
    if (script_uses(first->script, "misbehave")) {
        diagnostics_at(diagnostics, first->node,
                       "workload: 'misbehave' is for processes of 'also': this one is who "
                       "they misbehave towards");
        return false;
    }
    unsigned core = script_threads(first->script);
    unsigned host = first->client != NULL ? client_hosts(first->client) : 0;
    for (size_t i = 0; i < also->count; i++) {
        struct process *process = &also->processes[i];
        struct error error = {0};
        process->interpreter = interpreter_create(process->script, first->system, process->name, core, &error);
        if (process->interpreter == NULL || !make_client(process, host, network, &error)) {
            diagnostics_at(diagnostics, process->node, "also.%s: %s", process->name, error.text);
            return false;
        }
        core += script_threads(process->script);
        host += hosts_of(process);
    }
    struct error error = {0};
    if (!set_watch(also, first, &error)) {
        diagnostics_at(diagnostics, also->processes[0].node, "also: %s", error.text);
        return false;
    }
    return true;
}

/* ---- the run ---- */

static void connected(void *context) {
    client_start(context, sim_now());
}

static void ready(void *context) {
    const struct process *process = context;
    if (process->client != NULL) {
        client_connect(process->client, connected, process->client);
    }
}

void also_prepare(struct also *also, void (*failed)(void *context), void *context) {
    for (size_t i = 0; i < also->count; i++) {
        interpreter_on_ready(also->processes[i].interpreter, ready, &also->processes[i]);
        interpreter_on_failure(also->processes[i].interpreter, failed, context);
    }
}

bool also_failed(const struct also *also, struct error *error) {
    for (size_t i = 0; i < also->count; i++) {
        if (interpreter_failed(also->processes[i].interpreter, error)) {
            return true;
        }
    }
    return false;
}

void also_reset_stats(struct also *also) {
    for (size_t i = 0; i < also->count; i++) {
        also->granted += interpreter_count(also->processes[i].interpreter, WORKLOAD_MISBEHAVIOURS_GRANTED);
        interpreter_reset_stats(also->processes[i].interpreter);
        if (also->processes[i].client != NULL) {
            client_begin_measure(also->processes[i].client);
        }
    }
}

void also_visit_stats(const struct also *also, const struct stats_sink *sink) {
    uint64_t granted = also->granted;
    for (size_t i = 0; i < also->count; i++) {
        const struct process *process = &also->processes[i];
        interpreter_visit_stats(process->interpreter, sink);
        if (process->client != NULL) {
            client_visit_stats(process->client, sink);
        }
        granted += interpreter_count(process->interpreter, WORKLOAD_MISBEHAVIOURS_GRANTED);
    }
    if (also->watch != NULL) {
        watch_visit_stats(also->watch, granted, sink);
    }
}
