#include "kernel_model/exo/header_space.h"

static bool endpoints_valid(const struct nic_endpoints *endpoints) {
    const uint32_t host_part = ~endpoints->mask;
    return (host_part & (host_part + 1)) == 0 && endpoints->port_low <= endpoints->port_high;
}

bool header_space_valid(const struct nic_filter *space) {
    if (space->peer_count > NIC_FILTER_RANGES_MAX || space->service_count > NIC_FILTER_RANGES_MAX) {
        return false;
    }
    for (unsigned i = 0; i < space->peer_count; i++) {
        if (!endpoints_valid(&space->peers[i])) {
            return false;
        }
    }
    for (unsigned i = 0; i < space->service_count; i++) {
        if (!endpoints_valid(&space->services[i])) {
            return false;
        }
    }
    return true;
}

static bool endpoints_intersect(const struct nic_endpoints *a, const struct nic_endpoints *b) {
    return ((a->address ^ b->address) & a->mask & b->mask) == 0 && a->port_low <= b->port_high &&
           b->port_low <= a->port_high;
}

/* An empty list stands for everything. */
static bool lists_intersect(const struct nic_endpoints *a, unsigned a_count, const struct nic_endpoints *b,
                            unsigned b_count) {
    if (a_count == 0 || b_count == 0) {
        return true;
    }
    for (unsigned i = 0; i < a_count; i++) {
        for (unsigned j = 0; j < b_count; j++) {
            if (endpoints_intersect(&a[i], &b[j])) {
                return true;
            }
        }
    }
    return false;
}

bool header_space_overlaps(const struct nic_filter *a, const struct nic_filter *b) {
    const bool protocols = a->protocol == 0 || b->protocol == 0 || a->protocol == b->protocol;
    return protocols && lists_intersect(a->peers, a->peer_count, b->peers, b->peer_count) &&
           lists_intersect(a->services, a->service_count, b->services, b->service_count);
}

static bool prefix_contains(uint32_t address, uint32_t mask, const struct nic_endpoints *inner) {
    return (inner->mask & mask) == mask && ((inner->address ^ address) & mask) == 0;
}

bool header_space_under_prefix(const struct nic_filter *space, uint32_t address, uint32_t mask) {
    for (unsigned i = 0; i < space->service_count; i++) {
        if (!prefix_contains(address, mask, &space->services[i])) {
            return false;
        }
    }
    return space->service_count > 0;
}

static void port_set_add_range(struct port_set *set, uint32_t low, uint32_t high) {
    for (uint32_t port = low; port <= high; port++) {
        set->bits[port / 64] |= UINT64_C(1) << (port % 64);
    }
}

void port_set_add(struct port_set *set, const struct nic_filter *space) {
    if (space->service_count == 0) {
        port_set_add_range(set, 0, UINT16_MAX);
    }
    for (unsigned i = 0; i < space->service_count; i++) {
        port_set_add_range(set, space->services[i].port_low, space->services[i].port_high);
    }
}

uint32_t port_set_count(const struct port_set *set) {
    uint32_t count = 0;
    for (size_t i = 0; i < sizeof set->bits / sizeof set->bits[0]; i++) {
        count += (uint32_t)__builtin_popcountll(set->bits[i]);
    }
    return count;
}

/* The highest port up to which the owned spaces cover `service` from `port` on, or
 * -1 if they do not have that port. */
static int32_t covered_until(const struct nic_endpoints *service, uint8_t protocol, uint32_t port,
                             const struct nic_filter *const *owned, size_t count) {
    int32_t until = -1;
    for (size_t i = 0; i < count; i++) {
        if (owned[i]->protocol != 0 && owned[i]->protocol != protocol) {
            continue;
        }
        for (unsigned j = 0; j < owned[i]->service_count; j++) {
            const struct nic_endpoints *own = &owned[i]->services[j];
            if (prefix_contains(own->address, own->mask, service) && own->port_low <= port && port <= own->port_high &&
                own->port_high > until) {
                until = own->port_high;
            }
        }
    }
    return until;
}

bool header_space_services_within(const struct nic_filter *space, const struct nic_filter *const *owned, size_t count) {
    for (unsigned i = 0; i < space->service_count; i++) {
        const struct nic_endpoints *service = &space->services[i];
        for (uint32_t port = service->port_low; port <= service->port_high;) {
            const int32_t until = covered_until(service, space->protocol, port, owned, count);
            if (until < 0) {
                return false;
            }
            port = (uint32_t)until + 1;
        }
    }
    return space->service_count > 0;
}
