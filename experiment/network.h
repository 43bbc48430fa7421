/* network.h: what lies between a machine's NIC and the client hosts: one link, or a
 * switch with a link a port. */
#ifndef STILLSUIT_EXPERIMENT_NETWORK_H
#define STILLSUIT_EXPERIMENT_NETWORK_H

#include "hw/machine.h"
#include "workloads/client.h"

struct network;

/* Reads `network: {link:, switch:, device:, port:}` of the root (absent: defaults, no
 * switch) and connects the device's port with every host; `further_hosts` can be
 * connected later. NULL with diagnostics; and NULL after checking the settings if
 * there is no machine, or are no clients. */
struct network *network_create(const struct config_node *root, struct machine *machine, struct client *client,
                               unsigned further_hosts, struct diagnostics *diagnostics);
/* Connects the hosts of another group of clients. */
void network_connect(struct network *network, struct client *client);
void network_free(struct network *network);
/* The end of the warm-up. */
void network_reset_stats(struct network *network);
void network_visit_stats(const struct network *network, const struct stats_sink *sink);

#endif
