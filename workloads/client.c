/* client.c: a group of client hosts: making them, their phases, their counters. */
#include "workloads/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/error.h"
#include "workloads/client_internal.h"

struct client_components client_components;

void client_declare_components(void) {
    static const struct ledger_declaration table[] = {{"client", NULL, "Client", "wire client"},
                                                      {"client_send", "client", "Client, sending", NULL},
                                                      {"client_receive", "client", "Client, receiving", NULL},
                                                      {0}};
    ledger_component declared[3];
    ledger_declare_all(table, declared);
    client_components = (struct client_components){declared[0], declared[1], declared[2]};
}

/* Locally administered (IEEE 802, 8.2.2), then the IP address: unique if that is. */
static struct system_address host_address(uint32_t ip) {
    return (struct system_address){
        .mac = {0x02, 0x73, (uint8_t)(ip >> 24), (uint8_t)(ip >> 16), (uint8_t)(ip >> 8), (uint8_t)ip}, .ip = ip};
}

static void make_flows(struct client_host *host, const struct client_setup *setup) {
    const struct client *client = host->client;
    const unsigned ports = setup->server_ports == 0 ? 1 : setup->server_ports;
    host->flows = calloc(client->config.flows, sizeof *host->flows);
    SIM_ASSERT_MSG(host->flows != NULL, "out of memory");
    for (uint64_t i = 0; i < client->config.flows; ++i) {
        const uint64_t number = host->index * client->config.flows + i;
        struct net_udp udp = {.source_ip = host->address.ip,
                              .destination_ip = setup->server.ip,
                              .source_port = (uint16_t)(client->config.source_port + i),
                              .destination_port = (uint16_t)(setup->server_port + number % ports)};
        memcpy(udp.source_mac, host->address.mac, sizeof udp.source_mac);
        memcpy(udp.destination_mac, setup->server.mac, sizeof udp.destination_mac);
        client_flow_init(&host->flows[i], &udp, &client->payload);
    }
}

static void make_host(struct client *client, unsigned index, uint32_t first_ip, const struct client_setup *setup) {
    struct client_host *host = &client->hosts[index];
    char stream[sizeof client->name + 16];
    *host = (struct client_host){.client = client, .index = index, .address = host_address(first_ip + index)};
    host->port = (struct port){.receive = client_receive, .owner = host};
    (void)snprintf(stream, sizeof stream, "%s.%u", client->name, index);
    host->random = random_stream_create(stream);
    if (client->config.send_time != 0 || client->config.receive_time != 0) {
        host->core_free_at = calloc(client->config.cores, sizeof *host->core_free_at);
        SIM_ASSERT_MSG(host->core_free_at != NULL, "out of memory");
    }
    if (client->config.transport == CLIENT_TCP) {
        client_tcp_init(host);
    } else {
        make_flows(host, setup);
    }
    client_slots_init(host);
    client_arrivals_init(host);
}

struct client *client_create(const struct client_setup *setup, struct error *error) {
    uint32_t first_ip = 0;
    const uint64_t hosts = setup->config->hosts;
    if (!net_ipv4_parse(setup->config->address, &first_ip) ||
        (uint64_t)first_ip + setup->first_host + hosts > UINT32_MAX) {
        (void)error_set(error, ERR_RANGE, "%s: no room for %llu hosts from address %s on", setup->name,
                        (unsigned long long)hosts, setup->config->address);
        return NULL;
    }
    first_ip += setup->first_host;
    if (setup->server.ip >= first_ip && setup->server.ip - first_ip < hosts) {
        (void)error_set(error, ERR_OVERLAP, "%s: host %u has the server's address", setup->name,
                        (unsigned)(setup->server.ip - first_ip));
        return NULL;
    }
    struct client *client = calloc(1, sizeof *client);
    SIM_ASSERT_MSG(client != NULL, "out of memory");
    (void)snprintf(client->name, sizeof client->name, "%s", setup->name);
    client->config = *setup->config;
    client->config.arrivals_node = NULL; /* may go before the client does */
    client->config.address = NULL;
    client->config.tcp_node = NULL;
    client->ledger = setup->ledger;
    client->server = setup->server;
    client->tracked = client->config.arrivals.process == CLIENT_CLOSED || client->config.timeout != 0;
    client->server_port = setup->server_port;
    client->server_ports = setup->server_ports == 0 ? 1 : setup->server_ports;
    if (client->config.transport == CLIENT_UDP) {
        client_payload_init(&client->payload, (uint32_t)client->config.payload_bytes);
    }
    client->hosts = calloc(hosts, sizeof *client->hosts);
    SIM_ASSERT_MSG(client->hosts != NULL, "out of memory");
    for (unsigned i = 0; i < hosts; ++i) {
        make_host(client, i, first_ip, setup);
    }
    return client;
}

