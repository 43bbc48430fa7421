/* script.h: workload scripts: what an application does, in YAML, compiled once.
 *
 *   help: what the script stands for
 *   parameters: {processing: {type: time, default: 0 us, help: ...}, ...}
 *   server: {threads: 1, setup: [operations], loop: [operations]}
 *   client: {arrivals: {process: closed, outstanding: 1}, payload: 64 B, ...}
 *
 * An operation is a mapping of one key, its name, to its parameters; the table of
 * operations is in op.h. `${name}` anywhere below server and client stands for a
 * parameter's text. Compiling resolves every name, so that a run looks none up. All
 * errors of a script are reported in one go, each with its place. */
#ifndef STILLSUIT_WORKLOADS_SCRIPT_H
#define STILLSUIT_WORKLOADS_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/config.h"
#include "workloads/client.h"

struct script;

/* `workload:` of an experiment: {script: path, parameters: {...}, client: {...}}. */
extern const struct param workload_params[];
/* A parameter's declaration, and `server:`. For `describe`. */
extern const struct param script_parameter_params[];
extern const struct param script_server_params[];

/* Loads what an experiment's `workload:` names. The path is relative to the file in
 * which it is written. NULL if anything was reported as an error; the caller frees
 * it. Nothing of `workload` is needed afterwards. */
struct script *script_load_workload(const struct config_node *workload, struct diagnostics *diagnostics);

/* The same from a path, or from a text whose name stands for the file. `parameters`
 * and `client` are the experiment's mappings of that name, or NULL. A parameter
 * given there wins over its default. `client` is merged over the script's: its keys
 * win, and mappings merge in turn, but for one that names another `process` (or is a
 * value with its provenance), which replaces. */
struct script *script_load(const char *path, const struct config_node *parameters, const struct config_node *client,
                           struct diagnostics *diagnostics);
struct script *script_parse(const char *name, const char *text, const struct config_node *parameters,
                            const struct config_node *client, struct diagnostics *diagnostics);
void script_free(struct script *script);

/* One sentence; "" if the script has none. Owned by the script, as all below. */
const char *script_help(const struct script *script);
/* Its parameters as a table that ends with {0}, for `describe`. */
const struct param *script_params(const struct script *script);
/* The text that parameter `name` has in this script; NULL if there is no such one. */
const char *script_parameter_text(const struct script *script, const char *name);
/* Whether its server uses an operation of that name. */
bool script_uses(const struct script *script, const char *operation);
unsigned script_threads(const struct script *script);
/* The port of the first socket that the script opens (0: none), and how many ports
 * it stretches over: one a thread if it is opened per thread. Clients send there. */
uint16_t script_server_port(const struct script *script);
unsigned script_server_ports(const struct script *script);
/* The names that its operations `measure` as, in order of appearance; NULL past the end. */
const char *script_span(const struct script *script, size_t index);
const struct client_config *script_client(const struct script *script);
/* The script with every parameter in its place and the client section merged. */
const struct config_node *script_resolved(const struct script *script);

#endif
