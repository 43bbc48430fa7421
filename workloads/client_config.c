/* client_config.c: what a script or an experiment says of its clients. */
#include <string.h>

#include "stack/net_headers.h"
#include "workloads/client.h"

static const char *const processes[] = {
    [CLIENT_CLOSED] = "closed", [CLIENT_CONSTANT] = "constant", [CLIENT_POISSON] = "poisson", NULL};
static const char *const thinks[] = {
    [CLIENT_THINK_CONSTANT] = "constant", [CLIENT_THINK_EXPONENTIAL] = "exponential", NULL};

#define ARRIVALS(field) offsetof(struct client_arrivals, field)
const struct param client_arrivals_params[] = {
    {"process", PARAM_CHOICE, ARRIVALS(process), "closed", NULL, NULL, processes,
     "a reply brings the next request, or requests come of themselves: evenly, or at random"},
    {"outstanding", PARAM_INTEGER, ARRIVALS(outstanding), "1", "1", "65536", NULL,
     "closed: requests under way at once, a host"},
    {"rate", PARAM_RATE, ARRIVALS(rate), "1 /s", "0.001 /s", "1000 Mpps", NULL,
     "constant, poisson: requests of all hosts together"},
    {0}};

#define CLIENT(field) offsetof(struct client_config, field)
const struct param client_params[] = {
    {"arrivals", PARAM_NODE, CLIENT(arrivals_node), "", NULL, NULL, NULL, "when requests begin (client/arrivals)"},
    {"payload", PARAM_BYTES, CLIENT(payload_bytes), "64 B", "8 B", "1472 B", NULL, "UDP payload of a request"},
    {"hosts", PARAM_INTEGER, CLIENT(hosts), "1", "1", "4096", NULL, "client machines, each on a link of its own"},
    {"flows", PARAM_INTEGER, CLIENT(flows), "1", "1", "16384", NULL, "source ports a host uses in turn"},
    {"timeout", PARAM_TIME, CLIENT(timeout), "0 us", NULL, "1000 s", NULL,
     "after which a request is given up and its reply is late; 0 us: never"},
    {"think", PARAM_TIME, CLIENT(think), "0 us", NULL, "1000 s", NULL, "closed: from a reply to the next request"},
    {"think_distribution", PARAM_CHOICE, CLIENT(think_distribution), "constant", NULL, NULL, thinks,
     "of which think is the mean"},
    {"send_time", PARAM_TIME, CLIENT(send_time), "0 us", NULL, "1 s", NULL,
     "what the host's software takes to send a request"},
    {"receive_time", PARAM_TIME, CLIENT(receive_time), "0 us", NULL, "1 s", NULL,
     "what the host's software takes to receive a reply"},
    {"cores", PARAM_INTEGER, CLIENT(cores), "1", "1", "1024", NULL, "of a host, that share its sending and receiving"},
    {"send_queue", PARAM_INTEGER, CLIENT(send_queue), "1000", "1", "1000000", NULL,
     "constant, poisson: frames that wait for the host's link at most; more are dropped"},
    {"source_port", PARAM_INTEGER, CLIENT(source_port), "32768", "1", "65535", NULL, "of a host's first flow"},
    {"address", PARAM_TEXT, CLIENT(address), "10.0.128.1", NULL, NULL, NULL, "of the first host; the others follow"},
    {0}};

/* Reports a key that the process has no use for, or lacks. */
static bool check_key(const struct config_node *node, const char *key, bool due, bool required, const char *process,
                      struct diagnostics *diagnostics) {
    const struct config_node *value = config_get(node, key);
    if (value != NULL && !due) {
        diagnostics_at(diagnostics, value, "client.arrivals.%s: has no effect where the process is %s", key, process);
        return false;
    }
    if (value == NULL && required && !node->incomplete) {
        diagnostics_at(diagnostics, node, "client.arrivals: '%s' is required where the process is %s", key, process);
        return false;
    }
    return true;
}

static bool bind_arrivals(struct client_config *config, struct diagnostics *diagnostics) {
    const struct config_node *node = config->arrivals_node;
    bool good = config_bind(node, client_arrivals_params, &config->arrivals, diagnostics);
    const bool closed = config->arrivals.process == CLIENT_CLOSED;
    if (node != NULL && node->kind == CONFIG_MAPPING && good) {
        const char *process = processes[config->arrivals.process];
        good = check_key(node, "outstanding", closed, false, process, diagnostics);
        good = check_key(node, "rate", !closed, !closed, process, diagnostics) && good;
    }
    return good;
}

static bool check_numbers(const struct config_node *node, const struct client_config *config,
                          struct diagnostics *diagnostics) {
    uint32_t address;
    bool good = true;
    if (!net_ipv4_parse(config->address, &address)) {
        diagnostics_at(diagnostics, config_get(node, "address"),
                       "client.address: '%s' is not an address such as 10.0.0.1", config->address);
        good = false;
    }
    if (config->source_port + config->flows - 1 > 65535) {
        const struct config_node *flows = config_get(node, "flows");
        diagnostics_at(diagnostics, flows != NULL ? flows : config_get(node, "source_port"),
                       "client.flows: %llu ports from %llu on go beyond 65535", (unsigned long long)config->flows,
                       (unsigned long long)config->source_port);
        good = false;
    }
    const struct config_node *think = config_get(node, "think");
    if (think != NULL && config->arrivals.process != CLIENT_CLOSED && config->think != 0) {
        diagnostics_at(diagnostics, think, "client.think: has no effect where the process is %s",
                       processes[config->arrivals.process]);
        good = false;
    }
    return good;
}

bool client_config_bind(const struct config_node *node, struct client_config *config, struct diagnostics *diagnostics) {
    *config = (struct client_config){0};
    const bool bound = config_bind(node, client_params, config, diagnostics);
    const bool arrivals = bind_arrivals(config, diagnostics);
    return bound && arrivals && check_numbers(node, config, diagnostics);
}
