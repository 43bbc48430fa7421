/* Headers, as filters see them, and whether one filter matches. */
#include <string.h>

#include "hw/nic/nic_internal.h"

enum {
    ETHERNET_BYTES = 14,
    VLAN_TAG_BYTES = 4,
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_VLAN = 0x8100,
    IP_BYTES_MIN = 20,
    PROTOCOL_TCP = 6,
    PROTOCOL_UDP = 17,
    UDP_BYTES = 8,
    TCP_BYTES = 20,
    FRAGMENT_MASK = 0x3fff /* MF and the offset (RFC 791, 3.1) */
};

static uint16_t get16(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static uint32_t get32(const uint8_t *bytes) {
    return (uint32_t)get16(bytes) << 16 | get16(bytes + 2);
}

/* A header that does not fit the frame or contradicts itself is no IPv4 header: only
 * a filter that takes everything takes it. */
void nic_headers_parse(const uint8_t *bytes, uint32_t length_bytes, struct nic_headers *headers) {
    memset(headers, 0, sizeof *headers);
    uint32_t offset = ETHERNET_BYTES;
    if (length_bytes < ETHERNET_BYTES + IP_BYTES_MIN) {
        return;
    }
    uint16_t type = get16(bytes + ETHERNET_BYTES - 2);
    if (type == ETHERTYPE_VLAN) {
        type = get16(bytes + ETHERNET_BYTES - 2 + VLAN_TAG_BYTES);
        offset += VLAN_TAG_BYTES;
    }
    const uint8_t *ip = bytes + offset;
    if (type != ETHERTYPE_IPV4 || length_bytes < offset + IP_BYTES_MIN || ip[0] >> 4 != 4) {
        return;
    }
    const uint32_t header_bytes = (uint32_t)(ip[0] & 0xf) * 4;
    const uint32_t total_bytes = get16(ip + 2);
    if (header_bytes < IP_BYTES_MIN || total_bytes < header_bytes || offset + total_bytes > length_bytes) {
        return;
    }
    headers->ipv4 = true;
    headers->protocol = ip[9];
    headers->source = get32(ip + 12);
    headers->destination = get32(ip + 16);
    headers->ip_offset = offset;
    headers->l4_offset = offset + header_bytes;
    headers->end = offset + total_bytes;
    const uint32_t l4_bytes = total_bytes - header_bytes;
    const bool udp = headers->protocol == PROTOCOL_UDP && l4_bytes >= UDP_BYTES;
    const bool tcp = headers->protocol == PROTOCOL_TCP && l4_bytes >= TCP_BYTES;
    if ((udp || tcp) && (get16(ip + 6) & FRAGMENT_MASK) == 0) {
        headers->ports = true;
        headers->source_port = get16(bytes + headers->l4_offset);
        headers->destination_port = get16(bytes + headers->l4_offset + 2);
    }
}

/* A packet without ports (a fragment, say) lies in no range but the whole one. */
static bool endpoint_matches(const struct nic_endpoints *range, uint32_t address, bool ports, uint16_t port) {
    const bool all_ports = range->port_low == 0 && range->port_high == UINT16_MAX;
    return ((address ^ range->address) & range->mask) == 0 &&
           (all_ports || (ports && port >= range->port_low && port <= range->port_high));
}

static bool any_matches(const struct nic_endpoints *ranges, uint32_t count, const struct nic_headers *headers,
                        bool source) {
    const uint32_t address = source ? headers->source : headers->destination;
    const uint16_t port = source ? headers->source_port : headers->destination_port;
    for (uint32_t i = 0; i < count; i++) {
        if (headers->ipv4 && endpoint_matches(&ranges[i], address, headers->ports, port)) {
            return true;
        }
    }
    return count == 0;
}

bool nic_filter_matches(const struct nic_filter *filter, const struct nic_headers *headers, bool receive) {
    if (filter->protocol != 0 && (!headers->ipv4 || headers->protocol != filter->protocol)) {
        return false;
    }
    return any_matches(filter->services, filter->service_count, headers, !receive) &&
           any_matches(filter->peers, filter->peer_count, headers, receive);
}
