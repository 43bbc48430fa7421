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

static const char *const transports[] = {[CLIENT_UDP] = "udp", [CLIENT_TCP] = "tcp", NULL};

#define CLIENT(field) offsetof(struct client_config, field)
const struct param client_params[] = {
    {"arrivals", PARAM_NODE, CLIENT(arrivals_node), "", NULL, NULL, NULL, "when requests begin (client/arrivals)"},
    {"payload", PARAM_BYTES, CLIENT(payload_bytes), "64 B", "8 B", "1 MiB", NULL,
     "of a request: 8 B to 1472 B over UDP, 12 B to 1 MiB over TCP"},
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
    {"transport", PARAM_CHOICE, CLIENT(transport), "udp", NULL, NULL, transports, "what carries requests"},
    {"connections", PARAM_INTEGER, CLIENT(connections), "1", "1", "16384", NULL,
     "tcp: of a host; each has one request under way"},
    {"reply", PARAM_BYTES, CLIENT(reply_bytes), "0 B", NULL, "1 MiB", NULL,
     "tcp: payload of a reply; 0 B: as long as the request, which comes back"},
    {"tcp", PARAM_NODE, CLIENT(tcp_node), "", NULL, NULL, NULL, "tcp: how the hosts' TCP behaves"},
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

/* Reports a key that is there without an effect. */
static bool refuse_key(const struct config_node *node, const char *key, const char *transport,
                       struct diagnostics *diagnostics) {
    const struct config_node *value = config_get(node, key);
    if (value != NULL) {
        diagnostics_at(diagnostics, value, "client.%s: has no effect where the transport is %s", key, transport);
    }
    return value == NULL;
}

static bool check_payload(const struct config_node *node, const struct client_config *config, const char *key,
                          uint64_t bytes, uint64_t low, uint64_t high, struct diagnostics *diagnostics) {
    if (bytes >= low && bytes <= high) {
        return true;
    }
    const struct config_node *value = config_get(node, key);
    diagnostics_at(diagnostics, value != NULL ? value : node,
                   "client.%s: %llu bytes are outside %llu B..%llu B, which is what %s takes", key,
                   (unsigned long long)bytes, (unsigned long long)low, (unsigned long long)high,
                   transports[config->transport]);
    return false;
}

static bool check_udp(const struct config_node *node, const struct client_config *config,
                      struct diagnostics *diagnostics) {
    bool good = check_payload(node, config, "payload", config->payload_bytes, CLIENT_PAYLOAD_MIN, CLIENT_PAYLOAD_MAX,
                              diagnostics);
    static const char *const others[] = {"connections", "reply", "tcp", NULL};
    for (const char *const *key = others; *key != NULL; ++key) {
        good = refuse_key(node, *key, "udp", diagnostics) && good;
    }
    return good;
}

static bool check_tcp(const struct config_node *node, struct client_config *config, struct diagnostics *diagnostics) {
    enum { MESSAGE_MAX = 1 << 20 };
    bool good =
        check_payload(node, config, "payload", config->payload_bytes, CLIENT_TCP_PAYLOAD_MIN, MESSAGE_MAX, diagnostics);
    if (config->reply_bytes != 0) {
        good = check_payload(node, config, "reply", config->reply_bytes, CLIENT_TCP_PAYLOAD_MIN, MESSAGE_MAX,
                             diagnostics) &&
               good;
    }
    good = refuse_key(node, "flows", "tcp", diagnostics) && good;
    if (config->timeout != 0) {
        good = refuse_key(node, "timeout", "tcp", diagnostics) && good;
    }
    if (config->source_port + config->connections - 1 > 65535) {
        const struct config_node *at = config_get(node, "connections");
        diagnostics_at(diagnostics, at != NULL ? at : node,
                       "client.connections: %llu ports from %llu on go beyond 65535",
                       (unsigned long long)config->connections, (unsigned long long)config->source_port);
        good = false;
    }
    if (config->arrivals.process == CLIENT_CLOSED) {
        const struct config_node *outstanding = config_get(config->arrivals_node, "outstanding");
        if (outstanding != NULL && config->arrivals.outstanding != 1) {
            diagnostics_at(diagnostics, outstanding,
                           "client.arrivals.outstanding: each TCP connection has one request under way; "
                           "set 'connections' instead");
            good = false;
        }
        config->arrivals.outstanding = config->connections;
    }
    return good;
}

static bool check_transport(const struct config_node *node, struct client_config *config,
                            struct diagnostics *diagnostics) {
    const bool tcp = config_bind(config->tcp_node, tcp_config_params, &config->tcp, diagnostics);
    const bool rest =
        config->transport == CLIENT_TCP ? check_tcp(node, config, diagnostics) : check_udp(node, config, diagnostics);
    return tcp && rest;
}

bool client_config_bind(const struct config_node *node, struct client_config *config, struct diagnostics *diagnostics) {
    *config = (struct client_config){0};
    const bool bound = config_bind(node, client_params, config, diagnostics);
    const bool arrivals = bind_arrivals(config, diagnostics);
    const bool transport = check_transport(node, config, diagnostics);
    return bound && arrivals && transport && check_numbers(node, config, diagnostics);
}
