/* Which queue a received packet goes to, and whether a function may send one.
 *
 * Filters are looked at in order of priority; a look-aside by flow makes that one
 * probe for all but a flow's first packet, however many filters there are. The
 * look-aside holds what the look-up would find, so it changes no result. */
#include <stdlib.h>
#include <string.h>

#include "hw/nic/nic_internal.h"
#include "sim/error.h"

enum { NO_SLOT = -1, ANY_FUNCTION = UINT16_MAX };

/* ---- MAC addresses ---- */

static uint64_t mac_key(const uint8_t *mac) {
    uint64_t key = 0;
    for (unsigned i = 0; i < NIC_MAC_BYTES; i++) {
        key = key << 8 | mac[i];
    }
    return key | UINT64_C(1) << 48; /* never 0 */
}

static uint32_t mac_place(const struct nic *nic, uint64_t key) {
    uint32_t place = (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (nic->mac_capacity - 1);
    while (nic->mac_keys[place] != 0 && nic->mac_keys[place] != key) {
        place = (place + 1) & (nic->mac_capacity - 1);
    }
    return place;
}

/* Rebuilt whole: the control path may take its time. Of two functions with one
 * address the lower has it. */
void nic_mac_changed(struct nic *nic) {
    memset(nic->mac_keys, 0, nic->mac_capacity * sizeof *nic->mac_keys);
    for (uint32_t i = 0; i < nic->function_count; i++) {
        const struct nic_function *function = &nic->functions[i];
        if (!function->enabled || !function->has_mac) {
            continue;
        }
        const uint64_t key = mac_key(function->mac);
        const uint32_t place = mac_place(nic, key);
        if (nic->mac_keys[place] == 0) {
            nic->mac_keys[place] = key;
            nic->mac_functions[place] = i;
        }
    }
    nic->flow_generation++;
}

static struct nic_function *function_of_mac(struct nic *nic, const uint8_t *mac) {
    const uint64_t key = mac_key(mac);
    const uint32_t place = mac_place(nic, key);
    return nic->mac_keys[place] == key ? &nic->functions[nic->mac_functions[place]] : NULL;
}

/* ---- receive filters ---- */

static int compare_keys(const void *a, const void *b) {
    const uint64_t left = *(const uint64_t *)a;
    const uint64_t right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

void nic_filter_changed(struct nic *nic) {
    nic->filter_order_count = 0;
    for (uint32_t slot = 0; slot < nic->config->receive_filters; slot++) {
        const struct nic_filter_slot *entry = &nic->receive_filters[slot];
        if (entry->used) {
            nic->filter_order[nic->filter_order_count++] = (uint64_t)entry->filter.priority << 32 | slot;
        }
    }
    qsort(nic->filter_order, nic->filter_order_count, sizeof *nic->filter_order, compare_keys);
    nic->flow_generation++;
}

/* The first filter that takes a packet, of one function's or of all. */
static int32_t first_match(const struct nic *nic, const struct nic_headers *headers, uint32_t function) {
    for (uint32_t i = 0; i < nic->filter_order_count; i++) {
        const uint32_t slot = (uint32_t)nic->filter_order[i];
        const struct nic_filter_slot *entry = &nic->receive_filters[slot];
        if ((function == ANY_FUNCTION || entry->function == function) &&
            nic_filter_matches(&entry->filter, headers, true)) {
            return (int32_t)slot;
        }
    }
    return NO_SLOT;
}

static int32_t look_up(struct nic *nic, const struct nic_headers *headers, uint32_t function) {
    if (nic->filter_order_count == 0) {
        return NO_SLOT;
    }
    const uint32_t ports = (uint32_t)headers->source_port << 16 | headers->destination_port;
    const uint32_t scope = function | (uint32_t)headers->protocol << 16 | (headers->ipv4 ? 1u : 0u) << 24 |
                           (headers->ports ? 1u : 0u) << 25;
    const uint64_t mixed = ((uint64_t)headers->source << 32 | headers->destination) * UINT64_C(0x9e3779b97f4a7c15) ^
                           ((uint64_t)ports << 32 | scope) * UINT64_C(0xd6e8feb86659fd93);
    struct nic_flow *flow = &nic->flows[(mixed >> 32) % NIC_FLOWS];
    if (flow->generation != nic->flow_generation || flow->source != headers->source ||
        flow->destination != headers->destination || flow->ports != ports || flow->scope != scope) {
        *flow = (struct nic_flow){nic->flow_generation,
                                  headers->source,
                                  headers->destination,
                                  ports,
                                  scope,
                                  first_match(nic, headers, function)};
    }
    return flow->slot;
}

/* ---- the physical function: default and RSS ---- */

static struct nic_queue *physical_queue(struct nic *nic, const struct nic_headers *headers) {
    if (nic->rss_queues > 1 && headers->ipv4 && nic->rss_table[0] != NULL) {
        return nic->rss_table[nic_rss_hash(nic, headers) % NIC_RSS_TABLE];
    }
    return nic->physical_default;
}

struct nic_queue *nic_filter_receive(struct nic *nic, const uint8_t *bytes, const struct nic_headers *headers) {
    const bool group = (bytes[0] & 1) != 0;
    const bool by_header = nic->config->filtering == NIC_FILTER_HEADER;
    struct nic_function *pool = group ? NULL : function_of_mac(nic, bytes);
    if (pool != NULL) { /* else it is for another machine, or for all */
        const int32_t slot = look_up(nic, headers, by_header ? ANY_FUNCTION : pool->number);
        if (slot != NO_SLOT) {
            const struct nic_filter_slot *entry = &nic->receive_filters[slot];
            return nic_queue_of(&nic->functions[entry->function], entry->filter.queue);
        }
        if (!by_header) {
            return pool->number == 0 ? physical_queue(nic, headers) : nic_queue_of(pool, 0);
        }
    }
    return nic->default_to_physical ? physical_queue(nic, headers) : NULL;
}

/* ---- transmit ---- */

/* A virtual function sends from its own address (by header: also from the card's,
 * which its functions then share), and what one of its filters allows; without a
 * filter nothing. */
bool nic_filter_transmit_allowed(const struct nic_function *function, const uint8_t *bytes,
                                 const struct nic_headers *headers) {
    const struct nic *nic = function->nic;
    const struct nic_function *physical = &nic->functions[0];
    const uint8_t *source = bytes + NIC_MAC_BYTES;
    const bool shares = nic->config->filtering == NIC_FILTER_HEADER && physical->has_mac;
    if (!(function->has_mac && memcmp(source, function->mac, NIC_MAC_BYTES) == 0) &&
        !(shares && memcmp(source, physical->mac, NIC_MAC_BYTES) == 0)) {
        return false;
    }
    for (uint32_t i = 0; i < function->transmit_filter_count; i++) {
        const struct nic_filter_slot *entry = &function->transmit_filters[i];
        if (entry->used && nic_filter_matches(&entry->filter, headers, false)) {
            return true;
        }
    }
    return false;
}