static void cancel_host(struct client_host *host) {
    (void)sim_cancel(&host->arrival);
    if (host->thinkers != NULL) {
        for (uint64_t i = 0; i < host->client->config.arrivals.outstanding; ++i) {
            (void)sim_cancel(&host->thinkers[i].event);
        }
    }
}

void client_free(struct client *client) {
    if (client == NULL) {
        return;
    }
    for (uint64_t i = 0; i < client->config.hosts; ++i) {
        struct client_host *host = &client->hosts[i];
        cancel_host(host);
        (void)sim_cancel(&host->deadline_timer);
        random_stream_free(host->random);
        free(host->core_free_at);
        free(host->flows);
        free(host->slots);
        free(host->thinkers);
        client_tcp_free_host(host);
    }
    client_tcp_free(client);
    free(client->hosts);
    free(client);
}

unsigned client_hosts(const struct client *client) {
    return (unsigned)client->config.hosts;
}

struct port *client_port(struct client *client, unsigned host) {
    SIM_ASSERT(host < client->config.hosts);
    return &client->hosts[host].port;
}

struct system_address client_address(const struct client *client, unsigned host) {
    SIM_ASSERT(host < client->config.hosts);
    return client->hosts[host].address;
}

void client_connect(struct client *client, void (*connected)(void *context), void *context) {
    if (client->config.transport == CLIENT_UDP) {
        connected(context);
        return;
    }
    client->connected = connected;
    client->connected_context = context;
    for (uint64_t i = 0; i < client->config.hosts; ++i) {
        client_tcp_open_next(&client->hosts[i]);
    }
}

void client_start(struct client *client, sim_time at) {
    SIM_ASSERT_MSG(!client->running && client->sequence == 0, "%s was started before", client->name);
    client->running = true;
    client->start = at;
    client->measured_from = at;
    for (uint64_t i = 0; i < client->config.hosts; ++i) {
        client_arrivals_start(&client->hosts[i]);
    }
}

/* Timeouts go on, so that what is under way is still told late from lost. */
void client_stop(struct client *client) {
    client->running = false;
    for (uint64_t i = 0; i < client->config.hosts; ++i) {
        cancel_host(&client->hosts[i]);
    }
}

void client_on_completed(struct client *client, void (*completed)(void *context, uint64_t count), void *context) {
    client->completed = completed;
    client->completed_context = context;
}

void client_on_frame(struct client *client, void (*seen)(void *context, const uint8_t *bytes, uint32_t length_bytes),
                     void *context) {
    client->seen = seen;
    client->seen_context = context;
}

static uint64_t under_way(const struct client *client) {
    return client->ledger == NULL ? 0 : ledger_live(client->ledger);
}

void client_begin_measure(struct client *client) {
    client->stats = (struct client_stats){0};
    for (uint64_t i = 0; i < client->config.hosts; ++i) {
        tcp_host_reset_stats(&client->hosts[i].tcp);
    }
    client->measured_from = sim_now();
    client->live_before = under_way(client);
}

struct client_stats client_stats(const struct client *client) {
    struct client_stats stats = client->stats;
    const uint64_t gone = stats.completed + under_way(client);
    const uint64_t begun = stats.offered + client->live_before;
    const sim_time now = sim_now();
    stats.dropped = client->ledger != NULL && begun > gone ? begun - gone : 0;
    stats.elapsed = now > client->measured_from ? now - client->measured_from : 0;
    return stats;
}

void client_visit_stats(const struct client *client, const struct stats_sink *sink) {
    const struct client_stats stats = client_stats(client);
    const struct {
        const char *name;
        uint64_t value;
    } counters[] = {
        {"offered", stats.offered}, {"completed", stats.completed},   {"dropped", stats.dropped},
        {"sent", stats.sent},       {"received", stats.received},     {"timeouts", stats.timeouts},
        {"late", stats.late},       {"corrupt", stats.corrupt},       {"mismatched", stats.mismatched},
        {"ignored", stats.ignored}, {"send_drops", stats.send_drops}, {"payload_bytes", stats.payload_bytes}};
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; ++i) {
        stats_counter(sink, client->name, counters[i].name, counters[i].value);
    }
    for (uint64_t i = 0; client->config.transport == CLIENT_TCP && i < client->config.hosts; ++i) {
        char instance[sizeof client->name + 16];
        (void)snprintf(instance, sizeof instance, "%s.%u", client->name, (unsigned)i);
        tcp_host_visit_stats(&client->hosts[i].tcp, instance, sink);
    }
}
