/* header_space.h: sets of packets as convex parts of header space, and the
 * questions that a control plane asks of them.
 *
 * A part is (protocol) x (any of the peers) x (any of the services), each peer and
 * service a prefix of addresses times an interval of ports. Intersection and
 * containment are decided exactly, interval by interval. */
#ifndef STILLSUIT_KERNEL_MODEL_EXO_HEADER_SPACE_H
#define STILLSUIT_KERNEL_MODEL_EXO_HEADER_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hw/nic/nic.h"

/* Whether it is convex: masks are prefixes, intervals are not empty, counts fit. */
bool header_space_valid(const struct nic_filter *space);

/* Whether some packet lies in both. */
bool header_space_overlaps(const struct nic_filter *a, const struct nic_filter *b);

/* Whether every service lies under the prefix address/mask; false for a space that
 * names no service (it has them all). */
bool header_space_under_prefix(const struct nic_filter *space, uint32_t address, uint32_t mask);

/* Adds the ports of the services to a set, a bit each; a space without services has
 * all ports. */
struct port_set {
    uint64_t bits[65536 / 64];
};
void port_set_add(struct port_set *set, const struct nic_filter *space);
uint32_t port_set_count(const struct port_set *set);

/* Whether the services of `space` lie inside the union of the services of the
 * `count` spaces `owned`, protocol by protocol. (The peers do not matter: who owns
 * a service may answer anyone.) */
bool header_space_services_within(const struct nic_filter *space, const struct nic_filter *const *owned, size_t count);

#endif
