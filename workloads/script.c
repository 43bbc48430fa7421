/* script.c: a script from its file to a compiled program. */
#include "workloads/script.h"
#include "workloads/block_trace.h"

#include <stdlib.h>
#include <string.h>

#include "workloads/script_internal.h"

struct workload {
    const char *script;
    const struct config_node *parameters, *client;
};

const struct param workload_params[] = {{"script", PARAM_TEXT, offsetof(struct workload, script), NULL, NULL, NULL,
                                         NULL, "path of the script, relative to the file that names it"},
                                        {"parameters", PARAM_NODE, offsetof(struct workload, parameters), "", NULL,
                                         NULL, NULL, "values of the parameters that the script declares"},
                                        {"client", PARAM_NODE, offsetof(struct workload, client), "", NULL, NULL, NULL,
                                         "keys over those of the script's client section"},
                                        {0}};

/* The parts of a script's file. */
struct parts {
    const char *help;
    const struct config_node *parameters, *server, *client;
};

static const struct param parts_params[] = {
    {"help", PARAM_TEXT, offsetof(struct parts, help), "", NULL, NULL, NULL, "what the script stands for"},
    {"parameters", PARAM_NODE, offsetof(struct parts, parameters), "", NULL, NULL, NULL, "its parameters"},
    {"server", PARAM_NODE, offsetof(struct parts, server), NULL, NULL, NULL, NULL, "what the server's threads do"},
    {"client", PARAM_NODE, offsetof(struct parts, client), "", NULL, NULL, NULL, "what the clients ask for"},
    {0}};

static void append(struct config_node *root, const char *key, struct config_node *child) {
    if (child == NULL) {
        return;
    }
    root->keys[root->count] = key;
    root->key_nodes[root->count] = child;
    root->children[root->count++] = child;
    child->parent = root;
}

static void warn_unused(const struct script *script, struct diagnostics *diagnostics) {
    for (size_t i = 0; i < script->parameters.count; ++i) {
        const struct script_parameter *parameter = &script->parameters.items[i];
        if (!parameter->used) {
            diagnostics_warn(diagnostics, parameter->node, "parameter '%s' is not used in the script", parameter->name);
        }
    }
}

/* A server or client that is there, but refers to what is wrong, is not missing. */
static void compile(struct script *script, const struct config_node *root, const struct config_node *parameters,
                    const struct config_node *client, struct diagnostics *diagnostics) {
    struct parts parts = {0};
    (void)config_bind(root, parts_params, &parts, diagnostics);
    script->help = arena_copy_text(&script->arena.memory, parts.help, strlen(parts.help));
    script_parameters_read(&script->arena, &script->parameters, parts.parameters, parameters, diagnostics);
    struct config_node *resolved = script_new_node(&script->arena, root, CONFIG_MAPPING, 2);
    struct config_node *server = script_tree_copy(&script->arena, parts.server, &script->parameters, diagnostics);
    struct config_node *base = script_tree_copy(&script->arena, parts.client, &script->parameters, diagnostics);
    struct config_node *over = script_tree_copy(&script->arena, client, &script->parameters, diagnostics);
    append(resolved, "server", server);
    append(resolved, "client", script_tree_merge(&script->arena, base, over));
    script->resolved = resolved;
    if (server != NULL) {
        script_compile_server(script, server, diagnostics);
    }
    (void)client_config_bind(config_get(resolved, "client"), &script->client, diagnostics);
    warn_unused(script, diagnostics);
}

/* Takes over `config`. */
static struct script *finish(struct config *config, const struct config_node *parameters,
                             const struct config_node *client, size_t errors_before, struct diagnostics *diagnostics) {
    if (config == NULL) {
        return NULL;
    }
    struct script *script = calloc(1, sizeof *script);
    SIM_ASSERT_MSG(script != NULL, "out of memory");
    compile(script, config_root(config), parameters, client, diagnostics);
    config_free(config);
    if (diagnostics->errors != errors_before) {
        script_free(script);
        return NULL;
    }
    return script;
}

struct script *script_load(const char *path, const struct config_node *parameters, const struct config_node *client,
                           struct diagnostics *diagnostics) {
    const size_t errors = diagnostics->errors;
    return finish(config_load(path, diagnostics), parameters, client, errors, diagnostics);
}

struct script *script_parse(const char *name, const char *text, const struct config_node *parameters,
                            const struct config_node *client, struct diagnostics *diagnostics) {
    const size_t errors = diagnostics->errors;
    return finish(config_parse(name, text, diagnostics), parameters, client, errors, diagnostics);
}

/* `path` beside `file`, as `include:` has it: relative to the file that says it. */
static char *beside(const char *file, const char *path) {
    const char *slash = file == NULL || path[0] == '/' ? NULL : strrchr(file, '/');
    const size_t folder = slash == NULL ? 0 : (size_t)(slash - file) + 1;
    char *joined = malloc(folder + strlen(path) + 1);
    SIM_ASSERT_MSG(joined != NULL, "out of memory");
    if (folder != 0) {
        memcpy(joined, file, folder);
    }
    memcpy(joined + folder, path, strlen(path) + 1);
    return joined;
}

struct script *script_load_workload(const struct config_node *workload, struct diagnostics *diagnostics) {
    struct workload bound = {0};
    const size_t errors = diagnostics->errors;
    const bool good = config_bind(workload, workload_params, &bound, diagnostics);
    const struct config_node *place = config_get(workload, "script");
    if (bound.script == NULL || config_text(place, "")[0] == '\0') {
        if (diagnostics->errors == errors && place != NULL) {
            diagnostics_at(diagnostics, place, "the path of a script is due");
        }
        return NULL;
    }
    char *path = beside(place->file, bound.script);
    FILE *file = fopen(path, "r");
    struct script *script = NULL;
    if (file == NULL) {
        diagnostics_at(diagnostics, place, "script '%s' cannot be opened", path);
    } else {
        (void)fclose(file);
        script = script_load(path, bound.parameters, bound.client, diagnostics);
    }
    free(path);
    if (!good) {
        script_free(script);
        return NULL;
    }
    return script;
}

void script_free(struct script *script) {
    if (script != NULL) {
        for (size_t i = 0; i < script->trace_count; ++i) {
            block_trace_free(script->traces[i]);
        }
        script_arena_free(&script->arena);
        free(script);
    }
}

const char *script_help(const struct script *script) {
    return script->help;
}

const struct param *script_params(const struct script *script) {
    return script->parameters.table;
}

const char *script_parameter_text(const struct script *script, const char *name) {
    const struct script_parameter *found = script_parameters_find(&script->parameters, name, strlen(name));
    return found == NULL ? NULL : found->text;
}

bool script_uses(const struct script *script, const char *operation) {
    size_t i = 0;
    while (op_type_at(i) != NULL && strcmp(op_type_at(i)->name, operation) != 0) {
        ++i;
    }
    return op_type_at(i) != NULL && (script->operations >> i & 1) != 0;
}

unsigned script_threads(const struct script *script) {
    return (unsigned)script->threads;
}

uint16_t script_server_port(const struct script *script) {
    return script->socket_count == 0 ? 0 : script->sockets[0].port;
}

const char *script_span(const struct script *script, size_t index) {
    return index < script->span_count ? script->spans[index] : NULL;
}

unsigned script_server_ports(const struct script *script) {
    return script->socket_count != 0 && script->sockets[0].per_thread ? script_threads(script) : 1;
}

const struct client_config *script_client(const struct script *script) {
    return &script->client;
}

const struct config_node *script_resolved(const struct script *script) {
    return script->resolved;
}
