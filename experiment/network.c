#include "experiment/network.h"

#include <stdlib.h>
#include <string.h>

enum { NETWORK_LINKS_MAX = 257 };

struct network {
    struct ethernet_switch *ethernet_switch;
    struct link_config link;
    struct link *links[NETWORK_LINKS_MAX];
    unsigned link_count;
    unsigned hosts; /* connected to the switch */
};

static const char *const network_keys[] = {"link", "switch", "device", "port", NULL};

/* `at` is where an absent setting is missed. */
static struct port *device_port(const struct config_node *node, const struct config_node *at,
                                const struct machine *machine, struct diagnostics *diagnostics) {
    const struct config_node *name_node = config_get(node, "device");
    const char *name = config_text(name_node, "nic");
    struct device *device = machine_device(machine, name);
    at = name_node != NULL ? name_node : at;
    if (device == NULL || device->ops->network_port == NULL) {
        diagnostics_at(diagnostics, at, "network.device: the machine has no network device '%s'", name);
        return NULL;
    }
    uint64_t index = 0;
    const struct config_node *port_node = config_get(node, "port");
    char why[128];
    if (port_node != NULL && !param_parse(PARAM_INTEGER, config_text(port_node, ""), &index, why, sizeof why)) {
        diagnostics_at(diagnostics, port_node, "network.port: %s", why);
        return NULL;
    }
    struct port *port = device->ops->network_port(device, (unsigned)index);
    if (port == NULL) {
        diagnostics_at(diagnostics, port_node != NULL ? port_node : at, "network.port: '%s' has no port %llu", name,
                       (unsigned long long)index);
    }
    return port;
}

static void connect(struct network *network, const char *name, const struct link_config *config, struct port *a,
                    struct port *b) {
    struct link *link = link_create(name, config);
    link_connect(link, a, b);
    network->links[network->link_count++] = link;
}

void network_connect(struct network *network, struct client *client) {
    for (unsigned host = 0; host < client_hosts(client); host++) {
        char name[32];
        (void)snprintf(name, sizeof name, "link.host%u", network->hosts);
        network->hosts++;
        connect(network, name, &network->link, client_port(client, host),
                switch_port(network->ethernet_switch, network->hosts));
    }
}

struct network *network_create(const struct config_node *root, struct machine *machine, struct client *client,
                               unsigned further_hosts, struct diagnostics *diagnostics) {
    struct link_config link;
    struct switch_config switch_config;
    const struct config_node *node = config_get(root, "network");
    const struct config_node *at = node != NULL ? node : root;
    bool good = node == NULL || config_check_keys(node, network_keys, diagnostics);
    good = config_bind(config_get(node, "link"), link_params, &link, diagnostics) && good;
    const struct config_node *switch_node = config_get(node, "switch");
    const bool switched = switch_node != NULL;
    good = config_bind(switch_node, switch_params, &switch_config, diagnostics) && good;
    if (machine == NULL || client == NULL) {
        return NULL;
    }
    struct port *server = device_port(node, at, machine, diagnostics);
    const unsigned hosts = client_hosts(client) + further_hosts;
    if (!switched && hosts > 1) {
        diagnostics_at(diagnostics, at, "network: %u hosts need a 'switch'", hosts);
        good = false;
    }
    if (hosts + 1 > NETWORK_LINKS_MAX) {
        diagnostics_at(diagnostics, at, "network: %u hosts are more than %d", hosts, NETWORK_LINKS_MAX - 1);
        good = false;
    }
    if (!good || server == NULL) {
        return NULL;
    }
    struct network *network = calloc(1, sizeof *network);
    SIM_ASSERT(network != NULL);
    network->link = link;
    if (!switched) {
        connect(network, "link", &link, server, client_port(client, 0));
        return network;
    }
    network->ethernet_switch = switch_create("switch", &switch_config, hosts + 1);
    connect(network, "link.server", &link, server, switch_port(network->ethernet_switch, 0));
    network_connect(network, client);
    return network;
}

void network_free(struct network *network) {
    if (network == NULL) {
        return;
    }
    for (unsigned i = 0; i < network->link_count; i++) {
        link_free(network->links[i]);
    }
    if (network->ethernet_switch != NULL) {
        switch_free(network->ethernet_switch);
    }
    free(network);
}

void network_reset_stats(struct network *network) {
    for (unsigned i = 0; i < network->link_count; i++) {
        link_reset_stats(network->links[i]);
    }
    if (network->ethernet_switch != NULL) {
        switch_reset_stats(network->ethernet_switch);
    }
}

void network_visit_stats(const struct network *network, const struct stats_sink *sink) {
    for (unsigned i = 0; i < network->link_count; i++) {
        link_visit_stats(network->links[i], sink);
    }
    if (network->ethernet_switch != NULL) {
        switch_visit_stats(network->ethernet_switch, sink);
    }
}
