/* network.h: what lies between a machine's NIC and the client hosts: one link, or a
 * switch with a link a port. */
#ifndef STILLSUIT_EXPERIMENT_NETWORK_H
#define STILLSUIT_EXPERIMENT_NETWORK_H

#include "hw/machine.h"
#include "workloads/client.h"

struct network;

/* Reads `network: {link:, switch:, device:, port:}` of the root (absent: defaults, no
 * switch) and connects the device's port with every host. NULL with diagnostics; and
 * NULL after checking the settings if there is no machine, or are no clients. */
struct network *network_create(const struct config_node *root, struct machine *machine, struct client *client,
                               struct diagnostics *diagnostics);
void network_free(struct network *network);
/* The end of the warm-up. */
void network_reset_stats(struct network *network);
void network_visit_stats(const struct network *network, const struct stats_sink *sink);

#endif
